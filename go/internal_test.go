// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"errors"
	"math"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestALibraryOlderThanTheHeaderIsRefused(t *testing.T) {
	for _, right := range [][2]uint32{{0x100, 0x100}, {0x101, 0x100}, {0x10000, 0x1ff}} {
		if err := checkVersion(right[0], right[1]); err != nil {
			t.Errorf("%x: %v", right, err)
		}
	}
	err := checkVersion(0x1ff, 0x10203)
	if !errors.Is(err, syscall.ENOSYS) || !strings.Contains(err.Error(), "0.1.255") || !strings.Contains(err.Error(), "1.2.3") {
		t.Error(err)
	}
	if (Version() == "") == haveLibrary {
		t.Errorf("the version is %q", Version())
	}
}

func TestAnEntryByHandHasWhatItsFieldsAndItsProtocolSay(t *testing.T) {
	v4, v6 := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fd00::1")
	for what, c := range map[string]struct {
		entry  Entry
		has    Has
		family Family
	}{
		"port 0":    {Entry{Proto: UDP, Orig: Tuple{Src: v4, Dst: v4}}, HasOrig | HasPorts, IPv4},
		"GRE":       {Entry{Proto: GRE, Orig: Tuple{Src: v6, Dst: v6}}, HasOrig | HasPorts, IPv6},
		"ICMP":      {Entry{Proto: ICMP, Reply: Tuple{Src: v4, Dst: v4}}, HasReply | HasICMP, IPv4},
		"no ports":  {Entry{Proto: 50, Orig: Tuple{Src: v4, Dst: v4}}, HasOrig, IPv4},
		"zone":      {Entry{Proto: 50, Orig: Tuple{Src: v4, Dst: v4}, Zone: 1}, HasOrig | HasZone, IPv4},
		"orig zone": {Entry{Proto: 50, Orig: Tuple{Src: v4, Dst: v4}, Zone: 1, ZoneDir: ZoneOrig}, HasOrig | HasOrigZone, IPv4},
		"zone 0":    {Entry{Proto: 50, Orig: Tuple{Src: v4, Dst: v4}, ZoneDir: ZoneReply}, HasOrig, IPv4},
		"the rest": {Entry{Proto: TCP, Orig: Tuple{Src: v4, Dst: v4}, Status: 1, Mark: 1, Timeout: 1, ID: 1, Use: 1,
			OrigCounters: Counters{Packets: 1}, ReplyCounters: Counters{Bytes: 1}, Start: time.Unix(1, 0), Stop: time.Unix(2, 0),
			Labels: LabelSet(127), Helper: "x", TCP: TCPInfo{State: 1, ReplyWindowScale: 1, ReplyFlagsMask: 1}, SCTP: SCTPInfo{ReplyTag: 1},
			DCCP: DCCPInfo{Role: 1}},
			HasOrig | HasPorts | HasStatus | HasTimeout | HasMark | HasID | HasUse | HasOrigCounters | HasReplyCounters | HasStart | HasStop |
				HasLabels | HasHelper | HasTCPState | HasTCPWindow | HasTCPFlags | HasSCTP | HasDCCP, IPv4},
	} {
		derived, wrong := c.entry.withBits()
		if wrong != nil || derived.Has != c.has || derived.Family != c.family {
			t.Errorf("%s: %v %v, %v; want %v %v", what, derived.Has, derived.Family, wrong, c.has, c.family)
		}
		kept := derived
		kept.Has = HasMark
		if kept, _ = kept.withBits(); kept.Has != HasMark {
			t.Errorf("%s: with bits of its own it has %v", what, kept.Has)
		}
	}
}

