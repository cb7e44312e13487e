//! Ready-made filters.

use super::abi::*;
use super::convert::{each, filter, filter_name};
use super::open::ct_handle;
use super::open::with_handle;
use ctrack::Error;
use ctrack::Selection;
use std::ffi::c_int;

/// ct_filter_rule(): towards the port that the rule is for.
pub const CT_RULE_INGRESS: u32 = 1;
/// ct_filter_rule(): from that port.
pub const CT_RULE_EGRESS: u32 = 2;

const OWN: &str = "0.0.0.0 or :: does not mean any address; name the endpoint's own";

/// Makes two filters for all that an address began or answers: a pod, a container, a machine that is gone.
///
/// Like every function ct_filter_...(), it adds to what the filters have: set size and zero the rest, or set what must hold
/// besides, such as the zone, before or after. Nothing is sent.
///
/// @param h the handle, for ct_handle_error()
/// @param f two filters
/// @param family CT_FAMILY_IPV4 or CT_FAMILY_IPV6
/// @param address 4 or 16 bytes, in network byte order
/// @return 0, or a negative errno, with nothing written: -EINVAL, -E2BIG a filter, the family or the address is wrong. An
///   unspecified address (0.0.0.0, ::) is refused, since it does not mean any address
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_filter_dead_endpoint(
    h: *mut ct_handle,
    f: *mut ct_filter,
    family: u8,
    address: *const u8,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        amend(h, f, 2, &|index, raw| {
            let bit = if index == 0 { CT_MATCH_ORIG_SRC } else { CT_MATCH_REPLY_SRC };
            host(raw, bit, family, address, OWN)
        })
    }
}

/// Makes a filter for all flows to a service, as clients call it: before NAT. Those that a live endpoint answers are left out
/// with ct_filter_live_endpoint().
///
/// @param h the handle, for ct_handle_error()
/// @param f the filter
/// @param family CT_FAMILY_IPV4 or CT_FAMILY_IPV6
/// @param address 4 or 16 bytes, in network byte order
/// @param proto a protocol that has ports
/// @param port the port
/// @return 0, or a negative errno as for ct_filter_dead_endpoint(). For a port on any address use ct_filter_port()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_filter_service(
    h: *mut ct_handle,
    f: *mut ct_filter,
    family: u8,
    address: *const u8,
    proto: u8,
    port: u16,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        amend(h, f, 1, &|_, raw| {
            host(
                raw,
                CT_MATCH_ORIG_DST,
                family,
                address,
                "0.0.0.0 or :: does not mean any address; use ct_filter_port()",
            )?;
            destination(raw, proto, port)
        })
    }
}

/// Makes a filter for all flows that were begun to this port, whatever the address: a NodePort, a port of the host.
///
/// That is all that the table knows of the port, also what is only forwarded to the same port of somebody else: where that can be,
/// set more fields, such as CT_STATUS_DST_NAT in status_set for what is translated here. Set the family (before
/// ct_filter_live_endpoint()) if the endpoints are of one family.
///
/// @param h the handle, for ct_handle_error()
/// @param f the filter
/// @param proto a protocol that has ports
/// @param port the port
/// @return 0, or a negative errno as for ct_filter_dead_endpoint()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_filter_port(h: *mut ct_handle, f: *mut ct_filter, proto: u8, port: u16) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { amend(h, f, 1, &|_, raw| destination(raw, proto, port)) }
}

/// Makes a copy of a filter of ct_filter_service() or ct_filter_port() an excluding one, for the flows that a live endpoint
/// answers.
///
/// @param h the handle, for ct_handle_error()
/// @param f the copy
/// @param family CT_FAMILY_IPV4 or CT_FAMILY_IPV6
/// @param address 4 or 16 bytes, in network byte order
/// @param port the port at which the endpoint answers
/// @return 0, or a negative errno as for ct_filter_dead_endpoint()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_filter_live_endpoint(
    h: *mut ct_handle,
    f: *mut ct_filter,
    family: u8,
    address: *const u8,
    port: u16,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        amend(h, f, 1, &|_, raw| {
            if raw.r#match & CT_MATCH_ORIG_DPORT == 0 {
                return Err(Error::invalid("filter[0].match", "is no filter of a service"));
            }
            host(raw, CT_MATCH_REPLY_SRC, family, address, OWN)?;
            raw.flags |= CT_FILTER_EXCLUDE;
            raw.r#match |= CT_MATCH_REPLY_SPORT;
            (raw.reply_sport_first, raw.reply_sport_last) = (port, port);
            Ok(())
        })
    }
}

