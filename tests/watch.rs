//! Watching the kernel: what is told, what is counted as lost, and that it adds up to the table.
#![allow(unsafe_code, reason = "poll(2)")]

mod common;
use common::*;
use ctrack::*;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What waits, until nothing comes for a while.
fn drain(watch: &mut Watch) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let before = events.len();
        watch.next_batch(&mut events, 256, Some(Duration::from_millis(100))).unwrap();
        if events.len() == before {
            return events;
        }
    }
}

/// A number of each kind of event: new, updated, destroyed, lost.
fn kinds(events: &[Event]) -> [usize; 4] {
    let count = |is: fn(&Change) -> bool| events.iter().filter(|event| is(&event.change)).count();
    [
        count(|change| matches!(change, Change::New(_))),
        count(|change| matches!(change, Change::Update(_))),
        count(|change| matches!(change, Change::Destroy(_))),
        count(|change| matches!(change, Change::Lost(_))),
    ]
}

#[test]
fn what_programs_make_change_and_destroy_is_told_with_who_did_it() {
    netns(|| {
        // An entry that is made before anybody on this machine listens would be silent otherwise.
        std::fs::write("/proc/sys/net/netfilter/nf_conntrack_events", "1").unwrap();
        let mut conntrack = Conntrack::open().unwrap();
        let entry = lasting(udp("10.0.0.1", 1, "10.0.0.2", 53));
        create(&mut conntrack, &[entry]);
        let mut watch = Watch::open(WatchOptions::new(), &[]).unwrap();
        create(&mut conntrack, &[lasting(udp("10.0.0.1", 2, "10.0.0.2", 53))]);
        let changed = marked(by_hand(&entry), 7);
        assert_eq!(changed_status(&mut conntrack, &changed), 0);
        let _ = conntrack.delete_entries(&[by_hand(&entry)]).unwrap();
        let events = drain(&mut watch);
        assert_eq!(kinds(&events), [1, 1, 1, 0], "{events:#?}");
        let [Change::New(new), Change::Update(updated), Change::Destroy(gone)] =
            [events[0].change, events[1].change, events[2].change]
        else {
            panic!("{events:#?}");
        };
        assert_eq!((new.orig.sport, updated.mark, gone.orig.sport), (2, 7, 1));
        assert!(events.iter().all(|event| event.port != 0 && event.port == events[0].port));
        assert_eq!(events.iter().map(|event| event.number).collect::<Vec<_>>(), [1, 2, 3]);
        let info = watch.info().unwrap();
        assert_eq!((info.received, info.lost, info.queued), (3, 0, 0));
    });
}

fn changed_status(conntrack: &mut Conntrack, entry: &Entry) -> i32 {
    conntrack.update_entries(&[*entry]).unwrap().status()[0]
}

#[test]
fn a_filter_and_kinds_keep_out_what_was_not_asked_for() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let ends = WatchOptions::new().with_kinds([ctnetlink::event::EventKind::Destroy]);
        let mut ends = Watch::open(ends, &[]).unwrap();
        let mut zoned = Watch::open(WatchOptions::new(), &[zone(7)]).unwrap();
        let entries = [udp("10.0.0.1", 1, "10.0.0.2", 53), udp("10.0.0.1", 1, "10.0.0.2", 53).in_zone(7)].map(lasting);
        create(&mut conntrack, &entries);
        let _ = conntrack.delete(&[Filter::new().with_proto(Proto::UDP)]).unwrap();
        assert_eq!(kinds(&drain(&mut ends)), [0, 0, 2, 0]);
        let events = drain(&mut zoned);
        assert_eq!(kinds(&events), [1, 0, 1, 0]);
        assert!(events.iter().all(|event| matches!(event.change, Change::New(e) | Change::Destroy(e) if e.zone == 7)));
    });
}

