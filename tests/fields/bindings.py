# SPDX-License-Identifier: MIT OR Apache-2.0
"""Where a field is written down in Go and Python, for one kind of each struct. docs/bindings.md says what they are for."""

from __future__ import annotations

from edits import Edit, Place, after, before

ENTRY = (
    Place(
        "Entry.Mock",
        (Edit("go/entry.go", "\tDCCP DCCPInfo\n}", "\tDCCP DCCPInfo\n\t// Mock is a mock.\n\tMock uint64\n}"),),
        "go",
    ),
    Place(
        "HasMock",
        (
            after(
                "go/constants.go",
                "\tHasSecctx        Has = ctHasSecctx        // it has a security context\n",
                "\tHasMock Has = ctHasMock // Mock\n",
            ),
        ),
        "go",
    ),
    Place(
        "withBits",
        (after("go/entry.go", "\tset(HasDCCP, e.DCCP != DCCPInfo{})\n", "\tset(HasMock, e.Mock != 0)\n"),),
        "go",
    ),
    Place(
        "decode",
        (
            after(
                "go/entry_convert.go",
                "\t\tLabels:        Labels{Bits: raw.labels},\n",
                "\t\tMock:          raw.mock,\n",
            ),
        ),
        "go",
    ),
    Place(
        "encode", (after("go/entry_convert.go", "\t\tmark:          e.Mark,\n", "\t\tmock:          e.Mock,\n"),), "go"
    ),
    Place(
        "Change.Mock",
        (
            Edit(
                "go/change.go",
                "\tSCTP Optional[SCTPInfo]\n}",
                "\tSCTP Optional[SCTPInfo]\n\t// Mock is a mock.\n\tMock Optional[uint64]\n}",
            ),
            after(
                "go/change.go",
                "\tkey.SCTP = take(&key, change.SCTP, HasSCTP)\n",
                "\tkey.Mock = take(&key, change.Mock, HasMock)\n",
            ),
        ),
        "go",
    ),
    Place(
        "made",
        (
            Edit(
                "go/ctracktest/change.go",
                "\t\tHelper: given.Helper,\n\t}",
                "\t\tHelper: given.Helper, Mock: given.Mock,\n\t}",
            ),
            before(
                "go/ctracktest/change.go",
                '\tif e.Helper != "" {\n\t\te.Has |=',
                "\tif e.Mock != 0 {\n\t\te.Has |= ctrack.HasMock\n\t}\n",
            ),
        ),
        "go",
    ),
    Place(
        "changed",
        (
            before(
                "go/ctracktest/change.go",
                "\tif wants(ctrack.HasMark) {",
                "\tif wants(ctrack.HasMock) {\n\t\te.Mock = values.Mock\n\t\te.Has |= ctrack.HasMock\n\t}\n",
            ),
        ),
        "go",
    ),
    Place(
        "hasNames",
        (Edit("go/constants.go", 'HasSecctx: "secctx",\n', 'HasSecctx: "secctx", HasMock: "mock",\n'),),
        "go",
    ),
    Place(
        "CEntry",
        (
            Edit(
                "python/ctrack/_native.py",
                '        ("reserved", c_uint64 * 4),',
                '        ("mock", c_uint64),\n        ("reserved", c_uint64 * 3),',
            ),
            Edit("python/ctrack/_native.py", '    (CEntry, "reserved"): 224,', '    (CEntry, "reserved"): 232,'),
        ),
        "python",
    ),
    Place(
        "Has.MOCK",
        (
            after(
                "python/ctrack/constants.py",
                "    LABELS_REMOVE = 1 << 29  #: Only in an update: the labels are cleared, all others stay as they are.\n",
                "    MOCK = 1 << 30\n",
            ),
        ),
        "python",
    ),
    Place(
        "property",
        (
            before(
                "python/ctrack/entry.py",
                '    mark = _number("I",',
                '    mock = _number("Q", CEntry.mock.offset, Has.MOCK, "A mock.")\n',
            ),
        ),
        "python",
    ),
    Place(
        "argument of Entry",
        (
            Edit(
                "python/ctrack/entry.py",
                "        sctp_vtag: tuple[int, int] | None = None,\n    ) -> None:",
                "        sctp_vtag: tuple[int, int] | None = None,\n        mock: int | None = None,\n    ) -> None:",
            ),
            Edit(
                "python/ctrack/entry.py",
                "*(tcp_state, tcp_wscale, tcp_flags, tcp_mask, sctp_state, sctp_vtag),",
                "*(tcp_state, tcp_wscale, tcp_flags, tcp_mask, sctp_state, sctp_vtag, mock),",
            ),
            Edit(
                "python/ctrack/_build.py",
                '    sctp_vtag: Any,\n) -> bytes:\n    """The bytes of Entry(...)."""',
                '    sctp_vtag: Any,\n    mock: Any,\n) -> bytes:\n    """The bytes of Entry(...)."""',
            ),
            Edit(
                "python/ctrack/_build.py",
                "        *(timeout, status, mark, mark_mask, labels, helper, tcp_state, tcp_wscale, tcp_flags, tcp_mask, sctp_state, sctp_vtag),\n",
                "        *(timeout, status, mark, mark_mask, labels, helper, tcp_state, tcp_wscale, tcp_flags, tcp_mask, sctp_state, sctp_vtag, mock),\n",
            ),
        ),
        "python",
    ),
    Place(
        "_whole",
        (
            Edit(
                "python/ctrack/_build.py",
                '    sctp_vtag: Any,\n) -> bytes:\n    """Adds what is not identity."""',
                '    sctp_vtag: Any,\n    mock: Any = None,\n) -> bytes:\n    """Adds what is not identity."""',
            ),
            Edit("python/ctrack/_build.py", '_tail = Struct("=48x16s16s32x")', '_tail = Struct("=48x16s16sQ24x")'),
            Edit(
                "python/ctrack/_build.py",
                "    if labels is not None or helper is not None:\n",
                '    if mock is not None:\n        has |= _HAS["MOCK"]\n        mock = _number("mock", mock, (1 << 64) - 1)\n    if labels is not None or helper is not None or mock is not None:\n',
            ),
            Edit(
                "python/ctrack/_build.py",
                "        tail = _tail.pack(label_bytes, name_bytes)",
                "        tail = _tail.pack(label_bytes, name_bytes, mock or 0)",
            ),
        ),
        "python",
    ),
    Place(
        "change()",
        (
            Edit(
                "python/ctrack/entry.py",
                "        tcp_state: TcpStateLike | None = None,\n    ) -> Entry:",
                "        tcp_state: TcpStateLike | None = None,\n        mock: int | None = None,\n    ) -> Entry:",
            ),
        ),
        "python",
    ),
    Place(
        "to_dict", (after("python/ctrack/_text.py", '    ("mark", "mark"),\n', '    ("mock", "mock"),\n'),), "python"
    ),
)

