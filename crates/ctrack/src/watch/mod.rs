//! Watching the table: events as they come, or a list and what changes afterwards, which add up to the kernel's table.

mod bpf;
mod engine;
mod follower;
mod sockets;
mod table;
mod tombstones;

#[cfg(test)]
mod model;

use crate::error::{Call, Error, LATER};
use crate::filter::Filter;
use crate::selection::Selection;
use crate::socket::link::DEFAULT_TIMEOUT;
use crate::socket::netlink::OpenOptions;
use crate::sys;
use ctnetlink::consts::*;
use ctnetlink::event::EventKind;
use ctnetlink::types::Entry;
use engine::{Engine, Source, Step, Told, What};
pub use follower::EventFlags;
use sockets::{Sockets, GROUPS};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The name of the operation in errors.
const WATCH: &str = "watch";

/// How to watch.
///
/// ```no_run
/// use ctrack::{Filter, Watch, WatchOptions};
/// let mut watch = Watch::open(WatchOptions::new().with_sync(), &[Filter::new().with_zone(7)])?;
/// # Ok::<(), ctrack::Error>(())
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct WatchOptions {
    /// List + watch: first the entries that are there ([`EventFlags::INITIAL`]), then [`Change::Synced`], then what changes. Losses are
    /// repaired.
    pub sync: bool,
    /// Of which changes to hear without `sync`. Empty: of all.
    pub kinds: Vec<EventKind>,
    /// The network namespace. `None`: that of the calling thread. The watch keeps it alive.
    pub netns: Option<OwnedFd>,
    /// The longest silence of the kernel while listing. `None`: 10 seconds.
    pub timeout: Option<Duration>,
    /// Receive buffer for events in bytes, 1,280 for each that waits. `None`: 32 MiB.
    pub receive_buffer: Option<u32>,
    /// With `sync`: how many entries may be known, at about 90 bytes each; more are [`Error::Full`]. `None`: any number.
    pub max_entries: Option<usize>,
}

impl WatchOptions {
    /// Events alone, of all kinds.
    pub fn new() -> WatchOptions {
        WatchOptions::default()
    }

    /// A list first, which what changes is added to.
    #[must_use]
    pub fn with_sync(self) -> WatchOptions {
        WatchOptions { sync: true, ..self }
    }

    /// Hears of these changes alone.
    #[must_use]
    pub fn with_kinds(self, kinds: impl Into<Vec<EventKind>>) -> WatchOptions {
        WatchOptions { kinds: kinds.into(), ..self }
    }

    /// Watches this network namespace.
    #[must_use]
    pub fn with_netns(self, netns: impl Into<OwnedFd>) -> WatchOptions {
        WatchOptions { netns: Some(netns.into()), ..self }
    }

    /// Asks for a receive buffer of so many bytes.
    #[must_use]
    pub fn with_receive_buffer(self, bytes: u32) -> WatchOptions {
        WatchOptions { receive_buffer: Some(bytes), ..self }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
#[allow(clippy::large_enum_variant, reason = "nearly all of them have an entry")]
pub enum Change {
    /// An entry was made, or is selected now.
    New(Entry),
    /// An entry changed.
    Update(Entry),
    /// An entry went, or is selected no more.
    Destroy(Entry),
    /// So many events are missing here; `None`: an unknown number. With a list, what follows repairs it, up to [`Change::Synced`].
    Lost(Option<u64>),
    /// With a list: what was told adds up to the table as it was at some moment since the last loss.
    Synced,
}

/// One event of a watch.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// What happened.
    pub change: Change,
    /// What is special about it.
    pub flags: EventFlags,
    /// Counts the events of this watch from 1, without gaps.
    pub number: u64,
    /// The netlink port of who caused it; 0: traffic, a timeout, or found out.
    pub port: u32,
    /// When it happened, in nanoseconds since 1970, as the kernel says (6.14, sysctl nf_conntrack_timestamp). `None`: it does not.
    pub time_ns: Option<u64>,
    /// When it was read, in nanoseconds since 1970.
    pub received_ns: u64,
}

/// What a watch has done, and where it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchInfo {
    /// What was told adds up to the table.
    pub is_synced: bool,
    /// Entries that are known.
    pub entries: usize,
    /// Events that were read.
    pub received: u64,
    /// Events that are known to be lost.
    pub lost: u64,
    /// Lists because of losses, or on request.
    pub resyncs: u64,
    /// Lists that were disturbed and begun anew.
    pub restarts: u64,
    /// Entries that the kernel was asked for.
    pub verified: u64,
    /// The receive buffer in bytes, as granted.
    pub receive_buffer: u32,
    /// How much of it is in use.
    pub queued: u32,
}

