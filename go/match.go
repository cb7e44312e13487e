// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"unicode/utf8"
)

// plainEntry is what the table would hold of an entry. False: its family cannot be told.
func plainEntry(e *Entry) (rawEntry, bool) {
	derived, wrong := e.withBits()
	if wrong != nil || derived.Family != IPv4 && derived.Family != IPv6 {
		return rawEntry{}, false
	}
	raw := rawEntry{
		has: uint64(derived.Has), id: e.ID, status: uint32(e.Status), mark: e.Mark, zone: uint32(e.Zone), family: uint8(derived.Family),
		proto: uint8(e.Proto), tcpState: uint8(e.TCP.State), labels: e.Labels.Bits,
	}
	copy(raw.helper[:], e.Helper)
	for _, at := range []struct {
		from  *Tuple
		to    *rawTuple
		other ZoneDir
	}{{&e.Orig, &raw.orig, ZoneReply}, {&e.Reply, &raw.reply, ZoneOrig}} {
		at.to.src, at.to.dst = plainAddress(at.from.Src), plainAddress(at.from.Dst)
		at.to.sport, at.to.dport = at.from.SrcPort, at.from.DstPort
		at.to.icmpType, at.to.icmpCode, at.to.icmpId = at.from.ICMPType, at.from.ICMPCode, at.from.ICMPID
		if e.ZoneDir != at.other {
			at.to.zone = raw.zone
		}
	}
	return raw, true
}

// plainAddress is 16 bytes of an address: of an IPv4 one the first four, of none zeros.
func plainAddress(address netip.Addr) [16]byte {
	var to [16]byte
	switch {
	case address.Is4():
		bytes := address.As4()
		copy(to[:], bytes[:])
	case address.Is6():
		to = address.As16()
	}
	return to
}

// word128 are 16 bytes to compare bit by bit. The order of the bytes makes no difference for that.
type word128 struct {
	first, last uint64
}

func wordOf(bytes *[16]byte) word128 {
	return word128{binary.BigEndian.Uint64(bytes[:8]), binary.BigEndian.Uint64(bytes[8:])}
}

func (w word128) and(mask word128) word128 {
	return word128{w.first & mask.first, w.last & mask.last}
}

// without is the bits outside the mask.
func (w word128) without(mask word128) word128 {
	return word128{w.first &^ mask.first, w.last &^ mask.last}
}

// prefixMask has its first bits set.
func prefixMask(length uint8) word128 {
	ones := func(count int) uint64 {
		return ^uint64(0) << (64 - min(max(count, 0), 64))
	}
	return word128{ones(int(length)), ones(int(length) - 64)}
}

// masked is a value of which only the bits of the mask count.
type masked[T comparable] struct {
	value, mask T
}

// matcher is one filter that was found right: src/matcher.rs in Go, so that what does not need the library does not need it. Both are
// asked about the same entries in selection_test.go. match says which of the fields count, as in the filter, and needs which bits an
// entry must have so that they can hold.
type matcher struct {
	raw   rawFilter
	needs uint64
	nets  [4]masked[word128]
	// Of any direction, of the original and of the reply one; those that follow from each other are set.
	zones [3]Optional[uint32]
}

// matcher checks the filter as the library does, and gives what it comes to.
func (f *Filter) matcher() (matcher, *fault) {
	var m matcher
	if wrong := encodeFilter(&m.raw, f); wrong != nil {
		return m, wrong
	}
	for _, check := range []func() *fault{m.checkHelper, m.checkZones, m.checkFamily, m.checkNets, m.checkPorts, m.checkICMP, m.checkMark,
		m.checkStatus, m.checkTCPStates, m.checkLabels} {
		if wrong := check(); wrong != nil {
			return m, wrong
		}
	}
	if m.has(ctMatchId) {
		m.needs |= ctHasId
	}
	if f.Exclude && m.matchesAllBut(0) {
		return m, &fault{"", "an excluding filter excludes everything"}
	}
	return m, nil
}

func (m *matcher) has(match uint64) bool {
	return m.raw.match&match != 0
}

