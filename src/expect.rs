//! Expectations: connections that a helper waits for.

use super::boundary::{array, array_out, input, out, uncancelled, without_handle};
use super::change::change_with;
use super::entry::ct_tuple;
use super::open::{ct_handle, on_handle, with_handle};
use super::read::owned;
use super::result::{ct_result, ResultOut};
use super::text::keep;
use ctnetlink::expect::{ExpectFlags, ExpectHas, Expectation};
use ctnetlink::KernelDetail;
use ctrack::seams::with_expectation_line;
use ctrack::{Conntrack, Error};
use std::ffi::{c_char, c_int};

/// tuple: addresses and protocol of what is expected.
pub const CT_EXPECT_HAS_TUPLE: u64 = 1u64 << 0;
/// mask: which bits of the tuple's addresses and ports must be those of a packet.
pub const CT_EXPECT_HAS_MASK: u64 = 1u64 << 1;
/// master: the original tuple of the entry whose helper expects.
pub const CT_EXPECT_HAS_MASTER: u64 = 1u64 << 2;
/// sport and dport of tuple, mask and nat.
pub const CT_EXPECT_HAS_PORTS: u64 = 1u64 << 3;
/// sport and dport of master.
pub const CT_EXPECT_HAS_MASTER_PORTS: u64 = 1u64 << 4;
/// timeout.
pub const CT_EXPECT_HAS_TIMEOUT: u64 = 1u64 << 5;
/// id.
pub const CT_EXPECT_HAS_ID: u64 = 1u64 << 6;
/// helper.
pub const CT_EXPECT_HAS_HELPER: u64 = 1u64 << 7;
/// zone: that of the master. The kernel never sends it.
pub const CT_EXPECT_HAS_ZONE: u64 = 1u64 << 8;
/// flags.
pub const CT_EXPECT_HAS_FLAGS: u64 = 1u64 << 9;
/// class.
pub const CT_EXPECT_HAS_CLASS: u64 = 1u64 << 10;
/// nat and nat_dir.
pub const CT_EXPECT_HAS_NAT: u64 = 1u64 << 11;
/// function.
pub const CT_EXPECT_HAS_FUNCTION: u64 = 1u64 << 12;

/// ct_expect.flags: it stays when a connection came.
pub const CT_EXPECT_PERMANENT: u32 = 1u32 << 0;
/// ct_expect.flags: no connection fulfils it for now.
pub const CT_EXPECT_INACTIVE: u32 = 1u32 << 1;
/// ct_expect.flags: a program made it. The kernel drops it in what it is given (6.18): -EINVAL.
pub const CT_EXPECT_USERSPACE: u32 = 1u32 << 2;

/// ct_expect_list() flags: the zone of each is looked for. The entries of the table that have a helper are asked one by one.
pub const CT_EXPECT_LIST_ZONES: u32 = 1u32 << 0;

const _: () = {
    assert!(CT_EXPECT_HAS_TUPLE == ExpectHas::TUPLE.bits() && CT_EXPECT_HAS_MASK == ExpectHas::MASK.bits());
    assert!(CT_EXPECT_HAS_MASTER == ExpectHas::MASTER.bits() && CT_EXPECT_HAS_PORTS == ExpectHas::PORTS.bits());
    assert!(CT_EXPECT_HAS_MASTER_PORTS == ExpectHas::MASTER_PORTS.bits());
    assert!(CT_EXPECT_HAS_TIMEOUT == ExpectHas::TIMEOUT.bits() && CT_EXPECT_HAS_ID == ExpectHas::ID.bits());
    assert!(CT_EXPECT_HAS_HELPER == ExpectHas::HELPER.bits() && CT_EXPECT_HAS_ZONE == ExpectHas::ZONE.bits());
    assert!(CT_EXPECT_HAS_FLAGS == ExpectHas::FLAGS.bits() && CT_EXPECT_HAS_CLASS == ExpectHas::CLASS.bits());
    assert!(CT_EXPECT_HAS_NAT == ExpectHas::NAT.bits() && CT_EXPECT_HAS_FUNCTION == ExpectHas::FUNCTION.bits());
    assert!(CT_EXPECT_PERMANENT == ExpectFlags::PERMANENT.bits());
    assert!(CT_EXPECT_INACTIVE == ExpectFlags::INACTIVE.bits());
    assert!(CT_EXPECT_USERSPACE == ExpectFlags::USERSPACE.bits());
};

