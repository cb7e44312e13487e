//! What became of each of the given entries, as numbers.

use ctrack::BatchOutcome;

/// 0, or a negative errno, as the C functions have it: short to write down.
pub trait Statuses {
    fn status(&self) -> Vec<i32>;
}

impl Statuses for BatchOutcome {
    fn status(&self) -> Vec<i32> {
        self.results.iter().map(|result| result.map_or_else(|errno| -errno.0, |()| 0)).collect()
    }
}
