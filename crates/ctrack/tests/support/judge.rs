//! What a set of filters takes, by the words of the header: one condition after the other, without masks that were made before, an
//! index or a plan. It shares nothing with the library but the types.

use ctrack::*;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Whether the filters select the entry.
pub fn selects(filters: &[Filter], entry: &Entry) -> bool {
    selected(filters, entry).is_some()
}

/// The number, among the including filters, of the first that selects the entry; 0 if there is none of them.
pub fn selected(filters: &[Filter], entry: &Entry) -> Option<usize> {
    if filters.iter().any(|filter| filter.exclude && matches(filter, entry)) {
        return None;
    }
    let mut including = filters.iter().filter(|filter| !filter.exclude).peekable();
    match including.peek() {
        None => Some(0),
        Some(_) => including.position(|filter| matches(filter, entry)),
    }
}

/// Whether all conditions of a filter hold, whose `exclude` does not count here.
pub fn matches(filter: &Filter, entry: &Entry) -> bool {
    broken(filter, entry).next().is_none()
}

/// The conditions that do not hold, by their places in [`CONDITIONS`].
pub fn broken<'a>(filter: &'a Filter, entry: &'a Entry) -> impl Iterator<Item = usize> + 'a {
    conditions(filter, entry)
        .into_iter()
        .enumerate()
        .filter(|(_, holds)| *holds == Some(false))
        .map(|(number, _)| number)
}

/// All conditions.
pub const CONDITIONS: [&str; 22] = [
    "family",
    "proto",
    "zone",
    "mark",
    "status",
    "orig_src",
    "orig_dst",
    "reply_src",
    "reply_dst",
    "orig_sport",
    "orig_dport",
    "reply_sport",
    "reply_dport",
    "icmp_type",
    "icmp_code",
    "icmp_id",
    "tcp_states",
    "labels",
    "helper",
    "orig_zone",
    "reply_zone",
    "id",
];

/// Whether each condition holds; `None`: the filter does not have it. All fields are named: the compiler asks for each new one.
fn conditions(f: &Filter, e: &Entry) -> [Option<bool>; CONDITIONS.len()] {
    let Filter {
        exclude: _,
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
    } = f;
    let ports = e.has(Has::PORTS);
    let icmp = e.has(Has::ICMP);
    let (own, set, clear) = (e.status.bits(), status_set.bits(), status_clear.bits());
    [
        family.map(|family| e.family == family),
        proto.map(|proto| e.proto == proto),
        zone.map(|zone| zone_of_either(e) == u32::from(zone)),
        mark.map(|mark| (0..32).all(|bit| mark.mask >> bit & 1 == 0 || mark.value >> bit & 1 == e.mark >> bit & 1)),
        (set | clear != 0).then(|| {
            (0..32).all(|bit| {
                let is_set = own >> bit & 1 == 1;
                (set >> bit & 1 == 0 || is_set) && (clear >> bit & 1 == 0 || !is_set)
            })
        }),
        orig_src.map(|prefix| within(prefix, e.orig_src())),
        orig_dst.map(|prefix| within(prefix, e.orig_dst())),
        reply_src.map(|prefix| within(prefix, e.reply_src())),
        reply_dst.map(|prefix| within(prefix, e.reply_dst())),
        orig_sport.as_ref().map(|range| ports && between(range, e.orig.sport)),
        orig_dport.as_ref().map(|range| ports && between(range, e.orig.dport)),
        reply_sport.as_ref().map(|range| ports && between(range, e.reply.sport)),
        reply_dport.as_ref().map(|range| ports && between(range, e.reply.dport)),
        icmp_type.map(|value| icmp && value == e.orig.icmp_type),
        icmp_code.map(|value| icmp && value == e.orig.icmp_code),
        icmp_id.map(|value| icmp && value == e.orig.icmp_id),
        tcp_states.map(|states| e.has(Has::TCP_STATE) && states.bits() & 1 << e.tcp_state.0 != 0),
        labels.map(|labels| {
            (0..16).all(|at| {
                (0..8).all(|bit| {
                    let bit_of = |bytes: &[u8; 16]| bytes[at] >> bit & 1;
                    bit_of(&labels.mask) == 0 || bit_of(&labels.value) == bit_of(&e.labels)
                })
            })
        }),
        helper.as_ref().map(|name| e.helper().as_ref() == Some(name)),
        orig_zone.map(|zone| zone_of_one(e, Has::ORIG_ZONE) == u32::from(zone)),
        reply_zone.map(|zone| zone_of_one(e, Has::REPLY_ZONE) == u32::from(zone)),
        id.map(|id| e.has(Has::ID) && e.id == id),
    ]
}

/// The zone of an entry, whichever directions it is for.
fn zone_of_either(e: &Entry) -> u32 {
    if !e.has.intersects(Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE) {
        return 0;
    }
    e.zone
}

/// The zone that a direction is in.
fn zone_of_one(e: &Entry, direction: Has) -> u32 {
    if !e.has.intersects(Has::ZONE | direction) {
        return 0;
    }
    e.zone
}

fn between(range: &RangeInclusive<u16>, port: u16) -> bool {
    *range.start() <= port && port <= *range.end()
}

/// Bit by bit, from the first one.
fn within(prefix: Prefix, address: IpAddr) -> bool {
    let (net, address): (Vec<u8>, Vec<u8>) = match (prefix.address, address) {
        (IpAddr::V4(net), IpAddr::V4(address)) => (net.octets().into(), address.octets().into()),
        (IpAddr::V6(net), IpAddr::V6(address)) => (net.octets().into(), address.octets().into()),
        _ => return false,
    };
    let bit = |bytes: &[u8], at: usize| bytes[at / 8] >> (7 - at % 8) & 1;
    (0..usize::from(prefix.length)).all(|at| bit(&net, at) == bit(&address, at))
}
