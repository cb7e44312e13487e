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

// hasKnown are the bits that this package has fields for, or that say all there is to say. The others are those of a [Change].
const hasKnown Has = ctHasAll &^ (ctHasUpdateOnly | ctHasLabelsAdd | ctHasLabelsRemove)

const hasAnyZone = HasZone | HasOrigZone | HasReplyZone

// All says whether all of the bits are set.
func (h Has) All(bits Has) bool {
	return h&bits == bits
}

var hasNames = map[Has]string{
	HasOrig: "orig", HasReply: "reply", HasPorts: "ports", HasICMP: "icmp", HasStatus: "status", HasTimeout: "timeout",
	HasMark: "mark", HasID: "id", HasUse: "use", HasZone: "zone", HasOrigZone: "orig-zone", HasReplyZone: "reply-zone",
	HasOrigCounters: "orig-counters", HasReplyCounters: "reply-counters", HasStart: "start", HasStop: "stop",
	HasLabels: "labels", HasHelper: "helper", HasTCPState: "tcp-state", HasTCPWindow: "tcp-window", HasTCPFlags: "tcp-flags",
	HasSCTP: "sctp", HasDCCP: "dccp", HasMaster: "master", HasSeqAdj: "seq-adj", HasSynproxy: "synproxy", HasSecctx: "secctx",
}

