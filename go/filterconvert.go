// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

/*
#include <ctrack.h>
*/
import "C"

import (
	"fmt"
	"net/netip"
)

// encodeFilters makes what the library takes of filters.
func encodeFilters(op string, filters []Filter) ([]C.struct_ct_filter, error) {
	raw := make([]C.struct_ct_filter, len(filters))
	for i := range filters {
		if wrong := encodeFilter(&raw[i], &filters[i]); wrong != nil {
			return nil, wrong.in(op, fmt.Sprintf("filter[%d]", i))
		}
	}
	return raw, nil
}

// encodeFilter writes one filter. As for entries, the library says what is wrong with what can be said to it.
func encodeFilter(raw *C.struct_ct_filter, f *Filter) *fault {
	raw.size = C.sizeof_struct_ct_filter
	if f.refused != "" {
		return &fault{"", f.refused}
	}
	if f.Exclude {
		raw.flags |= C.CT_FILTER_EXCLUDE
	}
	family, wrong := f.family()
	if wrong != nil {
		return wrong
	}
	if value, set := family.Get(); set {
		raw.match |= C.CT_MATCH_FAMILY
		raw.family = C.uint8_t(value)
	}
	if value, set := f.Proto.Get(); set {
		raw.match |= C.CT_MATCH_PROTO
		raw.proto = C.uint8_t(value)
	}
	if value, set := f.Zone.Get(); set {
		raw.match |= C.CT_MATCH_ZONE
		raw.zone = C.uint32_t(value)
	}
	if value, set := f.OrigZone.Get(); set {
		raw.match |= C.CT_MATCH_ORIG_ZONE
		raw.orig_zone = C.uint32_t(value)
	}
	if value, set := f.ReplyZone.Get(); set {
		raw.match |= C.CT_MATCH_REPLY_ZONE
		raw.reply_zone = C.uint32_t(value)
	}
	if value, set := f.ID.Get(); set {
		raw.match |= C.CT_MATCH_ID
		raw.id = C.uint32_t(value)
	}
	if value, set := f.Mark.Get(); set {
		raw.match |= C.CT_MATCH_MARK
		raw.mark, raw.mark_mask = C.uint32_t(value.Value), C.uint32_t(value.Mask)
	}
	if f.StatusSet|f.StatusClear != 0 {
		raw.match |= C.CT_MATCH_STATUS
		raw.status_set, raw.status_clear = C.uint32_t(f.StatusSet), C.uint32_t(f.StatusClear)
	}
	encodePrefix(raw, f.OrigSrc, C.CT_MATCH_ORIG_SRC, &raw.orig_src, &raw.orig_src_prefix)
	encodePrefix(raw, f.OrigDst, C.CT_MATCH_ORIG_DST, &raw.orig_dst, &raw.orig_dst_prefix)
	encodePrefix(raw, f.ReplySrc, C.CT_MATCH_REPLY_SRC, &raw.reply_src, &raw.reply_src_prefix)
	encodePrefix(raw, f.ReplyDst, C.CT_MATCH_REPLY_DST, &raw.reply_dst, &raw.reply_dst_prefix)
	encodePorts(raw, f.OrigSrcPort, C.CT_MATCH_ORIG_SPORT, &raw.orig_sport_first, &raw.orig_sport_last)
	encodePorts(raw, f.OrigDstPort, C.CT_MATCH_ORIG_DPORT, &raw.orig_dport_first, &raw.orig_dport_last)
	encodePorts(raw, f.ReplySrcPort, C.CT_MATCH_REPLY_SPORT, &raw.reply_sport_first, &raw.reply_sport_last)
	encodePorts(raw, f.ReplyDstPort, C.CT_MATCH_REPLY_DPORT, &raw.reply_dport_first, &raw.reply_dport_last)
	return encodeDetails(raw, f)
}

// encodeDetails writes what only some protocols have, labels and helper.
func encodeDetails(raw *C.struct_ct_filter, f *Filter) *fault {
	if value, set := f.ICMPType.Get(); set {
		raw.match |= C.CT_MATCH_ICMP_TYPE
		raw.icmp_type = C.uint8_t(value)
	}
	if value, set := f.ICMPCode.Get(); set {
		raw.match |= C.CT_MATCH_ICMP_CODE
		raw.icmp_code = C.uint8_t(value)
	}
	if value, set := f.ICMPID.Get(); set {
		raw.match |= C.CT_MATCH_ICMP_ID
		raw.icmp_id = C.uint16_t(value)
	}
	if value, set := f.TCPStates.Get(); set {
		raw.match |= C.CT_MATCH_TCP_STATES
		raw.tcp_states = C.uint16_t(value)
	}
	if value, set := f.Labels.Get(); set {
		raw.match |= C.CT_MATCH_LABELS
		*plain(&raw.labels), *plain(&raw.labels_mask) = value.Value.Bits, value.Mask.Bits
		for _, labels := range []Labels{value.Value, value.Mask} {
			if wrong := labels.check(); wrong != nil {
				return wrong
			}
		}
	}
	if value, set := f.Helper.Get(); set {
		raw.match |= C.CT_MATCH_HELPER
		return encodeHelper(&raw.helper, value)
	}
	return nil
}

// encodePrefix writes a prefix, which Filter.family has found right.
func encodePrefix(raw *C.struct_ct_filter, prefix netip.Prefix, match C.uint64_t, to *[16]C.uint8_t, length *C.uint8_t) {
	if prefix == (netip.Prefix{}) {
		return
	}
	raw.match |= match
	*length = C.uint8_t(prefix.Bits())
	if address := prefix.Addr(); address.Is4() {
		bytes := address.As4()
		copy(plain(to)[:], bytes[:])
	} else {
		*plain(to) = address.As16()
	}
}

func encodePorts(raw *C.struct_ct_filter, ports Optional[PortRange], match C.uint64_t, first, last *C.uint16_t) {
	if value, set := ports.Get(); set {
		raw.match |= match
		*first, *last = C.uint16_t(value.First), C.uint16_t(value.Last)
	}
}
