//! Creating and updating: entries as they were listed, taken tuples, masks, and what the kernel does not let change.

mod common;
use common::c::Handle;
use common::*;
use ctrack::*;

/// What of an entry must survive being made again: all but what only the kernel can know.
fn content(e: &Entry) -> Entry {
    let kernels = Has::ID
        | Has::USE
        | Has::TIMEOUT
        | Has::ORIG_COUNTERS
        | Has::REPLY_COUNTERS
        | Has::START
        | Has::STOP
        | Has::SYNPROXY;
    let none = Counters::default();
    let mut e = Entry { has: e.has & !kernels, id: 0, use_count: 0, timeout: 0, start_ns: 0, stop_ns: 0, ..*e };
    (e.orig_counters, e.reply_counters) = (none, none);
    e
}

fn assert_same_content(again: &[Entry], listed: &[Entry]) {
    assert_eq!(identities(again), identities(listed));
    for entry in listed {
        let twin = again.iter().find(|twin| identity(twin) == identity(entry)).unwrap();
        assert_eq!(content(twin), content(entry));
        assert!(twin.timeout().unwrap() <= entry.timeout().unwrap());
        assert!(twin.timeout().unwrap() + 60 > entry.timeout().unwrap());
    }
}

fn one_listed(conntrack: &mut Conntrack, entry: Entry) -> Entry {
    create(conntrack, &[entry]);
    conntrack.get(&by_hand(&entry)).unwrap().unwrap()
}

/// The key of a listed entry, to which changes are added.
fn change(listed: &Entry) -> Entry {
    Entry { has: by_hand(listed).has | Has::ID, id: listed.id, ..by_hand(listed) }
}

fn changed_one(conntrack: &mut Conntrack, entry: Entry) -> i32 {
    let batch = conntrack.update_entries(&[entry]).unwrap();
    let (status, outcome) = (batch.status(), batch.outcome);
    let sums = [outcome.matched, outcome.done, outcome.gone, outcome.failed];
    match status[..] {
        [0] => assert_eq!(sums, [1, 1, 0, 0]),
        [gone] if gone == -libc::ENOENT => assert_eq!(sums, [1, 0, 1, 0]),
        [errno] => {
            assert_eq!(sums, [1, 0, 0, 1]);
            assert_eq!(outcome.error.unwrap().errno(), -errno);
        }
        _ => panic!("{status:?}"),
    }
    status[0]
}

#[test]
fn listed_entries_of_every_kind_can_be_made_again_after_a_flush_as_they_stand() {
    netns(|| {
        table::allow_labels();
        let mut conntrack = Conntrack::open().unwrap();
        create(&mut conntrack, &table::mixed());
        let listed = all(&mut conntrack);
        conntrack.flush_all().unwrap();
        assert_eq!(cli_count(), 0);
        create(&mut conntrack, &listed);
        assert_same_content(&all(&mut conntrack), &listed);
    });
}

#[test]
fn listed_entries_of_every_kind_can_be_made_again_in_another_network_namespace_as_they_stand() {
    netns(|| {
        table::allow_labels();
        let mut conntrack = Conntrack::open().unwrap();
        create(&mut conntrack, &table::mixed());
        let listed = all(&mut conntrack);
        let before = cli_table();
        inside(&new_netns(), || {
            table::allow_labels();
            let mut there = Conntrack::open().unwrap();
            create(&mut there, &listed);
            assert_same_content(&all(&mut there), &listed);
            there.flush_all().unwrap();
        });
        assert_untouched(&before, "the other network namespace");
    });
}

