//! The follower on a kernel that is a model: every order in which a kernel can queue what it has to say of a few flows, read at
//! random moments, must leave it with what the kernel has.
//!
//! The kernel's promises (docs/watching.md): an entry is in the table before its NEW is queued (K1); its DESTROY is queued before it is
//! out of the table (K2); its successor gets in only then (K3); each has one DESTROY, or several beside a reliable listener, and
//! at most one NEW (K4); a NEW or UPDATE that was begun before may be queued a little later than the DESTROY, and some of those confess
//! it by DYING (K5); the UPDATEs of one entry are queued in the order in which it changed, though one may come before its NEW (K6).

use super::engine::{Aim, Engine, Source, Step, Sums, Task, Told, What};
use super::follower::{Answer, Ear, EventFlags, Follower, Origin, Report, Suspect};
use crate::error::{Error, LATER};
use crate::filter::Filter;
use crate::selection::Selection;
use ctnetlink::attr::put;
use ctnetlink::buffer::Buffer;
use ctnetlink::consts::*;
use ctnetlink::encode::put_create;
use ctnetlink::event::EventKind;
use ctnetlink::types::*;
use std::collections::HashMap;
use std::time::Duration;

/// A reproducible source of chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((u64::from((self.0 >> 32) as u32) * u64::from(n)) >> 32) as u32
    }

    fn percent(&mut self, n: u32) -> bool {
        self.below(100) < n
    }
}

/// The flow with this number.
pub(super) fn flow(number: u16) -> Entry {
    let mut entry = Entry::key(Proto::UDP, [10, 0, 0, 1].into(), 1000 + number % 2, [10, 0, 0, 2].into(), 53).unwrap();
    entry.has |= Has::REPLY | Has::ID | Has::STATUS | Has::MARK;
    entry.status = Status::CONFIRMED;
    entry.reply = Tuple { src: entry.orig.dst, dst: entry.orig.src, sport: 53, dport: 1000, ..Tuple::EMPTY };
    // The third one is a twin of the first: the same original tuple, another reply.
    entry.reply.dport += number;
    entry
}

const FLOWS: u16 = 3;

/// The kernel: what it has, and what it has queued.
struct Kernel {
    alive: [Option<Entry>; FLOWS as usize],
    queue: Vec<(EventKind, Entry)>,
    /// To be queued after so many steps.
    late: Vec<(u32, EventKind, Entry)>,
    /// nf_conntrack_events: 0 no entry made from now on reports, 1 all do, 2 those do that are made while somebody listens.
    mode: u8,
    is_heard: bool,
    silent: [bool; FLOWS as usize],
}

impl Kernel {
    fn new() -> Kernel {
        Kernel {
            alive: [None; FLOWS as usize],
            queue: Vec::new(),
            late: Vec::new(),
            mode: 1,
            is_heard: false,
            silent: [false; FLOWS as usize],
        }
    }

    fn say(&mut self, chance: &mut Chance, kind: EventKind, entry: Entry) {
        if chance.percent(35) {
            self.late.push((1 + chance.below(6), kind, entry));
        } else {
            self.queue.push((kind, entry));
        }
    }