// checkZones finds out which zones follow from those that are given: an entry has one at most, for both directions or for one.
func (m *matcher) checkZones() *fault {
	given := func(match uint64, zone uint32) Optional[uint32] {
		return Optional[uint32]{value: zone, set: m.has(match)}
	}
	together := func(field string) *fault {
		return &fault{field, "no entry has this zone together with the filter's others"}
	}
	anyZone := given(ctMatchZone, m.raw.zone)
	orig, reply := given(ctMatchOrigZone, m.raw.origZone), given(ctMatchReplyZone, m.raw.replyZone)
	a, b := orig.value, reply.value
	switch {
	case orig.set && reply.set && a != b && a != 0 && b != 0:
		return together("reply_zone")
	case anyZone.set:
	case orig.set && reply.set && a == 0 && b == 0:
		anyZone = Is(uint32(0))
	case orig.set && a != 0:
		anyZone = orig
	case reply.set && b != 0:
		anyZone = reply
	}
	if zone := anyZone.value; anyZone.set {
		switch {
		case orig.set && a != 0 && a != zone:
			return together("orig_zone")
		case reply.set && b != 0 && b != zone:
			return together("reply_zone")
		case orig.set && reply.set && a == 0 && b == 0 && zone != 0:
			return together("zone")
		case orig.set && a == 0 && !reply.set:
			reply = Is(zone)
		case reply.set && b == 0 && !orig.set:
			orig = Is(zone)
		}
	}
	m.zones = [3]Optional[uint32]{anyZone, orig, reply}
	return nil
}

// checkFamily: encodeFilter has seen to it that the addresses are of the family.
func (m *matcher) checkFamily() *fault {
	if family := Family(m.raw.family); m.has(ctMatchFamily) && family != IPv4 && family != IPv6 {
		return &fault{"family", fmt.Sprintf("%d is neither IPv4 nor IPv6", m.raw.family)}
	}
	return nil
}

func (m *matcher) checkNets() *fault {
	raw := &m.raw
	for i, at := range []struct {
		field   string
		match   uint64
		address *[16]byte
		length  uint8
	}{
		{"orig_src", ctMatchOrigSrc, &raw.origSrc, raw.origSrcPrefix}, {"orig_dst", ctMatchOrigDst, &raw.origDst, raw.origDstPrefix},
		{"reply_src", ctMatchReplySrc, &raw.replySrc, raw.replySrcPrefix}, {"reply_dst", ctMatchReplyDst, &raw.replyDst, raw.replyDstPrefix},
	} {
		if !m.has(at.match) {
			continue
		}
		net := masked[word128]{wordOf(at.address), prefixMask(at.length)}
		if net.value.without(net.mask) != (word128{}) {
			address := netip.AddrFrom16(*at.address)
			if Family(raw.family) == IPv4 {
				address = netip.AddrFrom4([4]byte(at.address[:4]))
			}
			return &fault{at.field, fmt.Sprintf("%v/%d has bits set behind the prefix", address, at.length)}
		}
		m.nets[i] = net
	}
	return nil
}

func (m *matcher) checkPorts() *fault {
	raw := &m.raw
	for _, at := range []struct {
		field       string
		match       uint64
		first, last uint16
	}{
		{"orig_sport", ctMatchOrigSport, raw.origSportFirst, raw.origSportLast}, {"orig_dport", ctMatchOrigDport, raw.origDportFirst, raw.origDportLast},
		{"reply_sport", ctMatchReplySport, raw.replySportFirst, raw.replySportLast}, {"reply_dport", ctMatchReplyDport, raw.replyDportFirst, raw.replyDportLast},
	} {
		switch {
		case !m.has(at.match):
			continue
		case !m.has(ctMatchProto) || !Proto(raw.proto).hasPorts():
			return &fault{at.field, "needs a protocol that has ports"}
		case at.first > at.last:
			return &fault{at.field, fmt.Sprintf("range %d-%d is upside down", at.first, at.last)}
		}
		m.needs |= ctHasPorts
	}
	return nil
}

func (m *matcher) checkICMP() *fault {
	for _, at := range []struct {
		field string
		match uint64
	}{{"icmp_type", ctMatchIcmpType}, {"icmp_code", ctMatchIcmpCode}, {"icmp_id", ctMatchIcmpId}} {
		if !m.has(at.match) {
			continue
		}
		if !m.has(ctMatchProto) || !Proto(m.raw.proto).isICMP() {
			return &fault{at.field, "needs the protocol ICMP or ICMPv6"}
		}
		m.needs |= ctHasIcmp
	}
	return nil
}

func (m *matcher) checkMark() *fault {
	if m.raw.mark&^m.raw.markMask != 0 {
		return &fault{"mark", fmt.Sprintf("%#x has bits outside the mask %#x", m.raw.mark, m.raw.markMask)}
	}
	return nil
}

