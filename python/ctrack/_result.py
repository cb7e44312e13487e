# SPDX-License-Identifier: MIT OR Apache-2.0
"""What calls did, as the library says it, made into a Result or an error that has one."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

from ._native import ENTRY_SIZE, CResult
from ._pool import Handle, Pool
from .constants import RESULT_START_UNKNOWN, RESULT_UNCOUNTED
from .entry import Entry, as_array, pack
from .errors import Result


def batch(pool: Pool, function: Any, entries: Iterable[Entry]) -> Result:
    """Hands all entries to one function of the library, which checks each of them before it sends anything."""
    raw = pack("entry", entries)
    count = len(raw) // ENTRY_SIZE
    # Room for one at least: NULL is refused.
    statuses = (ctypes.c_int32 * max(count, 1))()
    result = CResult(size=ctypes.sizeof(CResult))
    with pool.handle() as handle:
        returned = function(handle.address, as_array(raw), count, statuses, ctypes.byref(result))
        return finish(handle, returned, result, tuple(-status for status in statuses[:count]))


def finish(handle: Handle, returned: int, c: CResult, statuses: tuple[int, ...]) -> Result:
    """The result of a call on this handle, or the error that has it."""
    result = result_of(c, statuses)
    if returned < 0:
        raise handle.failed(returned, result)
    return result


def result_of(c: CResult, statuses: tuple[int, ...]) -> Result:
    """What the library filled in."""
    uncounted = bool(c.flags & RESULT_UNCOUNTED)
    unknown = bool(c.flags & RESULT_START_UNKNOWN)
    return Result(c.matched, c.done, c.gone, c.failed, -c.first_error, uncounted, statuses, c.spared, unknown)
