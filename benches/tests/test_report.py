# SPDX-License-Identifier: MIT OR Apache-2.0

import dataclasses
import re
import unittest
import unittest.mock
import xml.etree.ElementTree as xml

from lib import build, catalogue, plan, plots, report, table

from .support import SETTINGS, result

MACHINE = {"kernel": "6.18", "processors": 2, "processor": "a processor", "buckets": 262144}


def rows(*ops):
    return [row for row in catalogue.rows(SETTINGS) if row.op in ops]


def three(peer, op, walls, **more):
    return [
        result(peer, op, number, wall_ns=wall, sys_ns=more.get("cpu", wall), **{k: v for k, v in more.items() if k != "cpu"})
        for number, wall in enumerate(walls, 1)
    ]


class Tables(unittest.TestCase):
    def setUp(self):
        self.results = table.Results(
            three("raw", "dump", [1000, 1000, 1000])
            + three("ctrack", "list", [1100, 1100, 1120])
            + three("lnfct", "list", [2200, 2200, 2240])
            + three("go-ctrack", "list", [2000, 2000, 2000])
            + three("ti-mo", "list", [6000, 6000, 6000])
        )

    def test_a_peer_beside_the_floor_is_the_quotient_of_the_medians(self):
        lines = {line.peer: line for line in table.floor_lines(SETTINGS, rows("list"), self.results)}
        self.assertAlmostEqual(lines["ctrack"].ratio.median, 1.1)
        self.assertAlmostEqual(lines["ctrack"].ratio.largest, 1.12)
        self.assertEqual((lines["ctrack"].budget, lines["ctrack"].verdict), ("<= 1.15", "met"))
        self.assertEqual((lines["lnfct"].budget, lines["lnfct"].verdict), ("", ""))

    def test_a_peer_is_held_against_the_libctrack_of_its_language(self):
        lines = {line.peer: line for line in table.peer_lines(SETTINGS, rows("list"), self.results)}
        self.assertEqual({name: line.ours for name, line in lines.items()}, {"lnfct": "ctrack", "ti-mo": "go-ctrack"})
        self.assertAlmostEqual(lines["lnfct"].factor.median, 2.0)
        self.assertEqual((lines["ti-mo"].goal, lines["ti-mo"].verdict), (">= 2.3", "met"))

    def test_an_entry_counts_and_not_a_run_where_a_peer_was_given_fewer_calls(self):
        results = table.Results(
            three("raw", "empty", [1000] * 3, n=1000, check=0)
            + three("ctrack", "empty", [2000] * 3, n=1000, check=0)
            + three("lnfct", "empty", [2000] * 3, n=10, check=0)
        )
        lines = {line.peer: line for line in table.peer_lines(SETTINGS, rows("empty"), results)}
        self.assertAlmostEqual(lines["lnfct"].factor.median, 100)

    def test_the_decoder_of_the_crate_stands_for_libctrack_in_memory(self):
        results = table.Results(three("rust-ctrack", "decode-plain", [30] * 3) + three("lnfct", "decode-plain", [700] * 3))
        (line,) = table.peer_lines(SETTINGS, rows("decode-plain"), results)
        self.assertEqual((line.ours, line.peer, line.goal, line.verdict), ("rust-ctrack", "lnfct", ">= 20", "met"))

    def test_the_empty_table_has_a_budget_in_microseconds(self):
        slow = three("raw", "empty", [1000] * 3, check=0) + three("ctrack", "empty", [21_000_000] * 3, check=0)
        lines = {line.peer: line for line in table.floor_lines(SETTINGS, rows("empty"), table.Results(slow))}
        self.assertEqual((lines["ctrack"].budget, lines["ctrack"].verdict), ("<= 20 us", "missed: 21.0 us"))

    def test_a_round_that_the_other_one_lacks_is_not_compared(self):
        results = table.Results(three("raw", "dump", [1000, 2000, 4000]) + three("pyroute2", "list", [9000]))
        (line,) = [line for line in table.floor_lines(SETTINGS, rows("list"), results) if line.peer == "pyroute2"]
        self.assertEqual((line.ratio.rounds, line.ratio.smallest, line.ratio.largest), (1, 9.0, 9.0))

    def test_quick_judges_nothing(self):
        quick = dataclasses.replace(SETTINGS, quick=True)
        for lines in (table.floor_lines, table.peer_lines):
            self.assertEqual({line.verdict for line in lines(quick, rows("list"), self.results)}, {""})

    def test_a_stream_that_needs_more_than_four_megabytes_misses_its_promise(self):
        tasks = [plan.Task("ctrack", "stream", size) for size in (10, 1000)]
        for peak, verdict in ((4096, "met"), (4097, "missed")):
            found = [{**result("ctrack", "stream"), "size": 10}, result("ctrack", "stream", peak_kb=peak)]
            self.assertEqual(table.stream_memory(table.Results(found), tasks)[1], verdict)

    def test_the_report_names_what_is_missing_and_what_failed(self):
        built = build.Built(missing={"lnfct": "no header"})
        data = {
            "floor": table.floor_lines(SETTINGS, rows("list"), self.results),
            "peer": table.peer_lines(SETTINGS, rows("list"), self.results),
            "memory": None,
            "lost": {"ctrack": 0.0, "lnfct": 0.1464},
            "noise": "",
        }
        text = report.markdown(SETTINGS, MACHINE, built, ["ti-mo delete: it broke"], data, [("a.svg", "a picture")])
        for part in (
            "- lnfct (libnetfilter_conntrack) was not measured: no header",
            "- left out after a failure: ti-mo delete: it broke",
            "![a picture](a.svg)",
            "ctrack 0.0 %, lnfct 14.6 %",
            "| list 1000 entries, all kept | ctrack | 1.100 | 1.100 to 1.120 | 1.100 | <= 1.15 | met |",
            "| list 1000 entries, all kept | go-ctrack | ti-mo | 3.00 | 3.00 to 3.00 | 3.00 | >= 2.3 | met |",
        ):
            self.assertIn(part, text)

    def test_every_line_of_a_table_has_as_many_cells_as_its_head(self):
        for lines in (
            report.floor_table(table.floor_lines(SETTINGS, rows("list"), self.results)),
            report.peer_table(table.peer_lines(SETTINGS, rows("list"), self.results)),
        ):
            self.assertEqual(len({line.count("|") for line in lines if line}), 1)


