#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""mock.py [--list] [--all] [--seed N] [--places N] [KIND...]: whether a field can be added by the places that places.py lists,
and whether forgetting any of them is noticed.

Takes a copy of the tree, adds a mock field at all of its places, has the records made (the header, abi/), and runs the fast tests,
which must pass. Then it leaves out one place at a time: the tests must fail, or not compile, and say "mock". Leaving out a record
must be noticed in the same way. Without --all, each kind is tried with all of its places, and without some of them, drawn by a seed
that is printed. --list prints the places, which are the recipes of CONTRIBUTING.md.

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
from collections.abc import Iterable
from pathlib import Path

from places import HEADER, KINDS, Kind, Place, Record, edited

TREE = Path(__file__).resolve().parent.parent.parent
NOT_COPIED = {".git", "target", "build", "__pycache__", "corpus", "artifacts", "node_modules"}
# Where cargo's tests leave what they found, as abi/ should have it.
FOUND = {"abi/layout.txt": "layout.txt", "abi/fields.txt": "fields.txt"}

CODEC = ["-p", "ctnetlink", "--test", "fields"]
FIELDS_OF_RUST = ["-p", "ctrack", "--test", "fields"]
CONDITIONS = ["-p", "ctrack", "--test", "conditions"]
RANDOM_FILTERS = ["-p", "ctrack", "--test", "scripted", "every_plan"]
OF_C = ["-p", "libctrack", "--lib", "--test", "layout"]
TESTS = {
    "filter": [CONDITIONS, RANDOM_FILTERS, OF_C],
    "result": [OF_C],
    "options": [OF_C],
}
TESTS_OF_ENTRIES = [CODEC, FIELDS_OF_RUST, OF_C]


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

    def run(self, *command: str) -> tuple[bool, str]:
        """Whether a command succeeds in the copy, and what it says."""
        environment = dict(os.environ, CARGO_TARGET_DIR=str(self.target), CARGO_TERM_COLOR="never", RUST_BACKTRACE="0")
        environment.setdefault("CARGO_PROFILE_DEV_DEBUG", "0")
        done = subprocess.run(
            command,
            cwd=self.tree,
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
        self.made = [record for record in kind.records if record.is_made]
        self.header = ""

    def tests(self) -> tuple[bool, str]:
        """The fast tests that walk over all fields."""
        for arguments in TESTS.get(self.name, TESTS_OF_ENTRIES):
            passed, text = self.copy.test(arguments)
            if not passed:
                return False, text
        return True, ""

    def complete(self) -> str | None:
        """What is wrong with the field at all of its places."""
        self.copy.make(self.kind.places, {})
        passed, self.header = self.copy.make_header()
        if not passed:
            return self.header
        self.copy.write(HEADER.file, self.header)
        self.copy.make_found(self.made)
        passed, text = self.tests()
        return None if passed else text

    def without(self, left_out: Place | Record) -> str | None:
        """What is wrong if something is left out."""
        kept = {} if left_out is HEADER else {HEADER.file: self.header}
        self.copy.make([place for place in self.kind.places if place is not left_out], kept)
        if isinstance(left_out, Place):
            # Who forgets it has the records made all the same.
            if any(file.startswith("src/") for file in left_out.files):
                passed, header = self.copy.make_header()
                if passed:
                    self.copy.write(HEADER.file, header)
            passed, text = self.early_tests()
            if passed:
                self.copy.make_found(self.made)
                passed, text = self.tests()
        else:
            self.copy.make_found([record for record in self.made if record is not left_out])
            passed, text = self.tests()
        if passed:
            return "nothing notices"
        if "mock" not in what_failed(text, self.copy).lower():
            return f"what fails does not say which field\n{text}"
        return None

    def early_tests(self) -> tuple[bool, str]:
        """Those that need no records."""
        for arguments in TESTS.get(self.name, TESTS_OF_ENTRIES):
            if arguments is not OF_C:
                passed, text = self.copy.test(arguments)
                if not passed:
                    return False, text
        return True, ""


def print_places(kinds: list[str]) -> None:
    """One line for each place: the kind, what it is, its files."""
    for name in kinds:
        for place in KINDS[name].places:
            print(f"{name}: {place.name}: {', '.join(place.files)}")
        for record in KINDS[name].records:
            print(f"{name}: {record.command}: {record.file}")


def main() -> int:
    """0 if all that was checked is as it should be."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n", maxsplit=1)[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--all", action="store_true", help="leave out each place")
    parser.add_argument("--list", action="store_true", help="print the places")
    parser.add_argument("--places", type=int, default=1, help="how many places of each kind are left out")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    given = parser.parse_args()
    kinds = given.kinds or list(KINDS)
    if given.list:
        print_places(kinds)
        return 0
    print(f"seed {given.seed}", flush=True)
    chance = random.Random(given.seed)
    target = Path(os.environ.get("CARGO_TARGET_DIR") or TREE / "target").resolve() / "fields"
    copy = Copy(target / "tree", target)
    failed = 0
    for name in kinds:
        checker = Checker(name, KINDS[name], copy)
        parts: list[Place | Record] = [*KINDS[name].places, *checker.made]
        drawn = parts if given.all else chance.sample(parts, min(given.places, len(parts)))
        for left_out in [None, *drawn]:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            wrong = checker.without(left_out) if left_out else checker.complete()
            what = "at all places"
            if left_out:
                what = f"without {left_out.name if isinstance(left_out, Place) else left_out.file}"
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            print(f"{'FAILED' if wrong else 'ok    '} {name}: {what} ({seconds:.0f} s of processor)", flush=True)
            if wrong:
                failed = 1
                print(wrong, flush=True)
                if not left_out:
                    break
    return failed


if __name__ == "__main__":
    sys.exit(main())
