"""The registers of a meter: what has flowed, for ever and in the running transaction.

What is shown is whole: registers in the field count whole watt hours. That makes ``meterStart`` and ``meterStop``,
which are integers, exactly what the samples show; a shown value is within half a watt hour of what has flowed since the
transaction began, and never falls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

ACTIVE_IMPORT, ACTIVE_EXPORT, REACTIVE_IMPORT, REACTIVE_EXPORT = range(4)
"""The registers, by their number; from :data:`FIRST_LINE` on, the active import of each of three lines."""

FIRST_LINE = 4
COUNT = FIRST_LINE + 3


class _Mark(NamedTuple):
    at: float
    shown: tuple[float, ...]
    before: tuple[float, ...]
    """What was shown at the mark before."""


class Registers:
    """The registers of one connector, in Wh and varh."""

    __slots__ = ("_base", "_marks", "_running", "_start")

    def __init__(self, lifetime: Sequence[float] = (), transaction: Sequence[float] = ()) -> None:
        self._running = [*transaction, *(0.0,) * COUNT][:COUNT]
        whole = [*lifetime, *(0.0,) * COUNT][:COUNT]
        self._base = [max(0.0, life - now) for life, now in zip(whole, self._running, strict=True)]
        self._marks: dict[str, _Mark] = {}
        self._start = self.all_shown()

    @property
    def lifetime(self) -> tuple[float, ...]:
        """What has flowed in all, unrounded."""
        return tuple(base + now for base, now in zip(self._base, self._running, strict=True))

    @property
    def transaction(self) -> tuple[float, ...]:
        """What has flowed in the running transaction or, when none is running, in the last one."""
        return tuple(self._running)

    def add(self, register: int, amount: float) -> None:
        """Count ``amount``, 0 or more."""
        self._running[register] += amount

    def shown(self, register: int, *, per_transaction: bool = False) -> float:
        """What a register shows."""
        now = whole(self._running[register])
        return now if per_transaction else whole(self._base[register]) + now

    def all_shown(self) -> tuple[float, ...]:
        """What all registers show, since for ever."""
        return tuple(self.shown(register) for register in range(COUNT))

    def begin(self) -> None:
        """A transaction begins."""
        self._base = list(self.all_shown())
        self._running = [0.0] * COUNT
        # Clock-aligned intervals go on through transactions, the others belong to one.
        self._marks = {key: mark for key, mark in self._marks.items() if key == "Sample.Clock"}
        self._start = self.all_shown()

    def end(self) -> None:
        """A transaction ends: from now on its registers hold what they show."""
        self._running = [whole(now) for now in self._running]

    def interval(self, register: int, kind: str, at: float) -> float:
        """What a register has counted since the last report of the same kind, or since the transaction began.

        :param kind: the reading context.
        :param at: seconds of the caller's clock; asking again at the same instant gives the same.
        """
        mark = self._marks.get(kind)
        if mark is None:
            mark = self._marks[kind] = _Mark(at, self.all_shown(), self._start)
        elif mark.at != at:
            mark = self._marks[kind] = _Mark(at, self.all_shown(), mark.shown)
        return mark.shown[register] - mark.before[register]


def whole(amount: float) -> float:
    """The nearest whole number, halves up."""
    return float(math.floor(amount + 0.5))
