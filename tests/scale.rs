//! A hundred thousand entries, exact to the last one, and single failures among many.

mod common;
use common::c::{c_filter, open_opts, Handle};
use common::*;
use ctrack::*;
use ctrack_c::ct_open_opts;
use std::collections::HashSet;

const MANY: u32 = 100_000;

/// The n-th of the many: ten thousand hosts, ten ports each, marks 0 to 9, every fourth in zone 7, every third IPv6.
fn nth(n: u32) -> Entry {
    let (host, port) = (n / 10, 1000 + (n % 10) as u16);
    let entry = if n % 3 == 0 {
        udp(&format!("fd00::{host:x}"), port, "fd01::1", 53)
    } else {
        udp(&format!("10.0.{}.{}", host / 256, host % 256), port, "10.1.0.1", 53)
    };
    marked(entry.in_zone(if n % 4 == 0 { 7 } else { 0 }), n % 10)
}

/// What tells the many apart.
fn number(e: &Entry) -> u32 {
    let host = match e.family {
        Family::IPV4 => u32::from(e.orig.src[2]) << 8 | u32::from(e.orig.src[3]),
        _ => u32::from(e.orig.src[14]) << 8 | u32::from(e.orig.src[15]),
    };
    let n = host * 10 + u32::from(e.orig.sport) - 1000;
    assert_eq!(identity(e), identity(&nth(n)));
    n
}

fn numbers<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> HashSet<u32> {
    let mut set = HashSet::new();
    for entry in entries {
        assert!(set.insert(number(entry)), "{entry:?} comes twice");
    }
    set
}

/// Makes the many in small steps, so that the process stays small.
fn fill(conntrack: &mut Conntrack) {
    for start in (0..MANY).step_by(1000) {
        create(conntrack, &(start..start + 1000).map(nth).collect::<Vec<_>>());
    }
}

#[test]
fn a_hundred_thousand_entries_are_created_listed_streamed_counted_and_deleted_exactly() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let many: Vec<_> = (0..MANY).map(nth).collect();
        let made = conntrack.create_entries(&many).unwrap();
        assert!(made.status().iter().all(|status| *status == 0));
        assert_eq!((made.outcome.done, made.outcome.failed), (MANY.into(), 0));
        assert_eq!(cli_count(), MANY.into());
        assert_eq!(conntrack.count().unwrap(), MANY.into());

        let every: HashSet<u32> = (0..MANY).collect();
        assert_eq!(numbers(&all(&mut conntrack)), every);
        let streamed = conntrack.stream(&[]).unwrap().fold(HashSet::new(), |mut set, entry| {
            assert!(set.insert(number(&entry.unwrap())));
            set
        });
        assert_eq!(streamed, every);

        // Every fourth, and of the rest those with marks 3 and 5, but no IPv6 one.
        let mark = |value| Filter { mark: Some(Masked { value, mask: u32::MAX }), ..Filter::default() };
        let not_v6 = Filter { exclude: true, family: Some(Family::IPV6), ..Filter::default() };
        let filters = [zone(7), mark(3), mark(5), not_v6];
        let chosen = |n: u32| (n % 4 == 0 || n % 10 == 3 || n % 10 == 5) && n % 3 != 0;
        let expected: HashSet<u32> = (0..MANY).filter(|n| chosen(*n)).collect();
        assert_eq!(numbers(&conntrack.list(&filters).unwrap()), expected);
        let outcome = conntrack.delete(&filters).unwrap();
        assert_eq!((outcome.matched, outcome.done), (expected.len() as u64, expected.len() as u64));
        let left = u64::from(MANY) - expected.len() as u64;
        assert_eq!((cli_count(), conntrack.count().unwrap()), (left, left));
        let rest = all(&mut conntrack);
        assert_eq!(numbers(&rest), &every - &expected);

        // The rest, half of them by their ids, half by hand, and all those that are gone as well.
        let mut keys: Vec<_> = many.iter().map(by_hand).filter(|key| chosen(number(key))).collect();
        keys.extend(rest.iter().enumerate().map(|(at, entry)| if at % 2 == 0 { *entry } else { by_hand(entry) }));
        let outcome = conntrack.delete_entries(&keys).unwrap();
        for (key, status) in keys.iter().zip(&outcome.status()) {
            assert_eq!(*status, if chosen(number(key)) { -libc::ENOENT } else { 0 });
        }
        assert_eq!((outcome.outcome.done, outcome.outcome.gone, outcome.outcome.failed), (left, MANY as u64 - left, 0));
        assert_eq!((cli_count(), conntrack.count().unwrap()), (0, 0));
    });
}

