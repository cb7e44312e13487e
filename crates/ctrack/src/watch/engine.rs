//! Joining, listing, hearing, checking: the steps of a watch, over a [`Source`] that is the kernel or a model of it.
//!
//! A step is bounded and never sleeps; whoever waits does so by [`Step::Idle`] and [`Step::Until`]. With a list (sync) the phases are
//!
//! ```text
//! Leave -> Drain -> Join -> List -> Settle -> Sweep -> Backlog -> Check -> Live
//!   ^______________________________________|            lost something: from the start
//! ```
//!
//! and without one `Join -> Live`. The order of the joins is DESTROY, UPDATE, NEW: an entry that was made and destroyed between two
//! of them must not be heard of half. A watch that joined NEW first kept entries that are gone (5.10 to 7.3: 8 of 17 runs with 2 to 5 ms
//! between the calls; none in this order).

use super::follower::{Answer, EventFlags, Follower, Report, Suspect, MOST_REPORTS};
use crate::error::Error;
use crate::selection::Selection;
use ctnetlink::consts::*;
use ctnetlink::event::{decode_event, EventKind};
use ctnetlink::message::first_message;
use ctnetlink::types::*;
use ctnetlink::Decoder;
use std::collections::VecDeque;
use std::time::Duration;

/// The kernel, as far as a watch needs it.
pub(crate) trait Source {
    /// Hears a group from now on.
    fn join(&mut self, group: u32) -> Result<(), Error>;

    /// Hears it no more.
    fn leave(&mut self, group: u32) -> Result<(), Error>;

    /// Reads up to about so many datagrams that wait, without waiting. `true`: no more did.
    fn read(&mut self, most: usize, hear: &mut dyn FnMut(&[u8])) -> Result<bool, Error>;

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
}

/// What a watch tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Told {
    pub what: What,
    pub flags: EventFlags,
    /// The netlink port of who caused it; 0: nobody, or not known.
    pub port: u32,
    /// When it happened, as the kernel says; 0: it does not.
    pub time_ns: u64,
    pub entry: Entry,
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
    /// Something was lost again and again: until then nothing is tried.
    Pause {
        until: Duration,
    },
}

const GROUPS: [u32; 3] = [NFNLGRP_CONNTRACK_DESTROY, NFNLGRP_CONNTRACK_UPDATE, NFNLGRP_CONNTRACK_NEW];

/// Datagrams that are read at once.
pub(crate) const BATCH: usize = 64;

/// The drop counter is read, and suspects are checked, after so many events, however many wait.
const CHECK_EVERY: u32 = 4096;

/// What is heard while a list is read is kept, up to so many bytes: some 40,000 events.
const MOST_BACKLOG: usize = 8 << 20;

/// Pauses before the next list, if the last ones were disturbed.
const PAUSES: [u64; 8] = [0, 1, 2, 4, 8, 50, 200, 1000];

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
}

pub(crate) struct Engine {
    /// `None`: events alone, without a list.
    follower: Option<Follower>,
    selection: Selection,
    groups: Vec<u32>,
    decoder: Decoder,
    phase: Phase,
    /// The drop counter, as it was read last.
    drops: u32,
    backlog: Vec<u8>,
    backlog_is_full: bool,
    /// Where the backlog is read.
    at: usize,
    told: VecDeque<Told>,
    /// Events since the last look at the drop counter.
    unchecked: u32,
    /// Suspects are checked until there are none, whatever waits.
    checking: bool,
    /// How often the list was disturbed in a row.
    disturbed: usize,
    pub sums: Sums,
    pub is_synced: bool,
}

impl Engine {
    /// `groups`: which events are reported, where there is no list. `most`: how many entries may be known; 0: any number.
    pub fn new(selection: Selection, sync: bool, groups: Option<&[u32]>, most: usize) -> Engine {
        let groups = GROUPS.into_iter().filter(|group| sync || groups.is_none_or(|groups| groups.contains(group)));
        Engine {
            follower: sync.then(|| Follower::new(selection.clone(), most)),
            selection,
            groups: groups.collect(),
            decoder: Decoder::new(),
            phase: if sync { Phase::Leave } else { Phase::Join },
            drops: 0,
            backlog: Vec::new(),
            backlog_is_full: false,
            at: 0,
            told: VecDeque::new(),
            unchecked: 0,
            checking: false,
            disturbed: 0,
            sums: Sums::default(),
            is_synced: false,
        }
    }

