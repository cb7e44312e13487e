//! How a selection is run: the cheapest way that is right on the running kernel. Pure: no I/O.
//!
//! A plan only says what to ask the kernel for. Whatever comes back is compared with the selection, so a plan may ask for too
//! much; what it must never do is to ask for too little. That is why a filter is only handed down as far as the kernel is known
//! to honour it ([`Caps`]), and why addresses of IPv6, which some kernels match the wrong way round, need proof of their own.

use crate::selection::matcher::Matcher;
use crate::selection::Selection;
use crate::sort::sort;
use ctnetlink::kernel_filter::{KernelFilter, Side};
use ctnetlink::types::*;

/// What the running kernel is known to filter by in a dump. What is not known counts as not honoured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// The zone (Linux 6.8).
    pub zone: bool,
    /// The status (5.15).
    pub status: bool,
    /// Tuples: addresses of IPv4, ports of TCP and UDP, fields of ICMP (5.8).
    pub tuple: bool,
    /// Addresses of IPv6, the right way round (later than 6.18).
    pub ipv6: bool,
    /// Tuples in a flush (6.12).
    pub flush: bool,
}

/// How large the table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Entries of the network namespace.
    pub entries: u64,
    /// Buckets of the hash table, which all network namespaces share.
    pub buckets: u64,
}

/// What to ask the kernel for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Nothing: there are no entries.
    Nothing,
    /// The entries with these original tuples, each in its zone. A key says with `Has::REPLY_ZONE` that an entry with a zone
    /// for its reply direction only may be meant.
    LookUps(Vec<Entry>),
    /// One dump of what all filters have in common.
    Common(KernelFilter),
    /// One dump for each, with the number of the including filter that it is for.
    Each(Vec<(usize, KernelFilter)>),
}

/// The plan that was taken, for programs that want to know why something takes as long as it does: see
/// [`Conntrack::explain`](crate::Conntrack::explain).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// How many entries are looked up by tuple, without a walk over the table.
    pub look_ups: usize,
    /// How many walks over the table are made.
    pub dumps: usize,
    /// For each dump, what the kernel filters by, in words: "zone, orig src".
    pub kernel_filters: Vec<String>,
    /// What the kernel is known to honour.
    pub caps: Caps,
    /// The estimated cost, in nanoseconds on the machine of docs/planner.md: only good for comparing plans.
    pub cost: u64,
}

/// Nanoseconds for each bucket of a walk, whoever owns what is in it: its lock is taken.
const BUCKET: u64 = 34;
/// For each entry that a filter turns away.
const SKIPPED: u64 = 200;
/// For each entry that is sent and decoded.
const SENT: u64 = 2_000;
/// For each look-up in a batch.
const LOOK_UP: u64 = 4_000;
/// A filter that names an address is taken to let through one in so many entries, any other one in `COARSE`.
const FINE: u64 = 1_000;
const COARSE: u64 = 4;
/// More dumps than this are never cheaper than one: even one that sends nothing costs a tenth of one that sends all.
const MOST_DUMPS: usize = 10;

impl Plan {
    /// The cheapest plan. Where memory is short for another one it is the one that takes none.
    pub fn new(selection: &Selection, load: Load, caps: Caps) -> Plan {
        if load.entries == 0 {
            return Plan::Nothing;
        }
        let mut best = Plan::Common(common(selection.include(), caps));
        for other in [look_ups(selection.include()), each(selection.include(), caps)].into_iter().flatten() {
            if other.cost(load) < best.cost(load) {
                best = other;
            }
        }
        best
    }

    /// The plan that needs to know nothing of the table, if there is one: a few look-ups cost no more than finding out.
    pub fn at_once(selection: &Selection) -> Option<Plan> {
        const FEW: usize = 4;
        if selection.include().len() > FEW {
            return None;
        }
        look_ups(selection.include())
    }

    /// Estimated nanoseconds.
    pub fn cost(&self, load: Load) -> u64 {
        match self {
            Plan::Nothing => 0,
            Plan::LookUps(keys) => LOOK_UP * keys.len() as u64,
            Plan::Common(filter) => walk(filter, load),
            Plan::Each(filters) => filters.iter().map(|(_, filter)| walk(filter, load)).sum(),
        }
    }

