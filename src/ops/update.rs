//! Changes to entries that exist.

use super::check::{self, Purpose};
use super::{Changer, LookUp, Outcome};
use crate::error::Error;
use crate::transport::link::Link;
use crate::types::Entry;
use crate::wire::buffer::Buffer;
use crate::wire::encode::put_update;

/// Changes what `has` names of the given entries. `status[i]`: 0 changed, -ENOENT gone, another negative errno otherwise.
///
/// They are looked up first, since the kernel compares neither direction nor id when it updates.
pub(crate) fn update_entries(
    link: &mut Link,
    entries: &[Entry],
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check::entries(entries, Purpose::Update)?;
    let put = |buffer: &mut Buffer, seq, given: &Entry, found: &Entry, by| put_update(buffer, seq, found, by, given);
    Changer::new("update_entries", LookUp::Always, false, put).all(link, entries, status, outcome)
}
