//! Bytes as structs. Every byte decides something, and bytes that are missing are zero, so that any input is a good one.

use ctrack::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// What is left of an input.
pub struct Input<'a>(&'a [u8]);

impl Input<'_> {
    pub fn new(bytes: &[u8]) -> Input<'_> {
        Input(bytes)
    }

    pub fn u8(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| self.u8())
    }

    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    pub fn below(&mut self, limit: u8) -> u8 {
        self.u8() % limit
    }

    /// Never at the end of the input.
    pub fn one_in(&mut self, limit: u8) -> bool {
        self.below(limit) == 1
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.u8()) % choices.len()]
    }

    /// One of a few, that differ in their first, a middle and their last bits.
    fn address(&mut self, family: Family) -> [u8; 16] {
        let b = self.u8();
        let mut address = [0; 16];
        if family == Family::IPV4 {
            address[..4].copy_from_slice(&[10, b >> 7, b >> 4 & 3, b & 3]);
        } else {
            (address[0], address[7], address[9], address[15]) = (0xfd, b >> 7, b >> 4 & 3, b & 3);
        }
        address
    }

    fn proto(&mut self, family: Family) -> Proto {
        match self.below(10) {
            0..=2 => Proto::TCP,
            3 | 4 => Proto::UDP,
            5 if family == Family::IPV4 => Proto::ICMP,
            5 => Proto::ICMPV6,
            6 => Proto::SCTP,
            7 => Proto::GRE,
            8 => Proto::UDPLITE,
            _ => Proto(99),
        }
    }

    /// An entry as the kernel lists it.
    pub fn entry(&mut self, id: u32) -> Entry {
        let family = if self.below(3) == 0 { Family::IPV6 } else { Family::IPV4 };
        let proto = self.proto(family);
        let mut e = Entry { family, proto, id, timeout: 100, ..Entry::EMPTY };
        e.has = Has::ORIG | Has::REPLY | Has::STATUS | Has::ID | Has::MARK | Has::TIMEOUT;
        let status = u32::from(self.u8() & 0x37) | u32::from(self.u8() & 0x40) << 8;
        e.status = Status::CONFIRMED | Status::from_bits_retain(status);
        e.mark = u32::from(self.u8() & 7) | u32::from(self.u8() & 0x80) << 24;
        (e.orig.src, e.orig.dst) = (self.address(family), self.address(family));
        (e.reply.src, e.reply.dst) = (e.orig.dst, e.orig.src);
        if self.one_in(3) {
            e.reply.src = self.address(family);
        }
        if self.one_in(3) {
            e.reply.dst = self.address(family);
        }
        if proto.is_icmp() {
            e.has |= Has::ICMP;
            let (asks, answers) = if proto == Proto::ICMP { (8, 0) } else { (128, 129) };
            (e.orig.icmp_type, e.reply.icmp_type) = if self.one_in(2) { (answers, asks) } else { (asks, answers) };
            e.orig.icmp_id = self.below(4).into();
            e.reply.icmp_id = e.orig.icmp_id;
        } else if proto.has_ports() {
            e.has |= Has::PORTS;
            (e.orig.sport, e.orig.dport) = (self.below(4).into(), self.below(4).into());
            (e.reply.sport, e.reply.dport) = (e.orig.dport, e.orig.sport);
            if self.one_in(3) {
                e.reply.sport = self.below(4).into();
            }
        }
        if proto == Proto::TCP {
            e.has |= Has::TCP_STATE;
            e.tcp_state = TcpState(self.below(10));
        }
        self.zone(&mut e);
        if self.one_in(4) {
            e.has |= Has::LABELS;
            e.labels[usize::from(self.below(16))] = 1 << self.below(8);
        }
        if self.one_in(6) {
            e.has |= Has::HELPER;
            e.helper[0] = self.one_of(b"fs") as _;
        }
        e
    }

    /// None, or one for both directions or for one.
    fn zone(&mut self, e: &mut Entry) {
        let zone = u32::from(self.below(4));
        if zone == 0 {
            return;
        }
        e.zone = zone;
        match self.below(4) {
            0 => (e.has, e.orig.zone) = (e.has | Has::ORIG_ZONE, zone),
            1 => (e.has, e.reply.zone) = (e.has | Has::REPLY_ZONE, zone),
            _ => (e.has, e.orig.zone, e.reply.zone) = (e.has | Has::ZONE, zone, zone),
        }
    }

    fn prefix(&mut self, family: Family) -> Prefix {
        let address = self.address(family);
        let width = if family == Family::IPV4 { 32 } else { 128 };
        let length = match self.below(6) {
            0 => 0,
            1 => width - 2,
            2 => width - 8,
            3 => self.u8() % (width + 1),
            _ => width,
        };
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - u32::from(length)) };
        let bytes = (u128::from_be_bytes(address) & mask).to_be_bytes();
        let [a, b, c, d, ..] = bytes;
        let v4 = IpAddr::V4(Ipv4Addr::new(a, b, c, d));
        Prefix { address: if family == Family::IPV4 { v4 } else { IpAddr::V6(Ipv6Addr::from(bytes)) }, length }
    }

    fn ports(&mut self) -> RangeInclusive<u16> {
        let first = u16::from(self.below(4));
        first..=first + u16::from(self.one_in(3))
    }

    /// A filter that makes sense by itself, of any combination of fields.
    pub fn filter(&mut self) -> Filter {
        // Few fields or many.
        let fields = self.u32() & if self.one_in(2) { u32::MAX } else { self.u32() };
        let family = if self.below(3) == 0 { Family::IPV6 } else { Family::IPV4 };
        let wanted = |field: u32| fields >> field & 1 == 1;
        let mut f = Filter { exclude: self.one_in(6), ..Filter::default() };
        f.family = wanted(0).then_some(family);
        f.zone = wanted(1).then(|| self.below(4).into());
        // Of one zone, as an entry has it; now and then one that no entry can have, which is refused.
        let zone = f.zone.unwrap_or_else(|| self.below(4).into());
        f.orig_zone = wanted(16).then(|| if self.one_in(2) { zone } else { 0 });
        f.reply_zone = wanted(17).then(|| if self.one_in(2) || f.orig_zone == Some(0) { zone } else { 0 });
        f.id = (wanted(18) && wanted(19)).then(|| self.below(8).into());
        f.mark = wanted(2).then(|| {
            let mask = u32::from(self.u8() & 7) | u32::from(self.u8() & 0x80) << 24;
            Masked { value: self.u32() & mask, mask }
        });
        if wanted(3) {
            f.status_set = Status::from_bits_retain((self.u8() & 0x3f).into());
            f.status_clear = Status::from_bits_retain((self.u8() & 0x37).into()) & !f.status_set;
        }
        f.orig_src = wanted(4).then(|| self.prefix(family));
        f.orig_dst = wanted(5).then(|| self.prefix(family));
        f.reply_src = wanted(6).then(|| self.prefix(family));
        f.reply_dst = wanted(7).then(|| self.prefix(family));
        f.proto = wanted(8).then(|| self.proto(family));
        match f.proto {
            Some(Proto::ICMP | Proto::ICMPV6) => {
                f.icmp_type = wanted(9).then(|| self.one_of(&[8, 0, 128, 129]));
                f.icmp_id = wanted(10).then(|| self.below(4).into());
                f.icmp_code = wanted(11).then(|| u8::from(self.one_in(5)));
            }
            Some(proto) if proto.has_ports() => {
                f.orig_sport = wanted(9).then(|| self.ports());
                f.orig_dport = wanted(10).then(|| self.ports());
                f.reply_sport = wanted(11).then(|| self.ports());
                f.reply_dport = wanted(12).then(|| self.ports());
                f.tcp_states = (wanted(13) && proto == Proto::TCP)
                    .then(|| TcpStates::from_bits_retain((self.u16() & 0x3ff).max(1)));
            }
            _ => {}
        }
        f.labels = wanted(14).then(|| {
            let (mut value, mut mask, at) = ([0; 16], [0; 16], usize::from(self.below(16)));
            mask[at] = self.u8();
            value[at] = self.u8() & mask[at];
            Masked { value, mask }
        });
        f.helper = wanted(15).then(|| self.one_of(&["f", "s"]).into());
        f
    }

    /// A filter that pins the entry's whole original tuple, and perhaps its zone: what can be looked up.
    pub fn filter_of(&mut self, e: &Entry) -> Filter {
        let full = |address| Some(Prefix::from(address));
        let mut f = Filter { family: Some(e.family), proto: Some(e.proto), ..Filter::default() };
        (f.orig_src, f.orig_dst) = (full(e.orig_src()), full(e.orig_dst()));
        if e.has(Has::PORTS) {
            (f.orig_sport, f.orig_dport) = (Some(e.orig.sport..=e.orig.sport), Some(e.orig.dport..=e.orig.dport));
        }
        if e.has(Has::ICMP) {
            (f.icmp_type, f.icmp_code, f.icmp_id) =
                (Some(e.orig.icmp_type), Some(e.orig.icmp_code), Some(e.orig.icmp_id));
        }
        f.zone = (!self.one_in(4)).then(|| u16::try_from(e.zone).unwrap_or(0) ^ u16::from(self.one_in(8)));
        match self.below(8) {
            1 => f.orig_zone = u16::try_from(e.orig.zone).ok(),
            2 => f.reply_zone = u16::try_from(e.reply.zone).ok(),
            3 => (f.zone, f.orig_zone) = (None, u16::try_from(e.orig.zone).ok()),
            4 => f.id = Some(e.id),
            _ => {}
        }
        f.status_set = if self.one_in(6) { Status::ASSURED } else { Status::empty() };
        f
    }

    /// Changes any bits of an entry.
    #[allow(unsafe_code)]
    pub fn flip(&mut self, e: &mut Entry) {
        let (at, bits) = (usize::from(self.u8()), self.u8());
        const { assert!(size_of::<Entry>() == 256) };
        // SAFETY: `at` lies within the 256 bytes of the entry, which has no padding; any bytes are one.
        unsafe { *std::ptr::from_mut(e).cast::<u8>().add(at) ^= bits };
    }
}
