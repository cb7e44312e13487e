# SPDX-License-Identifier: MIT OR Apache-2.0
"""The operations."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Generator, Iterable
from types import TracebackType
from typing import Any, overload

from . import _build, _values
from ._native import ENTRY_SIZE, CResult, lib
from ._pool import Handle, Pool
from ._values import AddressLike, FamilyLike, NetnsLike, ProtoLike
from .constants import DELETE_UNCOUNTED, FLUSH_ALL, RESULT_START_UNKNOWN, RESULT_UNCOUNTED
from .entry import Entry, pack, unpack
from .errors import Result, invalid
from .filter import Filter
from .filter import pack as pack_filters

_BATCH = 256
# Inside the class, list is its method.
_Entries = list[Entry]
_Stream = Generator[Entry, None, None]


class Conntrack:
    """The connection-tracking table of one network namespace.

    netns: where to work: None for the namespace of the calling thread, else the name of one of `ip netns` ("blue" is
        /run/netns/blue), a path (a text with a slash, or a Path: "/proc/1/ns/net"), or a descriptor, which stays yours. Whatever
        thread uses the object later, it stays there, and it keeps the namespace alive
    timeout: the longest silence of the kernel, in seconds, before an operation fails with TimedOutError; 10 if not given
    rcvbuf: receive buffer of each socket in bytes
    compare_start: deletes also compare when an entry was made, where the kernel keeps it. Takes a look-up for each entry
    max_handles: how many operations and streams can be under way at once. More wait for up to `timeout` seconds

    Threads: an object may be used by any number of threads at once. Each operation works on a socket of its own, so the body
    of a loop over a stream may list and delete. Sockets that are idle are closed, but for a few.

    close() may be called at any time: operations under way end in peace, whatever comes afterwards is refused with ClosedError.

    A child process (os.fork()) cannot use the object of its parent: every call fails with ForkedError, a ChildProcessError.

    An operation that fails raises an Error; if it has a Result, `error.result` says what was done all the same.
    """

    def __init__(
        self,
        netns: NetnsLike = None,
        *,
        timeout: float | None = None,
        rcvbuf: int | None = None,
        compare_start: bool = False,
        max_handles: int = 64,
    ) -> None:
        self._pool = Pool(netns, timeout, rcvbuf, compare_start, max_handles)

    def __repr__(self) -> str:
        """For example "<ctrack.Conntrack: 'blue', net:[4026532281], open>"."""
        return f"<ctrack.Conntrack: {getattr(self, '_pool', 'not opened')}>"

    def close(self) -> None:
        """Closes the object. More than once is fine."""
        self._pool.close()

    def __enter__(self) -> Conntrack:  # noqa: PYI034
        self._pool.check_usable()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        pool = getattr(self, "_pool", None)
        if pool is not None:
            pool.close()

    def list(self, *filters: Filter) -> _Entries:
        """The selected entries: those that match at least one including filter (or all, without any) and no excluding one.

        Made again, up to four times in all, if the kernel resizes its table meanwhile.
        """
        packed = pack_filters(filters)
        entries, count = _Listed(), ctypes.c_size_t()
        with self._pool.handle() as handle:
            handle.check(lib.ct_list(handle.address, packed, len(filters), ctypes.byref(entries), ctypes.byref(count)))
        if not entries.value:
            return []
        return [*unpack((ctypes.c_char * (count.value * ENTRY_SIZE)).from_address(entries.value))]

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

    @overload
    def get(self, key: Entry) -> Entry | None: ...
    @overload
    def get(
        self,
        *,
        proto: ProtoLike,
        reply_src: AddressLike,
        reply_dst: AddressLike,
        reply_sport: int | None = None,
        reply_dport: int | None = None,
        reply_icmp_type: int | None = None,
        reply_icmp_code: int | None = None,
        reply_icmp_id: int | None = None,
        family: FamilyLike | None = None,
        zone: int | None = None,
        orig_zone: int | None = None,
        reply_zone: int | None = None,
    ) -> Entry | None: ...
    def get(
        self,
        key: Entry | None = None,
        *,
        proto: Any = None,
        reply_src: Any = None,
        reply_dst: Any = None,
        reply_sport: Any = None,
        reply_dport: Any = None,
        reply_icmp_type: Any = None,
        reply_icmp_code: Any = None,
        reply_icmp_id: Any = None,
        family: Any = None,
        zone: Any = None,
        orig_zone: Any = None,
        reply_zone: Any = None,
    ) -> Entry | None:
        """The entry that the key means, or None.

        The key is a listed entry, its key(), or one that you write. Tuple, direction and zone must be exactly those of the
        entry, and so must the reply tuple, the id and the start time if the key has them.

        Who knows only how answers arrive, such as a server behind NAT of what its socket says, gives the reply direction alone,
        by the names that Entry has, and no key:

            ct.get(proto="tcp", reply_src="10.244.1.7", reply_sport=8080, reply_dst="203.0.113.9", reply_dport=40000)

        The zone must be that of the entry: none given is none. The kernel answers a tuple, whatever the direction that it is of; the
        library gives the entry only if it is the reply tuple.
        """
        mine = dict(locals())
        of_reply = {name: value for name, value in mine.items() if name not in ("self", "key") and value is not None}
        if key is not None and of_reply:
            raise invalid(f"{next(iter(of_reply))}: with a key; give a key or the reply direction")
        if key is None and not of_reply:
            raise TypeError("get: needs a key, or the reply direction")
        if key is None:
            raw = _array(
                bytearray(
                    _build.reply_key(
                        *(proto, family, reply_src, reply_dst, reply_sport, reply_dport),
                        *(reply_icmp_type, reply_icmp_code, reply_icmp_id, zone, orig_zone, reply_zone),
                    )
                )
            )
        else:
            raw = _array(pack("key", [key]))
        found = ctypes.create_string_buffer(ENTRY_SIZE)
        with self._pool.handle() as handle:
            returned = lib.ct_get(handle.address, raw, found)
            if returned == -errno.ENOENT:
                return None
            handle.check(returned)
        return Entry.from_raw(found.raw)

    def count(self) -> int:
        """How many entries there are, by the kernel's own count. Includes expired ones that are not reaped yet."""
        count = ctypes.c_uint64()
        with self._pool.handle() as handle:
            handle.check(lib.ct_count(handle.address, ctypes.byref(count)))
        return count.value

    def free_zone(self, first: int = 1, last: int = 65535) -> int:
        """The lowest zone from first to last that no entry is in, in either direction. ENOSPC: there is none."""
        first = _values.number("first", first, 65535)
        last = _values.number("last", last, 65535)
        zone = ctypes.c_uint32()
        with self._pool.handle() as handle:
            handle.check(lib.ct_zone_find_free(handle.address, first, last, ctypes.byref(zone)))
        return zone.value

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
            return _finish(handle, returned, result, ())

    def delete_entries(self, entries: Iterable[Entry]) -> Result:
        """Deletes the given entries, each only if it is still the one that is meant; `statuses` has a result for each.

        An entry is a listed one, or a key as for get(). A malformed one stops all before anything is sent (InvalidArgumentError);
        one that fails does not stop the others.
        """
        return self._change(lib.ct_delete_entries, entries)

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
        return self._change(lib.ct_create_entries, entries)

    def update(self, changes: Iterable[Entry]) -> Result:
        """Changes entries; `statuses` has a result for each: 0 says that the entry is now as asked. Entry.change() makes a change.

        What can be changed: timeout, status (its bits are added to those that are there), mark (with mark_mask only these
        bits), labels (all of them, or only some added or removed), helper, and the states of TCP and SCTP. A malformed change stops
        all before anything is sent; one that fails or is impossible (ETIME: a timeout of 0, which would delete the entry) does not.
        """
        return self._change(lib.ct_update_entries, changes)

    def _change(self, function: Any, entries: Iterable[Entry]) -> Result:
        raw = pack("entry", entries)
        count = len(raw) // ENTRY_SIZE
        # Room for one at least: NULL is refused.
        statuses = (ctypes.c_int32 * max(count, 1))()
        result = CResult(size=ctypes.sizeof(CResult))
        with self._pool.handle() as handle:
            returned = function(handle.address, _array(raw), count, statuses, ctypes.byref(result))
            return _finish(handle, returned, result, tuple(-status for status in statuses[:count]))

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


class _Listed(ctypes.c_void_p):
    """The array that ct_list() gives. Released when it is dropped, whatever drops it."""

    def __del__(self) -> None:
        lib.ct_entries_free(self)


def _array(raw: bytearray) -> Any:
    return (ctypes.c_char * len(raw)).from_buffer(raw) if raw else ctypes.create_string_buffer(ENTRY_SIZE)


def _finish(handle: Handle, returned: int, c: CResult, statuses: tuple[int, ...]) -> Result:
    uncounted = bool(c.flags & RESULT_UNCOUNTED)
    unknown = bool(c.flags & RESULT_START_UNKNOWN)
    result = Result(c.matched, c.done, c.gone, c.failed, -c.first_error, uncounted, statuses, c.spared, unknown)
    if returned < 0:
        raise handle.failed(returned, result)
    return result
