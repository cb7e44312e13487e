//! Expectations: listed, looked up, made, deleted.
//!
//! The kernel keeps an expectation in the zone of its master, wants that zone with every request, and never sends it. What was listed has
//! none, then; where it matters the masters are asked, one by one ([`with_zones`]).

use super::change::broken_off;
use super::select::{for_each, Visitor};
use super::Outcome;
use crate::error::{text, Error};
use crate::selection::Selection;
use crate::socket::batch::{refusal, Replies, Requests, BATCH, GET_BATCH};
use crate::socket::dump::{failed, Dump};
use crate::socket::link::{About, Link};
use ctnetlink::buffer::Buffer;
use ctnetlink::consts::{expect_type, IPCTNL_MSG_EXP_NEW};
use ctnetlink::detail::KernelDetail;
use ctnetlink::encode::FlushEverything;
use ctnetlink::expect::*;
use ctnetlink::types::*;
use ctnetlink::WireError;

/// How often a list that is disturbed is tried.
const TRIES: u32 = 4;

/// Appends the expectations that are like one of these; all of them if there is none.
///
/// With a master in `like` only that one's are asked for, and its zone is known. With `zones` the masters of all are looked for.
pub(crate) fn list(
    link: &mut Link,
    like: &[Expectation],
    zones: bool,
    expectations: &mut Vec<Expectation>,
) -> Result<(), Error> {
    check_all("like", like, Purpose::Like)?;
    let start = expectations.len();
    let by_master = !like.is_empty() && like.iter().all(|one| one.has(ExpectHas::MASTER | ExpectHas::ZONE));
    let wants_zones = zones || like.iter().any(|one| one.has(ExpectHas::ZONE));
    let mut tries = 1;
    loop {
        let result = if by_master {
            of_masters(link, &mut like.iter().map(Expectation::master_key), like, expectations, start)
        } else if wants_zones {
            with_zones(link, like, expectations, start)
        } else {
            dump(link, &|buffer, seq| put_dump(buffer, seq, Family::UNSPEC), &|_| {}, like, expectations)
        };
        match result {
            Err(error) if error.is_transient() && tries < TRIES => {
                expectations.truncate(start);
                tries += 1;
            }
            Err(Error::Interrupted { op, .. }) => return Err(Error::Interrupted { op, tries }),
            result => return result,
        }
    }
}

/// All of them, each with its zone: those of each entry that has a helper.
fn with_zones(
    link: &mut Link,
    like: &[Expectation],
    expectations: &mut Vec<Expectation>,
    start: usize,
) -> Result<(), Error> {
    struct Masters(Vec<Entry>);
    impl Visitor for Masters {
        fn restart(&mut self) {
            self.0.clear();
        }

        fn visit(&mut self, entry: &Entry) -> Result<(), Error> {
            if entry.has(Has::HELPER) {
                self.0.try_reserve(1).map_err(Error::no_memory)?;
                self.0.push(*entry);
            }
            Ok(())
        }
    }
    let mut masters = Masters(Vec::new());
    for_each(link, &Selection::default(), &mut masters)?;
    of_masters(link, &mut masters.0.into_iter(), like, expectations, start)
}

/// Those of these masters, each once. A master that is gone has none.
fn of_masters(
    link: &mut Link,
    masters: &mut dyn Iterator<Item = Entry>,
    like: &[Expectation],
    expectations: &mut Vec<Expectation>,
    start: usize,
) -> Result<(), Error> {
    for master in masters {
        let Some(of) = Expectation::of(&master) else { continue };
        let keep_zone = |e: &mut Expectation| {
            (e.zone, e.has) = (of.zone, e.has | ExpectHas::ZONE);
        };
        let put = |buffer: &mut Buffer, seq| put_dump_of(buffer, seq, &of);
        match dump(link, &put, &keep_zone, like, expectations) {
            Ok(()) => {}
            // The master is gone, and with it what it expected.
            Err(Error::Kernel { errno: libc::ENOENT, .. }) => {}
            Err(error) => return Err(error),
        }
    }
    // Two patterns may name one master.
    let mut at = start;
    while at < expectations.len() {
        let same = |e: &Expectation| (e.id, e.zone, e.family, e.tuple) == {
            let one = &expectations[at];
            (one.id, one.zone, one.family, one.tuple)
        };
        if expectations[start..at].iter().any(same) {
            expectations.swap_remove(at);
        } else {
            at += 1;
        }
    }
    Ok(())
}

