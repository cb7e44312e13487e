#![doc = include_str!("../README.md")]
//!
//! # Modules
//!
//! Start at [`Conntrack`].
//!
//! Bytes flow one way: `socket` (dumps, batches) -> the crate [`ctnetlink`] (the codec) -> `ops` (one verb per file) -> `conntrack`
//! (this API) -> the C library. `filter` is plain data, `selection` is the matcher. What may import what: docs/design.md.
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
mod setting;
mod socket;
mod sort;
mod sys;
#[cfg(test)]
mod testing;
mod text;
mod watch;

/// Its examples compile.
#[cfg(doctest)]
#[doc = include_str!("../MIGRATING.md")]
mod migrating {}

pub use conntrack::{BatchOutcome, Conntrack, Deleted, Stream, ZeroOutcome, Zeroed};
pub use ctnetlink::event::EventKind;
pub use ctnetlink::expect::{ExpectFlags, ExpectHas, Expectation};
pub use ctnetlink::stats::{Counted, CpuStats, ExpectStat, Stat};
pub use ctnetlink::types::*;
pub use ctnetlink::KernelDetail;
pub use error::{errno_text, Call, Errno, Error, Failure, Hider, NetnsName};
pub use filter::{Filter, Prefix, PrefixError};
pub use ops::Outcome;
pub use selection::plan::{Caps, Explanation};
pub use selection::Selection;
pub use setting::{Setting, TableInfo};
pub use socket::netlink::OpenOptions;
pub use text::{expectation_line, json, line, stats_line, Format};
pub use watch::text::{event_json, event_line};
pub use watch::{Change, Event, EventFlags, Iter, Remote, Watch, WatchInfo, WatchOptions};
