# SPDX-License-Identifier: MIT OR Apache-2.0

"""A small writer of SVG: text and lines that are readable on light and on dark ground."""

import math
from xml.sax.saxutils import escape, quoteattr

# Told apart by the colour-blind too, and visible on both grounds; with the shapes below, two peers never look the same.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#8a6fd1", "#7f7f7f")

_STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #24292f; }
  .title { font-size: 15px; font-weight: 600; }
  .small { font-size: 11px; }
  .ground { fill: #ffffff; }
  .axis { stroke: #57606a; stroke-width: 1; }
  .grid { stroke: #d0d7de; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .ground { fill: #0d1117; }
    .axis { stroke: #9198a1; }
    .grid { stroke: #30363d; }
  }
"""


class Picture:
    """Shapes, collected; `text()` is the file."""

    def __init__(self, width, height, title):
        self.width, self.height = width, height
        self._parts = []
        self._title = title
        self.words(16, 24, title, kind="title")

    def line(self, x1, y1, x2, y2, kind="", colour="", width=2.0):
        look = f'class="{kind}"' if kind else f'stroke="{colour}" stroke-width="{width:g}"'
        self._parts.append(f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {look}/>')

    def box(self, x, y, width, height, colour, faint=False):
        opacity = ' fill-opacity="0.45"' if faint else ""
        self._parts.append(
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{height:.1f}" fill="{colour}"{opacity}/>'
        )

    def words(self, x, y, text, anchor="start", kind="", turned=False):
        look = f" class={quoteattr(kind)}" if kind else ""
        look += f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
        self._parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{look}>{escape(str(text))}</text>')

    def path(self, points, colour, dashed=False):
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self._parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')

    def mark(self, x, y, colour, shape):
        """A mark of one of four shapes: disc, square, triangle, diamond."""
        outlines = {
            1: [(-4, -4), (4, -4), (4, 4), (-4, 4)],
            2: [(0, -5), (5, 4), (-5, 4)],
            3: [(0, -5.5), (5.5, 0), (0, 5.5), (-5.5, 0)],
        }
        if shape % 4 == 0:
            self._parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{colour}"/>')
            return
        joined = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in outlines[shape % 4])
        self._parts.append(f'<polygon points="{joined}" fill="{colour}"/>')

    def text(self):
        return (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.width}" height="{self.height:.0f}" '
            f'viewBox="0 0 {self.width} {self.height:.0f}" role="img" aria-label={quoteattr(self._title)}>\n'
            f"<style>{_STYLE}</style>\n"
            f'<rect class="ground" width="{self.width}" height="{self.height:.0f}"/>\n' + "\n".join(self._parts) + "\n</svg>\n"
        )


class Log:
    """A logarithmic scale from whole powers of ten that hold all values, onto pixels."""

    def __init__(self, values, start, end):
        low, high = min(values), max(values)
        self._low = math.floor(math.log10(low))
        self._high = max(math.ceil(math.log10(high)), self._low + 1)
        self._start, self._end = start, end

    def at(self, value):
        part = (math.log10(value) - self._low) / (self._high - self._low)
        return self._start + part * (self._end - self._start)

    def ticks(self):
        return [10.0**power for power in range(self._low, self._high + 1)]


class Linear:
    """A scale from 0 onto pixels, with about five round ticks."""

    def __init__(self, largest, start, end):
        self._largest, self._start, self._end = largest, start, end

    def at(self, value):
        return self._start + value / self._largest * (self._end - self._start)

    def ticks(self):
        rough = self._largest / 5
        power = 10 ** math.floor(math.log10(rough))
        step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
        return [step * i for i in range(int(self._largest / step) + 1)]


def spaced(places, gap):
    """Places for labels, in the same order, moved so that no two are closer than `gap`."""
    moved = list(places)
    order = sorted(range(len(places)), key=lambda i: places[i])
    for before, after in zip(order, order[1:]):
        moved[after] = max(moved[after], moved[before] + gap)
    return moved


def short(value):
    """A number for an axis: 1,000,000 is 1M, 0.001 is 0.001."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= limit:
            return f"{value / limit:g}{letter}"
    return f"{value:g}"
