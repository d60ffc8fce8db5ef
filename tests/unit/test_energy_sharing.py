"""Power shared among connectors: every limit on the way holds, and nobody who wants more has less than another."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.energy.sharing import PowerNode, allocate, distribute

SIX_AMPERES = 3 * 230 * 6


@pytest.mark.parametrize(
    ("limits", "demands", "station", "shares"),
    [
        ([22_080, 22_080], [11_000, 7000], 22_080, [11_000, 7000]),
        ([22_080, 22_080], [22_080, 22_080], 22_080, [11_040, 11_040]),
        ([22_080, 22_080, 22_080], [22_080, 3700, 22_080], 22_080, [9190, 3700, 9190]),
        ([22_080, 7360], [math.inf, math.inf], 22_080, [14_720, 7360]),
        ([11_000, 11_000], [11_000, 0], 11_000, [11_000, 0]),
        ([11_000], [11_000], 0, [0]),
        ([11_000], [11_000], -5, [0]),
        ([], [], 100, []),
    ],
)
def test_what_one_does_not_take_the_others_get(
    limits: list[float], demands: list[float], station: float, shares: list[float]
) -> None:
    assert distribute(limits, demands, station) == pytest.approx(shares)


def test_shares_that_nobody_can_use_go_to_those_who_can() -> None:
    shares = distribute([22_080] * 4, [11_040] * 4, 11_040, minimum=SIX_AMPERES)
    assert shares == [5520, 5520, 0, 0]
    # One that tapers is offered the least there is, so that it goes on with its little.
    assert distribute([22_080] * 2, [900, 11_040], 22_080, minimum=SIX_AMPERES) == [SIX_AMPERES, 11_040]
    assert distribute([4000, 22_080], [4000, 9000], 22_080, minimum=SIX_AMPERES) == [0, 9000]
    with pytest.raises(ValueError, match="2 limits and 1 demands"):
        distribute([1, 2], [1], 3)


@given(
    data=st.lists(st.tuples(st.floats(0, 350_000), st.floats(0, 350_000) | st.just(math.inf)), max_size=12),
    station=st.floats(0, 500_000),
    minimum=st.sampled_from([0.0, SIX_AMPERES]),
)
def test_distribution_is_fair_and_within_limits(
    data: list[tuple[float, float]], station: float, minimum: float
) -> None:
    limits, demands = [limit for limit, _ in data], [demand for _, demand in data]
    shares = distribute(limits, demands, station, minimum=minimum)
    assert sum(shares) <= station
    for share, limit, demand in zip(shares, limits, demands, strict=True):
        assert 0 <= share <= limit
        assert share <= max(demand, minimum)
        assert share == 0 or share >= minimum * (1 - 1e-9)
    if minimum == 0:
        wants = [min(limit, demand) for limit, demand in data]
        short = [share for share, want in zip(shares, wants, strict=True) if share < want * (1 - 1e-9)]
        if short:
            assert sum(shares) == pytest.approx(station)  # nothing is left over while somebody wants more
            assert max(shares) <= min(short) * (1 + 1e-9) + 1e-9


def trees(depth: int = 3) -> st.SearchStrategy[PowerNode]:
    leaf = st.builds(PowerNode, st.floats(0, 50_000) | st.just(math.inf), st.floats(0, 50_000))
    if depth == 0:
        return leaf
    children = st.lists(trees(depth - 1), min_size=1, max_size=3).map(tuple)
    return leaf | st.builds(PowerNode, st.floats(0, 100_000), st.just(math.inf), children)


@given(root=trees())
def test_the_sum_holds_at_every_node(root: PowerNode) -> None:
    shares = iter(allocate(root))

    def check(node: PowerNode) -> float:
        total = sum(check(child) for child in node.children) if node.children else next(shares)
        assert total <= node.limit * (1 + 1e-12)
        if not node.children:
            assert total <= node.demand
        return total

    check(root)
    assert next(shares, None) is None
