//! The operations, one verb per file, over a [`Link`](crate::transport::link::Link) and with no idea of C.
//!
//! `check` what a caller may hand in; `select` runs a plan; `list`, `get`, `count`, `zone` read; `delete`, `create`, `update`,
//! `flush` change, batch by batch (`change`); `settle` looks at what no request can name.

mod change;
pub(crate) mod check;
pub(crate) mod count;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod flush;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod select;
mod settle;
pub(crate) mod update;
pub(crate) mod zone;

use crate::error::Error;

/// What an operation on many entries did. The sum of done, gone, failed and spared is what was matched.
///
/// "Matched" is not "deleted", and "already gone" is not "failed".
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Outcome {
    /// Entries that were selected or given.
    pub matched: u64,
    /// Entries that were deleted, created or updated.
    pub done: u64,
    /// Entries that were no longer there, or no longer the same one, when their turn came.
    pub gone: u64,
    /// Entries for which the kernel refused, or whose fate is not known since the kernel fell silent, or which are there but
    /// cannot be reached ([`Error::Hidden`]).
    pub failed: u64,
    /// Entries that were selected, but changed before their turn came so that they are not any more: they stay.
    pub spared: u64,
    /// The kernel deleted by itself and does not say how many entries: they are not in the sums.
    pub uncounted: bool,
    /// Start times were to be compared, but at least one deleted entry has none, and was told apart by its tuples and id alone.
    pub start_unknown: bool,
    /// The error of the first of the failed ones.
    pub error: Option<Error>,
}

impl Outcome {
    fn fail(&mut self, count: u64, error: impl FnOnce() -> Error) {
        self.failed += count;
        if count > 0 {
            self.error.get_or_insert_with(error);
        }
    }
}
