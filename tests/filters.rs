//! Filters against a plain matcher, on a table with some of everything. What is listed is what the matcher takes,
//! through Rust, C and streams; what is deleted is that and nothing else, as the `conntrack` program sees it.

mod common;
use common::c::{c_filter, Handle};
use common::*;
use ctrack::*;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// What a filter means, as plainly as it can be said.
fn matches(f: &Filter, e: &Entry) -> bool {
    let bit_text = |address: IpAddr| match address {
        IpAddr::V4(v4) => format!("4{:032b}", u32::from(v4)),
        IpAddr::V6(v6) => format!("6{:0128b}", u128::from(v6)),
    };
    let within = |prefix: Option<Prefix>, address| match prefix {
        None => true,
        Some(p) => bit_text(address).starts_with(&bit_text(p.address)[..=usize::from(p.length)]),
    };
    let between = |range: &Option<RangeInclusive<u16>>, port: u16| match range {
        None => true,
        Some(range) => e.has(Has::PORTS) && *range.start() <= port && port <= *range.end(),
    };
    let zones = if e.orig.zone == 0 && e.reply.zone == 0 { vec![0] } else { vec![e.orig.zone, e.reply.zone] };
    let zone_holds = f.zone.is_none_or(|zone| match zone {
        0 => zones == [0],
        zone => zones.contains(&u32::from(zone)),
    });
    let labels_hold = f.labels.is_none_or(|l| (0..16).all(|at| e.labels[at] & l.mask[at] == l.value[at]));
    let icmp = e.has(Has::ICMP);
    f.family.is_none_or(|family| e.family == family)
        && f.proto.is_none_or(|proto| e.proto == proto)
        && zone_holds
        && f.orig_zone.is_none_or(|zone| in_zone(e, Has::ORIG_ZONE) == u32::from(zone))
        && f.reply_zone.is_none_or(|zone| in_zone(e, Has::REPLY_ZONE) == u32::from(zone))
        && f.id.is_none_or(|id| e.id() == Some(id))
        && f.mark.is_none_or(|mark| e.mark & mark.mask == mark.value)
        && (0..32).all(|bit| f.status_set.bits() >> bit & 1 == 0 || e.status.bits() >> bit & 1 == 1)
        && (0..32).all(|bit| f.status_clear.bits() >> bit & 1 == 0 || e.status.bits() >> bit & 1 == 0)
        && within(f.orig_src, e.orig_src())
        && within(f.orig_dst, e.orig_dst())
        && within(f.reply_src, e.reply_src())
        && within(f.reply_dst, e.reply_dst())
        && between(&f.orig_sport, e.orig.sport)
        && between(&f.orig_dport, e.orig.dport)
        && between(&f.reply_sport, e.reply.sport)
        && between(&f.reply_dport, e.reply.dport)
        && f.icmp_type.is_none_or(|value| icmp && e.orig.icmp_type == value)
        && f.icmp_code.is_none_or(|value| icmp && e.orig.icmp_code == value)
        && f.icmp_id.is_none_or(|value| icmp && e.orig.icmp_id == value)
        && f.tcp_states.is_none_or(|states| e.tcp_state().is_some_and(|state| states.bits() >> state.0 & 1 == 1))
        && labels_hold
        && f.helper.as_ref().is_none_or(|name| e.helper().as_ref() == Some(name))
}

/// The zone of one direction, by what the kernel sent: that of both, or that of this one.
fn in_zone(e: &Entry, own: Has) -> u32 {
    if e.has(Has::ZONE) || e.has(own) {
        e.zone
    } else {
        0
    }
}

fn selects(filters: &[Filter], e: &Entry) -> bool {
    let any = |exclude| filters.iter().any(|f| f.exclude == exclude && matches(f, e));
    (filters.iter().all(|f| f.exclude) || any(false)) && !any(true)
}

fn filter(change: impl FnOnce(&mut Filter)) -> Filter {
    let mut filter = Filter::default();
    change(&mut filter);
    filter
}

