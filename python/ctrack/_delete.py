# SPDX-License-Identifier: MIT OR Apache-2.0
"""Deleting: by filter, and given entries."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from . import _result
from ._native import CResult, lib
from ._open import Opened
from .constants import DELETE_UNCOUNTED
from .entry import Entry
from .errors import Result, invalid
from .filter import Filter
from .filter import pack as pack_filters


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

    def delete_entries(self, entries: Iterable[Entry]) -> Result:
        """Deletes the given entries, each only if it is still the one that is meant; `statuses` has a result for each.

        An entry is a listed one, or a key as for get(). A malformed one stops all before anything is sent (InvalidArgumentError);
        one that fails does not stop the others.
        """
        return _result.batch(self._pool, lib.ct_delete_entries, entries)
