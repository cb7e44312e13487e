//! New entries with NAT: as they were asked for, or not at all, also where what they ask for is taken.

mod common;
use common::c::Handle;
use common::*;
use ctrack::*;

const NAT: Status = Status::SRC_NAT.union(Status::DST_NAT);
const DONE: Status = Status::SRC_NAT_DONE.union(Status::DST_NAT_DONE);

/// Addresses of a client, its server, what the client is translated to, and what the server is.
const V4: [&str; 4] = ["10.0.0.3", "10.0.0.2", "192.0.2.1", "192.0.2.2"];
const V6: [&str; 4] = ["fd00::3", "fd00::2", "fd01::1", "fd01::2"];

/// An untranslated entry with its reply tuple.
fn plain(proto: Proto, [client, server, ..]: [&str; 4]) -> Entry {
    let mut entry = if proto.is_icmp() {
        Entry::icmp_key(ip(client), ip(server), if proto == Proto::ICMP { 8 } else { 128 }, 0, 77).unwrap()
    } else {
        let ports = if proto.has_ports() { (77, 53) } else { (0, 0) };
        let mut entry = key(proto, client, ports.0, server, ports.1);
        entry.has &= if proto.has_ports() { Has::all() } else { !Has::PORTS };
        entry
    };
    entry = lasting(entry);
    entry.has |= Has::REPLY | Has::STATUS;
    let Tuple { src, dst, sport, dport, .. } = entry.orig;
    entry.reply = Tuple { src: dst, dst: src, sport: dport, dport: sport, ..entry.orig };
    entry.reply.icmp_type = match entry.orig.icmp_type {
        8 => 0,
        128 => 129,
        other => other,
    };
    entry
}

/// What is translated of an entry, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    nat: Status,
    /// The addresses.
    addresses: bool,
    /// The ports, keys or ICMP id.
    numbers: bool,
}

fn kinds() -> impl Iterator<Item = Kind> {
    [Status::SRC_NAT, Status::DST_NAT, NAT].into_iter().flat_map(|nat| {
        [(true, false), (false, true), (true, true)].map(|(addresses, numbers)| Kind { nat, addresses, numbers })
    })
}

/// `None` where that kind of entry has nothing to translate, or the kernel never translates it so.
fn translated(proto: Proto, addresses: [&str; 4], kind: Kind) -> Option<Entry> {
    let mut entry = plain(proto, addresses);
    let (source, destination) = (kind.nat.contains(Status::SRC_NAT), kind.nat.contains(Status::DST_NAT));
    let has_numbers = entry.has.intersects(Has::PORTS | Has::ICMP);
    let icmp_by_both = entry.has(Has::ICMP) && source && destination;
    if !kind.addresses && (proto == Proto::GRE || icmp_by_both) || kind.numbers && !has_numbers {
        return None;
    }
    entry.status = kind.nat;
    let reply = &mut entry.reply;
    if source && kind.addresses {
        reply.dst = address_bytes(ip(addresses[2]));
    }
    if destination && kind.addresses {
        reply.src = address_bytes(ip(addresses[3]));
    }
    if kind.numbers && proto.is_icmp() {
        reply.icmp_id = 55;
    } else if kind.numbers {
        reply.dport = if source { 55 } else { reply.dport };
        reply.sport = if destination { 5353 } else { reply.sport };
    }
    Some(entry)
}

/// Somebody else's entry that has the reply tuple of another one.
fn with_the_reply_tuple_of(entry: &Entry) -> Entry {
    let reply = entry.reply;
    let mut other = Entry { status: Status::empty(), reply, ..*entry };
    // It was begun by whom the other one only looks like.
    let from = if entry.family == Family::IPV4 { "172.16.0.1" } else { "fdff::1" };
    other.orig.src = address_bytes(ip(from));
    marked(other, 9)
}

fn protocols(addresses: [&str; 4]) -> Vec<Proto> {
    let icmp = if ip(addresses[0]).is_ipv4() { Proto::ICMP } else { Proto::ICMPV6 };
    vec![icmp, Proto::TCP, Proto::UDP, Proto::SCTP, Proto::UDPLITE, Proto::GRE, Proto(89)]
}

