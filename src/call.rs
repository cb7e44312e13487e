//! A call on a handle or a watch: exclusive use, the process that opened it, and its error text.

use super::boundary::{negative, Errno, Lock};
use super::process::{Kinship, Process};
use ctrack::seams::try_box;
use ctrack::{Call, Conntrack, Error, Failure};
use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, CStr};
use std::fmt::{Display, Write};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, Ordering};

/// What one thread at a time works with, of the process that opened it.
pub struct Guarded<T> {
    /// Set while a thread is in a call.
    pub(super) busy: AtomicBool,
    /// The process that opened it.
    pub(super) opener: Process,
    /// Only touched while `busy` is held.
    inner: UnsafeCell<Inner<T>>,
}

pub(super) struct Inner<T> {
    subject: T,
    /// A panic was caught: what it left behind is not trusted any more.
    poisoned: bool,
    error: ErrorText,
}

/// How the header calls it, in what it says of itself.
pub(super) trait Named {
    const PARENTS: &'static CStr;
    const IN_USE: &'static CStr;
    const POISONED: &'static str;
    const PANICKED: &'static str;
}

impl Named for Conntrack {
    const PARENTS: &'static CStr = c"the handle was opened by a parent process; open one of your own";
    const IN_USE: &'static CStr = c"another thread is using the handle";
    const POISONED: &'static str = "an earlier call on this handle hit an internal error; close it and open a new one";
    const PANICKED: &'static str = "internal error: please report it; the handle is unusable from now on";
}

/// What becomes of it when it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closing {
    /// All of it is released.
    Whole,
    /// It is a copy of a parent's, and released, but what the parent shares stays as it is.
    Copy,
    /// Nothing is released: it is the parent's, or a thread of the parent left it half changed.
    Nothing,
}

impl<T: Named> Guarded<T> {
    pub fn new(subject: T, operation: &'static str) -> Result<Guarded<T>, Error> {
        let opener = Process::current()
            .map_err(|error| Error::system(Call::Other("pthread_atfork"), &error).during(operation))?;
        let inner = Inner { subject, poisoned: false, error: ErrorText { bytes: [0; 512], length: 0 } };
        Ok(Guarded { busy: AtomicBool::new(false), opener, inner: UnsafeCell::new(inner) })
    }

    /// What to do in a call that closes it.
    pub fn closing(&self) -> Closing {
        match self.opener.kinship() {
            Kinship::Same => Closing::Whole,
            // A thread of the parent was in a call when this copy was made, and what it was changing is half changed here.
            Kinship::Copy if self.busy.load(Ordering::Acquire) => Closing::Nothing,
            Kinship::Copy => Closing::Copy,
            // It is still the parent's.
            Kinship::Shared => Closing::Nothing,
        }
    }

    /// What is left of it when it is closed.
    pub fn into_subject(self) -> T {
        self.inner.into_inner().subject
    }

    /// Lets one thread at a time in, of the process that opened it, and clears the error text. One copy for all operations.
    #[inline(never)]
    #[allow(clippy::mut_from_ref, reason = "the lock says so")]
    fn enter(&self) -> Result<(&mut Inner<T>, Lock<'_>), c_int> {
        // Before the lock: a thread of the parent may have held it when the child was made, and never lets go of the child's copy.
        if mutant!("no-childs-handle", self.opener.kinship() != Kinship::Same, false) {
            return Err(-libc::ECHILD);
        }
        let Some(lock) = Lock::take(&self.busy) else {
            return Err(-libc::EBUSY);
        };
        // SAFETY: the lock says that no other thread has this as long as it lives.
        let inner = unsafe { &mut *self.inner.get() };
        if mutant!("poisoned", inner.poisoned, false) {
            return Err(inner.tell(&T::POISONED, libc::ENOTRECOVERABLE));
        }
        inner.say(&"");
        Ok((inner, lock))
    }

    /// Runs an operation: alone, in the process that opened it, and with every panic caught. The error text is set on failure and
    /// cleared on success. Only within [`uncancelled`].
    pub fn run(&self, operation: impl FnOnce(&mut T) -> Result<c_int, Failure>) -> c_int {
        let _errno = Errno::keep();
        let (inner, _lock) = match self.enter() {
            Ok(entered) => entered,
            Err(refused) => return refused,
        };
        match catch_unwind(AssertUnwindSafe(|| operation(&mut inner.subject))) {
            Ok(Ok(value)) => value,
            Ok(Err(failure)) => inner.tell(&failure, failure.error.errno()),
            Err(_) => inner.poison(),
        }
    }

    /// The text of the last error, valid until the next call.
    pub fn error(&self) -> *const c_char {
        if self.opener.kinship() != Kinship::Same {
            return T::PARENTS.as_ptr();
        }
        let Some(_lock) = Lock::take(&self.busy) else {
            return T::IN_USE.as_ptr();
        };
        // SAFETY: the lock is held.
        unsafe { (*self.inner.get()).error.bytes.as_ptr().cast() }
    }
}

impl<T: Named> Inner<T> {
    /// Sets the error text.
    fn say(&mut self, text: &dyn Display) {
        self.error.set(text);
    }

    /// Sets it, and says what to return. One copy for all operations.
    #[cold]
    #[inline(never)]
    fn tell(&mut self, text: &dyn Display, errno: c_int) -> c_int {
        self.say(text);
        negative(errno)
    }

    #[cold]
    #[inline(never)]
    fn poison(&mut self) -> c_int {
        self.poisoned = true;
        self.tell(&T::PANICKED, libc::ENOTRECOVERABLE)
    }
}

/// A text with its NUL. It has its place in the handle, so that an error can be told where memory is short.
struct ErrorText {
    bytes: [u8; 512],
    length: usize,
}

impl ErrorText {
    fn set(&mut self, text: &dyn Display) {
        self.length = 0;
        // The end of what is too long is left out, and nothing else can fail.
        let _ = write!(self, "{text}");
        self.bytes[self.length] = 0;
    }
}

impl Write for ErrorText {
    fn write_str(&mut self, part: &str) -> std::fmt::Result {
        for char in part.chars().filter(|&char| char != '\0') {
            let end = self.length + char.len_utf8();
            // The NUL must fit behind it.
            if end >= self.bytes.len() {
                return Err(std::fmt::Error);
            }
            char.encode_utf8(&mut self.bytes[self.length..end]);
            self.length = end;
        }
        Ok(())
    }
}

/// A box on the heap, for C.
pub(super) fn give<T>(value: T, operation: &'static str) -> Result<*mut T, Error> {
    Ok(Box::into_raw(try_box(value).ok_or(Error::NoMemory { op: operation })?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_text_that_is_too_long_ends_with_a_whole_character() {
        let mut text = ErrorText { bytes: [1; 512], length: 0 };
        for (long, kept) in
            [("x".repeat(600), 511), (format!("x{}", "\u{20ac}".repeat(300)), 511), ("\u{20ac}".repeat(300), 510)]
        {
            text.set(&long);
            assert_eq!((text.length, text.bytes[text.length]), (kept, 0));
            assert!(long.starts_with(std::str::from_utf8(&text.bytes[..text.length]).unwrap()));
        }
    }
}
