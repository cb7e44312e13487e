# SPDX-License-Identifier: MIT OR Apache-2.0
"""The library's texts in words of Python: they name functions, flags and fields of C, which nobody here has."""

from __future__ import annotations

import re

_SENTENCES = (
    ("pass NULL and CT_FLUSH_ALL", "use flush_all()"),
    ("CT_FLUSH_ALL", "flush_all()"),
    ("its bit in has is not", "the entry does not announce it"),
    ("CT_FAMILY_IPV4", "IPv4"),
    ("CT_FAMILY_IPV6", "IPv6"),
    ("CT_HAS_LABELS_ADD", "add_labels"),
    ("CT_HAS_LABELS_REMOVE", "remove_labels"),
)
_RULES = (
    # The field that says which fields count is nothing that one sets here.
    (re.compile(r"^((?:entry|key)(?:\[\d+\])?)\.has\b"), r"\1"),
    (re.compile(r"\borig\.icmp_"), "icmp_"),
    (re.compile(r"\b(orig|reply)\.(?=[a-z])"), r"\1_"),
    (re.compile(r"\bCT_(?:HAS_|MATCH_|PROTO_|OPEN_|STATUS_|TCP_STATE_)?([A-Z0-9_]+)"), lambda found: found[1].lower()),
    (re.compile(r"\bct_(?:handle_)?([a-z_]+)"), r"\1"),
    (re.compile(r"\bNULL\b"), "None"),
)


def of_python(text: str) -> str:
    """The text of an error, without words that only a program in C can follow."""
    for c, python in _SENTENCES:
        text = text.replace(c, python)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
