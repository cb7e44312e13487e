//! What may go wrong with many requests at once: each entry gets the status that is true.

use super::kernel::*;
use super::operations::{deletes, new};
use super::transport::{Event, Request};
use super::*;

/// A handle whose n-th datagram of deletes is answered by `fault` instead of the table.
fn disturbed(
    table: &Table,
    mut fault: impl FnMut(usize, &[Request]) -> Option<Vec<Event>> + Send + 'static,
) -> (Conntrack, Script) {
    let (kernel, mut batches) = (table.clone(), 0);
    let script = Script::new(move |_, requests| {
        if requests[0].kind != DELETE && requests[0].kind != NEW {
            return kernel.answer(requests);
        }
        batches += 1;
        fault(batches - 1, requests).unwrap_or_else(|| kernel.answer(requests))
    });
    (over(&script), script)
}

fn entries(count: u16) -> Vec<Entry> {
    (0..count).map(udp).collect()
}

fn all_ipv4() -> Filter {
    Filter { family: Some(Family::IPV4), ..Filter::default() }
}

/// Refuses some requests of a datagram and acknowledges the last one. What is said not to be there goes.
fn refusing(table: &Table, requests: &[Request], refused: &[(usize, i32)]) -> Vec<Event> {
    for (at, _) in refused.iter().filter(|(_, errno)| *errno == libc::ENOENT) {
        let id = parse_key(&requests[*at].payload).id.unwrap();
        table.change(|entries| entries.retain(|entry| entry.id != id));
    }
    let mut events: Vec<Event> = refused.iter().map(|(at, errno)| datagram(&[ack(&requests[*at], *errno)])).collect();
    let last = requests.len() - 1;
    if refused.iter().all(|(at, _)| *at != last) {
        events.push(datagram(&[ack(&requests[last], 0)]));
    }
    events
}

#[test]
fn a_missing_capability_fails_ten_thousand_at_once_with_one_datagram_and_no_waiting() {
    type Run = fn(&mut Conntrack, &[Entry]) -> Result<BatchOutcome, Error>;
    let operations: [(&str, Run); 3] = [
        ("delete_entries", |c, entries| c.delete_entries(entries)),
        ("create_entries", |c, entries| c.create_entries(&entries.iter().map(new).collect::<Vec<_>>())),
        ("update_entries", |c, entries| {
            let change = |entry| Entry { has: key_of(entry).has | Has::MARK, ..key_of(entry) };
            c.update_entries(&entries.iter().map(change).collect::<Vec<_>>())
        }),
    ];
    for (name, run) in operations {
        let script = Script::new(|_, requests| vec![datagram(&[ack(&requests[0], libc::EPERM)])]);
        let error = run(&mut over(&script), &entries(10_000)).unwrap_err();
        assert!(matches!(error, Error::Permission { op, .. } if op == name), "{error}");
        let state = script.state();
        assert_eq!((state.sent.len(), state.timeouts), (1, 0), "{name}");
    }

    let table = Table::new(&entries(10_000));
    let (mut conntrack, script) =
        disturbed(&table, |_, requests| Some(vec![datagram(&[ack(&requests[0], libc::EPERM)])]));
    let error = conntrack.delete(&[all_ipv4()]).unwrap_err();
    assert!(matches!(error, Error::Permission { .. }), "{error}");
    assert_eq!(script.count_of(DELETE), 256);
    assert_eq!(script.state().timeouts, 0);
}

#[test]
fn an_error_for_one_in_the_middle_is_that_ones_alone() {
    for at in [0, 1, 64, 254, 255] {
        let table = Table::new(&entries(600));
        let (mut conntrack, _) = disturbed(&table, move |batch, requests| {
            (batch == 1).then(|| refusing(&Table::new(&[]), requests, &[(at, libc::EINVAL)]))
        });
        let result = conntrack.delete_entries(&entries(600)).unwrap();
        for (index, status) in result.status().iter().enumerate() {
            assert_eq!(*status, if index == 256 + at { -libc::EINVAL } else { 0 }, "{index}");
        }
        assert_eq!((result.outcome.done, result.outcome.gone, result.outcome.failed), (599, 0, 1));
        assert_eq!(result.outcome.error.unwrap().errno(), libc::EINVAL);
    }
}

