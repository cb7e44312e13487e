//! Joining, listing, hearing, checking: the steps of a watch, over a [`Source`] that is the kernel or a model of it.
//!
//! A step is bounded and never sleeps; whoever waits does so by [`Step::Idle`] and [`Step::Until`]. With a list (sync) the phases are
//!
//! ```text
//! Leave -> Drain -> Pause -> Join -> List -> Settle -> Sweep -> Backlog -> Check -> Live
//!   ^________________________________________________|            lost something: from the start
//! ```
//!
//! and without one `Drain -> Join -> Live`. The order of the joins is DESTROY, UPDATE, NEW: an entry that was made and destroyed between two
//! of them must not be heard of half. A watch that joined NEW first kept entries that are gone (5.10 to 7.3: 8 of 17 runs with 2 to 5 ms
//! between the calls; none in this order).

use super::follower::{Answer, Ear, EventFlags, Follower, Origin, Report, Suspect, MOST_REPORTS};
use crate::error::Error;
use crate::selection::Selection;
use ctnetlink::consts::*;
use ctnetlink::event::{decode_event, EventKind};
use ctnetlink::message::first_message;
use ctnetlink::types::*;
use ctnetlink::Decoder;
use std::time::Duration;

/// The kernel, as far as a watch needs it.
pub(crate) trait Source {
    /// Sets nf_conntrack_events to 1.
    fn enable(&mut self) -> Result<(), Error>;

    /// Keeps the kernel reporting what belongs to a task, even while nothing of it is heard.
    fn keep(&mut self, task: &Task) -> Result<(), Error>;

    /// Hears a group from now on.
    fn join(&mut self, group: u32) -> Result<(), Error>;

    /// Hears it no more.
    fn leave(&mut self, group: u32) -> Result<(), Error>;

    /// Reads up to about so many datagrams that wait, without waiting, with the number of the network namespace that each is of,
    /// if that is another one. `true`: no more did.
    fn read(&mut self, most: usize, hear: &mut dyn FnMut(&[u8], Option<i32>)) -> Result<bool, Error>;

    /// How many events were lost since the socket was made, modulo 2^32; and whether some were that nobody counts.
    fn drops(&mut self) -> Result<(u32, bool), Error>;

    /// Begins a list of what the selection takes, or of more.
    fn begin_list(&mut self, selection: &Selection) -> Result<(), Error>;

    /// Its next entries, about a datagram's. `true`: that was all.
    fn list(&mut self, selection: &Selection, hear: &mut dyn FnMut(&Entry) -> Result<(), Error>)
        -> Result<bool, Error>;

    /// Asks for these, in their order.
    fn look_up(&mut self, suspects: &[Suspect], answers: &mut Vec<Answer>) -> Result<(), Error>;

    /// The time since the watch began.
    fn now(&self) -> Duration;

    /// Nanoseconds since 1970.
    fn clock(&self) -> u64;

    /// The sysctl nf_conntrack_events; `None`: it cannot be read.
    fn events_mode(&mut self) -> Option<u8>;
}

/// What a watch tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Told {
    pub what: What,
    pub flags: EventFlags,
    pub origin: Origin,
    /// The number of the network namespace, if it is another one.
    pub nsid: Option<i32>,
    /// When it was read, in nanoseconds since 1970.
    pub received_ns: u64,
    pub entry: Entry,
}

/// What is to be told, in order. Places are used again as they are, so that an event without a list is decoded where it is told from: two
/// copies of an entry less, a twelfth of the instructions of an event.
#[derive(Default)]
struct Telling {
    places: Vec<Told>,
    first: usize,
    last: usize,
}

impl Telling {
    fn is_empty(&self) -> bool {
        self.first == self.last
    }

    /// Makes room for so many.
    fn reserve(&mut self, more: usize) -> Result<(), Error> {
        let wanted = self.last + more;
        if self.places.len() < wanted {
            const NOTHING: Told = Told {
                what: What::Synced,
                flags: EventFlags::empty(),
                origin: Origin { port: 0, time_ns: 0 },
                nsid: None,
                received_ns: 0,
                entry: Entry::EMPTY,
            };
            self.places.try_reserve(wanted - self.places.len()).map_err(Error::no_memory)?;
            self.places.resize(wanted, NOTHING);
        }
        Ok(())
    }

