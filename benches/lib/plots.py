# SPDX-License-Identifier: MIT OR Apache-2.0

"""The pictures: time for an entry, time against the size of the table, delete of k of n, memory."""

from . import svg
from .catalogue import PEERS
from .plan import growth_op, growth_sizes, pod_counts, row_task, Task
from .report import number

_PEERS = tuple(PEERS)


def look(peer):
    """Colour and shape of a peer, the same in every picture."""
    at = _PEERS.index(peer)
    return svg.COLOURS[at % len(svg.COLOURS)], at // len(svg.COLOURS) + at % 4


def _ours(peer):
    return PEERS[peer].ours == peer


def duration(nanoseconds):
    for limit, unit in ((1e9, "s"), (1e6, "ms"), (1e3, "us")):
        if nanoseconds >= limit:
            return f"{number(nanoseconds / limit)} {unit}"
    return f"{nanoseconds:.0f} ns"


# --- Stacked bars ---

_WIDTH, _LEFT, _RIGHT = 860, 130, 150
# Bars beyond this many times the floor are cut, and say so; the others could not be told apart otherwise.
_CUT = 6


def time_per_entry(settings, results):
    """Stacked bars, user and kernel, of what costs one entry. None if none of it was measured."""
    panels = []
    for op, work in (
        ("list", f"list {settings.size} entries, all kept"),
        ("stream", f"stream {settings.size} entries, seven fields read"),
        ("delete", f"delete {settings.known} known of {settings.table}"),
    ):
        bars = []
        for peer in PEERS:
            own = "dump" if peer == "raw" and op != "delete" else op
            task = row_task(settings, peer, own)
            if results.of(task):
                bars.append((peer, results.median(task, "user"), results.median(task, "sys")))
        if any(peer != "raw" for peer, _, _ in bars):
            panels.append((work, bars))
    if not panels:
        return None
    height = 60 + sum(70 + 22 * len(bars) for _, bars in panels)
    picture = svg.Picture(_WIDTH, height, "Processor time for one entry")
    picture.words(_WIDTH - 16, 24, "full: kernel; faint: user", anchor="end", kind="small")
    top = 50
    for work, bars in panels:
        top = _bars(picture, top, work, bars)
    return picture.text()


def _bars(picture, top, work, bars):
    totals = [user + system for _, user, system in bars]
    cut = _CUT * min(total for total in totals if total > 0) if any(totals) else 1
    largest = max([total for total in totals if total <= cut], default=cut) * 1.05 or 1
    scale = svg.Linear(largest, _LEFT, _WIDTH - _RIGHT)
    picture.words(16, top + 8, work)
    bottom = top + 18 + 22 * len(bars)
    for tick in scale.ticks():
        picture.line(scale.at(tick), top + 18, scale.at(tick), bottom, kind="grid")
        picture.words(scale.at(tick), bottom + 14, svg.short(tick), anchor="middle", kind="small")
    picture.words(_WIDTH - _RIGHT + 10, bottom + 14, "ns for an entry", kind="small")
    for i, (peer, user, system) in enumerate(bars):
        y = top + 22 + 22 * i
        colour, _ = look(peer)
        total = user + system
        shrink = min(1, largest / total) if total else 1
        kernel_end = scale.at(system * shrink)
        picture.words(_LEFT - 8, y + 12, peer, anchor="end")
        picture.box(_LEFT, y, kernel_end - _LEFT, 16, colour)
        picture.box(kernel_end, y, scale.at(total * shrink) - kernel_end, 16, colour, faint=True)
        label = f"{total:,.0f}".replace(",", "\u202f")
        if shrink < 1:
            # Cut, with its parts as they are to each other.
            label += " \u00bb"
        picture.words(scale.at(total * shrink) + 6, y + 12, label, kind="small")
    picture.line(_LEFT, top + 18, _LEFT, bottom, kind="axis")
    return bottom + 52


# --- Lines ---