#[test]
fn every_event_is_told_or_counted_as_lost() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let mut watch = Watch::open(WatchOptions::new().with_receive_buffer(65_536), &[]).unwrap();
        let entries: Vec<Entry> = (0..2000).map(|n| lasting(udp("10.0.0.1", 1000 + n, "10.0.0.2", 53))).collect();
        for _ in 0..3 {
            create(&mut conntrack, &entries);
            let _ = conntrack.delete(&[Filter::new().with_proto(Proto::UDP)]).unwrap();
            let events = drain(&mut watch);
            let [new, updated, gone, lost] = kinds(&events);
            assert!(lost > 0 && updated == 0);
            let lost: u64 = events
                .iter()
                .map(|event| if let Change::Lost(count) = event.change { count.unwrap() } else { 0 })
                .sum();
            println!("{new} made, {gone} destroyed, {lost} lost");
            assert_eq!((new + gone) as u64 + lost, 4000);
        }
        assert!(watch.info().unwrap().lost > 9_000);
    });
}

/// What a watch with a list has told, as a table.
#[derive(Default)]
struct Mirror {
    table: BTreeMap<(u32, String), Entry>,
    synced: u32,
    lost: u32,
}

/// Who it is, as far as every event says. An id alone will not do: an entry in another zone that has the memory of one that is gone has
/// its id too, and a list that takes its time shows both.
fn name(entry: &Entry) -> (u32, String) {
    (entry.id, format!("{} {:?} {:?}", entry.zone, entry.proto, entry.orig))
}

impl Mirror {
    fn hear(&mut self, event: &Event) {
        match event.change {
            Change::New(entry) => assert!(self.table.insert(name(&entry), entry).is_none(), "{event:?}"),
            Change::Update(entry) => assert!(self.table.insert(name(&entry), entry).is_some(), "{event:?}"),
            Change::Destroy(entry) => assert!(self.table.remove(&name(&entry)).is_some(), "{event:?}"),
            Change::Lost(_) => self.lost += 1,
            Change::Synced => self.synced += 1,
            _ => unreachable!(),
        }
    }
}

#[test]
fn a_list_and_what_is_told_afterwards_add_up_to_the_table() {
    netns(|| {
        for (round, buffer) in [64 << 10, 256 << 10, 8 << 20].into_iter().enumerate() {
            let netns = own_netns();
            let stop = AtomicBool::new(false);
            let mut mirror = Mirror::default();
            std::thread::scope(|scope| {
                let churn = scope.spawn(|| {
                    enter(&netns);
                    let mut conntrack = Conntrack::open().unwrap();
                    let (mut turns, mut chance) = (0u64, 4711u64);
                    while !stop.load(Ordering::Relaxed) {
                        chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let port = (chance >> 40) as u16 % 2_000;
                        let entry = lasting(udp("10.0.0.1", port, "10.0.0.2", 53));
                        match chance >> 33 & 3 {
                            0 | 1 => drop(conntrack.create_entries(&[entry]).unwrap()),
                            2 => drop(conntrack.delete_entries(&[by_hand(&entry)]).unwrap()),
                            _ => drop(conntrack.update_entries(&[marked(by_hand(&entry), chance as u32)]).unwrap()),
                        }
                        turns += 1;
                    }
                    turns
                });
                let options = WatchOptions::new().with_sync().with_receive_buffer(buffer);
                let mut watch = Watch::open(options, &[]).unwrap();
                let mut events = Vec::new();
                for step in 0..400 {
                    watch.next_batch(&mut events, 64, Some(Duration::from_millis(20))).unwrap();
                    events.drain(..).for_each(|event| mirror.hear(&event));
                    if step % 40 == 39 {
                        // A reader that does something else for a while.
                        std::thread::sleep(Duration::from_millis(100));
                    }
                }
                stop.store(true, Ordering::Relaxed);
                let turns = churn.join().unwrap();
                while !watch.info().unwrap().is_synced || mirror.synced == 0 {
                    watch.next_batch(&mut events, 64, Some(Duration::from_secs(5))).unwrap();
                    events.drain(..).for_each(|event| mirror.hear(&event));
                }
                // A loss may be noticed only now, and the next list may wait for a second.
                loop {
                    drain(&mut watch).iter().for_each(|event| mirror.hear(event));
                    if watch.info().unwrap().is_synced {
                        break;
                    }
                }
                let listed: BTreeMap<u32, Entry> =
                    all(&mut Conntrack::open().unwrap()).iter().map(|e| (e.id, *e)).collect();
                println!("round {round}: {turns} turns, {:?}", watch.info().unwrap());
                let of = |e: &Entry| (e.orig, e.reply, e.mark, e.status);
                let (told, is): (Vec<_>, Vec<_>) =
                    (mirror.table.values().map(of).collect(), listed.values().map(of).collect());
                assert_eq!(told, is);
                assert_eq!(
                    mirror.table.keys().map(|(id, _)| *id).collect::<std::collections::BTreeSet<u32>>(),
                    cli_ids(&[])
                );
                assert_eq!(watch.info().unwrap().entries, listed.len());
            });
            Conntrack::open().unwrap().flush_all().unwrap();
        }
    });
}