    /// Something happens to one of the flows.
    fn step(&mut self, chance: &mut Chance) {
        let number = chance.below(u32::from(FLOWS)) as u16;
        let slot = usize::from(number);
        let silent = self.silent[slot];
        match self.alive[slot] {
            None => {
                self.silent[slot] = self.mode == 0 || self.mode == 2 && !self.is_heard;
                // Two that live at once have different ids: the kernel makes them of addresses. Twins may have one after the other.
                let mut id = 10 * u32::from(number % 2) + chance.below(2);
                while self.alive.iter().flatten().any(|other| other.id == id) {
                    id += 2;
                }
                let entry = Entry { id, mark: chance.below(3), ..flow(number) };
                self.alive[slot] = Some(entry);
                if !self.silent[slot] {
                    self.say(chance, EventKind::New, entry);
                }
            }
            Some(entry) if chance.percent(40) => {
                let changed = Entry { mark: chance.below(3), ..entry };
                self.alive[slot] = Some(changed);
                // Those of one entry are queued in order (K6).
                if !silent {
                    self.queue.push((EventKind::Update, changed));
                }
            }
            Some(_) if silent => self.alive[slot] = None,
            Some(entry) => {
                self.alive[slot] = None;
                if chance.percent(20) {
                    self.late.push((1 + chance.below(6), EventKind::Update, entry));
                }
                self.queue.push((EventKind::Destroy, Entry { status: entry.status | Status::DYING, ..entry }));
                // A reliable listener elsewhere: it is said to all of them again.
                if chance.percent(10) {
                    self.late.push((1 + chance.below(3), EventKind::Destroy, entry));
                }
                for (_, kind, late) in &mut self.late {
                    let own = late.orig == entry.orig && late.reply == entry.reply && late.id == entry.id;
                    if own && *kind != EventKind::Destroy && chance.percent(50) {
                        late.status |= Status::DYING;
                    }
                }
            }
        }
        self.pass_time(1);
    }

    fn pass_time(&mut self, steps: u32) {
        for late in &mut self.late {
            late.0 = late.0.saturating_sub(steps);
        }
        let (due, late) = self.late.iter().partition(|late| late.0 == 0);
        self.late = late;
        let due: Vec<(u32, EventKind, Entry)> = due;
        self.queue.extend(due.into_iter().map(|(_, kind, entry)| (kind, entry)));
    }

    fn answer(&self, of: &Entry) -> Answer {
        // Of twins the first one hides the other from whoever asks by the original tuple alone.
        let is_it = |entry: &&Entry| entry.orig == of.orig && (entry.reply == of.reply || !of.has(Has::REPLY));
        let found = self.alive.iter().flatten().find(is_it);
        found.map_or(Answer::Gone, |entry| Answer::Alive(*entry))
    }
}

/// Whoever hears a watch: what it says must be a story of each flow, and add up to a table.
#[derive(Default)]
struct Listener {
    table: HashMap<(Tuple, Tuple), Entry>,
    by_orig: Vec<(Tuple, Tuple)>,
}

impl Listener {
    fn hear(&mut self, report: Report<'_>) {
        let entry = report.entry;
        match report.kind {
            EventKind::New => {
                let before = self.table.insert((entry.orig, entry.reply), *entry);
                assert!(before.is_none(), "NEW of one that is there: {report:?}");
            }
            EventKind::Update => {
                let before = self.table.insert((entry.orig, entry.reply), *entry);
                assert_eq!(
                    before.map(|before| before.id),
                    Some(entry.id),
                    "UPDATE of one that is not there: {report:?}"
                );
            }
            // Of one that was only found to be gone nothing but original tuple, zone and id is known.
            EventKind::Destroy
                if report.flags.contains(EventFlags::FOUND) && !report.flags.contains(EventFlags::LEFT) =>
            {
                let is_it = |(key, known): (&(Tuple, Tuple), &Entry)| {
                    (key.0 == entry.orig && known.id == entry.id).then_some(*key)
                };
                self.by_orig = self.table.iter().filter_map(is_it).collect();
                assert_eq!(self.by_orig.len(), 1, "DESTROY of one that is not there, or of two: {report:?}");
                self.table.remove(&self.by_orig[0]);
            }
            EventKind::Destroy => {
                let before = self.table.remove(&(entry.orig, entry.reply));
                assert_eq!(
                    before.map(|before| before.id),
                    Some(entry.id),
                    "DESTROY of one that is not there: {report:?}"
                );
            }
        }
    }
}

