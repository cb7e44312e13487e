#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-fields.sh [OPTION...] [KIND...]: whether a mock field of each kind can be added by the places that tests/fields/places.py lists,
# and whether the tests notice, by name, if one of them is forgotten. Without --all one place of each kind is left out, drawn by a seed
# that is printed (--seed repeats it), and of the kinds of fields of an entry only one is tried. --bindings: Go and Python too, once
# scripts/test-bindings.sh made what their tests need. The other options: tests/fields/mock.py --help.
#
# Honours CARGO_TARGET_DIR.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
export PYTHONDONTWRITEBYTECODE=1
exec python3 tests/fields/mock.py "$@"
