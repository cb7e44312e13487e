//! What there is to know of each field of an entry: see [`FIELDS`].

pub use crate::entry::{Field, Within, FIELDS};
