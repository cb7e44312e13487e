// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack_test

import (
	"context"
	"ctrack"
	"errors"
	"maps"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

var ctx = context.Background()

func addr(text string) netip.Addr {
	return netip.MustParseAddr(text)
}

func addrPort(text string) netip.AddrPort {
	return netip.MustParseAddrPort(text)
}

func prefix(text string) netip.Prefix {
	return netip.MustParsePrefix(text)
}

// lasting is the entry with a timeout that outlives every test.
func lasting(e ctrack.Entry) ctrack.Entry {
	e.Timeout = 10 * time.Hour
	return e
}

func udp(src, dst string) ctrack.Entry {
	return lasting(ctrack.Key(ctrack.UDP, addrPort(src), addrPort(dst)))
}

func tcp(src, dst string) ctrack.Entry {
	e := lasting(ctrack.Key(ctrack.TCP, addrPort(src), addrPort(dst)))
	e.TCP.State = ctrack.TCPEstablished
	return e
}

func icmp(src, dst string, id uint16) ctrack.Entry {
	e := lasting(ctrack.ICMPKey(addr(src), addr(dst), 8, 0, id))
	if e.Proto == ctrack.ICMPv6 {
		e.Orig.ICMPType = 128
	}
	return e
}

func inZone(zone uint16, entries ...ctrack.Entry) []ctrack.Entry {
	var moved []ctrack.Entry
	for _, e := range entries {
		moved = append(moved, e.InZone(zone, ctrack.ZoneBoth))
	}
	return moved
}

// many UDP entries with different source ports and addresses.
func many(count int, zone uint16) []ctrack.Entry {
	entries := make([]ctrack.Entry, count)
	for i := range entries {
		e := udp("10.0.0.1:1", "10.255.0.1:53").InZone(zone, ctrack.ZoneBoth)
		e.Orig.Src = netip.AddrFrom4([4]byte{10, byte(i >> 24), byte(i >> 16), 1})
		e.Orig.SrcPort = uint16(i)
		entries[i] = e
	}
	return entries
}

// create makes entries, all of which must succeed.
func create(t testing.TB, c *ctrack.Conn, entries ...ctrack.Entry) {
	t.Helper()
	batch, err := c.Create(ctx, entries)
	if err != nil {
		for i, status := range batch.Status {
			if status != 0 {
				t.Fatalf("%v: %v (%v)", entries[i], status, err)
			}
		}
		t.Fatal(err)
	}
	if batch.Done != len(entries) {
		t.Fatalf("%d of %d entries were created", batch.Done, len(entries))
	}
}

func list(t testing.TB, c *ctrack.Conn, filters ...ctrack.Filter) []ctrack.Entry {
	t.Helper()
	entries, err := c.List(ctx, filters...)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func count(t testing.TB, c *ctrack.Conn) int {
	t.Helper()
	count, err := c.Count(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return count
}

func zone(zone uint16) ctrack.Filter {
	return ctrack.Filter{Zone: ctrack.Is(zone)}
}

// identity is what tells connections apart.
type identity struct {
	family ctrack.Family
	proto  ctrack.Proto
	orig   ctrack.Tuple
	zone   uint16
	dir    ctrack.ZoneDir
}

func identityOf(e ctrack.Entry) identity {
	family := ctrack.IPv4
	if e.Orig.Src.Is6() {
		family = ctrack.IPv6
	}
	return identity{family, e.Proto, e.Orig, e.Zone, e.ZoneDir}
}

// identities of entries, which must all be different.
func identities(t testing.TB, entries []ctrack.Entry) map[identity]bool {
	t.Helper()
	set := make(map[identity]bool, len(entries))
	for _, e := range entries {
		if set[identityOf(e)] {
			t.Fatalf("%v comes twice", e)
		}
		set[identityOf(e)] = true
	}
	return set
}

// wantEntries fails unless exactly these are listed.
func wantEntries(t testing.TB, what string, got, want []ctrack.Entry) {
	t.Helper()
	have, expected := identities(t, got), identities(t, want)
	if maps.Equal(have, expected) {
		return
	}
	for id := range have {
		if !expected[id] {
			t.Errorf("%s: unexpected: %v", what, id)
		}
	}
	for id := range expected {
		if !have[id] {
			t.Errorf("%s: missing: %v", what, id)
		}
	}
	t.FailNow()
}

func wantResult(t testing.TB, what string, got ctrack.Result, err error, want ctrack.Result) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if got != want {
		t.Fatalf("%s: %+v, want %+v", what, got, want)
	}
}

func wantErrno(t testing.TB, what string, err error, errno syscall.Errno) *ctrack.Error {
	t.Helper()
	var details *ctrack.Error
	if !errors.Is(err, errno) || !errors.As(err, &details) || details.Errno != errno || details.Op == "" || details.Text == "" {
		t.Fatalf("%s: %#v, want an Error with %v", what, err, errno)
	}
	return details
}

// descriptors counts those of the process.
func descriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// spawn runs something on a goroutine that the group waits for.
func spawn(wait *sync.WaitGroup, run func()) {
	wait.Add(1)
	go func() {
		defer wait.Done()
		run()
	}()
}
