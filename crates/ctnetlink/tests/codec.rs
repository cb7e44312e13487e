//! The decoder: what it makes of the bytes of a real kernel, of every attribute there is, and of garbage.
//!
//! `tests/data` holds what a kernel sent, and what the `conntrack` program said about the same table.

#[path = "support/capture.rs"]
mod capture;
#[path = "support/differential.rs"]
mod differential;
#[path = "support/random.rs"]
mod random;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "support/wire.rs"]
mod wire;

use capture::{capture_here, golden, labels_here, GOLDEN, LITTLE, LONG};
use ctnetlink::buffer::Buffer;
use ctnetlink::encode::{put_create, put_delete, Name};
use ctnetlink::event::{decode_event, Event, EventKind};
use ctnetlink::kernel_filter::{put_dump, put_guarded_flush, put_tuple_flush, FlushFilterProven, KernelFilter, Side};
use ctnetlink::message::{first_message, Message};
use ctnetlink::types::*;
use ctnetlink::{decode_details, decode_entry, Decoder, Details, SeqAdj, Synproxy, WireError};
use differential::{assert_as_without_memory, assert_consistent, assert_no_half_tuple, compare, Verdict, LESSONS};
use random::Random;
use std::net::IpAddr;
use wire::{attr, attrs, nest, requests_in, NESTED};

/// What the kernel said of entries that were made, changed and destroyed.
const EVENTS: &[u8] = include_bytes!("data/events-6.18.bin");

/// Whether an entry has a label.
fn has_label(e: &Entry, bit: usize) -> bool {
    labels_here(&e.labels)[bit / 8] >> (bit % 8) & 1 == 1
}

#[test]
fn the_capture_is_converted_to_the_byte_order_of_this_machine() {
    for capture in [GOLDEN, EVENTS] {
        assert_eq!(capture_here(capture) == capture, LITTLE);
        assert_eq!(capture_here(capture).len(), capture.len());
    }
}

