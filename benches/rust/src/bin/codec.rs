// SPDX-License-Identifier: MIT OR Apache-2.0

//! Work for scripts/test-instructions.sh, which counts its instructions: a program that uses the crate ctnetlink alone.
//! Usage: codec WORK TIMES FILE
//!
//! FILE is a recorded dump. WORK: `decode` decodes its entries TIMES times with a memory of layouts, `general` without;
//! `encode` decodes them once, and writes a create and a delete of each TIMES times. Prints how many entries that were, and a sum
//! of what was read or written.

use ctnetlink::buffer::Buffer;
use ctnetlink::encode::{put_create, put_delete, Name};
use ctnetlink::message::first_message;
use ctnetlink::{decode_entry, Decoder, Entry};
use ctrack_benches::Failure;

/// The payloads of the messages.
fn payloads(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Failure> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let (message, next) = first_message(bytes)?;
        found.push(message.payload);
        bytes = &bytes[next..];
    }
    Ok(found)
}

fn read(entry: &Entry) -> u64 {
    u64::from(entry.mark) + u64::from(entry.orig.sport) + u64::from(entry.status.bits())
}

fn main() -> Result<(), Failure> {
    let words: Vec<String> = std::env::args().collect();
    let [_, work, times, file] = &words[..] else {
        return Err("usage: codec decode|general|encode TIMES FILE".into());
    };
    let bytes = std::fs::read(file)?;
    let payloads = payloads(&bytes)?;
    let (mut decoder, mut entry) = (Decoder::new(), Entry::EMPTY);
    let mut entries = Vec::new();
    if work == "encode" {
        for payload in &payloads {
            decode_entry(payload, &mut entry)?;
            entries.push(entry);
        }
    }
    let mut buffer = Buffer::for_a_request()?;
    let (mut count, mut sum) = (0, 0);
    for _ in 0..times.parse::<u32>()? {
        match &**work {
            "decode" => {
                for payload in &payloads {
                    decoder.decode(payload, &mut entry)?;
                    (count, sum) = (count + 1, sum + read(&entry));
                }
            }
            "general" => {
                for payload in &payloads {
                    decode_entry(payload, &mut entry)?;
                    (count, sum) = (count + 1, sum + read(&entry));
                }
            }
            "encode" => {
                for entry in &entries {
                    buffer.clear();
                    put_create(&mut buffer, 1, entry);
                    put_delete(&mut buffer, 2, entry, Name::first_of(entry));
                    (count, sum) = (count + 1, sum + buffer.len() as u64);
                }
            }
            _ => return Err(format!("no work {work}").into()),
        }
    }
    println!("{count} {sum}");
    Ok(())
}
