//! Watches as a careless C program uses them. What they tell, tests/watch.rs has.

use super::super::event::*;
use super::super::watch::*;
use super::*;

/// A watch as C has it, closed in the end.
struct Watch(*mut ct_watch);

impl Drop for Watch {
    fn drop(&mut self) {
        unsafe { ct_watch_close(self.0) };
    }
}

impl Watch {
    fn open(opts: &ct_watch_opts) -> Watch {
        let mut watch = null_mut();
        assert_eq!(unsafe { ct_watch_open(&mut watch, opts) }, 0);
        Watch(watch)
    }

    fn error(&self) -> String {
        unsafe { CStr::from_ptr(ct_watch_error(self.0)) }.to_str().unwrap().to_owned()
    }
}

fn watch_opts() -> ct_watch_opts {
    ct_watch_opts { size: size_of::<ct_watch_opts>() as u32, flags: CT_WATCH_SYNC, ..Default::default() }
}

fn info() -> ct_watch_info {
    ct_watch_info { size: size_of::<ct_watch_info>() as u32, ..Default::default() }
}

fn no_event() -> ct_event {
    let entry = Entry::EMPTY;
    ct_event {
        r#type: 0,
        flags: 0,
        number: 0,
        lost: 0,
        received_ns: 0,
        time_ns: 0,
        portid: 0,
        nsid: 0,
        reserved: [0; 2],
        entry,
    }
}

