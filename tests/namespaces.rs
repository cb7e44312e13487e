//! Network namespaces: a handle works in the one it was opened for, whatever its thread does, and its thread stays put.

mod common;
use common::c::{open_opts, Handle};
use common::*;
use ctrack::*;
use ctrack_c::abi::CT_OPEN_NETNS;
use ctrack_c::ct_open_opts;
use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// What only the table of one network namespace holds.
fn entries_of(place: u16) -> Vec<Entry> {
    (1..=500).map(|n| udp("10.0.0.1", n, "10.0.0.2", place)).collect()
}

fn fill(netns: &OwnedFd, place: u16) {
    inside(netns, || create(&mut Conntrack::open().unwrap(), &entries_of(place)));
}

fn assert_sees(h: &Handle, place: u16) {
    assert_eq!(identities(&h.list(&[]).unwrap()), identities(&entries_of(place)));
    assert_eq!(h.count(), Ok(500));
    let key = by_hand(&entries_of(place)[0]);
    assert_eq!(h.update_entries(&[marked(key, 1)]).status, [0]);
    let more = udp("9.9.9.9", 1, "9.9.9.9", place);
    assert_eq!(h.create_entries(&[more]).status, [0]);
    assert_eq!(h.delete_entries(&[by_hand(&more)]).status, [0]);
}

fn open_at(fd: RawFd) -> Result<Handle, i32> {
    Handle::open_with(&ct_open_opts { flags: CT_OPEN_NETNS, netns_fd: fd, ..open_opts() })
}

#[test]
fn a_handle_for_another_network_namespace_works_there_and_the_thread_stays_here() {
    netns(|| {
        let (here, there) = (own_netns(), new_netns());
        fill(&here, 1);
        fill(&there, 2);
        let (inode, before) = (netns_inode(), cli_table());
        let h = Handle::open_in(&there);
        assert_eq!(netns_inode(), inode);
        assert_sees(&h, 2);
        assert_eq!(netns_inode(), inode);
        assert_untouched(&before, "work in the other network namespace");
        assert_eq!(h.delete(&[common::c::c_filter(&zone(0))]).1.done, 500);
        assert_eq!(inside(&there, cli_count), 0);
        assert_untouched(&before, "a delete in the other network namespace");

        let mut options = OpenOptions::default();
        options.netns = Some(there.try_clone().unwrap());
        let mut conntrack = Conntrack::open_with(&options).unwrap();
        create(&mut conntrack, &entries_of(2));
        assert_eq!(inside(&there, cli_count), 500);
        conntrack.flush_all().unwrap();
        assert_eq!(inside(&there, cli_count), 0);
        assert_eq!(netns_inode(), inode);
        assert_untouched(&before, "a flush in the other network namespace");
    });
}

#[test]
fn the_descriptor_of_a_thread_of_another_network_namespace_opens_that_one() {
    netns(|| {
        let (to_us, from_thread) = std::sync::mpsc::channel();
        let (to_thread, from_us) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            unshare_netns().unwrap();
            create(&mut Conntrack::open().unwrap(), &entries_of(3));
            // SAFETY: gettid() takes and breaks nothing.
            #[allow(unsafe_code)]
            to_us.send(unsafe { libc::gettid() }).unwrap();
            let _ = from_us.recv();
        });
        let tid = from_thread.recv().unwrap();
        let netns: OwnedFd = File::open(format!("/proc/self/task/{tid}/ns/net")).unwrap().into();
        let h = Handle::open_in(&netns);
        // Neither the descriptor nor the thread is needed any more.
        drop(netns);
        drop(to_thread);
        thread.join().unwrap();
        assert_sees(&h, 3);
    });
}

#[test]
fn the_descriptor_stays_the_callers() {
    netns(|| {
        let there = new_netns();
        fill(&there, 2);
        for _ in 0..3 {
            drop(Handle::open_in(&there));
        }
        assert_sees(&Handle::open_in(&there), 2);
        assert_eq!(inside(&there, cli_count), 500);
    });
}

#[test]
fn a_descriptor_that_is_no_network_namespace_is_refused() {
    netns(|| {
        let inode = netns_inode();
        let file = File::open("/proc/self/exe").unwrap();
        let uts = File::open("/proc/self/ns/uts").unwrap();
        let (read, _write) = std::io::pipe().unwrap();
        assert_eq!(open_at(-1).err(), Some(-libc::EBADF));
        assert_eq!(open_at(i32::MAX).err(), Some(-libc::EBADF));
        assert_eq!(open_at(i32::MIN).err(), Some(-libc::EBADF));
        assert_eq!(open_at(file.as_raw_fd()).err(), Some(-libc::EINVAL));
        assert_eq!(open_at(uts.as_raw_fd()).err(), Some(-libc::EINVAL));
        assert_eq!(open_at(read.as_raw_fd()).err(), Some(-libc::EINVAL));
        assert_eq!(netns_inode(), inode);
        let mut options = OpenOptions::default();
        options.netns = Some(file.into());
        assert_eq!(Conntrack::open_with(&options).unwrap_err().errno(), libc::EINVAL);
    });
}

#[test]
fn a_descriptor_without_the_flag_is_refused_and_zero_without_the_flag_means_here() {
    netns(|| {
        let (here, there) = (own_netns(), new_netns());
        fill(&here, 1);
        let forgotten = ct_open_opts { netns_fd: there.as_raw_fd(), ..open_opts() };
        assert_eq!(Handle::open_with(&forgotten).err(), Some(-libc::EINVAL));
        assert_eq!(Handle::open_with(&ct_open_opts { flags: 1 << 31, ..open_opts() }).err(), Some(-libc::EINVAL));
        assert_eq!(Handle::open_with(&ct_open_opts { pad0: 1, ..open_opts() }).err(), Some(-libc::EINVAL));
        assert_sees(&Handle::open_with(&open_opts()).unwrap(), 1);
    });
}

