//! Many filters at the price of a few: which of thousands matches an entry first, without asking each.
//!
//! A tree tells the filters apart by what an entry must have for them to match. A node looks at one field: filters that want
//! values far from each other in it lie in different cells, of which an entry visits one; those to which the field does not
//! tell enough, since they do not name it or take values of several cells, lie in a part that entries visit besides. So each
//! filter is in the tree once, and the tree grows with the set and no faster. Filters are not decided by the tree: what is found
//! is compared in full, and a field that the tree does not know only makes it slower.
//!
//! Sorted, and not hashed: nobody can choose values that collide.

use crate::selection::matcher::{addresses_of, ports_of, Matcher};
use ctnetlink::types::Entry;
use std::collections::TryReserveError;
use std::ops::Range;

/// Up to so many filters are compared one by one: that is cheaper than telling them apart.
const FEW: usize = 4;
/// The same within the tree, where an entry may visit several such groups.
const FEW_TOGETHER: usize = 2;
/// So many filters are compared in the time that a visit to a node takes, about.
const VISIT: usize = 4;
/// So many times an entry may visit two parts on its way down; below that, filters are compared one by one. It limits the
/// stack, and only sets made up for it come near.
const DEEPEST: u8 = 64;

/// A set of filters. Order matters: the first one that matches is found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    matchers: Vec<Matcher>,
    /// None where the filters are few. Else the first one has no filter, and the second one is the root.
    nodes: Vec<Node>,
    /// The filters, as the leaves have them.
    order: Vec<u32>,
    /// The first value of each cell, and the rest of it.
    firsts: Vec<u64>,
    cells: Vec<Cell>,
}

const NOTHING: u32 = 0;
const ROOT: u32 = 1;

#[derive(Clone, Copy, Debug)]
struct Node {
    /// The smallest number of its filters: where one is known that comes before it, nobody needs to visit it.
    first: u32,
    /// `None` for a leaf.
    test: Option<Test>,
    /// Its part of `cells`, in ascending order; of a leaf, of `order`.
    start: usize,
    end: usize,
    /// What is in no cell, and from where to where the values of those go that visit it: all of them, if it has filters that
    /// want nothing of the field.
    any: u32,
    any_first: u64,
    any_last: u64,
}

impl Node {
    fn leaf(first: u32, start: usize, end: usize) -> Node {
        Node { first, test: None, start, end, any: NOTHING, any_first: 0, any_last: u64::MAX }
    }

    /// How many filters a visit compares.
    fn one_by_one(&self) -> usize {
        if self.test.is_none() {
            self.end - self.start
        } else {
            0
        }
    }
}

/// A leaf that may be too large.
#[derive(Clone, Copy)]
struct Work {
    node: u32,
    /// How often an entry has visited two parts on the way to it.
    depth: u8,
    /// The fields, by their place in [`FIELDS`], of which entries that come here are known to have what all its filters want.
    tested: u32,
    /// Those of which all its filters want the same.
    same: u32,
}

/// An entry's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Test {
    field: Field,
    mask: u64,
}

/// Filters that want a value from the cell's first one to this last one.
#[derive(Clone, Copy, Debug)]
struct Cell {
    last: u64,
    node: u32,
}

/// What filters are told apart by. Where several are equally good the first one is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    /// The first eight bytes of an address, by its place in [`Matcher::nets`].
    High(u8),
    /// The last eight bytes.
    Low(u8),
    /// By its place in [`Matcher::ports`].
    Port(u8),
    /// That of any direction: a filter that wants one of a direction wants it here too.
    Zone,
    Mark,
    Id,
    /// Family, protocol, and the type, code and id of ICMP.
    Protocol,
    Status,
    /// One bit for each state.
    TcpState,
    /// The first or the second half.
    Labels(u8),
    Helper(u8),
    /// Which fields the entry has.
    Has,
}

#[rustfmt::skip]
const FIELDS: [Field; 23] = {
    use Field::*;
    [
        High(0), High(1), High(2), High(3), Low(0), Low(1), Low(2), Low(3), Port(0), Port(1), Port(2), Port(3),
        Zone, Mark, Id, Protocol, Status, TcpState, Labels(0), Labels(1), Helper(0), Helper(1), Has,
    ]
};

/// What a filter wants of a field: that the bits in the mask are a number from `first` to `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Condition {
    mask: u64,
    first: u64,
    last: u64,
}

/// Filters and their intervals, in the order of this struct's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Placed {
    first: u64,
    last: u64,
    number: u32,
}

/// A way to tell filters apart.
struct Split {
    test: Test,
    /// Below it is one cell, from it on another one, and what lies on both sides is visited by all; `None`: a cell for each
    /// group of intervals that overlap.
    cut: Option<u64>,
    /// Whether an entry may have to visit two parts.
    both: bool,
    score: u64,
}

/// Memory for the work, taken once.
struct Scratch {
    placed: Vec<Placed>,
    others: Vec<Placed>,
}

impl Index {
    pub fn new(matchers: Vec<Matcher>) -> Result<Index, TryReserveError> {
        let mut index = Index { matchers, ..Index::default() };
        if index.matchers.len() > FEW {
            index.grow()?;
        }
        Ok(index)
    }

    pub fn matchers(&self) -> &[Matcher] {
        &self.matchers
    }

    // One place each for what cannot be out of bounds: every place has a text of its own in the library.

    #[inline]
    fn node(&self, at: u32) -> &Node {
        &self.nodes[at as usize]
    }

    #[inline]
    fn filters(&self, part: Range<usize>) -> &[u32] {
        &self.order[part]
    }

    #[inline]
    fn matcher(&self, number: u32) -> &Matcher {
        &self.matchers[number as usize]
    }

    /// The first filter that matches the entry.
    #[inline]
    pub fn first_match(&self, entry: &Entry) -> Option<usize> {
        if self.nodes.is_empty() {
            return self.matchers.iter().position(|matcher| matches(matcher, entry));
        }
        let best = self.first_of(ROOT, u32::MAX, entry);
        (best != u32::MAX).then_some(best as usize)
    }

