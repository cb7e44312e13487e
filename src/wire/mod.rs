//! The pure codec: bytes <-> types. No sockets, no state but the layouts that a [`Decoder`] remembers, no panic on any input.
//!
//! `consts` kernel numbers; `attr` the attribute walk; `buffer` where requests are put together; `message` netlink headers,
//! acks and errors; `detail` the kernel's own words; `decode` an entry from the kernel; `layout` the same for messages of a
//! layout that came before; `encode` requests to it; `kernel_filter` dumps and flushes that the kernel filters; `template` the
//! usual shapes; `stats` the count request; `error` what can be wrong with bytes.
#![forbid(unsafe_code)]

pub(crate) mod attr;
pub(crate) mod buffer;
pub(crate) mod consts;
mod decode;
pub(crate) mod detail;
pub(crate) mod encode;
mod error;
pub(crate) mod kernel_filter;
mod layout;
pub(crate) mod message;
pub(crate) mod stats;
mod template;

pub use decode::{decode_details, decode_entry, Details, SeqAdj, Synproxy};
pub use error::WireError;
pub use layout::Decoder;
