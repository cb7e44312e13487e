# SPDX-License-Identifier: MIT OR Apache-2.0
"""Filters that are judged in Python select what the library selects. SEED=n repeats a run."""

from __future__ import annotations

import os
import random
from collections import Counter
from dataclasses import fields, replace
from typing import Any

import pytest
from support import ids, nft, tcp, udp

import ctrack
from ctrack import Conntrack, Entry, Filter, Proto, Selection, Status, TcpState

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))
LABELS = "table inet l {\n chain c {\n type filter hook output priority 0;\n ct label set 1\n }\n}\n"
ADDRESSES = {4: ["10.0.0.1", "10.0.0.2", "10.128.0.1"], 6: ["fd00::1", "fd00::2", "fd00:0:0:8000::1"]}
PORTS = (0, 1, 53, 80, 65535)
ROLES = ("orig_src", "orig_dst", "reply_src", "reply_dst")
SIDES = ("orig_sport", "orig_dport", "reply_sport", "reply_dport")
OF_ICMP = ("icmp_type", "icmp_code", "icmp_id")
#: Every field of a filter: a new one must be tried here too.
FIELDS = {field.name for field in fields(Filter)} - {"exclude"}
#: Fields that another one needs.
NEEDED = {"mark": ("mark_mask",), "labels": ("labels_mask",), "proto": (*SIDES, *OF_ICMP, "tcp_states")}


def random_table(rng: random.Random) -> list[Entry]:
    """Entries with few values of each field, so that filters match many of them."""
    entries: dict[tuple[Any, ...], Entry] = {}
    while len(entries) < 300:
        own = ADDRESSES[rng.choice((4, 6))]
        proto = rng.choice(("tcp", "tcp", "udp", "udp", "icmp" if own is ADDRESSES[4] else "icmpv6", "sctp", "gre", 89))
        if rng.random() < 0.2:
            proto = "icmp" if own is ADDRESSES[4] else "icmpv6"
        given: dict[str, Any] = {"proto": proto, "orig_src": rng.choice(own), "orig_dst": rng.choice(own), "timeout": 36000}
        status = rng.choice((0, 0, int(Status.SEEN_REPLY), int(Status.SEEN_REPLY | Status.ASSURED), int(Status.FIXED_TIMEOUT)))
        if proto in ("icmp", "icmpv6"):
            kinds = (8, 13) if proto == "icmp" else (128, 139)
            given |= {"icmp_type": rng.choice(kinds), "icmp_code": rng.choice((0, 1)), "icmp_id": rng.choice((0, 1, 2))}
        elif proto != 89:
            given |= {"orig_sport": rng.choice(PORTS), "orig_dport": rng.choice(PORTS)}
        if proto in ("tcp", "udp") and rng.random() < 0.3:
            given |= {"reply_src": rng.choice(own), "reply_sport": rng.choice(PORTS)}
            moved = (given["reply_src"], given["reply_sport"]) != (given["orig_dst"], given["orig_dport"])
            status |= int(Status.DST_NAT) if moved else 0
        if proto == "tcp":
            given["tcp_state"] = rng.choice((TcpState.NONE, TcpState.SYN_SENT, TcpState.ESTABLISHED, TcpState.CLOSE))
        if rng.random() < 0.6:
            given[rng.choice(("zone", "zone", "orig_zone", "reply_zone"))] = rng.choice((1, 2))
        if rng.random() < 0.5:
            given["mark"] = rng.choice((1, 2, 3, 0x80000000))
        if rng.random() < 0.5:
            given["labels"] = rng.choice((1, 2, 1 << 64, 1 | 1 << 127))
        if proto == "tcp" and rng.random() < 0.3:
            given["helper"] = "ftp"
        entry = Entry(status=status, **given)
        entries[entry.orig_src, entry.orig_dst, entry.proto, entry.orig_sport, entry.orig_dport, entry.icmp_id, entry.zone] = (
            entry
        )
    return list(entries.values())


