#!/bin/bash
# report_test.sh REPORT CHECK RESULTS
# A small results.csv becomes a page; what is not there is a dash, and what is malformed is an error.
set -eu
report=$1 check=$2 results=$3
folder=${TEST_TMPDIR:-$(mktemp -d)}
python3 "$report" "$results" "$folder/results.html"
python3 "$check" "$results" "$folder/results.html" 2

grep -v '^#' "$results" | head -n 1 >"$folder/empty.csv" # no measurements
python3 "$report" "$folder/empty.csv" "$folder/empty.html"
grep -q 'no measurements' "$folder/empty.html"

echo 'not,what,it,writes' >"$folder/wrong.csv"
if python3 "$report" "$folder/wrong.csv" "$folder/wrong.html" 2>/dev/null; then
  echo "a file with other columns was accepted" >&2
  exit 1
fi
