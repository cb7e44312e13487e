# SPDX-License-Identifier: MIT OR Apache-2.0
"""Numbers with names: families, protocols, statuses, states. The values are those of <ctrack.h>."""

from __future__ import annotations

from enum import IntEnum, IntFlag


class Family(IntEnum):
    """Address family: the values of AF_INET and AF_INET6."""

    IPV4 = 2
    IPV6 = 10


class Proto(IntEnum):
    """The protocols that have a name here. Any number from 0 to 255 is a protocol."""

    ICMP = 1
    TCP = 6
    UDP = 17
    DCCP = 33  #: Kernels from 6.16 on no longer track it: its entries then have no ports.
    GRE = 47  #: Its keys are kept as ports.
    ICMPV6 = 58
    SCTP = 132
    UDPLITE = 136


class Status(IntFlag):
    """Bits of an entry's status."""

    EXPECTED = 1 << 0  #: The entry was expected by another one.
    SEEN_REPLY = 1 << 1  #: Packets were seen in both directions.
    ASSURED = 1 << 2  #: Not dropped early when the table is full.
    CONFIRMED = 1 << 3  #: In the table. Set on every entry that the kernel lists.
    SRC_NAT = 1 << 4  #: The source is translated in the original direction.
    DST_NAT = 1 << 5  #: The destination is translated in the original direction.
    SEQ_ADJUST = 1 << 6  #: TCP sequence numbers are adjusted.
    SRC_NAT_DONE = 1 << 7  #: Source NAT was decided (perhaps: none).
    DST_NAT_DONE = 1 << 8  #: Destination NAT was decided (perhaps: none).
    DYING = 1 << 9  #: The entry is being removed.
    FIXED_TIMEOUT = 1 << 10  #: Traffic does not refresh the timeout.
    TEMPLATE = 1 << 11  #: A template, never in the table.
    UNTRACKED = 1 << 12  #: Not tracked (kernels before 4.12).
    HELPER = 1 << 13  #: A helper was assigned by a rule or over netlink.
    OFFLOAD = 1 << 14  #: Offloaded to a flow table.
    HW_OFFLOAD = 1 << 15  #: Offloaded to hardware.


class TcpState(IntEnum):
    """State of a TCP entry."""

    NONE = 0
    SYN_SENT = 1
    SYN_RECV = 2
    ESTABLISHED = 3
    FIN_WAIT = 4
    CLOSE_WAIT = 5
    LAST_ACK = 6
    TIME_WAIT = 7
    CLOSE = 8
    SYN_SENT2 = 9


class Has(IntFlag):
    """Which fields of an entry count: those the kernel sent, or those that you gave."""

    ORIG = 1 << 0
    REPLY = 1 << 1
    PORTS = 1 << 2
    ICMP = 1 << 3
    STATUS = 1 << 4
    TIMEOUT = 1 << 5
    MARK = 1 << 6
    ID = 1 << 7
    USE = 1 << 8
    ZONE = 1 << 9  #: Both directions are in the zone. Not set for zone 0.
    ORIG_ZONE = 1 << 10  #: Only the original direction is in the zone.
    REPLY_ZONE = 1 << 11  #: Only the reply direction is in the zone.
    ORIG_COUNTERS = 1 << 12
    REPLY_COUNTERS = 1 << 13
    START = 1 << 14
    STOP = 1 << 15
    LABELS = 1 << 16
    HELPER = 1 << 17
    TCP_STATE = 1 << 18
    TCP_WSCALE = 1 << 19
    TCP_FLAGS = 1 << 20
    SCTP = 1 << 21
    DCCP = 1 << 22
    MASTER = 1 << 23  #: The entry was expected by another one, its master.
    SEQ_ADJ = 1 << 24
    SYNPROXY = 1 << 25
    SECCTX = 1 << 26
    MARK_MASK = 1 << 27  #: Only in an update; the kernel never sends it.
    LABELS_ADD = 1 << 28  #: Only in an update: the labels are set, all others stay as they are.
    LABELS_REMOVE = 1 << 29  #: Only in an update: the labels are cleared, all others stay as they are.


