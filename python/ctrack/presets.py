# SPDX-License-Identifier: MIT OR Apache-2.0
"""Ready-made filters, by what happened. Nothing here ever makes a filter that matches everything, nor one that silently matches
nothing: 0.0.0.0 and :: do not mean "any address" in an entry (zero is a value, never a wildcard), so they are refused."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from . import _values
from ._values import AddressLike, FamilyLike, Network, NetworkLike, PortsLike, ProtoLike
from .constants import Family
from .errors import invalid
from .filter import Filter


def dead_endpoint(*addresses: AddressLike, zone: int | None = None) -> list[Filter]:
    """Every flow that one of the addresses began or answers: a pod, a container, a machine is gone.

    >>> dead_endpoint("10.0.0.7")
    [Filter(orig_src=IPv4Network('10.0.0.7/32')), Filter(reply_src=IPv4Network('10.0.0.7/32'))]
    """
    if not addresses:
        raise invalid("addresses: none given")
    filters = []
    for index, given in enumerate(addresses):
        address = _endpoint(f"addresses[{index}]", given)
        filters += [Filter(orig_src=address, zone=zone), Filter(reply_src=address, zone=zone)]
    return filters


def changed_service(
    proto: ProtoLike,
    address: AddressLike,
    port: int,
    live: Iterable[tuple[AddressLike, int]],
    *,
    zone: int | None = None,
) -> list[Filter]:
    """Every flow to a service that is not answered by one of its live endpoints.

    proto, address, port: the service as clients call it, before NAT
    live: address and port of every endpoint that it still has; with none of them all flows to the service are selected
    """
    of_service: dict[str, Any] = {
        "proto": proto,
        "zone": zone,
        "orig_dst": _specified(
            "address", _values.address("address", address), "for a port on any address: port_on_any_address()"
        ),
        "orig_dport": _values.number("port", port, 65535),
    }
    return [Filter(**of_service), *_answered_by(of_service, live)]


def port_on_any_address(
    proto: ProtoLike,
    port: int,
    live: Iterable[tuple[AddressLike, int]] = (),
    *,
    family: FamilyLike | None = None,
    zone: int | None = None,
) -> list[Filter]:
    """Every flow that was begun to this port, whatever the address, and is not answered by a live endpoint: a NodePort, a port
    of the host. That is also what is only forwarded to the same port of somebody else.

    >>> port_on_any_address("udp", 30053)
    [Filter(proto=<Proto.UDP: 17>, orig_dport=(30053, 30053))]

    live: address and port of every endpoint that it still has; with none of them all flows to the port are selected
    family: flows of this one only. It must be given if the live endpoints are of one family, since none of them answers a flow
            of the other one
    """
    of_port: dict[str, Any] = {
        "proto": proto,
        "family": family,
        "zone": zone,
        "orig_dport": _values.number("port", port, 65535),
    }
    spared = _answered_by(of_port, live)
    if family is None and len({filter.reply_src.version for filter in spared if filter.reply_src}) == 1:
        raise invalid("live: endpoints of one family only, so that all flows of the other one would be taken; give the family")
    return [Filter(**of_port), *spared]


def _answered_by(of_service: dict[str, Any], live: Iterable[tuple[AddressLike, int]]) -> list[Filter]:
    """The filters that leave out what live endpoints answer."""
    filters = []
    for index, endpoint in enumerate(live):
        name = f"live[{index}]"
        if not isinstance(endpoint, (tuple, list)) or len(endpoint) != 2:
            raise invalid(f"{name}: {endpoint!r} is not a pair (address, port)")
        source = _endpoint(name, endpoint[0])
        sport = _values.number(name, endpoint[1], 65535)
        filters.append(Filter(exclude=True, reply_src=source, reply_sport=sport, **of_service))
    return filters


def whole_table() -> list[Filter]:
    """Filters that together match every entry, for everything_but()."""
    return [Filter(family=family) for family in Family]


def everything_but(within: Filter | Iterable[Filter], spared: Filter | Iterable[Filter]) -> list[Filter]:
    """Everything within some filters but what others match: in zone 5 all but the flows to one peer; of the whole_table() all but
    a zone. Both must be given, and must be including filters that limit something.

    >>> everything_but(whole_table(), [Filter(zone=5)])[1:]
    [Filter(family=<Family.IPV6: 10>), Filter(exclude=True, zone=5)]

    A filter to spare that matched nothing would spare nothing, so an unspecified address is refused in all of them.
    """
    return [*_including("within", within), *(replace(filter, exclude=True) for filter in _including("spared", spared))]


def _including(name: str, given: Filter | Iterable[Filter]) -> list[Filter]:
    filters: list[Filter] = [given] if isinstance(given, Filter) else list(given)
    if not filters:
        raise invalid(f"{name}: none given")
    for index, filter in enumerate(filters):
        place = f"{name}[{index}]"
        if not isinstance(filter, Filter):
            raise TypeError(f"{place} is {type(filter).__name__}, not Filter")
        if filter.exclude:
            raise invalid(f"{place}: is an excluding filter; give what it matches")
        if filter == Filter():
            raise invalid(f"{place}: matches every entry")
        for role in ("orig_src", "orig_dst", "reply_src", "reply_dst"):
            if getattr(filter, role) is not None:
                _not_unspecified(f"{place}.{role}", getattr(filter, role))
    return filters


def _endpoint(name: str, given: Any) -> Any:
    return _specified(name, _values.address(name, given), "name the endpoint's own address")


def _specified(name: str, address: Any, instead: str) -> Any:
    if address.is_unspecified:
        raise invalid(f"{name}: {address} does not mean any address; {instead}")
    return address


def _not_unspecified(name: str, net: Network) -> Network:
    """The same for networks; 0.0.0.0/0 and ::/0 are all right."""
    if net.prefixlen == net.max_prefixlen:
        _specified(name, net.network_address, "leave it out, or give a network such as 0.0.0.0/0")
    return net


def security_rule(
    direction: str,
    addresses: NetworkLike | Iterable[NetworkLike],
    remotes: NetworkLike | Iterable[NetworkLike] | None,
    *,
    zone: int | None = None,
    family: FamilyLike | None = None,
    proto: ProtoLike | None = None,
    ports: PortsLike | None = None,
    mark: int | None = None,
    mark_mask: int | None = None,
) -> list[Filter]:
    """Every flow that a security rule had let through. One filter for each pair of address and remote of the same family.

    direction: "ingress": flows that remotes began with addresses; "egress": flows that addresses began with remotes
    addresses: what the rule protects, addresses or networks; at least one
    remotes: with whom, addresses or networks; None: with anyone. An empty list is an error: it never means anyone
    ports: the destination ports that the rule is about
    """
    if direction not in ("ingress", "egress"):
        raise invalid(f'direction: {direction!r} is neither "ingress" nor "egress"')
    own_role, other_role = ("orig_dst", "orig_src") if direction == "ingress" else ("orig_src", "orig_dst")
    shared: dict[str, Any] = {
        "zone": zone,
        "family": family,
        "proto": proto,
        "orig_dport": ports,
        "mark": mark,
        "mark_mask": mark_mask,
    }
    own = _networks("addresses", addresses)
    if remotes is None:
        return [Filter(**{**shared, own_role: net}) for net in own]
    filters = []
    for index, remote in enumerate(_networks("remotes", remotes)):
        pairs = [net for net in own if net.version == remote.version]
        if not pairs:
            raise invalid(f"remotes[{index}]: {remote} is of another family than addresses")
        filters += [Filter(**{**shared, own_role: net, other_role: remote}) for net in pairs]
    return filters


def _networks(name: str, given: Any) -> list[Network]:
    if isinstance(given, str) or not isinstance(given, Iterable) or hasattr(given, "network_address"):
        return [_not_unspecified(name, _values.network(name, given))]
    nets = [_not_unspecified(f"{name}[{index}]", _values.network(f"{name}[{index}]", each)) for index, each in enumerate(given)]
    if not nets:
        raise invalid(f"{name}: none given")
    return nets
