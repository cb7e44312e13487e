// SPDX-License-Identifier: MIT OR Apache-2.0

//go:build cgo && linux

package ctrack_test

import (
	"ctrack"
	"net/netip"
	"time"
)

// created are entries that no loopback traffic makes: every protocol, state, zone, NAT, and odd addresses, in both families.
func created() []ctrack.Entry {
	var entries []ctrack.Entry
	for _, family := range []ctrack.Family{ctrack.IPv4, ctrack.IPv6} {
		entries = append(entries, createdIn(family)...)
	}
	for i, text := range []string{"::", "::1", "::1.2.3.4", "::ffff:1.2.3.4", "::ffff:0:0", "64:ff9b::1.2.3.4", "1::", "1:0:0:2::",
		"0:1:2:3:4:5:6:7", "0:0:1:0:0:0:1:0", "fe80::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		odd := made(ctrack.UDP, addr(text), addr("fd00::7"), uint16(i), 1)
		// It says that ::ffff:1.2.3.4 is meant as it stands.
		odd.Family = ctrack.IPv6
		entries = append(entries, odd)
	}
	for i, text := range []string{"0.0.0.0", "255.255.255.255", "100.200.30.4"} {
		entries = append(entries, made(ctrack.UDP, addr(text), addr("192.0.2.1"), 0, uint16(65535-i)))
	}
	return entries
}

func made(proto ctrack.Proto, src, dst netip.Addr, sport, dport uint16) ctrack.Entry {
	e := ctrack.Key(proto, netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport))
	e.Timeout = 3000 * time.Second
	return e
}

func createdIn(family ctrack.Family) []ctrack.Entry {
	a, b, c := of(family, "192.0.2.1 2001:db8::1"), of(family, "198.51.100.2 2001:db8:ffff::2"), of(family, "203.0.113.3 2001:db8:0:1::3")
	var entries []ctrack.Entry
	port := uint16(20000)
	add := func(proto ctrack.Proto, change func(e *ctrack.Entry)) {
		port++
		e := made(proto, a, b, port, 443)
		change(&e)
		entries = append(entries, e)
	}
	for state := ctrack.TCPNone; state <= ctrack.TCPSynSent2; state++ {
		add(ctrack.TCP, func(e *ctrack.Entry) { e.TCP.State = state })
		add(ctrack.TCP, func(e *ctrack.Entry) {
			e.TCP = ctrack.TCPInfo{State: state, OrigWindowScale: 7, ReplyWindowScale: 14,
				OrigFlags: ctrack.TCPSackPermitted | ctrack.TCPWindowScale, ReplyFlags: ctrack.TCPWindowScale}
			e.Status = ctrack.StatusSeenReply | ctrack.StatusAssured
		})
	}
	for state := ctrack.SCTPNone; state <= ctrack.SCTPHeartbeatSent; state++ {
		add(ctrack.SCTP, func(e *ctrack.Entry) { e.SCTP = ctrack.SCTPInfo{State: state, OrigTag: 1, ReplyTag: 1<<32 - 1} })
	}
	for _, proto := range []ctrack.Proto{ctrack.UDP, ctrack.UDPLite} {
		add(proto, func(e *ctrack.Entry) { e.Status, e.Mark = ctrack.StatusSeenReply, 0x7fffffff })
		add(proto, func(e *ctrack.Entry) { e.Status, e.Mark = ctrack.StatusAssured|ctrack.StatusFixedTimeout, 0xffffffff })
	}
	for _, zone := range []uint16{1, 7, 65535} {
		for _, dir := range []ctrack.ZoneDir{ctrack.ZoneBoth, ctrack.ZoneOrig, ctrack.ZoneReply} {
			add(ctrack.UDP, func(e *ctrack.Entry) { *e = e.InZone(zone, dir) })
		}
	}
	add(ctrack.UDP, func(e *ctrack.Entry) { e.Labels = ctrack.LabelSet(0, 15, 63, 64, 127) })
	add(ctrack.TCP, func(e *ctrack.Entry) { e.Helper = "ftp" })
	add(ctrack.UDP, func(e *ctrack.Entry) { e.Helper = "tftp" })
	for _, proto := range []ctrack.Proto{ctrack.TCP, ctrack.UDP} {
		for _, nat := range []ctrack.Status{ctrack.StatusSrcNAT, ctrack.StatusDstNAT, ctrack.StatusSrcNAT | ctrack.StatusDstNAT} {
			add(proto, func(e *ctrack.Entry) {
				e.Status = nat
				e.Reply = ctrack.Tuple{Src: b, Dst: a, SrcPort: 443, DstPort: port}
				if nat.All(ctrack.StatusSrcNAT) {
					e.Reply.Dst, e.Reply.DstPort = c, port+10000
				}
				if nat.All(ctrack.StatusDstNAT) {
					e.Reply.Src, e.Reply.SrcPort = c, 8443
				}
			})
		}
	}
	for key, other := range map[uint16]uint16{0: 0, 1: 0xffff, 0xabcd: 0x12} {
		entries = append(entries, made(ctrack.GRE, a, b, key, other))
	}
	types := map[ctrack.Family][2]uint8{ctrack.IPv4: {8, 13}, ctrack.IPv6: {128, 139}}[family]
	for i, id := range []uint16{0, 65535} {
		e := ctrack.ICMPKey(a, b, types[i], 0, id)
		e.Timeout = 3000 * time.Second
		entries = append(entries, e)
	}
	// Without ports: protocols that the kernel does not track.
	for _, proto := range []ctrack.Proto{0, 2, 4, 50, 103, 253, 255} {
		entries = append(entries, made(proto, a, b, 0, 0))
	}
	return entries
}
