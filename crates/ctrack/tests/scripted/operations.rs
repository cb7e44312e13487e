//! Right answers give right results.

use super::kernel::*;
use super::transport::Request;
use super::*;

fn sorted_ids(entries: &[Entry]) -> Vec<u32> {
    let mut ids: Vec<u32> = entries.iter().map(|entry| entry.id).collect();
    ids.sort_unstable();
    ids
}

fn ipv6_only() -> Filter {
    Filter { family: Some(Family::IPV6), ..Filter::default() }
}

#[test]
fn list_gives_every_entry_as_the_kernel_sent_it() {
    let entries: Vec<Entry> = (0..1000).map(udp).chain((0..10).map(udp6)).collect();
    let (mut conntrack, script) = on(&Table::new(&entries));
    assert_eq!(conntrack.list(&[]).unwrap(), entries);
    assert_eq!(script.state().timeouts, 0, "the end of the dump is recognised, not waited for");
}

#[test]
fn list_gives_only_what_the_filters_select_and_appends_it() {
    let (mut conntrack, _) = on(&Table::new(&[udp(1), udp6(2), udp6(3), udp(4)]));
    assert_eq!(conntrack.list(&[ipv6_only()]).unwrap(), [udp6(2), udp6(3)]);
    let but = Filter { exclude: true, proto: Some(Proto::UDP), orig_sport: Some(2..=3), ..Filter::default() };
    let mut entries = vec![udp(9)];
    conntrack.list_into(&[but], &mut entries).unwrap();
    assert_eq!(entries, [udp(9), udp(1), udp(4)]);
}

#[test]
fn an_empty_table_is_not_walked() {
    let (mut conntrack, script) = on(&Table::new(&[]));
    assert_eq!(conntrack.list(&[]).unwrap(), []);
    assert_eq!(conntrack.delete(&[ipv6_only()]).unwrap(), Outcome::default());
    assert_eq!(conntrack.flush(&ipv6_only()).unwrap(), Outcome::default());
    assert_eq!(conntrack.find_free_zone(7..=9).unwrap(), 7);
    assert_eq!(conntrack.stream(&[]).unwrap().count(), 0);
    assert_eq!(script.requests().len(), script.count_of(GET_STATS));
}

#[test]
fn a_stream_gives_the_same_as_a_list_and_ends_for_good() {
    let entries: Vec<Entry> = (0..250).map(udp).chain([udp6(1)]).collect();
    let (mut conntrack, _) = on(&Table::new(&entries));
    let streamed: Result<Vec<Entry>, Error> = conntrack.stream(&[]).unwrap().collect();
    assert_eq!(streamed.unwrap(), entries);

    conntrack.dump_start(&[ipv6_only()]).unwrap();
    let mut entry = Entry::EMPTY;
    assert!(conntrack.dump_next(&mut entry).unwrap());
    assert_eq!(entry, udp6(1));
    for _ in 0..3 {
        assert!(!conntrack.dump_next(&mut entry).unwrap());
    }
    assert_eq!(conntrack.count().unwrap(), 251, "the handle is free again");
}

#[test]
fn an_open_stream_keeps_every_other_operation_out() {
    let table = Table::new(&[udp(1), udp(2)]);
    let (mut conntrack, script) = on(&table);
    conntrack.dump_start(&[]).unwrap();
    let sent = script.requests().len();
    let listed = udp(1);
    assert_eq!(conntrack.list(&[]).unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.get(&listed).unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.count().unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.delete(&[ipv6_only()]).unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.delete_entries(&[listed]).unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.create_entries(&[listed]).unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.update_entries(&[listed]).unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.flush(&ipv6_only()).unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.flush_all().unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.find_free_zone(0..=1).unwrap_err().errno(), libc::EBUSY);
    assert_eq!(conntrack.dump_start(&[]).unwrap_err().errno(), libc::EBUSY);
    assert_eq!(script.requests().len(), sent);

    let mut entry = Entry::EMPTY;
    assert!(conntrack.dump_next(&mut entry).unwrap(), "and is not disturbed by them");
    conntrack.dump_end();
    assert_eq!(conntrack.dump_next(&mut entry).unwrap_err().errno(), libc::EINVAL);
    assert_eq!(table.entries().len(), 2);
}

