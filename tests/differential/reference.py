# SPDX-License-Identifier: MIT OR Apache-2.0
"""What a filter selects, written from the text of include/ctrack.h alone: one condition after the other, without any cleverness."""

import struct
from wire import DCCP, GRE, ICMP, ICMPV6, SCTP, TCP, UDP, UDPLITE

# The CT_MATCH_ bits by their numbers.
BITS = (
    "family proto zone mark status orig_src orig_dst reply_src reply_dst orig_sport orig_dport reply_sport reply_dport "
    "icmp_type icmp_code icmp_id tcp_states labels helper orig_zone reply_zone id"
).split()
ADDRESSES, PORTS, ICMP_FIELDS = BITS[5:9], BITS[9:13], BITS[13:16]
# Those that may change while an entry lives.
CHANGING = {"mark", "status", "tcp_states", "labels", "helper"}
PROTOS_WITH_PORTS = (TCP, UDP, DCCP, GRE, SCTP, UDPLITE)


class State:
    """What may change while an entry lives."""

    __slots__ = ("status", "mark", "tcp_state", "labels", "helper")

    def __init__(self, status, mark, tcp_state, labels, helper):
        self.status, self.mark, self.tcp_state, self.labels, self.helper = status, mark, tcp_state, labels, helper

    def key(self):
        return (self.status, self.mark, self.tcp_state, self.labels, self.helper)

    def __eq__(self, other):
        return self.key() == other.key()

    def __hash__(self):
        return hash(self.key())

    def __str__(self):
        labels = int.from_bytes(self.labels, "little")
        return f"status {self.status:#x} mark {self.mark:#x} tcp {self.tcp_state} labels {labels:#x} helper {self.helper}"


class Filter:
    """Conditions by the names of BITS. Values: numbers; (address, prefix); (first, last); status (set, clear); mark and labels
    (value, mask); tcp_states a set of states."""

    def __init__(self, exclude=False, **conditions):
        self.exclude, self.conditions = exclude, conditions

    def __str__(self):
        shown = {name: (value[0].hex(), value[1]) if name in ADDRESSES else value for name, value in self.conditions.items()}
        return ("EXCLUDE " if self.exclude else "") + ", ".join(f"{name}={value}" for name, value in shown.items())

    def pack(self):
        """As struct ct_filter."""
        c = self.conditions
        match = sum(1 << BITS.index(name) for name in c)
        icmp = [c.get(name, 0) for name in ICMP_FIELDS]
        states = sum(1 << state for state in c.get("tcp_states", ()))
        mark, status = c.get("mark", (0, 0)), c.get("status", (0, 0))
        labels = c.get("labels", (b"", b""))
        addresses = [c.get(name, (b"", 0)) for name in ADDRESSES]
        ports = [port for name in PORTS for port in c.get(name, (0, 0))]
        return struct.pack(
            "=IIQ4BHH5I4B16s16s16s16s8H16s16s16s4I",
            *(192, int(self.exclude), match, c.get("family", 0), c.get("proto", 0), icmp[0], icmp[1], icmp[2], states),
            *(c.get("zone", 0), *mark, *status, *(prefix for _, prefix in addresses)),
            *(address for address, _ in addresses),
            *ports,
            *labels,
            c.get("helper", "").encode(),
            *(c.get("orig_zone", 0), c.get("reply_zone", 0), c.get("id", 0), 0),
        )


def _in_net(address, net):
    value, prefix = net
    if len(address) != len(value):
        return False
    shift = len(value) * 8 - prefix
    return int.from_bytes(address, "big") >> shift == int.from_bytes(value, "big") >> shift


def _in_range(port, bounds):
    return port is not None and bounds[0] <= port <= bounds[1]


def _zone(ident, zone):
    """Entries that have this zone in both directions or in one of them; 0: entries without any zone."""
    zones = [zone_ for zone_ in (ident.zone, ident.orig.zone, ident.reply.zone) if zone_]
    return zone in zones if zone else not zones


def _direction(tuple_of):
    """The zone of this direction, be it that of both or of this one only; 0: none."""
    return lambda ident, zone: zone == (ident.zone or tuple_of(ident).zone or 0)


def _of_icmp(position):
    return lambda ident, value: ident.orig.icmp is not None and ident.orig.icmp[position] == value


def _bits(value):
    return int.from_bytes(value, "little")


