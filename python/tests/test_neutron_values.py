# SPDX-License-Identifier: MIT OR Apache-2.0
"""The values that Neutron's callers pass, as they pass them."""

from __future__ import annotations

import errno
import ipaddress
import socket
import subprocess
import sys
from typing import Any

import netaddr
import pytest
from support import echo, make, plain, tcp, udp

import ctrack
from ctrack import _tuples, neutron
from ctrack.neutron import Rule


def fill(ct: ctrack.Conntrack) -> None:
    """One flow to 10.0.0.5 with mark 1, in zones 7 and 8 and in none."""
    ct.flush_all()
    make(ct, [udp("172.16.0.1", 1, "10.0.0.5", 53, zone=zone, mark=1) for zone in (0, 7, 8)])


def zones_left() -> list[Any]:
    return [entry[-1] for entry in neutron.list_entries("all")]


@pytest.mark.parametrize(
    ("rule", "left"),
    [
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], mark="0x1"), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], mark="1"), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], mark="0x1/0xff"), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], mark="0/2"), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], mark=1), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], mark="0x0"), [0, 7, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], mark=0), [0, 7, 8]),
        (Rule(7, "ipv4", "ingress", ["10.0.0.5", "fd00::5"]), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["fd00::5", "10.0.0.5"], remotes=["fd00::1", "172.16.0.1"]), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5/24"]), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.6/24"]), [0, 7, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.0/24"]), [0, 8]),
        (Rule(7, "IPv4", "ingress", "10.0.0.5/32"), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], remotes=["172.16.0.1/16"]), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], remotes=["172.16.0.2/16"]), [0, 7, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], remotes={"172.16.0.0/16"}), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], protocol="any"), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], protocol="UDP"), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], protocol="17"), [0, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], protocol="ip"), [0, 7, 8]),
        (Rule(7, "IPv4", "ingress", ["10.0.0.5"], protocol="vrrp"), [0, 7, 8]),
        (Rule(7, "IPv4", "ingress", netaddr.IPAddress("10.0.0.5")), [0, 8]),
        (Rule(7, "IPv4", "ingress", netaddr.IPNetwork("10.0.0.5/24")), [0, 8]),
        (Rule(7, "IPv4", "ingress", [netaddr.IPNetwork("10.0.0.6/24")]), [0, 7, 8]),
        (Rule(7, "IPv4", "ingress", netaddr.IPSet(["10.0.0.4/31", "fd00::/64"])), [0, 8]),
        (Rule(7, "IPv4", "egress", "172.16.0.1", remotes=[netaddr.IPNetwork("10.0.0.0/24")]), [0, 8]),
        (Rule(7, "IPv4", "ingress", ipaddress.ip_interface("10.0.0.5/24")), [0, 8]),
        (Rule(7, "IPv4", "ingress", ipaddress.ip_network("10.0.0.0/24")), [0, 8]),
        (Rule(7, "IPv4", "ingress", (ip for ip in ["10.0.0.5"])), [0, 8]),
    ],
)
def test_each_value_of_a_rule_means_what_it_means_in_neutron(ct: ctrack.Conntrack, rule: Rule, left: list[int]) -> None:
    fill(ct)
    result = neutron.delete_rules([rule])
    assert (result.done, result.statuses) == (3 - len(left), (0,))
    assert zones_left() == left


def test_an_empty_list_of_remotes_means_any_only_where_the_call_says_so(ct: ctrack.Conntrack) -> None:
    empties: list[Any] = [set(), [], (), netaddr.IPSet()]
    for empty in empties:
        fill(ct)
        rules = [Rule(zone, "IPv4", "ingress", ["10.0.0.5"], mark="0x1", remotes=empty) for zone in (7, 8)]
        with pytest.raises(ValueError, match=r'rules\[0\]: remotes: .*empty_remotes="any"'):
            neutron.delete_rules(rules)
        assert zones_left() == [0, 7, 8]
        assert neutron.delete_rules(rules, empty_remotes="any").done == 2
        assert zones_left() == [0]
    wrongs: list[Any] = ["all", "", True, []]
    for wrong in wrongs:
        with pytest.raises(ValueError, match="empty_remotes"):
            neutron.delete_rules([], empty_remotes=wrong)


def test_empty_remotes_changes_no_other_rule(ct: ctrack.Conntrack) -> None:
    fill(ct)
    assert neutron.delete_rules([Rule(7, "IPv4", "ingress", "10.0.0.5", remotes=["172.16.0.9"])], empty_remotes="any").done == 0
    with pytest.raises(ctrack.Error, match="remotes"):
        neutron.delete_rules([Rule(7, "IPv4", "ingress", "10.0.0.5", remotes=["fd00::9"])], empty_remotes="any")
    assert zones_left() == [0, 7, 8], "remotes of another family are not an empty list"


