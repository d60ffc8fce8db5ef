"""The fleet: pace, single stations, the end of all."""

from __future__ import annotations

import pytest

from simulator.config.model import WorkerConfig
from simulator.control.fleet import worker_size
from simulator.control.pacing import Pace
from simulator.events import StationStarted
from tests.station.harness import station_world


async def test_stations_start_at_the_pace_of_their_worker() -> None:
    async with station_world(stations=4, pace=Pace(station=2.0)) as world:
        await world.sleep(100)
        boots = [world.times("BootNotification", station=f"CS-{number}")[0] for number in range(1, 5)]
        assert [round(time - boots[0], 2) for time in boots] == [0, 2, 4, 6]


async def test_a_stop_while_the_fleet_is_still_starting_starts_no_more() -> None:
    async with station_world(stations=10, pace=Pace(station=1.0)) as world:
        await world.sleep(3.5)
        assert await world.fleet.stop()
        await world.sleep(60)
        assert len([event for event in world.events if isinstance(event, StationStarted)]) == 4
        assert [code for _, code in world.central.closings] == [1000] * 4


async def test_starting_what_runs_and_stopping_what_does_not_does_nothing() -> None:
    async with station_world(stations=2) as world:
        await world.ready()
        world.fleet.start("hash-1")
        await world.fleet.stop_station("hash-2")
        await world.fleet.stop_station("hash-2")
        await world.sleep(10)
        assert len(world.sent("BootNotification")) == 1
        assert world.known("CS-1").connected
        assert not world.known("CS-2").connected


async def test_an_identity_is_taken_once() -> None:
    async with station_world() as world:
        with pytest.raises(ValueError, match="CS-1 is there already"):
            world.fleet.add(world.station.info, "ws://elsewhere.test/")
        assert len(world.fleet) == 1
        assert world.fleet.get("hash-1") is world.station
        assert world.fleet.get("unknown") is None


@pytest.mark.parametrize(
    ("worker", "stations", "size"),
    [
        (WorkerConfig(process_type="workerSet", elements_per_worker=3), 10, 3),
        (WorkerConfig(process_type="workerSet", elements_per_worker="all"), 10, 10),
        (WorkerConfig(process_type="dynamicPool", pool_max_size=4), 10, 3),
        (WorkerConfig(process_type="staticPool", pool_max_size=16), 10, 1),
    ],
)
def test_how_many_stations_a_worker_holds(worker: WorkerConfig, stations: int, size: int) -> None:
    assert worker_size(worker, stations) == size
