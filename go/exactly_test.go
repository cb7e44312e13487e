// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/nstest"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// dnat is the entry with a reply that comes from another address.
func dnat(e ctrack.Entry, from string) ctrack.Entry {
	server := addrPort(from)
	e.Status |= ctrack.StatusDstNAT
	e.Reply = ctrack.Tuple{Src: server.Addr(), SrcPort: server.Port(), Dst: e.Orig.Src, DstPort: e.Orig.SrcPort}
	return e
}

func TestTheSuccessorOfAListedEntryIsNeverDeletedInItsPlace(t *testing.T) {
	c := newNetns(t).open(ctrack.Options{})
	plain := udp("1.1.1.1:1000", "2.2.2.2:53")
	same := 0
	for i := range 200 {
		create(t, c, plain)
		old := list(t, c)[0]
		wantDeleted(t, c, old)
		create(t, c, dnat(plain, "3.3.3.3:53"))
		next := list(t, c)[0]
		if old.ID == next.ID {
			same++
		}
		batch, err := c.DeleteEntries(ctx, []ctrack.Entry{old})
		wantResult(t, "delete the old one", batch.Result, err, ctrack.Result{Matched: 1, Gone: 1})
		if now := list(t, c); len(now) != 1 || now[0].ID != next.ID {
			t.Fatalf("round %d: %v is left", i, now)
		}
		wantDeleted(t, c, next)
	}
	t.Logf("%d of 200 with the same ID", same)
}

func wantDeleted(t *testing.T, c *ctrack.Conn, e ctrack.Entry) {
	t.Helper()
	batch, err := c.DeleteEntries(ctx, []ctrack.Entry{e})
	wantResult(t, "delete", batch.Result, err, ctrack.Result{Matched: 1, Done: 1})
}

func TestWhatIsNoLongerSelectedWhenItsTurnComesIsSparedAndCounted(t *testing.T) {
	c := newNetns(t).open(ctrack.Options{})
	const size = 20_000
	entries := many(size, 0)
	changes := make([]ctrack.Change, size)
	for i := range entries {
		entries[i].Mark = 1
		// All over the table.
		changes[i] = ctrack.Change{Mark: ctrack.MarkIs(2)}
		changes[i].Key = entries[i*7919%size]
		changes[i].Key.Mark, changes[i].Key.Timeout = 0, 0
	}
	create(t, c, entries...)
	var stop atomic.Bool
	var wait sync.WaitGroup
	spawn(&wait, func() {
		for i := 0; i+32 <= size && !stop.Load(); i += 32 {
			if _, err := c.Update(ctx, changes[i:i+32]); err != nil {
				t.Error(err)
			}
		}
	})
	result, err := c.Delete(ctx, ctrack.Filter{Mark: ctrack.MarkIs(1)})
	stop.Store(true)
	wait.Wait()
	if err != nil || result.Matched != result.Done+result.Gone+result.Failed+result.Spared || result.Failed != 0 {
		t.Fatalf("%+v, %v", result, err)
	}
	if result.Spared == 0 {
		t.Fatal("nothing changed meanwhile, so that nothing was shown")
	}
	left := list(t, c)
	for _, e := range left {
		if e.Mark != 2 {
			t.Errorf("%v is left", e)
		}
	}
	if len(left) != size-result.Done {
		t.Errorf("%d are left after %+v", len(left), result)
	}
	t.Logf("%+v", result)
}

func TestAnEntryThatNoRequestCanReachIsToldAsHidden(t *testing.T) {
	c := newNetns(t).open(ctrack.Options{})
	target := udp("1.1.1.1:1000", "2.2.2.2:53")
	target.Mark = 42
	mirror := udp("2.2.2.2:53", "1.1.1.1:1000").InZone(7, ctrack.ZoneReply)
	reversed := udp("7.7.7.7:7", "7.7.7.8:7").InZone(9, ctrack.ZoneOrig)
	reversed.Reply = target.Orig
	create(t, c, target, mirror, reversed)
	var listed ctrack.Entry
	for _, e := range list(t, c) {
		if e.Mark == 42 {
			listed = e
		}
	}
	if now, err := c.Get(ctx, listed); err != nil || now.ID != listed.ID {
		t.Fatalf("%v, %v", now, err)
	}
	batch, err := c.DeleteEntries(ctx, []ctrack.Entry{listed})
	if !errors.Is(err, ctrack.ErrHidden) || len(batch.Status) != 1 || batch.Status[0] != ctrack.ErrHidden || batch.Failed != 1 {
		t.Fatalf("%+v, %v", batch, err)
	}
	details := wantErrno(t, "delete", err, ctrack.ErrHidden)
	if !strings.Contains(details.Text, "cannot be reached") || strings.Contains(details.Text, "CT_") {
		t.Error(details.Text)
	}
	_, err = c.Update(ctx, []ctrack.Change{{Key: listed, Mark: ctrack.MarkIs(43)}})
	wantErrno(t, "update", err, ctrack.ErrHidden)
	if n := count(t, c); n != 3 {
		t.Errorf("%d entries are left", n)
	}
}

