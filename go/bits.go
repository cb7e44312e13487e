// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

/*
#include <ctrack.h>
*/
import "C"

import (
	"strconv"
	"strings"
)

// Has says which fields of an [Entry] count.
type Has uint64

const (
	HasOrig          Has = C.CT_HAS_ORIG           // Orig: its addresses
	HasReply         Has = C.CT_HAS_REPLY          // Reply: its addresses
	HasPorts         Has = C.CT_HAS_PORTS          // SrcPort and DstPort of the tuples
	HasICMP          Has = C.CT_HAS_ICMP           // ICMPType, ICMPCode and ICMPID of the tuples
	HasStatus        Has = C.CT_HAS_STATUS         // Status
	HasTimeout       Has = C.CT_HAS_TIMEOUT        // Timeout; not sent for entries that are offloaded to a flow table
	HasMark          Has = C.CT_HAS_MARK           // Mark
	HasID            Has = C.CT_HAS_ID             // ID
	HasUse           Has = C.CT_HAS_USE            // Use
	HasZone          Has = C.CT_HAS_ZONE           // Zone, and ZoneDir is ZoneBoth; not set for zone 0
	HasOrigZone      Has = C.CT_HAS_ORIG_ZONE      // Zone, and ZoneDir is ZoneOrig
	HasReplyZone     Has = C.CT_HAS_REPLY_ZONE     // Zone, and ZoneDir is ZoneReply
	HasOrigCounters  Has = C.CT_HAS_ORIG_COUNTERS  // OrigCounters; kept if sysctl nf_conntrack_acct was 1 then
	HasReplyCounters Has = C.CT_HAS_REPLY_COUNTERS // ReplyCounters
	HasStart         Has = C.CT_HAS_START          // Start; kept if sysctl nf_conntrack_timestamp was 1 then
	HasStop          Has = C.CT_HAS_STOP           // Stop
	HasLabels        Has = C.CT_HAS_LABELS         // Labels; not sent while all are clear
	HasHelper        Has = C.CT_HAS_HELPER         // Helper
	HasTCPState      Has = C.CT_HAS_TCP_STATE      // TCP.State
	HasTCPWindow     Has = C.CT_HAS_TCP_WSCALE     // TCP.OrigWindowScale and TCP.ReplyWindowScale
	HasTCPFlags      Has = C.CT_HAS_TCP_FLAGS      // TCP.OrigFlags and TCP.ReplyFlags, and their masks
	HasSCTP          Has = C.CT_HAS_SCTP           // SCTP
	HasDCCP          Has = C.CT_HAS_DCCP           // DCCP; kernels before 6.16
	HasMaster        Has = C.CT_HAS_MASTER         // the entry was expected by another one
	HasSeqAdj        Has = C.CT_HAS_SEQ_ADJ        // the kernel adjusts its TCP sequence numbers
	HasSynproxy      Has = C.CT_HAS_SYNPROXY       // it has a synproxy extension
	HasSecctx        Has = C.CT_HAS_SECCTX         // it has a security context
)

// hasKnown are the bits that this package has fields for, or that say all there is to say.
const hasKnown = HasSecctx<<1 - 1

const hasAnyZone = HasZone | HasOrigZone | HasReplyZone

// All says whether all of the bits are set.
func (h Has) All(bits Has) bool {
	return h&bits == bits
}

var hasNames = []string{"orig", "reply", "ports", "icmp", "status", "timeout", "mark", "id", "use", "zone", "orig-zone",
	"reply-zone", "orig-counters", "reply-counters", "start", "stop", "labels", "helper", "tcp-state", "tcp-window",
	"tcp-flags", "sctp", "dccp", "master", "seq-adj", "synproxy", "secctx"}

// String is for example "orig|ports|zone"; "0" without bits.
func (h Has) String() string {
	return bitNames(uint64(h), hasNames)
}

// Status are the status bits of an entry.
type Status uint32

