//! What is selected: a set of filters that were found right, compiled.
//!
//! Pure: no I/O. Everything that can be wrong with filters is found here and in `matcher`, before anything is sent.

pub(crate) mod index;
pub(crate) mod matcher;
pub(crate) mod plan;

use crate::error::{text, Error};
use crate::filter::Filter;
use crate::selection::index::Index;
use crate::selection::matcher::{Fault, Matcher};
use ctnetlink::types::*;
use std::borrow::Cow;

/// A validated set of filters: an entry is selected if it matches at least one including filter (or there is none of them)
/// and no excluding one.
///
/// What every operation makes of its filters first. By itself it says what is wrong with filters without asking a kernel, and
/// compares entries that are at hand.
///
/// ```
/// use ctrack::{Entry, Filter, Proto, Selection};
/// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
/// let udp = Filter::new().with_proto(Proto::UDP);
/// let selection = Selection::new(&[Filter::new().with_zone(7), udp.clone()])?;
/// assert!(selection.selects(&key));
/// // By the second filter; in zone 7 by the first one.
/// assert_eq!(selection.selected_by(&key), Some(1));
/// assert_eq!(selection.selected_by(&key.in_zone(7)), Some(0));
///
/// let but_udp = Selection::new(&[udp.excluding()])?;
/// assert!(!but_udp.selects(&key) && !but_udp.takes_everything());
/// assert!(but_udp.refuse_everything().is_err(), "nothing says what to delete");
/// assert!(Selection::new(&[])?.takes_everything());
/// # Ok::<(), ctrack::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Selection {
    include: Index,
    exclude: Index,
}

impl Selection {
    /// Checks and compiles the filters. No filter at all selects every entry.
    ///
    /// ```
    /// use ctrack::{Filter, Selection};
    /// let error = Selection::new(&[Filter::new(), Filter::new().with_orig_dport(53)]).unwrap_err();
    /// assert_eq!(error.to_string(), "filter[1].orig_dport: needs a protocol that has ports");
    /// ```
    pub fn new(filters: &[Filter]) -> Result<Selection, Error> {
        Self::compile(filters, &|index, field| text("filter", format_args!("filter[{index}].{field}")))
    }

    /// The same; `place` names a field of a filter.
    fn compile(filters: &[Filter], place: &dyn Fn(usize, &str) -> Cow<'static, str>) -> Result<Selection, Error> {
        let no_memory = |_| Error::NoMemory { op: "filter" };
        let (mut include, mut exclude) = (Vec::new(), Vec::new());
        for (index, filter) in filters.iter().enumerate() {
            let matcher = Matcher::new(filter)
                .map_err(|Fault { field, reason }| Error::Invalid { place: place(index, field), reason })?;
            if filter.exclude && matcher.matches_everything() {
                return Err(Error::invalid(
                    text("filter", format_args!("filter[{index}]")),
                    "an excluding filter excludes everything",
                ));
            }
            let list = if filter.exclude { &mut exclude } else { &mut include };
            list.try_reserve(1).map_err(no_memory)?;
            list.push(matcher);
        }
        let index = |list| Index::new(list).map_err(no_memory);
        Ok(Selection { include: index(include)?, exclude: index(exclude)? })
    }

    /// Refuses a selection that would take everything: that is never what a delete by filter may do.
    pub fn refuse_everything(&self) -> Result<(), Error> {
        if mutant!("no-filter-refused", self.include().is_empty(), false) {
            return Err(Error::invalid("filter", "no including filter: nothing says what to delete"));
        }
        if mutant!("everything-refused", self.include().iter().any(Matcher::matches_everything), false) {
            return Err(Error::invalid("filter", "a filter matches every entry; to delete all of them use a flush"));
        }
        if mutant!("id-alone-refused", self.include().iter().any(|matcher| matcher.matches_all_but(Has::ID)), false) {
            let reason =
                "a filter names an id alone, and entries can share one; add what else the entry has, such as its \
                addresses, ports or zone";
            return Err(Error::invalid("filter", reason));
        }
        Ok(())
    }

    /// Whether every entry is selected.
    pub fn takes_everything(&self) -> bool {
        self.exclude.matchers().is_empty()
            && (self.include().is_empty() || self.include().iter().any(Matcher::matches_everything))
    }

    /// Whether it depends on what changes while an entry lives: status, mark, TCP state, labels, helper.
    pub(crate) fn depends_on_changes(&self) -> bool {
        self.include().iter().chain(self.exclude.matchers()).any(Matcher::depends_on_changes)
    }

    /// Whether it depends on labels or helper, which not every event tells.
    pub(crate) fn asks_for_rare(&self) -> bool {
        self.include().iter().chain(self.exclude.matchers()).any(Matcher::asks_for_rare)
    }

    /// The including filters.
    pub(crate) fn include(&self) -> &[Matcher] {
        self.include.matchers()
    }

    /// The excluding filters.
    pub(crate) fn exclude(&self) -> &[Matcher] {
        self.exclude.matchers()
    }

    /// Whether there are excluding filters.
    pub(crate) fn excludes(&self) -> bool {
        !self.exclude.matchers().is_empty()
    }

    /// Whether the entry is selected.
    #[inline]
    pub fn selects(&self, entry: &Entry) -> bool {
        self.selected_by(entry).is_some()
    }

    /// The first including filter that selects the entry (0 if there is none at all); `None` if it is not selected.
    #[inline]
    pub fn selected_by(&self, entry: &Entry) -> Option<usize> {
        let by = if self.include().is_empty() { Some(0) } else { self.include.first_match(entry) };
        by.filter(|_| mutant!("excluded", self.exclude.first_match(entry).is_none(), true))
    }
}

/// What a scoped flush is limited to.
pub(crate) fn check_scope(scope: &Filter) -> Result<Selection, Error> {
    let wanted = Filter {
        family: scope.family,
        zone: scope.zone,
        mark: scope.mark,
        status_set: scope.status_set,
        status_clear: scope.status_clear,
        ..Filter::default()
    };
    if mutant!("scope-fields", *scope != wanted, false) {
        return Err(Error::invalid("scope", "only family, zone, mark and status can limit a flush"));
    }
    let place = |_, field: &str| text("scope", format_args!("scope.{field}"));
    let selection = Selection::compile(std::slice::from_ref(scope), &place)?;
    if mutant!("scope-limits", selection.takes_everything(), false) {
        return Err(Error::invalid("scope", "limits nothing; to flush everything ask for all, without a scope"));
    }
    Ok(selection)
}
