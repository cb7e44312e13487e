# SPDX-License-Identifier: MIT OR Apache-2.0
"""What an exception of a signal handler does (Ctrl-C, a timeout by SIGALRM): it can come between any two steps."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from support import make, open_descriptors, udp

import ctrack
from ctrack import Filter, _native


class Struck(Exception):
    """What the handler raises."""


@pytest.fixture(autouse=True)
def no_memory_of_dropped_exceptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python drops what is raised while a generator goes away. pytest would keep it, and the handle in its frames."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


def strike(step: int, body: Callable[[], object]) -> bool:
    """Runs something that is struck at this step of the package's own code; whether it came that far."""
    steps = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal steps
        if "/ctrack/" not in frame.f_code.co_filename or frame.f_code.co_name in ("close", "__del__"):
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            steps += 1
            if steps == step:
                sys.settrace(None)
                raise Struck
        return trace

    sys.settrace(trace)
    try:
        body()
    except Struck:
        pass
    finally:
        sys.settrace(None)
    return steps >= step


def leave_a_stream(ct: ctrack.Conntrack) -> None:
    for _ in ct.stream():
        return


@pytest.mark.parametrize(
    "body",
    [
        ctrack.Conntrack.count,
        ctrack.Conntrack.list,
        leave_a_stream,
        lambda ct: ct.delete(Filter(zone=9)),
        lambda ct: ct.delete_entries([]),
    ],
    ids=["count", "list", "stream", "delete", "delete_entries"],
)
def test_no_handle_is_lost_whatever_step_is_struck(netns: int, body: Callable[[ctrack.Conntrack], object]) -> None:
    before = open_descriptors()
    with ctrack.open(max_handles=2, timeout=0.2) as ct:
        make(ct, [udp("10.0.0.1", port, "10.0.0.2", 53) for port in range(3)])
        for fresh in (False, True):
            step = 1
            while True:
                if fresh:
                    # So that the step may be one of opening a handle.
                    while ct._pool._idle:
                        ct._pool._idle.pop().close()
                if not strike(step, lambda: body(ct)):
                    break
                step += 1
            assert step > 20
        outer, inner = ct.stream(), ct.stream()
        next(outer)
        next(inner)
        with pytest.raises(ctrack.Error, match="all 2 handles"):
            ct.count()
        outer.close()
        inner.close()
    assert open_descriptors() == before


def test_no_list_stays_in_memory_whatever_step_is_struck(ct: ctrack.Conntrack, monkeypatch: pytest.MonkeyPatch) -> None:
    make(ct, [udp("10.0.0.1", 1, "10.0.0.2", 53)])
    held: set[int | None] = set()
    plain_list, plain_free = _native.lib.ct_list, _native.lib.ct_entries_free

    def listing(handle: Any, filters: Any, count: int, entries: Any, length: Any) -> int:
        returned: int = plain_list(handle, filters, count, entries, length)
        held.add(entries._obj.value)
        return returned

    def freeing(entries: Any) -> None:
        held.discard(entries.value)
        plain_free(entries)

    monkeypatch.setattr(_native.lib, "ct_list", listing)
    monkeypatch.setattr(_native.lib, "ct_entries_free", freeing)
    step = 1
    while strike(step, ct.list):
        assert held == set(), f"step {step}"
        step += 1
    assert step > 20 and len(ct.list()) == 1


def test_an_object_survives_a_storm_of_alarms(netns: int) -> None:
    armed = False

    def alarm(*_: object) -> None:
        nonlocal armed
        if armed:
            armed = False
            raise Struck

    old = signal.signal(signal.SIGALRM, alarm)
    try:
        with ctrack.open(max_handles=2, timeout=1) as ct:
            make(ct, [udp("10.0.0.1", port, "10.0.0.2", 53) for port in range(3)])
            for round in range(500):
                armed = True
                with contextlib.suppress(Struck):
                    signal.setitimer(signal.ITIMER_REAL, 20e-6 + round % 50 * 4e-6)
                    while armed:
                        assert ct.count() == 3
                        leave_a_stream(ct)
            assert len(ct.list()) == 3 and ct._pool._permits.qsize() == 2
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
