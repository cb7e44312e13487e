# SPDX-License-Identifier: MIT OR Apache-2.0
"""use.py create|list|delete|flush INSTALLED: one step with the installed package, which must lie in the directory INSTALLED.

Each step is a process of its own in the same network namespace, so that another program can count the entries in between.
"""

import sys

import ctrack
import ctrack.neutron

step, installed = sys.argv[1:]
flows = [
    ctrack.Entry(
        proto="udp", orig_src="10.0.0.7", orig_sport=1000 + n, orig_dst="10.96.0.10", orig_dport=53, zone=n % 3, timeout=600
    )
    for n in range(30)
]
flows += [
    ctrack.Entry(proto="tcp", orig_src="fd00::7", orig_sport=n, orig_dst="fd00::8", orig_dport=443, timeout=600, tcp_state=3)
    for n in range(1, 11)
]

with open("/proc/self/maps") as maps:
    loaded = {line.split()[-1] for line in maps if "libctrack" in line}
assert len(loaded) == 1 and ctrack.__file__.startswith(installed), (loaded, ctrack.__file__)
with ctrack.open() as ct:
    if step == "create":
        assert ct.create(flows).done == 40
        print(f"ctrack {ctrack.__version__} with libctrack {ctrack.version()} in {loaded.pop()}")
    elif step == "list":
        assert sorted(entry.orig_sport for entry in ct.list()) == sorted(flow.orig_sport for flow in flows)
        assert {entry.orig_sport for entry in ct.stream(ctrack.Filter(zone=2))} == set(range(1002, 1030, 3))
    elif step == "delete":
        # The TCP entries, and those of zone 1.
        assert ct.delete(*ctrack.dead_endpoint("fd00::7")).done == 10
        assert ct.delete(ctrack.Filter(zone=1, orig_src="10.0.0.7")).done == 10
        try:
            ct.delete(ctrack.Filter())
        except ctrack.InvalidArgument:
            pass
        else:
            raise AssertionError("a filter that matches everything was taken")
    elif step == "flush":
        ct.flush(ctrack.Filter(zone=2))
        assert [entry.zone for entry in ct] == [0] * 10
    else:
        raise AssertionError(step)
