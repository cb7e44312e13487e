//! What may go wrong with a dump: nothing is lost silently, nothing comes twice.

use super::kernel::*;
use super::operations::deletes;
use super::transport::{Event, Request};
use super::*;

/// A handle on a table whose first `times` dumps are answered by `fault` instead.
fn disturbed(
    table: &Table,
    times: usize,
    fault: impl Fn(&Request, Vec<Event>) -> Vec<Event> + Send + 'static,
) -> (Conntrack, Script) {
    let (kernel, mut dumps) = (table.clone(), 0);
    let script = Script::new(move |_, requests| {
        let events = kernel.answer(requests);
        if requests[0].flags & F_DUMP != F_DUMP {
            return events;
        }
        dumps += 1;
        if dumps <= times {
            fault(&requests[0], events)
        } else {
            events
        }
    });
    (over(&script), script)
}

fn dumps_sent(script: &Script) -> usize {
    script.requests().iter().filter(|request| request.flags & F_DUMP == F_DUMP).count()
}

fn table() -> Table {
    Table::new(&(0..300).map(udp).collect::<Vec<_>>())
}

fn all_ipv4() -> Filter {
    Filter { family: Some(Family::IPV4), ..Filter::default() }
}

/// The answer of the kernel, cut off after the first datagram by `end`.
fn cut(events: Vec<Event>, end: Vec<Event>) -> Vec<Event> {
    events.into_iter().take(1).chain(end).collect()
}

type Fault = fn(&Request, Vec<Event>) -> Vec<Event>;

/// Disturbances after which a dump is worth another try, and the errno when none is left.
const TRANSIENT: [(&str, i32, Fault); 7] = [
    ("NLM_F_DUMP_INTR on an entry", libc::EAGAIN, |request, events| {
        cut(events, vec![datagram(&[reply(request, NEW, F_MULTI | F_DUMP_INTR, &encode(&udp(1))), done(request, 0)])])
    }),
    ("NLM_F_DUMP_INTR on the end", libc::EAGAIN, |request, mut events| {
        events.pop();
        events.push(datagram(&[reply(request, NLMSG_DONE, F_MULTI | F_DUMP_INTR, &[0; 4])]));
        events
    }),
    ("NLM_F_DUMP_INTR on the first message", libc::EAGAIN, |request, _| {
        vec![datagram(&[reply(request, NLMSG_DONE, F_MULTI | F_DUMP_INTR, &[0; 4])])]
    }),
    ("NLMSG_DONE with EINTR", libc::EAGAIN, |request, events| {
        cut(events, vec![datagram(&[done(request, libc::EINTR)])])
    }),
    ("ENOBUFS", libc::ENOBUFS, |_, events| cut(events, vec![Event::Errno(libc::ENOBUFS)])),
    ("NLMSG_OVERRUN", libc::ENOBUFS, |request, events| {
        cut(events, vec![datagram(&[reply(request, NLMSG_OVERRUN, 0, &[])])])
    }),
    ("a truncated datagram", libc::EMSGSIZE, |_, events| cut(events, vec![Event::Truncated(vec![0; 64 * 1024])])),
];

#[test]
fn a_disturbed_dump_is_made_again_and_then_right() {
    for (name, _, fault) in TRANSIENT {
        for times in 1..=3 {
            for can_reset in [true, false] {
                let table = table();
                let (mut conntrack, script) = disturbed(&table, times, fault);
                script.state().can_reset = can_reset;
                assert_eq!(conntrack.list(&[]).unwrap(), table.entries(), "{name}, {times} times");
                assert_eq!(dumps_sent(&script), times + 1);
                assert_eq!(script.state().resets, times, "{name}: what is left of the dump must be thrown away");
            }
            let table = table();
            let (mut conntrack, _) = disturbed(&table, times, fault);
            let outcome = conntrack.delete(&[all_ipv4()]).unwrap();
            assert_eq!((outcome.matched, outcome.done, outcome.gone), (300, 300, 0), "{name}, {times} times");
            assert_eq!(table.entries(), []);
            let (mut conntrack, _) = disturbed(&Table::new(&[udp(1)]), times, fault);
            assert_eq!(conntrack.find_free_zone(0..=1).unwrap(), 1);
        }
    }
}

#[test]
fn a_dump_that_is_disturbed_four_times_fails_and_then_nothing_was_deleted() {
    for (name, errno, fault) in TRANSIENT {
        let table = table();
        let (mut conntrack, script) = disturbed(&table, usize::MAX, fault);
        let mut entries = vec![udp(999)];
        let error = conntrack.list_into(&[], &mut entries).unwrap_err();
        assert_eq!(error.errno(), errno, "{name}: {error}");
        assert_eq!(dumps_sent(&script), 4);
        if errno == libc::EAGAIN {
            assert!(error.to_string().ends_with("4 times"), "{error}");
        }
        for error in [
            conntrack.delete(&[all_ipv4()]).unwrap_err(),
            conntrack.flush(&all_ipv4()).unwrap_err(),
            conntrack.find_free_zone(0..=9).unwrap_err(),
        ] {
            assert_eq!(error.errno(), errno, "{name}: {error}");
        }
        assert_eq!(deletes(&script).len(), 0);
        assert_eq!(table.entries().len(), 300);
    }
}

