//! Watching.

use super::abi::ct_filter;
use super::boundary::{self, array_out, uncancelled, without_handle};
use super::call::{give, Closing, Guarded, Named};
use super::convert::filters;
use super::event::ct_event;
use super::extend;
use super::open::duplicate;
use super::process::Kinship;
use ctrack::seams::text;
use ctrack::{Call, Error, EventKind, Remote, Watch, WatchInfo, WatchOptions};
use std::ffi::{c_char, c_int, CStr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

/// ct_watch_opts.flags: netns_fd counts.
pub const CT_WATCH_NETNS: u32 = 1u32 << 0;
/// ct_watch_opts.flags: list + watch. First the entries that are there (CT_EVENT_INITIAL), then CT_EVENT_SYNCED, then what changes;
/// losses are repaired.
pub const CT_WATCH_SYNC: u32 = 1u32 << 1;
/// ct_watch_opts.flags: sets the sysctl net.netfilter.nf_conntrack_events of the network namespace to 1, if it is not. It stays so after
/// the watch. Entries that were made before stay silent.
pub const CT_WATCH_ENABLE: u32 = 1u32 << 2;
/// ct_watch_opts.flags, not with CT_WATCH_SYNC: the kernel keeps destroyed entries until their event found room, so that no
/// CT_EVENT_DESTROY is lost. Meanwhile they count against nf_conntrack_max, and others who watch hear of their end repeatedly: for
/// machines that are yours. CT_EVENT_LOST counts each try that found no room.
pub const CT_WATCH_RELIABLE: u32 = 1u32 << 3;
/// ct_watch_opts.flags, not with CT_WATCH_SYNC: events of all network namespaces that have an id in this one (ct_event.nsid).
/// Needs CAP_NET_BROADCAST in the user namespace that owns this one.
pub const CT_WATCH_ALL_NSID: u32 = 1u32 << 4;
/// ct_watch_opts.flags, with CT_WATCH_SYNC: each audit lists the whole table, whether the kernel may be silent or not. For what changes
/// without an event, such as marks that eBPF sets.
pub const CT_WATCH_AUDIT_ALL: u32 = 1u32 << 5;

const FLAGS: u32 =
    CT_WATCH_NETNS | CT_WATCH_SYNC | CT_WATCH_ENABLE | CT_WATCH_RELIABLE | CT_WATCH_ALL_NSID | CT_WATCH_AUDIT_ALL;

/// ct_watch_opts.events: CT_EVENT_NEW.
pub const CT_WATCH_NEW: u32 = 1u32 << 0;
/// ct_watch_opts.events: CT_EVENT_UPDATE.
pub const CT_WATCH_UPDATE: u32 = 1u32 << 1;
/// ct_watch_opts.events: CT_EVENT_DESTROY.
pub const CT_WATCH_DESTROY: u32 = 1u32 << 2;

/// How to watch. Set size, leave the rest zero for defaults. Since 0.2.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ct_watch_opts {
    /// sizeof(struct ct_watch_opts).
    pub size: u32,
    /// CT_WATCH_NETNS, _SYNC, _ENABLE, _RELIABLE, _ALL_NSID, _AUDIT_ALL.
    pub flags: u32,
    /// With CT_WATCH_NETNS: a descriptor of the network namespace to watch (/proc/PID/ns/net, /run/netns/NAME). It is not kept and stays
    /// yours; the watch itself keeps the namespace alive until it is closed.
    pub netns_fd: i32,
    /// Which events are reported: CT_WATCH_NEW, _UPDATE, _DESTROY. 0: all three. CT_EVENT_LOST and _SYNCED always are.
    pub events: u32,
    /// CT_WATCH_SYNC: the longest silence of the kernel while listing, in milliseconds. 0: 10,000.
    pub timeout_ms: u32,
    /// Receive buffer for events in bytes; each that waits takes 1,280 of it. 0: 32 MiB (25,000 events), or what the kernel grants:
    /// ct_watch_info says how much that was.
    pub rcvbuf: u32,
    /// CT_WATCH_SYNC: how often to look for entries of which the kernel is silent, in milliseconds, as long as there may be any
    /// (CT_WATCH_MAY_BE_SILENT). 0: 30,000. UINT32_MAX: never.
    pub audit_ms: u32,
    /// CT_WATCH_SYNC: how many entries may be known, at about 96 bytes each; beyond it is -ENOSPC. 0: any number.
    pub max_entries: u32,
}

/// Size of `ct_watch_opts` in the first release.
pub(crate) const WATCH_OPTS_SIZE_V0: usize = 32;

