#!/bin/bash
# mpi_launch.sh MPI_ENV RANKS THREADS BINARY [ARG...]
# Runs BINARY under mpiexec; fails if any rank fails; leaves no process and no shared memory behind,
# also when it is stopped at the test's time limit.
# With MPI_SINGLE_COPY=yes Open MPI may read another process's memory (CMA) where the system lets it.
set -u
mpi_env=$1 ranks=$2 threads=$3 binary=$4
shift 4
[[ -e $mpi_env ]] || mpi_env=../${mpi_env#external/} # newer Bazel keeps it beside the main repository
source "$mpi_env"
[[ $binary == */* ]] || binary=./$binary

# Private scratch. Bazel's sandboxes have their own process ids but share /dev/shm, and Open MPI names
# its segments after mpiexec's id: two tests at once would map each other's memory. Short, as sockets
# live under it.
scratch=$(mktemp -d /dev/shm/dtest.XXXXXX 2>/dev/null || mktemp -d /tmp/dtest.XXXXXX) || exit 1
trap 'rm -rf "$scratch"' EXIT
export TMPDIR=$scratch HOME=$scratch
export DTEST_MPI=1
# Open MPI looks up this machine's name; where nobody knows it, do not wait long for an answer.
export RES_OPTIONS="timeout:1 attempts:1 no-tld-query" LOCALDOMAIN=
# Ranks often outnumber the cores: whoever waits lets the others run.
export OMP_NUM_THREADS=$threads OMP_DYNAMIC=false OMP_WAIT_POLICY=passive

case $mpi_flavor in
openmpi)
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  export OMPI_MCA_orte_tmpdir_base=$scratch PRTE_MCA_prte_tmpdir_base=$scratch
  export OMPI_MCA_btl_vader_backing_directory=$scratch OMPI_MCA_btl_sm_backing_directory=$scratch
  # CMA needs the right to trace, which containers often lack.
  if [[ ${MPI_SINGLE_COPY:-no} != yes ]]; then
    export OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_smsc=^cma
  fi
  export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=${OMPI_MCA_mpi_yield_when_idle-1}
  # One node: no network to look for, no launch agent. Saves a third of the start-up.
  export OMPI_MCA_plm=${OMPI_MCA_plm-isolated} OMPI_MCA_pml=${OMPI_MCA_pml-ob1} OMPI_MCA_btl=${OMPI_MCA_btl-self,vader}
  cmd=("$mpi_exec" --oversubscribe --bind-to none -np "$ranks")
  ;;
*)
  cmd=("$mpi_exec" -n "$ranks")
  ;;
esac

"${cmd[@]}" "$binary" "$@" </dev/null &
pid=$!
# A SIGTERM at the time limit reaches us first; mpiexec then ends its ranks.
trap 'kill -TERM $pid 2>/dev/null' TERM INT HUP
while :; do
  wait "$pid"
  rc=$?
  kill -0 "$pid" 2>/dev/null || break
done
[[ $rc == 0 ]] || echo "FAILED: $ranks ranks x $threads threads of $(basename "$binary"): mpiexec exit status $rc" >&2
exit "$rc"
