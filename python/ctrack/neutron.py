# SPDX-License-Identifier: MIT OR Apache-2.0
"""Drop-in for OpenStack Neutron's conntrack module; unlike there, no missing value ever means everything.

flush_entries() and flush_entries(None) refuse; flush_entries(everything=True) deletes all entries of the network namespace.

The module has what neutron.privileged.agent.linux.netlink_lib offers: entries as tuples, by zone. For the module of neutron-fwaas see `ctrack.fwaas`. docs/neutron.md has all differences from both.

    (4, 'tcp', sport, dport, src, dst, zone)     (6, 'udp', ...)    also 'sctp', 'dccp', 'udplite', and 'gre' with its keys
    (4, 'icmp', type, code, src, dst, id, zone)  (6, 'icmpv6', ...)
    (4, '89', src, dst, zone)                    any other protocol, by its number

Addresses are text, the same with every version of Python; everything else but the protocol is a number. The tuple is that of
the original direction. The zone is that of the entry, be it of both directions or of one of them only.

    >>> from ctrack import neutron
    >>> neutron.list_entries(7)
    []
    >>> neutron.delete_entries([(4, "tcp", 40000, 80, "10.0.0.1", "10.0.0.2", 7)]).gone
    1
    >>> neutron.delete_rules([neutron.Rule(7, "IPv4", "ingress", "10.0.0.2", "tcp", remotes=["10.0.0.1", "10.0.0.3"])]).done
    0

Tuples that you hand in may have addresses of the packages ipaddress and netaddr, decimal text for ports and for the
numbers of ICMP, and the protocol in any form that a Rule takes. A zone is always a number.

Each function works in the network namespace of the calling thread, unless it is given a `ctrack.Conntrack`. Wrong input is an
InvalidArgumentError (a ValueError) that names what is wrong; the whole input is checked before anything is sent. Everything else
that fails is a `ctrack.Error` with an errno. An entry that is gone already is no error.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from errno import EAFNOSUPPORT
from typing import Any, Union

from . import _neutron_values as values
from . import _tuples, _values
from ._native import lib
from ._neutron_protocols import protocol_or_any
from ._tuples import EntryTuple
from ._tuples_table import delete_tuples, flush, list_tuples, opened
from ._values import Network
from .conntrack import Conntrack
from .constants import Family, Proto
from .errors import Error, InvalidArgumentError, Result, error, invalid
from .filter import Filter
from .presets import security_rule

__all__ = ["EntryTuple", "Rule", "delete_entries", "delete_rules", "flush_entries", "list_entries"]

#: An address, a network, or several of them. Also those of netaddr, whose types nothing here can name without that package.
Networks = Any

#: A zone, several zones, or "all".
Zones = Union[int, str, Iterable[int]]

_ETHERTYPES = {"ipv4": Family.IPV4, "ipv6": Family.IPV6}


@dataclass(frozen=True)
class Rule:
    """A rule of a security group, as one port has it: which flows it had let through.

    Addresses are text, or objects of the packages ipaddress or netaddr.

    zone: the zone of the port, 0 to 65535 (0: no zone), a list of zones, or "all"
    ethertype: "IPv4" or "IPv6"
    direction: "ingress": flows that remotes began with the port; "egress": flows that the port began with remotes
    addresses: the port's own addresses or networks; at least one. Those of the other family are left out, so a port may give
        all that it has. One with host bits ("10.0.0.5/24", as in allowed address pairs) is that address alone
    protocol: a name of Neutron's API, or a number, perhaps as text; None or "any": any. "icmp" with IPv6 means ICMPv6, as it
        does in the API. "ip" and "hopopt" are protocol 0, never any
    mark: the mark that the flows must have: a number, or text as "0x1" or "0x1/0xff" (with a mask); None: any
    remotes: remote addresses or networks; those of the other family are left out. None: any. An empty list is an error: see
        delete_rules()
    """

    zone: Zones
    ethertype: str
    direction: str
    addresses: Networks
    protocol: str | int | None = None
    mark: int | str | None = None
    remotes: Networks | None = None


def list_entries(zone: Zones, *, conntrack: Conntrack | None = None) -> list[EntryTuple]:
    """The entries of a zone, of several zones or of "all" of them, sorted. Zone 0: those without any zone."""
    zones = values.zones("zone", zone)
    with opened(conntrack) as handle:
        # An entry in the zone in both directions and one in one direction only can have the same tuple: named once.
        return list_tuples(handle, zones, True)


def delete_entries(entries: Iterable[Sequence[Any]], *, conntrack: Conntrack | None = None) -> Result:
    """Deletes the entries that the tuples name, in their zones only. The result has a status for each tuple.

    A zone other than 0 means every entry that list_entries(zone) shows as this tuple: one whose both directions are in
    the zone, or only one of them.

    Few tuples are looked up one by one. Many of them, as against the number of entries in the table, are deleted out of a list
    of their zones.
    """
    wanted = _tuples.all_wanted(entries, True)
    with opened(conntrack) as handle:
        return delete_tuples(handle, wanted)


def flush_entries(zone: Zones | None = None, *, everything: bool = False, conntrack: Conntrack | None = None) -> None:
    """Deletes all entries of a zone or of several zones.

    everything: instead of a zone: deletes all entries of the network namespace, of all zones and families. "all" as the zone
        does the same. No zone without this is an InvalidArgumentError
    """
    if everything is not False and everything is not True:
        raise invalid(f"everything: {everything!r} is neither True nor False")
    if zone is None and not everything:
        raise invalid("zone: None names no zone; to delete the entries of all zones and families give everything=True")
    if zone is not None and everything:
        raise invalid(f"everything: given together with zone {zone!r}; give one of them")
    zones = None if everything else values.zones("zone", zone)
    with opened(conntrack) as handle:
        flush(handle, zones)


def delete_rules(rules: Iterable[Rule], *, empty_remotes: str | None = None, conntrack: Conntrack | None = None) -> Result:
    """Deletes the flows of all rules in one pass over the table, however many rules and remotes there are.

    empty_remotes: "any": an empty list of remotes means any remote in all of these rules, as Neutron's callers mean it.
        Without that it is an InvalidArgumentError

    The result has a status for each rule: 0, or EAFNOSUPPORT for one that is impossible, since all of its addresses or remotes
    are of another family than its ethertype. All possible rules are carried out; then an impossible one raises an Error that
    has the result. If deleting failed, all possible rules have the errno of that: flows of each may be left. The counts
    are of entries.

    A malformed rule is an InvalidArgumentError that names it, and nothing is sent. No rules: nothing is deleted.
    """
    if empty_remotes not in (None, "any"):
        raise invalid(f'empty_remotes: {empty_remotes!r} is neither None nor "any"')
    if isinstance(rules, Rule):
        rules = [rules]
    filters: list[Filter] = []
    statuses: list[int] = []
    impossible: list[str] = []
    for index, rule in enumerate(rules):
        try:
            own = _filters(rule, empty_remotes == "any")
        except InvalidArgumentError as wrong:
            raise invalid(f"rules[{index}]: {wrong.strerror}") from None
        if isinstance(own, str):
            impossible.append(f"rules[{index}]: {own}")
        else:
            filters += own
        statuses.append(EAFNOSUPPORT if isinstance(own, str) else 0)
    result = Result(0, 0, 0, 0, 0, False, ())
    if filters:
        # Rules of one port often share flows: a filter that comes twice is asked for once.
        distinct = [*dict.fromkeys(filters)]
        try:
            with Conntrack() if conntrack is None else nullcontext(conntrack) as ct:
                result = ct.delete(*distinct)
        except Error as failed:
            failed.result = (failed.result or result)._replace(
                statuses=tuple(status or failed.errno or 0 for status in statuses)
            )
            raise
    result = result._replace(statuses=tuple(statuses))
    if impossible:
        more = f"; and {len(impossible) - 1} more" if len(impossible) > 1 else ""
        raise error(EAFNOSUPPORT, impossible[0] + more, result._replace(first_error=EAFNOSUPPORT))
    return result


def _filters(rule: Any, empty_is_any: bool) -> list[Filter] | str:
    """The filters of a rule, or why there can be no such flow."""
    if not isinstance(rule, Rule):
        raise invalid(f"{rule!r} is not a Rule")
    zones = values.zones("zone", rule.zone)
    family = _ETHERTYPES.get(rule.ethertype.lower()) if isinstance(rule.ethertype, str) else None
    if family is None:
        raise invalid(f'ethertype: {rule.ethertype!r} is neither "IPv4" nor "IPv6"')
    proto = protocol_or_any(rule.protocol)
    if proto == Proto.ICMP and family == Family.IPV6:
        proto = Proto.ICMPV6
    mark, mask = values.mark(rule.mark)
    addresses = values.networks("addresses", rule.addresses)
    if not addresses:
        raise invalid("addresses: none given")
    remotes = None if rule.remotes is None else values.networks("remotes", rule.remotes)
    if remotes is not None and not remotes:
        if not empty_is_any:
            raise invalid(
                'remotes: an empty list; give None for any remote, or once empty_remotes="any" for all rules of the call'
            )
        remotes = None
    # What is malformed shows, whether there can be such a flow or not.
    limits: dict[str, Any] = {"proto": proto, "mark": mark, "mark_mask": mask}
    security_rule(rule.direction, addresses[0], None, family=_values.family_of(addresses[0]), **limits)
    own = [net for net in addresses if _values.family_of(net) == family]
    if not own:
        return _impossible("addresses", rule.ethertype, addresses)
    others = remotes and [net for net in remotes if _values.family_of(net) == family]
    if remotes and not others:
        return _impossible("remotes", rule.ethertype, remotes)
    return [
        each
        for zone in ((None,) if zones is None else zones)
        for each in security_rule(rule.direction, own, others, zone=zone, family=family, proto=proto, mark=mark, mark_mask=mask)
    ]


def _impossible(name: str, ethertype: str, networks: list[Network]) -> str:
    reason: bytes = lib.ct_strerror(EAFNOSUPPORT)
    return f"{name}: none of them is of ethertype {ethertype} (got {networks[0]}): {reason.decode()}"
