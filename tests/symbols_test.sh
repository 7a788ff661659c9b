#!/bin/bash
# symbols_test.sh ARCHIVE
# A static archive hides nothing, so each of its global symbols carries one of our two prefixes.
set -eu
symbols=$(nm --defined-only --extern-only --format=posix "$1" | awk 'NF >= 3 { print $1 }')
if [[ -z $symbols ]]; then
  echo "no global symbols in $1: is it empty?" >&2
  exit 1
fi
if foreign=$(grep -Ev '^(dtensor_|dti_)' <<<"$symbols"); then
  echo "$1 defines global symbols that start with neither dtensor_ nor dti_:" >&2
  echo "$foreign" >&2
  exit 1
fi
if twice=$(sort <<<"$symbols" | uniq -d | grep .); then
  echo "$1 defines these more than once:" >&2
  echo "$twice" >&2
  exit 1
fi
# What it calls beside MPI, BLAS and the C library must be found nowhere but in itself.
if missing=$(comm -23 <(nm --undefined-only --format=posix "$1" | awk '$1 ~ /^(dtensor_|dti_)/ { print $1 }' | sort -u) <(sort -u <<<"$symbols") | grep .); then
  echo "$1 uses these of its own but does not define them:" >&2
  echo "$missing" >&2
  exit 1
fi
echo "$(wc -l <<<"$symbols") global symbols, all ours"
