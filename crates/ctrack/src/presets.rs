//! Ready-made filters, by what happened: an endpoint died, a service changed, everything is to go but some.
//!
//! Nothing here makes a filter that matches everything, nor one that silently matches nothing: an empty list is refused, and so
//! are addresses that stand for others. 0.0.0.0 and `::` do not mean "any address" in an entry (zero is a value, never a
//! wildcard): [`port_on_any_address`] is for that. To narrow what is made here, set more fields of it, such as the zone.

use crate::error::{text, Error};
use crate::filter::{Filter, Prefix};
use crate::selection::Selection;
use ctnetlink::types::*;
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// Everything that these addresses began or answer: pods, containers, machines that are gone. Two filters for each.
///
/// ```
/// let filters = ctrack::presets::dead_endpoint(&["10.0.0.7".parse()?])?;
/// assert_eq!(filters.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn dead_endpoint(addresses: &[IpAddr]) -> Result<Vec<Filter>, Error> {
    if addresses.is_empty() {
        return Err(Error::invalid("addresses", "none given"));
    }
    let mut filters = room(2 * addresses.len())?;
    for (index, &address) in addresses.iter().enumerate() {
        let host = Some(check(&|| at("addresses", index), address, "name the endpoint's own address")?);
        filters.push(Filter { orig_src: host, ..Filter::default() });
        filters.push(Filter { reply_src: host, ..Filter::default() });
    }
    Ok(filters)
}

/// The flows of a service that are not answered by one of its live endpoints; without a live endpoint all of its flows.
///
/// `address`: the service as clients call it, before NAT. The protocol must have ports.
///
/// ```
/// use ctrack::{presets, Proto};
/// let live = ["10.0.0.8:5353".parse()?, "10.0.0.9:5353".parse()?];
/// let filters = presets::changed_service(Proto::UDP, "10.96.0.10:53".parse()?, &live)?;
/// assert_eq!(filters.iter().filter(|filter| filter.exclude).count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn changed_service(proto: Proto, address: SocketAddr, live: &[SocketAddr]) -> Result<Vec<Filter>, Error> {
    const ELSE: &str = "for a port on any address use port_on_any_address()";
    let host = check_socket(&|| "address".into(), address, ELSE)?;
    let family = if address.is_ipv4() { Family::IPV4 } else { Family::IPV6 };
    of_service(Filter { orig_dst: Some(host), ..Filter::default() }, proto, address.port(), Some(family), live)
}

/// The flows that were begun to this port, whatever the address: a NodePort, a port of the host. With live endpoints only those
/// that none of them answers.
///
/// That is all that the table knows of the port, also what is only forwarded to the same port of somebody else: where that
/// can be, set more fields, such as `status_set: Status::DST_NAT` for what is translated here.
///
/// `family`: of these flows only. It must be given if the live endpoints are of one family, since no flow of the other one is
/// answered by them.
///
/// ```
/// use ctrack::{presets, Family, Proto, Status};
/// let live = ["10.0.0.8:8080".parse()?];
/// let mut filters = presets::port_on_any_address(Proto::TCP, 30080, Some(Family::IPV4), &live)?;
/// // Only what is translated on this machine.
/// for filter in &mut filters {
///     filter.status_set = Status::DST_NAT;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn port_on_any_address(
    proto: Proto,
    port: u16,
    family: Option<Family>,
    live: &[SocketAddr],
) -> Result<Vec<Filter>, Error> {
    of_service(Filter { family, ..Filter::default() }, proto, port, family, live)
}

/// Direction of the traffic that a rule lets through, seen from the port that it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Towards the port: others began the flows.
    Ingress,
    /// From the port: it began the flows.
    Egress,
}

