# SPDX-License-Identifier: MIT OR Apache-2.0
"""ctnetlink from scratch: what the differential run needs to make, change, list and watch entries without the library.

The only source is the kernel's own numbering (linux/netfilter/nfnetlink_conntrack.h). Nothing here is taken from the library,
so that a mistake in one of the two cannot be in both.
"""

import ctypes
import errno
import os
import select
import socket
import struct

NETLINK_NETFILTER = 12
SOL_NETLINK = 270
NETLINK_ADD_MEMBERSHIP, NETLINK_CAP_ACK = 1, 10
SO_RCVBUFFORCE, SO_MEMINFO = 33, 55
GROUP_NEW, GROUP_UPDATE, GROUP_DESTROY = 1, 2, 3
REQUEST, MULTI, ACK, DUMP, CREATE_NEW = 0x1, 0x2, 0x4, 0x300, 0x600
CT_NEW, CT_GET, CT_DELETE = 0x100, 0x101, 0x102
NLMSG_ERROR, NLMSG_DONE = 2, 3

ICMP, TCP, UDP, DCCP, GRE, ICMPV6, SCTP, UDPLITE = 1, 6, 17, 33, 47, 58, 132, 136
INET, INET6 = 2, 10


class Tuple:
    """One direction of an entry. What its protocol has not is None; zone: only if it holds for this direction alone."""

    __slots__ = ("src", "dst", "proto", "sport", "dport", "icmp", "zone")

    def __init__(self, src, dst, proto, sport=None, dport=None, icmp=None, zone=None):
        self.src, self.dst, self.proto = src, dst, proto
        self.sport, self.dport, self.icmp, self.zone = sport, dport, icmp, zone

    def key(self):
        return (self.src, self.dst, self.proto, self.sport, self.dport, self.icmp, self.zone)

    def __eq__(self, other):
        return self.key() == other.key()

    def __hash__(self):
        return hash(self.key())

    def replaced(self, **fields):
        new = dict(zip(self.__slots__, (getattr(self, name) for name in self.__slots__)))
        new.update(fields)
        return Tuple(**new)

    def mirror(self):
        """The other direction, without a zone."""
        icmp = self.icmp
        if icmp:
            answers = {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17}
            if self.proto == ICMPV6:
                answers = {128: 129, 129: 128, 139: 140, 140: 139}
            icmp = (answers[icmp[0]], icmp[1], icmp[2])
        return Tuple(self.dst, self.src, self.proto, self.dport, self.sport, icmp)

    def __str__(self):
        family = socket.AF_INET if len(self.src) == 4 else socket.AF_INET6
        text = f"{self.proto} {socket.inet_ntop(family, self.src)}>{socket.inet_ntop(family, self.dst)}"
        if self.sport is not None:
            text += f" {self.sport}>{self.dport}"
        if self.icmp:
            text += " type {} code {} id {}".format(*self.icmp)
        return text + (f" zone {self.zone}" if self.zone is not None else "")


class Ident:
    """What never changes while an entry lives: both tuples and the zone (0: none, or for one direction only)."""

    __slots__ = ("family", "orig", "reply", "zone", "hash")

    def __init__(self, orig, reply, zone=0):
        self.family = INET if len(orig.src) == 4 else INET6
        self.orig, self.reply, self.zone = orig, reply, zone
        self.hash = hash((orig, reply, zone))

    def zones(self):
        """For which directions it has a zone, and which."""
        for kind, zone in (("both", self.zone), ("orig", self.orig.zone), ("reply", self.reply.zone)):
            if zone:
                return kind, zone
        return "none", 0

    def names(self):
        """Each tuple with the zone in which it is looked up."""
        return {(tuple_.replaced(zone=None), self.zone or tuple_.zone or 0) for tuple_ in (self.orig, self.reply)}

    def __eq__(self, other):
        return self.zone == other.zone and self.orig == other.orig and self.reply == other.reply

    def __hash__(self):
        return self.hash

    def __str__(self):
        return f"[{self.orig} | {self.reply}" + (f" | zone {self.zone}]" if self.zone else "]")


# --- encoding ---------------------------------------------------------------------------------------------------------


def attr(kind, data):
    return struct.pack("=HH", len(data) + 4, kind) + data + b"\0" * (-len(data) % 4)


def nest(kind, *parts):
    return attr(kind | 0x8000, b"".join(parts))


def be16(value):
    return struct.pack(">H", value)


def be32(value):
    return struct.pack(">I", value)


def message(kind, flags, family, payload, seq=0):
    return struct.pack("=IHHIIBBH", 20 + len(payload), kind, flags, seq, 0, family, 1, 0) + payload


_encoded = {}