fn proto(number: Proto, change: impl FnOnce(&mut Filter)) -> Filter {
    filter(|f| {
        f.proto = Some(number);
        change(f);
    })
}

fn but(excluded: Filter) -> Filter {
    Filter { exclude: true, ..excluded }
}

fn labels(value: &[usize], mask: &[usize]) -> Filter {
    let bytes = |labels: &[usize]| {
        let mut bytes = [0; 16];
        labels.iter().for_each(|label| bytes[label / 8] |= 1 << (label % 8));
        bytes
    };
    filter(|f| f.labels = Some(Masked { value: bytes(value), mask: bytes(mask) }))
}

fn mark(value: u32, mask: u32) -> Filter {
    filter(|f| f.mark = Some(Masked { value, mask }))
}

fn status(set: Status, clear: Status) -> Filter {
    filter(|f| (f.status_set, f.status_clear) = (set, clear))
}

fn any() -> Filter {
    Filter::default()
}

/// Filter sets of which each selects some entries and not all.
fn sets() -> Vec<Vec<Filter>> {
    let mut sets: Vec<Vec<Filter>> = Vec::new();
    for family in [Family::IPV4, Family::IPV6] {
        sets.push(vec![filter(|f| f.family = Some(family))]);
    }
    for number in [1, 6, 17, 47, 58, 89, 132, 136, 253].map(Proto) {
        sets.push(vec![proto(number, |_| {})]);
    }
    sets.extend([0, 1, 7, 9, 65535].map(|number| vec![zone(number)]));
    zones_of_one_direction(&mut sets);
    sets.extend(
        [(0, u32::MAX), (0x10, 0x11), (0x11, 0x11), (1, 1), (0, 1), (u32::MAX, u32::MAX)]
            .map(|(v, m)| vec![mark(v, m)]),
    );
    for (set, clear) in [
        (Status::SEEN_REPLY, Status::empty()),
        (Status::empty(), Status::SEEN_REPLY),
        (Status::SEEN_REPLY, Status::ASSURED),
        (Status::SEEN_REPLY | Status::ASSURED, Status::FIXED_TIMEOUT),
        (Status::SRC_NAT, Status::empty()),
        (Status::DST_NAT, Status::SRC_NAT),
        (Status::CONFIRMED, Status::SRC_NAT | Status::DST_NAT),
        (Status::HELPER, Status::empty()),
    ] {
        sets.push(vec![status(set, clear)]);
    }
    addresses(&mut sets);
    ports(&mut sets);
    for (number, kind) in [(Proto::ICMP, 8), (Proto::ICMP, 13), (Proto::ICMPV6, 128), (Proto::ICMPV6, 139)] {
        sets.push(vec![proto(number, |f| f.icmp_type = Some(kind))]);
        sets.push(vec![proto(number, |f| (f.icmp_type, f.icmp_code, f.icmp_id) = (Some(kind), Some(0), Some(1)))]);
    }
    sets.extend([0, 1, 3333, 65535].map(|id| vec![proto(Proto::ICMP, |f| f.icmp_id = Some(id))]));
    sets.push(vec![proto(Proto::ICMPV6, |f| f.icmp_code = Some(5))]);
    sets.extend(
        [1, 1 << 3, 1 << 9, 0b11_0000_0110]
            .map(TcpStates::from_bits_retain)
            .map(|states| vec![proto(Proto::TCP, |f| f.tcp_states = Some(states))]),
    );
    sets.extend(
        [labels(&[0], &[0]), labels(&[64], &[1, 64, 127]), labels(&[], &[0, 1]), labels(&[127], &[127])]
            .map(|f| vec![f]),
    );
    sets.push(vec![filter(|f| f.helper = Some("ftp".into()))]);
    several(&mut sets);
    sets
}

