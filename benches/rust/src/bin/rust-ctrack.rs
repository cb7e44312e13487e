// SPDX-License-Identifier: MIT OR Apache-2.0

//! The crate ctrack: lists and streams; and the decoder of ctnetlink alone: with its memory of layouts, or without it, attribute by attribute.
//! Usage: rust-ctrack OPERATION SIZE [FILE]

use ctnetlink::{decode_entry, Decoder, Entry, WireError};
use ctrack::Conntrack;
use ctrack_benches::{messages, report, Arguments, Clock, Failure, Reading};

const PEER: &str = "rust-ctrack";

fn word(address: &[u8; 16]) -> [u8; 4] {
    [address[0], address[1], address[2], address[3]]
}

fn reading(e: &Entry) -> u64 {
    let (sport, dport, proto) = (e.orig.sport, e.orig.dport, e.proto);
    Reading {
        src: word(&e.orig.src),
        dst: word(&e.orig.dst),
        sport,
        dport,
        proto: proto.0,
        mark: e.mark,
        status: e.status.bits(),
    }
    .sum()
}

/// Times the decoding of a recorded dump.
fn recorded(a: &Arguments, mut decode: impl FnMut(&[u8], &mut Entry) -> Result<(), WireError>) -> Result<(), Failure> {
    let bytes = a.recorded()?;
    let (mut entry, mut count, mut sum) = (Entry::EMPTY, 0, 0);
    let clock = Clock::start()?;
    for message in messages(&bytes) {
        // Behind the netlink header.
        decode(&message[16..], &mut entry)?;
        count += 1;
        sum += reading(&entry);
    }
    report(PEER, a, &clock.stop()?, count, sum)
}

fn main() -> Result<(), Failure> {
    let a = Arguments::read(PEER)?;
    if a.op.starts_with("decode-") {
        let mut decoder = Decoder::new();
        return recorded(&a, |payload, entry| decoder.decode(payload, entry));
    }
    if a.op.starts_with("general-") {
        return recorded(&a, decode_entry);
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
            let (mut entry, mut count, mut sum) = (Entry::EMPTY, 0, 0);
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
