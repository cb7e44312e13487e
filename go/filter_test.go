// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/nstest"
	"errors"
	"strings"
	"syscall"
	"testing"
)

func TestAnIDAndAnotherFieldDeleteTheOneEntryThatHasBoth(t *testing.T) {
	c := newNetns(t).open(ctrack.Options{})
	create(t, c, udp("10.0.0.1:1", "10.0.0.2:53").InZone(5, ctrack.ZoneBoth), udp("10.0.0.1:2", "10.0.0.2:53").InZone(5, ctrack.ZoneBoth))
	entries := list(t, c)
	id := ctrack.Is(entries[0].ID)
	wantEntries(t, "an id alone, in a list", list(t, c, ctrack.Filter{ID: id}), entries[:1])
	if _, err := c.Delete(ctx, ctrack.Filter{ID: id}); !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "id alone") {
		t.Fatalf("%v", err)
	}
	for _, wrong := range []ctrack.Filter{
		{ID: id, Zone: ctrack.Is[uint16](6)}, {ID: ctrack.Is(entries[0].ID ^ 1), Zone: ctrack.Is[uint16](5)},
	} {
		result, err := c.Delete(ctx, wrong)
		wantResult(t, "another zone or id", result, err, ctrack.Result{})
	}
	result, err := c.Delete(ctx, ctrack.Filter{ID: id, Zone: ctrack.Is[uint16](5)})
	wantResult(t, "id and zone", result, err, ctrack.Result{Matched: 1, Done: 1})
	wantEntries(t, "left", list(t, c), entries[1:])
}

func TestAZoneOfOneDirectionSelectsByThatDirection(t *testing.T) {
	both, orig := udp("10.0.0.1:1", "10.0.0.2:53").InZone(5, ctrack.ZoneBoth), udp("10.0.0.1:2", "10.0.0.2:53").InZone(5, ctrack.ZoneOrig)
	reply, none := udp("10.0.0.1:3", "10.0.0.2:53").InZone(5, ctrack.ZoneReply), udp("10.0.0.1:4", "10.0.0.2:53")
	zero, five := ctrack.Is[uint16](0), ctrack.Is[uint16](5)
	for _, c := range []struct {
		filter       ctrack.Filter
		doomed, safe []ctrack.Entry
	}{
		{ctrack.Filter{OrigZone: five}, []ctrack.Entry{both, orig}, []ctrack.Entry{reply, none}},
		{ctrack.Filter{ReplyZone: five}, []ctrack.Entry{both, reply}, []ctrack.Entry{orig, none}},
		{ctrack.Filter{OrigZone: five, ReplyZone: zero}, []ctrack.Entry{orig}, []ctrack.Entry{both, reply, none}},
		{ctrack.Filter{OrigZone: zero, ReplyZone: five}, []ctrack.Entry{reply}, []ctrack.Entry{both, orig, none}},
		{ctrack.Filter{OrigZone: five, ReplyZone: five}, []ctrack.Entry{both}, []ctrack.Entry{orig, reply, none}},
		{ctrack.Filter{OrigZone: zero}, []ctrack.Entry{reply, none}, []ctrack.Entry{both, orig}},
		{ctrack.Filter{ReplyZone: zero}, []ctrack.Entry{orig, none}, []ctrack.Entry{both, reply}},
	} {
		deletesExactly(t, []ctrack.Filter{c.filter}, c.doomed, c.safe)
	}
}

