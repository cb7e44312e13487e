#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-cross.sh [--sampled | MACHINE...]: the library for other machines. --sampled: of the first two of them that one which SEED draws (the
# time, if it is not given), and all others.
#
# aarch64, armv7, s390x: the tests that need no kernel, run by qemu: 64 and 32 bits, little and big endian. Then `make` for that
#     machine, `make install`, and a C program with what was installed; for aarch64 and s390x also Go, for s390x also Python.
#     aarch64: every way to name a target to `make`, too (scripts/tests/test_build.py).
# i686: the tests of the kernel, Rust's and the C examples, on this very kernel, which must run 32-bit programs.
# bare: the codec is built for a machine without an operating system.
#
# The codec is taken out of its package each time (scripts/codec-alone.sh), with none of the other crates.
#
# qemu-user knows no netfilter sockets, so the few tests that open one are left out there. The targets need rustup, Python for
# s390x a Debian.

set -eu
cd "$(dirname "$0")/.."
./scripts/setup.sh build go cross
. ./scripts/path.sh
unset RUSTFLAGS MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PREFIX LIBDIR INCLUDEDIR MANDIR CC CFLAGS LDFLAGS CARGOFLAGS CARGO_BUILD_TARGET
unset PKG_CONFIG_PATH CPATH C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_PRELOAD
export CARGO_TERM_COLOR=never
# An emulated processor takes its time.
export CTRACK_FUZZ_INPUTS=1000
# Debug checks stay on; without optimizing, an emulated processor takes minutes.
export CARGO_PROFILE_DEV_OPT_LEVEL=1 CARGO_PROFILE_DEV_DEBUG=0
CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/cross"
export CARGO_TARGET_DIR

. ./scripts/checks.sh

codec=$(./scripts/codec-alone.sh "$work")
# codec_alone TARGET [VARIABLE=VALUE...]: its tests.
codec_alone() {
	machine_of_codec=$1
	shift
	succeeds "$machine_of_codec: the codec alone" env "$@" cargo test --locked --manifest-path "$codec/Cargo.toml" \
		--target "$machine_of_codec" --lib --test codec || :
	enough "$machine_of_codec: the codec alone" 30
}

# These open a netlink socket, or run themselves again as a program.
sockets='misaligned_single_pointers_are_refused null_is_fine_where_the_manual_says_so
	open_options_of_any_size_are_read_up_to_their_end open_options_that_make_no_sense_are_refused
	the_size_of_open_options_is_checked_before_anything_else the_kernel_takes_the_programs
	a_watch_in_use_is_busy_but_for_what_any_thread_may_call null_for_what_a_watch_is_to_fill_is_refused_by_name
	the_size_of_what_a_watch_takes_is_checked_before_anything_else'

# try TARGET GNU-NAME QEMU
try() {
	succeeds "$1: the target is installed" rustup -q target add "$1" || return 0
	variable=CARGO_TARGET_$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')
	export "${variable}_LINKER=$2-gcc" "${variable}_RUNNER=$3 -L /usr/$2"
	succeeds "$1: tests are built" cargo test --locked --target "$1" --workspace --exclude ctnetlink --lib --no-run || return 0
	skip=
	for name in $sockets; do
		skip="$skip --skip $name"
	done
	# shellcheck disable=SC2086 # a list of options
	succeeds "$1: unit tests" cargo test --locked --target "$1" --workspace --exclude ctnetlink --lib -- $skip || :
	enough "$1: unit tests" 40
	codec_alone "$1"
}

