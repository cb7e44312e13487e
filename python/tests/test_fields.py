# SPDX-License-Identifier: MIT OR Apache-2.0
"""Every field of the library's structs comes through every place that converts it. What is forgotten is named."""

from __future__ import annotations

import ast
import ctypes
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from ctypes import sizeof
from dataclasses import fields, replace
from ipaddress import ip_address
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

import ctrack
from ctrack import (
    Conntrack,
    Entry,
    Event,
    Filter,
    Has,
    InvalidArgumentError,
    Match,
    Result,
    Status,
    TcpState,
    _labels,
    _watch,
    constants,
)
from ctrack._build import _whole, new
from ctrack._native import CEntry, CEvent, CFilter, CResult, CWatchInfo, CWatchOpts, OpenOpts
from ctrack._pool import options
from ctrack._result import result_of
from ctrack.filter import pack

# Links to files of the library's sources; an sdist has the files themselves.
REPOSITORY = Path(__file__).resolve().with_name("repository")
HEADER = (REPOSITORY / "ctrack.h").read_text()


class Field(NamedTuple):
    """A field that has no fields itself."""

    name: str
    offset: int
    size: int
    #: It counts if one bit of each is set.
    groups: tuple[int, ...]
    uses: frozenset[str]

    def of(self, raw: bytes) -> bytes:
        """Its bytes in a struct."""
        return raw[self.offset : self.offset + self.size]


def leaves(struct: type[ctypes.Structure], name: str, start: int = 0) -> Iterator[tuple[str, int, int]]:
    """The fields of a struct, and of the structs in it: name, offset and size."""
    for field, kind, *_ in struct._fields_:
        at = getattr(struct, field)
        if issubclass(kind, ctypes.Structure):
            yield from leaves(kind, f"{name}.{field}", start + at.offset)
        else:
            yield f"{name}.{field}", start + at.offset, at.size


RECORDS = {line.split()[0]: line.split()[1:] for line in (REPOSITORY / "fields.txt").read_text().splitlines()}


def recorded(struct: type[ctypes.Structure], name: str, bits: type[Has | Match]) -> dict[str, Field]:
    """The fields of a struct as fields.txt has them. A record of a struct is that of all its fields."""
    found = {}
    for leaf, offset, size in leaves(struct, name):
        owner = next((own for own in RECORDS if leaf == own or leaf.startswith(own + ".")), None)
        assert owner, f"{leaf} is not in abi/fields.txt"
        words = RECORDS[owner]
        named = [] if words[2] == "-" else re.split("[&|]", words[2])
        assert not {*named} - bits.__members__.keys(), f"{owner}: {words[2]} is not in {bits.__name__} of ctrack/constants.py"
        groups = () if words[2] == "-" else tuple(sum(bits[bit] for bit in group.split("|")) for group in words[2].split("&"))
        found[leaf] = Field(leaf, offset, size, groups, frozenset(words[3].split(",") if words[3:] else ()))
    return found


OF_ENTRY = recorded(CEntry, "ct_entry", Has)
OF_FILTER = recorded(CFilter, "ct_filter", Match)
#: Bits that only an update knows.
ONLY_UPDATE = Has.LABELS_ADD | Has.LABELS_REMOVE
for _field in OF_ENTRY.values():
    for _bits in _field.groups if _field.uses == {"update"} else ():
        ONLY_UPDATE |= _bits
#: What no entry shows: the bits themselves, what is not used, and masks that the kernel never sends.
NOT_SHOWN = {"ct_entry.has", "ct_entry.reserved", "ct_entry.tcp_mask_orig", "ct_entry.tcp_mask_reply"}
SHOWN = [field for name, field in OF_ENTRY.items() if name not in NOT_SHOWN]
NAMES = [field.name for field in SHOWN]


def test_the_record_of_fields_is_that_of_the_structs() -> None:
    mine = {name: (offset, size) for name, offset, size in (*leaves(CEntry, "ct_entry"), *leaves(CFilter, "ct_filter"))}
    for struct, name in ((CEntry, "ct_entry"), (CFilter, "ct_filter")):
        for field, *_ in struct._fields_:
            at = getattr(struct, field)
            mine[f"{name}.{field}"] = (at.offset, at.size)
    for name, (offset, size, *_) in RECORDS.items():
        assert mine.get(name) == (int(offset), int(size)), f"{name}: it is not so in ctrack/_native.py"


