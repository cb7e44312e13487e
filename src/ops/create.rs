//! New entries.

use super::change::{Changer, LookUp, Verb};
use super::check::{self, Purpose};
use super::Outcome;
use crate::error::Error;
use crate::transport::link::Link;
use crate::types::Entry;

/// Makes the given entries. `status[i]`: 0 made, -EEXIST if one of its tuples is taken, another negative errno otherwise.
pub(crate) fn create_entries(
    link: &mut Link,
    entries: &[Entry],
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check::entries(entries, Purpose::Create)?;
    Changer::new("create_entries", Verb::Create, LookUp::Never, false).all(link, entries, status, outcome)
}