/// ct_watch_info.flags: the events so far add up to the table.
pub const CT_WATCH_IS_SYNCED: u32 = 1u32 << 0;
/// ct_watch_info.flags, with CT_WATCH_SYNC: there may be entries of which the kernel does not report what becomes of them: they were made
/// before the watch with nf_conntrack_events at 2 or 0, or it is 0 now. Audits find what became of them.
pub const CT_WATCH_MAY_BE_SILENT: u32 = 1u32 << 1;

/// What a watch has done, and where it stands. Set size, zero the rest. Since 0.2.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct ct_watch_info {
    /// sizeof(struct ct_watch_info).
    pub size: u32,
    /// CT_WATCH_IS_SYNCED, CT_WATCH_MAY_BE_SILENT.
    pub flags: u32,
    /// The sysctl nf_conntrack_events as it was last seen: 0, 1, 2; -1: it cannot be read.
    pub events_mode: i32,
    /// The receive buffer as granted, in bytes.
    pub rcvbuf: u32,
    /// Bytes of it that are in use.
    pub queued: u32,
    /// Zero.
    pub pad0: u32,
    /// Events that were read.
    pub received: u64,
    /// Events that are known to be lost, those while listing too.
    pub lost: u64,
    /// CT_WATCH_SYNC: lists because of losses, or on request.
    pub resyncs: u64,
    /// CT_WATCH_SYNC: lists that were disturbed by losses or a resized table, and begun anew.
    pub restarts: u64,
    /// CT_WATCH_SYNC: entries that the kernel was asked for, since an event did not fit to what was known.
    pub verified: u64,
    /// CT_WATCH_SYNC: entries that audits looked at.
    pub audited: u64,
    /// CT_WATCH_SYNC: entries that are known.
    pub entries: u64,
}

/// Size of `ct_watch_info` in the first release.
pub(crate) const WATCH_INFO_SIZE_V0: usize = 80;

const _: () = {
    assert!(size_of::<ct_watch_opts>() == WATCH_OPTS_SIZE_V0);
    assert!(size_of::<ct_watch_info>() == WATCH_INFO_SIZE_V0);
};

/// A watch of one network namespace: sockets of its own, a descriptor to wait on, and the text of its last error. It is independent of
/// handles. Since 0.2.
pub struct ct_watch {
    pub(super) watch: Guarded<Watch>,
    /// What other threads and signal handlers use.
    remote: Remote,
    fd: RawFd,
    /// The socket of `watch` that events wait on.
    events: RawFd,
    sync: bool,
}

impl Named for Watch {
    const PARENTS: &'static CStr = c"the watch was opened by a parent process; open one of your own";
    const IN_USE: &'static CStr = c"another thread is using the watch";
    const POISONED: &'static str = "an earlier call on this watch hit an internal error; close it and open a new one";
    const PANICKED: &'static str = "internal error: please report it; the watch is unusable from now on";
}

/// Runs an operation on a watch: alone, in the process that opened it, and with every panic caught.
///
/// # Safety
/// `w` is NULL or came from `ct_watch_open` and was not closed since.
unsafe fn with_watch(w: *mut ct_watch, operation: impl FnOnce(&mut Watch) -> Result<c_int, Error>) -> c_int {
    uncancelled(|| {
        // SAFETY: the caller's promise.
        unsafe { w.as_ref() }.map_or(-libc::EINVAL, |w| w.watch.run(|watch| Ok(operation(watch)?)))
    })
}

/// Runs what any thread may do while another one uses the watch, and a signal handler too, as long as the operation may.
///
/// # Safety
/// As for `with_watch`.
unsafe fn beside(w: *const ct_watch, operation: impl FnOnce(&ct_watch) -> Result<c_int, Error>) -> c_int {
    without_handle(|| {
        // SAFETY: the caller promises a live watch or NULL; only what never changes and atomics are touched.
        let Some(watch) = (unsafe { w.as_ref() }) else {
            return Ok(-libc::EINVAL);
        };
        if watch.watch.opener.kinship() != Kinship::Same {
            return Ok(-libc::ECHILD);
        }
        operation(watch)
    })
}

