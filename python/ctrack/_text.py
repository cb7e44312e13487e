# SPDX-License-Identifier: MIT OR Apache-2.0
"""An entry as text: the line of `conntrack -L`, JSON, and a dict of plain values that has the keys of the JSON text."""

from __future__ import annotations

import ctypes
import re
from typing import TYPE_CHECKING, Any

from ._native import lib
from .constants import (
    FORMAT_EXTENDED,
    FORMAT_ID,
    FORMAT_JSON,
    FORMAT_LINE,
    FORMAT_TIMESTAMP,
    Family,
    Has,
    Proto,
    Status,
    TcpState,
)
from .errors import error

if TYPE_CHECKING:
    from .entry import Entry

_FAMILIES = {Family.IPV4: "ipv4", Family.IPV6: "ipv6"}
_STATUSES = {int(bit): str(bit.name) for bit in Status}
# linux/netfilter/nf_conntrack_sctp.h
_SCTP_STATES = (
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
    "HEARTBEAT_ACKED",
)
# The kernel's enum ct_dccp_states (before 6.16).
_DCCP_STATES = (
    "NONE",
    "REQUEST",
    "RESPOND",
    "PARTOPEN",
    "OPEN",
    "CLOSEREQ",
    "CLOSING",
    "TIMEWAIT",
    "IGNORE",
    "INVALID",
)
_TCP_STATES = tuple(state.name for state in TcpState)
_BY_NAME = (
    ("timeout", "timeout"),
    ("mark", "mark"),
    ("use", "use_count"),
    ("id", "id"),
    ("sctp_vtag_orig", "sctp_vtag_orig"),
    ("sctp_vtag_reply", "sctp_vtag_reply"),
    ("tcp_wscale_orig", "tcp_wscale_orig"),
    ("tcp_wscale_reply", "tcp_wscale_reply"),
    ("tcp_flags_orig", "tcp_flags_orig"),
    ("tcp_flags_reply", "tcp_flags_reply"),
    ("dccp_role", "dccp_role"),
    ("start_ns", "start_ns"),
    ("stop_ns", "stop_ns"),
)


def line(raw: bytes, extended: bool, id: bool, timestamp: bool) -> str:
    """The line of `conntrack -L`, perhaps with what its options add."""
    return _written(raw, FORMAT_LINE | (extended and FORMAT_EXTENDED) | (id and FORMAT_ID) | (timestamp and FORMAT_TIMESTAMP))


def json(raw: bytes) -> str:
    """One JSON object with every field that the kernel sent."""
    return _written(raw, FORMAT_JSON)


def _written(raw: bytes, format: int) -> str:
    size = 1024
    while True:
        buffer = ctypes.create_string_buffer(size)
        length = lib.ct_entry_format(raw, format, buffer, size)
        if length < 0:
            raise error(length)
        if length < size:
            return buffer.value.decode("utf-8", "backslashreplace")
        size = length + 1


# The tuple of a reply direction that is not there, if the library prints it.
_NO_REPLY = re.compile(
    r" src=(?:0\.0\.0\.0|::) dst=(?:0\.0\.0\.0|::)(?: sport=0 dport=0| type=0 code=0 id=0| srckey=0x0 dstkey=0x0)?(?= |$)"
)


def without_reply(line: str) -> str:
    """The line of an entry that has no reply direction, without the one that the library prints."""
    after_orig = line.index(" dst=")
    at = line.find(" src=", after_orig)
    found = _NO_REPLY.match(line, at) if at >= 0 else None
    return line[:at] + line[found.end() :] if found else line


def plain(entry: Entry) -> dict[str, Any]:
    """What Entry.to_dict() gives."""
    has, proto = int(entry.has), int(entry.proto)
    made: dict[str, Any] = {
        "family": _FAMILIES[entry.family],
        "proto": proto,
        "proto_name": entry.proto.name.lower() if isinstance(entry.proto, Proto) else "unknown",
    }
    for of, value, names in (
        (Proto.TCP, entry.tcp_state, _TCP_STATES),
        (Proto.SCTP, entry.sctp_state, _SCTP_STATES),
        (Proto.DCCP, entry.dccp_state, _DCCP_STATES),
    ):
        if proto == of and value is not None:
            made["state"] = names[value] if value < len(names) else "UNKNOWN"
    made["orig"] = _direction(entry, "orig", "", has & Has.ORIG_ZONE != 0)
    if has & Has.REPLY:
        made["reply"] = _direction(entry, "reply", "reply_", has & Has.REPLY_ZONE != 0)
    if entry.status is not None:
        bits = _bits(int(entry.status))
        made["status"] = [_STATUSES.get(1 << bit, f"0x{1 << bit:x}") for bit in bits]
    made["zone"] = entry.zone
    for name, attribute in _BY_NAME:
        value = getattr(entry, attribute)
        if value is not None:
            made[name] = value
    if has & Has.LABELS:
        made["labels"] = _bits(entry.labels)
    if entry.helper is not None:
        made["helper"] = entry.helper
    return made


def _direction(entry: Entry, side: str, before_icmp: str, own_zone: bool) -> dict[str, Any]:
    source, destination = ("srckey", "dstkey") if entry.proto == Proto.GRE else ("sport", "dport")
    values = {
        "src": str(getattr(entry, f"{side}_src")),
        "dst": str(getattr(entry, f"{side}_dst")),
        source: getattr(entry, f"{side}_sport"),
        destination: getattr(entry, f"{side}_dport"),
        "type": getattr(entry, f"{before_icmp}icmp_type"),
        "code": getattr(entry, f"{before_icmp}icmp_code"),
        "id": getattr(entry, f"{before_icmp}icmp_id"),
        "zone": getattr(entry, f"{side}_zone") if own_zone else None,
        "packets": getattr(entry, f"{side}_packets"),
        "bytes": getattr(entry, f"{side}_bytes"),
    }
    return {name: value for name, value in values.items() if value is not None}


def _bits(number: int) -> list[int]:
    return [bit for bit in range(number.bit_length()) if number >> bit & 1]
