//! The safe Rust API.

use crate::error::{Errno, Error, Failure};
use crate::filter::Filter;
use crate::ops::delete::Care;
use crate::ops::select::{self, Select};
use crate::ops::{self, Outcome};
use crate::selection::plan::Explanation;
use crate::selection::Selection;
use crate::setting::{Setting, TableInfo};
use crate::socket::link::{Link, DEFAULT_TIMEOUT};
use crate::socket::netlink::{NetlinkSocket, OpenOptions};
use crate::socket::Transport;
use crate::sys;
use ctnetlink::expect::Expectation;
use ctnetlink::stats::{Counted, CpuStats};
use ctnetlink::types::Entry;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Access to the connection-tracking table of one network namespace.
///
/// Needs CAP_NET_ADMIN in the user namespace that owns it, for reading too.
///
/// ```no_run
/// use ctrack::{Conntrack, Filter};
/// let mut conntrack = Conntrack::open()?;
/// let dead = std::net::Ipv4Addr::new(10, 0, 0, 7);
/// let outcome = conntrack.delete(&[Filter::new().with_orig_src(dead), Filter::new().with_reply_src(dead)])?;
/// println!("{} deleted, {} were gone already", outcome.done, outcome.gone);
/// # Ok::<(), ctrack::Error>(())
/// ```
pub struct Conntrack {
    link: Link,
    open_dump: Option<Selected>,
    /// The last dump was read to its end.
    dump_ended: bool,
    care: Care,
}

/// Entries that are being selected.
struct Selected {
    select: Select,
    selection: Selection,
}

impl Selected {
    fn next(&mut self, link: &mut Link, entry: &mut Entry) -> Result<bool, Error> {
        match self.select.next(link, &self.selection, entry) {
            Ok(more) => Ok(more),
            Err(error) => Err(during_dump(error)),
        }
    }
}

const DUMP: &str = "dump";

/// Not in the way of every entry.
#[cold]
#[inline(never)]
fn during_dump(error: Error) -> Error {
    error.during(DUMP)
}

/// What an operation on given entries did, and what became of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "some entries may have failed: `into_result` makes an error of that"]
#[non_exhaustive]
pub struct BatchOutcome {
    /// The sums.
    pub outcome: Outcome,
    /// One per entry, in their order. [`Errno::GONE`]: it was no longer there, which is no failure of the operation.
    pub results: Vec<Result<(), Errno>>,
}

impl BatchOutcome {
    /// How many entries were done, or an error if any of them failed: that of the first one. Those that were gone did not fail.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// # let entries = [];
    /// let created = conntrack.create_entries(&entries)?.into_result()?;
    /// println!("all {created} are there now");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn into_result(self) -> Result<u64, Failure> {
        self.outcome.into_result()
    }
}

/// What a delete deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "some entries may have failed, and more may be selected"]
#[non_exhaustive]
pub struct Deleted {
    /// What was deleted, as it was at its end.
    pub entries: Vec<Entry>,
    /// More is selected than was allowed: that was not touched.
    pub more: bool,
    /// The sums, without those that were not touched. `done` is how many `entries` there are.
    pub outcome: Outcome,
}

/// What became of an entry whose counters were to begin anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "nearly all of them have an entry")]
pub enum Zeroed {
    /// It was read, as it was before.
    Entry(Entry),
    /// Another entry had its place, and was read; that one's counters begin anew.
    Another(Entry),
    /// Nothing was read. [`Errno::GONE`]: it was no longer there. An errno of a lost reply (ENOBUFS, ETIMEDOUT, EBADMSG and the like): its
    /// counters perhaps begin anew; ECANCELED: nothing was tried.
    Failed(Errno),
}

/// What reading and zeroing did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it has what was counted, and nobody else has it any more"]
#[non_exhaustive]
pub struct ZeroOutcome {
    /// The sums. Entries in whose place another one was read have failed.
    pub outcome: Outcome,
    /// One per entry, in their order.
    pub results: Vec<Zeroed>,
}

impl Conntrack {
    /// Opens the table of the calling thread's network namespace.
    ///
    /// ```no_run
    /// let mut conntrack = ctrack::Conntrack::open()?;
    /// println!("{} entries", conntrack.count()?);
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn open() -> Result<Conntrack, Error> {
        Self::open_with(&OpenOptions::default())
    }

