#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""compare.py OLD.h NEW.h MAP: whether a program that was compiled with OLD.h runs with the library of NEW.h.

OLD.h is the header of a release, MAP the version script of NEW.h's library. Prints each broken promise of
docs/abi-policy.md on a line and fails if there is one. Within one release (X.Y) nothing may differ.
"""

import re
import subprocess
import sys
from pathlib import Path

# They begin with their size and may grow at the end. All others keep their size.
GROWING = {"ct_open_opts", "ct_filter", "ct_result", "ct_watch_opts", "ct_watch_info"}
SIZES = {"uint8_t": 1, "char": 1, "uint16_t": 2, "uint32_t": 4, "int32_t": 4, "uint64_t": 8}


class Header:
    """What a program takes from a header: constants, structs and functions."""

    def __init__(self, file: str) -> None:
        command = ["gcc", "-fpreprocessed", "-dD", "-E", "-P", "-x", "c", file]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        self.macros = dict(re.findall(r"^#define (\w+)(?: +(.*))?$", text, re.MULTILINE))
        # Flags of 0.1 were signed, which -Wsign-conversion reported where they were used. Their values are the same.
        self.macros = {name: re.sub(r"^\(1 << ", "(1u << ", value) for name, value in self.macros.items()}
        self.release = (int(self.macros["CT_VERSION_MAJOR"]), int(self.macros["CT_VERSION_MINOR"]))
        self.structs: dict[str, list[tuple[str, str, int]]] = {}
        for name, body in re.findall(r"^struct (\w+) \{(.*?)^\};", text, re.MULTILINE | re.DOTALL):
            fields = re.findall(r"^ *(?:struct )?(\w+) (\w+)(?:\[(\d+)\])?;$", body, re.MULTILINE)
            if len(fields) != body.count(";"):
                sys.exit(f"compare.py: {file}: a field of {name} cannot be read")
            self.structs[name] = [(kind, field, int(count or 1)) for kind, field, count in fields]
        declared = re.findall(r"^([a-z][\w ]*[ *])(ct_\w+)\(([^)]*)\);", text, re.MULTILINE)
        self.functions = {name: " ".join(f"{kind.strip()} ({arguments})".split()) for kind, name, arguments in declared}
        if not (self.structs and self.functions):
            sys.exit(f"compare.py: {file}: no structs or no functions")

    def size(self, fields: list[tuple[str, str, int]]) -> int:
        """No struct has hidden padding (scripts/test-install.sh)."""
        return sum(self.one(kind) * count for kind, _, count in fields)

    def one(self, kind: str) -> int:
        return SIZES[kind] if kind in SIZES else self.size(self.structs[kind])


def struct_faults(name: str, old: Header, new: Header) -> list[str]:
    before, after = old.structs[name], new.structs.get(name)
    if after is None:
        return [f"struct {name} is gone"]
    if name == "ct_entry" and before[-1][1] == "reserved":
        # Fields may take the place of reserved bytes, at the same end.
        before = before[:-1]
    faults = [
        f"struct {name}: {was} became {now}" for was, now in zip(before, [*after, *[None] * len(before)]) if was != now
    ]
    if name not in GROWING and old.size(old.structs[name]) != new.size(after):
        faults.append(f"struct {name} has another size")
    return faults


def nodes(file: str) -> dict[str, tuple[int, ...]]:
    """The release that each symbol of a version script came with."""
    found = {}
    for release, body in re.findall(r"^CTRACK_([0-9.]+) \{(.*?)^\}", Path(file).read_text(), re.MULTILINE | re.DOTALL):
        for name in re.findall(r"\b(ct_\w+);", body):
            found[name] = tuple(map(int, release.split(".")))
    return found


def faults(old: Header, new: Header, versions: dict[str, tuple[int, ...]]) -> list[str]:
    found = []
    for name, value in old.macros.items():
        if not name.startswith("CT_VERSION_") and new.macros.get(name) != value:
            found.append(f"{name} was {value} and is {new.macros.get(name)}")
    for name in old.structs:
        found += struct_faults(name, old, new)
    for name, declared in old.functions.items():
        if new.functions.get(name) != declared:
            found.append(f"{name} was {declared} and is {new.functions.get(name)}")
        if name not in versions:
            found.append(f"{name} is not exported")
        elif versions[name] > old.release:
            found.append(f"{name} left the symbol version that its callers ask for")
    found += [f"{name} came into a node that was sealed" for name, at in versions.items() if at <= old.release and name not in old.functions]
    if old.release == new.release:
        same = (
            old.structs == new.structs
            and old.functions == new.functions
            and old.macros.keys() == new.macros.keys()
        )
        if not same:
            found.append("both are of one release, and they differ")
    return found


if __name__ == "__main__":
    broken = faults(Header(sys.argv[1]), Header(sys.argv[2]), nodes(sys.argv[3]))
    print("\n".join(broken), end="\n" if broken else "")
    sys.exit(bool(broken))
