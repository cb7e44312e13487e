// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"slices"
	"syscall"
	"testing"
)

func TestAHundredThousandEntriesAreListedStreamedAndDeletedExactly(t *testing.T) {
	const total, inFive = 100_000, 40_000
	ns := newNetns(t)
	ns.LongTimeouts()
	c := ns.open(ctrack.Options{})
	counted := func(want int) {
		t.Helper()
		if ours, theirs := count(t, c), ns.ConntrackCount(); ours != want || theirs != want {
			t.Fatalf("%d entries, conntrack -C says %d, want %d", ours, theirs, want)
		}
	}
	rest, five := many(total-inFive, 0), many(inFive, 5)
	create(t, c, rest...)
	create(t, c, five...)
	counted(total)

	listed := list(t, c)
	wantEntries(t, "list", listed, slices.Concat(rest, five))
	var streamed []ctrack.Entry
	for e, err := range c.All(ctx, zone(5)) {
		if err != nil {
			t.Fatal(err)
		}
		streamed = append(streamed, e)
	}
	wantEntries(t, "stream of a zone", streamed, five)
	streamed = nil
	for e, err := range c.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		streamed = append(streamed, e)
	}
	wantEntries(t, "stream", streamed, slices.Concat(rest, five))

	result, err := c.Delete(ctx, zone(5))
	wantResult(t, "delete a zone", result, err, ctrack.Result{Matched: inFive, Done: inFive})
	counted(total - inFive)
	batch, err := c.DeleteEntries(ctx, listed)
	wantResult(t, "delete all that was listed", batch.Result, err,
		ctrack.Result{Matched: total, Done: total - inFive, Gone: inFive})
	for i, status := range batch.Status {
		if gone := listed[i].Zone == 5; gone != (status == syscall.ENOENT) || !gone && status != 0 {
			t.Fatalf("%v: %v", listed[i], status)
		}
	}
	counted(0)
}

func TestOneThatFailsDoesNotStopTheOthers(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	entries := many(1000, 3)
	taken := entries[500]
	create(t, c, taken)
	batch, err := c.Create(ctx, entries)
	wantErrno(t, "create", err, syscall.EEXIST)
	want := ctrack.Result{Matched: 1000, Done: 999, Failed: 1, FirstError: syscall.EEXIST}
	if batch.Result != want {
		t.Fatalf("%+v, want %+v", batch.Result, want)
	}
	for i, status := range batch.Status {
		if failed := i == 500; failed != (status == syscall.EEXIST) || !failed && status != 0 {
			t.Fatalf("status[%d] is %v", i, status)
		}
	}
	if ours, theirs := count(t, c), ns.ConntrackCount(); ours != 1000 || theirs != 1000 {
		t.Fatalf("%d entries, conntrack -C says %d", ours, theirs)
	}
	// No entries at all are no error.
	batch, err = c.DeleteEntries(ctx, nil)
	wantResult(t, "delete none", batch.Result, err, ctrack.Result{})
	batch, err = c.Update(ctx, nil)
	wantResult(t, "update none", batch.Result, err, ctrack.Result{})
}

func TestAStreamAllocatesTheSameHoweverManyEntriesThereAre(t *testing.T) {
	ns := newNetns(t)
	ns.LongTimeouts()
	c := ns.open(ctrack.Options{})
	helped := tcp("3.3.3.3:1", "2.2.2.2:21")
	helped.Helper = "ftp"
	allocations := func(want int) float64 {
		return testing.AllocsPerRun(3, func() {
			entries := 0
			for _, err := range c.All(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				entries++
			}
			if entries != want {
				t.Fatalf("%d entries, want %d", entries, want)
			}
		})
	}
	entries := many(120_000, 0)
	create(t, c, helped)
	create(t, c, entries[:999]...)
	few := allocations(1000)
	create(t, c, entries[999:]...)
	lots := allocations(120_001)
	t.Logf("%v allocations for 1,000 entries, %v for 120,001", few, lots)
	if lots != few || few > 20 {
		t.Errorf("%v allocations for 1,000 entries, %v for 120,001", few, lots)
	}
}
