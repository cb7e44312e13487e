#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# codec-alone.sh DIRECTORY: the crate ctnetlink with nothing else of this tree, as its package unpacks, below DIRECTORY, which must be
# outside of the tree. Prints where.

set -eu
directory=$(cd "$1" && pwd)
cd "$(dirname "$0")/.."
. ./scripts/path.sh
cargo package --quiet -p ctnetlink --locked --offline --allow-dirty --no-verify --target-dir "$directory/packed" >&2
for package in "$directory"/packed/package/ctnetlink-*.crate; do
	tar -C "$directory" -xf "$package"
	echo "$directory/$(basename "$package" .crate)"
done
rm -rf "$directory/packed"
