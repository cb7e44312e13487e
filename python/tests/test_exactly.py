# SPDX-License-Identifier: MIT OR Apache-2.0
"""Exactly the entry that was meant: not its successor, not one that changed meanwhile, not one that answers in its place."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

import pytest
from support import cli_count, make, nft, sysctl, tcp, udp
from test_filters import LABELS

import ctrack
from ctrack import Entry, Filter, Status
from ctrack._native import CEntry


def test_the_successor_of_a_listed_entry_is_never_deleted_in_its_place(ct: ctrack.Conntrack) -> None:
    same = 0
    for _ in range(200):
        make(ct, [udp("1.1.1.1", 1000, "2.2.2.2", 53)])
        old = ct.list()[0]
        assert ct.delete_entries([old]).done == 1
        make(ct, [udp("1.1.1.1", 1000, "2.2.2.2", 53, reply_src="3.3.3.3", status=Status.DST_NAT)])
        following = ct.list()[0]
        same += old.id == following.id
        assert ct.delete_entries([old]).statuses == (errno.ENOENT,)
        assert [entry.id for entry in ct.list()] == [following.id]
        assert ct.delete_entries([following]).done == 1
    print(f"{same} of 200 with the same id")


def test_what_is_no_longer_selected_when_its_turn_comes_is_spared_and_counted(ct: ctrack.Conntrack) -> None:
    many = 20_000
    flows = [udp("10.0.0.1", n + 1, "10.96.0.10", 53, mark=1) for n in range(many)]
    make(ct, flows)
    changes = [flows[n * 7919 % many].change(mark=2) for n in range(many)]
    stop = threading.Event()

    def disturb() -> None:
        for at in range(0, many, 32):
            if stop.is_set():
                return
            ct.update(changes[at : at + 32])

    thread = threading.Thread(target=disturb)
    thread.start()
    try:
        result = ct.delete(Filter(mark=1))
    finally:
        stop.set()
        thread.join()
    assert result.matched == result.done + result.gone + result.failed + result.spared
    assert result.failed == 0
    assert result.spared > 0, "nothing changed meanwhile, so that nothing was shown"
    left = ct.list()
    assert {entry.mark for entry in left} == {2} and len(left) == many - result.done
    print(result)


def test_an_entry_that_no_request_can_reach_is_told_as_hidden(ct: ctrack.Conntrack) -> None:
    make(
        ct,
        [
            udp("1.1.1.1", 1000, "2.2.2.2", 53, mark=42),
            udp("2.2.2.2", 53, "1.1.1.1", 1000, reply_zone=7),
            Entry(
                proto="udp",
                orig_src="7.7.7.7",
                orig_sport=7,
                orig_dst="7.7.7.8",
                orig_dport=7,
                reply_src="1.1.1.1",
                reply_sport=1000,
                reply_dst="2.2.2.2",
                reply_dport=53,
                orig_zone=9,
                timeout=600,
            ),
        ],
    )
    listed = ct.list(Filter(mark=42))[0]
    found = ct.get(listed)
    assert found is not None and found.id == listed.id
    calls: list[Callable[[], ctrack.Result]] = [
        lambda: ct.delete_entries([listed]),
        lambda: ct.update([listed.change(mark=43)]),
    ]
    for call in calls:
        with pytest.raises(ctrack.HiddenError, match="cannot be reached") as caught:
            call()
        assert caught.value.errno == errno.ENOTUNIQ
        assert caught.value.result is not None and caught.value.result.statuses == (errno.ENOTUNIQ,)
    with pytest.raises(ctrack.HiddenError):
        ct.delete(Filter(mark=42))
    assert cli_count() == 3


def test_two_that_each_add_labels_do_not_undo_each_other(ct: ctrack.Conntrack) -> None:
    nft(LABELS)
    make(ct, [udp("1.1.1.1", 1, "2.2.2.2", 2)])
    entry = ct.list()[0]

    def add(first: int) -> None:
        for label in range(first, 128, 2):
            assert ct.update([entry.change(add_labels=1 << label)]).done == 1

    threads = [threading.Thread(target=add, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    everything = (1 << 128) - 1
    assert ct.list()[0].labels == everything
    assert ct.update([entry.change(remove_labels=1 << 3 | 1 << 127)]).done == 1
    assert ct.list()[0].labels == everything & ~(1 << 3 | 1 << 127)
    assert ct.update([entry.change(labels=1 << 5)]).done == 1
    assert ct.list()[0].labels == 1 << 5
    with pytest.raises(ctrack.InvalidArgumentError, match="labels and add_labels"):
        entry.change(labels=1, add_labels=2)
    with pytest.raises(ctrack.InvalidArgumentError, match="remove_labels"):
        entry.change(remove_labels=1 << 128)


def test_a_listed_entry_with_bits_and_states_of_a_later_kernel_is_a_key_like_any_other(ct: ctrack.Conntrack) -> None:
    make(ct, [tcp("1.1.1.1", 1, "2.2.2.2", 2)])
    raw = bytearray(ct.list()[0].raw)
    raw[CEntry.tcp_state.offset] = 200
    at = CEntry.status.offset
    raw[at : at + 4] = bytes(byte | 0xF0 for byte in raw[at : at + 4])
    entry = Entry.from_raw(raw)
    found = ct.get(entry)
    assert found is not None and found.id == entry.id
    assert ct.update([entry.change(mark=1)]).done == 1
    assert ct.delete_entries([entry]).done == 1


def test_a_start_on_one_side_only_means_another_entry_and_none_on_either_side_is_told(netns: int) -> None:
    with ctrack.open(compare_start=True) as ct:
        for first, second in ((0, 1), (1, 0)):
            sysctl("nf_conntrack_timestamp", first)
            make(ct, [udp("1.1.1.1", 1, "2.2.2.2", 2)])
            old = ct.list()[0]
            result = ct.delete_entries([old])
            assert (result.done, result.start_unknown) == (1, first == 0)
            sysctl("nf_conntrack_timestamp", second)
            make(ct, [udp("1.1.1.1", 1, "2.2.2.2", 2)])
            result = ct.delete_entries([old])
            assert (result.statuses, result.start_unknown) == ((errno.ENOENT,), False)
            ct.flush_all()
