# SPDX-License-Identifier: MIT OR Apache-2.0

"""A Python module that does with libnetfilter_conntrack through ctypes what OpenStack Neutron's own module does with it: entries
as tuples, by zone. Uses the documented functions of the library only. For the comparison in bench.py.

A list has the library print each entry and takes the printed line apart. A delete makes one object, sets the members of each tuple
in it by the functions for attributes and sends one request for each tuple. There is no check of anything.
"""

import ctypes
import re
import socket

# enum nf_conntrack_attr, of libnetfilter_conntrack.h
ORIG_IPV4_SRC, ORIG_IPV4_DST = 0, 1
ORIG_IPV6_SRC, ORIG_IPV6_DST = 4, 5
ORIG_PORT_SRC, ORIG_PORT_DST = 8, 9
ICMP_TYPE, ICMP_CODE, ICMP_ID = 12, 13, 14
ORIG_L3PROTO, ORIG_L4PROTO = 15, 17
ZONE = 61

CONNTRACK = 1
T_ALL = 0x7
Q_DESTROY, Q_FLUSH, Q_DUMP = 2, 4, 5
CB_CONTINUE = 1
O_PLAIN, OF_TIME = 0, 1 << 2
LINE = 1024

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58}
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
ADDRESSES = {4: (ORIG_IPV4_SRC, ORIG_IPV4_DST), 6: (ORIG_IPV6_SRC, ORIG_IPV6_DST)}
# In which word of the printed line each member of a tuple is, in the order of the tuple.
WORDS = {
    "tcp": (7, 8, 5, 6),
    "udp": (6, 7, 4, 5),
    "icmp": (6, 7, 4, 5, 8),
    "icmpv6": (6, 7, 4, 5, 8),
}

nfct = ctypes.CDLL("libnetfilter_conntrack.so.3", use_errno=True)
libc = ctypes.CDLL(None)
pointer, number = ctypes.c_void_p, ctypes.c_int
CALLBACK = ctypes.CFUNCTYPE(number, number, pointer, pointer)
for name, result, arguments in (
    ("nfct_open", pointer, (ctypes.c_uint8, ctypes.c_uint)),
    ("nfct_close", number, (pointer,)),
    ("nfct_new", pointer, ()),
    ("nfct_destroy", None, (pointer,)),
    ("nfct_query", number, (pointer, number, pointer)),
    ("nfct_callback_register", number, (pointer, number, CALLBACK, pointer)),
    ("nfct_set_attr", None, (pointer, number, pointer)),
    ("nfct_set_attr_u8", None, (pointer, number, ctypes.c_uint8)),
    ("nfct_set_attr_u16", None, (pointer, number, ctypes.c_uint16)),
    ("nfct_snprintf", number, (ctypes.c_char_p, ctypes.c_uint, pointer, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)),
):
    function = getattr(nfct, name)
    function.restype, function.argtypes = result, arguments


class Handle:
    """A handle for the length of a call."""

    def __enter__(self):
        self.handle = nfct.nfct_open(CONNTRACK, 0)
        if not self.handle:
            raise OSError(ctypes.get_errno(), "nfct_open")
        return self

    def __exit__(self, *_):
        nfct.nfct_close(self.handle)

    def query(self, what, data):
        return nfct.nfct_query(self.handle, what, data)

    def lines(self, version):
        """The printed lines of all entries of a family."""
        lines = []
        line = ctypes.create_string_buffer(LINE)

        @CALLBACK
        def each(kind, entry, _):
            nfct.nfct_snprintf(line, LINE, entry, kind, O_PLAIN, OF_TIME)
            lines.append(line.value.decode())
            return CB_CONTINUE

        nfct.nfct_callback_register(self.handle, T_ALL, each, None)
        self.query(Q_DUMP, ctypes.byref(number(FAMILIES[version])))
        return lines


def list_entries(zone):
    """The entries of a zone as tuples, by their fourth member."""
    entries = []
    for version in FAMILIES:
        with Handle() as handle:
            lines = [line for line in handle.lines(version) if re.search(rf"\bzone={zone}\b", line)]
        for line in lines:
            words = line.split()
            members = [version, words[1]]
            for word in WORDS[words[1]]:
                value = words[word].partition("=")[2]
                try:
                    members.append(int(value))
                except ValueError:
                    members.append(value)
            entries.append((*members, zone))
    return sorted(entries, key=lambda entry: entry[3])


def set_address(entry, version, attribute, text):
    """An address, in the way of the C library."""
    raw = ctypes.create_string_buffer(16 if version == 6 else 4)
    libc.inet_pton(FAMILIES[version], text.encode(), raw)
    nfct.nfct_set_attr(entry, attribute, bytes(raw.raw))


def set_members(entry, members):
    """All members of a tuple, as attributes of an entry."""
    version, protocol = members[:2]
    source, destination = ADDRESSES[version]
    nfct.nfct_set_attr_u8(entry, ORIG_L3PROTO, FAMILIES[version])
    nfct.nfct_set_attr_u8(entry, ORIG_L4PROTO, PROTOCOLS[protocol])
    first, second, src, dst = members[2:6]
    if protocol in ("icmp", "icmpv6"):
        nfct.nfct_set_attr_u8(entry, ICMP_TYPE, first)
        nfct.nfct_set_attr_u8(entry, ICMP_CODE, second)
        nfct.nfct_set_attr_u16(entry, ICMP_ID, libc.htons(members[6]))
    else:
        nfct.nfct_set_attr_u16(entry, ORIG_PORT_SRC, libc.htons(first))
        nfct.nfct_set_attr_u16(entry, ORIG_PORT_DST, libc.htons(second))
    set_address(entry, version, source, src)
    set_address(entry, version, destination, dst)
    nfct.nfct_set_attr_u16(entry, ZONE, members[-1])


def delete_entries(entries):
    """Deletes the entries that the tuples name; one that cannot be deleted is passed over."""
    entry = nfct.nfct_new()
    try:
        with Handle() as handle:
            for members in entries:
                set_members(entry, members)
                handle.query(Q_DESTROY, entry)
    finally:
        nfct.nfct_destroy(entry)


def flush_entries():
    """Deletes all entries of both families."""
    for family in FAMILIES.values():
        with Handle() as handle:
            handle.query(Q_FLUSH, ctypes.byref(number(family)))
