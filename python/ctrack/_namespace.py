# SPDX-License-Identifier: MIT OR Apache-2.0
"""Network namespaces: by name, path or descriptor, and that of the calling thread."""

from __future__ import annotations

import errno
import fcntl
import os
import socket

from ._values import NetnsLike
from .errors import Error, error, invalid

_OWN_NETNS = "/proc/thread-self/ns/net"
#: Where `ip netns` and all that is like it keep namespaces by name.
_NAMED = "/run/netns"
#: linux/sockios.h: gives a descriptor of the network namespace of a socket.
_SIOCGSKNS = 0x894C


def called(netns: NetnsLike) -> str:
    """What texts call a namespace that was given."""
    if netns is None:
        return "the caller's namespace"
    return f"descriptor {netns:d}" if isinstance(netns, int) else repr(os.fspath(netns))


def own_is() -> tuple[int, int]:
    """What tells the network namespace of this thread from others."""
    try:
        stat = os.stat(_OWN_NETNS)
    except OSError:
        opened = _own_by_socket()
        try:
            stat = os.fstat(opened)
        finally:
            os.close(opened)
    return stat.st_dev, stat.st_ino


def opened(netns: NetnsLike) -> int:
    """A descriptor of our own of the network namespace to work in."""
    try:
        if netns is None:
            return _open_own()
        if isinstance(netns, bool):
            raise invalid(f"netns: {netns!r} is neither a name, a path nor a descriptor")
        if isinstance(netns, int):
            return _copy(netns)
        if isinstance(netns, str) and "/" not in netns:
            return _open_named(netns)
        # Without O_NONBLOCK a FIFO at this path would be waited for.
        return os.open(netns, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except Error:
        raise
    except ValueError as wrong:
        raise invalid(f"netns: {wrong}") from None
    except TypeError:
        raise invalid(f"netns: {netns!r} is neither a name, a path nor a descriptor") from None
    except OverflowError:
        raise invalid(f"netns: {netns!r} is no descriptor") from None


def _open_own() -> int:
    try:
        return os.open(_OWN_NETNS, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return _own_by_socket()


def _own_by_socket() -> int:
    """The same where /proc is not mounted, or is that of other processes. The kernel wants the capability that all of this wants."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
        try:
            # Close-on-exec: linux/net/socket.c, as every descriptor of a namespace.
            return fcntl.ioctl(own, _SIOCGSKNS)
        except PermissionError:
            need = "CAP_NET_ADMIN in the user namespace that owns the network namespace"
            raise error(errno.EPERM, f"open: not permitted: without /proc needs {need}") from None


def _copy(descriptor: int) -> int:
    try:
        return os.dup(descriptor)
    except OSError as wrong:
        raise OSError(wrong.errno, f"netns: descriptor {descriptor:d}: {wrong.strerror}") from None


def _open_named(name: str) -> int:
    if name in ("", ".", ".."):
        raise invalid(f"netns: {name!r} is no name of a network namespace")
    path = f"{_NAMED}/{name}"
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        try:
            known = ", ".join(sorted(os.listdir(_NAMED))) or "none"
        except OSError:
            known = "none"
        text = f"netns: no network namespace has the name {name!r} (there are: {known}; a path has a slash in it)"
        raise FileNotFoundError(errno.ENOENT, text, path) from None
