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
        functions = self.header.of("function")
        self.assertEqual(sorted(symbols), sorted(functions))
        for symbol in symbols:
            page = self.whole(symbol)
            self.assertIn(f".Nm {symbol}", page)
            self.assertIn(f".Fo {symbol}\n", page)
            block = page.split(f".Fo {symbol}\n")[1].split(".Fc")[0]
            for argument in functions[symbol].declared.values():
                self.assertIn(f'.Fa "{argument}"', block)

    def test_every_documented_parameter_is_explained_on_its_page(self):
        documented = re.findall(r"^ \* @param (\w+)", TEXT, re.MULTILINE)
        self.assertGreater(len(documented), 40)
        explained = [n for f in self.header.of("function").values() for n in f.said]
        self.assertEqual(documented, explained)
        for function in self.header.of("function").values():
            for name in function.said:
                self.assertIn(f".It Fa {name}\n", self.whole(function.name))

    def test_every_field_and_constant_is_on_a_page(self):
        for name, body in re.findall(r"^struct (\w+) \{\n(.*?)^\};", TEXT, re.MULTILINE | re.DOTALL):
            fields = re.findall(r"^  [\w ]*?(\w+)(?:\[\d+\])?;", body, re.MULTILINE)
            self.assertGreater(len(fields), 1)
            for field in fields:
                self.assertIn(f".It Fa {field}\n", self.whole(name))
        everything = "".join(self.pages.values())
        defined = set(re.findall(r"^#define (CT_\w+)", TEXT, re.MULTILINE))
        self.assertGreater(len(defined), 80)
        for name in defined:
            self.assertEqual(everything.count(f".It Dv {name} "), 1, name)

    def test_no_word_of_a_comment_is_lost(self):
        page_of = {item.name: page[0].name for page in man.lay_out(self.header) for item in page}
        for item in self.header.items:
            comment = item.comment
            given = words(" ".join([*comment.paragraphs, *comment.params.values(), item.details(), comment.returns]))
            self.assertGreater(len(given), 1)
            self.assertEqual(given - words(self.rendered(page_of[item.name])), set(), item.name)
        self.assertEqual(words(self.header.top) - words(self.rendered("libctrack")), set(), "the comment on top")

    def test_mandoc_and_groff_have_nothing_to_complain_about(self):
        for tool in ("mandoc", "groff"):
            self.assertTrue(shutil.which(tool), f"{tool} is not installed")
        self.assertEqual(len(self.real_pages()), 1 + len(man.lay_out(self.header)))
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


CHAPTERS = """/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * libx: does it.
 */

/*
 * ---- Handles ----
 */

/**
 * How to open one.
 */
struct ct_opts {
  /**
   * CT_OPEN_ bits.
   */
  uint32_t flags;
};

/**
 * Quick.
 */
#define CT_OPEN_QUICK_AND_DIRTY 1

/**
 * Opens, as ct_box_close() closes; of CT_WIPE_ALL it knows nothing.
 *
 * @param o CT_OPEN_QUICK_AND_DIRTY, perhaps; a CT_STATE_ value is none
 * @param ret_e the first
 * @return 0
 * Since 0.1.
 */
int ct_box_open(const struct ct_opts *o, struct ct_entry *ret_e);

/**
 * Closes.
 *
 * Since 0.1.
 */
void ct_box_close(void);

/*
 * ---- Entries: what they are - and what not ----
 */

/**
 * Good.
 */
#define CT_STATE_GOOD (1u << 0)

/**
 * Bad.
 */
#define CT_STATE_BAD (1u << 1)

/**
 * A part.
 */
struct ct_part {
  /**
   * A.
   */
  uint32_t a;
};

/**
 * An entry.
 */
struct ct_entry {
  /**
   * CT_STATE_ bits.
   */
  uint32_t state;
  /**
   * Its part.
   */
  struct ct_part part;
};

/*
 * ---- Wiping ----
 */

/**
 * All of it.
 */
#define CT_WIPE_ALL 1

/**
 * Wipes all, as with CT_WIPE_ALL.
 *
 * Since 0.2.
 */
void ct_wipe_all(void);

/**
 * Wipes.
 *
 * @param flags CT_WIPE_ALL or 0
 * @param e an entry
 * @return 0
 * Since 0.2.
 */
int ct_wipe(int flags, struct ct_entry *e);

/**
 * Wipes a box. The version is CT_VERSION_MAJOR.
 *
 * Since 0.2.
 */
void ct_box_wipe(void);

/**
 * Major.
 */
#define CT_VERSION_MAJOR 1

/**
 * Minor.
 */
#define CT_VERSION_MINOR 2

/**
 * Patch.
 */
#define CT_VERSION_PATCH 3
"""


