//! One filter in the compiled form that entries are matched against. Pure: no I/O.

use crate::error::text;
use crate::filter::{Filter, Prefix};
use ctnetlink::types::*;
use std::borrow::Cow;
use std::ffi::c_char;
use std::ops::RangeInclusive;

/// What is wrong with a field of a filter.
pub(crate) struct Fault {
    pub field: &'static str,
    pub reason: Cow<'static, str>,
}

fn fault(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Fault {
    Fault { field, reason: reason.into() }
}

/// Address and mask as numbers, most significant byte first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Net {
    pub value: u128,
    pub mask: u128,
}

impl Net {
    #[inline]
    fn contains(&self, address: &[u8; 16]) -> bool {
        u128::from_be_bytes(*address) & self.mask == self.value
    }
}

/// One filter, compiled. `None` and zero masks are conditions that always hold. Addresses and ports
/// in the order source and destination of the original, then of the reply direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Matcher {
    /// Bits that the entry must have for the filter to be able to hold.
    pub needs: Has,
    pub family: Option<Family>,
    pub proto: Option<Proto>,
    pub zone: Option<u32>,
    /// Of the original and of the reply direction.
    pub zones: [Option<u32>; 2],
    pub id: Option<u32>,
    /// Value and mask.
    pub mark: (u32, u32),
    /// Value and mask.
    pub status: (u32, u32),
    pub nets: [Option<Net>; 4],
    /// First and last.
    pub ports: [Option<(u16, u16)>; 4],
    /// Type, code, id.
    pub icmp: (Option<u8>, Option<u8>, Option<u16>),
    pub tcp_states: Option<u16>,
    /// Value and mask.
    pub labels: (u128, u128),
    pub helper: Option<[c_char; 16]>,
    /// Whether it has conditions that few filters have: [`Matcher::matches_rest`].
    pub rest: bool,
}

/// The conditions of a filter on what changes while an entry lives, as in [`Matcher`].
#[derive(Default, PartialEq)]
pub(crate) struct Changing {
    status: (u32, u32),
    mark: (u32, u32),
    tcp_states: Option<u16>,
    labels: (u128, u128),
    helper: Option<[c_char; 16]>,
}

const CONFIRMED: u32 = Status::CONFIRMED.bits();

/// The four addresses of an entry, in the order of [`Matcher::nets`].
pub(crate) fn addresses_of(e: &Entry) -> [&[u8; 16]; 4] {
    [&e.orig.src, &e.orig.dst, &e.reply.src, &e.reply.dst]
}

/// The four ports of an entry, in the order of [`Matcher::ports`].
pub(crate) fn ports_of(e: &Entry) -> [u16; 4] {
    [e.orig.sport, e.orig.dport, e.reply.sport, e.reply.dport]
}

/// A field of a filter that nothing here looks at would be no condition. One that is not named here does not compile: what it says
/// belongs into [`Matcher::new`] and [`Matcher::matches`].
fn nothing_forgotten(filter: &Filter) {
    let Filter {
        exclude: _,
        family: _,
        proto: _,
        zone: _,
        orig_zone: _,
        reply_zone: _,
        id: _,
        mark: _,
        status_set: _,
        status_clear: _,
        orig_src: _,
        orig_dst: _,
        reply_src: _,
        reply_dst: _,
        orig_sport: _,
        orig_dport: _,
        reply_sport: _,
        reply_dport: _,
        icmp_type: _,
        icmp_code: _,
        icmp_id: _,
        tcp_states: _,
        labels: _,
        helper: _,
    } = filter;
}

impl Matcher {
    pub fn new(filter: &Filter) -> Result<Matcher, Fault> {
        nothing_forgotten(filter);
        let mut matcher = Matcher { proto: filter.proto, id: filter.id, ..Matcher::default() };
        if filter.id.is_some() {
            matcher.needs |= Has::ID;
        }
        matcher.set_zones(filter)?;
        matcher.family = check_family(filter)?;
        for (net, (field, prefix)) in matcher.nets.iter_mut().zip(addresses(filter)) {
            *net = prefix.map(|prefix| check_prefix(field, prefix)).transpose()?;
        }
        for (ports, (field, range)) in matcher.ports.iter_mut().zip(port_ranges(filter)) {
            *ports = range.map(|range| check_ports(field, range, filter.proto)).transpose()?;
        }
        if matcher.ports.iter().any(Option::is_some) {
            matcher.needs |= Has::PORTS;
        }
        matcher.set_icmp(filter)?;
        matcher.set_meta(filter)?;
        let rest = Has::ICMP | Has::TCP_STATE | Has::HELPER | Has::ID;
        matcher.rest = matcher.needs.intersects(rest) || matcher.labels.1 != 0 || matcher.zones != [None; 2];
        Ok(matcher)
    }