FILTER = (
    Place(
        "encode",
        (
            before(
                "go/filter_convert.go",
                "\tif value, set := f.Mark.Get(); set {",
                "\tif value, set := f.Mock.Get(); set {\n\t\traw.match |= ctMatchMock\n\t\traw.mock = value\n\t}\n",
            ),
        ),
        "go",
    ),
    Place(
        "String",
        (after("go/text.go", '\tadd("mark", f.Mark, f.Mark.set)', '\n\tadd("mock", f.Mock, f.Mock.set)'),),
        "go",
    ),
    Place(
        "matches",
        (
            after(
                "go/match.go",
                "\t\te.mark&raw.markMask == raw.mark &&",
                " (!m.has(ctMatchMock) || raw.mock == uint64(e.mark)) &&",
            ),
        ),
        "go",
    ),
    Place(
        "needs",
        (
            before(
                "go/match.go", "\tif m.has(ctMatchId) {", "\tif m.has(ctMatchMock) {\n\t\tm.needs |= ctHasMark\n\t}\n"
            ),
        ),
        "go",
    ),
    Place(
        "Filter.Mock",
        (
            Edit(
                "go/filter.go",
                "\tHelper Optional[string]\n\n",
                "\tHelper Optional[string]\n\t// Mock is a mock.\n\tMock Optional[uint64]\n\n",
            ),
        ),
        "go",
    ),
    Place(
        "filterFields",
        (
            before(
                "go/selection_test.go",
                '\t"Helper": {func',
                '\t"Mock": {func(r chance, f *ctrack.Filter, like *ctrack.Entry) { f.Mock = ctrack.Is(uint64(like.Mark)) }, func(f *ctrack.Filter) { f.Mock = ctrack.Optional[uint64]{} }},\n',
            ),
        ),
        "go",
        is_noticed_early=False,
    ),
    Place(
        "CFilter",
        (
            after(
                "python/ctrack/_native.py",
                '        ("id", c_uint32),\n        ("pad0", c_uint32),\n',
                '        ("mock", c_uint64),\n',
            ),
            Edit("python/ctrack/_native.py", "CFilter: 192", "CFilter: 200"),
        ),
        "python",
    ),
    Place("Match.MOCK", (after("python/ctrack/constants.py", "    ID = 1 << 21\n", "    MOCK = 1 << 22\n"),), "python"),
    Place(
        "field and argument",
        (
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
        "python",
    ),
    Place(
        "_fill",
        (
            Edit(
                "python/ctrack/filter.py",
                '"reply_zone", "id", "icmp_type", "icmp_code", "icmp_id"):\n        value',
                '"reply_zone", "id", "mock", "icmp_type", "icmp_code", "icmp_id"):\n        value',
            ),
        ),
        "python",
    ),
    Place(
        "matches",
        (
            after(
                "python/ctrack/_match.py",
                "        and (f.id is None or e.id == f.id)\n",
                "        and (f.mock is None or e.mark == f.mock)\n",
            ),
        ),
        "python",
    ),
    Place(
        "limits",
        (after("python/ctrack/_match.py", "        or f.helper is not None\n", "        or f.mock is not None\n"),),
        "python",
    ),
    Place(
        "field_of",
        (
            before(
                "python/tests/test_selection.py",
                '    elif name == "helper":\n',
                '    elif name == "mock":\n        given[name] = (model.mark or 0) ^ near\n',
            ),
        ),
        "python",
        is_noticed_early=False,
    ),
    Place(
        "FILTERS",
        (after("python/tests/test_filters.py", '    Filter(helper="tftp"),\n', "    Filter(mock=7),\n"),),
        "python",
    ),
)

RESULT = (
    Place(
        "Result.Mock",
        (
            Edit("go/result.go", "\tStartUnknown bool\n}", "\tStartUnknown bool\n\t// Mock is a mock.\n\tMock int\n}"),
            after("go/result.go", "\t\tSpared:       int(raw.spared),", "\n\t\tMock: int(raw.mock),"),
        ),
        "go",
    ),
    Place(
        "String",
        (
            before(
                "go/result.go",
                "\tif r.Uncounted {",
                '\tif r.Mock != 0 {\n\t\ttext += fmt.Sprintf(", %d mock", r.Mock)\n\t}\n',
            ),
        ),
        "go",
    ),
    Place(
        "CResult",
        (
            after("python/ctrack/_native.py", '        ("spared", c_uint64),\n', '        ("mock", c_uint64),\n'),
            Edit("python/ctrack/_native.py", "CResult: 56", "CResult: 64"),
        ),
        "python",
    ),
    Place(
        "Result.mock",
        (after("python/ctrack/errors.py", "    start_unknown: bool = False\n", "    mock: int = 0\n"),),
        "python",
    ),
    Place(
        "result_of", (Edit("python/ctrack/_result.py", "c.spared, unknown)", "c.spared, unknown, c.mock)"),), "python"
    ),
)

OPTIONS = (
    Place(
        "Options.Mock",
        (
            after("go/open.go", "\tCompareStart bool\n", "\t// Mock is a mock.\n\tMock int\n"),
            after("go/open.go", "\topts.rcvbuf = uint32(o.ReceiveBuffer)", "\n\topts.mock = uint64(o.Mock)"),
        ),
        "go",
    ),
    Place(
        "OpenOpts",
        (
            after(
                "python/ctrack/_native.py",
                '        ("rcvbuf", c_uint32),\n        ("pad0", c_uint32),\n',
                '        ("mock", c_uint64),\n',
            ),
            Edit("python/ctrack/_native.py", "OpenOpts: 24", "OpenOpts: 32"),
        ),
        "python",
    ),
    Place(
        "argument",
        (
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
        "python",
    ),
    Place(
        "option",
        (before("python/ctrack/_pool.py", "    if compare_start:\n        opts", "    opts.mock = int(mock)\n"),),
        "python",
    ),
)
