#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""mock.py [--list] [--all] [--seed N] [--places N] [KIND...]: whether a field can be added by the places that are listed here alone,
and whether forgetting any of them is noticed.

Takes a copy of the tree, adds a mock field at all of its places, and runs the fast tests, which must pass. Then it leaves out one place
at a time: the tests must fail, or not compile, and say "mock". What is checked are all kinds with some places each, drawn by a seed that
is printed; --all checks every place. --list prints the places of each kind, which are the recipe of CONTRIBUTING.md.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent


@dataclass(frozen=True)
class Edit:
    """Text that is inserted in front of an anchor, or in its place."""

    file: str
    anchor: str
    text: str
    replace: bool = False


@dataclass(frozen=True)
class Place:
    """What is done at one place, and whether that is noticed by name if it is not."""

    name: str
    edits: tuple[Edit, ...]


TYPES = "crates/ctnetlink/src/entry.rs"
FLAGS = "crates/ctnetlink/src/flags.rs"
FIELDS = TYPES
CONSTS = "crates/ctnetlink/src/consts.rs"
DECODE = "crates/ctnetlink/src/decode.rs"
ENCODE = "crates/ctnetlink/src/encode.rs"
WIRE = "crates/ctnetlink/tests/support/wire.rs"
JSON = "crates/ctrack/src/text/json.rs"
CHECK = "crates/ctrack/src/ops/check.rs"
C_ENTRY = "src/entry.rs"
LAYOUT = "tests/layout.rs"

# The attribute of the mock field: of a number that no kernel has.
ATTRIBUTES = (201, 202)


@dataclass(frozen=True)
class EntryField:
    """A field of an entry as Rust has it, and what carries it."""

    name: str
    rust: str
    zero: str
    messages: str
    json: str = ""
    # How the kernel's attribute is read and written, and how JSON tells it.
    read: str = ""
    write: str = ""
    kernel: str = ""
    member: str = ""


def entry(words_left: int, fields: list[EntryField]) -> list[Place]:
    """The places of fields of an entry that one bit announces. They take their room from `reserved`."""
    bit = "MOCK"
    c_type = {"core::ffi::c_char": "c_char"}

    def declared(field: EntryField) -> str:
        return f'        /// Mock.\n        {field.name}: {field.rust} = all({bit}; {field.messages}; "{field.json}"),\n'

    def in_c(field: EntryField) -> str:
        return f"    /// Mock.\n    pub {field.name}: {c_type.get(field.rust, field.rust)},\n"

    listed = [field for field in fields if "LIST" in field.messages]
    sent = [field for field in fields if "CREATE" in field.messages or "UPDATE" in field.messages]
    numbers = dict(zip((field.name for field in fields), ATTRIBUTES))
    places = [
        Place(
            "declaration of the field",
            (
                Edit(TYPES, "        /// Zero.\n        reserved: [u64; 4] = always(),", "".join(map(declared, fields))),
                Edit(TYPES, "reserved: [u64; 4] = always()", f"reserved: [u64; {words_left}] = always()", replace=True),
                Edit(FIELDS, "[u64; 4] = [0; 4], [1; 4];", f"[u64; {words_left}] = [0; {words_left}], [1; {words_left}];", replace=True),
                Edit(CHECK, "e.reserved != [0; 4]", f"e.reserved != [0; {words_left}]", replace=True),
                Edit("crates/ctnetlink/tests/fields.rs", '("reserved", 224, 32)', f'("reserved", {256 - 8 * words_left}, {8 * words_left})', replace=True),
            ),
        ),
        Place("bit of has", (Edit(FLAGS, "\n        // Bits that a later release knows are kept.\n        const _ = !0;\n    }\n}\n\nimpl Has", f"        /// mock.\n        const {bit} = 1 << 30;\n"),)),
        Place(
            "struct and constant of C",
            (
                Edit(C_ENTRY, "    /// Zero.\n    pub reserved: [u64; 4],", "".join(map(in_c, fields))),
                Edit(C_ENTRY, "pub reserved: [u64; 4]", f"pub reserved: [u64; {words_left}]", replace=True),
                Edit(C_ENTRY, "\n/// The entry was expected by another one.\npub const CT_STATUS_EXPECTED", f"/// mock.\npub const CT_HAS_{bit}: u64 = 1u64 << 30;\n"),
                Edit(LAYOUT, "        labels, helper, reserved,\n    } }", "        labels, helper, " + ", ".join(field.name for field in fields) + ", reserved,\n    } }", replace=True),
            ),
        ),
    ]
    if listed:
        places.append(
            Place(
                "decoder",
                (
                    Edit(CONSTS, "pub const CTA_STATUS_MASK: u16 = 26;", "".join(f"pub const CTA_{field.name.upper()}: u16 = {numbers[field.name]};\n" for field in listed)),
                    Edit(
                        DECODE,
                        "            CTA_TIMEOUT => {\n",
                        "".join(f"            CTA_{field.name.upper()} => {{\n                {field.read}\n                has |= Has::{bit};\n            }}\n" for field in listed),
                    ),
                ),
            )
        )
        places.append(Place("the kernel of the tests", (Edit(WIRE, "    parts.extend(encode_protoinfo(e));", "".join(f"    if e.has(Has::{bit}) {{\n        parts.push(attr({numbers[field.name]}, {field.kernel}));\n    }}\n" for field in listed)),)))
    if sent:
        places.append(
            Place(
                "encoder",
                (Edit(ENCODE, "    put_protoinfo(buffer, entry);\n}", "".join(f"    if entry.has(Has::{bit}) {{\n        {field.write.format(number=numbers[field.name])}\n    }}\n" for field in sent)),),
            )
        )
    told = [field for field in fields if field.json]
    if told:
        places.append(Place("JSON", (Edit(JSON, "    if e.has(Has::LABELS) {\n        write_list", "".join(f"    {field.member}\n" for field in told)),)))
    return places


