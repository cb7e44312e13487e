# SPDX-License-Identifier: MIT OR Apache-2.0

"""What is compared: the peers, the operations, which peer knows which, and what libctrack promises itself."""

import dataclasses

from . import settings as settings_module

FLOOR = "raw"

# Events at a pace, with the defaults of each peer: what counts is how many of them it misses.
PACED = "events-paced"


@dataclasses.dataclass(frozen=True)
class Peer:
    """A program of the comparison. `ours` is the one of libctrack in the same language; for that, itself."""

    name: str
    language: str
    ours: str
    what: str
    operations: frozenset


def _peer(name, language, ours, what, operations):
    return Peer(name, language, ours, what, frozenset(operations.split()))


_LISTS = "list-zone list-pod-zone list-pod-address list-pod-mark"
_DELETES = "delete-zone delete-pod-zone delete-pod-address delete-pod-mark delete-one delete-pods"
_MEMORY = "decode-plain decode-counted decode-labels"
_GENERAL = "general-plain general-counted general-labels"
_BINDING = "list stream list-pod-zone list-pod-address list-pod-mark delete delete-pod-address delete-pods"

PEERS = {
    peer.name: peer
    for peer in (
        _peer(
            "raw",
            "C",
            "raw",
            "plain netlink loops that do the least possible: the floor",
            f"dump walk {_LISTS} {_DELETES} delete delete-without-id create flush flush-zone count empty events events-many "
            "events-paced",
        ),
        _peer(
            "ctrack",
            "C",
            "ctrack",
            "libctrack",
            f"list list-free stream {_LISTS} {_DELETES} delete delete-zone-uncounted create flush flush-zone count "
            "empty empty-delete format events events-many events-known events-paced watch-list watch-again",
        ),
        _peer(
            "lnfct",
            "C",
            "ctrack",
            "libnetfilter_conntrack",
            f"list list-free stream {_LISTS} {_DELETES} delete create flush empty empty-delete format events "
            f"events-paced {_MEMORY} {_GENERAL}",
        ),
        _peer(
            "conntrack",
            "C",
            "ctrack",
            "the conntrack program",
            f"stream {_LISTS} {_DELETES} empty empty-delete events events-paced",
        ),
        _peer("rust-ctrack", "Rust", "rust-ctrack", "the crate ctrack", f"list stream {_MEMORY} {_GENERAL}"),
        _peer("rust-netlink", "Rust", "rust-ctrack", "netlink-packet-netfilter", f"list stream {_MEMORY}"),
        _peer("go-ctrack", "Go", "go-ctrack", "the package ctrack for Go", _BINDING),
        _peer(
            "ti-mo",
            "Go",
            "go-ctrack",
            "github.com/ti-mo/conntrack",
            "list list-pod-zone list-pod-mark delete delete-pod-address delete-pods events events-paced",
        ),
        _peer(
            "vishvananda",
            "Go",
            "go-ctrack",
            "github.com/vishvananda/netlink",
            "list list-pod-zone delete delete-pod-address delete-pods",
        ),
        _peer(
            "florianl", "Go", "go-ctrack", "github.com/florianl/go-conntrack", "list list-pod-zone list-pod-mark"
        ),
        _peer("py-ctrack", "Python", "py-ctrack", "the package ctrack for Python", _BINDING),
        _peer("pyroute2", "Python", "py-ctrack", "pyroute2", _BINDING),
        _peer("nfct-ctypes", "Python", "py-ctrack", "libnetfilter_conntrack through ctypes", _BINDING),
    )
}

OURS = tuple(name for name, peer in PEERS.items() if peer.ours == name and name != FLOOR)


@dataclasses.dataclass(frozen=True)
class Operation:
    """How the table for an operation is made. `fill`: by which operation of `raw`.

    `table`: "size" or "table" entries. `calls`: what is counted are so many calls; `calls_slow`: by peers that walk the
    table for each. `emptied`: the table is flushed again, so that the kernel's allocator has pages at hand for everybody.
    `inside`: the operation runs in an empty namespace inside the full one. `recorded`: it reads a recorded dump instead.
    """

    fill: str = "fill"
    table: str = "size"
    calls: int = 0
    calls_slow: int = 0
    emptied: bool = False
    inside: bool = False
    recorded: str = ""


_pods = Operation(fill="fill-pods")
_small = Operation(table="table")
# Three for each connection that is made, marked and deleted; a queue of 64 MiB holds twice as many.
_events = Operation(table="table", calls=24000)
_inside = Operation(calls=1000, calls_slow=10, inside=True)

OPERATIONS = {
    **{op: Operation() for op in ("dump", "walk", "list", "list-free", "stream", "list-zone", "flush")},
    **{op: _pods for op in ("list-pod-zone", "list-pod-address", "list-pod-mark")},
    **{op: _pods for op in ("delete-pod-zone", "delete-pod-address", "delete-pod-mark", "delete-one", "delete-pods")},
    **{op: _small for op in ("delete", "delete-without-id", "delete-zone", "delete-zone-uncounted", "flush-zone")},
    "format": _small,
    "create": Operation(table="table", emptied=True),
    "count": Operation(table="table", calls=10000),
    **{op: _events for op in ("events", "events-many", "events-known")},
    PACED: Operation(table="table", calls=40002),
    **{op: Operation() for op in ("watch-list", "watch-again")},
    "empty": _inside,
    "empty-delete": _inside,
    **{op: Operation(recorded=op.partition("-")[2]) for op in f"{_MEMORY} {_GENERAL}".split()},
}