    /// The first filter of the node that comes before `best` and matches; else `best`.
    fn first_of(&self, mut at: u32, mut best: u32, entry: &Entry) -> u32 {
        loop {
            let node = self.node(at);
            if node.first >= best {
                return best;
            }
            #[cfg(test)]
            tests::count(&tests::VISITED);
            let Some(test) = node.test else {
                let sooner = |&number: &u32| mutant!("first-filter", number < best, true);
                let before = self.filters(node.start..node.end).iter().copied().take_while(sooner);
                return before.into_iter().find(|&n| matches(self.matcher(n), entry)).unwrap_or(best);
            };
            let value = test.field.of(entry) & test.mask;
            let firsts = &self.firsts[node.start..node.end];
            let mut near = match firsts.partition_point(|&first| mutant!("tree-cell", first <= value, first < value)) {
                0 => NOTHING,
                behind => {
                    let cell = &self.cells[node.start + behind - 1];
                    if value <= cell.last {
                        cell.node
                    } else {
                        NOTHING
                    }
                }
            };
            // What comes first matches first, where both do, and spares the other one.
            let any = value >= node.any_first && value <= node.any_last;
            let mut far = if mutant!("tree-rest", any, false) { node.any } else { NOTHING };
            if self.node(far).first < self.node(near).first {
                (near, far) = (far, near);
            }
            at = near;
            if self.node(far).first < best {
                best = self.first_of(near, best, entry);
                at = far;
            }
        }
    }

    /// Makes the tree. Its depth is the caller's, so that it takes no stack.
    fn grow(&mut self) -> Result<(), TryReserveError> {
        let count = self.matchers.len();
        self.order.try_reserve_exact(count)?;
        // There are never 2^32 filters: each takes a few hundred bytes.
        self.order.extend((0..u32::MAX).take(count));
        let mut scratch = Scratch { placed: Vec::new(), others: Vec::new() };
        scratch.placed.try_reserve_exact(count)?;
        scratch.others.try_reserve_exact(count)?;
        let mut work = Vec::new();
        self.nodes.try_reserve(1)?;
        self.nodes.push(Node::leaf(u32::MAX, 0, 0));
        self.leaf(0..count, Work { node: ROOT, depth: 0, tested: 0, same: 0 }, &mut work)?;
        while let Some(mut large) = work.pop() {
            let &Node { start, end, .. } = self.node(large.node);
            match self.best_split(start..end, &mut large.same, &mut scratch) {
                Some(split) => {
                    let guard = if split.both { self.guard(start..end, large.tested) } else { None };
                    self.divide(&large, &guard.unwrap_or(split), &mut scratch, &mut work)?;
                }
                None => self.nodes[large.node as usize].end = start + self.without_repeats(start..end),
            }
        }
        self.fold(&mut scratch)
    }

    /// Makes leaves again of what an entry may have to visit so much of that comparing one by one is cheaper.
    fn fold(&mut self, scratch: &mut Scratch) -> Result<(), TryReserveError> {
        // For each node: the most nodes that an entry visits, and how many filters there are from where on. Those that only
        // want values to both sides of a cut are not added to a cell's: few of them are near the entry's value, or it meets
        // them all.
        let mut costs: Vec<(usize, Range<usize>)> = Vec::new();
        costs.try_reserve_exact(self.nodes.len())?;
        costs.extend(self.nodes.iter().map(|node| (1 + node.one_by_one() / VISIT, node.start..node.end)));
        for at in (1..self.nodes.len()).rev() {
            let node = self.nodes[at];
            if node.test.is_none() {
                continue;
            }
            let cells = &self.cells[node.start..node.end];
            let below = || cells.iter().map(|cell| cell.node).chain((node.any != NOTHING).then_some(node.any));
            // The parts lie one behind the other.
            let start = below().map(|child| costs[child as usize].1.start).min().unwrap_or(0);
            let end = below().map(|child| costs[child as usize].1.end).max().unwrap_or(0);
            let part = start..end;
            let most = cells.iter().map(|cell| costs[cell.node as usize].0).max().unwrap_or(0);
            let any = if node.any == NOTHING { 0 } else { costs[node.any as usize].0 };
            let all_visit = node.any != NOTHING && (node.any_first, node.any_last) == (0, u64::MAX);
            let cost = 1 + if all_visit { most + any } else { most.max(any) };
            costs[at] = (cost, part.clone());
            // A fifth must be saved: one by one the first that matches is found first.
            if all_visit && cost * VISIT * 5 > part.len() * 4 {
                costs[at].0 = 1 + part.len() / VISIT;
                let filters = &mut self.order[part.clone()];
                scratch.placed.clear();
                scratch.placed.extend(filters.iter().map(|&number| Placed { first: 0, last: 0, number }));
                sort(&mut scratch.placed);
                for (to, filter) in filters.iter_mut().zip(&scratch.placed) {
                    *to = filter.number;
                }
                self.nodes[at] = Node::leaf(node.first, part.start, part.end);
            }
        }
        Ok(())
    }

    /// A condition that all the filters have, and that entries were not tested for: who does not meet it shall not visit two
    /// parts.
    fn guard(&self, part: Range<usize>, tested: u32) -> Option<Split> {
        let filters = self.filters(part);
        let untested = FIELDS.iter().enumerate().filter(|(place, _)| tested >> place & 1 == 0);
        let test = |(_, &field): (usize, &Field)| {
            let masks = filters.iter().map(|&n| field.condition(self.matcher(n)).map_or(0, |c| c.mask));
            let test = Test { field, mask: masks.fold(u64::MAX, |common, mask| common & mask) };
            let wanted = self.interval(filters[0], test);
            (test.mask != 0 && filters.iter().all(|&n| self.interval(n, test) == wanted)).then_some(test)
        };
        untested.filter_map(test).next().map(|test| Split { test, cut: None, both: false, score: 0 })
    }

    /// A new node with these filters, which is to be divided if it is large.
    fn leaf(&mut self, part: Range<usize>, large: Work, work: &mut Vec<Work>) -> Result<u32, TryReserveError> {
        // There are never 2^32 of them either: each has filters of its own, or is one of a few guards before such a one.
        let node = self.nodes.len() as u32;
        self.nodes.try_reserve(1)?;
        self.nodes.push(Node::leaf(self.order[part.start], part.start, part.end));
        if part.len() > FEW_TOGETHER && large.depth < DEEPEST {
            work.try_reserve(1)?;
            work.push(Work { node, ..large });
        }
        Ok(node)
    }

    /// Leaves out filters that say the same as the one before. Returns how many are left.
    fn without_repeats(&mut self, part: Range<usize>) -> usize {
        let order = &mut self.order[part];
        let mut left = 1;
        for at in 1..order.len() {
            if self.matchers[order[at] as usize] != self.matchers[order[left - 1] as usize] {
                order[left] = order[at];
                left += 1;
            }
        }
        left
    }

