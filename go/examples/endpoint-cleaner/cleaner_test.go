// SPDX-License-Identifier: MIT OR Apache-2.0

package main

import (
	"bytes"
	"context"
	"ctrack"
	"ctrack/ctracktest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// attempts is a table that hears of each delete, with its number.
type attempts struct {
	*ctracktest.Table
	count  int
	before func(attempt int)
}

func (a *attempts) Delete(ctx context.Context, filters ...ctrack.Filter) (ctrack.Result, error) {
	a.count++
	a.before(a.count)
	return a.Table.Delete(ctx, filters...)
}

func TestAMissingPrivilegeIsSaidOnceAndTheDeleteIsTriedAgain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "live")
	if err := os.WriteFile(file, []byte("10.0.0.8\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table := ctracktest.New()
	entry := ctrack.Key(ctrack.UDP, netip.MustParseAddrPort("10.0.0.7:4000"), netip.MustParseAddrPort("10.0.0.8:53"))
	entry.Timeout = time.Minute
	if _, err := table.Create(t.Context(), []ctrack.Entry{entry}); err != nil {
		t.Fatal(err)
	}
	table.Fail(ctracktest.Delete, syscall.EPERM)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs bytes.Buffer
	tried := &attempts{Table: table, before: func(attempt int) {
		if attempt == 4 {
			table.Fail(ctracktest.Delete, nil)
			cancel()
		}
	}}
	c := &cleaner{conn: tried, stdout: &out, stderr: &errs,
		live: map[netip.Addr]bool{netip.MustParseAddr("10.0.0.7"): true, netip.MustParseAddr("10.0.0.8"): true}}
	if err := c.watchFile(ctx, file, time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(errs.String(), "\n"); lines != 1 || !strings.Contains(errs.String(), syscall.EPERM.Error()) || tried.count != 4 {
		t.Errorf("%d attempts, of which it says %q", tried.count, &errs)
	}
	if want := "watching 1 endpoint\n"; out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
}

func TestAMissingFileIsSaidOnceAndWaitedFor(t *testing.T) {
	var out, errs bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := &cleaner{conn: ctracktest.New(), stdout: &out, stderr: &errs}
	time.AfterFunc(100*time.Millisecond, cancel)
	if err := c.watchFile(ctx, filepath.Join(t.TempDir(), "none"), time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(errs.String(), "\n"); lines != 1 || out.Len() != 0 {
		t.Errorf("%q, %q", &out, &errs)
	}
}

func TestNumbersOfThingsAreSingularForOne(t *testing.T) {
	for number, want := range map[int]string{0: "0 entries", 1: "1 entry", 2: "2 entries"} {
		if got := count(number, "entry", "entries"); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