    /// Opens a table as `options` say.
    ///
    /// ```no_run
    /// use ctrack::{Conntrack, OpenOptions};
    /// let pod = std::fs::File::open("/run/netns/pod")?;
    /// let mut conntrack = Conntrack::open_with(&OpenOptions::new().with_netns(pod))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_with(options: &OpenOptions) -> Result<Conntrack, Error> {
        let socket = NetlinkSocket::open(options)?;
        let socket = sys::try_box(socket).ok_or(Error::NoMemory { op: "open" })?;
        let mut conntrack = Self::over(socket, options.timeout.unwrap_or(DEFAULT_TIMEOUT));
        conntrack.compare_start(options.compare_start);
        Ok(conntrack)
    }

    /// Works over a transport of the caller's: this is how the operations are tested without a kernel.
    #[doc(hidden)]
    pub fn over(transport: Box<dyn Transport>, timeout: Duration) -> Conntrack {
        Conntrack { link: Link::new(transport, timeout), open_dump: None, dump_ended: false, care: Care::default() }
    }

    /// Whether deletes also compare the time at which an entry was made, where the kernel keeps it
    /// (net.netfilter.nf_conntrack_timestamp). A successor with the same tuple can have the same id; it has not the same start.
    /// Takes a look-up for each entry.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// conntrack.compare_start(true);
    /// let dead = ctrack::presets::dead_endpoint(&[[10, 0, 0, 7].into()])?;
    /// let outcome = conntrack.delete(&dead)?;
    /// println!("compared: {}", !outcome.start_unknown);
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn compare_start(&mut self, compare: bool) {
        self.care.compare_start = compare;
    }

    /// The netlink port of its socket: what [`Event::port`](crate::Event::port) says of the changes that it made. It is no process id,
    /// and changes where a new socket had to be opened: after [`Error::Timeout`].
    ///
    /// ```no_run
    /// # let conntrack = ctrack::Conntrack::open()?;
    /// println!("portid={}", conntrack.port());
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn port(&self) -> u32 {
        self.link.port()
    }

    /// The selected entries; all of them if there is no filter.
    ///
    /// A dump that is disturbed (a resized table, an overrun) is repeated, up to four times in all.
    ///
    /// ```no_run
    /// use ctrack::{line, Filter, Format};
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// for entry in conntrack.list(&[Filter::new().with_zone(7)])? {
    ///     println!("{}", line(&entry, Format::empty()));
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn list(&mut self, filters: &[Filter]) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        self.list_into(filters, &mut entries)?;
        Ok(entries)
    }

    /// Appends the selected entries to `entries`: to use its memory again, or to gather several lists.
    ///
    /// ```no_run
    /// use ctrack::{Conntrack, OpenOptions};
    /// let mut entries = Vec::new();
    /// for pod in ["/run/netns/blue", "/run/netns/green"] {
    ///     let options = OpenOptions::new().with_netns(std::fs::File::open(pod)?);
    ///     Conntrack::open_with(&options)?.list_into(&[], &mut entries)?;
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn list_into(&mut self, filters: &[Filter], entries: &mut Vec<Entry>) -> Result<(), Error> {
        self.operation("list", |own| {
            let selection = Selection::new(filters)?;
            ops::list::list(&mut own.link, &selection, entries)
        })
    }

    /// How the selected entries would be found now: what the kernel is asked for, and what it is known to honour.
    ///
    /// ```no_run
    /// use ctrack::Filter;
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let plan = conntrack.explain(&[Filter::new().with_zone(7)])?;
    /// println!("{} look-ups, {} dumps by {:?}", plan.look_ups, plan.dumps, plan.kernel_filters);
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn explain(&mut self, filters: &[Filter]) -> Result<Explanation, Error> {
        self.operation("explain", |own| {
            let selection = Selection::new(filters)?;
            let (plan, load, caps) = select::plan(&mut own.link, &selection)?;
            Ok(plan.explain(load, caps))
        })
    }

    /// A stream in steps, which borrows nothing between them: begins it; [`Conntrack::dump_next`] gives the entries.
    #[doc(hidden)]
    pub fn dump_start(&mut self, filters: &[Filter]) -> Result<(), Error> {
        self.idle(DUMP)?;
        self.dump_ended = false;
        self.open_dump = Some(self.selected(filters)?);
        Ok(())
    }

    /// The next entry of that stream into `entry`; `false` at its end, as often as asked.
    #[doc(hidden)]
    pub fn dump_next(&mut self, entry: &mut Entry) -> Result<bool, Error> {
        let Some(open) = &mut self.open_dump else {
            return if self.dump_ended { Ok(false) } else { Err(Error::NoDump { op: DUMP }) };
        };
        let result = open.next(&mut self.link, entry);
        if !matches!(result, Ok(true)) {
            self.open_dump = None;
            self.dump_ended = result.is_ok();
        }
        result
    }

    /// Ends that stream early. Fine if none is open.
    #[doc(hidden)]
    pub fn dump_end(&mut self) {
        self.dump_ended = false;
        if self.open_dump.take().is_some() {
            self.link.abandon();
        }
    }

    /// A stream under way.
    fn selected(&mut self, filters: &[Filter]) -> Result<Selected, Error> {
        self.operation(DUMP, |own| {
            let selection = Selection::new(filters)?;
            let select = Select::start(&mut own.link, &selection)?;
            Ok(Selected { select, selection })
        })
    }

    /// The selected entries as an iterator, in constant memory. Dropping it ends the stream.
    ///
    /// A disturbed stream ends with an error: what was already given cannot be taken back.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// for entry in conntrack.stream(&[])? {
    ///     println!("{}", ctrack::json(&entry?));
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn stream(&mut self, filters: &[Filter]) -> Result<Stream<'_>, Error> {
        let selected = self.selected(filters)?;
        Ok(Stream { conntrack: self, selected: Some(selected) })
    }

    /// The entry that the key's tuple and zone (and id, if it has one) identify.
    ///
    /// `None`: it is not there.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// use ctrack::{Entry, Proto};
    /// let key = Entry::key(Proto::TCP, [10, 0, 0, 7].into(), 40001, [10, 0, 0, 8].into(), 443).expect("one family");
    /// if let Some(entry) = conntrack.get(&key.in_zone(7))? {
    ///     println!("mark {:?}, {:?} s left", entry.mark(), entry.timeout());
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn get(&mut self, key: &Entry) -> Result<Option<Entry>, Error> {
        self.operation("get", |own| ops::get::get(&mut own.link, key))
    }

    /// How many entries the network namespace has, by the kernel's own count: expired ones that it has not reaped yet are
    /// included.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// println!("{} entries", conntrack.count()?);
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn count(&mut self) -> Result<u64, Error> {
        self.operation("count", |own| ops::count::count(&mut own.link))
    }

    /// Deletes the selected entries. Filters that would take everything are refused.
    ///
    /// An error means that nothing was deleted; what went wrong later is in the outcome.
    ///
    /// ```no_run
    /// use ctrack::{Filter, Proto};
    /// use std::net::Ipv4Addr;
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let dns = Filter::new().with_proto(Proto::UDP).with_orig_dst(Ipv4Addr::new(10, 96, 0, 10)).with_orig_dport(53);
    /// let outcome = conntrack.delete(&[dns])?;
    /// println!("{} of {} deleted", outcome.done, outcome.matched);
    /// if let Some(failure) = outcome.failure() {
    ///     eprintln!("{failure}");
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn delete(&mut self, filters: &[Filter]) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        self.delete_into(filters, false, &mut outcome).map(|()| outcome)
    }

    /// The same, but the kernel may delete by itself, without saying how many entries, where that is exact for these filters on
    /// the running kernel: about half the time. [`Outcome::uncounted`] says whether it did.
    ///
    /// Several filters are several requests: unlike with [`Conntrack::delete`], an error may come after the first of them have deleted.
    ///
    /// ```no_run
    /// use ctrack::Filter;
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let outcome = conntrack.delete_uncounted(&[Filter::new().with_zone(7)])?;
    /// if !outcome.uncounted {
    ///     println!("{} deleted", outcome.done);
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn delete_uncounted(&mut self, filters: &[Filter]) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        self.delete_into(filters, true, &mut outcome).map(|()| outcome)
    }

    #[doc(hidden)]
    pub fn delete_into(&mut self, filters: &[Filter], uncounted: bool, outcome: &mut Outcome) -> Result<(), Error> {
        self.change("delete", outcome, |own, outcome| {
            let selection = Selection::new(filters)?;
            selection.refuse_everything()?;
            if uncounted
                && mutant!("uncounted-start-compared", !own.care.compare_start, true)
                && ops::delete::delete_uncounted(&mut own.link, &selection, outcome)?
            {
                return Ok(());
            }
            ops::delete::delete(&mut own.link, &selection, own.care, outcome)
        })
    }

    /// What [`Conntrack::delete`] would delete now; nothing is. What that refuses is refused.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let dead = ctrack::presets::dead_endpoint(&[[10, 0, 0, 7].into()])?;
    /// println!("{} would be deleted", conntrack.would_delete(&dead)?.len());
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn would_delete(&mut self, filters: &[Filter]) -> Result<Vec<Entry>, Error> {
        self.operation("delete", |own| {
            let selection = Selection::new(filters)?;
            selection.refuse_everything()?;
            let mut entries = Vec::new();
            ops::list::list(&mut own.link, &selection, &mut entries)?;
            Ok(entries)
        })
    }

    /// Deletes the selected entries, and gives what was deleted: at most so many. [`Deleted::more`]: there are others, which stay; call
    /// again.
    ///
    /// The entries are as they were at their end, with their last packets and bytes, where the kernel says so: for those that report what
    /// becomes of them (sysctl nf_conntrack_events when they were made). Of others the counters are left out.
    ///
    /// ```no_run
    /// use ctrack::{line, Filter, Format};
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// loop {
    ///     let deleted = conntrack.delete_returning(&[Filter::new().with_zone(7)], 10_000)?;
    ///     for entry in &deleted.entries {
    ///         println!("deleted: {}", line(entry, Format::empty()));
    ///     }
    ///     if !deleted.more {
    ///         break;
    ///     }
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn delete_returning(&mut self, filters: &[Filter], most: usize) -> Result<Deleted, Error> {
        let mut deleted = Deleted::default();
        let Deleted { entries, outcome, .. } = &mut deleted;
        deleted.more = self.delete_returning_into(filters, most, entries, outcome)?;
        Ok(deleted)
    }

    #[doc(hidden)]
    pub fn delete_returning_into(
        &mut self,
        filters: &[Filter],
        most: usize,
        deleted: &mut Vec<Entry>,
        outcome: &mut Outcome,
    ) -> Result<bool, Error> {
        let mut more = false;
        self.change("delete", outcome, |own, outcome| {
            let selection = Selection::new(filters)?;
            selection.refuse_everything()?;
            more = ops::delete::delete_returning(&mut own.link, &selection, most, own.care, deleted, outcome)?;
            Ok(())
        })?;
        Ok(more)
    }

    /// Deletes the given entries, each only if it is still the one that is meant: same tuple, zone and id.
    ///
    /// So what no filter can say is said in Rust: list, choose, delete.
    ///
    /// ```no_run
    /// use ctrack::{Errno, Filter, Proto};
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let mut idle = conntrack.list(&[Filter::new().with_proto(Proto::TCP)])?;
    /// idle.retain(|entry| entry.timeout().is_some_and(|seconds| seconds < 60));
    /// let batch = conntrack.delete_entries(&idle)?;
    /// for (entry, result) in idle.iter().zip(batch.results) {
    ///     match result {
    ///         Ok(()) | Err(Errno::GONE) => {}
    ///         Err(errno) => eprintln!("{entry:?}: {errno}"),
    ///     }
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn delete_entries(&mut self, entries: &[Entry]) -> Result<BatchOutcome, Error> {
        self.batch(entries, Self::delete_entries_into)
    }

    #[doc(hidden)]
    pub fn delete_entries_into(
        &mut self,
        entries: &[Entry],
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.change("delete_entries", outcome, |own, outcome| {
            ops::delete::delete_entries(&mut own.link, entries, own.care, status, outcome)
        })
    }

    /// Reads the given entries, and lets their packets and bytes be counted from 0 on: by the kernel in one step, so that what is read now
    /// and next time adds up to all that came.
    ///
    /// Nothing is sent twice that may have reached the kernel: where a reply is lost, the counters of that entry perhaps begin anew, and
    /// what they were is not known. Entries of whom nothing is counted (sysctl nf_conntrack_acct) have no counters here either.
    ///
    /// The kernel compares no id. Where another entry has taken the place of one, it was read instead, and its counters begin anew:
    /// [`Zeroed::Another`] has it, so that nothing is lost.
    ///
    /// ```no_run
    /// use ctrack::{Filter, Zeroed};
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let entries = conntrack.list(&[Filter::new().with_zone(7)])?;
    /// let mut bytes = 0;
    /// for zeroed in conntrack.zero_entries(&entries)?.results {
    ///     if let Zeroed::Entry(entry) | Zeroed::Another(entry) = zeroed {
    ///         bytes += entry.orig_counters.bytes + entry.reply_counters.bytes;
    ///     }
    /// }
    /// println!("{bytes} bytes since the last time");
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn zero_entries(&mut self, entries: &[Entry]) -> Result<ZeroOutcome, Error> {
        let (mut zeroed, mut status) = (ZeroOutcome::default(), Vec::new());
        let no_memory = |_| Error::NoMemory { op: "zero_entries" };
        status.try_reserve_exact(entries.len()).map_err(no_memory)?;
        zeroed.results.try_reserve_exact(entries.len()).map_err(no_memory)?;
        status.resize(entries.len(), 0);
        zeroed.results.resize(entries.len(), Zeroed::Failed(Errno(libc::ECANCELED)));
        let (results, outcome) = (&mut zeroed.results, &mut zeroed.outcome);
        self.zero_entries_into(entries, &mut |index, entry| results[index] = Zeroed::Entry(*entry), &mut status, outcome)?;
        for (result, status) in zeroed.results.iter_mut().zip(status) {
            *result = match (*result, -status) {
                (read, 0) => read,
                (Zeroed::Entry(entry), libc::ESTALE) => Zeroed::Another(entry),
                (_, errno) => Zeroed::Failed(Errno(errno)),
            };
        }
        Ok(zeroed)
    }

    #[doc(hidden)]
    pub fn zero_entries_into(
        &mut self,
        entries: &[Entry],
        taken: &mut dyn FnMut(usize, &Entry),
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.change("zero_entries", outcome, |own, outcome| {
            ops::zero::zero_entries(&mut own.link, entries, own.care.compare_start, taken, status, outcome)
        })
    }

    /// Makes the given entries, each exactly as given or not at all. The timeout is needed; the reply tuple is the mirror image of
    /// the original one unless given.
    ///
    /// A malformed entry is an error, and nothing is sent. One that is only impossible ([`Error::Impossible`]) has a result of its
    /// own: EOPNOTSUPP only the kernel can make it, ETIME its timeout is 0, EINVAL its status contradicts its reply tuple.
    /// In a full table the kernel makes room by dropping others' entries that are not assured; nothing tells which or how many.
    ///
    /// ```no_run
    /// use ctrack::{Entry, Has, Proto};
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let key = Entry::key(Proto::UDP, [10, 0, 0, 7].into(), 4000, [10, 0, 0, 8].into(), 53).expect("one family");
    /// let entry = Entry { has: key.has | Has::TIMEOUT | Has::MARK, timeout: 30, mark: 7, ..key };
    /// // An entry that is there already has failed: without into_result() that is no error.
    /// conntrack.create_entries(&[entry])?.into_result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_entries(&mut self, entries: &[Entry]) -> Result<BatchOutcome, Error> {
        self.batch(entries, Self::create_entries_into)
    }

    #[doc(hidden)]
    pub fn create_entries_into(
        &mut self,
        entries: &[Entry],
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.change("create_entries", outcome, |own, outcome| {
            ops::create::create_entries(&mut own.link, entries, status, outcome)
        })
    }

    /// Changes the given entries: `has` says what. A malformed change is an error, and nothing is sent; one that is impossible has a
    /// result of its own.
    ///
    /// ```no_run
    /// use ctrack::{Entry, Has, Proto};
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let key = Entry::key(Proto::TCP, [10, 0, 0, 7].into(), 40001, [10, 0, 0, 8].into(), 443).expect("one family");
    /// let change = Entry { has: key.has | Has::MARK | Has::MARK_MASK, mark: 0x70, mark_mask: 0xf0, ..key };
    /// let changed = conntrack.update_entries(&[change])?.into_result()?;
    /// println!("{}", if changed == 1 { "marked" } else { "it is gone" });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn update_entries(&mut self, entries: &[Entry]) -> Result<BatchOutcome, Error> {
        self.batch(entries, Self::update_entries_into)
    }

    #[doc(hidden)]
    pub fn update_entries_into(
        &mut self,
        entries: &[Entry],
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.change("update_entries", outcome, |own, outcome| {
            ops::update::update_entries(&mut own.link, entries, status, outcome)
        })
    }

    /// Deletes the entries of a family, zone, mark or status: nothing else may be set in `scope`, and something must be.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// conntrack.flush(&ctrack::Filter::new().with_zone(7))?.into_result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn flush(&mut self, scope: &Filter) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        self.change("flush", &mut outcome, |own, outcome| {
            ops::flush::flush_scope(&mut own.link, scope, own.care, outcome)
        })?;
        Ok(outcome)
    }

    /// Deletes every entry of the network namespace.
    ///
    /// ```no_run
    /// ctrack::Conntrack::open()?.flush_all()?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn flush_all(&mut self) -> Result<(), Error> {
        self.operation("flush", |own| ops::flush::flush_all(&mut own.link))
    }

    /// How many entries there are and may be, and these settings of the network namespace.
    ///
    /// Without settings that is one small request. The maximum comes with it, where the kernel sends it (since Linux 5.8); the
    /// settings are read from /proc/sys, those of another network namespace by a thread that enters it and ends.
    ///
    /// ```no_run
    /// use ctrack::Setting;
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let info = conntrack.table_info(&[Setting::Max, Setting::Acct])?;
    /// println!("{} entries of {:?}", info.entries, info.get(Setting::Max));
    /// if info.get(Setting::Acct) == Some(0) && info.may_set(Setting::Acct) {
    ///     conntrack.set_table(Setting::Acct, 1)?;
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn table_info(&mut self, settings: &[Setting]) -> Result<TableInfo, Error> {
        self.operation("table_info", |own| ops::table::info(&mut own.link, settings))
    }

    /// Changes a setting of the network namespace. Those of the machine are refused. It stays so when the program ends.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// conntrack.set_table(ctrack::Setting::UdpTimeout, 60)?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn set_table(&mut self, setting: Setting, value: u32) -> Result<(), Error> {
        self.operation("set_table", |own| ops::table::set(&mut own.link, setting, value))
    }

    /// What each processor counted in the network namespace: one for each that the machine may have.
    ///
    /// ```no_run
    /// use ctrack::Stat;
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let drops: u64 = conntrack.cpu_stats()?.iter().filter_map(|cpu| cpu.get(Stat::DROP)).map(u64::from).sum();
    /// println!("{drops} packets dropped");
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn cpu_stats(&mut self) -> Result<Vec<CpuStats>, Error> {
        let mut stats = Vec::new();
        self.cpu_stats_into(Counted::Entries, &mut stats)?;
        Ok(stats)
    }

    /// The same for expectations: the counters of [`ExpectStat`](crate::ExpectStat).
    ///
    /// ```no_run
    /// use ctrack::ExpectStat;
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// for cpu in conntrack.expect_stats()? {
    ///     println!("cpu {}: {:?} expected", cpu.cpu, cpu.get(ExpectStat::CREATE));
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn expect_stats(&mut self) -> Result<Vec<CpuStats>, Error> {
        let mut stats = Vec::new();
        self.cpu_stats_into(Counted::Expectations, &mut stats)?;
        Ok(stats)
    }

    #[doc(hidden)]
    pub fn cpu_stats_into(&mut self, counted: Counted, stats: &mut Vec<CpuStats>) -> Result<(), Error> {
        let name = match counted {
            Counted::Entries => "cpu_stats",
            Counted::Expectations => "expect_stats",
        };
        self.operation(name, |own| ops::stats::per_cpu(&mut own.link, counted, stats))
    }

    /// The expectations that are like one of these; all of them if there is none. What `has` announces of one must be the same, and its
    /// family.
    ///
    /// The kernel does not say in which zone an expectation is. Where all of `like` name a master and its zone, only those are asked; with
    /// a zone in one of them, or with `zones`, the entries of the table that have a helper are asked one by one, and each expectation has
    /// its zone.
    ///
    /// ```no_run
    /// use ctrack::{Expectation, Filter};
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let ftp = conntrack.list(&[Filter::new().with_helper("ftp")?])?;
    /// let of_these: Vec<Expectation> = ftp.iter().filter_map(Expectation::of).collect();
    /// for expected in conntrack.list_expectations(&of_these, false)? {
    ///     println!("port {} for {} seconds", expected.tuple.dport, expected.timeout);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn list_expectations(&mut self, like: &[Expectation], zones: bool) -> Result<Vec<Expectation>, Error> {
        let mut expectations = Vec::new();
        self.list_expectations_into(like, zones, &mut expectations)?;
        Ok(expectations)
    }

    #[doc(hidden)]
    pub fn list_expectations_into(
        &mut self,
        like: &[Expectation],
        zones: bool,
        expectations: &mut Vec<Expectation>,
    ) -> Result<(), Error> {
        self.operation("list_expectations", |own| ops::expect::list(&mut own.link, like, zones, expectations))
    }

    /// The expectation with this tuple in this zone; with this id, if the key has one. `None`: it is not there.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// for expected in conntrack.list_expectations(&[], true)? {
    ///     println!("{}", if conntrack.get_expectation(&expected)?.is_some() { "still expected" } else { "it came" });
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn get_expectation(&mut self, key: &Expectation) -> Result<Option<Expectation>, Error> {
        self.operation("get_expectation", |own| ops::expect::get(&mut own.link, key))
    }

    /// Makes expectations, each with a tuple, a mask and a master that has a helper.
    ///
    /// The kernel lets a helper expect so many connections at once of each class; one more, and it drops the oldest without a word.
    ///
    /// ```no_run
    /// use ctrack::{ExpectHas, Expectation, Filter, Tuple};
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let masters = conntrack.list(&[Filter::new().with_helper("ftp")?])?;
    /// let passive: Vec<Expectation> = masters
    ///     .iter()
    ///     .filter_map(|master| {
    ///         let mut expected = Expectation::of(master)?;
    ///         expected.has |= ExpectHas::TUPLE | ExpectHas::MASK | ExpectHas::PORTS;
    ///         expected.proto = master.proto;
    ///         expected.tuple = Tuple { sport: 0, dport: 8000, zone: 0, ..master.orig };
    ///         expected.mask = Tuple { src: [0xff; 16], dst: [0xff; 16], sport: 0, dport: 0xffff, ..Tuple::EMPTY };
    ///         Some(expected)
    ///     })
    ///     .collect();
    /// conntrack.create_expectations(&passive)?.into_result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn create_expectations(&mut self, expectations: &[Expectation]) -> Result<BatchOutcome, Error> {
        self.batch(expectations, Self::create_expectations_into)
    }

    #[doc(hidden)]
    pub fn create_expectations_into(
        &mut self,
        expectations: &[Expectation],
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.change("create_expectations", outcome, |own, outcome| {
            ops::expect::create(&mut own.link, expectations, status, outcome)
        })
    }

    /// Deletes the given expectations, each only if it is still the one that is meant: same tuple, zone and id. Of listed ones that have no
    /// zone the zone is looked for.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let mut old = conntrack.list_expectations(&[], false)?;
    /// old.retain(|expected| expected.timeout < 60);
    /// conntrack.delete_expectations(&old)?.into_result()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn delete_expectations(&mut self, expectations: &[Expectation]) -> Result<BatchOutcome, Error> {
        self.batch(expectations, Self::delete_expectations_into)
    }

    #[doc(hidden)]
    pub fn delete_expectations_into(
        &mut self,
        expectations: &[Expectation],
        status: &mut [i32],
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        self.change("delete_expectations", outcome, |own, outcome| {
            ops::expect::delete(&mut own.link, expectations, status, outcome)
        })
    }

    /// Deletes the expectations that are like one of these. Ones that would select all are refused.
    ///
    /// ```no_run
    /// use ctrack::Expectation;
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let mut sip = Expectation::EMPTY;
    /// sip.set_helper("sip");
    /// println!("{} deleted", conntrack.flush_expectations(&[sip])?.done);
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn flush_expectations(&mut self, like: &[Expectation]) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        self.flush_expectations_into(like, &mut outcome)?;
        Ok(outcome)
    }

    #[doc(hidden)]
    pub fn flush_expectations_into(&mut self, like: &[Expectation], outcome: &mut Outcome) -> Result<(), Error> {
        self.change("flush_expectations", outcome, |own, outcome| {
            ops::expect::flush(&mut own.link, like, outcome)
        })
    }

    /// Deletes every expectation of the network namespace.
    ///
    /// ```no_run
    /// ctrack::Conntrack::open()?.flush_all_expectations()?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn flush_all_expectations(&mut self) -> Result<(), Error> {
        self.operation("flush_expectations", |own| ops::expect::flush_all(&mut own.link))
    }

    /// The lowest zone of the range that no entry is in. None is free: [`Error::NoFreeZone`].
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// let zone = conntrack.find_free_zone(1..=4095)?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn find_free_zone(&mut self, range: RangeInclusive<u16>) -> Result<u16, Error> {
        self.operation("zone_find_free", |own| ops::zone::find_free(&mut own.link, *range.start(), *range.end()))
    }

    fn batch<T>(
        &mut self,
        entries: &[T],
        run: impl FnOnce(&mut Self, &[T], &mut [i32], &mut Outcome) -> Result<(), Error>,
    ) -> Result<BatchOutcome, Error> {
        let (mut batch, mut status) = (BatchOutcome::default(), Vec::new());
        let no_memory = |_| Error::NoMemory { op: "entries" };
        status.try_reserve_exact(entries.len()).map_err(no_memory)?;
        batch.results.try_reserve_exact(entries.len()).map_err(no_memory)?;
        status.resize(entries.len(), 0);
        run(self, entries, &mut status, &mut batch.outcome)?;
        batch.results.extend(status.iter().map(|&status| if status == 0 { Ok(()) } else { Err(Errno(-status)) }));
        Ok(batch)
    }

    /// Runs an operation, and adds its name to what goes wrong: the one place that does.
    fn operation<T>(
        &mut self,
        name: &'static str,
        run: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.idle(name)?;
        run(self).map_err(|error| error.during(name))
    }

    /// The same for one that tells in an outcome what went wrong.
    fn change(
        &mut self,
        name: &'static str,
        outcome: &mut Outcome,
        run: impl FnOnce(&mut Self, &mut Outcome) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let result = self.operation(name, |own| run(own, outcome));
        outcome.error = outcome.error.take().map(|error| error.during(name));
        result
    }

    /// A stream in steps owns the socket.
    fn idle(&self, op: &'static str) -> Result<(), Error> {
        if mutant!("one-dump-at-a-time", self.open_dump.is_some(), false) {
            return Err(Error::DumpOpen { op });
        }
        Ok(())
    }
}

impl std::fmt::Debug for Conntrack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conntrack")
            .field("netns", &self.link.netns())
            .field("dump_open", &self.open_dump.is_some())
            .finish()
    }
}

/// Entries as they come from the kernel: what [`Conntrack::stream`] gives. Ends after the first error.
#[must_use = "entries are read as the iterator is"]
pub struct Stream<'a> {
    conntrack: &'a mut Conntrack,
    /// `None`: it is over.
    selected: Option<Selected>,
}

impl Iterator for Stream<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut entry = Entry::EMPTY;
        let next = self.selected.as_mut()?.next(&mut self.conntrack.link, &mut entry);
        if !matches!(next, Ok(true)) {
            self.selected = None;
        }
        match next {
            Ok(true) => Some(Ok(entry)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl std::iter::FusedIterator for Stream<'_> {}

impl std::fmt::Debug for Stream<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("conntrack", self.conntrack).field("is_over", &self.selected.is_none()).finish()
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        // At once, so that the kernel need not keep its place. One that is forgotten is ended by the next operation.
        self.conntrack.link.abandon();
    }
}