def test_an_impossible_rule_has_a_status_and_the_others_are_carried_out(ct: ctrack.Conntrack) -> None:
    fill(ct)
    rules = [
        Rule(7, "IPv4", "ingress", ["fd00::5", "fd00::6"]),
        Rule(7, "IPv4", "ingress", ["10.0.0.5"]),
        Rule(0, "IPv4", "ingress", ["10.0.0.5"], remotes=["fd00::1"]),
        Rule(8, "IPv6", "ingress", "10.0.0.5"),
    ]
    with pytest.raises(ctrack.Error, match=r"rules\[0\]: addresses: .*IPv4.*fd00::5.*; and 2 more") as caught:
        neutron.delete_rules(rules)
    error, result = caught.value, caught.value.result
    assert error.errno == errno.EAFNOSUPPORT and not isinstance(error, ValueError) and result is not None
    assert result.statuses == (errno.EAFNOSUPPORT, 0, errno.EAFNOSUPPORT, errno.EAFNOSUPPORT)
    assert (result.matched, result.done, result.failed, result.first_error) == (1, 1, 0, errno.EAFNOSUPPORT)
    assert zones_left() == [0, 8]
    with pytest.raises(ctrack.Error, match=r"rules\[0\]: remotes: ") as caught:
        neutron.delete_rules(rules[2:3])
    assert caught.value.result is not None and caught.value.result.statuses == (errno.EAFNOSUPPORT,)
    # Malformed ones are found before anything is sent, wherever they are.
    with pytest.raises(ValueError, match=r"rules\[1\]: mark"):
        neutron.delete_rules([Rule(8, "IPv4", "ingress", "10.0.0.5"), Rule(8, "IPv4", "ingress", "fd00::5", mark="x")])
    assert zones_left() == [0, 8]


def test_each_rule_has_a_status_also_where_deleting_fails(ct: ctrack.Conntrack) -> None:
    # Nothing reaches the first entry: the others have its tuples in their other direction.
    make(
        ct,
        [
            udp("10.0.0.1", 1000, "10.0.0.2", 53),
            udp("10.0.0.2", 53, "10.0.0.1", 1000, reply_zone=7),
            udp(
                "10.7.7.7",
                7,
                "10.7.7.8",
                7,
                orig_zone=9,
                reply_src="10.0.0.1",
                reply_sport=1000,
                reply_dst="10.0.0.2",
                reply_dport=53,
            ),
            udp("10.0.0.3", 1, "10.0.0.2", 53),
        ],
    )
    rules = [Rule(0, "IPv4", "ingress", "10.0.0.2"), Rule(0, "IPv4", "ingress", "fd00::2")]
    with pytest.raises(ctrack.Error) as caught:
        neutron.delete_rules(rules)
    result = caught.value.result
    assert caught.value.errno == errno.ENOTUNIQ and result is not None
    assert (result.done, result.failed, result.statuses) == (1, 1, (errno.ENOTUNIQ, errno.EAFNOSUPPORT))
    assert neutron.delete_rules([]).statuses == ()


NAMES = {
    "ah": 51,
    "dccp": 33,
    "egp": 8,
    "esp": 50,
    "gre": 47,
    "hopopt": 0,
    "icmp": 1,
    "icmp6": 58,
    "icmpv6": 58,
    "igmp": 2,
    "ip": 0,
    "ipencap": 4,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "sctp": 132,
    "tcp": 6,
    "udp": 17,
    "udplite": 136,
    "vrrp": 112,
}