    /// Turns a leaf into a node with cells.
    fn divide(
        &mut self,
        large: &Work,
        split: &Split,
        scratch: &mut Scratch,
        work: &mut Vec<Work>,
    ) -> Result<(), TryReserveError> {
        const ANY: u64 = u64::MAX;
        let &Node { start, end, first, .. } = self.node(large.node);
        self.place(split.test, start..end, scratch);
        let Scratch { placed, others } = scratch;
        let (mut cell, mut last) = (0, None);
        for filter in placed.iter_mut() {
            let of = match split.cut {
                Some(cut) if filter.last < cut => 0,
                Some(cut) if filter.first >= cut => 1,
                Some(_) => ANY,
                None => {
                    cell += u64::from(last.is_some_and(|last| filter.first > last));
                    last = last.max(Some(filter.last));
                    cell
                }
            };
            *filter = Placed { first: of, last: 0, number: filter.number };
        }
        placed.extend(others.iter().map(|other| Placed { first: ANY, ..*other }));
        sort(placed);
        for (to, filter) in self.order[start..end].iter_mut().zip(&*placed) {
            *to = filter.number;
        }
        let depth = large.depth + u8::from(split.both);
        let place = FIELDS.iter().position(|field| *field == split.test.field).unwrap_or(0);
        let mut node = Node { test: Some(split.test), start: self.cells.len(), ..Node::leaf(first, 0, 0) };
        let mut begin = start;
        for same in placed.chunk_by(|a, b| a.first == b.first) {
            let part = begin..begin + same.len();
            begin = part.end;
            let intervals = same.iter().map(|filter| self.interval(filter.number, split.test).unwrap_or((0, u64::MAX)));
            let hull = |(first, last): (u64, u64), (a, b): (u64, u64)| (first.min(a), last.max(b));
            let (first, last) = intervals.clone().fold((u64::MAX, 0), hull);
            if same[0].first == ANY {
                (node.any_first, node.any_last) = (first, mutant!("tree-rest-range", last, first));
                node.any = self.leaf(part, Work { depth, ..*large }, work)?;
                continue;
            }
            let met = intervals.clone().all(|interval| interval == (first, last));
            let tested = large.tested | u32::from(met) << place;
            let node = self.leaf(part, Work { depth, tested, ..*large }, work)?;
            self.firsts.try_reserve(1)?;
            self.firsts.push(first);
            self.cells.try_reserve(1)?;
            self.cells.push(Cell { last, node });
        }
        node.end = self.cells.len();
        self.nodes[large.node as usize] = node;
        Ok(())
    }

    /// The best way to tell the filters of a leaf apart. `None`: there is none, they want the same of every field.
    fn best_split(&self, part: Range<usize>, same: &mut u32, scratch: &mut Scratch) -> Option<Split> {
        let mut best: Option<Split> = None;
        for (place, field) in FIELDS.into_iter().enumerate() {
            if *same >> place & 1 == 1 {
                continue;
            }
            let mut all_want_the_same = true;
            for mask in self.masks(field, part.clone(), scratch) {
                let test = Test { field, mask };
                if mask == 0 || !self.place(test, part.clone(), scratch) {
                    continue;
                }
                all_want_the_same = false;
                for split in [clusters(test, scratch), best_cut(test, scratch)].into_iter().flatten() {
                    if best.as_ref().is_none_or(|best| split.score < best.score) {
                        best = Some(split);
                    }
                }
            }
            *same |= u32::from(all_want_the_same) << place;
        }
        best
    }

    /// Masks under which to look at a field: what all filters that name it compare, and what most of them compare. 0 for none.
    fn masks(&self, field: Field, part: Range<usize>, scratch: &mut Scratch) -> [u64; 2] {
        let conditions = self.filters(part).iter().filter_map(|&n| field.condition(self.matcher(n)));
        let masks = &mut scratch.placed;
        masks.clear();
        masks.extend(conditions.map(|condition| Placed { first: condition.mask, last: 0, number: 0 }));
        let Some(&some) = masks.first() else { return [0; 2] };
        if masks.iter().all(|mask| *mask == some) {
            return [some.first, 0];
        }
        let common = masks.iter().fold(u64::MAX, |common, mask| common & mask.first);
        sort(masks);
        let most = masks.chunk_by(|a, b| a == b).max_by_key(|same| same.len()).map_or(0, |same| same[0].first);
        [common, most]
    }

    /// Puts the filters in `placed`, by their intervals, and those that have none in `others`. `false`: all have the same one.
    fn place(&self, test: Test, part: Range<usize>, scratch: &mut Scratch) -> bool {
        let Scratch { placed, others } = scratch;
        placed.clear();
        others.clear();
        for &number in self.filters(part) {
            match self.interval(number, test) {
                Some((first, last)) => placed.push(Placed { first, last, number }),
                None => others.push(Placed { first: 0, last: 0, number }),
            }
        }
        let same = |filter: &Placed| (filter.first, filter.last) == (placed[0].first, placed[0].last);
        if placed.is_empty() || (others.is_empty() && placed.iter().all(same)) {
            return false;
        }
        sort(placed);
        true
    }

    /// From where to where the values go with which an entry can match the filter.
    fn interval(&self, number: u32, test: Test) -> Option<(u64, u64)> {
        let Condition { mask, first, last } = test.field.condition(self.matcher(number))?;
        if mask == test.mask {
            Some((first, last))
        } else {
            (first == last && mutant!("tree-mask", mask & test.mask == test.mask, true))
                .then_some((first & test.mask, first & test.mask))
        }
    }
}

#[inline]
fn matches(matcher: &Matcher, entry: &Entry) -> bool {
    #[cfg(test)]
    tests::count(&tests::COMPARED);
    matcher.matches(entry)
}

/// Often in order already, as filters come from loops over addresses and ports.
fn sort(placed: &mut [Placed]) {
    if !placed.is_sorted() {
        crate::sort::sort(placed, &|a, b| a < b);
    }
}

/// How many pairs of filters an entry may have to be compared with, doubled: the fewer, the better. Two of different cells
/// never; one in a cell and one that every entry visits count more than half, since nothing further down parts them.
fn score(all: u64, cells: &[u64]) -> u64 {
    let inside: u64 = cells.iter().sum();
    let any = all - inside;
    2 * any * any + 3 * any * inside + 2 * cells.iter().map(|cell| cell * cell).sum::<u64>()
}

/// A cell for each group of intervals that overlap.
fn clusters(test: Test, scratch: &Scratch) -> Option<Split> {
    let (inside, any) = (scratch.placed.len() as u64, scratch.others.len() as u64);
    let (mut squares, mut size, mut last) = (0, 0, 0);
    for filter in &scratch.placed {
        if size > 0 && filter.first > last {
            squares += size * size;
            size = 0;
        }
        last = last.max(filter.last);
        size += 1;
    }
    let score = 2 * any * any + 3 * any * inside + 2 * (squares + size * size);
    (size < inside + any).then_some(Split { test, cut: None, both: any > 0, score })
}

