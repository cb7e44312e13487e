//! What is refused: wrong arguments, and everything that would delete more than was said. Each time with -EINVAL, a
//! text that names the field, and an unchanged table.

mod common;
use common::c::{c_filter, empty_filter, Handle};
use common::*;
use ctrack::*;
use ctrack_c::abi::*;
use ctrack_c::ct_filter;
use std::collections::BTreeSet;

const EINVAL: i32 = -libc::EINVAL;

/// A handle on a table that must not change.
struct Guarded {
    handle: Handle,
    before: BTreeSet<String>,
}

impl Guarded {
    fn new() -> Guarded {
        let handle = Handle::open();
        let made = handle.create_entries(&table::mixed());
        assert_eq!(made.ret, 0, "{}", handle.error());
        let before = cli_table();
        assert_eq!(before.len(), table::mixed().len());
        Guarded { handle, before }
    }

    fn refused(&self, what: &str, ret: i32, field: &str) {
        let text = self.handle.error();
        assert_eq!(ret, EINVAL, "{what}: {text}");
        assert!(text.contains(field), "{what}: {text:?} does not name {field}");
        assert_untouched(&self.before, what);
    }
}

fn failure<T>(result: Result<T, i32>) -> i32 {
    result.err().unwrap_or(0)
}

fn with(change: impl FnOnce(&mut ct_filter)) -> ct_filter {
    let mut filter = empty_filter();
    change(&mut filter);
    filter
}