/// Whether the watch has something to do.
fn readable(watch: &Watch) -> bool {
    let mut poll = libc::pollfd { fd: watch.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&mut poll, 1, 0) == 1 }
}

#[test]
fn a_waker_ends_a_wait_and_the_descriptor_says_when_there_is_something() {
    netns(|| {
        let mut watch = Watch::open(WatchOptions::new(), &[]).unwrap();
        let mut events = Vec::new();
        watch.next_batch(&mut events, 1, Some(Duration::ZERO)).unwrap();
        assert!(!readable(&watch));
        let waker = watch.remote();
        waker.wake();
        watch.next_batch(&mut events, 1, None).unwrap();
        assert!(events.is_empty() && !readable(&watch));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(50));
                waker.wake();
            });
            watch.next_batch(&mut events, 1, None).unwrap();
        });
        assert!(events.is_empty());
        let mut conntrack = Conntrack::open().unwrap();
        create(
            &mut conntrack,
            &[lasting(udp("10.0.0.1", 1, "10.0.0.2", 53)), lasting(udp("10.0.0.1", 2, "10.0.0.2", 53))],
        );
        assert!(readable(&watch));
        watch.next_batch(&mut events, 1, None).unwrap();
        assert!(events.len() == 1 && readable(&watch), "the second one lies in memory");
        watch.next_batch(&mut events, 1, None).unwrap();
        watch.next_batch(&mut events, 1, Some(Duration::ZERO)).unwrap();
        assert!(events.len() == 2 && !readable(&watch));
    });
}

/// Numbers that vary a test, the same for a seed.
struct Chance(u64);

