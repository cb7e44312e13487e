# SPDX-License-Identifier: MIT OR Apache-2.0
"""Flushing: all entries of a scope, or all there are."""

from __future__ import annotations

from ._native import lib
from ._open import Opened
from .constants import FLUSH_ALL
from .filter import Filter
from .filter import pack as pack_filters


class Flusher(Opened):
    """The operations that flush."""

    def flush(self, scope: Filter) -> None:
        """Deletes all entries of a scope: a filter in which only family, zone, mark and status count, and one of them must.

        Entries made meanwhile may survive.
        """
        packed = pack_filters([scope])
        with self._pool.handle() as handle:
            handle.check(lib.ct_flush(handle.address, packed, 0))

    def flush_all(self) -> None:
        """Deletes every entry of the network namespace, all zones and families."""
        with self._pool.handle() as handle:
            handle.check(lib.ct_flush(handle.address, None, FLUSH_ALL))
