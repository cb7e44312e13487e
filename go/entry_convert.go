// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"time"
)

// helperNames remembers the names of helpers, so that each is allocated once.
type helperNames map[[16]byte]string

func (names *helperNames) get(raw *[16]byte) string {
	if name, known := (*names)[*raw]; known {
		return name
	}
	if *names == nil {
		*names = helperNames{}
	}
	length := 0
	for length < len(raw) && raw[length] != 0 {
		length++
	}
	name := string(raw[:length])
	(*names)[*raw] = name
	return name
}

// decode makes an Entry of what the library gave. Bits that this package does not know are dropped: it does not keep their fields
// either.
func decode(e *Entry, raw *rawEntry, names *helperNames) {
	has := Has(raw.has) & hasKnown
	*e = Entry{
		Has:           has,
		Family:        Family(raw.family),
		Proto:         Proto(raw.proto),
		Zone:          uint16(raw.zone),
		Status:        Status(raw.status),
		Mark:          raw.mark,
		Timeout:       time.Duration(raw.timeout) * time.Second,
		ID:            raw.id,
		Use:           raw.useCount,
		OrigCounters:  Counters{raw.origCounters.packets, raw.origCounters.bytes},
		ReplyCounters: Counters{raw.replyCounters.packets, raw.replyCounters.bytes},
		Labels:        Labels{Bits: raw.labels},
	}
	if has&HasOrig != 0 {
		decodeTuple(&e.Orig, &raw.orig, e.Family)
	}
	if has&HasReply != 0 {
		decodeTuple(&e.Reply, &raw.reply, e.Family)
	}
	switch {
	case has&HasOrigZone != 0:
		e.ZoneDir = ZoneOrig
	case has&HasReplyZone != 0:
		e.ZoneDir = ZoneReply
	}
	if has&HasStart != 0 {
		e.Start = timeOf(raw.startNs)
	}
	if has&HasStop != 0 {
		e.Stop = timeOf(raw.stopNs)
	}
	if has&HasHelper != 0 {
		e.Helper = names.get(&raw.helper)
	}
	switch e.Proto {
	case TCP:
		e.TCP = TCPInfo{
			State:            TCPState(raw.tcpState),
			OrigWindowScale:  raw.tcpWscaleOrig,
			ReplyWindowScale: raw.tcpWscaleReply,
			OrigFlags:        TCPFlags(raw.tcpFlagsOrig),
			ReplyFlags:       TCPFlags(raw.tcpFlagsReply),
			OrigFlagsMask:    TCPFlags(raw.tcpMaskOrig),
			ReplyFlagsMask:   TCPFlags(raw.tcpMaskReply),
		}
	case SCTP:
		e.SCTP = SCTPInfo{SCTPState(raw.sctpState), raw.sctpVtagOrig, raw.sctpVtagReply}
	case DCCP:
		e.DCCP = DCCPInfo{raw.dccpState, raw.dccpRole}
	}
}

func decodeTuple(t *Tuple, raw *rawTuple, family Family) {
	if family == IPv4 {
		t.Src = netip.AddrFrom4([4]byte(raw.src[:4]))
		t.Dst = netip.AddrFrom4([4]byte(raw.dst[:4]))
	} else {
		t.Src = netip.AddrFrom16(raw.src)
		t.Dst = netip.AddrFrom16(raw.dst)
	}
	t.SrcPort, t.DstPort = raw.sport, raw.dport
	t.ICMPType, t.ICMPCode, t.ICMPID = raw.icmpType, raw.icmpCode, raw.icmpId
}

const nanos = uint64(time.Second)

func timeOf(ns uint64) time.Time {
	return time.Unix(int64(ns/nanos), int64(ns%nanos)).UTC()
}

// encode makes what the library takes of an Entry. Everything that does not fit is a fault: it must not become another value.
// What can be said is said by the library, in one voice for all languages.
func encode(raw *rawEntry, given *Entry) *fault {
	e, wrong := given.withBits()
	if wrong != nil {
		return wrong
	}
	if e.Family != IPv4 && e.Family != IPv6 {
		if e.Family == 0 && !e.Orig.Src.IsValid() && !e.Reply.Src.IsValid() {
			return &fault{"orig", "has no address: no tuple says which entry"}
		}
		return &fault{"family", fmt.Sprintf("%v is neither IPv4 nor IPv6", e.Family)}
	}
	if has := e.Has & hasAnyZone; has != 0 && has != zoneBit(max(e.Zone, 1), e.ZoneDir) || e.ZoneDir > ZoneReply {
		return &fault{"zone", fmt.Sprintf("ZoneDir %v contradicts Has %v", e.ZoneDir, e.Has&hasAnyZone)}
	}
	if wrong := e.Labels.check(); wrong != nil {
		return wrong
	}
	seconds, wrong := encodeTimeout(e.Timeout)
	if wrong != nil {
		return wrong
	}
	*raw = rawEntry{
		has:           uint64(e.Has),
		id:            e.ID,
		status:        uint32(e.Status),
		mark:          e.Mark,
		timeout:       seconds,
		useCount:      e.Use,
		zone:          uint32(e.Zone),
		family:        uint8(e.Family),
		proto:         uint8(e.Proto),
		origCounters:  rawCounters{e.OrigCounters.Packets, e.OrigCounters.Bytes},
		replyCounters: rawCounters{e.ReplyCounters.Packets, e.ReplyCounters.Bytes},
	}
	raw.labels = e.Labels.Bits
	if e.ZoneDir != ZoneReply {
		raw.orig.zone = raw.zone
	}
	if e.ZoneDir != ZoneOrig {
		raw.reply.zone = raw.zone
	}
	encodeTCP(raw, e.TCP)
	encodeSCTP(raw, e.SCTP)
	raw.dccpState, raw.dccpRole = e.DCCP.State, e.DCCP.Role
	if wrong := encodeTimes(raw, &e); wrong != nil {
		return wrong
	}
	if wrong := encodeHelper(&raw.helper, e.Helper); wrong != nil {
		return wrong
	}
	if wrong := encodeTuple(&raw.orig, e.Orig, "orig", e.Family, e.Has&HasOrig != 0); wrong != nil {
		return wrong
	}
	return encodeTuple(&raw.reply, e.Reply, "reply", e.Family, e.Has&HasReply != 0)
}

