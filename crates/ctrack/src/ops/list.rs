//! Every selected entry, in memory.

use super::select::{for_each, Visitor};
use crate::error::Error;
use crate::selection::Selection;
use crate::socket::link::Link;
use ctnetlink::types::Entry;

/// Appends the selected entries to `entries`.
pub(crate) fn list(link: &mut Link, selection: &Selection, entries: &mut Vec<Entry>) -> Result<(), Error> {
    for_each(link, selection, &mut Keeper { start: entries.len(), entries })
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

    fn expect_all(&mut self, entries: u64) {
        // A hint: what cannot be reserved now may still fit as it comes, and the kernel's word alone is not worth terabytes.
        let _ = self.entries.try_reserve(usize::try_from(entries).unwrap_or(usize::MAX).min(MOST_AT_ONCE));
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        self.entries.try_reserve(1).map_err(Error::no_memory)?;
        self.entries.push(*entry);
        Ok(())
    }
}
