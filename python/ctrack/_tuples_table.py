# SPDX-License-Identifier: MIT OR Apache-2.0
"""What OpenStack's modules do with the table: list and delete by tuples."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from errno import ENOENT
from typing import Any

from . import _tuples
from ._native import ENTRY_SIZE, CFilter, CResult, lib
from ._pool import Handle
from ._tuples import EntryTuple, Wanted
from .conntrack import Conntrack, _Listed
from .constants import RESULT_START_UNKNOWN, Match
from .errors import Error, Result, error

# Microseconds, as docs/neutron.md has them measured. Only their ratios matter.
#: To find and delete an entry by its tuple, as against deleting one that was listed.
_LOOK_UP = 11
#: To list an entry and to compare it.
_LIST = 4
#: To walk over the empty table.
_WALK = 9_000


@contextmanager
def opened(conntrack: Conntrack | None) -> Iterator[Handle]:
    """A handle for one call: of the Conntrack, or of the network namespace of the calling thread."""
    if conntrack is not None:
        with conntrack._pool.handle() as lent:
            yield lent
        return
    handle = Handle()
    try:
        assert handle.address is not None
        returned = lib.ct_handle_open(ctypes.byref(handle.address), None)
        if returned < 0:
            reason: bytes = lib.ct_strerror(returned)
            raise error(returned, f"open: {reason.decode()}")
        yield handle
    finally:
        handle.close()


def list_tuples(handle: Handle, zones: Iterable[int] | None, zoned: bool) -> list[EntryTuple]:
    """The entries of some zones, or with None of all of them, as sorted tuples."""
    with _entries(handle, zones) as buffer:
        return _tuples.listed(buffer, zoned)


@contextmanager
def _entries(handle: Handle, zones: Iterable[int] | None) -> Iterator[Any]:
    """The entries of some zones as a buffer."""
    filters = None if zones is None else [*zones]
    array = (CFilter * len(filters or ()))()
    for to, zone in zip(array, filters or ()):
        to.size, to.match, to.zone = ctypes.sizeof(CFilter), int(Match.ZONE), zone
    found, count = _Listed(), ctypes.c_size_t()
    given = array if filters else None
    handle.check(lib.ct_list(handle.address, given, len(array), ctypes.byref(found), ctypes.byref(count)))
    if found.value:
        yield memoryview((ctypes.c_char * (count.value * ENTRY_SIZE)).from_address(found.value))
    else:
        yield memoryview(b"")


def delete_tuples(handle: Handle, wanted: list[Wanted]) -> Result:
    """Deletes every entry that the tuples name, and nothing else. The result has a status for each tuple."""
    deletion = _Deletion(handle, wanted)
    if not wanted:
        return deletion.finish()
    count = ctypes.c_uint64()
    handle.check(lib.ct_count(handle.address, ctypes.byref(count)))
    if _LOOK_UP * len(wanted) > _WALK + _LIST * count.value:
        deletion.of_listed()
    else:
        deletion.by_keys()
    return deletion.finish()


class _Deletion:
    """The statuses of all tuples while they are deleted."""

    def __init__(self, handle: Handle, wanted: list[Wanted]) -> None:
        self._handle = handle
        self._wanted = wanted
        self._statuses = [ENOENT] * len(wanted)
        self._done = 0
        self._start_unknown = False
        self._error: Error | None = None

    def by_keys(self) -> None:
        """Looks up each tuple: in its zone in the original direction, and outside of all zones for one in the reply direction.

        An entry in the zone in both directions and one in it in the original direction only cannot have the same tuple: the second
        is asked for where the first is not there.
        """
        wanted = self._wanted
        owners = [*range(len(wanted))]
        keys = [_tuples.key(each) for each in wanted]
        zoned = [index for index, each in enumerate(wanted) if each.zone]
        keys += [_tuples.key_of_reply_zone(wanted[index]) for index in zoned]
        statuses = self._delete(keys, owners + zoned)
        missing = [index for index in zoned if statuses[index] == ENOENT]
        if missing:
            self._delete([_tuples.key_of_original_zone(wanted[index]) for index in missing], missing)

    def of_listed(self) -> None:
        """Lists the zones, and deletes those that are wanted by their ids too."""
        places: dict[tuple[bytes, bytes, int], int] = {}
        for index, each in enumerate(self._wanted):
            places.setdefault(each, index)
        with _entries(self._handle, {each.zone for each in self._wanted}) as buffer:
            owners, found = [], []
            for at, name in enumerate(_tuples.names_of(buffer)):
                owner = places.get(name)
                if owner is not None:
                    owners.append(owner)
                    found.append(buffer[at * ENTRY_SIZE : (at + 1) * ENTRY_SIZE])
            if found:
                self._delete(found, owners)
        if len(places) < len(self._wanted):
            # Of one tuple that was given twice the second is gone, unless it could not be deleted.
            for index, each in enumerate(self._wanted):
                first = places[each]
                if first != index and self._statuses[first] != 0:
                    self._statuses[index] = self._statuses[first]

    def _delete(self, entries: Sequence[Any], owners: list[int]) -> list[int]:
        """Deletes entries, each of them of one tuple. What became of each."""
        count = len(entries)
        raw = b"".join(entries)
        statuses = (ctypes.c_int32 * count)()
        c = CResult(size=ctypes.sizeof(CResult))
        returned = lib.ct_delete_entries(self._handle.address, raw, count, statuses, ctypes.byref(c))
        own = [-status for status in statuses]
        self._done += c.done
        self._start_unknown |= bool(c.flags & RESULT_START_UNKNOWN)
        for owner, status in zip(owners, own):
            # The worst that became of a tuple's entries counts: a failure, a deletion, nothing.
            before = self._statuses[owner]
            if before == ENOENT or (before == 0 and status != ENOENT):
                self._statuses[owner] = status
        if returned < 0 and self._error is None:
            self._error = self._handle.failed(returned)
            self._error.strerror = _named(self._error.strerror or "", owners)
        return own

    def finish(self) -> Result:
        """The result, or the error that has it."""
        statuses = self._statuses
        done = statuses.count(0)
        gone = statuses.count(ENOENT)
        failures = [status for status in statuses if status not in (0, ENOENT)]
        first = failures[0] if failures else 0
        result = Result(
            len(statuses), self._done, gone, len(statuses) - done - gone, first, False, tuple(statuses), 0, self._start_unknown
        )
        if self._error is None:
            return result
        # The number of keys says nothing to the caller.
        text = re.sub(r"; and \d+ more$", "", self._error.strerror or "")
        more = f"; and {result.failed - 1} more" if result.failed > 1 else ""
        raise error(self._error.errno or first, text + more, result)


def _named(text: str, owners: list[int]) -> str:
    """The text of an error with the place of the tuple, and not that of the key that the library had of it."""
    found = re.match(r"entry\[(\d+)\]", text)
    return text if found is None else f"entries[{owners[int(found[1])]}]{text[found.end() :]}"