#[test]
fn what_was_asked_for_is_what_is_made() {
    netns(|| {
        table::allow_labels();
        let mut conntrack = Conntrack::open().unwrap();
        for asked in table::mixed() {
            let listed = one_listed(&mut conntrack, asked);
            assert_eq!(listed.mark, asked.mark);
            // What the kernel adds by itself: that it is in the table, and that translation was thought about.
            let added = Status::CONFIRMED | Status::SRC_NAT_DONE | Status::DST_NAT_DONE | Status::HELPER;
            assert_eq!(listed.status & !added, asked.status & !added, "{listed:?}");
            assert_ne!(listed.status & Status::CONFIRMED, Status::empty());
            assert_eq!((listed.labels, listed.helper), (asked.labels, asked.helper));
            assert_eq!(listed.tcp_state, asked.tcp_state);
            assert_eq!(
                (listed.tcp_wscale_orig, listed.tcp_wscale_reply),
                (asked.tcp_wscale_orig, asked.tcp_wscale_reply)
            );
            assert_eq!((listed.tcp_flags_orig, listed.tcp_flags_reply), (asked.tcp_flags_orig, asked.tcp_flags_reply));
            assert_eq!(listed.sctp_state, asked.sctp_state);
            assert_eq!((listed.sctp_vtag_orig, listed.sctp_vtag_reply), (asked.sctp_vtag_orig, asked.sctp_vtag_reply));
            if asked.has(Has::REPLY) {
                assert_eq!(Tuple { zone: 0, ..listed.reply }, Tuple { zone: 0, ..asked.reply });
            } else {
                assert_eq!((listed.reply.src, listed.reply.dst), (asked.orig.dst, asked.orig.src));
                assert_eq!((listed.reply.sport, listed.reply.dport), (asked.orig.dport, asked.orig.sport));
            }
        }
    });
}

#[test]
fn a_taken_tuple_is_eexist_and_the_others_of_the_batch_are_made() {
    netns(|| {
        let handle = Handle::open();
        let first = udp("1.1.1.1", 1, "2.2.2.2", 2);
        let mut conntrack = Conntrack::open().unwrap();
        let before = one_listed(&mut conntrack, marked(first, 1));
        let other = |n| udp("1.1.1.1", n, "2.2.2.2", 2);
        // Its reply tuple is taken as well.
        let reversed = udp("2.2.2.2", 2, "1.1.1.1", 1);
        let batch = [other(5), marked(first, 2), other(6), reversed, first.in_zone(7), other(6), other(7)];
        let made = handle.create_entries(&batch);
        let exists = -libc::EEXIST;
        assert_eq!(made.status, [0, exists, 0, exists, 0, exists, 0]);
        assert_eq!(made.ret, exists);
        let r = made.result;
        assert_eq!((r.matched, r.done, r.gone, r.failed, r.first_error), (7, 4, 0, 3, exists));
        assert!(handle.error().contains("entry exists"), "{}", handle.error());
        let listed = all(&mut conntrack);
        assert_eq!(identities(&listed), identities(&[first, other(5), other(6), first.in_zone(7), other(7)]));
        let kept = conntrack.get(&by_hand(&first)).unwrap().unwrap();
        assert_eq!((kept.id, kept.mark), (before.id, 1), "the one that was there is the one that is there");
    });
}

#[test]
fn an_unknown_helper_fails_alone() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let with_helper = helped(tcp("1.1.1.1", 1, "2.2.2.2", 21), "no-such-helper");
        let good = [tcp("1.1.1.1", 2, "2.2.2.2", 21), helped(tcp("1.1.1.1", 3, "2.2.2.2", 21), "ftp")];
        let made = conntrack.create_entries(&[good[0], with_helper, good[1]]).unwrap();
        assert_eq!(made.status(), [0, -libc::EOPNOTSUPP, 0]);
        assert_eq!((made.outcome.done, made.outcome.failed), (2, 1));
        assert_eq!(identities(&all(&mut conntrack)), identities(&good));
    });
}

