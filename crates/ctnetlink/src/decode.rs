//! An entry from the kernel, attribute by attribute: what every message can be decoded by, and most of a long dump need not be
//! (`layout`).
//!
//! ```text
//! nfgenmsg (family, version, res_id)
//! CTA_TUPLE_ORIG        CTA_TUPLE_IP { CTA_IP_V4_SRC .. }  CTA_TUPLE_PROTO { CTA_PROTO_NUM .. }  [CTA_TUPLE_ZONE]
//! CTA_TUPLE_REPLY       the same
//! [CTA_ZONE] CTA_STATUS CTA_MARK CTA_ID CTA_USE [CTA_TIMEOUT] [CTA_PROTOINFO { CTA_PROTOINFO_TCP { .. } }] ...
//! ```
//!
//! That is the order in which kernels up to 7.x send them (ctnetlink_dump_info()), but attributes are taken by type, never
//! by order. Unknown ones are ignored, a known one with a wrong length is an error that names it.

use super::attr::Attr;
use super::attr::Attrs;
use super::consts::*;
use super::template;
use super::WireError;
use crate::types::*;
use alloc::vec::Vec;

/// Decodes the payload of a ctnetlink message (from the nfgenmsg on) into `entry`, whatever that held before.
///
/// ```
/// use ctnetlink::{decode_entry, Entry, WireError};
/// # use ctnetlink::{buffer::Buffer, encode::put_create, message::first_message, Proto};
/// # let entry = Entry::key(Proto::TCP, [10, 0, 0, 7].into(), 40001, [10, 0, 0, 8].into(), 443).expect("one family");
/// # let mut message = Buffer::new();
/// # put_create(&mut message, 1, &entry);
/// # let payload = first_message(&message)?.0.payload;
/// let mut entry = Entry::EMPTY;
/// decode_entry(payload, &mut entry)?;
/// assert_eq!((entry.orig_src().to_string(), entry.orig.dport), ("10.0.0.7".into(), 443));
/// // A fault is named.
/// let cut = decode_entry(&payload[..payload.len() - 1], &mut entry);
/// assert!(matches!(cut, Err(WireError::BadAttribute { .. })));
/// # Ok::<(), WireError>(())
/// ```
pub fn decode_entry(payload: &[u8], entry: &mut Entry) -> Result<(), WireError> {
    decode(payload, entry, &mut Ignore)
}

/// Decodes what a message holds beyond an [`Entry`].
///
/// ```
/// use ctnetlink::{decode_details, Entry};
/// # use ctnetlink::{buffer::Buffer, encode::put_create, message::first_message, Proto};
/// # let entry = Entry::key(Proto::TCP, [10, 0, 0, 7].into(), 40001, [10, 0, 0, 8].into(), 443).expect("one family");
/// # let mut message = Buffer::new();
/// # put_create(&mut message, 1, &entry);
/// # let payload = first_message(&message)?.0.payload;
/// let details = decode_details(payload)?;
/// if let Some((proto, master)) = details.master {
///     println!("expected by a connection of {proto} to port {}", master.dport);
/// }
/// # Ok::<(), ctnetlink::WireError>(())
/// ```
pub fn decode_details(payload: &[u8]) -> Result<Details, WireError> {
    let mut details = Details::default();
    decode(payload, &mut Entry::default(), &mut details)?;
    Ok(details)
}

/// The time of an event whose entry was decoded already.
pub(crate) fn event_time(payload: &[u8]) -> Result<u64, WireError> {
    for attr in Attrs::new(payload.get(NFGENMSG_LEN..).unwrap_or(&[]), "the event") {
        let attr = attr?;
        if attr.kind == CTA_TIMESTAMP_EVENT {
            return attr.be64("CTA_TIMESTAMP_EVENT");
        }
    }
    Ok(0)
}

/// What the kernel sends of an entry and [`Entry`] has no room for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// The tuple of the entry that expected this one, with its protocol.
    pub master: Option<(Proto, Tuple)>,
    /// Sequence adjustment of the original direction.
    pub seq_adj_orig: Option<SeqAdj>,
    /// Sequence adjustment of the reply direction.
    pub seq_adj_reply: Option<SeqAdj>,
    /// Synproxy extension.
    pub synproxy: Option<Synproxy>,
    /// Security context.
    pub secctx: Option<Vec<u8>>,
    /// What the helper says of itself.
    pub helper_info: Option<Vec<u8>>,
    /// The handshake sequence number of DCCP.
    pub dccp_handshake_seq: Option<u64>,
}

