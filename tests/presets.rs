//! Ready-made filters on the real kernel, as Rust and as C make them: they delete what they say, and nothing else.

#![allow(unsafe_code, reason = "the functions of C, called as C does")]

mod common;
use common::c::{c_filter, empty_filter, Handle};
use common::*;
use ctrack::*;
use ctrack_c::abi::*;
use ctrack_c::{ct_filter, presets as c};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

fn end(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A UDP flow from `src` to `dst` that `from` answers.
fn flow(src: &str, dst: &str, from: &str) -> Entry {
    let (src, dst, from) = (end(src), end(dst), end(from));
    let mut entry = lasting(Entry::key(Proto::UDP, src.ip(), src.port(), dst.ip(), dst.port()).unwrap());
    entry.has |= Has::REPLY | Has::STATUS;
    entry.status = if dst == from { Status::empty() } else { Status::DST_NAT };
    entry.reply = Tuple { src: address_bytes(from.ip()), dst: entry.orig.src, ..Tuple::EMPTY };
    (entry.reply.sport, entry.reply.dport) = (from.port(), src.port());
    entry
}

/// A port of a node with endpoints behind it, and what only looks like it.
fn node_port() -> Vec<Entry> {
    vec![
        flow("192.0.2.1:1", "192.0.2.9:30053", "10.0.0.1:8053"),
        flow("192.0.2.1:2", "127.0.0.1:30053", "10.0.0.2:8053"),
        flow("192.0.2.1:3", "192.0.2.9:30053", "10.0.0.2:8053").in_zone(5),
        flow("192.0.2.1:4", "192.0.2.9:30053", "192.0.2.9:30053"),
        flow("192.0.2.1:5", "192.0.2.9:30053", "10.0.0.1:8054"),
        flow("[2001:db8::1]:1", "[2001:db8::9]:30053", "[fd00::1]:8053"),
        flow("[2001:db8::1]:2", "[::1]:30053", "[fd00::2]:8053"),
        // The port elsewhere, and another protocol.
        flow("192.0.2.1:30053", "192.0.2.9:53", "10.0.0.1:53"),
        flow("192.0.2.1:6", "192.0.2.9:30054", "10.0.0.1:30053"),
        tcp("192.0.2.1", 7, "192.0.2.9", 30053),
    ]
}

/// The numbers of the entries that a delete takes away, after a list of the same.
fn taken(conntrack: &mut Conntrack, entries: &[Entry], filters: &[Filter]) -> BTreeSet<usize> {
    let c: Vec<_> = filters.iter().map(c_filter).collect();
    taken_by_c(conntrack, &Handle::open(), entries, &c)
}

fn taken_by_c(conntrack: &mut Conntrack, handle: &Handle, entries: &[Entry], filters: &[ct_filter]) -> BTreeSet<usize> {
    conntrack.flush_all().unwrap();
    create(conntrack, entries);
    let number = |entry: &Entry| entries.iter().position(|made| identity(made) == identity(entry)).unwrap();
    let listed: BTreeSet<_> = handle.list(filters).unwrap().iter().map(number).collect();
    let (ret, result) = handle.delete(filters);
    assert_eq!((ret, result.done), (0, listed.len() as u64), "{}", handle.error());
    let left: BTreeSet<_> = all(conntrack).iter().map(number).collect();
    assert_eq!(cli_count(), left.len() as u64);
    let taken = &(0..entries.len()).collect() - &left;
    assert_eq!(taken, listed);
    taken
}

/// Filters of C, with only the size set.
fn empty<const N: usize>() -> [ct_filter; N] {
    [empty_filter(); N]
}

/// A pointer to the bytes of an address, as C programs have it from inet_pton().
fn bytes(address: &str) -> (u8, [u8; 16]) {
    let address: IpAddr = address.parse().unwrap();
    (if address.is_ipv4() { CT_FAMILY_IPV4 } else { CT_FAMILY_IPV6 }, address_bytes(address))
}

#[test]
fn a_port_on_any_address_loses_what_no_live_endpoint_answers() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let entries = node_port();
        let live = [end("10.0.0.1:8053"), end("[fd00::1]:8053")];
        let mut of = |family, live: &[SocketAddr]| {
            let filters = presets::port_on_any_address(Proto::UDP, 30053, family, live).unwrap();
            taken(&mut conntrack, &entries, &filters)
        };
        assert_eq!(of(None, &[]), (0..7).collect());
        assert_eq!(of(None, &live), [1, 2, 3, 4, 6].into());
        assert_eq!(of(Some(Family::IPV4), &live[..1]), [1, 2, 3, 4].into());
        assert_eq!(of(Some(Family::IPV6), &[]), [5, 6].into());

        let h = Handle::open();
        let mut f = empty::<3>();
        // SAFETY: the handle is live, the filters say their size, and the addresses have 16 bytes.
        unsafe {
            assert_eq!(c::ct_filter_port(h.0, &mut f[0], CT_PROTO_UDP, 30053), 0, "{}", h.error());
            assert_eq!(taken_by_c(&mut conntrack, &h, &entries, &f[..1]), (0..7).collect());
            (f[1], f[2]) = (f[0], f[0]);
            for (to, address) in f[1..].iter_mut().zip(["10.0.0.1", "fd00::1"]) {
                let (family, address) = bytes(address);
                assert_eq!(c::ct_filter_live_endpoint(h.0, to, family, address.as_ptr(), 8053), 0, "{}", h.error());
            }
            assert_eq!(taken_by_c(&mut conntrack, &h, &entries, &f), [1, 2, 3, 4, 6].into());
            // More may hold besides.
            f[0].r#match |= CT_MATCH_ZONE;
            f[0].zone = 5;
            assert_eq!(taken_by_c(&mut conntrack, &h, &entries, &f), [2].into());
        }
    });
}

