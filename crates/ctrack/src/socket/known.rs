//! What was found out of the kernel behind a transport, kept for whoever wants to know again: `ops::caps` measures it.

use std::sync::atomic::{AtomicU32, Ordering};

/// What is known, as bits: each capability has one for "known" and one for "honoured".
#[derive(Debug, Default)]
pub struct Known(AtomicU32);

impl Known {
    /// Nothing is known yet.
    pub const fn nothing() -> Known {
        Known(AtomicU32::new(0))
    }

    /// Whether a capability, by its number, is honoured; `None`: not known.
    pub(crate) fn get(&self, capability: u32) -> Option<bool> {
        let bits = self.0.load(Ordering::Relaxed) >> (2 * capability);
        (bits & 1 != 0).then_some(bits & 2 != 0)
    }

    /// From now on it is known.
    pub(crate) fn set(&self, capability: u32, honoured: bool) {
        let bits = if honoured { 3 } else { 1 };
        self.0.fetch_or(bits << (2 * capability), Ordering::Relaxed);
    }
}
