//! The C boundary as a careless C program meets it, over a scripted transport.
#![allow(
    clippy::undocumented_unsafe_blocks,
    reason = "every block is one call of a C function; what is passed is made right above it, or wrong on purpose"
)]

use super::abi::*;
use super::change::*;
use super::delete::*;
use super::dump::*;
use super::flush::*;
use super::open::*;
use super::process::Process;
use super::read::*;
use super::text::*;
use ctnetlink::types::*;
use ctrack::{Conntrack, Format};
use kernel::Table;
use std::ffi::{c_char, c_int, CStr};
use std::mem::{offset_of, size_of};
use std::ptr::{null, null_mut};
use std::sync::atomic::Ordering;
use transport::{Script, TIMEOUT};

mod edges;
mod statuses;
mod watches;

#[allow(dead_code, reason = "shared with the fuzz bodies")]
#[path = "../tests/support/edge.rs"]
mod edge;
#[allow(dead_code, missing_docs, reason = "shared with other tests")]
#[path = "../tests/support/kernel.rs"]
mod kernel;
#[allow(dead_code, missing_docs, reason = "shared with other tests")]
#[path = "../tests/support/transport.rs"]
mod transport;
#[allow(dead_code, missing_docs, reason = "shared with other tests")]
#[path = "../tests/support/wire.rs"]
mod wire;

/// A handle as C has it, closed in the end.
struct Handle(*mut ct_handle);

impl Drop for Handle {
    fn drop(&mut self) {
        unsafe { ct_handle_close(self.0) };
    }
}

impl Handle {
    fn over(script: &Script) -> Handle {
        Handle(Box::into_raw(ct_handle::new(Conntrack::over(script.transport(), TIMEOUT)).unwrap()))
    }

    fn error(&self) -> String {
        unsafe { CStr::from_ptr(ct_handle_error(self.0)) }.to_str().unwrap().to_owned()
    }
}

fn on(entries: &[Entry]) -> (Handle, Script, Table) {
    let table = Table::new(entries);
    let kernel = table.clone();
    let script = Script::new(move |_, requests| kernel.answer(requests));
    (Handle::over(&script), script, table)
}

fn key(port: u16) -> Entry {
    Entry::key(Proto::UDP, "10.0.0.1".parse().unwrap(), port, "10.0.0.2".parse().unwrap(), 53).unwrap()
}

/// As the kernel lists it.
fn udp(port: u16) -> Entry {
    let mut entry = key(port);
    entry.has |= Has::REPLY | Has::STATUS | Has::TIMEOUT | Has::MARK | Has::ID;
    entry.reply = Tuple { src: entry.orig.dst, dst: entry.orig.src, sport: 53, dport: port, ..Tuple::EMPTY };
    (entry.id, entry.status, entry.timeout) = (port.into(), Status::CONFIRMED, 100);
    entry
}

/// To be created or updated.
fn change(port: u16) -> Entry {
    Entry { has: key(port).has | Has::TIMEOUT, timeout: 9, ..key(port) }
}

fn filter() -> ct_filter {
    ct_filter { size: size_of::<ct_filter>() as u32, ..Default::default() }
}

