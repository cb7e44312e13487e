# SPDX-License-Identifier: MIT OR Apache-2.0

"""The pictures, drawn by gnuplot: time for an entry, time against the size of the table, delete of k of n, memory."""

import json
import os
import shutil
import subprocess

from .catalogue import PEERS
from .plan import Task, growth_op, growth_sizes, pod_counts, row_task
from .report import number

GNUPLOT = shutil.which("gnuplot")

# Told apart by the colour-blind too; with the shapes (disc, square, triangle, diamond), two peers never look the same.
_COLOURS = (0x0072B2, 0xD55E00, 0x009E73, 0xCC79A7, 0xB8860B, 0x56B4E9, 0x8A6FD1, 0x7F7F7F)
_SHAPES = (7, 5, 9, 13)

# Of text and axes. The ground is the reader's own: this is seen on a light one and on a dark one.
INK = "#7a828e"

_STYLE = f"""
set encoding utf8
set border 3 linecolor rgb "{INK}"
set tics nomirror textcolor rgb "{INK}"
set grid linecolor rgb "{INK}" dashtype 3
set xlabel textcolor rgb "{INK}"
set ylabel textcolor rgb "{INK}"
set title textcolor rgb "{INK}"
set key outside right center textcolor rgb "{INK}"
"""

# A line for each row, the first on top.
_ROWS = """
unset key
unset grid
set lmargin 24
set rmargin 14
"""