/// TCP sequence adjustment of one direction (enum ctattr_seqadj).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeqAdj {
    /// Sequence number from which `offset_after` holds.
    pub correction_pos: u32,
    /// Offset before it.
    pub offset_before: u32,
    /// Offset from it on.
    pub offset_after: u32,
}

/// Synproxy values (enum ctattr_synproxy).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synproxy {
    /// Initial sequence number.
    pub isn: u32,
    /// Initial timestamp.
    pub its: u32,
    /// Timestamp offset.
    pub tsoff: u32,
}

/// Who keeps what an entry has no room for: nobody on the hot path, [`Details`] otherwise. One decoder serves both, so
/// that both check the same.
trait Extras {
    fn keep(&mut self, set: impl FnOnce(&mut Details));
}

struct Ignore;

impl Extras for Ignore {
    #[inline(always)]
    fn keep(&mut self, _: impl FnOnce(&mut Details)) {}
}

impl Extras for Details {
    fn keep(&mut self, set: impl FnOnce(&mut Details)) {
        set(self);
    }
}

/// Which fields of a tuple were there, as bits of `seen`.
pub(crate) const SRC: u16 = 1;
pub(crate) const DST: u16 = 2;
pub(crate) const NUM: u16 = 4;
pub(crate) const SPORT: u16 = 8;
pub(crate) const DPORT: u16 = 16;
const ICMP_ID: u16 = 32;
const ICMP_TYPE: u16 = 64;
const ICMP_CODE: u16 = 128;
const ZONE: u16 = 256;

fn decode(payload: &[u8], entry: &mut Entry, extras: &mut impl Extras) -> Result<(), WireError> {
    *entry = Entry::EMPTY;
    let Some((header, attributes)) = payload.split_first_chunk::<NFGENMSG_LEN>() else {
        return Err(WireError::BadMessage { length: payload.len(), available: payload.len() });
    };
    entry.family = Family(header[0]);
    let mut has = Has::empty();
    let mut tuples = u16::MAX;
    for attr in Attrs::new(attributes, "the entry") {
        let attr = attr?;
        match attr.kind {
            CTA_TUPLE_ORIG => {
                let mut proto = Proto(0);
                let seen = tuple(attr, "CTA_TUPLE_ORIG", entry.family, &mut entry.orig, &mut proto)?;
                entry.proto = proto;
                tuples &= seen;
                has |= Has::ORIG | if seen & ZONE != 0 { Has::ORIG_ZONE } else { Has::empty() };
            }
            CTA_TUPLE_REPLY => {
                let mut proto = Proto(0);
                let seen = tuple(attr, "CTA_TUPLE_REPLY", entry.family, &mut entry.reply, &mut proto)?;
                if !has.intersects(Has::ORIG) {
                    entry.proto = proto;
                }
                tuples &= seen;
                has |= Has::REPLY | if seen & ZONE != 0 { Has::REPLY_ZONE } else { Has::empty() };
            }
            CTA_STATUS => {
                entry.status = Status::from_bits_retain(attr.be32("CTA_STATUS")?);
                has |= Has::STATUS;
            }
            CTA_TIMEOUT => {
                entry.timeout = attr.be32("CTA_TIMEOUT")?;
                has |= Has::TIMEOUT;
            }
            CTA_MARK => {
                entry.mark = attr.be32("CTA_MARK")?;
                has |= Has::MARK;
            }
            CTA_USE => {
                entry.use_count = attr.be32("CTA_USE")?;
                has |= Has::USE;
            }
            CTA_ID => {
                entry.id = attr.be32("CTA_ID")?;
                has |= Has::ID;
            }
            CTA_ZONE => {
                entry.zone = u32::from(attr.be16("CTA_ZONE")?);
                has |= Has::ZONE;
            }
            CTA_PROTOINFO => has |= protoinfo(attr, entry, extras)?,
            CTA_SYNPROXY => {
                let synproxy = synproxy(attr)?;
                extras.keep(|details| details.synproxy = Some(synproxy));
                has |= Has::SYNPROXY;
            }
            CTA_COUNTERS_ORIG => {
                entry.orig_counters = counters(attr, "CTA_COUNTERS_ORIG")?;
                has |= Has::ORIG_COUNTERS;
            }
            CTA_COUNTERS_REPLY => {
                entry.reply_counters = counters(attr, "CTA_COUNTERS_REPLY")?;
                has |= Has::REPLY_COUNTERS;
            }
            CTA_TIMESTAMP => has |= timestamp(attr, entry)?,
            _ => has |= rare(attr, entry, extras)?,
        }
    }
    finish(entry, has, tuples)
}

