//! The library's decoder against an independent one, netlink-packet-netfilter, and against itself.

use ctnetlink::types::*;
use ctnetlink::{decode_details, decode_entry, Decoder, WireError};
use netlink_packet_core::ParseableParametrized;
use netlink_packet_netfilter::conntrack::{
    ConntrackAttribute, ConntrackMessage, IPTuple, ProtoInfo, ProtoInfoTCP, ProtoTuple, Tuple as TheirTuple,
};
use netlink_packet_netfilter::{NetfilterMessage, NetfilterMessageInner};
use std::cell::RefCell;
use std::net::IpAddr;
use std::panic::catch_unwind;

/// What became of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Both decoders took it, and agreed.
    Both,
    /// Only the other one took it, for a reason that is right.
    OnlyTheirs,
    /// Neither did.
    Neither,
}

/// What the other decoder found. Where a field comes twice, the last one counts, as with ours.
#[derive(Debug, Default)]
struct Theirs {
    family: u8,
    tuples: [TheirFields; 2],
    status: Option<u32>,
    timeout: Option<u32>,
    mark: Option<u32>,
    tcp_state: Option<u8>,
    wscale: [Option<u8>; 2],
    flags: [Option<(u8, u8)>; 2],
}

#[derive(Debug, Default)]
struct TheirFields {
    src: Option<IpAddr>,
    dst: Option<IpAddr>,
    proto: Option<u8>,
    sport: Option<u16>,
    dport: Option<u16>,
}

/// Decodes the payload of a ctnetlink message with both decoders and compares. Panics where they differ without a
/// reason.
pub fn compare(payload: &[u8]) -> Verdict {
    let mut entry = Entry::EMPTY;
    let ours = decode_entry(payload, &mut entry);
    assert_deterministic(payload, &ours, &entry);
    assert_memory_changes_nothing(payload);
    // It may panic: that is its own affair, and as good as a refusal.
    let theirs = catch_unwind(|| NetfilterMessage::parse_with_param(payload, 0x100).ok().map(collect)).unwrap_or(None);
    match (ours, theirs) {
        (Ok(()), Some(theirs)) => {
            assert_same(&entry, &theirs);
            assert_consistent(payload, &entry);
            Verdict::Both
        }
        // Ours checks everything that theirs checks.
        (Ok(()), None) => panic!("only ours takes it: {entry:?}"),
        (Err(error), Some(_)) => {
            assert_stricter(payload, error);
            Verdict::OnlyTheirs
        }
        (Err(_), None) => Verdict::Neither,
    }
}

/// The result depends on the bytes alone, and both entrances to the decoder say the same.
fn assert_deterministic(payload: &[u8], ours: &Result<(), WireError>, entry: &Entry) {
    let mut used = Entry {
        has: Has::all(),
        id: !0,
        labels: [0xff; 16],
        helper: [1; 16],
        reserved: Entry::EMPTY.reserved.map(|_| !0),
        ..*entry
    };
    (used.orig.src, used.reply.zone, used.stop_ns) = ([0xff; 16], 77, 77);
    assert_eq!(*ours, decode_entry(payload, &mut used), "it matters what was in the entry before");
    if ours.is_ok() {
        assert!(used == *entry, "something of the entry before was left over");
    }
    assert_eq!(*ours, decode_details(payload).map(drop), "details are checked otherwise than entries");
}

/// So many messages of one layout teach it to a decoder.
pub const LESSONS: usize = 8;

/// A decoder that knows layouts says the same as one that knows none: of this message, and of some that are nearly the same.
fn assert_memory_changes_nothing(payload: &[u8]) {
    thread_local! {
        /// It has seen everything that this thread did.
        static EXPERIENCED: RefCell<Decoder> = RefCell::default();
    }
    EXPERIENCED.with_borrow_mut(|decoder| assert_as_without_memory(decoder, payload));
    let mut at = payload.iter().fold(7, |sum: usize, byte| sum * 31 % 65_521 + usize::from(*byte));
    // It takes its time.
    if at % 16 != 0 {
        return;
    }
    let mut decoder = Decoder::new();
    for _ in 0..=LESSONS {
        assert_as_without_memory(&mut decoder, payload);
    }
    let mut other = payload.to_vec();
    for _ in 0..if payload.is_empty() { 0 } else { 8 } {
        at = (at * 75 + 74) % 65_537;
        let (place, bit) = (at % payload.len(), 1 << (at / 64 % 8));
        other[place] ^= bit;
        assert_as_without_memory(&mut decoder, &other);
        other[place] ^= bit;
    }
}