def value_of(field: Field) -> bytes:
    """Bytes that such a field may have."""
    if field.name == "ct_entry.family":
        return b"\x02"
    if field.name == "ct_entry.helper":
        return b"a".ljust(field.size, b"\0")
    return b"\1" * field.size


def raws(field: Field, proto: int, without: int = 0) -> tuple[bytes, bytes]:
    """An entry that has a field and announces it, but for some bits; and the same with zero in its place."""
    raw = bytearray(sizeof(CEntry))
    entry = CEntry.from_buffer(raw)
    entry.has, entry.family, entry.proto = int(Has.ORIG | Has.REPLY) & ~without, 10, proto
    for bits in field.groups:
        entry.has |= bits & ~without
    if field.name in ("ct_entry.orig.zone", "ct_entry.reply.zone"):
        # Not that of both directions, which would be shown in both.
        entry.has &= ~int(Has.ZONE)
    del entry
    zero = bytes(raw)
    raw[field.offset : field.offset + field.size] = value_of(field)
    return bytes(raw), zero


PROTOS = (6, 132, 33, 1, 0)


def shown_by(show: Callable[[Entry], Any], field: Field, without: int = 0) -> bool:
    """Whether what is shown of an entry depends on a field."""
    for proto in PROTOS:
        with_, zero = raws(field, proto, without)
        if show(Entry.from_raw(with_)) != show(Entry.from_raw(zero)):
            return True
    return False


def properties(entry: Entry) -> dict[str, Any]:
    """What can be read of an entry, but for the bytes."""
    names = (name for name, kind in vars(Entry).items() if isinstance(kind, property) and not name.startswith("_"))
    return {name: getattr(entry, name) for name in names if name not in ("raw", "has")}


@pytest.mark.parametrize("field", SHOWN, ids=NAMES)
def test_every_field_of_an_entry_is_read_where_it_is_announced(field: Field) -> None:
    assert shown_by(properties, field), f"{field.name}: no property of Entry has it: see ctrack/entry.py"
    # An Entry always has an original tuple, and zero stands for no zone and no labels.
    if field.name.split(".")[-1] not in ("zone", "labels"):
        for bits in set(field.groups) - {int(Has.ORIG)}:
            assert not shown_by(properties, field, bits), f"{field.name}: it is read without {Has(bits)!r}: see ctrack/entry.py"


@pytest.mark.parametrize("field", SHOWN, ids=NAMES)
def test_every_field_that_a_kernel_sends_is_a_plain_value(field: Field) -> None:
    if field.uses != {"update"}:
        assert shown_by(lambda entry: json.dumps(entry.to_dict()), field), (
            f"{field.name}: it is not in Entry.to_dict(): see ctrack/_text.py"
        )


def arguments(of: Any) -> list[str]:
    """The names of the arguments of a function, but for those of a Conntrack that no library knows."""
    return [name for name in inspect.signature(of).parameters if name not in ("self", "netns", "max_handles")]


#: Values to try, of every kind of argument.
VALUES: list[Any] = [1, (1, 1), "a", 0.001, True, "fd00::1", "ipv6", b"\1" * 16]


def first_taken(make: Any, given: dict[str, Any], name: str) -> Any:
    """What is made of these arguments and the first value for one more that is taken; None: none is."""
    for value in VALUES:
        try:
            return make(**{**given, name: value})
        except (InvalidArgumentError, TypeError):
            continue
    return None


def of_mask(name: str, names: list[str]) -> dict[str, Any]:
    """What the argument needs if it is a mask of another one."""
    value = name.removesuffix("_mask")
    return {value: 0} if value != name and value in names else {}


def changed(known: dict[str, Field], before: bytes, after: bytes) -> set[str]:
    """The fields in which two structs differ."""
    return {name for name, field in known.items() if field.of(before) != field.of(after)}


def announces(raw: bytes, name: str) -> bool:
    """Whether an entry has the bits of a field."""
    has = CEntry.from_buffer_copy(raw).has
    return all(has & bits for bits in OF_ENTRY[name].groups)


