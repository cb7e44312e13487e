// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

/*
#include <ctrack.h>
*/
import "C"

import (
	"fmt"
	"math"
	"net/netip"
	"time"
	"unsafe"
)

// helperNames remembers the names of helpers, so that each is allocated once.
type helperNames map[[16]C.char]string

func (names *helperNames) get(raw *[16]C.char) string {
	if name, known := (*names)[*raw]; known {
		return name
	}
	if *names == nil {
		*names = helperNames{}
	}
	bytes := (*[16]byte)(unsafe.Pointer(raw))
	length := 0
	for length < len(bytes) && bytes[length] != 0 {
		length++
	}
	name := string(bytes[:length])
	(*names)[*raw] = name
	return name
}

// decode makes an Entry of what the library gave. Bits that this package does not know are dropped: it does not keep their fields
// either.
func decode(e *Entry, raw *C.struct_ct_entry, names *helperNames) {
	has := Has(raw.has) & hasKnown
	*e = Entry{
		Has:           has,
		Family:        Family(raw.family),
		Proto:         Proto(raw.proto),
		Zone:          uint16(raw.zone),
		Status:        Status(raw.status),
		Mark:          uint32(raw.mark),
		Timeout:       time.Duration(raw.timeout) * time.Second,
		ID:            uint32(raw.id),
		Use:           uint32(raw.use_count),
		OrigCounters:  Counters{uint64(raw.orig_counters.packets), uint64(raw.orig_counters.bytes)},
		ReplyCounters: Counters{uint64(raw.reply_counters.packets), uint64(raw.reply_counters.bytes)},
		Labels:        Labels{Bits: *plain(&raw.labels)},
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
		e.Start = timeOf(uint64(raw.start_ns))
	}
	if has&HasStop != 0 {
		e.Stop = timeOf(uint64(raw.stop_ns))
	}
	if has&HasHelper != 0 {
		e.Helper = names.get(&raw.helper)
	}
	switch e.Proto {
	case TCP:
		e.TCP = TCPInfo{
			State:            TCPState(raw.tcp_state),
			OrigWindowScale:  uint8(raw.tcp_wscale_orig),
			ReplyWindowScale: uint8(raw.tcp_wscale_reply),
			OrigFlags:        TCPFlags(raw.tcp_flags_orig),
			ReplyFlags:       TCPFlags(raw.tcp_flags_reply),
			OrigFlagsMask:    TCPFlags(raw.tcp_mask_orig),
			ReplyFlagsMask:   TCPFlags(raw.tcp_mask_reply),
		}
	case SCTP:
		e.SCTP = SCTPInfo{SCTPState(raw.sctp_state), uint32(raw.sctp_vtag_orig), uint32(raw.sctp_vtag_reply)}
	case DCCP:
		e.DCCP = DCCPInfo{uint8(raw.dccp_state), uint8(raw.dccp_role)}
	}
}

// plain is the same array with Go's name for its type.
func plain(bytes *[16]C.uint8_t) *[16]byte {
	return (*[16]byte)(unsafe.Pointer(bytes))
}

func decodeTuple(t *Tuple, raw *C.struct_ct_tuple, family Family) {
	if family == IPv4 {
		t.Src = netip.AddrFrom4([4]byte(plain(&raw.src)[:4]))
		t.Dst = netip.AddrFrom4([4]byte(plain(&raw.dst)[:4]))
	} else {
		t.Src = netip.AddrFrom16(*plain(&raw.src))
		t.Dst = netip.AddrFrom16(*plain(&raw.dst))
	}
	t.SrcPort, t.DstPort = uint16(raw.sport), uint16(raw.dport)
	t.ICMPType, t.ICMPCode, t.ICMPID = uint8(raw.icmp_type), uint8(raw.icmp_code), uint16(raw.icmp_id)
}

const nanos = uint64(time.Second)

func timeOf(ns uint64) time.Time {
	return time.Unix(int64(ns/nanos), int64(ns%nanos)).UTC()
}

