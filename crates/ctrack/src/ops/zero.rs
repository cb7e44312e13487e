//! Counters that are read and begin anew.
//!
//! That cannot be repeated: what a lost reply said is lost. So no request is sent again that may have reached the kernel, and a batch has no
//! more of them than there is room for their replies.

use super::check::{self, Purpose};
use super::change::broken_off;
use super::find::{is_asked_for, Finder, Found};
use super::Outcome;
use crate::error::{Error, Hider, LATER};
use crate::socket::batch::{Replies, Requests};
use crate::socket::link::{About, Link};
use ctnetlink::consts::{message_type, IPCTNL_MSG_CT_NEW};
use ctnetlink::detail::KernelDetail;
use ctnetlink::encode::{put_zero, Name};
use ctnetlink::types::*;
use ctnetlink::{decode_entry, WireError};

/// At most so many in a datagram: more brings nothing.
const MOST: usize = 64;

/// What a reply takes of the receive buffer at most: a page and what belongs to it (6.18: 4,864 bytes with pages of 4 KiB).
const REPLY: usize = 8704;

/// How many replies fit a receive buffer. The last one may go beyond its end (netlink_attachskb()).
fn fitting(room: usize) -> usize {
    mutant!("replies-fit", (room / REPLY).clamp(1, MOST), MOST)
}

/// Reads the given entries and lets their counters begin anew; `taken` hears what was read. `status[i]`: 0 done; that of ESTALE: another
/// entry has its place, was read, and begins anew instead; that of ENOENT: gone; any other negative errno: it failed, and where a reply was
/// lost its counters perhaps begin anew.
pub(crate) fn zero_entries(
    link: &mut Link,
    keys: &[Entry],
    compare_start: bool,
    taken: &mut dyn FnMut(usize, &Entry),
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check::entries(keys, Purpose::Key)?;
    outcome.matched = keys.len() as u64;
    status.fill(-libc::ECANCELED);
    let size = fitting(link.receive_room());
    let mut zeroer = Zeroer::new(compare_start)?;
    for first in (0..keys.len()).step_by(size) {
        let last = keys.len().min(first + size);
        let result = zeroer.batch(link, &keys[first..last]);
        for (index, key) in (first..last).zip(&keys[first..last]) {
            let (code, error) = match &zeroer.answers[index - first] {
                Answer::Entry(entry) => {
                    taken(index, entry);
                    match mutant!("zeroed-compared", is_asked_for(key, entry, compare_start), true) {
                        true => (0, None),
                        false => (libc::ESTALE, Some(Error::Replaced { op: LATER })),
                    }
                }
                Answer::Missing => (libc::ENOENT, None),
                Answer::Hidden(hider) => (libc::ENOTUNIQ, Some(Error::Hidden { op: LATER, hider: *hider })),
                Answer::Refused(errno) => {
                    (*errno, Some(link.refused(About::Caller, *errno, KernelDetail::default())))
                }
                Answer::Unreadable(fault) => (libc::EBADMSG, Some(Error::malformed(*fault))),
                // Without an error each request was answered.
                Answer::None => match &result {
                    Err(error) => (error.errno(), Some(error.clone())),
                    Ok(()) => (libc::EIO, Some(Error::Overrun { op: LATER })),
                },
            };
            status[index] = -code;
            match (code, error) {
                (0, _) => outcome.done += 1,
                (libc::ENOENT, _) => outcome.gone += 1,
                (_, Some(error)) => outcome.fail(1, Some(index), &error),
                (_, None) => outcome.failed += 1,
            }
        }
        if let Err(error) = result {
            return broken_off(first == 0, keys.len() - last, Some(last), error, outcome)
                .inspect_err(|error| status.fill(-error.errno()));
        }
    }
    Ok(())
}

/// What became of a key.
#[derive(Clone, Copy)]
#[allow(clippy::large_enum_variant, reason = "there are never more than a batch of them")]
enum Answer {
    /// Nothing was heard. Its counters perhaps begin anew.
    None,
    /// This entry was read.
    Entry(Entry),
    Missing,
    Hidden(Hider),
    Refused(i32),
    /// A reply came that makes no sense.
    Unreadable(WireError),
}

