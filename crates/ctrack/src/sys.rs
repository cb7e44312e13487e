//! The few system calls that netlink-sys and std lack. The only place of this crate with unsafe code.
#![allow(unsafe_code)]

use std::alloc::Layout;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    set_buffer(fd, bytes, [libc::SO_RCVBUFFORCE, libc::SO_RCVBUF]);
}

/// The same for what is sent.
pub(crate) fn set_send_buffer(fd: RawFd, bytes: u32) {
    set_buffer(fd, bytes, [libc::SO_SNDBUFFORCE, libc::SO_SNDBUF]);
}

fn set_buffer(fd: RawFd, bytes: u32, options: [libc::c_int; 2]) {
    let bytes = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    for option in options {
        let value = (&raw const bytes).cast();
        // SAFETY: `value` points to `length` bytes that live for the whole call.
        if unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, value, length) } == 0 {
            return;
        }
    }
}

/// A descriptor of the network namespace that the socket is in. Wants CAP_NET_ADMIN over it.
pub(crate) fn netns_of_socket(socket: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: this ioctl takes no argument and returns a new descriptor.
    let fd = check(unsafe { libc::ioctl(socket, SIOCGSKNS) })?;
    // SAFETY: the kernel just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Datagrams that are received at once: [`Datagrams::receive`].
///
/// Who sent them is not asked for, which took a twentieth of the time of an event: to send anything to a socket of this family takes
/// CAP_NET_ADMIN over its network namespace (netlink_sendmsg()), and whoever has that can change the table itself.
pub(crate) struct Datagrams {
    bytes: Vec<u8>,
    /// How many of them are for each.
    room: usize,
    lengths: Vec<usize>,
    /// What the kernel says beside each datagram: the number of its network namespace, if it is from another one than the socket's.
    /// Empty: it is not asked.
    besides: Vec<Beside>,
    beside_lengths: Vec<usize>,
    count: usize,
}

/// Room for one control message with one number, aligned as a header of one.
type Beside = [usize; 4];

/// A datagram that was received.
pub(crate) struct Datagram<'a> {
    /// `None`: it was too long.
    pub bytes: Option<&'a [u8]>,
    /// The network namespace that it is about, by its number in that of the socket; `None`: that of the socket.
    pub nsid: Option<i32>,
}

/// `None`: no memory.
fn filled<T: Clone>(count: usize, value: T) -> Option<Vec<T>> {
    let mut all = Vec::new();
    all.try_reserve_exact(count).ok()?;
    all.resize(count, value);
    Some(all)
}

impl Datagrams {
    /// So many at once.
    pub const MOST: usize = 64;

    /// An event has 150 to 300 bytes, and 700 with all that the kernel has to say, but for a security context, which has no bound. Rooms
    /// that lie close together are worth a twentieth of the time of an event, in lines of the cache and of the TLB.
    const ROOM: usize = 1024;

    /// Once something came that was longer. There is nothing that would be longer than this: NLMSG_GOODSIZE in linux/netlink.h.
    const LARGE_ROOM: usize = 8192;

    /// `with_nsids`: what is received may be of other network namespaces. `None`: no memory.
    pub fn new(with_nsids: bool) -> Option<Datagrams> {
        // On the heap, all of it: where this is moved there may be little stack.
        Some(Datagrams {
            bytes: filled(Datagrams::MOST * Datagrams::ROOM, 0)?,
            room: Datagrams::ROOM,
            lengths: filled(Datagrams::MOST, 0)?,
            besides: filled(if with_nsids { Datagrams::MOST } else { 0 }, [0; 4])?,
            beside_lengths: filled(Datagrams::MOST, 0)?,
            count: 0,
        })
    }