const (
	StatusExpected     Status = C.CT_STATUS_EXPECTED      // the entry was expected by another one
	StatusSeenReply    Status = C.CT_STATUS_SEEN_REPLY    // packets were seen in both directions
	StatusAssured      Status = C.CT_STATUS_ASSURED       // the entry is not dropped early when the table is full
	StatusConfirmed    Status = C.CT_STATUS_CONFIRMED     // the entry is in the table; set on every entry that the kernel lists
	StatusSrcNAT       Status = C.CT_STATUS_SRC_NAT       // the source is translated in the original direction
	StatusDstNAT       Status = C.CT_STATUS_DST_NAT       // the destination is translated in the original direction
	StatusSeqAdjust    Status = C.CT_STATUS_SEQ_ADJUST    // TCP sequence numbers are adjusted
	StatusSrcNATDone   Status = C.CT_STATUS_SRC_NAT_DONE  // source NAT was decided (perhaps: none)
	StatusDstNATDone   Status = C.CT_STATUS_DST_NAT_DONE  // destination NAT was decided (perhaps: none)
	StatusDying        Status = C.CT_STATUS_DYING         // the entry is being removed
	StatusFixedTimeout Status = C.CT_STATUS_FIXED_TIMEOUT // traffic does not refresh the timeout
	StatusTemplate     Status = C.CT_STATUS_TEMPLATE      // a template, never in the table
	StatusUntracked    Status = C.CT_STATUS_UNTRACKED     // not tracked (kernels before 4.12)
	StatusHelper       Status = C.CT_STATUS_HELPER        // a helper was assigned by a rule or by ctnetlink
	StatusOffload      Status = C.CT_STATUS_OFFLOAD       // offloaded to a flow table
	StatusHWOffload    Status = C.CT_STATUS_HW_OFFLOAD    // offloaded to hardware
)

// All says whether all of the bits are set.
func (s Status) All(bits Status) bool {
	return s&bits == bits
}

var statusNames = []string{"EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED", "SRC_NAT", "DST_NAT", "SEQ_ADJUST", "SRC_NAT_DONE",
	"DST_NAT_DONE", "DYING", "FIXED_TIMEOUT", "TEMPLATE", "UNTRACKED", "HELPER", "OFFLOAD", "HW_OFFLOAD"}

// String is for example "SEEN_REPLY|ASSURED|CONFIRMED"; "0" without bits.
func (s Status) String() string {
	return bitNames(uint64(s), statusNames)
}

// TCPFlags are what the kernel remembers of one end of a TCP connection (linux/netfilter/nf_conntrack_tcp.h).
type TCPFlags uint8

const (
	TCPWindowScale        TCPFlags = 1 << iota // the end scales its window
	TCPSackPermitted                           // it takes selective acknowledgements
	TCPCloseInit                               // it began to close
	TCPBeLiberal                               // its windows are not checked
	TCPUnacknowledged                          // it has data that was not acknowledged
	TCPMaxAckSet                               // its highest acknowledgement is known
	TCPExpectChallengeAck                      // a challenge ACK is expected from it
	TCPSimultaneousOpen                        // both ends sent a SYN
)

var tcpFlagNames = []string{"WINDOW_SCALE", "SACK_PERM", "CLOSE_INIT", "BE_LIBERAL", "DATA_UNACKNOWLEDGED", "MAXACK_SET",
	"EXP_CHALLENGE_ACK", "SIMULTANEOUS_OPEN"}

// String is for example "WINDOW_SCALE|SACK_PERM"; "0" without bits.
func (f TCPFlags) String() string {
	return bitNames(uint64(f), tcpFlagNames)
}

// bitNames joins the names of the bits that are set. Those without a name come last, as a number.
func bitNames(bits uint64, names []string) string {
	if bits == 0 {
		return "0"
	}
	var set []string
	for bit, name := range names {
		if bits>>bit&1 != 0 {
			set = append(set, name)
		}
	}
	if rest := bits >> len(names) << len(names); rest != 0 {
		set = append(set, "0x"+strconv.FormatUint(rest, 16))
	}
	return strings.Join(set, "|")
}
