# SPDX-License-Identifier: MIT OR Apache-2.0
# mypy: disable-error-code="arg-type, list-item"
"""Every field of a filter, against a table with some of everything and a matcher in Python; refusals."""

from __future__ import annotations

import dataclasses
import errno
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Interface, IPv6Network, ip_network
from typing import Any

import pytest
from support import cli_count, cli_ids, cli_table, echo, ids, make, nft, plain, tcp, udp

import ctrack.neutron
from ctrack import Entry, Filter, Proto, Status, TcpState

LABELS = "table inet l {\n chain c {\n type filter hook output priority 0;\n ct label set 1\n }\n}\n"
A4 = ["10.0.0.1", "10.0.0.129", "10.0.1.1", "10.128.0.1", "192.168.1.1"]
A6 = ["fd00::1", "fd00::8000:0:0:1", "fd00:0:0:1::1", "fd80::1", "2001:db8::1"]


def mixed() -> list[Entry]:
    """Some of everything, in both families."""
    entries = []
    for a in (A4, A6):
        entries += [tcp(a[0], 1000 + state, a[4], 80, tcp_state=state, mark=int(state)) for state in TcpState]
        seen = Status.SEEN_REPLY
        for n, status in enumerate([0, seen, seen | Status.ASSURED, seen | Status.FIXED_TIMEOUT]):
            entries.append(udp(a[1], 2000 + n, a[4], 53, status=status, mark=0x10000 << n))
        for sport, dport in [(0, 53), (65535, 53), (4000, 0), (4000, 65535)]:
            entries.append(udp(a[2], sport, a[3], dport))
            entries.append(
                Entry(proto="udplite", orig_src=a[2], orig_dst=a[3], orig_sport=sport, orig_dport=dport, timeout=3000)
            )
        for zone in (1, 7, 65535):
            entries += [udp(a[0], 3000, a[3], 53, zone=zone, mark=0xFF), echo(a[0], a[3], 30, zone=zone)]
        entries += [udp(a[0], 3001, a[3], 53, orig_zone=7), udp(a[0], 3002, a[3], 53, reply_zone=7)]
        entries += [echo(a[3], a[0], number) for number in (0, 1, 3333, 65535)]
        entries += [Entry(proto="gre", orig_src=a[4], orig_dst=a[0], orig_sport=0, orig_dport=77, timeout=3000)]
        entries += [Entry(proto="sctp", orig_src=a[4], orig_dst=a[0], orig_sport=5, orig_dport=6, timeout=3000)]
        entries += [plain(89, a[4], a[1]), plain(253, a[4], a[0])]
        dnat, snat = Status.DST_NAT, Status.SRC_NAT
        entries.append(udp(a[2], 6001, a[4], 53, reply_src=a[1], reply_sport=8053, status=dnat))
        entries.append(tcp(a[2], 6002, a[4], 53, reply_dst=a[0], reply_dport=7777, status=snat))
        entries += [udp(a[1], 7000 + n, a[0], 5353, labels=1 << n) for n in (0, 64, 127)]
        entries.append(tcp(a[1], 7001, a[0], 21, helper="ftp"))
    return entries


