//! What the running kernel honours, measured: never guessed from a version, since distributions backport.
//!
//! Every probe reads, but for one DELETE that no kernel carries out (see `ctnetlink::kernel_filter::probe`). A kernel does not change
//! while a program runs, so what is found is kept for the process; a transport that is no real socket keeps its own.

use super::entries::Entries;
use crate::error::Error;
use crate::selection::plan::Caps;
use crate::socket::batch::refusal;
use crate::socket::dump::first_answer;
use crate::socket::link::{About, Link};
use ctnetlink::buffer::Buffer;
use ctnetlink::encode::{put_get, Name};
use ctnetlink::kernel_filter::{probe, KernelFilter, Side};
use ctnetlink::types::*;

// The capabilities, by their numbers in `Known`.

const ZONE: u32 = 0;
const STATUS: u32 = 1;
const TUPLE: u32 = 2;
const IPV6: u32 = 3;
const FLUSH: u32 = 4;
/// The first of one for each of [`MAYBE_PORTLESS`].
const PORTLESS: u32 = 5;

/// What the selection could make use of, asked of the kernel where it is not known yet.
pub(crate) fn caps(link: &mut Link, ipv6: bool) -> Result<Caps, Error> {
    Ok(Caps {
        zone: mutant!("zone-measured", known(link, ZONE, &|link| refuses_dump(link, &probe::put_zone))?, true),
        status: mutant!("status-measured", known(link, STATUS, &|link| refuses_dump(link, &probe::put_status))?, true),
        tuple: mutant!("tuple-measured", known(link, TUPLE, &|link| refuses_dump(link, &probe::put_tuple))?, true),
        flush: mutant!("flush-measured", flushes_by_filter(link)?, true),
        ipv6: ipv6 && mutant!("ipv6-measured", known(link, IPV6, &|link| matches_ipv6(link))?, true),
    })
}

fn known(
    link: &mut Link,
    capability: u32,
    measure: &dyn Fn(&mut Link) -> Result<Option<bool>, Error>,
) -> Result<bool, Error> {
    if let Some(honoured) = link.known().get(capability) {
        return Ok(honoured);
    }
    let measured = measure(link)?;
    if let Some(honoured) = measured {
        link.known().set(capability, honoured);
    }
    Ok(measured.unwrap_or(false))
}

/// Protocols with ports (or keys) of which some kernels keep none, since they were built without their tracker, or have none any
/// more (DCCP from 6.16 on, UDP-Lite in 7.3).
const MAYBE_PORTLESS: [Proto; 4] = [Proto::DCCP, Proto::GRE, Proto::SCTP, Proto::UDPLITE];

/// The bit, by its place in [`MAYBE_PORTLESS`], of the protocol of an entry that has ports; 0 for the others.
pub(crate) fn maybe_portless(entry: &Entry) -> u8 {
    match entry.proto {
        // Most are, and no kernel keeps these without ports.
        Proto::TCP | Proto::UDP => 0,
        _ if !entry.has(Has::PORTS) => 0,
        proto => MAYBE_PORTLESS.iter().position(|&one| one == proto).map_or(0, |place| 1 << place),
    }
}

/// Those of the bits of [`maybe_portless`] of whose protocols this kernel keeps no ports. It would make an entry for the addresses
/// alone, and say yes.
#[inline(never)]
pub(crate) fn portless(link: &mut Link, asked: u8) -> Result<u8, Error> {
    let mut found = 0;
    for (place, proto) in (0..).zip(MAYBE_PORTLESS) {
        let bit = 1 << place;
        if asked & bit != 0 && known(link, PORTLESS + place, &|link| finds_without_ports(link, proto))? {
            found |= bit;
        }
    }
    Ok(found)
}

/// Whether the kernel looks for an entry that is named without ports: one that keeps them refuses to.
fn finds_without_ports(link: &mut Link, proto: Proto) -> Result<Option<bool>, Error> {
    let nobody = Entry { has: Has::ORIG, family: Family::IPV4, proto, ..Entry::EMPTY };
    Ok(match refusal(link, &|buffer, seq| put_get(buffer, seq, &nobody, Name::ORIG))? {
        Some((libc::EINVAL, _)) => Some(false),
        None | Some((libc::ENOENT, _)) => Some(true),
        _ => None,
    })
}

/// Whether the kernel refuses a dump whose filter is wrong: then it has read the filter. One that does not know it begins to
/// dump, and is interrupted.
fn refuses_dump(link: &mut Link, put: &dyn Fn(&mut Buffer, u32)) -> Result<Option<bool>, Error> {
    match first_answer(link, put)? {
        Some(errno @ (libc::EPERM | libc::EACCES)) => Err(link.refused(About::Caller, errno, Default::default())),
        Some(libc::EBUSY | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => {
            Ok(mutant!("busy-says-nothing", None, Some(true)))
        }
        refusal => Ok(Some(refusal.is_some())),
    }
}

/// Whether the kernel flushes by CTA_FILTER (Linux 6.12).
pub(crate) fn flushes_by_filter(link: &mut Link) -> Result<bool, Error> {
    known(link, FLUSH, &|link| flushes_by_tuple(link))
}

/// The same, asked: such a kernel refuses a port without a protocol, instead of not finding the entry.
fn flushes_by_tuple(link: &mut Link) -> Result<Option<bool>, Error> {
    Ok(match refusal(link, &probe::put_flush)? {
        Some((libc::EINVAL, _)) => Some(true),
        Some((libc::ENOENT | libc::EOPNOTSUPP, _)) => Some(false),
        _ => None,
    })
}

/// Whether addresses of IPv6 are matched the right way round: kernels up to 6.18 let through what they should hold back
/// (ctnetlink_filter_match_tuple(): "!ipv6_addr_cmp()").
///
/// That can only be seen with an entry at hand. Asked for its address, the kernel must send it; asked for an address that no
/// entry has, nothing. No entry of IPv6: not known.
fn matches_ipv6(link: &mut Link) -> Result<Option<bool>, Error> {
    if !link.may_probe_ipv6() {
        return Ok(None);
    }
    let family = KernelFilter { family: Family::IPV6, ..KernelFilter::default() };
    let from = |src: [u8; 16]| KernelFilter { orig: Side { src: Some(src), ..Side::default() }, ..family.clone() };
    let Some(some) = first_entry(link, &family)? else {
        return Ok(None);
    };
    let own = first_entry(link, &from(some.orig.src))?;
    let nobody = first_entry(link, &from([0; 16]))?;
    Ok(match (own, nobody) {
        (Some(own), None) if own.orig.src == some.orig.src => Some(true),
        (_, Some(_)) => mutant!("ipv6-from-nobody", Some(false), Some(true)),
        // The entry went away meanwhile.
        _ => None,
    })
}

fn first_entry(link: &mut Link, filter: &KernelFilter) -> Result<Option<Entry>, Error> {
    let mut entry = Entry::EMPTY;
    let mut dump = Entries::start(link, filter)?;
    match dump.next(link, &mut entry) {
        Ok(false) => Ok(None),
        Ok(true) => Ok(Some(entry)),
        // A refused filter is one that is not honoured; a disturbed dump says nothing. Neither is a reason to fail.
        Err(Error::Kernel { .. }) => Ok(None),
        Err(error) if error.is_transient() => Ok(None),
        Err(error) => Err(error),
    }
}
