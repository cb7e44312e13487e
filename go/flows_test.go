// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/nstest"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Everything in both families by destination port; both directions of loopback traffic pass the output hook.
const rules = `
table inet zones {
	chain early {
		type filter hook output priority -300;
		th dport 5101 ct zone set 7
		th sport 5101 ct zone set 7
		th dport 5102 ct original zone set 65535
		th dport 5103 ct reply zone set 9
		th sport 5103 ct reply zone set 9
	}
}
table inet values {
	ct helper ftp4 {
		type "ftp" protocol tcp; l3proto ip;
	}
	ct helper ftp6 {
		type "ftp" protocol tcp; l3proto ip6;
	}
	chain tracked {
		type filter hook output priority 0;
		th dport 5110 ct mark set 1
		th dport 5111 ct mark set 0xffffffff
		th dport 5120 ct label set 1
		th dport 5121 ct label set 127
		th dport 5122 ct label set 0
		th dport 5122 ct label set 64
		meta nfproto ipv4 tcp dport 21 ct helper set "ftp4"
		meta nfproto ipv6 tcp dport 21 ct helper set "ftp6"
	}
}
table ip nat4 {
	chain out {
		type nat hook output priority -100; meta l4proto { tcp, udp } th dport 5130 dnat to 127.0.0.3:5131;
	}
	chain post {
		type nat hook postrouting priority 100; meta l4proto { tcp, udp } th dport 5132 snat to 127.0.0.9;
	}
}
table ip6 nat6 {
	chain out {
		type nat hook output priority -100; meta l4proto { tcp, udp } th dport 5130 dnat to [fd00::3]:5131;
	}
	chain post {
		type nat hook postrouting priority 100; meta l4proto { tcp, udp } th dport 5132 snat to fd00::9;
	}
}
`

// flow is a real flow, and what the rules must have made of it.
type flow struct {
	proto   ctrack.Proto
	dport   uint16
	options string
	zone    uint16
	dir     ctrack.ZoneDir
	mark    uint32
	labels  ctrack.Labels
	helper  string
	status  ctrack.Status
	dnat    bool
	snat    bool
}

const (
	answered = ctrack.StatusSeenReply | ctrack.StatusConfirmed
	open     = answered | ctrack.StatusAssured
)

func flows() []flow {
	return []flow{
		{proto: ctrack.TCP, dport: 80, options: "--close", status: open},
		{proto: ctrack.TCP, dport: 81, options: "--hold 600", status: open},
		{proto: ctrack.TCP, dport: 82, options: "--half-open"},
		{proto: ctrack.TCP, dport: 83, options: "--half-close 600 --bytes 60000", status: open},
		{proto: ctrack.TCP, dport: 5101, options: "--hold 600", zone: 7, status: open},
		{proto: ctrack.TCP, dport: 5102, options: "--hold 600", zone: 65535, dir: ctrack.ZoneOrig, status: open},
		{proto: ctrack.TCP, dport: 5103, options: "--hold 600", zone: 9, dir: ctrack.ZoneReply, status: open},
		{proto: ctrack.TCP, dport: 5111, options: "--close", mark: 0xffffffff, status: open},
		{proto: ctrack.TCP, dport: 21, options: "--hold 600", helper: "ftp", status: open},
		{proto: ctrack.TCP, dport: 5130, options: "--hold 600", dnat: true, status: open | ctrack.StatusDstNAT},
		{proto: ctrack.TCP, dport: 5132, options: "--hold 600", snat: true, status: open | ctrack.StatusSrcNAT},
		{proto: ctrack.UDP, dport: 53},
		{proto: ctrack.UDP, dport: 54, options: "--answer", status: answered},
		{proto: ctrack.UDP, dport: 5101, zone: 7},
		{proto: ctrack.UDP, dport: 5102, zone: 65535, dir: ctrack.ZoneOrig},
		{proto: ctrack.UDP, dport: 5103, zone: 9, dir: ctrack.ZoneReply},
		{proto: ctrack.UDP, dport: 5110, options: "--answer", mark: 1, status: answered},
		{proto: ctrack.UDP, dport: 5120, labels: ctrack.LabelSet(1)},
		{proto: ctrack.UDP, dport: 5121, labels: ctrack.LabelSet(127)},
		{proto: ctrack.UDP, dport: 5122, options: "--answer", labels: ctrack.LabelSet(0, 64), status: answered},
		{proto: ctrack.UDP, dport: 5130, options: "--answer", dnat: true, status: answered | ctrack.StatusDstNAT},
		{proto: ctrack.UDP, dport: 5132, options: "--answer", snat: true, status: answered | ctrack.StatusSrcNAT},
		{proto: ctrack.UDPLite, dport: 53, options: "--answer", status: answered},
		{proto: ctrack.UDPLite, dport: 5101, zone: 7},
		{proto: ctrack.SCTP, dport: 999},
		{proto: ctrack.SCTP, dport: 5111, mark: 0xffffffff},
	}
}

