"""The pace at which stations start: one line for all of them, whenever and by whatever they come in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import msgspec
import trio

from simulator.clock import Alarm, Clock
from simulator.config.model import WorkerConfig

#: Stations that start in one turn before those that have started get theirs to speak. Thousands that connect before the
#: first of them goes on are accepted in a third of the time, and one that connects takes next to nothing meanwhile.
BATCH = 2500
#: As many of them does one stand for that takes a stream, or TLS, to connect: tens of kilobytes until it has.
HEAVY = 50

#: Wall seconds that the line may lag behind its pace and make up for; what goes beyond is not made up for, so that a
#: process that was held up does not let all loose at once.
MADE_UP = 0.25


class Pace(msgspec.Struct, frozen=True):
    """How fast stations are started; wall seconds.

    ``station`` lies between two stations, ``worker`` besides between the last of a worker and the first of the next.
    """

    worker: float = 0.0
    station: float = 0.0

    @classmethod
    def of(cls, worker: WorkerConfig, *, delay_given: bool) -> Pace:
        """The pace that a configuration asks for. A ``startDelay`` that nobody wrote paces processes, not workers."""
        if worker.start_rate is not None:
            return cls(station=1 / worker.start_rate)
        return cls(worker.start_delay / 1000 if delay_given else 0.0, worker.element_start_delay / 1000)


class StartLine:
    """Stations that wait for their turn, first come first served.

    The pace is kept over the line as a whole: a turn that comes late, because timers have a step or because the
    process was held up, does not delay those after it.

    :param start: starts the station with that hashId; returns whether it did, else its turn goes to the next.
    :param worker_size: how many stations a worker holds now.
    :param light: whether a station takes next to nothing while it connects.
    """

    def __init__(
        self,
        clock: Clock,
        pace: Pace,
        *,
        start: Callable[[str], bool],
        worker_size: Callable[[], int],
        light: Callable[[str], bool] = lambda hash_id: False,
    ) -> None:
        self._clock = clock
        self._pace = pace
        self._start = start
        self._worker_size = worker_size
        self._light = light
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._alarm = Alarm(clock)
        # When the last one should have started, and how many of its worker have.
        self._last = float("-inf")
        self._of_worker = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, hash_id: object) -> bool:
        return hash_id in self._waiting

    @property
    def paces(self) -> bool:
        """Whether who comes now may have to wait."""
        return bool(self._waiting) or self._pace != Pace()

    def follow(self, pace: Pace) -> None:
        """Go on at another pace, at once."""
        if pace != self._pace:
            self._pace = pace
            self._alarm.ring()

    def join(self, hash_id: str) -> None:
        """Let a station wait for its turn; one that waits keeps its place."""
        if not self._waiting:
            # Turns that nobody took are gone.
            self._last = max(self._last, self._clock.wall() - self._gap())
            self._alarm.ring()
        self._waiting[hash_id] = None

    def leave(self, hash_id: str) -> None:
        """A station waits no longer, if it did."""
        self._waiting.pop(hash_id, None)

    def clear(self) -> None:
        """Nobody waits any longer."""
        self._waiting.clear()

    async def run(self) -> None:
        """Start who waits, each at its turn, until cancelled."""
        at_once = 0
        while True:
            due = self._last + self._gap() if self._waiting else float("inf")
            now = self._clock.wall()
            if due > now:
                await self._alarm.wait_until_wall(due)
                at_once = 0
                continue
            hash_id, _ = self._waiting.popitem(last=False)
            if not self._start(hash_id):
                continue
            self._last = due + max(0.0, now - self._clock.fires_at(due) - MADE_UP)
            self._of_worker = 1 if self._of_worker >= self._worker_size() else self._of_worker + 1
            at_once += 1 if self._light(hash_id) else HEAVY
            if at_once >= BATCH:
                at_once = 0
                await trio.lowlevel.checkpoint()

    def _gap(self) -> float:
        """Wall seconds from the last start to the next."""
        pace = self._pace
        return pace.station + (pace.worker if pace.worker and self._of_worker >= self._worker_size() else 0.0)