    /// Whether the plan is worth asking the kernel what it can do: small tables are walked faster than asked about.
    pub fn wants_caps(selection: &Selection, load: Load) -> bool {
        let all = Caps { zone: true, status: true, tuple: true, ipv6: true, flush: true };
        let blind = Plan::new(selection, load, Caps::default()).cost(load);
        let seeing = Plan::new(selection, load, all).cost(load);
        seeing + 100_000 < blind
    }

    /// Whether the cheapest plan depends on how addresses of IPv6 are matched: finding out takes walks over the table.
    pub fn wants_ipv6(selection: &Selection, load: Load) -> bool {
        let all = Caps { zone: true, status: true, tuple: true, ipv6: true, flush: true };
        let others = Caps { ipv6: false, ..all };
        let walk =
            walk(&KernelFilter { proto: Some(Proto(0)), ..KernelFilter::default() }, Load { entries: 0, ..load });
        Plan::new(selection, load, all).cost(load) + walk < Plan::new(selection, load, others).cost(load)
    }

    /// What the plan is, in words for people and tests.
    pub fn explain(&self, load: Load, caps: Caps) -> Explanation {
        let filters: Vec<&KernelFilter> = match self {
            Plan::Nothing | Plan::LookUps(_) => Vec::new(),
            Plan::Common(filter) => vec![filter],
            Plan::Each(filters) => filters.iter().map(|(_, filter)| filter).collect(),
        };
        Explanation {
            look_ups: if let Plan::LookUps(keys) = self { keys.len() } else { 0 },
            dumps: filters.len(),
            kernel_filters: filters.iter().map(|filter| words(filter)).collect(),
            caps,
            cost: self.cost(load),
        }
    }
}

fn walk(filter: &KernelFilter, load: Load) -> u64 {
    let one_in = if filter.orig.src.or(filter.orig.dst).or(filter.reply.src).or(filter.reply.dst).is_some() {
        FINE
    } else if filter.is_more_than_family() {
        COARSE
    } else {
        1
    };
    let sent = load.entries / one_in;
    BUCKET.saturating_mul(load.buckets) + SKIPPED.saturating_mul(load.entries - sent) + SENT.saturating_mul(sent)
}

/// What all filters have in common.
fn common(include: &[Matcher], caps: Caps) -> KernelFilter {
    let Some((first, others)) = include.split_first() else {
        return KernelFilter::default();
    };
    let mut meet = Matcher { status: first.status, mark: first.mark, icmp: first.icmp, ..Matcher::default() };
    (meet.family, meet.proto, meet.zone) = (first.family, first.proto, first.zone);
    (meet.nets, meet.ports) = (first.nets, first.ports);
    others.iter().for_each(|other| intersect(&mut meet, other));
    let mut filter = kernel_filter(&meet, caps);
    if mutant!("common-tuple-wants-a-family", meet.family.is_none(), false) {
        filter.drop_tuple();
    }
    filter
}

/// Leaves the conditions that the other filter has too, of those that a kernel knows.
fn intersect(meet: &mut Matcher, other: &Matcher) {
    type Icmp = (Option<u8>, Option<u8>, Option<u16>);
    fn keep_icmp(a: &mut Icmp, b: &Icmp) {
        keep(&mut a.0, &b.0);
        keep(&mut a.1, &b.1);
        keep(&mut a.2, &b.2);
    }
    fn keep<T: PartialEq + Default>(a: &mut T, b: &T) {
        if a != b {
            *a = T::default();
        }
    }
    mutant!("common-family", keep(&mut meet.family, &other.family), ());
    mutant!("common-proto", keep(&mut meet.proto, &other.proto), ());
    mutant!("common-zone", keep(&mut meet.zone, &other.zone), ());
    mutant!("common-mark", keep(&mut meet.mark, &other.mark), ());
    mutant!("common-status", keep(&mut meet.status, &other.status), ());
    for role in 0..4 {
        mutant!("common-addresses", keep(&mut meet.nets[role], &other.nets[role]), ());
        mutant!("common-ports", keep(&mut meet.ports[role], &other.ports[role]), ());
    }
    mutant!("common-icmp", keep_icmp(&mut meet.icmp, &other.icmp), ());
}