# library TARGET GNU-NAME QEMU: `make` and `make install`, and a C program with what is installed in $stage then.
library() {
	stage=$work/$1
	set -- "$1" "$2" "$3 -L /usr/$2 -E LD_LIBRARY_PATH=$stage/usr/lib"
	succeeds "$1: make" make CC="$2-gcc" CARGO_BUILD_TARGET="$1" BUILD="$work/build-$1" || return 1
	succeeds "$1: make install installs what was built, with no word of the target" make install CARGO=false CC=false PYTHON=false \
		BUILD="$work/build-$1" DESTDIR="$stage" PREFIX=/usr LIBDIR=/usr/lib INCLUDEDIR=/usr/include || return 1
	export PKG_CONFIG_SYSROOT_DIR="$stage" PKG_CONFIG_LIBDIR="$stage/usr/lib/pkgconfig"
	# shellcheck disable=SC2046 # lists of flags
	succeeds "$1: a C program is built" "$2-gcc" -std=c99 -Wall -Wextra -Wpedantic -Werror $(pkg-config --cflags libctrack) \
		-o "$work/program" tests/cross/program.c $(pkg-config --libs libctrack) || return 1
	# shellcheck disable=SC2046
	succeeds "$1: and a static one" "$2-gcc" -static -std=c99 $(pkg-config --cflags libctrack) \
		-o "$work/static" tests/cross/program.c $(pkg-config --static --libs libctrack) || return 1
	for program in program static; do
		# shellcheck disable=SC2086 # a command with options
		$3 "$work/$program" >"$work/found" 2>&1 || echo failed >>"$work/found"
		same "$1: $program prints what it should" "$work/printed" "$work/found"
	done
}

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
cat >"$work/printed" <<PRINTED
version $version, header 1
operation not permitted
udp      17 30 src=10.0.0.1 dst=10.0.0.2 sport=258 dport=53 packets=8589934597 bytes=0 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 \
sport=53 dport=258 packets=0 bytes=8589934597 mark=16909060 zone=258 id=4000000000
too small an option: invalid argument
open: protocol not supported: no netfilter netlink in this kernel
PRINTED

# in_go GOARCH GNU-NAME QEMU: the Go tests that need no kernel, with the library in $stage: labels, structs, numbers and names.
in_go() {
	program="$3 -L /usr/$2 -E LD_LIBRARY_PATH=$stage/usr/lib"
	# Go's cache would give what was linked with another stage.
	unset CGO_CFLAGS
	CC=$2-gcc
	. ./go/stamp.sh
	unset CC
	# The tests would run themselves again, in a network namespace.
	succeeds "$1: Go tests of labels and structs" env CGO_ENABLED=1 GOARCH="$1" CC="$2-gcc" go -C go test -count=1 -v \
		-run '^Test(EachLabel|SeveralLabels|ANumberThatIsNoLabel|AnEntryIsTheSame|AnEntryByHand)' -exec "$program -E CTRACK_TEST_INSIDE=1" . || return 0
	passed=$(grep -c '^--- PASS' "$work/log" || :)
	if [ "$passed" -ge 5 ]; then ok "$1: enough were run ($passed)"; else failed "$1: enough were run" "$work/log"; fi
	succeeds "$1: a Go program is built" env CGO_ENABLED=1 GOARCH="$1" CC="$2-gcc" go -C go build -o "$work/cleaner" ./examples/endpoint-cleaner || return 0
	# shellcheck disable=SC2086 # a command with options
	$program "$work/cleaner" "$work/printed" >"$work/found" 2>&1 && echo 'succeeded' >>"$work/found"
	if grep -q 'protocol not supported' "$work/found"; then ok "$1: and says what it misses"; else failed "$1: and says what it misses" "$work/found"; fi
}

# The labels of the Python package, with the library in $stage and Debian's own Python for that machine, unpacked and not installed.
in_python() {
	codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
	apt-get indextargets --format "deb \$(REPO_URI) \$(RELEASE) \$(COMPONENT) \$(ORIGIN)" 'Created-By: Packages' |
		sed -n 's/ Debian$//p' | sort -u >"$work/sources.list"
	succeeds "$1: Python can be had" mmdebstrap --quiet --variant=extract --architectures="$1" \
		--include=python3-minimal,libpython3-stdlib "$codename" "$work/python" "$work/sources.list" || return 0
	succeeds "$1: Python tests of labels" env -C python "qemu-$1" -L "$work/python" -E LD_LIBRARY_PATH="$stage/usr/lib" -E PYTHONPATH=. \
		-E PYTHONDONTWRITEBYTECODE=1 "$(readlink -f "$work/python/usr/bin/python3")" -m unittest -v tests/test_labels.py || return 0
	if grep -qE '^Ran ([4-9]|[0-9]{2,}) tests' "$work/log"; then ok "$1: enough were run"; else failed "$1: enough were run" "$work/log"; fi
}

# Every way to name a target, for another machine than this one. The other tests of that file name none.
ways_to_name() {
	succeeds "$1: every way to name a target to make" env CTRACK_TEST_TARGET="$1" CTRACK_TEST_CC="$2-gcc" PYTHONPATH=scripts/tests \
		python3 -m unittest -v test_build.WaysToNameATarget test_build.AnotherMachine \
		test_build.WhatIsBuiltAgain.test_install_alone_builds_and_installs || return 0
	if grep -q '^test_two_builds_live_side_by_side .*ok$' "$work/log"; then ok "$1: another machine was tried"; else failed "$1: another machine was tried" "$work/log"; fi
}