#[test]
fn a_stream_that_is_dropped_leaves_the_handle_as_good_as_new() {
    for can_reset in [true, false] {
        let entries: Vec<Entry> = (0..500).map(udp).collect();
        let (mut conntrack, script) = on(&Table::new(&entries));
        script.state().can_reset = can_reset;
        let first = conntrack.stream(&[]).unwrap().next().unwrap().unwrap();
        assert_eq!(first, entries[0]);
        assert_eq!(script.state().resets, 1);
        assert_eq!(conntrack.list(&[]).unwrap(), entries, "can_reset: {can_reset}");
        assert!(script.state().queue.is_empty());
    }
}

#[test]
fn get_finds_by_either_tuple_and_wants_direction_zone_and_id_to_be_right() {
    let zoned = listed(key_of(&udp(7)).in_zone(5), 77);
    let (mut conntrack, _) = on(&Table::new(&[udp(1), udp6(2), zoned]));
    assert_eq!(conntrack.get(&udp(1)).unwrap(), Some(udp(1)));
    assert_eq!(conntrack.get(&key_of(&udp6(2))).unwrap(), Some(udp6(2)));
    assert_eq!(conntrack.get(&key_of(&zoned)).unwrap(), Some(zoned));

    let mut by_reply = Entry { has: Has::REPLY | Has::PORTS, ..Entry::EMPTY };
    (by_reply.family, by_reply.proto, by_reply.reply) = (Family::IPV4, Proto::UDP, udp(1).reply);
    assert_eq!(conntrack.get(&by_reply).unwrap(), Some(udp(1)));

    // The kernel finds all of these.
    let mut reversed = key_of(&udp(1));
    reversed.orig = udp(1).reply;
    let mut other_id = udp(1);
    other_id.id += 1;
    // And none of these.
    let other_zone = key_of(&zoned).in_zone(6);
    let no_zone = key_of(&zoned).in_zone(0);
    for key in [reversed, other_id, other_zone, no_zone, udp(999)] {
        assert_eq!(conntrack.get(&key), Ok(None), "{key:?}");
    }
}

#[test]
fn count_is_the_kernels_own() {
    let (mut conntrack, script) = on(&Table::new(&[udp(1), udp(2), udp6(3)]));
    assert_eq!(conntrack.count().unwrap(), 3);
    assert_eq!(script.requests().len(), 1);
}

#[test]
fn delete_takes_what_the_filters_select_and_nothing_else() {
    let table = Table::new(&(0..1000).map(udp).chain((0..5).map(udp6)).collect::<Vec<_>>());
    let (mut conntrack, _) = on(&table);
    let wanted = Filter { proto: Some(Proto::UDP), orig_sport: Some(100..=399), ..Filter::default() };
    let spared = Filter { exclude: true, family: Some(Family::IPV6), ..Filter::default() };
    let also_spared = Filter { exclude: true, orig_sport: Some(200..=200), ..wanted.clone() };
    let outcome = conntrack.delete(&[wanted, spared, also_spared]).unwrap();
    assert_eq!((outcome.matched, outcome.done, outcome.gone, outcome.failed), (299, 299, 0, 0));
    assert_eq!(outcome.error, None);
    let left = (0..1000).filter(|port| !(100..=399).contains(port) || *port == 200).map(udp);
    assert_eq!(table.entries(), left.chain((0..5).map(udp6)).collect::<Vec<_>>());
}

#[test]
fn delete_leaves_an_entry_that_took_the_place_of_a_selected_one() {
    let table = Table::new(&[udp(1), udp(2), udp(3)]);
    let kernel = table.clone();
    let script = Script::new(move |_, requests| {
        let events = kernel.answer(requests);
        if requests[0].flags & F_DUMP == F_DUMP {
            // After the dump: one is gone, one was made anew.
            kernel.change(|entries| {
                entries.remove(0);
                entries[0].id = 4711;
            });
        }
        events
    });
    let filter = Filter { family: Some(Family::IPV4), ..Filter::default() };
    let outcome = over(&script).delete(&[filter]).unwrap();
    assert_eq!((outcome.matched, outcome.done, outcome.gone, outcome.failed), (3, 1, 2, 0));
    assert_eq!(outcome.error, None, "gone is not a failure");
    assert_eq!(sorted_ids(&table.entries()), [4711]);
}