    /// The next place, for which room was made; it counts when [`Telling::keep`] was called.
    fn next(&mut self) -> &mut Told {
        &mut self.places[self.last]
    }

    fn keep(&mut self) {
        self.last += 1;
    }

    /// Both in one. Out of line it would be one more copy of an entry.
    #[inline(always)]
    fn push(&mut self, told: Told) {
        *self.next() = told;
        self.keep();
    }

    /// Hands over up to `most`, and says how many that were.
    fn hand_over(&mut self, most: usize, hear: impl FnMut(&Told)) -> usize {
        let count = most.min(self.last - self.first);
        self.places[self.first..][..count].iter().for_each(hear);
        self.first += count;
        if self.is_empty() {
            (self.first, self.last) = (0, 0);
        }
        count
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// To an entry.
    Entry(EventKind),
    /// So many events are missing here; `None`: nobody knows how many.
    Lost(Option<u64>),
    /// All that was told adds up to the table.
    Synced,
}

/// What a step came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// There may be more to do.
    Again,
    /// Nothing, until the kernel says something.
    Idle,
    /// Nothing before this time, whatever the kernel says.
    Until(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Leave,
    Drain,
    Join,
    List,
    Settle,
    Sweep {
        place: usize,
    },
    Backlog,
    Check,
    Live,
    /// Something was lost again and again: until then nothing is tried, and nothing heard.
    Pause {
        until: Duration,
    },
}

/// All groups of entries, in the order in which they are joined.
pub(crate) const GROUPS: [u32; 3] = [NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_NEW];

/// Datagrams that are read at once.
pub(crate) const BATCH: usize = 64;

/// The drop counter is read, and suspects are checked, after so many events, however many wait.
const CHECK_EVERY: u32 = 4096;

/// What is heard while a list is read is kept, up to so many bytes: some 40,000 events.
const MOST_BACKLOG: usize = 8 << 20;

/// Pauses before the next list, if the last ones were disturbed.
const PAUSES: [u64; 8] = [0, 1, 2, 4, 8, 50, 200, 1000];

/// So often a list is tried again at once, or nearly so.
const FEW_DISTURBANCES: usize = 4;

/// There is no room for all entries: that may change, but not soon.
const FULL_PAUSE: Duration = Duration::from_secs(5);

/// What a watch has done, for whoever asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    /// Events that were read.
    pub received: u64,
    /// Events that are known to be lost.
    pub lost: u64,
    /// Lists that were begun because of losses or on request.
    pub resyncs: u64,
    /// Lists that had to be begun anew.
    pub restarts: u64,
    /// Entries that the kernel was asked for.
    pub checked: u64,
    /// Entries that audits looked at.
    pub audited: u64,
}

/// What of a watch changes while others look.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct State {
    pub sums: Sums,
    pub entries: usize,
    pub is_synced: bool,
    pub may_be_silent: bool,
    pub mode: Option<u8>,
    /// Bytes of the receive buffer in use, and how many there are.
    pub queue: [u32; 2],
}

/// How to watch, whatever is selected.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Aim {
    /// A list first, and then what changes.
    pub sync: bool,
    /// Of which changes is told: bits as [`bit`] has them. 0: of all.
    pub kinds: u8,
    /// How many entries may be known; 0: any number.
    pub most: usize,
    /// How often to look for entries that the kernel is silent about. `None`: never.
    pub audit: Option<Duration>,
    /// An audit lists all entries, whether the kernel may be silent or not.
    pub audit_all: bool,
}

/// That of a kind in [`Aim::kinds`].
pub(crate) fn bit(kind: EventKind) -> u8 {
    match kind {
        EventKind::New => 1,
        EventKind::Update => 2,
        EventKind::Destroy => 4,
    }
}

