//! What kernels filter dumps and flushes by: read off the attributes and compared field by field, by code that shares nothing with
//! the library. What is not honoured is not looked at, as old kernels do.

use super::*;

const TUPLE: [u16; 2] = [1, 2];
const STATUS: u16 = 3;
const MARK: u16 = 8;
const ZONE: u16 = 18;
const MARK_MASK: u16 = 21;
const FILTER: u16 = 25;
const STATUS_MASK: u16 = 26;

pub const F_IP_SRC: u32 = 1 << 0;
const F_IP_DST: u32 = 1 << 1;
const F_PROTO: u32 = 1 << 3;
const F_SPORT: u32 = 1 << 4;
const F_DPORT: u32 = 1 << 5;
/// Type, code and id of ICMP; those of ICMPv6 are three bits higher.
const F_ICMP: [u32; 3] = [1 << 6, 1 << 7, 1 << 8];
const F_ALL: u32 = (1 << 12) - 1;

/// What a kernel filters by. The default is one that knows nothing but families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Honours {
    pub mark: bool,
    pub status: bool,
    pub zone: bool,
    /// CTA_FILTER in a dump.
    pub tuple: bool,
    /// Addresses of IPv6 the right way round: else they let through all others.
    pub ipv6: bool,
    /// CTA_FILTER in a flush.
    pub flush: bool,
    /// It understands filters, as the probes see, and yet refuses to dump by any.
    pub refuses: bool,
    /// Zone 0 is every zone to it: the mend of that was not taken over with the filter by zone.
    pub zone_0_is_all: bool,
}

impl Honours {
    /// All that the newest kernels honour.
    pub const ALL: Honours = Honours {
        mark: true,
        status: true,
        zone: true,
        tuple: true,
        ipv6: true,
        flush: true,
        refuses: false,
        zone_0_is_all: false,
    };
}

/// A filter as a kernel understands it. `None`: it does not look at that.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    pub family: Family,
    pub zone: Option<u16>,
    /// Value and mask.
    pub mark: Option<(u32, u32)>,
    pub status: Option<(u32, u32)>,
    pub orig: Side,
    pub reply: Side,
    /// Whether addresses of IPv6 are compared the right way round.
    ipv6: bool,
}

/// The flagged fields of a tuple.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    pub flags: u32,
    pub proto: Proto,
    pub tuple: Option<Tuple>,
}

/// Whether a request has CTA_FILTER.
pub fn has_filter(request: &Request) -> bool {
    attrs(&request.payload[4..]).iter().any(|(kind, _)| kind & !NESTED == FILTER)
}

/// Whether a dump only asks what the kernel knows: it names what every kernel that looks at it refuses.
pub fn is_probe(request: &Request) -> bool {
    let kinds: Vec<u16> = attrs(&request.payload[4..]).iter().map(|(kind, _)| kind & !NESTED).collect();
    let has = |kind| kinds.contains(&kind);
    request.flags & F_DUMP == F_DUMP
        && (has(MARK_MASK) && !has(MARK) || has(STATUS) && !has(STATUS_MASK) || has(FILTER) && !has(1) && !has(2))
}

impl Wanted {
    /// The filter of a request to this kernel, or the errno with which it refuses it.
    pub fn read(honours: Honours, request: &Request) -> Result<Wanted, i32> {
        let attributes = attrs(&request.payload[4..]);
        let find = |kind: u16| attributes.iter().find(|(found, _)| found & !NESTED == kind);
        let word = |kind: u16| find(kind).map(|(_, value)| u32::from_be_bytes(value.as_slice().try_into().unwrap()));
        let mut wanted = Wanted { family: Family(request.payload[0]), ipv6: honours.ipv6, ..Wanted::default() };
        let filter = find(FILTER).filter(|_| honours.tuple || honours.flush && request.kind == DELETE);
        let built = wanted.family != Family::UNSPEC
            || honours.mark && find(MARK).is_some()
            || honours.status && find(STATUS).is_some()
            || honours.zone && find(ZONE).is_some()
            || filter.is_some();
        if !built {
            return Ok(wanted);
        }
        if honours.mark {
            wanted.mark = match (word(MARK), word(MARK_MASK)) {
                (Some(value), mask) => Some((value, mask.unwrap_or(u32::MAX))),
                (None, Some(_)) => return Err(libc::EINVAL),
                (None, None) => None,
            };
        }
        if honours.status {
            wanted.status = match (word(STATUS), word(STATUS_MASK)) {
                (Some(value), mask) if mask.unwrap_or(value) != 0 => Some((value, mask.unwrap_or(value))),
                (None, None) => None,
                _ => return Err(libc::EINVAL),
            };
        }
        if honours.zone {
            wanted.zone = find(ZONE).map(|(_, value)| u16::from_be_bytes([value[0], value[1]]));
            wanted.zone = wanted.zone.filter(|zone| *zone != 0 || !honours.zone_0_is_all);
        }
        if let Some((kind, value)) = filter {
            if kind & NESTED == 0 {
                return Err(libc::EINVAL);
            }
            for (kind, flags) in attrs(value) {
                // In the byte order of the host.
                let flags = u32::from_ne_bytes(flags.as_slice().try_into().unwrap());
                let (side, tuple) = match kind {
                    1 => (&mut wanted.orig, find(TUPLE[0])),
                    2 => (&mut wanted.reply, find(TUPLE[1])),
                    _ => return Err(libc::EINVAL),
                };
                *side = read_side(wanted.family, flags, tuple.map(|(_, value)| value.as_slice()))?;
            }
        }
        Ok(wanted)
    }

