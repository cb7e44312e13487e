// SPDX-License-Identifier: MIT OR Apache-2.0

//! What it costs to find the first of many filters that matches an entry, beside one filter. Needs no privileges and no table.
//! Usage: filters [SHAPE]...
//!
//! For each shape of a set: how many filters, nanoseconds to prepare the set for each of them, nanoseconds for an entry, and how
//! many times that is what one filter costs: half of the entries are met by a filter of the set, half are not.

use ctrack::*;
use ctrack_benches::Failure;
use random::Random;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

#[path = "../../../../crates/ctnetlink/tests/support/random.rs"]
mod random;

/// As many as there are ports to name.
const MANY: u32 = 4000;
const ENTRIES: usize = 4096;
const ROUNDS: usize = 9;

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        (((self.next() >> 32) * u64::from(limit)) >> 32) as u32
    }
}

fn v4(n: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from(n))
}

fn v6(high: u64, low: u64) -> IpAddr {
    IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low)))
}

fn prefix(address: IpAddr, length: u8) -> Prefix {
    let address = match address {
        IpAddr::V4(v4) => {
            IpAddr::V4((u32::from(v4) & u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)).into())
        }
        IpAddr::V6(v6) => {
            IpAddr::V6((u128::from(v6) & u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)).into())
        }
    };
    Prefix { address, length }
}

fn udp(first: u32, last: u32) -> Filter {
    Filter { proto: Some(Proto::UDP), orig_dport: Some(first as u16..=last as u16), ..Filter::default() }
}

fn from(address: IpAddr) -> Filter {
    Filter { orig_src: Some(address.into()), ..Filter::default() }
}

fn to(filter: Filter) -> Filter {
    Filter { orig_dst: Some(v4(0x0a60_0001).into()), ..filter }
}

fn mark(value: u32, mask: u32) -> Filter {
    Filter { mark: Some(Masked { value: value & mask, mask }), ..Filter::default() }
}

/// One of the four addresses.
fn role(n: u32, prefix: Prefix) -> Filter {
    let prefix = Some(prefix);
    match n % 4 {
        0 => Filter { orig_src: prefix, ..Filter::default() },
        1 => Filter { orig_dst: prefix, ..Filter::default() },
        2 => Filter { reply_src: prefix, ..Filter::default() },
        _ => Filter { reply_dst: prefix, ..Filter::default() },
    }
}

/// Last halves of addresses that had the same hash in libctrack 0.1.
fn colliding(n: u32) -> IpAddr {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    const HIGH: u64 = 0x2001_0db8_0000_0001;
    let inverse = (0..6).fold(K, |x, _| x.wrapping_mul(2u64.wrapping_sub(x.wrapping_mul(K))));
    let wanted = (u64::from(n) << 30) & 0x01ff_ffff_c000_0000;
    let state = (0..3).fold(wanted, |y, _| wanted ^ (y >> 29));
    v6(HIGH, state.rotate_left(32).wrapping_mul(inverse) ^ HIGH.wrapping_mul(K).rotate_left(32))
}

/// Half of what can be named, drawn for each filter: nothing parts such filters well.
fn wildcards(random: &mut Random) -> Filter {
    let mut filter = Filter { proto: Some(Proto::UDP), ..Filter::default() };
    let mut some = || (random.below(2) == 0).then(|| random.below(4) as u16);
    let address = |n: u16| v4(0x0a00_0000 + u32::from(n)).into();
    (filter.orig_src, filter.orig_dst) = (some().map(address), some().map(address));
    (filter.reply_src, filter.reply_dst) = (some().map(address), some().map(address));
    (filter.orig_sport, filter.orig_dport) = (some().map(|n| n..=n), some().map(|n| n..=n));
    filter.zone = some();
    filter.mark = some().map(|value| Masked { value: value.into(), mask: u32::MAX });
    filter
}

fn shapes() -> Vec<(&'static str, Vec<Filter>)> {
    let random = &mut Random(42);
    let mut set = |filter: &mut dyn FnMut(u32, &mut Random) -> Filter| (0..MANY).map(|n| filter(n, random)).collect();
    vec![
        ("one", vec![to(from(v4(0x0b00_0001)))]),
        ("four", (0..4).map(|n| to(from(v4(0x0b00_0000 + n)))).collect()),
        ("thousand-addresses", (0..1000).map(|n| from(v4(0x0b00_0000 + n))).collect()),
        ("addresses", set(&mut |_, random| from(v4(random.next() as u32)))),
        ("addresses6", set(&mut |_, random| from(v6(random.next(), random.next())))),
        ("collisions", set(&mut |n, _| from(colliding(n)))),
        ("peers-of-service", set(&mut |n, _| to(from(v4(0x0b00_0000 + n))))),
        ("ports-of-service", set(&mut |n, _| to(udp(n, n)))),
        ("ports", set(&mut |n, _| udp(n, n))),
        ("ranges", set(&mut |n, _| udp(n * 16, n * 16 + 15))),
        ("ranges-overlapping", set(&mut |n, _| udp(n, n + 100))),
        ("ranges-nested", set(&mut |n, _| udp(MANY - n, 65535 - MANY + n))),
        ("wide-ranges", set(&mut |n, _| Filter { orig_src: Some(v4(n).into()), ..udp(n, 60000) })),
        ("marks", set(&mut |n, _| mark(n, !0))),
        ("zones", set(&mut |n, _| Filter { zone: Some(n as u16), ..Filter::default() })),
        ("helpers", set(&mut |n, _| Filter { helper: Some(format!("helper-{n}")), ..Filter::default() })),
        ("prefixes", set(&mut |n, random| role(n, prefix(v4(random.next() as u32), 8 + (n / 4 % 25) as u8)))),
        (
            "prefixes6",
            set(&mut |n, random| role(n, prefix(v6(random.next(), random.next()), 16 + (n / 4 % 113) as u8))),
        ),
        (
            "status",
            set(&mut |n, _| {
                to(Filter {
                    status_set: Status::from_bits_retain(n & 0xfff),
                    status_clear: Status::from_bits_retain(!n & 0xfff),
                    ..Filter::default()
                })
            }),
        ),
        (
            "marks-many-masks",
            set(&mut |_, random| mark(random.next() as u32, (random.next() & random.next()) as u32 | 1)),
        ),
        ("wildcards", set(&mut |_, random| wildcards(random))),
    ]
}

