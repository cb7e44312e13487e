//! The operations, one verb per file, over a [`Link`](crate::socket::link::Link) and with no idea of C.
//!
//! `check` what a caller may hand in; `caps` what the kernel honours; `find` looks keys up; `select` runs a plan; `list`, `get`,
//! `count`, `zone`, `table`, `stats` read; `delete`, `create`, `update`, `flush` change, batch by batch (`change`); `values` what an update sends;
//! `settle` looks at what no request can name.

mod caps;
mod change;
pub mod check;
pub(crate) mod count;
pub(crate) mod create;
pub(crate) mod delete;
mod entries;
pub(crate) mod expect;
pub(crate) mod find;
pub(crate) mod flush;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod select;
mod settle;
pub(crate) mod stats;
pub(crate) mod table;
pub(crate) mod update;
mod values;
pub(crate) mod zero;
pub(crate) mod zone;

use crate::error::{Error, Failure};

/// What an operation on many entries did. The sum of done, gone, failed and spared is what was matched.
///
/// "Matched" is not "deleted", and "already gone" is not "failed".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "some entries may have failed: `into_result` makes an error of that"]
#[non_exhaustive]
pub struct Outcome {
    /// Entries that were selected or given.
    pub matched: u64,
    /// Entries that were deleted, created or updated.
    pub done: u64,
    /// Entries that were no longer there, or no longer the same one, when their turn came.
    pub gone: u64,
    /// Entries for which the kernel refused, or that are impossible ([`Error::Impossible`]), or whose fate is not known since the
    /// kernel fell silent, or which are there but cannot be reached ([`Error::Hidden`]).
    pub failed: u64,
    /// Entries that were selected, but changed before their turn came so that they are not any more: they stay.
    pub spared: u64,
    /// The kernel deleted by itself and does not say how many entries: they are not in the sums.
    pub uncounted: bool,
    /// Start times were to be compared, but at least one deleted entry has none, and was told apart by its tuples and id alone.
    pub start_unknown: bool,
    /// The error of the first of the failed ones.
    pub error: Option<Error>,
    /// Which of the given entries that is. `None` where entries were selected, and not given.
    pub first_failed: Option<usize>,
}

impl Outcome {
    /// Why entries failed: the error of the first one, which one that is and how many more. `None` if none did.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let outcome = conntrack.delete(&[ctrack::Filter::new().with_zone(7)])?;
    /// if let Some(failure) = outcome.failure() {
    ///     eprintln!("{} deleted; {failure}", outcome.done);
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn failure(&self) -> Option<Failure> {
        self.clone().into_failure()
    }

    /// How many entries were done, or an error if any of them failed. Those that were gone did not fail.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let done = conntrack.delete(&[ctrack::Filter::new().with_zone(7)])?.into_result()?;
    /// println!("{done} deleted, and none of the others is left");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_result(self) -> Result<u64, Failure> {
        let done = self.done;
        self.into_failure().map_or(Ok(done), Err)
    }

    /// The same as [`Outcome::failure`], without a copy.
    ///
    /// ```
    /// let outcome = ctrack::Outcome::default();
    /// assert_eq!(outcome.into_failure(), None);
    /// ```
    pub fn into_failure(self) -> Option<Failure> {
        let Outcome { error, first_failed, failed, .. } = self;
        error.map(|error| Failure { error, index: first_failed, more: failed.saturating_sub(1) })
    }

    /// Whether one at this place among those that were given would be the first that failed.
    fn is_first(&self, index: Option<usize>) -> bool {
        self.error.is_none() || index < self.first_failed
    }

    /// Counts entries that failed, the first of them at this place.
    #[inline(never)]
    fn fail(&mut self, count: u64, index: Option<usize>, error: &Error) {
        self.failed += count;
        if count > 0 && self.is_first(index) {
            (self.first_failed, self.error) = (index, Some(error.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_a_failure_if_an_entry_failed_and_else_how_many_were_done() {
        let mut outcome = Outcome { done: 5, gone: 2, ..Outcome::default() };
        assert_eq!(outcome.clone().into_result(), Ok(5));
        let error = Error::invalid("entries[3]", "is wrong");
        outcome.fail(3, Some(3), &error);
        assert_eq!(outcome.into_result(), Err(Failure { error, index: Some(3), more: 2 }));
    }
}
