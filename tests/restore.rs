//! A table that is listed, flushed and made again: real flows of every protocol and every kind of NAT, and what cannot be made.

mod common;
#[path = "real_flows/namespace.rs"]
#[allow(dead_code, reason = "the tests of real flows use all of it")]
mod namespace;

use common::c::Handle;
use common::{create, helped, identity, key, lasting, tcp, udp};
use ctrack::*;
use ctrack_c::abi::{ct_result, CT_FLUSH_ALL};
use namespace::{in_namespace, long_timeouts, nft, traffic, Held};
use std::io::Write;
use std::net::{TcpListener, TcpStream};

/// What is sent to 127.0.1.N is not translated (0), or its source (1), its destination (2), or both are (3).
const RULES: &str = r#"
table inet values {
    ct helper ftp { type "ftp" protocol tcp; l3proto ip; }
    chain tracked {
        type filter hook output priority 0;
        tcp dport 21 ct helper set "ftp"
        ct mark set 7
        th dport 5000 ct label set 5
    }
}
table ip nat4 {
    chain out { type nat hook output priority -100; ip daddr { 127.0.1.2, 127.0.1.3 } dnat to 127.0.0.3; }
    chain post { type nat hook postrouting priority 100; ct original ip daddr { 127.0.1.1, 127.0.1.3 } snat to 127.0.0.9; }
}
"#;

/// An FTP session whose data connection is an expected one: the server connects to the port that the client told.
fn ftp() -> [TcpStream; 3] {
    let server = TcpListener::bind("127.0.0.2:21").unwrap();
    let mut control = TcpStream::connect("127.0.0.2:21").unwrap();
    let accepted = server.accept().unwrap().0;
    let data = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = data.local_addr().unwrap().port();
    // The helper looks at a line only when it has seen the end of the one before.
    control.write_all(b"USER me\r\n").unwrap();
    control.write_all(format!("PORT 127,0,0,1,{},{}\r\n", port >> 8, port & 0xff).as_bytes()).unwrap();
    // It comes from where the client called.
    let back = connect_from("127.0.0.2:0", data.local_addr().unwrap());
    [control, accepted, back]
}

#[allow(unsafe_code)]
fn connect_from(from: &str, to: std::net::SocketAddr) -> TcpStream {
    use std::os::fd::{AsRawFd, FromRawFd};
    let address = |address: std::net::SocketAddr| {
        let std::net::SocketAddr::V4(v4) = address else { panic!("{address}") };
        libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: v4.port().to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
            sin_zero: [0; 8],
        }
    };
    let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
    // SAFETY: plain system calls; the addresses live until they return, and have that length.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        assert!(socket >= 0);
        let stream = TcpStream::from_raw_fd(socket);
        for (call, address) in [
            (libc::bind as unsafe extern "C" fn(_, _, _) -> _, address(from.parse().unwrap())),
            (libc::connect, address(to)),
        ] {
            let result = call(stream.as_raw_fd(), (&raw const address).cast(), length);
            assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
        }
        stream
    }
}

/// Real flows of TCP, UDP, ICMP, SCTP and GRE, each untranslated and with every kind of NAT.
fn flows() -> Vec<Held> {
    let mut held = Vec::new();
    for (kind, server) in [(0, None), (1, None), (2, Some("127.0.0.3")), (3, Some("127.0.0.3"))] {
        let there = format!("127.0.1.{kind}");
        let behind = server.map(|server| format!(" --server {server} 5000")).unwrap_or_default();
        for line in [
            format!("tcp 127.0.0.1 {} {there} 5000 --hold 600{behind}", 41000 + kind),
            format!("tcp 127.0.0.1 {} {there} 5000 --close{behind}", 42000 + kind),
            format!("udp 127.0.0.1 {} {there} 5000 --answer{behind}", 43000 + kind),
            format!("icmp 127.0.0.1 7 {there}"),
            // The same id: where the source is translated, the kernel has to choose another one.
            format!("icmp 127.0.0.5 7 {there}"),
            format!("sctp 127.0.0.1 {} {there} 5000", 44000 + kind),
            format!("gre 127.0.0.1 {there} 9"),
        ] {
            held.extend(traffic(&line));
        }
    }
    held
}