def lines(title, across, up, series):
    """Both axes logarithmic. `series`: by peer, points of both axes above 0. None if there are no two to join."""
    series = {peer: points for peer, points in series.items() if points}
    if all(len(points) < 2 for points in series.values()):
        return None
    width, height, left, right, top, bottom = _WIDTH, 520, 90, 190, 50, 460
    picture = svg.Picture(width, height, title)
    xs = svg.Log([x for points in series.values() for x, _ in points], left, width - right)
    ys = svg.Log([y for points in series.values() for _, y in points], bottom, top)
    for tick in xs.ticks():
        picture.line(xs.at(tick), top, xs.at(tick), bottom, kind="grid")
        picture.words(xs.at(tick), bottom + 18, svg.short(tick), anchor="middle", kind="small")
    for tick in ys.ticks():
        picture.line(left, ys.at(tick), width - right, ys.at(tick), kind="grid")
        picture.words(left - 8, ys.at(tick) + 4, duration(tick), anchor="end", kind="small")
    picture.line(left, bottom, width - right, bottom, kind="axis")
    picture.line(left, top, left, bottom, kind="axis")
    picture.words((left + width - right) / 2, height - 20, across, anchor="middle")
    picture.words(22, (top + bottom) / 2, up, anchor="middle", turned=True)
    ends = []
    for peer, points in series.items():
        colour, shape = look(peer)
        places = [(xs.at(x), ys.at(y)) for x, y in points]
        picture.path(places, colour, dashed=not _ours(peer))
        for x, y in places:
            picture.mark(x, y, colour, shape)
        ends.append(places[-1])
    for (peer, (x, y)), at in zip(zip(series, ends), svg.spaced([y for _, y in ends], 17)):
        colour, shape = look(peer)
        picture.line(x + 6, y, width - right + 14, at, colour=colour, width=0.7)
        picture.mark(width - right + 20, at, colour, shape)
        picture.words(width - right + 30, at + 4, peer)
    return picture.text()


def growth(settings, results, limit):
    series = {}
    for peer in PEERS:
        op = growth_op(peer)
        sizes = sorted({*growth_sizes(settings, limit), settings.size}) if op else []
        times = [(size, results.median(Task(peer, op, size))) for size in sizes]
        series[peer] = [(size, time * size) for size, time in times if time]
    return lines("Time to list a whole table", "entries in the table", "time", series)


def delete_of(settings, results):
    series = {}
    for peer in PEERS:
        times = [(k, results.median(Task(peer, "delete-pods", settings.size, k))) for k in pod_counts(settings)]
        series[peer] = [(k, time * 10 * k) for k, time in times if time]
    return lines(
        f"Time to delete the entries of k addresses out of {settings.size}, ten each", "k addresses", "time", series
    )


# --- Memory ---


def memory(settings, results):
    """The largest resident size, on a logarithmic scale."""
    found = []
    for peer in PEERS:
        ops = [("list", "list"), ("stream", "stream")] if peer != "raw" else [("dump", "dump")]
        for op, name in ops:
            peak = results.peak_mb(row_task(settings, peer, op))
            if peak:
                found.append((peer, name, peak))
    if not found:
        return None
    height = 110 + 22 * len(found)
    picture = svg.Picture(_WIDTH, height, f"Largest resident memory for {settings.size} entries")
    left, top, bottom = 180, 50, 54 + 22 * len(found)
    scale = svg.Log([1, *(peak for *_, peak in found)], left, _WIDTH - 100)
    for tick in scale.ticks():
        picture.line(scale.at(tick), top, scale.at(tick), bottom, kind="grid")
        picture.words(scale.at(tick), bottom + 16, svg.short(tick), anchor="middle", kind="small")
    picture.words((left + _WIDTH - 100) / 2, bottom + 38, "MB", anchor="middle")
    picture.line(left, top, left, bottom, kind="axis")
    for i, (peer, op, peak) in enumerate(found):
        y = top + 14 + 22 * i
        colour, shape = look(peer)
        picture.words(left - 8, y + 4, f"{peer}, {op}", anchor="end")
        picture.line(left, y, scale.at(peak), y, colour=colour)
        picture.mark(scale.at(peak), y, colour, shape)
        picture.words(scale.at(peak) + 10, y + 4, f"{number(peak)}", kind="small")
    return picture.text()
