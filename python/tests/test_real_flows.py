# SPDX-License-Identifier: MIT OR Apache-2.0
"""Real traffic: each field of each entry is what the `conntrack` program says of it, and each line is its line."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from ipaddress import ip_address
from typing import Any

import pytest
from flows import BEHIND, HERE, OUTSIDE, THERE, Flow, world
from support import agree, cli, nft

import ctrack
from ctrack import Entry, Has, Proto, Status

World = dict[tuple[int, int], Flow]
SCTP = [
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
]


@pytest.fixture
def made(ct: ctrack.Conntrack) -> Iterator[World]:
    with world(ct) as flows:
        yield flows


def id_of(line: str) -> int:
    return int(line.rsplit(" id=", 1)[1])


def compare(ct: ctrack.Conntrack, ours: Callable[[Entry], Any], theirs: Callable[[], dict[int, Any]]) -> None:
    """What the program says of each entry, by id, against what the entry says just before or just after."""

    def attempt() -> list[str]:
        before = {entry.id: ours(entry) for entry in ct.list()}
        said = theirs()
        after = {entry.id: ours(entry) for entry in ct.list()}
        wrong = [
            f"conntrack: {it!r}\nctrack:    {before.get(i)!r}"
            for i, it in said.items()
            if it not in (before.get(i), after.get(i))
        ]
        return wrong + [f"only one has {i}" for i in set(before) ^ set(said)]

    agree(attempt)


@pytest.mark.parametrize("options", ["id", "extended,id", "extended,id,ktimestamp"])
def test_every_line_equals_that_of_the_conntrack_program(ct: ctrack.Conntrack, made: World, options: str) -> None:
    def line(entry: Entry) -> str:
        return entry.format(id=True, extended="extended" in options, timestamp="ktimestamp" in options)

    compare(ct, line, lambda: {id_of(line): line for line in cli("-o", options)})


def test_str_of_all_entries_is_what_conntrack_lists(ct: ctrack.Conntrack, made: World) -> None:
    def steady(line: str) -> str:
        # What ticks: the third word, and the age.
        return re.sub(r"^(\S+ +\d+) \d+| delta-time=\d+", r"\1", line)

    def attempt() -> list[str]:
        before = [str(entry) for entry in ct.list()]
        theirs = cli()
        after = [str(entry) for entry in ct.list()]
        # Each line as it was before or as it is after; and, but for what ticks, all of them as often as they come.
        wrong = [line for line in theirs if line not in before and line not in after]
        missing = Counter(map(steady, before)) - Counter(map(steady, theirs))
        more = Counter(map(steady, theirs)) - Counter(map(steady, before))
        return wrong + [f"only ctrack: {line}" for line in missing] + [f"only conntrack: {line}" for line in more]

    agree(attempt)


def parsed(line: str) -> dict[str, Any]:
    """A line of `conntrack -L -o extended,id`, taken apart without any code of the package."""
    words = line.split()
    seen: dict[str, Any] = {"family": int(words[1]), "proto": int(words[3]), "replied": True, "assured": False}
    direction = ""
    for word in words[4:]:
        name, equals, value = word.partition("=")
        if word == "[UNREPLIED]":
            seen["replied"] = False
        elif word == "[ASSURED]":
            seen["assured"] = True
        elif word.startswith("["):
            seen["flag"] = word
        elif not equals:
            seen["timeout" if word.isdigit() else "state"] = int(word) if word.isdigit() else word
        elif name == "src":
            direction = "reply_" if direction else "orig_"
            seen[direction + name] = ip_address(value)
        elif name == "dst":
            seen[direction + name] = ip_address(value)
        elif name in ("sport", "dport", "packets", "bytes"):
            seen[direction + name] = int(value)
        elif name in ("srckey", "dstkey"):
            seen[direction + ("sport" if name == "srckey" else "dport")] = int(value, 0)
        elif name in ("type", "code"):
            seen[f"{direction}icmp_{name}"] = int(value)
        elif name == "id" and f"{direction}icmp_type" in seen and f"{direction}icmp_id" not in seen:
            seen[f"{direction}icmp_id"] = int(value)
        elif name == "helper":
            seen[name] = value
        else:
            seen[name.replace("-", "_")] = int(value)
    return seen


def described(entry: Entry) -> dict[str, Any]:
    """The same, read from the properties of an entry."""
    status = entry.status or Status(0)
    seen: dict[str, Any] = {
        "family": int(entry.family),
        "proto": int(entry.proto),
        "replied": bool(status & Status.SEEN_REPLY),
        "assured": bool(status & Status.ASSURED),
        "use": entry.use_count,
    }
    names = [f"{d}_{n}" for d in ("orig", "reply") for n in ("src", "dst", "sport", "dport", "packets", "bytes")]
    for name in [*names, "timeout", "mark", "id", "helper"]:
        seen[name] = getattr(entry, name)
    for direction, prefix in (("orig_", ""), ("reply_", "reply_")):
        for name in ("icmp_type", "icmp_code", "icmp_id"):
            seen[direction + name] = getattr(entry, prefix + name)
    if entry.proto == Proto.DCCP and entry.orig_sport is None:
        # Where the kernel does not track it the program shows ports of 0.
        seen |= dict.fromkeys(("orig_sport", "orig_dport", "reply_sport", "reply_dport"), 0)
        seen["state"] = "NONE" if entry.dccp_state is None else None
    if entry.tcp_state is not None:
        seen["state"] = ctrack.TcpState(entry.tcp_state).name
    if entry.sctp_state is not None:
        seen["state"] = SCTP[entry.sctp_state]
    if entry.start_ns is not None:
        seen["delta_time"] = int(time.time()) - entry.start_ns // 1_000_000_000
    if entry.zone:
        both = entry.orig_zone == entry.reply_zone
        seen["zone" if both else "zone_orig" if entry.orig_zone else "zone_reply"] = entry.zone
    return {name: value for name, value in seen.items() if value is not None}


def test_every_property_is_what_the_conntrack_program_says(ct: ctrack.Conntrack, made: World) -> None:
    def theirs() -> dict[int, Any]:
        seen = {}
        for line in cli("-o", "extended,id"):
            fields = parsed(line)
            # How the program names the state of what it does not track is its own affair.
            if fields["proto"] == Proto.DCCP:
                fields.pop("state", None)
            seen[fields["id"]] = fields
        return seen

    def ours(entry: Entry) -> dict[str, Any]:
        fields = described(entry)
        if fields["proto"] == Proto.DCCP:
            fields.pop("state", None)
        return fields

    compare(ct, ours, theirs)


def test_real_flows_have_what_the_rules_gave_them(ct: ctrack.Conntrack, made: World) -> None:
    entries = ct.list()
    now = datetime.now(timezone.utc)
    for (version, sport), flow in made.items():
        proto = Proto[flow.proto.upper()]
        found = [e for e in entries if (e.orig_src.version, e.proto, e.orig_sport) == (version, proto, sport)]
        assert len(found) == 1, (version, sport, flow, found)
        e = found[0]
        assert (e.orig_zone, e.reply_zone) == flow.zones and e.zone == max(flow.zones), e
        assert (e.mark, e.labels, e.helper) == (flow.mark, flow.labels, flow.helper), e
        assert (e.status or 0) & flow.status == flow.status, e
        assert (str(e.orig_src), str(e.orig_dst), e.orig_dport) == (HERE[version], THERE[version], flow.dport)
        source = (BEHIND[version], 5131) if flow.dnat else (THERE[version], flow.dport)
        assert (str(e.reply_src), e.reply_sport) == source
        assert (str(e.reply_dst), e.reply_dport) == (OUTSIDE[version] if flow.snat else HERE[version], sport)
        if sport < 50000:
            assert (e.orig_packets or 0) > 0 and (e.orig_bytes or 0) >= 28
            assert (e.reply_packets or 0) > 0 or not flow.status & Status.SEEN_REPLY
            assert e.start is not None and e.start_ns is not None and e.stop is None
            assert 0 <= (now - e.start).total_seconds() < 3600
            assert int(e.start.timestamp()) == e.start_ns // 1_000_000_000
        else:
            assert (e.orig_packets, e.orig_bytes, e.reply_packets, e.reply_bytes, e.start) == (None,) * 5
    for version, proto in ((4, Proto.ICMP), (6, Proto.ICMPV6)):
        for number in (40000, 50000):
            found = [e for e in entries if (e.orig_src.version, e.proto, e.icmp_id) == (version, proto, number)]
            assert len(found) == 1
            assert (found[0].icmp_type, found[0].reply_icmp_type) == ((8, 0) if version == 4 else (128, 129))


def test_json_has_exactly_the_fields_that_the_kernel_sent(ct: ctrack.Conntrack, made: World) -> None:
    for entry in ct.list():
        seen = json.loads(entry.json())
        assert ip_address(seen["orig"]["src"]) == entry.orig_src and ip_address(seen["reply"]["dst"]) == entry.reply_dst
        for name, bit in (("mark", Has.MARK), ("timeout", Has.TIMEOUT), ("helper", Has.HELPER), ("start_ns", Has.START)):
            assert seen.get(name) == getattr(entry, name) and (name in seen) == bool(entry.has & bit)


def test_everything_real_can_be_deleted_by_what_was_listed(ct: ctrack.Conntrack, made: World) -> None:
    # Packets would make some again.
    nft("flush ruleset")
    entries = ct.list()
    assert len(entries) > len(made)
    result = ct.delete_entries(entries)
    assert result.failed == 0 and result.done + result.gone == len(entries)
    assert ct.count() == 0