    /// The zones, and those that follow from them: an entry has one zone at most, for both directions or for one.
    fn set_zones(&mut self, filter: &Filter) -> Result<(), Fault> {
        let [mut any, mut orig, mut reply] = [filter.zone, filter.orig_zone, filter.reply_zone];
        let wrong = |field| Err(fault(field, "no entry has this zone together with the filter's others"));
        match (orig, reply) {
            (None, None) => {}
            (Some(a), Some(b)) if a != b && a != 0 && b != 0 => return wrong("reply_zone"),
            (Some(0), Some(0)) => any = any.or(Some(0)),
            (a, b) => any = any.or([a, b].into_iter().flatten().find(|&zone| zone != 0)),
        }
        if let Some(zone) = any {
            for (field, own) in [("orig_zone", orig), ("reply_zone", reply)] {
                if own.is_some_and(|own| own != zone && own != 0) {
                    return wrong(field);
                }
            }
            match (orig, reply) {
                (Some(0), Some(0)) if zone != 0 => return wrong("zone"),
                (Some(0), None) => reply = Some(zone),
                (None, Some(0)) => orig = Some(zone),
                _ => {}
            }
        }
        self.zone = any.map(u32::from);
        self.zones = [orig, reply].map(|zone| zone.map(u32::from));
        Ok(())
    }

    fn set_icmp(&mut self, filter: &Filter) -> Result<(), Fault> {
        let field = match filter {
            Filter { icmp_type: Some(_), .. } => "icmp_type",
            Filter { icmp_code: Some(_), .. } => "icmp_code",
            Filter { icmp_id: Some(_), .. } => "icmp_id",
            _ => return Ok(()),
        };
        if !filter.proto.is_some_and(Proto::is_icmp) {
            return Err(fault(field, "needs the protocol ICMP or ICMPv6"));
        }
        self.needs |= Has::ICMP;
        self.icmp = (filter.icmp_type, filter.icmp_code, filter.icmp_id);
        Ok(())
    }

    fn set_meta(&mut self, filter: &Filter) -> Result<(), Fault> {
        if let Some(Masked { value, mask }) = filter.mark {
            if value & !mask != 0 {
                let reason =
                    text("has bits outside the mask", format_args!("{value:#x} has bits outside the mask {mask:#x}"));
                return Err(fault("mark", reason));
            }
            self.mark = (value, mask);
        }
        for (field, bits) in [("status_set", filter.status_set), ("status_clear", filter.status_clear)] {
            let unknown = bits.difference(Status::KNOWN);
            if !unknown.is_empty() {
                return Err(fault(
                    field,
                    text("unknown status bits", format_args!("unknown status bits {:#x}", unknown.bits())),
                ));
            }
        }
        if filter.status_set.intersects(filter.status_clear) {
            return Err(fault("status_clear", "wants bits clear that status_set wants set"));
        }
        self.status = (filter.status_set.bits(), (filter.status_set | filter.status_clear).bits());
        if let Some(states) = filter.tcp_states {
            if states.is_empty() || !states.difference(TcpStates::KNOWN).is_empty() {
                let reason =
                    text("is not a set of TCP states", format_args!("{:#x} is not a set of TCP states", states.bits()));
                return Err(fault("tcp_states", reason));
            }
            if filter.proto != Some(Proto::TCP) {
                return Err(fault("tcp_states", "needs the protocol TCP"));
            }
            self.needs |= Has::TCP_STATE;
            self.tcp_states = Some(states.bits());
        }
        if let Some(Masked { value, mask }) = filter.labels {
            let (value, mask) = (u128::from_ne_bytes(value), u128::from_ne_bytes(mask));
            if value & !mask != 0 {
                return Err(fault("labels", "has bits outside labels_mask"));
            }
            self.labels = (value, mask);
        }
        if let Some(name) = &filter.helper {
            self.helper = Some(helper_chars(name).ok_or_else(|| fault("helper", "not a name of 1 to 15 bytes"))?);
            self.needs |= Has::HELPER;
        }
        Ok(())
    }

