//! What to select, as users write it: plain data. `matcher` has what is wrong with it.

use ctnetlink::types::*;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// An address prefix, for example 10.0.0.0/8.
///
/// ```
/// use ctrack::{Filter, Prefix, Selection};
/// let from = |address: [u8; 4], length| Filter {
///     orig_src: Some(Prefix { address: address.into(), length }),
///     ..Filter::default()
/// };
/// assert!(Selection::new(&[from([10, 0, 0, 0], 8)]).is_ok());
/// // A bit behind the prefix: an error that says which field of which filter.
/// let error = Selection::new(&[from([10, 1, 0, 0], 8)]).unwrap_err();
/// assert!(error.to_string().contains("filter[0].orig_src"), "{error}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The address; all bits behind the prefix must be zero.
    pub address: IpAddr,
    /// Prefix length: 0 to 32 or 128.
    pub length: u8,
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Prefix { address, length: if address.is_ipv4() { 32 } else { 128 } }
    }
}

/// One filter. All fields that are not `None` (or zero, for status) must hold.
///
/// ```
/// use ctrack::{Filter, Proto};
/// let dns = Filter {
///     proto: Some(Proto::UDP),
///     orig_dst: Some("10.96.0.10".parse::<std::net::IpAddr>()?.into()),
///     orig_dport: Some(53..=53),
///     ..Filter::default()
/// };
/// # assert!(ctrack::Selection::new(&[dns]).is_ok());
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Entries that match this filter are not selected, whatever the others say.
    pub exclude: bool,
    /// [`Family::IPV4`] or [`Family::IPV6`]. Follows from an address where there is one.
    pub family: Option<Family>,
    /// The protocol.
    pub proto: Option<Proto>,
    /// Zone of either direction; 0: entries without any zone.
    pub zone: Option<u16>,
    /// Zone of the original direction, whether the zone holds for both directions or for this one only; 0: the original
    /// direction is in no zone (the reply direction may be in one). *Only* the original direction in zone 5 is `orig_zone`
    /// 5 together with `reply_zone` 0. Zones that no entry can have together, since an entry has one at most, are refused.
    pub orig_zone: Option<u16>,
    /// Zone of the reply direction, like `orig_zone`.
    pub reply_zone: Option<u16>,
    /// The kernel's identifier of the entry, as in [`Entry::id`]. Two entries can have the same one (of a million, some 116
    /// pairs do), so a delete by filter wants another field besides, by which one would be told from the other.
    pub id: Option<u32>,
    /// Mark.
    pub mark: Option<Masked<u32>>,
    /// Status bits that must be set.
    pub status_set: Status,
    /// Status bits that must be clear.
    pub status_clear: Status,
    /// Source of the original direction.
    pub orig_src: Option<Prefix>,
    /// Destination of the original direction.
    pub orig_dst: Option<Prefix>,
    /// Source of the reply direction.
    pub reply_src: Option<Prefix>,
    /// Destination of the reply direction.
    pub reply_dst: Option<Prefix>,
    /// Source ports of the original direction.
    pub orig_sport: Option<RangeInclusive<u16>>,
    /// Destination ports of the original direction.
    pub orig_dport: Option<RangeInclusive<u16>>,
    /// Source ports of the reply direction.
    pub reply_sport: Option<RangeInclusive<u16>>,
    /// Destination ports of the reply direction.
    pub reply_dport: Option<RangeInclusive<u16>>,
    /// ICMP type of the original direction.
    pub icmp_type: Option<u8>,
    /// ICMP code of the original direction.
    pub icmp_code: Option<u8>,
    /// ICMP identifier of the original direction.
    pub icmp_id: Option<u16>,
    /// TCP states: one of them.
    pub tcp_states: Option<TcpStates>,
    /// Labels.
    pub labels: Option<Masked<[u8; 16]>>,
    /// Helper name.
    pub helper: Option<String>,
}
