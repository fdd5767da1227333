#!/bin/sh
# Checks lease.pml exhaustively, and that each of its mutants has a counterexample.
#
#   check.sh            what make test runs
#   check.sh -full      larger bounds too: some minutes
#   check.sh -trace M   the shortest counterexample of mutant M, step by step
set -eu
cd "$(dirname "$0")"

missing=
for tool in spin:spin cc:gcc; do
	command -v "${tool%%:*}" >/dev/null 2>&1 || missing="$missing ${tool##*:}"
done
[ -z "$missing" ] || { echo "model: missing; install the Debian packages:$missing" >&2; exit 1; }

model=$PWD/lease.pml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# verify NAME CFLAGS DEFINES...: the verifier's report into $work/NAME/report.
# Full states are stored: nothing is hashed away, so a search that ends without
# an error has seen every state. 4 GiB and 10 minutes are the limits.
verify() {
	name=$1 cflags=$2
	shift 2
	mkdir "$work/$name"
	(
		cd "$work/$name"
		spin -a "$@" "$model" >spin.out 2>&1 || { cat spin.out; exit 1; }
		cc -DSAFETY -DMEMLIM=4096 $cflags -o pan pan.c
		timeout 600 ./pan -E -m1000000 -w24 || [ $? != 124 ] || echo "out of time"
	) >"$work/$name/report" 2>&1
}

# field PATTERN FILE: the first number of the first line that matches.
field() { sed -n "s/^ *\([0-9.e+]*\)[[:space:]]$1.*/\1/p" "$2" | head -n 1; }


row() { printf '%-16s %-28s %12s %8s %9s\n' "$@"; }

failed=0
model() {
	name=$1
	shift
	verify "$name" -O2 "$@" || true
	report=$work/$name/report
	result='no two holders'
	if ! grep -q 'errors: 0' "$report" || grep -Eq 'depth too small|out of memory|out of time|Search not completed' "$report"; then
		result='FAILED' failed=1
		grep -E 'error|violated|memory|out of time|Search not' "$report" | head -n 5 >&2
	fi
	row "$name" "$result" "$(field 'states, stored' "$report")" \
		"$(sed -n 's/.*elapsed time \([0-9.]*\).*/\1/p' "$report")" "$(field 'total actual memory' "$report")"
}

# mutant NAME DEFINES...: breadth first, so that the counterexample is a shortest one.
mutant() {
	name=$1
	shift
	verify "$name" -DBFS "-D$name" "$@" || true
	report=$work/$name/report
	result="two holders in $(sed -n 's/.*assertion violated.*(at depth \([0-9]*\)).*/\1/p' "$report") steps"
	if ! grep -q 'assertion violated' "$report"; then
		result='FAILED: not found' failed=1
		tail -n 5 "$report" >&2
	fi
	row "$name" "$result" "$(field 'states, stored' "$report")" \
		"$(sed -n 's/.*elapsed time \([0-9.]*\).*/\1/p' "$report")" "$(field 'total actual memory' "$report")"
}

# The bounds within which each mutant shows.
mutants() {
	"$1" NO_BALLOT      -DSENDS0=3 -DSENDS1=1
	"$1" NO_SEQUENCE    -DSENDS0=3 -DSENDS1=1
	"$1" NO_LIFE        -DSENDS0=2 -DSENDS1=1 -DDEATHS=1
	"$1" NO_MARGIN      -DSENDS0=1 -DSENDS1=1
	"$1" LATE_CLOCK     -DSENDS0=1 -DSENDS1=1 -DLEASES
	"$1" MIXED          -DSENDS0=2 -DSENDS1=1 -DLEASES
	"$1" OWN_LEASE      -DSENDS0=1 -DSENDS1=1 -DLEASES
	"$1" SHRINK         -DSENDS0=2 -DSENDS1=1 -DLEASES
	"$1" NO_QUARANTINE  -DSENDS0=1 -DSENDS1=1
	"$1" OWN_QUARANTINE -DSENDS0=2 -DSENDS1=1 -DLEASES
	"$1" KEPT_SHORT     -DSENDS0=1 -DSENDS1=1
	"$1" RELEASE_FIRST  -DSENDS0=2 -DSENDS1=1
	"$1" RELATIVE       -DSENDS0=1 -DSENDS1=1
	"$1" UNREAPED       -DSENDS0=2 -DSENDS1=1 -DDEATHS=1
}

trace() { # NAME DEFINES...: prints the counterexample when NAME is the one wanted
	[ "$1" = "$wanted" ] || return 0
	name=$1
	shift
	verify "$name" -DBFS "-D$name" "$@" || true
	cd "$work/$name"
	cp "$model" .
	touch -r lease.pml lease.pml.trail
	spin -t "-D$name" "$@" lease.pml | sed -n '/^spin: text/q; s/^ *//p'
	found=yes
}

case ${1-} in
-trace)
	wanted=${2:?the name of a mutant} found=
	mutants trace
	[ -n "$found" ] || { echo "model: no mutant $wanted; see the list in check.sh" >&2; exit 1; }
	exit 0 ;;
''|-full) ;;
*) echo "usage: check.sh [-full | -trace MUTANT]" >&2; exit 2 ;;
esac

row model result states seconds MB
{ mutants mutant; exit $failed; } >"$work/mutants" 2>&1 &
beside=$! # one core for the mutants, one for the model
model handover -DSENDS0=3 -DSENDS1=2 -DHANDOVERS
model death    -DSENDS0=2 -DSENDS1=2 -DDEATHS=1
model leases   -DSENDS0=2 -DSENDS1=1 -DLEASES
if [ "${1-}" = -full ]; then
	model handover-3-3 -DSENDS0=3 -DSENDS1=3 -DHANDOVERS
	model leases-2-2   -DSENDS0=2 -DSENDS1=2 -DLEASES
	model leases-death -DSENDS0=2 -DSENDS1=1 -DLEASES -DDEATHS=1
fi
wait $beside || failed=1
cat "$work/mutants"
exit $failed
