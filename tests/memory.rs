//! What is allocated: nothing for another entry of a stream, one array for a list, nothing for a text. And what happens if that
//! fails, where the real kernel cannot be brought to it; scripts/test-memory.sh has the rest.

#![allow(unsafe_code, reason = "an allocator that counts, and the C interface")]

#[allow(dead_code, reason = "shared with other tests")]
#[path = "support/kernel.rs"]
mod kernel;
#[path = "support/statuses.rs"]
mod statuses;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "support/transport.rs"]
mod transport;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "support/wire.rs"]
mod wire;

use ctrack::seams::{Received, Transport};
use ctrack::*;
use ctrack_c::abi::*;
use ctrack_c::text::ct_entry_format;
use statuses::Statuses;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

thread_local! {
    /// How often this thread has allocated, and how often a megabyte or more.
    static ALLOCATED: Cell<(u64, u64)> = const { Cell::new((0, 0)) };
    /// Which allocation of this thread fails, counted from now on, and whether all behind it do; 0: none does.
    static FAILS: Cell<(u64, bool)> = const { Cell::new((0, false)) };
    /// How many have failed.
    static FAILED: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

fn note(size: usize) {
    let (all, large) = ALLOCATED.get();
    ALLOCATED.set((all + 1, large + u64::from(size >= 1 << 20)));
}

/// Whether this allocation is to fail.
fn fails() -> bool {
    let (nth, rest) = FAILS.get();
    if nth > 1 {
        FAILS.set((nth - 1, rest));
    }
    if nth != 1 {
        return false;
    }
    FAILS.set((u64::from(rest), rest));
    FAILED.set(FAILED.get() + 1);
    true
}

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        if fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        if fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        note(size);
        if fails() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// How many allocations, and how many large ones, something takes.
fn allocations<T>(work: impl FnOnce() -> T) -> (u64, u64, T) {
    let (all, large) = ALLOCATED.get();
    let result = work();
    let (all_after, large_after) = ALLOCATED.get();
    (all_after - all, large_after - large, result)
}

/// The same with a failing allocation: the `nth`, and all behind it if `rest` is set. How many failed, and the result.
fn without_memory<T>(nth: u64, rest: bool, work: impl FnOnce() -> T) -> (u64, T) {
    FAILED.set(0);
    FAILS.set((nth, rest));
    let result = work();
    FAILS.set((0, false));
    (FAILED.get(), result)
}

/// A transport that has all the memory it wants: it stands for the kernel.
struct Kernel(Box<dyn Transport>);

impl Kernel {
    fn with_memory<T>(&mut self, work: impl FnOnce(&mut dyn Transport) -> T) -> T {
        let fails = FAILS.replace((0, false));
        let result = work(&mut *self.0);
        FAILS.set(fails);
        result
    }
}

impl Transport for Kernel {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.with_memory(|kernel| kernel.send(datagram))
    }

    fn recv(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<Received> {
        self.with_memory(|kernel| kernel.recv(buffer, deadline))
    }

    fn port(&self) -> u32 {
        self.0.port()
    }

    fn reset(&mut self) -> io::Result<()> {
        self.with_memory(|kernel| kernel.reset())
    }

    fn netns(&self) -> NetnsName {
        self.0.netns()
    }

    fn buckets(&mut self) -> Option<u64> {
        self.with_memory(|kernel| kernel.buckets())
    }
}

/// One at a time: resident memory is that of all threads.
static ALONE: Mutex<()> = Mutex::new(());

/// An id that is looked for in the messages, to give each its own.
const ID: u32 = 0xfeed_face;

/// A kernel with any number of entries, none of which it keeps: datagrams of 132 are written when they are asked for.
struct Endless {
    /// Messages of several layouts, each with the place of its id.
    messages: Vec<(Vec<u8>, usize)>,
    /// The message behind the last entry.
    end: Vec<u8>,
    entries: u32,
    sent: u32,
    seq: u32,
    /// What is asked: a dump, or how many there are.
    kind: u16,
    done: bool,
}

const IN_A_DATAGRAM: u32 = 132;

fn shapes() -> Vec<Entry> {
    let mut shapes = Vec::new();
    for (proto, zone, mark) in [(Proto::TCP, 0, 1), (Proto::TCP, 7, 0), (Proto::UDP, 0, 0), (Proto::UDP, 9, 5)] {
        for (src, dst) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            let key = Entry::key(proto, src.parse().unwrap(), 1000, dst.parse().unwrap(), 80).unwrap();
            let mut entry = key.in_zone(zone);
            entry.has |= Has::REPLY | Has::STATUS | Has::TIMEOUT | Has::ID;
            let orig = entry.orig;
            entry.reply = Tuple { src: orig.dst, dst: orig.src, sport: orig.dport, dport: orig.sport, ..orig };
            (entry.status, entry.timeout, entry.id) = (Status::from_bits_retain(0xe), 600, ID);
            if mark != 0 {
                (entry.has, entry.mark) = (entry.has | Has::MARK, mark);
            }
            if proto == Proto::TCP {
                (entry.has, entry.tcp_state) = (entry.has | Has::TCP_STATE, TcpState::ESTABLISHED);
            }
            shapes.push(entry);
        }
    }
    shapes
}

