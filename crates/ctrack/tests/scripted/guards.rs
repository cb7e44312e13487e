//! What single guards are there for, each with the one case in which it matters.

use super::chance::pinning;
use super::kernel::filtering::{has_filter, is_probe, Honours, Wanted};
use super::kernel::*;
use super::operations::new;
use super::transport::{Event, Request};
use super::*;

/// So many entries more than there are make every plan worth its while.
const MANY: u32 = 1_000_000;

fn is_dump(request: &Request) -> bool {
    request.kind == GET && request.flags & F_DUMP == F_DUMP && !is_probe(request)
}

fn is_flush(request: &Request) -> bool {
    request.kind == DELETE && has_filter(request) && Wanted::read(Honours::ALL, request).is_ok()
}

fn by_mark(value: u32) -> Filter {
    Filter { mark: Some(Masked { value, mask: u32::MAX }), ..Filter::default() }
}

fn marked(port: u16, mark: u32) -> Entry {
    Entry { mark, ..udp(port) }
}

/// A handle on a table that changes once, right behind the first request of a kind.
fn changing(
    table: &Table,
    behind: impl Fn(&Request) -> bool + Send + 'static,
    change: impl Fn(&mut Entry) + Send + 'static,
) -> (Conntrack, Script) {
    let (kernel, mut changed) = (table.clone(), false);
    let script = Script::new(move |_, requests| {
        let answers = kernel.answer(requests);
        if behind(&requests[0]) && !changed {
            changed = true;
            kernel.change(|entries| entries.iter_mut().for_each(&change));
        }
        answers
    });
    (over(&script), script)
}

fn named(name: &str) -> [std::ffi::c_char; 16] {
    let mut helper = [0; 16];
    helper.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from as _);
    helper
}

#[test]
fn an_entry_that_moves_from_one_filter_to_another_while_they_are_dumped_is_listed_once() {
    let other = |condition: &'static str| match condition {
        "mark" => by_mark(2),
        "status" => Filter { status_clear: Status::ASSURED, ..Filter::default() },
        "TCP state" => Filter { tcp_states: Some(TcpStates::FIN_WAIT), proto: Some(Proto::TCP), ..Filter::default() },
        "labels" => Filter { labels: Some(Masked { value: [0; 16], mask: [1; 16] }), ..Filter::default() },
        _ => Filter { helper: Some("sip".into()), ..Filter::default() },
    };
    for (what, first, set) in what_changes() {
        let second = other(what);
        for begins_with_first in [true, false] {
            let mut entry = listed(Entry::key(Proto::TCP, ip("10.0.0.1"), 1, ip("10.0.0.2"), 2).unwrap(), 1);
            entry.has |= Has::TCP_STATE | Has::LABELS | Has::HELPER;
            (entry.tcp_state, entry.helper) = (TcpState::SYN_SENT, named("other"));
            set(&mut entry, begins_with_first);
            let table = Table::of(Honours::ALL, &[entry]).claiming(MANY);
            let change = move |entry: &mut Entry| set(entry, !begins_with_first);
            let (mut conntrack, _) = changing(&table, is_dump, change);
            // One dump for each would be the cheapest.
            let filters = [
                Filter { orig_src: Some(ip("10.0.0.1").into()), ..first.clone() },
                Filter { orig_dst: Some(ip("10.0.0.2").into()), ..second.clone() },
            ];
            assert_eq!(conntrack.list(&filters).unwrap().len(), 1, "{what}, {begins_with_first}");
        }
    }
}

#[test]
fn an_entry_that_moves_from_one_filter_to_another_while_they_are_flushed_is_deleted() {
    let table = Table::of(Honours::ALL, &[marked(1, 2)]).claiming(MANY);
    let (mut conntrack, _) = changing(&table, is_flush, |entry| entry.mark = 1);
    let _ = conntrack.delete_uncounted(&[by_mark(1), by_mark(2)]).unwrap();
    assert_eq!(table.entries(), []);
}

