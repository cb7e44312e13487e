// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build !(cgo && linux)

package ctrack_test

import (
	"ctrack"
	"errors"
	"strings"
	"syscall"
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

func TestWithoutTheLibraryAWatchAndAMirrorSayWhatIsNeeded(t *testing.T) {
	w, err := ctrack.OpenWatch(ctrack.WatchOptions{})
	m, err2 := ctrack.NewMirror(ctx, ctrack.MirrorOptions{})
	if w != nil || m != nil || !errors.Is(err, errors.ErrUnsupported) || !errors.Is(err2, errors.ErrUnsupported) {
		t.Errorf("%v %v, %v %v", w, err, m, err2)
	}
	// What is wrong is said first, as where there is a library.
	if _, err := ctrack.OpenWatch(ctrack.WatchOptions{AuditAll: true}); !errors.Is(err, syscall.EINVAL) {
		t.Error(err)
	}
	e := ctrack.Event{Kind: ctrack.Lost, Flags: ctrack.Found, Lost: ctrack.Is[uint64](7)}
	if text := e.String(); text != "ctrack.Event(lost found 7)" {
		t.Error(text)
	}
	e = ctrack.Event{Kind: ctrack.New, Entry: udp("10.0.0.7:1", "10.0.0.8:53")}
	if text := e.String(); text != "ctrack.Event(new ctrack.Entry(udp 10.0.0.7:1 -> 10.0.0.8:53))" {
		t.Error(text)
	}
	if text, err := e.MarshalJSON(); text != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("%s, %v", text, err)
	}
}
