#!/bin/bash
# concepts_test.sh MPI_ENV ARCHIVE: docs/concepts.md as a program prints what it says.
set -eu
source tests/docs/user_build.sh "$1"
python3 tests/docs/snippets.py program docs/concepts.md >"$work/concepts.c"
python3 tests/docs/snippets.py output docs/concepts.md >"$work/expected"
# shellcheck disable=SC2046
"$mpi_cc" -std=c11 -Wall -Wextra -Wpedantic -Werror -Idtensor/include "$work/concepts.c" "$2" \
  $(pkg-config --libs openblas) -fopenmp -lpthread -lm -o "$work/concepts"
OMP_NUM_THREADS=1 "$work/concepts" >"$work/printed"
diff -u "$work/expected" "$work/printed"
echo "docs/concepts.md: $(wc -l <"$work/printed") lines printed as shown"