/// Opens a watch. Nothing is watched yet: ct_watch_start().
///
/// Opening needs no privilege, but for CT_WATCH_ALL_NSID, and with CT_WATCH_NETNS CAP_SYS_ADMIN as for ct_handle_open(). A watch holds up
/// to nine descriptors: three sockets, four to wait with, and two files in /proc. It keeps its network namespace alive.
///
/// @param ret_watch the new watch, yours to close with ct_watch_close()
/// @param opts how to watch; NULL for defaults
/// @return 0, or a negative errno:
///   -EINVAL ret_watch is NULL, or opts is wrong; -E2BIG opts has fields set that this release does not know;
///   -EBADF or -EINVAL netns_fd is no network namespace; -EPERM it may not be entered, or CT_WATCH_ALL_NSID without CAP_NET_BROADCAST;
///   -EPROTONOSUPPORT the kernel has no netfilter netlink; -EMFILE, -ENFILE too many open files; -ENOMEM
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_watch_open(ret_watch: *mut *mut ct_watch, opts: *const ct_watch_opts) -> c_int {
    without_handle(|| {
        // SAFETY: the caller's promise.
        let ret_watch = unsafe { boundary::out(ret_watch, "ret_watch") }?;
        let options = if opts.is_null() {
            WatchOptions::new()
        } else {
            // SAFETY: the caller's promise.
            watch_options(&unsafe {
                extend::read(opts, WATCH_OPTS_SIZE_V0, &|field| text("opts", format_args!("opts{field}")))
            }?)?
        };
        let sync = options.sync;
        let watch = Watch::prepare(options)?;
        let (remote, fd, events) = (watch.remote(), watch.as_fd().as_raw_fd(), watch.events_fd().as_raw_fd());
        ret_watch.write(give(ct_watch { watch: Guarded::new(watch, "watch")?, remote, fd, events, sync }, "watch")?);
        Ok(0)
    })
}

#[deny(unused_variables, reason = "a field that is forgotten must not compile")]
fn watch_options(opts: &ct_watch_opts) -> Result<WatchOptions, Error> {
    let ct_watch_opts { size: _, flags, netns_fd, events, timeout_ms, rcvbuf, audit_ms, max_entries } = *opts;
    if flags & !FLAGS != 0 {
        return Err(Error::invalid("opts.flags", "unknown bits"));
    }
    if events & !(CT_WATCH_NEW | CT_WATCH_UPDATE | CT_WATCH_DESTROY) != 0 {
        return Err(Error::invalid("opts.events", "unknown bits"));
    }
    let has = |flag| flags & flag != 0;
    if !has(CT_WATCH_SYNC) {
        // Forgotten, or of no effect: either way the caller hopes for something that does not come.
        let of_lists =
            [("opts.timeout_ms", timeout_ms), ("opts.audit_ms", audit_ms), ("opts.max_entries", max_entries)];
        if let Some((field, _)) = of_lists.into_iter().find(|(_, value)| *value != 0) {
            return Err(Error::invalid(field, "is set, but CT_WATCH_SYNC is not"));
        }
        if has(CT_WATCH_AUDIT_ALL) {
            return Err(Error::invalid("opts.flags", "CT_WATCH_AUDIT_ALL without CT_WATCH_SYNC"));
        }
    }
    if has(CT_WATCH_AUDIT_ALL) && audit_ms == u32::MAX {
        return Err(Error::invalid("opts.flags", "CT_WATCH_AUDIT_ALL, but opts.audit_ms says never"));
    }
    let millis = |value: u32| Duration::from_millis(value.into());
    let mut options = WatchOptions::new();
    if has(CT_WATCH_NETNS) {
        let fd = duplicate(netns_fd)
            .map_err(|error| Error::system(Call::Other("dup of netns_fd"), &error).during("watch"))?;
        options.netns = Some(fd);
    } else if netns_fd != 0 {
        return Err(Error::invalid("opts.netns_fd", "is set, but CT_WATCH_NETNS is not"));
    }
    let kinds =
        [(CT_WATCH_NEW, EventKind::New), (CT_WATCH_UPDATE, EventKind::Update), (CT_WATCH_DESTROY, EventKind::Destroy)];
    options.kinds.try_reserve(kinds.len()).map_err(|_| Error::NoMemory { op: "watch" })?;
    options.kinds.extend(kinds.into_iter().filter(|(bit, _)| events & bit != 0).map(|(_, kind)| kind));
    options.sync = has(CT_WATCH_SYNC);
    options.enable = has(CT_WATCH_ENABLE);
    options.reliable = has(CT_WATCH_RELIABLE);
    options.everywhere = has(CT_WATCH_ALL_NSID);
    options.audit_all = has(CT_WATCH_AUDIT_ALL);
    options.timeout = (timeout_ms != 0).then(|| millis(timeout_ms));
    options.receive_buffer = (rcvbuf != 0).then_some(rcvbuf);
    match audit_ms {
        0 => {}
        u32::MAX => options.audit = None,
        audit_ms => options.audit = Some(millis(audit_ms)),
    }
    options.max_entries = (max_entries != 0).then_some(max_entries as usize);
    Ok(options)
}

