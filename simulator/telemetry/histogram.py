"""A histogram of durations: high dynamic range, bounded memory."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hdrh.histogram import HdrHistogram

#: Values are counted in nanoseconds, to two significant digits at least, up to an hour.
_UNIT = 1e9
_GREATEST = 3_600_000_000_000
_DIGITS = 2
# Bits of a value from the first on that tell its bucket from the next, and more than that.
_BITS = 10


class Histogram:
    """Counts durations in seconds in an HDR histogram of two significant digits, about 40 kB.

    Percentiles are at most 0.8 % above the exact ones and never below; count, least, greatest and total are exact.
    What is below a nanosecond or above an hour is counted there.
    """

    __slots__ = ("_fresh", "_hdr", "greatest", "least", "total")

    def __init__(self) -> None:
        self._hdr = HdrHistogram(1, _GREATEST, _DIGITS)
        #: Values that the library has not counted yet, by what they have in common with those of their bucket: it takes
        #: as long for one as for many.
        self._fresh: dict[int, int] = {}
        self.total = 0.0
        # The library's own extremes are those of their buckets after a merge.
        self.least = math.inf
        self.greatest = -math.inf

    def record(self, value: float) -> None:
        """Count one value."""
        self.total += value
        if value < self.least:
            self.least = value
        if value > self.greatest:
            self.greatest = value
        nanoseconds = int(value * _UNIT)
        if not 1 <= nanoseconds <= _GREATEST:
            nanoseconds = _clamp(nanoseconds)
        beyond = nanoseconds.bit_length() - _BITS
        if beyond > 0:
            nanoseconds = nanoseconds >> beyond << beyond
        fresh = self._fresh
        fresh[nanoseconds] = fresh.get(nanoseconds, 0) + 1

    @property
    def _all(self) -> HdrHistogram:
        """The library's histogram, with every value in it."""
        hdr, fresh = self._hdr, self._fresh
        if fresh:
            self._fresh = {}
            for nanoseconds, count in fresh.items():
                hdr.record_value(nanoseconds, count)
        return hdr

    def merge(self, other: Histogram) -> None:
        """Count all values of ``other`` too."""
        if other.count:
            self._all.add(other._all)
            self.total += other.total
            self.least = min(self.least, other.least)
            self.greatest = max(self.greatest, other.greatest)

    @property
    def count(self) -> int:
        """How many values were counted."""
        return int(self._all.total_count)

    def percentile(self, percent: float) -> float | None:
        """The value that ``percent`` % of all values do not exceed (nearest rank); None while there are no values."""
        return self.percentiles(percent)[0]

    def percentiles(self, *percents: float) -> list[float | None]:
        """Several percentiles in one pass."""
        if not self.count:
            return [None] * len(percents)
        ranks = {self._rank(percent): 0.0 for percent in percents}
        waiting = sorted(ranks, reverse=True)
        seen = 0
        for value, count in self._recorded():
            seen += count
            while waiting and seen >= waiting[-1]:
                ranks[waiting.pop()] = max(value, self.least)
            if not waiting:
                break
        return [self.greatest if percent >= 100 else ranks[self._rank(percent)] for percent in percents]

    def at_most(self, bounds: Sequence[float]) -> list[int]:
        """How many values do not exceed each bound (ascending), to the histogram's precision."""
        counts = []
        seen, at = 0, 0
        recorded = self._recorded()
        for bound in bounds:
            while at < len(recorded) and recorded[at][0] <= bound:
                seen += recorded[at][1]
                at += 1
            counts.append(seen)
        return counts

    def _recorded(self) -> list[tuple[float, int]]:
        """The values that were counted, ascending, each the greatest of its bucket, and how often."""
        # The library's iterators visit its thousands of buckets one by one, which takes 20 ms and more.
        hdr, greatest = self._all, self.greatest
        buckets = [(index, count) for index, count in enumerate(list(hdr.counts)) if count]
        return [
            (min(hdr.get_highest_equivalent_value(hdr.get_value_from_index(index)) / _UNIT, greatest), count)
            for index, count in buckets
        ]

    def _rank(self, percent: float) -> int:
        # Rounded first: 99 % of 100 values is the 99th, whatever 0.99 * 100 is in binary.
        return min(self.count, max(1, math.ceil(round(percent / 100 * self.count, 9))))


def _clamp(nanoseconds: int) -> int:
    return _GREATEST if nanoseconds > _GREATEST else 1
