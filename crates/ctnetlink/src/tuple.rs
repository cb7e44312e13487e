//! What an entry is made of: tuples, counters, masked values, and how addresses lie in a tuple.

use crate::flags::Has;
use crate::names::Family;
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

impl Tuple {
    /// All zero.
    pub const EMPTY: Tuple =
        Tuple { src: [0; 16], dst: [0; 16], sport: 0, dport: 0, icmp_id: 0, icmp_type: 0, icmp_code: 0, zone: 0 };

    /// Whether all that is set of a direction is announced: by `own`, by the bits of ports and ICMP, and its zone by one of `zones`.
    #[inline(always)]
    pub(crate) fn is_announced(&self, has: Has, own: Has, zones: Has) -> bool {
        let ports = || self.sport | self.dport == 0;
        let icmp = || u32::from(self.icmp_id) | u32::from(self.icmp_type) | u32::from(self.icmp_code) == 0;
        (has.contains(own) || self.src == [0; 16] && self.dst == [0; 16] && ports() && icmp())
            && (has.contains(Has::PORTS) || ports())
            && (has.contains(Has::ICMP) || icmp())
            && (self.zone == 0 || has.intersects(zones))
    }

    /// Which field is not, by its number.
    pub(crate) fn first_unannounced(&self, has: Has, own: Has, zones: Has) -> Option<usize> {
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
    pub(crate) fn shown(&self, family: Family, has: Has) -> ShownTuple<'_> {
        ShownTuple { tuple: self, family, has }
    }
}

/// A tuple with what it takes to show it: the family, and which of the fields count.
pub(crate) struct ShownTuple<'a> {
    tuple: &'a Tuple,
    family: Family,
    has: Has,
}

impl fmt::Debug for ShownTuple<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownTuple { tuple, family, has } = self;
        write!(f, "{} -> {}", address_of(*family, &tuple.src), address_of(*family, &tuple.dst))?;
        if has.contains(Has::PORTS) {
            write!(f, ", ports {} -> {}", tuple.sport, tuple.dport)?;
        }
        if has.contains(Has::ICMP) {
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

/// A value of which only the bits in a mask are compared. A value alone: all of them.
///
/// ```
/// use ctnetlink::Masked;
/// assert_eq!(Masked::from(7), Masked { value: 7u32, mask: u32::MAX });
/// let second_label = Masked { value: [0b10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], mask: [0xff; 16] };
/// assert_eq!(Masked::from(second_label.value), second_label);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Masked<T> {
    /// What the masked value must be.
    pub value: T,
    /// Which bits are compared.
    pub mask: T,
}

impl From<u32> for Masked<u32> {
    fn from(value: u32) -> Masked<u32> {
        Masked { value, mask: u32::MAX }
    }
}

impl From<[u8; 16]> for Masked<[u8; 16]> {
    fn from(value: [u8; 16]) -> Masked<[u8; 16]> {
        Masked { value, mask: [u8::MAX; 16] }
    }
}

/// The bytes of an address as a tuple holds them.
///
/// ```
/// use ctnetlink::types::address_bytes;
/// assert_eq!(address_bytes("10.0.0.7".parse()?)[..5], [10, 0, 0, 7, 0]);
/// assert_eq!(address_bytes("fd00::7".parse()?)[..2], [0xfd, 0]);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
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
///
/// ```
/// assert_eq!(ctnetlink::types::until_nul(b"ftp\0\0\0"), b"ftp");
/// ```
pub fn until_nul(bytes: &[u8]) -> &[u8] {
    bytes.split(|&b| b == 0).next().unwrap_or(bytes)
}

/// An address of this family, from its bytes in a tuple.
pub(crate) fn address_of(family: Family, bytes: &[u8; 16]) -> IpAddr {
    if family == Family::IPV4 {
        let [a, b, c, d, ..] = *bytes;
        IpAddr::V4(Ipv4Addr::new(a, b, c, d))
    } else {
        IpAddr::V6(Ipv6Addr::from(*bytes))
    }
}
