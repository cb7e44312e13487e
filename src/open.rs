//! Handles and errors.

use super::boundary::{uncancelled, without_handle};
use super::call::{Closing, Guarded};
use super::{boundary, extend};
use ctrack::seams::{errno_c_text, text, try_box};
use ctrack::{Call, Conntrack, Error, Failure, OpenOptions};
use std::ffi::{c_char, c_int};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// ct_open_opts.flags: netns_fd counts.
pub const CT_OPEN_NETNS: u32 = 1u32 << 0;

/// ct_open_opts.flags: deletes also compare the time at which an entry was made, where the kernel keeps it (sysctl
/// net.netfilter.nf_conntrack_timestamp). A successor with the same tuples can have the same id; it has not the same start.
/// An entry that has a start on one side only, when it was listed or when it is deleted, is another one. If it has none on
/// either side, it is deleted, and the result says CT_RESULT_START_UNKNOWN. Takes a look-up for each entry.
pub const CT_OPEN_COMPARE_START: u32 = 1u32 << 1;

/// How to open a handle. Set size, leave the rest zero for defaults.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ct_open_opts {
    /// sizeof(struct ct_open_opts).
    pub size: u32,
    /// CT_OPEN_ bits.
    pub flags: u32,
    /// With CT_OPEN_NETNS: a descriptor of the network namespace to work in (/proc/PID/ns/net, /run/netns/NAME).
    /// It is not kept and stays yours.
    pub netns_fd: i32,
    /// The longest silence of the kernel, in milliseconds, before a call gives up with -ETIMEDOUT. 0: 10,000.
    pub timeout_ms: u32,
    /// Receive buffer of the socket in bytes. 0: the library's choice.
    pub rcvbuf: u32,
    /// Zero.
    pub pad0: u32,
}

/// Size of `ct_open_opts` in the first release: the smallest that is accepted.
pub(crate) const OPEN_OPTS_SIZE_V0: usize = 24;

const _: () = assert!(size_of::<ct_open_opts>() == OPEN_OPTS_SIZE_V0);

/// A handle: one request socket in one network namespace, and the text of its last error.
pub struct ct_handle {
    pub(super) guard: Guarded<Conntrack>,
}

/// Runs an operation on a handle: [`Guarded::run`].
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
    // SAFETY: the caller promises a live handle or NULL; only its atomic `busy` is touched before the lock is held.
    unsafe { handle.as_ref() }.map_or(-libc::EINVAL, |handle| handle.guard.run(operation))
}

impl ct_handle {
    pub(crate) fn new(conntrack: Conntrack) -> Result<Box<ct_handle>, Error> {
        let handle = ct_handle { guard: Guarded::new(conntrack, "open")? };
        try_box(handle).ok_or(Error::NoMemory { op: "open" })
    }
}

/// Opens a handle.
///
/// Opening needs no privilege; every call on the handle needs CAP_NET_ADMIN in the user namespace that owns the network
/// namespace, for reading too. With CT_OPEN_NETNS it also needs CAP_SYS_ADMIN there and in the caller's own user
/// namespace; the caller's thread stays where it is.
///
/// A handle holds one descriptor, its socket, and from its first dump on a second one: the file in /proc that tells the number of
/// buckets, where there is one. With CT_OPEN_NETNS opening it takes one more for a moment.
///
/// @param ret_handle the new handle, yours to close with ct_handle_close()
/// @param opts how to open it; NULL for defaults
/// @return 0, or a negative errno:
///   -EINVAL ret_handle is NULL, or opts is wrong; -E2BIG opts has fields set that this release does not know;
///   -EBADF or -EINVAL netns_fd is no network namespace; -EPERM it may not be entered;
///   -EPROTONOSUPPORT the kernel has no netfilter netlink; -EMFILE, -ENFILE the process or the
///   system has too many open files; -ENOMEM, with CT_OPEN_NETNS also where the process may have no more threads
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_handle_open(ret_handle: *mut *mut ct_handle, opts: *const ct_open_opts) -> c_int {
    without_handle(|| {
        // SAFETY: the caller's promise.
        let ret_handle = unsafe { boundary::out(ret_handle, "ret_handle") }?;
        let options = if opts.is_null() {
            OpenOptions::default()
        } else {
            // SAFETY: the caller's promise.
            open_options(&unsafe {
                extend::read(opts, OPEN_OPTS_SIZE_V0, &|field| text("opts", format_args!("opts{field}")))
            }?)?
        };
        let handle = ct_handle::new(Conntrack::open_with(&options)?)?;
        ret_handle.write(Box::into_raw(handle));
        Ok(0)
    })
}