    /// Receives what waits, up to `most`, from a netlink socket. The number of datagrams; 0: none waits.
    pub fn receive(&mut self, fd: RawFd, most: usize) -> io::Result<usize> {
        self.count = 0;
        // SAFETY: all of these are numbers and pointers, which may be 0 and NULL.
        let mut headers = unsafe { std::mem::zeroed::<[libc::mmsghdr; Datagrams::MOST]>() };
        let mut places = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; Datagrams::MOST];
        let rooms = self.bytes.chunks_exact_mut(self.room);
        for ((header, place), room) in headers.iter_mut().zip(&mut places).zip(rooms) {
            *place = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            header.msg_hdr.msg_iov = place;
            header.msg_hdr.msg_iovlen = 1;
        }
        for (header, beside) in headers.iter_mut().zip(&mut self.besides) {
            header.msg_hdr.msg_control = beside.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of::<Beside>() as _;
        }
        let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
        let most = most.min(Datagrams::MOST) as libc::c_uint;
        // SAFETY: each header points to a place of its own, and perhaps a control room of its own, each place to a room of its own, all
        // alive for the call.
        let received = unsafe { libc::recvmmsg(fd, headers.as_mut_ptr(), most, flags as _, std::ptr::null_mut()) };
        let received = match check(received) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            received => usize::try_from(received?).unwrap_or(0),
        };
        for (at, header) in headers.iter().enumerate().take(received) {
            self.lengths[at] = header.msg_len as usize;
            #[allow(clippy::unnecessary_cast, reason = "of 32 bits with musl")]
            let beside = header.msg_hdr.msg_controllen as usize;
            self.beside_lengths[at] = beside;
        }
        self.count = received;
        Ok(received)
    }

    /// What was received. What was too long is lost, and from then on there is more room.
    pub fn each(&mut self, hear: &mut dyn FnMut(Datagram<'_>)) {
        let mut too_long = false;
        for (at, room) in self.bytes.chunks_exact(self.room).enumerate().take(self.count) {
            let bytes = room.get(..self.lengths[at]);
            too_long = too_long || bytes.is_none();
            hear(Datagram { bytes, nsid: self.nsid(at) });
        }
        if too_long && self.room < Datagrams::LARGE_ROOM {
            if let Some(bytes) = filled(Datagrams::MOST * Datagrams::LARGE_ROOM, 0) {
                (self.bytes, self.room, self.count) = (bytes, Datagrams::LARGE_ROOM, 0);
            }
        }
    }

    /// The one control message that netlink sends: a header with length, level and type, and a number
    /// (netlink_cmsg_listen_all_nsid()).
    fn nsid(&self, at: usize) -> Option<i32> {
        const HEADER: usize = size_of::<libc::cmsghdr>();
        let beside = self.besides.get(at)?;
        if self.beside_lengths[at] < HEADER + 4 {
            return None;
        }
        let mut bytes = [0; size_of::<Beside>()];
        for (place, word) in bytes.chunks_exact_mut(size_of::<usize>()).zip(beside) {
            place.copy_from_slice(&word.to_ne_bytes());
        }
        let number = |at: usize| Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let is_nsid = (number(HEADER - 8)?, number(HEADER - 4)?) == (libc::SOL_NETLINK, libc::NETLINK_LISTEN_ALL_NSID);
        if is_nsid {
            number(HEADER)
        } else {
            None
        }
    }
}

/// Joins or leaves a group of messages of a netlink socket.
pub(crate) fn set_membership(fd: RawFd, group: u32, member: bool) -> io::Result<()> {
    set_netlink(fd, if member { libc::NETLINK_ADD_MEMBERSHIP } else { libc::NETLINK_DROP_MEMBERSHIP }, group)
}

/// Sets an option of a netlink socket.
pub(crate) fn set_netlink(fd: RawFd, option: libc::c_int, value: u32) -> io::Result<()> {
    let length = size_of::<u32>() as libc::socklen_t;
    // SAFETY: `value` has `length` bytes and lives for the call.
    check(unsafe { libc::setsockopt(fd, libc::SOL_NETLINK, option, (&raw const value).cast(), length) }).map(drop)
}

fn get_option<T: Copy + Default>(fd: RawFd, option: libc::c_int) -> io::Result<T> {
    let (mut value, mut length) = (T::default(), size_of::<T>() as libc::socklen_t);
    // SAFETY: `value` has `length` bytes, of which any are valid for the numbers that this is called for.
    check(unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut value).cast(), &mut length) })?;
    Ok(value)
}

