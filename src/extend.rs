//! Structs that may grow: they begin with their size, and what a caller does not know is zero.
//!
//! Smaller than in the first release: -EINVAL. Larger than this library knows: fine if the rest is zero, -E2BIG otherwise.

use ctrack::seams::text;
use ctrack::Error;
use std::borrow::Cow;
use std::ops::Range;

/// The size that a struct says it has. Nothing behind its size field is read.
///
/// # Safety
/// `pointer` is NULL, or points to a u32 that nobody changes during the call.
pub(super) unsafe fn size<T>(
    pointer: *const T,
    name: &dyn Fn(&'static str) -> Cow<'static, str>,
) -> Result<usize, Error> {
    // SAFETY: the caller's promise.
    unsafe { checked_size(pointer.cast(), pointer.is_aligned(), name) }
}

/// The same for all types: one copy.
///
/// # Safety
/// As for `size`.
unsafe fn checked_size(
    pointer: *const u8,
    aligned: bool,
    name: &dyn Fn(&'static str) -> Cow<'static, str>,
) -> Result<usize, Error> {
    if pointer.is_null() {
        return Err(Error::invalid(name(""), "is NULL"));
    }
    if !aligned {
        return Err(Error::invalid(name(""), "is not aligned"));
    }
    // SAFETY: the caller promises at least the size field.
    let size = unsafe { pointer.cast::<u32>().read() };
    Ok(usize::try_from(size).unwrap_or(usize::MAX))
}

/// A struct of this release from `size` bytes at `pointer`.
///
/// # Safety
/// `pointer` points to a u32, its own size in bytes, and that many initialised bytes that nobody changes during the call.
/// Any bytes are a valid T.
pub(super) unsafe fn read<T: Copy + Default>(
    pointer: *const T,
    smallest: usize,
    name: &dyn Fn(&'static str) -> Cow<'static, str>,
) -> Result<T, Error> {
    let mut value = T::default();
    // SAFETY: the caller's promise; any bytes are a valid T, and those of `value` lie nowhere else.
    unsafe {
        read_bytes(pointer.cast(), pointer.is_aligned(), (&raw mut value).cast(), size_of::<T>(), smallest, name)
    }?;
    Ok(value)
}

/// The same for all types: one copy.
///
/// # Safety
/// As for `read`; `value` points to `room` bytes of which any are valid, apart from the others.
unsafe fn read_bytes(
    pointer: *const u8,
    aligned: bool,
    value: *mut u8,
    room: usize,
    smallest: usize,
    name: &dyn Fn(&'static str) -> Cow<'static, str>,
) -> Result<(), Error> {
    // SAFETY: the caller promises at least the size field.
    let size = unsafe { checked_size(pointer, aligned, name) }?;
    if size < smallest {
        let reason = format_args!("{size} is smaller than {smallest}, the first release's");
        return Err(Error::invalid(name(".size"), text("is smaller than the first release's", reason)));
    }
    if size > MAX_SIZE {
        return Err(Error::TooNew { place: name(".size") });
    }
    // SAFETY: the caller promises `size` initialised bytes.
    let bytes = unsafe { std::slice::from_raw_parts(pointer, size) };
    let known = size.min(room);
    if bytes[known..].iter().any(|&byte| byte != 0) {
        return Err(Error::TooNew { place: name("") });
    }
    // SAFETY: both are at least `known` bytes and do not overlap (caller).
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), value, known) };
    Ok(())
}

/// Writes a part of a struct to where the caller has one.
///
/// # Safety
/// `pointer` may be written in these bytes, of which `value` has all and which are initialised there.
pub(super) unsafe fn write<T: Copy>(value: &T, pointer: *mut T, part: Range<usize>) {
    debug_assert!(part.end <= size_of::<T>());
    let from = std::ptr::from_ref(value).cast::<u8>();
    // SAFETY: the caller's promise; `value` is a struct of ours, and so lies elsewhere.
    unsafe {
        std::ptr::copy_nonoverlapping(from.add(part.start), pointer.cast::<u8>().add(part.start), part.len());
    }
}

/// No struct of this interface will ever be so large: a larger size is garbage, and must not be read through.
const MAX_SIZE: usize = 64 * 1024;
