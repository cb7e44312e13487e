//! The follower on a kernel that is a model: every order in which a kernel can queue what it has to say of a few flows, read at
//! random moments, must leave it with what the kernel has.
//!
//! The kernel's promises (docs/watching.md): an entry is in the table before its NEW is queued (K1); its DESTROY is queued before it is
//! out of the table (K2); its successor gets in only then (K3); each has one DESTROY, or several beside a reliable listener, and
//! at most one NEW (K4); a NEW or UPDATE that was begun before may be queued a little later than the DESTROY, and some of those confess
//! it by DYING (K5); the UPDATEs of one entry are queued in the order in which it changed, though one may come before its NEW (K6).

use super::follower::{Answer, EventFlags, Follower, Report};
use crate::filter::Filter;
use crate::selection::Selection;
use ctnetlink::event::EventKind;
use ctnetlink::types::*;
use std::collections::HashMap;
use std::time::Duration;

/// A reproducible source of chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (u64::from((self.0 >> 32) as u32) * u64::from(n) >> 32) as u32
    }

    fn percent(&mut self, n: u32) -> bool {
        self.below(100) < n
    }
}

/// The flow with this number.
fn flow(number: u16) -> Entry {
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
}

impl Kernel {
    fn new() -> Kernel {
        Kernel { alive: [None; FLOWS as usize], queue: Vec::new(), late: Vec::new() }
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
        match self.alive[slot] {
            None => {
                // Two that live at once have different ids: the kernel makes them of addresses.
                let entry =
                    Entry { id: 10 * u32::from(number) + chance.below(2), mark: chance.below(3), ..flow(number) };
                self.alive[slot] = Some(entry);
                self.say(chance, EventKind::New, entry);
            }
            Some(entry) if chance.percent(40) => {
                let changed = Entry { mark: chance.below(3), ..entry };
                self.alive[slot] = Some(changed);
                // Those of one entry are queued in order (K6).
                self.queue.push((EventKind::Update, changed));
            }
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
        let found = self.alive.iter().flatten().find(|entry| entry.orig == of.orig && entry.reply == of.reply);
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
                assert!(!self.by_orig.is_empty(), "DESTROY of one that is not there: {report:?}");
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
    let mut follower = Follower::new(selection.clone(), 0);
    let mut listener = Listener::default();
    let mut now = Duration::ZERO;
    let mut read = |kernel: &mut Kernel, follower: &mut Follower, listener: &mut Listener, most: usize| {
        now += Duration::from_millis(1);
        let count = most.min(kernel.queue.len());
        for (kind, entry) in kernel.queue.drain(..count).collect::<Vec<_>>() {
            follower.event(kind, &entry, now, &mut |report| listener.hear(report)).unwrap();
        }
        if kernel.queue.is_empty() {
            follower.queue_was_empty(now).unwrap();
        }
    };
    let check = |kernel: &Kernel, follower: &mut Follower, listener: &mut Listener, most: usize| {
        for _ in 0..most {
            let Some(suspect) = follower.suspects().last() else { break };
            let answer = kernel.answer(&suspect.entry);
            follower.checked(&answer, &mut |report| listener.hear(report)).unwrap();
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
