// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"strings"
	"syscall"
)

// LineOptions say what a line shows besides what `conntrack -L` does.
type LineOptions uint32

const (
	LineExtended  LineOptions = ctFormatExtended  // the family in front, as -o extended
	LineID        LineOptions = ctFormatId        // the ID at the end, as -o id
	LineTimestamp LineOptions = ctFormatTimestamp // start and stop, if there are any, in the local time zone, as -o ktimestamp
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
	text, err := e.format(ctFormatLine | uint32(options))
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
	// A line always fits; JSON mostly does.
	text := make([]byte, 1024)
	for {
		length := formatEntry(&raw, format, text)
		if length < 0 {
			return nil, failure("format", length, "")
		}
		if length < len(text) {
			return text[:length], nil
		}
		text = make([]byte, length+1)
	}
}