/// What a watch is to do.
#[derive(Debug, Default)]
pub(crate) struct Task {
    pub aim: Aim,
    pub selection: Selection,
}

impl Task {
    fn tells(&self, kind: EventKind) -> bool {
        self.aim.kinds == 0 || self.aim.kinds & bit(kind) != 0
    }

    /// Which groups are heard. With a list NEW and DESTROY must be, and UPDATE too where it decides what is selected.
    fn hears(&self, group: u32) -> bool {
        let (kind, needed) = match group {
            NFNLGRP_CONNTRACK_NEW => (EventKind::New, true),
            NFNLGRP_CONNTRACK_DESTROY => (EventKind::Destroy, true),
            _ => (EventKind::Update, self.selection.depends_on_changes()),
        };
        self.aim.sync && needed || self.tells(kind)
    }

    /// Those groups, in the order in which they are joined.
    pub fn groups(&self) -> impl DoubleEndedIterator<Item = u32> + '_ {
        GROUPS.into_iter().filter(|group| self.hears(*group))
    }

    fn ear<'a>(&'a self, tell: &'a mut dyn FnMut(Report<'_>)) -> Ear<'a> {
        Ear { selection: &self.selection, tell }
    }
}

pub(crate) struct Engine {
    /// `None`: events alone, without a list.
    follower: Option<Follower>,
    task: Task,
    decoder: Decoder,
    /// That of the event which is heard, with a list: what was in it before does not matter.
    entry: Entry,
    phase: Phase,
    /// The drop counter, as it was read last.
    drops: u32,
    /// Something was read that makes no sense.
    unreadable: bool,
    backlog: Vec<u8>,
    backlog_is_full: bool,
    /// Where the backlog is read.
    at: usize,
    told: Telling,
    /// Events since the last look at the drop counter.
    unchecked: u32,
    /// Suspects are checked until there are none, whatever waits.
    checking: bool,
    /// How often the list was disturbed in a row.
    disturbed: usize,
    /// How long to wait before the next list.
    pause: Duration,
    /// When the groups were joined.
    joined: Duration,
    /// There is no room for what the kernel has: said once, until there is.
    said_full: bool,
    /// The sysctl nf_conntrack_events, as it was read last.
    pub mode: Option<u8>,
    /// It was not 1 at some time, so that there may be entries of which the kernel is silent.
    pub mode_was_other: bool,
    next_audit: Option<Duration>,
    /// Where an audit is, as for [`Follower::audit`].
    auditing: Option<usize>,
    pub sums: Sums,
    pub is_synced: bool,
}

impl Engine {
    pub fn new(task: Task) -> Engine {
        Engine {
            follower: task.aim.sync.then(|| Follower::new(&task.selection, task.aim.most)),
            decoder: Decoder::new(),
            entry: Entry::EMPTY,
            phase: mutant!("drained-before", Phase::Leave, Phase::Join),
            task,
            drops: 0,
            unreadable: false,
            backlog: Vec::new(),
            backlog_is_full: false,
            at: 0,
            told: Telling::default(),
            unchecked: 0,
            checking: false,
            disturbed: 0,
            pause: Duration::ZERO,
            joined: Duration::ZERO,
            said_full: false,
            mode: None,
            mode_was_other: false,
            next_audit: None,
            auditing: None,
            sums: Sums::default(),
            is_synced: false,
        }
    }

    /// Hears what happens from now on.
    pub fn begin(&mut self, source: &mut dyn Source, enable: bool) -> Result<(), Error> {
        self.look_at_mode(source);
        if enable {
            source.enable()?;
        }
        source.keep(&self.task)?;
        while matches!(self.phase, Phase::Leave | Phase::Drain | Phase::Pause { .. } | Phase::Join) {
            self.phase_step(source)?;
        }
        // What was queued for an earlier task is none of this one's.
        self.sums = Sums::default();
        Ok(())
    }

    /// Whether entries may come, change and go of which the kernel says nothing.
    pub fn may_be_silent(&self) -> bool {
        let unheard = self.follower.as_ref().map_or(0, Follower::unheard);
        self.mode == Some(0) || self.mode_was_other && unheard > 0
    }

