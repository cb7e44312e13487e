//! Whatever goes wrong at whatever moment of whatever operation: it ends, with the right result or the right error, and the
//! handle is good for the next operation.

use super::kernel::*;
use super::operations::new;
use super::transport::{Event, Request, PORT};
use super::*;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::time::Duration;

type Operation = (&'static str, fn(&mut Conntrack) -> Result<String, Error>);

fn ports(range: std::ops::RangeInclusive<u16>) -> Filter {
    Filter { proto: Some(Proto::UDP), orig_sport: Some(range), ..Filter::default() }
}

/// An outcome as text, or the first thing that went wrong.
fn told(outcome: Outcome) -> Result<String, Error> {
    match outcome.error {
        Some(error) => Err(error),
        None => Ok(format!("{outcome:?}")),
    }
}

/// Every operation, each long enough for several datagrams where it can be.
const OPERATIONS: [Operation; 11] = [
    ("list", |c| c.list(&[]).map(|entries| format!("{entries:?}"))),
    ("stream", |c| Ok(format!("{:?}", c.stream(&[])?.collect::<Result<Vec<Entry>, Error>>()?))),
    ("get", |c| c.get(&udp(3)).map(|entry| format!("{entry:?}"))),
    ("count", |c| c.count().map(|count| count.to_string())),
    ("find_free_zone", |c| c.find_free_zone(0..=9).map(|zone| zone.to_string())),
    ("delete", |c| told(c.delete(&[ports(10..=139)])?)),
    ("delete_entries", |c| {
        told(c.delete_entries(&(0..130).map(|port| key_of(&udp(port))).collect::<Vec<_>>())?.outcome)
    }),
    ("create_entries", |c| {
        told(c.create_entries(&(1000..1130).map(|port| new(&udp(port))).collect::<Vec<_>>())?.outcome)
    }),
    ("update_entries", |c| {
        let change = |port| Entry { has: key_of(&udp(port)).has | Has::MARK, mark: 1, ..key_of(&udp(port)) };
        told(c.update_entries(&(0..130).map(change).collect::<Vec<_>>())?.outcome)
    }),
    ("flush", |c| told(c.flush(&Filter { family: Some(Family::IPV4), ..Filter::default() })?)),
    ("flush_all", |c| c.flush_all().map(|()| "flushed".into())),
];

fn table() -> Table {
    Table::new(&(0..150).map(udp).collect::<Vec<_>>())
}

/// What the operation says when nothing goes wrong, and how many datagrams it sends.
fn undisturbed(operation: Operation) -> (String, usize) {
    let (mut conntrack, script) = on(&table());
    let told = operation.1(&mut conntrack).expect("nothing went wrong");
    let sent = script.state().sent.len();
    (told, sent)
}

/// Runs every operation with its answers changed by `disturb`, which must not change the result.
fn assert_harmless(name: &str, disturb: impl Fn(Vec<Event>) -> Vec<Event> + Clone + Send + 'static) {
    for operation in OPERATIONS {
        let (kernel, disturb) = (table(), disturb.clone());
        let script = Script::new(move |_, requests| disturb(kernel.answer(requests)));
        assert_eq!(operation.1(&mut over(&script)), Ok(undisturbed(operation).0), "{name}, {}", operation.0);
        assert_eq!(script.state().timeouts, 0, "{name}, {}: waited for something", operation.0);
    }
}

/// Runs every operation with `answer` instead of the kernel's answers from its n-th datagram on, for every n, and hands over
/// its error. Then everything is well again, and the handle must be so too.
fn assert_ends(
    name: &str,
    timeout: Duration,
    answer: impl Fn(&[Request]) -> Vec<Event> + Clone + Send + 'static,
    mut check: impl FnMut(&'static str, usize, Error),
) {
    for operation in OPERATIONS {
        for (from, can_reset) in (0..undisturbed(operation).1).flat_map(|from| [(from, true), (from, false)]) {
            let (table, is_wrong, answer) = (table(), Arc::new(AtomicBool::new(true)), answer.clone());
            let (kernel, wrong) = (table.clone(), is_wrong.clone());
            let script = Script::new(move |n, requests| {
                if n >= from && wrong.load(Ordering::Relaxed) {
                    answer(requests)
                } else {
                    kernel.answer(requests)
                }
            });
            script.state().can_reset = can_reset;
            let mut conntrack = Conntrack::over(script.transport(), timeout);
            let label = format!("{name}, {} from datagram {from} on, can_reset: {can_reset}", operation.0);
            match operation.1(&mut conntrack) {
                Ok(told) => panic!("{label}: went well: {told}"),
                Err(error) => check(operation.0, from, error),
            }
            is_wrong.store(false, Ordering::Relaxed);
            script.state().queue.retain(|event| !matches!(event, Event::Forever(_)));
            let expected = table.entries();
            assert_eq!(conntrack.count().map(|count| count as usize), Ok(expected.len()), "{label}: count afterwards");
            assert_eq!(conntrack.list(&[]), Ok(expected), "{label}: list afterwards");
        }
    }
}

/// A message in front of each one of a datagram.
fn before_each(events: Vec<Event>, extra: impl Fn(&[u8]) -> Vec<u8>) -> Vec<Event> {
    let with_extra = |bytes: Vec<u8>| {
        let (mut rest, mut all) = (bytes.as_slice(), Vec::new());
        while !rest.is_empty() {
            let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
            let end = length.next_multiple_of(4);
            all.extend(extra(&rest[..end]));
            all.extend(&rest[..end]);
            rest = &rest[end..];
        }
        all
    };
    // Of so many that it still fits the library's buffer.
    let small = |bytes: &Vec<u8>| bytes.len() < 20_000;
    events
        .into_iter()
        .map(|event| match event {
            Event::Datagram(bytes) if small(&bytes) => Event::Datagram(with_extra(bytes)),
            other => other,
        })
        .collect()
}

fn patched(message: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut message = message.to_vec();
    message[at..at + bytes.len()].copy_from_slice(bytes);
    message
}

#[test]
fn interrupted_system_calls_are_made_again() {
    assert_harmless("EINTR in recv", |events| {
        events.into_iter().flat_map(|event| [Event::Errno(libc::EINTR), Event::Errno(libc::EINTR), event]).collect()
    });
    for operation in OPERATIONS {
        let (mut conntrack, script) = on(&table());
        script.state().send_errors = [libc::EINTR; 3].into();
        assert_eq!(operation.1(&mut conntrack), Ok(undisturbed(operation).0), "{}", operation.0);
    }
}

#[test]
fn datagrams_of_anybody_but_the_kernel_are_ignored() {
    assert_harmless("a stranger", |events| {
        let stranger = |event: &Event| match event {
            // The same bytes, and such that would be an error.
            Event::Datagram(bytes) => [Event::Foreign(bytes.clone(), 1), Event::Foreign(vec![1, 2, 3], PORT)],
            _ => panic!("the table only sends datagrams"),
        };
        events.into_iter().flat_map(|event| stranger(&event).into_iter().chain([event])).collect()
    });
}

#[test]
fn messages_for_other_requests_and_other_ports_are_ignored() {
    assert_harmless("another sequence number", |events| before_each(events, |message| patched(message, 8, &[0xff; 4])));
    assert_harmless("sequence number 0", |events| before_each(events, |message| patched(message, 8, &[0; 4])));
    assert_harmless("another port", |events| before_each(events, |message| patched(message, 12, &1u32.to_ne_bytes())));
    assert_harmless("a refusal for another port", |events| {
        before_each(events, |like| {
            let seq = u32::from_ne_bytes(like[8..12].try_into().unwrap());
            message(NLMSG_ERROR, F_CAPPED, seq, PORT + 1, &[(-libc::EIO).to_ne_bytes().to_vec(), vec![0; 16]].concat())
        })
    });
    assert_harmless("an old refusal", |events| {
        before_each(events, |like| {
            let seq = u32::from_ne_bytes(like[8..12].try_into().unwrap()).wrapping_sub(1000);
            message(NLMSG_ERROR, F_CAPPED, seq, PORT, &[(-libc::EPERM).to_ne_bytes().to_vec(), vec![0; 16]].concat())
        })
    });
}

#[test]
fn noops_and_empty_datagrams_are_ignored() {
    assert_harmless("a noop", |events| {
        before_each(events, |like| {
            message(NLMSG_NOOP, 0, u32::from_ne_bytes(like[8..12].try_into().unwrap()), PORT, &[])
        })
    });
    assert_harmless("an empty datagram", |events| {
        events.into_iter().flat_map(|event| [Event::Datagram(Vec::new()), event]).collect()
    });
}

#[test]
fn every_message_may_come_in_a_datagram_of_its_own() {
    assert_harmless("one by one", |events| {
        let split = |event| match event {
            Event::Datagram(bytes) => {
                let (mut rest, mut all) = (bytes.as_slice(), Vec::new());
                while !rest.is_empty() {
                    let length = u32::from_ne_bytes(rest[..4].try_into().unwrap()) as usize;
                    all.push(Event::Datagram(rest[..length.next_multiple_of(4)].to_vec()));
                    rest = &rest[length.next_multiple_of(4)..];
                }
                all
            }
            other => vec![other],
        };
        events.into_iter().flat_map(split).collect()
    });
}

#[test]
fn silence_is_a_timeout_wherever_it_begins() {
    assert_ends(
        "silence",
        TIMEOUT,
        |_| Vec::new(),
        |name, from, error| {
            assert_eq!(error.errno(), libc::ETIMEDOUT, "{name} {from}: {error}");
            assert!(error.to_string().contains("no reply from the kernel within 30000 ms"), "{error}");
        },
    );
}

#[test]
fn a_receive_buffer_that_always_overruns_is_reported() {
    assert_ends(
        "ENOBUFS",
        TIMEOUT,
        |_| vec![Event::Errno(libc::ENOBUFS)],
        |name, from, error| {
            assert_eq!(error.errno(), libc::ENOBUFS, "{name} {from}: {error}");
        },
    );
    let overrun = |requests: &[Request]| vec![datagram(&[reply(&requests[0], NLMSG_OVERRUN, 0, &[0; 4])])];
    assert_ends("NLMSG_OVERRUN", TIMEOUT, overrun, |name, from, error| {
        assert_eq!(error.errno(), libc::ENOBUFS, "{name} {from}: {error}");
    });
}

#[test]
fn a_datagram_that_is_always_truncated_is_reported() {
    assert_ends(
        "MSG_TRUNC",
        TIMEOUT,
        |_| vec![Event::Truncated(vec![0; 100])],
        |name, from, error| {
            assert_eq!(error.errno(), libc::EMSGSIZE, "{name} {from}: {error}");
            assert!(error.to_string().contains("truncated"), "{error}");
        },
    );
}

#[test]
fn a_failing_socket_is_reported() {
    for errno in [libc::EIO, libc::ENOTCONN, libc::ENOMEM] {
        assert_ends(
            "recv fails",
            TIMEOUT,
            move |_| vec![Event::Errno(errno)],
            |name, from, error| {
                assert_eq!(error.errno(), errno, "{name} {from}: {error}");
            },
        );
    }
    for operation in OPERATIONS {
        for at in 0..undisturbed(operation).1 {
            let table = table();
            let (mut conntrack, script) = on(&table);
            script.state().send_errors = std::iter::repeat_n(0, at).chain([libc::ENOMEM]).collect();
            let error = operation.1(&mut conntrack).expect_err("send failed");
            assert_eq!(error.errno(), libc::ENOMEM, "{} {at}: {error}", operation.0);
            assert!(error.to_string().contains("send"), "{error}");
            assert_eq!(conntrack.count().map(|count| count as usize), Ok(table.entries().len()));
        }
    }
}

#[test]
fn a_missing_capability_is_named_with_the_network_namespace() {
    // Answered once, for the first message of a datagram.
    let refuse = |requests: &[Request]| vec![datagram(&[ack(&requests[0], libc::EPERM)])];
    assert_ends("EPERM", TIMEOUT, refuse, |name, from, error| {
        assert_eq!(error.errno(), libc::EPERM, "{name} {from}: {error}");
        let text = error.to_string();
        // An update that comes after an answered look-up is refused for the entry's sake (a fixed timeout), not the caller's.
        if name == "update_entries" && from > 0 && text == "update_entries: operation not permitted" {
            return;
        }
        assert!(text.contains("CAP_NET_ADMIN") && text.contains("net:[4026531840]"), "{text}");
    });
}

#[test]
fn datagrams_that_are_no_netlink_messages_are_reported() {
    let whole = |request: &Request| ack(request, 0);
    type Spoil = fn(&Request, Vec<u8>) -> Vec<u8>;
    let short: [(&str, Spoil); 8] = [
        ("a header cut short", |_, bytes| bytes[..15].to_vec()),
        ("three bytes", |_, bytes| bytes[..3].to_vec()),
        ("more bytes claimed than came", |_, bytes| bytes[..bytes.len() - 4].to_vec()),
        ("a length of 0", |_, bytes| patched(&bytes, 0, &0u32.to_ne_bytes())),
        ("a length of 15", |_, bytes| patched(&bytes, 0, &15u32.to_ne_bytes())),
        ("a length of 2^32 - 1", |_, bytes| patched(&bytes, 0, &u32::MAX.to_ne_bytes())),
        ("a length of 2^31", |_, bytes| patched(&bytes, 0, &(1u32 << 31).to_ne_bytes())),
        ("an error without its code", |request, _| reply(request, NLMSG_ERROR, 0, &[1, 2, 3])),
    ];
    for (name, spoil) in short {
        let answer = move |requests: &[Request]| vec![Event::Datagram(spoil(&requests[0], whole(&requests[0])))];
        assert_ends(name, TIMEOUT, answer, |operation, from, error| {
            assert_eq!(error.errno(), libc::EBADMSG, "{name}, {operation} {from}: {error}");
        });
    }
}

/// The same event over and over must end in a timeout, whatever it interrupts.
fn assert_flood_ends(name: &str, flood: Event) {
    let flooding = move |_: &[Request]| vec![Event::Forever(Box::new(flood.clone()))];
    assert_ends(name, Duration::from_millis(3), flooding, |operation, from, error| {
        assert_eq!(error.errno(), libc::ETIMEDOUT, "{name}, {operation} {from}: {error}");
    });
}

#[test]
fn a_flood_from_strangers_does_not_extend_the_deadline_for_ever() {
    assert_flood_ends("strangers", Event::Foreign(vec![0; 20], 1));
}

#[test]
fn a_flood_of_messages_for_others_does_not_extend_the_deadline_for_ever() {
    assert_flood_ends("messages for others", Event::Datagram(message(NEW, 0, 0, 0, &encode(&udp(1)))));
}

#[test]
fn a_flood_of_empty_datagrams_does_not_extend_the_deadline_for_ever() {
    assert_flood_ends("empty datagrams", Event::Datagram(Vec::new()));
}

#[test]
fn a_flood_of_signals_does_not_extend_the_deadline_for_ever() {
    assert_flood_ends("signals", Event::Errno(libc::EINTR));
    for operation in OPERATIONS {
        let script = Script::new(|_, _| Vec::new());
        script.state().send_errors = vec![libc::EINTR; 5_000_000].into();
        let mut conntrack = Conntrack::over(script.transport(), Duration::from_millis(3));
        let error = operation.1(&mut conntrack).expect_err("send never worked");
        assert!([libc::EINTR, libc::ETIMEDOUT].contains(&error.errno()), "{}: {error}", operation.0);
        assert!(script.state().sent.is_empty());
    }
}
