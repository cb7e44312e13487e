//! The entries of a dump, each once.

use crate::error::Error;
use crate::socket::dump::{failed, Dump};
use crate::socket::link::Link;
use ctnetlink::consts::{message_type, IPCTNL_MSG_CT_NEW};
use ctnetlink::kernel_filter::{put_dump, KernelFilter};
use ctnetlink::types::{Entry, Family, Has, Proto, Tuple};
use ctnetlink::Decoder;

/// A dump of entries under way.
pub(crate) struct Entries {
    dump: Dump,
    decoder: Decoder,
    repeats: Repeats,
    /// How many datagrams had come as the last entry was looked at.
    datagrams: u64,
}

impl Entries {
    /// Asks for what the filter lets through.
    pub fn start(link: &mut Link, filter: &KernelFilter) -> Result<Entries, Error> {
        // Before anything is under way.
        let repeats = Repeats::new()?;
        let dump = Dump::start(link, [message_type(IPCTNL_MSG_CT_NEW); 2], |buffer, seq| put_dump(buffer, seq, filter))?;
        Ok(Entries { dump, decoder: Decoder::new(), repeats, datagrams: 0 })
    }

    /// Decodes the next entry. `false`: the dump is complete. After an error it is over, and the link is clean again.
    pub fn next(&mut self, link: &mut Link, entry: &mut Entry) -> Result<bool, Error> {
        loop {
            let Some(payload) = self.dump.next(link)? else { return Ok(false) };
            if let Err(source) = self.decoder.decode(payload, entry) {
                return Err(failed(link, Error::malformed(source)));
            }
            if self.datagrams != self.dump.datagrams {
                self.datagrams = self.dump.datagrams;
                self.repeats.next_datagram();
            }
            if !self.repeats.is_repeat(entry) {
                return Ok(true);
            }
        }
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
    fn new() -> Result<Repeats, Error> {
        let (mut ids, mut keys) = (Vec::new(), Vec::new());
        let reserved = ids.try_reserve_exact(CHAIN).and_then(|()| keys.try_reserve_exact(CHAIN));
        reserved.map_err(Error::no_memory)?;
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