STABLE = {
    "family": lambda ident, value: ident.family == value,
    "proto": lambda ident, value: ident.orig.proto == value,
    "zone": _zone,
    "orig_src": lambda ident, net: _in_net(ident.orig.src, net),
    "orig_dst": lambda ident, net: _in_net(ident.orig.dst, net),
    "reply_src": lambda ident, net: _in_net(ident.reply.src, net),
    "reply_dst": lambda ident, net: _in_net(ident.reply.dst, net),
    "orig_sport": lambda ident, bounds: _in_range(ident.orig.sport, bounds),
    "orig_dport": lambda ident, bounds: _in_range(ident.orig.dport, bounds),
    "reply_sport": lambda ident, bounds: _in_range(ident.reply.sport, bounds),
    "reply_dport": lambda ident, bounds: _in_range(ident.reply.dport, bounds),
    "icmp_type": _of_icmp(0),
    "icmp_code": _of_icmp(1),
    "icmp_id": _of_icmp(2),
    "orig_zone": _direction(lambda ident: ident.orig),
    "reply_zone": _direction(lambda ident: ident.reply),
}
OF_STATE = {
    "mark": lambda state, value: state.mark & value[1] == value[0],
    "status": lambda state, value: state.status & value[0] == value[0] and not state.status & value[1],
    "tcp_states": lambda state, value: state.tcp_state in value,
    "labels": lambda state, value: _bits(state.labels) & _bits(value[1]) == _bits(value[0]),
    "helper": lambda state, value: state.helper == value,
}


def matches(filter_, entry, state, without=None):
    """Whether all conditions of a filter hold for something with an ident and an id, but for the one named."""
    for name, value in filter_.conditions.items():
        if name == without:
            continue
        if name == "id":
            holds = entry.id == value
        else:
            holds = OF_STATE[name](state, value) if name in CHANGING else STABLE[name](entry.ident, value)
        if not holds:
            return False
    return True


def selected(filters, entry, state, without=(None, None)):
    """At least one including filter, or there is none, and no excluding one. `without`: a filter and a condition to leave out."""
    included, includes = False, False
    for filter_ in filters:
        if filter_.exclude:
            if matches(filter_, entry, state, without[1] if without[0] is filter_ else None):
                return False
        else:
            includes = True
            included = included or matches(filter_, entry, state, without[1] if without[0] is filter_ else None)
    return included or not includes


def decides_alone(filters, filter_, name, entries):
    """Whether leaving this condition out would change the judgement of at least one of the entries."""
    conditions = filter_.conditions
    # Without these, others of the filter would mean nothing.
    if name == "family" and any(other in conditions for other in ADDRESSES):
        return False
    if name == "proto" and any(other in conditions for other in (*PORTS, *ICMP_FIELDS, "tcp_states")):
        return False
    for entry in entries:
        if selected(filters, entry, entry.state) != selected(filters, entry, entry.state, (filter_, name)):
            return True
    return False


def draw_filter(rng, entries, feature=None, exclude=False, exact=False):
    """A filter that is likely to select something: most values are those of one of the entries. None if none has `feature`.

    `exact`: only conditions by which a kernel can delete without being asked for the entries.
    """
    able = [entry for entry in entries if feature is None or feature in _applicable(entry)]
    if not able:
        return None
    model = rng.choice(able)
    applicable = _applicable(model)
    if exact:
        barred = {"tcp_states", "labels", "helper", "orig_zone", "reply_zone", "id"}
        if model.ident.family == 10:
            barred.update(ADDRESSES)
        if model.ident.orig.proto not in (TCP, UDP):
            barred.update(PORTS)
        applicable = [name for name in applicable if name not in barred or name == feature]
    names = set(rng.sample(applicable, min(len(applicable), rng.choice((0, 0, 1, 1, 2, 3)))))
    if feature:
        names.add(feature)
    if not names:
        names.add(rng.choice(applicable))
    if any(name in names for name in ADDRESSES):
        names.add("family")
    if any(name in names for name in (*PORTS, *ICMP_FIELDS, "tcp_states")):
        names.add("proto")
    conditions = {}
    for name in BITS:
        if name in names:
            conditions[name] = _value(rng, name, model, entries, exact)
    if not _possible(conditions):
        conditions.update((name, value) for name, value in _zones(model.ident).items() if name in conditions)
    # An id alone is refused in a delete, unless it excludes.
    if all(_is_void(name, value) or (name == "id" and not exclude) for name, value in conditions.items()):
        conditions["family"] = model.ident.family
    return Filter(exclude, **conditions)


def _zones(ident):
    """The values that an entry has of the three conditions."""
    orig, reply = ident.zone or ident.orig.zone or 0, ident.zone or ident.reply.zone or 0
    return {"zone": orig or reply, "orig_zone": orig, "reply_zone": reply}


