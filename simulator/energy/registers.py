"""The registers of a meter: what has flowed, for ever and in the running transaction.

What is shown is whole: registers in the field count whole watt hours. That makes ``meterStart`` and ``meterStop``,
which are integers, exactly what the samples show; a shown value is within half a watt hour of what has flowed since the
transaction began, and never falls.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from simulator.energy.electrical import reactive_power

ACTIVE_IMPORT, ACTIVE_EXPORT, REACTIVE_IMPORT, REACTIVE_EXPORT = range(4)
"""The registers, by their number; from :data:`FIRST_LINE` on, the active import of each of three lines."""

FIRST_LINE = 4
COUNT = FIRST_LINE + 3

Shares = tuple[tuple[int, float], ...]
"""Registers that follow the active import, and how much each of them counts for every Wh of it."""


@lru_cache(maxsize=64)
def vehicle_shares(lines: int, used: int, power_factor: float) -> Shares:
    """What follows the active import of a vehicle: its lines, evenly, and the reactive import of its power factor.

    :param lines: of the meter, 3 or 1.
    :param used: phases on which the vehicle draws.
    """
    by_line = [(FIRST_LINE + line, 1 / used) for line in range(used)] if lines == 3 else []
    reactive = [(REACTIVE_IMPORT, reactive_power(1.0, power_factor))] if power_factor < 1 else []
    return (*by_line, *reactive)


EVEN_SHARES = vehicle_shares(3, 3, 1.0)
"""A third on each line, and nothing else."""


class _Mark(NamedTuple):
    at: float
    shown: tuple[float, ...]
    before: tuple[float, ...]
    """What was shown at the mark before."""


class Registers:
    """The registers of one connector, in Wh and varh."""

    __slots__ = ("_base", "_marks", "_running", "_shared", "_shares", "_start")

    def __init__(self, lifetime: Sequence[float] = (), transaction: Sequence[float] = ()) -> None:
        self._running = [*transaction, *(0.0,) * COUNT][:COUNT]
        whole = [*lifetime, *(0.0,) * COUNT][:COUNT]
        self._base = [max(0.0, life - now) for life, now in zip(whole, self._running, strict=True)]
        self._marks: dict[str, _Mark] = {}
        #: Wh of the active import whose shares the other registers have not counted yet, and those shares.
        self._shared = 0.0
        self._shares: Shares = ()
        self._start = self.all_shown()

    @property
    def lifetime(self) -> tuple[float, ...]:
        """What has flowed in all, unrounded."""
        self._share_out()
        return tuple(base + now for base, now in zip(self._base, self._running, strict=True))

    @property
    def transaction(self) -> tuple[float, ...]:
        """What has flowed in the running transaction or, when none is running, in the last one."""
        self._share_out()
        return tuple(self._running)

    @property
    def transaction_wh(self) -> float:
        """The active import alone of :attr:`transaction`."""
        return self._running[ACTIVE_IMPORT]

    def add(self, register: int, amount: float) -> None:
        """Count ``amount``, 0 or more."""
        self._running[register] += amount

    def add_import(self, energy: float, shares: Shares) -> None:
        """Count an active import of ``energy``, 0 or more, and its shares.

        The shares only when somebody looks at them: as long as they are the same, the sum of the energy will do.
        """
        self._running[ACTIVE_IMPORT] += energy
        if shares is not self._shares:
            self._share_out()
            self._shares = shares
        self._shared += energy

    def _share_out(self) -> None:
        energy, self._shared = self._shared, 0.0
        if energy > 0:
            for register, share in self._shares:
                self._running[register] += energy * share

    def shown(self, register: int, per_transaction: bool = False) -> float:
        """What a register shows."""
        if register:
            self._share_out()
        now = whole(self._running[register])
        return now if per_transaction else whole(self._base[register]) + now

    def shown_after(self, energy: float) -> float:
        """What the active import of all its life will show once so many Wh more have flowed."""
        return whole(self._base[ACTIVE_IMPORT]) + whole(self._running[ACTIVE_IMPORT] + energy)

    def all_shown(self) -> tuple[float, ...]:
        """What all registers show, since for ever."""
        return tuple(self.shown(register) for register in range(COUNT))

    def begin(self) -> None:
        """A transaction begins."""
        self._base = list(self.all_shown())  # which shares out what was still to be
        self._running = [0.0] * COUNT
        # Clock-aligned intervals go on through transactions, the others belong to one.
        self._marks = {key: mark for key, mark in self._marks.items() if key == "Sample.Clock"}
        self._start = self.all_shown()

    def end(self) -> None:
        """A transaction ends: from now on its registers hold what they show."""
        self._share_out()
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
