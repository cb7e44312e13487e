//! What the kernel does with requests, as far as the library relies on it: a small conntrack table behind a
//! [`Script`](super::transport::Script), and the messages that it is made of. An encoder of its own, so that a mistake of the
//! library's cannot cancel itself out.

use super::ctrack::*;
use super::transport::{Event, Request, PORT};
use std::sync::{Arc, Mutex};

#[path = "filtering.rs"]
pub mod filtering;

use filtering::{has_filter, Honours, Wanted};

pub const NLMSG_NOOP: u16 = 1;
pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;
pub const NLMSG_OVERRUN: u16 = 4;
pub const NEW: u16 = 0x100;
pub const GET: u16 = 0x101;
pub const DELETE: u16 = 0x102;
pub const GET_STATS: u16 = 0x105;
pub const F_REQUEST: u16 = 0x1;
pub const F_MULTI: u16 = 0x2;
pub const F_ACK: u16 = 0x4;
pub const F_DUMP_INTR: u16 = 0x10;
pub const F_DUMP: u16 = 0x300;
pub const F_EXCL: u16 = 0x200;
pub const F_CREATE: u16 = 0x400;
pub const F_CAPPED: u16 = 0x100;
pub const F_ACK_TLVS: u16 = 0x200;
pub const NESTED: u16 = 0x8000;

