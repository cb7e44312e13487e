# SPDX-License-Identifier: MIT OR Apache-2.0
"""The table at large: how full it is, its settings, and what the kernel counted."""

from __future__ import annotations

import ctypes
import errno
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from . import _values
from ._native import CStats, CTableInfo, lib
from ._open import Opened
from .constants import ExpectStat, Setting, Stat
from .errors import invalid


@dataclass(frozen=True)
class TableInfo:
    """How full a table is, and settings that were asked for."""

    #: How many entries there are. Those that have expired and are not reaped yet are counted, too.
    entries: int
    #: The settings that are known; timeouts in seconds. One that was asked for and is not here cannot be known: this kernel has no such
    #: setting, or /proc/sys is hidden.
    settings: Mapping[Setting, int]
    #: Those of them that the caller may set.
    settable: frozenset[Setting]

    @property
    def max(self) -> int | None:
        """How many entries there may be; None: it is not known."""
        return self.settings.get(Setting.MAX)


class CpuStats(Mapping[int, int]):
    """What one processor counted in a network namespace since that was made: counters by their numbers, Stat or ExpectStat.

    They have 32 bits, and wrap: see StatsTotal. One that the kernel does not send is not here. str() is the line of `conntrack -S`, or
    of expectations that of `conntrack -S expect`.
    """

    __slots__ = ("_expect", "_raw", "_values")

    def __init__(self, raw: bytes, expect: bool) -> None:
        self._raw, self._expect = raw, expect
        kind: Any = ExpectStat if expect else Stat
        stats = CStats.from_buffer_copy(raw)
        named = {int(stat): stat for stat in kind}
        self._values = {named.get(n, n): stats.value[n] for n in range(32) if stats.has >> n & 1}

    @property
    def cpu(self) -> int:
        """The number of the processor."""
        return CStats.from_buffer_copy(self._raw).cpu

    def __getitem__(self, stat: int) -> int:
        return self._values[stat]

    def __iter__(self) -> Iterator[int]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __str__(self) -> str:
        text = ctypes.create_string_buffer(1024)
        lib.ct_stats_format(self._raw, int(self._expect), text, len(text))
        return text.value.decode()

    def __repr__(self) -> str:
        counters = ", ".join(f"{getattr(stat, 'name', stat)}={value}" for stat, value in self._values.items())
        return f"CpuStats(cpu={self.cpu}, {counters})"


class StatsTotal:
    """Adds up counters that wrap: read them, add() them, again and again, and often enough that none wraps twice in between."""

    def __init__(self) -> None:
        self._last: dict[int, CpuStats] = {}
        self._sums: dict[int, int] = {}

    def add(self, stats: Iterable[CpuStats]) -> None:
        """Takes what was read. What was counted before the first time counts, too."""
        for now in stats:
            before: Mapping[int, int] = self._last.get(now.cpu, {})
            for stat, value in now.items():
                self._sums[stat] = self._sums.get(stat, 0) + (value - before.get(stat, 0)) % (1 << 32)
            self._last[now.cpu] = now

    def __getitem__(self, stat: int) -> int:
        """What all processors counted. KeyError: the kernel never sent it."""
        return self._sums[stat]

    def __contains__(self, stat: int) -> bool:
        return stat in self._sums


class Administrator(Opened):
    """The operations on the table at large."""

    def table_info(self, *settings: Setting) -> TableInfo:
        """How many entries there are and may be, and these settings of the network namespace.

        Without settings that is one small request; the maximum comes with it where the kernel sends it (since Linux 5.8). Settings are
        read in /proc/sys. What cannot be read is not known, which is no error.
        """
        info = CTableInfo(size=ctypes.sizeof(CTableInfo))
        wanted = sum({1 << _setting(setting) for setting in settings})
        with self._pool.handle() as handle:
            handle.check(lib.ct_table_get_info(handle.address, wanted, ctypes.byref(info)))
        known = {setting: info.value[setting] for setting in Setting if info.known >> setting & 1}
        return TableInfo(info.entries, known, frozenset(setting for setting in Setting if info.settable >> setting & 1))

    def set_table(self, setting: Setting, value: int) -> None:
        """Changes a setting of the network namespace. It stays so when the program ends.

        Accounting, time stamps and events are for entries that are made from now on. EINVAL: it belongs to the machine, or the kernel
        takes no such value. EROFS: /proc/sys is read-only, as in most containers. ENOENT: this kernel has no such setting, or /proc is not
        mounted.
        """
        number = _setting(setting)
        value = _values.number("value", value, 0xFFFFFFFF)
        with self._pool.handle() as handle:
            handle.check(lib.ct_table_set(handle.address, number, value))

    def cpu_stats(self) -> list[CpuStats]:
        """What each processor counted: one for each that the machine may have."""
        return self._stats(lib.ct_stats_cpu, False)

    def expect_stats(self) -> list[CpuStats]:
        """The same for expectations: the counters of ExpectStat."""
        return self._stats(lib.ct_stats_expect, True)

    def _stats(self, function: Any, expect: bool) -> list[CpuStats]:
        room, count, size = 64, ctypes.c_size_t(), ctypes.sizeof(CStats)
        while True:
            stats = ctypes.create_string_buffer(room * size)
            with self._pool.handle() as handle:
                returned = function(handle.address, stats, room, ctypes.byref(count))
                if returned == -errno.ENOSPC:
                    room = count.value
                    continue
                handle.check(returned)
            return [CpuStats(stats.raw[n * size : (n + 1) * size], expect) for n in range(count.value)]


def _setting(setting: Any) -> int:
    try:
        return Setting(setting)
    except ValueError:
        raise invalid(f"setting: {setting!r} is none") from None
