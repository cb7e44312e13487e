//! What to select, as users write it: plain data. `matcher` has what is wrong with it.

use ctnetlink::types::*;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// An address prefix, for example 10.0.0.0/8; an address alone is a prefix of full length.
///
/// ```
/// use ctrack::Prefix;
/// let pods: Prefix = "10.0.0.0/8".parse()?;
/// assert_eq!(pods, Prefix::new([10, 0, 0, 0].into(), 8)?);
/// let pod: Prefix = "fd00::7".parse()?;
/// assert_eq!((pod.length, pod.to_string()), (128, "fd00::7".into()));
/// // A bit behind the prefix: which one of both is meant?
/// assert!("10.1.0.0/8".parse::<Prefix>().is_err());
/// # Ok::<(), ctrack::PrefixError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Prefix {
    /// The address; all bits behind the prefix must be zero.
    pub address: IpAddr,
    /// Prefix length: 0 to 32 or 128.
    pub length: u8,
}

impl Prefix {
    /// The addresses that begin with the first `length` bits of `address`, whose other bits must be zero.
    ///
    /// ```
    /// use ctrack::Prefix;
    /// assert_eq!(Prefix::new([10, 96, 0, 0].into(), 12)?.to_string(), "10.96.0.0/12");
    /// assert!(Prefix::new([10, 96, 0, 0].into(), 33).is_err());
    /// # Ok::<(), ctrack::PrefixError>(())
    /// ```
    pub fn new(address: IpAddr, length: u8) -> Result<Prefix, PrefixError> {
        let width = width(address);
        if length > width {
            return Err(PrefixError::TooLong { length, width });
        }
        let behind = u128::MAX.checked_shr(length.into()).unwrap_or(0);
        if u128::from_be_bytes(address_bytes(address)) & behind != 0 {
            return Err(PrefixError::BitsBehind { address, length });
        }
        Ok(Prefix { address, length })
    }
}

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() {
        32
    } else {
        128
    }
}

impl From<IpAddr> for Prefix {
    fn from(address: IpAddr) -> Self {
        Prefix { address, length: width(address) }
    }
}

impl From<Ipv4Addr> for Prefix {
    fn from(address: Ipv4Addr) -> Self {
        IpAddr::from(address).into()
    }
}

impl From<Ipv6Addr> for Prefix {
    fn from(address: Ipv6Addr) -> Self {
        IpAddr::from(address).into()
    }
}

impl TryFrom<(IpAddr, u8)> for Prefix {
    type Error = PrefixError;

    fn try_from((address, length): (IpAddr, u8)) -> Result<Self, PrefixError> {
        Prefix::new(address, length)
    }
}

impl FromStr for Prefix {
    type Err = PrefixError;

    fn from_str(text: &str) -> Result<Self, PrefixError> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let address: IpAddr = address.parse().map_err(|_| PrefixError::NoAddress)?;
        let Some(length) = length else { return Ok(address.into()) };
        // u8 takes a sign, and zeros in front.
        if length.starts_with('+') || length.len() > 1 && length.starts_with('0') {
            return Err(PrefixError::NoLength);
        }
        Prefix::new(address, length.parse().map_err(|_| PrefixError::NoLength)?)
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Prefix { address, length } = *self;
        if length == width(address) {
            return address.fmt(f);
        }
        match f.width() {
            // Padded as one.
            Some(_) => f.pad(&format!("{address}/{length}")),
            None => write!(f, "{address}/{length}"),
        }
    }
}

