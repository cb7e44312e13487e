# SPDX-License-Identifier: MIT OR Apache-2.0
"""Changing: entries that are made, and others that are updated."""

from __future__ import annotations

from collections.abc import Iterable

from . import _result
from ._native import lib
from ._open import Opened
from .entry import Entry
from .errors import Result


class Changer(Opened):
    """The operations that create and update."""

    def create(self, entries: Iterable[Entry]) -> Result:
        """Creates entries; `statuses` has a result for each (EEXIST: one of its tuples is taken).

        Each needs a timeout. A listed entry can be created again as it stands. The kernel drops labels silently while no firewall
        rule of the namespace uses any.

        With SRC_NAT or DST_NAT in status the reply tuple says to what the kernel is to translate: addresses, ports, ICMP ids, keys
        of GRE. It makes exactly that entry, or none. Each bit must be there if the reply tuple translates that side, and only then;
        with neither of them the reply tuple is taken as it stands.

        A malformed entry stops all before anything is sent (InvalidArgumentError, without a result). One that fails does not, and
        neither does one that is impossible: EOPNOTSUPP only the kernel can make it (expected, offloaded and sequence-adjusted
        entries, status bits and states of a later kernel), or this kernel keeps no ports of its protocol; ETIME its timeout is 0
        (listed with less than a second left); EINVAL its status contradicts its reply tuple.

        In a full table the kernel makes room for a new entry by dropping another one of the namespace that is not assured, and
        says ENOMEM only if it finds none. Nothing tells which or how many: who makes many should compare count() with
        net.netfilter.nf_conntrack_max first.
        """
        return _result.batch(self._pool, lib.ct_create_entries, entries)

    def update(self, changes: Iterable[Entry]) -> Result:
        """Changes entries; `statuses` has a result for each: 0 says that the entry is now as asked. Entry.change() makes a change.

        What can be changed: timeout, status (its bits are added to those that are there), mark (with mark_mask only these
        bits), labels (all of them, or only some added or removed), helper, and the states of TCP and SCTP. A malformed change stops
        all before anything is sent; one that fails or is impossible (ETIME: a timeout of 0, which would delete the entry) does not.
        """
        return _result.batch(self._pool, lib.ct_update_entries, changes)