class Setting(IntEnum):
    """A setting of connection tracking in a network namespace: what the kernel has in /proc/sys/net/netfilter.

    Timeouts are in seconds, and for packets that come from now on, and so for entries that are there already. MAX, BUCKETS and EXPECT_MAX
    belong to the machine.
    """

    MAX = 0  #: nf_conntrack_max. The most entries that a network namespace may have.
    BUCKETS = 1  #: nf_conntrack_buckets. Buckets of the hash table.
    EXPECT_MAX = 2  #: nf_conntrack_expect_max. The most expectations that a network namespace may have.
    ACCT = 3  #: nf_conntrack_acct. Whether packets and bytes of entries are counted: 0 or 1. For entries that are made from now on.
    TIMESTAMP = 4  #: nf_conntrack_timestamp. Whether entries keep the time when they were made: 0 or 1. For entries that are made from now on.
    EVENTS = 5  #: nf_conntrack_events. Whether entries report what becomes of them: 0 none does, 1 all do, 2 those that are made while somebody listens. For entries that are made from now on.
    CHECKSUM = 6  #: nf_conntrack_checksum. Whether packets with a wrong checksum are invalid: 0 or 1.
    LOG_INVALID = 7  #: nf_conntrack_log_invalid. Of which protocol invalid packets are logged: 0 of none, 255 of all.
    TCP_LOOSE = 8  #: nf_conntrack_tcp_loose. Whether connections are taken up that were under way already: 0 or not.
    TCP_BE_LIBERAL = 9  #: nf_conntrack_tcp_be_liberal. Whether only resets out of the window are invalid: 0 or not.
    TCP_IGNORE_INVALID_RST = 10  #: nf_conntrack_tcp_ignore_invalid_rst. Whether resets out of the window count as others do: 0 or 1. Since Linux 5.14.
    TCP_MAX_RETRANS = 11  #: nf_conntrack_tcp_max_retrans. Retransmissions after which TCP_MAX_RETRANS_TIMEOUT holds.
    GENERIC_TIMEOUT = 12  #: nf_conntrack_generic_timeout. Seconds. Of protocols without a tracker of their own.
    ICMP_TIMEOUT = 13  #: nf_conntrack_icmp_timeout. Seconds. ICMP.
    ICMPV6_TIMEOUT = 14  #: nf_conntrack_icmpv6_timeout. Seconds. ICMPv6.
    UDP_TIMEOUT = 15  #: nf_conntrack_udp_timeout. Seconds. UDP that is not answered, and UDP-Lite.
    UDP_STREAM_TIMEOUT = 16  #: nf_conntrack_udp_timeout_stream. Seconds. UDP in both directions, after two seconds.
    GRE_TIMEOUT = 17  #: nf_conntrack_gre_timeout. Seconds. GRE that is not answered.
    GRE_STREAM_TIMEOUT = 18  #: nf_conntrack_gre_timeout_stream. Seconds. GRE in both directions.
    TCP_SYN_SENT_TIMEOUT = 19  #: nf_conntrack_tcp_timeout_syn_sent. Seconds. TCP in SYN_SENT.
    TCP_SYN_RECV_TIMEOUT = 20  #: nf_conntrack_tcp_timeout_syn_recv. Seconds. TCP in SYN_RECV.
    TCP_ESTABLISHED_TIMEOUT = 21  #: nf_conntrack_tcp_timeout_established. Seconds. TCP in ESTABLISHED.
    TCP_FIN_WAIT_TIMEOUT = 22  #: nf_conntrack_tcp_timeout_fin_wait. Seconds. TCP in FIN_WAIT.
    TCP_CLOSE_WAIT_TIMEOUT = 23  #: nf_conntrack_tcp_timeout_close_wait. Seconds. TCP in CLOSE_WAIT.
    TCP_LAST_ACK_TIMEOUT = 24  #: nf_conntrack_tcp_timeout_last_ack. Seconds. TCP in LAST_ACK.
    TCP_TIME_WAIT_TIMEOUT = 25  #: nf_conntrack_tcp_timeout_time_wait. Seconds. TCP in TIME_WAIT.
    TCP_CLOSE_TIMEOUT = 26  #: nf_conntrack_tcp_timeout_close. Seconds. TCP in CLOSE.
    TCP_MAX_RETRANS_TIMEOUT = 27  #: nf_conntrack_tcp_timeout_max_retrans. Seconds. TCP after too many retransmissions.
    TCP_UNACKNOWLEDGED_TIMEOUT = 28  #: nf_conntrack_tcp_timeout_unacknowledged. Seconds. TCP while data is not acknowledged.
    SCTP_CLOSED_TIMEOUT = 29  #: nf_conntrack_sctp_timeout_closed. Seconds. SCTP in CLOSED.
    SCTP_COOKIE_WAIT_TIMEOUT = 30  #: nf_conntrack_sctp_timeout_cookie_wait. Seconds. SCTP in COOKIE_WAIT.
    SCTP_COOKIE_ECHOED_TIMEOUT = 31  #: nf_conntrack_sctp_timeout_cookie_echoed. Seconds. SCTP in COOKIE_ECHOED.
    SCTP_ESTABLISHED_TIMEOUT = 32  #: nf_conntrack_sctp_timeout_established. Seconds. SCTP in ESTABLISHED.
    SCTP_SHUTDOWN_SENT_TIMEOUT = 33  #: nf_conntrack_sctp_timeout_shutdown_sent. Seconds. SCTP in SHUTDOWN_SENT.
    SCTP_SHUTDOWN_RECD_TIMEOUT = 34  #: nf_conntrack_sctp_timeout_shutdown_recd. Seconds. SCTP in SHUTDOWN_RECD.
    SCTP_SHUTDOWN_ACK_SENT_TIMEOUT = 35  #: nf_conntrack_sctp_timeout_shutdown_ack_sent. Seconds. SCTP in SHUTDOWN_ACK_SENT.
    SCTP_HEARTBEAT_SENT_TIMEOUT = 36  #: nf_conntrack_sctp_timeout_heartbeat_sent. Seconds. SCTP in HEARTBEAT_SENT.
    SCTP_HEARTBEAT_ACKED_TIMEOUT = 37  #: nf_conntrack_sctp_timeout_heartbeat_acked. Seconds. SCTP in HEARTBEAT_ACKED. In old kernels alone.
    DCCP_REQUEST_TIMEOUT = 38  #: nf_conntrack_dccp_timeout_request. Seconds. DCCP in REQUEST. Before Linux 6.16, as are the others of DCCP.
    DCCP_RESPOND_TIMEOUT = 39  #: nf_conntrack_dccp_timeout_respond. Seconds. DCCP in RESPOND.
    DCCP_PARTOPEN_TIMEOUT = 40  #: nf_conntrack_dccp_timeout_partopen. Seconds. DCCP in PARTOPEN.
    DCCP_OPEN_TIMEOUT = 41  #: nf_conntrack_dccp_timeout_open. Seconds. DCCP in OPEN.
    DCCP_CLOSEREQ_TIMEOUT = 42  #: nf_conntrack_dccp_timeout_closereq. Seconds. DCCP in CLOSEREQ.
    DCCP_CLOSING_TIMEOUT = 43  #: nf_conntrack_dccp_timeout_closing. Seconds. DCCP in CLOSING.
    DCCP_TIMEWAIT_TIMEOUT = 44  #: nf_conntrack_dccp_timeout_timewait. Seconds. DCCP in TIMEWAIT.
    FLOWTABLE_TCP_TIMEOUT = 45  #: nf_flowtable_tcp_timeout. Seconds. TCP in a flow table. Since Linux 5.14, where there are flow tables, as is the other one.
    FLOWTABLE_UDP_TIMEOUT = 46  #: nf_flowtable_udp_timeout. Seconds. UDP in a flow table.