#[deny(unused_variables, reason = "a field that is forgotten must not compile")]
fn open_options(opts: &ct_open_opts) -> Result<OpenOptions, Error> {
    let ct_open_opts { size: _, flags, netns_fd, timeout_ms, rcvbuf, pad0 } = *opts;
    if flags & !(CT_OPEN_NETNS | CT_OPEN_COMPARE_START) != 0 {
        return Err(Error::invalid("opts.flags", "unknown bits"));
    }
    if pad0 != 0 {
        return Err(Error::invalid("opts.pad0", "is not zero"));
    }
    let mut options = OpenOptions::default();
    if flags & CT_OPEN_NETNS != 0 {
        let fd = duplicate(netns_fd)
            .map_err(|error| Error::system(Call::Other("dup of netns_fd"), &error).during("open"))?;
        options.netns = Some(fd);
    } else if netns_fd != 0 {
        return Err(Error::invalid("opts.netns_fd", "is set, but CT_OPEN_NETNS is not"));
    }
    options.timeout = (timeout_ms != 0).then(|| Duration::from_millis(timeout_ms.into()));
    options.compare_start = flags & CT_OPEN_COMPARE_START != 0;
    options.receive_buffer = (rcvbuf != 0).then_some(rcvbuf);
    Ok(options)
}

/// A duplicate of a descriptor that somebody else owns.
pub(super) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes any number and fails on one that is no descriptor.
    let copy = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if copy < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// Closes a handle and releases all that belongs to it, an open dump too. NULL is fine.
///
/// No other thread may be using it. A child process may close a handle of its parent: that does not disturb the parent. If another
/// thread was in a call on it when the child was made, nothing is released: what it holds is half changed.
///
/// @param h the handle; it must not be used any more
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_handle_close(h: *mut ct_handle) {
    if h.is_null() {
        return;
    }
    without_handle(|| {
        // SAFETY: the caller promises a live handle; only what never changes and the atomic `busy` are touched.
        let handle = unsafe { &*h };
        if handle.guard.closing() != Closing::Nothing {
            // SAFETY: the caller's promise: this is the last use of a live handle.
            drop(unsafe { Box::from_raw(h) });
        }
        Ok(0)
    });
}

/// What went wrong in the last call on the handle: the operation, the kernel's own words, the attribute or argument at fault. Of
/// several entries that failed, the first one is named: "entry[3]: create_entries: entry exists; and 4 more".
///
/// "" if the last call succeeded, or if h is NULL. Never NULL. Calls that fail with -EBUSY because another thread uses the
/// handle, or with -ECHILD, do not change it.
///
/// @param h the handle
/// @return text in English, owned by the handle, valid until the next call on it
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_handle_error(h: *const ct_handle) -> *const c_char {
    uncancelled(|| {
        // SAFETY: the caller's promise.
        let handle = unsafe { h.as_ref() };
        handle.map_or(c"".as_ptr(), |handle| handle.guard.error())
    })
}

/// The netlink port of the handle's socket: what struct ct_event says in portid of the changes that were made by this handle.
///
/// It is no process id. It changes where the handle had to open a new socket: after -ETIMEDOUT.
///
/// @param h the handle
/// @param ret_portid the port
/// @return 0, or a negative errno: -EINVAL, -EBUSY, -ECHILD, -ENOTRECOVERABLE as for ct_list()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_handle_get_portid(h: *mut ct_handle, ret_portid: *mut u32) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with_handle(h, |conntrack| {
            boundary::out(ret_portid, "ret_portid")?.write(conntrack.port());
            Ok(0)
        })
    }
}

/// Text for an errno value as this library uses it, of either sign.
///
/// @param err the value, for example what a call returned
/// @return static text in English, never NULL
/// Since 0.1.
#[no_mangle]
pub extern "C" fn ct_strerror(err: c_int) -> *const c_char {
    errno_c_text(err).as_ptr()
}
