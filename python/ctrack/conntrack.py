# SPDX-License-Identifier: MIT OR Apache-2.0
"""The object that has the operations; each chapter of them is a module of its own."""

from __future__ import annotations

from ._change import Changer
from ._delete import Deleter
from ._dump import Dumper
from ._flush import Flusher
from ._read import Reader
from ._table import Administrator
from ._watch import Watcher


class Conntrack(Reader, Dumper, Deleter, Changer, Flusher, Administrator, Watcher):
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

    watch() opens a Watch of the same namespace, which has sockets of its own and outlives the object.

    close() may be called at any time: operations under way end in peace, whatever comes afterwards is refused with ClosedError.

    A child process (os.fork()) cannot use the object of its parent: every call fails with ForkedError, a ChildProcessError.

    An operation that fails raises an Error; if it has a Result, `error.result` says what was done all the same.
    """