type WatchCall = (&'static str, fn(&Watch) -> c_int);

/// What one thread at a time may call. The filter is wrong: nothing is watched.
const ALONE: [WatchCall; 2] = [
    ("ct_watch_start", |w| unsafe { ct_watch_start(w.0, &ct_filter::default(), 1) }),
    ("ct_watch_next", |w| unsafe { ct_watch_next(w.0, &mut no_event(), 1, 0) }),
];

/// What any thread may call, at any time.
const BESIDE: [WatchCall; 4] = [
    ("ct_watch_fd", |w| unsafe { ct_watch_fd(w.0) }.min(0)),
    ("ct_watch_wake", |w| unsafe { ct_watch_wake(w.0) }),
    ("ct_watch_resync", |w| unsafe { ct_watch_resync(w.0) }),
    ("ct_watch_get_info", |w| unsafe { ct_watch_get_info(w.0, &mut info()) }),
];

#[test]
fn a_null_watch_is_refused_by_every_call_and_closed_without_a_word() {
    let w = Watch(null_mut());
    for (name, call) in ALONE.into_iter().chain(BESIDE) {
        assert_eq!(call(&w), -libc::EINVAL, "{name}");
    }
    assert_eq!(w.error(), "", "and has no error text");
    assert_eq!(unsafe { ct_watch_open(null_mut(), null()) }, -libc::EINVAL);
    assert_eq!(unsafe { ct_event_format(null(), CT_FORMAT_LINE, null_mut(), 0) }, -libc::EINVAL);
    let event = ct_event { r#type: CT_EVENT_SYNCED, ..no_event() };
    assert_eq!(unsafe { ct_event_format(&event, CT_FORMAT_LINE, null_mut(), 1) }, -libc::EINVAL);
    assert_eq!(unsafe { ct_event_format(&event, CT_FORMAT_LINE, null_mut(), 0) }, " [SYNCED]".len() as c_int);
}

#[test]
#[cfg_attr(miri, ignore = "has no netlink sockets")]
fn null_for_what_a_watch_is_to_fill_is_refused_by_name() {
    let w = Watch::open(&watch_opts());
    assert_eq!(unsafe { ct_watch_next(w.0, null_mut(), 1, 0) }, -libc::EINVAL);
    assert_eq!(w.error(), "buf: is NULL");
    assert_eq!(unsafe { ct_watch_next(w.0, &mut no_event(), 1, -2) }, -libc::EINVAL);
    assert_eq!(w.error(), "timeout_ms: is negative, and not -1");
    assert_eq!(unsafe { ct_watch_next(w.0, &mut no_event(), 1, 0) }, -libc::EINVAL);
    assert!(w.error().contains("is not started"), "{}", w.error());
    assert_eq!(unsafe { ct_watch_start(w.0, null(), 1) }, -libc::EINVAL);
    assert_eq!(w.error(), "filter: is NULL");
    let before = w.error();
    assert_eq!(unsafe { ct_watch_get_info(w.0, null_mut()) }, -libc::EINVAL);
    assert_eq!(w.error(), before, "calls that any thread may make leave the text alone");
    let plain = Watch::open(&ct_watch_opts { flags: 0, ..watch_opts() });
    assert_eq!(unsafe { ct_watch_resync(plain.0) }, -libc::EINVAL);
}

#[test]
#[cfg_attr(miri, ignore = "has no netlink sockets")]
fn a_watch_in_use_is_busy_but_for_what_any_thread_may_call_and_one_of_a_parent_is_no_childs() {
    let w = Watch::open(&watch_opts());
    assert_eq!(ALONE[0].1(&w), -libc::EINVAL);
    let before = w.error();
    assert!(before.starts_with("filter[0].size: "), "{before}");
    // No reference that lives on: the calls below make their own.
    unsafe { (*w.0).watch.busy.store(true, Ordering::Relaxed) };
    for (name, call) in ALONE {
        assert_eq!(call(&w), -libc::EBUSY, "{name}");
    }
    for (name, call) in BESIDE {
        assert_eq!(call(&w), 0, "{name}");
    }
    assert_eq!(w.error(), "another thread is using the watch");
    unsafe { (*w.0).watch.busy.store(false, Ordering::Relaxed) };
    assert_eq!(w.error(), before, "busy calls do not change the text");

    let own = unsafe { (*w.0).watch.opener };
    unsafe { (*w.0).watch.opener = Process::parent_of(own) };
    for (name, call) in ALONE.into_iter().chain(BESIDE) {
        assert_eq!(call(&w), -libc::ECHILD, "{name}");
    }
    assert!(w.error().contains("parent process"), "{}", w.error());
    unsafe { (*w.0).watch.opener = own };
    assert_eq!(w.error(), before);
}

#[test]
#[cfg_attr(miri, ignore = "has no netlink sockets")]
fn the_size_of_what_a_watch_takes_is_checked_before_anything_else() {
    let open = |opts: *const ct_watch_opts| {
        let mut watch = 0x1000 as *mut ct_watch;
        let returned = unsafe { ct_watch_open(&mut watch, opts) };
        if returned == 0 {
            drop(Watch(watch));
        } else {
            assert_eq!(watch as usize, 0x1000, "what fails leaves it alone");
        }
        returned
    };
    let w = Watch::open(&watch_opts());
    let (opts_size, info_size) = (WATCH_OPTS_SIZE_V0 as u32, WATCH_INFO_SIZE_V0 as u32);
    for (less, expected) in [(u32::MAX, -libc::EINVAL), (4, -libc::EINVAL), (1, -libc::EINVAL), (0, 0)] {
        let size = opts_size.saturating_sub(less);
        assert_eq!(open(&ct_watch_opts { size, ..watch_opts() }), expected, "size {size}");
        let size = info_size.saturating_sub(less);
        assert_eq!(unsafe { ct_watch_get_info(w.0, &mut ct_watch_info { size, ..info() }) }, expected, "size {size}");
    }
    assert_eq!(open(&ct_watch_opts { size: u32::MAX, ..watch_opts() }), -libc::E2BIG);
    let mut larger = Larger { known: watch_opts(), more: [0; 2] };
    larger.known.size = size_of::<Larger<ct_watch_opts>>() as u32;
    assert_eq!(open((&raw const larger).cast()), 0);
    larger.more[1] = 1 << 63;
    assert_eq!(open((&raw const larger).cast()), -libc::E2BIG);
    let mut larger = Larger { known: info(), more: [0; 2] };
    larger.known.size = size_of::<Larger<ct_watch_info>>() as u32;
    assert_eq!(unsafe { ct_watch_get_info(w.0, (&raw mut larger).cast()) }, 0);
    assert_eq!((larger.known.size, larger.more), (info_size + 16, [0; 2]));
    assert!(larger.known.rcvbuf > 0);
    larger.more[0] = 1;
    assert_eq!(unsafe { ct_watch_get_info(w.0, (&raw mut larger).cast()) }, -libc::E2BIG);
}