/// What can only be said when all attributes were seen.
#[inline(always)]
fn finish(entry: &mut Entry, mut has: Has, tuples: u16) -> Result<(), WireError> {
    if !has.intersects(Has::ORIG) {
        return Err(WireError::Missing { attribute: "CTA_TUPLE_ORIG" });
    }
    if !has.intersects(Has::REPLY) {
        return Err(WireError::Missing { attribute: "CTA_TUPLE_REPLY" });
    }
    if tuples & (SRC | DST) != SRC | DST {
        return Err(WireError::Missing { attribute: "an address of CTA_TUPLE_IP" });
    }
    if tuples & NUM == 0 {
        return Err(WireError::Missing { attribute: "CTA_PROTO_NUM" });
    }
    if tuples & (SPORT | DPORT) == SPORT | DPORT {
        has |= Has::PORTS;
    } else {
        // Half a pair is none: what is not announced is zero.
        for tuple in [&mut entry.orig, &mut entry.reply] {
            (tuple.sport, tuple.dport) = (0, 0);
        }
    }
    if tuples & (ICMP_ID | ICMP_TYPE | ICMP_CODE) == ICMP_ID | ICMP_TYPE | ICMP_CODE {
        has |= Has::ICMP;
    } else {
        for tuple in [&mut entry.orig, &mut entry.reply] {
            (tuple.icmp_id, tuple.icmp_type, tuple.icmp_code) = (0, 0, 0);
        }
    }
    entry.has = has;
    place_zones(entry);
    Ok(())
}

/// The zones that were not sent follow from those that were.
#[inline(always)]
pub(crate) fn place_zones(entry: &mut Entry) {
    if !entry.has.intersects(Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE) {
        return;
    }
    if entry.has.intersects(Has::ZONE) {
        entry.orig.zone = entry.zone;
        entry.reply.zone = entry.zone;
    } else {
        // The kernel gives an entry one zone, for both directions or for one.
        entry.zone = entry.orig.zone.max(entry.reply.zone);
    }
}

#[inline(never)]
pub(crate) fn tuple(
    attr: Attr<'_>,
    name: &'static str,
    family: Family,
    tuple: &mut Tuple,
    proto: &mut Proto,
) -> Result<u16, WireError> {
    if let Some(number) = template::read_tuple(attr.value, family, tuple) {
        *proto = number;
        return Ok(SRC | DST | NUM | SPORT | DPORT);
    }
    let mut seen = 0;
    for attr in attr.nested(name) {
        let attr = attr?;
        match attr.kind {
            CTA_TUPLE_IP => {
                for attr in attr.nested("CTA_TUPLE_IP") {
                    seen |= address(attr?, family, tuple)?;
                }
            }
            CTA_TUPLE_PROTO => {
                for attr in attr.nested("CTA_TUPLE_PROTO") {
                    seen |= proto_field(attr?, tuple, proto)?;
                }
            }
            CTA_TUPLE_ZONE => {
                tuple.zone = u32::from(attr.be16("CTA_TUPLE_ZONE")?);
                seen |= ZONE;
            }
            _ => {}
        }
    }
    Ok(seen)
}