/// The payloads of the captured messages.
fn decoded(payload: &[u8]) -> Result<Entry, WireError> {
    let mut entry = Entry::EMPTY;
    decode_entry(payload, &mut entry).map(|()| entry)
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The captured entry that has this protocol, source and source port (or ICMP id).
fn find(proto: Proto, src: &str, sport: u16) -> (Entry, Details) {
    let of = |e: &Entry| if proto.is_icmp() { e.orig.icmp_id } else { e.orig.sport };
    let mut found = golden().into_iter().filter_map(|payload| {
        let entry = decoded(&payload).unwrap();
        let right = entry.proto == proto && entry.orig_src() == ip(src) && of(&entry) == sport;
        right.then(|| (entry, decode_details(&payload).unwrap()))
    });
    let first = found.next().unwrap_or_else(|| panic!("no entry {proto} {src} {sport}"));
    assert!(found.next().is_none(), "more than one entry {proto} {src} {sport}");
    first
}

#[test]
fn captured_entries_have_what_every_listed_entry_has() {
    for payload in golden() {
        let e = decoded(&payload).unwrap();
        let always = Has::ORIG | Has::REPLY | Has::STATUS | Has::TIMEOUT | Has::MARK | Has::ID | Has::USE;
        assert!(e.has(always), "{e:?}");
        assert!(e.has(Has::ORIG_COUNTERS | Has::REPLY_COUNTERS | Has::START), "{e:?}");
        assert!(!e.has(Has::STOP));
        assert!(e.status.contains(Status::CONFIRMED));
        // 2020 to 2100.
        assert!((1_577_836_800..4_102_444_800).contains(&(e.start_ns / 1_000_000_000)), "{}", e.start_ns);
        let with_ports = e.proto.has_ports() && e.proto != Proto::DCCP;
        assert_eq!(e.has(Has::PORTS), with_ports, "{e:?}: this kernel tracks DCCP without ports");
        assert_eq!(e.has(Has::ICMP), e.proto.is_icmp(), "{e:?}");
        assert_eq!(e.has(Has::TCP_STATE | Has::TCP_WSCALE | Has::TCP_FLAGS), e.proto == Proto::TCP, "{e:?}");
        assert_eq!(e.has(Has::SCTP), e.proto == Proto::SCTP, "{e:?}");
        assert_consistent(&payload, &e);
        assert_no_half_tuple(&e);
    }
}

#[test]
fn captured_tcp_entries_have_their_states_scales_and_flags() {
    for state in 0..10 {
        let (v4, _) = find(Proto::TCP, "10.0.0.1", 1000 + state);
        assert_eq!(u16::from(v4.tcp_state.0), state);
        assert_eq!((v4.tcp_wscale_orig, v4.tcp_wscale_reply), (0, 0));
        let (v6, _) = find(Proto::TCP, "fd00::1", 1000 + state);
        assert_eq!((v6.orig.dport, v6.reply.sport), (443, 443));
        assert_eq!((v6.orig_dst(), v6.reply_src()), (ip("fd00::2"), ip("fd00::2")));
        assert_eq!((v6.tcp_wscale_orig, v6.tcp_wscale_reply), (7, 9));
        assert_eq!((v6.tcp_flags_orig, v6.tcp_flags_reply), (0x0b, 0x03));
        assert_eq!((v6.tcp_mask_orig, v6.tcp_mask_reply), (0, 0), "the kernel sends 0");
        assert_eq!(v6.status.bits() & 0xf, 0xe);
    }
}

#[test]
fn captured_entries_of_other_protocols_have_their_fields() {
    for proto in [Proto::UDP, Proto::UDPLITE, Proto::GRE] {
        let (v4, _) = find(proto, "10.1.0.1", 2000);
        assert_eq!((v4.orig.dport, v4.reply.sport, v4.reply.dport), (53, 53, 2000));
        let (v6, _) = find(proto, "fd00:1::1", 2001);
        assert_eq!((v6.orig.dport, v6.reply.sport, v6.reply.dport), (0xffff, 0xffff, 2001));
    }
    for src in ["10.1.0.1", "fd00:1::1"] {
        let (sctp, _) = find(Proto::SCTP, src, 3000);
        assert_eq!((sctp.sctp_state, sctp.sctp_vtag_orig, sctp.sctp_vtag_reply), (4, 0x01020304, 0xfffefdfc));
        for proto in [2, 50, 89, 253, 255, Proto::DCCP.0] {
            find(Proto(proto), src, 0);
        }
    }
    for (icmp_type, answer) in [(0, 8), (8, 0), (13, 14), (15, 16), (17, 18)] {
        let (e, _) = find(Proto::ICMP, "10.1.0.1", 0x1234 + u16::from(icmp_type));
        assert_eq!((e.orig.icmp_type, e.reply.icmp_type, e.orig.icmp_code), (icmp_type, answer, 0));
        assert_eq!(e.reply.icmp_id, e.orig.icmp_id);
    }
    for icmp_type in [128, 139] {
        let (e, _) = find(Proto::ICMPV6, "fd00:1::1", 0x4321 + u16::from(icmp_type));
        assert_eq!((e.orig.icmp_type, e.reply.icmp_type), (icmp_type, icmp_type + 1));
    }
}

#[test]
fn captured_zones_are_those_of_both_directions_or_of_one() {
    for (port, zone) in [(100, 1), (101, 7), (102, 0x8000), (103, 0xffff)] {
        for (src, bit, orig, reply) in [
            ("10.2.0.1", Has::ZONE, zone, zone),
            ("10.2.0.3", Has::ORIG_ZONE, zone, 0),
            ("fd00:2::3", Has::REPLY_ZONE, 0, zone),
        ] {
            let (e, _) = find(Proto::UDP, src, port);
            assert_eq!(e.has & (Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE), bit);
            assert_eq!((e.zone, e.orig.zone, e.reply.zone), (zone, orig, reply));
        }
    }
    let (none, _) = find(Proto::UDP, "10.1.0.1", 2000);
    assert_eq!((none.zone, none.orig.zone, none.reply.zone), (0, 0, 0));
    assert!(!none.has.intersects(Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE));
}

#[test]
fn captured_extensions_are_in_the_entry_or_in_its_details() {
    let of = |proto, port| find(proto, "10.3.0.1", port);
    assert_eq!(of(Proto::UDP, 1).0.mark(), Some(0x01020304));
    assert_eq!(of(Proto::UDP, 2).0.mark(), Some(u32::MAX));
    let (labelled, _) = of(Proto::UDP, 3);
    assert!(labelled.has(Has::LABELS));
    assert_eq!(labels_here(&labelled.labels), (1..=16).collect::<Vec<u8>>());
    assert!(!of(Proto::UDP, 1).0.has(Has::LABELS));
    assert_eq!(of(Proto::TCP, 4).0.helper().as_deref(), Some("ftp"));
    assert_eq!(of(Proto::UDP, 7).0.status.bits() & 0x40e, 0x40e);

    let (adjusted, details) = of(Proto::TCP, 5);
    assert!(adjusted.has(Has::SEQ_ADJ));
    assert_eq!(details.seq_adj_orig, Some(SeqAdj { correction_pos: 0x11, offset_before: 0x22, offset_after: 0x33 }));
    assert_eq!(details.seq_adj_reply, Some(SeqAdj { correction_pos: 0x44, offset_before: 0x55, offset_after: 0x66 }));
    let (proxied, details) = of(Proto::TCP, 6);
    assert!(proxied.has(Has::SYNPROXY));
    assert_eq!(details.synproxy, Some(Synproxy { isn: 0xa1a2a3a4, its: 0xb1b2b3b4, tsoff: 0xc1c2c3c4 }));

    let (expected, details) = find(Proto::TCP, "10.5.0.1", 5000);
    assert!(expected.has(Has::MASTER));
    assert!(expected.status.contains(Status::EXPECTED));
    let (master, _) = of(Proto::TCP, 4);
    assert_eq!(details.master, Some((Proto::TCP, master.orig)));
}

#[test]
fn captured_nat_shows_in_the_reply_tuple_and_the_status() {
    let (source, _) = find(Proto::UDP, "10.4.0.1", 1);
    assert_eq!((source.reply_dst(), source.reply.dport), (ip("192.0.2.1"), 7777));
    assert_eq!(source.status & (Status::SRC_NAT | Status::DST_NAT), Status::SRC_NAT);
    let (destination, _) = find(Proto::UDP, "10.4.0.1", 2);
    assert_eq!((destination.reply_src(), destination.reply.sport), (ip("192.0.2.2"), 5353));
    assert_eq!(destination.status & (Status::SRC_NAT | Status::DST_NAT), Status::DST_NAT);
    let (both, _) = find(Proto::TCP, "fd00:4::1", 3);
    assert_eq!((both.reply_src(), both.reply.sport), (ip("2001:db8::2"), 8));
    assert_eq!((both.reply_dst(), both.reply.dport), (ip("2001:db8::1"), 7));
    assert_eq!((both.orig_dst(), both.orig.dport), (ip("fd00:4::2"), 80));
}

#[test]
fn captured_traffic_has_counters_scales_and_what_rules_gave_it() {
    let real: Vec<Entry> =
        golden().iter().map(|payload| decoded(payload).unwrap()).filter(|e| e.orig_counters.packets > 0).collect();
    let tcp: Vec<&Entry> = real.iter().filter(|e| e.proto == Proto::TCP).collect();
    assert_eq!(tcp.len(), 3);
    for e in tcp {
        assert_eq!(e.tcp_state(), Some(TcpState::ESTABLISHED));
        assert!(e.tcp_wscale_orig > 0 && e.tcp_flags_orig & 1 == 1, "{e:?}");
        let (orig, reply) = e.counters().unwrap();
        assert!(orig.bytes >= 40 * orig.packets && reply.packets >= 1 && reply.bytes >= 40 * reply.packets);
        let marked = e.orig.dport == 6002 || e.reply.sport == 6002;
        let labels: Vec<usize> = (0..128).filter(|bit| has_label(e, *bit)).collect();
        assert_eq!(labels, if marked { &[1, 127][..] } else { &[1] }, "{e:?}");
        assert_eq!(e.helper().is_some(), e.orig.dport == 6003);
        assert_eq!(e.mark, if marked { 0xabcd } else { 0 });
    }
    let translated = real.iter().find(|e| e.orig_dst() == ip("127.9.9.9")).unwrap();
    assert_eq!((translated.reply_src(), translated.reply.sport), (ip("127.0.0.1"), 6002));
    let one_way = real.iter().find(|e| e.orig.dport == 6001).unwrap();
    assert!(one_way.has(Has::ORIG_ZONE) && one_way.orig.zone == 43 && one_way.reply.zone == 0);
    assert!(real.iter().any(|e| e.proto == Proto::ICMP && e.orig.icmp_id == 0x7788));
    assert!(real.iter().any(|e| e.proto == Proto::ICMPV6 && e.orig.icmp_id == 0x7788));
}

/// A TCP entry with its tuples alone.
fn base() -> Entry {
    let mut entry = Entry::key(Proto::TCP, ip("10.0.0.1"), 1, ip("10.0.0.2"), 2).unwrap();
    entry.has |= Has::REPLY;
    entry.reply = Tuple { src: entry.orig.dst, dst: entry.orig.src, sport: 2, dport: 1, ..Tuple::EMPTY };
    entry
}

/// The same with more attributes.
fn base_with(parts: &[Vec<u8>]) -> Vec<u8> {
    [wire::encode(&base()), parts.concat()].concat()
}

#[test]
fn every_attribute_of_an_entry_is_decoded_as_it_was_encoded() {
    let mut entry = base();
    for (bit, set) in [
        (Has::STATUS, (|e| e.status = Status::HW_OFFLOAD | Status::EXPECTED) as fn(&mut Entry)),
        (Has::TIMEOUT, |e| e.timeout = 0x01020304),
        (Has::MARK, |e| e.mark = 0xfefdfcfb),
        (Has::ID, |e| e.id = 0x80000001),
        (Has::USE, |e| e.use_count = 7),
        (Has::ZONE, |e| (e.zone, e.orig.zone, e.reply.zone) = (0x1234, 0x1234, 0x1234)),
        (Has::ORIG_COUNTERS, |e| e.orig_counters = Counters { packets: 1 << 40, bytes: u64::MAX }),
        (Has::REPLY_COUNTERS, |e| e.reply_counters = Counters { packets: 3, bytes: 4 }),
        (Has::START, |e| e.start_ns = 0x0102030405060708),
        (Has::STOP, |e| e.stop_ns = u64::MAX),
        (Has::LABELS, |e| e.labels = *b"0123456789abcdef"),
        (Has::HELPER, |e| e.helper[..15].copy_from_slice(&b"fifteen-letters".map(|b| b as _))),
        (Has::TCP_STATE, |e| e.tcp_state = TcpState(9)),
        (Has::TCP_WSCALE, |e| (e.tcp_wscale_orig, e.tcp_wscale_reply) = (14, 13)),
        (Has::TCP_FLAGS, |e| {
            (e.tcp_flags_orig, e.tcp_mask_orig, e.tcp_flags_reply, e.tcp_mask_reply) = (1, 2, 3, 4);
        }),
    ] {
        let mut alone = base();
        for entry in [&mut entry, &mut alone] {
            entry.has |= bit;
            set(entry);
        }
        let bytes = wire::encode(&alone);
        assert!(decoded(&bytes).unwrap() == alone, "{bit:?}");
        assert_consistent(&bytes, &alone);
        assert!(decoded(&wire::encode(&entry)).unwrap() == entry, "{bit:?} together with the others");
    }
}

#[test]
fn zones_of_one_direction_are_decoded_for_that_direction() {
    for (bit, orig, reply) in [(Has::ORIG_ZONE, 9, 0), (Has::REPLY_ZONE, 0, 0xffff)] {
        let mut entry = base();
        entry.has |= bit;
        (entry.orig.zone, entry.reply.zone, entry.zone) = (orig, reply, orig.max(reply));
        assert!(decoded(&wire::encode(&entry)).unwrap() == entry);
    }
}

#[test]
fn what_this_kernel_cannot_make_is_decoded_too() {
    // DCCP of kernels before 6.16.
    let mut dccp = base();
    dccp.proto = Proto::DCCP;
    let state = nest(2, &[attr(1, &[3]), attr(2, &[1]), attr(3, &0x0102030405060708u64.to_be_bytes()), attr(4, &[])]);
    let payload = [wire::encode(&dccp), nest(4, &[state])].concat();
    let entry = decoded(&payload).unwrap();
    assert!(entry.has(Has::DCCP | Has::PORTS));
    assert_eq!((entry.dccp_state, entry.dccp_role), (3, 1));
    assert_eq!(decode_details(&payload).unwrap().dccp_handshake_seq, Some(0x0102030405060708));

    // Offloaded: neither timeout nor protocol state.
    let mut offloaded = base();
    offloaded.has |= Has::STATUS;
    offloaded.status = Status::OFFLOAD | Status::HW_OFFLOAD | Status::CONFIRMED;
    let entry = decoded(&wire::encode(&offloaded)).unwrap();
    assert_eq!((entry.timeout(), entry.tcp_state(), entry.has), (None, None, offloaded.has));

    // A security context, with and without its NUL.
    for name in ["system_u:object_r:x:s0", "system_u:object_r:x:s0\0"] {
        let payload = base_with(&[nest(19, &[attr(1, name.as_bytes())])]);
        assert!(decoded(&payload).unwrap().has(Has::SECCTX));
        assert_eq!(decode_details(&payload).unwrap().secctx.as_deref(), Some(b"system_u:object_r:x:s0".as_slice()));
    }

    // What a helper says of itself; fewer labels; old 32-bit counters, which are not counted; an event's time.
    let payload = base_with(&[
        nest(5, &[attr(1, b"sip\0"), attr(2, &[1, 2, 3])]),
        attr(22, &[1, 2, 3, 4, 5, 6, 7, 8]),
        nest(9, &[attr(3, &[0, 0, 0, 9]), attr(4, &[0, 0, 0, 9]), attr(5, &[])]),
        attr(27, &[1; 8]),
    ]);
    let entry = decoded(&payload).unwrap();
    assert_eq!(entry.helper().as_deref(), Some("sip"));
    assert_eq!(decode_details(&payload).unwrap().helper_info, Some(vec![1, 2, 3]));
    assert_eq!(entry.labels, [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(entry.orig_counters, Counters::default());

    // One direction alone of the sequence adjustment.
    let adjust = nest(16, &[attr(1, &[0, 0, 0, 1]), attr(2, &[0xff; 4]), attr(3, &[0x80, 0, 0, 0])]);
    let details = decode_details(&base_with(&[adjust])).unwrap();
    let reply = SeqAdj { correction_pos: 1, offset_before: u32::MAX, offset_after: 1 << 31 };
    assert_eq!((details.seq_adj_orig, details.seq_adj_reply), (None, Some(reply)));

    // A destroyed entry: events carry an id and little else.
    let mut destroyed = base();
    destroyed.has |= Has::ID | Has::STATUS | Has::START | Has::STOP | Has::TCP_STATE;
    (destroyed.id, destroyed.status, destroyed.start_ns, destroyed.stop_ns) =
        (7, Status::from_bits_retain(0x20e), 5, 6);
    assert!(decoded(&wire::encode(&destroyed)).unwrap() == destroyed);
}

#[test]
fn labels_are_numbered_as_the_kernel_numbers_them() {
    for bit in [0, 1, 7, 8, 31, 32, 63, 64, 100, 127] {
        // An array of longs, as set_bit() of the kernel sees it.
        let mut longs = [0; 16 / LONG];
        longs[bit / (8 * LONG)] = std::ffi::c_ulong::from(1u8) << (bit % (8 * LONG));
        let mut entry = base();
        entry.has |= Has::LABELS;
        entry.labels = longs.iter().flat_map(|long| long.to_ne_bytes()).collect::<Vec<u8>>().try_into().unwrap();
        assert!(has_label(&entry, bit));
        assert_eq!(decoded(&wire::encode(&entry)).unwrap().labels, entry.labels);
    }
}

#[test]
fn headers_and_filter_flags_are_in_host_order_and_all_else_in_that_of_the_network() {
    let host = |bytes: &[u8]| bytes.iter().copied().rev().collect::<Vec<u8>>();
    let host = |bytes: &[u8]| if LITTLE { host(bytes) } else { bytes.to_vec() };
    let mut entry = base();
    entry.has |= Has::TIMEOUT | Has::MARK;
    (entry.timeout, entry.mark) = (0x01020304, 0x0a0b0c0d);
    let sent = create_request(&entry.in_zone(0x0506));
    // Length and type of the attribute, then its value.
    let part = |kind: u8, value: &[u8]| [&host(&[0, 4 + value.len() as u8]), &host(&[0, kind]), value].concat();
    for (kind, value) in [(7, &[1, 2, 3, 4][..]), (8, &[10, 11, 12, 13]), (18, &[5, 6])] {
        let wanted = part(kind, value);
        assert!(sent.windows(wanted.len()).any(|at| at == wanted), "{wanted:02x?} in {sent:02x?}");
    }

    let orig = Side { src: Some(address_bytes(ip("10.0.0.1"))), ..Side::default() };
    let mut buffer = Buffer::new();
    put_dump(&mut buffer, 1, &KernelFilter { family: Family::IPV4, orig, ..KernelFilter::default() });
    let filters: Vec<Vec<u8>> = attrs(&requests_in(&buffer)[0].payload[4..])
        .into_iter()
        .filter(|(kind, _)| kind & 0x3fff == 25)
        .map(|(_, value)| value)
        .collect();
    assert!(!filters.is_empty(), "the kernel is asked to filter");
    // CTA_FILTER_ORIG_FLAGS with the bit of the source address.
    for sent in filters {
        assert_eq!(sent, [host(&[0, 8]), host(&[0, 1]), host(&[0, 0, 0, 1])].concat());
    }
}

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// The attributes of a stretch rebuilt: `change` sees the list of each level, innermost first.
fn rebuilt(bytes: &[u8], change: &mut impl FnMut(&mut Vec<(u16, Vec<u8>)>)) -> Vec<u8> {
    let mut parts = attrs(bytes);
    for (kind, value) in &mut parts {
        if *kind & NESTED != 0 {
            *value = rebuilt(value, change);
        }
    }
    change(&mut parts);
    parts.iter().flat_map(|(kind, value)| attr(*kind, value)).collect()
}

fn rebuilt_payload(payload: &[u8], change: &mut impl FnMut(&mut Vec<(u16, Vec<u8>)>)) -> Vec<u8> {
    [&payload[..4], &rebuilt(&payload[4..], change)].concat()
}

fn assert_same_decoded(original: &[u8], changed: &[u8]) {
    assert!(decoded(changed).unwrap() == decoded(original).unwrap(), "{:?}", decoded(original).unwrap());
    assert_eq!(decode_details(changed).unwrap(), decode_details(original).unwrap());
}

#[test]
fn the_order_of_attributes_does_not_matter_at_any_level() {
    let mut random = Random(1);
    let mut differ = 0;
    for payload in golden() {
        assert_eq!(rebuilt_payload(&payload, &mut |_| {}), payload, "the test takes messages apart rightly");
        for _ in 0..20 {
            let shuffled = rebuilt_payload(&payload, &mut |parts| {
                for at in (1..parts.len()).rev() {
                    parts.swap(at, random.below(at + 1));
                }
            });
            differ += usize::from(shuffled != payload);
            assert_same_decoded(&payload, &shuffled);
        }
        assert_same_decoded(&payload, &rebuilt_payload(&payload, &mut |parts| parts.reverse()));
    }
    assert!(differ > 1000);
}

#[test]
fn unknown_attributes_are_ignored_at_every_level_and_place() {
    for payload in golden() {
        for kind in [60, 0x3fff, 0, 62, 63 | NESTED] {
            for at_end in [true, false] {
                let more = rebuilt_payload(&payload, &mut |parts| {
                    let at = if at_end { parts.len() } else { 0 };
                    parts.insert(at, (kind, vec![0xff; 5]));
                });
                assert!(more.len() > payload.len());
                assert_same_decoded(&payload, &more);
            }
        }
    }
}

#[test]
fn flags_in_the_type_of_an_attribute_do_not_matter() {
    for payload in golden() {
        // First of all the innermost: the rebuilding follows NLA_F_NESTED.
        for change in [|_: u16| 0, |kind: u16| kind | 0x4000, |kind: u16| kind | 0xc000] {
            let changed = rebuilt_payload(&payload, &mut |parts| {
                for (kind, _) in parts {
                    *kind = *kind & 0x3fff | change(*kind) & 0xc000;
                }
            });
            assert_ne!(changed, payload);
            assert_same_decoded(&payload, &changed);
        }
    }
}

#[test]
fn a_last_attribute_without_its_padding_is_whole() {
    let payload = base_with(&[attr(18, &[0, 7])]);
    let cut = &payload[..payload.len() - 2];
    assert_same_decoded(&payload, cut);
    assert!(decoded(&payload[..payload.len() - 3]).is_err());
}

/// Where an attribute is, innermost last, and how it is called; with the lengths that are right for it.
const LENGTHS: [(&[u16], &str, &[usize]); 52] = [
    (&[3], "CTA_STATUS", &[4]),
    (&[7], "CTA_TIMEOUT", &[4]),
    (&[8], "CTA_MARK", &[4]),
    (&[11], "CTA_USE", &[4]),
    (&[12], "CTA_ID", &[4]),
    (&[18], "CTA_ZONE", &[2]),
    (&[22], "CTA_LABELS", &[0, 4, 8, 12, 16]),
    (&[1, 3], "CTA_TUPLE_ZONE", &[2]),
    (&[1, 1, 1], "CTA_IP_V4_SRC", &[4]),
    (&[1, 1, 2], "CTA_IP_V4_DST", &[4]),
    (&[1, 2, 1], "CTA_PROTO_NUM", &[1]),
    (&[1, 2, 2], "CTA_PROTO_SRC_PORT", &[2]),
    (&[1, 2, 3], "CTA_PROTO_DST_PORT", &[2]),
    (&[1, 2, 4], "CTA_PROTO_ICMP_ID", &[2]),
    (&[1, 2, 5], "CTA_PROTO_ICMP_TYPE", &[1]),
    (&[1, 2, 6], "CTA_PROTO_ICMP_CODE", &[1]),
    (&[1, 2, 7], "CTA_PROTO_ICMPV6_ID", &[2]),
    (&[1, 2, 8], "CTA_PROTO_ICMPV6_TYPE", &[1]),
    (&[1, 2, 9], "CTA_PROTO_ICMPV6_CODE", &[1]),
    (&[2, 3], "CTA_TUPLE_ZONE", &[2]),
    (&[2, 1, 1], "CTA_IP_V4_SRC", &[4]),
    (&[2, 2, 1], "CTA_PROTO_NUM", &[1]),
    (&[14, 3], "CTA_TUPLE_ZONE", &[2]),
    (&[14, 1, 2], "CTA_IP_V4_DST", &[4]),
    (&[14, 2, 3], "CTA_PROTO_DST_PORT", &[2]),
    (&[4, 1, 1], "CTA_PROTOINFO_TCP_STATE", &[1]),
    (&[4, 1, 2], "CTA_PROTOINFO_TCP_WSCALE_ORIGINAL", &[1]),
    (&[4, 1, 3], "CTA_PROTOINFO_TCP_WSCALE_REPLY", &[1]),
    (&[4, 1, 4], "CTA_PROTOINFO_TCP_FLAGS_ORIGINAL", &[2]),
    (&[4, 1, 5], "CTA_PROTOINFO_TCP_FLAGS_REPLY", &[2]),
    (&[4, 2, 1], "CTA_PROTOINFO_DCCP_STATE", &[1]),
    (&[4, 2, 2], "CTA_PROTOINFO_DCCP_ROLE", &[1]),
    (&[4, 2, 3], "CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ", &[8]),
    (&[4, 3, 1], "CTA_PROTOINFO_SCTP_STATE", &[1]),
    (&[4, 3, 2], "CTA_PROTOINFO_SCTP_VTAG_ORIGINAL", &[4]),
    (&[4, 3, 3], "CTA_PROTOINFO_SCTP_VTAG_REPLY", &[4]),
    (&[9, 1], "CTA_COUNTERS_PACKETS", &[8]),
    (&[9, 2], "CTA_COUNTERS_BYTES", &[8]),
    (&[10, 1], "CTA_COUNTERS_PACKETS", &[8]),
    (&[10, 2], "CTA_COUNTERS_BYTES", &[8]),
    (&[20, 1], "CTA_TIMESTAMP_START", &[8]),
    (&[20, 2], "CTA_TIMESTAMP_STOP", &[8]),
    (&[5, 1], "CTA_HELP_NAME", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
    (&[15, 1], "CTA_SEQADJ_CORRECTION_POS", &[4]),
    (&[15, 2], "CTA_SEQADJ_OFFSET_BEFORE", &[4]),
    (&[15, 3], "CTA_SEQADJ_OFFSET_AFTER", &[4]),
    (&[16, 1], "CTA_SEQADJ_CORRECTION_POS", &[4]),
    (&[16, 2], "CTA_SEQADJ_OFFSET_BEFORE", &[4]),
    (&[16, 3], "CTA_SEQADJ_OFFSET_AFTER", &[4]),
    (&[24, 1], "CTA_SYNPROXY_ISN", &[4]),
    (&[24, 2], "CTA_SYNPROXY_ITS", &[4]),
    (&[24, 3], "CTA_SYNPROXY_TSOFF", &[4]),
];

/// The attribute at `path` with `value`, inside of all that it is part of.
fn at_path(path: &[u16], value: &[u8]) -> Vec<u8> {
    match path {
        [kind] => attr(*kind, value),
        [kind, rest @ ..] => nest(*kind, &[at_path(rest, value)]),
        [] => unreachable!("no path is empty"),
    }
}

#[test]
fn every_attribute_of_a_wrong_length_is_an_error_that_names_it() {
    let mut wrong = Vec::new();
    for (path, attribute, right) in LENGTHS {
        for length in 0..=24 {
            let error = decoded(&base_with(&[at_path(path, &vec![b'a'; length])])).err();
            let expected = WireError::BadLength { attribute, length };
            let as_it_should_be = match error {
                // A second tuple lacks what the first one has, and that is told; but not that its length is wrong.
                _ if right.contains(&length) => !matches!(error, Some(WireError::BadLength { .. })),
                _ => error == Some(expected),
            };
            if !as_it_should_be {
                wrong.push(format!("{attribute} of {length} bytes: {error:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn ipv6_addresses_have_16_bytes_and_each_family_only_its_own() {
    let mut v6 = base();
    v6.family = Family::IPV6;
    let payload = wire::encode(&v6);
    for (kind, attribute) in [(3, "CTA_IP_V6_SRC"), (4, "CTA_IP_V6_DST")] {
        for length in 0..=24 {
            let more = [payload.clone(), nest(1, &[nest(1, &[attr(kind, &vec![1; length])])])].concat();
            let error = decoded(&more).unwrap_err();
            let expected = match length {
                16 => WireError::Missing { attribute: "an address of CTA_TUPLE_IP" },
                _ => WireError::BadLength { attribute, length },
            };
            assert_eq!(error, expected);
        }
    }
    for (payload, foreign) in [(payload, [1, 2]), (base_with(&[]), [3, 4])] {
        for kind in foreign {
            for length in [4, 16] {
                for tuple in [1, 2, 14] {
                    let more = [payload.clone(), nest(tuple, &[nest(1, &[attr(kind, &vec![1; length])])])].concat();
                    assert_eq!(decoded(&more), Err(WireError::BadAttribute { place: "CTA_TUPLE_IP" }));
                }
            }
        }
    }
}

#[test]
fn a_nest_that_holds_no_attributes_is_an_error_that_names_it() {
    for (path, name) in [
        (&[1][..], "CTA_TUPLE_ORIG"),
        (&[2], "CTA_TUPLE_REPLY"),
        (&[14], "CTA_TUPLE_MASTER"),
        (&[1, 1], "CTA_TUPLE_IP"),
        (&[1, 2], "CTA_TUPLE_PROTO"),
        (&[4], "CTA_PROTOINFO"),
        (&[4, 1], "CTA_PROTOINFO_TCP"),
        (&[4, 2], "CTA_PROTOINFO_DCCP"),
        (&[4, 3], "CTA_PROTOINFO_SCTP"),
        (&[5], "CTA_HELP"),
        (&[9], "CTA_COUNTERS_ORIG"),
        (&[10], "CTA_COUNTERS_REPLY"),
        (&[15], "CTA_SEQ_ADJ_ORIG"),
        (&[16], "CTA_SEQ_ADJ_REPLY"),
        (&[19], "CTA_SECCTX"),
        (&[20], "CTA_TIMESTAMP"),
        (&[24], "CTA_SYNPROXY"),
    ] {
        for length in 1..=24 {
            // Zeros: an attribute that is shorter than its header. And one that claims more than there is.
            for byte in [0, 0xff] {
                let error = decoded(&base_with(&[at_path(path, &vec![byte; length])]));
                assert_eq!(error, Err(WireError::BadAttribute { place: name }), "{length}");
            }
        }
    }
}

#[test]
fn what_an_entry_cannot_do_without_is_named_when_it_is_missing() {
    let whole = wire::encode(&base());
    let parts = attrs(&whole[4..]);
    let tuple = |kind, parts: &[Vec<u8>]| {
        [vec![2, 0, 0, 0], attr(parts_of(&whole, 3 - kind).0, &parts_of(&whole, 3 - kind).1), nest(kind, parts)]
            .concat()
    };
    assert_eq!(parts.len(), 2);
    let addresses = nest(1, &[attr(1, &[1; 4]), attr(2, &[2; 4])]);
    let number = nest(2, &[attr(1, &[6])]);
    let missing = |attribute| Err(WireError::Missing { attribute });
    assert_eq!(decoded(&[2, 0, 0, 0]), missing("CTA_TUPLE_ORIG"));
    assert_eq!(decoded(&[vec![2, 0, 0, 0], attr(parts[0].0, &parts[0].1)].concat()), missing("CTA_TUPLE_REPLY"));
    assert_eq!(decoded(&[vec![2, 0, 0, 0], attr(parts[1].0, &parts[1].1)].concat()), missing("CTA_TUPLE_ORIG"));
    for kind in [1, 2] {
        assert!(decoded(&tuple(kind, &[addresses.clone(), number.clone()])).is_ok());
        let no_address = missing("an address of CTA_TUPLE_IP");
        assert_eq!(decoded(&tuple(kind, std::slice::from_ref(&number))), no_address);
        assert_eq!(decoded(&tuple(kind, &[nest(1, &[attr(1, &[1; 4])]), number.clone()])), no_address);
        assert_eq!(decoded(&tuple(kind, &[nest(1, &[attr(2, &[1; 4])]), number.clone()])), no_address);
        assert_eq!(decoded(&tuple(kind, std::slice::from_ref(&addresses))), missing("CTA_PROTO_NUM"));
    }
    for family in [0, 1, 3, 7, 255] {
        let mut other = whole.clone();
        other[0] = family;
        assert!(decoded(&other).is_err(), "family {family}");
    }
}

/// The attribute of a type in a payload.
fn parts_of(payload: &[u8], kind: u16) -> (u16, Vec<u8>) {
    attrs(&payload[4..]).into_iter().find(|(found, _)| found & 0x3fff == kind).unwrap()
}

#[test]
fn fields_that_are_not_announced_are_zero_even_if_a_tuple_is_incomplete() {
    // Half of the ports, in one tuple or in both; some of the ICMP fields.
    for present in [&[2][..], &[3], &[4], &[5, 6], &[7], &[2, 5]] {
        let fields: Vec<Vec<u8>> = [attr(1, &[6])]
            .into_iter()
            .chain(present.iter().map(|kind| attr(*kind, if [5, 6].contains(kind) { &[9] } else { &[9, 9] })))
            .collect();
        let addresses = nest(1, &[attr(1, &[1; 4]), attr(2, &[2; 4])]);
        let tuple = |kind| nest(kind, &[addresses.clone(), nest(2, &fields)]);
        let whole = parts_of(&wire::encode(&base()), 2);
        for reply in [tuple(2), attr(whole.0, &whole.1)] {
            let payload = [vec![2, 0, 0, 0], tuple(1), reply].concat();
            let entry = decoded(&payload).unwrap();
            assert!(!entry.has(Has::PORTS) && !entry.has(Has::ICMP));
            assert_consistent(&payload, &entry);
            assert_no_half_tuple(&entry);
        }
    }
}

#[test]
fn a_message_cut_off_at_any_byte_is_an_error_or_an_entry_that_makes_sense() {
    let mut errors = 0;
    for payload in golden() {
        for length in 0..payload.len() {
            match decoded(&payload[..length]) {
                Ok(entry) => assert_consistent(&payload[..length], &entry),
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    errors += 1;
                }
            }
            compare(&payload[..length]);
        }
    }
    assert!(errors > 10_000, "{errors}");
}

#[test]
fn any_byte_and_any_bit_may_be_wrong() {
    for payload in golden() {
        let mut bytes = payload.clone();
        for at in 0..payload.len() {
            for flip in [1, 2, 4, 8, 16, 32, 64, 128, 0xff] {
                bytes[at] ^= flip;
                compare(&bytes);
                bytes[at] ^= flip;
            }
        }
    }
}

#[test]
fn any_length_field_may_be_wrong() {
    for payload in golden() {
        let mut bytes = payload.clone();
        for at in (4..payload.len() - 1).step_by(4) {
            for length in [0u16, 1, 3, 4, 5, 8, 0x7fff, 0x8000, 0xfffc, 0xffff] {
                bytes[at..at + 2].copy_from_slice(&length.to_ne_bytes());
                compare(&bytes);
                bytes[at..at + 2].copy_from_slice(&payload[at..at + 2]);
            }
        }
    }
}

#[test]
fn the_independent_decoder_says_the_same_of_every_captured_entry() {
    for payload in golden() {
        assert_eq!(compare(&payload), Verdict::Both);
    }
}

/// Damages a message, in ways that keep some of it well formed.
fn mutate(random: &mut Random, payload: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = payload.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(9) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[0] = [0, 2, 10, 7][random.below(4)],
            3 => bytes.truncate(at.max(4)),
            // A length or a type.
            4 => {
                let at = at / 2 * 2;
                let value = [0, 1, 2, 3, 4, 5, 6, 8, 12, 20, 0x8001, 0x8002, 0x8004, 0xffff][random.below(14)];
                let value = u16::to_ne_bytes(value);
                bytes.splice(at..(at + 2).min(bytes.len()), value);
            }
            // Attributes of another message, behind the own ones or instead of them.
            5 => {
                let mut theirs = attrs(&other[4..]);
                let middle = at % theirs.len();
                theirs.rotate_left(middle);
                theirs.truncate(1 + at % 3);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                bytes.extend(theirs.iter().flat_map(|(kind, value)| attr(*kind, value)));
            }
            // Values.
            6 => {
                for _ in 0..8 {
                    let at = random.below(bytes.len());
                    bytes[at] = bytes[at].wrapping_add(1);
                }
            }
            7 => drop(bytes.splice(at..at, random.next().to_ne_bytes()[..random.below(8)].to_vec())),
            _ => drop(bytes.drain(at..(at + random.below(8)).min(bytes.len()))),
        }
        if bytes.len() < 4 {
            bytes.resize(4, 0);
        }
    }
    bytes
}

/// Damages well-formed messages attribute by attribute: they stay well formed.
fn mutate_values(random: &mut Random, payload: &[u8]) -> Vec<u8> {
    let mut bytes = rebuilt_payload(payload, &mut |parts| {
        let at = random.below(parts.len());
        match random.below(6) {
            0 => parts.push(parts[at].clone()),
            1 if parts.len() > 2 => drop(parts.remove(at)),
            2 => parts.rotate_left(at),
            _ => {
                let (kind, value) = &mut parts[at];
                if *kind & NESTED == 0 {
                    value.iter_mut().for_each(|byte| *byte ^= random.next() as u8);
                }
            }
        }
    });
    bytes[1] = random.next() as u8;
    bytes
}

#[test]
fn the_independent_decoder_says_the_same_of_mutated_entries_or_there_is_a_reason() {
    let golden = golden();
    // Each day tries others (crates/fuzz-bodies/src/tests.rs); written so that the harness does not lose it if the program is killed.
    let seed = std::env::var("CTRACK_FUZZ_SEED").ok().map(|seed| seed.parse::<u64>().expect("a number"));
    let seed = seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().expect("a time after 1970").as_secs() / 86_400);
    let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("decode_entry: CTRACK_FUZZ_SEED={seed}\n"));
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let mut verdicts = [0; 3];
    for round in 0..150_000 {
        let payload = &golden[random.below(golden.len())];
        let bytes = match round % 3 {
            0 => mutate_values(&mut random, payload),
            _ => {
                let other = &golden[random.below(golden.len())];
                mutate(&mut random, payload, other)
            }
        };
        let verdict = std::panic::catch_unwind(|| compare(&bytes));
        verdicts[verdict.unwrap_or_else(|_| panic!("round {round} of seed {seed}: {bytes:02x?}")) as usize] += 1;
    }
    // The comparison is worth something only if each case is met often.
    assert!(verdicts.iter().all(|count| *count > 10_000), "{verdicts:?}");
}

#[test]
fn both_decoders_say_the_same_of_what_fuzzing_kept() {
    for (at, line) in include_str!("data/decode_entry.seeds").lines().enumerate() {
        let byte = |at: usize| u8::from_str_radix(&line[at..at + 2], 16).expect("a byte");
        let payload: Vec<u8> = (0..line.len()).step_by(2).map(byte).collect();
        let verdict = std::panic::catch_unwind(|| compare(&payload));
        assert!(verdict.is_ok(), "line {}: {line}", at + 1);
    }
}

#[test]
fn a_decoder_that_knows_the_layout_says_the_same_whatever_bit_differs() {
    for payload in golden() {
        let mut decoder = Decoder::new();
        for _ in 0..=LESSONS {
            assert_as_without_memory(&mut decoder, &payload);
        }
        let mut other = payload.clone();
        for at in 0..payload.len() {
            for bit in 0..8 {
                other[at] ^= 1 << bit;
                assert_as_without_memory(&mut decoder, &other);
                other[at] ^= 1 << bit;
            }
            // Of another length, too.
            assert_as_without_memory(&mut decoder, &payload[..at]);
        }
        other.extend(attr(999, &[1, 2, 3, 4]));
        assert_as_without_memory(&mut decoder, &other);
        assert_as_without_memory(&mut decoder, &payload);
    }
}

#[test]
fn a_decoder_says_the_same_in_tables_of_more_layouts_than_it_can_remember() {
    let golden = golden();
    let mut random = Random(0x1a7_0075);
    let mut decoder = Decoder::new();
    for _ in 0..400 {
        // The same few for a while, then others.
        let some: Vec<Vec<u8>> = (0..1 + random.below(60))
            .map(|_| {
                let payload = &golden[random.below(golden.len())];
                mutate_values(&mut random, payload)
            })
            .collect();
        for _ in 0..300 {
            let mut payload = some[random.below(some.len())].clone();
            if random.below(2) == 0 {
                let at = random.below(payload.len());
                payload[at] = random.next() as u8;
            }
            assert_as_without_memory(&mut decoder, &payload);
        }
    }
}

#[test]
fn bytes_without_any_structure_are_no_entry() {
    let mut random = Random(7);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..random.below(300)).map(|_| random.next() as u8).collect();
        if let Some(family) = bytes.first_mut() {
            *family = if *family & 1 == 0 { 2 } else { 10 };
        }
        compare(&bytes);
    }
}

/// What is sent to make an entry.
fn create_request(entry: &Entry) -> Vec<u8> {
    let mut buffer = Buffer::new();
    put_create(&mut buffer, 1, entry);
    requests_in(&buffer).remove(0).payload
}

/// Entries that can be created, of every protocol and with random values.
fn creatable(random: &mut Random) -> Entry {
    const PROTOS: [u8; 10] = [1, 6, 17, 33, 47, 58, 132, 136, 89, 253];
    let proto = Proto(PROTOS[random.below(PROTOS.len())]);
    let v6 = proto == Proto::ICMPV6 || proto != Proto::ICMP && random.below(2) == 0;
    let mut entry = Entry { has: Has::ORIG | Has::TIMEOUT, proto, ..Entry::EMPTY };
    entry.family = if v6 { Family::IPV6 } else { Family::IPV4 };
    entry.timeout = 1 + random.next() as u32 / 2;
    let with_reply = random.below(2) == 0;
    if with_reply {
        entry.has |= Has::REPLY;
    }
    if proto.has_ports() {
        entry.has |= Has::PORTS;
    }
    if proto.is_icmp() {
        entry.has |= Has::ICMP;
    }
    let has = entry.has;
    let mut tuples = [&mut entry.orig, &mut entry.reply];
    for tuple in &mut tuples[..if with_reply { 2 } else { 1 }] {
        for address in [&mut tuple.src, &mut tuple.dst] {
            let width = if v6 { 16 } else { 4 };
            address[..width].iter_mut().for_each(|byte| *byte = random.next() as u8);
        }
        if has.intersects(Has::PORTS) {
            (tuple.sport, tuple.dport) = (random.next() as u16, random.next() as u16);
        }
        if has.intersects(Has::ICMP) {
            tuple.icmp_type = if v6 { 128 } else { 8 };
            (tuple.icmp_code, tuple.icmp_id) = (random.next() as u8, random.next() as u16);
        }
    }
    set_optional(random, &mut entry);
    entry
}

fn set_optional(random: &mut Random, entry: &mut Entry) {
    let zone = 1 + random.below(0xffff) as u32;
    match random.below(4) {
        0 => *entry = entry.in_zone(zone as u16),
        1 => {
            entry.has |= Has::ORIG_ZONE;
            (entry.zone, entry.orig.zone) = (zone, zone);
        }
        2 => {
            entry.has |= Has::REPLY_ZONE;
            (entry.zone, entry.reply.zone) = (zone, zone);
        }
        _ => {}
    }
    if random.below(2) == 0 {
        (entry.has, entry.mark) = (entry.has | Has::MARK, random.next() as u32);
    }
    if random.below(2) == 0 {
        entry.has |= Has::STATUS;
        entry.status = [Status::empty(), Status::ASSURED | Status::SEEN_REPLY, Status::FIXED_TIMEOUT][random.below(3)];
    }
    if random.below(2) == 0 {
        entry.has |= Has::LABELS;
        entry.labels.iter_mut().for_each(|byte| *byte = random.next() as u8);
    }
    if random.below(2) == 0 {
        entry.has |= Has::HELPER;
        entry.helper[..4].copy_from_slice(&b"sane".map(|byte| byte as _));
    }
    if entry.proto == Proto::TCP {
        entry.has |= Has::TCP_STATE | Has::TCP_WSCALE | Has::TCP_FLAGS;
        entry.tcp_state = TcpState(random.below(10) as u8);
        (entry.tcp_wscale_orig, entry.tcp_wscale_reply) = (random.below(15) as u8, random.below(15) as u8);
        (entry.tcp_flags_orig, entry.tcp_flags_reply) = (random.next() as u8, random.next() as u8);
        (entry.tcp_mask_orig, entry.tcp_mask_reply) = (1 + random.below(255) as u8, 0);
    }
    if entry.proto == Proto::SCTP {
        entry.has |= Has::SCTP;
        entry.sctp_state = random.below(10) as u8;
        (entry.sctp_vtag_orig, entry.sctp_vtag_reply) = (random.next() as u32, random.next() as u32);
    }
}

#[test]
fn what_is_sent_to_create_an_entry_decodes_to_that_entry() {
    let mut random = Random(42);
    for _ in 0..3000 {
        let given = creatable(&mut random);
        let sent = create_request(&given);
        let mut expected = given;
        expected.has |= Has::REPLY;
        if !given.has(Has::REPLY) {
            let Tuple { src, dst, sport, dport, .. } = given.orig;
            let zone = given.reply.zone;
            expected.reply = Tuple { src: dst, dst: src, sport: dport, dport: sport, zone, ..given.orig };
            expected.reply.icmp_type = match given.orig.icmp_type {
                8 => 0,
                128 => 129,
                other => other,
            };
        }
        if given.has(Has::STATUS) {
            expected.status |= Status::CONFIRMED;
        }
        if given.has(Has::TCP_FLAGS) {
            // 0 in a request means all.
            expected.tcp_mask_reply = 0xff;
        }
        let entry = decoded(&sent).unwrap();
        assert!(entry == expected, "given {given:?}\nfound {entry:?}");
        assert_eq!(compare(&sent), Verdict::Both);
    }
}

#[test]
fn nat_is_sent_as_a_range_and_the_reply_tuple_as_it_is_without_it() {
    let four = |address: [u8; 4]| [address.as_slice(), &[0; 12]].concat().try_into().unwrap();
    let range = |address: [u8; 4], port: u16| {
        let ports = [attr(1, &port.to_be_bytes()), attr(2, &port.to_be_bytes())];
        Some([attr(1, &address), nest(3, &ports)].concat())
    };
    for (source, destination) in [(true, false), (false, true), (true, true)] {
        let mut given = base();
        given.has |= Has::STATUS | Has::TIMEOUT;
        given.timeout = 9;
        given.status = Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
        let plain = given.reply;
        if source {
            given.status |= Status::SRC_NAT;
            (given.reply.dst, given.reply.dport) = (four([192, 0, 2, 2]), 72);
        }
        if destination {
            given.status |= Status::DST_NAT;
            (given.reply.src, given.reply.sport) = (four([192, 0, 2, 1]), 71);
        }
        let sent = create_request(&given);
        let entry = decoded(&sent).unwrap();
        assert_eq!(entry.reply, plain);
        assert_eq!(entry.status, Status::CONFIRMED, "the kernel derives the others itself");
        let of = |kind| attrs(&sent[4..]).into_iter().find(|(found, _)| found & 0x3fff == kind).map(|(_, value)| value);
        // Also for what is not to be translated: without a range the kernel would choose for it.
        let own = |address: [u8; 16], port| range(address[..4].try_into().unwrap(), port);
        assert_eq!(of(6), if source { range([192, 0, 2, 2], 72) } else { own(plain.dst, plain.dport) });
        assert_eq!(of(13), if destination { range([192, 0, 2, 1], 71) } else { own(plain.src, plain.sport) });
    }
}

#[test]
fn a_flush_of_more_than_was_asked_for_is_not_built() {
    let built = |build: fn(&mut Buffer)| std::panic::catch_unwind(|| build(&mut Buffer::new())).is_ok();
    assert!(built(|buffer| put_guarded_flush(buffer, 1, &KernelFilter { zone: Some(0), ..KernelFilter::default() })));
    assert!(!built(|buffer| put_guarded_flush(buffer, 1, &KernelFilter::default())), "everything");
    assert!(!built(|buffer| {
        let filter = KernelFilter { family: Family::IPV4, proto: Some(Proto::UDP), ..KernelFilter::default() };
        put_guarded_flush(buffer, 1, &filter);
    }));
    assert!(!built(|buffer| put_tuple_flush(buffer, 1, &KernelFilter::default(), FlushFilterProven)));
    // A zone of more than 16 bits is no other zone.
    assert!(!built(|buffer| {
        let entry = Entry { has: Has::ORIG | Has::ZONE, family: Family::IPV4, zone: 0x1_0007, ..Entry::EMPTY };
        put_delete(buffer, 1, &entry, Name::first_of(&entry));
    }));
}

/// Hands over each message of a datagram.
fn each_message(mut datagram: &[u8], mut seen: impl FnMut(Message<'_>)) {
    while !datagram.is_empty() {
        let (message, step) = first_message(datagram).unwrap();
        seen(message);
        datagram = &datagram[step..];
    }
}

#[test]
fn events_of_a_real_kernel_say_what_the_conntrack_program_says_of_them() {
    let datagram = capture_here(EVENTS);
    let mut lines = include_str!("data/events-6.18.lines").lines();
    let (mut decoder, mut first_time) = (Decoder::new(), None);
    each_message(&datagram, |message| {
        let line = lines.next().unwrap();
        let mut entry = Entry::EMPTY;
        let event = decode_event(&message, &mut decoder, &mut entry).unwrap().unwrap();
        let word = match event.kind {
            EventKind::New => "[NEW] ",
            EventKind::Update => "[UPDATE] ",
            EventKind::Destroy => "[DESTROY] ",
        };
        assert!(line.trim_start().starts_with(word), "{event:?}: {line}");
        let (flow, program) = line.split_once(" [USERSPACE] portid=").unwrap_or((line, "0 "));
        assert!(flow.ends_with(&format!(" id={}", entry.id)), "{entry:?}: {line}");
        assert_eq!(program.split(' ').next().unwrap().parse(), Ok(event.port), "{line}");
        assert!(line.contains(&format!(" src={} dst={} ", entry.orig_src(), entry.orig_dst())), "{line}");
        let destroyed = event.kind == EventKind::Destroy;
        assert_eq!(entry.status.contains(Status::DYING), destroyed, "{line}");
        assert_eq!(entry.has.contains(Has::ORIG_COUNTERS | Has::START | Has::STOP), destroyed, "{line}");
        let first = *first_time.get_or_insert(event.time_ns);
        assert!(first > 0 && event.time_ns >= first && event.time_ns < first + 60_000_000_000, "{event:?}");
    });
    assert_eq!(lines.next(), None);
}

#[test]
fn an_event_is_the_same_by_a_layout_that_was_learned_and_without() {
    let datagram = capture_here(EVENTS);
    let decoded = |decoder: &mut Decoder, message: &Message<'_>| {
        let mut entry = Entry::EMPTY;
        (decode_event(message, decoder, &mut entry).unwrap().unwrap(), entry)
    };
    let mut experienced = Decoder::new();
    for _ in 0..10 {
        each_message(&datagram, |message| {
            assert_eq!(decoded(&mut experienced, &message), decoded(&mut Decoder::new(), &message));
        });
    }
}

#[test]
fn what_is_no_event_of_an_entry_is_none_and_what_is_cut_is_an_error() {
    let payload = golden().remove(0);
    let untouched = Entry { mark: 4711, ..Entry::EMPTY };
    let decode = |kind: u16, flags: u16, payload: &[u8]| {
        let datagram = wire::message(kind, flags, 0, 77, payload);
        let mut entry = untouched;
        let event = decode_event(&first_message(&datagram).unwrap().0, &mut Decoder::new(), &mut entry);
        (event, entry == untouched)
    };
    let event = |kind| Ok(Some(Event { kind, port: 77, time_ns: 0 }));
    assert_eq!(decode(0x100, 0x600, &payload), (event(EventKind::New), false));
    assert_eq!(decode(0x100, 0, &payload), (event(EventKind::Update), false));
    assert_eq!(decode(0x102, 0, &payload), (event(EventKind::Destroy), false));
    // An acknowledgement, expectations, another subsystem.
    for kind in [2, 0x101, 0x104, 0x200, 0x202, 0xa00] {
        assert_eq!(decode(kind, 0x600, &payload), (Ok(None), true), "{kind:#x}");
    }
    for length in 0..payload.len() {
        let part = &payload[..length];
        assert_eq!(decode(0x100, 0, part).0.err(), decoded(part).err(), "{length} bytes");
    }
    let timed = |time: &[u8]| [&payload[..], &attr(27, time)].concat();
    let of = |time: &[u8]| decode(0x100, 0, &timed(time)).0;
    assert_eq!(of(&4711u64.to_be_bytes()), Ok(Some(Event { kind: EventKind::Update, port: 77, time_ns: 4711 })));
    assert_eq!(of(&[0; 4]), Err(WireError::BadLength { attribute: "CTA_TIMESTAMP_EVENT", length: 4 }));
}
