# SPDX-License-Identifier: MIT OR Apache-2.0
"""The handles of one Conntrack: all in one network namespace, each used by one thread at a time.

There is no lock: a stream holds its handle while the body of the loop may delete, and the garbage collector may end a stream
at any moment, also while this very code runs. SimpleQueue and deque do each of their operations at once.

A signal handler may raise (Ctrl-C, a timeout by SIGALRM) between any two steps. So whatever was taken belongs to an object that
gives it back when it is dropped.
"""

from __future__ import annotations

import ctypes
import errno
import os
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from . import _namespace, _words
from ._native import OpenOpts, lib
from ._values import NetnsLike, millis, number
from .constants import OPEN_COMPARE_START, OPEN_NETNS
from .errors import ClosedError, Error, ForkedError, InvalidArgumentError, Result, error

#: Handles that are kept although nobody uses them.
_KEPT = 4
#: Ports of handles that are remembered.
_PORTS = 1024


class _Permit:
    """The permission to use one handle. It goes back to the queue it came from, also when it is dropped."""

    __slots__ = ("_home",)

    def __init__(self, home: SimpleQueue[_Permit]) -> None:
        self._home = weakref.ref(home)

    def __del__(self) -> None:
        home = self._home()
        if home is not None:
            home.put(_Permit(home))


class Handle:
    """One ct_handle."""

    address: ctypes.c_void_p | None = None
    usable = True
    #: While somebody uses it.
    permit: _Permit | None = None

    def __init__(self) -> None:
        self.address = ctypes.c_void_p()

    def failed(self, number: int, result: Result | None = None) -> Error:
        """The error for what a call on this handle returned."""
        if number == -errno.ENOTRECOVERABLE:
            self.usable = False
        words: bytes = lib.ct_handle_error(self.address)
        return error(number, _words.of_python(words.decode("utf-8", "backslashreplace")), result)

    def check(self, returned: int) -> int:
        """What a call returned, unless that is an error."""
        if returned < 0:
            raise self.failed(returned)
        return returned

    def close(self) -> None:
        """Closes it, once."""
        address, self.address = self.address, None
        if address is not None:
            lib.ct_handle_close(address)

    __del__ = close


