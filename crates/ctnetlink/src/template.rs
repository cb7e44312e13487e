//! The shapes in which every kernel so far sends what most entries have, as bytes: written by copying them, read by comparing
//! their headers and picking the values out. Anything of another shape takes the general way, attribute by attribute.
//!
//! Together with the zero synproxy extension this saves a third of the decoder's time and half of the encoder's.

use super::buffer::Buffer;
use super::consts::*;
use crate::types::*;

/// A tuple behind the header of CTA_TUPLE_ORIG or _REPLY, with addresses of `width` bytes each, of a protocol that has the numbers
/// `own`: their lengths and types.
///
/// ```text
///  0 CTA_TUPLE_IP    4 src    8 + w dst    12 + 2w CTA_TUPLE_PROTO    16 + 2w num    24 + 2w, 32 + 2w ... own
/// ```
const fn tuple<const N: usize>(width: usize, src: u16, dst: u16, own: &[(usize, u16)]) -> [u8; N] {
    let mut bytes = [0; N];
    let two = 2 * width;
    bytes = header(bytes, 0, 12 + two, CTA_TUPLE_IP | NLA_F_NESTED);
    bytes = header(bytes, 4, 4 + width, src);
    bytes = header(bytes, 8 + width, 4 + width, dst);
    bytes = header(bytes, 12 + two, 12 + 8 * own.len(), CTA_TUPLE_PROTO | NLA_F_NESTED);
    bytes = header(bytes, 16 + two, 5, CTA_PROTO_NUM);
    let mut n = 0;
    while n < own.len() {
        bytes = header(bytes, 24 + two + 8 * n, 4 + own[n].0, own[n].1);
        n += 1;
    }
    bytes
}

const fn header<const N: usize>(mut bytes: [u8; N], at: usize, length: usize, kind: u16) -> [u8; N] {
    let length = (length as u16).to_ne_bytes();
    let kind = kind.to_ne_bytes();
    bytes[at] = length[0];
    bytes[at + 1] = length[1];
    bytes[at + 2] = kind[0];
    bytes[at + 3] = kind[1];
    bytes
}

const V4_LEN: usize = 48;
const V6_LEN: usize = 72;
const ICMP_LEN: usize = V4_LEN + 8;
const ICMPV6_LEN: usize = V6_LEN + 8;
const PORTS: [(usize, u16); 2] = [(2, CTA_PROTO_SRC_PORT), (2, CTA_PROTO_DST_PORT)];
const V4: [u8; V4_LEN] = tuple(4, CTA_IP_V4_SRC, CTA_IP_V4_DST, &PORTS);
const V6: [u8; V6_LEN] = tuple(16, CTA_IP_V6_SRC, CTA_IP_V6_DST, &PORTS);
const ICMP: [u8; ICMP_LEN] = tuple(
    4,
    CTA_IP_V4_SRC,
    CTA_IP_V4_DST,
    &[(2, CTA_PROTO_ICMP_ID), (1, CTA_PROTO_ICMP_TYPE), (1, CTA_PROTO_ICMP_CODE)],
);
const ICMPV6: [u8; ICMPV6_LEN] = tuple(
    16,
    CTA_IP_V6_SRC,
    CTA_IP_V6_DST,
    &[(2, CTA_PROTO_ICMPV6_ID), (1, CTA_PROTO_ICMPV6_TYPE), (1, CTA_PROTO_ICMPV6_CODE)],
);

/// Where the headers are; tuples of ICMP have the last one too.
const V4_HEADERS: [usize; 8] = [0, 4, 12, 20, 24, 32, 40, 48];
const V6_HEADERS: [usize; 8] = [0, 4, 24, 44, 48, 56, 64, 72];

/// Zero if the words at these places are the same.
#[inline(always)]
fn differ<const N: usize>(bytes: &[u8; N], shape: &[u8; N], places: &[usize]) -> u32 {
    let word =
        |bytes: &[u8; N], at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    places.iter().fold(0, |difference, &at| difference | (word(bytes, at) ^ word(shape, at)))
}

/// Reads a tuple with ports of the usual shape; `None` if it has another one. The protocol is returned.
#[inline(always)]
pub(crate) fn read_tuple(value: &[u8], family: Family, tuple: &mut Tuple) -> Option<Proto> {
    match family {
        Family::IPV4 => {
            let v = value.try_into().ok()?;
            (differ(v, &V4, &V4_HEADERS[..7]) == 0).then(|| pick_v4(v, tuple))
        }
        Family::IPV6 => {
            let v = value.try_into().ok()?;
            (differ(v, &V6, &V6_HEADERS[..7]) == 0).then(|| pick_v6(v, tuple))
        }
        _ => None,
    }
}

