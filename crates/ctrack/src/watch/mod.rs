//! Watching the table: events as they come, or a list and what changes afterwards, which add up to the kernel's table.

mod bpf;
mod engine;
mod follower;
mod options;
mod remote;
mod sockets;
mod table;
pub(crate) mod text;
mod tombstones;

#[cfg(test)]
mod model;
#[cfg(test)]
mod scripted;

use crate::error::{Call, Error};
use crate::filter::Filter;
use crate::selection::Selection;
use crate::socket::link::DEFAULT_TIMEOUT;
use crate::socket::netlink::OpenOptions;
use crate::sys;
use crate::text::{EventParts, EventWhat};
use ctnetlink::event::EventKind;
use ctnetlink::types::Entry;
use engine::{bit, Aim, Engine, State, Step, Task, Told, What};
pub use follower::EventFlags;
pub use options::WatchOptions;
use options::WATCH;
pub use remote::{Remote, WatchInfo};
use sockets::{Manner, Sockets};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

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
    /// The netlink port of who caused it; 0: traffic, a timeout, or found out. It is no process id: only the first socket of a process
    /// has that number. Those of one's own changes: [`Conntrack::port`](crate::Conntrack::port).
    pub port: u32,
    /// The network namespace that it is of, by its number in the watch's own (`ip netns list-id`); `None`: the watch's own.
    pub nsid: Option<i32>,
    /// When it happened, in nanoseconds since 1970, as the kernel says (6.14, sysctl nf_conntrack_timestamp). `None`: it does not.
    pub time_ns: Option<u64>,
    /// When it was read, in nanoseconds since 1970.
    pub received_ns: u64,
}

impl Event {
    /// One that no watch told, to try out what becomes of events: with no flags, numbers and times.
    ///
    /// ```
    /// let lost = ctrack::Event::new(ctrack::Change::Lost(Some(17)));
    /// assert_eq!((lost.number, lost.port, lost.time_ns), (0, 0, None));
    /// ```
    pub fn new(change: Change) -> Event {
        Event { change, flags: EventFlags::empty(), number: 0, port: 0, nsid: None, time_ns: None, received_ns: 0 }
    }
}

impl Event {
    fn of(parts: &EventParts<'_>) -> Event {
        let EventParts { what, flags, number, port, nsid, time_ns, received_ns } = *parts;
        let change = match what {
            EventWhat::Entry(EventKind::New, entry) => Change::New(*entry),
            EventWhat::Entry(EventKind::Update, entry) => Change::Update(*entry),
            EventWhat::Entry(EventKind::Destroy, entry) => Change::Destroy(*entry),
            EventWhat::Lost(count) => Change::Lost(count),
            EventWhat::Synced => Change::Synced,
        };
        Event { change, flags: EventFlags::from_bits_retain(flags), number, port, nsid, time_ns, received_ns }
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
    /// `None`: not started.
    engine: Option<Engine>,
    aim: Aim,
    manner: Manner,
    sockets: Sockets,
    poll: OwnedFd,
    /// There is something to do though the kernel says nothing.
    busy: File,
    is_busy: bool,
    timer: OwnedFd,
    timer_is_set: bool,
    remote: Remote,
    number: u64,
    /// What went wrong after the last events that were not handed over yet.
    failed: Option<Error>,
    /// Who opened it: a child has a copy, which must not leave groups.
    process: u32,
}

impl Watch {
    /// Begins to watch what the filters select, as for [`Conntrack::list`](crate::Conntrack::list): whatever happens afterwards is
    /// heard. The list of [`WatchOptions::sync`] is read by [`Watch::next_batch`].
    ///
    /// ```no_run
    /// use ctrack::{EventKind, Watch, WatchOptions};
    /// let ends = Watch::open(WatchOptions::new().with_kinds([EventKind::Destroy]), &[])?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn open(options: WatchOptions, filters: &[Filter]) -> Result<Watch, Error> {
        let mut watch = Watch::prepare(options)?;
        watch.start(filters)?;
        Ok(watch)
    }

