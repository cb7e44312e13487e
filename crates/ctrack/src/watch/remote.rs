//! A watch from other threads: waking it, asking it to list again, and what it has done.

use super::engine::State;
use super::options::WATCH;
use super::sockets::queue;
use crate::error::Error;
use crate::sys::Counted;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};

/// What a watch has done, and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchInfo {
    /// What was told adds up to the table.
    pub is_synced: bool,
    /// With a list: there may be entries of which the kernel does not say what becomes of them. They were made before the watch, with
    /// nf_conntrack_events at 2 or 0; or it is 0 now. Audits find what became of them.
    pub may_be_silent: bool,
    /// The sysctl nf_conntrack_events as it was last seen: 0, 1, 2; `None`: it cannot be read.
    pub events_mode: Option<u8>,
    /// The receive buffer in bytes, as granted.
    pub receive_buffer: u32,
    /// How much of it is in use.
    pub queued: u32,
    /// Events that were read.
    pub received: u64,
    /// Events that are known to be lost.
    pub lost: u64,
    /// Lists because of losses, or on request.
    pub resyncs: u64,
    /// Lists that were disturbed and begun anew.
    pub restarts: u64,
    /// Entries that the kernel was asked for, since an event did not fit to what was known.
    pub verified: u64,
    /// Entries that audits looked at.
    pub audited: u64,
    /// Entries that are known.
    pub entries: usize,
}

/// A [`Watch`](crate::Watch) from another thread. It may outlive it; then it does nothing any more.
///
/// ```no_run
/// # let mut watch = ctrack::Watch::open(ctrack::WatchOptions::new(), &[])?;
/// let remote = watch.remote();
/// std::thread::spawn(move || {
///     if remote.info().lost > 0 {
///         remote.resync();
///     }
///     remote.wake();
/// });
/// watch.next_batch(&mut Vec::new(), 64, None)?;
/// # Ok::<(), ctrack::Error>(())
/// ```
#[derive(Clone)]
pub struct Remote(Counted<Shared>);

#[derive(Debug)]
pub(super) struct Shared {
    /// An eventfd.
    wake: File,
    woken: AtomicBool,
    resync: AtomicBool,
    /// [`State`].
    sums: [AtomicU64; 7],
    /// Bytes of the receive buffer in use, and how many there are.
    queue: [AtomicU32; 2],
    flags: AtomicU32,
    mode: AtomicI32,
}

const SYNCED: u32 = 1;
const SILENT: u32 = 2;

impl Remote {
    pub(super) fn new(wake: OwnedFd) -> Result<Remote, Error> {
        let shared = Counted::new(Shared {
            wake: wake.into(),
            woken: AtomicBool::new(false),
            resync: AtomicBool::new(false),
            sums: Default::default(),
            queue: [const { AtomicU32::new(0) }; 2],
            flags: AtomicU32::new(0),
            mode: AtomicI32::new(-1),
        });
        shared.map(Remote).ok_or(Error::NoMemory { op: WATCH })
    }

    /// Ends the wait that is under way, or the next one. A signal handler may call it.
    pub fn wake(&self) {
        self.0.woken.store(true, Ordering::Release);
        self.0.alarm();
    }

    /// As [`Watch::resync`](crate::Watch::resync); a wait that is under way goes on.
    pub fn resync(&self) {
        self.0.resync.store(true, Ordering::Release);
        self.0.alarm();
    }

    /// As [`Watch::info`](crate::Watch::info), as it was when the watch was read last.
    pub fn info(&self) -> WatchInfo {
        let shared = &self.0;
        let [queued, receive_buffer] = [0, 1].map(|at: usize| shared.queue[at].load(Ordering::Relaxed));
        let [received, lost, resyncs, restarts, verified, audited, entries] =
            std::array::from_fn(|at| shared.sums[at].load(Ordering::Relaxed));
        let flags = shared.flags.load(Ordering::Relaxed);
        WatchInfo {
            is_synced: flags & SYNCED != 0,
            may_be_silent: flags & SILENT != 0,
            events_mode: u8::try_from(shared.mode.load(Ordering::Relaxed)).ok(),
            receive_buffer,
            queued,
            received,
            lost,
            resyncs,
            restarts,
            verified,
            audited,
            entries: usize::try_from(entries).unwrap_or(usize::MAX),
        }
    }

    /// The same, with the present use of the receive buffer of this socket.
    #[doc(hidden)]
    pub fn info_with(&self, events: BorrowedFd<'_>) -> Result<WatchInfo, Error> {
        let (queued, receive_buffer) = queue(events).map_err(|error| error.during(WATCH))?;
        Ok(WatchInfo { queued, receive_buffer, ..self.info() })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0
    }
}

impl std::fmt::Debug for Remote {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Remote").field(&self.info()).finish()
    }
}

impl Shared {
    fn alarm(&self) {
        // It is full only where nobody looked since it was written last.
        let _ = (&self.wake).write(&1u64.to_ne_bytes());
    }

    /// Whether it was woken; not any more then.
    pub fn take_wake(&self) -> bool {
        let _ = (&self.wake).read(&mut [0; 8]);
        self.woken.swap(false, Ordering::AcqRel)
    }

    /// Whether a list is asked for.
    pub fn wants_resync(&self) -> bool {
        self.resync.load(Ordering::Acquire)
    }

    /// The same; not any more then.
    pub fn take_resync(&self) -> bool {
        self.wants_resync() && self.resync.swap(false, Ordering::AcqRel)
    }

    /// Shows others where the watch stands.
    pub fn publish(&self, state: &State) {
        let sums = &state.sums;
        let all =
            [sums.received, sums.lost, sums.resyncs, sums.restarts, sums.checked, sums.audited, state.entries as u64];
        for (place, value) in self.sums.iter().zip(all) {
            place.store(value, Ordering::Relaxed);
        }
        let flags = if state.is_synced { SYNCED } else { 0 } | if state.may_be_silent { SILENT } else { 0 };
        self.flags.store(flags, Ordering::Relaxed);
        for (place, value) in self.queue.iter().zip(state.queue) {
            place.store(value, Ordering::Relaxed);
        }
        self.mode.store(state.mode.map_or(-1, i32::from), Ordering::Relaxed);
    }
}
