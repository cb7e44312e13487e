# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes the 256 bytes of an entry out of what people write."""

from __future__ import annotations

from typing import Any

from . import _labels, _values
from ._native import ADDRESS, LABELS, CEntry
from .constants import PROTOS_ICMP, PROTOS_WITH_PORTS, Has, Proto, TcpState
from .errors import invalid

_PORTS = ("orig_sport", "orig_dport", "reply_sport", "reply_dport")
_ICMP = ("icmp_type", "icmp_code", "icmp_id", "reply_icmp_type", "reply_icmp_code", "reply_icmp_id")
_TCP = ("tcp_state", "tcp_wscale", "tcp_flags", "tcp_mask")
_SCTP = ("sctp_state", "sctp_vtag")
# What answers an ICMP request (RFC 792, RFC 950, RFC 4443, RFC 4620), both ways.
_REQUESTS = {
    Proto.ICMP: {8: 0, 13: 14, 15: 16, 17: 18},
    Proto.ICMPV6: {128: 129, 139: 140},
}
_ANSWERS = {proto: {**pairs, **{answer: request for request, answer in pairs.items()}} for proto, pairs in _REQUESTS.items()}
_IDENTITY = Has.ORIG | Has.REPLY | Has.PORTS | Has.ICMP | Has.ID | Has.ZONE | Has.ORIG_ZONE | Has.REPLY_ZONE


def new(given: dict[str, Any]) -> bytes:
    """The bytes of Entry(**given)."""
    proto = _values.proto(given["proto"])
    for names, protos, what in (
        (_PORTS, PROTOS_WITH_PORTS, "has no ports"),
        (_ICMP, PROTOS_ICMP, "is not ICMP"),
        (_TCP, {Proto.TCP}, "is not TCP"),
        (_SCTP, {Proto.SCTP}, "is not SCTP"),
    ):
        for name in names:
            if given[name] is not None and proto not in protos:
                raise invalid(f"{name}: protocol {proto:d} {what}")
    e = CEntry()
    e.proto = proto
    _original(e, given)
    _reply(e, given)
    _zones(e, given)
    _meta(e, given)
    return bytes(e)


def _original(e: CEntry, given: dict[str, Any]) -> None:
    source = _values.address("orig_src", given["orig_src"])
    destination = _values.address("orig_dst", given["orig_dst"])
    if given["family"] is None:
        _values.refuse_mapped("orig_src", source)
        _values.refuse_mapped("orig_dst", destination)
    elif _values.family(given["family"]) != _values.family_of(source):
        raise invalid(f"orig_src: {source} is of another family than {given['family']!r}")
    if source.version != destination.version:
        raise invalid(f"orig_dst: {destination} is of another family than orig_src {source}")
    e.family = _values.family_of(source)
    e.orig.src = ADDRESS(*_values.packed(source))
    e.orig.dst = ADDRESS(*_values.packed(destination))
    e.has |= Has.ORIG
    if e.proto in (Proto.TCP, Proto.UDP) or any(given[name] is not None for name in _PORTS):
        e.orig.sport = _values.number("orig_sport", given["orig_sport"], 65535)
        e.orig.dport = _values.number("orig_dport", given["orig_dport"], 65535)
        e.has |= Has.PORTS
    if e.proto in PROTOS_ICMP:
        e.orig.icmp_type = _values.number("icmp_type", given["icmp_type"], 255)
        e.orig.icmp_code = _values.number("icmp_code", given["icmp_code"], 255)
        e.orig.icmp_id = _values.number("icmp_id", given["icmp_id"], 65535)
        e.has |= Has.ICMP


def _reply(e: CEntry, given: dict[str, Any]) -> None:
    if all(value is None for name, value in given.items() if name.startswith("reply_") and name != "reply_zone"):
        return
    e.has |= Has.REPLY
    for field, name, mirrored in (("src", "reply_src", e.orig.dst), ("dst", "reply_dst", e.orig.src)):
        if given[name] is None:
            setattr(e.reply, field, mirrored)
            continue
        address = _values.address(name, given[name])
        if given["family"] is None:
            _values.refuse_mapped(name, address)
        if _values.family_of(address) != e.family:
            raise invalid(f"{name}: {address} is of another family than orig_src")
        setattr(e.reply, field, ADDRESS(*_values.packed(address)))
    if e.has & Has.PORTS:
        e.reply.sport = _or(given, "reply_sport", 65535, e.orig.dport)
        e.reply.dport = _or(given, "reply_dport", 65535, e.orig.sport)
    if e.has & Has.ICMP:
        answer = _ANSWERS[Proto(e.proto)].get(e.orig.icmp_type)
        if answer is None and given["reply_icmp_type"] is None:
            raise invalid(f"reply_icmp_type: nothing is known to answer type {e.orig.icmp_type}")
        e.reply.icmp_type = _or(given, "reply_icmp_type", 255, answer)
        e.reply.icmp_code = _or(given, "reply_icmp_code", 255, e.orig.icmp_code)
        e.reply.icmp_id = _or(given, "reply_icmp_id", 65535, e.orig.icmp_id)


