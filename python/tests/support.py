# SPDX-License-Identifier: MIT OR Apache-2.0
"""What the tests share: namespaces, capabilities, makers of entries, and the `conntrack` program as a witness."""

from __future__ import annotations

import ctypes
import errno
import functools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import ctrack
from ctrack import Entry

T = TypeVar("T")
CLONE_NEWNET = 0x40000000
CAP_NET_ADMIN = 12
CAP_SYS_ADMIN = 21
_PATH = os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
_libc = ctypes.CDLL(None, use_errno=True)
_SYS = {"x86_64": (125, 126), "aarch64": (90, 91)}


def _checked(returned: int) -> None:
    if returned < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def setns(fd: int, kind: int = CLONE_NEWNET) -> None:
    """Moves this thread into a namespace."""
    _checked(_libc.setns(fd, kind))


def in_thread(body: Callable[[], T]) -> T:
    """Runs something on a thread of its own: namespaces and capabilities belong to threads."""
    results: list[T] = []
    errors: list[BaseException] = []

    def target() -> None:
        try:
            results.append(body())
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def new_netns() -> int:
    """A descriptor of a new network namespace; this thread stays where it is."""

    def make() -> int:
        _checked(_libc.unshare(CLONE_NEWNET))
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY)

    return in_thread(make)


def inside(netns: int, body: Callable[[], T]) -> T:
    """Runs something on a thread in another network namespace."""

    def entered() -> T:
        setns(netns)
        return body()

    return in_thread(entered)


def drop_capability(which: int) -> None:
    """Takes a capability from this thread, for good."""
    get, set_ = _SYS[os.uname().machine]
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    data = (ctypes.c_uint32 * 6)()
    _checked(_libc.syscall(get, header, data))
    for word in range(3):
        data[word] &= ~(1 << which)
    _checked(_libc.syscall(set_, header, data))


def run(*command: str, stdin: str = "") -> str:
    """Runs a program that must succeed; what it prints."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env={**os.environ, "PATH": _PATH})
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


@functools.lru_cache(None)
def missing_programs() -> str:
    """The programs that the tests need and that are not there."""
    wanted = ("conntrack", "nft", "ip", "cc")
    return ", ".join(name for name in wanted if shutil.which(name, path=_PATH) is None)


def cli(*options: str) -> list[str]:
    """The lines of `conntrack -L` with these options, of both families."""
    return [line for family in ("ipv4", "ipv6") for line in run("conntrack", "-L", "-f", family, *options).splitlines()]


def cli_count() -> int:
    """The kernel's count, as the `conntrack` program reads it."""
    return int(run("conntrack", "-C"))


def cli_ids(*options: str) -> set[int]:
    """The ids of the entries that `conntrack -L` shows."""
    return {int(line.rsplit(" id=", 1)[1]) for line in cli("-o", "id", *options)}


def cli_table() -> set[str]:
    """All entries as the program shows them, with their ids, but for what changes by itself."""

    def stable(line: str) -> str:
        words = line.split()
        return " ".join(word for word in words[:2] + words[3:] if not word.startswith("use="))

    return {stable(line) for line in cli("-o", "id")}


def sysctl(name: str, value: int) -> None:
    """Sets net.netfilter.NAME of this network namespace."""
    with open(f"/proc/sys/net/netfilter/{name}", "w") as file:
        file.write(str(value))


def nft(rules: str) -> None:
    """Loads nftables rules."""
    # nft before 1.0.7 wants the brace that closes a block on a line of its own.
    run("nft", "-f", "-", stdin=rules.replace("; }", ";\n}"))


def ids(entries: Iterable[Entry]) -> set[int]:
    """The ids of listed entries. Repeats are an error."""
    listed = [entry.id for entry in entries]
    assert len(set(listed)) == len(listed) and None not in listed, "an entry comes twice, or without an id"
    return {number for number in listed if number is not None}


