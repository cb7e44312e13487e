// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"encoding/binary"
	"strconv"
	"strings"
)

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

func nameOf(number int, names []string) string {
	if number < len(names) {
		return names[number]
	}
	return strconv.Itoa(number)
}

// Labels are the connection labels of an entry. The zero Labels are none. [LabelSet] makes them of their numbers.
type Labels struct {
	// Bits are in the kernel's own memory order: on a little-endian machine label n is bit n % 8 of byte n / 8.
	Bits [16]byte

	// What LabelSet was given that is no label: such Labels are refused wherever they are used. Label 0 is one.
	wrong int
}

// LabelSet is these labels, each 0 to 127. With any other number it is a set that every call refuses; see [MakeLabelSet], which says so
// at once.
func LabelSet(labels ...int) Labels {
	var set Labels
	for _, label := range labels {
		if !isLabel(label) {
			return Labels{wrong: label}
		}
		word := set.Bits[label/64*8:][:8]
		binary.NativeEndian.PutUint64(word, binary.NativeEndian.Uint64(word)|1<<(label%64))
	}
	return set
}

func isLabel(number int) bool {
	return number >= 0 && number < 128
}

// check says what is wrong with labels.
func (l Labels) check() *fault {
	if l.wrong != 0 {
		return &fault{"labels", strconv.Itoa(l.wrong) + " is no label: those are 0 to 127"}
	}
	return nil
}

// Has says whether a label is set. What is no label, 0 to 127, never is.
func (l Labels) Has(label int) bool {
	return isLabel(label) && binary.NativeEndian.Uint64(l.Bits[label/64*8:][:8])>>(label%64)&1 != 0
}

// String is the numbers of the labels that are set, for example "1,64"; "-" for none.
func (l Labels) String() string {
	if wrong := l.check(); wrong != nil {
		return wrong.reason
	}
	var set []string
	for label := range 128 {
		if l.Has(label) {
			set = append(set, strconv.Itoa(label))
		}
	}
	if set == nil {
		return "-"
	}
	return strings.Join(set, ",")
}
