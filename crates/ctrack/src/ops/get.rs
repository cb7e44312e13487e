//! The one entry that a key identifies.

use super::check::{self, Purpose};
use super::find::{Finder, Found};
use super::settle::{self, Sought};
use crate::error::Error;
use crate::socket::link::{About, Link};
use ctnetlink::detail::KernelDetail;
use ctnetlink::types::Entry;

/// The entry that the key identifies. `None`: it is not there.
pub(crate) fn get(link: &mut Link, key: &Entry) -> Result<Option<Entry>, Error> {
    check::one(key, Purpose::Key)?;
    let mut finder = Finder::new(false);
    finder.find(link, &[*key], |_| true, false)?;
    match finder.found.first() {
        Some(Found::Entry(entry, _)) => Ok(Some(*entry)),
        Some(Found::Refused(errno)) => Err(link.refused(About::Caller, *errno, KernelDetail::default())),
        Some(Found::Hidden(hider)) => {
            let mut sought = [Sought::new(0, *key, *hider)];
            settle::look(link, false, &mut sought)?;
            Ok(sought[0].entry)
        }
        Some(Found::Missing) | None => Ok(None),
    }
}
