#!/bin/bash
# virtual_nodes.sh NODES MBIT COMMAND [ARG...]
# Runs COMMAND beside a network of NODES virtual machines on this one, each with a link of MBIT megabit per second
# in both directions. COMMAND starts ranks on them with mpirun_on_nodes.sh. Needs root; exits with 77 if it cannot.
#
# Everything lives in namespaces of its own: network, mounts, process ids. The kernel takes all of it down with the
# first process in there, so nothing can be left behind, however this ends, and two of these do not meet.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

refuse() {
  echo "virtual nodes: $*" >&2
  exit 77
}

[[ $# -ge 3 && $1 =~ ^[1-9][0-9]?$ && $2 =~ ^[1-9][0-9]*$ ]] || {
  echo "usage: virtual_nodes.sh NODES MBIT COMMAND [ARG...]   (NODES from 1 to 99)" >&2
  exit 2
}
[[ $(id -u) == 0 ]] || refuse "need root, to make network namespaces; try with sudo"
for tool in ip tc nsenter unshare setpriv mpirun; do
  command -v "$tool" >/dev/null || refuse "no '$tool' here (Debian: iproute2, util-linux, openmpi-bin)"
done
world=(unshare --net --mount --uts --ipc --pid --fork --kill-child --mount-proc)
"${world[@]}" true 2>/dev/null || refuse "this system does not permit namespaces"

# Should this shell be killed, so is unshare, and by it the first process of the namespaces.
setpriv --pdeathsig KILL "${world[@]}" bash "$here/make_nodes.sh" "$@" </dev/null &
unshare=$!
# unshare itself lets no signal in, and ends when the kernel has ended all processes in there.
trap 'kill -TERM $(cat "/proc/$unshare/task/$unshare/children") 2>/dev/null' TERM INT HUP
while :; do
  wait "$unshare"
  rc=$?
  kill -0 "$unshare" 2>/dev/null || exit "$rc"
done
