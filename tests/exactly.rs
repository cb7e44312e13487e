//! Deletes and look-ups take exactly the entry that was meant: not its successor, not one that changed meanwhile, and not one
//! that answers in its place because it has one of its tuples.

mod common;
use common::c::Handle;
use common::*;
use ctrack::*;
use std::sync::atomic::{AtomicBool, Ordering};

const TIMES: usize = 200;

/// An entry whose reply comes from another address: DNAT.
fn dnat(to: &str) -> Entry {
    translated(Status::DST_NAT, to, "1.1.1.1")
}

/// An entry whose replies go to another address: SNAT.
fn snat(to: &str) -> Entry {
    translated(Status::SRC_NAT, "2.2.2.2", to)
}

fn translated(status: Status, from: &str, to: &str) -> Entry {
    let mut entry = plain();
    entry.has |= Has::REPLY | Has::STATUS;
    entry.status = status;
    entry.reply = udp(from, 53, to, 1000).orig;
    entry
}

fn plain() -> Entry {
    udp("1.1.1.1", 1000, "2.2.2.2", 53)
}

/// How often each way to delete a listed entry took the one that had come in its place, and how often both had the same id.
fn successors(conntrack: &mut Conntrack, before: Entry, after: Entry) -> (usize, usize) {
    let (mut wrong, mut same) = (0, 0);
    // By tuple and without walks over the table, so that many fit into little time.
    let listed = |conntrack: &mut Conntrack, entry: &Entry| conntrack.get(&by_hand(entry)).unwrap().unwrap();
    for _ in 0..TIMES {
        create(conntrack, &[before]);
        let old = listed(conntrack, &before);
        assert_eq!(conntrack.delete_entries(&[by_hand(&before)]).unwrap().status(), [0]);
        create(conntrack, &[after]);
        same += usize::from(old.id == listed(conntrack, &after).id);
        let result = conntrack.delete_entries(&[old]).unwrap();
        wrong += usize::from(result.status() == [0]);
        if result.status() != [0] {
            assert_eq!(result.status(), [-libc::ENOENT], "one that was replaced is gone");
            assert_eq!(conntrack.count().unwrap(), 1);
            assert_eq!(conntrack.delete_entries(&[by_hand(&after)]).unwrap().status(), [0]);
        }
    }
    (wrong, same)
}

#[test]
fn the_successor_of_a_listed_entry_is_never_deleted_in_its_place() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let zoned = |bit, zone| in_one_zone(plain(), bit, zone);
        let cases = [
            ("untranslated to DNAT", plain(), dnat("3.3.3.3")),
            ("DNAT to untranslated", dnat("3.3.3.3"), plain()),
            ("DNAT to DNAT", dnat("3.3.3.3"), dnat("4.4.4.4")),
            ("SNAT to SNAT", snat("3.3.3.3"), snat("4.4.4.4")),
            ("zone 5 of the original direction to 8", zoned(Has::ORIG_ZONE, 5), zoned(Has::ORIG_ZONE, 8)),
            ("zone 5 of the reply direction to 8", zoned(Has::REPLY_ZONE, 5), zoned(Has::REPLY_ZONE, 8)),
            ("zone 5 to 5 of the original direction", plain().in_zone(5), zoned(Has::ORIG_ZONE, 5)),
            ("zone 5 of the original direction to 5", zoned(Has::ORIG_ZONE, 5), plain().in_zone(5)),
            ("zone 5 of the reply direction to 5", zoned(Has::REPLY_ZONE, 5), plain().in_zone(5)),
            ("its own mirror image to DNAT", udp("1.1.1.1", 9, "1.1.1.1", 9), {
                let mut entry = udp("1.1.1.1", 9, "1.1.1.1", 9);
                (entry.has, entry.status) = (entry.has | Has::REPLY | Has::STATUS, Status::DST_NAT);
                entry.reply = udp("3.3.3.3", 9, "1.1.1.1", 9).orig;
                entry
            }),
            ("zone 5 of the original direction to none", zoned(Has::ORIG_ZONE, 5), plain()),
        ];
        let mut alike = 0;
        for (what, before, after) in cases {
            let (wrong, same) = successors(&mut conntrack, before, after);
            println!("{what}: {wrong} of {TIMES} wrong, {same} with the same id");
            assert_eq!(wrong, 0, "{what}");
            alike += same;
        }
        assert!(alike > TIMES, "the kernel hardly used an id twice, so that nothing was shown");
    });
}