    /// Hands over what is to be told, up to `most`, and says how many that were. By reference: whoever copies an entry does so once.
    pub fn hand_over(&mut self, most: usize, hear: &mut dyn FnMut(&Told)) -> usize {
        self.told.hand_over(most, hear)
    }

    /// Whether anything is to be told.
    pub fn has_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// How many entries are known.
    pub fn entries(&self) -> usize {
        self.follower.as_ref().map_or(0, Follower::len)
    }

    /// Where it stands, but for the queue, which it does not know.
    pub fn state(&self) -> State {
        State {
            sums: self.sums,
            entries: self.entries(),
            is_synced: self.is_synced,
            may_be_silent: self.may_be_silent(),
            mode: self.mode,
            queue: [0; 2],
        }
    }

    /// Begins a list anew, as if something had been lost.
    pub fn resync(&mut self) {
        if self.follower.is_some() {
            self.begin_anew();
            self.sums.resyncs += 1;
        }
    }

    fn begin_anew(&mut self) {
        self.phase = Phase::Leave;
        self.is_synced = false;
        // Its room is not needed for long.
        self.backlog = Vec::new();
        (self.at, self.backlog_is_full, self.unchecked, self.checking) = (0, false, 0, false);
        (self.auditing, self.pause) = (None, Duration::ZERO);
    }

    /// Does something. After an error the watch goes on: what could not be done is tried again.
    pub fn step(&mut self, source: &mut dyn Source) -> Result<Step, Error> {
        let error = match self.phase_step(source) {
            Ok(step) => return Ok(step),
            Err(error) => error,
        };
        if self.follower.is_none() {
            return Err(error);
        }
        self.disturb(source.now());
        let is_full = matches!(error, Error::Full { .. } | Error::NoMemory { .. });
        if is_full {
            self.pause = self.pause.max(FULL_PAUSE);
        }
        if is_full && std::mem::replace(&mut self.said_full, true) {
            return Ok(Step::Again);
        }
        Err(error)
    }

    fn phase_step(&mut self, source: &mut dyn Source) -> Result<Step, Error> {
        match self.phase {
            Phase::Leave => {
                for group in self.task.groups().rev() {
                    source.leave(group)?;
                }
                self.phase = Phase::Drain;
            }
            Phase::Drain => {
                let mut count = 0;
                let empty = source.read(BATCH, &mut |_, _| count += 1)?;
                self.sums.received += count;
                if empty {
                    self.phase = Phase::Pause { until: source.now() + self.pause };
                }
            }
            Phase::Join => self.join(source)?,
            Phase::List => return self.list(source),
            Phase::Settle => return self.settle(source),
            Phase::Sweep { place } => self.sweep(place, source)?,
            Phase::Backlog => self.apply_backlog(source)?,
            Phase::Check => return self.check_all(source),
            Phase::Live => return self.live(source),
            Phase::Pause { until } if source.now() < until => return Ok(Step::Until(until)),
            Phase::Pause { .. } => self.phase = Phase::Join,
        }
        Ok(Step::Again)
    }

    fn join(&mut self, source: &mut dyn Source) -> Result<(), Error> {
        // What nobody counted before this is no loss of ours.
        (self.drops, _) = source.drops()?;
        let joined = |group| source.join(group);
        mutant!(
            "destroys-joined-first",
            self.task.groups().try_for_each(joined),
            self.task.groups().rev().try_for_each(joined)
        )?;
        self.look_at_mode(source);
        self.joined = source.now();
        let Some(follower) = &mut self.follower else {
            self.phase = Phase::Live;
            return Ok(());
        };
        follower.joined(self.joined);
        follower.begin_list();
        source.begin_list(&self.task.selection)?;
        self.phase = Phase::List;
        Ok(())
    }

    fn look_at_mode(&mut self, source: &mut dyn Source) {
        self.mode = source.events_mode();
        self.mode_was_other |= self.mode != Some(1);
    }

