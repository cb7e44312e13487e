//! Counters are read and begin anew: once, whatever is lost.

use super::kernel::*;
use super::transport::{Event, Request};
use super::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// So many entries, each with packets of its own.
fn counted(count: u16) -> Vec<Entry> {
    (0..count)
        .map(|port| Entry {
            has: udp(port).has | Has::ORIG_COUNTERS,
            orig_counters: Counters { packets: 1000 + u64::from(port), bytes: 7 },
            ..udp(port)
        })
        .collect()
}

/// A handle whose n-th datagram of GET_CTRZERO is answered by what `fault` makes of the table's answers; and how often each port was
/// zeroed.
fn disturbed(
    table: &Table,
    mut fault: impl FnMut(usize, &[Request], Vec<Event>) -> Vec<Event> + Send + 'static,
) -> (Conntrack, Script, Arc<Mutex<BTreeMap<u16, u32>>>) {
    let (kernel, mut batches) = (table.clone(), 0);
    let zeroed = Arc::new(Mutex::new(BTreeMap::new()));
    let count = zeroed.clone();
    let script = Script::new(move |_, requests| {
        let answers = kernel.answer(requests);
        if requests[0].kind != ZERO {
            return answers;
        }
        for request in requests {
            let tuple = parse_key(&request.payload).tuple.unwrap().1;
            let port = if tuple.src[3] == 2 { tuple.dport } else { tuple.sport };
            *count.lock().unwrap().entry(port).or_default() += 1;
        }
        batches += 1;
        fault(batches - 1, requests, answers)
    });
    (over(&script), script, zeroed)
}

fn packets(zeroed: &ZeroOutcome) -> u64 {
    let packets = |result: &Zeroed| match result {
        Zeroed::Entry(entry) | Zeroed::Another(entry) => entry.orig_counters.packets,
        Zeroed::Failed(_) => 0,
    };
    zeroed.results.iter().map(packets).sum()
}

#[test]
fn what_is_read_is_what_was_counted_and_the_next_time_nothing() {
    let (entries, expected) = (counted(300), (0..300).map(|port| 1000 + port).sum::<u64>());
    let table = Table::new(&entries);
    let (mut conntrack, script) = on(&table);
    let zeroed = conntrack.zero_entries(&entries).unwrap();
    assert_eq!((packets(&zeroed), zeroed.outcome.done), (expected, 300));
    let in_order = zeroed.results.iter().zip(&entries).all(|(result, entry)| *result == Zeroed::Entry(*entry));
    assert!(in_order, "{zeroed:?}");
    assert_eq!(packets(&conntrack.zero_entries(&entries).unwrap()), 0);
    // 64 at a time, and nothing beside.
    assert_eq!(script.count_of(ZERO), 600);
    assert_eq!(script.state().sent.len(), 10);
}

#[test]
fn where_a_reply_is_lost_that_entry_alone_is_not_known_and_nothing_is_sent_again() {
    const COUNT: u16 = 70;
    // Each of them in turn; the last two answers of a batch are the reply and its acknowledgement.
    for lost in 0..usize::from(COUNT) {
        for overrun in [true, false] {
            let table = Table::new(&counted(COUNT));
            let (mut conntrack, _, zeroed) = disturbed(&table, move |batch, requests, mut answers| {
                let of_this = lost.checked_sub(batch * 64).filter(|&at| at < requests.len());
                if let Some(at) = of_this {
                    answers.remove(at);
                    if overrun {
                        // As soon as one was lost recv() says so, before it gives what came.
                        answers.insert(0, Event::Errno(libc::ENOBUFS));
                    }
                }
                answers
            });
            let all = conntrack.zero_entries(&counted(COUNT)).unwrap();
            let what = format!("reply {lost} lost, overrun {overrun}: {:?}", all.outcome);
            let status: Vec<i32> = all
                .results
                .iter()
                .map(|result| if let Zeroed::Failed(errno) = result { errno.0 } else { 0 })
                .collect();
            assert_eq!(status[lost], libc::ENOBUFS, "{what}");
            // What comes behind a batch that broke off is not tried.
            let tried = if lost < 64 { 64 } else { usize::from(COUNT) };
            for (index, &status) in status.iter().enumerate().filter(|(index, _)| *index != lost) {
                assert_eq!(status, if index < tried { 0 } else { libc::ECANCELED }, "{index}: {what}");
            }
            let known: u64 = (0..tried as u64).filter(|&port| port != lost as u64).map(|port| 1000 + port).sum();
            assert_eq!(packets(&all), known, "{what}");
            assert!(zeroed.lock().unwrap().values().all(|&times| times == 1), "{what}: {zeroed:?}");
            assert_eq!((all.outcome.done, all.outcome.failed), (tried as u64 - 1, u64::from(COUNT) - tried as u64 + 1), "{what}");
        }
    }
}

