//! The exported C functions, called as C calls them.

use ctrack::*;
use ctrack_c::abi::*;
use ctrack_c::table::{self, ct_stats, ct_table_info};
use ctrack_c::{change, ct_filter, ct_handle, ct_open_opts, ct_result, delete, dump, flush, open, read};
use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

/// A handle; closed at the end. Shared like in C: the library itself must sort out two threads.
pub struct Handle(pub *mut ct_handle);

// SAFETY: the header promises that a handle may move between threads.
unsafe impl Send for Handle {}
// SAFETY: the header promises -EBUSY for a second thread. Only `error()` is for one thread at a time.
unsafe impl Sync for Handle {}

impl Drop for Handle {
    fn drop(&mut self) {
        // SAFETY: the handle is live, and this is its last use.
        unsafe { open::ct_handle_close(self.0) };
    }
}

/// What a call on given entries gave.
#[derive(Debug, PartialEq)]
pub struct Changed {
    pub ret: i32,
    pub status: Vec<i32>,
    pub result: ct_result,
}

/// Options with only the size set.
pub fn open_opts() -> ct_open_opts {
    ct_open_opts { size: size_of::<ct_open_opts>() as u32, ..Default::default() }
}

fn ok(ret: i32) -> Result<(), i32> {
    if ret < 0 {
        Err(ret)
    } else {
        assert_eq!(ret, 0);
        Ok(())
    }
}