/// Begins to watch what the filters select, as ct_list() selects.
///
/// Whatever happens after it returned is reported or counted as lost; the list of CT_WATCH_SYNC is read by ct_watch_next(). If the watch
/// is started already, that ends, and nothing of it is reported any more; the numbers of events go on. If the filters are
/// wrong, all stays as it was.
///
/// With CT_WATCH_SYNC an entry that is selected only after a change is reported as CT_EVENT_NEW with CT_EVENT_ENTERED, and one that is
/// selected no more as CT_EVENT_DESTROY with CT_EVENT_LEFT. Without it each event is judged by itself.
///
/// @param w the watch
/// @param f n filters, f[0].size bytes apart; NULL if n is 0
/// @param n how many; 0: every entry
/// @return 0, or a negative errno: -EINVAL, -E2BIG a filter is wrong (ct_watch_error() names filter and field); -EPERM CAP_NET_ADMIN is
///   missing; -EPERM, -EACCES, -EROFS, -ENOENT CT_WATCH_ENABLE cannot be done; -EOPNOTSUPP the kernel sends no events, or, without
///   CT_WATCH_SYNC, a filter asks for labels or helper, which the kernel does not send with every event; -EBUSY another thread uses the
///   watch; -ECHILD it was opened by a parent process; -ENOMEM; -ENOTRECOVERABLE an internal error, the watch is unusable.
///   After -EPERM and later ones nothing is watched
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_watch_start(w: *mut ct_watch, f: *const ct_filter, n: usize) -> c_int {
    // SAFETY: the caller's promise, for the watch and for the filters.
    unsafe {
        with_watch(w, |watch| {
            watch.start(&filters(f, n)?)?;
            Ok(0)
        })
    }
}

/// The descriptor to wait on with poll(2), select(2) or epoll(7): readable when ct_watch_next() has something to do, from ct_watch_start()
/// on until the list of CT_WATCH_SYNC was handed over too. It is an epoll set: do not read from it or change it, and do not close it.
///
/// With edge-triggered epoll call ct_watch_next() until it returns 0: from then on no wake-up is lost.
///
/// @param w the watch
/// @return the descriptor, the same as long as the watch lives; or a negative errno: -EINVAL w is NULL; -ECHILD it was opened by a parent
///   process
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_watch_fd(w: *const ct_watch) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { beside(w, |watch| Ok(watch.fd)) }
}

/// Fills an array with the next events: those that are there, or the first that come. 64 to 256 at a time cost least.
///
/// Nothing that happens to events ends a watch: a loss is CT_EVENT_LOST in its place, and never -ENOBUFS. After an error the watch
/// goes on; call again. Events that came before it are handed over first.
///
/// A call with timeout_ms 0 never sleeps and takes a bounded time.
///
/// @param w the watch
/// @param buf where to put them
/// @param cap room for how many; at least 1
/// @param timeout_ms how long to wait for the first one. 0: not at all; -1: without limit
/// @return how many were filled in. 0: nothing came in time, a signal handler ran in this thread, or ct_watch_wake(). Or a negative errno:
///   -EINVAL an argument is wrong, or the watch is not started; -EPERM CAP_NET_ADMIN is missing (any more); -ENOSPC more entries than
///   max_entries, and -ENOMEM, with CT_WATCH_SYNC: said once, the watch tries again and is not synced until there is room; -ETIMEDOUT the
///   kernel fell silent while listing, it is tried again; -EBUSY another thread uses the watch; -ECHILD it was opened by a parent
///   process; -ENOTRECOVERABLE an internal error, the watch is unusable
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_watch_next(w: *mut ct_watch, buf: *mut ct_event, cap: usize, timeout_ms: i32) -> c_int {
    // SAFETY: the caller's promise, for the watch and for the array.
    unsafe {
        with_watch(w, |watch| {
            // The count is returned as an int.
            let cap = cap.min(c_int::MAX as usize);
            if cap == 0 {
                return Err(Error::invalid("cap", "is 0"));
            }
            let timeout = match timeout_ms {
                -1 => None,
                millis => match u64::try_from(millis) {
                    Ok(millis) => Some(Duration::from_millis(millis)),
                    Err(_) => return Err(Error::invalid("timeout_ms", "is negative, and not -1")),
                },
            };
            let mut slots = array_out(buf, cap, "buf")?.iter_mut();
            let count = watch.next_each(cap, timeout, &mut |event| {
                if let Some(slot) = slots.next() {
                    ct_event::write(event, slot);
                }
            })?;
            Ok(count as c_int)
        })
    }
}

