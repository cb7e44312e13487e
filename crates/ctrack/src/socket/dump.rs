//! One request, many replies: pulled message by message, so that a caller can stop and memory stays constant.

use super::link::{About, Link, Wait, DUMP_BUFFER};
use crate::error::{Error, LATER};
use ctnetlink::buffer::Buffer;
use ctnetlink::consts::*;
use ctnetlink::message::{decode_ack, decode_done, first_message};
use std::ops::Range;

/// A dump under way. The link knows that it is: who loses interest just drops it.
pub(crate) struct Dump {
    seq: u32,
    /// The types of the messages that are wanted.
    kinds: [u16; 2],
    /// The datagram that is being read: what is left of it in the link's buffer.
    at: usize,
    end: usize,
    wait: Wait,
    /// An acknowledgement says that there is nothing, and that no end will come.
    ends_with_ack: bool,
    buckets: Option<u64>,
    /// How many datagrams have come.
    pub datagrams: u64,
}

impl Dump {
    /// Sends the request that `put` encodes, and is to be answered by messages of one of these types.
    pub fn start(link: &mut Link, kinds: [u16; 2], put: impl FnOnce(&mut Buffer, u32)) -> Result<Dump, Error> {
        let mut request = Buffer::for_a_request().map_err(Error::no_memory)?;
        link.begin(DUMP_BUFFER)?;
        let buckets = link.buckets();
        let seq = link.next_seq();
        put(&mut request, seq);
        link.send(&request)?;
        Ok(Dump { seq, kinds, at: 0, end: 0, wait: Wait::new(), ends_with_ack: false, buckets, datagrams: 0 })
    }

    /// For a request that asked for an acknowledgement, too: the kernel sends one in place of a dump, where there is nothing to dump.
    pub fn or_ack(self) -> Dump {
        Dump { ends_with_ack: true, ..self }
    }

    /// The payload of the next message. `None`: the dump is complete. After an error it is over, and the link is clean again.
    #[inline(always)]
    pub fn next<'l>(&mut self, link: &'l mut Link) -> Result<Option<&'l [u8]>, Error> {
        match self.advance(link) {
            Ok(Some(payload)) => Ok(Some(&link.received(payload.end)[payload.start..])),
            Ok(None) => {
                link.finish();
                Ok(None)
            }
            Err(error) => Err(failed(link, error)),
        }
    }

    /// Where the next payload is in the link's buffer.
    #[inline(always)]
    fn advance(&mut self, link: &mut Link) -> Result<Option<Range<usize>>, Error> {
        loop {
            while self.at < self.end {
                let (message, step) = first_message(&link.received(self.end)[self.at..]).map_err(Error::malformed)?;
                let start = self.at + NLMSG_HEADER_LEN;
                self.at += step;
                if mutant!("dump-seq", message.header.seq != self.seq, false)
                    || mutant!("dump-port", message.header.port != link.port(), false)
                {
                    continue;
                }
                self.wait.progress();
                if mutant!("dump-interrupted", message.header.flags & NLM_F_DUMP_INTR != 0, false) {
                    return Err(Error::Interrupted { op: LATER, tries: 1 });
                }
                match message.header.kind {
                    kind if self.kinds.contains(&kind) => return Ok(Some(start..start + message.payload.len())),
                    NLMSG_DONE => {
                        let done = decode_done(&message).map_err(Error::malformed)?;
                        return self.finish(link, done.errno);
                    }
                    NLMSG_ERROR => {
                        let ack = decode_ack(&message, &[]).map_err(Error::malformed)?;
                        if ack.errno != 0 {
                            return Err(link.refused(About::Caller, ack.errno, ack.detail));
                        }
                        if mutant!("acknowledged-for-nothing", self.ends_with_ack, false) {
                            return Ok(None);
                        }
                    }
                    NLMSG_OVERRUN => return Err(Error::Overrun { op: LATER }),
                    _ => {}
                }
            }
            self.at = 0;
            self.end = 0;
            self.check_buckets(link)?;
            self.end = link.receive(&mut self.wait)?;
            self.datagrams += 1;
        }
    }

    fn finish(&self, link: &mut Link, errno: i32) -> Result<Option<Range<usize>>, Error> {
        if errno == libc::EINTR {
            return Err(Error::Interrupted { op: LATER, tries: 1 });
        }
        if errno != 0 {
            return Err(link.refused(About::Caller, errno, Default::default()));
        }
        self.check_buckets(link)?;
        Ok(None)
    }

    /// ctnetlink never sets NLM_F_DUMP_INTR: a table that was resized meanwhile loses or repeats entries silently (6.18: 9798
    /// of 20000 seen). Looked at for every datagram (0.3 % of a dump), since a table that was resized and resized back shows
    /// nothing at the end.
    fn check_buckets(&self, link: &mut Link) -> Result<(), Error> {
        if mutant!("dump-resized", link.buckets() == self.buckets, true) {
            return Ok(());
        }
        Err(Error::Interrupted { op: LATER, tries: 1 })
    }
}

#[cold]
#[inline(never)]
pub(crate) fn failed(link: &mut Link, error: Error) -> Error {
    link.fail(&error);
    error
}

/// Asks for a dump, and reads no more than the first answer: the errno with which the kernel refuses it; `None` if it begins.
pub(crate) fn first_answer(link: &mut Link, put: &dyn Fn(&mut Buffer, u32)) -> Result<Option<i32>, Error> {
    let mut request = Buffer::for_a_request().map_err(Error::no_memory)?;
    link.begin(DUMP_BUFFER)?;
    let seq = link.next_seq();
    put(&mut request, seq);
    link.send(&request)?;
    let answer = read_first_answer(link, seq);
    match &answer {
        Ok(Some(_)) => link.finish(),
        // More is to come, which the next conversation throws away.
        Ok(None) => {}
        Err(error) => link.fail(error),
    }
    answer
}

fn read_first_answer(link: &mut Link, seq: u32) -> Result<Option<i32>, Error> {
    let mut wait = Wait::new();
    loop {
        let length = link.receive(&mut wait)?;
        let mut at = 0;
        while at < length {
            let (message, step) = first_message(&link.received(length)[at..]).map_err(Error::malformed)?;
            at += step;
            if message.header.seq != seq || message.header.port != link.port() {
                continue;
            }
            match message.header.kind {
                NLMSG_ERROR => {
                    let errno = decode_ack(&message, &[]).map_err(Error::malformed)?.errno;
                    return Ok(Some(errno).filter(|errno| *errno != 0));
                }
                NLMSG_NOOP => {}
                _ => return Ok(None),
            }
        }
    }
}
