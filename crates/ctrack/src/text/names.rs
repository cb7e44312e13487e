//! The words that both texts have for the numbers of an entry.

use super::out::Out;
use ctnetlink::types::*;

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

pub(super) fn proto_name(proto: Proto) -> &'static str {
    match proto {
        Proto::ICMP => "icmp",
        Proto::TCP => "tcp",
        Proto::UDP => "udp",
        Proto::DCCP => "dccp",
        Proto::GRE => "gre",
        Proto::ICMPV6 => "icmpv6",
        Proto::SCTP => "sctp",
        Proto::UDPLITE => "udplite",
        _ => "unknown",
    }
}

pub(super) fn family_name(family: Family) -> &'static str {
    match family {
        Family::IPV4 => "ipv4",
        Family::IPV6 => "ipv6",
        _ => "unknown",
    }
}

/// The name of the state that the protocol of the entry has.
pub(super) fn state_name(e: &Entry) -> Option<&'static str> {
    let (states, state) = match e.proto {
        Proto::TCP if e.has(Has::TCP_STATE) => (&TCP_STATES, e.tcp_state.0),
        Proto::SCTP if e.has(Has::SCTP) => (&SCTP_STATES, e.sctp_state),
        Proto::DCCP if e.has(Has::DCCP) => (&DCCP_STATES, e.dccp_state),
        _ => return None,
    };
    Some(states.get(usize::from(state)).copied().unwrap_or("UNKNOWN"))
}

pub(super) fn write_address(out: &mut Out, family: Family, address: &[u8; 16]) {
    match (family, *address) {
        (Family::IPV4, [a, b, c, d, ..]) => out.ipv4([a, b, c, d]),
        (_, address) => out.ipv6(address),
    }
}