/// Why something is no [`Prefix`].
///
/// ```
/// use ctrack::{Error, Prefix, PrefixError};
/// let error = "10.1.0.0/8".parse::<Prefix>().unwrap_err();
/// assert_eq!(error, PrefixError::BitsBehind { address: [10, 1, 0, 0].into(), length: 8 });
/// assert_eq!(error.to_string(), "10.1.0.0/8 has bits set behind the prefix");
/// // Functions that give an Error take it with `?`.
/// assert_eq!(Error::from(error).to_string(), "prefix: 10.1.0.0/8 has bits set behind the prefix");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PrefixError {
    /// It does not begin with an address.
    #[error("no IPv4 or IPv6 address")]
    NoAddress,
    /// What is behind the slash is not a number up to 255.
    #[error("no prefix length behind the slash")]
    NoLength,
    /// The length is larger than an address of the family is.
    #[error("prefix length {length} is larger than {width}")]
    TooLong {
        /// The length.
        length: u8,
        /// 32 or 128.
        width: u8,
    },
    /// Bits behind the prefix are set.
    #[error("{address}/{length} has bits set behind the prefix")]
    BitsBehind {
        /// The address.
        address: IpAddr,
        /// The prefix length.
        length: u8,
    },
}

/// One filter: what must hold of an entry. All fields that are not `None` (or empty, for status) must.
///
/// A plain struct, with a method for each field:
///
/// ```
/// use ctrack::{Filter, Proto};
/// use std::net::Ipv4Addr;
/// let dns = Ipv4Addr::new(10, 96, 0, 10);
/// let filter = Filter::new().with_proto(Proto::UDP).with_orig_dst(dns).with_orig_dport(53);
/// let the_same = Filter {
///     proto: Some(Proto::UDP),
///     orig_dst: Some(dns.into()),
///     orig_dport: Some(53..=53),
///     ..Filter::default()
/// };
/// assert_eq!(filter, the_same);
/// ```
///
/// Several filters together select what at least one of them matches, less what those match that are [`excluding`]. In zone 5,
/// all but what is marked 7, and what one peer's clients began:
///
/// ```
/// use ctrack::{Filter, Prefix, Selection};
/// let clients: Prefix = "192.0.2.0/24".parse()?;
/// let zone = Filter::new().with_zone(5);
/// let spared = [zone.clone().with_mark(7), zone.clone().with_orig_src(clients)];
/// let filters: Vec<Filter> = [zone].into_iter().chain(spared.map(Filter::excluding)).collect();
/// Selection::new(&filters)?;
/// # Ok::<(), ctrack::Error>(())
/// ```
///
/// Established flows of TCP that were translated on their way to a range of ports, and are not offloaded:
///
/// ```
/// use ctrack::{Family, Filter, Proto, Status, TcpState};
/// let filter = Filter::new()
///     .with_family(Family::IPV4)
///     .with_proto(Proto::TCP)
///     .with_orig_dports(30000..=32767)
///     .with_tcp_states(TcpState::ESTABLISHED)
///     .with_status_set(Status::DST_NAT)
///     .with_status_clear(Status::OFFLOAD | Status::HW_OFFLOAD);
/// # ctrack::Selection::new(&[filter])?;
/// # Ok::<(), ctrack::Error>(())
/// ```
///
/// What a server at port 8080 answered to clients at high ports, from which they called, tracked by a helper:
///
/// ```
/// use ctrack::{Filter, Prefix, Proto};
/// let server: Prefix = "10.0.0.8".parse()?;
/// let clients: Prefix = "10.0.0.0/16".parse()?;
/// let filter = Filter::new()
///     .with_proto(Proto::TCP)
///     .with_orig_sports(1024..=65535)
///     .with_reply_src(server)
///     .with_reply_sport(8080)
///     .with_reply_dst(clients)
///     .with_reply_dports(1024..=65535)
///     .with_helper("ftp");
/// # ctrack::Selection::new(&[filter])?;
/// # Ok::<(), ctrack::Error>(())
/// ```
///
/// An echo request with one identifier, whose original direction alone is in a zone:
///
/// ```
/// use ctrack::{Filter, Proto};
/// let ping = Filter::new().with_proto(Proto::ICMP).with_icmp_type(8).with_icmp_code(0).with_icmp_id(4711);
/// let ping = ping.with_orig_zone(5).with_reply_zone(0);
/// # ctrack::Selection::new(&[ping])?;
/// # Ok::<(), ctrack::Error>(())
/// ```
///
/// One flow, by all that it was when it was listed, and with its second label set:
///
/// ```
/// use ctrack::{Filter, Masked, Proto};
/// let second = [0b10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// let filter = Filter::new()
///     .with_id(4711)
///     .with_proto(Proto::UDP)
///     .with_orig_sport(4000)
///     .with_reply_sports(53..=53)
///     .with_reply_dport(4000)
///     .with_labels(Masked { value: second, mask: second });
/// # ctrack::Selection::new(&[filter])?;
/// # Ok::<(), ctrack::Error>(())
/// ```
///
/// [`excluding`]: Filter::excluding
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

