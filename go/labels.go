// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// Labels are the connection labels of an entry. The zero Labels are none. [LabelSet] makes them of their numbers.
type Labels struct {
	// Bits are in the kernel's own memory order: on a little-endian machine label n is bit n % 8 of byte n / 8.
	Bits [16]byte

	// What LabelSet was given that is no label: such Labels are refused wherever they are used. Label 0 is one.
	wrong int
}

// LabelSet is these labels, each 0 to 127. With any other number it is a set that every call refuses; see [MakeLabelSet], which says so
// at once.
func LabelSet(labels ...int) Labels {
	var set Labels
	for _, label := range labels {
		if !isLabel(label) {
			return Labels{wrong: label}
		}
		word := set.Bits[label/64*8:][:8]
		binary.NativeEndian.PutUint64(word, binary.NativeEndian.Uint64(word)|1<<(label%64))
	}
	return set
}

func isLabel(number int) bool {
	return number >= 0 && number < 128
}

// check says what is wrong with labels.
func (l Labels) check() *fault {
	if l.wrong != 0 {
		return &fault{"labels", strconv.Itoa(l.wrong) + " is no label: those are 0 to 127"}
	}
	return nil
}

// Has says whether a label is set. What is no label, 0 to 127, never is.
func (l Labels) Has(label int) bool {
	return isLabel(label) && binary.NativeEndian.Uint64(l.Bits[label/64*8:][:8])>>(label%64)&1 != 0
}

// String is the numbers of the labels that are set, for example "1,64"; "-" for none.
func (l Labels) String() string {
	if wrong := l.check(); wrong != nil {
		return wrong.reason
	}
	var set []string
	for label := range 128 {
		if l.Has(label) {
			set = append(set, strconv.Itoa(label))
		}
	}
	if set == nil {
		return "-"
	}
	return strings.Join(set, ",")
}

// MakeLabelSet is [LabelSet], and an error for a number that is no label.
func MakeLabelSet(labels ...int) (Labels, error) {
	set := LabelSet(labels...)
	if wrong := set.check(); wrong != nil {
		return Labels{}, wrongArgument("MakeLabelSet", "%s", wrong.reason)
	}
	return set, nil
}
