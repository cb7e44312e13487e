//! What the kernel is asked to filter by.
//!
//! In a dump it is a hint that saves work: every entry that comes back is looked at again. In a flush it decides, so a flush is
//! only built with a guard that makes kernels which do not know the filter refuse instead of flushing more.

use super::attr::{put, put_nested, put_slice};
use super::buffer::Buffer;
use super::consts::*;
use super::encode::{begin, end};
use crate::types::*;

/// A conjunction of what kernels can filter by.
///
/// ```
/// use ctnetlink::kernel_filter::{put_dump, KernelFilter, Side};
/// use ctnetlink::{types::address_bytes, buffer::Buffer, Family, Proto};
/// let service = Side { dst: Some(address_bytes([10, 96, 0, 10].into())), dport: Some(53), ..Side::default() };
/// let mut filter = KernelFilter {
///     family: Family::IPV4,
///     zone: Some(7),
///     proto: Some(Proto::UDP),
///     orig: service,
///     ..KernelFilter::default()
/// };
/// let mut request = Buffer::new();
/// put_dump(&mut request, 1, &filter);
///
/// // For a kernel before 5.8, which refuses filters by tuple; what it sends is to be compared with the rest.
/// assert!(filter.has_tuple());
/// filter.drop_tuple();
/// assert!(filter.is_more_than_family(), "the zone");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelFilter {
    /// UNSPEC: both.
    pub family: Family,
    /// The zone of both directions. 0: entries without any.
    pub zone: Option<u16>,
    /// The mask is not 0.
    pub mark: Option<Masked<u32>>,
    /// The mask is not 0.
    pub status: Option<Masked<u32>>,
    /// Both directions have it. Only with a family.
    pub proto: Option<Proto>,
    /// What the original direction has. Only with a family.
    pub orig: Side,
    /// What the reply direction has. Only with a family.
    pub reply: Side,
    /// Of the original direction. Only with ICMP or ICMPv6 as `proto`.
    pub icmp: (Option<u8>, Option<u8>, Option<u16>),
}

/// What is wanted of one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Side {
    /// Source address, as in [`Tuple`].
    pub src: Option<[u8; 16]>,
    /// Destination address.
    pub dst: Option<[u8; 16]>,
    /// Source port. Only with TCP or UDP as protocol.
    pub sport: Option<u16>,
    /// Destination port. Only with TCP or UDP as protocol.
    pub dport: Option<u16>,
}

impl KernelFilter {
    /// Whether it asks for more than a family, which every kernel honours in a dump.
    pub fn is_more_than_family(&self) -> bool {
        *self != KernelFilter { family: self.family, ..KernelFilter::default() }
    }

    /// Whether it needs CTA_FILTER.
    pub fn has_tuple(&self) -> bool {
        self.proto.is_some() || self.orig != Side::default() || self.reply != Side::default()
    }

    /// Leaves out what needs CTA_FILTER.
    pub fn drop_tuple(&mut self) {
        (self.proto, self.orig, self.reply, self.icmp) = (None, Side::default(), Side::default(), Default::default());
    }

    fn flags(&self, side: &Side, icmp: bool) -> u32 {
        let v6 = self.proto == Some(Proto::ICMPV6);
        let (icmp_type, icmp_code, icmp_id) = if v6 {
            (CTA_FILTER_F_PROTO_ICMPV6_TYPE, CTA_FILTER_F_PROTO_ICMPV6_CODE, CTA_FILTER_F_PROTO_ICMPV6_ID)
        } else {
            (CTA_FILTER_F_PROTO_ICMP_TYPE, CTA_FILTER_F_PROTO_ICMP_CODE, CTA_FILTER_F_PROTO_ICMP_ID)
        };
        [
            (CTA_FILTER_F_IP_SRC, side.src.is_some()),
            (CTA_FILTER_F_IP_DST, side.dst.is_some()),
            // The kernel wants the protocol wherever it gets a port (6.18: EINVAL).
            (CTA_FILTER_F_PROTO_NUM, self.proto.is_some()),
            (CTA_FILTER_F_PROTO_SRC_PORT, side.sport.is_some()),
            (CTA_FILTER_F_PROTO_DST_PORT, side.dport.is_some()),
            (icmp_type, icmp && self.icmp.0.is_some()),
            (icmp_code, icmp && self.icmp.1.is_some()),
            (icmp_id, icmp && self.icmp.2.is_some()),
        ]
        .iter()
        .fold(0, |flags, (bit, set)| if *set { flags | bit } else { flags })
    }

