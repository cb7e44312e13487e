//! The few system calls that netlink-sys and std lack. With `ffi` the only place with unsafe code.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// linux/sockios.h: a descriptor of the network namespace of a socket.
const SIOCGSKNS: libc::Ioctl = 0x894C;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Waits until the descriptor can be read. `false`: the time is over.
pub(crate) fn wait_readable(fd: RawFd, timeout: Duration) -> io::Result<bool> {
    // Rounded up, so that no time left means no time left.
    let millis = timeout.as_millis() + u128::from(timeout.subsec_nanos() % 1_000_000 != 0);
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: `poll` is one valid pollfd for the whole call.
    let ready = check(unsafe { libc::poll(&mut poll, 1, millis.try_into().unwrap_or(libc::c_int::MAX)) })?;
    Ok(ready > 0)
}

/// Asks for a receive buffer of `bytes`, beyond the system's limit where the caller may (CAP_NET_ADMIN in the first user
/// namespace), else up to it. The kernel's own default stays if both fail.
pub(crate) fn set_receive_buffer(fd: RawFd, bytes: u32) {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    for option in [libc::SO_RCVBUFFORCE, libc::SO_RCVBUF] {
        let value = (&raw const bytes).cast();
        // SAFETY: `value` points to `length` bytes that live for the whole call.
        if unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, length) } == 0 {
            return;
        }
    }
}

/// A duplicate of a descriptor that somebody else owns.
pub(crate) fn duplicate(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC takes any number and fails on one that is no descriptor.
    let copy = check(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) })?;
    // SAFETY: the kernel just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

/// A descriptor of the network namespace that the socket is in. Wants CAP_NET_ADMIN over it.
pub(crate) fn netns_of_socket(socket: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: this ioctl takes no argument and returns a new descriptor.
    let fd = check(unsafe { libc::ioctl(socket, SIOCGSKNS) })?;
    // SAFETY: the kernel just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Moves this thread into a network namespace. Wants CAP_SYS_ADMIN over it and over the caller's own user namespace.
pub(crate) fn enter_netns(netns: &OwnedFd) -> io::Result<()> {
    // SAFETY: setns() takes any descriptor and fails on one that is no network namespace.
    check(unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Keeps signal handlers of the program off this thread.
pub(crate) fn block_all_signals() {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset() initialises the set that the next call reads; the old mask is not wanted.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}

/// Seconds since 1970. time(2) has them from the kernel's last tick: a look at the clock itself took a sixth of
/// the time of a line of text.
pub(crate) fn now() -> u64 {
    // SAFETY: with NULL it only returns the time.
    let now = unsafe { libc::time(std::ptr::null_mut()) };
    u64::try_from(now).unwrap_or(0)
}

/// A moment in local time. `weekday` and `month` are the three letters of ctime(3).
pub(crate) struct LocalTime {
    pub weekday: &'static str,
    pub month: &'static str,
    pub day: u64,
    pub hour: u64,
    pub minute: u64,
    pub second: u64,
    pub year: u64,
}

/// Seconds since 1970 in local time.
pub(crate) fn local_time(seconds: u64) -> Option<LocalTime> {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    #[allow(deprecated, reason = "libc announces that musl's will grow")]
    let seconds = libc::time_t::try_from(seconds).ok()?;
    let mut tm = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both pointers are valid for the call, and `tm` is only read when localtime_r() says that it filled it.
    let tm = unsafe {
        if libc::localtime_r(&seconds, tm.as_mut_ptr()).is_null() {
            return None;
        }
        tm.assume_init()
    };
    let part = |value: libc::c_int| u64::try_from(value).ok();
    Some(LocalTime {
        weekday: DAYS.get(usize::try_from(tm.tm_wday).ok()?)?,
        month: MONTHS.get(usize::try_from(tm.tm_mon).ok()?)?,
        day: part(tm.tm_mday)?,
        hour: part(tm.tm_hour)?,
        minute: part(tm.tm_min)?,
        second: part(tm.tm_sec)?,
        year: part(tm.tm_year)? + 1900,
    })
}
