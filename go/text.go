// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

/*
#include <ctrack.h>

#cgo noescape ct_entry_format
#cgo nocallback ct_entry_format
*/
import "C"

import "unsafe"

// LineOptions say what a line shows besides what `conntrack -L` does.
type LineOptions uint32

const (
	LineExtended  LineOptions = C.CT_FORMAT_EXTENDED  // the family in front, as -o extended
	LineID        LineOptions = C.CT_FORMAT_ID        // the ID at the end, as -o id
	LineTimestamp LineOptions = C.CT_FORMAT_TIMESTAMP // start and stop, if there are any, in the local time zone, as -o ktimestamp
)

// String is the line of `conntrack -L`, byte for byte, but for what an entry does not hold: a security context and label names.
func (e Entry) String() string {
	return e.Line(0)
}

// Line is the line of `conntrack -L` with these of its options.
func (e Entry) Line(options LineOptions) string {
	text, err := e.format(C.CT_FORMAT_LINE | C.uint32_t(options))
	if err != nil {
		return "ctrack.Entry(" + err.Error() + ")"
	}
	return string(text)
}

// MarshalJSON is one JSON object with every field that the entry has. It is for reading by others: there is no way back.
func (e Entry) MarshalJSON() ([]byte, error) {
	return e.format(C.CT_FORMAT_JSON)
}

func (e *Entry) format(format C.uint32_t) ([]byte, error) {
	var raw C.struct_ct_entry
	if wrong := encode(&raw, e); wrong != nil {
		return nil, wrong.in("format", "entry")
	}
	// A line always fits; JSON mostly does.
	text := make([]byte, 1024)
	for {
		length := C.ct_entry_format(&raw, format, (*C.char)(unsafe.Pointer(&text[0])), C.size_t(len(text)))
		if length < 0 {
			return nil, failure("format", int(length), "")
		}
		if int(length) < len(text) {
			return text[:length], nil
		}
		text = make([]byte, int(length)+1)
	}
}
