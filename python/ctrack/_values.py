# SPDX-License-Identifier: MIT OR Apache-2.0
"""What people write, made into what the library takes. Whatever is doubtful is an error here, before anything is sent."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum, IntFlag
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_address,
    ip_network,
)
from os import PathLike
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, TypeVar, Union

from .constants import EventKind, Family, Proto, Status, TcpState
from .errors import InvalidArgumentError, invalid

# The types that people who wrap the package need: what properties give, and what arguments take.
Address = Union[IPv4Address, IPv6Address]
Network = Union[IPv4Network, IPv6Network]
AddressLike = Union[str, IPv4Address, IPv6Address]
NetworkLike = Union[str, IPv4Address, IPv6Address, IPv4Network, IPv6Network]
FamilyLike = Union[Family, int, str]
ProtoLike = Union[Proto, int, str]
StatusLike = Union[Status, int, str, Iterable[Union[Status, int, str]]]
TcpStateLike = Union[TcpState, int, str]
TcpStatesLike = Union[TcpState, int, str, Iterable[Union[TcpState, int, str]]]
PortsLike = Union[int, "tuple[int, int]", range]
NetnsLike = Union[None, int, str, "PathLike[str]"]
EventKindsLike = Union[EventKind, int, str, Iterable[Union[EventKind, int, str]]]

_E = TypeVar("_E", bound=IntEnum)
_MAPPED = IPv6Network("::ffff:0:0/96")
_MAPPED_BEGINS = bytes(10) + b"\xff\xff"
_FAMILIES = {"ipv4": Family.IPV4, "ipv6": Family.IPV6}
_PROTOS = {proto.name.lower(): proto for proto in Proto}
_LAST_TCP_STATE = int(max(TcpState))


def number(name: str, value: Any, largest: int, smallest: int = 0) -> int:
    """An integer in a range. True and False are no numbers here."""
    if value is None:
        raise invalid(f"{name}: is missing: None is no number")
    if isinstance(value, bool) or not isinstance(value, int):
        kind = type(value).__name__
        article = "an" if kind[0] in "aeiouAEIOU" else "a"
        raise invalid(f"{name}: {value!r} is {article} {kind}, not an int")
    if not smallest <= value <= largest:
        raise invalid(f"{name}: {value} is not from {smallest} to {largest}")
    return int(value)


def optional_number(name: str, value: Any, largest: int) -> int | None:
    """The same, or None."""
    return None if value is None else number(name, value, largest)


def address(name: str, value: Any) -> Address:
    """One address. A scope ("%eth0") is refused: the table knows none, and without it the address would match more."""
    if isinstance(value, (IPv4Interface, IPv6Interface)):
        raise invalid(f"{name}: {value!r} is an interface; give its .ip or its .network")
    if isinstance(value, str):
        try:
            value = ip_address(value)
        except ValueError as error:
            raise invalid(f"{name}: {error}") from None
    if not isinstance(value, (IPv4Address, IPv6Address)):
        raise invalid(f"{name}: {value!r} is not an address")
    if isinstance(value, IPv6Address) and value.scope_id is not None:
        raise invalid(f"{name}: {value} has a scope, and the connection-tracking table knows none")
    return value


def packed_address(name: str, value: Any) -> bytes:
    """The 4 or 16 bytes of one address; what address() refuses is refused in its words."""
    if isinstance(value, str):
        # The common spellings, in a twentieth of the time. Nothing that it takes has a scope.
        try:
            return inet_pton(AF_INET6 if ":" in value else AF_INET, value)
        except (OSError, ValueError):
            pass
    return address(name, value).packed


def refuse_mapped_bytes(name: str, packed: bytes) -> None:
    """The same as refuse_mapped() for the bytes of one address."""
    if len(packed) == 16 and packed.startswith(_MAPPED_BEGINS):
        refuse_mapped(name, IPv6Address(packed))


def refuse_mapped(name: str, value: Address | Network) -> None:
    """Refuses IPv4-mapped IPv6 addresses: the table has such flows as IPv4, so that they would silently match nothing."""
    net = ip_network(value)
    if isinstance(net, IPv6Network) and net.subnet_of(_MAPPED):
        length = "" if net.prefixlen == 128 else f"/{net.prefixlen - 96}"
        plain = f"{net.network_address.ipv4_mapped}{length}"
        raise invalid(f'{name}: {value} is IPv4 in IPv6; the table has such flows as {plain}. Give that, or family="ipv6"')


def network(name: str, value: Any) -> Network:
    """An address or a network to compare with, as a network. Bits behind the prefix must be zero."""
    if isinstance(value, str) and "/" in value:
        text, _, length = value.partition("/")
        if not (length.isascii() and length.isdigit()):
            raise invalid(f"{name}: {length!r} in {value!r} is not a prefix length")
        try:
            net: Network = ip_network(f"{address(name, text)}/{int(length)}")
        except InvalidArgumentError:
            raise
        except ValueError as error:
            raise invalid(f"{name}: {error}") from None
    elif isinstance(value, (IPv4Network, IPv6Network)):
        net = value
    else:
        net = ip_network(address(name, value))
    if isinstance(net, IPv6Network) and net.network_address.scope_id is not None:
        raise invalid(f"{name}: {net} has a scope, and the connection-tracking table knows none")
    return net


def family_of(value: Address | Network) -> Family:
    """The family of an address or a network."""
    return Family.IPV4 if value.version == 4 else Family.IPV6


def packed(value: Address) -> bytes:
    """The 16 bytes of an address: an IPv4 one first, the others zero."""
    return value.packed.ljust(16, b"\0")


def family(value: Any) -> Family:
    """A family: Family, AF_INET or AF_INET6, "ipv4" or "ipv6"."""
    if isinstance(value, str):
        found = _FAMILIES.get(value.lower())
        if found is None:
            raise invalid(f'family: {value!r} is neither "ipv4" nor "ipv6"')
        return found
    try:
        return Family(number("family", value, 255))
    except ValueError:
        raise invalid(f"family: {value!r} is neither IPv4 (AF_INET) nor IPv6 (AF_INET6)") from None


def proto(value: Any) -> Proto | int:
    """A protocol number, perhaps given by name."""
    if isinstance(value, str):
        found = _PROTOS.get(value.lower())
        if found is None:
            raise invalid(f"proto: {value!r} is none of {', '.join(_PROTOS)}; others have a number")
        return found
    plain = number("proto", value, 255)
    return named(Proto, plain)


def proto_number(value: Any) -> int:
    """The same as a plain number."""
    if isinstance(value, Proto):
        return value.value
    return int(proto(value))


def named(kind: type[_E], value: int) -> _E | int:
    """The member of an IntEnum if there is one, else the plain number."""
    try:
        return kind(value)
    except ValueError:
        return value


def _number_or_name(kind: type[IntEnum | IntFlag], name: str, value: Any, largest: int) -> int:
    """A number in a range, or that of a member of an enum, perhaps given by name."""
    if not isinstance(value, str):
        return number(name, value, largest)
    member = kind.__members__.get(value.upper())
    if member is None:
        raise invalid(f"{name}: {value!r} is none of {', '.join(kind.__members__)}")
    return int(member)


def several(name: str, value: Any) -> tuple[Any, ...] | None:
    """The members of an iterable; None of what is a single value. Bytes would be the numbers of their letters: refused."""
    if isinstance(value, (int, str)) or not isinstance(value, Iterable):
        return None
    if isinstance(value, (bytes, bytearray, memoryview)):
        raise invalid(f"{name}: {value!r} is neither a number nor a name")
    return tuple(value)


def status(name: str, value: Any, largest: int) -> int:
    """Status bits: numbers first, then a name, then several of both."""
    members = several(name, value)
    if members is None:
        return _number_or_name(Status, name, value, largest)
    bits = 0
    for member in members:
        bits |= _number_or_name(Status, name, member, largest)
    return bits


def event_kinds(name: str, value: Any) -> set[int]:
    """Kinds of events, at least one: a number, a name, or several of both."""
    members = several(name, value)
    kinds = {_number_or_name(EventKind, name, member, max(EventKind)) for member in ((value,) if members is None else members)}
    if not kinds:
        raise invalid(f"{name}: none given; without this argument all are told")
    return kinds


def millis(name: str, value: Any) -> int:
    """Seconds above 0 as milliseconds: at least one."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= 4_000_000:
        raise invalid(f"{name}: {value!r} is no time above 0 and up to 4,000,000 seconds")
    return max(1, round(value * 1000))


def tcp_state(name: str, value: Any) -> int:
    """The number of a TCP state, perhaps given by name."""
    return _number_or_name(TcpState, name, value, _LAST_TCP_STATE)


def ports(name: str, value: Any) -> tuple[int, int]:
    """One port, the pair (first, last) with both included, or a range() without its end, as everywhere in Python."""
    if isinstance(value, range):
        if value.step != 1 or len(value) == 0:
            raise invalid(f"{name}: {value!r} is empty or has steps")
        value = (value.start, value.stop - 1)
    if not isinstance(value, tuple):
        value = (value, value)
    if len(value) != 2:
        raise invalid(f"{name}: {value!r} is not a pair (first, last)")
    first, last = (number(name, port, 65535) for port in value)
    if first > last:
        raise invalid(f"{name}: range {first}-{last} is upside down")
    return first, last


def helper(value: Any) -> str:
    """The name of a helper."""
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= 15 or "\0" in value:
        raise invalid(f"helper: {value!r} is not a name of 1 to 15 bytes")
    return value


def labels(name: str, value: Any) -> int:
    """128 labels as one number: bit n is label n."""
    return number(name, value, (1 << 128) - 1)
