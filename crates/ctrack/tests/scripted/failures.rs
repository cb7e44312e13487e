//! Which of many entries failed first, and how many more; and what is found out before entries are made.

use super::kernel::*;
use super::operations::new;
use super::transport::{Event, Request};
use super::*;

fn is_dump(request: &Request) -> bool {
    request.kind == GET && request.flags & F_DUMP != 0
}

/// Refuses those of the requests for which there is an errno, and acknowledges the last one.
fn refuse(requests: &[Request], errno: impl Fn(usize) -> Option<i32>) -> Vec<Event> {
    let last = requests.len() - 1;
    let refused = |at: usize| errno(at).map(|errno| datagram(&[ack(&requests[at], errno)]));
    let mut events: Vec<Event> = (0..requests.len()).filter_map(refused).collect();
    if errno(last).is_none() {
        events.push(datagram(&[ack(&requests[last], 0)]));
    }
    events
}

fn text(outcome: &Outcome) -> String {
    outcome.failure().expect("something failed").to_string()
}

#[test]
fn the_first_that_failed_is_the_lowest_one_though_its_fate_was_known_last() {
    // Entry 3 is hidden, which only the dump at the end tells; entry 10 is refused before.
    let mut hider = udp(200);
    (hider.has, hider.zone, hider.reply.zone) = (hider.has | Has::REPLY_ZONE, 9, 9);
    let table = Table::new(&(0..20).map(udp).collect::<Vec<_>>());
    let kernel = table.clone();
    let script = Script::new(move |_, requests| match requests[0].kind {
        DELETE => refuse(requests, |at| match parse_key(&requests[at].payload).id {
            Some(id) if id == udp(3).id => Some(libc::ENOENT),
            Some(id) if id == udp(10).id => Some(libc::EBUSY),
            _ => None,
        }),
        GET if !is_dump(&requests[0]) => {
            let found = |request| datagram(&[entry_message(request, &hider)]);
            let mut answers: Vec<Event> = requests.iter().map(found).collect();
            answers.push(datagram(&[ack(requests.last().unwrap(), 0)]));
            answers
        }
        _ => kernel.answer(requests),
    });
    let result = over(&script).delete_entries(&(0..20).map(udp).collect::<Vec<_>>()).unwrap();
    assert_eq!((result.status()[3], result.status()[10]), (-libc::ENOTUNIQ, -libc::EBUSY));
    assert_eq!((result.outcome.first_failed, result.outcome.failed, result.outcome.done), (Some(3), 2, 18));
    assert!(matches!(result.outcome.error, Some(Error::Hidden { .. })));
    let text = text(&result.outcome);
    assert!(text.starts_with("entry[3]: delete_entries: the entry is there, but cannot be reached"), "{text}");
    assert!(text.ends_with("; and 1 more"), "{text}");
}

#[test]
fn the_words_are_those_about_the_entry_that_is_named() {
    let table = Table::new(&[]);
    let script = Script::new(move |_, requests| {
        let words = |words: &[u8]| [attr(1, words)];
        vec![
            datagram(&[ack_with(&requests[9], libc::EINVAL, &words(b"of the ninth\0"))]),
            datagram(&[ack_with(&requests[4], libc::EINVAL, &words(b"of the fourth\0"))]),
            datagram(&[ack(requests.last().unwrap(), 0)]),
        ]
    });
    let wanted: Vec<Entry> = (0..20).map(|port| new(&udp(port))).collect();
    let result = over(&script).create_entries(&wanted).unwrap();
    assert_eq!(text(&result.outcome), "entry[4]: create_entries: invalid argument: kernel: of the fourth; and 1 more");
    assert_eq!(table.entries(), []);
}

#[test]
fn a_batch_that_breaks_off_names_the_first_of_those_whose_fate_is_not_known() {
    for answered in [0, 1, 2] {
        let table = Table::new(&[]);
        let kernel = table.clone();
        let mut datagrams = 0;
        let script = Script::new(move |_, requests| {
            datagrams += 1;
            if datagrams > answered {
                Vec::new()
            } else {
                kernel.answer(requests)
            }
        });
        let wanted: Vec<Entry> = (0..600).map(|port| new(&udp(port))).collect();
        let result = over(&script).create_entries(&wanted).unwrap();
        let first = 256 * answered;
        assert_eq!((result.outcome.done, result.outcome.failed), (first as u64, 600 - first as u64));
        let text = text(&result.outcome);
        assert!(
            text.starts_with(&format!("entry[{first}]: create_entries: no reply from the kernel within")),
            "{text}"
        );
        assert!(text.ends_with(&format!("; and {} more", 599 - first)), "{text}");
    }
}

