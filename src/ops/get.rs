//! One entry by its tuple.
//!
//! The kernel's look-up knows no direction: it also finds an entry whose *reply* tuple was asked for as the original one, and
//! GET does not look at the id. So what it sends is compared with what was asked for.

use super::check::{self, Purpose};
use crate::error::{Error, KernelDetail};
use crate::transport::batch::{Replies, Requests, GET_BATCH};
use crate::transport::link::Link;
use crate::types::*;
use crate::wire::consts::{message_type, IPCTNL_MSG_CT_NEW};
use crate::wire::encode::{mirror, put_get, By};
use crate::wire::{decode_entry, WireError};

/// The entry that the key identifies. None: `Error::Kernel` with ENOENT.
pub(crate) fn get(link: &mut Link, key: &Entry) -> Result<Entry, Error> {
    const OP: &str = "get";
    check::one(key, Purpose::Key)?;
    let mut found = [Found::Missing];
    find_all(link, OP, &[key], &mut found)?;
    match found {
        [Found::Entry(entry, _)] => Ok(entry),
        [Found::Refused(errno)] => Err(link.refused(OP, errno, KernelDetail::default())),
        [Found::Missing | Found::NotAsked] => Err(link.refused(OP, libc::ENOENT, KernelDetail::default())),
    }
}

/// What became of the search for one key.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are never more than a batch of them")]
pub(crate) enum Found {
    /// It was not searched for.
    NotAsked,
    /// No entry is the one that the key means.
    Missing,
    /// This one is, and this tuple leads to it.
    Entry(Entry, By),
    /// The kernel refused to search, with this errno.
    Refused(i32),
}

/// Looks keys up, which were checked. One whose original tuple leads to nothing, or to another entry, is tried by its reply
/// tuple, or by what that is without NAT (see [`By`]).
pub(crate) fn find_all(link: &mut Link, op: &'static str, keys: &[&Entry], found: &mut [Found]) -> Result<(), Error> {
    for (keys, found) in keys.chunks(GET_BATCH).zip(found.chunks_mut(GET_BATCH)) {
        let accept = |at: usize, entry: &Entry| is_asked_for(keys[at], entry);
        find(link, op, |at| (keys[at], By::default_of(keys[at])), keys.len(), accept, |at, answer| found[at] = answer)?;
        let missing = |at: &usize| matches!(found[*at], Found::Missing) && keys[*at].has(CT_HAS_ORIG);
        let again: Vec<(usize, Entry)> = (0..keys.len()).filter(missing).map(|at| (at, turned(keys[at]))).collect();
        let accept = |at: usize, entry: &Entry| is_asked_for(keys[again[at].0], entry);
        find(link, op, |at| (&again[at].1, By::Reply), again.len(), accept, |at, answer| found[again[at].0] = answer)?;
    }
    Ok(())
}

/// The key with a reply tuple.
fn turned(key: &Entry) -> Entry {
    let reply = if key.has(CT_HAS_REPLY) { key.reply } else { mirror(key) };
    Entry { reply, ..*key }
}

/// Looks up to [`GET_BATCH`] keys up in one go. `accept` says whether an entry is what a key means.
pub(crate) fn find<'a>(
    link: &mut Link,
    op: &'static str,
    key: impl Fn(usize) -> (&'a Entry, By),
    count: usize,
    accept: impl Fn(usize, &Entry) -> bool,
    mut answer: impl FnMut(usize, Found),
) -> Result<(), Error> {
    debug_assert!(count <= GET_BATCH);
    if count == 0 {
        return Ok(());
    }
    let mut requests = Requests::new(op);
    for index in 0..count {
        let (key, by) = key(index);
        requests.push(|buffer, seq| put_get(buffer, seq, key, by))?;
        answer(index, Found::Missing);
    }
    requests.exchange(link, 0, count, &mut Answers { key, accept, answer })
}

struct Answers<K, C, A> {
    key: K,
    accept: C,
    answer: A,
}

impl<'a, K, C, A> Replies for Answers<K, C, A>
where
    K: Fn(usize) -> (&'a Entry, By),
    C: Fn(usize, &Entry) -> bool,
    A: FnMut(usize, Found),
{
    fn failed(&mut self, index: usize, errno: i32, _: KernelDetail) {
        if errno != libc::ENOENT {
            (self.answer)(index, Found::Refused(errno));
        }
    }

    fn data(&mut self, index: usize, kind: u16, payload: &[u8]) -> Result<(), WireError> {
        if kind == message_type(IPCTNL_MSG_CT_NEW) {
            let mut entry = Entry::EMPTY;
            decode_entry(payload, &mut entry)?;
            if (self.accept)(index, &entry) {
                (self.answer)(index, Found::Entry(entry, (self.key)(index).1));
            }
        }
        Ok(())
    }
}

/// Whether the entry is the one that the key means: same tuples in the same direction, same zone, and
/// same id and start if given.
pub(crate) fn is_asked_for(key: &Entry, entry: &Entry) -> bool {
    let zone = |e: &Entry| {
        let bits = e.has & (CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE);
        let zone = e.zone.max(e.orig.zone).max(e.reply.zone);
        if zone == 0 {
            (0, 0)
        } else {
            (bits, zone)
        }
    };
    let same = |asked: &Tuple, real: &Tuple| Tuple { zone: 0, ..*asked } == Tuple { zone: 0, ..*real };
    key.family == entry.family
        && key.proto == entry.proto
        && zone(key) == zone(entry)
        && (!key.has(CT_HAS_ID) || key.id == entry.id)
        && (!key.has(CT_HAS_START) || key.start_ns == entry.start_ns)
        && (!key.has(CT_HAS_ORIG) || same(&key.orig, &entry.orig))
        && (!key.has(CT_HAS_REPLY) || same(&key.reply, &entry.reply))
}
