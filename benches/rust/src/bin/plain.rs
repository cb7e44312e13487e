// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work for scripts/test-instructions.sh, which counts the instructions of `measured`: a program that uses the crate ctrack. Needs
//! a network namespace of its own. Usage: plain create|stream|list|line|json|delete|event COUNT
//!
//! Makes COUNT entries, does the work with all of them, and prints how many those were. benches/instructions.c is the same in C.

use ctrack::{json, line, Change, Conntrack, Entry, Format, Has, Proto, Status, TcpState, Watch, WatchOptions};
use ctrack_benches::Failure;
use std::hint::black_box;
use std::net::Ipv4Addr;

fn entry_of(number: u32) -> Result<Entry, Failure> {
    let (src, dst) = (Ipv4Addr::from(0x0a00_0000 + number), Ipv4Addr::from(0x0b00_0001));
    let mut entry = Entry::key(Proto::TCP, src.into(), 40000, dst.into(), 80).ok_or("two families")?;
    entry.has |= Has::STATUS | Has::MARK | Has::TIMEOUT | Has::TCP_STATE;
    entry.mark = 7;
    entry.status = Status::CONFIRMED | Status::ASSURED | Status::SEEN_REPLY;
    entry.timeout = 600;
    entry.tcp_state = TcpState::ESTABLISHED;
    Ok(entry)
}

/// What is counted, by its name.
#[inline(never)]
fn measured<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    black_box(work())
}

/// Reads the NEW of so many entries.
fn told(watch: &mut Watch, size: usize) -> Result<usize, Failure> {
    let (mut count, mut events) = (0, Vec::new());
    while count < size {
        watch.next_batch(&mut events, 64, None)?;
        count += events.drain(..).filter(|event| matches!(event.change, Change::New(_))).count();
    }
    Ok(count)
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    let [_, work, size] = &words[..] else {
        return Err("usage: plain create|stream|list|line|json|delete|event COUNT".into());
    };
    let made = (0..size.parse()?).map(entry_of).collect::<Result<Vec<_>, _>>()?;
    let mut conntrack = Conntrack::open()?;
    if work == "create" {
        println!("{}", measured(|| Ok(conntrack.create_entries(&made)?.outcome.done))?);
        return Ok(());
    }
    let mut watch = if work == "event" { Some(Watch::open(WatchOptions::new(), &[])?) } else { None };
    conntrack.create_entries(&made)?.into_result()?;
    if let Some(watch) = &mut watch {
        println!("{}", measured(|| told(watch, made.len()))?);
        return Ok(());
    }
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
        "line" => measured(|| Ok(listed.iter().filter(|entry| !line(entry, Format::empty()).is_empty()).count()))?,
        "json" => measured(|| Ok(listed.iter().filter(|entry| !json(entry).is_empty()).count()))?,
        "delete" => measured(|| Ok(conntrack.delete_entries(&listed)?.outcome.done as usize))?,
        _ => return Err(format!("no work {work}").into()),
    };
    println!("{count}");
    Ok(())
}
