#!/bin/bash
# killed_test.sh MPI_ENV KILLED
# Ranks that share memory are killed: their neighbours notice, and nothing stays in /dev/shm.
set -u
mpi_env=$1 killed=$2
scratch=${TEST_TMPDIR:-$(mktemp -d)}
seen=$(mktemp -d "$scratch/seen.XXXXXX")
# Other programs of this machine come and go; scratch folders of the tests and MPI's files are not ours.
list() { ls /dev/shm | grep -Ev '^(dtest\.|vader_segment|sm_segment|psm2|mpich|osc)' | sort; }
before=$(list)
# Open MPI: go on without a rank that has died, so that the others live to see it.
OMPI_MCA_orte_enable_recovery=1 tests/harness/mpi_launch.sh "$mpi_env" 3 1 "$killed" "$seen/rank" 2>"$seen/launcher"
left=$(comm -13 <(printf '%s\n' "$before") <(list))
if [[ -n $left ]]; then
  echo "left in /dev/shm: $left" >&2
  exit 1
fi
source "$mpi_env" 2>/dev/null || source "../${mpi_env#external/}"
[[ $mpi_flavor == openmpi ]] || exit 0 # other launchers end the others at once
for rank in 0 1; do
  if ! grep -q 'DTENSOR_EMPI: .*rank 2 (process [0-9]*) has ended' "$seen/rank.$rank"; then
    echo "rank $rank did not see that rank 2 was killed" >&2
    exit 1
  fi
done
