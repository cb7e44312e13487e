# SPDX-License-Identifier: MIT OR Apache-2.0

import dataclasses
import unittest
import unittest.mock

from lib import build, check, measure, plan, settings

from .support import SETTINGS, result


def errors_of(*results):
    checker = check.Checker()
    for each in results:
        checker.add(each)
    return checker.errors


class Checks(unittest.TestCase):
    def test_right_counts_and_equal_sums_are_no_error(self):
        self.assertEqual(errors_of(result("ctrack", "list", sum=5), result("lnfct", "list", sum=5)), [])

    def test_a_count_that_is_not_what_was_to_be_found_is_an_error(self):
        self.assertEqual(errors_of(result("lnfct", "list", check=999)), ["lnfct list did 999 of 1000"])

    def test_events_at_a_pace_may_be_missed_by_others_alone(self):
        self.assertEqual(errors_of(result("lnfct", "events-paced", check=999)), [])
        self.assertEqual(errors_of(result("lnfct", "events-paced", check=1001)), ["lnfct events-paced did 1001 of 1000"])
        self.assertEqual(errors_of(result("ctrack", "events-paced", check=999)), ["ctrack events-paced did 999 of 1000"])

    def test_a_count_of_nothing_is_an_error(self):
        self.assertEqual(errors_of(result("raw", "dump", check=0)), ["raw dump counted nothing"])

    def test_a_count_in_an_empty_table_is_an_error(self):
        self.assertEqual(errors_of(result("ctrack", "empty", check=3)), ["ctrack empty counted 3 in an empty table"])
        self.assertEqual(errors_of(result("ctrack", "empty", check=0)), [])

    def test_peers_that_read_different_values_are_an_error(self):
        errors = errors_of(result("ctrack", "list", sum=5), result("lnfct", "list", sum=6))
        self.assertEqual(errors, ["what was read by list differs: 5 and 6"])

    def test_a_peer_that_reads_nothing_is_compared_by_its_count_alone(self):
        self.assertEqual(errors_of(result("ctrack", "list", sum=5), result("vishvananda", "list", sum=0)), [])

    def test_bytes_of_a_dump_must_be_the_same_in_every_round(self):
        errors = errors_of(result("raw", "dump", check=7), result("raw", "dump", number=2, check=8))
        self.assertEqual(errors, ["results of dump differ: 7 and 8"])

    def test_tables_of_different_sizes_are_not_compared(self):
        other = {**result("ctrack", "list", sum=6), "size": 10}
        self.assertEqual(errors_of(result("ctrack", "list", sum=5), other), [])


LINE = "peer=raw op=dump n=10 wall_ns=1 user_ns=2 sys_ns=3 peak_kb=4 check=5 sum=6"


class Lines(unittest.TestCase):
    def test_a_line_of_results_is_read(self):
        expected = {"n": 10, "wall_ns": 1, "user_ns": 2, "sys_ns": 3, "peak_kb": 4, "check": 5, "sum": 6}
        self.assertEqual(check.parse(LINE + "\n", "raw", "dump"), {"peer": "raw", "op": "dump", **expected})

    def test_a_line_that_is_not_whole_or_of_another_peer_is_refused(self):
        for line in (
            "",
            LINE.replace(" check=5", ""),
            LINE.replace("n=10", "n=0"),
            LINE.replace("check=5", "check=-5"),
            LINE.replace("raw", "lnfct"),
            LINE.replace("dump", "walk"),
        ):
            with self.assertRaises(ValueError, msg=line):
                check.parse(line, "raw", "dump")


def runner_with(script, peer="raw", op="count", patience=60):
    """A runner whose peer is a line of shell, started without a namespace or table."""

    class Alone(measure.Runner):
        def command(self, task):
            return ["sh", "-c", script]

    built = build.Built(commands={peer: ["sh"]})
    s = dataclasses.replace(SETTINGS, rounds=2, patience=patience)
    return Alone(s, built, [], {}), [plan.row_task(s, peer, op)]


def said(peer, op, check_value):
    return f"echo peer={peer} op={op} n=10 wall_ns=1 user_ns=1 sys_ns=1 peak_kb=1 check={check_value} sum=0"


class Runs(unittest.TestCase):
    def setUp(self):
        silence = unittest.mock.patch.object(build, "say")
        silence.start()
        self.addCleanup(silence.stop)

    def test_a_wrong_count_fails_the_run(self):
        runner, tasks = runner_with(said("ti-mo", "list", 9), "ti-mo", "list")
        with self.assertRaisesRegex(settings.Wrong, "ti-mo list did 9 of 10"):
            runner.run(tasks)

    def test_right_counts_give_a_result_for_each_round(self):
        runner, tasks = runner_with(said("ti-mo", "list", 10), "ti-mo", "list")
        runner.run(tasks)
        self.assertEqual([each["round"] for each in runner.results], [1, 2])

    def test_a_peer_that_fails_is_reported_and_left_out_from_then_on(self):
        runner, tasks = runner_with("echo cannot >&2; exit 1", "ti-mo", "list")
        runner.run(tasks)
        self.assertEqual(runner.results, [])
        self.assertEqual(list(runner.failed.values()), ["ti-mo list: cannot"])

    def test_a_libctrack_that_fails_fails_the_run(self):
        for peer in ("raw", "ctrack", "go-ctrack", "py-ctrack", "rust-ctrack"):
            runner, tasks = runner_with("echo cannot >&2; exit 1", peer, "list")
            with self.assertRaisesRegex(settings.Wrong, f"{peer} list: cannot"):
                runner.run(tasks)

    def test_the_slow_have_fewer_rounds(self):
        runner, tasks = runner_with(said("ti-mo", "list", 10), "ti-mo", "list", patience=0)
        runner.run(tasks)
        self.assertEqual(len(runner.results), 1)