#[test]
fn where_the_acknowledgement_is_lost_with_it_nothing_waits_and_all_that_came_is_kept() {
    let table = Table::new(&counted(10));
    let (mut conntrack, script, _) = disturbed(&table, |_, _, mut answers| {
        answers.truncate(8);
        answers.insert(3, Event::Errno(libc::ENOBUFS));
        answers
    });
    let all = conntrack.zero_entries(&counted(10)).unwrap();
    assert_eq!(packets(&all), (0..8).map(|port| 1000 + port).sum::<u64>());
    assert_eq!(all.results[8..], [Zeroed::Failed(Errno(libc::ENOBUFS)); 2]);
    assert_eq!(script.state().timeouts, 0);
}

#[test]
fn a_kernel_that_falls_silent_leaves_those_without_a_reply_unknown() {
    let table = Table::new(&counted(10));
    let (mut conntrack, _, zeroed) = disturbed(&table, |_, _, mut answers| {
        answers.truncate(4);
        answers
    });
    let all = conntrack.zero_entries(&counted(10)).unwrap();
    assert_eq!(packets(&all), (0..4).map(|port| 1000 + port).sum::<u64>());
    assert_eq!(all.results[4..], [Zeroed::Failed(Errno(libc::ETIMEDOUT)); 6]);
    assert!(zeroed.lock().unwrap().values().all(|&times| times == 1));
}

#[test]
fn a_reply_that_makes_no_sense_spoils_no_other() {
    let table = Table::new(&counted(10));
    let (mut conntrack, _, _) = disturbed(&table, |_, requests, mut answers| {
        answers[2] = datagram(&[reply(&requests[2], NEW, F_MULTI, &[2, 0, 0, 0, 9, 0, 1, 0])]);
        answers
    });
    let all = conntrack.zero_entries(&counted(10)).unwrap();
    assert_eq!(all.results[2], Zeroed::Failed(Errno(libc::EBADMSG)));
    assert_eq!((all.outcome.done, all.outcome.failed), (9, 1));
}

#[test]
fn an_entry_that_took_the_place_of_another_is_handed_over_and_said_to_be_another() {
    let table = Table::new(&counted(5));
    table.change(|entries| entries[3].id += 1000);
    let (mut conntrack, _) = on(&table);
    let all = conntrack.zero_entries(&counted(5)).unwrap();
    assert!(matches!(all.results[3], Zeroed::Another(entry) if entry.id == counted(5)[3].id + 1000), "{all:?}");
    assert_eq!((packets(&all), all.outcome.done, all.outcome.failed), ((0..5).map(|port| 1000 + port).sum(), 4, 1));
    let text = "zero_entries: another entry has its place: that one was read, and counts from 0 on";
    assert_eq!(all.outcome.failure().unwrap().to_string(), format!("entry[3]: {text}"));
    // Without an id it is the one that is meant.
    let by_hand: Vec<Entry> = counted(5).iter().map(key_of).collect();
    assert_eq!(conntrack.zero_entries(&by_hand).unwrap().outcome.done, 5);
}

#[test]
fn an_entry_that_is_gone_was_asked_for_twice_and_one_that_others_hide_not_at_all() {
    let table = Table::new(&counted(3));
    let (mut conntrack, script) = on(&table);
    let gone = conntrack.zero_entries(&[udp(99)]).unwrap();
    assert_eq!((gone.results, gone.outcome.gone), (vec![Zeroed::Failed(Errno::GONE)], 1));
    assert_eq!(script.count_of(ZERO), 2);

    // Every name of it leads to another one.
    let mut hider = udp(200);
    (hider.has, hider.zone, hider.reply.zone) = (hider.has | Has::REPLY_ZONE, 9, 9);
    let script = Script::new(move |_, requests| {
        let answers = requests.iter().map(|request| datagram(&[entry_message(request, &hider)]));
        answers.chain([datagram(&[ack(requests.last().unwrap(), 0)])]).collect()
    });
    let all = over(&script).zero_entries(&[Entry { has: udp(1).has | Has::ORIG_ZONE, zone: 7, orig: Tuple { zone: 7, ..udp(1).orig }, ..udp(1) }]);
    assert_eq!(all.unwrap().results, [Zeroed::Failed(Errno(libc::ENOTUNIQ))]);
    assert_eq!(script.count_of(ZERO), 0);
}

#[test]
fn a_missing_capability_is_heard_once_and_keys_that_are_wrong_send_nothing() {
    let script = Script::new(|_, requests| vec![datagram(&[ack(&requests[0], libc::EPERM)])]);
    let error = over(&script).zero_entries(&counted(200)).unwrap_err();
    assert!(matches!(error, Error::Permission { op: "zero_entries", .. }), "{error}");
    let state = script.state();
    assert_eq!((state.sent.len(), state.timeouts), (1, 0));
    let script = Script::new(|_, _| panic!("nothing is to be sent"));
    let error = over(&script).zero_entries(&[udp(1), Entry::EMPTY]).unwrap_err();
    assert_eq!(error.to_string(), "entry[1].family: is neither IPv4 nor IPv6");
}