/// An address of the family that the message is of; one of another family would be misread later on.
#[inline(always)]
fn address(attr: Attr<'_>, family: Family, tuple: &mut Tuple) -> Result<u16, WireError> {
    match (attr.kind, family) {
        (CTA_IP_V4_SRC, Family::IPV4) => tuple.src = v4(attr.array("CTA_IP_V4_SRC")?),
        (CTA_IP_V4_DST, Family::IPV4) => tuple.dst = v4(attr.array("CTA_IP_V4_DST")?),
        (CTA_IP_V6_SRC, Family::IPV6) => tuple.src = attr.array("CTA_IP_V6_SRC")?,
        (CTA_IP_V6_DST, Family::IPV6) => tuple.dst = attr.array("CTA_IP_V6_DST")?,
        (CTA_IP_V4_SRC..=CTA_IP_V6_DST, _) => return Err(WireError::BadAttribute { place: "CTA_TUPLE_IP" }),
        _ => return Ok(0),
    }
    // Odd numbers are sources, even ones destinations.
    Ok(if attr.kind & 1 == 1 { SRC } else { DST })
}

#[inline(always)]
fn proto_field(attr: Attr<'_>, tuple: &mut Tuple, proto: &mut Proto) -> Result<u16, WireError> {
    Ok(match attr.kind {
        CTA_PROTO_NUM => {
            *proto = Proto(attr.u8("CTA_PROTO_NUM")?);
            NUM
        }
        CTA_PROTO_SRC_PORT => {
            tuple.sport = attr.be16("CTA_PROTO_SRC_PORT")?;
            SPORT
        }
        CTA_PROTO_DST_PORT => {
            tuple.dport = attr.be16("CTA_PROTO_DST_PORT")?;
            DPORT
        }
        CTA_PROTO_ICMP_ID => {
            tuple.icmp_id = attr.be16("CTA_PROTO_ICMP_ID")?;
            ICMP_ID
        }
        CTA_PROTO_ICMP_TYPE => {
            tuple.icmp_type = attr.u8("CTA_PROTO_ICMP_TYPE")?;
            ICMP_TYPE
        }
        CTA_PROTO_ICMP_CODE => {
            tuple.icmp_code = attr.u8("CTA_PROTO_ICMP_CODE")?;
            ICMP_CODE
        }
        CTA_PROTO_ICMPV6_ID => {
            tuple.icmp_id = attr.be16("CTA_PROTO_ICMPV6_ID")?;
            ICMP_ID
        }
        CTA_PROTO_ICMPV6_TYPE => {
            tuple.icmp_type = attr.u8("CTA_PROTO_ICMPV6_TYPE")?;
            ICMP_TYPE
        }
        CTA_PROTO_ICMPV6_CODE => {
            tuple.icmp_code = attr.u8("CTA_PROTO_ICMPV6_CODE")?;
            ICMP_CODE
        }
        _ => 0,
    })
}

fn v4(address: [u8; 4]) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&address);
    bytes
}

#[inline(always)]
fn protoinfo(attr: Attr<'_>, entry: &mut Entry, extras: &mut impl Extras) -> Result<Has, WireError> {
    if let Some(tcp) = template::tcp(attr.value) {
        template::read_tcp(tcp, entry);
        return Ok(Has::TCP_STATE | Has::TCP_WSCALE | Has::TCP_FLAGS);
    }
    let mut has = Has::empty();
    for attr in attr.nested("CTA_PROTOINFO") {
        let attr = attr?;
        match attr.kind {
            CTA_PROTOINFO_TCP => has |= tcp(attr, entry)?,
            CTA_PROTOINFO_SCTP => has |= sctp(attr, entry)?,
            CTA_PROTOINFO_DCCP => has |= dccp(attr, entry, extras)?,
            _ => {}
        }
    }
    Ok(has)
}

#[inline(never)]
fn tcp(attr: Attr<'_>, entry: &mut Entry) -> Result<Has, WireError> {
    let mut has = Has::empty();
    for attr in attr.nested("CTA_PROTOINFO_TCP") {
        let attr = attr?;
        match attr.kind {
            CTA_PROTOINFO_TCP_STATE => {
                entry.tcp_state = TcpState(attr.u8("CTA_PROTOINFO_TCP_STATE")?);
                has |= Has::TCP_STATE;
            }
            CTA_PROTOINFO_TCP_WSCALE_ORIGINAL => {
                entry.tcp_wscale_orig = attr.u8("CTA_PROTOINFO_TCP_WSCALE_ORIGINAL")?;
                has |= Has::TCP_WSCALE;
            }
            CTA_PROTOINFO_TCP_WSCALE_REPLY => {
                entry.tcp_wscale_reply = attr.u8("CTA_PROTOINFO_TCP_WSCALE_REPLY")?;
                has |= Has::TCP_WSCALE;
            }
            // struct nf_ct_tcp_flags { flags, mask }
            CTA_PROTOINFO_TCP_FLAGS_ORIGINAL => {
                [entry.tcp_flags_orig, entry.tcp_mask_orig] = attr.array("CTA_PROTOINFO_TCP_FLAGS_ORIGINAL")?;
                has |= Has::TCP_FLAGS;
            }
            CTA_PROTOINFO_TCP_FLAGS_REPLY => {
                [entry.tcp_flags_reply, entry.tcp_mask_reply] = attr.array("CTA_PROTOINFO_TCP_FLAGS_REPLY")?;
                has |= Has::TCP_FLAGS;
            }
            _ => {}
        }
    }
    Ok(has)
}

