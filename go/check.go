// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import "ctrack/internal/hook"

// What the library refuses in an entry before it sends anything (crates/ctrack/src/ops/check.rs), for tables that are not the kernel's.
// A Conn leaves it to the library.

func init() {
	hook.Entry = func(op, place string, given any, purpose hook.Purpose) (any, error) {
		e, raw := given.(Entry), rawEntry{}
		wrong := encode(&raw, &e)
		if wrong == nil {
			wrong = checkEntry(&raw, purpose)
		}
		if wrong != nil {
			return nil, wrong.in(op, place)
		}
		return decoded(&raw), nil
	}
	hook.Change = func(op, place string, given any) (hook.Changed, error) {
		change, raw := given.(Change), rawEntry{}
		wrong := change.encode(&raw)
		if wrong == nil {
			wrong = checkEntry(&raw, hook.ToUpdate)
		}
		if wrong != nil {
			return hook.Changed{}, wrong.in(op, place)
		}
		key, wrong := change.Key.key()
		if wrong != nil {
			return hook.Changed{}, wrong.in(op, place)
		}
		return hook.Changed{Key: key, Values: decoded(&raw), MarkMask: raw.markMask,
			AddLabels: raw.has&ctHasLabelsAdd != 0, RemoveLabels: raw.has&ctHasLabelsRemove != 0}, nil
	}
}

func decoded(raw *rawEntry) Entry {
	var e Entry
	var names helperNames
	decode(&e, raw, &names)
	return e
}

func checkEntry(e *rawEntry, purpose hook.Purpose) *fault {
	if e.has>>30 != 0 {
		return &fault{"", "announces fields that this release does not know"}
	}
	for _, check := range []func(*rawEntry, hook.Purpose) *fault{checkAnnounced, checkTuples, checkValues, checkPurpose} {
		if wrong := check(e, purpose); wrong != nil {
			return wrong
		}
	}
	return nil
}

// checkAnnounced: a field that is set although Has does not announce it was forgotten there.
func checkAnnounced(e *rawEntry, _ hook.Purpose) *fault {
	const zone = ctHasZone | ctHasOrigZone | ctHasReplyZone
	none := [16]byte{}
	orig, reply := &e.orig, &e.reply
	// Each with the bits of which one must be set.
	for _, at := range []struct {
		field string
		set   bool
		bits  uint64
	}{
		{"id", e.id != 0, ctHasId}, {"status", e.status != 0, ctHasStatus}, {"mark", e.mark != 0, ctHasMark},
		{"timeout", e.timeout != 0, ctHasTimeout}, {"use_count", e.useCount != 0, ctHasUse}, {"zone", e.zone != 0, zone},
		{"orig.zone", orig.zone != 0, ctHasZone | ctHasOrigZone}, {"reply.zone", reply.zone != 0, ctHasZone | ctHasReplyZone},
		{"orig.src", orig.src != none, ctHasOrig}, {"orig.dst", orig.dst != none, ctHasOrig},
		{"reply.src", reply.src != none, ctHasReply}, {"reply.dst", reply.dst != none, ctHasReply},
		{"labels", e.labels != none, ctHasLabels}, {"helper", e.helper != none, ctHasHelper},
		{"orig_counters", e.origCounters != rawCounters{}, ctHasOrigCounters},
		{"reply_counters", e.replyCounters != rawCounters{}, ctHasReplyCounters},
		{"start_ns", e.startNs != 0, ctHasStart}, {"stop_ns", e.stopNs != 0, ctHasStop},
		{"tcp_state", e.tcpState != 0, ctHasTcpState}, {"tcp_wscale_orig", e.tcpWscaleOrig != 0, ctHasTcpWscale},
		{"tcp_wscale_reply", e.tcpWscaleReply != 0, ctHasTcpWscale}, {"tcp_flags_orig", e.tcpFlagsOrig != 0, ctHasTcpFlags},
		{"tcp_flags_reply", e.tcpFlagsReply != 0, ctHasTcpFlags}, {"tcp_mask_orig", e.tcpMaskOrig != 0, ctHasTcpFlags},
		{"tcp_mask_reply", e.tcpMaskReply != 0, ctHasTcpFlags}, {"sctp_state", e.sctpState != 0, ctHasSctp},
		{"sctp_vtag_orig", e.sctpVtagOrig != 0, ctHasSctp}, {"sctp_vtag_reply", e.sctpVtagReply != 0, ctHasSctp},
		{"dccp_state", e.dccpState != 0, ctHasDccp}, {"dccp_role", e.dccpRole != 0, ctHasDccp},
	} {
		if at.set && e.has&at.bits == 0 {
			return &fault{at.field, "is set, but not announced"}
		}
	}
	for _, side := range []struct {
		name  string
		tuple *rawTuple
		bit   uint64
	}{{"orig", orig, ctHasOrig}, {"reply", reply, ctHasReply}} {
		// Those that want both their kind of field and their tuple.
		for _, at := range []struct {
			field string
			set   bool
			bits  uint64
		}{
			{".sport", side.tuple.sport != 0, ctHasPorts}, {".dport", side.tuple.dport != 0, ctHasPorts},
			{".icmp_type", side.tuple.icmpType != 0, ctHasIcmp}, {".icmp_code", side.tuple.icmpCode != 0, ctHasIcmp},
			{".icmp_id", side.tuple.icmpId != 0, ctHasIcmp},
		} {
			if bits := at.bits | side.bit; at.set && e.has&bits != bits {
				return &fault{side.name + at.field, "is set, but not announced"}
			}
		}
	}
	return nil
}

