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
    const OP: &str = "get";
    check::one(key, Purpose::Key)?;
    let mut finder = Finder::new(OP, false);
    finder.find(link, &[*key], |_| true, false)?;
    let missing = |link: &Link| Err(link.refused(OP, libc::ENOENT, KernelDetail::default()));
    match finder.found.first() {
        Some(Found::Entry(entry, _)) => Ok(*entry),
        Some(Found::Refused(errno)) => Err(link.refused(OP, *errno, KernelDetail::default())),
        Some(Found::Hidden(hider)) => {
            let mut sought = [Sought::new(0, *key, *hider)];
            settle::look(link, OP, false, &mut sought)?;
            sought[0].entry.map_or_else(|| missing(link), Ok)
        }
        Some(Found::Missing) | None => missing(link),
    }
}
