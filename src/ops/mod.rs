//! The operations, one verb per file, over a [`Link`](crate::transport::link::Link) and with no idea of C.
//!
//! `check` what a caller may hand in; `select` runs a plan; `list`, `get`, `count`, `zone` read; `delete`, `create`, `update`, `flush` change.

pub(crate) mod check;
pub(crate) mod count;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod flush;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod select;
pub(crate) mod update;
pub(crate) mod zone;

use crate::error::{Error, KernelDetail};
use crate::transport::batch::{Replies, Requests, BATCH, GET_BATCH};
use crate::transport::link::{Link, SEND};
use crate::types::{Entry, CT_HAS_ID};
use get::{find, is_asked_for, Found};
use std::ops::Range;

/// What an operation on many entries did.
///
/// "Matched" is not "deleted", and "already gone" is not "failed".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Entries that were selected or given.
    pub matched: u64,
    /// Entries that were deleted, created or updated.
    pub done: u64,
    /// Entries that were no longer there, or no longer the same one, when their turn came.
    pub gone: u64,
    /// Entries for which the kernel refused, or whose fate is not known since the kernel fell silent.
    pub failed: u64,
    /// The kernel did it all by itself and does not say how many entries it took: the sums are 0.
    pub uncounted: bool,
    /// The error of the first of the failed ones.
    pub error: Option<Error>,
}

impl Outcome {
    fn fail(&mut self, count: u64, error: impl FnOnce() -> Error) {
        self.failed += count;
        if count > 0 {
            self.error.get_or_insert_with(error);
        }
    }
}

/// The status of a request that has not been answered yet.
const PENDING: i32 = i32::MIN;

/// Sends all requests, batch by batch.
///
/// An error means that nothing was done. What goes wrong later, or leaves fates unknown, is in `outcome`.
fn run_all(link: &mut Link, requests: &mut Requests, outcome: &mut Outcome) -> Result<(), Error> {
    let total = requests.len();
    for first in (0..total).step_by(BATCH) {
        let last = (first + BATCH).min(total);
        if let Err(error) = run_batch(link, requests, first..last, outcome, |_, _| {}) {
            return broken_off(first == 0, total - last, error, outcome);
        }
    }
    Ok(())
}

/// Sends one batch. `report` hears the index and the status (0 or a negative errno) of each request.
fn run_batch(
    link: &mut Link,
    requests: &mut Requests,
    range: Range<usize>,
    outcome: &mut Outcome,
    mut report: impl FnMut(usize, i32),
) -> Result<(), Error> {
    let mut statuses = Statuses { first: range.start, status: [PENDING; BATCH], gone: 0, failed: 0, refusal: None };
    let result = requests.exchange(link, range.start, range.end, &mut statuses);
    let Statuses { mut status, gone, failed, refusal, .. } = statuses;
    if matches!(result, Err(Error::Permission { .. })) {
        // Only the first was answered, for all of them.
        status = [PENDING; BATCH];
    } else {
        outcome.gone += gone;
        if let Some((errno, detail)) = refusal {
            outcome.fail(failed, || requests.refused(link.netns(), errno, detail));
        }
    }
    let silent = result.as_ref().err().map_or(0, |error| -error.errno());
    let mut unanswered = 0;
    for (status, index) in status.iter().zip(range) {
        unanswered += u64::from(*status == PENDING);
        report(index, if *status == PENDING { silent } else { *status });
    }
    match &result {
        Ok(()) => outcome.done += unanswered,
        Err(error) => outcome.fail(unanswered, || error.clone()),
    }
    result
}

/// A batch broke off, and `left` requests behind it are not sent any more. Only if nothing can have been done is that an
/// error of the whole operation.
fn broken_off(is_first: bool, left: usize, error: Error, outcome: &mut Outcome) -> Result<(), Error> {
    outcome.fail(left as u64, || error.clone());
    let nothing_was_done = match &error {
        Error::Permission { .. } | Error::NoMemory { .. } => true,
        Error::System { call, .. } => *call == SEND,
        _ => false,
    };
    if is_first && nothing_was_done {
        return Err(error);
    }
    Ok(())
}

/// Whether given entries are looked up before they are changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookUp {
    /// Their tuples and ids say enough, or there is nothing to find yet.
    Never,
    /// Those without an id: their tuple alone might name another entry the other way round (see `get`).
    WithoutId,
    /// All: the kernel does not compare ids when it updates.
    Always,
}

