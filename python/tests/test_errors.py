# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every kind of error that the library has comes through, as the right exception, in words of Python.

The kernel misbehaves as tests/faults/faults.c makes it: the process that meets it is another one, with that preloaded.
"""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support import CAP_NET_ADMIN, drop_capability, in_thread, make, run, udp

import ctrack
from ctrack import Conntrack, Entry, Filter, Has, Status

REPOSITORY = Path(__file__).resolve().with_name("repository")
#: What no caller of this package can meet, and why.
OUT_OF_REACH = {
    "TooNew": "every struct that the package passes has the size that it was written for, and nothing behind that",
    "DumpOpen": "a stream has a handle for itself until its dump is ended",
    "NoDump": "a stream starts its dump before it reads, and ends it once",
}
REACHED = {
    "Invalid": "test_a_call_that_makes_no_sense",
    "Permission": "test_a_missing_capability",
    "Kernel": "test_a_kernel_that_misbehaves",
    "System": "test_a_kernel_that_misbehaves",
    "Timeout": "test_a_kernel_that_misbehaves",
    "Interrupted": "test_a_kernel_that_misbehaves",
    "Overrun": "test_a_kernel_that_misbehaves",
    "Truncated": "test_a_kernel_that_misbehaves",
    "Malformed": "test_a_kernel_that_misbehaves",
    "NoMemory": "test_a_kernel_that_misbehaves",
    "Hidden": "test_an_entry_that_is_out_of_reach",
    "Impossible": "test_an_entry_that_is_impossible",
    "NoFreeZone": "test_no_free_zone",
    "Full": "test_a_watch_that_may_know_no_more",
}


def check_words(text: str) -> None:
    """No word of C."""
    assert not re.search(r"\bct_|CT_|NULL|\.has\b|\bin has\b|^has\b|ctypes", text), text
    assert text and text == text.strip()


def refused(kind: type[ctrack.Error], number: int, body: Any, *arguments: Any, **more: Any) -> str:
    """The text with which a call is refused, which must be of this very class."""
    with pytest.raises(ctrack.Error) as caught:
        body(*arguments, **more)
    assert (type(caught.value), caught.value.errno) == (kind, number), repr(caught.value)
    assert caught.value.strerror is not None
    check_words(caught.value.strerror)
    return caught.value.strerror


def test_every_kind_of_error_is_tried_or_named_as_out_of_reach() -> None:
    source = (REPOSITORY / "error.rs").read_text()
    body = source.split("pub enum Error {", 1)[1].split("\n}\n", 1)[0]
    kinds = set(re.findall(r"^    ([A-Z]\w+) \{", body, re.MULTILINE))
    assert kinds == REACHED.keys() | OUT_OF_REACH.keys() and len(kinds) >= 16
    assert all(name in globals() for name in REACHED.values())


def altered(entry: Entry, at: int, *values: int) -> Entry:
    """An entry with other bytes: nobody gets one like this but from bytes of his own."""
    raw = bytearray(entry.raw)
    raw[at : at + len(values)] = bytes(values)
    return Entry.from_raw(raw)


def test_a_call_that_makes_no_sense(ct: Conntrack) -> None:
    flow = udp("10.0.0.1", 1, "10.0.0.2", 2)
    bits = int(flow.has)

    def announced(has: int) -> Entry:
        return altered(flow, 0, *has.to_bytes(8, sys.byteorder))

    esp = Entry(proto=50, orig_src="10.0.0.1", orig_dst="10.0.0.2", timeout=9)
    both_labels = altered(
        flow.change(add_labels=1),
        0,
        *int(flow.has | Has.LABELS | Has.LABELS_ADD | Has.LABELS_REMOVE).to_bytes(8, sys.byteorder),
    )
    calls: list[tuple[Any, tuple[Any, ...]]] = [
        (ct.delete, (Filter(),)),
        (ct.delete, (Filter(id=1),)),
        (ct.delete, ()),
        (ct.list, (Filter(exclude=True),)),
        (ct.flush, (Filter(),)),
        (ct.flush, (Filter(mark=0, mark_mask=0),)),
        (ct.flush, (Filter(orig_src="10.0.0.1"),)),
        (ct.flush, (Filter(exclude=True, zone=1),)),
        (ct.free_zone, (7, 3)),
        (ct.free_zone, (-1,)),
        (ct.create, ([flow.key()],)),
        (ct.create, ([flow, announced(bits | 1 << 60)],)),
        (ct.create, ([announced(bits & ~Has.TIMEOUT)],)),
        (ct.create, ([announced(bits & ~Has.PORTS)],)),
        (ct.create, ([altered(udp("10.0.0.1", 0, "10.0.0.2", 0), 0, *int(flow.has & ~Has.PORTS).to_bytes(8, sys.byteorder))],)),
        (ct.create, ([announced(int(Has.ORIG | Has.TIMEOUT | Has.ICMP))],)),
        (ct.create, ([announced(bits | Has.ZONE | Has.ORIG_ZONE)],)),
        (ct.create, ([announced(bits | Has.LABELS_ADD)],)),
        (ct.create, ([announced(bits | Has.MARK_MASK)],)),
        (ct.create, ([altered(esp, 0, *int(esp.has | Has.PORTS).to_bytes(8, sys.byteorder))],)),
        (ct.create, ([altered(esp, 0, *int(esp.has | Has.ICMP).to_bytes(8, sys.byteorder))],)),
        (ct.create, ([altered(flow, 62, 1)],)),
        (ct.create, ([udp("10.0.0.1", 1, "10.0.0.2", 2, status=Status.SRC_NAT)],)),
        (ct.create, ([udp("10.0.0.1", 1, "10.0.0.2", 2, helper="")],)),
        (ct.update, ([flow.key()],)),
        (ct.update, ([both_labels],)),
        (
            ct.update,
            ([altered(flow.change(add_labels=1), 0, *int(flow.key().has | Has.LABELS_ADD).to_bytes(8, sys.byteorder))],),
        ),
        (ct.get, (altered(flow, 255, 1),)),
        (ct.get, (altered(flow, 33, 1),)),
        (ct.delete_entries, ([announced(int(Has.ORIG))],)),
        (ctrack.open, ("/dev/null",)),
    ]
    texts = [refused(ctrack.InvalidArgumentError, errno.EINVAL, body, *arguments) for body, arguments in calls]
    print(*texts, sep="\n")
    assert len(set(texts)) >= len(texts) - 6
    assert texts[4].endswith("to flush everything use flush_all()")
    assert "entry[0].proto: TCP and UDP need ports, and none are announced" in texts
    assert "entry[0].orig_sport: is set, and the entry does not announce it" in texts


def test_a_missing_capability(ct: Conntrack) -> None:
    flow = udp("10.0.0.1", 1, "10.0.0.2", 2)

    def attempt() -> None:
        drop_capability(CAP_NET_ADMIN)
        calls: list[tuple[Any, tuple[Any, ...]]] = [
            (ct.list, ()),
            (lambda: list(ct.stream()), ()),
            (ct.get, (flow,)),
            (ct.count, ()),
            (ct.free_zone, ()),
            (ct.delete, (Filter(zone=1),)),
            (ct.delete_entries, ([flow],)),
            (ct.create, ([flow],)),
            (ct.update, ([flow.change(mark=1)],)),
            (ct.flush, (Filter(zone=1),)),
            (ct.flush_all, ()),
        ]
        for body, arguments in calls:
            assert "CAP_NET_ADMIN" in refused(ctrack.PermissionDeniedError, errno.EPERM, body, *arguments)

    in_thread(attempt)


def test_an_entry_that_is_out_of_reach(ct: Conntrack) -> None:
    one_way = {"reply_src": "1.1.1.1", "reply_sport": 1000, "reply_dst": "2.2.2.2", "reply_dport": 53, "orig_zone": 9}
    other = udp("2.2.2.2", 53, "1.1.1.1", 1000, reply_zone=7)
    make(ct, [udp("1.1.1.1", 1000, "2.2.2.2", 53, mark=42), other, udp("7.7.7.7", 7, "7.7.7.8", 7, **one_way)])
    text = refused(ctrack.HiddenError, errno.ENOTUNIQ, ct.delete, Filter(mark=42))
    assert "cannot be reached: its tuples lead to another entry, of protocol 17 src=" in text


def test_an_entry_that_is_impossible(ct: Conntrack) -> None:
    flow = udp("10.0.0.1", 1, "10.0.0.2", 2)
    assert "entry[1]: " in refused(ctrack.Error, errno.ETIME, ct.create, [flow, udp("10.0.0.1", 2, "10.0.0.2", 2, timeout=0)])
    refused(ctrack.Error, errno.EOPNOTSUPP, ct.create, [udp("10.0.0.1", 3, "10.0.0.2", 2, status=Status.EXPECTED)])
    nat = {"status": Status.DST_NAT, "reply_src": "10.0.0.2"}
    refused(ctrack.Error, errno.EINVAL, ct.create, [udp("10.0.0.1", 4, "10.0.0.2", 2, **nat)])
    refused(ctrack.Error, errno.ETIME, ct.update, [flow.change(timeout=0)])
    refused(ctrack.Error, errno.EBUSY, ct.update, [flow.change(status=Status.DYING)])


def test_no_free_zone(ct: Conntrack) -> None:
    make(ct, [udp("10.0.0.1", 1, "10.0.0.2", 2, zone=5)])
    assert refused(ctrack.Error, errno.ENOSPC, ct.free_zone, 5, 5) == "zone_find_free: no free zone from 5 to 5"


MISBEHAVING = """
import json, os, sys
import ctrack
from ctrack import Entry, Filter
flow = Entry(proto="udp", orig_src="10.0.0.1", orig_sport=1, orig_dst="10.0.0.2", orig_dport=2, timeout=60)
ct = ctrack.open(timeout=0.2)
ct.create([flow])
calls = {
    "list": lambda: ct.list(),
    "stream": lambda: list(ct),
    "get": lambda: ct.get(flow),
    "count": lambda: ct.count(),
    "delete": lambda: ct.delete(Filter(orig_src="10.0.0.1")),
    "delete_entries": lambda: ct.delete_entries([flow]),
    "create": lambda: ct.create([flow]),
    "update": lambda: ct.update([flow.change(mark=1)]),
    "flush": lambda: ct.flush(Filter(family="ipv4")),
    "open": lambda: ctrack.open(timeout=0.2),
}
for line in sys.stdin:
    fault, name = line.split()
    # Calls putenv(), so that what is preloaded sees it.
    os.environ["CTRACK_FAULT"] = fault
    try:
        said = ("nothing", 0, repr(calls[name]()), None)
    except ctrack.Error as error:
        said = (type(error).__name__, error.errno, error.strerror, error.result and list(error.result))
    except BaseException as error:
        said = (type(error).__name__, 0, str(error), None)
    del os.environ["CTRACK_FAULT"]
    print(json.dumps(said), flush=True)
