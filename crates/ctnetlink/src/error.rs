//! What can be wrong with bytes from the kernel.

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
