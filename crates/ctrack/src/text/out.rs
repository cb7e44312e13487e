//! What a text is put together from. Not core::fmt, which takes more than twice as long.

use std::net::Ipv6Addr;

/// A text in a buffer of fixed size: keeps what fits, counts all, allocates nothing.
pub(super) struct Out<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Out<'a> {
    pub fn new(buffer: &'a mut [u8]) -> Out<'a> {
        Out { buffer, length: 0 }
    }

    /// The text. `None` if it did not fit.
    pub fn finish(self) -> Option<&'a [u8]> {
        self.buffer.get(..self.length)
    }

    /// How long the text is by now.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Another byte in place of one that is there.
    pub fn replace(&mut self, at: usize, byte: u8) {
        if let Some(old) = self.buffer.get_mut(at) {
            *old = byte;
        }
    }

    // Out of line, as is `labelled`: inlined all over, they made the library 1.7 KB larger.
    #[inline(never)]
    pub fn put(&mut self, text: &str) {
        self.copy(text);
    }

    #[inline(always)]
    fn copy(&mut self, text: &str) {
        let end = self.length + text.len();
        if let Some(room) = self.buffer.get_mut(self.length..end) {
            room.copy_from_slice(text.as_bytes());
        }
        self.length = end;
    }

    #[inline(never)]
    pub fn byte(&mut self, byte: u8) {
        self.push(byte);
    }

    #[inline(always)]
    fn push(&mut self, byte: u8) {
        if let Some(room) = self.buffer.get_mut(self.length) {
            *room = byte;
        }
        self.length += 1;
    }

    /// In decimal.
    pub fn number(&mut self, number: impl Into<u64>) {
        self.labelled("", number.into());
    }

    /// A label and a number in decimal.
    pub fn field(&mut self, label: &str, number: impl Into<u64>) {
        self.labelled(label, number.into());
    }

    #[inline(never)]
    fn labelled(&mut self, label: &str, mut rest: u64) {
        self.copy(label);
        let width = rest.checked_ilog10().map_or(1, |log| log as usize + 1);
        let end = self.length + width;
        if let Some(room) = self.buffer.get_mut(self.length..end) {
            // Two at a time: a division waits for the one before it.
            let mut pairs = room.rchunks_exact_mut(2);
            for pair in &mut pairs {
                let two = (rest % 100) as u8;
                rest /= 100;
                pair.copy_from_slice(&[b'0' + two / 10, b'0' + two % 10]);
            }
            if let [first] = pairs.into_remainder() {
                *first = b'0' + rest as u8;
            }
        }
        self.length = end;
    }

    /// In decimal, at least two wide.
    pub fn two(&mut self, fill: u8, number: u64) {
        if number < 10 {
            self.byte(fill);
        }
        self.number(number);
    }

    /// In decimal, with leading zeros up to `width`.
    pub fn padded(&mut self, number: u64, width: u32) {
        let used = number.checked_ilog10().map_or(1, |log| log + 1);
        (used..width).for_each(|_| self.push(b'0'));
        self.number(number);
    }

    /// In hexadecimal with lower-case digits, without leading zeros but for those that `width` asks for.
    pub fn hex(&mut self, number: u32, width: u32) {
        let used = (32 - number.leading_zeros()).div_ceil(4);
        for digit in (0..used.max(width)).rev() {
            let value = (number >> (4 * digit) & 15) as u8;
            self.push(if value < 10 { b'0' + value } else { b'a' - 10 + value });
        }
    }

    /// Bytes that are UTF-8 or should be. Each stretch that is not becomes U+FFFD.
    pub fn lossy(&mut self, bytes: &[u8]) {
        for chunk in bytes.utf8_chunks() {
            self.put(chunk.valid());
            if !chunk.invalid().is_empty() {
                self.put("\u{fffd}");
            }
        }
    }

    pub fn ipv4(&mut self, octets: [u8; 4]) {
        let mut at = self.length;
        let mut put = |byte| {
            if let Some(room) = self.buffer.get_mut(at) {
                *room = byte;
            }
            at += 1;
        };
        for (place, octet) in octets.into_iter().enumerate() {
            if place > 0 {
                put(b'.');
            }
            if octet >= 100 {
                put(b'0' + octet / 100);
            }
            if octet >= 10 {
                put(b'0' + octet / 10 % 10);
            }
            put(b'0' + octet % 10);
        }
        self.length = at;
    }

    /// As inet_ntop(3) writes it: by RFC 5952, and ::1.2.3.4 and ::ffff:1.2.3.4 dotted.
    pub fn ipv6(&mut self, address: [u8; 16]) {
        let groups = Ipv6Addr::from(address).segments();
        let [.., a, b, c, d] = address;
        match groups {
            [0, 0, 0, 0, 0, 0, high, _] if high != 0 => self.put("::"),
            [0, 0, 0, 0, 0, 0xffff, ..] => self.put("::ffff:"),
            _ => return self.groups(groups),
        }
        self.ipv4([a, b, c, d]);
    }

    fn groups(&mut self, groups: [u16; 8]) {
        // The first of the longest runs of zeros, if it is longer than one.
        let (mut zeros, mut longest, mut run) = (9..9, 1, 0);
        for (at, group) in groups.into_iter().enumerate() {
            run = if group == 0 { run + 1 } else { 0 };
            if run > longest {
                (zeros, longest) = (at + 1 - run..at + 1, run);
            }
        }
        for (at, group) in groups.into_iter().enumerate() {
            if zeros.contains(&at) {
                continue;
            }
            if at == zeros.end {
                self.put("::");
            } else if at > 0 {
                self.byte(b':');
            }
            self.hex(group.into(), 1);
        }
        if zeros.end == groups.len() {
            self.put("::");
        }
    }
}
