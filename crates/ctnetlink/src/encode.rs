//! Requests to the kernel.
//!
//! A DELETE without a tuple is a flush, and one whose attributes the kernel does not know flushes everything. So nothing
//! here can build one by accident: [`put_delete`] takes an entry and puts its tuple first, where no later attribute can
//! hide it, and [`put_flush_all`] wants a [`FlushEverything`], which says so in its name.
//!
//! A zone has 16 bits: for a larger number of an [`Entry`] these functions panic, since any other zone would be somebody else's.

use super::attr::{put, put_nested, put_slice, put_word};
use super::buffer::Buffer;
use super::consts::*;
use super::template;
use crate::types::*;

/// The caller really means the whole table of the network namespace: for [`put_flush_all`].
#[derive(Clone, Copy, Debug)]
pub struct FlushEverything;

/// Begins a message; its length is set by [`end`].
pub(crate) fn begin(buffer: &mut Buffer, kind: u16, flags: u16, seq: u32, family: Family, version: u8) -> usize {
    begin_of(buffer, message_type(kind), flags, seq, family, version)
}

/// The same for a message of any subsystem.
pub(crate) fn begin_of(buffer: &mut Buffer, kind: u16, flags: u16, seq: u32, family: Family, version: u8) -> usize {
    let start = buffer.len();
    let mut header = [0; NLMSG_HEADER_LEN + NFGENMSG_LEN];
    header[4..6].copy_from_slice(&kind.to_ne_bytes());
    header[6..8].copy_from_slice(&(NLM_F_REQUEST | flags).to_ne_bytes());
    header[8..12].copy_from_slice(&seq.to_ne_bytes());
    (header[16], header[17]) = (family.0, version);
    buffer.append(header.len()).copy_from_slice(&header);
    start
}

pub(crate) fn end(buffer: &mut [u8], start: usize) {
    let length = u32::try_from(buffer.len() - start).unwrap_or(u32::MAX);
    buffer[start..start + 4].copy_from_slice(&length.to_ne_bytes());
}

/// Sets NLM_F_ACK on the message that begins at `start`: on the last one of a batch, so that its end is seen.
///
/// ```
/// use ctnetlink::encode::{ask_for_ack, put_delete, Name};
/// use ctnetlink::{buffer::Buffer, Entry, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// let (mut buffer, mut last) = (Buffer::new(), 0);
/// for (seq, zone) in (1..).zip([5, 7]) {
///     last = buffer.len();
///     put_delete(&mut buffer, seq, &key.in_zone(zone), Name::ORIG);
/// }
/// ask_for_ack(&mut buffer, last);
/// ```
pub fn ask_for_ack(buffer: &mut [u8], start: usize) {
    let flags = u16::from_ne_bytes([buffer[start + 6], buffer[start + 7]]) | NLM_F_ACK;
    buffer[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
}

/// Sets NLM_F_ECHO on the message that begins at `start`: of a DELETE, so that the event of the entry's end is sent to who asked, too. The
/// kernel makes one if the entry reports what becomes of it (sysctl nf_conntrack_events when it was made), whether anybody listens or not.
///
/// ```
/// use ctnetlink::encode::{ask_for_echo, put_delete, Name};
/// use ctnetlink::{buffer::Buffer, Entry, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// let mut buffer = Buffer::new();
/// put_delete(&mut buffer, 1, &key, Name::ORIG);
/// ask_for_echo(&mut buffer, 0);
/// ```
pub fn ask_for_echo(buffer: &mut [u8], start: usize) {
    let flags = u16::from_ne_bytes([buffer[start + 6], buffer[start + 7]]) | NLM_F_ECHO;
    buffer[start + 6..start + 8].copy_from_slice(&flags.to_ne_bytes());
}

/// Which tuple of an entry a request names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// That of the original direction.
    Orig,
    /// That of the reply direction.
    Reply,
}

