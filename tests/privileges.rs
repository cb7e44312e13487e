//! Without CAP_NET_ADMIN: every call says so, and names the capability and the network namespace.

mod common;
use common::c::{c_filter, open_opts, Handle};
use common::*;
use ctrack::*;
use ctrack_c::abi::{CT_FLUSH_ALL, CT_OPEN_NETNS};
use ctrack_c::ct_open_opts;
use std::io;
use std::os::fd::AsRawFd;
use std::time::Duration;

const EPERM: i32 = -libc::EPERM;
/// linux/capability.h
const CAP_NET_ADMIN: u32 = 12;
const CAP_SYS_ADMIN: u32 = 21;

/// Takes capabilities from this thread, for good. Capabilities belong to threads: the others keep theirs.
#[allow(unsafe_code)]
fn drop_capabilities(which: &[u32]) {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    #[repr(C)]
    #[derive(Clone, Copy, Default)]
    struct Data {
        effective: u32,
        permitted: u32,
        inheritable: u32,
    }
    let mut header = Header { version: 0x2008_0522, pid: 0 };
    let mut data = [Data::default(); 2];
    // SAFETY: version 3 of these calls takes this header, pid 0 for this thread, and two of these.
    let got = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    assert_eq!(got, 0, "{}", io::Error::last_os_error());
    for capability in which {
        let keep = !(1 << capability);
        data[0].effective &= keep;
        data[0].permitted &= keep;
        data[0].inheritable &= keep;
    }
    // SAFETY: as above.
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Fills the table, and runs a test on a thread without CAP_NET_ADMIN. The table must stay as it was.
fn without_net_admin(test: impl FnOnce(&[Entry]) + Send + 'static) {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        create(&mut conntrack, &table::mixed());
        let listed = all(&mut conntrack);
        let before = cli_table();
        let thread = std::thread::spawn(move || {
            drop_capabilities(&[CAP_NET_ADMIN]);
            test(&listed);
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
        assert_untouched(&before, "calls without CAP_NET_ADMIN");
    });
}

fn assert_says_why(what: &str, text: &str) {
    let netns = format!("net:[{}]", netns_inode());
    assert!(text.contains("CAP_NET_ADMIN") && text.contains(&netns), "{what}: {text:?} (in {netns})");
}

fn refused<T>(what: &str, result: Result<T, Error>) {
    let error = result.err().unwrap_or_else(|| panic!("{what} succeeded"));
    assert_eq!(error.errno(), libc::EPERM, "{what}: {error}");
    assert_says_why(what, &error.to_string());
}

#[test]
fn every_call_of_the_rust_interface_names_the_capability_and_the_network_namespace() {
    without_net_admin(|listed| {
        let mut conntrack = Conntrack::open().expect("opening needs no privilege");
        let new = udp("9.9.9.9", 1, "9.9.9.9", 2);
        refused("list", conntrack.list(&[]));
        refused("list of a zone", conntrack.list(&[zone(7)]));
        refused("list of another zone", conntrack.list(&[zone(99)]));
        refused("dump_start", conntrack.dump_start(&[]));
        refused("stream", conntrack.stream(&[]));
        refused("get", conntrack.get(&listed[0]));
        refused("get by hand", conntrack.get(&by_hand(&listed[0])));
        refused("count", conntrack.count());
        refused("delete", conntrack.delete(&[zone(7)]));
        refused("delete_entries", conntrack.delete_entries(listed));
        refused("delete_entries by hand", conntrack.delete_entries(&[by_hand(&listed[0])]));
        refused("create_entries", conntrack.create_entries(&[new]));
        refused("update_entries", conntrack.update_entries(&[marked(by_hand(&listed[0]), 1)]));
        refused("flush", conntrack.flush(&zone(7)));
        refused("flush_all", conntrack.flush_all());
        refused("find_free_zone", conntrack.find_free_zone(1..=65535));
        // A second time: nothing of the first one is left over.
        refused("count", conntrack.count());
    });
}

#[test]
fn every_call_of_the_c_interface_names_the_capability_and_the_network_namespace() {
    without_net_admin(|listed| {
        let h = Handle::open();
        let filter = c_filter(&zone(7));
        let refused = |what: &str, ret: i32| {
            assert_eq!(ret, EPERM, "{what}: {}", h.error());
            assert_says_why(what, &h.error());
        };
        refused("list", h.list(&[]).unwrap_err());
        refused("get", h.get(&listed[0]).unwrap_err());
        refused("count", h.count().unwrap_err());
        refused("find_free_zone", h.find_free_zone(0, 65535).unwrap_err());
        refused("dump_start", h.dump_start(&[filter]).unwrap_err());
        refused("delete", h.delete(&[filter]).0);
        refused("delete_entries", h.delete_entries(&listed[..3]).ret);
        refused("create_entries", h.create_entries(&[udp("9.9.9.9", 1, "9.9.9.9", 2)]).ret);
        refused("update_entries", h.update_entries(&[marked(by_hand(&listed[0]), 1)]).ret);
        refused("flush", h.flush(Some(&filter), 0));
        refused("flush all", h.flush(None, CT_FLUSH_ALL));
    });
}

#[test]
fn a_handle_that_was_opened_with_the_capability_is_refused_on_a_thread_without_it() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        create(&mut conntrack, &table::mixed());
        let thread = std::thread::spawn(move || {
            drop_capabilities(&[CAP_NET_ADMIN]);
            refused("list", conntrack.list(&[]));
            refused("flush_all", conntrack.flush_all());
            conntrack
        });
        let mut conntrack = thread.join().unwrap();
        assert_eq!(identities(&all(&mut conntrack)), identities(&table::mixed()), "back here it works again");
    });
}