def matches(f: Filter, e: Entry) -> bool:
    """What the documentation of Filter says, without any code of the library."""

    def within(net: Any, address: Any) -> bool:
        return net is None or (net.version == address.version and address in net)

    def between(ports: Any, port: Any) -> bool:
        return ports is None or (port is not None and ports[0] <= port <= ports[1])

    status = e.status or Status(0)
    full = (1 << 128) - 1
    return (
        f.family in (None, e.family)
        and f.proto in (None, e.proto)
        and f.zone in (None, e.zone)
        and f.orig_zone in (None, e.orig_zone)
        and f.reply_zone in (None, e.reply_zone)
        and f.id in (None, e.id)
        and (f.mark is None or (e.mark or 0) & (0xFFFFFFFF if f.mark_mask is None else f.mark_mask) == f.mark)
        and status & (f.status_set or 0) == (f.status_set or 0)
        and not status & (f.status_clear or 0)
        and all(within(getattr(f, n), getattr(e, n)) for n in ("orig_src", "orig_dst", "reply_src", "reply_dst"))
        and all(between(getattr(f, n), getattr(e, n)) for n in ("orig_sport", "orig_dport", "reply_sport", "reply_dport"))
        and all(getattr(f, n) in (None, getattr(e, n)) for n in ("icmp_type", "icmp_code", "icmp_id"))
        and (f.tcp_states is None or e.tcp_state in f.tcp_states)
        and (f.labels is None or e.labels & (full if f.labels_mask is None else f.labels_mask) == f.labels)
        and f.helper in (None, e.helper)
    )


FILTERS = [
    Filter(family="ipv4"),
    Filter(family=10),
    Filter(proto="tcp"),
    Filter(proto=89),
    Filter(proto=Proto.ICMPV6),
    Filter(zone=0),
    Filter(zone=7),
    Filter(zone=65535),
    Filter(zone=9),
    Filter(orig_zone=7),
    Filter(reply_zone=7),
    Filter(orig_zone=7, reply_zone=0),
    Filter(orig_zone=0, reply_zone=7),
    Filter(orig_zone=65535, reply_zone=65535),
    Filter(zone=7, orig_zone=0),
    Filter(orig_zone=0),
    Filter(reply_zone=0, proto="udp"),
    Filter(orig_zone=9),
    Filter(mark=0xFF),
    Filter(mark=0),
    Filter(mark=0x10000, mark_mask=0x30000),
    Filter(status_set=Status.ASSURED),
    Filter(status_clear=Status.SEEN_REPLY),
    Filter(status_set=Status.SEEN_REPLY, status_clear=Status.ASSURED),
    Filter(orig_src="10.0.0.1"),
    Filter(orig_src=IPv4Address("10.0.0.129")),
    Filter(orig_src="10.0.0.0/25"),
    Filter(orig_src="10.0.0.0/8"),
    Filter(orig_dst=ip_network("192.168.0.0/16")),
    Filter(orig_src="0.0.0.0"),
    Filter(orig_src="0.0.0.0/0"),
    Filter(orig_src="::/0"),
    Filter(orig_src="fd00::1"),
    Filter(orig_dst=IPv6Network("fd00::/65")),
    Filter(reply_src="10.0.0.129"),
    Filter(reply_src="fd00::8000:0:0:1"),
    Filter(reply_dst="10.0.0.1"),
    Filter(reply_dst="fd00::1"),
    Filter(proto="udp", orig_sport=0),
    Filter(proto="udp", orig_dport=53),
    Filter(proto="udp", orig_dport=(1, 53)),
    Filter(proto="udp", orig_dport=range(54)),
    Filter(proto="udplite", orig_sport=(4000, 65535)),
    Filter(proto="udp", reply_sport=8053),
    Filter(proto="tcp", reply_dport=7777),
    Filter(proto="gre", orig_dport=77),
    Filter(proto="sctp", orig_sport=5),
    Filter(proto="icmp", icmp_type=8),
    Filter(proto="icmp", icmp_type=0),
    Filter(proto="icmp", icmp_code=0, icmp_id=0),
    Filter(proto="icmpv6", icmp_id=65535),
    Filter(proto="tcp", tcp_states=TcpState.ESTABLISHED),
    Filter(proto="tcp", tcp_states=[TcpState.NONE, TcpState.SYN_SENT2, TcpState.LAST_ACK]),
    Filter(labels=1 << 64),
    Filter(labels=1 << 127, labels_mask=1 << 127),
    Filter(labels=0, labels_mask=1 << 64),
    Filter(helper="ftp"),
    Filter(helper="tftp"),
]


