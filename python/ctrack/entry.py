# SPDX-License-Identifier: MIT OR Apache-2.0
"""One entry of the connection-tracking table."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from ipaddress import IPv4Address, IPv6Address
from struct import Struct
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar, overload

from . import _build, _labels, _text, _values, constants
from ._native import ENTRY_SIZE, CCounters, CEntry, CTuple
from ._values import Address, AddressLike, FamilyLike, ProtoLike, StatusLike, TcpStateLike
from .constants import Family, Has, Status, TcpState
from .errors import invalid

T_co = TypeVar("T_co", covariant=True)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
# How a whole batch becomes entries: the slices are made by one C loop, and fields are read when they are asked for.
_batch = Struct(f"{ENTRY_SIZE}s").iter_unpack

_u64 = Struct("=Q").unpack_from
_u32 = Struct("=I").unpack_from
_be32 = Struct(">I").unpack_from
_FAMILY: int = CEntry.family.offset
_PROTO: int = CEntry.proto.offset
_STATUS: int = CEntry.status.offset
_TCP_STATE: int = CEntry.tcp_state.offset
_ZONE: int = CEntry.zone.offset
_ORIG_ZONE: int = CEntry.orig.offset + CTuple.zone.offset
_REPLY_ZONE: int = CEntry.reply.offset + CTuple.zone.offset
_IPV4 = int(Family.IPV4)
_ORIG: int = CEntry.orig.offset
_REPLY: int = CEntry.reply.offset
_ORIG_COUNTERS: int = CEntry.orig_counters.offset
_REPLY_COUNTERS: int = CEntry.reply_counters.offset
# Plain numbers: arithmetic with an IntFlag takes a microsecond.
_HAS_ORIG, _HAS_REPLY, _HAS_STATUS, _HAS_ZONE, _HAS_TCP_STATE, _HAS_HELPER = (
    int(bit) for bit in (Has.ORIG, Has.REPLY, Has.STATUS, Has.ZONE, Has.TCP_STATE, Has.HELPER)
)


class _Statuses(dict[int, Status]):
    """Each combination of status bits that was seen: there are few, and making one takes a microsecond."""

    def __missing__(self, bits: int) -> Status:
        made = self[bits] = Status(bits)
        return made


_statuses = _Statuses()
_families = {int(family): family for family in Family}
# By number; the plain number where there is no name.
_protos = [_values.named(constants.Proto, number) for number in range(256)]
_tcp_states = [_values.named(TcpState, number) for number in range(256)]


if TYPE_CHECKING:

    class _Field(Generic[T_co]):
        """A property, as type checkers see it."""

        @overload
        def __get__(self, entry: None, owner: type[Entry]) -> property: ...
        @overload
        def __get__(self, entry: Entry, owner: type[Entry]) -> T_co: ...
        def __get__(self, entry: Entry | None, owner: type[Entry]) -> Any: ...
        def __set__(self, entry: Entry, value: NoReturn) -> None: ...


def _address(at: int, doc: str) -> _Field[Address]:
    """An address at an offset."""

    def get(self: Entry) -> Address:
        raw = self._raw
        if raw[_FAMILY] == _IPV4:
            return IPv4Address(_be32(raw, at)[0])
        return IPv6Address(raw[at : at + 16])

    return property(get, doc=doc)  # type: ignore[return-value]


def _number(form: str, at: int, bits: int, doc: str) -> _Field[int | None]:
    """A number at an offset; None unless all bits are announced."""
    read = Struct("=" + form).unpack_from
    bits = int(bits)

    def get(self: Entry) -> int | None:
        raw = self._raw
        if _u64(raw)[0] & bits != bits:
            return None
        value: int = read(raw, at)[0]
        return value

    return property(get, doc=doc)  # type: ignore[return-value]


class Entry:
    """One entry, as the kernel sent it, or as a key or a wish that you write.

    >>> import ctrack
    >>> entry = Entry(proto="tcp", orig_src="10.0.0.1", orig_sport=40000, orig_dst="10.0.0.2", orig_dport=80, zone=7)
    >>> entry.family, entry.orig_dst, entry.orig_dport, entry.mark
    (<Family.IPV4: 2>, IPv4Address('10.0.0.2'), 80, None)

    Immutable and cheap: 256 bytes, read when a property is asked for. Equal if all fields are equal (the timeout too: use
    key() to recognise an entry again). A property is None where the kernel did not send the field.

    Of the constructor: addresses are IPv4Address, IPv6Address or text. One with a scope is refused, and so is an IPv4-mapped
    IPv6 address (unless family says IPv6): the table has such flows as IPv4. A wrong value, or one that belongs to
    another protocol, is an InvalidArgumentError.

    proto, orig_src, orig_dst: always; family follows from them
    orig_sport, orig_dport: of TCP and UDP, and of the others where the kernel keeps ports
    icmp_type, icmp_code, icmp_id: of ICMP and ICMPv6
    reply_*: where the reply direction is not the mirror image of the original one; what is not given is mirrored
    zone, or orig_zone or reply_zone: zone of both directions, or of only one of them
    timeout: seconds; a new entry needs one
    mark_mask: in an update, which bits of the mark to replace (new = (old & ~mark_mask) ^ mark)
    status: a Status, a name in any case ("ASSURED"), or several; names since 0.2
    tcp_state: a TcpState, or a name in any case ("ESTABLISHED"); names since 0.2
    id, mark, labels, helper, ...: as the properties of the same name
    """

    __slots__ = ("_raw",)
    _raw: bytes

    def __init__(
        self,
        *,
        proto: ProtoLike,
        orig_src: AddressLike,
        orig_dst: AddressLike,
        family: FamilyLike | None = None,
        orig_sport: int | None = None,
        orig_dport: int | None = None,
        icmp_type: int | None = None,
        icmp_code: int | None = None,
        icmp_id: int | None = None,
        reply_src: AddressLike | None = None,
        reply_dst: AddressLike | None = None,
        reply_sport: int | None = None,
        reply_dport: int | None = None,
        reply_icmp_type: int | None = None,
        reply_icmp_code: int | None = None,
        reply_icmp_id: int | None = None,
        zone: int | None = None,
        orig_zone: int | None = None,
        reply_zone: int | None = None,
        timeout: int | None = None,
        status: StatusLike | None = None,
        mark: int | None = None,
        mark_mask: int | None = None,
        id: int | None = None,
        labels: int | None = None,
        helper: str | None = None,
        tcp_state: TcpStateLike | None = None,
        tcp_wscale: tuple[int, int] | None = None,
        tcp_flags: tuple[int, int] | None = None,
        tcp_mask: tuple[int, int] | None = None,
        sctp_state: int | None = None,
        sctp_vtag: tuple[int, int] | None = None,
    ) -> None:
        self._raw = _build.new(
            *(proto, family, orig_src, orig_dst, orig_sport, orig_dport, icmp_type, icmp_code, icmp_id),
            *(reply_src, reply_dst, reply_sport, reply_dport, reply_icmp_type, reply_icmp_code, reply_icmp_id),
            *(zone, orig_zone, reply_zone, timeout, status, mark, mark_mask, id, labels, helper),
            *(tcp_state, tcp_wscale, tcp_flags, tcp_mask, sctp_state, sctp_vtag),
        )

    @classmethod
    def from_raw(cls, raw: bytes | bytearray | memoryview) -> Entry:
        """An entry from the 256 bytes of a struct ct_entry."""
        if type(raw) is not bytes:
            raw = bytes(raw)
        if len(raw) != ENTRY_SIZE:
            raise invalid(f"raw: {len(raw)} bytes are no entry, which has {ENTRY_SIZE}")
        if raw[_FAMILY] not in _families or not _u64(raw)[0] & _HAS_ORIG:
            raise invalid("raw: has no family, or no original tuple")
        entry = _new(Entry)
        entry._raw = raw
        return entry

    @property
    def raw(self) -> bytes:
        """The 256 bytes of the struct ct_entry."""
        return self._raw

    @property
    def has(self) -> Has:
        """Which fields count."""
        return Has(_u64(self._raw)[0])

    @property
    def family(self) -> Family:
        """IPv4 or IPv6."""
        return _families[self._raw[_FAMILY]]

    @property
    def proto(self) -> constants.Proto | int:
        """The protocol: a Proto, or the plain number of one that has no name there."""
        return _protos[self._raw[_PROTO]]

    orig_src = _address(_ORIG + CTuple.src.offset, "Source address of the original direction: who began.")
    orig_dst = _address(_ORIG + CTuple.dst.offset, "Destination address of the original direction: whom it called.")

    @property
    def reply_src(self) -> Address | None:
        """Source address of the reply direction: who really answers."""
        return self._reply_src if _u64(self._raw)[0] & _HAS_REPLY else None

    _reply_src = _address(_REPLY + CTuple.src.offset, "The same, whether it was sent or not.")

    @property
    def reply_dst(self) -> Address | None:
        """Destination address of the reply direction: where answers go."""
        return self._reply_dst if _u64(self._raw)[0] & _HAS_REPLY else None

    _reply_dst = _address(_REPLY + CTuple.dst.offset, "The same, whether it was sent or not.")

    orig_sport = _number(
        "H", _ORIG + CTuple.sport.offset, Has.ORIG | Has.PORTS, "Source port of the original direction; key of GRE."
    )
    orig_dport = _number(
        "H", _ORIG + CTuple.dport.offset, Has.ORIG | Has.PORTS, "Destination port of the original direction; key of GRE."
    )
    reply_sport = _number(
        "H", _REPLY + CTuple.sport.offset, Has.REPLY | Has.PORTS, "Source port of the reply direction; key of GRE."
    )
    reply_dport = _number(
        "H", _REPLY + CTuple.dport.offset, Has.REPLY | Has.PORTS, "Destination port of the reply direction; key of GRE."
    )
    icmp_type = _number("B", _ORIG + CTuple.icmp_type.offset, Has.ORIG | Has.ICMP, "ICMP type of the original direction.")
    icmp_code = _number("B", _ORIG + CTuple.icmp_code.offset, Has.ORIG | Has.ICMP, "ICMP code of the original direction.")
    icmp_id = _number("H", _ORIG + CTuple.icmp_id.offset, Has.ORIG | Has.ICMP, "ICMP identifier of the original direction.")
    reply_icmp_type = _number("B", _REPLY + CTuple.icmp_type.offset, Has.REPLY | Has.ICMP, "ICMP type of the reply direction.")
    reply_icmp_code = _number("B", _REPLY + CTuple.icmp_code.offset, Has.REPLY | Has.ICMP, "ICMP code of the reply direction.")
    reply_icmp_id = _number(
        "H", _REPLY + CTuple.icmp_id.offset, Has.REPLY | Has.ICMP, "ICMP identifier of the reply direction."
    )
    id = _number("I", CEntry.id.offset, Has.ID, "The kernel's identifier: opaque, constant over the life of the entry.")
    mark = _number("I", CEntry.mark.offset, Has.MARK, "The mark (connmark).")
    mark_mask = _number("I", CEntry.mark_mask.offset, Has.MARK_MASK, "In an update: which bits of the mark to replace.")
    timeout = _number(
        "I", CEntry.timeout.offset, Has.TIMEOUT, "Seconds until the entry expires. None if it is offloaded to a flow table."
    )
    use_count = _number("I", CEntry.use_count.offset, Has.USE, "The kernel's reference count.")
    orig_packets = _number(
        "Q", _ORIG_COUNTERS + CCounters.packets.offset, Has.ORIG_COUNTERS, "Packets of the original direction."
    )
    orig_bytes = _number("Q", _ORIG_COUNTERS + CCounters.bytes.offset, Has.ORIG_COUNTERS, "Bytes of the original direction.")
    reply_packets = _number(
        "Q", _REPLY_COUNTERS + CCounters.packets.offset, Has.REPLY_COUNTERS, "Packets of the reply direction."
    )
    reply_bytes = _number("Q", _REPLY_COUNTERS + CCounters.bytes.offset, Has.REPLY_COUNTERS, "Bytes of the reply direction.")
    start_ns = _number(
        "Q", CEntry.start_ns.offset, Has.START, "When the entry was made: nanoseconds since 1970-01-01 00:00 UTC."
    )
    stop_ns = _number("Q", CEntry.stop_ns.offset, Has.STOP, "When it ended: nanoseconds since 1970-01-01 00:00 UTC.")
    tcp_wscale_orig = _number("B", CEntry.tcp_wscale_orig.offset, Has.TCP_WSCALE, "TCP window scale of the original direction.")
    tcp_wscale_reply = _number("B", CEntry.tcp_wscale_reply.offset, Has.TCP_WSCALE, "TCP window scale of the reply direction.")
    tcp_flags_orig = _number(
        "B",
        CEntry.tcp_flags_orig.offset,
        Has.TCP_FLAGS,
        "TCP flags (linux/netfilter/nf_conntrack_tcp.h) of the original direction.",
    )
    tcp_flags_reply = _number(
        "B",
        CEntry.tcp_flags_reply.offset,
        Has.TCP_FLAGS,
        "TCP flags (linux/netfilter/nf_conntrack_tcp.h) of the reply direction.",
    )
    sctp_state = _number("B", CEntry.sctp_state.offset, Has.SCTP, "SCTP state (linux/netfilter/nf_conntrack_sctp.h).")
    sctp_vtag_orig = _number("I", CEntry.sctp_vtag_orig.offset, Has.SCTP, "SCTP verification tag of the original direction.")
    sctp_vtag_reply = _number("I", CEntry.sctp_vtag_reply.offset, Has.SCTP, "SCTP verification tag of the reply direction.")
    dccp_state = _number("B", CEntry.dccp_state.offset, Has.DCCP, "DCCP state (the kernel's enum ct_dccp_states).")
    dccp_role = _number("B", CEntry.dccp_role.offset, Has.DCCP, "DCCP role: 0 client, 1 server.")

    @property
    def status(self) -> Status | None:
        """Status bits."""
        raw = self._raw
        return _statuses[_u32(raw, _STATUS)[0]] if _u64(raw)[0] & _HAS_STATUS else None

    @property
    def zone(self) -> int:
        """The zone, of both directions or of one of them; 0 without any."""
        number: int = _u32(self._raw, _ZONE)[0] or self.orig_zone or self.reply_zone
        return number

    @property
    def orig_zone(self) -> int:
        """The zone of the original direction; 0 without any."""
        number: int = _u32(self._raw, _ORIG_ZONE)[0]
        return number or self._both_zone()

    @property
    def reply_zone(self) -> int:
        """The zone of the reply direction; 0 without any."""
        number: int = _u32(self._raw, _REPLY_ZONE)[0]
        return number or self._both_zone()

    def _both_zone(self) -> int:
        raw = self._raw
        number: int = _u32(raw, _ZONE)[0] if _u64(raw)[0] & _HAS_ZONE else 0
        return number

    @property
    def tcp_state(self) -> TcpState | int | None:
        """The state of a TCP entry: a TcpState, or the plain number of one that this package does not know."""
        raw = self._raw
        return _tcp_states[raw[_TCP_STATE]] if _u64(raw)[0] & _HAS_TCP_STATE else None

    @property
    def labels(self) -> int:
        """128 labels as one number, bit n for label n. The kernel does not send them while all are clear: 0."""
        at = CEntry.labels.offset
        return _labels.from_bytes(self._raw[at : at + 16])

    @property
    def helper(self) -> str | None:
        """Name of the helper, for example "ftp"."""
        raw, at = self._raw, CEntry.helper.offset
        if not _u64(raw)[0] & _HAS_HELPER:
            return None
        return raw[at : at + 16].split(b"\0", 1)[0].decode("utf-8", "backslashreplace")

    @property
    def start(self) -> datetime | None:
        """When the entry was made, where the kernel keeps it: in UTC, rounded down to microseconds."""
        return _time(self.start_ns)

    @property
    def stop(self) -> datetime | None:
        """When it ended."""
        return _time(self.stop_ns)

    def key(self) -> Entry:
        """Only what identifies the entry: tuples, zone and id. Two keys are equal if they mean the same entry."""
        return _wrap(_build.key_of(self._raw))

    def change(
        self,
        *,
        timeout: int | None = None,
        status: StatusLike | None = None,
        mark: int | None = None,
        mark_mask: int | None = None,
        labels: int | None = None,
        add_labels: int | None = None,
        remove_labels: int | None = None,
        helper: str | None = None,
        tcp_state: TcpStateLike | None = None,
    ) -> Entry:
        """What to give to update(): the key of this entry, and what to change. An empty helper: none.

        labels are all labels of the entry; add_labels and remove_labels set or clear those given and leave all others, so that
        two programs that each add a label do not undo each other. Only one of the three: to set some and clear others takes
        two changes.
        """
        given = dict(locals())
        del given["self"]
        return _wrap(_build.change_of(self._raw, given))

    def format(self, *, extended: bool = False, id: bool = False, timestamp: bool = False) -> str:
        """The line of `conntrack -L`, perhaps with what its options -o extended, id and ktimestamp add. Of an entry without a
        reply direction, such as a key that you write, it shows none."""
        line = _text.line(self._raw, extended, id, timestamp)
        return line if _u64(self._raw)[0] & _HAS_REPLY else _text.without_reply(line)

    def to_dict(self) -> dict[str, Any]:
        """The entry as plain values for json, msgpack or a log: strings, numbers, lists and dicts. The keys are those of json().

        >>> import ctrack
        >>> key = Entry(proto="udp", orig_src="10.0.0.1", orig_sport=40000, orig_dst="10.0.0.2", orig_dport=53, zone=7)
        >>> key.to_dict()["orig"]
        {'src': '10.0.0.1', 'dst': '10.0.0.2', 'sport': 40000, 'dport': 53}

        Always there:
            family "ipv4" or "ipv6"; proto, a number; proto_name, for example "tcp", or "unknown"
            orig: src and dst, texts; sport and dport, or srckey and dstkey of GRE, or type, code and id of ICMP, where the
                entry has them; packets and bytes, where the kernel counts; zone, where only this direction is in one
            zone: as the property of that name, 0 without any
        Where the entry has it:
            reply: as orig; status: a list of the names of Status, and of numbers ("0x10000") for bits without one
            state: the name of the state of TCP, SCTP or DCCP, or "UNKNOWN"; labels: a list of the numbers of the labels
            timeout, mark, use, id, helper, start_ns, stop_ns, dccp_role, tcp_wscale_orig, tcp_wscale_reply,
            tcp_flags_orig, tcp_flags_reply, sctp_vtag_orig, sctp_vtag_reply: as the properties (use: use_count)
        """
        return _text.plain(self)

    def json(self) -> str:
        """One JSON object with every field that the kernel sent."""
        return _text.json(self._raw)

    def __str__(self) -> str:
        return self.format()

    def __repr__(self) -> str:
        return f"<ctrack.Entry {' '.join(self.format().split())}>"

    def __eq__(self, other: object) -> bool:
        return self._raw == other._raw if isinstance(other, Entry) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._raw)

    def __reduce__(self) -> tuple[Any, ...]:
        return Entry.from_raw, (self._raw,)


def _time(nanoseconds: int | None) -> datetime | None:
    return None if nanoseconds is None else _EPOCH + timedelta(microseconds=nanoseconds // 1000)


_new = object.__new__


def _wrap(raw: bytes) -> Entry:
    entry = _new(Entry)
    entry._raw = raw
    return entry


def unpack(batch: Any) -> Iterator[Entry]:
    """The entries in a buffer of them."""
    new = _new
    for (raw,) in _batch(batch):
        entry = new(Entry)
        entry._raw = raw
        yield entry


def pack(name: str, entries: Any) -> bytearray:
    """The bytes of all entries, one after the other."""
    raws = []
    for index, entry in enumerate(entries):
        if not isinstance(entry, Entry):
            raise TypeError(f"{name}[{index}] is {type(entry).__name__}, not Entry")
        raws.append(entry._raw)
    return bytearray().join(raws)


def as_array(raw: bytearray) -> Any:
    """The bytes of entries as the library takes them. Never nothing: NULL is refused."""
    return (ctypes.c_char * len(raw)).from_buffer(raw) if raw else ctypes.create_string_buffer(ENTRY_SIZE)
