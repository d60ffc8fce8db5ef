"""Random numbers of the generator: when drivers come and how long they stay."""

from __future__ import annotations

from random import Random
from statistics import fmean
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.station.arrivals import DAY, HOUR, draw, wait_through

MONDAY = 4 * DAY  # 1970-01-05
WEEK_OF_MORNINGS = [0.0] * 7 + [1.0, 2.0] + [0.0] * 15
Kind = Literal["fixed", "uniform", "exponential"]


@pytest.mark.parametrize("kind", ["fixed", "uniform", "exponential"])
def test_each_distribution_has_its_mean(kind: Kind) -> None:
    rng = Random(1)
    drawn = [draw(kind, 100, 40, None, rng) for _ in range(20_000)]
    assert min(drawn) >= 40
    # Cutting an exponential distribution off from below lifts its mean.
    assert fmean(drawn) == pytest.approx(107 if kind == "exponential" else 100, rel=0.02)
    assert (max(drawn) == min(drawn)) == (kind == "fixed")
    assert kind != "uniform" or 155 < max(drawn) <= 160


@given(kind=st.sampled_from(["fixed", "uniform", "exponential"]), seed=st.integers(0, 99))
def test_bounds_hold(kind: Kind, seed: int) -> None:
    assert 90 <= draw(kind, 100, 90, 105, Random(seed)) <= 105


@pytest.mark.parametrize(
    ("now", "seconds", "hours"),
    [
        (MONDAY, 1, 7 + 1 / 3600),  # nobody comes before 7
        (MONDAY + 7 * HOUR, 1800, 0.5),
        (MONDAY + 7 * HOUR, 3600 + 3600, 1.5),  # from 8 on twice as many
        (MONDAY + 9 * HOUR, 1, 22 + 1 / 3600),  # the next morning
        (MONDAY + 4 * DAY + 9 * HOUR, 1, 3 * 24 - 2 + 1 / 3600),  # Friday: nobody comes at the weekend
    ],
)
def test_waiting_goes_by_the_hours_of_the_week(now: float, seconds: float, hours: float) -> None:
    assert wait_through(now, seconds, WEEK_OF_MORNINGS, [0.0] * 24) == pytest.approx(hours * HOUR)


def test_without_rates_waiting_takes_its_time() -> None:
    assert wait_through(MONDAY, 12_345, (), ()) == 12_345
    assert wait_through(MONDAY + 5 * DAY, 60, WEEK_OF_MORNINGS, ()) == pytest.approx(7 * HOUR + 60)