/// The receive buffer as granted, in bytes; 0 if the kernel does not say.
pub(crate) fn receive_buffer(fd: RawFd) -> usize {
    get_option::<libc::c_int>(fd, libc::SO_RCVBUF).ok().and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0)
}

/// How many bytes of the receive buffer are in use, how many there are, and how many datagrams did not fit since the socket was made.
pub(crate) fn queue(fd: RawFd) -> io::Result<(u32, u32, u32)> {
    /// linux/sock_diag.h: SK_MEMINFO_RMEM_ALLOC, SK_MEMINFO_RCVBUF, SK_MEMINFO_DROPS.
    const PLACES: (usize, usize, usize) = (0, 1, 8);
    let info: [u32; 9] = get_option(fd, libc::SO_MEMINFO)?;
    Ok((info[PLACES.0], info[PLACES.1], info[PLACES.2]))
}

/// Takes the error that waits on the socket: an errno, or 0.
pub(crate) fn take_error(fd: RawFd) -> io::Result<i32> {
    get_option(fd, libc::SO_ERROR)
}

/// Lets everything through again. Fine if no filter is attached.
pub(crate) fn detach_filter(fd: RawFd) {
    let (nothing, size) = (0 as libc::c_int, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: `nothing` has `size` bytes and lives for the call, which does not look at them.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_DETACH_FILTER, (&raw const nothing).cast(), size) };
}

/// Lets through what a classic BPF program lets through.
pub(crate) fn attach_filter(fd: RawFd, program: &[libc::sock_filter]) -> io::Result<()> {
    let length = libc::c_ushort::try_from(program.len()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    let program = libc::sock_fprog { len: length, filter: program.as_ptr().cast_mut() };
    let size = size_of::<libc::sock_fprog>() as libc::socklen_t;
    // SAFETY: the kernel reads `length` instructions, which live for the call.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, (&raw const program).cast(), size) })
        .map(drop)
}

/// A descriptor that is readable if any of those in it is.
pub(crate) fn poll_set(fds: &[RawFd]) -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer, and returns a new descriptor that nobody else knows.
    let set = unsafe { OwnedFd::from_raw_fd(check(libc::epoll_create1(libc::EPOLL_CLOEXEC))?) };
    for &fd in fds {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: 0 };
        // SAFETY: `event` lives for the call.
        check(unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) })?;
    }
    Ok(set)
}

/// A counter: readable while it is not 0.
pub(crate) fn counter() -> io::Result<OwnedFd> {
    // SAFETY: takes no pointer, and returns a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(check(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))?) })
}

/// A timer that is not set: readable when its time has come.
pub(crate) fn timer() -> io::Result<OwnedFd> {
    let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
    // SAFETY: takes no pointer, and returns a new descriptor that nobody else knows.
    Ok(unsafe { OwnedFd::from_raw_fd(check(libc::timerfd_create(libc::CLOCK_MONOTONIC, flags))?) })
}

/// Sets a timer to go off once after so long, or not at all.
pub(crate) fn set_timer(timer: &OwnedFd, after: Option<Duration>) -> io::Result<()> {
    // 0 would be never.
    let after = after.map_or(Duration::ZERO, |after| after.max(Duration::from_nanos(1)));
    // SAFETY: numbers alone, which may be 0.
    let mut time = unsafe { std::mem::zeroed::<libc::itimerspec>() };
    time.it_value.tv_sec = after.as_secs().try_into().unwrap_or(i32::MAX.into());
    #[allow(clippy::unnecessary_fallible_conversions, reason = "of 32 bits on 32-bit machines")]
    let nanoseconds = after.subsec_nanos().try_into().unwrap_or(0);
    time.it_value.tv_nsec = nanoseconds;
    // SAFETY: `time` lives for the call; no old value is asked for.
    check(unsafe { libc::timerfd_settime(timer.as_raw_fd(), 0, &time, std::ptr::null_mut()) }).map(drop)
}

/// A box, or nothing where memory is short: `Box::new` aborts the process there.
pub fn try_box<T>(value: T) -> Option<Box<T>> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        // Allocates nothing.
        return Some(Box::new(value));
    }
    // SAFETY: the size is not zero.
    let place = NonNull::new(unsafe { std::alloc::alloc(layout) }.cast::<T>())?;
    // SAFETY: `place` is a T's room and alignment, from the allocator that boxes use, and nobody else's.
    unsafe {
        place.write(value);
        Some(Box::from_raw(place.as_ptr()))
    }
}