fn dump(
    link: &mut Link,
    put: &dyn Fn(&mut Buffer, u32),
    complete: &dyn Fn(&mut Expectation),
    like: &[Expectation],
    expectations: &mut Vec<Expectation>,
) -> Result<(), Error> {
    let mut dump = Dump::start(link, [expect_type(IPCTNL_MSG_EXP_NEW); 2], put)?.or_ack();
    let mut one = Expectation::EMPTY;
    while let Some(payload) = dump.next(link)? {
        let kept = decode_expectation(payload, &mut one).map_err(Error::malformed).and_then(|()| {
            complete(&mut one);
            if like.is_empty() || like.iter().any(|like| is_like(like, &one)) {
                expectations.try_reserve(1).map_err(Error::no_memory)?;
                expectations.push(one);
            }
            Ok(())
        });
        kept.map_err(|error| failed(link, error))?;
    }
    Ok(())
}

/// Whether an expectation has all that is announced of this one.
fn is_like(like: &Expectation, e: &Expectation) -> bool {
    let all = |bit: ExpectHas, same: bool| !like.has(bit) || e.has(bit) && same;
    (like.family == Family::UNSPEC || like.family == e.family)
        && all(ExpectHas::TUPLE, like.proto == e.proto && like.tuple == e.tuple)
        && all(ExpectHas::MASK, like.mask == e.mask)
        && all(ExpectHas::MASTER, like.master_proto == e.master_proto && like.master == e.master)
        && all(ExpectHas::ID, like.id == e.id)
        && all(ExpectHas::HELPER, like.helper == e.helper)
        && all(ExpectHas::ZONE, like.zone == e.zone)
        && all(ExpectHas::FLAGS, like.flags == e.flags)
        && all(ExpectHas::CLASS, like.class == e.class)
        && all(ExpectHas::NAT, like.nat_dir == e.nat_dir && like.nat == e.nat)
        && all(ExpectHas::FUNCTION, like.function == e.function)
}

/// What one is wanted for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Like,
    Key,
    Create,
}

fn check_all(name: &'static str, all: &[Expectation], purpose: Purpose) -> Result<(), Error> {
    for (index, one) in all.iter().enumerate() {
        check(one, purpose).map_err(|(field, reason)| {
            let place = match field {
                "" => text(name, format_args!("{name}[{index}]")),
                field => text(name, format_args!("{name}[{index}].{field}")),
            };
            Error::invalid(place, reason)
        })?;
    }
    Ok(())
}

fn check(e: &Expectation, purpose: Purpose) -> Result<(), (&'static str, &'static str)> {
    if mutant!("unknown-expect-bits", !e.has.difference(ExpectHas::KNOWN).is_empty(), false) {
        return Err(("", "announces fields that this release does not know"));
    }
    if e.pad0 != [0; 5] || e.reserved != [0; 7] {
        return Err(("reserved", "is not zero"));
    }
    if let Some(field) = unannounced(e) {
        return Err((field, "is set, but not announced"));
    }
    let is_family = e.family == Family::IPV4 || e.family == Family::IPV6;
    let wants_family = e.has.intersects(ExpectHas::TUPLE | ExpectHas::MASTER | ExpectHas::NAT | ExpectHas::MASK);
    if !is_family && (wants_family || purpose != Purpose::Like || e.family != Family::UNSPEC) {
        return Err(("family", "is neither IPv4 nor IPv6"));
    }
    if e.family == Family::IPV4 {
        for (tuple, name) in [(&e.tuple, "tuple"), (&e.master, "master"), (&e.nat, "nat"), (&e.mask, "mask")] {
            if tuple.src[4..] != [0; 12] || tuple.dst[4..] != [0; 12] {
                return Err((name, "an IPv4 address has only 4 bytes, the others must be zero"));
            }
        }
    }
    if e.zone > u32::from(u16::MAX) {
        return Err(("zone", "is larger than 65535"));
    }
    if !e.helper.contains(&0) || !e.function.contains(&0) {
        return Err(("helper", "a name is not ended by a NUL"));
    }
    if e.has(ExpectHas::PORTS) && e.has(ExpectHas::TUPLE) && !e.proto.has_ports() {
        return Err(("proto", "is one without ports, and ports are announced"));
    }
    if purpose == Purpose::Like {
        return Ok(());
    }
    if !e.has(ExpectHas::TUPLE) {
        // Without it all expectations would be meant.
        return Err(("tuple", "is not announced: nothing says which expectation"));
    }
    if matches!(e.proto, Proto::TCP | Proto::UDP) && !e.has(ExpectHas::PORTS) {
        return Err(("proto", "TCP and UDP need ports, and none are announced"));
    }
    if purpose == Purpose::Create {
        if !e.has(ExpectHas::MASK) {
            return Err(("mask", "is not announced: nothing says what of the tuple counts"));
        }
        if !e.has(ExpectHas::MASTER) {
            return Err(("master", "is not announced: nothing says whose helper expects"));
        }
        if e.has(ExpectHas::FLAGS) && !e.flags.difference(ExpectFlags::PERMANENT | ExpectFlags::INACTIVE).is_empty() {
            return Err(("flags", "has bits that the kernel drops"));
        }
        if e.nat.dst != [0; 16] || e.nat.dport != 0 {
            return Err(("nat", "has a destination, and the kernel keeps a source alone"));
        }
        if e.has(ExpectHas::TIMEOUT) && e.timeout == 0 {
            return Err(("timeout", "is 0"));
        }
    }
    Ok(())
}

