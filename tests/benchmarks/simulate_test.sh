#!/bin/bash
# simulate_test.sh SIMULATE MACHINE...
# Every row of the simulator is a number that can be, on each machine, and plans grow as peers do.
set -eu
simulate=$1
shift
folder=${TEST_TMPDIR:-$(mktemp -d)}
for machine in "$@"; do
  "$simulate" "$machine" >"$folder/rows.txt"
  awk -v machine="$machine" '
    function wrong(what) { print machine ": " what ": " $0; failed = 1 }
    /nan|inf/ { wrong("no number") }
    # name mesh engine steps messages received least arrays beside us peers ms KiB, from the right
    /->/ {
      rows++
      if ($(NF-7) < $(NF-6) - 0.001) wrong("less than the least")
      if ($(NF-7) > 3.001 * $(NF-6)) wrong("more than three times the least")
      if ($(NF-5) <= 0 || $(NF-3) <= 0 || $(NF-2) < 1) wrong("arrays, time or peers of nothing")
    }
    # size mesh splits steps received grid least arrays beside compute messages predicted ms
    /\^3/ {
      products++
      if ($(NF-6) > $(NF-8) + 0.001 || $(NF-6) > $(NF-7) + 0.001) wrong("less than the least")
      if ($(NF-4) > 1073.742) wrong("more memory than was allowed")
      if ($(NF-1) < $(NF-3) || $(NF-1) < $(NF-2)) wrong("faster than its parts")
    }
    /^Growth/ { growth = $0; sub(/.*more than /, "", growth); kib = growth + 0 }
    END {
      if (rows != 30 || products != 6) { print machine ": " rows + 0 " and " products + 0 " rows"; failed = 1 }
      if (kib <= 0 || kib > 8) { print machine ": " kib " KiB of plan per peer"; failed = 1 }
      exit failed
    }' "$folder/rows.txt"
done
# A file that is wrong is said to be so.
echo 'latency 1 parsec' >"$folder/bad.txt"
if "$simulate" "$folder/bad.txt" >/dev/null 2>"$folder/message" || ! grep -q 'bad.txt, line 1' "$folder/message"; then
  echo "a bad file: $(cat "$folder/message")"
  exit 1
fi
