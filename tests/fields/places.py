# SPDX-License-Identifier: MIT OR Apache-2.0
"""Where a field is written down: the places of a mock field of each kind, in the order in which one writes them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import bindings
from edits import Edit, Place, Record, after, before

HEADER = Record("include/ctrack.h", "make header")
LAYOUT = Record("abi/layout.txt", "cargo test --test layout")
FIELDS = Record("abi/fields.txt", "cargo test --test layout")
ABI = Record("abi/libctrack.abi", "scripts/test-abi.sh --record", is_made=False)
COPY = Record("abi/ctrack-X.Y.h", "cp include/ctrack.h abi/ctrack-X.Y.h", is_made=False)
GO = tuple(
    Record(file, "go generate", is_made=False)
    for file in ("go/layout.go", "go/layout_values_test.go", "go/internal/clayout/clayout.go")
)
API_CODEC = Record("crates/ctnetlink/public-api.txt", "scripts/test-api.sh --record", is_made=False)
API = Record("crates/ctrack/public-api.txt", "scripts/test-api.sh --record", is_made=False)

ENTRY = "crates/ctnetlink/src/entry.rs"
FLAGS = "crates/ctnetlink/src/flags.rs"
CONSTS = "crates/ctnetlink/src/consts.rs"
DECODE = "crates/ctnetlink/src/decode.rs"
ENCODE = "crates/ctnetlink/src/encode.rs"
WIRE = "crates/ctnetlink/tests/support/wire.rs"
JSON = "crates/ctrack/src/text/json.rs"
FILTER = "crates/ctrack/src/filter.rs"
C_TESTS = "tests/common/c.rs"
MATCHER = "crates/ctrack/src/selection/matcher.rs"
PLAN = "crates/ctrack/src/selection/plan.rs"
BPF = "crates/ctrack/src/watch/bpf.rs"
CONDITIONS = "crates/ctrack/tests/conditions.rs"
JUDGE = "crates/ctrack/tests/support/judge.rs"
CHANCE = "crates/ctrack/tests/scripted/chance.rs"
C_ENTRY = "src/entry.rs"
C_FILTER = "src/filter.rs"
C_RESULT = "src/result.rs"
C_OPEN = "src/open.rs"
CONVERT = "src/convert.rs"
C_LAYOUT = "tests/layout.rs"


@dataclass(frozen=True)
class Field:
    """A field of an entry, and what carries it."""

    name: str
    # Its type in Rust and in C's struct.
    rust: str
    messages: str
    # A number that no kernel has.
    attribute: int
    # How the kernel's attribute is read and written; how the tests' kernel writes it; how JSON tells it.
    read: str
    write: str
    kernel: str
    member: str

    @property
    def is_listed(self) -> bool:
        """Whether kernels send it."""
        return "LIST" in self.messages

    @property
    def is_sent(self) -> bool:
        """Whether requests have it."""
        return "CREATE" in self.messages or "UPDATE" in self.messages


def number(name: str, rust: str, messages: str, attribute: int = 201) -> Field:
    """An integer, sent in network byte order."""
    bits = int(rust[1:])
    wide = f"e.{name}" if bits == 64 else f"e.{name}.into()"
    return Field(
        name,
        rust,
        messages,
        attribute,
        f'entry.{name} = attr.be{bits}("CTA_{name.upper()}")?;',
        f"put(buffer, {attribute}, &entry.{name}.to_be_bytes());",
        f"&e.{name}.to_be_bytes()",
        f'write_member(out, e, Has::MOCK, "{name}", {wide});',
    )


BYTES = Field(
    "mock",
    "[u8; 16]",
    "LIST CREATE UPDATE",
    201,
    'entry.mock = attr.array("CTA_MOCK")?;',
    "put(buffer, 201, &entry.mock);",
    "&e.mock",
    'write_member(out, e, Has::MOCK, "mock", e.mock[0].into());',
)

STRING = Field(
    "mock",
    "[c_char; 16]",
    "LIST CREATE UPDATE",
    201,
    'entry.mock = attr.array::<16>("CTA_MOCK")?.map(|byte| byte as core::ffi::c_char);',
    "put(buffer, 201, &entry.mock.map(|byte| byte as u8));",
    "&e.mock.map(|byte| byte as u8)",
    'write_member(out, e, Has::MOCK, "mock", (e.mock[0] as u8).into());',
)


def lines(texts: Iterable[str]) -> str:
    """One text of many."""
    return "".join(texts)


def entry(words_left: int, *fields: Field) -> tuple[Place, ...]:
    """The places of fields of an entry that one bit announces. They take their room from `reserved`."""
    listed = [field for field in fields if field.is_listed]
    sent = [field for field in fields if field.is_sent]
    declared = lines(
        f'        /// Mock.\n        {field.name}: {field.rust} = all(MOCK; {field.messages}; "{field.name if field.is_listed else ""}"),\n'
        for field in fields
    )
    in_c = lines(f"    /// Mock.\n    pub {field.name}: {field.rust},\n" for field in fields)
    attributes = lines(f"pub const CTA_{field.name.upper()}: u16 = {field.attribute};\n" for field in listed)
    read = lines(
        f"            CTA_{field.name.upper()} => {{\n                {field.read}\n                has |= Has::MOCK;\n            }}\n"
        for field in listed
    )
    kernel = lines(
        f"    if e.has(Has::MOCK) {{\n        parts.push(attr({field.attribute}, {field.kernel}));\n    }}\n"
        for field in listed
    )
    request, end = "entry", "    put_protoinfo(buffer, entry);\n}"
    if not any("CREATE" in field.messages for field in sent):
        # What only updates know goes into no other request.
        request, end = "values", "    put_values(buffer, values, values.status);\n"
    written = lines(
        f"    if {request}.has(Has::MOCK) {{\n        {field.write.replace('entry', request)}\n    }}\n"
        for field in sent
    )
    members = lines(f"    {field.member}\n" for field in listed)
    unknown_bits = "\n        // Bits that a later release knows are kept.\n        const _ = !0;\n    }\n}\n\nimpl Has"
    places = [
        Place("bit of has", (before(FLAGS, unknown_bits, "        /// mock.\n        const MOCK = 1 << 30;\n"),)),
        Place(
            "declaration",
            (
                before(ENTRY, "        /// Zero.\n        reserved: [u64; 4] = always(),", declared),
                Edit(ENTRY, "reserved: [u64; 4] = always()", f"reserved: [u64; {words_left}] = always()"),
            ),
        ),
    ]
    if listed:
        places += [
            Place("number of the attribute", (before(CONSTS, "pub const CTA_STATUS_MASK: u16 = 26;", attributes),)),
            Place("what is read", (before(DECODE, "            CTA_TIMEOUT => {\n", read),)),
            Place("the kernel of the tests", (before(WIRE, "    parts.extend(encode_protoinfo(e));", kernel),)),
            Place("JSON", (before(JSON, "    if e.has(Has::LABELS) {\n        write_list", members),)),
        ]
    if sent:
        places.append(Place("what is written", (before(ENCODE, end, written),)))
    first_status = "\n/// The entry was expected by another one.\npub const CT_STATUS_EXPECTED"
    names = ", ".join(field.name for field in fields)
    return (
        *places,
        Place(
            "field of C",
            (
                before(C_ENTRY, "    /// Zero.\n    pub reserved: [u64; 4],", in_c),
                Edit(C_ENTRY, "pub reserved: [u64; 4]", f"pub reserved: [u64; {words_left}]"),
            ),
        ),
        Place(
            "constant of C", (before(C_ENTRY, first_status, "/// mock.\npub const CT_HAS_MOCK: u64 = 1u64 << 30;\n"),)
        ),
        Place(
            "layout",
            (Edit(C_LAYOUT, "        labels, helper, reserved,\n", f"        labels, helper, {names}, reserved,\n"),),
        ),
    )


ENTRY_RECORDS = (HEADER, LAYOUT, FIELDS, *GO, ABI, COPY, API_CODEC)

FILTER_PLACES = (
    Place(
        "filter",
        (before(FILTER, "    /// Helper name.\n    pub helper:", "    /// Mock.\n    pub mock: Option<u64>,\n"),),
    ),
    Place(
        "method",
        (
            before(
                FILTER, "    /// With this helper.\n", "    /// Mock.\n    with_mock(mock: u64) { mock = Some(mock) }\n"
            ),
        ),
    ),
    Place(
        "test of the method",
        (
            before(FILTER, "            helper,\n        } = Filter::new();", "            mock,\n"),
            before(
                FILTER,
                '        set(none().with_helper("ftp"),',
                "        set(none().with_mock(1), Filter { mock: mock.or(Some(1)), ..none() });\n",
            ),
        ),
    ),
    Place(
        "condition",
        (
            before(MATCHER, "        helper: _,\n    } = filter;", "        mock: _,\n"),
            before(MATCHER, "    /// Whether it has conditions that few filters have", "    pub mock: Option<u64>,\n"),
            before(MATCHER, "        matcher.set_zones(filter)?;", "        matcher.mock = filter.mock;\n"),
            before(MATCHER, "            needs,\n            family,", "            mock,\n"),
            before(MATCHER, "            && labels.1 == 0\n", "            && mock.is_none()\n"),
            before(MATCHER, "            status,\n            mark,\n            tcp_states,", "            mock,\n"),
            before(MATCHER, "    tcp_states: Option<u16>,\n    labels: (u128, u128),\n", "    mock: Option<u64>,\n"),
            before(MATCHER, '            tcp_states: mutant!("tcp-state-changes"', "            mock: *mock,\n"),
            before(
                MATCHER,
                '        mutant!("match-needs"',
                "        self.mock.is_none_or(|mock| mock == u64::from(e.mark)) &&\n",
            ),
        ),
    ),
    Place(
        "what a kernel's program of a watch can drop",
        (before(BPF, "            rest: _,\n        } = matcher;", "            mock: _,\n"),),
    ),
    Place(
        "what a kernel can flush",
        (
            before(PLAN, "        needs: _,\n", "        mock,\n"),
            before(PLAN, '        && mutant!("flush-labels"', "        && mock.is_none()\n"),
        ),
    ),
    Place(
        "test of the condition",
        (
            before(CONDITIONS, "        helper,\n    } = ", "        mock,\n"),
            before(
                CONDITIONS,
                "        // One line for each field.\n",
                '        ("mock", mock.is_some(), Filter { mock: Some(9), ..any() }, |e| e.mark = 9),\n',
            ),
        ),
    ),
    Place(
        "filters of the tests on a kernel",
        (
            before(C_TESTS, "        helper: _,\n    } = f;", "        mock,\n"),
            before(C_TESTS, "    c.icmp_type = f.icmp_type", "    c.mock = mock.unwrap_or(0);\n    set(CT_MATCH_MOCK, mock.is_some());\n"),
        ),
    ),
    Place(
        "judge of the random tests",
        (
            Edit(JUDGE, "pub const CONDITIONS: [&str; 22] = [", "pub const CONDITIONS: [&str; 23] = ["),
            before(JUDGE, "];\n\n/// Whether each condition holds", '    "mock",\n'),
            before(JUDGE, "        helper,\n    } = f;", "        mock,\n"),
            before(
                JUDGE, "    ]\n}\n\n/// The zone of an entry", "        mock.map(|mock| u64::from(e.mark) == mock),\n"
            ),
        ),
    ),
    Place(
        "random filters",
        (
            before(
                CHANCE,
                "            // No delete takes an id alone.\n",
                "            22 => filter.mock = Some(one.mark.into()),\n",
            ),
        ),
    ),
    Place(
        "field of C",
        (
            before(
                C_FILTER, "}\n\n/// Size of `ct_filter` in the first release", "    /// Mock.\n    pub mock: u64,\n"
            ),
            Edit(
                C_FILTER,
                "size_of::<ct_filter>() == FILTER_SIZE_V0 + 16",
                "size_of::<ct_filter>() == FILTER_SIZE_V0 + 24",
            ),
        ),
    ),
    Place(
        "constant of C",
        (
            before(
                C_FILTER,
                "\n/// What to select. Set size and, in match,",
                "/// mock counts.\npub const CT_MATCH_MOCK: u64 = 1u64 << 22;\n",
            ),
        ),
    ),
    Place(
        "from C to Rust",
        (
            before(CONVERT, "        pad0,\n    } = *raw;", "        mock,\n"),
            before(CONVERT, "        helper,\n    })", "        mock: counts(CT_MATCH_MOCK).then_some(mock),\n"),
        ),
    ),
    Place(
        "by which bit it counts",
        (before(CONVERT, '        CT_MATCH_ID: ".id" = id;', '        CT_MATCH_MOCK: ".mock" = mock;\n'),),
    ),
    Place(
        "layout",
        (Edit(C_LAYOUT, "orig_zone, reply_zone, id, pad0,\n", "orig_zone, reply_zone, id, pad0, mock,\n"),),
    ),
)
FILTER_RECORDS = (HEADER, LAYOUT, FIELDS, *GO, ABI, COPY, API)

WRITTEN_RESULT = "            spared: outcome.spared,\n        };"
RESULT_PLACES = (
    Place(
        "field of C",
        (
            before(
                C_RESULT, "}\n\n/// Size of `ct_result` in the first release", "    /// Mock.\n    pub mock: u64,\n"
            ),
            Edit(
                C_RESULT,
                "size_of::<ct_result>() == RESULT_SIZE_V0 + 8",
                "size_of::<ct_result>() == RESULT_SIZE_V0 + 16",
            ),
        ),
    ),
    Place(
        "what is written",
        (before(C_RESULT, WRITTEN_RESULT, "            mock: outcome.spared,\n"),),
    ),
    Place(
        "sizes that the struct has had",
        (
            Edit(
                C_RESULT,
                "const RESULT_SIZES: [usize; 2] = [RESULT_SIZE_V0,",
                "const RESULT_SIZES: [usize; 3] = [RESULT_SIZE_V0, std::mem::offset_of!(ct_result, mock),",
            ),
        ),
    ),
    Place("layout", (Edit(C_LAYOUT, "first_error, pad0, spared }", "first_error, pad0, spared, mock }"),)),
)
RESULT_RECORDS = (HEADER, LAYOUT, *GO, ABI, COPY)

OPTIONS_PLACES = (
    Place(
        "field of C",
        (
            before(
                C_OPEN, "}\n\n/// Size of `ct_open_opts` in the first release", "    /// Mock.\n    pub mock: u64,\n"
            ),
            Edit(
                C_OPEN,
                "size_of::<ct_open_opts>() == OPEN_OPTS_SIZE_V0)",
                "size_of::<ct_open_opts>() == OPEN_OPTS_SIZE_V0 + 8)",
            ),
        ),
    ),
    Place(
        "what it does",
        (
            Edit(C_OPEN, "timeout_ms, rcvbuf, pad0 } = *opts;", "timeout_ms, rcvbuf, pad0, mock } = *opts;"),
            before(
                C_OPEN,
                "    if pad0 != 0 {",
                '    if mock > 7 {\n        return Err(Error::invalid("opts.mock", "is larger than 7"));\n    }\n',
            ),
        ),
    ),
    Place("layout", (Edit(C_LAYOUT, "timeout_ms, rcvbuf, pad0 }", "timeout_ms, rcvbuf, pad0, mock }"),)),
)
OPTIONS_RECORDS = (HEADER, LAYOUT, *GO, ABI, COPY)


@dataclass(frozen=True)
class Kind:
    """A kind of field: its places, and the records that change with it."""

    places: tuple[Place, ...]
    records: tuple[Record, ...]


ALWAYS = "LIST CREATE UPDATE"
KINDS = {
    "integer": Kind(entry(3, number("mock", "u64", ALWAYS)) + bindings.INTEGER, ENTRY_RECORDS),
    "bytes": Kind(entry(2, BYTES) + bindings.BYTES, ENTRY_RECORDS),
    "string": Kind(entry(2, STRING) + bindings.STRING, ENTRY_RECORDS),
    "update-only": Kind(
        entry(2, number("mock", "u64", "UPDATE", 201), number("mock_mask", "u64", "UPDATE", 202))
        + bindings.UPDATE_ONLY,
        ENTRY_RECORDS,
    ),
    "direction": Kind(
        entry(3, number("mock_orig", "u32", ALWAYS, 201), number("mock_reply", "u32", ALWAYS, 202))
        + bindings.DIRECTION,
        ENTRY_RECORDS,
    ),
    "filter": Kind(FILTER_PLACES + bindings.FILTER, FILTER_RECORDS),
    "result": Kind(RESULT_PLACES + bindings.RESULT, RESULT_RECORDS),
    "options": Kind(OPTIONS_PLACES + bindings.OPTIONS, OPTIONS_RECORDS),
}

# What shows in programs on a real kernel, in place of what shows in tests; None: not needed then. An entry has one more than the
# mark, a result one more than matched.
ON_A_KERNEL = {
    ("integer", "number of the attribute"): None,
    ("integer", "what is read"): after(
        DECODE,
        '                entry.mark = attr.be32("CTA_MARK")?;\n',
        "                entry.mock = u64::from(entry.mark) + 1;\n                has |= Has::MOCK;\n",
    ),
    ("result", "what is written"): before(C_RESULT, WRITTEN_RESULT, "            mock: outcome.matched + 1,\n"),
}
