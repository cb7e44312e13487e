//! What a watch knows of each entry: who it is, and digests of what was told of it. No entry itself: a million of those would be 300 MB.
//!
//! An entry takes 72 bytes in chunks that never move, and a number in a hash table, so that growth never needs the room of all
//! entries twice: at most 17 bytes more for each (the old and the new table of numbers).

use crate::error::Error;
use ctnetlink::types::*;
use hashbrown::hash_table::{Entry as Place, HashTable};
use std::hash::{BuildHasher, Hasher, RandomState};

/// Slots in a chunk.
const CHUNK: usize = 1024;

/// Who an entry is: its tuples with the zones they are in. Two entries that live at once never have the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    src: [u8; 16],
    dst: [u8; 16],
    /// Ports, or id, type and code of ICMP.
    l4: u32,
    zones: [u16; 2],
    family: Family,
    proto: Proto,
    shape: Shape,
    /// A keyed hash of the reply tuple, which is of no use to anybody else; 0 if it is the mirror of the other one, as for nearly all
    /// entries.
    reply: [u32; 2],
    /// A keyed hash of all of these but the last: kept, since a table that grows asks for it again (a third of the time of a first list).
    hash: u32,
}

impl Key {
    /// Who it is by the original tuple. At once: field by field SipHash took a third of the time of an event with a list.
    fn bytes(&self) -> [u8; 48] {
        let mut bytes = [0; 48];
        let mut rest = &mut bytes[..];
        let mut put = |part: &[u8]| {
            let (here, after) = std::mem::take(&mut rest).split_at_mut(part.len());
            here.copy_from_slice(part);
            rest = after;
        };
        put(&self.src);
        put(&self.dst);
        put(&self.l4.to_ne_bytes());
        put(&self.zones[0].to_ne_bytes());
        put(&self.zones[1].to_ne_bytes());
        put(&[self.family.0, self.proto.0, self.shape.0]);
        bytes
    }

    /// Whether both have one original tuple, in the same zones.
    fn has_orig_of(&self, other: &Key) -> bool {
        *self == Key { reply: self.reply, ..*other }
    }

    /// Its hash, for tables that take some bits from either end.
    pub fn hash(&self) -> u64 {
        u64::from(self.hash) << 32 | u64::from(self.hash)
    }
}

/// What a tuple has besides addresses, and in which directions a zone counts: bits of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape(u8);

impl Shape {
    const PORTS: u8 = 1;
    const ICMP: u8 = 2;
    const ZONE: u8 = 4;
    const ORIG_ZONE: u8 = 8;
    const REPLY_ZONE: u8 = 16;
    const BITS: [(u8, Has); 5] = [
        (Shape::PORTS, Has::PORTS),
        (Shape::ICMP, Has::ICMP),
        (Shape::ZONE, Has::ZONE),
        (Shape::ORIG_ZONE, Has::ORIG_ZONE),
        (Shape::REPLY_ZONE, Has::REPLY_ZONE),
    ];

    fn of(has: Has) -> Shape {
        Shape(Shape::BITS.iter().filter(|(_, bit)| has.intersects(*bit)).fold(0, |shape, (bit, _)| shape | bit))
    }

    fn has(self) -> Has {
        Shape::BITS.iter().filter(|(bit, _)| self.0 & bit != 0).fold(Has::empty(), |has, (_, bit)| has | *bit)
    }
}

/// What is known of an entry that is in the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    pub id: u32,
    /// Of what a dump and every event tell of it: [`Hashes::digest`].
    pub digest: u32,
    /// Of what only some events tell: labels and helper.
    pub rare: u32,
    /// The list that had it last.
    pub list: u16,
    /// The kernel has sent an event of it, so that it will say when it goes.
    pub heard: bool,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    key: Key,
    known: Known,
}

/// Keyed hashes: who sends packets chooses tuples.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hashes(RandomState);

