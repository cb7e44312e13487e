# SPDX-License-Identifier: MIT OR Apache-2.0
# mypy: disable-error-code="arg-type, list-item"
"""The filters that are ready-made, against a table that has what they mean and what is near it."""

from __future__ import annotations

from typing import Any

import pytest
from support import cli_ids, ids, make, tcp, udp

import ctrack
from ctrack import Entry, Filter, Status


def test_a_dead_endpoint_loses_what_it_began_and_what_it_answers(ct: ctrack.Conntrack) -> None:
    entries = [udp("10.0.0.7", n, "10.1.0.1", 53) for n in range(20)]
    entries += [tcp("10.2.0.1", n, "10.0.0.7", 80) for n in range(20)]
    entries += [tcp("10.2.0.1", n, "10.96.0.1", 80, reply_src="10.0.0.7", reply_sport=8080, status=32) for n in range(20)]
    entries += [udp("fd00::7", n, "fd00::1", 53, zone=5) for n in range(20)]
    make(ct, entries)
    make(ct, [udp("10.0.0.8", 1, "10.1.0.1", 53), tcp("10.2.0.1", 1, "10.96.0.2", 80), udp("fd00::8", 1, "fd00::1", 2)])
    others = ids(ct.list()) - ids(ct.list(*ctrack.dead_endpoint("10.0.0.7", "fd00::7")))
    assert len(others) == 3
    assert ct.delete(*ctrack.dead_endpoint("fd00::7", zone=4)).done == 0
    assert ct.delete(*ctrack.dead_endpoint("10.0.0.7", "fd00::7")).done == 80
    assert cli_ids() == others


def test_a_changed_service_keeps_flows_to_live_endpoints(ct: ctrack.Conntrack) -> None:
    def flow(client: int, endpoint: str, port: int, **more: Any) -> Entry:
        more = {"reply_src": endpoint, "reply_sport": port, "status": Status.DST_NAT, **more}
        return udp(f"10.2.0.{client}", 1000 + client, "10.96.0.10", 53, **more)

    live = [("10.0.0.1", 5353), ("10.0.0.2", 5353)]
    make(ct, [flow(n, *live[n % 2]) for n in range(20)])
    # Another address, another port of a live address, and one without an endpoint: stale.
    make(ct, [flow(30, "10.0.0.3", 5353), flow(31, "10.0.0.1", 5354), udp("10.2.0.32", 1, "10.96.0.10", 53)])
    stale = [entry for entry in ct.list() if str(entry.orig_src) >= "10.2.0.30" and len(str(entry.orig_src)) == 9]
    assert len(stale) == 3
    # Other services.
    make(
        ct, [udp("10.2.0.33", 1, "10.96.0.10", 54), udp("10.2.0.34", 1, "10.96.0.11", 53), tcp("10.2.0.3", 1, "10.96.0.10", 53)]
    )
    before = cli_ids()
    assert ct.delete(*ctrack.changed_service("udp", "10.96.0.10", 53, live)).done == 3
    assert cli_ids() == before - ids(stale)
    assert ct.delete(*ctrack.changed_service("udp", "10.96.0.10", 53, [])).done == 20
    assert len(cli_ids()) == 3


def test_a_port_on_any_address_keeps_flows_to_live_endpoints(ct: ctrack.Conntrack) -> None:
    def flow(client: int, address: str, endpoint: str, port: int, **more: Any) -> Entry:
        source = "192.0.2.1" if "." in address else "2001:db8::1"
        more = {"reply_src": endpoint, "reply_sport": port, "status": Status.DST_NAT, **more}
        return udp(source, client, address, 30053, **more)

    v4 = [
        flow(1, "192.0.2.9", "10.0.0.1", 53),
        flow(2, "127.0.0.1", "10.0.0.2", 53),
        flow(3, "192.0.2.9", "10.0.0.1", 54, zone=5),
    ]
    v6 = [flow(4, "2001:db8::9", "fd00::1", 53), flow(5, "::1", "fd00::2", 53)]
    others = [udp("192.0.2.1", 30053, "192.0.2.9", 53), tcp("192.0.2.1", 6, "192.0.2.9", 30053)]
    live = [("10.0.0.1", 53), ("fd00::1", 53)]
    for filters, left in (
        (ctrack.port_on_any_address("udp", 30053), set()),
        (ctrack.port_on_any_address("udp", 30053, live), {1, 4}),
        (ctrack.port_on_any_address("udp", 30053, live[:1], family="ipv4"), {1, 4, 5}),
        (ctrack.port_on_any_address("udp", 30053, live, zone=5), {1, 2, 4, 5}),
    ):
        make(ct, [*v4, *v6, *others])
        assert ct.delete(*filters).done == 5 - len(left)
        assert {entry.orig_sport for entry in ct.list()} == left | {30053, 6}
        ct.flush_all()


