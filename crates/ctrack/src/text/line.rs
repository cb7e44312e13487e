//! The line of `conntrack -L`.

use super::names::{family_name, proto_name, state_name, write_address};
use super::options::{CT_FORMAT_EXTENDED, CT_FORMAT_ID, CT_FORMAT_TIMESTAMP};
use super::out::Out;
use crate::sys::{local_time, now};
use ctnetlink::types::*;

/// No line is longer.
pub(super) const MOST: usize = 768;

pub(super) fn write(out: &mut Out, e: &Entry, options: u32) {
    if options & CT_FORMAT_EXTENDED != 0 {
        write_kind(out, family_name(e.family), e.family);
        out.byte(b' ');
    }
    write_kind(out, proto_name(e.proto), e.proto);
    if e.has(CT_HAS_TIMEOUT) {
        out.field(" ", e.timeout);
    }
    if let Some(state) = state_name(e) {
        out.byte(b' ');
        out.put(state);
    }
    if e.has(CT_HAS_ORIG) {
        write_tuple(out, e, &e.orig);
    }
    if e.has(CT_HAS_ORIG_ZONE) {
        out.field(" zone-orig=", e.orig.zone);
    }
    write_counters(out, e.has(CT_HAS_ORIG_COUNTERS), e.orig_counters);
    if e.has(CT_HAS_STATUS) && e.status & CT_STATUS_SEEN_REPLY == 0 {
        out.put(" [UNREPLIED]");
    }
    if e.has(CT_HAS_REPLY) {
        if !e.has(CT_HAS_ORIG) {
            // A key: no entry of the kernel is without the other one.
            out.put(" (reply)");
        }
        write_tuple(out, e, &e.reply);
    }
    if e.has(CT_HAS_REPLY_ZONE) {
        out.field(" zone-reply=", e.reply.zone);
    }
    write_counters(out, e.has(CT_HAS_REPLY_COUNTERS), e.reply_counters);
    if e.status & CT_STATUS_HW_OFFLOAD != 0 {
        out.put(" [HW_OFFLOAD]");
    } else if e.status & CT_STATUS_OFFLOAD != 0 {
        out.put(" [OFFLOAD]");
    } else if e.status & CT_STATUS_ASSURED != 0 {
        out.put(" [ASSURED]");
    }
    if e.has(CT_HAS_MARK) {
        out.field(" mark=", e.mark);
    }
    if e.has(CT_HAS_ZONE) {
        out.field(" zone=", e.zone);
    }
    write_times(out, e, options);
    if e.has(CT_HAS_HELPER) {
        out.put(" helper=");
        out.lossy(until_nul(&e.helper_bytes()));
    }
    if e.has(CT_HAS_USE) {
        out.field(" use=", e.use_count);
    }
    if options & CT_FORMAT_ID != 0 && e.has(CT_HAS_ID) {
        out.field(" id=", e.id);
    }
}

/// A name in eight columns and its number.
fn write_kind(out: &mut Out, name: &str, number: u8) {
    out.put(name);
    out.put("        ".get(name.len()..).unwrap_or_default());
    out.field(" ", number);
}

fn write_tuple(out: &mut Out, e: &Entry, t: &Tuple) {
    out.put(" src=");
    write_address(out, e.family, &t.src);
    out.put(" dst=");
    write_address(out, e.family, &t.dst);
    match e.proto {
        CT_PROTO_ICMP | CT_PROTO_ICMPV6 => {
            out.field(" type=", t.icmp_type);
            out.field(" code=", t.icmp_code);
            out.field(" id=", t.icmp_id);
        }
        CT_PROTO_GRE => {
            out.put(" srckey=0x");
            out.hex(t.sport.into(), 1);
            out.put(" dstkey=0x");
            out.hex(t.dport.into(), 1);
        }
        proto if proto_has_ports(proto) => {
            out.field(" sport=", t.sport);
            out.field(" dport=", t.dport);
        }
        _ => (),
    }
}

fn write_counters(out: &mut Out, has: bool, counters: Counters) {
    if has {
        out.field(" packets=", counters.packets);
        out.field(" bytes=", counters.bytes);
    }
}

const SECOND: u64 = 1_000_000_000;

fn write_times(out: &mut Out, e: &Entry, options: u32) {
    if !e.has(CT_HAS_START) {
        return;
    }
    let start = e.start_ns / SECOND;
    let stop = if e.has(CT_HAS_STOP) { e.stop_ns / SECOND } else { now() };
    out.field(" delta-time=", stop.saturating_sub(start));
    if options & CT_FORMAT_TIMESTAMP == 0 {
        return;
    }
    write_time(out, " [start=", start);
    if e.has(CT_HAS_STOP) {
        write_time(out, " [stop=", stop);
    }
}

/// As ctime(3) shows it, in local time, without the line end.
pub(super) fn write_time(out: &mut Out, label: &str, seconds: u64) {
    out.put(label);
    match local_time(seconds) {
        Some(time) => {
            out.put(time.weekday);
            out.byte(b' ');
            out.put(time.month);
            out.byte(b' ');
            out.two(b' ', time.day);
            for (before, part) in [(b' ', time.hour), (b':', time.minute), (b':', time.second)] {
                out.byte(before);
                out.two(b'0', part);
            }
            out.field(" ", time.year);
        }
        None => out.field("@", seconds),
    }
    out.byte(b']');
}