#[test]
fn a_changed_service_and_a_dead_endpoint_lose_their_flows_alone() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let entries = node_port();
        let changed = presets::changed_service(Proto::UDP, end("192.0.2.9:30053"), &[end("10.0.0.1:8053")]).unwrap();
        assert_eq!(taken(&mut conntrack, &entries, &changed), [2, 3, 4].into());
        let dead = presets::dead_endpoint(&["10.0.0.2".parse().unwrap(), "2001:db8::1".parse().unwrap()]).unwrap();
        assert_eq!(taken(&mut conntrack, &entries, &dead), [1, 2, 5, 6].into());

        let h = Handle::open();
        let (v4, service) = bytes("192.0.2.9");
        let (_, live) = bytes("10.0.0.1");
        let mut f = empty::<4>();
        // SAFETY: the handle is live, the filters say their size, and the addresses have 16 bytes.
        unsafe {
            let made = c::ct_filter_service(h.0, &mut f[0], v4, service.as_ptr(), CT_PROTO_UDP, 30053);
            assert_eq!(made, 0, "{}", h.error());
            f[1] = f[0];
            let made = c::ct_filter_live_endpoint(h.0, &mut f[1], v4, live.as_ptr(), 8053);
            assert_eq!(made, 0, "{}", h.error());
            assert_eq!(taken_by_c(&mut conntrack, &h, &entries, &f[..2]), [2, 3, 4].into());
            f = empty::<4>();
            for (at, address) in [(0, "10.0.0.2"), (2, "2001:db8::1")] {
                let (family, address) = bytes(address);
                let made = c::ct_filter_dead_endpoint(h.0, &mut f[at], family, address.as_ptr());
                assert_eq!(made, 0, "{}", h.error());
            }
            assert_eq!(taken_by_c(&mut conntrack, &h, &entries, &f), [1, 2, 5, 6].into());
        }
    });
}

