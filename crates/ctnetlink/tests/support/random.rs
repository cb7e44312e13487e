//! Numbers that are good enough to vary tests and benchmarks, the same for a seed: xorshift64*.

/// The state; not 0.
pub struct Random(pub u64);

impl Random {
    /// The next number; its upper bits are the better ones.
    #[allow(clippy::should_implement_trait, reason = "it has no end")]
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