#[test]
fn gone_and_failed_are_counted_apart_and_the_first_failure_is_told() {
    let table = Table::new(&entries(600));
    let kernel = table.clone();
    let (mut conntrack, _) = disturbed(&table, move |batch, requests| {
        let refused: &[(usize, i32)] = match batch {
            0 => &[(3, libc::ENOENT), (5, libc::EBUSY), (255, libc::ENOENT)],
            _ => &[(0, libc::ENOMEM), (1, libc::ENOENT)],
        };
        Some(refusing(&kernel, requests, refused))
    });
    let outcome = conntrack.delete(&[all_ipv4()]).unwrap();
    assert_eq!((outcome.matched, outcome.done, outcome.gone, outcome.failed), (600, 593, 4, 3));
    assert_eq!(outcome.error.unwrap().errno(), libc::EBUSY);
}

#[test]
fn everything_refused_is_everything_reported() {
    let (mut conntrack, script) = on(&Table::new(&[]));
    let result = conntrack.delete_entries(&entries(300)).unwrap();
    assert_eq!(result.status(), [-libc::ENOENT; 300]);
    assert_eq!((result.outcome.done, result.outcome.gone, result.outcome.failed), (0, 300, 0));
    assert_eq!(script.state().timeouts, 0);
}

#[test]
fn acknowledgements_that_nobody_asked_for_do_no_harm() {
    let table = Table::new(&entries(200));
    let (mut conntrack, _) =
        disturbed(&table, |_, requests| Some(requests.iter().map(|request| datagram(&[ack(request, 0)])).collect()));
    assert_eq!(conntrack.delete_entries(&entries(200)).unwrap().status(), [0; 200]);
}

#[test]
fn a_second_error_for_the_same_request_is_not_counted_twice() {
    let table = Table::new(&entries(100));
    let kernel = table.clone();
    let (mut conntrack, _) = disturbed(&table, move |_, requests| {
        let twice = [(7, libc::EBUSY), (7, libc::EBUSY), (7, libc::ENOENT), (8, libc::ENOENT), (8, libc::ENOENT)];
        Some(refusing(&kernel, requests, &twice))
    });
    let result = conntrack.delete_entries(&entries(100)).unwrap();
    assert_eq!((result.outcome.done, result.outcome.gone, result.outcome.failed), (98, 1, 1));
    assert_eq!((result.status()[7], result.status()[8]), (-libc::EBUSY, -libc::ENOENT));
}

#[test]
fn a_lost_barrier_leaves_known_results_known_the_rest_unknown_and_what_follows_untried() {
    // The errors of some came; then the kernel is silent.
    for first_batch in [0, 1] {
        let table = Table::new(&entries(800));
        let (mut conntrack, script) = disturbed(&table, move |batch, requests| {
            (batch == first_batch).then(|| {
                vec![datagram(&[ack(&requests[2], libc::ENOENT)]), datagram(&[ack(&requests[9], libc::EBUSY)])]
            })
        });
        let result = conntrack.delete_entries(&entries(800)).unwrap();
        let start = 256 * first_batch;
        for (index, status) in result.status().iter().enumerate() {
            let expected = match index {
                _ if index < start => 0,
                _ if index == start + 9 => -libc::EBUSY,
                _ if index < start + 256 => -libc::ETIMEDOUT,
                _ => -libc::ECANCELED,
            };
            assert_eq!(*status, expected, "entry {index}");
        }
        let outcome = result.outcome;
        assert_eq!(outcome.matched, 800);
        // That an id is not there proves nothing, and nobody could be asked what became of the entry.
        assert_eq!((outcome.done, outcome.gone), (start as u64, 0));
        assert_eq!(outcome.failed, 800 - start as u64, "unknown and untried ones are not done");
        assert_eq!(outcome.error.unwrap().errno(), libc::ETIMEDOUT);
        assert_eq!(script.count_of(DELETE), start + 256, "nothing is sent after silence");
        assert_eq!(script.state().resets, 1);
    }
}

