//! The C boundary of libctrack: pointers in, negative errno out. Nothing here decides anything about conntrack.
//!
//! `abi` what C sees; `boundary` the one way in and out, `cancel` and `process` what it knows of threads and children; `call` what a handle
//! or a watch adds to it; `extend` structs that may grow, `result` one that is filled; `convert` C filters to safe ones; then one file per chapter of
//! the header. The doc comments of the exported items are the C manual.
//!
//! Rust programs want the crate `ctrack` instead. This one alone exports `ct_*`.
#![allow(unsafe_code, non_camel_case_types)]
#![allow(rustdoc::broken_intra_doc_links, reason = "the comments are the C manual: f[0] is C")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the comments of exported functions are the C manual: they say what may be passed"
)]

#[macro_use]
extern crate ctnetlink;

pub mod abi;

mod boundary;
mod call;
mod cancel;
mod convert;
mod extend;
mod process;

// The chapters of the header, in their order (build.rs).

pub mod version;

pub mod open;

pub mod entry;

pub mod filter;

pub mod result;

pub mod read;

pub mod dump;

pub mod delete;

pub mod change;

pub mod flush;

pub mod presets;

pub mod table;

pub mod expect;

pub mod text;

pub mod event;

pub mod watch;

/// What tests and fuzz targets take beside the C functions. No part of the interface.
#[doc(hidden)]
pub mod seams;

pub use abi::*;

#[cfg(test)]
mod tests;
