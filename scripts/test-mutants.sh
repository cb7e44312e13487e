#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# test-mutants.sh [--record] [NAME...]: whether the fast tests, which need neither qemu nor a network namespace, would notice a
# mistake. One build with `--cfg ctrack_mutants` (crates/ctnetlink/src/mutants.rs) holds the mutants of all crates; each is chosen for
# a run of the tests by a variable that only this build reads. A survivor that docs/testing.md does not list is a failure, and so is
# one that it lists and a test notices. --record writes tests/mutants/noticed-by.txt anew, which only saves time: the test that
# noticed a mutant is run first.
#
# Honours CARGO and CARGO_TARGET_DIR.

set -eu
cd "$(dirname "$0")/.."
. ./scripts/path.sh
export PYTHONDONTWRITEBYTECODE=1
exec python3 tests/mutants/run.py "$@"