#[test]
fn a_successor_that_differs_in_nothing_but_its_zone_for_one_direction_takes_start_times_to_tell() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        conntrack.compare_start(true);
        for (before, after) in [
            (plain(), in_one_zone(plain(), Has::ORIG_ZONE, 5)),
            (plain().in_zone(5), in_one_zone(plain(), Has::REPLY_ZONE, 5)),
        ] {
            // Even where the kernel keeps none: the look-up compares zones too.
            assert_eq!(successors(&mut conntrack, before, after).0, 0);
        }
    });
}

fn keep_starts(keep: bool) {
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_timestamp", if keep { "1" } else { "0" }).unwrap();
}

#[test]
fn a_start_on_one_side_only_means_another_entry_and_none_on_either_side_is_told() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        conntrack.compare_start(true);
        for (first, second) in [(false, true), (true, false)] {
            for _ in 0..100 {
                keep_starts(first);
                create(&mut conntrack, &[plain()]);
                let old = conntrack.get(&by_hand(&plain())).unwrap().unwrap();
                assert_eq!(old.has(Has::START), first);
                assert_eq!(conntrack.delete_entries(&[old]).unwrap().status(), [0]);
                keep_starts(second);
                create(&mut conntrack, &[plain()]);
                let result = conntrack.delete_entries(&[old]).unwrap();
                assert_eq!(
                    (result.status().as_slice(), result.outcome.start_unknown),
                    ([-libc::ENOENT].as_slice(), false)
                );
                assert_eq!(conntrack.count().unwrap(), 1);
                assert_eq!(conntrack.delete_entries(&[by_hand(&plain())]).unwrap().status(), [0]);
            }
        }
        // Told for each entry, whatever the setting is now.
        for (kept, unknown) in [(false, true), (true, false)] {
            keep_starts(kept);
            create(&mut conntrack, &[plain()]);
            keep_starts(!kept);
            let outcome = conntrack.delete(&[Filter { proto: Some(Proto::UDP), ..Filter::default() }]).unwrap();
            assert_eq!((outcome.done, outcome.start_unknown), (1, unknown));
        }
        // A key that was filled by hand says nothing of the start by leaving it out.
        keep_starts(true);
        create(&mut conntrack, &[plain()]);
        assert_eq!(conntrack.delete_entries(&[by_hand(&plain())]).unwrap().status(), [0]);
    });
}

