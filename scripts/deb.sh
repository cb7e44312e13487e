#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Builds the Debian packages out of the archive of dist.sh into build/deb/, and has lintian look at them. Says which packages it
# lacks, and fails. Rust may come from elsewhere than from Debian. Honours DEB_BUILD_OPTIONS.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
unset CDPATH MAKEFLAGS MFLAGS MAKELEVEL CARGO_TARGET_DIR RUSTFLAGS CFLAGS LDFLAGS DESTDIR
export LC_ALL=C.UTF-8

say() {
	printf 'deb: %s\n' "$*" >&2
}

for program in dpkg-buildpackage lintian; do
	command -v "$program" >/dev/null || {
		say 'please run: sudo apt-get install -y --no-install-recommends build-essential debhelper fakeroot lintian'
		exit 1
	}
done

version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
packaged=$(dpkg-parsechangelog -S Version)
if [ "${packaged%-*}" != "$version" ]; then
	say "Cargo.toml has version $version, debian/changelog $packaged"
	exit 1
fi

# dh sets another HOME, where rustup would find no toolchain. Debian's own Python comes before any other.
rustup=${RUSTUP_HOME:-${HOME:-/nonexistent}/.rustup}
[ ! -d "$rustup" ] || export RUSTUP_HOME="$rustup"
rust=$(dirname "$(command -v cargo || echo /usr/bin/cargo)")
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$rust
[ ! -x "$rust/rustup" ] || PATH=$rust:/usr/sbin:/usr/bin:/sbin:/bin
export PATH

./scripts/dist.sh
./scripts/dist.sh --check-copyright

deb=$PWD/build/deb
rm -rf "$deb"
mkdir -p "$deb"
cp "build/libctrack-$version.tar.xz" "$deb/libctrack_$version.orig.tar.xz"
tar -C "$deb" -xf "$deb/libctrack_$version.orig.tar.xz"
cd "$deb/libctrack-$version"

# Rust by rustup is as good as a package; whatever else is missing is not to be had without one.
unmet=
if ! missing=$(dpkg-checkbuilddeps 2>&1); then
	others=$(echo "$missing" | sed -e 's/.*: //' -e 's/\(cargo\|rustc\) ([^)]*) | [a-z-]* ([^)]*)//g' | tr -d ' ')
	have=$(rustc --version 2>/dev/null | sed 's/rustc \([0-9.]*\).*/\1/')
	if [ -n "$others" ]; then
		say "$missing"
		say 'please run: sudo apt-get build-dep -y ./'
		exit 1
	elif ! dpkg --compare-versions "${have:-0}" ge 1.85; then
		say "Rust 1.85 or newer is needed: sudo apt-get install -y cargo-web rustc-web, or rustup"
		exit 1
	fi
	say "Debian's Rust is not installed; building with rustc $have from $(command -v rustc)"
	unmet=-d
fi
# shellcheck disable=SC2086 # one word or none
dpkg-buildpackage -us -uc $unmet >"$deb/log" 2>&1 || {
	tail -n 60 "$deb/log" >&2
	exit 1
}
cd "$deb"
rm -rf "libctrack-$version"

# Errors and warnings; what is overridden has its reason beside it.
lintian --tag-display-limit 0 --allow-root --fail-on error,warning --display-info ./*.changes
ls -- *.deb