#[test]
fn entries_that_cannot_be_made_as_given_are_refused_before_anything_is_sent() {
    netns(|| {
        let handle = Handle::open();
        let right = udp("1.1.1.1", 1, "2.2.2.2", 2);
        let with = |change: fn(&mut Entry)| {
            let mut entry = right;
            change(&mut entry);
            entry
        };
        for (wrong, field) in [
            (with(|e| (e.has, e.timeout) = (e.has & !Has::TIMEOUT, 0)), ".timeout"),
            (with(|e| e.mark = 1), ".mark: "),
            (with(|e| e.reserved[0] = 1), ".reserved"),
            (with(|e| e.has |= Has::from_bits_retain(1 << 63)), ": announces"),
            (with(|e| (e.has, e.status) = (e.has | Has::STATUS, Status::SRC_NAT)), ".reply"),
            (with(|e| (e.has, e.mark_mask) = (e.has | Has::MARK | Has::MARK_MASK, 1)), ".mark_mask"),
            (with(|e| e.has |= Has::HELPER), ".helper"),
        ] {
            let made = handle.create_entries(&[right, wrong]);
            assert_eq!(made.ret, -libc::EINVAL, "{field}");
            let text = handle.error();
            assert!(text.contains(&format!("entry[1]{field}")), "{text}");
            assert_eq!((made.result.done, cli_count()), (0, 0), "{field}");
        }
    });
}

#[test]
fn a_mark_is_replaced_under_its_mask() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let listed = one_listed(&mut conntrack, marked(udp("1.1.1.1", 1, "2.2.2.2", 2), 0xaaaa_5555));
        let mut old = listed.mark;
        for (mark, mask) in [(0x1234, 0xffff), (0xff00_0000, 0xff00_0000), (0, 0xf), (0xf, 0), (7, u32::MAX)] {
            let mut new = marked(change(&listed), mark);
            new.has |= Has::MARK_MASK;
            new.mark_mask = mask;
            assert_eq!(changed_one(&mut conntrack, new), 0);
            let expected = (old & !mask) ^ mark;
            old = conntrack.get(&by_hand(&listed)).unwrap().unwrap().mark;
            assert_eq!(old, expected, "{mark:#x}/{mask:#x}");
        }
        assert_eq!(changed_one(&mut conntrack, marked(change(&listed), 9)), 0);
        assert_eq!(cli_ids(&["-m", "9"]), ids(&[listed]), "without a mask: all of it");
    });
}

#[test]
fn timeout_status_and_tcp_state_can_be_changed_and_nothing_else_changes() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let others = [tcp("1.1.1.1", 2, "2.2.2.2", 2), udp("1.1.1.1", 1, "2.2.2.2", 2)];
        create(&mut conntrack, &others);
        let untouched = cli_table();
        let mut listed = one_listed(&mut conntrack, marked(tcp("1.1.1.1", 1, "2.2.2.2", 2), 3));
        let mut step = |change: &dyn Fn(&mut Entry), has: Has| {
            let mut new = self::change(&listed);
            change(&mut new);
            new.has |= has;
            assert_eq!(changed_one(&mut conntrack, new), 0);
            let now = conntrack.get(&by_hand(&listed)).unwrap().unwrap();
            let mut expected = listed;
            change(&mut expected);
            expected.status |= listed.status;
            assert_eq!(Entry { timeout: 0, use_count: 0, ..now }, Entry { timeout: 0, use_count: 0, ..expected });
            listed = now;
            now
        };
        let now = step(&|e| e.timeout = 77, Has::TIMEOUT);
        assert!((1..=77).contains(&now.timeout), "{now:?}");
        let now = step(&|e| e.status = Status::SEEN_REPLY | Status::ASSURED, Has::STATUS);
        assert_eq!(now.status & Status::ASSURED, Status::ASSURED);
        let now = step(&|e| e.tcp_state = TcpState::CLOSE_WAIT, Has::TCP_STATE);
        assert_eq!(now.tcp_state(), Some(TcpState::CLOSE_WAIT));
        let all_now = cli_table();
        assert!(untouched.is_subset(&all_now), "the others are as they were");
        assert_eq!(all_now.len(), untouched.len() + 1);
    });
}

