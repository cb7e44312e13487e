# SPDX-License-Identifier: MIT OR Apache-2.0
"""The generator of manual pages, and the pages that it makes of the header. Run by: python3 -m unittest discover -s scripts/tests"""

import datetime
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import man

TEXT = (ROOT / "include/ctrack.h").read_text(encoding="utf-8")
DAY = datetime.date(2025, 2, 3)


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def words(text):
    return {w.lower() for w in re.findall(r"[A-Za-z_0-9]{3,}", text)}


class Pages(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.header = man.parse_header(TEXT)
        cls.pages = man.pages(TEXT, DAY)
        cls.out = tempfile.TemporaryDirectory()
        cls.man3 = Path(cls.out.name) / "man3"
        cls.man3.mkdir()
        for name, text in cls.pages.items():
            (cls.man3 / name).write_text(text, encoding="utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.out.cleanup()

    def whole(self, name):
        """The text of a page, links followed."""
        text = self.pages[f"{name}.3"]
        link = re.fullmatch(r"\.so man3/(\w+\.3)\n", text)
        return self.pages[link[1]] if link else text

    def real_pages(self):
        return [self.man3 / name for name, text in self.pages.items() if not text.startswith(".so ")]

    def rendered(self, name):
        done = run("groff", "-mandoc", "-Tascii", "-P-cbou", "-rLL=2000n", str(self.man3 / f"{name}.3"))
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_every_exported_function_has_a_page_with_its_parameters(self):
        symbols = (ROOT / "abi/symbols.txt").read_text(encoding="utf-8").split()
        self.assertGreater(len(symbols), 15)
        self.assertEqual(sorted(symbols), sorted(self.header.functions))
        for symbol in symbols:
            page = self.whole(symbol)
            self.assertIn(f".Nm {symbol}", page)
            self.assertIn(f".Fo {symbol}\n", page)
            block = page.split(f".Fo {symbol}\n")[1].split(".Fc")[0]
            for argument in self.header.functions[symbol].arguments:
                self.assertIn(f'.Fa "{argument}"', block)

    def test_every_documented_parameter_is_explained_on_its_page(self):
        documented = re.findall(r"^ \* @param (\w+)", TEXT, re.MULTILINE)
        self.assertGreater(len(documented), 40)
        explained = [n for f in self.header.functions.values() for n in f.comment.params]
        self.assertEqual(documented, explained)
        for function in self.header.functions.values():
            for name in function.comment.params:
                self.assertIn(f".It Fa {name}\n", self.whole(function.name))

    def test_every_field_and_constant_is_on_a_page(self):
        for struct in self.header.structs.values():
            for field, _ in struct.fields:
                name = re.search(r"(\w+)(\[\d+\])?;$", field)[1]
                self.assertIn(f".It Fa {name}\n", self.whole(struct.name))
        everything = "".join(self.pages.values())
        defined = set(re.findall(r"^#define (CT_\w+)", TEXT, re.MULTILINE))
        self.assertGreater(len(defined), 80)
        for name in defined:
            self.assertEqual(everything.count(f".It Dv {name} "), 1, name)

    def test_no_word_of_a_comment_is_lost(self):
        for function in self.header.functions.values():
            comment = function.comment
            given = words(" ".join([*comment.paragraphs, *comment.params.values(), comment.returns]))
            self.assertGreater(len(given), 3)
            self.assertEqual(given - words(self.rendered(man.page_of(function.name))), set(), function.name)
        for struct in self.header.structs.values():
            given = words(" ".join(p for c in [struct.comment, *(c for _, c in struct.fields)] for p in c.paragraphs))
            self.assertEqual(given - words(self.rendered(man.page_of(struct.name))), set(), struct.name)
        self.assertEqual(words(self.header.top) - words(self.rendered("libctrack")), set(), "the comment on top")

    def test_mandoc_and_groff_have_nothing_to_complain_about(self):
        for tool in ("mandoc", "groff"):
            self.assertTrue(shutil.which(tool), f"{tool} is not installed")
        self.assertEqual(len(self.real_pages()), 1 + len(man.PAGES))
        for page in self.real_pages():
            done = run("mandoc", "-T", "lint", "-W", "warning", str(page))
            self.assertEqual((done.returncode, done.stdout), (0, ""), page.name)
            done = run("groff", "-ww", "-mandoc", "-Tutf8", str(page))
            self.assertEqual((done.returncode, done.stderr), (0, ""), page.name)

    def test_each_page_is_shown_under_each_of_its_names(self):
        for name in self.pages:
            done = run("mandoc", f"man3/{name}", cwd=self.out.name)
            self.assertEqual((done.returncode, done.stderr), (0, ""), name)
            self.assertIn("#include <ctrack.h>", re.sub("(.)\b(.)", r"\2", done.stdout))

    def test_references_to_own_pages_lead_somewhere(self):
        found = 0
        for name, text in self.pages.items():
            for target in re.findall(r"Xr (ct_\w+|libctrack) 3", text):
                self.assertIn(f"{target}.3", self.pages, name)
                found += 1
        self.assertGreater(found, 100)

    def test_errors_are_listed_code_by_code(self):
        text, errors, others = man.split_errors(
            "0, or a negative errno: -EINVAL, -E2BIG a (b; c) d; -EPERM no; others as for x"
        )
        self.assertEqual(text, "0, or a negative errno.")
        self.assertEqual(errors, [("Er EINVAL , Er E2BIG", "a (b; c) d"), ("Er EPERM", "no")])
        self.assertEqual(others, ["others as for x"])
        self.assertEqual(man.split_errors("static text"), ("static text.", [], []))

    def test_errors_that_are_those_of_another_function_are_said_to_be(self):
        self.assertEqual(
            man.split_errors("0, or a negative errno as for ct_list(), with nothing written"),
            ("0, or a negative errno, with nothing written.", [], ["Errors as for ct_list()"]),
        )
        self.assertEqual(
            man.split_errors(
                "how many; or a negative errno as for ct_list(). -EINVAL: no dump; -EBUSY too. Others end it. -EAGAIN: again"
            ),
            (
                "how many; or a negative errno.",
                [("Er EINVAL", "no dump; -EBUSY too. Others end it."), ("Er EAGAIN", "again")],
                ["Others as for ct_list()"],
            ),
        )

    def test_a_sentence_does_not_change_names(self):
        self.assertEqual(man.sentence("opts has more", ["opts"]), "opts has more.")
        self.assertEqual(man.sentence("n results", ["n"]), "n results.")
        self.assertEqual(man.sentence("result->first_error if some failed"), "result->first_error if some failed.")
        self.assertEqual(man.sentence("a filter is wrong"), "A filter is wrong.")

    def test_the_same_header_makes_the_same_pages_with_the_day_that_was_given(self):
        self.assertEqual(self.pages, man.pages(TEXT, DAY))
        self.assertIn(".Dd February 3, 2025\n", self.pages["libctrack.3"])

    def test_the_program_writes_what_the_module_makes(self):
        with tempfile.TemporaryDirectory() as out:
            command = [sys.executable, str(ROOT / "scripts/man.py"), str(ROOT / "include/ctrack.h"), out]
            epoch = str(int(datetime.datetime(2025, 2, 3, tzinfo=datetime.timezone.utc).timestamp()))
            done = run(*command, env={"SOURCE_DATE_EPOCH": epoch})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            written = {p.name: p.read_text(encoding="utf-8") for p in (Path(out) / "man3").iterdir()}
            self.assertEqual(written, self.pages)
            self.assertEqual(run(*command[:2]).returncode, 2)


class Refusals(unittest.TestCase):
    """What no page would show, or what a page would show wrongly, is an error and not a gap."""

    def refused(self, change, reason):
        changed = change(TEXT)
        self.assertNotEqual(changed, TEXT)
        with self.assertRaisesRegex(man.HeaderError, reason):
            man.pages(changed, DAY)

    def test_a_function_that_no_page_takes_is_an_error(self):
        more = "/**\n * More.\n *\n * Since 0.2.\n */\nint ct_more(void);\n\n#ifdef __cplusplus\n}"
        self.refused(lambda text: text.replace("#ifdef __cplusplus\n}", more), "ct_more")

    def test_a_constant_that_no_page_takes_is_an_error(self):
        more = "/**\n * More.\n */\n#define CT_MORE 1\n\n/**\n * A handle:"
        self.refused(lambda text: text.replace("/**\n * A handle:", more), "CT_MORE")

    def test_a_struct_that_no_page_takes_is_an_error(self):
        more = "/**\n * More.\n */\nstruct ct_more {\n  /**\n   * A.\n   */\n  uint32_t a;\n};\n\n/**\n * A handle:"
        self.refused(lambda text: text.replace("/**\n * A handle:", more), "ct_more")

    def test_a_constant_without_a_comment_is_an_error(self):
        self.refused(lambda text: text.replace("/**\n * Minor version.\n */\n", ""), "CT_VERSION_MINOR")

    def test_a_field_without_a_comment_is_an_error(self):
        comment = "  /**\n   * Bytes, counted from the network header on.\n   */\n"
        self.refused(lambda text: text.replace(comment, ""), "ct_counters")

    def test_a_function_without_a_comment_is_an_error(self):
        comment = r"/\*\*\n \* Ends a dump early(?:(?!\*/).)*\*/\n"
        self.refused(lambda text: re.sub(comment, "", text, flags=re.DOTALL), "ct_dump_end")

    def test_a_function_that_does_not_say_since_when_it_is_there_is_an_error(self):
        self.refused(lambda text: text.replace(" * Since 0.1.\n */\nint ct_list(", " */\nint ct_list("), "ct_list does not say")

    def test_a_parameter_without_a_word_is_an_error(self):
        self.refused(lambda text: text.replace(" * @param cap room for how many; at least 1\n", ""), "cap")

    def test_a_parameter_that_the_function_does_not_have_is_an_error(self):
        self.refused(lambda text: text.replace("@param cap ", "@param size "), "size")

    def test_a_function_that_is_gone_from_the_header_is_an_error(self):
        self.refused(
            lambda text: re.sub(r"/\*\*\n \* Ends a dump early.*?;\n(?=\n/)", "", text, flags=re.DOTALL), "ct_dump_end"
        )


if __name__ == "__main__":
    unittest.main()
