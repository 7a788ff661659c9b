#!/bin/bash
# purify_test.sh MPI_ENV MPI_LAUNCH PURIFY C60 CHECK_REPORT
# The demo, as users run it: right energies on any number of ranks, a sound report, and one clear
# message with exit code 2 for each bad input.
set -u
mpi_env=$1 launch=$2 purify=$3 c60=$4 check_report=$5
work=${TEST_TMPDIR:-$(mktemp -d)}
report=$work/report.html
failures=0

fail() {
  echo "FAILED: $*" >&2
  sed 's/^/  | /' "$work/out" "$work/err" >&2
  failures=$((failures + 1))
}

# run RANKS EXIT_CODE ARG...: output goes to $work/out and $work/err
run() {
  local ranks=$1 want=$2
  shift 2
  timeout 120 "$launch" "$mpi_env" "$ranks" 1 "$purify" --report "$report" "$@" >"$work/out" 2>"$work/err"
  local code=$?
  [[ $code == "$want" ]] || fail "$ranks ranks, $*: exit code $code, not $want"
}

# The energy and the one of LAPACK must be what is known.
expect_energy() {
  local want=$1 tolerance=$2
  awk -v want="$want" -v tolerance="$tolerance" '
    /^pi energy/ { energy = $3; seen++ }
    /^LAPACK/    { reference = $2; seen++ }
    function far(a) { return a - want > tolerance || want - a > tolerance }
    END { exit seen != 2 || far(energy) || far(reference) }' "$work/out" || fail "the energy is not $want"
}

expect_message() { # says it once
  [[ $(grep -c "^purify: .*$1" "$work/err") == 1 ]] || fail "no message, or several: $1"
}

for ranks in 1 2 3 4; do
  rm -f "$report"
  run "$ranks" 0 "$c60"
  expect_energy 93.161604 1e-6
  python3 "$check_report" "$report" || fail "the report on $ranks ranks"
done
run 3 0 # the default molecule, found from where the test runs
expect_energy 93.161604 1e-6
run 4 0 --mesh 4x1 "$c60"
expect_energy 93.161604 1e-6
run 4 0 --mesh=1x4 --charge -6 "$c60" # the triple level above the gap filled
grep -q '66 pi electrons' "$work/out" || fail "the charge is not heeded"

# Benzene: 2 x 2 + 4 x 1, and more ranks than some dimensions of the mesh have rows for.
run 3 0 --flake 1 --mesh 1x3
expect_energy 8 1e-9
run 2 0 --flake 3 # 114 atoms
grep -q '114 carbon atoms' "$work/out" || fail "flake 3 has not 114 atoms"
python3 "$check_report" "$report" || fail "the report of a flake"
run 2 0 --no-reference --flake 2
! grep -q LAPACK "$work/out" || fail "there is a reference nobody asked for"

# Hydrogen is left out; DOS line ends and further columns do no harm.
printf '4\r\nethene\r\nC 0 0 0 extra\r\n C 1.34 0 0\r\nH -0.5 0.9 0\r\nHe 9 9 9\r\n\r\n' >"$work/ethene.xyz"
run 2 0 "$work/ethene.xyz"
expect_energy 2 1e-9

# No gap: cyclobutadiene has two electrons in two orbitals of the same energy.
printf '4\n<cyclo&butadiene>\nC 0 0 0\nC 1.4 0 0\nC 1.4 1.4 0\nC 0 1.4 0\n' >"$work/square.xyz"
run 2 1 "$work/square.xyz"
expect_message 'no convergence'
python3 "$check_report" "$report" || fail "the report without convergence"
run 2 1 --max-iterations 3 "$c60"
expect_message 'no convergence in 3 iterations'

bad() { # bad MESSAGE ARG...: on 3 ranks
  local message=$1
  shift
  run 3 2 "$@"
  expect_message "$message"
}
xyz() { # xyz TEXT: a file of it
  printf -- "$1" >"$work/bad.xyz"
  echo "$work/bad.xyz"
}
bad 'cannot open .*No such file' "$work/absent.xyz"
bad 'empty or cannot be read' "$work"
bad 'empty or cannot be read' "$(xyz '')"
bad 'comment line is missing' "$(xyz '2\n')"
bad ':1: the first line must be the number' "$(xyz 'C60\n\nC 0 0 0\n')"
bad ':1: the first line must be the number' "$(xyz '-2\n\nC 0 0 0\n')"
bad 'says 2 atoms, the file ends after 1' "$(xyz '2\n\nC 0 0 0\n')"
bad ':4: more lines than' "$(xyz '1\n\nC 0 0 0\nC 1.4 0 0\n')"
bad ':3: a coordinate is not a number' "$(xyz '1\n\nC 0 0x 0\n')"
bad ':3: three coordinates' "$(xyz '1\n\nC 0 0\n')"
bad ':3: an element symbol' "$(xyz '1\n\n0 0 0\n')"
bad ':4: a coordinate is not a finite' "$(xyz '2\n\nC 0 0 0\nC nan 0 0\n')"
bad ':4: a coordinate is not a finite' "$(xyz '2\n\nC 0 0 0\nC 0 inf 0\n')"
bad 'on top of each other' "$(xyz '2\n\nC 0 0 0\nC 0 0 0.01\n')"
bad 'no carbon atoms' "$(xyz '2\n\nH 0 0 0\nO 0 0 1\n')"
bad 'odd number of pi electrons' "$(xyz '3\n\nC 0 0 0\nC 1.4 0 0\nC 2.8 0 0\n')"
bad 'are bonded' "$(xyz '2\n\nC 0 0 0\nC 9 0 0\n')"
bad 'none would be occupied' --charge 60 "$c60"
bad 'needs 4 ranks, there are 3' --mesh 2x2
bad '[-][-]mesh wants' --mesh 3
bad '[-][-]flake wants' --flake 0
bad '[-][-]flake wants' --flake
bad '[-][-]tolerance wants' --tolerance nan
bad 'unknown option' --frobnicate
bad 'either a molecule' --flake 2 "$c60"
bad 'two molecules' "$c60" "$c60"
bad 'cannot write the report' --report "$work/absent/report.html"

# Options are read before anything else, and --help is no error.
run 2 0 --help
grep -q '^Usage: purify' "$work/out" || fail "no help"

[[ $failures == 0 ]] && echo "all passed"
exit $((failures != 0))
