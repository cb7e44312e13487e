# SPDX-License-Identifier: MIT OR Apache-2.0
"""Deleting: by filter, and given entries."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable
from dataclasses import dataclass

from . import _result
from ._native import ENTRY_SIZE, CResult, lib
from ._open import Opened
from ._values import number
from .constants import DELETE_DRY_RUN, DELETE_UNCOUNTED
from .entry import Entry, unpack
from .errors import Result, invalid
from .filter import Filter
from .filter import pack as pack_filters


@dataclass(frozen=True)
class Deleted:
    """What a delete deleted."""

    #: Those that were deleted, as they were at their end.
    entries: list[Entry]
    #: More is selected than was allowed: that was not touched, and is not in the sums.
    more: bool
    #: The sums.
    result: Result


class Deleter(Opened):
    """The operations that delete."""

    def delete(self, *filters: Filter, uncounted: bool = False) -> Result:
        """Deletes the selected entries, in one pass over the table for all filters.

        There must be an including filter, and none may match every entry: that is flush_all(). An entry that was replaced
        between the list and the delete stays, and so does one that changed so that it is not selected any more
        (`result.spared`). Entries made meanwhile may be missed.

        uncounted: the kernel may delete by itself where that is exact for these filters, without saying how many
        """
        packed = pack_filters(filters)
        if packed is None:
            raise invalid("filter: none given, and nothing says what to delete; to delete everything use flush_all()")
        flags = DELETE_UNCOUNTED if uncounted else 0
        result = CResult(size=ctypes.sizeof(CResult))
        with self._pool.handle() as handle:
            returned = lib.ct_delete(handle.address, packed, len(filters), flags, ctypes.byref(result))
            return _result.finish(handle, returned, result, ())

    def would_delete(self, *filters: Filter) -> list[Entry]:
        """What delete() would delete now; nothing is. What that refuses is refused."""
        most = 1024
        while True:
            deleted = self._delete_returning(filters, most, DELETE_DRY_RUN)
            if not deleted.more:
                return deleted.entries
            most *= 4

    def delete_returning(self, *filters: Filter, most: int = 4096) -> Deleted:
        """Deletes as delete() does, and gives what was deleted: at most so many. `more`: others are selected and stay; call again.

        The entries are as they were at their end, with their last packets and bytes, where the kernel says so: for those that report what
        becomes of them (Setting.EVENTS when they were made). Of others the counters are left out. If an error is raised, its
        `deleted` has what was deleted all the same.
        """
        return self._delete_returning(filters, number("most", most, 1 << 24, smallest=1), 0)

    def _delete_returning(self, filters: tuple[Filter, ...], most: int, flags: int) -> Deleted:
        packed = pack_filters(filters)
        if packed is None:
            raise invalid("filter: none given, and nothing says what to delete; to delete everything use flush_all()")
        entries, count = ctypes.create_string_buffer(most * ENTRY_SIZE), ctypes.c_size_t()
        result = CResult(size=ctypes.sizeof(CResult))
        with self._pool.handle() as handle:
            returned = lib.ct_delete_returning(
                *(handle.address, packed, len(filters), flags, entries, most, ctypes.byref(count), ctypes.byref(result))
            )
            more = returned == -errno.ENOSPC and result.failed == 0
            given = [*unpack((ctypes.c_char * (count.value * ENTRY_SIZE)).from_buffer(entries))]
            deleted = Deleted(given, more, _result.result_of(result, ()))
            if returned < 0 and not more:
                failed = handle.failed(returned, deleted.result)
                failed.deleted = deleted
                raise failed
            return deleted

    def delete_entries(self, entries: Iterable[Entry]) -> Result:
        """Deletes the given entries, each only if it is still the one that is meant; `statuses` has a result for each.

        An entry is a listed one, or a key as for get(). A malformed one stops all before anything is sent (InvalidArgumentError);
        one that fails does not stop the others.
        """
        return _result.batch(self._pool, lib.ct_delete_entries, entries)
