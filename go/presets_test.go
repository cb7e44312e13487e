// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/nstest"
	"ctrack/internal/tabletest"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
)

var translated = tabletest.Translated

// deletesExactly fails unless the filters delete the doomed and nothing else.
func deletesExactly(t *testing.T, filters []ctrack.Filter, doomed, safe []ctrack.Entry) {
	t.Helper()
	for _, uncounted := range []bool{false, true} {
		ns := newNetns(t)
		c := ns.open(ctrack.Options{})
		create(t, c, doomed...)
		create(t, c, safe...)
		wantEntries(t, "list", list(t, c, filters...), doomed)
		if uncounted {
			if result, err := c.DeleteUncounted(ctx, filters...); err != nil || !result.Uncounted && result.Done != len(doomed) {
				t.Fatalf("%+v, %v", result, err)
			}
		} else {
			result, err := c.Delete(ctx, filters...)
			wantResult(t, "delete", result, err, ctrack.Result{Matched: len(doomed), Done: len(doomed)})
		}
		wantEntries(t, "what is left", list(t, c), safe)
		if n := ns.ConntrackCount(); n != len(safe) {
			t.Fatalf("conntrack -C says %d, want %d", n, len(safe))
		}
	}
}

func TestADeadEndpointLosesWhatItBeganAndWhatItAnsweredAndNothingElse(t *testing.T) {
	deletesExactly(t, ctrack.DeadEndpoint(addr("10.0.0.7"), addr("fd00::7")), []ctrack.Entry{
		udp("10.0.0.7:1", "10.0.0.8:53"),
		tcp("10.0.0.9:1", "10.0.0.7:80"),
		icmp("10.0.0.7", "10.0.0.8", 1),
		translated(udp("10.0.0.9:2", "10.96.0.10:53"), "", "10.0.0.7:5353"),
		udp("10.0.0.7:2", "10.0.0.8:53").InZone(7, ctrack.ZoneOrig),
		tcp("[fd00::7]:1", "[fd00::8]:80"),
		translated(udp("[fd00::9]:2", "[fd00::10]:53"), "", "[fd00::7]:53"),
	}, []ctrack.Entry{
		udp("10.0.0.70:1", "10.0.0.8:53"),
		// Called at its address, but somebody else answers.
		translated(udp("10.0.0.9:3", "10.0.0.7:53"), "", "10.0.0.8:53"),
		// Answers go to its address, since somebody else borrowed it.
		translated(udp("10.0.0.9:4", "10.0.0.8:53"), "10.0.0.7:4", ""),
		udp("10.0.0.9:1", "10.0.0.8:53").InZone(7, ctrack.ZoneBoth),
		tcp("[fd00::8]:1", "[fd00::9]:80"),
	})
}

func TestAChangedServiceLosesTheFlowsOfDeadEndpointsAndNothingElse(t *testing.T) {
	for _, v := range []struct{ vip, live, dead, client, other string }{
		{"10.96.0.10:53", "10.0.0.1:5353", "10.0.0.2:5353", "10.0.1.1", "10.96.0.11:53"},
		{"[fd00:96::10]:53", "[fd00::1]:5353", "[fd00::2]:5353", "fd00:1::1", "[fd00:96::11]:53"},
	} {
		flow := func(port uint16, vip, endpoint string) ctrack.Entry {
			return translated(udp(netip.AddrPortFrom(addr(v.client), port).String(), vip), "", endpoint)
		}
		sibling := netip.AddrPortFrom(addrPort(v.live).Addr(), 5354).String()
		otherPort := netip.AddrPortFrom(addrPort(v.vip).Addr(), 54).String()
		overTCP := translated(tcp(netip.AddrPortFrom(addr(v.client), 9).String(), v.vip), "", v.dead)
		unanswered := udp(netip.AddrPortFrom(addr(v.client), 3).String(), v.vip)
		gone := []ctrack.Entry{flow(1, v.vip, v.dead), flow(2, v.vip, sibling), unanswered}
		live := []ctrack.Entry{flow(4, v.vip, v.live), flow(5, v.vip, v.live).InZone(3, ctrack.ZoneBoth)}
		others := []ctrack.Entry{flow(6, v.other, v.dead), flow(7, otherPort, v.dead), overTCP}
		deletesExactly(t, ctrack.ChangedService(ctrack.UDP, addrPort(v.vip), addrPort(v.live)), gone, append(live, others...))
		deletesExactly(t, ctrack.ChangedService(ctrack.UDP, addrPort(v.vip)), append(gone, live...), others)
	}
}

func TestAPortOnAnyAddressLosesWhatNoLiveEndpointAnswersAndNothingElse(t *testing.T) {
	make := func(family ctrack.Optional[ctrack.Family], live ...string) []ctrack.Filter {
		t.Helper()
		var endpoints []netip.AddrPort
		for _, endpoint := range live {
			endpoints = append(endpoints, addrPort(endpoint))
		}
		filters, err := ctrack.PortOnAnyAddress(ctrack.UDP, 30053, family, endpoints...)
		if err != nil {
			t.Fatal(err)
		}
		return filters
	}
	live4 := translated(udp("192.0.2.1:1", "192.0.2.9:30053"), "", "10.0.0.1:8053")
	dead4 := []ctrack.Entry{
		translated(udp("192.0.2.1:2", "127.0.0.1:30053"), "", "10.0.0.2:8053"),
		translated(udp("192.0.2.1:3", "192.0.2.9:30053"), "", "10.0.0.1:8054").InZone(7, ctrack.ZoneReply),
		udp("192.0.2.1:4", "192.0.2.8:30053"),
	}
	live6 := translated(udp("[2001:db8::1]:1", "[2001:db8::9]:30053"), "", "[fd00::1]:8053")
	dead6 := translated(udp("[2001:db8::1]:2", "[::1]:30053"), "", "[fd00::2]:8053")
	others := []ctrack.Entry{
		udp("192.0.2.1:30053", "192.0.2.9:53"), tcp("192.0.2.1:5", "192.0.2.9:30053"), udp("192.0.2.1:6", "192.0.2.9:30054"),
	}
	both, v4 := ctrack.Optional[ctrack.Family]{}, ctrack.Is(ctrack.IPv4)
	deletesExactly(t, make(both), append(slices.Clone(dead4), live4, live6, dead6), others)
	deletesExactly(t, make(both, "10.0.0.1:8053", "[fd00::1]:8053"), append(slices.Clone(dead4), dead6), append(others, live4, live6))
	deletesExactly(t, make(v4, "10.0.0.1:8053"), dead4, append(slices.Clone(others), live4, live6, dead6))
}

