//! Messages of ctnetlink, put together and taken apart by code that shares nothing with the library, so that a mistake of the library's
//! cannot cancel itself out.

use ctnetlink::types::*;

pub const NLMSG_NOOP: u16 = 1;
pub const NLMSG_ERROR: u16 = 2;
pub const NLMSG_DONE: u16 = 3;
pub const NLMSG_OVERRUN: u16 = 4;
pub const NEW: u16 = 0x100;
pub const GET: u16 = 0x101;
pub const DELETE: u16 = 0x102;
pub const ZERO: u16 = 0x103;
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

/// One message that the library sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    pub kind: u16,
    pub flags: u16,
    pub seq: u32,
    pub port: u32,
    /// From the nfgenmsg on.
    pub payload: Vec<u8>,
}

/// A tuple as the kernel sends it.
pub fn encode_tuple(kind: u16, entry: &Entry, tuple: &Tuple, zone: bool) -> Vec<u8> {
    let ip = if entry.family == Family::IPV4 {
        [attr(1, &tuple.src[..4]), attr(2, &tuple.dst[..4])]
    } else {
        [attr(3, &tuple.src), attr(4, &tuple.dst)]
    };
    let mut l4 = vec![attr(1, &[entry.proto.0])];
    if entry.has(Has::PORTS) {
        l4.push(attr(2, &tuple.sport.to_be_bytes()));
        l4.push(attr(3, &tuple.dport.to_be_bytes()));
    }
    if entry.has(Has::ICMP) {
        let base = if entry.proto == Proto::ICMP { 4 } else { 7 };
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
        vec![e.family.0, 0, 0, 0],
        encode_tuple(1, e, &e.orig, e.has(Has::ORIG_ZONE)),
        encode_tuple(2, e, &e.reply, e.has(Has::REPLY_ZONE)),
    ];
    if e.has(Has::ZONE) {
        parts.push(attr(18, &u16::try_from(e.zone).unwrap().to_be_bytes()));
    }
    for (bit, kind, value) in [
        (Has::STATUS, 3, e.status.bits()),
        (Has::MARK, 8, e.mark),
        (Has::ID, 12, e.id),
        (Has::USE, 11, e.use_count),
        (Has::TIMEOUT, 7, e.timeout),
    ] {
        if e.has(bit) {
            parts.push(attr(kind, &value.to_be_bytes()));
        }
    }
    parts.extend(encode_protoinfo(e));
    for (bit, kind, counters) in [(Has::ORIG_COUNTERS, 9, e.orig_counters), (Has::REPLY_COUNTERS, 10, e.reply_counters)]
    {
        if e.has(bit) {
            let values = [attr(1, &counters.packets.to_be_bytes()), attr(2, &counters.bytes.to_be_bytes())];
            parts.push(nest(kind, &values));
        }
    }
    let mut times = Vec::new();
    if e.has(Has::START) {
        times.push(attr(1, &e.start_ns.to_be_bytes()));
    }
    if e.has(Has::STOP) {
        times.push(attr(2, &e.stop_ns.to_be_bytes()));
    }
    if !times.is_empty() {
        parts.push(nest(20, &times));
    }
    if let Some(helper) = e.helper() {
        parts.push(nest(5, &[attr(1, &[helper.as_bytes(), &[0]].concat())]));
    }
    if e.has(Has::LABELS) {
        parts.push(attr(22, &e.labels));
    }
    parts.concat()
}

fn encode_protoinfo(e: &Entry) -> Option<Vec<u8>> {
    let mut parts = Vec::new();
    if e.has(Has::TCP_STATE) {
        parts.push(attr(1, &[e.tcp_state.0]));
    }
    if e.has(Has::TCP_WSCALE) {
        parts.extend([attr(2, &[e.tcp_wscale_orig]), attr(3, &[e.tcp_wscale_reply])]);
    }
    if e.has(Has::TCP_FLAGS) {
        parts.push(attr(4, &[e.tcp_flags_orig, e.tcp_mask_orig]));
        parts.push(attr(5, &[e.tcp_flags_reply, e.tcp_mask_reply]));
    }
    if !parts.is_empty() {
        return Some(nest(4, &[nest(1, &parts)]));
    }
    if e.has(Has::SCTP) {
        let (orig, reply) = (e.sctp_vtag_orig.to_be_bytes(), e.sctp_vtag_reply.to_be_bytes());
        return Some(nest(4, &[nest(3, &[attr(1, &[e.sctp_state]), attr(2, &orig), attr(3, &reply)])]));
    }
    e.has(Has::DCCP).then(|| nest(4, &[nest(2, &[attr(1, &[e.dccp_state]), attr(2, &[e.dccp_role])])]))
}

/// The messages of a datagram. Panics if the library built something that is no row of netlink messages.
pub fn requests_in(datagram: &[u8]) -> Vec<Request> {
    let mut rest = datagram;
    let mut requests = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_ne_bytes(rest[at..at + 4].try_into().unwrap());
        let half = |at: usize| u16::from_ne_bytes(rest[at..at + 2].try_into().unwrap());
        let length = word(0) as usize;
        assert!(length >= 20 && length <= rest.len(), "a message of {length} bytes in {} bytes", rest.len());
        assert_eq!(length % 4, 0, "a message that is not padded");
        requests.push(Request {
            kind: half(4),
            flags: half(6),
            seq: word(8),
            port: word(12),
            payload: rest[16..length].to_vec(),
        });
        rest = &rest[length..];
    }
    requests
}

/// What a request says about the entry that it means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Key {
    /// The protocol, the tuple without its zone, and the zone in which it is.
    pub tuple: Option<(Proto, Tuple, u16)>,
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

pub fn parse_tuple(bytes: &[u8]) -> (Proto, Tuple) {
    let (mut proto, mut tuple) = (Proto(0), Tuple::EMPTY);
    for (group, parts) in attrs(bytes) {
        if group & !NESTED == 3 {
            continue;
        }
        for (kind, value) in attrs(&parts) {
            match (group & !NESTED, kind) {
                (1, 1 | 3) => tuple.src[..value.len()].copy_from_slice(&value),
                (1, 2 | 4) => tuple.dst[..value.len()].copy_from_slice(&value),
                (2, 1) => proto = Proto(value[0]),
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
pub fn lacks_ports(request: &Request) -> bool {
    let tuple = attrs(&request.payload[4..]).into_iter().find(|(kind, _)| matches!(kind & !NESTED, 1 | 2));
    let groups = tuple.map(|(_, tuple)| attrs(&tuple)).unwrap_or_default();
    let proto = groups.into_iter().find(|(kind, _)| kind & !NESTED == 2).map(|(_, proto)| attrs(&proto));
    proto.is_some_and(|parts| {
        let number = parts.iter().find(|(kind, _)| *kind == 1).map_or(0, |(_, value)| value[0]);
        Proto(number).has_ports() && parts.iter().all(|(kind, _)| *kind != 2)
    })
}

pub fn be16(bytes: &[u8]) -> u16 {
    u16::from_be_bytes(bytes.try_into().expect("two bytes"))
}