#[test]
fn delete_entries_deletes_listed_ones_without_looking_them_up() {
    let entries: Vec<Entry> = (0..300).map(udp).collect();
    let table = Table::new(&entries);
    let (mut conntrack, script) = on(&table);
    let result = conntrack.delete_entries(&entries[..299]).unwrap();
    assert_eq!(result.status(), [0; 299]);
    assert_eq!((result.outcome.matched, result.outcome.done), (299, 299));
    assert_eq!(table.entries(), [udp(299)]);
    assert_eq!(script.count_of(GET), 0);

    let again = conntrack.delete_entries(&entries).unwrap();
    assert_eq!((again.outcome.done, again.outcome.gone, again.outcome.failed), (1, 299, 0));
    assert_eq!(again.status()[..299], [-libc::ENOENT; 299]);
    assert_eq!(again.status()[299], 0);
}

#[test]
fn delete_entries_by_key_never_takes_an_entry_the_other_way_round() {
    let table = Table::new(&[udp(1), udp6(2), udp(3)]);
    let (mut conntrack, script) = on(&table);
    let mut reversed = key_of(&udp(3));
    reversed.orig = udp(3).reply;
    let keys = [key_of(&udp(1)), reversed, udp6(2), key_of(&udp(999))];
    let result = conntrack.delete_entries(&keys).unwrap();
    assert_eq!(result.status(), [0, -libc::ENOENT, 0, -libc::ENOENT]);
    assert_eq!((result.outcome.done, result.outcome.gone, result.outcome.failed), (2, 2, 0));
    assert_eq!(table.entries(), [udp(3)]);
    let ids: Vec<Option<u32>> = deletes(&script).iter().map(|key| key.id).collect();
    assert_eq!(ids, [Some(1), Some(udp6(2).id)], "with the id that the look-up found");
}

#[test]
fn no_entries_at_all_is_fine_and_says_nothing_to_the_kernel() {
    let (mut conntrack, script) = on(&Table::new(&[udp(1)]));
    assert_eq!(conntrack.delete_entries(&[]).unwrap(), BatchOutcome::default());
    assert_eq!(conntrack.create_entries(&[]).unwrap(), BatchOutcome::default());
    assert_eq!(conntrack.update_entries(&[]).unwrap(), BatchOutcome::default());
    assert_eq!(script.requests(), []);
}

#[test]
fn create_makes_entries_and_says_which_were_there_already() {
    let table = Table::new(&[udp(2)]);
    let (mut conntrack, _) = on(&table);
    let wanted: Vec<Entry> = (0..200).map(|port| new(&udp(port))).collect();
    let result = conntrack.create_entries(&wanted).unwrap();
    assert_eq!((result.outcome.matched, result.outcome.done, result.outcome.failed), (200, 199, 1));
    assert_eq!(result.outcome.error.as_ref().map(Error::errno), Some(libc::EEXIST));
    for (at, status) in result.status().iter().enumerate() {
        assert_eq!(*status, if at == 2 { -libc::EEXIST } else { 0 });
    }
    assert_eq!(table.entries().len(), 200);
}

#[test]
fn a_listed_entry_can_be_created_again_as_it_stands() {
    let table = Table::new(&[]);
    let (mut conntrack, _) = on(&table);
    assert_eq!(conntrack.create_entries(&[udp(1), udp6(1)]).unwrap().status(), [0, 0]);
    for (made, given) in table.entries().iter().zip([udp(1), udp6(1)]) {
        assert_eq!((made.orig, made.reply, made.timeout), (given.orig, given.reply, given.timeout));
    }
}

#[test]
fn update_looks_every_entry_up_and_changes_only_the_one_that_is_meant() {
    let (mut conntrack, script) = on(&Table::new(&[udp(1), udp(2), udp(3)]));
    let change = |entry: Entry| {
        let has = entry.has & !(Has::STATUS | Has::USE);
        Entry { has, mark: 9, status: Status::empty(), use_count: 0, ..entry }
    };
    let mut other_id = change(udp(2));
    other_id.id = 4711;
    let mut reversed = change(key_of(&udp(3)));
    reversed.has |= Has::MARK;
    reversed.orig = udp(3).reply;
    let result = conntrack.update_entries(&[change(udp(1)), other_id, reversed, change(udp(999))]).unwrap();
    assert_eq!(result.status(), [0, -libc::ENOENT, -libc::ENOENT, -libc::ENOENT]);
    assert_eq!((result.outcome.done, result.outcome.gone, result.outcome.failed), (1, 3, 0));
    assert_eq!(script.count_of(NEW), 1);
    // What is not there is asked for twice, since a look-up can miss while the table is resized.
    assert_eq!(script.count_of(GET), 4 + 3);
}

