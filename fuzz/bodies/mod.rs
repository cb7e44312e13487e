//! What the fuzz targets do with an input, and the same as tests on random inputs.
//!
//! Part of the library in its own tests, and for cargo-fuzz (`--cfg fuzzing`), since planner and encoder are not reachable from
//! outside. No other build has any of it. A body panics if something is wrong, and otherwise tells what its input led to, so that
//! a test sees whether its inputs lead anywhere.
//!
//! `input` bytes as structs; `judge` and `naive` what the manual says of filters and tables, without the library; `edge` memory that
//! ends where it is said to end; the others are one target each.

pub mod cboundary;
pub mod conversation;
#[allow(unsafe_code)]
pub(crate) mod edge;
pub mod encode;
pub mod format;
mod input;
mod naive;
pub mod planner;

#[cfg(test)]
mod tests;

/// What an input led to.
pub type Reached = Vec<&'static str>;

/// The name under which the shared files below know the library.
mod ctrack {
    pub use crate::*;
}

#[allow(dead_code, reason = "shared with tests/real_flows.rs")]
#[path = "../../tests/real_flows/json.rs"]
mod json;
#[allow(dead_code, missing_docs, reason = "shared with tests/scripted.rs")]
#[path = "../../tests/scripted/judge.rs"]
pub(crate) mod judge;
#[allow(dead_code, missing_docs, reason = "shared with tests/scripted.rs")]
#[path = "../../tests/scripted/kernel.rs"]
pub(crate) mod kernel;
#[cfg(test)]
#[path = "../../tests/common/random.rs"]
pub(crate) mod random;
#[allow(dead_code, missing_docs, reason = "shared with tests/scripted.rs")]
#[path = "../../tests/scripted/transport.rs"]
pub(crate) mod transport;
