// SPDX-License-Identifier: MIT OR Apache-2.0

package tabletest

import (
	"ctrack"
	"fmt"
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
