# SPDX-License-Identifier: MIT OR Apache-2.0
"""Drop-in for neutron-fwaas' conntrack module; unlike there, no missing value ever means everything.

flush_entries(), flush_entries(None) and flush_entries("") refuse; flush_entries(everything=True) deletes all entries of the
network namespace of the calling thread.

The module has what neutron_fwaas.privileged.netlink_lib offers: entries as tuples without a zone, by network namespace. For Neutron's own module see `ctrack.neutron`. docs/neutron.md has all differences from both.

    (4, 'tcp', sport, dport, src, dst)     (6, 'udp', ...)    also 'sctp', 'dccp', 'udplite', and 'gre' with its keys
    (4, 'icmp', type, code, src, dst, id)  (6, 'icmpv6', ...)
    (4, '89', src, dst)                    any other protocol, by its number

A namespace is the name of one ("qrouter-..."), as `ip netns` has it, a path, or a descriptor (it stays yours). None is the
namespace of the calling thread, which is never moved. One that does not exist is the system's FileNotFoundError.

Tuples name entries in no zone: what these functions list is what they can delete. A flush deletes all zones.

    >>> from ctrack import fwaas
    >>> fwaas.list_entries()
    []
    >>> fwaas.delete_entries([(4, "tcp", 40000, 80, "10.0.0.1", "10.0.0.2")]).gone
    1

What tuples may have, and errors, are as in `ctrack.neutron`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from . import _tuples
from ._pool import Handle
from ._tuples import EntryTuple
from ._tuples_table import delete_tuples, flush, list_tuples, opened
from ._values import NetnsLike
from .conntrack import Conntrack
from .errors import InvalidArgumentError, Result, invalid

__all__ = ["EntryTuple", "delete_entries", "flush_entries", "list_entries"]


def list_entries(namespace: NetnsLike = None) -> list[EntryTuple]:
    """The entries that are in no zone, sorted."""
    with _handle(namespace) as handle:
        return list_tuples(handle, [0], False)


def delete_entries(entries: Iterable[Sequence[Any]], namespace: NetnsLike = None) -> Result:
    """Deletes the entries that the tuples name, in no zone only. The result has a status for each tuple."""
    wanted = _tuples.all_wanted(entries, False)
    with _handle(namespace) as handle:
        return delete_tuples(handle, wanted)


def flush_entries(namespace: NetnsLike = None, *, everything: bool = False) -> None:
    """Deletes all entries of a network namespace, of all zones and families.

    everything: instead of a namespace: deletes those of the namespace of the calling thread. No namespace without this is an
        InvalidArgumentError
    """
    if everything is not False and everything is not True:
        raise invalid(f"everything: {everything!r} is neither True nor False")
    if (namespace is None or namespace == "") and not everything:
        raise invalid(
            f"namespace: {namespace!r} names none; to delete all entries of the namespace of the calling thread "
            "give everything=True"
        )
    if namespace is not None and everything:
        raise invalid(f"everything: given together with namespace {namespace!r}; give one of them")
    with _handle(namespace) as handle:
        flush(handle, None)


@contextmanager
def _handle(namespace: NetnsLike) -> Iterator[Handle]:
    if namespace is None:
        with opened(None) as handle:
            yield handle
    else:
        with _table(namespace) as ct, opened(ct) as handle:
            yield handle


@contextmanager
def _table(namespace: NetnsLike) -> Iterator[Conntrack]:
    try:
        table = Conntrack(namespace)
    except InvalidArgumentError as wrong:
        raise invalid(re.sub("^netns:", "namespace:", wrong.strerror or "")) from None
    with table:
        yield table
