// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/tabletest"
	"net/netip"
	"slices"
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
