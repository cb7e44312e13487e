//! Many requests, one result each.
//!
//! Up to [`BATCH`] messages go out in one datagram; the kernel runs them in order before send() returns, and each failing one
//! answers for itself. Only the last asks for an acknowledgement: it comes behind all errors and so ends the batch, and the
//! others, silent, have succeeded. (All acknowledged costs twice as much, and overruns the receive buffer.)

use super::link::Link;
use crate::error::{Error, KernelDetail};
use crate::wire::consts::*;
use crate::wire::encode::ask_for_ack;
use crate::wire::message::{decode_ack, first_message};

/// Messages per datagram. From 64 on the rate no longer rises; 128 refusals (832 bytes of receive buffer each) fit the
/// smallest default buffer, 212,992 bytes.
pub(crate) const BATCH: usize = 128;

/// GETs per datagram: each reply takes 4 KiB and more of the receive buffer.
pub(crate) const GET_BATCH: usize = 32;

/// Encoded requests with sequence numbers in a row.
pub(crate) struct Requests {
    op: &'static str,
    bytes: Vec<u8>,
    /// Where each one ends.
    ends: Vec<usize>,
}

impl Requests {
    pub fn new(op: &'static str) -> Requests {
        Requests { op, bytes: Vec::new(), ends: Vec::new() }
    }

    pub fn op(&self) -> &'static str {
        self.op
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Appends what `put` encodes. It must leave the sequence number to be set when the request is sent.
    pub fn push(&mut self, put: impl FnOnce(&mut Vec<u8>, u32)) -> Result<(), Error> {
        // The longest request, a create with everything, has about 400 bytes.
        let no_memory = |_| Error::NoMemory { op: self.op };
        self.bytes.try_reserve(512).map_err(no_memory)?;
        self.ends.try_reserve(1).map_err(no_memory)?;
        put(&mut self.bytes, 0);
        self.ends.push(self.bytes.len());
        Ok(())
    }

    fn start_of(&self, index: usize) -> usize {
        if index == 0 {
            0
        } else {
            self.ends[index - 1]
        }
    }

    fn request(&self, index: usize) -> &[u8] {
        &self.bytes[self.start_of(index)..self.ends[index]]
    }

    /// Sends the requests from `first` to before `last` in one datagram and hands over what comes back.
    ///
    /// `Ok`: every request has its result: those for which `replies` heard no error succeeded. An error means that the fate of
    /// those is not known, but for [`Error::Permission`]: then nothing was done at all.
    pub fn exchange(
        &mut self,
        link: &mut Link,
        first: usize,
        last: usize,
        replies: &mut impl Replies,
    ) -> Result<(), Error> {
        let count = last - first;
        let seq = link.reserve_seqs(u32::try_from(count).unwrap_or(u32::MAX));
        for (at, index) in (first..last).enumerate() {
            let start = self.start_of(index);
            let own = seq + u32::try_from(at).unwrap_or(0);
            self.bytes[start + 8..start + 12].copy_from_slice(&own.to_ne_bytes());
        }
        let start = self.start_of(last - 1);
        ask_for_ack(&mut self.bytes, start);
        link.send(self.op, &self.bytes[self.start_of(first)..self.ends[last - 1]])?;
        self.collect(link, first, count, seq, replies).inspect_err(|error| link.clean_up(self.op, error))
    }

    fn collect(
        &self,
        link: &mut Link,
        first: usize,
        count: usize,
        seq: u32,
        replies: &mut impl Replies,
    ) -> Result<(), Error> {
        let op = self.op;
        let mut deadline = link.deadline();
        loop {
            let length = link.receive(op, deadline)?;
            let mut at = 0;
            while at < length {
                let (message, step) =
                    first_message(&link.received(length)[at..]).map_err(|source| Error::Malformed { op, source })?;
                at += step;
                let index = usize::try_from(message.header.seq.wrapping_sub(seq)).unwrap_or(usize::MAX);
                if index >= count || message.header.port != link.port() {
                    continue;
                }
                deadline = link.deadline();
                match message.header.kind {
                    NLMSG_ERROR => {
                        let ack = decode_ack(&message, self.request(first + index))
                            .map_err(|source| Error::Malformed { op, source })?;
                        if ack.errno == libc::EPERM && index == 0 {
                            // Answered for the first message only; the others are dropped without a word
                            // (netlink_rcv_skb() is never reached: nfnetlink_rcv()).
                            return Err(link.refused(op, ack.errno, ack.detail));
                        }
                        if ack.errno != 0 {
                            replies.failed(first + index, ack.errno, ack.detail);
                        }
                        if index + 1 == count {
                            return Ok(());
                        }
                    }
                    NLMSG_OVERRUN => return Err(Error::Overrun { op }),
                    NLMSG_NOOP | NLMSG_DONE => {}
                    _ => replies
                        .data(first + index, message.header.kind, message.payload)
                        .map_err(|source| Error::Malformed { op, source })?,
                }
            }
        }
    }
}

/// Who hears what comes back for each request of a batch.
pub(crate) trait Replies {
    /// The kernel refused a request.
    fn failed(&mut self, index: usize, errno: i32, detail: KernelDetail);

    /// The kernel sent data for a request.
    fn data(&mut self, _index: usize, _kind: u16, _payload: &[u8]) -> Result<(), crate::wire::WireError> {
        Ok(())
    }
}
