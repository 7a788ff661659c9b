#!/bin/bash
# on_node.sh NODE COMMAND-LINE...: stands in for ssh in Open MPI's launcher.
# A node has its own network, host name, processes, System V memory and /dev/shm: no rank can reach another node's
# memory, and MPI_Comm_split_type(MPI_COMM_TYPE_SHARED) finds a node's ranks and no more.
node=$1
shift
exec nsenter --net="/run/netns/$node" unshare --uts --ipc --mount --pid --fork --kill-child --mount-proc bash -c '
  hostname "$0" && mount -t tmpfs none /dev/shm && eval "$*"' "$node" "$@"
