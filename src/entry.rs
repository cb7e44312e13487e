//! Entries as C has them: the same bytes as [`ctnetlink::Entry`], under the names of C. What the functions take and give is that one.

use std::ffi::c_char;

/// IPv4, the value of AF_INET.
pub const CT_FAMILY_IPV4: u8 = 2;
/// IPv6, the value of AF_INET6.
pub const CT_FAMILY_IPV6: u8 = 10;

/// ICMP for IPv4.
pub const CT_PROTO_ICMP: u8 = 1;
/// TCP.
pub const CT_PROTO_TCP: u8 = 6;
/// UDP.
pub const CT_PROTO_UDP: u8 = 17;
/// DCCP. Kernels from 6.16 on no longer track it: its entries then have no ports, and none can be made with ports.
pub const CT_PROTO_DCCP: u8 = 33;
/// GRE. Its keys are kept as ports.
pub const CT_PROTO_GRE: u8 = 47;
/// ICMPv6.
pub const CT_PROTO_ICMPV6: u8 = 58;
/// SCTP.
pub const CT_PROTO_SCTP: u8 = 132;
/// UDP-Lite.
pub const CT_PROTO_UDPLITE: u8 = 136;

/// orig: addresses and protocol of the original direction.
pub const CT_HAS_ORIG: u64 = 1u64 << 0;
/// reply: addresses and protocol of the reply direction.
pub const CT_HAS_REPLY: u64 = 1u64 << 1;
/// sport and dport of the tuples (TCP, UDP, UDP-Lite, SCTP, DCCP; the keys of GRE).
pub const CT_HAS_PORTS: u64 = 1u64 << 2;
/// icmp_type, icmp_code and icmp_id of the tuples.
pub const CT_HAS_ICMP: u64 = 1u64 << 3;
/// status.
pub const CT_HAS_STATUS: u64 = 1u64 << 4;
/// timeout. Not sent for entries that are offloaded to a flow table.
pub const CT_HAS_TIMEOUT: u64 = 1u64 << 5;
/// mark.
pub const CT_HAS_MARK: u64 = 1u64 << 6;
/// id.
pub const CT_HAS_ID: u64 = 1u64 << 7;
/// use_count.
pub const CT_HAS_USE: u64 = 1u64 << 8;
/// zone: the entry is in this zone in both directions. Not set for zone 0.
pub const CT_HAS_ZONE: u64 = 1u64 << 9;
/// orig.zone: only the original direction is in this zone.
pub const CT_HAS_ORIG_ZONE: u64 = 1u64 << 10;
/// reply.zone: only the reply direction is in this zone.
pub const CT_HAS_REPLY_ZONE: u64 = 1u64 << 11;
/// orig_counters (kept by the kernel when net.netfilter.nf_conntrack_acct was 1 as the entry was made).
pub const CT_HAS_ORIG_COUNTERS: u64 = 1u64 << 12;
/// reply_counters.
pub const CT_HAS_REPLY_COUNTERS: u64 = 1u64 << 13;
/// start_ns (kept when net.netfilter.nf_conntrack_timestamp was 1 as the entry was made).
pub const CT_HAS_START: u64 = 1u64 << 14;
/// stop_ns (destroyed entries only).
pub const CT_HAS_STOP: u64 = 1u64 << 15;
/// labels. Not sent by the kernel while all are clear.
pub const CT_HAS_LABELS: u64 = 1u64 << 16;
/// helper.
pub const CT_HAS_HELPER: u64 = 1u64 << 17;
/// tcp_state.
pub const CT_HAS_TCP_STATE: u64 = 1u64 << 18;
/// tcp_wscale_orig and tcp_wscale_reply.
pub const CT_HAS_TCP_WSCALE: u64 = 1u64 << 19;
/// tcp_flags_orig, tcp_mask_orig, tcp_flags_reply and tcp_mask_reply.
pub const CT_HAS_TCP_FLAGS: u64 = 1u64 << 20;
/// sctp_state, sctp_vtag_orig and sctp_vtag_reply.
pub const CT_HAS_SCTP: u64 = 1u64 << 21;
/// dccp_state and dccp_role (kernels before 6.16).
pub const CT_HAS_DCCP: u64 = 1u64 << 22;
/// The entry was expected by another one, its master. (Which one: Rust API, Details.)
pub const CT_HAS_MASTER: u64 = 1u64 << 23;
/// The kernel adjusts TCP sequence numbers of this entry. (How: Rust API, Details.)
pub const CT_HAS_SEQ_ADJ: u64 = 1u64 << 24;
/// The entry has a synproxy extension. (Its values: Rust API, Details.)
pub const CT_HAS_SYNPROXY: u64 = 1u64 << 25;
/// The entry has a security context. (Its name: Rust API, Details.)
pub const CT_HAS_SECCTX: u64 = 1u64 << 26;
/// mark_mask. Only for ct_update_entries(); the kernel never sends it.
pub const CT_HAS_MARK_MASK: u64 = 1u64 << 27;