fn sctp(attr: Attr<'_>, entry: &mut Entry) -> Result<Has, WireError> {
    let mut has = Has::empty();
    for attr in attr.nested("CTA_PROTOINFO_SCTP") {
        let attr = attr?;
        match attr.kind {
            CTA_PROTOINFO_SCTP_STATE => entry.sctp_state = attr.u8("CTA_PROTOINFO_SCTP_STATE")?,
            CTA_PROTOINFO_SCTP_VTAG_ORIGINAL => {
                entry.sctp_vtag_orig = attr.be32("CTA_PROTOINFO_SCTP_VTAG_ORIGINAL")?;
            }
            CTA_PROTOINFO_SCTP_VTAG_REPLY => {
                entry.sctp_vtag_reply = attr.be32("CTA_PROTOINFO_SCTP_VTAG_REPLY")?;
            }
            _ => continue,
        }
        has = Has::SCTP;
    }
    Ok(has)
}

#[cold]
fn dccp(attr: Attr<'_>, entry: &mut Entry, extras: &mut impl Extras) -> Result<Has, WireError> {
    let mut has = Has::empty();
    for attr in attr.nested("CTA_PROTOINFO_DCCP") {
        let attr = attr?;
        match attr.kind {
            CTA_PROTOINFO_DCCP_STATE => entry.dccp_state = attr.u8("CTA_PROTOINFO_DCCP_STATE")?,
            CTA_PROTOINFO_DCCP_ROLE => entry.dccp_role = attr.u8("CTA_PROTOINFO_DCCP_ROLE")?,
            CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ => {
                let seq = attr.be64("CTA_PROTOINFO_DCCP_HANDSHAKE_SEQ")?;
                extras.keep(|details| details.dccp_handshake_seq = Some(seq));
            }
            _ => continue,
        }
        has = Has::DCCP;
    }
    Ok(has)
}

#[inline(never)]
fn counters(attr: Attr<'_>, name: &'static str) -> Result<Counters, WireError> {
    if let Some(counters) = template::counters(attr.value) {
        return Ok(template::read_counters(counters));
    }
    let mut counters = Counters::default();
    for attr in attr.nested(name) {
        let attr = attr?;
        match attr.kind {
            CTA_COUNTERS_PACKETS => counters.packets = attr.be64("CTA_COUNTERS_PACKETS")?,
            CTA_COUNTERS_BYTES => counters.bytes = attr.be64("CTA_COUNTERS_BYTES")?,
            _ => {}
        }
    }
    Ok(counters)
}

#[inline(never)]
fn timestamp(attr: Attr<'_>, entry: &mut Entry) -> Result<Has, WireError> {
    let mut has = Has::empty();
    for attr in attr.nested("CTA_TIMESTAMP") {
        let attr = attr?;
        match attr.kind {
            CTA_TIMESTAMP_START => {
                entry.start_ns = attr.be64("CTA_TIMESTAMP_START")?;
                has |= Has::START;
            }
            CTA_TIMESTAMP_STOP => {
                entry.stop_ns = attr.be64("CTA_TIMESTAMP_STOP")?;
                has |= Has::STOP;
            }
            _ => {}
        }
    }
    Ok(has)
}

