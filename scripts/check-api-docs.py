#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""check-api-docs.py FILE.json...: what the documentation of a crate lacks, by what rustdoc writes about it (--output-format json).

- A public function or method without an example. It has one in its own text, or is called in one of the type or of the module that it
  belongs to. What a macro makes together with a type, as bitflags! does, has that macro's documentation.
- Words that only users of the C library know.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

Item = dict[str, Any]

C_WORDS = re.compile(
    r"\b(?:CT_[A-Z]\w*|ct_[a-z]\w*|NULL|strerror)\b|(?<![\w-])-E[A-Z]{3,}\b|\bC (?:callers?|functions?|programs?|boundary|header)\b"
)


def code(item: Item) -> str:
    """The examples of a text."""
    return "\n".join((item["docs"] or "").split("```")[1::2])


def within(inner: Item, outer: Item) -> bool:
    """Whether the source of one is a part of the other's: it is made by the macro call that makes the other too."""
    a, b = inner["span"], outer["span"]
    return bool(a and b and a["filename"] == b["filename"] and b["begin"] <= a["begin"] and a["end"] <= b["end"])


def members(index: dict[str, Item], item: Item) -> Iterator[Item]:
    """What belongs to an item: what a module has or passes on, methods, fields and variants."""
    kind, inner = next(iter(item["inner"].items()))
    ids: list[int] = []
    if kind in ("module", "trait"):
        ids = inner["items"]
    elif kind == "use" and inner["id"] is not None:
        ids = [inner["id"]]
    elif kind == "variant" and "struct" in inner["kind"]:
        ids = inner["kind"]["struct"]["fields"]
    elif kind == "struct" and "plain" in inner["kind"]:
        ids = inner["kind"]["plain"]["fields"]
    elif kind == "enum":
        ids = inner["variants"]
    for impl in inner["impls"] if kind in ("struct", "enum", "union") else []:
        details = index[str(impl)]["inner"]["impl"]
        ids = ids if details["trait"] else ids + details["items"]
    for member in (index.get(str(member)) for member in ids):
        if member and (member["visibility"] == "public" or kind in ("enum", "variant", "trait")):
            yield member


def reached(index: dict[str, Item], root: Item) -> Iterator[tuple[Item, Item]]:
    """All that is public, each with what it belongs to. Whatever is hidden, rustdoc leaves out of what it belongs to."""
    seen, todo = set(), [root]
    while todo:
        parent = todo.pop()
        for item in members(index, parent):
            if item["id"] not in seen:
                seen.add(item["id"])
                todo.append(item)
                yield item, parent


def lacking(path: str) -> Iterator[str]:
    with open(path, encoding="utf-8") as file:
        crate = json.load(file)
    index = {key: item for key, item in crate["index"].items() if item["crate_id"] == 0}
    root = index[str(crate["root"])]
    count = 0
    for item, parent in [(root, root), *reached(index, root)]:
        name = "::".join(dict.fromkeys((root["name"], parent["name"] or root["name"], item["name"] or "")))
        if "function" in item["inner"]:
            count += 1
            called = re.search(rf"\b{item['name']}\b", code(parent))
            if not code(item) and not called and not within(parent, item):
                yield f"{name} has no example"
        for word in sorted(set(C_WORDS.findall(item["docs"] or ""))):
            yield f"{name}: its text says {word}"
    if not count:
        yield f"{path}: no functions"


def main() -> int:
    found = [line for path in sys.argv[1:] for line in lacking(path)]
    print(*sorted(found), sep="\n", end="\n" if found else "")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
