//! Any bytes as arrays of `ct_filter` and `ct_entry` and as `ct_result`, of any size, equal and unequal, at the end of memory,
//! through the C functions, over a table that answers as the kernel does.
//!
//! What may be read is what the header says, and no more is there. What a call then does to the table is compared with what the
//! manual says of the filters and keys.
#![allow(unsafe_code)]
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block is one call of a C function; what is passed is made right above it, or wrong on purpose"
)]

use super::edge::{bytes_of, Edge};
use super::input::Input;
use super::kernel::{parse_key, Table, DELETE};
use super::transport::{Script, TIMEOUT};
use super::Reached;
use super::{judge, naive};
use ctrack::*;
use ctrack_c::change::*;
use ctrack_c::delete::*;
use ctrack_c::dump::*;
use ctrack_c::flush::*;
use ctrack_c::open::*;
use ctrack_c::read::*;
use ctrack_c::seams::{handle_over, FILTER_SIZE_V0, RESULT_SIZE_V0};
use ctrack_c::*;
use std::ffi::{c_char, c_int, CStr};
use std::mem::offset_of;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::ptr::{null, null_mut};

/// No size of a struct is larger (header: -E2BIG).
const MOST: usize = 65_536;

/// Runs one call on a table.
pub fn run(input: &[u8]) -> Reached {
    let mut u = Input::new(input);
    let operation = u.below(14);
    let noise = if u.one_in(3) { u.below(4) } else { 0 };
    let mut table: Vec<Entry> = Vec::new();
    for id in 1..=u32::from(u.below(10)) {
        let entry = u.entry(id);
        if naive::fits(&table, &entry) {
            table.push(entry);
        }
    }
    let world = World::new(&mut u, table, operation);
    let name = world.run(&mut u, operation, noise);
    world.check(name);
    vec![name.0, if name.1 == 0 { "done" } else { error_name(name.1) }]
}

/// A call and what it returned.
type Returned = (&'static str, c_int);

fn error_name(returned: c_int) -> &'static str {
    match -returned {
        libc::EINVAL => "EINVAL",
        libc::E2BIG => "E2BIG",
        libc::ENOENT => "ENOENT",
        libc::EEXIST => "EEXIST",
        libc::EBUSY => "EBUSY",
        libc::ENOTUNIQ => "ENOTUNIQ",
        _ => "another error",
    }
}

struct World {
    before: Vec<Entry>,
    kernel: Table,
    script: Script,
    handle: *mut ct_handle,
    /// Another process removes an entry during the call.
    disturbed: bool,
}

impl World {
    fn new(u: &mut Input, before: Vec<Entry>, operation: u8) -> World {
        let kernel = Table::new(&before);
        let answers = kernel.clone();
        let disturbed = matches!(operation, 2 | 3) && u.one_in(4);
        let (when, which) = (usize::from(u.below(4)), usize::from(u.u8()));
        let script = Script::new(move |number, requests| {
            if disturbed && number == when {
                answers.change(|entries| {
                    if !entries.is_empty() {
                        entries.remove(which % entries.len());
                    }
                });
            }
            answers.answer(requests)
        });
        let handle = handle_over(Conntrack::over(script.transport(), TIMEOUT)).expect("memory");
        World { before, kernel, script, handle: Box::into_raw(handle), disturbed }
    }

    fn error(&self) -> String {
        unsafe { CStr::from_ptr(ct_handle_error(self.handle)) }.to_str().expect("text").to_owned()
    }

    /// Whether the error is that of a single entry: one that is only impossible has a status of its own, and does not stop the
    /// others. The text then names the operation.
    fn is_about_one(&self) -> bool {
        self.error().contains("_entries: ")
    }

    /// What holds after every call.
    fn check(&self, (call, returned): Returned) {
        assert_ne!(returned, -libc::ENOTRECOVERABLE, "{call}: {}", self.error());
        assert_eq!(self.error().is_empty(), returned >= 0, "{call}: {returned} {}", self.error());
        if matches!(-returned, libc::EINVAL | libc::E2BIG) && !self.is_about_one() {
            assert!(self.script.requests().is_empty(), "{call}: something was sent");
            assert!(self.kernel.entries() == self.before, "{call}: the table was changed");
        }
        if call != "ct_flush of everything" {
            for request in self.script.requests().iter().filter(|request| request.kind == DELETE) {
                assert!(parse_key(&request.payload).tuple.is_some(), "{call} flushes: {request:?}");
            }
        }
        // Whatever it was, the handle goes on.
        let mut count = 0;
        assert_eq!(unsafe { ct_count(self.handle, &mut count) }, 0, "after {call}: {}", self.error());
        assert_eq!(count, self.kernel.entries().len() as u64);
        assert_eq!(self.error(), "");
    }

