# SPDX-License-Identifier: MIT OR Apache-2.0
"""libctrack.so.0 as ctypes sees it: where it is, its structs, its functions. Mirrors <ctrack.h> and decides nothing."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from ctypes import POINTER, c_char, c_char_p, c_int, c_int32, c_size_t, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

SONAME = "libctrack.so.0"
#: The oldest library that has everything used here, as ct_version_number() counts.
OLDEST = 0 * 65536 + 1 * 256 + 0

ADDRESS = c_uint8 * 16
LABELS = c_uint8 * 16
NAME = c_char * 16


class OpenOpts(ctypes.Structure):
    """struct ct_open_opts"""

    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("netns_fd", c_int32),
        ("timeout_ms", c_uint32),
        ("rcvbuf", c_uint32),
        ("pad0", c_uint32),
    ]


class CFilter(ctypes.Structure):
    """struct ct_filter"""

    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("match", c_uint64),
        ("family", c_uint8),
        ("proto", c_uint8),
        ("icmp_type", c_uint8),
        ("icmp_code", c_uint8),
        ("icmp_id", c_uint16),
        ("tcp_states", c_uint16),
        ("zone", c_uint32),
        ("mark", c_uint32),
        ("mark_mask", c_uint32),
        ("status_set", c_uint32),
        ("status_clear", c_uint32),
        ("orig_src_prefix", c_uint8),
        ("orig_dst_prefix", c_uint8),
        ("reply_src_prefix", c_uint8),
        ("reply_dst_prefix", c_uint8),
        ("orig_src", ADDRESS),
        ("orig_dst", ADDRESS),
        ("reply_src", ADDRESS),
        ("reply_dst", ADDRESS),
        ("orig_sport_first", c_uint16),
        ("orig_sport_last", c_uint16),
        ("orig_dport_first", c_uint16),
        ("orig_dport_last", c_uint16),
        ("reply_sport_first", c_uint16),
        ("reply_sport_last", c_uint16),
        ("reply_dport_first", c_uint16),
        ("reply_dport_last", c_uint16),
        ("labels", LABELS),
        ("labels_mask", LABELS),
        ("helper", NAME),
        ("orig_zone", c_uint32),
        ("reply_zone", c_uint32),
        ("id", c_uint32),
        ("pad0", c_uint32),
    ]


class CTuple(ctypes.Structure):
    """struct ct_tuple"""

    _fields_ = [
        ("src", ADDRESS),
        ("dst", ADDRESS),
        ("sport", c_uint16),
        ("dport", c_uint16),
        ("icmp_id", c_uint16),
        ("icmp_type", c_uint8),
        ("icmp_code", c_uint8),
        ("zone", c_uint32),
    ]


class CCounters(ctypes.Structure):
    """struct ct_counters"""

    _fields_ = [("packets", c_uint64), ("bytes", c_uint64)]


class CEntry(ctypes.Structure):
    """struct ct_entry. Only its layout is used: entries are kept and read as 256 bytes."""

    _fields_ = [
        ("has", c_uint64),
        ("id", c_uint32),
        ("status", c_uint32),
        ("mark", c_uint32),
        ("timeout", c_uint32),
        ("use_count", c_uint32),
        ("zone", c_uint32),
        ("family", c_uint8),
        ("proto", c_uint8),
        ("tcp_state", c_uint8),
        ("sctp_state", c_uint8),
        ("tcp_wscale_orig", c_uint8),
        ("tcp_wscale_reply", c_uint8),
        ("tcp_flags_orig", c_uint8),
        ("tcp_flags_reply", c_uint8),
        ("tcp_mask_orig", c_uint8),
        ("tcp_mask_reply", c_uint8),
        ("dccp_state", c_uint8),
        ("dccp_role", c_uint8),
        ("sctp_vtag_orig", c_uint32),
        ("sctp_vtag_reply", c_uint32),
        ("mark_mask", c_uint32),
        ("orig", CTuple),
        ("reply", CTuple),
        ("orig_counters", CCounters),
        ("reply_counters", CCounters),
        ("start_ns", c_uint64),
        ("stop_ns", c_uint64),
        ("labels", LABELS),
        ("helper", NAME),
        ("reserved", c_uint64 * 4),
    ]


class CResult(ctypes.Structure):
    """struct ct_result"""

    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("matched", c_uint64),
        ("done", c_uint64),
        ("gone", c_uint64),
        ("failed", c_uint64),
        ("first_error", c_int32),
        ("pad0", c_uint32),
        ("spared", c_uint64),
    ]


class CWatchOpts(ctypes.Structure):
    """struct ct_watch_opts"""

    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("netns_fd", c_int32),
        ("events", c_uint32),
        ("timeout_ms", c_uint32),
        ("rcvbuf", c_uint32),
        ("audit_ms", c_uint32),
        ("max_entries", c_uint32),
    ]


class CWatchInfo(ctypes.Structure):
    """struct ct_watch_info"""

    _fields_ = [
        ("size", c_uint32),
        ("flags", c_uint32),
        ("events_mode", c_int32),
        ("rcvbuf", c_uint32),
        ("queued", c_uint32),
        ("pad0", c_uint32),
        ("received", c_uint64),
        ("lost", c_uint64),
        ("resyncs", c_uint64),
        ("restarts", c_uint64),
        ("verified", c_uint64),
        ("audited", c_uint64),
        ("entries", c_uint64),
    ]


class CEvent(ctypes.Structure):
    """struct ct_event. Only its layout is used: events are kept and read as 320 bytes."""

    _fields_ = [
        ("type", c_uint32),
        ("flags", c_uint32),
        ("number", c_uint64),
        ("lost", c_uint64),
        ("received_ns", c_uint64),
        ("time_ns", c_uint64),
        ("portid", c_uint32),
        ("nsid", c_int32),
        ("reserved", c_uint64 * 2),
        ("entry", CEntry),
    ]


class CTableInfo(ctypes.Structure):
    """struct ct_table_info"""

    _fields_ = [
        ("size", c_uint32),
        ("pad0", c_uint32),
        ("entries", c_uint64),
        ("known", c_uint64),
        ("settable", c_uint64),
        ("value", c_uint32 * 64),
    ]


class CStats(ctypes.Structure):
    """struct ct_stats"""

    _fields_ = [("cpu", c_uint32), ("has", c_uint32), ("value", c_uint32 * 32)]


# The layout that the library promises (abi/layout.txt): sizes, and offsets behind which nothing can have moved unseen.
_SIZES = {OpenOpts: 24, CFilter: 192, CTuple: 44, CCounters: 16, CEntry: 256, CResult: 56}
_SIZES |= {CWatchOpts: 32, CWatchInfo: 80, CEvent: 320, CTableInfo: 288, CStats: 136}
_OFFSETS = {
    (OpenOpts, "rcvbuf"): 16,
    (CFilter, "match"): 8,
    (CFilter, "zone"): 24,
    (CFilter, "orig_src"): 48,
    (CFilter, "orig_sport_first"): 112,
    (CFilter, "labels"): 128,
    (CFilter, "helper"): 160,
    (CFilter, "orig_zone"): 176,
    (CFilter, "id"): 184,
    (CTuple, "sport"): 32,
    (CTuple, "zone"): 40,
    (CEntry, "family"): 32,
    (CEntry, "mark_mask"): 52,
    (CEntry, "orig"): 56,
    (CEntry, "reply"): 100,
    (CEntry, "orig_counters"): 144,
    (CEntry, "labels"): 192,
    (CEntry, "reserved"): 224,
    (CResult, "first_error"): 40,
    (CResult, "spared"): 48,
    (CWatchOpts, "max_entries"): 28,
    (CWatchInfo, "received"): 24,
    (CEvent, "received_ns"): 24,
    (CEvent, "portid"): 40,
    (CEvent, "entry"): 64,
    (CTableInfo, "settable"): 24,
    (CTableInfo, "value"): 32,
    (CStats, "value"): 8,
}
ENTRY_SIZE = 256
EVENT_SIZE = 320


def _check_layout() -> None:
    for struct, size in _SIZES.items():
        if ctypes.sizeof(struct) != size:
            raise ImportError(f"ctrack: {struct.__doc__} has {ctypes.sizeof(struct)} bytes here instead of {size}")
    for (struct, field), offset in _OFFSETS.items():
        if getattr(struct, field).offset != offset:
            raise ImportError(f"ctrack: {field} of {struct.__doc__} is not at offset {offset} here")


# Handles and watches are kept as plain addresses.
_Handle = c_void_p
_Watch = c_void_p
_Filters = POINTER(CFilter)
_Result = POINTER(CResult)
_Statuses = POINTER(c_int32)
_PROTOTYPES: dict[str, tuple[Any, list[Any]]] = {
    "ct_handle_open": (c_int, [POINTER(_Handle), POINTER(OpenOpts)]),
    "ct_handle_close": (None, [_Handle]),
    "ct_handle_error": (c_char_p, [_Handle]),
    "ct_strerror": (c_char_p, [c_int]),
    "ct_list": (c_int, [_Handle, _Filters, c_size_t, POINTER(c_void_p), POINTER(c_size_t)]),
    "ct_entries_free": (None, [c_void_p]),
    "ct_get": (c_int, [_Handle, c_void_p, c_void_p]),
    "ct_count": (c_int, [_Handle, POINTER(c_uint64)]),
    "ct_zone_find_free": (c_int, [_Handle, c_uint32, c_uint32, POINTER(c_uint32)]),
    "ct_dump_start": (c_int, [_Handle, _Filters, c_size_t]),
    "ct_dump_next": (c_int, [_Handle, c_void_p, c_size_t]),
    "ct_dump_end": (c_int, [_Handle]),
    "ct_delete": (c_int, [_Handle, _Filters, c_size_t, c_uint32, _Result]),
    "ct_delete_entries": (c_int, [_Handle, c_void_p, c_size_t, _Statuses, _Result]),
    "ct_create_entries": (c_int, [_Handle, c_void_p, c_size_t, _Statuses, _Result]),
    "ct_update_entries": (c_int, [_Handle, c_void_p, c_size_t, _Statuses, _Result]),
    "ct_flush": (c_int, [_Handle, _Filters, c_uint32]),
    "ct_entry_format": (c_int, [c_void_p, c_uint32, c_char_p, c_size_t]),
    "ct_version_number": (c_uint32, []),
    "ct_version_string": (c_char_p, []),
    "ct_handle_get_portid": (c_int, [_Handle, POINTER(c_uint32)]),
    "ct_watch_open": (c_int, [POINTER(_Watch), POINTER(CWatchOpts)]),
    "ct_watch_start": (c_int, [_Watch, _Filters, c_size_t]),
    "ct_watch_fd": (c_int, [_Watch]),
    "ct_watch_next": (c_int, [_Watch, c_void_p, c_size_t, c_int]),
    "ct_watch_wake": (c_int, [_Watch]),
    "ct_watch_resync": (c_int, [_Watch]),
    "ct_watch_get_info": (c_int, [_Watch, POINTER(CWatchInfo)]),
    "ct_watch_error": (c_char_p, [_Watch]),
    "ct_watch_close": (None, [_Watch]),
    "ct_table_get_info": (c_int, [_Handle, c_uint64, POINTER(CTableInfo)]),
    "ct_table_set": (c_int, [_Handle, c_uint32, c_uint32]),
    "ct_stats_cpu": (c_int, [_Handle, c_void_p, c_size_t, POINTER(c_size_t)]),
    "ct_stats_expect": (c_int, [_Handle, c_void_p, c_size_t, POINTER(c_size_t)]),
    "ct_stats_format": (c_int, [c_void_p, c_uint32, c_char_p, c_size_t]),
    "ct_zero_entries": (c_int, [_Handle, c_void_p, c_size_t, c_void_p, _Statuses, _Result]),
    "ct_delete_returning": (
        c_int,
        [_Handle, _Filters, c_size_t, c_uint32, c_void_p, c_size_t, POINTER(c_size_t), _Result],
    ),
    "ct_event_format": (c_int, [c_void_p, c_uint32, c_char_p, c_size_t]),
}
#: What a library of release 0.1 has not: whoever watches with it is told so.
_SINCE_0_2 = frozenset(name for name in _PROTOTYPES if name.startswith(("ct_watch_", "ct_event_", "ct_table_", "ct_stats_"))) | {
    "ct_handle_get_portid",
    "ct_zero_entries",
    "ct_delete_returning",
}


def _find() -> str:
    """The library: what CTRACK_LIBRARY names, else the copy inside the package if the wheel carries one, else the system's."""
    named = "" if sys.flags.ignore_environment else os.environ.get("CTRACK_LIBRARY", "")
    inside = Path(__file__).with_name(SONAME)
    return named or (str(inside) if inside.exists() else SONAME)


