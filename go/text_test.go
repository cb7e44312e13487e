// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack_test

import (
	"ctrack"
	"ctrack/internal/fieldtest"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
)

func TestAFilterPrintsTheFieldsThatAreSetInOneLine(t *testing.T) {
	prefix := netip.MustParsePrefix
	for want, f := range map[string]ctrack.Filter{
		"proto=udp orig-dst=10.0.0.0/8 orig-dport=53 exclude": {Exclude: true, Proto: ctrack.Is(ctrack.UDP),
			OrigDst: prefix("10.0.0.0/8"), OrigDstPort: ctrack.Port(53)},
		"any":         {},
		"any exclude": {Exclude: true},
		"family=ipv6 zone=0 orig-zone=5 reply-zone=6 id=0 mark=0x7 status-set=SEEN_REPLY|ASSURED status-clear=DYING": {
			Family: ctrack.Is(ctrack.IPv6), Zone: ctrack.Is[uint16](0), OrigZone: ctrack.Is[uint16](5), ReplyZone: ctrack.Is[uint16](6),
			ID: ctrack.Is[uint32](0), Mark: ctrack.MarkIs(7), StatusSet: ctrack.StatusSeenReply | ctrack.StatusAssured,
			StatusClear: ctrack.StatusDying},
		"orig-src=0.0.0.0/0 reply-src=10.0.0.7/32 reply-dst=fd00::/8 orig-sport=1000-2000 reply-sport=0 reply-dport=1-2": {
			OrigSrc: prefix("0.0.0.0/0"), ReplySrc: ctrack.Host(netip.MustParseAddr("10.0.0.7")), ReplyDst: prefix("fd00::/8"),
			OrigSrcPort: ctrack.Ports(1000, 2000), ReplySrcPort: ctrack.Port(0), ReplyDstPort: ctrack.Ports(1, 2)},
		`icmp-type=8 icmp-code=0 icmp-id=3 tcp-states=ESTABLISHED,CLOSE labels=1,64 helper="a b"`: {
			ICMPType: ctrack.Is[uint8](8), ICMPCode: ctrack.Is[uint8](0), ICMPID: ctrack.Is[uint16](3),
			TCPStates: ctrack.TCPStateIn(ctrack.TCPClose, ctrack.TCPEstablished), Labels: ctrack.LabelsAll(64, 1), Helper: ctrack.Is("a b")},
		"mark=0x7/0xff tcp-states=- labels=1/1,64": {Mark: ctrack.MarkMasked(7, 0xff), TCPStates: ctrack.Is(ctrack.TCPStates(0)),
			Labels: ctrack.LabelsMasked(ctrack.LabelSet(1), ctrack.LabelSet(1, 64))},
		// A condition that is wrong is still one.
		"orig-src=invalid Prefix": {OrigSrc: ctrack.Host(netip.Addr{})},
	} {
		if got := fmt.Sprint(f); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, f := range ctrack.DeadEndpoint() {
		if got := f.String(); !strings.HasPrefix(got, "refused: ") {
			t.Errorf("of no address: %q", got)
		}
	}
}

func TestNoFieldOfAFilterIsLeftOutOfItsText(t *testing.T) {
	zero := []any{
		ctrack.Is(ctrack.IPv4), ctrack.Is(ctrack.Proto(0)), ctrack.Is[uint8](0), ctrack.Is[uint16](0), ctrack.Is[uint32](0), ctrack.Is[uint64](0),
		ctrack.MarkIs(0), ctrack.Port(0), ctrack.TCPStateIn(ctrack.TCPNone), ctrack.LabelsAll(0), ctrack.Is("ftp"),
	}
	fieldtest.Each(t, zero, func(name string, set func(*ctrack.Filter)) {
		var f ctrack.Filter
		if set(&f); f.String() == "any" {
			t.Errorf("Filter.%s is not in it: see Filter.String in text.go", name)
		}
	})
}

func TestAResultAndABatchPrintTheirSums(t *testing.T) {
	for want, result := range map[string]ctrack.Result{
		"0 matched, 0 done, 0 gone, 0 failed": {},
		"3 matched, 3 done, 0 gone, 0 failed": {Matched: 3, Done: 3},
		"4 matched, 1 done, 1 gone, 1 failed (" + syscall.EBUSY.Error() + "), 1 spared": {Matched: 4, Done: 1, Gone: 1, Failed: 1, Spared: 1,
			FirstError: syscall.EBUSY},
		"2 matched, 0 done, 0 gone, 2 failed (first: " + syscall.EPERM.Error() + ")": {Matched: 2, Failed: 2, FirstError: syscall.EPERM},
		"1 matched, 1 done, 0 gone, 0 failed, others uncounted, start unknown":       {Matched: 1, Done: 1, Uncounted: true, StartUnknown: true},
	} {
		if got := fmt.Sprint(result); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := fmt.Sprint(ctrack.Batch{Result: result, Status: []syscall.Errno{0, syscall.EBUSY}}); got != want {
			t.Errorf("a batch: %q, want %q", got, want)
		}
	}
}
