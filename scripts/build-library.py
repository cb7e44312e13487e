#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""build-library.py DIRECTORY CARGO rustc OPTION...: runs cargo, and copies the static library that it made to DIRECTORY/libctrack.a.

Cargo itself says where the library is and what it was built for. The target and the directory may be named by options, by
environment variables and by the configuration files of cargo, so nothing is guessed from a path. DIRECTORY/target has, in one
line: target, architecture, bits of a pointer, byte order, and what the compiler itself runs on.

A library that is there already and has the same bytes stays as it is, with its time.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path


class Refused(Exception):
    """What is wrong, and what to do about it."""


def read_messages(lines: Iterable[str]) -> tuple[list[Path], list[str]]:
    """The static libraries of libctrack that cargo made or found up to date, and for what its build script was asked."""
    libraries: list[Path] = []
    built_for: list[str] = []
    for line in lines:
        message = json.loads(line)
        if message["reason"] == "compiler-artifact" and message["target"]["name"] == "ctrack_c":
            libraries += [Path(name) for name in message["filenames"] if name.endswith(".a")]
        elif message["reason"] == "build-script-executed":
            built_for += [value for name, value in message["env"] if name == "CTRACK_BUILT_FOR"]
    return libraries, built_for


def only_one(libraries: list[Path], built_for: list[str]) -> tuple[Path, str]:
    """The library, and for what it was built."""
    if len(libraries) != 1 or len(built_for) != 1:
        found = ", ".join(map(str, libraries)) or "none"
        raise Refused(
            f"cargo names not one static library but {found}; make needs an unchanged Cargo.toml and cargo 1.85 or newer"
        )
    return libraries[0], built_for[0]


def replace(path: Path, content: Path) -> None:
    """Copies the file unless the same bytes are there, in one step."""
    if path.is_file() and filecmp.cmp(path, content, shallow=False):
        return
    new = path.with_name(path.name + ".new")
    shutil.copyfile(content, new)
    os.replace(new, path)


def build(directory: Path, command: list[str]) -> None:
    """Builds, and leaves library and target in the directory."""
    with subprocess.Popen([*command, "--message-format=json-render-diagnostics"], stdout=subprocess.PIPE, text=True) as cargo:
        assert cargo.stdout is not None
        libraries, built_for = read_messages(cargo.stdout)
    if cargo.returncode != 0:
        raise Refused(
            f"cargo failed with exit status {cargo.returncode}, its own message is above; "
            "if build.target of its configuration names several targets, name one: make CARGO_BUILD_TARGET=..."
        )
    library, words = only_one(libraries, built_for)
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / "target"
    if not target.is_file() or target.read_text(encoding="utf-8") != words + "\n":
        target.write_text(words + "\n", encoding="utf-8")
    replace(directory / "libctrack.a", library)


def main() -> int:
    """Exit status 1, and one line that says why, unless the library is there."""
    if len(sys.argv) < 3:
        print("usage: build-library.py DIRECTORY CARGO rustc OPTION...", file=sys.stderr)
        return 2
    try:
        build(Path(sys.argv[1]), sys.argv[2:])
    except (Refused, OSError) as error:
        print(f"build-library: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
