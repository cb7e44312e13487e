# SPDX-License-Identifier: MIT OR Apache-2.0
"""Ready-made filters, by what happened. Nothing here ever makes a filter that matches everything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from . import _values
from ._values import AddressLike, FamilyLike, Network, NetworkLike, PortsLike, ProtoLike
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
        address = _values.address(f"addresses[{index}]", given)
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
        "orig_dst": _values.address("address", address),
        "orig_dport": _values.number("port", port, 65535),
    }
    filters = [Filter(**of_service)]
    for index, endpoint in enumerate(live):
        name = f"live[{index}]"
        if not isinstance(endpoint, (tuple, list)) or len(endpoint) != 2:
            raise invalid(f"{name}: {endpoint!r} is not a pair (address, port)")
        source = _values.address(name, endpoint[0])
        sport = _values.number(name, endpoint[1], 65535)
        filters.append(Filter(exclude=True, reply_src=source, reply_sport=sport, **of_service))
    return filters


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
        return [_values.network(name, given)]
    nets = [_values.network(f"{name}[{index}]", each) for index, each in enumerate(given)]
    if not nets:
        raise invalid(f"{name}: none given")
    return nets
