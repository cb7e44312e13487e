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
use crate::wire::encode::put_get;
use crate::wire::{decode_entry, WireError};

/// The entry that the key identifies. None: `Error::Kernel` with ENOENT.
pub(crate) fn get(link: &mut Link, key: &Entry) -> Result<Entry, Error> {
    const OP: &str = "get";
    check::one(key, Purpose::Key)?;
    let mut found = Found::Missing;
    find(link, OP, |_| key, 1, is_asked_for, |_, answer| found = answer)?;
    match found {
        Found::Entry(entry) => Ok(entry),
        Found::Refused(errno) => Err(link.refused(OP, errno, KernelDetail::default())),
        Found::Missing | Found::NotAsked => Err(link.refused(OP, libc::ENOENT, KernelDetail::default())),
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
    /// This one is.
    Entry(Entry),
    /// The kernel refused to search, with this errno.
    Refused(i32),
}

/// Looks up to [`GET_BATCH`] keys up in one go. The keys were checked. `accept` says whether an entry is what a key means.
pub(crate) fn find<'a>(
    link: &mut Link,
    op: &'static str,
    key: impl Fn(usize) -> &'a Entry,
    count: usize,
    accept: impl Fn(&Entry, &Entry) -> bool,
    mut answer: impl FnMut(usize, Found),
) -> Result<(), Error> {
    debug_assert!(count <= GET_BATCH);
    let mut requests = Requests::new(op);
    for index in 0..count {
        requests.push(|buffer, seq| put_get(buffer, seq, key(index)))?;
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
    K: Fn(usize) -> &'a Entry,
    C: Fn(&Entry, &Entry) -> bool,
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
            if (self.accept)((self.key)(index), &entry) {
                (self.answer)(index, Found::Entry(entry));
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