    pub fn is_more_than_family(&self) -> bool {
        self.zone.is_some() || self.mark.is_some() || self.status.is_some() || self.orig.flags | self.reply.flags != 0
    }

    /// Whether this is asked of the kernel to see how it compares addresses of IPv6: who comes from an address that nobody has.
    pub fn is_from_nobody(&self) -> bool {
        let src = self.orig.tuple.map(|tuple| tuple.src);
        self.family == Family::IPV6 && self.orig.flags == F_IP_SRC && src == Some([0; 16])
    }

    /// Whether the entry passes.
    pub fn lets_through(&self, entry: &Entry) -> bool {
        if self.family != Family::UNSPEC && self.family != entry.family {
            return false;
        }
        // Whatever its direction is; 0 is none at all.
        if self.zone.is_some_and(|zone| u32::from(zone) != entry.zone) {
            return false;
        }
        if self.mark.is_some_and(|(value, mask)| entry.mark & mask != value) {
            return false;
        }
        if self.status.is_some_and(|(value, mask)| entry.status.bits() & mask != value) {
            return false;
        }
        self.side_passes(&self.orig, entry, &entry.orig) && self.side_passes(&self.reply, entry, &entry.reply)
    }

    fn side_passes(&self, side: &Side, entry: &Entry, has: &Tuple) -> bool {
        let Some(asked) = side.tuple else { return true };
        for (flag, asked, has) in [(F_IP_SRC, asked.src, has.src), (F_IP_DST, asked.dst, has.dst)] {
            let inverted = entry.family == Family::IPV6 && !self.ipv6;
            if side.flags & flag != 0 && (asked == has) == inverted {
                return false;
            }
        }
        if side.flags & F_PROTO == 0 {
            return true;
        }
        if side.proto != entry.proto {
            return false;
        }
        match entry.proto {
            Proto::TCP | Proto::UDP => {
                (side.flags & F_SPORT == 0 || asked.sport == has.sport)
                    && (side.flags & F_DPORT == 0 || asked.dport == has.dport)
            }
            Proto::ICMP | Proto::ICMPV6 => {
                let [icmp_type, code, id] = F_ICMP.map(|flag| side.flags & flag << icmp_shift(entry.proto) != 0);
                (!icmp_type || asked.icmp_type == has.icmp_type)
                    && (!code || asked.icmp_code == has.icmp_code)
                    && (!id || asked.icmp_id == has.icmp_id)
            }
            // Ports of others are taken and not looked at.
            _ => true,
        }
    }
}

fn icmp_shift(proto: Proto) -> u32 {
    if proto == Proto::ICMPV6 {
        3
    } else {
        0
    }
}

fn read_side(family: Family, flags: u32, tuple: Option<&[u8]>) -> Result<Side, i32> {
    if flags == 0 {
        return Ok(Side::default());
    }
    let tuple = tuple.ok_or(libc::EINVAL)?;
    if flags & !F_ALL != 0 {
        return Err(libc::EINVAL);
    }
    if family != Family::IPV4 && family != Family::IPV6 {
        return Err(libc::EOPNOTSUPP);
    }
    let icmp: u32 = F_ICMP.iter().map(|flag| flag | flag << 3).sum();
    if flags & (F_SPORT | F_DPORT | icmp) != 0 && flags & F_PROTO == 0 {
        return Err(libc::EINVAL);
    }
    let has = |group: u16, kinds: &[u16]| {
        let found = attrs(tuple).into_iter().find(|(kind, _)| kind & !NESTED == group);
        found.is_some_and(|(_, parts)| attrs(&parts).iter().any(|(kind, _)| kinds.contains(kind)))
    };
    let v6 = family == Family::IPV6;
    for (flag, group, kinds) in [
        (F_IP_SRC, 1, [if v6 { 3 } else { 1 }]),
        (F_IP_DST, 1, [if v6 { 4 } else { 2 }]),
        (F_PROTO, 2, [1]),
        (F_SPORT, 2, [2]),
        (F_DPORT, 2, [3]),
        (F_ICMP[2], 2, [4]),
        (F_ICMP[0], 2, [5]),
        (F_ICMP[1], 2, [6]),
        (F_ICMP[2] << 3, 2, [7]),
        (F_ICMP[0] << 3, 2, [8]),
        (F_ICMP[1] << 3, 2, [9]),
    ] {
        if flags & flag != 0 && !has(group, &kinds) {
            return Err(libc::EINVAL);
        }
    }
    let (proto, tuple) = parse_tuple(tuple);
    Ok(Side { flags, proto, tuple: Some(tuple) })
}
