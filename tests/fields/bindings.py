# SPDX-License-Identifier: MIT OR Apache-2.0
"""Where a field is written down in Go and Python, for each kind of field. docs/bindings.md says what the places are for."""

from __future__ import annotations

from collections.abc import Iterable

from edits import Edit, Place, after, before

CHANGE = "go/change.go"
CONVERT = "go/entry_convert.go"
TABLE = "go/ctracktest/change.go"
BUILD = "python/ctrack/_build.py"
ENTRY = "python/ctrack/entry.py"
NATIVE = "python/ctrack/_native.py"
TEXT = "python/ctrack/_text.py"


def lines(texts: Iterable[str]) -> str:
    """One text of many."""
    return "".join(texts)


def go(name: str, *edits: Edit, is_noticed_early: bool = True) -> Place:
    """A place of Go."""
    return Place(name, edits, "go", is_noticed_early)


def python(name: str, *edits: Edit, is_noticed_early: bool = True) -> Place:
    """A place of Python."""
    return Place(name, edits, "python", is_noticed_early)


def go_entry(fields: dict[str, str], kind: str, zero: str, *conversions: Place) -> tuple[Place, ...]:
    """Fields of an Entry, by their names, with those of the library's struct. Numbers need no conversions of their own."""
    declared = lines(f"\t// {name} is a mock.\n\t{name} {kind}\n" for name in fields)
    is_set = " || ".join(f"e.{name} != {zero}" for name in fields)
    read = lines(f"\t\t{name}: raw.{raw},\n" for name, raw in fields.items())
    written = lines(f"\t\t{raw}: e.{name},\n" for name, raw in fields.items())
    given = lines(f" {name}: given.{name}," for name in fields)
    changed = lines(f"\t\te.{name} = values.{name}\n" for name in fields)
    number = (
        go("decode", after(CONVERT, "\t\tLabels:        Labels{Bits: raw.labels},\n", read)),
        go("encode", after(CONVERT, "\t\tmark:          e.Mark,\n", written)),
    )
    return (
        go("Entry", Edit("go/entry.go", "\tDCCP DCCPInfo\n}", f"\tDCCP DCCPInfo\n{declared}}}")),
        go(
            "HasMock",
            after(
                "go/constants.go",
                "\tHasSecctx        Has = ctHasSecctx        // it has a security context\n",
                "\tHasMock Has = ctHasMock // Mock\n",
            ),
        ),
        go("hasNames", Edit("go/constants.go", 'HasSecctx: "secctx",\n', 'HasSecctx: "secctx", HasMock: "mock",\n')),
        go(
            "withBits",
            after("go/entry.go", "\tset(HasDCCP, e.DCCP != DCCPInfo{})\n", f"\tset(HasMock, {is_set})\n"),
        ),
        *(conversions or number),
        go(
            "made",
            Edit(TABLE, "\t\tHelper: given.Helper,\n\t}", f"\t\tHelper: given.Helper,{given}\n\t}}"),
            before(
                TABLE,
                '\tif e.Helper != "" {\n\t\te.Has |=',
                f"\tif {is_set} {{\n\t\te.Has |= ctrack.HasMock\n\t}}\n",
            ),
        ),
        go(
            "changed",
            before(
                TABLE,
                "\tif wants(ctrack.HasMark) {",
                f"\tif wants(ctrack.HasMock) {{\n{changed}\t\te.Has |= ctrack.HasMock\n\t}}\n",
            ),
        ),
    )


def go_change(kind: str, encode: Edit, *others: Place, declaration: str = "") -> tuple[Place, ...]:
    """A field of a Change, and how it is written; the declaration of its type, if that is a new one."""
    end = "\tSCTP Optional[SCTPInfo]\n}\n"
    return (
        go("Change", Edit(CHANGE, end, f"{end[:-2]}\t// Mock is a mock.\n\tMock Optional[{kind}]\n}}\n{declaration}")),
        go("Change.encode", encode),
        *others,
    )


