# SPDX-License-Identifier: MIT OR Apache-2.0
"""The library under test, through its C interface."""

import ctypes
import errno
import struct
from wire import DCCP, GRE, ICMP, ICMPV6, INET, SCTP, TCP, UDP, UDPLITE, Ident, Tuple
from reference import State

ENTRY = struct.Struct("=Q6I12B3I16s16s3H2BI16s16s3H2BI6Q16s16s32s")
HAS_PORTS, HAS_ICMP, HAS_ID, HAS_ZONE, HAS_ORIG_ZONE, HAS_REPLY_ZONE = 1 << 2, 1 << 3, 1 << 7, 1 << 9, 1 << 10, 1 << 11
HAS_START, HAS_HELPER, HAS_TCP_STATE = 1 << 14, 1 << 17, 1 << 18
OPEN_COMPARE_START, DELETE_UNCOUNTED, RESULT_UNCOUNTED = 2, 1, 1


class Refused(Exception):
    """A call failed in a way that no call of the run may."""


class Result:
    """struct ct_result; `spared` is None in releases that do not have it."""

    def __init__(self, code, data, text):
        self.code, self.text = code, text
        _, self.flags, self.matched, self.done, self.gone, self.failed, self.first_error, _ = struct.unpack_from("=IIQQQQiI", data)
        self.spared = struct.unpack_from("=Q", data, 48)[0] if len(data) >= 56 else None

    def __str__(self):
        name = errno.errorcode.get(-self.first_error, self.first_error)
        return (
            f"returned {self.code}, matched {self.matched} done {self.done} gone {self.gone} failed {self.failed} "
            f"spared {self.spared} first_error {name} flags {self.flags} {self.text!r}"
        )


class Listed:
    """An entry as the library gave it: decoded here, and the bytes of it to use as a key."""

    __slots__ = ("raw", "has", "ident", "id", "state", "start")

    def __init__(self, raw):
        self.raw = raw
        f = ENTRY.unpack(raw)
        has, self.id, status, mark, _, _, zone, family, proto, tcp_state = f[:10]
        self.has = has
        orig = self._tuple(f[22:30], has, family, proto, has & HAS_ORIG_ZONE)
        reply = self._tuple(f[30:38], has, family, proto, has & HAS_REPLY_ZONE)
        self.ident = Ident(orig, reply, zone if has & HAS_ZONE else 0)
        helper = f[45].rstrip(b"\0").decode() if has & HAS_HELPER else None
        self.state = State(status, mark, tcp_state if has & HAS_TCP_STATE else None, f[44], helper)
        self.start = f[42] if has & HAS_START else None

    @staticmethod
    def _tuple(fields, has, family, proto, zoned):
        src, dst, sport, dport, icmp_id, icmp_type, icmp_code, zone = fields
        width = 4 if family == INET else 16
        ports = (sport, dport) if has & HAS_PORTS else (None, None)
        icmp = (icmp_type, icmp_code, icmp_id) if has & HAS_ICMP else None
        return Tuple(src[:width], dst[:width], proto, *ports, icmp, zone if zoned else None)

    def key(self, with_id=True):
        """The bytes of it as a key; without what a key by tuple must not have."""
        if with_id:
            return self.raw
        keep = self.has & (0b1111 | HAS_ZONE | HAS_ORIG_ZONE | HAS_REPLY_ZONE)
        f = list(ENTRY.unpack(self.raw))
        zone, family, proto, tuples = f[6], f[7], f[8], f[22:38]
        f = [0 if isinstance(value, int) else b"" for value in f]
        f[0], f[6], f[7], f[8], f[22:38] = keep, zone, family, proto, tuples
        return ENTRY.pack(*f)


class Library:
    """A handle of it."""

    def __init__(self, path, header, compare_start=False):
        self.lib = lib = ctypes.CDLL(path)
        # The struct grew by `spared`; older releases count what they would have spared as not matched, or do not spare.
        with open(header, encoding="utf-8") as text:
            self.result_size = 56 if "uint64_t spared;" in text.read() else 48
        lib.ct_handle_error.restype = ctypes.c_char_p
        lib.ct_strerror.restype = ctypes.c_char_p
        self.handle = ctypes.c_void_p()
        options = struct.pack("=IIiIII", 24, OPEN_COMPARE_START if compare_start else 0, 0, 0, 0, 0)
        self._must(lib.ct_handle_open(ctypes.byref(self.handle), options))
        self.compare_start = compare_start

    def close(self):
        self.lib.ct_handle_close(self.handle)

    def _must(self, code):
        if code < 0:
            text = self.lib.ct_handle_error(self.handle) if self.handle else b""
            raise Refused(f"{code}: {self.lib.ct_strerror(code).decode()}: {text.decode()}")
        return code

    @staticmethod
    def _pack(filters):
        return b"".join(filter_.pack() for filter_ in filters)

    def list(self, filters):
        entries, count = ctypes.c_void_p(), ctypes.c_size_t()
        packed = self._pack(filters)
        self._must(self.lib.ct_list(self.handle, packed, ctypes.c_size_t(len(filters)), ctypes.byref(entries), ctypes.byref(count)))
        data = ctypes.string_at(entries, 256 * count.value) if count.value else b""
        self.lib.ct_entries_free(entries)
        return [Listed(data[at : at + 256]) for at in range(0, len(data), 256)]

    def dump(self, filters, batch=64):
        self._must(self.lib.ct_dump_start(self.handle, self._pack(filters), ctypes.c_size_t(len(filters))))
        room, listed = ctypes.create_string_buffer(256 * batch), []
        while True:
            count = self._must(self.lib.ct_dump_next(self.handle, room, ctypes.c_size_t(batch)))
            if not count:
                return listed
            listed += [Listed(room.raw[at : at + 256]) for at in range(0, 256 * count, 256)]

    def _result(self, call, *arguments):
        room = ctypes.create_string_buffer(struct.pack("=I", self.result_size), self.result_size)
        code = call(self.handle, *arguments, room)
        return Result(code, room.raw, self.lib.ct_handle_error(self.handle).decode())

    def delete(self, filters, uncounted=False):
        flags = ctypes.c_uint32(DELETE_UNCOUNTED if uncounted else 0)
        return self._result(self.lib.ct_delete, self._pack(filters), ctypes.c_size_t(len(filters)), flags)

    def delete_entries(self, keys):
        status = (ctypes.c_int32 * len(keys))()
        result = self._result(self.lib.ct_delete_entries, b"".join(keys), ctypes.c_size_t(len(keys)), status)
        return result, list(status)

    def flush(self, scope):
        """Has no result struct."""
        code = self.lib.ct_flush(self.handle, scope.pack(), ctypes.c_uint32(0))
        return code, self.lib.ct_handle_error(self.handle).decode()
