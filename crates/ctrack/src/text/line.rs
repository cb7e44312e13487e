//! The line of `conntrack -L`.

use super::names::{family_name, proto_name, state_name, write_address};
use super::options::Format;
use super::out::Out;
use crate::sys::{local_time, now};
use ctnetlink::types::*;

/// No line is longer.
pub(super) const MOST: usize = 768;

pub(super) fn write(out: &mut Out, e: &Entry, options: Format) {
    if options.contains(Format::EXTENDED) {
        write_kind(out, family_name(e.family), e.family.0);
        out.byte(b' ');
    }
    write_kind(out, proto_name(e.proto), e.proto.0);
    if e.has(Has::TIMEOUT) {
        out.field(" ", e.timeout);
    }
    if let Some(state) = state_name(e) {
        out.byte(b' ');
        out.put(state);
    }
    if e.has(Has::ORIG) {
        write_tuple(out, e, &e.orig);
    }
    if e.has(Has::ORIG_ZONE) {
        out.field(" zone-orig=", e.orig.zone);
    }
    write_counters(out, e.has(Has::ORIG_COUNTERS), e.orig_counters);
    if e.has(Has::STATUS) && !e.status.intersects(Status::SEEN_REPLY) {
        out.put(" [UNREPLIED]");
    }
    if e.has(Has::REPLY) {
        if !e.has(Has::ORIG) {
            // A key: no entry of the kernel is without the other one.
            out.put(" (reply)");
        }
        write_tuple(out, e, &e.reply);
    }
    if e.has(Has::REPLY_ZONE) {
        out.field(" zone-reply=", e.reply.zone);
    }
    write_counters(out, e.has(Has::REPLY_COUNTERS), e.reply_counters);
    if e.status.intersects(Status::HW_OFFLOAD) {
        out.put(" [HW_OFFLOAD]");
    } else if e.status.intersects(Status::OFFLOAD) {
        out.put(" [OFFLOAD]");
    } else if e.status.intersects(Status::ASSURED) {
        out.put(" [ASSURED]");
    }
    if e.has(Has::MARK) {
        out.field(" mark=", e.mark);
    }
    if e.has(Has::ZONE) {
        out.field(" zone=", e.zone);
    }
    write_times(out, e, options);
    if e.has(Has::HELPER) {
        out.put(" helper=");
        out.lossy(until_nul(&e.helper_bytes()));
    }
    if e.has(Has::USE) {
        out.field(" use=", e.use_count);
    }
    if options.contains(Format::ID) && e.has(Has::ID) {
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
        Proto::ICMP | Proto::ICMPV6 => {
            out.field(" type=", t.icmp_type);
            out.field(" code=", t.icmp_code);
            out.field(" id=", t.icmp_id);
        }
        Proto::GRE => {
            out.put(" srckey=0x");
            out.hex(t.sport.into(), 1);
            out.put(" dstkey=0x");
            out.hex(t.dport.into(), 1);
        }
        proto if proto.has_ports() => {
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

fn write_times(out: &mut Out, e: &Entry, options: Format) {
    if !e.has(Has::START) {
        return;
    }
    let start = e.start_ns / SECOND;
    let stop = if e.has(Has::STOP) { e.stop_ns / SECOND } else { now() };
    out.field(" delta-time=", stop.saturating_sub(start));
    if !options.contains(Format::TIMESTAMP) {
        return;
    }
    write_time(out, " [start=", start);
    if e.has(Has::STOP) {
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
