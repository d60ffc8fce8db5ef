"""Lets a fleet follow a changed plan: only the stations that it touches, one step after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import msgspec
import trio

from simulator.control.fleet import Fleet, stop_within
from simulator.control.making import Maker
from simulator.station.follow import Way, follow, way_of
from simulator.supervision import contained, one_line
from simulator.telemetry.log import get_logger
from simulator.telemetry.statistics import FleetStatistics
from simulator.templates.fleet import PlannedStation
from simulator.templates.info import StationInfo
from simulator.templates.plan_changes import Change, PlanChanges

log = get_logger("simulator.control")

#: Stations that end or restart at the same time; the others wait, so that the rest of the fleet is not held up.
AT_ONCE = 50
#: Stations that are changed or made before others get their turn.
BATCH = 25

T = TypeVar("T")


class Outcome(msgspec.Struct):
    """How many stations were touched, and how. ``failed``: names, with reasons in the log."""

    removed: int = 0
    changed: int = 0
    reconnected: int = 0
    restarted: int = 0
    added: int = 0
    failed: int = 0

    def __add__(self, other: Outcome) -> Outcome:
        names = self.__struct_fields__
        return Outcome(**{name: getattr(self, name) + getattr(other, name) for name in names})

    def __str__(self) -> str:
        words = {
            "removed": self.removed,
            "changed in place": self.changed,
            "reconnected": self.reconnected,
            "restarted": self.restarted,
            "added": self.added,
            "failed (see the log)": self.failed,
        }
        told = [f"{number} {word}" for word, number in words.items() if number]
        return f"stations: {', '.join(told)}" if told else "no station is touched"


class FleetFollower:
    """Brings the fleet in line with changes of its plan.

    :param starts: whether stations that come in are started; False after ``stopSimulator``.
    :param touched: told the hashId of each station that has changed; ``gone`` that of each that is no more.
    """

    def __init__(
        self,
        fleet: Fleet,
        maker: Maker,
        statistics: FleetStatistics,
        *,
        starts: Callable[[], bool] = lambda: True,
        touched: Callable[[str], object] = lambda hash_id: None,
        gone: Callable[[str], object] = lambda hash_id: None,
    ) -> None:
        self._fleet = fleet
        self._maker = maker
        self._statistics = statistics
        self._starts = starts
        self._touched = touched
        self._gone = gone

    async def apply(self, changes: PlanChanges) -> Outcome:
        """Remove, change, restart and add, in this order. Stations that somebody has taken out meanwhile stay so.

        What goes wrong with a station is logged and stays with it. On cancel some stations are done and others not;
        one that is just restarting is gone.
        """
        outcome = Outcome()
        await self._each(changes.removed, self._remove, outcome)
        restarts: list[tuple[str, StationInfo, str]] = []
        for number, change in enumerate((*changes.changed, *changes.renamed)):
            if number % BATCH == BATCH - 1:
                await trio.lowlevel.checkpoint()
            self._change(change, restarts, outcome)
        await self._each(restarts, self._restart, outcome)
        for number, planned in enumerate(changes.added):
            if number % BATCH == BATCH - 1:
                await trio.lowlevel.checkpoint()
            self._add(planned, outcome)
        return outcome

    async def _each(
        self, items: Sequence[T], act: Callable[[T, float, Outcome], Awaitable[None]], outcome: Outcome
    ) -> None:
        """Act on all, a few at a time; each has so many wall seconds for an ordered end."""
        within = stop_within(min(len(items), AT_ONCE))
        limiter = trio.CapacityLimiter(AT_ONCE)

        async def one(item: T) -> None:
            async with limiter:
                error = await contained(lambda: act(item, within, outcome))
            if error is not None:
                outcome.failed += 1
                log.error("a station cannot follow its changed files: %s", one_line(error), exc_info=error)

        async with trio.open_nursery() as nursery:
            for item in items:
                nursery.start_soon(one, item)

    async def _remove(self, planned: PlannedStation, within: float, outcome: Outcome) -> None:
        hash_id = planned.hash_id
        if self._fleet.get(hash_id) is None:
            return
        await self._fleet.stop_station(hash_id, within)
        if self._fleet.get(hash_id) is None:
            return
        self._fleet.remove(hash_id)
        self._statistics.forget(hash_id)
        self._statistics.configured -= 1
        self._gone(hash_id)
        outcome.removed += 1

    def _change(self, change: Change, restarts: list[tuple[str, StationInfo, str]], outcome: Outcome) -> None:
        hash_id = change.before.hash_id
        station = self._fleet.get(hash_id)
        if station is None:
            return
        try:
            info, url = self._maker.make_anew(change.after, station, urls=change.urls)
            way = way_of(station.info, info)
            if way is Way.RESTART:
                restarts.append((hash_id, info, url))
                return
            reconnects = way is Way.RECONNECT or url != station.configured_url
            follow(station, info, url)
        except Exception as error:
            outcome.failed += 1
            log.error("%s cannot follow its changed files: %s", change.after.station_id, error, exc_info=error)
            return
        self._statistics.review(hash_id)
        self._touched(hash_id)
        if reconnects:
            outcome.reconnected += 1
        else:
            outcome.changed += 1

    async def _restart(self, item: tuple[str, StationInfo, str], within: float, outcome: Outcome) -> None:
        hash_id, info, url = item
        if self._fleet.get(hash_id) is None:
            return
        await self._fleet.restart_as(hash_id, info, url, within)
        if info.hash_id != hash_id:
            self._statistics.forget(hash_id)
            self._gone(hash_id)
        self._touched(info.hash_id)
        outcome.restarted += 1

    def _add(self, planned: PlannedStation, outcome: Outcome) -> None:
        if self._fleet.get(planned.hash_id) is not None:
            return  # somebody has added it while the simulator ran
        try:
            info, url = self._maker.make(planned)
            self._fleet.add(info, url)
        except Exception as error:
            outcome.failed += 1
            log.error("%s cannot be added: %s", planned.station_id, error, exc_info=error)
            return
        self._statistics.configured += 1
        if self._starts() and info.template.auto_start:
            self._fleet.enlist(planned.hash_id)
        self._touched(planned.hash_id)
        outcome.added += 1
