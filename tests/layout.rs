//! The structs as Rust lays them out are those of `abi/layout.txt`, field by field; scripts/test-install.sh compares that file
//! with what C compilers make of the header. Constants and structs of entries, which C has once more, are ctnetlink's.
//! `abi/fields.txt` says of every field of an entry and of a filter what announces it, and of an entry which calls take it.
//!
//! To record one of the two files anew, for a change that was meant: run this test, and copy what it found over it.

use bitflags::Flags;
use ctnetlink::fields::{Within, FIELDS};
use ctrack::{Counters, Entry, Family, Has, Proto, Status, TcpState, TcpStates, Tuple};
use ctrack_c::seams::FILTER_FIELDS;
use ctrack_c::{
    ct_counters, ct_entry, ct_event, ct_filter, ct_open_opts, ct_result, ct_tuple, ct_watch_info, ct_watch_opts,
};
use std::fmt::Write;
use std::mem::{offset_of, size_of};

fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}

macro_rules! layout {
    ($out:ident, $name:literal, $type:ident { $($field:ident),+ $(,)? }) => {
        writeln!($out, "{} {}", $name, size_of::<$type>()).unwrap();
        $(
            let size = size_of_field(|value: &$type| &value.$field);
            let field = stringify!($field).trim_start_matches("r#");
            writeln!($out, "{}.{field} {} {size}", $name, offset_of!($type, $field)).unwrap();
        )+
        // A field that is missing above does not compile. (Of a pattern the compiler would not name it.)
        let _ = |value: $type| $type { $($field: value.$field),+ };
    };
}

/// A struct of ctnetlink and the one that C sees, which are the same bytes.
macro_rules! same_layout {
    ($out:ident, $name:literal, $rust:ident, $c:ident $fields:tt) => {
        let mut of_c = String::new();
        layout! { of_c, $name, $c $fields }
        let mut of_rust = String::new();
        layout! { of_rust, $name, $rust $fields }
        for (c, rust) in of_c.lines().zip(of_rust.lines()) {
            assert_eq!(c, rust, "a field, its offset and size: in src/entry.rs, and in ctnetlink's entry.rs");
        }
        $out.push_str(&of_rust);
    };
}

/// The fields of all structs of the header, for example "ct_filter.zone".
fn fields_of_the_header() -> Vec<String> {
    let mut fields = Vec::new();
    for block in include_str!("../include/ctrack.h").split("\nstruct ").skip(1) {
        let Some((name, declared)) = block.split_once(" {\n") else { continue };
        let (declared, _) = declared.split_once("\n};\n").expect("the end of a struct");
        for line in declared.lines().filter_map(|line| line.strip_suffix(';')) {
            let field = line.rsplit(' ').next().unwrap().split('[').next().unwrap();
            fields.push(format!("{name}.{field}"));
        }
    }
    fields
}

/// A file of `abi/` is what was found now.
fn assert_recorded(name: &str, recorded: &str, found: &str) {
    let copy = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&copy, found).unwrap();
    let new: Vec<&str> = found.lines().filter(|line| !recorded.lines().any(|other| other == *line)).collect();
    let gone: Vec<&str> = recorded.lines().filter(|line| !found.lines().any(|other| other == *line)).collect();
    assert!(new.is_empty() && gone.is_empty(), "abi/{name}: {new:#?} not recorded, {gone:#?} not found; all: {copy}");
    assert_eq!(recorded, found, "abi/{name}; what was found: {copy}");
}