/// Ends a wait of a [`Watch`], from any thread.
#[derive(Clone, Debug)]
pub struct Waker(Arc<File>);

impl Waker {
    /// Ends the wait that is under way, or the next one.
    pub fn wake(&self) {
        // It is full only where it was woken before.
        let _ = (&*self.0).write(&1u64.to_ne_bytes());
    }
}

/// A watch of one network namespace.
///
/// ```no_run
/// use ctrack::{Change, Watch, WatchOptions};
/// let mut watch = Watch::open(WatchOptions::new().with_sync(), &[])?;
/// let mut events = Vec::new();
/// loop {
///     watch.next_batch(&mut events, 256, None)?;
///     for event in events.drain(..) {
///         match event.change {
///             Change::New(entry) => println!("+ {}", entry.orig_src()),
///             Change::Destroy(entry) => println!("- {}", entry.orig_src()),
///             Change::Lost(count) => eprintln!("{count:?} events are missing"),
///             _ => {}
///         }
///     }
/// }
/// # Ok::<(), ctrack::Error>(())
/// ```
pub struct Watch {
    engine: Engine,
    sockets: Sockets,
    poll: OwnedFd,
    /// There is something to do though the kernel says nothing.
    busy: File,
    is_busy: bool,
    timer: OwnedFd,
    waker: Waker,
    number: u64,
}