    /// Nothing was deleted but what `may` says, and everything of it if the call said that all is done.
    fn check_deleted(&self, returned: c_int, call: &str, may: impl Fn(&Entry) -> bool) {
        let left = self.kernel.entries();
        for entry in self.before.iter().filter(|entry| !self.disturbed && !may(entry)) {
            assert!(left.contains(entry), "{call} deleted what was not asked for: {entry:?}");
        }
        if returned == 0 {
            let wanted: Vec<&Entry> = left.iter().filter(|entry| may(entry)).collect();
            assert!(wanted.is_empty(), "{call} says that all is done: {wanted:?}");
        }
    }

    fn run(&self, u: &mut Input, operation: u8, noise: u8) -> Returned {
        match operation {
            0..=4 => {
                let filters = Filters::of(u, &self.before, noise);
                match operation {
                    0 | 1 => self.list(&filters),
                    2 | 3 => self.delete(u, &filters),
                    _ => self.dump(u, &filters),
                }
            }
            5 => self.flush(u, noise),
            6 | 7 => self.delete_entries(u, noise),
            8 => self.create_entries(u, noise),
            9 => self.update_entries(u, noise),
            10 => self.get(u, noise),
            11 => self.zone(u),
            _ => self.misused(u),
        }
    }

    fn list(&self, filters: &Filters) -> Returned {
        let (mut entries, mut count) = (null_mut(), 7777);
        let returned = unsafe { ct_list(self.handle, filters.pointer(), filters.count(), &mut entries, &mut count) };
        filters.check(returned, &self.script, false);
        if returned == 0 {
            let listed =
                if entries.is_null() { vec![] } else { unsafe { std::slice::from_raw_parts(entries, count) }.to_vec() };
            assert_eq!(listed.len(), count);
            filters.check_selected(&self.before, &listed);
        } else {
            assert_eq!((entries, count), (null_mut(), 7777), "left alone");
        }
        unsafe { ct_entries_free(entries) };
        ("ct_list", returned)
    }

    fn dump(&self, u: &mut Input, filters: &Filters) -> Returned {
        let returned = unsafe { ct_dump_start(self.handle, filters.pointer(), filters.count()) };
        filters.check(returned, &self.script, false);
        if returned != 0 {
            return ("ct_dump_start", returned);
        }
        let mut dumped = Vec::new();
        loop {
            let room = 1 + usize::from(u.below(4));
            let buffer = Edge::new(room * size_of::<Entry>());
            let filled = unsafe { ct_dump_next(self.handle, buffer.at(), room) };
            assert!((0..=room as c_int).contains(&filled), "{filled} of {room}: {}", self.error());
            dumped.extend((0..filled as usize).map(|at| unsafe { buffer.at::<Entry>().add(at).read() }));
            if filled == 0 {
                filters.check_selected(&self.before, &dumped);
                break;
            }
            if u.one_in(9) {
                break;
            }
        }
        assert_eq!(unsafe { ct_dump_end(self.handle) }, 0);
        ("ct_dump_start", 0)
    }

    fn delete(&self, u: &mut Input, filters: &Filters) -> Returned {
        let flags = if u.one_in(12) { u.u32() } else { u32::from(u.one_in(3)) };
        let result = ResultRoom::of(u);
        let returned = unsafe { ct_delete(self.handle, filters.pointer(), filters.count(), flags, result.room.at()) };
        let told = result.check(returned);
        if result.wrong.is_none() && flags > 1 {
            assert_eq!(returned, -libc::EINVAL, "flags {flags:#x}");
        } else if result.wrong.is_none() {
            filters.check(returned, &self.script, true);
            if filters.plain() {
                let selected = |e: &Entry| judge::selected(&filters.given, e).is_some();
                self.check_deleted(returned, "ct_delete", selected);
                if let (0, false, Some(told)) = (returned, self.disturbed, told) {
                    let wanted = self.before.iter().filter(|e| selected(e)).count() as u64;
                    assert_eq!((told.matched, told.done), (wanted, wanted), "{told:?}");
                }
            }
        }
        ("ct_delete", returned)
    }

