#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is in each conntrack zone: how many entries, of which protocols, in which states, and who began most of them.

    zone_report.py [--top N] [--json] [--netns NETNS] [--watch [SECONDS]]

One pass over the table. Memory does not grow with it: of each zone the report keeps counts, and of the addresses as many as
it needs to name the top ones. With more different addresses than that their counts may be too large, by no more than is shown.

With --watch it lists once and then adds up what changes: a report whenever something did, at most one in so many seconds, until
Ctrl-C. It has no states, which change while an entry lives, and keeps all addresses, so that it can take off those that go. The
kernel may be silent of entries that were made before anybody listened: half a minute later it is known that they are gone.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable
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

    def remove(self, value: Any) -> None:
        """Takes back a value that was counted. Exact as long as all values are kept."""
        self._counts[value] -= 1
        if not self._counts[value]:
            del self._counts[value]

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
        self.protocols[protocol_of(entry)] += 1
        self.states[state_of(entry)] += 1
        self.talkers.add(entry.orig_src)


@dataclass
class Watched(Zone):
    """A zone that entries leave, too."""

    talkers: Top = field(default_factory=lambda: Top(kept=sys.maxsize))

    def add(self, entry: ctrack.Entry) -> None:
        """Counts an entry, but not its state: that changes."""
        self.entries += 1
        self.protocols[protocol_of(entry)] += 1
        self.talkers.add(entry.orig_src)

    def remove(self, entry: ctrack.Entry) -> None:
        """Takes back an entry that was counted."""
        self.entries -= 1
        self.protocols -= Counter([protocol_of(entry)])
        self.talkers.remove(entry.orig_src)


def protocol_of(entry: ctrack.Entry) -> str:
    """The name of a protocol, or its number."""
    return entry.proto.name.lower() if isinstance(entry.proto, ctrack.Proto) else str(entry.proto)


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


class Following:
    """The same from the events of a watch with sync."""

    def __init__(self) -> None:
        self.zones: dict[int, Watched] = {}
        #: Whether a report would tell news, and whether it would be right: after a loss it is not until the list was repaired.
        self.changed = True
        self.synced = False

    def take(self, event: ctrack.Event) -> None:
        """Adds an event. Of each entry that goes it was told before that it is there."""
        if event.kind in (ctrack.EventKind.LOST, ctrack.EventKind.SYNCED):
            self.synced = event.kind == ctrack.EventKind.SYNCED
        entry = event.entry
        if entry is None:
            return
        if event.kind == ctrack.EventKind.NEW:
            self.zones.setdefault(entry.zone, Watched()).add(entry)
        elif event.kind == ctrack.EventKind.DESTROY:
            zone = self.zones[entry.zone]
            zone.remove(entry)
            if not zone.entries:
                del self.zones[entry.zone]
        else:
            return
        self.changed = True


def follow(
    watch: ctrack.Watch, interval: float, show: Callable[[dict[int, Zone]], None], clock: Callable[[], float] = time.monotonic
) -> None:
    """Shows a report whenever something changed, at most one in an interval, until the watch is woken while nothing is to be shown."""
    following = Following()
    due = clock()
    while True:
        waiting = following.changed and following.synced
        events = watch.next_batch(timeout=max(0, due - clock()) if waiting else None)
        if not events and not waiting:
            return
        for event in events:
            following.take(event)
        if following.changed and following.synced and clock() >= due:
            show(dict(sorted(following.zones.items())))
            following.changed = False
            due = clock() + interval


def as_json(zones: dict[int, Zone], top: int) -> str:
    """The report for programs."""
    return json.dumps(
        [
            {
                "zone": number,
                "entries": zone.entries,
                "protocols": by_frequency(zone.protocols),
                **({"states": by_frequency(zone.states)} if zone.states else {}),
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
            if counts:
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
    parser.add_argument(
        "--watch",
        nargs="?",
        type=float,
        const=1.0,
        metavar="SECONDS",
        help="go on, with a report at most every so many seconds (1)",
    )
    options = parser.parse_args()
    if not 0 <= options.top <= KEPT // 4:
        parser.error(f"--top is not from 0 to {KEPT // 4}")
    if options.watch is not None and not 0 <= options.watch < math.inf:
        parser.error("--watch is no time in seconds")
    write = as_json if options.json else as_text
    try:
        if options.watch is None:
            with ctrack.open(options.netns) as conntrack:
                print(write(report(conntrack), options.top))
        else:
            # Entries stay in their zone: other changes are of no interest.
            with ctrack.Watch(netns=options.netns, sync=True, kinds=["NEW", "DESTROY"]) as watch:
                follow(watch, options.watch, lambda zones: print(write(zones, options.top), flush=True))
    except KeyboardInterrupt:
        return 130 if options.watch is None else 0
    except OSError as error:
        print(f"zone_report: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
