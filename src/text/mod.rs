//! An entry as text: the line of `conntrack -L`, byte for byte, or a JSON object.
//!
//! Pure but for the clock (the age of an entry with a start time) and the local time zone (its start, when asked for).

mod json;
mod line;
mod out;

use crate::types::*;
use out::Out;

/// The line that `conntrack -L` prints, without a line end. Add CT_FORMAT_EXTENDED, CT_FORMAT_ID and CT_FORMAT_TIMESTAMP
/// for what its options -o extended, id and ktimestamp add. Of a key it shows the tuples that the key has; one of the reply
/// direction alone has "(reply)" in front.
pub const CT_FORMAT_LINE: u32 = 1u32 << 0;
/// One JSON object with every field that the kernel sent and struct ct_entry holds, without a line end. "zone" is always there,
/// 0 too, and is that of one direction where only that one has a zone. What the entry does not announce is not there, for example the
/// reply tuple of a key by the original one.
pub const CT_FORMAT_JSON: u32 = 1u32 << 1;
/// With CT_FORMAT_LINE: the family in front.
pub const CT_FORMAT_EXTENDED: u32 = 1u32 << 8;
/// With CT_FORMAT_LINE: the id at the end.
pub const CT_FORMAT_ID: u32 = 1u32 << 9;
/// With CT_FORMAT_LINE: the start (and stop) time, in the local time zone, if the kernel keeps it.
pub const CT_FORMAT_TIMESTAMP: u32 = 1u32 << 10;

/// The entry as `conntrack -L` prints it. `options`: `CT_FORMAT_EXTENDED`, `CT_FORMAT_ID`, `CT_FORMAT_TIMESTAMP`.
///
/// Two things the program knows and an [`Entry`] does not: the security context, and label names of its own.
pub fn line(entry: &Entry, options: u32) -> String {
    with_line(entry, options, owned)
}

/// The entry as a JSON object.
pub fn json(entry: &Entry) -> String {
    with_json(entry, owned)
}

fn owned(text: Option<&[u8]>) -> String {
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}

/// Calls `then` with the line. Every line fits: `None` never happens.
pub(crate) fn with_line<T>(entry: &Entry, options: u32, then: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let mut buffer = [0; line::MOST];
    let mut out = Out::new(&mut buffer);
    line::write(&mut out, entry, options);
    then(out.finish())
}

/// The same with the JSON object.
pub(crate) fn with_json<T>(entry: &Entry, then: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let mut buffer = [0; json::MOST];
    let mut out = Out::new(&mut buffer);
    json::write(&mut out, entry);
    then(out.finish())
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

fn write_address(out: &mut Out, family: u8, address: &[u8; 16]) {
    match (family, *address) {
        (CT_FAMILY_IPV4, [a, b, c, d, ..]) => out.ipv4([a, b, c, d]),
        (_, address) => out.ipv6(address),
    }
}

#[cfg(test)]
mod tests;
