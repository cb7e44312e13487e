//! What the manual says of tables and keys: slow and plain.

use ctrack::*;

/// The zone that an entry, or a key, has in a direction.
pub fn zone_in(e: &Entry, by_reply: bool) -> u32 {
    let own = if by_reply { Has::REPLY_ZONE } else { Has::ORIG_ZONE };
    if e.has.intersects(Has::ZONE | own) {
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
    let enough = key.has(Has::ID | Has::REPLY);
    means(key, e) || enough && means(&Entry { has: key.has & !Has::ORIG, ..*key }, e)
}

/// Whether the key means the entry: what it names is the same.
pub fn means(key: &Entry, e: &Entry) -> bool {
    let named = |bit: Has, same: bool| !key.has.intersects(bit) || same;
    (key.family, key.proto) == (e.family, e.proto)
        && named(Has::ORIG, bare(&key.orig) == bare(&e.orig))
        && named(Has::REPLY, bare(&key.reply) == bare(&e.reply))
        && named(Has::ID, key.id == e.id)
        && named(Has::START, e.has(Has::START) && key.start_ns == e.start_ns)
        && [false, true].iter().all(|&by_reply| zone_in(key, by_reply) == zone_in(e, by_reply))
}
