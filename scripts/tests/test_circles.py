# SPDX-License-Identifier: MIT OR Apache-2.0
"""The search for circles of imports. Run by: python3 -m unittest discover -s scripts/tests"""

import importlib.util
import shutil
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
        self.crate("", "ctrack_c")
        self.write("lib.rs", "mod a;\nmod b;\n")

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def crate(self, directory, name, more=""):
        self.put(f"{directory}Cargo.toml", f'[package]\nname = "lib{name}"\n{more}[lib]\nname = "{name}"\n')

    def write(self, name, text):
        """A file of the crate at the top."""
        self.put(f"src/{name}", text)

    def sources(self):
        return check.Sources(self.root)

    def arrows(self):
        """Those of the crate at the top, by the names that its files have there."""
        arrows = self.sources().arrows.items()
        return {
            file.removeprefix("src/"): {target.removeprefix("src/"): arrow for target, arrow in targets.items()}
            for file, targets in arrows
        }

    def targets(self, file):
        return sorted(self.arrows()[file])

    def circles(self):
        return sorted(sorted(circle) for circle in check.circles(self.arrows()))

    def run_script(self):
        run = subprocess.run([sys.executable, SCRIPT, self.root], capture_output=True, text=True, check=False)
        return run.returncode, run.stdout


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
        self.write("lib.rs", "mod read;\nmod dump;\nmod flush;\n")
        self.write("read.rs", "use crate::dump::D;\npub struct R;\n")
        self.write("dump.rs", "use crate::flush::F;\npub struct D;\n")
        self.write("flush.rs", "\nuse crate::read::R;\npub struct F;\n")
        status, said = self.run_script()
        self.assertEqual(status, 1)
        self.assertEqual(said.count("a circle"), 1)
        self.assertIn("  src/flush.rs:2 imports src/read.rs: crate::read::R\n", said)

    def test_a_child_that_uses_what_its_mod_rs_defines_and_re_exports_is_in_a_circle(self):
        self.write("a/mod.rs", "mod one;\npub use one::One;\npub struct Wrong;\n")
        self.write("a/one.rs", "use super::*;\npub struct One(Wrong);\n")
        self.assertEqual(self.circles(), [["a/mod.rs", "a/one.rs"]])