    fn flush(&self, u: &mut Input, noise: u8) -> Returned {
        if u.one_in(4) {
            let flags = if u.one_in(4) { u.u32() } else { CT_FLUSH_ALL };
            let returned = unsafe { ct_flush(self.handle, null(), flags) };
            assert_eq!(returned, if flags == CT_FLUSH_ALL { 0 } else { -libc::EINVAL });
            assert!(returned != 0 || self.kernel.entries().is_empty());
            return (if returned == 0 { "ct_flush of everything" } else { "ct_flush" }, returned);
        }
        let mut scope = u.filter();
        if !u.one_in(4) {
            let Filter { family, zone, mark, status_set, status_clear, .. } = scope;
            scope = Filter { family, zone, mark, status_set, status_clear, ..Filter::default() };
        }
        let only = |f: &Filter| {
            let Filter { family, zone, mark, status_set, status_clear, .. } = *f;
            *f == Filter { family, zone, mark, status_set, status_clear, ..Filter::default() }
        };
        let filters = Filters::new(u, vec![scope], noise, false);
        let flags = if u.one_in(8) { u.u32() & 3 } else { 0 };
        let returned = unsafe { ct_flush(self.handle, filters.pointer(), flags) };
        let scope = &filters.given[0];
        if flags != 0 || (filters.plain() && !only(scope)) {
            let too_new = filters.wrong == Some(-libc::E2BIG) && flags == 0;
            assert_eq!(returned, if too_new { -libc::E2BIG } else { -libc::EINVAL }, "{flags:#x} {scope:?}");
        } else {
            filters.check_sizes(returned);
            if filters.plain() {
                if returned != -libc::EINVAL {
                    assert!(only(scope), "{scope:?}");
                }
                self.check_deleted(returned, "ct_flush", |e| judge::matches(scope, e));
            }
        }
        ("ct_flush", returned)
    }

    /// Entries as a caller gives them, often from the table.
    fn given(&self, u: &mut Input, noise: u8) -> Vec<Entry> {
        let mut given: Vec<Entry> = (0..u.below(5)).map(|_| self.entry(u)).collect();
        for _ in 0..if given.is_empty() { 0 } else { noise } {
            let at = usize::from(u.u8()) % given.len();
            u.flip(&mut given[at]);
        }
        given
    }

    fn entry(&self, u: &mut Input) -> Entry {
        let new = u.entry(90);
        match u.below(4) {
            0 => new,
            _ if self.before.is_empty() => new,
            kind => {
                let mut e = self.before[usize::from(u.u8()) % self.before.len()];
                if kind == 1 {
                    // A key of one tuple.
                    let tuple = e.has & (Has::PORTS | Has::ICMP | Has::ZONE);
                    let (orig, reply, id) = (u.one_in(2), u.one_in(2), u.one_in(2));
                    let reply = reply || !orig;
                    let key = Entry { family: e.family, proto: e.proto, ..Entry::EMPTY };
                    let none = Has::empty();
                    let has = tuple
                        | if orig { Has::ORIG | e.has & Has::ORIG_ZONE } else { none }
                        | if reply { Has::REPLY | e.has & Has::REPLY_ZONE } else { none }
                        | if id { Has::ID } else { none };
                    let zone = |bits: Has, zone: u32| if has.intersects(bits) { zone } else { 0 };
                    let tuple = |wanted: bool, tuple: Tuple, bit: Has| match wanted {
                        true => Tuple { zone: zone(Has::ZONE | bit, tuple.zone), ..tuple },
                        false => Tuple::EMPTY,
                    };
                    e = Entry {
                        has,
                        id: if id { e.id } else { 0 },
                        zone: zone(Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE, e.zone),
                        orig: tuple(orig, e.orig, Has::ORIG_ZONE),
                        reply: tuple(reply, e.reply, Has::REPLY_ZONE),
                        ..key
                    };
                }
                e
            }
        }
    }

