"""Brings a run in line with its changed files: the fleet, the stations that were added, and what the control knows."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from simulator.control.fleet import Fleet
from simulator.control.follow import FleetFollower, Outcome
from simulator.control.making import Maker
from simulator.control.pacing import Pace
from simulator.control.reload import Reading
from simulator.telemetry.log import get_logger
from simulator.telemetry.statistics import FleetStatistics
from simulator.templates.plan_changes import compare_plans

if TYPE_CHECKING:
    from simulator.control.control import Control

log = get_logger("simulator.files")


class RunFollower:
    """Applies readings to a run.

    :param control: of the run, where it has one at the moment.
    :param taken: told the reading that counts from now on, before the fleet follows it.
    """

    def __init__(
        self,
        *,
        fleet: Fleet,
        maker: Maker,
        statistics: FleetStatistics,
        control: Callable[[], Control | None],
        taken: Callable[[Reading], object],
    ) -> None:
        self._fleet = fleet
        self._maker = maker
        self._statistics = statistics
        self._control = control
        self._taken = taken

    def more_places(self) -> Iterable[Path]:
        """The files of stations that were added while the simulator runs."""
        control = self._control()
        return () if control is None or control.provisioner is None else control.provisioner.places()

    async def apply(self, former: Reading, now: Reading) -> str:
        """Bring the fleet in line; returns what was done, in words for people, empty if nothing.

        Waits for starts and stops of the fleet that are under way. On cancel some stations are done and others not.
        """
        before, config = former.loaded.config, now.loaded.config
        changes = compare_plans(
            former.plan,
            now.plan,
            distributions=(before.supervision_url_distribution, config.supervision_url_distribution),
        )
        control = self._control()
        async with _alone(control):
            self._taken(now)
            self._fleet.follow(config, Pace.of(config.worker, delay_given=now.loaded.is_given("worker.startDelay")))
            if control is not None:
                control.follow(now.loaded, now.plan)
            follower = FleetFollower(
                self._fleet,
                self._maker,
                self._statistics,
                starts=lambda: control is None or control.started,
                touched=lambda hash_id: None if control is None else control.feed.changed(hash_id),
                gone=lambda hash_id: None if control is None else control.feed.removed(hash_id),
            )
            outcome = await follower.apply(changes)
            if control is not None and control.provisioner is not None:
                present = {station.info.hash_id for station in self._fleet}
                more, wrong = await trio.to_thread.run_sync(control.provisioner.replan, present)
                for line in wrong:
                    log.error("%s; the stations that were made of it stay as they are", line)
                outcome += await follower.apply(more)
        return str(outcome) if outcome != Outcome() else ""


@asynccontextmanager
async def _alone(control: Control | None) -> AsyncIterator[None]:
    """While nobody else changes the members of the fleet."""
    async with contextlib.nullcontext() if control is None else control.members:
        yield
