//! The library without a kernel: every operation, every fault that ctnetlink knows, and every byte that is sent, on a
//! transport that follows a script.
//!
//! `transport` the scripted transport; `kernel` a small conntrack table behind it, and `kernel::filtering` what kernels filter by;
//! `operations` right results; `requests` what is sent; `proofs` what makes an entry gone; `faults` what may go wrong with any
//! operation; `dumps` and `batches` what may go wrong with these; `errors` the text of every kind of error; `guards` what single guards are there for;
//! `zero` counters that are read once and for all; `plans` every plan on
//! every kind of kernel, with the random filters of `chance` and the plain matcher of `judge`.

#[path = "scripted/batches.rs"]
mod batches;
#[path = "scripted/chance.rs"]
mod chance;
#[path = "scripted/dumps.rs"]
mod dumps;
#[path = "scripted/errors.rs"]
mod errors;
#[path = "scripted/failures.rs"]
mod failures;
#[path = "scripted/faults.rs"]
mod faults;
#[path = "scripted/guards.rs"]
mod guards;
#[path = "support/judge.rs"]
mod judge;
#[path = "support/kernel.rs"]
mod kernel;
#[path = "scripted/operations.rs"]
mod operations;
#[path = "scripted/plans.rs"]
mod plans;
#[path = "scripted/proofs.rs"]
mod proofs;
#[path = "support/random.rs"]
mod random;
#[path = "scripted/requests.rs"]
mod requests;
#[path = "support/statuses.rs"]
mod statuses;
#[path = "support/transport.rs"]
mod transport;
#[path = "support/wire.rs"]
mod wire;
#[path = "scripted/zero.rs"]
mod zero;

use chance::{ip, listed};
use ctrack::*;
use kernel::Table;
use statuses::Statuses;
use std::net::IpAddr;
use transport::{Script, TIMEOUT};

/// An entry as the kernel lists it: UDP over IPv4, told apart by its source port.
fn udp(port: u16) -> Entry {
    listed(Entry::key(Proto::UDP, ip("10.0.0.1"), port, ip("10.0.0.2"), 53).unwrap(), port.into())
}

/// The same over IPv6.
fn udp6(port: u16) -> Entry {
    listed(Entry::key(Proto::UDP, ip("fd00::1"), port, ip("fd00::2"), 53).unwrap(), 0x10_0000 + u32::from(port))
}

/// A handle on a table.
fn on(table: &Table) -> (Conntrack, Script) {
    let kernel = table.clone();
    let script = Script::new(move |_, requests| kernel.answer(requests));
    (over(&script), script)
}

/// A handle on a script.
fn over(script: &Script) -> Conntrack {
    Conntrack::over(script.transport(), TIMEOUT)
}

/// The key of an entry: its original tuple and zone, and nothing else.
fn key_of(entry: &Entry) -> Entry {
    let zones = Has::ZONE | Has::ORIG_ZONE;
    let mut key = Entry { has: entry.has & (Has::ORIG | Has::PORTS | Has::ICMP | zones), ..Entry::EMPTY };
    (key.family, key.proto, key.orig) = (entry.family, entry.proto, entry.orig);
    if key.has.intersects(zones) {
        key.zone = entry.zone;
    }
    key
}
