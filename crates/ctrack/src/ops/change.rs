//! How entries are changed, batch by batch: looked up where need be, one request for each that is there, and once more where
//! the answer proves nothing.

use super::caps::maybe_portless;
use super::check;
use super::find::{Finder, Found};
use super::settle::{self, Sought, ROUNDS};
use super::values::{self, Part};
use super::Outcome;
use crate::error::{Call, Error, Hider, LATER};
use crate::selection::Selection;
use crate::socket::batch::{Replies, Requests, BATCH, GET_BATCH};
use crate::socket::link::{About, Link};
use ctnetlink::detail::KernelDetail;
use ctnetlink::decode_entry;
use ctnetlink::encode::{ask_for_echo, put_create, put_delete, put_update, Name};
use ctnetlink::types::*;

// The status of an entry that has none yet. These never reach a caller, and no answer of the kernel can be one of them: a
// status is 0 or negative.

/// It was sent, or is about to be.
const PENDING: i32 = 1;
/// It is to be looked up.
const OPEN: i32 = 2;
/// It is no longer selected.
const SPARED: i32 = 3;
/// Only a dump can tell.
const UNSETTLED: i32 = 4;

/// It is there, and is to be looked up once more right before it is changed.
const AGAIN: i32 = 5;

/// What the event of an end takes of the receive buffer at most (6.18: 2,304 bytes and less).
const END: usize = 4096;

/// What is done to the entries.
#[derive(Clone, Copy)]
pub(super) enum Verb<'a> {
    /// `portless`: of which protocols the kernel keeps no ports ([`caps::portless`](super::caps::portless)).
    Create {
        portless: u8,
    },
    /// Those that are looked up must still be selected, if there is a selection.
    Delete(Option<&'a Selection>),
    Update,
}

/// Whether entries are looked up before they are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LookUp {
    /// There is nothing to find yet.
    Never,
    /// Those whose first name and id leave something open ([`Name::says_all`]).
    WhereOpen,
    /// All: what is done depends on what they are now.
    Always,
}

pub(super) struct Changer<'a> {
    verb: Verb<'a>,
    look_up: LookUp,
    compare_start: bool,
    requests: Requests,
    /// Which entry of the chunk a request is for.
    targets: Vec<usize>,
    /// What was looked up; empty if nothing was.
    finder: Finder,
    /// The name by which each entry of the chunk is asked for; empty as long as that is its first one.
    names: Vec<Name>,
    unsettled: Vec<Sought>,
    /// Where the entries begin that are being changed.
    first: usize,
    /// The first refusal of a chunk.
    refusal: Option<Refusal>,
    /// What the kernel said of the ends of entries, if that was asked for: one for each entry of the chunk.
    ends: Option<Vec<Option<Entry>>>,
    /// Where the chunk begins.
    chunk_first: usize,
    /// How many requests fit a datagram.
    most: usize,
}

/// Why an entry was refused.
struct Refusal {
    /// Which one of the batch.
    index: usize,
    errno: i32,
    why: Why,
}

enum Why {
    /// In the kernel's words.
    Kernel(KernelDetail),
    /// It was not even asked.
    Impossible(&'static str),
}

/// Keeps the refusal of the first entry of a chunk.
fn note(refusal: &mut Option<Refusal>, index: usize, errno: i32, why: Why) {
    if refusal.as_ref().is_none_or(|noted| index < noted.index) {
        *refusal = Some(Refusal { index, errno, why });
    }
}

impl<'a> Changer<'a> {
    pub fn new(verb: Verb<'a>, look_up: LookUp, compare_start: bool) -> Self {
        let (requests, targets, finder) = (Requests::new(), Vec::new(), Finder::new(compare_start));
        Changer {
            verb,
            look_up,
            compare_start,
            requests,
            targets,
            finder,
            names: Vec::new(),
            unsettled: Vec::new(),
            first: 0,
            refusal: None,
            ends: None,
            chunk_first: 0,
            most: BATCH,
        }
    }

