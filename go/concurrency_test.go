// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"context"
	"ctrack"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestEntriesCanBeDeletedInsideALoopOverAll(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	entries := many(3000, 4)
	create(t, c, entries...)
	seen := map[identity]bool{}
	for e, err := range c.All(ctx, zone(4)) {
		if err != nil {
			t.Fatal(err)
		}
		seen[identityOf(e)] = true
		batch, err := c.DeleteEntries(ctx, []ctrack.Entry{e})
		wantResult(t, "delete", batch.Result, err, ctrack.Result{Matched: 1, Done: 1})
	}
	if len(seen) != len(entries) || count(t, c) != 0 {
		t.Fatalf("%d of %d were seen, %d are left", len(seen), len(entries), count(t, c))
	}
}

func TestALoopCanBeLeftEarlyInEveryWay(t *testing.T) {
	ns := newNetns(t)
	// With one handle, one that is not given back would be missed at once.
	c := ns.open(ctrack.Options{MaxHandles: 1, Timeout: 200 * time.Millisecond})
	create(t, c, many(2000, 0)...)
	whole := func(what string) {
		t.Helper()
		if n := len(list(t, c)); n != 2000 {
			t.Fatalf("%s: then %d entries are listed", what, n)
		}
	}
	// A handle opens what it needs as it first lists.
	whole("at first")
	before := descriptors(t)
	for _, after := range []int{1, 255, 256, 257, 1999, 2000} {
		n := 0
		for _, err := range c.All(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if n++; n == after {
				break
			}
		}
		whole("break")
	}
	func() {
		defer func() {
			if recover() != "left" {
				t.Error("the panic of the body was lost")
			}
		}()
		for range c.All(ctx) {
			panic("left")
		}
	}()
	whole("panic")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range c.All(ctx) {
			runtime.Goexit()
		}
	}()
	<-done
	whole("Goexit")

	cancelled, cancel := context.WithCancel(ctx)
	defer cancel()
	n := 0
	var last error
	for _, err := range c.All(cancelled) {
		if last = err; err == nil {
			n++
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) || n == 0 || n > 256 {
		t.Fatalf("cancelled: %d entries, then %v", n, last)
	}
	whole("cancelled")
	if after := descriptors(t); after != before {
		t.Fatalf("%d descriptors, before %d", after, before)
	}
}

func TestACallWithAContextThatHasEndedDoesNothing(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	create(t, c, many(10, 1)...)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	_, err := c.Delete(ended, zone(1))
	_, err2 := c.List(ended)
	if !errors.Is(err, context.Canceled) || !errors.Is(err2, context.Canceled) || count(t, c) != 10 {
		t.Fatalf("%v, %v, %d entries", err, err2, count(t, c))
	}
}

func TestMoreLoopsInsideLoopsThanHandlesEndInAnError(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{MaxHandles: 2, Timeout: 200 * time.Millisecond})
	create(t, c, many(10, 0)...)
	nested := func(inner context.Context) (err error) {
		for _, e := range c.All(ctx) {
			if e != nil {
				return e
			}
			for _, e := range c.All(ctx) {
				if e != nil {
					return e
				}
				_, err = c.Count(inner)
				break
			}
			break
		}
		return err
	}
	details := wantErrno(t, "without a deadline", nested(ctx), syscall.EBUSY)
	if !strings.Contains(details.Text, "all 2 handles") {
		t.Error(details)
	}
	soon, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if err := nested(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline: %v", err)
	}
	if count(t, c) != 10 {
		t.Error("the handles were not given back")
	}
}

func TestManyGoroutinesShareAConn(t *testing.T) {
	ns := newNetns(t)
	before := descriptors(t)
	c := ns.open(ctrack.Options{MaxHandles: 3})
	const each = 500
	var wait sync.WaitGroup
	for z := range uint16(12) {
		spawn(&wait, func() {
			mine := many(each, z+1)
			if _, err := c.Create(ctx, mine); err != nil {
				t.Error(err)
				return
			}
			listed, err := c.List(ctx, zone(z+1))
			if err != nil || len(listed) != each {
				t.Errorf("zone %d: %d entries, %v", z+1, len(listed), err)
			}
			for _, e := range listed {
				if e.Zone != z+1 {
					t.Errorf("zone %d: got %v of somebody else", z+1, e)
					return
				}
			}
			if result, err := c.Delete(ctx, zone(z+1)); err != nil || result.Done != each {
				t.Errorf("zone %d: %+v, %v", z+1, result, err)
			}
		})
	}
	wait.Wait()
	if n := count(t, c); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	c.Close()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

func TestClosingAConnInUseEndsEveryCallAndLeaksNothing(t *testing.T) {
	ns := newNetns(t)
	before := descriptors(t)
	for range 20 {
		c := ns.open(ctrack.Options{MaxHandles: 3})
		if n, err := c.Count(ctx); err != nil || n == 0 {
			create(t, c, many(5000, 2)...)
		}
		var wait sync.WaitGroup
		started := make(chan struct{}, 8)
		for i := range 8 {
			spawn(&wait, func() {
				started <- struct{}{}
				for {
					var err error
					if i%2 == 0 {
						_, err = c.List(ctx, zone(2))
					} else {
						for _, err = range c.All(ctx) {
							if err != nil {
								break
							}
						}
					}
					if errors.Is(err, ctrack.ErrClosed) && errors.Is(err, os.ErrClosed) {
						return
					}
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		for range 8 {
			<-started
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if _, err := c.Count(ctx); !errors.Is(err, ctrack.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		wait.Wait()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if after := descriptors(t); after != before {
		t.Fatalf("%d descriptors, before %d", after, before)
	}
}

func TestClosingInsideALoopEndsItWithErrClosed(t *testing.T) {
	ns := newNetns(t)
	before := descriptors(t)
	c := ns.open(ctrack.Options{})
	create(t, c, many(1000, 0)...)
	n := 0
	var last error
	for _, err := range c.All(ctx) {
		if last = err; err == nil {
			n++
			c.Close()
		}
	}
	if !errors.Is(last, ctrack.ErrClosed) || n == 0 || n > 256 {
		t.Fatalf("%d entries, then %v", n, last)
	}
	if after := descriptors(t); after != before {
		t.Fatalf("%d descriptors, before %d", after, before)
	}
}