TCP: dict[str, Any] = {"proto": "tcp", "orig_src": "fd00::2", "orig_dst": "fd00::3", "orig_sport": 2, "orig_dport": 3}
SCTP = {**TCP, "proto": "sctp", "sctp_state": 0, "sctp_vtag": (0, 0)}
PING = {"proto": "icmpv6", "orig_src": "fd00::2", "orig_dst": "fd00::3", "icmp_type": 128, "icmp_code": 0, "icmp_id": 2}


def test_every_field_that_somebody_may_write_is_an_argument_of_entry() -> None:
    missing = {name for name, field in OF_ENTRY.items() if field.uses & {"key", "create", "update"}}
    # Only a listed entry has a start. The family follows from the addresses.
    missing -= {"ct_entry.start_ns", "ct_entry.family"}
    names = arguments(Entry.__init__)
    for argument in names:
        made: set[str] = set()
        for given in ({**TCP, **of_mask(argument, names)}, SCTP, PING):
            # None: it belongs to another protocol.
            entry = first_taken(Entry, given, argument)
            for name in changed(OF_ENTRY, Entry(**given).raw, entry.raw) if entry else ():
                assert announces(entry.raw, name), (
                    f"Entry({argument}=...): it sets {name} without its bit: see ctrack/_build.py"
                )
                made.add(name)
        assert made or argument == "family", f"Entry({argument}=...): it changes nothing: see ctrack/_build.py"
        missing -= made
    assert not missing, f"{missing}: no argument of Entry() sets it: see ctrack/entry.py and ctrack/_build.py"


def values_of(makes: Any) -> list[str]:
    """The arguments that say no identity. They are handed on by their place."""
    names = [*inspect.signature(makes).parameters]
    return [name for name in names[names.index("timeout") :] if name != "id"]


@pytest.mark.parametrize("makes", [new, _whole])
def test_every_value_of_entry_is_handed_on_in_its_place(makes: Any) -> None:
    asked, taken = values_of(Entry.__init__), values_of(makes)
    differing = {*asked} ^ {*taken}
    assert asked == taken, f"Entry() and {makes.__name__} of ctrack/_build.py differ in {differing}, or in their order"


#: What an update can change, but an Entry with these arguments has to say it, not Entry.change().
NOT_OF_CHANGE = re.compile(r"ct_entry\.(tcp_(wscale|flags|mask)|sctp)_")


def test_every_field_that_an_update_changes_is_an_argument_of_change() -> None:
    key = Entry(**TCP)
    missing = {name for name, field in OF_ENTRY.items() if "update" in field.uses and not NOT_OF_CHANGE.match(name)}
    bits = Has(0)
    names = arguments(Entry.change)
    for argument in names:
        given = of_mask(argument, names)
        before = key.change(**given) if given else key.key()
        after = first_taken(key.change, given, argument)
        assert after, f"Entry.change({argument}=...): none of {VALUES} is taken"
        made = changed(OF_ENTRY, before.raw, after.raw) - {"ct_entry.has"}
        assert made, f"Entry.change({argument}=...): it changes nothing: see change_of in ctrack/_build.py"
        for name in made:
            assert announces(after.raw, name), f"Entry.change({argument}=...): it sets {name} without its bit"
        missing -= made
        bits |= after.has
    assert not missing, f"{missing}: no argument of Entry.change() sets it: see ctrack/entry.py and ctrack/_build.py"
    assert ONLY_UPDATE & bits == ONLY_UPDATE, "a bit that no argument of Entry.change() sets: see change_of in ctrack/_build.py"


def one_field(name: str) -> Filter:
    """A filter with one field, and with what that one needs."""
    needed: list[dict[str, Any]] = [{}, {"proto": "tcp"}, {"proto": "icmpv6"}, {name.replace("_mask", ""): 1}]
    made: Filter | None = next(filter(None, (first_taken(Filter, given, name) for given in needed)), None)
    assert made, f"Filter({name}=...): none of {VALUES} is taken"
    return made


def filled(filter: Filter) -> bytes:
    """The bytes of a filter as the library gets it."""
    array = pack([filter])
    assert array is not None
    return bytes(array[0])


