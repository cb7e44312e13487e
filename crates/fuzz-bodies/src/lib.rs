//! What the fuzz targets do with an input, and the same as tests on random inputs.
//!
//! A body panics if something is wrong, and otherwise tells what its input led to, so that
//! a test sees whether its inputs lead anywhere.
//!
//! `input` bytes as structs; `judge` and `naive` what the manual says of filters and tables, without the library; `edge` memory that
//! ends where it is said to end; the others are one target each.

pub mod cboundary;
pub mod conversation;
#[allow(unsafe_code, dead_code, reason = "shared with the tests of the boundary")]
#[path = "../../../tests/support/edge.rs"]
pub(crate) mod edge;
pub mod encode;
pub mod events;
pub mod format;
mod input;
mod naive;
pub mod planner;

#[cfg(test)]
mod tests;

/// What an input led to.
pub type Reached = Vec<&'static str>;

#[allow(dead_code, reason = "shared with tests/real_flows.rs")]
#[path = "../../ctrack/tests/support/json.rs"]
mod json;
#[allow(dead_code, missing_docs, reason = "shared with the scripted tests")]
#[path = "../../ctrack/tests/support/judge.rs"]
pub(crate) mod judge;
#[allow(dead_code, missing_docs, reason = "shared with the scripted tests")]
#[path = "../../ctrack/tests/support/kernel.rs"]
pub(crate) mod kernel;
#[cfg(test)]
#[path = "../../ctnetlink/tests/support/random.rs"]
pub(crate) mod random;
#[allow(missing_docs, reason = "shared with the scripted tests")]
#[path = "../../ctrack/tests/support/statuses.rs"]
pub(crate) mod statuses;
#[allow(dead_code, missing_docs, reason = "shared with the scripted tests")]
#[path = "../../ctrack/tests/support/transport.rs"]
pub(crate) mod transport;
#[allow(dead_code, missing_docs, reason = "shared with the tests of the codec")]
#[path = "../../ctnetlink/tests/support/wire.rs"]
pub(crate) mod wire;
