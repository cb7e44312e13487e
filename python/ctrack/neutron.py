# SPDX-License-Identifier: MIT OR Apache-2.0
"""What OpenStack Neutron's conntrack netlink module offers, for drop-in use: entries as tuples, by zone.

    (4, 'tcp', sport, dport, src, dst, zone)     (6, 'udp', ...)    also 'sctp', 'dccp', 'udplite', and 'gre' with its keys
    (4, 'icmp', type, code, src, dst, id, zone)  (6, 'icmpv6', ...)
    (4, '89', src, dst, zone)                    any other protocol, by its number

Addresses are text as Python's ipaddress writes it, everything else but the protocol is a number. The tuple is that of the
original direction. The zone is that of the entry, be it of both directions or of one of them only.

    >>> from ctrack import neutron
    >>> neutron.list_entries(7)
    []
    >>> neutron.delete_entries([(4, "tcp", 40000, 80, "10.0.0.1", "10.0.0.2", 7)]).gone
    1
    >>> neutron.delete_rules([neutron.Rule(7, "IPv4", "ingress", "10.0.0.2", "tcp", remotes=["10.0.0.1", "10.0.0.3"])]).done
    0

Each function works in the network namespace of the calling thread, unless it is given a `ctrack.Conntrack`. Wrong input is an
InvalidArgument (a ValueError) that names what is wrong; the whole input is checked before anything is sent. Everything else
that fails is a `ctrack.Error` with an errno. An entry that is gone already is no error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import ENOENT
from typing import Any, Union

from . import _values
from ._values import NetworkLike
from .conntrack import Conntrack
from .constants import PROTOS_ICMP, PROTOS_WITH_PORTS, Family, Proto
from .entry import Entry
from .errors import Error, InvalidArgument, Result, invalid
from .filter import Filter
from .roles import security_rule

#: One entry, as described above.
EntryTuple = tuple[Union[int, str], ...]

_VERSIONS = {Family.IPV4: 4, Family.IPV6: 6}
_BY_VERSION = {version: family for family, version in _VERSIONS.items()}
_NAMES = {proto: proto.name.lower() for proto in Proto}
_NUMBERS = {name: proto for proto, name in _NAMES.items()}
# What Neutron's API takes besides the names above.
_ALIASES = {"ipv6-icmp": Proto.ICMPV6}
_ETHERTYPES = {"ipv4": Family.IPV4, "ipv6": Family.IPV6}


@dataclass(frozen=True)
class Rule:
    """A rule of a security group, as one port has it: which flows it had let through.

    zone: the zone of the port, 0 to 65535
    ethertype: "IPv4" or "IPv6"
    direction: "ingress": flows that remotes began with the port; "egress": flows that the port began with remotes
    addresses: the port's own addresses or networks; at least one
    protocol: name or number; None: any. "icmp" with IPv6 means ICMPv6, as it does in Neutron's API
    mark: the mark that the flows must have; None: any
    remotes: remote addresses or networks; None: any. An empty list is an error: it never means any
    """

    zone: int
    ethertype: str
    direction: str
    addresses: NetworkLike | Iterable[NetworkLike]
    protocol: str | int | None = None
    mark: int | None = None
    remotes: NetworkLike | Iterable[NetworkLike] | None = None


def list_entries(zone: int, *, conntrack: Conntrack | None = None) -> list[EntryTuple]:
    """The entries of a zone, sorted. Zone 0: those without any zone."""
    wanted = Filter(zone=_zone("zone", zone))
    with _table(conntrack) as ct:
        # An entry in the zone in both directions and one in one direction only can have the same tuple: named once.
        return sorted({_to_tuple(entry) for entry in ct.list(wanted)})


def delete_entries(entries: Iterable[EntryTuple], *, conntrack: Conntrack | None = None) -> Result:
    """Deletes the entries that the tuples name, in their zones only. The result has a status for each tuple.

    A zone other than 0 means every entry that list_entries(zone) shows as this tuple: one whose both directions are in
    the zone, or only one of them.
    """
    groups = [_keys(f"entries[{index}]", entry) for index, entry in enumerate(entries)]
    keys = [key for group in groups for key in group]
    with _table(conntrack) as ct:
        try:
            return _by_group(groups, ct.delete_entries(keys))
        except Error as error:
            if error.result is not None:
                error.result = _by_group(groups, error.result)
                error.strerror = _named_by_group(groups, error)
            raise


def _by_group(groups: list[list[Entry]], result: Result) -> Result:
    """The result of groups of keys: deleted if one of them was, gone if all of them are, failed otherwise."""
    rest, statuses = iter(result.statuses), []
    for group in groups:
        own = [next(rest) for _ in group]
        statuses.append(next((status for status in own if status not in (0, ENOENT)), 0 if 0 in own else ENOENT))
    gone = statuses.count(ENOENT)
    failed = len(statuses) - gone - statuses.count(0)
    return result._replace(matched=len(groups), gone=gone, failed=failed, statuses=tuple(statuses))


def _named_by_group(groups: list[list[Entry]], error: Error) -> str:
    """The text of an error with the place of the tuple, and not that of the key that the library had of it."""
    text, result = error.strerror or "", error.result
    found = re.match(r"entry\[(\d+)\]", text)
    if found is None or result is None:
        return text
    owners = [index for index, group in enumerate(groups) for _ in group]
    text = f"entries[{owners[int(found[1])]}]" + re.sub(r"; and \d+ more$", "", text[found.end() :])
    return f"{text}; and {result.failed - 1} more" if result.failed > 1 else text


def flush_entries(zone: int | None = None, *, conntrack: Conntrack | None = None) -> None:
    """Deletes all entries of a zone; with None those of the whole network namespace, all zones and families.

    As in Neutron's module, None means everything: look at a zone that came from elsewhere before it is handed on.
    """
    scope = None if zone is None else Filter(zone=_zone("zone", zone))
    with _table(conntrack) as ct:
        if scope is None:
            ct.flush_all()
        else:
            ct.flush(scope)


def delete_rules(rules: Iterable[Rule], *, conntrack: Conntrack | None = None) -> Result:
    """Deletes the flows of all rules in one pass over the table, however many rules and remotes there are.

    No rules: nothing is deleted.
    """
    if isinstance(rules, Rule):
        rules = [rules]
    filters = [each for index, rule in enumerate(rules) for each in _filters(f"rules[{index}]", rule)]
    if not filters:
        return Result(0, 0, 0, 0, 0, False, ())
    with _table(conntrack) as ct:
        return ct.delete(*filters)


@contextmanager
def _table(conntrack: Conntrack | None) -> Iterator[Conntrack]:
    if conntrack is not None:
        yield conntrack
    else:
        with Conntrack() as own:
            yield own


def _zone(name: str, zone: Any) -> int:
    # None means everything elsewhere, and must not do so here.
    return _values.number(name, zone, 65535)


def _to_tuple(entry: Entry) -> EntryTuple:
    version, proto = _VERSIONS[entry.family], entry.proto
    name = _NAMES.get(proto) if isinstance(proto, Proto) else None
    src, dst, zone = str(entry.orig_src), str(entry.orig_dst), entry.zone
    if name is None:
        return version, str(int(proto)), src, dst, zone
    if proto in PROTOS_ICMP:
        return version, name, entry.icmp_type or 0, entry.icmp_code or 0, src, dst, entry.icmp_id or 0, zone
    # Kernels list protocols that they do not track without ports.
    return version, name, entry.orig_sport or 0, entry.orig_dport or 0, src, dst, zone


def _keys(name: str, entry: Any) -> list[Entry]:
    """The keys of all entries that a tuple names."""
    try:
        fields = _fields(entry)
        zone = fields.pop("zone")
        kinds = ("zone", "orig_zone", "reply_zone") if zone else ("zone",)
        return [Entry(**{**fields, kind: zone}) for kind in kinds]
    except InvalidArgument as error:
        raise invalid(f"{name}: {error.strerror}") from None


def _fields(entry: Any) -> dict[str, Any]:
    if not isinstance(entry, (tuple, list)) or len(entry) < 2:
        raise invalid(f"{entry!r} is not a tuple as list_entries() has them")
    proto = _protocol(entry[1])
    if proto in PROTOS_ICMP:
        names = ["icmp_type", "icmp_code", "orig_src", "orig_dst", "icmp_id", "zone"]
    elif proto in PROTOS_WITH_PORTS:
        names = ["orig_sport", "orig_dport", "orig_src", "orig_dst", "zone"]
    else:
        names = ["orig_src", "orig_dst", "zone"]
    if len(entry) != 2 + len(names):
        raise invalid(f"{entry!r} has {len(entry)} members; {entry[1]} has {2 + len(names)}: version, protocol, {names}")
    fields = dict(zip(names, entry[2:]))
    if entry[0] not in (4, 6) or isinstance(entry[0], bool):
        raise invalid(f"version {entry[0]!r} is neither 4 nor 6")
    fields["zone"] = _zone("zone", fields["zone"])
    for field in ("orig_src", "orig_dst"):
        fields[field] = _values.address(field, fields[field])
        if fields[field].version != entry[0]:
            raise invalid(f"{field}: {fields[field]} is no address of version {entry[0]}")
    fields["proto"] = proto
    # Said, so that an IPv4-mapped address is one of IPv6, as it is listed.
    fields["family"] = _BY_VERSION[entry[0]]
    return fields


def _protocol(given: Any) -> int:
    """A protocol by name or number, the number perhaps as text."""
    if isinstance(given, str):
        named = _NUMBERS.get(given.lower(), _ALIASES.get(given.lower()))
        if named is not None:
            return named
        if not (given.isascii() and given.isdigit() and len(given) <= 3):
            raise invalid(f"protocol {given!r} is none of {', '.join(_NUMBERS)} and no number")
        given = int(given)
    return _values.number("protocol", given, 255)


def _filters(name: str, rule: Any) -> list[Filter]:
    if not isinstance(rule, Rule):
        raise invalid(f"{name}: {rule!r} is not a Rule")
    try:
        zone = _zone("zone", rule.zone)
        family = _ETHERTYPES.get(rule.ethertype.lower()) if isinstance(rule.ethertype, str) else None
        if family is None:
            raise invalid(f'ethertype: {rule.ethertype!r} is neither "IPv4" nor "IPv6"')
        proto = None if rule.protocol is None else _protocol(rule.protocol)
        if proto == Proto.ICMP and family == Family.IPV6:
            proto = Proto.ICMPV6
        return security_rule(
            rule.direction,
            rule.addresses,
            rule.remotes,
            zone=zone,
            family=family,
            proto=proto,
            mark=rule.mark,
        )
    except InvalidArgument as error:
        raise invalid(f"{name}: {error.strerror}") from None
