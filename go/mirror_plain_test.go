// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack_test

import (
	"context"
	"ctrack"
	"errors"
	"iter"
	"slices"
	"syscall"
	"testing"
)

// script is a Watcher that tells what it is given, and then ends.
type script struct {
	batches [][]ctrack.Event
	errs    []error
}

var errScript = errors.New("the script is over")

func (s *script) Next(_ context.Context, buf []ctrack.Event) (int, error) {
	if len(s.errs) != 0 {
		err := s.errs[0]
		s.errs = s.errs[1:]
		return 0, err
	}
	if len(s.batches) == 0 {
		return 0, errScript
	}
	count := copy(buf, s.batches[0])
	s.batches = s.batches[1:]
	return count, nil
}

func (s *script) Events(context.Context) iter.Seq2[ctrack.Event, error] {
	panic("a mirror reads batches")
}
func (s *script) Wake() error                     { return nil }
func (s *script) Resync() error                   { return nil }
func (s *script) Info() (ctrack.WatchInfo, error) { return ctrack.WatchInfo{}, nil }
func (s *script) Close() error                    { return nil }

// mirrorOfEvents is a mirror that was told all of this.
func mirrorOfEvents(t *testing.T, events ...ctrack.Event) *ctrack.Mirror {
	t.Helper()
	m := ctrack.MirrorOf(ctx, &script{batches: [][]ctrack.Event{events}}, nil)
	<-m.Done()
	if !errors.Is(m.Err(), errScript) || m.Synced() {
		t.Fatalf("%v, synced: %v", m.Err(), m.Synced())
	}
	return m
}

// listed is an entry as the kernel lists it, with an ID.
func listedAs(e ctrack.Entry, id uint32) ctrack.Entry {
	e.Family, e.ID = ctrack.IPv4, id
	e.Has = ctrack.HasOrig | ctrack.HasPorts | ctrack.HasID | ctrack.HasTimeout
	return e
}

func TestWhatAnUpdateDoesNotSayIsKeptUnlessItWasLookedUp(t *testing.T) {
	full := listedAs(tcp("10.0.0.1:1", "10.0.0.2:2"), 5)
	full.Labels, full.Helper, full.Mark = ctrack.LabelSet(3, 70), "ftp", 9
	full.TCP.OrigWindowScale = 7
	full.Has |= ctrack.HasLabels | ctrack.HasHelper | ctrack.HasMark | ctrack.HasTCPState | ctrack.HasTCPWindow
	less := listedAs(ctrack.Key(ctrack.TCP, full.Orig.Source(), full.Orig.Destination()), 5)
	made := ctrack.Event{Kind: ctrack.New, Entry: full}
	changed := ctrack.Event{Kind: ctrack.Update, Entry: less}
	want := full
	// A mark that is not sent is 0.
	want.Mark, want.Timeout, want.Has = 0, less.Timeout, full.Has&^ctrack.HasMark
	if found, err := mirrorOfEvents(t, made, changed).Get(less); err != nil || found != want {
		t.Errorf("%+v, %v; want %+v", found, err, want)
	}
	looked := changed
	looked.Flags = ctrack.Found
	if found, err := mirrorOfEvents(t, made, looked).Get(less); err != nil || found != less {
		t.Errorf("%+v, %v; want %+v", found, err, less)
	}
	again := made
	again.Entry = less
	if found, err := mirrorOfEvents(t, made, ctrack.Event{Kind: ctrack.Destroy, Entry: full}, again).Get(less); err != nil || found != less {
		t.Errorf("%+v, %v; want %+v", found, err, less)
	}
	for what, e := range map[string]ctrack.Entry{
		"sctp": {Proto: ctrack.SCTP, SCTP: ctrack.SCTPInfo{State: 3}, Has: ctrack.HasSCTP},
		"dccp": {Proto: ctrack.DCCP, DCCP: ctrack.DCCPInfo{State: 3}, Has: ctrack.HasDCCP},
	} {
		has := e.Has
		e.Orig = full.Orig
		after := listedAs(e, 5)
		after.SCTP, after.DCCP = ctrack.SCTPInfo{}, ctrack.DCCPInfo{}
		e = listedAs(e, 5)
		e.Has |= has
		m := mirrorOfEvents(t, ctrack.Event{Kind: ctrack.New, Entry: e}, ctrack.Event{Kind: ctrack.Update, Entry: after})
		if found, err := m.Get(after); err != nil || found != e {
			t.Errorf("%s: %+v, %v", what, found, err)
		}
	}
}

