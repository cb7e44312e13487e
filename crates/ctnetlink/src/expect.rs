//! Expectations: connections that a helper waits for.
//!
//! The same trap as with entries: an EXP_DELETE without a whole tuple deletes every expectation, of all helpers, families and zones (6.18:
//! with a zone alone, an id alone, a family alone, a master alone). So [`put_delete`] takes an expectation and puts its tuple first, and
//! [`put_flush_all`] wants a [`FlushEverything`].

use super::attr::{put, put_nested, put_slice, put_word, Attrs};
use super::buffer::Buffer;
use super::consts::*;
use super::decode::{tuple, DPORT, DST, NUM, SPORT, SRC};
use super::encode::{begin_of, end, put_tuple, zone_bytes, FlushEverything};
use super::WireError;
use crate::types::*;
use bitflags::bitflags;
use core::ffi::c_char;
use core::fmt;

bitflags! {
    /// Which fields of an [`Expectation`] the kernel sent, or count in one that is given.
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ExpectHas: u64 {
        /// tuple: addresses and protocol of what is expected.
        const TUPLE = 1 << 0;
        /// mask: which bits of the tuple's source, and of its ports, must be those of a packet.
        const MASK = 1 << 1;
        /// master: the original tuple of the entry whose helper expects.
        const MASTER = 1 << 2;
        /// sport and dport of tuple, mask and nat.
        const PORTS = 1 << 3;
        /// sport and dport of master.
        const MASTER_PORTS = 1 << 4;
        /// timeout.
        const TIMEOUT = 1 << 5;
        /// id.
        const ID = 1 << 6;
        /// helper.
        const HELPER = 1 << 7;
        /// zone: that of the master. The kernel never sends it.
        const ZONE = 1 << 8;
        /// flags.
        const FLAGS = 1 << 9;
        /// class.
        const CLASS = 1 << 10;
        /// nat and nat_dir: how what comes is translated.
        const NAT = 1 << 11;
        /// function.
        const FUNCTION = 1 << 12;

        // Bits of a later release are kept, and refused.
        const _ = !0;
    }
}

impl ExpectHas {
    /// Every bit that has a name.
    pub const KNOWN: ExpectHas = ExpectHas::from_bits_retain((1 << 13) - 1);
}

bitflags! {
    /// Flags of an expectation (NF_CT_EXPECT_).
    #[repr(transparent)]
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct ExpectFlags: u32 {
        /// It stays when a connection came.
        const PERMANENT = 1 << 0;
        /// No connection fulfils it for now.
        const INACTIVE = 1 << 1;
        /// A program made it. Ignored in what is given (6.18).
        const USERSPACE = 1 << 2;

        // Those of a later kernel are kept.
        const _ = !0;
    }
}

/// A connection that a helper waits for.
///
/// 320 bytes, no pointers, no hidden padding. `has` says which fields the kernel sent (or, in one that is given to the library, which ones
/// count); all others are zero.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// Which fields count.
    pub has: ExpectHas,
    /// The kernel's number for it.
    pub id: u32,
    /// Seconds until it ends.
    pub timeout: u32,
    /// What is special about it.
    pub flags: ExpectFlags,
    /// Of which class of its helper it is, from 0 on: each has a most of its own.
    pub class: u32,
    /// The zone of the master. The kernel wants it with most requests, and never sends it.
    pub zone: u32,
    /// Which direction is translated by `nat`: 0 original, 1 reply.
    pub nat_dir: u32,
    /// The family of all addresses.
    pub family: Family,
    /// The protocol of what is expected.
    pub proto: Proto,
    /// The protocol of the master.
    pub master_proto: Proto,
    /// Zero.
    pub pad0: [u8; 5],
    /// What is expected: its original tuple, as far as the mask says.
    pub tuple: Tuple,
    /// Which bits count.
    pub mask: Tuple,
    /// The original tuple of the master.
    pub master: Tuple,
    /// What the source of a packet is translated to.
    pub nat: Tuple,
    /// The name of the helper, ended by a NUL.
    pub helper: [c_char; 16],
    /// What the kernel does with a connection that came, for example "nat-follow-master"; ended by a NUL.
    pub function: [c_char; 32],
    /// Zero.
    pub reserved: [u64; 7],
}

