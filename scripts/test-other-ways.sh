#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-other-ways.sh [--cargo-c]: the ways to libctrack other than `make install` and a Makefile (docs/other-ways.md): pkg-config by
# hand, CMake, Meson, the manual pages; with --cargo-c also `cargo cinstall`. The crates: scripts/test-crates.sh.
#
# Installs the tools that are missing with apt-get, as root. cargo-c is built once, into the user's cache, which takes minutes.
# Honours CARGO_TARGET_DIR. With CTRACK_REQUIRE_NETNS=1 a program that cannot have its network namespace is a failure.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh

unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PREFIX LIBDIR INCLUDEDIR MANDIR PKG_CONFIG_PATH PKG_CONFIG_SYSROOT_DIR
unset CPATH C_INCLUDE_PATH CPLUS_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_PRELOAD CFLAGS LDFLAGS
export LC_ALL=C CARGO_TERM_COLOR=never PYTHONDONTWRITEBYTECODE=1

# The newest that Rust 1.95 can build.
cargo_c_release=0.10.24
cargo_c=
for option; do
	case $option in
		--cargo-c) cargo_c=1 ;;
		*)
			echo 'usage: test-other-ways.sh [--cargo-c]' >&2
			exit 2
			;;
	esac
done

. ./scripts/checks.sh

./scripts/setup.sh other-ways ${cargo_c:+cargo-c}

# --- A staged install ------------------------------------------------------------------------------------------------------

stage=$work/stage
succeeds 'make install' make install DESTDIR="$stage" PREFIX=/usr LIBDIR=/usr/lib INCLUDEDIR=/usr/include || finish
export PKG_CONFIG_SYSROOT_DIR="$stage" PKG_CONFIG_LIBDIR="$stage/usr/lib/pkgconfig"

namespaces=yes
isolated true 2>"$work/no-netns" || namespaces=
./scripts/expected-output.sh examples-c/01-list.c >"$work/expected"

# runs NAME PROGRAM: it prints what its source promises.
runs() {
	if [ "$namespaces" ]; then
		isolated env LD_LIBRARY_PATH="$stage/usr/lib" "$2" >"$work/found" 2>&1 || echo 'failed' >>"$work/found"
		same "$1: it prints what it should" "$work/expected" "$work/found"
	elif [ "${CTRACK_REQUIRE_NETNS:-}" ]; then
		failed "$1: it wants a network namespace" "$work/no-netns"
	else
		printf 'skipped %s: no network namespace: %s\n' "$1" "$(cat "$work/no-netns")"
	fi
}

# needs NAME PROGRAM shared|static|nothing
needs() {
	readelf -dW "$2" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' >"$work/needed"
	found=static
	! grep -qx 'libctrack\.so\.0' "$work/needed" || found=shared
	[ -s "$work/needed" ] || found=nothing
	if [ "$found" = "$3" ]; then ok "$1: it needs what it should ($3)"; else failed "$1: it needs what it should ($3)" "$work/needed"; fi
}

# --- pkg-config --static ------------------------------------------------------------------------------------------------------

# shellcheck disable=SC2046 # lists of flags
if succeeds 'pkg-config by hand, shared' cc -o "$work/by-hand" examples-c/01-list.c $(pkg-config --cflags --libs libctrack); then
	needs 'pkg-config by hand, shared' "$work/by-hand" shared
	runs 'pkg-config by hand, shared' "$work/by-hand"
fi
# shellcheck disable=SC2046
if succeeds 'pkg-config --static, all static' cc -static -o "$work/by-hand-static" examples-c/01-list.c \
	$(pkg-config --static --cflags --libs libctrack); then
	needs 'pkg-config --static, all static' "$work/by-hand-static" nothing
	runs 'pkg-config --static, all static' "$work/by-hand-static"
fi

# --- CMake and Meson ----------------------------------------------------------------------------------------------------------

for kind in shared static; do
	switch=OFF
	[ $kind = shared ] || switch=ON
	build=$work/cmake-$kind
	if succeeds "CMake, $kind: configure" cmake -S examples-c/cmake -B "$build" -D CTRACK_STATIC=$switch &&
		succeeds "CMake, $kind: build" cmake --build "$build"; then
		needs "CMake, $kind" "$build/list" $kind
		runs "CMake, $kind" "$build/list"
	fi
	switch=false
	[ $kind = shared ] || switch=true
	build=$work/meson-$kind
	if succeeds "Meson, $kind: configure" meson setup "$build" examples-c/meson -Dctrack_static=$switch &&
		succeeds "Meson, $kind: build" ninja -C "$build"; then
		needs "Meson, $kind" "$build/list" $kind
		runs "Meson, $kind" "$build/list"
	fi
