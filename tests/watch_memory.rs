//! How much memory a watch with a list takes at most: while it lists, lists again, grows and hands over. And that it sleeps while nothing
//! happens.
//!
//! `CTRACK_ENTRIES=1000000 cargo test --test watch_memory` tries a million, where nf_conntrack_max allows so many.

#![allow(unsafe_code, reason = "an allocator that counts")]

mod common;

use common::netns;
use ctrack::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

thread_local! {
    /// What this thread holds, and the most that it held, in bytes.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

struct Counting;

fn note(bytes: isize) {
    let (held, most) = HELD.get();
    HELD.set((held + bytes, most.max(held + bytes)));
}

fn size(bytes: usize) -> isize {
    isize::try_from(bytes).unwrap_or(isize::MAX)
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(size(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        note(-size(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new: usize) -> *mut u8 {
        // Both are there while one is copied into the other.
        note(size(new));
        note(-size(layout.size()));
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, new) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// The most that this thread held during something, beyond what it held before.
fn most_held<T>(work: impl FnOnce() -> T) -> (isize, T) {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    let result = work();
    (HELD.get().1 - before, result)
}

fn entry(number: u32) -> Entry {
    let (src, dst) = (Ipv4Addr::from(0x0a00_0000 | number), Ipv4Addr::new(192, 0, 2, 1));
    let mut entry = Entry::key(Proto::UDP, IpAddr::V4(src), 4000, IpAddr::V4(dst), 53).unwrap();
    entry.has |= Has::TIMEOUT;
    entry.timeout = 3600;
    entry
}

/// In a thread of its own, whose memory is not counted; as many at once as take little of it.
fn elsewhere(work: impl FnOnce(&mut Conntrack) + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| work(&mut Conntrack::open().unwrap()));
    });
}

fn create(numbers: std::ops::Range<u32>) {
    elsewhere(|conntrack| {
        for first in numbers.clone().step_by(4096) {
            let some: Vec<Entry> = (first..numbers.end.min(first + 4096)).map(entry).collect();
            assert_eq!(conntrack.create_entries(&some).unwrap().outcome.failed, 0);
        }
    });
}

/// Reads until the watch says that what it told adds up, and how many entries it told until then.
fn synced(watch: &mut Watch, events: &mut Vec<Event>) -> [u32; 2] {
    let (mut told, begun) = ([0; 2], Instant::now());
    while begun.elapsed() < Duration::from_secs(300) {
        watch.next_batch(events, 256, Some(Duration::from_secs(1))).unwrap();
        for event in events.drain(..) {
            match event.change {
                Change::New(_) => told[0] += 1,
                Change::Destroy(_) => told[1] += 1,
                Change::Synced => return told,
                _ => {}
            }
        }
    }
    panic!("not synced, {told:?}");
}

#[test]
fn a_watch_with_a_list_holds_at_most_96_bytes_an_entry_and_16_mib() {
    let wanted: u32 = std::env::var("CTRACK_ENTRIES").map_or(100_000, |text| text.parse().unwrap());
    netns(move || {
        let (first, all) = (wanted / 2, wanted);
        create(0..first);
        let mut events = Vec::with_capacity(256);
        let (most, (one, two, three, entries)) = most_held(|| {
            let mut watch = Watch::open(WatchOptions::new().with_sync(), &[]).unwrap();
            let one = synced(&mut watch, &mut events);
            // Some are in the queue, what does not fit is lost, and found by the next list.
            create(first..all);
            watch.resync();
            let two = synced(&mut watch, &mut events);
            // Half of them go, and come anew.
            elsewhere(|conntrack| {
                conntrack.flush_all().unwrap();
            });
            create(first..all);
            watch.resync();
            let three = synced(&mut watch, &mut events);
            (one, two, three, watch.info().unwrap().entries)
        });
        assert_eq!((one, two), ([first, 0], [all - first, 0]));
        assert_eq!(i64::from(three[0]) - i64::from(three[1]), -i64::from(first));
        assert_eq!(entries, (all - first) as usize);
        let limit = 96 * all as isize + (16 << 20);
        println!("{most} bytes for {all} entries: {} an entry", most / all as isize);
        assert!(most <= limit, "{most} bytes for {all} entries: {} an entry", most / all as isize);
        // Otherwise it was not measured.
        assert!(most >= 60 * all as isize, "{most} bytes");
    });
}

/// How often this thread went to sleep.
fn sleeps() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    line.trim().parse().unwrap()
}

#[test]
fn a_watch_sleeps_without_a_break_while_nothing_happens() {
    netns(|| {
        for options in [WatchOptions::new(), WatchOptions::new().with_sync()] {
            let mut watch = Watch::open(options.with_enable(), &[]).unwrap();
            let mut events = Vec::with_capacity(256);
            // What there is to do at first.
            while watch.next_batch(&mut events, 256, Some(Duration::from_millis(100))).is_ok() && !events.is_empty() {
                events.clear();
            }
            let before = sleeps();
            watch.next_batch(&mut events, 256, Some(Duration::from_millis(2500))).unwrap();
            let slept = sleeps() - before;
            assert!(events.is_empty(), "{events:?}");
            // Once is to be expected; a lock of somebody's in the kernel may be another time.
            assert!((1..=3).contains(&slept), "went to sleep {slept} times");
        }
    });
}
