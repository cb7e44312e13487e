#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-differential.sh [OPTIONS OF tests/differential/run.py]: random filter sets over random tables while another process changes
# the entries, judged by the kernel's events with code that shares nothing with the library (tests/differential/).
#
# First the judge is tested: faults that are made on purpose must be noticed. SETS says how many sets follow (300; in CI 1,000), SEED
# what they are drawn from (the day). A set that failed is repeated with `--only SEED/NUMBER`, and its seed belongs into
# tests/differential/seeds.txt, which is always run. Everything happens in a network namespace of its own; where none can be made
# the run is skipped, with CTRACK_REQUIRE_NETNS=1 it fails.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
export PYTHONDONTWRITEBYTECODE=1

sets=${SETS:-${CI:+1000}}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

make -s all
"${CC:-cc}" -std=c99 -O2 -Wall -Wextra -Werror -shared -fPIC tests/differential/looks.c -o "$work/looks.so"
differential() {
	LD_PRELOAD=$work/looks.so python3 tests/differential/run.py build/libctrack.so.0 include/ctrack.h ${SEED:+--seed "$SEED"} "$@"
}
differential --self-test
differential --seeds tests/differential/seeds.txt --sets "${sets:-300}" "$@"
