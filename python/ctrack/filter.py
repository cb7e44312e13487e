# SPDX-License-Identifier: MIT OR Apache-2.0
"""What to select."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from . import _labels, _match, _values
from ._native import ADDRESS, LABELS, CFilter
from ._values import FamilyLike, Network, NetworkLike, PortsLike, ProtoLike, StatusLike, TcpStatesLike
from .constants import ALL_STATUSES, FILTER_EXCLUDE, PROTOS_ICMP, PROTOS_WITH_PORTS, Family, Match, Proto, Status, TcpState
from .entry import Entry
from .errors import invalid

_ROLES = ("orig_src", "orig_dst", "reply_src", "reply_dst")
_PORTS = ("orig_sport", "orig_dport", "reply_sport", "reply_dport")


@dataclass(frozen=True, init=False)
class Filter:
    """One filter: all fields that are not None must hold. Zero is a value everywhere, never a wildcard.

    >>> import ctrack
    >>> dns = ctrack.Filter(proto="udp", orig_dst="10.96.0.10", orig_dport=53)
    >>> dns.family, dns.orig_dst, dns.orig_dport
    (None, IPv4Network('10.96.0.10/32'), (53, 53))
    >>> ctrack.Filter(orig_src="10.0.0.7", family="ipv6")
    Traceback (most recent call last):
        ...
    ctrack.errors.InvalidArgumentError: [Errno 22] orig_src: 10.0.0.7/32 is of another family than the rest of the filter

    A wrong value is an InvalidArgumentError (a ValueError) when the filter is made, so nothing was sent.

    exclude:      entries that match are not selected, whatever other filters say
    family:       Family, AF_INET, AF_INET6, "ipv4" or "ipv6". Not needed with an address, which has one
    proto:        protocol number or name ("tcp")
    zone:         0 to 65535, of both directions or of one of them; 0: entries without any zone
    orig_zone, reply_zone: 0 to 65535, of this direction, whether the zone is that of both directions or of this one only;
                  0: this direction is in no zone (the other one may be in one). Only the original direction in zone 5 is
                  orig_zone=5, reply_zone=0. An entry has one zone at most: those that none can have together are refused
    id:           the kernel's identifier, as in Entry.id and as `conntrack -o id` prints it. Two entries can have the same
                  one (of a million, some 116 pairs do), so a delete refuses a filter, but an excluding one, that has no
                  other field to tell them apart
    mark:         with mark_mask only the bits in it are compared, and no other bit may be set in mark
    status_set, status_clear: Status bits that must be set, and clear: a Status, a name in any case ("ASSURED"), or several
    orig_src, orig_dst: who began, and whom it called (a service's virtual address, before NAT)
    reply_src, reply_dst: who really answers, and where answers go (a masquerading address)
                  each an address or a network ("10.0.0.0/8"). A scope ("fe80::1%eth0") is refused, since the table knows
                  none, and so are IPv4-mapped IPv6 addresses (unless family says IPv6): the table has such flows as IPv4
    orig_sport, orig_dport, reply_sport, reply_dport: a port, a pair (first, last) with both included, or a range() (whose
                  end is not included, as always). They want a proto that has ports
    icmp_type, icmp_code, icmp_id: of the original direction. They want the proto ICMP or ICMPv6
    tcp_states:   a TcpState, a name in any case ("ESTABLISHED"), or several. Wants the proto TCP
    labels:       128 bits as one number, bit n for label n; with labels_mask only the bits in it are compared
    helper:       exactly this name
    """

    exclude: bool
    family: Family | None
    proto: Proto | int | None
    zone: int | None
    orig_zone: int | None
    reply_zone: int | None
    id: int | None
    mark: int | None
    mark_mask: int | None
    status_set: Status | None
    status_clear: Status | None
    orig_src: Network | None
    orig_dst: Network | None
    reply_src: Network | None
    reply_dst: Network | None
    orig_sport: tuple[int, int] | None
    orig_dport: tuple[int, int] | None
    reply_sport: tuple[int, int] | None
    reply_dport: tuple[int, int] | None
    icmp_type: int | None
    icmp_code: int | None
    icmp_id: int | None
    tcp_states: frozenset[TcpState] | None
    labels: int | None
    labels_mask: int | None
    helper: str | None

    def __init__(
        self,
        *,
        exclude: bool = False,
        family: FamilyLike | None = None,
        proto: ProtoLike | None = None,
        zone: int | None = None,
        orig_zone: int | None = None,
        reply_zone: int | None = None,
        id: int | None = None,
        mark: int | None = None,
        mark_mask: int | None = None,
        status_set: StatusLike | None = None,
        status_clear: StatusLike | None = None,
        orig_src: NetworkLike | None = None,
        orig_dst: NetworkLike | None = None,
        reply_src: NetworkLike | None = None,
        reply_dst: NetworkLike | None = None,
        orig_sport: PortsLike | None = None,
        orig_dport: PortsLike | None = None,
        reply_sport: PortsLike | None = None,
        reply_dport: PortsLike | None = None,
        icmp_type: int | None = None,
        icmp_code: int | None = None,
        icmp_id: int | None = None,
        tcp_states: TcpStatesLike | None = None,
        labels: int | None = None,
        labels_mask: int | None = None,
        helper: str | None = None,
    ) -> None:
        if not isinstance(exclude, bool):
            raise invalid(f"exclude: {exclude!r} is neither True nor False")
        number = _values.optional_number
        nets = dict(zip(_ROLES, (orig_src, orig_dst, reply_src, reply_dst)))
        ranges = dict(zip(_PORTS, (orig_sport, orig_dport, reply_sport, reply_dport)))
        values: dict[str, Any] = {
            "exclude": exclude,
            "family": None if family is None else _values.family(family),
            "proto": None if proto is None else _values.proto(proto),
            "zone": number("zone", zone, 65535),
            "orig_zone": number("orig_zone", orig_zone, 65535),
            "reply_zone": number("reply_zone", reply_zone, 65535),
            "id": number("id", id, 0xFFFFFFFF),
            "mark": number("mark", mark, 0xFFFFFFFF),
            "mark_mask": number("mark_mask", mark_mask, 0xFFFFFFFF),
            "status_set": _status("status_set", status_set),
            "status_clear": _status("status_clear", status_clear),
            **{name: None if net is None else _values.network(name, net) for name, net in nets.items()},
            **{name: None if ports is None else _values.ports(name, ports) for name, ports in ranges.items()},
            "icmp_type": number("icmp_type", icmp_type, 255),
            "icmp_code": number("icmp_code", icmp_code, 255),
            "icmp_id": number("icmp_id", icmp_id, 65535),
            "tcp_states": None if tcp_states is None else _tcp_states(tcp_states),
            "labels": None if labels is None else _values.labels("labels", labels),
            "labels_mask": None if labels_mask is None else _values.labels("labels_mask", labels_mask),
            "helper": None if helper is None else _values.helper(helper),
        }
        _check(values)
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def matches(self, entry: Entry) -> bool:
        """Whether all fields hold for the entry, as the library decides for every entry that it lists. `exclude` does not
        count: Selection does that, and takes several filters.

        Of an entry that lacks fields, such as a key: mark, status, labels and zone that are not there are 0; nothing else that
        is not there holds, whatever the filter says of it.
        """
        if not isinstance(entry, Entry):
            raise TypeError(f"entry is {type(entry).__name__}, not Entry")
        return _match.matches(self, entry)

    def check(self, *, delete: bool = False) -> None:
        """Raises the InvalidArgumentError with which every call would refuse this filter. Wrong values are refused when a filter
        is made, so this finds an excluding filter that excludes everything.

        delete: also what delete() refuses: a filter that matches every entry, or one that names an id alone
        """
        replace(self)
        limits = _match.limits_but_id(self)
        if self.exclude:
            if not limits and self.id is None:
                raise invalid("exclude: the filter excludes everything")
        elif delete and not limits:
            if self.id is None:
                raise invalid("the filter matches every entry; to delete all of them use a flush")
            raise invalid("id: the filter names an id alone, and entries can share one; add what else the entry has")

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A pickle of an earlier release lacks the fields that came later."""
        for field in fields(self):
            object.__setattr__(self, field.name, state.get(field.name))

    def __repr__(self) -> str:
        given = ((field.name, getattr(self, field.name)) for field in fields(self))
        return f"Filter({', '.join(f'{name}={value!r}' for name, value in given if value is not None and value is not False)})"


def _status(name: str, value: Any) -> Status | None:
    if value is None:
        return None
    members = _values.several(name, value)
    if members == ():
        # Else a list that came out empty would lift the limit.
        raise invalid(f"{name}: no status at all")
    plain = _values.status(name, value if members is None else members, 0xFFFFFFFF)
    if plain & ~ALL_STATUSES:
        raise invalid(f"{name}: unknown status bits {plain & ~ALL_STATUSES:#x}")
    return Status(plain)


def _tcp_states(value: Any) -> frozenset[TcpState]:
    members = _values.several("tcp_states", value)
    states = frozenset(TcpState(_values.tcp_state("tcp_states", each)) for each in ((value,) if members is None else members))
    if not states:
        raise invalid("tcp_states: no state at all")
    return states


def _check(values: dict[str, Any]) -> None:
    """What fields must have of each other."""
    family = values["family"]
    for name in _ROLES:
        if values[name] is None:
            continue
        if values["family"] is None:
            _values.refuse_mapped(name, values[name])
        own = _values.family_of(values[name])
        if family not in (None, own):
            raise invalid(f"{name}: {values[name]} is of another family than the rest of the filter")
        # Not kept: a copy without its addresses would be a filter for all of their family.
        family = own
    wanted = (
        (_PORTS, PROTOS_WITH_PORTS, "a proto that has ports"),
        (("icmp_type", "icmp_code", "icmp_id"), PROTOS_ICMP, "the proto ICMP or ICMPv6"),
        (("tcp_states",), {Proto.TCP}, "the proto TCP"),
    )
    for names, protos, what in wanted:
        for name in names:
            if values[name] is not None and values["proto"] not in protos:
                raise invalid(f"{name}: needs {what}")
    for name, mask in (("mark", "mark_mask"), ("labels", "labels_mask")):
        if values[mask] is not None and values[name] is None:
            raise invalid(f"{mask}: without {name}")
        if values[mask] is not None and values[name] & ~values[mask]:
            raise invalid(f"{name}: {values[name]:#x} has bits outside {mask} {values[mask]:#x}")
    if (values["status_set"] or 0) & (values["status_clear"] or 0):
        raise invalid("status_clear: wants bits clear that status_set wants set")
    _check_zones(values["zone"], values["orig_zone"], values["reply_zone"])


def _check_zones(zone: int | None, orig: int | None, reply: int | None) -> None:
    """An entry has one zone at most, for both directions or for one of them."""
    own = {"orig_zone": orig, "reply_zone": reply}
    one = zone if zone is not None else orig or reply or 0
    for name, value in own.items():
        if value and value != one:
            raise invalid(f"{name}: no entry has zone {value} together with the filter's others")
    if zone and orig == reply == 0:
        raise invalid(f"zone: no entry has zone {zone} in no direction")


def _fill(to: CFilter, filter: Filter) -> None:
    match = 0
    to.size = ctypes.sizeof(CFilter)
    to.flags = FILTER_EXCLUDE if filter.exclude else 0
    for name in ("family", "proto", "zone", "orig_zone", "reply_zone", "id", "icmp_type", "icmp_code", "icmp_id"):
        value = getattr(filter, name)
        if value is not None:
            setattr(to, name, value)
            match |= Match[name.upper()]
    for name in _ROLES:
        net = getattr(filter, name)
        if net is not None:
            setattr(to, name, ADDRESS(*_values.packed(net.network_address)))
            setattr(to, f"{name}_prefix", net.prefixlen)
            to.family = _values.family_of(net)
            match |= Match[name.upper()] | Match.FAMILY
    for name in _PORTS:
        ports = getattr(filter, name)
        if ports is not None:
            setattr(to, f"{name}_first", ports[0])
            setattr(to, f"{name}_last", ports[1])
            match |= Match[name.upper()]
    if filter.mark is not None:
        to.mark = filter.mark
        to.mark_mask = 0xFFFFFFFF if filter.mark_mask is None else filter.mark_mask
        match |= Match.MARK
    if filter.status_set is not None or filter.status_clear is not None:
        to.status_set = int(filter.status_set or 0)
        to.status_clear = int(filter.status_clear or 0)
        match |= Match.STATUS
    if filter.tcp_states is not None:
        to.tcp_states = sum(1 << state for state in filter.tcp_states)
        match |= Match.TCP_STATES
    if filter.labels is not None:
        mask = (1 << 128) - 1 if filter.labels_mask is None else filter.labels_mask
        to.labels = LABELS(*_labels.to_bytes(filter.labels))
        to.labels_mask = LABELS(*_labels.to_bytes(mask))
        match |= Match.LABELS
    if filter.helper is not None:
        to.helper = filter.helper.encode()
        match |= Match.HELPER
    to.match = int(match)


def pack(filters: Sequence[Filter]) -> ctypes.Array[CFilter] | None:
    """The filters of one call as the library takes them; None if there are none."""
    for index, filter in enumerate(filters):
        if not isinstance(filter, Filter):
            raise TypeError(f"filter[{index}] is {type(filter).__name__}, not Filter (several: *filters)")
    if not filters:
        return None
    array = (CFilter * len(filters))()
    for to, filter in zip(array, filters):
        _fill(to, filter)
    return array
