# SPDX-License-Identifier: MIT OR Apache-2.0
"""Prints debian/copyright: copyright.py CRATE-DIRECTORY..., in the directory that has them. Called by scripts/dist.sh."""

import pathlib
import re
import sys
import tomllib

HEAD = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: libctrack
Comment: Written by scripts/dist.sh --write-copyright. A directory in vendor that is not listed by itself has no sources: it is
 the manifest of a crate that cargo must know of and does not compile.

Files: *
Copyright: {holder}
License: Expat or Apache-2.0
"""

# What Debian calls the licences that SPDX names otherwise.
NAMES = {
    "MIT": "Expat",
    "Apache-2.0": "Apache-2.0",
    "BSD-2-Clause": "BSD-2-clause",
    "Unicode-3.0": "Unicode-3.0",
    "Zlib": "Zlib",
}


def licence(expression: str) -> str:
    """An SPDX expression as DEP-5 writes it: no parentheses, so `(A or B) and C` has a comma."""
    words = re.sub(r"\s*/\s*", " OR ", expression)
    words = re.sub(r"\(([^()]*)\) AND ", r"\1, AND ", words)
    if "(" in words:
        sys.exit(f"copyright.py: {expression}: teach it to me")
    return " ".join({"OR": "or", "AND": "and"}.get(w) or NAMES[w.rstrip(",")] + "," * w.endswith(",") for w in words.split())


def holders(crate: pathlib.Path, authors: list[str]) -> list[str]:
    """Whom the licence files name, or else the authors of the manifest, without addresses."""
    found = {}
    for file in sorted(crate.iterdir()):
        if not re.match(r"(?i)licen[cs]e|copying|copyright", file.name) or not file.is_file():
            continue
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            match = re.match(r"\s*(?:Copyright|COPYRIGHT)\s+(?:(?:\([cC]\)|©)\s*)?([0-9].*|[A-Z][a-z].*)", line)
            if match and not re.search(r"\[|[Ll]icense|notice|owner", match[1]):
                found[re.sub(r"\s*<[^>]*@[^>]*>|\s*All rights reserved\.?", "", match[1]).strip().rstrip(".")] = None
    return list(found) or [re.sub(r"\s*<.*>", "", author) for author in authors] or [f"the authors of {crate.name}"]


def indented(text: str) -> str:
    return "\n".join(" " + (line.rstrip() or ".") for line in text.strip().splitlines())


def without_head(text: str, start: str) -> str:
    return text[text.index(start) :]


root = pathlib.Path("..")
mit = (root / "LICENSE-MIT").read_text(encoding="utf-8")
print(HEAD.format(holder=re.search(r"Copyright (?:\(c\) )?(.*)", mit)[1]))
texts = {
    "Expat": indented(without_head(mit, "Permission is hereby granted")),
    "Apache-2.0": " On Debian systems the text is in /usr/share/common-licenses/Apache-2.0.",
}
for name in sys.argv[1:]:
    crate = pathlib.Path(name)
    package = tomllib.loads((crate / "Cargo.toml").read_text(encoding="utf-8"))["package"]
    terms = licence(package["license"])
    print(f"Files: vendor/{name}/*")
    print("Copyright: " + "\n ".join(holders(crate, package.get("authors", []))))
    print(f"License: {terms}\n")
    if "BSD-2-clause" in terms and "BSD-2-clause" not in texts:
        texts["BSD-2-clause"] = indented(without_head((crate / "LICENSE-BSD").read_text(encoding="utf-8"), "Redistribution and use"))
    if "Unicode-3.0" in terms and "Unicode-3.0" not in texts:
        texts["Unicode-3.0"] = indented((crate / "LICENSE-UNICODE").read_text(encoding="utf-8"))
    for word in re.split(r",? (?:or|and) ", terms):
        if word not in texts:
            sys.exit(f"copyright.py: {name}: no text for {word}")
print("\n\n".join(f"License: {word}\n{text}" for word, text in sorted(texts.items())))
