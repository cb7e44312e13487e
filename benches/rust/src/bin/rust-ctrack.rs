// SPDX-License-Identifier: MIT OR Apache-2.0

//! The crate ctrack: lists and streams, and its decoder alone: with its memory of layouts, or without it, attribute by attribute.
//! Usage: rust-ctrack OPERATION SIZE [FILE]

use ctrack::wire::{decode_entry, Decoder};
use ctrack::{Conntrack, Entry};
use ctrack_benches::{messages, report, Arguments, Clock, Failure, Reading};

const PEER: &str = "rust-ctrack";

fn word(address: &[u8; 16]) -> [u8; 4] {
    [address[0], address[1], address[2], address[3]]
}

fn reading(e: &Entry) -> u64 {
    let (sport, dport, proto) = (e.orig.sport, e.orig.dport, e.proto);
    Reading { src: word(&e.orig.src), dst: word(&e.orig.dst), sport, dport, proto, mark: e.mark, status: e.status }
        .sum()
}

fn main() -> Result<(), Failure> {
    let a = Arguments::read(PEER)?;
    let (mut count, mut sum) = (0, 0);
    if a.op.starts_with("decode-") {
        let bytes = a.recorded()?;
        let mut entry = Entry::EMPTY;
        let mut decoder = Decoder::new();
        let clock = Clock::start()?;
        // Behind the netlink header.
        for message in messages(&bytes) {
            decoder.decode(&message[16..], &mut entry)?;
            count += 1;
            sum += reading(&entry);
        }
        return report(PEER, &a, &clock.stop()?, count, sum);
    }
    if a.op.starts_with("general-") {
        let bytes = a.recorded()?;
        let mut entry = Entry::EMPTY;
        let clock = Clock::start()?;
        for message in messages(&bytes) {
            decode_entry(&message[16..], &mut entry)?;
            count += 1;
            sum += reading(&entry);
        }
        return report(PEER, &a, &clock.stop()?, count, sum);
    }
    let mut conntrack = Conntrack::open()?;
    match &*a.op {
        "list" => {
            let clock = Clock::start()?;
            let entries = conntrack.list(&[])?;
            let took = clock.stop()?;
            report(PEER, &a, &took, entries.len() as u64, entries.iter().map(reading).sum())
        }
        "stream" => {
            let mut entry = Entry::EMPTY;
            let clock = Clock::start()?;
            conntrack.dump_start(&[])?;
            while conntrack.dump_next(&mut entry)? {
                count += 1;
                sum += reading(&entry);
            }
            report(PEER, &a, &clock.stop()?, count, sum)
        }
        op => Err(format!("no operation {op}").into()),
    }
}