def go_pair(one: str, other: str, kind: str, encode: Edit, *others: Place) -> tuple[Place, ...]:
    """A field of a Change that is two numbers. The tests have to know a value of its type."""
    return go_change(
        "MockChange",
        encode,
        go("value of the tests", after("go/fields_test.go", "Is(SCTPInfo{1, 1, 1}),", " Is(MockChange{1, 1}),")),
        go(
            "value of the table's tests",
            after(
                "go/ctracktest/fields_test.go",
                "ctrack.Is(ctrack.SCTPInfo{State: 1, OrigTag: 1, ReplyTag: 1}),",
                f" ctrack.Is(ctrack.MockChange{{{one}: 1, {other}: 1}}),",
            ),
        ),
        *others,
        declaration=f"\n// MockChange is a mock.\ntype MockChange struct {{\n\t{one}, {other} {kind}\n}}\n",
    )


def go_taken(text: str = "\tkey.Mock = take(&key, change.Mock, HasMock)\n") -> Edit:
    """What Change.encode does with what an Entry has too."""
    return after(CHANGE, "\tkey.SCTP = take(&key, change.SCTP, HasSCTP)\n", text)


def python_entry(
    words: int, fields: dict[str, str], properties: str, arguments: dict[str, str], form: str, check: str, packed: str
) -> tuple[Place, ...]:
    """Fields of struct ct_entry, by their names, with their types, and how many words behind them are left; the properties of an
    Entry; its arguments, with their types; how struct packs them, what is checked before, and what is given to it."""
    last = "        sctp_vtag: tuple[int, int] | None = None,\n    ) -> None:"
    last_of_change = "        tcp_state: TcpStateLike | None = None,\n    ) -> Entry:"
    written = lines(f"        {name}: {kind} | None = None,\n" for name, kind in arguments.items())
    plain = lines(f"    {name}: Any = None,\n" for name in arguments)
    given = lines(f", {name}" for name in arguments)
    declared = lines(f'        ("{name}", {kind}),\n' for name, kind in fields.items())
    return (
        python(
            "CEntry",
            Edit(
                NATIVE,
                '        ("reserved", c_uint64 * 4),',
                f'{declared}        ("reserved", c_uint64 * {words}),',
            ),
            Edit(NATIVE, '    (CEntry, "reserved"): 224,', f'    (CEntry, "reserved"): {256 - 8 * words},'),
        ),
        python(
            "Has.MOCK",
            after(
                "python/ctrack/constants.py",
                "    LABELS_REMOVE = 1 << 29  #: Only in an update: the labels are cleared, all others stay as they are.\n",
                "    MOCK = 1 << 30\n",
            ),
        ),
        python("property", before(ENTRY, '    mark = _number("I",', properties)),
        python(
            "argument of Entry",
            Edit(ENTRY, last, last.replace("    ) ->", f"{written}    ) ->")),
            Edit(ENTRY, "tcp_mask, sctp_state, sctp_vtag),", f"tcp_mask, sctp_state, sctp_vtag{given}),"),
            Edit(
                BUILD,
                '    sctp_vtag: Any,\n) -> bytes:\n    """The bytes of Entry(...)."""',
                f'    sctp_vtag: Any,\n{plain}) -> bytes:\n    """The bytes of Entry(...)."""',
            ),
            Edit(BUILD, "tcp_mask, sctp_state, sctp_vtag),\n", f"tcp_mask, sctp_state, sctp_vtag{given}),\n"),
        ),
        python(
            "_whole",
            Edit(
                BUILD,
                '    sctp_vtag: Any,\n) -> bytes:\n    """Adds what is not identity."""',
                f'    sctp_vtag: Any,\n{plain}) -> bytes:\n    """Adds what is not identity."""',
            ),
            Edit(BUILD, '_tail = Struct("=48x16s16s32x")', f'_tail = Struct("=48x16s16s{form}{8 * words}x")'),
            Edit(
                BUILD,
                "    if labels is not None or helper is not None:\n",
                f'    if mock is not None:\n        has |= _HAS["MOCK"]\n{check}'
                "    if labels is not None or helper is not None or mock is not None:\n",
            ),
            Edit(BUILD, "_tail.pack(label_bytes, name_bytes)", f"_tail.pack(label_bytes, name_bytes, {packed})"),
        ),
        python("change()", Edit(ENTRY, last_of_change, last_of_change.replace("    ) ->", f"{written}    ) ->"))),
    )


