//! Deletes: by filter, and of given entries.

use super::caps::caps;
use super::change::{broken_off, Changer, LookUp, Verb};
use super::check::{self, Purpose};
use super::count::count_if_possible;
use super::select::{for_each, Visitor};
use super::Outcome;
use crate::error::Error;
use crate::selection::plan::exact_flush;
use crate::selection::Selection;
use crate::socket::batch::{refusal, BATCH};
use crate::socket::link::{About, Link};
use ctnetlink::kernel_filter::{put_guarded_flush, put_tuple_flush, FlushFilterProven};
use ctnetlink::types::*;

/// How much care a delete takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Care {
    /// Compare the start time too, which takes a look-up for each entry.
    pub compare_start: bool,
}

/// Deletes what the selection takes: a dump, the decision on each decoded entry, then deletes by tuple, zone and id.
///
/// Where the selection depends on what changes while an entry lives, each one is looked up again, a batch at a time, and judged
/// by the whole selection right before its delete.
///
/// A dump that is disturbed too often deletes nothing.
pub(crate) fn delete(link: &mut Link, selection: &Selection, care: Care, outcome: &mut Outcome) -> Result<(), Error> {
    let mut marked = Marked { keys: Vec::new() };
    for_each(link, selection, &mut marked)?;
    outcome.matched = marked.keys.len() as u64;
    let changes = mutant!("looked-up-again", selection.depends_on_changes(), false);
    let look_up = if care.compare_start || changes { LookUp::Always } else { LookUp::WhereOpen };
    let mut changer = Changer::new(Verb::Delete(Some(selection)), look_up, care.compare_start);
    let (mut entries, mut status) = (Vec::new(), [0; BATCH]);
    entries.try_reserve(BATCH.min(marked.keys.len())).map_err(Error::no_memory)?;
    for (number, keys) in marked.keys.chunks(BATCH).enumerate() {
        entries.clear();
        entries.extend(keys.iter().map(Key::to_entry));
        let first = number * BATCH;
        if let Err(error) = changer.chunk(link, &entries, first, &mut status[..keys.len()], outcome) {
            changer.give_up(&error, outcome, &mut |_, _| {});
            let left = marked.keys.len() - first - keys.len();
            return broken_off(number == 0, left, None, error, outcome);
        }
    }
    changer.settle(link, outcome, &mut |_, _| {});
    Ok(())
}

/// Deletes what the selection takes, at most so many, and leaves what was deleted in `deleted`, on failure too; `true`: more is selected,
/// and stays.
///
/// What was deleted is the entry of the dump, with what the kernel says of its end. Where it says nothing, packets and bytes are left
/// out: what they were in the dump is not what they were at the end.
pub(crate) fn delete_returning(
    link: &mut Link,
    selection: &Selection,
    most: usize,
    care: Care,
    deleted: &mut Vec<Entry>,
    outcome: &mut Outcome,
) -> Result<bool, Error> {
    deleted.clear();
    let mut first = First { entries: deleted, most, more: false };
    for_each(link, selection, &mut first)?;
    let more = first.more;
    let count = deleted.len();
    outcome.matched = count as u64;
    let changes = selection.depends_on_changes();
    let look_up = if care.compare_start || changes { LookUp::Always } else { LookUp::WhereOpen };
    let changer = Changer::new(Verb::Delete(Some(selection)), look_up, care.compare_start);
    // Nothing was deleted yet: what fails up to here leaves nothing to hand over.
    let mut changer = changer.with_ends(link.receive_room()).inspect_err(|_| deleted.clear())?;
    let (mut status, mut kept) = ([0; BATCH], 0);
    for at in (0..count).step_by(BATCH) {
        let last = count.min(at + BATCH);
        let status = &mut status[..last - at];
        let result = changer.chunk(link, &deleted[at..last], at, status, outcome);
        for (place, _) in status.iter().enumerate().filter(|(_, &status)| status == 0) {
            // In the place of one that was not, or in its own: nothing that could fail.
            deleted[kept] = ended(&deleted[at + place], changer.end(place));
            kept += 1;
        }
        if let Err(error) = result {
            deleted.truncate(kept);
            changer.give_up(&error, outcome, &mut |_, _| {});
            return broken_off(at == 0, count - last, None, error, outcome).map(|()| more);
        }
    }
    deleted.truncate(kept);
    changer.settle(link, outcome, &mut |_, _| {});
    Ok(more)
}

/// An entry that was listed, as it was at its end.
fn ended(listed: &Entry, end: Option<&Entry>) -> Entry {
    const COUNTERS: Has = Has::ORIG_COUNTERS.union(Has::REPLY_COUNTERS);
    const SAID: Has = COUNTERS.union(Has::STATUS).union(Has::TCP_STATE).union(Has::SCTP).union(Has::START).union(Has::STOP);
    let mut entry = *listed;
    entry.has = listed.has.difference(COUNTERS);
    (entry.orig_counters, entry.reply_counters) = (Counters::default(), Counters::default());
    let Some(end) = end else { return entry };
    let said = end.has & SAID;
    entry.has |= said;
    // A mark of 0 is not sent (ctnetlink_dump_mark()).
    entry.mark = if listed.has(Has::MARK) { end.mark } else { 0 };
    (entry.orig_counters, entry.reply_counters) = (end.orig_counters, end.reply_counters);
    if said.contains(Has::STATUS) {
        entry.status = end.status;
    }
    if said.contains(Has::TCP_STATE) {
        entry.tcp_state = end.tcp_state;
    }
    if said.contains(Has::SCTP) {
        (entry.sctp_state, entry.sctp_vtag_orig, entry.sctp_vtag_reply) =
            (end.sctp_state, end.sctp_vtag_orig, end.sctp_vtag_reply);
    }
    if said.contains(Has::START) {
        entry.start_ns = end.start_ns;
    }
    if said.contains(Has::STOP) {
        entry.stop_ns = end.stop_ns;
    }
    entry
}