impl Endless {
    fn conntrack(entries: u32) -> Conntrack {
        let message = |entry: &Entry| {
            let bytes = kernel::message(kernel::NEW, kernel::F_MULTI, 0, transport::PORT, &kernel::encode(entry));
            let id = bytes.windows(4).position(|four| four == ID.to_be_bytes()).unwrap();
            (bytes, id)
        };
        let messages = shapes().iter().map(message).collect();
        let end = kernel::message(kernel::NLMSG_DONE, kernel::F_MULTI, 0, transport::PORT, &[0; 4]);
        let endless = Endless { messages, end, entries, sent: 0, seq: 0, kind: 0, done: true };
        Conntrack::over(Box::new(endless), Duration::from_secs(10))
    }
}

impl Transport for Endless {
    fn send(&mut self, datagram: &[u8]) -> io::Result<()> {
        self.kind = u16::from_ne_bytes([datagram[4], datagram[5]]);
        self.seq = u32::from_ne_bytes(datagram[8..12].try_into().unwrap());
        (self.sent, self.done) = (0, false);
        Ok(())
    }

    fn recv(&mut self, buffer: &mut [u8], _: Instant) -> io::Result<Received> {
        if self.done {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let mut length = 0;
        let mut put = |message: &[u8], seq: u32| {
            let place = &mut buffer[length..length + message.len()];
            place.copy_from_slice(message);
            place[8..12].copy_from_slice(&seq.to_ne_bytes());
            length += message.len();
        };
        if self.kind == kernel::GET_STATS {
            let count = kernel::attr(1, &self.entries.to_be_bytes());
            let stats = [&[0, 0, 0, 0][..], &count].concat();
            put(&kernel::message(kernel::GET_STATS, 0, 0, transport::PORT, &stats), self.seq);
            put(&kernel::message(kernel::NLMSG_ERROR, 0, 0, transport::PORT, &[0; 20]), self.seq);
            self.done = true;
        } else {
            let nothing = self.sent == self.entries;
            for _ in 0..IN_A_DATAGRAM.min(self.entries - self.sent) {
                let kind = self.sent as usize % self.messages.len();
                let (message, id) = &mut self.messages[kind];
                message[*id..*id + 4].copy_from_slice(&self.sent.to_be_bytes());
                put(message, self.seq);
                self.sent += 1;
            }
            if nothing {
                put(&self.end, self.seq);
                self.done = true;
            }
        }
        Ok(Received { length, sender: 0 })
    }

    fn port(&self) -> u32 {
        transport::PORT
    }

    fn reset(&mut self) -> io::Result<()> {
        self.done = true;
        Ok(())
    }

    fn netns(&self) -> NetnsName {
        NetnsName::default()
    }

    fn buckets(&mut self) -> Option<u64> {
        Some(262_144)
    }
}

/// Resident memory in KiB: now, and the most since the last call.
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    // 5: the mark of the most is set back.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    (field("VmRSS:"), field("VmHWM:"))
}

