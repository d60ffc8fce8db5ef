"""Options that take one of a few words."""

from __future__ import annotations

import click
import pytest

from simulator.cli.options import LOG_LEVELS, OTHER_LOG_LEVELS, OneOf


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("warn", 'did you mean "warning"?'),
        ("Verbose", 'did you mean "info"?'),
        ("debgu", 'did you mean "debug"?'),
        ("xyz", ""),
    ],
)
def test_a_wrong_word_is_told_with_all_that_are_right(given: str, hint: str) -> None:
    with pytest.raises(click.BadParameter) as caught:
        OneOf(LOG_LEVELS, OTHER_LOG_LEVELS).convert(given, None, None)
    expected = f'expected one of {", ".join(LOG_LEVELS)}, got "{given}"'
    assert caught.value.message == (f"{expected}; {hint}" if hint else expected)


@pytest.mark.parametrize("given", ["Accepted", "accepted", "ACCEPTED"])
def test_case_counts_for_nothing(given: str) -> None:
    assert OneOf(["Accepted", "Pending"]).convert(given, None, None) == "Accepted"


def test_other_levels_mean_levels() -> None:
    assert set(OTHER_LOG_LEVELS.values()) <= set(LOG_LEVELS)
