//! What a caller may hand in as an entry. Nothing is sent before everything was found right.

use crate::error::{text, Error};
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

/// What `update` can change.
pub const CHANGEABLE: u64 = CT_HAS_TIMEOUT
    | CT_HAS_STATUS
    | CT_HAS_MARK
    | CT_HAS_LABELS
    | CT_HAS_HELPER
    | CT_HAS_TCP_STATE
    | CT_HAS_TCP_WSCALE
    | CT_HAS_TCP_FLAGS
    | CT_HAS_SCTP;

/// Status bits that a new entry can have. The others only the kernel itself can give, or they are of a later one.
const CREATABLE: u32 = CT_STATUS_SEEN_REPLY
    | CT_STATUS_ASSURED
    | CT_STATUS_CONFIRMED
    | NAT
    | CT_STATUS_SRC_NAT_DONE
    | CT_STATUS_DST_NAT_DONE
    | CT_STATUS_FIXED_TIMEOUT
    | CT_STATUS_HELPER;

const NAT: u32 = CT_STATUS_SRC_NAT | CT_STATUS_DST_NAT;

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
    if mutant!("unknown-has-bits", e.has & !HAS_ALL != 0, false) {
        return Err(("", "announces fields that this release does not know"));
    }
    if e.reserved != [0; 4] {
        return Err(("reserved", "is not zero"));
    }
    nothing_unannounced(e)?;
    tuples(e, purpose)?;
    mutant!("zones-checked", zones(e)?, ());
    match purpose {
        // A key is mostly an entry of a list. States and bits that this release does not know must not make it useless.
        Purpose::Key => Ok(()),
        Purpose::Create => values(e).and_then(|()| create(e)),
        Purpose::Update => values(e).and_then(|()| update(e)),
    }
}

/// A field that is set although `has` does not announce it was forgotten there, and would silently not count.
fn nothing_unannounced(e: &Entry) -> Check {
    if mutant!("unannounced-fields", announced(e), true) {
        Ok(())
    } else {
        unannounced(e)
    }
}

/// The same, but finds out which one it is.
#[cold]
#[inline(never)]
fn unannounced(e: &Entry) -> Check {
    let zone = CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE;
    let (orig, reply) = (&e.orig, &e.reply);
    let counted = |c: &Counters| c.packets | c.bytes != 0;
    // Each with the bits of which one must be set.
    let fields = [
        ("id", e.id != 0, CT_HAS_ID),
        ("status", e.status != 0, CT_HAS_STATUS),
        ("mark", e.mark != 0, CT_HAS_MARK),
        ("mark_mask", e.mark_mask != 0, CT_HAS_MARK_MASK),
        ("timeout", e.timeout != 0, CT_HAS_TIMEOUT),
        ("use_count", e.use_count != 0, CT_HAS_USE),
        ("zone", e.zone != 0, zone),
        ("orig.zone", orig.zone != 0, CT_HAS_ZONE | CT_HAS_ORIG_ZONE),
        ("reply.zone", reply.zone != 0, CT_HAS_ZONE | CT_HAS_REPLY_ZONE),
        ("orig.src", orig.src != [0; 16], CT_HAS_ORIG),
        ("orig.dst", orig.dst != [0; 16], CT_HAS_ORIG),
        ("reply.src", reply.src != [0; 16], CT_HAS_REPLY),
        ("reply.dst", reply.dst != [0; 16], CT_HAS_REPLY),
        ("labels", e.labels != [0; 16], CT_HAS_LABELS),
        ("helper", e.helper != [0; 16], CT_HAS_HELPER),
        ("orig_counters", counted(&e.orig_counters), CT_HAS_ORIG_COUNTERS),
        ("reply_counters", counted(&e.reply_counters), CT_HAS_REPLY_COUNTERS),
        ("start_ns", e.start_ns != 0, CT_HAS_START),
        ("stop_ns", e.stop_ns != 0, CT_HAS_STOP),
        ("tcp_state", e.tcp_state != 0, CT_HAS_TCP_STATE),
        ("tcp_wscale_orig", e.tcp_wscale_orig != 0, CT_HAS_TCP_WSCALE),
        ("tcp_wscale_reply", e.tcp_wscale_reply != 0, CT_HAS_TCP_WSCALE),
        ("tcp_flags_orig", e.tcp_flags_orig != 0, CT_HAS_TCP_FLAGS),
        ("tcp_flags_reply", e.tcp_flags_reply != 0, CT_HAS_TCP_FLAGS),
        ("tcp_mask_orig", e.tcp_mask_orig != 0, CT_HAS_TCP_FLAGS),
        ("tcp_mask_reply", e.tcp_mask_reply != 0, CT_HAS_TCP_FLAGS),
        ("sctp_state", e.sctp_state != 0, CT_HAS_SCTP),
        ("sctp_vtag_orig", e.sctp_vtag_orig != 0, CT_HAS_SCTP),
        ("sctp_vtag_reply", e.sctp_vtag_reply != 0, CT_HAS_SCTP),
        ("dccp_state", e.dccp_state != 0, CT_HAS_DCCP),
        ("dccp_role", e.dccp_role != 0, CT_HAS_DCCP),
    ];
    // Those that want both their kind of field and their tuple.
    let parts = [
        ("orig.sport", orig.sport != 0, CT_HAS_PORTS | CT_HAS_ORIG),
        ("orig.dport", orig.dport != 0, CT_HAS_PORTS | CT_HAS_ORIG),
        ("orig.icmp_type", orig.icmp_type != 0, CT_HAS_ICMP | CT_HAS_ORIG),
        ("orig.icmp_code", orig.icmp_code != 0, CT_HAS_ICMP | CT_HAS_ORIG),
        ("orig.icmp_id", orig.icmp_id != 0, CT_HAS_ICMP | CT_HAS_ORIG),
        ("reply.sport", reply.sport != 0, CT_HAS_PORTS | CT_HAS_REPLY),
        ("reply.dport", reply.dport != 0, CT_HAS_PORTS | CT_HAS_REPLY),
        ("reply.icmp_type", reply.icmp_type != 0, CT_HAS_ICMP | CT_HAS_REPLY),
        ("reply.icmp_code", reply.icmp_code != 0, CT_HAS_ICMP | CT_HAS_REPLY),
        ("reply.icmp_id", reply.icmp_id != 0, CT_HAS_ICMP | CT_HAS_REPLY),
    ];
    let forgotten = fields.iter().find(|(_, set, bits)| *set && e.has & bits == 0);
    match forgotten.or(parts.iter().find(|(_, set, bits)| *set && !e.has(*bits))) {
        Some((field, ..)) => Err((field, "is set, but not announced")),
        None => Ok(()),
    }
}

