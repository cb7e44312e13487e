//! What each processor counted.

use crate::error::Error;
use crate::socket::dump::Dump;
use crate::socket::link::Link;
use ctnetlink::stats::{decode_cpu, put_cpu_request, Counted, CpuStats};

/// How often it is tried before a list that is disturbed each time is an error.
const TRIES: u32 = 4;

/// Appends one for each processor that the machine may have to `stats`.
pub(crate) fn per_cpu(link: &mut Link, counted: Counted, stats: &mut Vec<CpuStats>) -> Result<(), Error> {
    let start = stats.len();
    let mut tries = 1;
    loop {
        match once(link, counted, stats) {
            Err(error) if error.is_transient() && mutant!("stats-tried-again", tries < TRIES, false) => {
                stats.truncate(start);
                tries += 1;
            }
            Err(Error::Interrupted { op, .. }) => return Err(Error::Interrupted { op, tries }),
            result => return result,
        }
    }
}

fn once(link: &mut Link, counted: Counted, stats: &mut Vec<CpuStats>) -> Result<(), Error> {
    let mut dump = Dump::start(link, counted.reply_types(), |buffer, seq| put_cpu_request(buffer, seq, counted))?;
    while let Some(payload) = dump.next(link)? {
        let one = decode_cpu(payload).map_err(Error::malformed);
        let one = one.and_then(|one| stats.try_reserve(1).map_err(Error::no_memory).map(|()| one));
        match one {
            Ok(one) => stats.push(one),
            Err(error) => return Err(crate::socket::dump::failed(link, error)),
        }
    }
    Ok(())
}