@pytest.mark.parametrize("name", arguments(Filter.__init__))
def test_every_field_of_a_filter_reaches_the_library(name: str) -> None:
    chosen = one_field(name)
    nothing: dict[str, Any] = {name: False if name == "exclude" else None}
    after = filled(chosen)
    made = changed(OF_FILTER, filled(replace(chosen, **nothing)), after)
    assert made, f"Filter.{name}: it is not handed over: see _fill in ctrack/filter.py"
    match = CFilter.from_buffer_copy(after).match
    for field in made:
        for bits in OF_FILTER[field].groups:
            assert match & bits, f"Filter.{name}: it sets {field} without {Match(bits)!r}: see _fill in ctrack/filter.py"


def test_every_field_of_the_librarys_filter_is_one_of_filter() -> None:
    assert [field.name for field in fields(Filter)] == arguments(Filter.__init__)
    empty, bits = filled(Filter()), 0
    missing = {name for name, field in OF_FILTER.items() if field.groups} | {"ct_filter.flags"}
    for name in arguments(Filter.__init__):
        raw = filled(one_field(name))
        bits |= CFilter.from_buffer_copy(raw).match
        missing -= changed(OF_FILTER, empty, raw)
    assert not missing, f"{missing}: no field of Filter is for it: see ctrack/filter.py"
    for match in Match:
        assert bits & match, f"{match!r}: no field of Filter sets it: see _fill in ctrack/filter.py"


@pytest.mark.parametrize("name", [name for name in arguments(Filter.__init__) if name != "exclude"])
def test_every_field_of_a_filter_is_compared_with_what_an_entry_has(name: str) -> None:
    chosen = one_field(name)
    # An entry that announces all, and has nothing but zeros; and one that has what VALUES begin with.
    has = sum(bit for bit in Has if not bit & (ONLY_UPDATE | Has.ORIG_ZONE | Has.REPLY_ZONE))
    empty, full = CEntry(), CEntry()
    for field in OF_ENTRY.values():
        if field.name not in ("ct_entry.has", "ct_entry.reserved"):
            one = (1).to_bytes(field.size, sys.byteorder) if field.size in (1, 2, 4, 8) else value_of(field)
            ctypes.memmove(ctypes.addressof(full) + field.offset, one, field.size)
    for entry, family in ((empty, 2), (full, 10)):
        entry.has, entry.family, entry.proto = has, family, 6 if chosen.proto is None else int(chosen.proto)
    for side in (full.orig, full.reply):
        side.src[:], side.dst[:] = ip_address("fd00::1").packed, ip_address("fd00::1").packed
    full.labels[:] = _labels.to_bytes(1)
    if name == "proto":
        empty.proto += 1
    if name == "status_clear":
        empty.status, full.status = int(chosen.status_clear or 0), 0
    if name.endswith("_mask"):
        # Of 3 only the lowest bit is compared, and without the mask both would be.
        both: dict[str, Any] = {name[:-5]: 1, name: 1}
        chosen, full.mark = Filter(**both), 3
        full.labels[:] = _labels.to_bytes(3)
    else:
        assert not chosen.matches(Entry.from_raw(bytes(empty))), f"Filter.{name}: it is not compared: see ctrack/_match.py"
    assert chosen.matches(Entry.from_raw(bytes(full))), f"Filter.{name}: what has it is not matched: see ctrack/_match.py"


@pytest.mark.parametrize("name", [name for name in arguments(Filter.__init__) if name not in ("exclude", "id")])
def test_a_filter_of_any_field_but_the_id_limits_a_delete(name: str) -> None:
    try:
        one_field(name).check(delete=True)
    except InvalidArgumentError as error:
        raise AssertionError(f"Filter.{name}: {error}: see limits_but_id in ctrack/_match.py") from None


def flags(prefix: str) -> dict[str, int]:
    """The flags of the header that begin with this."""
    found = re.findall(rf"^#define CT_({prefix}\w+) \(1u(?:ll)? << (\d+)\)$", HEADER, re.MULTILINE)
    return {name: 1 << int(bit) for name, bit in found}