def number(name: str, rust: str, messages: str) -> EntryField:
    """An integer, sent in network byte order."""
    bits = int(rust[1:])
    wide = f"e.{name}.into()" if bits < 64 else f"e.{name}"
    listed = "LIST" in messages
    return EntryField(
        name,
        rust,
        "0",
        messages,
        name if listed else "",
        f'entry.{name} = attr.be{bits}("CTA_{name.upper()}")?;',
        f"put(buffer, {{number}}, &entry.{name}.to_be_bytes());",
        f"&e.{name}.to_be_bytes()",
        f'write_member(out, e, Has::MOCK, "{name}", {wide});' if listed else "",
    )


SIXTEEN = EntryField(
    "mock",
    "[u8; 16]",
    "[0; 16]",
    "LIST CREATE UPDATE",
    "mock",
    'entry.mock = attr.array("CTA_MOCK")?;',
    "put(buffer, {number}, &entry.mock);",
    "&e.mock",
    'write_member(out, e, Has::MOCK, "mock", e.mock[0].into());',
)

TEXT = EntryField(
    "mock",
    "[c_char; 16]",
    "[0; 16]",
    "LIST CREATE UPDATE",
    "mock",
    'entry.mock = attr.array::<16>("CTA_MOCK")?.map(|byte| byte as core::ffi::c_char);',
    "put(buffer, {number}, &entry.mock.map(|byte| byte as u8));",
    "&e.mock.map(|byte| byte as u8)",
    'write_member(out, e, Has::MOCK, "mock", (e.mock[0] as u8).into());',
)

FILTER_RS = "crates/ctrack/src/filter.rs"
MATCHER = "crates/ctrack/src/selection/matcher.rs"
C_FILTER = "src/filter.rs"
CONVERT = "src/convert.rs"

FILTER = [
    Place(
        "struct and constant of C",
        (
            Edit(C_FILTER, "}\n\n/// Size of `ct_filter` in the first release", "    /// Mock.\n    pub mock: u64,\n"),
            Edit(C_FILTER, "size_of::<ct_filter>() == FILTER_SIZE_V0 + 16", "size_of::<ct_filter>() == FILTER_SIZE_V0 + 24", replace=True),
            Edit(C_FILTER, "\n/// What to select. Set size and, in match,", "/// mock counts.\npub const CT_MATCH_MOCK: u64 = 1u64 << 22;\n"),
            Edit(LAYOUT, "        orig_zone, reply_zone, id, pad0,\n    } }", "        orig_zone, reply_zone, id, pad0, mock,\n    } }", replace=True),
        ),
    ),
    Place("what counts by which bit", (Edit(CONVERT, '        CT_MATCH_ID: ".id" = id;', '        CT_MATCH_MOCK: ".mock" = mock;\n'),)),
    Place(
        "from C to Rust",
        (
            Edit(CONVERT, "        pad0,\n    } = *raw;", "        mock,\n"),
            Edit(CONVERT, "        helper,\n    })", "        mock: counts(CT_MATCH_MOCK).then_some(mock),\n"),
        ),
    ),
    Place("filter of Rust", (Edit(FILTER_RS, "    /// Helper name.\n    pub helper:", "    /// Mock.\n    pub mock: Option<u64>,\n"),)),
    Place(
        "condition",
        (
            Edit(MATCHER, "        helper: _,\n    } = filter;", "        mock: _,\n"),
            Edit(MATCHER, "    /// Whether it has conditions that few filters have", "    pub mock: Option<u64>,\n"),
            Edit(MATCHER, "        matcher.set_zones(filter)?;", "        matcher.mock = filter.mock;\n"),
            Edit(MATCHER, '        mutant!("match-needs"', "        self.mock.is_none_or(|mock| mock == e.start_ns) &&\n"),
        ),
    ),
    Place(
        "tests of each condition",
        (
            Edit("crates/ctrack/tests/conditions.rs", "        helper,\n    } = ", "        mock,\n"),
            Edit("crates/ctrack/tests/conditions.rs", "        // One line for each field.\n", '        ("mock", mock.is_some(), Filter { mock: Some(9), ..any() }, |e| e.start_ns = 9),\n'),
        ),
    ),
]