#[inline(always)]
fn pick_v4(v: &[u8; V4_LEN], tuple: &mut Tuple) -> Proto {
    tuple.src[..4].copy_from_slice(&v[8..12]);
    tuple.dst[..4].copy_from_slice(&v[16..20]);
    tuple.sport = u16::from_be_bytes([v[36], v[37]]);
    tuple.dport = u16::from_be_bytes([v[44], v[45]]);
    Proto(v[28])
}

#[inline(always)]
fn pick_v6(v: &[u8; V6_LEN], tuple: &mut Tuple) -> Proto {
    tuple.src.copy_from_slice(&v[8..24]);
    tuple.dst.copy_from_slice(&v[28..44]);
    tuple.sport = u16::from_be_bytes([v[60], v[61]]);
    tuple.dport = u16::from_be_bytes([v[68], v[69]]);
    Proto(v[52])
}

/// The shape of a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    V4,
    V6,
    Icmp,
    Icmpv6,
}

impl Form {
    /// The shape of the tuple with which `value` begins.
    pub fn of(family: Family, value: &[u8]) -> Option<Form> {
        fn begins<const N: usize>(value: &[u8], shape: &[u8; N], headers: &[usize]) -> bool {
            value.first_chunk().is_some_and(|value| differ(value, shape, headers) == 0)
        }
        match family {
            Family::IPV4 if begins(value, &V4, &V4_HEADERS[..7]) => Some(Form::V4),
            Family::IPV4 if begins(value, &ICMP, &V4_HEADERS) => Some(Form::Icmp),
            Family::IPV6 if begins(value, &V6, &V6_HEADERS[..7]) => Some(Form::V6),
            Family::IPV6 if begins(value, &ICMPV6, &V6_HEADERS) => Some(Form::Icmpv6),
            _ => None,
        }
    }

    pub fn family(self) -> Family {
        match self {
            Form::V4 | Form::Icmp => Family::IPV4,
            Form::V6 | Form::Icmpv6 => Family::IPV6,
        }
    }

    /// The length of such a tuple.
    pub fn length(self) -> usize {
        match self {
            Form::V4 => V4_LEN,
            Form::V6 => V6_LEN,
            Form::Icmp => ICMP_LEN,
            Form::Icmpv6 => ICMPV6_LEN,
        }
    }

    /// Where its headers are.
    pub fn headers(self) -> &'static [usize] {
        match self {
            Form::V4 => &V4_HEADERS[..7],
            Form::V6 => &V6_HEADERS[..7],
            Form::Icmp => &V4_HEADERS,
            Form::Icmpv6 => &V6_HEADERS,
        }
    }

    /// Reads a tuple that has this shape into an empty one. The protocol is returned.
    #[inline(always)]
    pub fn read(self, value: &[u8], tuple: &mut Tuple) -> Option<Proto> {
        match self {
            Form::V4 => Some(pick_v4(value.first_chunk()?, tuple)),
            Form::V6 => Some(pick_v6(value.first_chunk()?, tuple)),
            Form::Icmp => {
                let v: &[u8; ICMP_LEN] = value.first_chunk()?;
                let proto = pick_v4(v.first_chunk()?, tuple);
                (tuple.icmp_id, tuple.icmp_type, tuple.icmp_code) = (tuple.sport, v[44], v[52]);
                (tuple.sport, tuple.dport) = (0, 0);
                Some(proto)
            }
            Form::Icmpv6 => {
                let v: &[u8; ICMPV6_LEN] = value.first_chunk()?;
                let proto = pick_v6(v.first_chunk()?, tuple);
                (tuple.icmp_id, tuple.icmp_type, tuple.icmp_code) = (tuple.sport, v[68], v[76]);
                (tuple.sport, tuple.dport) = (0, 0);
                Some(proto)
            }
        }
    }
}

