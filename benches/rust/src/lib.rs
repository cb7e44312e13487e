// SPDX-License-Identifier: MIT OR Apache-2.0

//! What the programs in Rust share: the clock, recorded dumps and the line of results. It is bench.h for Rust; that says
//! what everything means. The table itself is made by `raw`.

use nix::sys::resource::{getrusage, UsageWho};
use nix::sys::time::{TimeVal, TimeValLike};
use std::error::Error;
use std::time::Instant;

/// What went wrong.
pub type Failure = Box<dyn Error>;

/// What a reader takes from an entry.
pub struct Reading {
    /// Source address; its first four bytes count.
    pub src: [u8; 4],
    /// Destination address; its first four bytes count.
    pub dst: [u8; 4],
    /// Source port, or 0.
    pub sport: u16,
    /// Destination port, or 0.
    pub dport: u16,
    /// Protocol.
    pub proto: u8,
    /// Mark.
    pub mark: u32,
    /// Status.
    pub status: u32,
}

impl Reading {
    /// Seven fields, added up.
    pub fn sum(&self) -> u64 {
        u64::from(u32::from_ne_bytes(self.src))
            + u64::from(u32::from_ne_bytes(self.dst))
            + u64::from(self.sport)
            + u64::from(self.dport)
            + u64::from(self.proto)
            + u64::from(self.mark)
            + u64::from(self.status)
    }
}

/// The arguments of the program.
pub struct Arguments {
    /// The operation.
    pub op: String,
    /// Entries of the table, or of the recorded dump.
    pub size: u64,
    /// The recorded dump.
    pub file: Option<String>,
}

impl Arguments {
    /// From the command line.
    pub fn read(peer: &str) -> Result<Arguments, Failure> {
        let usage = || format!("usage: {peer} OPERATION SIZE [FILE]");
        let mut words = std::env::args().skip(1);
        let op = words.next().ok_or_else(usage)?;
        let size = words.next().ok_or_else(usage)?.parse()?;
        Ok(Arguments { op, size, file: words.next() })
    }

    /// The recorded dump.
    pub fn recorded(&self) -> Result<Vec<u8>, Failure> {
        Ok(std::fs::read(self.file.as_ref().ok_or("no recorded dump")?)?)
    }
}

/// The messages of a recorded dump or of a datagram, each with its header.
pub fn messages(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let message = bytes.get(..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// The clock.
pub struct Clock {
    start: Instant,
    before: (i64, i64),
}

/// What the clock measured: time, processor time of the user and of the kernel, in nanoseconds.
pub struct Took {
    wall: u128,
    user: i64,
    system: i64,
}

/// Processor time of the user and of the kernel, in microseconds.
fn processor_time() -> Result<(i64, i64), Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let micro = |time: TimeVal| time.num_microseconds();
    Ok((micro(usage.user_time()), micro(usage.system_time())))
}

impl Clock {
    /// Starts it. Writing 5 sets the mark of the peak of memory back.
    pub fn start() -> Result<Clock, Failure> {
        std::fs::write("/proc/self/clear_refs", "5")?;
        Ok(Clock { before: processor_time()?, start: Instant::now() })
    }

    /// Stops it.
    pub fn stop(self) -> Result<Took, Failure> {
        let wall = self.start.elapsed().as_nanos();
        let (user, system) = processor_time()?;
        Ok(Took { wall, user: (user - self.before.0) * 1000, system: (system - self.before.1) * 1000 })
    }
}

/// Prints the line of results.
pub fn report(peer: &str, a: &Arguments, took: &Took, check: u64, sum: u64) -> Result<(), Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM in /proc/self/status")?;
    println!(
        "peer={peer} op={} n={} wall_ns={} user_ns={} sys_ns={} peak_kb={} check={check} sum={sum}",
        a.op,
        a.size,
        took.wall,
        took.user,
        took.system,
        peak.trim().trim_end_matches(" kB")
    );
    Ok(())
}
