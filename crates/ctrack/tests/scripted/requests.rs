//! What is sent: nothing that could delete more than was asked for, whatever kernel reads it.

use super::kernel::*;
use super::operations::{deletes, is_guarded, new};
use super::transport::Request;
use super::*;

const ORIG: u16 = 1;
const REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;

fn all_ipv4() -> Filter {
    Filter { family: Some(Family::IPV4), ..Filter::default() }
}

/// Entries of every kind that a delete may meet.
fn every_kind() -> Vec<Entry> {
    let (a, b) = (ip("10.0.0.1"), ip("10.0.0.2"));
    let mut entries = vec![udp(1), udp6(2), listed(udp(3).in_zone(7), 3), listed(udp6(4).in_zone(65535), 4)];
    entries.push(listed(Entry::icmp_key(a, b, 8, 0, 77).unwrap(), 5));
    entries.push(listed(Entry::icmp_key(ip("::1"), ip("::2"), 128, 0, 77).unwrap(), 6));
    for (at, bit) in [Has::ORIG_ZONE, Has::REPLY_ZONE].into_iter().enumerate() {
        let mut entry = udp(10 + at as u16);
        entry.has |= bit;
        entry.zone = 0x0102;
        let tuple = if bit == Has::ORIG_ZONE { &mut entry.orig } else { &mut entry.reply };
        tuple.zone = entry.zone;
        entries.push(entry);
    }
    for proto in [Proto::TCP, Proto::SCTP, Proto::GRE, Proto::UDPLITE, Proto::DCCP] {
        entries.push(listed(Entry::key(proto, a, 1, b, 2).unwrap(), 100 + u32::from(proto.0)));
    }
    let mut generic = listed(Entry::key(Proto::UDP, a, 0, b, 0).unwrap(), 200);
    generic.has &= !Has::PORTS;
    generic.proto = Proto(89);
    entries.push(generic);
    let mut without_ports = generic;
    (without_ports.proto, without_ports.id) = (Proto::DCCP, 201);
    entries.push(without_ports);
    entries
}

/// What must hold of every datagram of deletes.
fn assert_safe(datagram: &[Request]) {
    assert!(datagram.len() <= 256, "{} deletes in one datagram", datagram.len());
    for (at, request) in datagram.iter().enumerate() {
        let last = at + 1 == datagram.len();
        assert_eq!(request.kind, DELETE);
        assert_eq!(request.flags, if last { F_REQUEST | F_ACK } else { F_REQUEST }, "request {at}");
        assert_eq!(request.port, 0);
        let [family, version, res_id @ ..]: [u8; 4] = request.payload[..4].try_into().unwrap();
        assert!([Family::IPV4, Family::IPV6].contains(&Family(family)), "family {family}");
        assert_eq!(version, 1, "nfgenmsg version");
        assert_eq!(res_id, [0, 0]);
        let key = parse_key(&request.payload);
        assert!(key.kinds[0] == ORIG || key.kinds[0] == REPLY, "the tuple is not the first attribute: {:?}", key.kinds);
        assert!(key.kinds[1..].iter().all(|kind| [ZONE, ID].contains(kind)), "{:?}", key.kinds);
        assert_eq!(key.kinds.iter().filter(|kind| **kind == ORIG || **kind == REPLY).count(), 1);
        assert!(key.zone.is_none() || key.tuple_zone.is_none(), "the kernel refuses both");
        assert_ne!(key.zone, Some(0));
    }
    let seqs: Vec<u32> = datagram.iter().map(|request| request.seq).collect();
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
}

fn delete_datagrams(script: &Script) -> Vec<Vec<Request>> {
    let sent = script.state().sent.clone();
    sent.into_iter()
        .filter(|datagram| datagram.iter().any(|request| request.kind == DELETE && !is_guarded(request)))
        .collect()
}