/// What of an entry must be the same when it is made again: all but what only the kernel can know.
fn content(e: &Entry) -> Entry {
    let kernels = Has::ID | Has::USE | Has::TIMEOUT | Has::SYNPROXY;
    Entry { has: e.has & !kernels, id: 0, use_count: 0, timeout: 0, ..*e }
}

/// Adds an entry with less than a second left, and lists the table while it is still there.
fn listed_with_an_expiring_one(conntrack: &mut Conntrack) -> Vec<Entry> {
    let expiring = Entry { timeout: 1, ..udp("10.0.0.1", 9, "10.0.0.2", 9) };
    for _ in 0..1000 {
        let _ = conntrack.create_entries(&[expiring]).unwrap();
        let listed = conntrack.list(&[]).unwrap();
        if listed.iter().any(|entry| entry.timeout() == Some(0)) {
            return listed;
        }
    }
    panic!("it was never seen with less than a second left");
}

#[test]
fn a_listed_table_of_real_flows_is_made_again_but_for_the_expected_and_the_expiring_one_which_say_why() {
    in_namespace(
        "a_listed_table_of_real_flows_is_made_again_but_for_the_expected_and_the_expiring_one_which_say_why",
        || {
            long_timeouts();
            nft(&RULES.replace("; }\n", ";\n}\n"));
            let _held = flows();
            let _ftp = ftp();
            let mut conntrack = Conntrack::open().unwrap();
            let listed = listed_with_an_expiring_one(&mut conntrack);
            assert_that_nothing_is_missing(&listed);

            conntrack.flush_all().unwrap();
            let handle = Handle::open();
            let made = handle.create_entries(&listed);
            let wrong: Vec<_> =
                made.status.iter().zip(&listed).enumerate().filter(|(_, (status, _))| **status != 0).collect();
            let expected: Vec<_> = wrong.iter().filter(|(_, (_, e))| e.status.intersects(Status::EXPECTED)).collect();
            let expiring: Vec<_> = wrong.iter().filter(|(_, (_, e))| e.timeout == 0).collect();
            assert_eq!((wrong.len(), expected.len(), expiring.len()), (2, 1, 1), "{wrong:?}: {}", handle.error());
            assert_eq!((*expected[0].1 .0, *expiring[0].1 .0), (-libc::EOPNOTSUPP, -libc::ETIME));
            let ct_result { matched, done, gone, failed, first_error, .. } = made.result;
            let count = listed.len() as u64;
            assert_eq!((matched, done, gone, failed), (count, count - 2, 0, 2));
            let (first, (status, _)) = wrong[0];
            assert_eq!((made.ret, first_error), (*status, *status));
            let text = handle.error();
            let reason = if *status == -libc::ETIME { "its timeout is 0" } else { "only the kernel can give" };
            assert!(
                text.starts_with(&format!("entry[{first}]: create_entries: ")) && text.ends_with("; and 1 more"),
                "{text}"
            );
            assert!(text.contains(reason), "{text}");

            let again = conntrack.list(&[]).unwrap();
            assert_eq!(again.len(), listed.len() - 2);
            for entry in listed.iter().zip(&made.status).filter(|(_, status)| **status == 0).map(|(entry, _)| entry) {
                let twin = again.iter().find(|twin| identity(twin) == identity(entry));
                let twin = twin.unwrap_or_else(|| panic!("{entry:?} was not made again"));
                assert_eq!(content(twin), content(entry));
                assert!(twin.timeout <= entry.timeout);
            }
            assert_eq!(handle.flush(None, CT_FLUSH_ALL), 0);
        },
    );
}

/// The traffic has made what the test is about.
fn assert_that_nothing_is_missing(listed: &[Entry]) {
    const NAT: Status = Status::SRC_NAT.union(Status::DST_NAT);
    for proto in [Proto::TCP, Proto::UDP, Proto::ICMP, Proto::SCTP, Proto::GRE] {
        for nat in [Status::empty(), Status::SRC_NAT, Status::DST_NAT, NAT] {
            let is = |e: &Entry| e.proto == proto && e.status & NAT == nat && !e.status.intersects(Status::EXPECTED);
            assert!(listed.iter().any(is), "no entry of protocol {proto} with {nat:#x}: {listed:?}");
        }
    }
    assert!(listed.iter().any(|e| e.reply.icmp_id != e.orig.icmp_id), "no ICMP id was translated: {listed:?}");
    assert!(listed.iter().any(|e| e.status.intersects(Status::EXPECTED) && e.has(Has::MASTER)), "{listed:?}");
    assert!(listed.iter().any(|e| e.helper().as_deref() == Some("ftp")), "{listed:?}");
    assert!(listed.iter().any(|e| e.has(Has::LABELS)), "{listed:?}");
    assert!(listed.iter().all(|e| e.mark == 7 || e.timeout == 0), "{listed:?}");
}

