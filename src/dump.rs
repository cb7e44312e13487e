//! Reading in constant memory.

use super::abi::ct_filter;
use super::boundary::array_out;
use super::convert::filters;
use super::open::ct_handle;
use super::open::with_handle;
use ctnetlink::Entry;
use ctrack::Error;
use std::ffi::c_int;

/// Begins to list entries in constant memory: ct_dump_next() hands them over, batch by batch.
///
/// The selection is that of ct_list(). Until the last entry was handed over, an error or ct_dump_end(), all other calls on the handle
/// fail with -EBUSY. Where the last entry comes before an array is full, that is the end, and the next call only says so.
///
/// @param h the handle
/// @param f n filters, f[0].size bytes apart; NULL if n is 0
/// @param n how many
/// @return 0, or a negative errno as for ct_list()
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_dump_start(h: *mut ct_handle, f: *const ct_filter, n: usize) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            conntrack.dump_start(&filters(f, n)?)?;
            Ok(0)
        })
    }
}

/// Fills an array with the next entries. 64 and more at a time cost least.
///
/// @param h the handle
/// @param buf where to put them
/// @param cap room for how many; at least 1
/// @return how many were filled in; 0 at the end, and again until the next ct_dump_start() or ct_dump_end(); or a negative errno
///   as for ct_list(). -EINVAL: buf or cap is wrong, or no dump was started; this, -EBUSY and -ECHILD leave the dump as it is.
///   Any other error ends it; what came before is right but not complete. -EAGAIN: the table was resized, entries may be
///   missing or repeated: start again
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_dump_next(h: *mut ct_handle, buf: *mut Entry, cap: usize) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            // The count is returned as an int.
            let cap = cap.min(c_int::MAX as usize);
            if cap == 0 {
                return Err(Error::invalid("cap", "is 0"));
            }
            let buffer = array_out(buf, cap, "buf")?;
            let mut entry = Entry::EMPTY;
            let mut filled = 0;
            for slot in buffer {
                if !conntrack.dump_next(&mut entry)? {
                    break;
                }
                slot.write(entry);
                filled += 1;
            }
            Ok(filled)
        })
    }
}

/// Ends a dump early. The handle is as good as new. Fine if no dump is open.
///
/// @param h the handle
/// @return 0, or a negative errno: -EINVAL h is NULL; -EBUSY, -ECHILD, -ENOTRECOVERABLE as for ct_list()
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_dump_end(h: *mut ct_handle) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        with_handle(h, |conntrack| {
            conntrack.dump_end();
            Ok(0)
        })
    }
}