fn zones_of_one_direction(sets: &mut Vec<Vec<Filter>>) {
    let of = |zone, orig_zone, reply_zone| Filter { zone, orig_zone, reply_zone, ..any() };
    for number in [0, 1, 7, 9, 65535] {
        sets.push(vec![of(None, Some(number), None)]);
        sets.push(vec![of(None, None, Some(number))]);
        sets.push(vec![of(None, Some(number), Some(number))]);
        sets.push(vec![of(Some(number), Some(number), None), but(proto(Proto::ICMP, |_| {}))]);
    }
    for number in [7, 9] {
        sets.push(vec![of(None, Some(number), Some(0))]);
        sets.push(vec![of(Some(number), None, Some(0))]);
    }
    sets.push(vec![of(None, Some(0), Some(7))]);
    sets.push(vec![of(Some(7), Some(0), None)]);
    sets.push(vec![zone(7), but(of(None, None, Some(0)))]);
    sets.push(vec![proto(Proto::UDP, |f| f.orig_zone = Some(7)), proto(Proto::TCP, |f| f.reply_zone = Some(0))]);
    // Whole tuples, which are looked up.
    for (port, orig_zone, reply_zone) in [
        (3000, Some(7), None),
        (3001, Some(7), None),
        (3002, Some(0), None),
        (3001, Some(7), Some(0)),
        (3002, None, Some(7)),
    ] {
        sets.push(vec![proto(Proto::UDP, |f| {
            (f.orig_src, f.orig_dst) = (Some(ip("10.0.0.1").into()), Some(ip("172.16.0.255").into()));
            (f.orig_sport, f.orig_dport) = (Some(port..=port), Some(53..=53));
            (f.orig_zone, f.reply_zone) = (orig_zone, reply_zone);
        })]);
    }
}

fn addresses(sets: &mut Vec<Vec<Filter>>) {
    let roles: [fn(&mut Filter) -> &mut Option<Prefix>; 4] =
        [|f| &mut f.orig_src, |f| &mut f.orig_dst, |f| &mut f.reply_src, |f| &mut f.reply_dst];
    for role in roles {
        for (v4, v6) in [
            ("0.0.0.0/0", "::/0"),
            ("8.0.0.0/5", "f800::/5"),
            ("10.0.0.0/8", "fd00::/8"),
            ("10.0.0.0/24", "fd00::/64"),
            ("10.0.0.0/25", "fd00::/65"),
            ("10.0.0.128/25", "fd00:0:0:0:8000::/65"),
            ("10.0.0.0/31", "fd00::/127"),
            ("10.0.0.1/32", "fd00::1/128"),
            ("192.168.1.1/32", "2001:db8::1/128"),
        ] {
            sets.push(vec![filter(|f| *role(f) = Some(net(v4)))]);
            sets.push(vec![filter(|f| *role(f) = Some(net(v6)))]);
            if v4 != "0.0.0.0/0" {
                sets.push(vec![filter(|f| *role(f) = Some(net(v4))), filter(|f| *role(f) = Some(net(v6)))]);
            }
        }
    }
    sets.push(vec![filter(|f| (f.orig_src, f.orig_dst) = (Some(net("10.0.0.0/8")), Some(net("192.168.0.0/16"))))]);
    sets.push(vec![filter(|f| (f.orig_dst, f.reply_src) = (Some(net("192.168.0.0/16")), Some(net("10.0.0.0/8"))))]);
}

fn ports(sets: &mut Vec<Vec<Filter>>) {
    for number in [Proto::TCP, Proto::UDP, Proto::UDPLITE] {
        for range in [0..=0, 53..=53, 0..=4000, 4000..=65535, 65535..=65535, 54..=6000] {
            for role in 0..4 {
                let set = |f: &mut Filter| {
                    let range = Some(range.clone());
                    match role {
                        0 => f.orig_sport = range,
                        1 => f.orig_dport = range,
                        2 => f.reply_sport = range,
                        _ => f.reply_dport = range,
                    }
                };
                sets.push(vec![proto(number, set)]);
            }
        }
    }
    sets.push(vec![proto(Proto::GRE, |f| f.orig_dport = Some(77..=77))]);
    sets.push(vec![proto(Proto::SCTP, |f| (f.orig_sport, f.reply_sport) = (Some(5000..=5000), Some(6000..=6000)))]);
}

