//! Changing: create and update; and what is the same for all calls on given entries.

use super::abi::*;
use super::boundary::{array, array_out, countable, uncancelled};
use super::open::ct_handle;
use super::open::on_handle;
use super::result::ResultOut;
use ctnetlink::Entry;
use ctrack::{Conntrack, Error, Outcome};
use std::ffi::c_int;
use std::mem::MaybeUninit;

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

/// Reads entries, and lets their packets and bytes be counted from 0 on: by the kernel in one step, so that what is read now and next time
/// adds up to all that came.
///
/// Each is found like a key of ct_delete_entries(). It is never zeroed twice for one call: no request is sent again that may have reached
/// the kernel, and only so many at once that all replies fit the receive buffer. Where a reply is lost all the same, the counters of that
/// entry perhaps begin anew, and what they were is not known.
///
/// The kernel compares no id. Where another entry has taken the place of one, that one was read, and its counters begin anew: its status is
/// -ESTALE, and ret_entries has the other one, so that nothing that was counted is lost.
///
/// An entry of whom nothing is counted (CT_SETTING_ACCT) is read, and has no counters.
///
/// @param h the handle
/// @param e n entries
/// @param n how many; 0 is fine
/// @param ret_entries n entries as they were before, where the status is 0 or -ESTALE; all others are zero. Apart from e
/// @param status n results: 0 read; -ESTALE another entry was read in its place; -ENOENT gone; -ENOTUNIQ the entry is there, but its tuples
///   lead to another one, nothing was read; -ENOBUFS, -ETIMEDOUT, -EBADMSG and the like: its reply was lost, its counters perhaps begin
///   anew; -ECANCELED not attempted, after an earlier failure; -EPERM for all if the capability is missing, -EINVAL for all if one of the
///   entries is wrong. Filled unless a pointer is wrong
/// @param result the sums; filled on failure too
/// @return 0: all that were there were read; or a negative errno: -EINVAL an argument is wrong or a key malformed: nothing was sent;
///   result->first_error if result->failed > 0: ct_handle_error() names the first entry that failed; others as for ct_list()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_zero_entries(
    h: *mut ct_handle,
    e: *const Entry,
    n: usize,
    ret_entries: *mut Entry,
    status: *mut i32,
    result: *mut ct_result,
) -> c_int {
    // SAFETY: the caller's promise.
    uncancelled(|| unsafe {
        let bytes = n.saturating_mul(size_of::<Entry>());
        let apart = ret_entries.addr().saturating_add(bytes) <= e.addr() || e.addr().saturating_add(bytes) <= ret_entries.addr();
        let taken = match apart || n == 0 {
            true => array_out(ret_entries, n, "ret_entries"),
            false => Err(Error::invalid("ret_entries", "overlaps the entries that are given")),
        };
        let taken = taken.map(|taken| {
            taken.iter_mut().for_each(|slot| {
                slot.write(Entry::EMPTY);
            });
            taken
        });
        let taken = std::cell::RefCell::new(taken);
        change_with(h, e, n, "entries", status, result, &mut |conntrack, entries, status, outcome| {
            let mut taken = taken.borrow_mut();
            let taken = taken.as_deref_mut().map_err(|error| error.clone())?;
            conntrack.zero_entries_into(entries, &mut |index, entry| {
                taken[index].write(*entry);
            }, status, outcome)
        })
    })
}

pub(super) type Change = fn(&mut Conntrack, &[Entry], &mut [i32], &mut Outcome) -> Result<(), Error>;

/// Runs an operation on given entries, with a status for each, and the sums.
///
/// # Safety
/// As for the exported functions.
pub(super) unsafe fn change(
    h: *mut ct_handle,
    e: *const Entry,
    n: usize,
    status: *mut i32,
    result: *mut ct_result,
    change: Change,
) -> c_int {
    // SAFETY: the caller's promise.
    uncancelled(|| unsafe { change_with(h, e, n, "entries", status, result, &mut |a, b, c, d| change(a, b, c, d)) })
}

type ChangeOf<'a, T> = &'a mut dyn FnMut(&mut Conntrack, &[T], &mut [i32], &mut Outcome) -> Result<(), Error>;

/// The same within [`uncancelled`].
///
/// # Safety
/// As for the exported functions.
pub(super) unsafe fn change_with<T>(
    h: *mut ct_handle,
    e: *const T,
    n: usize,
    name: &'static str,
    status: *mut i32,
    result: *mut ct_result,
    change: ChangeOf<'_, T>,
) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        // Both are filled whatever becomes of the call: what the last one left in them must not pass for its outcome.
        let result = ResultOut::new(result);
        // No count that is impossible for the entries: then there are not so many statuses either.
        let status = countable::<T>(n, name).and_then(|()| array_out(status, n, "status"));
        let mut status = status.map(initialised);
        let mut told = false;
        let returned = on_handle(h, |conntrack| {
            let result = result?;
            let status = status.as_deref_mut().map_err(|error| error.clone())?;
            let entries = array(e, n, name)?;
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
    }
}

/// Fills an array of the caller's: nothing was attempted yet.
fn initialised(status: &mut [MaybeUninit<i32>]) -> &mut [i32] {
    for status in status.iter_mut() {
        status.write(-libc::ECANCELED);
    }
    // SAFETY: all elements were written just now, and MaybeUninit<i32> has the layout of i32.
    unsafe { &mut *(std::ptr::from_mut(status) as *mut [i32]) }
}
