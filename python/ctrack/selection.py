# SPDX-License-Identifier: MIT OR Apache-2.0
"""Which entries a list of filters selects, decided here: no table, no privilege, no call of the library."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .entry import Entry
from .errors import InvalidArgumentError, invalid
from .filter import Filter


class Selection:
    """Several filters, as list() and delete() take them.

    An entry is selected if it matches at least one including filter (or there is none of them) and no excluding one.

    >>> import ctrack
    >>> web = ctrack.Entry(proto="tcp", orig_src="10.0.0.1", orig_sport=40000, orig_dst="10.0.0.2", orig_dport=80, zone=7)
    >>> Selection(Filter(zone=7), Filter(proto="udp")).selects(web)
    True
    >>> Selection(Filter(zone=7), Filter(proto="tcp", orig_dport=80, exclude=True)).selects(web)
    False

    For tests of what an agent would select, and for entries that were listed once and are looked through again. The decision
    is that of the library for every entry that it lists; Filter.matches() says how fields are judged that an entry has not.
    """

    __slots__ = ("_exclude", "_filters", "_include")

    def __init__(self, *filters: Filter) -> None:
        for index, filter in enumerate(filters):
            if not isinstance(filter, Filter):
                raise TypeError(f"filter[{index}] is {type(filter).__name__}, not Filter (several: *filters)")
        self._filters = filters
        self._include = tuple(filter for filter in filters if not filter.exclude)
        self._exclude = tuple(filter for filter in filters if filter.exclude)

    @property
    def filters(self) -> tuple[Filter, ...]:
        """The filters, as given."""
        return self._filters

    def selects(self, entry: Entry) -> bool:
        """Whether the entry is selected."""
        including = not self._include or any(filter.matches(entry) for filter in self._include)
        return including and not any(filter.matches(entry) for filter in self._exclude)

    def select(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """Those of the entries that are selected, in their order."""
        return filter(self.selects, entries)

    def check(self, *, delete: bool = False) -> None:
        """Raises the InvalidArgumentError with which every call would refuse one of these filters; the text says which one.

        delete: also what delete() refuses: no including filter, one that matches every entry, one that names an id alone
        """
        for index, filter in enumerate(self._filters):
            try:
                filter.check(delete=delete)
            except InvalidArgumentError as error:
                raise invalid(f"filter[{index}]: {error.strerror}") from None
        if delete and not self._include:
            raise invalid("filter: no including filter: nothing says what to delete; to delete everything use flush_all()")

    def __eq__(self, other: object) -> bool:
        return self._filters == other._filters if isinstance(other, Selection) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._filters)

    def __repr__(self) -> str:
        return f"Selection({', '.join(map(repr, self._filters))})"
