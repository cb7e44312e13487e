// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"net/netip"
)

// Filter says which entries are meant: all fields that are set must hold. A field that is left out is no condition; zero that is
// set is a value, never a wildcard:
//
//	ctrack.Filter{
//		Proto:      ctrack.Is(ctrack.UDP),
//		OrigDst:    netip.MustParsePrefix("10.96.0.10/32"),
//		OrigDstPort: ctrack.Port(53),
//	}
//
// Addresses are prefixes; netip.Prefix{} is no condition and 0.0.0.0/0 is every IPv4 address. [Host] makes the prefix of one
// address, and one that is refused of an address that is none: never use netip.PrefixFrom for that, which makes netip.Prefix{}
// of netip.Addr{}. Bits behind the prefix must be zero.
//
// IPv4-mapped IPv6 addresses (::ffff:10.0.0.7) are refused, since they mostly stand for the IPv4 address: unmap them, or say
// that IPv6 is meant by setting Family.
type Filter struct {
	// Exclude: entries that match are not selected, whatever the other filters say.
	Exclude bool
	// Family follows from an address where there is one.
	Family Optional[Family]
	// Proto is the protocol.
	Proto Optional[Proto]
	// Zone: entries that have this zone in both directions or in one of them; 0: entries without any zone.
	Zone Optional[uint16]
	// OrigZone: entries whose original direction is in this zone, whether the zone is that of both directions or of this one
	// only; 0: the original direction is in no zone (the reply direction may be in one). Only the original direction in zone 5
	// is OrigZone 5 with ReplyZone 0. An entry has one zone at most, so zones that none can have together are refused.
	OrigZone Optional[uint16]
	// ReplyZone is the same for the reply direction.
	ReplyZone Optional[uint16]
	// ID is that of the entry, as in Entry.ID and as `conntrack -o id` prints it. Two entries can have the same one: of a
	// million, some 116 pairs do. So Delete refuses a filter (but an excluding one) that has no other field to tell them apart.
	ID Optional[uint32]
	// Mark: see MarkIs and MarkMasked.
	Mark Optional[Mark]
	// StatusSet are bits that must be set.
	StatusSet Status
	// StatusClear are bits that must be clear.
	StatusClear Status
	// OrigSrc is the source of the original direction: who began.
	OrigSrc netip.Prefix
	// OrigDst is its destination: whom it called (a service's virtual address, before NAT).
	OrigDst netip.Prefix
	// ReplySrc is the source of the reply direction: who really answers (an endpoint behind destination NAT).
	ReplySrc netip.Prefix
	// ReplyDst is its destination: where answers go (the masquerading address behind source NAT).
	ReplyDst netip.Prefix
	// OrigSrcPort to ReplyDstPort: see Port and Ports. They need a Proto that has ports.
	OrigSrcPort  Optional[PortRange]
	OrigDstPort  Optional[PortRange]
	ReplySrcPort Optional[PortRange]
	ReplyDstPort Optional[PortRange]
	// ICMPType of the original direction. The ICMP fields need Proto ICMP or ICMPv6.
	ICMPType Optional[uint8]
	// ICMPCode of the original direction.
	ICMPCode Optional[uint8]
	// ICMPID of the original direction.
	ICMPID Optional[uint16]
	// TCPStates: see TCPStateIn. Needs Proto TCP.
	TCPStates Optional[TCPStates]
	// Labels: see LabelsAll and LabelsMasked.
	Labels Optional[LabelMatch]
	// Helper is exactly this name, of 1 to 15 bytes.
	Helper Optional[string]

	// Why the filter is refused wherever it is used. Set by the functions of this package that make filters, so that a wrong
	// or empty argument never becomes a filter that is wider than meant.
	refused string
}

// Mark is a mark of which only the bits of the mask count: (entry's mark & Mask) == Value in a Filter, and in a [Change] the bits
// to replace. A bit of Value outside Mask is refused.
type Mark struct {
	Value, Mask uint32
}

