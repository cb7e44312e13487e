#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""check-circles.py [--arrows] [DIRECTORY]: which source files of the library's crates import which, by their texts.

Fails where files import each other in a circle, and where a file imports from a layer above its own (LAYERS). What counts: `use`,
paths in the code, re-exports and macros. A name that a mod.rs or lib.rs only passes on counts for the file that defines it, be it
of another crate. What does not: `mod`, comments, and what is built for tests alone, such as crates that are not published.
--arrows prints what was found, one arrow a line.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

# The crates from low to high, and in each the modules of its lib.rs from low to high.
LAYERS = {
    "ctnetlink": [
        {"mutants"},
        {"names", "consts"},
        {"flags"},
        {"tuple"},
        {"entry"},
        {"types", "fields"},
        {"error", "detail", "buffer"},
        {"attr", "template"},
        {"decode", "encode", "message"},
        {"layout", "kernel_filter", "stats"},
        {"event"},
        {"lib"},
    ],
    "ctrack": [
        {"sort", "sys"},
        {"filter", "text"},
        {"error"},
        {"selection", "presets"},
        {"socket"},
        {"ops"},
        {"watch"},
        {"conntrack"},
        {"seams", "testing"},
        {"lib"},
    ],
    "ctrack_c": [
        {"version", "process", "cancel", "extend", "entry", "filter"},
        {"boundary", "result", "convert"},
        {"call"},
        {"open"},
        {"change"},
        {"read", "dump", "delete", "flush", "presets", "text"},
        {"event"},
        {"watch"},
        {"abi"},
        {"seams"},
        {"lib"},
    ],
}

Path_ = tuple[str, ...]

TOKEN = re.compile(
    r"""(?P<gone>\s+|//[^\n]*|(?:br|cr|r)(?P<hashes>\#*)"(?s:.*?)"(?P=hashes)|[bc]?"(?:\\(?s:.)|[^"\\])*"
        |b?'(?:\\[^\n]+?|[^\\'])'|'\w+)
      |(?P<word>(?:r\#)?[A-Za-z_]\w*)|(?P<number>\d[\w.]*)|(?P<sign>::|=>|->|(?s:.))""",
    re.VERBOSE,
)
OPENING = {"(": ")", "[": "]", "{": "}"}
# What begins something that ends with its braces, or with a semicolon.
ITEMS = {"pub", "mod", "fn", "impl", "trait", "struct", "enum", "union", "unsafe", "extern", "const", "static", "type", "async"}
ITEMS |= {"macro_rules"}
NAMED = {"fn", "trait", "struct", "enum", "union", "const", "static", "type"}
KEYWORDS = {"crate", "self", "super"}


def tokens(text: str) -> list[tuple[str, int]]:
    """The words and signs of a source with their lines, without comments and literals."""
    found, line, at = [], 1, 0
    while at < len(text):
        if text.startswith("/*", at):
            depth, end = 1, at + 2
            while depth and end < len(text):
                step = text[end : end + 2]
                depth += {"/*": 1, "*/": -1}.get(step, 0)
                end += 2 if step in ("/*", "*/") else 1
            part = text[at:end]
        else:
            match = TOKEN.match(text, at)
            assert match
            part = match[0]
            if match["word"] or match["sign"] or match["number"]:
                found.append((part.removeprefix("r#"), line))
        line += part.count("\n")
        at += len(part)
    return found


@dataclass
class Module:
    """A module: of a file, or in one."""

    file: str
    # What it defines, but for modules.
    items: set[str] = field(default_factory=set)
    # What it imports, and from where.
    names: dict[str, list[Path_]] = field(default_factory=lambda: defaultdict(list))
    globs: list[Path_] = field(default_factory=list)


@dataclass
class Arrow:
    """That a file imports from another one: where, and what."""

    line: int
    what: str


def crates(root: Path) -> dict[str, Path]:
    """The published crates of a workspace: the name that others call each by, and the directory of its sources."""
    found = {}
    for manifest in [root / "Cargo.toml", *sorted(root.glob("crates/*/Cargo.toml"))]:
        content = tomllib.loads(manifest.read_text(encoding="utf-8"))
        package = content["package"]
        if package.get("publish", True):
            name = content.get("lib", {}).get("name", package["name"].replace("-", "_"))
            found[name] = manifest.parent / "src"
    return found