const _: () = assert!(size_of::<Expectation>() == 320);

impl Default for Expectation {
    fn default() -> Expectation {
        Expectation::EMPTY
    }
}

impl Expectation {
    /// One without any field.
    pub const EMPTY: Expectation = Expectation {
        has: ExpectHas::empty(),
        id: 0,
        timeout: 0,
        flags: ExpectFlags::empty(),
        class: 0,
        zone: 0,
        nat_dir: 0,
        family: Family::UNSPEC,
        proto: Proto(0),
        master_proto: Proto(0),
        pad0: [0; 5],
        tuple: Tuple::EMPTY,
        mask: Tuple::EMPTY,
        master: Tuple::EMPTY,
        nat: Tuple::EMPTY,
        helper: [0; 16],
        function: [0; 32],
        reserved: [0; 7],
    };

    /// Whether all of these fields count.
    pub const fn has(&self, fields: ExpectHas) -> bool {
        self.has.contains(fields)
    }

    /// The name of the helper, as far as it is one.
    ///
    /// ```
    /// use ctnetlink::expect::{ExpectHas, Expectation};
    /// let mut ftp = Expectation { has: ExpectHas::HELPER, ..Expectation::EMPTY };
    /// ftp.set_helper("ftp");
    /// assert_eq!(ftp.helper().as_deref(), Some(&b"ftp"[..]));
    /// ```
    pub fn helper(&self) -> Option<alloc::borrow::Cow<'_, [u8]>> {
        self.has(ExpectHas::HELPER).then(|| bytes_of(&self.helper))
    }

    /// The name of what the kernel does with a connection that came.
    pub fn function(&self) -> Option<alloc::borrow::Cow<'_, [u8]>> {
        self.has(ExpectHas::FUNCTION).then(|| bytes_of(&self.function))
    }

    /// Sets the name of the helper; what does not fit is cut off.
    pub fn set_helper(&mut self, name: &str) {
        keep_text(&mut self.helper, name.as_bytes());
        self.has |= ExpectHas::HELPER;
    }

    /// The entry of the master as a key: its original tuple and zone.
    ///
    /// ```
    /// use ctnetlink::expect::{put_create, Expectation};
    /// use ctnetlink::{Entry, Proto};
    /// let master = Entry::key(Proto::TCP, [10, 0, 0, 7].into(), 40001, [10, 0, 0, 8].into(), 21).expect("one family");
    /// let expected = Expectation::of(&master.in_zone(7)).expect("it has a tuple");
    /// assert_eq!(expected.master_key().orig, master.in_zone(7).orig);
    /// ```
    pub fn master_key(&self) -> Entry {
        let zone = if self.has(ExpectHas::ZONE) && self.zone != 0 { Has::ZONE } else { Has::empty() };
        let ports = if self.has(ExpectHas::MASTER_PORTS) { Has::PORTS } else { Has::empty() };
        let mut key = Entry {
            has: Has::ORIG | ports | zone,
            family: self.family,
            proto: self.master_proto,
            orig: self.master,
            ..Entry::EMPTY
        };
        if !zone.is_empty() {
            (key.zone, key.orig.zone, key.reply.zone) = (self.zone, self.zone, self.zone);
        }
        key
    }

    /// One that has nothing but its master: of an entry's original tuple and zone. `None`: the entry has no such tuple.
    pub fn of(master: &Entry) -> Option<Expectation> {
        if !master.has(Has::ORIG) {
            return None;
        }
        let ports = if master.has(Has::PORTS) { ExpectHas::MASTER_PORTS } else { ExpectHas::empty() };
        Some(Expectation {
            has: ExpectHas::MASTER | ExpectHas::ZONE | ports,
            family: master.family,
            master_proto: master.proto,
            master: Tuple { zone: 0, ..master.orig },
            zone: super::encode::zone_of(master, super::encode::By::Orig),
            ..Expectation::EMPTY
        })
    }
}