#[test]
fn every_field_lies_where_the_abi_says() {
    let mut found = String::new();
    layout! { found, "ct_open_opts", ct_open_opts { size, flags, netns_fd, timeout_ms, rcvbuf, pad0 } }
    layout! { found, "ct_filter", ct_filter {
        size, flags, r#match, family, proto, icmp_type, icmp_code, icmp_id, tcp_states, zone, mark, mark_mask,
        status_set, status_clear, orig_src_prefix, orig_dst_prefix, reply_src_prefix, reply_dst_prefix, orig_src,
        orig_dst, reply_src, reply_dst, orig_sport_first, orig_sport_last, orig_dport_first, orig_dport_last,
        reply_sport_first, reply_sport_last, reply_dport_first, reply_dport_last, labels, labels_mask, helper,
        orig_zone, reply_zone, id, pad0,
    } }
    same_layout! { found, "ct_tuple", Tuple, ct_tuple {
        src, dst, sport, dport, icmp_id, icmp_type, icmp_code, zone,
    } }
    same_layout! { found, "ct_counters", Counters, ct_counters { packets, bytes } }
    same_layout! { found, "ct_entry", Entry, ct_entry {
        has, id, status, mark, timeout, use_count, zone, family, proto, tcp_state, sctp_state, tcp_wscale_orig,
        tcp_wscale_reply, tcp_flags_orig, tcp_flags_reply, tcp_mask_orig, tcp_mask_reply, dccp_state, dccp_role,
        sctp_vtag_orig, sctp_vtag_reply, mark_mask, orig, reply, orig_counters, reply_counters, start_ns, stop_ns,
        labels, helper, reserved,
    } }
    layout! { found, "ct_result", ct_result { size, flags, matched, done, gone, failed, first_error, pad0, spared } }
    layout! { found, "ct_event", ct_event {
        r#type, flags, number, lost, received_ns, time_ns, portid, nsid, reserved, entry,
    } }
    layout! { found, "ct_watch_opts", ct_watch_opts {
        size, flags, netns_fd, events, timeout_ms, rcvbuf, audit_ms, max_entries,
    } }
    layout! { found, "ct_watch_info", ct_watch_info {
        size, flags, events_mode, rcvbuf, queued, pad0, received, lost, resyncs, restarts, verified, audited, entries,
    } }
    let header = fields_of_the_header();
    for name in &header {
        assert!(found.contains(&format!("{name} ")), "the header has {name}, and this test does not name it");
    }
    for (name, _) in found.lines().filter_map(|line| line.split_once(' ')).filter(|(name, _)| name.contains('.')) {
        assert!(header.iter().any(|field| field == name), "include/ctrack.h has no {name}: make header");
    }
    for field in FIELDS.iter().copied().flatten() {
        let name = field.name.split('.').next().unwrap();
        assert!(found.contains(&format!("ct_entry.{name} ")), "ct_entry has no {name}: src/entry.rs");
    }
    assert_recorded("layout.txt", include_str!("../abi/layout.txt"), &found);
}

/// Bits by their names, joined by a sign.
fn names(bits: Has, sign: &str) -> String {
    bits.iter_names().map(|(name, _)| name).collect::<Vec<_>>().join(sign)
}

#[test]
fn every_field_is_recorded_with_what_announces_it() {
    let mut lines: Vec<(bool, usize, String)> = Vec::new();
    for (name, offset, size, bit) in FILTER_FIELDS {
        let (name, bit) = (name.trim_start_matches("r#"), bit.trim_start_matches("CT_MATCH_"));
        let bit = if bit.is_empty() { "-" } else { bit };
        lines.push((false, *offset, format!("ct_filter.{name} {offset} {size} {bit}")));
    }
    for field in FIELDS.iter().copied().flatten() {
        let uses = [(Within::KEY, "key"), (Within::CREATE, "create"), (Within::UPDATE, "update")];
        let uses: Vec<_> = uses.iter().filter(|(one, _)| field.within.contains(*one)).map(|(_, name)| *name).collect();
        let uses = if uses.is_empty() { "-".to_owned() } else { uses.join(",") };
        let bits = if field.any.is_empty() { names(field.all, "&") } else { names(field.any, "|") };
        // The two numbers of a direction are one field.
        let (name, size) = match field.name.strip_suffix(".packets") {
            Some(name) => (name, 2 * field.size),
            None if field.name.ends_with(".bytes") => continue,
            None => (field.name, field.size),
        };
        lines.push((true, field.offset, format!("ct_entry.{name} {} {size} {bits} {uses}", field.offset)));
    }
    for (name, offset, size, uses) in [
        ("has", offset_of!(Entry, has), size_of::<Has>(), "-"),
        ("family", offset_of!(Entry, family), 1, "key,create"),
        ("proto", offset_of!(Entry, proto), 1, "key,create"),
        ("reserved", offset_of!(Entry, reserved), size_of::<Entry>() - offset_of!(Entry, reserved), "-"),
    ] {
        lines.push((true, offset, format!("ct_entry.{name} {offset} {size} - {uses}")));
    }
    lines.sort();
    let found: String = lines.into_iter().map(|(.., line)| line + "\n").collect();
    assert_recorded("fields.txt", include_str!("../abi/fields.txt"), &found);
}

