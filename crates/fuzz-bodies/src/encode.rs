//! Entries that the checks let through, as requests: the kernel's policy takes every attribute, nothing is in a request that was
//! not asked for, and read back it says what was meant. The reader is the one of the scripted tests, which shares nothing with
//! the encoder.

use super::input::Input;
use super::kernel::{attrs, parse_key, DELETE, F_CREATE, F_EXCL, F_REQUEST, GET, NESTED, NEW};
use super::naive;
use super::transport::{requests_in, Request};
use super::Reached;
use ctnetlink::buffer::Buffer;
use ctnetlink::encode::{put_create, put_delete, put_get, put_update, By, Name};
use ctrack::seams::check::{self, Purpose};
use ctrack::*;
use std::collections::BTreeMap;

/// Puts one entry into requests, under each of its names.
pub fn run(input: &[u8]) -> Reached {
    let mut u = Input::new(input);
    let purpose = u.one_of(&[Purpose::Key, Purpose::Create, Purpose::Update]);
    let e = entry(&mut u, purpose);
    if check::one(&e, purpose).is_err() {
        return vec!["refused"];
    }
    let mut reached = Vec::new();
    match purpose {
        Purpose::Create => {
            let request = one(&|buffer, seq| put_create(buffer, seq, &e));
            assert_eq!((request.kind, request.flags), (NEW, F_REQUEST | F_CREATE | F_EXCL));
            created(&e, &request);
            reached.push("create");
        }
        Purpose::Update | Purpose::Key => {
            for name in Name::all_of(&e) {
                let key = with_reply(&e);
                if purpose == Purpose::Update {
                    let request = one(&|buffer, seq| put_update(buffer, seq, &key, name, &e));
                    assert_eq!((request.kind, request.flags), (NEW, F_REQUEST));
                    named(&key, name, &request);
                    values(&e, e.status, &request);
                    reached.push("update");
                } else {
                    let get = one(&|buffer, seq| put_get(buffer, seq, &key, name));
                    assert_eq!((get.kind, get.flags), (GET, F_REQUEST));
                    let kinds = named(&key, name, &get);
                    let delete = one(&|buffer, seq| put_delete(buffer, seq, &key, name));
                    assert_eq!((delete.kind, delete.flags), (DELETE, F_REQUEST));
                    let id = e.has(Has::ID).then_some(12);
                    assert_eq!(named(&key, name, &delete), kinds.iter().copied().chain(id).collect::<Vec<_>>());
                    assert_eq!(parse_key(&delete.payload).id, e.has(Has::ID).then_some(e.id));
                    reached.push("key");
                }
                reached.push(if name.own_zone { "zone in the tuple" } else { "zone beside it" });
            }
        }
    }
    reached
}

/// An entry that most often is good for the purpose.
fn entry(u: &mut Input, purpose: Purpose) -> Entry {
    let mut e = u.entry(9);
    if u.one_in(2) {
        e.has &= !(Has::from_bits_retain(u.u32().into()) & !(Has::ORIG | Has::PORTS | Has::ICMP));
    }
    if u.one_in(8) {
        (e.has, e.orig) = (e.has & !(Has::ORIG | Has::ORIG_ZONE), Tuple::EMPTY);
    }
    if purpose == Purpose::Create && !u.one_in(8) {
        e.status &= !(Status::EXPECTED | Status::OFFLOAD);
    }
    if u.one_in(2) && e.proto == Proto::TCP {
        e.has |= Has::TCP_FLAGS | Has::TCP_WSCALE;
        (e.tcp_flags_orig, e.tcp_mask_orig, e.tcp_flags_reply, e.tcp_mask_reply) = (u.u8(), u.u8(), u.u8(), u.u8());
        (e.tcp_wscale_orig, e.tcp_wscale_reply) = (u.below(16), u.below(15));
    }
    if u.one_in(2) && e.proto == Proto::SCTP {
        e.has |= Has::SCTP;
        (e.sctp_state, e.sctp_vtag_orig, e.sctp_vtag_reply) = (u.below(11), u.u32(), u.u32());
    }
    if u.one_in(3) {
        e.has |= Has::HELPER;
        e.helper = u.bytes::<16>().map(|byte| byte as _);
        e.helper[15] = e.helper[15].wrapping_mul(i8::from(u.one_in(8)) as _);
    }
    if u.one_in(2) {
        e.has |= Has::LABELS;
        e.labels = u.bytes();
    }
    if purpose == Purpose::Update {
        if u.one_in(3) {
            (e.has, e.mark_mask) = (e.has | Has::MARK_MASK, u.u32());
        }
        e.has |= u.one_of(&[Has::empty(), Has::LABELS_ADD, Has::LABELS_REMOVE]);
    }
    if u.one_in(3) {
        (e.has, e.status) = (e.has | Has::STATUS, e.status | Status::from_bits_retain(u.u32() & 0x25ff));
    }
    for _ in 0..if u.one_in(2) { u.below(6) } else { 0 } {
        u.flip(&mut e);
    }
    e
}

