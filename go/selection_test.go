// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// chance is where random filters and entries come from.
type chance struct {
	*rand.Rand
}

// newChance has the seed of CTRACK_SEED, or one of the clock, and prints it.
func newChance(t *testing.T) chance {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("CTRACK_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("CTRACK_SEED=%d", seed)
	return chance{rand.New(rand.NewPCG(seed, 0))}
}

func (r chance) oneIn(n int) bool {
	return r.IntN(n) == 0
}

func pick[T any](r chance, from ...T) T {
	return from[r.IntN(len(from))]
}

// address is one of a few that share prefixes of many lengths.
func (r chance) address(family ctrack.Family) netip.Addr {
	low := byte(1 << r.IntN(8))
	if family == ctrack.IPv4 {
		return netip.AddrFrom4([4]byte{pick[byte](r, 10, 10, 192), pick[byte](r, 0, 0, 128), pick[byte](r, 0, 1), low})
	}
	return netip.AddrFrom16([16]byte{0xfd, pick[byte](r, 0, 0, 128), 7: pick[byte](r, 0, 1), 8: pick[byte](r, 0, 128), 15: low})
}

// entry is one that the kernel makes; number makes it differ from the others.
func (r chance) entry(number int) ctrack.Entry {
	family := pick(r, ctrack.IPv4, ctrack.IPv4, ctrack.IPv6)
	e := ctrack.Entry{Family: family, Timeout: 10 * time.Hour, Mark: pick[uint32](r, 0, 1, 3, 0x80000001, ^uint32(0))}
	e.Orig.Src, e.Orig.Dst = r.address(family), r.address(family)
	e.Proto = pick(r, ctrack.UDP, ctrack.UDP, ctrack.TCP, ctrack.TCP, ctrack.SCTP, ctrack.GRE, ctrack.ICMP, 253)
	switch e.Proto {
	case 253:
		e.Proto = ctrack.Proto(150 + number%100)
	case ctrack.ICMP:
		e.Orig.ICMPType, e.Orig.ICMPID = pick[uint8](r, 8, 13), uint16(number)
		if family == ctrack.IPv6 {
			e.Proto, e.Orig.ICMPType = ctrack.ICMPv6, pick[uint8](r, 128, 139)
		}
		if r.oneIn(2) {
			e.Orig.ICMPCode = 1
		}
	default:
		e.Orig.SrcPort, e.Orig.DstPort = uint16(number*97), pick[uint16](r, 0, 53, 80, 443, 30053, 65535)
	}
	e = e.InZone(pick[uint16](r, 0, 0, 5, 7, 65535), pick(r, ctrack.ZoneBoth, ctrack.ZoneOrig, ctrack.ZoneReply))
	e.Status = pick(r, 0, ctrack.StatusSeenReply, ctrack.StatusSeenReply|ctrack.StatusAssured, ctrack.StatusFixedTimeout)
	if e.Proto == ctrack.TCP {
		e.TCP.State = ctrack.TCPState(r.IntN(10))
	}
	if e.Proto == ctrack.TCP || e.Proto == ctrack.UDP {
		r.translate(&e)
		if r.oneIn(3) {
			e.Helper = map[ctrack.Proto]string{ctrack.TCP: pick(r, "ftp", "irc"), ctrack.UDP: "tftp"}[e.Proto]
		}
	}
	if r.oneIn(2) {
		e.Labels = ctrack.LabelSet(pick(r, 0, 1), pick(r, 1, 64), pick(r, 64, 127))
	}
	return e
}

// translate may give the entry a reply tuple of its own.
func (r chance) translate(e *ctrack.Entry) {
	reply := ctrack.Tuple{Src: e.Orig.Dst, Dst: e.Orig.Src, SrcPort: e.Orig.DstPort, DstPort: e.Orig.SrcPort}
	if r.oneIn(3) {
		e.Status |= ctrack.StatusDstNAT
		reply.Src, reply.SrcPort = r.address(e.Family).Next(), 8053
	}
	if r.oneIn(3) {
		e.Status |= ctrack.StatusSrcNAT
		reply.Dst, reply.DstPort = r.address(e.Family).Next(), e.Orig.SrcPort+1
	}
	if e.Status&(ctrack.StatusSrcNAT|ctrack.StatusDstNAT) != 0 {
		e.Reply = reply
	}
}

// filterFields are all fields of a filter but Exclude: what sets one in the way of an entry, so that it often matches, and what
// takes it away. What else a field wants (a protocol, a family) is set with it, and stays.
var filterFields = map[string]struct {
	set   func(r chance, f *ctrack.Filter, like *ctrack.Entry)
	clear func(f *ctrack.Filter)
}{
	"Family": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		f.Family = ctrack.Is(pick(r, like.Family, like.Family, ctrack.IPv4, ctrack.IPv6))
	}, func(f *ctrack.Filter) { f.Family = ctrack.Optional[ctrack.Family]{} }},
	"Proto": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) { f.Proto = ctrack.Is(like.Proto) },
		func(f *ctrack.Filter) { f.Proto = ctrack.Optional[ctrack.Proto]{} }},
	"Zone": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) { f.Zone = ctrack.Is(like.Zone) },
		func(f *ctrack.Filter) { f.Zone = ctrack.Optional[uint16]{} }},
	"OrigZone": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) { f.OrigZone = ctrack.Is(pick(r, 0, 0, like.Zone)) },
		func(f *ctrack.Filter) { f.OrigZone = ctrack.Optional[uint16]{} }},
	"ReplyZone": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		f.ReplyZone = ctrack.Is(pick(r, 0, 0, like.Zone))
	},
		func(f *ctrack.Filter) { f.ReplyZone = ctrack.Optional[uint16]{} }},
	"ID": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) { f.ID = ctrack.Is(like.ID) },
		func(f *ctrack.Filter) { f.ID = ctrack.Optional[uint32]{} }},
	"Mark": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		mask := pick[uint32](r, 1, 2, 0x80000000, 0x80000000, ^uint32(0))
		f.Mark = ctrack.MarkMasked(like.Mark&mask, mask)
	}, func(f *ctrack.Filter) { f.Mark = ctrack.Optional[ctrack.Mark]{} }},
	"StatusSet": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		f.StatusSet = like.Status & pick(r, ctrack.StatusSeenReply, ctrack.StatusAssured, ctrack.StatusDstNAT, 0xffff)
	}, func(f *ctrack.Filter) { f.StatusSet = 0 }},
	"StatusClear": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		f.StatusClear = pick(r, ctrack.StatusAssured, ctrack.StatusSeenReply, ctrack.StatusSrcNAT, ctrack.StatusFixedTimeout)
		f.StatusSet &^= f.StatusClear
	}, func(f *ctrack.Filter) { f.StatusClear = 0 }},
	"OrigSrc":      prefixField(func(f *ctrack.Filter) *netip.Prefix { return &f.OrigSrc }, func(e *ctrack.Entry) netip.Addr { return e.Orig.Src }),
	"OrigDst":      prefixField(func(f *ctrack.Filter) *netip.Prefix { return &f.OrigDst }, func(e *ctrack.Entry) netip.Addr { return e.Orig.Dst }),
	"ReplySrc":     prefixField(func(f *ctrack.Filter) *netip.Prefix { return &f.ReplySrc }, func(e *ctrack.Entry) netip.Addr { return e.Reply.Src }),
	"ReplyDst":     prefixField(func(f *ctrack.Filter) *netip.Prefix { return &f.ReplyDst }, func(e *ctrack.Entry) netip.Addr { return e.Reply.Dst }),
	"OrigSrcPort":  portField(func(f *ctrack.Filter) *ctrack.Optional[ctrack.PortRange] { return &f.OrigSrcPort }, func(e *ctrack.Entry) uint16 { return e.Orig.SrcPort }),
	"OrigDstPort":  portField(func(f *ctrack.Filter) *ctrack.Optional[ctrack.PortRange] { return &f.OrigDstPort }, func(e *ctrack.Entry) uint16 { return e.Orig.DstPort }),
	"ReplySrcPort": portField(func(f *ctrack.Filter) *ctrack.Optional[ctrack.PortRange] { return &f.ReplySrcPort }, func(e *ctrack.Entry) uint16 { return e.Reply.SrcPort }),
	"ReplyDstPort": portField(func(f *ctrack.Filter) *ctrack.Optional[ctrack.PortRange] { return &f.ReplyDstPort }, func(e *ctrack.Entry) uint16 { return e.Reply.DstPort }),
	"ICMPType": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		icmpOf(f, like)
		f.ICMPType = ctrack.Is(pick[uint8](r, like.Orig.ICMPType, 8, 128))
	}, func(f *ctrack.Filter) { f.ICMPType = ctrack.Optional[uint8]{} }},
	"ICMPCode": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		icmpOf(f, like)
		f.ICMPCode = ctrack.Is(like.Orig.ICMPCode)
	}, func(f *ctrack.Filter) { f.ICMPCode = ctrack.Optional[uint8]{} }},
	"ICMPID": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		icmpOf(f, like)
		f.ICMPID = ctrack.Is(like.Orig.ICMPID)
	}, func(f *ctrack.Filter) { f.ICMPID = ctrack.Optional[uint16]{} }},
	"TCPStates": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		f.Proto = ctrack.Is(ctrack.TCP)
		f.TCPStates = ctrack.TCPStateIn(like.TCP.State, ctrack.TCPState(r.IntN(10)), ctrack.TCPState(r.IntN(10)))
	}, func(f *ctrack.Filter) { f.TCPStates = ctrack.Optional[ctrack.TCPStates]{} }},
	"Labels": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		mask := ctrack.LabelSet(pick(r, 0, 1, 64, 127))
		value := mask
		for i := range value.Bits {
			value.Bits[i] &= like.Labels.Bits[i]
		}
		f.Labels = ctrack.LabelsMasked(value, mask)
	}, func(f *ctrack.Filter) { f.Labels = ctrack.Optional[ctrack.LabelMatch]{} }},
	"Helper": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		f.Helper = ctrack.Is(like.Helper)
		if like.Helper == "" {
			f.Helper = ctrack.Is(pick(r, "ftp", "tftp", "irc", "ft"))
		}
	}, func(f *ctrack.Filter) { f.Helper = ctrack.Optional[string]{} }},
}