#[test]
fn where_start_times_are_to_be_compared_the_kernel_is_not_told_to_flush() {
    let table = Table::of(Honours::ALL, &[marked(1, 7)]).claiming(MANY);
    let (mut conntrack, script) = on(&table);
    conntrack.compare_start(true);
    let _ = conntrack.delete_uncounted(&[by_mark(7)]).unwrap();
    let _ = conntrack.flush(&by_mark(7)).unwrap();
    assert_eq!(script.requests().iter().filter(|request| is_flush(request)).count(), 0);
    conntrack.compare_start(false);
    let _ = conntrack.flush(&by_mark(7)).unwrap();
    assert_eq!(script.requests().iter().filter(|request| is_flush(request)).count(), 1);
}

#[test]
fn an_entry_like_the_impossible_tuple_of_probe_and_guard_is_left_alone() {
    // Protocol 0 from and to nowhere: not even this kernel takes it for a filter, but for a key.
    let zero = ip("0.0.0.0");
    let mut odd = listed(Entry::key(Proto(0), zero, 0, zero, 0).unwrap(), 9);
    odd.has &= !Has::PORTS;
    let table = Table::of(Honours { flush: false, ..Honours::ALL }, &[odd, marked(1, 7)]);
    let (mut conntrack, script) = on(&table);
    let scope = Filter { family: Some(Family::IPV4), ..by_mark(7) };
    let _ = conntrack.flush(&scope).unwrap();
    assert_eq!(table.entries(), [odd]);
    assert_eq!(script.requests().iter().filter(|request| is_flush(request)).count(), 1, "it was tried");
}

#[test]
fn a_kernel_that_is_busy_says_nothing_of_what_it_honours_and_is_asked_again() {
    for errno in [libc::EBUSY, libc::ENOBUFS, libc::ENOMEM, libc::EINTR] {
        for honours in [Honours::default(), Honours::ALL] {
            let (kernel, mut busy) = (Table::of(honours, &[udp(1), udp6(1)]).claiming(MANY), 3);
            let script = Script::new(move |_, requests| {
                if is_probe(&requests[0]) && busy > 0 {
                    busy -= 1;
                    return vec![datagram(&[ack(&requests[0], errno)])];
                }
                kernel.answer(requests)
            });
            let mut conntrack = over(&script);
            let filters = [Filter { orig_src: Some(ip("10.0.0.1").into()), ..by_mark(0) }];
            let caps = |conntrack: &mut Conntrack| {
                let caps = conntrack.explain(&filters).unwrap().caps;
                (caps.zone, caps.status, caps.tuple)
            };
            assert_eq!(caps(&mut conntrack), (false, false, false), "{errno}");
            let knows = honours.zone;
            assert_eq!(caps(&mut conntrack), (knows, knows, knows), "{errno}");
        }
    }
}

#[test]
fn a_filtered_dump_that_fails_in_its_midst_is_an_error_and_not_begun_anew() {
    let table = Table::of(Honours::ALL, &(0..300).map(|port| marked(port, 7)).collect::<Vec<_>>()).claiming(MANY);
    let mut failed = false;
    let script = Script::new(move |_, requests| {
        let mut events = table.answer(requests);
        if is_dump(&requests[0]) && !failed {
            failed = true;
            events.pop();
            events.push(datagram(&[done(&requests[0], libc::EIO)]));
        }
        events
    });
    assert_eq!(over(&script).list(&[by_mark(7)]).unwrap_err().errno(), libc::EIO);
}

#[test]
fn an_excluding_filter_keeps_the_kernel_from_flushing() {
    let table = Table::of(Honours::ALL, &[marked(1, 7), marked(2, 7), marked(3, 8)]).claiming(MANY);
    let spared = Filter { exclude: true, proto: Some(Proto::UDP), ..pin(1, 53) };
    let outcome = on(&table).0.delete_uncounted(&[by_mark(7), spared]).unwrap();
    assert_eq!((outcome.done, outcome.uncounted), (1, false));
    assert_eq!(table.entries(), [marked(1, 7), marked(3, 8)]);
}

