# SPDX-License-Identifier: MIT OR Apache-2.0
"""List, delete, flush and watch the Linux kernel's connection-tracking entries.

    with ctrack.open() as ct:
        for entry in ct.stream(ctrack.Filter(zone=7)):
            print(entry)
        ct.delete(*ctrack.dead_endpoint("10.0.0.7"))

Works through libctrack.so.0, without any `conntrack` program. Every operation needs CAP_NET_ADMIN in the user namespace that
owns the network namespace, reading too.
"""

from . import _native
from ._values import (
    Address,
    AddressLike,
    EventKindsLike,
    FamilyLike,
    NetnsLike,
    Network,
    NetworkLike,
    PortsLike,
    ProtoLike,
    StatusLike,
    TcpStateLike,
    TcpStatesLike,
)
from ._change import Zeroed
from ._delete import Deleted
from ._table import CpuStats, StatsTotal, TableInfo
from ._version import __version__
from ._watch import Watch, WatchInfo
from .conntrack import Conntrack
from .constants import EventFlags, EventKind, ExpectStat, Family, Has, Match, Proto, Setting, Stat, Status, TcpState
from .entry import Entry
from .errors import (
    Closed,
    ClosedError,
    Error,
    Forked,
    ForkedError,
    Hidden,
    HiddenError,
    InvalidArgument,
    InvalidArgumentError,
    PermissionDenied,
    PermissionDeniedError,
    Result,
    TableChanged,
    TableChangedError,
    TimedOutError,
    Timeout,
)
from .event import Event
from .filter import Filter
from .presets import changed_service, dead_endpoint, everything_but, port_on_any_address, security_rule, whole_table
from .selection import Selection

open = Conntrack


def version() -> str:
    """The version of the library that is running, for example "0.1.0"."""
    return _native.version_of(_native.lib)


# Without open, so that `from ctrack import *` does not hide the built-in one.
__all__ = [
    "Address",
    "AddressLike",
    "Closed",
    "ClosedError",
    "Conntrack",
    "CpuStats",
    "Deleted",
    "Entry",
    "Error",
    "Event",
    "EventFlags",
    "EventKind",
    "EventKindsLike",
    "ExpectStat",
    "Family",
    "FamilyLike",
    "Filter",
    "Forked",
    "ForkedError",
    "Has",
    "Hidden",
    "HiddenError",
    "InvalidArgument",
    "InvalidArgumentError",
    "Match",
    "NetnsLike",
    "Network",
    "NetworkLike",
    "PermissionDenied",
    "PermissionDeniedError",
    "PortsLike",
    "Proto",
    "ProtoLike",
    "Result",
    "Selection",
    "Setting",
    "Stat",
    "StatsTotal",
    "Status",
    "StatusLike",
    "TableChanged",
    "TableChangedError",
    "TableInfo",
    "TcpState",
    "TcpStateLike",
    "TcpStatesLike",
    "TimedOutError",
    "Timeout",
    "Watch",
    "WatchInfo",
    "Zeroed",
    "__version__",
    "changed_service",
    "dead_endpoint",
    "everything_but",
    "port_on_any_address",
    "security_rule",
    "version",
    "whole_table",
]
