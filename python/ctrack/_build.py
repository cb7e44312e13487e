# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes the 256 bytes of an entry out of what people write.

Plain numbers and one call of struct for each part: arithmetic with an IntFlag, or a ctypes struct, takes as long as all the rest.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from . import _labels, _values
from ._native import CEntry
from .constants import ALL_STATUSES, PROTOS_ICMP, PROTOS_WITH_PORTS, Has, Proto, TcpState
from .errors import invalid

_ICMP, _ICMPV6, _TCP, _UDP, _SCTP = (int(p) for p in (Proto.ICMP, Proto.ICMPV6, Proto.TCP, Proto.UDP, Proto.SCTP))
_WITH_PORTS = frozenset(map(int, PROTOS_WITH_PORTS))
_WITH_ICMP = frozenset(map(int, PROTOS_ICMP))
# What answers an ICMP request (RFC 792, RFC 950, RFC 4443, RFC 4620), both ways.
_REQUESTS = {_ICMP: {8: 0, 13: 14, 15: 16, 17: 18}, _ICMPV6: {128: 129, 139: 140}}
_ANSWERS = {proto: {**pairs, **{answer: request for request, answer in pairs.items()}} for proto, pairs in _REQUESTS.items()}

_HAS = {has.name: int(has) for has in Has}
_HAS_ORIG, _HAS_REPLY, _HAS_PORTS, _HAS_ICMP = _HAS["ORIG"], _HAS["REPLY"], _HAS["PORTS"], _HAS["ICMP"]
_HAS_TIMEOUT, _HAS_STATUS, _HAS_MARK, _HAS_MARK_MASK = _HAS["TIMEOUT"], _HAS["STATUS"], _HAS["MARK"], _HAS["MARK_MASK"]
_HAS_ID, _HAS_ZONE, _HAS_ORIG_ZONE, _HAS_REPLY_ZONE = _HAS["ID"], _HAS["ZONE"], _HAS["ORIG_ZONE"], _HAS["REPLY_ZONE"]
_HAS_LABELS, _HAS_HELPER, _HAS_TCP_STATE, _HAS_SCTP = _HAS["LABELS"], _HAS["HELPER"], _HAS["TCP_STATE"], _HAS["SCTP"]
_IDENTITY = _HAS_ORIG | _HAS_REPLY | _HAS_PORTS | _HAS_ICMP | _HAS_ID | _HAS_ZONE | _HAS_ORIG_ZONE | _HAS_REPLY_ZONE

# The parts of a struct ct_entry: what comes before the tuples, both tuples, and labels and helper.
_head = Struct("=Q6I12B3I")
_tuples = Struct("=16s16sHHHBBI16s16sHHHBBI")
_tail = Struct("=48x16s16s32x")
_NO_TAIL = bytes(_tail.size)
_TUPLES: int = CEntry.orig.offset
_TAIL: int = CEntry.orig_counters.offset
assert (_TUPLES, _TAIL) == (_head.size, _head.size + _tuples.size)
_U16, _U32 = 0xFFFF, 0xFFFFFFFF
_LAST_TCP_STATE = int(max(TcpState))


def _number(name: str, value: Any, largest: int) -> int:
    if type(value) is int and 0 <= value <= largest:
        return value
    return _values.number(name, value, largest)


def _refuse_foreign(proto: int, protos: frozenset[int], what: str, given: dict[str, Any]) -> None:
    """Refuses what belongs to another protocol, by the name of the first field that is given."""
    for name, value in given.items():
        if value is not None and proto not in protos:
            raise invalid(f"{name}: protocol {proto} {what}")