fn each(mut test: impl FnMut(&str, Entry)) {
    for addresses in [V4, V6] {
        for proto in protocols(addresses) {
            let mut tried = 0;
            for kind in kinds() {
                if let Some(entry) = translated(proto, addresses, kind) {
                    tried += 1;
                    test(&format!("protocol {proto}, {kind:x?}"), entry);
                }
            }
            assert!(tried >= 3, "protocol {proto}");
        }
    }
}

fn assert_made(listed: &Entry, asked: &Entry, what: &str) {
    assert_eq!(identity(listed), identity(asked), "{what}");
    assert_eq!(listed.reply, asked.reply, "{what}: {listed:?}");
    assert_eq!(listed.status & (NAT | DONE), asked.status & NAT | DONE, "{what}: {listed:?}");
}

#[test]
fn an_entry_with_nat_has_the_reply_tuple_and_the_status_that_were_asked_for() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        each(|what, asked| {
            let made = conntrack.create_entries(&[asked]).unwrap();
            assert_eq!(made.status(), [0], "{what}: {:?}", made.outcome.error);
            let listed = all(&mut conntrack);
            assert_eq!(listed.len(), 1, "{what}");
            assert_made(&listed[0], &asked, what);
            // And so it is made again as it stands.
            conntrack.flush_all().unwrap();
            create(&mut conntrack, &listed);
            assert_made(&all(&mut conntrack)[0], &asked, what);
            conntrack.flush_all().unwrap();
        });
    });
}

#[test]
fn an_entry_whose_translated_tuple_is_taken_is_eexist_and_none_with_another_one_is_made() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        each(|what, asked| {
            create(&mut conntrack, &[with_the_reply_tuple_of(&asked)]);
            let before = cli_table();
            let made = conntrack.create_entries(&[asked]).unwrap();
            assert_eq!(made.status(), [-libc::EEXIST], "{what}: {:?}", all(&mut conntrack));
            assert_untouched(&before, what);
            conntrack.flush_all().unwrap();
        });
    });
}

#[test]
fn an_entry_whose_tuple_without_translation_is_taken_is_made_as_it_was_asked_for() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        each(|what, asked| {
            let addresses = if asked.family == Family::IPV4 { V4 } else { V6 };
            create(&mut conntrack, &[with_the_reply_tuple_of(&plain(asked.proto, addresses))]);
            let made = conntrack.create_entries(&[asked]).unwrap();
            assert_eq!(made.status(), [0], "{what}: {:?}", made.outcome.error);
            let listed = all(&mut conntrack);
            let own = listed.iter().find(|entry| entry.mark != 9).unwrap();
            assert_made(own, &asked, what);
            assert_eq!(listed.len(), 2, "{what}");
            conntrack.flush_all().unwrap();
        });
    });
}

#[test]
fn nobody_s_closing_connection_is_dropped_for_an_entry_that_wants_its_tuple() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        for state in (TcpState::NONE.0..=TcpState::SYN_SENT2.0).map(TcpState) {
            let kind = Kind { nat: Status::SRC_NAT, addresses: true, numbers: true };
            let asked = translated(Proto::TCP, V4, kind).unwrap();
            let mut other = with_the_reply_tuple_of(&asked);
            (other.has, other.tcp_state) = (other.has | Has::TCP_STATE, state);
            create(&mut conntrack, &[other]);
            let before = cli_table();
            assert_eq!(conntrack.create_entries(&[asked]).unwrap().status(), [-libc::EEXIST], "state {state}");
            assert_untouched(&before, "a create");
            conntrack.flush_all().unwrap();
        }
    });
}