def field_of(rng: random.Random, name: str, model: Entry, given: dict[str, Any]) -> None:
    """Sets one field, to what the model has or nearly so; and what the field needs."""
    near = rng.random() < 0.15
    if name in ROLES:
        address = getattr(model, name)
        length = address.max_prefixlen
        keep = rng.choice((0, length // 4, length - 2, length))
        kind = type(address)
        number = (int(address) ^ (near and keep > 0)) >> (length - keep) << (length - keep)
        given[name] = f"{kind(number)}/{keep}"
    elif name in SIDES:
        port = getattr(model, name)
        if port is not None:
            given["proto"] = model.proto
            low, high = max(0, port - rng.choice((0, 1, 60))), min(65535, port + rng.choice((0, 1, 60)))
            given[name] = (low, high) if not near else rng.choice(PORTS)
    elif name in OF_ICMP:
        if getattr(model, name) is not None:
            given["proto"] = model.proto
            given[name] = getattr(model, name) ^ near
    elif name == "tcp_states":
        if model.tcp_state is not None:
            given["proto"] = model.proto
            given[name] = [TcpState(model.tcp_state), TcpState.SYN_SENT] if not near else TcpState.CLOSE
    elif name == "proto":
        given.setdefault(name, model.proto if not near else rng.choice((17, 6, 89, 90)))
    elif name == "family":
        given[name] = model.family
    elif name in ("zone", "orig_zone", "reply_zone"):
        given[name] = getattr(model, name) if not near else rng.choice((0, 1, 2, 3))
    elif name == "id":
        given[name] = (model.id or 0) ^ (rng.random() < 0.02)
    elif name in ("mark", "labels"):
        given[name] = (getattr(model, name) or 0) ^ near
    elif name in ("mark_mask", "labels_mask"):
        value = getattr(model, name[:-5]) or 0
        given[name] = rng.choice((0, 1, 2, 3))
        given[name[:-5]] = value & given[name]
    elif name == "status_set":
        given[name] = int(model.status or 0) & rng.choice((0xFFFF, 2, 4, 8)) | (4 if near else 0)
    elif name == "status_clear":
        given[name] = ~int(model.status or 0) & 0xFFFF & rng.choice((0xFFFF, 2, 4))
    elif name == "helper":
        given[name] = model.helper or rng.choice(("ftp", "tftp"))
    else:
        raise AssertionError(f"this test does not know {name}: say here what value it may have")


def random_filter(rng: random.Random, model: Entry, first: str) -> Filter:
    """A filter that sets this field, and perhaps some more."""
    while True:
        given: dict[str, Any] = {}
        for name in (first, *rng.sample(sorted(FIELDS), rng.choice((0, 0, 0, 0, 1, 2)))):
            field_of(rng, name, model, given)
        try:
            return Filter(**given)
        except ctrack.InvalidArgumentError:
            # Zones that no entry has together, status bits set and clear, addresses of two families.
            continue


def without(filter: Filter, name: str) -> Filter:
    """The same filter without one field, and without what needs that one."""
    unset: dict[str, Any] = dict.fromkeys((name, *NEEDED.get(name, ())))
    return replace(filter, **unset)


def test_filters_and_lists_of_them_match_in_python_what_the_library_matches(ct: Conntrack) -> None:
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    nft(LABELS)
    wanted = random_table(rng)
    try:
        ct.create(wanted)
    except ctrack.Error as error:
        # Some have a tuple that another one has, in its other direction.
        assert error.result is not None and set(error.result.statuses) <= {0, 17}, error
    table = ct.list()
    assert len(table) > 200
    pairs = matched = 0
    removed: Counter[str] = Counter()

    def agrees(*filters: Filter) -> set[int | None]:
        """Compares the verdicts of both on the whole table."""
        nonlocal pairs, matched
        selection = Selection(*filters)
        here = {entry.id for entry in table if selection.selects(entry)}
        assert here == ids(ct.list(*filters)), f"SEED={SEED}: {selection}"
        if len(filters) == 1:
            assert here == {entry.id for entry in table if filters[0].matches(entry) != filters[0].exclude}
        pairs += len(table)
        matched += len(here)
        return here

    filters = []
    for name in sorted(FIELDS):
        tried = 0
        while tried < 4 or (tried < 40 and removed[name] < 120):
            filter = random_filter(rng, rng.choice(table), name)
            if getattr(filter, name) is None:
                # The entry has no such field.
                continue
            tried += 1
            filters.append(filter)
            before, after = agrees(filter), agrees(without(filter, name))
            # Without a mask more bits must be the same.
            assert before <= after or name.endswith("_mask")
            removed[name] += len(after ^ before)
    # Where rare fields took many filters that hardly match, wide ones keep up the share of pairs that do.
    wide = [filter for filter in filters if 2 * sum(filter.matches(entry) for entry in table) > len(table)]
    for _ in range(1000):
        if matched >= 0.36 * pairs:
            break
        agrees(rng.choice(wide))
    flipped = Counter[bool]()
    for _ in range(60):
        chosen = [replace(filter, exclude=rng.random() < 0.4) for filter in rng.sample(filters, rng.choice((1, 2, 3, 4)))]
        try:
            Selection(*chosen).check()
        except ctrack.InvalidArgumentError:
            with pytest.raises(ctrack.InvalidArgumentError):
                ct.list(*chosen)
            continue
        before = agrees(*chosen)
        turned = replace(chosen[0], exclude=not chosen[0].exclude)
        try:
            turned.check()
        except ctrack.InvalidArgumentError:
            continue
        after = agrees(turned, *chosen[1:])
        flipped[True] += len(after - before)
        flipped[False] += len(before - after)
    print(f"{pairs} pairs, {matched} match, {len(filters)} filters; changed by a field: {removed}, by exclude: {flipped}")
    assert pairs >= 10_000 and matched >= 0.3 * pairs
    for name in FIELDS:
        assert removed[name] >= 100, name
    assert flipped[True] >= 100 and flipped[False] >= 100


REFUSED: list[dict[str, Any]] = [
    {},
    {"mark": 0, "mark_mask": 0},
    {"status_set": 0},
    {"status_set": Status.CONFIRMED},
    {"status_clear": 0},
    {"labels": 0, "labels_mask": 0},
    {"id": 1},
    {"id": 0, "status_set": Status.CONFIRMED},
]
FINE: list[dict[str, Any]] = [
    {"orig_src": "0.0.0.0/0"},
    {"family": "ipv4"},
    {"zone": 0},
    {"orig_zone": 0},
    {"proto": 0},
    {"mark": 0, "mark_mask": 1},
    {"mark": 0},
    {"status_set": Status.CONFIRMED | Status.ASSURED},
    {"status_clear": Status.CONFIRMED},
    {"status_set": Status.SEEN_REPLY},
    {"labels": 0},
    {"helper": "ftp"},
    {"id": 1, "zone": 0},
]


@pytest.mark.parametrize("given", REFUSED + FINE, ids=str)
def test_check_refuses_what_the_library_refuses(ct: Conntrack, given: dict[str, Any]) -> None:
    def refused(body: Any, *arguments: Any, **more: Any) -> bool:
        try:
            body(*arguments, **more)
        except ctrack.InvalidArgumentError:
            return True
        return False

    for exclude in (False, True):
        filter = Filter(exclude=exclude, **given)
        assert refused(filter.check) == refused(Selection(filter).check) == refused(ct.list, filter)
        for others in ((), (Filter(zone=7),), (Filter(zone=7, exclude=True),)):
            assert refused(Selection(filter, *others).check, delete=True) == refused(ct.delete, filter, *others)
        if not exclude:
            assert refused(filter.check, delete=True) == (given in REFUSED)
        else:
            assert refused(filter.check) == (given in REFUSED and "id" not in given)


def test_a_refusal_names_the_filter_and_the_fix() -> None:
    with pytest.raises(ctrack.InvalidArgumentError, match=r"filter\[1\]: the filter matches every entry; .* use a flush"):
        Selection(Filter(zone=1), Filter()).check(delete=True)
    with pytest.raises(ctrack.InvalidArgumentError, match=r"filter\[0\]: exclude: the filter excludes everything"):
        Selection(Filter(exclude=True)).check()
    with pytest.raises(ctrack.InvalidArgumentError, match=r"no including filter"):
        Selection(Filter(zone=1, exclude=True)).check(delete=True)
    with pytest.raises(ctrack.InvalidArgumentError, match=r"an id alone"):
        Filter(id=5).check(delete=True)
    with pytest.raises(TypeError, match=r"filter\[1\] is list"):
        Selection(Filter(), [Filter()])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="entry is Filter, not Entry"):
        Filter().matches(Filter())  # type: ignore[arg-type]


def test_what_a_key_lacks_matches_no_filter_but_zero_mark_status_labels_and_zone() -> None:
    key = Entry(proto="tcp", orig_src="10.0.0.1", orig_sport=1, orig_dst="10.0.0.2", orig_dport=2)
    for filter in (
        Filter(reply_src="0.0.0.0/0"),
        Filter(proto="tcp", reply_sport=(0, 65535)),
        Filter(id=0),
        Filter(proto="tcp", tcp_states=list(TcpState)),
        Filter(helper="ftp"),
        Filter(mark=1),
        Filter(status_set=Status.CONFIRMED),
        Filter(zone=1),
    ):
        assert not filter.matches(key)
    for filter in (Filter(), Filter(mark=0, status_clear=0xFFFF, labels=0, zone=0), Filter(proto=6, orig_sport=1)):
        assert filter.matches(key)
    bare = Entry(proto=Proto.SCTP, orig_src="10.0.0.1", orig_dst="10.0.0.2")
    assert not Filter(proto="sctp", orig_sport=(0, 65535)).matches(bare)


def test_a_helper_is_compared_by_its_bytes() -> None:
    raw = bytearray(tcp("10.0.0.1", 1, "10.0.0.2", 2, helper="ftp").raw)
    assert Filter(helper="ftp").matches(Entry.from_raw(raw)) and not Filter(helper="tftp").matches(Entry.from_raw(raw))
    raw[208:211] = b"\xff\0\0"
    odd = Entry.from_raw(raw)
    assert odd.helper == "\\xff" and not Filter(helper=odd.helper).matches(odd)


def test_selections_are_compared_and_shown_by_their_filters() -> None:
    one, two = Selection(Filter(zone=1)), Selection(Filter(zone=1), Filter(zone=2))
    assert one == Selection(Filter(zone=1)) != two and hash(one) == hash(Selection(Filter(zone=1)))
    assert repr(two) == "Selection(Filter(zone=1), Filter(zone=2))" and two.filters == (Filter(zone=1), Filter(zone=2))
    flows = [udp("10.0.0.1", 1, "10.0.0.2", 2, zone=2), tcp("10.0.0.1", 1, "10.0.0.2", 2)]
    assert [*two.select(flows)] == flows[:1] and [*Selection().select(flows)] == flows
