# SPDX-License-Identifier: MIT OR Apache-2.0
"""The Makefile with every way of naming a target to cargo, and its checks of what was built.

Three crates with the functions of abi/symbols.txt and nothing behind them take the place of the library, so that each build takes a
second. CTRACK_TEST_TARGET and CTRACK_TEST_CC name another machine, as scripts/test-cross.sh does; otherwise the target is this one.
"""

import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOST = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout.split("host: ")[1].split()[0]
TARGET = os.environ.get("CTRACK_TEST_TARGET", HOST)
CC = os.environ.get("CTRACK_TEST_CC", "cc")
SYMBOLS = (ROOT / "abi/symbols.txt").read_text(encoding="utf-8").split()
VERSION = "9.8.7"
SHARED = f"libctrack.so.{VERSION}"
MACHINE_AT = 18


def environment(home, **more):
    """Without what the caller may have said to make and cargo."""
    names = ("CARGO_", "CTRACK_", "MAKE", "MFLAGS", "DESTDIR", "PREFIX", "LIBDIR", "INCLUDEDIR", "MANDIR", "RUSTFLAGS", "CC", "READELF")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return {**kept, "CARGO_HOME": str(home), "LC_ALL": "C", **more}


def machine(path):
    """Class, byte order and machine of an ELF file, as they are in it."""
    head = path.read_bytes()[:20]
    assert head[:4] == b"\x7fELF", path
    return head[4], head[5], struct.unpack_from("<H" if head[5] == 1 else ">H", head, MACHINE_AT)[0]


def machine_of(compiler, directory):
    probe = Path(directory) / "probe.o"
    subprocess.run([compiler, "-c", "-x", "c", "-o", probe, "/dev/null"], check=True)
    return machine(probe)


