# SPDX-License-Identifier: MIT OR Apache-2.0
"""format.sh on a small tree: what is laid out badly is named and put right, in each language, and nothing else is touched."""

import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = '[package]\nname = "small"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n'
BAD = {
    "src/lib.rs": "pub fn  one( ) -> u8 { 1 }\n",
    "fuzz/src/lib.rs": "pub fn  two( ) -> u8 { 2 }\n",
    "benches/rust/src/lib.rs": "pub fn  three( ) -> u8 { 3 }\n",
    "examples-c/one.c": "int one(void) {\n\treturn 1;\n}\n",
    "tests/two.h": "int  two(void);\n",
    "python/one.py": "one  = 1\n",
    "go/one.go": "package one\n\nvar  One = 1\n",
}
# The generated header, that of a release, and what a link leads to.
LEFT = {"include/ctrack.h": "int  generated;\n", "abi/ctrack-0.1.h": "int  released;\n", "build/made.c": "int  made;\n"}


class Format(unittest.TestCase):
    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.tree = Path(kept.name)
        for name in ("scripts/format.sh", "scripts/path.sh", ".clang-format", "rustfmt.toml"):
            self.write(name, "")
            shutil.copy(ROOT / name, self.tree / name)
        for package in ("", "fuzz/", "benches/rust/"):
            self.write(package + "Cargo.toml", MANIFEST)
        for name, text in (BAD | LEFT).items():
            self.write(name, text)
        (self.tree / "python/link.h").symlink_to("../include/ctrack.h")

    def write(self, name, text):
        path = self.tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def format(self, *options):
        command = ["sh", str(self.tree / "scripts/format.sh"), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_each_file_that_is_laid_out_badly_is_named_and_stays_as_it_is(self):
        status, said = self.format("--check")
        self.assertEqual(status, 1, said)
        for name, text in BAD.items():
            self.assertIn(name, said)
            self.assertEqual((self.tree / name).read_text(encoding="utf-8"), text)
        self.assertNotIn("ok ", said)

    def test_one_bad_file_of_any_language_is_enough(self):
        self.assertEqual(self.format()[0], 0)
        for name, text in BAD.items():
            with self.subTest(name):
                good = (self.tree / name).read_text(encoding="utf-8")
                self.write(name, text)
                status, said = self.format("--check")
                self.assertEqual((status, said.count("FAILED")), (1, 1), said)
                self.write(name, good)

    def test_it_puts_right_what_it_names_and_leaves_the_rest_alone(self):
        status, said = self.format()
        self.assertEqual(status, 0, said)
        for name, text in BAD.items():
            self.assertNotEqual((self.tree / name).read_text(encoding="utf-8"), text, name)
        status, said = self.format("--check")
        self.assertEqual(status, 0, said)
        for name, text in LEFT.items():
            self.assertEqual((self.tree / name).read_text(encoding="utf-8"), text)
        self.assertTrue((self.tree / "python/link.h").is_symlink())

    def test_a_formatter_that_is_not_there_is_a_failure(self):
        self.format()
        path = self.tree / "scripts/path.sh"
        path.write_text(path.read_text(encoding="utf-8") + "checkers=/nonexistent\n", encoding="utf-8")
        status, said = self.format("--check")
        self.assertEqual((status, said.count("FAILED")), (1, 2), said)


if __name__ == "__main__":
    unittest.main()