type fieldWays = struct {
	set   func(r chance, f *ctrack.Filter, like *ctrack.Entry)
	clear func(f *ctrack.Filter)
}

func prefixField(of func(f *ctrack.Filter) *netip.Prefix, address func(e *ctrack.Entry) netip.Addr) fieldWays {
	return fieldWays{func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		f.Family = ctrack.Is(like.Family)
		bits := pick(r, 0, 1, 7, 8, 9, 16, 24, 32)
		if like.Family == ctrack.IPv6 {
			bits = pick(r, 0, 8, 9, 63, 64, 65, 128)
		}
		*of(f) = netip.PrefixFrom(address(like), bits).Masked()
	}, func(f *ctrack.Filter) { *of(f) = netip.Prefix{} }}
}

func portField(of func(f *ctrack.Filter) *ctrack.Optional[ctrack.PortRange], port func(e *ctrack.Entry) uint16) fieldWays {
	return fieldWays{func(r chance, f *ctrack.Filter, like *ctrack.Entry) {
		f.Proto = ctrack.Is(pick(r, ctrack.UDP, ctrack.TCP, ctrack.SCTP, ctrack.GRE))
		if like.Has.All(ctrack.HasPorts) {
			f.Proto = ctrack.Is(like.Proto)
		}
		own := port(like)
		low, high := own-uint16(r.IntN(int(own)+1)), own+uint16(r.IntN(int(65535-own)+1))
		*of(f) = pick(r, ctrack.Port(own), ctrack.Ports(low, own), ctrack.Ports(own, high), ctrack.Ports(low, high), ctrack.Ports(low, high), ctrack.Ports(0, 65535))
	}, func(f *ctrack.Filter) { *of(f) = ctrack.Optional[ctrack.PortRange]{} }}
}