/// An entry that this filter matches.
fn met(filter: &Filter, random: &mut Random) -> Entry {
    let mut entry = other(random);
    let bytes = |address: &Option<Prefix>, own: [u8; 16]| address.map_or(own, |prefix| wire_address(prefix.address));
    entry.orig.src = bytes(&filter.orig_src, entry.orig.src);
    entry.orig.dst = bytes(&filter.orig_dst, entry.orig.dst);
    entry.reply.src = bytes(&filter.reply_src, entry.reply.src);
    entry.reply.dst = bytes(&filter.reply_dst, entry.reply.dst);
    let prefixes = [filter.orig_src, filter.orig_dst, filter.reply_src, filter.reply_dst];
    if prefixes.iter().flatten().any(|prefix| prefix.address.is_ipv6()) {
        entry.family = Family::IPV6;
    }
    entry.orig.sport = filter.orig_sport.as_ref().map_or(entry.orig.sport, |range| *range.start());
    entry.orig.dport = filter.orig_dport.as_ref().map_or(entry.orig.dport, |range| *range.start());
    entry = filter.zone.map_or(entry, |zone| entry.in_zone(zone));
    entry.mark = filter.mark.map_or(entry.mark, |mark| mark.value | entry.mark & !mark.mask);
    entry.status = entry.status & !filter.status_clear | filter.status_set;
    if let Some(helper) = &filter.helper {
        entry.has |= Has::HELPER;
        for (to, from) in entry.helper.iter_mut().zip(helper.bytes()) {
            *to = from as _;
        }
    }
    entry
}

/// An entry of another service.
fn other(random: &mut Random) -> Entry {
    let (src, dst) = (v4(0x0c00_0000 + random.below(1 << 24)), v4(0x0a60_0002 + random.below(100)));
    let mut entry =
        Entry::key(Proto::UDP, src, 20000 + random.below(40000) as u16, dst, 20000 + random.below(40000) as u16)
            .expect("of one family");
    entry.has |= Has::REPLY | Has::MARK | Has::STATUS;
    entry.reply = entry.orig;
    (entry.reply.src, entry.reply.dst) = (entry.orig.dst, entry.orig.src);
    (entry.mark, entry.status) = ((1 << 20) | random.below(1 << 20), Status::CONFIRMED);
    entry
}

fn wire_address(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)).wrapping_shl(96).to_be_bytes(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The least of some rounds: nanoseconds for each of `count`.
fn least(count: usize, work: &mut dyn FnMut()) -> f64 {
    let round = |_| {
        let begin = Instant::now();
        work();
        begin.elapsed().as_nanos() as f64 / count as f64
    };
    (0..ROUNDS).map(round).fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), Failure> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let mut of_one = f64::NAN;
    println!("{:<20} {:>7} {:>9} {:>9} {:>7}", "shape", "filters", "prepare", "entry", "of one");
    for (shape, filters) in shapes() {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == shape) && shape != "one" {
            continue;
        }
        let random = &mut Random(7);
        let entry = |n: usize| match n % 2 {
            0 => met(&filters[random.below(filters.len() as u32) as usize], random),
            _ => other(random),
        };
        let entries: Vec<Entry> = (0..ENTRIES).map(entry).collect();
        let selection = Selection::new(&filters)?;
        if entries.iter().filter(|entry| selection.selects(entry)).count() < ENTRIES / 2 {
            return Err(format!("{shape}: an entry is not met by its filter").into());
        }
        let prepare = least(filters.len(), &mut || drop(black_box(Selection::new(black_box(&filters)))));
        let mut look = || {
            for entry in &entries {
                black_box(selection.selects(black_box(entry)));
            }
        };
        let each = least(ENTRIES, &mut look);
        if shape == "one" {
            of_one = each;
        }
        println!("{shape:<20} {:>7} {prepare:>9.0} {each:>9.1} {:>7.1}", filters.len(), each / of_one);
    }
    Ok(())
}
