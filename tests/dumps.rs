//! Streams: what may happen while one is open, how they end, and what comes after.

mod common;
use common::c::{c_filter, Changed, Handle};
use common::*;
use ctrack::*;
use ctrack_c::abi::CT_FLUSH_ALL;

const EBUSY: i32 = -libc::EBUSY;

/// More than one datagram holds (about 170).
fn thousand() -> Vec<Entry> {
    (1..=1000).map(|n| udp("10.0.0.1", n, "10.0.0.2", 53).in_zone(if n % 4 == 0 { 7 } else { 0 })).collect()
}

fn filled() -> Handle {
    let handle = Handle::open();
    assert_eq!(handle.create_entries(&thousand()).ret, 0);
    handle
}

#[test]
fn every_other_call_is_busy_while_a_dump_is_open_and_does_not_disturb_it() {
    netns(|| {
        let h = filled();
        let (entry, filter) = (thousand()[0], c_filter(&zone(7)));
        let before = cli_table();
        h.dump_start(&[]).unwrap();
        let mut seen = h.dump_next(100).unwrap();
        let busy = |what: &str, ret: i32| {
            assert_eq!(ret, EBUSY, "{what}");
            assert!(h.error().contains("dump is open"), "{what}: {}", h.error());
        };
        let changed = |what: &str, Changed { ret, result, .. }: Changed| {
            busy(what, ret);
            assert_eq!((result.done, result.gone, result.failed), (0, 0, 0), "{what}");
        };
        busy("list", h.list(&[]).unwrap_err());
        busy("get", h.get(&by_hand(&entry)).unwrap_err());
        busy("count", h.count().unwrap_err());
        busy("find_free_zone", h.find_free_zone(0, 9).unwrap_err());
        busy("dump_start", h.dump_start(&[]).unwrap_err());
        busy("delete", h.delete(&[filter]).0);
        busy("flush", h.flush(Some(&filter), 0));
        busy("flush all", h.flush(None, CT_FLUSH_ALL));
        changed("delete_entries", h.delete_entries(&[by_hand(&entry)]));
        changed("create_entries", h.create_entries(&[entry.in_zone(9)]));
        changed("update_entries", h.update_entries(&[marked(by_hand(&entry), 1)]));
        seen.extend(h.dump_rest(64).unwrap());
        assert_eq!(identities(&seen), identities(&thousand()));
        assert_untouched(&before, "busy calls");
        assert_eq!(h.count(), Ok(1000));
    });
}

#[test]
fn the_end_of_a_dump_can_be_asked_for_again_and_again() {
    netns(|| {
        let h = filled();
        for cap in [1, 7, 170, 1000, 5000] {
            h.dump_start(&[c_filter(&zone(7))]).unwrap();
            let seen = h.dump_rest(cap).unwrap();
            assert_eq!(identities(&seen).len(), 250, "{cap} at a time");
            assert_eq!(h.dump_next(cap).unwrap(), []);
            assert_eq!(h.dump_next(1).unwrap(), []);
            assert_eq!(h.list(&[]).unwrap().len(), 1000);
        }
        // The same where there is nothing at all.
        assert_eq!(h.flush(None, CT_FLUSH_ALL), 0);
        h.dump_start(&[]).unwrap();
        assert_eq!(h.count(), Err(EBUSY), "it is open, though it is empty");
        assert_eq!(h.dump_next(10).unwrap(), []);
        assert_eq!(h.dump_next(10).unwrap(), []);
        assert_eq!(h.count(), Ok(0));
    });
}

#[test]
fn a_dump_that_is_not_open_can_be_ended_but_not_read() {
    netns(|| {
        let h = filled();
        h.dump_end().unwrap();
        assert_eq!(h.dump_next(1), Err(-libc::EINVAL));
        assert!(h.error().contains("no dump is open"), "{}", h.error());
        h.dump_start(&[]).unwrap();
        h.dump_end().unwrap();
        h.dump_end().unwrap();
        assert_eq!(h.dump_next(1), Err(-libc::EINVAL), "ended early is not the end");
        assert_eq!(h.count(), Ok(1000));
    });
}

