# SPDX-License-Identifier: MIT OR Apache-2.0
"""Labels in the kernel's memory order, which is another one on a big-endian machine: scripts/test-cross.sh runs this on one.

With unittest alone, since there is no pytest for that machine.
"""

from __future__ import annotations

import sys
import unittest

from ctrack import Entry, Filter
from ctrack._native import CEntry
from ctrack.filter import pack

WORD = 8 if sys.maxsize > 1 << 32 else 4


def in_memory(*labels: int) -> bytes:
    """Where the kernel keeps these labels: bits of its words, each of which is in the machine's byte order."""
    memory = bytearray(16)
    for label in labels:
        word, bit = divmod(label, WORD * 8)
        byte = bit // 8 if sys.byteorder == "little" else WORD - 1 - bit // 8
        memory[word * WORD + byte] |= 1 << bit % 8
    return bytes(memory)


class Labels(unittest.TestCase):
    def test_each_label_of_an_entry_is_where_the_kernel_keeps_it(self) -> None:
        at = CEntry.labels.offset
        for label in range(128):
            entry = Entry(proto="udp", orig_src="10.0.0.1", orig_dst="10.0.0.2", orig_sport=1, orig_dport=2, labels=1 << label)
            self.assertEqual(entry.raw[at : at + 16], in_memory(label), label)
            self.assertEqual(entry.labels, 1 << label)

    def test_several_labels_of_an_entry_are_read_from_where_the_kernel_keeps_them(self) -> None:
        entry = Entry(proto="udp", orig_src="10.0.0.1", orig_dst="10.0.0.2", orig_sport=1, orig_dport=2, labels=1)
        raw, at = bytearray(entry.raw), CEntry.labels.offset
        raw[at : at + 16] = in_memory(0, 7, 8, 63, 64, 100, 127)
        self.assertEqual(Entry.from_raw(raw).labels, sum(1 << label for label in (0, 7, 8, 63, 64, 100, 127)))

    def test_a_change_adds_and_removes_labels_where_the_kernel_keeps_them(self) -> None:
        entry = Entry(proto="udp", orig_src="10.0.0.1", orig_dst="10.0.0.2", orig_sport=1, orig_dport=2)
        at = CEntry.labels.offset
        self.assertEqual(entry.change(add_labels=1 << 65 | 1 << 3).raw[at : at + 16], in_memory(3, 65))
        self.assertEqual(entry.change(remove_labels=1 << 64).raw[at : at + 16], in_memory(64))

    def test_labels_and_mask_of_a_filter_are_where_the_kernel_keeps_them(self) -> None:
        for label in range(128):
            packed = pack([Filter(zone=1, labels=1 << label, labels_mask=1 << label | 1 << 127 - label)])
            assert packed is not None
            self.assertEqual(bytes(packed[0].labels), in_memory(label), label)
            self.assertEqual(bytes(packed[0].labels_mask), in_memory(label, 127 - label), label)


if __name__ == "__main__":
    unittest.main()