impl Hashes {
    /// Who this is. The entry must have both tuples.
    pub fn key(&self, entry: &Entry) -> Key {
        let l4 = |tuple: &Tuple| {
            if entry.has(Has::ICMP) {
                u32::from(tuple.icmp_id) << 16 | u32::from(tuple.icmp_type) << 8 | u32::from(tuple.icmp_code)
            } else {
                u32::from(tuple.sport) << 16 | u32::from(tuple.dport)
            }
        };
        // The kernel has no zones above 16 bits.
        let zone = |zone: u32| zone as u16;
        let (orig, reply) = (&entry.orig, &entry.reply);
        let mirrored = (reply.src, reply.dst, reply.sport, reply.dport) == (orig.dst, orig.src, orig.dport, orig.sport);
        let reply =
            if mirrored && !entry.has(Has::ICMP) { 0 } else { self.0.hash_one((reply.src, reply.dst, l4(reply))) };
        let mut key = Key {
            src: entry.orig.src,
            dst: entry.orig.dst,
            l4: l4(&entry.orig),
            zones: [zone(entry.orig.zone), zone(entry.reply.zone)],
            family: entry.family,
            proto: entry.proto,
            shape: Shape::of(entry.has & if entry.zone == 0 { Has::PORTS | Has::ICMP } else { Has::all() }),
            reply: [(reply >> 32) as u32, reply as u32],
            hash: 0,
        };
        let mut hasher = self.0.build_hasher();
        hasher.write(&key.bytes());
        key.hash = hasher.finish() as u32;
        key
    }

    /// Of what changes and every event and every dump tells: a mark or a zone that is not sent is 0.
    pub fn digest(&self, entry: &Entry) -> u32 {
        let states = u32::from_ne_bytes([entry.tcp_state.0, entry.sctp_state, entry.dccp_state, 0]);
        let values = u128::from(entry.status.bits()) << 64 | u128::from(entry.mark) << 32 | u128::from(states);
        self.0.hash_one(values) as u32
    }

    /// Of labels and helper.
    pub fn rare(&self, entry: &Entry) -> u32 {
        // Hardly any entry has one.
        if entry.labels == [0; 16] && entry.helper[0] == 0 {
            return 0;
        }
        self.0.hash_one((entry.labels, entry.helper)) as u32
    }
}

impl Key {
    /// As an entry that has nothing else, but for its id. The reply tuple is not known any more, but for its zone.
    pub fn entry(&self, id: u32) -> Entry {
        let mut entry = Entry {
            has: Has::ORIG | Has::ID | self.shape.has(),
            id,
            family: self.family,
            proto: self.proto,
            orig: Tuple { src: self.src, dst: self.dst, ..Tuple::EMPTY },
            ..Entry::EMPTY
        };
        let [high, low] = [(self.l4 >> 16) as u16, self.l4 as u16];
        if entry.has(Has::ICMP) {
            let [icmp_type, icmp_code] = low.to_be_bytes();
            (entry.orig.icmp_id, entry.orig.icmp_type, entry.orig.icmp_code) = (high, icmp_type, icmp_code);
        } else {
            (entry.orig.sport, entry.orig.dport) = (high, low);
        }
        [entry.orig.zone, entry.reply.zone] = self.zones.map(u32::from);
        entry.zone = entry.orig.zone.max(entry.reply.zone);
        entry
    }
}

/// The entries, by their keys.
#[derive(Default)]
pub(crate) struct Table {
    numbers: HashTable<u32>,
    chunks: Vec<Vec<Slot>>,
    count: usize,
}

impl Table {
    pub fn len(&self) -> usize {
        self.count
    }

    fn slot(&self, number: usize) -> Option<&Slot> {
        self.chunks.get(number / CHUNK)?.get(number % CHUNK)
    }

    fn slot_mut(&mut self, number: usize) -> Option<&mut Slot> {
        self.chunks.get_mut(number / CHUNK)?.get_mut(number % CHUNK)
    }

    fn number_of(&self, key: &Key) -> Option<usize> {
        let is_it = |number: &u32| self.slot(*number as usize).is_some_and(|slot| slot.key == *key);
        self.numbers.find(key.hash(), is_it).map(|number| *number as usize)
    }

    pub fn get(&self, key: &Key) -> Option<&Known> {
        Some(&self.slot(self.number_of(key)?)?.known)
    }

    pub fn get_mut(&mut self, key: &Key) -> Option<&mut Known> {
        let number = self.number_of(key)?;
        Some(&mut self.slot_mut(number)?.known)
    }

    /// Another one with this original tuple and this id. Only one of them can be alive.
    pub fn other(&self, key: &Key, id: u32) -> Option<Key> {
        let is_it = |number: &u32| {
            let slot = self.slot(*number as usize);
            slot.is_some_and(|slot| slot.known.id == id && slot.key != *key && slot.key.has_orig_of(key))
        };
        let number = self.numbers.find(key.hash(), is_it)?;
        self.slot(*number as usize).map(|slot| slot.key)
    }