#[test]
fn labels_can_be_changed_where_a_rule_uses_them_and_are_refused_elsewhere() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let listed = one_listed(&mut conntrack, udp("1.1.1.1", 1, "2.2.2.2", 2));
        let mut new = change(&listed);
        new.has |= Has::LABELS;
        new.labels[9] = 0x81;
        assert_eq!(changed_one(&mut conntrack, new), -libc::ENOSPC);
        table::allow_labels();
        assert_eq!(conntrack.delete_entries(&[listed]).unwrap().status(), [0]);
        let listed = one_listed(&mut conntrack, udp("1.1.1.1", 1, "2.2.2.2", 2));
        let mut new = Entry { id: listed.id, ..new };
        assert_eq!(changed_one(&mut conntrack, new), 0);
        assert_eq!(conntrack.get(&listed).unwrap().unwrap().labels, new.labels);
        new.labels = [0; 16];
        new.labels[0] = 1;
        assert_eq!(changed_one(&mut conntrack, new), 0);
        assert_eq!(
            conntrack.get(&listed).unwrap().unwrap().labels,
            new.labels,
            "all of them, not only those that are set"
        );
    });
}

#[test]
fn a_helper_can_be_cleared_but_not_exchanged() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let listed = one_listed(&mut conntrack, helped(tcp("1.1.1.1", 1, "2.2.2.2", 21), "ftp"));
        assert_eq!(listed.helper().as_deref(), Some("ftp"));
        assert_eq!(changed_one(&mut conntrack, helped(change(&listed), "ftp")), 0, "what it has already");
        assert_eq!(changed_one(&mut conntrack, helped(change(&listed), "irc")), -libc::EBUSY);
        assert_eq!(conntrack.get(&listed).unwrap().unwrap().helper().as_deref(), Some("ftp"));
        assert_eq!(changed_one(&mut conntrack, helped(change(&listed), "")), 0);
        assert_eq!(conntrack.get(&listed).unwrap().unwrap().helper(), None);
        let plain = one_listed(&mut conntrack, tcp("1.1.1.1", 2, "2.2.2.2", 21));
        assert_eq!(changed_one(&mut conntrack, helped(change(&plain), "ftp")), -libc::EOPNOTSUPP);
    });
}

#[test]
fn status_bits_are_added_to_those_that_are_there_and_what_only_the_kernel_sets_is_refused_before_anything_changes() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let assured = Status::SEEN_REPLY | Status::ASSURED;
        let mut entry = tcp("1.1.1.1", 1, "2.2.2.2", 2);
        (entry.has, entry.status) = (entry.has | Has::STATUS, assured);
        let listed = one_listed(&mut conntrack, entry);
        let before = cli_table();
        let set = |status| Entry { has: change(&listed).has | Has::STATUS, status, ..change(&listed) };
        for status in [Status::empty(), Status::CONFIRMED, Status::ASSURED, Status::SEEN_REPLY, assured] {
            assert_eq!(changed_one(&mut conntrack, set(status)), 0, "{status:#x} is what it has already");
            assert_untouched(&before, "an update with what is there");
        }
        // The kernel refuses some of these and ignores others, by its version; a mark beside them must not come through alone.
        for status in [
            Status::DYING,
            Status::EXPECTED,
            Status::SRC_NAT,
            Status::DST_NAT_DONE,
            Status::SEQ_ADJUST,
            Status::OFFLOAD,
        ] {
            let update = marked(set(assured | status), 99);
            assert_eq!(changed_one(&mut conntrack, update), -libc::EBUSY, "{status:#x}");
            assert_untouched(&before, "a refused update");
        }
        assert_eq!(changed_one(&mut conntrack, set(Status::FIXED_TIMEOUT)), 0);
        assert_eq!(conntrack.get(&listed).unwrap().unwrap().status, listed.status | Status::FIXED_TIMEOUT);
    });
}

#[test]
fn a_listed_entry_can_be_updated_as_it_stands() {
    netns(|| {
        table::allow_labels();
        let mut conntrack = Conntrack::open().unwrap();
        create(&mut conntrack, &table::mixed());
        let listed = all(&mut conntrack);
        let mut new: Vec<_> = listed.iter().map(|entry| marked(*entry, entry.mark ^ 0x5a5a)).collect();
        for fixed in new.iter_mut().filter(|entry| entry.status.intersects(Status::FIXED_TIMEOUT)) {
            // The one thing that such an entry does not let change.
            (fixed.has, fixed.timeout) = (fixed.has & !Has::TIMEOUT, 0);
        }
        let batch = conntrack.update_entries(&new).unwrap();
        let (status, outcome) = (batch.status(), batch.outcome);
        assert_eq!(status, vec![0; listed.len()], "{outcome:?}");
        let now = all(&mut conntrack);
        assert_eq!(ids(&now), ids(&listed), "nobody was replaced");
        for entry in &now {
            let before = new.iter().find(|before| before.id == entry.id).unwrap();
            assert_eq!(content(entry), content(before));
        }
    });
}