/// An entry of a list, with what makes it impossible to make.
fn impossible() -> Vec<(Entry, i32, &'static str)> {
    let listed = |status: Status| {
        let mut entry = tcp("10.0.0.1", 7, "10.0.0.2", 80);
        (entry.has, entry.status) = (entry.has | Has::STATUS, Status::CONFIRMED | status);
        entry
    };
    let only_the_kernel = (libc::EOPNOTSUPP, "only the kernel can give");
    let mut all: Vec<_> = [
        Status::EXPECTED,
        Status::SEQ_ADJUST,
        Status::DYING,
        Status::TEMPLATE,
        Status::UNTRACKED,
        Status::OFFLOAD,
        Status::HW_OFFLOAD,
        Status::from_bits_retain(1 << 16),
        Status::from_bits_retain(1 << 31),
    ]
    .map(|bit| (listed(bit), only_the_kernel))
    .to_vec();
    // The kernel does not tell the timeout of an offloaded entry.
    let offloaded = listed(Status::OFFLOAD);
    all.push((Entry { has: offloaded.has & !Has::TIMEOUT, timeout: 0, ..offloaded }, only_the_kernel));
    all.push((Entry { timeout: 0, ..listed(Status::empty()) }, (libc::ETIME, "timeout is 0")));
    all.push((Entry { tcp_state: TcpState(10), ..listed(Status::empty()) }, (libc::EOPNOTSUPP, "later kernel")));
    let scaled = listed(Status::empty());
    let has = scaled.has | Has::TCP_WSCALE;
    all.push((Entry { has, tcp_wscale_reply: 15, ..scaled }, (libc::EOPNOTSUPP, "window scale")));
    let sctp = lasting(key(Proto::SCTP, "10.0.0.1", 7, "10.0.0.2", 80));
    all.push((Entry { has: sctp.has | Has::SCTP, sctp_state: 10, ..sctp }, (libc::EOPNOTSUPP, "later kernel")));
    all.into_iter().map(|(entry, (errno, text))| (entry, errno, text)).collect()
}

#[test]
fn each_kind_of_impossible_entry_has_its_status_and_reason_and_the_others_are_made() {
    common::netns(|| {
        let handle = Handle::open();
        let mut conntrack = Conntrack::open().unwrap();
        for (entry, errno, reason) in impossible() {
            let around = [udp("10.0.0.1", 1, "10.0.0.2", 2), udp("10.0.0.1", 2, "10.0.0.2", 2)];
            let made = handle.create_entries(&[around[0], entry, around[1], entry, entry]);
            assert_eq!(made.status, [0, -errno, 0, -errno, -errno], "{reason}: {entry:?}");
            let r = made.result;
            assert_eq!((r.matched, r.done, r.gone, r.failed, r.first_error), (5, 2, 0, 3, -errno));
            let text = handle.error();
            assert!(text.starts_with("entry[1]: create_entries: ") && text.contains(reason), "{text}, not {reason}");
            assert!(text.ends_with("; and 2 more"), "{text}");
            assert_eq!(common::cli_count(), 2);
            conntrack.flush_all().unwrap();

            let one = handle.create_entries(&[entry]);
            assert_eq!((one.ret, handle.error().contains("more")), (-errno, false), "{}", handle.error());
        }
    });
}

