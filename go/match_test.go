// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack_test

import (
	"ctrack"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

func TestEachFieldOfAFilterMatchesItsOwnAndNothingElse(t *testing.T) {
	e := tcp("10.0.0.7:4000", "10.96.0.10:80")
	e.Reply = ctrack.Tuple{Src: addr("10.0.0.8"), Dst: addr("192.0.2.1"), SrcPort: 8080, DstPort: 5000}
	e.Status, e.Mark, e.ID, e.Helper, e.Labels = ctrack.StatusDstNAT|ctrack.StatusSrcNAT, 0x13, 99, "ftp", ctrack.LabelSet(1, 127)
	ping := icmp("10.0.0.7", "10.0.0.8", 5)
	is := ctrack.Is[ctrack.Proto]
	for what, c := range map[string]struct {
		entry        ctrack.Entry
		right, other ctrack.Filter
	}{
		"family":     {e, ctrack.Filter{Family: ctrack.Is(ctrack.IPv4)}, ctrack.Filter{Family: ctrack.Is(ctrack.IPv6)}},
		"proto":      {e, ctrack.Filter{Proto: is(ctrack.TCP)}, ctrack.Filter{Proto: is(ctrack.UDP)}},
		"id":         {e, ctrack.Filter{ID: ctrack.Is[uint32](99)}, ctrack.Filter{ID: ctrack.Is[uint32](98)}},
		"mark":       {e, ctrack.Filter{Mark: ctrack.MarkMasked(0x3, 0x7)}, ctrack.Filter{Mark: ctrack.MarkIs(0x3)}},
		"status":     {e, ctrack.Filter{StatusSet: ctrack.StatusDstNAT}, ctrack.Filter{StatusClear: ctrack.StatusDstNAT}},
		"orig src":   {e, ctrack.Filter{OrigSrc: prefix("10.0.0.0/29")}, ctrack.Filter{OrigSrc: prefix("10.0.0.8/29")}},
		"orig dst":   {e, ctrack.Filter{OrigDst: prefix("10.96.0.10/32")}, ctrack.Filter{OrigDst: prefix("10.96.0.11/32")}},
		"reply src":  {e, ctrack.Filter{ReplySrc: prefix("0.0.0.0/0")}, ctrack.Filter{ReplySrc: prefix("::/0")}},
		"reply dst":  {e, ctrack.Filter{ReplyDst: prefix("192.0.2.0/31")}, ctrack.Filter{ReplyDst: prefix("192.0.2.2/31")}},
		"orig sport": {e, ctrack.Filter{Proto: is(ctrack.TCP), OrigSrcPort: ctrack.Ports(4000, 4001)}, ctrack.Filter{Proto: is(ctrack.TCP), OrigSrcPort: ctrack.Port(80)}},
		"orig dport": {e, ctrack.Filter{Proto: is(ctrack.TCP), OrigDstPort: ctrack.Ports(79, 80)}, ctrack.Filter{Proto: is(ctrack.TCP), OrigDstPort: ctrack.Port(0)}},
		"reply port": {e, ctrack.Filter{Proto: is(ctrack.TCP), ReplySrcPort: ctrack.Port(8080)}, ctrack.Filter{Proto: is(ctrack.TCP), ReplyDstPort: ctrack.Ports(5001, 65535)}},
		"tcp state":  {e, ctrack.Filter{Proto: is(ctrack.TCP), TCPStates: ctrack.TCPStateIn(ctrack.TCPEstablished, 0)}, ctrack.Filter{Proto: is(ctrack.TCP), TCPStates: ctrack.TCPStateIn(ctrack.TCPClose)}},
		"labels":     {e, ctrack.Filter{Labels: ctrack.LabelsAll(127)}, ctrack.Filter{Labels: ctrack.LabelsMasked(ctrack.LabelSet(1), ctrack.LabelSet(1, 127))}},
		"helper":     {e, ctrack.Filter{Helper: ctrack.Is("ftp")}, ctrack.Filter{Helper: ctrack.Is("ft")}},
		"icmp type":  {ping, ctrack.Filter{Proto: is(ctrack.ICMP), ICMPType: ctrack.Is[uint8](8)}, ctrack.Filter{Proto: is(ctrack.ICMP), ICMPType: ctrack.Is[uint8](0)}},
		"icmp code":  {ping, ctrack.Filter{Proto: is(ctrack.ICMP), ICMPCode: ctrack.Is[uint8](0)}, ctrack.Filter{Proto: is(ctrack.ICMP), ICMPCode: ctrack.Is[uint8](1)}},
		"icmp id":    {ping, ctrack.Filter{Proto: is(ctrack.ICMP), ICMPID: ctrack.Is[uint16](5)}, ctrack.Filter{Proto: is(ctrack.ICMP), ICMPID: ctrack.Is[uint16](6)}},
	} {
		if err := errors.Join(c.right.Check(), c.other.Check()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !c.right.Matches(c.entry) || c.other.Matches(c.entry) {
			t.Errorf("%s: %v and %v", what, c.right.Matches(c.entry), c.other.Matches(c.entry))
		}
	}
}

func TestPrefixesOfEveryLengthMatchAsManyBits(t *testing.T) {
	for _, text := range []string{"10.0.0.7", "fd00:1:2:3:4:5:6:7"} {
		own := addr(text)
		e := ctrack.Key(ctrack.UDP, netip.AddrPortFrom(own, 1), netip.AddrPortFrom(own, 2))
		for bit := range own.BitLen() {
			bytes := own.AsSlice()
			bytes[bit/8] ^= 0x80 >> (bit % 8)
			other, _ := netip.AddrFromSlice(bytes)
			// Another address up to and with this bit, the same without it.
			if f := (ctrack.Filter{OrigSrc: netip.PrefixFrom(other, bit+1).Masked()}); f.Matches(e) {
				t.Errorf("%v matches %v", f.OrigSrc, own)
			}
			if f := (ctrack.Filter{OrigSrc: netip.PrefixFrom(other, bit).Masked()}); !f.Matches(e) {
				t.Errorf("%v does not match %v", f.OrigSrc, own)
			}
		}
	}
}

func TestZonesOfOneDirectionMatchAsInTheTable(t *testing.T) {
	base := udp("10.0.0.7:1", "10.0.0.8:2")
	entries := []ctrack.Entry{base, base.InZone(7, ctrack.ZoneBoth), base.InZone(7, ctrack.ZoneOrig), base.InZone(7, ctrack.ZoneReply)}
	zone := ctrack.Is[uint16]
	for want, f := range map[string]ctrack.Filter{
		"0111": {Zone: zone(7)}, "1000": {Zone: zone(0)}, "0110": {OrigZone: zone(7)}, "1001": {OrigZone: zone(0)},
		"0101": {ReplyZone: zone(7)}, "1010": {ReplyZone: zone(0)}, "0100": {OrigZone: zone(7), ReplyZone: zone(7)},
		"0010": {OrigZone: zone(7), ReplyZone: zone(0)}, "0001": {Zone: zone(7), OrigZone: zone(0)}, "0000": {Zone: zone(8)},
	} {
		got := ""
		for _, e := range entries {
			got += map[bool]string{true: "1", false: "0"}[f.Matches(e)]
		}
		if got != want {
			t.Errorf("%+v: %s, want %s", f, got, want)
		}
	}
	// What other libraries call zone 0: entries that no zone holds for in both directions (MIGRATING.md).
	s, err := ctrack.NewSelection(ctrack.Filter{OrigZone: zone(0)}, ctrack.Filter{ReplyZone: zone(0)})
	if err != nil || !s.Selects(entries[0]) || s.Selects(entries[1]) || !s.Selects(entries[2]) || !s.Selects(entries[3]) {
		t.Errorf("%v, %v", s, err)
	}
}

func TestASelectionTakesWhatOneFilterIncludesAndNoneExcludes(t *testing.T) {
	inside, outside := udp("10.0.0.7:1", "10.0.0.8:53"), udp("10.0.1.7:1", "10.0.0.8:53")
	both := ctrack.Filter{OrigDst: prefix("10.0.0.8/32")}
	one := ctrack.Filter{OrigSrc: prefix("10.0.1.0/24")}
	without := one
	without.Exclude = true
	for what, c := range map[string]struct {
		filters []ctrack.Filter
		in, out bool
	}{
		"none": {nil, true, true}, "both": {[]ctrack.Filter{both}, true, true}, "either": {[]ctrack.Filter{one, {Zone: ctrack.Is[uint16](9)}}, false, true},
		"but one": {[]ctrack.Filter{both, without}, true, false}, "only excluding": {[]ctrack.Filter{without}, true, false},
		"excluded although included": {[]ctrack.Filter{one, without}, false, false},
	} {
		s, err := ctrack.NewSelection(c.filters...)
		if err != nil {
			t.Fatal(err)
		}
		if in, out := s.Selects(inside), s.Selects(outside); in != c.in || out != c.out {
			t.Errorf("%s: %v and %v", what, in, out)
		}
	}
	if !new(ctrack.Selection).Selects(inside) || new(ctrack.Selection).CheckDelete() == nil {
		t.Error("the zero Selection selects everything, and may delete nothing")
	}
	if !without.Matches(outside) {
		t.Error("an excluding filter matches what it takes away")
	}
}

func TestWhatIsNoRightEntryIsNeverMatched(t *testing.T) {
	for what, e := range map[string]ctrack.Entry{
		"empty": {}, "mapped": ctrack.Key(ctrack.UDP, addrPort("[::ffff:10.0.0.7]:1"), addrPort("[::ffff:10.0.0.8]:2")),
		"no address": {Proto: ctrack.UDP, Mark: 1}, "family 7": {Family: 7, Proto: ctrack.UDP},
	} {
		if (ctrack.Filter{Proto: ctrack.Is(ctrack.UDP)}).Matches(e) || new(ctrack.Selection).Selects(e) {
			t.Errorf("%s: it is matched", what)
		}
	}
	mapped := ctrack.Entry{Family: ctrack.IPv6, Proto: ctrack.UDP, Orig: ctrack.Tuple{Src: addr("::ffff:10.0.0.7"), Dst: addr("::1")}}
	if !(ctrack.Filter{Family: ctrack.Is(ctrack.IPv6), OrigSrc: ctrack.Host(addr("::ffff:10.0.0.7"))}).Matches(mapped) {
		t.Error("a mapped address that is meant is not matched")
	}
}

func TestAWrongFilterIsRefusedByNameWithoutTheLibraryToo(t *testing.T) {
	for what, wrong := range wrongFilters() {
		err := wrong.filter.Check()
		if !errors.Is(err, syscall.EINVAL) || !strings.Contains(err.Error(), "filter"+wrong.field) {
			t.Errorf("%s: %v does not name %s", what, err, wrong.field)
		}
		if s, err := ctrack.NewSelection(ctrack.Filter{}, wrong.filter); s != nil || !strings.Contains(err.Error(), "filter[1]"+wrong.field) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := ctrack.DeadEndpoint(netip.Addr{})[0].Check(); err == nil || !strings.Contains(err.Error(), "DeadEndpoint") {
		t.Error(err)
	}
	if err := (ctrack.Filter{}).Check(); err != nil {
		t.Error(err)
	}
}