/// A C filter with the family IPv4 and a change.
fn ipv4(change: impl FnOnce(&mut ct_filter)) -> ct_filter {
    with(|f| {
        (f.r#match, f.family) = (CT_MATCH_FAMILY, CT_FAMILY_IPV4);
        change(f);
    })
}

/// A C filter with the protocol UDP and a change.
fn udp_only(change: impl FnOnce(&mut ct_filter)) -> ct_filter {
    with(|f| {
        (f.r#match, f.proto) = (CT_MATCH_PROTO, CT_PROTO_UDP);
        change(f);
    })
}

fn wrong_filters() -> Vec<(&'static str, ct_filter, &'static str)> {
    let v6 = address_bytes(ip("fd00::1"));
    let v4 = address_bytes(ip("10.0.0.1"));
    vec![
        ("zone 65536", with(|f| (f.r#match, f.zone) = (CT_MATCH_ZONE, 65536)), ".zone"),
        ("zone 2^32-1", with(|f| (f.r#match, f.zone) = (CT_MATCH_ZONE, u32::MAX)), ".zone"),
        ("zone forgotten in match", ipv4(|f| f.zone = 7), ".zone"),
        ("orig zone 65536", with(|f| (f.r#match, f.orig_zone) = (CT_MATCH_ORIG_ZONE, 65536)), ".orig_zone"),
        ("reply zone 65541", with(|f| (f.r#match, f.reply_zone) = (CT_MATCH_REPLY_ZONE, 65541)), ".reply_zone"),
        ("orig zone forgotten in match", ipv4(|f| f.orig_zone = 7), ".orig_zone"),
        ("reply zone forgotten in match", ipv4(|f| f.reply_zone = 7), ".reply_zone"),
        ("id forgotten in match", ipv4(|f| f.id = 7), ".id"),
        ("pad0", ipv4(|f| f.pad0 = 7), ".pad0"),
        (
            "two zones in one entry",
            with(|f| {
                f.r#match = CT_MATCH_ORIG_ZONE | CT_MATCH_REPLY_ZONE;
                (f.orig_zone, f.reply_zone) = (5, 7);
            }),
            ".reply_zone",
        ),
        (
            "no zone and a zone",
            with(|f| (f.r#match, f.reply_zone) = (CT_MATCH_ZONE | CT_MATCH_REPLY_ZONE, 7)),
            ".reply_zone",
        ),
        (
            "a zone in no direction",
            with(|f| (f.r#match, f.zone) = (CT_MATCH_ZONE | CT_MATCH_ORIG_ZONE | CT_MATCH_REPLY_ZONE, 7)),
            ".zone",
        ),
        ("family 0", with(|f| f.r#match = CT_MATCH_FAMILY), ".family"),
        ("family 7", with(|f| (f.r#match, f.family) = (CT_MATCH_FAMILY, 7)), ".family"),
        ("address without family", with(|f| (f.r#match, f.orig_src) = (CT_MATCH_ORIG_SRC, v4)), ".family"),
        ("IPv4 prefix 33", ipv4(|f| (f.r#match, f.orig_src_prefix) = (f.r#match | CT_MATCH_ORIG_SRC, 33)), ".orig_src"),
        (
            "IPv6 prefix 129",
            with(|f| {
                (f.r#match, f.family) = (CT_MATCH_FAMILY | CT_MATCH_REPLY_DST, CT_FAMILY_IPV6);
                (f.reply_dst, f.reply_dst_prefix) = (v6, 129);
            }),
            ".reply_dst",
        ),
        (
            "bits behind an IPv4 prefix",
            ipv4(|f| {
                f.r#match |= CT_MATCH_ORIG_DST;
                (f.orig_dst, f.orig_dst_prefix) = (v4, 24);
            }),
            ".orig_dst",
        ),
        (
            "bits behind an IPv6 prefix",
            with(|f| {
                (f.r#match, f.family) = (CT_MATCH_FAMILY | CT_MATCH_REPLY_SRC, CT_FAMILY_IPV6);
                (f.reply_src, f.reply_src_prefix) = (v6, 64);
            }),
            ".reply_src",
        ),
        (
            "an IPv6 address for IPv4",
            ipv4(|f| {
                f.r#match |= CT_MATCH_ORIG_SRC;
                (f.orig_src, f.orig_src_prefix) = (v6, 32);
            }),
            ".orig_src",
        ),
        (
            "range upside down",
            udp_only(|f| {
                f.r#match |= CT_MATCH_ORIG_DPORT;
                (f.orig_dport_first, f.orig_dport_last) = (54, 53);
            }),
            ".orig_dport",
        ),
        ("ports without protocol", with(|f| f.r#match = CT_MATCH_ORIG_SPORT), ".orig_sport"),
        (
            "ports of ICMP",
            with(|f| (f.r#match, f.proto) = (CT_MATCH_PROTO | CT_MATCH_REPLY_SPORT, CT_PROTO_ICMP)),
            ".reply_sport",
        ),
        (
            "ports of protocol 253",
            with(|f| (f.r#match, f.proto) = (CT_MATCH_PROTO | CT_MATCH_REPLY_DPORT, 253)),
            ".reply_dport",
        ),
        ("ICMP fields of UDP", udp_only(|f| f.r#match |= CT_MATCH_ICMP_ID), ".icmp_id"),
        (
            "TCP states of UDP",
            udp_only(|f| (f.r#match, f.tcp_states) = (f.r#match | CT_MATCH_TCP_STATES, 8)),
            ".tcp_states",
        ),
        (
            "TCP state 10",
            with(|f| {
                (f.r#match, f.proto) = (CT_MATCH_PROTO | CT_MATCH_TCP_STATES, CT_PROTO_TCP);
                f.tcp_states = 1 << 10;
            }),
            ".tcp_states",
        ),
        (
            "no TCP state",
            with(|f| (f.r#match, f.proto) = (CT_MATCH_PROTO | CT_MATCH_TCP_STATES, CT_PROTO_TCP)),
            ".tcp_states",
        ),
        ("status bit 16", with(|f| (f.r#match, f.status_set) = (CT_MATCH_STATUS, 1 << 16)), ".status_set"),
        ("status bit 31", with(|f| (f.r#match, f.status_clear) = (CT_MATCH_STATUS, 1 << 31)), ".status_clear"),
        (
            "status both set and clear",
            with(|f| (f.r#match, f.status_set, f.status_clear) = (CT_MATCH_STATUS, 6, 2)),
            ".status_clear",
        ),
        ("mark outside its mask", with(|f| (f.r#match, f.mark, f.mark_mask) = (CT_MATCH_MARK, 3, 1)), ".mark"),
        ("labels outside their mask", with(|f| (f.r#match, f.labels) = (CT_MATCH_LABELS, [1; 16])), ".labels"),
        ("helper without name", with(|f| f.r#match = CT_MATCH_HELPER), ".helper"),
        ("helper without end", with(|f| (f.r#match, f.helper) = (CT_MATCH_HELPER, [97; 16])), ".helper"),
        ("flag 1", ipv4(|f| f.flags = 2), ".flags"),
        ("match bit 62", ipv4(|f| f.r#match |= 1 << 62), ".match"),
        ("match bit 63", ipv4(|f| f.r#match |= 1 << 63), ".match"),
        ("size too small", ipv4(|f| f.size = 175), ".size"),
    ]
}

#[test]
fn a_wrong_filter_is_refused_by_name_and_changes_nothing() {
    netns(|| {
        let guarded = Guarded::new();
        for (what, wrong, field) in wrong_filters() {
            let h = &guarded.handle;
            let name = format!("filter[0]{field}");
            guarded.refused(what, failure(h.list(&[wrong])), &name);
            guarded.refused(what, failure(h.dump_start(&[wrong])), &name);
            assert_eq!(h.dump_next(1).unwrap_err(), EINVAL, "{what}: no dump was opened");
            guarded.refused(what, h.delete(&[wrong]).0, &name);
            let scope = h.flush(Some(&wrong), 0);
            guarded.refused(what, scope, "scope");
        }
    });
}

#[test]
fn the_text_says_which_of_many_filters_is_wrong() {
    netns(|| {
        let guarded = Guarded::new();
        let right = ipv4(|_| {});
        for (what, wrong, field) in wrong_filters().into_iter().filter(|(_, wrong, _)| wrong.size == right.size) {
            let (ret, result) = guarded.handle.delete(&[right, right, wrong, right]);
            guarded.refused(what, ret, &format!("filter[2]{field}"));
            assert_eq!((result.matched, result.done), (0, 0));
        }
    });
}

#[test]
fn a_family_that_contradicts_an_address_is_refused_in_rust_too() {
    netns(|| {
        let guarded = Guarded::new();
        let mut conntrack = Conntrack::open().unwrap();
        let right = Filter { family: Some(Family::IPV6), ..Filter::default() };
        for (wrong, field) in [
            (Filter { orig_src: Some(ip("10.0.0.1").into()), ..right.clone() }, "orig_src"),
            (Filter { reply_dst: Some(net("0.0.0.0/0")), ..right.clone() }, "reply_dst"),
            (Filter { family: Some(Family::IPV4), orig_dst: Some(net("::/0")), ..right.clone() }, "orig_dst"),
            (
                Filter {
                    family: None,
                    orig_src: Some(net("10.0.0.0/8")),
                    reply_src: Some(net("fd00::/16")),
                    ..right.clone()
                },
                "reply_src",
            ),
        ] {
            let error = conntrack.delete(std::slice::from_ref(&wrong)).unwrap_err();
            assert_eq!(error.errno(), libc::EINVAL, "{error}");
            assert!(error.to_string().contains(&format!("filter[0].{field}")), "{error}");
            assert_untouched(&guarded.before, &error.to_string());
        }
    });
}

fn wrong_entries() -> Vec<(&'static str, Entry, &'static str)> {
    let right = marked(udp("10.0.0.1", 1, "10.0.0.2", 2), 1);
    let with = |change: fn(&mut Entry)| {
        let mut entry = right;
        change(&mut entry);
        entry
    };
    vec![
        ("zone 65536", with(|e| (e.has, e.zone) = (e.has | Has::ZONE, 65536)), "zone"),
        ("orig zone 65536", with(|e| (e.has, e.orig.zone) = (e.has | Has::ORIG_ZONE, 65536)), "orig.zone"),
        ("reply zone 2^31", with(|e| (e.has, e.reply.zone) = (e.has | Has::REPLY_ZONE, 1 << 31)), "reply.zone"),
        ("zone forgotten in has", with(|e| e.zone = 7), "zone"),
        ("two kinds of zone", with(|e| e.has |= Has::ZONE | Has::ORIG_ZONE), "zone"),
        ("zones that differ", with(|e| (*e, e.orig.zone) = (e.in_zone(7), 8)), "orig.zone"),
        ("family 0", with(|e| e.family = Family::UNSPEC), "family"),
        ("family 17", with(|e| e.family = Family(17)), "family"),
        ("an IPv6 address for IPv4", with(|e| e.orig.src[15] = 1), "orig.src"),
        ("no tuple", with(|e| (e.has, e.orig) = (Has::MARK | Has::TIMEOUT | Has::PORTS, Tuple::EMPTY)), "orig"),
        ("UDP without ports", with(|e| (e.has, e.orig.sport, e.orig.dport) = (e.has & !Has::PORTS, 0, 0)), "proto"),
        ("ports forgotten in has", with(|e| e.has &= !Has::PORTS), "orig.sport"),
        ("ports of ICMP", with(|e| e.proto = Proto::ICMP), "proto"),
        ("ICMP fields of UDP", with(|e| e.has |= Has::ICMP), "proto"),
        (
            "TCP state of UDP",
            with(|e| (e.has, e.tcp_state) = (e.has | Has::TCP_STATE, TcpState::ESTABLISHED)),
            "tcp_state",
        ),
        ("the next bit of has", with(|e| e.has |= Has::from_bits_retain(Has::KNOWN.bits() + 1)), ""),
        ("has bit 63", with(|e| e.has |= Has::from_bits_retain(1 << 63)), ""),
        ("reserved", with(|e| e.reserved[0] = 1), "reserved"),
        ("mark forgotten in has", with(|e| e.has &= !Has::MARK), "mark"),
        ("id forgotten in has", with(|e| e.id = 1), "id"),
        ("helper without end", with(|e| (e.has, e.helper) = (e.has | Has::HELPER, [97; 16])), "helper"),
    ]
}

#[test]
fn a_wrong_entry_is_refused_by_name_and_nothing_of_its_batch_is_done() {
    netns(|| {
        let guarded = Guarded::new();
        let listed = guarded.handle.list(&[]).unwrap();
        // Right ones around it, which must not be touched either.
        let existing = Entry { has: by_hand(&listed[0]).has | Has::MARK, mark: 77, ..by_hand(&listed[0]) };
        let new = udp("10.9.9.9", 1, "10.9.9.9", 2);
        for (what, wrong, field) in wrong_entries() {
            let h = &guarded.handle;
            let name = |of: &str| format!("{of}{}{field}: ", if field.is_empty() { "" } else { "." });
            // A key may have values that only a later kernel or release knows: they identify nothing.
            if !["tcp_state", "helper"].contains(&field) {
                guarded.refused(what, failure(h.get(&wrong)), &name("key"));
                guarded.refused(what, h.delete_entries(&[existing, wrong, existing]).ret, &name("entry[1]"));
            }
            guarded.refused(what, h.update_entries(&[existing, wrong, existing]).ret, &name("entry[1]"));
            guarded.refused(what, h.create_entries(&[new, wrong, new]).ret, &name("entry[1]"));
        }
    });
}

#[test]
fn deleting_without_saying_what_is_refused() {
    netns(|| {
        let guarded = Guarded::new();
        let one = Filter { zone: Some(7), ..Filter::default() };
        let excluding = Filter { exclude: true, ..one.clone() };
        let everything = [
            ("an empty filter", Filter::default()),
            ("mark 0/0", Filter { mark: Some(Masked { value: 0, mask: 0 }), ..Filter::default() }),
            ("labels 0/0", Filter { labels: Some(Masked { value: [0; 16], mask: [0; 16] }), ..Filter::default() }),
        ];
        let mut sets = vec![("no filter", vec![]), ("only an excluding filter", vec![excluding.clone(); 2])];
        let named = [1, 0, u32::MAX].map(|id| ("an id alone", Filter { id: Some(id), ..Filter::default() }));
        let confirmed = Filter { id: Some(1), status_set: Status::CONFIRMED, ..Filter::default() };
        for (what, filter) in everything.into_iter().chain(named).chain([("an id and what all have", confirmed)]) {
            sets.push((what, vec![filter.clone()]));
            sets.push((what, vec![one.clone(), filter.clone()]));
            sets.push((what, vec![filter, excluding.clone()]));
        }
        for (what, filters) in sets {
            let filters: Vec<_> = filters.iter().map(c_filter).collect();
            let (ret, result) = guarded.handle.delete(&filters);
            guarded.refused(what, ret, "filter");
            let says_what_to_add = guarded.handle.error().contains("add what else the entry has");
            assert_eq!(says_what_to_add, what.starts_with("an id"), "{}", guarded.handle.error());
            assert_eq!((result.matched, result.done, result.gone, result.failed), (0, 0, 0, 0), "{what}");
        }
        let no_status = with(|f| f.r#match = CT_MATCH_STATUS);
        guarded.refused("status 0/0", guarded.handle.delete(&[no_status]).0, "filter");
        let mut conntrack = Conntrack::open().unwrap();
        assert_eq!(conntrack.delete(&[]).unwrap_err().errno(), libc::EINVAL);
        assert_eq!(conntrack.delete(&[Filter::default()]).unwrap_err().errno(), libc::EINVAL);
        assert_untouched(&guarded.before, "an empty filter in Rust");
    });
}

#[test]
fn flushing_without_a_scope_wants_the_flag_that_says_everything() {
    netns(|| {
        let guarded = Guarded::new();
        let h = &guarded.handle;
        let scope = with(|f| (f.r#match, f.zone) = (CT_MATCH_ZONE, 7));
        guarded.refused("NULL", h.flush(None, 0), "scope");
        guarded.refused("a scope and CT_FLUSH_ALL", h.flush(Some(&scope), CT_FLUSH_ALL), "flags");
        guarded.refused("unknown flags", h.flush(None, CT_FLUSH_ALL | 2), "flags");
        guarded.refused("unknown flags", h.flush(Some(&scope), 1 << 31), "flags");
        for (what, wrong) in [
            ("an empty scope", empty_filter()),
            ("an excluding scope", ct_filter { flags: CT_FILTER_EXCLUDE, ..scope }),
            ("an id", with(|f| (f.r#match, f.id) = (CT_MATCH_ID, 7))),
            ("an id in a zone", with(|f| (f.r#match, f.zone, f.id) = (CT_MATCH_ID | CT_MATCH_ZONE, 7, 7))),
            ("the zone of one direction", with(|f| (f.r#match, f.orig_zone) = (CT_MATCH_ORIG_ZONE, 7))),
            ("zones of both", with(|f| f.r#match = CT_MATCH_ORIG_ZONE | CT_MATCH_REPLY_ZONE)),
            ("mark 0/0", with(|f| f.r#match = CT_MATCH_MARK)),
            ("status 0/0", with(|f| f.r#match = CT_MATCH_STATUS)),
        ] {
            guarded.refused(what, h.flush(Some(&wrong), 0), "scope");
        }
        assert_eq!(Conntrack::open().unwrap().flush(&Filter::default()).unwrap_err().errno(), libc::EINVAL);
        assert_untouched(&guarded.before, "an empty scope in Rust");

        assert_eq!(h.flush(None, CT_FLUSH_ALL), 0, "{}", h.error());
        assert_eq!(cli_count(), 0);
    });
}

#[test]
fn a_scope_of_anything_but_family_zone_mark_and_status_is_refused() {
    netns(|| {
        let guarded = Guarded::new();
        let udp = Filter { proto: Some(Proto::UDP), ..Filter::default() };
        let tcp = Filter { proto: Some(Proto::TCP), ..Filter::default() };
        let icmp = Filter { proto: Some(Proto::ICMP), ..Filter::default() };
        let address = Some(Prefix::from(ip("10.0.0.1")));
        for (what, filter) in [
            ("protocol", udp.clone()),
            ("orig_src", Filter { orig_src: address, ..Filter::default() }),
            ("orig_dst", Filter { orig_dst: address, ..Filter::default() }),
            ("reply_src", Filter { reply_src: address, ..Filter::default() }),
            ("reply_dst", Filter { reply_dst: Some(net("0.0.0.0/0")), ..Filter::default() }),
            ("orig_sport", Filter { orig_sport: Some(1..=2), ..udp.clone() }),
            ("reply_dport", Filter { reply_dport: Some(0..=65535), ..udp }),
            ("icmp_type", Filter { icmp_type: Some(8), ..icmp }),
            ("tcp_states", Filter { tcp_states: Some(TcpStates::ESTABLISHED), ..tcp }),
            ("labels", Filter { labels: Some(Masked { value: [1; 16], mask: [1; 16] }), ..Filter::default() }),
            ("helper", Filter { helper: Some("ftp".into()), ..Filter::default() }),
        ] {
            for filter in [filter.clone(), Filter { zone: Some(7), ..filter }] {
                guarded.refused(what, guarded.handle.flush(Some(&c_filter(&filter)), 0), "scope");
                let error = Conntrack::open().unwrap().flush(&filter).unwrap_err();
                assert_eq!(error.errno(), libc::EINVAL, "{what}: {error}");
            }
        }
        assert_untouched(&guarded.before, "all of them");
    });
}