class NoCircles(Tree):
    def test_a_tree_without_circles_passes(self):
        self.write("lib.rs", "mod entry;\nmod read;\npub use entry::*;\npub use read::Decoder;\n")
        self.write("entry.rs", "pub struct Entry;\n")
        self.write("read/mod.rs", "mod decode;\nmod fault;\npub use decode::Decoder;\npub use fault::Fault;\n")
        self.write("read/decode.rs", "use super::Fault;\nuse crate::entry::*;\npub struct Decoder(Entry, Fault);\n")
        self.write("read/fault.rs", "pub struct Fault;\n")
        self.assertEqual(self.targets("read/decode.rs"), ["entry.rs", "read/fault.rs"])
        self.assertEqual(self.run_script(), (0, ""))

    def test_tests_comments_and_texts_do_not_count(self):
        self.write("a.rs", "use crate::b::B;\n")
        self.write(
            "b.rs",
            "//! [`crate::a::A`], it's\n/* /* nested */ use crate::a::A; */\npub struct B;\n"
            'const TEXT: &str = "use crate::a::A; \\" }";\nconst RAW: &str = r#"crate::a::A " {"#;\n'
            "const QUOTE: char = '\"';\nfn f<'a>(_: &'a str) {\n    #[cfg(test)]\n    crate::a::count(1);\n}\n"
            "#[cfg(any(test, tried))]\n#[path = \"x.rs\"]\npub mod x;\n"
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


class Workspace(Tree):
    """Three crates in one graph."""

    def setUp(self):
        super().setUp()
        self.crate("crates/low/", "ctnetlink")
        self.put("crates/low/src/lib.rs", "#[macro_use]\npub mod mutants;\npub mod types;\npub use types::Entry;\n")
        self.put("crates/low/src/mutants.rs", "#[macro_export]\nmacro_rules! mutant {\n    () => { $crate::mutants::on() };\n}\n")
        self.put("crates/low/src/types.rs", "pub struct Entry;\npub struct Tuple;\n")
        self.crate("crates/middle/", "ctrack")
        self.put("crates/middle/src/lib.rs", "mod sort;\nmod error;\npub use ctnetlink::types::*;\npub use error::Error;\n")
        self.put("crates/middle/src/sort.rs", "use ctnetlink::Entry;\npub fn sorted(_: Entry) {\n    mutant!();\n}\n")
        self.put("crates/middle/src/error.rs", "use crate::sort;\npub struct Error(crate::Tuple);\n")
        self.write("lib.rs", "mod entry;\npub use entry::*;\n")
        self.write("entry.rs", "use ctrack::{Entry, Error};\npub fn f(_: ctrack::Tuple) {}\n")

    def arrows_of(self, file):
        return sorted(self.sources().arrows[file])

    def test_a_name_of_another_crate_counts_for_the_file_that_defines_it(self):
        self.assertEqual(self.run_script(), (0, ""))
        low, middle = "crates/low/src/", "crates/middle/src/"
        self.assertEqual(self.arrows_of(f"{middle}sort.rs"), [f"{low}mutants.rs", f"{low}types.rs"])
        self.assertEqual(self.arrows_of(f"{middle}error.rs"), [f"{low}types.rs", f"{middle}sort.rs"])
        self.assertEqual(self.arrows_of("src/entry.rs"), [f"{low}types.rs", f"{middle}error.rs"])

    def test_a_circle_in_each_crate_is_found(self):
        for at, first, second in (
            ("crates/low/src/", "types.rs", "mutants.rs"),
            ("crates/middle/src/", "sort.rs", "error.rs"),
            ("src/", "read.rs", "dump.rs"),
        ):
            with self.subTest(at):
                kept = {name: (self.root / at / name) for name in (first, second)}
                texts = {path: path.read_text(encoding="utf-8") for path in kept.values() if path.exists()}
                self.put(f"{at}{first}", f"use super::{second.removesuffix('.rs')}::Second;\npub struct First;\n")
                self.put(f"{at}{second}", f"use super::{first.removesuffix('.rs')}::First;\npub struct Second;\n")
                status, said = self.run_script()
                self.assertEqual(status, 1)
                self.assertIn("a circle of imports:\n", said)
                self.assertIn(f"  {at}{first}:1 imports {at}{second}: super::{second.removesuffix('.rs')}::Second\n", said)
                for path in kept.values():
                    path.unlink()
                for path, text in texts.items():
                    path.write_text(text, encoding="utf-8")

    def test_a_crate_below_imports_nothing_from_one_above(self):
        self.put("crates/low/src/types.rs", "\nuse ctrack::Error;\npub struct Entry;\npub struct Tuple;\n")
        wrong = "crates/low/src/types.rs:2 imports from a layer above it: ctrack::Error (crates/middle/src/error.rs)"
        self.assertEqual(check.upward(self.sources()), [wrong])

    def test_what_is_not_published_is_for_tests(self):
        self.crate("crates/bodies/", "bodies", "publish = false\n")
        self.put("crates/bodies/src/lib.rs", "mod a;\nfn f(_: a::A) {}\npub struct L;\n")
        self.put("crates/bodies/src/a.rs", "pub struct A(crate::L);\n")
        self.assertEqual(self.run_script(), (0, ""))

    def test_a_new_crate_wants_layers(self):
        self.crate("crates/new/", "novelty")
        self.put("crates/new/src/lib.rs", "")
        self.assertEqual(check.upward(self.sources()), ["crates/new/src/lib.rs is in no layer; LAYERS of this script needs it"])


class Layers(Tree):
    def test_an_import_from_above_is_found(self):
        self.write("lib.rs", "mod extend;\nmod open;\n")
        self.write("extend/mod.rs", "mod size;\n")
        self.write("extend/size.rs", "\nuse crate::open::now;\n")
        self.write("open.rs", "pub fn now() {}\n")
        wrong = "src/extend/size.rs:2 imports from a layer above it: crate::open::now (src/open.rs)"
        self.assertEqual(check.upward(self.sources()), [wrong])

    def test_a_new_module_wants_a_layer(self):
        self.write("lib.rs", "mod novelty;\n")
        self.write("novelty.rs", "")
        self.assertEqual(len(check.upward(self.sources())), 1)


class Library(unittest.TestCase):
    """The sources as they are, and with circles planted into a copy of them."""

    def test_what_is_known_of_the_library_is_found(self):
        arrows = check.Sources(ROOT).arrows
        self.assertEqual(check.circles(arrows), [])
        self.assertGreater(sum(map(len, arrows.values())), 250)
        for file, target in [
            ("crates/ctrack/src/conntrack.rs", "crates/ctrack/src/ops/list.rs"),
            ("crates/ctnetlink/src/layout.rs", "crates/ctnetlink/src/template.rs"),
            ("crates/ctnetlink/src/encode.rs", "crates/ctnetlink/src/mutants.rs"),
            ("crates/ctrack/src/ops/find.rs", "crates/ctnetlink/src/decode.rs"),
            ("crates/ctrack/src/selection/plan.rs", "crates/ctnetlink/src/mutants.rs"),
            ("src/text.rs", "crates/ctrack/src/text/mod.rs"),
            ("src/flush.rs", "src/open.rs"),
            ("crates/ctrack/src/text/line.rs", "crates/ctrack/src/sys.rs"),
        ]:
            self.assertIn(target, arrows[file])

    def test_each_kind_of_circle_is_found_in_each_crate(self):
        # What is planted into a file goes to one that imports it.
        places = {
            "crates/ctnetlink": ("template.rs", "encode.rs"),
            "crates/ctrack": ("error.rs", "filter.rs"),
            ".": ("boundary.rs", "call.rs"),
        }
        for directory, (low, high) in places.items():
            for kind in ("super", "re-export", "macro"):
                with self.subTest(crate=directory, kind=kind), tempfile.TemporaryDirectory() as kept:
                    root = Path(kept)
                    for manifest in ("", "crates/ctnetlink/", "crates/ctrack/"):
                        shutil.copytree(ROOT / manifest / "src", root / manifest / "src")
                        shutil.copy(ROOT / manifest / "Cargo.toml", root / manifest / "Cargo.toml")
                    at = root / directory / "src"
                    self.plant(at, low, high, kind)
                    names = {(at / name).relative_to(root).as_posix() for name in (low, high)}
                    found = check.circles(check.Sources(root).arrows)
                    self.assertTrue(any(names <= set(circle) for circle in found), found)

    @staticmethod
    def plant(at, low, high, kind):
        """Lets two files import each other."""

        def append(name, text):
            with open(at / name, "a", encoding="utf-8") as file:
                file.write(text)

        append(low, "pub struct PlantedBelow;\n")
        append(high, f"use super::{low.removesuffix('.rs')}::PlantedBelow;\n")
        if kind == "super":
            append(high, "pub struct Planted;\n")
            append(low, f"use super::{high.removesuffix('.rs')}::Planted;\n")
        elif kind == "re-export":
            append(high, "pub struct Planted;\n")
            append("lib.rs", f"pub use {high.removesuffix('.rs')}::Planted;\n")
            append(low, "fn planted(_: crate::Planted) {}\n")
        else:
            append(high, "macro_rules! planted {\n    () => {};\n}\n")
            append(low, "fn planted() {\n    planted!();\n}\n")


if __name__ == "__main__":
    unittest.main()