def test_every_field_of_the_librarys_result_is_one_of_result() -> None:
    nothing = result_of(CResult(), ())
    seen: set[str] = set()
    for field, *_ in CResult._fields_:
        if field not in ("size", "flags", "pad0"):
            result = result_of(CResult(**{field: 1}), ())
            assert result != nothing, f"ct_result.{field}: no field of Result has it: see result_of in ctrack/_result.py"
            seen |= {name for name in Result._fields if getattr(result, name) != getattr(nothing, name)}
    for name, bit in flags("RESULT_").items():
        result = result_of(CResult(flags=bit), ())
        assert result != nothing, f"CT_{name}: no field of Result has it: see result_of in ctrack/_result.py"
        seen |= {name for name in Result._fields if getattr(result, name) != getattr(nothing, name)}
    assert seen | {"statuses"} == set(Result._fields), "a field of Result that nothing sets: see result_of in ctrack/_result.py"


def test_every_field_of_the_librarys_options_is_an_argument_of_open() -> None:
    assert arguments(Conntrack) == arguments(options)
    known = {name: Field(name, at, size, (), frozenset()) for name, at, size in leaves(OpenOpts, "ct_open_opts")}
    # The namespace is known when a handle is opened.
    missing = known.keys() - {"ct_open_opts.size", "ct_open_opts.netns_fd", "ct_open_opts.pad0"}
    bits = constants.OPEN_NETNS
    given: dict[str, Any] = {"timeout": None, "rcvbuf": None, "compare_start": False}
    for argument in arguments(options):
        opts = first_taken(options, given, argument)
        made = changed(known, bytes(options(**given)), bytes(opts)) if opts else ()
        assert made, f"open({argument}=...): it is not handed over: see options in ctrack/_pool.py"
        missing -= set(made)
        bits |= opts.flags
    assert not missing, f"{missing}: no argument of open() sets it: see ctrack/_open.py, and options in ctrack/_pool.py"
    for name, bit in flags("OPEN_").items():
        assert bits & bit, f"CT_{name}: no argument of open() sets it: see options in ctrack/_pool.py"


#: Each argument of watch() that sets something, with what it needs beside it.
WATCHED: list[dict[str, Any]] = [
    {"sync": True},
    {"kinds": "NEW"},
    {"kinds": "UPDATE"},
    {"kinds": "DESTROY"},
    {"sync": True, "timeout": 1},
    {"receive_buffer": 1},
    {"sync": True, "audit": None},
    {"sync": True, "audit_all": True},
    {"sync": True, "max_entries": 1},
    {"enable": True},
    {"reliable": True},
    {"all_nsid": True},
]


def test_every_field_of_the_librarys_options_of_a_watch_is_an_argument() -> None:
    nothing: dict[str, Any] = {"sync": False, "kinds": None, "timeout": None, "receive_buffer": None, "audit": 30.0}
    nothing |= {"audit_all": False, "max_entries": None, "enable": False, "reliable": False, "all_nsid": False}
    own = [name for name in arguments(Conntrack.watch) if name != "filters"]
    assert arguments(_watch.options) == own and arguments(ctrack.Watch) == ["filters", *own]
    known = {name: Field(name, at, size, (), frozenset()) for name, at, size in leaves(CWatchOpts, "ct_watch_opts")}
    # The namespace is known when a watch is opened.
    missing = known.keys() - {"ct_watch_opts.size", "ct_watch_opts.netns_fd"}
    flags_set, events = constants.WATCH_NETNS, 0
    for given in WATCHED:
        opts = _watch.options(**{**nothing, **given})
        missing -= set(changed(known, bytes(_watch.options(**nothing)), bytes(opts)))
        flags_set |= opts.flags
        events |= opts.events
    assert not missing, f"{missing}: no argument of watch() sets it: see options in ctrack/_watch.py"
    told = {"WATCH_NEW", "WATCH_UPDATE", "WATCH_DESTROY"}
    for name, bit in flags("WATCH_").items():
        if name not in {"WATCH_IS_SYNCED", "WATCH_MAY_BE_SILENT"}:
            assert (events if name in told else flags_set) & bit, f"CT_{name}: no argument of watch() sets it"


def test_every_field_of_the_librarys_info_of_a_watch_is_one_of_watchinfo() -> None:
    nothing = _watch.info_of(CWatchInfo(events_mode=-1))
    seen: set[str] = set()
    given = [CWatchInfo(events_mode=-1, flags=1), CWatchInfo(events_mode=-1, flags=2), CWatchInfo(events_mode=0)]
    for field, *_ in CWatchInfo._fields_:
        if field not in ("size", "flags", "events_mode", "pad0"):
            given.append(CWatchInfo(**{"events_mode": -1, field: 1}))
    for info in given:
        made = {name for name, value in _watch.info_of(info)._asdict().items() if value != getattr(nothing, name)}
        assert len(made) == 1, "see info_of in ctrack/_watch.py"
        seen |= made
    assert seen == set(nothing._fields)


