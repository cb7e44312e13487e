//! Many filters at the price of a few: which of a thousand matches an entry, without asking each.
//!
//! Every filter is filed under one thing that an entry must have for it to match: an address prefix of one of the four roles, or
//! one port. An entry is then only compared with what is filed under its own addresses and ports, and with the few filters that
//! name neither. Filters are never decided by where they are filed: what is found is compared in full.

use crate::filter::{addresses_of, ports_of, Matcher};
use crate::types::Entry;
use std::collections::{HashMap, TryReserveError};
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Up to so many filters are compared one by one: that is cheaper than a look-up.
const FEW: usize = 4;

/// A set of filters. Order matters: the first one that matches is found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    matchers: Vec<Matcher>,
    nets: Vec<NetTable>,
    ports: Vec<PortTable>,
    /// Those that are filed nowhere.
    rest: Vec<u32>,
}

type Table<K> = HashMap<K, Vec<u32>, BuildHasherDefault<Mix>>;

/// Filters filed under the prefix of an address.
#[derive(Clone, Debug)]
struct NetTable {
    role: usize,
    mask: u128,
    by_value: Table<u128>,
}

/// Filters filed under one port.
#[derive(Clone, Debug)]
struct PortTable {
    role: usize,
    by_port: Table<u16>,
}

impl Index {
    pub fn new(matchers: Vec<Matcher>) -> Result<Index, TryReserveError> {
        let mut index = Index { matchers, ..Index::default() };
        if index.matchers.len() <= FEW {
            index.rest.try_reserve_exact(index.matchers.len())?;
            index.rest.extend((0..).take(index.matchers.len()));
            return Ok(index);
        }
        let variety = Variety::of(&index.matchers)?;
        for at in 0..index.matchers.len() {
            index.file(at, &variety)?;
        }
        Ok(index)
    }

    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    fn file(&mut self, at: usize, variety: &Variety) -> Result<(), TryReserveError> {
        let matcher = &self.matchers[at];
        // There are never 2^32 filters: each takes a few hundred bytes.
        let number = u32::try_from(at).unwrap_or(u32::MAX);
        if let Some((role, net)) = variety.best_net(matcher) {
            let known = self.nets.iter_mut().find(|table| table.role == role && table.mask == net.mask);
            let table = match known {
                Some(table) => table,
                None => {
                    self.nets.try_reserve(1)?;
                    self.nets.push(NetTable { role, mask: net.mask, by_value: Table::default() });
                    self.nets.last_mut().expect("just pushed")
                }
            };
            push(&mut table.by_value, net.value, number)
        } else if let Some((role, port)) = variety.best_port(matcher) {
            let table = match self.ports.iter_mut().find(|table| table.role == role) {
                Some(table) => table,
                None => {
                    self.ports.try_reserve(1)?;
                    self.ports.push(PortTable { role, by_port: Table::default() });
                    self.ports.last_mut().expect("just pushed")
                }
            };
            push(&mut table.by_port, port, number)
        } else {
            self.rest.try_reserve(1)?;
            self.rest.push(number);
            Ok(())
        }
    }

    /// The first filter that matches the entry.
    #[inline]
    pub fn first_match(&self, entry: &Entry) -> Option<usize> {
        let mut best = self.first_of(&self.rest, u32::MAX, entry);
        if !self.nets.is_empty() {
            let addresses = addresses_of(entry).map(|address| u128::from_be_bytes(*address));
            for table in &self.nets {
                if let Some(filed) = table.by_value.get(&(addresses[table.role] & table.mask)) {
                    best = self.first_of(filed, best, entry);
                }
            }
        }
        for table in &self.ports {
            if let Some(filed) = table.by_port.get(&ports_of(entry)[table.role]) {
                best = self.first_of(filed, best, entry);
            }
        }
        (best != u32::MAX).then_some(best as usize)
    }

    /// The first of the `filed` filters, which are in order, that comes before `best` and matches; else `best`.
    #[inline]
    fn first_of(&self, filed: &[u32], best: u32, entry: &Entry) -> u32 {
        let matches = |&number: &u32| self.matchers[number as usize].matches(entry);
        let sooner = |&number: &u32| mutant!("first-filter", number < best, true);
        filed.iter().copied().take_while(sooner).find(matches).unwrap_or(best)
    }
}

/// Files a filter.
fn push<K: Eq + Hash>(table: &mut Table<K>, key: K, number: u32) -> Result<(), TryReserveError> {
    table.try_reserve(1)?;
    let filed = table.entry(key).or_default();
    filed.try_reserve(1)?;
    filed.push(number);
    Ok(())
}

/// How many different values each role has over all filters: a filter is filed where it has the fewest neighbours.
struct Variety {
    nets: [usize; 4],
    ports: [usize; 4],
}

impl Variety {
    fn of(matchers: &[Matcher]) -> Result<Variety, TryReserveError> {
        let mut variety = Variety { nets: [0; 4], ports: [0; 4] };
        for role in 0..4 {
            let nets = matchers.iter().filter_map(|matcher| matcher.nets[role]);
            variety.nets[role] = different(nets.map(|net| (net.value, net.mask)))?;
            variety.ports[role] = different(matchers.iter().filter_map(|matcher| one_port(matcher, role)))?;
        }
        Ok(variety)
    }

    /// The role with the most values tells most; of two such, the one with the longer prefix.
    fn best_net(&self, matcher: &Matcher) -> Option<(usize, crate::filter::Net)> {
        let nets = matcher.nets.iter().enumerate().filter_map(|(role, net)| net.map(|net| (role, net)));
        nets.filter(|(_, net)| net.mask != 0).max_by_key(|(role, net)| (self.nets[*role], net.mask.count_ones()))
    }