/// The flows that a rule of a security group let through, one that was withdrawn: one filter for each other end.
///
/// `zone`: of the port; it always counts, since other ports may have the same addresses, and 0 are entries without any zone. `own`:
/// the port's address, or the network that all its addresses are in. `others`: for ingress who began, for egress who was called;
/// `None`: the rule is for every other end. An empty list is refused, so that a group that lost its last member does not become
/// everybody. Protocol, mark and ports of the rule are set in the filters afterwards.
///
/// ```
/// use ctrack::presets::{self, Direction};
/// use ctrack::Proto;
/// let members = ["192.0.2.0/24".parse()?];
/// let filters = presets::rule(Direction::Ingress, 5, "10.0.0.7".parse()?, Some(&members))?;
/// let filters: Vec<_> = filters.into_iter().map(|filter| filter.with_proto(Proto::TCP)).collect();
/// assert_eq!(filters.len(), 1);
/// # Ok::<(), ctrack::Error>(())
/// ```
pub fn rule(direction: Direction, zone: u16, own: Prefix, others: Option<&[Prefix]>) -> Result<Vec<Filter>, Error> {
    let of = |own, other| {
        let (orig_src, orig_dst) = match direction {
            Direction::Ingress => (other, Some(own)),
            Direction::Egress => (Some(own), other),
        };
        Filter { zone: Some(zone), orig_src, orig_dst, ..Filter::default() }
    };
    const ANY: &str = "give the prefix length 0";
    let own = check_net(&|| "own".into(), own, ANY)?;
    let Some(others) = others else {
        let mut filters = room(1)?;
        filters.push(of(own, None));
        return sound(filters);
    };
    if others.is_empty() {
        return Err(Error::invalid("others", "none given; for every other end give None"));
    }
    let mut filters = room(others.len())?;
    for (index, &other) in others.iter().enumerate() {
        filters.push(of(own, Some(check_net(&|| at("others", index), other, ANY)?)));
    }
    sound(filters)
}

/// One including filter for a service, one excluding filter for each live endpoint.
fn of_service(
    service: Filter,
    proto: Proto,
    port: u16,
    family: Option<Family>,
    live: &[SocketAddr],
) -> Result<Vec<Filter>, Error> {
    let service = Filter { proto: Some(proto), orig_dport: Some(port..=port), ..service };
    let one = live.first().filter(|first| live.iter().all(|other| other.is_ipv4() == first.is_ipv4()));
    if let (Some(_), None) = (one, family) {
        let reason = "are of one family only, so that all flows of the other one would be taken; give the family";
        return Err(Error::invalid("live", reason));
    }
    let mut filters = room(1 + live.len())?;
    filters.push(service.clone());
    for (index, &endpoint) in live.iter().enumerate() {
        let source = check_socket(&|| at("live", index), endpoint, "name the endpoint's own address")?;
        filters.push(Filter {
            exclude: true,
            reply_src: Some(source),
            reply_sport: Some(endpoint.port()..=endpoint.port()),
            ..service.clone()
        });
    }
    sound(filters)
}

/// Filters that together match every entry, for [`everything_but`].
///
/// ```
/// use ctrack::{presets, Filter};
/// let all_but_host_zone = presets::everything_but(&presets::whole_table(), &[Filter::new().with_zone(0)])?;
/// # Ok::<(), ctrack::Error>(())
/// ```
pub fn whole_table() -> [Filter; 2] {
    [Family::IPV4, Family::IPV6].map(|family| Filter { family: Some(family), ..Filter::default() })
}

/// Everything within some filters but what others match: in zone 5 all but the flows to one peer; of the [`whole_table`] all
/// but a zone.
///
/// Both must be given, and must be including filters that limit something. A filter to spare that matched nothing would
/// spare nothing, so an unspecified address, and an IPv4 address in IPv6, is refused in all of them.
///
/// ```
/// use ctrack::{presets, Filter};
/// let zone = Filter::new().with_zone(5);
/// let peer = zone.clone().with_orig_dst(std::net::Ipv4Addr::new(192, 0, 2, 9));
/// let filters = presets::everything_but(&[zone.clone()], &[peer.clone()])?;
/// assert_eq!(filters, [zone, peer.excluding()]);
/// # Ok::<(), ctrack::Error>(())
/// ```
pub fn everything_but(within: &[Filter], spared: &[Filter]) -> Result<Vec<Filter>, Error> {
    for (name, given) in [("within", within), ("spared", spared)] {
        if given.is_empty() {
            return Err(Error::invalid(name, "none given"));
        }
        for (index, filter) in given.iter().enumerate() {
            if filter.exclude {
                return Err(Error::invalid(at(name, index), "is an excluding filter; give what it matches"));
            }
            for prefix in [filter.orig_src, filter.orig_dst, filter.reply_src, filter.reply_dst].into_iter().flatten() {
                check_net(&|| at(name, index), prefix, "leave the field out, or give the prefix length 0")?;
            }
        }
    }
    let mut filters = room(within.len() + spared.len())?;
    filters.extend_from_slice(within);
    filters.extend(spared.iter().map(|filter| Filter { exclude: true, ..filter.clone() }));
    sound(filters)
}

