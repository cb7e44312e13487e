// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"slices"
	"syscall"
	"testing"
)

// The three entries of the classic scenario, in both families.
func threeEntries() map[string][]ctrack.Entry {
	return map[string][]ctrack.Entry{
		"IPv4": {tcp("1.1.1.1:1", "2.2.2.2:2"), udp("1.1.1.1:4", "2.2.2.2:5"), icmp("1.1.1.1", "2.2.2.2", 3333)},
		"IPv6": {tcp("[1::1]:1", "[2::2]:2"), udp("[1::1]:4", "[2::2]:5"), icmp("1::1", "2::2", 3333)},
	}
}

func TestThreeEntriesInAFreeZoneAreListedAndDeletedOneByOne(t *testing.T) {
	for family, three := range threeEntries() {
		t.Run(family, func(t *testing.T) {
			ns := newNetns(t)
			c := ns.open(ctrack.Options{})
			// The same addresses in other zones are other connections.
			create(t, c, three...)
			create(t, c, inZone(1, three...)...)
			create(t, c, inZone(3, three...)...)
			free, err := c.FreeZone(ctx, 1, 65535)
			if err != nil || free != 2 {
				t.Fatalf("free zone %d, %v; want 2", free, err)
			}
			mine := inZone(free, three...)
			for i := range mine {
				create(t, c, mine...)
				listed := list(t, c, zone(free))
				wantEntries(t, "three", listed, mine)
				at := slices.IndexFunc(listed, func(e ctrack.Entry) bool { return identityOf(e) == identityOf(mine[i]) })
				batch, err := c.DeleteEntries(ctx, listed[at:at+1])
				wantResult(t, "delete one", batch.Result, err, ctrack.Result{Matched: 1, Done: 1})
				two := slices.Delete(slices.Clone(mine), i, i+1)
				left := list(t, c, zone(free))
				wantEntries(t, "the two others", left, two)

				batch, err = c.DeleteEntries(ctx, listed)
				wantResult(t, "delete all", batch.Result, err, ctrack.Result{Matched: 3, Done: 2, Gone: 1})
				for j, status := range batch.Status {
					if want := map[bool]syscall.Errno{true: syscall.ENOENT}[j == at]; status != want {
						t.Fatalf("status of %v: %v, want %v", listed[j], status, want)
					}
				}
				wantEntries(t, "none", list(t, c, zone(free)), nil)
				// By hand and by filter, it is as gone.
				batch, err = c.DeleteEntries(ctx, mine)
				wantResult(t, "delete by hand again", batch.Result, err, ctrack.Result{Matched: 3, Gone: 3})
				result, err := c.Delete(ctx, zone(free))
				wantResult(t, "delete by filter again", result, err, ctrack.Result{})
			}
			wantEntries(t, "zones 1 and 3", list(t, c, zone(1), zone(3)), append(inZone(1, three...), inZone(3, three...)...))
			wantEntries(t, "zone 0", list(t, c, zone(0)), three)
			if n := ns.ConntrackCount(); n != 9 {
				t.Fatalf("conntrack -C says %d, want 9", n)
			}
		})
	}
}

func TestEveryZoneFromZeroTo65535IsAZoneOfItsOwn(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	e := udp("1.1.1.1:1", "2.2.2.2:2")
	zones := []uint16{0, 1, 255, 256, 32767, 32768, 65534, 65535}
	for _, z := range zones {
		create(t, c, e.InZone(z, ctrack.ZoneBoth))
	}
	for i, z := range zones {
		mine := inZone(z, e)
		wantEntries(t, "list of one zone", list(t, c, zone(z)), mine)
		found, err := c.Get(ctx, mine[0])
		if err != nil || found.Zone != z {
			t.Fatalf("get in zone %d: %v, %v", z, found, err)
		}
		if i%2 == 0 {
			result, err := c.Delete(ctx, zone(z))
			wantResult(t, "delete", result, err, ctrack.Result{Matched: 1, Done: 1})
		} else if err := c.Flush(ctx, ctrack.Scope{Zone: ctrack.Is(z)}); err != nil {
			t.Fatal(err)
		}
		if n := count(t, c); n != len(zones)-i-1 {
			t.Fatalf("%d entries are left after zone %d, want %d", n, z, len(zones)-i-1)
		}
	}
	create(t, c, e.InZone(65535, ctrack.ZoneBoth))
	_, err := c.FreeZone(ctx, 65535, 65535)
	wantErrno(t, "free zone", err, syscall.ENOSPC)
	if free, err := c.FreeZone(ctx, 0, 65535); err != nil || free != 0 {
		t.Fatalf("free zone %d, %v", free, err)
	}
}