/// Runs `disturb` over and over on a thread of its own, in this network namespace, while `run` runs.
fn meanwhile<T>(mut disturb: impl FnMut(&mut Conntrack) + Send, run: impl FnOnce() -> T) -> T {
    let (netns, stop) = (own_netns(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            enter(&netns);
            let mut conntrack = Conntrack::open().unwrap();
            while !stop.load(Ordering::Relaxed) {
                disturb(&mut conntrack);
            }
        });
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
        stop.store(true, Ordering::Relaxed);
        other.join().unwrap();
        result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn translated_flows_that_replace_untranslated_ones_during_a_delete_survive_it() {
    const MANY: u16 = 10_000;
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let old = |n: u16| udp("10.0.0.1", n, "10.96.0.10", 53);
        let new = |n: u16| {
            let mut entry = old(n);
            (entry.has, entry.status) = (entry.has | Has::REPLY | Has::STATUS, Status::DST_NAT);
            entry.reply = udp("10.2.0.2", 53, "10.0.0.1", n).orig;
            entry
        };
        create(&mut conntrack, &(1..=MANY).map(old).collect::<Vec<_>>());
        let (mut next, mut made) = (MANY, Vec::new());
        let filter =
            Filter { orig_dst: Some(net("10.96.0.10/32")), reply_src: Some(net("10.96.0.10/32")), ..Filter::default() };
        let outcome = meanwhile(
            |other| {
                if next > 0 && other.delete_entries(&[by_hand(&old(next))]).unwrap().status() == [0] {
                    create(other, &[new(next)]);
                    made.push(next);
                }
                next = next.saturating_sub(1);
            },
            || conntrack.delete(&[filter]).unwrap(),
        );
        assert_eq!(outcome.matched, outcome.done + outcome.gone + outcome.failed + outcome.spared);
        assert_eq!(outcome.failed, 0);
        println!("{outcome:?}, {} replaced meanwhile", made.len());
        let left = all(&mut conntrack);
        let lives = |port: &u16| left.iter().any(|entry| entry.orig.sport == *port && entry.has(Has::REPLY));
        assert_eq!(made.iter().filter(|port| !lives(port)).count(), 0, "live translated flows were deleted");
    });
}

#[test]
fn what_is_no_longer_selected_when_its_turn_comes_is_spared_and_counted() {
    const MANY: u16 = 20_000;
    netns(|| {
        let entry = |n: u16| udp("10.0.0.1", n, "10.96.0.10", 53);
        let handle = Handle::open();
        let mut conntrack = Conntrack::open().unwrap();
        let mut spared = 0;
        for size in [size_of::<ctrack_c::ct_result>() as u32, 48] {
            create(&mut conntrack, &(1..=MANY).map(|n| lasting(entry(n))).collect::<Vec<_>>());
            let mut next = MANY;
            let filter = c::c_filter(&Filter { status_clear: Status::SEEN_REPLY, ..Filter::default() });
            let (ret, result) = meanwhile(
                |other| {
                    // From the end of the table's order nothing is known, so all over the place.
                    let ports = (0..32).map(|k| next.wrapping_mul(40_503).wrapping_add(k) % MANY + 1);
                    let status = Status::SEEN_REPLY;
                    let updates = ports.map(|port| {
                        let key = by_hand(&entry(port));
                        Entry { has: key.has | Has::STATUS, status, ..key }
                    });
                    let _ = other.update_entries(&updates.collect::<Vec<_>>()).unwrap();
                    next = next.wrapping_sub(32);
                },
                || {
                    let mut result = ctrack_c::ct_result { size, spared: 4711, ..ctrack_c::ct_result::default() };
                    (handle.delete_into(&[filter], &mut result), result)
                },
            );
            assert_eq!(ret, 0, "{}", handle.error());
            if size == 48 {
                assert_eq!(result.spared, 4711, "it is not written where the size does not cover it");
                assert_eq!(result.matched, result.done + result.gone + result.failed);
            } else {
                assert_eq!(result.matched, result.done + result.gone + result.failed + result.spared);
                assert!(result.spared > 0, "nothing changed meanwhile, so that nothing was shown");
                spared = result.spared;
            }
            conntrack.flush_all().unwrap();
        }
        println!("{spared} spared");
    });
}

/// Entries of which the first, with mark 42, can be reached under no name with CTA_ZONE: others, newer, have its tuples in their
/// other direction. In zone 0 there is no other name.
fn hidden(zone: u16) -> [Entry; 3] {
    let mirror = |bit, zone| {
        let mut entry = in_one_zone(udp("2.2.2.2", 53, "1.1.1.1", 1000), bit, zone);
        if zone == 7 {
            (entry.has, entry.reply) = (entry.has | Has::REPLY, udp("8.8.8.8", 8, "9.9.9.9", 8).orig);
            entry.reply.zone = zone.into();
        }
        entry
    };
    let reversed = |bit, own: u16| {
        let mut entry = in_one_zone(udp("7.7.7.7", 7, "7.7.7.8", 7), bit, own);
        let zone = entry.reply.zone;
        (entry.has, entry.reply) = (entry.has | Has::REPLY, Tuple { zone, ..plain().orig });
        entry
    };
    let target = lasting(marked(plain().in_zone(zone), 42));
    if zone == 0 {
        [target, mirror(Has::REPLY_ZONE, 7), reversed(Has::ORIG_ZONE, 9)]
    } else {
        [target, mirror(Has::ORIG_ZONE, zone), reversed(Has::REPLY_ZONE, zone)]
    }
}