#[test]
fn a_delete_by_filter_sends_tuple_first_then_zone_and_id_acknowledged_once_per_batch() {
    let entries: Vec<Entry> = (0..300).map(udp).collect();
    let (mut conntrack, script) = on(&Table::new(&entries));
    let _ = conntrack.delete(&[all_ipv4()]).unwrap();
    let datagrams = delete_datagrams(&script);
    assert_eq!(datagrams.iter().map(Vec::len).collect::<Vec<_>>(), [256, 44]);
    datagrams.iter().for_each(|datagram| assert_safe(datagram));
    let ids: Vec<Option<u32>> = deletes(&script).iter().map(|key| key.id).collect();
    assert_eq!(ids, (0..300).map(Some).collect::<Vec<_>>());
}

#[test]
fn every_kind_of_listed_entry_is_deleted_by_exactly_its_tuple_zone_and_id() {
    let entries = every_kind();
    for by_filter in [true, false] {
        let table = Table::new(&entries);
        let (mut conntrack, script) = on(&table);
        if by_filter {
            let both = [all_ipv4(), Filter { family: Some(Family::IPV6), ..Filter::default() }];
            assert_eq!(conntrack.delete(&both).unwrap().done, entries.len() as u64);
        } else {
            assert_eq!(conntrack.delete_entries(&entries).unwrap().status(), vec![0; entries.len()]);
        }
        assert_eq!(table.entries(), []);
        delete_datagrams(&script).iter().for_each(|datagram| assert_safe(datagram));
        // By the reply tuple and the id, which cover both tuples. Where only the original one has a zone, by that.
        let one_way = |entry: &&Entry| entry.has.intersects(Has::ORIG_ZONE | Has::REPLY_ZONE);
        let expected = |entry: &Entry| {
            let mut expected = vec![entry.family.0, 1, 0, 0];
            let by_orig = entry.has(Has::ORIG_ZONE);
            let (kind, tuple) = if by_orig { (ORIG, &entry.orig) } else { (REPLY, &entry.reply) };
            expected.extend(encode_tuple(kind, entry, tuple, false));
            if entry.zone != 0 {
                expected.extend(attr(ZONE, &u16::try_from(entry.zone).unwrap().to_be_bytes()));
            }
            expected.extend(attr(ID, &entry.id.to_be_bytes()));
            expected
        };
        let sent: Vec<_> = script.requests().into_iter().filter(|request| request.kind == DELETE).collect();
        assert_eq!(sent.len(), entries.len());
        for entry in &entries {
            let expected = expected(entry);
            let at = script.requests().iter().position(|request| request.payload == expected).expect("its DELETE");
            // Those with a zone for one direction are looked up before: no message compares that.
            let looked_up = |request: &&Request| request.kind == GET && request.flags & F_DUMP == 0;
            let gets = script.requests()[..at].iter().filter(looked_up).count();
            assert_eq!(gets, if one_way(&entry) { 2 } else { gets }, "{entry:?}");
        }
        assert_eq!(script.requests().iter().filter(|r| r.kind == GET && r.flags & F_DUMP == 0).count(), 2);
    }
}

#[test]
fn an_entry_known_by_its_reply_tuple_is_deleted_in_the_zone_of_that_direction() {
    let mut entry = udp(1);
    entry.has |= Has::REPLY_ZONE;
    (entry.zone, entry.reply.zone) = (9, 9);
    let table = Table::new(&[entry, udp(2)]);
    let (mut conntrack, script) = on(&table);
    let mut key = Entry { has: Has::REPLY | Has::PORTS | Has::REPLY_ZONE | Has::ID, ..Entry::EMPTY };
    (key.family, key.proto, key.reply, key.id) = (entry.family, entry.proto, entry.reply, entry.id);
    assert_eq!(conntrack.delete_entries(&[key]).unwrap().status(), [0]);
    assert_eq!(table.entries(), [udp(2)]);
    let sent = &deletes(&script)[0];
    assert_eq!((sent.kinds.as_slice(), sent.tuple_zone, sent.zone), ([REPLY, ZONE, ID].as_slice(), None, Some(9)));
}

