//! Any datagrams as the kernel's answers: every operation ends without a panic, entries make sense, and no DELETE
//! without a tuple is ever sent.
//!
//! The input: one byte for the operation; then datagrams, each behind two bytes, its length and the request that it
//! answers.

use super::kernel;
use super::statuses::Statuses;
use super::transport::{Event, Request, Script, PORT, TIMEOUT};
use super::Reached;
use ctrack::*;
use std::net::IpAddr;

/// Runs one operation.
pub fn run(input: &[u8]) -> Reached {
    let Some((operation, rest)) = input.split_first() else { return vec![] };
    let mut rest = rest.to_vec();
    let script = Script::new(move |_, requests| answers(&mut rest, requests));
    script.state().can_reset = operation & 0x80 != 0;
    let mut conntrack = Conntrack::over(script.transport(), TIMEOUT);
    let done = operate(operation % 9, &mut conntrack);
    for request in script.requests() {
        if request.kind == kernel::DELETE && operation % 9 != 8 {
            assert!(kernel::parse_key(&request.payload).tuple.is_some(), "{request:?}");
        }
    }
    // Whatever was said, the handle goes on.
    let _ = conntrack.count();
    vec![if done { "done" } else { "failed" }]
}

/// The next datagrams, up to four for each one that was sent, with the sequence numbers and the port of the requests.
fn answers(rest: &mut Vec<u8>, requests: &[Request]) -> Vec<Event> {
    let mut events = Vec::new();
    while events.len() < 4 && rest.len() > 2 {
        let (length, which) = (usize::from(rest[0]) * 4, usize::from(rest[1]));
        let mut datagram: Vec<u8> = rest.drain(..(2 + length).min(rest.len())).skip(2).collect();
        let seq = requests[which % requests.len()].seq;
        let mut at = 0;
        while let Some(header) = datagram.get_mut(at..at + 16) {
            header[8..12].copy_from_slice(&seq.to_ne_bytes());
            header[12..16].copy_from_slice(&PORT.to_ne_bytes());
            let length = u32::from_ne_bytes(header[..4].try_into().expect("four bytes")) as usize;
            at += length.clamp(16, 1 << 16).next_multiple_of(4);
        }
        events.push(Event::Datagram(datagram));
    }
    events
}

/// Whether it ended well.
fn operate(operation: u8, conntrack: &mut Conntrack) -> bool {
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let keys: Vec<Entry> = (0..3)
        .map(|port| Entry::key(Proto::UDP, ip("10.0.0.1"), port, ip("10.0.0.2"), 53).expect("one family"))
        .collect();
    let everything_ipv4 = Filter { family: Some(Family::IPV4), ..Filter::default() };
    match operation {
        0 => conntrack.list(&[]).is_ok(),
        1 => {
            let Ok(stream) = conntrack.stream(&[]) else { return false };
            for entry in stream.take(50) {
                let Ok(entry) = entry else { return false };
                assert!(entry.has(Has::ORIG | Has::REPLY));
                assert!(!line(&entry, Format::empty()).is_empty());
            }
            true
        }
        2 => conntrack.get(&keys[0]).is_ok(),
        3 => settled(conntrack.delete(&[everything_ipv4])),
        4 => batch(conntrack.delete_entries(&keys)),
        5 => {
            let marked = |key: &Entry| Entry { has: key.has | Has::MARK, mark: 1, ..*key };
            batch(conntrack.update_entries(&keys.iter().map(marked).collect::<Vec<_>>()))
        }
        6 => settled(conntrack.flush(&everything_ipv4)),
        7 => conntrack.find_free_zone(0..=9).is_ok(),
        _ => conntrack.flush_all().is_ok(),
    }
}

/// The sums are right, and nothing failed.
fn settled(outcome: Result<Outcome, Error>) -> bool {
    let Ok(outcome) = outcome else { return false };
    assert_eq!(outcome.done + outcome.gone + outcome.failed + outcome.spared, outcome.matched, "{outcome:?}");
    assert_eq!(outcome.failed > 0, outcome.error.is_some(), "{outcome:?}");
    outcome.error.is_none()
}

fn batch(result: Result<BatchOutcome, Error>) -> bool {
    let Ok(result) = result else { return false };
    let done = result.status().iter().filter(|status| **status == 0).count();
    assert_eq!(done as u64, result.outcome.done, "{result:?}");
    settled(Ok(result.outcome))
}
