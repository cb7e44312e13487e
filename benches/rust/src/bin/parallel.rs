// SPDX-License-Identifier: MIT OR Apache-2.0

//! Why libctrack does not dump with two sockets at once: what it would gain, and what it would lose.
//!
//! Run it where the table is empty and its own: `unshare -n cargo run --release --bin parallel`. It makes 100,000 entries, a fifth of
//! them IPv6, half of them with the lowest bit of the mark set, and dumps them with one socket, with one for each family,
//! and with one for each value of that bit: time against one socket, median, smallest and largest of nine rounds. Then the same
//! two ways while marks change: how many entries are seen twice and not at all, although none comes or goes.

use ctrack::{Conntrack, Entry, Family, Filter, Has, Masked, Proto};
use ctrack_benches::Failure;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const MANY: u32 = 100_000;
const ROUNDS: usize = 9;

/// What tells the entries apart.
type Source = [u8; 16];

fn nth(n: u32, mark: u32) -> Result<Entry, Failure> {
    let (src, dst) = if n % 5 == 0 {
        (format!("fd00::{:x}:{:x}", n >> 16, n & 0xffff), "fd01::1")
    } else {
        (format!("10.{}.{}.{}", n >> 16, n >> 8 & 255, n & 255), "192.0.2.1")
    };
    let mut entry = Entry::key(Proto::UDP, src.parse()?, 1000, dst.parse()?, 53).ok_or("two families")?;
    entry.has |= Has::MARK | Has::TIMEOUT;
    (entry.mark, entry.timeout) = (mark, 3600);
    Ok(entry)
}

fn seen_by(filter: Filter) -> Result<Vec<Source>, ctrack::Error> {
    let mut conntrack = Conntrack::open()?;
    let seen = conntrack.stream(&[filter])?.map(|entry| entry.map(|entry| entry.orig.src)).collect();
    seen
}

fn seen_by_two([first, second]: [Filter; 2]) -> Result<Vec<Source>, Failure> {
    std::thread::scope(|scope| {
        let other = scope.spawn(|| seen_by(second));
        let mut seen = seen_by(first)?;
        seen.extend(other.join().map_err(|_| "a thread panicked")??);
        Ok(seen)
    })
}

fn families() -> [Filter; 2] {
    [Family::IPV4, Family::IPV6].map(|family| Filter { family: Some(family), ..Filter::default() })
}

fn marks() -> [Filter; 2] {
    [0, 1].map(|value| Filter { mark: Some(Masked { value, mask: 1 }), ..Filter::default() })
}

/// Sets the marks of all entries to 1, then to 0, and so on.
fn change_marks(stop: &AtomicBool) -> Result<(), Failure> {
    let mut conntrack = Conntrack::open()?;
    for mark in [1, 0].into_iter().cycle() {
        for start in (0..MANY).step_by(500) {
            if stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let entries = (start..start + 500).map(|n| nth(n, mark)).collect::<Result<Vec<_>, _>>()?;
            conntrack.update_entries(&entries)?.into_result()?;
        }
    }
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut conntrack = Conntrack::open()?;
    if conntrack.count()? != 0 {
        return Err("the table is not empty: run it under unshare -n".into());
    }
    for start in (0..MANY).step_by(1000) {
        let entries = (start..start + 1000).map(|n| nth(n, n & 1)).collect::<Result<Vec<_>, _>>()?;
        conntrack.create_entries(&entries)?.into_result()?;
    }

    let ways =
        [("a socket for each family", families as fn() -> [Filter; 2]), ("a socket for each bit of the mark", marks)];
    let mut ratios = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        let start = Instant::now();
        seen_by(Filter::default())?;
        let one = start.elapsed().as_secs_f64();
        for ((_, filters), ratios) in ways.iter().zip(&mut ratios) {
            let start = Instant::now();
            seen_by_two(filters())?;
            ratios.push(start.elapsed().as_secs_f64() / one);
        }
    }
    for ((name, _), ratios) in ways.iter().zip(&mut ratios) {
        ratios.sort_by(f64::total_cmp);
        println!("{name}: {:.2} of one socket ({:.2} to {:.2})", ratios[ROUNDS / 2], ratios[0], ratios[ROUNDS - 1]);
    }

    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| change_marks(&stop).map_err(|error| error.to_string()));
        for (name, filters) in ways.iter().cycle().take(6) {
            let mut seen = seen_by_two(filters())?;
            let all = seen.len();
            seen.sort_unstable();
            seen.dedup();
            println!(
                "{name}, while marks change: {} twice, {} not at all",
                all - seen.len(),
                MANY as usize - seen.len()
            );
        }
        stop.store(true, Ordering::Relaxed);
        Ok(changing.join().map_err(|_| "a thread panicked")??)
    })
}