# Peers that ask the kernel for a dump even where the table is empty: a thousand times as slow.
WALKERS = ("lnfct", "conntrack")


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of the tables.

    `floor`: the operation of `raw` that it is held against, or "". `budget`: what libctrack's own C interface may cost
    of the floor; `budget_us`: or for a call, in microseconds. `goals`: how many times as fast as a peer the libctrack
    of its language must be. `ours`: which libctrack that is, where it is not that of the language.
    """

    op: str
    work: str
    floor: str
    budget: float = 0.0
    budget_us: float = 0.0
    goals: dict = dataclasses.field(default_factory=dict)
    ours: str = ""
    # It shows what is lost, and no times.
    lossy: bool = False


def rows(s: settings_module.Settings):
    """All rows, in the order of the tables."""
    size, table, known = s.size, s.table, s.known
    pods = size // 250
    memory = {"goals": {"lnfct": 20.0}, "ours": "rust-ctrack"}
    general = {"goals": {"lnfct": 10.0}, "ours": "rust-ctrack"}
    return (
        Row("dump", f"receive {size} entries unseen", "dump"),
        Row("walk", f"look at the headers of {size} entries", "dump"),
        Row(
            "list",
            f"list {size} entries, all kept",
            "dump",
            budget=1.15,
            goals={"ti-mo": 2.3, "vishvananda": 2.3, "pyroute2": 20.0},
        ),
        Row("list-free", f"list {size} entries and release them", "dump"),
        Row("stream", f"stream {size} entries", "dump", budget=1.03),
        Row("list-zone", f"list one zone, a tenth of {size}", "list-zone", budget=1.05),
        Row(
            "list-pod-zone",
            f"list 10 of {size} by zone",
            "list-pod-zone",
            budget=1.05,
            goals={"conntrack": 9.0},
        ),
        Row("list-pod-address", f"list 10 of {size} by IPv4 address", "list-pod-address", budget=1.05),
        Row("list-pod-mark", f"list 10 of {size} by mark", "list-pod-mark", budget=1.05),
        Row("delete-pod-zone", f"delete 10 of {size} by zone", "delete-pod-zone", budget=1.05),
        Row(
            "delete-pod-address",
            f"delete 10 of {size} by IPv4 address",
            "delete-pod-address",
            budget=1.05,
            goals={"vishvananda": 10.0},
        ),
        Row("delete-pod-mark", f"delete 10 of {size} by mark", "delete-pod-mark", budget=1.05),
        Row("delete-one", f"delete one of {size} by tuple and zone", "delete-one"),
        Row(
            "delete-pods",
            f"delete {10 * pods} of {size} by {pods} addresses",
            "delete-pods",
            budget=1.10,
            goals={"conntrack": float(pods)},
        ),
        Row(
            "delete",
            f"delete {known} known of {table}",
            "delete",
            budget=1.05,
            goals={"lnfct": 3.3, "ti-mo": 15.0},
        ),
        Row("delete-without-id", f"delete {known} known of {table} without the id", "delete"),
        Row("delete-zone", f"delete one zone, a tenth of {table}, counted", "delete-zone", budget=1.05),
        Row("delete-zone-uncounted", f"delete one zone, a tenth of {table}, uncounted", "flush-zone", budget=1.05),
        Row("create", f"create {table}", "create", budget=1.05),
        Row("flush", f"flush {size}", "flush", budget=1.02),
        Row("flush-zone", f"flush one zone, a tenth of {table}", "flush-zone"),
        Row("count", "count", "count"),
        Row("empty", "open, list nothing, close", "empty", budget_us=20.0),
        Row("empty-delete", "open, delete nothing, close", "empty", budget_us=20.0),
        Row(
            "events",
            "read an event that waits",
            "events",
            budget=1.0,
            goals={"lnfct": 1.7, "conntrack": 35.0, "ti-mo": 10.0},
        ),
        Row("events-many", "the same, beside recvmmsg()", "events-many", budget=1.12),
        Row("events-known", f"the same with a list of {table}", "events", budget=1.4),
        Row(PACED, "read 20,000 events a second", "", lossy=True),
        Row("watch-list", f"watch: the first list of {size}", "dump", budget=1.2),
        Row("watch-again", f"watch: list {size} again", "dump", budget=1.2),
        Row("decode-plain", f"decode {size} recorded entries", "", **memory),
        Row("decode-counted", f"decode {size} recorded entries with counters and times", "", **memory),
        Row("decode-labels", f"decode {size} recorded entries with counters, times and labels", "", **memory),
        Row("general-plain", f"decode {size} recorded entries attribute by attribute", "", **general),
        Row("general-counted", "the same with counters and times", "", **general),
        Row("general-labels", "the same with counters, times and labels", "", **general),
        Row("format", f"write {table} entries as lines of text", "", goals={"lnfct": 5.0}),
    )
