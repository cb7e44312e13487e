//! How messages travel: the [`Transport`] trait, the kernel's socket behind it, and the two conversations that ctnetlink
//! knows, dumps and batches.
//!
//! `netlink` the real one; `link` one transport with its sequence numbers, deadline and receive buffer; `dump` many replies
//! to one request; `batch` many requests with one result each; `known` what was found out of the kernel.

pub(crate) mod batch;
pub(crate) mod dump;
pub(crate) mod known;
pub(crate) mod link;
pub(crate) mod netlink;

use crate::error::NetnsName;
use known::Known;
use std::io;
use std::time::Instant;

/// A way to talk to ctnetlink. The library brings its own, a netlink socket; tests bring scripted ones.
pub trait Transport: Send {
    /// Sends one datagram, which may hold several messages.
    fn send(&mut self, datagram: &[u8]) -> io::Result<()>;

    /// Receives one datagram into `buffer`, waiting until `deadline` at most (then: `TimedOut`).
    fn recv(&mut self, buffer: &mut [u8], deadline: Instant) -> io::Result<Received>;

    /// The port number that replies are addressed to.
    fn port(&self) -> u32;

    /// Throws away everything that is under way, a running dump too. An error means that it could not; the transport is
    /// then as it was.
    fn reset(&mut self) -> io::Result<()>;

    /// The network namespace, for error texts.
    fn netns(&self) -> NetnsName;

    /// The number of buckets of the kernel's hash table, if it can be read. A change during a dump means that the table was
    /// resized, and that entries may have been missed or repeated.
    fn buckets(&mut self) -> Option<u64>;

    /// The receive buffer that was granted, in bytes.
    fn receive_room(&self) -> usize {
        usize::MAX
    }

    /// Does something where /proc/sys shows what the network namespace has. An error means that it was not done.
    fn in_netns(&self, work: &mut (dyn FnMut() + Send)) -> io::Result<()> {
        work();
        Ok(())
    }

    /// Where to keep what is known of the kernel behind this transport, if others share it.
    fn known(&self) -> Option<&'static Known> {
        None
    }
}

/// What [`Transport::recv`] got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    /// The length of the datagram; more than the buffer holds if it was truncated.
    pub length: usize,
    /// The port number of the sender; 0 is the kernel.
    pub sender: u32,
}
