//! What a call on given entries leaves in `status` and `result`, on whatever way it returns.

use super::*;

/// Of an earlier call.
const OLD: i32 = 12_345;
const N: usize = if cfg!(miri) { 3 } else { 300 };

pub type Change = unsafe extern "C" fn(*mut ct_handle, *const Entry, usize, *mut i32, *mut ct_result) -> c_int;

/// With a maker of entries that are right for it.
type Named = (&'static str, Change, fn(u16) -> Entry);

const CHANGES: [Named; 3] = [
    ("ct_delete_entries", ct_delete_entries, udp),
    ("ct_create_entries", ct_create_entries, change),
    ("ct_update_entries", ct_update_entries, change),
];

fn old_result() -> ct_result {
    ct_result { matched: 9, done: 8, gone: 7, failed: 6, first_error: -5, flags: CT_RESULT_UNCOUNTED, ..result() }
}

/// Every one of the three calls must return `expected` and say so for each entry, with nothing in the sums.
fn assert_all_say(h: *mut ct_handle, expected: c_int, what: &str) {
    for (name, call, make) in CHANGES {
        let entries: Vec<Entry> = (1..=N as u16).map(make).collect();
        let (mut status, mut r) = ([OLD; N + 1], old_result());
        let returned = unsafe { call(h, entries.as_ptr(), N, status.as_mut_ptr(), &mut r) };
        assert_eq!(returned, expected, "{name}: {what}");
        assert_eq!(status[..N], [expected; N], "{name}: {what}");
        assert_eq!(status[N], OLD, "{name}: {what}: only what was given");
        assert_eq!(r, result(), "{name}: {what}");
    }
    let mut r = old_result();
    assert_eq!(unsafe { ct_delete(h, &ipv4(), 1, 0, &mut r) }, expected, "ct_delete: {what}");
    assert_eq!(r, result(), "ct_delete: {what}");
}

#[test]
fn every_status_tells_why_a_handle_could_not_be_used() {
    assert_all_say(null_mut(), -libc::EINVAL, "no handle");

    let (h, script, _) = on(&[udp(1)]);
    unsafe { (*h.0).guard.busy.store(true, Ordering::Relaxed) };
    assert_all_say(h.0, -libc::EBUSY, "another thread");
    unsafe { (*h.0).guard.busy.store(false, Ordering::Relaxed) };

    let own = unsafe { (*h.0).guard.opener };
    unsafe { (*h.0).guard.opener = Process::parent_of(own) };
    assert_all_say(h.0, -libc::ECHILD, "a parent's");
    unsafe { (*h.0).guard.opener = own };
    assert_eq!(script.requests(), []);

    assert_eq!(unsafe { ct_dump_start(h.0, null(), 0) }, 0);
    assert_all_say(h.0, -libc::EBUSY, "a dump is open");
    assert_eq!(unsafe { ct_dump_end(h.0) }, 0);

    script.state().panic_in_send = true;
    assert_eq!(unsafe { ct_count(h.0, &mut 0) }, -libc::ENOTRECOVERABLE);
    assert_all_say(h.0, -libc::ENOTRECOVERABLE, "after a panic");
}

#[test]
fn every_status_tells_of_a_panic() {
    for (name, call, make) in CHANGES {
        let (h, script, _) = on(&[]);
        script.state().panic_in_recv = true;
        let entries: Vec<Entry> = (1..=N as u16).map(make).collect();
        let mut status = [OLD; N];
        let returned = unsafe { call(h.0, entries.as_ptr(), N, status.as_mut_ptr(), &mut result()) };
        assert_eq!((returned, status), (-libc::ENOTRECOVERABLE, [-libc::ENOTRECOVERABLE; N]), "{name}");
    }
}

#[test]
fn every_status_tells_which_argument_was_wrong() {
    let (h, script, _) = on(&[udp(1)]);
    for (name, call, make) in CHANGES {
        let mut entries: Vec<Entry> = (1..=N as u16).map(make).collect();
        let run = |entries: *const Entry, r: *mut ct_result| {
            let mut status = [OLD; N];
            let returned = unsafe { call(h.0, entries, N, status.as_mut_ptr(), r) };
            assert_eq!(status, [returned; N], "{name}: {}", h.error());
            returned
        };
        let einval = -libc::EINVAL;
        assert_eq!(run(entries.as_ptr(), null_mut()), einval, "{name}: no result");
        assert_eq!(run(entries.as_ptr(), &mut ct_result { size: 7, ..result() }), einval, "{name}: a small result");
        assert_eq!(run(entries.as_ptr(), &mut ct_result { flags: 4, ..result() }), einval, "{name}: flags of a result");
        assert_eq!(run(entries.as_ptr(), &mut ct_result { size: u32::MAX, ..result() }), -libc::E2BIG, "{name}");
        let mut r = old_result();
        assert_eq!(run(null(), &mut r), einval, "{name}: no entries");
        assert_eq!(r, result(), "{name}: no entries");
        entries[N - 1].family = Family(99);
        let mut r = old_result();
        assert_eq!(run(entries.as_ptr(), &mut r), einval, "{name}: a wrong entry");
        assert_eq!((r.done, r.gone), (0, 0), "{name}: a wrong entry");
        let mut r = old_result();
        assert_eq!(unsafe { call(h.0, entries.as_ptr(), N, null_mut(), &mut r) }, einval, "{name}: no status");
        assert_eq!(r, result(), "{name}: no status");
    }
    assert_eq!(script.requests(), []);
}

#[test]
fn what_became_of_each_entry_is_not_overwritten_by_the_error_of_the_call() {
    let (h, _, _) = on(&[udp(1), udp(3)]);
    let (entries, mut status, mut r) = ([change(1), change(2), change(3)], [OLD; 3], old_result());
    let returned = unsafe { ct_create_entries(h.0, entries.as_ptr(), 3, status.as_mut_ptr(), &mut r) };
    assert_eq!((returned, status), (-libc::EEXIST, [-libc::EEXIST, 0, -libc::EEXIST]));
    assert_eq!((r.matched, r.done, r.failed, r.first_error), (3, 1, 2, -libc::EEXIST));
}
