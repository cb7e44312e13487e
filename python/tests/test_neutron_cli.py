# SPDX-License-Identifier: MIT OR Apache-2.0
"""Rules as Neutron's agents have them, against the `conntrack -D` commands that Neutron makes of the same values. SEED=n repeats
a run."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import dataclass
from typing import Any

import netaddr
import pytest
from support import echo, inside, make, new_netns, plain, tcp, udp

import ctrack
from ctrack import neutron

#: How many sets are tried: another choice each time, all 200 with CTRACK_SETS=200.
SETS = int(os.environ.get("CTRACK_SETS", "50"))
OWN = {4: ["10.0.0.5", "10.0.0.6", "10.0.0.7"], 6: ["fd00::5", "fd00::6", "fd00::7"]}
REMOTE = {4: ["172.16.0.1", "172.16.0.2", "172.16.1.1"], 6: ["fd00:1::1", "fd00:1::2", "fd00:2::1"]}
ZONES = [4097, 4098, 1]
# Names that the API and the program have in common; "icmp" and IPv6 are in a test of their own.
PROTOCOLS = {
    4: [None, "tcp", "udp", "icmp", "sctp", "17", "6", 1, "vrrp", "esp", "igmp", "112", "ah", "ospf", "gre"],
    6: [None, "tcp", "udp", "icmpv6", "ipv6-icmp", "58", 58, "sctp", "vrrp", "esp", "50"],
}


@dataclass
class Set:
    """A port, a rule and the remotes, in the values that Neutron's callers have."""

    port: dict[str, Any]
    rule: dict[str, Any]
    remotes: set[str]
    mark: str | None

    def commands(self) -> list[list[str]]:
        """What Neutron runs: for each fixed IP of the ethertype and each remote one, if there are any.

        It runs a command without the remote for a remote of another family; such a set is never made.
        """
        version = int(self.rule["ethertype"][-1])
        own, other = ("-d", "-s") if self.rule["direction"] == "ingress" else ("-s", "-d")
        commands = []
        for fixed in self.port["fixed_ips"]:
            if netaddr.IPNetwork(fixed).version != version:
                continue
            command = ["conntrack", "-D"]
            if self.rule["protocol"]:
                command += ["-p", str(self.rule["protocol"])]
            command += ["-f", self.rule["ethertype"].lower()]
            if self.mark:
                command += ["-m", self.mark]
            command += [own, str(netaddr.IPNetwork(fixed).ip), "-w", str(self.port["zone"])]
            commands += [[*command, other, remote] for remote in self.remotes] if self.remotes else [command]
        return commands

    def rules(self) -> list[neutron.Rule]:
        """The same as this package has it, with the values as they are."""
        return [
            neutron.Rule(
                self.port["zone"],
                self.rule["ethertype"],
                self.rule["direction"],
                self.port["fixed_ips"],
                self.rule["protocol"],
                self.mark,
                self.remotes,
            )
        ]


def table() -> list[ctrack.Entry]:
    """Flows of all ports with all remotes, both ways, of many protocols, in several zones and in none."""
    entries: list[ctrack.Entry] = []
    for zone in (0, *ZONES):
        for version in (4, 6):
            for a in OWN[version]:
                for b in REMOTE[version]:
                    for port, (src, dst) in enumerate(((a, b), (b, a)), 1):
                        more: dict[str, Any] = {"zone": zone, "mark": (len(entries) * 7) % 3}
                        entries += [
                            udp(src, port, dst, 53, **more),
                            tcp(src, port, dst, 80, **more),
                            echo(src, dst, port, **more),
                        ]
                        pair: dict[str, Any] = {"orig_src": src, "orig_dst": dst, "timeout": 36000, **more}
                        entries += [ctrack.Entry(proto="sctp", orig_sport=port, orig_dport=9, **pair)]
                        # Without ports one way and the other are one flow.
                        numbers = (112, 2, 89) if port == 1 else (50, 51)
                        entries += [plain(proto, src, dst, **more) for proto in numbers]
                        if version == 4:
                            entries += [ctrack.Entry(proto="gre", orig_sport=0, orig_dport=port, **pair)]
    return entries


