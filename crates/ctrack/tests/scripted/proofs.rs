//! What proves that an entry is gone, and what does not.

use super::kernel::*;
use super::transport::{Event, Request};
use super::*;

fn refuse(requests: &[Request], errno: i32) -> Vec<Event> {
    requests.iter().map(|request| datagram(&[ack(request, errno)])).collect()
}

fn is_dump(request: &Request) -> bool {
    request.kind == GET && request.flags & F_DUMP != 0
}

#[test]
fn a_look_up_that_misses_while_the_table_is_resized_does_not_make_an_entry_gone() {
    type Run = fn(&mut Conntrack) -> i32;
    let runs: [(&str, Run); 4] = [
        ("get", |c| {
            c.get(&udp(1)).map_or_else(|error| -error.errno(), |found| if found.is_some() { 0 } else { -libc::ENOENT })
        }),
        ("delete_entries", |c| c.delete_entries(&[udp(1)]).unwrap().status()[0]),
        ("delete", |c| c.delete(&[Filter { proto: Some(Proto::UDP), ..Filter::default() }]).unwrap().done as i32 - 1),
        ("update_entries", |c| {
            let update = Entry { has: key_of(&udp(1)).has | Has::MARK, mark: 9, ..key_of(&udp(1)) };
            c.update_entries(&[update]).unwrap().status()[0]
        }),
    ];
    for (name, run) in runs {
        // The first look-up, be it a DELETE, a GET or one before an update.
        let kernel = Table::new(&[udp(1)]);
        let mut missed = false;
        let script = Script::new(move |_, requests| {
            if !missed && requests[0].kind != GET_STATS && !is_dump(&requests[0]) {
                missed = true;
                return refuse(requests, libc::ENOENT);
            }
            kernel.answer(requests)
        });
        assert_eq!(run(&mut over(&script)), 0, "{name}");
    }
}

#[test]
fn an_entry_that_only_a_dump_shows_is_failed_and_one_that_the_dump_does_not_show_is_gone() {
    // Each name of each leads to an entry with a zone for one direction, until the dump.
    for (there, status, errno) in [(true, -libc::ENOTUNIQ, Some(libc::ENOTUNIQ)), (false, -libc::ENOENT, None)] {
        let mut hider = udp(200);
        (hider.has, hider.zone, hider.reply.zone) = (hider.has | Has::REPLY_ZONE, 9, 9);
        let table = Table::new(&[udp(100)]);
        table.change(|entries| entries.extend((1..=40).filter(|_| there).map(udp)));
        let kernel = table.clone();
        let script = Script::new(move |_, requests| match requests[0].kind {
            DELETE => refuse(requests, libc::ENOENT),
            GET if !is_dump(&requests[0]) => {
                let mut answers: Vec<Event> =
                    requests.iter().map(|request| datagram(&[entry_message(request, &hider)])).collect();
                answers.push(datagram(&[ack(requests.last().unwrap(), 0)]));
                answers
            }
            _ => kernel.answer(requests),
        });
        let entries: Vec<Entry> = (1..=40).map(udp).collect();
        let result = over(&script).delete_entries(&entries).unwrap();
        assert_eq!(result.status(), [status; 40]);
        assert_eq!(result.outcome.error.map(|error| error.errno()), errno);
        assert_eq!(result.outcome.failed + result.outcome.gone, 40);
        let dumps = script.requests().iter().filter(|request| is_dump(request)).count();
        assert_eq!(dumps, 1, "one dump tells of all");
        assert_eq!(over(&script).get(&udp(1)).unwrap().is_some(), there);
    }
}

#[test]
fn where_even_the_dump_fails_the_fate_of_hidden_entries_is_not_known_and_told_so() {
    let mut hider = udp(200);
    (hider.has, hider.zone, hider.reply.zone) = (hider.has | Has::REPLY_ZONE, 9, 9);
    let script = Script::new(move |_, requests| match requests[0].kind {
        DELETE => refuse(requests, libc::ENOENT),
        GET if is_dump(&requests[0]) => refuse(requests, libc::ENOMEM),
        GET => vec![datagram(&[entry_message(&requests[0], &hider)]), datagram(&[ack(&requests[0], 0)])],
        _ => vec![datagram(&[stats(&requests[0], 1)])],
    });
    let result = over(&script).delete_entries(&[udp(1)]).unwrap();
    assert_eq!((result.status().as_slice(), result.outcome.failed), ([-libc::ENOMEM].as_slice(), 1));
}