/// A value that several own; it goes with the last of them. `Arc::new` aborts the process where memory is short.
pub(crate) struct Counted<T>(NonNull<(AtomicUsize, T)>);

// SAFETY: as for Arc: all of them share the value, and whichever is the last drops it.
unsafe impl<T: Send + Sync> Send for Counted<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Counted<T> {}

impl<T> Counted<T> {
    /// `None`: no memory.
    pub fn new(value: T) -> Option<Counted<T>> {
        Some(Counted(NonNull::from(Box::leak(try_box((AtomicUsize::new(1), value))?))))
    }

    fn both(&self) -> &(AtomicUsize, T) {
        // SAFETY: it lives as long as one of them does, and nothing has it mutably.
        unsafe { self.0.as_ref() }
    }
}

impl<T> std::ops::Deref for Counted<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.both().1
    }
}

impl<T> Clone for Counted<T> {
    fn clone(&self) -> Counted<T> {
        // Nobody has as many as would be too many: each takes memory.
        self.both().0.fetch_add(1, Ordering::Relaxed);
        Counted(self.0)
    }
}

impl<T> Drop for Counted<T> {
    fn drop(&mut self) {
        if self.both().0.fetch_sub(1, Ordering::AcqRel) == 1 {
            // SAFETY: this was the last one, and it came from a box.
            drop(unsafe { Box::from_raw(self.0.as_ptr()) });
        }
    }
}

/// Runs `work` on a thread of its own and waits for its end. No signal handler of the program runs there.
///
/// Not on one of std's: making that aborts the process where memory is short. `work` must not allocate much either: the stack is
/// small, unless the program has so much thread-local data that only the default takes it.
pub(crate) fn on_a_thread<T: Send>(work: impl FnOnce() -> T + Send) -> io::Result<T> {
    const SMALL_STACK: usize = 64 * 1024;
    let mut job = Job { work: Some(work), result: None };
    let thread = with_signals_blocked(|| match start(&mut job, Some(SMALL_STACK)) {
        Err(libc::EINVAL) => start(&mut job, None),
        result => result,
    });
    let thread = thread.map_err(|errno| match errno {
        // What is said where memory lacks, and where there are too many threads.
        libc::EAGAIN => io::Error::from_raw_os_error(libc::ENOMEM),
        errno => io::Error::from_raw_os_error(errno),
    })?;
    // SAFETY: the thread was made just now and is joined this once; the caller of `start` keeps `job` until then.
    let joined = unsafe { libc::pthread_join(thread, std::ptr::null_mut()) };
    debug_assert_eq!(joined, 0);
    job.result.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOTRECOVERABLE))
}

struct Job<W, T> {
    work: Option<W>,
    /// `None` in the end: it panicked.
    result: Option<T>,
}

/// Starts a thread that does the job, which must stay where it is, untouched, until the thread is joined.
fn start<T: Send, W: FnOnce() -> T + Send>(job: &mut Job<W, T>, stack: Option<usize>) -> Result<libc::pthread_t, i32> {
    extern "C" fn run<T, W: FnOnce() -> T>(job: *mut libc::c_void) -> *mut libc::c_void {
        // SAFETY: it is the job of `start`, which nobody touches until this thread is joined.
        let job = unsafe { &mut *job.cast::<Job<W, T>>() };
        if let Some(work) = job.work.take() {
            job.result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok();
        }
        std::ptr::null_mut()
    }
    let ok = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(result) };
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut thread = std::mem::MaybeUninit::<libc::pthread_t>::uninit();
    let job = std::ptr::from_mut(job).cast();
    // SAFETY: the attributes are initialised first, and destroyed last; `run` gets what it expects, which outlives the thread
    // (caller); the thread is only read when pthread_create() says that it made one.
    unsafe {
        ok(libc::pthread_attr_init(attributes.as_mut_ptr()))?;
        let made = stack
            .map_or(Ok(()), |size| ok(libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), size)))
            .and_then(|()| ok(libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), run::<T, W>, job)));
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        made.map(|()| thread.assume_init())
    }
}