/// The best place between two cells. The intervals on both sides of it are visited by every entry.
fn best_cut(test: Test, scratch: &mut Scratch) -> Option<Split> {
    let Scratch { placed, others } = scratch;
    if placed
        .windows(2)
        .all(|pair| pair[0].first == pair[1].first && pair[0].last == pair[1].last || pair[0].last < pair[1].first)
    {
        // No two overlap that are not the same: their groups are better.
        return None;
    }
    let all = placed.len() + others.len();
    others.clear();
    others.extend(placed.iter().map(|filter| Placed { first: filter.last, last: 0, number: 0 }));
    sort(others);
    let (firsts, lasts) = (placed, others);
    let (mut begun, mut over) = (0, 0);
    let mut best: Option<Split> = None;
    loop {
        let next_first = firsts.get(begun).map(|filter| filter.first);
        let next_end = lasts.get(over).and_then(|filter| filter.first.checked_add(1));
        let Some(cut) = next_first.into_iter().chain(next_end).min() else { return best };
        while lasts.get(over).is_some_and(|filter| filter.first < cut) {
            over += 1;
        }
        let (below, above) = (over, firsts.len() - begun);
        let score = score(all as u64, &[below as u64, above as u64]);
        // Each part must be smaller than the whole.
        let divides = below + above > 0 && below < all && above < all;
        if divides && best.as_ref().is_none_or(|best| score < best.score) {
            best = Some(Split { test, cut: Some(cut), both: below + above < all, score });
        }
        while firsts.get(begun).is_some_and(|filter| filter.first <= cut) {
            begun += 1;
        }
    }
}

impl Field {
    /// The entry's value.
    #[inline]
    fn of(self, entry: &Entry) -> u64 {
        let address = |role: u8| u128::from_be_bytes(*addresses_of(entry)[usize::from(role)]);
        match self {
            Field::High(role) => half(address(role), 0),
            Field::Low(role) => half(address(role), 1),
            Field::Port(role) => ports_of(entry)[usize::from(role)].into(),
            Field::Zone => entry.zone.into(),
            Field::Mark => entry.mark.into(),
            Field::Id => entry.id.into(),
            Field::Protocol => {
                let orig = &entry.orig;
                protocol(entry.family.0, entry.proto.0, orig.icmp_type, orig.icmp_code, orig.icmp_id)
            }
            Field::Status => entry.status.bits().into(),
            Field::TcpState => 1 << entry.tcp_state.0.min(15),
            Field::Labels(part) => half(u128::from_ne_bytes(entry.labels), part),
            Field::Helper(part) => half(u128::from_ne_bytes(entry.helper_bytes()), part),
            Field::Has => entry.has.bits(),
        }
    }

    /// What the filter wants of it. `None`: nothing.
    fn condition(self, matcher: &Matcher) -> Option<Condition> {
        let masked = |value: u64, mask: u64| (mask != 0).then_some(Condition { mask, first: value, last: value });
        let prefix = |role: u8, part: u8| {
            let net = matcher.nets[usize::from(role)]?;
            let (first, mask) = (half(net.value, part), half(net.mask, part));
            (mask != 0).then_some(Condition { mask: u64::MAX, first, last: first | !mask })
        };
        match self {
            Field::High(role) => prefix(role, 0),
            Field::Low(role) => prefix(role, 1),
            Field::Port(role) => {
                let (first, last) = matcher.ports[usize::from(role)]?;
                Some(Condition { mask: u64::MAX, first: first.into(), last: last.into() })
            }
            Field::Zone => masked(matcher.zone?.into(), u64::MAX),
            Field::Id => masked(matcher.id?.into(), u64::MAX),
            Field::Mark => masked(matcher.mark.0.into(), matcher.mark.1.into()),
            Field::Protocol => {
                let (kind, code, id) = matcher.icmp;
                let all = |named| if named { u8::MAX } else { 0 };
                let id_mask = if id.is_some() { u16::MAX } else { 0 };
                let (family, proto) = (matcher.family.map_or(0, u8::from), matcher.proto.map_or(0, u8::from));
                let mask = protocol(
                    all(matcher.family.is_some()),
                    all(matcher.proto.is_some()),
                    all(kind.is_some()),
                    all(code.is_some()),
                    id_mask,
                );
                let or_0 = |value: Option<u8>| value.unwrap_or(0);
                masked(protocol(family, proto, or_0(kind), or_0(code), id.unwrap_or(0)), mask)
            }
            Field::Status => masked(matcher.status.0.into(), matcher.status.1.into()),
            // All states but those must be clear.
            Field::TcpState => masked(0, (!matcher.tcp_states?).into()),
            Field::Labels(part) => masked(half(matcher.labels.0, part), half(matcher.labels.1, part)),
            Field::Helper(part) => {
                let name = matcher.helper?.map(|byte| byte as u8);
                masked(half(u128::from_ne_bytes(name), part), u64::MAX)
            }
            Field::Has => masked(matcher.needs.bits(), matcher.needs.bits()),
        }
    }
}

#[inline]
fn half(value: u128, part: u8) -> u64 {
    if part == 0 {
        (value >> 64) as u64
    } else {
        value as u64
    }
}

#[inline]
fn protocol(family: u8, proto: u8, icmp_type: u8, icmp_code: u8, icmp_id: u16) -> u64 {
    let [id_high, id_low] = icmp_id.to_be_bytes();
    u64::from_be_bytes([0, 0, family, proto, icmp_type, icmp_code, id_high, id_low])
}

#[cfg(test)]
mod tests {
    use super::Index;
    use crate::filter::{Filter, Prefix};
    use crate::selection::Selection;
    use crate::testing::judge;
    use crate::testing::random::Random;
    use ctnetlink::types::*;
    use std::cell::Cell as Counter;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::thread::LocalKey;

    thread_local! {
        /// Filters that were compared.
        pub static COMPARED: Counter<usize> = const { Counter::new(0) };
        /// Nodes that were visited, leaves too.
        pub static VISITED: Counter<usize> = const { Counter::new(0) };
    }

    pub fn count(counter: &'static LocalKey<Counter<usize>>) {
        counter.set(counter.get() + 1);
    }