/// A name of an entry: what a request says for the kernel to find it.
///
/// The kernel's look-up knows no direction, and it lets an entry with a zone for one direction only have a tuple that another
/// entry has in its other direction. Which of both a name then leads to depends on the place in the hash chain, so that an
/// entry can be *hidden* under a name (6.1 and later). An entry with a zone has up to four names: each of its tuples, with the
/// zone for both directions (CTA_ZONE) or for that of the tuple (CTA_TUPLE_ZONE). For the tuple's own direction both mean the
/// same; an entry that has the tuple in the other direction is met in the zone by the first, in zone 0 by the second.
///
/// ```
/// use ctnetlink::encode::Name;
/// use ctnetlink::{Entry, Has, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// assert_eq!(Name::first_of(&key), Name::ORIG);
/// assert!(!Name::says_all(&key), "an entry of the same tuple may have taken its place");
/// assert_eq!(Name::all_of(&key).collect::<Vec<_>>(), [Name::ORIG, Name::REPLY]);
///
/// let listed = Entry { has: key.has | Has::REPLY | Has::ID, reply: ctnetlink::encode::mirror(&key), id: 4711, ..key };
/// assert_eq!(Name::first_of(&listed), Name::REPLY);
/// assert!(Name::says_all(&listed), "{listed:?}");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// By which tuple.
    pub by: By,
    /// The zone goes into the tuple.
    pub own_zone: bool,
}

impl Name {
    /// By the original tuple, with the zone for both directions.
    pub const ORIG: Name = Name { by: By::Orig, own_zone: false };
    /// By the reply tuple, with the zone for both directions.
    pub const REPLY: Name = Name { by: By::Reply, own_zone: false };

    /// The name under which an entry is deleted.
    ///
    /// By the reply tuple, since an id covers the entry's address in the kernel and its original tuple (nf_ct_get_id()): both
    /// together leave nothing of a successor's tuples open. By the original tuple where only that one has a zone, or another
    /// zone's entry with the same tuples would answer: such an entry is to be looked up first ([`Name::says_all`]).
    pub fn first_of(key: &Entry) -> Name {
        if key.has(Has::REPLY) && !key.has(Has::ORIG_ZONE) || !key.has(Has::ORIG) {
            Name::REPLY
        } else {
            Name::ORIG
        }
    }

    /// Whether the first name and an id leave no tuple open, so that a delete needs no look-up.
    ///
    /// A tuple that is its own mirror image does: named as the reply tuple, it also finds a successor that has it as the original
    /// one only.
    pub fn says_all(key: &Entry) -> bool {
        key.has(Has::ID | Has::ORIG | Has::REPLY)
            && mutant!("one-way-looked-up", !key.has.intersects(Has::ORIG_ZONE | Has::REPLY_ZONE), true)
            && mutant!("mirror-image-looked-up", key.orig.src != key.reply.src || key.orig != key.reply, true)
    }

    /// All names of an entry, best first. CTA_TUPLE_ZONE comes last: on 5.10 a mirrored entry of zone 0 answers to it.
    pub fn all_of(key: &Entry) -> impl Iterator<Item = Name> {
        let first = Name::first_of(key);
        let second = if first.by == By::Reply { Name::ORIG } else { Name::REPLY };
        let zone = |name: Name| zone_of(key, name.by) != 0;
        let usable = |name: Name| name.by == By::Reply || key.has(Has::ORIG);
        let own = [Name::ORIG, Name::REPLY].map(|name| (Name { own_zone: true, ..name }, zone(name) && usable(name)));
        [(first, true), (second, usable(second)), own[0], own[1]]
            .into_iter()
            .filter(|(_, is)| *is)
            .map(|(name, _)| name)
    }
}

/// The zone in which an entry has one of its tuples.
///
/// ```
/// use ctnetlink::encode::{zone_of, By};
/// use ctnetlink::{Entry, Has, Tuple};
/// let entry = Entry { has: Has::ORIG_ZONE, zone: 7, orig: Tuple { zone: 7, ..Tuple::EMPTY }, ..Entry::EMPTY };
/// assert_eq!((zone_of(&entry, By::Orig), zone_of(&entry, By::Reply)), (7, 0));
/// ```
pub fn zone_of(entry: &Entry, by: By) -> u32 {
    match by {
        _ if entry.has(Has::ZONE) => entry.zone,
        By::Orig if entry.has(Has::ORIG_ZONE) => entry.orig.zone,
        By::Reply if entry.has(Has::REPLY_ZONE) => entry.reply.zone,
        _ => 0,
    }
}