/// An attribute with its padding.
pub fn attr(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u16::try_from(4 + value.len()).unwrap().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An attribute that holds others.
pub fn nest(kind: u16, parts: &[Vec<u8>]) -> Vec<u8> {
    attr(kind | NESTED, &parts.concat())
}

/// The attributes in a stretch of bytes that are as they should be: type with its flags, and value.
pub fn attrs(mut bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
        found.push((u16::from_ne_bytes([bytes[2], bytes[3]]), bytes[4..length].to_vec()));
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    found
}

/// A netlink message with any header.
pub fn message(kind: u16, flags: u16, seq: u32, port: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(u32::try_from(16 + payload.len()).unwrap().to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend(port.to_ne_bytes());
    bytes.extend(payload);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A message in answer to a request.
pub fn reply(request: &Request, kind: u16, flags: u16, payload: &[u8]) -> Vec<u8> {
    message(kind, flags, request.seq, PORT, payload)
}

/// An NLMSG_ERROR as it is with NETLINK_CAP_ACK; 0 is success.
pub fn ack(request: &Request, errno: i32) -> Vec<u8> {
    ack_with(request, errno, &[])
}

/// The same with extended-ack attributes.
pub fn ack_with(request: &Request, errno: i32, attributes: &[Vec<u8>]) -> Vec<u8> {
    let mut payload = (-errno).to_ne_bytes().to_vec();
    payload.extend(u32::try_from(16 + request.payload.len()).unwrap().to_ne_bytes());
    payload.extend(request.kind.to_ne_bytes());
    payload.extend(request.flags.to_ne_bytes());
    payload.extend(request.seq.to_ne_bytes());
    payload.extend(request.port.to_ne_bytes());
    payload.extend(attributes.concat());
    reply(request, NLMSG_ERROR, if attributes.is_empty() { F_CAPPED } else { F_CAPPED | F_ACK_TLVS }, &payload)
}

pub fn done(request: &Request, errno: i32) -> Vec<u8> {
    reply(request, NLMSG_DONE, F_MULTI, &(-errno).to_ne_bytes())
}

pub fn entry_message(request: &Request, entry: &Entry) -> Vec<u8> {
    reply(request, NEW, F_MULTI, &encode(entry))
}

pub fn stats(request: &Request, count: u32) -> Vec<u8> {
    let payload = [vec![0; 4], attr(1, &count.to_be_bytes()), attr(2, &262_144u32.to_be_bytes())].concat();
    reply(request, GET_STATS, 0, &payload)
}

pub fn datagram(messages: &[Vec<u8>]) -> Event {
    Event::Datagram(messages.concat())
}

/// A tuple as the kernel sends it.
pub fn encode_tuple(kind: u16, entry: &Entry, tuple: &Tuple, zone: bool) -> Vec<u8> {
    let ip = if entry.family == CT_FAMILY_IPV4 {
        [attr(1, &tuple.src[..4]), attr(2, &tuple.dst[..4])]
    } else {
        [attr(3, &tuple.src), attr(4, &tuple.dst)]
    };
    let mut l4 = vec![attr(1, &[entry.proto])];
    if entry.has(CT_HAS_PORTS) {
        l4.push(attr(2, &tuple.sport.to_be_bytes()));
        l4.push(attr(3, &tuple.dport.to_be_bytes()));
    }
    if entry.has(CT_HAS_ICMP) {
        let base = if entry.proto == CT_PROTO_ICMP { 4 } else { 7 };
        l4.push(attr(base, &tuple.icmp_id.to_be_bytes()));
        l4.push(attr(base + 1, &[tuple.icmp_type]));
        l4.push(attr(base + 2, &[tuple.icmp_code]));
    }
    let mut parts = vec![nest(1, &ip), nest(2, &l4)];
    if zone {
        parts.push(attr(3, &u16::try_from(tuple.zone).unwrap().to_be_bytes()));
    }
    nest(kind, &parts)
}

/// The payload of the message in which the kernel sends an entry, attributes in the kernel's order.
pub fn encode(e: &Entry) -> Vec<u8> {
    let mut parts = vec![
        vec![e.family, 0, 0, 0],
        encode_tuple(1, e, &e.orig, e.has(CT_HAS_ORIG_ZONE)),
        encode_tuple(2, e, &e.reply, e.has(CT_HAS_REPLY_ZONE)),
    ];
    if e.has(CT_HAS_ZONE) {
        parts.push(attr(18, &u16::try_from(e.zone).unwrap().to_be_bytes()));
    }
    for (bit, kind, value) in [
        (CT_HAS_STATUS, 3, e.status),
        (CT_HAS_MARK, 8, e.mark),
        (CT_HAS_ID, 12, e.id),
        (CT_HAS_USE, 11, e.use_count),
        (CT_HAS_TIMEOUT, 7, e.timeout),
    ] {
        if e.has(bit) {
            parts.push(attr(kind, &value.to_be_bytes()));
        }
    }
    parts.extend(encode_protoinfo(e));
    for (bit, kind, counters) in
        [(CT_HAS_ORIG_COUNTERS, 9, e.orig_counters), (CT_HAS_REPLY_COUNTERS, 10, e.reply_counters)]
    {
        if e.has(bit) {
            let values = [attr(1, &counters.packets.to_be_bytes()), attr(2, &counters.bytes.to_be_bytes())];
            parts.push(nest(kind, &values));
        }
    }
    let mut times = Vec::new();
    if e.has(CT_HAS_START) {
        times.push(attr(1, &e.start_ns.to_be_bytes()));
    }
    if e.has(CT_HAS_STOP) {
        times.push(attr(2, &e.stop_ns.to_be_bytes()));
    }
    if !times.is_empty() {
        parts.push(nest(20, &times));
    }
    if let Some(helper) = e.helper() {
        parts.push(nest(5, &[attr(1, &[helper.as_bytes(), &[0]].concat())]));
    }
    if e.has(CT_HAS_LABELS) {
        parts.push(attr(22, &e.labels));
    }
    parts.concat()
}

fn encode_protoinfo(e: &Entry) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    if e.has(CT_HAS_TCP_STATE) {
        parts.push(attr(1, &[e.tcp_state]));
    }
    if e.has(CT_HAS_TCP_WSCALE) {
        parts.extend([attr(2, &[e.tcp_wscale_orig]), attr(3, &[e.tcp_wscale_reply])]);
    }
    if e.has(CT_HAS_TCP_FLAGS) {
        parts.push(attr(4, &[e.tcp_flags_orig, e.tcp_mask_orig]));
        parts.push(attr(5, &[e.tcp_flags_reply, e.tcp_mask_reply]));
    }
    if !parts.is_empty() {
        return Some(nest(4, &[nest(1, &parts)]));
    }
    if e.has(CT_HAS_SCTP) {
        let (orig, reply) = (e.sctp_vtag_orig.to_be_bytes(), e.sctp_vtag_reply.to_be_bytes());
        return Some(nest(4, &[nest(3, &[attr(1, &[e.sctp_state]), attr(2, &orig), attr(3, &reply)])]));
    }
    e.has(CT_HAS_DCCP).then(|| nest(4, &[nest(2, &[attr(1, &[e.dccp_state]), attr(2, &[e.dccp_role])])]))
}

/// A table that answers as the kernel does.
#[derive(Clone)]
pub struct Table {
    entries: Arc<Mutex<Vec<Entry>>>,
    honours: Honours,
    /// How many entries it says to have more than it has.
    more: u32,
}

impl Table {
    /// One of the oldest kernel: nothing but a family limits a dump, and a tuple in a DELETE is always a key.
    pub fn new(entries: &[Entry]) -> Table {
        Table::of(Honours::default(), entries)
    }

    /// One of a kernel that filters by more.
    pub fn of(honours: Honours, entries: &[Entry]) -> Table {
        Table { entries: Arc::new(Mutex::new(entries.to_vec())), honours, more: 0 }
    }

    /// Says that it has so many entries more than it has: what is worth a look at the kernel depends on the number.
    pub fn claiming(self, more: u32) -> Table {
        Table { more, ..self }
    }

    pub fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap().clone()
    }

    /// Removes or replaces entries behind the library's back.
    pub fn change(&self, change: impl FnOnce(&mut Vec<Entry>)) {
        change(&mut self.entries.lock().unwrap());
    }

    /// Runs the messages of a datagram in order.
    pub fn answer(&self, requests: &[Request]) -> Vec<Event> {
        requests.iter().flat_map(|request| self.run(request)).collect()
    }

    fn run(&self, request: &Request) -> Vec<Event> {
        assert_ne!(request.flags & F_REQUEST, 0, "the kernel acknowledges such a message and does nothing");
        let mut events = Vec::new();
        let errno = match request.kind {
            GET_STATS => {
                let count = u32::try_from(self.entries().len()).unwrap() + self.more;
                events.push(datagram(&[stats(request, count)]));
                0
            }
            GET if request.flags & F_DUMP != 0 => return self.dump(request),
            GET if lacks_ports(request) => libc::EINVAL,
            GET => match self.find(request) {
                Some(at) => {
                    events.push(datagram(&[entry_message(request, &self.entries()[at])]));
                    0
                }
                None => libc::ENOENT,
            },
            DELETE => self.delete(request),
            NEW if request.flags & F_CREATE != 0 => self.create(request),
            NEW => self.update(request),
            other => panic!("a request of type {other:#x}"),
        };
        if errno != 0 || request.flags & F_ACK != 0 {
            events.push(datagram(&[ack(request, errno)]));
        }
        events
    }

    fn dump(&self, request: &Request) -> Vec<Event> {
        let filter = match Wanted::read(self.honours, request) {
            Ok(filter) if self.honours.refuses && filter.is_more_than_family() => Err(libc::EOPNOTSUPP),
            read => read,
        };
        let filter = match filter {
            Ok(filter) => filter,
            Err(errno) => return vec![datagram(&[ack(request, errno)])],
        };
        let wanted: Vec<Entry> = self.entries().into_iter().filter(|entry| filter.lets_through(entry)).collect();
        let mut events: Vec<Event> = wanted
            .chunks(100)
            .map(|chunk| datagram(&chunk.iter().map(|entry| entry_message(request, entry)).collect::<Vec<_>>()))
            .collect();
        events.push(datagram(&[done(request, 0)]));
        events
    }

    /// The look-up of the kernel: the tuple in either direction, the direction does not count; the newest entry is first in its
    /// chain. A zone that comes in the tuple is one for its direction, and the other direction is then in zone 0.
    fn find(&self, request: &Request) -> Option<usize> {
        let asked = parse_key(&request.payload);
        let (proto, tuple, zone) = asked.tuple?;
        let zone_in = |by_reply: bool| match asked.tuple_zone {
            Some(_) if by_reply != asked.by_reply => 0,
            _ => u32::from(zone),
        };
        self.entries.lock().unwrap().iter().rposition(|entry| {
            (entry.family, entry.proto) == (request.payload[0], proto)
                && [(entry.orig, false), (entry.reply, true)].iter().any(|(candidate, by_reply)| {
                    tuple == Tuple { zone: 0, ..*candidate } && zone_in(*by_reply) == zone_of(entry, *by_reply)
                })
        })
    }

    fn delete(&self, request: &Request) -> i32 {
        if self.honours.flush && has_filter(request) {
            return match Wanted::read(self.honours, request) {
                Ok(filter) => {
                    self.change(|entries| entries.retain(|entry| !filter.lets_through(entry)));
                    0
                }
                Err(errno) => errno,
            };
        }
        let asked = parse_key(&request.payload);
        if asked.tuple.is_none() {
            self.change(Vec::clear);
            return 0;
        }
        // The id is compared with what the look-up found, and is no part of it.
        let found = self.find(request).filter(|&at| asked.id.is_none_or(|id| id == self.entries()[at].id));
        match found {
            Some(at) => {
                self.change(|entries| {
                    entries.remove(at);
                });
                0
            }
            None => libc::ENOENT,
        }
    }

    /// An update of what tests look at, with the refusals that ctnetlink_change_status() has.
    fn update(&self, request: &Request) -> i32 {
        let Some(at) = self.find(request) else {
            return libc::ENOENT;
        };
        let mut values = Entry::EMPTY;
        for (kind, value) in attrs(&request.payload[4..]) {
            let word = || u32::from_be_bytes(value.as_slice().try_into().unwrap());
            match kind & !NESTED {
                3 => (values.has, values.status) = (values.has | CT_HAS_STATUS, word()),
                7 => (values.has, values.timeout) = (values.has | CT_HAS_TIMEOUT, word()),
                8 => (values.has, values.mark) = (values.has | CT_HAS_MARK, word()),
                _ => {}
            }
        }
        let mut errno = 0;
        self.change(|entries| {
            let entry = &mut entries[at];
            if values.has(CT_HAS_TIMEOUT) {
                entry.timeout = values.timeout;
            }
            const KEPT: u32 = CT_STATUS_CONFIRMED | CT_STATUS_SEEN_REPLY | CT_STATUS_ASSURED;
            if values.has(CT_HAS_STATUS) && entry.status & !values.status & KEPT != 0 {
                errno = libc::EBUSY;
                return;
            }
            entry.status |= values.status & (KEPT | CT_STATUS_FIXED_TIMEOUT);
            if values.has(CT_HAS_MARK) {
                entry.mark = values.mark;
            }
        });
        errno
    }

    fn create(&self, request: &Request) -> i32 {
        if self.find(request).is_some() {
            return libc::EEXIST;
        }
        let mut entry = Entry::EMPTY;
        wire::decode_entry(&request.payload, &mut entry).expect("a new entry that makes sense");
        entry.has |= CT_HAS_ID;
        entry.id = 1000 + request.seq;
        self.change(|entries| entries.push(entry));
        0
    }
}

fn zone_of(entry: &Entry, by_reply: bool) -> u32 {
    let bit = if by_reply { CT_HAS_REPLY_ZONE } else { CT_HAS_ORIG_ZONE };
    if entry.has(CT_HAS_ZONE) || entry.has(bit) {
        entry.zone
    } else {
        0
    }
}

/// What a request says about the entry that it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// The protocol, the tuple without its zone, and the zone in which it is.
    pub tuple: Option<(u8, Tuple, u16)>,
    /// Of CTA_ZONE.
    pub zone: Option<u16>,
    /// The tuple came as CTA_TUPLE_REPLY.
    pub by_reply: bool,
    /// Of CTA_TUPLE_ZONE.
    pub tuple_zone: Option<u16>,
    pub id: Option<u32>,
    /// The types of all attributes, in order.
    pub kinds: Vec<u16>,
}

