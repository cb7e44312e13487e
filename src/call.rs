//! A call on a handle: exclusive use, the process that opened it, and its error text.

use super::boundary::{negative, uncancelled, Errno, Lock};
use super::open::{ct_handle, Inner};
use super::process::Kinship;
use ctrack::Conntrack;
use ctrack::{Error, Failure};
use std::ffi::c_int;
use std::fmt::Display;
use std::panic::{catch_unwind, AssertUnwindSafe};

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