    /// Lets the kernel say what the entries were at their end; `room`: the receive buffer, where that has to fit.
    pub fn with_ends(self, room: usize) -> Result<Self, Error> {
        let mut ends = Vec::new();
        ends.try_reserve_exact(BATCH).map_err(Error::no_memory)?;
        Ok(Changer { ends: Some(ends), most: mutant!("ends-fit", (room / END).clamp(1, BATCH), BATCH), ..self })
    }

    /// What the entry of this place of the last chunk was at its end, if the kernel said so.
    pub fn end(&self, at: usize) -> Option<&Entry> {
        self.ends.as_ref()?.get(at)?.as_ref()
    }

    /// Changes all entries. `status[i]`: 0 done, else a negative errno; that of ENOENT: gone.
    ///
    /// An error means that nothing was done. What goes wrong later, or leaves fates unknown, is in `outcome`.
    pub fn all(
        mut self,
        link: &mut Link,
        entries: &[Entry],
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        outcome.matched = entries.len() as u64;
        status.fill(-libc::ECANCELED);
        for first in (0..entries.len()).step_by(BATCH) {
            let last = (first + BATCH).min(entries.len());
            let result = self.chunk(link, &entries[first..last], first, &mut status[first..last], outcome);
            if let Err(error) = result {
                self.give_up(&error, outcome, &mut |index, errno| status[index] = errno);
                let left = entries.len() - last;
                return broken_off(first == 0, left, Some(last), error, outcome)
                    .inspect_err(|error| status.fill(-error.errno()));
            }
        }
        self.settle(link, outcome, &mut |index, errno| status[index] = errno);
        Ok(())
    }

    /// Changes up to [`BATCH`] entries, before which came `first` others. After an error the fate of all of them
    /// is told, and nothing more should be sent.
    pub fn chunk(
        &mut self,
        link: &mut Link,
        chunk: &[Entry],
        first: usize,
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.refusal = None;
        self.chunk_first = first;
        if let Some(ends) = &mut self.ends {
            ends.clear();
            ends.resize(chunk.len(), None);
        }
        for (index, (status, entry)) in (first..).zip(status.iter_mut().zip(chunk)) {
            let open = match self.look_up {
                LookUp::Never => false,
                LookUp::WhereOpen => !Name::says_all(entry),
                LookUp::Always => true,
            };
            *status = if open { OPEN } else { PENDING };
            if let Verb::Create { portless } = self.verb {
                if let Some((errno, reason)) = impossible(entry, portless) {
                    *status = -errno;
                    note(&mut self.refusal, index, errno, Why::Impossible(reason));
                }
            }
        }
        // Where entries are looked up, little time should pass between the look-up of one and its change.
        let size = if status.contains(&OPEN) { GET_BATCH } else { BATCH }.min(self.most);
        let mut parts = (first..).step_by(size).zip(chunk.chunks(size).zip(status.chunks_mut(size)));
        let result = parts.try_for_each(|(first, (part, status))| self.rounds(link, part, first, status, outcome));
        if let (Err(error), true) = (&result, mutant!("silence-is-no-success", true, false)) {
            let silent = status.iter_mut().filter(|status| matches!(**status, PENDING | OPEN | AGAIN));
            silent.for_each(|status| *status = -error.errno());
        }
        for (index, &status) in (first..).zip(&*status) {
            match status {
                0 => outcome.done += 1,
                SPARED => outcome.spared += 1,
                UNSETTLED => {}
                _ if status == -libc::ENOENT => outcome.gone += 1,
                _ if outcome.is_first(self.place(index)) => {
                    let error = match &result {
                        Err(error) if error.errno() == -status => error.clone(),
                        _ => self.explain(link, -status),
                    };
                    outcome.fail(1, self.place(index), &error);
                }
                _ => outcome.failed += 1,
            }
        }
        result
    }

    /// The place of an entry among those that were given; none if they were selected.
    fn place(&self, index: usize) -> Option<usize> {
        (!matches!(self.verb, Verb::Delete(Some(_)))).then_some(index)
    }

