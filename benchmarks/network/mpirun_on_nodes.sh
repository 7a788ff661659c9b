#!/bin/bash
# mpirun_on_nodes.sh NODES RANKS_PER_NODE THREADS BINARY [ARG...]
# Open MPI over TCP on the first NODES of the virtual nodes around us (virtual_nodes.sh).
set -eu
nodes=$1 per_node=$2 threads=$3
shift 3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[[ $nodes -le ${DTENSOR_NODES:-0} ]] || {
  echo "mpirun_on_nodes.sh: $nodes virtual nodes wanted, there are ${DTENSOR_NODES:-0}" >&2
  exit 2
}
mpirun --version | grep -q 'Open MPI' || {
  echo "virtual nodes: mpirun is not Open MPI's" >&2
  exit 77
}
hosts=
for i in $(seq "$nodes"); do hosts+=,node$i:$per_node; done

export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export RES_OPTIONS="timeout:1 attempts:1 no-tld-query" LOCALDOMAIN= # nobody knows these nodes' names
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# Where ranks outnumber the cores, whoever waits lets the others run. (Elsewhere that would cost a system call in
# every MPI_Test of a computing rank.)
[[ $((nodes * per_node * threads)) -le $(nproc) ]] || export OMPI_MCA_mpi_yield_when_idle=1
export OMP_NUM_THREADS=$threads OMP_DYNAMIC=false OMP_WAIT_POLICY=passive
# The daemons stay attached: what on_node.sh starts must not return before they end.
exec mpirun --mca plm rsh --mca plm_rsh_agent "$here/on_node.sh" --mca plm_rsh_no_tree_spawn 1 \
  --mca orte_leave_session_attached 1 --mca pml ob1 --mca btl self,vader,tcp \
  --mca oob_tcp_if_include 10.77.0.0/24 --mca btl_tcp_if_include 10.77.0.0/24 \
  --bind-to none --host "${hosts#,}" -np $((nodes * per_node)) "$@"