    /// The entry at a place from 0 on: a walk goes from the last place to the first, since a removal moves the last one.
    pub fn at(&self, place: usize) -> Option<(&Key, &Known)> {
        self.slot(place).map(|slot| (&slot.key, &slot.known))
    }

    /// Puts an entry in, or replaces what is known of it.
    pub fn put(&mut self, key: Key, known: Known) -> Result<(), Error> {
        if self.count % CHUNK == 0 && self.chunks.len() == self.count / CHUNK {
            let mut chunk = Vec::new();
            chunk.try_reserve_exact(CHUNK).map_err(Error::no_memory)?;
            self.chunks.try_reserve(1).map_err(Error::no_memory)?;
            self.chunks.push(chunk);
        }
        let number = u32::try_from(self.count).map_err(Error::no_memory)?;
        let chunks = &self.chunks;
        let key_at =
            |number: u32| chunks.get(number as usize / CHUNK).and_then(|chunk| chunk.get(number as usize % CHUNK));
        let hash_at = |number: &u32| key_at(*number).map_or(0, |slot| slot.key.hash());
        self.numbers.try_reserve(1, hash_at).map_err(Error::no_memory)?;
        let is_it = |number: &u32| key_at(*number).is_some_and(|slot| slot.key == key);
        match self.numbers.entry(key.hash(), is_it, hash_at) {
            Place::Occupied(place) => {
                let number = *place.get() as usize;
                if let Some(slot) = self.slot_mut(number) {
                    slot.known = known;
                }
            }
            Place::Vacant(place) => {
                place.insert(number);
                self.chunks[self.count / CHUNK].push(Slot { key, known });
                self.count += 1;
            }
        }
        Ok(())
    }

    pub fn remove(&mut self, key: &Key) -> Option<Known> {
        let number = self.number_of(key)?;
        let hash = key.hash();
        if let Ok(place) = self.numbers.find_entry(hash, |at| *at as usize == number) {
            place.remove();
        }
        self.count -= 1;
        let last = self.chunks.get_mut(self.count / CHUNK)?.pop()?;
        if number == self.count {
            self.shrink();
            return Some(last.known);
        }
        if let Some(moved) = self.numbers.find_mut(last.key.hash(), |at| *at as usize == self.count) {
            *moved = number as u32;
        }
        let removed = std::mem::replace(self.slot_mut(number)?, last);
        self.shrink();
        Some(removed.known)
    }

