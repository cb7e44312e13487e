# SPDX-License-Identifier: MIT OR Apache-2.0
"""The names that the Networking API of OpenStack has for protocols."""

from __future__ import annotations

from typing import Any

from . import _values
from .constants import Proto
from .errors import invalid

#: What listed tuples call the protocols that have a name there. All others are called by their number.
NAMES: dict[int, str] = {int(proto): proto.name.lower() for proto in Proto}

#: Every name that is taken. "ip" and "hopopt" are protocol 0, as in the API and in the `conntrack` program; they never mean any.
NUMBERS: dict[str, int] = {
    **{name: number for number, name in NAMES.items()},
    "ah": 51,
    "egp": 8,
    "esp": 50,
    "hopopt": 0,
    "icmp6": 58,
    "igmp": 2,
    "ip": 0,
    "ipencap": 4,
    "ipip": 4,
    "ipv6-encap": 41,
    "ipv6-frag": 44,
    "ipv6-icmp": 58,
    "ipv6-nonxt": 59,
    "ipv6-opts": 60,
    "ipv6-route": 43,
    "ospf": 89,
    "pgm": 113,
    "rsvp": 46,
    "vrrp": 112,
}


def protocol(given: Any) -> int:
    """A protocol by name or number, the number perhaps as text."""
    if isinstance(given, str):
        named = NUMBERS.get(given.lower())
        if named is not None:
            return named
        if not (given.isascii() and given.isdigit() and len(given) <= 3):
            raise invalid(f"protocol {given!r} is none of {', '.join(sorted(NUMBERS))} and no number")
        given = int(given)
    return _values.number("protocol", given, 255)


def protocol_or_any(given: Any) -> int | None:
    """The same; None and "any" are any protocol."""
    if given is None or (isinstance(given, str) and given.lower() == "any"):
        return None
    return protocol(given)
