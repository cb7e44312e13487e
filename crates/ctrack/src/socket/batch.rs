//! Many requests, one result each.
//!
//! Up to [`BATCH`] messages go out in one datagram (fewer where the send buffer of the socket is smaller than that); the kernel runs them in order before send() returns, and each failing one
//! answers for itself. Only the last asks for an acknowledgement: it comes behind all errors and so ends the batch, and the
//! others, silent, have succeeded. (All acknowledged costs twice as much, and overruns the receive buffer.)

use super::link::{About, Link, Wait, REPLY_BUFFER};
use crate::error::{Call, Error, LATER};
use ctnetlink::buffer::{Buffer, LONGEST_REQUEST};
use ctnetlink::consts::*;
use ctnetlink::detail::KernelDetail;
use ctnetlink::encode::ask_for_ack;
use ctnetlink::message::{decode_ack, first_message};

/// Messages per datagram. More brings nothing; 256 refusals take 832 bytes of receive buffer each, and fit what a socket gets
/// where the system's limit is the usual 212,992 (the kernel doubles it).
pub(crate) const BATCH: usize = 256;

/// GETs per datagram: each reply takes 4 KiB and more of the receive buffer.
pub(crate) const GET_BATCH: usize = 32;

/// Sends a single request: with what the kernel refuses it, or `None` if it does what it is asked.
pub(crate) fn refusal(link: &mut Link, put: &dyn Fn(&mut Buffer, u32)) -> Result<Option<(i32, KernelDetail)>, Error> {
    struct Refusal(Option<(i32, KernelDetail)>);
    impl Replies for Refusal {
        fn failed(&mut self, _: usize, errno: i32, detail: KernelDetail) {
            self.0 = Some((errno, detail));
        }
    }
    let mut requests = Requests::new();
    requests.push(put)?;
    let mut reply = Refusal(None);
    requests.exchange(link, 0, 1, &mut reply)?;
    Ok(reply.0)
}

/// Encoded requests with sequence numbers in a row.
pub(crate) struct Requests {
    bytes: Buffer,
    /// Where each one ends.
    ends: Vec<usize>,
    /// Whether the last one of a batch asks for an acknowledgement.
    barrier: bool,
    /// Whether what is left is read after replies were lost: each of them is the only one of its kind.
    precious: bool,
    /// Whom a refusal with EPERM is about.
    pub about: About,
}

impl Requests {
    pub fn new() -> Requests {
        Requests { bytes: Buffer::new(), ends: Vec::new(), barrier: true, precious: false, about: About::Caller }
    }

    /// For a single request that is answered by data: then nothing more is waited for.
    pub fn for_data() -> Requests {
        Requests { barrier: false, ..Requests::new() }
    }

    /// For requests that cannot be repeated: where replies were lost, those that were not are still handed over, and the error comes
    /// behind them.
    pub fn for_precious_data() -> Requests {
        Requests { precious: true, ..Requests::new() }
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }

