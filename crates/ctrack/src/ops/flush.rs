//! Flushes: everything, or a scope.

use super::caps::flushes_by_filter;
use super::count::count_if_possible;
use super::delete::{delete, delete_uncounted, Care};
use super::Outcome;
use crate::error::Error;
use crate::filter::Filter;
use crate::selection::{check_scope, Selection};
use crate::socket::batch::refusal;
use crate::socket::link::{About, Link};
use ctnetlink::encode::{put_flush_all, FlushEverything};
use ctnetlink::types::*;

/// Deletes every entry of the network namespace in one message.
pub(crate) fn flush_all(link: &mut Link) -> Result<(), Error> {
    if let Some((errno, detail)) = refusal(link, &|buffer, seq| put_flush_all(buffer, seq, FlushEverything))? {
        return Err(link.refused(About::Caller, errno, detail));
    }
    mutant!("skipped-by-the-flush", delete_skipped(link), Ok(()))
}

/// Deletes the entries of a family, zone, mark or status: in one message, guarded so that a kernel that does not know the filter
/// refuses it; where it does, by a dump, the decision on each entry, and deletes.
pub(crate) fn flush_scope(link: &mut Link, scope: &Filter, care: Care, outcome: &mut Outcome) -> Result<(), Error> {
    let selection = check_scope(scope)?;
    if mutant!("scope-start-compared", !care.compare_start, true) && delete_uncounted(link, &selection, outcome)? {
        return Ok(());
    }
    delete(link, &selection, care, outcome)
}

/// A precaution: kernels before 6.4 are said to skip entries that are offloaded to a flow table when they flush, and to say that
/// all is well. Debian's 5.10, 6.1, 6.12 and 7.3 do not (tests/kernels/matrix, group offload). A kernel that flushes by CTA_FILTER (6.12) is
/// later than that. On others the offloaded entries that are left are deleted one by one, and refusals are told.
fn delete_skipped(link: &mut Link) -> Result<(), Error> {
    if count_if_possible(link)? == Some(0) || flushes_by_filter(link)? {
        return Ok(());
    }
    let mut outcome = Outcome::default();
    let status_set = mutant!("skipped-are-offloaded", Status::OFFLOAD, Status::CONFIRMED);
    let skipped = Selection::new(&[Filter { status_set, ..Filter::default() }])?;
    delete(link, &skipped, Care::default(), &mut outcome)?;
    mutant!("refusals-told", outcome.error.map_or(Ok(()), Err), Ok(()))
}
