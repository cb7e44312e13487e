//! The entry as a JSON object.

use super::names::{family_name, proto_name, state_name, write_address};
use super::out::Out;
use ctnetlink::types::*;
use std::ffi::c_ulong;

/// No object is longer.
pub(super) const MOST: usize = 2048;

const STATUS_NAMES: [&str; 16] = [
    "EXPECTED",
    "SEEN_REPLY",
    "ASSURED",
    "CONFIRMED",
    "SRC_NAT",
    "DST_NAT",
    "SEQ_ADJUST",
    "SRC_NAT_DONE",
    "DST_NAT_DONE",
    "DYING",
    "FIXED_TIMEOUT",
    "TEMPLATE",
    "UNTRACKED",
    "HELPER",
    "OFFLOAD",
    "HW_OFFLOAD",
];

pub(super) fn write(out: &mut Out, e: &Entry) {
    write_string(out, "{\"family\":\"", family_name(e.family));
    out.field(",\"proto\":", e.proto.0);
    write_string(out, ",\"proto_name\":\"", proto_name(e.proto));
    if let Some(state) = state_name(e) {
        write_string(out, ",\"state\":\"", state);
    }
    write_direction(out, e, "orig", &e.orig, [Has::ORIG, Has::ORIG_ZONE, Has::ORIG_COUNTERS], e.orig_counters);
    write_direction(out, e, "reply", &e.reply, [Has::REPLY, Has::REPLY_ZONE, Has::REPLY_COUNTERS], e.reply_counters);
    if e.has(Has::STATUS) {
        write_list(out, "status", e.status.bits().into(), write_status);
    }
    // The kernel leaves out zone 0, and a reader would have to know that.
    let zones = [(Has::ZONE, e.zone), (Has::ORIG_ZONE, e.orig.zone), (Has::REPLY_ZONE, e.reply.zone)];
    let zone = zones.iter().find(|(bit, _)| e.has(*bit)).map_or(0, |(_, zone)| *zone);
    write_number(out, "zone", zone.into());
    write_member(out, e, Has::TIMEOUT, "timeout", e.timeout.into());
    write_member(out, e, Has::MARK, "mark", e.mark.into());
    write_member(out, e, Has::USE, "use", e.use_count.into());
    write_member(out, e, Has::ID, "id", e.id.into());
    write_member(out, e, Has::SCTP, "sctp_vtag_orig", e.sctp_vtag_orig.into());
    write_member(out, e, Has::SCTP, "sctp_vtag_reply", e.sctp_vtag_reply.into());
    write_member(out, e, Has::TCP_WSCALE, "tcp_wscale_orig", e.tcp_wscale_orig.into());
    write_member(out, e, Has::TCP_WSCALE, "tcp_wscale_reply", e.tcp_wscale_reply.into());
    write_member(out, e, Has::TCP_FLAGS, "tcp_flags_orig", e.tcp_flags_orig.into());
    write_member(out, e, Has::TCP_FLAGS, "tcp_flags_reply", e.tcp_flags_reply.into());
    write_member(out, e, Has::DCCP, "dccp_role", e.dccp_role.into());
    write_member(out, e, Has::START, "start_ns", e.start_ns);
    write_member(out, e, Has::STOP, "stop_ns", e.stop_ns);
    if e.has(Has::LABELS) {
        write_list(out, "labels", labels(e), |out, bit| out.number(bit));
    }
    if e.has(Has::HELPER) {
        write_helper(out, until_nul(&e.helper_bytes()));
    }
    out.byte(b'}');
}

/// What `bits` (tuple, zone, counters) announce of a direction.
fn write_direction(out: &mut Out, e: &Entry, name: &str, t: &Tuple, bits: [Has; 3], values: Counters) {
    if !bits.iter().any(|bit| e.has(*bit)) {
        return;
    }
    let [tuple, zone, counters] = bits;
    write_name(out, name);
    let first = out.length();
    if e.has(tuple) {
        out.put(",\"src\":\"");
        write_address(out, e.family, &t.src);
        out.put("\",\"dst\":\"");
        write_address(out, e.family, &t.dst);
        out.byte(b'"');
        let (source, destination) = if e.proto == Proto::GRE { ("srckey", "dstkey") } else { ("sport", "dport") };
        write_member(out, e, Has::PORTS, source, t.sport.into());
        write_member(out, e, Has::PORTS, destination, t.dport.into());
        write_member(out, e, Has::ICMP, "type", t.icmp_type.into());
        write_member(out, e, Has::ICMP, "code", t.icmp_code.into());
        write_member(out, e, Has::ICMP, "id", t.icmp_id.into());
    }
    write_member(out, e, zone, "zone", t.zone.into());
    write_member(out, e, counters, "packets", values.packets);
    write_member(out, e, counters, "bytes", values.bytes);
    // In front of the first member stands a brace, and no comma.
    out.replace(first, b'{');
    out.byte(b'}');
}

pub(super) fn write_string(out: &mut Out, before: &str, text: &str) {
    out.put(before);
    out.put(text);
    out.byte(b'"');
}

/// The name of a member that is not the first.
pub(super) fn write_name(out: &mut Out, name: &str) {
    write_string(out, ",\"", name);
    out.byte(b':');
}

/// A number that is there if the entry has `bit`.
fn write_member(out: &mut Out, e: &Entry, bit: Has, name: &str, value: u64) {
    if e.has(bit) {
        write_number(out, name, value);
    }
}

pub(super) fn write_number(out: &mut Out, name: &str, value: u64) {
    write_name(out, name);
    out.number(value);
}

fn write_helper(out: &mut Out, name: &[u8]) {
    write_name(out, "helper");
    out.byte(b'"');
    for &byte in name {
        match byte {
            b'"' | b'\\' => {
                out.byte(b'\\');
                out.byte(byte);
            }
            0x20..=0x7e => out.byte(byte),
            _ => {
                out.put("\\u");
                out.hex(byte.into(), 4);
            }
        }
    }
    out.byte(b'"');
}

fn write_status(out: &mut Out, bit: u32) {
    out.byte(b'"');
    match STATUS_NAMES.get(bit as usize) {
        Some(name) => out.put(name),
        None => {
            out.put("0x");
            out.hex(1 << bit, 1);
        }
    }
    out.byte(b'"');
}

/// The labels as one number: they are an array of longs, each in the machine's own byte order.
fn labels(e: &Entry) -> u128 {
    let turn = if cfg!(target_endian = "big") { size_of::<c_ulong>() - 1 } else { 0 };
    (0..e.labels.len()).rev().fold(0, |bits, at| bits << 8 | u128::from(e.labels[at ^ turn]))
}

/// An array with what `write` writes for each bit that is set.
pub(super) fn write_list(out: &mut Out, name: &str, bits: u128, write: fn(&mut Out, u32)) {
    write_name(out, name);
    out.byte(b'[');
    let mut left = bits;
    while left != 0 {
        if left != bits {
            out.byte(b',');
        }
        write(out, left.trailing_zeros());
        left &= left - 1;
    }
    out.byte(b']');
}