/// A GET of the entry that holds the key's tuple.
///
/// ```
/// use ctnetlink::encode::{put_get, Name};
/// use ctnetlink::{buffer::Buffer, Entry, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// let mut request = Buffer::new();
/// put_get(&mut request, 1, &key, Name::first_of(&key));
/// ```
pub fn put_get(buffer: &mut Buffer, seq: u32, key: &Entry, name: Name) {
    let start = begin(buffer, IPCTNL_MSG_CT_GET, 0, seq, key.family, 0);
    put_key(buffer, key, name);
    end(buffer, start);
}

/// A GET_CTRZERO: the entry that holds the key's tuple is answered, and its packets and bytes are counted from 0 on. The kernel compares no
/// id: whether it is the one that was meant shows in the answer.
///
/// ```
/// use ctnetlink::encode::{put_zero, Name};
/// use ctnetlink::{buffer::Buffer, Entry, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// let mut request = Buffer::new();
/// put_zero(&mut request, 1, &key, Name::first_of(&key));
/// ```
pub fn put_zero(buffer: &mut Buffer, seq: u32, key: &Entry, name: Name) {
    let start = begin(buffer, IPCTNL_MSG_CT_GET_CTRZERO, 0, seq, key.family, 0);
    put_key(buffer, key, name);
    end(buffer, start);
}

/// A DELETE of the entry that holds the key's tuple, if its id is still that of the key.
///
/// ```
/// use ctnetlink::encode::{put_delete, Name};
/// use ctnetlink::{buffer::Buffer, Entry, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// let mut request = Buffer::new();
/// put_delete(&mut request, 1, &key.in_zone(7), Name::first_of(&key));
/// ```
///
/// Version 1: with 0, kernels 5.2 and early 5.1 and 5.2 stable ones look the tuple up in the wrong family (commit
/// f8e608982022, mended by e7600865db32); others do not look at it here.
pub fn put_delete(buffer: &mut Buffer, seq: u32, key: &Entry, name: Name) {
    let start = begin(buffer, IPCTNL_MSG_CT_DELETE, 0, seq, key.family, mutant!("delete-version", 1, 0));
    put_key(buffer, key, name);
    if mutant!("id-with-delete", key.has(Has::ID), false) {
        put_word(buffer, CTA_ID, key.id);
    }
    end(buffer, start);
}

/// A DELETE of every entry of the network namespace.
///
/// ```
/// use ctnetlink::encode::{put_flush_all, FlushEverything};
/// let mut request = ctnetlink::buffer::Buffer::new();
/// put_flush_all(&mut request, 1, FlushEverything);
/// ```
pub fn put_flush_all(buffer: &mut Buffer, seq: u32, _: FlushEverything) {
    let start = begin(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, seq, Family::UNSPEC, 0);
    end(buffer, start);
}

/// The status bits that follow from NAT attributes.
const NAT_BITS: Status = Status::SRC_NAT.union(Status::DST_NAT).union(Status::SRC_NAT_DONE).union(Status::DST_NAT_DONE);

/// A NEW that makes the entry; it fails if there is one with either tuple.
///
/// ```
/// use ctnetlink::encode::put_create;
/// use ctnetlink::{buffer::Buffer, Entry, Has, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// let mut request = Buffer::new();
/// // The reply tuple is the mirror image of the original one unless given.
/// put_create(&mut request, 1, &Entry { has: key.has | Has::TIMEOUT, timeout: 30, ..key });
/// ```
pub fn put_create(buffer: &mut Buffer, seq: u32, entry: &Entry) {
    let flags = NLM_F_CREATE | mutant!("create-is-exclusive", NLM_F_EXCL, 0);
    let start = begin(buffer, IPCTNL_MSG_CT_NEW, flags, seq, entry.family, 0);
    let mirrored = mirror(entry);
    let wanted = if entry.has(Has::REPLY) { entry.reply } else { mirrored };
    let reply = untranslated(entry, &wanted, &mirrored);
    let own_zone = |bit, zone| entry.has(bit).then_some(zone);
    put_tuple(buffer, CTA_TUPLE_ORIG, entry, &entry.orig, own_zone(Has::ORIG_ZONE, entry.orig.zone));
    put_tuple(buffer, CTA_TUPLE_REPLY, entry, &reply, own_zone(Has::REPLY_ZONE, reply.zone));
    put_zone(buffer, entry);
    if entry.status.intersects(NAT_BITS) {
        put_nat(buffer, entry, &wanted);
    }
    put_values(buffer, entry, entry.status.difference(NAT_BITS | Status::HELPER));
    end(buffer, start);
}