    /// The error for the errno of the first entry that failed in this chunk.
    fn explain(&mut self, link: &Link, errno: i32) -> Error {
        match self.refusal.take().filter(|refusal| refusal.errno == errno).map(|refusal| refusal.why) {
            Some(Why::Impossible(reason)) => Error::Impossible { op: LATER, errno, reason },
            Some(Why::Kernel(detail)) => link.refused(self.requests.about, errno, detail),
            None => link.refused(self.requests.about, errno, KernelDetail::default()),
        }
    }

    fn rounds(
        &mut self,
        link: &mut Link,
        chunk: &[Entry],
        first: usize,
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.names.clear();
        self.first = first;
        for round in 1..=ROUNDS {
            self.aim(link, chunk, status, outcome)?;
            let sent = self.send(link, chunk, status);
            self.reopen(chunk, status, round == ROUNDS);
            sent?;
            if status.contains(&OPEN) {
                self.search(link, chunk, first, status)?;
            }
            let again = status.iter_mut().filter(|status| **status == AGAIN).map(|status| *status = OPEN).count();
            if again == 0 {
                break;
            }
            fall_out_of_step(round);
        }
        for (at, status) in status.iter_mut().enumerate().filter(|(_, status)| **status == OPEN) {
            self.leave(first + at, &chunk[at], Hider::default())?;
            *status = UNSETTLED;
        }
        Ok(())
    }

    /// Searches the open ones under all their names.
    fn search(&mut self, link: &mut Link, chunk: &[Entry], first: usize, status: &mut [i32]) -> Result<(), Error> {
        if self.names.is_empty() {
            self.names.try_reserve(chunk.len()).map_err(Error::no_memory)?;
            self.names.extend(chunk.iter().map(Name::first_of));
        }
        self.finder.find(link, chunk, |at| status[at] == OPEN, true)?;
        for (at, (key, status)) in chunk.iter().zip(status).enumerate() {
            if *status != OPEN {
                continue;
            }
            match self.finder.found[at] {
                Found::Entry(_, name) => (self.names[at], *status) = (name, AGAIN),
                Found::Missing => *status = -libc::ENOENT,
                Found::Refused(errno) => *status = -errno.saturating_abs().max(1),
                Found::Hidden(hider) => {
                    self.leave(first + at, key, hider)?;
                    *status = UNSETTLED;
                }
            }
        }
        Ok(())
    }

    /// Looks the open ones up. Those that are there and to be changed become targets.
    fn aim(
        &mut self,
        link: &mut Link,
        chunk: &[Entry],
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.finder.found.clear();
        if status.contains(&OPEN) {
            let names = &self.names;
            let name = |at: usize| names.get(at).copied().unwrap_or_else(|| Name::first_of(&chunk[at]));
            self.finder.glance(link, chunk, |at| status[at] == OPEN, name)?;
            if matches!(self.verb, Verb::Update) {
                // The kernel has answered: an EPERM is about an entry now, whose timeout is fixed.
                self.requests.about = About::Entry;
            }
        }
        self.targets.clear();
        self.targets.try_reserve(chunk.len()).map_err(Error::no_memory)?;
        for (at, (key, status)) in chunk.iter().zip(status).enumerate() {
            if *status == OPEN {
                if let Found::Entry(found, _) = &self.finder.found[at] {
                    let why;
                    (*status, why) = self.judge(key, found);
                    if let Some(reason) = why {
                        note(&mut self.refusal, self.first + at, -*status, Why::Impossible(reason));
                    }
                }
            }
            if *status == PENDING {
                self.targets.push(at);
                outcome.start_unknown |= self.compare_start && !target(&self.finder.found, chunk, at).0.has(Has::START);
            }
        }
        Ok(())
    }

    /// What to do with an entry that was found.
    fn judge(&self, given: &Entry, found: &Entry) -> (i32, Option<&'static str>) {
        match self.verb {
            Verb::Delete(Some(selection)) if mutant!("judged-again", !selection.selects(found), false) => {
                (SPARED, None)
            }
            Verb::Update => match values::to_send(given, found) {
                Ok(Some(_)) => (PENDING, None),
                Ok(None) => (0, None),
                Err((errno, reason)) => (-errno, Some(reason)),
            },
            _ => (PENDING, None),
        }
    }