class Pool:
    """Opens, lends and closes handles."""

    def __init__(
        self,
        netns: NetnsLike,
        timeout: float | None,
        rcvbuf: int | None,
        compare_start: bool,
        max_handles: int,
    ) -> None:
        self._netns = -1
        self.closed = True
        self._opts = options(timeout, rcvbuf, compare_start)
        self._patience = 10.0 if timeout is None else float(timeout)
        self._max = number("max_handles", max_handles, 1 << 16, 1)
        self._pid = os.getpid()
        self._idle: deque[Handle] = deque()
        #: The netlink ports of the last handles, closed ones too: what they caused may still be on its way to a watch.
        self.ports: deque[int] = deque(maxlen=_PORTS)
        self._permits: SimpleQueue[_Permit] = SimpleQueue()
        for _ in range(self._max):
            self._permits.put(_Permit(self._permits))
        self._netns = _namespace.opened(netns)
        self._name = _namespace.called(netns)
        stat = os.fstat(self._netns)
        self._where = (stat.st_dev, stat.st_ino)
        self.closed = False
        try:
            # What is wrong shows now, and not with the first use.
            self.give_back(self.take())
        except BaseException:
            self.close()
            raise

    def take(self) -> Handle:
        """A handle, for the caller alone. Waits while all of them are in use, but not forever."""
        self.check_usable()
        try:
            permit = self._permits.get(timeout=self._patience)
        except Empty:
            self.check_usable()
            text = f"all {self._max} handles of this Conntrack are in use; end streams, or raise max_handles"
            raise error(errno.EBUSY, text) from None
        try:
            try:
                handle = self._idle.pop()
            except IndexError:
                handle = self._open()
            # Afterwards: while this is not closed its namespace exists, so that no other one can have been taken for it.
            self.check_usable()
            handle.permit = permit
            return handle
        except BaseException:
            self._permits.put(permit)
            raise

    def give_back(self, handle: Handle) -> None:
        """Takes a handle back."""
        permit, handle.permit = handle.permit, None
        if self._pid != os.getpid() or not handle.usable:
            handle.close()
        else:
            self._idle.append(handle)
            # Looked at afterwards, so that neither close() nor another thread that gives back can slip in between.
            self._close_idle(0 if self.closed else _KEPT)
        if permit is not None:
            self._permits.put(permit)

    @contextmanager
    def handle(self) -> Iterator[Handle]:
        """A handle for one operation."""
        handle = self.take()
        try:
            yield handle
        finally:
            self.give_back(handle)

    def __str__(self) -> str:
        """The namespace, by what it was given as and as lsns and /proc have it, and whether this is open."""
        state = "closed" if self.closed else "open" if self._pid == os.getpid() else "of a parent process"
        return f"{self._name}, net:[{self._where[1]}], {state}"

    @contextmanager
    def namespace(self) -> Iterator[int]:
        """A copy of the descriptor of the namespace, which close() cannot take away meanwhile."""
        netns = -1
        try:
            self.check_usable()
            try:
                netns = os.dup(self._netns)
            finally:
                self.check_usable()
            yield netns
        finally:
            if netns >= 0:
                os.close(netns)

    def check_usable(self) -> None:
        """Not closed, and not in a child process."""
        if self._pid != os.getpid():
            raise ForkedError(errno.ECHILD, "this Conntrack was opened by a parent process; open one in this process")
        if self.closed:
            raise ClosedError(errno.EBADF, "this Conntrack is closed")

    def close(self) -> None:
        """Closes all handles that nobody uses; the others are closed by those who give them back."""
        self.closed = True
        self._close_idle(0)
        netns, self._netns = self._netns, -1
        if netns >= 0:
            os.close(netns)

    def _close_idle(self, keep: int) -> None:
        while len(self._idle) > keep:
            try:
                self._idle.popleft().close()
            except IndexError:
                return

    def _open(self) -> Handle:
        # A copy of one's own, which close() cannot take away meanwhile.
        opts = OpenOpts.from_buffer_copy(self._opts)
        netns = -1
        try:
            if _namespace.own_is() != self._where:
                try:
                    netns = os.dup(self._netns)
                finally:
                    # After close() that number may be somebody else's.
                    self.check_usable()
                opts.flags |= OPEN_NETNS
                opts.netns_fd = netns
            handle = Handle()
            assert handle.address is not None
            returned = lib.ct_handle_open(ctypes.byref(handle.address), ctypes.byref(opts))
            if returned < 0:
                raise not_opened(returned, self._name if netns >= 0 else None)
            port = ctypes.c_uint32()
            if lib.ct_handle_get_portid(handle.address, ctypes.byref(port)) == 0:
                self.ports.append(port.value)
            return handle
        finally:
            if netns >= 0:
                os.close(netns)


def options(timeout: float | None, rcvbuf: int | None, compare_start: bool) -> OpenOpts:
    """The arguments as the library takes them, without a namespace."""
    opts = OpenOpts(size=ctypes.sizeof(OpenOpts))
    if timeout is not None:
        opts.timeout_ms = millis("timeout", timeout)
    if rcvbuf is not None:
        opts.rcvbuf = number("rcvbuf", rcvbuf, 0xFFFFFFFF, 1)
    if compare_start:
        opts.flags |= OPEN_COMPARE_START
    return opts


def not_opened(returned: int, elsewhere: str | None) -> Error:
    """The error of an open; elsewhere: the name of the other namespace, if it is one."""
    if elsewhere and returned == -errno.EPERM:
        need = "CAP_SYS_ADMIN over it and in the caller's own user namespace"
        return error(returned, f"open: not permitted: another network namespace needs {need}")
    if elsewhere and returned == -errno.EINVAL:
        return InvalidArgumentError(errno.EINVAL, f"netns: {elsewhere} is no network namespace")
    reason: bytes = lib.ct_strerror(returned)
    return error(returned, f"open: {reason.decode()}")