/// A NEW that changes what `has` of `values` names of the entry that holds the key's tuple.
///
/// ```
/// use ctnetlink::encode::{put_update, Name};
/// use ctnetlink::{buffer::Buffer, Entry, Has, Proto};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// let values = Entry { has: Has::MARK, mark: 7, ..key };
/// let mut request = Buffer::new();
/// put_update(&mut request, 1, &key, Name::ORIG, &values);
/// ```
pub fn put_update(buffer: &mut Buffer, seq: u32, key: &Entry, name: Name, values: &Entry) {
    let start = begin(buffer, IPCTNL_MSG_CT_NEW, 0, seq, key.family, 0);
    put_key(buffer, key, name);
    put_values(buffer, values, values.status);
    end(buffer, start);
}

/// The tuple that identifies the entry, and the zone in which it does.
fn put_key(buffer: &mut Buffer, key: &Entry, name: Name) {
    let (kind, tuple) = match name.by {
        By::Orig => (CTA_TUPLE_ORIG, &key.orig),
        By::Reply => (CTA_TUPLE_REPLY, &key.reply),
    };
    let zone = zone_of(key, name.by);
    let own_zone = (mutant!("zone-of-the-tuple", name.own_zone, false) && zone != 0).then_some(zone);
    put_tuple(buffer, kind, key, tuple, own_zone);
    if own_zone.is_none() && mutant!("zone-with-key", zone != 0, false) {
        put(buffer, CTA_ZONE, &zone_bytes(zone));
    }
}

/// The zone of both directions, always of 2 bytes: of 4, the kernel would read the first two and take zone 0.
fn put_zone(buffer: &mut Buffer, entry: &Entry) {
    if entry.has(Has::ZONE) && entry.zone != 0 {
        put(buffer, CTA_ZONE, &zone_bytes(entry.zone));
    }
}

pub(crate) fn zone_bytes(zone: u32) -> [u8; 2] {
    u16::try_from(zone).expect("a zone has 16 bits").to_be_bytes()
}

pub(crate) fn put_tuple(buffer: &mut Buffer, kind: u16, entry: &Entry, tuple: &Tuple, own_zone: Option<u32>) {
    if entry.has(Has::PORTS) && own_zone.is_none() {
        return template::put_tuple(buffer, kind, entry.family, entry.proto, tuple);
    }
    put_nested(buffer, kind, |buffer| {
        put_nested(buffer, CTA_TUPLE_IP, |buffer| {
            if entry.family == Family::IPV4 {
                put_slice(buffer, CTA_IP_V4_SRC, &tuple.src[..4]);
                put_slice(buffer, CTA_IP_V4_DST, &tuple.dst[..4]);
            } else {
                put(buffer, CTA_IP_V6_SRC, &tuple.src);
                put(buffer, CTA_IP_V6_DST, &tuple.dst);
            }
        });
        put_nested(buffer, CTA_TUPLE_PROTO, |buffer| {
            put(buffer, CTA_PROTO_NUM, &[entry.proto.0]);
            put_proto_fields(buffer, entry, tuple);
        });
        if let Some(zone) = own_zone {
            put(buffer, CTA_TUPLE_ZONE, &zone_bytes(zone));
        }
    });
}

fn put_proto_fields(buffer: &mut Buffer, entry: &Entry, tuple: &Tuple) {
    if entry.has(Has::PORTS) {
        put(buffer, CTA_PROTO_SRC_PORT, &tuple.sport.to_be_bytes());
        put(buffer, CTA_PROTO_DST_PORT, &tuple.dport.to_be_bytes());
    }
    if entry.has(Has::ICMP) {
        let (id, icmp_type, code) = match entry.proto {
            Proto::ICMP => (CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE),
            _ => (CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE),
        };
        put(buffer, id, &tuple.icmp_id.to_be_bytes());
        put(buffer, icmp_type, &[tuple.icmp_type]);
        put(buffer, code, &[tuple.icmp_code]);
    }
}