/// Sets of several filters, including and excluding ones.
fn several(sets: &mut Vec<Vec<Filter>>) {
    let pod: Prefix = ip("10.0.0.1").into();
    let v4 = || filter(|f| f.family = Some(Family::IPV4));
    let dns = || proto(Proto::UDP, |f| f.orig_dport = Some(53..=53));
    sets.extend([
        vec![filter(|f| f.orig_src = Some(pod)), filter(|f| f.reply_src = Some(pod))],
        vec![v4(), but(proto(Proto::TCP, |_| {}))],
        vec![dns(), but(filter(|f| f.reply_src = Some(net("10.0.0.0/8")))), but(zone(7))],
        vec![zone(7), zone(65535), but(filter(|f| f.family = Some(Family::IPV6)))],
        vec![
            proto(Proto::TCP, |f| f.tcp_states = Some(TcpStates::ESTABLISHED)),
            but(status(Status::DST_NAT, Status::empty())),
        ],
        vec![mark(0xff, u32::MAX), mark(0x10, 0xfff), proto(Proto(253), |_| {})],
        vec![zone(0), but(zone(0)), zone(7)],
        vec![filter(|f| (f.zone, f.proto, f.family) = (Some(7), Some(Proto::UDP), Some(Family::IPV6)))],
        vec![v4(), v4(), dns(), but(labels(&[0], &[0]))],
    ]);
}

/// Sets that `delete` refuses: they are for lists only.
fn sets_for_lists() -> Vec<Vec<Filter>> {
    vec![
        vec![but(zone(7))],
        vec![but(zone(0)), but(proto(Proto::UDP, |_| {}))],
        vec![any(), but(filter(|f| f.family = Some(Family::IPV4)))],
        vec![mark(0, 0), but(status(Status::SEEN_REPLY, Status::empty()))],
    ]
}

fn filled() -> (Conntrack, Vec<Entry>) {
    table::allow_labels();
    let mut conntrack = Conntrack::open().unwrap();
    create(&mut conntrack, &table::mixed());
    let full = all(&mut conntrack);
    assert_eq!(identities(&full), identities(&table::mixed()));
    assert_eq!(ids(&full), cli_ids(&[]));
    (conntrack, full)
}

fn expected(full: &[Entry], set: &[Filter]) -> BTreeSet<u32> {
    ids(full.iter().filter(|entry| selects(set, entry)))
}

#[test]
fn the_table_keeps_what_the_filters_are_about() {
    netns(|| {
        let (_, full) = filled();
        for (what, bits) in [
            ("labels", Has::LABELS),
            ("a helper", Has::HELPER),
            ("a zone", Has::ZONE),
            ("a zone of the original direction", Has::ORIG_ZONE),
            ("a zone of the reply direction", Has::REPLY_ZONE),
            ("an SCTP state", Has::SCTP),
        ] {
            assert!(full.iter().any(|entry| entry.has(bits)), "no entry has {what}");
        }
        for bit in [Status::SRC_NAT, Status::DST_NAT, Status::ASSURED, Status::FIXED_TIMEOUT] {
            assert!(full.iter().any(|entry| entry.status.intersects(bit)), "no entry has status {bit:#x}");
        }
    });
}