func TestEntriesWithOneOriginalTupleAreToldApartByTheirIDs(t *testing.T) {
	var told []ctrack.Event
	key := udp("10.0.0.1:1", "10.0.0.2:53")
	for id := range uint32(4) {
		told = append(told, ctrack.Event{Kind: ctrack.New, Entry: listedAs(key, id)})
	}
	has := func(m *ctrack.Mirror, ids ...uint32) {
		t.Helper()
		var held []uint32
		for e := range m.All() {
			held = append(held, e.ID)
		}
		slices.Sort(held)
		if !slices.Equal(held, ids) || m.Len() != len(ids) {
			t.Errorf("%v (%d), want %v", held, m.Len(), ids)
		}
		for id := range uint32(6) {
			_, err := m.Get(listedAs(key, id))
			if there := slices.Contains(ids, id); there != (err == nil) || !there && !errors.Is(err, syscall.ENOENT) {
				t.Errorf("%d: %v", id, err)
			}
		}
	}
	has(mirrorOfEvents(t, told...), 0, 1, 2, 3)
	for id := range uint32(4) {
		gone := ctrack.Event{Kind: ctrack.Destroy, Entry: listedAs(key, id)}
		rest := slices.DeleteFunc([]uint32{0, 1, 2, 3}, func(other uint32) bool { return other == id })
		has(mirrorOfEvents(t, append(slices.Clone(told), gone, gone)...), rest...)
		has(mirrorOfEvents(t, append(slices.Clone(told), gone, told[id], told[id])...), 0, 1, 2, 3)
	}
	has(mirrorOfEvents(t, append(slices.Clone(told), ctrack.Event{Kind: ctrack.Destroy, Entry: listedAs(key, 5)})...), 0, 1, 2, 3)
}

func TestAnEntryGoesWhateverDirectionItsZoneIsOf(t *testing.T) {
	for _, dir := range []ctrack.ZoneDir{ctrack.ZoneBoth, ctrack.ZoneOrig, ctrack.ZoneReply} {
		e := listedAs(udp("10.0.0.1:1", "10.0.0.2:53"), 1).InZone(7, dir)
		other := listedAs(e, 2).InZone(7, (dir+1)%3)
		m := mirrorOfEvents(t, ctrack.Event{Kind: ctrack.New, Entry: e}, ctrack.Event{Kind: ctrack.New, Entry: other},
			ctrack.Event{Kind: ctrack.Destroy, Flags: ctrack.Found, Entry: e})
		if left, err := m.Get(other); m.Len() != 1 || err != nil || left != other {
			t.Errorf("%v: %d entries, %+v, %v", dir, m.Len(), left, err)
		}
	}
}

func TestAMirrorIsSyncedFromSyncedOnAndUntilSomethingIsLost(t *testing.T) {
	lost, synced := ctrack.Event{Kind: ctrack.Lost}, ctrack.Event{Kind: ctrack.Synced}
	full := &ctrack.Error{Op: "watch", Errno: syscall.ENOSPC, Text: "full"}
	for what, c := range map[string]struct {
		events []ctrack.Event
		errs   []error
		want   bool
	}{
		"nothing": {nil, nil, false}, "synced": {[]ctrack.Event{synced}, nil, true}, "lost": {[]ctrack.Event{synced, lost}, nil, false},
		"repaired": {[]ctrack.Event{synced, lost, synced}, nil, true}, "full before": {[]ctrack.Event{synced}, []error{full}, true},
	} {
		watcher := &script{batches: [][]ctrack.Event{c.events}, errs: c.errs}
		// The first event of the next batch is when this one was taken.
		watcher.batches = append(watcher.batches, []ctrack.Event{{Kind: 99}})
		var m *ctrack.Mirror
		ready := make(chan struct{})
		isSynced, err := false, error(nil)
		m = ctrack.MirrorOf(ctx, watcher, func(e ctrack.Event) {
			<-ready
			if e.Kind == 99 {
				isSynced, err = m.Synced(), m.Err()
				if isSynced && m.WaitSynced(ctx) != nil {
					t.Errorf("%s: synced, but waiting fails", what)
				}
			}
		})
		close(ready)
		<-m.Done()
		if isSynced != c.want || err != nil {
			t.Errorf("%s: %v, %v", what, isSynced, err)
		}
	}
}
