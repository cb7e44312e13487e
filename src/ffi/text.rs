//! Entries as text.

use super::boundary::{array_out, input, without_handle};
use crate::error::Error;
use crate::text::{write_json, write_line};
use crate::text::{CT_FORMAT_EXTENDED, CT_FORMAT_ID, CT_FORMAT_JSON, CT_FORMAT_LINE, CT_FORMAT_TIMESTAMP};
use crate::types::Entry;
use std::ffi::{c_char, c_int};
use std::fmt;
use std::mem::MaybeUninit;

/// Writes an entry as text, by the rules of snprintf(3): at most len - 1 bytes and a NUL, and nothing at all if len is 0.
///
/// The line is that of `conntrack -L`, byte for byte, but for what an entry does not hold: a security context and label
/// names. The age of an entry is read off the clock, and CT_FORMAT_TIMESTAMP uses the local time zone.
///
/// @param e the entry
/// @param format CT_FORMAT_LINE, perhaps with CT_FORMAT_EXTENDED, CT_FORMAT_ID and CT_FORMAT_TIMESTAMP; or CT_FORMAT_JSON
/// @param buf where to write; NULL if len is 0
/// @param len its size. 1024 is always enough for a line
/// @return the length of the whole text without its NUL, or -EINVAL
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_entry_format(e: *const Entry, format: u32, buf: *mut c_char, len: usize) -> c_int {
    without_handle(|| {
        // SAFETY: the caller's promise.
        let (entry, buffer) = unsafe { (input(e, "entry")?, array_out(buf.cast::<u8>(), len, "buf")?) };
        let mut out = Bounded { buffer, length: 0 };
        let options = format & !(CT_FORMAT_LINE | CT_FORMAT_JSON);
        let written = match format & (CT_FORMAT_LINE | CT_FORMAT_JSON) {
            CT_FORMAT_LINE if options & !(CT_FORMAT_EXTENDED | CT_FORMAT_ID | CT_FORMAT_TIMESTAMP) == 0 => {
                write_line(&mut out, entry, options)
            }
            CT_FORMAT_JSON if options == 0 => write_json(&mut out, entry),
            _ => return Err(Error::invalid("format", "is no format")),
        };
        written.map_err(|_| Error::invalid("entry", "cannot be written"))?;
        out.terminate();
        c_int::try_from(out.length).map_err(|_| Error::invalid("entry", "is too long"))
    })
}

/// Keeps what fits and counts all.
struct Bounded<'a> {
    buffer: &'a mut [MaybeUninit<u8>],
    length: usize,
}

impl Bounded<'_> {
    fn terminate(&mut self) {
        let last = self.buffer.len().saturating_sub(1);
        if let Some(end) = self.buffer.get_mut(self.length.min(last)) {
            end.write(0);
        }
    }
}

impl fmt::Write for Bounded<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.buffer.len().saturating_sub(1);
        if self.length < room {
            for (slot, byte) in self.buffer[self.length..room].iter_mut().zip(text.bytes()) {
                slot.write(byte);
            }
        }
        self.length += text.len();
        Ok(())
    }
}
