//! Flushes: everything, or a scope.

use super::count::count_if_possible;
use super::delete::{delete, delete_uncounted, Care, Refusal};
use super::Outcome;
use crate::error::Error;
use crate::filter::{check_scope, Filter, Selection};
use crate::transport::batch::Requests;
use crate::transport::link::Link;
use crate::types::CT_STATUS_OFFLOAD;
use crate::wire::encode::{put_flush_all, FlushEverything};

const OP: &str = "flush";

/// Deletes every entry of the network namespace in one message.
pub(crate) fn flush_all(link: &mut Link) -> Result<(), Error> {
    let mut requests = Requests::new(OP);
    requests.push(|buffer, seq| put_flush_all(buffer, seq, FlushEverything))?;
    let mut reply = Refusal(None);
    requests.exchange(link, 0, 1, &mut reply)?;
    if let Some((errno, detail)) = reply.0 {
        return Err(link.refused(OP, errno, detail));
    }
    let mut outcome = Outcome::default();
    let everything = Selection::new(&[Filter { status_set: CT_STATUS_OFFLOAD, ..Filter::default() }])?;
    mutant!("skipped-by-the-flush", delete_skipped(link, OP, &everything, &mut outcome)?, ());
    mutant!("refusals-told", outcome.error.map_or(Ok(()), Err), Ok(()))
}

/// Deletes the entries of a family, zone, mark or status: in one message, guarded so that a kernel that does not know the filter
/// refuses it; where it does, by a dump, the decision on each entry, and deletes.
pub(crate) fn flush_scope(link: &mut Link, scope: &Filter, care: Care, outcome: &mut Outcome) -> Result<(), Error> {
    let selection = check_scope(scope)?;
    if mutant!("scope-start-compared", !care.compare_start, true) && delete_uncounted(link, OP, &selection, outcome)? {
        return Ok(());
    }
    delete(link, OP, &selection, care, outcome)
}

/// A precaution: kernels are said to skip entries that are offloaded to a flow table when they flush, and to say that all is well.
/// Debian's 5.10, 6.1, 6.12 and 7.3 do not (matrix.c, group offload). What is left of those that `skipped` selects is deleted one by
/// one, and refusals are told.
pub(super) fn delete_skipped(
    link: &mut Link,
    op: &'static str,
    skipped: &Selection,
    outcome: &mut Outcome,
) -> Result<(), Error> {
    if count_if_possible(link, op)? == Some(0) {
        return Ok(());
    }
    delete(link, op, skipped, Care::default(), outcome)
}
