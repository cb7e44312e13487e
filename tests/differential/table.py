# SPDX-License-Identifier: MIT OR Apache-2.0
"""Random tables, and random changes to them. Small pools of values, so that filters hit and tuples meet again."""

from wire import CREATE_NEW, CT_NEW, DCCP, GRE, ICMP, ICMPV6, REQUEST, SCTP, TCP, UDP, UDPLITE, Ident, Tuple
from wire import attr, be16, be32, delete_request, key_attrs, message, nest, tuple_attr, zone_attr

PROTOS = (TCP, UDP, UDPLITE, SCTP, GRE, DCCP, ICMP, ICMPV6, 50, 89, 253)
WEIGHTS = (34, 22, 6, 6, 5, 4, 10, 10, 3, 3, 3)
V4 = [bytes(map(int, text.split("."))) for text in ("10.0.0.1", "10.0.0.2", "10.0.1.1", "10.9.0.1", "192.0.2.9")]
V6 = [bytes.fromhex("fd00") + bytes(n) + bytes([m]) for n, m in ((13, 1), (13, 2), (13, 0x81))] + [bytes.fromhex("20010db8") + bytes(11) + b"\1"]
PORTS = (53, 80, 1000, 1001, 5353)
ZONES = (7, 9, 40000)
MARKS = (0, 1, 2, 3, 0x10001, 0xFFFF0000)
LABELS = [(1 << n | m).to_bytes(16, "little") for n in (0, 1, 2, 100) for m in (0, 1, 2)]
SEEN_REPLY, ASSURED, CONFIRMED, FIXED_TIMEOUT = 0x2, 0x4, 0x8, 0x400
ICMP_TYPES = {ICMP: (8, 0, 13), ICMPV6: (128, 129)}

# Between two of these, in the queue of events, lies what happened during a call.
MARKER = Ident(Tuple(b"\xcb\0\x71\1", b"\xcb\0\x71\2", 253), Tuple(b"\xcb\0\x71\2", b"\xcb\0\x71\1", 253))

# The mark of a marker before the library looks at entries again.
LOOK = 0x100C


class Flow:
    """An entry to be made."""

    def __init__(self, orig, reply=None, zone=0, nat=(), **state):
        self.ident = Ident(orig, reply or orig.mirror(), zone)
        self.nat, self.state = nat, state

    def request(self):
        s, ident = self.state, self.ident
        payload = tuple_attr(1, ident.orig) + tuple_attr(2, ident.reply) + zone_attr(ident)
        payload += attr(3, be32(CONFIRMED | s.get("status", 0))) + attr(7, be32(s.get("timeout", 3000))) + attr(8, be32(s.get("mark", 0)))
        if ident.orig.proto == TCP:
            payload += _tcp(s.get("tcp_state", 3))
        if ident.orig.proto == SCTP:
            payload += nest(4, nest(3, attr(1, b"\3"), attr(2, be32(1)), attr(3, be32(2))))
        if s.get("helper"):
            payload += nest(5, attr(1, s["helper"].encode() + b"\0"))
        if s.get("labels"):
            payload += attr(22, s["labels"])
        for kind, address, port in self.nat:
            # CTA_NAT_SRC and CTA_NAT_DST: the address from which and the one to which the kernel may choose.
            first = attr(1, address) + attr(2, address) if len(address) == 4 else attr(4, address) + attr(5, address)
            ports = b"" if port is None else nest(3, attr(1, be16(port)), attr(2, be16(port)))
            payload += nest(kind, first, ports)
        return message(CT_NEW, REQUEST | CREATE_NEW, ident.family, payload)


def _tcp(state):
    return nest(4, nest(1, attr(1, bytes([state]))))


def random_tuple(rng, proto=None):
    proto = proto or rng.choices(PROTOS, WEIGHTS)[0]
    six = proto == ICMPV6 or (proto != ICMP and rng.random() < 0.3)
    src, dst = rng.choice(V6 if six else V4), rng.choice(V6 if six else V4)
    if proto in (TCP, UDP, UDPLITE, SCTP):
        return Tuple(src, dst, proto, rng.choice(PORTS), rng.choice(PORTS))
    if proto == GRE:
        return Tuple(src, dst, proto, rng.choice((0, 0, 1000)), rng.choice((0, 53, 1000)))
    if proto in ICMP_TYPES:
        return Tuple(src, dst, proto, icmp=(rng.choice(ICMP_TYPES[proto]), rng.choice((0, 0, 1)), rng.choice((1, 2, 77))))
    return Tuple(src, dst, proto)


def random_state(rng, proto):
    state = {"mark": rng.choice(MARKS), "status": rng.choice((0, 0, SEEN_REPLY, SEEN_REPLY | ASSURED, ASSURED))}
    if rng.random() < 0.1:
        state["status"] |= FIXED_TIMEOUT
    if rng.random() < 0.35:
        state["labels"] = rng.choice(LABELS)
    if proto == TCP:
        state["tcp_state"] = rng.randrange(10)
        if rng.random() < 0.3:
            state["helper"] = "ftp"
    if proto == UDP and rng.random() < 0.15:
        state["helper"] = "tftp"
    return state


def random_nat(rng, orig):
    """How a new entry is to be translated: not at all, or its source, its destination or both."""
    nat = []
    if orig.proto in (TCP, UDP, UDPLITE, SCTP) and rng.random() < 0.35:
        pool = V4 if len(orig.src) == 4 else V6
        which = rng.choice(((6,), (13,), (13,), (6, 13)))
        for kind in which:
            nat.append((kind, rng.choice(pool), rng.choice((None, rng.choice(PORTS)))))
    return nat


