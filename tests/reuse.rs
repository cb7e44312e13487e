//! Successors: entries with the tuple, the zone and perhaps even the id of one that was listed before.

mod common;
use common::*;
use ctrack::*;

/// A listed entry with a start time, and the same as if it had been made a second earlier.
fn listed(conntrack: &mut Conntrack) -> (Entry, Entry) {
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_timestamp", "1").unwrap();
    create(conntrack, &[udp("1.1.1.1", 1, "2.2.2.2", 53)]);
    let entry = all(conntrack)[0];
    assert!(entry.has(Has::START | Has::ID));
    (entry, Entry { start_ns: entry.start_ns - 1_000_000_000, ..entry })
}

#[test]
fn a_successor_with_the_same_id_stays_if_start_times_are_compared() {
    netns(|| {
        let mut careful = Conntrack::open().unwrap();
        careful.compare_start(true);
        let (entry, predecessor) = listed(&mut careful);
        assert_eq!(careful.delete_entries(&[predecessor]).unwrap().status(), [-libc::ENOENT]);
        assert_eq!(ids(&all(&mut careful)), ids(&[entry]));
        assert_eq!(careful.delete_entries(&[entry]).unwrap().status(), [0]);
        assert_eq!(all(&mut careful), []);
    });
}

#[test]
fn deletes_by_filter_and_flushes_still_take_their_entries_if_start_times_are_compared() {
    netns(|| {
        let mut options = OpenOptions::default();
        options.compare_start = true;
        let mut careful = Conntrack::open_with(&options).unwrap();
        listed(&mut careful);
        let filter = Filter { proto: Some(Proto::UDP), ..Filter::default() };
        let outcome = careful.delete_uncounted(&[filter]).unwrap();
        assert_eq!((outcome.done, outcome.uncounted), (1, false), "nobody looks at start times in a flush");
        create(&mut careful, &[udp("1.1.1.1", 2, "2.2.2.2", 53)]);
        let scope = Filter { family: Some(Family::IPV4), ..Filter::default() };
        assert_eq!(careful.flush(&scope).unwrap().done, 1);
    });
}

#[test]
fn without_the_option_the_id_decides() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let (entry, predecessor) = listed(&mut conntrack);
        let other = Entry { id: entry.id ^ 1, ..entry };
        assert_eq!(conntrack.delete_entries(&[other]).unwrap().status(), [-libc::ENOENT]);
        assert_eq!(conntrack.delete_entries(&[predecessor]).unwrap().status(), [0]);
    });
}