/// This decoder says of a message what `decode_entry` says.
pub fn assert_as_without_memory(decoder: &mut Decoder, payload: &[u8]) {
    let (mut entry, mut same) =
        (Entry::EMPTY, Entry { labels: [0xff; 16], reserved: Entry::EMPTY.reserved.map(|_| !0), ..Entry::EMPTY });
    let wanted = decode_entry(payload, &mut entry);
    assert_eq!(decoder.decode(payload, &mut same), wanted, "{payload:02x?}");
    assert!(wanted.is_err() || same == entry, "{entry:?} became {same:?}: {payload:02x?}");
}

/// What must hold of every entry that was decoded, whatever the bytes were.
pub fn assert_consistent(payload: &[u8], e: &Entry) {
    assert!(Has::KNOWN.contains(e.has), "unknown bits: {:?}", e.has.difference(Has::KNOWN));
    assert!(e.has(Has::ORIG | Has::REPLY));
    assert!(!e.has(Has::MARK_MASK));
    assert_eq!(e.reserved, Entry::EMPTY.reserved);
    assert!(e.family == Family::IPV4 || e.family == Family::IPV6, "family {}", e.family);
    for address in [e.orig.src, e.orig.dst, e.reply.src, e.reply.dst] {
        assert!(e.family == Family::IPV6 || address[4..] == [0; 12]);
    }
    let zones = [e.zone, e.orig.zone, e.reply.zone];
    assert!(zones.iter().all(|zone| *zone <= 0xffff), "{zones:?}");
    assert_eq!(e.helper[15], 0, "not terminated");
    assert!(unannounced(e).is_none(), "{:?} is set, but not announced", unannounced(e));

    let details = decode_details(payload).expect("the entry was decoded");
    assert_eq!(details.master.is_some(), e.has(Has::MASTER));
    assert_eq!(details.synproxy.is_some(), e.has(Has::SYNPROXY));
    assert_eq!(details.seq_adj_orig.is_some() || details.seq_adj_reply.is_some(), e.has(Has::SEQ_ADJ));
    assert!(details.secctx.is_none() || e.has(Has::SECCTX));
    assert!(details.dccp_handshake_seq.is_none() || e.has(Has::DCCP));
    // Whatever a helper is called, both can be written.
    assert!(!format!("{e:?}").contains(char::is_control));
}

/// A field that is not zero although `has` does not announce it.
fn unannounced(e: &Entry) -> Option<&'static str> {
    let fields = [
        ("id", e.id != 0, Has::ID),
        ("status", !e.status.is_empty(), Has::STATUS),
        ("mark", e.mark != 0, Has::MARK),
        ("timeout", e.timeout != 0, Has::TIMEOUT),
        ("use_count", e.use_count != 0, Has::USE),
        ("zone", e.zone != 0, Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE),
        ("orig.zone", e.orig.zone != 0, Has::ZONE | Has::ORIG_ZONE),
        ("reply.zone", e.reply.zone != 0, Has::ZONE | Has::REPLY_ZONE),
        ("orig_counters", e.orig_counters != Counters::default(), Has::ORIG_COUNTERS),
        ("reply_counters", e.reply_counters != Counters::default(), Has::REPLY_COUNTERS),
        ("start_ns", e.start_ns != 0, Has::START),
        ("stop_ns", e.stop_ns != 0, Has::STOP),
        ("labels", e.labels != [0; 16], Has::LABELS),
        ("helper", e.helper != [0; 16], Has::HELPER),
        ("tcp_state", e.tcp_state != TcpState::NONE, Has::TCP_STATE),
        ("tcp_wscale", e.tcp_wscale_orig | e.tcp_wscale_reply != 0, Has::TCP_WSCALE),
        ("tcp_flags", e.tcp_flags_orig | e.tcp_flags_reply | e.tcp_mask_orig | e.tcp_mask_reply != 0, Has::TCP_FLAGS),
        ("sctp", e.sctp_state != 0 || e.sctp_vtag_orig != 0 || e.sctp_vtag_reply != 0, Has::SCTP),
        ("dccp", e.dccp_state | e.dccp_role != 0, Has::DCCP),
        ("mark_mask", e.mark_mask != 0, Has::MARK_MASK),
    ];
    fields.iter().find(|(_, set, bits)| *set && !e.has.intersects(*bits)).map(|(field, ..)| *field)
}