    /// Sends one request for each target; for updates that change labels and more, two.
    fn send(&mut self, link: &mut Link, chunk: &[Entry], status: &mut [i32]) -> Result<(), Error> {
        let parts: &[Part] =
            if matches!(self.verb, Verb::Update) { &[Part::Labels, Part::Rest] } else { &[Part::Rest] };
        for &part in parts {
            self.requests.clear();
            let echo = self.ends.is_some();
            let mut sent = [0; BATCH];
            for &at in &self.targets {
                let (target, name) = target(&self.finder.found, chunk, at);
                let changed;
                let values = match self.verb {
                    Verb::Update if status[at] != PENDING => continue,
                    Verb::Update => {
                        match values::to_send(&chunk[at], target).ok().flatten().and_then(|v| part.of(&v)) {
                            Some(values) => {
                                changed = values;
                                &changed
                            }
                            None => continue,
                        }
                    }
                    _ => &chunk[at],
                };
                sent[self.requests.len()] = at;
                self.requests.push(|buffer, seq| match self.verb {
                    Verb::Create { .. } => put_create(buffer, seq, values),
                    Verb::Delete(_) => {
                        let start = buffer.len();
                        put_delete(buffer, seq, target, name);
                        if echo {
                            ask_for_echo(buffer, start);
                        }
                    }
                    Verb::Update => put_update(buffer, seq, target, name, values),
                })?;
            }
            let count = self.requests.len();
            if count > 0 {
                self.exchange(link, chunk, &sent[..count], status)?;
            }
        }
        for &at in &self.targets {
            let status = &mut status[at];
            if *status == PENDING {
                *status = 0;
            }
        }
        Ok(())
    }

    /// Sends the requests. Only those that were refused get a status.
    fn exchange(
        &mut self,
        link: &mut Link,
        chunk: &[Entry],
        sent: &[usize],
        status: &mut [i32],
    ) -> Result<(), Error> {
        let ends = self.ends.as_mut().and_then(|ends| ends.get_mut(self.first - self.chunk_first..));
        let mut statuses =
            Statuses { chunk, sent, status, first: self.first, refusal: &mut self.refusal, ends, ended: 0 };
        let result = self.requests.exchange(link, 0, sent.len(), &mut statuses);
        if matches!(result, Err(Error::Permission { .. })) {
            // Only the first was answered, for all of them.
            sent.iter().for_each(|&at| status[at] = PENDING);
        }
        result
    }

    /// An answer that proves nothing is no answer: ENOENT of a request that names an id or may have met a hidden entry, and
    /// EBUSY of an update whose entry may have got another status bit meanwhile.
    fn reopen(&mut self, chunk: &[Entry], status: &mut [i32], last: bool) {
        for &at in &self.targets {
            let status = &mut status[at];
            *status = match self.verb {
                Verb::Create { .. } => continue,
                Verb::Update
                    if mutant!("busy-again", *status == -libc::EBUSY, false) && !last && chunk[at].has(Has::STATUS) =>
                {
                    self.refusal.take_if(|refusal| refusal.index == self.first + at);
                    AGAIN
                }
                _ if mutant!("gone-is-proven", *status == -libc::ENOENT, false) => OPEN,
                _ => continue,
            };
        }
    }

    /// Leaves an entry to the dump at the end.
    fn leave(&mut self, index: usize, key: &Entry, hider: Hider) -> Result<(), Error> {
        self.unsettled.try_reserve(1).map_err(Error::no_memory)?;
        self.unsettled.push(Sought::new(index, *key, hider));
        Ok(())
    }

    /// Looks in one dump for what no request could settle. `report` hears the status of each.
    pub fn settle(&mut self, link: &mut Link, outcome: &mut Outcome, report: &mut dyn FnMut(usize, i32)) {
        if let Err(error) = settle::look(link, self.compare_start, &mut self.unsettled) {
            return self.give_up(&error, outcome, report);
        }
        let given = self.place(0).is_some();
        for sought in self.unsettled.drain(..) {
            let status = match (sought.entry, self.verb) {
                (None, _) => {
                    outcome.gone += 1;
                    -libc::ENOENT
                }
                (Some(entry), Verb::Delete(Some(selection)))
                    if mutant!("judged-in-the-dump", !selection.selects(&entry), false) =>
                {
                    outcome.spared += 1;
                    0
                }
                _ => {
                    let error = sought.error();
                    let status = -error.errno();
                    outcome.fail(1, given.then_some(sought.index), &error);
                    status
                }
            };
            report(sought.index, status);
        }
    }

