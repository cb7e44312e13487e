//! Every kind of error of the Rust API, made, and its text read: no word that only C has.

use super::kernel::*;
use super::operations::new;
use super::transport::Event;
use super::*;

/// The variant of an error as `Debug` names it.
fn variant(error: &Error) -> String {
    let text = format!("{error:?}");
    text.split([' ', '{', '(']).next().unwrap().to_owned()
}

/// What `list` says where the kernel answers everything like this.
fn answered(answer: fn(&[super::transport::Request]) -> Vec<Event>) -> Error {
    over(&Script::new(move |_, requests| answer(requests))).list(&[]).expect_err("a wrong answer")
}

fn interrupted() -> Error {
    let table = Table::new(&[udp(1)]);
    let script = Script::new(move |_, requests| table.answer(requests));
    // The number of buckets is another one each time.
    script.state().buckets = (1..10_000).map(Some).collect();
    over(&script).list(&[]).expect_err("a table that is resized without end")
}

/// An entry that only a dump shows: look-ups of its tuples lead to another one.
fn hidden() -> Error {
    let mut hider = udp(200);
    (hider.has, hider.zone, hider.reply.zone) = (hider.has | Has::REPLY_ZONE, 9, 9);
    let table = Table::new(&[udp(1)]);
    let script = Script::new(move |_, requests| match requests[0].kind {
        DELETE => vec![datagram(&[ack(&requests[0], libc::ENOENT)])],
        GET if requests[0].flags & F_DUMP != F_DUMP => {
            let mut answers: Vec<Event> =
                requests.iter().map(|request| datagram(&[entry_message(request, &hider)])).collect();
            answers.push(datagram(&[ack(requests.last().unwrap(), 0)]));
            answers
        }
        _ => table.answer(requests),
    });
    over(&script).delete_entries(&[udp(1)]).unwrap().outcome.error.expect("an entry that cannot be reached")
}

fn impossible() -> Error {
    let dying = Entry { status: Status::OFFLOAD, ..new(&udp(1)) };
    let (mut conntrack, _script) = on(&Table::new(&[]));
    let made = conntrack.create_entries(&[Entry { has: dying.has | Has::STATUS, ..dying }]).unwrap();
    made.outcome.error.expect("what only the kernel can make")
}

fn made() -> Vec<Error> {
    let (mut conntrack, script) = on(&Table::new(&[udp(1), udp(1).in_zone(5)]));
    let mut errors = vec![
        conntrack.delete(&[]).unwrap_err(),
        conntrack.delete(&[Filter::default()]).unwrap_err(),
        conntrack.flush(&Filter::default()).unwrap_err(),
        conntrack.list(&[Filter { family: Some(Family(3)), ..Filter::default() }]).unwrap_err(),
        conntrack.list(&[Filter { exclude: true, ..Filter::default() }]).unwrap_err(),
        conntrack.get(&Entry::EMPTY).unwrap_err(),
        conntrack.find_free_zone(5..=5).unwrap_err(),
        conntrack.dump_next(&mut udp(1)).unwrap_err(),
    ];
    for has in (0..64).map(|bit| Has::from_bits_retain(1 << bit)) {
        let key = Entry { has: udp(1).has ^ has, ..udp(1) };
        errors.extend(conntrack.get(&key).err());
        errors.extend(conntrack.create_entries(&[Entry { has: new(&udp(9)).has ^ has, ..new(&udp(9)) }]).err());
        errors.extend(conntrack.update_entries(&[key]).err());
        errors.extend(conntrack.update_entries(&[Entry { proto: Proto::ICMP, ..key }]).err());
    }
    conntrack.dump_start(&[]).unwrap();
    errors.push(conntrack.count().unwrap_err());
    conntrack.dump_end();
    script.state().send_errors = [libc::EIO].into();
    errors.push(conntrack.count().unwrap_err());
    for errno in 1..134 {
        let refused =
            move |_: usize, requests: &[super::transport::Request]| vec![datagram(&[ack(&requests[0], errno)])];
        errors.push(over(&Script::new(refused)).flush_all().unwrap_err());
    }
    errors.extend([
        answered(|_| Vec::new()),
        answered(|_| vec![Event::Errno(libc::ENOBUFS)]),
        answered(|_| vec![Event::Truncated(vec![0; 100])]),
        answered(|_| vec![Event::Datagram(vec![1, 2, 3])]),
        interrupted(),
        hidden(),
        impossible(),
    ]);
    errors
}

#[test]
fn every_kind_of_error_can_be_made_and_none_speaks_in_words_of_c() {
    let errors = made();
    for text in errors.iter().map(Error::to_string) {
        for word in ["ct_", "CT_", "NULL", ".has", "in has", " has is", ".match"] {
            assert!(!text.contains(word), "{text}");
        }
        assert!(!text.starts_with(':'), "an error that names no operation{text}");
    }
    // TooNew: a struct of Rust cannot be of a later release. NoMemory: tests/memory.rs makes it, with an allocator that fails. Full:
    // watches do, and tests/watch.rs.
    let elsewhere = ["TooNew", "NoMemory", "Full"];
    let source = include_str!("../../src/error.rs");
    let body = source.split("pub enum Error {").nth(1).unwrap().split("\n}\n").next().unwrap();
    let declared = body.lines().filter_map(|line| {
        let name = line.strip_prefix("    ")?.strip_suffix(" {")?;
        name.starts_with(char::is_uppercase).then_some(name)
    });
    let declared: Vec<&str> = declared.collect();
    assert!(declared.len() > 10, "{declared:?}");
    for name in declared.into_iter().filter(|name| !elsewhere.contains(name)) {
        assert!(errors.iter().any(|error| variant(error) == name), "nothing makes {name}");
    }
}