def _or(given: dict[str, Any], name: str, largest: int, otherwise: int | None) -> int | None:
    return otherwise if given[name] is None else _values.number(name, given[name], largest)


def _zones(e: CEntry, given: dict[str, Any]) -> None:
    zones = {name: given[name] for name in ("zone", "orig_zone", "reply_zone") if given[name] is not None}
    if len(zones) > 1:
        raise invalid(f"{' and '.join(zones)}: an entry has one zone, for both directions or for one of them")
    for name, value in zones.items():
        number = _values.number(name, value, 65535)
        if number == 0:
            # How the kernel says it: zone 0 is no zone.
            return
        e.zone = number
        if name != "reply_zone":
            e.orig.zone = number
        if name != "orig_zone":
            e.reply.zone = number
        e.has |= Has[name.upper()]


def _meta(e: CEntry, given: dict[str, Any]) -> None:
    for name, largest in (
        ("timeout", 0xFFFFFFFF),
        ("status", 0xFFFF),
        ("mark", 0xFFFFFFFF),
        ("mark_mask", 0xFFFFFFFF),
        ("id", 0xFFFFFFFF),
        ("tcp_state", max(TcpState)),
    ):
        if given[name] is not None:
            setattr(e, name, _values.number(name, given[name], largest))
            e.has |= Has[name.upper()]
    if given["mark_mask"] is not None and given["mark"] is None:
        raise invalid("mark_mask: without mark")
    if given["labels"] is not None:
        e.labels = LABELS(*_labels.to_bytes(_values.labels("labels", given["labels"])))
        e.has |= Has.LABELS
    if given["helper"] is not None:
        e.helper = b"" if given["helper"] == "" else _values.helper(given["helper"]).encode()
        e.has |= Has.HELPER
    for name, largest in (("tcp_wscale", 14), ("tcp_flags", 255), ("tcp_mask", 255)):
        if given[name] is not None:
            both = _pair(name, given[name], largest)
            setattr(e, f"{name}_orig", both[0])
            setattr(e, f"{name}_reply", both[1])
            e.has |= Has.TCP_WSCALE if name == "tcp_wscale" else Has.TCP_FLAGS
    if given["sctp_state"] is not None or given["sctp_vtag"] is not None:
        e.sctp_state = _values.number("sctp_state", given["sctp_state"], 255)
        e.sctp_vtag_orig, e.sctp_vtag_reply = _pair("sctp_vtag", given["sctp_vtag"], 0xFFFFFFFF)
        e.has |= Has.SCTP


def _pair(name: str, value: Any, largest: int) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise invalid(f"{name}: {value!r} is not a pair (original, reply)")
    return _values.number(name, value[0], largest), _values.number(name, value[1], largest)


def key_of(raw: bytes) -> bytes:
    """Only the fields that identify an entry."""
    return bytes(_key(raw))


def _key(raw: bytes) -> CEntry:
    whole, key = CEntry.from_buffer_copy(raw), CEntry()
    key.has = whole.has & int(_IDENTITY)
    key.family, key.proto, key.zone = whole.family, whole.proto, whole.zone
    key.orig, key.reply = whole.orig, whole.reply
    key.id = whole.id
    return key


def change_of(raw: bytes, given: dict[str, Any]) -> bytes:
    """The key of an entry, and what to change."""
    if all(value is None for value in given.values()):
        raise invalid("nothing to change")
    e = _key(raw)
    if given["tcp_state"] is not None and e.proto != Proto.TCP:
        raise invalid(f"tcp_state: protocol {e.proto} is not TCP")
    ways = {name: given.pop(name) for name in ("labels", "add_labels", "remove_labels")}
    chosen = [name for name, value in ways.items() if value is not None]
    if len(chosen) > 1:
        raise invalid(f"{' and '.join(chosen)}: only one of them can be given")
    given["labels"] = _values.labels(chosen[0], ways[chosen[0]]) if chosen else None
    _meta(e, {**dict.fromkeys(("id", *_TCP, *_SCTP)), **given})
    if chosen == ["add_labels"]:
        e.has |= Has.LABELS_ADD
    elif chosen == ["remove_labels"]:
        e.has |= Has.LABELS_REMOVE
    return bytes(e)