#[test]
fn a_lost_barrier_of_a_delete_by_filter_is_never_counted_as_done() {
    let table = Table::new(&entries(600));
    let (mut conntrack, script) = disturbed(&table, |batch, _| (batch == 1).then(Vec::new));
    let outcome = conntrack.delete(&[all_ipv4()]).unwrap();
    assert_eq!((outcome.matched, outcome.done, outcome.gone, outcome.failed), (600, 256, 0, 344));
    assert_eq!(outcome.error.unwrap().errno(), libc::ETIMEDOUT);
    assert_eq!(script.count_of(DELETE), 512);
}

#[test]
fn the_very_first_barrier_lost_is_not_told_as_nothing_done() {
    let table = Table::new(&entries(10));
    let (mut conntrack, _) = disturbed(&table, |_, _| Some(Vec::new()));
    let outcome = conntrack.delete(&[all_ipv4()]).unwrap();
    assert_eq!((outcome.matched, outcome.done, outcome.failed), (10, 0, 10));
    assert_eq!(outcome.error.unwrap().errno(), libc::ETIMEDOUT);
}

#[test]
fn lost_replies_leave_fates_unknown_with_their_own_errno() {
    let table = Table::new(&entries(400));
    let (mut conntrack, _) = disturbed(&table, |_, requests| {
        Some(vec![datagram(&[ack(&requests[0], libc::ENOENT)]), Event::Errno(libc::ENOBUFS)])
    });
    let result = conntrack.delete_entries(&entries(400)).unwrap();
    assert_eq!(result.status()[..256], [-libc::ENOBUFS; 256]);
    assert_eq!(result.status()[256..], [-libc::ECANCELED; 144]);
    assert_eq!(result.outcome.error.unwrap().errno(), libc::ENOBUFS);
}

#[test]
fn a_send_that_fails_later_leaves_what_was_done_done() {
    let (mut conntrack, script) = on(&Table::new(&entries(600)));
    script.state().send_errors = [0, libc::ENOMEM].into();
    let result = conntrack.delete_entries(&entries(600)).unwrap();
    assert_eq!(result.status()[..256], [0; 256]);
    assert_eq!(result.status()[256..512], [-libc::ENOMEM; 256]);
    assert_eq!(result.status()[512..], [-libc::ECANCELED; 88]);
    assert_eq!((result.outcome.done, result.outcome.failed), (256, 344));
}

#[test]
fn batches_are_cut_to_what_the_send_buffer_takes() {
    for longest in [200, 500, 4_576, 10_000, 20_000] {
        for refused in [0usize, 100, 255, 299] {
            let table = Table::new(&entries(300));
            let kernel = table.clone();
            let mut seen = 0;
            let script = Script::new(move |_, requests| {
                if requests[0].kind != DELETE {
                    return kernel.answer(requests);
                }
                let here = refused.checked_sub(seen).filter(|at| *at < requests.len());
                seen += requests.len();
                match here {
                    Some(at) => refusing(&Table::new(&[]), requests, &[(at, libc::EBUSY)]),
                    None => kernel.answer(requests),
                }
            });
            script.state().longest = longest;
            let mut conntrack = over(&script);
            let result = conntrack.delete_entries(&entries(300)).unwrap();
            let expected: Vec<i32> = (0..300).map(|at| if at == refused { -libc::EBUSY } else { 0 }).collect();
            assert_eq!(result.status(), expected, "at most {longest} bytes");
            assert_eq!((result.outcome.done, result.outcome.failed), (299, 1));
            let state = script.state();
            assert_eq!(state.timeouts, 0);
            let sent: Vec<usize> = state.sent.iter().map(Vec::len).collect();
            assert_eq!(sent.iter().sum::<usize>(), 300, "each once: {sent:?}");
            assert!(longest >= 20_000 || sent.len() > 2, "{sent:?}");
        }
    }
}