#[test]
fn lists_and_streams_hold_exactly_what_a_plain_matcher_takes() {
    netns(|| {
        let (mut conntrack, full) = filled();
        let handle = Handle::open();
        let mut nothing = Vec::new();
        for set in sets().into_iter().chain(sets_for_lists()) {
            let expected = expected(&full, &set);
            assert!(expected.len() < full.len(), "{set:?} says nothing");
            if expected.is_empty() {
                nothing.push(set.clone());
            }
            assert_eq!(ids(&conntrack.list(&set).unwrap()), expected, "list {set:?}");
            let streamed: Vec<_> = conntrack.stream(&set).unwrap().map(|entry| entry.unwrap()).collect();
            assert_eq!(ids(&streamed), expected, "stream {set:?}");
            let c: Vec<_> = set.iter().map(c_filter).collect();
            assert_eq!(ids(&handle.list(&c).unwrap()), expected, "ct_list {set:?}");
            handle.dump_start(&c).unwrap();
            assert_eq!(ids(&handle.dump_rest(7).unwrap()), expected, "ct_dump_next {set:?}");
        }
        // Nearly all of them must have something to find, or this says little.
        assert!(nothing.len() * 8 < sets().len(), "{} of {} select nothing: {nothing:#?}", nothing.len(), sets().len());
    });
}

#[test]
fn an_id_and_another_field_take_the_one_entry_that_has_both() {
    netns(|| {
        let (mut conntrack, full) = filled();
        let handle = Handle::open();
        let mut left = cli_ids(&[]);
        for (at, entry) in full.iter().step_by(7).enumerate() {
            let filter = |id| match at % 4 {
                0 => filter(|f| (f.id, f.zone) = (Some(id), Some(entry.zone as u16))),
                1 => proto(entry.proto, |f| f.id = Some(id)),
                2 => filter(|f| (f.id, f.orig_src) = (Some(id), Some(entry.orig_src().into()))),
                _ => filter(|f| (f.id, f.reply_dst) = (Some(id), Some(entry.reply_dst().into()))),
            };
            let right = filter(entry.id);
            for wrong in [
                filter(entry.id ^ 1),
                filter(entry.id.swap_bytes()),
                Filter {
                    family: Some(Family(Family::IPV4.0 + Family::IPV6.0 - entry.family.0)),
                    id: Some(entry.id),
                    ..any()
                },
                Filter { mark: Some(Masked { value: !entry.mark, mask: u32::MAX }), ..right.clone() },
            ] {
                assert_eq!(conntrack.list(std::slice::from_ref(&wrong)).unwrap(), [], "{wrong:?} for {entry:?}");
                assert_eq!(conntrack.delete(&[wrong]).unwrap().matched, 0);
            }
            let alone = Filter { id: Some(entry.id), ..any() };
            for listed in [&right, &alone] {
                assert_eq!(ids(&conntrack.list(std::slice::from_ref(listed)).unwrap()), [entry.id].into());
                assert_eq!(ids(&handle.list(&[c_filter(listed)]).unwrap()), [entry.id].into());
            }
            let outcome = conntrack.delete(&[right]).unwrap();
            assert_eq!((outcome.matched, outcome.done, outcome.uncounted), (1, 1, false), "{entry:?}");
            left.remove(&entry.id);
            assert_eq!(cli_ids(&[]), left, "{entry:?}");
        }
        assert!(left.len() + 10 < full.len());
    });
}

#[test]
fn an_excluding_id_spares_its_entry() {
    netns(|| {
        let (mut conntrack, full) = filled();
        let spared: Vec<_> = full.iter().filter(|entry| entry.zone == 7).take(2).collect();
        let ids_of: Vec<_> = spared.iter().map(|entry| but(filter(|f| f.id = Some(entry.id)))).collect();
        let in_zone_7 = expected(&full, &[zone(7)]);
        let outcome = conntrack.delete(&[&[zone(7)], &ids_of[..]].concat()).unwrap();
        assert_eq!(outcome.done, in_zone_7.len() as u64 - 2);
        let kept = &(&ids(&full) - &in_zone_7) | &ids(spared);
        assert_eq!(cli_ids(&[]), kept);
    });
}

