# SPDX-License-Identifier: MIT OR Apache-2.0
"""An entry as a dict of plain values, with the keys of the library's JSON text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .constants import Family, Has, Proto, Status, TcpState

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


def of_entry(entry: Entry) -> dict[str, Any]:
    """What Entry.to_dict() gives."""
    has, proto = int(entry.has), int(entry.proto)
    plain: dict[str, Any] = {
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
            plain["state"] = names[value] if value < len(names) else "UNKNOWN"
    plain["orig"] = _direction(entry, "orig", "", has & Has.ORIG_ZONE != 0)
    if has & Has.REPLY:
        plain["reply"] = _direction(entry, "reply", "reply_", has & Has.REPLY_ZONE != 0)
    if entry.status is not None:
        bits = _bits(int(entry.status))
        plain["status"] = [_STATUSES.get(1 << bit, f"0x{1 << bit:x}") for bit in bits]
    plain["zone"] = entry.zone
    for name, attribute in _BY_NAME:
        value = getattr(entry, attribute)
        if value is not None:
            plain[name] = value
    if has & Has.LABELS:
        plain["labels"] = _bits(entry.labels)
    if entry.helper is not None:
        plain["helper"] = entry.helper
    return plain


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
