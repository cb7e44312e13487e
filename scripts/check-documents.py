#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""check-documents.py [DIRECTORY]: names each link of the Markdown files that leads to no file or heading, and each path in
backquotes that is none.

A path has the ending of a source file, or a slash behind a directory that there is. It is right if a file or directory is called
that, from the top or from any directory on: `ops/find.rs` is enough. Words in capitals stand for names, and what git ignores is
made. The change log tells of what was.
"""

import os
import re
import sys
from pathlib import Path

SOURCE = re.compile(r"\.(rs|c|h|go|py|sh)$")
SKIPPED = {".git", "target", "build", "vendor", "__pycache__", "corpus"}
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
NAME = re.compile(r"(\.?[\w-][\w.-]*/)*[\w.-]*")


def headings(text: str) -> set[str]:
    """The anchors of a document, as the hosts of repositories make them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)).strip().lower() for title in titles]
    return {title.replace(" ", "-") for title in plain}


def prose(text: str) -> str:
    """The text without its programs."""
    return re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)


def main() -> int:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".").resolve()
    found = []
    for at, directories, files in os.walk(root):
        directories[:] = [name for name in directories if name not in SKIPPED]
        found += [Path(at) / name for name in directories + files]
    known = set()
    for path in found:
        parts = path.relative_to(root).parts
        known |= {"/".join(parts[at:]) for at in range(len(parts))}
    made = [line.strip("/") for line in (root / ".gitignore").read_text(encoding="utf-8").split()]
    count, wrong = 0, []
    for document in sorted(path for path in found if path.suffix == ".md" and path.name != "CHANGELOG.md"):
        text = prose(document.read_text(encoding="utf-8"))
        where = document.relative_to(root)
        for link in LINK.findall(CODE.sub("", text)):
            if "://" in link:
                continue
            count += 1
            file, _, anchor = link.partition("#")
            target = document.parent / file if file else document
            if not target.exists():
                wrong.append(f"{where}: {link} leads nowhere")
            elif anchor and anchor not in headings(target.read_text(encoding="utf-8")):
                wrong.append(f"{where}: {link} leads to no heading")
        for code in CODE.findall(text):
            name = code.removeprefix("./").rstrip("/")
            first, slash, _ = code.partition("/")
            if not NAME.fullmatch(name) or not (SOURCE.search(name) or (slash and first in known)):
                continue
            words = re.split(r"\W", name)
            if any(len(word) > 1 and word.isupper() for word in words) or "X.Y" in name or re.search(r"/v\d", name):
                continue
            count += 1
            if name not in known and not any(f"{name}/".startswith(f"{one}/") for one in made):
                wrong.append(f"{where}: there is no {name}")
    if count < 100:
        wrong.append(f"only {count} links and paths were found: were the documents understood?")
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