// encode makes what the library takes of an Entry. Everything that does not fit is a fault: it must not become another value.
// What can be said is said by the library, in one voice for all languages.
func encode(raw *C.struct_ct_entry, given *Entry) *fault {
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
	*raw = C.struct_ct_entry{
		has:            C.uint64_t(e.Has),
		id:             C.uint32_t(e.ID),
		status:         C.uint32_t(e.Status),
		mark:           C.uint32_t(e.Mark),
		timeout:        seconds,
		use_count:      C.uint32_t(e.Use),
		zone:           C.uint32_t(e.Zone),
		family:         C.uint8_t(e.Family),
		proto:          C.uint8_t(e.Proto),
		orig_counters:  C.struct_ct_counters{packets: C.uint64_t(e.OrigCounters.Packets), bytes: C.uint64_t(e.OrigCounters.Bytes)},
		reply_counters: C.struct_ct_counters{packets: C.uint64_t(e.ReplyCounters.Packets), bytes: C.uint64_t(e.ReplyCounters.Bytes)},
	}
	*plain(&raw.labels) = e.Labels.Bits
	if e.ZoneDir != ZoneReply {
		raw.orig.zone = raw.zone
	}
	if e.ZoneDir != ZoneOrig {
		raw.reply.zone = raw.zone
	}
	encodeTCP(raw, e.TCP)
	encodeSCTP(raw, e.SCTP)
	raw.dccp_state, raw.dccp_role = C.uint8_t(e.DCCP.State), C.uint8_t(e.DCCP.Role)
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

func encodeTCP(raw *C.struct_ct_entry, tcp TCPInfo) {
	raw.tcp_state = C.uint8_t(tcp.State)
	raw.tcp_wscale_orig, raw.tcp_wscale_reply = C.uint8_t(tcp.OrigWindowScale), C.uint8_t(tcp.ReplyWindowScale)
	raw.tcp_flags_orig, raw.tcp_flags_reply = C.uint8_t(tcp.OrigFlags), C.uint8_t(tcp.ReplyFlags)
	raw.tcp_mask_orig, raw.tcp_mask_reply = C.uint8_t(tcp.OrigFlagsMask), C.uint8_t(tcp.ReplyFlagsMask)
}

func encodeSCTP(raw *C.struct_ct_entry, sctp SCTPInfo) {
	raw.sctp_state = C.uint8_t(sctp.State)
	raw.sctp_vtag_orig, raw.sctp_vtag_reply = C.uint32_t(sctp.OrigTag), C.uint32_t(sctp.ReplyTag)
}

func encodeTimeout(timeout time.Duration) (C.uint32_t, *fault) {
	seconds := timeout / time.Second
	if timeout%time.Second > 0 {
		seconds++
	}
	if timeout < 0 || int64(seconds) > math.MaxUint32 {
		return 0, &fault{"timeout", fmt.Sprintf("%v is out of range", timeout)}
	}
	return C.uint32_t(seconds), nil
}

func encodeTimes(raw *C.struct_ct_entry, e *Entry) *fault {
	for _, at := range []struct {
		field string
		time  time.Time
		to    *C.uint64_t
	}{{"start_ns", e.Start, &raw.start_ns}, {"stop_ns", e.Stop, &raw.stop_ns}} {
		if at.time.IsZero() {
			continue
		}
		seconds := at.time.Unix()
		if seconds < 0 || uint64(seconds) >= math.MaxUint64/nanos {
			return &fault{at.field, fmt.Sprintf("%v is out of range", at.time)}
		}
		*at.to = C.uint64_t(uint64(seconds)*nanos + uint64(at.time.Nanosecond()))
	}
	return nil
}

// encodeHelper refuses what would be cut off, and so be another name.
func encodeHelper(to *[16]C.char, name string) *fault {
	if len(name) >= len(to) {
		return &fault{"helper", fmt.Sprintf("%q has more than 15 bytes", name)}
	}
	for i := range len(name) {
		if name[i] == 0 {
			return &fault{"helper", fmt.Sprintf("%q has a NUL inside", name)}
		}
		to[i] = C.char(name[i])
	}
	return nil
}

func encodeTuple(raw *C.struct_ct_tuple, t Tuple, name string, family Family, counts bool) *fault {
	if wrong := encodeAddress(&raw.src, t.Src, name+".src", family, counts); wrong != nil {
		return wrong
	}
	if wrong := encodeAddress(&raw.dst, t.Dst, name+".dst", family, counts); wrong != nil {
		return wrong
	}
	raw.sport, raw.dport = C.uint16_t(t.SrcPort), C.uint16_t(t.DstPort)
	raw.icmp_type, raw.icmp_code, raw.icmp_id = C.uint8_t(t.ICMPType), C.uint8_t(t.ICMPCode), C.uint16_t(t.ICMPID)
	return nil
}

// encodeAddress writes an address of this family. counts: there must be one.
func encodeAddress(to *[16]C.uint8_t, address netip.Addr, field string, family Family, counts bool) *fault {
	switch {
	case !address.IsValid():
		if counts {
			return &fault{field, "has no address"}
		}
	case address.Zone() != "":
		return &fault{field, address.String() + " has an interface, which the table does not know"}
	case address.Is4() && family == IPv4:
		bytes := address.As4()
		copy(plain(to)[:], bytes[:])
	case address.Is6() && family == IPv6:
		*plain(to) = address.As16()
	default:
		return &fault{field, fmt.Sprintf("%v is no address of the family %v", address, family)}
	}
	return nil
}
