//! Counters that are read and begin anew: nothing is counted twice, and nothing is lost.

mod common;

use common::c::Handle;
use common::*;
use ctrack::*;
use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

fn tracking() {
    loopback_up();
    nft("table inet t {\n chain o { type filter hook output priority 0;\n ct state new accept;\n }\n}\n");
    std::fs::write("/proc/sys/net/netfilter/nf_conntrack_acct", "1").unwrap();
}

fn packets(entry: &Entry) -> u64 {
    entry.orig_counters.packets + entry.reply_counters.packets
}

#[test]
fn what_was_sent_is_what_was_read_and_what_is_left_while_entries_come_and_go() {
    netns(|| {
        tracking();
        let (sent, stop) = (AtomicU64::new(0), AtomicBool::new(false));
        let netns = own_netns();
        let total = std::thread::scope(|scope| {
            for part in 0..2u16 {
                let (sent, stop, netns) = (&sent, &stop, &netns);
                scope.spawn(move || {
                    enter(netns);
                    // Nobody listens: each packet is one of its entry's, and the ICMP error that answers is not.
                    let sockets: Vec<UdpSocket> = (0..20).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
                    for round in 0u32.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let socket = &sockets[round as usize % sockets.len()];
                        let port = 10_000 + part * 1000 + (round / 64 % 200) as u16;
                        while socket.send_to(b"x", ("127.0.0.1", port)).is_err() {}
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
            let mut conntrack = Conntrack::open().unwrap();
            let mut total = 0;
            while !stop.load(Ordering::Relaxed) {
                let entries = conntrack.list(&[]).unwrap();
                let zeroed = conntrack.zero_entries(&entries).unwrap();
                for result in zeroed.results {
                    match result {
                        Zeroed::Entry(entry) | Zeroed::Another(entry) => total += packets(&entry),
                        Zeroed::Failed(errno) => assert_eq!(errno, Errno::GONE),
                    }
                }
                stop.store(sent.load(Ordering::Relaxed) > 20_000, Ordering::Relaxed);
            }
            total
        });
        let left: u64 = Conntrack::open().unwrap().list(&[]).unwrap().iter().map(packets).sum();
        let sent = sent.into_inner();
        assert_eq!(total + left, sent, "{total} read, {left} left");
        assert!(total > 1000 && left < sent, "{total} read, {left} left");
    });
}

#[test]
fn ten_thousand_are_read_by_c_with_the_smallest_receive_buffer_and_none_is_lost() {
    netns(|| {
        tracking();
        // The socket of a user namespace's root would have no more than net.core.rmem_max.
        let opts = ctrack_c::ct_open_opts { rcvbuf: 1, ..common::c::open_opts() };
        let h = Handle::open_with(&opts).unwrap();
        let entries: Vec<Entry> = (0..10_000u16).map(|port| udp("10.0.0.1", port, "10.0.0.2", 53)).collect();
        assert!(h.create_entries(&entries).status.iter().all(|&status| status == 0));
        let listed = h.list(&[]).unwrap();
        let (changed, read) = h.zero_entries(&listed);
        assert_eq!((changed.ret, changed.result.done, read.len()), (0, 10_000, 10_000));
        let same = read.iter().zip(&listed).all(|(read, listed)| read.id == listed.id && read.has(Has::ORIG_COUNTERS));
        assert!(same);
    });
}

#[test]
fn what_is_not_counted_is_read_without_counters_and_what_is_gone_is_empty() {
    netns(|| {
        let h = Handle::open();
        let entries = [udp("10.0.0.1", 1, "10.0.0.2", 53), udp("fd00::1", 2, "fd00::2", 53)];
        assert_eq!(h.create_entries(&entries).ret, 0);
        let keys: Vec<Entry> = entries.iter().map(by_hand).chain([by_hand(&udp("10.9.9.9", 1, "10.0.0.2", 53))]).collect();
        let (changed, read) = h.zero_entries(&keys);
        assert_eq!((changed.status, changed.result.gone), (vec![0, 0, -libc::ENOENT], 1));
        assert!(read[..2].iter().all(|entry| entry.has(Has::ID) && !entry.has(Has::ORIG_COUNTERS)));
        assert_eq!(format!("{:?}", read[2]), format!("{:?}", Entry::EMPTY));
        assert_eq!(identities(&read[..2]), identities(&entries));
    });
}