    /// Calls one of the functions on given entries. Also: the entries, and the sums if there are any.
    fn change(
        &self,
        u: &mut Input,
        given: &[Entry],
        call: unsafe extern "C" fn(*mut ct_handle, *const Entry, usize, *mut i32, *mut ct_result) -> c_int,
    ) -> (c_int, Vec<i32>, Option<ct_result>) {
        let entries = edge(u, size_of_val(given));
        for (at, entry) in given.iter().enumerate() {
            entries.put_bytes(at * size_of::<Entry>(), bytes_of(entry));
        }
        let room = edge(u, given.len() * 4);
        let result = ResultRoom::of(u);
        let returned = unsafe { call(self.handle, entries.at(), given.len(), room.at(), result.room.at()) };
        let status: Vec<i32> =
            room.bytes().chunks(4).map(|bytes| i32::from_ne_bytes(bytes.try_into().expect("four bytes"))).collect();
        let status = status[..given.len()].to_vec();
        assert!(status.iter().all(|status| *status <= 0), "{status:?}");
        let told = result.check(returned);
        if self.script.requests().is_empty() && returned != 0 && !self.is_about_one() {
            assert!(status.iter().all(|status| *status == returned), "{returned}: {status:?}");
        }
        if let (Some(told), false) = (&told, self.script.requests().is_empty()) {
            assert_eq!(told.matched, given.len() as u64, "{told:?}");
            let done = status.iter().filter(|status| **status == 0).count();
            assert_eq!(told.done, done as u64, "{told:?} {status:?}");
            assert_eq!(returned == 0, told.failed == 0, "{returned} {told:?} {status:?}");
            if told.failed > 0 {
                assert!(status.contains(&told.first_error), "{told:?} {status:?}");
            }
        }
        (returned, status, told)
    }

    fn delete_entries(&self, u: &mut Input, noise: u8) -> Returned {
        let keys = self.given(u, noise);
        let (returned, status, _) = self.change(u, &keys, ct_delete_entries);
        let left = self.kernel.entries();
        for entry in self.before.iter().filter(|entry| !left.contains(entry)) {
            assert!(
                keys.iter().any(|key| naive::may_delete(key, entry)),
                "deleted, but not asked for: {entry:?} {keys:?}"
            );
        }
        let done = status.iter().filter(|status| **status == 0).count();
        if !self.script.requests().is_empty() {
            assert_eq!(self.before.len() - left.len(), done, "{status:?}");
            for (key, status) in keys.iter().zip(&status) {
                let there = left.iter().any(|entry| naive::means(key, entry));
                assert!(*status != -libc::ENOENT || !there, "told as gone, and there: {key:?}");
                assert!(*status != 0 || !there || keys.len() > 1, "told as deleted, and there: {key:?}");
            }
        }
        ("ct_delete_entries", returned)
    }

    fn create_entries(&self, u: &mut Input, noise: u8) -> Returned {
        let mut given = self.given(u, noise);
        for entry in given.iter_mut().filter(|_| u.one_in(2)) {
            // What only the kernel gives.
            entry.has &= !Has::ID;
            (entry.id, entry.status) = (0, entry.status & !(Status::EXPECTED | Status::OFFLOAD));
        }
        let (returned, status, _) = self.change(u, &given, ct_create_entries);
        let now = self.kernel.entries();
        assert_eq!(now[..self.before.len()], self.before, "the others stay as they are");
        if !self.script.requests().is_empty() {
            let made = status.iter().filter(|status| **status == 0).count();
            assert_eq!(now.len() - self.before.len(), made, "{status:?}");
        }
        ("ct_create_entries", returned)
    }

    fn update_entries(&self, u: &mut Input, noise: u8) -> Returned {
        let mut given = self.given(u, noise);
        for entry in given.iter_mut() {
            if u.one_in(2) {
                (entry.has, entry.mark) = (entry.has | Has::MARK, u.u32());
                if u.one_in(2) {
                    (entry.has, entry.mark_mask) = (entry.has | Has::MARK_MASK, u.u32());
                }
            }
            if u.one_in(3) {
                entry.has |= Has::LABELS | u.one_of(&[Has::LABELS_ADD, Has::LABELS_REMOVE]);
            }
        }
        let (returned, status, _) = self.change(u, &given, ct_update_entries);
        let now = self.kernel.entries();
        assert_eq!(now.len(), self.before.len());
        for (was, is) in self.before.iter().zip(&now) {
            assert!(is == was || given.iter().any(|key| naive::means(key, was)), "not asked for: {was:?} {is:?}");
        }
        if let ([given], [0]) = (&given[..], &status[..]) {
            let found: Vec<&Entry> = now.iter().filter(|entry| naive::means(given, entry)).collect();
            assert_eq!(found.len(), 1, "which one was changed? {given:?}");
            if given.has(Has::MARK) && !given.has(Has::MARK_MASK) {
                assert_eq!(found[0].mark, given.mark);
            }
        }
        ("ct_update_entries", returned)
    }

