"""What one station measured of each action, in the form of performance records.

Two spellings of the members exist among the readers of such records, so both are written (see :class:`Names`). Counts,
sums, extremes, average and standard deviation are of everything measured; median, percentile and series are of the last
:data:`SERIES_LENGTH` measurements, which is what bounds the memory: about 1.6 kB for an action that is measured often.
"""

from __future__ import annotations

import enum
import math
from array import array
from typing import Any

#: Measurements of an action that a station keeps.
SERIES_LENGTH = 128
#: Names that a station keeps apart; what comes beyond (a central system may invent actions) counts as :data:`OTHER`.
MAX_ACTIONS = 96
OTHER = "(other)"


class Names(enum.Enum):
    """How the members of a record are spelt."""

    COUNT_FIRST = enum.auto()
    """``countRequest``, ``stdDevTimeMeasurement``, ``timeMeasurementSeries``."""
    COUNT_LAST = enum.auto()
    """``requestCount``, ``stdTimeMeasurement``, ``measurementTimeSeries``."""


class ActionStatistics:
    """Counts of one action in both directions, and how long its answers took."""

    __slots__ = (
        "_at",
        "_mean",
        "_squares",
        "_told",
        "_values",
        "count",
        "errors",
        "greatest",
        "least",
        "requests",
        "responses",
    )

    def __init__(self) -> None:
        self.requests = 0
        self.responses = 0
        self.errors = 0
        self.count = 0
        self._told = 0
        self.least = math.inf
        self.greatest = -math.inf
        self._mean = 0.0
        self._squares = 0.0
        self._values = array("f")
        self._at = array("d")

    def measure(self, milliseconds: float, at: float) -> None:
        """Add one measurement made at ``at`` (POSIX seconds)."""
        self.count += 1
        if milliseconds < self.least:
            self.least = milliseconds
        if milliseconds > self.greatest:
            self.greatest = milliseconds
        # Welford's method: a sum of squares would lose the spread of large values.
        distance = milliseconds - self._mean
        self._mean += distance / self.count
        self._squares += distance * (milliseconds - self._mean)
        if len(self._values) < SERIES_LENGTH:
            self._values.append(milliseconds)
            self._at.append(at)
        else:
            place = (self.count - 1) % SERIES_LENGTH
            self._values[place] = milliseconds
            self._at[place] = at

    def series(self) -> list[tuple[float, float]]:
        """The kept measurements as (POSIX seconds, milliseconds), oldest first."""
        kept = list(zip(self._at, self._values, strict=True))
        first = self.count % SERIES_LENGTH if self.count > SERIES_LENGTH else 0
        return kept[first:] + kept[:first]

    def data(self, names: Names, *, fresh: bool = False) -> dict[str, Any]:
        """The ``statisticsData`` of the action; a member is absent until there is something to tell.

        :param fresh: leave out of the series what an earlier call of this kind has told.
        """
        first = names is Names.COUNT_FIRST
        data: dict[str, Any] = {}
        for noun, count in (("Request", self.requests), ("Response", self.responses), ("Error", self.errors)):
            if count:
                data[f"count{noun}" if first else f"{noun.lower()}Count"] = count
        if not self.count:
            return data
        series = self.series()
        values = sorted(value for _, value in series)
        told = series
        if fresh:
            told = series[max(0, len(series) - (self.count - self._told)) :]
            self._told = self.count
        data["countTimeMeasurement" if first else "timeMeasurementCount"] = self.count
        data["timeMeasurementSeries" if first else "measurementTimeSeries"] = [
            {"timestamp": round(at * 1000), "value": _rounded(value)} for at, value in told
        ]
        data["currentTimeMeasurement"] = _rounded(series[-1][1])
        data["minTimeMeasurement"] = _rounded(self.least)
        data["maxTimeMeasurement"] = _rounded(self.greatest)
        data["totalTimeMeasurement"] = _rounded(self._mean * self.count)
        data["avgTimeMeasurement"] = _rounded(self._mean)
        data["medTimeMeasurement"] = _rounded(median(values))
        data["ninetyFiveThPercentileTimeMeasurement"] = _rounded(percentile(values, 95))
        data["stdDevTimeMeasurement" if first else "stdTimeMeasurement"] = _rounded(
            math.sqrt(self._squares / self.count)
        )
        return data


def median(values: list[float]) -> float:
    """The middle of sorted values, or the mean of the two in the middle."""
    middle, odd = divmod(len(values), 2)
    return values[middle] if odd else (values[middle - 1] + values[middle]) / 2


def percentile(values: list[float], percent: int) -> float:
    """The least of sorted values that ``percent`` % of them do not exceed (nearest rank)."""
    return values[max(0, -(-percent * len(values) // 100) - 1)]


def _rounded(milliseconds: float) -> float:
    return round(milliseconds, 3)
