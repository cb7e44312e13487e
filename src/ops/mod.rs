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
use crate::transport::batch::{Replies, Requests, BATCH};
use crate::transport::link::{Link, SEND};
use crate::types::{Entry, CT_HAS_ID, CT_HAS_ORIG, CT_HAS_REPLY};
use crate::wire::buffer::Buffer;
use crate::wire::encode::By;
use get::{find_all, Found};

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
    /// The kernel deleted by itself and does not say how many entries: they are not in the sums.
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

/// Sends one batch. `report` hears the index and the status (0 or a negative errno) of each request.
fn run_batch(
    link: &mut Link,
    requests: &mut Requests,
    outcome: &mut Outcome,
    mut report: impl FnMut(usize, i32),
) -> Result<(), Error> {
    let mut statuses = Statuses { status: [PENDING; BATCH], gone: 0, failed: 0, refusal: None };
    let count = requests.len();
    let result = requests.exchange(link, 0, count, &mut statuses);
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
    for (index, status) in status.iter().take(count).enumerate() {
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
    if is_first && nothing_was_done && outcome.done == 0 {
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

/// How entries are changed, batch by batch: looked up where need be, then one request for each that is there.
struct Changer<P> {
    op: &'static str,
    look_up: LookUp,
    /// Whether an entry that the one tuple does not lead to is tried by the other one (see [`By`]). Its id must say that it is
    /// the same.
    try_other: bool,
    /// Encodes the request for an entry, as it was given and as it was found, by one of its tuples.
    put: P,
    requests: Requests,
    /// Which entry of the chunk a request is for.
    targets: Vec<usize>,
    found: Vec<Found>,
}

impl<P: Fn(&mut Buffer, u32, &Entry, &Entry, By)> Changer<P> {
    fn new(op: &'static str, look_up: LookUp, try_other: bool, put: P) -> Self {
        let (requests, targets, found) = (Requests::new(op), Vec::with_capacity(BATCH), Vec::new());
        Changer { op, look_up, try_other, put, requests, targets, found }
    }

    /// Changes all entries. `status[i]`: 0 done, -ENOENT gone, another negative errno for a failure.
    ///
    /// An error means that nothing was done. What goes wrong later, or leaves fates unknown, is in `outcome`.
    fn all(
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
            if let Err(error) = self.chunk(link, &entries[first..last], &mut status[first..last], outcome) {
                let left = entries.len() - last;
                return broken_off(first == 0, left, error, outcome).inspect_err(|error| status.fill(-error.errno()));
            }
        }
        Ok(())
    }

    /// Changes up to [`BATCH`] entries. After an error the fate of all of them is told, and nothing more should be sent.
    fn chunk(
        &mut self,
        link: &mut Link,
        chunk: &[Entry],
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.requests.clear();
        self.targets.clear();
        if let Err(error) = self.find(link, chunk) {
            status.fill(-error.errno());
            outcome.fail(chunk.len() as u64, || error.clone());
            return Err(error);
        }
        for (at, given) in chunk.iter().enumerate() {
            let (target, by) = match self.found.get(at) {
                None | Some(Found::NotAsked) => (given, By::default_of(given)),
                Some(Found::Entry(entry, by)) => (entry, *by),
                Some(Found::Missing) => {
                    status[at] = -libc::ENOENT;
                    outcome.gone += 1;
                    continue;
                }
                Some(Found::Refused(errno)) => {
                    status[at] = -errno;
                    outcome.fail(1, || link.refused(self.op, *errno, KernelDetail::default()));
                    continue;
                }
            };
            if let Err(error) = self.requests.push(|buffer, seq| (self.put)(buffer, seq, given, target, by)) {
                outcome.fail((chunk.len() - at + self.targets.len()) as u64, || error.clone());
                return Err(error);
            }
            self.targets.push(at);
        }
        self.send(link, status, outcome)?;
        if self.try_other && self.targets.iter().any(|&at| status[at] == -libc::ENOENT) {
            return self.again(link, chunk, status, outcome);
        }
        Ok(())
    }

    fn send(&mut self, link: &mut Link, status: &mut [i32], outcome: &mut Outcome) -> Result<(), Error> {
        if self.targets.is_empty() {
            return Ok(());
        }
        let targets = &self.targets;
        run_batch(link, &mut self.requests, outcome, |at, errno| status[targets[at]] = errno)
    }

    /// Those that were not found, by their other tuple.
    fn again(
        &mut self,
        link: &mut Link,
        chunk: &[Entry],
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.requests.clear();
        let sent = std::mem::take(&mut self.targets);
        for at in sent.into_iter().filter(|&at| status[at] == -libc::ENOENT) {
            let (target, by) = match self.found.get(at) {
                Some(Found::Entry(entry, by)) => (entry, *by),
                _ => (&chunk[at], By::default_of(&chunk[at])),
            };
            if target.has(CT_HAS_ID | CT_HAS_ORIG | CT_HAS_REPLY) {
                self.requests.push(|buffer, seq| (self.put)(buffer, seq, &chunk[at], target, by.other()))?;
                self.targets.push(at);
            }
        }
        // They are counted again.
        outcome.gone -= self.targets.len() as u64;
        self.send(link, status, outcome)
    }

    /// Looks those entries up that are to be looked up. Nothing at all is said if that is none of them.
    fn find(&mut self, link: &mut Link, chunk: &[Entry]) -> Result<(), Error> {
        self.found.clear();
        let wanted = |entry: &Entry| match self.look_up {
            LookUp::Never => false,
            LookUp::WithoutId => !entry.has(CT_HAS_ID),
            LookUp::Always => true,
        };
        if !chunk.iter().any(wanted) {
            return Ok(());
        }
        let (places, keys): (Vec<usize>, Vec<&Entry>) = chunk.iter().enumerate().filter(|(_, e)| wanted(e)).unzip();
        let mut found = vec![Found::Missing; keys.len()];
        find_all(link, self.op, &keys, &mut found)?;
        self.found.resize(chunk.len(), Found::NotAsked);
        for (at, found) in places.into_iter().zip(found) {
            self.found[at] = found;
        }
        if self.look_up == LookUp::Always {
            self.requests.permitted();
        }
        Ok(())
    }
}

/// What a batch answers.
struct Statuses {
    status: [i32; BATCH],
    gone: u64,
    failed: u64,
    /// The first failure.
    refusal: Option<(i32, KernelDetail)>,
}

impl Replies for Statuses {
    fn failed(&mut self, index: usize, errno: i32, detail: KernelDetail) {
        let Some(status) = self.status.get_mut(index).filter(|status| **status == PENDING) else {
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