    fn get(&self, u: &mut Input, noise: u8) -> Returned {
        let mut key = self.entry(u);
        for _ in 0..noise {
            u.flip(&mut key);
        }
        let (from, to) = (edge(u, size_of::<Entry>()), edge(u, size_of::<Entry>()));
        from.put_bytes(0, bytes_of(&key));
        // Both may be the same.
        let to = if u.one_in(4) { &from } else { &to };
        let returned = unsafe { ct_get(self.handle, from.at(), to.at()) };
        let meant: Vec<&Entry> = self.before.iter().filter(|entry| naive::means(&key, entry)).collect();
        match returned {
            0 => {
                let found = unsafe { to.at::<Entry>().read() };
                assert!(meant.contains(&&found), "{key:?} is not {found:?}");
            }
            errno if errno == -libc::ENOENT => {
                // A time that was flipped in is one that no entry has.
                assert!(meant.is_empty() || key.has(Has::START), "{key:?} is {meant:?}");
            }
            errno => assert_eq!(errno, -libc::EINVAL, "{}", self.error()),
        }
        ("ct_get", returned)
    }

    fn zone(&self, u: &mut Input) -> Returned {
        let (first, last) = (u.u32() & 0x1_0003, u.u32() & 0x1_0007);
        let mut zone = 99_999;
        let returned = unsafe { ct_zone_find_free(self.handle, first, last, &mut zone) };
        let used =
            |zone: u32| self.before.iter().any(|e| [false, true].iter().any(|&by| naive::zone_in(e, by) == zone));
        let expected = match (first..=last).find(|zone| !used(*zone)) {
            _ if first > last || last > 0xffff => Err(-libc::EINVAL),
            Some(free) => Ok(free),
            None => Err(-libc::ENOSPC),
        };
        assert_eq!(if returned == 0 { Ok(zone) } else { Err(returned) }, expected);
        ("ct_zone_find_free", returned)
    }

    /// Pointers that are NULL or not aligned, and counts that nothing has.
    fn misused(&self, u: &mut Input) -> Returned {
        let (entry, status) = (Entry::EMPTY, &mut [0i32; 2]);
        let result = &mut ct_result { size: size_of::<ct_result>() as u32, ..Default::default() };
        let wrong = |u: &mut Input| if u.one_in(2) { null_mut::<u8>() } else { std::ptr::without_provenance_mut(9) };
        let h = self.handle;
        let count = u.one_of(&[1, usize::MAX / 256 + 1, usize::MAX]);
        let (call, returned) = unsafe {
            match u.below(8) {
                0 => ("ct_list", ct_list(h, wrong(u).cast(), 1, &mut null_mut(), &mut 0)),
                1 => ("ct_delete", ct_delete(h, wrong(u).cast(), 1, 0, result)),
                2 => ("ct_delete_entries", ct_delete_entries(h, wrong(u).cast(), count, status.as_mut_ptr(), result)),
                3 => ("ct_create_entries", ct_create_entries(h, &entry, 1, wrong(u).cast(), result)),
                4 => ("ct_update_entries", ct_update_entries(h, &entry, 1, status.as_mut_ptr(), wrong(u).cast())),
                5 => ("ct_get", ct_get(h, wrong(u).cast(), wrong(u).cast())),
                6 => ("ct_dump_next", ct_dump_next(h, wrong(u).cast(), usize::from(u.below(2)))),
                _ => ("ct_dump_start", ct_dump_start(h, wrong(u).cast(), count)),
            }
        };
        // The array of filters may be too long for memory, too.
        assert!(matches!(-returned, libc::EINVAL | libc::ENOMEM), "{call}: {returned}");
        (call, returned)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        unsafe { ct_handle_close(self.handle) };
    }
}

fn edge(u: &mut Input, length: usize) -> Edge {
    if u.one_in(2) {
        Edge::on_the_heap(length)
    } else {
        Edge::new(length)
    }
}

/// An array of filters as a C program hands it in, right or wrong.
struct Filters {
    given: Vec<Filter>,
    room: Edge,
    null: bool,
    /// What must come of their sizes, if these are wrong.
    wrong: Option<c_int>,
    /// The filters may not be the given ones: bytes were changed.
    noisy: bool,
    /// A field counts that lies behind the size of its filter.
    behind: bool,
}

