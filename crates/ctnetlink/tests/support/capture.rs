//! What a kernel sent of a real table (`tests/data`), for any byte order.

use super::wire::{self, attr, requests_in, NESTED};

pub const GOLDEN: &[u8] = include_bytes!("../data/dump-6.18.bin");
pub const LITTLE: bool = cfg!(target_endian = "little");
/// Bytes of the kernel's unsigned long, of which it makes its labels.
pub const LONG: usize = size_of::<std::ffi::c_ulong>();

/// Bytes of labels: from the order of a little-endian machine, which is that of their numbers, to this one's, and back.
pub fn labels_here(bytes: &[u8]) -> Vec<u8> {
    let swapped = |long: &[u8]| long.iter().rev().copied().collect::<Vec<u8>>();
    bytes.chunks(LONG).flat_map(|long| if LITTLE { long.to_vec() } else { swapped(long) }).collect()
}

/// Attributes of a little-endian machine as those of this one: their headers, and the labels, are in its own byte order. All
/// else is in that of the network.
pub fn attributes_here(mut bytes: &[u8], top: bool) -> Vec<u8> {
    let mut here = Vec::new();
    while !bytes.is_empty() {
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let (length, kind) = (usize::from(half(0)), half(2));
        let value = match kind {
            22 if top => labels_here(&bytes[4..length]),
            _ if kind & NESTED != 0 => attributes_here(&bytes[4..length], false),
            _ => bytes[4..length].to_vec(),
        };
        here.extend(attr(kind, &value));
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
    }
    here
}

/// A capture, as a kernel of this machine's byte order would have sent it.
pub fn capture_here(mut rest: &[u8]) -> Vec<u8> {
    let mut here = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| u32::from_le_bytes(rest[at..at + 4].try_into().unwrap());
        let half = |at: usize| u16::from_le_bytes([rest[at], rest[at + 1]]);
        let (message, behind) = rest.split_at(word(0) as usize);
        let payload = [&message[16..20], &attributes_here(&message[20..], true)].concat();
        here.extend(wire::message(half(4), half(6), word(8), word(12), &payload));
        rest = behind;
    }
    here
}

pub fn golden() -> Vec<Vec<u8>> {
    requests_in(&capture_here(GOLDEN))
        .into_iter()
        .map(|message| {
            assert_eq!((message.kind, message.flags & 0x2), (0x100, 0x2));
            message.payload
        })
        .collect()
}
