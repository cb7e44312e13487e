//! The pure codec: bytes <-> types. No sockets, no state but the layouts that a [`Decoder`] remembers, no panic on any input.
//!
//! `consts` kernel numbers; `attr` the attribute walk; `buffer` where requests are put together; `message` netlink headers,
//! acks and errors; `decode` an entry from the kernel; `layout` the same for messages of a layout that came before; `encode`
//! requests to it; `kernel_filter` dumps and flushes that the kernel filters; `template` the usual shapes; `stats` the count
//! request.
#![forbid(unsafe_code)]

pub(crate) mod attr;
pub(crate) mod buffer;
pub(crate) mod consts;
mod decode;
pub(crate) mod encode;
pub(crate) mod kernel_filter;
mod layout;
pub(crate) mod message;
pub(crate) mod stats;
mod template;

pub use decode::{decode_details, decode_entry, Details, SeqAdj, Synproxy};
pub use layout::Decoder;

/// Why bytes from the kernel cannot be understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// A netlink message is shorter than its header, or claims more bytes than came.
    #[error("malformed netlink message: length {length} of {available} bytes")]
    BadMessage {
        /// What its header says.
        length: usize,
        /// What there is.
        available: usize,
    },
    /// An attribute is shorter than its header, or claims more bytes than there are.
    #[error("malformed attribute in {place}")]
    BadAttribute {
        /// What it is part of.
        place: &'static str,
    },
    /// A known attribute has a length that it cannot have.
    #[error("{attribute} has {length} bytes")]
    BadLength {
        /// Its name in linux/netfilter/nfnetlink_conntrack.h.
        attribute: &'static str,
        /// The length of its value.
        length: usize,
    },
    /// An attribute without which the message makes no sense is missing.
    #[error("{attribute} is missing")]
    Missing {
        /// Its name.
        attribute: &'static str,
    },
}