def python_numbers(form: str, *names: str) -> str:
    """Properties that are numbers."""
    return lines(f'    {name} = _number("{form}", CEntry.{name}.offset, Has.MOCK, "A mock.")\n' for name in names)


def python_slice(kind: str, expression: str) -> str:
    """A property that is made of 16 bytes."""
    return (
        f'    @property\n    def mock(self) -> {kind} | None:\n        """A mock."""\n'
        f"        raw = self._raw[CEntry.mock.offset :][:16]\n"
        f"        return {expression} if _u64(self._raw)[0] & Has.MOCK else None\n\n"
    )


def python_plain(*names: str) -> Place:
    """What to_dict() has."""
    return python(
        "to_dict", after(TEXT, '    ("mark", "mark"),\n', lines(f'    ("{name}", "{name}"),\n' for name in names))
    )


U64 = "(1 << 64) - 1"
NUMBER = f'        mock = _number("mock", mock, {U64})\n'

INTEGER = (
    *go_entry({"Mock": "mock"}, "uint64", "0"),
    *go_change("uint64", go_taken()),
    *python_entry(3, {"mock": "c_uint64"}, python_numbers("Q", "mock"), {"mock": "int"}, "Q", NUMBER, "mock or 0"),
    python_plain("mock"),
)

BYTES = (
    *go_entry({"Mock": "mock"}, "[16]byte", "([16]byte{})"),
    *go_change("[16]byte", go_taken()),
    *python_entry(
        2,
        {"mock": "c_uint8 * 16"},
        python_slice("bytes", "raw"),
        {"mock": "bytes"},
        "16s",
        "        if not isinstance(mock, bytes) or len(mock) != 16:\n"
        '            raise invalid(f"mock: {mock!r} is not 16 bytes")\n',
        'mock or b""',
    ),
    python(
        "to_dict",
        before(
            TEXT,
            "    if entry.helper is not None:\n        made",
            '    if entry.mock is not None:\n        made["mock"] = entry.mock.hex()\n',
        ),
    ),
)

STRING = (
    *go_entry(
        {"Mock": "mock"},
        "string",
        '""',
        go(
            "decode",
            before(
                CONVERT,
                "\tif has&HasHelper != 0 {",
                "\tif has&HasMock != 0 {\n\t\te.Mock = names.get(&raw.mock)\n\t}\n",
            ),
        ),
        go(
            "encode",
            before(
                CONVERT,
                "\tif wrong := encodeHelper(&raw.helper, e.Helper); wrong != nil {",
                '\tif wrong := encodeHelper(&raw.mock, e.Mock); wrong != nil {\n\t\twrong.field = "mock"\n\t\treturn wrong\n\t}\n',
            ),
        ),
    ),
    *go_change("string", go_taken()),
    *python_entry(
        2,
        {"mock": "NAME"},
        python_slice("str", r'raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")'),
        {"mock": "str"},
        "16s",
        '        if not isinstance(mock, str) or len(mock.encode()) > 15 or "\\0" in mock:\n'
        '            raise invalid(f"mock: {mock!r} is not a text of at most 15 bytes")\n',
        '(mock or "").encode()',
    ),
    python_plain("mock"),
)

# What an update does to the mark, in another way.
UPDATE_ONLY = (
    *go_pair(
        "Value",
        "Mask",
        "uint64",
        before(
            CHANGE,
            "\tif key.Has.All(HasMark) {\n\t\traw.has |=",
            "\tif mock, set := change.Mock.Get(); set {\n\t\traw.has |= ctHasMock\n\t\traw.mock, raw.mockMask = mock.Value, mock.Mask\n\t}\n",
        ),
        go(
            "hook.Changed",
            after("go/internal/hook/hook.go", "\tMarkMask                uint32\n", "\tMock, MockMask uint64\n"),
        ),
        go("hook.Change", after("go/check.go", "MarkMask: raw.markMask,", " Mock: raw.mock, MockMask: raw.mockMask,")),
        go(
            "changed",
            before(
                TABLE,
                "\tif wants(ctrack.HasLabels) {",
                "\te.Mark = e.Mark&^uint32(change.MockMask) ^ uint32(change.Mock)\n",
            ),
        ),
    ),
    *python_entry(
        2,
        {"mock": "c_uint64", "mock_mask": "c_uint64"},
        python_numbers("Q", "mock", "mock_mask"),
        {"mock": "int", "mock_mask": "int"},
        "2Q",
        f"{NUMBER}"
        "    if mock_mask is not None:\n"
        "        if mock is None:\n"
        '            raise invalid("mock_mask: without mock")\n'
        f'        mock_mask = _number("mock_mask", mock_mask, {U64})\n',
        "mock or 0, mock_mask or 0",
    ),
)

