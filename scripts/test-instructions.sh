#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-instructions.sh [--record]: how many instructions an entry takes, counted by valgrind, so that no noise hides what a
# change costs: decoding and writing in Rust, built as the library is (decode, general, line, json); in a program of cargo's default
# profile that uses the crate ctnetlink alone (codec-*); the functions of the shared library that `make` builds, on real entries in a
# network namespace of their own, and on their events (c-*); and the same in a Rust program of the default profile that uses the crate
# ctrack (rust-*).
# Compared with benches/instructions.txt: more than 3 % in either direction must be deliberate, and then --record writes the file anew.
#
# Another compiler makes other code, and another kernel other messages: with those that the file does not name the counts are
# printed and not compared. A machine without namespaces skips c-* and rust-*; with CTRACK_REQUIRE_NETNS=1 it fails.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
unset RUSTFLAGS
export CARGO_TERM_COLOR=never LC_ALL=C
baseline=benches/instructions.txt
# 200 entries of the table that the benchmarks use, as record.sh records them.
dump=benches/dump-6.18.bin
make -s all
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/instructions
export CARGO_TARGET_DIR

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

cargo build --quiet --locked --release --manifest-path benches/rust/Cargo.toml --bin instructions
cargo build --quiet --locked --profile plain --manifest-path benches/rust/Cargo.toml --bin codec --bin plain

# run PROGRAM WORK TIMES: sets $instructions, $entries and $sum.
run() {
	valgrind --tool=callgrind --callgrind-out-file=/dev/null "$CARGO_TARGET_DIR/$1" "$2" "$3" "$dump" >"$work/out" 2>"$work/log" || {
		cat "$work/log" >&2
		exit 1
	}
	instructions=$(sed -n 's/.*Collected : //p' "$work/log")
	read -r entries sum <"$work/out"
}

# What begins and ends a program cancels out.
for kind in decode general line json codec-decode codec-general codec-encode; do
	case $kind in
	codec-*) program=plain/codec ;;
	*) program=release/instructions ;;
	esac
	run "$program" "${kind#codec-}" 10
	few=$instructions few_entries=$entries few_sum=$sum
	run "$program" "${kind#codec-}" 50
	if [ "$few_entries" -lt 100 ] || [ "$entries" -ne $((5 * few_entries)) ] || [ "$sum" -ne $((5 * few_sum)) ]; then
		echo "test-instructions: $kind: wrong entries: $few_entries $few_sum, $entries $sum" >&2
		exit 1
	fi
	printf '%s %d\n' "$kind" $(((instructions - few) / (entries - few_entries)))
done >"$work/found"

# run_measured PROGRAM WORK FUNCTION COUNT: sets $instructions, those of FUNCTION and of what it calls.
run_measured() {
	$alone valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="$3" \
		"$1" "$2" "$4" >"$work/out" 2>"$work/log" || {
		cat "$work/log" >&2
		exit 1
	}
	instructions=$(sed -n 's/.*Collected : //p' "$work/log")
	read -r entries <"$work/out"
	if [ "$entries" -ne "$4" ] || [ "$instructions" -lt $((100 * $4)) ]; then
		echo "test-instructions: $1 $2: $4 entries, and not $entries in $instructions instructions" >&2
		exit 1
	fi
}

# measure NAME PROGRAM WORK FUNCTION
measure() {
	run_measured "$2" "$3" "$4" 1000
	few=$instructions
	run_measured "$2" "$3" "$4" 4000
	printf '%s %d\n' "$1" $(((instructions - few) / 3000))
}

alone='unshare -n'
[ "$(id -u)" -eq 0 ] || alone='unshare -Urn'
if $alone true 2>"$work/log"; then
	${CC:-cc} -O2 -Wall -Wextra -Werror -Iinclude benches/instructions.c -o "$work/instructions" \
		-Lbuild -lctrack -Wl,-rpath,"$PWD/build"
	for pair in create:ct_create_entries stream:ct_dump_next list:ct_list line:ct_entry_format json:ct_entry_format \
		delete:ct_delete_entries event:ct_watch_next known:ct_watch_next; do
		measure "c-${pair%:*}" "$work/instructions" "${pair%:*}" "${pair#*:}"
	done >>"$work/found"
	for kind in create stream list line json delete event; do
		measure "rust-$kind" "$CARGO_TARGET_DIR/plain/plain" "$kind" '*plain*measured*'
	done >>"$work/found"
elif [ "${CTRACK_REQUIRE_NETNS:-}" = 1 ] || [ "${1-}" = --record ]; then
	echo "test-instructions: no network namespace: $(cat "$work/log")" >&2
	exit 1
else
	echo "skipped c-* and rust-*: no network namespace: $(cat "$work/log")"
fi

kernel=$(uname -r | cut -d . -f 1,2)
compiler=$(rustc --version | cut -d ' ' -f 2)-$(uname -m)
if [ "${1-}" = --record ]; then
	{
		echo '# Instructions for an entry of benches/dump-6.18.bin, or (c-*, rust-*) of a real table; scripts/test-instructions.sh renews it.'
		echo "compiler $compiler"
		echo "kernel $kernel"
		cat "$work/found"
	} >"$baseline"
fi

failed=0
compared=$(sed -n 's/^compiler //p' "$baseline")
compared_kernel=$(sed -n 's/^kernel //p' "$baseline")
while read -r kind count; do
	wanted=$(sed -n "s/^$kind //p" "$baseline")
	case $kind in
	c-* | rust-*) same=$compared/$compared_kernel is=$compiler/$kernel ;;
	*) same=$compared is=$compiler ;;
	esac
	if [ "$same" != "$is" ]; then
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
[ "$compared_kernel" = "$kernel" ] || echo "c-* and rust-* not compared: $baseline is of Linux $compared_kernel, and this is $kernel"
exit "$failed"
