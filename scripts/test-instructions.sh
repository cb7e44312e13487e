#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-instructions.sh [--record]: how many instructions decoding and writing an entry takes, counted by valgrind, so that no
# noise hides what a change costs. Compared with benches/instructions.txt: more than 3 % in either direction must be deliberate,
# and then --record writes the file anew.
#
# Another compiler makes other code: with one that the file does not name the counts are printed and not compared.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
unset RUSTFLAGS
export CARGO_TERM_COLOR=never LC_ALL=C
baseline=benches/instructions.txt
# 200 entries of the table that the benchmarks use, as record.sh records them.
dump=benches/dump-6.18.bin
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/instructions
export CARGO_TARGET_DIR

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

cargo build --quiet --locked --release --manifest-path benches/rust/Cargo.toml --bin instructions
program=$CARGO_TARGET_DIR/release/instructions

# run WORK TIMES: sets $instructions, $entries and $sum.
run() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$program" "$1" "$2" "$dump" >"$work/out" 2>"$work/log" || {
		cat "$work/log" >&2
		exit 1
	}
	instructions=$(sed -n 's/.*Collected : //p' "$work/log")
	read -r entries sum <"$work/out"
}

# What begins and ends a program cancels out.
for kind in decode general line json; do
	run "$kind" 10
	few=$instructions few_entries=$entries few_sum=$sum
	run "$kind" 50
	if [ "$few_entries" -lt 100 ] || [ "$entries" -ne $((5 * few_entries)) ] || [ "$sum" -ne $((5 * few_sum)) ]; then
		echo "test-instructions: $kind: wrong entries: $few_entries $few_sum, $entries $sum" >&2
		exit 1
	fi
	printf '%s %d\n' "$kind" $(((instructions - few) / (entries - few_entries)))
done >"$work/found"

compiler=$(rustc --version | cut -d ' ' -f 2)-$(uname -m)
if [ "${1-}" = --record ]; then
	{
		echo '# Instructions for an entry of benches/dump-6.18.bin; scripts/test-instructions.sh compares, and says how to renew it.'
		echo "compiler $compiler"
		cat "$work/found"
	} >"$baseline"
fi

failed=0
compared=$(sed -n 's/^compiler //p' "$baseline")
while read -r kind count; do
	wanted=$(sed -n "s/^$kind //p" "$baseline")
	if [ "$compared" != "$compiler" ]; then
		printf 'counted %s: %d\n' "$kind" "$count"
	elif [ $((count * 100)) -gt $((wanted * 103)) ] || [ $((count * 100)) -lt $((wanted * 97)) ]; then
		printf 'FAILED  %s: %d instructions for an entry, and not %d; if that is meant: ./scripts/test-instructions.sh --record\n' \
			"$kind" "$count" "$wanted"
		failed=1
	else
		printf 'ok      %s: %d instructions for an entry (%d)\n' "$kind" "$count" "$wanted"
	fi
done <"$work/found"
[ "$compared" = "$compiler" ] || echo "not compared: $baseline is of $compared, and this is $compiler"
exit "$failed"