impl Chance {
    /// From SEED, or another one every time; either way it is printed where the test fails.
    fn seeded() -> Chance {
        let clock = || std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
        let seed = std::env::var("SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap());
        println!("SEED={seed}");
        Chance(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn some<T: Copy>(&mut self, from: &[T], one_in: usize) -> Vec<T> {
        from.iter().copied().filter(|_| self.below(one_in) == 0).collect()
    }
}

/// The entry's address, or some bits of it.
fn prefix(chance: &mut Chance, address: IpAddr) -> Prefix {
    let (width, length) = (if address.is_ipv4() { 32 } else { 128 }, chance.pick(&[0, 8, 9, 24, 31, 32, 64, 65, 128]));
    let bytes = u128::from_be_bytes(address_bytes(address));
    let cut = bytes.checked_shr(128 - length).and_then(|bits| bits.checked_shl(128 - length)).unwrap_or(0);
    let short = match (address, length < width) {
        (_, false) => return address.into(),
        (IpAddr::V4(_), _) => IpAddr::from(((cut >> 96) as u32).to_be_bytes()),
        (IpAddr::V6(_), _) => IpAddr::from(cut.to_be_bytes()),
    };
    Prefix::new(short, length as u8).unwrap()
}

/// A filter for some of what a listed entry has.
fn like(chance: &mut Chance, e: &Entry) -> Filter {
    let mut f = Filter { exclude: chance.below(8) == 0, ..Filter::new() };
    for _ in 0..1 + chance.below(3) {
        let ports = |port: u16| Some(port.saturating_sub(1)..=port);
        match chance.below(16) {
            0 => f.family = Some(e.family),
            1 => f.zone = Some(e.zone as u16),
            2 => f.orig_zone = Some(e.orig.zone as u16),
            3 => f.reply_zone = Some(e.reply.zone as u16),
            4 => {
                let mask = chance.pick(&[1, 3, u32::MAX]);
                f.mark = Some(Masked { value: chance.pick(&[e.mark, 0, 1, 2]) & mask, mask });
            }
            5 => f.status_set = chance.pick(&[Status::SEEN_REPLY, Status::SRC_NAT]),
            6 => f.status_clear = chance.pick(&[Status::ASSURED, Status::DST_NAT]),
            7 => f.orig_src = Some(prefix(chance, e.orig_src())),
            8 => f.orig_dst = Some(prefix(chance, e.orig_dst())),
            9 => f.reply_src = Some(prefix(chance, e.reply_src())),
            10 => f.reply_dst = Some(prefix(chance, e.reply_dst())),
            11 if e.has(Has::PORTS) => (f.proto, f.orig_sport) = (Some(e.proto), ports(e.orig.sport)),
            12 if e.has(Has::PORTS) => (f.proto, f.reply_dport) = (Some(e.proto), ports(e.reply.dport)),
            11..=14 if e.has(Has::ICMP) => {
                f.proto = Some(e.proto);
                (f.icmp_type, f.icmp_id) = (Some(e.orig.icmp_type), Some(e.orig.icmp_id));
            }
            13 if e.proto == Proto::TCP => (f.proto, f.tcp_states) = (Some(e.proto), Some(e.tcp_state.into())),
            _ => f.proto = Some(e.proto),
        }
    }
    let excludes_all = f.exclude && Selection::new(std::slice::from_ref(&f)).is_err();
    f.exclude = f.exclude && !excludes_all;
    f
}

/// Makes, changes and destroys some of the entries.
fn churn(chance: &mut Chance, conntrack: &mut Conntrack, entries: &[Entry]) {
    // What is there already, or hidden by others, is refused, which is as good.
    let _ = conntrack.create_entries(&chance.some(entries, 2)).unwrap();
    let changed: Vec<Entry> = chance
        .some(entries, 2)
        .iter()
        .map(|entry| {
            let mut entry = marked(by_hand(entry), chance.pick(&[0, 1, 2, 3]));
            if chance.below(3) == 0 {
                entry.has |= Has::LABELS;
                entry.labels[0] = 1 << chance.below(3);
            }
            if chance.below(3) == 0 {
                entry.has |= Has::STATUS;
                entry.status = Status::SEEN_REPLY | Status::ASSURED;
            }
            entry
        })
        .collect();
    let _ = conntrack.update_entries(&changed).unwrap();
    let gone: Vec<Entry> = chance.some(entries, 3).iter().map(by_hand).collect();
    let _ = conntrack.delete_entries(&gone).unwrap();
}

/// What filters of a watch, which the kernel is given as far as it understands them, let through is what they select of all that one
/// without filters is told.
#[test]
fn a_filter_in_the_kernel_drops_nothing_that_is_selected() {
    const ROUNDS: usize = 8;
    const SETS: usize = 16;
    netns(|| {
        let mut chance = Chance::seeded();
        table::allow_labels();
        let entries = table::mixed();
        let mut conntrack = Conntrack::open().unwrap();
        // While somebody listens: else they would be silent for ever.
        let _listener = Watch::open(WatchOptions::new(), &[]).unwrap();
        create(&mut conntrack, &entries);
        let listed = all(&mut conntrack);
        let [mut told, mut received] = [0; 2];
        for _ in 0..ROUNDS {
            let sets: Vec<Vec<Filter>> = (0..SETS)
                .map(|_| {
                    (0..chance.pick(&[1, 1, 2, 3, 10]))
                        .map(|_| {
                            let entry = chance.pick(&listed);
                            like(&mut chance, &entry)
                        })
                        .collect()
                })
                .collect();
            let open = |options: fn() -> WatchOptions| {
                sets.iter().map(|set| Watch::open(options(), set).unwrap()).collect::<Vec<Watch>>()
            };
            let (mut plain, mut synced) = (open(WatchOptions::new), open(|| WatchOptions::new().with_sync()));
            let mut everything = Watch::open(WatchOptions::new(), &[]).unwrap();
            for _ in 0..3 {
                churn(&mut chance, &mut conntrack, &entries);
            }
            let events = waiting(&mut everything);
            for (set, watch) in sets.iter().zip(&mut plain) {
                let selection = Selection::new(set).unwrap();
                let entry_of = |event: &Event| match event.change {
                    Change::New(entry) | Change::Update(entry) | Change::Destroy(entry) => entry,
                    other => panic!("{other:?}"),
                };
                let selected = events.iter().filter(|event| selection.selects(&entry_of(event)));
                let wanted: Vec<Change> = selected.map(|event| event.change).collect();
                let heard: Vec<Change> = waiting(watch).iter().map(|event| event.change).collect();
                assert!(heard == wanted, "{} heard, {} wanted: {set:#?}", heard.len(), wanted.len());
                told += heard.len() as u64;
                received += watch.info().unwrap().received;
            }
            for (set, watch) in sets.iter().zip(&mut synced) {
                let mut mirror = Mirror::default();
                waiting(watch).iter().for_each(|event| mirror.hear(event));
                assert!(mirror.synced > 0 && watch.info().unwrap().is_synced);
                let of = |e: &Entry| (e.id, e.mark, e.status, e.labels, e.orig, e.reply);
                let listed = conntrack.list(set).unwrap();
                let listed: BTreeMap<u32, Entry> = listed.iter().map(|e| (e.id, *e)).collect();
                let (told, is): (Vec<_>, Vec<_>) =
                    (mirror.table.values().map(of).collect(), listed.values().map(of).collect());
                type Told = (u32, u32, Status, [u8; 16], Tuple, Tuple);
                let only = |a: &[Told], b: &[Told]| a.iter().filter(|e| !b.contains(e)).copied().collect::<Vec<Told>>();
                let (more, less) = (only(&told, &is), only(&is, &told));
                assert!(
                    more.is_empty() && less.is_empty(),
                    "{set:#?}\nmore: {more:?}\nless: {less:?}\n{:?}",
                    watch.info()
                );
            }
            assert!(events.len() > 200, "{} events", events.len());
        }
        println!("{told} told of {received} that passed");
        assert!(told > 1000 && received < told * 3 / 2, "{told} told of {received} that passed");
    });
}

/// The limit of what sockets of this network namespace may take for filters, in bytes. `false`: it is that of the machine (up to 6.7).
fn limit_filters(bytes: u32) -> bool {
    std::fs::write("/proc/sys/net/core/optmem_max", bytes.to_string()).is_ok()
}

#[test]
fn filters_that_are_too_many_for_the_kernel_are_tested_less() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let service = |number: u16| {
            let [high, low] = number.to_be_bytes();
            let address = Prefix::from(IpAddr::from([10, 1, high, low]));
            Filter::new().with_proto(Proto::UDP).with_orig_dst(address).with_orig_dport(53)
        };
        let mut passed = |count: u16| {
            let filters: Vec<Filter> = (0..count).map(service).collect();
            let mut watch = Watch::open(WatchOptions::new(), &filters).unwrap();
            create(
                &mut conntrack,
                &[
                    udp("10.0.0.1", 1, "10.1.0.2", 53),
                    udp("10.0.0.1", 1, "10.2.0.2", 53),
                    udp("10.0.0.1", 1, "10.1.0.2", 54),
                    tcp("10.0.0.1", 1, "10.1.0.2", 53),
                ],
            );
            let told = waiting(&mut watch);
            assert_eq!(kinds(&told), [1, 0, 0, 0]);
            let received = watch.info().unwrap().received;
            drop(watch);
            conntrack.flush_all().unwrap();
            received
        };
        // As many as all kernels take; more than any one takes: what they have in common.
        assert_eq!((passed(400), passed(4000)), (1, 2));
        if !limit_filters(131_072) {
            return;
        }
        assert_eq!((passed(400), passed(2500)), (1, 1));
        assert!(limit_filters(20_480));
        assert_eq!((passed(400), passed(2500)), (1, 2));
        // Nothing.
        assert!(limit_filters(300));
        assert_eq!((passed(400), passed(3)), (4, 4));
    });
}