/// One dump for each filter; two, one of each family, for a filter with a tuple but no family, since the kernel's tuple filter
/// wants one.
fn each(include: &[Matcher], caps: Caps) -> Option<Plan> {
    // An entry is taken from the dump of the first filter that matches it. What changes while an entry lives must be the same
    // in all filters, or one that changes between two dumps would be in none or in both.
    let mut pairs = include.windows(2);
    if pairs.any(|pair| mutant!("each-same-changes", pair[0].changing() != pair[1].changing(), false)) {
        return None;
    }
    if include.len() > MOST_DUMPS {
        return None;
    }
    let mut filters = Vec::new();
    for (number, matcher) in include.iter().enumerate() {
        let filter = kernel_filter(matcher, caps);
        filters.try_reserve(2).ok()?;
        if mutant!("each-in-both-families", filter.family == Family::UNSPEC && filter.has_tuple(), false) {
            for family in [Family::IPV4, Family::IPV6] {
                filters.push((number, KernelFilter { family, ..filter.clone() }));
            }
        } else {
            filters.push((number, filter));
        }
    }
    (!filters.is_empty() && filters.len() <= MOST_DUMPS).then_some(Plan::Each(filters))
}

/// As much of a filter as the kernel is known to honour.
fn kernel_filter(matcher: &Matcher, caps: Caps) -> KernelFilter {
    let mut filter = KernelFilter { family: matcher.family.unwrap_or_default(), ..KernelFilter::default() };
    if caps.zone {
        filter.zone = matcher.zone.and_then(|zone| u16::try_from(zone).ok());
    }
    // Older than every kernel that this library meets (3.5).
    filter.mark = masked(matcher.mark);
    if caps.status {
        filter.status = masked(matcher.status);
    }
    if caps.tuple {
        put_tuple(&mut filter, matcher, caps);
    }
    filter
}

fn masked((value, mask): (u32, u32)) -> Option<Masked<u32>> {
    (mask != 0).then_some(Masked { value, mask })
}

fn put_tuple(filter: &mut KernelFilter, matcher: &Matcher, caps: Caps) {
    filter.proto = matcher.proto;
    let (full, usable) = match matcher.family {
        Some(Family::IPV4) => (u128::MAX << 96, true),
        Some(Family::IPV6) => (u128::MAX, mutant!("ipv6-wants-proof", caps.ipv6, true)),
        _ => (0, false),
    };
    // Only exact addresses: the kernel knows no prefixes here.
    let address = |role: usize| {
        let net = matcher.nets[role].filter(|net| usable && mutant!("exact-addresses", net.mask == full, true))?;
        Some(net.value.to_be_bytes())
    };
    // The kernel compares ports of TCP and UDP only, and lets everything through for other protocols.
    let tcp_or_udp = matches!(matcher.proto, Some(Proto::TCP | Proto::UDP));
    let has_ports = mutant!("ports-of-tcp-and-udp", tcp_or_udp, matcher.proto.is_some_and(Proto::has_ports));
    let is_one = |a: &u16, b: &u16| mutant!("exact-ports", a == b, true);
    let port = |role: usize| matcher.ports[role].filter(|(a, b)| has_ports && is_one(a, b)).map(|(port, _)| port);
    filter.orig = Side { src: address(0), dst: address(1), sport: port(0), dport: port(1) };
    filter.reply = Side { src: address(2), dst: address(3), sport: port(2), dport: port(3) };
    if matcher.proto.is_some_and(Proto::is_icmp) {
        filter.icmp = matcher.icmp;
    }
}

