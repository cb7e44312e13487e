# SPDX-License-Identifier: MIT OR Apache-2.0
"""Creates, updates, keys that have changed, and one failure among many."""

from __future__ import annotations

import errno
import pickle
import sys
from collections.abc import Callable
from typing import Any

import pytest
from support import cli, cli_table, echo, ids, make, nft, plain, tcp, udp
from test_filters import LABELS, mixed

import ctrack
from ctrack import Entry, Filter, Has, Status
from ctrack._native import CEntry


def test_what_is_listed_can_be_made_again_as_it_stands(ct: ctrack.Conntrack) -> None:
    nft(LABELS)
    make(ct, mixed())
    listed = ct.list()
    ct.flush_all()
    make(ct, listed)
    again = ct.list()

    # All bytes but those that only the kernel can know, or that tick.
    def stable(entry: Entry) -> bytes:
        raw = entry.raw
        return raw[:8] + raw[12:20] + raw[28:]

    assert sorted(map(stable, again)) == sorted(map(stable, listed))


def test_entries_survive_every_way_of_copying(ct: ctrack.Conntrack) -> None:
    make(ct, [udp("1.1.1.1", 1, "2.2.2.2", 2, mark=7), echo("fd00::1", "fd00::2", 5)])
    for entry in ct.list():
        for copy in (pickle.loads(pickle.dumps(entry)), Entry.from_raw(entry.raw), Entry.from_raw(bytearray(entry.raw))):
            assert copy == entry and hash(copy) == hash(entry) and copy is not entry and copy.raw == entry.raw
        assert entry != "text" and entry.key() == ct.list(Filter(proto=entry.proto))[0].key()
        with pytest.raises(AttributeError):
            entry.mark = 5  # type: ignore[assignment]
        with pytest.raises(AttributeError):
            entry.anything = 5  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="no family"):
        Entry.from_raw(bytes(256))
    with pytest.raises(ValueError, match="255 bytes"):
        Entry.from_raw(b"x" * 255)


def test_an_update_changes_what_it_names_and_nothing_else(ct: ctrack.Conntrack) -> None:
    nft(LABELS)
    make(ct, [tcp("1.1.1.1", 1, "2.2.2.2", 2, mark=0xF0), tcp("1.1.1.1", 1, "2.2.2.2", 2, zone=7, mark=0xF0)])
    before = {entry.zone: entry for entry in ct.list()}
    change = before[7].change(mark=0x0F, mark_mask=0xFF, labels=1 << 5, status=Status.ASSURED | Status.SEEN_REPLY)
    assert ct.update([change]).statuses == (0,)
    after = {entry.zone: entry for entry in ct.list()}
    assert after[0].mark == 0xF0 and after[0].status == before[0].status
    assert after[7].mark == 0x0F and after[7].labels == 1 << 5 and after[7].id == before[7].id
    assert after[7].status == (before[7].status or 0) | Status.ASSURED | Status.SEEN_REPLY
    assert after[7].tcp_state == before[7].tcp_state
    by_hand = tcp("1.1.1.1", 1, "2.2.2.2", 2, timeout=99, tcp_state=ctrack.TcpState.CLOSE)
    assert ct.update([by_hand]).done == 1
    changed = ct.get(before[0].key())
    assert changed is not None and changed.tcp_state == ctrack.TcpState.CLOSE and (changed.timeout or 0) <= 99
    wrong: list[tuple[dict[str, Any], str]] = [({}, "nothing"), ({"mark_mask": 1}, "mark_mask"), ({"mark": 1 << 32}, "mark")]
    for fields, named in wrong:
        with pytest.raises(ValueError, match=named):
            before[7].change(**fields)
    with pytest.raises(ctrack.Error, match=r"entry\[0\]: update_entries: expired: a timeout of 0 would delete") as caught:
        ct.update([before[7].change(timeout=0)])
    assert caught.value.errno == errno.ETIME and ct.get(before[7].key()) is not None


