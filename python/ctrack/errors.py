# SPDX-License-Identifier: MIT OR Apache-2.0
"""What is raised. Every error is a `ctrack.Error`, hence an OSError with an errno; most are a familiar built-in one too.

Two exceptions: what is not even of the right type (None among filters) is a TypeError, and a namespace whose path or descriptor
cannot be opened is the plain OSError of the system, for example FileNotFoundError.
"""

from __future__ import annotations

import errno as codes
from typing import Any, NamedTuple

from ._native import lib


class Result(NamedTuple):
    """What an operation did.

    A tuple of plain values. Where only those pass, such as oslo.privsep (msgpack), a plain tuple of them arrives:
    `Result(*arrived)` has the names again.
    """

    matched: int
    """Entries that were selected or given: always done + gone + failed + spared."""
    done: int
    """Entries that were deleted, created or updated."""
    gone: int
    """Entries that were no longer there, or no longer the same one, when their turn came. Not a failure."""
    failed: int
    """Entries for which the kernel refused, or that are impossible to make or to change, or whose fate is not known since it fell
    silent, or which are there but cannot be reached (ENOTUNIQ)."""
    first_error: int
    """The errno of the first of the failed ones (positive), or 0. The text of the error says which one it is."""
    uncounted: bool
    """The kernel deleted by itself: what it deleted is not in the sums."""
    statuses: tuple[int, ...]
    """One errno (positive) for each given entry: 0 done, ENOENT gone, ENOTUNIQ there but out of reach. Empty for deletes by
    filter."""
    spared: int = 0
    """Entries that were selected, but changed before their turn came so that they are not any more: they stay."""
    start_unknown: bool = False
    """Start times were to be compared (compare_start), but at least one deleted entry has none, since the kernel kept none when
    it was made. It was told apart by its tuples, zone and id alone."""


class Error(OSError):
    """Something went wrong. `errno` is positive, `strerror` says what, in the words of the library or the kernel. Of several
    entries that failed it names the first and says how many more did: "entry[3]: create_entries: entry exists; and 4 more".

    `result` says what was done all the same, and the status of each entry, if the operation is one that has a result. It then
    is also the third of `args`: whoever passes exceptions on by class and arguments, as pickle and oslo.privsep do, passes it on.
    """

    _result: Result | None = None

    def __init__(self, *args: Any) -> None:
        if len(args) == 3 and isinstance(args[2], (tuple, list)):
            super().__init__(*args[:2])
            # A plain tuple, if it came through something that knows no other.
            self.result = Result(*args[2])
        else:
            super().__init__(*args)

    @property
    def result(self) -> Result | None:
        """What was done all the same; None of an operation that has no result, or that did not begin."""
        return self._result

    @result.setter
    def result(self, result: Result | None) -> None:
        self._result = result
        self.args = self.args[:2] if result is None else (*self.args[:2], result)


class InvalidArgumentError(Error, ValueError):
    """An argument makes no sense (EINVAL, E2BIG). Found before anything was sent."""


class PermissionDeniedError(Error, PermissionError):
    """A capability is missing (EPERM, EACCES); the text names it."""


class TimedOutError(Error, TimeoutError):
    """The kernel fell silent (ETIMEDOUT)."""


class TableChangedError(Error):
    """The table was resized meanwhile (EAGAIN): entries may be missing or repeated. Start again."""


class HiddenError(Error):
    """The entry is there, but cannot be reached (ENOTUNIQ): every request that names it leads to another entry, one with a zone
    for one direction only. Nothing was done to either."""


class ForkedError(Error, ChildProcessError):
    """The object was opened by a parent process (ECHILD): open one here."""


class ClosedError(Error, ValueError):
    """The object was closed (EBADF)."""


# The names of 0.1, for programs and pickles of that release. They go with 0.3.
InvalidArgument = InvalidArgumentError
PermissionDenied = PermissionDeniedError
Timeout = TimedOutError
TableChanged = TableChangedError
Hidden = HiddenError
Forked = ForkedError
Closed = ClosedError


_CLASSES: dict[int, type[Error]] = {
    codes.EINVAL: InvalidArgumentError,
    codes.E2BIG: InvalidArgumentError,
    codes.EPERM: PermissionDeniedError,
    codes.EACCES: PermissionDeniedError,
    codes.ETIMEDOUT: TimedOutError,
    codes.EAGAIN: TableChangedError,
    codes.ENOTUNIQ: HiddenError,
    codes.ECHILD: ForkedError,
}


def error(number: int, text: str = "", result: Result | None = None) -> Error:
    """The error for an errno of either sign."""
    number = abs(number)
    kind = _CLASSES.get(number, Error)
    if result is not None and result.failed and kind is InvalidArgumentError:
        # The kernel said so, of an entry that was sent.
        kind = Error
    if not text:
        words: bytes = lib.ct_strerror(number)
        text = words.decode()
    made = kind(number, text)
    made.result = result
    return made


def invalid(text: str) -> InvalidArgumentError:
    """The error for an argument that is wrong."""
    return InvalidArgumentError(codes.EINVAL, text)