/// All that there is to tell, without waiting for more.
fn waiting(watch: &mut Watch) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let before = events.len();
        watch.next_batch(&mut events, 256, Some(Duration::ZERO)).unwrap();
        if events.len() == before && !readable(watch) {
            return events;
        }
    }
}

#[test]
fn a_watch_can_be_handed_to_another_thread_and_its_events_taken_one_by_one() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let mut watch = Watch::open(WatchOptions::new().with_sync(), &[]).unwrap();
        let remote = watch.remote();
        create(&mut conntrack, &[lasting(udp("10.0.0.1", 1, "10.0.0.2", 53))]);
        let netns = own_netns();
        let told = std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                enter(&netns);
                let mut told = Vec::new();
                for event in watch.iter() {
                    told.push(event.unwrap());
                    if told.len() == 2 {
                        remote.wake();
                    }
                }
                told
            });
            reader.join().unwrap()
        });
        assert_eq!(told.iter().map(|event| event.number).collect::<Vec<_>>(), [1, 2]);
        assert!(told.iter().any(|event| matches!(event.change, Change::Synced)));
    });
}

#[test]
fn a_watch_that_is_started_again_tells_nothing_of_what_it_heard_before() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let mut watch = Watch::open(WatchOptions::new(), &[zone(7)]).unwrap();
        let mut of =
            |port, zone| create(&mut conntrack, &[lasting(udp("10.0.0.1", port, "10.0.0.2", 53).in_zone(zone))]);
        of(1, 7);
        let before = drain(&mut watch);
        assert_eq!((kinds(&before), before[0].number), ([1, 0, 0, 0], 1));
        of(2, 7);
        of(2, 8);
        let [first, last] = [9, 1];
        let wrong = Filter { orig_sport: Some(first..=last), ..Filter::default() };
        assert!(watch.start(&[wrong]).is_err());
        assert_eq!(kinds(&drain(&mut watch)), [1, 0, 0, 0], "a filter that is wrong changes nothing");
        of(3, 7);
        of(3, 8);
        watch.start(&[zone(8)]).unwrap();
        of(4, 7);
        of(4, 8);
        let events = drain(&mut watch);
        assert!(
            matches!(events[..], [Event { change: Change::New(Entry { zone: 8, .. }), number: 3, .. }]),
            "{events:#?}"
        );
        assert_eq!(watch.info().unwrap().received, 1);
    });
}