    /// Opens what a watch needs, and hears nothing yet. Needs no privilege.
    ///
    /// ```no_run
    /// use ctrack::{Watch, WatchOptions};
    /// let mut watch = Watch::prepare(WatchOptions::new())?;
    /// watch.start(&[])?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn prepare(options: WatchOptions) -> Result<Watch, Error> {
        Watch::prepare_unnamed(options).map_err(|error| error.during(WATCH))
    }

    fn prepare_unnamed(options: WatchOptions) -> Result<Watch, Error> {
        let WatchOptions {
            sync,
            kinds,
            netns,
            timeout,
            receive_buffer,
            audit,
            audit_all,
            max_entries,
            enable,
            reliable,
            everywhere,
        } = options;
        if sync && reliable {
            let reason = "does not go with sync: an end is told repeatedly then, and after the successor came";
            return Err(Error::invalid("reliable", reason));
        }
        if sync && everywhere {
            return Err(Error::invalid("everywhere", "does not go with sync: a list is of one network namespace"));
        }
        let manner = Manner { reliable, everywhere, enable };
        let aim = Aim {
            sync,
            kinds: kinds.iter().fold(0, |kinds, kind| kinds | bit(*kind)),
            most: max_entries.unwrap_or(0),
            audit: audit.filter(|every| !every.is_zero()),
            audit_all,
        };
        let options = OpenOptions { netns, receive_buffer, ..OpenOptions::default() };
        let sockets = Sockets::open(&options, manner, timeout.unwrap_or(DEFAULT_TIMEOUT))?;
        let other = |error: std::io::Error| Error::system(Call::Other("epoll, eventfd or timerfd"), &error);
        let (busy, wake) = (sys::counter().map_err(other)?, sys::counter().map_err(other)?);
        let timer = sys::timer().map_err(other)?;
        let fds = [sockets.events().as_raw_fd(), busy.as_raw_fd(), wake.as_raw_fd(), timer.as_raw_fd()];
        let poll = sys::poll_set(&fds).map_err(other)?;
        let remote = Remote::new(wake)?;
        Ok(Watch {
            engine: None,
            aim,
            manner,
            sockets,
            poll,
            busy: busy.into(),
            is_busy: false,
            timer,
            timer_is_set: false,
            remote,
            number: 0,
            failed: None,
            process: std::process::id(),
        })
    }

    /// Begins to watch what the filters select. If it is watching, that ends, and nothing of it is told any more; unless a filter is
    /// wrong: then all stays as it was.
    ///
    /// ```no_run
    /// # use ctrack::{Filter, Watch, WatchOptions};
    /// let mut watch = Watch::open(WatchOptions::new(), &[Filter::new().with_zone(7)])?;
    /// // From now on another zone.
    /// watch.start(&[Filter::new().with_zone(8)])?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn start(&mut self, filters: &[Filter]) -> Result<(), Error> {
        self.start_unnamed(filters).map_err(|error| error.during(WATCH))
    }

    fn start_unnamed(&mut self, filters: &[Filter]) -> Result<(), Error> {
        let selection = Selection::new(filters)?;
        if !self.aim.sync && selection.asks_for_rare() {
            let reason =
                "asks for labels or helper, which the kernel does not send with every event; watch with a list (sync)";
            return Err(Error::Impossible { op: WATCH, errno: libc::EOPNOTSUPP, reason });
        }
        (self.engine, self.failed) = (None, None);
        self.sockets.leave_all();
        self.sockets.filter(&selection, self.aim.sync)?;
        let mut engine = Engine::new(Task { aim: self.aim, selection });
        if let Err(error) = engine.begin(&mut self.sockets, self.manner.enable) {
            self.sockets.leave_all();
            return Err(error);
        }
        self.engine = Some(engine);
        self.publish();
        self.set_busy(true);
        Ok(())
    }

    /// Event by event, for a `for` loop: waits for each without limit. It ends where a [`Remote`] wakes it or a signal comes, and
    /// another one goes on from there. After an error the watch goes on.
    ///
    /// ```no_run
    /// # let mut watch = ctrack::Watch::open(ctrack::WatchOptions::new(), &[])?;
    /// for event in watch.iter() {
    ///     println!("{}", ctrack::event_line(&event?, ctrack::Format::empty()));
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn iter(&mut self) -> Iter<'_> {
        Iter(self)
    }

    /// Appends events to `events`, up to `most`: those that are there, or the first that come. None: nothing came within `timeout`
    /// (`None`: no limit), a signal did, or a [`Remote`] woke it. After an error the watch goes on.
    ///
    /// ```no_run
    /// # let mut watch = ctrack::Watch::open(ctrack::WatchOptions::new(), &[])?;
    /// let mut events = Vec::new();
    /// // Whatever waits, without waiting.
    /// watch.next_batch(&mut events, 64, Some(std::time::Duration::ZERO))?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn next_batch(&mut self, events: &mut Vec<Event>, most: usize, timeout: Option<Duration>) -> Result<(), Error> {
        events.try_reserve(most).map_err(|_| Error::NoMemory { op: WATCH })?;
        self.next_each(most, timeout, &mut |parts| events.push(Event::of(parts))).map(drop)
    }

    /// As [`Watch::next_batch`], event by event, as many as it returns.
    #[doc(hidden)]
    pub fn next_each(
        &mut self,
        most: usize,
        timeout: Option<Duration>,
        hear: &mut dyn FnMut(&EventParts<'_>),
    ) -> Result<usize, Error> {
        let result = self.next_unnamed(most, timeout, hear).map_err(|error| error.during(WATCH));
        self.publish();
        result
    }

    /// Shows others where it stands.
    fn publish(&self) {
        if let Some(engine) = &self.engine {
            self.remote.shared().publish(&State { queue: self.sockets.queued, ..engine.state() });
        }
    }

    fn next_unnamed(
        &mut self,
        most: usize,
        timeout: Option<Duration>,
        hear: &mut dyn FnMut(&EventParts<'_>),
    ) -> Result<usize, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        loop {
            let Some(engine) = &mut self.engine else {
                return Err(Error::invalid("watch", "is not started"));
            };
            let count = hand_over(engine, &mut self.number, most, hear);
            if count > 0 {
                self.set_busy(true);
                return Ok(count);
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.remote.shared().take_resync() {
                engine.resync();
            }
            let step = match engine.step(&mut self.sockets) {
                Ok(step) => step,
                Err(error) => {
                    // What came before it is handed over first.
                    self.failed = Some(error);
                    self.set_busy(true);
                    continue;
                }
            };
            if engine.has_told() {
                continue;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            let is_over = left.is_some_and(|left| left.is_zero());
            match step {
                Step::Again if is_over => self.set_busy_anew(),
                Step::Again => continue,
                Step::Idle => self.rest(None),
                Step::Until(time) => {
                    let now = engine::Source::now(&self.sockets);
                    self.rest(Some(time.saturating_sub(now)));
                }
            }
            if is_over {
                // Whoever asked for a list since, or woke it, has made it readable.
                let _ = self.remote.shared().take_wake();
                if self.remote.shared().wants_resync() {
                    self.set_busy_anew();
                }
                return Ok(0);
            }
            match sys::wait_readable(self.poll.as_raw_fd(), left.unwrap_or(Duration::MAX)) {
                Ok(true) if self.remote.shared().take_wake() => return Ok(0),
                Ok(true) => {}
                // The longest time that the kernel waits is over, but there is no limit.
                Ok(false) if left.is_none() => {}
                // The time is over; or a signal came, which ends a wait.
                Ok(false) | Err(_) => return Ok(0),
            }
        }
    }

    /// Makes the descriptor readable, or lets it be what the sockets are.
    fn set_busy(&mut self, busy: bool) {
        if busy != self.is_busy {
            let done = if busy { self.busy.write(&1u64.to_ne_bytes()) } else { self.busy.read(&mut [0; 8]) };
            self.is_busy = busy == done.is_ok();
        }
    }

    /// The descriptor stays readable, and whoever waits for it to become so (EPOLLET) hears of it once more.
    fn set_busy_anew(&mut self) {
        self.is_busy = false;
        self.set_busy(true);
    }

    /// Nothing is to be done until the kernel says something, or so much time has passed.
    fn rest(&mut self, time: Option<Duration>) {
        self.set_busy(false);
        if time.is_some() || self.timer_is_set {
            let _ = sys::set_timer(&self.timer, time);
            self.timer_is_set = time.is_some();
        }
    }

    /// What works it from other threads.
    ///
    /// ```no_run
    /// # let mut watch = ctrack::Watch::open(ctrack::WatchOptions::new(), &[])?;
    /// let remote = watch.remote();
    /// std::thread::spawn(move || remote.wake());
    /// watch.next_batch(&mut Vec::new(), 64, None)?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn remote(&self) -> Remote {
        self.remote.clone()
    }

    /// With a list: lists again, as if something had been lost. What is not as it was told comes as events with
    /// [`EventFlags::FOUND`], and then [`Change::Synced`].
    ///
    /// ```no_run
    /// # let mut watch = ctrack::Watch::open(ctrack::WatchOptions::new().with_sync(), &[])?;
    /// watch.resync();
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn resync(&mut self) {
        self.remote.resync();
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
        self.remote.info_with(self.events_fd())
    }

    /// The socket that events wait on.
    #[doc(hidden)]
    pub fn events_fd(&self) -> BorrowedFd<'_> {
        self.sockets.events().as_fd()
    }

    /// Lets go of it without leaving its groups: for a child process, which has a copy of the parent's.
    #[doc(hidden)]
    pub fn abandon(mut self) {
        self.process = 0;
    }
}