fn room(count: usize) -> Result<Vec<Filter>, Error> {
    let mut filters = Vec::new();
    filters.try_reserve_exact(count).map_err(|_| Error::NoMemory { op: "filter" })?;
    Ok(filters)
}

/// The filters, if a delete would take them.
fn sound(filters: Vec<Filter>) -> Result<Vec<Filter>, Error> {
    Selection::new(&filters)?.refuse_everything()?;
    Ok(filters)
}

fn at(name: &'static str, index: usize) -> Cow<'static, str> {
    text(name, format_args!("{name}[{index}]"))
}

/// An address as an entry can have it. `instead`: what to do where any address was meant.
fn check(place: &dyn Fn() -> Cow<'static, str>, address: IpAddr, instead: &str) -> Result<Prefix, Error> {
    specified(place, address, instead)?;
    match address {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            let reason = format_args!("{address} is an IPv4 address in IPv6; give the IPv4 address");
            Err(Error::invalid(place(), text("is an IPv4 address in IPv6", reason)))
        }
        _ => Ok(address.into()),
    }
}

/// Addresses as entries can have them.
fn check_net(place: &dyn Fn() -> Cow<'static, str>, net: Prefix, instead: &str) -> Result<Prefix, Error> {
    match net.address {
        IpAddr::V4(_) if net.length == 32 => check(place, net.address, instead),
        // An IPv4 address in IPv6 has 96 bits before it.
        IpAddr::V6(_) if net.length == 128 => check(place, net.address, instead),
        IpAddr::V6(v6) if net.length >= 96 && v6.to_ipv4_mapped().is_some() => check(place, net.address, instead),
        _ => Ok(net),
    }
}

fn specified(place: &dyn Fn() -> Cow<'static, str>, address: IpAddr, instead: &str) -> Result<(), Error> {
    if address.is_unspecified() {
        let reason = format_args!("{address} does not mean any address; {instead}");
        return Err(Error::invalid(place(), text("does not mean any address", reason)));
    }
    Ok(())
}

