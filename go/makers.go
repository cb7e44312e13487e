// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
)

// The makers that give an error. Those without Make in their names are older: of a wrong argument they make a value that every call
// refuses, so that an error is seen later than it could be.

// checkMade gives filters that an older maker made, or the error that a call would give.
func checkMade(op string, filters []Filter) ([]Filter, error) {
	older := strings.TrimPrefix(op, "Make")
	for i := range filters {
		_, wrong := filters[i].matcher()
		switch {
		case wrong == nil:
		case filters[i].refused != "":
			return nil, &Error{Op: op, Errno: syscall.EINVAL, Text: strings.TrimPrefix(filters[i].refused, older+": ")}
		default:
			return nil, wrong.in(op, filterPlace(i))
		}
	}
	return filters, nil
}

func wrongArgument(op, format string, args ...any) error {
	return &Error{Op: op, Errno: syscall.EINVAL, Text: fmt.Sprintf(format, args...)}
}

// MakeDeadEndpoint is [DeadEndpoint], and says what is wrong with its arguments.
func MakeDeadEndpoint(addresses ...netip.Addr) ([]Filter, error) {
	return checkMade("MakeDeadEndpoint", DeadEndpoint(addresses...))
}

// MakeChangedService is [ChangedService], and says what is wrong with its arguments.
func MakeChangedService(proto Proto, vip netip.AddrPort, live ...netip.AddrPort) ([]Filter, error) {
	return checkMade("MakeChangedService", ChangedService(proto, vip, live...))
}

// MakeFilters is Filters, and says what is wrong with the rule.
func (r Rule) MakeFilters() ([]Filter, error) {
	return checkMade("MakeRule", r.Filters())
}

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

// MakeLabelSet is [LabelSet], and an error for a number that is no label.
func MakeLabelSet(labels ...int) (Labels, error) {
	set := LabelSet(labels...)
	if wrong := set.check(); wrong != nil {
		return Labels{}, wrongArgument("MakeLabelSet", "%s", wrong.reason)
	}
	return set, nil
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
		if one > TCPSynSent2 {
			return Optional[TCPStates]{}, wrongArgument("MakeTCPStateIn", "%v is no TCP state", one)
		}
	}
	return TCPStateIn(state, more...), nil
}
