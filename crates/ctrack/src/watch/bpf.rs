//! What the kernel sorts out before it queues an event: filters as a classic BPF program. Pure: no I/O.
//!
//! What passes is compared in full by user space, so a program may let through too much, but never too little. Values are found by the
//! types of their attributes, as the decoder finds them, and what is missing is 0, as it is in an [`Entry`]. So it does not matter
//! where an attribute is, or which ones an event leaves out.
//!
//! ```text
//! is no event of an entry: pass
//! store all values that are tested
//! an excluding filter matches: drop                          (one that can be tested in full)
//! what all including filters ask for does not hold: drop
//! what else an including filter asks for holds: pass         (for each)
//! drop
//! ```

use crate::selection::matcher::{Matcher, Net};
use crate::selection::Selection;
use crate::sort::sort;
use ctnetlink::consts::*;
use ctnetlink::types::*;
use libc::sock_filter as Instruction;
use std::collections::TryReserveError;

// linux/bpf_common.h and linux/filter.h
const LD_W_ABS: u16 = 0x20;
const LD_H_ABS: u16 = 0x28;
const LD_B_ABS: u16 = 0x30;
const LD_W_IND: u16 = 0x40;
const LD_H_IND: u16 = 0x48;
const LD_B_IND: u16 = 0x50;
const LD_IMM: u16 = 0x00;
const LD_MEM: u16 = 0x60;
const LDX_IMM: u16 = 0x01;
const ST: u16 = 0x02;
const AND_K: u16 = 0x54;
const JA: u16 = 0x05;
const JEQ_K: u16 = 0x15;
const JGT_K: u16 = 0x25;
const JGE_K: u16 = 0x35;
const RET_K: u16 = 0x06;
const TAX: u16 = 0x07;
const MEMWORDS: usize = 16;
const SKF_AD_OFF: u32 = -0x1000_i32 as u32;
/// The attribute of type X from offset A on, and that within the attribute at A: A is its offset, or 0.
const SKF_AD_NLATTR: u32 = SKF_AD_OFF + 12;
const SKF_AD_NLATTR_NEST: u32 = SKF_AD_OFF + 16;

/// All of the message passes.
const PASS: Instruction = Instruction { code: RET_K, jt: 0, jf: 0, k: u32::MAX };
const DROP: Instruction = Instruction { code: RET_K, jt: 0, jf: 0, k: 0 };
/// The first four bytes of an attribute are its header.
const HEADER: u32 = 4;
const ATTRIBUTES: u32 = (NLMSG_HEADER_LEN + NFGENMSG_LEN) as u32;

/// Of more filters only what they have in common is tested. No program could have a test for each.
const MOST_FILTERS: usize = 16_384;

/// So many values are compared one by one.
const FEW: usize = 16;

/// A value of an event. Those that tell most come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    /// An IPv4 address, by its place in [`Matcher::nets`].
    V4(u16),
    /// A word of an IPv6 address, and which.
    V6(u16, u32),
    Zone,
    OrigZone,
    ReplyZone,
    /// By its place in [`Matcher::ports`].
    Port(u16),
    IcmpId,
    IcmpType,
    IcmpCode,
    Proto,
    Id,
    Mark,
    Status,
    Family,
}

/// Types of attributes, each within the one before. 0: no more.
type Place = [u16; 3];

impl Field {
    /// Where the value may be: in the first of these that is there.
    fn places(self) -> [Place; 3] {
        const ZONE: Place = [CTA_ZONE, 0, 0];
        const ORIG_ZONE: Place = [CTA_TUPLE_ORIG, CTA_TUPLE_ZONE, 0];
        const REPLY_ZONE: Place = [CTA_TUPLE_REPLY, CTA_TUPLE_ZONE, 0];
        const NONE: Place = [0; 3];
        let one = |place| [place, NONE, NONE];
        let tuple = |role| if role < 2 { CTA_TUPLE_ORIG } else { CTA_TUPLE_REPLY };
        let proto = |kind| [CTA_TUPLE_ORIG, CTA_TUPLE_PROTO, kind];
        match self {
            // The destination's number follows that of the source.
            Field::V4(role) => one([tuple(role), CTA_TUPLE_IP, CTA_IP_V4_SRC + role % 2]),
            Field::V6(role, _) => one([tuple(role), CTA_TUPLE_IP, CTA_IP_V6_SRC + role % 2]),
            Field::Port(role) => one([tuple(role), CTA_TUPLE_PROTO, CTA_PROTO_SRC_PORT + role % 2]),
            // An entry has one zone at most, for both directions or for one.
            Field::Zone => [ZONE, mutant!("bpf-zone-of-one-direction", ORIG_ZONE, NONE), REPLY_ZONE],
            Field::OrigZone => [ZONE, ORIG_ZONE, NONE],
            Field::ReplyZone => [ZONE, REPLY_ZONE, NONE],
            Field::IcmpId => [proto(CTA_PROTO_ICMP_ID), proto(CTA_PROTO_ICMPV6_ID), NONE],
            Field::IcmpType => [proto(CTA_PROTO_ICMP_TYPE), proto(CTA_PROTO_ICMPV6_TYPE), NONE],
            Field::IcmpCode => [proto(CTA_PROTO_ICMP_CODE), proto(CTA_PROTO_ICMPV6_CODE), NONE],
            Field::Proto => one(proto(CTA_PROTO_NUM)),
            Field::Id => one([CTA_ID, 0, 0]),
            Field::Mark => one([CTA_MARK, 0, 0]),
            Field::Status => one([CTA_STATUS, 0, 0]),
            Field::Family => one(NONE),
        }
    }

