//! Every selected entry, in memory.

use super::count::count_if_possible;
use crate::error::Error;
use crate::filter::Selection;
use crate::transport::dump::{for_each, Visitor};
use crate::transport::link::Link;
use crate::types::Entry;

/// Appends the selected entries to `entries`.
pub(crate) fn list(link: &mut Link, selection: &Selection, entries: &mut Vec<Entry>) -> Result<(), Error> {
    const OP: &str = "list";
    let count = count_if_possible(link, OP)?;
    if count == Some(0) {
        return Ok(());
    }
    if selection.takes_everything() {
        // A hint: what cannot be reserved now may still fit as it comes.
        let _ = entries.try_reserve(usize::try_from(count.unwrap_or(0)).unwrap_or(0));
    }
    let mut keeper = Keeper { selection, start: entries.len(), entries };
    for_each(link, OP, selection.family(), &mut keeper)
}

struct Keeper<'a> {
    selection: &'a Selection,
    start: usize,
    entries: &'a mut Vec<Entry>,
}

impl Visitor for Keeper<'_> {
    fn restart(&mut self) {
        self.entries.truncate(self.start);
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        if self.selection.selects(entry) {
            self.entries.try_reserve(1).map_err(|_| Error::NoMemory { op: "list" })?;
            self.entries.push(*entry);
        }
        Ok(())
    }
}
