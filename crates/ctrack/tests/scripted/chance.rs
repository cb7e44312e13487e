//! Random tables and random filters that have something to do with each other.

use super::judge;
use super::random::Random;
use ctrack::*;
use std::net::IpAddr;

/// A generator that has warmed up.
pub struct Chance(Random);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        // Neighbouring seeds must not begin alike, and 0 is none.
        let mut chance = Chance(Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        for _ in 0..8 {
            chance.below(2);
        }
        chance
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.0.next() >> 33) as usize % limit
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// A key with all that the kernel adds.
pub fn listed(mut entry: Entry, id: u32) -> Entry {
    entry.has |= Has::REPLY | Has::STATUS | Has::TIMEOUT | Has::MARK | Has::ID | Has::USE;
    let Tuple { src, dst, sport, dport, zone, .. } = entry.orig;
    entry.reply = Tuple { src: dst, dst: src, sport: dport, dport: sport, ..entry.orig };
    entry.reply.zone = if entry.has(Has::ZONE) { zone } else { 0 };
    (entry.id, entry.status, entry.timeout, entry.use_count) = (id, Status::CONFIRMED, 100, 1);
    entry
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const PROTOS: [Proto; 10] = [
    Proto::TCP,
    Proto::TCP,
    Proto::UDP,
    Proto::UDP,
    Proto::SCTP,
    Proto::UDPLITE,
    Proto::GRE,
    Proto::ICMP,
    Proto::ICMP,
    Proto(89),
];
const PORTS: [u16; 4] = [80, 81, 443, 1024];
const ZONES: [u16; 4] = [5, 7, 0x0500, 65535];
const MARKS: [u32; 5] = [0, 1, 2, 3, 0x8000_0001];
/// All are confirmed as well.
const STATUSES: [Status; 5] =
    [Status::empty(), Status::SEEN_REPLY, Status::SEEN_REPLY.union(Status::ASSURED), Status::ASSURED, Status::OFFLOAD];
const HELPERS: [&str; 3] = ["ftp", "sip", "sip-0"];

/// A table as a kernel can have it.
pub fn table(chance: &mut Chance, count: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    while entries.len() < count {
        let mut new = entry(chance, 1 + entries.len() as u32);
        if !entries.is_empty() && chance.one_in(4) {
            // With the tuples of another one, in another zone or the other way round: one may hide the other then.
            let old = chance.pick(&entries);
            let (orig, reply) = if chance.one_in(3) { (old.orig, old.reply) } else { (old.reply, old.orig) };
            let zones = (new.orig.zone, new.reply.zone);
            let shape = Has::PORTS | Has::ICMP;
            new = Entry {
                has: new.has & !shape | old.has & shape,
                family: old.family,
                proto: old.proto,
                orig,
                reply,
                ..new
            };
            (new.orig.zone, new.reply.zone) = zones;
            if old.proto != Proto::TCP {
                (new.has, new.tcp_state) = (new.has & !Has::TCP_STATE, TcpState::NONE);
            }
            if chance.one_in(2) && old.zone != 0 {
                let which = chance.pick(&[Has::ORIG_ZONE, Has::REPLY_ZONE]);
                new.has = new.has & !(Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE) | which;
                new.zone = old.zone;
                new.orig.zone = if which == Has::REPLY_ZONE { 0 } else { old.zone };
                new.reply.zone = if which == Has::ORIG_ZONE { 0 } else { old.zone };
            }
        }
        if !entries.iter().any(|old| excludes(old, &new)) {
            entries.push(new);
        }
    }
    entries
}

/// Whether the kernel refuses to insert an entry because of one that is there: one of its tuples is taken, in the zone that it has in
/// the direction in which the other one has the tuple.
fn excludes(old: &Entry, new: &Entry) -> bool {
    let plain = |tuple: Tuple| Tuple { zone: 0, ..tuple };
    let zone = |entry: &Entry, by_reply: bool| if by_reply { entry.reply.zone } else { entry.orig.zone };
    (old.family, old.proto) == (new.family, new.proto)
        && [(old.orig, false), (old.reply, true)].iter().any(|(taken, by_reply)| {
            let same_zone = zone(old, *by_reply) == zone(new, *by_reply);
            same_zone && [new.orig, new.reply].iter().any(|tuple| plain(*tuple) == plain(*taken))
        })
}

fn address(chance: &mut Chance, v6: bool) -> IpAddr {
    let last = 1 + chance.below(4);
    let net = chance.below(2);
    ip(&if v6 { format!("fd00:{net}::{last}") } else { format!("10.0.{net}.{last}") })
}

fn entry(chance: &mut Chance, id: u32) -> Entry {
    let v6 = chance.one_in(3);
    let (src, dst) = (address(chance, v6), address(chance, v6));
    let (mut proto, request, answer) = (chance.pick(&PROTOS), if v6 { 128 } else { 8 }, if v6 { 129 } else { 0 });
    let mut entry = if proto == Proto::ICMP {
        proto = if v6 { Proto::ICMPV6 } else { Proto::ICMP };
        let code = chance.below(2) as u8;
        Entry::icmp_key(src, dst, request, code, chance.pick(&PORTS)).unwrap()
    } else {
        Entry::key(proto, src, chance.pick(&PORTS), dst, chance.pick(&PORTS)).unwrap()
    };
    if proto == Proto(89) {
        (entry.has, entry.orig.sport, entry.orig.dport) = (entry.has & !Has::PORTS, 0, 0);
    }
    let mut entry = listed(entry, id);
    if entry.has(Has::ICMP) {
        entry.reply.icmp_type = answer;
    }
    entry.status |= chance.pick(&STATUSES);
    if chance.one_in(4) {
        entry.status |= Status::SRC_NAT | Status::SRC_NAT_DONE;
        entry.reply.dst = address_bytes(address(chance, v6));
        if entry.has(Has::PORTS) {
            entry.reply.dport = chance.pick(&PORTS);
        }
    }
    if chance.one_in(2) {
        let zone = u32::from(chance.pick(&ZONES));
        let which = chance.pick(&[Has::ZONE, Has::ZONE, Has::ZONE, Has::ORIG_ZONE, Has::REPLY_ZONE]);
        (entry.has, entry.zone) = (entry.has | which, zone);
        entry.orig.zone = if which == Has::REPLY_ZONE { 0 } else { zone };
        entry.reply.zone = if which == Has::ORIG_ZONE { 0 } else { zone };
    }
    entry.mark = chance.pick(&MARKS);
    if proto == Proto::TCP && !chance.one_in(5) {
        (entry.has, entry.tcp_state) = (entry.has | Has::TCP_STATE, TcpState(chance.below(10) as u8));
    }
    if chance.one_in(3) {
        entry.has |= Has::LABELS;
        entry.labels[chance.pick(&[0, 1, 15])] = chance.pick(&[1, 2, 3, 0x80]);
    }
    if chance.one_in(4) {
        entry.has |= Has::HELPER;
        for (to, from) in entry.helper.iter_mut().zip(chance.pick(&HELPERS).bytes()) {
            *to = from as _;
        }
    }
    entry
}

/// Filters that a caller may use together: the first one includes.
pub fn filters(chance: &mut Chance, table: &[Entry]) -> Vec<Filter> {
    let count = chance.pick(&[1, 1, 1, 2, 2, 2, 3, 5, 12]);
    // Programs mostly name the same fields in all filters.
    let alike = chance.one_in(2).then(|| fields(chance));
    let pinned = chance.one_in(3);
    let mut filters: Vec<Filter> = (0..count)
        .map(|_| {
            let fields = alike.unwrap_or_else(|| fields(chance));
            let one = like(chance, table, fields);
            if pinned && one.has.intersects(Has::PORTS | Has::ICMP) {
                pinning(&one)
            } else {
                filter(chance, &one, fields)
            }
        })
        .collect();
    if chance.one_in(6) {
        // The same entry by two filters.
        let again = filters[0].clone();
        filters.push(again);
    }
    for filter in filters.iter_mut().skip(1) {
        filter.exclude = chance.one_in(6);
    }
    filters
}

/// One or two filters that some kernels can carry out alone.
pub fn flushes(chance: &mut Chance, table: &[Entry]) -> Vec<Filter> {
    (0..chance.pick(&[1, 1, 2]))
        .map(|_| {
            let fields =
                1 << chance.pick(&[0, 0, 1, 2, 3, 4, 5, 6]) | 1 << chance.pick(&[2, 3, 4, 5, 6, 7, 8, 9, 17, 18]);
            let one = like(chance, table, fields);
            filter(chance, &one, fields)
        })
        .collect()
}

/// An entry that has these fields, if there is one.
fn like(chance: &mut Chance, table: &[Entry], fields: u32) -> Entry {
    let has = |entry: &&Entry| match fields {
        _ if fields >> 13 & 7 != 0 => entry.has(Has::ICMP),
        _ if fields >> 16 & 1 != 0 => entry.proto == Proto::TCP,
        _ => fields >> 9 & 15 == 0 || entry.has(Has::PORTS),
    };
    let fit: Vec<Entry> = table.iter().filter(has).copied().collect();
    chance.pick(if fit.is_empty() { table } else { &fit })
}

/// A scope of a flush.
pub fn scope(chance: &mut Chance, table: &[Entry]) -> Filter {
    let one = chance.pick(table);
    let fields = 1 << chance.pick(&[0, 2, 3, 4]) | 1 << chance.pick(&[0, 2, 3, 4]);
    filter(chance, &one, fields)
}

/// Which conditions a filter has, as bits of [`judge`]'s numbers.
fn fields(chance: &mut Chance) -> u32 {
    // Those by which kernels filter: with them the planner has a choice.
    const KERNELS: [usize; 9] = [1, 2, 3, 4, 5, 6, 7, 9, 10];
    (0..chance.pick(&[1, 1, 2, 3])).fold(0, |fields, _| {
        fields | 1 << if chance.one_in(2) { chance.pick(&KERNELS) } else { chance.below(judge::CONDITIONS.len()) }
    })
}

/// A filter with all of an entry's original tuple, and its zone.
pub fn pinning(one: &Entry) -> Filter {
    let mut filter = Filter {
        proto: Some(one.proto),
        zone: Some(one.zone as u16),
        orig_src: Some(one.orig_src().into()),
        orig_dst: Some(one.orig_dst().into()),
        ..Filter::default()
    };
    if one.has(Has::PORTS) {
        filter.orig_sport = Some(one.orig.sport..=one.orig.sport);
        filter.orig_dport = Some(one.orig.dport..=one.orig.dport);
    } else {
        let Tuple { icmp_type, icmp_code, icmp_id, .. } = one.orig;
        (filter.icmp_type, filter.icmp_code, filter.icmp_id) = (Some(icmp_type), Some(icmp_code), Some(icmp_id));
    }
    filter
}

/// A filter that mostly holds for an entry.
fn filter(chance: &mut Chance, one: &Entry, fields: u32) -> Filter {
    let mut filter = Filter::default();
    for number in (0..judge::CONDITIONS.len()).filter(|number| fields >> number & 1 == 1) {
        let near = !chance.one_in(6);
        let mut address = |at: IpAddr| Some(prefix(chance, at));
        match number {
            5 => filter.orig_src = address(one.orig_src()),
            6 => filter.orig_dst = address(one.orig_dst()),
            7 => filter.reply_src = address(one.reply_src()),
            8 => filter.reply_dst = address(one.reply_dst()),
            2 => filter.zone = Some(if near { one.zone as u16 } else { chance.pick(&[0, 5, 7]) }),
            3 => {
                let mask = chance.pick(&[1, 2, 3, 0x8000_0000, u32::MAX]);
                let value = if near { one.mark } else { chance.pick(&MARKS) };
                filter.mark = Some(Masked { value: value & mask, mask });
            }
            4 => {
                let bits = chance.pick(&[Status::SEEN_REPLY, Status::ASSURED, Status::SRC_NAT, Status::OFFLOAD]);
                let clear = if near { !one.status.intersects(bits) } else { chance.one_in(2) };
                *(if clear { &mut filter.status_clear } else { &mut filter.status_set }) = bits;
            }
            9..=12 if one.has(Has::PORTS) => {
                let (tuple, field) = match number {
                    9 => (one.orig.sport, &mut filter.orig_sport),
                    10 => (one.orig.dport, &mut filter.orig_dport),
                    11 => (one.reply.sport, &mut filter.reply_sport),
                    _ => (one.reply.dport, &mut filter.reply_dport),
                };
                *field = Some(if chance.one_in(4) {
                    tuple.saturating_sub(1)..=tuple.saturating_add(1)
                } else {
                    tuple..=tuple
                });
                filter.proto = Some(one.proto);
            }
            13..=15 if one.has(Has::ICMP) => {
                match number {
                    13 => filter.icmp_type = Some(if chance.one_in(2) { one.orig.icmp_type } else { 3 }),
                    14 => filter.icmp_code = Some(one.orig.icmp_code),
                    _ => filter.icmp_id = Some(one.orig.icmp_id),
                }
                filter.proto = Some(one.proto);
            }
            16 if one.proto == Proto::TCP => {
                let other = TcpStates::from(TcpState(chance.below(10) as u8));
                filter.tcp_states = Some(if near { TcpStates::from(one.tcp_state) | other } else { other });
                filter.proto = Some(one.proto);
            }
            17 => {
                let mut mask = [0; 16];
                mask[chance.pick(&[0, 1, 15])] = chance.pick(&[1, 3, 0xff]);
                let value = std::array::from_fn(|at| one.labels[at] & mask[at]);
                filter.labels = Some(Masked { value, mask });
            }
            18 => filter.helper = Some(one.helper().unwrap_or_else(|| chance.pick(&HELPERS).into())),
            // Together with another zone only those that an entry can have.
            19 | 20 => {
                let alone = fields & (1 << 2 | 1 << 19 | 1 << 20) == 1 << number;
                let (own, field) = match number {
                    19 => (one.orig.zone, &mut filter.orig_zone),
                    _ => (one.reply.zone, &mut filter.reply_zone),
                };
                *field = Some(if near || !alone { own as u16 } else { chance.pick(&[0, 5, 7]) });
                filter.zone = filter.zone.map(|_| one.zone as u16);
            }
            // No delete takes an id alone.
            21 => {
                (filter.id, filter.family) =
                    (Some(if near { one.id } else { one.id.wrapping_add(1) }), Some(one.family))
            }
            // The protocol, also where the entry has none of the fields.
            1 | 9..=16 => filter.proto = Some(one.proto),
            _ => filter.family = Some(one.family),
        }
    }
    if fields & 1 != 0 {
        filter.family = Some(one.family);
    }
    filter
}

fn prefix(chance: &mut Chance, address: IpAddr) -> Prefix {
    let length = match (address, chance.below(8)) {
        (IpAddr::V4(_), 0) => 24,
        (IpAddr::V4(_), 1) => 30,
        (IpAddr::V6(_), 0) => 32,
        (IpAddr::V6(_), 1) => 126,
        (_, 2) => 0,
        _ => return address.into(),
    };
    let cut = |bytes: &mut [u8]| {
        for (at, byte) in bytes.iter_mut().enumerate() {
            let kept = length.min(8 * at + 8).saturating_sub(8 * at);
            *byte &= !(0xff_u32 >> kept) as u8;
        }
    };
    let address = match address {
        IpAddr::V4(address) => {
            let mut bytes = address.octets();
            cut(&mut bytes);
            IpAddr::from(bytes)
        }
        IpAddr::V6(address) => {
            let mut bytes = address.octets();
            cut(&mut bytes);
            IpAddr::from(bytes)
        }
    };
    Prefix { address, length: length as u8 }
}
