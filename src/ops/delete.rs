//! Deletes: by filter, and of given entries.

use super::check::{self, Purpose};
use super::count::count_if_possible;
use super::list::list;
use super::select::{for_each, Visitor};
use super::{change, run_all, LookUp, Outcome};
use crate::caps::caps;
use crate::error::{Error, KernelDetail};
use crate::filter::Selection;
use crate::plan::exact_flush;
use crate::transport::batch::{Replies, Requests};
use crate::transport::link::Link;
use crate::types::*;
use crate::wire::encode::put_delete;
use crate::wire::kernel_filter::{put_guarded_flush, put_tuple_flush, FlushFilterProven};

/// How much care a delete takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Care {
    /// Compare the start time too, which takes a look-up for each entry.
    pub compare_start: bool,
}

/// Deletes what the selection takes: a dump, the decision on each decoded entry, then deletes by tuple, zone and id.
///
/// A dump that is disturbed too often deletes nothing.
pub(crate) fn delete(
    link: &mut Link,
    op: &'static str,
    selection: &Selection,
    care: Care,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    if care.compare_start {
        let mut entries = Vec::new();
        list(link, selection, &mut entries)?;
        return change(link, op, &entries, LookUp::Always, put_found, &mut vec![0; entries.len()], outcome);
    }
    let mut marked = Marked { requests: Requests::new(op) };
    for_each(link, op, selection, &mut marked)?;
    outcome.matched = marked.requests.len() as u64;
    run_all(link, &mut marked.requests, outcome)
}

struct Marked {
    requests: Requests,
}

impl Visitor for Marked {
    fn restart(&mut self) {
        self.requests.clear();
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        self.requests.push(|buffer, seq| put_delete(buffer, seq, entry))
    }
}

/// Deletes the given entries. `status[i]`: 0 deleted, -ENOENT gone, another negative errno for a failure.
pub(crate) fn delete_entries(
    link: &mut Link,
    entries: &[Entry],
    care: Care,
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check::entries(entries, Purpose::Key)?;
    let look_up = if care.compare_start { LookUp::Always } else { LookUp::WithoutId };
    change(link, "delete_entries", entries, look_up, put_found, status, outcome)
}

fn put_found(buffer: &mut Vec<u8>, seq: u32, _: &Entry, found: &Entry) {
    put_delete(buffer, seq, found);
}

/// Lets the kernel delete what the selection takes, in one message for each filter, if that is exact for these filters on this
/// kernel. `false`: it is not, or the kernel would not; then nothing that the selection does not take was deleted.
pub(crate) fn delete_uncounted(link: &mut Link, op: &'static str, selection: &Selection) -> Result<bool, Error> {
    if selection.excludes() || selection.include().is_empty() || selection.include().len() > MOST_FLUSHES {
        return Ok(false);
    }
    if count_if_possible(link, op)? == Some(0) {
        // Nothing to ask the kernel about.
        return Ok(false);
    }
    let caps = caps(link, op, false)?;
    let filters: Option<Vec<_>> = selection.include().iter().map(|matcher| exact_flush(matcher, caps)).collect();
    let Some(filters) = filters else {
        return Ok(false);
    };
    let proven = caps.flush.then_some(FlushFilterProven);
    for filter in filters {
        let mut requests = Requests::new(op);
        match (filter.has_tuple(), proven) {
            (true, Some(proven)) => requests.push(|buffer, seq| put_tuple_flush(buffer, seq, &filter, proven))?,
            (true, None) => return Ok(false),
            (false, _) => requests.push(|buffer, seq| put_guarded_flush(buffer, seq, &filter))?,
        }
        let mut reply = Refusal(None);
        requests.exchange(link, 0, 1, &mut reply)?;
        match reply.0 {
            None => {}
            // What kernels say that do not flush by CTA_FILTER, or not by this.
            Some((libc::ENOENT | libc::EOPNOTSUPP | libc::EINVAL, _)) => return Ok(false),
            Some((errno, detail)) => return Err(link.refused(op, errno, detail)),
        }
    }
    Ok(true)
}

/// Each is a walk over the whole table; a dump and deletes soon cost less.
const MOST_FLUSHES: usize = 4;

/// The kernel's refusal of a single request.
pub(super) struct Refusal(pub Option<(i32, KernelDetail)>);

impl Replies for Refusal {
    fn failed(&mut self, _: usize, errno: i32, detail: KernelDetail) {
        self.0 = Some((errno, detail));
    }
}
