//! Entries by their tuples.
//!
//! The kernel's look-up knows no direction: it also finds an entry whose *reply* tuple was asked for as the original one, and
//! GET does not look at the id. So what it sends is compared with what was asked for.

use crate::error::{Error, Hider};
use crate::socket::batch::{Replies, Requests, GET_BATCH};
use crate::socket::link::Link;
use ctnetlink::consts::{message_type, IPCTNL_MSG_CT_NEW};
use ctnetlink::detail::KernelDetail;
use ctnetlink::encode::{mirror, put_get, zone_of, By, Name};
use ctnetlink::types::*;
use ctnetlink::{decode_entry, WireError};

/// What became of the search for one key.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are never more than a batch of them")]
pub(crate) enum Found {
    /// No entry is the one that the key means: proven.
    Missing,
    /// This one is, and this name leads to it.
    Entry(Entry, Name),
    /// Every name of the key leads to another entry, for example this one: only a dump can tell whether it is there.
    Hidden(Hider),
    /// The kernel refused to search, with this errno.
    Refused(i32),
}

/// Looks keys up that were checked.
pub(crate) struct Finder {
    /// An entry with an id whose start is known on one side only is another one.
    compare_start: bool,
    pub requests: Requests,
    answers: Vec<Answer>,
    /// What was found, one for each key.
    pub found: Vec<Found>,
    /// Which keys are still searched.
    open: Vec<usize>,
}

/// What the kernel said to a GET.
#[derive(Clone, Copy)]
#[allow(clippy::large_enum_variant, reason = "there are never more than a batch of them")]
pub(crate) enum Answer {
    Missing,
    Entry(Entry),
    Refused(i32),
}

impl Finder {
    pub fn new(compare_start: bool) -> Finder {
        let requests = Requests::new();
        Finder { compare_start, requests, answers: Vec::new(), found: Vec::new(), open: Vec::new() }
    }

    /// Asks once for those of the keys that are wanted, each under the name that `name` gives, and for nothing else, so that
    /// little time passes before what is found can be changed. Whatever is not [`Found::Entry`] proves nothing.
    pub fn glance(
        &mut self,
        link: &mut Link,
        keys: &[Entry],
        wanted: impl Fn(usize) -> bool,
        name: impl Fn(usize) -> Name,
    ) -> Result<(), Error> {
        self.begin(keys.len())?;
        self.open.extend((0..keys.len()).filter(|&at| wanted(at)));
        for open in self.open.chunks(GET_BATCH) {
            let put = |index: usize, requests: &mut Requests| {
                let at = open[index];
                requests.push(|buffer, seq| put_get(buffer, seq, &turned(&keys[at]), name(at)))
            };
            ask(link, &mut self.requests, open.len(), 1, &put, &mut self.answers)?;
            for (&at, answer) in open.iter().zip(&self.answers) {
                self.found[at] = self.judge(&keys[at], name(at), answer, &Found::Missing);
            }
        }
        Ok(())
    }

    fn begin(&mut self, count: usize) -> Result<(), Error> {
        self.found.clear();
        self.open.clear();
        self.found.try_reserve(count).map_err(Error::no_memory)?;
        self.open.try_reserve(count).map_err(Error::no_memory)?;
        self.found.resize(count, Found::Missing);
        Ok(())
    }

    /// Searches those of the keys that are wanted; the others are [`Found::Missing`]. `looked` says that each was just asked for
    /// under its first name, and was not found there.
    pub fn find(
        &mut self,
        link: &mut Link,
        keys: &[Entry],
        wanted: impl Fn(usize) -> bool,
        looked: bool,
    ) -> Result<(), Error> {
        self.begin(keys.len())?;
        for first in (0..keys.len()).step_by(GET_BATCH) {
            let last = keys.len().min(first + GET_BATCH);
            self.open.clear();
            self.open.extend((first..last).filter(|&at| wanted(at)));
            self.find_open(link, keys, looked)?;
        }
        Ok(())
    }

    /// One name after the other, until all keys of a batch are settled or have no more names.
    fn find_open(&mut self, link: &mut Link, keys: &[Entry], looked: bool) -> Result<(), Error> {
        for &at in &self.open {
            self.found[at] = Found::Hidden(Hider::default());
        }
        for number in 0.. {
            let names = |at: usize| Name::all_of(&keys[at]).nth(number);
            self.open.retain(|&at| matches!(self.found[at], Found::Hidden(_)) && names(at).is_some());
            if self.open.is_empty() {
                break;
            }
            let open = &self.open;
            let turned = |at: usize| turned(&keys[at]);
            let name = |at: usize| names(at).unwrap_or(Name::ORIG);
            let put = |index: usize, requests: &mut Requests| {
                requests.push(|buffer, seq| put_get(buffer, seq, &turned(open[index]), name(open[index])))
            };
            let tries = if looked && number == 0 { 1 } else { 2 };
            ask(link, &mut self.requests, open.len(), tries, &put, &mut self.answers)?;
            for (&at, answer) in open.iter().zip(&self.answers) {
                self.found[at] = self.judge(&keys[at], name(at), answer, &self.found[at]);
            }
        }
        Ok(())
    }