def look(peer):
    """Colour and shape of a peer, the same in every picture."""
    at = list(PEERS).index(peer)
    return _COLOURS[at % len(_COLOURS)], _SHAPES[(at // len(_COLOURS) + at) % len(_SHAPES)]


def draw(height, tables, script):
    """The picture as SVG; None without gnuplot. `tables`: rows of data, which are $T0, $T1 and so on in the script."""
    if not GNUPLOT:
        return None
    text = [f'set terminal svg size 860,{height} dynamic noenhanced font "sans-serif,12"', _STYLE]
    for at, rows in enumerate(tables):
        text += [f"$T{at} << END", *(" ".join(json.dumps(cell, ensure_ascii=False) for cell in row) for row in rows), "END"]
    utf8 = {**os.environ, "LC_ALL": "C.UTF-8"}
    script = "\n".join([*text, script])
    drawn = subprocess.run([GNUPLOT], input=script, stdout=subprocess.PIPE, encoding="utf-8", env=utf8, check=True)
    return drawn.stdout


# Bars beyond this many times the smallest are cut, and say so; the others could not be told apart otherwise.
_CUT = 6


def time_per_entry(settings, results):
    """Stacked bars, user and kernel, of what costs one entry. None if none of it was measured."""
    tables, panels = [], ""
    for op, work in (
        ("list", f"list {settings.size} entries, all kept"),
        ("stream", f"stream {settings.size} entries, seven fields read"),
        ("delete", f"delete {settings.known} known of {settings.table}"),
    ):
        bars = []
        for peer in PEERS:
            task = row_task(settings, peer, "dump" if peer == "raw" and op != "delete" else op)
            if results.of(task):
                system, user = results.median(task, "sys"), results.median(task, "user")
                bars.append((peer, system, system + user))
        if all(peer == "raw" for peer, *_ in bars):
            continue
        # Of a short operation the kernel may have seen no processor time at all.
        cut = _CUT * min((total for *_, total in bars if total), default=1)
        edge = max((total for *_, total in bars if total <= cut), default=0) or 1
        rows = []
        for peer, system, total in bars:
            # Cut, with its parts as they are to each other.
            shrink = min(1, edge / total) if total else 1
            label = f"{total:,.0f}".replace(",", "\u202f") + (" \u00bb" if shrink < 1 else "")
            rows.append((peer, system * shrink, total * shrink, label, look(peer)[0]))
        data = f"$T{len(tables)} using"
        panels += f"""
            set title "{work}"
            set xrange [0:{edge * 1.05}]
            set yrange [{len(rows) - 0.4}:-0.6]
            plot {data} 2:0:(0):2:($0-.35):($0+.35):5:ytic(1) with boxxyerror linecolor rgb variable fillstyle solid, \\
                {data} 3:0:2:3:($0-.35):($0+.35):5 with boxxyerror linecolor rgb variable fillstyle solid 0.4, \\
                {data} 3:0:4 with labels left offset 1,0 textcolor rgb "{INK}"
        """
        tables.append(rows)
    if not tables:
        return None
    title = f'"Processor time for one entry (full: kernel, faint: user)" textcolor rgb "{INK}"'
    begin = f'set xlabel "ns for an entry"\nset multiplot layout {len(tables)},1 title {title}\n'
    return draw(50 + len(tables) * (95 + 22 * max(map(len, tables))), tables, _ROWS + begin + panels)


def memory(settings, results):
    """The largest resident size, on a logarithmic scale. None if it was not measured."""
    rows = []
    for peer in PEERS:
        for op in ("dump",) if peer == "raw" else ("list", "stream"):
            peak = results.peak_mb(row_task(settings, peer, op))
            if peak:
                rows.append((f"{peer}, {op}", peak, number(peak), *look(peer)))
    if not rows:
        return None
    script = f"""
        set title "Largest resident memory for {settings.size} entries"
        set xlabel "MB"
        set logscale x
        set xrange [1:]
        set yrange [{len(rows) - 0.4}:-0.6]
        plot $T0 using 2:0:(1):2:($0-.03):($0+.03):4:ytic(1) with boxxyerror linecolor rgb variable fillstyle solid, \\
            $T0 using 2:0:5:4 with points pointtype variable linecolor rgb variable, \\
            $T0 using 2:0:3 with labels left offset 1,0 textcolor rgb "{INK}"
    """
    return draw(110 + 22 * len(rows), [rows], _ROWS + script)


def lines(title, across, series):
    """Both axes logarithmic. `series`: by peer, points of both axes above 0. None if there are no two to join."""
    series = {peer: points for peer, points in series.items() if points}
    if all(len(points) < 2 for points in series.values()):
        return None
    plots = []
    for at, peer in enumerate(series):
        colour, shape = look(peer)
        dash = 1 if PEERS[peer].ours == peer else 2
        style = f"linecolor rgb {colour} pointtype {shape} dashtype {dash}"
        plots.append(f'$T{at} using 1:2 title "{peer}" with linespoints {style}')
    script = f"""
        set title "{title}"
        set xlabel "{across}"
        set ylabel "time"
        set logscale xy
        set format x "%.0s%c"
        set format y "%.0s %cs"
        plot {", ".join(plots)}
    """
    return draw(520, series.values(), script)


def growth(settings, results, limit):
    series = {}
    for peer in PEERS:
        op = growth_op(peer)
        sizes = sorted({*growth_sizes(settings, limit), settings.size}) if op else []
        times = [(size, results.median(Task(peer, op, size))) for size in sizes]
        series[peer] = [(size, time * size / 1e9) for size, time in times if time]
    return lines("Time to list a whole table", "entries in the table", series)


def delete_of(settings, results):
    series = {}
    for peer in PEERS:
        times = [(k, results.median(Task(peer, "delete-pods", settings.size, k))) for k in pod_counts(settings)]
        series[peer] = [(k, time * 10 * k / 1e9) for k, time in times if time]
    return lines(f"Time to delete the entries of k addresses out of {settings.size}, ten each", "k addresses", series)


def pictures(settings, results, limit):
    """By name of the file: what it shows, and the picture or None."""
    return {
        "time-per-entry.svg": ("processor time for an entry by peer", time_per_entry(settings, results)),
        "growth.svg": ("time against the size of the table", growth(settings, results, limit)),
        "delete-of.svg": ("time to delete k of n", delete_of(settings, results)),
        "memory.svg": ("largest resident memory by peer", memory(settings, results)),
    }