func checkTuples(e *rawEntry, purpose hook.Purpose) *fault {
	proto, ports, icmp := Proto(e.proto), e.has&ctHasPorts != 0, e.has&ctHasIcmp != 0
	switch {
	case e.has&ctHasOrig == 0 && (purpose == hook.ToCreate || e.has&ctHasReply == 0):
		return &fault{"orig", "is not announced: no tuple says which entry"}
	case ports && !proto.hasPorts():
		return &fault{"proto", "is one without ports, and ports are announced"}
	case icmp && !proto.isICMP():
		return &fault{"proto", "is neither ICMP nor ICMPv6, whose fields are announced"}
	case (proto == TCP || proto == UDP) && !ports:
		return &fault{"proto", "TCP and UDP need ports, and none are announced"}
	case proto.isICMP() && !icmp:
		return &fault{"proto", "ICMP needs type, code and id, and they are not announced"}
	}
	return nil
}

func checkValues(e *rawEntry, purpose hook.Purpose) *fault {
	switch {
	case purpose == hook.ToFind:
	case e.has&(ctHasTcpState|ctHasTcpWscale|ctHasTcpFlags) != 0 && Proto(e.proto) != TCP:
		return &fault{"tcp_state", "TCP fields with another protocol"}
	case e.has&ctHasSctp != 0 && Proto(e.proto) != SCTP:
		return &fault{"sctp_state", "SCTP fields with another protocol"}
	}
	return nil
}

// creatable are the status bits that a new entry can have.
const creatable = uint32(StatusSeenReply | StatusAssured | StatusConfirmed | StatusSrcNAT | StatusDstNAT | StatusSrcNATDone |
	StatusDstNATDone | StatusFixedTimeout | StatusHelper)

func checkPurpose(e *rawEntry, purpose hook.Purpose) *fault {
	const changeable = ctHasTimeout | ctHasStatus | ctHasMark | ctHasLabels | ctHasHelper | ctHasTcpState | ctHasTcpWscale |
		ctHasTcpFlags | ctHasSctp
	switch {
	case purpose == hook.ToUpdate && e.has&changeable == 0:
		return &fault{"", "nothing to change"}
	case purpose != hook.ToCreate:
		return nil
	case e.has&ctHasTimeout == 0 && e.status&^creatable == 0:
		return &fault{"timeout", "a new entry needs one"}
	case e.status&uint32(StatusSrcNAT|StatusDstNAT) != 0 && e.has&ctHasReply == 0:
		return &fault{"reply", "NAT needs the reply tuple: it says to what is translated"}
	case e.has&ctHasHelper != 0 && e.helper[0] == 0:
		return &fault{"helper", "is empty"}
	}
	return nil
}
