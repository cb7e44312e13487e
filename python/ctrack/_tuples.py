# SPDX-License-Identifier: MIT OR Apache-2.0
"""Entries as the tuples of OpenStack's modules, straight from and to the bytes of struct ct_entry.

No object is made for an entry on the way: these modules are asked for every flow of a host at once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from struct import Struct
from typing import Any, Union

from . import _neutron_values as values
from . import _values
from ._native import ENTRY_SIZE, CEntry, CTuple
from ._neutron_protocols import NAMES, protocol
from .constants import PROTOS_ICMP, PROTOS_WITH_PORTS, Family, Has
from .errors import InvalidArgumentError, invalid

#: One entry, as list_entries() has it.
EntryTuple = tuple[Union[int, str], ...]

#: A tuple: both addresses, both ports, ICMP identifier, type and code.
_TUPLE = Struct("=16s16sHHHBB")
_pack = _TUPLE.pack
_ORIG, _REPLY = CEntry.orig.offset, CEntry.reply.offset
_ZONE = CTuple.zone.offset
#: An entry: what counts, zone, family and protocol, original tuple, and the zones of the two directions.
_FIELDS = (
    f"Q{CEntry.zone.offset - 8}xI2s{_ORIG - CEntry.family.offset - 2}x{_TUPLE.size}sI"
    f"{_REPLY + _ZONE - _ORIG - _ZONE - 4}xI{ENTRY_SIZE - _REPLY - _ZONE - 4}x"
)
_ENTRY, _TWO_ENTRIES = Struct("=" + _FIELDS), Struct("=" + _FIELDS * 2)
#: The same for reading, with the tuple in its parts.
_LISTED = Struct(f"={CEntry.zone.offset}xIBB{_ORIG - CEntry.family.offset - 2}x16s16sHHHBB{ENTRY_SIZE - _ORIG - _TUPLE.size}x")
if {_ENTRY.size, _LISTED.size} != {ENTRY_SIZE} or _TUPLE.size != _ZONE or CEntry.proto.offset != CEntry.family.offset + 1:
    raise ImportError("ctrack: struct ct_entry is laid out in another way here")

_HAS_ORIG, _HAS_PORTS, _HAS_ICMP = int(Has.ORIG), int(Has.ORIG | Has.PORTS), int(Has.ORIG | Has.ICMP)
_HAS_ZONE, _HAS_ORIG_ZONE, _HAS_REPLY_ZONE = int(Has.ZONE), int(Has.ORIG_ZONE), int(Has.REPLY_ZONE)
_VERSIONS = {int(Family.IPV4): 4, int(Family.IPV6): 6}
_FAMILIES = {4: int(Family.IPV4), 6: int(Family.IPV6)}
_IPV4, _IPV6 = int(AF_INET), int(AF_INET6)
_LENGTHS = {4: 4, 6: 16}
# What the tuples of a protocol have besides addresses.
_PLAIN, _PORTS, _ICMP = range(3)


def _kind(number: int) -> int:
    return _PORTS if number in PROTOS_WITH_PORTS else _ICMP if number in PROTOS_ICMP else _PLAIN


_KINDS = [_kind(number) for number in range(256)]
_HAS = {_PLAIN: _HAS_ORIG, _PORTS: _HAS_PORTS, _ICMP: _HAS_ICMP}
_MEMBERS = {
    _PLAIN: ("orig_src", "orig_dst"),
    _PORTS: ("orig_sport", "orig_dport", "orig_src", "orig_dst"),
    _ICMP: ("icmp_type", "icmp_code", "orig_src", "orig_dst", "icmp_id"),
}
_LARGEST = {"orig_sport": 65535, "orig_dport": 65535, "icmp_id": 65535, "icmp_type": 255, "icmp_code": 255}
#: How listed tuples call each protocol.
_CALLED = [NAMES.get(number, str(number)) for number in range(256)]
#: By what listed tuples begin with: the family and the protocol in bytes, what follows, and the family for the C library.
_BEGINNINGS = {
    (version, _CALLED[number]): (bytes((family, number)), _KINDS[number], family)
    for version, family in _FAMILIES.items()
    for number in range(256)
}


#: What a tuple names, namely every entry that list_entries() shows as it: the original tuple in bytes, family and protocol in
#: bytes, and the zone. A plain tuple, which is made and compared fastest.
Wanted = tuple[bytes, bytes, int]


_HAS_OF = {bytes((family, number)): _HAS[_KINDS[number]] for family in _FAMILIES.values() for number in range(256)}


def address_text(raw: bytes) -> str:
    """The text of an address of 4 or 16 bytes, the same with every Python and C library.

    That of RFC 5952. An IPv4 address in the last four bytes is written as such behind ::ffff:, and behind :: if it is above
    255.255: as the `conntrack` program writes it, and Python since 3.13 in the first case.
    """
    if len(raw) == 4:
        return inet_ntop(_IPV4, raw)
    if raw.startswith(_ZEROS):
        if raw.startswith(_MAPPED):
            return "::ffff:" + inet_ntop(_IPV4, raw[12:])
        if raw.startswith(_COMPATIBLE) and raw[12:14] != b"\0\0":
            return "::" + inet_ntop(_IPV4, raw[12:])
    return inet_ntop(_IPV6, raw)


_ZEROS = bytes(10)
_MAPPED = bytes(10) + b"\xff\xff"
_COMPATIBLE = bytes(12)


class _Texts(dict[bytes, str]):
    """The texts of the addresses of a list, each made once."""

    def __init__(self, length: int) -> None:
        super().__init__()
        self._length = length

    def __missing__(self, raw: bytes) -> str:
        text = self[raw] = address_text(raw[: self._length])
        return text


def listed(buffer: Any, zoned: bool) -> list[EntryTuple]:
    """The tuples of the entries in a buffer, sorted, each once; zoned: with their zone at the end."""
    texts = {family: _Texts(_LENGTHS[version]) for family, version in _VERSIONS.items()}
    found: set[EntryTuple] = set()
    add, kinds, called, versions = found.add, _KINDS, _CALLED, _VERSIONS
    for zone, family, proto, src, dst, sport, dport, icmp_id, icmp_type, icmp_code in _LISTED.iter_unpack(buffer):
        text = texts[family]
        kind = kinds[proto]
        own = (zone,) if zoned else ()
        if kind == _PORTS:
            add((versions[family], called[proto], sport, dport, text[src], text[dst], *own))
        elif kind == _ICMP:
            add((versions[family], called[proto], icmp_type, icmp_code, text[src], text[dst], icmp_id, *own))
        else:
            add((versions[family], called[proto], text[src], text[dst], *own))
    return sorted(found)


def _as_listed(entry: Any, zoned: bool) -> Wanted | None:
    """What a tuple names that is written as list_entries() has it, which nearly all are; None for any other."""
    try:
        start, kind, af = _BEGINNINGS[entry[0], entry[1]]
        if not zoned:
            entry = (*entry, 0)
        if kind == _PORTS:
            _, _, sport, dport, src, dst, zone = entry
            if type(sport) is type(dport) is type(zone) is int and 0 <= zone <= 65535:
                return _pack(inet_pton(af, src), inet_pton(af, dst), sport, dport, 0, 0, 0), start, zone
        elif kind == _ICMP:
            _, _, icmp_type, code, src, dst, icmp_id, zone = entry
            if type(icmp_type) is type(code) is type(icmp_id) is type(zone) is int and 0 <= zone <= 65535:
                return _pack(inet_pton(af, src), inet_pton(af, dst), 0, 0, icmp_id, icmp_type, code), start, zone
        else:
            _, _, src, dst, zone = entry
            if type(zone) is int and 0 <= zone <= 65535:
                return _pack(inet_pton(af, src), inet_pton(af, dst), 0, 0, 0, 0, 0), start, zone
    except (LookupError, OSError, TypeError, ValueError, struct.error):
        pass
    return None


def _as_written(index: int, entry: Any, zoned: bool) -> Wanted:
    """The same for a tuple that is written in another way, or wrong."""
    try:
        return _parsed(entry, zoned)
    except InvalidArgumentError as error:
        raise invalid(f"entries[{index}]: {error.strerror}") from None


def _parsed(entry: Any, zoned: bool) -> Wanted:
    if not isinstance(entry, (tuple, list)) or len(entry) < 2:
        raise invalid(f"{entry!r} is not a tuple as list_entries() has them")
    version, proto = entry[0], protocol(entry[1])
    names = [*_MEMBERS[_KINDS[proto]], *(["zone"] if zoned else [])]
    if len(entry) != 2 + len(names):
        raise invalid(
            f"{entry!r} has {len(entry)} members; {entry[1]} has {2 + len(names)}: version, protocol, {', '.join(names)}"
        )
    fields = dict(zip(names, entry[2:]))
    if version not in (4, 6) or isinstance(version, bool):
        raise invalid(f"version {version!r} is neither 4 nor 6")
    zone = _values.number("zone", fields.pop("zone", 0), 65535)
    raw = {}
    for field in ("orig_src", "orig_dst"):
        address = values.address(field, fields.pop(field))
        if address.version != version:
            raise invalid(f"{field}: {address} is no address of version {version}")
        raw[field] = _values.packed(address)
    numbers = {field: values.number(field, value, _LARGEST[field]) for field, value in fields.items()}
    body = _pack(
        raw["orig_src"],
        raw["orig_dst"],
        *(numbers.get(field, 0) for field in ("orig_sport", "orig_dport", "icmp_id", "icmp_type", "icmp_code")),
    )
    return body, bytes((_FAMILIES[version], proto)), zone


def keys_outside_zones(named: Iterable[Wanted]) -> bytes:
    """The key of each entry that is in no zone."""
    pack, has = _ENTRY.pack, _HAS_OF
    return b"".join([pack(has[start], 0, start, body, 0, 0) for body, start, _ in named])


def keys_of_original_zone(named: Iterable[Wanted]) -> bytes:
    """The key of each entry whose zone holds for its original direction only."""
    pack, has = _ENTRY.pack, _HAS_OF
    return b"".join([pack(has[start] | _HAS_ORIG_ZONE, zone, start, body, zone, 0) for body, start, zone in named])


def keys_in_zones(named: Iterable[Wanted]) -> bytes:
    """Two keys for each: that of the entry whose zone holds for both directions, and for its reply direction only."""
    pack, has = _TWO_ENTRIES.pack, _HAS_OF
    return b"".join(
        [
            pack(
                has[start] | _HAS_ZONE, zone, start, body, zone, zone, has[start] | _HAS_REPLY_ZONE, zone, start, body, 0, zone
            )
            for body, start, zone in named
        ]
    )


def names_of(buffer: Any) -> Iterator[Wanted]:
    """For each entry in a buffer what names it."""
    return ((body, start, zone) for _, zone, start, body, _, _ in _ENTRY.iter_unpack(buffer))


def all_wanted(entries: Iterable[Any], zoned: bool) -> list[Wanted]:
    """What several tuples name, with a zone as their last member or without. All are looked at before anything is done."""
    return [_as_listed(entry, zoned) or _as_written(index, entry, zoned) for index, entry in enumerate(entries)]