#[test]
fn an_entry_enters_and_leaves_with_what_filters_ask_for_even_if_an_update_does_not_tell_all_of_it() {
    netns(|| {
        table::allow_labels();
        let mut conntrack = Conntrack::open().unwrap();
        let mut label = [0; 16];
        label[0] = 1;
        let filter = Filter {
            labels: Some(Masked { value: label, mask: label }),
            mark: Some(Masked { value: 7, mask: u32::MAX }),
            ..Filter::default()
        };
        // UPDATE is heard though it is not asked for: it decides what is selected.
        let kinds_asked = [EventKind::New, EventKind::Destroy];
        for options in [WatchOptions::new(), WatchOptions::new().with_kinds(kinds_asked)] {
            let mut watch = Watch::open(options.with_sync(), std::slice::from_ref(&filter)).unwrap();
            let flags_of = |watch: &mut Watch| -> Vec<(EventFlags, bool)> {
                let events = drain(watch);
                let of = |event: &Event| match event.change {
                    Change::New(_) => Some((event.flags, true)),
                    Change::Destroy(_) => Some((event.flags, false)),
                    _ => None,
                };
                events.iter().filter_map(of).collect()
            };
            assert!(flags_of(&mut watch).is_empty());
            let entry = lasting(udp("10.0.0.1", 1, "10.0.0.2", 53));
            create(&mut conntrack, &[entry]);
            let labelled = Entry { has: by_hand(&entry).has | Has::LABELS, labels: label, ..by_hand(&entry) };
            assert_eq!(changed_status(&mut conntrack, &labelled), 0);
            assert!(flags_of(&mut watch).is_empty());
            // The event has the mark, and not the labels.
            assert_eq!(changed_status(&mut conntrack, &marked(by_hand(&entry), 7)), 0);
            assert_eq!(flags_of(&mut watch), [(EventFlags::ENTERED, true)]);
            assert_eq!(changed_status(&mut conntrack, &marked(by_hand(&entry), 8)), 0);
            assert_eq!(flags_of(&mut watch), [(EventFlags::LEFT, false)]);
            assert_eq!(changed_status(&mut conntrack, &marked(by_hand(&entry), 7)), 0);
            assert_eq!(flags_of(&mut watch), [(EventFlags::ENTERED, true)]);
            let _ = conntrack.delete_entries(&[by_hand(&entry)]).unwrap();
            assert_eq!(flags_of(&mut watch), [(EventFlags::empty(), false)]);
        }
    });
}

