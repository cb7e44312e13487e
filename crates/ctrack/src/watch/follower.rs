//! The rules by which events, answers and lists add up to the kernel's table (docs/watching.md has the proof). Knows no socket and no
//! clock.
//!
//! What makes it hard: the kernel sends from wherever something happens, so that the NEW or UPDATE of an entry may be queued behind its
//! DESTROY, and behind the NEW of its successor, who may have the same id. So whatever does not fit is no news but a suspicion, and the
//! kernel is asked: what it says then is true, and all that happens later comes behind it.

use super::table::{Hashes, Key, Known, Table};
use super::tombstones::{Tombstones, LATE};
use crate::error::{Error, LATER};
use crate::selection::Selection;
use ctnetlink::event::EventKind;
use ctnetlink::types::*;
use std::time::Duration;

bitflags::bitflags! {
    /// What is special about an event that a watch tells.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EventFlags: u32 {
        /// NEW: was there when the watch began.
        const INITIAL = 1 << 0;
        /// The kernel did not send it: a list or a look-up showed it. DESTROY: of the entry only original tuple, zone and id count.
        const FOUND = 1 << 1;
        /// NEW: was there before, and is selected only now.
        const ENTERED = 1 << 2;
        /// DESTROY: is there still, and is selected no more.
        const LEFT = 1 << 3;
    }
}

/// Where a change came from, as an event says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The netlink port of who caused it; 0: traffic, a timeout, or nobody knows.
    pub port: u32,
    /// When it happened, as the kernel says; 0: it does not.
    pub time_ns: u64,
}

/// What the follower tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub kind: EventKind,
    pub flags: EventFlags,
    pub origin: Origin,
    pub entry: &'a Entry,
}

/// What is asked for, and who hears it. One call of the follower tells at most [`MOST_REPORTS`].
pub(crate) struct Ear<'a> {
    pub selection: &'a Selection,
    pub tell: &'a mut dyn FnMut(Report<'_>),
}

/// DESTROY of one or two, NEW of another.
pub(crate) const MOST_REPORTS: usize = 3;

/// An entry of which the kernel is to be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspect {
    /// As the event had it; of one that is audited the original tuple, zone and id alone.
    pub entry: Entry,
    key: Key,
    reason: Reason,
    origin: Origin,
    /// It was not there when it was asked for the first time. Then its DESTROY is queued, unless the kernel is silent about it: what
    /// is queued is read before it is asked for a second time.
    again: bool,
}

/// Why the kernel is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    /// An event of this kind does not fit.
    Event(EventKind),
    /// It was listed as dying.
    Dying,
    /// Nothing was heard of it yet.
    Audit,
}

/// What the kernel says of a suspect.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::large_enum_variant, reason = "there are never more than a batch of them")]
pub(crate) enum Answer {
    /// This one has its tuples and zones; whatever its id.
    Alive(Entry),
    /// Nobody has.
    Gone,
    /// The kernel does not say: others hide it.
    Hidden,
}

/// So many entries are looked at by one call of [`Follower::sweep`].
const AT_ONCE: usize = 4096;

pub(crate) struct Follower {
    hashes: Hashes,
    table: Table,
    /// Filters ask for what UPDATE and DESTROY do not say: labels, helper.
    asks_for_rare: bool,
    /// Filters ask for what changes while an entry lives.
    changes_count: bool,
    tombstones: Tombstones,
    /// Since then a NEW of somebody unknown may be late without a tombstone that says so.
    doubt: Option<Duration>,
    suspects: Vec<Suspect>,
    condemned: Vec<Suspect>,
    /// The number of the list that is read or was read last.
    list: u16,
    /// How many of those that are known no event was heard of yet.
    unheard: usize,
    /// How many entries may be known; 0: any number.
    most: usize,
    /// No list was complete yet.
    first: bool,
    /// Only a list can tell what is.
    pub wants_list: bool,
    /// The list had more than may be known: what it had besides was left out.
    pub list_is_cut: bool,
}

