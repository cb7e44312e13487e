#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-miri.sh [TARGET]: the unit tests, those of the C boundary among them, and the codec's, run by Miri: an interpreter that sees
# undefined behaviour, for example a pointer that is used after another one made it invalid. TARGET may be another machine, for
# example s390x-unknown-linux-gnu, which has big-endian numbers. Installs its toolchain by rustup if that is missing.
#
# Miri is some thousand times slower than the processor, and knows no sockets. What it cannot run is marked in the tests, loops are
# shorter there, and what is long and has no unsafe code below it is left out here.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
. ./scripts/checks.sh
unset RUSTFLAGS
export MIRIFLAGS=-Zmiri-permissive-provenance
export CARGO_TERM_COLOR=never
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri-tests"
export CARGO_TARGET_DIR

# Dated, so that it does not break by itself. Must not be older than rust-version in Cargo.toml.
toolchain=nightly-2026-05-20

if ! cargo "+$toolchain" miri --version >/dev/null 2>&1; then
	rustup -q toolchain install "$toolchain" --profile minimal --component miri --component rust-src --no-self-update >&2
fi

# run NAME AT-LEAST TESTS... -- LEFT-OUT...: tests, of which at least so many must have been run.
run() {
	name=$1
	least=$2
	shift 2
	tests=
	while [ "$1" != -- ]; do
		tests="$tests $1"
		shift
	done
	shift
	skip=
	for test; do
		skip="$skip --skip $test"
	done
	# shellcheck disable=SC2086 # lists of words
	succeeds "$name" cargo "+$toolchain" miri test --locked ${target:+--target "$target"} $tests -- $skip || return 0
	passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$work/log")
	if [ "${passed:-0}" -ge "$least" ]; then
		ok "$name: enough were run ($passed)"
	else
		failed "$name: enough were run (${passed:-none})"
	fi
}

target=${1-}
run 'unit tests' 60 --lib -- index::tests two_roles_of_a_dead_pod results_are_left_alone every_call_succeeds
run 'codec' 20 --test codec -- mutated_entries the_layout more_layouts without_any_structure any_byte any_length cut_off \
	the_order_of_attributes of_a_wrong_length no_attributes decodes_to_that_entry fuzzing_kept
finish