class Sources:
    """The modules of all crates, each path beginning with the name of its crate, and the arrows between their files."""

    def __init__(self, root: Path) -> None:
        self.modules: dict[Path_, Module] = {}
        # Where a macro is defined, by its name.
        self.macros: dict[str, set[str]] = defaultdict(set)
        # The imports and the paths in code, each with its module and its line; of globs also whether they pass all on.
        self.uses: list[tuple[Path_, Path_, int]] = []
        self.paths: list[tuple[Path_, Path_, int]] = []
        self.globs: list[tuple[Path_, Path_, int, bool]] = []
        # The macros that are called, with file and line; and all words of a file.
        self.called: list[tuple[str, str, int]] = []
        self.words: dict[str, set[str]] = defaultdict(set)
        self.arrows: dict[str, dict[str, Arrow]] = {}
        # The name of the crate of each file, and the module of its lib.rs that it belongs to.
        self.belongs: dict[str, tuple[str, str]] = {}
        self.crates = crates(root)
        for crate, directory in self.crates.items():
            if not (directory / "lib.rs").is_file():
                raise FileNotFoundError(f"{directory} has no lib.rs")
            for file in sorted(directory.rglob("*.rs")):
                parts = file.relative_to(directory).with_suffix("").parts
                if "tests" in parts:
                    continue
                name = file.relative_to(root).as_posix()
                self.belongs[name] = crate, parts[0]
                module = parts[:-1] if parts[-1] in ("mod", "lib") else parts
                Reader(self, name, (crate, *module), tokens(file.read_text(encoding="utf-8"))).read()
        for name in sorted({module.file for module in self.modules.values()}):
            self.arrows[name] = {}
        self.draw()

    def draw(self) -> None:
        for found, is_code in [(self.uses, False), (self.paths, True)]:
            for module, path, line in found:
                for file in self.resolve(module, path, is_code):
                    self.arrow(self.modules[module].file, file, line, "::".join(path))
        for module, path, line, is_public in self.globs:
            file = self.modules[module].file
            for target in self.resolve(module, path) if is_public else self.glob(module, path, self.words[file], set()):
                self.arrow(file, target, line, "::".join((*path, "*")))
        for file, macro, line in self.called:
            if file not in self.macros[macro]:
                for target in sorted(self.macros[macro]):
                    self.arrow(file, target, line, f"{macro}!")

    def arrow(self, file: str, target: str, line: int, what: str) -> None:
        if target != file:
            self.arrows[file].setdefault(target, Arrow(line, what))

    def module(self, base: Path_, path: Path_) -> tuple[Path_, Path_] | None:
        """Where a path begins, and what is left of it; None if outside of the crates."""
        if path[0] == "crate":
            return base[:1], path[1:]
        if path[0] not in ("self", "super"):
            known = self.modules[base]
            if (*base, path[0]) in self.modules or path[0] in known.items or path[0] in known.names:
                return base, path
            return ((path[0],), path[1:]) if path[0] in self.crates else None
        while path and path[0] in ("self", "super"):
            base = base[:-1] if path[0] == "super" else base
            path = path[1:]
        return base, path

    def resolve(self, base: Path_, path: Path_, is_code: bool = False) -> set[str]:
        """The files in which that is defined what the path, in this module, leads to. A path in code ends at no module."""
        begin = self.module(base, path)
        return self.follow(*begin, is_code, set()) if begin else set()

    def follow(self, base: Path_, path: Path_, is_code: bool, seen: set[tuple[Path_, str]]) -> set[str]:
        while len(path) > is_code and (*base, path[0]) in self.modules:
            if len(path) == 1 and path[0] in self.modules[base].items:
                # A module and something else of the same name.
                return {self.modules[base].file, self.modules[(*base, path[0])].file}
            base, path = (*base, path[0]), path[1:]
        module = self.modules[base]
        if not path or path[0] in module.items:
            return {module.file}
        if (base, path[0]) in seen:
            return set()
        seen.add((base, path[0]))
        found: set[str] = set()
        for target in module.names.get(path[0], []):
            if begin := self.module(base, target):
                found |= self.follow(begin[0], begin[1] + path[1:], is_code, seen)
            else:
                # From another crate.
                return set()
        for target in module.globs:
            if not found and (begin := self.module(base, target)):
                inner = self.inner(*begin)
                if inner is not None and self.has(inner, path[0], set()):
                    found |= self.follow(inner, path, is_code, seen)
        # A name that is nowhere comes from a macro: it counts for where it is asked for.
        return found or {module.file}

    def inner(self, base: Path_, path: Path_) -> Path_ | None:
        """The module that a path leads to; None if it is something else (the variants of an enum)."""
        while path and (*base, path[0]) in self.modules:
            base, path = (*base, path[0]), path[1:]
        return None if path else base

    def has(self, base: Path_, name: str, seen: set[Path_]) -> bool:
        """Whether a module has a name, be it from elsewhere."""
        module = self.modules[base]
        if base in seen:
            return False
        seen.add(base)
        if name in module.items or name in module.names or (*base, name) in self.modules:
            return True
        begins = (self.module(base, path) for path in module.globs)
        inners = (self.inner(*begin) for begin in begins if begin)
        return any(inner is not None and self.has(inner, name, seen) for inner in inners)

    def glob(self, base: Path_, path: Path_, words: set[str], seen: set[Path_]) -> set[str]:
        """The files of which a file with these words uses something through a glob import."""
        begin = self.module(base, path)
        inner = self.inner(*begin) if begin else None
        if inner is None:
            return self.resolve(base, path)
        if inner in seen:
            return set()
        seen.add(inner)
        module = self.modules[inner]
        found = {module.file} if module.items & words else set()
        for name in module.names.keys() & words:
            found |= self.resolve(inner, (name,))
        for further in module.globs:
            found |= self.glob(inner, further, words, seen)
        return found


