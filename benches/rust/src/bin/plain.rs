// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work for scripts/test-instructions.sh, which counts the instructions of `measured`: a program that uses the crate ctrack. Needs
//! a network namespace of its own. Usage: plain create|stream|list|line|json|delete COUNT
//!
//! Makes COUNT entries, does the work with all of them, and prints how many those were. benches/instructions.c is the same in C.

use ctrack::{
    json, line, Conntrack, Entry, CT_FORMAT_LINE, CT_HAS_MARK, CT_HAS_STATUS, CT_HAS_TCP_STATE, CT_HAS_TIMEOUT,
    CT_PROTO_TCP, CT_STATUS_ASSURED, CT_STATUS_CONFIRMED, CT_STATUS_SEEN_REPLY, CT_TCP_STATE_ESTABLISHED,
};
use ctrack_benches::Failure;
use std::hint::black_box;
use std::net::Ipv4Addr;

fn entry_of(number: u32) -> Result<Entry, Failure> {
    let (src, dst) = (Ipv4Addr::from(0x0a00_0000 + number), Ipv4Addr::from(0x0b00_0001));
    let mut entry = Entry::key(CT_PROTO_TCP, src.into(), 40000, dst.into(), 80).ok_or("two families")?;
    entry.has |= CT_HAS_STATUS | CT_HAS_MARK | CT_HAS_TIMEOUT | CT_HAS_TCP_STATE;
    entry.mark = 7;
    entry.status = CT_STATUS_CONFIRMED | CT_STATUS_ASSURED | CT_STATUS_SEEN_REPLY;
    entry.timeout = 600;
    entry.tcp_state = CT_TCP_STATE_ESTABLISHED;
    Ok(entry)
}

/// What is counted, by its name.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    black_box(work())
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    let [_, work, size] = &words[..] else {
        return Err("usage: plain create|stream|list|line|json|delete COUNT".into());
    };
    let made = (0..size.parse()?).map(entry_of).collect::<Result<Vec<_>, _>>()?;
    let mut conntrack = Conntrack::open()?;
    if work == "create" {
        println!("{}", measured(|| Ok(conntrack.create_entries(&made)?.outcome.done))?);
        return Ok(());
    }
    conntrack.create_entries(&made)?;
    if work == "list" {
        println!("{}", measured(|| Ok(conntrack.list(&[])?.len()))?);
        return Ok(());
    }
    let listed = conntrack.list(&[])?;
    let count = match &**work {
        "stream" => measured(|| {
            let mut count = 0;
            for entry in conntrack.stream(&[])? {
                black_box(&entry?);
                count += 1;
            }
            Ok(count)
        })?,
        "line" => measured(|| Ok(listed.iter().filter(|entry| !line(entry, CT_FORMAT_LINE).is_empty()).count()))?,
        "json" => measured(|| Ok(listed.iter().filter(|entry| !json(entry).is_empty()).count()))?,
        "delete" => measured(|| Ok(conntrack.delete_entries(&listed)?.outcome.done as usize))?,
        _ => return Err(format!("no work {work}").into()),
    };
    println!("{count}");
    Ok(())
}