func TestTwoThatEachAddLabelsDoNotUndoEachOther(t *testing.T) {
	nstest.Need(t, "nft")
	ns := newNetns(t)
	ns.Feed("table inet l {\nchain c {\ntype filter hook output priority 0;\nct label set 1\n}\n}\n", "nft", "-f", "-")
	c := ns.open(ctrack.Options{})
	create(t, c, udp("1.1.1.1:1", "2.2.2.2:2"))
	key := ctrack.Key(ctrack.UDP, addrPort("1.1.1.1:1"), addrPort("2.2.2.2:2"))
	update := func(change ctrack.Change) {
		change.Key = key
		if batch, err := c.Update(ctx, []ctrack.Change{change}); err != nil || batch.Done != 1 {
			t.Errorf("%+v, %v", batch, err)
		}
	}
	var wait sync.WaitGroup
	for agent := range 2 {
		spawn(&wait, func() {
			for label := agent; label < 128; label += 2 {
				update(ctrack.Change{AddLabels: ctrack.Is(ctrack.LabelSet(label))})
			}
		})
	}
	wait.Wait()
	now := list(t, c)[0].Labels
	for label := range 128 {
		if !now.Has(label) {
			t.Errorf("label %d was lost", label)
		}
	}
	update(ctrack.Change{RemoveLabels: ctrack.Is(ctrack.LabelSet(3, 127))})
	now = list(t, c)[0].Labels
	if now.Has(3) || now.Has(127) || !now.Has(2) || !now.Has(126) {
		t.Error(now)
	}
	update(ctrack.Change{Labels: ctrack.Is(ctrack.LabelSet(5))})
	if now = list(t, c)[0].Labels; now != ctrack.LabelSet(5) {
		t.Error(now)
	}
	_, err := c.Update(ctx, []ctrack.Change{{Key: key, Labels: ctrack.Is(ctrack.LabelSet(1)), AddLabels: ctrack.Is(ctrack.LabelSet(2))}})
	if details := wantErrno(t, "two ways", err, syscall.EINVAL); !strings.Contains(details.Text, "entry[0].labels") {
		t.Error(details)
	}
}

func TestAListedEntryWithAStatusBitOfALaterKernelIsAKeyLikeAnyOther(t *testing.T) {
	c := newNetns(t).open(ctrack.Options{})
	create(t, c, udp("1.1.1.1:1", "2.2.2.2:2"))
	listed := list(t, c)[0]
	listed.Status |= 1 << 20
	if now, err := c.Get(ctx, listed); err != nil || now.ID != listed.ID {
		t.Errorf("%v, %v", now, err)
	}
	batch, err := c.Update(ctx, []ctrack.Change{{Key: listed, Mark: ctrack.MarkIs(1)}})
	wantResult(t, "update", batch.Result, err, ctrack.Result{Matched: 1, Done: 1})
	wantDeleted(t, c, listed)
}

func TestAStartOnOneSideOnlyMeansAnotherEntryAndNoneOnEitherSideIsTold(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{CompareStart: true})
	plain := udp("1.1.1.1:1", "2.2.2.2:2")
	for _, kept := range [][2]string{{"0", "1"}, {"1", "0"}} {
		ns.Sysctl("nf_conntrack_timestamp", kept[0])
		create(t, c, plain)
		old := list(t, c)[0]
		want := ctrack.Result{Matched: 1, Done: 1, StartUnknown: kept[0] == "0"}
		batch, err := c.DeleteEntries(ctx, []ctrack.Entry{old})
		wantResult(t, "delete", batch.Result, err, want)
		ns.Sysctl("nf_conntrack_timestamp", kept[1])
		create(t, c, plain)
		batch, err = c.DeleteEntries(ctx, []ctrack.Entry{old})
		wantResult(t, "delete the old one", batch.Result, err, ctrack.Result{Matched: 1, Gone: 1})
		if err := c.FlushAll(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
