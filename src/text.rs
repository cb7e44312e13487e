//! An entry as text: the line of `conntrack -L`, byte for byte, or a JSON object.
//!
//! Pure but for the clock (the age of an entry with a start time) and the local time zone (its start, when asked for).

use crate::sys::local_time;
use crate::types::*;
use std::fmt::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::SystemTime;

/// The line that `conntrack -L` prints, without a line end. Add CT_FORMAT_EXTENDED, CT_FORMAT_ID and CT_FORMAT_TIMESTAMP
/// for what its options -o extended, id and ktimestamp add.
pub const CT_FORMAT_LINE: u32 = 1 << 0;
/// One JSON object with every field that the kernel sent, without a line end.
pub const CT_FORMAT_JSON: u32 = 1 << 1;
/// With CT_FORMAT_LINE: the family in front.
pub const CT_FORMAT_EXTENDED: u32 = 1 << 8;
/// With CT_FORMAT_LINE: the id at the end.
pub const CT_FORMAT_ID: u32 = 1 << 9;
/// With CT_FORMAT_LINE: the start (and stop) time, in the local time zone, if the kernel keeps it.
pub const CT_FORMAT_TIMESTAMP: u32 = 1 << 10;

/// The entry as `conntrack -L` prints it. `options`: `CT_FORMAT_EXTENDED`, `CT_FORMAT_ID`, `CT_FORMAT_TIMESTAMP`.
///
/// Two things the program knows and an [`Entry`] does not: the security context, and label names of its own.
pub fn line(entry: &Entry, options: u32) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_line(&mut text, entry, options);
    text
}

/// The entry as a JSON object.
pub fn json(entry: &Entry) -> String {
    let mut text = String::new();
    let _ = write_json(&mut text, entry);
    text
}

const TCP_STATES: [&str; 10] = [
    "NONE",
    "SYN_SENT",
    "SYN_RECV",
    "ESTABLISHED",
    "FIN_WAIT",
    "CLOSE_WAIT",
    "LAST_ACK",
    "TIME_WAIT",
    "CLOSE",
    "SYN_SENT2",
];

/// linux/netfilter/nf_conntrack_sctp.h
const SCTP_STATES: [&str; 10] = [
    "NONE",
    "CLOSED",
    "COOKIE_WAIT",
    "COOKIE_ECHOED",
    "ESTABLISHED",
    "SHUTDOWN_SENT",
    "SHUTDOWN_RECD",
    "SHUTDOWN_ACK_SENT",
    "HEARTBEAT_SENT",
    "HEARTBEAT_ACKED",
];

/// The kernel's enum ct_dccp_states (before 6.16).
const DCCP_STATES: [&str; 10] =
    ["NONE", "REQUEST", "RESPOND", "PARTOPEN", "OPEN", "CLOSEREQ", "CLOSING", "TIMEWAIT", "IGNORE", "INVALID"];

fn proto_name(proto: u8) -> &'static str {
    match proto {
        CT_PROTO_ICMP => "icmp",
        CT_PROTO_TCP => "tcp",
        CT_PROTO_UDP => "udp",
        CT_PROTO_DCCP => "dccp",
        CT_PROTO_GRE => "gre",
        CT_PROTO_ICMPV6 => "icmpv6",
        CT_PROTO_SCTP => "sctp",
        CT_PROTO_UDPLITE => "udplite",
        _ => "unknown",
    }
}

fn family_name(family: u8) -> &'static str {
    match family {
        CT_FAMILY_IPV4 => "ipv4",
        CT_FAMILY_IPV6 => "ipv6",
        _ => "unknown",
    }
}

/// The name of the state that the protocol of the entry has.
fn state_name(e: &Entry) -> Option<&'static str> {
    let (states, state) = match e.proto {
        CT_PROTO_TCP if e.has(CT_HAS_TCP_STATE) => (&TCP_STATES, e.tcp_state),
        CT_PROTO_SCTP if e.has(CT_HAS_SCTP) => (&SCTP_STATES, e.sctp_state),
        CT_PROTO_DCCP if e.has(CT_HAS_DCCP) => (&DCCP_STATES, e.dccp_state),
        _ => return None,
    };
    Some(states.get(usize::from(state)).copied().unwrap_or("UNKNOWN"))
}

/// An address as inet_ntop(3) writes it: as std does, but that ::1.2.3.4 (IPv4-compatible) shows dotted.
struct Address<'a>(&'a [u8; 16], u8);

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v4 = |a: &[u8]| Ipv4Addr::new(a[0], a[1], a[2], a[3]);
        if self.1 == CT_FAMILY_IPV4 {
            return v4(&self.0[..4]).fmt(f);
        }
        if self.0[..12] == [0; 12] && self.0[12..14] != [0; 2] {
            return write!(f, "::{}", v4(&self.0[12..]));
        }
        IpAddr::V6(Ipv6Addr::from(*self.0)).fmt(f)
    }
}

