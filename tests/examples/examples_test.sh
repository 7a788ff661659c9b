#!/bin/bash
# examples_test.sh MPI_ENV MPI_LAUNCH HELLO HEAT2D SIM HANDLES
# The small examples run, and say the same on any number of ranks.
set -u
mpi_env=$1 launch=$2 hello=$3 heat2d=$4 sim=$5 handles=$6
failures=0

# expect PATTERN COMMAND...
expect() {
  local pattern=$1 output
  shift
  output=$(timeout 120 "$@" 2>&1)
  local code=$?
  if [[ $code != 0 ]] || ! grep -q -- "$pattern" <<<"$output"; then
    echo "FAILED with exit code $code: $*; wanted: $pattern" >&2
    sed 's/^/  | /' <<<"$output" >&2
    failures=$((failures + 1))
  fi
}

trace=$("$launch" "$mpi_env" 1 1 "$hello" | sed -n 's/^tr(A A) = \(.*\) on .*/\1/p')
for ranks in 1 2 3 4; do
  expect "tr(A A) = ${trace:-missing} on $ranks ranks" "$launch" "$mpi_env" "$ranks" 1 "$hello"
  expect "field of $((48 * ranks)) x 32: heat $((100 * ranks)).0000" "$launch" "$mpi_env" "$ranks" 1 "$heat2d"
done
expect "tr(A A) = ${trace:-missing} on 6 simulated ranks" "$sim"
expect 'asymmetry of A A^T: ' "$handles"
exit $((failures != 0))
