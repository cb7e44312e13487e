# SPDX-License-Identifier: MIT OR Apache-2.0
"""Watching: events as they come, or a list and what changes afterwards.

As in the pool there is no lock: a signal handler may close the watch that it interrupted. Whoever is in a call of the library holds a
reference to what the library gave, and the last one who lets go of that closes it.
"""

from __future__ import annotations

import ctypes
import errno
import math
import os
import threading
import time
from collections import deque
from collections.abc import Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _namespace, _words
from ._native import EVENT_SIZE, CWatchInfo, CWatchOpts, lib
from ._open import Opened
from ._pool import not_opened
from ._values import EventKindsLike, NetnsLike, event_kinds, millis, number
from .constants import (
    WATCH_ALL_NSID,
    WATCH_AUDIT_ALL,
    WATCH_DESTROY,
    WATCH_ENABLE,
    WATCH_IS_SYNCED,
    WATCH_MAY_BE_SILENT,
    WATCH_NETNS,
    WATCH_NEW,
    WATCH_RELIABLE,
    WATCH_SYNC,
    WATCH_UPDATE,
    EventKind,
)
from .errors import ClosedError, Error, ForkedError, error, invalid
from .event import Event, unpack
from .filter import Filter
from .filter import pack as pack_filters

if TYPE_CHECKING:
    from asyncio import Future

    from typing_extensions import Self

_BATCH = 256
_AUDIT = 30.0
_NEVER = 0xFFFFFFFF
_U32 = 0xFFFFFFFF
_LONGEST = 0x7FFFFFFF
# How long a wait of the main thread is at most before it looks for signals, in milliseconds: one that comes just before the wait
# does not end it.
_LOOK = 1000
_KINDS = {EventKind.NEW: WATCH_NEW, EventKind.UPDATE: WATCH_UPDATE, EventKind.DESTROY: WATCH_DESTROY}
_Events = Generator[Event, None, None]


class WatchInfo(NamedTuple):
    """What a watch has done, and where it stands."""

    synced: bool
    """With sync: the events so far add up to the table."""
    may_be_silent: bool
    """With sync: there may be entries of which the kernel does not report what becomes of them, since they were made while
    nobody listened. Audits find what became of them."""
    events_mode: int | None
    """The sysctl nf_conntrack_events as it was last seen; None: it cannot be read."""
    receive_buffer: int
    """The receive buffer as granted, in bytes."""
    queued: int
    """Bytes of it that are in use."""
    received: int
    """Events that were read."""
    lost: int
    """Events that are known to be lost, those while listing too."""
    resyncs: int
    """With sync: lists because of losses, or on request."""
    restarts: int
    """With sync: lists that were disturbed by losses or a resized table, and begun anew."""
    verified: int
    """With sync: entries that the kernel was asked for, since an event did not fit to what was known."""
    audited: int
    """With sync: entries that audits looked at."""
    entries: int
    """With sync: entries that are known."""


class _Native:
    """One ct_watch. It is closed when the last one who uses it lets go."""

    __slots__ = ("address", "buffers", "fd", "woken")

    def __init__(self) -> None:
        self.address = ctypes.c_void_p()
        self.buffers: deque[ctypes.Array[ctypes.c_char]] = deque(maxlen=2)
        self.fd = -1
        #: wake() was called. Only this tells it from a signal, or from a part of a long wait that is over.
        self.woken = False

    def failed(self, number: int) -> Error:
        """The error for what a call on this watch returned."""
        if number == -errno.EBUSY:
            return error(errno.EBUSY, "another thread is reading this watch")
        words: bytes = lib.ct_watch_error(self.address)
        return error(number, _words.of_python(words.decode("utf-8", "backslashreplace")))

    def wake(self) -> int:
        """Ends the wait that is under way, or the next one."""
        self.woken = True
        returned: int = lib.ct_watch_wake(self.address)
        return returned

    def buffer(self, size: int) -> ctypes.Array[ctypes.c_char]:
        """Room for so many events, which nobody else uses."""
        try:
            buffer = self.buffers.pop()
            if len(buffer) >= size * EVENT_SIZE:
                return buffer
        except IndexError:
            pass
        return (ctypes.c_char * (max(size, _BATCH) * EVENT_SIZE))()

    def __del__(self) -> None:
        if self.address:
            lib.ct_watch_close(self.address)


