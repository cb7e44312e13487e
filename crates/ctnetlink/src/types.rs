//! Plain data: one connection-tracking entry, and values of which some bits count.
//!
//! Pure: no I/O and no netlink. [`Entry`] has the layout that C sees, so that the decoder writes straight into what the
//! caller gets and nothing is converted. Its size, 256 bytes, is frozen for the life of `libctrack.so.0`.

pub use crate::flags::{Has, Status, TcpStates};
pub use crate::names::{Family, Proto, TcpState, SCTP_STATE_MAX};

use alloc::string::String;
use core::ffi::c_char;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// One direction of a connection: what its packets carry on arrival.
///
/// Addresses are in network byte order, an IPv4 one in the first 4 bytes with the others zero. Everything else is in host
/// byte order. Which of the fields count is said by the `has` of the entry.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Tuple {
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
    /// The zone of this direction, 0 to 65535: that of the entry (Has::ZONE) or one for this direction only.
    pub zone: u32,
}

/// Packets and bytes seen in one direction.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes, counted from the network header on.
    pub bytes: u64,
}

entry! {
    /// One entry of the connection-tracking table.
    ///
    /// 256 bytes, no pointers, no hidden padding. `has` says which fields the kernel sent (or, in an entry that is given to the library,
    /// which ones count); all others are zero. Fields may be added in the place of `reserved`, announced by new bits of [`Has`].
    #[repr(C)]
    #[derive(Clone, Copy, PartialEq, Eq, Hash)]
    pub struct Entry {
        /// Which of the fields below count.
        has: Has = always(),
        /// The kernel's identifier of the entry: opaque, constant over its life, valid until the next boot.
        id: u32 = all(ID; LIST DELETE; "id"),
        /// What the kernel says of it, as bits.
        status: Status = all(STATUS; LIST CREATE UPDATE; "status"),
        /// The mark (connmark).
        mark: u32 = all(MARK; LIST CREATE UPDATE; "mark"),
        /// Seconds until the entry expires, rounded down.
        timeout: u32 = all(TIMEOUT; LIST CREATE UPDATE; "timeout"),
        /// The kernel's reference count.
        use_count: u32 = all(USE; LIST; "use"),
        /// Zone, 0 to 65535. [`Has::ZONE`]: both directions are in it. [`Has::ORIG_ZONE`] or [`Has::REPLY_ZONE`]: only that one.
        zone: u32 = any(ZONE | ORIG_ZONE | REPLY_ZONE; LIST CREATE; "zone"),
        /// The family of its addresses.
        family: Family = always(),
        /// The protocol.
        proto: Proto = always(),
        /// TCP state.
        tcp_state: TcpState = all(TCP_STATE; LIST CREATE UPDATE; "state"),
        /// SCTP state, numbered as in linux/netfilter/nf_conntrack_sctp.h.
        sctp_state: u8 = all(SCTP; LIST CREATE UPDATE; "state"),
        /// TCP window scale of the original direction.
        tcp_wscale_orig: u8 = all(TCP_WSCALE; LIST CREATE UPDATE; "tcp_wscale_orig"),
        /// TCP window scale of the reply direction.
        tcp_wscale_reply: u8 = all(TCP_WSCALE; LIST CREATE UPDATE; "tcp_wscale_reply"),
        /// TCP flags of the original direction (IP_CT_TCP_FLAG_, linux/netfilter/nf_conntrack_tcp.h).
        tcp_flags_orig: u8 = all(TCP_FLAGS; LIST CREATE UPDATE; "tcp_flags_orig"),
        /// TCP flags of the reply direction.
        tcp_flags_reply: u8 = all(TCP_FLAGS; LIST CREATE UPDATE; "tcp_flags_reply"),
        /// In create and update: which bits of tcp_flags_orig to set; 0 means all. The kernel sends 0.
        tcp_mask_orig: u8 = all(TCP_FLAGS; LIST CREATE UPDATE; ""),
        /// In create and update: which bits of tcp_flags_reply to set; 0 means all. The kernel sends 0.
        tcp_mask_reply: u8 = all(TCP_FLAGS; LIST CREATE UPDATE; ""),
        /// DCCP state, numbered as in the kernel's enum ct_dccp_states.
        dccp_state: u8 = all(DCCP; LIST; "state"),
        /// DCCP role: 0 client, 1 server.
        dccp_role: u8 = all(DCCP; LIST; "dccp_role"),
        /// SCTP verification tag of the original direction.
        sctp_vtag_orig: u32 = all(SCTP; LIST CREATE UPDATE; "sctp_vtag_orig"),
        /// SCTP verification tag of the reply direction.
        sctp_vtag_reply: u32 = all(SCTP; LIST CREATE UPDATE; "sctp_vtag_reply"),
        /// In update: which bits of the mark to replace (new = (old & ~mark_mask) ^ mark).
        mark_mask: u32 = all(MARK_MASK; UPDATE; ""),
        /// The original direction: as the first packet arrived.
        orig: Tuple = tuple(ORIG, ORIG_ZONE, "orig"),
        /// The reply direction: as answers arrive. With NAT it differs from the mirror image of orig.
        reply: Tuple = tuple(REPLY, REPLY_ZONE, "reply"),
        /// Packets and bytes of the original direction.
        orig_counters: Counters = counters(ORIG_COUNTERS; LIST; "orig"),
        /// Packets and bytes of the reply direction.
        reply_counters: Counters = counters(REPLY_COUNTERS; LIST; "reply"),
        /// When the entry was made: nanoseconds since 1970-01-01 00:00 UTC.
        start_ns: u64 = all(START; LIST; "start_ns"),
        /// When it ended: nanoseconds since 1970-01-01 00:00 UTC.
        stop_ns: u64 = all(STOP; LIST; "stop_ns"),
        /// Connection labels: bit n is bit n % 8 of byte n / 8 on a little-endian machine (the kernel's own memory order).
        labels: [u8; 16] = all(LABELS; LIST CREATE UPDATE; "labels"),
        /// Name of the helper, for example "ftp": NUL-terminated.
        helper: [c_char; 16] = all(HELPER; LIST CREATE UPDATE; "helper"),
        /// Zero.
        reserved: [u64; 4] = always(),
    }
}