/// If every filter pins a whole tuple and its zone: the keys to look up, each once. An entry whose zone holds for one direction
/// only has its other tuple in zone 0, so a zone of any direction takes two.
fn look_ups(include: &[Matcher]) -> Option<Plan> {
    let mut keys = Vec::new();
    for matcher in include {
        let key = pinned(matcher)?;
        // The reply direction of an entry whose original one is in no zone may be in one.
        let unzoned = Entry { has: key.has | Has::REPLY_ZONE, ..key };
        let in_zone = |zone| u16::try_from(zone).ok().map(|zone| key.in_zone(zone));
        keys.try_reserve(2).ok()?;
        match (mutant!("look-up-wants-a-zone", matcher.zone, matcher.zone.or(Some(0))), matcher.zones[0]) {
            (Some(0), _) => keys.push(key),
            (_, Some(0)) => keys.push(unzoned),
            (_, Some(zone)) => keys.push(in_zone(zone)?),
            (Some(zone), None) => {
                keys.push(in_zone(zone)?);
                mutant!("look-up-in-both-directions", keys.push(unzoned), ());
            }
            (None, None) => return None,
        }
    }
    let name = |key: &Entry| {
        let Tuple { src, dst, sport, dport, icmp_id, icmp_type, icmp_code, .. } = key.orig;
        let protocol = (key.family, key.proto, icmp_id, icmp_type, icmp_code);
        (src, dst, sport, dport, protocol, if key.has(Has::ZONE) { key.zone } else { 0 })
    };
    sort(&mut keys, &|a, b| name(a) < name(b));
    keys.dedup_by(|again, first| {
        let same = mutant!("look-up-once", name(again) == name(first), false);
        if same {
            first.has |= mutant!("look-up-for-both", again.has, Has::empty());
        }
        same
    });
    (!keys.is_empty()).then_some(Plan::LookUps(keys))
}

/// The key with the original tuple that the filter pins.
fn pinned(matcher: &Matcher) -> Option<Entry> {
    let family = matcher.family?;
    let full = if family == Family::IPV4 { u128::MAX << 96 } else { u128::MAX };
    let address = |role: usize| matcher.nets[role].filter(|net| net.mask == full).map(|net| net.value.to_be_bytes());
    let port = |role: usize| matcher.ports[role].filter(|(a, b)| a == b).map(|(port, _)| port);
    let proto = matcher.proto?;
    let mut key = Entry { has: Has::ORIG, family, proto, ..Entry::EMPTY };
    (key.orig.src, key.orig.dst) = (address(0)?, address(1)?);
    match proto {
        Proto::TCP | Proto::UDP | Proto::SCTP | Proto::UDPLITE => {
            (key.orig.sport, key.orig.dport) = (port(0)?, port(1)?);
            key.has |= Has::PORTS;
            // Its own mirror image: entries with it in either direction hide each other, and no name tells them apart.
            let mirrored = (key.orig.src, key.orig.sport) == (key.orig.dst, key.orig.dport);
            if mutant!("mirror-image-not-looked-up", mirrored, false) {
                return None;
            }
        }
        Proto::ICMP | Proto::ICMPV6 => {
            (key.orig.icmp_type, key.orig.icmp_code) = (matcher.icmp.0?, matcher.icmp.1?);
            key.orig.icmp_id = matcher.icmp.2?;
            key.has |= Has::ICMP;
        }
        _ => return None,
    }
    Some(key)
}

/// The filter as a flush that the kernel carries out alone, if that takes exactly what the filter takes: then nobody looks at
/// the entries again.
pub(crate) fn exact_flush(matcher: &Matcher, caps: Caps) -> Option<KernelFilter> {
    // All are named: the compiler asks for each new one. What has no name here, the kernel's filter has as it is, or others say it.
    let Matcher {
        proto,
        zone,
        zones,
        id,
        status,
        nets,
        ports,
        tcp_states,
        labels,
        helper,
        needs: _,
        family: _,
        mark: _,
        icmp: _,
        rest: _,
    } = matcher;
    let caps = Caps { ipv6: mutant!("ipv6-never-flushed", false, true), ..caps };
    let filter = kernel_filter(matcher, caps);
    // Zone 0 is left out: partial backports of the zone filter take it for "every zone".
    let zone = zone.is_none() || filter.zone.is_some_and(|zone| mutant!("zone-0-never-flushed", zone != 0, true));
    let status = status.1 == 0 || filter.status.is_some();
    let sides = [filter.orig.src, filter.orig.dst, filter.reply.src, filter.reply.dst];
    let nets = nets.iter().zip(sides).all(|(net, side)| net.is_none_or(|net| net.mask == 0 || side.is_some()));
    let sides = [filter.orig.sport, filter.orig.dport, filter.reply.sport, filter.reply.dport];
    let ports = ports.iter().zip(sides).all(|(range, side)| range.is_none() || side.is_some());
    let rest = mutant!("flush-tcp-states", tcp_states.is_none(), true)
        && mutant!("flush-labels", labels.1 == 0, true)
        && mutant!("flush-helper", helper.is_none(), true)
        // The kernel's zone is that of any direction, and it compares no ids.
        && mutant!("flush-own-zones", *zones == [None; 2], true)
        && mutant!("flush-id", id.is_none(), true);
    let proto = proto.is_none() || filter.proto.is_some();
    let family = mutant!("flush-tuple-wants-a-family", filter.family != Family::UNSPEC, true);
    let tuple = !filter.has_tuple() || (mutant!("flush-tuple-wants-proof", caps.flush, true) && family);
    let kept = mutant!("flush-zone", zone, true)
        && mutant!("flush-status", status, true)
        && mutant!("flush-addresses", nets, true)
        && mutant!("flush-ports", ports, true)
        && mutant!("flush-proto", proto, true);
    (kept && rest && tuple).then_some(filter)
}

