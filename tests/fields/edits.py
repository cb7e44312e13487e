# SPDX-License-Identifier: MIT OR Apache-2.0
"""Places of a tree, and how they are edited."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Edit:
    """Text that takes the place of another, which is there once."""

    file: str
    old: str
    new: str


def before(file: str, anchor: str, text: str) -> Edit:
    """Text in front of an anchor."""
    return Edit(file, anchor, text + anchor)


def after(file: str, anchor: str, text: str) -> Edit:
    """Text behind an anchor."""
    return Edit(file, anchor, anchor + text)


@dataclass(frozen=True)
class Place:
    """What is done at one place."""

    name: str
    edits: tuple[Edit, ...]
    # Whose it is: "rust" (with C), "go" or "python".
    language: str = "rust"
    # Whether tests without a library that knows the field notice that it is forgotten; scripts/test-bindings.sh does.
    is_noticed_early: bool = True

    def __str__(self) -> str:
        return f"{self.name} ({', '.join(self.files)})"

    @property
    def files(self) -> list[str]:
        """The files that are edited."""
        return list(dict.fromkeys(edit.file for edit in self.edits))


class Trouble(Exception):
    """The tree is not what this program knows."""


def edited(tree: Path, places: Iterable[Place]) -> dict[str, str]:
    """The files of a tree that change, as they are with these places."""
    texts: dict[str, str] = {}
    for place in places:
        for edit in place.edits:
            text = texts.get(edit.file) or (tree / edit.file).read_text(encoding="utf-8")
            if text.count(edit.old) != 1:
                raise Trouble(f"{edit.file}: {edit.old!r} is there {text.count(edit.old)} times, for: {place.name}")
            texts[edit.file] = text.replace(edit.old, edit.new)
    return texts


@dataclass(frozen=True)
class Record:
    """A file that a command makes of the others. What is committed is compared with what the command makes."""

    file: str
    command: str
    # Whether mock.py makes it beside the places of Rust and C.
    is_made: bool = True

    def __str__(self) -> str:
        return f"{self.command} ({self.file})"