/// One random order, read at random moments. Whether the follower and who hears it have the kernel's table in the end.
fn agrees(seed: u64, selection: &Selection) -> Result<(), String> {
    let (mut kernel, mut chance) = (Kernel::new(), Chance(seed));
    let mut follower = Follower::new(selection, 0);
    let mut listener = Listener::default();
    let mut now = Duration::ZERO;
    let mut read = |kernel: &mut Kernel, follower: &mut Follower, listener: &mut Listener, most: usize| {
        now += Duration::from_millis(1);
        let count = most.min(kernel.queue.len());
        for (kind, entry) in kernel.queue.drain(..count).collect::<Vec<_>>() {
            let tell = &mut |report: Report<'_>| listener.hear(report);
            follower.event(kind, &entry, Origin::default(), now, &mut Ear { selection, tell }).unwrap();
        }
        if kernel.queue.is_empty() {
            follower.queue_was_empty(now).unwrap();
        }
    };
    let check = |kernel: &Kernel, follower: &mut Follower, listener: &mut Listener, most: usize| {
        for _ in 0..most {
            let Some(suspect) = follower.suspects().last() else { break };
            let answer = kernel.answer(&suspect.entry);
            let tell = &mut |report: Report<'_>| listener.hear(report);
            follower.checked(&answer, &mut Ear { selection, tell }).unwrap();
        }
    };
    for _ in 0..2 + chance.below(16) {
        kernel.step(&mut chance);
        if chance.percent(40) {
            let most = 1 + chance.below(6) as usize;
            read(&mut kernel, &mut follower, &mut listener, most);
        }
        if chance.percent(40) {
            check(&kernel, &mut follower, &mut listener, 1 + chance.below(3) as usize);
        }
    }
    // At rest.
    kernel.pass_time(100);
    for _ in 0..6 {
        read(&mut kernel, &mut follower, &mut listener, usize::MAX);
        check(&kernel, &mut follower, &mut listener, usize::MAX);
    }
    assert!(follower.suspects().is_empty() && !follower.has_condemned());
    let selected: Vec<Entry> =
        kernel.alive.iter().flatten().filter(|entry| selection.selects(entry)).copied().collect();
    let order = |mut entries: Vec<Entry>| {
        let of = |e: &Entry| (e.orig.sport, e.reply.dport, e.id, e.mark, e.status.bits());
        entries.sort_by_key(of);
        entries.iter().map(of).collect::<Vec<_>>()
    };
    let (told, wanted) = (order(listener.table.into_values().collect()), order(selected));
    if told == wanted && follower.len() == wanted.len() {
        Ok(())
    } else {
        Err(format!("seed {seed}: told {told:?}, is {wanted:?}, known {}", follower.len()))
    }
}

/// Which part of a million orders is tried: those of one seed.
fn seeds(count: u64) -> std::ops::Range<u64> {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok());
    let first = seed.unwrap_or_else(|| u64::from(std::process::id()) << 32);
    println!("SEED={first}");
    // Miri takes many seconds for each.
    let count = if cfg!(miri) { 2 } else { count };
    let count = std::env::var("CTRACK_ORDERS").ok().and_then(|count| count.parse().ok()).unwrap_or(count);
    first..first + count
}

#[test]
fn whatever_the_order_the_follower_ends_with_the_kernels_table() {
    let everything = Selection::default();
    let wrong: Vec<String> = seeds(100_000).filter_map(|seed| agrees(seed, &everything).err()).collect();
    assert!(wrong.is_empty(), "{} wrong: {:?}", wrong.len(), wrong.first());
}

#[test]
fn whatever_the_order_a_filter_on_what_changes_ends_with_the_entries_that_it_selects() {
    let marked = Filter { mark: Some(Masked { value: 1, mask: u32::MAX }), ..Filter::default() };
    let selection = Selection::new(&[marked]).unwrap();
    let wrong: Vec<String> = seeds(50_000).filter_map(|seed| agrees(seed, &selection).err()).collect();
    assert!(wrong.is_empty(), "{} wrong: {:?}", wrong.len(), wrong.first());
}