func (m *matcher) checkStatus() *fault {
	for _, at := range []struct {
		field string
		bits  uint32
	}{{"status_set", m.raw.statusSet}, {"status_clear", m.raw.statusClear}} {
		if unknown := at.bits &^ ctStatusAll; unknown != 0 {
			return &fault{at.field, fmt.Sprintf("unknown status bits %#x", unknown)}
		}
	}
	if m.raw.statusSet&m.raw.statusClear != 0 {
		return &fault{"status_clear", "wants bits clear that status_set wants set"}
	}
	return nil
}

func (m *matcher) checkTCPStates() *fault {
	const all = 1<<(ctTcpStateLast+1) - 1
	switch {
	case !m.has(ctMatchTcpStates):
		return nil
	case m.raw.tcpStates == 0 || m.raw.tcpStates&^all != 0:
		return &fault{"tcp_states", fmt.Sprintf("%#x is not a set of TCP states", m.raw.tcpStates)}
	case !m.has(ctMatchProto) || Proto(m.raw.proto) != TCP:
		return &fault{"tcp_states", "needs the protocol TCP"}
	}
	m.needs |= ctHasTcpState
	return nil
}

func (m *matcher) checkLabels() *fault {
	if wordOf(&m.raw.labels).without(wordOf(&m.raw.labelsMask)) != (word128{}) {
		return &fault{"labels", "has bits outside labels_mask"}
	}
	return nil
}

func (m *matcher) checkHelper() *fault {
	if !m.has(ctMatchHelper) {
		return nil
	}
	name, _, _ := bytes.Cut(m.raw.helper[:], []byte{0})
	switch {
	case len(name) == 0:
		return &fault{"helper", "is empty"}
	case !utf8.Valid(name):
		return &fault{"helper", "is not text"}
	}
	m.needs |= ctHasHelper
	return nil
}

// matchesAllBut says whether what it needs beyond these bits, and all else, holds for every entry.
func (m *matcher) matchesAllBut(ignored uint64) bool {
	status := m.raw.statusSet | m.raw.statusClear
	return m.needs&^ignored == 0 &&
		!m.has(ctMatchFamily|ctMatchProto) &&
		m.zones == [3]Optional[uint32]{} &&
		m.raw.markMask == 0 &&
		// Every entry of the table is confirmed.
		(status == 0 || status == ctStatusConfirmed && m.raw.statusSet == ctStatusConfirmed) &&
		m.raw.labelsMask == [16]byte{}
}

func (m *matcher) matches(e *rawEntry) bool {
	raw := &m.raw
	in := func(match uint64, first, port, last uint16) bool {
		return !m.has(match) || first <= port && port <= last
	}
	zone := func(which int, zone uint32) bool {
		return !m.zones[which].set || m.zones[which].value == zone
	}
	net := func(which int, address *[16]byte) bool {
		return wordOf(address).and(m.nets[which].mask) == m.nets[which].value
	}
	return e.has&m.needs == m.needs &&
		(!m.has(ctMatchFamily) || raw.family == e.family) &&
		(!m.has(ctMatchProto) || raw.proto == e.proto) &&
		zone(0, e.zone) && zone(1, e.orig.zone) && zone(2, e.reply.zone) &&
		(!m.has(ctMatchId) || raw.id == e.id) &&
		e.mark&raw.markMask == raw.mark &&
		e.status&raw.statusSet == raw.statusSet && e.status&raw.statusClear == 0 &&
		net(0, &e.orig.src) && net(1, &e.orig.dst) && net(2, &e.reply.src) && net(3, &e.reply.dst) &&
		in(ctMatchOrigSport, raw.origSportFirst, e.orig.sport, raw.origSportLast) &&
		in(ctMatchOrigDport, raw.origDportFirst, e.orig.dport, raw.origDportLast) &&
		in(ctMatchReplySport, raw.replySportFirst, e.reply.sport, raw.replySportLast) &&
		in(ctMatchReplyDport, raw.replyDportFirst, e.reply.dport, raw.replyDportLast) &&
		(!m.has(ctMatchIcmpType) || raw.icmpType == e.orig.icmpType) &&
		(!m.has(ctMatchIcmpCode) || raw.icmpCode == e.orig.icmpCode) &&
		(!m.has(ctMatchIcmpId) || raw.icmpId == e.orig.icmpId) &&
		(!m.has(ctMatchTcpStates) || raw.tcpStates>>min(e.tcpState, 15)&1 == 1) &&
		wordOf(&e.labels).and(wordOf(&raw.labelsMask)) == wordOf(&raw.labels) &&
		(!m.has(ctMatchHelper) || raw.helper == e.helper)
}