impl Filters {
    fn of(u: &mut Input, table: &[Entry], noise: u8) -> Filters {
        let given = (0..u.below(5))
            .map(|_| match table {
                [] => u.filter(),
                _ if u.one_in(2) => u.filter(),
                _ => {
                    let at = usize::from(u.u8()) % table.len();
                    u.filter_of(&table[at])
                }
            })
            .collect();
        Filters::new(u, given, noise, true)
    }

    fn new(u: &mut Input, given: Vec<Filter>, noise: u8, may_be_null: bool) -> Filters {
        let own = size_of::<ct_filter>();
        let first = any_size(u, FILTER_SIZE_V0, own);
        let (mut noisy, mut behind) = (noise > 0, false);
        // What lies behind the size of each, whatever that says.
        let mut contents = Vec::new();
        let mut sizes = Vec::new();
        for (at, filter) in given.iter().enumerate() {
            let size = if at > 0 && u.one_in(6) { any_size(u, FILTER_SIZE_V0, own) } else { first };
            let mut content = bytes_of(&c_filter(filter)).to_vec();
            // An older program's: the fields that it does not know are not there.
            noisy |= content[size.min(own)..].iter().any(|byte| *byte != 0);
            behind |= [
                (filter.orig_zone.is_some(), offset_of!(ct_filter, orig_zone)),
                (filter.reply_zone.is_some(), offset_of!(ct_filter, reply_zone)),
                (filter.id.is_some(), offset_of!(ct_filter, id)),
            ]
            .iter()
            .any(|(counts, start)| *counts && start + size_of::<u32>() > size);
            for _ in 0..noise {
                let at = 4 + usize::from(u.u8()) % (own - 4);
                content[at] ^= u.u8();
            }
            let tail = u.one_in(4).then(|| usize::from(u.u16()));
            content[..4].copy_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_ne_bytes());
            contents.push((content, tail));
            sizes.push(size);
        }
        // Where each begins, and how much of it may be read.
        let (mut length, mut wrong, mut shown) = (0, None, 0);
        for (at, size) in sizes.iter().enumerate() {
            shown += 1;
            let start = at * first;
            if start % align_of::<ct_filter>() != 0 {
                (length, wrong) = (start, Some(-libc::EINVAL));
            } else if *size < FILTER_SIZE_V0 || *size != first {
                (length, wrong) = (start + 4, Some(-libc::EINVAL));
            } else if *size > MOST {
                (length, wrong) = (start + 4, Some(-libc::E2BIG));
            } else {
                length = start + size;
                if contents[at].1.is_some() && *size > own {
                    wrong = Some(-libc::E2BIG);
                }
            }
            if wrong.is_some() {
                break;
            }
        }
        let room = edge(u, length);
        for (at, (content, tail)) in contents[..shown].iter().enumerate() {
            let start = at * first;
            room.put_bytes(start, &content[..content.len().min(sizes[at]).max(4)]);
            if let (Some(tail), true) = (tail, sizes[at] > own && sizes[at] <= MOST) {
                room.put_bytes(start + own + tail % (sizes[at] - own), &[1]);
            }
        }
        let null = may_be_null && u.one_in(16);
        if null {
            wrong = (!given.is_empty()).then_some(-libc::EINVAL);
        }
        Filters { given, room, null, wrong, noisy, behind }
    }

    fn pointer(&self) -> *const ct_filter {
        if self.null {
            null()
        } else {
            self.room.at()
        }
    }

    fn count(&self) -> usize {
        self.given.len()
    }

    /// Whether the call saw just the given filters.
    fn plain(&self) -> bool {
        self.wrong.is_none() && !self.noisy
    }

    fn check_sizes(&self, returned: c_int) {
        match self.wrong {
            Some(_) if self.noisy => assert!(matches!(-returned, libc::EINVAL | libc::E2BIG), "{returned}"),
            Some(wrong) => assert_eq!(returned, wrong, "{:?}", self.given),
            None if !self.noisy => assert_ne!(returned, -libc::E2BIG),
            None => {}
        }
    }

    fn check(&self, returned: c_int, script: &Script, deletes: bool) {
        self.check_sizes(returned);
        if !self.plain() {
            return;
        }
        let all = |f: &&Filter| **f == Filter { exclude: f.exclude, ..Filter::default() };
        let including = || self.given.iter().filter(|f| !f.exclude);
        if deletes && (including().next().is_none() || including().any(|f| all(&f))) {
            assert_eq!(returned, -libc::EINVAL, "a delete of everything: {:?}", self.given);
        }
        let refused = match Selection::new(&self.given) {
            Ok(selection) => deletes && selection.refuse_everything().is_err(),
            Err(_) => true,
        };
        let refused = refused || self.behind;
        assert_eq!(returned == -libc::EINVAL, refused, "{:?}", self.given);
        assert!(!refused || script.requests().is_empty());
    }

    fn check_selected(&self, table: &[Entry], found: &[Entry]) {
        if self.plain() {
            let ids = |entries: &mut dyn Iterator<Item = &Entry>| {
                let mut ids: Vec<u32> = entries.map(|entry| entry.id).collect();
                ids.sort_unstable();
                ids
            };
            let mut wanted = table.iter().filter(|entry| judge::selected(&self.given, entry).is_some());
            assert_eq!(ids(&mut found.iter()), ids(&mut wanted), "{:?} of {table:?}", self.given);
        }
    }
}

