// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"net/netip"
	"time"
)

// Entry is one entry of the connection-tracking table. It is a plain value: it can be copied, compared and written by hand.
//
// Has says which fields count. An entry that the kernel sent says so itself; everything that it did not send is zero. An entry
// with Has == 0 was written by hand: what counts then are the fields that are not zero, and the ports or ICMP fields if the
// protocol has them, so that port 0 is a port. An entry with any bit in Has is taken exactly as it says: a field that is set
// although its bit is not is refused, since guessing would act on other entries than you meant.
//
// As a key, for Get, DeleteEntries and Change, an entry needs Proto, Orig (or Reply), and the zone unless that is 0. The ID is
// what tells it from a successor with the same tuple.
//
// IPv4-mapped IPv6 addresses (::ffff:10.0.0.7) are IPv6 addresses in an entry whose Family is IPv6. Where the family is to be
// derived from the addresses they are refused, since they mostly stand for the IPv4 address: say which with Addr.Unmap or
// Family. Addresses with a zone (fe80::1%eth0) are refused: the table does not know interfaces.
type Entry struct {
	// Has says which fields count.
	Has Has
	// Family of the addresses. Derived from them if the entry is written by hand.
	Family Family
	// Proto is the protocol.
	Proto Proto
	// Orig is the original direction: as the first packet arrived.
	Orig Tuple
	// Reply is the reply direction: as answers arrive. With NAT it differs from the mirror image of Orig.
	Reply Tuple
	// Zone is the entry's zone.
	Zone uint16
	// ZoneDir says for which direction.
	ZoneDir ZoneDir
	// Status are the status bits.
	Status Status
	// Mark is the connmark.
	Mark uint32
	// Timeout is how long until the entry expires. The kernel counts in seconds, rounded down; what you give is rounded up.
	Timeout time.Duration
	// ID is the kernel's identifier of the entry: opaque, constant over its life, valid until the next boot.
	ID uint32
	// Use is the kernel's reference count.
	Use uint32
	// OrigCounters are the packets and bytes of the original direction.
	OrigCounters Counters
	// ReplyCounters are those of the reply direction.
	ReplyCounters Counters
	// Start is when the entry was made, in UTC.
	Start time.Time
	// Stop is when it ended, in UTC.
	Stop time.Time
	// Labels are the connection labels.
	Labels Labels
	// Helper is the name of the helper, for example "ftp": at most 15 bytes.
	Helper string
	// TCP is what is known of a TCP connection.
	TCP TCPInfo
	// SCTP is what is known of an SCTP association.
	SCTP SCTPInfo
	// DCCP is what is known of a DCCP connection.
	DCCP DCCPInfo
}

// Tuple is one direction of a connection: what its packets carry on arrival.
type Tuple struct {
	// Src is the source address.
	Src netip.Addr
	// Dst is the destination address.
	Dst netip.Addr
	// SrcPort is the source port; the source key of GRE.
	SrcPort uint16
	// DstPort is the destination port; the destination key of GRE.
	DstPort uint16
	// ICMPType is the type of ICMP or ICMPv6.
	ICMPType uint8
	// ICMPCode is the code.
	ICMPCode uint8
	// ICMPID is the identifier.
	ICMPID uint16
}

// Source is source address and port.
func (t Tuple) Source() netip.AddrPort {
	return netip.AddrPortFrom(t.Src, t.SrcPort)
}

// Destination is destination address and port.
func (t Tuple) Destination() netip.AddrPort {
	return netip.AddrPortFrom(t.Dst, t.DstPort)
}

// Counters are what was seen in one direction.
type Counters struct {
	// Packets seen.
	Packets uint64
	// Bytes seen, from the network header on.
	Bytes uint64
}

// TCPInfo is what is known of a TCP connection.
type TCPInfo struct {
	// State of the connection.
	State TCPState
	// OrigWindowScale is the window scale of the original direction, 0 to 14. In Create and Update the kernel takes window
	// scales only if both directions have the flag TCPWindowScale.
	OrigWindowScale uint8
	// ReplyWindowScale is that of the reply direction.
	ReplyWindowScale uint8
	// OrigFlags are the flags of the original direction.
	OrigFlags TCPFlags
	// ReplyFlags are those of the reply direction.
	ReplyFlags TCPFlags
	// OrigFlagsMask says which of OrigFlags to set, in Create and Update; 0 means all. The kernel sends 0.
	OrigFlagsMask TCPFlags
	// ReplyFlagsMask says which of ReplyFlags.
	ReplyFlagsMask TCPFlags
}

// SCTPInfo is what is known of an SCTP association.
type SCTPInfo struct {
	// State of the association.
	State SCTPState
	// OrigTag is the verification tag of the original direction.
	OrigTag uint32
	// ReplyTag is that of the reply direction.
	ReplyTag uint32
}

