# SPDX-License-Identifier: MIT OR Apache-2.0
"""Threads, namespaces, capabilities, child processes: whose handle is used, where, and what becomes of it."""

from __future__ import annotations

import errno
import gc
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from support import (
    CAP_NET_ADMIN,
    CAP_SYS_ADMIN,
    cli_count,
    cli_table,
    drop_capability,
    in_thread,
    inside,
    make,
    new_netns,
    open_descriptors,
    setns,
    udp,
)

import ctrack
from ctrack import Filter, _native


def fill(ct: ctrack.Conntrack, count: int, **more: Any) -> None:
    make(ct, [udp(f"10.1.{n >> 8}.{n & 255}", n % 60000, "10.2.0.1", 53, **more) for n in range(count)])


def test_many_threads_use_one_object(ct: ctrack.Conntrack) -> None:
    for zone in range(16):
        fill(ct, 300, zone=zone)

    def work(zone: int) -> tuple[int, int, int]:
        listed = len(ct.list(Filter(zone=zone)))
        streamed = sum(1 for entry in ct if entry.zone == zone)
        return listed, streamed, ct.delete(Filter(zone=zone)).done

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(work, range(16))) == [(300, 300, 300)] * 16
    assert cli_count() == 0


def test_the_body_of_a_loop_may_delete_and_list(ct: ctrack.Conntrack) -> None:
    fill(ct, 2000, zone=3)
    fill(ct, 500, zone=4)
    deleted = 0
    for entry in ct.stream(Filter(zone=3)):
        deleted += ct.delete_entries([entry]).done
        if deleted % 500 == 0:
            assert len(ct.list(Filter(zone=4))) == 500
    assert deleted == 2000
    assert ct.count() == cli_count() == 500


def test_a_stream_that_is_left_early_gives_its_handle_back(netns: int) -> None:
    with ctrack.open(max_handles=1, timeout=0.2) as ct:
        fill(ct, 1000)
        for leave in ("break", "close", "forget", "raise"):
            stream = ct.stream()
            next(stream)
            with pytest.raises(ctrack.Error, match="in use") as caught:
                ct.count()
            assert caught.value.errno == errno.EBUSY, "the only handle is in use, and nobody waits forever"
            if leave == "close":
                stream.close()
            elif leave == "raise":
                with pytest.raises(KeyError):
                    stream.throw(KeyError())
            del stream
            gc.collect()
            assert ct.count() == 1000
        assert len(list(ct)) == 1000
        never_begun = ct.stream()
        assert ct.count() == 1000
        del never_begun


def test_streams_that_overlap_are_each_complete(ct: ctrack.Conntrack) -> None:
    fill(ct, 3000)
    streams = [iter(ct.stream()) for _ in range(8)]
    seen: list[set[int | None]] = [set() for _ in streams]
    for _ in range(3000):
        for stream, ids in zip(streams, seen):
            ids.add(next(stream).id)
    assert all(ids == seen[0] and len(ids) == 3000 for ids in seen)
    assert [next(stream, None) for stream in streams] == [None] * 8


def test_close_while_operations_are_under_way_ends_in_peace(netns: int) -> None:
    ct = ctrack.open(timeout=5)
    fill(ct, 5000)
    descriptors = open_descriptors()
    outcomes: list[str] = []
    started = threading.Barrier(9)

    def work(number: int) -> None:
        started.wait()
        try:
            while True:
                listed = ct.list() if number % 2 else list(ct)
                assert len(listed) == 5000
        except ctrack.ClosedError as error:
            assert error.errno == errno.EBADF and isinstance(error, ValueError)
            outcomes.append("closed")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    stream = ct.stream()
    next(stream)
    started.wait()
    ct.close()
    for thread in threads:
        thread.join(60)
    assert outcomes == ["closed"] * 8
    with pytest.raises(ctrack.ClosedError):
        list(stream)
    assert open_descriptors() < descriptors
    ct.close()
    for call in (ct.count, ct.list, ct.flush_all, lambda: list(ct), ct.__enter__, lambda: ct.delete(Filter(zone=1))):
        with pytest.raises(ctrack.ClosedError):
            call()
    assert cli_count() == 5000


