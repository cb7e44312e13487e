# SPDX-License-Identifier: MIT OR Apache-2.0
"""The values that OpenStack's agents pass around, made into what this package takes. What is malformed is refused."""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Interface, IPv6Interface
from typing import Any

from . import _values
from ._values import Address, Network
from .errors import invalid

_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,8}|0|[1-9][0-9]{0,9}")


def _of_netaddr(value: Any) -> bool:
    """Whether something is an object of the package netaddr, or of a class made from one; it need not be installed."""
    return any(kind.__module__.partition(".")[0] == "netaddr" for kind in type(value).__mro__)


def plain(value: Any) -> Any:
    """An address or a network as text, if it is a netaddr object or an interface; anything else as it is."""
    if isinstance(value, (IPv4Interface, IPv6Interface)) or _of_netaddr(value):
        return str(value)
    return value


def address(name: str, value: Any) -> Address:
    """One address."""
    return _values.address(name, plain(value))


def network(name: str, value: Any) -> Network:
    """An address or a network. With host bits, as ports have in allowed address pairs (10.0.0.5/24), it is that one address."""
    value = plain(value)
    if isinstance(value, str):
        text, slash, length = value.partition("/")
        host = _values.address(name, text)
        if not slash:
            return _specified(name, _values.network(name, host))
        if not (length.isascii() and length.isdigit() and int(length) <= host.max_prefixlen):
            raise invalid(f"{name}: {length!r} in {value!r} is not a prefix length of 0 to {host.max_prefixlen}")
        if int(host) & ((1 << (host.max_prefixlen - int(length))) - 1):
            return _specified(name, _values.network(name, host))
    return _specified(name, _values.network(name, value))


def _specified(name: str, net: Network) -> Network:
    """Refuses 0.0.0.0 and ::, which no entry has and which do not mean any address; 0.0.0.0/0 and ::/0 do."""
    if net.prefixlen == net.max_prefixlen and net.network_address.is_unspecified:
        raise invalid(f"{name}: {net} does not mean any address; leave it out, or give a network such as 0.0.0.0/0")
    return net


def networks(name: str, given: Any) -> list[Network]:
    """One or several of them; perhaps none."""
    if hasattr(given, "iter_cidrs"):
        # A set of netaddr, which else would hand out each single address.
        given = given.iter_cidrs()
    single = isinstance(given, str) or hasattr(given, "network_address") or isinstance(plain(given), str)
    if single or not isinstance(given, Iterable):
        return [network(name, given)]
    return [network(f"{name}[{index}]", each) for index, each in enumerate(given)]


def mark(given: Any) -> tuple[int | None, int | None]:
    """A mark and its mask: numbers or text as the `conntrack` program takes it: "1", "0x1", "0x1/0xff"."""
    if not isinstance(given, str):
        return _values.optional_number("mark", given, 0xFFFFFFFF), None
    value, slash, mask = given.partition("/")
    numbers = [value, mask] if slash else [value]
    if not all(_NUMBER.fullmatch(number) for number in numbers):
        raise invalid(f'mark: {given!r} is neither a number such as "1" or "0x1" nor such a number with a mask, "0x1/0xff"')
    first, *rest = (_values.number("mark", int(number, 0), 0xFFFFFFFF) for number in numbers)
    return first, rest[0] if rest else None


def number(name: str, value: Any, largest: int) -> int:
    """A number, perhaps as decimal text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10:
        value = int(value)
    return _values.number(name, value, largest)


def zones(name: str, given: Any) -> list[int] | None:
    """A zone or several of them, each once, in order; None for "all"."""
    if isinstance(given, str) and given.lower() == "all":
        return None
    if isinstance(given, (str, int)) or not isinstance(given, Iterable):
        return [_values.number(name, given, 65535)]
    found = sorted({_values.number(f"{name}[{index}]", each, 65535) for index, each in enumerate(given)})
    if not found:
        raise invalid(f'{name}: an empty list names no zone; for all of them give "all"')
    return found