#[test]
fn a_disturbed_stream_ends_with_an_error_since_nothing_can_be_taken_back() {
    for (name, errno, fault) in TRANSIENT {
        let (mut conntrack, script) = disturbed(&table(), usize::MAX, fault);
        let mut items: Vec<Result<Entry, Error>> = conntrack.stream(&[]).unwrap().collect();
        let error = items.pop().unwrap().unwrap_err();
        assert_eq!(error.errno(), errno, "{name}: {error}");
        assert!(items.iter().all(Result::is_ok), "one error, and nothing behind it");
        assert_eq!(dumps_sent(&script), 1);
        let mut entry = Entry::EMPTY;
        assert_eq!(conntrack.dump_next(&mut entry).unwrap_err().errno(), libc::EINVAL, "the stream is over");
        assert_eq!(conntrack.count().unwrap(), 300, "{name}");
    }
}

#[test]
fn the_end_of_a_dump_may_bring_an_error() {
    for (errno, expected) in [(libc::ENOMEM, libc::ENOMEM), (libc::EIO, libc::EIO), (libc::EPERM, libc::EPERM)] {
        let (mut conntrack, script) =
            disturbed(&table(), 1, move |request, events| cut(events, vec![datagram(&[done(request, errno)])]));
        assert_eq!(conntrack.list(&[]).unwrap_err().errno(), expected);
        assert_eq!(dumps_sent(&script), 1);
        assert_eq!(conntrack.list(&[]).unwrap().len(), 300);
    }
}

#[test]
fn a_refusal_to_start_comes_as_an_error_message() {
    for errno in [libc::EBUSY, libc::EINVAL, libc::EOPNOTSUPP, libc::EPERM] {
        let (mut conntrack, script) = disturbed(&table(), 1, move |request, _| vec![datagram(&[ack(request, errno)])]);
        let error = conntrack.list(&[]).unwrap_err();
        assert_eq!(error.errno(), errno);
        assert_eq!(script.state().timeouts, 0, "nothing is waited for behind a refusal");
        assert_eq!(conntrack.list(&[]).unwrap().len(), 300);
    }
}

#[test]
fn an_acknowledged_dump_goes_on() {
    let (mut conntrack, _) =
        disturbed(&table(), 1, |request, events| [vec![datagram(&[ack(request, 0)])], events].concat());
    assert_eq!(conntrack.list(&[]).unwrap().len(), 300);
}

#[test]
fn the_end_may_come_without_a_code_or_behind_entries_or_alone() {
    let table = Table::new(&[udp(1), udp(2)]);
    let shapes: [Fault; 3] = [
        |request, _| {
            vec![datagram(&[entry_message(request, &udp(1)), entry_message(request, &udp(2)), done(request, 0)])]
        },
        |request, events| cut(events, vec![datagram(&[reply(request, NLMSG_DONE, F_MULTI, &[])])]),
        |request, events| cut(events, vec![datagram(&[reply(request, NLMSG_DONE, F_MULTI, &[0; 20])])]),
    ];
    for shape in shapes {
        let (mut conntrack, script) = disturbed(&table, 1, shape);
        assert_eq!(conntrack.list(&[]).unwrap(), table.entries());
        assert_eq!(script.state().timeouts, 0);
    }
    let (mut conntrack, _) = disturbed(&table, 1, |request, events| {
        cut(events, vec![datagram(&[reply(request, NLMSG_DONE, F_MULTI, &[0; 2])])])
    });
    assert_eq!(conntrack.list(&[]).unwrap_err().errno(), libc::EBADMSG, "an end that nobody can read is no end");
}

#[test]
fn a_dump_without_an_end_is_a_timeout_and_never_a_short_list() {
    let table = table();
    let (mut conntrack, script) = disturbed(&table, usize::MAX, |_, mut events| {
        events.pop();
        events
    });
    assert_eq!(conntrack.list(&[]).unwrap_err().errno(), libc::ETIMEDOUT);
    assert_eq!(conntrack.delete(&[all_ipv4()]).unwrap_err().errno(), libc::ETIMEDOUT);
    assert_eq!(deletes(&script).len(), 0);
    let last = conntrack.stream(&[]).unwrap().last().unwrap();
    assert_eq!(last.unwrap_err().errno(), libc::ETIMEDOUT);
}