func icmpOf(f *ctrack.Filter, like *ctrack.Entry) {
	f.Proto = ctrack.Is(ctrack.ICMP)
	if like.Family == ctrack.IPv6 {
		f.Proto = ctrack.Is(ctrack.ICMPv6)
	}
}

// fits says whether an entry has what a field is about, so that a filter like it says something.
func fits(field string, e *ctrack.Entry) bool {
	switch {
	case strings.HasSuffix(field, "Port"):
		return e.Has.All(ctrack.HasPorts)
	case strings.HasPrefix(field, "ICMP"):
		return e.Has.All(ctrack.HasICMP)
	case field == "TCPStates":
		return e.Proto == ctrack.TCP
	case field == "StatusSet":
		return e.Status != ctrack.StatusConfirmed
	}
	return true
}

// filter is a right one with this field, and perhaps others.
func (r chance) filter(field string, entries []ctrack.Entry, names []string) ctrack.Filter {
	for {
		var f ctrack.Filter
		like := &entries[r.IntN(len(entries))]
		if !fits(field, like) {
			continue
		}
		for range pick(r, 0, 0, 0, 0, 1, 2) {
			other := pick(r, names...)
			// An ID leaves nothing to the other fields.
			if other != field && other != "ID" && fits(other, like) {
				filterFields[other].set(r, &f, like)
			}
		}
		filterFields[field].set(r, &f, like)
		if f.Check() == nil {
			return f
		}
	}
}

