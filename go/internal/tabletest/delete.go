// SPDX-License-Identifier: MIT OR Apache-2.0

package tabletest

import (
	"ctrack"
	"syscall"
)

func deletes(t *table) {
	all := several()
	t.make(all...)
	result, err := t.Delete(ctx, zone(7), but(ctrack.Filter{OrigZone: ctrack.Is[uint16](0)}))
	t.did("one zone but", result, err, 2)
	t.holds("one zone but", append(append([]ctrack.Entry{}, all[:6]...), all[8:]...)...)
	result, err = t.Delete(ctx, ctrack.DeadEndpoint(host("10.0.0.3").Addr(), host("fd00::1").Addr())...)
	t.did("dead endpoints", result, err, 4)
	result, err = t.Delete(ctx, zone(4711))
	t.did("nothing", result, err, 0)
	result, err = t.DeleteUncounted(ctx, ctrack.Filter{Proto: ctrack.Is(ctrack.UDP)})
	if err != nil || result.Failed != 0 || !result.Uncounted && result.Done != 2 {
		t.Errorf("uncounted: %+v, %v", result, err)
	}
	t.holds("in the end", all[1], all[2], all[10])
}

func refusesEverything(t *table) {
	t.make(several()...)
	for what, filters := range map[string][]ctrack.Filter{
		"none": nil, "empty": {{}}, "one empty": {zone(7), {}}, "only excluding": {but(zone(7))}, "confirmed": {{StatusSet: ctrack.StatusConfirmed}},
		"no mark": {{Mark: ctrack.MarkMasked(0, 0)}}, "an id": {{ID: ctrack.Is[uint32](1)}}, "excludes everything": {zone(7), but(ctrack.Filter{})},
	} {
		result, err := t.Delete(ctx, filters...)
		t.fails(what, err, syscall.EINVAL, "ctrack: delete: filter")
		_, uncounted := t.DeleteUncounted(ctx, filters...)
		t.fails(what, uncounted, syscall.EINVAL, "ctrack: delete: filter")
		if result != (ctrack.Result{}) {
			t.Errorf("%s: %+v", what, result)
		}
	}
	for text, scope := range map[string]ctrack.Scope{
		"scope: limits nothing; to flush everything use FlushAll": {}, "scope.family: 3 is neither IPv4 nor IPv6": {Family: ctrack.Is(ctrack.Family(3))},
		"scope.mark: 0x1 has bits outside": {Mark: ctrack.MarkMasked(1, 0)},
	} {
		t.fails(text, t.Flush(ctx, scope), syscall.EINVAL, "ctrack: flush: "+text)
	}
	t.holds("all", several()...)
}

func deletesEntries(t *table) {
	all := several()
	t.make(all...)
	listed := t.list()
	stale := listed[0]
	stale.ID++
	elsewhere := all[1].InZone(9, ctrack.ZoneBoth)
	batch, err := t.DeleteEntries(ctx, []ctrack.Entry{stale, elsewhere, listed[1], listed[1], udp("1.1.1.1:1", "2.2.2.2:2")})
	t.statuses("mixed", batch, syscall.ENOENT, syscall.ENOENT, 0, syscall.ENOENT, syscall.ENOENT)
	if err != nil {
		t.Error("what is gone is no failure: ", err)
	}
	left := t.list()
	if len(left) != len(all)-1 {
		t.Errorf("%d are left", len(left))
	}
	batch, err = t.DeleteEntries(ctx, left)
	if err != nil || batch.Done != len(left) || len(t.list()) != 0 {
		t.Errorf("%+v, %v", batch, err)
	}
	batch, err = t.DeleteEntries(ctx, nil)
	if err != nil || batch.Matched != 0 || batch.Status != nil {
		t.Errorf("none: %+v, %v", batch, err)
	}
	// A successor has another id.
	t.make(all[0])
	before := t.list()
	if err := t.FlushAll(ctx); err != nil {
		t.Fatal(err)
	}
	next := all[0]
	next.Mark = 5
	t.make(udp("10.9.9.9:9", "10.9.9.8:9"), next)
	if now := t.list(ctrack.Filter{Mark: ctrack.MarkIs(5)}); now[0].ID != before[0].ID {
		batch, err = t.DeleteEntries(ctx, before)
		t.statuses("successor", batch, syscall.ENOENT)
		if err != nil || len(t.list()) != 2 {
			t.Errorf("a successor was deleted: %v", err)
		}
	}
}