    fn list(&mut self, source: &mut dyn Source) -> Result<Step, Error> {
        let now = source.clock();
        let (told, task) = (&mut self.told, &self.task);
        let Some(follower) = &mut self.follower else { return Ok(Step::Idle) };
        let done = source.list(&task.selection, &mut |entry| {
            told.reserve(MOST_REPORTS)?;
            follower.listed(entry, &mut task.ear(&mut |report| tell(told, task, report, now, None)))
        });
        match done {
            Ok(done) => {
                self.keep_what_waits(source)?;
                if done {
                    self.phase = Phase::Settle;
                }
            }
            Err(error) if error.is_transient() => self.disturb(source.now()),
            Err(error) => return Err(error),
        }
        Ok(Step::Again)
    }

    /// Reads what waits into the backlog: nothing is heeded before the list is complete.
    fn keep_what_waits(&mut self, source: &mut dyn Source) -> Result<bool, Error> {
        let (backlog, mut full, mut count) = (&mut self.backlog, self.backlog_is_full, 0);
        let empty = source.read(128 * BATCH, &mut |datagram, _| {
            count += 1;
            full = full || backlog.len() + datagram.len() > MOST_BACKLOG || !has_room(backlog, datagram.len() + 3);
            if !full {
                backlog.extend_from_slice(datagram);
                backlog.resize(backlog.len().next_multiple_of(4), 0);
            }
        })?;
        self.backlog_is_full = full;
        self.sums.received += count;
        Ok(empty)
    }

    /// The list is complete: was anything lost meanwhile?
    fn settle(&mut self, source: &mut dyn Source) -> Result<Step, Error> {
        let empty = self.keep_what_waits(source)?;
        let (drops, uncounted) = source.drops()?;
        let lost = mutant!("drops-in-the-list", drops != self.drops || uncounted, false);
        if lost || self.backlog_is_full {
            self.sums.lost += u64::from(drops.wrapping_sub(self.drops));
            self.disturb(source.now());
        } else if empty {
            let place = self.follower.as_ref().map_or(0, Follower::len);
            self.phase = Phase::Sweep { place };
        }
        Ok(Step::Again)
    }

    fn disturb(&mut self, now: Duration) {
        self.begin_anew();
        self.sums.restarts += 1;
        self.pause = Duration::from_millis(PAUSES[self.disturbed.min(PAUSES.len() - 1)]);
        self.disturbed += 1;
        if self.disturbed > FEW_DISTURBANCES {
            // Half of the time at most goes into lists that come to nothing, however long one takes.
            self.pause = self.pause.max(now.saturating_sub(self.joined));
        }
    }

    fn sweep(&mut self, mut place: usize, source: &dyn Source) -> Result<(), Error> {
        self.told.reserve(MOST_REPORTS)?;
        let (told, task, now) = (&mut self.told, &self.task, source.clock());
        if let Some(follower) = &mut self.follower {
            follower.sweep(&mut place, &mut task.ear(&mut |report| tell(told, task, report, now, None)));
            if place == 0 && follower.list_is_cut {
                // Those that went may have made room for the others.
                follower.has_room()?;
                self.disturb(source.now());
                return Ok(());
            }
        }
        self.phase = if place == 0 { Phase::Backlog } else { Phase::Sweep { place } };
        Ok(())
    }

    fn apply_backlog(&mut self, source: &dyn Source) -> Result<(), Error> {
        let moment = Moment { now: source.now(), clock: source.clock(), nsid: None };
        let backlog = std::mem::take(&mut self.backlog);
        for _ in 0..BATCH {
            let Some(rest) = backlog.get(self.at..).filter(|rest| !rest.is_empty()) else { break };
            self.at += self.hear(rest, moment)?;
        }
        let done = self.at >= backlog.len();
        self.backlog = backlog;
        if done {
            (self.backlog, self.at) = (Vec::new(), 0);
            self.phase = Phase::Check;
        }
        Ok(())
    }