def test_everything_but_spares_what_it_is_told_and_keeps_within(ct: ctrack.Conntrack) -> None:
    entries = [udp("10.0.0.1", 1, "10.0.0.2", 53, zone=5), udp("10.0.0.1", 2, "10.0.0.3", 53, orig_zone=5)]
    entries += [udp("10.0.0.1", 3, "10.0.0.2", 53, reply_zone=5), tcp("fd00::1", 4, "fd00::2", 53)]
    entries += [tcp("10.0.0.1", 5, "10.0.0.2", 53, zone=7)]
    in5 = Filter(zone=5)
    for within, spared, left in (
        (ctrack.whole_table(), [in5], {1, 2, 3}),
        (ctrack.whole_table(), [Filter(orig_zone=5), Filter(zone=0)], {1, 2, 4}),
        (in5, [Filter(orig_dst="10.0.0.2")], {1, 3, 4, 5}),
        ([in5, Filter(zone=7)], Filter(reply_zone=0), {2, 4}),
    ):
        make(ct, entries)
        assert ct.delete(*ctrack.everything_but(within, spared)).done == 5 - len(left)
        assert {entry.orig_sport for entry in ct.list()} == left
        ct.flush_all()


@pytest.mark.parametrize(
    ("call", "instead"),
    [
        (lambda: ctrack.dead_endpoint("10.0.0.1", "0.0.0.0"), r"addresses\[1\]: 0.0.0.0 .* own address"),
        (lambda: ctrack.dead_endpoint("::"), ":: does not mean any address"),
        (lambda: ctrack.changed_service("udp", "0.0.0.0", 53, []), r"port_on_any_address\(\)"),
        (lambda: ctrack.changed_service("udp", "10.0.0.1", 53, [("0.0.0.0", 53)]), r"live\[0\]: .* own address"),
        (lambda: ctrack.port_on_any_address("udp", 53, [("::", 53)], family="ipv6"), r"live\[0\]: :: .* own address"),
        (lambda: ctrack.security_rule("ingress", "0.0.0.0", None), "such as 0.0.0.0/0"),
        (lambda: ctrack.security_rule("ingress", "10.0.0.1", ["10.0.0.2", "0.0.0.0"]), r"remotes\[1\].*leave it out"),
        (
            lambda: ctrack.everything_but(ctrack.whole_table(), [Filter(orig_dst="::")]),
            r"spared\[0\].orig_dst: ::.*leave it out",
        ),
        (lambda: ctrack.everything_but([Filter(reply_src="0.0.0.0")], [Filter(zone=5)]), r"within\[0\].reply_src: 0.0.0.0"),
    ],
)
def test_an_unspecified_address_is_refused_with_what_to_use_instead(call: Any, instead: str) -> None:
    with pytest.raises(ValueError, match=instead):
        call()
    assert ctrack.everything_but([Filter(orig_src="0.0.0.0/0")], [Filter(orig_dst="0.0.0.0/1")])