#[test]
fn a_fixed_timeout_refuses_another_one_wherever_it_stands_in_the_batch() {
    netns(|| {
        let mut entries: Vec<_> = (1..=128).map(|n| udp("1.1.1.1", n, "2.2.2.2", 2)).collect();
        for at in [0, 64, 127] {
            (entries[at].has, entries[at].status) = (entries[at].has | Has::STATUS, Status::FIXED_TIMEOUT);
        }
        let handle = Handle::open();
        assert_eq!(handle.create_entries(&entries).ret, 0);
        for refused in [64, 127, 0] {
            let chosen = |at: usize| at == refused || entries[at].status.is_empty();
            let chosen: Vec<_> = (0..128).filter(|at| chosen(*at)).collect();
            let timeout = 1000 + refused as u32;
            let new = |at: &usize| Entry { timeout, ..lasting(by_hand(&entries[*at])) };
            let updated = handle.update_entries(&chosen.iter().map(new).collect::<Vec<_>>());
            let expected: Vec<_> = chosen.iter().map(|at| if *at == refused { -libc::EPERM } else { 0 }).collect();
            assert_eq!(updated.status, expected, "the fixed one is number {refused}");
            let r = updated.result;
            assert_eq!((r.matched, r.done, r.gone, r.failed), (126, 125, 0, 1));
            assert_eq!((updated.ret, r.first_error), (-libc::EPERM, -libc::EPERM));
            let changed = handle.list(&[]).unwrap().iter().filter(|e| e.timeout <= timeout).count();
            assert_eq!(changed, 125, "what the statuses say is what was done");
        }
    });
}

#[test]
fn a_fixed_timeout_is_not_blamed_on_a_missing_capability() {
    netns(|| {
        let mut entry = udp("1.1.1.1", 1, "2.2.2.2", 2);
        (entry.has, entry.status) = (entry.has | Has::STATUS, Status::FIXED_TIMEOUT);
        let handle = Handle::open();
        assert_eq!(handle.create_entries(&[entry, udp("1.1.1.1", 2, "2.2.2.2", 2)]).ret, 0);
        let new = |n| Entry { timeout: 500, ..lasting(by_hand(&udp("1.1.1.1", n, "2.2.2.2", 2))) };
        for batch in [vec![new(1)], vec![new(1), new(2)], vec![new(2), new(1)]] {
            assert_eq!(handle.update_entries(&batch).ret, -libc::EPERM);
            let text = handle.error();
            assert!(!text.contains("CAP_NET_ADMIN"), "{} of them: {text}", batch.len());
            assert!(text.contains("FIXED_TIMEOUT"), "{text}");
        }
    });
}

#[test]
fn updating_an_entry_that_is_gone_or_was_replaced_says_gone() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let entry = udp("1.1.1.1", 1, "2.2.2.2", 2);
        let listed = one_listed(&mut conntrack, entry);
        assert_eq!(conntrack.delete_entries(&[listed]).unwrap().status(), [0]);
        assert_eq!(changed_one(&mut conntrack, marked(change(&listed), 5)), -libc::ENOENT);
        assert_eq!(cli_count(), 0, "an update makes nothing");
        // The kernel may give the id again to the same tuple; this one cannot be its.
        let successor = one_listed(&mut conntrack, entry);
        let stale = Entry { id: !successor.id, ..marked(change(&successor), 5) };
        assert_eq!(changed_one(&mut conntrack, stale), -libc::ENOENT);
        assert_eq!(conntrack.get(&by_hand(&entry)).unwrap().unwrap().mark, 0);
    });
}

