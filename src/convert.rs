//! C filters to safe ones.

use super::abi::*;
use super::extend;
use ctnetlink::types::*;
use ctrack::seams::text;
use ctrack::Error;
use ctrack::{Filter, Prefix};
use std::borrow::Cow;
use std::ffi::c_char;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;

/// The filters of a call. They lie `filters[0].size` bytes apart.
///
/// # Safety
/// `filters` points to `count` filters as the header describes them, or `count` is 0.
pub(super) unsafe fn filters(filters: *const ct_filter, count: usize) -> Result<Vec<Filter>, Error> {
    let mut converted = Vec::new();
    converted.try_reserve_exact(count).map_err(|_| Error::NoMemory { op: "filter" })?;
    // SAFETY: the caller's promise.
    unsafe {
        each(filters, count, &mut |index, raw| {
            converted.push(filter(raw, index)?);
            Ok(())
        })?;
    }
    Ok(converted)
}

/// Visits the filters of a call.
///
/// # Safety
/// As for `filters`.
pub(super) unsafe fn each(
    filters: *const ct_filter,
    count: usize,
    visit: &mut dyn FnMut(usize, &ct_filter) -> Result<(), Error>,
) -> Result<(), Error> {
    if count != 0 && filters.is_null() {
        return Err(Error::invalid("filter", "is NULL"));
    }
    let mut stride = 0;
    for index in 0..count {
        let name = |field: &'static str| filter_name(index, field);
        let at = filters.cast::<u8>().wrapping_add(index * stride).cast::<ct_filter>();
        // SAFETY: the caller promises `count` filters, each as large as the first one says.
        let size = unsafe { extend::size(at, &name) }?;
        if index == 0 {
            stride = size;
        } else if mutant!("same-size", size != stride, false) {
            // Before anything behind it is read: a size that was forgotten is garbage, and leads beyond the array.
            return Err(Error::invalid(name(".size"), "differs from that of filter[0]"));
        }
        // SAFETY: as above.
        let raw = unsafe { extend::read(at, FILTER_SIZE_V0, &name) }?;
        visit(index, &raw)?;
    }
    Ok(())
}

