//! Statistics: how many entries there are and may be, and what each processor counted.

use super::attr::Attrs;
use super::buffer::Buffer;
use super::consts::*;
use super::encode::{begin, begin_of, end};
use super::WireError;
use crate::types::Family;
use core::fmt;

/// Appends an IPCTNL_MSG_CT_GET_STATS request.
///
/// ```
/// use ctnetlink::{buffer::Buffer, stats::put_count_request};
/// let mut buffer = Buffer::new();
/// put_count_request(&mut buffer, 1);
/// assert_eq!(buffer.len(), 20);
/// ```
pub fn put_count_request(buffer: &mut Buffer, seq: u32) {
    let start = begin(buffer, IPCTNL_MSG_CT_GET_STATS, 0, seq, Family::UNSPEC, 0);
    end(buffer, start);
}

/// The number of entries in the payload of the reply.
///
/// ```
/// # let payload = [&[0, 0, 0, 0][..], &8u16.to_ne_bytes(), &1u16.to_ne_bytes(), &4711u32.to_be_bytes()].concat();
/// assert_eq!(ctnetlink::stats::decode_count(&payload)?, 4711);
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
pub fn decode_count(payload: &[u8]) -> Result<u64, WireError> {
    decode_fill(payload).map(|(entries, _)| entries)
}

/// The same, and how many entries the kernel lets a network namespace have at most (since Linux 5.8).
///
/// ```
/// # let attr = |kind: u16, value: u32| [&8u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &value.to_be_bytes()].concat();
/// # let payload = [vec![0; 4], attr(1, 4711), attr(2, 262_144)].concat();
/// assert_eq!(ctnetlink::stats::decode_fill(&payload)?, (4711, Some(262_144)));
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
pub fn decode_fill(payload: &[u8]) -> Result<(u64, Option<u32>), WireError> {
    let (mut entries, mut most) = (None, None);
    for attr in Attrs::new(payload.get(NFGENMSG_LEN..).unwrap_or(&[]), "the statistics") {
        let attr = attr?;
        match attr.kind {
            CTA_STATS_GLOBAL_ENTRIES => entries = Some(u64::from(attr.be32("CTA_STATS_GLOBAL_ENTRIES")?)),
            CTA_STATS_GLOBAL_MAX_ENTRIES => most = Some(attr.be32("CTA_STATS_GLOBAL_MAX_ENTRIES")?),
            _ => {}
        }
    }
    Ok((entries.ok_or(WireError::Missing { attribute: "CTA_STATS_GLOBAL_ENTRIES" })?, most))
}

/// What is counted for each processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// What becomes of packets and entries: the counters of [`Stat`].
    Entries,
    /// What becomes of expectations: the counters of [`ExpectStat`].
    Expectations,
}

impl Counted {
    /// The type of the messages that answer: for expectations 6.18 takes the number of the subsystem of entries
    /// (ctnetlink_exp_stat_fill_info()), and their own is right, too.
    ///
    /// ```
    /// assert_eq!(ctnetlink::stats::Counted::Expectations.reply_types(), [0x103, 0x203]);
    /// ```
    pub const fn reply_types(self) -> [u16; 2] {
        match self {
            Counted::Entries => [message_type(IPCTNL_MSG_CT_GET_STATS_CPU); 2],
            Counted::Expectations => {
                [message_type(IPCTNL_MSG_EXP_GET_STATS_CPU), expect_type(IPCTNL_MSG_EXP_GET_STATS_CPU)]
            }
        }
    }
}

/// Appends the request for what each processor counted: an IPCTNL_MSG_CT_GET_STATS_CPU or IPCTNL_MSG_EXP_GET_STATS_CPU. As a dump:
/// otherwise it is acknowledged, and nothing sent (6.18).
///
/// ```
/// use ctnetlink::stats::{put_cpu_request, Counted};
/// let mut buffer = ctnetlink::buffer::Buffer::new();
/// put_cpu_request(&mut buffer, 1, Counted::Entries);
/// assert_eq!(buffer.len(), 20);
/// ```
pub fn put_cpu_request(buffer: &mut Buffer, seq: u32, counted: Counted) {
    let kind = match counted {
        Counted::Entries => message_type(IPCTNL_MSG_CT_GET_STATS_CPU),
        Counted::Expectations => expect_type(IPCTNL_MSG_EXP_GET_STATS_CPU),
    };
    let start = begin_of(buffer, kind, NLM_F_DUMP, seq, Family::UNSPEC, 0);
    end(buffer, start);
}

/// How many counters a [`CpuStats`] has room for.
pub const MOST_COUNTERS: usize = 32;

/// What one processor counted in this network namespace, since that was made: each counter by its number, [`Stat`] or [`ExpectStat`].
///
/// They have 32 bits and wrap. Which ones the kernel sends depends on its version; one that it does not send is absent, and not 0.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct CpuStats {
    /// The number of the processor.
    pub cpu: u32,
    /// Bit n: the kernel sent the counter of number n.
    pub has: u32,
    /// The counters; zero where the kernel sent none.
    pub values: [u32; MOST_COUNTERS],
}