/// A field that is set and would silently not count.
fn unannounced(e: &Expectation) -> Option<&'static str> {
    let ports = |tuple: &Tuple| (tuple.sport, tuple.dport) != (0, 0);
    let rest = |tuple: &Tuple| Tuple { sport: 0, dport: 0, ..*tuple } != Tuple::EMPTY;
    let own = e.has(ExpectHas::PORTS);
    let fields = [
        ("tuple", rest(&e.tuple) || e.proto != Proto(0), e.has(ExpectHas::TUPLE)),
        ("tuple.sport", ports(&e.tuple), own),
        ("mask", rest(&e.mask), e.has(ExpectHas::MASK)),
        ("mask.sport", ports(&e.mask), own),
        ("master", rest(&e.master) || e.master_proto != Proto(0), e.has(ExpectHas::MASTER)),
        ("master.sport", ports(&e.master), e.has(ExpectHas::MASTER_PORTS)),
        ("nat", rest(&e.nat) || e.nat_dir != 0, e.has(ExpectHas::NAT)),
        ("nat.sport", ports(&e.nat), own),
        ("id", e.id != 0, e.has(ExpectHas::ID)),
        ("timeout", e.timeout != 0, e.has(ExpectHas::TIMEOUT)),
        ("flags", !e.flags.is_empty(), e.has(ExpectHas::FLAGS)),
        ("class", e.class != 0, e.has(ExpectHas::CLASS)),
        ("zone", e.zone != 0, e.has(ExpectHas::ZONE)),
        ("helper", e.helper != [0; 16], e.has(ExpectHas::HELPER)),
        ("function", e.function != [0; 32], e.has(ExpectHas::FUNCTION)),
    ];
    fields.iter().find(|(_, is_set, announced)| *is_set && !*announced).map(|(name, ..)| *name)
}

/// The expectation that the key identifies: by its tuple and zone, and its id if it has one. `None`: it is not there.
pub(crate) fn get(link: &mut Link, key: &Expectation) -> Result<Option<Expectation>, Error> {
    check_all("key", std::slice::from_ref(key), Purpose::Key)?;
    let mut answers = [Answer::None; 1];
    ask(link, std::slice::from_ref(key), &mut answers)?;
    match answers[0] {
        Answer::Found(found) if found.tuple == key.tuple && (!key.has(ExpectHas::ID) || found.id == key.id) => {
            Ok(Some(Expectation { zone: key.zone, has: found.has | ExpectHas::ZONE, ..found }))
        }
        Answer::Found(_) | Answer::None => Ok(None),
        Answer::Refused(errno) => Err(link.refused(About::Caller, errno, KernelDetail::default())),
        Answer::Unreadable(fault) => Err(Error::malformed(fault)),
    }
}

#[derive(Clone, Copy)]
#[allow(clippy::large_enum_variant, reason = "there are never more than a batch of them")]
enum Answer {
    None,
    Found(Expectation),
    Refused(i32),
    Unreadable(WireError),
}

struct Answers<'a>(&'a mut [Answer]);

