//! Random filters with any fields, random kernels and loads, and a random table: the selection takes what a plain matcher takes;
//! no plan asks the kernel for too little, and each entry is taken exactly once; a flush that the kernel carries out alone takes
//! exactly what the filter takes.

use super::input::Input;
use super::Reached;
use super::{judge, naive};
use ctnetlink::kernel_filter::{KernelFilter, Side};
use ctrack::seams::{only_flush, Load, Plan};
use ctrack::*;

/// Plans one selection.
pub fn run(input: &[u8]) -> Reached {
    let mut u = Input::new(input);
    let bits = u.u8();
    let has = |bit: u8| bits >> bit & 1 == 1;
    let caps = Caps { zone: has(0), status: has(1), tuple: has(2), ipv6: has(3), flush: has(4) };
    let load = Load { entries: large(&mut u), buckets: large(&mut u) };
    let table: Vec<Entry> = (1..=u32::from(u.below(24))).map(|id| u.entry(id)).collect();
    let most = if has(5) { 17 } else { 4 };
    let kind = if table.is_empty() { 0 } else { bits >> 6 };
    let mut base = u.filter();
    base.exclude = false;
    let filters: Vec<Filter> = (0..u.below(most).max(kind & 1))
        .map(|_| match kind {
            // All of what can be looked up, or all with much in common, or of anything.
            1 if !u.one_in(40) => {
                let at = usize::from(u.u8()) % table.len();
                u.filter_of(&table[at])
            }
            2 | 3 if !u.one_in(20) => variant(&mut u, &base),
            _ => u.filter(),
        })
        .collect();
    let Ok(selection) = Selection::new(&filters) else {
        return vec!["refused"];
    };
    let plans: Vec<Plan> =
        [Some(Plan::new(&selection, load, caps)), Plan::at_once(&selection)].into_iter().flatten().collect();
    for plan in &plans {
        let explanation = plan.explain(load, caps);
        assert_eq!(explanation.dumps, explanation.kernel_filters.len());
        honoured(plan, caps);
    }
    // Only that they do not panic: what they say is a matter of cost.
    let _ = (Plan::wants_caps(&selection, load), Plan::wants_ipv6(&selection, load));
    let flush = only_flush(&selection, caps);
    let mut reached: Reached = plans.iter().map(name).collect();
    reached.extend(flush.as_ref().map(|_| "flush"));
    for e in &table {
        let wanted = judge::selected(&filters, e);
        assert_eq!(selection.selected_by(e), wanted, "{e:?} by {filters:?}");
        assert_eq!(selection.selects(e), wanted.is_some());
        assert!(!selection.takes_everything() || wanted.is_some());
        if let Some(filter) = &flush {
            assert!(
                !filter.has_tuple() || (caps.flush && filter.family != Family::UNSPEC),
                "not by this kernel: {filter:?}"
            );
            assert_eq!(passes(filter, e), wanted.is_some(), "{filter:?} flushes {e:?} of {filters:?}");
        }
        let Some(by) = wanted else { continue };
        reached.push("selected");
        for plan in &plans {
            let taken = taken(plan, e, by);
            let wanted = usize::from(*plan != Plan::Nothing || load.entries != 0);
            assert_eq!(taken, wanted, "{plan:?} takes {e:?} of {filters:?}");
        }
    }
    reached
}

/// The filter with other addresses and ports.
fn variant(u: &mut Input, base: &Filter) -> Filter {
    let Filter { orig_src, orig_dst, reply_src, reply_dst, orig_dport, family, .. } = u.filter();
    let same = family.is_some() && family == base.family;
    let mut f = base.clone();
    if same {
        (f.orig_src, f.orig_dst, f.reply_src, f.reply_dst) = (orig_src, orig_dst, reply_src, reply_dst);
    }
    if f.proto.is_some_and(Proto::has_ports) {
        f.orig_dport = orig_dport.or(f.orig_dport);
    }
    f
}

/// A number of any magnitude.
fn large(u: &mut Input) -> u64 {
    let digits = u.below(28);
    u64::from(u.u8()) << digits
}