def test_a_security_rule_with_a_thousand_remotes_deletes_exactly_its_flows(ct: ctrack.Conntrack) -> None:
    remotes = [f"172.16.{n >> 8}.{n & 255}" for n in range(1500)]
    make(ct, [udp(remote, 1, "10.0.0.5", 53, zone=7) for remote in remotes])
    make(ct, [udp("10.0.0.5", 1, remote, 53, zone=7) for remote in remotes])
    make(ct, [udp(remote, 1, "10.0.0.5", 53, zone=8) for remote in remotes])
    make(ct, [udp(remote, 1, "10.0.1.5", 53, zone=7) for remote in remotes])
    make(ct, [udp("fd01::1", 1, "fd00::5", 53, zone=7), udp("fd01::2", 1, "fd00::5", 53, zone=7)])
    before = ct.list()
    own = ["10.0.0.0/24", "fd00::5"]
    wanted = {
        entry.id
        for entry in before
        if entry.zone == 7
        and str(entry.orig_dst) in ("10.0.0.5", "fd00::5")
        and str(entry.orig_src) in [*remotes[:1000], "fd01::1"]
    }
    assert len(wanted) == 1001
    rule = ctrack.security_rule("ingress", own, [*remotes[:1000], "fd01::1"], zone=7, proto="udp")
    assert len(rule) == 1001, "no filter for a pair of different families"
    assert ct.delete(*rule).done == 1001
    assert cli_ids() == ids(before) - wanted
    assert ct.delete(*ctrack.security_rule("egress", "10.0.0.5", remotes[:1000], zone=7)).done == 1000
    assert ct.delete(*ctrack.security_rule("ingress", "10.0.1.5", None, zone=7, proto="udp", ports=53)).done == 1500
    assert ct.count() == 500 + 500 + 1500 + 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: ctrack.dead_endpoint(),
        lambda: ctrack.dead_endpoint(["10.0.0.1"]),
        lambda: ctrack.dead_endpoint("10.0.0.0/24"),
        lambda: ctrack.dead_endpoint("10.0.0.1", None),
        lambda: ctrack.dead_endpoint("::ffff:10.0.0.1"),
        lambda: ctrack.dead_endpoint("fe80::1%lo"),
        lambda: ctrack.changed_service(None, "10.0.0.1", 53, []),
        lambda: ctrack.changed_service("icmp", "10.0.0.1", 53, []),
        lambda: ctrack.changed_service("udp", None, 53, []),
        lambda: ctrack.changed_service("udp", "10.0.0.1", None, []),
        lambda: ctrack.changed_service("udp", "10.0.0.1", 53, ["10.0.0.2"]),
        lambda: ctrack.changed_service("udp", "10.0.0.1", 53, [("10.0.0.2", None)]),
        lambda: ctrack.changed_service("udp", "10.0.0.1", 53, [("fd00::1", 53)]),
        lambda: ctrack.port_on_any_address(None, 53),
        lambda: ctrack.port_on_any_address("icmp", 53),
        lambda: ctrack.port_on_any_address("udp", None),
        lambda: ctrack.port_on_any_address("udp", 53, [("10.0.0.2", 53)]),
        lambda: ctrack.port_on_any_address("udp", 53, [("10.0.0.2", 53)], family="ipv6"),
        lambda: ctrack.everything_but([], [Filter(zone=5)]),
        lambda: ctrack.everything_but(ctrack.whole_table(), []),
        lambda: ctrack.everything_but(ctrack.whole_table(), [Filter()]),
        lambda: ctrack.everything_but([Filter()], [Filter(zone=5)]),
        lambda: ctrack.everything_but(ctrack.whole_table(), [Filter(exclude=True, zone=5)]),
        lambda: ctrack.everything_but([Filter(exclude=True, zone=5)], [Filter(zone=6)]),
        lambda: ctrack.security_rule("ingress", [], None),
        lambda: ctrack.security_rule("ingress", "10.0.0.1", []),
        lambda: ctrack.security_rule("ingress", iter(()), "10.0.0.2"),
        lambda: ctrack.security_rule("ingress", None, "10.0.0.2"),
        lambda: ctrack.security_rule("sideways", "10.0.0.1", None),
        lambda: ctrack.security_rule("egress", "10.0.0.1", ["10.0.0.2", "fd00::1"]),
        lambda: ctrack.security_rule("egress", "10.0.0.1", None, family="ipv6"),
    ],
)
def test_an_empty_or_wrong_argument_never_means_everything(call: Any) -> None:
    with pytest.raises(ValueError):
        call()
