#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""mock.py [--list] [--all] [--bindings] [--seed N] [--places N] [KIND...]: whether a field can be added by the places
that places.py lists, and whether forgetting any of them is noticed.

Takes a copy of the tree, adds a mock field at all of its places, has the records made (the header, abi/), and runs the
fast tests, which must pass. Then it leaves out one place at a time: the tests must fail, or not compile, and say "mock".
Leaving out a record must be noticed in the same way. Without --all, some kinds are tried with all of their places, and
without some of them, drawn by a seed that is printed. --bindings does the same with the places of Go and Python, by
tests that need no library that knows the field; Python loads the one in build/ (CTRACK_LIBRARY), by the environment that
python/test.sh made (CTRACK_VENV). --list prints the places, which are the recipes of CONTRIBUTING.md.

The copy lies in the directory of what cargo builds, always in the same place, so that little is compiled again.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from edits import Place, Record, Trouble, edited
from places import GO, HEADER, KINDS, Kind

TREE = Path(__file__).resolve().parent.parent.parent
NOT_COPIED = {".git", "target", "build", "__pycache__", "corpus", "artifacts", "node_modules"}
# Where cargo's tests leave what they found, as abi/ should have it.
FOUND = {"abi/layout.txt": "layout.txt", "abi/fields.txt": "fields.txt"}

CODEC = ["-p", "ctnetlink", "--test", "fields"]
FIELDS_OF_RUST = ["-p", "ctrack", "--test", "fields"]
METHODS = ["-p", "ctrack", "--lib", "filter::"]
CONDITIONS = ["-p", "ctrack", "--test", "conditions"]
RANDOM_FILTERS = ["-p", "ctrack", "--test", "scripted", "every_plan"]
OF_C = ["-p", "libctrack", "--lib", "--test", "layout"]
# What they test wants a kernel; that they compile does not.
FILTERS_OF_C = ["-p", "libctrack", "--test", "filters", "--no-run"]
TESTS = {
    "filter": [METHODS, CONDITIONS, RANDOM_FILTERS, FILTERS_OF_C, OF_C],
    "result": [OF_C],
    "options": [OF_C],
}
TESTS_OF_ENTRIES = [CODEC, FIELDS_OF_RUST, OF_C]
# The programs of the documents are compiled by all of them, and take the longest.
GO_TESTS = [".", "./ctracktest", "./internal/genlayout", "-count=1", "-skip", "TestTheProgramsOfTheDocumentsCompile"]
PYTHON_TESTS = ["tests/test_fields.py", "tests/test_filters.py::test_every_field_is_tried_below"]