def new(
    proto: Any,
    family: Any,
    orig_src: Any,
    orig_dst: Any,
    orig_sport: Any,
    orig_dport: Any,
    icmp_type: Any,
    icmp_code: Any,
    icmp_id: Any,
    reply_src: Any,
    reply_dst: Any,
    reply_sport: Any,
    reply_dport: Any,
    reply_icmp_type: Any,
    reply_icmp_code: Any,
    reply_icmp_id: Any,
    zone: Any,
    orig_zone: Any,
    reply_zone: Any,
    timeout: Any,
    status: Any,
    mark: Any,
    mark_mask: Any,
    id: Any,
    labels: Any,
    helper: Any,
    tcp_state: Any,
    tcp_wscale: Any,
    tcp_flags: Any,
    tcp_mask: Any,
    sctp_state: Any,
    sctp_vtag: Any,
) -> bytes:
    """The bytes of Entry(...)."""
    proto = _values.proto_number(proto)
    with_ports = with_icmp = False
    if proto in _WITH_PORTS:
        with_ports = (
            proto in (_TCP, _UDP)
            or orig_sport is not None
            or orig_dport is not None
            or reply_sport is not None
            or reply_dport is not None
        )
    else:
        ports = {"orig_sport": orig_sport, "orig_dport": orig_dport, "reply_sport": reply_sport, "reply_dport": reply_dport}
        _refuse_foreign(proto, _WITH_PORTS, "has no ports", ports)
    with_reply = (
        reply_src is not None
        or reply_dst is not None
        or reply_sport is not None
        or reply_dport is not None
        or reply_icmp_type is not None
        or reply_icmp_code is not None
        or reply_icmp_id is not None
    )
    if proto in _WITH_ICMP:
        with_icmp = True
    elif icmp_type is not None or icmp_code is not None or icmp_id is not None or with_reply:
        of_icmp = {
            "icmp_type": icmp_type,
            "icmp_code": icmp_code,
            "icmp_id": icmp_id,
            "reply_icmp_type": reply_icmp_type,
            "reply_icmp_code": reply_icmp_code,
            "reply_icmp_id": reply_icmp_id,
        }
        _refuse_foreign(proto, _WITH_ICMP, "is not ICMP", of_icmp)
    if proto != _TCP and (tcp_state is not None or tcp_wscale is not None or tcp_flags is not None or tcp_mask is not None):
        of_tcp = {"tcp_state": tcp_state, "tcp_wscale": tcp_wscale, "tcp_flags": tcp_flags, "tcp_mask": tcp_mask}
        _refuse_foreign(proto, frozenset({_TCP}), "is not TCP", of_tcp)
    if proto != _SCTP and (sctp_state is not None or sctp_vtag is not None):
        _refuse_foreign(proto, frozenset({_SCTP}), "is not SCTP", {"sctp_state": sctp_state, "sctp_vtag": sctp_vtag})

    # The original direction.
    has = _HAS_ORIG
    src = _values.packed_address("orig_src", orig_src)
    dst = _values.packed_address("orig_dst", orig_dst)
    own_family = 2 if len(src) == 4 else 10
    if family is None:
        _values.refuse_mapped_bytes("orig_src", src)
        _values.refuse_mapped_bytes("orig_dst", dst)
    elif _values.family(family) != own_family:
        raise invalid(f"orig_src: {_values.address('orig_src', orig_src)} is of another family than {family!r}")
    if len(src) != len(dst):
        ends = _values.address("orig_dst", orig_dst), _values.address("orig_src", orig_src)
        raise invalid(f"orig_dst: {ends[0]} is of another family than orig_src {ends[1]}")
    sport = dport = kind = code = ident = 0
    if with_ports:
        has |= _HAS_PORTS
        sport = _number("orig_sport", orig_sport, _U16)
        dport = _number("orig_dport", orig_dport, _U16)
    elif with_icmp:
        has |= _HAS_ICMP
        kind = _number("icmp_type", icmp_type, 255)
        code = _number("icmp_code", icmp_code, 255)
        ident = _number("icmp_id", icmp_id, _U16)

    # The reply direction: mirrored where nothing is given.
    answer_src = answer_dst = b""
    answer_sport = answer_dport = answer_kind = answer_code = answer_ident = 0
    if with_reply:
        has |= _HAS_REPLY
        answer_src = dst if reply_src is None else _reply_address("reply_src", reply_src, family, own_family)
        answer_dst = src if reply_dst is None else _reply_address("reply_dst", reply_dst, family, own_family)
        if with_ports:
            answer_sport = dport if reply_sport is None else _number("reply_sport", reply_sport, _U16)
            answer_dport = sport if reply_dport is None else _number("reply_dport", reply_dport, _U16)
        elif with_icmp:
            answer = _ANSWERS[proto].get(kind) if reply_icmp_type is None else _number("reply_icmp_type", reply_icmp_type, 255)
            if answer is None:
                raise invalid(f"reply_icmp_type: nothing is known to answer type {kind}")
            answer_kind = answer
            answer_code = code if reply_icmp_code is None else _number("reply_icmp_code", reply_icmp_code, 255)
            answer_ident = ident if reply_icmp_id is None else _number("reply_icmp_id", reply_icmp_id, _U16)

    zone_bit = zone_number = zone_of_orig = zone_of_reply = 0
    if zone is not None or orig_zone is not None or reply_zone is not None:
        zone_bit, zone_number = _zone(zone, orig_zone, reply_zone)
        has |= zone_bit
        zone_of_orig = 0 if zone_bit == _HAS_REPLY_ZONE else zone_number
        zone_of_reply = 0 if zone_bit == _HAS_ORIG_ZONE else zone_number
    tuples = _tuples.pack(
        *(src, dst, sport, dport, ident, kind, code, zone_of_orig),
        *(answer_src, answer_dst, answer_sport, answer_dport, answer_ident, answer_kind, answer_code, zone_of_reply),
    )
    if id is not None:
        has |= _HAS_ID
        id = _number("id", id, _U32)
    return _whole(
        *(has, id or 0, zone_number, own_family, proto, tuples),
        *(timeout, status, mark, mark_mask, labels, helper, tcp_state, tcp_wscale, tcp_flags, tcp_mask, sctp_state, sctp_vtag),
    )