fn check_socket(place: &dyn Fn() -> Cow<'static, str>, at: SocketAddr, instead: &str) -> Result<Prefix, Error> {
    match at {
        SocketAddr::V6(v6) if v6.scope_id() != 0 => {
            Err(Error::invalid(place(), "has a scope, and the connection-tracking table knows none"))
        }
        _ => check(place, at.ip(), instead),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn end(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn net(text: &str) -> Prefix {
        text.parse().unwrap()
    }

    fn zone(zone: u16) -> Filter {
        Filter { zone: Some(zone), ..Filter::default() }
    }

    fn refusal(made: Result<Vec<Filter>, Error>) -> String {
        let error = made.unwrap_err();
        assert_eq!(error.errno(), libc::EINVAL);
        error.to_string()
    }

    /// An entry from `src` to `dst`, answered by `from`.
    fn flow(src: &str, dst: &str, from: &str) -> Entry {
        let (src, dst, from) = (end(src), end(dst), end(from));
        let mut entry = Entry::key(Proto::UDP, src.ip(), src.port(), dst.ip(), dst.port()).unwrap();
        entry.has |= Has::REPLY;
        entry.reply = Tuple { src: address_bytes(from.ip()), dst: entry.orig.src, ..Tuple::EMPTY };
        (entry.reply.sport, entry.reply.dport) = (from.port(), src.port());
        entry
    }

    #[test]
    fn an_unspecified_address_is_refused_with_what_to_use_instead() {
        for any in ["0.0.0.0", "::"] {
            let socket = SocketAddr::new(ip(any), 80);
            let host: Prefix = ip(any).into();
            let filter = Filter { orig_dst: Some(host), ..Filter::default() };
            for (made, instead) in [
                (dead_endpoint(&[ip(any)]), "own address"),
                (changed_service(Proto::UDP, socket, &[]), "use port_on_any_address()"),
                (changed_service(Proto::UDP, end("10.0.0.1:80"), &[socket]), "own address"),
                (port_on_any_address(Proto::UDP, 80, Some(Family::IPV4), &[socket]), "own address"),
                (everything_but(&whole_table(), std::slice::from_ref(&filter)), "leave the field out"),
                (everything_but(&[filter], &[zone(5)]), "leave the field out"),
                (rule(Direction::Ingress, 5, host, None), "give the prefix length 0"),
                (rule(Direction::Egress, 5, ip("10.0.0.1").into(), Some(&[host])), "give the prefix length 0"),
            ] {
                let refusal = refusal(made);
                assert!(refusal.contains(&format!("{any} does not mean any address; ")), "{refusal}");
                assert!(refusal.contains(instead), "{refusal}");
            }
        }
    }

    #[test]
    fn every_ipv4_or_every_ipv6_address_is_a_prefix_and_no_unspecified_address() {
        for any in ["0.0.0.0", "::"] {
            for length in [0, 1, 31] {
                let from = Filter { orig_src: Some(Prefix { address: ip(any), length }), ..Filter::default() };
                assert!(everything_but(&[from], &[zone(5)]).is_ok());
            }
        }
    }

    #[test]
    fn addresses_that_the_table_has_otherwise_and_empty_lists_are_refused() {
        let mapped = ip("::ffff:10.0.0.1");
        let scoped = end("[fe80::1%3]:80");
        let excluding = Filter { exclude: true, ..zone(5) };
        for (made, why) in [
            (dead_endpoint(&[]), "addresses: none given"),
            (dead_endpoint(&[ip("10.0.0.1"), mapped]), "addresses[1]: ::ffff:10.0.0.1 is an IPv4 address in IPv6"),
            (changed_service(Proto::UDP, scoped, &[]), "address: has a scope"),
            (changed_service(Proto::UDP, end("[fd00::1]:80"), &[scoped]), "live[0]: has a scope"),
            (changed_service(Proto::UDP, end("[fd00::1]:80"), &[end("10.0.0.1:1")]), "another family"),
            (changed_service(Proto::ICMP, end("10.0.0.1:80"), &[]), "ports"),
            (port_on_any_address(Proto(253), 80, None, &[]), "ports"),
            (port_on_any_address(Proto::UDP, 80, None, &[end("10.0.0.1:1")]), "live: are of one family only"),
            (port_on_any_address(Proto::UDP, 80, Some(Family::IPV6), &[end("10.0.0.1:1")]), "another family"),
            (rule(Direction::Ingress, 5, net("10.0.0.0/8"), Some(&[])), "others: none given"),
            (
                rule(Direction::Ingress, 5, net("::ffff:10.0.0.0/104"), None),
                "own: ::ffff:10.0.0.0 is an IPv4 address in IPv6",
            ),
            (rule(Direction::Egress, 5, net("10.0.0.0/8"), Some(&[net("fd00::/8")])), "another family"),
            (everything_but(&[], &[zone(5)]), "within: none given"),
            (everything_but(&whole_table(), &[]), "spared: none given"),
            (everything_but(&whole_table(), std::slice::from_ref(&excluding)), "spared[0]: is an excluding filter"),
            (everything_but(&[excluding], &[zone(5)]), "within[0]: is an excluding filter"),
            (
                everything_but(&whole_table(), &[Filter { orig_src: Some(mapped.into()), ..Filter::default() }]),
                "spared[0]: ::ffff:10.0.0.1 is an IPv4 address in IPv6",
            ),
            (everything_but(&[Filter::default()], &[zone(5)]), "matches every entry"),
            (everything_but(&[zone(5)], &[Filter::default()]), "excludes everything"),
        ] {
            let refusal = refusal(made);
            assert!(refusal.contains(why), "{refusal:?} does not say {why:?}");
        }
    }

    #[test]
    fn a_port_on_any_address_takes_the_flows_that_no_live_endpoint_answers() {
        let taken = |filters: Vec<Filter>, entry: &Entry| Selection::new(&filters).unwrap().selects(entry);
        let live = [end("10.0.0.1:8080"), end("[fd00::1]:8080")];
        let flows = [
            flow("192.0.2.1:1", "192.0.2.9:30053", "10.0.0.1:8080"),
            flow("192.0.2.1:2", "127.0.0.1:30053", "10.0.0.2:8080"),
            flow("[2001:db8::1]:1", "[2001:db8::9]:30053", "[fd00::1]:8080"),
            flow("[2001:db8::1]:2", "[::1]:30053", "[fd00::1]:8081"),
            flow("192.0.2.1:30053", "192.0.2.9:53", "10.0.0.3:30053"),
        ];
        let of = |family, live: &[SocketAddr]| {
            let filters = port_on_any_address(Proto::UDP, 30053, family, live).unwrap();
            flows.each_ref().map(|flow| taken(filters.clone(), flow))
        };
        assert_eq!(of(None, &[]), [true, true, true, true, false]);
        assert_eq!(of(None, &live), [false, true, false, true, false]);
        assert_eq!(of(Some(Family::IPV4), &live[..1]), [false, true, false, false, false]);
        assert_eq!(of(Some(Family::IPV6), &[]), [false, false, true, true, false]);
    }

    #[test]
    fn everything_but_spares_what_it_is_told_and_keeps_within() {
        let peer = Filter { orig_dst: Some(ip("192.0.2.9").into()), ..Filter::default() };
        let to_peer = flow("192.0.2.1:1", "192.0.2.9:1", "192.0.2.9:1");
        let other = flow("192.0.2.1:1", "192.0.2.8:1", "192.0.2.8:1");
        let v6 = flow("[fd00::1]:1", "[fd00::2]:1", "[fd00::2]:1");
        let all = [to_peer.in_zone(5), other.in_zone(5), other, v6, v6.in_zone(5)];
        let of = |within: &[Filter], spared: &[Filter]| {
            let selection = Selection::new(&everything_but(within, spared).unwrap()).unwrap();
            all.each_ref().map(|entry| selection.selects(entry))
        };
        assert_eq!(of(&[zone(5)], std::slice::from_ref(&peer)), [false, true, false, false, true]);
        assert_eq!(of(&whole_table(), &[zone(5)]), [false, false, true, true, false]);
        assert_eq!(of(&whole_table(), &[peer, zone(0)]), [false, true, false, false, true]);
    }

    #[test]
    fn a_withdrawn_rule_takes_its_flows_in_its_zone_and_direction_and_nothing_else() {
        let in_ = flow("192.0.2.1:1", "10.0.0.7:80", "10.0.0.7:80");
        let elsewhere = flow("198.51.100.1:1", "10.0.0.7:80", "10.0.0.7:80");
        let out = flow("10.0.0.7:80", "192.0.2.1:1", "192.0.2.1:1");
        let other_port = flow("192.0.2.1:1", "10.0.0.8:80", "10.0.0.8:80");
        let all = [in_.in_zone(5), in_, in_.in_zone(6), elsewhere.in_zone(5), out.in_zone(5), other_port.in_zone(5)];
        let of = |direction, others: Option<&[Prefix]>| {
            let filters = rule(direction, 5, net("10.0.0.7"), others).unwrap();
            all.each_ref().map(|entry| Selection::new(&filters).unwrap().selects(entry))
        };
        let members = [net("192.0.2.0/24"), net("203.0.113.1")];
        assert_eq!(of(Direction::Ingress, Some(&members)), [true, false, false, false, false, false]);
        assert_eq!(of(Direction::Ingress, None), [true, false, false, true, false, false]);
        assert_eq!(of(Direction::Egress, Some(&members)), [false, false, false, false, true, false]);
        assert_eq!(of(Direction::Egress, None), [false, false, false, false, true, false]);
        assert_eq!(of(Direction::Ingress, Some(&[net("0.0.0.0/0")])), of(Direction::Ingress, None));
        let to_all = [in_.in_zone(5), other_port.in_zone(5)];
        let filters = rule(Direction::Ingress, 5, net("0.0.0.0/0"), Some(&members)).unwrap();
        assert!(to_all.iter().all(|entry| Selection::new(&filters).unwrap().selects(entry)));
    }
}
