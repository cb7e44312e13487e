#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Fills a conntrack table of its own with one entry of every kind and writes the dump of it as the kernel sends it.

    python3 tests/data/capture.py tests/data/dump-KERNEL

writes dump-KERNEL.bin (the netlink messages of the dump, one after the other, without the final NLMSG_DONE),
dump-KERNEL.lines (the same table as the `conntrack` program lists it) and dump-KERNEL.txt (how they were made). Works
in a new network namespace, as root or in a new user namespace; needs unshare, ip, nft, sysctl and conntrack.
"""

import ipaddress
import os
import platform
import socket
import struct
import subprocess
import sys

NEW, GET = 0x100, 0x101
REQUEST, ACK, DUMP, CREATE, EXCL = 0x1, 0x4, 0x300, 0x400, 0x200
ICMP, TCP, UDP, DCCP, GRE, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 47, 58, 132, 136

RULES = """
table inet rules {
    ct helper ftp-helper { type "ftp" protocol tcp; }
    chain at_raw {
        type filter hook output priority -300;
        udp dport 6001 ct original zone set 43
    }
    chain at_mark {
        type filter hook output priority 0;
        ct state new ct label set 1
        tcp dport 6002 ct mark set 0xabcd
        tcp dport 6002 ct label set 127
    }
    chain at_help {
        type filter hook output priority -5;
        tcp dport 6003 ct helper set "ftp-helper"
    }
    chain at_nat {
        type nat hook output priority -100;
        ip protocol tcp ip daddr 127.9.9.9 dnat to 127.0.0.1:6002
    }
}
"""


def attr(kind, value):
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def nest(kind, *parts):
    return attr(kind | 0x8000, b"".join(parts))


def be(size, value):
    return value.to_bytes(size, "big")


def conntrack_tuple(kind, proto, src, dst, l4=(), zone=None):
    src, dst = ipaddress.ip_address(src), ipaddress.ip_address(dst)
    v6 = src.version == 6
    fields = []
    if proto == ICMP or proto == ICMPV6:
        base = 4 if proto == ICMP else 7
        icmp_type, code, ident = l4
        fields = [attr(base, be(2, ident)), attr(base + 1, be(1, icmp_type)), attr(base + 2, be(1, code))]
    elif l4:
        fields = [attr(2, be(2, l4[0])), attr(3, be(2, l4[1]))]
    parts = [
        nest(1, attr(3 if v6 else 1, src.packed), attr(4 if v6 else 2, dst.packed)),
        nest(2, attr(1, be(1, proto)), *fields),
    ]
    if zone is not None:
        parts.append(attr(3, be(2, zone)))
    return nest(kind, *parts)


class Netlink:
    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
        self.socket.bind((0, 0))
        self.seq = 0

    def send(self, kind, flags, family, body=b""):
        self.seq += 1
        body = struct.pack("=BBH", family, 0, 0) + body
        self.socket.send(struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, self.seq, 0) + body)

    def create(self, proto, src, dst, l4=(), extra=b"", back=None, zones=(None, None)):
        """Makes an entry; `extra` are further attributes."""
        family = 10 if ":" in src else 2
        if back is None:
            answer = {8: 0, 0: 8, 13: 14, 15: 16, 17: 18, 128: 129, 139: 140}
            if proto in (ICMP, ICMPV6):
                back = (dst, src, (answer[l4[0]], l4[1], l4[2]))
            else:
                back = (dst, src, tuple(reversed(l4)))
        self.send(
            NEW,
            CREATE | EXCL | ACK,
            family,
            conntrack_tuple(1, proto, src, dst, l4, zones[0])
            + conntrack_tuple(2, proto, *back, zone=zones[1])
            + attr(7, be(4, 100000))
            + extra,
        )
        error = struct.unpack_from("=i", self.socket.recv(65536), 16)[0]
        if error:
            raise OSError(-error, f"create {proto} {src} {dst} {l4}: {os.strerror(-error)}")

    def dump(self):
        self.send(GET, DUMP, 0)
        messages = []
        while True:
            datagram = self.socket.recv(65536)
            while datagram:
                length, kind = struct.unpack_from("=IH", datagram)
                if kind == 3:
                    return b"".join(messages)
                if kind != NEW:
                    raise OSError(f"message of type {kind:#x} in a dump")
                messages.append(datagram[: length + -length % 4])
                datagram = datagram[length + -length % 4 :]


def fill(netlink):
    status = lambda bits: attr(3, be(4, bits))
    tcp = lambda state, *more: nest(4, nest(1, attr(1, be(1, state)), *more))
    wscale = [attr(2, b"\x07"), attr(3, b"\x09"), attr(4, b"\x0b\xff"), attr(5, b"\x03\xff")]

    # Every protocol, both families.
    for state in range(10):
        netlink.create(TCP, "10.0.0.1", "10.0.0.2", (1000 + state, 80), tcp(state) + status(0xE))
        netlink.create(TCP, "fd00::1", "fd00::2", (1000 + state, 443), tcp(state, *wscale) + status(0xE))
    for v4, v6 in [("10.1.0.", "fd00:1::")]:
        for proto in (UDP, UDPLITE, GRE, DCCP):
            netlink.create(proto, v4 + "1", v4 + "2", (2000, 53))
            netlink.create(proto, v6 + "1", v6 + "2", (2001, 0xFFFF))
        sctp = nest(4, nest(3, attr(1, b"\x04"), attr(2, be(4, 0x01020304)), attr(3, be(4, 0xFFFEFDFC))))
        netlink.create(SCTP, v4 + "1", v4 + "2", (3000, 3001), sctp)
        netlink.create(SCTP, v6 + "1", v6 + "2", (3000, 3001), sctp)
        for proto in (2, 50, 89, 253, 255):
            netlink.create(proto, v4 + "1", v4 + "2")
            netlink.create(proto, v6 + "1", v6 + "2")
        for icmp_type in (0, 8, 13, 15, 17):
            netlink.create(ICMP, v4 + "1", v4 + "2", (icmp_type, 0, 0x1234 + icmp_type))
        for icmp_type in (128, 139):
            netlink.create(ICMPV6, v6 + "1", v6 + "2", (icmp_type, 0, 0x4321 + icmp_type))

    # Zones: of both directions, of one; the smallest and the largest.
    for port, zone in enumerate([1, 7, 0x8000, 0xFFFF], 100):
        netlink.create(UDP, "10.2.0.1", "10.2.0.2", (port, 1), attr(18, be(2, zone)))
        netlink.create(UDP, "10.2.0.3", "10.2.0.4", (port, 1), zones=(zone, None))
        netlink.create(UDP, "fd00:2::3", "fd00:2::4", (port, 1), zones=(None, zone))

    # Marks, labels, helper, sequence adjustment, synproxy.
    netlink.create(UDP, "10.3.0.1", "10.3.0.2", (1, 1), attr(8, be(4, 0x01020304)))
    netlink.create(UDP, "10.3.0.1", "10.3.0.2", (2, 1), attr(8, be(4, 0xFFFFFFFF)))
    netlink.create(UDP, "10.3.0.1", "10.3.0.2", (3, 1), attr(22, bytes(range(1, 17))))
    netlink.create(TCP, "10.3.0.1", "10.3.0.2", (4, 21), nest(5, attr(1, b"ftp\0")) + tcp(3))
    adjust = lambda kind, *values: nest(kind, *(attr(n, be(4, v)) for n, v in enumerate(values, 1)))
    netlink.create(
        TCP, "10.3.0.1", "10.3.0.2", (5, 80), tcp(3) + adjust(15, 0x11, 0x22, 0x33) + adjust(16, 0x44, 0x55, 0x66)
    )
    netlink.create(TCP, "10.3.0.1", "10.3.0.2", (6, 80), tcp(3) + adjust(24, 0xA1A2A3A4, 0xB1B2B3B4, 0xC1C2C3C4))
    netlink.create(UDP, "10.3.0.1", "10.3.0.2", (7, 1), status(0x40E))

    # NAT: source, destination, both. The reply tuple goes in as it was before NAT.
    nat = lambda kind, ip, port: nest(
        kind,
        attr(4 if ":" in ip else 1, ipaddress.ip_address(ip).packed),
        nest(3, attr(1, be(2, port)), attr(2, be(2, port))),
    )
    netlink.create(UDP, "10.4.0.1", "10.4.0.2", (1, 53), nat(6, "192.0.2.1", 7777))
    netlink.create(UDP, "10.4.0.1", "10.4.0.2", (2, 53), nat(13, "192.0.2.2", 5353))
    both = nat(6, "2001:db8::1", 7) + nat(13, "2001:db8::2", 8)
    netlink.create(TCP, "fd00:4::1", "fd00:4::2", (3, 80), both + tcp(3))

    # Expected by another one.
    netlink.create(
        TCP, "10.5.0.1", "10.5.0.2", (5000, 8000), tcp(3) + conntrack_tuple(14, TCP, "10.3.0.1", "10.3.0.2", (4, 21))
    )


def traffic():
    """Entries as packets make them; the sockets must stay open until the dump."""
    sockets = []
    for family, address, port, called in [
        (socket.AF_INET, "127.0.0.1", 6002, "127.0.0.1"),
        (socket.AF_INET6, "::1", 6003, "::1"),
        (socket.AF_INET, None, 6002, "127.9.9.9"),
    ]:
        if address:
            server = socket.create_server((address, port), family=family)
            sockets.append(server)
        client = socket.create_connection((called, port))
        sockets += [client]
        client.send(b"hello")
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.sendto(b"hello", ("127.0.0.1", 6001))
    for family, proto, address, echo in [
        (socket.AF_INET, ICMP, "127.0.0.1", b"\x08\0"),
        (socket.AF_INET6, ICMPV6, "::1", b"\x80\0"),
    ]:
        raw = socket.socket(family, socket.SOCK_RAW, proto)
        packet = echo + b"\0\0\x77\x88\0\x01"
        if proto == ICMP:
            total = sum(struct.unpack("!4H", packet))
            packet = packet[:2] + be(2, ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF) + packet[4:]
        raw.sendto(packet, (address, 0))
        sockets.append(raw)
    return sockets + [udp]


def run(*command, **more):
    return subprocess.run(command, check=True, text=True, **more)


def prepare(program, *settings):
    """Begins this program again in a network namespace of its own, with the rules and these settings. What it is to write."""
    if len(sys.argv) == 2:
        how = ["-n"] if os.geteuid() == 0 else ["-Urn"]
        os.execvp("unshare", ["unshare", *how, sys.executable, program, sys.argv[1], "inside"])
    run("ip", "link", "set", "lo", "up")
    run("nft", "-f", "-", input=RULES)
    for name in settings:
        run("sysctl", "-qw", f"net.netfilter.nf_conntrack_{name}=1")
    return sys.argv[1]


def main():
    base = prepare(__file__, "acct", "timestamp")
    netlink = Netlink()
    sockets = traffic()
    fill(netlink)
    dump = netlink.dump()
    witness = run("conntrack", "-L", "-o", "extended,id", stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    if not dump or not witness:
        sys.exit("the table is empty")
    version = run("conntrack", "-V", stdout=subprocess.PIPE).stdout.strip()
    with open(base + ".bin", "wb") as file:
        file.write(dump)
    with open(base + ".lines", "w") as file:
        file.write(witness)
    with open(base + ".txt", "w") as file:
        # No local part of the release: it says nothing about the kernel.
        release = platform.release().split("-")[0]
        file.write(
            f"{os.path.basename(base)}.bin: the entries of a conntrack dump as Linux {release} ({platform.machine()}) "
            f"sends\nthem: {len(dump)} bytes of netlink messages, without the final NLMSG_DONE.\n"
            f"{os.path.basename(base)}.lines: `conntrack -L -o extended,id` of the same table, {version}.\n\n"
            f"Made by: python3 tests/data/capture.py tests/data/{os.path.basename(base)}\n"
            "(which see for the entries that were made, and the nft rules.)\n"
        )
    for each in sockets:
        each.close()


if __name__ == "__main__":
    main()
