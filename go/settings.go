// SPDX-License-Identifier: MIT OR Apache-2.0

package ctrack

import (
	"context"
	"fmt"
	"unsafe"
)

// Setting is a setting of connection tracking in a network namespace: what the kernel has in /proc/sys/net/netfilter. Timeouts are in
// seconds, and for packets that come from now on, and so for entries that are there already. Since 0.2.
type Setting uint8

// The settings. SettingMax, SettingBuckets and SettingExpectMax belong to the machine. Since 0.2.
const (
	// nf_conntrack_max. The most entries that a network namespace may have.
	SettingMax Setting = ctSettingMax
	// nf_conntrack_buckets. Buckets of the hash table.
	SettingBuckets Setting = ctSettingBuckets
	// nf_conntrack_expect_max. The most expectations that a network namespace may have.
	SettingExpectMax Setting = ctSettingExpectMax
	// nf_conntrack_acct. Whether packets and bytes of entries are counted: 0 or 1. For entries that are made from now on.
	SettingAcct Setting = ctSettingAcct
	// nf_conntrack_timestamp. Whether entries keep the time when they were made: 0 or 1. For entries that are made from now
	// on.
	SettingTimestamp Setting = ctSettingTimestamp
	// nf_conntrack_events. Whether entries report what becomes of them: 0 none does, 1 all do, 2 those that are made while
	// somebody listens. For entries that are made from now on.
	SettingEvents Setting = ctSettingEvents
	// nf_conntrack_checksum. Whether packets with a wrong checksum are invalid: 0 or 1.
	SettingChecksum Setting = ctSettingChecksum
	// nf_conntrack_log_invalid. Of which protocol invalid packets are logged: 0 of none, 255 of all.
	SettingLogInvalid Setting = ctSettingLogInvalid
	// nf_conntrack_tcp_loose. Whether connections are taken up that were under way already: 0 or not.
	SettingTCPLoose Setting = ctSettingTcpLoose
	// nf_conntrack_tcp_be_liberal. Whether only resets out of the window are invalid: 0 or not.
	SettingTCPBeLiberal Setting = ctSettingTcpBeLiberal
	// nf_conntrack_tcp_ignore_invalid_rst. Whether resets out of the window count as others do: 0 or 1. Since Linux 5.14.
	SettingTCPIgnoreInvalidRST Setting = ctSettingTcpIgnoreInvalidRst
	// nf_conntrack_tcp_max_retrans. Retransmissions after which SettingTCPMaxRetransTimeout holds.
	SettingTCPMaxRetrans Setting = ctSettingTcpMaxRetrans
	// nf_conntrack_generic_timeout. Seconds. Of protocols without a tracker of their own.
	SettingGenericTimeout Setting = ctSettingGenericTimeout
	// nf_conntrack_icmp_timeout. Seconds. ICMP.
	SettingICMPTimeout Setting = ctSettingIcmpTimeout
	// nf_conntrack_icmpv6_timeout. Seconds. ICMPv6.
	SettingICMPv6Timeout Setting = ctSettingIcmpv6Timeout
	// nf_conntrack_udp_timeout. Seconds. UDP that is not answered, and UDP-Lite.
	SettingUDPTimeout Setting = ctSettingUdpTimeout
	// nf_conntrack_udp_timeout_stream. Seconds. UDP in both directions, after two seconds.
	SettingUDPStreamTimeout Setting = ctSettingUdpStreamTimeout
	// nf_conntrack_gre_timeout. Seconds. GRE that is not answered.
	SettingGRETimeout Setting = ctSettingGreTimeout
	// nf_conntrack_gre_timeout_stream. Seconds. GRE in both directions.
	SettingGREStreamTimeout Setting = ctSettingGreStreamTimeout
	// nf_conntrack_tcp_timeout_syn_sent. Seconds. TCP in SYN_SENT.
	SettingTCPSynSentTimeout Setting = ctSettingTcpSynSentTimeout
	// nf_conntrack_tcp_timeout_syn_recv. Seconds. TCP in SYN_RECV.
	SettingTCPSynRecvTimeout Setting = ctSettingTcpSynRecvTimeout
	// nf_conntrack_tcp_timeout_established. Seconds. TCP in ESTABLISHED.
	SettingTCPEstablishedTimeout Setting = ctSettingTcpEstablishedTimeout
	// nf_conntrack_tcp_timeout_fin_wait. Seconds. TCP in FIN_WAIT.
	SettingTCPFinWaitTimeout Setting = ctSettingTcpFinWaitTimeout
	// nf_conntrack_tcp_timeout_close_wait. Seconds. TCP in CLOSE_WAIT.
	SettingTCPCloseWaitTimeout Setting = ctSettingTcpCloseWaitTimeout
	// nf_conntrack_tcp_timeout_last_ack. Seconds. TCP in LAST_ACK.
	SettingTCPLastAckTimeout Setting = ctSettingTcpLastAckTimeout
	// nf_conntrack_tcp_timeout_time_wait. Seconds. TCP in TIME_WAIT.
	SettingTCPTimeWaitTimeout Setting = ctSettingTcpTimeWaitTimeout
	// nf_conntrack_tcp_timeout_close. Seconds. TCP in CLOSE.
	SettingTCPCloseTimeout Setting = ctSettingTcpCloseTimeout
	// nf_conntrack_tcp_timeout_max_retrans. Seconds. TCP after too many retransmissions.
	SettingTCPMaxRetransTimeout Setting = ctSettingTcpMaxRetransTimeout
	// nf_conntrack_tcp_timeout_unacknowledged. Seconds. TCP while data is not acknowledged.
	SettingTCPUnacknowledgedTimeout Setting = ctSettingTcpUnacknowledgedTimeout
	// nf_conntrack_sctp_timeout_closed. Seconds. SCTP in CLOSED.
	SettingSCTPClosedTimeout Setting = ctSettingSctpClosedTimeout
	// nf_conntrack_sctp_timeout_cookie_wait. Seconds. SCTP in COOKIE_WAIT.
	SettingSCTPCookieWaitTimeout Setting = ctSettingSctpCookieWaitTimeout
	// nf_conntrack_sctp_timeout_cookie_echoed. Seconds. SCTP in COOKIE_ECHOED.
	SettingSCTPCookieEchoedTimeout Setting = ctSettingSctpCookieEchoedTimeout
	// nf_conntrack_sctp_timeout_established. Seconds. SCTP in ESTABLISHED.
	SettingSCTPEstablishedTimeout Setting = ctSettingSctpEstablishedTimeout
	// nf_conntrack_sctp_timeout_shutdown_sent. Seconds. SCTP in SHUTDOWN_SENT.
	SettingSCTPShutdownSentTimeout Setting = ctSettingSctpShutdownSentTimeout
	// nf_conntrack_sctp_timeout_shutdown_recd. Seconds. SCTP in SHUTDOWN_RECD.
	SettingSCTPShutdownRecdTimeout Setting = ctSettingSctpShutdownRecdTimeout
	// nf_conntrack_sctp_timeout_shutdown_ack_sent. Seconds. SCTP in SHUTDOWN_ACK_SENT.
	SettingSCTPShutdownAckSentTimeout Setting = ctSettingSctpShutdownAckSentTimeout
	// nf_conntrack_sctp_timeout_heartbeat_sent. Seconds. SCTP in HEARTBEAT_SENT.
	SettingSCTPHeartbeatSentTimeout Setting = ctSettingSctpHeartbeatSentTimeout
	// nf_conntrack_sctp_timeout_heartbeat_acked. Seconds. SCTP in HEARTBEAT_ACKED. In old kernels alone.
	SettingSCTPHeartbeatAckedTimeout Setting = ctSettingSctpHeartbeatAckedTimeout
	// nf_conntrack_dccp_timeout_request. Seconds. DCCP in REQUEST. Before Linux 6.16, as are the others of DCCP.
	SettingDCCPRequestTimeout Setting = ctSettingDccpRequestTimeout
	// nf_conntrack_dccp_timeout_respond. Seconds. DCCP in RESPOND.
	SettingDCCPRespondTimeout Setting = ctSettingDccpRespondTimeout
	// nf_conntrack_dccp_timeout_partopen. Seconds. DCCP in PARTOPEN.
	SettingDCCPPartopenTimeout Setting = ctSettingDccpPartopenTimeout
	// nf_conntrack_dccp_timeout_open. Seconds. DCCP in OPEN.
	SettingDCCPOpenTimeout Setting = ctSettingDccpOpenTimeout
	// nf_conntrack_dccp_timeout_closereq. Seconds. DCCP in CLOSEREQ.
	SettingDCCPClosereqTimeout Setting = ctSettingDccpClosereqTimeout
	// nf_conntrack_dccp_timeout_closing. Seconds. DCCP in CLOSING.
	SettingDCCPClosingTimeout Setting = ctSettingDccpClosingTimeout
	// nf_conntrack_dccp_timeout_timewait. Seconds. DCCP in TIMEWAIT.
	SettingDCCPTimewaitTimeout Setting = ctSettingDccpTimewaitTimeout
	// nf_flowtable_tcp_timeout. Seconds. TCP in a flow table. Since Linux 5.14, where there are flow tables, as is the other
	// one.
	SettingFlowtableTCPTimeout Setting = ctSettingFlowtableTcpTimeout
	// nf_flowtable_udp_timeout. Seconds. UDP in a flow table.
	SettingFlowtableUDPTimeout Setting = ctSettingFlowtableUdpTimeout
)

