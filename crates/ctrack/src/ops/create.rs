//! New entries.

use super::caps;
use super::change::{Changer, LookUp, Verb};
use super::check::{self, Purpose};
use super::Outcome;
use crate::error::Error;
use crate::socket::link::Link;
use ctnetlink::types::Entry;

/// Makes the given entries, each as it is given or not at all. `status[i]`: 0 made, else a negative errno; that of EEXIST: one
/// of its tuples is taken.
pub(crate) fn create_entries(
    link: &mut Link,
    entries: &[Entry],
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check::entries(entries, Purpose::Create)?;
    let asked = entries.iter().fold(0, |asked, entry| asked | caps::maybe_portless(entry));
    let portless = caps::portless(link, asked)?;
    Changer::new(Verb::Create { portless }, LookUp::Never, false).all(link, entries, status, outcome)
}
