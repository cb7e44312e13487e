// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"testing"
)

func TestAFlushTakesItsScopeAndFlushAllTakesEverything(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	v4, v6 := threeEntries()["IPv4"], threeEntries()["IPv6"]
	marked := udp("5.5.5.5:5", "6.6.6.6:6")
	marked.Mark, marked.Status = 0x10, ctrack.StatusSeenReply|ctrack.StatusAssured
	for what, scope := range map[string]ctrack.Scope{
		"mark": {Mark: ctrack.MarkIs(0x10)}, "mask": {Mark: ctrack.MarkMasked(0x10, 0xf0)}, "status": {StatusSet: ctrack.StatusAssured},
	} {
		create(t, c, append(inZone(2, v4...), marked)...)
		if err := c.Flush(ctx, scope); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, what, list(t, c), inZone(2, v4...))
		if err := c.Flush(ctx, ctrack.Scope{Zone: ctrack.Is[uint16](2)}); err != nil {
			t.Fatal(err)
		}
		wantEntries(t, "zone", list(t, c), nil)
	}
	create(t, c, v4...)
	create(t, c, v6...)
	create(t, c, inZone(2, v6...)...)
	if err := c.Flush(ctx, ctrack.Scope{Zone: ctrack.Is[uint16](0), Family: ctrack.Is(ctrack.IPv6)}); err != nil {
		t.Fatal(err)
	}
	wantEntries(t, "zone and family", list(t, c), append(inZone(2, v6...), v4...))
	if err := c.FlushAll(ctx); err != nil || ns.ConntrackCount() != 0 {
		t.Fatalf("%v, %d entries are left", err, ns.ConntrackCount())
	}
}