#[test]
fn hidden_entries_are_deleted_under_the_name_that_leads_to_them_and_always_with_their_id() {
    let (target, [_, mirror, reversed, ordinary]) = super::guards::hidden();
    for others in [vec![mirror], vec![reversed], vec![mirror, reversed], vec![mirror, reversed, ordinary]] {
        let table = Table::new(&[vec![target], others.clone()].concat());
        let (mut conntrack, script) = on(&table);
        let outcome = conntrack.delete_entries(&[target]).unwrap().outcome;
        let reachable = others.len() < 3;
        assert_eq!((outcome.done, outcome.failed), (u64::from(reachable), u64::from(!reachable)));
        assert_eq!(table.entries().len(), others.len() + usize::from(!reachable), "nobody else's");
        for delete in super::operations::deletes(&script) {
            assert_eq!(delete.id, Some(42), "without the id another entry would go");
        }
    }
}

#[test]
fn entries_that_the_kernel_skips_when_it_flushes_are_deleted_one_by_one_and_refusals_are_told() {
    let marked = |port: u16, status| Entry { status: Status::CONFIRMED | status, ..udp(port) };
    // A kernel that flushes by CTA_FILTER skips none, so nothing is looked for there.
    for (refused, flushes_by_filter) in [(false, false), (true, false), (false, true)] {
        let table = Table::new(&[marked(1, Status::OFFLOAD), marked(2, Status::OFFLOAD), marked(3, Status::empty())]);
        let kernel = table.clone();
        let script = Script::new(move |_, requests| {
            let flush = requests[0].kind == DELETE && requests[0].payload.len() == 4;
            // The probe is a DELETE with a CTA_FILTER.
            let filter = |request: &Request| attrs(&request.payload[4..]).iter().any(|(kind, _)| kind & !NESTED == 25);
            let probe = requests[0].kind == DELETE && filter(&requests[0]);
            if flush {
                // What comes right behind the flush is not touched.
                kernel.change(|entries| {
                    entries.retain(|entry| entry.status.intersects(Status::OFFLOAD));
                    entries.push(marked(9, Status::empty()));
                });
                return refuse(requests, 0);
            }
            if probe {
                return refuse(requests, if flushes_by_filter { libc::EINVAL } else { libc::ENOENT });
            }
            if refused && requests[0].kind == DELETE {
                return refuse(requests, libc::EBUSY);
            }
            kernel.answer(requests)
        });
        let error = over(&script).flush_all().err();
        assert_eq!(error.map(|error| error.errno()), refused.then_some(libc::EBUSY));
        let left: Vec<u32> = table.entries().iter().map(|entry| entry.id).collect();
        assert_eq!(left, if refused || flushes_by_filter { vec![1, 2, 9] } else { vec![9] });
    }
}

#[test]
fn the_whole_selection_judges_what_was_looked_up_right_before_its_delete() {
    let marked = |port: u16, mark| Entry { mark, ..udp(port) };
    let entries: Vec<Entry> = (0..100).map(|port| marked(port, 1)).collect();
    let table = Table::new(&entries);
    let kernel = table.clone();
    let script = Script::new(move |_, requests| {
        let answers = kernel.answer(requests);
        if is_dump(&requests[0]) {
            // After the dump: a third changes its mark, a third is replaced, and one of these has the same id.
            kernel.change(|entries| {
                for entry in entries.iter_mut() {
                    match entry.id % 3 {
                        0 => entry.mark = 2,
                        1 => (entry.id, entry.mark) = (entry.id + 1000, 1),
                        _ => {}
                    }
                }
            });
        }
        answers
    });
    let filter = Filter { mark: Some(Masked { value: 1, mask: 3 }), ..Filter::default() };
    let outcome = over(&script).delete(&[filter]).unwrap();
    assert_eq!((outcome.matched, outcome.done, outcome.gone), (100, 33, 33));
    assert_eq!((outcome.spared, outcome.failed), (34, 0));
    assert_eq!(table.entries().len(), 67);
}

#[test]
fn an_update_is_asked_for_again_when_a_status_bit_came_meanwhile_and_refused_when_it_is_the_entrys_fault() {
    for (bits_come, expected) in [(1, 0), (2, 0), (usize::MAX, -libc::EBUSY)] {
        let table = Table::new(&[udp(1)]);
        let (kernel, mut left) = (table.clone(), bits_come);
        let script = Script::new(move |_, requests| {
            if requests[0].kind == NEW && left > 0 {
                left -= 1;
                return refuse(requests, libc::EBUSY);
            }
            kernel.answer(requests)
        });
        let key = key_of(&udp(1));
        let update = Entry { has: key.has | Has::STATUS, status: Status::ASSURED, ..key };
        let result = over(&script).update_entries(&[update]).unwrap();
        assert_eq!(result.status(), [expected]);
        assert!(script.count_of(NEW) <= 16);
        if expected == 0 {
            assert_eq!(table.entries()[0].status, Status::CONFIRMED | Status::ASSURED);
            assert_eq!(result.outcome.error, None);
        }
    }
}