impl fmt::Debug for Expectation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = |bit| if self.has(bit) { Has::PORTS } else { Has::empty() };
        let mut out = f.debug_struct("Expectation");
        out.field("has", &self.has).field("family", &self.family);
        let (own, masters) = (ports(ExpectHas::PORTS), ports(ExpectHas::MASTER_PORTS));
        for (bit, name, tuple, ports) in [
            (ExpectHas::TUPLE, "tuple", &self.tuple, own),
            (ExpectHas::MASK, "mask", &self.mask, own),
            (ExpectHas::MASTER, "master", &self.master, masters),
            (ExpectHas::NAT, "nat", &self.nat, own),
        ] {
            if self.has(bit) {
                out.field(name, &tuple.shown(self.family, ports));
            }
        }
        out.field("proto", &self.proto).field("id", &self.id).field("timeout", &self.timeout);
        out.field("zone", &self.zone).field("flags", &self.flags).field("class", &self.class).finish()
    }
}

fn bytes_of<const N: usize>(text: &[c_char; N]) -> alloc::borrow::Cow<'_, [u8]> {
    // A char of C is signed on some machines.
    #[allow(clippy::unnecessary_cast, reason = "not on all machines")]
    let bytes = text.iter().map(|&byte| byte as u8).take_while(|&byte| byte != 0).collect();
    alloc::borrow::Cow::Owned(bytes)
}

/// Always with a NUL at the end.
fn keep_text<const N: usize>(to: &mut [c_char; N], from: &[u8]) {
    *to = [0; N];
    for (to, &from) in to[..N - 1].iter_mut().zip(from) {
        *to = from as c_char;
    }
}