func TestEveryFieldOfAFilterSelectsByThatField(t *testing.T) {
	ns := newNetns(t)
	nstest.Need(t, "nft")
	ns.Feed("table inet l {\nchain c {\ntype filter hook output priority 0;\nct label set 1\n}\n}\n", "nft", "-f", "-")
	c := ns.open(ctrack.Options{})
	e := translated(tcp("10.0.0.1:1000", "10.0.0.2:2000"), "10.0.0.3:3000", "10.0.0.4:4000").InZone(5, ctrack.ZoneBoth)
	e.Status |= ctrack.StatusSeenReply
	e.Mark, e.Labels, e.Helper = 0x0105, ctrack.LabelSet(1, 100), "ftp"
	ping := icmp("10.0.0.1", "10.0.0.2", 77)
	other := udp("[fd00::1]:1", "[fd00::2]:2")
	create(t, c, e, ping, other)
	is := ctrack.Is[ctrack.Proto]
	for what, filter := range map[string]ctrack.Filter{
		"proto": {Proto: is(ctrack.TCP)}, "zone": zone(5), "mark": {Mark: ctrack.MarkIs(0x0105)},
		"mask":       {Mark: ctrack.MarkMasked(0x0100, 0xff00)},
		"status set": {StatusSet: ctrack.StatusSeenReply}, "orig src": {Proto: is(ctrack.TCP), OrigSrc: prefix("10.0.0.1/32")},
		"orig dst":  {OrigDst: prefix("10.0.0.2/32"), Zone: ctrack.Is[uint16](5)},
		"reply src": {ReplySrc: prefix("10.0.0.4/30"), Zone: ctrack.Is[uint16](5)},
		"reply dst": {ReplyDst: prefix("10.0.0.3/32")}, "source port": {Proto: is(ctrack.TCP), OrigSrcPort: ctrack.Port(1000)},
		"destination port":       {Proto: is(ctrack.TCP), OrigDstPort: ctrack.Ports(1999, 2001)},
		"reply source port":      {Proto: is(ctrack.TCP), ReplySrcPort: ctrack.Port(4000)},
		"reply destination port": {Proto: is(ctrack.TCP), ReplyDstPort: ctrack.Ports(0, 3000)},
		"state":                  {Proto: is(ctrack.TCP), TCPStates: ctrack.TCPStateIn(ctrack.TCPClose, ctrack.TCPEstablished)},
		"labels":                 {Labels: ctrack.LabelsAll(100)},
		"labels and mask":        {Labels: ctrack.LabelsMasked(ctrack.LabelSet(1), ctrack.LabelSet(1, 2))},
		"helper":                 {Helper: ctrack.Is("ftp")},
	} {
		wantEntries(t, what, list(t, c, filter), []ctrack.Entry{e})
	}
	for what, filter := range map[string]ctrack.Filter{
		"type": {Proto: is(ctrack.ICMP), ICMPType: ctrack.Is[uint8](8)}, "code": {Proto: is(ctrack.ICMP), ICMPCode: ctrack.Is[uint8](0)},
		"id": {Proto: is(ctrack.ICMP), ICMPID: ctrack.Is[uint16](77)}, "proto": {Proto: is(ctrack.ICMP)},
	} {
		wantEntries(t, what, list(t, c, filter), []ctrack.Entry{ping})
	}
	wantEntries(t, "family", list(t, c, ctrack.Filter{Family: ctrack.Is(ctrack.IPv6)}), []ctrack.Entry{other})
	wantEntries(t, "::/0", list(t, c, ctrack.Filter{OrigSrc: prefix("::/0")}), []ctrack.Entry{other})
	wantEntries(t, "0.0.0.0/0", list(t, c, ctrack.Filter{OrigSrc: prefix("0.0.0.0/0")}), []ctrack.Entry{e, ping})
	wantEntries(t, "status clear", list(t, c, ctrack.Filter{StatusClear: ctrack.StatusSeenReply}), []ctrack.Entry{ping, other})
	wantEntries(t, "but", list(t, c, ctrack.Filter{Exclude: true, Proto: is(ctrack.TCP)}), []ctrack.Entry{ping, other})
	for what, filter := range map[string]ctrack.Filter{
		"port 0": {Proto: is(ctrack.TCP), OrigSrcPort: ctrack.Port(0)}, "mark 0": {Proto: is(ctrack.TCP), Mark: ctrack.MarkIs(0)},
		"zone 0": {Proto: is(ctrack.TCP), Zone: ctrack.Is[uint16](0)}, "0.0.0.0": {OrigSrc: prefix("0.0.0.0/32")}, "proto 0": {Proto: is(0)},
		"ICMP type 0": {Proto: is(ctrack.ICMP), ICMPType: ctrack.Is[uint8](0)}, "ICMP id 0": {Proto: is(ctrack.ICMP), ICMPID: ctrack.Is[uint16](0)},
	} {
		wantEntries(t, what+" is a value", list(t, c, filter), nil)
	}
}
