//! Netlink messages: the walk over a datagram, and acknowledgements with their extended-ack attributes.

use super::attr::{align, Attrs};
use super::consts::*;
use super::detail::{boxed_text, KernelDetail};
use super::WireError;
use crate::types::until_nul;

/// The header of a netlink message (struct nlmsghdr), without its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// nlmsg_type.
    pub kind: u16,
    /// nlmsg_flags: NLM_F_.
    pub flags: u16,
    /// nlmsg_seq: that of the request; 0 in events.
    pub seq: u32,
    /// nlmsg_pid: the port of the socket that asked.
    pub port: u32,
}

/// A netlink message in a datagram.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// Its header.
    pub header: Header,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// The message at the beginning of `bytes`, and how many bytes to go on to the next one.
///
/// ```
/// use ctnetlink::message::first_message;
/// # let mut datagram = ctnetlink::buffer::Buffer::new();
/// # (1..=2).for_each(|seq| ctnetlink::stats::put_count_request(&mut datagram, seq));
/// let mut rest = &datagram[..];
/// let mut seen = Vec::new();
/// while !rest.is_empty() {
///     let (message, next) = first_message(rest)?;
///     seen.push(message.header.seq);
///     rest = &rest[next..];
/// }
/// assert_eq!(seen, [1, 2]);
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
#[inline(always)]
pub fn first_message(bytes: &[u8]) -> Result<(Message<'_>, usize), WireError> {
    let Some((header, _)) = bytes.split_first_chunk::<NLMSG_HEADER_LEN>() else {
        return Err(WireError::BadMessage { length: bytes.len(), available: bytes.len() });
    };
    let word = |at: usize| u32::from_ne_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    let half = |at: usize| u16::from_ne_bytes([header[at], header[at + 1]]);
    let length = usize::try_from(word(0)).unwrap_or(usize::MAX);
    let Some(payload) = bytes.get(NLMSG_HEADER_LEN..length) else {
        return Err(WireError::BadMessage { length, available: bytes.len() });
    };
    let header = Header { kind: half(4), flags: half(6), seq: word(8), port: word(12) };
    Ok((Message { header, payload }, align(length).min(bytes.len())))
}

/// What an NLMSG_ERROR or NLMSG_DONE says: 0 for success or a positive errno, and the kernel's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// 0, or a positive errno.
    pub errno: i32,
    /// The kernel's words.
    pub detail: KernelDetail,
}

/// Decodes an NLMSG_ERROR: int error, then the header of the request, then the request itself unless NLM_F_CAPPED, then
/// attributes if NLM_F_ACK_TLVS. `request` is the message that was sent, to name the attribute at fault.
///
/// ```
/// use ctnetlink::message::{decode_ack, first_message};
/// # let request = [0u8; 20];
/// # let fields: [&[u8]; 6] = [&36u32.to_ne_bytes(), &2u16.to_ne_bytes(), &[0; 2], &[0; 8], &(-2i32).to_ne_bytes(), &request[..16]];
/// # let reply = fields.concat();
/// let (message, _) = first_message(&reply)?;
/// let ack = decode_ack(&message, &request)?;
/// assert_eq!(ack.errno, 2, "{}", ack.detail);
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
pub fn decode_ack(message: &Message<'_>, request: &[u8]) -> Result<Ack, WireError> {
    let errno = error_code(message.payload)?;
    let mut detail = KernelDetail::default();
    if message.header.flags & NLM_F_ACK_TLVS != 0 {
        let mut skip = 4 + NLMSG_HEADER_LEN;
        if message.header.flags & NLM_F_CAPPED == 0 {
            let inner = message.payload.get(4..8).and_then(|bytes| bytes.try_into().ok()).map(u32::from_ne_bytes);
            skip = 4 + align(usize::try_from(inner.unwrap_or(0)).unwrap_or(usize::MAX / 2)).max(NLMSG_HEADER_LEN);
        }
        detail = decode_detail(message.payload.get(skip..).unwrap_or(&[]), request);
    }
    Ok(Ack { errno, detail })
}

/// Decodes the payload of an NLMSG_DONE: int error. Kernels of the last century send none.
///
/// ```
/// use ctnetlink::message::{decode_done, first_message};
/// # let fields: [&[u8]; 5] = [&20u32.to_ne_bytes(), &3u16.to_ne_bytes(), &[0; 2], &[0; 8], &(-4i32).to_ne_bytes()];
/// # let reply = fields.concat();
/// let (message, _) = first_message(&reply)?;
/// // EINTR: the dump was interrupted, and is to be repeated.
/// assert_eq!(decode_done(&message)?.errno, 4);
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
pub fn decode_done(message: &Message<'_>) -> Result<Ack, WireError> {
    let errno = if message.payload.is_empty() { 0 } else { error_code(message.payload)? };
    Ok(Ack { errno, detail: KernelDetail::default() })
}

fn error_code(payload: &[u8]) -> Result<i32, WireError> {
    let Some((code, _)) = payload.split_first_chunk::<4>() else {
        return Err(WireError::BadLength { attribute: "the error code of a netlink reply", length: payload.len() });
    };
    Ok(i32::from_ne_bytes(*code).checked_neg().unwrap_or(i32::MAX))
}

/// The kernel's words are worth having, but never worth failing for: what cannot be read is left out.
fn decode_detail(attributes: &[u8], request: &[u8]) -> KernelDetail {
    let mut detail = KernelDetail::default();
    for attr in Attrs::new(attributes, "the extended ack").flatten() {
        match attr.kind {
            NLMSGERR_ATTR_MSG => detail.message = boxed_text(until_nul(attr.value)),
            NLMSGERR_ATTR_OFFS => detail.offset = attr.array("").ok().map(u32::from_ne_bytes),
            _ => {}
        }
    }
    detail.attribute = detail.offset.and_then(|offset| attribute_at(request, offset));
    detail
}

/// The name of the top-level attribute of `request` in which `offset` (from the netlink header on) lies.
fn attribute_at(request: &[u8], offset: u32) -> Option<&'static str> {
    let offset = usize::try_from(offset).ok()?;
    let mut at = NLMSG_HEADER_LEN + NFGENMSG_LEN;
    for attr in Attrs::new(request.get(at..)?, "the request").flatten() {
        let end = at + align(4 + attr.value.len());
        if (at..end).contains(&offset) {
            return Some(attribute_name(attr.kind));
        }
        at = end;
    }
    None
}
