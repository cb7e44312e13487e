// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work for scripts/test-instructions.sh, which counts its instructions. Usage: instructions WORK TIMES FILE
//!
//! FILE is a recorded dump; its entries are decoded TIMES times. WORK: `decode` with a memory of layouts, `general` without,
//! `line` and `json`: general, and written as text. Prints how many entries that were, and a sum of what was read.

use ctnetlink::{decode_entry, Decoder, Entry};
use ctrack::{json, line, Format};
use ctrack_benches::{messages, Failure};

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    let [_, work, times, file] = &words[..] else {
        return Err("usage: instructions decode|general|line|json TIMES FILE".into());
    };
    let bytes = std::fs::read(file)?;
    let mut decoder = Decoder::new();
    let mut entry = Entry::EMPTY;
    let (mut count, mut sum) = (0, 0);
    for _ in 0..times.parse::<u32>()? {
        // Behind the netlink header.
        for message in messages(&bytes) {
            match &**work {
                "decode" => decoder.decode(&message[16..], &mut entry)?,
                "general" | "line" | "json" => decode_entry(&message[16..], &mut entry)?,
                _ => return Err(format!("no work {work}").into()),
            }
            sum += u64::from(entry.mark) + u64::from(entry.orig.sport) + u64::from(entry.status.bits());
            match &**work {
                "line" => sum += line(&entry, Format::empty()).len() as u64,
                "json" => sum += json(&entry).len() as u64,
                _ => {}
            }
            count += 1;
        }
    }
    println!("{count} {sum}");
    Ok(())
}
