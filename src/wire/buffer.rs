//! Where requests are put together.

use std::collections::TryReserveError;
use std::ops::{Deref, DerefMut};

/// Bytes to which arrays are appended.
///
/// A `Vec<u8>` would do, but in a library built for size each append is a call of its code and one of memcpy. Here it is a
/// comparison and a copy of known length.
#[derive(Debug, Default)]
pub(crate) struct Buffer {
    /// What was appended, and behind it room that holds anything.
    bytes: Vec<u8>,
    length: usize,
}

impl Buffer {
    pub fn new() -> Buffer {
        Buffer::default()
    }

    pub fn clear(&mut self) {
        self.length = 0;
    }

    /// Makes room for `count` bytes, so that appending them allocates nothing.
    #[inline]
    pub fn try_reserve(&mut self, count: usize) -> Result<(), TryReserveError> {
        if self.bytes.len() - self.length < count {
            self.bytes.try_reserve(count)?;
            self.bytes.resize(self.bytes.capacity(), 0);
        }
        Ok(())
    }

    /// Appends `count` bytes, which hold anything until they are written.
    #[inline(always)]
    pub fn append(&mut self, count: usize) -> &mut [u8] {
        let start = self.length;
        let end = start + count;
        if end > self.bytes.len() {
            self.grow(end);
        }
        self.length = end;
        &mut self.bytes[start..end]
    }

    #[cold]
    fn grow(&mut self, length: usize) {
        self.bytes.resize(2 * length, 0);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    #[inline(always)]
    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl DerefMut for Buffer {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.length]
    }
}
