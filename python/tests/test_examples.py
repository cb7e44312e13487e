# SPDX-License-Identifier: MIT OR Apache-2.0
"""The examples do what they say, on real flows; the documentation's own examples hold."""

from __future__ import annotations

import doctest
import importlib.util
import json
import os
import random
import re
import signal
import subprocess
import sys
import threading
import types
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from flows import world
from support import CAP_NET_ADMIN, agree, cli, drop_capability, in_thread, make, sysctl, tcp, udp

import ctrack
import ctrack.neutron
from ctrack._native import CEntry

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "examples" / "zone_report.py"
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 33: "dccp", 47: "gre", 58: "icmpv6", 132: "sctp", 136: "udplite"}


def zone_report(*options: str) -> str:
    done = subprocess.run([sys.executable, REPORT, *options], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@contextmanager
def going_on(*arguments: Any) -> Iterator[subprocess.Popen[str]]:
    """A Python program that does not end by itself. If it is silent for so long that the test is stuck, it is ended."""
    # Ctrl-C is ignored where the tests run in the background of a shell, and in what they start.
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    child = subprocess.Popen([sys.executable, "-u", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, old)
    rescue = threading.Timer(120, child.kill)
    rescue.start()
    with child:
        try:
            yield child
        finally:
            rescue.cancel()
            child.kill()


def line_of(child: subprocess.Popen[str]) -> str:
    assert child.stdout and child.stderr
    line = child.stdout.readline()
    assert line, f"it ended: {child.stderr.read()}"
    return line


def load() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("zone_report", REPORT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["zone_report"] = module
    spec.loader.exec_module(module)
    return module


def counted() -> dict[int, dict[str, Counter[str]]]:
    """What `conntrack -L` shows, by zone."""
    zones: dict[int, dict[str, Counter[str]]] = {}
    for line in cli("-o", "extended"):
        words = line.split()
        zone = re.search(r" zone(?:-orig|-reply)?=(\d+)", line)
        of_zone = zones.setdefault(int(zone[1]) if zone else 0, {"protocols": Counter(), "top": Counter(), "states": Counter()})
        of_zone["protocols"][PROTOCOLS.get(int(words[3]), words[3])] += 1
        source = re.search(r" src=(\S+)", line)
        assert source
        of_zone["top"][str(ip_address(source[1]))] += 1
        answered = "unreplied" if "[UNREPLIED]" in line else "replied"
        of_zone["states"][words[5] if words[2] == "tcp" else "assured" if "[ASSURED]" in line else answered] += 1
    return dict(sorted(zones.items()))


def test_the_zone_report_says_what_the_conntrack_program_shows(ct: ctrack.Conntrack) -> None:
    assert zone_report() == "no entries\n"

    def attempt() -> list[str]:
        wanted, seen = counted(), json.loads(zone_report("--json", "--top", "200"))
        text = zone_report("--top", "3")
        assert [zone["zone"] for zone in seen] == list(wanted) == [0, 3, 7, 9, 65535]
        assert text.count("zone ") == 5 and "  protocols tcp 4, udp 4\n" in text
        differences = []
        for zone in seen:
            number, entries = zone["zone"], zone["entries"]
            assert f"zone {number}: {entries} entries\n" in text
            order = [talker["entries"] for talker in zone["top"]]
            assert order == sorted(order, reverse=True) and zone["top_too_many"] == 0
            zone["top"] = {talker["address"]: talker["entries"] for talker in zone["top"]}
            for what, counts in wanted[number].items():
                if zone[what] != counts or sum(counts.values()) != entries:
                    differences.append(f"zone {number}: {what}: {zone[what]}, not {counts}")
        return differences

    with world(ct):
        agree(attempt)


def test_a_zone_report_that_watches_comes_to_what_a_new_one_says(ct: ctrack.Conntrack) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"SEED={seed}")
    choose = random.Random(seed)
    # Of what is made now the kernel is not silent later on.
    sysctl("nf_conntrack_events", 1)
    here = [
        kind(f"10.0.0.{choose.randrange(40)}", port, "10.0.1.1", 53, zone=choose.choice([0, 3, 7]))
        for kind in (tcp, udp)
        for port in range(1, 101)
    ]
    gone = [here.pop(choose.randrange(len(here))) for _ in range(100)]
    make(ct, here)

    def wanted() -> Any:
        zones = json.loads(zone_report("--json", "--top", "200"))
        return [{key: value for key, value in zone.items() if key != "states"} for zone in zones]

    with going_on(REPORT, "--json", "--top", "200", "--watch", "0") as child:
        assert json.loads(line_of(child)) == wanted() and len(wanted()) == 3
        for _ in range(20):
            choose.shuffle(here)
            choose.shuffle(gone)
            coming, going = gone[:50], here[:50]
            here, gone = here[50:] + coming, gone[50:] + going
            make(ct, coming)
            ct.update([coming[0].change(mark=7)])
            assert ct.delete_entries(going).done == 50
            last = wanted()
            while json.loads(line_of(child)) != last:
                pass
        ct.flush_all()
        while json.loads(line_of(child)):
            pass
        child.send_signal(signal.SIGINT)
        assert child.communicate(timeout=60) == ("", "") and child.returncode == 0
    with going_on(REPORT, "--watch") as child:
        assert line_of(child) == "no entries\n"
        make(ct, [udp("10.0.0.1", 1, "10.0.0.2", 53, zone=7)])
        assert [line_of(child) for _ in range(3)] == ["zone 7: 1 entry\n", "  protocols udp 1\n", "  top       10.0.0.1 1\n"]


def test_a_zone_report_that_watches_comes_once_in_an_interval_and_not_while_it_would_be_wrong(ct: ctrack.Conntrack) -> None:
    module = load()
    with ct.watch(sync=True) as watch:
        told = watch.next_batch(timeout=60)
        flows = [udp("10.0.0.1", port, "10.0.0.2", 53) for port in (1, 2)]
        steps: list[Callable[[], object]] = [
            lambda: make(ct, flows[:1]),
            lambda: make(ct, flows[1:]),
            lambda: ct.update([flows[0].change(mark=7)]),
            lambda: ct.delete_entries(flows[:1]),
        ]
        # One by one: at first the watch looks entries up, and does not tell of one that came and went.
        for step in steps:
            step()
            told += watch.next_batch(timeout=60)
    synced, one, two, update, gone = told
    assert (
        synced.kind == ctrack.EventKind.SYNCED
        and update.kind == ctrack.EventKind.UPDATE
        and gone.kind == ctrack.EventKind.DESTROY
    )
    loss = ctrack.Event.from_raw(int(ctrack.EventKind.LOST).to_bytes(4, sys.byteorder) + synced.raw[4:])
    now = 100.0
    # How long it should wait, when it is told what, and how many entries the report after that has, if there is one.
    script: list[tuple[float | None, float, list[ctrack.Event], int | None]] = [
        (None, 101, [one], None),
        (None, 102, [synced], 1),
        (None, 103, [two], None),
        (9, 104, [gone], None),
        (8, 105, [], None),
        (7, 112, [], 1),
        (None, 200, [update], None),
        (None, 201, [loss, one], None),
        (None, 202, [gone, one], None),
        (None, 203, [synced], 2),
        (None, 204, [gone], None),
        (9, 300, [], 1),
        (None, 301, [], None),
    ]
    shown: list[int] = []
    expected = [count for *_, count in script if count is not None]
    script_left = iter(script)

    class Scripted:
        def next_batch(self, timeout: float | None) -> list[ctrack.Event]:
            nonlocal now
            wait, now, events, _ = next(script_left)
            assert timeout == wait
            return events

    module.follow(Scripted(), 10, lambda zones: shown.append(sum(zone.entries for zone in zones.values())), lambda: now)
    assert shown == expected and next(script_left, None) is None


def test_the_zone_report_names_a_state_that_this_release_does_not_know_by_its_number() -> None:
    raw = bytearray(tcp("10.0.0.1", 1, "10.0.0.2", 2).raw)
    raw[CEntry.tcp_state.offset] = 200
    assert load().state_of(ctrack.Entry.from_raw(raw)) == "200"


def test_the_zone_report_keeps_few_addresses_of_many(ct: ctrack.Conntrack) -> None:
    module = load()
    top = module.Top(kept=64)
    for number in range(100_000):
        top.add(number)
        if number % 10 == 0:
            top.add("often")
    assert len(top._counts) <= 64
    (value, count), *_ = top.most(1)
    assert value == "often" and 10_000 <= count <= 10_000 + top.too_many
    make(ct, [udp(f"10.0.{n >> 8}.{n & 255}", 1, "10.1.0.1", 53) for n in range(3000)])
    make(ct, [udp("10.9.9.9", n, "10.1.0.1", 53) for n in range(500)])
    zones = module.report(ct)
    assert zones[0].entries == 3500
    address, entries = zones[0].talkers.most(1)[0]
    assert str(address) == "10.9.9.9" and 500 <= entries <= 500 + zones[0].talkers.too_many


def test_the_zone_report_fails_with_a_reason(netns: int) -> None:
    def body() -> None:
        drop_capability(CAP_NET_ADMIN)
        # As root a new program gets all capabilities back, so it is asked within this one.
        module = load()
        with ctrack.open() as own, pytest.raises(PermissionError):
            module.report(own)

    in_thread(body)
    done = subprocess.run([sys.executable, REPORT, "--netns", "/nowhere"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "") and "No such file" in done.stderr
    for option, value in (("--top", "-1"), ("--watch", "-1"), ("--watch", "nan"), ("--watch", "inf"), ("--watch", "x")):
        done = subprocess.run([sys.executable, REPORT, option, value], capture_output=True, text=True, check=False)
        assert done.returncode == 2 and option in done.stderr, value
    done = subprocess.run(
        [sys.executable, REPORT, "--watch", "--netns", "/nowhere"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (1, "") and "No such file" in done.stderr


@pytest.mark.parametrize("name", ["ctrack.entry", "ctrack.filter", "ctrack.presets", "ctrack.selection", "ctrack.neutron"])
def test_the_examples_in_the_documentation_hold(ct: ctrack.Conntrack, name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module)
    assert results.failed == 0 and results.attempted > 0


def test_the_examples_in_the_readme_hold(ct: ctrack.Conntrack) -> None:
    results = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert results.failed == 0 and results.attempted > 10
    assert os.path.exists(REPORT)


def test_the_programs_in_the_readme_of_the_repository_do_what_it_says(ct: ctrack.Conntrack) -> None:
    text = (ROOT / "tests" / "repository" / "readme.txt").read_text()
    once, watch, waiting = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    old, new = (udp("10.0.0.1", port, "10.0.0.2", 53, zone=7) for port in (1, 2))
    make(ct, [old, udp("10.0.0.7", 3, "10.0.0.2", 53)])
    done = subprocess.run([sys.executable, "-c", once], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1\nudp ") and done.stdout.count(" zone=7 ") == done.stdout.count("\n") - 1 == 1

    def words(child: subprocess.Popen[str]) -> list[str]:
        return [word for word in line_of(child).split() if word == "gone:" or word[0] == "[" or word[:6] == "sport="]

    with going_on("-c", watch) as child:
        assert words(child)[:2] == ["[NEW]", "sport=1"] and line_of(child) == "from here on it is news\n"
        make(ct, [new])
        assert words(child)[:2] == ["[NEW]", "sport=2"]
        ct.delete_entries([new])
        assert words(child)[:2] == ["gone:", "sport=2"]
    with going_on("-c", waiting) as child:
        assert words(child)[:2] == ["[NEW]", "sport=1"] and words(child) == ["[SYNCED]"]
        make(ct, [new])
        assert words(child)[:2] == ["[NEW]", "sport=2"]
        ct.delete_entries([new])
        assert words(child)[:2] == ["[DESTROY]", "sport=2"]
