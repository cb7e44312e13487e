//! The everyday job, in both families, through both interfaces, with listed entries and with keys written by hand: make
//! three entries in an unused zone, list them, delete them one by one and together, and touch nothing else.

mod common;
use common::c::{c_filter, Changed, Handle};
use common::*;
use ctrack::*;

const GONE: i32 = -libc::ENOENT;

/// What the job needs of an interface.
trait Interface {
    fn free_zone(&mut self) -> u16;
    fn make(&mut self, entries: &[Entry]);
    fn list_zone(&mut self, zone: u16) -> Vec<Entry>;
    /// The status of each, and how many were deleted, gone and failed.
    fn remove(&mut self, entries: &[Entry]) -> (Vec<i32>, [u64; 3]);
}

impl Interface for Conntrack {
    fn free_zone(&mut self) -> u16 {
        self.find_free_zone(1..=65535).unwrap()
    }

    fn make(&mut self, entries: &[Entry]) {
        create(self, entries);
    }

    fn list_zone(&mut self, number: u16) -> Vec<Entry> {
        self.list(&[zone(number)]).unwrap()
    }

    fn remove(&mut self, entries: &[Entry]) -> (Vec<i32>, [u64; 3]) {
        let batch = self.delete_entries(entries).unwrap();
        let (status, outcome) = (batch.status(), batch.outcome);
        assert_eq!((outcome.matched, outcome.error), (entries.len() as u64, None));
        (status, [outcome.done, outcome.gone, outcome.failed])
    }
}

impl Interface for Handle {
    fn free_zone(&mut self) -> u16 {
        self.find_free_zone(1, 65535).unwrap().try_into().unwrap()
    }

    fn make(&mut self, entries: &[Entry]) {
        let made = self.create_entries(entries);
        assert_eq!((made.ret, made.result.done), (0, entries.len() as u64), "{made:?}");
        assert_eq!(made.status, vec![0; entries.len()]);
    }

    fn list_zone(&mut self, number: u16) -> Vec<Entry> {
        self.list(&[c_filter(&zone(number))]).unwrap()
    }

    fn remove(&mut self, entries: &[Entry]) -> (Vec<i32>, [u64; 3]) {
        let Changed { ret, status, result } = self.delete_entries(entries);
        assert_eq!((ret, self.error().as_str(), result.first_error), (0, "", 0));
        assert_eq!(result.matched, entries.len() as u64);
        (status, [result.done, result.gone, result.failed])
    }
}

#[derive(Clone, Copy)]
enum Keys {
    Listed,
    ByHand,
}

fn ipv4() -> [Entry; 3] {
    let ping = Entry::icmp_key(ip("1.1.1.1"), ip("2.2.2.2"), 8, 0, 3333).unwrap();
    [tcp("1.1.1.1", 1, "2.2.2.2", 2), udp("1.1.1.1", 4, "2.2.2.2", 5), lasting(ping)]
}

fn ipv6() -> [Entry; 3] {
    let ping = Entry::icmp_key(ip("fd00::1"), ip("fd00::2"), 128, 0, 3333).unwrap();
    [tcp("fd00::1", 1, "fd00::2", 2), udp("fd00::1", 4, "fd00::2", 5), lasting(ping)]
}

fn the_job(interface: &mut dyn Interface, three: [Entry; 3], keys: Keys) {
    // The same addresses are in use elsewhere: in no zone and in zones 1, 2 and 4.
    for taken in [0, 1, 2, 4] {
        interface.make(&three.map(|entry| entry.in_zone(taken)));
    }
    let others = cli_table();
    assert_eq!(others.len(), 12);

    let zone = interface.free_zone();
    assert_eq!(zone, 3, "the lowest zone that nobody uses");
    assert_eq!(interface.list_zone(zone), []);
    let three = three.map(|entry| entry.in_zone(zone));
    interface.make(&three);

    let listed = interface.list_zone(zone);
    assert_eq!(identities(&listed), identities(&three));
    let state = listed.iter().find(|entry| entry.proto == Proto::TCP).and_then(Entry::tcp_state);
    assert_eq!(state, Some(TcpState::ESTABLISHED));
    assert_eq!(ids(&listed), cli_ids(&["-w", "3"]));

    for each in &three {
        let before = interface.list_zone(zone);
        let victim = before.iter().find(|entry| identity(entry) == identity(each)).unwrap();
        let key = match keys {
            Keys::Listed => *victim,
            Keys::ByHand => by_hand(each),
        };
        assert_eq!(key.has(Has::ID), matches!(keys, Keys::Listed));
        assert_eq!(interface.remove(&[key]), (vec![0], [1, 0, 0]));

        let mut rest = ids(&before);
        assert!(rest.remove(&victim.id));
        assert_eq!(ids(&interface.list_zone(zone)), rest, "exactly the two others stay");
        assert_eq!(cli_ids(&["-w", "3"]), rest);

        assert_eq!(interface.remove(&[key]), (vec![GONE], [0, 1, 0]), "gone is not a failure");
        assert_eq!(ids(&interface.list_zone(zone)), rest);
        interface.make(&[*each]);
    }

    let keys = match keys {
        Keys::Listed => interface.list_zone(zone),
        Keys::ByHand => three.iter().map(by_hand).collect(),
    };
    assert_eq!(interface.remove(&keys), (vec![0; 3], [3, 0, 0]));
    assert_eq!(interface.list_zone(zone), []);
    assert_eq!(interface.remove(&keys), (vec![GONE; 3], [0, 3, 0]));
    assert_eq!(cli_table(), others, "the same addresses in other zones were never touched");
}