#[test]
fn a_hundred_thousand_entries_are_updated_and_flushed_exactly() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        fill(&mut conntrack);
        let change: Vec<_> = (0..MANY).step_by(2).map(|n| marked(by_hand(&nth(n)), 1000 + n % 7)).collect();
        let updated = conntrack.update_entries(&change).unwrap();
        assert_eq!((updated.outcome.done, updated.outcome.gone, updated.outcome.failed), (50_000, 0, 0));
        for entry in all(&mut conntrack) {
            let n = number(&entry);
            assert_eq!(entry.mark, if n % 2 == 0 { 1000 + n % 7 } else { n % 10 });
        }
        let outcome = conntrack.flush(&zone(7)).unwrap();
        let done = if outcome.uncounted { 0 } else { 25_000 };
        assert_eq!((outcome.matched, outcome.done, outcome.failed), (done, done, 0));
        assert_eq!(cli_count(), 75_000);
        assert!(all(&mut conntrack).iter().all(|entry| entry.zone == 0));
        conntrack.flush_all().unwrap();
        assert_eq!(cli_count(), 0);
    });
}

#[test]
fn an_entry_that_two_walks_bring_is_listed_streamed_and_deleted_once() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        // So many that a walk for each filter is cheaper than one for both, even of the largest table of buckets.
        let many: Vec<_> = (0..12_000u16)
            .map(|n| udp(&format!("10.0.0.{}", n % 6), 1000 + n, &format!("10.1.0.{}", n % 15), 53))
            .collect();
        create(&mut conntrack, &many);
        let from = |f: &mut Filter| f.orig_src = Some(ip("10.0.0.1").into());
        let to = |f: &mut Filter| f.orig_dst = Some(ip("10.1.0.1").into());
        let mut both = [Filter::default(), Filter::default()];
        from(&mut both[0]);
        to(&mut both[1]);
        assert_eq!(conntrack.explain(&both).unwrap().dumps, 2);
        // 2,000 from the one and 800 to the other, 400 of them from the one to the other.
        let listed = conntrack.list(&both).unwrap();
        assert_eq!((listed.len(), ids(&listed).len()), (2_400, 2_400));
        let streamed: Vec<_> = conntrack.stream(&both).unwrap().map(Result::unwrap).collect();
        assert_eq!((streamed.len(), ids(&streamed)), (2_400, ids(&listed)));
        let outcome = conntrack.delete(&both).unwrap();
        assert_eq!((outcome.matched, outcome.done, outcome.gone), (2_400, 2_400, 0));
        assert_eq!(cli_count(), 9_600);
        assert!(conntrack.list(&both).unwrap().is_empty());
    });
}

/// The most memory that this process ever held, since the last [`forget_peak`], in kB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

#[test]
fn streaming_a_hundred_thousand_entries_takes_the_same_memory_as_streaming_a_few() {
    alone_in_netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let handle = Handle::open();
        fill(&mut conntrack);
        forget_peak();
        let before = peak();
        assert_eq!(conntrack.stream(&[]).unwrap().map(Result::unwrap).count(), MANY as usize);
        handle.dump_start(&[]).unwrap();
        let mut seen = 0;
        loop {
            let next = handle.dump_next(64).unwrap().len();
            if next == 0 {
                break;
            }
            seen += next;
        }
        assert_eq!(seen, MANY as usize);
        let streamed = peak() - before;
        assert!(streamed < 8 * 1024, "{streamed} kB more while streaming");
        // The meter works: all of them at once take 256 bytes each.
        assert_eq!(all(&mut conntrack).len(), MANY as usize);
        let listed = peak() - before;
        assert!(listed > 24 * 1024, "{listed} kB more while listing");
    });
}

/// First, middle and last of a batch of 128; the ends of several; alone; and all.
fn failures() -> Vec<(usize, Vec<usize>)> {
    vec![
        (128, vec![0]),
        (128, vec![64]),
        (128, vec![127]),
        (128, vec![0, 64, 127]),
        (128, (0..128).collect()),
        (129, vec![128]),
        (1, vec![0]),
        (1000, vec![0, 63, 64, 127, 128, 129, 255, 256, 511, 512, 640, 998, 999]),
        (1000, (0..1000).step_by(3).collect()),
        (1000, (0..1000).collect()),
    ]
}

fn wanted(count: usize, failing: &[usize], errno: i32) -> Vec<i32> {
    (0..count).map(|at| if failing.contains(&at) { -errno } else { 0 }).collect()
}

#[test]
fn a_failing_create_does_not_stop_the_others_and_its_status_is_its_own() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        for (count, failing) in failures() {
            let entries: Vec<_> = (0..count as u32).map(nth).collect();
            let taken: Vec<_> = failing.iter().map(|at| entries[*at]).collect();
            create(&mut conntrack, &taken);
            let made = conntrack.create_entries(&entries).unwrap();
            assert_eq!(made.status(), wanted(count, &failing, libc::EEXIST));
            let o = made.outcome;
            let failed = failing.len() as u64;
            assert_eq!((o.matched, o.done, o.gone, o.failed), (count as u64, count as u64 - failed, 0, failed));
            assert_eq!(o.error.unwrap().errno(), libc::EEXIST);
            assert_eq!(numbers(&all(&mut conntrack)), (0..count as u32).collect());
            conntrack.flush_all().unwrap();
        }
    });
}