#[test]
fn everything_but_takes_all_within_and_leaves_what_is_spared() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let udp = |port, zone| udp("10.0.0.1", port, "10.0.0.2", 53).in_zone(zone);
        let entries = [
            udp(1, 0),
            udp(2, 5),
            in_one_zone(udp(3, 0), Has::ORIG_ZONE, 5),
            in_one_zone(udp(4, 0), Has::REPLY_ZONE, 5),
            tcp("fd00::1", 1, "fd00::2", 2).in_zone(5),
            tcp("fd00::1", 2, "fd00::3", 2),
            tcp("10.0.0.1", 9, "10.0.0.3", 2).in_zone(7),
        ];
        let only = |orig_zone, reply_zone| Filter { orig_zone, reply_zone, ..Filter::default() };
        let to = |address: &str| Filter { orig_dst: Some(ip(address).into()), ..Filter::default() };
        let sets: [(Vec<Filter>, Vec<Filter>, BTreeSet<usize>); 4] = [
            (presets::whole_table().into(), vec![zone(5)], [0, 5, 6].into()),
            (presets::whole_table().into(), vec![only(Some(5), None), zone(0)], [3, 6].into()),
            (vec![zone(5)], vec![to("10.0.0.2"), to("10.0.0.3")], [4].into()),
            (vec![zone(5), zone(7)], vec![only(Some(5), Some(0)), to("fd00::2")], [1, 3, 6].into()),
        ];
        let h = Handle::open();
        for (within, spared, wanted) in sets {
            let made = presets::everything_but(&within, &spared).unwrap();
            assert_eq!(taken(&mut conntrack, &entries, &made), wanted, "{made:?}");
            let mut f: Vec<_> = within.iter().chain(&spared).map(c_filter).collect();
            // SAFETY: the handle is live, and the filters say their size.
            let made = unsafe { c::ct_filter_everything_but(h.0, f.as_mut_ptr(), within.len(), f.len()) };
            assert_eq!(made, 0, "{}", h.error());
            assert_eq!(taken_by_c(&mut conntrack, &h, &entries, &f), wanted, "{f:?}");
        }
    });
}