/// The first of what is selected.
struct First<'a> {
    entries: &'a mut Vec<Entry>,
    most: usize,
    more: bool,
}

impl Visitor for First<'_> {
    fn restart(&mut self) {
        self.entries.clear();
        self.more = false;
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.entries.len() == self.most {
            self.more = true;
            return Ok(());
        }
        self.entries.try_reserve(1).map_err(Error::no_memory)?;
        self.entries.push(*entry);
        Ok(())
    }
}

struct Marked {
    keys: Vec<Key>,
}

/// What it takes to delete an entry: less than half of one.
struct Key {
    has: Has,
    start_ns: u64,
    orig: Tuple,
    reply: Tuple,
    id: u32,
    family: Family,
    proto: Proto,
}

impl Key {
    const HAS: Has = Has::ORIG
        .union(Has::REPLY)
        .union(Has::PORTS)
        .union(Has::ICMP)
        .union(Has::ID)
        .union(Has::ZONE)
        .union(Has::ORIG_ZONE)
        .union(Has::REPLY_ZONE)
        .union(Has::START);

    fn of(entry: &Entry) -> Key {
        let Entry { has, start_ns, orig, reply, id, family, proto, .. } = *entry;
        Key { has: has & Key::HAS, start_ns, orig, reply, id, family, proto }
    }

    fn to_entry(&self) -> Entry {
        let Key { has, start_ns, orig, reply, id, family, proto } = *self;
        let zone = orig.zone.max(reply.zone);
        Entry { has, start_ns, orig, reply, id, family, proto, zone, ..Entry::EMPTY }
    }
}

impl Visitor for Marked {
    fn restart(&mut self) {
        self.keys.clear();
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        self.keys.try_reserve(1).map_err(Error::no_memory)?;
        self.keys.push(Key::of(entry));
        Ok(())
    }
}

/// Deletes the given entries. `status[i]`: 0 deleted, else a negative errno; that of ENOENT: gone.
///
/// Those whose name and id leave something open are looked up first (see [`Name::says_all`](ctnetlink::encode::Name)).
pub(crate) fn delete_entries(
    link: &mut Link,
    entries: &[Entry],
    care: Care,
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check::entries(entries, Purpose::Key)?;
    let look_up = if care.compare_start { LookUp::Always } else { LookUp::WhereOpen };
    Changer::new(Verb::Delete(None), look_up, care.compare_start).all(link, entries, status, outcome)
}

/// Lets the kernel delete what the selection takes, in one message for each filter, if that is exact for these filters on this
/// kernel. `false`: it is not, or the kernel would not, or not for all of them: the rest is left to the counted way.
pub(crate) fn delete_uncounted(link: &mut Link, selection: &Selection, outcome: &mut Outcome) -> Result<bool, Error> {
    if mutant!("excludes-never-flushed", selection.excludes(), false)
        || selection.include().is_empty()
        || selection.include().len() > MOST_FLUSHES
    {
        return Ok(false);
    }
    if mutant!("changes-flushed-by-one", selection.include().len() > 1, false) && selection.depends_on_changes() {
        // One flush comes after the other: an entry could move from what the later one takes to what the earlier one took.
        return Ok(false);
    }
    if count_if_possible(link)? == Some(0) {
        // Nothing to ask the kernel about.
        return Ok(false);
    }
    let caps = caps(link, false)?;
    let mut filters = Vec::new();
    filters.try_reserve_exact(selection.include().len()).map_err(Error::no_memory)?;
    for matcher in selection.include() {
        match exact_flush(matcher, caps) {
            Some(filter) => filters.push(filter),
            None => return Ok(false),
        }
    }
    let proven = caps.flush.then_some(FlushFilterProven);
    for filter in filters {
        let refused = match (filter.has_tuple(), proven) {
            (true, Some(proven)) => refusal(link, &|buffer, seq| put_tuple_flush(buffer, seq, &filter, proven))?,
            (true, None) => return Ok(false),
            (false, _) => refusal(link, &|buffer, seq| put_guarded_flush(buffer, seq, &filter))?,
        };
        match refused {
            None => outcome.uncounted = true,
            // What kernels say that do not flush by CTA_FILTER, or not by this.
            Some((libc::ENOENT | libc::EOPNOTSUPP | libc::EINVAL, _)) => {
                return Ok(mutant!("refused-flush", false, true))
            }
            Some((errno, detail)) => return Err(link.refused(About::Caller, errno, detail)),
        }
    }
    // No look for offloaded entries, as behind a flush of everything: a kernel that flushes by CTA_FILTER skips none.
    Ok(true)
}

/// Each is a walk over the whole table; a dump and deletes soon cost less.
const MOST_FLUSHES: usize = 4;