def make(ct: ctrack.Conntrack, entries: Iterable[Entry]) -> None:
    """Creates entries, all of which must succeed."""
    given = list(entries)
    result = ct.create(given)
    assert result == (len(given), len(given), 0, 0, 0, False, (0,) * len(given), 0, False)


@functools.cache
def keeps_ports(proto: str) -> bool:
    """Whether the kernel keeps ports of a protocol: DCCP has none from 6.16 on."""

    def made() -> bool:
        with ctrack.open() as ct:
            try:
                ct.create([Entry(proto=proto, orig_src="1.1.1.1", orig_dst="2.2.2.2", orig_sport=1, orig_dport=2, timeout=9)])
            except ctrack.Error as error:
                assert error.errno == errno.EOPNOTSUPP and "keeps no ports" in str(error)
                return False
        return True

    netns = new_netns()
    try:
        return inside(netns, made)
    finally:
        os.close(netns)


def dccp(src: str, sport: int, dst: str, dport: int, **more: Any) -> Entry:
    """A DCCP entry to create, with ports where the kernel keeps them."""
    ports = {"orig_sport": sport, "orig_dport": dport} if keeps_ports("dccp") else {}
    return Entry(proto="dccp", orig_src=src, orig_dst=dst, **{"timeout": 3000, **ports, **more})


def tcp(src: str, sport: int, dst: str, dport: int, **more: Any) -> Entry:
    """An established TCP entry to create."""
    more = {"timeout": 36000, "tcp_state": ctrack.TcpState.ESTABLISHED, **more}
    return Entry(proto="tcp", orig_src=src, orig_sport=sport, orig_dst=dst, orig_dport=dport, **more)


def udp(src: str, sport: int, dst: str, dport: int, **more: Any) -> Entry:
    """A UDP entry to create."""
    more = {"timeout": 36000, **more}
    return Entry(proto="udp", orig_src=src, orig_sport=sport, orig_dst=dst, orig_dport=dport, **more)


def echo(src: str, dst: str, id: int, **more: Any) -> Entry:
    """An ICMP or ICMPv6 echo entry to create."""
    proto, kind = ("icmpv6", 128) if ":" in src else ("icmp", 8)
    more = {"timeout": 36000, **more}
    return Entry(proto=proto, orig_src=src, orig_dst=dst, icmp_type=kind, icmp_code=0, icmp_id=id, **more)


def plain(proto: int, src: str, dst: str, **more: Any) -> Entry:
    """An entry of a protocol without ports to create."""
    more = {"timeout": 36000, **more}
    return Entry(proto=proto, orig_src=src, orig_dst=dst, **more)


def identity(entry: Entry) -> tuple[Any, ...]:
    """What tells connections apart, of a listed entry or of one to create."""
    ports = (entry.orig_sport, entry.orig_dport, entry.icmp_type, entry.icmp_code, entry.icmp_id)
    return (entry.family, entry.proto, entry.orig_src, entry.orig_dst, ports, entry.orig_zone, entry.reply_zone)


def by_hand(entry: Entry) -> Entry:
    """The key that somebody would write: original tuple and zone, no id."""
    fields: dict[str, Any] = {"proto": entry.proto, "orig_src": entry.orig_src, "orig_dst": entry.orig_dst}
    for name in ("orig_sport", "orig_dport", "icmp_type", "icmp_code", "icmp_id"):
        fields[name] = getattr(entry, name)
    both = entry.orig_zone == entry.reply_zone
    name = "zone" if both else "orig_zone" if entry.orig_zone else "reply_zone"
    return Entry(**{**fields, name: entry.zone})


def agree(attempt: Callable[[], list[str]]) -> None:
    """Timeouts tick, references are held for a moment: a disagreement counts only if it stays."""
    differences: list[str] = []
    for _ in range(40):
        differences = attempt()
        if not differences:
            return
        time.sleep(0.05)
    raise AssertionError(f"{len(differences)} differences:\n" + "\n".join(differences[:5]))


def open_descriptors() -> int:
    """How many descriptors this process has."""
    return len(os.listdir("/proc/self/fd"))