/// A connection that a helper waits for: 320 bytes for the life of libctrack.so.0, no pointers. Since 0.2.
///
/// has says which fields the kernel sent (or, in one that you pass, which ones count); all others are zero.
#[repr(C)]
pub struct ct_expect {
    /// CT_EXPECT_HAS_ bits.
    pub has: u64,
    /// The kernel's number for it.
    pub id: u32,
    /// Seconds until it ends.
    pub timeout: u32,
    /// CT_EXPECT_ bits.
    pub flags: u32,
    /// Of which class of its helper it is, from 0 on: each has a most of its own.
    pub expect_class: u32,
    /// The zone of the master, 0 to 65535.
    pub zone: u32,
    /// Which direction is translated by nat: 0 original, 1 reply.
    pub nat_dir: u32,
    /// CT_FAMILY_IPV4 or CT_FAMILY_IPV6.
    pub family: u8,
    /// The protocol of what is expected.
    pub proto: u8,
    /// The protocol of the master.
    pub master_proto: u8,
    /// Zero.
    pub pad0: [u8; 5],
    /// What is expected: its original tuple, as far as the mask says. Its zone is zero: that of the master counts.
    pub tuple: ct_tuple,
    /// Which bits count.
    pub mask: ct_tuple,
    /// The original tuple of the master. Its zone is zero: see zone.
    pub master: ct_tuple,
    /// What the source of a packet is translated to: address and port.
    pub nat: ct_tuple,
    /// The name of the helper, ended by a NUL.
    pub helper: [c_char; 16],
    /// What the kernel does with a connection that came, for example "nat-follow-master"; ended by a NUL.
    pub function: [c_char; 32],
    /// Zero.
    pub reserved: [u64; 7],
}

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<ct_expect>() == 320 && size_of::<Expectation>() == 320);
    assert!(offset_of!(ct_expect, family) == offset_of!(Expectation, family));
    assert!(offset_of!(ct_expect, tuple) == offset_of!(Expectation, tuple));
    assert!(offset_of!(ct_expect, mask) == offset_of!(Expectation, mask));
    assert!(offset_of!(ct_expect, master) == offset_of!(Expectation, master));
    assert!(offset_of!(ct_expect, nat) == offset_of!(Expectation, nat));
    assert!(offset_of!(ct_expect, helper) == offset_of!(Expectation, helper));
    assert!(offset_of!(ct_expect, function) == offset_of!(Expectation, function));
};

/// Lists expectations into one array.
///
/// One is selected if it has all that has announces in one of `like`, and its family unless that is 0: a helper, a master, a zone, a class.
/// n = 0: every one. The kernel does not say in which zone an expectation is. Where all of like name a master and its zone, only those
/// masters are asked, and the zone is known; with a zone in one of them, or with CT_EXPECT_LIST_ZONES, all entries of the table that have a
/// helper are asked.
///
/// @param h the handle
/// @param like n expectations; NULL if n is 0
/// @param n how many
/// @param flags CT_EXPECT_LIST_ZONES or 0
/// @param ret_expects the array, yours to release with ct_expects_free(); NULL if nothing was selected
/// @param ret_count how many
/// @return 0, or a negative errno as for ct_list(), with nothing written
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_expect_list(
    h: *mut ct_handle,
    like: *const ct_expect,
    n: usize,
    flags: u32,
    ret_expects: *mut *mut ct_expect,
    ret_count: *mut usize,
) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            let ret_expects = out(ret_expects, "ret_expects")?;
            let ret_count = out(ret_count, "ret_count")?;
            if flags & !CT_EXPECT_LIST_ZONES != 0 {
                return Err(Error::invalid("flags", "unknown bits"));
            }
            let like = array(like.cast::<Expectation>(), n, "like")?;
            let mut expectations = owned::new::<Expectation>()?;
            conntrack.list_expectations_into(like, flags & CT_EXPECT_LIST_ZONES != 0, &mut expectations)?;
            ret_count.write(expectations.len() - 1);
            ret_expects.write(owned::give(expectations).cast());
            Ok(0)
        })
    }
}

/// Releases an array of ct_expect_list(). NULL is fine.
///
/// @param expects the array; it must not be used any more
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_expects_free(expects: *mut ct_expect) {
    // SAFETY: the caller's promise.
    uncancelled(|| unsafe { owned::take_back(expects.cast::<Expectation>()) });
}

/// Gets one expectation by its tuple and zone; by its id, too, if the key has one.
///
/// @param h the handle
/// @param key which one: tuple, ports, family, proto, and the zone of its master if that is not 0
/// @param ret_expect the expectation, with that zone
/// @return 0, or a negative errno, with nothing written: -ENOENT there is none; -EINVAL the key is wrong; others as for ct_list()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_expect_get(h: *mut ct_handle, key: *const ct_expect, ret_expect: *mut ct_expect) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    unsafe {
        with_handle(h, |conntrack| {
            let key = *input(key.cast::<Expectation>(), "key")?;
            let ret_expect = out(ret_expect.cast::<Expectation>(), "ret_expect")?;
            let missing =
                || Error::Kernel { op: "get_expectation", errno: libc::ENOENT, detail: KernelDetail::default() };
            ret_expect.write(conntrack.get_expectation(&key)?.ok_or_else(missing)?);
            Ok(0)
        })
    }
}

