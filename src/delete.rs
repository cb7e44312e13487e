//! Deleting: what filters select, and given entries.

use super::abi::*;
use super::boundary::{array_out, out, uncancelled};
use super::change::change;
use super::convert::filters;
use super::open::ct_handle;
use super::open::on_handle;
use super::result::ResultOut;
use ctnetlink::Entry;
use ctrack::{Conntrack, Error};
use std::ffi::c_int;

/// ct_delete() flags: the kernel may delete by itself, without saying how many entries, where that is exact for these filters on
/// the running kernel (addresses of IPv4, ports of TCP and UDP, ICMP, zone, mark, status, family). The entries are not sent, so
/// the more are deleted the more is saved. If the call fails, some entries may already have been deleted.
pub const CT_DELETE_UNCOUNTED: u32 = 1u32 << 0;

/// ct_delete() and ct_delete_returning() flags: nothing is deleted. The result says what would be: matched and done. What the call refuses is
/// refused. Since 0.2.
pub const CT_DELETE_DRY_RUN: u32 = 1u32 << 1;

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
/// @param flags CT_DELETE_UNCOUNTED, CT_DELETE_DRY_RUN or 0
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
            if flags & !(CT_DELETE_UNCOUNTED | CT_DELETE_DRY_RUN) != 0 {
                return Err(Error::invalid("flags", "unknown bits").into());
            }
            let filters = filters(f, n)?;
            if mutant!("dry-run", flags & CT_DELETE_DRY_RUN != 0, false) {
                return result.fill(&mut |outcome| {
                    outcome.done = conntrack.would_delete(&filters)?.len() as u64;
                    outcome.matched = outcome.done;
                    Ok(())
                });
            }
            result.fill(&mut |outcome| conntrack.delete_into(&filters, flags & CT_DELETE_UNCOUNTED != 0, outcome))
        })
    })
}

/// Deletes as ct_delete() does, and hands over what was deleted: as many as there is room for. Others stay: call again.
///
/// The entries are as they were at their end, with their last packets and bytes, where the kernel says so: for those that report what
/// becomes of them (CT_SETTING_EVENTS when they were made). Of others the counters are left out of has.
///
/// @param h the handle
/// @param f n filters, f[0].size bytes apart
/// @param n how many; at least 1
/// @param flags CT_DELETE_DRY_RUN or 0
/// @param ret_entries where to put what was deleted
/// @param cap room for how many; at least 1
/// @param ret_count how many were put there; written on failure too
/// @param result what was done; filled on failure too. What stays for want of room is not in the sums
/// @return 0: all selected entries are gone; or a negative errno: -ENOSPC there was no room for all of them: those that are handed over are
///   gone, call again; others as for ct_delete(). What is handed over was deleted, whatever is returned; an entry whose fate is not known,
///   since the kernel fell silent, is not among it
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_delete_returning(
    h: *mut ct_handle,
    f: *const ct_filter,
    n: usize,
    flags: u32,
    ret_entries: *mut Entry,
    cap: usize,
    ret_count: *mut usize,
    result: *mut ct_result,
) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    uncancelled(|| unsafe {
        // Both are emptied whatever becomes of the call.
        let result = ResultOut::new(result);
        let ret_count = out(ret_count, "ret_count").map(|count| count.write(0));
        on_handle(h, |conntrack| {
            let result = result?;
            let ret_count = ret_count?;
            if flags & !CT_DELETE_DRY_RUN != 0 {
                return Err(Error::invalid("flags", "unknown bits").into());
            }
            if cap == 0 {
                return Err(Error::invalid("cap", "is 0").into());
            }
            let room = array_out(ret_entries, cap, "ret_entries")?;
            let filters = filters(f, n)?;
            let (mut entries, mut more) = (Vec::new(), false);
            let done = result.fill(&mut |outcome| {
                if flags & CT_DELETE_DRY_RUN != 0 {
                    entries = conntrack.would_delete(&filters)?;
                    more = entries.len() > cap;
                    entries.truncate(cap);
                    outcome.done = entries.len() as u64;
                    outcome.matched = outcome.done;
                    return Ok(());
                }
                more = conntrack.delete_returning_into(&filters, cap, &mut entries, outcome)?;
                Ok(())
            });
            for (slot, entry) in room.iter_mut().zip(&entries) {
                slot.write(*entry);
            }
            *ret_count = entries.len();
            match done {
                Ok(_) if more => Err(Error::More { op: "delete" }.into()),
                done => done,
            }
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
