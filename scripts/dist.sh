#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# dist.sh                     makes build/libctrack-VERSION.tar.xz: the sources, and those of the crates that the library needs
# dist.sh --check-copyright   whether debian/copyright lists these crates and their licences
# dist.sh --write-copyright   writes it anew
#
# The same sources give the same archive, bit for bit: SOURCE_DATE_EPOCH, or else the last commit, says the time of all files.
# A tree unpacked from the archive makes the archive again, without network. Honours CARGO.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
unset CDPATH
export LC_ALL=C
cargo=${CARGO:-cargo}
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
name=libctrack-$version

mkdir -p build
work=$(mktemp -d -p "$PWD/build")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM
tree=$work/$name
mkdir "$tree"

# Not the repository of somebody who unpacked the archive inside of it.
ours() {
	top=$(git rev-parse --show-toplevel 2>/dev/null) && [ "$top" = "$(pwd -P)" ]
}

# The files of the tree, each ended by a NUL: what git knows and still is there, or what make does not make.
files() {
	if ours; then
		git ls-files -z --cached | sort -z >"$work/known"
		git ls-files -z --deleted | sort -z | comm -z -23 "$work/known" -
	else
		find . \( -path ./build -o -path ./target -o -path ./.git -o -name target -path './*/target' -o -name __pycache__ \
			-o -path ./.pybuild -o -path ./debian/cargo_home -o -path ./debian/python -o -path ./.pc \) -prune -o ! -type d -printf '%P\0'
	fi
}

# Everything that Cargo.lock names must have a manifest, or cargo resolves nothing without network. What no build or test of the
# library on Linux compiles keeps its manifest alone: `make header` and its generator, and what others need on other systems.
without_sources() {
	awk '/^\[.*\]$/ { section = $0; drop = section ~ /^\[\[|^\[(lib|lints|badges|package\.metadata)[].]/ }
		section == "[package]" && /^(auto[a-z]*|build|readme|links|default-run) =/ { next }
		!drop' "$1/Cargo.toml" >"$work/manifest"
	sum=$(sed -n 's/.*"package":"\([0-9a-f]*\)".*/\1/p' "$1/.cargo-checksum.json")
	rm -rf "$1"
	mkdir -p "$1/src"
	cp "$work/manifest" "$1/Cargo.toml"
	: >"$1/src/lib.rs"
	printf '{"files":{},"package":"%s"}\n' "$sum" >"$1/.cargo-checksum.json"
}

# crates TREE: the directories in vendor/ of what our crates and their tests are made of. Ours are shown with their directory.
crates() {
	(cd "$1" && $cargo tree --locked --offline --workspace --prefix none -e normal,build,dev --format '{p}') >"$work/tree" || exit 1
	sed -n '/ (\//d; s/^\([^ ]*\) v\([^ ]*\).*/\1-\2/p' "$work/tree" | sort -u
}

vendor() {
	(cd "$tree" && $cargo vendor --locked --versioned-dirs vendor >"$work/config" 2>"$work/log") || {
		cat "$work/log" >&2
		exit 1
	}
	mkdir "$tree/.cargo"
	cat >"$tree/.cargo/config.toml" <<-'CONFIG'
		# The crates are in vendor/: nothing is downloaded.
		[source.crates-io]
		replace-with = "vendored-sources"

		[source.vendored-sources]
		directory = "vendor"
	CONFIG
	crates "$tree" >"$work/needed"
	for dir in "$tree"/vendor/*; do
		grep -qxF "${dir##*/}" "$work/needed" || without_sources "$dir"
	done
}

files >"$work/files"
tar -c --null -T "$work/files" | tar -x -C "$tree"
[ -d "$tree/vendor" ] || vendor

# Stanzas of debian/copyright for the crates, out of their manifests and licence files.
case ${1-} in
--check-copyright | --write-copyright)
	crates "$tree" >"$work/needed"
	(cd "$tree/vendor" && xargs python3 ../debian/copyright.py) <"$work/needed" >"$work/copyright"
	if [ "$1" = --write-copyright ]; then
		cp "$work/copyright" debian/copyright
	elif ! diff -u debian/copyright "$work/copyright"; then
		echo 'dist: debian/copyright is not right any more: ./scripts/dist.sh --write-copyright' >&2
		exit 1
	fi
	exit
	;;
esac

if [ -n "${SOURCE_DATE_EPOCH-}" ]; then
	time=$SOURCE_DATE_EPOCH
elif ours; then
	time=$(git log -1 --format=%ct)
else
	time=$(stat -c %Y Cargo.toml)
fi

# Whatever the umask was and is.
chmod -R u=rwX,go=rX "$tree"
tar -c -C "$work" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$time" "$name" |
	xz -T1 -9 >"$work/archive"
mv "$work/archive" "build/$name.tar.xz"
chmod 644 "build/$name.tar.xz"
echo "build/$name.tar.xz"
