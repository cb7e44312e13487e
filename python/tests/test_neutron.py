# SPDX-License-Identifier: MIT OR Apache-2.0
"""The module for Neutron, where it goes beyond the everyday job of test_scenario.py."""

from __future__ import annotations

import errno
import os
import random
from typing import Any

import pytest
from support import (
    CAP_NET_ADMIN,
    cli_ids,
    cli_table,
    dccp,
    drop_capability,
    echo,
    ids,
    in_thread,
    inside,
    make,
    new_netns,
    plain,
    tcp,
    udp,
)

import ctrack
from ctrack import Entry, _tuples, _tuples_table, fwaas, neutron


def everything(zone: int) -> list[Entry]:
    """Entries of every kind of protocol, in a zone."""
    pairs = [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")]
    entries = []
    for a, b in pairs:
        entries += [tcp(a, 1, b, 2, zone=zone), udp(a, 3, b, 4, zone=zone), echo(a, b, 5, zone=zone)]
        with_ports: dict[str, Any] = {"orig_src": a, "orig_dst": b, "zone": zone, "timeout": 3000}
        entries += [
            Entry(proto="sctp", orig_sport=6, orig_dport=7, **with_ports),
            Entry(proto="udplite", orig_sport=8, orig_dport=9, **with_ports),
            Entry(proto="gre", orig_sport=0, orig_dport=77, **with_ports),
            dccp(a, 0, b, 0, zone=zone),
            plain(89, a, b, zone=zone),
            plain(50, a, b, zone=zone),
        ]
    return entries


EVERYTHING: list[tuple[Any, ...]] = [
    (4, "50", "10.0.0.1", "10.0.0.2"),
    (4, "89", "10.0.0.1", "10.0.0.2"),
    (4, "dccp", 0, 0, "10.0.0.1", "10.0.0.2"),
    (4, "gre", 0, 77, "10.0.0.1", "10.0.0.2"),
    (4, "icmp", 8, 0, "10.0.0.1", "10.0.0.2", 5),
    (4, "sctp", 6, 7, "10.0.0.1", "10.0.0.2"),
    (4, "tcp", 1, 2, "10.0.0.1", "10.0.0.2"),
    (4, "udp", 3, 4, "10.0.0.1", "10.0.0.2"),
    (4, "udplite", 8, 9, "10.0.0.1", "10.0.0.2"),
    (6, "50", "fd00::1", "fd00::2"),
    (6, "89", "fd00::1", "fd00::2"),
    (6, "dccp", 0, 0, "fd00::1", "fd00::2"),
    (6, "gre", 0, 77, "fd00::1", "fd00::2"),
    (6, "icmpv6", 128, 0, "fd00::1", "fd00::2", 5),
    (6, "sctp", 6, 7, "fd00::1", "fd00::2"),
    (6, "tcp", 1, 2, "fd00::1", "fd00::2"),
    (6, "udp", 3, 4, "fd00::1", "fd00::2"),
    (6, "udplite", 8, 9, "fd00::1", "fd00::2"),
]


@pytest.mark.parametrize("zone", [0, 7])
def test_every_protocol_is_listed_and_what_is_listed_can_be_deleted(ct: ctrack.Conntrack, zone: int) -> None:
    for number in (0, 7, 8):
        make(ct, everything(number))
    others = cli_ids() - ids(ct.list(ctrack.Filter(zone=zone)))
    listed = neutron.list_entries(zone)
    assert listed == [(*entry, zone) for entry in EVERYTHING]
    assert sorted([*listed[9:], *listed[:9]]) == listed
    for entry in listed:
        result = neutron.delete_entries([entry])
        assert (result.done, result.statuses) == (1, (0,)), entry
    assert neutron.list_entries(zone) == []
    assert cli_ids() == others
    make(ct, everything(zone))
    result = neutron.delete_entries(tuple(entry) for entry in reversed(listed))
    assert (result.matched, result.done, result.gone, result.failed) == (18, 18, 0, 0)
    assert cli_ids() == others


def test_zones_of_one_direction_are_listed_deleted_and_flushed(ct: ctrack.Conntrack) -> None:
    def fill() -> None:
        # Two entries with one tuple: in zone 9 when it comes, and when it is answered.
        make(ct, [tcp("1.1.1.1", 1, "2.2.2.2", 2, orig_zone=9), tcp("1.1.1.1", 1, "2.2.2.2", 2, reply_zone=9)])
        make(ct, [udp("1.1.1.1", 1, "2.2.2.2", 2, orig_zone=9), udp("1.1.1.1", 3, "2.2.2.2", 2, reply_zone=9)])
        make(ct, [udp("fd00::1", 1, "fd00::2", 2, orig_zone=9), udp("fd00::1", 2, "fd00::2", 2, zone=9)])

    make(ct, [tcp("1.1.1.1", 1, "2.2.2.2", 2, zone=8), udp("1.1.1.1", 1, "2.2.2.2", 2, zone=10)])
    make(ct, [udp("fd00::1", 1, "fd00::2", 2, reply_zone=8), udp("1.1.1.1", 9, "2.2.2.2", 2)])
    others = cli_table()
    fill()
    listed = neutron.list_entries(9)
    assert listed == [
        (4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", 9),
        (4, "udp", 1, 2, "1.1.1.1", "2.2.2.2", 9),
        (4, "udp", 3, 2, "1.1.1.1", "2.2.2.2", 9),
        (6, "udp", 1, 2, "fd00::1", "fd00::2", 9),
        (6, "udp", 2, 2, "fd00::1", "fd00::2", 9),
    ]
    result = neutron.delete_entries(listed[:1])
    assert (result.matched, result.done, result.gone, result.statuses) == (1, 2, 0, (0,)), "both that have this tuple"
    assert neutron.list_entries(9) == listed[1:]
    result = neutron.delete_entries(listed)
    assert (result.matched, result.done, result.gone) == (5, 4, 1)
    assert result.statuses == (errno.ENOENT, 0, 0, 0, 0)
    assert cli_table() == others
    fill()
    neutron.flush_entries(9)
    assert cli_table() == others


def test_a_flush_of_zones_keeps_the_others(ct: ctrack.Conntrack) -> None:
    for zone in (0, 7, 8):
        make(ct, everything(zone))
    neutron.flush_entries(7)
    assert neutron.list_entries(7) == [] and ct.count() == 36
    neutron.flush_entries(0)
    assert neutron.list_entries(0) == [] and len(neutron.list_entries(8)) == ct.count() == 18
    neutron.flush_entries(7)
    assert ct.count() == 18
    make(ct, [udp("10.0.0.1", 1, "10.0.0.2", 2, zone=zone) for zone in (0, 9, 10)])
    neutron.flush_entries([8, 10, 8])
    assert neutron.list_entries("all") == [(4, "udp", 1, 2, "10.0.0.1", "10.0.0.2", zone) for zone in (0, 9)]


def test_a_flush_without_a_zone_is_refused_and_names_what_flushes_everything(ct: ctrack.Conntrack) -> None:
    def fill() -> None:
        make(ct, [udp("10.0.0.1", 1, "10.0.0.2", 2, zone=zone) for zone in (0, 7)])
        make(ct, [udp("fd00::1", 1, "fd00::2", 2, orig_zone=7)])

    fill()
    zone_of: dict[str, int] = {}
    refused: list[Any] = [
        lambda: neutron.flush_entries(),
        lambda: neutron.flush_entries(zone_of.get("port")),
        lambda: neutron.flush_entries(None, conntrack=ct),
        lambda: neutron.flush_entries(everything=False),
    ]
    for call in refused:
        with pytest.raises(ValueError, match="everything=True"):
            call()
    for wrong in (1, "yes", None):
        with pytest.raises(ValueError, match="everything"):
            neutron.flush_entries(everything=wrong)  # type: ignore[arg-type]
    for zone in (7, "all", 0):
        with pytest.raises(ValueError, match="one of them"):
            neutron.flush_entries(zone, everything=True)
    for empty in ([], "", (), -1, 65536, True, [7, None]):
        with pytest.raises(ValueError, match="zone"):
            neutron.flush_entries(empty)  # type: ignore[arg-type]
    assert ct.count() == 3
    neutron.flush_entries(everything=True)
    assert ct.count() == 0
    fill()
    neutron.flush_entries("all")
    assert ct.count() == 0


def test_help_begins_with_what_the_module_is_and_how_it_differs() -> None:
    for module, package in ((neutron, "OpenStack Neutron's"), (fwaas, "neutron-fwaas'")):
        summary, empty, body = (module.__doc__ or "").splitlines()[:3]
        assert summary == f"Drop-in for {package} conntrack module; unlike there, no missing value ever means everything."
        assert empty == ""
        assert body.startswith("flush_entries()") and "flush_entries(everything=True) deletes all entries" in body
        own = {name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__}
        assert own - {name for name in own if name.startswith("_")} == {*module.__all__} - {"EntryTuple"}


def test_all_zones_and_several_of_them_are_listed_and_deleted_by_rules(ct: ctrack.Conntrack) -> None:
    zones = (0, 1, 7, 8, 65535)

    def left() -> list[Any]:
        return [entry[-1] for entry in neutron.list_entries("all")]

    def fill() -> None:
        neutron.flush_entries(everything=True)
        make(ct, [udp("10.0.0.1", 1, "10.0.0.5", 2, zone=zone) for zone in zones])

    fill()
    assert left() == [*zones] and neutron.list_entries([8, 0]) == [
        (4, "udp", 1, 2, "10.0.0.1", "10.0.0.5", zone) for zone in (0, 8)
    ]
    for given, remain in (("all", []), ([7, 0, 7], [1, 8, 65535]), ((65535,), [0, 1, 7, 8]), (0, [1, 7, 8, 65535])):
        fill()
        neutron.delete_rules([neutron.Rule(given, "IPv4", "ingress", "10.0.0.5")])
        assert left() == remain, given
    fill()
    for bad in ([], None, 65536, -1, "none", "7", [7, "7"], True):
        rule = neutron.Rule(bad, "IPv4", "ingress", "10.0.0.5")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match=r"rules\[0\]: zone"):
            neutron.delete_rules([rule])
        with pytest.raises(ValueError, match="zone"):
            neutron.list_entries(bad)  # type: ignore[arg-type]
    assert left() == [*zones]


GOOD = (4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", 5)


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ((4, "tcp", 1, 2, "1.1.1.999", "2.2.2.2", 5), "orig_src"),
        ((4, "tcp", 1, 2, "1.1.1.1", None, 5), "orig_dst"),
        ((4, "tcp", 1, 2, "", "2.2.2.2", 5), "orig_src"),
        ((4, "tcp", 1, 2, 16843009, "2.2.2.2", 5), "orig_src"),
        ((4, "tcp", 1, 2, "1.1.1.0/24", "2.2.2.2", 5), "orig_src"),
        ((4, "tcp", "x", 2, "1.1.1.1", "2.2.2.2", 5), "orig_sport"),
        ((4, "tcp", "0x1", 2, "1.1.1.1", "2.2.2.2", 5), "orig_sport"),
        ((4, "tcp", " 1", 2, "1.1.1.1", "2.2.2.2", 5), "orig_sport"),
        ((4, "tcp", True, 2, "1.1.1.1", "2.2.2.2", 5), "orig_sport"),
        ((4, "tcp", 1.0, 2, "1.1.1.1", "2.2.2.2", 5), "orig_sport"),
        ((4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", True), "zone"),
        ((4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", "5"), "zone"),
        ((4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", -1), "zone"),
        ((4, "tcp", 1, 2, "1.1.1.1", "02.2.2.2", 5), "orig_dst"),
        ((4, "tcp", 1, 2, "1.1.1.1\0", "2.2.2.2", 5), "orig_src"),
        ((4, "tcp", 1, 70000, "1.1.1.1", "2.2.2.2", 5), "orig_dport"),
        ((4, "tcp", -1, 2, "1.1.1.1", "2.2.2.2", 5), "orig_sport"),
        ((4, "tcp", None, 2, "1.1.1.1", "2.2.2.2", 5), "orig_sport"),
        ((4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", 65536), "zone"),
        ((4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", None), "zone"),
        ((4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2"), "members"),
        ((4, "89", 1, 2, "1.1.1.1", "2.2.2.2", 5), "members"),
        ((4, "icmp", 8, 0, "1.1.1.1", "2.2.2.2", 5), "members"),
        ((4, "icmp", 256, 0, "1.1.1.1", "2.2.2.2", 1, 5), "icmp_type"),
        ((4, "icmp", 8, 0, "1.1.1.1", "2.2.2.2", 65536, 5), "icmp_id"),
        ((6, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", 5), "version 6"),
        ((4, "tcp", 1, 2, "fd00::1", "fd00::2", 5), "version 4"),
        ((6, "tcp", 1, 2, "fe80::1%lo", "fe80::2", 5), "scope"),
        ((5, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", 5), "version"),
        ((4, "nonsense", 1, 2, "1.1.1.1", "2.2.2.2", 5), "protocol"),
        ((4, "256", "1.1.1.1", "2.2.2.2", 5), "protocol"),
        ((4, None, "1.1.1.1", "2.2.2.2", 5), "protocol"),
        ((), "tuple"),
        (None, "tuple"),
        ("tcp", "tuple"),
    ],
)
def test_a_wrong_tuple_is_named_and_nothing_is_sent(ct: ctrack.Conntrack, bad: Any, named: str) -> None:
    make(ct, [tcp("1.1.1.1", 1, "2.2.2.2", 2, zone=5), tcp("0.0.0.0", 1, "2.2.2.2", 2, zone=5)])
    before = cli_table()
    with pytest.raises(ValueError, match=named) as caught:
        neutron.delete_entries([GOOD, bad])
    assert "entries[1]" in str(caught.value)
    assert isinstance(caught.value, ctrack.Error) and caught.value.errno == errno.EINVAL
    assert cli_table() == before, "the right one of the list is still there"


def port_table(ct: ctrack.Conntrack) -> None:
    """Flows of the ports 10.0.0.5 and fd00::5 with 1,500 remotes, both ways, in zones 7 and 8 and in none."""
    entries = []
    for zone in (0, 7, 8):
        for n in range(1500):
            remote = f"172.16.{n >> 8}.{n & 255}"
            entries.append(udp(remote, n, "10.0.0.5", 53, zone=zone))
            entries.append(tcp("10.0.0.5", n, remote, 80, zone=zone, mark=n % 2))
        entries.append(udp("fd00:1::1", 1, "fd00::5", 53, zone=zone))
        entries.append(echo("fd00:1::1", "fd00::5", 1, zone=zone))
        entries.append(udp("172.16.0.1", 1, "10.0.0.6", 53, zone=zone))
    make(ct, entries)


def test_rules_with_a_thousand_remotes_delete_exactly_their_flows(ct: ctrack.Conntrack) -> None:
    port_table(ct)
    before = ids(ct.list())
    remotes = [f"172.16.{n >> 8}.{n & 255}" for n in range(1000)]
    rules = [
        neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", remotes=remotes),
        neutron.Rule(7, "IPv4", "egress", ["10.0.0.5/32"], protocol="tcp", mark=1, remotes=remotes),
    ]
    expected = set()
    for entry in ct.list(ctrack.Filter(zone=7, family="ipv4")):
        if str(entry.orig_dst) == "10.0.0.5" and str(entry.orig_src) in remotes:
            expected.add(entry.id)
        if str(entry.orig_src) == "10.0.0.5" and str(entry.orig_dst) in remotes and entry.mark == 1:
            expected.add(entry.id)
    assert len(expected) == 1500
    result = neutron.delete_rules(rules)
    assert (result.matched, result.done) == (1500, 1500)
    assert cli_ids() == before - expected
    result = neutron.delete_rules(rules)
    assert (result.matched, result.done) == (0, 0)
    assert cli_ids() == before - expected


def test_a_rule_without_remotes_means_any_and_icmp_means_icmpv6_for_ipv6(ct: ctrack.Conntrack) -> None:
    port_table(ct)
    before = ids(ct.list())
    assert neutron.delete_rules([neutron.Rule(7, "IPv6", "ingress", "fd00::5", protocol="icmp")]).done == 1
    assert neutron.delete_rules([neutron.Rule(7, "ipv6", "ingress", "fd00::/64")]).done == 1
    assert neutron.delete_rules([neutron.Rule(0, "IPv4", "ingress", "10.0.0.4/30", protocol="udp")]).done == 1501
    assert len(ct.list()) == len(before) - 1503
    assert neutron.delete_rules([]).done == 0
    assert len(ct.list()) == len(before) - 1503


@pytest.mark.parametrize(
    ("rule", "named"),
    [
        (neutron.Rule(7, "IPv4", "ingress", []), "addresses"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", remotes=[]), "remotes"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", remotes=["172.16.0.1", "x"]), r"remotes\[1\]"),
        (neutron.Rule(7, "IPv6", "both", "10.0.0.5"), "direction"),
        (neutron.Rule(7, "IPv6", "ingress", "10.0.0.5", remotes=["10.0.0.1", "x"]), r"remotes\[1\]"),
        (neutron.Rule(7, "IPv4", "ingress", ["10.0.0.5", "0.0.0.0"]), r"addresses\[1\]: 0\.0\.0\.0"),
        (neutron.Rule(7, "IPv5", "ingress", "10.0.0.5"), "ethertype"),
        (neutron.Rule(7, "IPv4", "both", "10.0.0.5"), "direction"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", protocol="nonsense"), "protocol"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", mark=1 << 32), "mark"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", mark="1x"), "mark"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", mark="010"), "mark"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", mark="0x1/"), "mark"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", mark="0x2/0x1"), "mark"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", mark="4294967296"), "mark"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", mark=True), "mark"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", protocol=""), "protocol"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", protocol="256"), "protocol"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5/33"), "prefix"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5/255.255.255.0"), "prefix"),
        (neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", remotes=set()), 'empty_remotes="any"'),
        (neutron.Rule(7, "IPv4", "ingress", None), "addresses"),
        ("rule", "Rule"),
    ],
)
def test_a_wrong_rule_is_named_and_nothing_is_sent(ct: ctrack.Conntrack, rule: Any, named: str) -> None:
    make(ct, [udp("172.16.0.1", 1, "10.0.0.5", 53, zone=7)])
    good = neutron.Rule(7, "IPv4", "ingress", "10.0.0.5")
    with pytest.raises(ValueError, match=named) as caught:
        neutron.delete_rules([good, rule])
    assert "rules[1]" in str(caught.value)
    assert len(cli_ids()) == 1


def test_without_the_capability_every_function_says_so(ct: ctrack.Conntrack) -> None:
    make(ct, [tcp("1.1.1.1", 1, "2.2.2.2", 2, zone=5)])
    before = cli_table()

    def body() -> None:
        drop_capability(CAP_NET_ADMIN)
        for call in (
            lambda: neutron.list_entries(5),
            lambda: neutron.delete_entries([GOOD]),
            lambda: neutron.delete_rules([neutron.Rule(5, "IPv4", "egress", "1.1.1.1")]),
            lambda: neutron.flush_entries(5),
            lambda: neutron.flush_entries(everything=True),
        ):
            with pytest.raises(PermissionError, match="CAP_NET_ADMIN") as caught:
                call()
            assert caught.value.errno == errno.EPERM

    in_thread(body)
    assert cli_table() == before


def test_functions_work_where_the_calling_thread_is_or_where_the_conntrack_is(ct: ctrack.Conntrack, netns: int) -> None:
    other = new_netns()
    make(ct, [tcp("1.1.1.1", 1, "2.2.2.2", 2, zone=5)])
    assert inside(other, lambda: neutron.list_entries(5)) == []
    assert inside(other, lambda: neutron.list_entries(5, conntrack=ct)) == [GOOD]
    inside(other, lambda: neutron.flush_entries(everything=True))
    assert neutron.list_entries(5) == [GOOD]
    assert inside(other, lambda: neutron.delete_entries([GOOD], conntrack=ct).done) == 1
    assert neutron.list_entries(5) == []


def test_the_error_of_a_delete_names_the_tuple_that_was_given(ct: ctrack.Conntrack) -> None:
    # Nothing reaches the first entry: the others have its tuples in their other direction.
    reply = {"reply_src": "10.0.0.1", "reply_sport": 1000, "reply_dst": "10.0.0.2", "reply_dport": 53}
    hidden = udp("10.0.0.1", 1000, "10.0.0.2", 53)
    hiders = [
        udp("10.0.0.2", 53, "10.0.0.1", 1000, reply_zone=7),
        udp("10.7.7.7", 7, "10.7.7.8", 7, orig_zone=9, **reply),
    ]
    make(ct, [hidden, *hiders, *(udp("10.0.0.3", n, "10.0.0.4", 1, zone=5) for n in range(4))])
    others: list[neutron.EntryTuple] = [(4, "udp", n, 1, "10.0.0.3", "10.0.0.4", 5) for n in range(4)]
    unreachable = (4, "udp", 1000, 53, "10.0.0.1", "10.0.0.2", 0)
    # Each of the others is three keys for the library.
    with pytest.raises(ctrack.HiddenError, match=r"^\[Errno \d+\] entries\[3\]: delete_entries: .*cannot be reached") as caught:
        neutron.delete_entries([*others[:3], unreachable, others[3]], conntrack=ct)
    assert "more" not in str(caught.value)
    with pytest.raises(ctrack.HiddenError, match=r"^\[Errno \d+\] entries\[0\]: .*; and 1 more$"):
        neutron.delete_entries([unreachable, others[0], unreachable], conntrack=ct)
    assert ct.count() == 3


def mixed_table(ct: ctrack.Conntrack) -> None:
    """Entries of every kind, in zones of both and of one direction, with tuples that come several times."""
    for zone in (0, 7, 8):
        make(ct, everything(zone))
    # Beside the entry in zone 7 one whose reply direction only is in a zone; in zone 9 one of each direction.
    make(ct, [udp("10.0.0.9", n, "10.0.0.2", 4, zone=7) for n in range(1, 40)])
    make(ct, [udp("10.0.0.9", n, "10.0.0.2", 4, orig_zone=9) for n in range(1, 40)])
    make(ct, [udp("10.0.0.9", n, "10.0.0.2", 4, reply_zone=9) for n in range(1, 20)])
    make(ct, [udp("fd00::9", n, "fd00::2", 4, reply_zone=7) for n in range(1, 20)])


@pytest.mark.parametrize("few", [True, False])
def test_looked_up_or_out_of_a_list_the_same_entries_are_deleted_with_the_same_statuses(
    ct: ctrack.Conntrack, monkeypatch: pytest.MonkeyPatch, few: bool
) -> None:
    monkeypatch.setattr(_tuples_table, "_few", lambda *_: few)
    mixed_table(ct)
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"SEED={seed}")
    choose = random.Random(seed)
    while (listed := neutron.list_entries("all")) != []:
        before = plain_table(ct)
        chosen: list[Any] = choose.sample(listed, min(len(listed), choose.randint(1, 60)))
        # Tuples that are not there: of another zone, and with other ports.
        missing = [(*entry[:-1], choose.choice([5, 6])) for entry in chosen[:3]]
        missing += [(4, "udp", 60000, 4, "10.0.0.9", "10.0.0.2", zone) for zone in (0, 7, 9)]
        given = [*chosen, *missing, chosen[0]]
        result = neutron.delete_entries(given)
        gone = {entry for entry in before if entry[:-1] in {*chosen}}
        assert result.statuses == (*(0 for _ in chosen), *(errno.ENOENT for _ in missing), errno.ENOENT)
        assert (result.matched, result.done, result.failed) == (len(given), len(gone), 0)
        assert plain_table(ct) == before - gone


def plain_table(ct: ctrack.Conntrack) -> set[Any]:
    """The tuple of each entry as the module has it, and its id."""
    found = set()
    for entry in ct.list():
        version = 4 if entry.family == ctrack.Family.IPV4 else 6
        name = entry.proto.name.lower() if isinstance(entry.proto, ctrack.Proto) else str(entry.proto)
        fields: list[Any] = []
        if entry.icmp_type is not None:
            fields = [entry.icmp_type, entry.icmp_code, str(entry.orig_src), str(entry.orig_dst), entry.icmp_id]
        elif name in ("tcp", "udp", "sctp", "udplite", "gre", "dccp"):
            fields = [entry.orig_sport or 0, entry.orig_dport or 0, str(entry.orig_src), str(entry.orig_dst)]
        else:
            fields = [str(entry.orig_src), str(entry.orig_dst)]
        found.add((version, name, *fields, entry.zone, entry.id))
    return found


def test_what_replaces_a_listed_entry_before_its_delete_stays(ct: ctrack.Conntrack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tuples_table, "_few", lambda *_: False)
    make(ct, [udp("10.0.0.1", n, "10.0.0.2", 1, zone=7) for n in (1, 2)])
    given: list[Any] = [(4, "udp", n, 1, "10.0.0.1", "10.0.0.2", 7) for n in (1, 2)]
    names_of = _tuples.names_of

    def replaced(buffer: Any) -> Any:
        old = [entry for entry in ct.list() if entry.orig_sport == 1]
        ct.delete_entries(old)
        # Until it has got another place in the kernel's memory, by which the ids are made.
        spare = 100
        while True:
            make(ct, [udp("10.0.0.1", spare, "10.0.0.2", 1), udp("10.0.0.1", 1, "10.0.0.2", 1, zone=7)])
            new = [entry for entry in ct.list() if entry.orig_sport == 1]
            if new[0].id != old[0].id:
                return names_of(buffer)
            ct.delete_entries(new)
            spare += 1

    monkeypatch.setattr(_tuples, "names_of", replaced)
    assert neutron.delete_entries(given).statuses == (errno.ENOENT, 0)
    assert [entry.orig_sport for entry in ct.list(ctrack.Filter(zone=7))] == [1]


def test_many_tuples_are_deleted_out_of_a_list_and_few_are_looked_up(
    ct: ctrack.Conntrack, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways: list[str] = []
    few = _tuples_table._few

    def noted(handle: Any, count: int) -> bool:
        ways.append("looked up" if few(handle, count) else "listed")
        return ways[-1] == "looked up"

    monkeypatch.setattr(_tuples_table, "_few", noted)
    entries = [udp("10.0.0.1", n % 60000, "10.0.0.2", n // 60000, zone=7) for n in range(4000)]
    make(ct, entries)
    listed = neutron.list_entries(7)
    assert neutron.delete_entries(listed[:10]).done == 10
    assert neutron.delete_entries(listed[10:]).done == 3990
    assert ways == ["looked up", "listed"]
    make(ct, [*entries, *(tcp("10.0.0.3", n, "10.0.0.2", 1) for n in range(12000))])
    assert neutron.delete_entries(listed).done == 4000
    assert ways == ["looked up", "listed", "looked up"], "among many others"