#[test]
fn a_malformed_entry_fails_the_dump_and_names_what_is_wrong() {
    let malformed: [(&str, Fault); 4] = [
        ("malformed netlink message", |request, events| {
            let mut message = entry_message(request, &udp(1));
            message.truncate(40);
            cut(events, vec![datagram(&[message])])
        }),
        ("CTA_ZONE has 4 bytes", |request, events| {
            let payload = [encode(&udp(1)), attr(18, &[0; 4])].concat();
            cut(events, vec![datagram(&[reply(request, NEW, F_MULTI, &payload), done(request, 0)])])
        }),
        ("CTA_TUPLE_ORIG is missing", |request, events| {
            cut(events, vec![datagram(&[reply(request, NEW, F_MULTI, &[2, 0, 0, 0]), done(request, 0)])])
        }),
        ("malformed netlink message: length 2 of 2 bytes", |request, events| {
            cut(events, vec![datagram(&[reply(request, NEW, F_MULTI, &[2, 0]), done(request, 0)])])
        }),
    ];
    for (text, fault) in malformed {
        let table = table();
        let (mut conntrack, script) = disturbed(&table, usize::MAX, fault);
        let error = conntrack.list(&[]).unwrap_err();
        assert_eq!(error.errno(), libc::EBADMSG, "{error}");
        assert!(error.to_string().contains(text), "{error}");
        assert_eq!(conntrack.delete(&[all_ipv4()]).unwrap_err().errno(), libc::EBADMSG);
        assert_eq!(deletes(&script).len(), 0);
        assert_eq!(conntrack.count().unwrap(), 300, "the handle is good for more");
    }
}

#[test]
fn entries_that_the_kernel_repeats_at_the_border_of_two_datagrams_come_once() {
    let entries: Vec<Entry> = (0..200).map(udp).collect();
    for repeated in [1, 2, 50, 80] {
        let (mut conntrack, _) = disturbed(&Table::new(&entries), usize::MAX, move |request, _| {
            let all: Vec<Vec<u8>> = (0..200).map(|port| entry_message(request, &udp(port))).collect();
            vec![datagram(&all[..100]), datagram(&all[100 - repeated..]), datagram(&[done(request, 0)])]
        });
        assert_eq!(conntrack.list(&[]).unwrap(), entries, "{repeated} repeated");
        let streamed: Vec<Entry> = conntrack.stream(&[]).unwrap().map(Result::unwrap).collect();
        assert_eq!(streamed, entries, "{repeated} repeated");
        let outcome = conntrack.delete(&[all_ipv4()]).unwrap();
        assert_eq!((outcome.matched, outcome.gone), (200, 0), "{repeated} repeated");
    }
}

#[test]
fn entries_that_only_look_alike_all_come() {
    // The same id by accident, the same tuple in two zones, the same tuple anew: all are different entries.
    let mut same_id = udp(2);
    same_id.id = udp(1).id;
    let mut zoned = listed(udp(1).in_zone(3), 77);
    zoned.mark = 1;
    let mut anew = udp(1);
    anew.id = 4711;
    let entries = [udp(1), same_id, zoned, anew];
    let (mut conntrack, _) = disturbed(&Table::new(&entries), usize::MAX, move |request, _| {
        let mut events: Vec<Event> = entries.iter().map(|entry| datagram(&[entry_message(request, entry)])).collect();
        events.push(datagram(&[done(request, 0)]));
        events
    });
    assert_eq!(conntrack.list(&[]).unwrap(), entries);
}

#[test]
fn a_table_that_is_resized_during_the_dump_is_listed_again() {
    let table = table();
    let (mut conntrack, script) = disturbed(&table, 1, |_, events| events.into_iter().skip(1).collect());
    script.state().buckets = [Some(65536), Some(65536), Some(262_144)].into();
    assert_eq!(conntrack.list(&[]).unwrap(), table.entries());
    assert_eq!(dumps_sent(&script), 2);

    let (mut conntrack, script) = disturbed(&table, 1, |_, events| events.into_iter().skip(1).collect());
    script.state().buckets = [Some(65536), Some(65536), Some(262_144)].into();
    assert_eq!(conntrack.delete(&[all_ipv4()]).unwrap().done, 300);
    assert_eq!(table.entries(), []);
}

#[test]
fn a_table_that_is_resized_all_the_time_is_an_error_and_nothing_is_deleted() {
    let table = table();
    let (mut conntrack, script) = on(&table);
    let changes = || (1..100).map(Some).collect();
    script.state().buckets = changes();
    let error = conntrack.list(&[]).unwrap_err();
    assert_eq!(error.errno(), libc::EAGAIN);
    assert!(error.to_string().ends_with("resized or the dump was interrupted 4 times"), "{error}");
    assert_eq!(dumps_sent(&script), 4);
    script.state().buckets = changes();
    assert_eq!(conntrack.delete(&[all_ipv4()]).unwrap_err().errno(), libc::EAGAIN);
    assert_eq!(conntrack.flush(&all_ipv4()).unwrap_err().errno(), libc::EAGAIN);
    assert_eq!(conntrack.find_free_zone(0..=9).unwrap_err().errno(), libc::EAGAIN);
    let last = conntrack.stream(&[]).unwrap().last().unwrap();
    assert_eq!(last.unwrap_err().errno(), libc::EAGAIN);
    assert_eq!(deletes(&script).len(), 0);
    assert_eq!(table.entries().len(), 300);
}