pub(crate) fn write_line(out: &mut impl Write, e: &Entry, options: u32) -> fmt::Result {
    if options & CT_FORMAT_EXTENDED != 0 {
        write!(out, "{:<8} {} ", family_name(e.family), e.family)?;
    }
    write!(out, "{:<8} {}", proto_name(e.proto), e.proto)?;
    if e.has(CT_HAS_TIMEOUT) {
        write!(out, " {}", e.timeout)?;
    }
    if let Some(state) = state_name(e) {
        write!(out, " {state}")?;
    }
    write_tuple(out, e, &e.orig)?;
    if e.has(CT_HAS_ORIG_ZONE) {
        write!(out, " zone-orig={}", e.orig.zone)?;
    }
    write_counters(out, e.has(CT_HAS_ORIG_COUNTERS), e.orig_counters)?;
    if e.has(CT_HAS_STATUS) && e.status & CT_STATUS_SEEN_REPLY == 0 {
        out.write_str(" [UNREPLIED]")?;
    }
    write_tuple(out, e, &e.reply)?;
    if e.has(CT_HAS_REPLY_ZONE) {
        write!(out, " zone-reply={}", e.reply.zone)?;
    }
    write_counters(out, e.has(CT_HAS_REPLY_COUNTERS), e.reply_counters)?;
    if e.status & CT_STATUS_HW_OFFLOAD != 0 {
        out.write_str(" [HW_OFFLOAD]")?;
    } else if e.status & CT_STATUS_OFFLOAD != 0 {
        out.write_str(" [OFFLOAD]")?;
    } else if e.status & CT_STATUS_ASSURED != 0 {
        out.write_str(" [ASSURED]")?;
    }
    if e.has(CT_HAS_MARK) {
        write!(out, " mark={}", e.mark)?;
    }
    if e.has(CT_HAS_ZONE) {
        write!(out, " zone={}", e.zone)?;
    }
    write_times(out, e, options)?;
    if e.has(CT_HAS_HELPER) {
        write!(out, " helper={}", String::from_utf8_lossy(until_nul(&e.helper_bytes())))?;
    }
    if e.has(CT_HAS_USE) {
        write!(out, " use={}", e.use_count)?;
    }
    if options & CT_FORMAT_ID != 0 && e.has(CT_HAS_ID) {
        write!(out, " id={}", e.id)?;
    }
    Ok(())
}

fn write_tuple(out: &mut impl Write, e: &Entry, t: &Tuple) -> fmt::Result {
    write!(out, " src={} dst={}", Address(&t.src, e.family), Address(&t.dst, e.family))?;
    match e.proto {
        CT_PROTO_ICMP | CT_PROTO_ICMPV6 => {
            write!(out, " type={} code={} id={}", t.icmp_type, t.icmp_code, t.icmp_id)
        }
        CT_PROTO_GRE => write!(out, " srckey={:#x} dstkey={:#x}", t.sport, t.dport),
        proto if proto_has_ports(proto) => write!(out, " sport={} dport={}", t.sport, t.dport),
        _ => Ok(()),
    }
}

fn write_counters(out: &mut impl Write, has: bool, counters: Counters) -> fmt::Result {
    if !has {
        return Ok(());
    }
    write!(out, " packets={} bytes={}", counters.packets, counters.bytes)
}

const SECOND: u64 = 1_000_000_000;

