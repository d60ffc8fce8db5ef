"""How long to wait before the next try to connect. Pure: no clock, the randomness is handed in."""

from __future__ import annotations

import random

# Never wait longer than this, in wall seconds.
LONGEST = 300.0
# The reference of the two schedules: seconds of the flat one, seconds of the first exponential step (times 2^n).
FLAT = 30.0
STEP = 0.1

_JITTER = 0.2


class Backoff:
    """The pauses of one station, in wall seconds; :meth:`reset` after each success.

    Flat (``reconnectExponentialDelay`` false): 1 to 5 s before the first retry, so that a fleet that lost its central
    system does not come back in one instant, then 30 s ± 20 % each. Exponential: 100 ms × 2^n plus up to 20 %, n
    counting from 1. Refusals in a row make the flat schedule grow as well (30, 60, 120, …): trying again soon does not
    change the mind of a central system that answers 404 (OCPP-J 1.6 errata 3.4). No pause is longer than 300 s, and
    the longest are still spread.
    """

    __slots__ = ("_exponential", "_refusals", "failures")

    def __init__(self, *, exponential: bool = False) -> None:
        self._exponential = exponential
        self._refusals = 0
        #: Tries that failed since the last success.
        self.failures = 0

    @property
    def exponential(self) -> bool:
        """Whether pauses double."""
        return self._exponential

    def next_delay(self, rng: random.Random, refused: bool = False) -> float:
        """The pause after one more failure.

        :param refused: the central system answered and does not want us (``OpenFailed.refused``).
        """
        self.failures += 1
        self._refusals = self._refusals + 1 if refused else 0
        if self._exponential:
            # An exponent that cannot overflow a float.
            return _spread(rng, STEP * 2.0 ** min(self.failures, 32), 0.0)
        if self.failures == 1:
            return rng.uniform(1.0, 5.0)
        return _spread(rng, FLAT * 2.0 ** min(max(self._refusals - 2, 0), 32), -_JITTER)

    def reset(self) -> None:
        """A connection was opened: start again with the shortest pause."""
        self.failures = 0
        self._refusals = 0


def _spread(rng: random.Random, seconds: float, least: float) -> float:
    # Cut before the jitter: stations that reach the cap must not all try in the same instant.
    seconds = min(seconds, LONGEST / (1.0 + _JITTER))
    return seconds * (1.0 + rng.uniform(least, _JITTER))
