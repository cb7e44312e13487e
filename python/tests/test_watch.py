# SPDX-License-Identifier: MIT OR Apache-2.0
"""Watches on the kernel, each in a network namespace of its own. SEED=n repeats a run."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import errno
import json
import os
import pickle
import random
import re
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest
from support import (
    CAP_NET_ADMIN,
    agree,
    cli,
    drop_capability,
    in_thread,
    inside,
    make,
    new_netns,
    open_descriptors,
    sysctl,
    udp,
)
from test_interrupts import strike

import ctrack
from ctrack import Conntrack, Entry, Event, EventFlags, EventKind, Filter, Watch, _native, _watch

CAP_NET_BROADCAST = 11
KINDS = {"NEW", "UPDATE", "DESTROY"}


def flow(port: int, **more: Any) -> Entry:
    return udp("10.0.0.1", port, "10.0.0.2", 53, **more)


def ports(events: list[Event]) -> list[int | None]:
    return [event.entry.orig_sport for event in events if event.entry]


def kinds(events: list[Event]) -> list[EventKind | int]:
    return [event.kind for event in events]


def read(watch: Watch, count: int) -> list[Event]:
    """So many events; the test hangs, and is ended from outside, if they do not come."""
    events: list[Event] = []
    while len(events) < count:
        events += watch.next_batch(count - len(events), 60)
    return events


@pytest.fixture(autouse=True)
def reporting(netns: int) -> None:
    """Entries report what becomes of them, also those that are made before anybody listens."""
    sysctl("nf_conntrack_events", 1)


def test_changes_are_told_by_filter_in_their_order_with_who_caused_them(ct: Conntrack) -> None:
    with ct.watch(Filter(proto="udp", orig_sport=(1, 9))) as watch:
        make(ct, [flow(1), flow(10), udp("10.0.0.1", 2, "10.0.0.2", 53)])
        ct.update([flow(1).change(mark=7)])
        ct.delete_entries([flow(10), flow(1)])
        events = read(watch, 4)
        assert kinds(events) == [EventKind.NEW, EventKind.NEW, EventKind.UPDATE, EventKind.DESTROY]
        assert ports(events) == [1, 2, 1, 1] and [event.number for event in events] == [1, 2, 3, 4]
        assert all(event.portid == ct.portid and event.portid in ct.portids and not event.flags for event in events)
        assert events[2].entry and events[2].entry.mark == 7 and events[2].lost == 0 and events[2].nsid is None
        assert watch.next_batch(timeout=0) == [] and watch.info.received >= 4 and watch.info.lost == 0
        with ctrack.open() as other:
            other.delete_entries([flow(2)])
            assert {event.portid for event in read(watch, 1)} == {other.portid} != {ct.portid}


def test_only_the_kinds_that_are_asked_for_are_told(ct: Conntrack) -> None:
    given: list[tuple[Any, set[str]]] = [(None, KINDS), ("destroy", {"DESTROY"}), (EventKind.NEW, {"NEW"})]
    given += [(["UPDATE", 3], {"UPDATE", "DESTROY"}), (iter([EventKind.UPDATE]), {"UPDATE"})]
    for wanted, told in given:
        with ct.watch(kinds=wanted) as watch:
            make(ct, [flow(1)])
            ct.update([flow(1).change(mark=7)])
            ct.delete_entries([flow(1)])
            assert [getattr(event.kind, "name", None) for event in watch.next_batch(timeout=9)] == sorted(
                told, key=["NEW", "UPDATE", "DESTROY"].index
            )


def test_a_list_comes_first_and_what_enters_and_leaves_the_selection_is_told(ct: Conntrack) -> None:
    # As if nobody on this machine had listened: with 2 that is what decides.
    sysctl("nf_conntrack_events", 0)
    make(ct, [flow(1, mark=1), flow(2)])
    sysctl("nf_conntrack_events", 2)
    with ct.watch(Filter(mark=1), sync=True) as watch:
        first = read(watch, 2)
        assert kinds(first) == [EventKind.NEW, EventKind.SYNCED] and first[0].initial and first[0].flags == EventFlags.INITIAL
        assert first[1].entry is None and str(first[1]) == " [SYNCED]" and watch.info.synced and watch.info.entries >= 1
        # The kernel is silent of what was made before: only a list finds that.
        assert watch.info.may_be_silent and watch.info.events_mode == 2
        make(ct, [flow(3)])
        ct.update([flow(3).change(mark=1)])
        (entered,) = read(watch, 1)
        assert (entered.kind, entered.entered, ports([entered])) == (EventKind.NEW, True, [3])
        ct.update([flow(3).change(mark=2)])
        (left,) = read(watch, 1)
        assert (left.kind, left.left, ports([left])) == (EventKind.DESTROY, True, [3])
        ct.delete_entries([flow(1)])
        watch.resync()
        found, synced = read(watch, 2)
        assert (found.kind, found.found, ports([found]), synced.kind) == (EventKind.DESTROY, True, [1], EventKind.SYNCED)
        assert watch.info.resyncs == 1


def test_a_watch_adds_up_to_the_table_whatever_is_lost(ct: Conntrack) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"SEED={seed}")
    choose = random.Random(seed)

    def churn() -> None:
        chance = random.Random(choose.random())
        with ctrack.open() as own:
            for _ in range(20):
                some = [flow(port) for port in chance.sample(range(1, 2000), 200)]
                for work in chance.choices([own.create, own.update, own.delete_entries], [3, 2, 1], k=3):
                    wanted = [entry.change(mark=chance.randrange(4)) for entry in some] if work == own.update else some
                    try:
                        work(wanted)
                    except ctrack.Error as error:
                        assert error.errno in (errno.EEXIST, errno.ENOENT), error

    mirror: dict[int | None, int | None] = {}
    lost = number = 0

    def hear(event: Event) -> None:
        nonlocal lost, number
        number += 1
        assert event.number == number
        lost += event.kind == EventKind.LOST
        entry = event.entry
        if entry is None:
            return
        known = entry.orig_sport in mirror
        assert known != (event.kind == EventKind.NEW), event
        if event.kind == EventKind.DESTROY:
            del mirror[entry.orig_sport]
        else:
            mirror[entry.orig_sport] = entry.mark

    def table() -> dict[int | None, int | None]:
        found = (re.search(r"sport=(\d+).* mark=(\d+)", line) for line in cli())
        return {int(values[1]): int(values[2]) for values in found if values}

    def attempt() -> list[str]:
        while events := watch.next_batch(timeout=0.1):
            for event in events:
                hear(event)
        wanted = table()
        return [f"port {port}: {wanted.get(port)}, not {mirror.get(port)}" for port in wanted.keys() ^ mirror.keys()] + [
            f"mark of {port}: {mirror[port]}" for port in wanted.keys() & mirror.keys() if wanted[port] != mirror[port]
        ]

    with ct.watch(sync=True, receive_buffer=1 << 16) as watch:
        # Each time it comes to rest, the program sees what the watch told.
        for _ in range(4):
            thread = threading.Thread(target=churn)
            thread.start()
            while thread.is_alive():
                for event in watch.next_batch(timeout=0.01):
                    hear(event)
                if choose.random() < 0.2:
                    time.sleep(0.02)
            agree(attempt)
        assert len(mirror) > 100 and watch.info.lost > 0 and watch.info.resyncs > 0 and watch.info.synced


def test_without_a_list_a_loss_is_told_in_its_place_and_counted(ct: Conntrack) -> None:
    with ct.watch(receive_buffer=1 << 14) as watch:
        make(ct, [flow(port) for port in range(1, 3001)])
        told, lost = 0, 0
        while told + lost < 3000:
            for event in watch.next_batch(timeout=9):
                told += event.kind == EventKind.NEW
                if event.kind == EventKind.LOST:
                    assert event.lost and event.entry is None and str(event) == f"   [LOST] {event.lost} events"
                    lost += event.lost
        assert told + lost == 3000 and told > 0 and lost > 0 and watch.info.lost == lost


def test_an_event_as_text_and_as_values(ct: Conntrack) -> None:
    with ct.watch() as watch:
        make(ct, [flow(1, zone=7)])
        (event,) = read(watch, 1)
    line = str(event)
    assert (
        line.startswith("    [NEW] udp      17 36000 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=53 [UNREPLIED]")
        and "zone=7" in line
    )
    assert event.entry and f" id={event.entry.id}" in event.format(id=True) and "ipv4 " in event.format(extended=True)
    assert re.match(r"\[\d+\.\d{6}\]\t", event.format(time=True))
    parsed = json.loads(event.json())
    assert parsed["event"] == "new" and parsed["portid"] == event.portid == ct.portid
    assert event.to_dict() == {**parsed, "entry": event.entry.to_dict()} and event.to_dict()["received_ns"] == event.received_ns
    assert abs((datetime.now(timezone.utc) - event.received).total_seconds()) < 3600 and event.received.tzinfo
    assert event == pickle.loads(pickle.dumps(event)) == copy.deepcopy(event) == Event.from_raw(memoryview(event.raw))
    assert len({event, Event.from_raw(event.raw)}) == 1 and event != Event.from_raw(bytes(320)) and event != 1
    assert repr(event).startswith("<ctrack.Event 1: [NEW] udp 17 ")
    with pytest.raises(ctrack.InvalidArgumentError, match="319 bytes are no event"):
        Event.from_raw(bytes(319))


def test_nothing_is_lost_between_two_loops_that_are_left(ct: Conntrack) -> None:
    with ct.watch() as watch:
        make(ct, [flow(port) for port in range(1, 101)])
        told: list[Event] = []
        for event in watch:
            told.append(event)
            break
        told += watch.next_batch(10)
        for event in watch:
            told.append(event)
            if len(told) == 50:
                break

        async def rest() -> None:
            async for event in watch:
                told.append(event)
                if len(told) == 100:
                    return

        asyncio.run(rest())
        assert ports(told) == [*range(1, 101)] and [event.number for event in told] == [*range(1, 101)]
        # More than fits into the usual buffer.
        make(ct, [flow(port) for port in range(101, 701)])
        assert ports(read(watch, 600)) == [*range(101, 701)]


def test_a_selector_says_when_there_is_something_to_read(ct: Conntrack) -> None:
    with ct.watch() as watch, selectors.DefaultSelector() as selector:
        selector.register(watch, selectors.EVENT_READ)
        # From the beginning on until it has been asked.
        assert selector.select(60) and watch.next_batch(timeout=0) == [] and selector.select(0) == []
        for port in range(1, 50):
            make(ct, [flow(port)])
            assert [key.fileobj for key, _ in selector.select(60)] == [watch]
            assert ports(watch.next_batch(timeout=0)) == [port]
            assert watch.next_batch(timeout=0) == [] and selector.select(0) == []


def test_asyncio_loses_no_wake_up_whatever_comes_when(ct: Conntrack) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"SEED={seed}")

    def maker(first: int) -> None:
        chance = random.Random(seed + first)
        for port in range(first, first + 200):
            make(ct, [flow(port)])
            time.sleep(chance.random() * 0.002)

    async def listen(watch: Watch, count: int) -> list[int | None]:
        told: list[int | None] = []
        async for event in watch:
            told += ports([event])
            if len(told) == count:
                break
        return told

    async def main() -> None:
        loop = asyncio.get_running_loop()
        before = len(loop._selector.get_map())  # type: ignore[attr-defined]
        with (
            ct.watch(Filter(proto="udp", orig_sport=(1, 200))) as low,
            ct.watch(Filter(proto="udp", orig_sport=(1001, 1200))) as high,
        ):
            making = [loop.run_in_executor(None, maker, first) for first in (1, 1001)]
            told = await asyncio.gather(listen(low, 200), listen(high, 200))
            assert [*told] == [[*range(1, 201)], [*range(1001, 1201)]]
            await asyncio.gather(*making)
        assert len(loop._selector.get_map()) == before  # type: ignore[attr-defined]

    asyncio.run(asyncio.wait_for(main(), 300))


def test_a_cancelled_task_leaves_nothing_behind_and_costs_no_event(ct: Conntrack) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        with ct.watch() as watch:
            before = len(loop._selector.get_map()), open_descriptors()  # type: ignore[attr-defined]
            told: list[int | None] = []
            events = watch.__aiter__()
            port = 1
            while port < 100:
                try:
                    event = await asyncio.wait_for(events.__anext__(), 0.0005 * (port % 5))
                    told += ports([event])
                except asyncio.TimeoutError:
                    assert (len(loop._selector.get_map()), open_descriptors()) == before  # type: ignore[attr-defined]
                    make(ct, [flow(port), flow(1000 + port)])
                    port += 1
            while len(told) < 198:
                told += ports([await events.__anext__()])
            assert told == [made for port in range(1, 100) for made in (port, 1000 + port)]
            task = asyncio.ensure_future(events.__anext__())
            await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (len(loop._selector.get_map()), open_descriptors()) == before  # type: ignore[attr-defined]

    asyncio.run(main())


def test_two_tasks_on_one_watch_share_its_events(ct: Conntrack) -> None:
    async def main() -> None:
        told: list[int | None] = []
        with ct.watch() as watch:

            async def listen() -> None:
                async for event in watch:
                    told.extend(ports([event]))
                    await asyncio.sleep(0)
                    if len(told) >= 60:
                        watch.close()

            tasks = [asyncio.ensure_future(listen()) for _ in range(2)]
            for port in range(1, 61):
                make(ct, [flow(port)])
                await asyncio.sleep(0.001)
            await asyncio.gather(*tasks)
        assert sorted(port or 0 for port in told) == [*range(1, 61)]

    asyncio.run(asyncio.wait_for(main(), 300))


def test_a_busy_watch_lets_other_tasks_have_their_turn(ct: Conntrack) -> None:
    async def main() -> None:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        with ct.watch() as watch:
            make(ct, [flow(port) for port in range(1, 2001)])
            task = asyncio.ensure_future(other())
            told = 0
            async for _ in watch:
                told += 1
                if told == 2000:
                    break
            task.cancel()
        assert turns >= 2000 // 256

    asyncio.run(main())


def ending(how: str, watch: Watch) -> None:
    watch.wake() if how == "wake" else watch.close()


async def through(watch: Watch) -> list[Event]:
    return [event async for event in watch]


def for_loop(watch: Watch) -> list[Event]:
    try:
        return [*watch]
    except ctrack.ClosedError:
        return []


def in_batches(watch: Watch) -> list[Event]:
    try:
        return watch.next_batch()
    except ctrack.ClosedError:
        return []


def async_loop(watch: Watch) -> list[Event]:
    try:
        return asyncio.run(through(watch))
    except ctrack.ClosedError:
        return []


@pytest.mark.parametrize("wait", [for_loop, in_batches, async_loop], ids=["for", "next_batch", "async for"])
@pytest.mark.parametrize("how", ["wake", "close"])
def test_another_thread_ends_a_wait(ct: Conntrack, how: str, wait: Callable[[Watch], list[Event]]) -> None:
    before = open_descriptors()
    for round in range(30):
        watch = ct.watch()
        ended: list[list[Event]] = []
        thread = threading.Thread(target=lambda watch=watch, ended=ended: ended.append(wait(watch)))
        # Just before, at the beginning of and during the wait.
        begun = threading.Thread(target=time.sleep, args=(round % 3 * 0.002,))
        thread.start()
        begun.start()
        begun.join()
        ending(how, watch)
        thread.join(60)
        assert not thread.is_alive() and ended == [[]]
        if how == "wake":
            make(ct, [flow(1)])
            assert ports(read(watch, 1)) == [1]
            ct.flush_all()
        watch.close()
        watch.close()
        del watch
    assert open_descriptors() == before


def test_threads_may_wake_ask_and_close_at_any_moment(ct: Conntrack) -> None:
    before = open_descriptors()
    for _ in range(40):
        watch = ct.watch(sync=True)

        def disturb(watch: Watch = watch) -> None:
            try:
                while True:
                    watch.wake()
                    watch.resync()
                    assert watch.info.lost == 0
            except ctrack.ClosedError:
                pass

        def wait(watch: Watch = watch) -> None:
            try:
                while True:
                    watch.next_batch(16, 0.01)
            except ctrack.ClosedError:
                pass
            except ctrack.Error as error:
                assert error.errno == errno.EBUSY

        threads = [threading.Thread(target=body) for body in (disturb, disturb, wait, wait)]
        for thread in threads:
            thread.start()
        time.sleep(0.003)
        watch.close()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()
        del watch, disturb, wait, threads, thread
    assert open_descriptors() == before


def test_only_one_thread_reads(ct: Conntrack) -> None:
    with ct.watch() as watch:

        def wait() -> None:
            # It may be the one that is refused.
            while True:
                with contextlib.suppress(ctrack.Error):
                    watch.next_batch()
                    return

        thread = threading.Thread(target=wait)
        thread.start()
        while True:
            try:
                watch.next_batch(timeout=0)
            except ctrack.Error as error:
                assert error.errno == errno.EBUSY and "another thread is reading this watch" in str(error)
                break
        watch.wake()
        thread.join()
        assert watch.next_batch(timeout=0) == []


INTERRUPTED = """
import asyncio, os, signal, sys, threading, time, ctrack
from ctrack import _watch
_watch._LOOK = int(sys.argv[1])
watch = ctrack.Watch()
async def loop():
    async for _ in watch: pass