func encodeTCP(raw *rawEntry, tcp TCPInfo) {
	raw.tcpState = uint8(tcp.State)
	raw.tcpWscaleOrig, raw.tcpWscaleReply = tcp.OrigWindowScale, tcp.ReplyWindowScale
	raw.tcpFlagsOrig, raw.tcpFlagsReply = uint8(tcp.OrigFlags), uint8(tcp.ReplyFlags)
	raw.tcpMaskOrig, raw.tcpMaskReply = uint8(tcp.OrigFlagsMask), uint8(tcp.ReplyFlagsMask)
}

func encodeSCTP(raw *rawEntry, sctp SCTPInfo) {
	raw.sctpState = uint8(sctp.State)
	raw.sctpVtagOrig, raw.sctpVtagReply = sctp.OrigTag, sctp.ReplyTag
}

func encodeTimeout(timeout time.Duration) (uint32, *fault) {
	seconds := timeout / time.Second
	if timeout%time.Second > 0 {
		seconds++
	}
	if timeout < 0 || int64(seconds) > math.MaxUint32 {
		return 0, &fault{"timeout", fmt.Sprintf("%v is out of range", timeout)}
	}
	return uint32(seconds), nil
}

func encodeTimes(raw *rawEntry, e *Entry) *fault {
	for _, at := range []struct {
		field string
		time  time.Time
		to    *uint64
	}{{"start_ns", e.Start, &raw.startNs}, {"stop_ns", e.Stop, &raw.stopNs}} {
		if at.time.IsZero() {
			continue
		}
		seconds := at.time.Unix()
		if seconds < 0 || uint64(seconds) >= math.MaxUint64/nanos {
			return &fault{at.field, fmt.Sprintf("%v is out of range", at.time)}
		}
		*at.to = uint64(seconds)*nanos + uint64(at.time.Nanosecond())
	}
	return nil
}

// encodeHelper refuses what would be cut off, and so be another name.
func encodeHelper(to *[16]byte, name string) *fault {
	if len(name) >= len(to) {
		return &fault{"helper", fmt.Sprintf("%q has more than 15 bytes", name)}
	}
	for i := range len(name) {
		if name[i] == 0 {
			return &fault{"helper", fmt.Sprintf("%q has a NUL inside", name)}
		}
		to[i] = name[i]
	}
	return nil
}

func encodeTuple(raw *rawTuple, t Tuple, name string, family Family, counts bool) *fault {
	if wrong := encodeAddress(&raw.src, t.Src, name+".src", family, counts); wrong != nil {
		return wrong
	}
	if wrong := encodeAddress(&raw.dst, t.Dst, name+".dst", family, counts); wrong != nil {
		return wrong
	}
	raw.sport, raw.dport = t.SrcPort, t.DstPort
	raw.icmpType, raw.icmpCode, raw.icmpId = t.ICMPType, t.ICMPCode, t.ICMPID
	return nil
}

// encodeAddress writes an address of this family. counts: there must be one.
func encodeAddress(to *[16]uint8, address netip.Addr, field string, family Family, counts bool) *fault {
	switch {
	case !address.IsValid():
		if counts {
			return &fault{field, "has no address"}
		}
	case address.Zone() != "":
		return &fault{field, address.String() + " has an interface, which the table does not know"}
	case address.Is4() && family == IPv4:
		bytes := address.As4()
		copy(to[:], bytes[:])
	case address.Is6() && family == IPv6:
		*to = address.As16()
	default:
		return &fault{field, fmt.Sprintf("%v is no address of the family %v", address, family)}
	}
	return nil
}

func encodeEntries(op string, entries []Entry) ([]rawEntry, error) {
	raw := make([]rawEntry, len(entries))
	for i := range entries {
		if wrong := encode(&raw[i], &entries[i]); wrong != nil {
			return nil, wrong.in(op, entryName(i))
		}
	}
	return raw, nil
}

func entryName(i int) string {
	return "entry[" + strconv.Itoa(i) + "]"
}