/// The reply tuple as it was before NAT, which the kernel wants: it translates it by the NAT attributes itself.
///
/// But for the keys of GRE: those it does not translate (nf_nat_l4proto_unique_tuple(): "do not change tuples"), and keeps as they
/// come.
fn untranslated(entry: &Entry, wanted: &Tuple, mirrored: &Tuple) -> Tuple {
    let mut reply = *wanted;
    if entry.status.intersects(Status::SRC_NAT) {
        (reply.dst, reply.dport, reply.icmp_id) = (mirrored.dst, mirrored.dport, mirrored.icmp_id);
    }
    if entry.status.intersects(Status::DST_NAT) {
        (reply.src, reply.sport, reply.icmp_id) = (mirrored.src, mirrored.sport, mirrored.icmp_id);
    }
    if entry.proto == Proto::GRE {
        (reply.sport, reply.dport) = (wanted.sport, wanted.dport);
    }
    reply
}

/// NAT to the wanted reply tuple and no other: ranges of one address and one port or ICMP id, for source and destination, also for
/// the one that is not to be translated. Without a range of its own the kernel chooses for it, and so may make an entry with another
/// port, id or status if the wanted tuple is taken (seen with 6.18: a source port when only the destination of TCP was to be
/// translated). With both it has no choice, and says EEXIST. Where nothing is translated it notes that NAT was thought about.
fn put_nat(buffer: &mut Buffer, entry: &Entry, wanted: &Tuple) {
    let (mut src, mut dst) = (wanted.dport, wanted.sport);
    if entry.has(Has::ICMP) {
        // There is one id for both. The destination comes first (ctnetlink_setup_nat()): it changes the id if it is to be translated
        // and has no other address, and leaves it to the source if that is to be translated.
        src = wanted.icmp_id;
        let by_src = entry.status.intersects(Status::SRC_NAT);
        let by_dst = entry.status.intersects(Status::DST_NAT) && (!by_src || wanted.src == entry.orig.dst);
        dst = if by_dst || !by_src { wanted.icmp_id } else { entry.orig.icmp_id };
    }
    put_nat_range(buffer, CTA_NAT_SRC, entry, &wanted.dst, src);
    put_nat_range(buffer, CTA_NAT_DST, entry, &wanted.src, dst);
}

/// A NAT range of one address and, for protocols where it is translated, one port or ICMP id.
fn put_nat_range(buffer: &mut Buffer, kind: u16, entry: &Entry, address: &[u8; 16], port: u16) {
    put_nested(buffer, kind, |buffer| {
        if entry.family == Family::IPV4 {
            put_slice(buffer, CTA_NAT_V4_MINIP, &address[..4]);
        } else {
            put(buffer, CTA_NAT_V6_MINIP, address);
        }
        if entry.has.intersects(Has::PORTS | Has::ICMP) && entry.proto != Proto::GRE {
            put_nested(buffer, CTA_NAT_PROTO, |buffer| {
                put(buffer, CTA_PROTONAT_PORT_MIN, &port.to_be_bytes());
                put(buffer, CTA_PROTONAT_PORT_MAX, &port.to_be_bytes());
            });
        }
    });
}

/// What create and update can set.
fn put_values(buffer: &mut Buffer, entry: &Entry, status: Status) {
    if entry.has(Has::TIMEOUT) {
        put_word(buffer, CTA_TIMEOUT, entry.timeout);
    }
    if entry.has(Has::STATUS) {
        // Every entry that ctnetlink makes or finds is confirmed; without the bit the kernel answers EBUSY
        // (ctnetlink_change_status(): IPS_CONFIRMED may not change).
        put_word(buffer, CTA_STATUS, (status | mutant!("status-confirmed", Status::CONFIRMED, Status::empty())).bits());
    }
    if entry.has(Has::MARK) {
        put_word(buffer, CTA_MARK, entry.mark);
        if entry.has(Has::MARK_MASK) {
            put_word(buffer, CTA_MARK_MASK, entry.mark_mask);
        }
    }
    if entry.has(Has::LABELS) {
        put_labels(buffer, entry);
    }
    if entry.has(Has::HELPER) {
        put_nested(buffer, CTA_HELP, |buffer| {
            // With its NUL. What was checked has one.
            let name = entry.helper_bytes();
            let length = until_nul(&name).len();
            put_slice(buffer, CTA_HELP_NAME, name.get(..=length).unwrap_or(&name));
        });
    }
    put_protoinfo(buffer, entry);
}

