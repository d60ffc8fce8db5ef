"""Charging along a curve of power by state of charge, integrated exactly.

The curve is linear between its corners, and the power is the less of it and of a cap that does not change meanwhile. On
each stretch the power is therefore constant or linear in the energy, which gives the energy as a linear or exponential
function of time: no steps, and no error that depends on how the time is cut up.
"""

from __future__ import annotations

import math
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from simulator.energy.electrical import Circuit
from simulator.energy.vehicle import VehicleModel, wh_for_soc

TRICKLE = 0.01
"""A vehicle whose curve tapers to nothing goes on with this fraction of its maximum power until its target."""

_SECONDS_PER_HOUR = 3600.0
# A power that changes by less than this fraction is constant.
_FLAT = 1e-9


class Piece(NamedTuple):
    """A stretch of a curve: from one energy to another, with the power at either end, linear between."""

    start: float
    """Wh."""
    end: float
    start_w: float
    end_w: float

    def power_at(self, wh: float) -> float:
        """W at an energy within the piece."""
        if self.end <= self.start:
            return self.start_w
        share = min(max((wh - self.start) / (self.end - self.start), 0.0), 1.0)
        return self.start_w + share * (self.end_w - self.start_w)


class Stretch(NamedTuple):
    """Charging from now on with a power that is linear in the energy: constant under a cap or where a curve is flat."""

    start_wh: float
    watts: float
    """At its start."""
    slope: float
    """W for every Wh; 0 where the power is constant."""
    seconds: float
    """How long it lasts."""

    def energy(self, wh: float, seconds: float) -> float:
        """Wh in ``seconds`` from ``wh`` on, both within the stretch."""
        hours, slope = seconds / _SECONDS_PER_HOUR, self.slope
        if not slope:
            return self.watts * hours
        return (self.watts + slope * (wh - self.start_wh)) * math.expm1(slope * hours) / slope


class ChargingCurve:
    """What a battery accepts by the energy it has taken since it was plugged in; immutable.

    :param soc: percent with which it was plugged in, where the energy is 0.
    :param target: percent at which it stops.
    """

    __slots__ = ("_pieces", "end_wh")

    def __init__(self, vehicle: VehicleModel, circuit: Circuit, soc: float, target: float) -> None:
        pieces = []
        end = max(0.0, wh_for_soc(vehicle, circuit, target - soc))
        for low, high, low_w, high_w in _corners(vehicle):
            start_wh = wh_for_soc(vehicle, circuit, low - soc)
            end_wh = wh_for_soc(vehicle, circuit, high - soc)
            if end_wh <= 0:
                continue
            if low_w == high_w == 0:  # here the vehicle takes nothing, so that it never gets beyond
                end = min(end, max(0.0, start_wh))
                break
            pieces.append(Piece(start_wh, end_wh, low_w, high_w))
        self._pieces = tuple(pieces)
        self.end_wh = end
        """Wh with which it is full."""

    def power_at(self, wh: float) -> float:
        """W that the battery accepts; 0 when it is full."""
        if wh >= self.end_wh:
            return 0.0
        return next((piece.power_at(wh) for piece in self._pieces if wh < piece.end), 0.0)

    def charge(self, wh: float, seconds: float, cap: float, end_wh: float) -> tuple[float, float]:
        """Charge from ``wh`` under a cap of ``cap`` W, more than 0, for ``seconds`` or until ``end_wh``.

        Returns the energy reached in Wh and the seconds that it took: fewer than ``seconds`` only at the end.
        """
        end_wh = min(end_wh, self.end_wh)
        spent = 0.0
        for piece in self._pieces:
            if piece.end <= wh:
                continue
            for stop, from_w, to_w in _under_cap(piece, wh, cap, end_wh):
                if stop <= wh:
                    continue
                needed = _seconds(stop - wh, from_w, to_w)
                if spent + needed > seconds:
                    return min(stop, wh + _energy(stop - wh, from_w, to_w, seconds - spent)), seconds
                wh, spent = stop, spent + needed
            if wh >= end_wh:
                break
        return wh, spent

    def stretch(self, wh: float, cap: float, end_wh: float) -> Stretch | None:
        """What :meth:`charge` does first; None at the end."""
        end_wh = min(end_wh, self.end_wh)
        for piece in self._pieces:
            if piece.end <= wh:
                continue
            for stop, from_w, to_w in _under_cap(piece, wh, cap, end_wh):
                if stop > wh:
                    steep = abs(to_w - from_w) >= _FLAT * from_w
                    slope = (to_w - from_w) / (stop - wh) if steep else 0.0
                    return Stretch(wh, from_w, slope, _seconds(stop - wh, from_w, to_w))
        return None