RESULT_RS = "src/result.rs"
RESULT = [
    Place(
        "struct of C",
        (
            Edit(RESULT_RS, "}\n\n/// Size of `ct_result` in the first release", "    /// Mock.\n    pub mock: u64,\n"),
            Edit(RESULT_RS, "size_of::<ct_result>() == RESULT_SIZE_V0 + 8", "size_of::<ct_result>() == RESULT_SIZE_V0 + 16", replace=True),
            Edit(LAYOUT, "first_error, pad0, spared }", "first_error, pad0, spared, mock }", replace=True),
        ),
    ),
    Place("what is written", (Edit(RESULT_RS, "            spared: outcome.spared,\n        };", "            mock: outcome.done,\n"),)),
    Place(
        "sizes that the struct has had",
        (Edit(RESULT_RS, "const RESULT_SIZES: [usize; 2] = [RESULT_SIZE_V0,", "const RESULT_SIZES: [usize; 3] = [RESULT_SIZE_V0, std::mem::offset_of!(ct_result, mock),", replace=True),),
    ),
]

OPEN_RS = "src/open.rs"
OPTIONS = [
    Place(
        "struct of C",
        (
            Edit(OPEN_RS, "}\n\n/// Size of `ct_open_opts` in the first release", "    /// Mock.\n    pub mock: u64,\n"),
            Edit(OPEN_RS, "size_of::<ct_open_opts>() == OPEN_OPTS_SIZE_V0", "size_of::<ct_open_opts>() == OPEN_OPTS_SIZE_V0 + 8", replace=True),
            Edit(LAYOUT, "timeout_ms, rcvbuf, pad0 }", "timeout_ms, rcvbuf, pad0, mock }", replace=True),
        ),
    ),
    Place(
        "what it does",
        (
            Edit(OPEN_RS, "timeout_ms, rcvbuf, pad0 } = *opts;", "timeout_ms, rcvbuf, pad0, mock } = *opts;", replace=True),
            Edit(OPEN_RS, "    options.timeout = (timeout_ms", "    options.compare_start = mock != 0;\n"),
        ),
    ),
]

KINDS = {
    "integer": entry(3, [number("mock", "u64", "LIST CREATE UPDATE")]),
    "bytes": entry(2, [SIXTEEN]),
    "string": entry(2, [TEXT]),
    "update-only": entry(3, [number("mock", "u64", "UPDATE")]),
    "direction": entry(3, [number("mock_orig", "u32", "LIST CREATE UPDATE"), number("mock_reply", "u32", "LIST CREATE UPDATE")]),
    "filter": FILTER,
    "result": RESULT,
    "options": OPTIONS,
}
# What is made by a command, and compared by a test: of every kind.
RECORDS = "header and records (make header; abi/)"


class Trouble(Exception):
    """The tree is not what this program knows."""