# on_this_kernel TARGET GNU-NAME LOADER: programs of another machine that this kernel runs itself.
on_this_kernel() {
	succeeds "$1: the target is installed" rustup -q target add "$1" || return 0
	variable=CARGO_TARGET_$(printf '%s' "$1" | tr 'a-z-' 'A-Z_')
	link="-Wl,--dynamic-linker=/usr/$2/lib/$3,-rpath,/usr/$2/lib"
	succeeds "$1: unit tests, and tests of the kernel" env CTRACK_REQUIRE_NETNS=1 \
		"${variable}_LINKER=$2-gcc" "${variable}_RUSTFLAGS=-C link-arg=$link" \
		cargo test --locked --target "$1" --no-fail-fast --workspace --exclude ctnetlink --lib --test changes --test dumps --test exactly \
		--test namespaces --test privileges --test real_flows --test refusals --test reuse --test watch --test zones || :
	enough "$1: unit tests, and tests of the kernel" 170
	codec_alone "$1" "${variable}_LINKER=$2-gcc" "${variable}_RUSTFLAGS=-C link-arg=$link"

	stage=$work/$1
	succeeds "$1: make" make CC="$2-gcc" CARGO_BUILD_TARGET="$1" BUILD="$work/build-$1" || return 0
	succeeds "$1: make install" make install BUILD="$work/build-$1" DESTDIR="$stage" PREFIX=/usr LIBDIR=/usr/lib INCLUDEDIR=/usr/include || return 0
	export PKG_CONFIG_SYSROOT_DIR="$stage" PKG_CONFIG_LIBDIR="$stage/usr/lib/pkgconfig"
	succeeds "$1: C examples are built" make -C examples-c CC="$2-gcc" OUT="$work/examples" PKG_CONFIG=pkg-config \
		LDFLAGS="$link" || return 0
	for source in examples-c/[0-9]*.c; do
		example=$(basename "$source" .c)
		./scripts/expected-output.sh "$source" >"$work/expected"
		isolated timeout 120 env LD_LIBRARY_PATH="$stage/usr/lib:/usr/$2/lib" "$work/examples/$example" >"$work/found" 2>&1 </dev/null || echo failed >>"$work/found"
		same "$1: $example prints what it promises" "$work/expected" "$work/found"
	done
}

# without_system TARGET: no standard library either.
without_system() {
	succeeds "$1: the target is installed" rustup -q target add "$1" || return 0
	succeeds "$1: the codec alone is built" cargo build --locked --manifest-path "$codec/Cargo.toml" --target "$1" || :
}

if [ "${1-}" = --sampled ]; then
	seed=${SEED:-$(date +%s)}
	set -- aarch64 armv7
	shift $((seed % 2))
	set -- "$1" s390x i686 bare
	echo "SEED=$seed draws $1"
fi
[ $# -gt 0 ] || set -- aarch64 armv7 s390x i686 bare
for machine; do
	case $machine in
		aarch64)
			try aarch64-unknown-linux-gnu aarch64-linux-gnu qemu-aarch64
			if library aarch64-unknown-linux-gnu aarch64-linux-gnu qemu-aarch64; then in_go arm64 aarch64-linux-gnu qemu-aarch64; fi
			ways_to_name aarch64-unknown-linux-gnu aarch64-linux-gnu
			;;
		armv7)
			try armv7-unknown-linux-gnueabihf arm-linux-gnueabihf qemu-arm
			library armv7-unknown-linux-gnueabihf arm-linux-gnueabihf qemu-arm || :
			;;
		# The one with big-endian numbers.
		s390x)
			try s390x-unknown-linux-gnu s390x-linux-gnu qemu-s390x
			if library s390x-unknown-linux-gnu s390x-linux-gnu qemu-s390x; then
				in_go s390x s390x-linux-gnu qemu-s390x
				in_python s390x
			fi
			;;
		i686) on_this_kernel i686-unknown-linux-gnu i686-linux-gnu ld-linux.so.2 ;;
		bare) without_system thumbv7em-none-eabihf ;;
		*)
			echo 'usage: test-cross.sh [--sampled] [aarch64] [armv7] [s390x] [i686] [bare]' >&2
			exit 2
			;;
	esac
done

finish