impl Handle {
    pub fn open() -> Handle {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` may be written; NULL options are fine.
        assert_eq!(unsafe { open::ct_handle_open(&mut raw, ptr::null()) }, 0);
        Handle(raw)
    }

    pub fn open_with(opts: &ct_open_opts) -> Result<Handle, i32> {
        let mut raw = ptr::null_mut();
        // SAFETY: `raw` may be written, and `opts` says its own size.
        let ret = unsafe { open::ct_handle_open(&mut raw, opts) };
        assert_eq!(ret < 0, raw.is_null(), "written exactly on success");
        ok(ret).map(|()| Handle(raw))
    }

    pub fn open_in(netns: &OwnedFd) -> Handle {
        Self::open_with(&ct_open_opts { flags: CT_OPEN_NETNS, netns_fd: netns.as_raw_fd(), ..open_opts() }).unwrap()
    }

    pub fn error(&self) -> String {
        // SAFETY: the handle is live, and the text is copied before its next use.
        unsafe { CStr::from_ptr(open::ct_handle_error(self.0)) }.to_str().unwrap().to_owned()
    }

    pub fn list(&self, filters: &[ct_filter]) -> Result<Vec<Entry>, i32> {
        let (mut entries, mut count) = (ptr::null_mut(), 0);
        // SAFETY: the handle is live; the filters say their own size; both results may be written.
        ok(unsafe { read::ct_list(self.0, filters.as_ptr(), filters.len(), &mut entries, &mut count) })?;
        assert_eq!(entries.is_null(), count == 0);
        let mut copy = Vec::new();
        if count > 0 {
            // SAFETY: the library gave `count` entries.
            copy.extend_from_slice(unsafe { std::slice::from_raw_parts(entries, count) });
        }
        // SAFETY: the array is ours to release, once.
        unsafe { read::ct_entries_free(entries) };
        Ok(copy)
    }

    pub fn get(&self, key: &Entry) -> Result<Entry, i32> {
        let mut entry = Entry::EMPTY;
        // SAFETY: the handle is live, the pointers are those of references.
        ok(unsafe { read::ct_get(self.0, key, &mut entry) })?;
        Ok(entry)
    }

    pub fn count(&self) -> Result<u64, i32> {
        let mut count = 0;
        // SAFETY: the handle is live, the pointer is that of a reference.
        ok(unsafe { read::ct_count(self.0, &mut count) })?;
        Ok(count)
    }

    pub fn find_free_zone(&self, first: u32, last: u32) -> Result<u32, i32> {
        let mut zone = 0;
        // SAFETY: the handle is live, the pointer is that of a reference.
        ok(unsafe { read::ct_zone_find_free(self.0, first, last, &mut zone) })?;
        Ok(zone)
    }

    /// With these bits of settings.
    pub fn table_info(&self, settings: u64) -> Result<ct_table_info, i32> {
        let mut info = ct_table_info { size: size_of::<ct_table_info>() as u32, ..Default::default() };
        // SAFETY: the handle is live, and `info` says its own size.
        ok(unsafe { table::ct_table_get_info(self.0, settings, &mut info) })?;
        Ok(info)
    }

    pub fn set_table(&self, setting: u32, value: u32) -> Result<(), i32> {
        // SAFETY: the handle is live.
        ok(unsafe { table::ct_table_set(self.0, setting, value) })
    }

    /// Counters, with room for so many processors; on failure how many there are.
    pub fn stats(&self, expect: bool, room: usize) -> Result<Vec<ct_stats>, (i32, usize)> {
        let (mut stats, mut count) = (vec![ct_stats::default(); room], usize::MAX);
        let call = if expect { table::ct_stats_expect } else { table::ct_stats_cpu };
        // SAFETY: the handle is live; there is room for so many; the count may be written.
        let ret = unsafe { call(self.0, stats.as_mut_ptr(), room, &mut count) };
        ok(ret).map_err(|errno| (errno, count))?;
        stats.truncate(count);
        Ok(stats)
    }

    pub fn dump_start(&self, filters: &[ct_filter]) -> Result<(), i32> {
        // SAFETY: the handle is live; the filters say their own size.
        ok(unsafe { dump::ct_dump_start(self.0, filters.as_ptr(), filters.len()) })
    }

    pub fn dump_next(&self, cap: usize) -> Result<Vec<Entry>, i32> {
        let mut buffer = vec![Entry::EMPTY; cap];
        // SAFETY: the handle is live; the buffer has room for `cap` entries.
        let filled = unsafe { dump::ct_dump_next(self.0, buffer.as_mut_ptr(), cap) };
        if filled < 0 {
            return Err(filled);
        }
        buffer.truncate(filled as usize);
        Ok(buffer)
    }

    /// Reads an open dump to its end.
    pub fn dump_rest(&self, cap: usize) -> Result<Vec<Entry>, i32> {
        let mut entries = Vec::new();
        loop {
            let next = self.dump_next(cap)?;
            if next.is_empty() {
                return Ok(entries);
            }
            entries.extend(next);
        }
    }

    pub fn dump_end(&self) -> Result<(), i32> {
        // SAFETY: the handle is live.
        ok(unsafe { dump::ct_dump_end(self.0) })
    }

    /// ct_delete() with a result as it is in the caller's hands.
    pub fn delete_into(&self, filters: &[ct_filter], result: &mut ct_result) -> i32 {
        // SAFETY: the handle is live; filters and result say their own size.
        unsafe { delete::ct_delete(self.0, filters.as_ptr(), filters.len(), 0, result) }
    }

    pub fn delete(&self, filters: &[ct_filter]) -> (i32, ct_result) {
        let mut result = empty_result();
        (self.delete_into(filters, &mut result), result)
    }

    /// With room for so many: what is returned, what was handed over, and the result.
    pub fn delete_returning(&self, filters: &[ct_filter], flags: u32, room: usize) -> (i32, Vec<Entry>, ct_result) {
        let (mut entries, mut count, mut result) = (vec![Entry::EMPTY; room], usize::MAX, empty_result());
        let (f, n) = (filters.as_ptr(), filters.len());
        // SAFETY: the handle is live; the filters say their own size; there is room for so many; the results may be written.
        let ret = unsafe {
            delete::ct_delete_returning(self.0, f, n, flags, entries.as_mut_ptr(), room, &mut count, &mut result)
        };
        entries.truncate(count);
        (ret, entries, result)
    }

    pub fn dry_run(&self, filters: &[ct_filter]) -> (i32, ct_result) {
        let mut result = empty_result();
        // SAFETY: the handle is live; the filters say their own size; the result may be written.
        let ret = unsafe {
            delete::ct_delete(self.0, filters.as_ptr(), filters.len(), CT_DELETE_DRY_RUN, &mut result)
        };
        (ret, result)
    }

    pub fn delete_entries(&self, entries: &[Entry]) -> Changed {
        self.change(entries, delete::ct_delete_entries)
    }

    pub fn create_entries(&self, entries: &[Entry]) -> Changed {
        self.change(entries, change::ct_create_entries)
    }

    /// And what was read.
    pub fn zero_entries(&self, entries: &[Entry]) -> (Changed, Vec<Entry>) {
        let (mut status, mut result) = (vec![i32::MAX; entries.len()], empty_result());
        let mut read = vec![Entry { id: 4711, ..Entry::EMPTY }; entries.len()];
        // SAFETY: the handle is live, and each array has as many elements as it is said to have.
        let ret = unsafe {
            let (e, n) = (entries.as_ptr(), entries.len());
            change::ct_zero_entries(self.0, e, n, read.as_mut_ptr(), status.as_mut_ptr(), &mut result)
        };
        (Changed { ret, status, result }, read)
    }

    pub fn update_entries(&self, entries: &[Entry]) -> Changed {
        self.change(entries, change::ct_update_entries)
    }

    fn change(&self, entries: &[Entry], call: Call) -> Changed {
        // What must be overwritten is not zero to begin with.
        let mut status = vec![12_345; entries.len()];
        let mut result = empty_result();
        // SAFETY: the handle is live; entries and status have the same length; the result says its own size.
        let ret = unsafe { call(self.0, entries.as_ptr(), entries.len(), status.as_mut_ptr(), &mut result) };
        Changed { ret, status, result }
    }

    pub fn flush(&self, scope: Option<&ct_filter>, flags: u32) -> i32 {
        let scope = scope.map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the handle is live; the scope is NULL or says its own size.
        unsafe { flush::ct_flush(self.0, scope, flags) }
    }
}

type Call = unsafe extern "C" fn(*mut ct_handle, *const Entry, usize, *mut i32, *mut ct_result) -> i32;

fn empty_result() -> ct_result {
    ct_result { size: size_of::<ct_result>() as u32, ..Default::default() }
}

/// A C filter that matches everything.
pub fn empty_filter() -> ct_filter {
    ct_filter { size: size_of::<ct_filter>() as u32, ..Default::default() }
}

/// A filter as a C program would write it.
pub fn c_filter(f: &Filter) -> ct_filter {
    // A field that is forgotten here must not compile: it would be no condition in the tests.
    let Filter {
        exclude: _,
        family: _,
        proto: _,
        zone: _,
        orig_zone: _,
        reply_zone: _,
        id: _,
        mark: _,
        status_set: _,
        status_clear: _,
        orig_src: _,
        orig_dst: _,
        reply_src: _,
        reply_dst: _,
        orig_sport: _,
        orig_dport: _,
        reply_sport: _,
        reply_dport: _,
        icmp_type: _,
        icmp_code: _,
        icmp_id: _,
        tcp_states: _,
        labels: _,
        helper: _,
    } = f;
    let mut c = empty_filter();
    let mut bits = 0;
    c.flags = if f.exclude { CT_FILTER_EXCLUDE } else { 0 };
    let mut set = |bit: u64, is_set: bool| bits |= if is_set { bit } else { 0 };
    let prefixes = [f.orig_src, f.orig_dst, f.reply_src, f.reply_dst];
    let mut family = prefixes.iter().flatten().map(|p| if p.address.is_ipv4() { Family::IPV4 } else { Family::IPV6 });
    let family = f.family.or(family.next());
    c.family = family.map_or(0, |family| family.0);
    set(CT_MATCH_FAMILY, family.is_some());
    c.proto = f.proto.map_or(0, |proto| proto.0);
    set(CT_MATCH_PROTO, f.proto.is_some());
    c.zone = f.zone.unwrap_or(0).into();
    set(CT_MATCH_ZONE, f.zone.is_some());
    (c.orig_zone, c.reply_zone) = (f.orig_zone.unwrap_or(0).into(), f.reply_zone.unwrap_or(0).into());
    set(CT_MATCH_ORIG_ZONE, f.orig_zone.is_some());
    set(CT_MATCH_REPLY_ZONE, f.reply_zone.is_some());
    c.id = f.id.unwrap_or(0);
    set(CT_MATCH_ID, f.id.is_some());
    (c.mark, c.mark_mask) = f.mark.map_or((0, 0), |mark| (mark.value, mark.mask));
    set(CT_MATCH_MARK, f.mark.is_some());
    (c.status_set, c.status_clear) = (f.status_set.bits(), f.status_clear.bits());
    set(CT_MATCH_STATUS, !(f.status_set | f.status_clear).is_empty());
    for (bit, prefix, address, length) in [
        (CT_MATCH_ORIG_SRC, f.orig_src, &mut c.orig_src, &mut c.orig_src_prefix),
        (CT_MATCH_ORIG_DST, f.orig_dst, &mut c.orig_dst, &mut c.orig_dst_prefix),
        (CT_MATCH_REPLY_SRC, f.reply_src, &mut c.reply_src, &mut c.reply_src_prefix),
        (CT_MATCH_REPLY_DST, f.reply_dst, &mut c.reply_dst, &mut c.reply_dst_prefix),
    ] {
        set(bit, prefix.is_some());
        (*address, *length) = prefix.map_or(([0; 16], 0), |p| (address_bytes(p.address), p.length));
    }
    for (bit, ports, first, last) in [
        (CT_MATCH_ORIG_SPORT, &f.orig_sport, &mut c.orig_sport_first, &mut c.orig_sport_last),
        (CT_MATCH_ORIG_DPORT, &f.orig_dport, &mut c.orig_dport_first, &mut c.orig_dport_last),
        (CT_MATCH_REPLY_SPORT, &f.reply_sport, &mut c.reply_sport_first, &mut c.reply_sport_last),
        (CT_MATCH_REPLY_DPORT, &f.reply_dport, &mut c.reply_dport_first, &mut c.reply_dport_last),
    ] {
        set(bit, ports.is_some());
        (*first, *last) = ports.as_ref().map_or((0, 0), |ports| (*ports.start(), *ports.end()));
    }
    c.icmp_type = f.icmp_type.unwrap_or(0);
    set(CT_MATCH_ICMP_TYPE, f.icmp_type.is_some());
    c.icmp_code = f.icmp_code.unwrap_or(0);
    set(CT_MATCH_ICMP_CODE, f.icmp_code.is_some());
    c.icmp_id = f.icmp_id.unwrap_or(0);
    set(CT_MATCH_ICMP_ID, f.icmp_id.is_some());
    c.tcp_states = f.tcp_states.map_or(0, |states| states.bits());
    set(CT_MATCH_TCP_STATES, f.tcp_states.is_some());
    (c.labels, c.labels_mask) = f.labels.map_or(([0; 16], [0; 16]), |labels| (labels.value, labels.mask));
    set(CT_MATCH_LABELS, f.labels.is_some());
    for (to, from) in c.helper.iter_mut().zip(f.helper.as_deref().unwrap_or("").bytes()) {
        *to = from as std::ffi::c_char;
    }
    set(CT_MATCH_HELPER, f.helper.is_some());
    c.r#match = bits;
    c
}
