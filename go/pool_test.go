// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"
	"time"
)

func TestAHandleThatBecameUnusableIsNotKept(t *testing.T) {
	c, err := Open(Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := descriptorsOf(t)
	for range 3 {
		h, err := c.pool.acquire(context.Background(), "test")
		if err != nil {
			t.Fatal(err)
		}
		if err := h.failed("test", -int(syscall.ENOTRECOVERABLE)); !errors.Is(err, syscall.ENOTRECOVERABLE) {
			t.Error(err)
		}
		c.pool.release(h)
		if h.native != nil || len(c.pool.idle) != 0 {
			t.Fatal("it was kept")
		}
	}
	if after := descriptorsOf(t); after >= before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
}

func TestOnlyAFewIdleHandlesAreKept(t *testing.T) {
	c, err := Open(Options{MaxHandles: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var held []*handle
	for range 10 {
		h, err := c.pool.acquire(context.Background(), "test")
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, h)
	}
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if h, err := c.pool.acquire(short, "test"); h != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("an eleventh: %v", err)
	}
	for _, h := range held {
		c.pool.release(h)
	}
	if len(c.pool.idle) != maxIdleHandles {
		t.Errorf("%d idle handles", len(c.pool.idle))
	}
}

func TestTheNamespaceIsKnownWithoutProcToo(t *testing.T) {
	byProc, err := ownIdentity()
	if err != nil {
		t.Fatal(err)
	}
	fd, err := namespaceOfSocket()
	if err != nil {
		t.Skip(err)
	}
	defer syscall.Close(fd)
	if bySocket, err := identityOf(fd); err != nil || bySocket != byProc {
		t.Errorf("%v, %v; by /proc %v", bySocket, err, byProc)
	}
}

func descriptorsOf(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
