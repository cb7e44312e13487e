# SPDX-License-Identifier: MIT OR Apache-2.0

"""Whether results are right. A wrong one means that its time means nothing, so it ends the run without a table."""

from .catalogue import FLOOR, OURS, PACED

# Of events at a pace these must read every one.
NO_LOSS = (FLOOR, *OURS)

# These count bytes, entries of the table or characters; all others what they were meant to find.
SAME_FOR_ALL = ("dump", "count")


class Checker:
    """Takes every result and remembers what those of the same operation on the same table said."""

    def __init__(self):
        self.errors = []
        self._checks = {}
        self._sums = {}

    def add(self, result):
        op, what = result["op"], f"{result['peer']} {result['op']}"
        table = (op, result["size"])
        check = result["check"]
        if op.startswith("empty"):
            if check != 0:
                self.errors.append(f"{what} counted {check} in an empty table")
        elif check == 0:
            self.errors.append(f"{what} counted nothing")
        elif op in SAME_FOR_ALL:
            self._same(self._checks, table, check, f"results of {op} differ")
        elif op == PACED and result["peer"] not in NO_LOSS and check < result["n"]:
            # That is what it is measured for.
            pass
        elif check != result["n"]:
            self.errors.append(f"{what} did {check} of {result['n']}")
        if result["sum"] != 0:
            self._same(self._sums, table, result["sum"], f"what was read by {op} differs")

    def _same(self, seen, table, value, text):
        before = seen.setdefault(table, value)
        if before != value:
            self.errors.append(f"{text}: {before} and {value}")


FIELDS = ("n", "wall_ns", "user_ns", "sys_ns", "peak_kb", "check", "sum")


def parse(line, peer, op):
    """The line of results of a peer. ValueError if it is not what it should be."""
    pairs = dict(word.split("=", 1) for word in line.split() if "=" in word)
    if pairs.get("peer") != peer or pairs.get("op") != op:
        raise ValueError(f"{peer} {op} printed: {line!r}")
    missing = [name for name in FIELDS if not pairs.get(name, "").isdecimal()]
    if missing:
        raise ValueError(f"{peer} {op} printed no {', '.join(missing)}: {line!r}")
    result = {name: int(pairs[name]) for name in FIELDS}
    if result["n"] == 0:
        raise ValueError(f"{peer} {op} measured nothing: {line!r}")
    return {"peer": peer, "op": op, **result}