#[test]
fn the_allocator_counts() {
    let (all, large, _) = allocations(|| vec![1u8; 2 << 20]);
    assert_eq!((all, large), (1, 1));
    let (all, large, _) = allocations(|| (Box::new(1), String::from("x")));
    assert_eq!((all, large), (2, 0));
}

#[test]
fn a_stream_of_a_million_entries_allocates_nothing_after_the_first_batch_and_keeps_nothing() {
    let _alone = ALONE.lock().unwrap();
    let mut conntrack = Endless::conntrack(1_000_000);
    let mut entry = Entry::EMPTY;
    conntrack.dump_start(&[]).unwrap();
    // As many as the decoder takes to know the layouts.
    for _ in 0..64 * 8 {
        assert!(conntrack.dump_next(&mut entry).unwrap());
    }
    let (before, _) = resident();
    let (all, _, (count, ids)) = allocations(|| {
        let (mut count, mut ids) = (0u64, 0u64);
        while conntrack.dump_next(&mut entry).unwrap() {
            (count, ids) = (count + 1, ids + u64::from(entry.id));
        }
        (count, ids)
    });
    let (_, most) = resident();
    assert_eq!((count, ids), (1_000_000 - 512, (512..1_000_000).sum()));
    assert_eq!(all, 0, "allocations");
    // The kernel counts pages roughly. If entries were kept it was 256 MB.
    assert!(most - before < 4096, "resident memory grew by {} KiB", most - before);
}

#[test]
fn a_list_is_kept_in_one_array_whose_size_is_known_before() {
    let _alone = ALONE.lock().unwrap();
    let mut conntrack = Endless::conntrack(100_000);
    let (all, large, entries) = allocations(|| conntrack.list(&[]).unwrap());
    assert_eq!(entries.len(), 100_000);
    assert!(entries.iter().enumerate().all(|(at, entry)| entry.id as usize == at));
    assert_eq!(large, 1, "arrays");
    assert!(all < 40, "{all} allocations for one list");
}

#[test]
fn a_text_allocates_nothing() {
    let mut text = [0; 4096];
    for mut entry in shapes() {
        entry.has |= Has::START | Has::ORIG_COUNTERS | Has::REPLY_COUNTERS | Has::LABELS | Has::HELPER;
        (entry.start_ns, entry.labels[3], entry.helper[0]) = (1, 255, b'x' as std::ffi::c_char);
        for format in [CT_FORMAT_LINE | CT_FORMAT_EXTENDED | CT_FORMAT_ID, CT_FORMAT_JSON] {
            let (all, _, length) = allocations(|| {
                // SAFETY: an entry and a buffer of that size.
                unsafe { ct_entry_format(&entry, format, text.as_mut_ptr().cast(), text.len()) }
            });
            assert!(length > 100 && all == 0, "{length} bytes, {all} allocations");
        }
    }
}

#[test]
fn the_allocator_fails_when_it_is_told_to() {
    let attempt = || Vec::<u8>::new().try_reserve(1).is_ok();
    let three = || [attempt(), attempt(), attempt()];
    assert_eq!(without_memory(2, false, three), (1, [true, false, true]));
    assert_eq!(without_memory(2, true, three), (2, [true, false, false]));
    assert_eq!(without_memory(0, false, three), (0, [true, true, true]));
}

