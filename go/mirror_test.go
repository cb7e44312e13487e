// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"context"
	"ctrack"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func (ns *netns) mirror(options ctrack.MirrorOptions, filters ...ctrack.Filter) *ctrack.Mirror {
	ns.T.Helper()
	var m *ctrack.Mirror
	var err error
	ns.Do(func() { m, err = ctrack.NewMirror(context.Background(), options, filters...) })
	if err != nil {
		ns.T.Fatal(err)
	}
	ns.T.Cleanup(func() {
		m.Close()
		<-m.Done()
	})
	return m
}

// remembered is what a mirror promises to have of an entry, and what the conntrack program shows of it.
type remembered struct {
	family, proto int
	direction     [2]seenDirection
	assured       bool
	unreplied     bool
	state         string
	mark, zone    string
}

func rememberedOf(s seen) remembered {
	if s.mark == "" {
		s.mark = "0"
	}
	for i := range s.direction {
		s.direction[i].counters = ""
	}
	return remembered{s.family, s.proto, s.direction, s.assured, s.unreplied, s.state, s.mark, s.zone}
}

// wantMirror waits until the mirror has what the conntrack program shows, while nothing changes the table.
func (ns *netns) wantMirror(m *ctrack.Mirror) {
	ns.T.Helper()
	theirs := map[string]remembered{}
	for _, line := range ns.Conntrack("-o", "extended,id") {
		s := fromLine(ns.T, line)
		theirs[s.id] = rememberedOf(s)
	}
	var differences []string
	for range 600 {
		ours := map[string]remembered{}
		for e := range m.All() {
			ours[strconv.Itoa(int(e.ID))] = rememberedOf(fromEntry(e))
		}
		if m.Synced() && maps.Equal(ours, theirs) && m.Len() == len(theirs) {
			return
		}
		differences = []string{fmt.Sprintf("%d entries (Len %d), conntrack has %d; synced: %v, %v", len(ours), m.Len(), len(theirs), m.Synced(), m.Err())}
		for id, e := range theirs {
			if ours[id] != e && len(differences) < 6 {
				differences = append(differences, fmt.Sprintf("%+v, conntrack: %+v", ours[id], e))
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	ns.T.Fatal(strings.Join(differences, "\n"))
}

func seed(t testing.TB) *rand.Rand {
	t.Helper()
	number := uint64(time.Now().UnixNano())
	if text := os.Getenv("CTRACK_SEED"); text != "" {
		var err error
		if number, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CTRACK_SEED=%d", number)
	return rand.New(rand.NewPCG(number, 0))
}

// churn makes, changes and deletes entries of a few keys at random.
func churn(c *ctrack.Conn, random *rand.Rand, rounds int) error {
	for range rounds {
		var entries []ctrack.Entry
		for range 1 + random.IntN(40) {
			address := netip.AddrFrom4([4]byte{10, 1, 0, byte(random.IntN(4))})
			src := netip.AddrPortFrom(address, uint16(1+random.IntN(200)))
			proto := []ctrack.Proto{ctrack.UDP, ctrack.TCP}[random.IntN(2)]
			e := ctrack.Key(proto, src, netip.MustParseAddrPort("10.0.0.2:53"))
			if zone := uint16(random.IntN(3)); zone != 0 {
				e = e.InZone(zone, ctrack.ZoneDir(random.IntN(3)))
			}
			entries = append(entries, e)
		}
		var err error
		switch random.IntN(3) {
		case 0:
			for i := range entries {
				entries[i].Timeout, entries[i].Mark = time.Hour, uint32(random.IntN(2))
				if entries[i].Proto == ctrack.TCP {
					entries[i].TCP.State = ctrack.TCPEstablished
				}
			}
			_, err = c.Create(ctx, entries)
		case 1:
			var changes []ctrack.Change
			for _, e := range entries {
				change := ctrack.Change{Key: e, Mark: ctrack.MarkIs(uint32(random.IntN(4)))}
				if random.IntN(2) == 0 {
					change = ctrack.Change{Key: e, Status: ctrack.Is(ctrack.StatusAssured | ctrack.StatusSeenReply)}
				} else if e.Proto == ctrack.TCP && random.IntN(2) == 0 {
					change = ctrack.Change{Key: e, TCPState: ctrack.Is([]ctrack.TCPState{ctrack.TCPCloseWait, ctrack.TCPEstablished}[random.IntN(2)])}
				}
				changes = append(changes, change)
			}
			_, err = c.Update(ctx, changes)
		case 2:
			_, err = c.DeleteEntries(ctx, entries)
		}
		for _, usual := range []syscall.Errno{syscall.EEXIST, syscall.ENOENT, ctrack.ErrHidden} {
			if errors.Is(err, usual) {
				err = nil
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func TestAMirrorIsTheKernelsTableWhateverWasLost(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	random := seed(t)
	create(t, c, many(500, 5)...)
	var slow atomic.Bool
	m := ns.mirror(ctrack.MirrorOptions{
		Watch: ctrack.WatchOptions{ReceiveBuffer: 64 << 10},
		Changed: func(ctrack.Event) {
			if slow.Load() {
				time.Sleep(time.Millisecond)
			}
		},
	})
	if err := m.WaitSynced(patient(t)); err != nil {
		t.Fatal(err)
	}
	ns.wantMirror(m)
	for round := range 6 {
		slow.Store(round%2 == 1)
		var wait sync.WaitGroup
		for range 2 {
			random := rand.New(rand.NewPCG(random.Uint64(), 0))
			spawn(&wait, func() {
				if err := churn(c, random, 100); err != nil {
					t.Error(err)
				}
			})
		}
		wait.Wait()
		slow.Store(false)
		ns.wantMirror(m)
	}
	if info, err := m.Info(); err != nil || info.Lost == 0 || info.Resyncs == 0 {
		t.Errorf("nothing was lost: %+v, %v", info, err)
	}
	// At rest another list finds nothing new.
	before := m.Len()
	if err := m.Resync(); err != nil {
		t.Fatal(err)
	}
	ns.wantMirror(m)
	if m.Len() != before || m.Err() != nil {
		t.Errorf("%d entries, before %d; %v", m.Len(), before, m.Err())
	}
}

func TestAMirrorAnswersWhatATableDoes(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	create(t, c, many(20, 7)...)
	create(t, c, many(20, 0)...)
	create(t, c, udp("[fd00::1]:1", "[fd00::2]:2").InZone(3, ctrack.ZoneOrig), icmp("10.0.0.1", "10.0.0.2", 9), tcp("10.0.0.1:1", "10.0.0.2:2"))
	m := ns.mirror(ctrack.MirrorOptions{})
	if err := m.WaitSynced(patient(t)); err != nil {
		t.Fatal(err)
	}
	listed := list(t, c)
	if m.Len() != len(listed) {
		t.Errorf("%d entries, want %d", m.Len(), len(listed))
	}
	for _, e := range listed {
		byHand := ctrack.Entry{Proto: e.Proto, Family: e.Family, Orig: e.Orig, Zone: e.Zone, ZoneDir: e.ZoneDir}
		answers := ctrack.Entry{Proto: e.Proto, Family: e.Family, Reply: e.Reply, Zone: e.Zone, ZoneDir: e.ZoneDir}
		keys := map[string]ctrack.Entry{"listed": e, "by hand": byHand, "by its answers": answers}
		if e.Zone == 0 {
			keys["in zone 0 of one direction"] = byHand.InZone(0, ctrack.ZoneOrig)
		}
		for what, key := range keys {
			if found, err := m.Get(key); err != nil || found.ID != e.ID {
				t.Errorf("%s: %v: %v, %v", what, key, found, err)
			}
		}
		for what, change := range map[string]func(*ctrack.Entry){
			"id":    func(e *ctrack.Entry) { e.ID++ },
			"zone":  func(e *ctrack.Entry) { *e = e.InZone(99, ctrack.ZoneBoth) },
			"reply": func(e *ctrack.Entry) { e.Reply.Src = e.Reply.Src.Next() },
			"orig":  func(e *ctrack.Entry) { e.Orig.Dst = e.Orig.Dst.Next() },
		} {
			other := e
			change(&other)
			_, err := m.Get(other)
			wantErrno(t, what, err, syscall.ENOENT)
		}
	}
	selected, err := m.Select(zone(7))
	if err != nil {
		t.Fatal(err)
	}
	wantEntries(t, "selected", selected, many(20, 7))
	_, err = m.Select(ctrack.Filter{OrigDstPort: ctrack.Port(53)})
	wantErrno(t, "a wrong filter", err, syscall.EINVAL)
	_, err = m.Get(ctrack.Entry{})
	wantErrno(t, "a wrong key", err, syscall.EINVAL)
}

func TestAMirrorHoldsWhatIsSelectedAndTellsWhatChanges(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	create(t, c, many(5, 7)...)
	create(t, c, many(5, 8)...)
	told := make(chan ctrack.Event, 100)
	var m *ctrack.Mirror
	ready := make(chan struct{})
	m = ns.mirror(ctrack.MirrorOptions{Changed: func(e ctrack.Event) {
		<-ready
		if e.Kind == ctrack.Destroy {
			if _, err := m.Get(e.Entry); !errors.Is(err, syscall.ENOENT) {
				t.Errorf("it is there still: %v, %v", e, err)
			}
		} else if e.Kind != ctrack.Synced {
			if _, err := m.Get(e.Entry); err != nil {
				t.Errorf("%v: %v", e, err)
			}
		}
		told <- e
	}}, zone(7))
	close(ready)
	for range 6 {
		<-told
	}
	if m.Len() != 5 || !m.Synced() {
		t.Fatalf("%d entries, %v", m.Len(), m.Synced())
	}
	create(t, c, udp("10.7.7.7:1", "10.0.0.2:53").InZone(8, ctrack.ZoneBoth), udp("10.7.7.7:1", "10.0.0.2:53").InZone(7, ctrack.ZoneBoth))
	if e := <-told; e.Kind != ctrack.New || e.Entry.Zone != 7 || m.Len() != 6 {
		t.Errorf("%v, %d entries", e, m.Len())
	}
	if _, err := c.Delete(ctx, zone(7)); err != nil {
		t.Fatal(err)
	}
	for range 6 {
		if e := <-told; e.Kind != ctrack.Destroy {
			t.Errorf("%v", e)
		}
	}
	if m.Len() != 0 {
		t.Errorf("%d entries", m.Len())
	}
}

func TestAMirrorEndsWithItsContextAndWhenItIsClosed(t *testing.T) {
	ns := watchedNetns(t)
	create(t, ns.open(ctrack.Options{}), many(5, 0)...)
	before := descriptors(t)
	for _, end := range []func(*ctrack.Mirror, context.CancelFunc){
		func(m *ctrack.Mirror, _ context.CancelFunc) { m.Close() },
		func(_ *ctrack.Mirror, cancel context.CancelFunc) { cancel() },
	} {
		ending, cancel := context.WithCancel(context.Background())
		var m *ctrack.Mirror
		var err error
		ns.Do(func() { m, err = ctrack.NewMirror(ending, ctrack.MirrorOptions{}) })
		if err != nil {
			t.Fatal(err)
		}
		if err := m.WaitSynced(patient(t)); err != nil {
			t.Fatal(err)
		}
		end(m, cancel)
		<-m.Done()
		if m.Len() != 5 || m.Synced() || !errors.Is(m.Err(), context.Canceled) || !errors.Is(m.WaitSynced(patient(t)), context.Canceled) {
			t.Errorf("%d entries, synced %v, %v", m.Len(), m.Synced(), m.Err())
		}
		m.Close()
		cancel()
		if _, err := ctrack.NewMirror(ending, ctrack.MirrorOptions{}); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, before %d", after, before)
	}
	ns.mirror(ctrack.MirrorOptions{Changed: nil}).Close()
	// By its own hook.
	var m *ctrack.Mirror
	ready := make(chan struct{})
	m = ns.mirror(ctrack.MirrorOptions{Changed: func(ctrack.Event) {
		<-ready
		m.Close()
	}})
	close(ready)
	<-m.Done()
	_, err := ctrack.NewMirror(ctx, ctrack.MirrorOptions{Watch: ctrack.WatchOptions{Kinds: []ctrack.EventKind{ctrack.New}}})
	wantErrno(t, "kinds", err, syscall.EINVAL)
	_, err = ctrack.NewMirror(ctx, ctrack.MirrorOptions{}, ctrack.Filter{OrigDstPort: ctrack.Port(53)})
	wantErrno(t, "filter", err, syscall.EINVAL)
	for _, m := range []*ctrack.Mirror{nil, {}} {
		_, get := m.Get(many(1, 0)[0])
		selected, err := m.Select()
		if m.Len() != 0 || m.Synced() || len(selected) != 0 || err != nil || !errors.Is(get, syscall.ENOENT) || m.Close() != nil ||
			!errors.Is(m.Err(), os.ErrClosed) || !errors.Is(m.WaitSynced(ctx), os.ErrClosed) || !errors.Is(m.Resync(), os.ErrClosed) {
			t.Errorf("one that is none: %v %v", get, err)
		}
	}
}

func TestAMirrorThatHadTooManyEntriesIsSyncedWhenThereIsRoom(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	create(t, c, many(100, 0)...)
	m := ns.mirror(ctrack.MirrorOptions{Watch: ctrack.WatchOptions{MaxEntries: 50}})
	for range 1000 {
		if m.Err() != nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	wantErrno(t, "full", m.Err(), syscall.ENOSPC)
	if _, err := c.DeleteEntries(ctx, many(60, 0)); err != nil {
		t.Fatal(err)
	}
	if err := m.WaitSynced(patient(t)); err != nil {
		t.Fatal(err)
	}
	ns.wantMirror(m)
	if err := m.Err(); err != nil {
		t.Error(err)
	}
}

func TestAMirrorTakesTheMemoryThatItSays(t *testing.T) {
	ns := watchedNetns(t)
	c := ns.open(ctrack.Options{})
	const count = 20_000
	create(t, c, many(count, 0)...)
	memory := func() uint64 {
		runtime.GC()
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	before := memory()
	m := ns.mirror(ctrack.MirrorOptions{})
	if err := m.WaitSynced(patient(t)); err != nil {
		t.Fatal(err)
	}
	each := (memory() - before) / count
	t.Logf("%d bytes for an entry", each)
	if m.Len() != count || each < 300 || each > 700 {
		t.Errorf("%d bytes for each of %d entries", each, m.Len())
	}
}