/// Appends a tuple with ports and without a zone of its own, header included.
pub(crate) fn put_tuple(buffer: &mut Buffer, kind: u16, family: Family, proto: Proto, tuple: &Tuple) {
    let (sport, dport) = (tuple.sport.to_be_bytes(), tuple.dport.to_be_bytes());
    if family == Family::IPV4 {
        let value = append(buffer, kind, &V4);
        value[8..12].copy_from_slice(&tuple.src[..4]);
        value[16..20].copy_from_slice(&tuple.dst[..4]);
        value[28] = proto.0;
        value[36..38].copy_from_slice(&sport);
        value[44..46].copy_from_slice(&dport);
    } else {
        let value = append(buffer, kind, &V6);
        value[8..24].copy_from_slice(&tuple.src);
        value[28..44].copy_from_slice(&tuple.dst);
        value[52] = proto.0;
        value[60..62].copy_from_slice(&sport);
        value[68..70].copy_from_slice(&dport);
    }
}

/// Appends an attribute with a shape for its value, and returns the value.
#[inline(always)]
fn append<'a, const N: usize>(buffer: &'a mut Buffer, kind: u16, shape: &[u8; N]) -> &'a mut [u8] {
    let (first, value) = buffer.append(4 + N).split_at_mut(4);
    first.copy_from_slice(&header::<4>([0; 4], 0, 4 + N, kind | NLA_F_NESTED));
    value.copy_from_slice(shape);
    value
}

pub(crate) const TCP_LEN: usize = 44;

/// The value of CTA_PROTOINFO for TCP: state, both window scales, flags and mask of both directions.
const TCP: [u8; TCP_LEN] = {
    let mut bytes = header([0; TCP_LEN], 0, TCP_LEN, CTA_PROTOINFO_TCP | NLA_F_NESTED);
    bytes = header(bytes, 4, 5, CTA_PROTOINFO_TCP_STATE);
    bytes = header(bytes, 12, 5, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL);
    bytes = header(bytes, 20, 5, CTA_PROTOINFO_TCP_WSCALE_REPLY);
    bytes = header(bytes, 28, 6, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL);
    header(bytes, 36, 6, CTA_PROTOINFO_TCP_FLAGS_REPLY)
};

/// Where its headers are.
pub(crate) const TCP_HEADERS: [usize; 6] = [0, 4, 12, 20, 28, 36];

/// The protocol information of TCP if it has the usual shape.
#[inline(always)]
pub(crate) fn tcp(value: &[u8]) -> Option<&[u8; TCP_LEN]> {
    let v = value.try_into().ok()?;
    (differ(v, &TCP, &TCP_HEADERS) == 0).then_some(v)
}

/// Reads it.
#[inline(always)]
pub(crate) fn read_tcp(v: &[u8; TCP_LEN], entry: &mut Entry) {
    entry.tcp_state = TcpState(v[8]);
    (entry.tcp_wscale_orig, entry.tcp_wscale_reply) = (v[16], v[24]);
    (entry.tcp_flags_orig, entry.tcp_mask_orig) = (v[32], v[33]);
    (entry.tcp_flags_reply, entry.tcp_mask_reply) = (v[40], v[41]);
}

/// The value of CTA_SYNPROXY with nothing in it: every entry that ctnetlink made has it.
pub(crate) const NO_SYNPROXY: [u8; 24] = {
    let mut bytes = header([0; 24], 0, 8, CTA_SYNPROXY_ISN);
    bytes = header(bytes, 8, 8, CTA_SYNPROXY_ITS);
    header(bytes, 16, 8, CTA_SYNPROXY_TSOFF)
};

pub(crate) const COUNTERS_LEN: usize = 24;

/// The value of CTA_COUNTERS_ORIG or _REPLY.
const COUNTERS: [u8; COUNTERS_LEN] = {
    let bytes = header([0; COUNTERS_LEN], 0, 12, CTA_COUNTERS_PACKETS);
    header(bytes, 12, 12, CTA_COUNTERS_BYTES)
};

/// Where its headers are.
pub(crate) const COUNTERS_HEADERS: [usize; 2] = [0, 12];

/// The counters if they have the usual shape.
#[inline(always)]
pub(crate) fn counters(value: &[u8]) -> Option<&[u8; COUNTERS_LEN]> {
    let v = value.try_into().ok()?;
    (differ(v, &COUNTERS, &COUNTERS_HEADERS) == 0).then_some(v)
}

/// Reads them.
#[inline(always)]
pub(crate) fn read_counters(v: &[u8; COUNTERS_LEN]) -> Counters {
    let number = |at: usize| v[at..].first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    Counters { packets: number(4), bytes: number(16) }
}