// randomTable is a namespace with random entries, and what the kernel made of them.
func randomTable(t *testing.T, r chance, count int) (*ctrack.Conn, []ctrack.Entry) {
	ns := newNetns(t)
	// Without a rule that uses labels the kernel drops them.
	ns.Feed("table inet l {\nchain c {\ntype filter hook output priority 0;\nct label set 1\n}\n}\n", "nft", "-f", "-")
	c := ns.open(ctrack.Options{})
	// One may collide with another. Few do.
	var made []ctrack.Entry
	for number := range count {
		made = append(made, r.entry(number))
	}
	if batch, err := c.Create(ctx, made); batch.Status == nil {
		t.Fatal(err)
	}
	entries := list(t, c)
	if len(entries) < count*9/10 {
		t.Fatalf("only %d of %d random entries could be made", len(entries), count)
	}
	return c, entries
}

// verdicts are the library's: which of the entries it lists with these filters.
func verdicts(t *testing.T, c *ctrack.Conn, entries []ctrack.Entry, filters ...ctrack.Filter) []bool {
	t.Helper()
	type name struct {
		identity
		id uint32
	}
	listed := map[name]bool{}
	for _, e := range list(t, c, filters...) {
		listed[name{identityOf(e), e.ID}] = true
	}
	found := make([]bool, len(entries))
	seen := 0
	for i, e := range entries {
		if found[i] = listed[name{identityOf(e), e.ID}]; found[i] {
			seen++
		}
	}
	if seen != len(listed) {
		t.Fatalf("%+v lists %d entries, of which %d are in the table", filters, len(listed), seen)
	}
	return found
}

// turned counts pairs whose verdict depends on one field.
type turned struct {
	// The field keeps the entry out, and nothing else does.
	out int
	// The entry is in with the field, and would be out with another value of it.
	in int
}