def everything():
    """A result of every peer for every operation, on every table of the series."""
    found = []
    for task in plan.tasks(SETTINGS, list(catalogue.PEERS), 1_000_000):
        cost = 1 + list(catalogue.PEERS).index(task.peer) ** 3
        values = {"n": 1000, "wall_ns": cost * 1000, "user_ns": cost * 300, "sys_ns": cost * 700, "peak_kb": 1500 * cost}
        found.append({"round": 1, "peer": task.peer, "op": task.op, "size": task.size, "some": task.some, **values})
    return table.Results(found)


def pictures(results):
    return {name: text for name, (_, text) in plots.pictures(SETTINGS, results, 1_000_000).items()}


def contrast(colour, ground):
    """As WCAG 2 defines it."""

    def luminance(text):
        parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] + 0.05

    dark, light = sorted((luminance(colour), luminance(ground)))
    return light / dark


class Pictures(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.drawn = pictures(everything())

    def test_every_picture_is_well_formed(self):
        for name, text in self.drawn.items():
            root = xml.fromstring(text.encode())
            self.assertEqual(root.tag, "{http://www.w3.org/2000/svg}svg", name)

    def test_every_picture_names_every_peer_that_it_could_show(self):
        for name, text in self.drawn.items():
            words = " ".join(xml.fromstring(text.encode()).itertext())
            for peer in ("raw", "ctrack", "lnfct", "go-ctrack", "ti-mo", "vishvananda", "py-ctrack", "pyroute2"):
                self.assertIn(peer, words, name)

    def test_every_picture_has_its_units_and_leaves_the_ground_as_it_is(self):
        units = {
            "time-per-entry.svg": "ns for an entry",
            "growth.svg": "entries in the table",
            "delete-of.svg": "k addresses",
            "memory.svg": "MB",
        }
        for name, text in self.drawn.items():
            words = [word.strip() for word in xml.fromstring(text.encode()).itertext()]
            self.assertIn(units[name], words)
            self.assertRegex(text, r'<rect x="0" y="0" width="860" height="\d+" fill="none"/>')

    def test_words_are_readable_on_light_and_on_dark_ground(self):
        for ground in ("#ffffff", "#0d1117"):
            self.assertGreater(contrast(plots.INK, ground), 3.5)
        ink = "rgb({},{},{})".format(*(int(plots.INK[at : at + 2], 16) for at in (1, 3, 5)))
        for name, text in self.drawn.items():
            colours = re.findall(r'<g transform="[^"]*" stroke="none" fill="([^"]*)"[^>]*>\s*<text>', text)
            self.assertEqual(set(colours), {ink}, name)

    def test_a_bar_beyond_six_times_the_smallest_is_cut_and_says_so(self):
        costs = {"raw": 103, "ctrack": 618, "lnfct": 1236}
        ops = {"raw": "dump", "ctrack": "list", "lnfct": "list"}
        found = [result(peer, ops[peer], sys_ns=1000 * cost) for peer, cost in costs.items()]
        words = list(xml.fromstring(plots.time_per_entry(SETTINGS, table.Results(found)).encode()).itertext())
        labels = ["103", "618", "1\u202f236 \u00bb"]
        self.assertEqual([word for word in words if word in labels], labels)

    def test_without_gnuplot_there_are_no_pictures(self):
        with unittest.mock.patch.object(plots, "GNUPLOT", None):
            self.assertEqual(set(pictures(everything()).values()), {None})

    def test_there_is_no_picture_of_nothing(self):
        self.assertEqual(set(pictures(table.Results([])).values()), {None})

    def test_no_two_peers_look_the_same(self):
        self.assertEqual(len({plots.look(peer) for peer in catalogue.PEERS}), len(catalogue.PEERS))