def _too_old(*_: Any) -> int:
    """Stands for a function that the library has only since 0.2."""
    return -errno.ENOSYS


def _load() -> ctypes.CDLL:
    name = _find()
    try:
        lib = ctypes.CDLL(name)
    except OSError as error:
        raise ImportError(
            f"ctrack needs {SONAME}, and {name} could not be loaded ({error}). Install libctrack (and run ldconfig), install "
            "the wheel of ctrack that carries the library, or set CTRACK_LIBRARY to the path of the library."
        ) from error
    for function, (result, arguments) in _PROTOTYPES.items():
        try:
            prototype = getattr(lib, function)
        except AttributeError as error:
            if function in _SINCE_0_2 and hasattr(lib, "ct_version_number") and lib.ct_version_number() < 2 * 256:
                setattr(lib, function, _too_old)
                continue
            raise ImportError(f"ctrack: {name} has no function {function}: it is not libctrack, or too old") from error
        prototype.restype = result
        prototype.argtypes = arguments
    version = lib.ct_version_number()
    if version < OLDEST:
        raise ImportError(f"ctrack needs libctrack 0.1.0 or later, but {name} is version {version_of(lib)}")
    return lib


def version_of(library: ctypes.CDLL) -> str:
    """The version of the library that is running, for example "0.1.0"."""
    text: bytes = library.ct_version_string()
    return text.decode()


_check_layout()
lib = _load()