/// The first 16 labels of the one entry there is.
fn labels_of(conntrack: &mut Conntrack, entry: &Entry) -> u16 {
    let labels = conntrack.get(&by_hand(entry)).unwrap().unwrap().labels;
    u16::from_ne_bytes([labels[0], labels[1]])
}

fn labelled(entry: &Entry, how: Has, labels: u16) -> Entry {
    let mut entry = Entry { has: change(entry).has | Has::LABELS | how, ..change(entry) };
    entry.labels[..2].copy_from_slice(&labels.to_ne_bytes());
    entry
}

#[test]
fn labels_are_added_and_removed_without_a_look_at_the_others() {
    netns(|| {
        table::allow_labels();
        let mut conntrack = Conntrack::open().unwrap();
        let listed = one_listed(&mut conntrack, udp("1.1.1.1", 1, "2.2.2.2", 2));
        for (how, bits, now) in [
            (Has::empty(), 0b0110, 0b0110),
            (Has::LABELS_ADD, 0b1001, 0b1111),
            (Has::LABELS_ADD, 0b0001, 0b1111),
            (Has::LABELS_REMOVE, 0b0101, 0b1010),
            (Has::LABELS_REMOVE, 0b0001, 0b1010),
            (Has::LABELS_ADD, 0, 0b1010),
            (Has::empty(), 0b0001, 0b0001),
        ] {
            assert_eq!(changed_one(&mut conntrack, labelled(&listed, how, bits)), 0);
            assert_eq!(labels_of(&mut conntrack, &listed), now, "{how:#x} {bits:#b}");
        }
        let both = labelled(&listed, Has::LABELS_ADD | Has::LABELS_REMOVE, 1);
        let alone = Entry { has: change(&listed).has | Has::LABELS_ADD | Has::MARK, ..change(&listed) };
        for wrong in [both, alone] {
            assert_eq!(conntrack.update_entries(&[wrong]).unwrap_err().errno(), libc::EINVAL);
        }
        let new = Entry { has: udp("1.1.1.1", 2, "2.2.2.2", 2).has | Has::LABELS | Has::LABELS_ADD, ..listed };
        assert_eq!(conntrack.create_entries(&[new]).unwrap_err().errno(), libc::EINVAL);
    });
}

#[test]
fn of_two_programs_that_each_add_and_remove_a_label_neither_undoes_the_other() {
    netns(|| {
        table::allow_labels();
        let mut conntrack = Conntrack::open().unwrap();
        let listed = one_listed(&mut conntrack, udp("1.1.1.1", 1, "2.2.2.2", 2));
        let netns = own_netns();
        std::thread::scope(|scope| {
            for bit in [0, 5] {
                let (netns, listed) = (&netns, &listed);
                scope.spawn(move || {
                    enter(netns);
                    let mut conntrack = Conntrack::open().unwrap();
                    for n in 0..2000u32 {
                        let how = if n % 2 == 0 { Has::LABELS_ADD } else { Has::LABELS_REMOVE };
                        assert_eq!(changed_one(&mut conntrack, labelled(listed, how, 1 << bit)), 0);
                        let now = labels_of(&mut conntrack, listed) >> bit & 1 == 1;
                        assert_eq!(now, how == Has::LABELS_ADD, "somebody else undid it");
                    }
                });
            }
        });
    });
}

#[test]
fn an_update_whose_labels_are_refused_changes_nothing_else() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let listed = one_listed(&mut conntrack, udp("1.1.1.1", 1, "2.2.2.2", 2));
        let before = cli_table();
        let update = marked(labelled(&listed, Has::empty(), 1), 77);
        let refused = conntrack.update_entries(&[update]).unwrap();
        assert_eq!(refused.status(), [-libc::ENOSPC]);
        let text = refused.outcome.error.unwrap().to_string();
        assert!(text.ends_with("no firewall rule used labels when the entry was made"), "{text}");
        assert_untouched(&before, "a refused update");
        // None are there already.
        assert_eq!(changed_one(&mut conntrack, marked(labelled(&listed, Has::empty(), 0), 77)), 0);
        assert_eq!(conntrack.get(&listed).unwrap().unwrap().mark, 77);
    });
}

