#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""check-links.py DIRECTORY: names each link of the HTML pages in DIRECTORY that leads to no file of it or to no place in that file.

Links to other sites are left alone. Pages with hardly any links were not understood, which is a failure too.
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag


class Page(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.links, self.ids = [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name == "id":
                self.ids.add(value)
            elif name in ("href", "src") and not value.startswith(("https:", "data:", "javascript:")):
                self.links.append(value)


root = Path(sys.argv[1]).resolve()
pages = {path: Page(path) for path in root.rglob("*.html")}
count = 0
lost = []
for path, page in pages.items():
    for link in page.links:
        count += 1
        file, fragment = urldefrag(link)
        target = (path.parent / unquote(file)).resolve() if file else path
        # Lines of source code are found by a script of the page.
        lines = "src" in target.parts
        if not target.is_file() or (fragment and not lines and not {fragment, unquote(fragment)} & pages[target].ids):
            lost.append(f"{path.relative_to(root)}: {link} leads nowhere")
print(*lost, f"{count} links, {len(lost)} of them lead nowhere", sep="\n")
sys.exit(bool(lost) or count < 500)