class Watch:
    """Tells what becomes of the entries that the filters select, from now on; with sync first of those that are there.

        with ctrack.Watch(ctrack.Filter(proto="udp"), sync=True) as watch:
            for event in watch:
                print(event)

    The filters select as those of list() do. With sync an entry that is selected only after a change is a NEW that `entered`, and
    one that is selected no more is a DESTROY that `left`; without it each event is judged by itself.

    netns: where to watch, as Conntrack takes it; Conntrack.watch() watches where that one works
    sync: list and watch: first the entries that are there (`initial`), then SYNCED, then what changes. Losses are repaired
    kinds: which events are told: of EventKind.NEW, UPDATE and DESTROY, or their names in any case; all if not given. LOST and
        SYNCED always are
    timeout: with sync, the longest silence of the kernel while listing, in seconds; 10 if not given
    receive_buffer: bytes for events that wait, at 1,280 each; 32 MiB if not given, or what the kernel grants (info)
    audit: with sync, how often to look for entries of which the kernel is silent, in seconds, as long as there may be any; None: never
    audit_all: with sync, each audit lists the whole table, whether the kernel may be silent or not
    max_entries: with sync, how many entries may be known, at about 96 bytes each; any number if not given
    enable: set the sysctl nf_conntrack_events of the namespace to 1, if it is not. It stays so
    reliable: not with sync: the kernel keeps destroyed entries until their event found room, so that no DESTROY is lost
    all_nsid: not with sync: events of all network namespaces that have an id in this one (Event.nsid). Needs CAP_NET_BROADCAST

    Errors of opening: InvalidArgumentError, a filter or an option is wrong; PermissionDeniedError, CAP_NET_ADMIN is missing (the
    text says where), or enable or all_nsid is not permitted; Error with EOPNOTSUPP, the kernel sends no events, or, without sync,
    a filter asks for labels or helper; with EPROTONOSUPPORT, it has no netfilter netlink; with EMFILE or ENFILE, too many open files; with
    ENOMEM; with ENOSYS, the library is older than 0.2. What is wrong with netns is as with Conntrack.

    Errors of reading: PermissionDeniedError, CAP_NET_ADMIN is missing by now; TimedOutError, the kernel fell silent while listing,
    which is tried again; Error with ENOSPC, there are more than max_entries, or with ENOMEM: said once, and not synced until there is room;
    with EBUSY, another thread is reading; with ENOTRECOVERABLE, an internal error. After all but the last one a watch goes on. Losses
    are no errors: they are events (EventKind.LOST). Everything raises ClosedError after close(), and ForkedError in a child process.

    Threads: one reads at a time; wake(), resync(), info and close() are for any of them, and for signal handlers. Waiting needs no
    GIL. Signals are handled meanwhile (Ctrl-C); a handler that raises just when events were read may cost them, which a gap in their
    numbers shows.
    """

    def __init__(
        self,
        *filters: Filter,
        netns: NetnsLike = None,
        sync: bool = False,
        kinds: EventKindsLike | None = None,
        timeout: float | None = None,
        receive_buffer: int | None = None,
        audit: float | None = _AUDIT,
        audit_all: bool = False,
        max_entries: int | None = None,
        enable: bool = False,
        reliable: bool = False,
        all_nsid: bool = False,
    ) -> None:
        self._native: _Native | None = None
        self._pid = os.getpid()
        # What loops have read and not told yet.
        self._pending: deque[Event] = deque()
        packed = pack_filters(filters)
        opts = options(
            sync,
            kinds,
            timeout,
            receive_buffer,
            audit,
            audit_all,
            max_entries,
            enable=enable,
            reliable=reliable,
            all_nsid=all_nsid,
        )
        native, self._where = _opened(opts, netns)
        returned = lib.ct_watch_start(native.address, packed, len(filters))
        if returned < 0:
            failed = native.failed(returned)
            # It goes now, and not with the traceback.
            del native
            raise failed
        native.fd = lib.ct_watch_fd(native.address)
        self._native = native

    def next_batch(self, max: int = _BATCH, timeout: float | None = None) -> list[Event]:
        """The events that are there, up to max of them, or the first that come; 64 to 256 at a time cost least.

        timeout: how long to wait for the first one, in seconds; 0: not at all; None: without limit

        Empty: nothing came in time, or wake() or close() ended the wait.
        """
        most = number("max", max, 1 << 16, 1)
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not timeout >= 0):
            raise invalid(f"timeout: {timeout!r} is no time in seconds")
        self._check_usable()
        kept: list[Event] = []
        while len(kept) < most:
            try:
                kept.append(self._pending.popleft())
            except IndexError:
                break
        return kept or self._next(most, timeout) or []

    def __iter__(self) -> _Events:
        """The events as they come. Ends with wake() or close(). What was read for a loop that was left comes with the next one, or with
        next_batch()."""
        self._check_usable()
        return self._each()

    def _each(self) -> _Events:
        pending = self._pending
        while True:
            try:
                event = pending.popleft()
            except IndexError:
                events = self._next(_BATCH, None) if self._native else None
                if not events:
                    return
                pending.extend(events)
            else:
                yield event

    def __aiter__(self) -> AsyncEvents:
        """The events as they come, for `async for`: waits through the running loop, and nothing of a task that was cancelled stays
        there. Ends as a loop without async does."""
        self._check_usable()
        return AsyncEvents(self)

    def fileno(self) -> int:
        """The descriptor to wait on, with selectors, select or poll: readable when next_batch() has something to do. It is an epoll
        set: do not read from it, and do not close it. It does not tell of events that a loop has read and not told."""
        native = self._usable()
        return native.fd

    def wake(self) -> None:
        """Ends the wait that is under way, or the next one: next_batch() returns nothing, a loop ends. For any thread and signal
        handler."""
        native = self._usable()
        native.wake()

    def resync(self) -> None:
        """With sync: lists the table again, as if events had been lost. What is not as it was told comes as events that are `found`,
        then SYNCED. For any thread and signal handler. InvalidArgumentError: the watch has no sync."""
        native = self._usable()
        if lib.ct_watch_resync(native.address) < 0:
            raise invalid("resync: the watch was opened without sync")

    @property
    def info(self) -> WatchInfo:
        """What it has done, and where it stands. For any thread."""
        native = self._usable()
        info = CWatchInfo(size=ctypes.sizeof(CWatchInfo))
        returned = lib.ct_watch_get_info(native.address, ctypes.byref(info))
        del native
        if returned < 0:
            raise error(returned)
        return info_of(info)

    def close(self) -> None:
        """Closes the watch. More than once is fine, and at any time: a wait of another thread ends, and it is closed when that thread has
        left it. Whatever was read and not told is dropped."""
        native, self._native = self._native, None
        self._pending.clear()
        if native is not None:
            native.wake()

    def __enter__(self) -> Self:
        self._check_usable()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        """For example "<ctrack.Watch: net:[4026532281], open>"."""
        state = "closed" if self._native is None else "open" if self._pid == os.getpid() else "of a parent process"
        return f"<ctrack.Watch: net:[{getattr(self, '_where', '?')}], {state}>"

    def _check_usable(self) -> None:
        self._usable()

    def _usable(self) -> _Native:
        """What the library gave: not closed, and not in a child process."""
        if self._pid != os.getpid():
            raise ForkedError(errno.ECHILD, "this watch was opened by a parent process; open one in this process")
        native = self._native
        if native is None:
            raise ClosedError(errno.EBADF, "this watch is closed")
        return native

    def _next(self, most: int, timeout: float | None) -> list[Event] | None:
        """Reads events, at least one. Nothing: none came in time. None: it was woken or closed."""
        native = self._usable()
        try:
            buffer = native.buffer(most)
            deadline = None if timeout is None else time.monotonic() + timeout
            longest = _LOOK if threading.get_ident() == threading.main_thread().ident else _LONGEST
            while True:
                left = math.inf if deadline is None else max(0, deadline - time.monotonic()) * 1000
                # Without limit only where no signal is handled.
                wait = -1 if left == math.inf and longest == _LONGEST else math.ceil(min(left, longest))
                filled = lib.ct_watch_next(native.address, buffer, most, wait)
                if filled < 0:
                    raise native.failed(filled)
                if filled:
                    events = unpack(memoryview(buffer)[: filled * EVENT_SIZE])
                    native.buffers.append(buffer)
                    return events
                if self._native is None:
                    return None
                if native.woken:
                    native.woken = False
                    return None
                if left == 0:
                    return []
        finally:
            # The frame may live on, in a traceback.
            del native