/// Methods that each return the filter with another field.
macro_rules! with {
    ($($(#[doc = $doc:literal])* $method:ident($argument:ident: $type:ty) { $field:ident = $value:expr })*) => {
        impl Filter { $(
            $(#[doc = $doc])*
            #[must_use]
            pub fn $method(self, $argument: $type) -> Filter {
                Filter { $field: $value, ..self }
            }
        )* }
    };
}

with! {
    /// Of this family.
    with_family(family: Family) { family = Some(family) }
    /// Of this protocol.
    with_proto(proto: Proto) { proto = Some(proto) }
    /// In this zone in either direction; 0: in no zone.
    with_zone(zone: u16) { zone = Some(zone) }
    /// In this zone in the original direction: see [`Filter::orig_zone`].
    with_orig_zone(zone: u16) { orig_zone = Some(zone) }
    /// In this zone in the reply direction: see [`Filter::reply_zone`].
    with_reply_zone(zone: u16) { reply_zone = Some(zone) }
    /// With this id: see [`Filter::id`].
    with_id(id: u32) { id = Some(id) }
    /// With this mark, or with these bits of it.
    with_mark(mark: impl Into<Masked<u32>>) { mark = Some(mark.into()) }
    /// With all of these status bits.
    with_status_set(status: Status) { status_set = status }
    /// With none of these status bits.
    with_status_clear(status: Status) { status_clear = status }
    /// From this address, or from one of this prefix.
    with_orig_src(address: impl Into<Prefix>) { orig_src = Some(address.into()) }
    /// To this address, as it was before NAT, or to one of this prefix.
    with_orig_dst(address: impl Into<Prefix>) { orig_dst = Some(address.into()) }
    /// Answered by this address, or by one of this prefix.
    with_reply_src(address: impl Into<Prefix>) { reply_src = Some(address.into()) }
    /// Answered to this address, or to one of this prefix.
    with_reply_dst(address: impl Into<Prefix>) { reply_dst = Some(address.into()) }
    /// From this port. The protocol must be given too, and have ports; so with all ports.
    with_orig_sport(port: u16) { orig_sport = Some(port..=port) }
    /// From one of these ports.
    with_orig_sports(ports: RangeInclusive<u16>) { orig_sport = Some(ports) }
    /// To this port.
    with_orig_dport(port: u16) { orig_dport = Some(port..=port) }
    /// To one of these ports.
    with_orig_dports(ports: RangeInclusive<u16>) { orig_dport = Some(ports) }
    /// Answered from this port.
    with_reply_sport(port: u16) { reply_sport = Some(port..=port) }
    /// Answered from one of these ports.
    with_reply_sports(ports: RangeInclusive<u16>) { reply_sport = Some(ports) }
    /// Answered to this port.
    with_reply_dport(port: u16) { reply_dport = Some(port..=port) }
    /// Answered to one of these ports.
    with_reply_dports(ports: RangeInclusive<u16>) { reply_dport = Some(ports) }
    /// With this type of ICMP or ICMPv6.
    with_icmp_type(icmp_type: u8) { icmp_type = Some(icmp_type) }
    /// With this code of ICMP or ICMPv6.
    with_icmp_code(icmp_code: u8) { icmp_code = Some(icmp_code) }
    /// With this identifier of ICMP or ICMPv6.
    with_icmp_id(icmp_id: u16) { icmp_id = Some(icmp_id) }
    /// In this state of TCP, or in one of these.
    with_tcp_states(states: impl Into<TcpStates>) { tcp_states = Some(states.into()) }
    /// With exactly these labels, or with these bits of them.
    with_labels(labels: impl Into<Masked<[u8; 16]>>) { labels = Some(labels.into()) }
    /// With this helper.
    with_helper(name: impl Into<String>) { helper = Some(name.into()) }
}

impl Filter {
    /// A filter that matches every entry.
    pub fn new() -> Filter {
        Filter::default()
    }

    /// As a filter that excludes what it matches.
    #[must_use]
    pub fn excluding(self) -> Filter {
        Filter { exclude: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_reads_what_it_writes() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "10.0.0.7", "255.255.255.255", "128.0.0.0/1", "10.0.0.6/31"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        for text in ["fd00::/8", "::/0", "::1", "8000::/1", "2001:db8::/127", "::ffff:0.0.0.0/96"] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), text);
        }
        for (text, address) in [("10.0.0.7/32", "10.0.0.7"), ("::1/128", "::1")] {
            let (full, alone): (Prefix, Prefix) = (text.parse().unwrap(), address.parse().unwrap());
            assert_eq!((full, full.to_string().as_str()), (alone, address));
        }
        let pods = Prefix::new([10, 0, 0, 0].into(), 8).unwrap();
        assert_eq!(format!("{pods:>12}|{pods:<12}|"), "  10.0.0.0/8|10.0.0.0/8  |");
    }

    /// A new field does not compile here until it is named; what it is named for is its method.
    #[test]
    fn every_field_has_a_method_that_sets_it_and_no_other() {
        let host = Prefix::from(Ipv4Addr::new(10, 0, 0, 7));
        let label = [1; 16];
        let Filter {
            exclude,
            family,
            proto,
            zone,
            orig_zone,
            reply_zone,
            id,
            mark,
            status_set,
            status_clear,
            orig_src,
            orig_dst,
            reply_src,
            reply_dst,
            orig_sport,
            orig_dport,
            reply_sport,
            reply_dport,
            icmp_type,
            icmp_code,
            icmp_id,
            tcp_states,
            labels,
            helper,
        } = Filter::new();
        let set = |filter: Filter, own: Filter| assert_eq!(filter, own);
        let none = Filter::new;
        set(none().excluding(), Filter { exclude: !exclude, ..none() });
        set(none().with_family(Family::IPV6), Filter { family: family.or(Some(Family::IPV6)), ..none() });
        set(none().with_proto(Proto::UDP), Filter { proto: proto.or(Some(Proto::UDP)), ..none() });
        set(none().with_zone(1), Filter { zone: zone.or(Some(1)), ..none() });
        set(none().with_orig_zone(2), Filter { orig_zone: orig_zone.or(Some(2)), ..none() });
        set(none().with_reply_zone(3), Filter { reply_zone: reply_zone.or(Some(3)), ..none() });
        set(none().with_id(4), Filter { id: id.or(Some(4)), ..none() });
        set(none().with_mark(5), Filter { mark: mark.or(Some(Masked { value: 5, mask: !0 })), ..none() });
        set(none().with_status_set(Status::ASSURED), Filter { status_set: status_set | Status::ASSURED, ..none() });
        set(none().with_status_clear(Status::DYING), Filter { status_clear: status_clear | Status::DYING, ..none() });
        set(none().with_orig_src(host), Filter { orig_src: orig_src.or(Some(host)), ..none() });
        set(none().with_orig_dst(host), Filter { orig_dst: orig_dst.or(Some(host)), ..none() });
        set(none().with_reply_src(host), Filter { reply_src: reply_src.or(Some(host)), ..none() });
        set(none().with_reply_dst(host), Filter { reply_dst: reply_dst.or(Some(host)), ..none() });
        set(none().with_orig_sport(6), Filter { orig_sport: orig_sport.clone().or(Some(6..=6)), ..none() });
        set(none().with_orig_sports(6..=7), Filter { orig_sport: orig_sport.or(Some(6..=7)), ..none() });
        set(none().with_orig_dport(8), Filter { orig_dport: orig_dport.clone().or(Some(8..=8)), ..none() });
        set(none().with_orig_dports(8..=9), Filter { orig_dport: orig_dport.or(Some(8..=9)), ..none() });
        set(none().with_reply_sport(1), Filter { reply_sport: reply_sport.clone().or(Some(1..=1)), ..none() });
        set(none().with_reply_sports(1..=2), Filter { reply_sport: reply_sport.or(Some(1..=2)), ..none() });
        set(none().with_reply_dport(3), Filter { reply_dport: reply_dport.clone().or(Some(3..=3)), ..none() });
        set(none().with_reply_dports(3..=4), Filter { reply_dport: reply_dport.or(Some(3..=4)), ..none() });
        set(none().with_icmp_type(8), Filter { icmp_type: icmp_type.or(Some(8)), ..none() });
        set(none().with_icmp_code(9), Filter { icmp_code: icmp_code.or(Some(9)), ..none() });
        set(none().with_icmp_id(10), Filter { icmp_id: icmp_id.or(Some(10)), ..none() });
        let closed = Some(TcpStates::CLOSE);
        set(none().with_tcp_states(TcpState::CLOSE), Filter { tcp_states: tcp_states.or(closed), ..none() });
        let labelled = Some(Masked { value: label, mask: [0xff; 16] });
        set(none().with_labels(label), Filter { labels: labels.or(labelled), ..none() });
        set(none().with_helper("ftp"), Filter { helper: helper.or(Some("ftp".into())), ..none() });
    }

    #[test]
    fn what_is_no_prefix_is_refused_with_the_reason() {
        for text in ["", "/8", "10.0.0/8", "10.0.0.0.0", "host/8", " 10.0.0.0/8", "fe80::1%eth0"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError::NoAddress), "{text}");
        }
        for text in ["10.0.0.0/", "10.0.0.0/8/", "10.0.0.0/+8", "10.0.0.0/08", "10.0.0.0/-1", "10.0.0.0/256", "::/ 8"] {
            assert_eq!(text.parse::<Prefix>(), Err(PrefixError::NoLength), "{text}");
        }
        for (text, reason) in [
            ("10.0.0.0/33", "prefix length 33 is larger than 32"),
            ("::/129", "prefix length 129 is larger than 128"),
            ("10.0.0.1/31", "10.0.0.1/31 has bits set behind the prefix"),
            ("10.0.0.1/0", "10.0.0.1/0 has bits set behind the prefix"),
            ("fd00::1/127", "fd00::1/127 has bits set behind the prefix"),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap_err().to_string(), reason);
        }
    }

    #[test]
    fn a_prefix_that_is_refused_here_is_refused_as_a_filter_with_the_same_words() {
        for (address, length) in [([10, 0, 0, 1], 31), ([10, 0, 0, 0], 33), ([0, 0, 0, 1], 0)] {
            let reason = Prefix::new(address.into(), length).unwrap_err().to_string();
            let filter = Filter::new().with_orig_src(Prefix { address: address.into(), length });
            let error = ctrack::Selection::new(&[filter]).unwrap_err();
            assert_eq!(error.to_string(), format!("filter[0].orig_src: {reason}"));
        }
    }

    #[test]
    fn a_prefix_of_an_address_alone_is_as_long_as_its_family_has_bits() {
        for address in ["10.0.0.1", "fd00::1"] {
            let ip: IpAddr = address.parse().unwrap();
            let (made, length) = match ip {
                IpAddr::V4(v4) => (Prefix::from(v4), 32),
                IpAddr::V6(v6) => (Prefix::from(v6), 128),
            };
            assert_eq!((made, made.length, Ok(made)), (ip.into(), length, (ip, length).try_into()));
            assert!(Prefix::try_from((ip, length + 1)).is_err());
        }
    }
}
