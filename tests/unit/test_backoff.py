"""The pauses between tries to connect."""

from __future__ import annotations

from random import Random

import pytest

from simulator.transport.backoff import Backoff


def delays(backoff: Backoff, count: int, *, refused: bool = False, seed: int = 1) -> list[float]:
    rng = Random(seed)
    return [backoff.next_delay(rng, refused) for _ in range(count)]


@pytest.mark.parametrize("seed", range(50))
def test_flat_waits_1_to_5_seconds_and_then_about_30(seed: int) -> None:
    first, *others = delays(Backoff(exponential=False), 20, seed=seed)
    assert 1 <= first <= 5
    assert all(24 <= delay <= 36 for delay in others)


@pytest.mark.parametrize("seed", range(50))
def test_exponential_doubles_from_200_ms_up_to_300_seconds(seed: int) -> None:
    for n, delay in enumerate(delays(Backoff(exponential=True), 60, seed=seed), 1):
        base = min(0.1 * 2**n, 250)
        assert base <= delay <= base * 1.2 + 1e-9
        assert delay <= 300


@pytest.mark.parametrize("exponential", [False, True])
def test_refusals_back_off_in_either_schedule_and_never_above_300_seconds(exponential: bool) -> None:
    seen = delays(Backoff(exponential=exponential), 2000, refused=True)
    averages = [sum(seen[start : start + 3]) / 3 for start in (0, 3, 6)]
    assert averages == sorted(averages)
    assert all(200 <= delay <= 300 for delay in seen[20:])


def test_a_refused_fleet_spreads_out_even_at_the_longest_pause() -> None:
    rng = Random(7)
    fleet = [Backoff(exponential=True) for _ in range(100)]
    pauses = [[backoff.next_delay(rng, True) for _ in range(20)][-1] for backoff in fleet]
    assert max(pauses) - min(pauses) > 30


def test_a_lost_connection_between_refusals_ends_the_growth() -> None:
    backoff = Backoff(exponential=False)
    rng = Random(3)
    assert [backoff.next_delay(rng, True) for _ in range(5)][-1] > 150
    assert backoff.next_delay(rng, False) <= 36


@pytest.mark.parametrize("exponential", [False, True])
def test_success_starts_again_with_the_shortest_pause(exponential: bool) -> None:
    backoff = Backoff(exponential=exponential)
    delays(backoff, 12, refused=True)
    backoff.reset()
    assert backoff.failures == 0
    assert backoff.next_delay(Random(1)) <= (0.24 if exponential else 5)