def reply_key(
    proto: Any,
    family: Any,
    src: Any,
    dst: Any,
    sport: Any,
    dport: Any,
    icmp_type: Any,
    icmp_code: Any,
    icmp_id: Any,
    zone: Any,
    orig_zone: Any,
    reply_zone: Any,
) -> bytes:
    """The bytes of a key that has nothing but the reply direction."""
    proto = _values.proto_number(proto)
    ports = {"reply_sport": sport, "reply_dport": dport}
    icmp = {"reply_icmp_type": icmp_type, "reply_icmp_code": icmp_code, "reply_icmp_id": icmp_id}
    _refuse_foreign(proto, _WITH_PORTS, "has no ports", ports)
    _refuse_foreign(proto, _WITH_ICMP, "is not ICMP", icmp)
    source = _values.packed_address("reply_src", src)
    own_family = 2 if len(source) == 4 else 10
    if family is None:
        _values.refuse_mapped_bytes("reply_src", source)
    elif _values.family(family) != own_family:
        raise invalid(f"reply_src: {_values.address('reply_src', src)} is of another family than {family!r}")
    destination = _values.packed_address("reply_dst", dst)
    if family is None:
        _values.refuse_mapped_bytes("reply_dst", destination)
    if len(destination) != len(source):
        raise invalid(f"reply_dst: {_values.address('reply_dst', dst)} is of another family than reply_src")
    has = _HAS_REPLY
    numbers = [0] * 5
    if proto in (_TCP, _UDP) or any(value is not None for value in ports.values()):
        has |= _HAS_PORTS
        numbers[:2] = (_number(name, value, _U16) for name, value in ports.items())
    if proto in _WITH_ICMP:
        has |= _HAS_ICMP
        numbers[3] = _number("reply_icmp_type", icmp_type, 255)
        numbers[4] = _number("reply_icmp_code", icmp_code, 255)
        numbers[2] = _number("reply_icmp_id", icmp_id, _U16)
    bit = of_both = 0
    if zone is not None or orig_zone is not None or reply_zone is not None:
        bit, of_both = _zone(zone, orig_zone, reply_zone)
    zone_of_orig = 0 if bit == _HAS_REPLY_ZONE else of_both
    zone_of_reply = 0 if bit == _HAS_ORIG_ZONE else of_both
    tuples = _tuples.pack(b"", b"", 0, 0, 0, 0, 0, zone_of_orig, source, destination, *numbers, zone_of_reply)
    return _key_head(has | bit, 0, of_both, own_family, proto) + tuples + _NO_TAIL


def _reply_address(name: str, value: Any, family: Any, own_family: int) -> bytes:
    packed = _values.packed_address(name, value)
    if family is None:
        _values.refuse_mapped_bytes(name, packed)
    if len(packed) != (4 if own_family == 2 else 16):
        raise invalid(f"{name}: {_values.address(name, value)} is of another family than orig_src")
    return packed


def _zone(zone: Any, orig_zone: Any, reply_zone: Any) -> tuple[int, int]:
    """The bit and the number. Zone 0 is no zone: that is how the kernel says it."""
    all_zones = (
        ("zone", zone, _HAS_ZONE),
        ("orig_zone", orig_zone, _HAS_ORIG_ZONE),
        ("reply_zone", reply_zone, _HAS_REPLY_ZONE),
    )
    given = [each for each in all_zones if each[1] is not None]
    if len(given) > 1:
        names = " and ".join(name for name, _, _ in given)
        raise invalid(f"{names}: an entry has one zone, for both directions or for one of them")
    name, value, bit = given[0]
    number = _number(name, value, _U16)
    return (bit, number) if number else (0, 0)


