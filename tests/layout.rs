//! The structs as Rust lays them out are those of `abi/layout.txt`, field by field; scripts/test-install.sh compares that file
//! with what C compilers make of the header. Constants and structs of entries, which C has once more, are ctnetlink's.
//! `abi/fields.txt` says of every field of an entry what its declaration says.
//!
//! To record one of the two files anew, for a change that was meant: run this test, and copy what it found over it.

use bitflags::Flags;
use ctnetlink::fields::FIELDS;
use ctrack::{Counters, Entry, Family, Has, Proto, Status, TcpState, TcpStates, Tuple};
use ctrack_c::{ct_counters, ct_entry, ct_filter, ct_open_opts, ct_result, ct_tuple};
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
    };
}

/// The same of a struct of C.
macro_rules! layout_of_c {
    ($out:ident, $name:literal, $type:ident { $($field:ident),+ $(,)? }) => {
        layout! { $out, $name, $type { $($field),+ } }
        // A field that is missing above does not compile.
        let _ = |value: $type| { let $type { $($field: _),+ } = value; };
    };
}

/// A struct of ctnetlink and the one that C sees, which are the same bytes.
macro_rules! same_layout {
    ($out:ident, $name:literal, $rust:ident, $c:ident $fields:tt) => {
        let mut of_c = String::new();
        layout_of_c! { of_c, $name, $c $fields }
        let mut of_rust = String::new();
        layout! { of_rust, $name, $rust $fields }
        for (c, rust) in of_c.lines().zip(of_rust.lines()) {
            assert_eq!(c, rust, "a field, its offset and size: in src/entry.rs, and in ctnetlink's entry.rs");
        }
        $out.push_str(&of_rust);
    };
}

#[test]
fn every_field_of_ctnetlinks_entry_is_one_of_the_entry_of_c() {
    let recorded = include_str!("../abi/layout.txt");
    for field in FIELDS.iter().copied().flatten() {
        let name = field.name.split('.').next().unwrap();
        assert!(recorded.contains(&format!("ct_entry.{name} ")), "ct_entry has no {name}: src/entry.rs, abi/layout.txt");
    }
}

/// A file of `abi/` is what was found now.
fn assert_recorded(name: &str, recorded: &str, found: &str) {
    let copy = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    std::fs::write(&copy, found).unwrap();
    let mut lines = (1..).zip(recorded.lines().zip(found.lines()));
    if let Some((at, (recorded, found))) = lines.find(|(_, (recorded, found))| recorded != found) {
        panic!("abi/{name}, line {at}: recorded {recorded:?}, found {found:?}; all that was found: {copy}");
    }
    assert_eq!(recorded.lines().count(), found.lines().count(), "lines of abi/{name}; all that was found: {copy}");
    assert_eq!(recorded, found, "abi/{name}; what was found: {copy}");
}

#[test]
fn every_field_lies_where_the_abi_says() {
    let mut found = String::new();
    layout_of_c! { found, "ct_open_opts", ct_open_opts { size, flags, netns_fd, timeout_ms, rcvbuf, pad0 } }
    layout_of_c! { found, "ct_filter", ct_filter {
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
    layout_of_c! { found, "ct_result", ct_result { size, flags, matched, done, gone, failed, first_error, pad0, spared } }
    assert_recorded("layout.txt", include_str!("../abi/layout.txt"), &found);
}

#[test]
fn every_field_of_the_layout_is_in_the_header() {
    let header = include_str!("../include/ctrack.h");
    for line in include_str!("../abi/layout.txt").lines() {
        let name = line.split(' ').next().unwrap();
        let Some((of, field)) = name.split_once('.') else { continue };
        let (_, rest) = header.split_once(&format!("\nstruct {of} {{\n")).expect(of);
        let (declared, _) = rest.split_once("\n};\n").expect(of);
        let is_there = [';', '['].iter().any(|end| declared.contains(&format!(" {field}{end}")));
        assert!(is_there, "include/ctrack.h has no {name}: make header");
    }
}

/// The bits by their names.
fn names<F: Flags<Bits: Into<u64>> + Copy>(bits: F) -> String {
    let has = |flag: &F| bits.contains(*flag);
    let named: Vec<&str> =
        F::FLAGS.iter().filter(|flag| flag.is_named() && has(flag.value())).map(|flag| flag.name()).collect();
    let known = F::FLAGS.iter().filter(|flag| flag.is_named()).fold(F::empty(), |all, flag| all.union(*flag.value()));
    assert!(known.contains(bits), "{named:?} and bits without a name: {:#x}", bits.bits().into());
    if named.is_empty() {
        "-".into()
    } else {
        named.join("|")
    }
}

#[test]
fn every_field_of_an_entry_is_declared_as_the_abi_says() {
    // Name, offset, size, the bits that announce it (all of these; one of those), the messages that have it, its JSON.
    let mut found = String::new();
    for field in FIELDS.iter().copied().flatten() {
        let json = if field.json.is_empty() { "-" } else { field.json };
        let (all, any, within) = (names(field.all), names(field.any), names(field.within));
        writeln!(found, "{} {} {} {all} {any} {within} {json}", field.name, field.offset, field.size).unwrap();
    }
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