class Tree(unittest.TestCase):
    """A tree of its own, two directories deep, and a CARGO_HOME."""

    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.top = Path(kept.name).resolve()
        self.tree = self.top / "above/tree"
        self.home = self.top / "home"
        self.home.mkdir()
        for name in ("abi", "include", "pkgconfig"):
            shutil.copytree(ROOT / name, self.tree / name)
        (self.tree / "scripts").mkdir()
        for name in ("Makefile", "build.rs", "scripts/man.py", "scripts/build-library.py", "scripts/check-built.sh"):
            shutil.copy(ROOT / name, self.tree / name)
        self.write(
            "Cargo.toml",
            f'[workspace]\nmembers = ["crates/*"]\n{self.package("libctrack")}'
            '[lib]\nname = "ctrack_c"\ncrate-type = ["staticlib"]\n[features]\nheader = []\n'
            '[dependencies]\nctrack = { path = "crates/ctrack" }\n[profile.release]\nopt-level = 0\n',
        )
        self.write(
            "crates/ctrack/Cargo.toml", f'{self.package("ctrack")}[dependencies]\nctnetlink = {{ path = "../ctnetlink" }}\n'
        )
        self.write("crates/ctnetlink/Cargo.toml", self.package("ctnetlink"))
        self.write(
            "Cargo.lock",
            "version = 4\n"
            + f'[[package]]\nname = "ctnetlink"\nversion = "{VERSION}"\n'
            + f'[[package]]\nname = "ctrack"\nversion = "{VERSION}"\ndependencies = ["ctnetlink"]\n'
            + f'[[package]]\nname = "libctrack"\nversion = "{VERSION}"\ndependencies = ["ctrack"]\n',
        )
        self.write("crates/ctnetlink/src/lib.rs", self.MARK)
        self.write("crates/ctrack/src/lib.rs", "pub use ctnetlink::MARK as BELOW;\nmod inner;\npub use inner::MARK;\n")
        self.write("crates/ctrack/src/inner.rs", self.MARK)
        self.source(SYMBOLS)

    # What is seen in the library of a crate: its manifest and its source.
    MARK = 'pub const MARK: &str = concat!(env!("CARGO_PKG_DESCRIPTION"), " 1");\n'

    @staticmethod
    def package(name):
        return f'[package]\nname = "{name}"\nversion = "{VERSION}"\nedition = "2021"\ndescription = "{name} as it was"\n'

    def write(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def source(self, functions, number=1):
        marks = f"{self.MARK}static MARKS: [&str; 3] = [MARK, ctrack::MARK, ctrack::BELOW];\n"
        body = f"    MARKS.as_ptr() as usize + {number}\n"
        text = "".join(f'#[no_mangle]\npub extern "C" fn {name}() -> usize {{\n{body}}}\n' for name in functions)
        self.write("src/lib.rs", marks + text)

    def configured(self, directory, text):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "config.toml").write_text(text, encoding="utf-8")

    def make(self, *words, **variables):
        done = subprocess.run(
            ["make", *words], cwd=self.tree, env=environment(self.home, **variables), capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    def makes(self, *words, **variables):
        status, said = self.make(*words, **variables)
        self.assertEqual(status, 0, said)
        return said

    def refuses(self, *words, because, **variables):
        status, said = self.make(*words, **variables)
        self.assertNotEqual(status, 0, said)
        for text in because:
            self.assertIn(text, said)

    def installs(self, target=TARGET, compiler=CC, build="build"):
        """`make install` as root would say it, without anything that builds, installs the library of that target."""
        stage = self.top / "stage"
        shutil.rmtree(stage, ignore_errors=True)
        self.makes("install", f"DESTDIR={stage}", "CARGO=false", "PYTHON=false", "CC=false", f"BUILD={build}")
        shared = stage / "usr/local/lib" / SHARED
        self.assertEqual(machine(shared), machine_of(compiler, self.top))
        self.assertEqual((self.tree / build / "target").read_text(encoding="utf-8").split()[0], target)
        # Its functions are there: not the empty library that a wrong path gave.
        exported = subprocess.run(["readelf", "--dyn-syms", "-W", shared], capture_output=True, text=True, check=True).stdout
        self.assertEqual({word.split("@@")[0] for word in exported.split() if word.startswith("ct_")}, set(SYMBOLS))
        archive = subprocess.run(["ar", "t", stage / "usr/local/lib/libctrack.a"], capture_output=True, text=True, check=True).stdout
        self.assertIn("ctrack", archive)


class WaysToNameATarget(Tree):
    """Each must end in the library of that target, wherever cargo puts it."""

    def named(self, where, *words, **variables):
        """`where` is below a directory that cargo makes: the name had its effect."""
        said = self.makes(f"CC={CC}", *words, **variables)
        self.assertTrue((self.top / where / "libctrack_c.a").is_file(), said)
        self.installs()

    def test_the_environment_names_the_target(self):
        self.named(f"above/tree/target/{TARGET}/release", CARGO_BUILD_TARGET=TARGET)

    def test_a_variable_of_make_names_the_target(self):
        self.named(f"above/tree/target/{TARGET}/release", f"CARGO_BUILD_TARGET={TARGET}")

    def test_an_option_for_cargo_names_the_target(self):
        self.named(f"above/tree/target/{TARGET}/release", f"CARGOFLAGS=--locked --target {TARGET}")

    def test_the_environment_names_the_directory(self):
        for variable in ("CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"):
            with self.subTest(variable):
                self.named(f"{variable}/{TARGET}/release", **{variable: str(self.top / variable)}, CARGO_BUILD_TARGET=TARGET)

    def test_a_configuration_in_the_tree_names_both(self):
        self.configured(self.tree / ".cargo", f'[build]\ntarget = "{TARGET}"\ntarget-dir = "elsewhere"\n')
        self.named(f"above/tree/elsewhere/{TARGET}/release")

    def test_a_configuration_above_the_tree_names_the_target(self):
        self.configured(self.top / "above/.cargo", f'[build]\ntarget = "{TARGET}"\n')
        self.named(f"above/tree/target/{TARGET}/release")

    def test_a_configuration_of_the_user_names_both(self):
        self.configured(self.home, f'[build]\ntarget = ["{TARGET}"]\ntarget-dir = "{self.top}/users"\n')
        self.named(f"users/{TARGET}/release")


class WhatIsBuiltAgain(Tree):
    def test_nothing_is_linked_again_for_nothing(self):
        self.makes()
        before = (self.tree / "build" / SHARED).stat().st_mtime_ns
        self.makes()
        self.assertEqual((self.tree / "build" / SHARED).stat().st_mtime_ns, before)
        # A newer file that changes nothing: once more, and then install finds all as it should be.
        (self.tree / "Cargo.toml").touch()
        self.makes()
        self.installs(HOST, "cc")

    def test_a_changed_source_is_built(self):
        self.makes()
        before = (self.tree / "build" / SHARED).read_bytes()
        self.source(SYMBOLS, number=77)
        self.makes()
        self.assertNotEqual((self.tree / "build" / SHARED).read_bytes(), before)

    def test_a_change_in_any_file_of_any_crate_is_built(self):
        """By `make`, which asks cargo, and by `make install`, which goes by the times of files."""
        shared = self.top / "stage/usr/local/lib" / SHARED
        for goal in ([], ["install", f"DESTDIR={self.top}/stage"]):
            self.makes(*goal)
            for number, name in enumerate((
                "src/lib.rs", "Cargo.toml", "crates/ctrack/src/inner.rs", "crates/ctrack/Cargo.toml",
                "crates/ctnetlink/src/lib.rs", "crates/ctnetlink/Cargo.toml",
            )):
                with self.subTest(name, goal=goal):
                    mark = f"mark {number} of {len(goal)}"
                    text = (self.tree / name).read_text(encoding="utf-8")
                    changed = re.sub('(DESCRIPTION"\\), |description = )"[^"]*"', rf'\1"{mark}"', text)
                    self.assertNotEqual(changed, text)
                    self.write(name, changed)
                    self.makes(*goal)
                    library = shared if goal else self.tree / "build" / SHARED
                    self.assertIn(mark.encode(), library.read_bytes())

    def test_other_flags_in_the_environment_are_built_with(self):
        self.makes()
        before = (self.tree / "build/libctrack.a").read_bytes()
        self.makes(CARGO_PROFILE_RELEASE_OPT_LEVEL="3")
        self.assertNotEqual((self.tree / "build/libctrack.a").read_bytes(), before)

    def test_install_alone_builds_and_installs(self):
        self.makes("install", f"DESTDIR={self.top}/alone", f"CC={CC}", CARGO_BUILD_TARGET=TARGET)
        self.assertEqual(machine(self.top / "alone/usr/local/lib" / SHARED), machine_of(CC, self.top))

    def test_a_directory_from_the_environment_is_not_taken(self):
        self.makes(BUILD=str(self.top / "environment"))
        self.assertFalse((self.top / "environment").exists())
        self.assertTrue((self.tree / "build" / SHARED).is_file())

    def test_clean_takes_what_was_made_and_nothing_else(self):
        self.makes("BUILD=build-here")
        (self.tree / "build-here/mine").write_text("kept", encoding="utf-8")
        self.makes("clean", "BUILD=build-here")
        self.assertEqual([path.name for path in (self.tree / "build-here").iterdir()], ["mine"])


class WhatIsRefused(Tree):
    def check(self, *words):
        done = subprocess.run(
            ["./scripts/check-built.sh", "build/target", *words],
            cwd=self.tree, env=environment(self.home), capture_output=True, text=True, check=False,
        )
        return done.returncode, done.stderr

    def checks(self, *words, says):
        status, said = self.check(*words)
        self.assertEqual(status, 1, said)
        self.assertTrue(said.startswith("check-built: "), said)
        for text in says:
            self.assertIn(text, said)

    def test_a_target_that_is_not_installed(self):
        missing = "mips64-unknown-linux-gnuabi64"
        self.refuses(because=[missing, "may not be installed", "build-library: cargo failed"], CARGO_BUILD_TARGET=missing)
        self.assertFalse((self.tree / "build/libctrack.a").exists())

    def test_a_target_that_does_not_exist(self):
        self.refuses(because=['"no-such-machine"', "rustc --print target-list"], CARGO_BUILD_TARGET="no-such-machine")

    def test_a_compiler_for_another_machine(self):
        other = self.top / "other-cc"
        # It sets the machine of what it makes to that of the last one in the list, which is nobody's.
        other.write_text('#!/bin/sh\nfor out; do [ "$last" != -o ] || file=$out; last=$out; done\ncc "$@" || exit\n'
                         'case $file in *.o) printf "\\370\\000" | dd of="$file" bs=1 seek=18 conv=notrunc status=none ;; esac\n',
                         encoding="utf-8")
        other.chmod(0o755)
        self.refuses(f"CC={other}", because=["another machine", HOST, "make CC="])
        self.assertFalse((self.tree / "build" / SHARED).exists())
        self.refuses("install", f"DESTDIR={self.top}/none", f"CC={other}", because=["another machine"])
        self.makes()

    def test_a_function_that_is_missing(self):
        self.source(SYMBOLS[1:])
        self.refuses(because=["check-built: build/libctrack.a lacks", SYMBOLS[0]])
        self.refuses("install", f"DESTDIR={self.top}/none", because=[SYMBOLS[0]])
        self.assertFalse((self.top / "none/usr/local/lib").exists() and list((self.top / "none/usr/local/lib").glob("libctrack*")))

    def test_a_function_that_is_not_exported(self):
        linker_map = (self.tree / "abi/libctrack.map").read_text(encoding="utf-8")
        self.write("abi/libctrack.map", linker_map.replace(f"\t{SYMBOLS[0]};\n", ""))
        self.refuses(because=[f"check-built: build/{SHARED}.new lacks {SYMBOLS[0]}@@"])
        self.assertFalse((self.tree / "build" / SHARED).exists())

    def test_a_function_of_another_version(self):
        self.makes()
        self.assertEqual(self.check("shared", f"build/{SHARED}"), (0, ""))
        linker_map = (self.tree / "abi/libctrack.map").read_text(encoding="utf-8")
        self.write("abi/libctrack.map", linker_map.replace("CTRACK_0.1 {", "CTRACK_0.0 {"))
        self.checks("shared", f"build/{SHARED}", says=["lacks", f"{SYMBOLS[0]}@@CTRACK_0.0"])

    def test_another_machine_class_or_byte_order(self):
        self.makes()
        target = (self.tree / "build/target").read_text(encoding="utf-8")
        shared = self.tree / "build" / SHARED
        content = bytearray(shared.read_bytes())
        content[MACHINE_AT : MACHINE_AT + 2] = struct.pack("<H", 8) if content[5] == 1 else struct.pack(">H", 8)
        planted = self.tree / "planted.so"
        planted.write_bytes(content)
        self.checks("shared", "planted.so", says=["planted.so is not for", "MIPS"])
        name, arch, bits, order, host = target.split()
        for words in (f"{name} {arch} {96 - int(bits)} {order} {host}",
                      f"{name} {arch} {bits} {'big' if order == 'little' else 'little'} {host}"):
            self.write("build/target", words + "\n")
            self.checks("shared", f"build/{SHARED}", says=["is not for"])
            self.checks("archive", "build/libctrack.a", says=["is not all for"])

    def test_one_member_for_another_machine_or_no_object_at_all(self):
        self.makes()
        archive = self.tree / "build/libctrack.a"
        self.assertEqual(self.check("archive", "build/libctrack.a"), (0, ""))
        content = bytearray(archive.read_bytes())
        at = content.rindex(b"\x7fELF") + MACHINE_AT
        content[at : at + 2] = b"\x08\x00" if content[at - MACHINE_AT + 5] == 1 else b"\x00\x08"
        self.write("planted", "")
        (self.tree / "planted").write_bytes(content)
        for mode in ("objects", "archive"):
            self.checks(mode, "planted", says=["planted is not all for", "MIPS"])
        self.write("planted", "text\n")
        shutil.copy(archive, self.tree / "mixed.a")
        subprocess.run(["ar", "q", "mixed.a", "planted"], cwd=self.tree, check=True, capture_output=True)
        self.checks("archive", "mixed.a", says=["no ELF object"])
        self.write("planted", "")
        self.checks("archive", "planted", says=["no ELF object"])

    def test_a_machine_without_readelf_says_so(self):
        self.makes()
        tools = self.top / "tools"
        tools.mkdir()
        for tool in ("sh", "mktemp", "rm"):
            (tools / tool).symlink_to(shutil.which(tool))
        done = subprocess.run(
            ["./scripts/check-built.sh", "build/target", "archive", "build/libctrack.a"],
            cwd=self.tree, env={"PATH": str(tools), "CC": "false"}, capture_output=True, text=True, check=False,
        )
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("install binutils", done.stderr)


if TARGET != HOST:

    class AnotherMachine(Tree):
        def test_the_wrong_compiler_is_refused_with_the_right_one_named(self):
            self.refuses(because=["another machine", f"make CC={CC}"], CARGO_BUILD_TARGET=TARGET)

        def test_what_was_built_is_installed_whatever_is_named_later(self):
            self.makes(f"CC={CC}", CARGO_BUILD_TARGET=TARGET)
            self.installs()
            # Sources changed after it: still that target.
            self.source(SYMBOLS, number=5)
            self.makes("install", f"DESTDIR={self.top}/later", f"CC={CC}")
            self.assertEqual(machine(self.top / "later/usr/local/lib" / SHARED), machine_of(CC, self.top))
            # Another one is named: that one.
            self.makes("install", f"DESTDIR={self.top}/named", CARGO_BUILD_TARGET=HOST)
            self.assertEqual(machine(self.top / "named/usr/local/lib" / SHARED), machine_of("cc", self.top))

        def test_another_target_is_built_again(self):
            self.makes()
            self.makes(f"CC={CC}", CARGO_BUILD_TARGET=TARGET)
            self.installs()
            self.makes()
            self.installs(HOST, "cc")

        def test_two_builds_live_side_by_side(self):
            self.makes()
            self.makes(f"CC={CC}", "BUILD=build-other", CARGO_BUILD_TARGET=TARGET)
            self.installs(HOST, "cc")
            self.installs(build="build-other")

        def test_a_failed_build_for_another_machine_leaves_nothing_to_install(self):
            self.makes()
            self.make(CARGO_BUILD_TARGET=TARGET)
            self.refuses("install", f"DESTDIR={self.top}/none", because=["another machine"])

        def test_two_targets_at_once_are_refused(self):
            self.configured(self.tree / ".cargo", f'[build]\ntarget = ["{TARGET}", "{HOST}"]\n')
            self.refuses(because=["names several targets, name one: make CARGO_BUILD_TARGET="])
            self.assertFalse((self.tree / "build/libctrack.a").exists())


if __name__ == "__main__":
    unittest.main()
