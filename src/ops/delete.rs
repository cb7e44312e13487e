//! Deletes: by filter, and of given entries.

use super::check::{self, Purpose};
use super::count::certainly_empty;
use super::{change, run_all, LookUp, Outcome};
use crate::error::Error;
use crate::filter::Selection;
use crate::transport::batch::Requests;
use crate::transport::dump::{for_each, Visitor};
use crate::transport::link::Link;
use crate::types::*;
use crate::wire::encode::put_delete;

/// Deletes what the selection takes: a dump, the decision on each decoded entry, then deletes by tuple, zone and id.
///
/// A dump that is disturbed too often deletes nothing.
pub(crate) fn delete(
    link: &mut Link,
    op: &'static str,
    selection: &Selection,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    if certainly_empty(link, op)? {
        return Ok(());
    }
    let mut marked = Marked { selection, requests: Requests::new(op) };
    for_each(link, op, selection.family(), &mut marked)?;
    outcome.matched = marked.requests.len() as u64;
    run_all(link, &mut marked.requests, outcome)
}

struct Marked<'a> {
    selection: &'a Selection,
    requests: Requests,
}

impl Visitor for Marked<'_> {
    fn restart(&mut self) {
        self.requests.clear();
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.selection.selects(entry) {
            self.requests.push(|buffer, seq| put_delete(buffer, seq, entry))?;
        }
        Ok(())
    }
}

/// Deletes the given entries. `status[i]`: 0 deleted, -ENOENT gone, another negative errno for a failure.
pub(crate) fn delete_entries(
    link: &mut Link,
    entries: &[Entry],
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check::entries(entries, Purpose::Key)?;
    let put = |buffer: &mut Vec<u8>, seq, _: &Entry, found: &Entry| put_delete(buffer, seq, found);
    change(link, "delete_entries", entries, LookUp::WithoutId, put, status, outcome)
}
