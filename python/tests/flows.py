# SPDX-License-Identifier: MIT OR Apache-2.0
"""Real traffic, made by tests/traffic/traffic.c under nftables rules, and entries that no loopback traffic makes."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support import dccp, echo, make, nft, plain, run, sysctl, tcp, udp

import ctrack
from ctrack import Entry, Status

SOURCE = Path(__file__).resolve().with_name("repository") / "traffic.c"
HERE = {4: "127.0.0.1", 6: "fd00::1"}
THERE = {4: "127.0.0.2", 6: "fd00::2"}
BEHIND = {4: "127.0.0.3", 6: "fd00::3"}
OUTSIDE = {4: "127.0.0.9", 6: "fd00::9"}

# By destination port; both directions of loopback traffic pass the output hook.
RULES = """
table inet zones {
    chain early {
        type filter hook output priority -300;
        th dport 5101 ct zone set 7
        th sport 5101 ct zone set 7
        th dport 5102 ct original zone set 65535
        th dport 5103 ct reply zone set 9
        th sport 5103 ct reply zone set 9
    }
}
table inet values {
    ct helper ftp4 { type "ftp" protocol tcp; l3proto ip; }
    ct helper ftp6 { type "ftp" protocol tcp; l3proto ip6; }
    chain tracked {
        type filter hook output priority 0;
        th dport 5110 ct mark set 1
        th dport 5111 ct mark set 0xffffffff
        th dport 5121 ct label set 127
        th dport 5122 ct label set 0
        th dport 5122 ct label set 64
        meta nfproto ipv4 tcp dport 21 ct helper set "ftp4"
        meta nfproto ipv6 tcp dport 21 ct helper set "ftp6"
    }
}
table ip nat4 {
    chain out { type nat hook output priority -100; meta l4proto { tcp, udp } th dport 5130 dnat to 127.0.0.3:5131; }
    chain post { type nat hook postrouting priority 100; meta l4proto { tcp, udp } th dport 5132 snat to 127.0.0.9; }
}
table ip6 nat6 {
    chain out { type nat hook output priority -100; meta l4proto { tcp, udp } th dport 5130 dnat to [fd00::3]:5131; }
    chain post { type nat hook postrouting priority 100; meta l4proto { tcp, udp } th dport 5132 snat to fd00::9; }
}
"""


@dataclass(frozen=True)
class Flow:
    """What the traffic and the rules make of one flow."""

    proto: str
    dport: int
    options: str = ""
    zones: tuple[int, int] = (0, 0)
    mark: int = 0
    labels: int = 0
    helper: str | None = None
    dnat: bool = False
    snat: bool = False

    @property
    def status(self) -> Status:
        """Status bits that must be set."""
        bits = Status.CONFIRMED
        if self.proto == "tcp" and "half-open" not in self.options:
            bits |= Status.SEEN_REPLY | Status.ASSURED
        if "answer" in self.options:
            bits |= Status.SEEN_REPLY
        return bits | (Status.DST_NAT if self.dnat else 0) | (Status.SRC_NAT if self.snat else 0)


FLOWS = [
    Flow("tcp", 80, "--close"),
    Flow("tcp", 81, "--hold 600"),
    Flow("tcp", 82, "--half-open"),
    Flow("tcp", 83, "--half-close 600 --bytes 60000"),
    Flow("tcp", 5101, "--hold 600", zones=(7, 7)),
    Flow("tcp", 5102, "--hold 600", zones=(65535, 0)),
    Flow("tcp", 5103, "--hold 600", zones=(0, 9)),
    Flow("tcp", 5111, "--close", mark=0xFFFFFFFF),
    Flow("tcp", 21, "--hold 600", helper="ftp"),
    Flow("tcp", 5130, "--hold 600", dnat=True),
    Flow("tcp", 5132, "--hold 600", snat=True),
    Flow("udp", 53),
    Flow("udp", 54, "--answer"),
    Flow("udp", 5101, zones=(7, 7)),
    Flow("udp", 5102, zones=(65535, 0)),
    Flow("udp", 5103, zones=(0, 9)),
    Flow("udp", 5110, "--answer", mark=1),
    Flow("udp", 5121, labels=1 << 127),
    Flow("udp", 5122, "--answer --bytes 1400", labels=1 | 1 << 64),
    Flow("udp", 5130, "--answer", dnat=True),
    Flow("udp", 5132, "--answer", snat=True),
    Flow("udplite", 53, "--answer"),
    Flow("sctp", 5101, zones=(7, 7)),
]


@functools.lru_cache(None)
def program() -> str:
    """The traffic program, compiled once for this run."""
    directory = tempfile.mkdtemp(prefix="ctrack-traffic-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    target = f"{directory}/traffic"
    run("cc", "-std=c99", "-O1", "-o", target, str(SOURCE))
    return target


def traffic(line: str) -> list[int]:
    """Makes a flow; the processes that keep it."""
    return [int(pid) for pid in run(program(), *line.split()).split()]


@contextlib.contextmanager
def world(ct: ctrack.Conntrack) -> Iterator[dict[tuple[int, int], Flow]]:
    """Fills the table. Gives what must have come of the traffic, by version and source port.

    Flows from port 50000 on have neither counters nor times.
    """
    for address in ("fd00::1", "fd00::2", "fd00::3", "fd00::9"):
        run("ip", "addr", "add", f"{address}/128", "dev", "lo", "nodad")
    nft(RULES)
    for name in os.listdir("/proc/sys/net/netfilter"):
        if "_timeout" in name:
            sysctl(name, 3000)
    made: dict[tuple[int, int], Flow] = {}
    held: list[int] = []
    try:
        for kept, first in ((1, 40000), (0, 50000)):
            sysctl("nf_conntrack_acct", kept)
            sysctl("nf_conntrack_timestamp", kept)
            for version in (4, 6):
                here, there = HERE[version], THERE[version]
                for sport, flow in enumerate(FLOWS, first):
                    options = flow.options + (f" --server {BEHIND[version]} 5131" if flow.dnat else "")
                    held += traffic(f"{flow.proto} {here} {sport} {there} {flow.dport} {options}")
                    made[version, sport] = flow
                held += traffic(f"icmp {here} {first} {there}")
                held += traffic(f"gre {here} {there} {first}")
                held += traffic(f"raw 253 {here} {there}")
        make(ct, created())
        yield made
    finally:
        for pid in held:
            os.kill(pid, signal.SIGKILL)


def created() -> list[Entry]:
    """Entries that no loopback traffic makes."""
    entries = []
    for a, b in (("192.0.2.1", "198.51.100.2"), ("2001:db8::1", "2001:db8:ffff::2")):
        entries += [tcp(a, 20000 + s, b, 443, tcp_state=s, tcp_wscale=(7, 14)) for s in ctrack.TcpState]
        for state in range(9):
            more: dict[str, Any] = {"orig_sport": 21000 + state, "orig_dport": 443, "timeout": 3000}
            more |= {"sctp_state": state, "sctp_vtag": (1, 0xFFFFFFFF)}
            entries.append(Entry(proto="sctp", orig_src=a, orig_dst=b, **more))
        entries += [plain(number, a, b) for number in (0, 2, 50, 103, 255)]
        entries += [echo(a, b, number, zone=3) for number in (0, 65535)]
        entries.append(Entry(proto="gre", orig_src=a, orig_dst=b, orig_sport=1, orig_dport=65535, timeout=3000))
        entries.append(dccp(a, 1, b, 2))
        entries.append(udp(a, 22000, b, 1, status=Status.FIXED_TIMEOUT | Status.SEEN_REPLY))
    odd = ("::", "::1", "::1.2.3.4", "::ffff:1.2.3.4", "64:ff9b::1.2.3.4", "1::", "1:0:0:2:0:0:0:3", "0:0:0:1:0:0:0:1")
    entries += [udp(address, n, "fd00::7", 1, family="ipv6") for n, address in enumerate(odd)]
    entries += [udp(address, 0, "192.0.2.1", 65535) for address in ("0.0.0.0", "255.255.255.255")]
    return entries
