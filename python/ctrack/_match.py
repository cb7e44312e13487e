# SPDX-License-Identifier: MIT OR Apache-2.0
"""Whether a filter matches an entry, without the library. What <ctrack.h> says of struct ct_filter, field by field."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._native import CEntry
from .constants import Status

if TYPE_CHECKING:
    from .entry import Entry
    from .filter import Filter

_HELPER: int = CEntry.helper.offset


def matches(f: Filter, e: Entry) -> bool:
    """Whether all fields of the filter hold; `exclude` does not count."""
    return (
        (f.family is None or e.family == f.family)
        and (f.proto is None or e.proto == f.proto)
        and (f.zone is None or e.zone == f.zone)
        and (f.orig_zone is None or e.orig_zone == f.orig_zone)
        and (f.reply_zone is None or e.reply_zone == f.reply_zone)
        and (f.id is None or e.id == f.id)
        and (f.mark is None or _masked(e.mark or 0, f.mark, f.mark_mask))
        and _status(int(e.status or 0), f)
        and (f.orig_src is None or _within(e.orig_src, f.orig_src))
        and (f.orig_dst is None or _within(e.orig_dst, f.orig_dst))
        and (f.reply_src is None or _within(e.reply_src, f.reply_src))
        and (f.reply_dst is None or _within(e.reply_dst, f.reply_dst))
        and (f.orig_sport is None or _between(e.orig_sport, f.orig_sport))
        and (f.orig_dport is None or _between(e.orig_dport, f.orig_dport))
        and (f.reply_sport is None or _between(e.reply_sport, f.reply_sport))
        and (f.reply_dport is None or _between(e.reply_dport, f.reply_dport))
        and (f.icmp_type is None or e.icmp_type == f.icmp_type)
        and (f.icmp_code is None or e.icmp_code == f.icmp_code)
        and (f.icmp_id is None or e.icmp_id == f.icmp_id)
        and (f.tcp_states is None or e.tcp_state in f.tcp_states)
        and (f.labels is None or _masked(e.labels, f.labels, f.labels_mask))
        and (f.helper is None or _named(e, f.helper))
    )


def _masked(value: int, wanted: int, mask: int | None) -> bool:
    return (value if mask is None else value & mask) == wanted


def _status(status: int, f: Filter) -> bool:
    wanted, unwanted = int(f.status_set or 0), int(f.status_clear or 0)
    return status & wanted == wanted and not status & unwanted


def _within(address: Any, net: Any) -> bool:
    return address is not None and address.version == net.version and address in net


def _between(port: int | None, ports: tuple[int, int]) -> bool:
    return port is not None and ports[0] <= port <= ports[1]


def _named(e: Entry, helper: str) -> bool:
    # By the bytes: two names that are no text can look the same.
    return e.helper is not None and e.raw[_HELPER : _HELPER + 16] == helper.encode().ljust(16, b"\0")


def limits_but_id(f: Filter) -> bool:
    """Whether some field but the id can tell entries apart. Every entry of the table is confirmed."""
    return (
        any(
            getattr(f, name) is not None
            for name in ("family", "proto", "zone", "orig_zone", "reply_zone", "orig_src", "orig_dst", "reply_src", "reply_dst")
        )
        or f.helper is not None
        or (f.mark is not None and f.mark_mask != 0)
        or (f.labels is not None and f.labels_mask != 0)
        or (int(f.status_set or 0) | int(f.status_clear or 0), int(f.status_clear or 0))
        not in ((0, 0), (int(Status.CONFIRMED), 0))
    )
