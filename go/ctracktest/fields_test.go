// SPDX-License-Identifier: MIT OR Apache-2.0

package ctracktest_test

import (
	"ctrack"
	"ctrack/ctracktest"
	"ctrack/internal/fieldtest"
	"ctrack/internal/hook"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"
)

var (
	someLabels = ctrack.LabelSet(0, 64)
	// Values for fields of types that have none of their own.
	fieldValues = []any{
		ctrack.TCP, ctrack.IPv6, ctrack.ZoneOrig, ctrack.StatusSeenReply, ctrack.TCPSynSent, someLabels, ctrack.Is(time.Minute),
		ctrack.Is(ctrack.StatusSeenReply), ctrack.MarkIs(1), ctrack.Is(someLabels), ctrack.Is("a"), ctrack.Is(ctrack.TCPSynSent),
		ctrack.Is(ctrack.TCPWindow{Orig: 1, Reply: 1}), ctrack.Is(ctrack.SCTPInfo{State: 1, OrigTag: 1, ReplyTag: 1}),
		ctrack.Is(ctrack.TCPFlagChange{Orig: 1, OrigMask: 1, Reply: 1, ReplyMask: 1}), ctrack.Is[uint32](1), ctrack.Is[uint64](1),
		ctrack.Is(someLabels.Bits),
	}
)

// flowOf is an entry of this protocol to make. Its window can be scaled.
func flowOf(proto ctrack.Proto) ctrack.Entry {
	e := ctrack.Key(proto, netip.MustParseAddrPort("[fd00::2]:2"), netip.MustParseAddrPort("[fd00::3]:3"))
	e.Timeout = time.Hour
	if proto == ctrack.TCP {
		e.TCP.OrigFlags, e.TCP.ReplyFlags = ctrack.TCPWindowScale, ctrack.TCPWindowScale
	}
	return e
}

// held is the one entry of a table. It announces what it has, or it would be no key.
func held(t *testing.T, table *ctracktest.Table) ctrack.Entry {
	t.Helper()
	entries, err := table.List(ctx)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v, %v", entries, err)
	}
	if _, err := table.Get(ctx, entries[0]); err != nil {
		t.Errorf("%v: see made and changed in ctracktest/change.go", err)
	}
	return entries[0]
}

func TestEveryFieldThatANewEntryCanHaveIsInTheTable(t *testing.T) {
	// Only a kernel knows them, or says them of what it sent; or they say what others are.
	others := "Has Family Proto ZoneDir ID Use OrigCounters. ReplyCounters. Start Stop TCP.OrigFlagsMask TCP.ReplyFlagsMask DCCP."
	fieldtest.Each(t, fieldValues, func(name string, set func(*ctrack.Entry)) {
		for _, other := range strings.Fields(others) {
			if name == other || strings.HasSuffix(other, ".") && strings.HasPrefix(name, other) {
				return
			}
		}
		proto := ctrack.TCP
		switch {
		case strings.HasPrefix(name, "SCTP."):
			proto = ctrack.SCTP
		case strings.Contains(name, ".ICMP"):
			proto = ctrack.ICMPv6
		}
		e := flowOf(proto)
		if proto == ctrack.ICMPv6 {
			e.Orig.SrcPort, e.Orig.DstPort, e.Orig.ICMPType = 0, 0, 128
		}
		if strings.HasPrefix(name, "Reply.") {
			e.Reply = ctrack.Tuple{Src: e.Orig.Dst, Dst: e.Orig.Src, SrcPort: e.Orig.DstPort, DstPort: e.Orig.SrcPort}
		}
		if set(&e); name == "Orig.ICMPType" {
			// To 1 there is no answer.
			e.Orig.ICMPType = 129
		}
		table := ctracktest.New()
		if _, err := table.Create(ctx, []ctrack.Entry{e}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		made := held(t, table)
		wanted := made
		switch set(&wanted); name {
		case "Orig.ICMPType":
			wanted.Orig.ICMPType = 129
		case "Status":
			wanted.Status |= ctrack.StatusConfirmed
		}
		if made != wanted {
			t.Errorf("Entry.%s: a new entry has it, and the table does not: see made in ctracktest/change.go", name)
		}
	})
}

func TestEveryFieldOfAChangeChangesTheTable(t *testing.T) {
	fieldtest.Each(t, append(fieldValues, ctrack.Entry{}), func(name string, set func(*ctrack.Change)) {
		if name == "Key" {
			return
		}
		proto := ctrack.TCP
		if name == "SCTP" {
			proto = ctrack.SCTP
		}
		table := ctracktest.New()
		e := flowOf(proto)
		if name == "RemoveLabels" {
			e.Labels = someLabels
		}
		change := ctrack.Change{}
		set(&change)
		if name == "Helper" {
			// A helper can only be taken away.
			e.Helper, change.Helper = "a", ctrack.Is("")
		}
		if name == "TCPFlags" {
			change.TCPFlags = ctrack.Is(ctrack.TCPFlagChange{Orig: 2, OrigMask: 2, Reply: 2, ReplyMask: 2})
		}
		if _, err := table.Create(ctx, []ctrack.Entry{e}); err != nil {
			t.Fatal(err)
		}
		before := held(t, table)
		change.Key = before
		if _, err := table.Update(ctx, []ctrack.Change{change}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		after := held(t, table)
		if after == before {
			t.Errorf("Change.%s: it changes nothing in the table: see changed in ctracktest/change.go", name)
		}
		checked, err := hook.Change("update", "entry", change)
		if err != nil {
			t.Fatal(err)
		}
		// What has two parts changes both.
		fieldtest.Each(t, fieldValues, func(part string, set func(*ctrack.Entry)) {
			wants, was, is := checked.Values.(ctrack.Entry), before, after
			for _, e := range []*ctrack.Entry{&wants, &was, &is} {
				set(e)
			}
			// The bits of a status are added, and no entry has masks.
			if wants == checked.Values && was != before && is != after && part != "Status" && !strings.HasSuffix(part, "Mask") {
				t.Errorf("Change.%s: %s of the table's entry stays as it was: see changed in ctracktest/change.go", name, part)
			}
		})
	})
}

func TestEveryTCPStateThatHasANameCanBeMade(t *testing.T) {
	for state := range ctrack.TCPState(16) {
		e := flowOf(ctrack.TCP)
		e.TCP.State = state
		_, err := ctracktest.New().Create(ctx, []ctrack.Entry{e})
		if named := state.String() != strconv.Itoa(int(state)); named != (err == nil) {
			t.Errorf("%v: %v: see unknown in ctracktest/change.go", state, err)
		}
	}
}
