# SPDX-License-Identifier: MIT OR Apache-2.0

"""libnetfilter_conntrack through ctypes, as a program in Python would use its header: a callback and getters.

Usage: peer_nfct_ctypes.py OPERATION SIZE [SOME]
"""

import ctypes
import socket
import struct

import bench

# enum nf_conntrack_attr, of libnetfilter_conntrack.h
ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV4_DST = 0, 1
ATTR_ORIG_IPV6_SRC, ATTR_ORIG_IPV6_DST = 4, 5
ATTR_ORIG_PORT_SRC, ATTR_ORIG_PORT_DST = 8, 9
ATTR_ORIG_L3PROTO, ATTR_ORIG_L4PROTO = 15, 17
ATTR_MARK, ATTR_STATUS, ATTR_ZONE = 25, 32, 61

CONNTRACK, NFCT_T_ALL = 1, 0x7
NFCT_Q_DESTROY, NFCT_Q_DUMP, NFCT_Q_DUMP_FILTER = 2, 5, 8
NFCT_CB_CONTINUE, NFCT_CB_STOLEN = 1, 2
NFCT_FILTER_DUMP_MARK, NFCT_FILTER_DUMP_L3NUM = 0, 1

nfct = ctypes.CDLL("libnetfilter_conntrack.so.3", use_errno=True)
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)


def declare(name, result, *arguments):
    function = getattr(nfct, name)
    function.restype, function.argtypes = result, arguments
    return function


pointer, number = ctypes.c_void_p, ctypes.c_int
nfct_open = declare("nfct_open", pointer, ctypes.c_uint8, ctypes.c_uint)
nfct_callback_register = declare("nfct_callback_register", number, pointer, number, CALLBACK, pointer)
nfct_callback_unregister = declare("nfct_callback_unregister", None, pointer)
nfct_query = declare("nfct_query", number, pointer, number, pointer)
nfct_get_attr = declare("nfct_get_attr", pointer, pointer, number)
get_u8 = declare("nfct_get_attr_u8", ctypes.c_uint8, pointer, number)
get_u16 = declare("nfct_get_attr_u16", ctypes.c_uint16, pointer, number)
get_u32 = declare("nfct_get_attr_u32", ctypes.c_uint32, pointer, number)
nfct_destroy = declare("nfct_destroy", None, pointer)
nfct_filter_dump_create = declare("nfct_filter_dump_create", pointer)
nfct_filter_dump_destroy = declare("nfct_filter_dump_destroy", None, pointer)
nfct_filter_dump_set_attr = declare("nfct_filter_dump_set_attr", None, pointer, number, pointer)
nfct_filter_dump_set_attr_u8 = declare("nfct_filter_dump_set_attr_u8", None, pointer, number, ctypes.c_uint8)

handle = nfct_open(CONNTRACK, 0)
if not handle:
    bench.fail("nfct_open failed")

any_family = ctypes.c_uint32(socket.AF_UNSPEC)


def query(what, data):
    if nfct_query(handle, what, data) == -1:
        raise OSError(ctypes.get_errno(), f"nfct_query({what})")


def dump(each, what=NFCT_Q_DUMP, data=ctypes.byref(any_family)):
    """Calls `each` with every entry. What it returns says who owns the entry afterwards."""
    failures = []

    def guarded(_, ct, __):
        try:
            return each(ct)
        except Exception as error:  # ctypes would print it and go on
            failures.append(error)
            return NFCT_CB_CONTINUE

    callback = CALLBACK(guarded)
    nfct_callback_register(handle, NFCT_T_ALL, callback, None)
    query(what, data)
    nfct_callback_unregister(handle)
    if failures:
        raise failures[0]


def dump_mark(each, mark):
    """With the filter that this library has the kernel apply to a dump: the mark."""
    wanted = (ctypes.c_uint32 * 2)(mark, 0xFFFFFFFF)
    filter_ = nfct_filter_dump_create()
    nfct_filter_dump_set_attr(filter_, NFCT_FILTER_DUMP_MARK, wanted)
    nfct_filter_dump_set_attr_u8(filter_, NFCT_FILTER_DUMP_L3NUM, socket.AF_UNSPEC)
    dump(each, NFCT_Q_DUMP_FILTER, filter_)
    nfct_filter_dump_destroy(filter_)


