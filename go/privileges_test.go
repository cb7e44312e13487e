// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

const (
	capNetAdmin = 12
	capSysAdmin = 21
)

// dropCapability takes a capability from this thread for good.
func dropCapability(capability uint) error {
	header := struct {
		version uint32
		pid     int32
	}{version: 0x20080522}
	var data [2]struct{ effective, permitted, inheritable uint32 }
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0); errno != 0 {
		return errno
	}
	data[0].effective &^= 1 << capability
	data[0].permitted &^= 1 << capability
	if _, _, errno := syscall.RawSyscall(syscall.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data)), 0); errno != 0 {
		return errno
	}
	return nil
}

func TestWithoutTheCapabilityEveryCallSaysWhichOneIsMissing(t *testing.T) {
	ns := newNetns(t)
	privileged := ns.open(ctrack.Options{})
	three := threeEntries()["IPv4"]
	create(t, privileged, three...)
	listed := list(t, privileged)
	inode := fmt.Sprintf("net:[%d]", inodeOf(t, ns.File))
	var failures []string
	ns.Do(func() {
		if err := dropCapability(capNetAdmin); err != nil {
			failures = append(failures, err.Error())
			return
		}
		refused := func(what string, err error) {
			var details *ctrack.Error
			if !errors.Is(err, syscall.EPERM) || !errors.Is(err, os.ErrPermission) || !errors.As(err, &details) ||
				!strings.Contains(err.Error(), "CAP_NET_ADMIN") || !strings.Contains(err.Error(), inode) {
				failures = append(failures, fmt.Sprintf("%s: %v", what, err))
			}
		}
		// With a long time limit, waiting for answers that do not come would be noticed.
		c, err := ctrack.Open(ctrack.Options{Timeout: time.Minute})
		if err != nil {
			failures = append(failures, "opening needs no privilege: "+err.Error())
			return
		}
		defer c.Close()
		e := three[0]
		_, err = c.List(ctx)
		refused("List", err)
		for _, err := range c.All(ctx) {
			refused("All", err)
		}
		_, err = c.Get(ctx, listed[0])
		refused("Get", err)
		_, err = c.Count(ctx)
		refused("Count", err)
		_, err = c.FreeZone(ctx, 0, 65535)
		refused("FreeZone", err)
		_, err = c.Delete(ctx, zone(0))
		refused("Delete", err)
		_, err = c.DeleteUncounted(ctx, zone(0))
		refused("DeleteUncounted", err)
		refused("Flush", c.Flush(ctx, ctrack.Scope{Zone: ctrack.Is[uint16](0)}))
		refused("FlushAll", c.FlushAll(ctx))
		_, err = c.Update(ctx, []ctrack.Change{{Key: e, Mark: ctrack.MarkIs(1)}})
		refused("Update", err)

		entries := many(10_000, 0)
		for what, call := range map[string]func() (ctrack.Batch, error){
			"Create":        func() (ctrack.Batch, error) { return c.Create(ctx, entries) },
			"DeleteEntries": func() (ctrack.Batch, error) { return c.DeleteEntries(ctx, entries) },
		} {
			batch, err := call()
			refused(what, err)
			want := ctrack.Result{Matched: 10_000, Failed: 10_000, FirstError: syscall.EPERM}
			if batch.Result != want || len(batch.Status) != 10_000 {
				failures = append(failures, fmt.Sprintf("%s: %+v", what, batch.Result))
			}
			for i, status := range batch.Status {
				if status != syscall.EPERM {
					failures = append(failures, fmt.Sprintf("%s: status[%d] is %v", what, i, status))
					break
				}
			}
		}
	})
	for _, failure := range failures {
		t.Error(failure)
	}
	wantEntries(t, "the table", list(t, privileged), three)
}

func TestAnotherNamespaceNeedsCapSysAdminAndTheTextSaysSo(t *testing.T) {
	ns, other := newNetns(t), newNetns(t)
	var err error
	ns.Do(func() {
		if err = dropCapability(capSysAdmin); err == nil {
			_, err = ctrack.Open(ctrack.Options{Namespace: ctrack.NamespaceFD(int(other.File.Fd()))})
		}
	})
	details := wantErrno(t, "open", err, syscall.EPERM)
	if !strings.Contains(details.Text, "CAP_SYS_ADMIN") {
		t.Error(err)
	}
	// The own one needs nothing, by descriptor neither.
	ns.Do(func() {
		var c *ctrack.Conn
		if c, err = ctrack.Open(ctrack.Options{Namespace: ctrack.NamespaceFD(int(ns.File.Fd()))}); err == nil {
			_, err = c.Count(ctx)
			c.Close()
		}
	})
	if err != nil {
		t.Error(err)
	}
}

func TestWithoutProcOpenNeedsTheCapabilityAndTheTextSaysSo(t *testing.T) {
	ns := newNetns(t)
	var with, without, setup error
	ns.Do(func() {
		// A file system of this thread's own, in which /proc is empty.
		if setup = syscall.Unshare(syscall.CLONE_NEWNS); setup != nil {
			return
		}
		if setup = syscall.Mount("none", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); setup != nil {
			return
		}
		if setup = syscall.Mount("none", "/proc", "tmpfs", 0, ""); setup != nil {
			return
		}
		var c *ctrack.Conn
		if c, with = ctrack.Open(ctrack.Options{}); with == nil {
			_, with = c.Count(ctx)
			c.Close()
		}
		if setup = dropCapability(capNetAdmin); setup == nil {
			_, without = ctrack.Open(ctrack.Options{})
		}
	})
	if setup != nil || with != nil {
		t.Fatal(setup, with)
	}
	details := wantErrno(t, "open", without, syscall.EPERM)
	for _, part := range []string{"without /proc this needs CAP_NET_ADMIN in the user namespace that owns", "operation not permitted"} {
		if !strings.Contains(details.Text, part) {
			t.Errorf("%q does not say %q", details.Text, part)
		}
	}
}

func inodeOf(t *testing.T, file *os.File) uint64 {
	t.Helper()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return info.Sys().(*syscall.Stat_t).Ino
}
