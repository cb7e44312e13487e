//! The safe Rust API.

use crate::error::Error;
use crate::filter::Filter;
use crate::ops::delete::Care;
use crate::ops::select::{self, Select};
use crate::ops::{self, Outcome};
use crate::selection::plan::Explanation;
use crate::selection::Selection;
use crate::socket::link::{Link, DEFAULT_TIMEOUT};
use crate::socket::netlink::{NetlinkSocket, OpenOptions};
use crate::socket::Transport;
use crate::sys;
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
/// let dead: std::net::IpAddr = "10.0.0.7".parse().unwrap();
/// let outcome = conntrack.delete(&[
///     Filter { orig_src: Some(dead.into()), ..Filter::default() },
///     Filter { reply_src: Some(dead.into()), ..Filter::default() },
/// ])?;
/// println!("{} deleted, {} were gone already", outcome.done, outcome.gone);
/// # Ok::<(), ctrack::Error>(())
/// ```
pub struct Conntrack {
    link: Link,
    open_dump: Option<OpenDump>,
    /// The last dump was read to its end.
    dump_ended: bool,
    care: Care,
}

struct OpenDump {
    select: Select,
    selection: Selection,
}

/// What an operation on given entries did, and the status of each: 0, or a negative errno (-ENOENT: gone). Why the first of those
/// that failed did: [`Outcome::failure`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchOutcome {
    /// The sums.
    pub outcome: Outcome,
    /// One per entry, in their order.
    pub status: Vec<i32>,
}

impl Conntrack {
    /// Opens the table of the calling thread's network namespace.
    pub fn open() -> Result<Conntrack, Error> {
        Self::open_with(&OpenOptions::default())
    }

    /// Opens a table as `options` say.
    pub fn open_with(options: &OpenOptions) -> Result<Conntrack, Error> {
        let socket = NetlinkSocket::open(options)?;
        let socket = sys::try_box(socket).ok_or(Error::NoMemory { op: "open" })?;
        let mut conntrack = Self::over(socket, options.timeout.unwrap_or(DEFAULT_TIMEOUT));
        conntrack.compare_start(options.compare_start);
        Ok(conntrack)
    }

    /// Works over a transport of the caller's: this is how the operations are tested without a kernel.
    pub fn over(transport: Box<dyn Transport>, timeout: Duration) -> Conntrack {
        Conntrack { link: Link::new(transport, timeout), open_dump: None, dump_ended: false, care: Care::default() }
    }

    /// Whether deletes also compare the time at which an entry was made, where the kernel keeps it
    /// (net.netfilter.nf_conntrack_timestamp). A successor with the same tuple can have the same id; it has not the same start.
    /// Takes a look-up for each entry.
    pub fn compare_start(&mut self, compare: bool) {
        self.care.compare_start = compare;
    }

