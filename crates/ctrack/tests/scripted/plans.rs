//! Every plan on every kind of kernel gives what a plain matcher says: list, delete, the delete that the kernel carries out by itself,
//! and the flush of a scope, in tables large enough for the planner to ask the kernel what it can do.

use super::chance::{self, Chance};
use super::judge;
use super::kernel::filtering::{has_filter, is_probe, Honours, Wanted};
use super::kernel::*;
use super::transport::Request;
use super::*;
use std::collections::{BTreeMap, BTreeSet};

/// How many entries a table says to have more than it has, so that no plan is too dear for it.
const MANY: u32 = 1_000_000;

type Ids = BTreeSet<u32>;

fn ids(entries: &[Entry]) -> Ids {
    entries.iter().map(|entry| entry.id).collect()
}

/// What the filters select, by the plain matcher.
fn selected(filters: &[Filter], entries: &[Entry]) -> Ids {
    entries.iter().filter(|entry| judge::selects(filters, entry)).map(|entry| entry.id).collect()
}

/// What was seen, and how often.
#[derive(Default)]
struct Seen(BTreeMap<&'static str, usize>);

impl Seen {
    fn saw(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    /// By what is sent when the filters are run, and by what the planner says of it.
    fn plan(&mut self, explained: &Explanation, requests: &[Request]) {
        let dumps = requests.iter().filter(|request| request.kind == GET && request.flags & F_DUMP == F_DUMP);
        let dumps = dumps.filter(|request| !is_probe(request));
        let filters: Vec<Wanted> = dumps.map(|request| Wanted::read(Honours::ALL, request).unwrap()).collect();
        if requests.iter().any(is_probe) {
            self.saw("probes");
        }
        if filters.iter().any(Wanted::is_from_nobody) {
            self.saw("IPv6 probe");
        }
        match (explained.look_ups, explained.dumps) {
            (0, 0) => self.saw("nothing"),
            (0, 1) if filters.iter().any(|filter| !filter.is_from_nobody() && filter.is_more_than_family()) => {
                self.saw("one filtered dump")
            }
            (0, 1) => self.saw("one dump"),
            (0, _) => self.saw("one dump for each"),
            _ if filters.is_empty() => self.saw("look-ups"),
            _ => self.saw("a dump instead of look-ups"),
        }
    }

    /// By the flushes that were sent.
    fn flushes(&mut self, requests: &[Request]) {
        for request in requests.iter().filter(|request| request.kind == DELETE && has_filter(request)) {
            match Wanted::read(Honours::ALL, request) {
                Ok(filter) if filter.orig.flags | filter.reply.flags != 0 => self.saw("tuple flush"),
                Ok(_) => self.saw("guarded flush"),
                Err(_) => self.saw("flush probe"),
            }
        }
    }

    fn at_least(&self, wanted: &[(&str, usize)]) {
        for (what, count) in wanted {
            let found = self.0.get(what).copied().unwrap_or(0);
            assert!(found >= *count, "{what}: {found} times, the test says too little: {:?}", self.0);
        }
    }
}

/// Whether a kernel refuses to dump what it is asked for, although the library knows what it honours: that costs a round.
fn is_refused(honours: Honours, request: &Request) -> bool {
    request.flags & F_DUMP == F_DUMP && !is_probe(request) && Wanted::read(honours, request).is_err()
}

/// Every kernel there can be, by what it honours.
fn kernels() -> impl Iterator<Item = Honours> {
    (0..64).map(|bits| {
        let bit = |at: u32| bits >> at & 1 == 1;
        let (status, zone, tuple) = (bit(0), bit(1), bit(2));
        Honours { mark: true, status, zone, tuple, ipv6: bit(3), flush: bit(4), refuses: bit(5), zone_0_is_all: bit(5) }
    })
}

fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().map_or(1, |seed| seed.parse().expect("SEED is a number"));
    println!("SEED={seed}");
    seed
}

/// For each kernel some random tables with some random filters each.
fn for_all(
    rounds: usize,
    mut run: impl FnMut(&mut Chance, Honours, &dyn Fn() -> (Conntrack, Script, Table), &[Entry], &str),
) {
    let seed = seed();
    for (number, honours) in kernels().enumerate() {
        let mut chance = Chance::new(seed.wrapping_mul(1000) + number as u64);
        for round in 0..rounds {
            let size = chance.pick(&[0, 1, 30, 30, 50, 50, 50, 100]);
            let entries = chance::table(&mut chance, size);
            let more = if size == 0 { 0 } else { chance.pick(&[0, MANY, MANY, MANY, MANY]) };
            let open = || {
                let table = Table::of(honours, &entries).claiming(more);
                let (conntrack, script) = on(&table);
                (conntrack, script, table)
            };
            let name = format!("SEED={seed}, kernel {number} ({honours:?}), round {round}, {more} more entries");
            run(&mut chance, honours, &open, &entries, &name);
        }
    }
}

#[test]
fn every_plan_lists_on_every_kernel_what_the_plain_matcher_selects() {
    let mut seen = Seen::default();
    // How often a condition alone decided that an entry is not taken, as a mistake in it shows then.
    let mut alone = [0; judge::CONDITIONS.len()];
    for_all(12, |chance, honours, open, entries, name| {
        let filters = match entries {
            [] => vec![Filter { mark: Some(Masked { value: 1, mask: 1 }), ..Filter::default() }],
            _ => chance::filters(chance, entries),
        };
        let explained = open().0.explain(&filters).unwrap();
        let (mut conntrack, script, _) = open();
        let listed = conntrack.list(&filters).unwrap_or_else(|error| panic!("{name}: {error}: {filters:?}"));
        let wanted = selected(&filters, entries);
        assert_eq!(ids(&listed), wanted, "{name}: {explained:?}: {filters:?}");
        assert_eq!(listed.len(), wanted.len(), "{name}: one comes twice: {explained:?}: {filters:?}");
        for one in &listed {
            assert_eq!(Some(one), entries.iter().find(|entry| entry.id == one.id), "{name}");
        }
        // The stream takes the same way, entry by entry.
        let (mut conntrack, ..) = open();
        let streamed: Vec<Entry> = conntrack.stream(&filters).unwrap().map(Result::unwrap).collect();
        assert_eq!(ids(&streamed), wanted, "{name}: {filters:?}");
        seen.plan(&explained, &script.requests());
        if script.requests().iter().any(is_probe) {
            let Caps { zone, status, tuple, ipv6, flush } = explained.caps;
            assert_eq!(
                (zone, status, tuple, flush),
                (honours.zone, honours.status, honours.tuple, honours.flush),
                "{name}"
            );
            assert!(!ipv6 || honours.ipv6 && honours.tuple, "{name}: believed of IPv6");
        }
        assert!(
            honours.refuses || !script.requests().iter().any(|request| is_refused(honours, request)),
            "{name}: {filters:?}"
        );
        for filter in filters.iter().filter(|filter| !filter.exclude) {
            for entry in entries {
                let mut broken = judge::broken(filter, entry);
                if let (Some(condition), None) = (broken.next(), broken.next()) {
                    alone[condition] += 1;
                }
            }
        }
    });
    seen.at_least(&[
        ("nothing", 30),
        ("probes", 150),
        ("IPv6 probe", 20),
        ("one filtered dump", 30),
        ("one dump", 30),
        ("one dump for each", 15),
        ("look-ups", 30),
        ("a dump instead of look-ups", 5),
    ]);
    let rare: Vec<_> = judge::CONDITIONS.iter().zip(alone).filter(|(_, count)| *count < 15).collect();
    assert!(rare.is_empty(), "conditions that hardly ever decide (scripted/chance.rs), and how often: {rare:?}");
}

#[test]
fn every_plan_deletes_on_every_kernel_what_the_plain_matcher_selects_and_nothing_else() {
    let (mut seen, mut hidden, mut deleted) = (Seen::default(), 0, 0);
    for_all(8, |chance, _, open, entries, name| {
        let [.., _] = entries else { return };
        let filters = chance::filters(chance, entries);
        if filters.iter().all(|filter| filter.exclude) {
            return;
        }
        let wanted = selected(&filters, entries);
        let (mut conntrack, _, table) = open();
        let outcome = conntrack.delete(&filters).unwrap_or_else(|error| panic!("{name}: {error}: {filters:?}"));
        let left = ids(&table.entries());
        assert_eq!((outcome.gone, outcome.spared), (0, 0), "{name}: {outcome:?}: {filters:?}");
        assert_eq!(outcome.matched as usize, wanted.len(), "{name}: {filters:?}");
        // An entry that others hide under all its names stays, and is told as failed.
        let stayed = wanted.intersection(&left).count();
        assert_eq!(
            (outcome.done as usize, outcome.failed as usize),
            (wanted.len() - stayed, stayed),
            "{name}: {filters:?}"
        );
        assert!(stayed == 0 || outcome.error.as_ref().map(Error::errno) == Some(libc::ENOTUNIQ), "{name}: {outcome:?}");
        let others: Ids = ids(entries).difference(&wanted).copied().collect();
        assert!(others.is_subset(&left), "{name}: deleted {:?}: {filters:?}", others.difference(&left));
        hidden += stayed;
        deleted += wanted.len() - stayed;

        let filters = if chance.one_in(3) { filters } else { chance::flushes(chance, entries) };
        let wanted = selected(&filters, entries);
        let others: Ids = ids(entries).difference(&wanted).copied().collect();
        let (mut conntrack, script, table) = open();
        let outcome =
            conntrack.delete_uncounted(&filters).unwrap_or_else(|error| panic!("{name}: {error}: {filters:?}"));
        let left = ids(&table.entries());
        let lost: Ids = others.difference(&left).copied().collect();
        assert!(lost.is_empty(), "{name}: deleted {lost:?} uncounted: {filters:?}");
        let stayed = wanted.intersection(&left).count();
        assert_eq!(stayed as u64, outcome.failed, "{name}: {outcome:?}: {filters:?}");
        assert!(outcome.uncounted || outcome.done as usize == wanted.len() - stayed, "{name}: {outcome:?}");
        seen.flushes(&script.requests());
    });
    assert!(deleted > 1000, "{deleted} deleted, {hidden} hidden: the test says too little");
    seen.at_least(&[("tuple flush", 5), ("guarded flush", 20), ("flush probe", 100)]);
}

#[test]
fn a_flush_of_a_scope_takes_on_every_kernel_what_the_plain_matcher_selects() {
    let mut seen = Seen::default();
    for_all(4, |chance, _, open, entries, name| {
        let [.., _] = entries else { return };
        let scope = chance::scope(chance, entries);
        let (mut conntrack, script, table) = open();
        let outcome = conntrack.flush(&scope).unwrap_or_else(|error| panic!("{name}: {error}: {scope:?}"));
        let left = ids(&table.entries());
        let wanted = selected(std::slice::from_ref(&scope), entries);
        let others: Ids = ids(entries).difference(&wanted).copied().collect();
        assert!(others.is_subset(&left), "{name}: flushed {:?}: {scope:?}", others.difference(&left));
        assert_eq!(wanted.intersection(&left).count() as u64, outcome.failed, "{name}: {outcome:?}: {scope:?}");
        seen.flushes(&script.requests());
    });
    seen.at_least(&[("guarded flush", 50)]);
}