    /// Appends everything but the family, which is in the header.
    fn put(&self, buffer: &mut Buffer) {
        if self.has_tuple() {
            self.put_tuple(buffer, CTA_TUPLE_ORIG, &self.orig, true);
            let reply = self.reply != Side::default();
            if reply {
                self.put_tuple(buffer, CTA_TUPLE_REPLY, &self.reply, false);
            }
            put_nested(buffer, CTA_FILTER, |buffer| {
                // The one number of ctnetlink in host byte order.
                put(buffer, CTA_FILTER_ORIG_FLAGS, &self.flags(&self.orig, true).to_ne_bytes());
                if reply {
                    put(buffer, CTA_FILTER_REPLY_FLAGS, &self.flags(&self.reply, false).to_ne_bytes());
                }
            });
        }
        self.put_meta(buffer);
    }

    fn put_meta(&self, buffer: &mut Buffer) {
        if let Some(zone) = self.zone {
            put(buffer, CTA_ZONE, &zone.to_be_bytes());
        }
        for (masked, value, mask) in [(self.mark, CTA_MARK, CTA_MARK_MASK), (self.status, CTA_STATUS, CTA_STATUS_MASK)]
        {
            if let Some(masked) = masked {
                put(buffer, value, &masked.value.to_be_bytes());
                put(buffer, mask, &masked.mask.to_be_bytes());
            }
        }
    }

    fn put_tuple(&self, buffer: &mut Buffer, kind: u16, side: &Side, icmp: bool) {
        put_nested(buffer, kind, |buffer| {
            put_nested(buffer, CTA_TUPLE_IP, |buffer| {
                let (src, dst, width) = match self.family {
                    Family::IPV4 => (CTA_IP_V4_SRC, CTA_IP_V4_DST, 4),
                    _ => (CTA_IP_V6_SRC, CTA_IP_V6_DST, 16),
                };
                for (kind, address) in [(src, &side.src), (dst, &side.dst)] {
                    if let Some(address) = address {
                        put_slice(buffer, kind, &address[..width]);
                    }
                }
            });
            put_nested(buffer, CTA_TUPLE_PROTO, |buffer| self.put_proto(buffer, side, icmp));
        });
    }

    fn put_proto(&self, buffer: &mut Buffer, side: &Side, icmp: bool) {
        let Some(proto) = self.proto else { return };
        put(buffer, CTA_PROTO_NUM, &[proto.0]);
        for (kind, port) in [(CTA_PROTO_SRC_PORT, side.sport), (CTA_PROTO_DST_PORT, side.dport)] {
            if let Some(port) = port {
                put(buffer, kind, &port.to_be_bytes());
            }
        }
        if !icmp {
            return;
        }
        let (id, icmp_type, code) = match proto {
            Proto::ICMP => (CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE),
            _ => (CTA_PROTO_ICMPV6_ID, CTA_PROTO_ICMPV6_TYPE, CTA_PROTO_ICMPV6_CODE),
        };
        if let Some(value) = self.icmp.2 {
            put(buffer, id, &value.to_be_bytes());
        }
        for (kind, value) in [(icmp_type, self.icmp.0), (code, self.icmp.1)] {
            if let Some(value) = value {
                put(buffer, kind, &[value]);
            }
        }
    }
}

/// A dump of what the filter lets through, or of more: by kernels that do not know all of it. [`KernelFilter`] has an example.
///
/// ```
/// use ctnetlink::kernel_filter::{put_dump, KernelFilter};
/// // Everything.
/// let mut request = ctnetlink::buffer::Buffer::new();
/// put_dump(&mut request, 1, &KernelFilter::default());
/// ```
pub fn put_dump(buffer: &mut Buffer, seq: u32, filter: &KernelFilter) {
    let start = begin(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, seq, filter.family, 0);
    filter.put(buffer);
    end(buffer, start);
}

/// A flush of exactly what the filter lets through, by kernels that can; others refuse it (ENOENT or EOPNOTSUPP).
///
/// ```
/// use ctnetlink::kernel_filter::{put_guarded_flush, KernelFilter};
/// let mut request = ctnetlink::buffer::Buffer::new();
/// put_guarded_flush(&mut request, 1, &KernelFilter { zone: Some(7), ..KernelFilter::default() });
/// ```
///
/// # Panics
///
/// If the filter is empty, since that would be a flush of everything, or has a tuple.
///
/// # How
///
/// A complete tuple that no entry can have comes first: kernels before 6.12 take it for what is to
/// be deleted, find nothing and answer ENOENT; later ones see CTA_FILTER, whose flags are all clear, and do not look at the
/// tuple (ctnetlink_del_conntrack()).
pub fn put_guarded_flush(buffer: &mut Buffer, seq: u32, filter: &KernelFilter) {
    assert!(*filter != KernelFilter::default() && !filter.has_tuple(), "no filter for a guarded flush");
    let start = begin(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, seq, filter.family, 1);
    if mutant!("guard-in-message", true, false) {
        put_impossible_tuple(buffer, filter.family);
        put_nested(buffer, CTA_FILTER, |_| {});
    }
    filter.put_meta(buffer);
    // Should anybody have made such an entry after all: this is not its id. A flush does not look at ids.
    mutant!("guard-has-an-id", put(buffer, CTA_ID, &u32::MAX.to_be_bytes()), ());
    end(buffer, start);
}