#[test]
fn an_error_is_kept_where_memory_is_short_if_not_with_all_of_its_text() {
    let invalid =
        Error::Invalid { place: "filter[3].zone".to_owned().into(), reason: "9 is too large".to_owned().into() };
    let detail = KernelDetail { message: Some("no".into()), offset: Some(20), attribute: Some("CTA_ZONE") };
    let refused = Error::Kernel { op: "create", errno: libc::EINVAL, detail };
    for error in [&invalid, &refused] {
        assert_eq!(without_memory(0, false, || error.clone()), (0, error.clone()));
        let (failed, copy) = without_memory(1, true, || error.clone());
        assert!(failed > 0 && copy.errno() == error.errno(), "{copy}");
    }
    assert_eq!(without_memory(1, true, || invalid.clone()).1.to_string(), "argument: is wrong");
    let (_, copy) = without_memory(1, true, || refused.clone());
    assert_eq!(copy.to_string(), "create: invalid argument (attribute CTA_ZONE, offset 20)");
}

/// Runs something with each of its allocations failing, until it makes no more of them.
fn each_allocation(mut work: impl FnMut(u64, bool) -> u64) {
    for rest in [false, true] {
        let tried = (1..).take_while(|nth| work(*nth, rest) > 0).count();
        assert!(tried > 2, "{tried} allocations: that tells nothing");
    }
}

#[test]
fn a_list_that_memory_runs_out_for_leaves_a_link_that_lists_all_whether_it_can_be_reset_or_not() {
    let entries: Vec<Entry> = (0..300)
        .map(|port| Entry::key(Proto::UDP, [10, 0, 0, 1].into(), port, [10, 0, 0, 2].into(), 53).unwrap())
        .collect();
    let table = kernel::Table::new(&entries);
    for can_reset in [true, false] {
        each_allocation(|nth, rest| {
            let answering = table.clone();
            let script = transport::Script::new(move |_, requests| answering.answer(requests));
            script.state().can_reset = can_reset;
            // The list is disturbed once, and made again.
            script.state().buckets = [Some(1), Some(1), Some(1), Some(2)].into();
            let mut conntrack = Conntrack::over(Box::new(Kernel(script.transport())), Duration::from_secs(10));
            let (failed, list) = without_memory(nth, rest, || conntrack.list(&[]));
            match list {
                Ok(list) => assert_eq!(list.len(), entries.len(), "allocation {nth}"),
                Err(error) => {
                    assert_eq!(error.to_string(), "list: out of memory");
                    assert_eq!((error, failed > 0), (Error::NoMemory { op: "list" }, true), "allocation {nth}")
                }
            }
            assert_eq!(conntrack.list(&[]).unwrap().len(), entries.len(), "after allocation {nth}");
            failed
        });
    }
}

#[test]
fn what_the_kernel_says_about_a_refusal_may_be_lost_but_not_the_refusal() {
    let entry = Entry::key(Proto::UDP, [10, 0, 0, 1].into(), 1, [10, 0, 0, 2].into(), 53).unwrap();
    let mut entry = Entry { has: entry.has | Has::TIMEOUT, ..entry };
    entry.timeout = 9;
    let mut told = [0, 0];
    each_allocation(|nth, rest| {
        let message = kernel::attr(1, b"not \xff today\0");
        let script = transport::Script::new(move |_, requests| {
            let refused =
                requests.iter().map(|request| kernel::ack_with(request, libc::ERANGE, std::slice::from_ref(&message)));
            vec![kernel::datagram(&refused.collect::<Vec<_>>())]
        });
        let mut conntrack = Conntrack::over(Box::new(Kernel(script.transport())), Duration::from_secs(10));
        let (failed, made) = without_memory(nth, rest, || conntrack.create_entries(&[entry]));
        match made {
            Ok(made) => {
                assert_eq!((made.status(), made.outcome.failed), (vec![-libc::ERANGE], 1));
                let error = made.outcome.error.unwrap().to_string();
                let whole = "create_entries: value out of range: kernel: not \u{fffd} today";
                assert!(whole.starts_with(&error) && error.len() > 30, "{error}");
                told[usize::from(error == whole)] += 1;
            }
            Err(error) => assert!(matches!(error, Error::NoMemory { .. }) && script.requests().is_empty(), "{error}"),
        }
        failed
    });
    assert!(told[0] > 0 && told[1] > 0, "without and with the kernel's words: {told:?}");
}