#[test]
fn only_flush_all_ever_sends_a_delete_without_a_tuple() {
    let entries = every_kind();
    let (mut conntrack, script) = on(&Table::new(&entries));
    for scope in [
        Filter { zone: Some(7), ..Filter::default() },
        Filter { zone: Some(0), ..Filter::default() },
        Filter { mark: Some(Masked { value: 0, mask: 1 }), ..Filter::default() },
        Filter { status_clear: Status::DYING, ..Filter::default() },
        all_ipv4(),
    ] {
        let _ = conntrack.flush(&scope).unwrap();
        let _ = conntrack.delete(&[scope]).unwrap();
    }
    let _ = conntrack.delete_entries(&entries).unwrap();
    let keys: Vec<Entry> = entries.iter().filter(|entry| !entry.has(Has::REPLY_ZONE)).map(key_of).collect();
    let _ = conntrack.delete_entries(&keys).unwrap();
    assert!(deletes(&script).len() > entries.len());
    delete_datagrams(&script).iter().for_each(|datagram| assert_safe(datagram));

    let before = script.requests().len();
    conntrack.flush_all().unwrap();
    let sent = &script.requests()[before..];
    assert_eq!(
        sent.iter().map(|request| request.kind).collect::<Vec<_>>(),
        [DELETE, GET_STATS],
        "and a look at what is left"
    );
    assert_eq!(sent[0].flags, F_REQUEST | F_ACK);
    assert_eq!(sent[0].payload, [0; 4], "all families, no attribute that an old kernel could not know");
}

#[test]
fn dumps_carry_at_most_the_family_since_every_kernel_honours_it() {
    let (mut conntrack, script) = on(&Table::new(&every_kind()));
    let ipv6 = Filter { family: Some(Family::IPV6), ..Filter::default() };
    let exact = Filter {
        orig_src: Some(ip("fd00::1").into()),
        zone: Some(7),
        status_set: Status::CONFIRMED,
        ..Filter::default()
    };
    let cases: [(&[Filter], Family); 5] = [
        (&[], Family::UNSPEC),
        (&[all_ipv4()], Family::IPV4),
        (&[ipv6.clone(), exact.clone()], Family::IPV6),
        (&[all_ipv4(), ipv6.clone()], Family::UNSPEC),
        (&[Filter { exclude: true, ..ipv6.clone() }], Family::UNSPEC),
    ];
    for (filters, family) in cases {
        conntrack.list(filters).unwrap();
        let sent = script.requests().pop().unwrap();
        assert_eq!((sent.kind, sent.flags), (GET, F_REQUEST | F_DUMP));
        assert_eq!(sent.payload, [family.0, 0, 0, 0], "{filters:?}");
    }
}

#[test]
fn looks_up_go_in_small_batches_and_carry_the_whole_key() {
    let entries: Vec<Entry> = (0..200).map(|port| listed(key_of(&udp(port)).in_zone(3), port.into())).collect();
    let (mut conntrack, script) = on(&Table::new(&entries));
    let keys: Vec<Entry> = entries.iter().map(key_of).collect();
    assert_eq!(conntrack.delete_entries(&keys).unwrap().outcome.done, 200);
    let sent = script.state().sent.clone();
    let lookups: Vec<usize> = sent.iter().filter(|requests| requests[0].kind == GET).map(Vec::len).collect();
    assert_eq!(lookups.iter().sum::<usize>(), 200);
    assert!(lookups.iter().all(|count| *count <= 32), "each answer takes 4 KiB of the receive buffer: {lookups:?}");
    for request in script.requests().iter().filter(|request| request.kind == GET) {
        assert_eq!(request.flags & F_DUMP, 0);
        assert_eq!(parse_key(&request.payload).zone, Some(3));
    }
}

#[test]
fn new_entries_are_exclusive_and_updates_create_nothing() {
    let (mut conntrack, script) = on(&Table::new(&[udp(1)]));
    let _ = conntrack.create_entries(&[new(&udp(2)), new(&udp(3))]).unwrap();
    let mut change = key_of(&udp(1));
    change.has |= Has::MARK;
    let _ = conntrack.update_entries(&[change]).unwrap();
    let flags: Vec<u16> =
        script.requests().iter().filter(|request| request.kind == NEW).map(|request| request.flags).collect();
    let create = F_REQUEST | F_CREATE | F_EXCL;
    assert_eq!(flags, [create, create | F_ACK, F_REQUEST | F_ACK]);
}