/// The constants of the header whose names begin so: the rest of the name, and the value.
fn header(prefix: &str) -> Vec<(String, u64)> {
    let lines = include_str!("../include/ctrack.h").lines().filter_map(|line| line.strip_prefix("#define "));
    let constants = lines.filter_map(|line| line.strip_prefix(prefix)).map(|line| {
        let (name, value) = line.split_once(' ').expect("a value");
        let value = match value.strip_prefix('(').and_then(|value| value.strip_suffix(')')) {
            None => value.parse().expect("a number"),
            Some(shifted) => {
                let (one, bit) = shifted.split_once(" << ").expect("a bit");
                assert!(matches!(one, "1u" | "1ull"), "{line}");
                1 << bit.parse::<u32>().expect("the number of a bit")
            }
        };
        (name.to_owned(), value)
    });
    let constants: Vec<_> = constants.collect();
    assert!(!constants.is_empty(), "the header has no {prefix}");
    constants
}

fn flags<F: Flags<Bits: Into<u64>>>() -> Vec<(String, u64)> {
    let named = F::FLAGS.iter().filter(|flag| flag.is_named());
    named.map(|flag| (flag.name().to_owned(), flag.value().bits().into())).collect()
}

fn numbers<T: Copy + Into<u8>>(all: &[T], name: fn(T) -> Option<&'static str>) -> Vec<(String, u64)> {
    let named = |number: &T| (name(*number).expect("a name").to_uppercase(), u64::from((*number).into()));
    all.iter().map(named).collect()
}

fn assert_same_constants(prefix: &str, header: &[(String, u64)], of: &str, typed: &[(String, u64)]) {
    let value_in = |constants: &[(String, u64)], wanted: &str| {
        constants.iter().find(|(name, _)| name == wanted).map(|(_, value)| format!("{value:#x}"))
    };
    for (name, _) in header.iter().chain(typed) {
        let (of_c, of_rust) = (value_in(header, name), value_in(typed, name));
        assert_eq!(of_c, of_rust, "{prefix}{name} of the header, and {of}::{name}");
    }
    assert_eq!(header.len(), typed.len(), "{of}: one comes twice");
}

#[test]
fn every_constant_of_the_header_is_one_of_the_types_and_the_other_way_round() {
    let states = header("CT_TCP_STATE_");
    let bits: Vec<_> = states.iter().map(|(name, state)| (name.clone(), 1 << state)).collect();
    for (prefix, header, of, typed) in [
        ("CT_HAS_", header("CT_HAS_"), "Has", flags::<Has>()),
        ("CT_STATUS_", header("CT_STATUS_"), "Status", flags::<Status>()),
        ("CT_FAMILY_", header("CT_FAMILY_"), "Family", numbers(Family::ALL, Family::name)),
        ("CT_PROTO_", header("CT_PROTO_"), "Proto", numbers(Proto::ALL, Proto::name)),
        ("CT_TCP_STATE_", states, "TcpState", numbers(TcpState::ALL, TcpState::name)),
        ("1 << CT_TCP_STATE_", bits, "TcpStates", flags::<TcpStates>()),
    ] {
        assert_same_constants(prefix, &header, of, &typed);
    }
}
