//! Flushes: everything, or a scope.

use super::delete::{delete, delete_uncounted, Care, Refusal};
use super::Outcome;
use crate::error::Error;
use crate::filter::{check_scope, Filter};
use crate::transport::batch::Requests;
use crate::transport::link::Link;
use crate::wire::encode::{put_flush_all, FlushEverything};

const OP: &str = "flush";

/// Deletes every entry of the network namespace in one message.
pub(crate) fn flush_all(link: &mut Link) -> Result<(), Error> {
    let mut requests = Requests::new(OP);
    requests.push(|buffer, seq| put_flush_all(buffer, seq, FlushEverything))?;
    let mut reply = Refusal(None);
    requests.exchange(link, 0, 1, &mut reply)?;
    match reply.0 {
        Some((errno, detail)) => Err(link.refused(OP, errno, detail)),
        None => Ok(()),
    }
}

/// Deletes the entries of a family, zone, mark or status: in one message, guarded so that a kernel that does not know the filter
/// refuses it; where it does, by a dump, the decision on each entry, and deletes.
pub(crate) fn flush_scope(link: &mut Link, scope: &Filter, care: Care, outcome: &mut Outcome) -> Result<(), Error> {
    let selection = check_scope(scope)?;
    if !care.compare_start && delete_uncounted(link, OP, &selection, outcome)? {
        return Ok(());
    }
    delete(link, OP, &selection, care, outcome)
}
