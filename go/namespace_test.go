// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/nstest"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
)

func TestANamespaceCanBeGivenByDescriptorAndByPath(t *testing.T) {
	ns, other := newNetns(t), newNetns(t)
	path := fmt.Sprintf("/proc/self/fd/%d", other.File.Fd())
	create(t, other.open(ctrack.Options{}), many(7, 0)...)
	before := descriptors(t)
	for what, namespace := range map[string]ctrack.Namespace{
		"descriptor": ctrack.NamespaceFD(int(other.File.Fd())), "path": ctrack.NamespacePath(path),
	} {
		// Opened in one namespace, used in another, for a third.
		c := ns.open(ctrack.Options{Namespace: namespace})
		wantEntries(t, what, list(t, c), many(7, 0))
		for _, err := range c.All(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			// A second handle, opened by this thread.
			if n := count(t, c); n != 7 {
				t.Fatalf("%s: %d entries", what, n)
			}
			break
		}
		c.Close()
	}
	if n := ns.ConntrackCount(); n != 0 {
		t.Errorf("the wrong namespace has %d entries", n)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

func TestTheGivenDescriptorStaysTheCallers(t *testing.T) {
	ns := newNetns(t)
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", ns.File.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	c, err := ctrack.Open(ctrack.Options{Namespace: ctrack.NamespaceFD(int(file.Fd()))})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// It is not needed any more, and not closed by others.
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	create(t, c, many(3, 0)...)
	if n := ns.ConntrackCount(); n != 3 {
		t.Fatalf("%d entries", n)
	}
}

func TestAConnStaysInItsNamespaceWhateverThreadsUseIt(t *testing.T) {
	ns := newNetns(t)
	others := []*netns{newNetns(t), newNetns(t), newNetns(t)}
	c := ns.open(ctrack.Options{MaxHandles: 16})
	create(t, c, many(100, 0)...)
	var wait sync.WaitGroup
	check := func(on string) {
		// Loops hold their handles, so that new ones must be opened.
		for _, err := range c.All(ctx) {
			if err != nil {
				t.Errorf("%s: %v", on, err)
				return
			}
			if n, err := c.Count(ctx); err != nil || n != 100 {
				t.Errorf("%s: %d entries, %v", on, n, err)
			}
			break
		}
	}
	for i, other := range others {
		for range 3 {
			spawn(&wait, func() { other.Do(func() { check(fmt.Sprint("namespace ", i)) }) })
		}
		spawn(&wait, func() { check("a thread of the runtime") })
		spawn(&wait, func() {
			// A thread that wanders off, and ends with its goroutine.
			runtime.LockOSThread()
			if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
				t.Error(err)
			}
			check("a thread in a new namespace")
		})
	}
	wait.Wait()
	for _, other := range others {
		if n := other.ConntrackCount(); n != 0 {
			t.Errorf("another namespace has %d entries", n)
		}
	}
	if n := ns.ConntrackCount(); n != 100 {
		t.Errorf("%d entries", n)
	}
}

func TestAConnKeepsItsNamespaceAlive(t *testing.T) {
	nstest.Need(t, "ip")
	opened := make(chan *ctrack.Conn)
	go func() {
		runtime.LockOSThread()
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		c, err := ctrack.Open(ctrack.Options{})
		if err != nil {
			t.Error(err)
		}
		opened <- c
	}()
	c := <-opened
	if c == nil {
		t.FailNow()
	}
	defer c.Close()
	create(t, c, many(5, 0)...)
	for _, err := range c.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		if n := count(t, c); n != 5 {
			t.Fatalf("%d entries", n)
		}
	}
}
