"""When drivers come, how long they stay, and what they want: random numbers for the transaction generator. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from simulator.templates.model import Distribution

HOUR = 3600.0
DAY = 24 * HOUR
WEEK = 7 * DAY

# 1970-01-01 was a Thursday: so many days after a Monday.
_FIRST_WEEKDAY = 3
_SATURDAY = 5


def draw(distribution: Distribution, mean: float, least: float, most: float | None, rng: Random) -> float:
    """A number of that distribution, not below ``least`` and not above ``most`` (None: without bound).

    Uniform is from ``least`` to ``most`` or, without ``most``, as far above the mean as ``least`` is below it.
    """
    if distribution == "fixed":
        value = mean
    elif distribution == "uniform":
        value = rng.uniform(least, max(least, 2 * mean - least if most is None else most))
    else:
        value = rng.expovariate(1 / mean)
    return min(max(value, least), math.inf if most is None else most)


def wait_through(now: float, seconds: float, weekday: Sequence[float], weekend: Sequence[float]) -> float:
    """How long ``seconds`` of waiting take when time runs by the rates of the hours: at 2 half as long, at 0 it stops.

    :param now: POSIX seconds; hours and days are those of UTC.
    :param weekday: 24 rates from midnight on, of which one is above 0 if both are given; empty: always 1.
    :param weekend: the same for Saturday and Sunday; empty: as on other days.
    """
    weekend = weekend or weekday
    if not weekday and not weekend:
        return seconds
    at, longest = now, 2 * WEEK + seconds
    while at - now <= longest:
        day, second = divmod(at, DAY)
        hour = min(int(second // HOUR), 23)
        rates = weekend if (int(day) + _FIRST_WEEKDAY) % 7 >= _SATURDAY else weekday
        rate = rates[hour] if rates else 1.0
        left = day * DAY + (hour + 1) * HOUR - at
        if rate * left >= seconds:
            return at - now + seconds / rate if rate > 0 else at - now
        seconds -= rate * left
        at += left
    return at - now