/// Only for ct_update_entries(), with CT_HAS_LABELS: the bits of labels are set, all others stay as they are. So two programs
/// that each add a label do not undo each other. Since 0.2.
pub const CT_HAS_LABELS_ADD: u64 = 1u64 << 28;
/// Only for ct_update_entries(), with CT_HAS_LABELS: the bits of labels are cleared, all others stay as they are. Since 0.2.
pub const CT_HAS_LABELS_REMOVE: u64 = 1u64 << 29;

/// The entry was expected by another one.
pub const CT_STATUS_EXPECTED: u32 = 1u32 << 0;
/// Packets were seen in both directions.
pub const CT_STATUS_SEEN_REPLY: u32 = 1u32 << 1;
/// The entry is not dropped early when the table is full.
pub const CT_STATUS_ASSURED: u32 = 1u32 << 2;
/// The entry is in the table. Set on every entry that the kernel lists.
pub const CT_STATUS_CONFIRMED: u32 = 1u32 << 3;
/// The source address or port is translated in the original direction.
pub const CT_STATUS_SRC_NAT: u32 = 1u32 << 4;
/// The destination address or port is translated in the original direction.
pub const CT_STATUS_DST_NAT: u32 = 1u32 << 5;
/// TCP sequence numbers are adjusted.
pub const CT_STATUS_SEQ_ADJUST: u32 = 1u32 << 6;
/// Source NAT was decided (perhaps: none).
pub const CT_STATUS_SRC_NAT_DONE: u32 = 1u32 << 7;
/// Destination NAT was decided (perhaps: none).
pub const CT_STATUS_DST_NAT_DONE: u32 = 1u32 << 8;
/// The entry is being removed.
pub const CT_STATUS_DYING: u32 = 1u32 << 9;
/// Traffic does not refresh the timeout.
pub const CT_STATUS_FIXED_TIMEOUT: u32 = 1u32 << 10;
/// A template, never in the table.
pub const CT_STATUS_TEMPLATE: u32 = 1u32 << 11;
/// Not tracked (kernels before 4.12).
pub const CT_STATUS_UNTRACKED: u32 = 1u32 << 12;
/// A helper was assigned by a rule or by ctnetlink.
pub const CT_STATUS_HELPER: u32 = 1u32 << 13;
/// Offloaded to a flow table.
pub const CT_STATUS_OFFLOAD: u32 = 1u32 << 14;
/// Offloaded to hardware.
pub const CT_STATUS_HW_OFFLOAD: u32 = 1u32 << 15;

/// TCP: no state yet.
pub const CT_TCP_STATE_NONE: u8 = 0;
/// TCP: SYN seen.
pub const CT_TCP_STATE_SYN_SENT: u8 = 1;
/// TCP: SYN and SYN+ACK seen.
pub const CT_TCP_STATE_SYN_RECV: u8 = 2;
/// TCP: established.
pub const CT_TCP_STATE_ESTABLISHED: u8 = 3;
/// TCP: one side sent FIN.
pub const CT_TCP_STATE_FIN_WAIT: u8 = 4;
/// TCP: that FIN was acknowledged.
pub const CT_TCP_STATE_CLOSE_WAIT: u8 = 5;
/// TCP: both sides sent FIN.
pub const CT_TCP_STATE_LAST_ACK: u8 = 6;
/// TCP: closed, waiting for stray packets.
pub const CT_TCP_STATE_TIME_WAIT: u8 = 7;
/// TCP: reset.
pub const CT_TCP_STATE_CLOSE: u8 = 8;
/// TCP: SYN seen from both sides.
pub const CT_TCP_STATE_SYN_SENT2: u8 = 9;

/// One direction of a connection: what its packets carry on arrival.
///
/// Addresses are in network byte order, an IPv4 one in the first 4 bytes with the others zero. Everything else is in host
/// byte order. Which of the fields count is said by the `has` of the entry.
#[repr(C)]
pub struct ct_tuple {
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
    /// Source port; the source key of GRE.
    pub sport: u16,
    /// Destination port; the destination key of GRE.
    pub dport: u16,
    /// ICMP or ICMPv6 identifier.
    pub icmp_id: u16,
    /// ICMP or ICMPv6 type.
    pub icmp_type: u8,
    /// ICMP or ICMPv6 code.
    pub icmp_code: u8,
    /// The zone of this direction, 0 to 65535: that of the entry (CT_HAS_ZONE) or one for this direction only.
    pub zone: u32,
}

