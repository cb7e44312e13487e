// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
)

// String is the fields that are set, in one line for logs: "proto=udp orig-dst=10.0.0.0/8 orig-dport=53 exclude"; "any" where none is
// set, and "refused: " with the reason for what a function of this package made of wrong arguments. It does not check the filter; see
// [Filter.Check]. Since 0.2.
func (f Filter) String() string {
	if f.refused != "" {
		return "refused: " + f.refused
	}
	var words []string
	add := func(name string, value any, set bool) {
		if set {
			words = append(words, fmt.Sprintf("%s=%v", name, value))
		}
	}
	prefix := func(name string, prefix netip.Prefix) {
		add(name, prefix, prefix != netip.Prefix{})
	}
	add("family", f.Family, f.Family.set)
	add("proto", f.Proto, f.Proto.set)
	add("zone", f.Zone, f.Zone.set)
	add("orig-zone", f.OrigZone, f.OrigZone.set)
	add("reply-zone", f.ReplyZone, f.ReplyZone.set)
	add("id", f.ID, f.ID.set)
	add("mark", f.Mark, f.Mark.set)
	add("status-set", f.StatusSet, f.StatusSet != 0)
	add("status-clear", f.StatusClear, f.StatusClear != 0)
	prefix("orig-src", f.OrigSrc)
	prefix("orig-dst", f.OrigDst)
	prefix("reply-src", f.ReplySrc)
	prefix("reply-dst", f.ReplyDst)
	add("orig-sport", f.OrigSrcPort, f.OrigSrcPort.set)
	add("orig-dport", f.OrigDstPort, f.OrigDstPort.set)
	add("reply-sport", f.ReplySrcPort, f.ReplySrcPort.set)
	add("reply-dport", f.ReplyDstPort, f.ReplyDstPort.set)
	add("icmp-type", f.ICMPType, f.ICMPType.set)
	add("icmp-code", f.ICMPCode, f.ICMPCode.set)
	add("icmp-id", f.ICMPID, f.ICMPID.set)
	add("tcp-states", f.TCPStates, f.TCPStates.set)
	add("labels", f.Labels, f.Labels.set)
	add("helper", strconv.Quote(f.Helper.value), f.Helper.set)
	if len(words) == 0 {
		words = append(words, "any")
	}
	if f.Exclude {
		words = append(words, "exclude")
	}
	return strings.Join(words, " ")
}

// String is for example "0x7"; "0x7/0xff" if only the bits of a mask count. Since 0.2.
func (m Mark) String() string {
	if m.Mask == math.MaxUint32 {
		return fmt.Sprintf("%#x", m.Value)
	}
	return fmt.Sprintf("%#x/%#x", m.Value, m.Mask)
}

// String is "53" for one port and "1000-2000" for more. Since 0.2.
func (r PortRange) String() string {
	if r.First == r.Last {
		return strconv.Itoa(int(r.First))
	}
	return fmt.Sprintf("%d-%d", r.First, r.Last)
}

// String is for example "ESTABLISHED,CLOSE"; "-" without a state. Since 0.2.
func (s TCPStates) String() string {
	var names []string
	for state := range TCPState(16) {
		if s>>state&1 != 0 {
			names = append(names, state.String())
		}
	}
	if names == nil {
		return "-"
	}
	return strings.Join(names, ",")
}

// String is for example "1,64" if all of these labels must be set; "1/1,64" if of 1 and 64 only 1 may be. Since 0.2.
func (m LabelMatch) String() string {
	if m.Value == m.Mask {
		return m.Value.String()
	}
	return fmt.Sprintf("%v/%v", m.Value, m.Mask)
}
