//! Changes to entries that exist.

use super::change::{Changer, LookUp, Verb};
use super::check::{self, Purpose};
use super::Outcome;
use crate::error::Error;
use crate::socket::link::Link;
use ctnetlink::types::Entry;

/// Changes what `has` names of the given entries. `status[i]`: 0 it is as asked, else a negative errno; that of ENOENT: gone.
///
/// They are looked up first, since the kernel compares neither direction nor id when it updates, applies one field after the
/// other until one is refused, and ignores some of what it cannot do.
pub(crate) fn update_entries(
    link: &mut Link,
    entries: &[Entry],
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check::entries(entries, Purpose::Update)?;
    Changer::new(Verb::Update, LookUp::Always, false).all(link, entries, status, outcome)
}