    pub fn matches_everything(&self) -> bool {
        self.matches_all_but(Has::empty())
    }

    /// Whether what `needs` has beyond these bits, and all else, holds for every entry. With Has::ID: whether nothing but an id
    /// is wanted.
    pub fn matches_all_but(&self, ignored: Has) -> bool {
        // All are named: the compiler asks for each new one. Those without a name here need bits, or a family or protocol.
        let Matcher {
            needs,
            family,
            proto,
            zone,
            zones,
            mark,
            status,
            labels,
            id: _,
            nets: _,
            ports: _,
            icmp: _,
            tcp_states: _,
            helper: _,
            rest: _,
        } = self;
        needs.difference(ignored).is_empty()
            && family.is_none()
            && proto.is_none()
            && zone.is_none()
            && *zones == [None; 2]
            && mark.1 == 0
            // Every entry of the table is confirmed.
            && (*status == (0, 0) || mutant!("all-are-confirmed", *status == (CONFIRMED, CONFIRMED), false))
            && labels.1 == 0
    }

    /// Whether it depends on what changes while an entry lives.
    pub fn depends_on_changes(&self) -> bool {
        self.changing() != Changing::default()
    }

    /// What it asks of what can change while an entry lives.
    pub fn changing(&self) -> Changing {
        // All are named: the compiler asks for each new one. Those without a name never change while an entry lives.
        let Matcher {
            status,
            mark,
            tcp_states,
            labels,
            helper,
            needs: _,
            family: _,
            proto: _,
            zone: _,
            zones: _,
            id: _,
            nets: _,
            ports: _,
            icmp: _,
            rest: _,
        } = self;
        Changing {
            // Every entry of the table is confirmed, and stays so.
            status: mutant!("status-changes", (status.0 & !CONFIRMED, status.1 & !CONFIRMED), (0, 0)),
            mark: mutant!("mark-changes", *mark, (0, 0)),
            tcp_states: mutant!("tcp-state-changes", *tcp_states, None),
            labels: mutant!("labels-change", *labels, (0, 0)),
            helper: mutant!("helper-changes", *helper, None),
        }
    }

    pub fn asks_for_rare(&self) -> bool {
        self.labels.1 != 0 || self.helper.is_some()
    }

    #[inline]
    pub fn matches(&self, e: &Entry) -> bool {
        let in_nets = || self.nets.iter().zip(addresses_of(e)).all(|(net, at)| net.is_none_or(|net| net.contains(at)));
        let in_range = |range: &Option<(u16, u16)>, port| range.is_none_or(|(a, b)| (a..=b).contains(&port));
        let in_ports = || self.ports.iter().zip(ports_of(e)).all(|(range, port)| in_range(range, port));
        mutant!("match-needs", e.has.contains(self.needs), true)
            && mutant!("match-family", self.family.is_none_or(|family| family == e.family), true)
            && mutant!("match-proto", self.proto.is_none_or(|proto| proto == e.proto), true)
            && mutant!("match-zone", self.zone.is_none_or(|zone| zone == e.zone), true)
            && mutant!("match-mark", e.mark & self.mark.1 == self.mark.0, true)
            && mutant!("match-status", e.status.bits() & self.status.1 == self.status.0, true)
            && mutant!("match-addresses", in_nets(), true)
            && mutant!("match-ports", in_ports(), true)
            && (!self.rest || self.matches_rest(e))
    }