impl Follower {
    pub fn new(selection: &Selection, most: usize) -> Follower {
        let hashes = Hashes::default();
        Follower {
            table: Table::default(),
            hashes,
            asks_for_rare: selection.asks_for_rare(),
            changes_count: selection.depends_on_changes(),
            tombstones: Tombstones::default(),
            doubt: None,
            suspects: Vec::new(),
            condemned: Vec::new(),
            list: 0,
            unheard: 0,
            most,
            first: true,
            wants_list: false,
            list_is_cut: false,
        }
    }

    /// How many entries are known.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// How many of them no event was heard of: the kernel may be silent about what becomes of these.
    pub fn unheard(&self) -> usize {
        self.unheard
    }

    /// The kernel sent an event, which was read now.
    pub fn event(
        &mut self,
        kind: EventKind,
        entry: &Entry,
        origin: Origin,
        now: Duration,
        ear: &mut Ear<'_>,
    ) -> Result<(), Error> {
        let key = self.hashes.key(entry);
        let as_event = How { news: News::Update, heard: true, flags: EventFlags::empty(), origin };
        if kind == EventKind::Destroy {
            return self.destroyed(key, entry, now, as_event, ear);
        }
        if mutant!("dying-is-no-news", entry.status.contains(Status::DYING), false) {
            return Ok(());
        }
        let suspicious = match self.table.get(&key).copied() {
            Some(known) if mutant!("ids-compared", known.id == entry.id, true) => {
                let suspicious = match kind {
                    // An UPDATE may have come before it.
                    EventKind::New => mutant!("no-old-news", self.is_news(entry, &known), false),
                    _ => self.asks_for_rare || mutant!("no-old-updates", self.may_be_old(&key, entry, &known), false),
                };
                if !suspicious {
                    let news = if kind == EventKind::New { News::Whole } else { News::Update };
                    self.changed(&key, known, entry, How { news, ..as_event }, ear);
                }
                suspicious
            }
            Some(_) => true,
            None if !self.may_be_selected(kind, entry, ear) => false,
            None if kind == EventKind::Update || self.may_be_late(&key, entry.id) => true,
            None => return self.store(key, entry, as_event, ear),
        };
        if suspicious {
            self.suspect(Suspect { entry: *entry, key, reason: Reason::Event(kind), origin, again: false })?;
        }
        Ok(())
    }

    /// An UPDATE may be that of a predecessor who had the same id.
    fn may_be_old(&self, key: &Key, entry: &Entry, known: &Known) -> bool {
        self.tombstones.has(key.hash(), entry.id) || self.doubt.is_some() && self.hashes.digest(entry) != known.digest
    }

    fn may_be_late(&self, key: &Key, id: u32) -> bool {
        // An UPDATE may have come before it by which it is not selected any more, and so was not heeded.
        mutant!("new-is-not-old", self.changes_count, false)
            || mutant!("doubtful-at-first", self.doubt.is_some(), false)
            || mutant!("tombstones-heeded", self.tombstones.has(key.hash(), id), false)
    }

    fn may_be_selected(&self, kind: EventKind, entry: &Entry, ear: &Ear<'_>) -> bool {
        kind == EventKind::Update && self.asks_for_rare || ear.selection.selects(entry)
    }

    fn destroyed(&mut self, key: Key, entry: &Entry, now: Duration, how: How, ear: &mut Ear<'_>) -> Result<(), Error> {
        let hash = key.hash();
        let known = self.table.get(&key).is_some_and(|known| mutant!("destroys-by-id", known.id == entry.id, true));
        // Somebody with this id went just now, or may have gone before anything was heard: it may be the same DESTROY once more.
        let went = self.tombstones.has(hash, entry.id);
        let repeated =
            mutant!("destroyed-twice", went, false) || mutant!("destroyed-before", self.doubt.is_some(), false);
        if !self.tombstones.add(hash, entry.id, now) {
            self.doubt = Some(now);
        }
        if known && repeated {
            let reason = Reason::Event(EventKind::Destroy);
            return self.suspect(Suspect { entry: *entry, key, reason, origin: how.origin, again: false });
        }
        if known {
            self.forget(&key);
            (ear.tell)(how.report(EventKind::Destroy, entry));
        } else if !went && self.table.get(&key).is_none() {
            if let Some(new) = self.take_newcomer(&key, entry.id) {
                // It came and went before the kernel was asked for it.
                (ear.tell)(How { origin: new.origin, ..how }.report(EventKind::New, &new.entry));
                (ear.tell)(how.report(EventKind::Destroy, entry));
            }
        }
        Ok(())
    }