def tuple_attr(kind, tuple_, zone=None):
    """A tuple; `zone` goes inside, as a zone for this direction only, in the place of the tuple's own."""
    zone = tuple_.zone if zone is None else zone
    key = (kind, tuple_.key(), zone)
    if key not in _encoded:
        if len(tuple_.src) == 4:
            addresses = nest(1, attr(1, tuple_.src), attr(2, tuple_.dst))
        else:
            addresses = nest(1, attr(3, tuple_.src), attr(4, tuple_.dst))
        proto = attr(1, bytes([tuple_.proto]))
        if tuple_.sport is not None:
            proto += attr(2, be16(tuple_.sport)) + attr(3, be16(tuple_.dport))
        if tuple_.icmp:
            first = 4 if tuple_.proto == ICMP else 7
            kind_, code, number = tuple_.icmp
            proto += attr(first, be16(number)) + attr(first + 1, bytes([kind_])) + attr(first + 2, bytes([code]))
        inner = b"" if zone is None else attr(3, be16(zone))
        if len(_encoded) > 100_000:
            _encoded.clear()
        _encoded[key] = nest(kind, addresses, nest(2, proto), inner)
    return _encoded[key]


def zone_attr(ident):
    return attr(18, be16(ident.zone)) if ident.zone else b""


def key_attrs(ident, by_reply=False):
    """What names an entry in a request: one tuple and the zone."""
    tuple_ = tuple_attr(2, ident.reply) if by_reply else tuple_attr(1, ident.orig)
    return tuple_ + zone_attr(ident)


def delete_request(ident, number=None, by_reply=False, flags=0, seq=0):
    payload = key_attrs(ident, by_reply) + (b"" if number is None else attr(12, be32(number)))
    return message(CT_DELETE, REQUEST | flags, ident.family, payload, seq)


def get_request(ident, by_reply=False, seq=0):
    return message(CT_GET, REQUEST | ACK, ident.family, key_attrs(ident, by_reply), seq)


# --- decoding ---------------------------------------------------------------------------------------------------------