/// Packets and bytes seen in one direction.
#[repr(C)]
pub struct ct_counters {
    /// Packets.
    pub packets: u64,
    /// Bytes, counted from the network header on.
    pub bytes: u64,
}

/// One entry of the connection-tracking table.
///
/// 256 bytes for the life of libctrack.so.0, no pointers, no hidden padding. `has` says which fields the kernel sent (or,
/// in an entry that is given to the library, which ones count); all others are zero. Fields may be added in the place of
/// `reserved`, announced by new CT_HAS_ bits.
#[repr(C)]
pub struct ct_entry {
    /// CT_HAS_ bits: which of the fields below count.
    pub has: u64,
    /// The kernel's identifier of the entry: opaque, constant over its life, valid until the next boot.
    pub id: u32,
    /// CT_STATUS_ bits.
    pub status: u32,
    /// The mark (connmark).
    pub mark: u32,
    /// Seconds until the entry expires, rounded down.
    pub timeout: u32,
    /// The kernel's reference count.
    pub use_count: u32,
    /// Zone, 0 to 65535. CT_HAS_ZONE: both directions are in it. CT_HAS_ORIG_ZONE or CT_HAS_REPLY_ZONE: only that one.
    pub zone: u32,
    /// CT_FAMILY_IPV4 or CT_FAMILY_IPV6.
    pub family: u8,
    /// Protocol number (IPPROTO_, CT_PROTO_).
    pub proto: u8,
    /// CT_TCP_STATE_ value.
    pub tcp_state: u8,
    /// SCTP state, numbered as in linux/netfilter/nf_conntrack_sctp.h.
    pub sctp_state: u8,
    /// TCP window scale of the original direction.
    pub tcp_wscale_orig: u8,
    /// TCP window scale of the reply direction.
    pub tcp_wscale_reply: u8,
    /// TCP flags of the original direction (IP_CT_TCP_FLAG_, linux/netfilter/nf_conntrack_tcp.h).
    pub tcp_flags_orig: u8,
    /// TCP flags of the reply direction.
    pub tcp_flags_reply: u8,
    /// In create and update: which bits of tcp_flags_orig to set; 0 means all. The kernel sends 0.
    pub tcp_mask_orig: u8,
    /// In create and update: which bits of tcp_flags_reply to set; 0 means all. The kernel sends 0.
    pub tcp_mask_reply: u8,
    /// DCCP state, numbered as in the kernel's enum ct_dccp_states.
    pub dccp_state: u8,
    /// DCCP role: 0 client, 1 server.
    pub dccp_role: u8,
    /// SCTP verification tag of the original direction.
    pub sctp_vtag_orig: u32,
    /// SCTP verification tag of the reply direction.
    pub sctp_vtag_reply: u32,
    /// In update: which bits of the mark to replace (new = (old & ~mark_mask) ^ mark).
    pub mark_mask: u32,
    /// The original direction: as the first packet arrived.
    pub orig: ct_tuple,
    /// The reply direction: as answers arrive. With NAT it differs from the mirror image of orig.
    pub reply: ct_tuple,
    /// Packets and bytes of the original direction.
    pub orig_counters: ct_counters,
    /// Packets and bytes of the reply direction.
    pub reply_counters: ct_counters,
    /// When the entry was made: nanoseconds since 1970-01-01 00:00 UTC.
    pub start_ns: u64,
    /// When it ended: nanoseconds since 1970-01-01 00:00 UTC.
    pub stop_ns: u64,
    /// Connection labels: bit n is bit n % 8 of byte n / 8 on a little-endian machine (the kernel's own memory order).
    pub labels: [u8; 16],
    /// Name of the helper, for example "ftp": NUL-terminated.
    pub helper: [c_char; 16],
    /// Zero.
    pub reserved: [u64; 4],
}

const _: () = {
    use ctnetlink::types::{Counters, Entry, Tuple};
    assert!(size_of::<ct_entry>() == size_of::<Entry>() && align_of::<ct_entry>() == align_of::<Entry>());
    assert!(size_of::<ct_tuple>() == size_of::<Tuple>() && size_of::<ct_counters>() == size_of::<Counters>());
};