/// A condition, and how an entry comes to meet it (`true`) or not.
type Condition = (&'static str, Filter, fn(&mut Entry, bool));

/// One for everything that changes while an entry lives.
fn what_changes() -> [Condition; 5] {
    let none = Filter::default;
    [
        ("mark", by_mark(1), |e, holds| e.mark = if holds { 1 } else { 2 }),
        ("status", Filter { status_set: Status::ASSURED, ..none() }, |e, holds| {
            e.status = if holds { Status::CONFIRMED | Status::ASSURED } else { Status::CONFIRMED }
        }),
        (
            "TCP state",
            Filter { tcp_states: Some(TcpStates::ESTABLISHED), proto: Some(Proto::TCP), ..none() },
            |e, holds| e.tcp_state = if holds { TcpState::ESTABLISHED } else { TcpState::FIN_WAIT },
        ),
        ("labels", Filter { labels: Some(Masked { value: [1; 16], mask: [1; 16] }), ..none() }, |e, holds| {
            e.labels = [u8::from(holds); 16]
        }),
        ("helper", Filter { helper: Some("ftp".into()), ..none() }, |e, holds| {
            e.helper = named(if holds { "ftp" } else { "sip" })
        }),
    ]
}

#[test]
fn an_entry_that_is_not_selected_any_more_when_its_turn_comes_is_spared() {
    for (what, filter, set) in what_changes() {
        let mut entry = listed(Entry::key(Proto::TCP, ip("10.0.0.1"), 1, ip("10.0.0.2"), 2).unwrap(), 1);
        entry.has |= Has::TCP_STATE | Has::LABELS | Has::HELPER;
        (entry.tcp_state, entry.helper) = (TcpState::SYN_SENT, named("other"));
        set(&mut entry, true);
        let table = Table::new(&[entry]);
        let (mut conntrack, _) = changing(&table, is_dump, move |entry| set(entry, false));
        let outcome = conntrack.delete(&[filter]).unwrap();
        assert_eq!((outcome.matched, outcome.done, outcome.spared), (1, 0, 1), "{what}");
        assert_eq!(table.entries().len(), 1, "{what}");
    }
}

#[test]
fn an_entry_that_only_a_dump_shows_is_spared_too_if_it_is_not_selected_any_more() {
    let (_, entries) = hidden();
    let table = Table::new(&entries);
    table.change(|entries| entries[0].mark = 7);
    let (mut conntrack, _) = changing(&table, is_dump, |entry| entry.mark = 0);
    let outcome = conntrack.delete(&[by_mark(7)]).unwrap();
    assert_eq!((outcome.matched, outcome.spared, outcome.failed), (1, 1, 0));
    assert_eq!(table.entries().len(), entries.len());
}

#[test]
fn a_successor_that_only_a_dump_shows_is_not_the_entry_and_a_disturbed_dump_says_nothing() {
    let (target, entries) = hidden();
    for disturbed in [false, true] {
        let table = Table::new(&entries);
        if !disturbed {
            table.change(|entries| entries[0].id += 1);
        }
        let (kernel, mut dumps) = (table.clone(), 0);
        let script = Script::new(move |_, requests| {
            let mut events = kernel.answer(requests);
            if is_dump(&requests[0]) && disturbed {
                dumps += 1;
                if dumps == 1 {
                    // It was seen, and is gone when the dump is made again.
                    kernel.change(|entries| {
                        entries.remove(0);
                    });
                    events.pop();
                    events.push(datagram(&[done(&requests[0], libc::EINTR)]));
                }
            }
            events
        });
        let result = over(&script).delete_entries(&[target]).unwrap();
        assert_eq!(result.status(), [-libc::ENOENT], "disturbed: {disturbed}");
        assert_eq!(table.entries().len(), entries.len() - usize::from(disturbed));
    }
}

#[test]
fn an_entry_that_is_its_own_mirror_image_is_not_taken_for_a_successor_with_another_reply() {
    let address = ip("10.0.0.1");
    let own = listed(Entry::key(Proto::UDP, address, 7, address, 7).unwrap(), 5);
    let mut successor = own;
    successor.reply.dport = 8;
    let table = Table::new(&[successor]);
    assert_eq!(on(&table).0.delete_entries(&[own]).unwrap().status(), [-libc::ENOENT]);
    assert_eq!(table.entries(), [successor]);
}

#[test]
fn entries_whose_tuples_are_mirror_images_in_the_zones_of_their_directions_are_all_found() {
    let address = ip("10.0.0.1");
    let zoned = |bit, id| {
        let mut entry = listed(Entry::key(Proto::UDP, address, 7, address, 7).unwrap(), id);
        (entry.has, entry.zone) = (entry.has | bit, 7);
        *(if bit == Has::ORIG_ZONE { &mut entry.orig.zone } else { &mut entry.reply.zone }) = 7;
        entry
    };
    let (one, two) = (zoned(Has::ORIG_ZONE, 1), zoned(Has::REPLY_ZONE, 2));
    for order in [[one, two], [two, one]] {
        let table = Table::new(&order);
        for entry in order {
            assert_eq!(on(&table).0.get(&entry), Ok(Some(entry)));
            let mut key = key_of(&entry);
            (key.has, key.zone) = (key.has | entry.has & Has::REPLY_ZONE, entry.zone);
            key.reply.zone = entry.reply.zone;
            assert_eq!(on(&table).0.get(&key), Ok(Some(entry)), "by its original tuple alone");
        }
        assert_eq!(on(&table).0.list(&[pinning(&one)]).unwrap(), order);
        let outcome = on(&table).0.delete(&[pinning(&one)]).unwrap();
        assert_eq!((outcome.matched, outcome.done), (2, 2));
        assert_eq!(table.entries(), []);
    }
}

#[test]
fn what_the_first_batch_told_stays_when_the_second_cannot_be_sent() {
    let entries: Vec<Entry> = (0..300).map(udp).collect();
    let (mut conntrack, script) = on(&Table::new(&entries));
    script.state().send_errors = [0, libc::EIO].into();
    let wanted: Vec<Entry> = entries.iter().map(new).collect();
    let result = conntrack.create_entries(&wanted).unwrap();
    assert_eq!(result.status()[..256], [-libc::EEXIST; 256]);
    assert_eq!(result.status()[256..], [-libc::EIO; 44]);
    assert_eq!((result.outcome.done, result.outcome.failed), (0, 300));
}

#[test]
fn new_entries_are_confirmed_whatever_status_is_asked_for() {
    let (mut conntrack, script) = on(&Table::new(&[]));
    let entry = Entry { has: new(&udp(1)).has | Has::STATUS, status: Status::ASSURED, ..new(&udp(1)) };
    let _ = conntrack.create_entries(&[entry]).unwrap();
    let sent = attrs(&script.requests()[0].payload[4..]).into_iter().find(|(kind, _)| *kind == 3).expect("a status");
    assert_eq!(sent.1, (Status::ASSURED | Status::CONFIRMED).bits().to_be_bytes());
}

#[test]
fn what_only_one_of_many_filters_names_is_not_asked_for_all_of_them() {
    let default = Filter::default;
    let tcp = |sport, dport| {
        let key = Entry::key(Proto::TCP, ip("10.0.0.1"), sport, ip("10.0.0.2"), dport).unwrap();
        listed(key, u32::from(sport) * 100 + u32::from(dport))
    };
    let echo = |code, id| listed(Entry::icmp_key(ip("10.0.0.1"), ip("10.0.0.2"), 8, code, id).unwrap(), id.into());
    let family = Some(Family::IPV4);
    let (of_tcp, of_icmp) = (Some(Proto::TCP), Some(Proto::ICMP));
    let ports = |sport: u16, dport: u16| Filter { family, proto: of_tcp, ..pin(sport, dport) };
    let icmp = |code, id| Filter { family, proto: of_icmp, icmp_code: Some(code), icmp_id: Some(id), ..default() };
    let (one, two) = (Some(ip("10.0.0.1").into()), Some(ip("10.0.0.2").into()));
    let cases: [(&str, [Filter; 2], [Entry; 2]); 8] = [
        ("source ports", [ports(1, 2), ports(3, 2)], [tcp(1, 2), tcp(3, 2)]),
        ("destination ports", [ports(1, 2), ports(1, 3)], [tcp(1, 2), tcp(1, 3)]),
        ("ICMP codes", [icmp(1, 7), icmp(2, 7)], [echo(1, 7), echo(2, 7)]),
        ("ICMP ids", [icmp(1, 7), icmp(1, 8)], [echo(1, 7), echo(1, 8)]),
        (
            "protocols",
            [Filter { family, proto: of_tcp, ..default() }, Filter { family, proto: of_icmp, ..default() }],
            [tcp(1, 2), echo(1, 7)],
        ),
        (
            "families",
            [Filter { family, ..default() }, Filter { family: Some(Family::IPV6), ..default() }],
            [udp(1), udp6(1)],
        ),
        ("marks", [by_mark(1), by_mark(2)], [marked(1, 1), marked(2, 2)]),
        (
            "addresses",
            [Filter { orig_src: one, ..default() }, Filter { orig_dst: two, ..default() }],
            [udp(1), listed(Entry::key(Proto::UDP, ip("10.0.0.9"), 1, ip("10.0.0.2"), 53).unwrap(), 9)],
        ),
    ];
    for (what, [first, second], entries) in cases {
        // So many that one dump has to do for all.
        let mut filters = vec![first];
        filters.extend(std::iter::repeat_n(second, 12));
        let (mut conntrack, script) = on(&Table::of(Honours::ALL, &entries).claiming(MANY));
        assert_eq!(conntrack.list(&filters).unwrap(), entries, "{what}");
        assert_eq!(script.requests().iter().filter(|request| is_dump(request)).count(), 1, "{what}");
    }
}

fn pin(sport: u16, dport: u16) -> Filter {
    Filter { orig_sport: Some(sport..=sport), orig_dport: Some(dport..=dport), ..Filter::default() }
}

/// An entry of a zone, and all with it: others, newer ones, have its tuples in their other directions, so that they answer to all
/// its names.
pub fn hidden() -> (Entry, [Entry; 4]) {
    let target = listed(key_of(&udp(1)).in_zone(5), 42);
    let mut mirror = udp(2);
    (mirror.orig, mirror.reply) = (target.reply, udp(77).orig);
    (mirror.has, mirror.zone, mirror.orig.zone, mirror.reply.zone) = (mirror.has | Has::ORIG_ZONE, 5, 5, 0);
    let mut reversed = udp(3);
    (reversed.orig, reversed.reply) = (udp(78).orig, target.orig);
    (reversed.has, reversed.zone, reversed.orig.zone, reversed.reply.zone) = (reversed.has | Has::REPLY_ZONE, 5, 0, 5);
    // In zone 0, which a name with CTA_TUPLE_ZONE may lead to.
    let mut ordinary = udp(4);
    (ordinary.orig, ordinary.reply) = (udp(1).reply, udp(1).orig);
    (target, [target, mirror, reversed, ordinary])
}

#[test]
fn an_entry_that_no_look_up_finds_is_found_by_a_dump_of_every_family_and_nothing_comes_twice() {
    let (target, entries) = hidden();
    let (v6, v4) = (listed(key_of(&udp6(9)).in_zone(5), 6), listed(key_of(&udp(9)).in_zone(5), 9));
    let entries = [&entries[..], &[v6, v4]].concat();
    let table = Table::new(&entries);
    for others in [vec![], vec![v4], vec![v6], vec![v6, v4]] {
        let mut wanted = others.clone();
        wanted.push(target);
        let filters: Vec<Filter> = wanted.iter().map(pinning).collect();
        let (mut conntrack, script) = on(&table);
        let mut found = conntrack.list(&filters).unwrap();
        found.sort_by_key(|entry| wanted.iter().position(|one| one == entry));
        assert_eq!(found, wanted);
        assert_eq!(script.requests().iter().filter(|request| is_dump(request)).count(), 1);
    }
}

#[test]
fn a_tuple_that_is_wanted_with_and_without_a_zone_is_looked_up_for_both() {
    // In zone 0 as its original tuple, and its reply in a zone; another one of zone 0 has it as its reply tuple, and answers first.
    let mut target = udp(1);
    (target.has, target.zone, target.reply.zone) = (target.has | Has::REPLY_ZONE, 5, 5);
    let mut other = udp(2);
    (other.orig, other.reply) = (udp(77).orig, udp(1).orig);
    let filters = [pinning(&udp(1)), pinning(&target)];
    for order in [[target, other], [other, target]] {
        let (mut conntrack, _) = on(&Table::new(&order));
        assert_eq!(conntrack.list(&filters).unwrap(), [target]);
    }
}

#[test]
fn what_is_looked_up_is_compared_with_the_whole_filter_too() {
    let (mut conntrack, script) = on(&Table::new(&[marked(1, 7), marked(2, 8)]));
    let filters = [1, 2].map(|port| Filter { mark: by_mark(7).mark, ..pinning(&udp(port)) });
    assert_eq!(conntrack.list(&filters).unwrap(), [marked(1, 7)]);
    assert_eq!(script.count_of(GET), script.requests().len(), "looked up");
    assert_eq!(script.requests().iter().filter(|request| is_dump(request)).count(), 0);
}

#[test]
fn a_key_means_only_the_entry_with_all_that_it_names() {
    let started = |port: u16, start_ns| Entry { has: udp(port).has | Has::START, start_ns, ..udp(port) };
    let table = Table::new(&[started(1, 100), udp(2)]);
    let (mut conntrack, _) = on(&table);
    let mut other_reply = udp(2);
    other_reply.reply.dport += 1;
    let mut other_orig = udp(2);
    other_orig.orig.sport += 1;
    let other_zone = listed(key_of(&udp(2)).in_zone(7), 2);
    for (key, found) in [
        (started(1, 100), true),
        (udp(1), true),
        (started(1, 101), false),
        (started(2, 100), false),
        (other_reply, false),
        (other_orig, false),
        (other_zone, false),
    ] {
        assert_eq!(conntrack.get(&key).unwrap().is_some(), found, "{key:?}");
    }
    // A name that leads to an entry with another reply tuple, or with its zone for one direction only.
    let one_way = |port: u16, bit| {
        let mut entry = udp(port);
        (entry.has, entry.zone) = (entry.has | bit, 5);
        *(if bit == Has::ORIG_ZONE { &mut entry.orig.zone } else { &mut entry.reply.zone }) = 5;
        entry
    };
    let (by_orig, by_reply) = (one_way(3, Has::ORIG_ZONE), one_way(4, Has::REPLY_ZONE));
    let (mut others, _) = on(&Table::new(&[by_orig, by_reply]));
    let mut other_reply = Entry { has: by_orig.has & !Has::ID, id: 0, ..by_orig };
    assert!(others.get(&other_reply).unwrap().is_some());
    other_reply.reply.dport += 1;
    assert_eq!(others.get(&other_reply), Ok(None));
    let mut both_ways = listed(udp(4).in_zone(5), 4);
    (both_ways.has, both_ways.id) = (both_ways.has & !Has::ID, 0);
    assert_eq!(others.get(&both_ways), Ok(None));
    // With the start compared, an entry that was listed without one is not the one that has one now.
    conntrack.compare_start(true);
    assert_eq!(conntrack.delete_entries(&[udp(1), started(2, 100)]).unwrap().status(), [-libc::ENOENT; 2]);
    assert_eq!(table.entries().len(), 2);
    assert_eq!(conntrack.delete_entries(&[started(1, 100), udp(2)]).unwrap().status(), [0; 2]);
}

#[test]
fn a_delete_of_all_that_is_confirmed_is_one_of_everything_and_refused() {
    let (mut conntrack, script) = on(&Table::new(&[udp(1)]));
    let all = Filter { status_set: Status::CONFIRMED, ..Filter::default() };
    assert_eq!(conntrack.delete(std::slice::from_ref(&all)).unwrap_err().errno(), libc::EINVAL);
    assert_eq!(conntrack.flush(&all).unwrap_err().errno(), libc::EINVAL);
    assert_eq!(script.requests(), []);
}

#[test]
fn an_update_that_the_kernel_would_do_by_half_is_refused_before_anything_is_sent() {
    let with = |port: u16, status| Entry { status: Status::CONFIRMED | status, ..udp(port) };
    let table = Table::new(&[with(1, Status::FIXED_TIMEOUT), with(2, Status::OFFLOAD), udp(3)]);
    let (mut conntrack, script) = on(&table);
    let timeout = |port: u16, timeout| Entry { timeout, ..new(&udp(port)) };
    let key = key_of(&udp(3));
    let nat = Entry { has: key.has | Has::STATUS | Has::MARK, status: Status::SRC_NAT, mark: 1, ..key };
    let result = conntrack.update_entries(&[timeout(1, 5), timeout(2, 5), nat, timeout(1, 100)]).unwrap();
    assert_eq!(result.status(), [-libc::EPERM, -libc::EBUSY, -libc::EBUSY, 0]);
    assert_eq!(script.count_of(NEW), 0);
}

#[test]
fn labels_go_first_and_alone() {
    let (mut conntrack, script) = on(&Table::new(&[udp(1)]));
    let key = key_of(&udp(1));
    let change = Entry { has: key.has | Has::LABELS | Has::MARK, labels: [1; 16], mark: 3, ..key };
    let _ = conntrack.update_entries(&[change]).unwrap();
    let sent: Vec<Request> = script.requests().into_iter().filter(|request| request.kind == NEW).collect();
    let kinds = |request: &Request| parse_update(&request.payload);
    assert_eq!(sent.iter().map(kinds).collect::<Vec<_>>(), [(true, false), (false, true)]);
}

/// Whether an update has labels, and a mark.
fn parse_update(payload: &[u8]) -> (bool, bool) {
    let has = |kind: u16| attrs(&payload[4..]).iter().any(|(found, _)| found & !NESTED == kind);
    (has(22), has(8))
}

#[test]
fn a_bit_is_added_to_the_status_that_the_entry_has() {
    let entry = Entry { status: Status::CONFIRMED | Status::SEEN_REPLY, ..udp(1) };
    let table = Table::new(&[entry]);
    let key = key_of(&entry);
    let change = Entry { has: key.has | Has::STATUS, status: Status::ASSURED, ..key };
    assert_eq!(on(&table).0.update_entries(&[change]).unwrap().status(), [0]);
    assert_eq!(table.entries()[0].status, entry.status | Status::ASSURED);
}

#[test]
fn a_refused_flush_is_done_the_counted_way() {
    // It honours what is asked for, and yet refuses the flush itself.
    for errno in [libc::ENOENT, libc::EOPNOTSUPP, libc::EINVAL] {
        let table = Table::of(Honours::ALL, &[marked(1, 7), marked(2, 8)]);
        let kernel = table.clone();
        let script = Script::new(move |_, requests| -> Vec<Event> {
            if is_flush(&requests[0]) {
                return vec![datagram(&[ack(&requests[0], errno)])];
            }
            kernel.answer(requests)
        });
        let outcome = over(&script).flush(&by_mark(7)).unwrap();
        assert_eq!((outcome.done, outcome.uncounted), (1, false));
        assert_eq!(table.entries(), [marked(2, 8)]);
    }
}

#[test]
fn a_flush_that_fails_otherwise_is_an_error() {
    let table = Table::of(Honours::ALL, &[marked(1, 7)]);
    let kernel = table.clone();
    let script = Script::new(move |_, requests| match is_flush(&requests[0]) {
        true => vec![datagram(&[ack(&requests[0], libc::EIO)])],
        false => kernel.answer(requests),
    });
    assert_eq!(over(&script).flush(&by_mark(7)).unwrap_err().errno(), libc::EIO);
    assert_eq!(table.entries(), [marked(1, 7)]);
}

#[test]
fn how_addresses_of_ipv6_are_matched_is_asked_once_and_not_known_without_an_entry_or_an_answer() {
    let wanted = [Filter { orig_src: Some(ip("fd00::1").into()), ..Filter::default() }];
    let from_nobody = |script: &Script| {
        let filters = script.requests().into_iter().filter(is_dump).map(|request| Wanted::read(Honours::ALL, &request));
        filters.filter(|filter| filter.as_ref().is_ok_and(Wanted::is_from_nobody)).count()
    };
    // Without an entry of IPv6.
    let (mut conntrack, script) = on(&Table::of(Honours::ALL, &[udp(1)]).claiming(MANY));
    for _ in 0..3 {
        assert!(!conntrack.explain(&wanted).unwrap().caps.ipv6);
        assert_eq!(conntrack.list(&wanted).unwrap(), []);
    }
    assert_eq!(from_nobody(&script), 0);
    // With one, but disturbed or refused; or undisturbed.
    for errno in [libc::EINTR, libc::EOPNOTSUPP, 0] {
        let kernel = Table::of(Honours::ALL, &[udp6(1), udp6(2)]).claiming(MANY);
        let script = Script::new(move |_, requests| {
            let filter = Wanted::read(Honours::ALL, &requests[0]);
            let probe = is_dump(&requests[0]) && filter.is_ok_and(|filter| filter.orig.flags != 0);
            match probe && errno != 0 {
                true => vec![datagram(&[done(&requests[0], errno)])],
                false => kernel.answer(requests),
            }
        });
        assert_eq!(over(&script).explain(&wanted).unwrap().caps.ipv6, errno == 0, "{errno}");
    }
}

#[test]
fn an_entry_whose_look_up_is_refused_is_found_by_a_dump() {
    let table = Table::new(&[udp(1), udp(2)]);
    let script = Script::new(move |_, requests| {
        let look_up = requests[0].kind == GET && !is_dump(&requests[0]);
        match look_up {
            true => requests.iter().map(|request| datagram(&[ack(request, libc::EINVAL)])).collect(),
            false => table.answer(requests),
        }
    });
    assert_eq!(over(&script).list(&[pinning(&udp(1))]).unwrap(), [udp(1)]);
}

#[test]
fn an_update_sends_what_is_to_change_and_nothing_else() {
    let mut tcp = listed(Entry::key(Proto::TCP, ip("10.0.0.1"), 1, ip("10.0.0.2"), 2).unwrap(), 1);
    tcp.has |= Has::TCP_STATE | Has::TCP_WSCALE | Has::TCP_FLAGS | Has::LABELS | Has::HELPER;
    (tcp.tcp_state, tcp.tcp_flags_orig, tcp.tcp_flags_reply) = (TcpState::ESTABLISHED, 1, 1);
    (tcp.tcp_wscale_orig, tcp.tcp_wscale_reply, tcp.labels, tcp.helper) = (7, 8, [3; 16], named("ftp"));
    let no_scale = Entry { tcp_flags_reply: 0, ..tcp };
    let stateless = Entry { has: tcp.has & !Has::TCP_STATE, tcp_state: TcpState::NONE, ..tcp };
    let change = |has: Has, set: &dyn Fn(&mut Entry)| {
        let mut entry = Entry { has: key_of(&tcp).has | has, ..key_of(&tcp) };
        set(&mut entry);
        entry
    };
    let scales = |e: &mut Entry| (e.tcp_wscale_orig, e.tcp_wscale_reply) = (5, 6);
    let flags = |e: &mut Entry| {
        (e.tcp_flags_orig, e.tcp_mask_orig, e.tcp_flags_reply, e.tcp_mask_reply) = (1, 1, 1, 1);
    };
    let cases: [(&str, Entry, Entry, i32, usize); 12] = [
        ("labels as they are", tcp, change(Has::LABELS, &|e| e.labels = [3; 16]), 0, 0),
        ("labels added", tcp, change(Has::LABELS | Has::LABELS_ADD, &|e| e.labels = [1; 16]), 0, 0),
        ("labels removed", tcp, change(Has::LABELS | Has::LABELS_REMOVE, &|e| e.labels = [4; 16]), 0, 0),
        ("another label", tcp, change(Has::LABELS | Has::LABELS_ADD, &|e| e.labels = [4; 16]), 0, 1),
        ("the same helper", tcp, change(Has::HELPER, &|e| e.helper = named("ftp")), 0, 0),
        ("another helper", tcp, change(Has::HELPER, &|e| e.helper = named("sip")), 0, 1),
        ("the same status", tcp, change(Has::STATUS, &|e| e.status = Status::CONFIRMED), 0, 0),
        ("scales", tcp, change(Has::TCP_WSCALE, &scales), 0, 1),
        ("the same scales", tcp, change(Has::TCP_WSCALE, &|e| (e.tcp_wscale_orig, e.tcp_wscale_reply) = (7, 8)), 0, 0),
        ("scales without the flag", no_scale, change(Has::TCP_WSCALE, &scales), -libc::EBUSY, 0),
        (
            "scales with the flag",
            no_scale,
            change(Has::TCP_WSCALE | Has::TCP_FLAGS, &|e| {
                scales(e);
                flags(e);
            }),
            0,
            1,
        ),
        ("scales of no state", stateless, change(Has::TCP_WSCALE, &scales), -libc::EBUSY, 0),
    ];
    for (what, there, change, status, sent) in cases {
        let (mut conntrack, script) = on(&Table::new(&[there]));
        assert_eq!(conntrack.update_entries(&[change]).unwrap().status(), [status], "{what}");
        assert_eq!(script.count_of(NEW), sent, "{what}");
    }
}