/// Ten thousand that are not there, with an id or without.
fn ten_thousand(id: Has) -> Vec<Entry> {
    (0..10_000u16)
        .map(|n| {
            let key = key(Proto::UDP, "9.9.9.9", n, "8.8.8.8", 1);
            Entry { has: key.has | id, ..key }
        })
        .collect()
}

/// The kernel answers the first request of a datagram only. With a long time limit, waiting for more would be noticed.
fn patient() -> Handle {
    Handle::open_with(&ct_open_opts { timeout_ms: 60_000, ..open_opts() }).unwrap()
}

fn assert_all_refused(what: &str, changed: common::c::Changed) {
    assert_eq!(changed.ret, EPERM, "{what}");
    let other = changed.status.iter().position(|status| *status != EPERM);
    assert_eq!(other.map(|at| (at, changed.status[at])), None, "{what}: not -EPERM");
    let r = changed.result;
    assert_eq!((r.matched, r.done, r.gone, r.failed, r.first_error), (10_000, 0, 0, 10_000, EPERM), "{what}");
}

#[test]
fn a_batch_of_ten_thousand_deletes_is_refused_for_each_of_them() {
    without_net_admin(|_| {
        let h = patient();
        assert_all_refused("deletes by hand", h.delete_entries(&ten_thousand(Has::empty())));
        assert_all_refused("deletes with ids", h.delete_entries(&ten_thousand(Has::ID)));
        assert_says_why("deletes", &h.error());
    });
}

#[test]
fn a_batch_of_ten_thousand_creates_is_refused_for_each_of_them() {
    without_net_admin(|_| {
        let h = patient();
        let new: Vec<_> = ten_thousand(Has::empty()).into_iter().map(lasting).collect();
        assert_all_refused("creates", h.create_entries(&new));
        assert_says_why("creates", &h.error());
    });
}

#[test]
fn a_batch_of_ten_thousand_updates_is_refused_for_each_of_them() {
    without_net_admin(|_| {
        let h = patient();
        let new: Vec<_> = ten_thousand(Has::empty()).into_iter().map(|key| marked(key, 1)).collect();
        assert_all_refused("updates", h.update_entries(&new));
        assert_says_why("updates", &h.error());
    });
}

#[test]
fn another_network_namespace_is_not_entered_without_cap_sys_admin() {
    netns(|| {
        let other = new_netns();
        let thread = std::thread::spawn(move || {
            drop_capabilities(&[CAP_SYS_ADMIN]);
            let here = netns_inode();
            let opts = ct_open_opts { flags: CT_OPEN_NETNS, netns_fd: other.as_raw_fd(), ..open_opts() };
            assert_eq!(Handle::open_with(&opts).err(), Some(EPERM));
            let mut options = OpenOptions::default();
            options.netns = Some(other);
            let error = Conntrack::open_with(&options).unwrap_err();
            assert_eq!(error.errno(), libc::EPERM);
            assert!(error.to_string().contains("CAP_SYS_ADMIN"), "{error}");
            assert_eq!(netns_inode(), here);
            // CAP_NET_ADMIN is still there, and it is enough here, even after a dump was ended early.
            let mut conntrack = Conntrack::open().unwrap();
            create(&mut conntrack, &table::mixed());
            conntrack.dump_start(&[]).unwrap();
            conntrack.dump_end();
            assert_eq!(conntrack.count().unwrap(), table::mixed().len() as u64);
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

#[test]
fn a_dump_that_is_ended_after_the_capability_was_lost_ends_cleanly() {
    netns(|| {
        let thread = std::thread::spawn(|| {
            let mut options = OpenOptions::default();
            options.timeout = Some(Duration::from_secs(60));
            let mut conntrack = Conntrack::open_with(&options).unwrap();
            let many: Vec<_> = (1..=5000).map(|n| udp("1.1.1.1", n, "2.2.2.2", 2)).collect();
            create(&mut conntrack, &many);
            conntrack.dump_start(&[]).unwrap();
            drop_capabilities(&[CAP_NET_ADMIN, CAP_SYS_ADMIN]);
            assert!(conntrack.dump_next(&mut Entry::EMPTY.clone()).unwrap());
            conntrack.dump_end();
            refused("list", conntrack.list(&[]));
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}
