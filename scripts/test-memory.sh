#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-memory.sh [--all] [SEED]: what the exported functions do where memory is short, in the installed library: tests/memory/calls.c,
# with an allocator that fails where it is told to (tests/memory/failing.c), against a staged install. --all: every allocation of
# every call; else those of long calls are drawn.
#
# Honours CARGO, CARGOFLAGS, CARGO_TARGET_DIR, CFLAGS and LDFLAGS. A missing tool is a failure.

set -eu
cd "$(dirname "$0")/.."

# Nothing but the staged install may be found, whatever the caller's environment says.
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR PKG_CONFIG_PATH CPATH C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_PRELOAD
export LC_ALL=C
# Each allocation that aborts would else take a second to say where.
unset RUST_BACKTRACE

. ./scripts/checks.sh

if [ "$(id -u)" -eq 0 ]; then
	namespace=-n
else
	namespace=-Urn
fi
if ! unshare "$namespace" true 2>"$work/log"; then
	failed "a network namespace can be made with unshare $namespace" "$work/log"
	finish
fi

libdir=/usr/lib/test-multiarch
succeeds 'make install' make install DESTDIR="$work/stage" PREFIX=/usr LIBDIR=$libdir INCLUDEDIR=/usr/include || finish
export PKG_CONFIG_SYSROOT_DIR="$work/stage" PKG_CONFIG_LIBDIR="$work/stage$libdir/pkgconfig"

# Exported, so that the libraries take the allocator of the program. -fno-builtin: what it defines is not the compiler's malloc().
# shellcheck disable=SC2046 # several words
succeeds 'the calls and their allocator build' "${CC:-cc}" -std=gnu11 -O1 -g -Wall -Wextra -Werror -fno-builtin -rdynamic \
	-o "$work/calls" tests/memory/calls.c tests/memory/failing.c $(pkg-config --cflags --libs libctrack) -ldl || finish

# Without a limit of its own: each run has one.
status=0
unshare "$namespace" env LD_LIBRARY_PATH="$work/stage$libdir" "$work/calls" "$@" >"$work/out" 2>"$work/err" </dev/null || status=$?
grep -v '^FAILED' "$work/out" || true
grep '^FAILED' "$work/out" >"$work/failures" || true
sed -i 's/^FAILED *//' "$work/failures"
cat "$work/err" >>"$work/failures"
if [ "$status" -eq 0 ]; then
	empty 'no call does anything wrong where memory is short' "$work/failures"
else
	failed "no call does anything wrong where memory is short (exit status $status)" "$work/failures"
fi

finish