    /// The load of it from the attribute at X.
    fn load(self) -> Instruction {
        match self {
            Field::V6(_, word) => simple(LD_W_IND, HEADER + 4 * word),
            Field::V4(_) | Field::Id | Field::Mark | Field::Status => simple(LD_W_IND, HEADER),
            Field::Zone | Field::OrigZone | Field::ReplyZone | Field::Port(_) | Field::IcmpId => {
                simple(LD_H_IND, HEADER)
            }
            Field::Proto | Field::IcmpType | Field::IcmpCode | Field::Family => simple(LD_B_IND, HEADER),
        }
    }
}

/// A field's bits in the mask are a number from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Test {
    field: Field,
    first: u32,
    last: u32,
    mask: u32,
}

impl Test {
    /// The field is one number and no other.
    fn is_one(&self) -> bool {
        self.mask == u32::MAX && self.first == self.last
    }

    /// The largest value of the field for which it holds. None is smaller than `first`.
    fn end(&self) -> u32 {
        self.last | !self.mask
    }
}

/// Tests that must all hold, the most telling ones first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Tests {
    tests: [Test; Tests::MOST],
    count: usize,
}

impl Tests {
    /// Four addresses of four words, four ports, three zones, three fields of ICMP, and five others.
    const MOST: usize = 31;

    const NONE: Tests =
        Tests { tests: [Test { field: Field::Family, first: 0, last: 0, mask: 0 }; Tests::MOST], count: 0 };

    fn all(&self) -> &[Test] {
        self.tests.get(..self.count).unwrap_or(&[])
    }

    fn push(&mut self, test: Test) {
        if let Some(place) = self.tests.get_mut(self.count) {
            *place = test;
            self.count += 1;
        }
    }

    fn range(&mut self, field: Field, first: u32, last: u32) {
        self.push(Test { field, mask: u32::MAX, first, last });
    }

    fn equals(&mut self, field: Field, value: Option<u32>) {
        if let Some(value) = value {
            self.range(field, value, value);
        }
    }

    fn masked(&mut self, field: Field, (value, mask): (u32, u32)) {
        if mask != 0 {
            self.push(Test { field, mask, first: value, last: value });
        }
    }

    /// The last word first: addresses mostly begin alike.
    fn net(&mut self, role: u16, net: Net, v6: bool) {
        let word = |number: u128, word: u32| (number >> (96 - 32 * word)) as u32;
        if !v6 {
            return self.masked(Field::V4(role), (word(net.value, 0), word(net.mask, 0)));
        }
        for at in (0..4).rev() {
            self.masked(Field::V6(role, at), (word(net.value, at), word(net.mask, at)));
        }
    }

    /// What a filter asks for, but for what is not tested. With `sync` that is all that changes while an entry lives: when it is
    /// selected no more, that is to be told.
    fn of(matcher: &Matcher, sync: bool) -> Tests {
        let mut tests = Tests::NONE;
        let v6 = matcher.family == Some(Family::IPV6);
        for (role, net) in (0..).zip(&matcher.nets) {
            if let Some(net) = net {
                tests.net(role, *net, v6);
            }
        }
        tests.equals(Field::Zone, matcher.zone);
        tests.equals(Field::OrigZone, matcher.zones[0]);
        tests.equals(Field::ReplyZone, matcher.zones[1]);
        for (role, ports) in (0..).zip(matcher.ports) {
            if let Some((first, last)) = ports {
                tests.range(Field::Port(role), first.into(), last.into());
            }
        }
        let (icmp_type, icmp_code, icmp_id) = matcher.icmp;
        tests.equals(Field::IcmpId, icmp_id.map(u32::from));
        tests.equals(Field::IcmpType, icmp_type.map(u32::from));
        tests.equals(Field::IcmpCode, icmp_code.map(u32::from));
        tests.equals(Field::Proto, matcher.proto.map(|proto| proto.0.into()));
        if mutant!("bpf-changes-with-a-list", !sync, true) {
            tests.equals(Field::Id, matcher.id);
            tests.masked(Field::Mark, matcher.mark);
            tests.masked(Field::Status, matcher.status);
        }
        // Those of the other family have no such address, but for 0.
        if matcher.nets.iter().flatten().all(|net| net.value == 0) {
            tests.equals(Field::Family, matcher.family.map(|family| family.0.into()));
        }
        tests
    }