    /// Nothing is suspected any more: what was told is the table.
    fn check_all(&mut self, source: &mut dyn Source) -> Result<Step, Error> {
        let Some(follower) = &mut self.follower else { return Ok(Step::Idle) };
        if follower.suspects().is_empty() && !follower.has_condemned() {
            follower.synced();
            self.say(What::Synced, source.clock())?;
            (self.is_synced, self.disturbed, self.said_full) = (true, 0, false);
            self.phase = Phase::Live;
            return Ok(Step::Again);
        }
        if follower.suspects().is_empty() {
            return self.live(source);
        }
        self.check(source)?;
        Ok(Step::Again)
    }

    fn live(&mut self, source: &mut dyn Source) -> Result<Step, Error> {
        if self.checking {
            self.check(source)?;
            self.checking = self.follower.as_ref().is_some_and(|follower| !follower.suspects().is_empty());
            return Ok(Step::Again);
        }
        let moment = Moment { now: source.now(), clock: source.clock(), nsid: None };
        let mut failed = None;
        let empty = source.read(BATCH, &mut |datagram, nsid| {
            if let Err(error) = self.hear_all(datagram, Moment { nsid, ..moment }) {
                failed = failed.take().or(Some(error));
            }
        })?;
        if let Some(error) = failed {
            // A list makes up for what could not be kept; where there is none it is lost.
            self.unreadable = true;
            return Err(error);
        }
        if !empty && self.unchecked < CHECK_EVERY {
            return Ok(Step::Again);
        }
        self.unchecked = 0;
        let (drops, uncounted) = source.drops()?;
        let uncounted = uncounted || self.unreadable;
        if mutant!("drops-counted", drops != self.drops || uncounted, false) {
            self.lose(drops, uncounted, moment.clock)?;
            return Ok(Step::Again);
        }
        self.rest(empty, moment.now, source)
    }

    /// What waited was read, or much of it: time for what else is to be done.
    fn rest(&mut self, empty: bool, now: Duration, source: &mut dyn Source) -> Result<Step, Error> {
        let nothing_told = self.told.is_empty();
        let Some(follower) = &mut self.follower else {
            return Ok(if empty && nothing_told { Step::Idle } else { Step::Again });
        };
        if empty {
            follower.queue_was_empty(now)?;
        }
        if follower.wants_list {
            self.resync();
            return Ok(Step::Again);
        }
        if let (Some(place), true) = (&mut self.auditing, follower.suspects().is_empty()) {
            self.sums.audited += follower.audit(place, BATCH)? as u64;
            if *place == 0 {
                self.auditing = None;
            }
        }
        self.checking = !follower.suspects().is_empty();
        if !empty || self.checking || !nothing_told || self.auditing.is_some() {
            return Ok(Step::Again);
        }
        let doubt = follower.doubt_ends();
        Ok(match (self.audit_when_due(now, source), doubt) {
            // Else whatever comes after a long silence would still be doubted.
            (Step::Idle, Some(end)) => Step::Until(end),
            (Step::Until(audit), Some(end)) => Step::Until(audit.min(end)),
            (step, _) => step,
        })
    }

    /// There is nothing else to do: until when?
    fn audit_when_due(&mut self, now: Duration, source: &mut dyn Source) -> Step {
        let Some(every) = self.task.aim.audit.filter(|_| self.task.aim.audit_all || self.may_be_silent()) else {
            self.next_audit = None;
            return Step::Idle;
        };
        let next = *self.next_audit.get_or_insert(now + every);
        if now < next {
            return Step::Until(next);
        }
        // The next one is due so long after this one is over.
        self.next_audit = None;
        self.look_at_mode(source);
        if self.task.aim.audit_all || self.mode == Some(0) {
            // Whoever came without a word is found by a list alone.
            self.sums.audited += self.entries() as u64;
            self.begin_anew();
        } else {
            self.auditing = Some(self.entries());
        }
        Step::Again
    }

    fn lose(&mut self, drops: u32, uncounted: bool, clock: u64) -> Result<(), Error> {
        let lost = u64::from(drops.wrapping_sub(self.drops));
        self.say(What::Lost((!uncounted).then_some(lost)), clock)?;
        (self.drops, self.unreadable) = (drops, false);
        self.sums.lost += lost;
        self.resync();
        Ok(())
    }

