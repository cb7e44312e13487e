//! Who went a short while ago: the kernel may still say of them that they came.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

/// How much later than a DESTROY the NEW or UPDATE of the same entry may be queued: both are sent while a packet is processed, which
/// takes microseconds, and milliseconds where a virtual processor is not run.
pub(crate) const LATE: Duration = Duration::from_secs(2);

/// More are not kept.
const MOST: usize = 65_536;

/// Of what is hashed with a key already.
#[derive(Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32(u32::from(*byte)));
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = self.0.rotate_left(32) ^ u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 ^= hash;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Who went, and when that was read.
#[derive(Default)]
pub(crate) struct Tombstones {
    /// The hash of a key with the id, and how many in the row are theirs.
    graves: HashMap<(u64, u32), u32, BuildHasherDefault<Hashed>>,
    row: VecDeque<(u64, u32, Duration)>,
}

impl Tombstones {
    pub fn has(&self, hash: u64, id: u32) -> bool {
        self.graves.contains_key(&(hash, id))
    }

    /// `false`: there was no room, or no memory, so that somebody is not remembered.
    #[must_use]
    pub fn add(&mut self, hash: u64, id: u32, now: Duration) -> bool {
        let mut all_kept = true;
        if self.row.len() >= MOST {
            self.remove_first();
            all_kept = false;
        }
        if self.graves.try_reserve(1).is_err() || self.row.try_reserve(1).is_err() {
            return false;
        }
        *self.graves.entry((hash, id)).or_default() += 1;
        self.row.push_back((hash, id, now));
        all_kept
    }

    /// The queue was read empty: of those who were read of before that, nothing can be late any more.
    pub fn forget(&mut self, now: Duration) {
        while self.row.front().is_some_and(|(_, _, read)| now.saturating_sub(*read) >= LATE) {
            self.remove_first();
        }
    }

    fn remove_first(&mut self) {
        let Some((hash, id, _)) = self.row.pop_front() else { return };
        if let Some(count) = self.graves.get_mut(&(hash, id)) {
            *count -= 1;
            if *count == 0 {
                self.graves.remove(&(hash, id));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn who_went_is_remembered_until_the_queue_was_empty_two_seconds_later() {
        let mut tombstones = Tombstones::default();
        assert!(tombstones.add(1, 7, at(0)));
        assert!(tombstones.add(1, 7, at(1500)));
        tombstones.forget(at(1999));
        assert!(tombstones.has(1, 7) && !tombstones.has(1, 8) && !tombstones.has(2, 7));
        tombstones.forget(at(2000));
        assert!(tombstones.has(1, 7), "went again");
        tombstones.forget(at(3499));
        assert!(tombstones.has(1, 7));
        tombstones.forget(at(3500));
        assert!(!tombstones.has(1, 7));
        assert!(tombstones.graves.is_empty() && tombstones.row.is_empty());
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes long")]
    fn who_finds_no_room_takes_that_of_the_oldest_and_it_is_said() {
        let mut tombstones = Tombstones::default();
        for id in 0..MOST as u32 {
            assert!(tombstones.add(1, id, at(0)));
        }
        assert!(!tombstones.add(1, u32::MAX, at(0)));
        assert!(!tombstones.has(1, 0) && tombstones.has(1, 1) && tombstones.has(1, u32::MAX));
        assert_eq!(tombstones.row.len(), MOST);
    }
}