impl Replies for Answers<'_> {
    fn failed(&mut self, index: usize, errno: i32, _: KernelDetail) {
        if let (Some(answer), true) = (self.0.get_mut(index), errno != libc::ENOENT) {
            *answer = Answer::Refused(errno);
        }
    }

    fn data(&mut self, index: usize, kind: u16, payload: &[u8]) -> Result<(), WireError> {
        if let (Some(answer), true) = (self.0.get_mut(index), kind == expect_type(IPCTNL_MSG_EXP_NEW)) {
            let mut found = Expectation::EMPTY;
            *answer = match decode_expectation(payload, &mut found) {
                Ok(()) => Answer::Found(found),
                Err(fault) => Answer::Unreadable(fault),
            };
        }
        Ok(())
    }
}

/// Up to [`GET_BATCH`] look-ups.
fn ask(link: &mut Link, keys: &[Expectation], answers: &mut [Answer]) -> Result<(), Error> {
    debug_assert!(keys.len() <= GET_BATCH);
    let mut requests = Requests::new();
    for key in keys {
        requests.push(|buffer, seq| put_get(buffer, seq, key))?;
    }
    requests.exchange(link, 0, keys.len(), &mut Answers(answers))
}

/// What is done to given expectations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verb {
    Create,
    /// What only an update sets.
    Complete,
    Delete,
}

struct Statuses<'a> {
    status: &'a mut [i32],
    sent: &'a [usize],
    detail: &'a mut Option<(usize, KernelDetail)>,
}

impl Replies for Statuses<'_> {
    fn failed(&mut self, index: usize, errno: i32, detail: KernelDetail) {
        let Some(&at) = self.sent.get(index) else { return };
        if let Some(status) = self.status.get_mut(at) {
            *status = -errno.saturating_abs().max(1);
            if self.detail.is_none() {
                *self.detail = Some((at, detail));
            }
        }
    }
}

/// Sends one request for each of `sent`; those that were not refused have the status 0 then.
fn send(
    link: &mut Link,
    verb: Verb,
    chunk: &[Expectation],
    sent: &[usize],
    status: &mut [i32],
    detail: &mut Option<(usize, KernelDetail)>,
) -> Result<(), Error> {
    let mut requests = Requests::new();
    for &at in sent {
        let one = &chunk[at];
        requests.push(|buffer, seq| match verb {
            Verb::Create => put_create(buffer, seq, one),
            Verb::Complete => put_timeout(buffer, seq, one),
            Verb::Delete => put_delete(buffer, seq, one),
        })?;
    }
    if sent.is_empty() {
        return Ok(());
    }
    let result = requests.exchange(link, 0, sent.len(), &mut Statuses { status, sent, detail });
    for &at in sent {
        if status[at] == PENDING {
            status[at] = result.as_ref().err().map_or(0, |error| -error.errno());
        }
    }
    result
}

/// Of one that was sent and has no answer yet.
const PENDING: i32 = 1;

/// Runs a verb over all, chunk by chunk. `status[i]`: 0 done, else a negative errno; that of ENOENT: gone.
fn each_chunk(
    link: &mut Link,
    all: &[Expectation],
    status: &mut [i32],
    outcome: &mut Outcome,
    run: &mut dyn FnMut(&mut Link, &[Expectation], &mut [i32], &mut Option<(usize, KernelDetail)>) -> Result<(), Error>,
    gone: i32,
) -> Result<(), Error> {
    outcome.matched = all.len() as u64;
    status.fill(-libc::ECANCELED);
    for first in (0..all.len()).step_by(BATCH) {
        let last = all.len().min(first + BATCH);
        let (part, mut detail) = (&mut status[first..last], None);
        part.fill(PENDING);
        let result = run(link, &all[first..last], part, &mut detail);
        for (at, status) in part.iter_mut().enumerate() {
            if *status == PENDING {
                *status = result.as_ref().err().map_or(0, |error| -error.errno());
            }
            match *status {
                0 => outcome.done += 1,
                code if code == -gone => outcome.gone += 1,
                code => {
                    let error = match (&result, &mut detail) {
                        (_, Some((place, detail))) if *place == at => {
                            link.refused(About::Entry, -code, std::mem::take(detail))
                        }
                        (Err(error), _) if error.errno() == -code => error.clone(),
                        _ => link.refused(About::Entry, -code, KernelDetail::default()),
                    };
                    outcome.fail(1, Some(first + at), &error);
                }
            }
        }
        if let Err(error) = result {
            return broken_off(first == 0, all.len() - last, Some(last), error, outcome)
                .inspect_err(|error| status.fill(-error.errno()));
        }
    }
    Ok(())
}

