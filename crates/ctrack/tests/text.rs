//! Texts of entries that a real kernel sent, as the `conntrack` program printed them (`tests/data`).

#[allow(dead_code, reason = "shared with other tests")]
#[path = "support/capture.rs"]
mod capture;
#[allow(dead_code, reason = "shared with other tests")]
#[path = "support/wire.rs"]
mod wire;

use capture::golden;
use ctrack::*;

fn decoded(payload: &[u8]) -> Result<Entry, ctnetlink::WireError> {
    let mut entry = Entry::EMPTY;
    ctnetlink::decode_entry(payload, &mut entry).map(|()| entry)
}

const WITNESS: &str = include_str!("data/dump-6.18.lines");

#[test]
fn captured_entries_read_as_the_conntrack_program_prints_them() {
    // The timeout ran on between dump and print, and the age is read off the clock.
    let timeless = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().filter(|field| !field.starts_with("delta-time=")).collect();
        [&fields[..4], &fields[5..]].concat().join(" ")
    };
    let mut ours: Vec<String> = golden()
        .iter()
        .map(|payload| timeless(&line(&decoded(payload).unwrap(), Format::EXTENDED | Format::ID)))
        .collect();
    let mut theirs: Vec<String> = WITNESS.lines().map(timeless).collect();
    ours.sort();
    theirs.sort();
    assert_eq!(ours, theirs);
    assert!(ours.len() > 70);
}

#[test]
fn labels_are_numbered_in_json_as_the_kernel_numbers_them() {
    for bit in [0, 1, 31, 32, 63, 64, 100, 127] {
        let mut entry = Entry { has: Has::LABELS, ..Entry::EMPTY };
        let long = std::ffi::c_ulong::BITS as usize;
        let within = bit % long / 8;
        let byte = if cfg!(target_endian = "little") { within } else { long / 8 - 1 - within };
        entry.labels[bit / long * (long / 8) + byte] = 1 << (bit % 8);
        assert!(json(&entry).contains(&format!("\"labels\":[{bit}]")), "{bit}: {}", json(&entry));
    }
}
