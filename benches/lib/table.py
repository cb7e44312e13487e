# SPDX-License-Identifier: MIT OR Apache-2.0

"""From single results to the lines of the tables: ratios, their spread and what they mean."""

import dataclasses
import statistics

from . import stats
from .catalogue import FLOOR, PACED, PEERS
from .plan import row_task


class Results:
    """All results of a run, by task and round."""

    def __init__(self, results):
        self._by_task = {}
        for result in results:
            key = (result["peer"], result["op"], result["size"], result["some"])
            self._by_task.setdefault(key, {})[result["round"]] = result

    def of(self, task):
        """The results of a task by round; empty if there are none."""
        return self._by_task.get((task.peer, task.op, task.size, task.some), {})

    def per_entry(self, task, what):
        """Nanoseconds for an entry (or call) by round. `what`: "wall", "cpu", "user" or "sys"."""
        return {number: _nanoseconds(result, what) / result["n"] for number, result in self.of(task).items()}

    def median(self, task, what="wall"):
        values = self.per_entry(task, what)
        return statistics.median(values.values()) if values else None

    def peak_mb(self, task):
        peaks = [result["peak_kb"] for result in self.of(task).values()]
        return max(peaks) / 1024 if peaks else None


def _nanoseconds(result, what):
    if what == "cpu":
        return result["user_ns"] + result["sys_ns"]
    return result[f"{what}_ns"]


def ratios(results, upper, lower, what):
    """Of one task to another, in each round that has both."""
    above, below = results.per_entry(upper, what), results.per_entry(lower, what)
    # Of a short operation the kernel may have seen no processor time at all.
    return [above[number] / below[number] for number in sorted(above) if below.get(number)]


@dataclasses.dataclass(frozen=True)
class FloorLine:
    """How a peer stands beside the floor."""

    op: str
    work: str
    peer: str
    ratio: stats.Summary
    cpu: float
    budget: str
    verdict: str
    user: float
    kernel: float
    peak_mb: float


@dataclasses.dataclass(frozen=True)
class PeerLine:
    """How many times as fast as a peer the libctrack of its language is."""

    op: str
    work: str
    ours: str
    peer: str
    factor: stats.Summary
    cpu: float
    goal: str
    verdict: str


def floor_lines(settings, rows, results):
    """Beside the floor. QUICK judges nothing."""
    lines = []
    for row in (row for row in rows if row.floor):
        floor = row_task(settings, FLOOR, row.floor)
        for peer in PEERS:
            task = row_task(settings, peer, row.op)
            if results.of(task) and results.of(floor):
                line = _floor_line(row, task, floor, results)
                lines.append(dataclasses.replace(line, verdict="") if settings.quick else line)
    return lines


def _floor_line(row, task, floor, results):
    values = ratios(results, task, floor, "wall")
    if task == floor:
        # The floor beside its own median: how steady the machine was.
        middle = results.median(floor)
        values = [value / middle for value in results.per_entry(floor, "wall").values()]
    cpu = ratios(results, task, floor, "cpu") or [0.0]
    budget = verdict = ""
    if task.peer == "ctrack" and row.budget_us:
        budget = f"<= {row.budget_us:g} us"
        wall, processor = ([v / 1000 for v in results.per_entry(task, what).values()] for what in ("wall", "cpu"))
        verdict = f"{stats.verdict(wall, processor, row.budget_us)}: {statistics.median(wall):.1f} us"
    elif task != floor:
        limit = row.budget if task.peer == "ctrack" else 0
        budget = f"<= {limit:g}" if limit else ""
        verdict = stats.verdict(values, cpu, limit)
    return FloorLine(
        op=row.op,
        work=row.work,
        peer=task.peer,
        ratio=dataclasses.replace(stats.summary(values), median=results.median(task) / results.median(floor)),
        cpu=statistics.median(cpu),
        budget=budget,
        verdict=verdict,
        user=statistics.fmean(results.per_entry(task, "user").values()),
        kernel=statistics.fmean(results.per_entry(task, "sys").values()),
        peak_mb=results.peak_mb(task),
    )


def peer_lines(settings, rows, results):
    """Beside the peers, each beside the libctrack of its language. QUICK judges nothing."""
    lines = []
    for row in (row for row in rows if not row.lossy):
        for name, peer in PEERS.items():
            task = row_task(settings, name, row.op)
            ours = row_task(settings, row.ours or peer.ours, row.op)
            if name in (ours.peer, FLOOR) or peer.ours == name or not results.of(task) or not results.of(ours):
                continue
            wall, cpu = (ratios(results, task, ours, what) for what in ("wall", "cpu"))
            goal = row.goals.get(name, 0)
            lines.append(
                PeerLine(
                    op=row.op,
                    work=row.work,
                    ours=ours.peer,
                    peer=name,
                    factor=stats.summary(wall),
                    cpu=statistics.median(cpu or [0.0]),
                    goal=f">= {goal:g}" if goal else "",
                    verdict="" if settings.quick else stats.verdict(wall, cpu or wall, goal, at_least=True),
                )
            )
    return lines


def lost_lines(settings, results):
    """By peer: the part of the events at a pace that it missed, the median of the rounds. None if not measured."""
    lost = {}
    for peer in PEERS:
        rounds = results.of(row_task(settings, peer, PACED)).values()
        if rounds:
            lost[peer] = statistics.median(1 - result["check"] / result["n"] for result in rounds)
    return lost or None


# What a streamed list may need, whatever the size of the table.
STREAM_MB = 4


def stream_memory(results, tasks):
    """Peaks of libctrack's stream by size of the table, and whether they keep the promise; None if not measured."""
    peaks = {task.size: results.peak_mb(task) for task in tasks if (task.peer, task.op) == ("ctrack", "stream")}
    peaks = {size: peak for size, peak in sorted(peaks.items()) if peak is not None}
    if not peaks:
        return None
    return peaks, stats.MET if max(peaks.values()) <= STREAM_MB else stats.MISSED
