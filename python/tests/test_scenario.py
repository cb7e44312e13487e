# SPDX-License-Identifier: MIT OR Apache-2.0
"""The everyday job: in an unused zone make three entries, list them, delete one and all of them, and touch nothing else."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Any

import pytest
from support import by_hand, cli_ids, cli_table, echo, identity, ids, make, tcp, udp

import ctrack
from ctrack import Filter, neutron

A, B = {4: "1.1.1.1", 6: "fd00::1"}, {4: "2.2.2.2", 6: "fd00::2"}
GONE = errno.ENOENT


def three(version: int, zone: int) -> list[ctrack.Entry]:
    a, b = A[version], B[version]
    return [tcp(a, 1, b, 2, zone=zone), udp(a, 4, b, 5, zone=zone), echo(a, b, 3333, zone=zone)]


def tuples(version: int, zone: int) -> list[neutron.EntryTuple]:
    a, b = A[version], B[version]
    icmp, kind = ("icmp", 8) if version == 4 else ("icmpv6", 128)
    return [
        (version, icmp, kind, 0, a, b, 3333, zone),
        (version, "tcp", 1, 2, a, b, zone),
        (version, "udp", 4, 5, a, b, zone),
    ]


def elsewhere(ct: ctrack.Conntrack, version: int) -> set[str]:
    """The same addresses in zone 0 and in other zones, and in zone 3 of one direction only later on."""
    for zone in (0, 1, 2, 4):
        make(ct, three(version, zone))
    return cli_table()


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("keys", ["listed", "key()", "by hand"])
def test_three_entries_of_a_free_zone_are_made_listed_and_deleted(ct: ctrack.Conntrack, version: int, keys: str) -> None:
    others = elsewhere(ct, version)
    zone = ct.free_zone()
    assert zone == 3, "the lowest zone that nobody uses"
    assert ct.list(Filter(zone=zone)) == []
    wanted = three(version, zone)
    make(ct, wanted)

    listed = ct.list(Filter(zone=zone))
    assert sorted(map(identity, listed)) == sorted(map(identity, wanted))
    assert [entry.tcp_state for entry in listed if entry.proto == ctrack.Proto.TCP] == [ctrack.TcpState.ESTABLISHED]
    assert ids(listed) == cli_ids("-w", "3")

    def key(entry: ctrack.Entry) -> ctrack.Entry:
        return {"listed": entry, "key()": entry.key(), "by hand": by_hand(entry)}[keys]

    for each in wanted:
        before = ct.list(Filter(zone=zone))
        victim = next(entry for entry in before if identity(entry) == identity(each))
        found = ct.get(key(victim))
        assert found is not None and found.id == victim.id
        result = ct.delete_entries([key(victim)])
        assert (result.done, result.gone, result.failed, result.statuses) == (1, 0, 0, (0,))
        rest = ids(before) - {victim.id}
        assert ids(ct.list(Filter(zone=zone))) == cli_ids("-w", "3") == rest, "exactly the two others stay"
        again = ct.delete_entries([key(victim)])
        assert (again.done, again.gone, again.failed, again.statuses) == (0, 1, 0, (GONE,))
        assert ct.get(key(victim)) is None
        assert ids(ct.list(Filter(zone=zone))) == rest
        make(ct, [each])

    all_of_them = [key(entry) for entry in ct.list(Filter(zone=zone))]
    assert ct.delete_entries(all_of_them).statuses == (0, 0, 0)
    assert ct.list(Filter(zone=zone)) == []
    assert ct.delete_entries(all_of_them).statuses == (GONE,) * 3
    assert cli_table() == others, "other zones were never touched"


@pytest.mark.parametrize("version", [4, 6])
def test_three_entries_of_a_free_zone_through_the_neutron_module(ct: ctrack.Conntrack, version: int) -> None:
    others = elsewhere(ct, version)
    zone = ct.free_zone()
    assert neutron.list_entries(zone) == []
    make(ct, three(version, zone))
    wanted = tuples(version, zone)
    assert neutron.list_entries(zone) == wanted
    for each in wanted:
        result = neutron.delete_entries([each])
        assert (result.matched, result.done, result.gone, result.statuses) == (1, 1, 0, (0,))
        assert neutron.list_entries(zone) == [other for other in wanted if other != each]
        assert len(cli_ids("-w", "3")) == 2
        result = neutron.delete_entries([each])
        assert (result.matched, result.done, result.gone, result.statuses) == (1, 0, 1, (GONE,))
        make(ct, [entry for entry in three(version, zone) if str(ctrack.Proto(entry.proto).name).lower() == each[1]])
    assert neutron.list_entries(zone) == wanted
    assert neutron.delete_entries(wanted).done == 3
    assert neutron.list_entries(zone) == []
    assert neutron.delete_entries(wanted).gone == 3
    assert cli_table() == others, "other zones were never touched"


def test_a_delete_in_zone_0_leaves_all_zones_alone(ct: ctrack.Conntrack) -> None:
    elsewhere(ct, 4)
    make(ct, [tcp("1.1.1.1", 6, "2.2.2.2", 2, orig_zone=9), tcp("1.1.1.1", 7, "2.2.2.2", 2, reply_zone=9)])
    before = cli_ids()
    of_zone_0 = ids(ct.list(Filter(zone=0)))  # not those that are in zone 0 in one direction only
    assert len(of_zone_0) == 3
    assert ct.delete_entries(three(4, 0)).done == 3
    assert cli_ids() == before - of_zone_0
    make(ct, three(4, 0))
    assert neutron.delete_entries(tuples(4, 0)).done == 3
    assert cli_ids() == before - of_zone_0
    make(ct, three(4, 0))
    neutron.flush_entries(0)
    assert cli_ids() == before - of_zone_0


def test_zones_at_both_ends_of_the_range_are_zones_like_others(ct: ctrack.Conntrack) -> None:
    for zone in (0, 1, 65534, 65535):
        make(ct, three(4, zone))
    for zone in (65535, 1, 0, 65534):
        assert neutron.list_entries(zone) == tuples(4, zone)
        assert len(ct.list(Filter(zone=zone))) == 3
        assert ct.delete(Filter(zone=zone)).done == 3
        assert ct.list(Filter(zone=zone)) == []
    assert ct.count() == 0


def test_a_range_without_a_free_zone_says_so(ct: ctrack.Conntrack) -> None:
    assert ct.free_zone(0) == 0, "nothing is in use yet"
    make(ct, [udp("1.1.1.1", 1, "2.2.2.2", 2, zone=7), udp("1.1.1.1", 1, "2.2.2.2", 2, orig_zone=8)])
    make(ct, [udp("1.1.1.1", 2, "2.2.2.2", 2, reply_zone=65535)])
    assert ct.free_zone(0) == 1, "one direction of two entries is in zone 0"
    assert ct.free_zone(7, 9) == 9
    for first, last in [(7, 8), (65535, 65535)]:
        with pytest.raises(ctrack.Error, match="no free zone") as caught:
            ct.free_zone(first, last)
        assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("bad", [-1, 65536, 1 << 32, 7.0, "7", True, None])
def test_what_is_no_zone_is_named_and_nothing_is_sent(ct: ctrack.Conntrack, bad: Any) -> None:
    make(ct, three(4, 0) + three(4, 1) + three(4, 7))
    before = cli_table()
    calls: list[Callable[[], object]] = [
        lambda: ct.free_zone(bad),
        lambda: ct.free_zone(1, bad),
        lambda: neutron.list_entries(bad),
        lambda: neutron.delete_entries([*tuples(4, 7), (4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", bad)]),
        lambda: neutron.delete_rules([neutron.Rule(bad, "IPv4", "ingress", "2.2.2.2")]),
    ]
    if bad is not None:
        calls += [
            lambda: Filter(zone=bad),
            lambda: tcp("1.1.1.1", 1, "2.2.2.2", 2, zone=bad),
            lambda: tcp("1.1.1.1", 1, "2.2.2.2", 2, orig_zone=bad),
            lambda: tcp("1.1.1.1", 1, "2.2.2.2", 2, reply_zone=bad),
            lambda: neutron.flush_entries(bad),
        ]
    for number, call in enumerate(calls):
        with pytest.raises(ValueError, match="zone|first|last") as caught:
            call()
        assert isinstance(caught.value, ctrack.Error) and repr(bad) in str(caught.value), number
    with pytest.raises(ValueError, match="upside down"):
        ct.free_zone(9, 8)
    assert cli_table() == before
