# SPDX-License-Identifier: MIT OR Apache-2.0
"""Keys: by the reply direction alone."""

from __future__ import annotations

from typing import Any

import pytest
from support import echo, make, plain, tcp, udp

import ctrack
from ctrack import Conntrack, Entry, Status

NAT = int(Status.DST_NAT)
ZONES: list[dict[str, Any]] = [{}, {"zone": 7}, {"orig_zone": 8}, {"reply_zone": 9}]


def reply_of(entry: Entry) -> dict[str, Any]:
    """What get() wants to know, of an entry that was listed."""
    names = ("reply_src", "reply_dst", "reply_sport", "reply_dport", "reply_icmp_type", "reply_icmp_code", "reply_icmp_id")
    of_reply = {name: value for name in names if (value := getattr(entry, name)) is not None}
    return {"proto": entry.proto, **of_reply}


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_an_entry_is_found_by_its_reply_direction_alone(ct: Conntrack, zone: dict[str, Any]) -> None:
    make(
        ct,
        [
            tcp("10.0.0.1", 40000, "10.0.0.2", 80, reply_src="10.9.0.9", reply_sport=8080, status=NAT, **zone),
            tcp("fd00::1", 40000, "fd00::2", 80, reply_src="fd00::9", reply_sport=8080, status=NAT, **zone),
            udp("10.0.0.1", 1, "10.0.0.2", 53, **zone),
            echo("10.0.0.1", "10.0.0.2", 77, **zone),
            echo("fd00::1", "fd00::2", 77, **zone),
            plain(50, "10.0.0.1", "10.0.0.2", **zone),
        ],
    )
    listed = ct.list()
    assert len(listed) == 6
    for entry in listed:
        found = ct.get(**reply_of(entry), **zone)
        assert found is not None and found.id == entry.id and found.key() == entry.key()
        for other in ZONES:
            if other != zone:
                assert ct.get(**reply_of(entry), **other) is None


def test_a_reply_direction_finds_no_entry_that_has_the_tuple_as_its_original_one(ct: Conntrack) -> None:
    make(ct, [udp("10.0.0.1", 1, "10.0.0.2", 53)])
    as_orig: dict[str, Any] = {"reply_src": "10.0.0.1", "reply_sport": 1, "reply_dst": "10.0.0.2", "reply_dport": 53}
    assert ct.get(proto="udp", **as_orig) is None
    mirrored: dict[str, Any] = {"reply_src": "10.0.0.2", "reply_sport": 53, "reply_dst": "10.0.0.1", "reply_dport": 1}
    assert ct.get(proto="udp", **mirrored) is not None
    assert ct.get(proto="tcp", **mirrored) is None
    assert ct.get(proto="udp", **{**mirrored, "reply_sport": 54}) is None


def test_what_is_wrong_with_a_reply_direction_is_named(ct: Conntrack) -> None:
    good: dict[str, Any] = {
        "proto": "tcp",
        "reply_src": "10.0.0.1",
        "reply_dst": "10.0.0.2",
        "reply_sport": 1,
        "reply_dport": 2,
    }
    key = tcp("10.0.0.1", 1, "10.0.0.2", 2)
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"reply_src": "10.0.0"}, "reply_src: '10.0.0'"),
        ({"reply_dst": "fd00::1"}, "reply_dst: fd00::1 is of another family"),
        ({"reply_dst": None}, "reply_dst: None is not an address"),
        ({"reply_src": "::ffff:10.0.0.1"}, "reply_src: ::ffff:"),
        ({"family": "ipv6"}, "reply_src: 10.0.0.1 is of another family than 'ipv6'"),
        ({"reply_sport": 65536}, "reply_sport: 65536"),
        ({"reply_dport": None}, "reply_dport: is missing"),
        ({"reply_icmp_id": 1}, "reply_icmp_id: protocol 6 is not ICMP"),
        ({"proto": 50}, "reply_sport: protocol 50 has no ports"),
        ({"zone": 1, "reply_zone": 1}, "zone and reply_zone: "),
        ({"proto": "icmp", "reply_sport": None, "reply_dport": None}, "reply_icmp_type: is missing"),
        ({"key": key}, "proto: with a key"),
    ]
    for change, text in wrong:
        with pytest.raises(ctrack.InvalidArgumentError) as caught:
            ct.get(**{**good, **change})
        assert str(caught.value).startswith(f"[Errno 22] {text}"), caught.value
    nothings: list[dict[str, Any]] = [{}, {"key": None}]
    for nothing in nothings:
        with pytest.raises(TypeError, match="needs a key"):
            ct.get(**nothing)