// String is for example "orig|ports|zone"; "0" without bits.
func (h Has) String() string {
	return bitNames(h, hasNames)
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

var statusNames = map[Status]string{
	StatusExpected: "EXPECTED", StatusSeenReply: "SEEN_REPLY", StatusAssured: "ASSURED", StatusConfirmed: "CONFIRMED",
	StatusSrcNAT: "SRC_NAT", StatusDstNAT: "DST_NAT", StatusSeqAdjust: "SEQ_ADJUST", StatusSrcNATDone: "SRC_NAT_DONE",
	StatusDstNATDone: "DST_NAT_DONE", StatusDying: "DYING", StatusFixedTimeout: "FIXED_TIMEOUT", StatusTemplate: "TEMPLATE",
	StatusUntracked: "UNTRACKED", StatusHelper: "HELPER", StatusOffload: "OFFLOAD", StatusHWOffload: "HW_OFFLOAD",
}

// String is for example "SEEN_REPLY|ASSURED|CONFIRMED"; "0" without bits.
func (s Status) String() string {
	return bitNames(s, statusNames)
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

var tcpFlagNames = map[TCPFlags]string{
	TCPWindowScale: "WINDOW_SCALE", TCPSackPermitted: "SACK_PERM", TCPCloseInit: "CLOSE_INIT", TCPBeLiberal: "BE_LIBERAL",
	TCPUnacknowledged: "DATA_UNACKNOWLEDGED", TCPMaxAckSet: "MAXACK_SET", TCPExpectChallengeAck: "EXP_CHALLENGE_ACK",
	TCPSimultaneousOpen: "SIMULTANEOUS_OPEN",
}

// String is for example "WINDOW_SCALE|SACK_PERM"; "0" without bits.
func (f TCPFlags) String() string {
	return bitNames(f, tcpFlagNames)
}

// bitNames joins the names of the bits that are set. Those without a name come last, as a number.
func bitNames[T ~uint8 | ~uint32 | ~uint64](bits T, names map[T]string) string {
	if bits == 0 {
		return "0"
	}
	var set []string
	for bit := T(1); bit != 0; bit <<= 1 {
		if name, has := names[bit]; has && bits&bit != 0 {
			set = append(set, name)
			bits &^= bit
		}
	}
	if bits != 0 {
		set = append(set, "0x"+strconv.FormatUint(uint64(bits), 16))
	}
	return strings.Join(set, "|")
}

// Family is an address family, with the value of AF_INET and AF_INET6.
type Family uint8

const (
	IPv4 Family = ctFamilyIpv4
	IPv6 Family = ctFamilyIpv6
)

// String is "ipv4", "ipv6" or the number.
func (f Family) String() string {
	switch f {
	case IPv4:
		return "ipv4"
	case IPv6:
		return "ipv6"
	}
	return strconv.Itoa(int(f))
}

// Proto is the number of a protocol above IP. Those that the kernel knows more of than the number have a name here.
type Proto uint8

const (
	ICMP    Proto = ctProtoIcmp    // for IPv4
	TCP     Proto = ctProtoTcp     //
	UDP     Proto = ctProtoUdp     //
	DCCP    Proto = ctProtoDccp    // kernels from 6.16 on no longer track it: its entries then have no ports
	GRE     Proto = ctProtoGre     // its keys are kept as ports
	ICMPv6  Proto = ctProtoIcmpv6  //
	SCTP    Proto = ctProtoSctp    //
	UDPLite Proto = ctProtoUdplite //
)

// String is for example "tcp"; the number of those without a name.
func (p Proto) String() string {
	switch p {
	case ICMP:
		return "icmp"
	case TCP:
		return "tcp"
	case UDP:
		return "udp"
	case DCCP:
		return "dccp"
	case GRE:
		return "gre"
	case ICMPv6:
		return "icmpv6"
	case SCTP:
		return "sctp"
	case UDPLite:
		return "udplite"
	}
	return strconv.Itoa(int(p))
}

func (p Proto) hasPorts() bool {
	switch p {
	case TCP, UDP, DCCP, GRE, SCTP, UDPLite:
		return true
	}
	return false
}

func (p Proto) isICMP() bool {
	return p == ICMP || p == ICMPv6
}

// ZoneDir says which direction of an entry its zone is for.
type ZoneDir uint8

const (
	ZoneBoth  ZoneDir = iota // both directions are in the zone
	ZoneOrig                 // only the original direction is; the other is in zone 0
	ZoneReply                // only the reply direction is
)

// String is "both", "orig" or "reply".
func (d ZoneDir) String() string {
	return nameOf(int(d), []string{"both", "orig", "reply"})
}

// TCPState is the kernel's idea of the state of a TCP connection.
type TCPState uint8

const (
	TCPNone        TCPState = ctTcpStateNone        // no state yet
	TCPSynSent     TCPState = ctTcpStateSynSent     // SYN seen
	TCPSynRecv     TCPState = ctTcpStateSynRecv     // SYN and SYN+ACK seen
	TCPEstablished TCPState = ctTcpStateEstablished // established
	TCPFinWait     TCPState = ctTcpStateFinWait     // one side sent FIN
	TCPCloseWait   TCPState = ctTcpStateCloseWait   // that FIN was acknowledged
	TCPLastAck     TCPState = ctTcpStateLastAck     // both sides sent FIN
	TCPTimeWait    TCPState = ctTcpStateTimeWait    // closed, waiting for stray packets
	TCPClose       TCPState = ctTcpStateClose       // reset
	TCPSynSent2    TCPState = ctTcpStateSynSent2    // SYN seen from both sides
)

// String is for example "ESTABLISHED".
func (s TCPState) String() string {
	return nameOf(int(s), []string{"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK",
		"TIME_WAIT", "CLOSE", "SYN_SENT2"})
}

// SCTPState is the kernel's idea of the state of an SCTP association (linux/netfilter/nf_conntrack_sctp.h).
type SCTPState uint8

const (
	SCTPNone SCTPState = iota
	SCTPClosed
	SCTPCookieWait
	SCTPCookieEchoed
	SCTPEstablished
	SCTPShutdownSent
	SCTPShutdownReceived
	SCTPShutdownAckSent
	SCTPHeartbeatSent
	SCTPHeartbeatAcked // not in newer kernels
)

// String is for example "ESTABLISHED".
func (s SCTPState) String() string {
	return nameOf(int(s), []string{"NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT",
		"SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT", "HEARTBEAT_ACKED"})
}

// EventKind is what happened. Since 0.2.
type EventKind uint32

const (
	New     EventKind = ctEventNew     // an entry was made; or is selected only now (Entered), was there when the watch began (Initial), or was found (Found)
	Update  EventKind = ctEventUpdate  // an entry changed
	Destroy EventKind = ctEventDestroy // an entry went; or is selected no more (Left)
	Lost    EventKind = ctEventLost    // events are missing here: Event.Lost says how many. With WatchOptions.Sync what follows repairs it, up to the next Synced
	Synced  EventKind = ctEventSynced  // with WatchOptions.Sync: the events so far add up to the kernel's table, as it was at some moment since the last Lost
)

// String is "new", "update", "destroy", "lost" or "synced"; the number of those without a name. Since 0.2.
func (k EventKind) String() string {
	if k == 0 {
		return "0"
	}
	return nameOf(int(k), []string{"", "new", "update", "destroy", "lost", "synced"})
}

// EventFlags say more of an event. Since 0.2.
type EventFlags uint32

const (
	Initial EventFlags = ctEventInitial // of New: the entry was there when the watch was opened
	Found   EventFlags = ctEventFound   // the kernel did not say so; a list or a look-up showed it. Of a Destroy then only Orig, Zone and ID count: there are no final counters
	Entered EventFlags = ctEventEntered // of New: the entry was there before, and is selected by the filters only now
	Left    EventFlags = ctEventLeft    // of Destroy: the entry is there still, and is selected by the filters no more
)

// All says whether all of these flags are set. Since 0.2.
func (f EventFlags) All(flags EventFlags) bool {
	return f&flags == flags
}

var eventFlagNames = map[EventFlags]string{Initial: "initial", Found: "found", Entered: "entered", Left: "left"}

// String is for example "found|left"; "0" for none. Since 0.2.
func (f EventFlags) String() string {
	return bitNames(f, eventFlagNames)
}

func nameOf(number int, names []string) string {
	if number < len(names) {
		return names[number]
	}
	return strconv.Itoa(number)
}
