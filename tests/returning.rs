//! Deletes that hand over what they deleted, and those that only say what they would.

mod common;

use common::c::{c_filter, Handle};
use common::*;
use ctrack::*;
use ctrack_c::abi::CT_DELETE_DRY_RUN;
use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn set(name: &str, value: &str) {
    std::fs::write(format!("/proc/sys/net/netfilter/nf_conntrack_{name}"), value).unwrap();
}

fn entries(zone: u16, count: u16) -> Vec<Entry> {
    (1..=count).map(|port| udp("10.0.0.1", port, "10.0.0.2", 53).in_zone(zone)).collect()
}

#[test]
fn what_is_handed_over_is_what_the_kernel_says_was_deleted_by_us_while_entries_are_replaced() {
    netns(|| {
        set("events", "1");
        let mut events = Watch::open(WatchOptions::new().with_kinds([EventKind::Destroy]), &[]).unwrap();
        let mut conntrack = Conntrack::open().unwrap();
        create(&mut conntrack, &entries(7, 3000));
        let stop = AtomicBool::new(false);
        let netns = own_netns();
        let port = conntrack.port();
        let (mut handed, mut told) = (BTreeMap::new(), BTreeMap::new());
        std::thread::scope(|scope| {
            let (told, stop) = (&mut told, &stop);
            scope.spawn(move || {
                let mut batch = Vec::new();
                loop {
                    let last = stop.load(Ordering::Relaxed);
                    events.next_batch(&mut batch, 256, Some(Duration::from_millis(100))).unwrap();
                    if last && batch.is_empty() {
                        break;
                    }
                    for event in batch.drain(..) {
                        match event.change {
                            Change::Destroy(entry) if event.port == port => {
                                *told.entry((entry.id, identity(&entry))).or_insert(0) += 1;
                            }
                            Change::Lost(_) => panic!("events were lost: {event:?}"),
                            _ => {}
                        }
                    }
                }
            });
            let netns = &netns;
            scope.spawn(move || {
                enter(netns);
                // Others with the same tuples, in the same memory.
                let mut other = Conntrack::open().unwrap();
                let all = entries(7, 3000);
                for part in all.chunks(50).cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let keys: Vec<Entry> = part.iter().map(by_hand).collect();
                    let _ = other.delete_entries(&keys).unwrap();
                    let _ = other.create_entries(part).unwrap();
                }
            });
            for _ in 0..40 {
                let deleted = conntrack.delete_returning(&[zone(7)], 1000).unwrap();
                assert_eq!(deleted.entries.len() as u64, deleted.outcome.done, "{:?}", deleted.outcome);
                for entry in deleted.entries {
                    *handed.entry((entry.id, identity(&entry))).or_insert(0) += 1;
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        let total: i32 = handed.values().sum();
        assert!(total > 3000, "{total} were handed over");
        assert!(handed == told, "{total} were handed over, and the kernel tells of {}", told.values().sum::<i32>());
    });
}

#[test]
fn packets_and_bytes_are_those_of_the_end_where_the_kernel_says_it_and_left_out_elsewhere() {
    netns(|| {
        loopback_up();
        nft("table inet t {\n chain o { type filter hook output priority 0;\n ct state new accept;\n }\n}\n");
        set("acct", "1");
        let mut conntrack = Conntrack::open().unwrap();
        let to_port = |port| [Filter::new().with_proto(Proto::UDP).with_orig_dport(port)];
        for (mode, port) in [("1", 5001), ("0", 5002)] {
            set("events", mode);
            let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
            for _ in 0..5 {
                while socket.send_to(b"four", ("127.0.0.1", port)).is_err() {}
            }
            let listed = conntrack.list(&to_port(port)).unwrap();
            assert_eq!((listed.len(), listed[0].orig_counters.packets), (1, 5));
            let deleted = conntrack.delete_returning(&to_port(port), 10).unwrap();
            assert_eq!((deleted.entries.len(), deleted.more), (1, false));
            let entry = &deleted.entries[0];
            assert_eq!((entry.id, identity(entry)), (listed[0].id, identity(&listed[0])));
            if mode == "1" {
                assert_eq!((entry.has(Has::ORIG_COUNTERS), entry.orig_counters), (true, Counters { packets: 5, bytes: 160 }));
                assert!(entry.status.contains(Status::DYING), "{entry:?}");
            } else {
                assert!(!entry.has.intersects(Has::ORIG_COUNTERS | Has::REPLY_COUNTERS), "{entry:?}");
                assert_eq!(entry.orig_counters, Counters::default());
            }
        }
    });
}

#[test]
fn what_there_is_no_room_for_stays_and_the_next_call_takes_it() {
    netns(|| {
        let (h, filter) = (Handle::open(), [c_filter(&zone(7))]);
        assert_eq!(h.create_entries(&entries(7, 1000)).ret, 0);
        assert_eq!(h.create_entries(&entries(8, 10)).ret, 0);
        let mut all = Vec::new();
        for (ret, left) in [(-libc::ENOSPC, 600), (-libc::ENOSPC, 200), (0, 0)] {
            let (returned, entries, result) = h.delete_returning(&filter, 0, 400);
            assert_eq!((returned, result.done, result.matched), (ret, entries.len() as u64, entries.len() as u64));
            if ret < 0 {
                assert_eq!(h.error(), "delete: more are selected than there is room for, and stay; call again");
            }
            assert_eq!(h.count(), Ok(left + 10));
            all.extend(entries);
        }
        assert_eq!(identities(&all), identities(&entries(7, 1000)));
        assert_eq!(cli_ids(&["-w", "8"]).len(), 10);
        // As many as there is room for, and no more.
        assert_eq!(h.create_entries(&entries(7, 400)).ret, 0);
        assert_eq!(h.delete_returning(&filter, 0, 400).0, 0);
    });
}

#[test]
fn a_dry_run_deletes_nothing_says_what_a_delete_would_and_refuses_what_that_refuses() {
    netns(|| {
        let (h, filter) = (Handle::open(), [c_filter(&zone(7))]);
        assert_eq!(h.create_entries(&entries(7, 300)).ret, 0);
        assert_eq!(h.create_entries(&entries(8, 10)).ret, 0);
        let before = cli_table();
        let (ret, result) = h.dry_run(&filter);
        assert_eq!((ret, result.matched, result.done, result.failed), (0, 300, 300, 0));
        let (ret, would, result) = h.delete_returning(&filter, CT_DELETE_DRY_RUN, 1000);
        assert_eq!((ret, result.done), (0, 300));
        assert_eq!(identities(&would), identities(&entries(7, 300)));
        assert_eq!(h.delete_returning(&filter, CT_DELETE_DRY_RUN, 299).0, -libc::ENOSPC);
        for wrong in [vec![], vec![c_filter(&Filter::new())]] {
            let refused = h.delete(&wrong).0;
            let text = h.error();
            assert_eq!((refused, h.dry_run(&wrong).0), (-libc::EINVAL, -libc::EINVAL));
            assert_eq!(h.error(), text);
            assert_eq!(h.delete_returning(&wrong, CT_DELETE_DRY_RUN, 10).0, -libc::EINVAL);
            assert_eq!(h.delete_returning(&wrong, 0, 10).0, -libc::EINVAL);
        }
        assert_eq!(h.delete_returning(&filter, 0, 0).0, -libc::EINVAL);
        assert_eq!(h.delete_returning(&filter, 1, 10).0, -libc::EINVAL);
        assert_untouched(&before, "dry runs and refusals");
        let (_, deleted, _) = h.delete_returning(&filter, 0, 1000);
        assert_eq!(ids(&deleted), ids(&would));
    });
}