/// The filter in the words of the field.
fn words(filter: &KernelFilter) -> String {
    let side = |side: &Side, names: [&'static str; 4]| {
        let set = [side.src.is_some(), side.dst.is_some(), side.sport.is_some(), side.dport.is_some()];
        names.into_iter().zip(set).filter(|(_, set)| *set).map(|(name, _)| name).collect::<Vec<_>>()
    };
    let mut words = Vec::new();
    for (word, set) in [
        ("family", filter.family != Family::UNSPEC),
        ("zone", filter.zone.is_some()),
        ("mark", filter.mark.is_some()),
        ("status", filter.status.is_some()),
        ("proto", filter.proto.is_some()),
        ("icmp", filter.icmp != Default::default()),
    ] {
        if set {
            words.push(word);
        }
    }
    words.extend(side(&filter.orig, ["orig src", "orig dst", "orig sport", "orig dport"]));
    words.extend(side(&filter.reply, ["reply src", "reply dst", "reply sport", "reply dport"]));
    if words.is_empty() {
        return "nothing".into();
    }
    words.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Filter;
    use std::net::IpAddr;

    const ALL: Caps = Caps { zone: true, status: true, tuple: true, ipv6: true, flush: true };
    const BUSY: Load = Load { entries: 250_000, buckets: 262_144 };

    fn plan(filters: &[Filter], caps: Caps) -> Plan {
        Plan::new(&Selection::new(filters).unwrap(), BUSY, caps)
    }

    fn from(address: &str) -> Filter {
        let address: IpAddr = address.parse().unwrap();
        Filter { orig_src: Some(address.into()), ..Filter::default() }
    }

    fn flow(zone: Option<u16>) -> Filter {
        let to: IpAddr = "10.0.0.2".parse().unwrap();
        let (proto, orig_dst) = (Some(Proto::TCP), Some(to.into()));
        let (orig_sport, orig_dport) = (Some(4000..=4000), Some(80..=80));
        Filter { zone, proto, orig_dst, orig_sport, orig_dport, ..from("10.0.0.1") }
    }

    fn only_dump(plan: Plan) -> KernelFilter {
        match plan {
            Plan::Common(filter) => filter,
            Plan::Each(mut filters) if filters.len() == 1 => filters.remove(0).1,
            other => panic!("not one dump: {other:?}"),
        }
    }

    #[test]
    fn an_empty_table_takes_nothing_at_all() {
        let selection = Selection::new(&[from("10.0.0.1")]).unwrap();
        assert_eq!(Plan::new(&selection, Load { entries: 0, buckets: 262_144 }, ALL), Plan::Nothing);
    }

    #[test]
    fn nothing_is_handed_down_to_a_kernel_that_is_not_known_to_honour_it() {
        let filter = Filter { zone: Some(7), status_set: Status::ASSURED, ..from("10.0.0.1") };
        let asked = only_dump(plan(&[filter], Caps::default()));
        assert_eq!(asked, KernelFilter { family: Family::IPV4, ..KernelFilter::default() });
    }

    #[test]
    fn a_whole_tuple_with_its_zone_is_looked_up_once_for_each_direction_of_the_zone() {
        let Plan::LookUps(keys) = plan(&[flow(Some(7))], ALL) else { panic!("not looked up") };
        assert_eq!(keys.iter().map(|key| key.zone).collect::<Vec<_>>(), [0, 7]);
        let Plan::LookUps(keys) = plan(&[flow(Some(0))], ALL) else { panic!("not looked up") };
        assert_eq!(keys.len(), 1);
    }

    #[test]
    fn a_whole_tuple_with_the_zone_of_its_own_direction_is_looked_up_once() {
        let keys = |zone, orig_zone, reply_zone| {
            let filter = Filter { orig_zone, reply_zone, ..flow(zone) };
            let Plan::LookUps(keys) = plan(std::slice::from_ref(&filter), ALL) else {
                panic!("not looked up: {filter:?}")
            };
            keys.iter().map(|key| (key.zone, key.has & (Has::ZONE | Has::REPLY_ZONE))).collect::<Vec<_>>()
        };
        assert_eq!(keys(None, Some(7), None), [(7, Has::ZONE)]);
        assert_eq!(keys(Some(7), Some(7), None), [(7, Has::ZONE)]);
        assert_eq!(keys(Some(7), None, Some(0)), [(7, Has::ZONE)]);
        // In zone 0 another entry may have the tuple in its other direction, since the reply direction may have a zone.
        assert_eq!(keys(None, Some(0), None), [(0, Has::REPLY_ZONE)]);
        assert_eq!(keys(Some(7), Some(0), None), [(0, Has::REPLY_ZONE)]);
        assert_eq!(keys(None, Some(0), Some(0)), [(0, Has::empty())]);
        // The reply direction's zone alone leaves open whether the original one is in it, too.
        assert_eq!(keys(None, None, Some(7)), [(0, Has::REPLY_ZONE), (7, Has::ZONE)]);
        let open = Filter { reply_zone: Some(0), ..flow(None) };
        assert!(!matches!(plan(&[open], ALL), Plan::LookUps(_)), "the original direction may be in any zone");
    }

    #[test]
    fn the_kernel_is_asked_for_the_zone_of_one_direction_only_as_far_as_it_is_that_of_any() {
        let asked = |zone, orig_zone, reply_zone| {
            only_dump(plan(&[Filter { zone, orig_zone, reply_zone, ..Filter::default() }], ALL)).zone
        };
        assert_eq!(asked(None, Some(7), None), Some(7));
        assert_eq!(asked(None, None, Some(7)), Some(7));
        assert_eq!(asked(None, Some(7), Some(0)), Some(7));
        assert_eq!(asked(None, Some(0), Some(0)), Some(0));
        assert_eq!(asked(None, Some(0), None), None, "the reply direction may be in any zone");
        assert_eq!(asked(None, None, Some(0)), None);
    }

    #[test]
    fn an_id_is_compared_by_us_and_never_by_the_kernel() {
        let with_id = Filter { id: Some(1), zone: Some(7), ..Filter::default() };
        let without = Filter { id: None, ..with_id.clone() };
        assert_eq!(plan(&[with_id], ALL), plan(&[without], ALL));
    }

    #[test]
    fn a_tuple_that_is_its_own_mirror_image_is_not_looked_up() {
        let mut filter = flow(Some(7));
        (filter.orig_dst, filter.orig_dport) = (filter.orig_src, filter.orig_sport.clone());
        assert!(Plan::at_once(&Selection::new(&[filter.clone()]).unwrap()).is_none());
        assert!(matches!(plan(&[filter], ALL), Plan::Common(_)));
    }

    #[test]
    fn a_whole_tuple_without_a_zone_may_be_in_every_zone_and_is_not_looked_up() {
        let asked = only_dump(plan(&[flow(None)], ALL));
        assert_eq!((asked.orig.sport, asked.orig.dport), (Some(4000), Some(80)));
        assert_eq!(asked.zone, None);
    }

    #[test]
    fn ports_of_protocols_for_which_the_kernel_ignores_them_are_not_handed_down() {
        for proto in [Proto::SCTP, Proto::UDPLITE, Proto::GRE, Proto::DCCP] {
            let filter = Filter { proto: Some(proto), orig_dport: Some(5..=5), ..from("10.0.0.1") };
            let asked = only_dump(plan(&[filter], ALL));
            assert_eq!((asked.proto, asked.orig.dport), (Some(proto), None));
        }
    }

    #[test]
    fn addresses_of_ipv6_are_handed_down_only_with_proof() {
        let asked = only_dump(plan(&[from("fd00::1")], Caps { ipv6: false, ..ALL }));
        assert_eq!((asked.family, asked.orig.src), (Family::IPV6, None));
        assert!(only_dump(plan(&[from("fd00::1")], ALL)).orig.src.is_some());
    }

    #[test]
    fn prefixes_and_ranges_stay_with_us() {
        let net: IpAddr = "10.0.0.0".parse().unwrap();
        let orig_src = Some(crate::filter::Prefix { address: net, length: 24 });
        let filter = Filter { orig_src, proto: Some(Proto::TCP), orig_dport: Some(1..=2), ..Filter::default() };
        let asked = only_dump(plan(&[filter], ALL));
        assert_eq!((asked.proto, asked.orig.clone()), (Some(Proto::TCP), Side::default()));
    }

    #[test]
    fn two_roles_of_a_dead_pod_take_a_dump_each_and_a_thousand_peers_one_for_all() {
        let pod: IpAddr = "10.0.0.7".parse().unwrap();
        let answered = Filter { reply_src: Some(pod.into()), ..Filter::default() };
        let Plan::Each(filters) = plan(&[from("10.0.0.7"), answered], ALL) else { panic!("not one each") };
        assert_eq!(filters.len(), 2);
        let peers: Vec<Filter> =
            (0..1000).map(|n| Filter { zone: Some(5), ..from(&format!("10.1.{}.{}", n / 256, n % 256)) }).collect();
        let Plan::Common(asked) = plan(&peers, ALL) else { panic!("more than one pass") };
        assert_eq!((asked.zone, asked.orig.src), (Some(5), None));
    }

    #[test]
    fn a_tuple_without_a_family_is_asked_for_in_both() {
        let filter = Filter { proto: Some(Proto::UDP), orig_dport: Some(53..=53), ..Filter::default() };
        let Plan::Each(filters) = plan(&[filter], ALL) else { panic!("not one each") };
        let families: Vec<Family> = filters.iter().map(|(_, filter)| filter.family).collect();
        assert_eq!(families, [Family::IPV4, Family::IPV6]);
    }

    #[test]
    fn excluding_filters_are_never_handed_down() {
        let excluded = Filter { exclude: true, zone: Some(5), ..from("10.0.0.1") };
        assert_eq!(plan(&[excluded], ALL), Plan::Common(KernelFilter::default()));
    }

    #[test]
    fn a_flush_is_exact_only_if_the_kernel_compares_all_that_the_filter_names() {
        let flush =
            |filter: Filter, caps| exact_flush(&Selection::new(&[filter]).unwrap().include()[0], caps).is_some();
        let zone = |zone| Filter { zone: Some(zone), ..Filter::default() };
        assert!(flush(zone(7), ALL) && flush(from("10.0.0.1"), ALL) && flush(flow(None), ALL));
        assert!(!flush(zone(7), Caps { zone: false, ..ALL }), "the zone would be ignored");
        assert!(!flush(zone(0), ALL), "zone 0 may mean every zone");
        assert!(!flush(from("fd00::1"), ALL), "addresses of IPv6 may be inverted");
        assert!(!flush(from("10.0.0.1"), Caps { flush: false, ..ALL }), "the tuple would be a key");
        let sctp = Filter { proto: Some(Proto::SCTP), orig_dport: Some(5..=5), ..from("10.0.0.1") };
        assert!(!flush(sctp, ALL), "the port would be ignored");
        let states = Filter { proto: Some(Proto::TCP), tcp_states: Some(TcpStates::ESTABLISHED), ..from("10.0.0.1") };
        assert!(!flush(states, ALL), "the state would be ignored");
        let assured = Filter { status_set: Status::ASSURED, ..Filter::default() };
        assert!(flush(assured.clone(), ALL) && !flush(assured, Caps { status: false, ..ALL }));
        let udp = Filter { proto: Some(Proto::UDP), ..Filter::default() };
        assert!(!flush(udp, ALL), "a tuple needs a family");
        let one_way = Filter { orig_zone: Some(7), ..Filter::default() };
        assert!(!flush(one_way.clone(), ALL), "the kernel takes the zone of any direction");
        assert!(!flush(Filter { reply_zone: Some(7), ..one_way }, ALL), "of one direction too");
        assert!(!flush(Filter { id: Some(1), ..zone(7) }, ALL), "the id would be ignored");
    }
}