    /// The selected entries; all of them if there is no filter.
    ///
    /// A dump that is disturbed (a resized table, an overrun) is repeated, up to four times in all.
    pub fn list(&mut self, filters: &[Filter]) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::new();
        self.list_into(filters, &mut entries)?;
        Ok(entries)
    }

    /// Appends the selected entries to `entries`.
    pub fn list_into(&mut self, filters: &[Filter], entries: &mut Vec<Entry>) -> Result<(), Error> {
        self.idle("list")?;
        let selection = Selection::new(filters)?;
        ops::list::list(&mut self.link, &selection, entries)
    }

    /// How the selected entries would be found now: what the kernel is asked for, and what it is known to honour.
    pub fn explain(&mut self, filters: &[Filter]) -> Result<Explanation, Error> {
        const OP: &str = "explain";
        self.idle(OP)?;
        let selection = Selection::new(filters)?;
        let (plan, load, caps) = select::plan(&mut self.link, OP, &selection)?;
        Ok(plan.explain(load, caps))
    }

    /// Begins to stream the selected entries in constant memory; [`Conntrack::dump_next`] gives them.
    pub fn dump_start(&mut self, filters: &[Filter]) -> Result<(), Error> {
        const OP: &str = "dump";
        self.idle(OP)?;
        self.dump_ended = false;
        let selection = Selection::new(filters)?;
        let select = Select::start(&mut self.link, OP, &selection)?;
        self.open_dump = Some(OpenDump { select, selection });
        self.dump_ended = false;
        Ok(())
    }

    /// The next entry of the stream into `entry`; `false` at its end, as often as asked.
    ///
    /// A disturbed stream ends with an error: what was already given cannot be taken back.
    pub fn dump_next(&mut self, entry: &mut Entry) -> Result<bool, Error> {
        let Some(open) = &mut self.open_dump else {
            return if self.dump_ended { Ok(false) } else { Err(Error::NoDump { op: "dump" }) };
        };
        let result = open.select.next(&mut self.link, &open.selection, entry);
        if !matches!(result, Ok(true)) {
            self.open_dump = None;
            self.dump_ended = result.is_ok();
        }
        result
    }

    /// Ends the stream early. Fine if none is open.
    pub fn dump_end(&mut self) {
        self.dump_ended = false;
        if self.open_dump.take().is_some_and(|open| open.select.is_running()) {
            self.link.abandon("dump");
        }
    }

    /// The selected entries as an iterator, in constant memory. Dropping it ends the stream.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// for entry in conntrack.stream(&[])? {
    ///     println!("{}", ctrack::json(&entry?));
    /// }
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn stream(&mut self, filters: &[Filter]) -> Result<Stream<'_>, Error> {
        self.dump_start(filters)?;
        Ok(Stream { conntrack: self })
    }

    /// The entry that the key's tuple and zone (and id, if it has one) identify.
    ///
    /// None there: [`Error::Kernel`] with ENOENT.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// use ctrack::{Entry, Proto::TCP};
    /// let key = Entry::key(Proto::TCP, [10, 0, 0, 7].into(), 40001, [10, 0, 0, 8].into(), 443).expect("one family");
    /// println!("{:?}", conntrack.get(&key.in_zone(7))?.mark());
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn get(&mut self, key: &Entry) -> Result<Entry, Error> {
        self.idle("get")?;
        ops::get::get(&mut self.link, key)
    }

    /// How many entries the network namespace has, by the kernel's own count: expired ones that it has not reaped yet are
    /// included.
    pub fn count(&mut self) -> Result<u64, Error> {
        self.idle("count")?;
        ops::count::count(&mut self.link, "count")
    }

    /// Deletes the selected entries. Filters that would take everything are refused.
    ///
    /// An error means that nothing was deleted; what went wrong later is in the outcome.
    pub fn delete(&mut self, filters: &[Filter]) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        self.delete_into(filters, false, &mut outcome).map(|()| outcome)
    }

    /// The same, but the kernel may delete by itself, without saying how many entries, where that is exact for these filters on
    /// the running kernel: about half the time. [`Outcome::uncounted`] says whether it did.
    pub fn delete_uncounted(&mut self, filters: &[Filter]) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        self.delete_into(filters, true, &mut outcome).map(|()| outcome)
    }

    #[doc(hidden)]
    pub fn delete_into(&mut self, filters: &[Filter], uncounted: bool, outcome: &mut Outcome) -> Result<(), Error> {
        const OP: &str = "delete";
        self.idle(OP)?;
        let selection = Selection::new(filters)?;
        selection.refuse_everything()?;
        if uncounted
            && mutant!("uncounted-start-compared", !self.care.compare_start, true)
            && ops::delete::delete_uncounted(&mut self.link, OP, &selection, outcome)?
        {
            return Ok(());
        }
        ops::delete::delete(&mut self.link, OP, &selection, self.care, outcome)
    }

    /// Deletes the given entries, each only if it is still the one that is meant: same tuple, zone and id.
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
        self.idle("delete_entries")?;
        ops::delete::delete_entries(&mut self.link, entries, self.care, status, outcome)
    }

    /// Makes the given entries, each exactly as given or not at all. The timeout is needed; the reply tuple is the mirror image of
    /// the original one unless given.
    ///
    /// A malformed entry is an error, and nothing is sent. One that is only impossible ([`Error::Impossible`]) has a status of its
    /// own: -EOPNOTSUPP only the kernel can make it, -ETIME its timeout is 0, -EINVAL its status contradicts its reply tuple.
    /// In a full table the kernel makes room by dropping others' entries that are not assured; nothing tells which or how many.
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
        self.idle("create_entries")?;
        ops::create::create_entries(&mut self.link, entries, status, outcome)
    }

    /// Changes the given entries: `has` says what. A malformed change is an error, and nothing is sent; one that is impossible has a
    /// status of its own.
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
        self.idle("update_entries")?;
        ops::update::update_entries(&mut self.link, entries, status, outcome)
    }

    /// Deletes the entries of a family, zone, mark or status: nothing else may be set in `scope`, and something must be.
    ///
    /// ```no_run
    /// # let mut conntrack = ctrack::Conntrack::open()?;
    /// conntrack.flush(&ctrack::Filter { zone: Some(7), ..Default::default() })?;
    /// # Ok::<(), ctrack::Error>(())
    /// ```
    pub fn flush(&mut self, scope: &Filter) -> Result<Outcome, Error> {
        let mut outcome = Outcome::default();
        self.idle("flush")?;
        ops::flush::flush_scope(&mut self.link, scope, self.care, &mut outcome).map(|()| outcome)
    }

    /// Deletes every entry of the network namespace.
    pub fn flush_all(&mut self) -> Result<(), Error> {
        self.idle("flush")?;
        ops::flush::flush_all(&mut self.link)
    }

    /// The lowest zone of the range that no entry is in.
    pub fn find_free_zone(&mut self, range: RangeInclusive<u16>) -> Result<u16, Error> {
        self.idle("zone_find_free")?;
        ops::zone::find_free(&mut self.link, *range.start(), *range.end())
    }

    fn batch(
        &mut self,
        entries: &[Entry],
        run: impl FnOnce(&mut Self, &[Entry], &mut [i32], &mut Outcome) -> Result<(), Error>,
    ) -> Result<BatchOutcome, Error> {
        let mut result = BatchOutcome::default();
        result.status.try_reserve_exact(entries.len()).map_err(|_| Error::NoMemory { op: "entries" })?;
        result.status.resize(entries.len(), 0);
        run(self, entries, &mut result.status, &mut result.outcome)?;
        Ok(result)
    }

    /// A running dump owns the socket.
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

/// Entries as they come from the kernel. Ends after the first error.
#[derive(Debug)]
pub struct Stream<'a> {
    conntrack: &'a mut Conntrack,
}

impl Iterator for Stream<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.conntrack.open_dump.as_ref()?;
        let mut entry = Entry::EMPTY;
        match self.conntrack.dump_next(&mut entry) {
            Ok(true) => Some(Ok(entry)),
            Ok(false) => None,
            Err(error) => Some(Err(error)),
        }
    }
}

impl Drop for Stream<'_> {
    fn drop(&mut self) {
        self.conntrack.dump_end();
    }
}