def test_an_entry_whose_zone_or_id_changed_is_gone(ct: ctrack.Conntrack) -> None:
    wanted = [udp("1.1.1.1", 1, "2.2.2.2", 2, zone=7), tcp("fd00::1", 1, "fd00::2", 2, zone=7)]
    make(ct, wanted)
    old = ct.list()
    elsewhere = [udp("1.1.1.1", 1, "2.2.2.2", 2, zone=8), tcp("fd00::1", 1, "fd00::2", 2, orig_zone=8)]
    ct.flush_all()
    make(ct, elsewhere)
    before = cli_table()
    assert ct.delete_entries(old).statuses == (errno.ENOENT,) * 2
    assert ct.delete_entries([udp("1.1.1.1", 1, "2.2.2.2", 2)]).gone == 1
    assert ct.delete_entries([tcp("fd00::1", 1, "fd00::2", 2, reply_zone=8)]).gone == 1
    assert ct.delete_entries([tcp("fd00::1", 1, "fd00::2", 2, zone=8)]).gone == 1
    assert cli_table() == before
    # The same tuple and zone, but another entry: it has another id.
    mark = ct.list(Filter(proto="udp"))[0]
    other = Entry(
        proto="udp", orig_src="1.1.1.1", orig_dst="2.2.2.2", orig_sport=1, orig_dport=2, zone=8, id=(mark.id or 0) ^ 1
    )
    assert ct.get(other) is None
    assert ct.delete_entries([other]).statuses == (errno.ENOENT,)
    assert cli_table() == before
    assert ct.delete_entries([mark]).done == 1


def test_the_same_tuple_the_other_way_round_is_another_entry(ct: ctrack.Conntrack) -> None:
    make(ct, [udp("1.1.1.1", 1, "2.2.2.2", 2)])
    turned = udp("2.2.2.2", 2, "1.1.1.1", 1)
    assert ct.get(turned) is None
    assert ct.delete_entries([turned]).gone == 1
    assert ct.count() == 1


def test_one_failing_entry_does_not_stop_the_others(ct: ctrack.Conntrack) -> None:
    make(ct, [udp("1.1.1.1", 500, "2.2.2.2", 2)])
    many = [udp("1.1.1.1", n, "2.2.2.2", 2) for n in range(1000)]
    with pytest.raises(ctrack.Error) as caught:
        ct.create(many)
    result = caught.value.result
    assert caught.value.errno == errno.EEXIST and result is not None
    assert (result.matched, result.done, result.gone, result.failed) == (1000, 999, 0, 1)
    assert result.statuses == tuple(errno.EEXIST if n == 500 else 0 for n in range(1000))
    assert result.first_error == errno.EEXIST
    assert caught.value.strerror == "entry[500]: create_entries: entry exists"
    assert ct.count() == 1000
    gone = [n for n in range(1000) if n % 3 == 0]
    assert ct.delete_entries([many[n] for n in gone]).done == len(gone)
    result = ct.delete_entries(many)
    assert result.statuses == tuple(errno.ENOENT if n % 3 == 0 else 0 for n in range(1000))
    assert (result.done, result.gone) == (1000 - len(gone), len(gone))
    assert ct.count() == 0


def test_one_wrong_entry_stops_all_before_anything_is_sent(ct: ctrack.Conntrack) -> None:
    make(ct, [udp("1.1.1.1", n, "2.2.2.2", 2) for n in range(10)])
    before = cli_table()
    good = [udp("1.1.1.1", n, "2.2.2.2", 2) for n in range(1000)]
    # A timeout is missing, and a byte that nothing announces is set.
    no_timeout = Entry(proto="udp", orig_src="3.3.3.3", orig_dst="2.2.2.2", orig_sport=1, orig_dport=2)
    raw = bytearray(no_timeout.raw)
    raw[255] = 1
    forgotten = Entry.from_raw(bytes(raw))
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: ct.create([*good[10:], no_timeout]), r"entry\[990\].timeout"),
        (lambda: ct.delete_entries([*good, forgotten]), r"entry\[1000\].reserved"),
        (lambda: ct.update([*(e.change(mark=1) for e in good), forgotten]), r"entry\[1000\]"),
    ]
    for call, named in calls:
        with pytest.raises(ValueError, match=named) as caught:
            call()
        assert isinstance(caught.value, ctrack.InvalidArgumentError)
    for batch in (ct.create, ct.delete_entries, ct.update):
        with pytest.raises(TypeError, match=r"entry\[1\] is tuple"):
            batch([good[0], (1, 2)])  # type: ignore[list-item]
        assert batch([]) == (0, 0, 0, 0, 0, False, (), 0, False)
    assert cli_table() == before