def run(tree: Path, command: list[str], target: Path) -> tuple[bool, str]:
    """Whether a command succeeds in the copy, and what it says."""
    environment = dict(os.environ, CARGO_TARGET_DIR=str(target), CARGO_TERM_COLOR="never", RUST_BACKTRACE="0")
    done = subprocess.run(command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.returncode == 0, done.stdout


TESTS = [
    ["cargo", "test", "--quiet", "--locked", "-p", "ctnetlink", "--test", "fields"],
    ["cargo", "test", "--quiet", "--locked", "-p", "ctrack", "--test", "fields", "--test", "conditions"],
    ["cargo", "test", "--quiet", "--locked", "-p", "libctrack", "--test", "layout", "--lib", "field"],
]


def tests(tree: Path, target: Path) -> tuple[bool, str]:
    """The fast tests that walk over all fields."""
    for command in TESTS:
        passed, text = run(tree, command, target)
        if not passed:
            return False, text
    return True, ""


class Copy:
    """A copy of the tree. What was changed in it is put back with a new time, or cargo would not see that."""

    def __init__(self, directory: Path) -> None:
        self.tree = directory / "tree"
        left_out = shutil.ignore_patterns(".git", "target", "build", "build-*", "__pycache__", "corpus", "artifacts")
        shutil.copytree(TREE, self.tree, symlinks=True, ignore=left_out)
        self.changed: dict[str, str] = {}

    def write(self, name: str, text: str) -> None:
        """Changes a file."""
        path = self.tree / name
        self.changed.setdefault(name, path.read_text(encoding="utf-8"))
        path.write_text(text, encoding="utf-8")

    def restore(self) -> None:
        """Puts everything back."""
        for name, text in self.changed.items():
            (self.tree / name).write_text(text, encoding="utf-8")
        self.changed.clear()

    def apply(self, place: Place) -> None:
        """Does what belongs to one place."""
        for edit in place.edits:
            text = (self.tree / edit.file).read_text(encoding="utf-8")
            if text.count(edit.anchor) != 1:
                raise Trouble(f"{edit.file}: {edit.anchor!r} is there {text.count(edit.anchor)} times, for: {place.name}")
            new = edit.text if edit.replace else edit.text + edit.anchor
            self.write(edit.file, text.replace(edit.anchor, new))


def record(copy: Copy, target: Path) -> None:
    """What a developer does last: the header and the records are made anew."""
    for name in ("include/ctrack.h", "abi/layout.txt", "abi/fields.txt"):
        copy.write(name, (copy.tree / name).read_text(encoding="utf-8"))
    passed, text = run(copy.tree, ["make", "--no-print-directory", "header"], target)
    if not passed:
        raise Trouble(text)
    for name in ("layout.txt", "fields.txt"):
        run(copy.tree, ["cargo", "test", "--quiet", "--locked", "-p", "libctrack", "--test", "layout"], target)
        shutil.copyfile(target / "tmp" / name, copy.tree / "abi" / name)


def check(kind: str, places: list[Place], left_out: str | None, copy: Copy, target: Path) -> str | None:
    """What is wrong, if anything is: a field at all places must pass, one that lacks a place must be noticed by name."""
    copy.restore()
    for place in places:
        if place.name != left_out:
            copy.apply(place)
    if left_out is None:
        record(copy, target)
    passed, text = tests(copy.tree, target)
    if left_out is None:
        return None if passed else f"{kind}, at all places: {text}"
    if passed:
        return f"{kind} without {left_out!r}: nothing notices"
    if "mock" not in text.lower():
        return f"{kind} without {left_out!r}: what fails does not say which field\n{text}"
    return None


def main() -> int:
    """0 if all that was checked is as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--all", action="store_true", help="leave out each place")
    parser.add_argument("--list", action="store_true", help="print the places")
    parser.add_argument("--places", type=int, default=1, help="how many places of each kind are left out")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = parser.parse_args()
    kinds = given.kinds or list(KINDS)
    if given.list:
        for kind in kinds:
            for place in KINDS[kind]:
                files = ", ".join(dict.fromkeys(edit.file for edit in place.edits))
                print(f"{kind}: {place.name}: {files}")
            print(f"{kind}: {RECORDS}")
        return 0
    print(f"seed {given.seed}")
    chance = random.Random(given.seed)
    failed = 0
    with tempfile.TemporaryDirectory() as directory:
        copy, target = Copy(Path(directory)), Path(os.environ.get("CARGO_TARGET_DIR") or TREE / "target") / "fields"
        for kind in kinds:
            places = KINDS[kind]
            names_of = [place.name for place in places] + [RECORDS]
            drawn = names_of if given.all else chance.sample(names_of, min(given.places, len(names_of)))
            for left_out in [None, *drawn]:
                wrong = check(kind, places, left_out, copy, target)
                print(f"{'FAILED' if wrong else 'ok    '} {kind}: {'at all places' if left_out is None else 'without ' + left_out}", flush=True)
                if wrong:
                    failed = 1
                    print(wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main())