/// The same for the fields of tuples, which are announced only if none is missing.
pub fn assert_no_half_tuple(e: &Entry) {
    for tuple in [e.orig, e.reply] {
        assert!(e.has(Has::PORTS) || (tuple.sport, tuple.dport) == (0, 0), "ports are set, but not announced");
        let icmp = (tuple.icmp_id, tuple.icmp_type, tuple.icmp_code);
        assert!(e.has(Has::ICMP) || icmp == (0, 0, 0), "ICMP fields are set, but not announced");
    }
}

fn collect(message: NetfilterMessage) -> Theirs {
    let NetfilterMessageInner::Conntrack(ConntrackMessage::New(attributes)) = message.inner else {
        panic!("it was decoded as type 0x100");
    };
    let mut found = Theirs { family: message.header.family.into(), ..Theirs::default() };
    for attribute in attributes {
        match attribute {
            ConntrackAttribute::CtaTupleOrig(tuple) => collect_tuple(tuple, &mut found.tuples[0]),
            ConntrackAttribute::CtaTupleReply(tuple) => collect_tuple(tuple, &mut found.tuples[1]),
            ConntrackAttribute::CtaStatus(status) => found.status = Some(status.bits()),
            ConntrackAttribute::CtaTimeout(timeout) => found.timeout = Some(timeout),
            ConntrackAttribute::CtaMark(mark) => found.mark = Some(mark),
            ConntrackAttribute::CtaProtoInfo(infos) => {
                for info in infos {
                    if let ProtoInfo::TCP(fields) = info {
                        collect_tcp(fields, &mut found);
                    }
                }
            }
            _ => {}
        }
    }
    found
}

