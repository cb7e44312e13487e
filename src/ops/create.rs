//! New entries.

use super::check::{self, Purpose};
use super::{Changer, LookUp, Outcome};
use crate::error::Error;
use crate::transport::link::Link;
use crate::types::Entry;
use crate::wire::buffer::Buffer;
use crate::wire::encode::put_create;

/// Makes the given entries. `status[i]`: 0 made, -EEXIST if one of its tuples is taken, another negative errno otherwise.
pub(crate) fn create_entries(
    link: &mut Link,
    entries: &[Entry],
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check::entries(entries, Purpose::Create)?;
    let put = |buffer: &mut Buffer, seq, given: &Entry, _: &Entry, _| put_create(buffer, seq, given);
    Changer::new("create_entries", LookUp::Never, false, put).all(link, entries, status, outcome)
}
