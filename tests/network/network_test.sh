#!/bin/bash
# network_test.sh NETWORK VIRTUAL_NODES
# The network benchmark on two virtual nodes, small, with one rank on each and with two; and that nothing of the nodes is
# left, also when they are stopped.
set -eu
network=$PWD/$1 virtual_nodes=$PWD/$2
scripts=$(dirname "$virtual_nodes")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
  echo "FAILED: $*" >&2
  exit 1
}

mark=network_test_$$_$RANDOM # in the environment of everything that is started there
start() { exec env NETWORK_TEST="$mark" bash "$virtual_nodes" "$@"; }
processes() { grep -lsa "NETWORK_TEST=$mark" /proc/[0-9]*/environ || true; }
traces() {
  ip -o link | cut -d: -f2
  ip netns list
  cat /proc/self/mounts
}

# Who is not root is told so.
rc=0
if [[ $(id -u) == 0 ]]; then
  setpriv --reuid=65534 --clear-groups bash -s -- 2 100 true <"$virtual_nodes" 2>"$scratch/refused" || rc=$?
  [[ $rc == 77 ]] && grep -q 'need root' "$scratch/refused" || fail "without root: exit status $rc, $(cat "$scratch/refused")"
fi
rc=0
(start 0 100 true) 2>/dev/null || rc=$?
[[ $rc == 2 ]] || fail "no nodes at all: exit status $rc"

rc=0
(start 1 100 true) 2>"$scratch/refused" || rc=$?
if [[ $rc == 77 ]]; then
  echo "SKIPPED: $(cat "$scratch/refused")"
  exit 0
fi
[[ $rc == 0 ]] || fail "a network without work: exit status $rc, $(cat "$scratch/refused")"
(start 1 100 bash -c 'exit 42') || rc=$?
[[ $rc == 42 ]] || fail "the command's exit status 42 came out as $rc"

before=$(traces)
rc=0
(start 2 200 "$scripts/mpirun_on_nodes.sh" 2 1 1 "$network" --quick --csv "$scratch/rows.csv") >"$scratch/out" 2>&1 || rc=$?
if [[ $rc == 77 ]]; then
  echo "SKIPPED: $(tail -n 1 "$scratch/out")"
  exit 0
fi
[[ $rc == 0 ]] || fail "the benchmark: exit status $rc
$(cat "$scratch/out")"
grep -q 'WRONG RESULT' "$scratch/out" && fail "$(grep 'WRONG RESULT' "$scratch/out")"
for op in 'MPI ring exchange' 'bare sockets alone' 'overlapped' 'one after the other' 'matmul' 'its steps in turn'; do
  grep -q "^$op," "$scratch/rows.csv" || fail "no row '$op' in the CSV"
done
(start 2 200 "$scripts/mpirun_on_nodes.sh" 2 2 1 "$network" --quick --csv "$scratch/rows.csv") >"$scratch/out" 2>&1 ||
  fail "the benchmark with 2 ranks per node: $(cat "$scratch/out")"
grep -q 'WRONG RESULT' "$scratch/out" && fail "$(grep 'WRONG RESULT' "$scratch/out")"
for op in 'calibrated link' direct hierarchical 'as planned'; do
  grep -q "^$op," "$scratch/rows.csv" || fail "no row '$op' in the CSV"
done
[[ $(grep -v '^#' "$scratch/rows.csv" | sed 's/"[^"]*"//g' | awk -F, '{print NF}' | sort -u) == 17 ]] ||
  fail "the rows of the CSV have not 17 fields each"
[[ -z $(processes) ]] || fail "left behind after the benchmark: $(processes)"

# wait_for_start, wait_for_end: until the nodes' command runs, until nothing of it does.
wait_for_start() { until [[ -e $scratch/started ]]; do sleep 0.1; done; }
wait_for_end() {
  for _ in $(seq 600); do
    [[ -n $(processes) ]] || return 0
    sleep 0.1
  done
  fail "left behind after $1: $(processes)"
}
for signal in TERM KILL; do
  rm -f "$scratch/started"
  (start 2 200 bash -c 'touch "$0"; sleep 1000' "$scratch/started") &
  pid=$!
  wait_for_start
  kill -"$signal" "$pid"
  rc=0
  wait "$pid" || rc=$?
  [[ $signal == KILL || $rc == 130 ]] || fail "after $signal: exit status $rc"
  [[ $signal == KILL || -z $(processes) ]] || fail "left behind after $signal: $(processes)"
  wait_for_end "$signal"
done

[[ $(traces) == "$before" ]] || fail "interfaces, namespaces or mounts before: $before; after: $(traces)"
echo "passed"