#[test]
fn flush_all_is_one_message_and_a_scoped_flush_takes_only_its_scope() {
    let table = Table::new(&[udp(1), udp6(2), udp(3), udp6(4)]);
    let (mut conntrack, _) = on(&table);
    let outcome = conntrack.flush(&ipv6_only()).unwrap();
    assert_eq!((outcome.matched, outcome.done), (2, 2));
    assert_eq!(table.entries(), [udp(1), udp(3)]);
    conntrack.flush_all().unwrap();
    assert_eq!(table.entries(), []);

    let zoned = |zone| listed(key_of(&udp(zone)).in_zone(zone), zone.into());
    table.change(|entries| *entries = vec![zoned(7), zoned(8), udp(1)]);
    let scope = Filter { zone: Some(7), ..Filter::default() };
    assert_eq!(conntrack.flush(&scope).unwrap().done, 1);
    let no_zone = Filter { zone: Some(0), ..Filter::default() };
    assert_eq!(conntrack.flush(&no_zone).unwrap().done, 1);
    assert_eq!(table.entries(), [zoned(8)]);
}

#[test]
fn the_lowest_free_zone_is_found_in_one_pass_whatever_the_direction_it_is_used_in() {
    let zoned = |zone| listed(key_of(&udp(zone)).in_zone(zone), zone.into());
    let one_way = |zone: u16, bit: Has| {
        let mut entry = udp(zone);
        entry.has |= bit;
        entry.zone = zone.into();
        let tuple = if bit == Has::ORIG_ZONE { &mut entry.orig } else { &mut entry.reply };
        tuple.zone = zone.into();
        entry
    };
    let entries = [zoned(1), one_way(2, Has::ORIG_ZONE), one_way(3, Has::REPLY_ZONE), zoned(5), zoned(65535)];
    let (mut conntrack, script) = on(&Table::new(&entries));
    assert_eq!(conntrack.list(&[]).unwrap(), entries);
    assert_eq!(conntrack.find_free_zone(0..=10).unwrap(), 4, "zone 0 is that of the other directions");
    let before = script.count_of(GET);
    assert_eq!(conntrack.find_free_zone(5..=65535).unwrap(), 6);
    assert_eq!(script.count_of(GET), before + 1);
    assert_eq!(conntrack.find_free_zone(1..=3).unwrap_err().errno(), libc::ENOSPC);
    assert_eq!(conntrack.find_free_zone(65535..=65535).unwrap_err().errno(), libc::ENOSPC);
}

/// What is needed to make an entry.
pub fn new(entry: &Entry) -> Entry {
    let mut new = key_of(entry);
    new.has |= Has::TIMEOUT;
    new.timeout = 100;
    new
}

/// The keys of all DELETE messages that were sent.
pub fn deletes(script: &Script) -> Vec<Key> {
    let requests = script.requests();
    let deletes = requests.iter().filter(|request| request.kind == DELETE && !is_guarded(request));
    deletes.map(|request| parse_key(&request.payload)).collect()
}

/// Whether a DELETE is one that kernels before 6.12 refuse: CTA_FILTER behind a tuple that no entry can have. Later ones flush by
/// what follows, or, in the probe, refuse it for a port without a protocol.
pub fn is_guarded(request: &Request) -> bool {
    const FILTER: u16 = 25;
    let attributes = attrs(&request.payload[4..]);
    if request.kind != DELETE || !attributes.iter().any(|(kind, _)| kind & !NESTED == FILTER) {
        return false;
    }
    let key = parse_key(&request.payload);
    assert_eq!(key.kinds[..2], [1, FILTER], "the tuple first, where nothing can hide it");
    assert_eq!(
        key.tuple.map(|(proto, tuple, _)| (proto, tuple)),
        Some((Proto(0), Tuple::EMPTY)),
        "an impossible tuple"
    );
    true
}
