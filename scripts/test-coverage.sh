#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-coverage.sh [--record]: which lines of each source file of all crates the tests execute that need neither a kernel nor qemu (the
# unit tests, codec, scripted, text, fields, conditions, and what the fuzz targets do with random inputs), and whether it is less than
# tests/coverage/floors.txt says. --record writes that file.
#
# Honours CARGO, CARGOFLAGS and CARGO_TARGET_DIR.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
./scripts/setup.sh coverage
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# tool NAME: as it came with this compiler, or that of the same LLVM.
tool() {
	own=$(find "$(rustc --print sysroot)/lib/rustlib" -name "$1" -path '*/bin/*' | head -n 1)
	major=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
	echo "${own:-$1-$major}"
}

CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/coverage
RUSTFLAGS="${RUSTFLAGS:-} -C instrument-coverage"
CARGO_PROFILE_DEV_DEBUG=0
LLVM_PROFILE_FILE=$work/%m-%p.profraw
export CARGO_TARGET_DIR RUSTFLAGS CARGO_PROFILE_DEV_DEBUG LLVM_PROFILE_FILE
# shellcheck disable=SC2086 # words
"${CARGO:-cargo}" test ${CARGOFLAGS---locked} --no-run --workspace --lib --test codec --test scripted --test text --test fields --test conditions 2>"$work/log" || {
	cat "$work/log"
	exit 1
}
# What fuzzing does comes last: of a function of C, whose name is the same in all of them, llvm-cov keeps what the first program has.
sed -n 's/.*(\(.*\/deps\/[^)]*\)).*/\1/p' "$work/log" >"$work/all"
{ grep -v /fuzz_bodies- "$work/all" && grep /fuzz_bodies- "$work/all"; } >"$work/programs"
objects=
while read -r program; do
	# The floods take 10 seconds and reach nothing that the others do not.
	"$program" --skip flood >"$work/log" 2>&1 || {
		cat "$work/log"
		exit 1
	}
	objects="$objects -object $program"
done <"$work/programs"
"$(tool llvm-profdata)" merge -sparse -o "$work/profile" "$work"/*.profraw
# shellcheck disable=SC2086 # words
"$(tool llvm-cov)" export -format=lcov -instr-profile "$work/profile" $objects >"$work/lcov"
python3 tests/coverage/check.py "$work/lcov" tests/coverage/floors.txt ${1:+"$1"}