class Reader:
    """Reads one file."""

    def __init__(self, sources: Sources, name: str, module: Path_, words: list[tuple[str, int]]) -> None:
        self.sources, self.file, self.words, self.at = sources, name, words, 0
        # The modules that are open, each with how many braces were open before it.
        self.open: list[tuple[Path_, int]] = [(module, -1)]
        self.depth = 0
        self.sources.modules[self.here] = Module(name)

    @property
    def here(self) -> Path_:
        return self.open[-1][0]

    def word(self, ahead: int = 0) -> str:
        at = self.at + ahead
        return self.words[at][0] if at < len(self.words) else ""

    def read(self) -> None:
        while self.at < len(self.words):
            word, line = self.words[self.at]
            if word == "#" and self.word(1) in ("[", "!"):
                self.attribute()
            elif word == "use" and self.word(1) != "<":
                is_public = self.word(-1) in ("pub", ")")
                self.at += 1
                self.use((), line, is_public)
            elif word == "mod" and self.word(2) == "{":
                self.open.append(((*self.here, self.word(1)), self.depth))
                self.sources.modules[self.here] = Module(self.file)
                self.at += 2
            elif word == "macro_rules" and self.word(1) == "!":
                self.sources.macros[self.word(2)].add(self.file)
                self.at += 3
            elif word == "{":
                self.depth += 1
                self.at += 1
            elif word == "}":
                self.depth -= 1
                if self.depth == self.open[-1][1]:
                    self.open.pop()
                self.at += 1
            elif word[0].isalpha() or word[0] == "_":
                self.name(word, line)
            else:
                self.at += 1

    def attribute(self) -> None:
        start = self.at
        self.at += 1 if self.word(1) == "[" else 2
        self.skip_brackets()
        inside = [word for word, _ in self.words[start : self.at]]
        if "cfg" in inside[:4] and "test" in inside and "not" not in inside:
            self.skip_item()

    def skip_brackets(self) -> None:
        """Goes behind what the bracket opens at which it is."""
        depth = 0
        while self.at < len(self.words):
            depth += (self.word() in OPENING) - (self.word() in OPENING.values())
            self.at += 1
            if depth == 0:
                return

    def skip_item(self) -> None:
        """Goes behind an item, a statement or a field."""
        while self.word() == "#":
            self.at += 1
            self.skip_brackets()
        item = self.word() in ITEMS or self.word() == "{"
        while self.at < len(self.words):
            word = self.word()
            if word in OPENING.values():
                return
            if word in OPENING:
                self.skip_brackets()
                if item and word == "{":
                    return
                continue
            self.at += 1
            if word == ";" or word == "," and not item:
                return

    def use(self, before: Path_, line: int, is_public: bool) -> None:
        """A tree of imports."""
        path = before
        while self.at < len(self.words):
            word = self.word()
            self.at += 1
            if word == "{":
                while self.word() not in ("}", ""):
                    self.use(path, self.words[self.at][1], is_public)
                    if self.word() == ",":
                        self.at += 1
                self.at += 1
                return
            if word == "*":
                self.sources.modules[self.here].globs.append(path)
                self.sources.globs.append((self.here, path, line, is_public))
                return
            if word == "::":
                continue
            if word == "self" and path:
                pass
            else:
                path = (*path, word)
            if self.word() != "::":
                break
        name = path[-1]
        if self.word() == "as":
            name = self.word(1)
            self.at += 2
        if path[0] in KEYWORDS or len(path) > 1 or name != path[0]:
            self.sources.modules[self.here].names[name].append(path)
        self.sources.uses.append((self.here, path, line))

    def name(self, word: str, line: int) -> None:
        """A word of the code: the name of an item, a macro, or where a path begins."""
        if word in NAMED and self.depth == self.open[-1][1] + 1 and re.match(r"\w", self.word(1) or " "):
            ahead = 2 if word == "const" and self.word(1) in ("fn", "unsafe", "extern") else 1
            self.sources.modules[self.here].items.add(self.word(ahead))
        path: Path_ = (word,)
        self.at += 1
        while self.word() == "::" and re.match(r"[A-Za-z_]", self.word(1) or " "):
            path = (*path, self.word(1))
            self.at += 2
        if self.word() == "!" and self.word(1) in OPENING:
            self.sources.called.append((self.file, path[-1], line))
        if len(path) > 1:
            self.sources.paths.append((self.here, path, line))
        self.sources.words[self.file].update(path)