#[test]
fn a_delete_by_filter_says_how_many_more_failed_and_names_no_place_among_what_nobody_gave() {
    let table = Table::new(&(0..600).map(udp).collect::<Vec<_>>());
    let kernel = table.clone();
    let script = Script::new(move |_, requests| match requests[0].kind {
        DELETE => refuse(requests, |at| (at % 100 == 7).then_some(libc::EBUSY)),
        _ => kernel.answer(requests),
    });
    let all = Filter { family: Some(Family::IPV4), ..Filter::default() };
    let outcome = over(&script).delete(&[all]).unwrap();
    assert_eq!((outcome.first_failed, outcome.failed, outcome.done), (None, 7, 593));
    assert_eq!(text(&outcome), "delete: in use, or not changeable; and 6 more");
}

#[test]
fn ports_are_asked_about_once_and_only_for_protocols_of_which_some_kernels_keep_none() {
    for (answer, kept) in [(libc::EINVAL, true), (libc::ENOENT, false)] {
        let table = Table::new(&[]);
        let kernel = table.clone();
        let script = Script::new(move |_, requests| match requests[0].kind {
            GET => refuse(requests, |_| Some(answer)),
            _ => kernel.answer(requests),
        });
        let mut conntrack = over(&script);
        assert_eq!(conntrack.create_entries(&[new(&udp(1)), new(&udp6(1))]).unwrap().outcome.done, 2);
        assert_eq!(script.count_of(GET), 0, "not for UDP");
        for (asked, proto) in (1..).zip([Proto::SCTP, Proto::GRE, Proto::UDPLITE, Proto::DCCP]) {
            for round in 0..3 {
                let entry = Entry { proto, ..new(&udp(100 * asked + round)) };
                let result = conntrack.create_entries(&[new(&udp(100 * asked + 50 + round)), entry, entry]).unwrap();
                let refused = -libc::EOPNOTSUPP;
                let wanted = if kept { [0, 0, -libc::EEXIST] } else { [0, refused, refused] };
                assert_eq!(result.status(), wanted, "protocol {proto}");
            }
            assert_eq!(script.count_of(GET), usize::from(asked), "protocol {proto}");
        }
        let portful = table.entries().iter().filter(|entry| entry.proto != Proto::UDP).count();
        assert_eq!(portful, if kept { 12 } else { 0 });
    }
}

#[test]
fn an_answer_about_ports_that_says_nothing_keeps_no_entry_from_being_made_and_is_not_remembered() {
    let table = Table::new(&[]);
    let kernel = table.clone();
    let script = Script::new(move |_, requests| match requests[0].kind {
        GET => refuse(requests, |_| Some(libc::ENOMEM)),
        _ => kernel.answer(requests),
    });
    let mut conntrack = over(&script);
    for port in 0..3 {
        let entry = Entry { proto: Proto::SCTP, ..new(&udp(port)) };
        assert_eq!(conntrack.create_entries(&[entry]).unwrap().status(), [0]);
    }
    assert_eq!((script.count_of(GET), table.entries().len()), (3, 3));
    // Without the capability the create is refused as it always is.
    let script = Script::new(|_, requests| vec![datagram(&[ack(&requests[0], libc::EPERM)])]);
    let entry = Entry { proto: Proto::SCTP, ..new(&udp(1)) };
    let error = over(&script).create_entries(&[entry]).unwrap_err();
    assert!(matches!(error, Error::Permission { op: "create_entries", .. }), "{error}");
}

#[test]
fn nothing_is_sent_for_entries_that_are_all_impossible() {
    let (mut conntrack, script) = on(&Table::new(&[]));
    let entries: Vec<Entry> = (0..600).map(|port| Entry { timeout: 0, ..new(&udp(port)) }).collect();
    let result = conntrack.create_entries(&entries).unwrap();
    assert_eq!(result.status(), [-libc::ETIME; 600]);
    assert_eq!((result.outcome.matched, result.outcome.done, result.outcome.failed), (600, 0, 600));
    assert_eq!(text(&result.outcome), "entry[0]: create_entries: expired: its timeout is 0; and 599 more");
    assert_eq!(script.requests(), []);
}