def test_every_field_is_tried_below() -> None:
    # An id is known when there are entries.
    for field in dataclasses.fields(Filter):
        tried = field.name in ("exclude", "id") or any(getattr(filter, field.name) is not None for filter in FILTERS)
        assert tried, f"{field.name}: no filter of FILTERS has it"


def test_every_field_selects_what_it_says_in_lists_streams_and_deletes(ct: ctrack.Conntrack) -> None:
    nft(LABELS)
    make(ct, mixed())
    table = ct.list()
    assert ids(table) == cli_ids()
    for filter in FILTERS:
        wanted = {entry.id for entry in table if matches(filter, entry)}
        assert len(wanted) < len(table)
        assert ids(ct.list(filter)) == wanted, filter
        assert ids(ct.stream(filter)) == wanted, filter
        result = ct.delete(filter)
        assert (result.matched, result.done, result.failed) == (len(wanted), len(wanted), 0), filter
        assert cli_ids() == ids(table) - wanted, filter
        ct.flush_all()
        make(ct, mixed())
        table = ct.list()


def test_several_filters_are_one_of_and_excluding_ones_none_of(ct: ctrack.Conntrack) -> None:
    nft(LABELS)
    make(ct, mixed())
    table = ct.list()
    including = [Filter(zone=7), Filter(proto="tcp")]
    excluding = [Filter(exclude=True, family="ipv6"), Filter(exclude=True, proto="tcp", orig_sport=1003)]
    out = {entry.id for entry in table if any(matches(f, entry) for f in excluding)}
    wanted = {entry.id for entry in table if any(matches(f, entry) for f in including)} - out
    assert ids(ct.list(*including, *excluding)) == wanted
    assert ids(ct.list(*excluding)) == ids(table) - out, "only excluding filters: everything else"
    result = ct.delete(*including, *excluding)
    assert result.done == len(wanted) > 0
    assert cli_ids() == ids(table) - wanted


def test_an_uncounted_delete_is_exact(ct: ctrack.Conntrack) -> None:
    nft(LABELS)
    make(ct, mixed())
    table = ct.list()
    for filter in (Filter(mark=0xFF), Filter(proto="udp", orig_dst=A4[4], orig_dport=53), Filter(zone=1)):
        wanted = {entry.id for entry in table if matches(filter, entry)}
        result = ct.delete(filter, uncounted=True)
        assert result.uncounted or result.done == len(wanted)
        table = [entry for entry in table if entry.id not in wanted]
        assert cli_ids() == ids(table), filter


NOTHING: list[dict[str, Any]] = [
    {},
    {"mark": 0, "mark_mask": 0},
    {"status_set": 0},
    {"status_set": Status.CONFIRMED},
    {"labels": 0, "labels_mask": 0},
    {"id": 1},
    {"id": 0, "status_set": Status.CONFIRMED},
]


@pytest.mark.parametrize("fields", NOTHING)
def test_a_delete_or_flush_of_everything_is_refused_by_all_but_flush_all(ct: ctrack.Conntrack, fields: dict[str, Any]) -> None:
    make(ct, [udp("1.1.1.1", 1, "2.2.2.2", 2), tcp("fd00::1", 1, "fd00::2", 2, zone=7)])
    before = cli_table()
    everything = Filter(**fields)
    refused: list[Callable[[], object]] = [
        lambda: ct.delete(),
        lambda: ct.delete(uncounted=True),
        lambda: ct.delete(everything),
        lambda: ct.delete(everything, uncounted=True),
        lambda: ct.delete(Filter(zone=7), everything),
        lambda: ct.delete(Filter(exclude=True, zone=7)),
        lambda: ct.flush(everything),
        lambda: ct.flush(Filter(zone=7, proto="tcp")),
        lambda: ct.flush(Filter(exclude=True, zone=7)),
    ]
    for number, call in enumerate(refused):
        with pytest.raises(ValueError) as caught:
            call()
        assert isinstance(caught.value, ctrack.Error) and caught.value.errno == errno.EINVAL, number
    mistaken: list[Callable[[], object]] = [
        lambda: ct.delete([Filter(zone=7)]),
        lambda: ct.flush(None),
        lambda: ct.list(None),
    ]
    for call in mistaken:
        with pytest.raises(TypeError, match="not Filter"):
            call()
    assert cli_table() == before
    ct.flush_all()
    assert cli_count() == 0