// Settings gives all of them, by their numbers. Since 0.2.
func Settings() []Setting {
	all := make([]Setting, ctSettingFlowtableUdpTimeout+1)
	for i := range all {
		all[i] = Setting(i)
	}
	return all
}

// String is the name of the sysctl, for example "nf_conntrack_acct"; `sysctl net.netfilter.NAME` shows it. Since 0.2.
func (s Setting) String() string {
	if name := settingName(uint32(s)); name != "" {
		return name
	}
	return fmt.Sprintf("Setting(%d)", uint8(s))
}

// TableInfo is how full a table is, and its settings. Since 0.2.
type TableInfo struct {
	// Entries is how many there are. Those that have expired and are not reaped yet are counted, too.
	Entries int
	raw     rawTableInfo
}

// Value gives a setting that was asked for. False: it cannot be known here; this kernel has no such setting, or /proc/sys is hidden.
// Since 0.2.
func (t TableInfo) Value(s Setting) (uint32, bool) {
	if int(s) >= len(t.raw.value) || t.raw.known>>s&1 == 0 {
		return 0, false
	}
	return t.raw.value[s], true
}

// MaySet says whether the caller may set it, of those that were asked for. Since 0.2.
func (t TableInfo) MaySet(s Setting) bool {
	return int(s) < len(t.raw.value) && t.raw.settable>>s&1 == 1
}