#[test]
fn with_the_flag_zero_is_a_descriptor_like_any_other() {
    // Its descriptor 0 is replaced.
    alone_in_netns(|| {
        let (here, there) = (own_netns(), new_netns());
        fill(&here, 1);
        fill(&there, 2);
        assert_eq!(open_at(0).err(), Some(-libc::EINVAL), "/dev/null or a terminal is no network namespace");
        // SAFETY: nobody else in this process uses descriptor 0.
        #[allow(unsafe_code)]
        unsafe {
            assert_eq!(libc::dup2(there.as_raw_fd(), 0), 0);
        }
        assert_sees(&open_at(0).unwrap(), 2);
        // SAFETY: as above.
        #[allow(unsafe_code)]
        unsafe {
            assert_eq!(libc::close(0), 0);
        }
        assert_eq!(open_at(0).err(), Some(-libc::EBADF));
        // Whoever gets descriptor 0 now is the library itself: that must be no special one either.
        let h = Handle::open_in(&there);
        assert_sees(&h, 2);
        h.dump_start(&[]).unwrap();
        h.dump_end().unwrap();
        assert_sees(&h, 2);
    });
}

#[test]
fn after_a_dump_was_ended_early_a_handle_still_works_in_its_own_network_namespace() {
    netns(|| {
        let (here, there) = (own_netns(), new_netns());
        fill(&here, 1);
        fill(&there, 2);
        let inode = netns_inode();
        let h = Handle::open_in(&there);
        for read in [0, 1, 200, 499] {
            h.dump_start(&[]).unwrap();
            if read > 0 {
                assert_eq!(h.dump_next(read).unwrap().len(), read);
            }
            h.dump_end().unwrap();
            assert_eq!(netns_inode(), inode);
            assert_sees(&h, 2);
        }
        assert_eq!(inside(&here, cli_count), 500);
    });
}

#[test]
fn a_handle_stays_where_it_was_opened_when_its_thread_moves_on() {
    netns(|| {
        let (first, second, third) = (own_netns(), new_netns(), new_netns());
        fill(&first, 1);
        fill(&second, 2);
        fill(&third, 3);
        let (plain, other) = (Handle::open(), Handle::open_in(&second));
        for now in [&third, &second, &first, &third] {
            enter(now);
            let inode = netns_inode();
            for (h, place) in [(&plain, 1), (&other, 2)] {
                assert_sees(h, place);
                h.dump_start(&[]).unwrap();
                assert_eq!(h.dump_next(7).unwrap().len(), 7);
                h.dump_end().unwrap();
                assert_sees(h, place);
                assert_eq!(netns_inode(), inode, "the thread is where it went");
            }
        }
    });
}

#[test]
fn a_dump_goes_on_when_its_thread_moves_on() {
    netns(|| {
        let (here, there) = (own_netns(), new_netns());
        fill(&here, 1);
        fill(&there, 2);
        let h = Handle::open();
        h.dump_start(&[]).unwrap();
        let mut seen = h.dump_next(5).unwrap();
        enter(&there);
        seen.extend(h.dump_rest(64).unwrap());
        assert_eq!(identities(&seen), identities(&entries_of(1)));
        // And in a thread that never was there.
        let mut conntrack = inside(&here, || Conntrack::open().unwrap());
        let stream: Vec<_> = conntrack.stream(&[]).unwrap().take(100).collect();
        assert_eq!(stream.len(), 100);
        assert_eq!(identities(&all(&mut conntrack)), identities(&entries_of(1)));
    });
}

#[test]
fn opening_ending_dumps_and_closing_leaves_no_descriptor_and_no_thread_behind() {
    alone_in_netns(|| {
        let there = new_netns();
        fill(&own_netns(), 1);
        fill(&there, 2);
        let count = |what: &str| std::fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
        let work = || {
            for h in [Handle::open(), Handle::open_in(&there)] {
                h.dump_start(&[]).unwrap();
                assert_eq!(h.dump_next(9).unwrap().len(), 9);
                h.dump_end().unwrap();
                h.dump_start(&[]).unwrap();
            }
            assert!(open_at(-1).is_err() && open_at(2).is_err());
        };
        work();
        let before = (count("fd"), count("task"));
        for _ in 0..20 {
            work();
        }
        // A thread that was joined may still be listed for a moment.
        let settled = (0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            (count("fd"), count("task")) == before
        });
        assert!(settled, "{before:?} descriptors and threads became {:?}", (count("fd"), count("task")));
    });
}

#[test]
fn descriptors_are_closed_when_the_process_becomes_another_program() {
    alone_in_netns(|| {
        let there = new_netns();
        fill(&there, 2);
        let h = [Handle::open(), Handle::open_in(&there)];
        h[1].dump_start(&[]).unwrap();
        h[1].dump_end().unwrap();
        let links = |list: String| list.lines().filter(|line| line.contains("socket:")).count();
        let own: Vec<_> = std::fs::read_dir("/proc/self/fd").unwrap().map(|fd| fd.unwrap().path()).collect();
        let own = own.iter().filter_map(|fd| std::fs::read_link(fd).ok()).map(|link| format!("{}\n", link.display()));
        assert!(links(own.collect()) >= 2, "the sockets of both are among them");
        let child = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
        assert_eq!(links(String::from_utf8(child.stdout).unwrap()), 0);
    });
}
