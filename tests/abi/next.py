#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""next.py TREE: makes a copy of this repository the release after this one, as docs/abi-policy.md says that a release may grow.

Every struct that may grow does, struct ct_entry gets a field in the place of `reserved`, and there is a new function under a
symbol version of its own. Prints the new version, X.Y. Fails if the sources are no longer what a change was written for.
"""

import re
import sys
from pathlib import Path

TREE = Path(sys.argv[1])


def change(file: str, pattern: str, replacement: str) -> re.Match[str]:
    """Replaces what matches in one place, and in one place only."""
    path = TREE / file
    text = path.read_text()
    found = list(re.finditer(pattern, text, re.MULTILINE | re.DOTALL))
    if len(found) != 1:
        sys.exit(f"next.py: {file}: {len(found)} places instead of 1 match: {pattern}")
    path.write_text(text[: found[0].start()] + found[0].expand(replacement) + text[found[0].end() :])
    return found[0]


def one_more_bit(file: str, constant: str) -> int:
    """Makes the next bit a known one; returns its number."""
    bit = int(change(file, rf"({constant}: u64 = )\(1 << (\d+)\) - 1;", r"\g<0>")[2])
    change(file, rf"({constant}: u64 = )\(1 << \d+\) - 1;", rf"\g<1>(1 << {bit + 1}) - 1;")
    return bit


def version() -> str:
    found = re.search(r'^version = "(\d+)\.(\d+)\.\d+"$', (TREE / "Cargo.toml").read_text(), re.MULTILINE)
    if not found:
        sys.exit("next.py: Cargo.toml has no version")
    major, minor = found[1], int(found[2]) + 1
    change("Cargo.toml", r'^version = "[0-9.]+"$', f'version = "{major}.{minor}.0"')
    change("Cargo.lock", r'(name = "ctrack"\nversion = )"[0-9.]+"', rf'\1"{major}.{minor}.0"')
    change("src/ffi/abi.rs", r"(CT_VERSION_MINOR: u32 = )\d+;", rf"\g<1>{minor};")
    change("src/ffi/abi.rs", r"(CT_VERSION_PATCH: u32 = )\d+;", r"\g<1>0;")
    change("src/ffi/abi.rs", r"(CT_VERSION_NUMBER: u32 = )0x\w+;", rf"\g<1>{int(major) * 65536 + minor * 256:#08x};")
    return f"{major}.{minor}"


def grow_structs() -> None:
    """A field at the end of each; zero means as before."""
    for name, constant in (("ct_open_opts", "OPEN_OPTS"), ("ct_filter", "FILTER"), ("ct_result", "RESULT")):
        change("src/ffi/abi.rs", rf"(pub struct {name} \{{[^}}]*)\}}", r"\1    /// Mock.\n    pub mock: u64,\n}")
        size = rf"(size_of::<{name}>\(\) == {constant}_SIZE_V0)(?: \+ (\d+))?"
        grown = int(change("src/ffi/abi.rs", size, r"\g<0>")[2] or 0)
        change("src/ffi/abi.rs", size, rf"\1 + {grown + 8}")
    # ct_open_opts.mock: 0 to 7.
    change(
        "src/ffi/handle.rs",
        r"    if opts\.pad0 != 0 \{",
        '    if opts.mock > 7 {\n        return Err(Error::invalid("opts.mock", "is larger than 7"));\n    }\n\\g<0>',
    )
    # ct_filter.mock: all bits of the mark.
    bits = one_more_bit("src/ffi/abi.rs", "MATCH_ALL")
    change(
        "src/ffi/abi.rs",
        r"/// Every `CT_MATCH_\*` bit",
        rf"/// mock counts.\npub const CT_MATCH_MOCK: u64 = 1u64 << {bits};\n\n\g<0>",
    )
    change(
        "src/ffi/convert.rs",
        r"mark: counts\(CT_MATCH_MARK\)\.then_some\(Masked \{ value: raw\.mark, mask: raw\.mark_mask \}\)",
        r"\g<0>.or(counts(CT_MATCH_MOCK).then_some(Masked { value: raw.mock as u32, mask: u32::MAX }))",
    )
    count = int(change("src/ffi/convert.rs", r"\(&str, u8, u8, u64\); (\d+)\]", r"\g<0>")[1])
    change("src/ffi/convert.rs", rf"u64\); {count}\]", f"u64); {count + 1}]")
    change("src/ffi/convert.rs", r'        at!\("\.id", .*?\),', r'\g<0>\n        at!(".mock", mock, 8, CT_MATCH_MOCK),')
    # ct_result.mock: one more than matched; only for callers that have room for it.
    change("src/ffi/delete.rs", r"^    has_spared: bool,", r"\g<0>\n    size: usize,")
    change("src/ffi/delete.rs", r"= ResultOut \{ pointer,", r"\g<0> size: given.size as usize,")
    change(
        "src/ffi/delete.rs",
        r"            \(\*self\.pointer\)\.first_error = first_error;",
        r"\g<0>\n            if self.size >= size_of::<ct_result>() {\n                (*self.pointer).mock = outcome.matched + 1;\n"
        r"            }",
    )


def entry_field() -> None:
    """ct_entry.mock in the place of the first reserved word: one more than the mark."""
    words = int(change("src/types.rs", r"    /// Zero\.\n    pub reserved: \[u64; (\d+)\],", r"    /// Mock.\n    pub mock: u64,\n\g<0>")[1])
    change("src/types.rs", rf"pub reserved: \[u64; {words}\]", f"pub reserved: [u64; {words - 1}]")
    change("src/types.rs", rf"        reserved: \[0; {words}\],", f"        mock: 0,\n        reserved: [0; {words - 1}],")
    change("src/ffi/abi.rs", r"offset_of!\(Entry, reserved\) == (\d+)", r"offset_of!(Entry, reserved) == \1 + 8")
    bits = one_more_bit("src/types.rs", "HAS_ALL")
    change("src/types.rs", r"^pub\(crate\) const HAS_ALL:[^;]*;", rf"\g<0>\n/// mock.\npub const CT_HAS_MOCK: u64 = 1u64 << {bits};")
    change("src/ops/check.rs", rf"e\.reserved != \[0; {words}\]", f"e.reserved != [0; {words - 1}]")
    change("src/ops/check.rs", r'        \("mark", e\.mark != 0, CT_HAS_MARK\),', r'\g<0>\n        ("mock", e.mock != 0, CT_HAS_MOCK),')
    change("src/ops/check.rs", r"        && \(e\.mark == 0 \|\| e\.has\(CT_HAS_MARK\)\)", r"\g<0>\n        && (e.mock == 0 || e.has(CT_HAS_MOCK))")
    change(
        "src/wire/decode.rs",
        r'entry\.mark = attr\.be32\("CTA_MARK"\)\?;',
        r"\g<0>\n                entry.mock = u64::from(entry.mark) + 1;\n                has |= CT_HAS_MOCK;",
    )


def function(release: str) -> None:
    """A function under a node of its own, which inherits from the last one."""
    path = TREE / "src/ffi/version.rs"
    path.write_text(
        path.read_text()
        + f"\n/// Mock.\n///\n/// @param value a number\n/// @return the next one\n/// Since {release}.\n"
        + '#[no_mangle]\npub extern "C" fn ct_mock_added(value: u32) -> u32 {\n    value.wrapping_add(1)\n}\n'
    )
    path = TREE / "abi/libctrack.map"
    last = re.findall(r"^(CTRACK_[0-9.]+) \{", path.read_text(), re.MULTILINE)[-1]
    path.write_text(path.read_text() + f"CTRACK_{release} {{\nglobal:\n\tct_mock_added;\n}} {last};\n")
    path = TREE / "abi/symbols.txt"
    path.write_text(path.read_text() + "ct_mock_added\n")


if __name__ == "__main__":
    release = version()
    grow_structs()
    entry_field()
    function(release)
    print(release)
