# SPDX-License-Identifier: MIT OR Apache-2.0
"""What OpenStack's modules do with the table: list and delete by tuples."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from errno import ENOENT
from typing import Any

from . import _tuples
from ._native import ENTRY_SIZE, CFilter, CResult, lib
from ._pool import Handle
from ._read import Listed
from ._tuples import EntryTuple, Wanted
from .conntrack import Conntrack
from .constants import FLUSH_ALL, RESULT_START_UNKNOWN, Match
from .errors import Error, Result, error

# Microseconds, as docs/neutron.md has them measured. Only their ratios matter.
#: To find and delete an entry by its tuple, as against deleting one that was listed.
_LOOK_UP = 11
#: To list an entry and to compare it.
_LIST = 4
#: To walk over the empty table.
_WALK = 9_000

# What the library says of an entry: deleted, and not there.
_DONE, _GONE = bytes(ctypes.c_int32(0)), bytes(ctypes.c_int32(-ENOENT))


class _OwnHandle(Handle):
    """A handle in the network namespace of the calling thread, for one call."""

    def __enter__(self) -> Handle:
        assert self.address is not None
        returned = lib.ct_handle_open(ctypes.byref(self.address), None)
        if returned < 0:
            reason: bytes = lib.ct_strerror(returned)
            raise error(returned, f"open: {reason.decode()}")
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def opened(conntrack: Conntrack | None) -> AbstractContextManager[Handle]:
    """A handle for one call: of the Conntrack, or of the network namespace of the calling thread."""
    return _OwnHandle() if conntrack is None else conntrack._pool.handle()


def list_tuples(handle: Handle, zones: Iterable[int] | None, zoned: bool) -> list[EntryTuple]:
    """The entries of some zones, or with None of all of them, as sorted tuples."""
    with _entries(handle, zones) as buffer:
        return _tuples.listed(buffer, zoned)


@contextmanager
def _entries(handle: Handle, zones: Iterable[int] | None) -> Iterator[Any]:
    """The entries of some zones as a buffer."""
    array = None if zones is None else _scopes(zones)
    found, count = Listed(), ctypes.c_size_t()
    given = 0 if array is None else len(array)
    handle.check(lib.ct_list(handle.address, array, given, ctypes.byref(found), ctypes.byref(count)))
    if found.value:
        yield memoryview((ctypes.c_char * (count.value * ENTRY_SIZE)).from_address(found.value))
    else:
        yield memoryview(b"")


def _scopes(zones: Iterable[int]) -> ctypes.Array[CFilter]:
    """A filter for each zone."""
    filters = [CFilter(size=ctypes.sizeof(CFilter), match=int(Match.ZONE), zone=zone) for zone in zones]
    return (CFilter * len(filters))(*filters)


def flush(handle: Handle, zones: Iterable[int] | None) -> None:
    """Deletes all entries of some zones, or with None of all zones and families."""
    if zones is None:
        handle.check(lib.ct_flush(handle.address, None, FLUSH_ALL))
        return
    for scope in _scopes(zones):
        handle.check(lib.ct_flush(handle.address, ctypes.byref(scope), 0))


def delete_tuples(handle: Handle, wanted: list[Wanted]) -> Result:
    """Deletes every entry that the tuples name, and nothing else. The result has a status for each tuple."""
    deletion = _Deletion(handle, wanted)
    if not wanted:
        return deletion.finish()
    if _few(handle, len(wanted)):
        deletion.by_keys()
    else:
        deletion.of_listed()
    return deletion.finish()


def _few(handle: Handle, count: int) -> bool:
    """Whether so many tuples are looked up sooner than the table is listed."""
    if _LOOK_UP * count <= _WALK:
        return True
    there = ctypes.c_uint64()
    handle.check(lib.ct_count(handle.address, ctypes.byref(there)))
    return _LOOK_UP * count <= _WALK + _LIST * there.value


class _Deletion:
    """The statuses of all tuples while they are deleted."""

    def __init__(self, handle: Handle, wanted: list[Wanted]) -> None:
        self._handle = handle
        self._wanted = wanted
        self._statuses = [ENOENT] * len(wanted)
        self._done = 0
        self._returned = 0
        self._start_unknown = False
        self._error: Error | None = None

    def by_keys(self) -> None:
        """Looks up each tuple: in its zone in the original direction, and outside of all zones for one in the reply direction.

        An entry in the zone in both directions and one in it in the original direction only cannot have the same tuple: the second
        is asked for where the first is not there.
        """
        wanted = self._wanted
        zoned = [index for index, (_, _, zone) in enumerate(wanted) if zone]
        others: list[int] = []
        keys = _tuples.keys_in_zones(wanted if len(zoned) == len(wanted) else [wanted[index] for index in zoned])
        if len(zoned) < len(wanted):
            others = [index for index, (_, _, zone) in enumerate(wanted) if not zone]
            keys += _tuples.keys_outside_zones(wanted[index] for index in others)
        told = self._delete(keys)
        if told == (_DONE + _GONE) * len(zoned) + _DONE * len(others):
            # As nearly always: each is there, once.
            self._statuses = [0] * len(wanted)
            return
        self._settle(told, [index for index in zoned for _ in range(2)] + others)
        missing = [index for place, index in enumerate(zoned) if told[8 * place : 8 * place + 4] == _GONE]
        if missing:
            self._settle(self._delete(_tuples.keys_of_original_zone(wanted[index] for index in missing)), missing)

    def of_listed(self) -> None:
        """Lists the zones, and deletes those that are wanted by their ids too."""
        places: dict[Wanted, int] = {}
        for index, each in enumerate(self._wanted):
            places.setdefault(each, index)
        with _entries(self._handle, {zone for _, _, zone in self._wanted}) as buffer:
            owners, found = [], []
            for at, name in enumerate(_tuples.names_of(buffer)):
                owner = places.get(name)
                if owner is not None:
                    owners.append(owner)
                    found.append(buffer[at * ENTRY_SIZE : (at + 1) * ENTRY_SIZE])
            if found:
                self._settle(self._delete(b"".join(found)), owners)
        if len(places) < len(self._wanted):
            # Of one tuple that was given twice the second is gone, unless it could not be deleted.
            for index, each in enumerate(self._wanted):
                first = places[each]
                if first != index and self._statuses[first] != 0:
                    self._statuses[index] = self._statuses[first]

    def _delete(self, entries: bytes) -> bytearray:
        """Deletes entries, or what keys mean. What the library says of each, in four bytes."""
        count = len(entries) // ENTRY_SIZE
        told = bytearray(4 * count)
        c = CResult(ctypes.sizeof(CResult))
        # Not as an array of ctypes: the type of each length is made anew after each garbage collection, and takes 50 µs.
        first = ctypes.byref(ctypes.c_int32.from_buffer(told))
        self._returned = lib.ct_delete_entries(self._handle.address, entries, count, first, ctypes.byref(c))
        self._done += c.done
        self._start_unknown |= bool(c.flags & RESULT_START_UNKNOWN)
        return told

    def _settle(self, told: bytearray, owners: list[int]) -> None:
        """What was said of entries, each of which is of one tuple. Of a tuple's entries the worst counts: a failure, a deletion,
        nothing."""
        statuses = self._statuses
        for owner, negative in zip(owners, memoryview(told).cast("i")):
            before = statuses[owner]
            if before == ENOENT or (before == 0 and negative not in (0, -ENOENT)):
                statuses[owner] = -negative
        if self._returned < 0 and self._error is None:
            self._error = self._handle.failed(self._returned)
            self._error.strerror = _named(self._error.strerror or "", owners)

    def finish(self) -> Result:
        """The result, or the error that has it."""
        statuses = self._statuses
        gone = statuses.count(ENOENT)
        failed = len(statuses) - statuses.count(0) - gone
        first = next(status for status in statuses if status not in (0, ENOENT)) if failed else 0
        result = Result(len(statuses), self._done, gone, failed, first, False, tuple(statuses), 0, self._start_unknown)
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