const _: () = assert!(size_of::<Entry>() == 256 && align_of::<Entry>() == align_of::<u64>());

impl Default for Entry {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Entry {
    /// The name of a field that is set although `has` does not announce it: it was forgotten there, and would silently not count.
    #[inline]
    pub fn unannounced(&self) -> Option<&'static str> {
        if mutant!("unannounced-fields", self.is_announced(), true) {
            None
        } else {
            self.first_unannounced()
        }
    }

    /// A key for `get`, `delete_entries` and the like: the original tuple of a protocol with ports, in zone 0.
    ///
    /// `None` if one address is IPv4 and the other IPv6.
    pub fn key(proto: Proto, src: IpAddr, sport: u16, dst: IpAddr, dport: u16) -> Option<Entry> {
        let mut entry = Self::tuple_only(proto, src, dst)?;
        entry.has |= Has::PORTS;
        (entry.orig.sport, entry.orig.dport) = (sport, dport);
        Some(entry)
    }

    /// A key for an ICMP or ICMPv6 exchange, in zone 0: the protocol follows from the addresses.
    ///
    /// `None` if one address is IPv4 and the other IPv6.
    pub fn icmp_key(src: IpAddr, dst: IpAddr, icmp_type: u8, icmp_code: u8, icmp_id: u16) -> Option<Entry> {
        let proto = if src.is_ipv4() { Proto::ICMP } else { Proto::ICMPV6 };
        let mut entry = Self::tuple_only(proto, src, dst)?;
        entry.has |= Has::ICMP;
        entry.orig.icmp_type = icmp_type;
        entry.orig.icmp_code = icmp_code;
        entry.orig.icmp_id = icmp_id;
        Some(entry)
    }

    fn tuple_only(proto: Proto, src: IpAddr, dst: IpAddr) -> Option<Entry> {
        let (family, src, dst) = match (src, dst) {
            (IpAddr::V4(_), IpAddr::V4(_)) => (Family::IPV4, address_bytes(src), address_bytes(dst)),
            (IpAddr::V6(_), IpAddr::V6(_)) => (Family::IPV6, address_bytes(src), address_bytes(dst)),
            _ => return None,
        };
        let orig = Tuple { src, dst, ..Tuple::EMPTY };
        Some(Entry { has: Has::ORIG, family, proto, orig, ..Self::EMPTY })
    }

    /// The same entry in `zone` in both directions.
    #[must_use]
    pub fn in_zone(mut self, zone: u16) -> Entry {
        self.has &= !(Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE);
        if zone != 0 {
            self.has |= Has::ZONE;
        }
        self.zone = u32::from(zone);
        self.orig.zone = self.zone;
        self.reply.zone = self.zone;
        self
    }

    /// Whether all the `CT_HAS_*` bits in `bits` are set.
    pub fn has(&self, bits: Has) -> bool {
        self.has.contains(bits)
    }

    fn when<T>(&self, bits: Has, value: T) -> Option<T> {
        self.has(bits).then_some(value)
    }

    /// Source address of the original direction.
    pub fn orig_src(&self) -> IpAddr {
        self.address(&self.orig.src)
    }

    /// Destination address of the original direction.
    pub fn orig_dst(&self) -> IpAddr {
        self.address(&self.orig.dst)
    }

    /// Source address of the reply direction.
    pub fn reply_src(&self) -> IpAddr {
        self.address(&self.reply.src)
    }

    /// Destination address of the reply direction.
    pub fn reply_dst(&self) -> IpAddr {
        self.address(&self.reply.dst)
    }

    /// The mark, if the kernel keeps marks.
    pub fn mark(&self) -> Option<u32> {
        self.when(Has::MARK, self.mark)
    }

