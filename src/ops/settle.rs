//! Entries that no request can name: whether they are still there is seen in a dump, one for all of them.

use super::get::is_asked_for;
use super::select::{for_each, Visitor};
use crate::error::{Error, Hider};
use crate::filter::Selection;
use crate::transport::link::Link;
use crate::types::*;
use std::cmp::Ordering;

/// An entry that is sought in a dump.
pub(crate) struct Sought {
    /// Which one of its batch it is.
    pub index: usize,
    pub key: Entry,
    /// What hides it; empty if nothing was seen to.
    pub hider: Hider,
    /// What the dump has.
    pub entry: Option<Entry>,
}

impl Sought {
    pub fn new(index: usize, key: Entry, hider: Hider) -> Sought {
        Sought { index, key, hider, entry: None }
    }

    /// The error for one that is there.
    pub fn error(&self, op: &'static str) -> Error {
        if self.hider == Hider::default() {
            // It came and went each time that it was asked for.
            return Error::Interrupted { op, tries: super::change::ROUNDS };
        }
        Error::Hidden { op, hider: self.hider }
    }
}

/// Looks for all of them in one dump. They come out in another order.
pub(crate) fn look(link: &mut Link, op: &'static str, compare_start: bool, sought: &mut [Sought]) -> Result<(), Error> {
    if sought.is_empty() {
        return Ok(());
    }
    // In the order of a tuple that all of a kind have, so that each entry of the dump is found by a binary search.
    sort(sought);
    let by_reply = sought.partition_point(|one| one.key.has(CT_HAS_ORIG));
    let (by_orig, by_reply) = sought.split_at_mut(by_reply);
    for_each(link, op, &Selection::default(), &mut Seeker { compare_start, by_orig, by_reply })
}

/// A heap sort: std's is larger than all the rest of this file, and this is seldom called.
fn sort(sought: &mut [Sought]) {
    for root in (0..sought.len() / 2).rev() {
        sift(sought, root);
    }
    for last in (1..sought.len()).rev() {
        sought.swap(0, last);
        sift(&mut sought[..last], 0);
    }
}

/// Lets an element sink until both below it are smaller.
fn sift(heap: &mut [Sought], mut root: usize) {
    let less = |heap: &[Sought], a: usize, b: usize| order(&heap[a].key, &heap[b].key).is_lt();
    loop {
        let mut child = 2 * root + 1;
        if child >= heap.len() {
            return;
        }
        if child + 1 < heap.len() && less(heap, child, child + 1) {
            child += 1;
        }
        if !less(heap, root, child) {
            return;
        }
        heap.swap(root, child);
        root = child;
    }
}

struct Seeker<'a> {
    compare_start: bool,
    by_orig: &'a mut [Sought],
    by_reply: &'a mut [Sought],
}

/// Keys with an original tuple first, in its order, then the others in that of their reply tuple.
fn order(a: &Entry, b: &Entry) -> Ordering {
    let kind = |key: &Entry| !key.has(CT_HAS_ORIG);
    kind(a).cmp(&kind(b)).then_with(|| compare(main_tuple(a), main_tuple(b)))
}

fn main_tuple(key: &Entry) -> &Tuple {
    if key.has(CT_HAS_ORIG) {
        &key.orig
    } else {
        &key.reply
    }
}

fn compare(a: &Tuple, b: &Tuple) -> Ordering {
    let rest = |t: &Tuple| (t.sport, t.dport, t.icmp_id, t.icmp_type, t.icmp_code);
    a.src.cmp(&b.src).then(a.dst.cmp(&b.dst)).then_with(|| rest(a).cmp(&rest(b)))
}

impl Visitor for Seeker<'_> {
    fn restart(&mut self) {
        for sought in self.by_orig.iter_mut().chain(self.by_reply.iter_mut()) {
            sought.entry = None;
        }
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        let sides = [(&mut *self.by_orig, &entry.orig), (&mut *self.by_reply, &entry.reply)];
        for (side, tuple) in sides {
            let first = side.partition_point(|sought| compare(main_tuple(&sought.key), tuple).is_lt());
            let same = side[first..].iter_mut().take_while(|sought| compare(main_tuple(&sought.key), tuple).is_eq());
            for sought in same.filter(|sought| is_asked_for(&sought.key, entry, self.compare_start)) {
                sought.entry = Some(*entry);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sought_is_put_in_order_whatever_the_order_before() {
        for count in [0usize, 1, 2, 3, 7, 64, 255] {
            // Each remainder once, in another order, then the same with every key twice.
            for twice in [1, 2] {
                let keys = (0..count).map(|n| (n * 89 % count.max(1) / twice) as u16);
                let entry = |(index, port): (usize, u16)| {
                    let mut key = Entry { has: CT_HAS_ORIG | CT_HAS_PORTS, ..Entry::EMPTY };
                    (key.orig.sport, key.reply.sport) = (port, port);
                    if index % 3 == 0 {
                        key.has = CT_HAS_REPLY | CT_HAS_PORTS;
                    }
                    Sought::new(index, key, Hider::default())
                };
                let mut sought: Vec<Sought> = keys.enumerate().map(entry).collect();
                sort(&mut sought);
                assert!(sought.windows(2).all(|pair| order(&pair[0].key, &pair[1].key).is_le()), "{count}");
                let mut indices: Vec<usize> = sought.iter().map(|one| one.index).collect();
                indices.sort_unstable();
                assert!(indices.into_iter().eq(0..count), "none was lost");
            }
        }
    }
}