    /// The suspect who is said to be new and to be this one, if he is among the last ones; he is none any more.
    fn take_newcomer(&mut self, key: &Key, id: u32) -> Option<Suspect> {
        const LAST: usize = 8192;
        let is_it = |suspect: &Suspect| {
            suspect.entry.id == id && suspect.reason == Reason::Event(EventKind::New) && suspect.key == *key
        };
        let at = self.suspects.iter().rev().take(LAST).position(is_it)?;
        Some(self.suspects.swap_remove(self.suspects.len() - 1 - at))
    }

    fn suspect(&mut self, suspect: Suspect) -> Result<(), Error> {
        self.suspects.try_reserve(1).map_err(Error::no_memory)?;
        self.suspects.push(suspect);
        Ok(())
    }

    /// Those of whom the kernel is to be asked.
    pub fn suspects(&self) -> &[Suspect] {
        &self.suspects
    }

    /// Whether somebody is to be asked for again when the queue was read.
    pub fn has_condemned(&self) -> bool {
        !self.condemned.is_empty()
    }

    /// What the kernel says of the last of the suspects, who is none any more.
    pub fn checked(&mut self, answer: &Answer, ear: &mut Ear<'_>) -> Result<(), Error> {
        let Some(suspect) = self.suspects.pop() else { return Ok(()) };
        let Suspect { key, origin, reason, .. } = suspect;
        let known = self.table.get(&key).copied();
        let found = How { news: News::Whole, heard: false, flags: EventFlags::FOUND, origin: Origin::default() };
        let as_event = How { flags: EventFlags::empty(), origin, ..found };
        match (answer, known) {
            (Answer::Hidden, _) => self.wants_list = true,
            // Of the two that have this original tuple it is the other one, which hides what was asked for.
            (Answer::Alive(entry), _) if reason == Reason::Audit && self.hashes.key(entry) != key => {
                self.wants_list = true;
            }
            (Answer::Alive(entry), _) if entry.status.contains(Status::DYING) => return self.gone(suspect, ear),
            (Answer::Gone, _) => return self.gone(suspect, ear),
            (Answer::Alive(entry), Some(known)) if known.id == entry.id => {
                let how = match reason {
                    Reason::Event(kind) if suspect.entry.id == entry.id => {
                        let news = if kind == EventKind::Update { News::WholeUpdate } else { News::Whole };
                        How { news, ..as_event }
                    }
                    _ => found,
                };
                self.changed(&key, known, entry, How { heard: known.heard, ..how }, ear);
            }
            (Answer::Alive(entry), _) => {
                self.removed(&key, ear);
                let same = suspect.entry.id == entry.id;
                let how = match reason {
                    Reason::Event(EventKind::New) if same => How { heard: true, ..as_event },
                    Reason::Event(EventKind::Update) if known.is_none() && self.changes_count => {
                        How { flags: EventFlags::ENTERED, heard: same, ..as_event }
                    }
                    _ => found,
                };
                return self.store(key, entry, how, ear);
            }
        }
        Ok(())
    }

    fn gone(&mut self, suspect: Suspect, ear: &mut Ear<'_>) -> Result<(), Error> {
        let Some(known) = self.table.get(&suspect.key) else { return Ok(()) };
        if suspect.reason == Reason::Event(EventKind::Destroy) && known.id == suspect.entry.id {
            self.forget(&suspect.key);
            let how = How { news: News::Whole, heard: true, flags: EventFlags::empty(), origin: suspect.origin };
            (ear.tell)(how.report(EventKind::Destroy, &suspect.entry));
            return Ok(());
        }
        if suspect.again {
            self.removed(&suspect.key, ear);
            return Ok(());
        }
        self.condemned.try_reserve(1).map_err(Error::no_memory)?;
        self.condemned.push(Suspect { again: true, ..suspect });
        Ok(())
    }

