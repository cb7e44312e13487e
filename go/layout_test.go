// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack

import (
	"ctrack/internal/clayout"
	"testing"
)

func TestConstantsAndLayoutsAreThoseOfTheCCompiler(t *testing.T) {
	compare(t, "constant", layoutConstants, clayout.Constants())
	compare(t, "offset and size", layoutFields, clayout.Fields())
}

func compare[T comparable](t *testing.T, what string, ours, theirs map[string]T) {
	if len(ours) != len(theirs) || len(ours) < 50 {
		t.Errorf("%s: %d of ours, %d of the compiler's", what, len(ours), len(theirs))
	}
	for name, value := range ours {
		if found, there := theirs[name]; !there || found != value {
			t.Errorf("%s of %s: %v, the compiler says %v", what, name, value, found)
		}
	}
}
