#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""next.py TREE: makes a copy of this repository the release after this one, as docs/abi-policy.md says that a release may
grow.

Every struct that may grow does, and struct ct_entry gets a field in the place of `reserved`, by the places of
tests/fields/places.py; and there is a new function under a symbol version of its own. Prints the new version, X.Y. Fails if the
sources are no longer what a change was written for.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "fields"))

from edits import Place, Trouble, edited
from places import KINDS, ON_A_KERNEL


def change(tree: Path, file: str, pattern: str, replacement: str, count: int = 1) -> None:
    """Replaces what matches in one place, or in so many, and no other number of them."""
    path = tree / file
    text, found = re.subn(pattern, replacement, path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    if found != count:
        raise Trouble(f"{file}: {found} places instead of {count} match: {pattern}")
    path.write_text(text, encoding="utf-8")


def version(tree: Path) -> str:
    """Makes it the next minor version."""
    found = re.search(
        r'^version = "((\d+)\.(\d+)\.\d+)"$', (tree / "Cargo.toml").read_text(encoding="utf-8"), re.MULTILINE
    )
    if not found:
        raise Trouble("Cargo.toml has no version")
    old, major, minor = re.escape(found[1]), int(found[2]), int(found[3]) + 1
    new = f"{major}.{minor}.0"
    change(tree, "Cargo.toml", rf'^version = "{old}"$', f'version = "{new}"')
    change(tree, "Cargo.toml", rf'version = "={old}"', f'version = "={new}"', 2)
    change(tree, "Cargo.lock", rf'^(name = "(?:ctnetlink|ctrack|libctrack)"\nversion = )"{old}"$', rf'\g<1>"{new}"', 3)
    change(tree, "src/version.rs", r"(CT_VERSION_MINOR: u32 = )\d+;", rf"\g<1>{minor};")
    change(tree, "src/version.rs", r"(CT_VERSION_PATCH: u32 = )\d+;", r"\g<1>0;")
    change(tree, "src/version.rs", r"(CT_VERSION_NUMBER: u32 = )0x\w+;", rf"\g<1>{major * 65536 + minor * 256:#08x};")
    return f"{major}.{minor}"


def fields(tree: Path) -> None:
    """All structs that may grow do. ct_filter.mock is all bits of the mark, and ct_open_opts.mock at most 7."""
    places, replaced = [], dict(ON_A_KERNEL)
    for kind in ("integer", "filter", "result", "options"):
        for place in KINDS[kind].places:
            if (kind, place.name) in replaced:
                edit = replaced.pop((kind, place.name))
                places += [Place(place.name, (edit,))] if edit else []
            elif place.language == "rust":
                places.append(place)
    if replaced:
        raise Trouble(f"no such places: {list(replaced)}")
    for file, text in edited(tree, places).items():
        (tree / file).write_text(text, encoding="utf-8")


def watches(tree: Path) -> None:
    """The structs of watches that may grow do: ct_watch_opts.mock is at most 7, and ct_watch_info.mock one more than entries."""
    file = "src/watch.rs"
    for name, what in (("ct_watch_opts", "OPTS"), ("ct_watch_info", "INFO")):
        change(
            tree, file, rf"^\}}\n\n(/// Size of `{name}` in the first)", r"    /// Mock.\n    pub mock: u64,\n}\n\n\1"
        )
        change(
            tree,
            file,
            rf"size_of::<{name}>\(\) == WATCH_{what}_SIZE_V0\b",
            rf"size_of::<{name}>() == WATCH_{what}_SIZE_V0 + 8",
        )
    change(tree, file, r"audit_ms, max_entries \} = \*opts;", "audit_ms, max_entries, mock } = *opts;")
    too_large = 'if mock > 7 {\n        return Err(Error::invalid("opts.mock", "is larger than 7"));\n    }\n'
    change(tree, file, r"^    if flags & !FLAGS != 0 \{$", rf"    {too_large}\g<0>".replace("\n", "\\n"))
    change(tree, file, r"^( +)entries: info\.entries as u64,$", r"\g<0>\n\1mock: info.entries as u64 + 1,")


def append(tree: Path, file: str, text: str) -> None:
    """Adds to the end of a file."""
    path = tree / file
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def function(tree: Path, release: str) -> None:
    """A function under a node of its own, which inherits from the last one."""
    append(
        tree,
        "src/version.rs",
        f"\n/// Mock.\n///\n/// @param value a number\n/// @return the next one\n/// Since {release}.\n"
        '#[no_mangle]\npub extern "C" fn ct_mock_added(value: u32) -> u32 {\n    value.wrapping_add(1)\n}\n',
    )
    last = re.findall(r"^(CTRACK_[0-9.]+) \{", (tree / "abi/libctrack.map").read_text(encoding="utf-8"), re.MULTILINE)[
        -1
    ]
    append(tree, "abi/libctrack.map", f"CTRACK_{release} {{\nglobal:\n\tct_mock_added;\n}} {last};\n")
    append(tree, "abi/symbols.txt", "ct_mock_added\n")


def main() -> None:
    """Changes the tree that is named."""
    tree = Path(sys.argv[1])
    try:
        release = version(tree)
        fields(tree)
        watches(tree)
        function(tree, release)
    except Trouble as trouble:
        sys.exit(f"next.py: {trouble}")
    print(release)


if __name__ == "__main__":
    main()