#[test]
fn a_malformed_entry_stops_a_batch_of_thousands_with_impossible_ones_before_anything_is_sent() {
    common::netns(|| {
        let handle = Handle::open();
        let mut batch: Vec<Entry> = (1..=2000).map(|n| udp("10.0.0.1", n, "10.0.0.2", 2)).collect();
        batch.extend(impossible().into_iter().map(|(entry, ..)| entry));
        // A field without its bit.
        batch.push(Entry { mark: 1, ..udp("10.0.0.1", 1, "10.0.0.3", 2) });
        let made = handle.create_entries(&batch);
        assert_eq!((made.ret, made.result.done, common::cli_count()), (-libc::EINVAL, 0, 0));
        assert!(made.status.iter().all(|status| *status == -libc::EINVAL));
        let place = format!("entry[{}].mark: ", batch.len() - 1);
        assert!(handle.error().starts_with(&place), "{}, not {place}", handle.error());
    });
}

#[test]
fn the_error_of_a_batch_names_its_first_failed_entry_whatever_made_it_fail() {
    common::netns(|| {
        let handle = Handle::open();
        let mut conntrack = Conntrack::open().unwrap();
        let nth = |n: u16| udp("10.0.0.1", n, "10.0.0.2", 2);
        create(&mut conntrack, &[nth(300)]);
        let expired = Entry { timeout: 0, ..nth(9) };
        let unknown = helped(tcp("10.0.0.1", 1, "10.0.0.2", 21), "no-such");
        // The kernel's refusal before and behind that of the library, in another part of the batch and in the same one.
        for (late, first, errno) in [(400, 299, libc::EEXIST), (298, 298, libc::ETIME), (7, 7, libc::ETIME)] {
            let mut batch: Vec<Entry> = (1..=600).map(nth).collect();
            batch[late] = expired;
            batch[500] = unknown;
            let made = handle.create_entries(&batch);
            assert_eq!((made.ret, made.result.failed, made.result.done), (-errno, 3, 597), "{}", handle.error());
            let text = handle.error();
            assert!(text.starts_with(&format!("entry[{first}]: create_entries: ")), "{text}");
            assert!(text.ends_with("; and 2 more"), "{text}");
            let listed = conntrack.list(&[]).unwrap();
            let others: Vec<Entry> = listed.into_iter().filter(|e| e.orig.sport != 300).collect();
            assert_eq!(conntrack.delete_entries(&others).unwrap().outcome.done, 597);
        }
    });
}

#[test]
fn an_update_that_is_impossible_for_one_entry_is_made_for_the_others_and_says_which_and_why() {
    common::netns(|| {
        let handle = Handle::open();
        let mut conntrack = Conntrack::open().unwrap();
        let nth = |n: u16| tcp("10.0.0.1", n, "10.0.0.2", 80);
        create(&mut conntrack, &(1..=50).map(nth).collect::<Vec<_>>());
        let change = |n: u16, has: Has| {
            let key = common::by_hand(&nth(n));
            Entry { has: key.has | Has::MARK | has, mark: 5, ..key }
        };
        let mut changes: Vec<Entry> = (1..=50).map(|n| change(n, Has::empty())).collect();
        changes[40] = Entry { timeout: 0, ..change(41, Has::TIMEOUT) };
        changes[41] = Entry { tcp_state: TcpState(10), ..change(42, Has::TCP_STATE) };
        changes[42] = Entry { status: Status::from_bits_retain(1 << 16), ..change(43, Has::STATUS) };
        changes[43] = Entry {
            tcp_wscale_orig: 15,
            tcp_flags_orig: 1,
            tcp_flags_reply: 1,
            ..change(44, Has::TCP_WSCALE | Has::TCP_FLAGS)
        };
        let made = handle.update_entries(&changes);
        let wrong = [-libc::ETIME, -libc::EOPNOTSUPP, -libc::EBUSY, -libc::EOPNOTSUPP];
        assert_eq!(made.status[40..44], wrong);
        assert!(made.status[..40].iter().chain(&made.status[44..]).all(|status| *status == 0));
        let r = made.result;
        assert_eq!((made.ret, r.matched, r.done, r.gone, r.failed), (-libc::ETIME, 50, 46, 0, 4));
        let text = handle.error();
        assert!(text.starts_with("entry[40]: update_entries: expired: "), "{text}");
        assert!(text.ends_with("; and 3 more"), "{text}");
        let marked = conntrack.list(&[]).unwrap().iter().filter(|entry| entry.mark == 5).count();
        assert_eq!(marked, 46, "the impossible ones are as they were");
    });
}
