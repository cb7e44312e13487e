# SPDX-License-Identifier: MIT OR Apache-2.0
"""The module for neutron-fwaas: namespaces instead of zones."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import echo, inside, make, new_netns, tcp, udp

import ctrack
from ctrack import _namespace, fwaas

ICMP = (4, "icmp", 8, 0, "1.1.1.1", "2.2.2.2", 3333)
TCP = (4, "tcp", 1, 2, "1.1.1.1", "2.2.2.2")
UDP = (4, "udp", 1, 2, "1.1.1.1", "2.2.2.2")
PING = (6, "icmpv6", 128, 0, "10::10", "20::20", 3456)
ALL: list[Any] = [ICMP, TCP, UDP, PING]


def entries() -> list[ctrack.Entry]:
    return [
        tcp("1.1.1.1", 1, "2.2.2.2", 2),
        udp("1.1.1.1", 1, "2.2.2.2", 2),
        echo("1.1.1.1", "2.2.2.2", 3333),
        echo("10::10", "20::20", 3456),
    ]


@pytest.fixture
def named(ct: ctrack.Conntrack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ctrack.Conntrack]:
    """The table of a namespace with the name "ns", which is another one than that of the thread."""
    netns = new_netns()
    # As /run/netns, which a test must not touch: there a name leads to the namespace too.
    (tmp_path / "ns").symlink_to(f"/proc/{os.getpid()}/fd/{netns}")
    monkeypatch.setattr(_namespace, "_NAMED", str(tmp_path))
    with ctrack.open(netns) as table:
        make(table, entries())
        yield table
    os.close(netns)


def test_every_call_form_of_fwaas_works_by_name(ct: ctrack.Conntrack, named: ctrack.Conntrack) -> None:
    make(ct, entries())
    assert fwaas.list_entries("ns") == fwaas.list_entries(namespace="ns") == ALL
    assert fwaas.list_entries() == fwaas.list_entries(None) == fwaas.list_entries(namespace=None) == ALL
    assert fwaas.delete_entries([TCP], "ns").statuses == (0,)
    assert fwaas.list_entries("ns") == [ICMP, UDP, PING]
    assert fwaas.delete_entries(namespace="ns", entries=[UDP, PING]).done == 2
    assert fwaas.list_entries("ns") == [ICMP] and ct.count() == 4
    assert fwaas.delete_entries([TCP]).done == 1
    assert fwaas.delete_entries(entries=(ICMP, TCP)).statuses == (0, 2)
    assert fwaas.list_entries() == [UDP, PING] and fwaas.list_entries("ns") == [ICMP]
    assert fwaas.delete_entries([], "ns").matched == 0
    fwaas.flush_entries(namespace="ns")
    assert named.count() == 0 and ct.count() == 2
    make(named, entries())
    fwaas.flush_entries("ns")
    assert named.count() == 0 and ct.count() == 2


def test_a_namespace_can_be_a_path_or_a_descriptor(named: ctrack.Conntrack, tmp_path: Path) -> None:
    descriptor = os.open(tmp_path / "ns", os.O_RDONLY)
    try:
        for where in (tmp_path / "ns", str(tmp_path / "ns"), descriptor):
            assert fwaas.list_entries(where) == ALL
            assert fwaas.delete_entries([UDP], where).done == 1
            fwaas.flush_entries(where)
            assert named.count() == 0
            make(named, entries())
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    "call",
    [
        lambda: fwaas.flush_entries(),
        lambda: fwaas.flush_entries(None),
        lambda: fwaas.flush_entries(namespace=None),
        lambda: fwaas.flush_entries(""),
        lambda: fwaas.flush_entries(everything=False),
    ],
)
def test_a_flush_without_a_namespace_is_refused_and_names_what_flushes_it(
    ct: ctrack.Conntrack, call: Callable[[], None]
) -> None:
    make(ct, [*entries(), udp("1.1.1.1", 1, "2.2.2.2", 2, zone=7)])
    with pytest.raises(ValueError, match="everything=True"):
        call()
    assert ct.count() == 5
    fwaas.flush_entries(everything=True)
    assert ct.count() == 0


def test_a_flush_of_a_namespace_and_of_everything_at_once_is_refused(ct: ctrack.Conntrack, named: ctrack.Conntrack) -> None:
    make(ct, entries())
    with pytest.raises(ValueError, match="one of them"):
        fwaas.flush_entries("ns", everything=True)
    with pytest.raises(ValueError, match="everything"):
        fwaas.flush_entries(everything=1)  # type: ignore[arg-type]
    assert (ct.count(), named.count()) == (4, 4)


def test_entries_in_zones_are_neither_listed_nor_deleted_but_flushed(ct: ctrack.Conntrack, named: ctrack.Conntrack) -> None:
    zones: list[dict[str, int]] = [{"zone": 7}, {"orig_zone": 8}, {"reply_zone": 9}]
    make(named, [tcp("1.1.1.1", 1, "2.2.2.2", port, **zone) for port, zone in enumerate(zones, 3)])
    make(named, [tcp("1.1.1.1", 1, "2.2.2.2", 2, zone=7)])
    assert fwaas.list_entries("ns") == ALL
    given: list[Any] = [(4, "tcp", 1, port, "1.1.1.1", "2.2.2.2") for port in range(2, 6)]
    assert fwaas.delete_entries(given, "ns").statuses == (0, 2, 2, 2)
    assert named.count() == 7 and fwaas.list_entries("ns") == [ICMP, UDP, PING]
    fwaas.flush_entries("ns")
    assert named.count() == 0


def test_a_namespace_that_is_not_there_is_an_error_and_the_own_one_stays_as_it_is(ct: ctrack.Conntrack) -> None:
    make(ct, entries())
    calls: list[Callable[[Any], object]] = [
        lambda ns: fwaas.list_entries(ns),
        lambda ns: fwaas.delete_entries([TCP], ns),
        lambda ns: fwaas.flush_entries(ns),
    ]
    for call in calls:
        with pytest.raises(FileNotFoundError):
            call("no-such-namespace")
        with pytest.raises(FileNotFoundError):
            call("/no/such/namespace")
        for wrong in ("", ".", "..", True, 4.5, "a\0b", "/dev/null"):
            with pytest.raises(ValueError, match="namespace: "):
                call(wrong)
    assert ct.count() == 4


def test_a_wrong_tuple_is_named_and_nothing_is_deleted(ct: ctrack.Conntrack) -> None:
    make(ct, entries())
    wrong: list[Any] = [
        (*TCP, 7),
        TCP[:-1],
        (4, "tcp", 1, 2, "1.1.1.1", "fd00::1"),
        (4, "tcp", 1, "x", "1.1.1.1", "2.2.2.2"),
        None,
    ]
    for bad in wrong:
        with pytest.raises(ValueError, match=r"entries\[1\]"):
            fwaas.delete_entries([TCP, bad])
    assert ct.count() == 4


def test_the_thread_is_never_moved(ct: ctrack.Conntrack, named: ctrack.Conntrack) -> None:
    before = os.stat("/proc/thread-self/ns/net").st_ino
    fwaas.list_entries("ns")
    fwaas.delete_entries([TCP], "ns")
    fwaas.flush_entries("ns")
    assert os.stat("/proc/thread-self/ns/net").st_ino == before
    other = new_netns()
    assert inside(other, fwaas.list_entries) == []
    os.close(other)
