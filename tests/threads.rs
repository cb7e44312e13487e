//! Threads and processes: one handle for one thread at a time, many for many, and none of a parent's for a child.

mod common;
use common::c::{c_filter, Handle};
use common::*;
use ctrack::*;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Barrier;

const EBUSY: i32 = -libc::EBUSY;

/// Enough for a list to take its time.
fn in_zone(number: u16, count: u16) -> Vec<Entry> {
    (1..=count).map(|n| udp("10.0.0.1", n, "10.0.0.2", number).in_zone(number)).collect()
}

#[test]
fn of_two_threads_on_one_handle_one_is_busy_and_neither_gets_the_data_of_the_other() {
    netns(|| {
        const EACH: u16 = 5000;
        let h = Handle::open();
        assert_eq!(h.create_entries(&[in_zone(1, EACH), in_zone(2, EACH)].concat()).ret, 0);
        let (busy, done) = ([AtomicU32::new(0), AtomicU32::new(0)], AtomicU32::new(0));
        let start = Barrier::new(2);
        let work = |number: u16| {
            let filter = [c_filter(&zone(number))];
            let expected = identities(&in_zone(number, EACH));
            let me = usize::from(number) - 1;
            start.wait();
            let mut rounds = 0u64;
            // Both go on until each was refused and each was served, so that they certainly meet.
            while done.load(Ordering::SeqCst) < 2 {
                rounds += 1;
                match h.list(&filter) {
                    Ok(entries) => assert_eq!(identities(&entries), expected),
                    Err(error) => {
                        assert_eq!(error, EBUSY);
                        busy[me].fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                    }
                }
                match h.get(&by_hand(&in_zone(number, 1)[0])) {
                    Ok(entry) => assert_eq!(entry.zone, number.into()),
                    Err(error) => assert_eq!(error, EBUSY),
                }
                let met = busy.iter().map(|busy| busy.load(Ordering::SeqCst)).filter(|busy| *busy > 0).count();
                done.store(met as u32, Ordering::SeqCst);
                assert!(rounds < 100_000_000, "never busy: {busy:?}");
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| work(1));
            scope.spawn(|| work(2));
        });
        assert_eq!(h.count(), Ok(2 * u64::from(EACH)), "and the handle works on");
    });
}

#[test]
fn eight_handles_in_eight_threads_do_their_work_exactly() {
    netns(|| {
        let start = Barrier::new(8);
        let work = |number: u16| {
            let mut conntrack = Conntrack::open().unwrap();
            let handle = Handle::open();
            start.wait();
            for round in 1..=5u32 {
                let own = in_zone(number, 600);
                create(&mut conntrack, &own);
                let listed = handle.list(&[c_filter(&zone(number))]).unwrap();
                assert_eq!(identities(&listed), identities(&own));
                let marks: Vec<_> = listed.iter().step_by(2).map(|entry| marked(by_hand(entry), round)).collect();
                assert_eq!(handle.update_entries(&marks).result.done, 300);
                let mark = Some(Masked { value: round, mask: u32::MAX });
                let outcome = conntrack.delete(&[Filter { mark, ..zone(number) }]).unwrap();
                assert_eq!((outcome.matched, outcome.done, outcome.gone), (300, 300, 0));
                let rest: Vec<_> = conntrack.stream(&[zone(number)]).unwrap().map(Result::unwrap).collect();
                assert_eq!(rest.len(), 300);
                assert_eq!(handle.delete_entries(&rest).result.done, 300);
                assert_eq!(conntrack.list(&[zone(number)]).unwrap(), []);
            }
        };
        let neighbours = in_zone(9, 100);
        create(&mut Conntrack::open().unwrap(), &neighbours);
        std::thread::scope(|scope| {
            for number in 1..=8 {
                scope.spawn(move || work(number));
            }
        });
        assert_eq!(identities(&all(&mut Conntrack::open().unwrap())), identities(&neighbours));
    });
}

