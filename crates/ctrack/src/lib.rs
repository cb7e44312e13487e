//! Reads and cleans up the Linux kernel's connection-tracking table over ctnetlink.
//!
//! This is the library behind `libctrack.so.0` and `<ctrack.h>`; Rust programs use it as it stands. Start at [`Conntrack`].
//!
//! ```no_run
//! use ctrack::{line, Conntrack, Filter, Format};
//! let mut conntrack = Conntrack::open()?;
//! for entry in conntrack.list(&[Filter { zone: Some(7), ..Filter::default() }])? {
//!     println!("{}", line(&entry, Format::empty()));
//! }
//! # Ok::<(), ctrack::Error>(())
//! ```
//!
//! Bytes flow one way: `transport` (socket, dumps, batches) -> [`wire`] (the codec) -> `ops` (one verb per file) ->
//! `conntrack` (this API) -> `ffi` (the C boundary). `types` and `filter` are plain data, `selection` is the matcher. What may
//! import what: docs/design.md.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
extern crate ctnetlink;
#[cfg(test)]
extern crate self as ctrack;

mod conntrack;
mod error;
mod filter;
mod ops;
pub mod presets;
#[doc(hidden)]
pub mod seams;
mod selection;
mod socket;
mod sort;
mod sys;
#[cfg(test)]
mod testing;
mod text;

pub use conntrack::{BatchOutcome, Conntrack, Stream};
pub use ctnetlink::types::*;
pub use ctnetlink::KernelDetail;
pub use error::{errno_text, Call, Errno, Error, Failure, Hider, NetnsName};
pub use filter::{Filter, Prefix};
pub use ops::Outcome;
pub use selection::plan::{Caps, Explanation};
pub use selection::Selection;
pub use socket::known::Known;
pub use socket::netlink::{NetlinkSocket, OpenOptions};
pub use socket::{Received, Transport};
pub use text::{json, line, Format};
