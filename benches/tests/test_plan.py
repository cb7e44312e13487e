# SPDX-License-Identifier: MIT OR Apache-2.0

import dataclasses
import unittest

from lib import catalogue, plan, settings

from .support import SETTINGS

EVERYBODY = list(catalogue.PEERS)


def planned(only="", peers="", available=None, s=SETTINGS, limit=1_000_000):
    s = dataclasses.replace(s, only=tuple(only.split()), peers=tuple(peers.split()))
    return plan.tasks(s, EVERYBODY if available is None else available, limit)


class Plans(unittest.TestCase):
    def test_every_operation_of_every_peer_is_in_the_catalogue(self):
        for peer in catalogue.PEERS.values():
            self.assertLessEqual(peer.operations, set(catalogue.OPERATIONS), peer.name)
            self.assertIn(peer.ours, catalogue.PEERS)

    def test_every_operation_has_a_row_and_a_peer(self):
        shown = {row.op for row in catalogue.rows(SETTINGS)}
        self.assertEqual(shown, set(catalogue.OPERATIONS))
        known = set().union(*(peer.operations for peer in catalogue.PEERS.values()))
        self.assertEqual(known, set(catalogue.OPERATIONS))

    def test_every_goal_is_about_a_peer_that_knows_the_operation(self):
        for row in catalogue.rows(SETTINGS):
            for peer in row.goals:
                self.assertIn(row.op, catalogue.PEERS[peer].operations)

    def test_every_floor_is_an_operation_of_raw(self):
        for row in catalogue.rows(SETTINGS):
            self.assertTrue(row.floor == "" or row.floor in catalogue.PEERS["raw"].operations, row.op)

    def test_what_is_compared_with_a_floor_brings_the_floor_along(self):
        self.assertEqual(
            {(task.peer, task.op) for task in planned("stream", "ctrack")}, {("ctrack", "stream"), ("raw", "dump")}
        )

    def test_only_and_peers_leave_nothing_else(self):
        tasks = planned("delete list", "lnfct go-ctrack")
        self.assertEqual({task.peer for task in tasks}, {"raw", "lnfct", "go-ctrack"})
        self.assertEqual({task.op for task in tasks if task.peer != "raw"}, {"delete", "list"})

    def test_an_operation_that_does_not_exist_is_refused(self):
        with self.assertRaisesRegex(settings.Wrong, "lists"):
            planned("list lists")

    def test_a_peer_that_is_missing_is_not_measured(self):
        self.assertNotIn("lnfct", {task.peer for task in planned(available=["raw", "ctrack"])})

    def test_no_measurement_comes_twice(self):
        tasks = planned()
        self.assertEqual(len(tasks), len(set(tasks)))

    def test_a_measurement_that_row_and_series_share_has_the_rounds_of_the_row(self):
        shared = [task for task in planned() if task == plan.row_task(SETTINGS, "ctrack", "list")]
        self.assertEqual([task.series for task in shared], [False])

    def test_no_table_is_larger_than_the_kernel_allows(self):
        self.assertEqual(max(task.size for task in planned("growth", limit=150_000)), 100_000)
        self.assertEqual(max(task.size for task in planned("growth", limit=1_000_000)), 1_000_000)

    def test_peers_that_walk_an_empty_table_are_given_fewer_calls(self):
        calls = {task.peer: task.calls for task in planned("empty")}
        self.assertEqual((calls["ctrack"], calls["lnfct"], calls["conntrack"]), (1000, 10, 10))

    def test_addresses_are_counted_up_to_all_there_are(self):
        self.assertEqual(plan.pod_counts(SETTINGS), [1, 4])
        self.assertEqual(plan.pod_counts(dataclasses.replace(SETTINGS, size=250_000)), [1, 10, 100, 1000])


class Settings(unittest.TestCase):
    def test_variables_override_the_defaults(self):
        s = settings.read({"SIZE": "5000", "ONLY": "stream  delete", "PEERS": "ctrack", "ACCT": "1", "CFLAGS": ""})
        self.assertEqual((s.size, s.rounds, s.only, s.peers, s.acct), (5000, 7, ("stream", "delete"), ("ctrack",), True))
        self.assertEqual((s.cc, s.cflags), ("cc", ""))

    def test_quick_has_defaults_of_its_own_that_variables_override(self):
        s = settings.read({"QUICK": "1", "ROUNDS": "5"})
        self.assertEqual((s.size, s.rounds), (settings.QUICK["SIZE"], 5))

    def test_what_is_no_number_or_does_not_fit_is_refused(self):
        for wrong in ({"ROUNDS": "0"}, {"SIZE": "-1"}, {"SIZE": "many"}, {"SIZE": "100"}, {"TABLE": "700000"}):
            with self.assertRaises(settings.Wrong, msg=wrong):
                settings.read(wrong)

    def test_more_known_entries_than_the_table_has_are_refused(self):
        with self.assertRaisesRegex(settings.Wrong, "KNOWN=2000 is more than TABLE=1000"):
            settings.read({"TABLE": "1000", "KNOWN": "2000"})