def _under_cap(piece: Piece, wh: float, cap: float, end_wh: float) -> list[tuple[float, float, float]]:
    """The stretches of a piece from ``wh`` to its end or ``end_wh``: where each stops, and its W at either end."""
    end = min(piece.end, end_wh)
    from_w, to_w = piece.power_at(wh), piece.power_at(end)
    if min(from_w, to_w) >= cap:
        return [(end, cap, cap)]
    if max(from_w, to_w) <= cap:
        return [(end, from_w, to_w)]
    crossing = piece.start + (cap - piece.start_w) / (piece.end_w - piece.start_w) * (piece.end - piece.start)
    crossing = min(max(crossing, wh), end)
    if from_w > cap:
        return [(crossing, cap, cap), (end, cap, to_w)]
    return [(crossing, from_w, cap), (end, cap, cap)]


def _seconds(wh: float, from_w: float, to_w: float) -> float:
    """Seconds for ``wh`` while the power goes from one value to another, linear in the energy."""
    slope = (to_w - from_w) / from_w
    mean = from_w if abs(slope) < _FLAT else (to_w - from_w) / math.log1p(slope)
    return wh * _SECONDS_PER_HOUR / mean


def _energy(wh: float, from_w: float, to_w: float, seconds: float) -> float:
    """Wh after ``seconds`` of a stretch of ``wh`` on which the power goes from one value to another."""
    hours = seconds / _SECONDS_PER_HOUR
    exponent = (to_w - from_w) / wh * hours
    if abs(exponent) < _FLAT:
        return from_w * hours
    return from_w * hours * math.expm1(exponent) / exponent


@lru_cache(maxsize=256)
def _corners(vehicle: VehicleModel) -> tuple[tuple[float, float, float, float], ...]:
    """The curve from 0 to 100 %: two states of charge and the W at them, with the trickle where it falls below that."""
    most, floor = vehicle.max_power_w, vehicle.max_power_w * TRICKLE
    socs = sorted({0.0, 100.0, *(min(max(point.soc_percent, 0.0), 100.0) for point in vehicle.charging_curve)})
    pieces: list[tuple[float, float, float, float]] = []
    for low, high in pairwise(socs):
        # Where two points stand at one state of charge the curve jumps: each piece takes its own side of it.
        low_w, high_w = (most * fraction for fraction in _ends(vehicle, low, high))
        if low_w == high_w == 0 or min(low_w, high_w) >= floor:
            pieces.append((low, high, low_w, high_w))
        elif max(low_w, high_w) <= floor:
            pieces.append((low, high, floor, floor))
        else:
            middle = low + (floor - low_w) / (high_w - low_w) * (high - low)
            pieces.append((low, middle, max(low_w, floor), floor))
            pieces.append((middle, high, floor, max(high_w, floor)))
    return tuple(pieces)


def _ends(vehicle: VehicleModel, low: float, high: float) -> tuple[float, float]:
    """The fractions just above ``low`` and just below ``high``, between which there is no corner."""
    # The first of several points at one state of charge is where the curve arrives, the last where it goes on.
    arriving = next((point.power_fraction for point in vehicle.charging_curve if point.soc_percent == high), None)
    return vehicle.fraction_at(low), vehicle.fraction_at(high) if arriving is None else arriving