fn write_times(out: &mut impl Write, e: &Entry, options: u32) -> fmt::Result {
    if !e.has(CT_HAS_START) {
        return Ok(());
    }
    let start = e.start_ns / SECOND;
    let stop = if e.has(CT_HAS_STOP) { e.stop_ns / SECOND } else { now() };
    write!(out, " delta-time={}", stop.saturating_sub(start))?;
    if options & CT_FORMAT_TIMESTAMP == 0 {
        return Ok(());
    }
    write_time(out, "start", start)?;
    if e.has(CT_HAS_STOP) {
        write_time(out, "stop", stop)?;
    }
    Ok(())
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn write_time(out: &mut impl Write, name: &str, seconds: u64) -> fmt::Result {
    match i64::try_from(seconds).ok().and_then(local_time) {
        Some(text) => write!(out, " [{name}={text}]"),
        None => write!(out, " [{name}=@{seconds}]"),
    }
}

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

pub(crate) fn write_json(out: &mut impl Write, e: &Entry) -> fmt::Result {
    write!(out, "{{\"family\":\"{}\",\"proto\":{}", family_name(e.family), e.proto)?;
    write!(out, ",\"proto_name\":\"{}\"", proto_name(e.proto))?;
    if let Some(state) = state_name(e) {
        write!(out, ",\"state\":\"{state}\"")?;
    }
    let counters = [(CT_HAS_ORIG_COUNTERS, e.orig_counters), (CT_HAS_REPLY_COUNTERS, e.reply_counters)];
    let tuples = [("orig", &e.orig, CT_HAS_ORIG_ZONE), ("reply", &e.reply, CT_HAS_REPLY_ZONE)];
    for ((name, tuple, zone), (has, counters)) in tuples.into_iter().zip(counters) {
        write!(out, ",\"{name}\":{{")?;
        write_json_tuple(out, e, tuple)?;
        if e.has(zone) {
            write!(out, ",\"zone\":{}", tuple.zone)?;
        }
        if e.has(has) {
            write!(out, ",\"packets\":{},\"bytes\":{}", counters.packets, counters.bytes)?;
        }
        out.write_char('}')?;
    }
    write_json_status(out, e)?;
    for (name, has, value) in [
        ("zone", CT_HAS_ZONE, e.zone),
        ("timeout", CT_HAS_TIMEOUT, e.timeout),
        ("mark", CT_HAS_MARK, e.mark),
        ("use", CT_HAS_USE, e.use_count),
        ("id", CT_HAS_ID, e.id),
        ("sctp_vtag_orig", CT_HAS_SCTP, e.sctp_vtag_orig),
        ("sctp_vtag_reply", CT_HAS_SCTP, e.sctp_vtag_reply),
        ("tcp_wscale_orig", CT_HAS_TCP_WSCALE, u32::from(e.tcp_wscale_orig)),
        ("tcp_wscale_reply", CT_HAS_TCP_WSCALE, u32::from(e.tcp_wscale_reply)),
        ("tcp_flags_orig", CT_HAS_TCP_FLAGS, u32::from(e.tcp_flags_orig)),
        ("tcp_flags_reply", CT_HAS_TCP_FLAGS, u32::from(e.tcp_flags_reply)),
        ("dccp_role", CT_HAS_DCCP, u32::from(e.dccp_role)),
    ] {
        if e.has(has) {
            write!(out, ",\"{name}\":{value}")?;
        }
    }
    for (name, has, value) in [("start_ns", CT_HAS_START, e.start_ns), ("stop_ns", CT_HAS_STOP, e.stop_ns)] {
        if e.has(has) {
            write!(out, ",\"{name}\":{value}")?;
        }
    }
    write_json_labels(out, e)?;
    if e.has(CT_HAS_HELPER) {
        out.write_str(",\"helper\":\"")?;
        for &byte in until_nul(&e.helper_bytes()) {
            match byte {
                b'"' | b'\\' => write!(out, "\\{}", char::from(byte))?,
                0x20..=0x7e => out.write_char(char::from(byte))?,
                _ => write!(out, "\\u{byte:04x}")?,
            }
        }
        out.write_char('"')?;
    }
    out.write_char('}')
}

fn write_json_tuple(out: &mut impl Write, e: &Entry, t: &Tuple) -> fmt::Result {
    write!(out, "\"src\":\"{}\",\"dst\":\"{}\"", Address(&t.src, e.family), Address(&t.dst, e.family))?;
    if e.has(CT_HAS_PORTS) {
        let (source, destination) = if e.proto == CT_PROTO_GRE { ("srckey", "dstkey") } else { ("sport", "dport") };
        write!(out, ",\"{source}\":{},\"{destination}\":{}", t.sport, t.dport)?;
    }
    if e.has(CT_HAS_ICMP) {
        write!(out, ",\"type\":{},\"code\":{},\"id\":{}", t.icmp_type, t.icmp_code, t.icmp_id)?;
    }
    Ok(())
}

fn write_json_status(out: &mut impl Write, e: &Entry) -> fmt::Result {
    if !e.has(CT_HAS_STATUS) {
        return Ok(());
    }
    write_json_list(out, "status", (0..32).filter(|bit| e.status >> bit & 1 == 1), |out, bit| {
        match STATUS_NAMES.get(bit) {
            Some(name) => write!(out, "\"{name}\""),
            None => write!(out, "\"{:#x}\"", 1u64 << bit),
        }
    })
}

fn write_json_labels(out: &mut impl Write, e: &Entry) -> fmt::Result {
    if !e.has(CT_HAS_LABELS) {
        return Ok(());
    }
    // An array of longs, each in the machine's own byte order.
    let byte =
        |bit| if cfg!(target_endian = "big") { (bit / 8) ^ (size_of::<std::ffi::c_ulong>() - 1) } else { bit / 8 };
    let set = |bit: &usize| e.labels[byte(*bit)] >> (bit % 8) & 1 == 1;
    write_json_list(out, "labels", (0..128).filter(set), |out, bit| write!(out, "{bit}"))
}

fn write_json_list<W: Write>(
    out: &mut W,
    name: &str,
    items: impl Iterator<Item = usize>,
    write: impl Fn(&mut W, usize) -> fmt::Result,
) -> fmt::Result {
    write!(out, ",\"{name}\":[")?;
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.write_char(',')?;
        }
        write(out, item)?;
    }
    out.write_char(']')
}