def test_nat_is_made_as_the_reply_tuple_says(ct: ctrack.Conntrack) -> None:
    make(
        ct,
        [
            tcp("10.0.0.1", 1000, "10.96.0.1", 80, reply_src="10.0.0.9", reply_sport=8080, status=Status.DST_NAT),
            udp("fd00::1", 1000, "fd00::2", 53, reply_dst="fd00::9", status=Status.SRC_NAT),
            echo("10.0.0.1", "10.0.0.2", 77, reply_dst="10.0.0.9", status=Status.SRC_NAT),
        ],
    )
    lines = "\n".join(cli())
    assert "src=10.0.0.9 dst=10.0.0.1 sport=8080 dport=1000" in lines
    assert "src=fd00::2 dst=fd00::9 sport=53 dport=1000" in lines
    assert "src=10.0.0.2 dst=10.0.0.9 type=0 code=0 id=77" in lines
    assert len(ids(ct.list(Filter(status_set=Status.SRC_NAT)))) == 2
    assert len(ids(ct.list(Filter(status_set=Status.DST_NAT)))) == 1


def test_nat_is_made_as_asked_or_not_at_all(ct: ctrack.Conntrack) -> None:
    for proto, src, dst, public in (
        ("icmp", "10.0.0.%d", "10.0.0.2", "192.0.2.1"),
        ("icmpv6", "fd00::%d", "fd00::f", "fd01::1"),
    ):
        first, second, third = (
            echo(src % n, dst, 77, reply_dst=public, reply_icmp_id=number, status=Status.SRC_NAT)
            for n, number in ((1, 55), (3, 55), (4, 66))
        )
        with pytest.raises(ctrack.Error) as caught:
            ct.create([first, second, third])
        assert caught.value.result is not None and caught.value.result.statuses == (0, errno.EEXIST, 0)
        seen = {(str(entry.orig_src), entry.reply_icmp_id, str(entry.reply_dst)) for entry in ct.list(Filter(proto=proto))}
        assert seen == {(src % 1, 55, public), (src % 4, 66, public)}
    keys = {"orig_sport": 1, "orig_dport": 2, "reply_sport": 2, "reply_dport": 0x22B}
    translated = {"reply_dst": "192.0.2.1", "status": Status.SRC_NAT, "timeout": 3000}
    make(ct, [Entry(proto="gre", orig_src="10.0.0.1", orig_dst="10.0.0.2", **keys, **translated)])  # type: ignore[arg-type]
    assert [entry.reply_dport for entry in ct.list(Filter(proto="gre"))] == [0x22B]
    half = udp("10.0.0.1", 77, "10.0.0.2", 53, reply_src="10.9.9.9", reply_dst="192.0.2.1", status=Status.SRC_NAT)
    with pytest.raises(ctrack.Error, match="DST_NAT is missing") as caught:
        ct.create([half])
    assert caught.value.errno == errno.EINVAL and not isinstance(caught.value, ctrack.InvalidArgumentError)


