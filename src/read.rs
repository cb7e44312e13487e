//! Reading: list, get, count, free zone.

use super::abi::ct_filter;
use super::boundary::{input, out, uncancelled};
use super::convert::filters;
use super::open::ct_handle;
use super::open::with_handle;
use ctnetlink::{Entry, Has, KernelDetail};
use ctrack::Error;
use std::ffi::c_int;

/// Lists entries into one array.
///
/// An entry is selected if it matches at least one including filter, or there is no including filter, and no excluding
/// one (CT_FILTER_EXCLUDE). n = 0: every entry. Entries that come or go while the list is made may be in it or not; all
/// others are, each once. If the kernel resizes its table meanwhile the list is made again, up to four times in all; where
/// /proc/sys/net/netfilter/nf_conntrack_buckets cannot be read, that goes unseen.
///
/// For large tables ct_dump_start() does the same in constant memory.
///
/// @param h the handle
/// @param f n filters, f[0].size bytes apart; NULL if n is 0
/// @param n how many
/// @param ret_entries the array, yours to release with ct_entries_free(); NULL if nothing was selected
/// @param ret_count how many entries
/// @return 0, or a negative errno, with nothing written: -EINVAL, -E2BIG a filter is wrong (ct_handle_error() names
///   filter and field); -EPERM CAP_NET_ADMIN is missing; -EBUSY another thread uses the handle, or a dump is open on it;
///   -ECHILD the handle was opened by a parent process; -ETIMEDOUT the kernel fell silent; -EAGAIN the table was resized
///   each time; -ENOBUFS replies were lost each time; -EBADMSG a reply could not be understood; -ENOMEM; -ENOTRECOVERABLE
///   an internal error, the handle is unusable
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_list(
    h: *mut ct_handle,
    f: *const ct_filter,
    n: usize,
    ret_entries: *mut *mut Entry,
    ret_count: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            let ret_entries = out(ret_entries, "ret_entries")?;
            let ret_count = out(ret_count, "ret_count")?;
            let filters = filters(f, n)?;
            let mut entries = owned::new()?;
            conntrack.list_into(&filters, &mut entries)?;
            ret_count.write(entries.len() - 1);
            ret_entries.write(owned::give(entries));
            Ok(0)
        })
    }
}

/// Releases an array of ct_list(). NULL is fine.
///
/// @param entries the array; it must not be used any more
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_entries_free(entries: *mut Entry) {
    // SAFETY: the caller's promise.
    uncancelled(|| unsafe { owned::take_back(entries) });
}

/// Arrays that C owns. In front of the first element lies one more, which remembers the capacity, so that giving the array back
/// needs nothing but the pointer.
pub(super) mod owned {
    use super::{Entry, Error, Has};
    use ctnetlink::expect::{ExpectHas, Expectation};

    /// What lies in such arrays: plain data, with room for a number.
    pub trait Element: Copy {
        const EMPTY: Self;
        fn remember(&mut self, capacity: u64);
        fn remembered(&self) -> u64;
    }

    impl Element for Entry {
        const EMPTY: Entry = Entry::EMPTY;

        fn remember(&mut self, capacity: u64) {
            self.has = Has::from_bits_retain(capacity);
        }

        fn remembered(&self) -> u64 {
            self.has.bits()
        }
    }

    impl Element for Expectation {
        const EMPTY: Expectation = Expectation::EMPTY;

        fn remember(&mut self, capacity: u64) {
            self.has = ExpectHas::from_bits_retain(capacity);
        }

        fn remembered(&self) -> u64 {
            self.has.bits()
        }
    }

    pub fn new<T: Element>() -> Result<Vec<T>, Error> {
        let mut elements = Vec::new();
        elements.try_reserve(1).map_err(|_| Error::NoMemory { op: "list" })?;
        elements.push(T::EMPTY);
        Ok(elements)
    }

    /// The array for C: what lies behind the first element. NULL if there is nothing.
    pub fn give<T: Element>(mut elements: Vec<T>) -> *mut T {
        if elements.len() < 2 {
            return std::ptr::null_mut();
        }
        let mut elements = std::mem::ManuallyDrop::new(std::mem::take(&mut elements));
        let capacity = elements.capacity() as u64;
        elements[0].remember(capacity);
        elements.as_mut_ptr().wrapping_add(1)
    }

    /// Drops an array that was given.
    ///
    /// # Safety
    /// `elements` is NULL or came from `give` and was not taken back yet.
    pub unsafe fn take_back<T: Element>(elements: *mut T) {
        if elements.is_null() {
            return;
        }
        let start = elements.wrapping_sub(1);
        // SAFETY: `give` put the capacity there (caller), and C sees only what lies behind.
        let capacity = unsafe { (*start).remembered() } as usize;
        // SAFETY: the pointer and capacity are those of the Vec that `give` let go (caller); elements need no drop.
        drop(unsafe { Vec::from_raw_parts(start, 0, capacity) });
    }
}

/// Gets one entry by its tuple.
///
/// The key is an entry of ct_list(), or one that you fill: has, family, proto, orig (or reply) and, where they apply,
/// ports or ICMP fields and the zone, each announced in has. The tuple, its direction and the zone must be exactly those
/// of the entry, and so must the reply tuple, the id and start_ns if has announces them. An entry that others hide from requests
/// (see ct_delete()) is looked for in a dump.
///
/// @param h the handle
/// @param key which entry
/// @param ret_entry the entry
/// @return 0, or a negative errno, with nothing written: -ENOENT there is no such entry; -EINVAL the key is wrong
///   (ct_handle_error() names the field); others as for ct_list()
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_get(h: *mut ct_handle, key: *const Entry, ret_entry: *mut Entry) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            // Copied before anything is written: both may be the same.
            let key = *input(key, "key")?;
            let ret_entry = out(ret_entry, "ret_entry")?;
            let missing = || Error::Kernel { op: "get", errno: libc::ENOENT, detail: KernelDetail::default() };
            ret_entry.write(conntrack.get(&key)?.ok_or_else(missing)?);
            Ok(0)
        })
    }
}

/// Counts the entries of the network namespace: one small request, whatever the size of the table.
///
/// The count is the kernel's own. It includes entries that have expired and are not reaped yet, which lists leave out.
///
/// @param h the handle
/// @param ret_count how many
/// @return 0, or a negative errno as for ct_list(), with nothing written
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_count(h: *mut ct_handle, ret_count: *mut u64) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            let ret_count = out(ret_count, "ret_count")?;
            ret_count.write(conntrack.count()?);
            Ok(0)
        })
    }
}

/// Finds the lowest zone from first to last that no entry is in, in either direction. One pass over the table.
///
/// Nothing keeps others from using the zone afterwards.
///
/// @param h the handle
/// @param first lowest zone to consider, 0 to 65535
/// @param last highest zone to consider, first to 65535
/// @param ret_zone the free zone
/// @return 0, or a negative errno, with nothing written: -ENOSPC all of them are in use; -EINVAL no range of zones;
///   others as for ct_list()
/// Since 0.1.
#[no_mangle]
pub unsafe extern "C" fn ct_zone_find_free(h: *mut ct_handle, first: u32, last: u32, ret_zone: *mut u32) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            let ret_zone = out(ret_zone, "ret_zone")?;
            let zone = |zone: u32, name| u16::try_from(zone).map_err(|_| Error::invalid(name, "is larger than 65535"));
            let range = zone(first, "first")?..=zone(last, "last")?;
            ret_zone.write(conntrack.find_free_zone(range)?.into());
            Ok(0)
        })
    }
}
