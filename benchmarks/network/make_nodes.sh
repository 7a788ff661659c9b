#!/bin/bash
# make_nodes.sh NODES MBIT COMMAND [ARG...]: the inner half of virtual_nodes.sh, first process of its namespaces.
set -eu
nodes=$1 mbit=$2
shift 2
trap 'exit 130' TERM

mount -t tmpfs none /run # where ip keeps the names of network namespaces
mount -t tmpfs none /dev/shm
hostname switch
ip link set lo up
ip link add bridge0 type bridge
ip addr add 10.77.0.254/24 dev bridge0
ip link set bridge0 mtu 9000 up
for i in $(seq "$nodes"); do
  ip netns add "node$i"
  ip link add "port$i" type veth peer name eth0 netns "node$i"
  ip link set "port$i" mtu 9000 master bridge0 up
  ip -n "node$i" addr add "10.77.0.$i/24" dev eth0
  ip -n "node$i" link set eth0 mtu 9000 up
  ip -n "node$i" link set lo up
  # What a cluster's nodes run, if this kernel has it, whatever this machine prefers for the internet.
  ip -n "node$i" route change 10.77.0.0/24 dev eth0 proto kernel scope link src "10.77.0.$i" congctl cubic 2>/dev/null ||
    true
  # Out of the node, and into it. The burst holds two of the largest packets.
  tc -n "node$i" qdisc add dev eth0 root tbf rate "${mbit}mbit" burst 128kb latency 20ms
  tc qdisc add dev "port$i" root tbf rate "${mbit}mbit" burst 128kb latency 20ms
done

export DTENSOR_NODES=$nodes DTENSOR_MBIT=$mbit TMPDIR=/dev/shm
"$@" &
wait "$!" # as a trap waits for what runs in the foreground