/// A size that a struct says to have.
fn any_size(u: &mut Input, first_release: usize, own: usize) -> usize {
    match u.below(16) {
        0 => usize::from(u.below(5)),
        1 => usize::from(u.u8()) % first_release,
        2 | 3 => first_release + 8 * usize::from(u.u8()),
        4 => first_release + usize::from(u.below(32)),
        5 => u.one_of(&[4096, MOST - 8, MOST, MOST + 1, MOST + 8, 1 << 20, 1 << 31, u32::MAX as usize]),
        6 | 7 => first_release,
        _ => own,
    }
}

/// The filter as a C program writes it.
fn c_filter(f: &Filter) -> ct_filter {
    let mut c = ct_filter { size: size_of::<ct_filter>() as u32, ..Default::default() };
    let mut bits = 0;
    let mut set = |bit: u64, is: bool| bits |= if is { bit } else { 0 };
    set(CT_MATCH_FAMILY, f.family.is_some());
    c.family = f.family.unwrap_or_default().0;
    set(CT_MATCH_PROTO, f.proto.is_some());
    c.proto = f.proto.unwrap_or_default().0;
    set(CT_MATCH_ZONE, f.zone.is_some());
    c.zone = f.zone.unwrap_or_default().into();
    set(CT_MATCH_ORIG_ZONE, f.orig_zone.is_some());
    c.orig_zone = f.orig_zone.unwrap_or_default().into();
    set(CT_MATCH_REPLY_ZONE, f.reply_zone.is_some());
    c.reply_zone = f.reply_zone.unwrap_or_default().into();
    set(CT_MATCH_ID, f.id.is_some());
    c.id = f.id.unwrap_or_default();
    if let Some(Masked { value, mask }) = f.mark {
        set(CT_MATCH_MARK, true);
        (c.mark, c.mark_mask) = (value, mask);
    }
    set(CT_MATCH_STATUS, !(f.status_set | f.status_clear).is_empty());
    (c.status_set, c.status_clear) = (f.status_set.bits(), f.status_clear.bits());
    let nets: [(Option<Prefix>, u64, &mut [u8; 16], &mut u8); 4] = [
        (f.orig_src, CT_MATCH_ORIG_SRC, &mut c.orig_src, &mut c.orig_src_prefix),
        (f.orig_dst, CT_MATCH_ORIG_DST, &mut c.orig_dst, &mut c.orig_dst_prefix),
        (f.reply_src, CT_MATCH_REPLY_SRC, &mut c.reply_src, &mut c.reply_src_prefix),
        (f.reply_dst, CT_MATCH_REPLY_DST, &mut c.reply_dst, &mut c.reply_dst_prefix),
    ];
    for (prefix, bit, address, length) in nets {
        let Some(prefix) = prefix else { continue };
        set(bit | CT_MATCH_FAMILY, true);
        *length = prefix.length;
        c.family = match prefix.address {
            IpAddr::V4(v4) => {
                address[..4].copy_from_slice(&v4.octets());
                CT_FAMILY_IPV4
            }
            IpAddr::V6(v6) => {
                *address = v6.octets();
                CT_FAMILY_IPV6
            }
        };
    }
    let ports: [(&Option<RangeInclusive<u16>>, u64, &mut u16, &mut u16); 4] = [
        (&f.orig_sport, CT_MATCH_ORIG_SPORT, &mut c.orig_sport_first, &mut c.orig_sport_last),
        (&f.orig_dport, CT_MATCH_ORIG_DPORT, &mut c.orig_dport_first, &mut c.orig_dport_last),
        (&f.reply_sport, CT_MATCH_REPLY_SPORT, &mut c.reply_sport_first, &mut c.reply_sport_last),
        (&f.reply_dport, CT_MATCH_REPLY_DPORT, &mut c.reply_dport_first, &mut c.reply_dport_last),
    ];
    for (range, bit, first, last) in ports {
        if let Some(range) = range {
            set(bit, true);
            (*first, *last) = (*range.start(), *range.end());
        }
    }
    set(CT_MATCH_ICMP_TYPE, f.icmp_type.is_some());
    set(CT_MATCH_ICMP_CODE, f.icmp_code.is_some());
    set(CT_MATCH_ICMP_ID, f.icmp_id.is_some());
    c.icmp_type = f.icmp_type.unwrap_or_default();
    c.icmp_code = f.icmp_code.unwrap_or_default();
    c.icmp_id = f.icmp_id.unwrap_or_default();
    set(CT_MATCH_TCP_STATES, f.tcp_states.is_some());
    c.tcp_states = f.tcp_states.unwrap_or_default().bits();
    if let Some(Masked { value, mask }) = f.labels {
        set(CT_MATCH_LABELS, true);
        (c.labels, c.labels_mask) = (value, mask);
    }
    if let Some(name) = &f.helper {
        set(CT_MATCH_HELPER, true);
        for (to, from) in c.helper.iter_mut().zip(name.bytes()) {
            *to = from as c_char;
        }
    }
    (c.r#match, c.flags) = (bits, if f.exclude { CT_FILTER_EXCLUDE } else { 0 });
    c
}

/// A `ct_result` as a C program hands it in, right or wrong.
struct ResultRoom {
    room: Edge,
    size: usize,
    before: Vec<u8>,
    /// What must come of it, if it is wrong.
    wrong: Option<c_int>,
}

impl ResultRoom {
    fn of(u: &mut Input) -> ResultRoom {
        let own = size_of::<ct_result>();
        let size = if u.one_in(2) { any_size(u, RESULT_SIZE_V0, own) } else { own };
        // The sums of an earlier call.
        let mut content =
            ct_result { matched: 77, done: 76, failed: 1, first_error: -5, spared: 3, ..Default::default() };
        content.size = u32::try_from(size).unwrap_or(u32::MAX);
        content.flags = u32::from(u.below(4));
        let mut wrong = None;
        if u.one_in(12) {
            (content.flags, wrong) = (4 << u.below(30), Some(-libc::EINVAL));
        } else if u.one_in(12) {
            (content.pad0, wrong) = (1 << u.below(32), Some(-libc::EINVAL));
        }
        let known = own.min(size);
        let mut length = size;
        let mut tail = None;
        if size < RESULT_SIZE_V0 {
            (length, wrong) = (4, Some(-libc::EINVAL));
        } else if size > MOST {
            (length, wrong) = (4, Some(-libc::E2BIG));
        } else if size > own && u.one_in(3) {
            tail = Some(own + usize::from(u.u16()) % (size - own));
            wrong = Some(-libc::E2BIG);
        }
        let room = edge(u, length);
        room.put_bytes(0, &bytes_of(&content)[..known.max(4)]);
        if let Some(tail) = tail {
            room.put_bytes(tail, &[1]);
        }
        let before = room.bytes();
        ResultRoom { room, size, before, wrong }
    }

    /// Compares what came with what the header says of it.
    fn check(&self, returned: c_int) -> Option<ct_result> {
        let after = self.room.bytes();
        if let Some(wrong) = self.wrong {
            assert_eq!(returned, wrong, "size {}", self.size);
            assert!(after == self.before, "what is not understood is not written");
            return None;
        }
        let own = size_of::<ct_result>();
        let covered = if self.size >= own { own } else { RESULT_SIZE_V0 };
        assert!(after[..4] == self.before[..4] && after[covered..] == self.before[covered..], "written beyond");
        let mut known = [0; size_of::<ct_result>()];
        known[..covered].copy_from_slice(&after[..covered]);
        let told = unsafe { known.as_ptr().cast::<ct_result>().read_unaligned() };
        assert_eq!(told.matched, told.done + told.gone + told.failed + told.spared, "{told:?}");
        assert_eq!(told.failed > 0, told.first_error < 0, "{told:?}");
        assert_eq!((told.flags & !3, told.pad0), (0, 0));
        Some(told)
    }
}
