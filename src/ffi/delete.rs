//! Changing: delete, create, update.

use super::abi::*;
use super::boundary::{array, array_out, countable, uncancelled};
use super::call::on_handle;
use super::convert::filters;
use super::extend;
use super::handle::ct_handle;
use crate::conntrack::Conntrack;
use crate::error::{text, Error, Failure};
use crate::ops::Outcome;
use crate::types::Entry;
use std::ffi::c_int;
use std::mem::MaybeUninit;

/// Deletes the selected entries, in one pass over the table for all filters.
///
/// The selection is that of ct_list(), but there must be an including filter, and none may match every entry: deleting
/// everything is ct_flush() with CT_FLUSH_ALL. Nor may one name an id alone (CT_MATCH_ID). Entries made during the call may be
/// missed.
///
/// Each entry is deleted by its tuples, zone and id, so one that replaces a selected one during the call stays. Two entries
/// that no message tells apart are taken for one: same tuples, same id (the successor got the same place in the kernel's
/// memory), and no other difference than a zone that holds for both directions in one and for the reply direction only in the
/// other, or for none in one and for the original direction only in the other. CT_OPEN_COMPARE_START tells these apart.
///
/// Where a filter names what changes while an entry lives (status, mark, TCP state, labels, helper), each entry is looked up
/// again right before its delete, 32 at a time, and stays if it is not selected any more: result->spared. What changes between
/// that look-up and its delete, about a tenth of a millisecond, is deleted anyway.
///
/// An entry with a zone for one direction only can have a tuple that another entry has in its other direction, and then hide
/// it from every request. Such an entry is deleted under another of its names if there is one; otherwise it stays, and counts
/// as failed with -ENOTUNIQ, never as gone.
///
/// @param h the handle
/// @param f n filters, f[0].size bytes apart
/// @param n how many; at least 1
/// @param flags CT_DELETE_UNCOUNTED or 0
/// @param result what was done; filled on failure too
/// @return 0: all selected entries are gone; or a negative errno: -EINVAL, -E2BIG a filter is wrong or names an id alone, or
///   everything would be deleted: nothing was sent; errors as for ct_list(), and nothing was deleted; or result->first_error if some failed:
///   result->done says how many were deleted all the same; -ENOTUNIQ: an entry is there, but its tuples lead to another one,
///   which ct_handle_error() names; -EAGAIN: an entry came and went each time that it was asked for
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_delete(
    h: *mut ct_handle,
    f: *const ct_filter,
    n: usize,
    flags: u32,
    result: *mut ct_result,
) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    uncancelled(|| unsafe {
        // Emptied whatever becomes of the call: it may hold the sums of the last one.
        let result = ResultOut::new(result);
        on_handle(h, |conntrack| {
            let result = result?;
            if flags & !CT_DELETE_UNCOUNTED != 0 {
                return Err(Error::invalid("flags", "unknown bits").into());
            }
            let filters = filters(f, n)?;
            result.fill(&mut |outcome| conntrack.delete_into(&filters, flags & CT_DELETE_UNCOUNTED != 0, outcome))
        })
    })
}

/// Deletes the given entries, each only if it is still the one that is meant.
///
/// An entry is one of ct_list(), or a key as for ct_get(). If has announces no id, tuple, direction and zone must be exactly
/// those of the entry. With an id, the id says which entry is meant, and the tuples and the zone must lead to it. Otherwise
/// nothing is deleted and the status is -ENOENT, gone. One that fails does not stop the others, only a malformed one does, before
/// anything is sent; status bits and states of a later kernel are none of its business. What ct_delete() says of successors and of
/// hidden entries holds here too.
///
/// @param h the handle
/// @param e n entries
/// @param n how many; 0 is fine
/// @param status n results: 0 deleted, -ENOENT gone (proven by a look-up), -ENOTUNIQ the entry is there, but its tuples lead to
///   another one, another negative errno for a failure (-ETIMEDOUT, -ENOBUFS and the
///   like: not known whether it was deleted; -ECANCELED: not attempted, after an earlier failure; -EPERM for all if the
///   capability is missing, -EINVAL for all if one of the entries is wrong). Filled unless a pointer is wrong
/// @param result the sums; filled on failure too
/// @return 0: all are gone; or a negative errno: -EINVAL an argument is wrong or a key malformed (ct_handle_error() names entry and
///   field): nothing was sent; result->first_error if result->failed > 0: ct_handle_error() names the first entry that failed, says
///   why and how many more did; others as for ct_list()
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_delete_entries(
    h: *mut ct_handle,
    e: *const Entry,
    n: usize,
    status: *mut i32,
    result: *mut ct_result,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { change(h, e, n, status, result, Conntrack::delete_entries_into) }
}

