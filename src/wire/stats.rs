//! The count of entries: one request and one small reply, so the general-purpose codec does it.

use super::attr::Attrs;
use super::consts::*;
use super::WireError;
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_netfilter::conntrack::ConntrackMessage;
use netlink_packet_netfilter::{NetfilterHeader, NetfilterMessage, NetfilterProtoFamily};

/// Appends an IPCTNL_MSG_CT_GET_STATS request.
pub(crate) fn put_count_request(buffer: &mut Vec<u8>, seq: u32) {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST;
    header.sequence_number = seq;
    let body = NetfilterMessage::new(
        NetfilterHeader::new(NetfilterProtoFamily::Unspec, 0, 0),
        ConntrackMessage::Other { message_type: IPCTNL_MSG_CT_GET_STATS as u8, attributes: Vec::new() },
    );
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(body));
    message.finalize();
    let start = buffer.len();
    buffer.resize(start + message.buffer_len(), 0);
    message.serialize(&mut buffer[start..]);
}

/// The number of entries in the payload of the reply.
pub(crate) fn decode_count(payload: &[u8]) -> Result<u64, WireError> {
    for attr in Attrs::new(payload.get(NFGENMSG_LEN..).unwrap_or(&[]), "the statistics") {
        let attr = attr?;
        if attr.kind == CTA_STATS_GLOBAL_ENTRIES {
            return Ok(u64::from(attr.be32("CTA_STATS_GLOBAL_ENTRIES")?));
        }
    }
    Err(WireError::Missing { attribute: "CTA_STATS_GLOBAL_ENTRIES" })
}
