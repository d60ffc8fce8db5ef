"""What the whole fleet sent and was sent of each action."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from .action_statistics import MAX_ACTIONS, OTHER
from .histogram import Histogram


class LatencySummary(msgspec.Struct, frozen=True):
    """Durations in milliseconds of wall time, for CALLs from CALL to answer. None while nothing was measured."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None
    mean: float | None

    @classmethod
    def of(cls, histogram: Histogram) -> LatencySummary:
        """The summary of a histogram of seconds."""
        if not histogram.count:
            return cls(0, None, None, None, None, None)
        p50, p95, p99 = (milliseconds(value) for value in histogram.percentiles(50, 95, 99))
        mean = histogram.total / histogram.count
        return cls(histogram.count, p50, p95, p99, milliseconds(histogram.greatest), milliseconds(mean))

    def text(self) -> str:
        """The percentiles for people."""
        if not self.count:
            return "nothing measured yet"
        return f"p50 {self.p50} ms, p95 {self.p95} ms, p99 {self.p99} ms, max {self.max} ms"


class ActionSummary(msgspec.Struct, frozen=True, rename="camel"):
    """One action of the whole fleet in this run: CALLs to the central system, their fates, and CALLs from it."""

    action: str
    sent: int
    answered: int
    errors: int
    timeouts: int
    lost: int
    in_flight: int
    received: int
    latency: LatencySummary


class ActionCounters:
    """The counters of one action."""

    __slots__ = ("answered", "errors", "latency", "lost", "received", "sent", "timeouts")

    def __init__(self) -> None:
        self.sent = 0
        self.answered = 0
        self.errors = 0
        self.timeouts = 0
        self.lost = 0
        self.received = 0
        #: Seconds from CALL to answer; made with the first answer.
        self.latency: Histogram | None = None

    def measure(self, seconds: float) -> None:
        """Count how long an answer took."""
        if self.latency is None:
            self.latency = Histogram()
        self.latency.record(seconds)

    def summary(self, action: str) -> ActionSummary:
        """What others may see."""
        return ActionSummary(
            action=action,
            sent=self.sent,
            answered=self.answered,
            errors=self.errors,
            timeouts=self.timeouts,
            lost=self.lost,
            in_flight=self.sent - self.answered - self.errors - self.timeouts - self.lost,
            received=self.received,
            latency=LatencySummary.of(self.latency or Histogram()),
        )


class _Counters(dict[str, ActionCounters]):
    """What is not there yet comes to be by asking for it."""

    __slots__ = ()

    def __missing__(self, action: str) -> ActionCounters:
        return self.setdefault(action if len(self) < MAX_ACTIONS else OTHER, ActionCounters())


class FleetActions:
    """The counters of all actions; what central systems invent beyond :data:`MAX_ACTIONS` counts together.

    ``of[action]`` are those of one, made where there are none.
    """

    __slots__ = ("of",)

    def __init__(self) -> None:
        self.of = _Counters()

    def measured(self) -> list[str]:
        """The actions of which an answer was measured."""
        return sorted(action for action, counters in self.of.items() if counters.latency is not None)

    def summaries(self) -> Iterator[ActionSummary]:
        """Every action, by name."""
        return (counters.summary(action) for action, counters in sorted(self.of.items()))

    def __iter__(self) -> Iterator[tuple[str, ActionCounters]]:
        return iter(sorted(self.of.items()))

    def latency(self, action: str | None = None) -> Histogram:
        """A copy of the histogram of seconds from CALL to answer: of one action, or of all."""
        merged = Histogram()
        for name, counters in self.of.items():
            if counters.latency is not None and (action is None or name == action):
                merged.merge(counters.latency)
        return merged


def milliseconds(seconds: float | None) -> float | None:
    """Seconds as milliseconds, to the microsecond."""
    return None if seconds is None else round(seconds * 1000, 3)
