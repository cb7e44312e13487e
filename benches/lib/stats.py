# SPDX-License-Identifier: MIT OR Apache-2.0

"""Statistics and verdicts. Nothing here knows what was measured."""

import dataclasses
import statistics

MET, MISSED, UNCLEAR, TOO_WIDE = "met", "missed", "unclear", "spread too large"

# The middle half of the rounds may be so wide, as a part of the median, for a conclusion.
WIDEST = 0.1


@dataclasses.dataclass(frozen=True)
class Summary:
    """Ratios of several rounds."""

    median: float
    smallest: float
    largest: float
    rounds: int


def summary(values):
    return Summary(statistics.median(values), min(values), max(values), len(values))


def _judge(values, limit, at_least):
    """By the middle half of the rounds. None if that is too wide to conclude anything."""
    # One round is all of itself.
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else 3 * values
    if at_least and (min(values) >= limit or max(values) < limit):
        # Factors are large and wide; but all rounds lie on one side.
        return MET if min(values) >= limit else MISSED
    if high - low > WIDEST * middle:
        return None
    if at_least:
        return MET if low >= limit else MISSED if high < limit else UNCLEAR
    return MET if high <= limit else MISSED if low > limit else UNCLEAR


def verdict(times, cpu_times, limit, at_least=False):
    """Judges ratios of time; where others took too much of that, those of processor time. `limit` 0: only the spread."""
    result, suffix = _judge(times, limit, at_least), ""
    if result is None:
        result, suffix = _judge(cpu_times, limit, at_least), " in CPU time"
    if result is None:
        return TOO_WIDE
    return result + suffix if limit else ""


def disturbed(result):
    """Nothing in a peer sleeps: the kernel answers before send() returns. So time off the processor was others'."""
    cpu = result["user_ns"] + result["sys_ns"]
    return result["wall_ns"] > 3_000_000 and cpu < 0.95 * result["wall_ns"]