/// Makes a filter for the flows that a rule of a security group let through, one that was withdrawn. Of a rule with several other ends
/// make one filter for each, and delete with all of them in one call.
///
/// The zone of the port must count already (CT_MATCH_ZONE, also zone 0), since other ports may have the same addresses. Protocol, mark
/// and ports of the rule are set before or after.
///
/// @param h the handle, for ct_handle_error()
/// @param f the filter
/// @param direction CT_RULE_INGRESS: others began the flows; CT_RULE_EGRESS: the port did
/// @param family CT_FAMILY_IPV4 or CT_FAMILY_IPV6
/// @param own the port's address, or the network that all its addresses are in: 4 or 16 bytes, in network byte order
/// @param own_prefix its prefix length; 32 or 128: one address
/// @param other the other end: 4 or 16 bytes; NULL: the rule is for every other end
/// @param other_prefix its prefix length; 0 if other is NULL
/// @return 0, or a negative errno as for ct_filter_dead_endpoint()
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_filter_rule(
    h: *mut ct_handle,
    f: *mut ct_filter,
    direction: u32,
    family: u8,
    own: *const u8,
    own_prefix: u8,
    other: *const u8,
    other_prefix: u8,
) -> c_int {
    const PREFIX: &str = "0.0.0.0 or :: does not mean any address; give the prefix length 0";
    // SAFETY: the caller's promise.
    unsafe {
        amend(h, f, 1, &|_, raw| {
            let (own_bit, other_bit) = match direction {
                CT_RULE_INGRESS => (CT_MATCH_ORIG_DST, CT_MATCH_ORIG_SRC),
                CT_RULE_EGRESS => (CT_MATCH_ORIG_SRC, CT_MATCH_ORIG_DST),
                _ => return Err(Error::invalid("direction", "is neither CT_RULE_INGRESS nor CT_RULE_EGRESS")),
            };
            if raw.r#match & CT_MATCH_ZONE == 0 {
                return Err(Error::invalid("filter[0].zone", "must count: other ports may have the same addresses"));
            }
            net(raw, own_bit, family, "own", own, own_prefix, PREFIX)?;
            if !other.is_null() {
                return net(raw, other_bit, family, "other", other, other_prefix, PREFIX);
            }
            match other_prefix {
                0 => Ok(()),
                _ => Err(Error::invalid("other", "is NULL, and has a prefix length")),
            }
        })
    }
}

/// Makes filters for everything within the first of them but what the others match, by making those excluding ones.
///
/// For everything in the table but some, let the first two be CT_FAMILY_IPV4 and CT_FAMILY_IPV6 alone.
///
/// @param h the handle, for ct_handle_error()
/// @param f n filters, f[0].size bytes apart, none of them excluding
/// @param within how many of them say what is meant; at least 1, and each must limit something
/// @param n how many in all; at least one more, so that something is spared
/// @return 0, or a negative errno, with nothing written: -EINVAL, -E2BIG a filter or a number is wrong. An unspecified address
///   (0.0.0.0, ::), which does not mean any address, and an IPv4 address in IPv6 are refused in all of them: what they are to
///   take or to spare would not be there
/// Since 0.2.
#[no_mangle]
pub unsafe extern "C" fn ct_filter_everything_but(
    h: *mut ct_handle,
    f: *mut ct_filter,
    within: usize,
    n: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe {
        amend(h, f, n, &|index, raw| {
            if within == 0 || within >= n {
                return Err(Error::invalid("within", "leaves nothing to take, or nothing to spare"));
            }
            if raw.flags != 0 {
                return Err(Error::invalid(filter_name(index, ".flags"), "is not zero"));
            }
            let sides = [&raw.orig_src, &raw.orig_dst, &raw.reply_src, &raw.reply_dst];
            let lengths = [raw.orig_src_prefix, raw.orig_dst_prefix, raw.reply_src_prefix, raw.reply_dst_prefix];
            for (side, length) in sides.into_iter().zip(lengths) {
                const ANY: &str =
                    "0.0.0.0 or :: does not mean any address; leave the field out, or give the prefix length 0";
                if let Some(reason) = in_no_entry(raw.family, side, length, ANY) {
                    return Err(Error::invalid(filter_name(index, ""), reason));
                }
            }
            if index >= within {
                raw.flags = CT_FILTER_EXCLUDE;
            }
            Ok(())
        })
    }
}

