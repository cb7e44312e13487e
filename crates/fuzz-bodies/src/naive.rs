//! What the manual says of tables and keys: slow and plain.

use ctrack::*;

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