/// Makes expectations: each with a tuple, a mask and a master that has a helper.
///
/// The timeout, which the kernel ignores in a new one, is set by a second request; without one it is that of the helper. The kernel lets a
/// helper expect so many connections at once of each class; one more, and it drops the oldest without a word.
///
/// @param h the handle
/// @param e n expectations
/// @param n how many; 0 is fine
/// @param status n results: 0 made; -EEXIST there is one with this tuple; -ENOENT there is no such master in this zone; -EOPNOTSUPP the
///   master has no helper, or there is no such helper; -EINVAL the kernel refuses a value, for example a class (for all of them: one is
///   malformed); -EBUSY it clashes with another one; -EMFILE there are as many as the kernel allows (CT_SETTING_EXPECT_MAX); another negative
///   errno for another failure
/// @param result the sums; filled on failure too
/// @return 0: all are made; or a negative errno: -EINVAL an argument is wrong or one is malformed: nothing was sent; result->first_error if
///   result->failed > 0; others as for ct_list()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_expect_create(
    h: *mut ct_handle,
    e: *const ct_expect,
    n: usize,
    status: *mut i32,
    result: *mut ct_result,
) -> c_int {
    // SAFETY: the caller's promise.
    uncancelled(|| unsafe {
        change_with(h, e.cast::<Expectation>(), n, "expectations", status, result, &mut |own, all, status, outcome| {
            Conntrack::create_expectations_into(own, all, status, outcome)
        })
    })
}

/// Deletes the given expectations, each only if it is still the one that is meant: same tuple, zone and id.
///
/// Where one has an id and no zone, as ct_expect_list() gives them, and is not in zone 0, its zone is looked for. A request without a whole
/// tuple would delete every expectation: it is refused.
///
/// @param h the handle
/// @param e n expectations
/// @param n how many; 0 is fine
/// @param status n results: 0 deleted; -ENOENT gone; another negative errno for a failure, as for ct_delete_entries()
/// @param result the sums; filled on failure too
/// @return 0: all are gone; or a negative errno as for ct_delete_entries()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_expect_delete(
    h: *mut ct_handle,
    e: *const ct_expect,
    n: usize,
    status: *mut i32,
    result: *mut ct_result,
) -> c_int {
    // SAFETY: the caller's promise.
    uncancelled(|| unsafe {
        change_with(h, e.cast::<Expectation>(), n, "expectations", status, result, &mut |own, all, status, outcome| {
            Conntrack::delete_expectations_into(own, all, status, outcome)
        })
    })
}

/// Deletes the expectations that ct_expect_list() would list: one by one, in every zone. Or all of them.
///
/// @param h the handle
/// @param like n expectations; NULL for all
/// @param n how many; 0 for all. None of them may select every expectation
/// @param flags CT_FLUSH_ALL for all, and only then; else 0
/// @param result what was done; filled on failure too. All of them are deleted by the kernel, which does not say how many:
///   CT_RESULT_UNCOUNTED
/// @return 0: all of them are gone; or a negative errno: -EINVAL an argument is wrong, or every expectation would be deleted without
///   CT_FLUSH_ALL: nothing was sent; result->first_error if some failed; others as for ct_list()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_expect_flush(
    h: *mut ct_handle,
    like: *const ct_expect,
    n: usize,
    flags: u32,
    result: *mut ct_result,
) -> c_int {
    // SAFETY: the caller's promise, for the handle and for every pointer below.
    uncancelled(|| unsafe {
        let result = ResultOut::new(result);
        on_handle(h, |conntrack| {
            let result = result?;
            let like = array(like.cast::<Expectation>(), n, "like")?;
            match (flags, like.is_empty()) {
                (super::flush::CT_FLUSH_ALL, true) => result.fill(&mut |outcome| {
                    conntrack.flush_all_expectations()?;
                    outcome.uncounted = true;
                    Ok(())
                }),
                (0, false) => result.fill(&mut |outcome| conntrack.flush_expectations_into(like, outcome)),
                (0, true) => Err(Error::invalid("like", "is empty: to delete every expectation takes CT_FLUSH_ALL").into()),
                _ => Err(Error::invalid("flags", "CT_FLUSH_ALL is for all expectations, and nothing else is a flag").into()),
            }
        })
    })
}

/// Writes an expectation as text, by the rules of snprintf(3): the line that `conntrack -L expect` prints, byte for byte, without a line
/// end.
///
/// @param e the expectation
/// @param buf where to write; NULL if len is 0
/// @param len its size. 1024 is always enough
/// @return the length of the whole text without its NUL, or -EINVAL
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_expect_format(e: *const ct_expect, buf: *mut c_char, len: usize) -> c_int {
    without_handle(|| {
        // SAFETY: the caller's promise.
        let (e, buffer) =
            unsafe { (input(e.cast::<Expectation>(), "expect")?, array_out(buf.cast::<u8>(), len, "buf")?) };
        with_expectation_line(e, |text| keep(text, buffer))
    })
}