fn collect_tuple(parts: Vec<TheirTuple>, found: &mut TheirFields) {
    for part in parts {
        match part {
            TheirTuple::Ip(addresses) => {
                for address in addresses {
                    match address {
                        IPTuple::SourceAddress(address) => found.src = Some(address),
                        IPTuple::DestinationAddress(address) => found.dst = Some(address),
                        _ => {}
                    }
                }
            }
            TheirTuple::Proto(fields) => {
                for field in fields {
                    match field {
                        ProtoTuple::Protocol(proto) => found.proto = Some(proto.into()),
                        ProtoTuple::SourcePort(port) => found.sport = Some(port),
                        ProtoTuple::DestinationPort(port) => found.dport = Some(port),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
}

fn collect_tcp(fields: Vec<ProtoInfoTCP>, found: &mut Theirs) {
    for field in fields {
        match field {
            ProtoInfoTCP::State(state) => found.tcp_state = Some(state),
            ProtoInfoTCP::OriginalWindowScale(scale) => found.wscale[0] = Some(scale),
            ProtoInfoTCP::ReplyWindowScale(scale) => found.wscale[1] = Some(scale),
            ProtoInfoTCP::OriginalFlags(flags) => found.flags[0] = Some((flags.flags, flags.mask)),
            ProtoInfoTCP::ReplyFlags(flags) => found.flags[1] = Some((flags.flags, flags.mask)),
            _ => {}
        }
    }
}

fn assert_same(e: &Entry, theirs: &Theirs) {
    assert_eq!(e.family.0, theirs.family);
    let [orig, reply] = &theirs.tuples;
    assert_eq!((Some(e.orig_src()), Some(e.orig_dst())), (orig.src, orig.dst));
    assert_eq!((Some(e.reply_src()), Some(e.reply_dst())), (reply.src, reply.dst));
    assert_eq!(Some(e.proto.0), orig.proto);
    // Ours takes ports for what they are only if none is missing.
    let theirs_has_ports = [orig, reply].iter().all(|tuple| tuple.sport.is_some() && tuple.dport.is_some());
    if e.has(Has::PORTS) {
        assert!(theirs_has_ports);
        assert_eq!((Some(e.orig.sport), Some(e.orig.dport)), (orig.sport, orig.dport));
        assert_eq!((Some(e.reply.sport), Some(e.reply.dport)), (reply.sport, reply.dport));
    }
    let given = |bits: Has, value: u32| e.has(bits).then_some(value);
    assert_eq!(given(Has::STATUS, e.status.bits()), theirs.status);
    assert_eq!(given(Has::TIMEOUT, e.timeout), theirs.timeout);
    assert_eq!(given(Has::MARK, e.mark), theirs.mark);
    assert_eq!(given(Has::TCP_STATE, e.tcp_state.0.into()), theirs.tcp_state.map(u32::from));
    // One bit announces the values of both directions; one that did not come is 0.
    assert_eq!(e.has(Has::TCP_WSCALE), theirs.wscale != [None; 2]);
    assert_eq!([e.tcp_wscale_orig, e.tcp_wscale_reply], theirs.wscale.map(Option::unwrap_or_default));
    assert_eq!(e.has(Has::TCP_FLAGS), theirs.flags != [None; 2]);
    let ours = [(e.tcp_flags_orig, e.tcp_mask_orig), (e.tcp_flags_reply, e.tcp_mask_reply)];
    assert_eq!(ours, theirs.flags.map(Option::unwrap_or_default));
}

/// The reasons for which ours may refuse what theirs takes.
fn assert_stricter(payload: &[u8], error: WireError) {
    // Theirs does not look into the tuple of a master.
    let has_master = has_attribute(payload, 14);
    let right = match error {
        // Theirs takes an entry without tuples, addresses or a protocol.
        WireError::Missing { .. } => true,
        WireError::BadLength { attribute, .. } => match attribute {
            // Decoded by theirs with the same check.
            "CTA_STATUS"
            | "CTA_TIMEOUT"
            | "CTA_MARK"
            | "CTA_PROTOINFO_TCP_STATE"
            | "CTA_PROTOINFO_TCP_WSCALE_ORIGINAL"
            | "CTA_PROTOINFO_TCP_WSCALE_REPLY" => false,
            "CTA_PROTO_NUM" | "CTA_PROTO_SRC_PORT" | "CTA_PROTO_DST_PORT" => has_master,
            // Theirs takes an address of 4 or 16 bytes under any name, and flags of more than 2; nothing else is left
            // that it decodes.
            _ => true,
        },
        WireError::BadAttribute { place } => match place {
            "the entry" | "CTA_TUPLE_ORIG" | "CTA_TUPLE_REPLY" | "CTA_PROTOINFO" | "CTA_PROTOINFO_TCP" => false,
            "CTA_TUPLE_PROTO" => has_master,
            // Theirs takes IPv4 addresses in a message of family IPv6 and the reverse; and it does not look into the
            // others.
            _ => true,
        },
        _ => false,
    };
    assert!(right, "only theirs takes it; ours says: {error}");
}

fn has_attribute(payload: &[u8], kind: u16) -> bool {
    let mut rest = payload.get(4..).unwrap_or_default();
    while let [a, b, c, d, ..] = *rest {
        if u16::from_ne_bytes([c, d]) & 0x3fff == kind {
            return true;
        }
        let length = usize::from(u16::from_ne_bytes([a, b])).max(4);
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    false
}