    impl Random {
        /// From the environment, or another one every time; either way it is printed where the test fails.
        fn seeded() -> Random {
            let clock =
                || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
            let seed = std::env::var("SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap()).max(1);
            println!("SEED={seed}");
            Random(seed)
        }

        fn below(&mut self, limit: u64) -> u64 {
            (self.next() >> 33) % limit
        }

        fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
            &from[self.below(from.len() as u64) as usize]
        }

        fn one_in(&mut self, count: u64) -> bool {
            self.below(count) == 0
        }

        fn some<T>(&mut self, one_in: u64, value: impl FnOnce(&mut Random) -> T) -> Option<T> {
            self.one_in(one_in).then(|| value(self))
        }

        fn bits(&mut self) -> u128 {
            u128::from(self.next()) << 64 | u128::from(self.next())
        }

        /// Few values, far apart and near.
        fn small(&mut self) -> u16 {
            [0, 1, 2, 3, 4, 80, 443, 1000, 1001, u16::MAX][self.below(10) as usize]
        }

        fn address(&mut self, family: Family) -> IpAddr {
            let spread = 1 << self.below(20);
            let low = self.below(spread) as u32;
            if family == Family::IPV4 {
                IpAddr::V4(Ipv4Addr::from(0x0a00_0000 ^ low ^ u32::from(self.one_in(8)) << 31))
            } else {
                let high = u128::from(self.below(3)) << self.below(64) << 64;
                IpAddr::V6(Ipv6Addr::from(0xfd << 120 ^ high ^ u128::from(low)))
            }
        }

        fn filter(&mut self) -> Filter {
            let family = if self.one_in(3) { Family::IPV6 } else { Family::IPV4 };
            // Most name few things, or nothing would match.
            let rare = 2 + self.below(12);
            let mut filter = Filter { exclude: self.one_in(8), ..Filter::default() };
            for role in [&mut filter.orig_src, &mut filter.orig_dst, &mut filter.reply_src, &mut filter.reply_dst] {
                *role = self.some(rare, |random| {
                    let longest = if family == Family::IPV4 { 32 } else { 128 };
                    let length = if random.one_in(2) { longest } else { random.below(longest + 1) };
                    prefix(random.address(family), length as u8)
                });
            }
            filter.family = self.some(4, |_| family);
            let proto = [Proto::TCP, Proto::UDP, Proto::ICMP, Proto::ICMPV6][self.below(4) as usize];
            filter.proto = self.some(2, |_| proto);
            if filter.proto.is_some_and(Proto::has_ports) {
                let ports =
                    [&mut filter.orig_sport, &mut filter.orig_dport, &mut filter.reply_sport, &mut filter.reply_dport];
                for ports in ports {
                    *ports = self.some(rare, |random| {
                        let (a, b) = (random.small(), random.small());
                        if random.one_in(2) {
                            a..=a
                        } else {
                            a.min(b)..=a.max(b)
                        }
                    });
                }
                filter.tcp_states = if proto == Proto::TCP { self.some(3, |random| random.states()) } else { None };
            } else if filter.proto.is_some() {
                filter.icmp_type = self.some(3, |random| random.below(3) as u8);
                filter.icmp_code = self.some(3, |random| random.below(2) as u8);
                filter.icmp_id = self.some(3, |random| random.small());
            }
            let zone = self.small();
            let either = |random: &mut Random| if random.one_in(2) { zone } else { 0 };
            (filter.orig_zone, filter.reply_zone) = (self.some(rare, either), self.some(rare, either));
            // Together with others, only one that an entry can have.
            let none = filter.orig_zone == Some(0) && filter.reply_zone == Some(0);
            filter.zone = self.some(rare, |_| if none { 0 } else { zone });
            filter.id = self.some(rare * 2, |random| random.small().into());
            filter.mark = self.some(rare, |random| {
                let mask = [u32::MAX, 0xff, 0xff00, 0x8000_0001, 0][random.below(5) as usize];
                Masked { value: random.small() as u32 & mask, mask }
            });
            let status = Status::from_bits_retain(self.below(8) as u32);
            (filter.status_set, filter.status_clear) =
                if self.one_in(rare) { (status, status ^ Status::from_bits_retain(7)) } else { Default::default() };
            if self.one_in(3) {
                filter.status_clear &= Status::EXPECTED;
            }
            filter.labels = self.some(rare, |random| {
                let mask = random.bits() & random.bits() & random.bits();
                Masked { value: (random.bits() & mask & 3).to_ne_bytes(), mask: (mask & 0xff).to_ne_bytes() }
            });
            filter.helper = self.some(rare * 2, |random| random.helper().into());
            filter
        }

        fn states(&mut self) -> TcpStates {
            TcpStates::from_bits_retain(1 + self.below(0x3ff) as u16)
        }

        fn helper(&mut self) -> &'static str {
            ["ftp", "sip-5060", "sip-50601", "tftp"][self.below(4) as usize]
        }

        fn entry(&mut self) -> Entry {
            let family = if self.one_in(3) { Family::IPV6 } else { Family::IPV4 };
            let mut entry = Entry { has: Has::ORIG | Has::REPLY | Has::STATUS | Has::MARK, ..Entry::EMPTY };
            entry.family = family;
            entry.proto = [Proto::TCP, Proto::UDP, Proto::ICMP, Proto::ICMPV6][self.below(4) as usize];
            for tuple in [&mut entry.orig, &mut entry.reply] {
                (tuple.src, tuple.dst) = (address_bytes(self.address(family)), address_bytes(self.address(family)));
                if entry.proto.is_icmp() {
                    entry.has |= Has::ICMP;
                    (tuple.icmp_type, tuple.icmp_code) = (self.below(3) as u8, self.below(2) as u8);
                    tuple.icmp_id = self.small();
                } else {
                    entry.has |= Has::PORTS;
                    (tuple.sport, tuple.dport) = (self.small(), self.small());
                }
            }
            if entry.proto == Proto::TCP && !self.one_in(4) {
                entry.has |= Has::TCP_STATE;
                entry.tcp_state = TcpState(self.below(10) as u8);
            }
            (entry.mark, entry.status) = (self.small().into(), Status::from_bits_retain(self.below(8) as u32));
            if self.one_in(2) {
                entry.has |= Has::LABELS;
                entry.labels = (self.bits() & 0xff).to_ne_bytes();
            }
            if self.one_in(3) {
                entry.has |= Has::HELPER;
                entry.helper = helper(self.helper());
            }
            (entry.has, entry.id) = (entry.has | Has::ID, self.small().into());
            let kind = self.below(3);
            zoned(entry, [Has::ZONE, Has::ORIG_ZONE, Has::REPLY_ZONE][kind as usize], self.small())
        }