#[test]
fn no_room_is_refused_and_the_dump_goes_on() {
    netns(|| {
        let h = filled();
        h.dump_start(&[]).unwrap();
        let mut seen = h.dump_next(3).unwrap();
        assert_eq!(h.dump_next(0), Err(-libc::EINVAL));
        assert!(h.error().contains("cap"), "{}", h.error());
        // SAFETY: the handle is live, and NULL is refused before it is used.
        #[allow(unsafe_code)]
        let null = unsafe { ctrack_c::dump::ct_dump_next(h.0, std::ptr::null_mut(), 5) };
        assert_eq!(null, -libc::EINVAL);
        seen.extend(h.dump_rest(50).unwrap());
        assert_eq!(identities(&seen), identities(&thousand()));
    });
}

#[test]
fn after_an_early_end_every_call_gets_its_own_answer() {
    netns(|| {
        let h = filled();
        let key = by_hand(&thousand()[4]);
        for read in [0, 1, 169, 500, 999, 1000] {
            for use_it in 0..7 {
                h.dump_start(&[]).unwrap();
                if read > 0 {
                    assert_eq!(h.dump_next(read).unwrap().len(), read);
                }
                h.dump_end().unwrap();
                match use_it {
                    0 => assert_eq!(identities(&h.list(&[]).unwrap()), identities(&thousand())),
                    1 => assert_eq!(identity(&h.get(&key).unwrap()), identity(&key)),
                    2 => assert_eq!(h.count(), Ok(1000)),
                    3 => {
                        h.dump_start(&[]).unwrap();
                        assert_eq!(identities(&h.dump_rest(64).unwrap()), identities(&thousand()));
                    }
                    4 => assert_eq!(h.find_free_zone(0, 9), Ok(1)),
                    5 => assert_eq!(h.update_entries(&[marked(key, read as u32)]).status, [0]),
                    _ => {
                        assert_eq!(h.delete_entries(&[key]).status, [0]);
                        assert_eq!(h.create_entries(&[thousand()[4]]).status, [0]);
                    }
                }
            }
        }
        assert_eq!(cli_count(), 1000);
    });
}

#[test]
fn a_handle_can_be_closed_in_the_middle_of_a_dump() {
    netns(|| {
        let h = filled();
        h.dump_start(&[]).unwrap();
        assert_eq!(h.dump_next(10).unwrap().len(), 10);
        drop(h);
        assert_eq!(identities(&Handle::open().list(&[]).unwrap()), identities(&thousand()));
    });
}

#[test]
fn a_stream_that_is_dropped_early_leaves_the_connection_as_good_as_new() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        create(&mut conntrack, &thousand());
        for take in [0, 1, 200, 1000] {
            let taken: Vec<_> = conntrack.stream(&[]).unwrap().take(take).map(Result::unwrap).collect();
            assert_eq!(identities(&taken).len(), take);
            assert_eq!(identities(&all(&mut conntrack)), identities(&thousand()));
        }
        let mut stream = conntrack.stream(&[zone(7)]).unwrap();
        assert_eq!(stream.by_ref().count(), 250);
        assert!(stream.next().is_none() && stream.next().is_none());
    });
}

#[test]
fn entries_that_are_deleted_while_they_are_streamed_all_come_once() {
    netns(|| {
        let h = filled();
        let mut other = Conntrack::open().unwrap();
        h.dump_start(&[]).unwrap();
        let mut seen = Vec::new();
        loop {
            let next = h.dump_next(10).unwrap();
            if next.is_empty() {
                break;
            }
            assert_eq!(other.delete_entries(&next).unwrap().status(), vec![0; next.len()]);
            seen.extend(next);
        }
        assert_eq!(identities(&seen), identities(&thousand()));
        assert_eq!(cli_count(), 0);
    });
}