/// Creates entries.
///
/// has must announce orig and a timeout, and, where they apply, ports or ICMP fields. The reply tuple is the mirror image of orig
/// unless has announces it. Status (CT_STATUS_CONFIRMED is added), mark, zone, labels, helper and the states of TCP and SCTP are
/// set where has announces them; what only the kernel can know (id, use_count, counters, times) is ignored, so that an entry of
/// ct_list() can be made again as it stands. The kernel drops labels silently while no firewall rule of the network namespace uses
/// any.
///
/// NAT: with CT_STATUS_SRC_NAT or CT_STATUS_DST_NAT in status, the reply tuple says to what the kernel is to translate: addresses,
/// ports, ICMP ids, keys of GRE. It makes exactly that entry, or none if the tuple is taken: -EEXIST. Each bit must be there if
/// the reply tuple translates that side, and only then. With neither of them nothing is translated, and the reply tuple is taken
/// as it stands.
///
/// A malformed entry stops all before anything is sent: a field without its bit in has, a bit that this release does not know, no
/// tuple or no timeout, ports or states of another protocol, NAT without a reply tuple, zones that contradict each other. One that
/// is only impossible is not sent, has a status of its own, counts as failed, and does not stop the others: what only the kernel
/// can make (expected, sequence-adjusted, offloaded; status bits and states of a later kernel), a timeout of 0 (listed with less
/// than a second left), a status that contradicts the reply tuple, and ports where this kernel keeps none of that protocol (DCCP
/// from 6.16 on, UDP-Lite in 7.3).
///
/// In a full table (net.netfilter.nf_conntrack_max) the kernel makes room for a new entry, whoever asks: it drops one of the same
/// network namespace that is not assured and near the new one's place, and says -ENOMEM only if it finds none. Nothing tells which
/// one, and the result cannot tell how many: the kernel counts these drops (early_drop) for all that makes entries, traffic too. Who
/// makes many should compare ct_count() with the limit first.
///
/// @param h the handle
/// @param e n entries
/// @param n how many; 0 is fine
/// @param status n results: 0 created, -EEXIST one of its tuples is taken, -EOPNOTSUPP only the kernel can make it, or this
///   kernel lacks what it takes (its helper, NAT, ports of its protocol), -ETIME its timeout is 0, -EINVAL its status contradicts
///   its reply tuple, or the kernel refuses a value (for all of them: one is malformed), -ENOMEM the table is full, -ENOSPC its
///   bucket of the table is full (far more entries than buckets: 280,000 in 8,192 on 6.1 and 6.12, not on 5.10), another negative errno for
///   another failure
/// @param result the sums; filled on failure too
/// @return 0: all are created; or a negative errno: -EINVAL an argument is wrong or an entry malformed (ct_handle_error() names
///   entry and field): nothing was sent; result->first_error if result->failed > 0: ct_handle_error() names the first entry that
///   failed, says why and how many more did; others as for ct_list()
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_create_entries(
    h: *mut ct_handle,
    e: *const Entry,
    n: usize,
    status: *mut i32,
    result: *mut ct_result,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { change(h, e, n, status, result, Conntrack::create_entries_into) }
}

/// Changes entries.
///
/// Each is found like a key of ct_get(). has says what to change: timeout (above zero), status (its bits are added to those
/// that are set; SEEN_REPLY, ASSURED and FIXED_TIMEOUT can be), mark (with mark_mask: only these bits), labels (all of them;
/// with CT_HAS_LABELS_ADD or CT_HAS_LABELS_REMOVE only those that are set in labels), helper (empty: none), and the states of
/// TCP and SCTP. TCP flags and window scales are sent together with the TCP state, that of the look-up if has does not
/// announce one; window scales need the WINDOW_SCALE flag (1) in both directions.
///
/// Status 0 means that the entry now is as asked; what it was already is 0 too. What the kernel would refuse after it changed
/// something else is refused before anything is sent for that entry. As in ct_create_entries(), only a malformed change stops all,
/// and one that is impossible does not stop the others. The kernel compares no id when it updates, so an entry
/// that is replaced between its look-up and its update, about a tenth of a millisecond, is updated in the place of the other.
///
/// @param h the handle
/// @param e n entries
/// @param n how many; 0 is fine
/// @param status n results: 0 as asked, -ENOENT gone, -EBUSY the kernel does not let this change, -EPERM the timeout is fixed
///   (CT_STATUS_FIXED_TIMEOUT), -ETIME a timeout of 0, which would delete the entry, -ENOSPC labels, but no firewall rule used any
///   when the entry was created, -EOPNOTSUPP no helper can be assigned to this entry, or a state that this release does not know,
///   -ENOTUNIQ the entry is there, but its tuples lead to another one, another negative errno for
///   another failure
/// @param result the sums; filled on failure too
/// @return 0: all that were there are changed; or a negative errno: -EINVAL an argument is wrong or a change malformed
///   (ct_handle_error() names entry and field): nothing was sent; result->first_error if result->failed > 0: ct_handle_error() names
///   the first entry that failed, says why and how many more did; others as for ct_list()
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_update_entries(
    h: *mut ct_handle,
    e: *const Entry,
    n: usize,
    status: *mut i32,
    result: *mut ct_result,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { change(h, e, n, status, result, Conntrack::update_entries_into) }
}

