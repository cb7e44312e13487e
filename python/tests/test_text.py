# SPDX-License-Identifier: MIT OR Apache-2.0
"""Entries as text and as plain values."""

from __future__ import annotations

import json
import os
import random
import re
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from flows import world
from support import echo, plain, tcp

from ctrack import Conntrack, Entry, Has, Proto

#: Bits of the fields that a kernel sends, as the record of fields has them.
SENT = sum(
    {
        Has[bit]
        for _, _, _, bits, *uses in map(
            str.split, (Path(__file__).parent / "repository" / "fields.txt").read_text().splitlines()
        )
        if uses not in ([], ["update"])
        for bit in re.split("[&|]", bits)
        if bit in Has.__members__
    }
)
ZONES: list[dict[str, Any]] = [{}, {"zone": 7}, {"orig_zone": 8}, {"reply_zone": 9}]


def random_raw(rng: random.Random) -> bytes:
    """An entry that has any fields at all, as no kernel would send it."""
    has = rng.getrandbits(64) & SENT | Has.ORIG
    raw = bytearray(rng.randbytes(256))
    raw[0:8] = int(has).to_bytes(8, sys.byteorder)
    raw[32] = rng.choice((2, 10))
    raw[33] = rng.choice((*(int(proto) for proto in Proto), rng.randrange(256)))
    for state in (34, 35, 42):
        raw[state] = rng.randrange(12)
    if raw[32] == 2:
        for at in (56, 72, 100, 116):
            raw[at + 4 : at + 16] = bytes(12)
    raw[208:224] = rng.choice((b"ftp", b'a"b\\c', b"")).ljust(16, b"\0")
    raw[224:256] = bytes(32)
    return bytes(raw)


def same_as_json(entry: Entry) -> None:
    """Compares to_dict() with the library's JSON text, but for what it says of a reply or a zone that the entry has not."""
    plain, text = entry.to_dict(), json.loads(entry.json())
    assert json.loads(json.dumps(plain)) == plain
    assert plain.pop("zone") == entry.zone
    text.pop("zone", None)
    if not entry.has & Has.REPLY:
        assert "reply" not in plain
        text.pop("reply", None)
    for direction in ("orig", "reply"):
        for end in ("src", "dst"):
            if direction in text:
                # Both are right for ::ffff:1.2.3.4 and the like, and write it differently.
                text[direction][end] = str(ip_address(text[direction][end]))
    assert plain == text and list(plain) == list(text)


def test_a_dict_has_what_the_library_writes_as_json() -> None:
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    for _ in range(3000):
        same_as_json(Entry.from_raw(random_raw(rng)))


def test_listed_entries_as_dicts_have_what_the_library_writes_as_json(ct: Conntrack) -> None:
    with world(ct):
        entries = ct.list()
        assert len(entries) > 150
        for entry in entries:
            same_as_json(entry)


def test_a_dict_always_has_a_zone_and_no_reply_that_nobody_announced() -> None:
    key = Entry(proto="udp", orig_src="10.0.0.1", orig_dst="10.0.0.2", orig_sport=1, orig_dport=2)
    orig = {"src": "10.0.0.1", "dst": "10.0.0.2", "sport": 1, "dport": 2}
    assert key.to_dict() == {"family": "ipv4", "proto": 17, "proto_name": "udp", "orig": orig, "zone": 0}
    one_way = Entry(proto=50, orig_src="fd00::1", orig_dst="fd00::2", reply_src="fd00::3", reply_zone=9, status=8)
    assert one_way.to_dict() == {
        "family": "ipv6",
        "proto": 50,
        "proto_name": "unknown",
        "orig": {"src": "fd00::1", "dst": "fd00::2"},
        "reply": {"src": "fd00::3", "dst": "fd00::1", "zone": 9},
        "status": ["CONFIRMED"],
        "zone": 9,
    }


@pytest.mark.parametrize("zone", ZONES, ids=str)
def test_a_key_without_a_reply_direction_shows_none(zone: dict[str, Any]) -> None:
    flows = [
        tcp("10.0.0.1", 40000, "10.0.0.2", 80, **zone),
        tcp("fd00::1", 40000, "fd00::2", 80, **zone),
        Entry(proto="icmp", orig_src="10.0.0.1", orig_dst="10.0.0.2", icmp_type=8, icmp_code=0, icmp_id=0, id=0, **zone),
        echo("fd00::1", "fd00::2", 1, **zone),
        plain(50, "10.0.0.1", "10.0.0.2", **zone),
        Entry(proto="gre", orig_src="10.0.0.1", orig_dst="10.0.0.2", orig_sport=1, orig_dport=2, **zone),
        Entry(proto="sctp", orig_src="::", orig_dst="::", orig_sport=0, orig_dport=0, **zone),
        Entry(proto="gre", orig_src="0.0.0.0", orig_dst="0.0.0.0", helper=" src=0.0.0.0", **zone),
    ]
    for entry in flows:
        for text in (str(entry), repr(entry), entry.format(extended=True, id=True, timestamp=True), str(entry.key())):
            before_helper = text.split(" helper=")[0]
            assert before_helper.count("src=") == 1 and before_helper.count("dst=") == 1, text
            assert f"src={entry.orig_src} dst={entry.orig_dst}" in text
        assert ("helper" in str(entry)) == (entry.helper is not None)
        for name, number in zone.items():
            assert f"{'zone' if name == 'zone' else '-'.join(reversed(name.split('_')))}={number}" in str(entry)


def test_an_entry_with_a_reply_direction_shows_it() -> None:
    entry = tcp("10.0.0.1", 40000, "10.0.0.2", 80, reply_sport=8080)
    assert "src=10.0.0.2 dst=10.0.0.1 sport=8080 dport=40000" in str(entry) and str(entry).count("src=") == 2
    zeros = plain(50, "0.0.0.0", "0.0.0.0", reply_src="0.0.0.0")
    assert str(zeros).count("src=0.0.0.0 dst=0.0.0.0") == 2
