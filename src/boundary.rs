//! The one way from C into the library and back: cancellation, NULL checks, panics, errors to negative errno. `call` adds what
//! a handle needs.

use super::cancel;
use ctrack::Error;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

/// The negative errno for C. Every errno is positive and small.
pub(super) fn negative(errno: i32) -> c_int {
    -errno.abs().max(1)
}

/// Puts errno back to what the caller had: the header promises that it is left alone.
pub(super) struct Errno(c_int);

impl Errno {
    pub fn keep() -> Errno {
        // SAFETY: points to this thread's errno, always.
        Errno(unsafe { *libc::__errno_location() })
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as above.
        mutant!("errno-kept", unsafe { *libc::__errno_location() = self.0 }, ());
    }
}

/// Runs all of a call without a cancellation point: pthread_cancel() has its effect behind it.
///
/// A thread is cancelled by unwinding its stack, through whatever it is doing: from within [`contained`] that would end in
/// catch_unwind(), and the process with it ("exception not rethrown"), and under musl nothing at all is dropped. It can still
/// end in the exported function itself, before and after the call, if it may be cancelled asynchronously. So that function
/// must be a plain one, without anything to drop and without a table of what to do when it is unwound; that is why all the
/// rest is in a function of its own, which never unwinds.
#[inline(always)]
pub(super) fn uncancelled<T>(work: impl FnOnce() -> T) -> T {
    let before = cancel::hold_cancellation();
    let result = contained(work);
    cancel::release_cancellation(before);
    result
}

#[inline(never)]
extern "C" fn contained<T, F: FnOnce() -> T>(work: F) -> T {
    work()
}

/// Runs what needs no handle, with every panic caught.
#[inline(always)]
pub(super) fn without_handle(operation: impl FnOnce() -> Result<c_int, Error>) -> c_int {
    uncancelled(|| {
        let _errno = Errno::keep();
        match catch_unwind(AssertUnwindSafe(operation)) {
            Ok(Ok(value)) => value,
            Ok(Err(error)) => negative(error.errno()),
            Err(_) => -libc::ENOTRECOVERABLE,
        }
    })
}

/// Held while a thread uses a handle.
pub(super) struct Lock<'a>(&'a AtomicBool);

impl<'a> Lock<'a> {
    pub fn take(busy: &'a AtomicBool) -> Option<Self> {
        busy.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok().map(|_| Lock(busy))
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Where a result goes. NULL is an error, so that nobody forgets to look.
///
/// # Safety
/// `pointer` is NULL or may be written (header: every `ret_x`).
pub(super) unsafe fn out<'a, T>(pointer: *mut T, name: &'static str) -> Result<&'a mut MaybeUninit<T>, Error> {
    let pointer = checked(pointer.cast::<MaybeUninit<T>>(), 1, name)?;
    // SAFETY: the caller promises so, and it is aligned; MaybeUninit asks nothing of what is there.
    Ok(unsafe { &mut *pointer.as_ptr() })
}

/// One struct to read.
///
/// # Safety
/// `pointer` is NULL or points to an initialised T that nobody changes during the call.
pub(super) unsafe fn input<'a, T>(pointer: *const T, name: &'static str) -> Result<&'a T, Error> {
    let pointer = checked(pointer.cast_mut(), 1, name)?;
    // SAFETY: the caller promises so, and it is aligned.
    Ok(unsafe { &*pointer.as_ptr() })
}

/// An array to read. NULL is fine if it is empty.
///
/// # Safety
/// `pointer` points to `count` initialised elements that nobody changes during the call, or `count` is 0.
pub(super) unsafe fn array<'a, T>(pointer: *const T, count: usize, name: &'static str) -> Result<&'a [T], Error> {
    let pointer = checked(pointer.cast_mut(), count, name)?;
    // SAFETY: the caller promises `count` elements; `checked` made it dangling if there are none.
    Ok(unsafe { std::slice::from_raw_parts(pointer.as_ptr(), count) })
}

/// An array to fill.
///
/// # Safety
/// `pointer` points to `count` elements that may be written, or `count` is 0.
pub(super) unsafe fn array_out<'a, T>(
    pointer: *mut T,
    count: usize,
    name: &'static str,
) -> Result<&'a mut [MaybeUninit<T>], Error> {
    let pointer = checked(pointer.cast::<MaybeUninit<T>>(), count, name)?;
    // SAFETY: as in `array`; MaybeUninit asks nothing of what is there.
    Ok(unsafe { std::slice::from_raw_parts_mut(pointer.as_ptr(), count) })
}

/// Whether there can be so many elements.
pub(super) fn countable<T>(count: usize, name: &'static str) -> Result<(), Error> {
    if count > isize::MAX as usize / size_of::<T>() {
        return Err(Error::invalid(name, "has more elements than memory can hold"));
    }
    Ok(())
}

fn checked<T>(pointer: *mut T, count: usize, name: &'static str) -> Result<NonNull<T>, Error> {
    if count == 0 {
        return Ok(NonNull::dangling());
    }
    countable::<T>(count, name)?;
    let pointer = NonNull::new(pointer).ok_or_else(|| Error::invalid(name, "is NULL"))?;
    if !pointer.is_aligned() {
        return Err(Error::invalid(name, "is not aligned"));
    }
    Ok(pointer)
}