#[test]
fn a_number_of_buckets_that_cannot_be_read_does_not_stop_anything() {
    let table = table();
    let (mut conntrack, script) = on(&table);
    script.state().buckets = [None].into();
    assert_eq!(conntrack.list(&[]).unwrap(), table.entries());
    assert_eq!(conntrack.delete(&[all_ipv4()]).unwrap().done, 300);
}

/// A handle on a table that cannot count.
fn uncountable(table: &Table, count: impl Fn(&Request) -> Vec<Event> + Send + 'static) -> (Conntrack, Script) {
    let kernel = table.clone();
    let script = Script::new(move |_, requests| match requests[0].kind {
        GET_STATS => count(&requests[0]),
        _ => kernel.answer(requests),
    });
    (over(&script), script)
}

#[test]
fn a_count_that_is_refused_or_malformed_is_no_reason_not_to_list() {
    type Count = fn(&Request) -> Vec<Event>;
    let counts: [(&str, i32, Count); 6] = [
        ("refused", libc::EINVAL, |request| vec![datagram(&[ack(request, libc::EINVAL)])]),
        ("not supported", libc::EOPNOTSUPP, |request| vec![datagram(&[ack(request, libc::EOPNOTSUPP)])]),
        ("no attributes", libc::EBADMSG, |request| {
            vec![datagram(&[reply(request, GET_STATS, 0, &[0; 4])]), datagram(&[ack(request, 0)])]
        }),
        ("only an acknowledgement", libc::EBADMSG, |request| vec![datagram(&[ack(request, 0)])]),
        ("two bytes", libc::EBADMSG, |request| {
            let payload = [vec![0; 4], attr(1, &[0; 2])].concat();
            vec![datagram(&[reply(request, GET_STATS, 0, &payload)]), datagram(&[ack(request, 0)])]
        }),
        ("no nfgenmsg", libc::EBADMSG, |request| {
            vec![datagram(&[reply(request, GET_STATS, 0, &[])]), datagram(&[ack(request, 0)])]
        }),
    ];
    for (name, errno, count) in counts {
        for can_reset in [true, false] {
            let table = table();
            let (mut conntrack, script) = uncountable(&table, count);
            script.state().can_reset = can_reset;
            assert_eq!(conntrack.count().unwrap_err().errno(), errno, "{name}");
            assert_eq!(conntrack.list(&[]).unwrap(), table.entries(), "{name}");
            assert_eq!(conntrack.stream(&[]).unwrap().count(), 300, "{name}");
            assert_eq!(conntrack.find_free_zone(0..=1).unwrap(), 1, "{name}");
            assert_eq!(conntrack.delete(&[all_ipv4()]).unwrap().done, 300, "{name}");
        }
    }
}

#[test]
fn a_count_that_is_not_permitted_is_an_error_and_nothing_more_is_tried() {
    let (mut conntrack, script) = uncountable(&table(), |request| vec![datagram(&[ack(request, libc::EPERM)])]);
    for error in [
        conntrack.list(&[]).unwrap_err(),
        conntrack.dump_start(&[]).unwrap_err(),
        conntrack.delete(&[all_ipv4()]).unwrap_err(),
        conntrack.count().unwrap_err(),
    ] {
        assert!(matches!(error, Error::Permission { .. }), "{error}");
    }
    assert_eq!(script.requests().len(), script.count_of(GET_STATS));
}

#[test]
fn a_count_too_high_is_no_reason_to_fail() {
    let table = Table::new(&[udp(1)]);
    let (mut conntrack, _) =
        uncountable(&table, |request| vec![datagram(&[stats(request, u32::MAX)]), datagram(&[ack(request, 0)])]);
    assert_eq!(conntrack.count().unwrap(), u64::from(u32::MAX));
    assert_eq!(conntrack.list(&[]).unwrap(), table.entries());
}

#[test]
fn the_kernels_own_words_on_a_refused_dump_are_passed_on() {
    let (mut conntrack, _) = disturbed(&table(), 1, |request, _| {
        vec![datagram(&[ack_with(request, libc::EINVAL, &[attr(1, b"not like this\0")])])]
    });
    let error = conntrack.list(&[]).unwrap_err();
    assert!(error.to_string().contains("kernel: not like this"), "{error}");
}