// What the library would send comes back as it was, whatever the fields are.
func TestAnEntryIsTheSameAfterEncodingAndDecoding(t *testing.T) {
	var names helperNames
	ofFirst := 0
	for _, family := range []Family{IPv4, IPv6} {
		for _, proto := range []Proto{TCP, SCTP, DCCP, ICMP, 0, 255} {
			for _, dir := range []ZoneDir{ZoneBoth, ZoneOrig, ZoneReply} {
				e := Entry{
					Has: hasKnown&^hasAnyZone | zoneBit(65535, dir), Family: family, Proto: proto, Zone: 65535, ZoneDir: dir,
					Orig:  Tuple{netip.MustParseAddr("::ffff:1.2.3.4"), netip.MustParseAddr("::"), 1, 65535, 8, 255, 65535},
					Reply: Tuple{netip.MustParseAddr("ffff::1"), netip.MustParseAddr("1::"), 0, 2, 0, 1, 3},
					Mark:  math.MaxUint32, Status: math.MaxUint32, Timeout: math.MaxUint32 * time.Second, ID: math.MaxUint32, Use: 7,
					OrigCounters: Counters{1, math.MaxUint64}, ReplyCounters: Counters{math.MaxUint64, 2},
					Start: time.Unix(1700000000, 999999999).UTC(), Stop: time.Unix(1<<34, 1).UTC(), Labels: LabelSet(0, 63, 64, 127), Helper: "fifteen_bytes_x",
				}
				if family == IPv4 {
					e.Orig.Src, e.Orig.Dst = netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("0.0.0.0")
					e.Reply.Src, e.Reply.Dst = netip.MustParseAddr("1.2.3.4"), netip.MustParseAddr("127.0.0.1")
				}
				switch proto {
				case TCP:
					e.TCP = TCPInfo{9, 14, 13, 255, 254, 253, 252}
				case SCTP:
					e.SCTP = SCTPInfo{9, math.MaxUint32, 1}
				case DCCP:
					e.DCCP = DCCPInfo{7, 1}
				}
				raw, wrong := encodeEntries("test", []Entry{e})
				if wrong != nil {
					t.Fatal(wrong)
				}
				var back Entry
				if decode(&back, &raw[0], &names); back != e {
					t.Fatalf("%+v\n%+v", e, back)
				}
				if ofFirst == 0 {
					ofFirst = len(names)
				}
			}
		}
	}
	// All have the same.
	if ofFirst == 0 || len(names) != ofFirst {
		t.Errorf("%d names are remembered, and %d of the first entry", len(names), ofFirst)
	}
}

func TestTimeoutsAreRoundedUpToSeconds(t *testing.T) {
	for timeout, want := range map[time.Duration]uint32{0: 0, 1: 1, time.Second: 1, time.Second + 1: 2, math.MaxUint32 * time.Second: math.MaxUint32} {
		if seconds, wrong := encodeTimeout(timeout); wrong != nil || uint32(seconds) != want {
			t.Errorf("%v: %v, %v", timeout, seconds, wrong)
		}
	}
}

func TestEverythingHasAName(t *testing.T) {
	for want, got := range map[string]interface{ String() string }{
		"ipv4": IPv4, "ipv6": IPv6, "7": Family(7), "tcp": TCP, "udplite": UDPLite, "253": Proto(253),
		"both": ZoneBoth, "orig": ZoneOrig, "reply": ZoneReply, "3": ZoneDir(3),
		"ESTABLISHED": TCPEstablished, "SYN_SENT2": TCPSynSent2, "10": TCPState(10), "HEARTBEAT_ACKED": SCTPHeartbeatAcked,
		"SEEN_REPLY|ASSURED": StatusSeenReply | StatusAssured, "HW_OFFLOAD|0x10000": StatusHWOffload | 1<<16, "0": Status(0),
		"orig|secctx": HasOrig | HasSecctx, "0x8000000": Has(1 << 27), "WINDOW_SCALE|SIMULTANEOUS_OPEN": TCPWindowScale | TCPSimultaneousOpen,
		"ingress": Ingress, "egress": Egress, "1,64": LabelSet(64, 1), "-": Labels{}, "53": Is(53), "icmpv6": Is(ICMPv6),
	} {
		if got.String() != want {
			t.Errorf("%v, want %s", got, want)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	e := Key(TCP, netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2"))
	e.Reply, e.Timeout, e.Mark, e.ID, e.Use = e.Orig, time.Hour, 1, 2, 1
	raw, err := encodeEntries("benchmark", []Entry{e})
	if err != nil {
		b.Fatal(err)
	}
	var names helperNames
	entries := make([]Entry, 1024)
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		decode(&entries[n%1024], &raw[0], &names)
		n++
	}
}
