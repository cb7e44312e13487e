#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# Compares libctrack with the raw kernel and with its peers; run.py, which this starts, says how and by which variables.
set -eu
cd "$(dirname "$0")/.."
./scripts/setup.sh build
# A peer that cannot be had is missing from the comparison, and the report says so.
./scripts/setup.sh go python bench || echo 'benches: going on with what is there' >&2
# shellcheck source=scripts/path.sh
. scripts/path.sh
exec python3 benches/run.py