def random_zone(rng, tuple_):
    """The tuple and its zone: none, for both directions, or for the original one; for the reply one see random_flow()."""
    kind = rng.choices(("none", "both", "orig", "reply"), (4, 4, 1, 1))[0]
    return kind, rng.choice(ZONES)


def random_flow(rng, orig=None):
    orig = orig or random_tuple(rng)
    orig = orig.replaced(zone=None)
    kind, zone = random_zone(rng, orig)
    nat, reply = random_nat(rng, orig), None
    if kind == "orig":
        orig = orig.replaced(zone=zone)
    if kind == "reply":
        reply = orig.mirror().replaced(zone=zone)
    return Flow(orig, reply, zone if kind == "both" else 0, nat, **random_state(rng, orig.proto))


def hidden_flows(rng):
    """An entry both of whose tuples are those of two later entries the other way round, with zones for one direction: the
    kernel's look-up, which knows no direction, finds those."""
    orig = random_tuple(rng, rng.choice((UDP, TCP, UDP, ICMP, 89)))
    zone = rng.choice((0, *ZONES))
    state = lambda: random_state(rng, orig.proto)  # noqa: E731
    hidden = Flow(orig, zone=zone, **state())
    other, another = (random_tuple(rng, orig.proto if orig.proto != ICMP else ICMP) for _ in "xx")
    if len(other.src) != len(orig.src) or len(another.src) != len(orig.src):
        pool = V4 if len(orig.src) == 4 else V6
        other, another = (t.replaced(src=rng.choice(pool), dst=rng.choice(pool)) for t in (other, another))
    if zone:
        # Its reply tuple is another's original one in that zone, its original tuple another's reply one.
        first = Flow(orig.mirror().replaced(zone=zone), orig.replaced(zone=None), **state())
        second = Flow(other, orig.replaced(zone=zone), **state())
    else:
        # In zone 0 lies what has a zone for the other direction only.
        first = Flow(orig.mirror(), another.replaced(zone=rng.choice(ZONES)), **state())
        second = Flow(other.replaced(zone=rng.choice(ZONES)), orig, **state())
    flows = [hidden, first, second]
    if rng.random() < 0.3:
        # Only one of the two ways is barred.
        del flows[rng.choice((1, 2))]
    return flows


def random_table(rng, size):
    flows = [random_flow(rng) for _ in range(size)]
    for _ in range(rng.choice((0, 1, 2, 4))):
        flows += hidden_flows(rng)
    for _ in range(rng.choice((0, 0, 1))):
        # Source and destination are the same: only the directions of the zones tell two entries apart.
        address, port, zone = rng.choice(V4), rng.choice(PORTS), rng.choice(ZONES)
        tuple_ = Tuple(address, address, UDP, port, port)
        flows += [Flow(tuple_.replaced(zone=zone), **random_state(rng, UDP)), Flow(tuple_, tuple_.replaced(zone=zone), **random_state(rng, UDP))]
    return flows


# --- changes ----------------------------------------------------------------------------------------------------------


def _update(entry, payload):
    return message(CT_NEW, REQUEST, entry.ident.family, key_attrs(entry.ident) + payload)


# What changes do: everything, only what entries live through, only successors.
KINDS = ("mark", "status", "tcp", "labels", "helper", "replace", "same", "delete", "new")
PROFILES = {"mixed": (6, 3, 4, 2, 1, 4, 3, 1, 2), "states": (8, 2, 5, 3, 1, 0, 0, 0, 0), "successors": (1, 0, 0, 0, 0, 5, 5, 0, 1)}


def random_change(rng, entry, weights):
    """Requests that change one entry, replace it by a successor, or remove it."""
    ident, proto = entry.ident, entry.ident.orig.proto
    kind = rng.choices(KINDS, weights)[0]
    if kind == "tcp" and proto != TCP or kind == "helper" and not entry.state.helper:
        kind = "mark"
    if kind == "mark":
        return [_update(entry, attr(8, be32(rng.choice(MARKS))))]
    if kind == "status":
        # Bits can only be added: one that is there and is not named makes the kernel refuse.
        return [_update(entry, attr(3, be32(CONFIRMED | SEEN_REPLY | ASSURED | rng.choice((0, 0, FIXED_TIMEOUT)))))]
    if kind == "tcp":
        return [_update(entry, _tcp(rng.randrange(10)))]
    if kind == "labels":
        # Never none at all: an event does not say so.
        return [_update(entry, attr(22, rng.choice(LABELS)) + attr(23, b"\xff" * 16))]
    if kind == "helper":
        return [_update(entry, nest(5, attr(1, b"\0")))]
    if kind == "delete":
        return [delete_request(ident)]
    if kind == "new":
        return [random_flow(rng).request()]
    if kind == "same":
        # The same tuples and zone, but another mark, status and so on: perhaps with the same id, too.
        return [delete_request(ident), Flow(ident.orig, ident.reply, ident.zone, **random_state(rng, proto)).request()]
    # The same original tuple with another translation, or in another zone.
    orig = ident.orig
    if rng.random() < 0.6:
        return [delete_request(ident), Flow(orig, zone=ident.zone, nat=random_nat(rng, orig), **random_state(rng, proto)).request()]
    return [delete_request(ident), random_flow(rng, orig).request()]


def random_changes(rng, entries, favourites, many):
    """`many` batches of requests, each to be sent at once. Favourites are changed more often."""
    weights, batches = PROFILES[rng.choice(list(PROFILES))], []
    for _ in range(many):
        batch = []
        for _ in range(rng.choice((1, 1, 2, 4))):
            pool = favourites if favourites and rng.random() < 0.6 else entries
            batch += random_change(rng, rng.choice(pool), weights)
        batches.append(b"".join(batch))
    return batches