/// The one message that is put, which the kernel's policy takes.
fn one(put: &dyn Fn(&mut Buffer, u32)) -> Request {
    let mut buffer = Buffer::new();
    put(&mut buffer, 0xa1b2_c3d4);
    let mut requests = requests_in(&buffer);
    let request = requests.pop().expect("a message");
    assert!(requests.is_empty(), "more than one message");
    assert_eq!((request.seq, request.port), (0xa1b2_c3d4, 0));
    policy(&request.payload[4..], TOP, 0);
    // nfgenmsg: the resource id.
    assert_eq!(request.payload[2..4], [0, 0]);
    request
}

/// With a reply tuple: as it is without NAT, if there is none.
fn with_reply(e: &Entry) -> Entry {
    if e.has(Has::REPLY) {
        return *e;
    }
    Entry { reply: Tuple { zone: e.reply.zone, ..turned(e) }, ..*e }
}

/// The reply tuple without NAT.
fn turned(e: &Entry) -> Tuple {
    let o = &e.orig;
    let pairs: &[(u8, u8)] = match e.proto {
        Proto::ICMP => &[(8, 0), (13, 14), (15, 16), (17, 18)],
        Proto::ICMPV6 => &[(128, 129), (139, 140)],
        _ => &[],
    };
    let mut icmp_type = o.icmp_type;
    for (asks, answers) in pairs {
        if o.icmp_type == *asks {
            icmp_type = *answers;
        } else if o.icmp_type == *answers {
            icmp_type = *asks;
        }
    }
    Tuple { src: o.dst, dst: o.src, sport: o.dport, dport: o.sport, icmp_type, zone: 0, ..*o }
}

/// The request names the key so. Also: which attributes it has.
fn named(key: &Entry, name: Name, request: &Request) -> Vec<u16> {
    assert_eq!(request.payload[0], key.family.0);
    let asked = parse_key(&request.payload);
    let by_reply = name.by == By::Reply;
    let tuple = naive::bare(if by_reply { &key.reply } else { &key.orig });
    let zone = match (key.has & (Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE), by_reply) {
        (Has::ZONE, _) => key.zone,
        (Has::ORIG_ZONE, false) => key.orig.zone,
        (Has::REPLY_ZONE, true) => key.reply.zone,
        _ => 0,
    };
    let zone = u16::try_from(zone).expect("it was checked");
    assert_eq!(asked.by_reply, by_reply);
    assert_eq!(asked.tuple, Some((key.proto, tuple, zone)), "{key:?} {name:?}");
    let (own, beside) = if name.own_zone { (Some(zone), None) } else { (None, (zone != 0).then_some(zone)) };
    assert_eq!((asked.tuple_zone, asked.zone), (own, beside), "{key:?} {name:?}");
    // The tuple comes first: a second one would be another name.
    assert_eq!(asked.kinds.iter().filter(|kind| matches!(kind, 1 | 2)).count(), 1);
    asked.kinds
}

/// What the request sets is what the entry says, and nothing else.
fn values(e: &Entry, status: Status, request: &Request) {
    let mut wanted: BTreeMap<u16, Vec<u8>> = BTreeMap::new();
    let mut want = |bit: Has, kind: u16, value: &[u8]| {
        if e.has(bit) {
            wanted.insert(kind, value.to_vec());
        }
    };
    want(Has::STATUS, 3, &(status | Status::CONFIRMED).bits().to_be_bytes());
    want(Has::TIMEOUT, 7, &e.timeout.to_be_bytes());
    want(Has::MARK, 8, &e.mark.to_be_bytes());
    want(Has::MARK | Has::MARK_MASK, 21, &e.mark_mask.to_be_bytes());
    want(Has::LABELS, 22, &e.labels);
    want(Has::LABELS | Has::LABELS_REMOVE, 22, &[0; 16]);
    want(Has::LABELS | Has::LABELS_ADD, 23, &e.labels);
    want(Has::LABELS | Has::LABELS_REMOVE, 23, &e.labels);
    let mut found = BTreeMap::new();
    for (kind, value) in attrs(&request.payload[4..]) {
        match kind & !NESTED {
            4 => protoinfo(e, &value),
            5 => {
                let [(1, name)] = &attrs(&value)[..] else { panic!("{value:?}") };
                let wanted: Vec<u8> = e.helper.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
                assert_eq!(name.strip_suffix(&[0]), Some(&wanted[..]));
            }
            // Who it is, and NAT.
            1 | 2 | 6 | 13 | 18 => {}
            kind => drop(found.insert(kind, value)),
        }
    }
    assert_eq!(found, wanted, "{e:?}");
    let kinds: Vec<u16> = attrs(&request.payload[4..]).iter().map(|(kind, _)| kind & !NESTED).collect();
    let tcp = e.proto == Proto::TCP && e.has.intersects(Has::TCP_STATE | Has::TCP_WSCALE | Has::TCP_FLAGS);
    assert_eq!(kinds.contains(&4), tcp || e.proto == Proto::SCTP && e.has(Has::SCTP));
    assert_eq!(kinds.contains(&5), e.has(Has::HELPER));
}

