// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest_test

import (
	"context"
	"ctrack"
	"ctrack/ctracktest"
	"errors"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

var ctx = context.Background()

func entries(count int) []ctrack.Entry {
	var made []ctrack.Entry
	for i := range count {
		e := ctrack.Key(ctrack.UDP, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), uint16(i+1)), netip.MustParseAddrPort("10.0.0.2:53"))
		e.Timeout, e.Mark = time.Hour, uint32(i%2)
		made = append(made, e)
	}
	return made
}

func filled(t *testing.T, count int) *ctracktest.Table {
	t.Helper()
	table := ctracktest.New()
	if _, err := table.Create(ctx, entries(count)); err != nil {
		t.Fatal(err)
	}
	return table
}

func TestEveryCallFailsAsItIsTold(t *testing.T) {
	e := entries(1)[0]
	for op, call := range map[ctracktest.Op]func(*ctracktest.Table) error{
		ctracktest.List:     func(table *ctracktest.Table) error { _, err := table.List(ctx); return err },
		ctracktest.Get:      func(table *ctracktest.Table) error { _, err := table.Get(ctx, e); return err },
		ctracktest.Count:    func(table *ctracktest.Table) error { _, err := table.Count(ctx); return err },
		ctracktest.FreeZone: func(table *ctracktest.Table) error { _, err := table.FreeZone(ctx, 1, 2); return err },
		ctracktest.Flush:    func(table *ctracktest.Table) error { return table.FlushAll(ctx) },
		ctracktest.Delete: func(table *ctracktest.Table) error {
			_, err := table.Delete(ctx, ctrack.Filter{Proto: ctrack.Is(ctrack.UDP)})
			return err
		},
		ctracktest.DeleteEntries: func(table *ctracktest.Table) error { _, err := table.DeleteEntries(ctx, []ctrack.Entry{e}); return err },
		ctracktest.Create:        func(table *ctracktest.Table) error { _, err := table.Create(ctx, []ctrack.Entry{e}); return err },
		ctracktest.Update: func(table *ctracktest.Table) error {
			_, err := table.Update(ctx, []ctrack.Change{{Key: e, Mark: ctrack.MarkIs(1)}})
			return err
		},
		ctracktest.All: func(table *ctracktest.Table) error {
			var last error
			for _, err := range table.All(ctx) {
				last = err
			}
			return last
		},
	} {
		table := filled(t, 1)
		table.Fail(op, syscall.EPERM)
		err := call(table)
		var details *ctrack.Error
		if !errors.Is(err, os.ErrPermission) || !errors.As(err, &details) || details.Op != string(op) {
			t.Errorf("%s: %v", op, err)
		}
		own := errors.New("own")
		table.Fail(op, own)
		if err := call(table); err != own {
			t.Errorf("%s: %v", op, err)
		}
		if count, err := table.Count(ctx); op != ctracktest.Count && (count != 1 || err != nil) {
			t.Errorf("%s: something was done: %d, %v", op, count, err)
		}
		table.Fail(op, nil)
		if err := call(table); err != nil && op != ctracktest.Create {
			t.Errorf("%s: %v", op, err)
		}
	}
}

func TestABatchThatFailsAsAWholeHasAStatusForEach(t *testing.T) {
	table := filled(t, 2)
	table.Fail(ctracktest.DeleteEntries, syscall.EPERM)
	batch, err := table.DeleteEntries(ctx, entries(2))
	want := ctrack.Result{Matched: 2, Failed: 2, FirstError: syscall.EPERM}
	if !errors.Is(err, syscall.EPERM) || batch.Result != want || !slices.Equal(batch.Status, []syscall.Errno{syscall.EPERM, syscall.EPERM}) {
		t.Errorf("%+v, %v", batch, err)
	}
}

