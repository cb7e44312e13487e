# SPDX-License-Identifier: MIT OR Apache-2.0
"""The examples do what they say, on real flows; the documentation's own examples hold."""

from __future__ import annotations

import doctest
import importlib.util
import json
import os
import re
import subprocess
import sys
import types
from collections import Counter
from ipaddress import ip_address
from pathlib import Path

import pytest
from flows import world
from support import CAP_NET_ADMIN, agree, cli, drop_capability, in_thread, make, tcp, udp

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
    done = subprocess.run([sys.executable, REPORT, "--top", "-1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "--top" in done.stderr


@pytest.mark.parametrize("name", ["ctrack.entry", "ctrack.filter", "ctrack.presets", "ctrack.selection", "ctrack.neutron"])
def test_the_examples_in_the_documentation_hold(ct: ctrack.Conntrack, name: str) -> None:
    module = importlib.import_module(name)
    results = doctest.testmod(module)
    assert results.failed == 0 and results.attempted > 0


def test_the_examples_in_the_readme_hold(ct: ctrack.Conntrack) -> None:
    results = doctest.testfile(str(ROOT / "README.md"), module_relative=False)
    assert results.failed == 0 and results.attempted > 10
    assert os.path.exists(REPORT)