impl CpuStats {
    /// A counter. `None`: this kernel does not send it.
    ///
    /// ```
    /// use ctnetlink::stats::{CpuStats, Stat};
    /// let mut stats = CpuStats { has: 1 << Stat::DROP.0, ..CpuStats::default() };
    /// stats.values[Stat::DROP.0 as usize] = 7;
    /// assert_eq!((stats.get(Stat::DROP), stats.get(Stat::INSERT)), (Some(7), None));
    /// ```
    pub fn get(&self, counter: impl Into<u8>) -> Option<u32> {
        let number = usize::from(counter.into());
        let is_there = number < MOST_COUNTERS && self.has >> number & 1 == 1;
        is_there.then(|| self.values[number])
    }

    /// The counters that the kernel sent, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u8, u32)> + '_ {
        (0..MOST_COUNTERS as u8).filter_map(|number| Some((number, self.get(number)?)))
    }
}

impl fmt::Debug for CpuStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpu {} ", self.cpu)?;
        f.debug_map().entries(self.iter()).finish()
    }
}

/// What one processor counted, of the payload of a reply. Numbers beyond [`MOST_COUNTERS`] are left out.
///
/// ```
/// use ctnetlink::stats::{decode_cpu, Stat};
/// # let attr = |kind: u16, value: u32| [&8u16.to_ne_bytes()[..], &kind.to_ne_bytes(), &value.to_be_bytes()].concat();
/// # let payload = [vec![0, 0, 0, 3], attr(8, 4711)].concat();
/// let stats = decode_cpu(&payload)?;
/// assert_eq!((stats.cpu, stats.get(Stat::INSERT)), (3, Some(4711)));
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
pub fn decode_cpu(payload: &[u8]) -> Result<CpuStats, WireError> {
    let Some((header, attributes)) = payload.split_first_chunk::<NFGENMSG_LEN>() else {
        return Err(WireError::BadMessage { length: payload.len(), available: payload.len() });
    };
    // res_id
    let cpu = u32::from(u16::from_be_bytes([header[2], header[3]]));
    let mut stats = CpuStats { cpu, ..CpuStats::default() };
    for attr in Attrs::new(attributes, "the statistics") {
        let attr = attr?;
        if let Some(value) = stats.values.get_mut(usize::from(attr.kind)) {
            *value = attr.be32("a counter of the statistics")?;
            stats.has |= 1 << attr.kind;
        }
    }
    Ok(stats)
}

macro_rules! counters {
    ($(#[$meta:meta])* $kind:ident { $($(#[doc = $doc:expr])* $number:ident = $value:literal, $name:literal;)* }) => {
        $(#[$meta])*
        #[repr(transparent)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $kind(pub u8);

        impl $kind {
            $($(#[doc = $doc])* pub const $number: $kind = $kind($value);)*

            /// All that have a name.
            pub const ALL: &[$kind] = &[$($kind::$number),*];

            /// Its name, as `conntrack -S` writes it; of those that this program leaves out, that of the kernel's header.
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $($kind::$number => Some($name),)*
                    _ => None,
                }
            }
        }

        impl From<$kind> for u8 {
            fn from(counter: $kind) -> u8 {
                counter.0
            }
        }
    };
}

counters! {
    /// A counter of a processor (enum ctattr_stats_cpu).
    ///
    /// The documentation of each says since when kernels send none, or always 0 (nf_conntrack_netlink.c, ctnetlink_ct_stat_cpu_fill_info()).
    Stat {
        /// Look-ups in the table. None since Linux 4.9.
        SEARCHED = 1, "searched";
        /// Packets whose entry was found at the second look, since another packet of the flow had come between. Before Linux 5.10: all
        /// look-ups that found an entry.
        FOUND = 2, "found";
        /// Entries that were made. None since Linux 4.9.
        NEW = 3, "new";
        /// Packets that could not be tracked.
        INVALID = 4, "invalid";
        /// Packets that were tracked already. None since Linux 5.10.
        IGNORE = 5, "ignore";
        /// Entries that were deleted. None since Linux 4.9.
        DELETE = 6, "delete";
        /// Entries that waited for their deletion. None since Linux 4.9.
        DELETE_LIST = 7, "delete_list";
        /// Entries that were put into the table. Those of packets are counted since Linux 5.19 in no kernel (always 0), those made by
        /// programs are.
        INSERT = 8, "insert";
        /// Entries that could not be put into the table: another one with a tuple of theirs was there.
        INSERT_FAILED = 9, "insert_failed";
        /// Packets that were dropped: no memory for an entry, no room in the table, or it clashed.
        DROP = 10, "drop";
        /// Entries that were dropped so that there was room for others.
        EARLY_DROP = 11, "early_drop";
        /// ICMP errors that belong to nothing, and packets that a protocol's tracker refused.
        ERROR = 12, "error";
        /// Look-ups that began anew, since the table was resized or the entry moved meanwhile.
        SEARCH_RESTART = 13, "search_restart";
        /// Clashes that were resolved: two entries for one flow, of which one stayed. Since Linux 5.10.
        CLASH_RESOLVE = 14, "clash_resolve";
        /// Entries that were not made since the chain of their bucket was too long. Since Linux 5.15.
        CHAIN_TOOLONG = 15, "chaintoolong";
    }
}

counters! {
    /// A counter of a processor for expectations (enum ctattr_expect_stats).
    ExpectStat {
        /// Expectations that a packet fulfilled.
        NEW = 1, "expect_new";
        /// Expectations that were made.
        CREATE = 2, "expect_create";
        /// Expectations that were deleted.
        DELETE = 3, "expect_delete";
    }
}