done

# --- Manual pages -------------------------------------------------------------------------------------------------------------

succeeds 'unit tests of the scripts: manual pages (with mandoc and groff), build' python3 -m unittest discover -q -s scripts/tests || :
succeeds 'make doc: HTML of C and Rust' ./scripts/doc.sh "$work/doc" || :
while read -r symbol; do
	[ -s "$work/doc/c/$symbol.html" ] || echo "$symbol has no page"
done <abi/symbols.txt >"$work/found"
empty 'every function has a page' "$work/found"
succeeds 'every link of the HTML leads somewhere' python3 scripts/check-links.py "$work/doc" || :

# --- cargo-c ------------------------------------------------------------------------------------------------------------------

if [ "$cargo_c" ]; then
	. ./scripts/cargo-tool.sh
	cargo_tool cargo-c "$cargo_c_release" cargo-cinstall
	other=$work/cargo-c-stage
	succeeds 'cargo cinstall' "$tool" cinstall --release --locked --prefix=/usr --libdir=/usr/lib \
		--includedir=/usr/include --destdir="$other" || finish

	for at in stage other; do
		root=$stage
		[ $at = stage ] || root=$other
		(cd "$root" && find usr/lib usr/include ! -type d -printf "%P %l\n" | sed "s/^\(libctrack.so \).*/\1link/" | sort) >"$work/files-$at"
		readelf -dW "$root/usr/lib/libctrack.so" | sed -n 's/.*(SONAME).*\[\(.*\)\]/\1/p' >"$work/soname-$at"
		nm -D --defined-only "$root/usr/lib/libctrack.so" | sed -n 's/.* T //p' | sed 's/@.*//' | sort >"$work/symbols-$at"
		# The order of libraries is that of the tool; -lgcc_s is the compiler driver's own affair.
		PKG_CONFIG_SYSROOT_DIR='' PKG_CONFIG_LIBDIR="$root/usr/lib/pkgconfig" sh -c '
			pkg-config --modversion libctrack
			for of in prefix libdir includedir; do pkg-config --variable=$of libctrack; done
			PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 pkg-config --cflags --libs libctrack
			pkg-config --static --libs libctrack | tr " " "\n" | grep -vx -e -lgcc_s -e "" -e -L/usr/lib | sort -u' >"$work/pc-$at"
		sed -n 's/^\(Name\|Description\):/\1:/p' "$root/usr/lib/pkgconfig/libctrack.pc" | sort >>"$work/pc-$at"
	done
	same 'cargo-c: the same files' "$work/files-stage" "$work/files-other"
	same 'cargo-c: the same soname' "$work/soname-stage" "$work/soname-other"
	same 'cargo-c: the same functions' "$work/symbols-stage" "$work/symbols-other"
	same 'cargo-c: the same header' "$stage/usr/include/ctrack.h" "$other/usr/include/ctrack.h"
	same 'cargo-c: the same in libctrack.pc' "$work/pc-stage" "$work/pc-other"

	# Programs do not care which of the two they were built with or run with.
	PKG_CONFIG_SYSROOT_DIR=$other PKG_CONFIG_LIBDIR=$other/usr/lib/pkgconfig
	# shellcheck disable=SC2046
	succeeds 'cargo-c: a program links' cc -o "$work/theirs" examples-c/01-list.c $(pkg-config --cflags --libs libctrack) || finish
	runs 'cargo-c: its program with the library of make' "$work/theirs"
	# shellcheck disable=SC2046
	succeeds 'cargo-c: a program links statically' cc -static -o "$work/theirs-static" examples-c/01-list.c \
		$(pkg-config --static --cflags --libs libctrack | sed 's/-lgcc_s//g') || :
	stage=$other
	runs 'cargo-c: its program' "$work/theirs"
	runs 'cargo-c: its static program' "$work/theirs-static"
	# ld.so says that versions are missing, and runs it.
	if [ "$namespaces" ]; then
		isolated env LD_LIBRARY_PATH="$stage/usr/lib" "$work/by-hand" >"$work/found" 2>"$work/log" || echo 'failed' >>"$work/found"
		same 'cargo-c: the program of make with its library' "$work/expected" "$work/found"
	fi
fi

finish