#[test]
fn an_audit_finds_what_became_of_silent_entries_whatever_zones_they_have() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        // The kernel is silent about those that are made now. (With 2 it is too, unless somebody listens anywhere on this machine.)
        let set_mode = |mode: &str| std::fs::write("/proc/sys/net/netfilter/nf_conntrack_events", mode).unwrap();
        set_mode("0");
        let zone_of = |n: u16, has: Has| {
            let mut entry = lasting(udp("10.0.0.1", n, "10.0.0.2", 53));
            entry.has |= has;
            match has {
                Has::ORIG_ZONE => entry.orig.zone = 7,
                Has::REPLY_ZONE => entry.reply.zone = 7,
                _ => entry.zone = if has.is_empty() { 0 } else { 7 },
            }
            entry
        };
        let zones = [Has::empty(), Has::ZONE, Has::ORIG_ZONE, Has::REPLY_ZONE];
        let entries: Vec<Entry> = (0..40).map(|n| zone_of(n, zones[usize::from(n) % 4])).collect();
        create(&mut conntrack, &entries);
        set_mode("2");
        let listed = all(&mut conntrack);
        let options = WatchOptions::new().with_sync().with_audit(Duration::from_millis(50));
        let mut watch = Watch::open(options, &[]).unwrap();
        assert_eq!(drain(&mut watch).len(), 41);
        assert!(watch.info().unwrap().may_be_silent);
        let (gone, left) = listed.split_at(20);
        let _ = conntrack.delete_entries(gone).unwrap();
        let mut told = Vec::new();
        while told.len() < gone.len() {
            watch.next_batch(&mut told, 256, Some(Duration::from_secs(5))).unwrap();
        }
        let mut ids: Vec<u32> = told
            .iter()
            .map(|event| match event.change {
                Change::Destroy(entry) if event.flags == EventFlags::FOUND => entry.id,
                _ => panic!("{event:?}"),
            })
            .collect();
        ids.sort_unstable();
        let mut wanted: Vec<u32> = gone.iter().map(|entry| entry.id).collect();
        wanted.sort_unstable();
        assert_eq!(ids, wanted);
        let info = watch.info().unwrap();
        assert!(info.audited >= 40 && info.resyncs == 0 && info.is_synced && info.entries == left.len(), "{info:?}");
        let _ = conntrack.delete_entries(left).unwrap();
        while watch.info().unwrap().entries > 0 {
            watch.next_batch(&mut told, 256, Some(Duration::from_secs(5))).unwrap();
        }
        assert!(!watch.info().unwrap().may_be_silent);
    });
}

#[test]
fn a_watch_that_is_full_says_so_once_and_knows_the_table_when_there_is_room_again() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let entries: Vec<Entry> = (0..10).map(|n| lasting(udp("10.0.0.1", n, "10.0.0.2", 53))).collect();
        create(&mut conntrack, &entries);
        let mut watch = Watch::open(WatchOptions::new().with_sync().with_max_entries(5), &[]).unwrap();
        let (mut events, mut errors) = (Vec::new(), Vec::new());
        let mut read = |watch: &mut Watch, events: &mut Vec<Event>| {
            if let Err(error) = watch.next_batch(events, 256, Some(Duration::from_millis(300))) {
                errors.push(error.to_string());
            }
            errors.clone()
        };
        while read(&mut watch, &mut events).is_empty() {}
        (0..4).for_each(|_| drop(read(&mut watch, &mut events)));
        assert_eq!(
            read(&mut watch, &mut events),
            ["watch: there are more than 5 entries, and no more may be known; allow more, or watch fewer by filters"]
        );
        assert!(!watch.info().unwrap().is_synced);
        conntrack.flush_all().unwrap();
        create(&mut conntrack, &entries[..3]);
        while !watch.info().unwrap().is_synced {
            assert_eq!(read(&mut watch, &mut events).len(), 1);
        }
        let mut mirror = Mirror::default();
        events.iter().for_each(|event| mirror.hear(event));
        assert_eq!((mirror.table.len(), watch.info().unwrap().entries), (3, 3));
    });
}