class Copy:
    """A copy of the tree. Files are only written where they differ, since cargo goes by their times."""

    def __init__(self, tree: Path, target: Path) -> None:
        self.tree = tree
        self.target = target
        self.changed: dict[str, str] = {}
        self.follow()

    def follow(self) -> None:
        """Makes it the same as the tree."""
        kept = set()
        for at, directories, files in os.walk(TREE):
            directories[:] = [name for name in directories if name not in NOT_COPIED and Path(at, name) != self.target]
            for name in files:
                source = Path(at, name)
                copy = self.tree / source.relative_to(TREE)
                kept.add(copy)
                if source.is_symlink():
                    copy.unlink(missing_ok=True)
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    copy.symlink_to(os.readlink(source))
                elif not copy.is_file() or copy.read_bytes() != source.read_bytes():
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(source, copy)
        for at, directories, files in os.walk(self.tree):
            directories[:] = [name for name in directories if name not in NOT_COPIED]
            for path in (Path(at, name) for name in files):
                if path not in kept:
                    path.unlink()

    def read(self, file: str) -> str:
        """A file of the copy as it is now."""
        return (self.tree / file).read_text(encoding="utf-8")

    def write(self, file: str, text: str) -> None:
        """Changes a file until the next `make`."""
        self.changed.setdefault(file, (TREE / file).read_text(encoding="utf-8"))
        if self.read(file) != text:
            (self.tree / file).write_text(text, encoding="utf-8")

    def make(self, places: Iterable[Place], records: dict[str, str]) -> None:
        """The tree with these places, and with these texts of records; everything else as it was."""
        texts = edited(TREE, places)
        for file, text in (self.changed | texts | records).items():
            self.write(file, text)

    def run(self, *command: str, at: str = ".", **variables: str) -> tuple[bool, str]:
        """Whether a command succeeds in the copy, and what it says."""
        environment = dict(os.environ, CARGO_TARGET_DIR=str(self.target), CARGO_TERM_COLOR="never", RUST_BACKTRACE="0")
        environment |= variables
        environment.setdefault("CARGO_PROFILE_DEV_DEBUG", "0")
        environment.setdefault("CARGO_PROFILE_DEV_OPT_LEVEL", "1")
        done = subprocess.run(
            command,
            cwd=self.tree / at,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode == 0, done.stdout

    def test(self, arguments: list[str]) -> tuple[bool, str]:
        """Runs tests."""
        return self.run("cargo", "test", "--quiet", "--locked", *arguments)

    def generate_go(self) -> tuple[bool, str]:
        """What Go has of the header and the records."""
        for record in GO:
            self.write(record.file, self.read(record.file))
        return self.run("go", "generate", ".", at="go")

    def test_go(self) -> tuple[bool, str]:
        """Tests that need neither cgo nor a library."""
        passed, text = self.run("go", "vet", *GO_TESTS[:3], at="go", CGO_ENABLED="0")
        return self.run("go", "test", *GO_TESTS, at="go", CGO_ENABLED="0") if passed else (passed, text)

    def test_python(self) -> tuple[bool, str]:
        """Tests that need no kernel, and no library that knows the field."""
        python = Path(os.environ.get("CTRACK_VENV") or TREE / "build/python") / "bin/python"
        library = os.environ.get("CTRACK_LIBRARY") or str(TREE / "build/libctrack.so.0")
        for path in (python, Path(library)):
            if not path.exists():
                raise Trouble(f"there is no {path}: scripts/test-bindings.sh makes it")
        command = [str(python), "-m", "pytest", "-q", "--tb=short", *PYTHON_TESTS]
        return self.run(*command, at="python", CTRACK_LIBRARY=library, PYTHONPATH=".", PYTHONDONTWRITEBYTECODE="1")

    def make_header(self) -> tuple[bool, str]:
        """What `make header` would write, or why it does not."""
        print_header = ["run", "--quiet", "--locked", "--features", "header", "--example", "print-header"]
        return self.run("cargo", *print_header)

    def make_found(self, records: Iterable[Record]) -> None:
        """Takes over what the test of the layout found."""
        wanted = [record for record in records if record.file in FOUND]
        if wanted:
            for name in FOUND.values():
                (self.target / "tmp" / name).unlink(missing_ok=True)
            self.test(["-p", "libctrack", "--test", "layout"])
            for record in wanted:
                found = self.target / "tmp" / FOUND[record.file]
                if found.exists():
                    self.write(record.file, found.read_text(encoding="utf-8"))


def what_failed(text: str, copy: Copy) -> str:
    """The text without warnings, and without the names of directories."""
    for directory in (copy.tree, copy.target, TREE):
        text = text.replace(str(directory), "")
    blocks = re.split(r"\n\s*\n", text)
    return "\n\n".join(block for block in blocks if not block.lstrip().startswith("warning"))


class Checker:
    """Tries a kind of field."""

    def __init__(self, name: str, kind: Kind, copy: Copy) -> None:
        self.name = name
        self.kind = kind
        self.copy = copy
        self.tests = TESTS.get(name, TESTS_OF_ENTRIES)
        self.made = [record for record in kind.records if record.is_made]
        # The records as they are with the field.
        self.records: dict[str, str] = {}

    def places(self, *languages: str) -> list[Place]:
        """The places of these languages."""
        return [place for place in self.kind.places if place.language in languages]

    def run(self, tests: list[list[str]]) -> tuple[bool, str]:
        """Runs tests until some fail."""
        for arguments in tests:
            passed, text = self.copy.test(arguments)
            if not passed:
                return False, text
        return True, ""

    def complete(self) -> str | None:
        """What is wrong with the field at all of its places in Rust and C."""
        self.copy.make(self.places("rust"), {})
        passed, header = self.copy.make_header()
        if not passed:
            return header
        self.copy.write(HEADER.file, header)
        self.copy.make_found(self.made)
        self.records = {record.file: self.copy.read(record.file) for record in self.made}
        passed, text = self.run(self.tests)
        return None if passed else text

    def complete_bindings(self) -> str | None:
        """What is wrong with the field at all of its places in Go and Python."""
        self.copy.make(self.places("rust", "go", "python"), self.records)
        for step in (self.copy.generate_go, self.copy.test_go, self.copy.test_python):
            passed, text = step()
            if not passed:
                return text
        return None

    def without(self, left_out: Place | Record) -> str | None:
        """What is wrong if something is left out."""
        if isinstance(left_out, Record):
            passed, text = self.test_without_record(left_out)
        elif left_out.language == "rust":
            passed, text = self.test_without_place(left_out)
        else:
            passed, text = self.test_without_binding(left_out)
        if passed:
            return "nothing notices"
        if "mock" not in what_failed(text, self.copy).lower():
            return f"what fails does not say which field\n{text}"
        return None

    def test_without_place(self, left_out: Place) -> tuple[bool, str]:
        """Runs the tests of Rust and C. Who forgets the place has the records made all the same."""
        kept = {HEADER.file: self.records[HEADER.file]}
        self.copy.make([place for place in self.places("rust") if place is not left_out], kept)
        if any(file.startswith("src/") for file in left_out.files):
            passed, header = self.copy.make_header()
            if passed:
                self.copy.write(HEADER.file, header)
        passed, text = self.run([arguments for arguments in self.tests if arguments is not OF_C])
        if passed:
            self.copy.make_found(self.made)
            passed, text = self.run([OF_C])
        return passed, text

    def test_without_binding(self, left_out: Place) -> tuple[bool, str]:
        """Runs the tests of a language. What is made for Go is made anew."""
        places = [place for place in self.places("rust", left_out.language) if place is not left_out]
        self.copy.make(places, self.records)
        if left_out.language == "python":
            return self.copy.test_python()
        passed, text = self.copy.generate_go()
        return self.copy.test_go() if passed else (passed, text)

    def test_without_record(self, left_out: Record) -> tuple[bool, str]:
        """Runs the tests that compare records."""
        if left_out in GO:
            self.copy.make(self.places("rust", "go"), self.records)
            return self.copy.test_go()
        records = {file: text for file, text in self.records.items() if file != left_out.file}
        self.copy.make(self.places("rust"), records)
        return self.run(self.tests)


def print_places(kinds: list[str]) -> None:
    """One line for each place: the kind, what it is, its files."""
    for name in kinds:
        for place in KINDS[name].places:
            print(f"{name}: {place.name}: {', '.join(place.files)}")
        for record in KINDS[name].records:
            print(f"{name}: {record.command}: {record.file}")


def report(what: str, check: Callable[[], str | None]) -> bool:
    """Says what came of a check, and how long it took."""

    def processor() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = processor()
    wrong = check()
    print(f"{'FAILED' if wrong else 'ok    '} {what} ({processor() - before:.0f} s of processor)", flush=True)
    if wrong:
        print(wrong, flush=True)
    return not wrong


def main() -> int:
    """0 if all that was checked is as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--all", action="store_true", help="leave out each place")
    parser.add_argument("--bindings", action="store_true", help="also the places of Go and Python")
    parser.add_argument("--list", action="store_true", help="print the places")
    parser.add_argument("--places", type=int, default=1, help="how many places of each kind are left out")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = parser.parse_args()
    if given.list:
        print_places(given.kinds or list(KINDS))
        return 0
    print(f"seed {given.seed}", flush=True)
    chance = random.Random(given.seed)
    kinds = given.kinds or list(KINDS)
    if not given.kinds and not given.all:
        kinds = [chance.choice([name for name in KINDS if name not in TESTS]), *TESTS]
    target = Path(os.environ.get("CARGO_TARGET_DIR") or TREE / "target").resolve() / "fields"
    copy = Copy(target / "tree", target)
    failed = False
    for name in kinds:
        checker = Checker(name, KINDS[name], copy)

        def draw(parts: list[Place | Record]) -> list[Place | Record]:
            return parts if given.all else chance.sample(parts, min(given.places, len(parts)))

        said = report(f"{name}: at all places", checker.complete)
        if said:
            for left_out in draw([*checker.places("rust"), *checker.made]):
                said = report(f"{name}: without {left_out}", partial(checker.without, left_out)) and said
        if given.bindings and checker.records:
            complete = report(f"{name}: at all places of Go and Python", checker.complete_bindings)
            of_go, of_python = (
                [place for place in checker.places(at) if place.is_noticed_early] for at in ("go", "python")
            )
            for left_out in [*draw([*of_go, GO[0]]), *draw(list(of_python))] if complete else []:
                said = report(f"{name}: without {left_out}", partial(checker.without, left_out)) and said
            said = said and complete
        failed = failed or not said
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
