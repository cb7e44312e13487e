# SPDX-License-Identifier: MIT OR Apache-2.0
"""One event of a watch."""

from __future__ import annotations

import ctypes
import json
from datetime import datetime, timedelta, timezone
from struct import Struct
from typing import Any

from ._native import ENTRY_SIZE, EVENT_SIZE, CEvent, lib
from .constants import (
    FORMAT_EVENT_TIME,
    FORMAT_EXTENDED,
    FORMAT_ID,
    FORMAT_JSON,
    FORMAT_LINE,
    FORMAT_TIMESTAMP,
    EventFlags,
    EventKind,
)
from .entry import Entry
from .errors import error, invalid

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# How a whole batch becomes events: the slices are made by one C loop, and fields are read when they are asked for.
_batch = Struct(f"{EVENT_SIZE}s").iter_unpack
_u32 = Struct("=I").unpack_from
_i32 = Struct("=i").unpack_from
_u64 = Struct("=Q").unpack_from
_FLAGS: int = CEvent.flags.offset
_NUMBER: int = CEvent.number.offset
_LOST: int = CEvent.lost.offset
_RECEIVED: int = CEvent.received_ns.offset
_TIME: int = CEvent.time_ns.offset
_PORTID: int = CEvent.portid.offset
_NSID: int = CEvent.nsid.offset
_ENTRY: int = CEvent.entry.offset
_UNKNOWN = 0xFFFFFFFFFFFFFFFF
_kinds = {int(kind): kind for kind in EventKind}
_flags = [EventFlags(bits) for bits in range(1 << len(EventFlags))]
_INITIAL, _FOUND, _ENTERED, _LEFT = (int(flag) for flag in EventFlags)
_OF_ENTRIES = frozenset(map(int, (EventKind.NEW, EventKind.UPDATE, EventKind.DESTROY)))