/// Attributes that few entries have.
#[inline(never)]
fn rare(attr: Attr<'_>, entry: &mut Entry, extras: &mut impl Extras) -> Result<Has, WireError> {
    match attr.kind {
        CTA_LABELS => {
            let length = attr.value.len();
            let labels = entry.labels.get_mut(..length).filter(|_| length % 4 == 0);
            let labels = labels.ok_or(WireError::BadLength { attribute: "CTA_LABELS", length })?;
            labels.copy_from_slice(attr.value);
            Ok(Has::LABELS)
        }
        CTA_HELP => help(attr, entry, extras),
        CTA_TUPLE_MASTER => {
            let (mut master, mut proto) = (Tuple::EMPTY, Proto(0));
            tuple(attr, "CTA_TUPLE_MASTER", entry.family, &mut master, &mut proto)?;
            extras.keep(|details| details.master = Some((proto, master)));
            Ok(Has::MASTER)
        }
        CTA_SEQ_ADJ_ORIG => {
            let adjust = seq_adj(attr, "CTA_SEQ_ADJ_ORIG")?;
            extras.keep(|details| details.seq_adj_orig = Some(adjust));
            Ok(Has::SEQ_ADJ)
        }
        CTA_SEQ_ADJ_REPLY => {
            let adjust = seq_adj(attr, "CTA_SEQ_ADJ_REPLY")?;
            extras.keep(|details| details.seq_adj_reply = Some(adjust));
            Ok(Has::SEQ_ADJ)
        }
        CTA_SECCTX => {
            for attr in attr.nested("CTA_SECCTX") {
                let attr = attr?;
                if attr.kind == CTA_SECCTX_NAME {
                    extras.keep(|details| details.secctx = Some(until_nul(attr.value).to_vec()));
                }
            }
            Ok(Has::SECCTX)
        }
        _ => Ok(Has::empty()),
    }
}

fn help(attr: Attr<'_>, entry: &mut Entry, extras: &mut impl Extras) -> Result<Has, WireError> {
    let mut has = Has::empty();
    for attr in attr.nested("CTA_HELP") {
        let attr = attr?;
        match attr.kind {
            CTA_HELP_NAME => {
                let name = until_nul(attr.value);
                // The kernel's NF_CT_HELPER_NAME_LEN is 16 with its NUL.
                if name.is_empty() || name.len() > 15 {
                    return Err(WireError::BadLength { attribute: "CTA_HELP_NAME", length: attr.value.len() });
                }
                entry.helper = [0; 16];
                for (to, from) in entry.helper.iter_mut().zip(name) {
                    *to = *from as core::ffi::c_char;
                }
                has |= Has::HELPER;
            }
            CTA_HELP_INFO => extras.keep(|details| details.helper_info = Some(attr.value.to_vec())),
            _ => {}
        }
    }
    Ok(has)
}

fn seq_adj(attr: Attr<'_>, name: &'static str) -> Result<SeqAdj, WireError> {
    let mut adjust = SeqAdj::default();
    for attr in attr.nested(name) {
        let attr = attr?;
        match attr.kind {
            CTA_SEQADJ_CORRECTION_POS => adjust.correction_pos = attr.be32("CTA_SEQADJ_CORRECTION_POS")?,
            CTA_SEQADJ_OFFSET_BEFORE => adjust.offset_before = attr.be32("CTA_SEQADJ_OFFSET_BEFORE")?,
            CTA_SEQADJ_OFFSET_AFTER => adjust.offset_after = attr.be32("CTA_SEQADJ_OFFSET_AFTER")?,
            _ => {}
        }
    }
    Ok(adjust)
}

#[inline(never)]
fn synproxy(attr: Attr<'_>) -> Result<Synproxy, WireError> {
    let mut synproxy = Synproxy::default();
    if attr.value == template::NO_SYNPROXY {
        return Ok(synproxy);
    }
    for attr in attr.nested("CTA_SYNPROXY") {
        let attr = attr?;
        match attr.kind {
            CTA_SYNPROXY_ISN => synproxy.isn = attr.be32("CTA_SYNPROXY_ISN")?,
            CTA_SYNPROXY_ITS => synproxy.its = attr.be32("CTA_SYNPROXY_ITS")?,
            CTA_SYNPROXY_TSOFF => synproxy.tsoff = attr.be32("CTA_SYNPROXY_TSOFF")?,
            _ => {}
        }
    }
    Ok(synproxy)
}