def _possible(conditions):
    """Whether an entry can have these zones: it has one at most, for both directions or for one."""
    given = {name: conditions[name] for name in ("zone", "orig_zone", "reply_zone") if name in conditions}
    some = {zone for zone in given.values() if zone} or {0}
    return any(
        given.items() <= {"zone": orig or reply, "orig_zone": orig, "reply_zone": reply}.items()
        for zone in some
        for orig, reply in ((zone, zone), (zone, 0), (0, zone), (0, 0))
    )


def pinned(rng, entry, zone=True):
    """A filter for the whole original tuple."""
    orig, width = entry.ident.orig, len(entry.ident.orig.src) * 8
    conditions = {"family": entry.ident.family, "proto": orig.proto}
    conditions["orig_src"], conditions["orig_dst"] = (orig.src, width), (orig.dst, width)
    if orig.sport is not None:
        conditions["orig_sport"], conditions["orig_dport"] = (orig.sport,) * 2, (orig.dport,) * 2
    if orig.icmp:
        conditions.update(zip(ICMP_FIELDS, orig.icmp))
    if zone:
        kinds = rng.choice((("zone",), ("zone",), ("orig_zone",), ("orig_zone", "reply_zone"), ("zone", "reply_zone")))
        conditions.update((name, value) for name, value in _zones(entry.ident).items() if name in kinds)
    if rng.random() < 0.2:
        conditions["id"] = entry.id
    return Filter(**conditions)


def _is_void(name, value):
    """Whether a condition holds for every entry."""
    # CONFIRMED is set on every entry.
    return value[1] == 0 if name in ADDRESSES else name == "status" and value == (0x8, 0)


def _applicable(entry):
    names = ["family", "proto", "zone", "mark", "status", *ADDRESSES, "labels", "orig_zone", "reply_zone", "id"]
    if entry.ident.orig.sport is not None:
        names += PORTS
    if entry.ident.orig.icmp:
        names += ICMP_FIELDS
    if entry.ident.orig.proto == TCP:
        names.append("tcp_states")
    if entry.state.helper:
        names.append("helper")
    return names


def _value(rng, name, model, entries, exact):
    # Now and then somebody else's value, that need not fit.
    entry = model
    if rng.random() < 0.12:
        fitting = [other for other in entries if other.ident.family == model.ident.family and name in _applicable(other)]
        fitting = [other for other in fitting if other.ident.orig.proto == model.ident.orig.proto]
        entry = rng.choice(fitting or [model])
    ident, state = entry.ident, entry.state
    if name == "family":
        return ident.family
    if name == "proto":
        return model.ident.orig.proto
    if name == "zone":
        zones = [zone for zone in (ident.zone, ident.orig.zone, ident.reply.zone) if zone]
        return rng.choice(zones) if zones else 0
    if name in ("orig_zone", "reply_zone"):
        return _zones(ident)[name]
    if name == "id":
        return entry.id
    if name == "mark":
        mask = rng.choice((0xFFFFFFFF, 0xFFFFFFFF, 0x1, 0x3, 0xFFFF0000))
        return (state.mark & mask, mask)
    if name == "status":
        usual = (0x2, 0x4, 0x8, 0x10, 0x20, 0x400)
        wanted = sum(bit for bit in usual if state.status & bit and rng.random() < 0.4)
        barred = sum(bit for bit in usual if not state.status & bit and rng.random() < 0.3)
        if not wanted and not barred:
            wanted, barred = (0x4, 0) if state.status & 0x4 else (0, 0x4)
        return (wanted, barred)
    if name in ADDRESSES:
        address = getattr(getattr(ident, name.split("_")[0]), name.split("_")[1])
        width = len(address) * 8
        prefix = width if exact else rng.choice((width, width, width, width - 1, width - 8, width - 15, 8, 0))
        shift = width - prefix
        return ((int.from_bytes(address, "big") >> shift << shift).to_bytes(width // 8, "big"), prefix)
    if name in PORTS:
        port = getattr(getattr(ident, name.split("_")[0]), name.split("_")[1])
        spread = 0 if exact else rng.choice((0, 0, 1, 100, 65535))
        return (max(0, port - spread), min(65535, port + rng.choice((0, spread))))
    if name in ICMP_FIELDS:
        return ident.orig.icmp[ICMP_FIELDS.index(name)]
    if name == "tcp_states":
        return frozenset({state.tcp_state, *rng.sample(range(10), rng.choice((0, 0, 1, 3)))})
    if name == "labels":
        mask = (1 << 128) - 1 if rng.random() < 0.2 else rng.getrandbits(3) | 1 << rng.choice((0, 1, 100))
        return ((_bits(state.labels) & mask).to_bytes(16, "little"), mask.to_bytes(16, "little"))
    return state.helper