/// Reads a request, strictly: everything must have its one right length.
pub fn parse_key(payload: &[u8]) -> Key {
    let mut key = Key::default();
    let mut tuple = None;
    for (kind, value) in attrs(&payload[4..]) {
        key.kinds.push(kind & !NESTED);
        match kind & !NESTED {
            1 | 2 if tuple.is_none() => {
                let zone = attrs(&value).into_iter().find(|(kind, _)| *kind == 3);
                key.tuple_zone = zone.map(|(_, zone)| be16(&zone));
                key.by_reply = kind & !NESTED == 2;
                tuple = Some(parse_tuple(&value));
            }
            18 => key.zone = Some(be16(&value)),
            12 => key.id = Some(u32::from_be_bytes(value.as_slice().try_into().unwrap())),
            _ => {}
        }
    }
    key.tuple = tuple.map(|(proto, tuple)| (proto, tuple, key.zone.or(key.tuple_zone).unwrap_or(0)));
    key
}

pub fn parse_tuple(bytes: &[u8]) -> (u8, Tuple) {
    let (mut proto, mut tuple) = (0, Tuple::EMPTY);
    for (group, parts) in attrs(bytes) {
        if group & !NESTED == 3 {
            continue;
        }
        for (kind, value) in attrs(&parts) {
            match (group & !NESTED, kind) {
                (1, 1 | 3) => tuple.src[..value.len()].copy_from_slice(&value),
                (1, 2 | 4) => tuple.dst[..value.len()].copy_from_slice(&value),
                (2, 1) => proto = value[0],
                (2, 2) => tuple.sport = be16(&value),
                (2, 3) => tuple.dport = be16(&value),
                (2, 4 | 7) => tuple.icmp_id = be16(&value),
                (2, 5 | 8) => tuple.icmp_type = value[0],
                (2, 6 | 9) => tuple.icmp_code = value[0],
                other => panic!("attribute {other:?} in a tuple"),
            }
        }
    }
    (proto, tuple)
}

/// Whether a request names a tuple without the ports that its protocol has.
fn lacks_ports(request: &Request) -> bool {
    let tuple = attrs(&request.payload[4..]).into_iter().find(|(kind, _)| matches!(kind & !NESTED, 1 | 2));
    let groups = tuple.map(|(_, tuple)| attrs(&tuple)).unwrap_or_default();
    let proto = groups.into_iter().find(|(kind, _)| kind & !NESTED == 2).map(|(_, proto)| attrs(&proto));
    proto.is_some_and(|parts| {
        let number = parts.iter().find(|(kind, _)| *kind == 1).map_or(0, |(_, value)| value[0]);
        proto_has_ports(number) && parts.iter().all(|(kind, _)| *kind != 2)
    })
}

fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes(bytes.try_into().expect("two bytes"))
}
