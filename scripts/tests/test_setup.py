# SPDX-License-Identifier: MIT OR Apache-2.0
"""setup.sh with an apt-get that only writes down what it is asked: nothing that somebody installed is removed silently."""

import os
import pty
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLAN = "Inst qemu-system-x86 (1 Debian [amd64])\nConf qemu-system-x86 (1 Debian [amd64])\n"
REMOVES = "Remv theirs [1.0]\nRemv their-other:i386 [2.0] [theirs:amd64 ]\n" + PLAN
QUESTION = b"[y/N] "
# Of the real machine nothing but these can be found: all that setup.sh wants is missing.
TOOLS = ("sh", "dirname", "env", "head", "sed", "sort", "tr", "cut", "cat", "grep")
# As apt-get does with --no-remove: it refuses a plan that removes something.
APT_GET = """#!/bin/sh
printf '%s\\n' "$*" >>"$FAKE/asked"
case " $* " in
    *' update '*) exit 0 ;;
    *' -s '*) [ -s "$FAKE/plan" ] || exit 100; cat "$FAKE/plan"; exit 0 ;;
    *' --no-remove '*) ! grep -q '^Remv' "$FAKE/plan" || exit 100 ;;
esac
printf '%s\\n' "$*" >>"$FAKE/installed"
"""


class Setup(unittest.TestCase):
    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.fake = Path(kept.name)
        self.bin = self.fake / "bin"
        self.bin.mkdir()
        for tool in TOOLS:
            (self.bin / tool).symlink_to(shutil.which(tool))
        self.program("apt-get", APT_GET)
        self.user(0)
        self.plan(PLAN)

    def program(self, name, text):
        (self.bin / name).write_text(text, encoding="utf-8")
        (self.bin / name).chmod(0o755)

    def user(self, number):
        self.program("id", f"#!/bin/sh\necho {number}\n")

    def plan(self, text):
        (self.fake / "plan").write_text(text, encoding="utf-8")

    def start(self, what="kernels", **variables):
        # No variable of the caller counts, CI least of all.
        environment = {"PATH": str(self.bin), "HOME": str(self.fake), "FAKE": str(self.fake), **variables}
        return {"args": [str(ROOT / "scripts/setup.sh"), what], "env": environment}

    def run_alone(self, what="kernels", **variables):
        done = subprocess.run(**self.start(what, **variables), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    def run_on_a_terminal(self, answer, **variables):
        """What was said until it ended, which a pty tells with an error; the answer is typed once the question is there."""
        ours, theirs = pty.openpty()
        process = subprocess.Popen(**self.start(**variables), stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        said, answered = b"", False
        while True:
            try:
                more = os.read(ours, 4096)
            except OSError:
                break
            if not more:
                break
            said += more
            if not answered and QUESTION in said:
                os.write(ours, answer)
                answered = True
        os.close(ours)
        return process.wait(), said.decode(), answered

    def installed(self):
        path = self.fake / "installed"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def test_where_nothing_is_removed_it_asks_nothing_and_forbids_apt_to_remove(self):
        status, said = self.run_alone()
        self.assertEqual(status, 0, said)
        self.assertIn("--no-remove", self.installed())
        self.assertIn("qemu-system-x86", self.installed())
        self.assertNotIn("removes", said)

    def test_without_a_terminal_it_says_what_would_go_and_what_to_run_and_refuses(self):
        self.plan(REMOVES)
        for variables in ({}, {"CTRACK_SETUP": "no"}, {"CI": "false"}):
            status, said = self.run_alone(**variables)
            self.assertEqual(status, 1, said)
            self.assertIn("removes their-other:i386 theirs\n", said)
            self.assertRegex(said, r"please run: sudo apt-get install --no-install-recommends .*qemu-system-x86")
            self.assertIn("CTRACK_SETUP=yes", said)
            self.assertEqual(self.installed(), "")

    def test_where_it_is_allowed_it_says_what_goes_and_goes_on(self):
        self.plan(REMOVES)
        for variables in ({"CTRACK_SETUP": "yes"}, {"CI": "true"}):
            (self.fake / "installed").unlink(missing_ok=True)
            status, said = self.run_alone(**variables)
            self.assertEqual(status, 0, said)
            self.assertIn("removes their-other:i386 theirs\n", said)
            self.assertIn("qemu-system-x86", self.installed())

    def test_on_a_terminal_it_asks_and_goes_on_after_yes_alone(self):
        self.plan(REMOVES)
        for answer, status in ((b"\n", 1), (b"n\n", 1), (b"yellow\n", 1), (b"\x04", 1), (b"y\n", 0), (b"yes\n", 0)):
            with self.subTest(answer):
                (self.fake / "installed").unlink(missing_ok=True)
                got, said, asked = self.run_on_a_terminal(answer)
                self.assertTrue(asked, said)
                self.assertEqual(got, status, said)
                self.assertIn("removes their-other:i386 theirs", said)
                self.assertEqual(bool(self.installed()), status == 0)

    def test_on_a_terminal_it_asks_nothing_where_nothing_is_removed_or_all_is_allowed(self):
        status, said, asked = self.run_on_a_terminal(b"n\n")
        self.assertEqual((status, asked), (0, False), said)
        self.plan(REMOVES)
        status, said, asked = self.run_on_a_terminal(b"n\n", CTRACK_SETUP="yes")
        self.assertEqual((status, asked), (0, False), said)

    def test_what_apt_cannot_plan_it_does_not_try(self):
        self.plan("")
        status, said = self.run_alone(CTRACK_SETUP="yes")
        self.assertEqual(status, 1, said)
        self.assertIn("cannot install", said)
        self.assertEqual(self.installed(), "")

    def test_llvm_is_that_of_the_compiler_and_is_asked_for_when_there_is_one(self):
        # A name that ends in "-" asks apt to remove a package.
        status, said = self.run_alone("coverage")
        self.assertEqual(status, 1, said)
        self.assertIn("install Rust", said)
        self.assertNotIn("llvm", self.installed())
        version = 'rustc 1.95.0\\nLLVM version: 21.1.2\\n'
        self.program("rustc", f"#!/bin/sh\ncase $1 in --print) echo /nowhere ;; *) printf '{version}' ;; esac\n")
        self.program("cargo", "#!/bin/sh\n")
        status, said = self.run_alone("coverage")
        self.assertEqual(status, 0, said)
        self.assertRegex(self.installed(), r" llvm-21\n")

    def test_who_is_not_root_gets_a_line_that_removes_nothing(self):
        self.user(1000)
        status, said = self.run_alone(CTRACK_SETUP="yes")
        self.assertEqual(status, 1, said)
        self.assertRegex(said, r"please run: .*apt-get install -y --no-remove --no-install-recommends .*qemu-system-x86")
        self.assertFalse((self.fake / "asked").exists())


if __name__ == "__main__":
    unittest.main()