/// The quick answer for most entries: whether every field that is set is announced. It says no to a zone that only one
/// direction has, of which `unannounced` knows more.
///
/// A test or two for each, and nothing is moved: a third of the instructions of a way that says which field it is.
fn announced(e: &Entry) -> bool {
    let (orig, reply) = (&e.orig, &e.reply);
    let addressed = |t: &Tuple| t.src != [0; 16] || t.dst != [0; 16];
    let icmp = |t: &Tuple| u32::from(t.icmp_id) | u32::from(t.icmp_type) | u32::from(t.icmp_code) != 0;
    let counted = |c: &Counters| c.packets | c.bytes != 0;
    let parts = |t: &Tuple| addressed(t) || t.sport | t.dport != 0 || icmp(t);
    (e.has(CT_HAS_ORIG) || !parts(orig))
        && (e.has(CT_HAS_REPLY) || !parts(reply))
        && (e.has(CT_HAS_PORTS) || orig.sport | orig.dport | reply.sport | reply.dport == 0)
        && (e.has(CT_HAS_ICMP) || !icmp(orig) && !icmp(reply))
        && (e.id == 0 || e.has(CT_HAS_ID))
        && (e.status == 0 || e.has(CT_HAS_STATUS))
        && (e.mark == 0 || e.has(CT_HAS_MARK))
        && (e.mark_mask == 0 || e.has(CT_HAS_MARK_MASK))
        && (e.timeout == 0 || e.has(CT_HAS_TIMEOUT))
        && (e.use_count == 0 || e.has(CT_HAS_USE))
        && (e.zone | orig.zone | reply.zone == 0 || e.has(CT_HAS_ZONE))
        && (e.labels == [0; 16] || e.has(CT_HAS_LABELS))
        && (e.helper == [0; 16] || e.has(CT_HAS_HELPER))
        && (!counted(&e.orig_counters) || e.has(CT_HAS_ORIG_COUNTERS))
        && (!counted(&e.reply_counters) || e.has(CT_HAS_REPLY_COUNTERS))
        && (e.start_ns == 0 || e.has(CT_HAS_START))
        && (e.stop_ns == 0 || e.has(CT_HAS_STOP))
        && (e.tcp_state == 0 || e.has(CT_HAS_TCP_STATE))
        && (e.tcp_wscale_orig | e.tcp_wscale_reply == 0 || e.has(CT_HAS_TCP_WSCALE))
        && (e.tcp_flags_orig | e.tcp_flags_reply | e.tcp_mask_orig | e.tcp_mask_reply == 0 || e.has(CT_HAS_TCP_FLAGS))
        && (u32::from(e.sctp_state) | e.sctp_vtag_orig | e.sctp_vtag_reply == 0 || e.has(CT_HAS_SCTP))
        && (e.dccp_state | e.dccp_role == 0 || e.has(CT_HAS_DCCP))
}