/// What the kernel could be asked to delete by itself: it takes the zone of any direction, and no id.
#[test]
fn an_uncounted_delete_by_zone_of_one_direction_or_id_is_left_to_the_counted_way() {
    netns(|| {
        let (mut conntrack, full) = filled();
        let some = *full.iter().find(|entry| entry.has(Has::ZONE)).unwrap();
        for filter in [
            filter(|f| f.orig_zone = Some(9)),
            filter(|f| (f.orig_zone, f.reply_zone) = (Some(7), Some(7))),
            filter(|f| (f.zone, f.reply_zone) = (Some(7), Some(0))),
            filter(|f| (f.zone, f.id) = (Some(some.zone as u16), Some(some.id))),
        ] {
            let before = all(&mut conntrack);
            let expected = expected(&before, std::slice::from_ref(&filter));
            let outcome = conntrack.delete_uncounted(std::slice::from_ref(&filter)).unwrap();
            assert_eq!(cli_ids(&[]), &ids(&before) - &expected, "{filter:?}");
            assert_eq!((outcome.uncounted, outcome.done), (false, expected.len() as u64), "{filter:?}");
        }
    });
}

#[test]
fn deletes_take_exactly_what_a_plain_matcher_takes() {
    netns(|| {
        let (mut conntrack, mut full) = filled();
        for set in sets() {
            let expected = expected(&full, &set);
            let before = ids(&full);
            let outcome = conntrack.delete(&set).unwrap();
            let after = cli_ids(&[]);
            assert_eq!(&before - &after, expected, "{set:?}");
            assert!(after.is_subset(&before), "{set:?}");
            let count = expected.len() as u64;
            assert_eq!((outcome.matched, outcome.done, outcome.gone, outcome.failed), (count, count, 0, 0), "{set:?}");
            // Made again for the next set.
            let deleted: Vec<_> = full.into_iter().filter(|entry| expected.contains(&entry.id)).collect();
            create(&mut conntrack, &deleted);
            full = all(&mut conntrack);
            assert_eq!(identities(&full), identities(&table::mixed()), "after {set:?}");
        }
    });
}

#[test]
fn a_scoped_flush_removes_exactly_its_scope() {
    netns(|| {
        let (mut conntrack, _) = filled();
        let handle = Handle::open();
        let in_zone_7 =
            || &(&cli_ids(&["-w", "7"]) | &cli_ids(&["--orig-zone", "7"])) | &cli_ids(&["--reply-zone", "7"]);
        let scopes: [(Filter, &dyn Fn() -> BTreeSet<u32>); 8] = [
            (filter(|f| f.family = Some(Family::IPV4)), &|| cli_ids(&["-f", "ipv4"])),
            (filter(|f| f.family = Some(Family::IPV6)), &|| cli_ids(&["-f", "ipv6"])),
            (zone(7), &in_zone_7),
            (zone(65535), &|| cli_ids(&["-w", "65535"])),
            (mark(1, 1), &|| cli_ids(&["-m", "1/1"])),
            (mark(u32::MAX, u32::MAX), &|| cli_ids(&["-m", "0xffffffff"])),
            (status(Status::ASSURED, Status::empty()), &|| cli_ids(&["-u", "ASSURED"])),
            (filter(|f| (f.zone, f.family) = (Some(7), Some(Family::IPV6))), &|| {
                &in_zone_7() & &cli_ids(&["-f", "ipv6"])
            }),
        ];
        for (scope, witness) in scopes {
            for through_c in [false, true] {
                conntrack.flush_all().unwrap();
                create(&mut conntrack, &table::mixed());
                let (before, scoped) = (cli_ids(&[]), witness());
                assert!(!scoped.is_empty() && scoped.len() < before.len(), "{scope:?}");
                assert_eq!(scoped, expected(&all(&mut conntrack), std::slice::from_ref(&scope)), "{scope:?}");
                if through_c {
                    assert_eq!(handle.flush(Some(&c_filter(&scope)), 0), 0, "{}", handle.error());
                } else {
                    let outcome = conntrack.flush(&scope).unwrap();
                    // Where the kernel does it alone it does not count.
                    let done = if outcome.uncounted { 0 } else { scoped.len() as u64 };
                    assert_eq!((outcome.done, outcome.failed), (done, 0));
                }
                assert_eq!(cli_ids(&[]), &before - &scoped, "{scope:?}");
            }
        }
    });
}
