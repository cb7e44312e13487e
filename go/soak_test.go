// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"errors"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// soakTime is CTRACK_SOAK, for example 60s; 0 leaves the soak out.
func soakTime(t *testing.T) time.Duration {
	text := os.Getenv("CTRACK_SOAK")
	if text == "" {
		return 5 * time.Second
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	if length == 0 {
		t.Skip("CTRACK_SOAK is 0")
	}
	return length
}

// resident is the memory of the process in bytes.
func resident(t testing.TB) int {
	t.Helper()
	runtime.GC()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.Atoi(strings.Fields(string(text))[1])
	if err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

func TestTenGoroutinesOnOneConnForAWhile(t *testing.T) {
	length := soakTime(t)
	ns := newNetns(t)
	ns.LongTimeouts()
	before := descriptors(t)
	c := ns.open(ctrack.Options{MaxHandles: 6})
	var wait sync.WaitGroup
	rounds := make([]int, 10)
	start := time.Now()
	for worker := range rounds {
		spawn(&wait, func() {
			for time.Since(start) < length {
				if err := soakRound(c, uint16(worker+1), rounds[worker]); err != nil {
					t.Errorf("zone %d, round %d: %v", worker+1, rounds[worker], err)
					return
				}
				rounds[worker]++
			}
		})
	}
	// The first third brings everything to its size.
	time.Sleep(length / 3)
	warm := resident(t)
	wait.Wait()
	if n := count(t, c); n != 0 || ns.ConntrackCount() != 0 {
		t.Errorf("%d entries are left", n)
	}
	if grown := resident(t) - warm; grown > 64<<20 {
		t.Errorf("grew by %d bytes from %d", grown, warm)
	}
	c.Close()
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
	t.Log("rounds: ", rounds)
}

// soakRound fills a zone, looks at it in one way or the other, and empties it in one way or the other.
func soakRound(c *ctrack.Conn, z uint16, round int) error {
	size := 100 + round*37%900
	if _, err := c.Create(ctx, many(size, z)); err != nil {
		return err
	}
	listed, err := look(c, z, round)
	if err != nil {
		return err
	}
	if len(listed) != size {
		return errors.New(strconv.Itoa(len(listed)) + " entries are listed, not " + strconv.Itoa(size))
	}
	for _, e := range listed {
		if e.Zone != z {
			return errors.New("an entry of somebody else: " + e.String())
		}
	}
	want := ctrack.Result{Matched: size, Done: size}
	var result ctrack.Result
	switch round % 3 {
	case 0:
		result, err = c.Delete(ctx, zone(z))
	case 1:
		var batch ctrack.Batch
		batch, err = c.DeleteEntries(ctx, listed)
		result = batch.Result
	default:
		err, result = c.Flush(ctx, ctrack.Scope{Zone: ctrack.Is(z)}), want
	}
	if err != nil {
		return err
	}
	if result != want {
		return errors.New("not everything was deleted")
	}
	if listed, err = c.List(ctx, zone(z)); err == nil && len(listed) != 0 {
		err = errors.New(strconv.Itoa(len(listed)) + " entries are left")
	}
	return err
}

// look lists a zone, or streams it.
func look(c *ctrack.Conn, z uint16, round int) (listed []ctrack.Entry, err error) {
	if round%2 == 0 {
		return c.List(ctx, zone(z))
	}
	for {
		listed = nil
		for e, broken := range c.All(ctx, zone(z)) {
			if err = broken; err == nil {
				listed = append(listed, e)
			}
		}
		// Another program may be resizing the hash table, which is one for the whole machine.
		if !errors.Is(err, syscall.EAGAIN) {
			return listed, err
		}
	}
}
