"""What a meter can report: the template entry of each value (:class:`Gauge`), where the value comes from and how it is
written (:class:`Channel`), and the channels that somebody wants (:class:`Selection`)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import cache
from itertools import count
from math import floor
from operator import getitem, itemgetter
from typing import NamedTuple

import msgspec

from simulator.energy import registers
from simulator.energy.meter_values import (
    CURRENT,
    DEFAULT_FLUCTUATION_PERCENT,
    INTERVALS,
    POWER,
    REGISTERS,
    SOC,
    VOLTAGE,
    Sample,
    format_value,
)

NEUTRAL_SLOT = 7
"""Where the value of the neutral conductor stands, behind the whole, three lines and three pairs of lines."""

READING_FIELDS = (VOLTAGE, POWER, CURRENT)
"""The measurands that a reading of the meter holds, in the order of its members."""

REGISTER, INTERVAL, CHARGE, OTHER = range(len(READING_FIELDS), len(READING_FIELDS) + 4)
"""Where a channel finds its value if not in that member of the reading: in a register or its interval, in the state of
charge of the vehicle, or worked out by its name."""

_REGISTER_NUMBERS = {measurand: number for number, measurand in enumerate(REGISTERS)}
_INTERVAL_NUMBERS = {INTERVALS[measurand]: number for number, measurand in enumerate(REGISTERS)}
# A voltage that no entry describes otherwise strays so far from nominal, as a fraction.
_VOLTAGE_NOISE = 0.005
# Relative error of a few floating-point operations: 22.08 kW is not above a limit of 22,080 W.
_NOISE = 1e-12
# Of each unit: 3 MB at most.
_TEXTS_KEPT = 16_384
# By the number of decimals that a sample has.
_POWERS_OF_TEN = (1.0, 10.0, 100.0, 1000.0)


class Gauge(NamedTuple):
    """One template entry, read: numbers are in base units."""

    unit: str | None
    scale: float
    """How much of the base unit one ``unit`` is."""
    decimals: int
    base: float | None
    """The value around which to fluctuate; None: simulated."""
    minimum: float
    spread: float
    """The fluctuation as a fraction, 0 to 1."""
    phase: str | None
    context: str | None
    location: str | None
    offset: float = 0.0
    """What ``unit`` reads where the base unit is 0."""

    @property
    def noise(self) -> float:
        """How far a simulated voltage strays, as a fraction: little, unless the entry says otherwise."""
        return _VOLTAGE_NOISE if self.spread == DEFAULT_FLUCTUATION_PERCENT / 100 else self.spread

    def settle(self, value: float, limit: float = math.inf) -> float:
        """``value`` in the resolution of the meter, in base units, between 0 and ``limit``."""
        scale, power_of_ten = self.scale, _POWERS_OF_TEN[self.decimals]
        settled = floor(value / scale * power_of_ten + 0.5) / power_of_ten * scale if value > 0 else 0.0
        if settled > limit * (1 + _NOISE):
            settled = floor(max(0.0, limit) / scale * power_of_ten) / power_of_ten * scale
        return settled


_encode = msgspec.json.Encoder().encode


class ValueTexts(dict[float, str]):
    """The text on the wire of a value in the base unit: a fleet shows the same few thousand again and again.

    :param kept: whether they are remembered.
    """

    def __init__(self, scale: float, offset: float, decimals: int, *, kept: bool) -> None:
        super().__init__()
        self._unit = scale, offset, decimals
        self._kept = kept

    def __missing__(self, value: float) -> str:
        scale, offset, decimals = self._unit
        text = format_value(round_half_up(value / scale + offset, decimals))
        if self._kept:
            if len(self) >= _TEXTS_KEPT:
                self.clear()
            self[value] = text
        return text


@cache
def value_texts(scale: float, offset: float, decimals: int, *, kept: bool) -> ValueTexts:
    """Those of a unit: how much of the base unit it is, what it reads where that is 0, and decimals."""
    return ValueTexts(scale, offset, decimals, kept=kept)


class Channel(NamedTuple):
    """One sample that a meter can report."""

    measurand: str
    phase: str | None
    slot: int
    """Where the value stands among the drawn values of the measurand."""
    gauge: Gauge

    @property
    def source(self) -> tuple[int, int]:
        """Where the value comes from, and its place or number there."""
        measurand, slot = self.measurand, self.slot
        if (register := _REGISTER_NUMBERS.get(measurand)) is not None:
            return REGISTER, registers.FIRST_LINE + slot - 1 if slot else register
        if (register := _INTERVAL_NUMBERS.get(measurand)) is not None:
            return INTERVAL, register
        if measurand in READING_FIELDS and slot != NEUTRAL_SLOT:  # the current of the neutral follows from the others
            return READING_FIELDS.index(measurand), slot
        return CHARGE if measurand == SOC else OTHER, slot

    @property
    def texts(self) -> ValueTexts:
        """The value as it stands on the wire, by what it is in the base unit."""
        gauge = self.gauge
        # What strays without being settled is never the same twice.
        return value_texts(gauge.scale, gauge.offset, gauge.decimals, kept=self.source[0] != OTHER)

    def value(self, value: float) -> float:
        """``value``, which is in the base unit, as a sample has it: in its unit and with its decimals."""
        gauge = self.gauge
        return round_half_up(value / gauge.scale + gauge.offset, gauge.decimals)

    def sample(self, value: float, context: str | None) -> Sample:
        """The sample of ``value``, which is in the base unit."""
        gauge = self.gauge
        return Sample(
            self.measurand,
            self.value(value),
            gauge.unit,
            self.phase,
            gauge.context if context is None else context,
            gauge.location,
        )


class Selection:
    """The channels that report some measurands, and how their values are found and written.

    ``proven``: for its user to note that a message with samples of all of them is valid.

    :param lines: of the meter, 3 or 1.
    """

    __slots__ = ("_lines", "_order", "_parts", "_subsets", "_texts", "channels", "others", "proven", "reads")

    def __init__(self, channels: Iterable[Channel], lines: int) -> None:
        self.channels = tuple(channels)
        self.proven = False
        self._lines = lines
        sources = [channel.source for channel in self.channels]
        self.reads = any(source not in (REGISTER, INTERVAL) for source, _ in sources)
        """Whether any value is not a register's: those are often all that is asked for."""
        self.others = tuple(
            (*channel.source, channel) for channel in self.channels if channel.source[0] >= len(READING_FIELDS)
        )
        """Of each channel that does not show a member of a reading where its value is, its place there, and itself."""
        # Values come in a row: voltages, powers and currents of the reading, if there is one, then the others.
        begins = (0, 7, 11, 15) if lines == 3 else (0, 1, 2, 3)
        others = count(begins[-1] if self.reads else 0)
        places = [begins[source] + place if source < len(READING_FIELDS) else next(others) for source, place in sources]
        self._order = itemgetter(*places) if len(places) > 1 else itemgetter(slice(places[0], places[0] + 1))
        # Texts with a place for a value between each two.
        self._parts: list[str] = ['{"value":"']
        for channel in self.channels:
            self._parts += "", _tail(channel) + ',{"value":"'
        self._parts[-1] = self._parts[-1].removesuffix(',{"value":"')
        self._texts = tuple(channel.texts for channel in self.channels)
        self._subsets: dict[tuple[bool, ...], Selection] = {}

    def arrange(self, row: tuple[float | None, ...]) -> tuple[float | None, ...]:
        """The values of the channels in their order.

        :param row: voltages, powers and currents, nothing of those unless the selection :attr:`reads`; :attr:`others`.
        """
        arranged: tuple[float | None, ...] = self._order(row)
        return arranged

    def write(self, values: Iterable[float]) -> str:
        """The values of all channels, in base units, as periodic samples: the elements of a JSON array."""
        parts = self._parts.copy()
        parts[1::2] = map(getitem, self._texts, values)
        return "".join(parts)

    def known(self, values: Iterable[float | None]) -> Selection:
        """Those of the channels whose value is not None."""
        present = tuple(value is not None for value in values)
        subset = self._subsets.get(present)
        if subset is None:
            channels = (channel for channel, known in zip(self.channels, present, strict=True) if known)
            subset = self._subsets[present] = Selection(channels, self._lines)
        return subset


def _tail(channel: Channel) -> str:
    """What stands behind the value in a periodic sample as JSON."""
    gauge = channel.gauge
    members = {
        "context": gauge.context,
        "measurand": channel.measurand,
        "phase": channel.phase,
        "location": gauge.location,
        "unit": gauge.unit,
    }
    return '",' + _encode({name: text for name, text in members.items() if text}).decode()[1:]


def round_half_up(value: float, decimals: int) -> float:
    """``value`` with at most ``decimals`` decimals, halves towards positive infinity."""
    power_of_ten = _POWERS_OF_TEN[decimals]
    return floor(value * power_of_ten + 0.5) / power_of_ten
