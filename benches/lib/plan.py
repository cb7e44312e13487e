# SPDX-License-Identifier: MIT OR Apache-2.0

"""Which measurements a run consists of."""

import dataclasses

from .catalogue import FLOOR, OPERATIONS, PEERS, WALKERS, rows
from .settings import Wrong

# What ONLY calls the two series that are pictures and not rows of the table.
GROWTH, PODS = "growth", "pods"

GROWTH_SIZES = (10, 100, 1000, 10_000, 100_000, 1_000_000)

# Of the series; of the rows there are more.
SERIES_ROUNDS = 3

# Beyond this a peer would take minutes for one list.
GROWTH_MOST = {"pyroute2": 100_000}


@dataclasses.dataclass(frozen=True, order=True)
class Task:
    """One measurement, repeated in every round. `some`: how many known entries or pods are deleted, or 0."""

    peer: str
    op: str
    size: int
    some: int = 0
    series: bool = dataclasses.field(default=False, compare=False)

    @property
    def calls(self):
        """What the peer is told to be its size: of the table, or how many calls to make."""
        operation = OPERATIONS[self.op]
        if operation.calls_slow and self.peer in WALKERS:
            return operation.calls_slow
        return operation.calls or self.size


def row_task(settings, peer, op):
    """The measurement that a row of the table shows."""
    size = settings.size if OPERATIONS[op].table == "size" else settings.table
    some = 0
    if op == "delete-pods":
        some = settings.size // 250
    elif op in ("delete", "delete-without-id"):
        some = settings.known
    return Task(peer, op, size, some)


def growth_op(peer):
    """How a peer lists a whole table, or None."""
    if peer == FLOOR:
        return "dump"
    return next((op for op in ("list", "stream") if op in PEERS[peer].operations), None)


def growth_sizes(settings, limit):
    largest = settings.size if settings.quick else limit
    return [size for size in GROWTH_SIZES if size <= largest]


def pod_counts(settings):
    pods = settings.size // 250
    return sorted({count for count in (1, 10, 100, 1000) if count < pods} | {pods})


def tasks(settings, available, limit):
    """All measurements, of the peers that there are, on tables of at most `limit` entries."""
    known = {GROWTH, PODS, *OPERATIONS}
    strange = [name for name in settings.only if name not in known]
    if strange:
        raise Wrong(f"ONLY names no operation: {' '.join(strange)}; there are: {' '.join(sorted(known))}")
    chosen = [peer for peer in available if peer == FLOOR or not settings.peers or peer in settings.peers]

    def wanted(op):
        return not settings.only or op in settings.only

    # In this order; a measurement that a row and a series share is the row's, and has its rounds.
    found = {}
    for row in rows(settings):
        if not wanted(row.op):
            continue
        able = [peer for peer in chosen if row.op in PEERS[peer].operations]
        for peer in able:
            found.setdefault(row_task(settings, peer, row.op))
        if row.floor and able:
            found.setdefault(row_task(settings, FLOOR, row.floor))
    series = []
    if wanted(GROWTH):
        for peer in chosen:
            ops = [growth_op(peer)] + (["stream"] if peer == "ctrack" else [])
            for size in growth_sizes(settings, limit):
                series += [Task(peer, op, size, series=True) for op in ops if op and size <= GROWTH_MOST.get(peer, size)]
    if wanted(PODS):
        able = [peer for peer in chosen if "delete-pods" in PEERS[peer].operations]
        for count in pod_counts(settings):
            series += [Task(peer, "delete-pods", settings.size, count, series=True) for peer in able]
    for task in series:
        found.setdefault(task)
    return list(found)