#[test]
fn what_c_makes_wrong_is_refused_with_what_to_do_and_changes_no_filter() {
    netns(|| {
        let h = Handle::open();
        let (v4, v6) = (CT_FAMILY_IPV4, CT_FAMILY_IPV6);
        let bytes_of = [[0; 16], [1; 16]];
        let (null, zero, one) = (std::ptr::null(), bytes_of[0].as_ptr(), bytes_of[1].as_ptr());
        let mapped = bytes("::ffff:10.0.0.1").1;
        let udp = CT_PROTO_UDP;
        let with = |change: fn(&mut ct_filter)| {
            let mut f = empty::<3>();
            f.iter_mut().for_each(|f| f.r#match = CT_MATCH_ZONE);
            change(&mut f[0]);
            f
        };
        let fresh = || with(|_| {});
        let of_service = with(|f| {
            f.r#match |= CT_MATCH_PROTO | CT_MATCH_ORIG_DPORT;
            (f.proto, f.orig_dport_first, f.orig_dport_last) = (17, 1, 1);
        });
        let refused = |why: &str, mut filters: [ct_filter; 3], call: &dyn Fn(*mut ct_filter) -> i32| {
            let before = filters;
            assert_eq!(call(filters.as_mut_ptr()), -libc::EINVAL, "{why}: {}", h.error());
            assert!(h.error().contains(why), "{:?} does not say {why:?}", h.error());
            assert_eq!(filters, before, "{why}");
        };
        // SAFETY: the handle is live, the three filters say their size, and an address has 16 bytes or is NULL.
        unsafe {
            refused("0.0.0.0", fresh(), &|f| c::ct_filter_dead_endpoint(h.0, f, v4, zero));
            refused("does not mean any", fresh(), &|f| c::ct_filter_dead_endpoint(h.0, f, v6, zero));
            refused("address: is NULL", fresh(), &|f| c::ct_filter_dead_endpoint(h.0, f, v4, null));
            refused("IPv4 address in IPv6", fresh(), &|f| c::ct_filter_dead_endpoint(h.0, f, v6, mapped.as_ptr()));
            refused("family: ", fresh(), &|f| c::ct_filter_dead_endpoint(h.0, f, 0, one));
            refused("is NULL", fresh(), &|_| c::ct_filter_dead_endpoint(h.0, std::ptr::null_mut(), v4, one));
            refused("size", with(|f| f.size = 0), &|f| c::ct_filter_dead_endpoint(h.0, f, v4, one));
            refused("use ct_filter_port()", fresh(), &|f| c::ct_filter_service(h.0, f, v4, zero, udp, 53));
            refused("ports", fresh(), &|f| c::ct_filter_service(h.0, f, v4, one, CT_PROTO_ICMP, 53));
            refused("already", of_service, &|f| c::ct_filter_service(h.0, f, v4, one, udp, 53));
            refused("ports", fresh(), &|f| c::ct_filter_port(h.0, f, 253, 53));
            refused("already", of_service, &|f| c::ct_filter_port(h.0, f, udp, 53));
            refused(".zone", with(|f| (f.r#match, f.zone) = (0, 7)), &|f| c::ct_filter_port(h.0, f, udp, 53));
            refused("no filter of a service", fresh(), &|f| c::ct_filter_live_endpoint(h.0, f, v4, one, 53));
            refused("name the endpoint's own", of_service, &|f| c::ct_filter_live_endpoint(h.0, f, v4, zero, 53));
            refused("within", fresh(), &|f| c::ct_filter_everything_but(h.0, f, 0, 3));
            refused("within", fresh(), &|f| c::ct_filter_everything_but(h.0, f, 3, 3));
            refused("within", fresh(), &|f| c::ct_filter_everything_but(h.0, f, usize::MAX, 3));
            refused("n: is 0", fresh(), &|f| c::ct_filter_everything_but(h.0, f, 0, 0));
            refused(".flags", with(|f| f.flags = CT_FILTER_EXCLUDE), &|f| c::ct_filter_everything_but(h.0, f, 2, 3));
            refused("matches every", with(|f| f.r#match = 0), &|f| c::ct_filter_everything_but(h.0, f, 1, 3));
            refused(
                "filter[0]: 0.0.0.0 or :: does not mean any address; leave",
                with(|f| {
                    f.r#match |= CT_MATCH_FAMILY | CT_MATCH_ORIG_DST;
                    (f.family, f.orig_dst_prefix) = (CT_FAMILY_IPV4, 32);
                }),
                &|f| c::ct_filter_everything_but(h.0, f, 1, 3),
            );
            refused(
                "filter[0]: is an IPv4 address in IPv6",
                with(|f| {
                    f.r#match |= CT_MATCH_FAMILY | CT_MATCH_ORIG_DST;
                    (f.family, f.orig_dst_prefix) = (CT_FAMILY_IPV6, 128);
                    f.orig_dst = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 1];
                }),
                &|f| c::ct_filter_everything_but(h.0, f, 1, 3),
            );
            let zoned = || with(|f| f.r#match |= CT_MATCH_ZONE);
            let rule = |f, direction, own, length| c::ct_filter_rule(h.0, f, direction, v4, own, length, null, 0);
            refused("zone: must count", with(|f| (f.r#match, f.zone) = (0, 0)), &|f| rule(f, CT_RULE_INGRESS, one, 32));
            refused("direction", zoned(), &|f| rule(f, 0, one, 32));
            refused("direction", zoned(), &|f| rule(f, 3, one, 32));
            refused("own: 0.0.0.0", zoned(), &|f| rule(f, CT_RULE_EGRESS, zero, 32));
            refused("own: is NULL", zoned(), &|f| rule(f, CT_RULE_EGRESS, null, 32));
            refused("prefix length 33", zoned(), &|f| rule(f, CT_RULE_EGRESS, one, 33));
            refused("behind the prefix", zoned(), &|f| rule(f, CT_RULE_EGRESS, one, 8));
            refused("other: is NULL", zoned(), &|f| c::ct_filter_rule(h.0, f, CT_RULE_INGRESS, v4, one, 32, null, 8));
            refused("other: 0.0.0.0", zoned(), &|f| c::ct_filter_rule(h.0, f, CT_RULE_INGRESS, v4, one, 32, zero, 32));
            assert_eq!(c::ct_filter_port(std::ptr::null_mut(), &mut fresh()[0], udp, 1), -libc::EINVAL);
        }
    });
}

#[test]
fn a_withdrawn_rule_loses_the_flows_of_its_direction_zone_and_other_ends() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let flow = |src: &str, dst: &str, zone| lasting(udp(src, 1000, dst, 53)).in_zone(zone);
        let entries = [
            flow("10.1.0.9", "10.0.0.7", 5),
            flow("10.2.0.9", "10.0.0.7", 5),
            flow("10.1.0.9", "10.0.0.7", 6),
            flow("10.0.0.7", "10.1.0.9", 5),
            flow("10.1.0.9", "10.0.0.8", 5),
        ];
        let h = Handle::open();
        let (v4, own) = bytes("10.0.0.7");
        let (_, other) = bytes("10.1.0.0");
        // What the rule takes, of one other network or of all.
        let mut of = |direction, other: Option<&[u8; 16]>| {
            let mut f = empty::<1>();
            (f[0].r#match, f[0].zone) = (CT_MATCH_ZONE, 5);
            let (other, length) = other.map_or((std::ptr::null(), 0), |other| (other.as_ptr(), 16));
            // SAFETY: the handle is live, the filter says its size, and the addresses have 16 bytes.
            let made = unsafe { c::ct_filter_rule(h.0, &mut f[0], direction, v4, own.as_ptr(), 32, other, length) };
            assert_eq!(made, 0, "{}", h.error());
            taken_by_c(&mut conntrack, &h, &entries, &f)
        };
        assert_eq!(of(CT_RULE_INGRESS, Some(&other)), [0].into());
        assert_eq!(of(CT_RULE_INGRESS, None), [0, 1].into());
        assert_eq!(of(CT_RULE_EGRESS, Some(&other)), [3].into());
        assert_eq!(of(CT_RULE_EGRESS, None), [3].into());
    });
}

#[test]
fn filters_of_another_size_keep_what_lies_behind_them() {
    netns(|| {
        #[repr(C)]
        struct Later {
            known: ct_filter,
            more: [u64; 2],
        }
        let h = Handle::open();
        let later = |zone| {
            let known = ct_filter { size: size_of::<Later>() as u32, r#match: CT_MATCH_ZONE, zone, ..empty_filter() };
            Later { known, more: [0; 2] }
        };
        let mut f = [later(5), later(6), later(7)];
        // SAFETY: the handle is live, and the filters say their size.
        unsafe {
            assert_eq!(c::ct_filter_everything_but(h.0, f.as_mut_ptr().cast(), 1, 3), 0, "{}", h.error());
            assert_eq!(f.each_ref().map(|f| (f.known.flags, f.known.zone)), [(0, 5), (1, 6), (1, 7)]);
            // A filter of the first release has room for 176 bytes.
            let mut old = ct_filter { size: 176, ..empty_filter() };
            (old.orig_zone, old.id) = (0xdead_beef, 0xdead_beef);
            assert_eq!(c::ct_filter_port(h.0, &mut old, CT_PROTO_UDP, 53), 0, "{}", h.error());
            assert_eq!((old.orig_dport_last, old.orig_zone, old.id), (53, 0xdead_beef, 0xdead_beef));
        }
    });
}