/// Reads filters, changes them, and writes them back if all of them are sound.
///
/// # Safety
/// The handle is NULL or live; `f` points to `n` filters as the header describes them, which may be written.
unsafe fn amend(
    h: *mut ct_handle,
    f: *mut ct_filter,
    n: usize,
    change: &dyn Fn(usize, &mut ct_filter) -> Result<(), Error>,
) -> c_int {
    let amended = || {
        if n == 0 {
            return Err(Error::invalid("n", "is 0"));
        }
        let (mut sound, mut raw_filters) = (Vec::new(), Vec::new());
        let no_memory = |_| Error::NoMemory { op: "filter" };
        // SAFETY: the caller's promise.
        unsafe {
            each(f, n, &mut |index, raw| {
                let mut raw = *raw;
                change(index, &mut raw)?;
                sound.try_reserve(1).map_err(no_memory)?;
                raw_filters.try_reserve(1).map_err(no_memory)?;
                sound.push(filter(&raw, index)?);
                raw_filters.push(raw);
                Ok(())
            })?;
        }
        let selection = Selection::new(&sound)?;
        if sound.iter().any(|filter| !filter.exclude) {
            selection.refuse_everything()?;
        }
        for (index, raw) in raw_filters.iter().enumerate() {
            let to = f.cast::<u8>().wrapping_add(index * raw.size as usize);
            // SAFETY: the caller promises `size` bytes that may be written there, and `each` that it is not less than the first
            // release's. What was changed is among these.
            unsafe { std::ptr::copy_nonoverlapping((&raw const *raw).cast::<u8>(), to, FILTER_SIZE_V0) };
        }
        Ok(0)
    };
    // SAFETY: the caller's promise.
    unsafe { with_handle(h, |_| amended()) }
}

/// Why no entry has such an address. `any`: what to say of an unspecified one.
fn in_no_entry(family: u8, address: &[u8; 16], length: u8, any: &'static str) -> Option<&'static str> {
    if length == full(family) && *address == [0; 16] {
        return Some(any);
    }
    let mapped = family == CT_FAMILY_IPV6 && address[..12] == [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    (mapped && length >= 96).then_some("is an IPv4 address in IPv6; give the IPv4 address")
}

fn full(family: u8) -> u8 {
    if family == CT_FAMILY_IPV4 {
        32
    } else {
        128
    }
}

/// Adds one whole address.
///
/// # Safety
/// As for [`net`].
unsafe fn host(
    raw: &mut ct_filter,
    bit: u64,
    family: u8,
    address: *const u8,
    instead: &'static str,
) -> Result<(), Error> {
    // SAFETY: the caller's promise.
    unsafe { net(raw, bit, family, "address", address, full(family), instead) }
}

/// Adds a prefix. What is wrong with it the filter is asked for later on.
///
/// # Safety
/// `address` is NULL or points to the bytes of an address of this family.
unsafe fn net(
    raw: &mut ct_filter,
    bit: u64,
    family: u8,
    name: &'static str,
    address: *const u8,
    length: u8,
    instead: &'static str,
) -> Result<(), Error> {
    if address.is_null() {
        return Err(Error::invalid(name, "is NULL"));
    }
    if family != CT_FAMILY_IPV4 && family != CT_FAMILY_IPV6 {
        return Err(Error::invalid("family", "is neither IPv4 nor IPv6"));
    }
    let mut bytes = [0; 16];
    // SAFETY: the caller promises so many.
    unsafe { std::ptr::copy_nonoverlapping(address, bytes.as_mut_ptr(), usize::from(full(family) / 8)) };
    if let Some(reason) = in_no_entry(family, &bytes, length, instead) {
        return Err(Error::invalid(name, reason));
    }
    if raw.r#match & bit != 0 || (raw.r#match & CT_MATCH_FAMILY != 0 && raw.family != family) {
        return Err(Error::invalid("filter[0]", "has such an address already, or is of another family"));
    }
    raw.r#match |= bit | CT_MATCH_FAMILY;
    raw.family = family;
    let (to, to_length) = match bit {
        CT_MATCH_ORIG_SRC => (&mut raw.orig_src, &mut raw.orig_src_prefix),
        CT_MATCH_ORIG_DST => (&mut raw.orig_dst, &mut raw.orig_dst_prefix),
        _ => (&mut raw.reply_src, &mut raw.reply_src_prefix),
    };
    (*to, *to_length) = (bytes, length);
    Ok(())
}

/// Adds the protocol and the port that was called.
fn destination(raw: &mut ct_filter, proto: u8, port: u16) -> Result<(), Error> {
    if raw.r#match & (CT_MATCH_PROTO | CT_MATCH_ORIG_DPORT) != 0 {
        return Err(Error::invalid("filter[0]", "has a protocol or such a port already"));
    }
    raw.r#match |= CT_MATCH_PROTO | CT_MATCH_ORIG_DPORT;
    raw.proto = proto;
    (raw.orig_dport_first, raw.orig_dport_last) = (port, port);
    Ok(())
}
