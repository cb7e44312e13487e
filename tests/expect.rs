//! Expectations: listed, made and deleted, as `conntrack -L expect` shows them; and nobody else's goes.

mod common;

use common::*;
use ctrack::*;
use std::collections::BTreeSet;

/// A connection with a helper, in a zone.
fn master(conntrack: &mut Conntrack, port: u16, helper: &str, zone: u16) -> Entry {
    let proto = if helper == "tftp" || helper == "sip" { Proto::UDP } else { Proto::TCP };
    let entry = helped(lasting(key(proto, "10.0.0.1", port, "10.0.0.2", 21)), helper).in_zone(zone);
    create(conntrack, &[entry]);
    entry
}

fn master6(conntrack: &mut Conntrack, port: u16) -> Entry {
    let entry = helped(lasting(key(Proto::TCP, "fd00::1", port, "fd00::2", 21)), "ftp");
    create(conntrack, &[entry]);
    entry
}

/// What a helper would expect: a connection to this port.
fn expected(master: &Entry, dport: u16) -> Expectation {
    let mut e = Expectation::of(master).unwrap();
    e.has |= ExpectHas::TUPLE | ExpectHas::MASK | ExpectHas::PORTS;
    e.proto = master.proto;
    e.tuple = Tuple { sport: 0, dport, zone: 0, ..master.orig };
    e.mask = Tuple { sport: 0, dport: 0xffff, ..Tuple::EMPTY };
    let bytes = if master.family == Family::IPV4 { 4 } else { 16 };
    e.mask.src[..bytes].fill(0xff);
    e.mask.dst[..bytes].fill(0xff);
    e
}

fn cli_lines() -> BTreeSet<String> {
    // It lists one family at a time.
    let of = |family: &str| cli(&["-L", "expect", "-f", family]);
    of("ipv4").lines().chain(of("ipv6").lines()).map(without_timeout).collect()
}

fn without_timeout(line: &str) -> String {
    line.split_once(' ').unwrap().1.to_owned()
}

fn lines(expectations: &[Expectation]) -> BTreeSet<String> {
    let lines: BTreeSet<_> = expectations.iter().map(|e| without_timeout(&expectation_line(e))).collect();
    assert_eq!(lines.len(), expectations.len(), "{expectations:?}");
    lines
}

/// One for each helper, family and zone that is told apart.
fn fill(conntrack: &mut Conntrack) -> Vec<Expectation> {
    let masters = [
        master(conntrack, 1, "ftp", 0),
        master(conntrack, 1, "ftp", 5),
        master(conntrack, 1, "ftp", 7),
        master(conntrack, 2, "irc", 0),
        master(conntrack, 3, "sip", 0),
        master(conntrack, 4, "tftp", 5),
        master6(conntrack, 5),
    ];
    let all: Vec<Expectation> = masters.iter().zip(8000..).map(|(master, port)| expected(master, port)).collect();
    assert_eq!(conntrack.create_expectations(&all).unwrap().into_result(), Ok(7));
    all
}

#[test]
fn what_is_listed_is_what_the_program_lists_to_the_last_byte() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        assert_eq!(conntrack.list_expectations(&[], false).unwrap(), []);
        let all = fill(&mut conntrack);
        let listed = conntrack.list_expectations(&[], false).unwrap();
        assert_eq!((lines(&listed), listed.len()), (cli_lines(), 7));
        let ports = |all: &[Expectation]| all.iter().map(|e| (e.tuple, e.master)).collect::<Vec<_>>();
        assert!(ports(&all).iter().all(|one| ports(&listed).contains(one)));
        // With zones it is the same, and each is in that of its master.
        let zoned = conntrack.list_expectations(&[], true).unwrap();
        assert_eq!(lines(&zoned), cli_lines());
        for e in &zoned {
            let made = all.iter().find(|made| made.tuple == e.tuple).unwrap();
            assert_eq!((e.has(ExpectHas::ZONE), e.zone), (true, made.zone), "{e:?}");
        }
        assert_eq!(cli(&["-S", "expect"]).matches("expect_create=").count(), conntrack.expect_stats().unwrap().len());
    });
}