class Event:
    """What happened, to an entry or to the watch. Immutable and cheap: 320 bytes, read when a property is asked for.

    `str(event)` is the line of `conntrack -E`; of LOST "   [LOST] 17 events", of SYNCED " [SYNCED]".
    """

    __slots__ = ("_raw",)
    _raw: bytes

    @classmethod
    def from_raw(cls, raw: bytes | bytearray | memoryview) -> Event:
        """An event from the 320 bytes of a struct ct_event. InvalidArgumentError: it has another size."""
        if type(raw) is not bytes:
            raw = bytes(raw)
        if len(raw) != EVENT_SIZE:
            raise invalid(f"raw: {len(raw)} bytes are no event, which has {EVENT_SIZE}")
        event = _new(Event)
        event._raw = raw
        return event

    @property
    def raw(self) -> bytes:
        """The 320 bytes of the struct ct_event."""
        return self._raw

    @property
    def kind(self) -> EventKind | int:
        """What happened. A kind that this release does not know is a number."""
        number: int = _u32(self._raw)[0]
        return _kinds.get(number, number)

    @property
    def flags(self) -> EventFlags:
        """What is special about it."""
        bits = _u32(self._raw, _FLAGS)[0]
        return _flags[bits] if bits < len(_flags) else EventFlags(bits)

    @property
    def initial(self) -> bool:
        """Of NEW: the entry was there when the watch was opened."""
        return self._is(_INITIAL)

    @property
    def found(self) -> bool:
        """The kernel did not say so: a list or a look-up showed it."""
        return self._is(_FOUND)

    @property
    def entered(self) -> bool:
        """Of NEW: the entry was there before, and is selected only now."""
        return self._is(_ENTERED)

    @property
    def left(self) -> bool:
        """Of DESTROY: the entry is there still, and is selected no more."""
        return self._is(_LEFT)

    @property
    def number(self) -> int:
        """Counts the events of a watch, from 1, without gaps."""
        number: int = _u64(self._raw, _NUMBER)[0]
        return number

    @property
    def lost(self) -> int | None:
        """Of LOST: how many events are missing; exact without sync, with it at least so many; None: nobody knows. Of others 0."""
        lost: int = _u64(self._raw, _LOST)[0]
        return None if lost == _UNKNOWN else lost

    @property
    def received_ns(self) -> int:
        """When it was read: nanoseconds since 1970."""
        nanoseconds: int = _u64(self._raw, _RECEIVED)[0]
        return nanoseconds

    @property
    def received(self) -> datetime:
        """When it was read: in UTC, rounded down to microseconds."""
        return _EPOCH + timedelta(microseconds=self.received_ns // 1000)

    @property
    def time_ns(self) -> int | None:
        """When it happened, as the kernel says: nanoseconds since 1970. None: it does not (before 6.14, or the sysctl
        net.netfilter.nf_conntrack_timestamp is off)."""
        return _u64(self._raw, _TIME)[0] or None

    @property
    def time(self) -> datetime | None:
        """When it happened, as the kernel says: in UTC, rounded down to microseconds."""
        nanoseconds = self.time_ns
        return None if nanoseconds is None else _EPOCH + timedelta(microseconds=nanoseconds // 1000)

    @property
    def portid(self) -> int:
        """The netlink port of the socket that caused it; 0: traffic or a timeout did, or it was found. It is no process id. One's
        own are Conntrack.portids."""
        port: int = _u32(self._raw, _PORTID)[0]
        return port

    @property
    def nsid(self) -> int | None:
        """Of a watch with all_nsid: the network namespace, by its id (`ip netns list-id`); None: the watch's own."""
        nsid: int = _i32(self._raw, _NSID)[0]
        return None if nsid < 0 else nsid

    @property
    def entry(self) -> Entry | None:
        """The entry of NEW, UPDATE and DESTROY, as far as the kernel sent it: counters and times come with DESTROY alone, labels and
        helper with NEW and with the update that changes them. None of LOST and SYNCED."""
        raw = self._raw
        return Entry.from_raw(raw[_ENTRY : _ENTRY + ENTRY_SIZE]) if _u32(raw)[0] in _OF_ENTRIES else None

    def format(self, *, extended: bool = False, id: bool = False, timestamp: bool = False, time: bool = False) -> str:
        """The line of `conntrack -E`, perhaps with what its options -o extended, id and ktimestamp add.

        time: in front, as -o timestamp has it: the kernel's if there is one, else when the event was read
        """
        options = (extended and FORMAT_EXTENDED) | (id and FORMAT_ID) | (timestamp and FORMAT_TIMESTAMP)
        return self._written(FORMAT_LINE | options | (time and FORMAT_EVENT_TIME))

    def json(self) -> str:
        """One JSON object: event, number, flags, received_ns; and where they are known time_ns, nsid, portid, entry, lost."""
        return self._written(FORMAT_JSON)

    def to_dict(self) -> dict[str, Any]:
        """The event as plain values, with the keys of json(); its entry is that of Entry.to_dict()."""
        made: dict[str, Any] = json.loads(self.json())
        if self.entry is not None:
            made["entry"] = self.entry.to_dict()
        return made

    def _is(self, flag: int) -> bool:
        bits: int = _u32(self._raw, _FLAGS)[0]
        return bits & flag != 0

    def _written(self, format: int) -> str:
        size = 1024
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = lib.ct_event_format(self._raw, format, buffer, size)
            if length < 0:
                raise error(length)
            if length < size:
                return buffer.value.decode("utf-8", "backslashreplace")
            size = length + 1

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"<ctrack.Event {self.number}: {' '.join(self.format().split())}>"

    def __eq__(self, other: object) -> bool:
        return self._raw == other._raw if isinstance(other, Event) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._raw)

    def __reduce__(self) -> tuple[Any, ...]:
        return Event.from_raw, (self._raw,)


_new = object.__new__


def unpack(batch: Any) -> list[Event]:
    """The events in a buffer of them."""
    new = _new
    events: list[Event] = []
    add = events.append
    for (raw,) in _batch(batch):
        event = new(Event)
        event._raw = raw
        add(event)
    return events
