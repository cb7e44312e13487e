#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-cross.sh [TARGET...]: the tests that need no kernel, built for other machines and run by qemu: 64 and 32 bits, little
# and big endian. Each target must also build the library that is installed. i686 is only checked.
#
# qemu-user knows no netfilter sockets, so the few tests that open one are left out. The targets need rustup.

set -eu
cd "$(dirname "$0")/.."
./scripts/setup.sh cross
. ./scripts/path.sh
unset RUSTFLAGS
export CARGO_TERM_COLOR=never
# An emulated processor takes its time.
export CTRACK_FUZZ_INPUTS=1000
# Debug checks stay on; without optimizing, an emulated processor takes minutes.
export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/cross"
export CARGO_TARGET_DIR

. ./scripts/checks.sh

# enough NAME COUNT: that many tests were run.
enough() {
	passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$work/log")
	if [ "${passed:-0}" -ge "$2" ]; then
		ok "$1: enough were run ($passed)"
	else
		failed "$1: enough were run (${passed:-none})"
	fi
}

# These open a netlink socket, or run themselves again as a program.
sockets='misaligned_single_pointers_are_refused null_is_fine_where_the_manual_says_so
	open_options_of_any_size_are_read_up_to_their_end open_options_that_make_no_sense_are_refused
	the_size_of_open_options_is_checked_before_anything_else'

# try TARGET GNU-NAME QEMU
try() {
	succeeds "$1: the target is installed" rustup -q target add "$1" || return 0
	variable=CARGO_TARGET_$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')
	export "${variable}_LINKER=$2-gcc" "${variable}_RUNNER=$3 -L /usr/$2"
	succeeds "$1: tests are built" cargo test --locked --target "$1" --lib --test codec --no-run || return 0
	skip=
	for name in $sockets; do
		skip="$skip --skip $name"
	done
	# shellcheck disable=SC2086 # a list of options
	succeeds "$1: unit tests" cargo test --locked --target "$1" --lib -- $skip || :
	enough "$1: unit tests" 40
	succeeds "$1: codec" cargo test --locked --target "$1" --test codec || :
	enough "$1: codec" 30
}

[ $# -gt 0 ] || set -- aarch64 armv7 s390x i686
for machine; do
	case $machine in
		aarch64) try aarch64-unknown-linux-gnu aarch64-linux-gnu qemu-aarch64 ;;
		armv7) try armv7-unknown-linux-gnueabihf arm-linux-gnueabihf qemu-arm ;;
		# The one with big-endian numbers.
		s390x) try s390x-unknown-linux-gnu s390x-linux-gnu qemu-s390x ;;
		i686)
			if succeeds 'i686: the target is installed' rustup -q target add i686-unknown-linux-gnu; then
				succeeds 'i686: everything but benchmarks is checked' \
					cargo check --locked --target i686-unknown-linux-gnu --lib --tests --examples || :
			fi
			;;
		*)
			echo 'usage: test-cross.sh [aarch64] [armv7] [s390x] [i686]' >&2
			exit 2
			;;
	esac
done

finish