#[test]
fn a_handle_that_moves_between_threads_works_in_each_even_within_a_dump() {
    netns(|| {
        let entries = in_zone(7, 1000);
        let mut conntrack = Conntrack::open().unwrap();
        let handle = Handle::open();
        for start in [0, 500] {
            let some = entries[start..start + 500].to_vec();
            conntrack = std::thread::spawn(move || {
                create(&mut conntrack, &some);
                conntrack
            })
            .join()
            .unwrap();
        }
        let handle = std::thread::spawn(|| {
            handle.dump_start(&[]).unwrap();
            handle
        });
        let (handle, mut seen) = (handle.join().unwrap(), Vec::new());
        for cap in [1, 100, 300] {
            seen.extend(std::thread::scope(|scope| scope.spawn(|| handle.dump_next(cap).unwrap()).join().unwrap()));
        }
        seen.extend(handle.dump_rest(64).unwrap());
        assert_eq!(identities(&seen), identities(&entries));
        // Opened by a thread that has ended.
        let handle = std::thread::spawn(Handle::open).join().unwrap();
        assert_eq!(handle.count(), Ok(1000));
        std::thread::spawn(move || drop(handle)).join().unwrap();
        assert_eq!(identities(&all(&mut conntrack)), identities(&entries));
    });
}

/// Runs checks in a child process and gives the bits of those that failed.
#[allow(unsafe_code)]
fn in_child(checks: impl FnOnce() -> u8) -> i32 {
    // SAFETY: the child only calls the library, which takes no lock but that of glibc's malloc, and glibc makes that
    // one usable in a child; then it ends without running destructors of this process.
    let pid = unsafe { libc::fork() };
    assert!(pid >= 0, "{}", std::io::Error::last_os_error());
    if pid == 0 {
        let failed = checks();
        // SAFETY: ends the child.
        unsafe { libc::_exit(failed.into()) };
    }
    let mut status = 0;
    // SAFETY: the child is ours, `status` may be written.
    assert_eq!(unsafe { libc::waitpid(pid, &mut status, 0) }, pid);
    assert!(libc::WIFEXITED(status), "the child died: {status:#x}");
    libc::WEXITSTATUS(status)
}

fn failed_bits(checks: &[bool]) -> u8 {
    checks.iter().enumerate().map(|(bit, ok)| u8::from(!ok) << bit).sum()
}

#[test]
fn a_child_cannot_use_the_handle_of_its_parent() {
    netns(|| {
        let h = Handle::open();
        let entries = in_zone(7, 10);
        assert_eq!(h.create_entries(&entries).ret, 0);
        let echild = Some(-libc::ECHILD);
        let failed = in_child(|| {
            failed_bits(&[
                h.list(&[]).err() == echild,
                h.count().err() == echild,
                h.get(&entries[0]).err() == echild,
                h.dump_start(&[]).err() == echild,
                Some(h.delete_entries(&entries).ret) == echild,
                Some(h.flush(None, ctrack_c::abi::CT_FLUSH_ALL)) == echild,
                h.dump_end().err() == echild,
                h.error().contains("parent"),
            ])
        });
        assert_eq!(failed, 0, "failed checks, bit by bit: {failed:#b}");
        assert_eq!(h.error(), "", "the child did not touch it");
        assert_eq!(identities(&h.list(&[]).unwrap()), identities(&entries));
    });
}

#[test]
fn a_child_can_close_the_handle_of_its_parent_without_disturbing_it_and_open_its_own() {
    netns(|| {
        let h = Handle::open();
        let entries = in_zone(7, 2000);
        assert_eq!(h.create_entries(&entries).ret, 0);
        // A dump of the parent's is under way.
        h.dump_start(&[]).unwrap();
        let mut seen = h.dump_next(10).unwrap();
        let failed = in_child(|| {
            drop(Handle(h.0));
            let own = Handle::open();
            let failed = failed_bits(&[own.count() == Ok(2000), own.list(&[]).is_ok_and(|list| list.len() == 2000)]);
            drop(own);
            failed
        });
        assert_eq!(failed, 0, "failed checks, bit by bit: {failed:#b}");
        seen.extend(h.dump_rest(64).unwrap());
        assert_eq!(identities(&seen), identities(&entries));
        assert_eq!(h.delete_entries(&seen).result.done, 2000);
        assert_eq!(cli_count(), 0);
    });
}