def _whole(
    has: int,
    id: int,
    zone: int,
    family: int,
    proto: int,
    tuples: bytes,
    timeout: Any,
    status: Any,
    mark: Any,
    mark_mask: Any,
    labels: Any,
    helper: Any,
    tcp_state: Any,
    tcp_wscale: Any,
    tcp_flags: Any,
    tcp_mask: Any,
    sctp_state: Any,
    sctp_vtag: Any,
) -> bytes:
    """Adds what is not identity."""
    if timeout is None:
        timeout = 0
    else:
        has |= _HAS_TIMEOUT
        timeout = _number("timeout", timeout, _U32)
    if status is None:
        status = 0
    else:
        has |= _HAS_STATUS
        if type(status) is not int or not 0 <= status <= ALL_STATUSES:
            status = _values.status("status", status, ALL_STATUSES)
    if mark is not None:
        has |= _HAS_MARK
        mark = _number("mark", mark, _U32)
    if mark_mask is not None:
        has |= _HAS_MARK_MASK
        mark_mask = _number("mark_mask", mark_mask, _U32)
        if mark is None:
            raise invalid("mark_mask: without mark")
    if tcp_state is None:
        tcp_state = 0
    else:
        has |= _HAS_TCP_STATE
        if type(tcp_state) is not int or not 0 <= tcp_state <= _LAST_TCP_STATE:
            tcp_state = _values.tcp_state("tcp_state", tcp_state)
    tail = _NO_TAIL
    if labels is not None or helper is not None:
        label_bytes = name_bytes = b""
        if labels is not None:
            has |= _HAS_LABELS
            label_bytes = _labels.to_bytes(_values.labels("labels", labels))
        if helper is not None:
            has |= _HAS_HELPER
            name_bytes = b"" if helper == "" else _values.helper(helper).encode()
        tail = _tail.pack(label_bytes, name_bytes)
    pairs = [(0, 0), (0, 0), (0, 0)]
    if tcp_wscale is not None or tcp_flags is not None or tcp_mask is not None:
        for index, (name, pair, largest) in enumerate(
            (("tcp_wscale", tcp_wscale, 14), ("tcp_flags", tcp_flags, 255), ("tcp_mask", tcp_mask, 255))
        ):
            if pair is not None:
                pairs[index] = _pair(name, pair, largest)
                has |= _HAS["TCP_FLAGS" if index else "TCP_WSCALE"]
    tags = (0, 0)
    if sctp_state is None and sctp_vtag is None:
        sctp_state = 0
    else:
        has |= _HAS_SCTP
        sctp_state = _number("sctp_state", sctp_state, 255)
        tags = _pair("sctp_vtag", sctp_vtag, _U32)
    head = _head.pack(
        *(has, id, status, mark or 0, timeout, 0, zone, family, proto, tcp_state, sctp_state),
        *(*pairs[0], *pairs[1], *pairs[2], 0, 0, *tags, mark_mask or 0),
    )
    return head + tuples + tail


def _pair(name: str, value: Any, largest: int) -> tuple[int, int]:
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise invalid(f"{name}: {value!r} is not a pair (original, reply)")
    return _number(name, value[0], largest), _number(name, value[1], largest)


_identity = Struct("=QI16xI2B").unpack_from
_key_head = Struct("=QI16xI2B22x").pack


def key_of(raw: bytes) -> bytes:
    """Only the fields that identify an entry."""
    has, id, zone, family, proto = _identity(raw)
    return _key_head(has & _IDENTITY, id, zone, family, proto) + raw[_TUPLES:_TAIL] + _NO_TAIL


def change_of(raw: bytes, given: dict[str, Any]) -> bytes:
    """The key of an entry, and what to change."""
    if all(value is None for value in given.values()):
        raise invalid("nothing to change")
    has, id, zone, family, proto = _identity(raw)
    if given["tcp_state"] is not None and proto != _TCP:
        raise invalid(f"tcp_state: protocol {proto} is not TCP")
    ways = {name: given.pop(name) for name in ("labels", "add_labels", "remove_labels")}
    chosen = [name for name, value in ways.items() if value is not None]
    if len(chosen) > 1:
        raise invalid(f"{' and '.join(chosen)}: only one of them can be given")
    given["labels"] = _values.labels(chosen[0], ways[chosen[0]]) if chosen else None
    has &= _IDENTITY
    if chosen and chosen[0] != "labels":
        has |= _HAS["LABELS_ADD" if chosen[0] == "add_labels" else "LABELS_REMOVE"]
    unchanged = dict.fromkeys(("tcp_wscale", "tcp_flags", "tcp_mask", "sctp_state", "sctp_vtag"))
    return _whole(has, id, zone, family, proto, raw[_TUPLES:_TAIL], **given, **unchanged)
