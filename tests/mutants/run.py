# SPDX-License-Identifier: MIT OR Apache-2.0
"""Makes the library wrong in one place after the other (crates/ctnetlink/src/mutants.rs) and runs the fast tests: they must notice.

    run.py [--record] [--quick] [NAME...]

Each mutant first meets the test that noticed it last time (tests/mutants/noticed-by.txt, written by --record), then all the others.
Mutants that no fast test notices must be in docs/testing.md, with the reason; what is there must still go unnoticed.
Exit status: 0 all is as it is written down, 1 it is not, 2 the tests could not be run or fail without a mutant.
"""

import argparse
import collections
import concurrent.futures
import json
import os
import re
import subprocess
import sys
import time

HINTS = "tests/mutants/noticed-by.txt"
DOCUMENT = "docs/testing.md"
# Where the sources of the library are.
SOURCES = ["crates/ctnetlink/src", "crates/ctrack/src", "src"]
# Test programs and arguments, in this order: what is quick and knows much comes first. The unit tests of a crate have its name. Without tests/memory.rs: an allocator that fails and the choice of a mutant,
# which allocates, are no good together.
RUNS = [
    ("ctnetlink", []),
    ("ctrack", []),
    ("ctrack_c", []),
    ("fuzz_bodies", []),
    ("scripted", ["guards::", "operations::", "requests::", "proofs::", "batches::", "plans::"]),
    ("scripted", ["dumps::", "faults::", "--skip", "flood"]),
    ("layout", []),
    ("codec", []),
    ("scripted", ["flood"]),
]
QUICK = 7
TESTS = list(dict.fromkeys(test for test, _ in RUNS))
# A mutant may hang: that is noticed, too. No test takes a tenth of it.
PATIENCE = 120


def sources():
    for directory, _, files in (found for top in SOURCES for found in os.walk(top)):
        for file in files:
            if file.endswith(".rs") and file != "mutants.rs":
                with open(os.path.join(directory, file), encoding="utf-8") as source:
                    yield source.read()


def mutants():
    """The names in the sources: each once."""
    names = [name for text in sources() for name in re.findall(r'\bmutant!\(\s*"([^"]*)"', text)]
    twice = [name for name, count in collections.Counter(names).items() if count > 1]
    if twice or not names or not all(re.fullmatch("[a-z0-9-]+", name) for name in names):
        sys.exit(f"run.py: names that are there twice, or none: {twice}")
    return sorted(names)


def listed():
    """The survivors of the document: rows of the table under its heading."""
    with open(DOCUMENT, encoding="utf-8") as document:
        part = re.search(r"^## Mutants\n(.*?)(^## |\Z)", document.read(), re.S | re.M)
    return dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", part.group(1), re.M)) if part else {}


def build():
    """The test programs, by name."""
    flags = f"{os.environ.get('RUSTFLAGS', '')} --cfg ctrack_mutants"
    target = os.path.join(os.environ.get("CARGO_TARGET_DIR") or "target", "mutants")
    environment = {**os.environ, "RUSTFLAGS": flags, "CARGO_TARGET_DIR": target, "CARGO_PROFILE_DEV_DEBUG": "0", "CARGO_PROFILE_TEST_DEBUG": "0"}
    command = [os.environ.get("CARGO") or "cargo", "test", "--locked", "--no-run", "--message-format=json-render-diagnostics"]
    command += ["--workspace", "--lib", "--test", "scripted", "--test", "layout", "--test", "codec"]
    built = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=False)
    if built.returncode:
        sys.exit(2)
    programs = {}
    for line in built.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message.get("executable"):
            programs[message["target"]["name"]] = message["executable"]
    return {test: programs[test] for test in TESTS}


def run(program, mutant, *arguments):
    """What a run of a program says: None if nothing is noticed, or the first test that failed."""
    environment = {**os.environ, "CTRACK_MUTANT": mutant, "RUST_BACKTRACE": "0"}
    try:
        done = subprocess.run(
            [program, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        return "hangs"
    if done.returncode == 0:
        return None
    failed = re.findall(r"^test (\S+)(?: - should panic)? \.\.\. FAILED", done.stdout.decode(errors="replace"), re.M)
    return failed[0] if failed else "dies"


def notice(programs, runs, mutant, hint):
    """Which test notices the mutant, as "program test"; None if none does."""
    began = time.monotonic()
    found = None
    if hint:
        program, test = hint
        if run(programs[program], mutant, "--exact", test):
            found = hint
    if not found:
        for name, arguments in runs:
            test = run(programs[name], mutant, *arguments)
            if test:
                found = (name, test)
                break
    return mutant, found, time.monotonic() - began


def read_hints():
    try:
        with open(HINTS, encoding="utf-8") as file:
            return {name: (program, test) for name, program, test in (line.split() for line in file if line[0] != "#")}
    except FileNotFoundError:
        return {}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--record", action="store_true", help="write down which test notices which mutant")
    parser.add_argument("--quick", action="store_true", help="without the tests that take more than a second or two")
    parser.add_argument("--list", action="store_true", help="only tell what there is")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names, survivors, hints = mutants(), listed(), read_hints()
    if options.list:
        print("\n".join(names))
        return
    unknown = sorted((set(options.names) | set(survivors)) - set(names))
    if unknown:
        sys.exit(f"run.py: no such mutants: {' '.join(unknown)}")
    began = time.monotonic()
    programs = build()
    print(f"built in {time.monotonic() - began:.0f} seconds", flush=True)
    for name, program in programs.items() if not options.quick else ():
        failed = run(program, "")
        if failed:
            print(f"run.py: {name} fails without any mutant: {failed}", file=sys.stderr)
            sys.exit(2)
    chosen = options.names or names
    wrong, noticed = [], {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        runs = RUNS[:QUICK] if options.quick else RUNS
        tasks = [pool.submit(notice, programs, runs, name, hints.get(name)) for name in chosen]
        for task in concurrent.futures.as_completed(tasks):
            mutant, found, seconds = task.result()
            if found:
                noticed[mutant] = found
                verdict = f"noticed   {mutant:30} {found[0]} {found[1]}"
                if mutant in survivors:
                    wrong.append(f"{mutant} is noticed after all, and is to be taken out of {DOCUMENT}")
            else:
                verdict = f"{'survives ' if mutant in survivors else 'SURVIVES '} {mutant}"
                if mutant not in survivors:
                    wrong.append(f"{mutant} is noticed by no test")
            print(f"{verdict}  ({seconds:.1f} s)", flush=True)
    if options.record:
        with open(HINTS, "w", encoding="utf-8") as file:
            file.write("# Which test notices which mutant; written by scripts/test-mutants.sh --record.\n")
            for name, (program, test) in sorted({**hints, **noticed}.items()):
                if name in names and test not in ("hangs", "dies"):
                    file.write(f"{name} {program} {test}\n")
    for line in wrong:
        print(f"FAILED {line}")
    total = time.monotonic() - began
    print(f"test-mutants: {len(chosen)} mutants, {len(noticed)} noticed, {len(wrong)} failed, {total:.0f} seconds")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
