# SPDX-License-Identifier: MIT OR Apache-2.0
"""The labels of the library, 128 bits in the kernel's own memory order, and of this package: one number, bit n for label n."""

from __future__ import annotations

import struct
import sys

# The kernel keeps them as numbers of this size: on a big-endian machine each has its last byte first, and label 0 is in the first.
_WORD = struct.calcsize("L")


def _ordered(labels: bytes) -> bytes:
    """From the memory order to the little-endian one, and back."""
    if sys.byteorder == "little":
        return labels
    return b"".join(labels[at : at + _WORD][::-1] for at in range(0, 16, _WORD))


def to_bytes(labels: int) -> bytes:
    """As the library takes them."""
    return _ordered(labels.to_bytes(16, "little"))


def from_bytes(labels: bytes) -> int:
    """As the library gives them."""
    return int.from_bytes(_ordered(labels), "little")