def test_every_field_of_the_librarys_event_is_shown() -> None:
    def shown(event: CEvent) -> tuple[Any, ...]:
        made = Event.from_raw(bytes(event))
        entry = made.entry and made.entry.raw
        return (made.kind, made.flags, made.number, made.lost, made.received_ns, made.time_ns, made.portid, made.nsid, entry)

    raw = udp_raw()
    nothing = shown(CEvent(nsid=-1, entry=raw, type=1))
    for field, *_ in CEvent._fields_:
        if field not in ("reserved", "entry"):
            value = {"type": 2, "nsid": 0}.get(field, 1)
            assert shown(CEvent(**{"nsid": -1, "entry": raw, "type": 1, field: value})) != nothing, field
    assert nothing[-1] == bytes(raw) and shown(CEvent(type=4, lost=2**64 - 1))[3] is None


def udp_raw() -> CEntry:
    return CEntry.from_buffer_copy(Entry(proto="udp", orig_src="10.0.0.1", orig_sport=1, orig_dst="10.0.0.2", orig_dport=2).raw)


#: Kinds and flags of events begin with the same word.
EVENTS = SimpleNamespace(__name__="EventKind or EventFlags")
EVENTS.__members__ = {**ctrack.EventKind.__members__, **ctrack.EventFlags.__members__}


#: What constants are members of, by the words before their names.
KINDS: dict[str, Any] = {
    "EVENT": EVENTS,
    "FAMILY": ctrack.Family,
    "PROTO": ctrack.Proto,
    "STATUS": ctrack.Status,
    "TCP_STATE": ctrack.TcpState,
    "HAS": ctrack.Has,
    "MATCH": ctrack.Match,
}


def used_names() -> set[str]:
    """Every name that a module of the package uses, but for the one that has the constants."""
    names = set()
    for file in Path(ctrack.__file__).parent.glob("*.py"):
        if file.name != "constants.py":
            names |= {node.id for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Name)}
    return names


def test_every_constant_of_the_header_is_in_its_place_and_flags_are_used() -> None:
    declared = re.findall(r"^#define CT_(\w+) (?:\((1)(?:u|ull) << )?(\d+)\)?$", HEADER, re.MULTILINE)
    assert len(declared) == len(re.findall(r"^#define CT_", HEADER, re.MULTILINE)) > 100
    used = used_names()
    wrong = []
    for name, one, number in declared:
        value = 1 << int(number) if one else int(number)
        kind = next((kind for kind in KINDS if name.startswith(kind + "_")), None)
        if kind:
            member = KINDS[kind].__members__.get(name[len(kind) + 1 :])
            if member != value:
                wrong.append(f"CT_{name}: it is not in {KINDS[kind].__name__} of ctrack/constants.py")
        # Python makes the filters of a rule itself, and says "ingress".
        elif not name.startswith(("VERSION_", "RULE_")):
            if getattr(constants, name, None) != value:
                wrong.append(f"CT_{name}: it is not in ctrack/constants.py")
            elif name not in used:
                wrong.append(f"{name} of ctrack/constants.py: nothing in the package uses it")
    names = {name for name, _, _ in declared}
    for kind, members in KINDS.items():
        extra = {f"{kind}_{member}" for member in members.__members__} - names
        wrong += [f"{name} of ctrack/constants.py: it is not in the header" for name in extra]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("status", Status)
def test_every_status_is_taken_where_one_is(status: Status) -> None:
    assert Entry(**TCP, status=status).status == status == Entry(**TCP).change(status=status).status
    assert Filter(status_set=status).status_set == status == Filter(status_clear=status).status_clear


@pytest.mark.parametrize("state", TcpState)
def test_every_tcp_state_is_taken_where_one_is(state: TcpState) -> None:
    assert Entry(**TCP, tcp_state=state).tcp_state == state == Entry(**TCP).change(tcp_state=state).tcp_state
    states = Filter(proto="tcp", tcp_states=state).tcp_states
    assert states is not None and set(states) == {state}