func TestZonesOfOneDirectionComeAndGoAsSuch(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	var entries []ctrack.Entry
	for port, dir := range []ctrack.ZoneDir{ctrack.ZoneBoth, ctrack.ZoneOrig, ctrack.ZoneReply} {
		e := udp("1.1.1.1:1", "2.2.2.2:2").InZone(7, dir)
		e.Orig.SrcPort = uint16(port)
		entries = append(entries, e)
	}
	create(t, c, entries...)
	listed := list(t, c, zone(7))
	wantEntries(t, "zone 7", listed, entries)
	for _, e := range listed {
		want := map[ctrack.ZoneDir]ctrack.Has{
			ctrack.ZoneBoth: ctrack.HasZone, ctrack.ZoneOrig: ctrack.HasOrigZone, ctrack.ZoneReply: ctrack.HasReplyZone}[e.ZoneDir]
		if bits := e.Has & (ctrack.HasZone | ctrack.HasOrigZone | ctrack.HasReplyZone); bits != want {
			t.Fatalf("%v has %v", e, bits)
		}
	}
	for i, e := range entries {
		for _, dir := range []ctrack.ZoneDir{ctrack.ZoneBoth, ctrack.ZoneOrig, ctrack.ZoneReply} {
			if dir == e.ZoneDir {
				continue
			}
			batch, err := c.DeleteEntries(ctx, []ctrack.Entry{e.InZone(7, dir)})
			wantResult(t, "delete with another direction", batch.Result, err, ctrack.Result{Matched: 1, Gone: 1})
		}
		batch, err := c.DeleteEntries(ctx, []ctrack.Entry{e})
		wantResult(t, "delete", batch.Result, err, ctrack.Result{Matched: 1, Done: 1})
		wantEntries(t, "the others", list(t, c), entries[i+1:])
	}
}

func TestAnEntryWhoseZoneOrIDChangedIsGone(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	e := udp("1.1.1.1:1", "2.2.2.2:2")
	create(t, c, e.InZone(5, ctrack.ZoneBoth))
	listed := list(t, c)[0]
	other := listed
	other.ID ^= 1
	for what, gone := range map[string]ctrack.Entry{
		"another zone": listed.InZone(6, ctrack.ZoneBoth), "zone 0": listed.InZone(0, 0), "another ID": other,
	} {
		batch, err := c.DeleteEntries(ctx, []ctrack.Entry{gone})
		wantResult(t, what, batch.Result, err, ctrack.Result{Matched: 1, Gone: 1})
		_, err = c.Get(ctx, gone)
		wantErrno(t, what, err, syscall.ENOENT)
		batch, err = c.Update(ctx, []ctrack.Change{{Key: gone, Mark: ctrack.MarkIs(1)}})
		wantResult(t, what, batch.Result, err, ctrack.Result{Matched: 1, Gone: 1})
	}
	if now, err := c.Get(ctx, listed); err != nil || now.Mark != 0 || now.ID != listed.ID {
		t.Fatalf("%v, %v", now, err)
	}
	// The bit without the field moved along is refused, and names the field.
	moved := listed
	moved.ZoneDir = ctrack.ZoneOrig
	_, err := c.DeleteEntries(ctx, []ctrack.Entry{moved})
	wantErrno(t, "ZoneDir without Has", err, syscall.EINVAL)
}

func TestUpdatesChangeWhatTheySayAndNothingElse(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	a, b := tcp("1.1.1.1:1", "2.2.2.2:2"), udp("[1::1]:1", "[2::2]:2").InZone(9, ctrack.ZoneReply)
	a.Mark, b.Mark = 0xff00, 0xff00
	create(t, c, a, b)
	listed := list(t, c)
	slices.SortFunc(listed, func(a, b ctrack.Entry) int { return int(a.Proto) - int(b.Proto) })
	gone := ctrack.Key(ctrack.UDP, addrPort("9.9.9.9:1"), addrPort("2.2.2.2:2"))
	batch, err := c.Update(ctx, []ctrack.Change{
		{Key: listed[0], TCPState: ctrack.Is(ctrack.TCPTimeWait), Mark: ctrack.MarkMasked(0x0012, 0x00ff), Timeout: ctrack.Is(a.Timeout / 10)},
		{Key: gone, Mark: ctrack.MarkIs(1)},
		{Key: b, Status: ctrack.Is(listed[1].Status | ctrack.StatusAssured), Mark: ctrack.MarkIs(0)},
	})
	wantResult(t, "update", batch.Result, err, ctrack.Result{Matched: 3, Done: 2, Gone: 1})
	if want := []syscall.Errno{0, syscall.ENOENT, 0}; !slices.Equal(batch.Status, want) {
		t.Fatalf("%v, want %v", batch.Status, want)
	}
	now, err := c.Get(ctx, listed[0])
	if err != nil || now.TCP.State != ctrack.TCPTimeWait || now.Mark != 0xff12 || now.Timeout > a.Timeout/10 || now.ID != listed[0].ID {
		t.Fatalf("%v, %v", now, err)
	}
	now, err = c.Get(ctx, listed[1])
	if err != nil || !now.Status.All(ctrack.StatusAssured) || now.Mark != 0 || now.Timeout <= a.Timeout/10 || now.ZoneDir != ctrack.ZoneReply {
		t.Fatalf("%v, %v", now, err)
	}
}