fn protoinfo(e: &Entry, value: &[u8]) {
    let [(kind, fields)] = &attrs(value)[..] else { panic!("{value:?}") };
    let mut wanted: Vec<(u16, Vec<u8>)> = Vec::new();
    if kind & !NESTED == 3 {
        wanted.push((1, vec![e.sctp_state]));
        wanted.push((2, e.sctp_vtag_orig.to_be_bytes().into()));
        wanted.push((3, e.sctp_vtag_reply.to_be_bytes().into()));
    } else {
        assert_eq!(kind & !NESTED, 1);
        if e.has(Has::TCP_STATE) {
            wanted.push((1, vec![e.tcp_state.0]));
        }
        if e.has(Has::TCP_WSCALE) {
            wanted.extend([(2, vec![e.tcp_wscale_orig]), (3, vec![e.tcp_wscale_reply])]);
        }
        if e.has(Has::TCP_FLAGS) {
            for (kind, flags, mask) in
                [(4, e.tcp_flags_orig, e.tcp_mask_orig), (5, e.tcp_flags_reply, e.tcp_mask_reply)]
            {
                wanted.push((kind, vec![flags, if mask == 0 { 255 } else { mask }]));
            }
        }
    }
    assert_eq!(attrs(fields), wanted, "{e:?}");
}

/// What a NEW makes, read back with the decoder.
fn created(e: &Entry, request: &Request) {
    assert_eq!(request.payload[0], e.family.0);
    let derived = Status::SRC_NAT | Status::DST_NAT | Status::SRC_NAT_DONE | Status::DST_NAT_DONE | Status::HELPER;
    values(e, e.status & !derived, request);
    let mut made = Entry::EMPTY;
    ctnetlink::decode_entry(&request.payload, &mut made).unwrap_or_else(|error| panic!("{error}: {e:?}"));
    assert_eq!((made.family, made.proto), (e.family, e.proto));
    assert_eq!(naive::bare(&made.orig), naive::bare(&e.orig), "{e:?}");
    for by_reply in [false, true] {
        assert_eq!(naive::zone_in(&made, by_reply), naive::zone_in(e, by_reply), "{e:?} {made:?}");
    }
    // As it is before the kernel translates: it does so itself, to what the NAT attributes say.
    let (plain, given) = (turned(e), naive::bare(&e.reply));
    let status = if e.has(Has::STATUS) { e.status } else { Status::empty() };
    let nat = Status::SRC_NAT | Status::DST_NAT | Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
    let translates = status.intersects(nat);
    let mut reply = if e.has(Has::REPLY) { given } else { plain };
    let wanted = reply;
    // The kernel translates no keys of GRE, so it starts from those that are wanted.
    let ports = e.proto != Proto::GRE;
    if status.intersects(Status::SRC_NAT) {
        (reply.dst, reply.icmp_id) = (plain.dst, plain.icmp_id);
        reply.dport = if ports { plain.dport } else { wanted.dport };
    }
    if status.intersects(Status::DST_NAT) {
        (reply.src, reply.icmp_id) = (plain.src, plain.icmp_id);
        reply.sport = if ports { plain.sport } else { wanted.sport };
    }
    assert_eq!(naive::bare(&made.reply), reply, "{e:?}");
    let attributes = attrs(&request.payload[4..]);
    for (kind, address, port) in [(6, wanted.dst, wanted.dport), (13, wanted.src, wanted.sport)] {
        let nat = attributes.iter().find(|(at, _)| at & !NESTED == kind);
        assert_eq!(nat.is_some(), translates, "{e:?}");
        let Some((_, value)) = nat else { continue };
        let range = attrs(value);
        let (v4, v6) = ((1, address[..4].to_vec()), (4, address.to_vec()));
        assert_eq!(range[0], if e.family == Family::IPV4 { v4 } else { v6 }, "{e:?}");
        let ports = range.iter().find(|(kind, _)| kind & !NESTED == 3).map(|(_, ports)| attrs(ports));
        let one = |port: u16| Some(vec![(1, port.to_be_bytes().to_vec()), (2, port.to_be_bytes().to_vec())]);
        match () {
            () if e.proto == Proto::GRE => assert_eq!(ports, None, "{e:?}"),
            () if e.has(Has::PORTS) => assert_eq!(ports, one(port), "{e:?}"),
            () if e.has(Has::ICMP) => {
                assert!(ports == one(wanted.icmp_id) || ports == one(e.orig.icmp_id), "{ports:?} for {e:?}");
            }
            () => assert_eq!(ports, None, "{e:?}"),
        }
    }
}

