//! What a set of filters takes, by the words of the header: one condition after the other, without masks that were made before, an
//! index or a plan. It shares nothing with the library but the types.

use super::*;
use std::ops::RangeInclusive;

/// Whether the filters select the entry.
pub fn selects(filters: &[Filter], entry: &Entry) -> bool {
    let included = |filter: &&Filter| !filter.exclude;
    let taken = filters.iter().filter(included).any(|filter| matches(filter, entry));
    let spared = filters.iter().filter(|filter| filter.exclude).any(|filter| matches(filter, entry));
    (taken || filters.iter().all(|filter| filter.exclude)) && !spared
}

/// Whether all conditions of a filter hold.
pub fn matches(filter: &Filter, entry: &Entry) -> bool {
    broken(filter, entry).next().is_none()
}

/// The conditions that do not hold, by their numbers, of which there are [`CONDITIONS`].
pub fn broken<'a>(filter: &'a Filter, entry: &'a Entry) -> impl Iterator<Item = usize> + 'a {
    conditions(filter, entry)
        .into_iter()
        .enumerate()
        .filter(|(_, holds)| *holds == Some(false))
        .map(|(number, _)| number)
}

/// How many kinds of conditions there are.
pub const CONDITIONS: usize = 22;

/// Whether each condition holds; `None`: the filter does not have it.
fn conditions(f: &Filter, e: &Entry) -> [Option<bool>; CONDITIONS] {
    let ports = e.has(CT_HAS_PORTS);
    let icmp = e.has(CT_HAS_ICMP);
    let status = f.status_set | f.status_clear != 0;
    [
        f.family.map(|family| e.family == family),
        f.proto.map(|proto| e.proto == proto),
        f.zone.map(|zone| zone_of_either(e) == u32::from(zone)),
        f.mark.map(|mark| (0..32).all(|bit| mark.mask >> bit & 1 == 0 || mark.value >> bit & 1 == e.mark >> bit & 1)),
        status.then(|| {
            (0..32).all(|bit| {
                let is_set = e.status >> bit & 1 == 1;
                (f.status_set >> bit & 1 == 0 || is_set) && (f.status_clear >> bit & 1 == 0 || !is_set)
            })
        }),
        f.orig_src.map(|prefix| within(prefix, e.orig_src())),
        f.orig_dst.map(|prefix| within(prefix, e.orig_dst())),
        f.reply_src.map(|prefix| within(prefix, e.reply_src())),
        f.reply_dst.map(|prefix| within(prefix, e.reply_dst())),
        f.orig_sport.as_ref().map(|range| ports && between(range, e.orig.sport)),
        f.orig_dport.as_ref().map(|range| ports && between(range, e.orig.dport)),
        f.reply_sport.as_ref().map(|range| ports && between(range, e.reply.sport)),
        f.reply_dport.as_ref().map(|range| ports && between(range, e.reply.dport)),
        f.icmp_type.map(|value| icmp && value == e.orig.icmp_type),
        f.icmp_code.map(|value| icmp && value == e.orig.icmp_code),
        f.icmp_id.map(|value| icmp && value == e.orig.icmp_id),
        f.tcp_states.map(|states| e.has(CT_HAS_TCP_STATE) && states & 1 << e.tcp_state != 0),
        f.labels.map(|labels| {
            (0..16).all(|at| {
                (0..8).all(|bit| {
                    let bit_of = |bytes: &[u8; 16]| bytes[at] >> bit & 1;
                    bit_of(&labels.mask) == 0 || bit_of(&labels.value) == bit_of(&e.labels)
                })
            })
        }),
        f.helper.as_ref().map(|name| e.helper().as_ref() == Some(name)),
        f.orig_zone.map(|zone| zone_of_one(e, CT_HAS_ORIG_ZONE) == u32::from(zone)),
        f.reply_zone.map(|zone| zone_of_one(e, CT_HAS_REPLY_ZONE) == u32::from(zone)),
        f.id.map(|id| e.has(CT_HAS_ID) && e.id == id),
    ]
}

/// The zone of an entry, whichever directions it is for.
fn zone_of_either(e: &Entry) -> u32 {
    if e.has & (CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE) == 0 {
        return 0;
    }
    e.zone
}

/// The zone that a direction is in.
fn zone_of_one(e: &Entry, direction: u64) -> u32 {
    if e.has & (CT_HAS_ZONE | direction) == 0 {
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