    /// What an answer says of the key that was asked for under this name.
    fn judge(&self, key: &Entry, name: Name, answer: &Answer, before: &Found) -> Found {
        // A reply tuple that is not known is asked for as it is without NAT: if nothing has it, that proves nothing.
        let guessed = name.by == By::Reply && !key.has(Has::REPLY);
        match answer {
            Answer::Refused(_) if guessed => *before,
            Answer::Refused(errno) => Found::Refused(*errno),
            Answer::Missing if guessed => *before,
            Answer::Missing => Found::Missing,
            Answer::Entry(entry) if is_asked_for(key, entry, self.compare_start) => Found::Entry(*entry, name),
            Answer::Entry(_) if guessed => *before,
            // Only one entry has a tuple in a direction and zone, so the one that is meant is there no more.
            Answer::Entry(entry) if has_name(entry, key, name.by) => Found::Missing,
            Answer::Entry(entry) if !name.own_zone && !can_hide(entry, key) => Found::Missing,
            Answer::Entry(entry) => Found::Hidden(Hider::of(entry)),
        }
    }
}

/// Sends GETs, up to [`GET_BATCH`] of them, and collects what the kernel says.
///
/// A look-up that runs while the table is resized can miss an entry that is there: it began with the old table
/// (____nf_conntrack_find()). One that begins later waits for the end of the resizing. So what was not found proves something
/// when it was asked for twice (`tries`).
pub(crate) fn ask(
    link: &mut Link,
    requests: &mut Requests,
    count: usize,
    tries: u32,
    put: &dyn Fn(usize, &mut Requests) -> Result<(), Error>,
    answers: &mut Vec<Answer>,
) -> Result<(), Error> {
    debug_assert!(count <= GET_BATCH);
    answers.clear();
    answers.try_reserve(count).map_err(Error::no_memory)?;
    answers.resize(count, Answer::Missing);
    let mut places = [0; GET_BATCH];
    for _ in 0..mutant!("asked-twice", tries, 1) {
        let mut asked = 0;
        requests.clear();
        for index in (0..count).filter(|&index| matches!(answers[index], Answer::Missing)) {
            put(index, requests)?;
            places[asked] = index;
            asked += 1;
        }
        if asked == 0 {
            break;
        }
        requests.exchange(link, 0, asked, &mut Answers { answers, places: &places[..asked] })?;
    }
    Ok(())
}

struct Answers<'a> {
    answers: &'a mut [Answer],
    /// For which answer a request is.
    places: &'a [usize],
}

impl Answers<'_> {
    fn set(&mut self, index: usize, answer: Answer) {
        if let Some(place) = self.places.get(index).and_then(|&place| self.answers.get_mut(place)) {
            *place = answer;
        }
    }
}

impl Replies for Answers<'_> {
    fn failed(&mut self, index: usize, errno: i32, _: KernelDetail) {
        if errno != libc::ENOENT {
            self.set(index, Answer::Refused(errno));
        }
    }

    fn data(&mut self, index: usize, kind: u16, payload: &[u8]) -> Result<(), WireError> {
        if kind == message_type(IPCTNL_MSG_CT_NEW) {
            let mut entry = Entry::EMPTY;
            decode_entry(payload, &mut entry)?;
            self.set(index, Answer::Entry(entry));
        }
        Ok(())
    }
}

/// The key with a reply tuple.
fn turned(key: &Entry) -> Entry {
    let reply = if key.has(Has::REPLY) { key.reply } else { mirror(key) };
    Entry { reply, ..*key }
}

fn same(asked: &Tuple, real: &Tuple) -> bool {
    Tuple { zone: 0, ..*asked } == Tuple { zone: 0, ..*real }
}

/// Whether the entry has the key's tuple of a direction as its own of that direction, in the same zone.
pub(crate) fn has_name(entry: &Entry, key: &Entry, by: By) -> bool {
    let (asked, real) = match by {
        By::Orig => (&key.orig, &entry.orig),
        By::Reply => (&key.reply, &entry.reply),
    };
    same(asked, real) && mutant!("name-zone", zone_of(key, by) == zone_of(entry, by), true)
}

/// Whether an entry can have a tuple in one direction that another one of the same zone has in the other: the kernel refuses to insert the
/// second one unless the zone of one of them is for one direction only (nf_conntrack_hash_check_insert(), which compares the
/// zones of the direction in which it finds the first).
pub(crate) fn can_hide(a: &Entry, b: &Entry) -> bool {
    mutant!("can-hide", (a.has | b.has).intersects(Has::ORIG_ZONE | Has::REPLY_ZONE), false)
}

/// Whether the entry is the one that the key means: same tuples in the same direction, same zone, and same id and start if
/// given.
///
/// With `compare_start` an entry whose start is known on one side only is another one, too: timestamps were switched on or
/// off between the two. A key without an id is no listed entry, and says nothing of the start by leaving it out.
pub(crate) fn is_asked_for(key: &Entry, entry: &Entry, compare_start: bool) -> bool {
    let zone = |e: &Entry| (zone_of(e, By::Orig), zone_of(e, By::Reply));
    let start = match (key.has(Has::START), entry.has(Has::START)) {
        (true, true) => mutant!("asked-start", key.start_ns == entry.start_ns, true),
        (true, false) => mutant!("asked-start-unknown", false, true),
        (false, true) => !mutant!("asked-start-new", compare_start && key.has(Has::ID), false),
        (false, false) => true,
    };
    key.family == entry.family
        && key.proto == entry.proto
        && mutant!("asked-zone", zone(key) == zone(entry), true)
        && mutant!("asked-id", !key.has(Has::ID) || key.id == entry.id, true)
        && start
        && mutant!("asked-orig", !key.has(Has::ORIG) || same(&key.orig, &entry.orig), true)
        && mutant!("asked-reply", !key.has(Has::REPLY) || same(&key.reply, &entry.reply), true)
}