fn name(plan: &Plan) -> &'static str {
    match plan {
        Plan::Nothing => "nothing",
        Plan::LookUps(_) => "look-ups",
        Plan::Common(filter) if *filter == KernelFilter::default() => "one dump of everything",
        Plan::Common(_) => "one filtered dump",
        Plan::Each(_) => "a dump for each",
    }
}

/// How often an entry is taken that the filter of this number selects.
fn taken(plan: &Plan, e: &Entry, by: usize) -> usize {
    match plan {
        Plan::Nothing => 0,
        Plan::Common(filter) => usize::from(passes(filter, e)),
        Plan::Each(dumps) => dumps.iter().filter(|(number, filter)| *number == by && passes(filter, e)).count(),
        Plan::LookUps(keys) => {
            let leads = |key: &&Entry| {
                (key.family, key.proto) == (e.family, e.proto)
                    && naive::bare(&key.orig) == naive::bare(&e.orig)
                    && naive::zone_in(key, false) == naive::zone_in(e, false)
                    // Without this it would not be seen that another entry hides it.
                    && (!e.has(Has::REPLY_ZONE) || key.has(Has::REPLY_ZONE))
            };
            keys.iter().filter(leads).count()
        }
    }
}

/// What the kernel does with a filter (ctnetlink_filter_match()), the right way round.
fn passes(filter: &KernelFilter, e: &Entry) -> bool {
    let KernelFilter { family, zone, mark, status, proto, orig, reply, icmp } = filter;
    let side = |Side { src, dst, sport, dport }: &Side, t: &Tuple| {
        let has_ports = matches!(e.proto, Proto::TCP | Proto::UDP);
        let port = |wanted: Option<u16>, port: u16| !has_ports || wanted.is_none_or(|wanted| wanted == port);
        src.is_none_or(|src| src == t.src)
            && dst.is_none_or(|dst| dst == t.dst)
            && port(*sport, t.sport)
            && port(*dport, t.dport)
    };
    (*family == Family::UNSPEC || *family == e.family)
        // nf_ct_zone_equal_any(): of either direction.
        && zone.is_none_or(|zone| u32::from(zone) == e.zone)
        && mark.is_none_or(|mark| e.mark & mark.mask == mark.value)
        && status.is_none_or(|status| e.status.bits() & status.mask == status.value)
        && proto.is_none_or(|proto| proto == e.proto)
        && side(orig, &e.orig)
        && side(reply, &e.reply)
        && icmp.0.is_none_or(|value| value == e.orig.icmp_type)
        && icmp.1.is_none_or(|value| value == e.orig.icmp_code)
        && icmp.2.is_none_or(|value| value == e.orig.icmp_id)
}

/// A plan asks for nothing that the kernel does not honour, and for nothing that it refuses.
fn honoured(plan: &Plan, caps: Caps) {
    let filters: Vec<&KernelFilter> = match plan {
        Plan::Common(filter) => vec![filter],
        Plan::Each(dumps) => dumps.iter().map(|(_, filter)| filter).collect(),
        Plan::Nothing | Plan::LookUps(_) => vec![],
    };
    for filter in filters {
        let sides = [&filter.orig, &filter.reply];
        let addressed = sides.iter().any(|side| side.src.is_some() || side.dst.is_some());
        let ported = sides.iter().any(|side| side.sport.is_some() || side.dport.is_some());
        assert!(caps.zone || filter.zone.is_none(), "{filter:?}");
        assert!(caps.status || filter.status.is_none(), "{filter:?}");
        assert!(caps.tuple || !filter.has_tuple(), "{filter:?}");
        assert!(caps.ipv6 || !addressed || filter.family != Family::IPV6, "{filter:?}");
        // ctnetlink_parse_tuple_filter(): a family, and a protocol with ports.
        assert!(filter.family != Family::UNSPEC || !filter.has_tuple(), "{filter:?}");
        assert!(!ported || matches!(filter.proto, Some(Proto::TCP | Proto::UDP)), "{filter:?}");
        let icmp = filter.icmp != Default::default();
        assert!(!icmp || matches!(filter.proto, Some(Proto::ICMP | Proto::ICMPV6)), "{filter:?}");
        for masked in [filter.mark, filter.status].into_iter().flatten() {
            assert!(masked.mask != 0 && masked.value & !masked.mask == 0, "{filter:?}");
        }
    }
}