type Change = fn(&mut Conntrack, &[Entry], &mut [i32], &mut Outcome) -> Result<(), Error>;

/// # Safety
/// As for the exported functions.
unsafe fn change(
    h: *mut ct_handle,
    e: *const Entry,
    n: usize,
    status: *mut i32,
    result: *mut ct_result,
    change: Change,
) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    uncancelled(|| unsafe {
        // Both are filled whatever becomes of the call: what the last one left in them must not pass for its outcome.
        let result = ResultOut::new(result);
        // No count that is impossible for the entries: then there are not so many statuses either.
        let status = countable::<Entry>(n, "entries").and_then(|()| array_out(status, n, "status"));
        let mut status = status.map(initialised);
        let mut told = false;
        let returned = on_handle(h, |conntrack| {
            let result = result?;
            let status = status.as_deref_mut().map_err(|error| error.clone())?;
            let entries = array(e, n, "entries")?;
            let returned = result.fill(&mut |outcome| {
                change(conntrack, entries, status, outcome).inspect_err(|error| status.fill(-error.errno()))
            });
            told = true;
            returned
        });
        if let (false, Ok(status)) = (told, status) {
            mutant!("status-filled", status.fill(returned), ());
        }
        returned
    })
}

/// Fills an array of the caller's: nothing was attempted yet.
fn initialised(status: &mut [MaybeUninit<i32>]) -> &mut [i32] {
    for status in status.iter_mut() {
        status.write(-libc::ECANCELED);
    }
    // SAFETY: all elements were written just now, and MaybeUninit<i32> has the layout of i32.
    unsafe { &mut *(std::ptr::from_mut(status) as *mut [i32]) }
}

/// A ct_result of at least this size has room for `spared`.
const RESULT_SIZE_WITH_SPARED: usize = std::mem::offset_of!(ct_result, spared) + size_of::<u64>();

/// The caller's ct_result, checked and emptied.
struct ResultOut {
    pointer: *mut ct_result,
    /// The caller's struct has `spared`.
    has_spared: bool,
}

impl ResultOut {
    /// # Safety
    /// `pointer` is NULL or points to a ct_result as the header describes it.
    unsafe fn new(pointer: *mut ct_result) -> Result<ResultOut, Error> {
        // SAFETY: the caller's promise.
        let given =
            unsafe { extend::read(pointer, RESULT_SIZE_V0, &|field| text("result", format_args!("result{field}"))) }?;
        if given.flags & !(CT_RESULT_UNCOUNTED | CT_RESULT_START_UNKNOWN) != 0 || given.pad0 != 0 {
            return Err(Error::invalid("result.flags", "unknown bits, or padding that is not zero"));
        }
        let result = ResultOut { pointer, has_spared: given.size as usize >= RESULT_SIZE_WITH_SPARED };
        result.write(&Outcome::default());
        Ok(result)
    }

    fn write(&self, outcome: &Outcome) {
        let first_error = outcome.error.as_ref().map_or(0, |error| -error.errno());
        let flag = |set: bool, flag| if set { flag } else { 0 };
        // SAFETY: `new` checked that the struct has at least the size of the first release, which ends with first_error
        // and pad0, and whether it has `spared`; its size field stays as it is.
        unsafe {
            (*self.pointer).flags =
                flag(outcome.uncounted, CT_RESULT_UNCOUNTED) | flag(outcome.start_unknown, CT_RESULT_START_UNKNOWN);
            (*self.pointer).matched =
                outcome.matched - if mutant!("spared-left-out", self.has_spared, true) { 0 } else { outcome.spared };
            (*self.pointer).done = outcome.done;
            (*self.pointer).gone = outcome.gone;
            (*self.pointer).failed = outcome.failed;
            (*self.pointer).first_error = first_error;
            if self.has_spared {
                (*self.pointer).spared = outcome.spared;
            }
        }
    }

    /// Runs an operation, fills the result in any case, and says whether all went well.
    fn fill(&self, operation: &mut dyn FnMut(&mut Outcome) -> Result<(), Error>) -> Result<c_int, Failure> {
        let mut outcome = Outcome::default();
        let done = operation(&mut outcome);
        self.write(&outcome);
        done?;
        outcome.into_failure().map_or(Ok(0), Err)
    }
}