def test_every_protocol_of_the_api_selects_the_entries_of_its_number_and_no_others(ct: ctrack.Conntrack) -> None:
    numbers = sorted({*NAMES.values()} - {1, 6, 17, 33, 47, 58, 132, 136})
    pair = ("10.0.0.1", "10.0.0.2")
    with_ports: dict[str, Any] = {"orig_src": pair[0], "orig_dst": pair[1], "zone": 7, "timeout": 3000}
    entries = [plain(number, *pair, zone=7) for number in numbers]
    entries += [tcp(pair[0], 1, pair[1], 2, zone=7), udp(pair[0], 1, pair[1], 2, zone=7), echo(*pair, 3, zone=7)]
    entries += [ctrack.Entry(proto=name, orig_sport=0, orig_dport=5, **with_ports) for name in ("sctp", "udplite", "gre")]
    forms: list[tuple[Any, int]] = [*NAMES.items(), *((name.upper(), NAMES[name]) for name in NAMES), ("112", 112), (112, 112)]
    for given, number in forms:
        ct.flush_all()
        make(ct, entries)
        before = {int(entry.proto) for entry in ct.list()}
        rule = Rule(7, "IPv4", "ingress", pair[1], given, remotes=[pair[0]])
        assert neutron.delete_rules([rule]).statuses == (0,)
        assert {int(entry.proto) for entry in ct.list()} == before - {number}, given
    ct.flush_all()
    others: list[Any] = ["icmp", "icmp6", "icmpv6", "ipv6-icmp", "1", 1, "58", 58]
    for name in others:
        make(ct, [echo("fd00::1", "fd00::2", 3, zone=7), udp("fd00::1", 1, "fd00::2", 2, zone=7)])
        assert neutron.delete_rules([Rule(7, "IPv6", "ingress", "fd00::2", name)]).done == 1
        assert [entry.proto for entry in ct.list()] == [ctrack.Proto.UDP], name
        ct.flush_all()


def test_tuples_are_taken_with_objects_and_text_and_protocols_by_every_name(ct: ctrack.Conntrack) -> None:
    forms: list[tuple[Any, ...]] = [
        (4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2", 5),
        (4, "TCP", "1", "2", netaddr.IPAddress("1.1.1.1"), ipaddress.ip_address("2.2.2.2"), 5),
        (4, 6, 1, 2, "1.1.1.1", "2.2.2.2", 5),
        (4, "6", 1, 2, "1.1.1.1", "2.2.2.2", 5),
    ]
    for form in [*forms, *([*form] for form in forms)]:
        make(ct, [tcp("1.1.1.1", 1, "2.2.2.2", 2, zone=5), tcp("1.1.1.1", 1, "2.2.2.2", 2, zone=6)])
        assert neutron.delete_entries([form]).statuses == (0,), form
        assert [entry.zone for entry in ct.list()] == [6]
        ct.flush_all()
    make(
        ct, [echo("1.1.1.1", "2.2.2.2", 1234, zone=5), echo("10::10", "20::20", 3456, zone=5), plain(112, "1.1.1.1", "2.2.2.2")]
    )
    others: list[Any] = [
        (4, "icmp", "8", "0", "1.1.1.1", "2.2.2.2", "1234", 5),
        (6, "ipv6-icmp", 128, 0, "10::10", "20:0::20", 3456, 5),
        (4, "vrrp", "1.1.1.1", "2.2.2.2", 0),
    ]
    assert neutron.delete_entries(others).statuses == (0, 0, 0)


@pytest.mark.parametrize(
    ("packed", "text"),
    [
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ("::ffff:0:0", "::ffff:0.0.0.0"),
        ("::1.2.3.4", "::1.2.3.4"),
        ("::1:0", "::0.1.0.0"),
        ("::ffff", "::ffff"),
        ("::1", "::1"),
        ("::", "::"),
        ("fd00:0:0:1::2", "fd00:0:0:1::2"),
        ("fd00:0:1::2:3", "fd00:0:1::2:3"),
        ("1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"),
        ("2001:DB8::FFFE", "2001:db8::fffe"),
        ("10.0.0.1", "10.0.0.1"),
        ("255.255.255.255", "255.255.255.255"),
    ],
)
def test_the_text_of_an_address_is_one_for_every_python(packed: str, text: str) -> None:
    family = socket.AF_INET6 if ":" in packed else socket.AF_INET
    raw = socket.inet_pton(family, packed)
    assert _tuples.address_text(raw) == text
    assert socket.inet_pton(family, text) == raw


def test_addresses_that_pythons_write_in_different_ways_are_listed_and_deleted(ct: ctrack.Conntrack) -> None:
    mapped = dict[str, Any](
        family="ipv6", orig_src="::ffff:1.2.3.4", orig_dst="::ffff:102:305", proto="udp", zone=5, timeout=300
    )
    make(ct, [ctrack.Entry(orig_sport=1, orig_dport=2, **mapped)])
    listed = neutron.list_entries(5)
    assert listed == [(6, "udp", 1, 2, "::ffff:1.2.3.4", "::ffff:1.2.3.5", 5)]
    assert neutron.delete_entries([(6, "udp", 1, 2, "::ffff:102:304", "::ffff:102:305", 5)]).done == 1
    assert neutron.list_entries(5) == []


def test_the_package_works_without_netaddr() -> None:
    code = "import sys; sys.modules['netaddr'] = None\nimport ctrack.neutron, ctrack.fwaas\n"
    code += "from ctrack._neutron_values import network; print(network('x', '10.0.0.5/24'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("10.0.0.5/32\n", "")