    /// Tells that an entry is gone of which no event said so.
    fn removed(&mut self, key: &Key, ear: &mut Ear<'_>) {
        if let Some(known) = self.forget(key) {
            let entry = &key.entry(known.id);
            let origin = Origin::default();
            (ear.tell)(Report { kind: EventKind::Destroy, flags: EventFlags::FOUND, origin, entry });
        }
    }

    fn forget(&mut self, key: &Key) -> Option<Known> {
        let known = self.table.remove(key)?;
        self.unheard -= usize::from(!known.heard);
        Some(known)
    }

    /// Suspects some of those of whom nothing was heard, in several calls: `place` as for [`Follower::sweep`]. The number of them.
    pub fn audit(&mut self, place: &mut usize, most: usize) -> Result<usize, Error> {
        let mut count = 0;
        *place = (*place).min(self.table.len());
        for _ in 0..AT_ONCE {
            let Some(at) = place.checked_sub(1).filter(|_| count < most) else { break };
            *place = at;
            let Some((key, known)) = self.table.at(at).filter(|(_, known)| !known.heard) else { continue };
            let (key, entry) = (*key, key.entry(known.id));
            self.suspect(Suspect { entry, key, reason: Reason::Audit, origin: Origin::default(), again: false })?;
            count += 1;
        }
        Ok(count)
    }

    /// All that the kernel had queued up to now was read.
    pub fn queue_was_empty(&mut self, now: Duration) -> Result<(), Error> {
        self.tombstones.forget(now);
        if self.doubt.is_some_and(|since| now.saturating_sub(since) >= LATE) {
            self.doubt = None;
        }
        self.suspects.try_reserve(self.condemned.len()).map_err(Error::no_memory)?;
        self.suspects.append(&mut self.condemned);
        Ok(())
    }

    /// When the doubt ends, if the queue is empty then.
    pub fn doubt_ends(&self) -> Option<Duration> {
        self.doubt.map(|since| since + LATE)
    }

    /// Events are heard from now on, and what was queued before was thrown away: somebody may have gone without a tombstone.
    pub fn joined(&mut self, now: Duration) {
        self.doubt = Some(now);
    }

    /// A list begins: what it has, [`Follower::listed`] hears. No event is heard before [`Follower::sweep`] is through.
    pub fn begin_list(&mut self) {
        self.list = self.list.wrapping_add(1);
        (self.wants_list, self.list_is_cut) = (false, false);
        // The list is younger than all of these.
        self.suspects.clear();
        self.condemned.clear();
    }

    /// An entry of the list.
    pub fn listed(&mut self, entry: &Entry, ear: &mut Ear<'_>) -> Result<(), Error> {
        let key = self.hashes.key(entry);
        if mutant!("dying-is-not-listed", entry.status.contains(Status::DYING), false) {
            // Its DESTROY is queued, and has what nothing else tells: the last counters.
            return match self.table.get_mut(&key) {
                Some(known) if known.id == entry.id => {
                    known.list = self.list;
                    let origin = Origin::default();
                    self.suspect(Suspect { entry: *entry, key, reason: Reason::Dying, origin, again: false })
                }
                _ => Ok(()),
            };
        }
        let flags = if self.first { EventFlags::INITIAL } else { EventFlags::FOUND };
        let found = How { news: News::Whole, heard: false, flags, origin: Origin::default() };
        match self.table.get(&key).copied() {
            Some(known) if known.id == entry.id => {
                let (known, flags) = (Known { list: self.list, ..known }, EventFlags::FOUND);
                self.changed(&key, known, entry, How { heard: known.heard, flags, ..found }, ear);
                Ok(())
            }
            _ => {
                self.removed(&key, ear);
                match self.store(key, entry, found, ear) {
                    // Its end is awaited: whoever is not on it any more takes up room until then.
                    Err(Error::Full { .. }) if mutant!("room-of-those-who-went", true, false) => {
                        self.list_is_cut = true;
                        Ok(())
                    }
                    done => done,
                }
            }
        }
    }

