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

/// What the follower tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Report<'a> {
    pub kind: EventKind,
    pub flags: EventFlags,
    pub entry: &'a Entry,
}

/// Who hears it. One call of the follower tells at most [`MOST_REPORTS`].
pub(crate) type Tell<'t> = &'t mut dyn FnMut(Report<'_>);

/// DESTROY of one, NEW of another.
pub(crate) const MOST_REPORTS: usize = 2;

/// An entry of which the kernel is to be asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Suspect {
    /// As the event had it.
    pub entry: Entry,
    kind: EventKind,
    /// By an event; else it was listed as dying.
    said: bool,
    /// It was not there when it was asked for the first time. Then its DESTROY is queued, unless the kernel is silent about it: what
    /// is queued is read before it is asked for a second time.
    again: bool,
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
    selection: Selection,
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
    /// How many entries may be known; 0: any number.
    most: usize,
    /// No list was complete yet.
    first: bool,
    /// Only a list can tell what is.
    pub wants_list: bool,
}

impl Follower {
    pub fn new(selection: Selection, most: usize) -> Follower {
        let hashes = Hashes::default();
        Follower {
            table: Table::new(hashes.clone()),
            hashes,
            asks_for_rare: selection.asks_for_rare(),
            changes_count: selection.depends_on_changes(),
            selection,
            tombstones: Tombstones::default(),
            doubt: None,
            suspects: Vec::new(),
            condemned: Vec::new(),
            list: 0,
            most,
            first: true,
            wants_list: false,
        }
    }

    /// How many entries are known.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The kernel sent an event, which was read now.
    pub fn event(&mut self, kind: EventKind, entry: &Entry, now: Duration, tell: Tell<'_>) -> Result<(), Error> {
        let key = self.hashes.key(entry);
        if kind == EventKind::Destroy {
            return self.destroyed(&key, entry, now, tell);
        }
        if mutant!("dying-is-no-news", entry.status.contains(Status::DYING), false) {
            return Ok(());
        }
        match self.table.get(&key).copied() {
            Some(known) if mutant!("ids-compared", known.id == entry.id, true) => {
                if kind == EventKind::Update && self.asks_for_rare {
                    return self.suspect(kind, entry, true);
                }
                // An UPDATE may have come before it.
                let old_news = kind == EventKind::New && self.is_news(entry, &known);
                // It may be its predecessor's, who had the same id.
                let old_update = kind == EventKind::Update
                    && (self.tombstones.has(self.hashes.of(&key), entry.id)
                        || self.doubt.is_some() && self.hashes.digest(entry) != known.digest);
                if mutant!("no-old-news", old_news, false) || mutant!("no-old-updates", old_update, false) {
                    return self.suspect(kind, entry, true);
                }
                let news = if kind == EventKind::New { News::Whole } else { News::Update };
                self.changed(&key, Known { heard: true, ..known }, entry, news, EventFlags::empty(), tell);
                Ok(())
            }
            Some(_) => self.suspect(kind, entry, true),
            None if !self.may_be_selected(kind, entry) => Ok(()),
            None if kind == EventKind::Update || self.may_be_late(&key, entry.id) => self.suspect(kind, entry, true),
            None => self.store(key, entry, true, EventFlags::empty(), tell),
        }
    }

    fn may_be_late(&self, key: &Key, id: u32) -> bool {
        // An UPDATE may have come before it by which it is not selected any more, and so was not heeded.
        mutant!("new-is-not-old", self.changes_count, false)
            || mutant!("doubtful-at-first", self.doubt.is_some(), false)
            || mutant!("tombstones", self.tombstones.has(self.hashes.of(key), id), false)
    }

    fn may_be_selected(&self, kind: EventKind, entry: &Entry) -> bool {
        kind == EventKind::Update && self.asks_for_rare || self.selection.selects(entry)
    }

