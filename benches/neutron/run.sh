#!/bin/sh
# SPDX-License-Identifier: MIT OR Apache-2.0
#
# run.sh [ROUNDS]: compares ctrack.neutron with a module that does the same with libnetfilter_conntrack (bench.py says how).
set -eu
cd "$(dirname "$0")/../.."
./scripts/setup.sh build python bench
make -s all
limit=/proc/sys/net/netfilter/nf_conntrack_max
if [ -r "$limit" ] && [ "$(cat "$limit")" -lt 110000 ]; then
	echo "run.sh: $limit is below 110,000, which the largest table needs" >&2
	exit 1
fi
exec unshare -Urn env LD_LIBRARY_PATH=build PYTHONPATH=python:benches/neutron PYTHONDONTWRITEBYTECODE=1 \
	python3 benches/neutron/bench.py "$@"