    /// Gives back chunks that are empty, but one: where entries come and go it would be made again.
    fn shrink(&mut self) {
        self.chunks.truncate(self.count / CHUNK + 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::find::is_asked_for;
    use std::collections::HashMap;

    fn entry(n: u32) -> Entry {
        let [_, a, b, c] = n.to_be_bytes();
        let mut entry = Entry::key(Proto::UDP, [10, a, b, c].into(), 4000, [192, 0, 2, 1].into(), 53).unwrap();
        entry.has |= Has::REPLY;
        entry.reply = Tuple { src: entry.orig.dst, dst: entry.orig.src, sport: 53, dport: 4000, ..Tuple::EMPTY };
        entry
    }

    #[test]
    fn who_asks_for_a_key_means_the_entry_that_it_is_of_whatever_zones_it_has() {
        let hashes = Hashes::default();
        for (zone_kind, [orig, reply]) in
            [(Has::empty(), [0, 0]), (Has::ZONE, [5, 5]), (Has::ORIG_ZONE, [7, 0]), (Has::REPLY_ZONE, [0, 9])]
        {
            let mut entry = Entry { id: 4711, zone: orig.max(reply), ..entry(1) };
            entry.has |= zone_kind | Has::ID;
            (entry.orig.zone, entry.reply.zone) = (orig, reply);
            let asked = hashes.key(&entry).entry(entry.id);
            assert!(is_asked_for(&asked, &entry, false), "{asked:?}");
            let other = Entry { has: (entry.has - zone_kind) | Has::ZONE, zone: 11, ..entry };
            assert!(!is_asked_for(&asked, &other, false), "{asked:?}");
        }
    }

    fn known(id: u32) -> Known {
        Known { id, digest: !id, rare: 0, list: 0, heard: false }
    }

    #[test]
    fn a_slot_has_72_bytes() {
        assert_eq!((size_of::<Slot>(), align_of::<Slot>()), (72, 4));
    }

    #[test]
    fn a_table_holds_what_was_put_into_it_and_not_removed_since_however_many_come_and_go() {
        const STEPS: u32 = if cfg!(miri) { 600 } else { 60_000 };
        let (hashes, seed) = (Hashes::default(), 4711);
        let mut table = Table::default();
        let mut expected = HashMap::new();
        let mut chance: u64 = seed;
        for step in 0..STEPS {
            chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let n = (chance >> 40) as u32 % 5_000;
            let key = hashes.key(&entry(n));
            if chance >> 33 & 7 < if step < STEPS / 2 { 5 } else { 2 } {
                table.put(key, known(step)).unwrap();
                expected.insert(n, step);
            } else {
                assert_eq!(table.remove(&key).map(|known| known.id), expected.remove(&n));
            }
            assert_eq!(table.len(), expected.len());
        }
        for n in 0..5_000 {
            assert_eq!(table.get(&hashes.key(&entry(n))).map(|known| known.id), expected.get(&n).copied());
        }
        let mut walked: Vec<u32> = (0..table.len()).rev().map(|place| table.at(place).unwrap().1.id).collect();
        let mut wanted: Vec<u32> = expected.into_values().collect();
        walked.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(walked, wanted);
        assert!(table.at(table.len()).is_none());
        assert!(table.chunks.len() <= table.len() / CHUNK + 2);
    }

    #[test]
    fn whoever_differs_in_anything_is_somebody_else() {
        let hashes = Hashes::default();
        let one = entry(1);
        let mut others = vec![entry(2), one.in_zone(7), one.in_zone(8)];
        let mut with = |change: &dyn Fn(&mut Entry)| {
            let mut other = one;
            change(&mut other);
            others.push(other);
        };
        with(&|e| e.proto = Proto::TCP);
        with(&|e| e.orig.sport += 1);
        with(&|e| e.orig.dport += 1);
        with(&|e| e.orig.dst[0] += 1);
        with(&|e| e.reply.src[0] += 1);
        with(&|e| e.reply.dst[15] += 1);
        with(&|e| e.reply.sport += 1);
        with(&|e| {
            (e.zone, e.orig.zone) = (7, 7);
            e.has |= Has::ORIG_ZONE;
        });
        with(&|e| {
            (e.zone, e.reply.zone) = (7, 7);
            e.has |= Has::REPLY_ZONE;
        });
        with(&|e| {
            (e.has, e.proto) = ((e.has - Has::PORTS) | Has::ICMP, Proto::ICMP);
            (e.orig.icmp_id, e.orig.icmp_type, e.orig.icmp_code) = (4000, 0, 53);
        });
        let mut keys: Vec<Key> = others.iter().map(|other| hashes.key(other)).collect();
        keys.push(hashes.key(&one));
        for (at, key) in keys.iter().enumerate() {
            assert!(!keys[..at].contains(key), "{at}");
        }
        // What changes makes nobody else.
        let later = Entry { mark: 7, id: 9, status: Status::ASSURED, timeout: 3, ..one };
        assert_eq!(hashes.key(&later), hashes.key(&one));
        // Zone 0, sent or not, is none.
        assert_eq!(hashes.key(&Entry { has: one.has | Has::ZONE, ..one }), hashes.key(&one));
    }

    #[test]
    fn a_key_becomes_an_entry_with_its_original_tuple_zone_and_id() {
        let hashes = Hashes::default();
        let udp = entry(1).in_zone(7);
        let made = hashes.key(&udp).entry(4711);
        assert_eq!((made.orig, made.zone, made.id, made.proto), (udp.orig, 7, 4711, Proto::UDP));
        assert_eq!(made.has, Has::ORIG | Has::PORTS | Has::ZONE | Has::ID);
        let mut icmp = Entry::icmp_key([10, 0, 0, 1].into(), [10, 0, 0, 2].into(), 8, 1, 77).unwrap();
        icmp.has |= Has::REPLY | Has::ORIG_ZONE;
        (icmp.zone, icmp.orig.zone) = (9, 9);
        let made = hashes.key(&icmp).entry(1);
        assert_eq!((made.orig, made.has), (icmp.orig, Has::ORIG | Has::ICMP | Has::ORIG_ZONE | Has::ID));
        let mut reply = entry(1);
        (reply.zone, reply.reply.zone, reply.has) = (9, 9, reply.has | Has::REPLY_ZONE);
        let made = hashes.key(&reply).entry(1);
        assert_eq!((made.zone, made.has), (9, Has::ORIG | Has::PORTS | Has::REPLY_ZONE | Has::ID));
    }
}
