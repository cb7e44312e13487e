# SPDX-License-Identifier: MIT OR Apache-2.0
"""The recipes of CONTRIBUTING.md for fields name the files that tests/fields/places.py edits or has made, and no others."""

import re
import subprocess
import sys
import unittest
from pathlib import Path

TREE = Path(__file__).resolve().parents[2]
RECIPES = {
    "Add a field of an entry": ["integer", "bytes", "string", "update-only", "direction"],
    "Add a filter field": ["filter"],
}


def named(recipe):
    """The files of a numbered list. One without a directory is in that of the file before it."""
    text = (TREE / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = re.search(rf"^### {recipe}\n(.*?)^###? ", text, re.MULTILINE | re.DOTALL)[1]
    steps = re.findall(r"^\d+\. .*(?:\n {3}.*)*", section, re.MULTILINE)
    files, directory = set(), ""
    for name in re.findall(r"`([\w./-]+\.\w+)`", "\n".join(steps)):
        if "/" not in name or not (TREE / name).parent.is_dir():
            name = directory + name
        else:
            directory = name.rpartition("/")[0] + "/"
        files.add(name)
    return files


def listed(kinds):
    """The files that mock.py prints."""
    command = [sys.executable, str(TREE / "tests/fields/mock.py"), "--list", *kinds]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return {file for line in lines for file in line.rpartition(": ")[2].split(", ")}


class Recipes(unittest.TestCase):
    def test_the_recipe_of_a_field_names_the_files_that_a_mock_field_is_made_of(self):
        for recipe, kinds in RECIPES.items():
            with self.subTest(recipe):
                self.assertGreater(len(listed(kinds)), 20)
                self.assertEqual(named(recipe), listed(kinds))


if __name__ == "__main__":
    unittest.main()
