# SPDX-License-Identifier: MIT OR Apache-2.0
"""The recipes of CONTRIBUTING.md name the files in which tests/fields adds a mock field, and no place is forgotten there."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent.parent
RECIPES = {"integer": "Add a field of an entry", "filter": "Add a filter field"}


def listed(kind):
    """The files that a field of this kind needs, by the program that adds one."""
    command = [sys.executable, TREE / "tests/fields/mock.py", "--list", kind]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name.strip() for line in text.splitlines() for name in line.rsplit(": ", 1)[1].split(",")}


def recipe(title):
    """The files that the recipe with this title names."""
    text = (TREE / "CONTRIBUTING.md").read_text(encoding="utf-8")
    _, _, rest = text.partition(f"### {title}\n")
    section = re.split(r"^##", rest, maxsplit=1, flags=re.MULTILINE)[0]
    return set(re.findall(r"`([\w./-]+\.\w+)`", section))


class Recipes(unittest.TestCase):
    def test_a_recipe_names_every_file_that_a_mock_field_needs(self):
        for kind, title in RECIPES.items():
            with self.subTest(title):
                files = listed(kind)
                self.assertGreater(len(files), 10)
                rust = {name for name in files if not name.startswith(("go/", "python/"))}
                self.assertEqual(rust - recipe(title), set(), "not in CONTRIBUTING.md")

    def test_a_recipe_names_files_that_there_are(self):
        for title in RECIPES.values():
            for name in recipe(title) - {"abi/ctrack-X.Y.h"}:
                self.assertTrue((TREE / name).is_file(), name)


if __name__ == "__main__":
    unittest.main()