/// The events of a watch: [`Watch::iter`].
#[derive(Debug)]
pub struct Iter<'a>(&'a mut Watch);

impl Iterator for Iter<'_> {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Result<Event, Error>> {
        let mut next = None;
        match self.0.next_each(1, None, &mut |parts| next = Some(Event::of(parts))) {
            Ok(_) => next.map(Ok),
            Err(error) => Some(Err(error)),
        }
    }
}

/// Hands over what is to be told, up to `most`, and says how many that were.
fn hand_over(engine: &mut Engine, number: &mut u64, most: usize, hear: &mut dyn FnMut(&EventParts<'_>)) -> usize {
    engine.hand_over(most, &mut |told| {
        let Told { what, flags, origin, nsid, received_ns, ref entry } = *told;
        *number += 1;
        let what = match what {
            What::Entry(kind) => EventWhat::Entry(kind, entry),
            What::Lost(count) => EventWhat::Lost(count),
            What::Synced => EventWhat::Synced,
        };
        let time_ns = (origin.time_ns != 0).then_some(origin.time_ns);
        let (flags, number) = (flags.bits(), *number);
        hear(&EventParts { what, flags, number, port: origin.port, nsid, time_ns, received_ns });
    })
}

/// Its groups are left, even if a child process still holds the sockets.
impl Drop for Watch {
    fn drop(&mut self) {
        if self.process == std::process::id() {
            self.sockets.leave_all();
        }
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
        f.debug_struct("Watch").field("events", &self.number).field("aim", &self.aim).finish_non_exhaustive()
    }
}
