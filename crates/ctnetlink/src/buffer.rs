//! Where requests are put together.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;
use core::ops::{Deref, DerefMut};

/// Room for the longest request: a create with everything has about 400 bytes.
pub const LONGEST_REQUEST: usize = 512;

/// Bytes to which arrays are appended.
///
/// A `Vec<u8>` would do, but in a library built for size each append is a call of its code and one of memcpy. Here it is a
/// comparison and a copy of known length.
///
/// ```
/// use ctnetlink::buffer::Buffer;
/// let mut buffer = Buffer::new();
/// buffer.append(2).copy_from_slice(b"to");
/// assert_eq!(&buffer[..], b"to");
/// buffer.clear();
/// // Where running out of memory must not end the process.
/// buffer.try_reserve(1000)?;
/// let for_one = Buffer::for_a_request()?;
/// assert!(buffer.is_empty() && for_one.is_empty());
/// # Ok::<(), std::collections::TryReserveError>(())
/// ```
#[derive(Debug, Default)]
pub struct Buffer {
    /// What was appended, and behind it room that holds anything.
    bytes: Vec<u8>,
    length: usize,
}

impl Buffer {
    /// An empty one. Allocates nothing.
    pub fn new() -> Buffer {
        Buffer::default()
    }

    /// An empty one with room for a request.
    pub fn for_a_request() -> Result<Buffer, TryReserveError> {
        let mut buffer = Buffer::new();
        buffer.try_reserve(LONGEST_REQUEST)?;
        Ok(buffer)
    }

    /// Forgets what was appended, and keeps the room.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::put_create;
    use crate::kernel_filter::{put_dump, KernelFilter, Side};
    use crate::types::*;

    #[test]
    fn no_request_is_longer_than_the_room_that_is_made_for_it() {
        let full = Some([255; 16]);
        let side = Side { src: full, dst: full, sport: Some(1), dport: Some(2) };
        let masked = Some(Masked { value: 1, mask: 1 });
        let mut dump = Buffer::new();
        let filter = KernelFilter {
            family: Family::IPV6,
            zone: Some(1),
            mark: masked,
            status: masked,
            proto: Some(Proto::TCP),
            orig: side.clone(),
            reply: side,
            icmp: (Some(1), Some(2), Some(3)),
        };
        put_dump(&mut dump, 1, &filter);
        assert!((200..=LONGEST_REQUEST).contains(&dump.len()), "a dump has {} bytes", dump.len());
        for (proto, has) in [
            (Proto::TCP, Has::TCP_STATE | Has::TCP_FLAGS | Has::TCP_WSCALE),
            (Proto::SCTP, Has::SCTP),
            (Proto::ICMPV6, Has::ICMP),
        ] {
            let mut create = Buffer::new();
            let ports = if proto.has_ports() { Has::PORTS } else { Has::empty() };
            let entry = Entry {
                has: Has::KNOWN & !Has::PORTS & !Has::ICMP | has | ports,
                family: Family::IPV6,
                proto,
                status: Status::SRC_NAT | Status::DST_NAT,
                helper: [b'x' as core::ffi::c_char; 16],
                ..Entry::EMPTY
            };
            put_create(&mut create, 1, &entry);
            assert!((300..=LONGEST_REQUEST).contains(&create.len()), "a create has {} bytes", create.len());
        }
    }
}