    /// The kernel's identifier of the entry.
    pub fn id(&self) -> Option<u32> {
        self.when(Has::ID, self.id)
    }

    /// Seconds until the entry expires; `None` for offloaded entries.
    pub fn timeout(&self) -> Option<u32> {
        self.when(Has::TIMEOUT, self.timeout)
    }

    /// The TCP state (`CT_TCP_STATE_*`).
    pub fn tcp_state(&self) -> Option<TcpState> {
        self.when(Has::TCP_STATE, self.tcp_state)
    }

    /// Counters of the original and the reply direction.
    pub fn counters(&self) -> Option<(Counters, Counters)> {
        self.when(Has::ORIG_COUNTERS | Has::REPLY_COUNTERS, (self.orig_counters, self.reply_counters))
    }

    /// The name of the helper.
    pub fn helper(&self) -> Option<String> {
        self.when(Has::HELPER, String::from_utf8_lossy(until_nul(&self.helper_bytes())).into_owned())
    }

    /// The name of the helper as bytes, NUL-padded.
    pub fn helper_bytes(&self) -> [u8; 16] {
        self.helper.map(|byte| byte as u8)
    }

    fn address(&self, bytes: &[u8; 16]) -> IpAddr {
        if self.family == Family::IPV4 {
            let [a, b, c, d, ..] = *bytes;
            IpAddr::V4(Ipv4Addr::new(a, b, c, d))
        } else {
            IpAddr::V6(Ipv6Addr::from(*bytes))
        }
    }
}

impl Tuple {
    /// All zero.
    pub const EMPTY: Tuple =
        Tuple { src: [0; 16], dst: [0; 16], sport: 0, dport: 0, icmp_id: 0, icmp_type: 0, icmp_code: 0, zone: 0 };
    /// Whether all that is set of a direction is announced: by `own`, by the bits of ports and ICMP, and its zone by one of `zones`.
    #[inline(always)]
    fn is_announced(&self, has: Has, own: Has, zones: Has) -> bool {
        let ports = self.sport | self.dport == 0;
        let icmp = u32::from(self.icmp_id) | u32::from(self.icmp_type) | u32::from(self.icmp_code) == 0;
        (has.contains(own) || self.src == [0; 16] && self.dst == [0; 16] && ports && icmp)
            && (ports || has.contains(Has::PORTS))
            && (icmp || has.contains(Has::ICMP))
            && (self.zone == 0 || has.intersects(zones))
    }

    /// Which field is not, by its number.
    fn first_unannounced(&self, has: Has, own: Has, zones: Has) -> Option<usize> {
        let Tuple { src, dst, sport, dport, icmp_id, icmp_type, icmp_code, zone } = *self;
        let (ports, icmp) = (has.contains(own | Has::PORTS), has.contains(own | Has::ICMP));
        [
            src != [0; 16] && !has.contains(own),
            dst != [0; 16] && !has.contains(own),
            sport != 0 && !ports,
            dport != 0 && !ports,
            icmp_id != 0 && !icmp,
            icmp_type != 0 && !icmp,
            icmp_code != 0 && !icmp,
            zone != 0 && !has.intersects(zones),
        ]
        .iter()
        .position(|&forgotten| forgotten)
    }

    /// For Debug of the entry that it is in.
    fn shown<'a>(&'a self, entry: &'a Entry) -> ShownTuple<'a> {
        ShownTuple { tuple: self, entry }
    }
}

/// A tuple with what it takes to show it: the family, and which of the fields count.
struct ShownTuple<'a> {
    tuple: &'a Tuple,
    entry: &'a Entry,
}

impl fmt::Debug for ShownTuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownTuple { tuple, entry } = self;
        write!(f, "{} -> {}", entry.address(&tuple.src), entry.address(&tuple.dst))?;
        if entry.has(Has::PORTS) {
            write!(f, ", ports {} -> {}", tuple.sport, tuple.dport)?;
        }
        if entry.has(Has::ICMP) {
            write!(f, ", type {} code {} id {}", tuple.icmp_type, tuple.icmp_code, tuple.icmp_id)?;
        }
        if tuple.zone != 0 {
            write!(f, ", zone {}", tuple.zone)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The family is not known here: IPv4 addresses show as the first bytes of IPv6 ones.
        f.debug_struct("Tuple")
            .field("src", &Ipv6Addr::from(self.src))
            .field("dst", &Ipv6Addr::from(self.dst))
            .field("ports", &(self.sport, self.dport))
            .field("icmp", &(self.icmp_type, self.icmp_code, self.icmp_id))
            .field("zone", &self.zone)
            .finish()
    }
}

/// A value of which only the bits in a mask are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Masked<T> {
    /// What the masked value must be.
    pub value: T,
    /// Which bits are compared.
    pub mask: T,
}

/// The bytes of an address as a tuple holds them.
pub fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&v4.octets());
            bytes
        }
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The part of a fixed-size string before its first NUL.
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or(bytes)
}
