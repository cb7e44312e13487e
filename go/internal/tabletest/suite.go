// SPDX-License-Identifier: MIT OR Apache-2.0

// Package tabletest is one suite of tests for everything that is a ctrack.Table: it is run on a Conn in a network namespace, and on
// the table of package ctracktest.
package tabletest

import (
	"context"
	"ctrack"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

var ctx = context.Background()

// Run runs the suite. open gives an empty table, to which a firewall rule applies that uses labels.
func Run(t *testing.T, open func(t *testing.T) ctrack.Table) {
	for name, test := range map[string]func(*table){
		"an entry is listed with all that it was made with":                  lists,
		"a filter lists its own":                                             listsFiltered,
		"an entry is found by what names it and by nothing else":             gets,
		"entries are counted, and free zones found":                          counts,
		"what cannot be made has a status, and does not stop the others":     creates,
		"what is malformed stops everything":                                 malformed,
		"an entry is changed as asked, or not at all":                        updates,
		"labels are added and removed":                                       updatesLabels,
		"a delete takes what is selected and nothing else":                   deletes,
		"a delete of everything is refused":                                  refusesEverything,
		"given entries are deleted if they are still the same":               deletesEntries,
		"zones of one direction are told apart":                              zones,
		"an entry may have the tuple of another zone, and of no other entry": tuples,
		"translated entries are found by who answers":                        translated,
		"a flush takes its scope":                                            flushes,
		"a loop can be left, and its body may change the table":              loops,
		"a context that has ended stops every call":                          contexts,
		"many goroutines may use it at once":                                 concurrent,
		"a closed table refuses everything":                                  closed,
	} {
		t.Run(name, func(t *testing.T) { test(&table{t, open(t)}) })
	}
}

// table is the one under test.
type table struct {
	*testing.T
	ctrack.Table
}

func addrPort(text string) netip.AddrPort {
	return netip.MustParseAddrPort(text)
}

func host(text string) netip.Prefix {
	return ctrack.Host(netip.MustParseAddr(text))
}

func udp(src, dst string) ctrack.Entry {
	e := ctrack.Key(ctrack.UDP, addrPort(src), addrPort(dst))
	e.Timeout = 10 * time.Hour
	return e
}

func tcp(src, dst string) ctrack.Entry {
	e := udp(src, dst)
	e.Proto, e.TCP.State = ctrack.TCP, ctrack.TCPEstablished
	return e
}

func ping(src, dst string, id uint16) ctrack.Entry {
	e := ctrack.ICMPKey(netip.MustParseAddr(src), netip.MustParseAddr(dst), 8, 0, id)
	if e.Proto == ctrack.ICMPv6 {
		e.Orig.ICMPType = 128
	}
	e.Timeout = 10 * time.Hour
	return e
}

// Translated is the entry with answers from another endpoint (to), or to another address (from).
func Translated(e ctrack.Entry, from, to string) ctrack.Entry {
	e.Reply = ctrack.Tuple{Src: e.Orig.Dst, Dst: e.Orig.Src, SrcPort: e.Orig.DstPort, DstPort: e.Orig.SrcPort}
	if from != "" {
		e.Reply.Dst, e.Reply.DstPort = addrPort(from).Addr(), addrPort(from).Port()
		e.Status |= ctrack.StatusSrcNAT
	}
	if to != "" {
		e.Reply.Src, e.Reply.SrcPort = addrPort(to).Addr(), addrPort(to).Port()
		e.Status |= ctrack.StatusDstNAT
	}
	return e
}

func several() []ctrack.Entry {
	return []ctrack.Entry{
		udp("10.0.0.1:1", "10.0.0.2:53"), tcp("10.0.0.1:2", "10.0.0.2:80"), ping("10.0.0.1", "10.0.0.2", 3),
		udp("[fd00::1]:1", "[fd00::2]:53"), tcp("[fd00::1]:2", "[fd00::2]:80"), ping("fd00::1", "fd00::2", 3),
		udp("10.0.0.1:1", "10.0.0.2:53").InZone(7, ctrack.ZoneBoth), udp("10.0.0.1:4", "10.0.0.2:53").InZone(7, ctrack.ZoneOrig),
		udp("10.0.0.1:5", "10.0.0.2:53").InZone(7, ctrack.ZoneReply), Translated(udp("10.0.0.1:6", "10.96.0.10:53"), "", "10.0.0.3:8053"),
		Translated(tcp("10.0.0.1:7", "192.0.2.9:80"), "192.0.2.1:1024", ""),
	}
}

func (t *table) make(entries ...ctrack.Entry) {
	t.Helper()
	batch, err := t.Create(ctx, entries)
	if want := (ctrack.Result{Matched: len(entries), Done: len(entries)}); err != nil || batch.Result != want {
		t.Fatalf("%+v, %v", batch, err)
	}
}

func (t *table) list(filters ...ctrack.Filter) []ctrack.Entry {
	t.Helper()
	entries, err := t.List(ctx, filters...)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// name is which entry it is.
func name(e ctrack.Entry) string {
	return strings.Join([]string{e.Proto.String(), e.Orig.Source().String(), e.Orig.Destination().String(), e.ZoneDir.String(),
		ctrack.Is(e.Zone).String(), ctrack.Is(e.Orig.ICMPID).String()}, " ")
}

func namesOf(entries []ctrack.Entry) []string {
	var names []string
	for _, e := range entries {
		names = append(names, name(e))
	}
	slices.Sort(names)
	return names
}

// holds fails unless exactly these entries are in the table.
func (t *table) holds(what string, want ...ctrack.Entry) {
	t.Helper()
	t.same(what, t.list(), want)
	if count, err := t.Count(ctx); err != nil || count != len(want) {
		t.Errorf("%s: %d are counted, %v, want %d", what, count, err, len(want))
	}
}

func (t *table) same(what string, got, want []ctrack.Entry) {
	t.Helper()
	if got, want := namesOf(got), namesOf(want); !slices.Equal(got, want) {
		t.Errorf("%s: %q, want %q", what, got, want)
	}
}

// fails fails unless the error is a *ctrack.Error with this errno and text.
func (t *table) fails(what string, err error, errno syscall.Errno, text string) {
	t.Helper()
	var details *ctrack.Error
	if !errors.Is(err, errno) || !errors.As(err, &details) || details.Errno != errno || !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %v with %q", what, err, errno, text)
	}
}

func (t *table) statuses(what string, batch ctrack.Batch, want ...syscall.Errno) {
	t.Helper()
	result := ctrack.Result{Matched: len(want)}
	for _, errno := range want {
		switch {
		case errno == 0:
			result.Done++
		case errno == syscall.ENOENT:
			result.Gone++
		default:
			if result.Failed++; result.Failed == 1 {
				result.FirstError = errno
			}
		}
	}
	if !slices.Equal(batch.Status, want) || batch.Result != result {
		t.Errorf("%s: %+v, want %+v and %v", what, batch, result, want)
	}
}

func (t *table) did(what string, result ctrack.Result, err error, count int) {
	t.Helper()
	if want := (ctrack.Result{Matched: count, Done: count}); err != nil || result != want {
		t.Errorf("%s: %+v, %v, want %d done", what, result, err, count)
	}
}

func zone(zone uint16) ctrack.Filter {
	return ctrack.Filter{Zone: ctrack.Is(zone)}
}

func but(f ctrack.Filter) ctrack.Filter {
	f.Exclude = true
	return f
}