struct Zeroer {
    requests: Requests,
    finder: Finder,
    /// One for each key of the batch.
    answers: Vec<Answer>,
    /// For which of them each request is.
    targets: Vec<usize>,
}

impl Zeroer {
    fn new(compare_start: bool) -> Result<Zeroer, Error> {
        let (mut answers, mut targets) = (Vec::new(), Vec::new());
        answers.try_reserve_exact(MOST).map_err(Error::no_memory)?;
        targets.try_reserve_exact(MOST).map_err(Error::no_memory)?;
        Ok(Zeroer { requests: Requests::for_precious_data(), finder: Finder::new(compare_start), answers, targets })
    }

    fn batch(&mut self, link: &mut Link, keys: &[Entry]) -> Result<(), Error> {
        self.answers.clear();
        self.answers.resize(keys.len(), Answer::None);
        // Where a name may lead to another entry, the one that leads to this one is looked for first.
        let open = |at: usize| mutant!("zeroed-by-the-right-name", !names_one(&keys[at]), false);
        let mut searched = false;
        if (0..keys.len()).any(open) {
            self.finder.find(link, keys, open, false)?;
            searched = true;
        }
        let mut names = [Name::ORIG; MOST];
        for (at, key) in keys.iter().enumerate() {
            names[at] = match self.finder.found.get(at).filter(|_| searched && open(at)) {
                Some(Found::Entry(_, name)) => *name,
                Some(Found::Missing) => {
                    self.answers[at] = Answer::Missing;
                    continue;
                }
                Some(Found::Hidden(hider)) => {
                    self.answers[at] = Answer::Hidden(*hider);
                    continue;
                }
                Some(Found::Refused(errno)) => {
                    self.answers[at] = Answer::Refused(*errno);
                    continue;
                }
                None => Name::first_of(key),
            };
        }
        // What was not found can be asked for once more: a look-up that runs while the table is resized can miss an entry that is there,
        // and nothing was done. What was not heard of cannot.
        for _ in 0..2 {
            self.targets.clear();
            self.targets.extend((0..keys.len()).filter(|&at| match self.answers[at] {
                Answer::None => true,
                Answer::Missing => !open(at),
                _ => false,
            }));
            if self.targets.is_empty() {
                break;
            }
            self.requests.clear();
            for &at in &self.targets {
                self.answers[at] = Answer::None;
                self.requests.push(|buffer, seq| put_zero(buffer, seq, &keys[at], names[at]))?;
            }
            let mut answers = Answers { answers: &mut self.answers, targets: &self.targets };
            self.requests.exchange(link, 0, self.targets.len(), &mut answers)?;
            if self.answers.iter().any(|answer| matches!(answer, Answer::None)) {
                // Acknowledged, and not answered: its reply is lost.
                return Err(Error::Overrun { op: LATER });
            }
        }
        Ok(())
    }
}

/// Whether the first name of a key leads to no entry of another zone.
fn names_one(key: &Entry) -> bool {
    !key.has.intersects(Has::ORIG_ZONE | Has::REPLY_ZONE)
}

struct Answers<'a> {
    answers: &'a mut [Answer],
    targets: &'a [usize],
}

impl Answers<'_> {
    fn set(&mut self, index: usize, answer: Answer) {
        if let Some(place) = self.targets.get(index).and_then(|&at| self.answers.get_mut(at)) {
            *place = answer;
        }
    }
}

impl Replies for Answers<'_> {
    fn failed(&mut self, index: usize, errno: i32, _: KernelDetail) {
        self.set(index, if errno == libc::ENOENT { Answer::Missing } else { Answer::Refused(errno) });
    }

    fn data(&mut self, index: usize, kind: u16, payload: &[u8]) -> Result<(), WireError> {
        if kind == message_type(IPCTNL_MSG_CT_NEW) {
            let mut entry = Entry::EMPTY;
            let read = decode_entry(payload, &mut entry);
            // An error would end the batch, and the others' replies be lost.
            self.set(index, read.map_or_else(Answer::Unreadable, |()| Answer::Entry(entry)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_no_more_requests_than_there_is_room_for_their_replies_and_always_one() {
        assert_eq!([0, REPLY, 10 * REPLY + 1, usize::MAX].map(fitting), [1, 1, 10, MOST]);
    }
}
