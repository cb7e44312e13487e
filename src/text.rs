//! Entries as text.

use super::boundary::{array_out, input, without_handle};
use ctnetlink::Entry;
use ctrack::seams::{with_json, with_line};
use ctrack::{Error, Format};
use std::ffi::{c_char, c_int};
use std::mem::MaybeUninit;

/// The line that `conntrack -L` prints, without a line end. Add CT_FORMAT_EXTENDED, CT_FORMAT_ID and CT_FORMAT_TIMESTAMP
/// for what its options -o extended, id and ktimestamp add. Of a key it shows the tuples that the key has; one of the reply
/// direction alone has "(reply)" in front.
pub const CT_FORMAT_LINE: u32 = 1u32 << 0;
/// One JSON object with every field that the kernel sent and struct ct_entry holds, without a line end. "zone" is always there,
/// 0 too, and is that of one direction where only that one has a zone. What the entry does not announce is not there, for example the
/// reply tuple of a key by the original one.
pub const CT_FORMAT_JSON: u32 = 1u32 << 1;
/// With CT_FORMAT_LINE: the family in front.
pub const CT_FORMAT_EXTENDED: u32 = 1u32 << 8;
/// With CT_FORMAT_LINE: the id at the end.
pub const CT_FORMAT_ID: u32 = 1u32 << 9;
/// With CT_FORMAT_LINE: the start (and stop) time, in the local time zone, if the kernel keeps it.
pub const CT_FORMAT_TIMESTAMP: u32 = 1u32 << 10;

const _: () = {
    assert!(CT_FORMAT_EXTENDED == ctrack::Format::EXTENDED.bits() && CT_FORMAT_ID == ctrack::Format::ID.bits());
    assert!(CT_FORMAT_TIMESTAMP == ctrack::Format::TIMESTAMP.bits());
};

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
        let keep = |text: Option<&[u8]>| keep(text, buffer);
        let options = format & !(CT_FORMAT_LINE | CT_FORMAT_JSON);
        match format & (CT_FORMAT_LINE | CT_FORMAT_JSON) {
            CT_FORMAT_LINE if options & !(CT_FORMAT_EXTENDED | CT_FORMAT_ID | CT_FORMAT_TIMESTAMP) == 0 => {
                with_line(entry, Format::from_bits_retain(options), keep)
            }
            CT_FORMAT_JSON if options == 0 => with_json(entry, keep),
            _ => Err(Error::invalid("format", "is no format")),
        }
    })
}

/// Writes what fits before a NUL, and the NUL. Returns the whole length.
pub(super) fn keep(text: Option<&[u8]>, buffer: &mut [MaybeUninit<u8>]) -> Result<c_int, Error> {
    let length = text.and_then(|text| c_int::try_from(text.len()).ok());
    let (Some(text), Some(length)) = (text, length) else {
        return Err(Error::invalid("entry", "is too long"));
    };
    if let Some(room) = buffer.len().checked_sub(1) {
        let kept = text.len().min(room);
        // SAFETY: `kept` is at most the length of either, and `buffer` is borrowed mutably, so the two are apart.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), buffer.as_mut_ptr().cast(), kept) };
        buffer[kept].write(0);
    }
    Ok(length)
}