/// Makes the given expectations. A timeout, which the kernel ignores in a new one, is set by an update right behind.
pub(crate) fn create(
    link: &mut Link,
    all: &[Expectation],
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check_all("expectation", all, Purpose::Create)?;
    each_chunk(
        link,
        all,
        status,
        outcome,
        &mut |link, chunk, status, detail| {
            let sent: Vec<usize> = indices(chunk, |_| true)?;
            send(link, Verb::Create, chunk, &sent, status, detail)?;
            let timed = indices(chunk, |at| status[at] == 0 && chunk[at].has(ExpectHas::TIMEOUT))?;
            timed.iter().for_each(|&at| status[at] = PENDING);
            send(link, Verb::Complete, chunk, &timed, status, detail)
        },
        0,
    )
}

/// Deletes the given expectations, each only if it is still the one that is meant: same tuple, zone and id.
///
/// Where a listed one has no zone and is not found in zone 0, its zone is looked for.
pub(crate) fn delete(
    link: &mut Link,
    all: &[Expectation],
    status: &mut [i32],
    outcome: &mut Outcome,
) -> Result<(), Error> {
    check_all("expectation", all, Purpose::Key)?;
    each_chunk(
        link,
        all,
        status,
        outcome,
        &mut |link, chunk, status, detail| {
            let sent = indices(chunk, |_| true)?;
            send(link, Verb::Delete, chunk, &sent, status, detail)?;
            let open = |at: usize, status: &[i32]| {
                status[at] == -libc::ENOENT && chunk[at].has(ExpectHas::ID) && !chunk[at].has(ExpectHas::ZONE)
            };
            if !(0..chunk.len()).any(|at| mutant!("zone-looked-for", open(at, status), false)) {
                return Ok(());
            }
            let mut listed = Vec::new();
            list(link, &[], true, &mut listed)?;
            let mut found = Vec::new();
            found.try_reserve_exact(chunk.len()).map_err(Error::no_memory)?;
            found.extend_from_slice(chunk);
            let mut again = Vec::new();
            again.try_reserve_exact(chunk.len()).map_err(Error::no_memory)?;
            for at in (0..chunk.len()).filter(|&at| open(at, status)) {
                let is_it = |e: &&Expectation| e.id == chunk[at].id && e.tuple == chunk[at].tuple && e.family == chunk[at].family;
                if let Some(there) = listed.iter().find(is_it) {
                    found[at] = *there;
                    again.push(at);
                }
            }
            again.iter().for_each(|&at| status[at] = PENDING);
            send(link, Verb::Delete, &found, &again, status, detail)
        },
        libc::ENOENT,
    )
}

fn indices(chunk: &[Expectation], mut wanted: impl FnMut(usize) -> bool) -> Result<Vec<usize>, Error> {
    let mut indices = Vec::new();
    indices.try_reserve_exact(chunk.len()).map_err(Error::no_memory)?;
    indices.extend((0..chunk.len()).filter(|&at| wanted(at)));
    Ok(indices)
}

/// Deletes those that are like one of these: listed, and deleted one by one.
pub(crate) fn flush(link: &mut Link, like: &[Expectation], outcome: &mut Outcome) -> Result<(), Error> {
    check_all("like", like, Purpose::Like)?;
    let selects_all = |one: &Expectation| one.has.is_empty() && one.family == Family::UNSPEC;
    if mutant!("all-by-no-accident", like.is_empty() || like.iter().any(selects_all), false) {
        return Err(Error::invalid("like", "would select every expectation; to delete all of them there is another call"));
    }
    let mut listed = Vec::new();
    list(link, like, true, &mut listed)?;
    let mut status = Vec::new();
    status.try_reserve_exact(listed.len()).map_err(Error::no_memory)?;
    status.resize(listed.len(), 0);
    delete(link, &listed, &mut status, outcome)?;
    // They were selected, and not given.
    outcome.first_failed = None;
    Ok(())
}

/// Deletes every expectation of the network namespace.
pub(crate) fn flush_all(link: &mut Link) -> Result<(), Error> {
    match refusal(link, &|buffer, seq| put_flush_all(buffer, seq, FlushEverything))? {
        None => Ok(()),
        Some((errno, detail)) => Err(link.refused(About::Caller, errno, detail)),
    }
}