// of is the first of a pair for IPv4, the second for IPv6.
func of(family ctrack.Family, pair string) netip.Addr {
	v4, v6, _ := strings.Cut(pair, " ")
	if family == ctrack.IPv4 {
		return addr(v4)
	}
	return addr(v6)
}

const (
	here  = "127.0.0.1 fd00::1"
	there = "127.0.0.2 fd00::2"
)

// prepare loads the rules and gives loopback its other IPv6 addresses.
func (ns *netns) prepare() {
	ns.T.Helper()
	nstest.Need(ns.T, "nft")
	ns.AddIPv6("fd00::1", "fd00::2", "fd00::3", "fd00::9")
	ns.Feed(rules, "nft", "-f", "-")
	ns.LongTimeouts()
}

// makeFlows makes every flow in a family, with source ports from first on.
func (ns *netns) makeFlows(family ctrack.Family, first uint16) {
	ns.T.Helper()
	a, b := of(family, here), of(family, there)
	for i, f := range flows() {
		line := fmt.Sprintf("%v %v %d %v %d %s", f.proto, a, first+uint16(i), b, f.dport, f.options)
		if f.dnat {
			line += fmt.Sprintf(" --server %v 5131", of(family, "127.0.0.3 fd00::3"))
		}
		ns.Traffic(line)
	}
	ns.Traffic(fmt.Sprintf("icmp %v %d %v", a, first, b))
	ns.Traffic(fmt.Sprintf("gre %v %v", a, b))
	ns.Traffic(fmt.Sprintf("gre %v %v %d", a, b, first))
	ns.Traffic(fmt.Sprintf("raw 253 %v %v", a, b))
	ns.Traffic(fmt.Sprintf("raw 33 %v %v", a, b))
}

// check fails unless e is what must have come of the flow.
func (f flow) check(t *testing.T, e ctrack.Entry, counted bool) {
	t.Helper()
	if e.Orig.DstPort != f.dport || e.Zone != f.zone || e.ZoneDir != f.dir ||
		e.Mark != f.mark || e.Labels != f.labels || e.Helper != f.helper {
		t.Errorf("%v: not as %+v", e.Line(ctrack.LineExtended), f)
	}
	if e.Has.All(ctrack.HasLabels) != (f.labels != ctrack.Labels{}) || e.Has.All(ctrack.HasHelper) != (f.helper != "") ||
		!e.Has.All(ctrack.HasMark|ctrack.HasID|ctrack.HasUse) {
		t.Errorf("%v: has %v", e, e.Has)
	}
	if !e.Status.All(f.status) || f.status == 0 && e.Status.All(ctrack.StatusSeenReply) {
		t.Errorf("%v: status %v, want %v", e, e.Status, f.status)
	}
	server, client := netip.AddrPortFrom(of(e.Family, there), f.dport), e.Orig.Source()
	if f.dnat {
		server = netip.AddrPortFrom(of(e.Family, "127.0.0.3 fd00::3"), 5131)
	}
	if f.snat {
		client = netip.AddrPortFrom(of(e.Family, "127.0.0.9 fd00::9"), client.Port())
	}
	if e.Reply.Source() != server || e.Reply.Destination() != client {
		t.Errorf("%v: answers go from %v to %v, want %v and %v", e, e.Reply.Source(), e.Reply.Destination(), server, client)
	}
	kept := ctrack.HasOrigCounters | ctrack.HasReplyCounters | ctrack.HasStart
	if !counted {
		if e.Has&kept != 0 || !e.Start.IsZero() {
			t.Errorf("%v: has %v", e, e.Has)
		}
		return
	}
	age := time.Since(e.Start)
	if !e.Has.All(kept) || e.OrigCounters.Packets == 0 || e.OrigCounters.Bytes < 28 || age < -time.Minute || age > time.Hour ||
		(e.ReplyCounters.Packets > 0) != e.Status.All(ctrack.StatusSeenReply) {
		t.Errorf("%v: counters %v %v, start %v", e, e.OrigCounters, e.ReplyCounters, e.Start)
	}
}

