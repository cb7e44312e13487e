# SPDX-License-Identifier: MIT OR Apache-2.0
"""Addresses as text: the quick way in reads exactly what `ipaddress` reads. SEED=n repeats a run."""

from __future__ import annotations

import os
import random
from ipaddress import ip_address

import pytest

from ctrack import Entry

SEED = int(os.environ.get("SEED") or random.SystemRandom().randrange(1 << 32))


def variant(rng: random.Random) -> str:
    """A text that is an address, or nearly one."""
    if rng.random() < 0.4:
        text = ".".join(str(rng.choice((0, 1, 9, 10, 255, rng.randrange(256)))) for _ in range(4))
    else:
        groups = [format(rng.choice((0, 0, 1, 0xFFFF, rng.randrange(1 << 16))), "x") for _ in range(8)]
        text = ":".join(groups)
        if rng.random() < 0.6:
            first = rng.randrange(8)
            last = rng.randrange(first, 8)
            text = ":".join(groups[:first]) + "::" + ":".join(groups[last + 1 :])
        if rng.random() < 0.2:
            text = text.rsplit(":", 2)[0] + ":10.0.0.1"
    while rng.random() < 0.4:
        at = rng.randrange(len(text) + 1)
        text = (
            text[:at]
            + rng.choice((".", ":", "::", "0", "00", "1", "g", " ", "%", "/", "\0", "é", ""))
            + text[at + rng.randrange(2) :]
        )
    return text.upper() if rng.random() < 0.2 else text


def test_a_text_is_taken_if_and_only_if_ipaddress_takes_it_and_is_the_same_address() -> None:
    print(f"SEED={SEED}")
    rng = random.Random(SEED)
    taken = refused = 0
    for _ in range(20_000):
        text = variant(rng)
        try:
            wanted = ip_address(text)
        except ValueError:
            refused += 1
            with pytest.raises(ValueError):
                Entry(proto=50, orig_src=text, orig_dst=text, family="ipv6" if ":" in text else "ipv4")
            continue
        if "%" in text:
            continue
        taken += 1
        made = Entry(proto=50, orig_src=text, orig_dst=text, family="ipv6" if ":" in text else "ipv4")
        assert (made.orig_src, made.orig_dst) == (wanted, wanted), text
    assert taken > 2_000 and refused > 2_000