/// Ends the wait of ct_watch_next() that is under way, or the next one, which returns 0. Any thread may call it, and any signal handler.
///
/// @param w the watch
/// @return 0, or a negative errno: -EINVAL w is NULL; -ECHILD it was opened by a parent process, which is not woken
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_watch_wake(w: *mut ct_watch) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        beside(w, |watch| {
            watch.remote.wake();
            Ok(0)
        })
    }
}

/// Lists the table again, as if events had been lost: what is not as it was reported comes as events with CT_EVENT_FOUND, and then
/// CT_EVENT_SYNCED. Any thread may call it, while another one waits too, and any signal handler.
///
/// @param w the watch
/// @return 0, or a negative errno: -EINVAL w is NULL, or has no CT_WATCH_SYNC; -ECHILD it was opened by a parent process
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_watch_resync(w: *mut ct_watch) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        beside(w, |watch| {
            if !watch.sync {
                return Err(Error::invalid("watch", "has no CT_WATCH_SYNC"));
            }
            watch.remote.resync();
            Ok(0)
        })
    }
}

/// What the watch has done, and where it stands. Any thread may call it, while another one waits too.
///
/// @param w the watch
/// @param info size set, the rest zero; filled on success
/// @return 0, or a negative errno: -EINVAL an argument is wrong; -E2BIG info has fields set that this release does not know; -ECHILD the
///   watch was opened by a parent process
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_watch_get_info(w: *mut ct_watch, info: *mut ct_watch_info) -> c_int {
    let fill = |watch: &ct_watch| {
        // SAFETY: the caller's promise.
        let given = unsafe {
            let name = |field| text("info", format_args!("info{field}"));
            extend::read(info.cast_const(), WATCH_INFO_SIZE_V0, &name)?.size as usize
        };
        // SAFETY: it is open as long as the watch is, which the caller promises.
        let events = unsafe { BorrowedFd::borrow_raw(watch.events) };
        let info_of = watch.remote.info_with(events)?;
        let filled = size_of::<u32>()..given.min(size_of::<ct_watch_info>());
        // SAFETY: the caller's struct has these bytes, of which the first four, its size, stay as they are.
        unsafe { extend::write(&ct_watch_info::new(&info_of), info, filled) };
        Ok(0)
    };
    // SAFETY: the caller's promise.
    unsafe { beside(w, fill) }
}

impl ct_watch_info {
    fn new(info: &WatchInfo) -> ct_watch_info {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        ct_watch_info {
            size: 0,
            flags: flag(info.is_synced, CT_WATCH_IS_SYNCED) | flag(info.may_be_silent, CT_WATCH_MAY_BE_SILENT),
            events_mode: info.events_mode.map_or(-1, i32::from),
            rcvbuf: info.receive_buffer,
            queued: info.queued,
            pad0: 0,
            received: info.received,
            lost: info.lost,
            resyncs: info.resyncs,
            restarts: info.restarts,
            verified: info.verified,
            audited: info.audited,
            entries: info.entries as u64,
        }
    }
}

/// What went wrong in the last call of ct_watch_start() or ct_watch_next(): as ct_handle_error().
///
/// @param w the watch
/// @return text in English, owned by the watch, valid until the next of these calls; never NULL
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_watch_error(w: *const ct_watch) -> *const c_char {
    uncancelled(|| {
        // SAFETY: the caller's promise.
        unsafe { w.as_ref() }.map_or(c"".as_ptr(), |w| w.watch.error())
    })
}

/// Closes a watch and releases all that belongs to it. NULL is fine. No event is sent to it any more, even if a child process still has
/// copies of its sockets.
///
/// No other thread may be using it: wake the one that waits, and join it. A child process may close a watch of its parent: that changes
/// nothing for the parent. If another thread was in a call on it when the child was made, nothing is released.
///
/// @param w the watch; it must not be used any more
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_watch_close(w: *mut ct_watch) {
    if w.is_null() {
        return;
    }
    without_handle(|| {
        // SAFETY: the caller promises a live watch; only what never changes and atomics are touched.
        let closing = unsafe { &*w }.watch.closing();
        if closing == Closing::Nothing {
            return Ok(0);
        }
        // SAFETY: the caller's promise: this is the last use of a live watch.
        let watch = unsafe { Box::from_raw(w) }.watch.into_subject();
        if closing == Closing::Copy {
            watch.abandon();
        }
        Ok(0)
    });
}
