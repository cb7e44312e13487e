# SPDX-License-Identifier: MIT OR Apache-2.0
"""The library's texts in words of Python: they name functions, flags and fields of C, which nobody here has."""

from __future__ import annotations

import re

_SENTENCES = (
    ("ask for all, without a scope", "use flush_all()"),
    ("is set, but not announced", "is set, and the entry does not announce it"),
)
_RULES = (
    (re.compile(r"\borig\.icmp_"), "icmp_"),
    (re.compile(r"\b(orig|reply)\.(?=[a-z])"), r"\1_"),
    # What only arguments that C can give are told by.
    (re.compile(r"\bCT_(?:HAS_|WATCH_|MATCH_|PROTO_|OPEN_|STATUS_|TCP_STATE_)?([A-Z0-9_]+)"), lambda found: found[1].lower()),
    (re.compile(r"\bct_(?:handle_|watch_)?([a-z_]+)"), r"\1"),
    (re.compile(r"\bNULL\b"), "None"),
)


def of_python(text: str) -> str:
    """The text of an error, without words that only a program in C can follow."""
    for c, python in _SENTENCES:
        text = text.replace(c, python)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
