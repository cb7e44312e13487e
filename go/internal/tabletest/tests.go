// SPDX-License-Identifier: MIT OR Apache-2.0

package tabletest

import (
	"context"
	"ctrack"
	"ctrack/internal/errnos"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
)

func lists(t *table) {
	full := tcp("10.0.0.1:1", "10.0.0.2:80").InZone(7, ctrack.ZoneOrig)
	full.Mark, full.Status, full.Labels = 0x17, ctrack.StatusSeenReply|ctrack.StatusAssured, ctrack.LabelSet(0, 64, 127)
	full.TCP = ctrack.TCPInfo{State: ctrack.TCPCloseWait, OrigWindowScale: 7, ReplyWindowScale: 14,
		OrigFlags: ctrack.TCPWindowScale | ctrack.TCPSackPermitted, ReplyFlags: ctrack.TCPWindowScale}
	sctp := udp("[fd00::1]:1", "[fd00::2]:80")
	sctp.Proto, sctp.SCTP = ctrack.SCTP, ctrack.SCTPInfo{State: ctrack.SCTPEstablished, OrigTag: 1, ReplyTag: 2}
	other := udp("10.0.0.1:0", "10.0.0.2:0")
	other.Proto = 253
	given := []ctrack.Entry{full, sctp, other, ping("10.0.0.1", "10.0.0.2", 3), ping("fd00::1", "fd00::2", 4),
		Translated(udp("10.0.0.1:6", "10.96.0.10:53"), "192.0.2.1:7", "10.0.0.3:8053")}
	t.make(given...)
	t.holds("what was made", given...)
	ids := map[uint32]bool{}
	for _, want := range given {
		key := ctrack.Entry{Proto: want.Proto, Orig: want.Orig}
		got, err := t.Get(ctx, key.InZone(want.Zone, want.ZoneDir))
		if err != nil {
			t.Fatal(err)
		}
		ids[got.ID] = true
		if got.Timeout > want.Timeout || got.Timeout < want.Timeout-time.Minute || got.Use == 0 || !got.Status.All(want.Status|ctrack.StatusConfirmed) {
			t.Errorf("%v has timeout %v, use %d and status %v", name(got), got.Timeout, got.Use, got.Status)
		}
		const always = ctrack.HasOrig | ctrack.HasReply | ctrack.HasStatus | ctrack.HasTimeout | ctrack.HasMark | ctrack.HasID | ctrack.HasUse
		if !got.Has.All(always) || got.Has.All(ctrack.HasLabels) != (want.Labels != ctrack.Labels{}) ||
			got.Has.All(ctrack.HasOrigZone) != (want.Zone != 0) || got.Has.All(ctrack.HasTCPState|ctrack.HasTCPFlags|ctrack.HasTCPWindow) != (want.Proto == ctrack.TCP) ||
			got.Has.All(ctrack.HasSCTP) != (want.Proto == ctrack.SCTP) {
			t.Errorf("%v has %v", name(got), got.Has)
		}
		if want.Reply == (ctrack.Tuple{}) {
			want.Reply = ctrack.Tuple{Src: want.Orig.Dst, Dst: want.Orig.Src, SrcPort: want.Orig.DstPort, DstPort: want.Orig.SrcPort, ICMPID: want.Orig.ICMPID,
				ICMPType: map[uint8]uint8{8: 0, 128: 129}[want.Orig.ICMPType]}
		}
		if got.Reply != want.Reply || got.Mark != want.Mark || got.Labels != want.Labels || got.TCP != want.TCP || got.SCTP != want.SCTP ||
			got.Zone != want.Zone || got.ZoneDir != want.ZoneDir {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
	if len(ids) != len(given) {
		t.Errorf("%d ids of %d entries", len(ids), len(given))
	}
	// What was listed can be made again as it stands.
	again := t.list()
	if err := t.FlushAll(ctx); err != nil {
		t.Fatal(err)
	}
	t.make(again...)
	t.holds("what was made again", given...)
}

func listsFiltered(t *table) {
	all := several()
	t.make(all...)
	t.same("udp in zone 7", t.list(ctrack.Filter{Proto: ctrack.Is(ctrack.UDP), Zone: ctrack.Is[uint16](7)}), all[6:9])
	t.same("either", t.list(ctrack.Filter{Proto: ctrack.Is(ctrack.ICMP)}, ctrack.Filter{Proto: ctrack.Is(ctrack.ICMPv6)}), []ctrack.Entry{all[2], all[5]})
	t.same("all but", t.list(but(ctrack.Filter{Family: ctrack.Is(ctrack.IPv4)})), all[3:6])
	t.same("one but", t.list(zone(7), but(ctrack.Filter{OrigZone: ctrack.Is[uint16](0)})), all[6:8])
	t.same("none", t.list(zone(8)), nil)
	listed := t.list(zone(7))
	t.same("an id", t.list(ctrack.Filter{ID: ctrack.Is(listed[0].ID)}), listed[:1])
	if _, err := t.List(ctx, zone(1), ctrack.Filter{Mark: ctrack.MarkMasked(3, 1)}); err == nil {
		t.Error("a wrong filter is taken")
	} else {
		t.fails("a wrong filter", err, syscall.EINVAL, "ctrack: list: filter[1].mark: 0x3 has bits outside the mask 0x1")
	}
	_, err := t.List(ctx, ctrack.DeadEndpoint()...)
	t.fails("a refused filter", err, syscall.EINVAL, "no address is given")
}

func gets(t *table) {
	e := Translated(udp("10.0.0.1:1", "10.96.0.10:53"), "", "10.0.0.3:8053").InZone(7, ctrack.ZoneReply)
	t.make(e)
	key := ctrack.Entry{Proto: e.Proto, Orig: e.Orig, Zone: e.Zone, ZoneDir: e.ZoneDir}
	found, err := t.Get(ctx, key)
	if err != nil || name(found) != name(e) || found.ID == 0 {
		t.Fatalf("%+v, %v", found, err)
	}
	for what, change := range map[string]func(k *ctrack.Entry){
		"by both tuples":  func(k *ctrack.Entry) { k.Reply = e.Reply },
		"by the reply":    func(k *ctrack.Entry) { k.Orig, k.Reply = ctrack.Tuple{}, e.Reply },
		"by the id":       func(k *ctrack.Entry) { k.ID = found.ID },
		"as it was found": func(k *ctrack.Entry) { *k = found },
	} {
		k := key
		change(&k)
		if again, err := t.Get(ctx, k); err != nil || again.ID != found.ID {
			t.Errorf("%s: %+v, %v", what, again, err)
		}
	}
	for what, change := range map[string]func(k *ctrack.Entry){
		"another port":  func(k *ctrack.Entry) { k.Orig.SrcPort++ },
		"another proto": func(k *ctrack.Entry) { k.Proto = ctrack.TCP },
		"no zone":       func(k *ctrack.Entry) { k.Zone = 0 },
		"both zones":    func(k *ctrack.Entry) { k.ZoneDir = ctrack.ZoneBoth },
		"another reply": func(k *ctrack.Entry) { k.Reply = e.Reply; k.Reply.SrcPort++ },
		"another id":    func(k *ctrack.Entry) { k.ID = found.ID + 1 },
		"wrong way":     func(k *ctrack.Entry) { k.Orig, k.Reply = ctrack.Tuple{}, e.Orig },
	} {
		k := key
		change(&k)
		_, err := t.Get(ctx, k)
		t.fails(what, err, syscall.ENOENT, "ctrack: get: no such entry")
	}
	_, err = t.Get(ctx, ctrack.Entry{})
	t.fails("nothing", err, syscall.EINVAL, "ctrack: get: key.orig")
	forgotten := found
	forgotten.Has &^= ctrack.HasReplyZone
	_, err = t.Get(ctx, forgotten)
	t.fails("forgotten", err, syscall.EINVAL, "key.zone: is set, but not announced")
}

func counts(t *table) {
	if count, err := t.Count(ctx); err != nil || count != 0 {
		t.Errorf("%d, %v", count, err)
	}
	t.make(udp("10.0.0.1:1", "10.0.0.2:2").InZone(5, ctrack.ZoneBoth), udp("10.0.0.1:2", "10.0.0.2:2").InZone(6, ctrack.ZoneOrig),
		udp("10.0.0.1:3", "10.0.0.2:2").InZone(8, ctrack.ZoneReply))
	if count, err := t.Count(ctx); err != nil || count != 3 {
		t.Errorf("%d, %v", count, err)
	}
	for _, c := range []struct{ first, last, want uint16 }{{5, 9, 7}, {8, 65535, 9}, {0, 3, 1}, {7, 7, 7}, {65535, 65535, 65535}} {
		if zone, err := t.FreeZone(ctx, c.first, c.last); err != nil || zone != c.want {
			t.Errorf("%+v: %d, %v", c, zone, err)
		}
	}
	_, err := t.FreeZone(ctx, 5, 6)
	t.fails("none is free", err, syscall.ENOSPC, "no free zone from 5 to 6")
	_, err = t.FreeZone(ctx, 2, 1)
	t.fails("upside down", err, syscall.EINVAL, "first: zone range 2-1 is upside down")
}

func creates(t *table) {
	right := udp("10.0.0.1:1", "10.0.0.2:2")
	with := func(change func(e *ctrack.Entry)) ctrack.Entry {
		e := udp("10.0.0.9:9", "10.0.0.8:8")
		change(&e)
		return e
	}
	expected := with(func(e *ctrack.Entry) { e.Status = ctrack.StatusExpected })
	gone := with(func(e *ctrack.Entry) {
		e.Has = ctrack.HasOrig | ctrack.HasPorts | ctrack.HasTimeout
		e.Family, e.Timeout = ctrack.IPv4, 0
	})
	claims := with(func(e *ctrack.Entry) { *e = Translated(*e, "", "10.0.0.3:3"); e.Status = ctrack.StatusSrcNAT })
	untold := with(func(e *ctrack.Entry) { *e = Translated(*e, "10.0.0.4:4", "10.0.0.3:3"); e.Status = ctrack.StatusDstNAT })
	nothing := with(func(e *ctrack.Entry) { *e = Translated(*e, "", ""); e.Status = ctrack.StatusDstNAT })
	later := with(func(e *ctrack.Entry) { e.Proto, e.TCP.State = ctrack.TCP, 13 })
	scale := with(func(e *ctrack.Entry) { e.Proto, e.TCP.OrigWindowScale = ctrack.TCP, 15 })
	unanswered := ping("10.0.0.1", "10.0.0.2", 1)
	unanswered.Orig.ICMPType = 3
	batch, err := t.Create(ctx, []ctrack.Entry{right, right, expected, gone, claims, untold, nothing, later, scale, unanswered, tcp("10.0.0.1:1", "10.0.0.2:2")})
	t.statuses("all kinds", batch, 0, syscall.EEXIST, syscall.EOPNOTSUPP, errnos.Time, syscall.EINVAL, syscall.EINVAL, syscall.EINVAL,
		syscall.EOPNOTSUPP, syscall.EOPNOTSUPP, syscall.EINVAL, 0)
	t.fails("all kinds", err, syscall.EEXIST, "ctrack: create_entries: entry[1]: entry exists; and 8 more")
	_, err = t.Create(ctx, []ctrack.Entry{right, expected})
	t.fails("two", err, syscall.EEXIST, "entry[0]: entry exists; and 1 more")
	for text, c := range map[string]struct {
		entry ctrack.Entry
		errno syscall.Errno
	}{
		"its status has bits that only the kernel can give": {expected, syscall.EOPNOTSUPP}, "its timeout is 0": {gone, errnos.Time},
		"DST_NAT is missing in status": {claims, syscall.EINVAL}, "SRC_NAT is missing in status": {untold, syscall.EINVAL},
		"no destination is translated": {nothing, syscall.EINVAL}, "of a later kernel": {later, syscall.EOPNOTSUPP}, "larger than 14": {scale, syscall.EOPNOTSUPP},
	} {
		_, err := t.Create(ctx, []ctrack.Entry{c.entry})
		t.fails(text, err, c.errno, text)
	}
	t.holds("what can be made", right, tcp("10.0.0.1:1", "10.0.0.2:2"))
	batch, err = t.Create(ctx, nil)
	if err != nil || batch.Matched != 0 || batch.Status != nil {
		t.Errorf("none: %+v, %v", batch, err)
	}
}

func malformed(t *table) {
	right := udp("10.0.0.1:1", "10.0.0.2:2")
	with := func(change func(e *ctrack.Entry)) ctrack.Entry {
		e := udp("10.0.0.9:9", "10.0.0.8:8")
		change(&e)
		return e
	}
	refused := func(what string, batch ctrack.Batch, err error, text string) {
		t.Helper()
		t.fails(what, err, syscall.EINVAL, text)
		if batch.Status != nil || batch.Done != 0 {
			t.Errorf("%s: %+v", what, batch)
		}
	}
	for text, e := range map[string]ctrack.Entry{
		"entry[1].timeout: a new entry needs one": with(func(e *ctrack.Entry) { e.Timeout = 0 }),
		"entry[1].orig": {Timeout: time.Hour},
		"entry[1].proto: is one without ports, and ports are announced": with(func(e *ctrack.Entry) { e.Proto = 253 }),
		"entry[1].tcp_state: TCP fields with another protocol":          with(func(e *ctrack.Entry) { e.TCP.State = 1 }),
		"entry[1].sctp_state: SCTP fields with another protocol":        with(func(e *ctrack.Entry) { e.SCTP.State = 1 }),
		"entry[1].reply: NAT needs the reply tuple":                     with(func(e *ctrack.Entry) { e.Status = ctrack.StatusDstNAT }),
		"entry[1].proto: TCP and UDP need ports, and none are announced": with(func(e *ctrack.Entry) {
			e.Has, e.Family, e.Orig.SrcPort, e.Orig.DstPort = ctrack.HasOrig|ctrack.HasTimeout, ctrack.IPv4, 0, 0
		}),
		"entry[1].orig.sport: is set, but not announced": with(func(e *ctrack.Entry) { e.Has, e.Family = ctrack.HasOrig|ctrack.HasTimeout, ctrack.IPv4 }),
		"entry[1].mark: is set, but not announced": with(func(e *ctrack.Entry) {
			e.Has, e.Family, e.Mark = ctrack.HasOrig|ctrack.HasPorts|ctrack.HasTimeout, ctrack.IPv4, 1
		}),
		"entry[1]: announces fields that this release does not know": with(func(e *ctrack.Entry) { e.Has, e.Family = 1<<50, ctrack.IPv4 }),
		"entry[1].labels: 128 is no label":                           with(func(e *ctrack.Entry) { e.Labels = ctrack.LabelSet(128) }),
	} {
		batch, err := t.Create(ctx, []ctrack.Entry{right, e})
		refused(text, batch, err, "ctrack: create_entries: "+text)
	}
	t.holds("nothing was made")
	t.make(right)
	batch, err := t.DeleteEntries(ctx, []ctrack.Entry{right, {}})
	refused("delete", batch, err, "ctrack: delete_entries: entry[1].orig")
	batch, err = t.Update(ctx, []ctrack.Change{{Key: right, Mark: ctrack.MarkIs(7)}, {Key: right}})
	refused("nothing to change", batch, err, "ctrack: update_entries: entry[1]: nothing to change")
	batch, err = t.Update(ctx, []ctrack.Change{{Key: right, Mark: ctrack.MarkIs(7)}, {Key: right, TCPState: ctrack.Is(ctrack.TCPClose)}})
	refused("a state of another protocol", batch, err, "entry[1].tcp_state: TCP fields with another protocol")
	if listed := t.list(); len(listed) != 1 || listed[0].Mark != 0 {
		t.Errorf("it was changed: %+v", listed)
	}
}

func updates(t *table) {
	e, other := tcp("10.0.0.1:1", "10.0.0.2:80"), udp("10.0.0.1:2", "10.0.0.2:53")
	fixed := udp("10.0.0.1:3", "10.0.0.2:53")
	fixed.Status = ctrack.StatusFixedTimeout
	helped := tcp("10.0.0.1:4", "10.0.0.2:21")
	helped.Helper = "ftp"
	t.make(e, other, fixed, helped)
	now := func(of ctrack.Entry) ctrack.Entry {
		t.Helper()
		found, err := t.Get(ctx, ctrack.Entry{Proto: of.Proto, Orig: of.Orig})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	batch, err := t.Update(ctx, []ctrack.Change{
		{Key: e, Mark: ctrack.MarkIs(0xf0), Timeout: ctrack.Is(time.Hour), Status: ctrack.Is(ctrack.StatusAssured)},
		{Key: e, Mark: ctrack.MarkMasked(0x03, 0x33), TCPState: ctrack.Is(ctrack.TCPCloseWait)},
		{Key: udp("10.0.0.9:1", "10.0.0.2:80"), Mark: ctrack.MarkIs(1)},
		{Key: other.InZone(3, ctrack.ZoneBoth), Mark: ctrack.MarkIs(1)},
		{Key: helped, Helper: ctrack.Is("")},
	})
	t.statuses("right ones", batch, 0, 0, syscall.ENOENT, syscall.ENOENT, 0)
	if got := now(e); err != nil || got.Mark != 0xc3 || got.TCP.State != ctrack.TCPCloseWait || got.Timeout > time.Hour || !got.Status.All(ctrack.StatusAssured) {
		t.Errorf("%+v, %v", got, err)
	}
	if got := now(helped); got.Helper != "" {
		t.Errorf("its helper is %q", got.Helper)
	}
	for text, c := range map[string]struct {
		change ctrack.Change
		errno  syscall.Errno
	}{
		"a timeout of 0 would delete the entry":  {ctrack.Change{Key: other, Timeout: ctrack.Is[time.Duration](0)}, errnos.Time},
		"the timeout of the entry is fixed":      {ctrack.Change{Key: fixed, Timeout: ctrack.Is(time.Hour)}, syscall.EPERM},
		"can be added to the status of an entry": {ctrack.Change{Key: other, Status: ctrack.Is(ctrack.StatusDstNAT), Mark: ctrack.MarkIs(9)}, syscall.EBUSY},
		"need the WINDOW_SCALE flag":             {ctrack.Change{Key: e, TCPWindow: ctrack.Is(ctrack.TCPWindow{Orig: 1, Reply: 2}), Mark: ctrack.MarkIs(9)}, syscall.EBUSY},
		"its state is one of a later kernel":     {ctrack.Change{Key: e, TCPState: ctrack.Is(ctrack.TCPState(12))}, syscall.EOPNOTSUPP},
		"entry[0]: operation not supported":      {ctrack.Change{Key: other, Helper: ctrack.Is("ftp")}, syscall.EOPNOTSUPP},
	} {
		batch, err := t.Update(ctx, []ctrack.Change{c.change})
		t.statuses(text, batch, c.errno)
		t.fails(text, err, c.errno, text)
	}
	if got := now(other); got.Mark != 0 || got.Timeout < 9*time.Hour {
		t.Errorf("what was refused was changed: %+v", got)
	}
	flags := ctrack.Change{Key: e, TCPFlags: ctrack.Is(ctrack.TCPFlagChange{Orig: 255, OrigMask: 3, Reply: 1}), TCPWindow: ctrack.Is(ctrack.TCPWindow{Orig: 1, Reply: 2})}
	batch, err = t.Update(ctx, []ctrack.Change{flags})
	want := ctrack.TCPInfo{State: ctrack.TCPCloseWait, OrigFlags: 3, ReplyFlags: 1, OrigWindowScale: 1, ReplyWindowScale: 2}
	if got := now(e); err != nil || got.TCP != want {
		t.Errorf("%+v, %v, %v", got.TCP, err, batch)
	}
}

func updatesLabels(t *table) {
	e := udp("10.0.0.1:1", "10.0.0.2:53")
	e.Labels = ctrack.LabelSet(1)
	t.make(e)
	for _, step := range []struct {
		change ctrack.Change
		want   ctrack.Labels
	}{
		{ctrack.Change{AddLabels: ctrack.Is(ctrack.LabelSet(2, 127))}, ctrack.LabelSet(1, 2, 127)},
		{ctrack.Change{RemoveLabels: ctrack.Is(ctrack.LabelSet(1, 3))}, ctrack.LabelSet(2, 127)},
		{ctrack.Change{Labels: ctrack.Is(ctrack.LabelSet(64))}, ctrack.LabelSet(64)},
		{ctrack.Change{Labels: ctrack.Is(ctrack.Labels{})}, ctrack.Labels{}},
	} {
		step.change.Key = e
		if batch, err := t.Update(ctx, []ctrack.Change{step.change}); err != nil || batch.Done != 1 {
			t.Fatalf("%+v, %v", batch, err)
		}
		if got := t.list()[0]; got.Labels != step.want || got.Has.All(ctrack.HasLabels) != (step.want != ctrack.Labels{}) {
			t.Errorf("%v of %v, want %v", got.Labels, got.Has, step.want)
		}
	}
	_, err := t.Update(ctx, []ctrack.Change{{Key: e, Labels: ctrack.Is(ctrack.LabelSet(1)), AddLabels: ctrack.Is(ctrack.LabelSet(2))}})
	t.fails("two ways", err, syscall.EINVAL, "entry[0].labels: more than one")
}

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

func zones(t *table) {
	var entries []ctrack.Entry
	for i, dir := range []ctrack.ZoneDir{ctrack.ZoneBoth, ctrack.ZoneOrig, ctrack.ZoneReply, ctrack.ZoneBoth} {
		e := udp(fmt.Sprintf("10.0.0.1:%d", i+1), "10.0.0.2:53")
		if i < 3 {
			e = e.InZone(7, dir)
		}
		entries = append(entries, e)
	}
	t.make(entries...)
	is := ctrack.Is[uint16]
	for want, f := range map[string]ctrack.Filter{
		"1110": {Zone: is(7)}, "0001": {Zone: is(0)}, "1100": {OrigZone: is(7)}, "0011": {OrigZone: is(0)}, "1010": {ReplyZone: is(7)},
		"0101": {ReplyZone: is(0)}, "0100": {OrigZone: is(7), ReplyZone: is(0)}, "0010": {Zone: is(7), OrigZone: is(0)}, "1000": {OrigZone: is(7), ReplyZone: is(7)},
	} {
		var selected []ctrack.Entry
		for i, e := range entries {
			if want[i] == '1' {
				selected = append(selected, e)
			}
		}
		t.same(want, t.list(f), selected)
	}
	// Deleting by the zone takes those of one direction too: 3, where others take 1.
	result, err := t.Delete(ctx, zone(7))
	t.did("zone 7", result, err, 3)
	t.holds("no zone", entries[3])
}

func tuples(t *table) {
	e := udp("10.0.0.1:1", "10.0.0.2:2")
	t.make(e, e.InZone(7, ctrack.ZoneBoth), e.InZone(8, ctrack.ZoneBoth))
	for what, taken := range map[string]ctrack.Entry{
		"itself": e, "its reverse": udp("10.0.0.2:2", "10.0.0.1:1"), "its reverse in the zone": udp("10.0.0.2:2", "10.0.0.1:1").InZone(7, ctrack.ZoneBoth),
		"its answers": Translated(udp("10.0.0.3:1", "10.96.0.10:2"), "10.0.0.1:1", "10.0.0.2:2"),
	} {
		batch, err := t.Create(ctx, []ctrack.Entry{taken})
		t.statuses(what, batch, syscall.EEXIST)
		t.fails(what, err, syscall.EEXIST, "entry[0]: entry exists")
	}
	t.make(e.InZone(9, ctrack.ZoneBoth), udp("10.0.0.1:1", "10.0.0.2:3"))
}

func translated(t *table) {
	entries := []ctrack.Entry{
		Translated(udp("10.0.0.1:1", "10.96.0.10:53"), "", "10.0.0.3:8053"), Translated(udp("10.0.0.1:2", "10.96.0.10:53"), "", "10.0.0.4:8053"),
		Translated(udp("10.0.0.1:3", "10.96.0.10:53"), "192.0.2.1:7", "10.0.0.5:8053"),
	}
	t.make(entries...)
	t.same("by who answers", t.list(ctrack.Filter{ReplySrc: host("10.0.0.4")}), entries[1:2])
	t.same("by where answers go", t.list(ctrack.Filter{ReplyDst: host("192.0.2.1")}), entries[2:])
	t.same("by status", t.list(ctrack.Filter{StatusSet: ctrack.StatusDstNAT, StatusClear: ctrack.StatusSrcNAT}), entries[:2])
	filters, err := ctrack.MakeChangedService(ctrack.UDP, addrPort("10.96.0.10:53"), addrPort("10.0.0.3:8053"))
	if err != nil {
		t.Fatal(err)
	}
	result, err := t.Delete(ctx, filters...)
	t.did("a service with one endpoint left", result, err, 2)
	t.holds("its flow", entries[0])
}

func flushes(t *table) {
	all := several()
	all[0].Mark, all[1].Mark = 3, 2
	t.make(all...)
	for _, step := range []struct {
		scope ctrack.Scope
		left  int
	}{
		{ctrack.Scope{Zone: ctrack.Is[uint16](7)}, 8}, {ctrack.Scope{Mark: ctrack.MarkMasked(2, 2), Family: ctrack.Is(ctrack.IPv4)}, 6},
		{ctrack.Scope{StatusSet: ctrack.StatusDstNAT}, 5}, {ctrack.Scope{Family: ctrack.Is(ctrack.IPv6)}, 2}, {ctrack.Scope{Zone: ctrack.Is[uint16](1)}, 2},
	} {
		if err := t.Flush(ctx, step.scope); err != nil {
			t.Fatal(err)
		}
		if left := t.list(); len(left) != step.left {
			t.Errorf("%+v leaves %d, want %d", step.scope, len(left), step.left)
		}
	}
	if err := t.FlushAll(ctx); err != nil {
		t.Error(err)
	}
	t.holds("nothing")
}

// thousand are enough for several batches.
func thousand() []ctrack.Entry {
	var entries []ctrack.Entry
	for i := range 1000 {
		entries = append(entries, udp(fmt.Sprintf("10.0.0.1:%d", i+1), "10.0.0.2:53"))
	}
	return entries
}

func loops(t *table) {
	t.make(thousand()...)
	for _, after := range []int{1, 256, 300} {
		seen := 0
		for _, err := range t.All(ctx) {
			if err != nil {
				t.Fatal(err)
			}
			if seen++; seen == after {
				break
			}
		}
	}
	deleted := 0
	for e, err := range t.All(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		batch, err := t.DeleteEntries(ctx, []ctrack.Entry{e})
		if err != nil || batch.Done != 1 {
			t.Fatalf("%+v, %v", batch, err)
		}
		deleted++
	}
	if deleted != 1000 {
		t.Errorf("%d were seen", deleted)
	}
	t.holds("nothing")
	pairs := 0
	for _, err := range t.All(ctx, ctrack.Filter{Mark: ctrack.MarkMasked(3, 1)}) {
		t.fails("a wrong filter", err, syscall.EINVAL, "ctrack: all: filter[0].mark")
		pairs++
	}
	if pairs != 1 {
		t.Errorf("a wrong filter gives %d pairs", pairs)
	}
}

func contexts(t *table) {
	t.make(thousand()...)
	ended, end := context.WithCancel(ctx)
	defer end()
	seen := 0
	var last error
	for _, err := range t.All(ended) {
		if last = err; err == nil {
			seen++
			end()
		}
	}
	if !errors.Is(last, context.Canceled) || seen == 0 || seen == 1000 {
		t.Errorf("the loop saw %d and ended with %v", seen, last)
	}
	for call, err := range calls(ended, t) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", call, err)
		}
	}
	if count, err := t.Count(ctx); count != 1000 || err != nil {
		t.Errorf("%d, %v", count, err)
	}
}

// calls makes every call once, with what would change the table.
func calls(ctx context.Context, t *table) map[string]error {
	e := udp("10.0.0.1:1", "10.0.0.2:53")
	errs := map[string]error{"flush all": t.FlushAll(ctx), "flush": t.Flush(ctx, ctrack.Scope{Zone: ctrack.Is[uint16](0)})}
	_, errs["list"] = t.List(ctx)
	_, errs["get"] = t.Get(ctx, e)
	_, errs["count"] = t.Count(ctx)
	_, errs["free zone"] = t.FreeZone(ctx, 1, 2)
	_, errs["delete"] = t.Delete(ctx, zone(0))
	_, errs["delete uncounted"] = t.DeleteUncounted(ctx, zone(0))
	_, errs["delete entries"] = t.DeleteEntries(ctx, []ctrack.Entry{e})
	_, errs["create"] = t.Create(ctx, []ctrack.Entry{e.InZone(3, ctrack.ZoneBoth)})
	_, errs["update"] = t.Update(ctx, []ctrack.Change{{Key: e, Mark: ctrack.MarkIs(1)}})
	for _, err := range t.All(ctx) {
		errs["all"] = err
	}
	return errs
}

func concurrent(t *table) {
	var wait sync.WaitGroup
	for worker := range uint16(8) {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for round := range 20 {
				e := udp(fmt.Sprintf("10.0.%d.1:%d", worker, round+1), "10.0.0.2:53").InZone(worker+1, ctrack.ZoneBoth)
				if _, err := t.Create(ctx, []ctrack.Entry{e}); err != nil {
					t.Error(err)
				}
				if batch, err := t.Update(ctx, []ctrack.Change{{Key: e, Mark: ctrack.MarkIs(uint32(worker))}}); err != nil || batch.Done != 1 {
					t.Error(batch, err)
				}
				for _, err := range t.All(ctx, zone(worker+1)) {
					if err != nil {
						t.Error(err)
					}
				}
				if found, err := t.Get(ctx, e); err != nil || found.Mark != uint32(worker) {
					t.Error(found.Mark, err)
				}
				if result, err := t.Delete(ctx, zone(worker+1)); err != nil || result.Done != 1 {
					t.Error(result, err)
				}
			}
		}()
	}
	wait.Wait()
	t.holds("nothing")
}

func closed(t *table) {
	t.make(udp("10.0.0.1:1", "10.0.0.2:53"))
	if err := errors.Join(t.Close(), t.Close()); err != nil {
		t.Error(err)
	}
	for call, err := range calls(ctx, t) {
		if !errors.Is(err, ctrack.ErrClosed) || !errors.Is(err, os.ErrClosed) {
			t.Errorf("%s: %v", call, err)
		}
	}
}
