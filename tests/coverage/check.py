# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares which lines of the library were executed with how many must be.

    check.py LCOV FLOORS [--record]

LCOV is what `llvm-cov export -format=lcov` says. FLOORS has a line for each source file: its name and the percentage below which it
must not fall. Unit tests, at the end of a file, do not count. A file that has no floor is a failure, so that a new one gets one.
"""

import collections
import os
import re
import sys

# The published crates; the others have tests.
OURS = re.compile(r"(src|crates/(?!fuzz-bodies/)[^/]+/src)/")


def end_of_library(path):
    """The number of the line where the unit tests of a file begin."""
    with open(path, encoding="utf-8") as source:
        for number, line in enumerate(source, 1):
            if line.startswith("#[cfg(test)]"):
                return number
    return sys.maxsize


def executed(lcov):
    """For each source file how often each of its lines was executed."""
    files, path = collections.defaultdict(dict), None
    with open(lcov, encoding="utf-8") as lines:
        for line in lines:
            kind, _, value = line.strip().partition(":")
            if kind == "SF":
                path = os.path.relpath(value)
            elif kind == "DA" and OURS.match(path):
                number, count = map(int, value.split(",")[:2])
                files[path][number] = max(count, files[path].get(number, 0))
    return files


def main():
    record = "--record" in sys.argv
    lcov, floors = [word for word in sys.argv[1:] if word != "--record"]
    with open(floors, encoding="utf-8") as file:
        wanted = {name: int(floor) for name, floor in (line.split() for line in file if line[0] != "#")}
    wrong, found = 0, {}
    for path, lines in sorted(executed(lcov).items()):
        if os.path.basename(path) == "tests.rs" or "/tests/" in path:
            continue
        end = end_of_library(path)
        lines = {number: count for number, count in lines.items() if number < end}
        missed = sorted(number for number, count in lines.items() if not count)
        if not lines:
            continue
        percent = 100 * (len(lines) - len(missed)) // len(lines)
        found[path] = percent
        floor = wanted.pop(path, None)
        ok = record or floor is not None and percent >= floor
        wrong += not ok
        print(f"{'ok    ' if ok else 'FAILED'} {percent:3} % of {len(lines):4} lines, {floor} wanted: {path}")
        if missed and (not ok or percent < 100):
            print(f"       not executed: {' '.join(map(str, missed[:40]))}{' ...' if len(missed) > 40 else ''}")
    if record:
        with open(floors, "w", encoding="utf-8") as file:
            file.write("# Percent of the lines that the tests without a kernel must execute: scripts/test-coverage.sh.\n")
            # One less: compilers do not agree on every line.
            file.writelines(f"{path} {max(percent - 1, 0)}\n" for path, percent in found.items())
        return 0
    for path in wanted:
        print(f"FAILED {path} has a floor, and is not there")
    return 1 if wrong or wanted else 0


sys.exit(main())