DIRECTION = (
    *go_entry({"OrigMock": "mockOrig", "ReplyMock": "mockReply"}, "uint32", "0"),
    *go_pair(
        "Orig",
        "Reply",
        "uint32",
        go_taken("\tmock := take(&key, change.Mock, HasMock)\n\tkey.OrigMock, key.ReplyMock = mock.Orig, mock.Reply\n"),
    ),
    *python_entry(
        3,
        {"mock_orig": "c_uint32", "mock_reply": "c_uint32"},
        python_numbers("I", "mock_orig", "mock_reply"),
        {"mock": "tuple[int, int]"},
        "2I",
        '        mock = _pair("mock", mock, _U32)\n',
        "*(mock or (0, 0))",
    ),
    python_plain("mock_orig", "mock_reply"),
)

FILTER = (
    go(
        "encode",
        before(
            "go/filter_convert.go",
            "\tif value, set := f.Mark.Get(); set {",
            "\tif value, set := f.Mock.Get(); set {\n\t\traw.match |= ctMatchMock\n\t\traw.mock = value\n\t}\n",
        ),
    ),
    go("String", after("go/text.go", '\tadd("mark", f.Mark, f.Mark.set)', '\n\tadd("mock", f.Mock, f.Mock.set)')),
    go(
        "matches",
        after(
            "go/match.go",
            "\t\te.mark&raw.markMask == raw.mark &&",
            " (!m.has(ctMatchMock) || raw.mock == uint64(e.mark)) &&",
        ),
    ),
    go(
        "needs",
        before("go/match.go", "\tif m.has(ctMatchId) {", "\tif m.has(ctMatchMock) {\n\t\tm.needs |= ctHasMark\n\t}\n"),
    ),
    go(
        "Filter.Mock",
        Edit(
            "go/filter.go",
            "\tHelper Optional[string]\n\n",
            "\tHelper Optional[string]\n\t// Mock is a mock.\n\tMock Optional[uint64]\n\n",
        ),
    ),
    go(
        "filterFields",
        before(
            "go/selection_test.go",
            '\t"Helper": {func',
            '\t"Mock": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) { f.Mock = ctrack.Is(uint64(like.Mark)) }, func(f *ctrack.Filter) { f.Mock = ctrack.Optional[uint64]{} }},\n',
        ),
        is_noticed_early=False,
    ),
    python(
        "CFilter",
        after(
            "python/ctrack/_native.py",
            '        ("id", c_uint32),\n        ("pad0", c_uint32),\n',
            '        ("mock", c_uint64),\n',
        ),
        Edit("python/ctrack/_native.py", "CFilter: 192", "CFilter: 200"),
    ),
    python("Match.MOCK", after("python/ctrack/constants.py", "    ID = 1 << 21\n", "    MOCK = 1 << 22\n")),
    python(
        "field and argument",
        Edit(
            "python/ctrack/filter.py",
            "    helper: str | None\n\n    def",
            "    helper: str | None\n    mock: int | None\n\n    def",
        ),
        Edit(
            "python/ctrack/filter.py",
            "        helper: str | None = None,\n    ) -> None:",
            "        helper: str | None = None,\n        mock: int | None = None,\n    ) -> None:",
        ),
        before(
            "python/ctrack/filter.py",
            '            "mark": number("mark"',
            '            "mock": number("mock", mock, (1 << 64) - 1),\n',
        ),
    ),
    python(
        "_fill",
        Edit(
            "python/ctrack/filter.py",
            '"reply_zone", "id", "icmp_type", "icmp_code", "icmp_id"):\n        value',
            '"reply_zone", "id", "mock", "icmp_type", "icmp_code", "icmp_id"):\n        value',
        ),
    ),
    python(
        "matches",
        after(
            "python/ctrack/_match.py",
            "        and (f.id is None or e.id == f.id)\n",
            "        and (f.mock is None or e.mark == f.mock)\n",
        ),
    ),
    python(
        "limits",
        after("python/ctrack/_match.py", "        or f.helper is not None\n", "        or f.mock is not None\n"),
    ),
    python(
        "field_of",
        before(
            "python/tests/test_selection.py",
            '    elif name == "helper":\n',
            '    elif name == "mock":\n        given[name] = (model.mark or 0) ^ near\n',
        ),
        is_noticed_early=False,
    ),
    python("FILTERS", after("python/tests/test_filters.py", '    Filter(helper="tftp"),\n', "    Filter(mock=7),\n")),
)

