//! Filters as C has them.

use std::ffi::c_char;

/// ct_filter.flags: entries that match this filter are not selected, whatever the others say.
pub const CT_FILTER_EXCLUDE: u32 = 1u32 << 0;

/// family counts.
pub const CT_MATCH_FAMILY: u64 = 1u64 << 0;
/// proto counts.
pub const CT_MATCH_PROTO: u64 = 1u64 << 1;
/// zone counts: entries that have this zone in both directions or in one of them; 0: entries without any zone. For the zone of
/// one direction see CT_MATCH_ORIG_ZONE.
pub const CT_MATCH_ZONE: u64 = 1u64 << 2;
/// mark and mark_mask count: (entry's mark & mark_mask) == mark. A bit of mark outside mark_mask: -EINVAL.
pub const CT_MATCH_MARK: u64 = 1u64 << 3;
/// status_set and status_clear count: all bits of the one are set, all of the other clear.
pub const CT_MATCH_STATUS: u64 = 1u64 << 4;
/// orig_src and orig_src_prefix count. Every address wants CT_MATCH_FAMILY too.
pub const CT_MATCH_ORIG_SRC: u64 = 1u64 << 5;
/// orig_dst and orig_dst_prefix count.
pub const CT_MATCH_ORIG_DST: u64 = 1u64 << 6;
/// reply_src and reply_src_prefix count.
pub const CT_MATCH_REPLY_SRC: u64 = 1u64 << 7;
/// reply_dst and reply_dst_prefix count.
pub const CT_MATCH_REPLY_DST: u64 = 1u64 << 8;
/// orig_sport_first to orig_sport_last count. All ports want CT_MATCH_PROTO with a protocol that has ports.
pub const CT_MATCH_ORIG_SPORT: u64 = 1u64 << 9;
/// orig_dport_first to orig_dport_last count.
pub const CT_MATCH_ORIG_DPORT: u64 = 1u64 << 10;
/// reply_sport_first to reply_sport_last count.
pub const CT_MATCH_REPLY_SPORT: u64 = 1u64 << 11;
/// reply_dport_first to reply_dport_last count.
pub const CT_MATCH_REPLY_DPORT: u64 = 1u64 << 12;
/// icmp_type counts (of the original direction). The ICMP fields want CT_MATCH_PROTO with ICMP or ICMPv6.
pub const CT_MATCH_ICMP_TYPE: u64 = 1u64 << 13;
/// icmp_code counts (of the original direction).
pub const CT_MATCH_ICMP_CODE: u64 = 1u64 << 14;
/// icmp_id counts (of the original direction).
pub const CT_MATCH_ICMP_ID: u64 = 1u64 << 15;
/// tcp_states counts. Wants CT_MATCH_PROTO with TCP.
pub const CT_MATCH_TCP_STATES: u64 = 1u64 << 16;
/// labels and labels_mask count: (entry's labels & labels_mask) == labels.
pub const CT_MATCH_LABELS: u64 = 1u64 << 17;
/// helper counts: exactly this name.
pub const CT_MATCH_HELPER: u64 = 1u64 << 18;
/// orig_zone counts: the original direction is in this zone, be it the zone of both directions or of this one only; 0: the
/// original direction is in no zone (the reply direction may be in one). Only the original direction in zone 5, and not the
/// reply direction: orig_zone 5 with reply_zone 0; both: orig_zone 5 with reply_zone 5. An entry has one zone at most, so zones
/// that none can have together are refused: -EINVAL. Since 0.2.
pub const CT_MATCH_ORIG_ZONE: u64 = 1u64 << 19;
/// reply_zone counts, in the same way. Since 0.2.
pub const CT_MATCH_REPLY_ZONE: u64 = 1u64 << 20;
/// id counts: exactly this one, as in ct_entry.id and as `conntrack -o id` prints it. Two entries can have the same id: of a
/// million entries some 116 pairs do. So ct_delete() refuses a filter without CT_FILTER_EXCLUDE that has no other field by
/// which one of them would be left, with -EINVAL. Since 0.2.
pub const CT_MATCH_ID: u64 = 1u64 << 21;