print(json.dumps(("still", ct.count(), len(ct.list()), None)))
"""

#: fault, operation: class, errno, and what the text says.
FAULTS: list[tuple[str, str, str, int, str]] = [
    ("eperm", "list", "PermissionDeniedError", errno.EPERM, "CAP_NET_ADMIN"),
    ("eperm", "delete_entries", "PermissionDeniedError", errno.EPERM, "CAP_NET_ADMIN"),
    ("eperm", "flush", "PermissionDeniedError", errno.EPERM, "CAP_NET_ADMIN"),
    ("enospc", "create", "Error", errno.ENOSPC, "entry[0]: create_entries: no room in the entry's bucket of the table: kernel"),
    (
        f"refuse={errno.EOPNOTSUPP}",
        "list",
        "Error",
        errno.EOPNOTSUPP,
        "list: operation not supported: kernel: refused by a test",
    ),
    (f"refuse={errno.EOPNOTSUPP}", "get", "Error", errno.EOPNOTSUPP, "get: operation not supported"),
    (f"refuse={errno.EBUSY}", "delete_entries", "Error", errno.EBUSY, "entry[0]: delete_entries: in use"),
    (f"refuse={errno.ENOMEM}", "update", "Error", errno.ENOMEM, "entry[0]: update_entries: out of memory"),
    ("send-eio", "list", "Error", errno.EIO, "list: send"),
    ("send-eio", "create", "Error", errno.EIO, "send"),
    (f"receive={errno.EIO}", "count", "Error", errno.EIO, "count: "),
    (f"socket={errno.EMFILE}", "open", "Error", errno.EMFILE, "open: too many open files"),
    (f"socket={errno.EPROTONOSUPPORT}", "open", "Error", errno.EPROTONOSUPPORT, "no netfilter netlink"),
    ("silence", "list", "TimedOutError", errno.ETIMEDOUT, "no reply from the kernel within 200 ms"),
    ("silence", "get", "TimedOutError", errno.ETIMEDOUT, "no reply from the kernel within 200 ms"),
    ("silence", "delete_entries", "TimedOutError", errno.ETIMEDOUT, "no reply from the kernel within 200 ms"),
    ("drop", "count", "TimedOutError", errno.ETIMEDOUT, "no reply from the kernel within 200 ms"),
    ("intr", "list", "TableChangedError", errno.EAGAIN, "the table was resized or the dump was interrupted"),
    ("intr", "stream", "TableChangedError", errno.EAGAIN, "the table was resized or the dump was interrupted"),
    ("intr", "delete", "TableChangedError", errno.EAGAIN, "the table was resized or the dump was interrupted"),
    ("overrun", "list", "Error", errno.ENOBUFS, "replies were lost"),
    ("overrun", "stream", "Error", errno.ENOBUFS, "replies were lost"),
    ("truncated", "list", "Error", errno.EMSGSIZE, "was truncated"),
    ("truncated", "get", "Error", errno.EMSGSIZE, "was truncated"),
    ("malformed", "list", "Error", errno.EBADMSG, "list: "),
    ("malformed", "count", "Error", errno.EBADMSG, "count: "),
    ("malformed-attribute", "list", "Error", errno.EBADMSG, "list: "),
    ("nomem", "open", "Error", errno.ENOMEM, "out of memory"),
    ("nomem", "list", "Error", errno.ENOMEM, "out of memory"),
]


def test_a_kernel_that_misbehaves(netns: int, tmp_path: Path) -> None:
    shim = tmp_path / "faults.so"
    run("cc", "-std=gnu99", "-O1", "-shared", "-fPIC", "-o", str(shim), str(REPOSITORY / "faults.c"))
    asked = "".join(f"{fault} {name}\n" for fault, name, *_ in FAULTS)
    done = subprocess.run(
        [sys.executable, "-c", MISBEHAVING],
        input=asked,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LD_PRELOAD": str(shim)},
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == len(FAULTS) + 1
    wrong = []
    for (fault, name, *wanted), (kind, number, text, result) in zip(FAULTS, lines):
        print(f"{fault:20} {name:15} {kind} {number} {text} {result}")
        if [kind, number] != wanted[:2] or wanted[2] not in text:
            wrong.append((fault, name, kind, number, text))
            continue
        check_words(text)
        if result is not None:
            assert result[0] == result[1] + result[2] + result[3] + result[7]
    assert not wrong
    assert lines[-1][0] == "still", "the object is usable afterwards"


def test_a_child_and_a_closed_object(ct: Conntrack) -> None:
    pid = os.fork()
    if pid == 0:
        try:
            refused(ctrack.ForkedError, errno.ECHILD, ct.list)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    ct.close()
    refused(ctrack.ClosedError, errno.EBADF, ct.list)


def test_a_watch_that_may_know_no_more(ct: Conntrack) -> None:
    ct.create([udp("10.0.0.1", 1, "10.0.0.2", 2), udp("10.0.0.1", 2, "10.0.0.2", 2)])
    with ct.watch(sync=True, max_entries=1) as watch:
        watch.next_batch(1, 60)
        assert "more than 1 entries" in refused(ctrack.Error, errno.ENOSPC, watch.next_batch)
