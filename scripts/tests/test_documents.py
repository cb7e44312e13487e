# SPDX-License-Identifier: MIT OR Apache-2.0
"""check-documents.py on a small tree: each link and each path that leads nowhere is named, and what is right is not."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[1] / "check-documents.py"
RIGHT = """# One

## What `it` does, and why

`src/ops/find.rs`, `ops/find.rs`, `find.rs`, `src/ops/`, `src/OTHER.rs`, `/usr/lib/none.c`, `10.0.0.0/8`, `none/there`, `build/made.c`,
`list[uint16](7)`, [another](docs/two.md), [its part](docs/two.md#a-part), [below](#what-it-does-and-why), [there](https://none.example).

```c
[7](8) `src/none.rs`
```
"""
WRONG = {
    "`src/gone.rs`": "there is no src/gone.rs",
    "`find.c`": "there is no find.c",
    "`src/gone/`": "there is no src/gone",
    "[x](docs/three.md)": "docs/three.md leads nowhere",
    "[x](docs/two.md#no-part)": "docs/two.md#no-part leads to no heading",
    "[x](#nowhere)": "#nowhere leads to no heading",
}


class Documents(unittest.TestCase):
    def setUp(self):
        kept = tempfile.TemporaryDirectory()
        self.addCleanup(kept.cleanup)
        self.tree = Path(kept.name)
        for name, text in {".gitignore": "/build\n", "src/ops/find.rs": "", "docs/two.md": "# Two\n\n## A part\n"}.items():
            path = self.tree / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")

    def check(self, text):
        (self.tree / "one.md").write_text(text, encoding="utf-8")
        command = [sys.executable, str(SCRIPT), str(self.tree)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def test_what_leads_somewhere_is_not_named(self):
        self.assertEqual(self.check(RIGHT * 20), (0, ""))

    def test_each_that_leads_nowhere_is_named_alone(self):
        for wrong, said in WRONG.items():
            with self.subTest(wrong):
                self.assertEqual(self.check(RIGHT * 20 + wrong + "\n"), (1, f"one.md: {said}\n"))

    def test_documents_with_hardly_anything_to_check_were_not_understood(self):
        status, said = self.check("# One\n")
        self.assertEqual(status, 1)
        self.assertIn("only 0", said)


if __name__ == "__main__":
    unittest.main()