    /// The tests of an excluding filter that hold only if it matches. `None`: tests cannot say that.
    fn exactly(matcher: &Matcher, sync: bool) -> Option<Tests> {
        // All are named: the compiler asks for each new one. Those without a name here are always tested.
        let Matcher {
            needs,
            id,
            mark,
            status,
            tcp_states,
            labels,
            helper,
            family: _,
            proto: _,
            zone: _,
            zones: _,
            nets: _,
            ports: _,
            icmp: _,
            rest: _,
        } = matcher;
        let tests = Tests::of(matcher, sync);
        let untested = tcp_states.is_some() || labels.1 != 0 || helper.is_some();
        let changes = sync && (id.is_some() || mark.1 != 0 || status.1 != 0);
        // 0 may be the value of what is not there, and that is no port.
        let has_it = |fields: &[Field]| tests.all().iter().any(|test| fields.contains(&test.field) && test.first > 0);
        let ports = [0, 1, 2, 3].map(Field::Port);
        let icmp = [Field::IcmpId, Field::IcmpType, Field::IcmpCode];
        let there = [(Has::PORTS, &ports[..]), (Has::ICMP, &icmp), (Has::ID, &[Field::Id])]
            .iter()
            .all(|(bit, fields)| !needs.intersects(*bit) || has_it(fields));
        (!untested && !changes && tests.count > 0 && mutant!("bpf-excludes-what-is-there", there, true))
            .then_some(tests)
    }

    /// Those that the other has not.
    fn without(&self, other: &Tests) -> Tests {
        self.only(|test| !other.all().contains(test))
    }

    fn only(&self, keep: impl Fn(&Test) -> bool) -> Tests {
        let mut left = Tests::NONE;
        self.all().iter().filter(|test| keep(test)).for_each(|test| left.push(*test));
        left
    }

    /// The first ones.
    fn first(&self, most: usize) -> Tests {
        let mut left = Tests::NONE;
        self.all().iter().take(most).for_each(|test| left.push(*test));
        left
    }
}

/// A program of at most so many instructions that drops what no filter selects, or some of it. `None`: there is nothing that it
/// could drop. `sync`: events tell what an entry became, so that only what it stays is tested.
pub(crate) fn program(
    selection: &Selection,
    sync: bool,
    most: usize,
) -> Result<Option<Vec<Instruction>>, TryReserveError> {
    let include = selection.include();
    let common = common(include, sync);
    let exclude = excluding(selection.exclude(), sync)?;
    // What does not fit is made shorter: first the filters, then what they have in common.
    for tests in [Tests::MOST, 4, 2, 1, 0] {
        let others = others(include, &common, tests, sync)?;
        for exclude in [&exclude[..], &[]] {
            if let Some(program) = Assembler::assemble(exclude, &common, &others, most)? {
                return Ok(Some(program));
            }
        }
    }
    for tests in [4, 2, 1] {
        if let Some(program) = Assembler::assemble(&[], &common.first(tests), &[], most)? {
            return Ok(Some(program));
        }
    }
    Ok(None)
}

/// What all filters ask for.
fn common(include: &[Matcher], sync: bool) -> Tests {
    let Some((first, rest)) = include.split_first() else { return Tests::NONE };
    let of_two = |common: Tests, other| {
        let other = Tests::of(other, sync);
        common.only(|test| other.all().contains(test))
    };
    let all = rest.iter().fold(Tests::of(first, sync), of_two);
    mutant!("bpf-common-to-all", all, Tests::of(first, sync))
}

fn excluding(exclude: &[Matcher], sync: bool) -> Result<Vec<Tests>, TryReserveError> {
    let mut all = Vec::new();
    all.try_reserve_exact(exclude.len().min(MOST_FILTERS))?;
    all.extend(exclude.iter().filter_map(|matcher| Tests::exactly(matcher, sync)).take(MOST_FILTERS));
    Ok(all)
}

/// What each filter asks for besides, up to so many tests; each once, and neighbours are alike. None: there is one that asks for
/// nothing more.
fn others(include: &[Matcher], common: &Tests, most: usize, sync: bool) -> Result<Vec<Tests>, TryReserveError> {
    if include.len() > MOST_FILTERS {
        return Ok(Vec::new());
    }
    let mut all = Vec::new();
    all.try_reserve_exact(include.len())?;
    all.extend(include.iter().map(|matcher| Tests::of(matcher, sync).without(common).first(most)));
    if all.iter().any(|tests| tests.count == 0) {
        return Ok(Vec::new());
    }
    sort(&mut all, &|a, b| a < b);
    all.dedup();
    Ok(all)
}

