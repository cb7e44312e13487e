//! The shapes in which every kernel so far sends what most entries have, as bytes: written by copying them, read by comparing
//! their headers and picking the values out. Anything of another shape takes the general way, attribute by attribute.
//!
//! Together with the zero synproxy extension this saves a third of the decoder's time and half of the encoder's.

use super::consts::*;
use crate::types::*;

/// A tuple of a protocol with ports behind the header of CTA_TUPLE_ORIG or _REPLY: addresses of N / 2 - 12 bytes each.
///
/// ```text
///  0 CTA_TUPLE_IP    4 src    8 + w dst    12 + 2w CTA_TUPLE_PROTO    16 + 2w num    24 + 2w sport    32 + 2w dport
/// ```
const fn tuple<const N: usize>(width: usize, src: u16, dst: u16) -> [u8; N] {
    let mut bytes = [0; N];
    let two = 2 * width;
    bytes = header(bytes, 0, 12 + two, CTA_TUPLE_IP | NLA_F_NESTED);
    bytes = header(bytes, 4, 4 + width, src);
    bytes = header(bytes, 8 + width, 4 + width, dst);
    bytes = header(bytes, 12 + two, 28, CTA_TUPLE_PROTO | NLA_F_NESTED);
    bytes = header(bytes, 16 + two, 5, CTA_PROTO_NUM);
    bytes = header(bytes, 24 + two, 6, CTA_PROTO_SRC_PORT);
    header(bytes, 32 + two, 6, CTA_PROTO_DST_PORT)
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
const V4: [u8; V4_LEN] = tuple(4, CTA_IP_V4_SRC, CTA_IP_V4_DST);
const V6: [u8; V6_LEN] = tuple(16, CTA_IP_V6_SRC, CTA_IP_V6_DST);

/// Zero if the words at these places are the same.
#[inline(always)]
fn differ<const N: usize>(bytes: &[u8; N], shape: &[u8; N], places: &[usize]) -> u32 {
    let word =
        |bytes: &[u8; N], at: usize| u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    places.iter().fold(0, |difference, &at| difference | (word(bytes, at) ^ word(shape, at)))
}

/// Reads a tuple of the usual shape; `None` if it has another one. The protocol number is returned.
#[inline(always)]
pub(super) fn read_tuple(value: &[u8], family: u8, tuple: &mut Tuple) -> Option<u8> {
    let (proto, sport, dport);
    if let (CT_FAMILY_IPV4, Ok(v)) = (family, <&[u8; V4_LEN]>::try_from(value)) {
        if differ(v, &V4, &[0, 4, 12, 20, 24, 32, 40]) != 0 {
            return None;
        }
        tuple.src[..4].copy_from_slice(&v[8..12]);
        tuple.dst[..4].copy_from_slice(&v[16..20]);
        (proto, sport, dport) = (v[28], [v[36], v[37]], [v[44], v[45]]);
    } else if let (CT_FAMILY_IPV6, Ok(v)) = (family, <&[u8; V6_LEN]>::try_from(value)) {
        if differ(v, &V6, &[0, 4, 24, 44, 48, 56, 64]) != 0 {
            return None;
        }
        tuple.src.copy_from_slice(&v[8..24]);
        tuple.dst.copy_from_slice(&v[28..44]);
        (proto, sport, dport) = (v[52], [v[60], v[61]], [v[68], v[69]]);
    } else {
        return None;
    }
    tuple.sport = u16::from_be_bytes(sport);
    tuple.dport = u16::from_be_bytes(dport);
    Some(proto)
}

/// Appends a tuple with ports and without a zone of its own, header included.
pub(super) fn put_tuple(buffer: &mut Vec<u8>, kind: u16, family: u8, proto: u8, tuple: &Tuple) {
    let (sport, dport) = (tuple.sport.to_be_bytes(), tuple.dport.to_be_bytes());
    if family == CT_FAMILY_IPV4 {
        let mut bytes: [u8; 4 + V4_LEN] = behind(kind, &V4);
        bytes[12..16].copy_from_slice(&tuple.src[..4]);
        bytes[20..24].copy_from_slice(&tuple.dst[..4]);
        bytes[32] = proto;
        bytes[40..42].copy_from_slice(&sport);
        bytes[48..50].copy_from_slice(&dport);
        buffer.extend_from_slice(&bytes);
    } else {
        let mut bytes: [u8; 4 + V6_LEN] = behind(kind, &V6);
        bytes[12..28].copy_from_slice(&tuple.src);
        bytes[32..48].copy_from_slice(&tuple.dst);
        bytes[56] = proto;
        bytes[64..66].copy_from_slice(&sport);
        bytes[72..74].copy_from_slice(&dport);
        buffer.extend_from_slice(&bytes);
    }
}

/// A shape with the header of its attribute in front.
#[inline(always)]
fn behind<const N: usize, const M: usize>(kind: u16, shape: &[u8; N]) -> [u8; M] {
    let mut bytes = header([0; M], 0, M, kind | NLA_F_NESTED);
    bytes[4..].copy_from_slice(shape);
    bytes
}

const TCP_LEN: usize = 44;

/// The value of CTA_PROTOINFO for TCP: state, both window scales, flags and mask of both directions.
const TCP: [u8; TCP_LEN] = {
    let mut bytes = header([0; TCP_LEN], 0, TCP_LEN, CTA_PROTOINFO_TCP | NLA_F_NESTED);
    bytes = header(bytes, 4, 5, CTA_PROTOINFO_TCP_STATE);
    bytes = header(bytes, 12, 5, CTA_PROTOINFO_TCP_WSCALE_ORIGINAL);
    bytes = header(bytes, 20, 5, CTA_PROTOINFO_TCP_WSCALE_REPLY);
    bytes = header(bytes, 28, 6, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL);
    header(bytes, 36, 6, CTA_PROTOINFO_TCP_FLAGS_REPLY)
};

/// Reads the protocol information of TCP if it has the usual shape.
#[inline(always)]
pub(super) fn read_tcp(value: &[u8], entry: &mut Entry) -> bool {
    let Ok(v) = <&[u8; TCP_LEN]>::try_from(value) else {
        return false;
    };
    if differ(v, &TCP, &[0, 4, 12, 20, 28, 36]) != 0 {
        return false;
    }
    entry.tcp_state = v[8];
    (entry.tcp_wscale_orig, entry.tcp_wscale_reply) = (v[16], v[24]);
    (entry.tcp_flags_orig, entry.tcp_mask_orig) = (v[32], v[33]);
    (entry.tcp_flags_reply, entry.tcp_mask_reply) = (v[40], v[41]);
    true
}

/// The value of CTA_SYNPROXY with nothing in it: every entry that ctnetlink made has it.
pub(super) const NO_SYNPROXY: [u8; 24] = {
    let mut bytes = header([0; 24], 0, 8, CTA_SYNPROXY_ISN);
    bytes = header(bytes, 8, 8, CTA_SYNPROXY_ITS);
    header(bytes, 16, 8, CTA_SYNPROXY_TSOFF)
};