/// What the kernel's policies say of an attribute (linux/netfilter/nfnetlink_conntrack.h; net/netfilter/nf_conntrack_netlink.c,
/// nf_nat_core.c and nf_conntrack_proto_*.c, the attributes that requests of this library have).
#[derive(Clone, Copy)]
enum Rule {
    Nested(&'static [(u16, Rule)]),
    Bytes(usize),
    /// NUL-terminated, of so many bytes with it.
    Text(usize),
}
use Rule::*;

const IP: Rule = Nested(&[(1, Bytes(4)), (2, Bytes(4)), (3, Bytes(16)), (4, Bytes(16))]);
const PROTO: Rule = Nested(&[
    (1, Bytes(1)),
    (2, Bytes(2)),
    (3, Bytes(2)),
    (4, Bytes(2)),
    (5, Bytes(1)),
    (6, Bytes(1)),
    (7, Bytes(2)),
    (8, Bytes(1)),
    (9, Bytes(1)),
]);
const TUPLE: Rule = Nested(&[(1, IP), (2, PROTO), (3, Bytes(2))]);
const NAT_PROTO: Rule = Nested(&[(1, Bytes(2)), (2, Bytes(2))]);
const NAT: Rule = Nested(&[(1, Bytes(4)), (2, Bytes(4)), (3, NAT_PROTO), (4, Bytes(16)), (5, Bytes(16))]);
const TCP: Rule = Nested(&[(1, Bytes(1)), (2, Bytes(1)), (3, Bytes(1)), (4, Bytes(2)), (5, Bytes(2))]);
const SCTP: Rule = Nested(&[(1, Bytes(1)), (2, Bytes(4)), (3, Bytes(4))]);
const TOP: &[(u16, Rule)] = &[
    (1, TUPLE),
    (2, TUPLE),
    (3, Bytes(4)),
    (4, Nested(&[(1, TCP), (3, SCTP)])),
    (5, Nested(&[(1, Text(16))])),
    (6, NAT),
    (7, Bytes(4)),
    (8, Bytes(4)),
    (12, Bytes(4)),
    (13, NAT),
    (18, Bytes(2)),
    (21, Bytes(4)),
    (22, Bytes(16)),
    (23, Bytes(16)),
];

fn policy(mut bytes: &[u8], rules: &[(u16, Rule)], place: u16) {
    let mut seen = Vec::new();
    while !bytes.is_empty() {
        let half = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        let (length, kind) = (usize::from(half(0)), half(2) & !0xc000);
        let end = length.next_multiple_of(4);
        assert!(length >= 4 && end <= bytes.len(), "attribute {kind} in {place}: {length} of {} bytes", bytes.len());
        let value = &bytes[4..length];
        assert!(bytes[length..end].iter().all(|byte| *byte == 0), "padding behind attribute {kind} in {place}");
        assert!(!seen.contains(&kind), "attribute {kind} in {place} comes twice");
        seen.push(kind);
        let Some((_, rule)) = rules.iter().find(|(known, _)| *known == kind) else {
            panic!("attribute {kind} in {place} is none that the kernel knows");
        };
        let flags = half(2) & 0xc000;
        match *rule {
            Nested(inner) => {
                assert_eq!(flags, NESTED, "attribute {kind} in {place}");
                policy(value, inner, kind);
            }
            Bytes(count) => assert_eq!((value.len(), flags), (count, 0), "attribute {kind} in {place}"),
            Text(most) => {
                assert_eq!(flags, 0);
                assert!(value.len() <= most && value.iter().position(|byte| *byte == 0) == Some(value.len() - 1));
            }
        }
        bytes = &bytes[end..];
    }
}
