"""A compact histogram of durations: bounded relative error, any range, a few hundred bytes."""

from __future__ import annotations

import math
from math import frexp

# Each power of two is divided into so many buckets of equal width: a bucket is at most 1/128 of its values wide, so its
# middle is at most 0.4 % away from any of them.
_PER_OCTAVE = 128
_LEAST, _GREATEST = 1e-9, 1e9


class Histogram:
    """Counts values in logarithmic buckets, kept sparsely: memory grows with the spread of the values, not their count.

    Values outside of 1e-9 … 1e9 count as those bounds. Percentiles are at most 0.4 % off; count, least, greatest and
    total are exact.
    """

    __slots__ = ("_buckets", "count", "greatest", "least", "total")

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.greatest = -math.inf

    def record(self, value: float) -> None:
        """Count one value."""
        if value < self.least:
            self.least = value
        if value > self.greatest:
            self.greatest = value
        self.count += 1
        self.total += value
        mantissa, exponent = frexp(value if _LEAST <= value <= _GREATEST else _clamp(value))
        # The mantissa is in [0.5, 1): the second term runs from 128 to 255, and the next octave goes on where it ends.
        bucket = exponent * _PER_OCTAVE + int(mantissa * (2 * _PER_OCTAVE))
        buckets = self._buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def merge(self, other: Histogram) -> None:
        """Count all values of ``other`` too."""
        for bucket, count in other._buckets.items():
            self._buckets[bucket] = self._buckets.get(bucket, 0) + count
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.greatest = max(self.greatest, other.greatest)

    def percentile(self, percent: float) -> float | None:
        """The value that ``percent`` % of all values do not exceed (nearest rank); None while there are no values."""
        return self.percentiles(percent)[0]

    def percentiles(self, *percents: float) -> list[float | None]:
        """Several percentiles in one pass."""
        if not self.count:
            return [None] * len(percents)
        ranks = sorted({self._rank(percent) for percent in percents})
        found: dict[int, float] = {}
        seen, at = 0, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            while at < len(ranks) and seen >= ranks[at]:
                found[ranks[at]] = min(max(_middle(bucket), self.least), self.greatest)
                at += 1
            if at == len(ranks):
                break
        return [self.greatest if percent >= 100 else found[self._rank(percent)] for percent in percents]

    def at_most(self, bounds: list[float]) -> list[int]:
        """How many values do not exceed each bound (ascending); a bound inside a bucket counts the bucket's middle."""
        counts = []
        seen = 0
        buckets = iter(sorted(self._buckets.items()))
        current = next(buckets, None)
        for bound in bounds:
            while current is not None and _middle(current[0]) <= bound:
                seen += current[1]
                current = next(buckets, None)
            counts.append(seen)
        return counts

    def _rank(self, percent: float) -> int:
        # Rounded first: 99 % of 100 values is the 99th, whatever 0.99 * 100 is in binary.
        return min(self.count, max(1, math.ceil(round(percent / 100 * self.count, 9))))


def _middle(bucket: int) -> float:
    # The bucket's number is exponent * 128 + (128 … 255), see record().
    exponent, step = divmod(bucket - _PER_OCTAVE, _PER_OCTAVE)
    return math.ldexp((step + _PER_OCTAVE + 0.5) / (2 * _PER_OCTAVE), exponent)


def _clamp(value: float) -> float:
    return _GREATEST if value > _GREATEST else _LEAST
