// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"bytes"
	"ctrack"
	"ctrack/ctracktest"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestLateEntriesOfEndpointsThatLeftAreDeletedAndNoOthers(t *testing.T) {
	table, watch := ctracktest.New(), ctracktest.NewWatch()
	var out, errs bytes.Buffer
	c := &cleaner{conn: table, stdout: &out, stderr: &errs}
	for _, list := range []string{"10.0.0.7\n10.0.0.8\n10.0.0.9\n", "10.0.0.9\n", "10.0.0.9\n10.0.0.8\n"} {
		if !c.takeText(t.Context(), list) {
			t.Fatal(&errs)
		}
	}
	out.Reset()
	for _, ends := range []string{"10.0.0.7 10.0.0.1", "10.0.0.1 10.0.0.7", "10.0.0.8 10.0.0.9", "10.0.0.2 10.0.0.3", "10.0.0.7 10.0.0.4"} {
		from, to, _ := strings.Cut(ends, " ")
		entry := ctrack.Key(ctrack.UDP, netip.MustParseAddrPort(from+":4000"), netip.MustParseAddrPort(to+":53"))
		entry.Timeout = time.Minute
		if _, err := table.Create(t.Context(), []ctrack.Entry{entry}); err != nil {
			t.Fatal(err)
		}
	}
	busy := ctrack.Filter{OrigDst: netip.MustParsePrefix("10.0.0.4/32")}
	if err := table.FailEntries(ctracktest.DeleteEntries, busy, syscall.EBUSY); err != nil {
		t.Fatal(err)
	}
	for e := range table.All(t.Context()) {
		watch.Tell(ctrack.Event{Kind: ctrack.New, Entry: e})
	}
	watch.Fail(syscall.EPERM)
	if err := c.deleteLate(t.Context(), watch); !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
	if want := strings.Repeat("1 late entry deleted of 10.0.0.7\n", 2); out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
	if n, _ := table.Count(t.Context()); n != 3 || !strings.Contains(errs.String(), syscall.EBUSY.Error()) {
		t.Errorf("%d entries are left; it says %q", n, &errs)
	}
	// With the next list.
	if !c.takeText(t.Context(), "10.0.0.9\n10.0.0.8\n") || !strings.HasSuffix(out.String(), "1 entry deleted of 10.0.0.7\n") {
		t.Errorf("%q, %q", &out, &errs)
	}
}