class Stat(IntEnum):
    """A counter of a processor. Which ones there are depends on the kernel."""

    SEARCHED = 1  #: Look-ups in the table. None since Linux 4.9.
    FOUND = 2  #: Packets whose entry was found at the second look, since another packet of the flow had come between. Before Linux 5.10: all look-ups that found an entry.
    NEW = 3  #: Entries that were made. None since Linux 4.9.
    INVALID = 4  #: Packets that could not be tracked.
    IGNORE = 5  #: Packets that were tracked already. None since Linux 5.10.
    DELETE = 6  #: Entries that were deleted. None since Linux 4.9.
    DELETE_LIST = 7  #: Entries that waited for their deletion. None since Linux 4.9.
    INSERT = 8  #: Entries that were put into the table. Those of packets are counted since Linux 5.19 in no kernel (always 0), those made by programs are.
    INSERT_FAILED = 9  #: Entries that could not be put into the table: another one with a tuple of theirs was there.
    DROP = 10  #: Packets that were dropped: no memory for an entry, no room in the table, or it clashed.
    EARLY_DROP = 11  #: Entries that were dropped so that there was room for others.
    ERROR = 12  #: ICMP errors that belong to nothing, and packets that a protocol's tracker refused.
    SEARCH_RESTART = 13  #: Look-ups that began anew, since the table was resized or the entry moved meanwhile.
    CLASH_RESOLVE = 14  #: Clashes that were resolved: two entries for one flow, of which one stayed. Since Linux 5.10.
    CHAIN_TOOLONG = 15  #: Entries that were not made since the chain of their bucket was too long. Since Linux 5.15.


