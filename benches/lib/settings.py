# SPDX-License-Identifier: MIT OR Apache-2.0

"""What the environment asks for."""

import dataclasses


class Wrong(Exception):
    """A run that cannot be begun, or whose results mean nothing. Its text is for the user."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """One run. `only` and `peers`: what to measure; empty: everything."""

    quick: bool
    rounds: int
    size: int
    table: int
    known: int
    acct: bool
    patience: int
    only: tuple = ()
    peers: tuple = ()
    cc: str = "cc"
    cflags: str = "-O2"


DEFAULTS = {"ROUNDS": 7, "SIZE": 250000, "TABLE": 100000, "KNOWN": 10000, "PATIENCE": 60}
QUICK = {"ROUNDS": 2, "SIZE": 10000, "TABLE": 10000, "KNOWN": 2000, "PATIENCE": 2}

# The smallest table that has a pod, and the largest out of which samples are taken.
SMALLEST, LARGEST = 250, 611952


def read(environment):
    """Settings out of the environment's variables."""
    quick = environment.get("QUICK") == "1"
    defaults = QUICK if quick else DEFAULTS

    def number(name):
        text = environment.get(name) or str(defaults[name])
        if not text.isdecimal() or int(text) == 0:
            raise Wrong(f"{name}={text} is no number above 0")
        return int(text)

    settings = Settings(
        quick=quick,
        rounds=number("ROUNDS"),
        size=number("SIZE"),
        table=number("TABLE"),
        known=number("KNOWN"),
        patience=number("PATIENCE"),
        acct=environment.get("ACCT") == "1",
        only=tuple(environment.get("ONLY", "").split()),
        peers=tuple(environment.get("PEERS", "").split()),
        cc=environment.get("CC") or "cc",
        cflags=environment.get("CFLAGS", "-O2"),
    )
    for name, value in (("SIZE", settings.size), ("TABLE", settings.table)):
        if not SMALLEST <= value <= LARGEST:
            raise Wrong(f"{name}={value} is not from {SMALLEST} to {LARGEST}")
    if settings.known > settings.table:
        raise Wrong(f"KNOWN={settings.known} is more than TABLE={settings.table}")
    return settings