// MarkIs is exactly this mark.
func MarkIs(mark uint32) Optional[Mark] {
	return Is(Mark{mark, ^uint32(0)})
}

// MarkMasked is these bits of the mark. See [MakeMarkMasked], which checks them at once.
func MarkMasked(mark, mask uint32) Optional[Mark] {
	return Is(Mark{mark, mask})
}

// PortRange is all ports from First to Last, both included.
type PortRange struct {
	First, Last uint16
}

// Port is one port.
func Port(port uint16) Optional[PortRange] {
	return Is(PortRange{port, port})
}

// Ports is all ports from first to last, both included. See [MakePorts], which checks them at once.
func Ports(first, last uint16) Optional[PortRange] {
	return Is(PortRange{first, last})
}

// TCPStates is a set of TCP states: bit n for state n.
type TCPStates uint16

// TCPStateIn is any of these states. See [MakeTCPStateIn], which checks them at once.
func TCPStateIn(state TCPState, more ...TCPState) Optional[TCPStates] {
	bit := func(state TCPState) TCPStates {
		// No state has bit 15: what is no state stays wrong, and is refused.
		return 1 << min(state, 15)
	}
	set := bit(state)
	for _, other := range more {
		set |= bit(other)
	}
	return Is(set)
}

// LabelMatch is labels of which only those of the mask count: (entry's labels & Mask) == Value. A label of Value outside Mask is
// refused.
type LabelMatch struct {
	Value, Mask Labels
}

// LabelsAll is all of these labels set, each 0 to 127, whatever the others are. With any other number the filter is refused; see
// [MakeLabelsAll], which says so at once.
func LabelsAll(label int, more ...int) Optional[LabelMatch] {
	set := LabelSet(append([]int{label}, more...)...)
	return Is(LabelMatch{set, set})
}

// LabelsMasked is exactly value in the labels of the mask. See [MakeLabelsMasked], which checks them at once.
func LabelsMasked(value, mask Labels) Optional[LabelMatch] {
	return Is(LabelMatch{value, mask})
}

// Host is the prefix of one address. Of netip.Addr{}, and of an address with a zone (fe80::1%eth0: the table does not know
// interfaces), it is an invalid prefix, which every call refuses; see [MakeHost], which says so at once.
func Host(address netip.Addr) netip.Prefix {
	if !address.IsValid() || address.Zone() != "" {
		// Not netip.Prefix{}, which is no condition at all.
		return netip.PrefixFrom(netip.IPv6Unspecified(), -1)
	}
	return netip.PrefixFrom(address, address.BitLen())
}

// Hosts are the prefixes of single addresses, as by Host. See [MakeHosts], which checks them at once.
func Hosts(addresses ...netip.Addr) []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(addresses))
	for _, address := range addresses {
		prefixes = append(prefixes, Host(address))
	}
	return prefixes
}

// family is that of the addresses, or the one that is set. All must agree.
func (f *Filter) family() (Optional[Family], *fault) {
	family := f.Family
	for _, at := range f.addresses() {
		if *at.prefix == (netip.Prefix{}) {
			continue
		}
		if !at.prefix.IsValid() {
			return family, &fault{at.field, "is not a valid prefix"}
		}
		address := at.prefix.Addr()
		if want, set := family.Get(); set {
			// An IPv4-mapped address is one of IPv6, if that is what was asked for.
			if address.Is4() != (want == IPv4) {
				return family, &fault{at.field, fmt.Sprintf("%v is of another family than the rest of the filter", at.prefix)}
			}
			continue
		}
		own, wrong := familyOf(at.field, address)
		if wrong != nil {
			return family, wrong
		}
		family = Is(own)
	}
	return family, nil
}

type filterAddress struct {
	field  string
	prefix *netip.Prefix
}

func (f *Filter) addresses() [4]filterAddress {
	return [...]filterAddress{
		{"orig_src", &f.OrigSrc}, {"orig_dst", &f.OrigDst}, {"reply_src", &f.ReplySrc}, {"reply_dst", &f.ReplyDst},
	}
}

