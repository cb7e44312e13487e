//! What a caller may hand in as an entry. Nothing is sent before everything was found right.

use crate::error::{text, Error};
use ctnetlink::fields::{Within, FIELDS};
use ctnetlink::types::*;

/// What an entry is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To find an entry: get and delete.
    Key,
    /// To make one.
    Create,
    /// To find one and change it.
    Update,
}

/// What `update` can change: what its message has, but for the mask, which alone changes nothing.
pub const CHANGEABLE: Has = {
    let (mut changeable, mut group) = (Has::empty(), 0);
    while group < FIELDS.len() {
        let mut at = 0;
        while at < FIELDS[group].len() {
            if FIELDS[group][at].within.contains(Within::UPDATE) {
                changeable = changeable.union(FIELDS[group][at].all);
            }
            at += 1;
        }
        group += 1;
    }
    changeable.difference(Has::MARK_MASK)
};

/// Status bits that a new entry can have. The others only the kernel itself can give, or they are of a later one.
const CREATABLE: Status = Status::SEEN_REPLY
    .union(Status::ASSURED)
    .union(Status::CONFIRMED)
    .union(NAT)
    .union(Status::SRC_NAT_DONE)
    .union(Status::DST_NAT_DONE)
    .union(Status::FIXED_TIMEOUT)
    .union(Status::HELPER);

const NAT: Status = Status::SRC_NAT.union(Status::DST_NAT);

/// RFC 7323: 14 is the largest shift.
const WSCALE_MAX: u8 = 14;

type Check = Result<(), (&'static str, &'static str)>;

/// Checks all entries; the error names the first wrong one and its field.
pub fn entries(entries: &[Entry], purpose: Purpose) -> Result<(), Error> {
    for (index, entry) in entries.iter().enumerate() {
        self::entry(entry, purpose).map_err(|fault| refused("entry", format_args!("entry[{index}]"), fault))?;
    }
    Ok(())
}

/// Checks one entry.
pub fn one(entry: &Entry, purpose: Purpose) -> Result<(), Error> {
    self::entry(entry, purpose).map_err(|fault| refused("key", format_args!("key"), fault))
}