    fn check(&mut self, source: &mut dyn Source) -> Result<(), Error> {
        let Some(follower) = &mut self.follower else { return Ok(()) };
        let suspects = follower.suspects();
        let batch = &suspects[suspects.len().saturating_sub(BATCH)..];
        if batch.is_empty() {
            return Ok(());
        }
        self.told.reserve(BATCH * MOST_REPORTS)?;
        let mut answers = Vec::new();
        source.look_up(batch, &mut answers)?;
        let (told, task, now) = (&mut self.told, &self.task, source.clock());
        self.sums.checked += answers.len() as u64;
        // The last of them first: that is how they are taken out.
        for answer in answers.iter().rev() {
            follower.checked(answer, &mut task.ear(&mut |report| tell(told, task, report, now, None)))?;
        }
        Ok(())
    }

    /// The messages of a datagram; one in all that the kernel sends.
    fn hear_all(&mut self, mut datagram: &[u8], moment: Moment) -> Result<(), Error> {
        while !datagram.is_empty() {
            self.sums.received += 1;
            self.unchecked += 1;
            let length = self.hear(datagram, moment)?;
            datagram = datagram.get(length..).unwrap_or_default();
        }
        Ok(())
    }

    /// The first message, and how long it is.
    fn hear(&mut self, datagram: &[u8], moment: Moment) -> Result<usize, Error> {
        self.told.reserve(MOST_REPORTS)?;
        let Ok((message, length)) = first_message(datagram) else {
            // Whatever it was to say is lost.
            self.unreadable = true;
            return Ok(datagram.len());
        };
        let (told, task) = (&mut self.told, &self.task);
        let entry = if self.follower.is_some() { &mut self.entry } else { &mut told.next().entry };
        let event = match decode_event(&message, &mut self.decoder, entry) {
            Ok(Some(event)) => event,
            Ok(None) => return Ok(length.max(1)),
            Err(_) => {
                self.unreadable = true;
                return Ok(length.max(1));
            }
        };
        let origin = Origin { port: event.port, time_ns: event.time_ns };
        match &mut self.follower {
            Some(follower) => {
                let entry = &self.entry;
                let mut tell = |report: Report<'_>| tell(told, task, report, moment.clock, moment.nsid);
                follower.event(event.kind, entry, origin, moment.now, &mut task.ear(&mut tell))?;
            }
            None if task.selection.selects(entry) && task.tells(event.kind) => {
                let place = told.next();
                (place.what, place.flags, place.origin) = (What::Entry(event.kind), EventFlags::empty(), origin);
                (place.nsid, place.received_ns) = (moment.nsid, moment.clock);
                told.keep();
            }
            None => {}
        }
        Ok(length.max(1))
    }

    fn say(&mut self, what: What, received_ns: u64) -> Result<(), Error> {
        self.told.reserve(1)?;
        let (flags, origin) = (EventFlags::empty(), Origin::default());
        self.told.push(Told { what, flags, origin, nsid: None, received_ns, entry: Entry::EMPTY });
        Ok(())
    }
}

/// When, and from where, something is read.
#[derive(Clone, Copy, Debug)]
struct Moment {
    now: Duration,
    clock: u64,
    nsid: Option<i32>,
}

/// Memory grows by whole pieces, so that it is never twice what is needed.
fn has_room(backlog: &mut Vec<u8>, bytes: usize) -> bool {
    const PIECE: usize = 256 << 10;
    backlog.capacity() - backlog.len() >= bytes || backlog.try_reserve_exact(PIECE.max(bytes)).is_ok()
}

/// There must be room: whoever may be told something made it.
fn tell(told: &mut Telling, task: &Task, report: Report<'_>, received_ns: u64, nsid: Option<i32>) {
    let Report { kind, flags, origin, entry } = report;
    if task.tells(kind) {
        told.push(Told { what: What::Entry(kind), flags, origin, nsid, received_ns, entry: *entry });
    }
}