// Functions with Make in their names give an error. The older ones without it make a value of a wrong argument that every call
// refuses, so an error is seen later than it could be.

// MakeHost is [Host], and an error for what is no address and for one with a zone (fe80::1%eth0).
func MakeHost(address netip.Addr) (netip.Prefix, error) {
	prefix := Host(address)
	if !prefix.IsValid() {
		reason := "is no address"
		if address.IsValid() {
			reason = "has an interface, which the table does not know"
		}
		return netip.Prefix{}, wrongArgument("MakeHost", "%v %s", address, reason)
	}
	return prefix, nil
}

// MakeHosts is [Hosts], and an error for the first address of which MakeHost gives one. No address is an error too: the empty list
// would be no condition.
func MakeHosts(addresses ...netip.Addr) ([]netip.Prefix, error) {
	if len(addresses) == 0 {
		return nil, wrongArgument("MakeHosts", "no address is given")
	}
	for i, address := range addresses {
		if _, err := MakeHost(address); err != nil {
			return nil, wrongArgument("MakeHosts", "address %d: %s", i, err.(*Error).Text)
		}
	}
	return Hosts(addresses...), nil
}

// MakePorts is [Ports], and an error for a range that is upside down.
func MakePorts(first, last uint16) (Optional[PortRange], error) {
	if first > last {
		return Optional[PortRange]{}, wrongArgument("MakePorts", "range %d-%d is upside down", first, last)
	}
	return Ports(first, last), nil
}

// MakeMarkMasked is [MarkMasked], and an error for bits of mark outside mask, and for a mask of 0, which would be no condition.
func MakeMarkMasked(mark, mask uint32) (Optional[Mark], error) {
	switch {
	case mark&^mask != 0:
		return Optional[Mark]{}, wrongArgument("MakeMarkMasked", "%#x has bits outside the mask %#x", mark, mask)
	case mask == 0:
		return Optional[Mark]{}, wrongArgument("MakeMarkMasked", "a mask of 0 compares nothing")
	}
	return MarkMasked(mark, mask), nil
}

// MakeLabelsAll is [LabelsAll], and an error for a number that is no label.
func MakeLabelsAll(label int, more ...int) (Optional[LabelMatch], error) {
	set, err := MakeLabelSet(append([]int{label}, more...)...)
	if err != nil {
		return Optional[LabelMatch]{}, wrongArgument("MakeLabelsAll", "%s", err.(*Error).Text)
	}
	return Is(LabelMatch{set, set}), nil
}

// MakeLabelsMasked is [LabelsMasked], and an error for labels of value outside mask, for what LabelSet was given that is no label,
// and for an empty mask, which would be no condition.
func MakeLabelsMasked(value, mask Labels) (Optional[LabelMatch], error) {
	for _, labels := range []Labels{value, mask} {
		if wrong := labels.check(); wrong != nil {
			return Optional[LabelMatch]{}, wrongArgument("MakeLabelsMasked", "%s", wrong.reason)
		}
	}
	switch {
	case wordOf(&value.Bits).without(wordOf(&mask.Bits)) != (word128{}):
		return Optional[LabelMatch]{}, wrongArgument("MakeLabelsMasked", "%v are not all in the mask %v", value, mask)
	case mask == Labels{}:
		return Optional[LabelMatch]{}, wrongArgument("MakeLabelsMasked", "an empty mask compares nothing")
	}
	return LabelsMasked(value, mask), nil
}

// MakeTCPStateIn is [TCPStateIn], and an error for what is no state.
func MakeTCPStateIn(state TCPState, more ...TCPState) (Optional[TCPStates], error) {
	for _, one := range append([]TCPState{state}, more...) {
		if one > ctTcpStateLast {
			return Optional[TCPStates]{}, wrongArgument("MakeTCPStateIn", "%v is no TCP state", one)
		}
	}
	return TCPStateIn(state, more...), nil
}