impl Watch {
    /// Begins to watch what the filters select, as for [`Conntrack::list`](crate::Conntrack::list): whatever happens afterwards is
    /// heard. The list of [`WatchOptions::sync`] is read by [`Watch::next_batch`].
    ///
    /// ```no_run
    /// use ctnetlink::event::EventKind;
    /// use ctrack::{Watch, WatchOptions};
    /// let ends = Watch::open(WatchOptions::new().with_kinds([EventKind::Destroy]), &[])?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn open(options: WatchOptions, filters: &[Filter]) -> Result<Watch, Error> {
        Watch::open_unnamed(options, filters).map_err(|error| error.during(WATCH))
    }

    fn open_unnamed(options: WatchOptions, filters: &[Filter]) -> Result<Watch, Error> {
        let WatchOptions { sync, kinds, netns, timeout, receive_buffer, max_entries } = options;
        let selection = Selection::new(filters)?;
        if !sync && selection.asks_for_rare() {
            let reason =
                "asks for labels or helper, which the kernel does not send with every event; watch with a list (sync)";
            return Err(Error::invalid("filters", reason));
        }
        let options = OpenOptions { netns, receive_buffer, ..OpenOptions::default() };
        let mut sockets = Sockets::open(&options, timeout.unwrap_or(DEFAULT_TIMEOUT))?;
        sockets.filter(&selection, sync)?;
        let groups: Vec<u32> = kinds.iter().map(|kind| group(*kind)).collect();
        let groups = if sync || groups.is_empty() { &GROUPS[..] } else { &groups[..] };
        sockets.keep(groups)?;
        let mut engine = Engine::new(selection, sync, Some(groups), max_entries.unwrap_or(0));
        let other = |error: std::io::Error| Error::system(Call::Other("epoll, eventfd or timerfd"), &error);
        let (busy, wake) = (sys::counter().map_err(other)?, sys::counter().map_err(other)?);
        let timer = sys::timer().map_err(other)?;
        let fds = [sockets.fd(), busy.as_raw_fd(), wake.as_raw_fd(), timer.as_raw_fd()];
        let poll = sys::poll_set(&fds).map_err(other)?;
        // What happens from now on is heard.
        engine.begin(&mut sockets)?;
        let mut watch = Watch {
            engine,
            sockets,
            poll,
            busy: busy.into(),
            is_busy: false,
            timer,
            waker: Waker(Arc::new(wake.into())),
            number: 0,
        };
        watch.set_busy(true);
        Ok(watch)
    }

    /// Appends events to `events`, up to `most`: those that are there, or the first that come. None: nothing came within `timeout`
    /// (`None`: no limit), a signal did, or a [`Waker`] woke it. After an error the watch goes on.
    ///
    /// ```no_run
    /// # let mut watch = ctrack::Watch::open(ctrack::WatchOptions::new(), &[])?;
    /// let mut events = Vec::new();
    /// // Whatever waits, without waiting.
    /// watch.next_batch(&mut events, 64, Some(std::time::Duration::ZERO))?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn next_batch(&mut self, events: &mut Vec<Event>, most: usize, timeout: Option<Duration>) -> Result<(), Error> {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        events.try_reserve(most).map_err(|_| Error::NoMemory { op: WATCH })?;
        let first = events.len();
        loop {
            self.hand_over(events, first + most);
            if events.len() > first {
                self.set_busy(true);
                return Ok(());
            }
            let step = self.engine.step(&mut self.sockets).map_err(|error| error.during(WATCH))?;
            if self.engine.has_told() {
                continue;
            }
            match step {
                Step::Again => {
                    if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                        return Ok(());
                    }
                    continue;
                }
                Step::Idle => self.rest(None),
                Step::Until(time) => self.rest(Some(time.saturating_sub(self.sockets.now()))),
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return Ok(());
            }
            // A signal ends a wait.
            if !sys::wait_readable(self.poll.as_raw_fd(), left.unwrap_or(Duration::MAX)).unwrap_or(false) {
                return Ok(());
            }
            if self.was_woken() {
                return Ok(());
            }
        }
    }

    fn hand_over(&mut self, events: &mut Vec<Event>, most: usize) {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let received_ns = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        while events.len() < most {
            let Some(Told { what, flags, port, time_ns, entry }) = self.engine.next() else { break };
            self.number += 1;
            let change = match what {
                What::Entry(EventKind::New) => Change::New(entry),
                What::Entry(EventKind::Update) => Change::Update(entry),
                What::Entry(EventKind::Destroy) => Change::Destroy(entry),
                What::Lost(count) => Change::Lost(count),
                What::Synced => Change::Synced,
            };
            let time_ns = (time_ns != 0).then_some(time_ns);
            events.push(Event { change, flags, number: self.number, port, time_ns, received_ns });
        }
    }

    /// Makes the descriptor readable, or lets it be what the sockets are.
    fn set_busy(&mut self, busy: bool) {
        if busy != self.is_busy {
            let done = if busy { self.busy.write(&1u64.to_ne_bytes()) } else { self.busy.read(&mut [0; 8]) };
            self.is_busy = busy == done.is_ok();
        }
    }

    /// Nothing is to be done until the kernel says something, or so much time has passed.
    fn rest(&mut self, time: Option<Duration>) {
        self.set_busy(false);
        let _ = sys::set_timer(&self.timer, time);
    }

    fn was_woken(&self) -> bool {
        (&*self.waker.0).read(&mut [0; 8]).is_ok()
    }

    /// What ends a wait, from another thread.
    ///
    /// ```no_run
    /// # let mut watch = ctrack::Watch::open(ctrack::WatchOptions::new(), &[])?;
    /// let waker = watch.waker();
    /// std::thread::spawn(move || waker.wake());
    /// watch.next_batch(&mut Vec::new(), 64, None)?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// With a list: lists again, as if something had been lost. What is not as it was told comes as events with
    /// [`EventFlags::FOUND`].
    ///
    /// ```no_run
    /// # let mut watch = ctrack::Watch::open(ctrack::WatchOptions::new().with_sync(), &[])?;
    /// watch.resync();
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn resync(&mut self) {
        self.engine.resync();
        self.set_busy(true);
    }

    /// What it has done, and where it stands.
    ///
    /// ```no_run
    /// # let watch = ctrack::Watch::open(ctrack::WatchOptions::new(), &[])?;
    /// let info = watch.info()?;
    /// println!("{} events, {} lost", info.received, info.lost);
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn info(&self) -> Result<WatchInfo, Error> {
        let (queued, receive_buffer) = self.sockets.queue().map_err(|error| error.during(WATCH))?;
        let engine::Sums { received, lost, resyncs, restarts, checked } = self.engine.sums;
        let (is_synced, entries) = (self.engine.is_synced, self.engine.entries());
        Ok(WatchInfo {
            is_synced,
            entries,
            received,
            lost,
            resyncs,
            restarts,
            verified: checked,
            receive_buffer,
            queued,
        })
    }
}

/// Readable when [`Watch::next_batch`] has something to do: for poll(2), epoll(7) and event loops. Nobody else may read from it.
impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.poll.as_fd()
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("events", &self.number).field("is_synced", &self.engine.is_synced).finish()
    }
}

fn group(kind: EventKind) -> u32 {
    match kind {
        EventKind::New => NFNLGRP_CONNTRACK_NEW,
        EventKind::Update => NFNLGRP_CONNTRACK_UPDATE,
        EventKind::Destroy => NFNLGRP_CONNTRACK_DESTROY,
    }
}

/// Of errors that have no name yet.
#[allow(dead_code, reason = "named above")]
const _: &str = LATER;