/// Does something while no signal handler of the program runs on this thread. A thread that is made meanwhile keeps it so.
///
/// Signals are blocked and unblocked, and no mask is set: glibc leaves its own signals out of any mask that it is given, and one of
/// them may be blocked by now (by who holds back a cancellation).
fn with_signals_blocked<T>(work: impl FnOnce() -> T) -> T {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    let mut before = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset() initialises the set that the next call reads; that one initialises the old mask.
    unsafe {
        mutant!("signals-blocked", libc::sigfillset(all.as_mut_ptr()), libc::sigemptyset(all.as_mut_ptr()));
        libc::pthread_sigmask(libc::SIG_BLOCK, all.as_ptr(), before.as_mut_ptr());
    }
    let result = work();
    // SAFETY: both sets were initialised above.
    unsafe {
        for signal in 1..=libc::SIGRTMAX() {
            if libc::sigismember(before.as_ptr(), signal) == 1 {
                libc::sigdelset(all.as_mut_ptr(), signal);
            }
        }
        libc::pthread_sigmask(libc::SIG_UNBLOCK, all.as_ptr(), std::ptr::null_mut());
    }
    result
}

/// Moves this thread into a network namespace. Wants CAP_SYS_ADMIN over it and over the caller's own user namespace.
pub(crate) fn enter_netns(netns: &OwnedFd) -> io::Result<()> {
    // SAFETY: setns() takes any descriptor and fails on one that is no network namespace.
    check(unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// Seconds since 1970. time(2) has them from the kernel's last tick: a look at the clock itself took a sixth of
/// the time of a line of text.
pub(crate) fn now() -> u64 {
    if cfg!(miri) {
        return 1_700_000_000;
    }
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
    if cfg!(miri) {
        return None;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Which signals this thread does not take.
    fn blocked() -> Vec<i32> {
        let mut mask = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: with no new mask the call only writes the present one, which is then read.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), mask.as_mut_ptr());
            (1..=libc::SIGSYS).filter(|signal| libc::sigismember(mask.as_ptr(), *signal) == 1).collect()
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "has no attributes of threads")]
    fn work_on_a_thread_is_done_elsewhere_with_all_signals_blocked_and_its_result_comes_back() {
        let (own, before) = (std::thread::current().id(), blocked());
        let here = String::from("borrowed");
        let (there, signals, text) =
            on_a_thread(|| (std::thread::current().id(), blocked(), here.as_str().to_owned())).unwrap();
        assert_ne!(there, own);
        assert_eq!(text, here);
        // All but the two that cannot be.
        let all: Vec<_> =
            (1..=libc::SIGSYS).filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal)).collect();
        assert_eq!(signals, all);
        assert_eq!(blocked(), before, "the mask of the caller");
    }

    #[test]
    #[cfg_attr(miri, ignore = "has no attributes of threads")]
    fn a_panic_on_a_thread_is_an_error_there() {
        let error = on_a_thread(|| -> () { std::panic::resume_unwind(Box::new(())) }).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTRECOVERABLE));
    }

    #[test]
    fn what_several_own_goes_with_the_last_of_them() {
        let value = std::sync::Arc::new(7);
        let first = Counted::new(value.clone()).unwrap();
        let others: Vec<_> = (0..4).map(|_| first.clone()).collect();
        drop(first);
        std::thread::scope(|scope| {
            others.into_iter().for_each(|other| drop(scope.spawn(move || assert_eq!(**other, 7))));
        });
        assert_eq!(std::sync::Arc::strong_count(&value), 1);
    }

    #[test]
    fn a_box_holds_what_was_put_into_it_and_drops_it() {
        let shared = std::rc::Rc::new(7);
        let boxed = try_box(shared.clone()).unwrap();
        assert_eq!((**boxed, std::rc::Rc::strong_count(&shared)), (7, 2));
        drop(boxed);
        assert_eq!(std::rc::Rc::strong_count(&shared), 1);
        try_box(()).unwrap();
    }
}