def test_impossible_entries_have_a_status_and_a_reason_and_the_others_are_made(ct: ctrack.Conntrack) -> None:
    make(ct, [udp("1.1.1.1", n, "2.2.2.2", 2) for n in range(10)])
    listed = sorted(ct.list(), key=lambda entry: entry.orig_sport or 0)
    ct.flush_all()

    def with_field(entry: Entry, name: str, value: int) -> Entry:
        field: Any = getattr(CEntry, name)
        raw = bytearray(entry.raw)
        raw[field.offset : field.offset + field.size] = value.to_bytes(field.size, sys.byteorder)
        return Entry.from_raw(bytes(raw))

    listed[3] = with_field(listed[3], "timeout", 0)
    for number, bit in ((5, Status.EXPECTED), (7, 1 << 20), (8, Status.OFFLOAD)):
        listed[number] = with_field(listed[number], "status", int(Status.CONFIRMED | bit))
    with pytest.raises(ctrack.Error) as caught:
        ct.create(listed)
    result = caught.value.result
    assert result is not None and caught.value.errno == errno.ETIME == result.first_error
    impossible = {3: errno.ETIME, 5: errno.EOPNOTSUPP, 7: errno.EOPNOTSUPP, 8: errno.EOPNOTSUPP}
    assert result.statuses == tuple(impossible.get(n, 0) for n in range(10))
    assert (result.matched, result.done, result.gone, result.failed, ct.count()) == (10, 6, 0, 4, 6)
    assert caught.value.strerror == "entry[3]: create_entries: expired: its timeout is 0; and 3 more"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"proto": None}, "proto"),
    ({"orig_src": None}, "orig_src"),
    ({"orig_src": "1.1.1.0/24"}, "orig_src"),
    ({"orig_src": "fe80::1%lo", "orig_dst": "fe80::2"}, "scope"),
    ({"orig_dst": "fd00::1"}, "orig_dst"),
    ({"orig_dst": "::ffff:1.1.1.1", "orig_src": "fd00::1"}, "orig_dst.*IPv4 in IPv6.*1.1.1.1"),
    ({"family": "ipv6"}, "orig_src"),
    ({"family": 3}, "family"),
    ({"reply_src": "fd00::1"}, "reply_src"),
    ({"orig_sport": None}, "orig_sport: is missing"),
    ({"orig_sport": 65536}, "orig_sport"),
    ({"proto": "icmp"}, "orig_sport"),
    ({"proto": 89}, "orig_sport"),
    ({"icmp_type": 8}, "icmp_type"),
    ({"zone": 65536}, "zone"),
    ({"zone": 1, "reply_zone": 1}, "zone and reply_zone"),
    ({"timeout": -1}, "timeout"),
    ({"mark": 1 << 32}, "mark"),
    ({"mark_mask": 1}, "mark_mask"),
    ({"id": 1 << 32}, "id"),
    ({"labels": 1 << 128}, "labels"),
    ({"helper": "x" * 16}, "helper"),
    ({"proto": "tcp", "tcp_state": 10}, "tcp_state"),
    ({"tcp_state": 3}, "tcp_state"),
    ({"proto": "tcp", "tcp_wscale": (15, 0)}, "tcp_wscale"),
    ({"proto": "tcp", "tcp_wscale": 7}, "tcp_wscale"),
    ({"proto": "tcp", "sctp_state": 3}, "sctp_state"),
    ({"proto": "sctp", "sctp_state": 3}, "sctp_vtag"),
]


@pytest.mark.parametrize(("fields", "named"), WRONG)
def test_a_wrong_entry_is_a_value_error_that_names_the_field(fields: dict[str, Any], named: str) -> None:
    good: dict[str, Any] = {"proto": "udp", "orig_src": "1.1.1.1", "orig_dst": "2.2.2.2", "orig_sport": 1, "orig_dport": 2}
    Entry(**good)
    with pytest.raises(ValueError, match=named) as caught:
        Entry(**{**good, **fields})
    assert isinstance(caught.value, ctrack.InvalidArgumentError)


def test_a_field_that_was_not_given_is_none_and_zero_is_a_value() -> None:
    entry = plain(89, "0.0.0.0", "2.2.2.2", mark=0)
    assert str(entry.orig_src) == "0.0.0.0" and entry.mark == 0
    assert entry.has == Has.ORIG | Has.TIMEOUT | Has.MARK
    absent = [
        *("reply_src", "reply_dst", "orig_sport", "orig_dport", "reply_sport", "reply_dport", "icmp_type", "icmp_id"),
        *("status", "id", "mark_mask", "use_count", "orig_packets", "orig_bytes", "reply_packets", "reply_bytes"),
        *("start", "start_ns", "stop", "stop_ns", "helper", "tcp_state", "tcp_wscale_orig", "sctp_state", "dccp_role"),
    ]
    assert {name: getattr(entry, name) for name in absent} == dict.fromkeys(absent)
    assert (entry.zone, entry.orig_zone, entry.reply_zone, entry.labels) == (0, 0, 0, 0)


def test_a_tcp_state_that_this_release_does_not_know_is_its_number(ct: ctrack.Conntrack) -> None:
    raw = bytearray(tcp("1.1.1.1", 1, "2.2.2.2", 2).raw)
    assert raw[CEntry.tcp_state.offset] == ctrack.TcpState.ESTABLISHED
    raw[CEntry.tcp_state.offset] = 200
    entry = Entry.from_raw(raw)
    assert entry.tcp_state == 200 and not isinstance(entry.tcp_state, ctrack.TcpState)
    assert "UNKNOWN" in str(entry) and "UNKNOWN" in repr(entry) and "UNKNOWN" in entry.json()
    for name in (name for name in dir(Entry) if isinstance(getattr(Entry, name), property)):
        getattr(entry, name)
    with pytest.raises(ctrack.Error, match="state is one of a later kernel"):
        ct.create([entry])
