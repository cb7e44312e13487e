//! Events: a message for each change of the table, to everybody who joined its group.
//!
//! ```text
//! NEW      IPCTNL_MSG_CT_NEW with NLM_F_CREATE | NLM_F_EXCL    all but counters
//! UPDATE   IPCTNL_MSG_CT_NEW                                   the same; labels and helper only when they changed
//! DESTROY  IPCTNL_MSG_CT_DELETE                                counters and times too, but no labels, no helper, no whole CTA_PROTOINFO
//! ```
//!
//! That is what kernels from 5.10 to 7.3 send (ctnetlink_conntrack_event()). A mark or a zone of 0 is left out, so that one that is missing
//! is 0, while labels that are missing say nothing.

use super::consts::*;
use super::layout::Decoder;
use super::message::Message;
use super::WireError;
use crate::types::*;

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// It was made. This may come after the [`EventKind::Destroy`] of the same entry: the kernel sends both from where they happen.
    New,
    /// Its status, protocol state, mark, labels, helper or the like changed. Not for timeouts, counters or TCP flags.
    Update,
    /// It is about to leave the table, or has left it.
    Destroy,
}

/// An event without its entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// The netlink port of who asked for it; 0: traffic, or the time ran out.
    pub port: u32,
    /// When it happened, in nanoseconds since 1970, by kernels from 6.14 on whose sysctl nf_conntrack_timestamp is set; otherwise 0.
    pub time_ns: u64,
}

/// Decodes an event, and its entry into `entry`. `None`: the message is none of an entry; `entry` is as it was.
///
/// ```
/// use ctnetlink::event::{decode_event, EventKind};
/// use ctnetlink::{message::first_message, Decoder, Entry};
/// # use ctnetlink::{buffer::Buffer, encode::put_create, Proto};
/// # let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4001, [10, 0, 0, 8].into(), 53).expect("one family");
/// # let mut datagram = Buffer::new();
/// # put_create(&mut datagram, 0, &key);
/// let (mut decoder, mut entry) = (Decoder::new(), Entry::EMPTY);
/// let (message, _) = first_message(&datagram)?;
/// if let Some(event) = decode_event(&message, &mut decoder, &mut entry)? {
///     assert_eq!((event.kind, entry.orig.dport), (EventKind::New, 53));
/// }
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
#[inline]
pub fn decode_event(
    message: &Message<'_>,
    decoder: &mut Decoder,
    entry: &mut Entry,
) -> Result<Option<Event>, WireError> {
    const NEW: u16 = message_type(IPCTNL_MSG_CT_NEW);
    const DELETE: u16 = message_type(IPCTNL_MSG_CT_DELETE);
    let kind = match message.header.kind {
        NEW if message.header.flags & (NLM_F_CREATE | NLM_F_EXCL) != 0 => EventKind::New,
        NEW => EventKind::Update,
        DELETE => EventKind::Destroy,
        _ => return Ok(None),
    };
    let time_ns = decoder.decode_with_time(message.payload, entry)?;
    Ok(Some(Event { kind, port: message.header.port, time_ns }))
}
