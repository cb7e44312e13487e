//! Runs a plan: the selected entries, one by one, however they are found.

use super::caps;
use super::count::count_if_possible;
use super::entries::Entries;
use super::find::{ask, can_hide, has_name, Answer};
use crate::error::{Error, LATER};
use crate::selection::plan::{Caps, Load, Plan};
use crate::selection::Selection;
use crate::socket::batch::{Requests, GET_BATCH};
use crate::socket::link::Link;
use ctnetlink::encode::{put_get, zone_of, By, Name};
use ctnetlink::kernel_filter::KernelFilter;
use ctnetlink::types::Entry;
use std::collections::VecDeque;

/// A selection under way.
pub(crate) struct Select {
    /// What is still to be dumped, with the filter that it is for; `None`: for all of them.
    dumps: VecDeque<(Option<usize>, KernelFilter)>,
    dump: Option<Running>,
    /// What is still to be looked up.
    keys: Vec<Entry>,
    /// What was looked up and is still to be handed over.
    found: Vec<Entry>,
    /// How many entries the table has, if that was asked.
    table: u64,
}

struct Running {
    dump: Entries,
    /// Only what this filter selects first is taken: another dump has the rest, and nothing is taken twice.
    number: Option<usize>,
    filter: KernelFilter,
    /// Nothing has come yet: the kernel may still refuse the filter.
    fresh: bool,
}

/// The plan for a selection, with what it was made from.
pub(crate) fn plan(link: &mut Link, selection: &Selection) -> Result<(Plan, Load, Caps), Error> {
    if let Some(plan) = Plan::at_once(selection) {
        return Ok((plan, Load::default(), Caps::default()));
    }
    let entries = count_if_possible(link)?;
    if entries == Some(0) {
        return Ok((Plan::Nothing, Load::default(), Caps::default()));
    }
    // Where these cannot be read, a busy host is assumed: its defaults.
    let load = Load { entries: entries.unwrap_or(100_000), buckets: link.buckets().unwrap_or(262_144) };
    let caps = if Plan::wants_caps(selection, load) {
        caps::caps(link, Plan::wants_ipv6(selection, load))?
    } else {
        Caps::default()
    };
    Ok((Plan::new(selection, load, caps), load, caps))
}

impl Select {
    pub fn start(link: &mut Link, selection: &Selection) -> Result<Select, Error> {
        let (plan, load, _) = plan(link, selection)?;
        let mut select = Select::with_plan(plan)?;
        select.table = load.entries;
        // At once, so that whoever begins a stream hears of a refusal then.
        select.begin_dump(link)?;
        Ok(select)
    }

    /// Begins the next dump. `false`: there is none.
    fn begin_dump(&mut self, link: &mut Link) -> Result<bool, Error> {
        let Some((number, filter)) = self.dumps.pop_front() else {
            return Ok(false);
        };
        let dump = Entries::start(link, &filter)?;
        self.dump = Some(Running { dump, number, filter, fresh: true });
        Ok(true)
    }

    fn with_plan(plan: Plan) -> Result<Select, Error> {
        let no_memory = |_| Error::NoMemory { op: LATER };
        let mut select = Select { dumps: VecDeque::new(), dump: None, keys: Vec::new(), found: Vec::new(), table: 0 };
        match plan {
            Plan::Nothing => {}
            Plan::LookUps(keys) => select.keys = keys,
            Plan::Common(filter) => {
                select.dumps.try_reserve(1).map_err(no_memory)?;
                select.dumps.push_back((None, filter));
            }
            Plan::Each(filters) => {
                select.dumps.try_reserve(filters.len()).map_err(no_memory)?;
                select.dumps.extend(filters.into_iter().map(|(number, filter)| (Some(number), filter)));
            }
        }
        Ok(select)
    }

    /// The next selected entry. `false`: that was all. After an error it is over, and the link is clean again.
    pub fn next(&mut self, link: &mut Link, selection: &Selection, entry: &mut Entry) -> Result<bool, Error> {
        loop {
            if let Some(running) = &mut self.dump {
                match running.next(link, selection, entry) {
                    Ok(true) => return Ok(true),
                    Ok(false) => self.dump = None,
                    Err(Error::Kernel { .. })
                        if mutant!("redone-only-if-fresh", running.fresh, true)
                            && mutant!("redone-if-refused", running.filter.is_more_than_family(), false) =>
                    {
                        // The kernel will not filter like this, whatever the probes said: then we do.
                        let filter = KernelFilter { family: running.filter.family, ..KernelFilter::default() };
                        self.dumps.push_front((running.number, filter));
                        self.dump = None;
                    }
                    Err(error) => {
                        self.dump = None;
                        return Err(error);
                    }
                }
            } else if let Some(found) = self.found.pop() {
                *entry = found;
                return Ok(true);
            } else if !self.keys.is_empty() {
                self.look_up(link, selection)?;
            } else if !self.begin_dump(link)? {
                return Ok(false);
            }
        }
    }

