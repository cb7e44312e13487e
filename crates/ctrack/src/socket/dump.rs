//! One request, many replies: pulled message by message, so that a caller can stop and memory stays constant.

use super::link::{Link, Wait, DUMP_BUFFER};
use crate::error::Error;
use ctnetlink::buffer::Buffer;
use ctnetlink::consts::*;
use ctnetlink::kernel_filter::{put_dump, KernelFilter};
use ctnetlink::message::{decode_ack, decode_done, first_message};
use ctnetlink::types::{Entry, Family, Has, Proto, Tuple};
use ctnetlink::Decoder;

/// A dump under way. It must be read to its end (`next` says `false` or fails) or dropped after [`Link::abandon`].
pub(crate) struct Dump {
    op: &'static str,
    seq: u32,
    /// The datagram that is being read: what is left of it in the link's buffer.
    at: usize,
    end: usize,
    wait: Wait,
    buckets: Option<u64>,
    decoder: Decoder,
    repeats: Repeats,
}

impl Dump {
    pub fn start(link: &mut Link, op: &'static str, filter: &KernelFilter) -> Result<Dump, Error> {
        link.make_room(op, DUMP_BUFFER)?;
        let mut request = Buffer::for_a_request().map_err(|_| Error::NoMemory { op })?;
        let buckets = link.buckets();
        // Before anything is under way.
        let repeats = Repeats::new(op)?;
        let seq = link.next_seq();
        put_dump(&mut request, seq, filter);
        link.send(op, &request)?;
        Ok(Dump { op, seq, at: 0, end: 0, wait: Wait::new(), buckets, decoder: Decoder::new(), repeats })
    }

    /// Decodes the next entry. `false`: the dump is complete. After an error it is over, and the link is clean again.
    pub fn next(&mut self, link: &mut Link, entry: &mut Entry) -> Result<bool, Error> {
        self.advance(link, entry).inspect_err(|error| link.clean_up(self.op, error))
    }

    fn advance(&mut self, link: &mut Link, entry: &mut Entry) -> Result<bool, Error> {
        let malformed = |op| move |source| Error::Malformed { op, source };
        loop {
            while self.at < self.end {
                let (message, step) = first_message(&link.received(self.end)[self.at..]).map_err(malformed(self.op))?;
                self.at += step;
                if mutant!("dump-seq", message.header.seq != self.seq, false)
                    || mutant!("dump-port", message.header.port != link.port(), false)
                {
                    continue;
                }
                self.wait.progress();
                if mutant!("dump-interrupted", message.header.flags & NLM_F_DUMP_INTR != 0, false) {
                    return Err(Error::Interrupted { op: self.op, tries: 1 });
                }
                match message.header.kind {
                    ENTRY => {
                        self.decoder.decode(message.payload, entry).map_err(malformed(self.op))?;
                        if !self.repeats.is_repeat(entry) {
                            return Ok(true);
                        }
                    }
                    NLMSG_DONE => {
                        let done = decode_done(&message).map_err(malformed(self.op))?;
                        return self.finish(link, done.errno);
                    }
                    NLMSG_ERROR => {
                        let ack = decode_ack(&message, &[]).map_err(malformed(self.op))?;
                        if ack.errno != 0 {
                            return Err(link.refused(self.op, ack.errno, ack.detail));
                        }
                    }
                    NLMSG_OVERRUN => return Err(Error::Overrun { op: self.op }),
                    _ => {}
                }
            }
            self.at = 0;
            self.end = 0;
            self.check_buckets(link)?;
            self.end = link.receive(self.op, &mut self.wait)?;
            self.repeats.next_datagram();
        }
    }

    fn finish(&mut self, link: &mut Link, errno: i32) -> Result<bool, Error> {
        if errno == libc::EINTR {
            return Err(Error::Interrupted { op: self.op, tries: 1 });
        }
        if errno != 0 {
            return Err(link.refused(self.op, errno, Default::default()));
        }
        self.check_buckets(link)?;
        Ok(false)
    }

    /// ctnetlink never sets NLM_F_DUMP_INTR: a table that was resized meanwhile loses or repeats entries silently (6.18: 9798
    /// of 20000 seen). Looked at for every datagram (0.3 % of a dump), since a table that was resized and resized back shows
    /// nothing at the end.
    fn check_buckets(&self, link: &mut Link) -> Result<(), Error> {
        if mutant!("dump-resized", link.buckets() == self.buckets, true) {
            return Ok(());
        }
        Err(Error::Interrupted { op: self.op, tries: 1 })
    }
}

/// The entries at the end of a datagram, to recognise them at the beginning of the next one.
///
/// The kernel remembers where it stopped by the id of the next entry. If that is gone when it goes on, it begins that bucket
/// anew (ctnetlink_dump_table(), "goto restart") and repeats what the last datagram already had of it.
struct Repeats {
    /// [`CHAIN`] of each; the tuple, the family and the protocol. Not within the struct: it is moved about, and threads may
    /// have no more stack than 32 KiB.
    ids: Vec<u32>,
    keys: Vec<(Tuple, Family, Proto)>,
    next: usize,
    /// How many more entries of this datagram are looked at.
    left: usize,
}

/// A bucket that is begun anew shows what was inserted meanwhile first. So many insertions into one bucket between two reads
/// do not happen: which bucket it is nobody outside the kernel knows.
const NEWCOMERS: usize = 8;

/// No chain of a bucket is longer: the kernel refuses to insert at 50 to 80 (nf_conntrack_core.c: MIN_CHAINLEN,
/// MAX_CHAINLEN).
const CHAIN: usize = 96;

impl Repeats {
    fn new(op: &'static str) -> Result<Repeats, Error> {
        let (mut ids, mut keys) = (Vec::new(), Vec::new());
        let reserved = ids.try_reserve_exact(CHAIN).and_then(|()| keys.try_reserve_exact(CHAIN));
        reserved.map_err(|_| Error::NoMemory { op })?;
        ids.resize(CHAIN, 0);
        keys.resize(CHAIN, (Tuple::EMPTY, Family::UNSPEC, Proto(0)));
        Ok(Repeats { ids, keys, next: 0, left: 0 })
    }

    fn next_datagram(&mut self) {
        self.left = NEWCOMERS;
    }

    #[inline]
    fn is_repeat(&mut self, entry: &Entry) -> bool {
        let key = (entry.orig, entry.family, entry.proto);
        if self.left > 0 {
            self.left -= 1;
            let same = |at: usize| self.ids[at] == entry.id && self.keys[at] == key;
            if mutant!("dump-repeats", entry.has(Has::ID) && (0..CHAIN).any(same), false) {
                self.left = NEWCOMERS;
                return true;
            }
        }
        self.ids[self.next] = entry.id;
        self.keys[self.next] = key;
        self.next = (self.next + 1) % CHAIN;
        false
    }
}

const ENTRY: u16 = message_type(IPCTNL_MSG_CT_NEW);