/// A flush of what a filter with a tuple lets through. Only where the kernel was measured to flush by CTA_FILTER (then the
/// tuple is a filter and not a key), and to honour all else that the filter has.
///
/// ```
/// use ctnetlink::kernel_filter::{put_tuple_flush, FlushFilterProven, KernelFilter};
/// use ctnetlink::{buffer::Buffer, Family, Proto};
/// let filter = KernelFilter { family: Family::IPV4, proto: Some(Proto::UDP), ..KernelFilter::default() };
/// let mut request = Buffer::new();
/// // By probe::put_flush().
/// let proven = FlushFilterProven;
/// put_tuple_flush(&mut request, 1, &filter, proven);
/// ```
///
/// # Panics
///
/// If the filter has no tuple.
pub fn put_tuple_flush(buffer: &mut Buffer, seq: u32, filter: &KernelFilter, _: FlushFilterProven) {
    assert!(filter.has_tuple(), "no tuple to flush by");
    let start = begin(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, seq, filter.family, 1);
    filter.put(buffer);
    end(buffer, start);
}

/// This kernel was measured to flush by CTA_FILTER.
#[derive(Clone, Copy, Debug)]
pub struct FlushFilterProven;

/// 0.0.0.0:0 -> 0.0.0.0:0 (or ::), protocol 0.
fn put_impossible_tuple(buffer: &mut Buffer, family: Family) {
    put_nested(buffer, CTA_TUPLE_ORIG, |buffer| {
        put_nested(buffer, CTA_TUPLE_IP, |buffer| {
            if family == Family::IPV6 {
                put(buffer, CTA_IP_V6_SRC, &[0; 16]);
                put(buffer, CTA_IP_V6_DST, &[0; 16]);
            } else {
                put(buffer, CTA_IP_V4_SRC, &[0; 4]);
                put(buffer, CTA_IP_V4_DST, &[0; 4]);
            }
        });
        put_nested(buffer, CTA_TUPLE_PROTO, |buffer| put(buffer, CTA_PROTO_NUM, &[0]));
    });
}

/// Requests that ask a kernel what it knows, without any that could delete. Each has two answers; which one it is says whether the
/// kernel filters by that.
///
/// ```
/// use ctnetlink::{buffer::Buffer, kernel_filter::probe};
/// let mut request = Buffer::new();
/// probe::put_zone(&mut request, 1);
/// request.clear();
/// probe::put_status(&mut request, 2);
/// request.clear();
/// probe::put_tuple(&mut request, 3);
/// request.clear();
/// probe::put_flush(&mut request, 4);
/// ```
pub mod probe {
    use super::*;

    /// A dump that a kernel refuses at once (EINVAL) if it filters by zone: MARK_MASK without MARK is only looked at when there
    /// is a filter to build, and a zone makes one since 6.8.
    pub fn put_zone(buffer: &mut Buffer, seq: u32) {
        let start = begin(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, seq, Family::UNSPEC, 0);
        put(buffer, CTA_ZONE, &[0; 2]);
        put(buffer, CTA_MARK_MASK, &1u32.to_be_bytes());
        end(buffer, start);
    }

    /// The same for the status (5.15): a status of 0 without a mask is refused.
    pub fn put_status(buffer: &mut Buffer, seq: u32) {
        let start = begin(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, seq, Family::UNSPEC, 0);
        put(buffer, CTA_STATUS, &[0; 4]);
        end(buffer, start);
    }

    /// The same for CTA_FILTER in a dump (5.8): flags without a tuple are refused.
    pub fn put_tuple(buffer: &mut Buffer, seq: u32) {
        let start = begin(buffer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, seq, Family::UNSPEC, 0);
        put_nested(buffer, CTA_FILTER, |buffer| put(buffer, CTA_FILTER_ORIG_FLAGS, &CTA_FILTER_F_IP_SRC.to_ne_bytes()));
        end(buffer, start);
    }

    /// A DELETE that no kernel carries out: those that flush by CTA_FILTER (6.12) refuse a port without a protocol (EINVAL), all
    /// others look for an entry with an impossible tuple and id (ENOENT).
    pub fn put_flush(buffer: &mut Buffer, seq: u32) {
        let start = begin(buffer, IPCTNL_MSG_CT_DELETE, NLM_F_ACK, seq, Family::IPV4, 1);
        put_impossible_tuple(buffer, Family::IPV4);
        put_nested(buffer, CTA_FILTER, |buffer| {
            put(buffer, CTA_FILTER_ORIG_FLAGS, &CTA_FILTER_F_PROTO_SRC_PORT.to_ne_bytes());
        });
        mutant!("probe-has-an-id", put(buffer, CTA_ID, &u32::MAX.to_be_bytes()), ());
        end(buffer, start);
    }
}