#[test]
fn different_failures_in_one_batch_keep_their_own_statuses() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        create(&mut conntrack, &[nth(5), nth(500)]);
        let mut entries: Vec<_> = (0..600).map(nth).collect();
        let mut expected = vec![0; 600];
        (expected[5], expected[500]) = (-libc::EEXIST, -libc::EEXIST);
        for at in [0, 127, 128, 300, 599] {
            entries[at] = helped(entries[at], "no-such-helper");
            expected[at] = -libc::EOPNOTSUPP;
        }
        let made = conntrack.create_entries(&entries).unwrap();
        assert_eq!(made.status(), expected);
        assert_eq!((made.outcome.done, made.outcome.failed), (593, 7));
        assert_eq!(made.outcome.error.unwrap().errno(), libc::EOPNOTSUPP, "the first of them");
        assert_eq!(cli_count(), 595);
    });
}

#[test]
fn a_delete_of_what_is_gone_does_not_stop_the_others() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        for (count, failing) in failures() {
            for with_ids in [false, true] {
                create(&mut conntrack, &(0..count as u32).map(nth).collect::<Vec<_>>());
                let mut keys = all(&mut conntrack);
                keys.sort_by_key(number);
                if !with_ids {
                    keys.iter_mut().for_each(|key| *key = by_hand(key));
                }
                let gone: Vec<_> = failing.iter().map(|at| keys[*at]).collect();
                assert_eq!(conntrack.delete_entries(&gone).unwrap().outcome.done, gone.len() as u64);
                let deleted = conntrack.delete_entries(&keys).unwrap();
                assert_eq!(deleted.status(), wanted(count, &failing, libc::ENOENT));
                let (o, gone) = (deleted.outcome, gone.len() as u64);
                assert_eq!((o.matched, o.done, o.gone, o.failed), (count as u64, count as u64 - gone, gone, 0));
                assert_eq!((o.error, cli_count()), (None, 0));
            }
        }
    });
}

#[test]
fn an_update_of_what_is_gone_does_not_stop_the_others() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        for (count, failing) in failures() {
            let there = (0..count).filter(|at| !failing.contains(at)).map(|at| nth(at as u32));
            create(&mut conntrack, &there.collect::<Vec<_>>());
            let changes: Vec<_> = (0..count as u32).map(|n| marked(by_hand(&nth(n)), 77)).collect();
            let updated = conntrack.update_entries(&changes).unwrap();
            assert_eq!(updated.status(), wanted(count, &failing, libc::ENOENT));
            let (o, gone) = (updated.outcome, failing.len() as u64);
            assert_eq!((o.matched, o.done, o.gone, o.failed), (count as u64, count as u64 - gone, gone, 0));
            let marks = all(&mut conntrack).iter().filter(|entry| entry.mark == 77).count();
            assert_eq!(marks, count - failing.len());
            conntrack.flush_all().unwrap();
        }
    });
}

#[test]
fn an_empty_batch_does_nothing() {
    netns(|| {
        let h = Handle::open();
        assert_eq!(h.create_entries(&[nth(1)]).ret, 0);
        for changed in [h.create_entries(&[]), h.update_entries(&[]), h.delete_entries(&[])] {
            let r = changed.result;
            assert_eq!((changed.ret, r.matched, r.done, r.gone, r.failed), (0, 0, 0, 0, 0));
        }
        assert_eq!(h.count(), Ok(1));
    });
}

#[test]
fn the_smallest_receive_buffer_loses_nothing_without_saying_so() {
    netns(|| {
        let h = Handle::open_with(&ct_open_opts { rcvbuf: 1, timeout_ms: 60_000, ..open_opts() }).unwrap();
        let entries: Vec<_> = (0..1000).map(nth).collect();
        assert_eq!(h.create_entries(&entries).ret, 0);
        assert_eq!(numbers(&h.list(&[]).unwrap()), (0..1000).collect());
        // All refused: the replies of a batch do not fit. What is not known must not be called done.
        let again = h.create_entries(&entries);
        assert!(again.status.iter().all(|status| [-libc::EEXIST, -libc::ENOBUFS, -libc::ECANCELED].contains(status)));
        assert_eq!((again.result.done, again.result.failed), (0, 1000), "{}", h.error());
        // And the handle is as good as before.
        assert_eq!(h.delete(&[c_filter(&zone(7))]).1.done, 250);
        assert_eq!(h.count(), Ok(750));
    });
}
