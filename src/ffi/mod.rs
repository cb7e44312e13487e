//! The C layer: pointers in, negative errno out. Nothing here decides anything about conntrack.
//!
//! `abi` what C sees; `boundary` the one way in and out; `call` what a handle adds to it; `extend` structs that may grow;
//! `convert` C filters to safe ones; then one file per chapter of the header. The doc comments of the exported items are the C
//! manual.
//!
//! Rust programs want [`crate::Conntrack`] instead.
#![allow(unsafe_code, non_camel_case_types)]
#![allow(rustdoc::broken_intra_doc_links, reason = "the comments are the C manual: f[0] is C")]
#![allow(
    clippy::missing_safety_doc,
    reason = "the comments of exported functions are the C manual: they say what may be passed"
)]

pub mod abi;

mod boundary;
mod call;
mod convert;
mod extend;

// In the order of the header's chapters.

pub mod handle;

pub mod list;

pub mod dump;

pub mod delete;

pub mod flush;

pub mod presets;

pub mod text;

pub mod version;

#[cfg(test)]
mod tests;

pub use abi::*;
pub use handle::ct_handle;