#[test]
fn sequence_numbers_are_never_zero_and_never_used_twice() {
    let entries: Vec<Entry> = (0..300).map(udp).collect();
    let (mut conntrack, script) = on(&Table::new(&entries));
    for _ in 0..3 {
        conntrack.list(&[]).unwrap();
        conntrack.count().unwrap();
        conntrack.get(&udp(1)).unwrap();
    }
    let _ = conntrack.delete(&[all_ipv4()]).unwrap();
    let mut seqs: Vec<u32> = script.requests().iter().map(|request| request.seq).collect();
    assert!(!seqs.contains(&0), "0 is that of events");
    let all = seqs.len();
    seqs.sort_unstable();
    seqs.dedup();
    assert_eq!(seqs.len(), all);
}

/// How an error names a field, or the whole of what has it.
fn named(of: &str, field: &str) -> String {
    format!("{of}{}{field}: ", if field.is_empty() { "" } else { "." })
}

#[test]
fn nothing_is_sent_after_a_wrong_filter() {
    let default = Filter::default;
    let (udp_ports, v4) = (Some(Proto::UDP), Some(ip("10.0.0.1").into()));
    let prefix = |address, length| Some(Prefix { address: ip(address), length });
    #[allow(clippy::reversed_empty_ranges, reason = "that is what is wrong with it")]
    let upside_down = Some(2..=1);
    let states =
        |bits| Filter { tcp_states: Some(TcpStates::from_bits_retain(bits)), proto: Some(Proto::TCP), ..default() };
    let wrong = [
        ("family", Filter { family: Some(Family::UNSPEC), ..default() }),
        ("family", Filter { family: Some(Family(11)), ..default() }),
        ("orig_src", Filter { family: Some(Family::IPV6), orig_src: v4, ..default() }),
        ("orig_dst", Filter { orig_src: v4, orig_dst: Some(ip("::1").into()), ..default() }),
        ("orig_src", Filter { orig_src: prefix("10.0.0.0", 33), ..default() }),
        ("reply_src", Filter { reply_src: prefix("::", 129), ..default() }),
        ("reply_dst", Filter { reply_dst: prefix("10.0.0.1", 24), ..default() }),
        ("orig_dport", Filter { orig_dport: Some(1..=2), ..default() }),
        ("orig_sport", Filter { orig_sport: Some(1..=2), proto: Some(Proto::ICMP), ..default() }),
        ("reply_dport", Filter { reply_dport: upside_down, proto: udp_ports, ..default() }),
        ("icmp_type", Filter { icmp_type: Some(8), ..default() }),
        ("icmp_id", Filter { icmp_id: Some(8), proto: udp_ports, ..default() }),
        ("mark", Filter { mark: Some(Masked { value: 2, mask: 1 }), ..default() }),
        ("status_set", Filter { status_set: Status::from_bits_retain(1 << 16), ..default() }),
        ("status_clear", Filter { status_set: Status::CONFIRMED, status_clear: Status::CONFIRMED, ..default() }),
        ("tcp_states", Filter { tcp_states: Some(TcpStates::NONE), ..default() }),
        ("tcp_states", states(0)),
        ("tcp_states", states(1 << 10)),
        ("labels", Filter { labels: Some(Masked { value: [1; 16], mask: [2; 16] }), ..default() }),
        ("helper", Filter { helper: Some(String::new()), ..default() }),
        ("helper", Filter { helper: Some("a-name-too-long!".into()), ..default() }),
        ("", Filter { exclude: true, ..default() }),
    ];
    let (mut conntrack, script) = on(&Table::new(&[udp(1)]));
    for (field, filter) in wrong {
        let good = all_ipv4();
        let errors = [
            conntrack.list(&[good.clone(), filter.clone()]).unwrap_err(),
            conntrack.dump_start(&[good.clone(), filter.clone()]).unwrap_err(),
            conntrack.delete(&[good, filter.clone()]).unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.errno(), libc::EINVAL, "{error}");
            assert!(error.to_string().starts_with(&named("filter[1]", field)), "{error}");
        }
        assert_eq!(conntrack.flush(&filter).unwrap_err().errno(), libc::EINVAL);
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn nothing_is_sent_when_a_delete_or_flush_would_take_everything() {
    let any_mark = Filter { mark: Some(Masked { value: 0, mask: 0 }), ..Filter::default() };
    let any_label = Filter { labels: Some(Masked { value: [0; 16], mask: [0; 16] }), ..Filter::default() };
    let excluding = Filter { exclude: true, ..all_ipv4() };
    let (mut conntrack, script) = on(&Table::new(&[udp(1)]));
    for filters in [
        vec![],
        vec![Filter::default()],
        vec![any_mark.clone()],
        vec![any_label],
        vec![excluding.clone()],
        vec![all_ipv4(), Filter::default()],
        vec![any_mark.clone(), excluding.clone()],
        // Entries can share an id.
        vec![Filter { id: Some(1), ..Filter::default() }],
        vec![all_ipv4(), Filter { id: Some(1), mark: any_mark.mark, ..Filter::default() }],
    ] {
        assert_eq!(conntrack.delete(&filters).unwrap_err().errno(), libc::EINVAL, "{filters:?}");
    }
    let address = Filter { orig_src: Some(ip("10.0.0.1").into()), ..Filter::default() };
    let protocol = Filter { proto: Some(Proto::UDP), ..Filter::default() };
    for scope in [Filter::default(), any_mark, excluding, address, protocol] {
        assert_eq!(conntrack.flush(&scope).unwrap_err().errno(), libc::EINVAL, "{scope:?}");
    }
    assert_eq!(conntrack.find_free_zone(std::ops::RangeInclusive::new(2, 1)).unwrap_err().errno(), libc::EINVAL);
    assert_eq!(script.requests(), []);
}

#[test]
fn a_filter_that_pins_a_prefix_of_no_bits_is_not_everything_but_its_family() {
    let all = Filter { orig_src: Some(Prefix { address: ip("0.0.0.0"), length: 0 }), ..Filter::default() };
    let table = Table::new(&[udp(1), udp6(1)]);
    let (mut conntrack, _) = on(&table);
    assert_eq!(conntrack.delete(&[all]).unwrap().done, 1);
    assert_eq!(table.entries(), [udp6(1)]);
}

#[test]
fn nothing_is_sent_after_a_wrong_entry_even_behind_a_thousand_right_ones() {
    let zoned = |has: Has, zone: u32, orig: u32, reply: u32| {
        let mut entry = new(&udp(1));
        entry.has |= has | Has::MARK;
        (entry.zone, entry.orig.zone, entry.reply.zone) = (zone, orig, reply);
        entry
    };
    let with = |change: &dyn Fn(&mut Entry)| {
        let mut entry = new(&udp(1));
        // So that there is something to update.
        entry.has |= Has::MARK;
        change(&mut entry);
        entry
    };
    let wrong = [
        ("", with(&|e| e.has |= Has::from_bits_retain(Has::KNOWN.bits() + 1))),
        ("", with(&|e| e.has |= Has::from_bits_retain(1 << 63))),
        ("reserved", with(&|e| e.reserved[0] = 1)),
        ("family", with(&|e| e.family = Family::UNSPEC)),
        ("family", with(&|e| e.family = Family(3))),
        ("orig.sport", with(&|e| e.has &= !Has::PORTS)),
        ("proto", with(&|e| (e.has, e.orig.sport, e.orig.dport) = (e.has & !Has::PORTS, 0, 0))),
        ("proto", with(&|e| e.proto = Proto::ICMP)),
        ("proto", with(&|e| e.proto = Proto(89))),
        ("proto", with(&|e| e.has |= Has::ICMP)),
        ("orig.src", with(&|e| e.orig.src[4] = 1)),
        ("orig.dst", with(&|e| e.orig.dst[15] = 1)),
        ("zone", zoned(Has::ZONE, 65536, 0, 0)),
        ("orig.zone", zoned(Has::ZONE, 1, 2, 1)),
        ("reply.zone", zoned(Has::ZONE, 1, 1, 2)),
        ("zone", zoned(Has::ORIG_ZONE, 1, 2, 0)),
        ("zone", zoned(Has::ZONE | Has::ORIG_ZONE, 1, 1, 0)),
    ];
    // What a key may have, since a later kernel may list it, but no new entry and no change.
    let wrong_values = [
        ("tcp_state", with(&|e| (e.has, e.tcp_state) = (e.has | Has::TCP_STATE, TcpState::SYN_SENT))),
        ("sctp_state", with(&|e| (e.has, e.sctp_state) = (e.has | Has::SCTP, 1))),
        ("helper", with(&|e| (e.has, e.helper) = (e.has | Has::HELPER, [b'a' as _; 16]))),
    ];
    let (mut conntrack, script) = on(&Table::new(&[udp(1)]));
    for (field, entry, key) in
        wrong.map(|(f, e)| (f, e, true)).into_iter().chain(wrong_values.map(|(f, e)| (f, e, false)))
    {
        let mut entries: Vec<Entry> = (0..1000).map(|port| with(&|e| e.orig.sport = port)).collect();
        entries.push(entry);
        let mut errors =
            vec![conntrack.create_entries(&entries).unwrap_err(), conntrack.update_entries(&entries).unwrap_err()];
        if key {
            errors.push(conntrack.delete_entries(&entries).unwrap_err());
        }
        for error in errors {
            assert_eq!(error.errno(), libc::EINVAL, "{error}");
            assert!(error.to_string().starts_with(&named("entry[1000]", field)), "{field}: {error}");
        }
        if !key {
            continue;
        }
        let error = conntrack.get(&entry).unwrap_err();
        assert!(error.errno() == libc::EINVAL && error.to_string().starts_with(&named("key", field)), "{error}");
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn nothing_is_sent_when_an_entry_lacks_what_its_operation_needs() {
    let (mut conntrack, script) = on(&Table::new(&[udp(1)]));
    let key = key_of(&udp(1));
    let with = |has: Has, change: &dyn Fn(&mut Entry)| {
        let mut entry = Entry { has: key.has | has, ..key };
        change(&mut entry);
        entry
    };
    let no_tuple = Entry { has: Has::ID, family: Family::IPV4, proto: Proto::UDP, id: 7, ..Entry::EMPTY };
    assert_eq!(conntrack.delete_entries(&[no_tuple]).unwrap_err().errno(), libc::EINVAL);
    assert_eq!(conntrack.delete_entries(&[Entry::EMPTY]).unwrap_err().errno(), libc::EINVAL);
    for wrong in [
        key,
        with(Has::TIMEOUT | Has::MARK | Has::MARK_MASK, &|e| e.timeout = 1),
        with(Has::TIMEOUT | Has::HELPER, &|e| e.timeout = 1),
        with(Has::TIMEOUT | Has::STATUS, &|e| (e.timeout, e.status) = (1, Status::SRC_NAT)),
    ] {
        assert_eq!(conntrack.create_entries(&[wrong]).unwrap_err().errno(), libc::EINVAL, "{:?}", wrong.has);
    }
    for wrong in
        [key, with(Has::MARK_MASK, &|e| e.mark_mask = 1), with(Has::TIMEOUT | Has::MARK_MASK, &|e| e.timeout = 1)]
    {
        assert_eq!(conntrack.update_entries(&[wrong]).unwrap_err().errno(), libc::EINVAL, "{:?}", wrong.has);
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn a_thousand_addresses_take_one_pass_over_the_table() {
    let table = Table::new(&(0..300).map(udp).collect::<Vec<_>>());
    let (mut conntrack, script) = on(&table);
    let address = |n: u32| IpAddr::V4(std::net::Ipv4Addr::from(0x0a00_0001 + n));
    let from = |n| Filter { orig_src: Some(address(n).into()), ..Filter::default() };
    let filters: Vec<Filter> = (0..1000).map(from).collect();
    // One of them is where all entries come from.
    assert_eq!(conntrack.delete(&filters).unwrap().done, 300);
    let dumps = script.requests().iter().filter(|request| request.flags & F_DUMP == F_DUMP).count();
    assert_eq!(dumps, 1);
    assert_eq!(table.entries(), []);
}