/// The error for what is wrong with a field of an entry, or with the whole of it where no field is named.
fn refused(otherwise: &'static str, whole: std::fmt::Arguments<'_>, (field, reason): (&str, &'static str)) -> Error {
    let place = match field {
        "" => text(otherwise, whole),
        _ => text(otherwise, format_args!("{whole}.{field}")),
    };
    Error::invalid(place, reason)
}

fn entry(e: &Entry, purpose: Purpose) -> Check {
    if mutant!("unknown-has-bits", !e.has.difference(Has::KNOWN).is_empty(), false) {
        return Err(("", "announces fields that this release does not know"));
    }
    if e.reserved != Entry::EMPTY.reserved {
        return Err(("reserved", "is not zero"));
    }
    if let Some(field) = e.unannounced() {
        return Err((field, "is set, but not announced"));
    }
    tuples(e, purpose)?;
    mutant!("zones-checked", zones(e)?, ());
    match purpose {
        // A key is mostly an entry of a list. States and bits that this release does not know must not make it useless.
        Purpose::Key => Ok(()),
        Purpose::Create => values(e).and_then(|()| create(e)),
        Purpose::Update => values(e).and_then(|()| update(e)),
    }
}

fn tuples(e: &Entry, purpose: Purpose) -> Check {
    if e.family != Family::IPV4 && e.family != Family::IPV6 {
        return Err(("family", "is neither IPv4 nor IPv6"));
    }
    if !e.has(Has::ORIG) && (purpose == Purpose::Create || !e.has(Has::REPLY)) {
        return Err(("orig", "is not announced: no tuple says which entry"));
    }
    let fits = |field, address: &[u8; 16]| match e.family == Family::IPV4 && address[4..] != [0; 12] {
        true => Err((field, "an IPv4 address has only 4 bytes, the others must be zero")),
        false => Ok(()),
    };
    fits("orig.src", &e.orig.src)?;
    fits("orig.dst", &e.orig.dst)?;
    fits("reply.src", &e.reply.src)?;
    fits("reply.dst", &e.reply.dst)?;
    if e.has(Has::PORTS) && !e.proto.has_ports() {
        return Err(("proto", "is one without ports, and ports are announced"));
    }
    if e.has(Has::ICMP) && !e.proto.is_icmp() {
        return Err(("proto", "is neither ICMP nor ICMPv6, whose fields are announced"));
    }
    // The others are listed without ports where the kernel was built without their tracker.
    if matches!(e.proto, Proto::TCP | Proto::UDP) && !e.has(Has::PORTS) {
        return Err(("proto", "TCP and UDP need ports, and none are announced"));
    }
    if e.proto.is_icmp() && !e.has(Has::ICMP) {
        return Err(("proto", "ICMP needs type, code and id, and they are not announced"));
    }
    Ok(())
}

fn zones(e: &Entry) -> Check {
    let fits = |field, zone| match zone > u32::from(u16::MAX) {
        true => Err((field, "is larger than 65535")),
        false => Ok(()),
    };
    fits("zone", e.zone)?;
    fits("orig.zone", e.orig.zone)?;
    fits("reply.zone", e.reply.zone)?;
    let contradicts = |zone: u32| zone != 0 && zone != e.zone;
    let bits = e.has & (Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE);
    match bits {
        _ if bits.is_empty() => Ok(()),
        Has::ZONE if contradicts(e.orig.zone) => Err(("orig.zone", "contradicts zone")),
        Has::ZONE if contradicts(e.reply.zone) => Err(("reply.zone", "contradicts zone")),
        Has::ORIG_ZONE if e.zone != 0 && e.zone != e.orig.zone => Err(("zone", "contradicts orig.zone")),
        Has::REPLY_ZONE if e.zone != 0 && e.zone != e.reply.zone => Err(("zone", "contradicts reply.zone")),
        Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE => Ok(()),
        _ => Err(("zone", "is announced for more than one of: both directions, the original one, the reply one")),
    }
}

fn values(e: &Entry) -> Check {
    if e.has.intersects(Has::TCP_STATE | Has::TCP_WSCALE | Has::TCP_FLAGS) && e.proto != Proto::TCP {
        return Err(("tcp_state", "TCP fields with another protocol"));
    }
    if e.has(Has::SCTP) && e.proto != Proto::SCTP {
        return Err(("sctp_state", "SCTP fields with another protocol"));
    }
    if e.helper[15] != 0 {
        return Err(("helper", "is not terminated"));
    }
    Ok(())
}

fn create(e: &Entry) -> Check {
    // Offloaded entries are listed without one. They cannot be made, but that is not the caller's mistake.
    if !e.has(Has::TIMEOUT) && e.status.difference(CREATABLE).is_empty() {
        return Err(("timeout", "a new entry needs one"));
    }
    if e.status.intersects(NAT) && !e.has(Has::REPLY) {
        return Err(("reply", "NAT needs the reply tuple: it says to what is translated"));
    }
    if let Some(field) = e.only_for_updates() {
        return Err((field, "is for updates only"));
    }
    if e.has.intersects(Has::LABELS_ADD | Has::LABELS_REMOVE) {
        return Err(("labels", "can be added or removed by updates only"));
    }
    if e.has(Has::HELPER) && e.helper[0] == 0 {
        return Err(("helper", "is empty"));
    }
    Ok(())
}

fn update(e: &Entry) -> Check {
    if !e.has.intersects(CHANGEABLE) {
        return Err(("", "nothing to change"));
    }
    if e.has(Has::MARK_MASK) && !e.has(Has::MARK) {
        return Err(("mark_mask", "without a mark"));
    }
    if e.has(Has::LABELS_ADD | Has::LABELS_REMOVE) {
        return Err(("labels", "are to be added and to be removed: which of both?"));
    }
    if e.has.intersects(Has::LABELS_ADD | Has::LABELS_REMOVE) && !e.has(Has::LABELS) {
        return Err(("labels", "are to be added or removed, and none are announced"));
    }
    Ok(())
}

/// Why an entry cannot be made although nothing in it is wrong: the errno of its status, and the reason. Whatever may come from a
/// list is here, so that it does not keep the others of its list from being made again.
pub(super) fn impossible(e: &Entry) -> Option<(i32, &'static str)> {
    if e.status.difference(CREATABLE.difference(NAT)).is_empty() && e.timeout != 0 && known(e).is_none() {
        None
    } else {
        why_impossible(e)
    }
}

#[cold]
#[inline(never)]
fn why_impossible(e: &Entry) -> Option<(i32, &'static str)> {
    if !e.status.difference(CREATABLE).is_empty() {
        return Some((libc::EOPNOTSUPP, "its status has bits that only the kernel can give"));
    }
    if e.timeout == 0 {
        return Some((libc::ETIME, "its timeout is 0"));
    }
    known(e).or_else(|| translation(e).map(|reason| (libc::EINVAL, reason)))
}

/// What no kernel that this release knows would take.
pub(super) fn known(e: &Entry) -> Option<(i32, &'static str)> {
    if e.tcp_state > TcpState::MAX || e.sctp_state > SCTP_STATE_MAX {
        return Some((libc::EOPNOTSUPP, "its state is one of a later kernel"));
    }
    (e.tcp_wscale_orig.max(e.tcp_wscale_reply) > WSCALE_MAX)
        .then_some((libc::EOPNOTSUPP, "a window scale is larger than 14"))
}

/// What of the status contradicts the reply tuple. The kernel gives a bit of translation to an entry if that changes a tuple, and
/// only then (nf_nat_setup_info()).
///
/// Without any of these bits nothing is translated, and the reply tuple is taken as it stands.
fn translation(e: &Entry) -> Option<&'static str> {
    let (orig, reply) = (&e.orig, &e.reply);
    let (src, dst) = (reply.dst != orig.src, reply.src != orig.dst);
    let id = reply.icmp_id != orig.icmp_id;
    // The kernel leaves the keys of GRE alone: they are part of what it starts from.
    let ports = e.proto != Proto::GRE;
    let (src_port, dst_port) = (ports && reply.dport != orig.sport, ports && reply.sport != orig.dport);
    match (e.status.intersects(Status::SRC_NAT), e.status.intersects(Status::DST_NAT)) {
        (false, false) => None,
        (false, _) if src || src_port => Some("its reply tuple translates the source: SRC_NAT is missing in status"),
        (_, false) if dst || dst_port => {
            Some("its reply tuple translates the destination: DST_NAT is missing in status")
        }
        (true, _) if !(src || src_port || id) => Some("SRC_NAT is in status, but no source is translated"),
        (_, true) if !(dst || dst_port || id) => Some("DST_NAT is in status, but no destination is translated"),
        (true, true) if id && !src && !dst => {
            Some("SRC_NAT and DST_NAT are in status, but only the ICMP id is translated")
        }
        _ => None,
    }
}