RESULT = (
    go(
        "Result.Mock",
        Edit("go/result.go", "\tStartUnknown bool\n}", "\tStartUnknown bool\n\t// Mock is a mock.\n\tMock int\n}"),
        after("go/result.go", "\t\tSpared:       int(raw.spared),", "\n\t\tMock: int(raw.mock),"),
    ),
    go(
        "String",
        before(
            "go/result.go",
            "\tif r.Uncounted {",
            '\tif r.Mock != 0 {\n\t\ttext += fmt.Sprintf(", %d mock", r.Mock)\n\t}\n',
        ),
    ),
    python(
        "CResult",
        after("python/ctrack/_native.py", '        ("spared", c_uint64),\n', '        ("mock", c_uint64),\n'),
        Edit("python/ctrack/_native.py", "CResult: 56", "CResult: 64"),
    ),
    python("Result.mock", after("python/ctrack/errors.py", "    start_unknown: bool = False\n", "    mock: int = 0\n")),
    python("result_of", Edit("python/ctrack/_result.py", "c.spared, unknown)", "c.spared, unknown, c.mock)")),
)

OPTIONS = (
    go(
        "Options.Mock",
        after("go/open.go", "\tCompareStart bool\n", "\t// Mock is a mock.\n\tMock int\n"),
        after("go/open.go", "\topts.rcvbuf = uint32(o.ReceiveBuffer)", "\n\topts.mock = uint64(o.Mock)"),
    ),
    python(
        "OpenOpts",
        after(
            "python/ctrack/_native.py",
            '        ("rcvbuf", c_uint32),\n        ("pad0", c_uint32),\n',
            '        ("mock", c_uint64),\n',
        ),
        Edit("python/ctrack/_native.py", "OpenOpts: 24", "OpenOpts: 32"),
    ),
    python(
        "argument",
        Edit(
            "python/ctrack/_open.py",
            "        max_handles: int = 64,\n    ) -> None:",
            "        max_handles: int = 64,\n        mock: int = 0,\n    ) -> None:",
        ),
        Edit(
            "python/ctrack/_open.py",
            "Pool(netns, timeout, rcvbuf, compare_start, max_handles)",
            "Pool(netns, timeout, rcvbuf, compare_start, max_handles, mock)",
        ),
        Edit(
            "python/ctrack/_pool.py",
            "        max_handles: int,\n    ) -> None:",
            "        max_handles: int,\n        mock: int = 0,\n    ) -> None:",
        ),
        Edit(
            "python/ctrack/_pool.py",
            "options(timeout, rcvbuf, compare_start)\n",
            "options(timeout, rcvbuf, compare_start, mock)\n",
        ),
        Edit(
            "python/ctrack/_pool.py",
            "def options(timeout: float | None, rcvbuf: int | None, compare_start: bool)",
            "def options(timeout: float | None, rcvbuf: int | None, compare_start: bool, mock: int = 0)",
        ),
    ),
    python(
        "option", before("python/ctrack/_pool.py", "    if compare_start:\n        opts", "    opts.mock = int(mock)\n")
    ),
)
