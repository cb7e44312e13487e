// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"strconv"
	"strings"
)

// Has says which fields of an [Entry] count.
type Has uint64

const (
	HasOrig          Has = ctHasOrig          // Orig: its addresses
	HasReply         Has = ctHasReply         // Reply: its addresses
	HasPorts         Has = ctHasPorts         // SrcPort and DstPort of the tuples
	HasICMP          Has = ctHasIcmp          // ICMPType, ICMPCode and ICMPID of the tuples
	HasStatus        Has = ctHasStatus        // Status
	HasTimeout       Has = ctHasTimeout       // Timeout; not sent for entries that are offloaded to a flow table
	HasMark          Has = ctHasMark          // Mark
	HasID            Has = ctHasId            // ID
	HasUse           Has = ctHasUse           // Use
	HasZone          Has = ctHasZone          // Zone, and ZoneDir is ZoneBoth; not set for zone 0
	HasOrigZone      Has = ctHasOrigZone      // Zone, and ZoneDir is ZoneOrig
	HasReplyZone     Has = ctHasReplyZone     // Zone, and ZoneDir is ZoneReply
	HasOrigCounters  Has = ctHasOrigCounters  // OrigCounters; kept if sysctl nf_conntrack_acct was 1 then
	HasReplyCounters Has = ctHasReplyCounters // ReplyCounters
	HasStart         Has = ctHasStart         // Start; kept if sysctl nf_conntrack_timestamp was 1 then
	HasStop          Has = ctHasStop          // Stop
	HasLabels        Has = ctHasLabels        // Labels; not sent while all are clear
	HasHelper        Has = ctHasHelper        // Helper
	HasTCPState      Has = ctHasTcpState      // TCP.State
	HasTCPWindow     Has = ctHasTcpWscale     // TCP.OrigWindowScale and TCP.ReplyWindowScale
	HasTCPFlags      Has = ctHasTcpFlags      // TCP.OrigFlags and TCP.ReplyFlags, and their masks
	HasSCTP          Has = ctHasSctp          // SCTP
	HasDCCP          Has = ctHasDccp          // DCCP; kernels before 6.16
	HasMaster        Has = ctHasMaster        // the entry was expected by another one
	HasSeqAdj        Has = ctHasSeqAdj        // the kernel adjusts its TCP sequence numbers
	HasSynproxy      Has = ctHasSynproxy      // it has a synproxy extension
	HasSecctx        Has = ctHasSecctx        // it has a security context
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
	StatusExpected     Status = ctStatusExpected     // the entry was expected by another one
	StatusSeenReply    Status = ctStatusSeenReply    // packets were seen in both directions
	StatusAssured      Status = ctStatusAssured      // the entry is not dropped early when the table is full
	StatusConfirmed    Status = ctStatusConfirmed    // the entry is in the table; set on every entry that the kernel lists
	StatusSrcNAT       Status = ctStatusSrcNat       // the source is translated in the original direction
	StatusDstNAT       Status = ctStatusDstNat       // the destination is translated in the original direction
	StatusSeqAdjust    Status = ctStatusSeqAdjust    // TCP sequence numbers are adjusted
	StatusSrcNATDone   Status = ctStatusSrcNatDone   // source NAT was decided (perhaps: none)
	StatusDstNATDone   Status = ctStatusDstNatDone   // destination NAT was decided (perhaps: none)
	StatusDying        Status = ctStatusDying        // the entry is being removed
	StatusFixedTimeout Status = ctStatusFixedTimeout // traffic does not refresh the timeout
	StatusTemplate     Status = ctStatusTemplate     // a template, never in the table
	StatusUntracked    Status = ctStatusUntracked    // not tracked (kernels before 4.12)
	StatusHelper       Status = ctStatusHelper       // a helper was assigned by a rule or by ctnetlink
	StatusOffload      Status = ctStatusOffload      // offloaded to a flow table
	StatusHWOffload    Status = ctStatusHwOffload    // offloaded to hardware
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