func TestFiltersMatchInGoWhatTheLibraryLists(t *testing.T) {
	r := newChance(t)
	c, entries := randomTable(t, r, 400)
	names := make([]string, 0, len(filterFields))
	for name := range filterFields {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, field := range reflect.VisibleFields(reflect.TypeFor[ctrack.Filter]()) {
		if _, known := filterFields[field.Name]; !known && field.IsExported() && field.Name != "Exclude" {
			t.Errorf("Filter.%s: this test does not compare it: add it to filterFields", field.Name)
		}
	}
	pairs, matches := 0, 0
	count := map[string]turned{}
	known := map[string][]bool{}
	compare := func(f ctrack.Filter, judged []int) []bool {
		text := fmt.Sprintf("%+v", f)
		if known[text] == nil {
			// The kernel walks its whole hash table for each list.
			known[text] = verdicts(t, c, entries, f)
			for i, e := range entries {
				if ours := f.Matches(e); ours != known[text][i] {
					t.Fatalf("%+v matches %+v: %v, the library says %v", f, e, ours, known[text][i])
				}
			}
		}
		for _, i := range judged {
			pairs++
			if known[text][i] {
				matches++
			}
		}
		return known[text]
	}
	for _, name := range names {
		for round := 0; round < 6 || round < 1000 && (count[name].out < 100 || count[name].in < 100); round++ {
			f := r.filter(name, entries, names)
			without := f
			filterFields[name].clear(&without)
			if without.Check() != nil {
				continue
			}
			judged := r.Perm(len(entries))
			if name == "ID" || name == "ICMPID" {
				// One entry has it: with all the others of the table, pairs that do not match would drown the rest.
				own := slices.IndexFunc(entries, f.Matches)
				judged = append(judged[:map[string]int{"ID": 2, "ICMPID": 20}[name]], max(own, 0))
			}
			with, wider := compare(f, judged), compare(without, judged)
			turns := count[name]
			for _, i := range judged {
				switch {
				case with[i] && !wider[i]:
					t.Fatalf("%+v lists %+v, and without %s it does not", f, entries[i], name)
				case wider[i] && !with[i]:
					turns.out++
				case with[i]:
					turns.in++
				}
			}
			count[name] = turns
		}
	}
	// Some tables take many filters that hardly match before each field has decided. Others, of one condition that most entries meet, keep
	// up the share of pairs that match.
	for round := 0; round < 2000 && matches*100 < pairs*33; round++ {
		name := names[round%len(names)]
		f := r.filter(name, entries, names)
		for _, other := range names {
			if other != name {
				filterFields[other].clear(&f)
			}
		}
		if f.Check() != nil {
			continue
		}
		wide := 0
		for _, e := range entries {
			if f.Matches(e) {
				wide++
			}
		}
		if wide*2 > len(entries) {
			compare(f, r.Perm(len(entries)))
		}
	}
	for _, name := range names {
		t.Logf("%-13s keeps out alone %6d, lets in %6d", name, count[name].out, count[name].in)
		if count[name].out < 100 || count[name].in < 100 {
			t.Errorf("%s decided alone over too few pairs", name)
		}
	}
	t.Logf("%d pairs, of which %d%% match", pairs, matches*100/pairs)
	if pairs < 10_000 || matches*100 < pairs*30 {
		t.Error("too few pairs, or too few that match")
	}
}

func TestSelectionsSelectInGoWhatTheLibraryLists(t *testing.T) {
	r := newChance(t)
	c, entries := randomTable(t, r, 400)
	names := make([]string, 0, len(filterFields))
	for name := range filterFields {
		names = append(names, name)
	}
	slices.Sort(names)
	compare := func(filters []ctrack.Filter) []bool {
		selection, err := ctrack.NewSelection(filters...)
		if err != nil {
			t.Fatal(err)
		}
		theirs := verdicts(t, c, entries, filters...)
		for i, e := range entries {
			if ours := selection.Selects(e); ours != theirs[i] {
				t.Fatalf("%+v select %+v: %v, the library says %v", filters, e, ours, theirs[i])
			}
		}
		return theirs
	}
	pairs, selected := 0, 0
	var excluded, included int
	for range 120 {
		var filters []ctrack.Filter
		for range r.IntN(5) {
			f := r.filter(pick(r, names...), entries, names)
			f.Exclude = r.oneIn(3)
			if f.Check() == nil {
				filters = append(filters, f)
			}
		}
		before := compare(filters)
		pairs += len(entries)
		for _, in := range before {
			if in {
				selected++
			}
		}
		if len(filters) == 0 {
			continue
		}
		// Exclude alone: turned over.
		turnedOver := slices.Clone(filters)
		one := &turnedOver[r.IntN(len(filters))]
		one.Exclude = !one.Exclude
		if one.Check() != nil {
			continue
		}
		after := compare(turnedOver)
		pairs += len(entries)
		for i := range entries {
			if after[i] {
				selected++
			}
			switch with, without := before[i], after[i]; {
			case with == without:
			case with != one.Exclude:
				excluded++
			default:
				included++
			}
		}
	}
	t.Logf("%d pairs, of which %d%% are selected; Exclude alone takes away %d and lets in %d", pairs, selected*100/pairs, excluded, included)
	if pairs < 10_000 || selected*100 < pairs*30 || excluded < 100 || included < 100 {
		t.Error("too few pairs, too few that are selected, or Exclude decided alone over too few")
	}
}

func TestAWrongFilterIsRefusedInGoInTheWordsOfTheLibrary(t *testing.T) {
	ns := newNetns(t)
	c := ns.open(ctrack.Options{})
	filters := map[string]ctrack.Filter{"excludes everything": {Exclude: true}, "helper is no text": {Helper: ctrack.Is("\xff")}}
	for what, wrong := range wrongFilters() {
		filters[what] = wrong.filter
	}
	text := func(err error) string {
		t.Helper()
		if err == nil {
			t.Fatal("it is not refused")
		}
		_, text, _ := strings.Cut(strings.TrimPrefix(err.Error(), "ctrack: "), ": ")
		return text
	}
	for what, filter := range filters {
		_, theirs := c.List(ctx, zone(1), filter)
		selection, ours := ctrack.NewSelection(zone(1), filter)
		if selection != nil || text(ours) != text(theirs) {
			t.Errorf("%s: %v, the library says %v", what, ours, theirs)
		}
		if own := text(filter.Check()); own != strings.Replace(text(theirs), "filter[1]", "filter", 1) {
			t.Errorf("%s: Check says %s, the library %v", what, own, theirs)
		}
		if filter.Matches(udp("10.0.0.7:1", "10.0.0.8:2")) {
			t.Errorf("%s: it matches", what)
		}
	}
	for what, filters := range map[string][]ctrack.Filter{
		"none": nil, "everything": {{}}, "one of them everything": {zone(7), {StatusSet: ctrack.StatusConfirmed}}, "an id": {{ID: ctrack.Is[uint32](1)}},
		"only excluding": {{Exclude: true, Zone: ctrack.Is[uint16](1)}}, "no mark": {{Mark: ctrack.MarkMasked(0, 0)}}, "right": {zone(7)},
		"an id in a zone": {{ID: ctrack.Is[uint32](1), Zone: ctrack.Is[uint16](0)}}, "unconfirmed": {{StatusClear: ctrack.StatusConfirmed}},
	} {
		_, theirs := c.Delete(ctx, filters...)
		selection, err := ctrack.NewSelection(filters...)
		if err != nil {
			t.Fatal(err)
		}
		ours := selection.CheckDelete()
		if (ours == nil) != (theirs == nil) || ours != nil && ours.Error() != theirs.Error() {
			t.Errorf("%s: %v, the library says %v", what, ours, theirs)
		}
	}
}