    /// Appends what `put` encodes. It must leave the sequence number to be set when the request is sent.
    pub fn push(&mut self, put: impl FnOnce(&mut Buffer, u32)) -> Result<(), Error> {
        let no_memory = |_| Error::NoMemory { op: LATER };
        self.bytes.try_reserve(LONGEST_REQUEST).map_err(no_memory)?;
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

    /// Sends the requests from `first` to before `last` and hands over what comes back. In one datagram, or in several where the
    /// socket takes none of that size.
    ///
    /// `Ok`: every request has its result: those for which `replies` heard no error succeeded. An error means that the fate of
    /// those is not known, but for [`Error::Permission`] and [`Call::Send`]: then nothing was done at all.
    pub fn exchange(
        &mut self,
        link: &mut Link,
        first: usize,
        last: usize,
        replies: &mut dyn Replies,
    ) -> Result<(), Error> {
        let (mut at, mut size) = (first, last - first);
        while at < last {
            let end = last.min(at + size);
            match self.part(link, at, end, replies) {
                Ok(()) => at = end,
                // EMSGSIZE: the send buffer is smaller than the datagram. ENOBUFS: there is no memory for one of that size
                // (netlink_sendmsg(): either before anything is done).
                Err(Error::System { call: Call::Send, errno: libc::EMSGSIZE | libc::ENOBUFS, .. })
                    if mutant!("parts-as-they-fit", end - at > 1, false) =>
                {
                    size = (end - at).div_ceil(2);
                }
                Err(Error::System { op, call: Call::Send, errno }) if at > first => {
                    return Err(Error::System { op, call: Call::SendRest, errno });
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The same in one datagram.
    fn part(&mut self, link: &mut Link, first: usize, last: usize, replies: &mut dyn Replies) -> Result<(), Error> {
        link.begin(REPLY_BUFFER)?;
        let count = last - first;
        let seq = link.reserve_seqs(u32::try_from(count).unwrap_or(u32::MAX));
        for (at, index) in (first..last).enumerate() {
            let start = self.start_of(index);
            let own = seq + u32::try_from(at).unwrap_or(0);
            self.bytes[start + 8..start + 12].copy_from_slice(&own.to_ne_bytes());
        }
        if self.barrier {
            let start = self.start_of(mutant!("last-acknowledged", last - 1, first));
            ask_for_ack(&mut self.bytes, start);
        }
        link.send(&self.bytes[self.start_of(first)..self.ends[last - 1]])?;
        match self.collect(link, first, count, seq, replies) {
            Ok(()) => {
                link.finish();
                Ok(())
            }
            Err(error) => {
                link.fail(&error);
                Err(error)
            }
        }
    }

    fn collect(
        &self,
        link: &mut Link,
        first: usize,
        count: usize,
        seq: u32,
        replies: &mut dyn Replies,
    ) -> Result<(), Error> {
        let mut wait = Wait::new();
        let mut forbidden = None;
        let mut lost = None;
        loop {
            let length = match (link.receive(&mut wait), forbidden.take()) {
                (Err(Error::Timeout { .. }), Some(error)) => return Err(error),
                (Err(error @ Error::Overrun { .. }), _) if mutant!("left-ones-read", self.precious, false) => {
                    // The kernel had answered all before send() returned: what is not there by now was lost.
                    lost = Some(error);
                    wait.no_longer();
                    continue;
                }
                (Err(Error::Timeout { .. }), _) if lost.is_some() => return lost.map_or(Ok(()), Err),
                (result, _) => result?,
            };
            let mut at = 0;
            while at < length {
                let (message, step) = first_message(&link.received(length)[at..]).map_err(Error::malformed)?;
                at += step;
                if message.header.kind == message_type(IPCTNL_MSG_CT_DELETE) && message.header.port == link.port() {
                    // What a request with NLM_F_ECHO did, with sequence number 0 (ctnetlink_conntrack_event()).
                    replies.echo(message.payload);
                    continue;
                }
                let index = usize::try_from(message.header.seq.wrapping_sub(seq)).unwrap_or(usize::MAX);
                if index >= count || mutant!("batch-port", message.header.port != link.port(), false) {
                    continue;
                }
                match lost {
                    None => wait.progress(),
                    Some(_) => wait.no_longer(),
                }
                forbidden = None;
                match message.header.kind {
                    NLMSG_ERROR => {
                        let ack = decode_ack(&message, self.request(first + index)).map_err(Error::malformed)?;
                        let is_first = mutant!("forbidden-at-once", index == 0, false);
                        if is_first && Link::is_forbidden(self.about, ack.errno) {
                            // Without the capability the first message is answered, and the others are dropped without a
                            // word (nfnetlink_rcv()). All replies were there before send() returned: if no other one is,
                            // none will come.
                            let error = link.refused(self.about, ack.errno, ack.detail.clone());
                            if count == 1 {
                                return Err(error);
                            }
                            forbidden = Some(error);
                            wait.no_longer();
                        }
                        if mutant!("refusals-heard", ack.errno != 0, false) {
                            replies.failed(first + index, ack.errno, ack.detail);
                        }
                        if index + 1 == count {
                            return lost.map_or(Ok(()), Err);
                        }
                    }
                    NLMSG_OVERRUN => return Err(Error::Overrun { op: LATER }),
                    NLMSG_NOOP | NLMSG_DONE => {}
                    kind => {
                        replies.data(first + index, kind, message.payload).map_err(Error::malformed)?;
                        if !self.barrier {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }
}

/// Who hears what comes back for each request of a batch.
pub(crate) trait Replies {
    /// The kernel refused a request.
    fn failed(&mut self, index: usize, errno: i32, detail: KernelDetail);

    /// An entry ended by one of the requests: they come in the order of these.
    fn echo(&mut self, _payload: &[u8]) {}

    /// The kernel sent data for a request.
    fn data(&mut self, _index: usize, _kind: u16, _payload: &[u8]) -> Result<(), ctnetlink::WireError> {
        Ok(())
    }
}