    /// Hears what happens from now on.
    pub fn begin(&mut self, source: &mut dyn Source) -> Result<(), Error> {
        while matches!(self.phase, Phase::Leave | Phase::Drain | Phase::Join) {
            self.phase_step(source)?;
        }
        Ok(())
    }

    /// What is to be told next.
    pub fn next(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// Whether anything is to be told.
    pub fn has_told(&self) -> bool {
        !self.told.is_empty()
    }

    /// How many entries are known.
    pub fn entries(&self) -> usize {
        self.follower.as_ref().map_or(0, Follower::len)
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
        self.backlog.clear();
        (self.at, self.backlog_is_full, self.unchecked, self.checking) = (0, false, 0, false);
    }

    /// Does something. After an error the watch goes on: what could not be done is tried again.
    pub fn step(&mut self, source: &mut dyn Source) -> Result<Step, Error> {
        let result = self.phase_step(source);
        if result.is_err() && self.follower.is_some() && self.phase != Phase::Leave {
            self.disturb(source.now());
        }
        result
    }

    fn phase_step(&mut self, source: &mut dyn Source) -> Result<Step, Error> {
        match self.phase {
            Phase::Leave => {
                for group in self.groups.iter().rev() {
                    source.leave(*group)?;
                }
                self.phase = Phase::Drain;
            }
            Phase::Drain => {
                let mut count = 0;
                let empty = source.read(BATCH, &mut |_| count += 1)?;
                self.sums.received += count;
                if empty {
                    self.phase = Phase::Join;
                }
            }
            Phase::Join => self.join(source)?,
            Phase::List => return self.list(source),
            Phase::Settle => return self.settle(source),
            Phase::Sweep { place } => self.sweep(place),
            Phase::Backlog => self.apply_backlog(source.now())?,
            Phase::Check => return self.check_all(source),
            Phase::Live => return self.live(source),
            Phase::Pause { until } if source.now() < until => return Ok(Step::Until(until)),
            Phase::Pause { .. } => self.phase = Phase::Leave,
        }
        Ok(Step::Again)
    }

    fn join(&mut self, source: &mut dyn Source) -> Result<(), Error> {
        // What nobody counted before this is no loss of ours.
        (self.drops, _) = source.drops()?;
        for group in mutant!("destroys-joined-first", self.groups.clone(), {
            let mut groups = self.groups.clone();
            groups.reverse();
            groups
        }) {
            source.join(group)?;
        }
        let Some(follower) = &mut self.follower else {
            self.phase = Phase::Live;
            return Ok(());
        };
        follower.joined(source.now());
        follower.begin_list();
        source.begin_list(&self.selection)?;
        self.phase = Phase::List;
        Ok(())
    }

    fn list(&mut self, source: &mut dyn Source) -> Result<Step, Error> {
        let (follower, told) = (self.follower.as_mut(), &mut self.told);
        let Some(follower) = follower else { return Ok(Step::Idle) };
        let done = source.list(&self.selection, &mut |entry| follower.listed(entry, &mut |report| tell(told, report)));
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
        let empty = source.read(128 * BATCH, &mut |datagram| {
            count += 1;
            full = full
                || backlog.len() + datagram.len() > MOST_BACKLOG
                || backlog.try_reserve(datagram.len() + 3).is_err();
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
        let pause = PAUSES[self.disturbed.min(PAUSES.len() - 1)];
        self.disturbed += 1;
        self.phase = Phase::Pause { until: now + Duration::from_millis(pause) };
    }

    fn sweep(&mut self, mut place: usize) {
        let (follower, told) = (self.follower.as_mut(), &mut self.told);
        if let Some(follower) = follower {
            follower.sweep(&mut place, &mut |report| tell(told, report));
        }
        self.phase = if place == 0 { Phase::Backlog } else { Phase::Sweep { place } };
    }

    fn apply_backlog(&mut self, now: Duration) -> Result<(), Error> {
        let backlog = std::mem::take(&mut self.backlog);
        for _ in 0..BATCH {
            let Some(rest) = backlog.get(self.at..).filter(|rest| !rest.is_empty()) else { break };
            let step = first_message(rest).map_or(rest.len(), |(_, step)| step.max(1));
            self.at += step;
            self.hear(&rest[..step], now)?;
        }
        let done = self.at >= backlog.len();
        self.backlog = backlog;
        if done {
            // Its room is not needed for long.
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
            self.told.push_back(plain(What::Synced));
            (self.is_synced, self.disturbed) = (true, 0);
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
        let now = source.now();
        // What is read must have room to be told.
        let mut failed = None;
        let empty = source.read(BATCH, &mut |datagram| {
            if let Err(error) = self.hear_all(datagram, now) {
                failed = failed.take().or(Some(error));
            }
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        if !empty && self.unchecked < CHECK_EVERY {
            return Ok(Step::Again);
        }
        self.unchecked = 0;
        let (drops, uncounted) = source.drops()?;
        if mutant!("drops-counted", drops != self.drops || uncounted, false) {
            self.lose(drops, uncounted);
            return Ok(Step::Again);
        }
        let Some(follower) = &mut self.follower else {
            return Ok(if empty && self.told.is_empty() { Step::Idle } else { Step::Again });
        };
        if empty {
            follower.queue_was_empty(now)?;
        }
        if follower.wants_list {
            self.resync();
            return Ok(Step::Again);
        }
        self.checking = !follower.suspects().is_empty();
        Ok(if empty && !self.checking && self.told.is_empty() { Step::Idle } else { Step::Again })
    }

    fn lose(&mut self, drops: u32, uncounted: bool) {
        let lost = u64::from(drops.wrapping_sub(self.drops));
        self.drops = drops;
        self.sums.lost += lost;
        self.told.push_back(plain(What::Lost((!uncounted).then_some(lost))));
        self.resync();
    }

    fn check(&mut self, source: &mut dyn Source) -> Result<(), Error> {
        let Some(follower) = &mut self.follower else { return Ok(()) };
        let suspects = follower.suspects();
        let batch = &suspects[suspects.len().saturating_sub(BATCH)..];
        if batch.is_empty() {
            return Ok(());
        }
        let (told, mut answers) = (&mut self.told, Vec::new());
        source.look_up(batch, &mut answers)?;
        self.sums.checked += answers.len() as u64;
        // The last of them first: that is how they are taken out.
        for answer in answers.iter().rev() {
            follower.checked(answer, &mut |report| tell(told, report))?;
        }
        Ok(())
    }

    /// The messages of a datagram; one in all that the kernel sends.
    fn hear_all(&mut self, mut datagram: &[u8], now: Duration) -> Result<(), Error> {
        while !datagram.is_empty() {
            let step = first_message(datagram).map_or(datagram.len(), |(_, step)| step.max(1));
            self.sums.received += 1;
            self.unchecked += 1;
            self.hear(&datagram[..step], now)?;
            datagram = &datagram[step..];
        }
        Ok(())
    }

    fn hear(&mut self, datagram: &[u8], now: Duration) -> Result<(), Error> {
        let (message, _) = first_message(datagram).map_err(Error::malformed)?;
        let mut entry = Entry::EMPTY;
        let event = decode_event(&message, &mut self.decoder, &mut entry).map_err(Error::malformed)?;
        let Some(event) = event else { return Ok(()) };
        let told = &mut self.told;
        let mut tell_it = |report: Report<'_>| {
            tell(told, report);
            // By the event itself, if it is not about what was only found out meanwhile.
            if let (Some(last), false) = (told.back_mut(), report.flags.contains(EventFlags::FOUND)) {
                (last.port, last.time_ns) = (event.port, event.time_ns);
            }
        };
        match &mut self.follower {
            Some(follower) => follower.event(event.kind, &entry, now, &mut tell_it),
            None => {
                if self.selection.selects(&entry) {
                    tell_it(Report { kind: event.kind, flags: EventFlags::empty(), entry: &entry });
                }
                Ok(())
            }
        }
    }
}

/// At most so many things are told by one step.
#[allow(dead_code, reason = "whoever takes a bounded number asks")]
pub(crate) const MOST_TOLD: usize = BATCH * MOST_REPORTS + 1;

fn plain(what: What) -> Told {
    Told { what, flags: EventFlags::empty(), port: 0, time_ns: 0, entry: Entry::EMPTY }
}

fn tell(told: &mut VecDeque<Told>, report: Report<'_>) {
    told.push_back(Told { flags: report.flags, entry: *report.entry, ..plain(What::Entry(report.kind)) });
}
