//! Flushing.

use super::abi::*;
use super::boundary::uncancelled;
use super::convert;
use super::open::ct_handle;
use super::open::on_handle;
use ctrack::Error;
use std::ffi::c_int;

/// ct_flush() flags: every entry of the network namespace, all zones and families. Only with a NULL scope.
pub const CT_FLUSH_ALL: u32 = 1u32 << 0;

/// Deletes all entries of a scope, or of the whole network namespace.
///
/// The scope is a filter in which only family, zone, mark and status may count, and one of them must. Everything goes only
/// with a NULL scope and CT_FLUSH_ALL: neither a forgotten field nor a NULL pointer can do it. Entries made meanwhile may
/// survive. Kernels before 6.4 may skip entries that are offloaded to a flow table: these are looked for and deleted one by one, and
/// the kernel's refusal is the result (-EBUSY). Where the scope is flushed by list and delete, what
/// ct_delete() says of changing and of hidden entries holds here too.
///
/// @param h the handle
/// @param scope what to flush; NULL with CT_FLUSH_ALL
/// @param flags CT_FLUSH_ALL or 0
/// @return 0, or a negative errno: -EINVAL, -E2BIG the scope is wrong or limits nothing, a NULL scope without CT_FLUSH_ALL, or
///   a scope with it: nothing was sent; others as for ct_list(), or the kernel's first refusal
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_flush(h: *mut ct_handle, scope: *const ct_filter, flags: u32) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    uncancelled(|| unsafe {
        on_handle(h, |conntrack| {
            if flags & !CT_FLUSH_ALL != 0 {
                return Err(Error::invalid("flags", "unknown bits").into());
            }
            match (scope.is_null(), flags & CT_FLUSH_ALL != 0) {
                (true, true) => Ok(conntrack.flush_all().map(|()| 0)?),
                (true, false) => Err(Error::invalid("scope", "is NULL; to flush everything pass CT_FLUSH_ALL").into()),
                (false, true) => {
                    Err(Error::invalid("flags", "CT_FLUSH_ALL with a scope: which of both is meant?").into())
                }
                (false, false) => conntrack.flush(&convert::scope(scope)?)?.into_failure().map_or(Ok(0), Err),
            }
        })
    })
}