    fn best_port(&self, matcher: &Matcher) -> Option<(usize, u16)> {
        let ports = (0..4).filter_map(|role| one_port(matcher, role).map(|port| (role, port)));
        ports.max_by_key(|(role, _)| self.ports[*role])
    }
}

/// How many different values there are.
///
/// Sorted, and not hashed: std's hasher keeps its keys in thread-local storage, for which glibc, in a library that was loaded
/// by dlopen(), allocates when a thread first uses it, and aborts if it cannot.
fn different<T: Ord>(values: impl Iterator<Item = T> + Clone) -> Result<usize, TryReserveError> {
    let mut sorted = Vec::new();
    sorted.try_reserve_exact(values.clone().count())?;
    sorted.extend(values);
    sorted.sort_unstable();
    sorted.dedup();
    Ok(sorted.len())
}

fn one_port(matcher: &Matcher, role: usize) -> Option<u16> {
    matcher.ports[role].filter(|(first, last)| first == last).map(|(first, _)| first)
}

/// A hash for keys that come from the caller's own filters: nobody on the network can choose what is in a table, so it need
/// not resist anybody, and takes a tenth of the time of the standard one.
#[derive(Default)]
struct Mix(u64);

impl Hasher for Mix {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 29
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    #[inline]
    fn write_u16(&mut self, value: u16) {
        self.write_u64(value.into());
    }

    #[inline]
    fn write_u128(&mut self, value: u128) {
        self.write_u64((value >> 64) as u64);
        self.write_u64(value as u64);
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        // The golden ratio of 64 bits: an odd number without pattern.
        self.0 = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::{Filter, Prefix, Selection};
    use crate::types::*;
    use std::net::{IpAddr, Ipv4Addr};

    /// A generator that is good enough to vary tests: xorshift64*.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u64) -> u64 {
            self.0 ^= self.0 >> 12;
            self.0 ^= self.0 << 25;
            self.0 ^= self.0 >> 27;
            (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % limit
        }

        fn address(&mut self) -> IpAddr {
            IpAddr::V4(Ipv4Addr::new(10, 0, self.below(3) as u8, self.below(40) as u8))
        }

        fn prefix(&mut self) -> Prefix {
            let IpAddr::V4(address) = self.address() else { unreachable!() };
            let length = [32, 32, 32, 24, 30, 0][self.below(6) as usize];
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            Prefix { address: IpAddr::V4(Ipv4Addr::from(u32::from(address) & mask)), length }
        }

        fn filter(&mut self) -> Filter {
            let mut filter = Filter { exclude: self.below(8) == 0, ..Filter::default() };
            for role in [&mut filter.orig_src, &mut filter.orig_dst, &mut filter.reply_src, &mut filter.reply_dst] {
                if self.below(3) == 0 {
                    *role = Some(self.prefix());
                }
            }
            if self.below(2) == 0 {
                filter.proto = Some(CT_PROTO_TCP);
                let first = self.below(20) as u16;
                filter.orig_dport = Some(first..=first + self.below(2) as u16);
            }
            filter.zone = (self.below(4) == 0).then(|| self.below(3) as u16);
            filter
        }

        fn entry(&mut self) -> Entry {
            let (src, dst) = (self.address(), self.address());
            let mut entry = Entry::key(CT_PROTO_TCP, src, self.below(20) as u16, dst, self.below(20) as u16).unwrap();
            entry.reply = Tuple { src: entry.orig.dst, dst: entry.orig.src, ..entry.orig };
            entry.in_zone(self.below(3) as u16)
        }
    }

    #[test]
    fn an_indexed_selection_takes_what_asking_every_filter_takes() {
        let mut random = Random(42);
        let (mut taken, mut left) = (0, 0);
        for _ in 0..300 {
            let filters: Vec<Filter> = (0..1 + random.below(40)).map(|_| random.filter()).collect();
            let Ok(selection) = Selection::new(&filters) else { continue };
            let one = |filter: &Filter| Selection::new(&[Filter { exclude: false, ..filter.clone() }]).unwrap();
            let (exclude, include): (Vec<_>, Vec<_>) = filters.iter().partition(|filter| filter.exclude);
            for _ in 0..50 {
                let entry = random.entry();
                let first = include.iter().position(|filter| one(filter).selects(&entry));
                let first = if include.is_empty() { Some(0) } else { first };
                let wanted = first.filter(|_| !exclude.iter().any(|filter| one(filter).selects(&entry)));
                assert_eq!(selection.selected_by(&entry), wanted, "{entry:?} by {filters:?}");
                *(if wanted.is_some() { &mut taken } else { &mut left }) += 1;
            }
        }
        assert!(taken > 500 && left > 500, "{taken} taken, {left} left: the test tells nothing");
    }

    #[test]
    fn a_thousand_peers_are_filed_under_their_own_addresses() {
        let service: IpAddr = "10.96.0.10".parse().unwrap();
        let peer = |n: u16| IpAddr::V4(Ipv4Addr::new(10, 1, (n >> 8) as u8, n as u8));
        let filter = |n| Filter { orig_src: Some(peer(n).into()), orig_dst: Some(service.into()), ..Filter::default() };
        let matchers = Selection::new(&(0..1000).map(filter).collect::<Vec<_>>()).unwrap().include().to_vec();
        let index = Index::new(matchers).unwrap();
        assert!(index.rest.is_empty() && index.nets.len() == 1);
        assert!(index.nets[0].by_value.values().all(|filed| filed.len() == 1));
    }
}