#[test]
fn an_expectation_is_selected_by_helper_family_master_and_zone() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let all = fill(&mut conntrack);
        let mut ports = |like: &[Expectation]| -> Vec<u16> {
            let mut ports: Vec<_> = conntrack.list_expectations(like, false).unwrap().iter().map(|e| e.tuple.dport).collect();
            ports.sort();
            ports
        };
        let mut ftp = Expectation::EMPTY;
        ftp.set_helper("ftp");
        assert_eq!(ports(&[ftp]), [8000, 8001, 8002, 8006]);
        assert_eq!(ports(&[Expectation { family: Family::IPV6, ..Expectation::EMPTY }]), [8006]);
        assert_eq!(ports(&[Expectation { family: Family::IPV4, ..ftp }]), [8000, 8001, 8002]);
        let of_master = |e: &Expectation| Expectation::of(&e.master_key()).unwrap();
        assert_eq!(ports(&[of_master(&all[1])]), [8001]);
        assert_eq!(ports(&[of_master(&all[1]), of_master(&all[3]), of_master(&all[1])]), [8001, 8003]);
        let in_zone = |zone| Expectation { has: ExpectHas::ZONE, zone, ..Expectation::EMPTY };
        assert_eq!(ports(&[in_zone(5)]), [8001, 8005]);
        assert_eq!(ports(&[in_zone(0)]), [8000, 8003, 8004, 8006]);
        assert_eq!(ports(&[in_zone(9)]), []);
        // A master without helper, and one that is not there.
        let plain = tcp("10.0.0.9", 1, "10.0.0.2", 21);
        create(&mut Conntrack::open().unwrap(), &[plain]);
        assert_eq!(ports(&[Expectation::of(&plain).unwrap()]), []);
        assert_eq!(ports(&[Expectation::of(&tcp("10.0.0.9", 2, "10.0.0.2", 21)).unwrap()]), []);
    });
}

#[test]
fn an_expectation_is_found_in_its_zone_alone_and_by_its_id() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let all = fill(&mut conntrack);
        for e in conntrack.list_expectations(&[], true).unwrap() {
            assert_eq!(conntrack.get_expectation(&e).unwrap().map(|found| (found.id, found.zone)), Some((e.id, e.zone)));
            let other_id = Expectation { id: e.id ^ 1, ..e };
            assert_eq!(conntrack.get_expectation(&other_id).unwrap(), None);
            let other_zone = Expectation { zone: 9, has: e.has | ExpectHas::ZONE, ..e };
            assert_eq!(conntrack.get_expectation(&other_zone).unwrap(), None);
        }
        let by_hand = Expectation { has: all[0].has.difference(ExpectHas::MASTER | ExpectHas::MASTER_PORTS | ExpectHas::MASK), ..all[0] };
        let by_hand = Expectation { master: Tuple::EMPTY, master_proto: Proto(0), mask: Tuple::EMPTY, ..by_hand };
        assert!(conntrack.get_expectation(&by_hand).unwrap().is_some());
    });
}

#[test]
fn each_delete_takes_the_one_that_is_meant_and_no_other() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        fill(&mut conntrack);
        for zones in [true, false] {
            let mut left = conntrack.list_expectations(&[], zones).unwrap();
            for _ in 0..3 {
                let gone = left.pop().unwrap();
                let wrong = Expectation { id: gone.id ^ 1, ..gone };
                let result = conntrack.delete_expectations(&[wrong]).unwrap();
                assert_eq!(result.results, [Err(Errno::GONE)]);
                assert_eq!(conntrack.delete_expectations(&[gone]).unwrap().results, [Ok(())], "{gone:?}");
                assert_eq!(cli_lines(), lines(&left));
                assert_eq!(conntrack.delete_expectations(&[gone]).unwrap().results, [Err(Errno::GONE)]);
                assert_eq!(cli_lines(), lines(&left));
            }
        }
        assert_eq!(conntrack.list_expectations(&[], false).unwrap().len(), 1);
    });
}

