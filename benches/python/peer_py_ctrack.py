# SPDX-License-Identifier: MIT OR Apache-2.0

"""The package ctrack for Python, as a program would use it. Usage: peer_py_ctrack.py OPERATION SIZE [SOME]"""

import bench

import ctrack

conntrack = ctrack.open()


def reading(entry):
    return bench.reading(
        entry.orig_src.packed,
        entry.orig_dst.packed,
        entry.orig_sport or 0,
        entry.orig_dport or 0,
        entry.proto,
        entry.mark or 0,
        entry.status,
    )


def listed(n, *filters):
    with bench.Clock() as clock:
        entries = conntrack.list(*filters)
    return clock, n, len(entries), sum(map(reading, entries))


def stream(size, _):
    count = total = 0
    with bench.Clock() as clock:
        for entry in conntrack.stream():
            count += 1
            total += reading(entry)
    return clock, size, count, total


def delete_known(size, known):
    sample = bench.Sample(known, size)
    victims = [entry for entry in conntrack.list() if sample.has(entry.orig_src.packed)]
    with bench.Clock() as clock:
        result = conntrack.delete_entries(victims)
    return clock, known, result.done, 0


def source(pod):
    return ctrack.Filter(orig_src=bench.pod_address(pod))


def delete_pods(_, pods):
    filters = [source(pod) for pod in range(pods)]
    with bench.Clock() as clock:
        result = conntrack.delete(*filters)
    return clock, pods * bench.POD_FLOWS, result.done, 0


bench.main(
    "py-ctrack",
    {
        "list": lambda size, _: listed(size),
        "stream": stream,
        "list-pod-zone": lambda *_: listed(bench.POD_FLOWS, ctrack.Filter(zone=bench.pod_zone(0))),
        "list-pod-address": lambda *_: listed(bench.POD_FLOWS, source(0)),
        "list-pod-mark": lambda *_: listed(bench.POD_FLOWS, ctrack.Filter(mark=bench.pod_mark(0))),
        "delete": delete_known,
        "delete-pod-address": lambda size, _: delete_pods(size, 1),
        "delete-pods": delete_pods,
    },
)