/// What to select. Set size and, in match, the fields that count; the others must be zero.
///
/// All fields that count must hold. Addresses are in network byte order, an IPv4 one in the first 4 bytes with the others
/// zero; everything else is in host byte order. Zero is a value everywhere, never a wildcard: 0.0.0.0 is an address, port
/// 0 a port, zone 0 a zone.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ct_filter {
    /// sizeof(struct ct_filter). The same in all filters of one call.
    pub size: u32,
    /// CT_FILTER_ bits.
    pub flags: u32,
    /// CT_MATCH_ bits. One whose field lies behind size is refused (-EINVAL).
    pub r#match: u64,
    /// CT_FAMILY_IPV4 or CT_FAMILY_IPV6.
    pub family: u8,
    /// Protocol number (IPPROTO_, CT_PROTO_).
    pub proto: u8,
    /// ICMP or ICMPv6 type.
    pub icmp_type: u8,
    /// ICMP or ICMPv6 code.
    pub icmp_code: u8,
    /// ICMP or ICMPv6 identifier.
    pub icmp_id: u16,
    /// TCP states, bit n for CT_TCP_STATE_ value n.
    pub tcp_states: u16,
    /// Zone, 0 to 65535.
    pub zone: u32,
    /// Mark.
    pub mark: u32,
    /// Which bits of the mark are compared.
    pub mark_mask: u32,
    /// CT_STATUS_ bits that must be set.
    pub status_set: u32,
    /// CT_STATUS_ bits that must be clear.
    pub status_clear: u32,
    /// Prefix length of orig_src: 0 to 32 or 128. All address bits behind it must be zero.
    pub orig_src_prefix: u8,
    /// Prefix length of orig_dst.
    pub orig_dst_prefix: u8,
    /// Prefix length of reply_src.
    pub reply_src_prefix: u8,
    /// Prefix length of reply_dst.
    pub reply_dst_prefix: u8,
    /// Source address of the original direction: who began.
    pub orig_src: [u8; 16],
    /// Destination address of the original direction: whom it called (a service's virtual address, before NAT).
    pub orig_dst: [u8; 16],
    /// Source address of the reply direction: who really answers (an endpoint behind destination NAT).
    pub reply_src: [u8; 16],
    /// Destination address of the reply direction: where answers go (the masquerading address behind source NAT).
    pub reply_dst: [u8; 16],
    /// First of a range of source ports of the original direction.
    pub orig_sport_first: u16,
    /// Last of it, included.
    pub orig_sport_last: u16,
    /// First of a range of destination ports of the original direction.
    pub orig_dport_first: u16,
    /// Last of it, included.
    pub orig_dport_last: u16,
    /// First of a range of source ports of the reply direction.
    pub reply_sport_first: u16,
    /// Last of it, included.
    pub reply_sport_last: u16,
    /// First of a range of destination ports of the reply direction.
    pub reply_dport_first: u16,
    /// Last of it, included.
    pub reply_dport_last: u16,
    /// Labels, as in struct ct_entry.
    pub labels: [u8; 16],
    /// Which labels are compared.
    pub labels_mask: [u8; 16],
    /// Name of the helper, NUL-terminated.
    pub helper: [c_char; 16],
    /// Zone of the original direction, 0 to 65535. Since 0.2.
    pub orig_zone: u32,
    /// Zone of the reply direction, 0 to 65535. Since 0.2.
    pub reply_zone: u32,
    /// The kernel's identifier of the entry. Since 0.2.
    pub id: u32,
    /// Zero.
    pub pad0: u32,
}

/// Size of `ct_filter` in the first release.
pub(crate) const FILTER_SIZE_V0: usize = 176;

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<ct_filter>() == FILTER_SIZE_V0 + 16);
    assert!(offset_of!(ct_filter, zone) == 24 && offset_of!(ct_filter, orig_src_prefix) == 44);
    assert!(offset_of!(ct_filter, orig_src) == 48 && offset_of!(ct_filter, orig_sport_first) == 112);
    assert!(offset_of!(ct_filter, labels) == 128 && offset_of!(ct_filter, orig_zone) == FILTER_SIZE_V0);
};