def handler(*_): print("handled", flush=True)
# Where the tests run in the background of a shell, it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
if sys.argv[2] == "handler": signal.signal(signal.SIGUSR1, handler)
print("ready", flush=True)
try:
    WAIT
except KeyboardInterrupt:
    print("interrupted", watch.next_batch(timeout=0))
"""
WAITS = {
    "for": "for _ in watch: pass",
    "next_batch": "watch.next_batch()",
    "next_batch with a limit": "watch.next_batch(timeout=3600)",
    "async for": "asyncio.run(loop())",
}


def sleeping(pid: int) -> bool:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "S"


@pytest.mark.parametrize("name", WAITS)
@pytest.mark.parametrize("look", [1000, 3_600_000])
def test_ctrl_c_ends_a_wait(netns: int, name: str, look: int) -> None:
    """Also where nothing looks for signals from time to time: the signal ends the wait itself. Other signals do not end it."""
    code = INTERRUPTED.replace("WAIT", WAITS[name])
    command = [sys.executable, "-c", code, str(look), "handler"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        try:
            assert child.stdout.readline() == "ready\n"
            while not all(sleeping(child.pid) for _ in range(20)):
                time.sleep(0.01)
            child.send_signal(signal.SIGUSR1)
            assert child.stdout.readline() == "handled\n"
            while not all(sleeping(child.pid) for _ in range(20)):
                time.sleep(0.01)
            child.send_signal(signal.SIGINT)
            assert child.communicate(timeout=60)[0] == "interrupted []\n"
        finally:
            child.kill()


def test_a_signal_just_before_the_wait_is_seen_though_nothing_comes(ct: Conntrack, monkeypatch: pytest.MonkeyPatch) -> None:
    class Struck(Exception):
        pass

    def handler(*_: object) -> None:
        raise Struck

    plain = _native.lib

    class Library:
        def __getattr__(self, name: str) -> Any:
            return getattr(plain, name)

        def ct_watch_next(self, *arguments: Any) -> int:
            # Another thread takes the signal: it interrupts nothing here, and Python only makes a note of it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
            thread = threading.Thread(target=lambda: unblocked(signal.SIGUSR1))
            thread.start()
            returned: int = plain.ct_watch_next(*arguments)
            thread.join()
            return returned

    def unblocked(number: signal.Signals) -> None:
        # By now the main thread waits in the library; if not, this proves nothing, and fails nothing.
        time.sleep(0.05)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        signal.pthread_kill(threading.get_ident(), number)

    old = signal.signal(signal.SIGUSR1, handler)
    try:
        with ct.watch() as watch:
            monkeypatch.setattr(_watch, "lib", Library())
            monkeypatch.setattr(_watch, "_LOOK", 50)
            rescued: list[int] = []

            def save() -> None:
                rescued.append(1)
                watch.wake()

            rescue = threading.Timer(20, save)
            rescue.start()
            with pytest.raises(Struck):
                watch.next_batch()
            rescue.cancel()
            assert not rescued
            monkeypatch.undo()
            make(ct, [flow(1)])
            assert ports(read(watch, 1)) == [1]
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        signal.signal(signal.SIGUSR1, old)


def test_no_descriptor_is_lost_whatever_step_is_struck(ct: Conntrack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)
    make(ct, [flow(1)])

    def body() -> None:
        with ct.watch(Filter(zone=0), sync=True) as watch:
            watch.next_batch(timeout=0)
            assert watch.info.lost == 0

    def held() -> int:
        # A plain number, such as that of a namespace, is lost if the step is the one that would have kept it.
        return sum(re.match("socket:|anon_inode:", link) is not None for link in links())

    def links() -> Iterator[str]:
        for name in os.listdir("/proc/self/fd"):
            with contextlib.suppress(FileNotFoundError):
                yield os.readlink(f"/proc/self/fd/{name}")

    body()
    before, step = held(), 1
    while strike(step, body):
        assert held() <= before, f"step {step}"
        step += 7
    assert step > 200


def test_a_child_cannot_use_a_watch_and_its_parent_goes_on(ct: Conntrack) -> None:
    watch = ct.watch()
    make(ct, [flow(1), flow(2)])
    for _ in watch:
        break
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            refused = 0
            uses: list[Callable[[], object]] = [watch.next_batch, watch.wake, watch.resync, watch.fileno, lambda: watch.info]
            uses += [lambda: iter(watch), lambda: watch.__aiter__(), watch.__enter__]
            for use in uses:
                try:
                    use()
                except ctrack.ForkedError:
                    refused += 1
            refused += "of a parent process" in repr(watch)
            watch.close()
            del use, uses, watch
            code = 0 if refused == 9 else 2
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    make(ct, [flow(3)])
    assert ports(watch.next_batch(timeout=9)) == [2]
    assert ports(read(watch, 1)) == [3]
    watch.close()


def test_a_watch_stays_where_its_conntrack_works_and_outlives_it(netns: int) -> None:
    other = new_netns()
    there = inside(other, ctrack.open)
    by_descriptor, own = Watch(netns=other), Watch()
    assert by_descriptor.next_batch(timeout=0) == []
    watch = there.watch()
    make(there, [flow(1)])
    there.close()
    os.close(other)
    assert ports(read(watch, 1)) == ports(read(by_descriptor, 1)) == [1] and own.next_batch(timeout=0) == []
    assert repr(watch) == repr(by_descriptor) != repr(own) and re.fullmatch(r"<ctrack.Watch: net:\[\d+\], open>", repr(own))
    for each in (watch, by_descriptor, own):
        each.close()
    assert repr(own).endswith("closed>")
    with pytest.raises(ctrack.ClosedError):
        there.watch()


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"timeout": 1}, "timeout: is given, but sync is not"),
    ({"audit": None}, "audit: is given, but sync is not"),
    ({"audit_all": True}, "audit_all: is given, but sync is not"),
    ({"max_entries": 1}, "max_entries: is given, but sync is not"),
    ({"sync": True, "reliable": True}, "reliable: not together with sync"),
    ({"sync": True, "all_nsid": True}, "all_nsid: not together with sync"),
    ({"sync": True, "audit": None, "audit_all": True}, "audit says never"),
    ({"sync": True, "audit": 0}, "audit: 0 is no time"),
    ({"sync": True, "timeout": -1}, "timeout: -1 is no time"),
    ({"sync": True, "max_entries": 0}, "max_entries: 0 is not from 1"),
    ({"receive_buffer": 0}, "receive_buffer: 0 is not from 1"),
    ({"kinds": "gone"}, "kinds: 'gone' is none of NEW, UPDATE"),
    ({"kinds": EventKind.LOST}, "kinds: 4 is not one of NEW, UPDATE, DESTROY"),
    ({"kinds": []}, "kinds: none given"),
    ({"netns": "/dev/null"}, "netns: '/dev/null' is no network namespace"),
]


@pytest.mark.parametrize(("given", "text"), WRONG, ids=[text for _, text in WRONG])
def test_options_that_make_no_sense_are_refused_by_name(netns: int, given: dict[str, Any], text: str) -> None:
    before = open_descriptors()
    with pytest.raises(ctrack.InvalidArgumentError, match=re.escape(text)):
        Watch(**given)
    assert open_descriptors() == before


def test_what_a_watch_cannot_do_is_an_error_that_says_so(ct: Conntrack) -> None:
    before = open_descriptors()
    with pytest.raises(ctrack.Error, match="labels or helper") as caught:
        ct.watch(Filter(helper="ftp"))
    assert caught.value.errno == errno.EOPNOTSUPP
    bad = Filter(zone=2)
    object.__setattr__(bad, "status_set", ctrack.Status(1 << 20))
    with pytest.raises(ctrack.InvalidArgumentError, match=r"filter\[1\]"):
        ct.watch(Filter(zone=1), bad)
    with pytest.raises(TypeError, match=r"filter\[0\] is str"):
        ct.watch("udp")  # type: ignore[arg-type]
    with ct.watch() as watch:
        with pytest.raises(ctrack.InvalidArgumentError, match="resync: the watch was opened without sync"):
            watch.resync()
        for wrong in (-1, True, "1", float("nan")):
            with pytest.raises(ctrack.InvalidArgumentError, match="timeout"):
                watch.next_batch(timeout=wrong)  # type: ignore[arg-type]
        with pytest.raises(ctrack.InvalidArgumentError, match="max: 0"):
            watch.next_batch(0)
    uses: list[Callable[[], object]] = [watch.next_batch, watch.wake, watch.resync, watch.fileno, lambda: watch.info]
    for use in [*uses, lambda: iter(watch), lambda: watch.__aiter__(), watch.__enter__]:
        with pytest.raises(ctrack.ClosedError, match="this watch is closed"):
            use()
    assert open_descriptors() == before


def test_more_entries_than_may_be_known_are_an_error_once_and_the_watch_goes_on(ct: Conntrack) -> None:
    make(ct, [flow(port) for port in range(1, 11)])
    with ct.watch(sync=True, max_entries=5) as watch:
        with pytest.raises(ctrack.Error, match="more than 5|5 entries") as caught:
            while True:
                watch.next_batch(timeout=60)
        assert caught.value.errno == errno.ENOSPC and not watch.info.synced
        # Said once.
        watch.next_batch(timeout=0.2)
        ct.flush_all()
        make(ct, [flow(99)])
        events: list[Event] = []
        while not watch.info.synced:
            events += watch.next_batch(timeout=60)
        assert events[-1].kind == EventKind.SYNCED and watch.info.entries == 1 and not watch.next_batch(timeout=0)


def test_a_capability_that_is_missing_is_named(netns: int) -> None:
    def without(capability: int, named: str, **more: Any) -> None:
        drop_capability(capability)
        with pytest.raises(ctrack.PermissionDeniedError, match=named):
            Watch(**more)

    before = open_descriptors()
    in_thread(lambda: without(CAP_NET_ADMIN, "CAP_NET_ADMIN"))
    in_thread(lambda: without(CAP_NET_ADMIN, "CAP_NET_ADMIN", sync=True))
    in_thread(lambda: without(CAP_NET_BROADCAST, "CAP_NET_BROADCAST", all_nsid=True))
    assert open_descriptors() == before


def test_enable_sets_the_sysctl(ct: Conntrack) -> None:
    def mode() -> str:
        with open("/proc/sys/net/netfilter/nf_conntrack_events") as file:
            return file.read().strip()

    sysctl("nf_conntrack_events", 2)
    assert mode() == "2"
    with ct.watch(enable=True, reliable=True) as watch:
        assert mode() == "1" and watch.info.events_mode == 1 and watch.info.receive_buffer > 0


def test_ports_of_all_sockets_are_known_as_ones_own(ct: Conntrack) -> None:
    make(ct, [flow(port) for port in range(1, 5)])
    with ct.watch() as watch:
        for entry in ct.stream():
            ct.delete_entries([entry])
        events = read(watch, 4)
        assert {event.portid for event in events} <= ct.portids and len(ct.portids) == 2
    ct.close()
    with pytest.raises(ctrack.ClosedError):
        ct.portids  # noqa: B018