const fn simple(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

/// Jumps over so many instructions if it holds, and over others if not.
const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Instruction {
    Instruction { code, jt, jf, k }
}

/// Where to jump when a test fails, before it is known how far that is.
const FAIL: u8 = u8::MAX;

/// Its functions return `None` when the program becomes too long.
struct Assembler {
    program: Vec<Instruction>,
    most: usize,
    /// What is stored, by the places in the memory of the program.
    stored: [Option<Field>; MEMWORDS],
    /// What A is.
    loaded: Option<Field>,
}

impl Assembler {
    fn assemble(
        exclude: &[Tests],
        common: &Tests,
        others: &[Tests],
        most: usize,
    ) -> Result<Option<Vec<Instruction>>, TryReserveError> {
        let mut program = Vec::new();
        program.try_reserve_exact(most)?;
        let mut assembler = Assembler { program, most, stored: [None; MEMWORDS], loaded: None };
        let fits = assembler.all(exclude, common, others);
        Ok(fits.map(|()| assembler.program))
    }

    /// `None` also if nothing is tested.
    fn all(&mut self, exclude: &[Tests], common: &Tests, others: &[Tests]) -> Option<()> {
        if exclude.is_empty() && common.count == 0 && others.is_empty() {
            return None;
        }
        let tests = [common].into_iter().chain(others).chain(exclude);
        tests.flat_map(Tests::all).for_each(|test| self.want(test.field));
        self.pass_what_is_no_event()?;
        for (place, field) in (0..).zip(self.stored) {
            if let Some(field) = field {
                self.store(field, place)?;
            }
        }
        for tests in exclude {
            // One that is not tested in full excludes too much.
            let in_full = tests.all().iter().all(|test| self.place_of(test.field).is_some());
            if mutant!("bpf-excludes-in-full", in_full, true) {
                self.test(tests, DROP)?;
            }
        }
        if common.count > 0 {
            self.test(common, simple(JA, 1))?;
            self.push(DROP)?;
            self.loaded = None;
        }
        for alike in others.chunk_by(|a, b| a.tests[0].field == b.tests[0].field) {
            self.search(alike)?;
        }
        self.push(if others.is_empty() { PASS } else { DROP })
    }

    fn push(&mut self, instruction: Instruction) -> Option<()> {
        if self.program.len() >= self.most {
            return None;
        }
        self.program.push(instruction);
        Some(())
    }

    /// A place for a field, if there is one left: what has none is not tested.
    fn want(&mut self, field: Field) {
        if self.place_of(field).is_none() {
            if let Some(free) = self.stored.iter_mut().find(|place| place.is_none()) {
                *free = Some(field);
            }
        }
    }

    fn place_of(&self, field: Field) -> Option<u32> {
        (0..).zip(self.stored).find(|(_, stored)| *stored == Some(field)).map(|(place, _)| place)
    }

    fn pass_what_is_no_event(&mut self) -> Option<()> {
        const NEW: u32 = here(message_type(IPCTNL_MSG_CT_NEW));
        const DELETE: u32 = here(message_type(IPCTNL_MSG_CT_DELETE));
        // With an attribute it is long enough for what is read of its header.
        self.find(CTA_TUPLE_ORIG)?;
        self.push(jump(JEQ_K, 0, 3, 0))?;
        self.push(simple(LD_H_ABS, 4))?;
        self.push(jump(JEQ_K, NEW, 2, 0))?;
        self.push(jump(JEQ_K, DELETE, 1, 0))?;
        self.push(PASS)
    }

    /// A is the offset of the attribute, or 0.
    fn find(&mut self, kind: u16) -> Option<()> {
        self.push(simple(LD_IMM, ATTRIBUTES))?;
        self.push(simple(LDX_IMM, kind.into()))?;
        self.push(simple(LD_W_ABS, SKF_AD_NLATTR))
    }

    /// Stores the value of a field, 0 if it is not there.
    fn store(&mut self, field: Field, place: u32) -> Option<()> {
        if field == Field::Family {
            self.push(simple(LD_B_ABS, NLMSG_HEADER_LEN as u32))?;
            return self.push(simple(ST, place));
        }
        let start = self.program.len();
        for path in field.places() {
            let Some((first, inner)) = path.split_first().filter(|(first, _)| **first != 0) else { continue };
            let start = self.program.len();
            self.find(*first)?;
            self.push(jump(JEQ_K, 0, mutant!("bpf-missing-is-0", FAIL, 0), 0))?;
            for kind in inner.iter().take_while(|kind| **kind != 0) {
                self.push(simple(LDX_IMM, (*kind).into()))?;
                self.push(simple(LD_W_ABS, SKF_AD_NLATTR_NEST))?;
                self.push(jump(JEQ_K, 0, FAIL, 0))?;
            }
            self.push(simple(TAX, 0))?;
            self.push(field.load())?;
            // To the end, which is patched below.
            self.push(simple(JA, 0))?;
            self.land(start);
        }
        let end = self.program.len();
        for at in start..end {
            if self.program[at].code == JA {
                self.program[at].k = (end - at - 1) as u32;
            }
        }
        self.push(simple(ST, place))
    }

    /// Those that fail, from the place `start` on, go on here.
    fn land(&mut self, start: usize) {
        let end = self.program.len();
        for at in start..end {
            // Never more than 130: three or four instructions for each test.
            let distance = u8::try_from(end - at - 1).unwrap_or(FAIL);
            let Instruction { jt, jf, .. } = &mut self.program[at];
            for jump in [jt, jf] {
                if *jump == FAIL {
                    *jump = distance;
                }
            }
        }
    }

    /// If one of these, whose first tests are of the same field and in order, holds: pass. Which ones may hold is found by halves:
    /// whoever makes an event waits for it, and a test of each of 1,900 addresses took longer than all the rest.
    fn search(&mut self, others: &[Tests]) -> Option<()> {
        let field = others.first()?.tests[0].field;
        let (Some(place), Some(cut)) = (self.place_of(field), cut(others)) else { return self.one_by_one(others) };
        let (below, above) = others.split_at(cut);
        self.load(field, place)?;
        self.push(jump(JGE_K, above.first()?.tests[0].first, 1, 0))?;
        let to_below = self.program.len();
        self.push(simple(JA, 0))?;
        self.search(above)?;
        let to_end = self.program.len();
        self.push(simple(JA, 0))?;
        self.jump_here(to_below);
        self.loaded = Some(field);
        self.search(below)?;
        self.jump_here(to_end);
        self.loaded = None;
        Some(())
    }

    fn jump_here(&mut self, from: usize) {
        self.program[from].k = (self.program.len() - from - 1) as u32;
    }

    fn one_by_one(&mut self, others: &[Tests]) -> Option<()> {
        let one = |tests: &Tests| tests.count == 1 && tests.tests[0].is_one();
        for alike in others.chunk_by(|a, b| one(a) && one(b)) {
            match self.place_of(alike[0].tests[0].field) {
                // They share what they jump to.
                Some(place) if alike.len() > 1 => {
                    for alike in alike.chunks(FEW) {
                        self.one_of(alike, place)?;
                    }
                }
                // What has no place is not tested, and all pass.
                _ => self.test(&alike[0], PASS)?,
            }
        }
        Some(())
    }

    /// If the value at this place is one of these: pass.
    fn one_of(&mut self, values: &[Tests], place: u32) -> Option<()> {
        self.load(values.first()?.tests[0].field, place)?;
        for (at, tests) in (1..).zip(values) {
            let left = values.len() - at;
            self.push(jump(JEQ_K, tests.tests[0].first, left as u8, u8::from(left == 0)))?;
        }
        self.push(PASS)
    }

    fn load(&mut self, field: Field, place: u32) -> Option<()> {
        if self.loaded != Some(field) {
            self.push(simple(LD_MEM, place))?;
        }
        self.loaded = Some(field);
        Some(())
    }

    /// If all tests hold: `then`. If not the program goes on behind it.
    fn test(&mut self, tests: &Tests, then: Instruction) -> Option<()> {
        let start = self.program.len();
        let mut at_failure = None;
        for test in tests.all() {
            let Some(place) = self.place_of(test.field) else { continue };
            self.load(test.field, place)?;
            if test.mask != u32::MAX {
                self.push(simple(AND_K, test.mask))?;
                self.loaded = None;
            }
            if test.first == test.last {
                self.push(jump(JEQ_K, test.first, 0, FAIL))?;
            } else {
                self.push(jump(JGE_K, test.first, 0, FAIL))?;
                self.push(jump(JGT_K, test.last, FAIL, 0))?;
            }
            let same = at_failure.is_none_or(|loaded| loaded == self.loaded);
            at_failure = Some(if same { self.loaded } else { None });
        }
        self.push(then)?;
        self.land(start);
        self.loaded = at_failure.flatten();
        Some(())
    }
}

/// Where to cut so that no value meets first tests on both sides, not far from the middle. `None`: they are few, or it is not to be.
fn cut(others: &[Tests]) -> Option<usize> {
    let (quarter, middle) = (others.len() / 4, others.len() / 2);
    if others.len() <= FEW {
        return None;
    }
    let (mut end, mut best) = (0, None::<usize>);
    for (at, tests) in others.iter().enumerate() {
        let first = tests.tests[0];
        let is_better = best.is_none_or(|best| at.abs_diff(middle) < best.abs_diff(middle));
        if mutant!("bpf-cut-between-spans", first.first > end, true)
            && at >= quarter
            && at <= others.len() - quarter
            && is_better
        {
            best = Some(at);
        }
        end = end.max(first.end());
    }
    best
}

/// A number in this machine's byte order, as the program reads it: in that of the network.
const fn here(number: u16) -> u32 {
    u16::from_be_bytes(number.to_ne_bytes()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Filter, Prefix};
    use crate::sys;
    use crate::testing::chance::{self, ip, listed, Chance};
    use crate::testing::wire;
    use ctnetlink::event::decode_event;
    use ctnetlink::message::first_message;
    use ctnetlink::Decoder;
    use std::os::fd::AsRawFd;

    const EVENTS: &[u8] = include_bytes!("../../tests/data/events-6.18.bin");

    /// Whether the message passes, as net/core/filter.c runs a program.
    fn passes(program: &[Instruction], message: &[u8]) -> bool {
        let (mut a, mut x, mut memory, mut at) = (0u32, 0u32, [None; MEMWORDS], 0);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |holds| usize::from(if holds { jt } else { jf });
            match code {
                LD_W_ABS if k == SKF_AD_NLATTR => a = attribute(message, a, x),
                LD_W_ABS if k == SKF_AD_NLATTR_NEST => a = nested(message, a, x),
                LD_H_ABS | LD_B_ABS | LD_W_IND | LD_H_IND | LD_B_IND => {
                    let start = k + if matches!(code, LD_H_ABS | LD_B_ABS) { 0 } else { x };
                    let length = match code {
                        LD_W_IND => 4,
                        LD_H_ABS | LD_H_IND => 2,
                        _ => 1,
                    };
                    let Some(bytes) = message.get(start as usize..start as usize + length) else { return false };
                    a = bytes.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
                }
                LD_IMM => a = k,
                LD_MEM => a = memory[k as usize].expect("stored before"),
                LDX_IMM => x = k,
                ST => memory[k as usize] = Some(a),
                AND_K => a &= k,
                TAX => x = a,
                JA => at += k as usize,
                JEQ_K => at += jump(a == k),
                JGT_K => at += jump(a > k),
                JGE_K => at += jump(a >= k),
                RET_K => return k != 0,
                _ => panic!("instruction {code:#x}"),
            }
        }
    }

    /// nla_find()
    fn find(message: &[u8], mut at: usize, end: usize, kind: u32) -> u32 {
        let half = |at: usize| u16::from_ne_bytes([message[at], message[at + 1]]);
        while at + 4 <= end {
            let length = usize::from(half(at));
            if length < 4 || at + length > end {
                return 0;
            }
            if u32::from(half(at + 2) & NLA_TYPE_MASK) == kind {
                return at as u32;
            }
            at += length.next_multiple_of(4);
        }
        0
    }

    /// bpf_skb_get_nlattr()
    fn attribute(message: &[u8], a: u32, x: u32) -> u32 {
        find(message, a as usize, message.len(), x)
    }

    /// bpf_skb_get_nlattr_nest()
    fn nested(message: &[u8], a: u32, x: u32) -> u32 {
        let Some(header) = message.get(a as usize..a as usize + 4) else { return 0 };
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]]));
        if length < 4 || a as usize + length > message.len() {
            return 0;
        }
        find(message, a as usize + 4, a as usize + length, x)
    }

    fn seed() -> u64 {
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        let seed = std::env::var("SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap()).max(1);
        println!("SEED={seed}");
        seed
    }

    /// An entry as the kernel would say it in an event.
    fn event(chance: &mut Chance, entry: &Entry) -> Vec<u8> {
        let mut told = *entry;
        let (kind, flags) = chance.pick(&[
            (wire::NEW, wire::F_CREATE | wire::F_EXCL),
            (wire::NEW, 0),
            (wire::DELETE, 0),
            (wire::DELETE, 0),
        ]);
        if kind == wire::DELETE || flags == 0 && chance.one_in(2) {
            told.has -= Has::LABELS | Has::HELPER;
        }
        if kind == wire::DELETE {
            told.has -= Has::TIMEOUT;
            told.has |= Has::ORIG_COUNTERS | Has::REPLY_COUNTERS | Has::START | Has::STOP;
        }
        if told.mark == 0 {
            told.has -= Has::MARK;
        }
        wire::message(kind, flags, 0, 0, &wire::encode(&told))
    }

    fn decoded(message: &[u8]) -> Entry {
        let mut entry = Entry::EMPTY;
        let (message, _) = first_message(message).unwrap();
        decode_event(&message, &mut Decoder::new(), &mut entry).unwrap().unwrap();
        entry
    }

    /// Whether the entry would be selected if all that can change were as it is of another one.
    fn may_be_selected(selection: &Selection, entry: &Entry, other: &Entry) -> bool {
        let changing = Has::MARK | Has::LABELS | Has::HELPER | Has::TCP_STATE;
        let changed = Entry {
            has: entry.has & !changing | other.has & changing,
            mark: other.mark,
            status: other.status,
            tcp_state: other.tcp_state,
            labels: other.labels,
            helper: other.helper,
            ..*entry
        };
        selection.selects(&changed)
    }

    fn captured() -> Vec<Vec<u8>> {
        let mut rest = EVENTS;
        let mut messages = Vec::new();
        while !rest.is_empty() && cfg!(target_endian = "little") {
            let (_, length) = first_message(rest).unwrap();
            messages.push(rest[..length].to_vec());
            rest = &rest[length..];
        }
        messages
    }

    const SIZES: [usize; 6] = [4096, 1024, 212, 106, 60, 30];

    #[test]
    #[cfg_attr(miri, ignore = "reads the clock for its seed, and takes long")]
    fn whatever_may_be_selected_passes_and_nearly_all_else_is_dropped() {
        let mut chance = Chance::new(seed());
        let (captured, mut unselected, mut dropped) = (captured(), 0, 0);
        for _ in 0..if cfg!(miri) { 2 } else { 1500 } {
            let real: Vec<Vec<u8>> = (0..captured.len().min(20)).map(|_| captured[chance.below(166)].clone()).collect();
            let mut table = chance::table(&mut chance, 30);
            table.extend(real.iter().map(|message| decoded(message)));
            let filters = chance::filters(&mut chance, &table);
            let selection = Selection::new(&filters).unwrap();
            let events: Vec<Vec<u8>> = table[..30].iter().map(|entry| event(&mut chance, entry)).chain(real).collect();
            let (sync, most) = (chance.one_in(2), chance.pick(&SIZES));
            let Some(program) = program(&selection, sync, most).unwrap() else { continue };
            assert!(program.len() <= most && program.last().unwrap().code == RET_K);
            let rare = |filter: &Filter| {
                filter.tcp_states.is_some() || filter.labels.is_some() || filter.helper.is_some() || filter.exclude
            };
            let exact = !sync && most >= 1024 && !filters.iter().any(rare);
            for message in events {
                let (passes, entry) = (passes(&program, &message), decoded(&message));
                let selected = selection.selects(&entry);
                let may_be = sync && table.iter().any(|other| may_be_selected(&selection, &entry, other));
                assert!(passes || !selected && !may_be, "sync {sync}, {most}: {filters:#?}\n{entry:#?}");
                if exact && !selected {
                    unselected += 1;
                    dropped += u32::from(!passes);
                }
            }
        }
        println!("{dropped} of {unselected} that are not selected are dropped");
        assert!(cfg!(miri) || unselected > 1000 && dropped > unselected / 100 * 98);
    }

    fn of(filters: &[Filter], sync: bool, most: usize) -> Option<Vec<Instruction>> {
        program(&Selection::new(filters).unwrap(), sync, most).unwrap()
    }

    fn udp(dst: [u8; 4], dport: u16) -> Entry {
        listed(Entry::key(Proto::UDP, ip("10.0.0.1"), 4000, dst.into(), dport).unwrap(), 1)
    }

    fn said(entry: &Entry) -> Vec<u8> {
        wire::message(wire::NEW, 0, 0, 0, &wire::encode(entry))
    }

    #[test]
    fn an_excluded_entry_is_dropped_and_one_without_the_excluded_field_passes() {
        let exclude = [Filter::new().with_proto(Proto::UDP).with_orig_dport(53).excluding()];
        let program = of(&exclude, true, 4096).unwrap();
        assert!(!passes(&program, &said(&udp([10, 0, 0, 2], 53))) && passes(&program, &said(&udp([10, 0, 0, 2], 54))));
        // 0 is what is not there as well.
        let exclude = [Filter::new().with_proto(Proto::UDP).with_orig_dports(0..=53).excluding()];
        let mut portless = udp([10, 0, 0, 2], 0);
        portless.has -= Has::PORTS;
        assert!(of(&exclude, true, 4096).is_none_or(|program| passes(&program, &said(&portless))));
        // What changes cannot be told by what it is now.
        assert!(of(&[Filter::new().with_mark(7).excluding()], true, 4096).is_none());
        assert!(of(&[Filter::new().with_mark(7).excluding()], false, 4096).is_some());
    }

    #[test]
    fn an_excluding_filter_for_which_there_is_no_room_excludes_nothing() {
        let mut entry = Entry::key(Proto::UDP, ip("fd00::1"), 4000, ip("fd00::2"), 53).unwrap();
        entry = listed(entry, 1);
        // Sixteen words.
        let flow = Filter::new()
            .with_orig_src(ip("fd00::1"))
            .with_orig_dst(ip("fd00::2"))
            .with_reply_src(ip("fd00::2"))
            .with_reply_dst(ip("fd00::1"));
        let program = of(&[flow, Filter::new().with_mark(7).excluding()], false, 4096).unwrap();
        assert!(passes(&program, &said(&entry)) && passes(&program, &said(&Entry { mark: 7, ..entry })));
        assert!(!passes(&program, &said(&udp([10, 0, 0, 2], 53))));
    }

    #[test]
    fn a_zone_is_found_for_both_directions_and_for_one_and_none_is_0() {
        let plain = udp([10, 0, 0, 2], 53);
        let [both, orig, reply] =
            [(Has::ZONE, 7, 7), (Has::ORIG_ZONE, 7, 0), (Has::REPLY_ZONE, 0, 7)].map(|(bit, orig, reply)| {
                let mut entry = Entry { has: plain.has | bit, zone: 7, ..plain };
                (entry.orig.zone, entry.reply.zone) = (orig, reply);
                said(&entry)
            });
        let passing = |filter| {
            let program = of(&[filter], true, 106).unwrap();
            [&said(&plain), &both, &orig, &reply].map(|message| passes(&program, message))
        };
        assert_eq!(passing(Filter::new().with_zone(0)), [true, false, false, false]);
        assert_eq!(passing(Filter::new().with_zone(7)), [false, true, true, true]);
        assert_eq!(passing(Filter::new().with_orig_zone(7)), [false, true, true, false]);
        assert_eq!(passing(Filter::new().with_orig_zone(0)), [true, false, false, true]);
        assert_eq!(passing(Filter::new().with_reply_zone(7)), [false, true, false, true]);
    }

    #[test]
    fn what_is_no_event_of_an_entry_passes() {
        let program = of(&[Filter::new().with_proto(Proto::TCP).with_zone(7)], false, 4096).unwrap();
        let entry = wire::encode(&udp([10, 0, 0, 2], 53));
        assert!(!passes(&program, &wire::message(wire::NEW, 0, 0, 0, &entry)));
        for kind in [wire::GET, 0x0200, wire::NLMSG_ERROR, wire::NLMSG_DONE] {
            assert!(passes(&program, &wire::message(kind, 0, 0, 0, &entry)), "{kind:#x}");
        }
        for length in 0..24 {
            assert!(passes(&program, &wire::message(wire::NEW, 0, 0, 0, &entry)[..length]), "{length} bytes");
        }
    }

    #[test]
    fn an_attribute_is_found_wherever_it_is() {
        let program = of(&[Filter::new().with_mark(7).with_orig_src(ip("10.0.0.1"))], false, 4096).unwrap();
        let entry = Entry { mark: 7, ..udp([10, 0, 0, 2], 53) };
        let payload = wire::encode(&entry);
        let mut parts = wire::attrs(&payload[4..]);
        parts.reverse();
        let reversed: Vec<u8> = parts.iter().flat_map(|(kind, value)| wire::attr(*kind, value)).collect();
        for attributes in [payload[4..].to_vec(), reversed] {
            assert!(passes(&program, &wire::message(wire::NEW, 0, 0, 0, &[&payload[..4], &attributes].concat())));
        }
        assert!(!passes(&program, &said(&Entry { mark: 8, ..entry })));
    }

    /// So many servers at their addresses, two ports each.
    fn servers(count: u16, ports: &[u16]) -> Vec<Filter> {
        let one = |number: u16| {
            let [high, low] = number.to_be_bytes();
            let udp = Filter::new()
                .with_proto(Proto::UDP)
                .with_orig_dst(Prefix::from(std::net::Ipv4Addr::new(10, 1, high, low)));
            ports.iter().map(move |port| udp.clone().with_orig_dport(*port))
        };
        (0..count).flat_map(one).collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "takes long")]
    fn what_does_not_fit_is_tested_less() {
        let (mine, other_port, other, tcp) = (
            said(&udp([10, 1, 0, 7], 53)),
            said(&udp([10, 1, 0, 7], 55)),
            said(&udp([10, 2, 0, 7], 53)),
            said(&Entry { proto: Proto::TCP, ..udp([10, 1, 0, 7], 53) }),
        );
        let passing =
            |program: &[Instruction]| [&mine, &other_port, &other, &tcp].map(|message| passes(program, message));
        let few = of(&servers(20, &[53, 54]), true, 4096).unwrap();
        assert_eq!(passing(&few), [true, false, false, false]);
        // 1,000 addresses with two ports each: the addresses alone, then what they have in common.
        let many = of(&servers(1000, &[53, 54]), true, 4096).unwrap();
        assert_eq!(passing(&many), [true, true, false, false]);
        let common = of(&servers(1000, &[53, 54]), true, 1000).unwrap();
        assert_eq!(passing(&common), [true, true, true, false]);
        assert!(few.len() < 300 && many.len() > 1200 && common.len() < 50, "{} {}", few.len(), many.len());
        assert!(of(&servers(1000, &[53]), true, 20).is_none());
        assert!(of(&[], false, 4096).is_none());
        assert!(of(&[Filter::new().with_mark(7)], true, 4096).is_none());
    }

    /// Those that are told apart by halves: values, prefixes within each other, ranges that overlap, and masks that are no prefixes.
    fn many(chance: &mut Chance) -> Vec<Filter> {
        let kind = chance.below(3);
        (0..chance.pick(&[17, 40, 200]))
            .map(|_| {
                let wide = chance.pick(&[0, 0, 1, 2, 5]);
                let low = chance.below(256) as u8 >> wide << wide;
                match if chance.one_in(20) { chance.below(3) } else { kind } {
                    0 => {
                        let address = std::net::IpAddr::from([10, 0, chance.below(2) as u8, low]);
                        let filter = Filter::new().with_orig_dst(Prefix::new(address, 32 - wide).unwrap());
                        if chance.one_in(3) {
                            filter.with_proto(Proto::UDP).with_orig_dport(chance.below(300) as u16)
                        } else {
                            filter
                        }
                    }
                    1 => {
                        let ports = u16::from(low)..=u16::from(low) + chance.below(4) as u16;
                        Filter::new().with_proto(Proto::UDP).with_orig_dports(ports)
                    }
                    _ => {
                        let mask = chance.pick(&[u32::MAX, u32::MAX, 0xffff_fffc, 0x95, 0xc0]);
                        Filter::new().with_mark(Masked { value: u32::from(low) & mask, mask })
                    }
                }
            })
            .collect()
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads the clock for its seed, and takes long")]
    fn among_many_filters_the_one_that_matches_is_found() {
        let mut chance = Chance::new(seed());
        let [mut passed, mut dropped] = [0; 2];
        for _ in 0..if cfg!(miri) { 2 } else { 500 } {
            let filters = many(&mut chance);
            let selection = Selection::new(&filters).unwrap();
            let program = program(&selection, false, 4096).unwrap().unwrap();
            for _ in 0..100 {
                let dst = [10, 0, chance.below(2) as u8, chance.below(256) as u8];
                let mut entry = udp(dst, chance.below(300) as u16);
                entry.mark = chance.below(256) as u32;
                let passes = passes(&program, &said(&entry));
                assert_eq!(passes, selection.selects(&entry), "{filters:#?}\n{entry:#?}");
                *(if passes { &mut passed } else { &mut dropped }) += 1;
            }
        }
        println!("{passed} passed, {dropped} dropped");
        assert!(cfg!(miri) || passed.min(dropped) > 10_000);
    }

    #[test]
    #[cfg_attr(miri, ignore = "reads the clock, or talks to the kernel, and takes long")]
    #[cfg_attr(miri, ignore = "opens a socket")]
    fn the_kernel_takes_the_programs() {
        let mut chance = Chance::new(seed());
        let attached = |program: &[Instruction]| {
            let socket = netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_NETFILTER).unwrap();
            sys::attach_filter(socket.as_raw_fd(), program).map_err(|error| (error, program.len()))
        };
        for _ in 0..300 {
            let table = chance::table(&mut chance, 30);
            let selection = Selection::new(&chance::filters(&mut chance, &table)).unwrap();
            if let Some(program) = program(&selection, chance.one_in(2), 106).unwrap() {
                attached(&program).unwrap();
            }
        }
        let large = of(&servers(3000, &[53]), true, 4096).unwrap();
        assert!(large.len() > 3600);
        match attached(&large) {
            // Up to Linux 6.1.
            Err((error, _)) => assert_eq!(error.raw_os_error(), Some(libc::ENOMEM)),
            Ok(()) => println!("{} instructions", large.len()),
        }
        // On all kernels, in 20,480 bytes.
        attached(&of(&servers(700, &[53]), true, 1024).unwrap()).unwrap();
        let too_long = vec![DROP; 4097];
        assert_eq!(attached(&too_long).unwrap_err().0.raw_os_error(), Some(libc::EINVAL));
    }
}