/// All labels, or only those that are to be set or cleared: the kernel computes (old & ~mask) ^ labels
/// (nf_connlabels_replace()), so no bit of the labels may be outside the mask.
fn put_labels(buffer: &mut Buffer, entry: &Entry) {
    if entry.has(Has::LABELS_REMOVE) {
        put(buffer, CTA_LABELS, &[0; 16]);
    } else {
        put(buffer, CTA_LABELS, &entry.labels);
    }
    if entry.has.intersects(Has::LABELS_ADD | Has::LABELS_REMOVE) {
        put(buffer, CTA_LABELS_MASK, &entry.labels);
    }
}

fn put_protoinfo(buffer: &mut Buffer, entry: &Entry) {
    let tcp = entry.has.intersects(Has::TCP_STATE | Has::TCP_WSCALE | Has::TCP_FLAGS);
    if tcp && entry.proto == Proto::TCP {
        put_nested(buffer, CTA_PROTOINFO, |buffer| {
            put_nested(buffer, CTA_PROTOINFO_TCP, |buffer| put_tcp(buffer, entry))
        });
    }
    if entry.has(Has::SCTP) && entry.proto == Proto::SCTP {
        put_nested(buffer, CTA_PROTOINFO, |buffer| {
            put_nested(buffer, CTA_PROTOINFO_SCTP, |buffer| {
                put(buffer, CTA_PROTOINFO_SCTP_STATE, &[entry.sctp_state]);
                put(buffer, CTA_PROTOINFO_SCTP_VTAG_ORIGINAL, &entry.sctp_vtag_orig.to_be_bytes());
                put(buffer, CTA_PROTOINFO_SCTP_VTAG_REPLY, &entry.sctp_vtag_reply.to_be_bytes());
            });
        });
    }
}

fn put_tcp(buffer: &mut Buffer, entry: &Entry) {
    if entry.has(Has::TCP_STATE) {
        put(buffer, CTA_PROTOINFO_TCP_STATE, &[entry.tcp_state.0]);
    }
    if entry.has(Has::TCP_WSCALE) {
        put(buffer, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL, &[entry.tcp_wscale_orig]);
        put(buffer, CTA_PROTOINFO_TCP_WSCALE_REPLY, &[entry.tcp_wscale_reply]);
    }
    if entry.has(Has::TCP_FLAGS) {
        let mask = |mask: u8| if mask == 0 { 0xff } else { mask };
        put(buffer, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, &[entry.tcp_flags_orig, mask(entry.tcp_mask_orig)]);
        put(buffer, CTA_PROTOINFO_TCP_FLAGS_REPLY, &[entry.tcp_flags_reply, mask(entry.tcp_mask_reply)]);
    }
}

/// The reply tuple of an entry without NAT.
///
/// ```
/// use ctnetlink::{encode::mirror, Entry};
/// let echo = Entry::icmp_key([10, 0, 0, 7].into(), [10, 0, 0, 8].into(), 8, 0, 4711).expect("one family");
/// let reply = mirror(&echo);
/// assert_eq!((reply.src, reply.dst, reply.icmp_type), (echo.orig.dst, echo.orig.src, 0));
/// ```
pub fn mirror(entry: &Entry) -> Tuple {
    let orig = &entry.orig;
    Tuple {
        src: orig.dst,
        dst: orig.src,
        sport: orig.dport,
        dport: orig.sport,
        icmp_id: orig.icmp_id,
        icmp_type: icmp_answer(entry.proto, orig.icmp_type),
        icmp_code: orig.icmp_code,
        zone: entry.reply.zone,
    }
}

/// The ICMP type that answers a type (RFC 792, 950, 4443, 4620): echo, timestamp, information, address mask; echo and
/// node information. Others have no answer and stay as they are; the kernel refuses them.
fn icmp_answer(proto: Proto, icmp_type: u8) -> u8 {
    const ICMP: [(u8, u8); 4] = [(8, 0), (13, 14), (15, 16), (17, 18)];
    const ICMPV6: [(u8, u8); 2] = [(128, 129), (139, 140)];
    let pairs: &[(u8, u8)] = match proto {
        Proto::ICMP => &ICMP,
        Proto::ICMPV6 => &ICMPV6,
        _ => &[],
    };
    pairs
        .iter()
        .find_map(|&(a, b)| (icmp_type == a).then_some(b).or((icmp_type == b).then_some(a)))
        .unwrap_or(icmp_type)
}
