// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build !(cgo && linux)

package ctrack_test

import (
	"ctrack"
	"errors"
	"strings"
	"testing"
)

func TestWithoutTheLibraryOpenSaysInOneLineWhatIsNeeded(t *testing.T) {
	c, err := ctrack.Open(ctrack.Options{})
	if c != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Fatalf("%v, %v", c, err)
	}
	var details *ctrack.Error
	if !errors.As(err, &details) || details.Op != "open" {
		t.Errorf("%#v", err)
	}
	for _, word := range []string{"Linux", "cgo", "libctrack"} {
		if !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q does not say %s in one line", err, word)
		}
	}
}

func TestWithoutTheLibraryAnEntryHasTextButNoJSON(t *testing.T) {
	e := udp("10.0.0.7:1", "10.0.0.8:53").InZone(7, ctrack.ZoneReply)
	if want := "ctrack.Entry(udp 10.0.0.7:1 -> 10.0.0.8:53 zone 7 (reply))"; e.String() != want || e.Line(ctrack.LineID) != want {
		t.Errorf("%s", e)
	}
	if text, err := e.MarshalJSON(); text != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%s, %v", text, err)
	}
	if ctrack.Version() != "" {
		t.Error(ctrack.Version())
	}
}
