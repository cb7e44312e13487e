# SPDX-License-Identifier: MIT OR Apache-2.0
"""A hundred thousand entries; and many threads for a while (CTRACK_SOAK seconds, 2 if not given)."""

from __future__ import annotations

import os
import re
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable

from support import cli_count, make, open_descriptors, run, tcp, udp

import ctrack
from ctrack import Filter


def hundred_thousand(ct: ctrack.Conntrack) -> None:
    """Made from one entry, by writing ports and addresses into its bytes."""
    raw = bytearray(udp("10.0.0.0", 1, "10.99.0.1", 53, mark=1).raw)
    entries = []
    for number in range(100_000):
        raw[57:60] = number.to_bytes(3, "big")
        raw[16:20] = (number % 10).to_bytes(4, sys.byteorder)
        entries.append(ctrack.Entry.from_raw(raw))
    assert str(entries[-1].orig_src) == "10.1.134.159" and entries[-1].mark == 9
    make(ct, entries)


def test_a_hundred_thousand_entries_are_listed_streamed_and_deleted_exactly(ct: ctrack.Conntrack) -> None:
    hundred_thousand(ct)
    assert ct.count() == cli_count() == 100_000
    # Not their ids: of so many some are equal, since they have 32 bits.
    listed = {entry.orig_src for entry in ct.list()}
    assert len(listed) == 100_000
    assert {entry.orig_src for entry in ct} == listed

    tracemalloc.start()
    try:
        seen = 0
        next(iter(ct.stream()))
        tracemalloc.reset_peak()
        start = tracemalloc.get_traced_memory()[0]
        for _ in ct.stream():
            seen += 1
        peak = tracemalloc.get_traced_memory()[1] - start
    finally:
        tracemalloc.stop()
    assert seen == 100_000
    # A batch is 64 KiB.
    assert peak < 200_000, f"{peak} bytes were held"

    assert ct.delete(Filter(mark=3)).done == 10_000
    assert ct.count() == cli_count() == 90_000
    victims = ct.list(Filter(mark=4))
    result = ct.delete_entries(victims)
    assert (result.done, result.gone, len(result.statuses)) == (10_000, 0, 10_000)
    assert ct.count() == cli_count() == 80_000
    assert ct.delete_entries(victims).gone == 10_000
    result = ct.delete(Filter(mark=5), uncounted=True)
    assert result.uncounted or result.done == 10_000
    assert ct.count() == cli_count() == 70_000
    remotes = [f"10.0.0.{n}" for n in range(250)]
    rule = ctrack.security_rule("ingress", "10.99.0.1", remotes, proto="udp")
    assert ct.delete(*rule).done == sum(1 for n in range(250) if n % 10 not in (3, 4, 5))
    ct.flush(Filter(mark=6))
    assert ct.count() == cli_count() == 60_000 - sum(1 for n in range(250) if n % 10 not in (3, 4, 5, 6))


def seconds() -> float:
    text = os.environ.get("CTRACK_SOAK", "2")
    given = re.fullmatch(r"(\d+(?:\.\d+)?)s?", text)
    assert given, f"CTRACK_SOAK={text!r} is no number of seconds"
    return float(given[1])


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_ten_threads_on_one_object_never_disturb_each_other(ct: ctrack.Conntrack) -> None:
    end = time.monotonic() + seconds()
    failures: list[BaseException] = []
    rounds = [0] * 10
    kept = [udp("10.9.9.9", n, "10.9.9.8", 9, zone=999) for n in range(200)]
    make(ct, kept)

    def work(thread: int) -> None:
        zones = (thread * 3 + 1, thread * 3 + 2)
        # Once at least, however slow the machine is.
        while (rounds[thread] == 0 or time.monotonic() < end) and not failures:
            for zone in zones:
                make(ct, [udp("10.0.0.1", n, "10.0.0.2", 53, zone=zone, mark=n % 2) for n in range(60)])
                make(ct, [tcp("fd00::1", n, "fd00::2", 80, zone=zone) for n in range(40)])
            assert len(ct.list(Filter(zone=zones[0]))) == 100
            assert ct.delete(Filter(zone=zones[0], proto="udp", mark=1)).done == 30
            streamed = [entry for entry in ct.stream(Filter(zone=zones[0]))]
            assert len(streamed) == 70
            assert ct.delete_entries(streamed).done == 70
            assert ct.list(Filter(zone=zones[0])) == []
            assert len(ct.list(Filter(zone=zones[1]))) == 100, "the neighbour's zone"
            ct.flush(Filter(zone=zones[1]))
            assert ct.list(Filter(zone=zones[1])) == []
            rounds[thread] += 1

    def guarded(body: Callable[[int], None], thread: int) -> None:
        try:
            body(thread)
        except BaseException as error:  # noqa: BLE001
            failures.append(error)

    work_once_before = [threading.Thread(target=guarded, args=(work, thread)) for thread in range(10)]
    descriptors = open_descriptors()
    for thread in work_once_before:
        thread.start()
    time.sleep(min(2.0, seconds() / 2))
    early = resident()
    for thread in work_once_before:
        thread.join(seconds() + 120)
        assert not thread.is_alive(), "a thread hangs"
    if failures:
        raise failures[0]
    assert all(rounds), rounds
    assert resident() < early + 30_000_000, "memory grows"
    assert len(ct.list(Filter(zone=999))) == len(run("conntrack", "-L", "-w", "999").splitlines()) == 200
    assert ct.count() == 200
    ct.close()
    assert open_descriptors() < descriptors, "descriptors are lost"
