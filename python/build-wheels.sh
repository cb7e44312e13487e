#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
# build-wheels.sh STAGE OUTDIR [PLATFORM]: builds two wheels into OUTDIR.
#
#   py3-none-any          finds the installed libctrack.so.0
#   py3-none-PLATFORM     carries libctrack.so.0
#
# STAGE is the DESTDIR that libctrack was installed into; / if it is installed. PLATFORM is manylinux_X_Y_ARCH if it is not given:
# X.Y is the oldest glibc that has every symbol that the library needs. PYTHON (python3) needs setuptools 77 and wheel.
# scripts/wheels.sh builds the wheels for other machines than this one.
set -eu

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
	echo 'usage: build-wheels.sh STAGE OUTDIR [PLATFORM]' >&2
	exit 2
fi
python=${PYTHON:-python3}
stage=$(cd "$1" && pwd)
mkdir -p "$2"
outdir=$(cd "$2" && pwd)
cd "$(dirname "$0")"

library=$(find "$stage"/usr/local/lib "$stage"/usr/lib "$stage"/lib -name libctrack.so.0 2>/dev/null | head -n 1)
if [ -z "$library" ]; then
	echo "build-wheels.sh: no libctrack.so.0 in $stage" >&2
	exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A copy, so that nothing is written into the sources, and the licences are at hand.
mkdir "$work/source" "$work/pure"
cp -RL pyproject.toml README.md LICENSE-MIT LICENSE-APACHE ctrack "$work/source/"
find "$work/source" -name __pycache__ -prune -exec rm -rf {} +
rm -f "$work/source/ctrack/libctrack.so.0"
(cd "$work/source" && "$python" -c 'import sys, setuptools.build_meta as backend; backend.build_wheel(sys.argv[1])' "$work/pure" >"$work/log" 2>&1) || {
	cat "$work/log" >&2
	exit 1
}

# The other wheel is the same one with the library in it. Every glibc symbol names the release that it came with.
platform=${3:-}
if [ -z "$platform" ]; then
	glibc=$(objdump -T "$library" | grep -o 'GLIBC_2\.[0-9]*' | sort -u -t . -k 2n | tail -n 1)
	platform="manylinux_2_${glibc#GLIBC_2.}_$(uname -m)"
fi
"$python" -m wheel unpack --dest "$work/unpacked" "$work"/pure/*.whl >/dev/null
tree=$(echo "$work"/unpacked/*)
cp -L "$library" "$tree/ctrack/libctrack.so.0"
chmod 755 "$tree/ctrack/libctrack.so.0"
metadata=$(echo "$tree"/*.dist-info/WHEEL)
sed -i -e 's/^Root-Is-Purelib: .*/Root-Is-Purelib: false/' -e "s/^Tag: .*/Tag: py3-none-$platform/" "$metadata"
"$python" -m wheel pack --dest-dir "$outdir" "$tree" >/dev/null
cp "$work"/pure/*.whl "$outdir/"
ls "$outdir"