    fn destroyed(&mut self, key: &Key, entry: &Entry, now: Duration, tell: Tell<'_>) -> Result<(), Error> {
        let hash = self.hashes.of(key);
        let known = self.table.get(key).is_some_and(|known| mutant!("destroys-by-id", known.id == entry.id, true));
        if known {
            // Somebody with this id went just now, or may have gone before anything was heard: it may be the same DESTROY once more.
            let repeated = mutant!("destroyed-twice", self.tombstones.has(hash, entry.id), false)
                || mutant!("destroyed-before", self.doubt.is_some(), false);
            if repeated {
                return self.suspect(EventKind::Destroy, entry, true);
            }
            self.table.remove(key);
            tell(Report { kind: EventKind::Destroy, flags: EventFlags::empty(), entry });
        }
        if !self.tombstones.add(hash, entry.id, now) {
            self.doubt = Some(now);
        }
        Ok(())
    }

    fn suspect(&mut self, kind: EventKind, entry: &Entry, said: bool) -> Result<(), Error> {
        self.suspects.try_reserve(1).map_err(Error::no_memory)?;
        self.suspects.push(Suspect { entry: *entry, kind, said, again: false });
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
    pub fn checked(&mut self, answer: &Answer, tell: Tell<'_>) -> Result<(), Error> {
        let Some(suspect) = self.suspects.pop() else { return Ok(()) };
        let key = self.hashes.key(&suspect.entry);
        let known = self.table.get(&key).copied();
        match (answer, known) {
            (Answer::Alive(entry), _) if entry.status.contains(Status::DYING) => self.gone(suspect, &key, tell),
            (Answer::Alive(entry), Some(known)) if known.id == entry.id => {
                let updated = suspect.kind == EventKind::Update && suspect.entry.id == entry.id;
                let news = if updated { News::WholeUpdate } else { News::Whole };
                self.changed(&key, known, entry, news, EventFlags::empty(), tell);
                Ok(())
            }
            (Answer::Alive(entry), _) => {
                self.removed(&key, tell);
                let flags = match suspect.kind {
                    EventKind::New if suspect.entry.id == entry.id => EventFlags::empty(),
                    EventKind::Update if known.is_none() && self.changes_count => EventFlags::ENTERED,
                    _ => EventFlags::FOUND,
                };
                self.store(key, entry, false, flags, tell)
            }
            (Answer::Gone, _) => self.gone(suspect, &key, tell),
            (Answer::Hidden, _) => {
                self.wants_list = true;
                Ok(())
            }
        }
    }

    fn gone(&mut self, suspect: Suspect, key: &Key, tell: Tell<'_>) -> Result<(), Error> {
        let Some(known) = self.table.get(key) else { return Ok(()) };
        if suspect.kind == EventKind::Destroy && suspect.said && known.id == suspect.entry.id {
            self.table.remove(key);
            tell(Report { kind: EventKind::Destroy, flags: EventFlags::empty(), entry: &suspect.entry });
            return Ok(());
        }
        if suspect.again {
            self.removed(key, tell);
            return Ok(());
        }
        self.condemned.try_reserve(1).map_err(Error::no_memory)?;
        self.condemned.push(Suspect { again: true, ..suspect });
        Ok(())
    }

    /// Tells that an entry is gone of which no event said so.
    fn removed(&mut self, key: &Key, tell: Tell<'_>) {
        if let Some(known) = self.table.remove(key) {
            let entry = &key.entry(known.id);
            tell(Report { kind: EventKind::Destroy, flags: EventFlags::FOUND, entry });
        }
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

    /// Events are heard from now on, and what was queued before was thrown away: somebody may have gone without a tombstone.
    pub fn joined(&mut self, now: Duration) {
        self.doubt = Some(now);
    }

    /// A list begins: what it has, [`Follower::listed`] hears. No event is heard before [`Follower::sweep`] is through.
    pub fn begin_list(&mut self) {
        self.list = self.list.wrapping_add(1);
        self.wants_list = false;
        // The list is younger than all of these.
        self.suspects.clear();
        self.condemned.clear();
    }

    /// An entry of the list.
    pub fn listed(&mut self, entry: &Entry, tell: Tell<'_>) -> Result<(), Error> {
        let key = self.hashes.key(entry);
        if mutant!("dying-is-not-listed", entry.status.contains(Status::DYING), false) {
            // Its DESTROY is queued, and has what nothing else tells: the last counters.
            return match self.table.get_mut(&key) {
                Some(known) if known.id == entry.id => {
                    known.list = self.list;
                    self.suspect(EventKind::Destroy, entry, false)
                }
                _ => Ok(()),
            };
        }
        match self.table.get(&key).copied() {
            Some(known) if known.id == entry.id => {
                let known = Known { list: self.list, ..known };
                self.changed(&key, known, entry, News::Whole, EventFlags::FOUND, tell);
                Ok(())
            }
            _ => {
                self.removed(&key, tell);
                let flags = if self.first { EventFlags::INITIAL } else { EventFlags::FOUND };
                if self.selection.selects(entry) {
                    self.store(key, entry, false, flags, tell)
                } else {
                    Ok(())
                }
            }
        }
    }

    /// The list was complete: tells who is not on it, in several calls. `place`: how many are left to look at, at first all
    /// ([`Follower::len`]); each call looks at a part of them and tells at most one.
    pub fn sweep(&mut self, place: &mut usize, tell: Tell<'_>) {
        for _ in 0..AT_ONCE {
            let Some(at) = place.checked_sub(1) else { return };
            *place = at;
            let Some((key, known)) = self.table.at(at) else { continue };
            if mutant!("swept", known.list != self.list, false) {
                let key = *key;
                return self.removed(&key, tell);
            }
        }
    }

    /// What was listed, and what was heard since, was told.
    pub fn synced(&mut self) {
        self.first = false;
    }

    /// Nothing is known any more, and nothing is told of it.
    pub fn clear(&mut self) {
        self.table.clear();
        self.suspects.clear();
        self.condemned.clear();
        self.first = true;
    }

    fn store(&mut self, key: Key, entry: &Entry, heard: bool, flags: EventFlags, tell: Tell<'_>) -> Result<(), Error> {
        if !self.selection.selects(entry) {
            return Ok(());
        }
        if self.most != 0 && self.table.len() >= self.most {
            return Err(Error::Full { op: LATER, most: self.most });
        }
        let known = Known {
            id: entry.id,
            digest: self.hashes.digest(entry),
            rare: self.hashes.rare(entry),
            list: self.list,
            heard,
        };
        self.table.put(key, known)?;
        tell(Report { kind: EventKind::New, flags, entry });
        Ok(())
    }

    /// Whether an entry that says all of itself says something new.
    fn is_news(&self, entry: &Entry, known: &Known) -> bool {
        (self.hashes.digest(entry), self.hashes.rare(entry)) != (known.digest, known.rare)
    }

    /// An entry that is known has these values now.
    fn changed(&mut self, key: &Key, known: Known, entry: &Entry, news: News, flags: EventFlags, tell: Tell<'_>) {
        if !self.selection.selects(entry) {
            self.table.remove(key);
            tell(Report { kind: EventKind::Destroy, flags: flags | EventFlags::LEFT, entry });
            return;
        }
        let digest = self.hashes.digest(entry);
        let says_rare = news != News::Update || entry.has.intersects(Has::LABELS | Has::HELPER);
        let rare = if says_rare { self.hashes.rare(entry) } else { known.rare };
        let is_news = (digest, rare) != (known.digest, known.rare);
        if let Some(place) = self.table.get_mut(key) {
            *place = Known { digest, rare, ..known };
        }
        if is_news || news != News::Whole {
            tell(Report { kind: EventKind::Update, flags, entry });
        }
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
