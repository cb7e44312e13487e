//! Every selected entry, in memory.

use super::count::count_if_possible;
use super::select::{for_each, Visitor};
use crate::error::Error;
use crate::filter::Selection;
use crate::transport::link::Link;
use crate::types::Entry;

/// Appends the selected entries to `entries`.
pub(crate) fn list(link: &mut Link, selection: &Selection, entries: &mut Vec<Entry>) -> Result<(), Error> {
    const OP: &str = "list";
    if selection.takes_everything() {
        // A hint: what cannot be reserved now may still fit as it comes, and the kernel's word alone is not worth terabytes.
        let count = count_if_possible(link, OP)?.and_then(|count| usize::try_from(count).ok());
        let _ = entries.try_reserve(count.unwrap_or(0).min(MOST_AT_ONCE));
    }
    for_each(link, OP, selection, &mut Keeper { start: entries.len(), entries })
}

/// Reserved at once at most: 256 MiB.
const MOST_AT_ONCE: usize = 1 << 20;

struct Keeper<'a> {
    start: usize,
    entries: &'a mut Vec<Entry>,
}

impl Visitor for Keeper<'_> {
    fn restart(&mut self) {
        self.entries.truncate(self.start);
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        self.entries.try_reserve(1).map_err(|_| Error::NoMemory { op: "list" })?;
        self.entries.push(*entry);
        Ok(())
    }
}