def a_set(choose: random.Random) -> Set:
    version = choose.choice((4, 6))
    bits = 32 if version == 4 else 128
    fixed = choose.sample(OWN[version], choose.randint(1, 2))
    # An address pair in the form of the API has host bits; a dual-stack port has addresses of both families.
    fixed = [choose.choice((ip, f"{ip}/{bits}", f"{ip}/{choose.choice((8, 16, 24))}")) for ip in fixed]
    fixed += choose.sample(OWN[10 - version], choose.randint(0, 2))
    choose.shuffle(fixed)
    several = choose.sample(REMOTE[version], choose.randint(0, 2))
    remotes = {choose.choice((ip, f"{ip}/{bits}")) for ip in several}
    if choose.random() < 0.2:
        remotes.add("172.16.0.0/24" if version == 4 else "fd00:1::/64")
    return Set(
        {"fixed_ips": fixed, "zone": choose.choice(ZONES)},
        {
            "ethertype": f"IPv{version}",
            "direction": choose.choice(("ingress", "egress")),
            "protocol": choose.choice(PROTOCOLS[version]),
        },
        remotes,
        choose.choice((None, None, "0x1", "0x2")),
    )


def left(ct: ctrack.Conntrack) -> dict[bytes, ctrack.Entry]:
    """What is in a table, by what two tables with the same entries have in common: mark, zone, protocol and original tuple."""
    return {entry.raw[16:20] + entry.raw[28:34] + entry.raw[56:100]: entry for entry in ct.list()}


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    # 1: there was none, which Neutron takes too.
    assert done.returncode in (0, 1) and "Operation failed" not in done.stderr, f"{command}: {done.stderr}"


def test_sets_of_port_rule_and_remotes_delete_what_neutrons_commands_delete(netns: int) -> None:
    seed = int(os.environ.get("SEED") or random.randrange(1 << 32))
    print(f"SEED={seed}")
    choose = random.Random(seed)
    other = new_netns()
    entries = table()
    deleted: list[int] = []
    with ctrack.open() as ours, inside(other, ctrack.open) as theirs:
        make(ours, entries)
        make(theirs, entries)
        full = left(ours)
        assert left(theirs).keys() == full.keys() and len(full) == len(entries)

        def commands() -> None:
            for command in one.commands():
                run(command)

        while len(deleted) < SETS:
            one = a_set(choose)
            result = neutron.delete_rules(one.rules(), empty_remotes="any", conntrack=ours)
            inside(other, commands)
            remain = left(ours)
            assert remain.keys() == left(theirs).keys(), one
            assert result.done == len(full) - len(remain) and result.statuses == (0,), one
            assert remain, one
            if result.done:
                deleted.append(result.done)
            lost = [entry for name, entry in full.items() if name not in remain]
            for ct in (ours, theirs):
                make(ct, lost)
    os.close(other)
    assert min(deleted) >= 1 and len(set(deleted)) > 5


def test_icmp_of_an_ipv6_rule_is_icmpv6_which_the_program_does_not_do(ct: ctrack.Conntrack) -> None:
    make(ct, [echo("fd00:1::1", "fd00::5", 1, zone=7)])
    run(["conntrack", "-D", "-p", "icmp", "-f", "ipv6", "-d", "fd00::5", "-w", "7"])
    assert ct.count() == 1
    assert neutron.delete_rules([neutron.Rule(7, "IPv6", "ingress", "fd00::5", "icmp")]).done == 1


def test_zones_of_one_direction_are_deleted_too_which_the_program_does_not_do(ct: ctrack.Conntrack) -> None:
    zones: list[dict[str, int]] = [{"zone": 7}, {"orig_zone": 7}, {"reply_zone": 7}]
    flows = [udp("172.16.0.1", n, "10.0.0.5", 53, **zone) for n, zone in enumerate(zones)]
    make(ct, flows)
    run(["conntrack", "-D", "-f", "ipv4", "-d", "10.0.0.5", "-w", "7"])
    assert sorted(entry.orig_sport or 0 for entry in ct.list()) == [1, 2]
    ct.flush_all()
    make(ct, flows)
    assert neutron.delete_rules([neutron.Rule(7, "IPv4", "ingress", "10.0.0.5")]).done == 3


def test_a_remote_of_another_family_selects_nothing_where_neutron_would_delete_with_every_remote(ct: ctrack.Conntrack) -> None:
    make(ct, [udp("172.16.0.1", 1, "10.0.0.5", 53, zone=7)])
    with pytest.raises(ctrack.Error, match="remotes"):
        neutron.delete_rules([neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", remotes={"fd00::1"})], empty_remotes="any")
    both = {"fd00::1", "172.16.0.2"}
    assert neutron.delete_rules([neutron.Rule(7, "IPv4", "ingress", "10.0.0.5", remotes=both)]).done == 0
    assert ct.count() == 1