        /// Makes it such that the filter matches, as far as that goes.
        fn meet(&mut self, filter: &Filter, entry: &mut Entry) {
            let family = [filter.orig_src, filter.orig_dst, filter.reply_src, filter.reply_dst].into_iter().flatten();
            let family = family.map(|p| if p.address.is_ipv4() { Family::IPV4 } else { Family::IPV6 }).next();
            if let Some(family) = family.or(filter.family).filter(|family| *family != entry.family) {
                entry.family = family;
                for tuple in [&mut entry.orig, &mut entry.reply] {
                    (tuple.src, tuple.dst) = (address_bytes(self.address(family)), address_bytes(self.address(family)));
                }
            }
            if let Some(proto) = filter.proto {
                entry.proto = proto;
                entry.has &= !(Has::PORTS | Has::ICMP | Has::TCP_STATE);
                entry.has |= if proto.is_icmp() { Has::ICMP } else { Has::PORTS };
            }
            let Entry { orig, reply, .. } = entry;
            for (to, prefix) in [
                (&mut orig.src, filter.orig_src),
                (&mut orig.dst, filter.orig_dst),
                (&mut reply.src, filter.reply_src),
                (&mut reply.dst, filter.reply_dst),
            ] {
                if let Some(prefix) = prefix {
                    let mask = mask_of(prefix.length);
                    let from = u128::from_be_bytes(address_bytes(prefix.address));
                    *to = (from | u128::from_be_bytes(*to) & !mask).to_be_bytes();
                }
            }
            for (to, range) in [
                (&mut orig.sport, &filter.orig_sport),
                (&mut orig.dport, &filter.orig_dport),
                (&mut reply.sport, &filter.reply_sport),
                (&mut reply.dport, &filter.reply_dport),
            ] {
                if let Some(range) = range {
                    *to = if self.one_in(2) { *range.start() } else { *range.end() };
                }
            }
            if let Some(states) = filter.tcp_states {
                entry.has |= Has::TCP_STATE;
                entry.tcp_state = TcpState(states.bits().trailing_zeros() as u8);
            }
            entry.orig.icmp_type = filter.icmp_type.unwrap_or(entry.orig.icmp_type);
            entry.orig.icmp_code = filter.icmp_code.unwrap_or(entry.orig.icmp_code);
            entry.orig.icmp_id = filter.icmp_id.unwrap_or(entry.orig.icmp_id);
            let zones = [filter.zone, filter.orig_zone, filter.reply_zone];
            if zones != [None; 3] {
                let kind = match zones {
                    [_, Some(0), _] => Has::REPLY_ZONE,
                    [_, _, Some(0)] => Has::ORIG_ZONE,
                    _ => Has::ZONE,
                };
                *entry = zoned(*entry, kind, zones.into_iter().flatten().max().unwrap_or(0));
            }
            entry.id = filter.id.unwrap_or(entry.id);
            entry.mark = filter.mark.map_or(entry.mark, |mark| entry.mark & !mark.mask | mark.value);
            entry.status = entry.status & !filter.status_clear | filter.status_set;
            if let Some(Masked { value, mask }) = filter.labels {
                let own = u128::from_ne_bytes(entry.labels) & !u128::from_ne_bytes(mask);
                entry.labels = (own | u128::from_ne_bytes(value)).to_ne_bytes();
            }
            if let Some(name) = &filter.helper {
                entry.has |= Has::HELPER;
                entry.helper = helper(name);
            }
        }
    }

    /// The entry in a zone, for both directions or for one.
    fn zoned(mut entry: Entry, kind: Has, zone: u16) -> Entry {
        entry.has &= !(Has::ZONE | Has::ORIG_ZONE | Has::REPLY_ZONE);
        (entry.zone, entry.orig.zone, entry.reply.zone) = (0, 0, 0);
        if zone != 0 {
            entry.has |= kind;
            entry.zone = zone.into();
            entry.orig.zone = if kind == Has::REPLY_ZONE { 0 } else { zone.into() };
            entry.reply.zone = if kind == Has::ORIG_ZONE { 0 } else { zone.into() };
        }
        entry
    }

    fn helper(name: &str) -> [std::ffi::c_char; 16] {
        let mut chars = [0; 16];
        for (to, from) in chars.iter_mut().zip(name.bytes()) {
            *to = from as std::ffi::c_char;
        }
        chars
    }

    fn mask_of(length: u8) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
    }

    fn prefix(address: IpAddr, length: u8) -> Prefix {
        let bits = u128::from_be_bytes(address_bytes(address)) & mask_of(length);
        let address = match address {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::from((bits >> 96) as u32)),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from(bits)),
        };
        Prefix { address, length }
    }

    /// The filter of the set that takes a random entry: the one that asking every filter finds. Half of the entries are made for one
    /// of them.
    fn taken_by(random: &mut Random, filters: &[Filter], selection: &Selection) -> Option<usize> {
        let mut entry = random.entry();
        if random.one_in(2) {
            let filter = random.pick(filters);
            random.meet(filter, &mut entry);
        }
        let wanted = judge::selected(filters, &entry);
        assert_eq!(selection.selected_by(&entry), wanted, "{entry:?} by {filters:?}");
        wanted
    }

    #[test]
    fn a_set_of_filters_takes_what_asking_every_filter_takes() {
        let mut random = Random::seeded();
        let (mut taken, mut left) = (0, 0);
        for _ in 0..400 {
            let limit = 1 << (1 + random.below(9));
            let filters: Vec<Filter> = (0..1 + random.below(limit)).map(|_| random.filter()).collect();
            let Ok(selection) = Selection::new(&filters) else { continue };
            for _ in 0..50 {
                let wanted = taken_by(&mut random, &filters, &selection);
                *(if wanted.is_some() { &mut taken } else { &mut left }) += 1;
            }
        }
        let all = taken + left;
        assert!(taken * 10 > all * 3 && left * 10 > all, "{taken} taken, {left} left: the test tells nothing");
    }

    #[test]
    fn each_field_alone_tells_filters_apart() {
        let mut random = Random::seeded();
        let mut decided = vec![0; 22];
        for round in 0..22 * 20 {
            let only = |f: Filter| {
                let icmp = Filter { proto: Some(Proto::ICMP), ..Filter::default() };
                let tcp = Filter { proto: Some(Proto::TCP), ..Filter::default() };
                match round % 22 {
                    0 => Filter { family: f.family, ..Filter::default() },
                    1 => Filter { proto: f.proto, ..Filter::default() },
                    2 => Filter { zone: f.zone, ..Filter::default() },
                    3 => Filter { mark: f.mark, ..Filter::default() },
                    4 => Filter { status_set: f.status_set, status_clear: f.status_clear, ..Filter::default() },
                    5 => Filter { orig_src: f.orig_src, ..Filter::default() },
                    6 => Filter { orig_dst: f.orig_dst, ..Filter::default() },
                    7 => Filter { reply_src: f.reply_src, ..Filter::default() },
                    8 => Filter { reply_dst: f.reply_dst, ..Filter::default() },
                    9 => Filter { orig_sport: f.orig_sport, ..tcp },
                    10 => Filter { orig_dport: f.orig_dport, ..tcp },
                    11 => Filter { reply_sport: f.reply_sport, ..tcp },
                    12 => Filter { reply_dport: f.reply_dport, ..tcp },
                    13 => Filter { icmp_type: f.icmp_type, ..icmp },
                    14 => Filter { icmp_code: f.icmp_code, ..icmp },
                    15 => Filter { icmp_id: f.icmp_id, ..icmp },
                    16 => Filter { tcp_states: f.tcp_states, ..tcp },
                    17 => Filter { labels: f.labels, ..Filter::default() },
                    18 => Filter { helper: f.helper, ..Filter::default() },
                    19 => Filter { orig_zone: f.orig_zone, ..Filter::default() },
                    20 => Filter { reply_zone: f.reply_zone, ..Filter::default() },
                    _ => Filter { id: f.id, ..Filter::default() },
                }
            };
            let nothing = [Filter::default(), only(Filter::default())];
            let mut filters: Vec<Filter> = Vec::new();
            while filters.len() < 30 {
                let filter = only(random.filter());
                if !nothing.contains(&filter) {
                    filters.push(filter);
                }
            }
            let selection = Selection::new(&filters).unwrap();
            for _ in 0..60 {
                let wanted = taken_by(&mut random, &filters, &selection);
                decided[round % 22] += usize::from(wanted.is_some_and(|first| first > 0));
            }
        }
        println!("{decided:?}");
        assert!(decided.iter().all(|&decided| decided > 50), "{decided:?}: the test tells nothing");
    }

    fn v4(n: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(n))
    }

    fn v6(high: u64, low: u64) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from(u128::from(high) << 64 | u128::from(low)))
    }

    /// UDP on one port.
    fn port(n: u16) -> Filter {
        Filter { proto: Some(Proto::UDP), orig_dport: Some(n..=n), ..Filter::default() }
    }

    fn range(first: u16, last: u16) -> Filter {
        Filter { orig_dport: Some(first..=last), ..port(0) }
    }

    fn from(address: IpAddr) -> Filter {
        Filter { orig_src: Some(address.into()), ..Filter::default() }
    }

    fn within(address: IpAddr, length: u8) -> Filter {
        Filter { orig_src: Some(prefix(address, length)), ..Filter::default() }
    }

    fn mark(value: u32, mask: u32) -> Filter {
        Filter { mark: Some(Masked { value, mask }), ..Filter::default() }
    }

    /// Sets whose filters are each met by an entry of their own.
    fn shapes() -> Vec<(&'static str, Vec<Filter>)> {
        let service = Some(Prefix::from(v4(0x0a60_0001)));
        let to = |filter: Filter| Filter { orig_dst: service, ..filter };
        let icmp = |n: u16| Filter { proto: Some(Proto::ICMP), icmp_id: Some(n), ..Filter::default() };
        let named = |n: u16| Filter { helper: Some(format!("helper-{n}")), ..Filter::default() };
        let labels = |n: u16| {
            let labels = Masked { value: u128::from(n).to_ne_bytes(), mask: u128::MAX.to_ne_bytes() };
            Filter { labels: Some(labels), ..Filter::default() }
        };
        let states = |n: u16| Filter {
            proto: Some(Proto::TCP),
            tcp_states: Some(TcpStates::from_bits_retain(n)),
            ..Filter::default()
        };
        let zone = |n: u16| Filter { zone: Some(n), ..Filter::default() };
        let status = |n: u32| Filter {
            status_set: Status::from_bits_retain(n),
            status_clear: Status::from_bits_retain(0x7ff ^ n),
            ..Filter::default()
        };
        let roles = |n: u32| {
            let mut filter = Filter::default();
            let role = [&mut filter.orig_src, &mut filter.orig_dst, &mut filter.reply_src, &mut filter.reply_dst];
            // A multiple of a large odd number: as good as drawn.
            let address = n.wrapping_mul(0x9e37_79b1);
            *role.into_iter().nth(n as usize % 4).unwrap() = Some(prefix(v4(address), 1 + (n / 4 % 32) as u8));
            filter
        };
        let roles_of_6 = |n: u32| {
            let mut filter = Filter::default();
            let role = [&mut filter.orig_src, &mut filter.orig_dst, &mut filter.reply_src, &mut filter.reply_dst];
            let address = v6(u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15), u64::from(n) << 40);
            *role.into_iter().nth(n as usize % 4).unwrap() = Some(prefix(address, 1 + (n / 4 % 128) as u8));
            filter
        };
        let kinds = |n: u16| match n % 4 {
            0 => from(v4(0x0b00_0000 + u32::from(n))),
            1 => port(n),
            2 => zone(n),
            _ => mark(n.into(), u32::MAX),
        };
        let all = 0..2000;
        vec![
            ("addresses", all.clone().map(|n| from(v4(0x0b00_0000 + u32::from(n)))).collect()),
            ("peers of a service", all.clone().map(|n| to(from(v4(0x0b00_0000 + u32::from(n))))).collect()),
            ("ports of a service", all.clone().map(|n| to(port(n))).collect()),
            ("ports", all.clone().map(port).collect()),
            ("ranges", all.clone().map(|n| range(n * 10, n * 10 + 9)).collect()),
            ("ranges that overlap with the next", all.clone().map(|n| range(n, n + 1)).collect()),
            ("ranges that overlap with a hundred", all.clone().map(|n| range(n, n + 100)).collect()),
            ("ranges from the first port on", all.clone().rev().map(|n| range(0, n * 30)).collect()),
            ("ranges up to the last port", all.clone().rev().map(|n| range(65535 - n * 30, 65535)).collect()),
            ("ranges within ranges, the widest first", all.clone().map(|n| range(n, 65535 - n)).collect()),
            ("ranges within ranges, the widest last", all.clone().rev().map(|n| range(n, 65535 - n)).collect()),
            (
                "wide ranges from addresses",
                all.clone().map(|n| Filter { orig_src: from(v4(n.into())).orig_src, ..range(n, 65535 - n) }).collect(),
            ),
            ("wide ranges in states", (1..1024).map(|n| Filter { orig_dport: Some(9..=60000), ..states(n) }).collect()),
            ("marks", all.clone().map(|n| mark(n.into(), u32::MAX)).collect()),
            (
                "marks with two masks",
                all.clone()
                    .map(|n| if n % 2 == 0 { mark(n.into(), 0xffff) } else { mark(u32::from(n) << 16, u32::MAX) })
                    .collect(),
            ),
            ("zones", all.clone().map(zone).collect()),
            ("ids", all.clone().map(|n| Filter { id: Some(n.into()), ..Filter::default() }).collect()),
            ("helpers", all.clone().map(named).collect()),
            ("ICMP ids", all.clone().map(icmp).collect()),
            ("labels", all.clone().map(labels).collect()),
            ("status", (1..2000).map(status).collect()),
            ("one address, another status", (1..2000).map(|n| to(status(n))).collect()),
            ("prefixes of each length in each role", (0..2000).map(roles).collect()),
            ("the same of IPv6", (0..2000).map(roles_of_6).collect()),
            ("prefixes within prefixes, the widest first", (1..=128).map(|n| within(v6(!0, !0), n)).collect()),
            ("prefixes within prefixes, the widest last", (1..=128).rev().map(|n| within(v6(!0, !0), n)).collect()),
            (
                "hosts within prefixes",
                all.clone()
                    .map(|n| within(v4(0x0b00_0000 + (u32::from(n) << 8)), if n % 2 == 0 { 24 } else { 32 }))
                    .collect(),
            ),
            ("last bits", all.clone().map(|n| from(v6(0x2001_0db8 << 32, n.into()))).collect()),
            ("collisions", all.clone().map(|n| from(v6(HIGH, colliding(n.into())))).collect()),
            ("a bit of everything", all.clone().map(kinds).collect()),
            ("always the same", all.clone().map(|_| port(80)).collect()),
        ]
    }

    const HIGH: u64 = 0x2001_0db8_0000_0001;

    /// Last halves of addresses that had the same hash, in all bits that a table looks at, when filters were found by
    /// (value * golden ratio) rotated by half.
    fn colliding(n: u64) -> u64 {
        const K: u64 = 0x9e37_79b9_7f4a_7c15;
        let inverse = (0..6).fold(K, |x, _| x.wrapping_mul(2u64.wrapping_sub(x.wrapping_mul(K))));
        let wanted = n << 30 & 0x01ff_ffff_c000_0000;
        let state = (0..3).fold(wanted, |y, _| wanted ^ y >> 29);
        state.rotate_left(32).wrapping_mul(inverse) ^ HIGH.wrapping_mul(K).rotate_left(32)
    }

    #[test]
    fn no_shape_of_a_set_compares_more_than_a_few_filters_with_an_entry() {
        const ROUNDS: usize = 100;
        let mut random = Random::seeded();
        for (shape, filters) in shapes() {
            let selection = Selection::new(&filters).unwrap();
            let (mut compared, mut visited, mut most) = (0, 0, 0);
            for _ in 0..ROUNDS {
                let mut entry = random.entry();
                if !random.one_in(4) {
                    let filter = random.pick(&filters);
                    random.meet(filter, &mut entry);
                }
                COMPARED.set(0);
                VISITED.set(0);
                let selected = selection.selected_by(&entry);
                compared += COMPARED.get();
                visited += VISITED.get();
                most = most.max(COMPARED.get());
                assert_eq!(selected, judge::selected(&filters, &entry), "{shape}: {entry:?}");
            }
            println!("{shape}: compared {compared} in {ROUNDS}, at most {most}; visited {visited}");
            // Sets of states that differ in nothing else: up to half of the 1,023 name a state that the entry has not.
            let limit = if shape == "wide ranges in states" { 512 } else { 32 };
            assert!(most <= limit, "{shape}: one entry was compared with {most} filters");
            assert!(compared <= 4 * ROUNDS || limit > 32, "{shape}: {compared} comparisons for {ROUNDS} entries");
            assert!(visited <= 20 * ROUNDS, "{shape}: {visited} nodes for {ROUNDS} entries");
        }
    }

    #[test]
    fn what_nothing_parts_is_compared_one_by_one_and_in_order() {
        let mut random = Random::seeded();
        let filters: Vec<Filter> = (0..2000)
            .map(|_| {
                let (value, mask) = (random.next() as u32, (random.next() & random.next() & random.next()) as u32 | 1);
                mark(value & mask, mask)
            })
            .collect();
        let selection = Selection::new(&filters).unwrap();
        let (mut compared, mut one_by_one) = (0, 0);
        for _ in 0..500 {
            let entry = Entry { mark: random.next() as u32, ..random.entry() };
            COMPARED.set(0);
            let selected = selection.selected_by(&entry);
            assert_eq!(selected, judge::selected(&filters, &entry), "{entry:?}");
            compared += COMPARED.get();
            one_by_one += selected.map_or(filters.len(), |first| first + 1);
        }
        println!("compared {compared}, and one by one {one_by_one}");
        assert!(compared <= one_by_one, "{compared} comparisons, and {one_by_one} without a tree");
    }

    #[test]
    fn a_tree_grows_with_its_set_and_no_faster_and_does_not_take_much_stack() {
        let mut random = Random::seeded();
        let mut sets: Vec<Vec<Filter>> = shapes().into_iter().map(|(_, filters)| filters).collect();
        sets.push((0..2000).map(|_| Filter { exclude: false, ..random.filter() }).collect());
        // A bit of the labels, of the mark or of the status: nothing else parts them.
        sets.push(
            (0..128).map(|bit| bit_of_labels(1 << bit)).chain((0..32).map(|bit| mark(1 << bit, 1 << bit))).collect(),
        );
        for filters in sets {
            let index = Index::new(Selection::new(&filters).unwrap().include().to_vec()).unwrap();
            assert!(index.cells.len() <= 3 * filters.len() && index.nodes.len() <= 3 * filters.len());
            // On the stack of a thread of the least size that the header names.
            let entries: Vec<Entry> = (0..100).map(|_| random.entry()).collect();
            let look = move || entries.iter().filter(|entry| index.first_match(entry).is_some()).count();
            std::thread::Builder::new().stack_size(32 * 1024).spawn(look).unwrap().join().unwrap();
        }
    }

    fn bit_of_labels(bit: u128) -> Filter {
        let labels = Masked { value: bit.to_ne_bytes(), mask: bit.to_ne_bytes() };
        Filter { labels: Some(labels), ..Filter::default() }
    }
}
