#!/bin/bash
# readme_test.sh MPI_ENV ARCHIVE: the program in README.md is examples/hello.c, the Makefile builds
# it, and on 4 ranks it prints what stands there.
set -eu
source tests/docs/user_build.sh "$1"
block() { python3 tests/docs/snippets.py block README.md "$1"; }
block c >"$work/hello.c"
diff -u examples/hello.c "$work/hello.c"

# The repository as the Makefile sees it.
mkdir -p "$work/dtensor/dtensor" "$work/dtensor/bazel-bin/dtensor" "$work/program"
ln -s "$PWD/dtensor/include" "$work/dtensor/dtensor/include"
ln -s "$PWD/$2" "$work/dtensor/bazel-bin/dtensor/libdtensor.a"
block make >"$work/program/Makefile"
mv "$work/hello.c" "$work/program"
make -C "$work/program" MPICC="$mpi_cc" hello

bash tests/harness/mpi_launch.sh "$1" 4 1 "$work/program/hello" >"$work/printed"
block text | diff -u - "$work/printed"