#[test]
fn a_request_that_no_send_buffer_takes_is_an_error_with_nothing_done() {
    let table = Table::new(&entries(300));
    for errno in [libc::EMSGSIZE, libc::ENOBUFS] {
        let (mut conntrack, script) = on(&table);
        script.state().send_errors = [errno; 50].into();
        let error = conntrack.delete_entries(&entries(300)).unwrap_err();
        assert_eq!(error.errno(), errno);
        assert_eq!((script.requests().len(), table.entries().len()), (0, 300));
    }
}

#[test]
fn a_part_of_a_batch_that_cannot_be_sent_is_not_told_as_nothing_done() {
    let table = Table::new(&entries(300));
    let (mut conntrack, script) = on(&table);
    // Refused as a whole; the first half goes, the second does not.
    script.state().send_errors = [libc::EMSGSIZE, 0, libc::ENOMEM].into();
    let result = conntrack.delete_entries(&entries(300)).unwrap();
    assert_eq!(table.entries().len(), 300 - 128);
    assert_eq!(result.status()[..256], [-libc::ENOMEM; 256]);
    assert_eq!(result.status()[256..], [-libc::ECANCELED; 44]);
    assert_eq!((result.outcome.done, result.outcome.failed), (0, 300));
    assert_eq!(result.outcome.error.unwrap().errno(), libc::ENOMEM);
}

#[test]
fn the_kernels_words_and_the_attribute_at_fault_are_told() {
    let zoned: Vec<Entry> = (0..3).map(|port| listed(udp(port).in_zone(7), port.into())).collect();
    let offset_of = |request: &Request, kind: u16| {
        let mut at = 20;
        for (found, value) in attrs(&request.payload[4..]) {
            if found & !NESTED == kind {
                return u32::try_from(at).unwrap();
            }
            at += (4 + value.len()).next_multiple_of(4);
        }
        panic!("no attribute {kind}");
    };
    for (kind, name, inside) in [
        (2, "CTA_TUPLE_REPLY", 0),
        (2, "CTA_TUPLE_REPLY", 8),
        (18, "CTA_ZONE", 0),
        (12, "CTA_ID", 0),
        (12, "CTA_ID", 4),
    ] {
        let (mut conntrack, _) = disturbed(&Table::new(&zoned), move |_, requests| {
            let offset = offset_of(&requests[1], kind) + inside;
            let words = [attr(1, b"Attribute failed policy validation\0"), attr(2, &offset.to_ne_bytes())];
            Some(vec![
                datagram(&[ack_with(&requests[1], libc::ERANGE, &words)]),
                datagram(&[ack(&requests[requests.len() - 1], 0)]),
            ])
        });
        let error = conntrack.delete_entries(&zoned).unwrap().outcome.error.unwrap();
        let text = error.to_string();
        assert!(
            text.starts_with("delete_entries: value out of range: kernel: Attribute failed policy validation"),
            "{text}"
        );
        assert!(text.contains(&format!("(attribute {name}, offset ")), "{text}");
    }
}

#[test]
fn extended_acknowledgements_are_found_behind_a_copy_of_the_request_too() {
    // Without NETLINK_CAP_ACK the kernel repeats the whole request in an error.
    let (mut conntrack, _) = disturbed(&Table::new(&entries(1)), |_, requests| {
        let request = &requests[0];
        let copy = message(request.kind, request.flags, request.seq, request.port, &request.payload);
        let words = [attr(1, b"so it is\0"), attr(2, &20u32.to_ne_bytes())].concat();
        let payload = [(-libc::EINVAL).to_ne_bytes().to_vec(), copy, words].concat();
        Some(vec![datagram(&[reply(request, NLMSG_ERROR, F_ACK_TLVS, &payload)])])
    });
    let text = conntrack.delete_entries(&entries(1)).unwrap().outcome.error.unwrap().to_string();
    assert!(text.ends_with("kernel: so it is (attribute CTA_TUPLE_REPLY, offset 20)"), "{text}");
}