    /// A dump sees what cannot be looked up. It is the one for everything, so that no entry is judged twice.
    fn dump_instead(&mut self, selection: &Selection) -> Result<(), Error> {
        mutant!("dump-instead-forgets", self.found.clear(), ());
        let family = selection.include().first().and_then(|matcher| matcher.family);
        let same = selection.include().iter().all(|matcher| matcher.family == family);
        let family = family.filter(|_| mutant!("dump-instead-of-both-families", same, true)).unwrap_or_default();
        self.dumps.try_reserve(1).map_err(Error::no_memory)?;
        self.dumps.push_back((None, KernelFilter { family, ..KernelFilter::default() }));
        Ok(())
    }

    /// All at once, before any is handed over: each tuple once, and what is there is judged by the whole selection.
    fn look_up(&mut self, link: &mut Link, selection: &Selection) -> Result<(), Error> {
        let keys = std::mem::take(&mut self.keys);
        let (mut requests, mut answers) = (Requests::new(), Vec::new());
        for keys in keys.chunks(GET_BATCH) {
            let mut open = [0; GET_BATCH];
            let mut left = keys.len();
            (0..left).for_each(|at| open[at] = at);
            // With a zone there is a second name, to which other entries answer: see `Name`.
            for name in [Name::ORIG, Name { own_zone: true, ..Name::ORIG }] {
                let put = |index: usize, requests: &mut Requests| {
                    requests.push(|buffer, seq| put_get(buffer, seq, &keys[open[index]], name))
                };
                ask(link, &mut requests, left, 2, &put, &mut answers)?;
                let asked = open;
                left = 0;
                for (answer, &at) in answers.iter().zip(&asked) {
                    let key = &keys[at];
                    let zone = zone_of(key, By::Orig) != 0;
                    match answer {
                        Answer::Missing => {}
                        Answer::Entry(entry) if mutant!("look-up-by-name", has_name(entry, key, By::Orig), true) => {
                            if mutant!("look-up-compared", selection.selects(entry), true) {
                                self.found.try_reserve(1).map_err(Error::no_memory)?;
                                self.found.push(*entry);
                            }
                        }
                        // It has the tuple in its other direction, and may hide what was asked for.
                        Answer::Entry(_) if zone && !name.own_zone => {
                            open[left] = at;
                            left += 1;
                        }
                        Answer::Entry(entry) if !zone && !can_hide(entry, key) => {}
                        Answer::Entry(_) => mutant!("dump-instead", return self.dump_instead(selection), ()),
                        // For example an ICMP type without an answer: such an entry cannot be looked up.
                        Answer::Refused(_) => return self.dump_instead(selection),
                    }
                }
            }
        }
        Ok(())
    }
}

impl Running {
    fn next(&mut self, link: &mut Link, selection: &Selection, entry: &mut Entry) -> Result<bool, Error> {
        while self.dump.next(link, entry)? {
            self.fresh = false;
            let by = selection.selected_by(entry);
            let is_first = mutant!("each-entry-once", self.number.is_none() || self.number == by, true);
            if mutant!("entries-compared", by.is_some() && is_first, true) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// How often a selection whose dump was disturbed is run.
pub(crate) const TRIES: u32 = 4;

/// Who gets the entries of a whole selection.
pub(crate) trait Visitor {
    /// Forget all entries so far: the selection begins (again).
    fn restart(&mut self);
    /// The table has about so many entries, and all of them are selected.
    fn expect_all(&mut self, _entries: u64) {}
    /// Take an entry.
    fn visit(&mut self, entry: &Entry) -> Result<(), Error>;
}

/// Runs a whole selection and hands over every entry; begins anew, after `restart`, when it was disturbed.
pub(crate) fn for_each(link: &mut Link, selection: &Selection, visitor: &mut dyn Visitor) -> Result<(), Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        mutant!("begun-anew", visitor.restart(), ());
        match once(link, selection, visitor) {
            Err(error) if error.is_transient() && tries < TRIES => {}
            Err(Error::Interrupted { .. }) => return Err(Error::Interrupted { op: LATER, tries }),
            result => return result,
        }
    }
}

fn once(link: &mut Link, selection: &Selection, visitor: &mut dyn Visitor) -> Result<(), Error> {
    let mut select = Select::start(link, selection)?;
    if selection.takes_everything() {
        visitor.expect_all(select.table);
    }
    let mut entry = Entry::EMPTY;
    while select.next(link, selection, &mut entry)? {
        visitor.visit(&entry)?;
    }
    Ok(())
}
