//! The one way from C into the library and back: cancellation, NULL checks, exclusive use, panics, errors to negative errno.

use super::handle::{ct_handle, Inner};
use crate::conntrack::Conntrack;
use crate::error::{Error, Failure};
use crate::sys::{self, Kinship};
use std::ffi::c_int;
use std::fmt::Display;
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
    let before = sys::hold_cancellation();
    let result = contained(work);
    sys::release_cancellation(before);
    result
}

#[inline(never)]
extern "C" fn contained<T, F: FnOnce() -> T>(work: F) -> T {
    work()
}

/// Runs an operation on a handle: alone, in the process that opened it, and with every panic caught.
///
/// The error text of the handle is set on failure and cleared on success.
///
/// # Safety
/// `handle` is NULL or came from `ct_handle_open` and was not closed since (header, "Ownership").
#[inline(always)]
pub(super) unsafe fn with_handle(
    handle: *mut ct_handle,
    operation: impl FnOnce(&mut Conntrack) -> Result<c_int, Error>,
) -> c_int {
    // SAFETY: the caller's promise.
    uncancelled(|| unsafe { on_handle(handle, |conntrack| Ok(operation(conntrack)?)) })
}

/// What [`with_handle`] does, for those that have more to do in the same call. Only within [`uncancelled`].
///
/// # Safety
/// As for `with_handle`.
pub(super) unsafe fn on_handle(
    handle: *mut ct_handle,
    operation: impl FnOnce(&mut Conntrack) -> Result<c_int, Failure>,
) -> c_int {
    let _errno = Errno::keep();
    // SAFETY: the caller's promise.
    let (inner, _lock) = match unsafe { enter(handle) } {
        Ok(entered) => entered,
        Err(refused) => return refused,
    };
    match catch_unwind(AssertUnwindSafe(|| operation(&mut inner.conntrack))) {
        Ok(Ok(value)) => value,
        Ok(Err(failure)) => tell(inner, &failure, failure.error.errno()),
        Err(_) => poison(inner),
    }
}

/// Lets one thread at a time in, of the process that opened the handle, and clears the error text. One copy for all operations.
///
/// # Safety
/// As for `with_handle`.
#[inline(never)]
unsafe fn enter<'a>(handle: *mut ct_handle) -> Result<(&'a mut Inner, Lock<'a>), c_int> {
    // SAFETY: the caller promises a live handle or NULL; only its atomic `busy` is touched before the lock is held.
    let Some(handle) = (unsafe { handle.as_ref() }) else {
        return Err(-libc::EINVAL);
    };
    // Before the lock: a thread of the parent may have held it when the child was made, and never lets go of the child's copy.
    if mutant!("no-childs-handle", handle.opener.kinship() != Kinship::Same, false) {
        return Err(-libc::ECHILD);
    }
    let Some(lock) = Lock::take(&handle.busy) else {
        return Err(-libc::EBUSY);
    };
    // SAFETY: the lock says that no other thread has this handle as long as it lives.
    let inner = unsafe { &mut *handle.inner.get() };
    if mutant!("poisoned", inner.poisoned, false) {
        let text = "an earlier call on this handle hit an internal error; close it and open a new one";
        return Err(tell(inner, &text, libc::ENOTRECOVERABLE));
    }
    inner.say(&"");
    Ok((inner, lock))
}

#[cold]
#[inline(never)]
fn poison(inner: &mut Inner) -> c_int {
    inner.poisoned = true;
    tell(inner, &"internal error: please report it; the handle is unusable from now on", libc::ENOTRECOVERABLE)
}

/// Sets the error text. One copy for all operations.
#[cold]
#[inline(never)]
fn tell(inner: &mut Inner, text: &dyn Display, errno: c_int) -> c_int {
    inner.say(text);
    negative(errno)
}

/// The same without a handle.
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