def test_idle_handles_are_closed_but_for_a_few_and_no_descriptor_is_lost(netns: int) -> None:
    before = open_descriptors()
    for _ in range(3):
        with ctrack.open() as ct:
            fill(ct, 300)
            # The namespace, and up to two for each handle: its socket, and the namespace that it may have to return to.
            assert before + 2 <= open_descriptors() <= before + 3
            streams = [ct.stream() for _ in range(20)]
            for stream in streams:
                next(stream)
            assert before + 21 <= open_descriptors() <= before + 41
            for stream in streams:
                stream.close()
            assert before + 5 <= open_descriptors() <= before + 9
            ct.flush_all()
        assert open_descriptors() == before
    ct = ctrack.open()
    del ct
    gc.collect()
    assert open_descriptors() == before


def test_descriptors_are_closed_on_exec(netns: int) -> None:
    with ctrack.open() as ct:
        ct.count()
        for name in os.listdir("/proc/self/fd"):
            if os.path.exists(f"/proc/self/fd/{name}") and int(name) > 2:
                target = os.readlink(f"/proc/self/fd/{name}")
                assert not target.startswith("socket:") or not os.get_inheritable(int(name))


def test_the_namespace_is_that_of_the_opener_whatever_thread_asks(ct: ctrack.Conntrack) -> None:
    fill(ct, 100)
    other = new_netns()

    def elsewhere() -> tuple[int, int]:
        streams = [ct.stream() for _ in range(6)]
        first = [next(stream) for stream in streams]
        assert len(first) == 6
        with ctrack.open() as own:
            return ct.count(), own.count()

    assert inside(other, elsewhere) == (100, 0)
    inside(other, lambda: ct.delete(Filter(proto="udp", orig_sport=(0, 49))))
    assert cli_count() == 50
    with inside(other, ctrack.open) as there:
        assert there.count() == 0 and ct.count() == 50
    os.close(other)


def test_a_namespace_is_given_by_descriptor_or_by_path(ct: ctrack.Conntrack, netns: int) -> None:
    fill(ct, 10)
    other = new_netns()
    path = f"/proc/self/fd/{other}"
    for where in (other, path, Path(path)):
        with ctrack.open(where) as there:
            fill(there, 7)
            assert (there.count(), ct.count(), inside(other, cli_count)) == (7, 10, 7)
            there.flush_all()
    with ctrack.open(netns) as same, ctrack.Conntrack(netns="/proc/thread-self/ns/net") as too:
        assert same.count() == too.count() == 10
    os.fstat(other)
    os.close(other)
    assert ct.count() == 10


def test_what_is_no_namespace_is_refused_and_nothing_is_left_open(netns: int, tmp_path: Path) -> None:
    before = open_descriptors()
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(FileNotFoundError):
        ctrack.open(tmp_path / "missing")
    with pytest.raises(OSError) as caught:
        ctrack.open(99999)
    assert caught.value.errno == errno.EBADF
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for wrong in (file, fifo, "/proc/self/ns/uts", "a\0b", 1 << 80, True, 1.5):
        with pytest.raises(ValueError, match="netns"):
            ctrack.open(wrong)  # type: ignore[arg-type]
    wrong_options: list[dict[str, Any]] = [{"timeout": value} for value in (0, -1, float("nan"), "1", True, 1e12)]
    wrong_options += [{"rcvbuf": value} for value in (0, -1, 1 << 32)]
    wrong_options += [{"max_handles": value} for value in (0, -1, None)]
    for options in wrong_options:
        with pytest.raises(ValueError, match=next(iter(options))):
            ctrack.open(**options)
    gc.collect()
    assert open_descriptors() == before
    with ctrack.open(timeout=0.5, rcvbuf=1 << 20, compare_start=True, max_handles=1) as ct:
        fill(ct, 10)
        assert ct.delete(Filter(proto="udp")).done == 10