/// Sends one request for each of the given entries, after looking them up where need be. `put` gets the entry as it was given
/// and as it was found. `status[i]`: 0 done, -ENOENT gone, another negative errno for a failure.
fn change(
    link: &mut Link,
    op: &'static str,
    entries: &[Entry],
    look_up: LookUp,
    put: impl Fn(&mut Vec<u8>, u32, &Entry, &Entry),
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    status.fill(-libc::ECANCELED);
    let result = change_all(link, op, entries, look_up, put, status, outcome);
    if let Err(error) = &result {
        // Nothing was done, for the same reason for all.
        status.fill(-error.errno());
    }
    result
}

fn change_all(
    link: &mut Link,
    op: &'static str,
    entries: &[Entry],
    look_up: LookUp,
    put: impl Fn(&mut Vec<u8>, u32, &Entry, &Entry),
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    outcome.matched = entries.len() as u64;
    let mut requests = Requests::new(op);
    let mut targets = Vec::with_capacity(BATCH);
    let mut found = Vec::new();
    for first in (0..entries.len()).step_by(BATCH) {
        let last = (first + BATCH).min(entries.len());
        let chunk = &entries[first..last];
        requests.clear();
        targets.clear();
        if look_up == LookUp::Always {
            // If it could not be answered, the look-up below says so.
            requests.permitted();
        }
        if let Err(error) = find_chunk(link, op, chunk, look_up, &mut found) {
            status[first..last].fill(-error.errno());
            return broken_off(first == 0, entries.len() - first, error, outcome);
        }
        for (at, given) in chunk.iter().enumerate() {
            let target = match found.get(at) {
                None | Some(Found::NotAsked) => given,
                Some(Found::Entry(entry)) => entry,
                Some(Found::Missing) => {
                    status[first + at] = -libc::ENOENT;
                    outcome.gone += 1;
                    continue;
                }
                Some(Found::Refused(errno)) => {
                    status[first + at] = -errno;
                    outcome.fail(1, || link.refused(op, *errno, KernelDetail::default()));
                    continue;
                }
            };
            if let Err(error) = requests.push(|buffer, seq| put(buffer, seq, given, target)) {
                return broken_off(first == 0, entries.len() - first - at, error, outcome);
            }
            targets.push(first + at);
        }
        if targets.is_empty() {
            continue;
        }
        let all = 0..requests.len();
        let result = run_batch(link, &mut requests, all, outcome, |at, errno| status[targets[at]] = errno);
        if let Err(error) = result {
            return broken_off(first == 0, entries.len() - last, error, outcome);
        }
    }
    Ok(())
}

/// Looks up those entries of a chunk that `look_up` wants looked up. Nothing at all is said if that is none of them.
fn find_chunk(
    link: &mut Link,
    op: &'static str,
    chunk: &[Entry],
    look_up: LookUp,
    found: &mut Vec<Found>,
) -> Result<(), Error> {
    found.clear();
    let wanted = |entry: &Entry| match look_up {
        LookUp::Never => false,
        LookUp::WithoutId => !entry.has(CT_HAS_ID),
        LookUp::Always => true,
    };
    if !chunk.iter().any(wanted) {
        return Ok(());
    }
    found.resize(chunk.len(), Found::NotAsked);
    let asked: Vec<usize> = (0..chunk.len()).filter(|&at| wanted(&chunk[at])).collect();
    for group in asked.chunks(GET_BATCH) {
        find(link, op, |at| &chunk[group[at]], group.len(), is_asked_for, |at, answer| found[group[at]] = answer)?;
    }
    Ok(())
}

/// What a batch answers.
struct Statuses {
    first: usize,
    status: [i32; BATCH],
    gone: u64,
    failed: u64,
    /// The first failure.
    refusal: Option<(i32, KernelDetail)>,
}

impl Replies for Statuses {
    fn failed(&mut self, index: usize, errno: i32, detail: KernelDetail) {
        let Some(status) = self.status.get_mut(index - self.first).filter(|status| **status == PENDING) else {
            return;
        };
        *status = -errno;
        if errno == libc::ENOENT {
            self.gone += 1;
        } else {
            self.failed += 1;
            self.refusal.get_or_insert((errno, detail));
        }
    }
}
