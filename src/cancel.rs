//! Cancellation of threads, put off while they are in a call.

// The libc crate lacks it. It is in glibc and in musl.
extern "C" {
    fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
}

/// pthread.h of glibc and of musl.
const PTHREAD_CANCEL_DISABLE: libc::c_int = 1;

/// What a thread had said about its cancellation.
pub(super) struct Cancellation {
    state: libc::c_int,
    /// Whether the signal was blocked for the call.
    blocked: bool,
}

/// Puts cancellation of this thread off, and says what was so before.
///
/// The state alone is not enough with glibc: pthread_cancel() looks at it and then sends a signal, whose handler does not look
/// again (2.36). A thread that went on meanwhile, into a call of this library, would end in the middle of it. So the signal waits too.
#[inline(never)]
pub(super) fn hold_cancellation() -> Cancellation {
    // Miri has no cancellation, nor the advice below.
    if cfg!(miri) {
        return Cancellation { state: 0, blocked: false };
    }
    let mut before = Cancellation { state: 0, blocked: block_cancel_signal() };
    // SAFETY: the state before may be written; the new one is one of the two that there are, so the call cannot fail.
    unsafe { pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &mut before.state) };
    before
}

/// Puts all of it back. A thread that is cancelled asynchronously may end here and never return: the caller's frame must
/// hold nothing that wants to be dropped.
#[inline(never)]
pub(super) fn release_cancellation(before: Cancellation) {
    if cfg!(miri) {
        return;
    }
    let mut ignored = 0;
    // SAFETY: `ignored` may be written (not all systems take NULL); the state is one that hold_cancellation() gave.
    unsafe { pthread_setcancelstate(before.state, &mut ignored) };
    if before.blocked {
        change_signal_mask(libc::SIG_UNBLOCK);
    }
}

/// Whether it was not blocked, and now is. musl's own handler looks at the state.
fn block_cancel_signal() -> bool {
    cfg!(target_env = "gnu") && change_signal_mask(libc::SIG_BLOCK).is_some_and(|before| before & CANCEL_SIGNAL == 0)
}

/// SIGCANCEL of glibc is signal 32, as ever. Bit 31 of the first word, of whatever size.
const CANCEL_SIGNAL: libc::c_ulong = 1 << 31;

/// Blocks or unblocks the signal, and says which of the first 32 signals were blocked before. By the system call: sigprocmask() of glibc
/// leaves the signals out that it uses itself.
fn change_signal_mask(how: libc::c_int) -> Option<libc::c_ulong> {
    // struct sigset_t of the kernel: 64 signals.
    const WORDS: usize = 8 / size_of::<libc::c_ulong>();
    let (mut set, mut before) = ([0; WORDS], [0; WORDS]);
    set[0] = CANCEL_SIGNAL;
    // SAFETY: two sets of signals of the size that is given, of which the second may be written.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &set, &mut before, size_of_val(&set)) };
    (result == 0).then_some(before[0])
}
