//! A zone that no entry is in: one dump, however many zones are searched.

use super::select::{for_each, Visitor};
use crate::error::{text, Error};
use crate::selection::Selection;
use crate::socket::link::Link;
use ctnetlink::types::*;

/// The lowest zone from `first` to `last` that no entry is in, in either direction.
pub(crate) fn find_free(link: &mut Link, first: u16, last: u16) -> Result<u16, Error> {
    if first > last {
        let reason = format_args!("zone range {first}-{last} is upside down");
        return Err(Error::invalid("first", text("zone range is upside down", reason)));
    }
    const ZONES: usize = u16::MAX as usize + 1;
    let mut zones = Zones { used: Vec::new() };
    zones.used.try_reserve_exact(ZONES).map_err(Error::no_memory)?;
    zones.used.resize(ZONES, false);
    for_each(link, &Selection::default(), &mut zones)?;
    (first..=last).find(|zone| !zones.used[usize::from(*zone)]).ok_or(Error::NoFreeZone { first, last })
}

struct Zones {
    used: Vec<bool>,
}

impl Visitor for Zones {
    fn restart(&mut self) {
        self.used.fill(false);
    }

    fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
        // An entry with a zone in one direction is in zone 0 in the other one.
        for zone in [entry.orig.zone, mutant!("zone-of-replies", entry.reply.zone, 0)] {
            if let Some(used) = usize::try_from(zone).ok().and_then(|zone| self.used.get_mut(zone)) {
                *used = true;
            }
        }
        Ok(())
    }
}
