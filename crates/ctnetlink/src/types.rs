//! All plain data: entries and what they are made of.

pub use crate::entry::Entry;
pub use crate::flags::{Has, Status, TcpStates};
pub use crate::names::{Family, Proto, TcpState, SCTP_STATE_MAX};
pub use crate::tuple::{address_bytes, until_nul, Counters, Masked, Tuple};
