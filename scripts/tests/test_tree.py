# SPDX-License-Identifier: MIT OR Apache-2.0
"""The rules of the house, on a copy of the sources with something planted. Run by: python3 -m unittest discover -s scripts/tests"""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLANTED = "pub fn planted(p: *const u8) -> u8 {\n    unsafe { *p }\n}\n"


class Unsafe(unittest.TestCase):
    """Which files may have unsafe code."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory()
        cls.addClassCleanup(directory.cleanup)
        cls.root = Path(directory.name)
        for name in ("Cargo.toml", "src", "crates", "benches/rust/src", "scripts/check-tree.sh"):
            (cls.root / name).parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / name).is_dir():
                shutil.copytree(ROOT / name, cls.root / name, symlinks=True)
            else:
                shutil.copy(ROOT / name, cls.root / name)
        # It has tests of its own, and takes its time.
        (cls.root / "scripts/check-circles.py").touch()

    def refused(self):
        """What the script says against unsafe code."""
        done = subprocess.run(["scripts/check-tree.sh"], cwd=self.root, capture_output=True, text=True, check=False)
        wrong, rule = [], ""
        for line in done.stdout.splitlines():
            if line.startswith(("ok ", "FAILED ")):
                rule = line
            elif "unsafe" in rule:
                wrong.append(line.removeprefix("./"))
        if wrong:
            self.assertNotEqual(done.returncode, 0)
        else:
            self.assertIn("ok     unsafe only", done.stdout)
            self.assertIn("ok     the codec forbids", done.stdout)
        return wrong

    def with_text(self, name, change):
        """What is said with a changed file."""
        path = self.root / name
        kept = path.read_text(encoding="utf-8")
        path.write_text(change(kept), encoding="utf-8")
        try:
            return self.refused()
        finally:
            path.write_text(kept, encoding="utf-8")

    def test_an_unsafe_block_in_any_crate_is_noticed(self):
        self.assertEqual(self.refused(), [])
        for name in (
            "crates/ctnetlink/src/decode.rs",
            "crates/ctnetlink/tests/codec.rs",
            "crates/ctnetlink/tests/support/wire.rs",
            "crates/ctrack/src/error.rs",
            "crates/ctrack/src/socket/link.rs",
            "benches/rust/src/lib.rs",
        ):
            with self.subTest(name):
                wrong = self.with_text(name, lambda text: text + PLANTED)
                self.assertEqual(len(wrong), 1, wrong)
                self.assertRegex(wrong[0], rf"^{name}:\d+:    unsafe {{ \*p }}$")

    def test_the_boundary_and_the_file_of_system_calls_may_have_it(self):
        for name in ("src/flush.rs", "crates/ctrack/src/sys.rs"):
            with self.subTest(name):
                self.assertEqual(self.with_text(name, lambda text: text + PLANTED), [])

    def test_every_form_of_it_is_noticed(self):
        for text in (
            "unsafe fn planted() {}",
            "pub(crate) unsafe trait Planted {}",
            "unsafe impl Send for Planted {}",
            "fn f() { let _ = unsafe\n{ 1 }; }",
            "#[allow(dead_code, unsafe_code)]",
            "#[expect(\n    unsafe_code,\n)]",
            "#[no_mangle]",
            '#[unsafe(export_name = "ct_planted")]',
            "/* why */ unsafe fn planted() {}",
        ):
            with self.subTest(text):
                self.assertEqual(len(self.with_text("crates/ctrack/src/error.rs", lambda kept, text=text: f"{kept}{text}\n")), 1)
        self.assertEqual(self.with_text("crates/ctrack/src/error.rs", lambda kept: f"{kept}    // unsafe code is elsewhere\n"), [])

    def test_a_codec_that_does_not_forbid_it_is_noticed(self):
        wrong = self.with_text("crates/ctnetlink/src/lib.rs", lambda text: text.replace("#![forbid(unsafe_code)]\n", ""))
        self.assertEqual(wrong, ["crates/ctnetlink/src/lib.rs does not"])


class Functions(unittest.TestCase):
    """Where each exported function is named."""

    EVERYWHERE = ("include/ctrack.h", "abi/libctrack.map", "abi/libctrack.abi", "debian/libctrack0.symbols", "README.md")
    EVERYWHERE += ("tests/memory/calls.c", "tests/boundary/stacks.c")
    # Not those that make filters.
    MOST = ("src/tests.rs", "python/ctrack/_native.py")

    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.root = Path(kept.name)
        for name in self.EVERYWHERE + self.MOST:
            self.write(name, "ct_list ct_filter_port\n")
        self.write("abi/symbols.txt", "ct_filter_port\nct_list\n")
        self.write("scripts/check-tree.sh", (ROOT / "scripts/check-tree.sh").read_text(encoding="utf-8"))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def forgotten(self):
        command = ["sh", "scripts/check-tree.sh"]
        said = subprocess.run(command, cwd=self.root, capture_output=True, text=True, check=False).stdout
        return said.partition(" every exported function is where all of them are")[2].partition("\nok ")[0].partition("\nFAILED ")[0]

    def test_all_that_are_everywhere_are_fine(self):
        self.assertEqual(self.forgotten(), "")

    def test_each_place_that_lacks_one_is_named(self):
        for name in self.EVERYWHERE + self.MOST:
            with self.subTest(name):
                self.write(name, "ct_listed ct_filter_port\n")
                self.assertEqual(self.forgotten(), f":\n{name}: no ct_list")
                self.write(name, "ct_list\n")
                self.assertEqual(self.forgotten(), f":\n{name}: no ct_filter_port" if name in self.EVERYWHERE else "")
                self.write(name, "ct_list ct_filter_port\n")

    def test_a_function_of_the_header_that_the_list_lacks_is_named(self):
        self.write("include/ctrack.h", "int ct_list(struct ct_handle *h);\nconst char *ct_new(\n    int a);\n * as ct_old(h)\nct_filter_port\n")
        self.assertEqual(self.forgotten(), ":\nabi/symbols.txt: no ct_new")

    def test_a_list_that_is_gone_is_noticed(self):
        (self.root / "abi/symbols.txt").unlink()
        self.assertIn("abi/symbols.txt is missing", self.forgotten())


if __name__ == "__main__":
    unittest.main()
