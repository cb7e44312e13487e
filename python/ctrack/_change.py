# SPDX-License-Identifier: MIT OR Apache-2.0
"""Changing: entries that are made, and others that are updated."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable
from dataclasses import dataclass

from . import _result
from ._native import ENTRY_SIZE, CResult, lib
from ._open import Opened
from .entry import Entry, as_array, pack
from .errors import Result


@dataclass(frozen=True)
class Zeroed:
    """What came of entries whose counters begin anew. Some may have failed: see the result."""

    #: One for each that was given, as it was before; of status ESTALE another one that has its place; None of any other status.
    entries: list[Entry | None]
    #: The sums, and the status of each.
    result: Result


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

    def zero(self, entries: Iterable[Entry]) -> Zeroed:
        """Reads entries, and lets their packets and bytes be counted from 0 on: by the kernel in one step, so that what is read now and
        next time adds up to all that came. It is never done twice for one call.

        `statuses` has a result for each: 0 it was read; ESTALE another entry has its place, and was read instead, so that nothing that was
        counted is lost; ENOENT it was gone; ENOBUFS, ETIMEDOUT and the like: its reply was lost, its counters perhaps begin anew.
        """
        raw = pack("entry", entries)
        count = len(raw) // ENTRY_SIZE
        # Room for one at least: NULL is refused.
        statuses, result = (ctypes.c_int32 * max(count, 1))(), CResult(size=ctypes.sizeof(CResult))
        read = ctypes.create_string_buffer(max(count, 1) * ENTRY_SIZE)
        with self._pool.handle() as handle:
            returned = lib.ct_zero_entries(handle.address, as_array(raw), count, read, statuses, ctypes.byref(result))
            codes = tuple(-status for status in statuses[:count])
            parts = (read.raw[n * ENTRY_SIZE : (n + 1) * ENTRY_SIZE] for n in range(count))
            there = [Entry.from_raw(part) if code in (0, errno.ESTALE) else None for part, code in zip(parts, codes, strict=True)]
            zeroed = Zeroed(there, _result.result_of(result, codes))
            if returned < 0 and not any(there):
                raise handle.failed(returned, zeroed.result)
            return zeroed

    def update(self, changes: Iterable[Entry]) -> Result:
        """Changes entries; `statuses` has a result for each: 0 says that the entry is now as asked. Entry.change() makes a change.

        What can be changed: timeout, status (its bits are added to those that are there), mark (with mark_mask only these
        bits), labels (all of them, or only some added or removed), helper, and the states of TCP and SCTP. A malformed change stops
        all before anything is sent; one that fails or is impossible (ETIME: a timeout of 0, which would delete the entry) does not.
        """
        return _result.batch(self._pool, lib.ct_update_entries, changes)