/// Decodes the payload of a message about an expectation (from the nfgenmsg on) into `expectation`, whatever that held before.
///
/// ```
/// use ctnetlink::expect::{decode_expectation, Expectation};
/// let mut expectation = Expectation::EMPTY;
/// let fault = decode_expectation(&[2, 0, 0, 0], &mut expectation).unwrap_err();
/// assert_eq!(fault.to_string(), "CTA_EXPECT_TUPLE is missing");
/// ```
pub fn decode_expectation(payload: &[u8], expectation: &mut Expectation) -> Result<(), WireError> {
    *expectation = Expectation::EMPTY;
    let e = expectation;
    let Some((header, attributes)) = payload.split_first_chunk::<NFGENMSG_LEN>() else {
        return Err(WireError::BadMessage { length: payload.len(), available: payload.len() });
    };
    e.family = Family(header[0]);
    let (mut has, mut ports) = (ExpectHas::empty(), u16::MAX);
    let mut unused = Proto(0);
    for attr in Attrs::new(attributes, "the expectation") {
        let attr = attr?;
        match attr.kind {
            CTA_EXPECT_TUPLE => {
                ports &= whole(tuple(attr, "CTA_EXPECT_TUPLE", e.family, &mut e.tuple, &mut e.proto)?)?;
                has |= ExpectHas::TUPLE;
            }
            CTA_EXPECT_MASK => {
                ports &= tuple(attr, "CTA_EXPECT_MASK", e.family, &mut e.mask, &mut unused)?;
                has |= ExpectHas::MASK;
            }
            CTA_EXPECT_MASTER => {
                let seen = whole(tuple(attr, "CTA_EXPECT_MASTER", e.family, &mut e.master, &mut e.master_proto)?)?;
                has |= ExpectHas::MASTER;
                if seen & (SPORT | DPORT) == SPORT | DPORT {
                    has |= ExpectHas::MASTER_PORTS;
                }
            }
            CTA_EXPECT_TIMEOUT => {
                e.timeout = attr.be32("CTA_EXPECT_TIMEOUT")?;
                has |= ExpectHas::TIMEOUT;
            }
            CTA_EXPECT_ID => {
                e.id = attr.be32("CTA_EXPECT_ID")?;
                has |= ExpectHas::ID;
            }
            CTA_EXPECT_FLAGS => {
                e.flags = ExpectFlags::from_bits_retain(attr.be32("CTA_EXPECT_FLAGS")?);
                has |= ExpectHas::FLAGS;
            }
            CTA_EXPECT_CLASS => {
                e.class = attr.be32("CTA_EXPECT_CLASS")?;
                has |= ExpectHas::CLASS;
            }
            CTA_EXPECT_ZONE => {
                e.zone = u32::from(attr.be16("CTA_EXPECT_ZONE")?);
                has |= ExpectHas::ZONE;
            }
            CTA_EXPECT_HELP_NAME => {
                keep_text(&mut e.helper, until_nul(attr.value));
                has |= ExpectHas::HELPER;
            }
            CTA_EXPECT_FN => {
                keep_text(&mut e.function, until_nul(attr.value));
                has |= ExpectHas::FUNCTION;
            }
            CTA_EXPECT_NAT => {
                for attr in attr.nested("CTA_EXPECT_NAT") {
                    let attr = attr?;
                    match attr.kind {
                        CTA_EXPECT_NAT_DIR => e.nat_dir = attr.be32("CTA_EXPECT_NAT_DIR")?,
                        CTA_EXPECT_NAT_TUPLE => {
                            tuple(attr, "CTA_EXPECT_NAT_TUPLE", e.family, &mut e.nat, &mut unused)?;
                            has |= ExpectHas::NAT;
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    if !has.contains(ExpectHas::TUPLE) {
        return Err(WireError::Missing { attribute: "CTA_EXPECT_TUPLE" });
    }
    if ports & (SPORT | DPORT) == SPORT | DPORT {
        has |= ExpectHas::PORTS;
    } else {
        for tuple in [&mut e.tuple, &mut e.mask, &mut e.nat] {
            (tuple.sport, tuple.dport) = (0, 0);
        }
    }
    if !has.contains(ExpectHas::MASTER_PORTS) {
        (e.master.sport, e.master.dport) = (0, 0);
    }
    if !has.contains(ExpectHas::NAT) {
        (e.nat, e.nat_dir) = (Tuple::EMPTY, 0);
    }
    for tuple in [&mut e.tuple, &mut e.mask, &mut e.master, &mut e.nat] {
        tuple.zone = 0;
    }
    e.has = has;
    Ok(())
}

/// A tuple without an address or protocol is none.
fn whole(seen: u16) -> Result<u16, WireError> {
    if seen & (SRC | DST) != SRC | DST {
        return Err(WireError::Missing { attribute: "an address of CTA_TUPLE_IP" });
    }
    if seen & NUM == 0 {
        return Err(WireError::Missing { attribute: "CTA_PROTO_NUM" });
    }
    Ok(seen)
}

/// Appends the request for every expectation, or for those of a family.
///
/// ```
/// use ctnetlink::{buffer::Buffer, expect::put_dump, Family};
/// let mut buffer = Buffer::new();
/// put_dump(&mut buffer, 1, Family::UNSPEC);
/// assert_eq!(buffer.len(), 20);
/// ```
pub fn put_dump(buffer: &mut Buffer, seq: u32, family: Family) {
    let start = begin_of(buffer, expect_type(IPCTNL_MSG_EXP_GET), NLM_F_DUMP, seq, family, 0);
    end(buffer, start);
}

/// Appends the request for the expectations of one master, in its zone. It is acknowledged where the master has no helper: nothing else comes
/// then, not even the end of a dump (6.18).
///
/// ```
/// use ctnetlink::expect::{put_dump_of, Expectation};
/// use ctnetlink::{buffer::Buffer, Entry, Proto};
/// let master = Entry::key(Proto::TCP, [10, 0, 0, 7].into(), 40001, [10, 0, 0, 8].into(), 21).expect("one family");
/// put_dump_of(&mut Buffer::new(), 1, &Expectation::of(&master.in_zone(7)).expect("it has a tuple"));
/// ```
pub fn put_dump_of(buffer: &mut Buffer, seq: u32, of: &Expectation) {
    let flags = NLM_F_DUMP | NLM_F_ACK;
    let start = begin_of(buffer, expect_type(IPCTNL_MSG_EXP_GET), flags, seq, of.family, 0);
    put_tuple(buffer, CTA_EXPECT_MASTER, &shape(of, ExpectHas::MASTER_PORTS, of.master_proto), &of.master, None);
    put_zone(buffer, of);
    end(buffer, start);
}

/// Appends an EXP_NEW that sets the timeout of the expectation with this tuple and zone: of a new one the kernel ignores it.
///
/// ```
/// use ctnetlink::{buffer::Buffer, expect::{put_timeout, Expectation}};
/// put_timeout(&mut Buffer::new(), 1, &Expectation { timeout: 60, ..Expectation::EMPTY });
/// ```
pub fn put_timeout(buffer: &mut Buffer, seq: u32, e: &Expectation) {
    let start = begin_of(buffer, expect_type(IPCTNL_MSG_EXP_NEW), 0, seq, e.family, 0);
    let own = shape(e, ExpectHas::PORTS, e.proto);
    put_tuple(buffer, CTA_EXPECT_TUPLE, &own, &e.tuple, None);
    put_tuple(buffer, CTA_EXPECT_MASK, &own, &e.mask, None);
    put_tuple(buffer, CTA_EXPECT_MASTER, &shape(e, ExpectHas::MASTER_PORTS, e.master_proto), &e.master, None);
    put_zone(buffer, e);
    put_word(buffer, CTA_EXPECT_TIMEOUT, e.timeout);
    end(buffer, start);
}

/// Appends an EXP_GET of the expectation with the key's tuple, in its zone, if its id is that of the key.
///
/// ```
/// use ctnetlink::{buffer::Buffer, expect::{put_get, Expectation}};
/// let mut buffer = Buffer::new();
/// put_get(&mut buffer, 1, &Expectation::EMPTY);
/// ```
pub fn put_get(buffer: &mut Buffer, seq: u32, key: &Expectation) {
    let start = begin_of(buffer, expect_type(IPCTNL_MSG_EXP_GET), 0, seq, key.family, 0);
    put_key(buffer, key);
    end(buffer, start);
}

/// Appends an EXP_DELETE of the expectation with the key's tuple, in its zone, if its id is that of the key.
///
/// ```
/// use ctnetlink::{buffer::Buffer, expect::{put_delete, Expectation}};
/// let mut buffer = Buffer::new();
/// put_delete(&mut buffer, 1, &Expectation::EMPTY);
/// ```
pub fn put_delete(buffer: &mut Buffer, seq: u32, key: &Expectation) {
    let start = begin_of(buffer, expect_type(IPCTNL_MSG_EXP_DELETE), 0, seq, key.family, 0);
    put_key(buffer, key);
    end(buffer, start);
}

/// Appends an EXP_DELETE of every expectation of the network namespace, of all helpers, families and zones.
///
/// ```
/// use ctnetlink::{buffer::Buffer, encode::FlushEverything, expect::put_flush_all};
/// let mut buffer = Buffer::new();
/// put_flush_all(&mut buffer, 1, FlushEverything);
/// ```
pub fn put_flush_all(buffer: &mut Buffer, seq: u32, _: FlushEverything) {
    let start = begin_of(buffer, expect_type(IPCTNL_MSG_EXP_DELETE), NLM_F_ACK, seq, Family::UNSPEC, 0);
    end(buffer, start);
}

/// Appends an EXP_NEW that makes an expectation; it fails if there is one with its tuple.
///
/// ```
/// use ctnetlink::expect::{put_create, ExpectHas, Expectation};
/// use ctnetlink::{buffer::Buffer, Entry, Proto};
/// let master = Entry::key(Proto::TCP, [10, 0, 0, 7].into(), 40001, [10, 0, 0, 8].into(), 21).expect("one family");
/// let mut expected = Expectation::of(&master).expect("it has a tuple");
/// expected.has |= ExpectHas::TUPLE | ExpectHas::MASK | ExpectHas::PORTS;
/// (expected.proto, expected.tuple, expected.tuple.dport) = (Proto::TCP, master.orig, 8000);
/// let mut buffer = Buffer::new();
/// put_create(&mut buffer, 1, &expected);
/// ```
pub fn put_create(buffer: &mut Buffer, seq: u32, e: &Expectation) {
    let flags = NLM_F_CREATE | mutant!("expectation-is-exclusive", NLM_F_EXCL, 0);
    let start = begin_of(buffer, expect_type(IPCTNL_MSG_EXP_NEW), flags, seq, e.family, 0);
    let own = shape(e, ExpectHas::PORTS, e.proto);
    put_tuple(buffer, CTA_EXPECT_TUPLE, &own, &e.tuple, None);
    put_tuple(buffer, CTA_EXPECT_MASK, &own, &e.mask, None);
    put_tuple(buffer, CTA_EXPECT_MASTER, &shape(e, ExpectHas::MASTER_PORTS, e.master_proto), &e.master, None);
    put_zone(buffer, e);
    if e.has(ExpectHas::FLAGS) {
        put_word(buffer, CTA_EXPECT_FLAGS, e.flags.bits());
    }
    if e.has(ExpectHas::CLASS) {
        put_word(buffer, CTA_EXPECT_CLASS, e.class);
    }
    if e.has(ExpectHas::NAT) {
        put_nested(buffer, CTA_EXPECT_NAT, |buffer| {
            put_word(buffer, CTA_EXPECT_NAT_DIR, e.nat_dir);
            put_tuple(buffer, CTA_EXPECT_NAT_TUPLE, &own, &e.nat, None);
        });
    }
    for (bit, kind, text) in [
        (ExpectHas::HELPER, CTA_EXPECT_HELP_NAME, bytes_of(&e.helper)),
        (ExpectHas::FUNCTION, CTA_EXPECT_FN, bytes_of(&e.function)),
    ] {
        if e.has(bit) {
            // With its NUL.
            let mut room = [0; 32];
            let length = text.len().min(room.len() - 1);
            room[..length].copy_from_slice(&text[..length]);
            put_slice(buffer, kind, &room[..=length]);
        }
    }
    end(buffer, start);
}

/// The tuple first, whole, where no later attribute can hide it: without it all would be meant.
fn put_key(buffer: &mut Buffer, key: &Expectation) {
    put_tuple(buffer, CTA_EXPECT_TUPLE, &shape(key, ExpectHas::PORTS, key.proto), &key.tuple, None);
    put_zone(buffer, key);
    if mutant!("id-with-expectation", key.has(ExpectHas::ID), false) {
        put_word(buffer, CTA_EXPECT_ID, key.id);
    }
}

fn put_zone(buffer: &mut Buffer, e: &Expectation) {
    if mutant!("zone-with-expectation", e.has(ExpectHas::ZONE) && e.zone != 0, false) {
        put(buffer, CTA_EXPECT_ZONE, &zone_bytes(e.zone));
    }
}

/// What a tuple of an expectation is made of, in the words of an entry.
fn shape(e: &Expectation, ports: ExpectHas, proto: Proto) -> Entry {
    let has = if e.has(ports) { Has::PORTS } else { Has::empty() };
    Entry { has, family: e.family, proto, ..Entry::EMPTY }
}
