//! An entry as text: the line of `conntrack -L`, byte for byte, or a JSON object.
//!
//! Pure but for the clock (the age of an entry with a start time) and the local time zone (its start, when asked for).

mod json;
mod line;
mod names;
mod options;
mod out;

use ctnetlink::types::Entry;
use out::Out;

pub use options::*;

/// The entry as `conntrack -L` prints it. `options`: `Format::EXTENDED`, `Format::ID`, `Format::TIMESTAMP`.
///
/// Two things the program knows and an [`Entry`] does not: the security context, and label names of its own.
pub fn line(entry: &Entry, options: Format) -> String {
    with_line(entry, options, owned)
}

/// The entry as a JSON object.
pub fn json(entry: &Entry) -> String {
    with_json(entry, owned)
}

fn owned(text: Option<&[u8]>) -> String {
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

#[cfg(test)]
mod tests;