#[test]
fn extended_acknowledgements_that_make_no_sense_are_left_out() {
    let garbage: Vec<Vec<u8>> = vec![
        vec![1],
        vec![0; 4],
        vec![0xff; 40],
        attr(2, &[1, 2]),
        attr(2, &u32::MAX.to_ne_bytes()),
        attr(2, &0u32.to_ne_bytes()),
        attr(1, &[0xff, 0xfe, 0]),
        attr(1, &[]),
        attr(77, b"unknown"),
    ];
    for words in garbage {
        for flags in [F_CAPPED | F_ACK_TLVS, F_ACK_TLVS] {
            let words = words.clone();
            let (mut conntrack, _) = disturbed(&Table::new(&entries(1)), move |_, requests| {
                let mut message = ack_with(&requests[0], libc::EBUSY, std::slice::from_ref(&words));
                message[6..8].copy_from_slice(&flags.to_ne_bytes());
                Some(vec![Event::Datagram(message)])
            });
            let result = conntrack.delete_entries(&entries(1)).unwrap();
            assert_eq!(result.status(), [-libc::EBUSY]);
            assert!(result.outcome.error.unwrap().to_string().starts_with("delete_entries: "));
        }
    }
}

#[test]
fn an_errno_that_no_kernel_sends_is_still_an_error() {
    for code in [i32::MIN, i32::MAX, 5, -4095] {
        let (mut conntrack, _) = disturbed(&Table::new(&entries(2)), move |_, requests| {
            let mut message = ack(&requests[0], 1);
            message[16..20].copy_from_slice(&code.to_ne_bytes());
            assert_eq!(requests.len(), 2, "it is not asked for again");
            Some(vec![Event::Datagram(message), datagram(&[ack(&requests[1], 0)])])
        });
        let result = conntrack.delete_entries(&entries(2)).unwrap();
        assert_ne!(result.status()[0], 0, "{code}");
        assert_eq!(result.status()[1], 0);
        assert_eq!((result.outcome.done, result.outcome.failed), (1, 1), "{code}");
    }
}

#[test]
fn an_answer_to_a_look_up_that_is_silent_stops_everything_behind_it() {
    let table = Table::new(&entries(600));
    let (kernel, mut lookups) = (table.clone(), 0);
    let script = Script::new(move |_, requests| {
        if requests[0].kind == GET {
            lookups += 1;
            if lookups > 9 {
                return Vec::new();
            }
        }
        kernel.answer(requests)
    });
    let keys: Vec<Entry> = entries(600).iter().map(key_of).collect();
    let result = over(&script).delete_entries(&keys).unwrap();
    // Each is deleted right after the batch of its look-up.
    assert_eq!(result.status()[..288], [0; 288]);
    assert_eq!(result.status()[288..512], [-libc::ETIMEDOUT; 224]);
    assert_eq!(result.status()[512..], [-libc::ECANCELED; 88]);
    assert_eq!((result.outcome.done, result.outcome.failed), (288, 312));
    assert_eq!(deletes(&script).len(), 288);
}

#[test]
fn a_look_up_that_is_refused_is_that_entrys_failure_and_it_is_not_deleted() {
    let table = Table::new(&entries(3));
    let kernel = table.clone();
    let script = Script::new(move |_, requests| {
        if requests[0].kind == GET {
            let is_second = |request: &Request| parse_key(&request.payload).tuple.unwrap().1.sport == 1;
            let answer = |request| match is_second(request) {
                true => vec![datagram(&[ack(request, libc::ENOMEM)])],
                false => kernel.answer(std::slice::from_ref(request)),
            };
            return requests.iter().flat_map(answer).collect();
        }
        kernel.answer(requests)
    });
    let keys: Vec<Entry> = entries(3).iter().map(key_of).collect();
    let result = over(&script).delete_entries(&keys).unwrap();
    assert_eq!(result.status(), [0, -libc::ENOMEM, 0]);
    assert_eq!((result.outcome.done, result.outcome.gone, result.outcome.failed), (2, 0, 1));
    assert_eq!(table.entries(), [udp(1)]);
}