def is_v4(ct):
    return get_u8(ct, ATTR_ORIG_L3PROTO) == socket.AF_INET


def source(ct):
    return ctypes.string_at(nfct_get_attr(ct, ATTR_ORIG_IPV4_SRC), 4)


def reading(ct):
    if is_v4(ct):
        src, dst = source(ct), ctypes.string_at(nfct_get_attr(ct, ATTR_ORIG_IPV4_DST), 4)
    else:
        src, dst = (ctypes.string_at(nfct_get_attr(ct, a), 16) for a in (ATTR_ORIG_IPV6_SRC, ATTR_ORIG_IPV6_DST))
    proto = get_u8(ct, ATTR_ORIG_L4PROTO)
    sport = dport = 0
    if proto not in (socket.IPPROTO_ICMP, socket.IPPROTO_ICMPV6):
        sport = socket.ntohs(get_u16(ct, ATTR_ORIG_PORT_SRC))
        dport = socket.ntohs(get_u16(ct, ATTR_ORIG_PORT_DST))
    return bench.reading(src, dst, sport, dport, proto, get_u32(ct, ATTR_MARK), get_u32(ct, ATTR_STATUS))


def keeper(kept, wanted):
    def each(ct):
        if not wanted(ct):
            return NFCT_CB_CONTINUE
        kept.append(ct)
        return NFCT_CB_STOLEN

    return each


def in_zone(zone):
    return lambda ct: get_u16(ct, ATTR_ZONE) == zone


def has_source(addresses):
    wanted = {socket.inet_aton(address) for address in addresses}
    return lambda ct: is_v4(ct) and source(ct) in wanted


def listed(n, wanted):
    kept = []
    with bench.Clock() as clock:
        dump(keeper(kept, wanted))
    return clock, n, len(kept), sum(map(reading, kept))


def list_pod_mark(*_):
    kept = []
    with bench.Clock() as clock:
        dump_mark(keeper(kept, lambda ct: True), bench.pod_mark(0))
    return clock, bench.POD_FLOWS, len(kept), sum(map(reading, kept))


def stream(size, _):
    count = total = 0

    def each(ct):
        nonlocal count, total
        count += 1
        total += reading(ct)
        return NFCT_CB_CONTINUE

    with bench.Clock() as clock:
        dump(each)
    return clock, size, count, total


def delete_known(size, known):
    sample = bench.Sample(known, size)

    def wanted(ct):
        if is_v4(ct):
            return sample.has(source(ct))
        return sample.has(ctypes.string_at(nfct_get_attr(ct, ATTR_ORIG_IPV6_SRC), 16))

    victims = []
    dump(keeper(victims, wanted))
    with bench.Clock() as clock:
        for ct in victims:
            query(NFCT_Q_DESTROY, ct)
    return clock, known, len(victims), 0


def delete_pods(_, pods):
    victims = []
    with bench.Clock() as clock:
        dump(keeper(victims, has_source(map(bench.pod_address, range(pods)))))
        for ct in victims:
            query(NFCT_Q_DESTROY, ct)
            nfct_destroy(ct)
    return clock, pods * bench.POD_FLOWS, len(victims), 0


bench.main(
    "nfct-ctypes",
    {
        "list": lambda size, _: listed(size, lambda ct: True),
        "stream": stream,
        "list-pod-zone": lambda *_: listed(bench.POD_FLOWS, in_zone(bench.pod_zone(0))),
        "list-pod-address": lambda *_: listed(bench.POD_FLOWS, has_source([bench.pod_address(0)])),
        "list-pod-mark": list_pod_mark,
        "delete": delete_known,
        "delete-pod-address": lambda size, _: delete_pods(size, 1),
        "delete-pods": delete_pods,
    },
)