fn ipv4() -> ct_filter {
    ct_filter { r#match: CT_MATCH_FAMILY, family: CT_FAMILY_IPV4, ..filter() }
}

fn result() -> ct_result {
    ct_result { size: size_of::<ct_result>() as u32, ..Default::default() }
}

fn opts() -> ct_open_opts {
    ct_open_opts { size: size_of::<ct_open_opts>() as u32, ..Default::default() }
}

/// A struct of a later release: it grew by 16 bytes.
#[repr(C)]
#[derive(Clone, Copy)]
struct Larger<T> {
    known: T,
    more: [u64; 2],
}

/// A field, by name, and something that it can be set to.
type SetIn<T> = (&'static str, fn(&mut T));

type Call = (&'static str, fn(&Handle) -> c_int);

/// Every function that works on a handle, with arguments that are right.
const CALLS: [Call; 12] = [
    ("ct_list", |h| {
        let (mut entries, mut count) = (null_mut(), 0);
        let returned = unsafe { ct_list(h.0, null(), 0, &mut entries, &mut count) };
        unsafe { ct_entries_free(entries) };
        returned
    }),
    ("ct_get", |h| unsafe { ct_get(h.0, &key(1), &mut Entry::EMPTY.clone()) }),
    ("ct_count", |h| unsafe { ct_count(h.0, &mut 0) }),
    ("ct_zone_find_free", |h| unsafe { ct_zone_find_free(h.0, 0, 9, &mut 0) }),
    ("ct_dump_start", |h| unsafe { ct_dump_start(h.0, null(), 0) }),
    ("ct_dump_next", |h| unsafe { ct_dump_next(h.0, [Entry::EMPTY; 8].as_mut_ptr(), 8) }),
    ("ct_dump_end", |h| unsafe { ct_dump_end(h.0) }),
    ("ct_delete", |h| unsafe { ct_delete(h.0, &ipv4(), 1, 0, &mut result()) }),
    ("ct_delete_entries", |h| unsafe { ct_delete_entries(h.0, &udp(1), 1, &mut 0, &mut result()) }),
    ("ct_create_entries", |h| unsafe { ct_create_entries(h.0, &change(77), 1, &mut 0, &mut result()) }),
    ("ct_update_entries", |h| unsafe { ct_update_entries(h.0, &change(2), 1, &mut 0, &mut result()) }),
    ("ct_flush", |h| unsafe { ct_flush(h.0, null(), CT_FLUSH_ALL) }),
];

#[test]
fn every_call_succeeds_with_right_arguments() {
    let (h, _, table) = on(&[udp(1), udp(2)]);
    for (name, call) in CALLS {
        let expected = if name == "ct_dump_next" { 2 } else { 0 };
        assert_eq!(call(&h), expected, "{name}: {}", h.error());
        assert_eq!(h.error(), "");
        if name == "ct_delete" {
            table.change(|entries| *entries = vec![udp(1), udp(2)]);
        }
    }
    assert_eq!(table.entries(), []);
}

#[test]
fn a_null_handle_is_refused_by_every_call() {
    let h = Handle(null_mut());
    for (name, call) in CALLS {
        assert_eq!(call(&h), -libc::EINVAL, "{name}");
    }
    assert_eq!(h.error(), "", "and has no error text");
}

#[test]
fn null_for_any_other_pointer_is_refused_by_name_and_nothing_is_sent() {
    let (h, script, _) = on(&[udp(1)]);
    let e = udp(1);
    let f = ipv4();
    let (mut array, mut count, mut count64, mut zone, mut status) = (null_mut(), 0, 0, 0, 0);
    let (mut entry, mut r) = (Entry::EMPTY, result());
    let calls: [(&str, &mut dyn FnMut() -> c_int); 19] = unsafe {
        [
            ("ret_entries", &mut || ct_list(h.0, null(), 0, null_mut(), &mut 0)),
            ("ret_count", &mut || ct_list(h.0, null(), 0, &mut array, null_mut())),
            ("filter", &mut || ct_list(h.0, null(), 1, &mut null_mut(), &mut count)),
            ("key", &mut || ct_get(h.0, null(), &mut entry)),
            ("ret_entry", &mut || ct_get(h.0, &e, null_mut())),
            ("ret_count", &mut || ct_count(h.0, null_mut())),
            ("ret_zone", &mut || ct_zone_find_free(h.0, 0, 1, null_mut())),
            ("filter", &mut || ct_dump_start(h.0, null(), 1)),
            ("filter", &mut || ct_delete(h.0, null(), 1, 0, &mut result())),
            ("result", &mut || ct_delete(h.0, &f, 1, 0, null_mut())),
            ("entries", &mut || ct_delete_entries(h.0, null(), 1, &mut status, &mut r)),
            ("status", &mut || ct_delete_entries(h.0, &e, 1, null_mut(), &mut result())),
            ("result", &mut || ct_delete_entries(h.0, &e, 1, &mut 0, null_mut())),
            ("entries", &mut || ct_create_entries(h.0, null(), 1, &mut 0, &mut result())),
            ("status", &mut || ct_create_entries(h.0, &e, 1, null_mut(), &mut result())),
            ("result", &mut || ct_create_entries(h.0, &e, 1, &mut 0, null_mut())),
            ("entries", &mut || ct_update_entries(h.0, null(), 1, &mut 0, &mut result())),
            ("status", &mut || ct_update_entries(h.0, &e, 1, null_mut(), &mut result())),
            ("result", &mut || ct_update_entries(h.0, &e, 1, &mut 0, null_mut())),
        ]
    };
    for (name, call) in calls {
        assert_eq!(call(), -libc::EINVAL, "{name}");
        assert_eq!(h.error(), format!("{name}: is NULL"));
    }
    assert_eq!(unsafe { ct_flush(h.0, null(), 0) }, -libc::EINVAL);
    assert_eq!(unsafe { ct_dump_next(h.0, null_mut(), 1) }, -libc::EINVAL);
    assert_eq!(unsafe { ct_entry_format(null(), CT_FORMAT_LINE, null_mut(), 0) }, -libc::EINVAL);
    assert_eq!(unsafe { ct_entry_format(&e, CT_FORMAT_LINE, null_mut(), 1) }, -libc::EINVAL);
    assert_eq!(unsafe { ct_handle_open(null_mut(), null()) }, -libc::EINVAL);
    assert_eq!(script.requests(), []);
    assert!(array.is_null());
    count64 += unsafe { ct_count(h.0, &mut count64) } as u64;
    unsafe { ct_zone_find_free(h.0, 0, 1, &mut zone) };
    assert_eq!((count, count64, zone), (0, 1, 1), "and the handle is as good as new");
}

#[test]
#[cfg_attr(miri, ignore = "has no netlink sockets")]
fn null_is_fine_where_the_manual_says_so() {
    unsafe { ct_handle_close(null_mut()) };
    unsafe { ct_entries_free(null_mut()) };
    let mut handle = null_mut();
    assert_eq!(unsafe { ct_handle_open(&mut handle, null()) }, 0);
    drop(Handle(handle));
    let (h, script, _) = on(&[udp(1)]);
    for call in [ct_delete_entries, ct_create_entries, ct_update_entries] {
        assert_eq!(unsafe { call(h.0, null(), 0, null_mut(), &mut result()) }, 0);
    }
    assert_eq!(script.requests(), []);
    assert!(unsafe { ct_entry_format(&udp(1), CT_FORMAT_LINE, null_mut(), 0) } > 0);
}

#[test]
fn results_are_left_alone_by_calls_that_fail() {
    let script = Script::new(|_, requests| vec![kernel::datagram(&[kernel::ack(&requests[0], libc::EPERM)])]);
    let h = Handle::over(&script);
    let mut array = 0x1000 as *mut Entry;
    let (mut count, mut count64, mut zone, mut entry) = (7, 8u64, 9, udp(10));
    assert_eq!(unsafe { ct_list(h.0, null(), 0, &mut array, &mut count) }, -libc::EPERM);
    assert_eq!(unsafe { ct_count(h.0, &mut count64) }, -libc::EPERM);
    assert_eq!(unsafe { ct_zone_find_free(h.0, 0, 9, &mut zone) }, -libc::EPERM);
    assert_eq!(unsafe { ct_get(h.0, &key(1), &mut entry) }, -libc::EPERM);
    assert!(h.error().contains("CAP_NET_ADMIN"), "{}", h.error());
    assert_eq!((array as usize, count, count64, zone), (0x1000, 7, 8, 9));
    assert!(entry == udp(10));
    let mut handle = 0x1000 as *mut ct_handle;
    assert_eq!(unsafe { ct_handle_open(&mut handle, &ct_open_opts { flags: 4, ..opts() }) }, -libc::EINVAL);
    assert_eq!(handle as usize, 0x1000);
}

#[test]
#[cfg_attr(miri, ignore = "has no netlink sockets")]
fn the_size_of_open_options_is_checked_before_anything_else() {
    let open = |opts: *const ct_open_opts| {
        let mut handle = null_mut();
        let returned = unsafe { ct_handle_open(&mut handle, opts) };
        drop(Handle(handle));
        returned
    };
    for (size, expected) in [
        (0, -libc::EINVAL),
        (4, -libc::EINVAL),
        (OPEN_OPTS_SIZE_V0 as u32 - 1, -libc::EINVAL),
        (OPEN_OPTS_SIZE_V0 as u32, 0),
        (u32::MAX, -libc::E2BIG),
        (1 << 31, -libc::E2BIG),
    ] {
        assert_eq!(open(&ct_open_opts { size, ..opts() }), expected, "size {size}");
    }
    let mut larger = Larger { known: opts(), more: [0; 2] };
    larger.known.size = size_of::<Larger<ct_open_opts>>() as u32;
    assert_eq!(open((&raw const larger).cast()), 0);
    larger.more[1] = 1 << 63;
    assert_eq!(open((&raw const larger).cast()), -libc::E2BIG);
}

#[test]
#[cfg_attr(miri, ignore = "has no netlink sockets")]
fn open_options_that_make_no_sense_are_refused() {
    let file = std::fs::File::open("/dev/null").unwrap();
    let fd = std::os::fd::AsRawFd::as_raw_fd(&file);
    for (opts, expected) in [
        (ct_open_opts { flags: 1 << 2, ..opts() }, -libc::EINVAL),
        (ct_open_opts { flags: 1 << 31, ..opts() }, -libc::EINVAL),
        (ct_open_opts { pad0: 1, ..opts() }, -libc::EINVAL),
        (ct_open_opts { netns_fd: fd, ..opts() }, -libc::EINVAL),
        (ct_open_opts { netns_fd: -1, ..opts() }, -libc::EINVAL),
        (ct_open_opts { flags: CT_OPEN_NETNS, netns_fd: -1, ..opts() }, -libc::EBADF),
        (ct_open_opts { flags: CT_OPEN_NETNS, netns_fd: i32::MAX, ..opts() }, -libc::EBADF),
        (ct_open_opts { flags: CT_OPEN_NETNS, netns_fd: fd, ..opts() }, -libc::EINVAL),
        (ct_open_opts { timeout_ms: u32::MAX, rcvbuf: u32::MAX, ..opts() }, 0),
        (ct_open_opts { timeout_ms: 1, rcvbuf: 1, ..opts() }, 0),
    ] {
        let mut handle = null_mut();
        assert_eq!(unsafe { ct_handle_open(&mut handle, &opts) }, expected, "{opts:?}");
        assert_eq!(handle.is_null(), expected != 0);
        drop(Handle(handle));
    }
}

#[test]
fn the_size_of_filters_is_checked_in_every_call_that_takes_them() {
    let (h, script, _) = on(&[udp(1)]);
    let v0 = FILTER_SIZE_V0 as u32;
    for (size, expected) in [(0, -libc::EINVAL), (4, -libc::EINVAL), (v0 - 1, -libc::EINVAL), (u32::MAX, -libc::E2BIG)]
    {
        let f = ct_filter { size, ..ipv4() };
        assert_eq!(unsafe { ct_list(h.0, &f, 1, &mut null_mut(), &mut 0) }, expected);
        assert!(h.error().starts_with("filter[0].size: "), "{}", h.error());
        assert_eq!(unsafe { ct_dump_start(h.0, &f, 1) }, expected);
        assert_eq!(unsafe { ct_delete(h.0, &f, 1, 0, &mut result()) }, expected);
        assert_eq!(unsafe { ct_flush(h.0, &f, 0) }, expected);
        assert!(h.error().starts_with("scope.size: "), "{}", h.error());
    }
    assert_eq!(script.requests(), []);
    assert_eq!(unsafe { ct_flush(h.0, &ct_filter { size: v0, ..ipv4() }, 0) }, 0);
}

#[test]
fn a_field_that_counts_and_lies_behind_the_size_of_its_filter_is_refused_in_every_call_that_takes_filters() {
    let (h, script, table) = on(&[udp(1)]);
    for (bit, name) in [(CT_MATCH_ORIG_ZONE, "orig_zone"), (CT_MATCH_REPLY_ZONE, "reply_zone"), (CT_MATCH_ID, "id")] {
        // What lies behind is not the library's to read, so it would be 0: entries in no zone, not those of zone 5.
        let small = ct_filter { size: FILTER_SIZE_V0 as u32, ..ipv4() };
        for (flags, size_is_wrong) in [(0, true), (CT_FILTER_EXCLUDE, true), (0, false)] {
            let mut f = ct_filter { flags, r#match: small.r#match | bit, ..small };
            if !size_is_wrong {
                f.size = size_of::<ct_filter>() as u32;
            }
            (f.orig_zone, f.reply_zone, f.id) = (0, 0, 0);
            let (mut array, mut count) = (null_mut(), 0);
            let listed = unsafe { ct_list(h.0, &f, 1, &mut array, &mut count) };
            unsafe { ct_entries_free(array) };
            assert_eq!(listed, if size_is_wrong { -libc::EINVAL } else { 0 }, "{name}: {}", h.error());
            if size_is_wrong {
                let why = format!("filter[0].{name}: lies behind the size of the filter, but its bit in match is set");
                assert!(h.error().ends_with(&why), "{}", h.error());
                let sent = script.requests().len();
                assert_eq!(unsafe { ct_dump_start(h.0, &f, 1) }, -libc::EINVAL);
                assert_eq!(unsafe { ct_delete(h.0, &f, 1, 0, &mut result()) }, -libc::EINVAL);
                assert_eq!(unsafe { ct_delete(h.0, &f, 1, CT_DELETE_UNCOUNTED, &mut result()) }, -libc::EINVAL);
                assert_eq!(unsafe { ct_flush(h.0, &f, 0) }, -libc::EINVAL);
                assert_eq!(script.requests().len(), sent, "{name}");
            }
        }
    }
    assert_eq!(table.entries(), [udp(1)]);
}

#[test]
fn filters_of_a_later_release_are_taken_one_by_one_at_their_own_distance() {
    let entries: Vec<Entry> = (0..10).map(udp).collect();
    let (h, script, table) = on(&entries);
    let port = |port: u16| {
        let mut known = ipv4();
        known.size = size_of::<Larger<ct_filter>>() as u32;
        known.r#match |= CT_MATCH_PROTO | CT_MATCH_ORIG_SPORT;
        known.proto = CT_PROTO_UDP;
        (known.orig_sport_first, known.orig_sport_last) = (port, port);
        Larger { known, more: [0; 2] }
    };
    let mut filters = [port(2), port(5), port(7)];
    let (mut array, mut count) = (null_mut(), 0);
    assert_eq!(unsafe { ct_list(h.0, filters.as_ptr().cast(), 3, &mut array, &mut count) }, 0, "{}", h.error());
    let listed = unsafe { std::slice::from_raw_parts(array, count) };
    assert!(listed == [udp(2), udp(5), udp(7)]);
    unsafe { ct_entries_free(array) };

    let sent = script.requests().len();
    filters[1].more[0] = 1;
    let mut r = result();
    assert_eq!(unsafe { ct_delete(h.0, filters.as_ptr().cast(), 3, 0, &mut r) }, -libc::E2BIG);
    assert!(h.error().starts_with("filter[1]: "), "{}", h.error());
    filters[1].more[0] = 0;
    filters[2].known.size = FILTER_SIZE_V0 as u32;
    assert_eq!(unsafe { ct_delete(h.0, filters.as_ptr().cast(), 3, 0, &mut r) }, -libc::EINVAL);
    assert!(h.error().starts_with("filter[2].size: "), "{}", h.error());
    let scope = Larger { known: ct_filter { size: size_of::<Larger<ct_filter>>() as u32, ..ipv4() }, more: [0, 1] };
    assert_eq!(unsafe { ct_flush(h.0, (&raw const scope).cast(), 0) }, -libc::E2BIG);
    assert_eq!(script.requests().len(), sent);
    assert_eq!(table.entries(), entries);
}

#[test]
fn the_size_of_a_result_is_checked_before_anything_is_sent() {
    let (h, script, _) = on(&[udp(1)]);
    let e = udp(1);
    let calls = |r: *mut ct_result| unsafe {
        [
            ct_delete(h.0, &ipv4(), 1, 0, r),
            ct_delete_entries(h.0, &e, 1, &mut 0, r),
            ct_create_entries(h.0, &change(9), 1, &mut 0, r),
            ct_update_entries(h.0, &change(9), 1, &mut 0, r),
        ]
    };
    let v0 = RESULT_SIZE_V0 as u32;
    for (size, expected) in [(0, -libc::EINVAL), (v0 - 1, -libc::EINVAL), (u32::MAX, -libc::E2BIG)] {
        let mut r = ct_result { size, matched: 99, ..result() };
        assert_eq!(calls(&mut r), [expected; 4], "size {size}");
        assert_eq!(r, ct_result { size, matched: 99, ..result() }, "what is not understood is not written");
    }
    for wrong in [ct_result { flags: 4, ..result() }, ct_result { pad0: 1, ..result() }] {
        assert_eq!(calls(&mut wrong.clone()), [-libc::EINVAL; 4]);
    }
    let mut larger = Larger { known: result(), more: [0, 1] };
    larger.known.size = size_of::<Larger<ct_result>>() as u32;
    assert_eq!(calls((&raw mut larger).cast()), [-libc::E2BIG; 4]);
    assert_eq!(script.requests(), []);

    larger.more[1] = 0;
    assert_eq!(unsafe { ct_delete_entries(h.0, &e, 1, &mut 7, (&raw mut larger).cast()) }, 0);
    assert_eq!((larger.known.matched, larger.known.done, larger.more), (1, 1, [0; 2]));
    assert_eq!(larger.known.size, size_of::<Larger<ct_result>>() as u32, "the size stays the caller's");
}

#[test]
#[cfg_attr(miri, ignore = "takes minutes")]
fn a_panic_in_any_operation_is_caught_and_makes_the_handle_unusable() {
    for (name, call) in CALLS {
        let (h, script, _) = on(&[udp(1), udp(2)]);
        match name {
            "ct_dump_next" => {
                assert_eq!(unsafe { ct_dump_start(h.0, null(), 0) }, 0);
                script.state().panic_in_recv = true;
            }
            "ct_dump_end" => {
                assert_eq!(unsafe { ct_dump_start(h.0, null(), 0) }, 0);
                script.state().panic_in_reset = true;
            }
            _ => script.state().panic_in_send = true,
        }
        assert_eq!(call(&h), -libc::ENOTRECOVERABLE, "{name}");
        assert!(h.error().contains("internal error"), "{name}: {}", h.error());

        // Even when the cause is gone.
        let mut state = script.state();
        (state.panic_in_send, state.panic_in_recv, state.panic_in_reset) = (false, false, false);
        drop(state);
        let sent = script.requests().len();
        for (other, call) in CALLS {
            assert_eq!(call(&h), -libc::ENOTRECOVERABLE, "{other} after {name}");
            assert!(h.error().contains("internal error"), "{other} after {name}: {}", h.error());
        }
        assert_eq!(script.requests().len(), sent, "nothing is sent any more");
    }
}

#[test]
fn a_panic_leaves_results_alone_and_never_passes_for_success() {
    let (h, script, _) = on(&[udp(1)]);
    script.state().panic_in_recv = true;
    let mut array = 0x1000 as *mut Entry;
    let mut count = 7;
    assert_eq!(unsafe { ct_list(h.0, null(), 0, &mut array, &mut count) }, -libc::ENOTRECOVERABLE);
    assert_eq!((array as usize, count), (0x1000, 7));

    let (h, script, _) = on(&[udp(1)]);
    script.state().panic_in_recv = true;
    let (mut status, mut r) = ([77; 2], result());
    let returned = unsafe { ct_delete_entries(h.0, [udp(1), udp(2)].as_ptr(), 2, status.as_mut_ptr(), &mut r) };
    assert_eq!(returned, -libc::ENOTRECOVERABLE);
    assert_eq!((r.done, r.gone), (0, 0));
    assert!(!status.contains(&0), "a fate that is not known must not look like success: {status:?}");
}

#[test]
fn a_panic_in_close_is_caught() {
    struct Bomb(Box<dyn ctrack::seams::Transport>);
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("wanted by the test");
        }
    }
    impl ctrack::seams::Transport for Bomb {
        fn send(&mut self, datagram: &[u8]) -> std::io::Result<()> {
            self.0.send(datagram)
        }
        fn recv(
            &mut self,
            buffer: &mut [u8],
            deadline: std::time::Instant,
        ) -> std::io::Result<ctrack::seams::Received> {
            self.0.recv(buffer, deadline)
        }
        fn port(&self) -> u32 {
            self.0.port()
        }
        fn reset(&mut self) -> std::io::Result<()> {
            self.0.reset()
        }
        fn netns(&self) -> ctrack::NetnsName {
            self.0.netns()
        }
        fn buckets(&mut self) -> Option<u64> {
            self.0.buckets()
        }
    }
    let script = Script::new(|_, _| Vec::new());
    let bomb = Box::new(Bomb(script.transport()));
    unsafe { ct_handle_close(Box::into_raw(ct_handle::new(Conntrack::over(bomb, TIMEOUT)).unwrap())) };
}

#[test]
fn a_handle_in_use_is_busy_and_one_of_a_parent_is_no_childs() {
    let (h, script, _) = on(&[udp(1)]);
    assert_eq!(unsafe { ct_flush(h.0, null(), 0) }, -libc::EINVAL);
    let before = h.error();
    assert!(!before.is_empty());
    // No reference that lives on: the calls below make their own.
    unsafe { (*h.0).guard.busy.store(true, Ordering::Relaxed) };
    for (name, call) in CALLS {
        assert_eq!(call(&h), -libc::EBUSY, "{name}");
    }
    assert_eq!(h.error(), "another thread is using the handle");
    unsafe { (*h.0).guard.busy.store(false, Ordering::Relaxed) };
    assert_eq!(h.error(), before, "busy calls do not change the text");

    let own = unsafe { (*h.0).guard.opener };
    unsafe { (*h.0).guard.opener = Process::parent_of(own) };
    for (name, call) in CALLS {
        assert_eq!(call(&h), -libc::ECHILD, "{name}");
    }
    assert!(h.error().contains("parent process"), "{}", h.error());
    unsafe { (*h.0).guard.opener = own };
    assert_eq!(h.error(), before);
    assert_eq!(script.requests(), []);
}

#[test]
fn the_port_of_a_handle_is_told_to_whom_the_handle_is_free_for_and_also_while_a_dump_is_open() {
    let port = |handle: *mut ct_handle| unsafe { ct_handle_get_portid(handle, &mut 7) };
    assert_eq!(port(null_mut()), -libc::EINVAL);
    let (h, script, _) = on(&[udp(1)]);
    assert_eq!(unsafe { ct_handle_get_portid(h.0, null_mut()) }, -libc::EINVAL);
    assert_eq!(h.error(), "ret_portid: is NULL");
    unsafe { (*h.0).guard.busy.store(true, Ordering::Relaxed) };
    assert_eq!(port(h.0), -libc::EBUSY);
    unsafe { (*h.0).guard.busy.store(false, Ordering::Relaxed) };
    let own = unsafe { (*h.0).guard.opener };
    unsafe { (*h.0).guard.opener = Process::parent_of(own) };
    assert_eq!(port(h.0), -libc::ECHILD);
    unsafe { (*h.0).guard.opener = own };
    assert_eq!(script.requests(), []);
    assert_eq!(unsafe { ct_dump_start(h.0, null(), 0) }, 0);
    assert_eq!(port(h.0), 0);
    assert_eq!(unsafe { ct_dump_end(h.0) }, 0);
    script.state().panic_in_send = true;
    assert_eq!(unsafe { ct_count(h.0, &mut 0) }, -libc::ENOTRECOVERABLE);
    script.state().panic_in_send = false;
    assert_eq!(port(h.0), -libc::ENOTRECOVERABLE);
}

#[test]
fn an_open_dump_makes_every_other_call_busy() {
    let (h, _, table) = on(&[udp(1), udp(2), udp(3)]);
    assert_eq!(unsafe { ct_dump_start(h.0, null(), 0) }, 0);
    for (name, call) in CALLS {
        if !["ct_dump_next", "ct_dump_end"].contains(&name) {
            assert_eq!(call(&h), -libc::EBUSY, "{name}");
            assert!(h.error().contains("a dump is open"), "{name}: {}", h.error());
        }
    }
    let mut buffer = [Entry::EMPTY; 2];
    assert_eq!(unsafe { ct_dump_next(h.0, buffer.as_mut_ptr(), 0) }, -libc::EINVAL);
    assert_eq!(unsafe { ct_dump_next(h.0, buffer.as_mut_ptr(), 2) }, 2);
    assert!(buffer == [udp(1), udp(2)]);
    assert_eq!(unsafe { ct_dump_next(h.0, buffer.as_mut_ptr(), 2) }, 1);
    assert!(buffer == [udp(3), udp(2)], "only what is filled is written");
    for _ in 0..2 {
        assert_eq!(unsafe { ct_dump_next(h.0, buffer.as_mut_ptr(), 2) }, 0);
    }
    assert_eq!(unsafe { ct_dump_end(h.0) }, 0);
    assert_eq!(unsafe { ct_dump_end(h.0) }, 0);
    assert_eq!(unsafe { ct_dump_next(h.0, buffer.as_mut_ptr(), 2) }, -libc::EINVAL);
    assert_eq!(table.entries().len(), 3);
}

#[test]
fn a_handle_may_be_closed_while_a_dump_is_open() {
    let (h, _, _) = on(&[udp(1), udp(2)]);
    assert_eq!(unsafe { ct_dump_start(h.0, null(), 0) }, 0);
    assert_eq!(unsafe { ct_dump_next(h.0, &mut Entry::EMPTY.clone(), 1) }, 1);
}

/// A pointer that is one byte off.
fn askew<T>(pointer: *mut T) -> *mut T {
    pointer.cast::<u8>().wrapping_add(1).cast()
}

#[test]
fn misaligned_arrays_and_growing_structs_are_refused() {
    let (h, script, _) = on(&[udp(1)]);
    let mut entries = [udp(1), udp(2)];
    let mut filters = [ipv4(); 2];
    let mut status = [0; 2];
    let mut results = [result(); 2];
    let e = askew(entries.as_mut_ptr());
    let f = askew(filters.as_mut_ptr());
    let s = askew(status.as_mut_ptr());
    let r = askew(results.as_mut_ptr());
    unsafe {
        assert_eq!(ct_list(h.0, f, 1, &mut null_mut(), &mut 0), -libc::EINVAL);
        assert_eq!(ct_dump_start(h.0, f, 1), -libc::EINVAL);
        assert_eq!(ct_delete(h.0, f, 1, 0, &mut result()), -libc::EINVAL);
        assert_eq!(ct_flush(h.0, f, 0), -libc::EINVAL);
        assert_eq!(ct_delete(h.0, &ipv4(), 1, 0, r), -libc::EINVAL);
        for call in [ct_delete_entries, ct_create_entries, ct_update_entries] {
            assert_eq!(call(h.0, e, 1, &mut 0, &mut result()), -libc::EINVAL);
            assert_eq!(call(h.0, &udp(1), 1, s, &mut result()), -libc::EINVAL);
            assert_eq!(call(h.0, &udp(1), 1, &mut 0, r), -libc::EINVAL);
            assert!(h.error().contains("is not aligned"), "{}", h.error());
        }
        assert_eq!(ct_handle_open(&mut null_mut(), askew([opts(); 2].as_mut_ptr())), -libc::EINVAL);
    }
    assert_eq!(script.requests(), []);
    assert_eq!(unsafe { ct_dump_start(h.0, null(), 0) }, 0);
    assert_eq!(unsafe { ct_dump_next(h.0, e, 1) }, -libc::EINVAL);
}

#[test]
#[cfg_attr(miri, ignore = "has no processes")]
fn misaligned_single_pointers_are_refused() {
    // In a process of its own: what is not refused may end it.
    const CHILD: &str = "CTRACK_TEST_MISALIGNED";
    if std::env::var_os(CHILD).is_none() {
        let name = "tests::misaligned_single_pointers_are_refused";
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&child.stderr) + String::from_utf8_lossy(&child.stdout);
        assert!(text.contains("1 passed") || !child.status.success(), "the test was not run: {text}");
        assert!(child.status.success(), "{}: {text}", child.status);
        return;
    }
    let (h, script, _) = on(&[udp(1)]);
    let mut entries = [udp(1), udp(2)];
    let e = askew(entries.as_mut_ptr());
    unsafe {
        assert_eq!(ct_get(h.0, e, &mut Entry::EMPTY.clone()), -libc::EINVAL);
        assert_eq!(ct_get(h.0, &udp(1), e), -libc::EINVAL);
        assert_eq!(ct_count(h.0, askew([0; 2].as_mut_ptr())), -libc::EINVAL);
        assert_eq!(ct_zone_find_free(h.0, 0, 1, askew([0; 2].as_mut_ptr())), -libc::EINVAL);
        assert_eq!(ct_list(h.0, null(), 0, askew([null_mut(); 2].as_mut_ptr()), &mut 0), -libc::EINVAL);
        assert_eq!(ct_list(h.0, null(), 0, &mut null_mut(), askew([0; 2].as_mut_ptr())), -libc::EINVAL);
        assert_eq!(ct_handle_open(askew([null_mut(); 2].as_mut_ptr()), null()), -libc::EINVAL);
        assert_eq!(ct_entry_format(e, CT_FORMAT_LINE, null_mut(), 0), -libc::EINVAL);
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn counts_that_no_memory_can_hold_are_refused() {
    let (h, script, _) = on(&[udp(1)]);
    for n in [usize::MAX, usize::MAX / 2, usize::MAX / 256 + 1] {
        for call in [ct_delete_entries, ct_create_entries, ct_update_entries] {
            assert_eq!(unsafe { call(h.0, &udp(1), n, &mut 0, &mut result()) }, -libc::EINVAL);
        }
    }
    for n in [usize::MAX, usize::MAX / 2] {
        let returned = unsafe { ct_list(h.0, &ipv4(), n, &mut null_mut(), &mut 0) };
        assert!([-libc::EINVAL, -libc::ENOMEM].contains(&returned), "{returned}");
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn a_field_of_a_filter_that_is_set_without_its_match_bit_is_refused_by_name() {
    let fields: [SetIn<ct_filter>; 37] = [
        ("family", |f| f.family = 2),
        ("proto", |f| f.proto = 17),
        ("icmp_type", |f| f.icmp_type = 8),
        ("icmp_code", |f| f.icmp_code = 1),
        ("icmp_id", |f| f.icmp_id = 1),
        ("tcp_states", |f| f.tcp_states = 1),
        ("zone", |f| f.zone = 1),
        ("mark", |f| f.mark = 1),
        ("mark", |f| f.mark_mask = 1),
        ("status_set", |f| f.status_set = 8),
        ("status_clear", |f| f.status_clear = 8),
        ("orig_src", |f| f.orig_src_prefix = 1),
        ("orig_dst", |f| f.orig_dst_prefix = 1),
        ("reply_src", |f| f.reply_src_prefix = 1),
        ("reply_dst", |f| f.reply_dst_prefix = 1),
        ("orig_src", |f| f.orig_src[0] = 1),
        ("orig_dst", |f| f.orig_dst[3] = 1),
        ("reply_src", |f| f.reply_src[4] = 1),
        ("reply_dst", |f| f.reply_dst[15] = 1),
        ("orig_sport", |f| f.orig_sport_first = 1),
        ("orig_sport", |f| f.orig_sport_last = 1),
        ("orig_dport", |f| f.orig_dport_first = 1),
        ("orig_dport", |f| f.orig_dport_last = 1),
        ("reply_sport", |f| f.reply_sport_first = 1),
        ("reply_sport", |f| f.reply_sport_last = 1),
        ("reply_dport", |f| f.reply_dport_first = 1),
        ("reply_dport", |f| f.reply_dport_last = 1),
        ("labels", |f| f.labels[0] = 1),
        ("labels", |f| f.labels[15] = 1),
        ("labels", |f| f.labels_mask[0] = 1),
        ("labels", |f| f.labels_mask[15] = 1),
        ("helper", |f| f.helper[0] = 1),
        ("helper", |f| f.helper[15] = 1),
        ("orig_zone", |f| f.orig_zone = 1),
        ("reply_zone", |f| f.reply_zone = 65536),
        ("id", |f| f.id = 1 << 31),
        ("match", |f| f.r#match |= 1 << 63),
    ];
    let (h, script, _) = on(&[udp(1)]);
    // Miri takes seconds for each.
    for (name, set) in fields.into_iter().step_by(if cfg!(miri) { 6 } else { 1 }) {
        // The one is not announced, all others are: with status, so that something is selected at all.
        let other = if name.starts_with("status") { CT_MATCH_ZONE } else { CT_MATCH_STATUS };
        let mut f = ct_filter { r#match: other, ..filter() };
        set(&mut f);
        for wrong in [f, ct_filter { flags: CT_FILTER_EXCLUDE, ..f }] {
            let filters = [ipv4(), wrong];
            assert_eq!(unsafe { ct_list(h.0, filters.as_ptr(), 2, &mut null_mut(), &mut 0) }, -libc::EINVAL);
            assert!(h.error().starts_with(&format!("filter[1].{name}: ")), "{name}: {}", h.error());
            assert_eq!(unsafe { ct_dump_start(h.0, filters.as_ptr(), 2) }, -libc::EINVAL);
            assert_eq!(unsafe { ct_delete(h.0, filters.as_ptr(), 2, 0, &mut result()) }, -libc::EINVAL);
            assert!(h.error().starts_with(&format!("filter[1].{name}: ")), "{name}: {}", h.error());
            assert_eq!(unsafe { ct_flush(h.0, &wrong, 0) }, -libc::EINVAL);
            assert!(h.error().starts_with(&format!("scope.{name}: ")), "{name}: {}", h.error());
        }
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn every_byte_of_a_filter_that_counts_for_nothing_must_be_zero() {
    // All but size, flags and match.
    let (h, script, _) = on(&[udp(1)]);
    for at in (offset_of!(ct_filter, family)..size_of::<ct_filter>()).step_by(if cfg!(miri) { 21 } else { 1 }) {
        let mut f = filter();
        unsafe { (&raw mut f).cast::<u8>().add(at).write(0x80) };
        assert_eq!(unsafe { ct_list(h.0, &f, 1, &mut null_mut(), &mut 0) }, -libc::EINVAL, "byte {at}");
        let pad = (0..4).any(|byte| at == offset_of!(ct_filter, pad0) + byte);
        let wanted = if pad { "pad0: is not zero" } else { "is set, but its bit in match is not" };
        assert!(h.error().ends_with(wanted), "byte {at}: {}", h.error());
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn filters_that_make_no_sense_are_refused_by_name() {
    let f = |bits: u64, set: fn(&mut ct_filter)| {
        let mut f = ct_filter { r#match: bits, ..filter() };
        set(&mut f);
        f
    };
    let v4 = CT_MATCH_FAMILY | CT_MATCH_ORIG_SRC;
    let (h, script, _) = on(&[udp(1)]);
    for (name, wrong) in [
        ("flags", f(0, |f| f.flags = 2)),
        ("match", f(1 << 63, |_| {})),
        ("zone", f(CT_MATCH_ZONE, |f| f.zone = 65536)),
        ("orig_zone", f(CT_MATCH_ORIG_ZONE, |f| f.orig_zone = 65536)),
        ("reply_zone", f(CT_MATCH_REPLY_ZONE, |f| f.reply_zone = u32::MAX)),
        ("reply_zone", f(CT_MATCH_ORIG_ZONE | CT_MATCH_REPLY_ZONE, |f| (f.orig_zone, f.reply_zone) = (5, 7))),
        ("orig_zone", f(CT_MATCH_ORIG_ZONE | CT_MATCH_ZONE, |f| f.orig_zone = 5)),
        ("pad0", f(CT_MATCH_ID, |f| f.pad0 = 1)),
        ("family", f(CT_MATCH_ORIG_SRC, |f| f.orig_src_prefix = 32)),
        ("family", f(CT_MATCH_FAMILY, |f| f.family = 7)),
        ("orig_src", f(v4, |f| (f.family, f.orig_src_prefix) = (2, 33))),
        ("orig_src", f(v4, |f| (f.family, f.orig_src_prefix) = (10, 129))),
        ("orig_src", f(v4, |f| (f.family, f.orig_src_prefix, f.orig_src[3]) = (2, 24, 1))),
        ("orig_src", f(v4, |f| (f.family, f.orig_src_prefix, f.orig_src[4]) = (2, 32, 1))),
        ("mark", f(CT_MATCH_MARK, |f| f.mark = 1)),
        ("status_set", f(CT_MATCH_STATUS, |f| f.status_set = 1 << 16)),
        ("orig_sport", f(CT_MATCH_ORIG_SPORT, |_| {})),
        ("orig_dport", f(CT_MATCH_ORIG_DPORT | CT_MATCH_PROTO, |f| (f.proto, f.orig_dport_first) = (17, 1))),
        ("icmp_id", f(CT_MATCH_ICMP_ID, |_| {})),
        ("tcp_states", f(CT_MATCH_TCP_STATES | CT_MATCH_PROTO, |f| f.proto = 6)),
        ("labels", f(CT_MATCH_LABELS, |f| f.labels[0] = 1)),
        ("helper", f(CT_MATCH_HELPER, |_| {})),
        ("helper", f(CT_MATCH_HELPER, |f| f.helper = [b'a' as c_char; 16])),
        ("helper", f(CT_MATCH_HELPER, |f| f.helper[0] = 0xff_u8 as c_char)),
    ] {
        assert_eq!(unsafe { ct_list(h.0, &wrong, 1, &mut null_mut(), &mut 0) }, -libc::EINVAL, "{name}");
        assert!(h.error().starts_with(&format!("filter[0].{name}: ")), "{name}: {}", h.error());
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn flags_that_no_call_knows_and_deletes_of_everything_are_refused() {
    let (h, script, table) = on(&[udp(1)]);
    let excluding = ct_filter { flags: CT_FILTER_EXCLUDE, ..ipv4() };
    unsafe {
        assert_eq!(ct_delete(h.0, &ipv4(), 1, 2, &mut result()), -libc::EINVAL);
        assert_eq!(ct_flush(h.0, &ipv4(), 2), -libc::EINVAL);
        assert_eq!(ct_flush(h.0, null(), 3), -libc::EINVAL);
        assert_eq!(ct_flush(h.0, &ipv4(), CT_FLUSH_ALL), -libc::EINVAL);
        assert_eq!(ct_flush(h.0, &filter(), 0), -libc::EINVAL);
        assert_eq!(ct_flush(h.0, &excluding, 0), -libc::EINVAL);
        assert!(h.error().contains("scope.flags"), "{}", h.error());
        assert_eq!(ct_delete(h.0, null(), 0, 0, &mut result()), -libc::EINVAL);
        assert_eq!(ct_delete(h.0, &filter(), 1, 0, &mut result()), -libc::EINVAL);
        assert_eq!(ct_delete(h.0, &excluding, 1, 0, &mut result()), -libc::EINVAL);
        assert_eq!(ct_zone_find_free(h.0, 65536, 65537, &mut 0), -libc::EINVAL);
        assert_eq!(ct_zone_find_free(h.0, 0, 65536, &mut 0), -libc::EINVAL);
        assert_eq!(ct_zone_find_free(h.0, 2, 1, &mut 0), -libc::EINVAL);
    }
    assert_eq!(script.requests(), []);
    assert_eq!(table.entries().len(), 1);
}

/// Checks that an entry with one field set in vain is refused everywhere, with that field's name.
fn assert_unannounced(base: Entry, fields: &[SetIn<Entry>]) {
    let (h, script, _) = on(&[udp(1)]);
    let mut wrong = Vec::new();
    for (name, set) in fields {
        let mut e = base;
        set(&mut e);
        let entries = [base, e];
        let mut status = [7; 2];
        for call in [ct_delete_entries, ct_create_entries, ct_update_entries] {
            let returned = unsafe { call(h.0, entries.as_ptr(), 2, status.as_mut_ptr(), &mut result()) };
            if returned != -libc::EINVAL || !h.error().starts_with(&format!("entry[1].{name}: ")) {
                wrong.push(format!("{name}: {returned} \"{}\"", h.error()));
            }
        }
        let returned = unsafe { ct_get(h.0, &e, &mut Entry::EMPTY.clone()) };
        if returned != -libc::EINVAL || !h.error().starts_with(&format!("key.{name}: ")) {
            wrong.push(format!("{name}: ct_get {returned} \"{}\"", h.error()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(script.requests(), []);
}

#[test]
fn a_field_of_an_entry_that_is_set_without_its_has_bit_is_refused_by_name() {
    assert_unannounced(
        change(1),
        &[
            ("id", |e| e.id = 1),
            ("status", |e| e.status = Status::CONFIRMED),
            ("mark", |e| e.mark = 1),
            ("mark_mask", |e| e.mark_mask = 1),
            ("zone", |e| e.zone = 1),
            ("orig.zone", |e| e.orig.zone = 1),
            ("reply.zone", |e| e.reply.zone = 1),
            ("reply.src", |e| e.reply.src[0] = 1),
            ("reply.dst", |e| e.reply.dst[0] = 1),
            ("orig.icmp_type", |e| e.orig.icmp_type = 1),
            ("labels", |e| e.labels[15] = 1),
            ("helper", |e| e.helper[0] = 1),
            ("helper", |e| e.helper[15] = 1),
            ("tcp_state", |e| e.tcp_state = TcpState::SYN_SENT),
            ("tcp_wscale_orig", |e| e.tcp_wscale_orig = 1),
            ("tcp_flags_orig", |e| e.tcp_flags_orig = 1),
            ("sctp_state", |e| e.sctp_state = 1),
            ("reserved", |e| e.reserved[0] = 1),
        ],
    );
    let mark = Entry { has: key(1).has | Has::MARK, ..key(1) };
    let (h, script, _) = on(&[]);
    let late = Entry { timeout: 1, ..mark };
    assert_eq!(unsafe { ct_update_entries(h.0, &late, 1, &mut 0, &mut result()) }, -libc::EINVAL);
    assert!(h.error().starts_with("entry[0].timeout: "), "{}", h.error());
    assert_eq!(script.requests(), []);
}

#[test]
fn a_field_of_the_reply_tuple_that_is_set_without_the_tuple_is_refused_by_name() {
    assert_unannounced(change(1), &[("reply.sport", |e| e.reply.sport = 1), ("reply.dport", |e| e.reply.dport = 1)]);
    let mut icmp = Entry::icmp_key("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap(), 8, 0, 1).unwrap();
    (icmp.has, icmp.timeout) = (icmp.has | Has::TIMEOUT, 9);
    assert_unannounced(
        icmp,
        &[
            ("reply.icmp_type", |e| e.reply.icmp_type = 1),
            ("reply.icmp_code", |e| e.reply.icmp_code = 1),
            ("reply.icmp_id", |e| e.reply.icmp_id = 1),
        ],
    );
}

#[test]
fn a_field_that_only_the_kernel_knows_is_refused_too_when_it_is_not_announced() {
    assert_unannounced(
        change(1),
        &[
            ("use_count", |e| e.use_count = 1),
            ("orig_counters.packets", |e| e.orig_counters.packets = 1),
            ("orig_counters.bytes", |e| e.orig_counters.bytes = 1),
            ("reply_counters.packets", |e| e.reply_counters.packets = 1),
            ("reply_counters.bytes", |e| e.reply_counters.bytes = 1),
            ("start_ns", |e| e.start_ns = 1),
            ("stop_ns", |e| e.stop_ns = 1),
            ("dccp_state", |e| e.dccp_state = 1),
            ("dccp_role", |e| e.dccp_role = 1),
        ],
    );
}

#[test]
fn a_list_of_nothing_one_and_many_is_an_array_that_can_be_freed() {
    for count in [0, 1, 2, 3, if cfg!(miri) { 4 } else { 100 }, if cfg!(miri) { 5 } else { 1000 }] {
        let entries: Vec<Entry> = (0..count).map(udp).collect();
        let (h, _, _) = on(&entries);
        let (mut array, mut found) = (0x1000 as *mut Entry, 7);
        assert_eq!(unsafe { ct_list(h.0, null(), 0, &mut array, &mut found) }, 0);
        assert_eq!(found, usize::from(count));
        assert_eq!(array.is_null(), count == 0);
        if !array.is_null() {
            assert!(array.is_aligned());
            // It is the caller's to change.
            let listed = unsafe { std::slice::from_raw_parts_mut(array, found) };
            assert!(listed == entries);
            listed.fill(Entry { has: Has::all(), ..Entry::EMPTY });
        }
        drop(h);
        unsafe { ct_entries_free(array) };
    }
}

#[test]
fn statuses_and_sums_say_what_became_of_every_entry() {
    let (h, _, table) = on(&[udp(1), udp(2), udp(3)]);
    let given = [udp(1), udp(9), udp(3)];
    let (mut status, mut r) = ([77; 3], result());
    let returned = unsafe { ct_delete_entries(h.0, given.as_ptr(), 3, status.as_mut_ptr(), &mut r) };
    assert_eq!((returned, status), (0, [0, -libc::ENOENT, 0]), "gone is no failure");
    assert_eq!(r, ct_result { matched: 3, done: 2, gone: 1, ..result() });
    assert_eq!(table.entries(), [udp(2)]);

    let returned = unsafe { ct_create_entries(h.0, [change(2), change(5)].as_ptr(), 2, status.as_mut_ptr(), &mut r) };
    assert_eq!((returned, status[..2].to_vec()), (-libc::EEXIST, vec![-libc::EEXIST, 0]));
    assert_eq!(r, ct_result { matched: 2, done: 1, failed: 1, first_error: -libc::EEXIST, ..result() });
    assert!(h.error().contains("create_entries: entry exists"), "{}", h.error());
}

#[test]
fn a_missing_capability_is_the_status_of_all_and_only_one_datagram_is_sent() {
    for (name, call) in [
        ("delete", ct_delete_entries as unsafe extern "C" fn(_, _, _, _, _) -> _),
        ("create", ct_create_entries),
        ("update", ct_update_entries),
    ] {
        let script = Script::new(|_, requests| vec![kernel::datagram(&[kernel::ack(&requests[0], libc::EPERM)])]);
        let h = Handle::over(&script);
        let count = if cfg!(miri) { 40 } else { 10_000 };
        let entries: Vec<Entry> = (0..count).map(change).collect();
        let count = u64::from(count);
        let (mut status, mut r) = (vec![77; entries.len()], result());
        let returned = unsafe { call(h.0, entries.as_ptr(), entries.len(), status.as_mut_ptr(), &mut r) };
        assert_eq!(returned, -libc::EPERM, "{name}");
        assert_eq!(r, ct_result { matched: count, failed: count, first_error: -libc::EPERM, ..result() }, "{name}");
        assert!(status.iter().all(|status| *status == -libc::EPERM), "{name}");
        let state = script.state();
        assert_eq!((state.sent.len(), state.timeouts), (1, 0), "{name}");
    }
}

#[test]
fn text_follows_the_rules_of_snprintf() {
    let e = udp(1);
    for (format, whole) in [
        (CT_FORMAT_LINE, ctrack::line(&e, Format::empty())),
        (CT_FORMAT_LINE | CT_FORMAT_EXTENDED | CT_FORMAT_ID, ctrack::line(&e, Format::EXTENDED | Format::ID)),
        (CT_FORMAT_JSON, ctrack::json(&e)),
    ] {
        let length = whole.len();
        assert!(length > 50);
        for len in (0..=length + 2).chain([4096]) {
            let mut buffer = vec![0x7f_u8; len + 1];
            let returned = unsafe { ct_entry_format(&e, format, buffer.as_mut_ptr().cast(), len) };
            assert_eq!(returned as usize, length, "the whole length whatever fits");
            assert_eq!(buffer[len], 0x7f, "nothing is written behind the end");
            if len > 0 {
                let text = CStr::from_bytes_until_nul(&buffer).unwrap().to_str().unwrap();
                assert_eq!(text, &whole[..length.min(len - 1)]);
            }
        }
    }
}

#[test]
fn formats_that_are_none_are_refused() {
    let mut buffer = [0x7f as c_char; 8];
    for format in [
        0,
        CT_FORMAT_LINE | CT_FORMAT_JSON,
        CT_FORMAT_EXTENDED,
        CT_FORMAT_JSON | CT_FORMAT_ID,
        CT_FORMAT_LINE | 1 << 2,
        CT_FORMAT_LINE | 1 << 31,
        u32::MAX,
    ] {
        assert_eq!(unsafe { ct_entry_format(&udp(1), format, buffer.as_mut_ptr(), 8) }, -libc::EINVAL, "{format:#x}");
    }
    assert_eq!(buffer, [0x7f; 8]);
}

#[test]
fn any_256_bytes_can_be_written_as_text() {
    let mut bytes = [0u64; 32];
    let mut seed = 88_172_645_463_325_252u64;
    for round in 0..if cfg!(miri) { 6 } else { 20_000 } {
        for word in &mut bytes {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            *word = if round % 3 == 0 { !0 } else { seed };
        }
        // Only numbers and arrays of them: any bytes are an entry.
        let e = unsafe { &*bytes.as_ptr().cast::<Entry>() };
        let mut buffer = [0 as c_char; 1024];
        for format in [CT_FORMAT_LINE | CT_FORMAT_EXTENDED | CT_FORMAT_ID, CT_FORMAT_JSON] {
            let returned = unsafe { ct_entry_format(e, format, buffer.as_mut_ptr(), buffer.len()) };
            assert!(returned > 0, "{returned}");
            assert!(format & CT_FORMAT_JSON != 0 || returned < 1024, "1024 is always enough for a line: {returned}");
            assert!(buffer.contains(&0));
        }
    }
}

#[test]
fn every_errno_has_a_text_of_its_own_whatever_its_sign() {
    let text = |err| unsafe { CStr::from_ptr(ct_strerror(err)) }.to_str().unwrap();
    let known = [
        libc::EPERM,
        libc::ENOENT,
        libc::EINTR,
        libc::EIO,
        libc::E2BIG,
        libc::EBADF,
        libc::ECHILD,
        libc::EAGAIN,
        libc::ENOMEM,
        libc::EACCES,
        libc::EBUSY,
        libc::EEXIST,
        libc::EINVAL,
        libc::ENFILE,
        libc::EMFILE,
        libc::ENOSPC,
        libc::ERANGE,
        libc::EBADMSG,
        libc::EMSGSIZE,
        libc::EPROTONOSUPPORT,
        libc::EOPNOTSUPP,
        libc::ENOBUFS,
        libc::ETIMEDOUT,
        libc::ECANCELED,
        libc::ENOTRECOVERABLE,
    ];
    let mut texts: Vec<&str> = known.iter().map(|err| text(*err)).collect();
    for err in known {
        assert_eq!(text(err), text(-err));
        assert_ne!(text(err), "unknown error", "{err}");
    }
    assert_eq!(text(0), "success");
    for err in [c_int::MIN, c_int::MAX, -c_int::MAX, 4096, 100_000] {
        assert_eq!(text(err), "unknown error");
    }
    // All numbers that there may be: some text, never an empty one.
    assert!((-5000..5000).all(|err| !text(err).is_empty()));
    texts.sort_unstable();
    texts.dedup();
    assert_eq!(texts.len(), known.len());
}

#[test]
fn the_error_text_is_that_of_the_last_call() {
    let (h, _, _) = on(&[udp(1)]);
    assert_eq!(h.error(), "");
    assert_eq!(unsafe { ct_get(h.0, &key(9), &mut Entry::EMPTY.clone()) }, -libc::ENOENT);
    assert_eq!(h.error(), "get: no such entry");
    assert_eq!(h.error(), "get: no such entry", "asking does not clear it");
    assert_eq!(unsafe { ct_count(h.0, &mut 0) }, 0);
    assert_eq!(h.error(), "");
}

#[test]
fn an_error_text_with_a_nul_in_it_is_not_cut_off() {
    let words = kernel::attr(1, b"before\0");
    let script = Script::new(move |_, requests| {
        vec![kernel::datagram(&[kernel::ack_with(&requests[0], libc::EINVAL, std::slice::from_ref(&words))])]
    });
    let h = Handle::over(&script);
    assert_eq!(unsafe { ct_flush(h.0, null(), CT_FLUSH_ALL) }, -libc::EINVAL);
    assert_eq!(h.error(), "flush: invalid argument: kernel: before");
}

#[test]
fn errno_is_left_as_it_was_by_calls_that_succeed_and_by_calls_that_fail() {
    // SAFETY: points to this thread's errno, always.
    let errno = || unsafe { &mut *libc::__errno_location() };
    for fails in [false, true] {
        let table = Table::new(&[udp(1)]);
        let script = Script::new(move |_, requests| {
            // As system calls do.
            *errno() = libc::EINTR;
            if fails {
                return Vec::new();
            }
            table.answer(requests)
        });
        let handle = Handle::over(&script);
        *errno() = 4711;
        let mut count = 0;
        let returned = unsafe { ct_count(handle.0, &mut count) };
        assert_eq!((returned, *errno()), (if fails { -libc::ETIMEDOUT } else { 0 }, 4711));
    }
}

#[test]
fn the_version_is_the_one_of_the_package() {
    let text = unsafe { CStr::from_ptr(super::version::ct_version_string()) }.to_str().unwrap();
    assert_eq!(text, format!("{CT_VERSION_MAJOR}.{CT_VERSION_MINOR}.{CT_VERSION_PATCH}"));
    assert_eq!(super::version::ct_version_number(), CT_VERSION_NUMBER);
}