/// The same three, made by nftables rules and packets: the zones and the translation are set for each flow.
fn hide_by_packets(zone: u16) {
    let (target, mirror, reversed) = match zone {
        0 => ("", "ct reply zone set 7", "ct original zone set 9"),
        _ => ("ct zone set 5", "ct original zone set 5", "ct reply zone set 5"),
    };
    // In zone 0 the mirror must be translated, or its packets would be replies of the target.
    let translate = |rule: &'static str| if zone == 0 { rule } else { "" };
    nft(&format!(
        "table ip hide
        delete table ip hide
        table ip hide {{
            chain zones {{
                type filter hook output priority -300;
                ip saddr 127.0.0.1 udp sport 1000 {target}
                ip saddr 127.0.0.2 udp sport 53 {mirror}
                ip saddr 127.0.0.7 udp sport 7 {reversed}
            }}
            chain marks {{
                type filter hook output priority 0;
                ip saddr 127.0.0.1 udp sport 1000 ct mark set 42
            }}
            chain dnats {{
                type nat hook output priority -100;
                ip daddr 127.0.0.8 udp dport 7 dnat to 127.0.0.1:1000
                {}
            }}
            chain snats {{
                type nat hook postrouting priority 100;
                ip saddr 127.0.0.7 udp sport 7 snat to 127.0.0.2:53
                {}
            }}
        }}\n",
        translate("ip saddr 127.0.0.2 udp sport 53 dnat to 127.0.0.18:8"),
        translate("ip saddr 127.0.0.2 udp sport 53 snat to 127.0.0.19:8"),
    ));
    let at = |address: &str| std::net::UdpSocket::bind(address).unwrap();
    let (client, server, other) = (at("127.0.0.1:1000"), at("127.0.0.2:53"), at("127.0.0.7:7"));
    let _translated = at("127.0.0.18:8");
    client.send_to(b"target", "127.0.0.2:53").unwrap();
    server.send_to(b"mirror", "127.0.0.1:1000").unwrap();
    other.send_to(b"reversed", "127.0.0.8:7").unwrap();
    assert_eq!(cli_count(), 3, "{:?}", cli_table());
}

/// Fills the table with what [`hidden`] says, over netlink or by packets.
fn hide(conntrack: &mut Conntrack, zone: u16, by_packets: bool) {
    if by_packets {
        hide_by_packets(zone);
    } else {
        create(conntrack, &hidden(zone));
    }
}

fn mark_42() -> Filter {
    Filter { mark: Some(Masked { value: 42, mask: u32::MAX }), ..Filter::default() }
}

