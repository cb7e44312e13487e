//! The count of entries: one request and one small reply.

use super::attr::Attrs;
use super::buffer::Buffer;
use super::consts::*;
use super::encode::{begin, end};
use super::WireError;
use crate::types::Family;

/// Appends an IPCTNL_MSG_CT_GET_STATS request.
///
/// ```
/// use ctnetlink::{buffer::Buffer, stats::put_count_request};
/// let mut buffer = Buffer::new();
/// put_count_request(&mut buffer, 1);
/// assert_eq!(buffer.len(), 20);
/// ```
pub fn put_count_request(buffer: &mut Buffer, seq: u32) {
    let start = begin(buffer, IPCTNL_MSG_CT_GET_STATS, 0, seq, Family::UNSPEC, 0);
    end(buffer, start);
}

/// The number of entries in the payload of the reply.
///
/// ```
/// # let payload = [&[0, 0, 0, 0][..], &8u16.to_ne_bytes(), &1u16.to_ne_bytes(), &4711u32.to_be_bytes()].concat();
/// assert_eq!(ctnetlink::stats::decode_count(&payload)?, 4711);
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
pub fn decode_count(payload: &[u8]) -> Result<u64, WireError> {
    for attr in Attrs::new(payload.get(NFGENMSG_LEN..).unwrap_or(&[]), "the statistics") {
        let attr = attr?;
        if attr.kind == CTA_STATS_GLOBAL_ENTRIES {
            return Ok(u64::from(attr.be32("CTA_STATS_GLOBAL_ENTRIES")?));
        }
    }
    Err(WireError::Missing { attribute: "CTA_STATS_GLOBAL_ENTRIES" })
}
