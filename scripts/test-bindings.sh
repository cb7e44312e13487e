#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Runs what go/test.sh and python/test.sh check, side by side, against a staged install of the library. In CI (CI=true) the
# soak tests take a minute.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh

# Nothing but the staged install may be found, whatever the caller's environment says.
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR CPATH C_INCLUDE_PATH LIBRARY_PATH LD_PRELOAD
if [ "${CI:-}" ]; then
	: "${CTRACK_SOAK:=60s}"
	export CTRACK_SOAK
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

make install DESTDIR="$work/stage" PREFIX=/usr LIBDIR=/usr/lib INCLUDEDIR=/usr/include >"$work/log" 2>&1 || {
	cat "$work/log"
	exit 1
}
STAGE="$work/stage"
export PKG_CONFIG_SYSROOT_DIR="$STAGE" PKG_CONFIG_LIBDIR="$STAGE/usr/lib/pkgconfig" LD_LIBRARY_PATH="$STAGE/usr/lib"

# The static Go program once more, with musl. Only rustup has Rust's target for it.
musl() {
	target=$(uname -m)-unknown-linux-musl
	sysroot=$(rustc --print sysroot)
	if ! [ -d "$sysroot/lib/rustlib/$target/lib/self-contained" ] && ! rustup -q target add "$target" >"$work/log" 2>&1; then
		echo "skipped: Go with musl: $target cannot be had: $(tail -n 1 "$work/log")"
		return
	fi
	make install-musl DESTDIR="$STAGE" >"$work/log" 2>&1 || {
		cat "$work/log"
		return 1
	}
	CC=musl-gcc PKG_CONFIG_LIBDIR="$STAGE/usr/local/lib/libctrack-musl/lib/pkgconfig" ./go/test-static.sh
}

./python/test.sh "$STAGE" >"$work/python" 2>&1 &
python=$!
status=0
./go/test.sh || status=1
musl || status=1
wait "$python" || status=1
cat "$work/python"
exit "$status"
