//! Watching the kernel: what is told, what is counted as lost, and that it adds up to the table.
#![allow(unsafe_code, reason = "poll(2)")]

mod common;
use common::*;
use ctrack::*;
use std::collections::BTreeMap;
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
    table: BTreeMap<u32, Entry>,
    synced: u32,
    lost: u32,
}

impl Mirror {
    fn hear(&mut self, event: &Event) {
        match event.change {
            Change::New(entry) => assert!(self.table.insert(entry.id, entry).is_none(), "{event:?}"),
            Change::Update(entry) => assert!(self.table.insert(entry.id, entry).is_some(), "{event:?}"),
            Change::Destroy(entry) => assert!(self.table.remove(&entry.id).is_some(), "{event:?}"),
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
                assert_eq!(mirror.table.keys().copied().collect::<std::collections::BTreeSet<u32>>(), cli_ids(&[]));
                assert_eq!(watch.info().unwrap().entries, listed.len());
            });
            Conntrack::open().unwrap().flush_all().unwrap();
        }
    });
}

#[test]
fn a_waker_ends_a_wait_and_the_descriptor_says_when_there_is_something() {
    netns(|| {
        let mut watch = Watch::open(WatchOptions::new(), &[]).unwrap();
        let mut events = Vec::new();
        watch.next_batch(&mut events, 1, Some(Duration::ZERO)).unwrap();
        let readable = |watch: &Watch| {
            use std::os::fd::{AsFd, AsRawFd};
            let mut poll = libc::pollfd { fd: watch.as_fd().as_raw_fd(), events: libc::POLLIN, revents: 0 };
            // SAFETY: one valid pollfd.
            unsafe { libc::poll(&mut poll, 1, 0) == 1 }
        };
        assert!(!readable(&watch));
        let waker = watch.waker();
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
