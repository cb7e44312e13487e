#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is in each conntrack zone: how many entries, of which protocols, in which states, and who began most of them.

    zone_report.py [--top N] [--json] [--netns NETNS]

One pass over the table. Memory does not grow with it: of each zone the report keeps counts, and of the addresses as many as
it needs to name the top ones. With more different addresses than that their counts may be too large, by no more than is shown.
"""

from __future__ import annotations

import argparse
import heapq
import json
import sys
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import ctrack

#: How many addresses are kept of each zone.
KEPT = 1024


class Top:
    """The most frequent of many values, in constant memory."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._counts: Counter[Any] = Counter()
        self._floor = 0

    def add(self, value: Any) -> None:
        """Counts a value."""
        if value not in self._counts and len(self._counts) >= self._kept:
            # Half of them go at once: cheaper than one at a time, and their counts are what newcomers may have missed.
            leaving = heapq.nsmallest(len(self._counts) // 2, self._counts.items(), key=lambda item: item[1])
            self._floor = max(self._floor, leaving[-1][1])
            for old, _ in leaving:
                del self._counts[old]
        if value not in self._counts:
            self._counts[value] = self._floor
        self._counts[value] += 1

    def most(self, count: int) -> list[tuple[Any, int]]:
        """The most frequent values and how often they came; none of them is more frequent than is said."""
        return heapq.nsmallest(count, self._counts.items(), key=lambda item: (-item[1], str(item[0])))

    @property
    def too_many(self) -> int:
        """By how much a count may be too large."""
        return self._floor


@dataclass
class Zone:
    """What is known of one zone."""

    entries: int = 0
    protocols: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    talkers: Top = field(default_factory=Top)

    def add(self, entry: ctrack.Entry) -> None:
        """Counts an entry."""
        self.entries += 1
        self.protocols[entry.proto.name.lower() if isinstance(entry.proto, ctrack.Proto) else str(entry.proto)] += 1
        self.states[state_of(entry)] += 1
        self.talkers.add(entry.orig_src)


def state_of(entry: ctrack.Entry) -> str:
    """The state of a TCP entry; of others, whether they were answered."""
    state = entry.tcp_state
    if state is not None:
        return state.name if isinstance(state, ctrack.TcpState) else str(state)
    status = entry.status or 0
    if status & ctrack.Status.ASSURED:
        return "assured"
    return "replied" if status & ctrack.Status.SEEN_REPLY else "unreplied"


def by_frequency(counts: Counter[str]) -> dict[str, int]:
    """The most frequent first, equal ones by name."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def report(conntrack: ctrack.Conntrack) -> dict[int, Zone]:
    """One pass over the table. An entry with a zone for one direction only counts in that zone."""
    zones: dict[int, Zone] = {}
    for entry in conntrack.stream():
        zones.setdefault(entry.zone, Zone()).add(entry)
    return dict(sorted(zones.items()))


def as_json(zones: dict[int, Zone], top: int) -> str:
    """The report for programs."""
    return json.dumps(
        [
            {
                "zone": number,
                "entries": zone.entries,
                "protocols": by_frequency(zone.protocols),
                "states": by_frequency(zone.states),
                "top": [{"address": str(address), "entries": count} for address, count in zone.talkers.most(top)],
                "top_too_many": zone.talkers.too_many,
            }
            for number, zone in zones.items()
        ]
    )


def as_text(zones: dict[int, Zone], top: int) -> str:
    """The report for people."""
    lines = []
    for number, zone in zones.items():
        lines.append(f"zone {number}: {zone.entries} {'entry' if zone.entries == 1 else 'entries'}")
        for name, counts in (("protocols", zone.protocols), ("states", zone.states)):
            lines.append(f"  {name:<10}" + ", ".join(f"{key} {count}" for key, count in by_frequency(counts).items()))
        talkers = ", ".join(f"{address} {count}" for address, count in zone.talkers.most(top))
        unsure = f" (at most {zone.talkers.too_many} too many)" if zone.talkers.too_many else ""
        lines.append(f"  {'top':<10}{talkers}{unsure}")
    return "\n".join(lines) or "no entries"


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description="What is in each conntrack zone.")
    parser.add_argument("--top", type=int, default=5, metavar="N", help="how many addresses to name (5)")
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--netns", metavar="NETNS", help="the network namespace, by name (blue) or path (/run/netns/blue)")
    options = parser.parse_args()
    if not 0 <= options.top <= KEPT // 4:
        parser.error(f"--top is not from 0 to {KEPT // 4}")
    try:
        with ctrack.open(options.netns) as conntrack:
            zones = report(conntrack)
    except OSError as error:
        print(f"zone_report: {error.strerror}", file=sys.stderr)
        return 1
    print((as_json if options.json else as_text)(zones, options.top))
    return 0


if __name__ == "__main__":
    sys.exit(main())