@pytest.mark.parametrize("scope", [{"zone": 7}, {"family": "ipv6"}, {"mark": 255}, {"status_set": Status.ASSURED}])
def test_a_flush_empties_exactly_its_scope(ct: ctrack.Conntrack, scope: dict[str, Any]) -> None:
    nft(LABELS)
    make(ct, mixed())
    table = ct.list()
    wanted = {entry.id for entry in table if matches(Filter(**scope), entry)}
    assert wanted
    ct.flush(Filter(**scope))
    assert cli_ids() == ids(table) - wanted


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"family": 4}, "family"),
    ({"family": "ipx"}, "family"),
    ({"family": "ipv6", "orig_src": "10.0.0.1"}, "orig_src"),
    ({"orig_src": "10.0.0.1", "reply_dst": "fd00::1"}, "reply_dst"),
    ({"proto": 256}, "proto"),
    ({"proto": -1}, "proto"),
    ({"proto": "nonsense"}, "proto"),
    ({"zone": 65536}, "zone"),
    ({"orig_zone": 65541}, "orig_zone"),
    ({"reply_zone": -1}, "reply_zone"),
    ({"orig_zone": 5, "reply_zone": 7}, "reply_zone"),
    ({"zone": 0, "reply_zone": 7}, "reply_zone"),
    ({"zone": 8, "orig_zone": 7}, "orig_zone"),
    ({"zone": 7, "orig_zone": 0, "reply_zone": 0}, "zone"),
    ({"id": 1 << 32}, "id"),
    ({"id": True}, "id"),
    ({"mark": 1 << 32}, "mark"),
    ({"mark": 3, "mark_mask": 1}, "mark"),
    ({"mark_mask": 1}, "mark_mask"),
    ({"status_set": 1 << 16}, "status_set"),
    ({"status_set": 2, "status_clear": 2}, "status_clear"),
    ({"orig_src": "10.0.0.1/8"}, "orig_src"),
    ({"orig_src": "10.0.0.0/33"}, "orig_src"),
    ({"orig_src": "10.0.0.0/255.0.0.0"}, "orig_src"),
    ({"orig_src": "10.0.0.0/"}, "orig_src"),
    ({"orig_src": "10.0.0"}, "orig_src"),
    ({"orig_src": "localhost"}, "orig_src"),
    ({"orig_src": ""}, "orig_src"),
    ({"orig_src": 167772161}, "orig_src"),
    ({"orig_src": b"\x0a\0\0\1"}, "orig_src"),
    ({"orig_src": IPv4Interface("10.0.0.1/8")}, "orig_src"),
    ({"reply_dst": "::ffff:10.0.0.1"}, "IPv4 in IPv6.*10.0.0.1. Give"),
    ({"orig_dst": "::ffff:10.0.0.0/104"}, "IPv4 in IPv6.*10.0.0.0/8"),
    ({"orig_dst": "fe80::1%lo"}, "scope"),
    ({"orig_dst": "fe80::%lo/64"}, "scope"),
    ({"orig_dport": 53}, "orig_dport"),
    ({"proto": "icmp", "orig_dport": 53}, "orig_dport"),
    ({"proto": "udp", "orig_dport": 65536}, "orig_dport"),
    ({"proto": "udp", "orig_dport": (2, 1)}, "orig_dport"),
    ({"proto": "udp", "orig_dport": (1, 2, 3)}, "orig_dport"),
    ({"proto": "udp", "orig_dport": range(5, 5)}, "orig_dport"),
    ({"proto": "udp", "orig_dport": range(1, 9, 2)}, "orig_dport"),
    ({"proto": "udp", "orig_dport": "53"}, "orig_dport"),
    ({"proto": "tcp", "icmp_type": 8}, "icmp_type"),
    ({"proto": "icmp", "icmp_type": 256}, "icmp_type"),
    ({"proto": "icmp", "icmp_id": 65536}, "icmp_id"),
    ({"proto": "udp", "tcp_states": TcpState.CLOSE}, "tcp_states"),
    ({"proto": "tcp", "tcp_states": []}, "tcp_states"),
    ({"proto": "tcp", "tcp_states": [10]}, "tcp_states"),
    ({"proto": "tcp", "tcp_states": "CLOSED"}, "tcp_states"),
    ({"proto": "tcp", "tcp_states": ["CLOSE", "CLOSED"]}, "tcp_states"),
    ({"proto": "tcp", "tcp_states": b"\x03"}, "tcp_states"),
    ({"proto": "tcp", "tcp_states": 1.5}, "tcp_states"),
    ({"status_set": "SEEN"}, "status_set"),
    ({"status_set": ""}, "status_set"),
    ({"status_set": []}, "status_set"),
    ({"status_set": [None]}, "status_set"),
    ({"status_set": ["ASSURED", True]}, "status_set"),
    ({"status_clear": b"ASSURED"}, "status_clear"),
    ({"status_set": "assured", "status_clear": ["dying", "assured"]}, "status_clear"),
    ({"labels": 1 << 128}, "labels"),
    ({"labels": 3, "labels_mask": 1}, "labels"),
    ({"labels_mask": 1}, "labels_mask"),
    ({"helper": ""}, "helper"),
    ({"helper": "x" * 16}, "helper"),
    ({"helper": "a\0b"}, "helper"),
    ({"exclude": 1}, "exclude"),
]


