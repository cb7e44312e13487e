//! Entries that no request can name: whether they are still there is seen in a dump, one for all of them.

use super::find::is_asked_for;
use super::select::{for_each, Visitor};
use crate::error::{Error, Hider, LATER};
use crate::selection::Selection;
use crate::socket::link::Link;
use crate::sort::sort;
use ctnetlink::types::*;
use std::cmp::Ordering;

/// How often an entry is looked up and asked for before a dump has to tell what became of it.
pub(super) const ROUNDS: u32 = 16;

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
    pub fn error(&self) -> Error {
        if self.hider == Hider::default() {
            // It came and went each time that it was asked for.
            return Error::Interrupted { op: LATER, tries: ROUNDS };
        }
        Error::Hidden { op: LATER, hider: self.hider }
    }
}

/// Looks for all of them in one dump. They come out in another order.
pub(crate) fn look(link: &mut Link, compare_start: bool, sought: &mut [Sought]) -> Result<(), Error> {
    if sought.is_empty() {
        return Ok(());
    }
    // In the order of a tuple that all of a kind have, so that each entry of the dump is found by a binary search.
    sort(sought, &|a, b| order(&a.key, &b.key).is_lt());
    let by_reply = sought.partition_point(|one| one.key.has(Has::ORIG));
    let (by_orig, by_reply) = sought.split_at_mut(by_reply);
    for_each(link, &Selection::default(), &mut Seeker { compare_start, by_orig, by_reply })
}

struct Seeker<'a> {
    compare_start: bool,
    by_orig: &'a mut [Sought],
    by_reply: &'a mut [Sought],
}

/// Keys with an original tuple first, in its order, then the others in that of their reply tuple.
fn order(a: &Entry, b: &Entry) -> Ordering {
    let kind = |key: &Entry| !key.has(Has::ORIG);
    kind(a).cmp(&kind(b)).then_with(|| compare(main_tuple(a), main_tuple(b)))
}

fn main_tuple(key: &Entry) -> &Tuple {
    if key.has(Has::ORIG) {
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
            mutant!("settled-anew", sought.entry = None, ());
        }
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        let sides = [(&mut *self.by_orig, &entry.orig), (&mut *self.by_reply, &entry.reply)];
        for (side, tuple) in sides {
            let first = side.partition_point(|sought| compare(main_tuple(&sought.key), tuple).is_lt());
            let same = side[first..].iter_mut().take_while(|sought| compare(main_tuple(&sought.key), tuple).is_eq());
            let is_it = |key: &Entry| is_asked_for(key, entry, self.compare_start);
            for sought in same.filter(|sought| mutant!("settled-by-all-of-it", is_it(&sought.key), true)) {
                sought.entry = Some(*entry);
            }
        }
        Ok(())
    }
}