class ExpectStat(IntEnum):
    """A counter of a processor for expectations."""

    NEW = 1  #: Expectations that a packet fulfilled.
    CREATE = 2  #: Expectations that were made.
    DELETE = 3  #: Expectations that were deleted.


class Match(IntFlag):
    """Which fields of a filter count. `ctrack.Filter` sets them by itself."""

    FAMILY = 1 << 0
    PROTO = 1 << 1
    ZONE = 1 << 2
    MARK = 1 << 3
    STATUS = 1 << 4
    ORIG_SRC = 1 << 5
    ORIG_DST = 1 << 6
    REPLY_SRC = 1 << 7
    REPLY_DST = 1 << 8
    ORIG_SPORT = 1 << 9
    ORIG_DPORT = 1 << 10
    REPLY_SPORT = 1 << 11
    REPLY_DPORT = 1 << 12
    ICMP_TYPE = 1 << 13
    ICMP_CODE = 1 << 14
    ICMP_ID = 1 << 15
    TCP_STATES = 1 << 16
    LABELS = 1 << 17
    HELPER = 1 << 18
    ORIG_ZONE = 1 << 19
    REPLY_ZONE = 1 << 20
    ID = 1 << 21


class EventKind(IntEnum):
    """What happened."""

    NEW = 1  #: An entry was made; or it is `entered`, `initial` or `found`.
    UPDATE = 2  #: An entry changed.
    DESTROY = 3  #: An entry went; or it `left`.
    LOST = 4  #: `lost` events are missing here. With sync what follows repairs it, up to the next SYNCED.
    SYNCED = 5  #: With sync alone: the events so far add up to the kernel's table.


class EventFlags(IntFlag):
    """What is special about an event."""

    INITIAL = 1 << 0  #: Of NEW: the entry was there when the watch was opened.
    FOUND = 1 << 1  #: The kernel did not say so; a list or a look-up showed it. A DESTROY then has no final counters.
    ENTERED = 1 << 2  #: Of NEW: the entry was there before, and is selected by the filters only now.
    LEFT = 1 << 3  #: Of DESTROY: the entry is there still, and is selected by the filters no more.


# Flags that are arguments in Python.
OPEN_NETNS = 1 << 0
OPEN_COMPARE_START = 1 << 1
FILTER_EXCLUDE = 1 << 0
DELETE_UNCOUNTED = 1 << 0
DELETE_DRY_RUN = 1 << 1
RESULT_UNCOUNTED = 1 << 0
RESULT_START_UNKNOWN = 1 << 1
FLUSH_ALL = 1 << 0
FORMAT_LINE = 1 << 0
FORMAT_JSON = 1 << 1
FORMAT_EXTENDED = 1 << 8
FORMAT_ID = 1 << 9
FORMAT_TIMESTAMP = 1 << 10
FORMAT_EVENT_TIME = 1 << 11
WATCH_NETNS = 1 << 0
WATCH_SYNC = 1 << 1
WATCH_ENABLE = 1 << 2
WATCH_RELIABLE = 1 << 3
WATCH_ALL_NSID = 1 << 4
WATCH_AUDIT_ALL = 1 << 5
WATCH_NEW = 1 << 0
WATCH_UPDATE = 1 << 1
WATCH_DESTROY = 1 << 2
WATCH_IS_SYNCED = 1 << 0
WATCH_MAY_BE_SILENT = 1 << 1

#: All bits of a status that have a name.
ALL_STATUSES = sum(map(int, Status))
#: Protocols whose entries have ports (GRE: keys).
PROTOS_WITH_PORTS = frozenset({Proto.TCP, Proto.UDP, Proto.DCCP, Proto.GRE, Proto.SCTP, Proto.UDPLITE})
#: Protocols whose entries have type, code and identifier.
PROTOS_ICMP = frozenset({Proto.ICMP, Proto.ICMPV6})