@pytest.mark.parametrize(("fields", "named"), WRONG)
def test_a_wrong_filter_is_a_value_error_that_names_the_field(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named) as caught:
        Filter(**fields)
    assert isinstance(caught.value, ctrack.InvalidArgumentError) and caught.value.errno == errno.EINVAL


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"zone": "7"}, "zone: '7' is a str, not an int"),
        ({"zone": True}, "zone: True is a bool, not an int"),
        ({"mark": 1.5}, "mark: 1.5 is a float, not an int"),
        ({"zone": IPv4Address("0.0.0.7")}, "zone: IPv4Address('0.0.0.7') is an IPv4Address, not an int"),
        ({"proto": "udp", "orig_dport": "53"}, "orig_dport: '53' is a str, not an int"),
        ({"proto": "udp", "orig_dport": (53, "54")}, "orig_dport: '54' is a str, not an int"),
        ({"status_set": [1, 2.0]}, "status_set: 2.0 is a float, not an int"),
        ({"status_set": b"ASSURED"}, "status_set: b'ASSURED' is neither a number nor a name"),
        ({"status_set": iter(())}, "status_set: no status at all"),
        (
            {"proto": "tcp", "tcp_states": "CLOSED"},
            f"tcp_states: 'CLOSED' is none of {', '.join(TcpState.__members__)}",
        ),
    ],
)
def test_a_wrong_type_or_an_unknown_name_is_refused_in_words_that_say_what_would_do(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(ctrack.InvalidArgumentError) as caught:
        Filter(**fields)
    assert caught.value.strerror == text


def test_states_and_statuses_are_given_by_name_as_well_as_by_number() -> None:
    both = frozenset({TcpState.ESTABLISHED, TcpState.CLOSE})
    for states in (["ESTABLISHED", "close"], ("Established", 8), {TcpState.CLOSE, "established"}, iter(["CLOSE", 3])):
        assert Filter(proto="tcp", tcp_states=states).tcp_states == both
    assert Filter(proto="tcp", tcp_states="time_wait").tcp_states == frozenset({TcpState.TIME_WAIT})
    for state in TcpState:
        assert Filter(proto="tcp", tcp_states=state.name) == Filter(proto="tcp", tcp_states=int(state))
    for status in Status:
        assert Filter(status_set=status.name, status_clear=0) == Filter(status_set=int(status), status_clear=0)
    assured = Status.SEEN_REPLY | Status.ASSURED
    for given in (["SEEN_REPLY", "assured"], (Status.SEEN_REPLY, "ASSURED"), {2, 4}, iter(["Assured", 6]), assured, 6):
        filter = Filter(status_set=given)
        assert filter.status_set == assured and type(filter.status_set) is Status
    with pytest.raises(ctrack.InvalidArgumentError, match="status_set: unknown status bits 0x10000"):
        Filter(status_set=["ASSURED", 0x10000])


def test_an_ipv4_mapped_address_matches_only_itself(ct: ctrack.Conntrack) -> None:
    both: Any = {"family": "ipv6"}
    make(ct, [udp("::ffff:10.0.0.1", 1, "::ffff:10.0.0.2", 2, **both), udp("10.0.0.1", 1, "10.0.0.2", 2)])
    mapped = ct.list(Filter(family="ipv6"))
    assert [str(entry.orig_src) for entry in mapped] in (["::ffff:a00:1"], ["::ffff:10.0.0.1"])
    assert ct.delete(Filter(orig_src="10.0.0.1")).done == 1
    assert ids(ct.list()) == ids(mapped)
    assert ct.delete_entries([udp("10.0.0.1", 1, "10.0.0.2", 2)]).gone == 1
    with pytest.raises(ValueError, match="IPv4 in IPv6"):
        udp("::ffff:10.0.0.1", 1, "::ffff:10.0.0.2", 2)
    assert ids(ct.list(Filter(orig_src="::ffff:10.0.0.1", **both))) == ids(mapped)
    listed = ctrack.neutron.list_entries(0)
    assert ctrack.neutron.delete_entries(listed[:1]).done == 1
    make(ct, mapped)
    assert ct.delete_entries([udp("::ffff:10.0.0.1", 1, "::ffff:10.0.0.2", 2, **both)]).done == 1
    assert ct.count() == 0


def test_an_id_and_another_field_take_the_one_entry_that_has_both(ct: ctrack.Conntrack) -> None:
    make(ct, [udp("10.0.0.1", n, "10.0.0.2", 53, zone=5) for n in range(20)])
    one, other, *rest = ct.list()
    assert one.id is not None
    assert ids(ct.list(Filter(id=one.id))) == {one.id}, "in a list it may be alone"
    with pytest.raises(ValueError, match="an id alone.*add what else"):
        ct.delete(Filter(id=one.id))
    assert ct.delete(Filter(id=one.id, zone=4)).matched == ct.delete(Filter(id=one.id ^ 1, zone=5)).matched == 0
    assert ct.delete(Filter(id=one.id, zone=5)).done == 1
    assert ct.delete(Filter(zone=5), Filter(exclude=True, id=other.id)).done == len(rest)
    assert cli_ids() == {other.id}


def test_a_filter_whose_last_condition_is_taken_away_does_not_become_one_for_its_family(ct: ctrack.Conntrack) -> None:
    make(ct, [udp("10.0.0.1", 1, "10.0.0.2", 53), udp("10.0.0.3", 1, "10.0.0.4", 53)])
    before = cli_table()
    narrow = Filter(orig_src="10.0.0.1")
    assert len(ct.list(narrow)) == 1 and dataclasses.replace(narrow, zone=0) == Filter(orig_src="10.0.0.1", zone=0)
    with pytest.raises(ValueError, match="matches every entry"):
        ct.delete(dataclasses.replace(narrow, orig_src=None))
    assert cli_table() == before
