#!/bin/bash
# smoke_test.sh MPI_ENV MPI_LAUNCH BENCH REPORT CHECK RANKS
# Every way of every row gives the right result on small sizes, and the report can be made of it.
set -eu
mpi_env=$1 launch=$2 bench=$3 report=$4 check=$5 ranks=$6
folder=${TEST_TMPDIR:-$(mktemp -d)}
"$launch" "$mpi_env" "$ranks" 1 "$bench" --smoke "$folder/results.csv" >"$folder/out" 2>&1 || {
  cat "$folder/out"
  exit 1
}
if grep -n 'WRONG RESULT' "$folder/out"; then # also a peer's: we would not know what we compare with
  exit 1
fi
python3 "$report" "$folder/results.csv" "$folder/results.html"
python3 "$check" "$folder/results.csv" "$folder/results.html" "$ranks"
