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
