//! The one entry that a key identifies.

use super::check::{self, Purpose};
use super::find::{Finder, Found};
use super::settle::{self, Sought};
use crate::error::Error;
use crate::socket::link::Link;
use ctnetlink::detail::KernelDetail;
use ctnetlink::types::Entry;

/// The entry that the key identifies. None: `Error::Kernel` with ENOENT.
pub(crate) fn get(link: &mut Link, key: &Entry) -> Result<Entry, Error> {
    check::one(key, Purpose::Key)?;
    let mut finder = Finder::new(false);
    finder.find(link, &[*key], |_| true, false)?;
    let missing = |link: &Link| Err(link.refused(libc::ENOENT, KernelDetail::default()));
    match finder.found.first() {
        Some(Found::Entry(entry, _)) => Ok(*entry),
        Some(Found::Refused(errno)) => Err(link.refused(*errno, KernelDetail::default())),
        Some(Found::Hidden(hider)) => {
            let mut sought = [Sought::new(0, *key, *hider)];
            settle::look(link, false, &mut sought)?;
            sought[0].entry.map_or_else(|| missing(link), Ok)
        }
        Some(Found::Missing) | None => missing(link),
    }
}