def test_without_cap_sys_admin_one_s_own_namespace_works_and_another_is_refused(ct: ctrack.Conntrack, netns: int) -> None:
    fill(ct, 10)
    other = new_netns()

    def body() -> None:
        drop_capability(CAP_SYS_ADMIN)
        with ctrack.open() as own, ctrack.open(netns) as given:
            assert own.count() == given.count() == 10
            assert len(list(zip(own, own, own))) == 10, "more handles, opened later"
        with pytest.raises(PermissionError, match="CAP_SYS_ADMIN"):
            ctrack.open(other)

    in_thread(body)
    os.close(other)


def test_without_cap_net_admin_every_call_says_so_and_changes_nothing(ct: ctrack.Conntrack) -> None:
    fill(ct, 10, zone=7)
    before = cli_table()
    ten_thousand = [udp("9.9.9.9", n, "8.8.8.8", 1) for n in range(10_000)]
    listed = ct.list()

    def body() -> None:
        drop_capability(CAP_NET_ADMIN)
        with ctrack.open(timeout=60) as own:
            calls: list[Callable[[], object]] = [
                lambda: own.list(),
                lambda: own.list(Filter(zone=7)),
                lambda: next(own.stream()),
                lambda: own.get(listed[0]),
                lambda: own.count(),
                lambda: own.free_zone(),
                lambda: own.delete(Filter(zone=7)),
                lambda: own.delete_entries(listed),
                lambda: own.flush(Filter(zone=7)),
                lambda: own.flush_all(),
                lambda: ct.count(),
            ]
            for number, call in enumerate(calls):
                with pytest.raises(PermissionError, match="CAP_NET_ADMIN.*net:") as caught:
                    call()
                assert caught.value.errno == errno.EPERM and isinstance(caught.value, ctrack.Error), number
            for batch in (own.delete_entries, own.create, own.update):
                changes = [e.change(mark=1) for e in ten_thousand] if batch == own.update else ten_thousand
                with pytest.raises(ctrack.PermissionDeniedError) as refused:
                    batch(changes)
                result = refused.value.result
                assert result is not None and result[:5] == (10_000, 0, 0, 10_000, errno.EPERM)
                assert result.statuses == (errno.EPERM,) * 10_000

    in_thread(body)
    assert cli_table() == before


def in_child(body: Any) -> int:
    """Runs something in a forked child; its exit code."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(60)
            body()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_child_process_gets_a_clear_error_and_opens_its_own(ct: ctrack.Conntrack) -> None:
    fill(ct, 1000)
    stream = ct.stream()
    next(stream)

    def child() -> None:
        for call in (ct.count, ct.list, lambda: next(ct.stream()), ct.flush_all, lambda: list(stream)):
            with pytest.raises(ChildProcessError, match="parent process") as caught:
                call()
            assert caught.value.errno == errno.ECHILD and isinstance(caught.value, ctrack.Error)
        ct.close()
        with ctrack.open() as own:
            assert own.count() == 1000
            assert own.delete(Filter(proto="udp", orig_sport=0)).done == 1

    assert in_child(child) == 0
    assert sum(1 for _ in stream) in (998, 999), "the stream of the parent goes on"
    assert ct.count() == 999


def test_a_handle_that_is_not_recoverable_is_never_used_again(ct: ctrack.Conntrack, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(ct, 10)
    first = ct._pool._idle[0]
    real = _native.lib.ct_count
    monkeypatch.setattr(_native.lib, "ct_count", lambda *_: -errno.ENOTRECOVERABLE)
    with pytest.raises(ctrack.Error) as caught:
        ct.count()
    assert caught.value.errno == errno.ENOTRECOVERABLE
    monkeypatch.setattr(_native.lib, "ct_count", real)
    assert first.address is None, "it is closed"
    assert ct.count() == 10
    assert ct._pool._idle[0] is not first


def test_a_thread_may_move_to_another_namespace_under_an_open_object(ct: ctrack.Conntrack) -> None:
    fill(ct, 5)
    other = new_netns()

    def moving() -> list[int]:
        counts = [ct.count()]
        setns(other)
        counts.append(ct.count())
        counts += [sum(1 for _ in zip(ct, ct, ct, ct, ct))]
        return counts

    assert in_thread(moving) == [5, 5, 5]
    os.close(other)
