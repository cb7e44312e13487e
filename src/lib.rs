//! Reads and cleans up the Linux kernel's connection-tracking table over ctnetlink.
//!
//! This is the library behind `libctrack.so.0` and `<ctrack.h>`; Rust programs use it as it stands. Start at [`Conntrack`].
//!
//! ```no_run
//! use ctrack::{line, Conntrack, Filter, CT_FORMAT_LINE};
//! let mut conntrack = Conntrack::open()?;
//! for entry in conntrack.list(&[Filter { zone: Some(7), ..Filter::default() }])? {
//!     println!("{}", line(&entry, CT_FORMAT_LINE));
//! }
//! # Ok::<(), ctrack::Error>(())
//! ```
//!
//! Bytes flow one way: `transport` (socket, dumps, batches) -> [`wire`] (the codec) -> `ops` (one verb per file) ->
//! `conntrack` (this API) -> `ffi` (the C boundary). `types` and `filter` are plain data, `selection` is the matcher. What may
//! import what: docs/design.md.
#![cfg_attr(docsrs, feature(doc_cfg))]

#[macro_use]
mod mutants;

mod conntrack;
mod error;
pub mod ffi;
mod filter;
// What the fuzz targets do: no part of the library, nor of its header.
/// cbindgen:ignore
#[cfg(any(test, fuzzing))]
#[path = "../fuzz/bodies/mod.rs"]
pub mod fuzz;
mod index;
mod matcher;
mod ops;
mod plan;
pub mod presets;
mod selection;
mod sort;
mod sys;
mod text;
mod transport;
mod types;
pub mod wire;

pub use conntrack::{BatchOutcome, Conntrack, Stream};
pub use error::{errno_text, Error, Failure, Hider, NetnsName};
pub use filter::{Filter, Prefix};
pub use ops::Outcome;
pub use plan::{Caps, Explanation};
pub use selection::Selection;
pub use text::{json, line, CT_FORMAT_EXTENDED, CT_FORMAT_ID, CT_FORMAT_JSON, CT_FORMAT_LINE, CT_FORMAT_TIMESTAMP};
pub use transport::known::Known;
pub use transport::socket::{NetlinkSocket, OpenOptions};
pub use transport::{Received, Transport};
pub use types::*;
pub use wire::detail::KernelDetail;