func TestRealFlowsAreWhatTheConntrackProgramSays(t *testing.T) {
	ns := newNetns(t)
	ns.prepare()
	c := ns.open(ctrack.Options{})
	// The first flows began with counters and times, the others without.
	for on, first := range map[string]uint16{"1": 40000, "0": 50000} {
		ns.Sysctl("nf_conntrack_acct", on)
		ns.Sysctl("nf_conntrack_timestamp", on)
		ns.makeFlows(ctrack.IPv4, first)
		ns.makeFlows(ctrack.IPv6, first)
	}
	made := created()
	create(t, c, made...)

	t.Run("every flow has what the rules gave it", func(t *testing.T) {
		found := map[string]ctrack.Entry{}
		for _, e := range list(t, c) {
			found[fmt.Sprint(e.Family, e.Proto, e.Orig.SrcPort)] = e
		}
		for _, family := range []ctrack.Family{ctrack.IPv4, ctrack.IPv6} {
			for _, first := range []uint16{40000, 50000} {
				for i, f := range flows() {
					e, there := found[fmt.Sprint(family, f.proto, first+uint16(i))]
					if !there {
						t.Errorf("%v: no entry of %+v", family, f)
						continue
					}
					f.check(t, e, first == 40000)
				}
			}
		}
	})
	t.Run("every created entry is listed as it was given", func(t *testing.T) {
		listed := identities(t, list(t, c))
		for _, given := range made {
			e, err := c.Get(ctx, given.InZone(given.Zone, given.ZoneDir))
			if err != nil {
				t.Errorf("%v: %v", given, err)
				continue
			}
			if !listed[identityOf(e)] || e.Mark != given.Mark || e.Labels != given.Labels || e.Helper != given.Helper ||
				e.SCTP != given.SCTP || !e.Status.All(given.Status) {
				t.Errorf("%v: given as %v", e, given)
			}
			if e.TCP != given.TCP {
				t.Errorf("%v: %+v, given as %+v", e, e.TCP, given.TCP)
			}
			if given.Reply.Src.IsValid() && e.Reply != given.Reply {
				t.Errorf("%v: reply %v, given as %v", e, e.Reply, given.Reply)
			}
		}
	})
	parsed := func(lines func() []string) func() map[uint32]seen {
		return func() map[uint32]seen {
			all := map[uint32]seen{}
			for _, line := range lines() {
				all[lineID(t, line)] = fromLine(t, line)
			}
			return all
		}
	}
	t.Run("every field is that of the extended line", func(t *testing.T) {
		ours := func(e ctrack.Entry) seen {
			s := fromEntry(e)
			s.labelSet = ""
			return s
		}
		agree(t, c, ours, parsed(func() []string { return ns.Conntrack("-o", "extended,id") }))
	})
	t.Run("labels too", func(t *testing.T) {
		agree(t, c, fromEntry, parsed(ns.conntrackWithLabels))
	})
	for options, name := range map[ctrack.LineOptions]string{
		ctrack.LineID:                       "id",
		ctrack.LineID | ctrack.LineExtended: "extended,id", ctrack.LineID | ctrack.LineTimestamp: "ktimestamp,id",
	} {
		t.Run("every line equals that with "+name, func(t *testing.T) {
			agree(t, c, func(e ctrack.Entry) string { return e.Line(options) }, func() map[uint32]string {
				all := map[uint32]string{}
				for _, line := range ns.Conntrack("-o", name) {
					all[lineID(t, line)] = line
				}
				return all
			})
		})
	}
	t.Run("String is the line without options", func(t *testing.T) {
		// Without IDs, each line of the program is that of some entry, as often as there are such entries.
		agreeOnLines(t, c, ns)
	})
	t.Run("JSON holds what the entry has", func(t *testing.T) {
		for _, e := range list(t, c) {
			checkJSON(t, e)
		}
	})
}

func agreeOnLines(t *testing.T, c *ctrack.Conn, ns *netns) {
	t.Helper()
	tally := func(lines []string) map[string]int {
		counted := map[string]int{}
		for _, line := range lines {
			counted[line]++
		}
		return counted
	}
	ours := func() map[string]int {
		var lines []string
		for _, e := range list(t, c) {
			lines = append(lines, e.String())
		}
		return tally(lines)
	}
	var theirs map[string]int
	for range 40 {
		before := ours()
		theirs = tally(ns.Conntrack())
		after := ours()
		// A second may pass between any two lines of the three listings.
		lines, right := 0, true
		for line, count := range theirs {
			lines += count
			right = right && count <= max(before[line], after[line])
		}
		if right && lines == total(before) && lines == total(after) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("conntrack: %v\nctrack: %v", theirs, ours())
}

func total(counted map[string]int) int {
	sum := 0
	for _, count := range counted {
		sum += count
	}
	return sum
}

func checkJSON(t *testing.T, e ctrack.Entry) {
	t.Helper()
	text, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	type direction struct {
		Src, Dst     netip.Addr
		Sport, Dport *uint16
	}
	var members struct {
		Family      string
		Proto       ctrack.Proto
		Orig, Reply direction
		ID          uint32
		Mark        *uint32
		Zone        *uint16
		Helper      *string
	}
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	same := func(bit ctrack.Has, value *uint16, want uint16) bool {
		return (value != nil) == e.Has.All(bit) && (value == nil || *value == want)
	}
	m := members
	gre := e.Proto == ctrack.GRE
	if m.Family != e.Family.String() || m.Proto != e.Proto || m.ID != e.ID || m.Mark == nil || *m.Mark != e.Mark ||
		m.Zone == nil || *m.Zone != e.Zone ||
		m.Orig.Src != e.Orig.Src || m.Orig.Dst != e.Orig.Dst || m.Reply.Src != e.Reply.Src || m.Reply.Dst != e.Reply.Dst ||
		!gre && (!same(ctrack.HasPorts, m.Orig.Sport, e.Orig.SrcPort) || !same(ctrack.HasPorts, m.Reply.Dport, e.Reply.DstPort)) ||
		(m.Helper != nil) != e.Has.All(ctrack.HasHelper) || m.Helper != nil && *m.Helper != e.Helper {
		t.Errorf("%s is not %v", text, e)
	}
}