class AsyncEvents:
    """The events of a watch for `async for`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def __aiter__(self) -> AsyncEvents:
        return self

    async def __anext__(self) -> Event:
        """The next event; waits for it. Raises what reading raises."""
        import asyncio

        watch = self._watch
        pending = watch._pending
        while True:
            try:
                return pending.popleft()
            except IndexError:
                pass
            # However much happens, others have their turn.
            await asyncio.sleep(0)
            if watch._native is None:
                raise StopAsyncIteration
            if pending:
                continue
            events = watch._next(_BATCH, 0)
            if events is None:
                raise StopAsyncIteration
            pending.extend(events)
            if not events:
                await self._readable()

    async def _readable(self) -> None:
        """Waits through the running loop. What the library gave lives as long as this: closing it would take it out of the set
        that the loop watches, and no one would tell."""
        import asyncio

        native = self._watch._native
        if native is None:
            return
        loop = asyncio.get_running_loop()
        ready: Future[None] = loop.create_future()
        # A loop has one reader for each descriptor, and that of fileno() is the caller's.
        descriptor = os.dup(native.fd)
        try:
            loop.add_reader(descriptor, _tell, ready)
            try:
                await ready
            finally:
                loop.remove_reader(descriptor)
        finally:
            os.close(descriptor)
            del native


def _tell(ready: Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)


class Watcher(Opened):
    """The operations that watch."""

    def watch(
        self,
        *filters: Filter,
        sync: bool = False,
        kinds: EventKindsLike | None = None,
        timeout: float | None = None,
        receive_buffer: int | None = None,
        audit: float | None = _AUDIT,
        audit_all: bool = False,
        max_entries: int | None = None,
        enable: bool = False,
        reliable: bool = False,
        all_nsid: bool = False,
    ) -> Watch:
        """Opens a Watch of the network namespace of this object, with sockets of its own: it is closed by itself. Arguments and
        errors are those of Watch."""
        with self._pool.namespace() as netns:
            return Watch(
                *filters,
                netns=netns,
                sync=sync,
                kinds=kinds,
                timeout=timeout,
                receive_buffer=receive_buffer,
                audit=audit,
                audit_all=audit_all,
                max_entries=max_entries,
                enable=enable,
                reliable=reliable,
                all_nsid=all_nsid,
            )

    @property
    def portid(self) -> int:
        """The netlink port of the socket of the next operation: Event.portid of what it causes. Operations of several threads, and
        those in the body of a loop over a stream, have sockets of their own: see portids. ENOSYS: the library is older than 0.2."""
        port = ctypes.c_uint32()
        with self._pool.handle() as handle:
            returned = lib.ct_handle_get_portid(handle.address, ctypes.byref(port))
            if returned < 0:
                raise error(returned)
        return port.value

    @property
    def portids(self) -> frozenset[int]:
        """The netlink ports of all sockets of this object, of the last 1,024 that it opened: an event with one of them was caused by it."""
        self._pool.check_usable()
        return frozenset(self._pool.ports.copy())


def options(
    sync: bool,
    kinds: EventKindsLike | None,
    timeout: float | None,
    receive_buffer: int | None,
    audit: float | None,
    audit_all: bool,
    max_entries: int | None,
    *,
    enable: bool,
    reliable: bool,
    all_nsid: bool,
) -> CWatchOpts:
    """The arguments as the library takes them, without a namespace. It would refuse them without saying which."""
    opts = CWatchOpts(size=ctypes.sizeof(CWatchOpts))
    of_lists = {
        "timeout": timeout is not None,
        "audit": audit != _AUDIT,
        "audit_all": audit_all,
        "max_entries": max_entries is not None,
    }
    if not sync:
        for name, given in of_lists.items():
            if given:
                raise invalid(f"{name}: is given, but sync is not")
    for name, given in {"reliable": reliable, "all_nsid": all_nsid}.items():
        if given and sync:
            raise invalid(f"{name}: not together with sync")
    if audit_all and audit is None:
        raise invalid("audit_all: is given, but audit says never")
    flags = {WATCH_SYNC: sync, WATCH_ENABLE: enable, WATCH_RELIABLE: reliable}
    flags |= {WATCH_ALL_NSID: all_nsid, WATCH_AUDIT_ALL: audit_all}
    opts.flags = sum(flag for flag, given in flags.items() if given)
    for kind in () if kinds is None else event_kinds("kinds", kinds):
        if kind not in _KINDS:
            raise invalid(f"kinds: {kind} is not one of {', '.join(kind.name for kind in _KINDS)}")
        opts.events |= _KINDS[EventKind(kind)]
    if timeout is not None:
        opts.timeout_ms = millis("timeout", timeout)
    if receive_buffer is not None:
        opts.rcvbuf = number("receive_buffer", receive_buffer, _U32, 1)
    if sync:
        opts.audit_ms = _NEVER if audit is None else millis("audit", audit)
    if max_entries is not None:
        opts.max_entries = number("max_entries", max_entries, _U32, 1)
    return opts


def info_of(info: CWatchInfo) -> WatchInfo:
    """What the library says of a watch."""
    return WatchInfo(
        synced=info.flags & WATCH_IS_SYNCED != 0,
        may_be_silent=info.flags & WATCH_MAY_BE_SILENT != 0,
        events_mode=None if info.events_mode < 0 else info.events_mode,
        receive_buffer=info.rcvbuf,
        queued=info.queued,
        received=info.received,
        lost=info.lost,
        resyncs=info.resyncs,
        restarts=info.restarts,
        verified=info.verified,
        audited=info.audited,
        entries=info.entries,
    )


def _opened(opts: CWatchOpts, netns: NetnsLike) -> tuple[_Native, int]:
    """A watch that is not started, and the inode of its namespace."""
    descriptor = _namespace.opened(netns)
    try:
        stat = os.fstat(descriptor)
        is_elsewhere = _namespace.own_is() != (stat.st_dev, stat.st_ino)
        if is_elsewhere:
            opts.flags |= WATCH_NETNS
            opts.netns_fd = descriptor
        native = _Native()
        returned = lib.ct_watch_open(ctypes.byref(native.address), ctypes.byref(opts))
        if returned < 0:
            raise _not_opened(returned, opts, _namespace.called(netns) if is_elsewhere else None)
        return native, stat.st_ino
    finally:
        os.close(descriptor)


def _not_opened(returned: int, opts: Any, elsewhere: str | None) -> Error:
    if returned == -errno.ENOSYS:
        return error(errno.ENOSYS, "watch: needs libctrack 0.2 or later")
    if returned == -errno.EPERM and opts.flags & WATCH_ALL_NSID and not elsewhere:
        need = "CAP_NET_BROADCAST in the user namespace that owns the network namespace"
        return error(returned, f"watch: not permitted: all_nsid needs {need}")
    return not_opened(returned, elsewhere)