#[test]
fn window_scales_and_tcp_flags_are_changed_as_asked_or_refused() {
    netns(|| {
        let mut conntrack = Conntrack::open().unwrap();
        let listed = one_listed(&mut conntrack, tcp("1.1.1.1", 1, "2.2.2.2", 2));
        let scales = |has: Has, flags: u8| {
            let mut entry = Entry { has: change(&listed).has | Has::TCP_WSCALE | has, ..change(&listed) };
            (entry.tcp_wscale_orig, entry.tcp_wscale_reply) = (7, 6);
            (entry.tcp_flags_orig, entry.tcp_flags_reply) = (flags, flags);
            (entry.tcp_mask_orig, entry.tcp_mask_reply) = (flags, flags);
            entry
        };
        let now = |conntrack: &mut Conntrack| {
            let entry = conntrack.get(&listed).unwrap().unwrap();
            assert_eq!(entry.tcp_state, TcpState::ESTABLISHED, "the state stays");
            (entry.tcp_wscale_orig, entry.tcp_wscale_reply)
        };
        assert_eq!(changed_one(&mut conntrack, marked(scales(Has::empty(), 0), 5)), -libc::EBUSY);
        assert_eq!((now(&mut conntrack), conntrack.get(&listed).unwrap().unwrap().mark), ((0, 0), 0));
        assert_eq!(changed_one(&mut conntrack, scales(Has::TCP_FLAGS, 0x02)), -libc::EBUSY);
        assert_eq!(changed_one(&mut conntrack, scales(Has::TCP_FLAGS, 0x01)), 0);
        assert_eq!(now(&mut conntrack), (7, 6));
        assert_eq!(conntrack.get(&listed).unwrap().unwrap().tcp_flags_orig & 1, 1);
        assert_eq!(changed_one(&mut conntrack, scales(Has::empty(), 0)), 0, "what it has already");
    });
}

#[test]
fn a_status_bit_that_came_meanwhile_is_no_reason_to_refuse() {
    netns(|| {
        let netns = own_netns();
        let entry = udp("1.1.1.1", 1, "2.2.2.2", 2);
        let stop = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                enter(&netns);
                let mut other = Conntrack::open().unwrap();
                let mut turns = 0;
                let status = Status::SEEN_REPLY | Status::ASSURED;
                let seen = Entry { has: by_hand(&entry).has | Has::STATUS, status, ..by_hand(&entry) };
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    let _ = other.delete_entries(&[by_hand(&entry)]).unwrap();
                    create(&mut other, &[entry]);
                    let _ = other.update_entries(&[seen]).unwrap();
                    turns += 1;
                }
                turns
            });
            let mut conntrack = Conntrack::open().unwrap();
            let status = Status::FIXED_TIMEOUT;
            let fixed = Entry { has: by_hand(&entry).has | Has::STATUS, status, ..by_hand(&entry) };
            let statuses: Vec<i32> = (0..20_000)
                .map(|_| conntrack.update_entries(&[fixed]).map_or(1, |result| result.status()[0]))
                .collect();
            // Before anything can fail: the other thread must come to its end.
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
            let count = |wanted: i32| statuses.iter().filter(|status| **status == wanted).count();
            // -EAGAIN: another one of the same tuple each time that it was asked for.
            let (done, gone) = (count(0), count(-libc::ENOENT) + count(-libc::EAGAIN));
            let known = [0, -libc::ENOENT, -libc::EAGAIN, -libc::EBUSY];
            assert_eq!(statuses.iter().find(|status| !known.contains(status)), None);
            // With one try the bit comes between look-up and update one time in five. Where both threads kept step, it came so each of
            // the times that it was tried, up to 13,000 times of these: the tries are spaced unevenly.
            let busy = count(-libc::EBUSY);
            let turns = other.join().unwrap();
            println!("{busy} busy, {done} changed, {gone} gone, the other changed it {turns} times meanwhile");
            assert!(busy < 100, "{busy} of 20,000");
            assert!(done > 100 && turns > 1000, "{done} {turns}: hardly anything happened meanwhile");
        });
    });
}
