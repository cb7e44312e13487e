# SPDX-License-Identifier: MIT OR Apache-2.0
"""Dumps: the table in constant memory, batch by batch."""

from __future__ import annotations

import ctypes
from collections.abc import Generator
from typing import Any

from ._native import ENTRY_SIZE, lib
from ._open import Opened
from .entry import Entry, unpack
from .filter import Filter
from .filter import pack as pack_filters

_BATCH = 256
_Stream = Generator[Entry, None, None]


class Dumper(Opened):
    """The operations that stream."""

    def stream(self, *filters: Filter) -> _Stream:
        """The selected entries in constant memory, batch by batch. The selection is that of list().

        Holds a handle from the first entry to the end, to close() of the generator, or to its disappearance. TableChangedError: the
        kernel resized its table, entries may be missing or repeated: start again.
        """
        return self._stream(pack_filters(filters), len(filters))

    def __iter__(self) -> _Stream:
        """All entries, as stream() has them."""
        return self.stream()

    def _stream(self, packed: Any, count: int) -> _Stream:
        handle = self._pool.take()
        try:
            handle.check(lib.ct_dump_start(handle.address, packed, count))
            buffer = (ctypes.c_char * (_BATCH * ENTRY_SIZE))()
            view = memoryview(buffer)
            while True:
                self._pool.check_usable()
                filled = handle.check(lib.ct_dump_next(handle.address, buffer, _BATCH))
                if filled == 0:
                    return
                yield from unpack(view[: filled * ENTRY_SIZE])
        finally:
            if lib.ct_dump_end(handle.address) < 0:
                handle.usable = False
            self._pool.give_back(handle)
