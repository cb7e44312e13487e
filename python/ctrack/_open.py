# SPDX-License-Identifier: MIT OR Apache-2.0
"""Opening and closing: what every operation of a Conntrack stands on."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, cast

from ._pool import Pool
from ._values import NetnsLike

if TYPE_CHECKING:
    from .conntrack import Conntrack


class Opened:
    """The handles of one network namespace, from opening to closing."""

    def __init__(
        self,
        netns: NetnsLike = None,
        *,
        timeout: float | None = None,
        rcvbuf: int | None = None,
        compare_start: bool = False,
        max_handles: int = 64,
    ) -> None:
        self._pool = Pool(netns, timeout, rcvbuf, compare_start, max_handles)

    def __repr__(self) -> str:
        """For example "<ctrack.Conntrack: 'blue', net:[4026532281], open>"."""
        return f"<ctrack.Conntrack: {getattr(self, '_pool', 'not opened')}>"

    def close(self) -> None:
        """Closes the object. More than once is fine."""
        self._pool.close()

    def __enter__(self) -> Conntrack:
        self._pool.check_usable()
        return cast("Conntrack", self)

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        pool = getattr(self, "_pool", None)
        if pool is not None:
            pool.close()
