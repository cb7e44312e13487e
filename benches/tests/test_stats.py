# SPDX-License-Identifier: MIT OR Apache-2.0

import unittest

from lib import report, stats

from .support import result


class Verdicts(unittest.TestCase):
    def test_a_budget_is_met_if_the_middle_half_is_within_it(self):
        self.assertEqual(stats.verdict([1.00, 1.01, 1.02, 1.03, 2.0], [1] * 5, 1.03), "met")

    def test_a_budget_is_missed_if_the_middle_half_is_beyond_it(self):
        self.assertEqual(stats.verdict([1.00, 1.06, 1.06, 1.07, 1.08], [1] * 5, 1.05), "missed")

    def test_a_quartile_lies_between_two_rounds_in_proportion(self):
        # Of four, the middle half ends a quarter of the way from the third to the last.
        self.assertEqual(stats.verdict([1.00, 1.01, 1.02, 1.04], [1] * 4, 1.026), "met")
        self.assertEqual(stats.verdict([1.00, 1.01, 1.02, 1.04], [1] * 4, 1.024), "unclear")

    def test_one_round_is_judged_by_itself(self):
        self.assertEqual(stats.verdict([1.02], [1.02], 1.03), "met")
        self.assertEqual(stats.verdict([1.04], [1.04], 1.03), "missed")

    def test_a_budget_in_the_middle_half_is_unclear(self):
        self.assertEqual(stats.verdict([1.01, 1.02, 1.04, 1.06, 1.07], [1] * 5, 1.04), "unclear")

    def test_a_wide_spread_of_time_leaves_the_verdict_to_processor_time(self):
        self.assertEqual(stats.verdict([1, 1.5, 2, 3, 4], [1.0, 1.01, 1.01, 1.02, 1.02], 1.05), "met in CPU time")

    def test_a_wide_spread_of_both_concludes_nothing(self):
        self.assertEqual(stats.verdict([1, 1.5, 2, 3, 4], [1, 1.5, 2, 3, 4], 1.05), "spread too large")

    def test_without_a_budget_only_the_spread_is_said(self):
        self.assertEqual(stats.verdict([1.0, 1.0, 1.0], [1.0, 1.0, 1.0], 0), "")
        self.assertEqual(stats.verdict([1, 2, 3], [1, 2, 3], 0), "spread too large")

    def test_a_goal_is_met_by_factors_above_it_and_missed_by_factors_below(self):
        self.assertEqual(stats.verdict([3.5, 3.5, 3.6], [3.5] * 3, 3.3, at_least=True), "met")
        self.assertEqual(stats.verdict([3.1, 3.2, 3.2], [3.2] * 3, 3.3, at_least=True), "missed")

    def test_wide_factors_conclude_if_every_round_is_on_one_side_of_the_goal(self):
        self.assertEqual(stats.verdict([20, 35, 90], [20, 35, 90], 15, at_least=True), "met")
        self.assertEqual(stats.verdict([2, 3.5, 9], [2, 3.5, 9], 15, at_least=True), "missed")

    def test_wide_factors_on_both_sides_of_the_goal_conclude_nothing(self):
        self.assertEqual(stats.verdict([10, 16, 30], [10, 16, 30], 15, at_least=True), "spread too large")


class Noise(unittest.TestCase):
    def test_time_that_no_processor_was_used_in_was_taken_by_others(self):
        self.assertTrue(stats.disturbed(result("raw", "dump", wall_ns=10_000_000, user_ns=0, sys_ns=9_000_000)))
        self.assertFalse(stats.disturbed(result("raw", "dump", wall_ns=10_000_000, user_ns=500_000, sys_ns=9_300_000)))

    def test_short_operations_are_not_judged_by_processor_time(self):
        self.assertFalse(stats.disturbed(result("raw", "dump", wall_ns=2_000_000, user_ns=0, sys_ns=0)))

    def test_a_quiet_machine_is_not_mentioned(self):
        self.assertEqual(report.noise([result("raw", "dump")], ["met", "", ""]), "")

    def test_disturbed_measurements_are_counted(self):
        text = report.noise([result("raw", "dump"), result("raw", "dump", wall_ns=10_000_000, sys_ns=1)], [])
        self.assertIn("1 of 2 measurements had to wait", text)

    def test_a_machine_too_noisy_to_conclude_anything_is_said_to_be_so(self):
        text = report.noise([result("raw", "dump")], ["spread too large", "spread too large: 21.0 us", "met", "", ""])
        self.assertIn("2 of 5 comparisons spread too widely", text)
        self.assertIn("too noisy", text)