pub(super) fn filter_name(index: usize, field: &'static str) -> Cow<'static, str> {
    text("filter", format_args!("filter[{index}]{field}"))
}

/// One of the filters of a call.
pub(super) fn filter(raw: &ct_filter, index: usize) -> Result<Filter, Error> {
    checked(raw).map_err(|fault| fault.error(&|field| filter_name(index, field)))
}

/// One filter.
///
/// # Safety
/// `pointer` points to a filter as the header describes it.
pub(super) unsafe fn scope(pointer: *const ct_filter) -> Result<Filter, Error> {
    let name = |field: &'static str| text("scope", format_args!("scope{field}"));
    // SAFETY: the caller promises so.
    let raw = unsafe { extend::read(pointer, FILTER_SIZE_V0, &name) }?;
    let filter = checked(&raw).map_err(|fault| fault.error(&name))?;
    if mutant!("scope-excludes", filter.exclude, false) {
        return Err(Error::invalid("scope.flags", "a scope cannot be an excluding filter"));
    }
    Ok(filter)
}

/// What is wrong with a field.
type Wrong = (&'static str, &'static str);

/// Why there is no filter.
enum Fault {
    Wrong(Wrong),
    NoMemory,
}

impl From<Wrong> for Fault {
    fn from(wrong: Wrong) -> Fault {
        Fault::Wrong(wrong)
    }
}

impl Fault {
    fn error(self, name: &dyn Fn(&'static str) -> Cow<'static, str>) -> Error {
        match self {
            Fault::Wrong((field, reason)) => Error::invalid(name(field), reason),
            Fault::NoMemory => Error::NoMemory { op: "filter" },
        }
    }
}

#[deny(unused_variables, reason = "a field that is forgotten must not compile")]
fn checked(raw: &ct_filter) -> Result<Filter, Fault> {
    // Without "..": a field that is forgotten here does not compile.
    let ct_filter {
        size: _,
        flags,
        r#match: matched,
        family,
        proto,
        icmp_type,
        icmp_code,
        icmp_id,
        tcp_states,
        zone,
        mark,
        mark_mask,
        status_set,
        status_clear,
        orig_src_prefix,
        orig_dst_prefix,
        reply_src_prefix,
        reply_dst_prefix,
        orig_src,
        orig_dst,
        reply_src,
        reply_dst,
        orig_sport_first,
        orig_sport_last,
        orig_dport_first,
        orig_dport_last,
        reply_sport_first,
        reply_sport_last,
        reply_dport_first,
        reply_dport_last,
        labels,
        labels_mask,
        helper: name,
        orig_zone,
        reply_zone,
        id,
        pad0,
    } = *raw;
    if flags & !CT_FILTER_EXCLUDE != 0 {
        return Err((".flags", "unknown bits").into());
    }
    if mutant!("match-unknown", matched & !MATCH_ALL != 0, false) {
        return Err((".match", "unknown bits").into());
    }
    if pad0 != 0 {
        return Err((".pad0", "is not zero").into());
    }
    let counts = |bit: u64| matched & bit != 0;
    mutant!("filter-forgotten", only_what_counts(raw)?, ());
    let in_zone = |bit, zone, field| match u16::try_from(zone) {
        Err(_) => Err((field, "is larger than 65535")),
        Ok(zone) => Ok(counts(bit).then_some(zone)),
    };
    let addresses = [CT_MATCH_ORIG_SRC, CT_MATCH_ORIG_DST, CT_MATCH_REPLY_SRC, CT_MATCH_REPLY_DST];
    if addresses.iter().any(|bit| counts(*bit)) && !counts(CT_MATCH_FAMILY) {
        return Err((".family", "addresses need CT_MATCH_FAMILY").into());
    }
    let prefix = |bit, address, length, field| counts(bit).then(|| prefix(family, address, length, field)).transpose();
    let ports = |bit, first, last| counts(bit).then_some(RangeInclusive::new(first, last));
    let helper = counts(CT_MATCH_HELPER).then(|| helper(&name)).transpose()?;
    Ok(Filter {
        exclude: flags & CT_FILTER_EXCLUDE != 0,
        family: counts(CT_MATCH_FAMILY).then_some(Family(family)),
        proto: counts(CT_MATCH_PROTO).then_some(Proto(proto)),
        zone: in_zone(CT_MATCH_ZONE, zone, ".zone")?,
        orig_zone: in_zone(CT_MATCH_ORIG_ZONE, orig_zone, ".orig_zone")?,
        reply_zone: in_zone(CT_MATCH_REPLY_ZONE, reply_zone, ".reply_zone")?,
        id: counts(CT_MATCH_ID).then_some(id),
        mark: counts(CT_MATCH_MARK).then_some(Masked { value: mark, mask: mark_mask }),
        status_set: Status::from_bits_retain(status_set),
        status_clear: Status::from_bits_retain(status_clear),
        orig_src: prefix(CT_MATCH_ORIG_SRC, &orig_src, orig_src_prefix, ".orig_src")?,
        orig_dst: prefix(CT_MATCH_ORIG_DST, &orig_dst, orig_dst_prefix, ".orig_dst")?,
        reply_src: prefix(CT_MATCH_REPLY_SRC, &reply_src, reply_src_prefix, ".reply_src")?,
        reply_dst: prefix(CT_MATCH_REPLY_DST, &reply_dst, reply_dst_prefix, ".reply_dst")?,
        orig_sport: ports(CT_MATCH_ORIG_SPORT, orig_sport_first, orig_sport_last),
        orig_dport: ports(CT_MATCH_ORIG_DPORT, orig_dport_first, orig_dport_last),
        reply_sport: ports(CT_MATCH_REPLY_SPORT, reply_sport_first, reply_sport_last),
        reply_dport: ports(CT_MATCH_REPLY_DPORT, reply_dport_first, reply_dport_last),
        icmp_type: counts(CT_MATCH_ICMP_TYPE).then_some(icmp_type),
        icmp_code: counts(CT_MATCH_ICMP_CODE).then_some(icmp_code),
        icmp_id: counts(CT_MATCH_ICMP_ID).then_some(icmp_id),
        tcp_states: counts(CT_MATCH_TCP_STATES).then_some(TcpStates::from_bits_retain(tcp_states)),
        labels: counts(CT_MATCH_LABELS).then_some(Masked { value: labels, mask: labels_mask }),
        helper,
    })
}

/// A field of a filter that counts only with a bit of `match`: the name for errors, where it is, how many bytes, and the bit.
struct Counts(&'static str, u8, u8, u64);

/// Every field of a filter, with the bit by which it counts.
macro_rules! filter_fields {
    ({ $($bit:ident: $name:literal = $($field:ident)*;)* } { $($always:ident)* }) => {
        const FIELDS: &[Counts] = &[$($(
            Counts(
                $name,
                std::mem::offset_of!(ct_filter, $field) as u8,
                bytes(|filter| &filter.$field) as u8,
                $bit,
            ),
        )*)*];

        /// The same with the name of each field and of its bit, and those that always count, for the record abi/fields.txt.
        pub(crate) const NAMES: &[(&str, usize, usize, &str)] = &[
            $($((stringify!($field), std::mem::offset_of!(ct_filter, $field), bytes(|filter| &filter.$field), stringify!($bit)),)*)*
            $((stringify!($always), std::mem::offset_of!(ct_filter, $always), bytes(|filter| &filter.$always), ""),)*
        ];

        const fn bytes<T>(_: fn(&ct_filter) -> &T) -> usize {
            size_of::<T>()
        }

        // What is missing above does not compile. (Of a pattern the compiler would not name it.)
        const _: fn(ct_filter) -> ct_filter =
            |filter| ct_filter { $($($field: filter.$field,)*)* $($always: filter.$always),* };

        // No padding lies between them.
        const _: () = {
            let (mut at, mut sum) = (0, 0 $(+ bytes(|filter| &filter.$always))*);
            while at < FIELDS.len() {
                sum += FIELDS[at].2 as usize;
                at += 1;
            }
            assert!(sum == size_of::<ct_filter>());
        };
    };
}

filter_fields! {
    {
        CT_MATCH_FAMILY: ".family" = family;
        CT_MATCH_PROTO: ".proto" = proto;
        CT_MATCH_ZONE: ".zone" = zone;
        CT_MATCH_MARK: ".mark" = mark mark_mask;
        CT_MATCH_STATUS: ".status_set" = status_set;
        CT_MATCH_STATUS: ".status_clear" = status_clear;
        CT_MATCH_ORIG_SRC: ".orig_src" = orig_src orig_src_prefix;
        CT_MATCH_ORIG_DST: ".orig_dst" = orig_dst orig_dst_prefix;
        CT_MATCH_REPLY_SRC: ".reply_src" = reply_src reply_src_prefix;
        CT_MATCH_REPLY_DST: ".reply_dst" = reply_dst reply_dst_prefix;
        CT_MATCH_ORIG_SPORT: ".orig_sport" = orig_sport_first orig_sport_last;
        CT_MATCH_ORIG_DPORT: ".orig_dport" = orig_dport_first orig_dport_last;
        CT_MATCH_REPLY_SPORT: ".reply_sport" = reply_sport_first reply_sport_last;
        CT_MATCH_REPLY_DPORT: ".reply_dport" = reply_dport_first reply_dport_last;
        CT_MATCH_ICMP_TYPE: ".icmp_type" = icmp_type;
        CT_MATCH_ICMP_CODE: ".icmp_code" = icmp_code;
        CT_MATCH_ICMP_ID: ".icmp_id" = icmp_id;
        CT_MATCH_TCP_STATES: ".tcp_states" = tcp_states;
        CT_MATCH_LABELS: ".labels" = labels labels_mask;
        CT_MATCH_HELPER: ".helper" = helper;
        CT_MATCH_ORIG_ZONE: ".orig_zone" = orig_zone;
        CT_MATCH_REPLY_ZONE: ".reply_zone" = reply_zone;
        CT_MATCH_ID: ".id" = id;
    }
    { size flags r#match pad0 }
}

/// Every `CT_MATCH_*` bit that this release knows: those of the fields.
const MATCH_ALL: u64 = {
    let (mut all, mut at) = (0, 0);
    while at < FIELDS.len() {
        all |= FIELDS[at].3;
        at += 1;
    }
    all
};

/// A field that is set although `match` does not say that it counts was forgotten there, and the filter would take more than
/// was meant. One that counts and lies behind `size` has no value, and 0 would be another.
fn only_what_counts(raw: &ct_filter) -> Result<(), Wrong> {
    // SAFETY: ct_filter has no padding: its fields fill it (checked above), so all of its bytes are initialised.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const *raw).cast::<u8>(), size_of::<ct_filter>()) };
    for &Counts(field, first, length, bit) in FIELDS {
        let first = usize::from(first);
        let value = bytes.get(first..first + usize::from(length)).unwrap_or_default();
        if raw.r#match & bit == 0 && value.iter().any(|&byte| byte != 0) {
            return Err((field, "is set, but its bit in match is not"));
        }
        let end = first + usize::from(length);
        if mutant!("counts-within-its-size", raw.r#match & bit != 0 && end > raw.size as usize, false) {
            return Err((field, "lies behind the size of the filter, but its bit in match is set"));
        }
    }
    Ok(())
}

fn prefix(family: u8, address: &[u8; 16], length: u8, field: &'static str) -> Result<Prefix, Wrong> {
    if family != CT_FAMILY_IPV4 {
        // An unknown family is refused later on, by name.
        return Ok(Prefix { address: IpAddr::V6(Ipv6Addr::from(*address)), length });
    }
    let [a, b, c, d, rest @ ..] = *address;
    if rest != [0; 12] {
        return Err((field, "an IPv4 address has only 4 bytes, the others must be zero"));
    }
    Ok(Prefix { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), length })
}

fn helper(name: &[c_char; 16]) -> Result<String, Fault> {
    let name = &name.map(|byte| byte as u8);
    if name[15] != 0 {
        return Err((".helper", "is not terminated").into());
    }
    let name = until_nul(name);
    if name.is_empty() {
        return Err((".helper", "is empty").into());
    }
    let name = std::str::from_utf8(name).map_err(|_| (".helper", "is not text"))?;
    let mut owned = String::new();
    owned.try_reserve_exact(name.len()).map_err(|_| Fault::NoMemory)?;
    owned.push_str(name);
    Ok(owned)
}
