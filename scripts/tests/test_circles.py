# SPDX-License-Identifier: MIT OR Apache-2.0
"""The search for circles of imports. Run by: python3 -m unittest discover -s scripts/tests"""

import importlib.util
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts/check-circles.py"
spec = importlib.util.spec_from_file_location("check_circles", SCRIPT)
check = importlib.util.module_from_spec(spec)
# Data classes look their module up.
sys.modules["check_circles"] = check
spec.loader.exec_module(check)


class Tree(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = Path(directory.name)
        self.write("lib.rs", "mod a;\nmod b;\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def arrows(self):
        return check.Sources(self.root).arrows

    def targets(self, file):
        return sorted(self.arrows()[file])

    def circles(self):
        return sorted(sorted(circle) for circle in check.circles(self.arrows()))


class Circles(Tree):
    def test_a_circle_by_super_is_found(self):
        self.write("a/mod.rs", "mod one;\nmod two;\n")
        self.write("a/one.rs", "use super::two::Two;\npub struct One(Two);\n")
        self.write("a/two.rs", "pub struct Two;\npub fn go(_: super::one::One) {}\n")
        self.assertEqual(self.circles(), [["a/one.rs", "a/two.rs"]])

    def test_a_circle_by_a_path_in_the_code_is_found(self):
        self.write("a.rs", "pub fn a() -> u32 {\n    1 + crate::b::b()\n}\n")
        self.write("b.rs", "use crate::a;\npub fn b() -> u32 {\n    a::a()\n}\n")
        self.assertEqual(self.circles(), [["a.rs", "b.rs"]])
        self.assertEqual(self.arrows()["a.rs"]["b.rs"], check.Arrow(2, "crate::b::b"))

    def test_a_circle_through_a_re_export_goes_by_the_file_that_defines(self):
        self.write("lib.rs", "mod a;\nmod b;\npub use a::Thing;\n")
        self.write("a/mod.rs", "mod thing;\npub use thing::Thing;\n")
        self.write("a/thing.rs", "pub struct Thing(crate::b::Other);\n")
        self.write("b.rs", "pub struct Other;\nfn f(_: crate::Thing) {}\n")
        self.assertEqual(self.circles(), [["a/thing.rs", "b.rs"]])

    def test_a_circle_by_a_macro_is_found(self):
        self.write("a.rs", "macro_rules! made {\n    () => {};\n}\nuse crate::b::B;\n")
        self.write("b.rs", "pub struct B;\nfn f() {\n    made!();\n}\n")
        self.assertEqual(self.circles(), [["a.rs", "b.rs"]])

    def test_a_circle_of_three_is_shown_once_with_its_lines(self):
        self.write("lib.rs", "mod types;\nmod wire;\nmod sys;\n")
        self.write("types.rs", "use crate::wire::W;\npub struct T;\n")
        self.write("wire.rs", "use crate::sys::S;\npub struct W;\n")
        self.write("sys.rs", "\nuse crate::types::T;\npub struct S;\n")
        run = subprocess.run([sys.executable, SCRIPT, self.root], capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 1)
        self.assertEqual(run.stdout.count("a circle"), 1)
        self.assertIn("  sys.rs:2 imports types.rs: crate::types::T\n", run.stdout)

    def test_a_child_that_uses_what_its_mod_rs_defines_and_re_exports_is_in_a_circle(self):
        self.write("a/mod.rs", "mod one;\npub use one::One;\npub struct Wrong;\n")
        self.write("a/one.rs", "use super::*;\npub struct One(Wrong);\n")
        self.assertEqual(self.circles(), [["a/mod.rs", "a/one.rs"]])


class NoCircles(Tree):
    def test_a_tree_without_circles_passes(self):
        self.write("lib.rs", "mod types;\nmod wire;\npub use types::*;\npub use wire::Decoder;\n")
        self.write("types.rs", "pub struct Entry;\n")
        self.write("wire/mod.rs", "mod decode;\nmod fault;\npub use decode::Decoder;\npub use fault::Fault;\n")
        self.write("wire/decode.rs", "use super::Fault;\nuse crate::types::*;\npub struct Decoder(Entry, Fault);\n")
        self.write("wire/fault.rs", "pub struct Fault;\n")
        self.assertEqual(self.targets("wire/decode.rs"), ["types.rs", "wire/fault.rs"])
        run = subprocess.run([sys.executable, SCRIPT, self.root], capture_output=True, text=True, check=False)
        self.assertEqual((run.returncode, run.stdout), (0, ""))

    def test_tests_comments_and_texts_do_not_count(self):
        self.write("a.rs", "use crate::b::B;\n")
        self.write(
            "b.rs",
            "//! [`crate::a::A`], it's\n/* /* nested */ use crate::a::A; */\npub struct B;\n"
            'const TEXT: &str = "use crate::a::A; \\" }";\nconst RAW: &str = r#"crate::a::A " {"#;\n'
            "const QUOTE: char = '\"';\nfn f<'a>(_: &'a str) {\n    #[cfg(test)]\n    crate::a::count(1);\n}\n"
            "#[cfg(any(test, fuzzing))]\n#[path = \"x.rs\"]\npub mod x;\n"
            "#[cfg(test)]\nmod tests {\n    use crate::a::*;\n    fn g() { crate::a::A; }\n}\n",
        )
        self.write("b/tests.rs", "use crate::a::A;\n")
        self.assertEqual(self.circles(), [])
        self.assertEqual(self.targets("b.rs"), [])

    def test_code_behind_tests_counts_again(self):
        self.write("a.rs", "pub struct A;\n")
        self.write("b.rs", "#[cfg(test)]\nmod tests {\n    fn f() {}\n}\nfn g(_: crate::a::A) {}\n")
        self.assertEqual(self.targets("b.rs"), ["a.rs"])

    def test_code_that_is_not_for_tests_counts(self):
        self.write("a.rs", "pub struct A;\n")
        self.write("b.rs", "#[cfg(not(test))]\nuse crate::a::A;\n")
        self.assertEqual(self.targets("b.rs"), ["a.rs"])

    def test_super_in_a_module_within_a_file_is_the_file(self):
        self.write("a.rs", "pub struct A;\nmod inner {\n    use super::A;\n    use super::super::b::B;\n}\n")
        self.write("b.rs", "pub struct B;\n")
        self.assertEqual(self.targets("a.rs"), ["b.rs"])

    def test_other_crates_are_nothing(self):
        self.write("a.rs", "use std::fmt::{self, b};\nfn f() { fmt::b::B; libc::b::x(); }\n")
        self.write("b.rs", "use crate::a;\n")
        self.assertEqual(self.targets("a.rs"), [])

    def test_trees_and_new_names_of_imports_are_followed(self):
        self.write("lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\n")
        self.write("a.rs", "use crate::{b::{self, B as Bee}, c::{C, D}};\nfn f() { b::g(); Bee; }\n")
        self.write("b.rs", "pub struct B;\n")
        self.write("c.rs", "pub use crate::d::D;\npub struct C;\n")
        self.write("d.rs", "pub struct D;\n")
        self.assertEqual(self.targets("a.rs"), ["b.rs", "c.rs", "d.rs"])


class Layers(Tree):
    def test_an_import_from_above_is_found(self):
        self.write("lib.rs", "mod wire;\nmod sys;\n")
        self.write("wire/mod.rs", "mod attr;\n")
        self.write("wire/attr.rs", "\nuse crate::sys::now;\n")
        self.write("sys.rs", "pub fn now() {}\n")
        wrong = "wire/attr.rs:2 imports from a layer above it: crate::sys::now (sys.rs)"
        self.assertEqual(check.upward(self.arrows()), [wrong])

    def test_a_new_module_wants_a_layer(self):
        self.write("lib.rs", "mod novelty;\n")
        self.write("novelty.rs", "")
        self.assertEqual(len(check.upward(self.arrows())), 1)


class Library(unittest.TestCase):
    def test_what_is_known_of_the_library_is_found(self):
        arrows = check.Sources(ROOT / "src").arrows
        self.assertGreater(sum(map(len, arrows.values())), 200)
        for file, target in [
            ("lib.rs", "types.rs"),
            ("conntrack.rs", "ops/list.rs"),
            ("wire/layout.rs", "wire/template.rs"),
            ("wire/encode.rs", "mutants.rs"),
            ("ffi/text.rs", "text/mod.rs"),
            ("text/line.rs", "sys.rs"),
        ]:
            self.assertIn(target, arrows[file])


if __name__ == "__main__":
    unittest.main()