#[test]
fn an_entry_that_others_hide_is_found_updated_and_deleted_under_another_name() {
    netns(|| {
        loopback_up();
        let mut conntrack = Conntrack::open().unwrap();
        for (way, by_packets) in (0..3).flat_map(|way| [(way, false), (way, true)]) {
            hide(&mut conntrack, 5, by_packets);
            let listed = conntrack.list(&[mark_42()]).unwrap()[0];
            for key in [listed, by_hand(&listed)] {
                assert_eq!(conntrack.get(&key).unwrap().unwrap().id, listed.id);
                let change = |mark| Entry { has: by_hand(&key).has | Has::MARK, mark, ..by_hand(&key) };
                assert_eq!(conntrack.update_entries(&[change(43)]).unwrap().status(), [0]);
                assert_eq!(conntrack.get(&key).unwrap().unwrap().mark, 43);
                assert_eq!(conntrack.update_entries(&[change(42)]).unwrap().status(), [0]);
            }
            match way {
                0 => assert_eq!(conntrack.delete_entries(&[listed]).unwrap().status(), [0]),
                1 => assert_eq!(conntrack.delete_entries(&[by_hand(&listed)]).unwrap().status(), [0]),
                _ => assert_eq!(conntrack.delete(&[mark_42()]).unwrap().done, 1),
            }
            assert_eq!(conntrack.list(&[mark_42()]).unwrap(), []);
            assert_eq!(cli_count(), 2, "those that hid it stay");
            assert_eq!(conntrack.delete_entries(&[listed]).unwrap().status(), [-libc::ENOENT], "now it is gone");
            conntrack.flush_all().unwrap();
        }
    });
}

#[test]
fn an_entry_that_no_request_can_reach_is_told_as_failed_and_never_as_gone() {
    netns(|| {
        loopback_up();
        let mut conntrack = Conntrack::open().unwrap();
        for by_packets in [false, true] {
            hide(&mut conntrack, 0, by_packets);
            let listed = conntrack.list(&[mark_42()]).unwrap()[0];
            let stays = |conntrack: &mut Conntrack| {
                assert_eq!(conntrack.list(&[mark_42()]).unwrap().len(), 1);
                assert_eq!(cli_count(), 3, "nobody else's went in its place");
            };
            for key in [listed, by_hand(&listed)] {
                assert_eq!(conntrack.get(&key).unwrap().unwrap().id, listed.id, "a dump shows it");
                let result = conntrack.delete_entries(&[key]).unwrap();
                assert_eq!(result.status(), [-libc::ENOTUNIQ]);
                let text = result.outcome.error.unwrap().to_string();
                assert!(text.contains("cannot be reached") && text.contains("zone-"), "it names what hides it: {text}");
                stays(&mut conntrack);
                let change = Entry { has: by_hand(&key).has | Has::MARK, mark: 43, ..by_hand(&key) };
                assert_eq!(conntrack.update_entries(&[change]).unwrap().status(), [-libc::ENOTUNIQ]);
                stays(&mut conntrack);
            }
            for uncounted in [false, true] {
                let outcome = if uncounted {
                    let zone_0 = Filter { zone: Some(0), ..mark_42() };
                    conntrack.delete_uncounted(&[zone_0])
                } else {
                    conntrack.delete(&[mark_42()])
                };
                let outcome = outcome.unwrap();
                assert_eq!((outcome.matched, outcome.done, outcome.gone, outcome.failed), (1, 0, 0, 1));
                assert!(matches!(outcome.error, Some(Error::Hidden { .. })));
                stays(&mut conntrack);
            }
            // A whole tuple and zone, which are looked up, find it too.
            let [src, dst] = if by_packets { ["127.0.0.1/32", "127.0.0.2/32"] } else { ["1.1.1.1/32", "2.2.2.2/32"] };
            let exact = Filter {
                zone: Some(0),
                proto: Some(Proto::UDP),
                orig_src: Some(net(src)),
                orig_dst: Some(net(dst)),
                orig_sport: Some(1000..=1000),
                orig_dport: Some(53..=53),
                ..Filter::default()
            };
            assert_eq!(ids(&conntrack.list(&[exact]).unwrap()), ids(&[listed]));
            conntrack.flush_all().unwrap();
        }
    });
}

