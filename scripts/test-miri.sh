#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-miri.sh [--sampled | TARGET]: the unit tests, those of the C boundary among them, and the codec's, run by Miri: an interpreter that sees
# undefined behaviour, for example a pointer that is used after another one made it invalid. The codec, with none of the other crates,
# is run for a machine with big-endian numbers and for one of 32 bits, too. TARGET: all of it for another machine, and nothing else.
# --sampled: the codec for one of these machines and this one, which SEED draws (the time, if it is not given). Installs its toolchain by
# rustup if that is missing.
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

if ! cargo "+$nightly" miri --version >/dev/null 2>&1; then
	rustup -q toolchain install "$nightly" --profile minimal --component miri --component rust-src --no-self-update >&2
fi

# run NAME AT-LEAST TESTS -- FILTERS...: of the tests, of which at least so many must have been run.
run() {
	name=${target:+$target: }$1
	least=$2
	shift 2
	succeeds "$name" cargo "+$nightly" miri test --locked ${target:+--target "$target"} "$@" || return 0
	enough "$name" "$least"
}

sampled=
if [ "${1-}" = --sampled ]; then
	sampled=${SEED:-$(date +%s)}
	shift
fi
target=${1-}
run 'unit tests' 60 --workspace --exclude ctnetlink --lib -- --skip index::tests --skip two_roles_of_a_dead_pod --skip results_are_left_alone \
	--skip every_call_succeeds --skip every_errno_has_a_text --skip text_follows_the_rules --skip single_entries_and_results
codec=$(./scripts/codec-alone.sh "$work")
others='s390x-unknown-linux-gnu i686-unknown-linux-gnu'
[ $# -eq 0 ] || others=
# shellcheck disable=SC2086 # a list
set -- "$target" $others
if [ "$sampled" ]; then
	shift $((sampled % $#))
	echo "SEED=$sampled draws the machine: ${1:-this one}"
	set -- "$1"
fi
for target; do
	run 'unit tests of the codec alone' 5 --manifest-path "$codec/Cargo.toml" --lib
	# Those that do not read all of the captured table.
	run 'codec alone' 6 --manifest-path "$codec/Cargo.toml" --test codec -- every_attribute_of_an_entry zones_of_one_direction_are \
		what_this_kernel_cannot labels_are_numbered headers_and_filter_flags a_last_attribute what_an_entry_cannot_do fields_that_are_not \
		nat_is_sent
done
finish