class Layout(unittest.TestCase):
    """What stands on which page follows from the header alone."""

    def laid_out(self, text=CHAPTERS):
        return sorted([item.name for item in page] for page in man.lay_out(man.parse_header(text)))

    def test_functions_of_an_object_in_one_chapter_share_a_page_and_others_have_their_own(self):
        names = [page[0] for page in self.laid_out()]
        self.assertEqual(names, ["ct_box_open", "ct_box_wipe", "ct_entry", "ct_wipe", "ct_wipe_all"])
        self.assertIn("ct_box_close", self.laid_out()[0])

    def test_a_struct_that_one_page_alone_uses_stands_there(self):
        pages = {page[0]: page for page in self.laid_out()}
        self.assertIn("ct_opts", pages["ct_box_open"])
        self.assertIn("ct_part", pages["ct_entry"])
        # Two pages use this one.
        self.assertIn("ct_entry", pages)

    def test_constants_stand_where_a_field_or_parameter_names_them_in_their_own_chapter_if_there_is_one(self):
        pages = {page[0]: page for page in self.laid_out()}
        self.assertIn("CT_STATE_", pages["ct_entry"])
        self.assertIn("CT_OPEN_", pages["ct_box_open"])
        self.assertIn("CT_WIPE_", pages["ct_wipe"])
        self.assertIn("CT_VERSION_", pages["ct_box_wipe"])

    def test_without_chapters_constants_stand_where_a_field_or_parameter_names_them_first(self):
        pages = {page[0]: page for page in self.laid_out(re.sub(r"/\*\n \* ---- .* ----\n \*/\n", "", CHAPTERS))}
        self.assertIn("CT_STATE_", pages["ct_box_open"])
        self.assertIn("CT_WIPE_", pages["ct_wipe"])

    def test_a_header_without_banners_is_one_chapter(self):
        text = re.sub(r"/\*\n \* ---- .* ----\n \*/\n", "", CHAPTERS)
        self.assertEqual({item.chapter for item in man.parse_header(text).items}, {""})
        self.assertIn("ct_box_wipe", self.laid_out(text)[0])
        self.assertIn(".Ss Functions, structs and constants\n", man.pages(text, DAY)["libctrack.3"])

    def test_the_overview_has_a_section_for_each_chapter_in_the_order_of_the_header(self):
        page = man.pages(CHAPTERS, DAY)["libctrack.3"]
        sections = re.split(r"^\.Ss ", page.split(".Sh SEE ALSO")[0], flags=re.MULTILINE)[1:]
        found = {s.split("\n")[0]: re.findall(r"^\.It (?:Xr|Dv) (\w+)", s, re.MULTILINE) for s in sections}
        self.assertEqual(
            list(found.items()),
            [
                ("Handles", ["ct_opts", "CT_OPEN_", "ct_box_open", "ct_box_close"]),
                ("Entries: what they are \\- and what not", ["CT_STATE_", "ct_part", "ct_entry"]),
                ("Wiping", ["CT_WIPE_", "ct_wipe_all", "ct_wipe", "ct_box_wipe", "CT_VERSION_"]),
            ],
        )

    def test_the_order_within_a_chapter_changes_no_page_but_for_its_order(self):
        """Constants in front of their struct or behind it, a struct behind the function that takes it."""
        before = self.laid_out()
        opts = re.search(r"/\*\*\n \* How to open.*?^};\n\n", CHAPTERS, re.MULTILINE | re.DOTALL)[0]
        moved = CHAPTERS.replace(opts, "").replace("/*\n * ---- Entries", opts + "/*\n * ---- Entries")
        self.assertNotEqual(moved, CHAPTERS)
        self.assertEqual([sorted(page) for page in self.laid_out(moved)], [sorted(page) for page in before])

    def test_a_page_refers_to_the_page_of_constants_that_it_names(self):
        self.assertIn(".Xr ct_wipe 3", man.pages(CHAPTERS, DAY)["ct_box_open.3"].split(".Sh SEE ALSO")[1])

    def test_constants_are_listed_under_all_that_their_names_begin_with(self):
        header = man.parse_header(TEXT)
        self.assertIn("CT_TCP_STATE_", header.of("constants"))
        self.assertEqual(list(header.of("constants")["CT_DELETE_"].declared), ["CT_DELETE_UNCOUNTED"])


class Refusals(unittest.TestCase):
    """What no page would show, or what a page would show wrongly, is an error and not a gap."""

    def refused(self, change, reason):
        changed = change(TEXT)
        self.assertNotEqual(changed, TEXT)
        with self.assertRaisesRegex(man.HeaderError, reason):
            man.pages(changed, DAY)

    def test_constants_that_nothing_names_are_an_error(self):
        more = "/**\n * More.\n */\n#define CT_MORE_OF_IT 1\n\n/**\n * A handle:"
        self.refused(lambda text: text.replace("/**\n * A handle:", more), "CT_MORE_")

    def test_a_constant_without_a_word_that_it_shares_with_others_is_an_error(self):
        more = "/**\n * More.\n */\n#define CT_MORE 1\n\n/**\n * A handle:"
        self.refused(lambda text: text.replace("/**\n * A handle:", more), "cannot be read: #define CT_MORE")

    def test_a_function_that_is_named_but_not_there_is_an_error(self):
        self.refused(lambda text: text.replace("Closes a handle", "Closes, as ct_more() does, a handle"), "ct_more")

    def test_a_banner_in_another_form_is_an_error(self):
        for banner in ("/* ---- More ---- */\n", "/*\n * ---- More ----\n * and more\n */\n", "/*\n * ---- More\n */\n"):
            self.refused(lambda text, banner=banner: text.replace("/**\n * A handle:", banner + "/**\n * A handle:"), "banner")

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
