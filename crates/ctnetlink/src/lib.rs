#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! [`types`] plain data; [`consts`] kernel numbers; [`attr`] the attribute walk; [`buffer`] where requests are put together; [`message`]
//! netlink headers, acks and errors; [`detail`] the kernel's own words; [`decode`] an entry from the kernel; [`layout`] the same for
//! messages of a layout that came before; [`encode`] requests to it; [`kernel_filter`] dumps and flushes that the kernel filters;
//! [`event`] what became of an entry; [`expect`] expectations; `template` the usual shapes; [`stats`] the count request; [`error`] what can be wrong with bytes.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(any(test, ctrack_mutants))]
extern crate std;

#[macro_use]
#[doc(hidden)]
pub mod mutants;

pub mod attr;
pub mod buffer;
pub mod consts;
pub mod decode;
pub mod detail;
pub mod encode;
mod entry;
pub mod error;
pub mod event;
pub mod expect;
pub mod fields;
mod flags;
pub mod kernel_filter;
pub mod layout;
pub mod message;
mod names;
pub mod stats;
mod template;
mod tuple;
pub mod types;

pub use decode::{decode_details, decode_entry, Details, SeqAdj, Synproxy};
pub use detail::KernelDetail;
pub use error::WireError;
pub use layout::Decoder;
pub use types::{Counters, Entry, Family, Has, Masked, Proto, Status, TcpState, TcpStates, Tuple};
