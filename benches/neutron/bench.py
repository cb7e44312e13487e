# SPDX-License-Identifier: MIT OR Apache-2.0

"""ctrack.neutron beside a module that does the same with libnetfilter_conntrack (lnfct_module.py): processor time of a call.

Usage: bench.py [ROUNDS], in a network namespace of its own; run.sh does the rest. Prints the table of docs/neutron.md.

Time is user and system time of this process, which has no other thread. Both modules take turns, each after the same
preparation, and the first of a round changes. What counts is the median of the ratios of the rounds.
"""

import functools
import gc
import random
import statistics
import sys
import time

import ctrack
import lnfct_module
from ctrack import Entry, neutron

ZONE = 7
# Size of the table, and how many of its entries each operation is about.
CASES = ((10, 10), (1_000, 1_000), (20_000, 20_000), (100_000, 10), (100_000, 1_000))
SEED = 1


def entries(count):
    """Flows of a port as Neutron has them: from many addresses to some, TCP and UDP, some of IPv6, in one zone."""
    made = []
    for number in range(count):
        low, high = number & 0xFFFF, number >> 16
        if number % 5 == 4:
            src, dst = f"fd00:{high:x}::{low:x}", f"fd01::{number % 3 + 1}"
        else:
            src, dst = f"10.{high}.{low >> 8}.{low & 255}", f"192.168.0.{number % 3 + 1}"
        made.append(
            Entry(
                proto="udp" if number % 3 else "tcp",
                orig_src=src,
                orig_sport=1024 + number % 60_000,
                orig_dst=dst,
                orig_dport=80,
                zone=ZONE,
                timeout=3600,
            )
        )
    return made


def clocked(call):
    gc.collect()
    start = time.process_time_ns()
    result = call()
    return time.process_time_ns() - start, result


class Module:
    """A module to compare."""

    def __init__(self, name, module, flush):
        self.name, self.flush = name, flush
        self.list_entries, self.delete_entries = module.list_entries, module.delete_entries


OURS = Module("ctrack", neutron, lambda: neutron.flush_entries(everything=True))
THEIRS = Module("lnfct", lnfct_module, lnfct_module.flush_entries)


class Case:
    """A table of a size, of which some entries are given."""

    def __init__(self, table, size, given):
        self.table, self.given, self.size = table, given, size
        made = entries(size)
        table.create(made)
        self.known = neutron.list_entries(ZONE)
        self.entries = {as_tuple(entry): entry for entry in made}
        if self.entries.keys() != {*self.known}:
            sys.exit("bench: the table is not as it was made")
        self.times = {}

    def measure(self, operation, module, call):
        spent, result = clocked(call)
        self.times.setdefault((operation, module.name), []).append(spent)
        return result

    def round(self, first, choose):
        chosen = choose.sample(self.known, self.given)
        for module in (OURS, THEIRS) if first else (THEIRS, OURS):
            if self.given == self.size:
                listed = self.measure("list", module, functools.partial(module.list_entries, ZONE))
                expect(sorted(listed) == self.known, "list", module)
            self.measure("delete", module, functools.partial(module.delete_entries, chosen))
            expect(self.table.count() == self.size - self.given, "delete", module)
            self.table.create([self.entries[name] for name in chosen])
            if self.given == self.size:
                self.measure("flush", module, module.flush)
                expect(self.table.count() == 0, "flush", module)
                self.table.create(self.entries.values())

    def rows(self):
        for operation in ("list", "delete", "flush"):
            ours, theirs = (self.times.get((operation, module.name)) for module in (OURS, THEIRS))
            if ours:
                ratios = sorted(a / b for a, b in zip(ours, theirs))
                low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
                what = f"{operation} {self.given:,}" + ("" if self.given == self.size else f" of {self.size:,}")
                numbers = (f"{statistics.median(times) / 1e3:,.0f}" for times in (ours, theirs))
                yield (what, f"**{statistics.median(ratios):.2f}**", f"{low:.2f} to {high:.2f}", *numbers)


def expect(right, operation, module):
    if not right:
        sys.exit(f"bench: {operation} of {module.name} did something else")


def as_tuple(entry):
    version = 4 if entry.family == ctrack.Family.IPV4 else 6
    ports = (entry.orig_sport, entry.orig_dport)
    return (version, entry.proto.name.lower(), *ports, str(entry.orig_src), str(entry.orig_dst), ZONE)


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    choose = random.Random(SEED)
    print(f"{rounds} rounds (ten times as many to delete 10), seed {SEED}, libctrack {ctrack.version()}\n")
    print("| operation | ctrack / lnfct | 10th to 90th percentile | ctrack, µs | lnfct, µs |\n|---|---|---|---|---|")
    with ctrack.open() as table:
        for size, given in CASES:
            case = Case(table, size, given)
            for number in range(rounds * 10 if given == 10 else rounds):
                case.round(number % 2 == 0, choose)
            for row in case.rows():
                print(f"| {' | '.join(row)} |", flush=True)
            table.flush_all()


main()
