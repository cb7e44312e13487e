# SPDX-License-Identifier: MIT OR Apache-2.0

"""What the programs in Python share: the pods and samples of the table, the clock, and the line of results.

It is bench.h for Python; that says what everything means. The table itself is made by `raw`.
"""

import gc
import ipaddress
import resource
import struct
import sys
import time

POD_FLOWS = 10


def fail(text):
    """Says what went wrong and exits: a benchmark that failed has no result."""
    sys.exit(text)


def pod_count(total):
    pods = total // 25 // POD_FLOWS
    if pods == 0:
        fail(f"no pods in a table of {total}")
    return pods


def pod_address(pod):
    return str(ipaddress.IPv4Address(0xC0A80000 + pod))


def pod_zone(pod):
    return 1000 + pod


def pod_mark(pod):
    return 0x10000 + pod


class Sample:
    """Connections out of a table that `raw fill` made, scattered over all kinds and the hash table."""

    def __init__(self, known, size):
        self.wanted = {k * 611953 % size for k in range(known)}

    def has(self, src):
        """Tells by the bytes of its original source address whether a connection is one of the sample."""
        return int.from_bytes(src[-4:], "big") & 0xFFFFFF in self.wanted


_word = struct.Struct("=I").unpack_from


def reading(src, dst, sport, dport, proto, mark, status):
    """What a reader takes from an entry, seven fields added up; addresses as bytes, by the first four."""
    return _word(src)[0] + _word(dst)[0] + sport + dport + proto + mark + status


class Clock:
    """`with Clock() as clock:` around what is measured."""

    def __enter__(self):
        # What was prepared is collected first: it is not part of the operation.
        gc.collect()
        # Writing 5 sets the mark of the peak back.
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")
        self.before = resource.getrusage(resource.RUSAGE_SELF)
        self.start = time.monotonic_ns()
        return self

    def __exit__(self, *_):
        self.wall = time.monotonic_ns() - self.start
        after = resource.getrusage(resource.RUSAGE_SELF)
        self.user = round((after.ru_utime - self.before.ru_utime) * 1e9)
        self.system = round((after.ru_stime - self.before.ru_stime) * 1e9)


def _peak_kb():
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    return fail("no VmHWM in /proc/self/status")


def main(peer, operations):
    """Runs the operation that the command line names and prints its line.

    An operation is called with the size of the table and how many known entries or pods to delete. It returns the
    clock, how many entries the time was spent on, what it counted itself, and its readings or 0.
    """
    if len(sys.argv) < 3:
        fail(f"usage: {peer} OPERATION SIZE [KNOWN or PODS]")
    op, size = sys.argv[1], int(sys.argv[2])
    if len(sys.argv) > 3:
        some = int(sys.argv[3])
    else:
        some = pod_count(size) if op == "delete-pods" else 0
    if op not in operations:
        fail(f"no operation {op}")
    clock, n, check, total = operations[op](size, some)
    print(
        f"peer={peer} op={op} n={n} wall_ns={clock.wall} user_ns={clock.user} sys_ns={clock.system} "
        f"peak_kb={_peak_kb()} check={check} sum={total}"
    )
