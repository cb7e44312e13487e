// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"net/netip"
	"unsafe"
)

// filterSize is what each filter begins with.
const filterSize = uint32(unsafe.Sizeof(rawFilter{}))

// encodeFilters makes what the library takes of filters.
func encodeFilters(op string, filters []Filter) ([]rawFilter, error) {
	raw := make([]rawFilter, len(filters))
	for i := range filters {
		if wrong := encodeFilter(&raw[i], &filters[i]); wrong != nil {
			return nil, wrong.in(op, filterPlace(i))
		}
	}
	return raw, nil
}

// encodeFilter writes one filter. As for entries, the library says what is wrong with what can be said to it.
func encodeFilter(raw *rawFilter, f *Filter) *fault {
	raw.size = filterSize
	if f.refused != "" {
		return &fault{"", f.refused}
	}
	if f.Exclude {
		raw.flags |= ctFilterExclude
	}
	family, wrong := f.family()
	if wrong != nil {
		return wrong
	}
	if value, set := family.Get(); set {
		raw.match |= ctMatchFamily
		raw.family = uint8(value)
	}
	if value, set := f.Proto.Get(); set {
		raw.match |= ctMatchProto
		raw.proto = uint8(value)
	}
	if value, set := f.Zone.Get(); set {
		raw.match |= ctMatchZone
		raw.zone = uint32(value)
	}
	if value, set := f.OrigZone.Get(); set {
		raw.match |= ctMatchOrigZone
		raw.origZone = uint32(value)
	}
	if value, set := f.ReplyZone.Get(); set {
		raw.match |= ctMatchReplyZone
		raw.replyZone = uint32(value)
	}
	if value, set := f.ID.Get(); set {
		raw.match |= ctMatchId
		raw.id = value
	}
	if value, set := f.Mark.Get(); set {
		raw.match |= ctMatchMark
		raw.mark, raw.markMask = value.Value, value.Mask
	}
	if f.StatusSet|f.StatusClear != 0 {
		raw.match |= ctMatchStatus
		raw.statusSet, raw.statusClear = uint32(f.StatusSet), uint32(f.StatusClear)
	}
	encodePrefix(raw, f.OrigSrc, ctMatchOrigSrc, &raw.origSrc, &raw.origSrcPrefix)
	encodePrefix(raw, f.OrigDst, ctMatchOrigDst, &raw.origDst, &raw.origDstPrefix)
	encodePrefix(raw, f.ReplySrc, ctMatchReplySrc, &raw.replySrc, &raw.replySrcPrefix)
	encodePrefix(raw, f.ReplyDst, ctMatchReplyDst, &raw.replyDst, &raw.replyDstPrefix)
	encodePorts(raw, f.OrigSrcPort, ctMatchOrigSport, &raw.origSportFirst, &raw.origSportLast)
	encodePorts(raw, f.OrigDstPort, ctMatchOrigDport, &raw.origDportFirst, &raw.origDportLast)
	encodePorts(raw, f.ReplySrcPort, ctMatchReplySport, &raw.replySportFirst, &raw.replySportLast)
	encodePorts(raw, f.ReplyDstPort, ctMatchReplyDport, &raw.replyDportFirst, &raw.replyDportLast)
	return encodeDetails(raw, f)
}

// encodeDetails writes what only some protocols have, labels and helper.
func encodeDetails(raw *rawFilter, f *Filter) *fault {
	if value, set := f.ICMPType.Get(); set {
		raw.match |= ctMatchIcmpType
		raw.icmpType = value
	}
	if value, set := f.ICMPCode.Get(); set {
		raw.match |= ctMatchIcmpCode
		raw.icmpCode = value
	}
	if value, set := f.ICMPID.Get(); set {
		raw.match |= ctMatchIcmpId
		raw.icmpId = value
	}
	if value, set := f.TCPStates.Get(); set {
		raw.match |= ctMatchTcpStates
		raw.tcpStates = uint16(value)
	}
	if value, set := f.Labels.Get(); set {
		raw.match |= ctMatchLabels
		raw.labels, raw.labelsMask = value.Value.Bits, value.Mask.Bits
		for _, labels := range []Labels{value.Value, value.Mask} {
			if wrong := labels.check(); wrong != nil {
				return wrong
			}
		}
	}
	if value, set := f.Helper.Get(); set {
		raw.match |= ctMatchHelper
		return encodeHelper(&raw.helper, value)
	}
	return nil
}

// encodePrefix writes a prefix, which Filter.family has found right.
func encodePrefix(raw *rawFilter, prefix netip.Prefix, match uint64, to *[16]uint8, length *uint8) {
	if prefix == (netip.Prefix{}) {
		return
	}
	raw.match |= match
	*length = uint8(prefix.Bits())
	if address := prefix.Addr(); address.Is4() {
		bytes := address.As4()
		copy(to[:], bytes[:])
	} else {
		*to = address.As16()
	}
}

func encodePorts(raw *rawFilter, ports Optional[PortRange], match uint64, first, last *uint16) {
	if value, set := ports.Get(); set {
		raw.match |= match
		*first, *last = value.First, value.Last
	}
}

func filterPlace(i int) string {
	return fmt.Sprintf("filter[%d]", i)
}