func TestEverythingButSparesWhatItIsToldAndKeepsWithin(t *testing.T) {
	in5, orig5 := udp("10.0.0.1:1", "10.0.0.2:53").InZone(5, ctrack.ZoneBoth), udp("10.0.0.1:2", "10.0.0.2:53").InZone(5, ctrack.ZoneOrig)
	reply5, in7 := udp("10.0.0.1:3", "10.0.0.3:53").InZone(5, ctrack.ZoneReply), tcp("[fd00::1]:1", "[fd00::2]:2").InZone(7, ctrack.ZoneBoth)
	none := tcp("[fd00::1]:2", "[fd00::2]:2")
	for _, c := range []struct {
		within, spared []ctrack.Filter
		doomed, safe   []ctrack.Entry
	}{
		{ctrack.WholeTable(), []ctrack.Filter{zone(5)}, []ctrack.Entry{in7, none}, []ctrack.Entry{in5, orig5, reply5}},
		{ctrack.WholeTable(), []ctrack.Filter{zone(0), {OrigZone: ctrack.Is[uint16](5)}}, []ctrack.Entry{reply5, in7}, []ctrack.Entry{none, in5, orig5}},
		{[]ctrack.Filter{zone(5)}, []ctrack.Filter{{OrigDst: prefix("10.0.0.2/32")}}, []ctrack.Entry{reply5}, []ctrack.Entry{in5, orig5, in7, none}},
	} {
		filters, err := ctrack.EverythingBut(c.within, c.spared...)
		if err != nil {
			t.Fatal(err)
		}
		deletesExactly(t, filters, c.doomed, c.safe)
	}
}

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

func TestAWithdrawnRuleLosesItsFlowsAndNothingElse(t *testing.T) {
	own, peer := "10.1.0.5:80", "10.2.0.6:4000"
	mark := func(e ctrack.Entry, mark uint32) ctrack.Entry {
		e.Mark = mark
		return e
	}
	in := func(zone uint16, e ctrack.Entry) ctrack.Entry { return e.InZone(zone, ctrack.ZoneBoth) }
	ingress := ctrack.Rule{Zone: 7, Family: ctrack.Is(ctrack.IPv4), Proto: ctrack.Is(ctrack.TCP), Direction: ctrack.Ingress,
		CIDR: prefix("10.1.0.5/32"), Remotes: ctrack.Hosts(addr("10.2.0.6"), addr("10.2.0.8"))}
	deletesExactly(t, ingress.Filters(), []ctrack.Entry{
		in(7, tcp(peer, own)), in(7, tcp("10.2.0.8:1", own)), in(7, mark(tcp("10.2.0.6:2", own), 5)),
	}, []ctrack.Entry{
		tcp(peer, own), in(8, tcp(peer, own)), in(7, udp(peer, own)), in(7, tcp("10.1.0.5:81", peer)), in(7, tcp("10.2.0.7:1", own)),
		in(7, tcp(peer, "10.1.0.6:80")),
		in(7, tcp("[1::1]:1", "[2::2]:2")),
	})
	egress := ingress
	egress.Direction, egress.Proto, egress.Mark = ctrack.Egress, ctrack.Optional[ctrack.Proto]{}, ctrack.MarkIs(5)
	egress.CIDR, egress.Remotes = prefix("10.1.0.0/24"), []netip.Prefix{prefix("10.2.0.0/30"), prefix("10.2.0.6/32")}
	deletesExactly(t, egress.Filters(), []ctrack.Entry{
		in(7, mark(tcp(own, peer), 5)), in(7, mark(udp("10.1.0.255:1", "10.2.0.3:1"), 5)), in(7, mark(icmp("10.1.0.5", "10.2.0.6", 1), 5)),
	}, []ctrack.Entry{
		in(7, mark(tcp("10.1.0.5:81", peer), 4)), in(7, tcp("10.1.0.5:82", peer)), in(7, mark(tcp(peer, "10.1.0.5:83"), 5)),
		in(7, mark(tcp(own, "10.2.0.4:1"), 5)), in(7, mark(tcp("10.1.1.5:80", peer), 5)), mark(tcp(own, peer), 5),
	})
	// Without a zone it is zone 0, and not every zone; anybody is said by AnyRemote only.
	any := ctrack.Rule{Direction: ctrack.Ingress, CIDR: prefix("fd00::5/128"), AnyRemote: true}
	deletesExactly(t, any.Filters(), []ctrack.Entry{tcp("[1::1]:1", "[fd00::5]:2"), udp("[2::1]:1", "[fd00::5]:2")},
		[]ctrack.Entry{in(7, tcp("[1::1]:1", "[fd00::5]:2")), tcp("[fd00::5]:3", "[1::1]:1"), tcp("10.0.0.1:1", "10.0.0.2:2")})
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