#[test]
fn a_status_that_contradicts_the_reply_tuple_is_refused_with_what_is_missing_and_the_others_are_made() {
    netns(|| {
        let handle = Handle::open();
        let mut conntrack = Conntrack::open().unwrap();
        let kind = |nat, addresses, numbers| Kind { nat, addresses, numbers };
        let with = |proto, nat, addresses, numbers, status| {
            let mut entry = plain(proto, V4);
            if let Some(translated) = translated(proto, V4, kind(nat, addresses, numbers)) {
                entry = translated;
            } else {
                // What the kernel never does.
                entry.reply.icmp_id = 55;
            }
            Entry { status, ..entry }
        };
        let (src, dst) = (Status::SRC_NAT, Status::DST_NAT);
        let udp = Proto::UDP;
        for (wrong, text) in [
            (with(udp, NAT, true, false, src), "DST_NAT is missing"),
            (with(udp, NAT, false, true, src), "DST_NAT is missing"),
            (with(udp, NAT, true, true, dst), "SRC_NAT is missing"),
            (with(udp, NAT, false, true, dst), "SRC_NAT is missing"),
            (with(udp, dst, true, true, NAT), "no source is translated"),
            (with(udp, src, true, true, NAT), "no destination is translated"),
            (with(udp, src, false, true, dst), "SRC_NAT is missing"),
            (with(Proto(89), dst, true, false, src), "DST_NAT is missing"),
            (Entry { status: src, ..plain(Proto::TCP, V4) }, "no source is translated"),
            (Entry { status: dst, ..plain(Proto::ICMP, V4) }, "no destination is translated"),
            (with(Proto::ICMP, NAT, false, true, NAT), "only the ICMP id is translated"),
            (with(Proto::ICMP, src, true, false, NAT), "no destination is translated"),
            (with(Proto::GRE, NAT, true, true, dst), "SRC_NAT is missing"),
        ] {
            let others = [common::udp("1.1.1.1", 1, "2.2.2.2", 2), common::udp("1.1.1.1", 2, "2.2.2.2", 2)];
            let made = handle.create_entries(&[others[0], wrong, others[1]]);
            assert_eq!(made.status, [0, -libc::EINVAL, 0], "{wrong:?}");
            assert_eq!((made.ret, made.result.done, made.result.failed), (-libc::EINVAL, 2, 1));
            let error = handle.error();
            assert!(error.starts_with("entry[1]: create_entries: ") && error.contains(text), "{error}, not {text}");
            assert_eq!(identities(&all(&mut conntrack)), identities(&others));
            conntrack.flush_all().unwrap();
        }
    });
}

#[test]
fn without_any_bit_of_translation_the_reply_tuple_is_made_as_it_stands() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        each(|what, asked| {
            for status in [Status::empty(), DONE] {
                let asked = Entry { status, ..asked };
                create(&mut conntrack, &[asked]);
                let listed = all(&mut conntrack);
                assert_eq!(listed[0].reply, asked.reply, "{what}");
                assert_eq!(listed[0].status, Status::CONFIRMED | status, "{what}: {status:x}");
                conntrack.flush_all().unwrap();
            }
        });
    });
}

#[test]
fn ports_of_a_protocol_of_which_the_kernel_keeps_none_are_refused() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        for proto in [Proto::DCCP, Proto::GRE, Proto::SCTP, Proto::UDPLITE] {
            let asked = lasting(key(proto, "1.1.1.1", 1, "2.2.2.2", 2));
            let made = conntrack.create_entries(&[asked, udp("1.1.1.1", 1, "2.2.2.2", 2)]).unwrap();
            let listed = all(&mut conntrack);
            assert_eq!(made.status()[1], 0);
            if made.status()[0] == 0 {
                let own = listed.iter().find(|entry| entry.proto == proto).unwrap();
                assert_eq!(identity(own), identity(&asked), "it is made as it was asked for");
            } else {
                assert_eq!((made.status()[0], listed.len()), (-libc::EOPNOTSUPP, 1), "protocol {proto}");
                let error = made.outcome.failure().unwrap().to_string();
                assert!(error.starts_with("entry[0]: ") && error.contains("keeps no ports"), "{error}");
                let mut portless = asked;
                (portless.has, portless.orig.sport, portless.orig.dport) = (asked.has & !Has::PORTS, 0, 0);
                create(&mut conntrack, &[portless]);
            }
            conntrack.flush_all().unwrap();
        }
    });
}