    /// Nobody will look for what is not settled: its fate is not known.
    pub fn give_up(&mut self, error: &Error, outcome: &mut Outcome, report: &mut dyn FnMut(usize, i32)) {
        let given = self.place(0).is_some();
        for sought in self.unsettled.drain(..) {
            outcome.fail(1, given.then_some(sought.index), error);
            report(sought.index, -error.errno());
        }
    }
}

/// Waits, from the second round on, a little longer each time, all in all up to 4 ms: a program that changes the same entry at the
/// same pace would otherwise come in between each time. On two processors that was up to two in three of all updates.
#[cold]
fn fall_out_of_step(round: u32) {
    if round > 1 {
        std::thread::sleep(std::time::Duration::from_micros(1 << round.min(9)));
    }
}

/// The entry that a request names, and how.
fn target<'a>(found: &'a [Found], chunk: &'a [Entry], at: usize) -> (&'a Entry, Name) {
    match found.get(at) {
        Some(Found::Entry(entry, name)) => (entry, *name),
        _ => (&chunk[at], Name::first_of(&chunk[at])),
    }
}

/// Why an entry is not even sent to the kernel.
fn impossible(entry: &Entry, portless: u8) -> Option<(i32, &'static str)> {
    if portless != 0 && maybe_portless(entry) & portless != 0 {
        return Some((libc::EOPNOTSUPP, "this kernel keeps no ports of its protocol"));
    }
    check::impossible(entry)
}

/// A batch broke off, and `left` requests behind it, from `next` on, are not sent any more. Only if nothing can have been done is
/// that an error of the whole operation.
pub(super) fn broken_off(
    is_first: bool,
    left: usize,
    next: Option<usize>,
    error: Error,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    outcome.fail(left as u64, next, &error);
    let nothing_was_done =
        matches!(error, Error::Permission { .. } | Error::NoMemory { .. } | Error::System { call: Call::Send, .. });
    if mutant!("first-of-all", is_first, true) && nothing_was_done && outcome.done == 0 {
        return Err(error);
    }
    Ok(())
}

/// What a batch answers.
struct Statuses<'a> {
    chunk: &'a [Entry],
    /// For which entry each request is.
    sent: &'a [usize],
    status: &'a mut [i32],
    first: usize,
    refusal: &'a mut Option<Refusal>,
    /// From the first entry of this part on.
    ends: Option<&'a mut [Option<Entry>]>,
    /// The first request whose end may still come.
    ended: usize,
}

impl Replies for Statuses<'_> {
    fn echo(&mut self, payload: &[u8]) {
        let (Some(ends), Some(left)) = (&mut self.ends, self.sent.get(self.ended..)) else { return };
        let mut end = Entry::EMPTY;
        if decode_entry(payload, &mut end).is_err() {
            // No word of the end is no end of the delete.
            return;
        }
        let is_it = |key: &Entry| key.id == end.id && key.orig == end.orig && key.reply == end.reply;
        let found = left.iter().position(|&at| self.chunk.get(at).is_some_and(is_it));
        if let Some((number, &at)) = found.and_then(|number| Some((number, left.get(number)?))) {
            self.ended += number + 1;
            if let Some(place) = ends.get_mut(at) {
                *place = Some(end);
            }
        }
    }

    fn failed(&mut self, index: usize, errno: i32, detail: KernelDetail) {
        let Some(&at) = self.sent.get(index) else { return };
        let Some(status) = self.status.get_mut(at) else { return };
        if *status == PENDING {
            *status = -errno.saturating_abs().max(1);
            if errno != libc::ENOENT {
                note(self.refusal, self.first + at, errno.saturating_abs().max(1), Why::Kernel(detail));
            }
        }
    }
}