func newTableInfo() rawTableInfo {
	return rawTableInfo{size: uint32(unsafe.Sizeof(rawTableInfo{}))}
}

// Administrator is what looks after a table at large. Since 0.2.
type Administrator interface {
	TableInfo(ctx context.Context, settings ...Setting) (TableInfo, error)
	SetTable(ctx context.Context, setting Setting, value uint32) error
	CPUStats(ctx context.Context) ([]CPUStats, error)
	ExpectStats(ctx context.Context) ([]CPUStats, error)
}

var _ Administrator = (*Conn)(nil)

// TableInfo gives how many entries there are and may be (SettingMax, where the kernel sends it: since Linux 5.8), and these settings of
// the network namespace. Without settings that is one small request. What cannot be read is not known, which is no error. Since 0.2.
func (c *Conn) TableInfo(ctx context.Context, settings ...Setting) (TableInfo, error) {
	var wanted uint64
	for _, s := range settings {
		if s < 64 {
			wanted |= 1 << s
		}
	}
	info := TableInfo{raw: newTableInfo()}
	err := c.handles().with(ctx, "table_info", func(h *handle) int {
		return h.tableInfo(wanted, &info.raw)
	})
	info.Entries = int(info.raw.entries)
	return info, err
}

// SetTable changes a setting of the network namespace. It stays so when the program ends. Accounting, time stamps and events are for
// entries that are made from now on.
//
// EINVAL: there is no such setting, it belongs to the machine, or the kernel takes no such value. EACCES, EPERM: CAP_NET_ADMIN is
// missing, or for another network namespace CAP_SYS_ADMIN. EROFS: /proc/sys is read-only, as in most containers. ENOENT: this kernel has
// no such setting, or /proc is not mounted. Since 0.2.
func (c *Conn) SetTable(ctx context.Context, setting Setting, value uint32) error {
	return c.handles().with(ctx, "set_table", func(h *handle) int {
		return h.setTable(uint32(setting), value)
	})
}