#[test]
fn an_entry_is_listed_and_deleted_once_while_its_mark_moves_between_two_filters() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let flow = |mark| Filter {
            zone: Some(0),
            proto: Some(Proto::UDP),
            orig_src: Some(net("1.1.1.1/32")),
            orig_dst: Some(net("2.2.2.2/32")),
            orig_sport: Some(1000..=1000),
            orig_dport: Some(53..=53),
            mark: Some(Masked { value: mark, mask: u32::MAX }),
            ..Filter::default()
        };
        create(&mut conntrack, &[marked(plain(), 1)]);
        let mut mark = 1;
        let flip = |other: &mut Conntrack| {
            mark = 3 - mark;
            let change = Entry { has: by_hand(&plain()).has | Has::MARK, mark, ..by_hand(&plain()) };
            let _ = other.update_entries(&[change]).unwrap();
        };
        meanwhile(flip, || {
            for _ in 0..3000 {
                assert_eq!(conntrack.list(&[flow(1), flow(2)]).unwrap().len(), 1);
            }
            for _ in 0..2000 {
                let outcome = conntrack.delete(&[flow(1), flow(2)]).unwrap();
                assert_eq!((outcome.matched, outcome.done, outcome.failed), (1, 1, 0));
                create(&mut conntrack, &[marked(plain(), 1)]);
            }
        });
    });
}

#[test]
fn tuples_that_are_their_own_mirror_image_are_all_found() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let own = || udp("1.1.1.1", 5000, "1.1.1.1", 5000);
        create(&mut conntrack, &[in_one_zone(own(), Has::ORIG_ZONE, 7), in_one_zone(own(), Has::REPLY_ZONE, 7)]);
        let whole = Filter {
            zone: Some(7),
            proto: Some(Proto::UDP),
            orig_src: Some(net("1.1.1.1/32")),
            orig_dst: Some(net("1.1.1.1/32")),
            orig_sport: Some(5000..=5000),
            orig_dport: Some(5000..=5000),
            ..Filter::default()
        };
        assert_eq!(conntrack.list(std::slice::from_ref(&whole)).unwrap().len(), 2);
        let outcome = conntrack.delete(&[whole]).unwrap();
        assert_eq!((outcome.matched, outcome.done), (2, 2));
        assert_eq!(cli_count(), 0);
    });
}

#[test]
fn a_listed_entry_with_bits_and_states_of_a_later_kernel_is_a_key_like_any_other() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let sctp = |n| key(Proto::SCTP, "1.1.1.1", n, "2.2.2.2", 9);
        create(&mut conntrack, &[sctp(1), sctp(2), tcp("1.1.1.1", 3, "2.2.2.2", 9), plain()].map(lasting));
        let mut listed = all(&mut conntrack);
        for entry in &mut listed {
            entry.status |= Status::from_bits_retain(1 << 16);
            (entry.has, entry.helper) = (entry.has | Has::HELPER, [b'x' as _; 16]);
            match entry.proto {
                Proto::SCTP => (entry.has, entry.sctp_state) = (entry.has | Has::SCTP, 10),
                Proto::TCP => {
                    (entry.tcp_state, entry.tcp_wscale_orig) = (TcpState(12), 15);
                    entry.has |= Has::TCP_STATE | Has::TCP_WSCALE;
                }
                _ => {}
            }
            assert_eq!(conntrack.get(entry).unwrap().unwrap().id, entry.id);
        }
        let wrong = |change: fn(&mut Entry)| {
            let mut entry = listed[0];
            change(&mut entry);
            entry
        };
        for wrong in [
            wrong(|e| e.has |= Has::from_bits_retain(1 << 40)),
            wrong(|e| e.reserved[0] = 1),
            wrong(|e| e.family = Family(7)),
        ] {
            assert_eq!(conntrack.delete_entries(&[listed[1], wrong]).unwrap_err().errno(), libc::EINVAL);
        }
        let mut update = listed[0];
        (update.has, update.mark) = (update.has | Has::MARK, 1);
        assert_eq!(conntrack.update_entries(&[update]).unwrap_err().errno(), libc::EINVAL, "values to set are checked");
        assert_eq!(conntrack.delete_entries(&listed).unwrap().status(), vec![0; 4]);
        assert_eq!(cli_count(), 0);
    });
}