    /// One copy, called by the few filters that have such a condition.
    #[inline(never)]
    fn matches_rest(&self, e: &Entry) -> bool {
        mutant!("match-id", self.id.is_none_or(|id| id == e.id), true)
            && mutant!("match-orig-zone", self.zones[0].is_none_or(|zone| zone == e.orig.zone), true)
            && mutant!("match-reply-zone", self.zones[1].is_none_or(|zone| zone == e.reply.zone), true)
            && mutant!("match-icmp-type", self.icmp.0.is_none_or(|value| value == e.orig.icmp_type), true)
            && mutant!("match-icmp-code", self.icmp.1.is_none_or(|value| value == e.orig.icmp_code), true)
            && mutant!("match-icmp-id", self.icmp.2.is_none_or(|value| value == e.orig.icmp_id), true)
            && mutant!(
                "match-tcp-states",
                self.tcp_states.is_none_or(|states| states >> e.tcp_state.0.min(15) & 1 == 1),
                true
            )
            && mutant!("match-labels", u128::from_ne_bytes(e.labels) & self.labels.1 == self.labels.0, true)
            && mutant!("match-helper", self.helper.is_none_or(|name| name == e.helper), true)
    }
}

fn addresses(filter: &Filter) -> [(&'static str, Option<Prefix>); 4] {
    [
        ("orig_src", filter.orig_src),
        ("orig_dst", filter.orig_dst),
        ("reply_src", filter.reply_src),
        ("reply_dst", filter.reply_dst),
    ]
}

fn port_ranges(filter: &Filter) -> [(&'static str, Option<&RangeInclusive<u16>>); 4] {
    [
        ("orig_sport", filter.orig_sport.as_ref()),
        ("orig_dport", filter.orig_dport.as_ref()),
        ("reply_sport", filter.reply_sport.as_ref()),
        ("reply_dport", filter.reply_dport.as_ref()),
    ]
}

/// The family that the filter asks for, by itself or through its addresses.
fn check_family(filter: &Filter) -> Result<Option<Family>, Fault> {
    if let Some(family) = filter.family {
        if family != Family::IPV4 && family != Family::IPV6 {
            const NEITHER: &str = "is neither IPv4 nor IPv6";
            return Err(fault("family", text(NEITHER, format_args!("{} {NEITHER}", family.0))));
        }
    }
    let mut family = filter.family;
    for (field, prefix) in addresses(filter) {
        let Some(prefix) = prefix else { continue };
        let own = if prefix.address.is_ipv4() { Family::IPV4 } else { Family::IPV6 };
        if family.is_some_and(|family| family != own) {
            return Err(fault(field, "is of another family than the rest of the filter"));
        }
        family = Some(own);
    }
    Ok(family)
}

fn check_prefix(field: &'static str, prefix: Prefix) -> Result<Net, Fault> {
    let width = if prefix.address.is_ipv4() { 32 } else { 128 };
    if prefix.length > width {
        let length = prefix.length;
        let reason = format_args!("prefix length {length} is larger than {width}");
        return Err(fault(field, text("prefix length is too large", reason)));
    }
    let mask = if prefix.length == 0 { 0 } else { u128::MAX << (128 - u32::from(prefix.length)) };
    let value = u128::from_be_bytes(address_bytes(prefix.address));
    if mutant!("bits-behind-a-prefix", value & !mask != 0, false) {
        let Prefix { address, length } = prefix;
        const BEHIND: &str = "has bits set behind the prefix";
        return Err(fault(field, text(BEHIND, format_args!("{address}/{length} {BEHIND}"))));
    }
    Ok(Net { value, mask })
}

fn check_ports(field: &'static str, range: &RangeInclusive<u16>, proto: Option<Proto>) -> Result<(u16, u16), Fault> {
    if mutant!("ports-want-a-protocol", !proto.is_some_and(Proto::has_ports), false) {
        return Err(fault(field, "needs a protocol that has ports"));
    }
    if range.start() > range.end() {
        let (first, last) = (range.start(), range.end());
        return Err(fault(field, text("range is upside down", format_args!("range {first}-{last} is upside down"))));
    }
    Ok((*range.start(), *range.end()))
}

/// A helper name as an entry holds it: NUL-padded, with at least one NUL.
fn helper_chars(name: &str) -> Option<[c_char; 16]> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.len() > 15 || bytes.contains(&0) {
        return None;
    }
    let mut helper = [0; 16];
    for (to, from) in helper.iter_mut().zip(bytes) {
        *to = *from as c_char;
    }
    Some(helper)
}
