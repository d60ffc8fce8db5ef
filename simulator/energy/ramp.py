"""How a vehicle takes up its power: shapes of the ramp from nothing to all of it, and their integrals.

A vehicle under ramp takes ``fraction(t)`` of what it would take otherwise. The integral of that fraction, the *full
seconds*, is how long the charging has advanced as if there were no ramp; it turns an integration over time with a ramp
into one without.
"""

from __future__ import annotations

import math
from enum import StrEnum

# Of the logistic function that makes a sigmoid ramp: from -5 to 5, scaled so that it starts at 0 and ends at 1.
_STEEPNESS = 10.0
_START = 1 / (1 + math.exp(_STEEPNESS / 2))
_SCALE = 1 - 2 * _START
# Halving an interval this often leaves less than the resolution of a float.
_HALVINGS = 60


class RampShape(StrEnum):
    """The course of the power while a vehicle takes up charging."""

    LINEAR = "linear"
    SIGMOID = "sigmoid"


def ramp_fraction(shape: RampShape, duration: float, elapsed: float) -> float:
    """The fraction of its power, 0 to 1, that a vehicle takes ``elapsed`` seconds into a ramp of ``duration``."""
    if elapsed >= duration:
        return 1.0
    if elapsed <= 0:
        return 0.0
    x = elapsed / duration
    if shape is RampShape.LINEAR:
        return x
    return (1 / (1 + math.exp(_STEEPNESS * (0.5 - x))) - _START) / _SCALE


def full_seconds(shape: RampShape, duration: float, elapsed: float) -> float:
    """The integral of :func:`ramp_fraction` over the first ``elapsed`` seconds."""
    if elapsed <= 0:
        return 0.0
    if elapsed >= duration:
        return duration / 2 + (elapsed - duration)  # both shapes are symmetric: half of the ramp counts
    x = elapsed / duration
    if shape is RampShape.LINEAR:
        return duration * x * x / 2
    area = (_softplus(_STEEPNESS * (x - 0.5)) - _softplus(-_STEEPNESS / 2)) / _STEEPNESS
    return max(0.0, duration * (area - _START * x) / _SCALE)


def elapsed_seconds(shape: RampShape, duration: float, full: float) -> float:
    """The seconds into the ramp at which its integral is ``full``: the inverse of :func:`full_seconds`."""
    if full <= 0:
        return 0.0
    if full >= duration / 2:
        return duration + (full - duration / 2)
    if shape is RampShape.LINEAR:
        return math.sqrt(2 * duration * full)
    low, high = 0.0, duration
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if full_seconds(shape, duration, middle) < full:
            low = middle
        else:
            high = middle
    return high


def _softplus(x: float) -> float:
    """The integral of the logistic function."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
