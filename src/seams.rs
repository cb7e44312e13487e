//! What the fuzz targets take of the boundary beside the C functions.

use super::open::ct_handle;
use super::{convert, filter, result};
use ctrack::{Conntrack, Error};

/// Size of `ct_filter` in the first release.
pub const FILTER_SIZE_V0: usize = filter::FILTER_SIZE_V0;
/// Size of `ct_result` in the first release.
pub const RESULT_SIZE_V0: usize = result::RESULT_SIZE_V0;

/// A handle over any transport.
pub fn handle_over(conntrack: Conntrack) -> Result<Box<ct_handle>, Error> {
    ct_handle::new(conntrack)
}

/// The fields of a filter: name, offset, size, and the bit by which each counts; empty: it always does.
pub const FILTER_FIELDS: &[(&str, usize, usize, &str)] = convert::NAMES;