#[test]
fn what_names_no_whole_tuple_is_refused_and_every_expectation_survives() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let all = fill(&mut conntrack);
        let before = cli_lines();
        let id = conntrack.list_expectations(&[], false).unwrap()[0].id;
        let forms = [
            Expectation::EMPTY,
            Expectation { has: ExpectHas::ZONE, zone: 5, family: Family::IPV4, ..Expectation::EMPTY },
            Expectation { has: ExpectHas::ID, id, family: Family::IPV4, ..Expectation::EMPTY },
            Expectation { family: Family::IPV6, ..Expectation::EMPTY },
            Expectation::of(&all[0].master_key()).unwrap(),
        ];
        for form in forms {
            assert_eq!(conntrack.delete_expectations(&[all[0], form]).unwrap_err().errno(), libc::EINVAL, "{form:?}");
            assert_eq!(conntrack.get_expectation(&form).unwrap_err().errno(), libc::EINVAL, "{form:?}");
        }
        for like in [vec![], vec![Expectation::EMPTY], vec![all[0], Expectation::EMPTY]] {
            assert_eq!(conntrack.flush_expectations(&like).unwrap_err().errno(), libc::EINVAL);
        }
        assert_eq!(cli_lines(), before);
    });
}

#[test]
fn a_flush_takes_what_is_like_it_in_every_zone_and_the_flush_of_all_takes_all() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        fill(&mut conntrack);
        let mut ftp = Expectation::EMPTY;
        ftp.set_helper("ftp");
        let outcome = conntrack.flush_expectations(&[ftp]).unwrap();
        assert_eq!((outcome.matched, outcome.done), (4, 4));
        assert!(cli_lines().iter().all(|line| !line.contains("helper=ftp")) && cli_lines().len() == 3);
        let mut nobody = Expectation::EMPTY;
        nobody.set_helper("no-such");
        assert_eq!(conntrack.flush_expectations(&[nobody]).unwrap().matched, 0);
        let in_zone = Expectation { has: ExpectHas::ZONE, zone: 5, ..Expectation::EMPTY };
        assert_eq!(conntrack.flush_expectations(&[in_zone]).unwrap().done, 1);
        assert_eq!(cli_lines().len(), 2);
        conntrack.flush_all_expectations().unwrap();
        assert_eq!(cli_lines().len(), 0);
    });
}

#[test]
fn a_timeout_is_kept_flags_and_nat_come_back_and_what_the_kernel_would_drop_is_refused() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let master = master(&mut conntrack, 1, "ftp", 3);
        let mut e = expected(&master, 8000);
        e.has |= ExpectHas::TIMEOUT | ExpectHas::FLAGS | ExpectHas::NAT | ExpectHas::FUNCTION | ExpectHas::CLASS;
        (e.timeout, e.flags, e.nat_dir) = (1000, ExpectFlags::PERMANENT | ExpectFlags::INACTIVE, 1);
        e.nat = Tuple { sport: 1234, ..Tuple::EMPTY };
        e.nat.src[..4].copy_from_slice(&[10, 0, 0, 9]);
        for (to, from) in e.function.iter_mut().zip(*b"nat-follow-master") {
            *to = from as std::ffi::c_char;
        }
        assert_eq!(conntrack.create_expectations(&[e]).unwrap().results, [Ok(())]);
        assert_eq!(conntrack.create_expectations(&[e]).unwrap().results, [Err(Errno(libc::EEXIST))]);
        let listed = conntrack.list_expectations(&[], true).unwrap();
        let found = listed[0];
        assert!((990..=1000).contains(&found.timeout), "{found:?}");
        assert_eq!((found.flags, found.nat_dir, found.nat, found.zone), (e.flags, 1, e.nat, 3), "{found:?}");
        assert_eq!(found.function().unwrap(), &b"nat-follow-master"[..]);
        assert_eq!(lines(&listed), cli_lines());
        let dropped = Expectation { flags: ExpectFlags::USERSPACE, ..e };
        let error = conntrack.create_expectations(&[dropped]).unwrap_err();
        assert_eq!(error.to_string(), "expectation[0].flags: has bits that the kernel drops");
        let dropped = Expectation { nat: Tuple { dport: 1, ..e.nat }, ..e };
        let error = conntrack.create_expectations(&[dropped]).unwrap_err();
        assert_eq!(error.to_string(), "expectation[0].nat: has a destination, and the kernel keeps a source alone");
        let plain = tcp("10.0.0.9", 1, "10.0.0.2", 21);
        create(&mut conntrack, &[plain]);
        let results = conntrack.create_expectations(&[expected(&plain, 1)]).unwrap().results;
        assert_eq!(results, [Err(Errno(libc::EOPNOTSUPP))]);
    });
}