// DCCPInfo is what is known of a DCCP connection (kernels before 6.16).
type DCCPInfo struct {
	// State is numbered as in the kernel's enum ct_dccp_states.
	State uint8
	// Role is 0 for the client, 1 for the server.
	Role uint8
}

// Key is an entry by hand: the original tuple of a protocol with ports, in zone 0.
func Key(proto Proto, src, dst netip.AddrPort) Entry {
	return Entry{Proto: proto, Orig: Tuple{Src: src.Addr(), SrcPort: src.Port(), Dst: dst.Addr(), DstPort: dst.Port()}}
}

// ICMPKey is an entry by hand: the original tuple of an ICMP exchange, of ICMPv6 if src is an IPv6 address, in zone 0.
func ICMPKey(src, dst netip.Addr, icmpType, icmpCode uint8, id uint16) Entry {
	proto := ICMP
	if src.Is6() {
		proto = ICMPv6
	}
	return Entry{Proto: proto, Orig: Tuple{Src: src, Dst: dst, ICMPType: icmpType, ICMPCode: icmpCode, ICMPID: id}}
}

// InZone is the same entry in a zone, for both directions or for one.
func (e Entry) InZone(zone uint16, dir ZoneDir) Entry {
	e.Zone, e.ZoneDir = zone, dir
	if e.Has != 0 {
		e.Has = e.Has&^hasAnyZone | zoneBit(zone, dir)
	}
	return e
}

// zoneBit announces a zone. Zone 0 is never announced.
func zoneBit(zone uint16, dir ZoneDir) Has {
	switch {
	case zone == 0:
		return 0
	case dir == ZoneOrig:
		return HasOrigZone
	case dir == ZoneReply:
		return HasReplyZone
	}
	return HasZone
}

// withBits gives an entry that was written by hand its Has bits and its family.
func (e *Entry) withBits() (Entry, *fault) {
	if e.Has != 0 {
		return *e, nil
	}
	derived := *e
	set := func(bit Has, counts bool) {
		if counts {
			derived.Has |= bit
		}
	}
	tuple := func(t Tuple, has Has) {
		ports, icmp := t.SrcPort|t.DstPort != 0, t.ICMPType != 0 || t.ICMPCode != 0 || t.ICMPID != 0
		set(has, t.Src.IsValid() || t.Dst.IsValid() || ports || icmp)
		set(HasPorts, ports)
		set(HasICMP, icmp)
	}
	tuple(e.Orig, HasOrig)
	tuple(e.Reply, HasReply)
	set(HasPorts, e.Proto.hasPorts())
	set(HasICMP, e.Proto.isICMP())
	set(HasStatus, e.Status != 0)
	set(HasTimeout, e.Timeout != 0)
	set(HasMark, e.Mark != 0)
	set(HasID, e.ID != 0)
	set(HasUse, e.Use != 0)
	set(zoneBit(e.Zone, e.ZoneDir), true)
	set(HasOrigCounters, e.OrigCounters != Counters{})
	set(HasReplyCounters, e.ReplyCounters != Counters{})
	set(HasStart, !e.Start.IsZero())
	set(HasStop, !e.Stop.IsZero())
	set(HasLabels, e.Labels != Labels{})
	set(HasHelper, e.Helper != "")
	set(HasTCPState, e.TCP.State != 0)
	set(HasTCPWindow, e.TCP.OrigWindowScale|e.TCP.ReplyWindowScale != 0)
	set(HasTCPFlags, e.TCP.OrigFlags|e.TCP.ReplyFlags|e.TCP.OrigFlagsMask|e.TCP.ReplyFlagsMask != 0)
	set(HasSCTP, e.SCTP != SCTPInfo{})
	set(HasDCCP, e.DCCP != DCCPInfo{})
	if derived.Family != 0 {
		return derived, nil
	}
	for _, at := range []struct {
		field   string
		address netip.Addr
	}{{"orig.src", e.Orig.Src}, {"orig.dst", e.Orig.Dst}, {"reply.src", e.Reply.Src}, {"reply.dst", e.Reply.Dst}} {
		family, fault := familyOf(at.field, at.address)
		if fault != nil {
			return derived, fault
		}
		if derived.Family == 0 {
			derived.Family = family
		}
	}
	return derived, nil
}

// familyOf derives the family of an address; 0 if there is none.
func familyOf(field string, address netip.Addr) (Family, *fault) {
	switch {
	case !address.IsValid():
		return 0, nil
	case address.Is4In6():
		return 0, &fault{field, address.String() + " is an IPv4-mapped IPv6 address: give the IPv4 address (Addr.Unmap), or " +
			"the family if IPv6 is meant"}
	case address.Is4():
		return IPv4, nil
	}
	return IPv6, nil
}