def attributes(data, at, end):
    found = {}
    while at + 4 <= end:
        length, kind = struct.unpack_from("=HH", data, at)
        if length < 4 or at + length > end:
            raise ValueError("malformed attribute")
        found[kind & 0x3FFF] = data[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


_decoded = {}


def decode_tuple(data):
    known = _decoded.get(data)
    if known is not None:
        return known
    parts = attributes(data, 0, len(data))
    addresses = attributes(parts[1], 0, len(parts[1]))
    proto = attributes(parts[2], 0, len(parts[2]))
    src, dst = (addresses[1], addresses[2]) if 1 in addresses else (addresses[3], addresses[4])
    sport, dport = (int.from_bytes(proto[n], "big") if n in proto else None for n in (2, 3))
    icmp = None
    for first in (4, 7):
        if first in proto:
            icmp = (proto[first + 1][0], proto[first + 2][0], int.from_bytes(proto[first], "big"))
    zone = int.from_bytes(parts[3], "big") if 3 in parts else None
    tuple_ = Tuple(src, dst, proto[1][0], sport, dport, icmp, zone)
    if len(_decoded) > 100_000:
        _decoded.clear()
    _decoded[data] = tuple_
    return tuple_


class Message:
    """One ctnetlink message, decoded. Fields that did not come are None."""

    __slots__ = ("kind", "flags", "portid", "seq", "ident", "id", "status", "mark", "tcp_state", "labels", "helper", "start")


def decode(data, at=0):
    length, kind, flags, seq, portid = struct.unpack_from("=IHHII", data, at)
    found = attributes(data, at + 20, at + length)
    m = Message()
    m.kind, m.flags, m.portid, m.seq = kind, flags, portid, seq
    zone = int.from_bytes(found[18], "big") if 18 in found else 0
    m.ident = Ident(decode_tuple(found[1]), decode_tuple(found[2]), zone)
    m.id = int.from_bytes(found[12], "big")
    m.status = int.from_bytes(found[3], "big") if 3 in found else None
    m.mark = int.from_bytes(found[8], "big") if 8 in found else None
    m.labels = found.get(22)
    m.tcp_state = m.helper = m.start = None
    if 4 in found:
        protocols = attributes(found[4], 0, len(found[4]))
        if 1 in protocols:
            tcp = attributes(protocols[1], 0, len(protocols[1]))
            m.tcp_state = tcp[1][0]
    if 5 in found:
        helper = attributes(found[5], 0, len(found[5]))
        if 1 in helper:
            m.helper = helper[1].rstrip(b"\0").decode()
    if 20 in found:
        times = attributes(found[20], 0, len(found[20]))
        m.start = int.from_bytes(times[1], "big")
    return m


def names_asked_for(data):
    """What the requests of one datagram name: tuples, each with the zone in which it is looked up."""
    names, at = set(), 0
    while at + 20 <= len(data):
        (length,) = struct.unpack_from("=I", data, at)
        found = attributes(data, at + 20, at + length)
        zone = int.from_bytes(found[18][:2], "big") if 18 in found else 0
        for tuple_ in (decode_tuple(found[kind]) for kind in (1, 2) if kind in found):
            names.add((tuple_.replaced(zone=None), tuple_.zone or zone))
        at += (length + 3) & ~3
    return names


# --- sockets ----------------------------------------------------------------------------------------------------------


class Requests:
    """A socket for requests. Its port id tells its own changes from those of others."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        self.socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self.socket.bind((0, 0))
        self.socket.settimeout(30)
        self.portid = self.socket.getsockname()[0]
        self.seq = 0

    def transact(self, messages):
        """Sends encoded messages (of which none may ask for an ack) and waits until all are done. How many were refused."""
        refused = 0
        # Each refusal takes room in the receive buffer: 100 always fit.
        for first in range(0, len(messages), 100):
            self.seq += 1
            # A request with an ack, that changes nothing: the answer to it comes after those to all others.
            barrier = message(0x105, REQUEST | ACK, 0, b"", self.seq)
            self.socket.send(b"".join(messages[first : first + 100]) + barrier)
            while True:
                done = False
                for kind, error, seq in self._answers():
                    if seq == self.seq:
                        done |= kind == NLMSG_ERROR
                    elif kind == NLMSG_ERROR and error:
                        if error == -errno.EPERM:
                            raise PermissionError("CAP_NET_ADMIN is missing")
                        refused += 1
                if done:
                    break
        return refused

    def _answers(self):
        data = self.socket.recv(65536)
        at = 0
        while at + 16 <= len(data):
            length, kind, _, seq, _ = struct.unpack_from("=IHHII", data, at)
            error = struct.unpack_from("=i", data, at + 16)[0] if kind == NLMSG_ERROR else 0
            yield kind, error, seq
            at += (length + 3) & ~3

    def dump(self):
        """Every entry of the network namespace."""
        self.seq += 1
        self.socket.send(message(CT_GET, REQUEST | DUMP, 0, b"", self.seq))
        entries = []
        while True:
            data = self.socket.recv(65536)
            at = 0
            while at + 16 <= len(data):
                length, kind = struct.unpack_from("=IH", data, at)
                if kind == NLMSG_DONE:
                    return entries
                if kind == NLMSG_ERROR:
                    raise OSError(-struct.unpack_from("=i", data, at + 16)[0], "dump refused")
                entries.append(decode(data, at))
                at += (length + 3) & ~3

    def get(self, idents, by_reply=False):
        """For each the entry that the kernel finds by this tuple, or None."""
        found = [None] * len(idents)
        for at, ident in enumerate(idents):
            self.seq += 1
            self.socket.send(get_request(ident, by_reply, self.seq))
            done = False
            while not done:
                data = self.socket.recv(65536)
                kind = struct.unpack_from("=H", data, 4)[0]
                if kind == CT_NEW:
                    found[at] = decode(data)
                else:
                    done = kind == NLMSG_ERROR
        return found

    def flush(self):
        """Deletes everything: this library's own tests may do that in their own network namespace."""
        self.transact([message(CT_DELETE, REQUEST, 0, b"")])


class Lost(Exception):
    """The kernel had to drop events: what came cannot be judged."""


class Events:
    """One socket that hears of every entry made, changed and destroyed, in the order of the kernel's own doing.

    ctnetlink changes entries under one mutex and reports them before it gives that back, so the order of messages in this one
    queue is the order of the changes, as long as no packet passes (the namespace's loopback is down).
    """

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 64 << 20)
        except PermissionError:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 20)
        self.socket.bind((0, 0))
        for group in (GROUP_DESTROY, GROUP_UPDATE, GROUP_NEW):
            self.socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)
        self.socket.setblocking(False)
        self.poll = select.poll()
        self.poll.register(self.socket, select.POLLIN)
        self.lost = 0

    def receive(self):
        """All raw messages that are queued."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(8192))
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
        return messages

    def wait(self, seconds):
        """Until something comes."""
        self.poll.poll(seconds * 1000)

    def check(self, ignore=False):
        """Raises Lost if anything was dropped since the last check."""
        drops = struct.unpack_from("=9I", self.socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, 36))[8]
        lost, self.lost = drops - self.lost, drops
        if lost and not ignore:
            raise Lost(f"{lost} events")


def new_network_namespace():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