def circles(arrows: dict[str, dict[str, Arrow]]) -> list[list[str]]:
    """The shortest circle through each file that is in one, each circle once."""
    found: dict[frozenset[str], list[str]] = {}
    for start in arrows:
        before, queue = {start: ""}, [start]
        while queue:
            file = queue.pop(0)
            if start in arrows[file]:
                circle = [file]
                while circle[0] != start:
                    circle.insert(0, before[circle[0]])
                found.setdefault(frozenset(circle), circle)
                break
            for target in sorted(arrows[file]):
                if target not in before:
                    before[target] = file
                    queue.append(target)
    return list(found.values())


def upward(sources: Sources) -> list[str]:
    """What is wrong with the layers, in words."""
    wrong: list[str] = []
    # Of each file the number of its crate, and that of its layer in there.
    levels: dict[str, tuple[int, int]] = {}
    for file, (crate, module) in sources.belongs.items():
        layers = LAYERS.get(crate, [])
        at = next((number for number, modules in enumerate(layers) if module in modules), None)
        if at is None:
            wrong.append(f"{file} is in no layer; LAYERS of this script needs it")
        else:
            levels[file] = list(LAYERS).index(crate), at
    for file, targets in sources.arrows.items():
        for target, arrow in targets.items():
            if file in levels and target in levels and levels[file] < levels[target]:
                wrong.append(f"{file}:{arrow.line} imports from a layer above it: {arrow.what} ({target})")
    return wrong


def main() -> int:
    names = [word for word in sys.argv[1:] if word != "--arrows"]
    sources = Sources(Path(names[0]) if names else Path(__file__).resolve().parents[1])
    arrows = sources.arrows
    if "--arrows" in sys.argv:
        for file, targets in arrows.items():
            for target, arrow in sorted(targets.items()):
                print(f"{file} -> {target} (line {arrow.line}: {arrow.what})")
    wrong = 0
    for circle in circles(arrows):
        print("a circle of imports:")
        for file, target in zip(circle, [*circle[1:], circle[0]]):
            arrow = arrows[file][target]
            print(f"  {file}:{arrow.line} imports {target}: {arrow.what}")
        wrong = 1
    for text in upward(sources):
        print(text)
        wrong = 1
    return wrong


if __name__ == "__main__":
    sys.exit(main())