#[test]
fn ipv4_entries_of_an_unused_zone_are_made_listed_and_deleted_through_rust_with_listed_entries() {
    netns(|| the_job(&mut Conntrack::open().unwrap(), ipv4(), Keys::Listed));
}

#[test]
fn ipv4_entries_of_an_unused_zone_are_made_listed_and_deleted_through_rust_with_keys_by_hand() {
    netns(|| the_job(&mut Conntrack::open().unwrap(), ipv4(), Keys::ByHand));
}

#[test]
fn ipv4_entries_of_an_unused_zone_are_made_listed_and_deleted_through_c_with_listed_entries() {
    netns(|| the_job(&mut Handle::open(), ipv4(), Keys::Listed));
}

#[test]
fn ipv4_entries_of_an_unused_zone_are_made_listed_and_deleted_through_c_with_keys_by_hand() {
    netns(|| the_job(&mut Handle::open(), ipv4(), Keys::ByHand));
}

#[test]
fn ipv6_entries_of_an_unused_zone_are_made_listed_and_deleted_through_rust_with_listed_entries() {
    netns(|| the_job(&mut Conntrack::open().unwrap(), ipv6(), Keys::Listed));
}

#[test]
fn ipv6_entries_of_an_unused_zone_are_made_listed_and_deleted_through_rust_with_keys_by_hand() {
    netns(|| the_job(&mut Conntrack::open().unwrap(), ipv6(), Keys::ByHand));
}

#[test]
fn ipv6_entries_of_an_unused_zone_are_made_listed_and_deleted_through_c_with_listed_entries() {
    netns(|| the_job(&mut Handle::open(), ipv6(), Keys::Listed));
}

#[test]
fn ipv6_entries_of_an_unused_zone_are_made_listed_and_deleted_through_c_with_keys_by_hand() {
    netns(|| the_job(&mut Handle::open(), ipv6(), Keys::ByHand));
}

#[test]
fn a_range_without_a_free_zone_says_so() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        assert_eq!(conntrack.find_free_zone(0..=0).unwrap(), 0, "nothing is in use yet");
        let entry = udp("1.1.1.1", 1, "2.2.2.2", 2);
        create(&mut conntrack, &[entry.in_zone(7), in_one_zone(entry, Has::ORIG_ZONE, 8)]);
        create(&mut conntrack, &[in_one_zone(udp("1.1.1.1", 2, "2.2.2.2", 2), Has::REPLY_ZONE, 65535)]);
        assert_eq!(conntrack.find_free_zone(0..=65535).unwrap(), 1, "the other direction of two entries is in zone 0");
        assert_eq!(conntrack.find_free_zone(7..=9).unwrap(), 9);
        assert_eq!(conntrack.find_free_zone(7..=8).unwrap_err().errno(), libc::ENOSPC);
        assert_eq!(conntrack.find_free_zone(65535..=65535).unwrap_err().errno(), libc::ENOSPC);
        let handle = Handle::open();
        assert_eq!(handle.find_free_zone(0, 65535), Ok(1));
        assert_eq!(handle.find_free_zone(7, 8), Err(-libc::ENOSPC));
        assert_eq!(handle.find_free_zone(9, 8), Err(-libc::EINVAL));
        assert_eq!(handle.find_free_zone(0, 65536), Err(-libc::EINVAL));
        assert!(handle.error().contains("last"), "{}", handle.error());
    });
}
