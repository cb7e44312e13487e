//! An entry or an event as text: the line of `conntrack -L` or `conntrack -E`, byte for byte, or a JSON object.
//!
//! Pure but for the clock (the age of an entry with a start time) and the local time zone (its start, when asked for).

mod event;
mod expect;
mod json;
mod line;
mod names;
mod options;
mod out;
mod stats;

use ctnetlink::types::Entry;
use out::Out;

pub use event::{EventParts, EventWhat};
pub use expect::{expectation_line, with_expectation_line};
pub use stats::{stats_line, with_stats_line};
pub use options::*;

/// The entry as `conntrack -L` prints it, with what the options add.
///
/// Two things the program knows and an [`Entry`] does not: the security context, and label names of its own.
///
/// ```
/// use ctrack::{line, Entry, Format, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// assert_eq!(line(&key, Format::empty()), "udp      17 src=10.0.0.7 dst=10.0.0.8 sport=4000 dport=53");
/// assert!(line(&key, Format::EXTENDED | Format::ID).starts_with("ipv4     2 udp      17 "));
/// ```
pub fn line(entry: &Entry, options: Format) -> String {
    with_line(entry, options, owned)
}

/// The entry as a JSON object.
///
/// ```
/// use ctrack::{json, Entry, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// assert!(json(&key.in_zone(7)).contains("\"zone\":7"));
/// ```
pub fn json(entry: &Entry) -> String {
    with_json(entry, owned)
}

pub(crate) fn owned(text: Option<&[u8]>) -> String {
    String::from_utf8_lossy(text.unwrap_or_default()).into_owned()
}

/// Calls `then` with the line. Every line fits: `None` never happens.
pub fn with_line<T>(entry: &Entry, options: Format, then: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let mut buffer = [0; line::MOST];
    let mut out = Out::new(&mut buffer);
    line::write(&mut out, entry, options);
    then(out.finish())
}

/// The same with the JSON object.
pub fn with_json<T>(entry: &Entry, then: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let mut buffer = [0; json::MOST];
    let mut out = Out::new(&mut buffer);
    json::write(&mut out, entry);
    then(out.finish())
}

/// The same with the line of an event.
pub fn with_event_line<T>(event: &EventParts, options: Format, then: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let mut buffer = [0; event::MOST_LINE];
    let mut out = Out::new(&mut buffer);
    event::write_line(&mut out, event, options);
    then(out.finish())
}

/// The same with the JSON object of an event.
pub fn with_event_json<T>(event: &EventParts, then: impl FnOnce(Option<&[u8]>) -> T) -> T {
    let mut buffer = [0; event::MOST_JSON];
    let mut out = Out::new(&mut buffer);
    event::write_json(&mut out, event);
    then(out.finish())
}

#[cfg(test)]
mod tests;