/// An event as the kernel sends it.
pub(super) fn encoded(kind: EventKind, entry: &Entry) -> Vec<u8> {
    let mut message = Buffer::new();
    put_create(&mut message, 0, entry);
    put(&mut message, CTA_ID, &entry.id.to_be_bytes());
    let mut bytes = message.to_vec();
    let (message_kind, flags) = match kind {
        EventKind::New => (IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL),
        EventKind::Update => (IPCTNL_MSG_CT_NEW, 0),
        EventKind::Destroy => (IPCTNL_MSG_CT_DELETE, 0),
    };
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes[4..6].copy_from_slice(&message_type(message_kind).to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes
}

/// A kernel in which something happens between any two things that a watch does, and whose queue can be full.
struct Busy {
    kernel: Kernel,
    chance: Chance,
    /// Things that are still to happen.
    left: u32,
    joined: Vec<u32>,
    room: usize,
    drops: u32,
    /// Nobody counts what is lost: that something was is known.
    uncounted: bool,
    now: Duration,
    /// What the list has not had yet.
    to_list: Vec<usize>,
}

impl Busy {
    fn new(seed: u64) -> Busy {
        let mut chance = Chance(seed);
        let left = 20 + chance.below(60);
        let room = if chance.percent(50) { 4 } else { 1000 };
        let mode = if chance.percent(60) { 1 } else { chance.below(3) as u8 };
        let (mut kernel, now) = (Kernel { mode, ..Kernel::new() }, Duration::ZERO);
        // Some are there before anybody listens.
        for _ in 0..chance.below(4) {
            kernel.step(&mut chance);
        }
        kernel.queue.clear();
        kernel.late.clear();
        let uncounted = chance.percent(20);
        Busy { kernel, chance, left, joined: Vec::new(), room, drops: 0, uncounted, now, to_list: Vec::new() }
    }

    /// Some of it happens now. Who is not heard, or finds no room, is not queued.
    fn pass(&mut self) {
        for _ in 0..self.chance.below(4) {
            if self.left > 0 {
                self.left -= 1;
                let before = self.kernel.queue.len();
                self.kernel.step(&mut self.chance);
                self.admit(before);
            }
        }
        // Late messages come in any case.
        let before = self.kernel.queue.len();
        self.kernel.pass_time(1);
        self.admit(before);
        // What is late is so by six steps, which are less than the two seconds that the kernel has for it.
        self.now += Duration::from_millis(u64::from(self.chance.below(3)) * 150);
    }

    fn admit(&mut self, before: usize) {
        let new = self.kernel.queue.split_off(before);
        for (kind, entry) in new {
            let group = match kind {
                EventKind::New => NFNLGRP_CONNTRACK_NEW,
                EventKind::Update => NFNLGRP_CONNTRACK_UPDATE,
                EventKind::Destroy => NFNLGRP_CONNTRACK_DESTROY,
            };
            if !self.joined.contains(&group) {
            } else if self.kernel.queue.len() >= self.room {
                self.drops += 1;
            } else {
                self.kernel.queue.push((kind, entry));
            }
        }
    }
}

impl Source for Busy {
    fn join(&mut self, group: u32) -> Result<(), Error> {
        self.pass();
        self.joined.push(group);
        Ok(())
    }

    fn leave(&mut self, group: u32) -> Result<(), Error> {
        self.pass();
        self.joined.retain(|joined| *joined != group);
        Ok(())
    }

    fn read(&mut self, most: usize, hear: &mut dyn FnMut(&[u8], Option<i32>)) -> Result<bool, Error> {
        self.pass();
        if self.chance.percent(5) {
            // The reader was stopped for five seconds, the kernel was not.
            self.now += Duration::from_secs(5);
            let before = self.kernel.queue.len();
            self.kernel.pass_time(100);
            self.admit(before);
        }
        let most = most.min(self.kernel.queue.len()).min(1 + self.chance.below(5) as usize);
        for (kind, entry) in self.kernel.queue.drain(..most) {
            hear(&encoded(kind, &entry), None);
        }
        Ok(self.kernel.queue.is_empty())
    }

    fn drops(&mut self) -> Result<(u32, bool), Error> {
        self.pass();
        if self.uncounted {
            return Ok((0, std::mem::take(&mut self.drops) > 0));
        }
        Ok((self.drops, false))
    }

    fn begin_list(&mut self, _: &Selection) -> Result<(), Error> {
        self.pass();
        self.to_list = (0..usize::from(FLOWS)).collect();
        Ok(())
    }

    fn list(&mut self, _: &Selection, hear: &mut dyn FnMut(&Entry) -> Result<(), Error>) -> Result<bool, Error> {
        self.pass();
        if self.chance.percent(3) {
            return Err(Error::Interrupted { op: LATER, tries: 1 });
        }
        let Some(next) = self.to_list.pop() else { return Ok(true) };
        if let Some(entry) = self.kernel.alive[next] {
            hear(&entry)?;
        }
        Ok(false)
    }

    fn look_up(&mut self, suspects: &[Suspect], answers: &mut Vec<Answer>) -> Result<(), Error> {
        for suspect in suspects {
            self.pass();
            answers.push(self.kernel.answer(&suspect.entry));
        }
        Ok(())
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn clock(&self) -> u64 {
        0
    }

    fn events_mode(&mut self) -> Option<u8> {
        Some(self.kernel.mode)
    }

    fn enable(&mut self) -> Result<(), Error> {
        self.pass();
        self.kernel.mode = 1;
        Ok(())
    }

    fn keep(&mut self, _: &Task) -> Result<(), Error> {
        self.pass();
        self.kernel.is_heard = true;
        Ok(())
    }
}

/// A whole watch on a busy kernel with a full queue. Whether it ends with the kernel's table, and said so; and how many losses it told of
/// which nobody knows the number.
fn watch_agrees(seed: u64) -> Result<(Sums, u32), String> {
    let mut source = Busy::new(seed);
    let aim = Aim { sync: true, audit: Some(Duration::from_secs(1)), ..Aim::default() };
    let mut engine = Engine::new(Task { aim, selection: Selection::default() });
    let enable = source.chance.percent(20);
    engine.begin(&mut source, enable).map_err(|error| format!("seed {seed}: {error}"))?;
    let mut listener = Listener::default();
    let (mut idle, mut synced, mut unknown, mut lost) = (0, 0, 0, 0);
    for step in 0.. {
        let result = engine.step(&mut source).map_err(|error| format!("seed {seed}: {error}"))?;
        let mut strange = None;
        engine.hand_over(usize::MAX, &mut |told| match *told {
            Told { what: What::Entry(kind), flags, origin, ref entry, .. } => {
                listener.hear(Report { kind, flags, origin, entry });
            }
            Told { what: What::Lost(None), .. } if source.uncounted => unknown += 1,
            Told { what: What::Lost(Some(count)), .. } if !source.uncounted && count > 0 => lost += count,
            Told { what: What::Lost(count), .. } => strange = Some(count),
            Told { what: What::Synced, .. } => synced += 1,
        });
        if let Some(count) = strange {
            return Err(format!("seed {seed}: {count:?} are told as lost"));
        }
        let quiet = source.left == 0 && source.kernel.late.is_empty() && source.kernel.queue.is_empty();
        match result {
            Step::Idle | Step::Until(_) if quiet && engine.is_synced => idle += 1,
            _ => {}
        }
        if let Step::Until(time) = result {
            source.now = time;
        }
        // The doubt has ended, and two audits have begun and ended since.
        if idle == 6 {
            break;
        }
        if step == 20_000 {
            return Err(format!("seed {seed}: no end"));
        }
    }
    let order = |mut entries: Vec<Entry>| {
        let of = |e: &Entry| (e.orig.sport, e.reply.dport, e.id, e.mark, e.status.bits());
        entries.sort_by_key(of);
        entries.iter().map(of).collect::<Vec<_>>()
    };
    let told = order(listener.table.into_values().collect());
    let wanted = order(source.kernel.alive.iter().flatten().copied().collect());
    // What is lost while the list is read is told by nobody.
    if told == wanted && synced > 0 && engine.is_synced && lost <= engine.sums.lost {
        Ok((engine.sums, unknown))
    } else {
        Err(format!("seed {seed}: told {told:?}, is {wanted:?}, synced {synced}, {:?}", engine.sums))
    }
}

#[test]
fn whatever_is_lost_a_watch_with_a_list_ends_with_the_kernels_table() {
    let (mut lossy, mut restarted, mut audited, mut uncounted, mut tried) = (0, 0, 0, 0, 0);
    let wrong: Vec<String> = seeds(20_000)
        .inspect(|_| tried += 1)
        .filter_map(|seed| match watch_agrees(seed) {
            Ok((sums, unknown)) => {
                uncounted += u32::from(unknown > 0);
                lossy += u32::from(sums.resyncs > 0);
                restarted += u32::from(sums.restarts > 0);
                audited += u32::from(sums.audited > 0);
                None
            }
            Err(why) => Some(why),
        })
        .collect();
    assert!(wrong.is_empty(), "{} wrong: {:?}", wrong.len(), wrong.first());
    let enough = [(lossy, 40), (restarted, 8), (audited, 10), (uncounted, 700)];
    assert!(
        tried < 1000 || enough.iter().all(|(count, share)| count * share > tried),
        "of {tried} {lossy} lost, {restarted} restarted, {audited} audited, {uncounted} lost something that nobody counted"
    );
}

/// A UDP flow of its own for each number.
fn numbered(number: u32) -> Entry {
    let mut entry = flow(0);
    entry.id = number;
    let [_, high, middle, low] = number.to_be_bytes();
    entry.orig.src[1..4].copy_from_slice(&[high, middle, low]);
    entry.reply.dst = entry.orig.src;
    entry
}

#[test]
#[cfg_attr(miri, ignore = "takes hours")]
fn after_more_ends_in_two_seconds_than_are_remembered_a_late_message_is_doubted() {
    const FLOWS: u32 = 300_000;
    let selection = Selection::default();
    let mut follower = Follower::new(&selection, 0);
    let mut told = Listener::default();
    let now = Duration::from_secs(10);
    let mut say = |follower: &mut Follower, kind, number, now| {
        let tell = &mut |report: Report<'_>| told.hear(report);
        let mut ear = Ear { selection: &selection, tell };
        follower.event(kind, &numbered(number), Origin::default(), now, &mut ear).unwrap();
    };
    for number in 0..FLOWS {
        say(&mut follower, EventKind::New, number, now);
        say(&mut follower, EventKind::Destroy, number, now);
    }
    // Each of them came and went, and was told, with or without doubt.
    assert_eq!((follower.len(), follower.suspects().len()), (0, 0));
    // The first one's NEW once more: nobody remembers that it went.
    say(&mut follower, EventKind::New, 0, now + Duration::from_millis(1900));
    assert_eq!((follower.len(), follower.suspects().len()), (0, 1));
    while !follower.suspects().is_empty() {
        let tell = &mut |_: Report<'_>| panic!("nothing is there");
        follower.checked(&Answer::Gone, &mut Ear { selection: &selection, tell }).unwrap();
    }
    // Two seconds of an empty queue later all is as before.
    follower.queue_was_empty(now + Duration::from_secs(4)).unwrap();
    say(&mut follower, EventKind::New, 1, now + Duration::from_secs(5));
    assert_eq!((follower.len(), follower.suspects().len()), (1, 0));
}