func TestSingleEntriesFailAndTheOthersDoNot(t *testing.T) {
	odd := ctrack.Filter{Mark: ctrack.MarkIs(1)}
	table := filled(t, 5)
	for _, op := range []ctracktest.Op{ctracktest.Delete, ctracktest.DeleteEntries, ctracktest.Flush, ctracktest.Update, ctracktest.Get, ctracktest.Create} {
		if err := table.FailEntries(op, odd, ctrack.ErrHidden); err != nil {
			t.Fatal(err)
		}
	}
	if err := table.FailEntries(ctracktest.Delete, ctrack.Filter{Mark: ctrack.MarkMasked(3, 1)}, syscall.EBUSY); !errors.Is(err, syscall.EINVAL) {
		t.Errorf("a wrong filter: %v", err)
	}
	if _, err := table.Get(ctx, entries(2)[1]); !errors.Is(err, ctrack.ErrHidden) {
		t.Error(err)
	}
	batch, err := table.Update(ctx, []ctrack.Change{{Key: entries(2)[0], Mark: ctrack.MarkIs(0)}, {Key: entries(2)[1], Mark: ctrack.MarkIs(0)}})
	if !errors.Is(err, ctrack.ErrHidden) || !slices.Equal(batch.Status, []syscall.Errno{0, ctrack.ErrHidden}) {
		t.Errorf("%+v, %v", batch, err)
	}
	result, err := table.Delete(ctx, ctrack.Filter{Proto: ctrack.Is(ctrack.UDP)})
	want := ctrack.Result{Matched: 5, Done: 3, Failed: 2, FirstError: ctrack.ErrHidden}
	if !errors.Is(err, ctrack.ErrHidden) || result != want {
		t.Errorf("%+v, %v", result, err)
	}
	batch, err = table.DeleteEntries(ctx, entries(2))
	if !errors.Is(err, ctrack.ErrHidden) || !slices.Equal(batch.Status, []syscall.Errno{syscall.ENOENT, ctrack.ErrHidden}) {
		t.Errorf("%+v, %v", batch, err)
	}
	if err := table.FlushAll(ctx); !errors.Is(err, ctrack.ErrHidden) {
		t.Error(err)
	}
	// Somebody else deletes them just before.
	if err := table.FailEntries(ctracktest.Delete, odd, syscall.ENOENT); err != nil {
		t.Fatal(err)
	}
	result, err = table.Delete(ctx, odd)
	if want := (ctrack.Result{Matched: 2, Gone: 2}); err != nil || result != want {
		t.Errorf("%+v, %v", result, err)
	}
	batch, err = table.Create(ctx, entries(2))
	if !errors.Is(err, ctrack.ErrHidden) || !slices.Equal(batch.Status, []syscall.Errno{0, ctrack.ErrHidden}) {
		t.Errorf("%+v, %v", batch, err)
	}
	for _, op := range []ctracktest.Op{ctracktest.Create, ctracktest.Get} {
		if err := table.FailEntries(op, odd, 0); err != nil {
			t.Fatal(err)
		}
	}
	if batch, err := table.Create(ctx, entries(2)[1:]); err != nil || batch.Done != 1 {
		t.Errorf("it does not end: %+v, %v", batch, err)
	}
}

func TestALoopBreaksOffWhereItIsTold(t *testing.T) {
	table := filled(t, 5)
	for _, after := range []int{0, 2, 5, 9} {
		table.FailAfter(after, syscall.EAGAIN)
		seen := 0
		var last error
		for _, err := range table.All(ctx) {
			if last = err; err == nil {
				seen++
			}
		}
		if seen != min(after, 5) || !errors.Is(last, syscall.EAGAIN) {
			t.Errorf("after %d: %d, %v", after, seen, last)
		}
	}
	table.FailAfter(0, nil)
	for _, err := range table.All(ctx) {
		if err != nil {
			t.Error(err)
		}
	}
}

func TestALoopSeesTheTableAsItWasWhileItsBodyChangesIt(t *testing.T) {
	table := filled(t, 600)
	seen := 0
	for _, err := range table.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if seen++; seen == 1 {
			if err := table.FlushAll(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if seen != 600 {
		t.Errorf("%d", seen)
	}
	table = filled(t, 600)
	var last error
	for _, err := range table.All(ctx) {
		last = err
		table.Close()
	}
	if !errors.Is(last, ctrack.ErrClosed) {
		t.Error(last)
	}
}
