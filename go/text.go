// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"syscall"
)

// LineOptions say what a line shows besides what `conntrack -L` does.
type LineOptions uint32

const (
	LineExtended  LineOptions = ctFormatExtended  // the family in front, as -o extended
	LineID        LineOptions = ctFormatId        // the ID at the end, as -o id
	LineTimestamp LineOptions = ctFormatTimestamp // start and stop, if there are any, in the local time zone, as -o ktimestamp
	// The time in front of an event, as -o timestamp of `conntrack -E`: "[seconds.micros]" and a tab. It is the kernel's if there is one,
	// or else when the event was read. Of an entry it adds nothing. Since 0.2.
	LineEventTime LineOptions = ctFormatEventTime
)

// String is the line of `conntrack -L`, byte for byte, but for what an entry does not hold: a security context and label names. In a
// program without libctrack (see Open) it is a shorter line, for logs of tests, whose form is not promised.
func (e Entry) String() string {
	return e.Line(0)
}

// Line is the line of `conntrack -L` with these of its options; without libctrack it is that of String.
func (e Entry) Line(options LineOptions) string {
	if !haveLibrary {
		return e.brief()
	}
	text, err := e.format(ctFormatLine | uint32(options&^LineEventTime))
	if err != nil {
		return "ctrack.Entry(" + err.Error() + ")"
	}
	return string(text)
}

// brief is what an entry is where there is no library to write it.
func (e *Entry) brief() string {
	var words strings.Builder
	switch {
	case e.Proto.hasPorts():
		fmt.Fprintf(&words, "ctrack.Entry(%v %v -> %v", e.Proto, e.Orig.Source(), e.Orig.Destination())
	case e.Proto.isICMP():
		fmt.Fprintf(&words, "ctrack.Entry(%v %v -> %v id %d", e.Proto, e.Orig.Src, e.Orig.Dst, e.Orig.ICMPID)
	default:
		fmt.Fprintf(&words, "ctrack.Entry(%v %v -> %v", e.Proto, e.Orig.Src, e.Orig.Dst)
	}
	if e.Has&HasReply != 0 && e.Proto.hasPorts() {
		fmt.Fprintf(&words, ", answered %v -> %v", e.Reply.Source(), e.Reply.Destination())
	}
	if e.Zone != 0 {
		fmt.Fprintf(&words, " zone %d (%v)", e.Zone, e.ZoneDir)
	}
	return words.String() + ")"
}

// MarshalJSON is one JSON object with every field that the entry has. It is for reading by others: there is no way back. Without
// libctrack (see Open) it fails, with an errors.ErrUnsupported.
func (e Entry) MarshalJSON() ([]byte, error) {
	return e.format(ctFormatJson)
}

func (e *Entry) format(format uint32) ([]byte, error) {
	var raw rawEntry
	if wrong := encode(&raw, e); wrong != nil {
		return nil, wrong.in("format", "entry")
	}
	if !haveLibrary {
		return nil, failure("format", -int(syscall.ENOSYS), "the text of an entry needs Linux, cgo and libctrack")
	}
	return formatted(func(text []byte) int { return formatEntry(&raw, format, text) })
}

// formatted is what a function writes by the rules of snprintf.
func formatted(write func(text []byte) int) ([]byte, error) {
	// A line always fits; JSON mostly does.
	text := make([]byte, 1024)
	for {
		length := write(text)
		if length < 0 {
			return nil, failure("format", length, "")
		}
		if length < len(text) {
			return text[:length], nil
		}
		text = make([]byte, length+1)
	}
}

// String is the line of `conntrack -E`, byte for byte, but for what an entry does not hold and for the name of the program that has the
// port: "    [NEW] udp ... [USERSPACE] portid=4711". What is lost is "   [LOST] 17 events", and Synced is " [SYNCED]". In a program without
// libctrack (see Open) it is a shorter line, for logs of tests, whose form is not promised. Since 0.2.
func (e Event) String() string {
	return e.Line(0)
}

// Line is the line of `conntrack -E` with these of its options; without libctrack it is that of String. Since 0.2.
func (e Event) Line(options LineOptions) string {
	if !haveLibrary {
		return e.brief()
	}
	text, err := e.format(ctFormatLine | uint32(options))
	if err != nil {
		return "ctrack.Event(" + err.Error() + ")"
	}
	return string(text)
}

// brief is what an event is where there is no library to write it.
func (e *Event) brief() string {
	words := "ctrack.Event(" + e.Kind.String()
	if e.Flags != 0 {
		words += " " + e.Flags.String()
	}
	switch {
	case e.Kind == Lost:
		words += " " + e.Lost.String()
	case e.Kind.ofEntry():
		words += " " + e.Entry.brief()
	}
	return words + ")"
}

// MarshalJSON is one JSON object: "event" ("new", "update", "destroy", "lost", "synced"), "number", "flags" (an array of "initial", "found",
// "entered", "left"), "received_ns", "time_ns" and "nsid" if they are known, "portid" and "entry" (as an Entry has it) of events of an
// entry, and "lost" (null: it is not known how many). It is for reading by others: there is no way back. Without libctrack (see Open) it
// fails, with an errors.ErrUnsupported. Since 0.2.
func (e Event) MarshalJSON() ([]byte, error) {
	return e.format(ctFormatJson)
}

func (e *Event) format(format uint32) ([]byte, error) {
	var raw rawEvent
	if wrong := encodeEvent(&raw, e); wrong != nil {
		return nil, wrong.in("format", "event")
	}
	if !haveLibrary {
		return nil, failure("format", -int(syscall.ENOSYS), "the text of an event needs Linux, cgo and libctrack")
	}
	return formatted(func(text []byte) int { return formatEvent(&raw, format, text) })
}

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