fn tuples(e: &Entry, purpose: Purpose) -> Check {
    if e.family != CT_FAMILY_IPV4 && e.family != CT_FAMILY_IPV6 {
        return Err(("family", "is neither IPv4 nor IPv6"));
    }
    if !e.has(CT_HAS_ORIG) && (purpose == Purpose::Create || !e.has(CT_HAS_REPLY)) {
        return Err(("orig", "is not announced: no tuple says which entry"));
    }
    let fits = |field, address: &[u8; 16]| match e.family == CT_FAMILY_IPV4 && address[4..] != [0; 12] {
        true => Err((field, "an IPv4 address has only 4 bytes, the others must be zero")),
        false => Ok(()),
    };
    fits("orig.src", &e.orig.src)?;
    fits("orig.dst", &e.orig.dst)?;
    fits("reply.src", &e.reply.src)?;
    fits("reply.dst", &e.reply.dst)?;
    if e.has(CT_HAS_PORTS) && !proto_has_ports(e.proto) {
        return Err(("proto", "is one without ports, and ports are announced"));
    }
    if e.has(CT_HAS_ICMP) && !proto_is_icmp(e.proto) {
        return Err(("proto", "is neither ICMP nor ICMPv6, whose fields are announced"));
    }
    // The others are listed without ports where the kernel was built without their tracker.
    if matches!(e.proto, CT_PROTO_TCP | CT_PROTO_UDP) && !e.has(CT_HAS_PORTS) {
        return Err(("proto", "TCP and UDP need ports, and none are announced"));
    }
    if proto_is_icmp(e.proto) && !e.has(CT_HAS_ICMP) {
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
    let bits = e.has & (CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE);
    match bits {
        0 => Ok(()),
        CT_HAS_ZONE if contradicts(e.orig.zone) => Err(("orig.zone", "contradicts zone")),
        CT_HAS_ZONE if contradicts(e.reply.zone) => Err(("reply.zone", "contradicts zone")),
        CT_HAS_ORIG_ZONE if e.zone != 0 && e.zone != e.orig.zone => Err(("zone", "contradicts orig.zone")),
        CT_HAS_REPLY_ZONE if e.zone != 0 && e.zone != e.reply.zone => Err(("zone", "contradicts reply.zone")),
        CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE => Ok(()),
        _ => Err(("zone", "is announced for more than one of: both directions, the original one, the reply one")),
    }
}

fn values(e: &Entry) -> Check {
    if e.has & (CT_HAS_TCP_STATE | CT_HAS_TCP_WSCALE | CT_HAS_TCP_FLAGS) != 0 && e.proto != CT_PROTO_TCP {
        return Err(("tcp_state", "TCP fields with another protocol"));
    }
    if e.has(CT_HAS_SCTP) && e.proto != CT_PROTO_SCTP {
        return Err(("sctp_state", "SCTP fields with another protocol"));
    }
    if e.helper[15] != 0 {
        return Err(("helper", "is not terminated"));
    }
    Ok(())
}

fn create(e: &Entry) -> Check {
    // Offloaded entries are listed without one. They cannot be made, but that is not the caller's mistake.
    if !e.has(CT_HAS_TIMEOUT) && e.status & !CREATABLE == 0 {
        return Err(("timeout", "a new entry needs one"));
    }
    if e.status & NAT != 0 && !e.has(CT_HAS_REPLY) {
        return Err(("reply", "NAT needs the reply tuple: it says to what is translated"));
    }
    if e.has(CT_HAS_MARK_MASK) {
        return Err(("mark_mask", "is for updates only"));
    }
    if e.has & (CT_HAS_LABELS_ADD | CT_HAS_LABELS_REMOVE) != 0 {
        return Err(("labels", "can be added or removed by updates only"));
    }
    if e.has(CT_HAS_HELPER) && e.helper[0] == 0 {
        return Err(("helper", "is empty"));
    }
    Ok(())
}

fn update(e: &Entry) -> Check {
    if e.has & CHANGEABLE == 0 {
        return Err(("", "nothing to change"));
    }
    if e.has(CT_HAS_MARK_MASK) && !e.has(CT_HAS_MARK) {
        return Err(("mark_mask", "without a mark"));
    }
    if e.has(CT_HAS_LABELS_ADD | CT_HAS_LABELS_REMOVE) {
        return Err(("labels", "are to be added and to be removed: which of both?"));
    }
    if e.has & (CT_HAS_LABELS_ADD | CT_HAS_LABELS_REMOVE) != 0 && !e.has(CT_HAS_LABELS) {
        return Err(("labels", "are to be added or removed, and none are announced"));
    }
    Ok(())
}

/// Why an entry cannot be made although nothing in it is wrong: the errno of its status, and the reason. Whatever may come from a
/// list is here, so that it does not keep the others of its list from being made again.
pub(super) fn impossible(e: &Entry) -> Option<(i32, &'static str)> {
    if e.status & !(CREATABLE & !NAT) == 0 && e.timeout != 0 && known(e).is_none() {
        None
    } else {
        why_impossible(e)
    }
}

#[cold]
#[inline(never)]
fn why_impossible(e: &Entry) -> Option<(i32, &'static str)> {
    if e.status & !CREATABLE != 0 {
        return Some((libc::EOPNOTSUPP, "its status has bits that only the kernel can give"));
    }
    if e.timeout == 0 {
        return Some((libc::ETIME, "its timeout is 0"));
    }
    known(e).or_else(|| translation(e).map(|reason| (libc::EINVAL, reason)))
}

/// What no kernel that this release knows would take.
pub(super) fn known(e: &Entry) -> Option<(i32, &'static str)> {
    if e.tcp_state > TCP_STATE_MAX || e.sctp_state > SCTP_STATE_MAX {
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
    let ports = e.proto != CT_PROTO_GRE;
    let (src_port, dst_port) = (ports && reply.dport != orig.sport, ports && reply.sport != orig.dport);
    match (e.status & CT_STATUS_SRC_NAT != 0, e.status & CT_STATUS_DST_NAT != 0) {
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

#[cfg(test)]
mod tests {
    use super::*;

    const ZONES: u64 = CT_HAS_ZONE | CT_HAS_ORIG_ZONE | CT_HAS_REPLY_ZONE;

    /// The name of a field, how it is set, and the bits that announce it: one of each group must be there.
    type Field = (&'static str, fn(&mut Entry), &'static [u64]);

    const FIELDS: [Field; 43] = [
        ("id", |e| e.id = 1, &[CT_HAS_ID]),
        ("status", |e| e.status = 1, &[CT_HAS_STATUS]),
        ("mark", |e| e.mark = 1 << 31, &[CT_HAS_MARK]),
        ("mark_mask", |e| e.mark_mask = 1, &[CT_HAS_MARK_MASK]),
        ("timeout", |e| e.timeout = 1, &[CT_HAS_TIMEOUT]),
        ("use_count", |e| e.use_count = 1, &[CT_HAS_USE]),
        ("zone", |e| e.zone = 1, &[ZONES]),
        ("orig.zone", |e| e.orig.zone = 1, &[CT_HAS_ZONE | CT_HAS_ORIG_ZONE]),
        ("reply.zone", |e| e.reply.zone = 1, &[CT_HAS_ZONE | CT_HAS_REPLY_ZONE]),
        ("orig.src", |e| e.orig.src[15] = 1, &[CT_HAS_ORIG]),
        ("orig.dst", |e| e.orig.dst[0] = 1, &[CT_HAS_ORIG]),
        ("reply.src", |e| e.reply.src[0] = 1, &[CT_HAS_REPLY]),
        ("reply.dst", |e| e.reply.dst[15] = 1, &[CT_HAS_REPLY]),
        ("orig.sport", |e| e.orig.sport = 1, &[CT_HAS_ORIG, CT_HAS_PORTS]),
        ("orig.dport", |e| e.orig.dport = 1, &[CT_HAS_ORIG, CT_HAS_PORTS]),
        ("reply.sport", |e| e.reply.sport = 1, &[CT_HAS_REPLY, CT_HAS_PORTS]),
        ("reply.dport", |e| e.reply.dport = 1, &[CT_HAS_REPLY, CT_HAS_PORTS]),
        ("orig.icmp_type", |e| e.orig.icmp_type = 1, &[CT_HAS_ORIG, CT_HAS_ICMP]),
        ("orig.icmp_code", |e| e.orig.icmp_code = 1, &[CT_HAS_ORIG, CT_HAS_ICMP]),
        ("orig.icmp_id", |e| e.orig.icmp_id = 1, &[CT_HAS_ORIG, CT_HAS_ICMP]),
        ("reply.icmp_type", |e| e.reply.icmp_type = 1, &[CT_HAS_REPLY, CT_HAS_ICMP]),
        ("reply.icmp_code", |e| e.reply.icmp_code = 1, &[CT_HAS_REPLY, CT_HAS_ICMP]),
        ("reply.icmp_id", |e| e.reply.icmp_id = 1, &[CT_HAS_REPLY, CT_HAS_ICMP]),
        ("labels", |e| e.labels[15] = 1, &[CT_HAS_LABELS]),
        ("helper", |e| e.helper[0] = 1, &[CT_HAS_HELPER]),
        ("orig_counters", |e| e.orig_counters.packets = 1 << 63, &[CT_HAS_ORIG_COUNTERS]),
        ("orig_counters", |e| e.orig_counters.bytes = 1, &[CT_HAS_ORIG_COUNTERS]),
        ("reply_counters", |e| e.reply_counters.packets = 1, &[CT_HAS_REPLY_COUNTERS]),
        ("reply_counters", |e| e.reply_counters.bytes = 1 << 63, &[CT_HAS_REPLY_COUNTERS]),
        ("start_ns", |e| e.start_ns = 1, &[CT_HAS_START]),
        ("stop_ns", |e| e.stop_ns = 1, &[CT_HAS_STOP]),
        ("tcp_state", |e| e.tcp_state = 1, &[CT_HAS_TCP_STATE]),
        ("tcp_wscale_orig", |e| e.tcp_wscale_orig = 1, &[CT_HAS_TCP_WSCALE]),
        ("tcp_wscale_reply", |e| e.tcp_wscale_reply = 1, &[CT_HAS_TCP_WSCALE]),
        ("tcp_flags_orig", |e| e.tcp_flags_orig = 1, &[CT_HAS_TCP_FLAGS]),
        ("tcp_flags_reply", |e| e.tcp_flags_reply = 1, &[CT_HAS_TCP_FLAGS]),
        ("tcp_mask_orig", |e| e.tcp_mask_orig = 1, &[CT_HAS_TCP_FLAGS]),
        ("tcp_mask_reply", |e| e.tcp_mask_reply = 1, &[CT_HAS_TCP_FLAGS]),
        ("sctp_state", |e| e.sctp_state = 1, &[CT_HAS_SCTP]),
        ("sctp_vtag_orig", |e| e.sctp_vtag_orig = 1, &[CT_HAS_SCTP]),
        ("sctp_vtag_reply", |e| e.sctp_vtag_reply = 1, &[CT_HAS_SCTP]),
        ("dccp_state", |e| e.dccp_state = 1, &[CT_HAS_DCCP]),
        ("dccp_role", |e| e.dccp_role = 1, &[CT_HAS_DCCP]),
    ];

    #[test]
    fn every_field_without_its_bit_is_refused_by_name_and_with_it_let_through() {
        for (name, set, groups) in FIELDS {
            let mut entry = Entry::EMPTY;
            set(&mut entry);
            for group in groups {
                entry.has = HAS_ALL & !group;
                assert_eq!(nothing_unannounced(&entry).map_err(|(field, _)| field), Err(name), "without {group:#x}");
            }
            entry.has = groups.iter().fold(0, |bits, group| bits | group);
            assert_eq!(nothing_unannounced(&entry), Ok(()), "{name}");
        }
    }

    #[test]
    fn the_bit_of_one_direction_announces_the_zone_of_that_one_alone() {
        let mut entry = Entry { has: CT_HAS_ORIG_ZONE, zone: 3, ..Entry::EMPTY };
        entry.orig.zone = 3;
        assert_eq!(nothing_unannounced(&entry), Ok(()));
        entry.has = CT_HAS_REPLY_ZONE;
        assert_eq!(nothing_unannounced(&entry).map_err(|(field, _)| field), Err("orig.zone"));
    }
}
