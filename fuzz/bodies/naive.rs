//! What the manual says, without the library's matcher: slow and plain.

use crate::*;
use std::net::IpAddr;
use std::ops::RangeInclusive;

/// Whether the entry matches the filter, whose `exclude` does not count here.
///
/// All fields are named: the compiler asks for each new one.
pub fn matches(filter: &Filter, e: &Entry) -> bool {
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
    } = filter;
    let ports = |range: &Option<RangeInclusive<u16>>, port: u16| match range {
        Some(range) => e.has & CT_HAS_PORTS != 0 && *range.start() <= port && port <= *range.end(),
        None => true,
    };
    let icmp = e.has & CT_HAS_ICMP != 0;
    let mut holds = vec![
        family.is_none_or(|family| family == e.family),
        proto.is_none_or(|proto| proto == e.proto),
        zone.is_none_or(|zone| match zone {
            0 => e.has & (CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE) == 0,
            zone => e.orig.zone == u32::from(zone) || e.reply.zone == u32::from(zone),
        }),
        orig_zone.is_none_or(|zone| zone_in(e, false) == u32::from(zone)),
        reply_zone.is_none_or(|zone| zone_in(e, true) == u32::from(zone)),
        id.is_none_or(|id| e.has & CT_HAS_ID != 0 && e.id == id),
        mark.is_none_or(|mark| (0..32).all(|bit| mark.mask >> bit & 1 == 0 || (mark.value ^ e.mark) >> bit & 1 == 0)),
        within(orig_src, e.family, &e.orig.src),
        within(orig_dst, e.family, &e.orig.dst),
        within(reply_src, e.family, &e.reply.src),
        within(reply_dst, e.family, &e.reply.dst),
        ports(orig_sport, e.orig.sport),
        ports(orig_dport, e.orig.dport),
        ports(reply_sport, e.reply.sport),
        ports(reply_dport, e.reply.dport),
        icmp_type.is_none_or(|value| icmp && value == e.orig.icmp_type),
        icmp_code.is_none_or(|value| icmp && value == e.orig.icmp_code),
        icmp_id.is_none_or(|value| icmp && value == e.orig.icmp_id),
        tcp_states.is_none_or(|states| e.has & CT_HAS_TCP_STATE != 0 && states & 1 << e.tcp_state != 0),
        labels.is_none_or(|labels| (0..16).all(|at| e.labels[at] & labels.mask[at] == labels.value[at])),
        helper.as_ref().is_none_or(|name| e.has & CT_HAS_HELPER != 0 && e.helper().as_deref() == Some(name)),
    ];
    for bit in 0..32 {
        let is = e.status >> bit & 1;
        holds.push((status_set >> bit & 1 == 0 || is == 1) && (status_clear >> bit & 1 == 0 || is == 0));
    }
    !holds.contains(&false)
}

fn within(prefix: &Option<Prefix>, family: u8, at: &[u8; 16]) -> bool {
    let Some(prefix) = prefix else { return true };
    let (bytes, own) = match prefix.address {
        IpAddr::V4(address) => (address.octets().to_vec(), CT_FAMILY_IPV4),
        IpAddr::V6(address) => (address.octets().to_vec(), CT_FAMILY_IPV6),
    };
    let differs = |bit: usize| (bytes[bit / 8] ^ at[bit / 8]) >> (7 - bit % 8) & 1 == 1;
    own == family && !(0..usize::from(prefix.length)).any(differs)
}

/// The number, among the including filters, of the first that selects the entry; 0 if there is none of them.
pub fn selected(filters: &[Filter], e: &Entry) -> Option<usize> {
    if filters.iter().any(|filter| filter.exclude && matches(filter, e)) {
        return None;
    }
    let mut including = filters.iter().filter(|filter| !filter.exclude).peekable();
    match including.peek() {
        None => Some(0),
        Some(_) => including.position(|filter| matches(filter, e)),
    }
}

/// The zone that an entry, or a key, has in a direction.
pub fn zone_in(e: &Entry, by_reply: bool) -> u32 {
    let own = if by_reply { CT_HAS_REPLY_ZONE } else { CT_HAS_ORIG_ZONE };
    if e.has & (CT_HAS_ZONE | own) != 0 {
        e.zone.max(if by_reply { e.reply.zone } else { e.orig.zone })
    } else {
        0
    }
}

/// A tuple without its zone.
pub fn bare(tuple: &Tuple) -> Tuple {
    Tuple { zone: 0, ..*tuple }
}

/// Whether the kernel has room for the entry beside the others (nf_conntrack_hash_check_insert(): no tuple of it may be there in
/// either direction, in the zone that it has in the direction in which it is there).
pub fn fits(table: &[Entry], e: &Entry) -> bool {
    let tuples = |e: &Entry| [bare(&e.orig), bare(&e.reply)];
    !table.iter().any(|other| {
        (other.family, other.proto) == (e.family, e.proto)
            && tuples(e).iter().any(|own| {
                let at = |by_reply| tuples(other)[usize::from(by_reply)] == *own;
                [false, true].iter().any(|&by_reply| at(by_reply) && zone_in(other, by_reply) == zone_in(e, by_reply))
            })
    })
}

/// Whether a delete by the key may take the entry: it means it, or names it by its id and its reply tuple. The kernel's id covers
/// the original tuple (nf_ct_get_id()), so only a key that nobody listed has this id and another one.
pub fn may_delete(key: &Entry, e: &Entry) -> bool {
    let enough = key.has(CT_HAS_ID | CT_HAS_REPLY);
    means(key, e) || enough && means(&Entry { has: key.has & !CT_HAS_ORIG, ..*key }, e)
}

/// Whether the key means the entry: what it names is the same.
pub fn means(key: &Entry, e: &Entry) -> bool {
    let named = |bit: u64, same: bool| key.has & bit == 0 || same;
    (key.family, key.proto) == (e.family, e.proto)
        && named(CT_HAS_ORIG, bare(&key.orig) == bare(&e.orig))
        && named(CT_HAS_REPLY, bare(&key.reply) == bare(&e.reply))
        && named(CT_HAS_ID, key.id == e.id)
        && [false, true].iter().all(|&by_reply| zone_in(key, by_reply) == zone_in(e, by_reply))
}