    /// The list was complete: tells who is not on it, in several calls. `place`: how many are left to look at, at first all
    /// ([`Follower::len`]); each call looks at a part of them and tells at most one.
    pub fn sweep(&mut self, place: &mut usize, ear: &mut Ear<'_>) {
        for _ in 0..AT_ONCE {
            let Some(at) = place.checked_sub(1) else { return };
            *place = at;
            let Some((key, known)) = self.table.at(at) else { continue };
            if mutant!("swept", known.list != self.list, false) {
                let key = *key;
                return self.removed(&key, ear);
            }
        }
    }

    /// What was listed, and what was heard since, was told.
    pub fn synced(&mut self) {
        self.first = false;
    }

    /// Whether one more may be known.
    pub fn has_room(&self) -> Result<(), Error> {
        if self.most != 0 && self.table.len() >= self.most {
            return Err(Error::Full { op: LATER, most: self.most });
        }
        Ok(())
    }

    fn store(&mut self, key: Key, entry: &Entry, how: How, ear: &mut Ear<'_>) -> Result<(), Error> {
        if !ear.selection.selects(entry) {
            return Ok(());
        }
        // It has the memory, and so the id, of one with another reply tuple, which is gone. Who hears that one is found to be gone is told
        // original tuple, zone and id, and must know whom that means.
        if let Some(other) = mutant!("one-of-each-name", self.table.other(&key, entry.id), None) {
            self.removed(&other, ear);
        }
        self.has_room()?;
        let known = Known {
            id: entry.id,
            digest: self.hashes.digest(entry),
            rare: self.hashes.rare(entry),
            list: self.list,
            heard: how.heard,
        };
        self.table.put(key, known)?;
        self.unheard += usize::from(!how.heard);
        (ear.tell)(how.report(EventKind::New, entry));
        Ok(())
    }

    /// Whether an entry that says all of itself says something new.
    fn is_news(&self, entry: &Entry, known: &Known) -> bool {
        (self.hashes.digest(entry), self.hashes.rare(entry)) != (known.digest, known.rare)
    }

    /// An entry that is known has these values now.
    fn changed(&mut self, key: &Key, known: Known, entry: &Entry, how: How, ear: &mut Ear<'_>) {
        if !ear.selection.selects(entry) {
            self.forget(key);
            (ear.tell)(How { flags: how.flags | EventFlags::LEFT, ..how }.report(EventKind::Destroy, entry));
            return;
        }
        let digest = self.hashes.digest(entry);
        let says_rare = how.news != News::Update || entry.has.intersects(Has::LABELS | Has::HELPER);
        let rare = if says_rare { self.hashes.rare(entry) } else { known.rare };
        let is_news = (digest, rare) != (known.digest, known.rare);
        if let Some(place) = self.table.get_mut(key) {
            self.unheard -= usize::from(how.heard && !place.heard);
            *place = Known { digest, rare, heard: how.heard, ..known };
        }
        if is_news || how.news != News::Whole {
            (ear.tell)(how.report(EventKind::Update, entry));
        }
    }
}

/// How something is known.
#[derive(Clone, Copy, Debug)]
struct How {
    news: News,
    /// An event said it, so that the kernel will say when the entry goes.
    heard: bool,
    flags: EventFlags,
    origin: Origin,
}

impl How {
    fn report(self, kind: EventKind, entry: &Entry) -> Report<'_> {
        Report { kind, flags: self.flags, origin: self.origin, entry }
    }
}

/// Where values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum News {
    /// From a NEW, a list or a look-up, which say all. Told only if something changed.
    Whole,
    /// From an UPDATE, which says labels and helper only if they changed, and is told in any case.
    Update,
    /// From the look-up for an UPDATE.
    WholeUpdate,
}
