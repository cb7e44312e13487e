// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"ctrack"
)

// inMemory is where the kernel keeps a label: a bit of one of two words of 64 bits, each in the machine's byte order.
// scripts/test-cross.sh runs these tests on a big-endian machine.
func inMemory(label int) (bits [16]byte) {
	at := label / 8
	if binary.NativeEndian.Uint16([]byte{0, 1}) == 1 {
		at = label/64*8 + 7 - label%64/8
	}
	bits[at] = 1 << (label % 8)
	return bits
}

func TestEachLabelIsWhereTheKernelKeepsIt(t *testing.T) {
	for label := range 128 {
		set := ctrack.LabelSet(label)
		if set.Bits != inMemory(label) {
			t.Errorf("label %d is at %x", label, set.Bits)
		}
		listed := ctrack.Labels{Bits: inMemory(label)}
		if listed != set || listed.String() != fmt.Sprint(label) {
			t.Errorf("label %d is read as %v", label, listed)
		}
		for other := -1; other <= 128; other++ {
			if listed.Has(other) != (other == label) {
				t.Errorf("label %d set: label %d is %v", label, other, listed.Has(other))
			}
		}
	}
}

func TestSeveralLabelsAreTheUnionOfEach(t *testing.T) {
	for label := range 128 {
		both, want := ctrack.LabelSet(label, 127-label), inMemory(label)
		for at, bits := range inMemory(127 - label) {
			want[at] |= bits
		}
		if both.Bits != want {
			t.Errorf("labels %d and %d are at %x", label, 127-label, both.Bits)
		}
	}
}
