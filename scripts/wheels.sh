#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# wheels.sh [OUTDIR]: builds the Python packages, into build/wheels if no other directory is named:
#
#   ctrack-VERSION.tar.gz              the sdist: sources and tests
#   py3-none-any                       finds the installed libctrack.so.0
#   py3-none-manylinux_2_17_ARCH       carries a library for glibc 2.17 or newer, which needs libgcc_s.so.1 too
#   py3-none-musllinux_1_2_ARCH        carries a library for musl 1.2 or newer, which needs nothing else
#
# ARCH is that of this machine. Zig links the two libraries, because it has the symbols of every release of both C libraries. Zig
# and auditwheel, which says whether the tags are true, come from pip into build/wheel-tools. Rust's musl target needs rustup.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR CPATH C_INCLUDE_PATH LIBRARY_PATH LD_LIBRARY_PATH LD_PRELOAD CFLAGS LDFLAGS PYTHONPATH CDPATH
export LC_ALL=C PYTHONDONTWRITEBYTECODE=1

[ $# -le 1 ] || {
	echo 'usage: wheels.sh [OUTDIR]' >&2
	exit 2
}
./scripts/setup.sh build python
. ./scripts/path.sh

outdir=${1:-build/wheels}
mkdir -p "$outdir" build
outdir=$(cd "$outdir" && pwd)
machine=$(uname -m)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# quietly COMMAND...: what it says is of interest if it fails.
quietly() {
	"$@" >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		printf 'wheels: failed: %s\n' "$*" >&2
		exit 1
	}
}

tools=$PWD/build/wheel-tools
[ -x "$tools/bin/pip" ] || quietly "${PYTHON:-python3}" -m venv "$tools"
quietly "$tools/bin/pip" install --disable-pip-version-check 'ziglang==0.17.1' 'auditwheel==6.8.2' build 'setuptools>=77' wheel
export ZIG_GLOBAL_CACHE_DIR="$tools/zig" ZIG_LOCAL_CACHE_DIR="$tools/zig"

quietly make -s build/libctrack.a
rust_musl=$machine-unknown-linux-musl
[ -d "$(rustc --print sysroot)/lib/rustlib/$rust_musl/lib/self-contained" ] || quietly rustup -q target add "$rust_musl"
quietly make -s install-musl DESTDIR="$work" MUSL_TARGET="$rust_musl" MUSL_PREFIX=/musl

# link STAGE ZIG-TARGET STATIC-LIBRARY ARGUMENT...: links the shared library as the Makefile does. Zig's linker cannot read
# abi/libctrack.ld, so the constructor that it leaves out is taken from the static library.
link() {
	stage=$work/$1/usr/lib
	zig_target=$2
	mkdir -p "$stage"
	quietly objcopy --remove-section=.init_array.00099 "$3" "$work/libctrack.a"
	shift 3
	# shellcheck disable=SC2046 # one word per function
	quietly "$tools/bin/python" -m ziglang cc -target "$zig_target" -shared -o "$stage/libctrack.so.0" \
		$(sed 's/^/-Wl,-u,/' abi/symbols.txt) "$work/libctrack.a" "$@" \
		-Wl,-soname,libctrack.so.0 -Wl,--version-script=abi/libctrack.map \
		-Wl,--gc-sections -Wl,-z,defs -Wl,-z,relro -Wl,-z,now -Wl,-s
}

# The unwinder is the system's, as in what `make` links: glibc unwinds cancelled threads with libgcc_s, and one unwinder cannot
# disagree with another. Manylinux allows it. The copy of this machine may need a newer glibc, but only its names are used here.
link manylinux "$machine-linux-gnu.2.17" build/libctrack.a \
	-Wl,--allow-shlib-undefined "$(cc -print-file-name=libgcc_s.so.1)" -lc -lpthread -ldl -lm -lrt -lutil
# musl systems may lack libgcc_s, and musl itself unwinds nothing.
link musllinux "$machine-linux-musl" "$work/musl/lib/libctrack.a" "$work/musl/lib/libunwind.a"

rm -f "$outdir"/ctrack-*.whl "$outdir"/ctrack-*.tar.gz
# A copy, so that nothing is written into the sources, and links are files.
cp -RL python "$work/python"
rm -rf "$work"/python/*.egg-info
quietly "$tools/bin/python" -m build --sdist --no-isolation --outdir "$outdir" "$work/python"
for platform in manylinux_2_17 musllinux_1_2; do
	PYTHON=$tools/bin/python quietly ./python/build-wheels.sh "$work/${platform%%_*}" "$outdir" "${platform}_$machine"
	printf '%s: libctrack.so.0 has %s bytes\n' "$platform" "$(stat -c %s "$work/${platform%%_*}/usr/lib/libctrack.so.0")"
done
for file in "$outdir"/ctrack-*; do
	printf '%s: %s bytes\n' "${file##*/}" "$(stat -c %s "$file")"
done
