# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reading: lists, one entry, the count, a free zone."""

from __future__ import annotations

import ctypes
import errno
from typing import Any, overload

from . import _build, _values
from ._native import ENTRY_SIZE, lib
from ._open import Opened
from ._values import AddressLike, FamilyLike, ProtoLike
from .entry import Entry, as_array, pack, unpack
from .errors import invalid
from .filter import Filter
from .filter import pack as pack_filters

# Inside the class, list is its method.
_Entries = list[Entry]


class Reader(Opened):
    """The operations that read."""

    def list(self, *filters: Filter) -> _Entries:
        """The selected entries: those that match at least one including filter (or all, without any) and no excluding one.

        Made again, up to four times in all, if the kernel resizes its table meanwhile.
        """
        packed = pack_filters(filters)
        entries, count = Listed(), ctypes.c_size_t()
        with self._pool.handle() as handle:
            handle.check(lib.ct_list(handle.address, packed, len(filters), ctypes.byref(entries), ctypes.byref(count)))
        if not entries.value:
            return []
        return [*unpack((ctypes.c_char * (count.value * ENTRY_SIZE)).from_address(entries.value))]

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
            raw = as_array(
                bytearray(
                    _build.reply_key(
                        *(proto, family, reply_src, reply_dst, reply_sport, reply_dport),
                        *(reply_icmp_type, reply_icmp_code, reply_icmp_id, zone, orig_zone, reply_zone),
                    )
                )
            )
        else:
            raw = as_array(pack("key", [key]))
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


class Listed(ctypes.c_void_p):
    """The array that ct_list() gives. Released when it is dropped, whatever drops it."""

    def __del__(self) -> None:
        lib.ct_entries_free(self)
