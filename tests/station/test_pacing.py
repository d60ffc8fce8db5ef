"""The pace at which stations start: one for all, whatever brings them in, and never past it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import trio

from simulator.clock import Clock
from simulator.config.load import default_config
from simulator.config.model import SimulatorConfig, WorkerConfig
from simulator.config.problems import ConfigurationError
from simulator.control.pacing import BATCH, HEAVY, MADE_UP, Pace, StartLine
from tests.station.harness import World, station_world

GRID = 0.05
RATE = 100.0
A_HUNDRED = Pace(station=1 / RATE)


def begins(world: World) -> list[float]:
    """When each station first knocked, from the first of all; in the order of the stations."""
    times = [world.times("BootNotification", station=station.info.station_id) for station in world.stations]
    first = min(found[0] for found in times if found)
    return [found[0] - first for found in times if found]


def test_a_rate_is_the_whole_pace() -> None:
    for worker in (WorkerConfig(start_rate=200), WorkerConfig(start_rate=200, start_delay=500)):
        assert Pace.of(worker, delay_given=True) == Pace(station=0.005)


@pytest.mark.parametrize("grid", [0.0, GRID])
async def test_station_k_starts_after_k_hundredths_of_a_second(grid: float) -> None:
    async with station_world(stations=300, grid=grid, pace=A_HUNDRED) as world:
        await world.sleep(3.5)
        late = [begin - number / RATE for number, begin in enumerate(begins(world))]
        assert len(late) == 300
        assert min(late) >= -1e-6
        assert max(late) <= grid + 1e-3


async def test_those_that_are_added_queue_up_and_those_started_by_hand_do_not() -> None:
    async with station_world(stations=12, pace=Pace(station=1.0), start=False) as world:
        stations = list(world.fleet)
        await world.nursery.start(world.fleet.run)
        await world.sleep(0.5)
        # By hand, out of turn; the others move up.
        world.fleet.start(stations[9].info.hash_id)
        # Taken out of the line, and put at its end.
        await world.fleet.stop_station(stations[1].info.hash_id)
        world.fleet.enlist(stations[1].info.hash_id)
        await world.sleep(20)
        assert [round(begin, 2) for begin in begins(world)] == [0, 10, 1, 2, 3, 4, 5, 6, 7, 0.5, 8, 9]
        # Nobody has come for a while: the next one need not wait, and no more than one.
        for station in stations[:2]:
            await world.fleet.stop_station(station.info.hash_id)
        await world.sleep(60)
        began = trio.current_time()
        for station in stations[:2]:
            world.fleet.enlist(station.info.hash_id)
        await world.sleep(5)
        again = [world.times("BootNotification", station=name)[-1] - began for name in ("CS-1", "CS-2")]
        assert [round(time, 2) for time in again] == [0, 1]


async def test_a_station_that_changes_while_it_waits_starts_at_its_turn() -> None:
    async with station_world(stations=3, pace=Pace(station=1.0)) as world:
        await world.sleep(0.5)
        last = list(world.fleet)[-1]
        await world.fleet.restart_as(last.info.hash_id, last.info, last.configured_url)
        await world.sleep(5)
        assert [round(begin, 2) for begin in begins(world)] == [0, 1, 2]


async def test_stations_that_come_back_with_other_facts_keep_to_the_pace() -> None:
    async with station_world(stations=4) as world:
        await world.ready()
        world.fleet.follow(SimulatorConfig(), Pace(station=1.0))
        async with trio.open_nursery() as nursery:
            for station in list(world.fleet):
                nursery.start_soon(world.fleet.restart_as, station.info.hash_id, station.info, station.configured_url)
        await world.sleep(10)
        times = sorted(world.times("BootNotification", station=f"CS-{number}")[1] for number in range(1, 5))
        assert [round(after - before, 2) for before, after in pairwise(times)] == [1, 1, 1]


async def test_another_pace_counts_at_once() -> None:
    async with station_world(stations=7, pace=Pace(station=100.0)) as world:
        await world.sleep(10)
        world.fleet.follow(SimulatorConfig(), Pace(station=20.0))
        await world.sleep(35)
        assert [round(begin) for begin in begins(world)] == [0, 20, 40]
        world.fleet.follow(SimulatorConfig(), Pace())
        await world.sleep(1)
        assert [round(begin) for begin in begins(world)] == [0, 20, 40, 45, 45, 45, 45]


async def test_a_stop_empties_the_line_and_a_start_fills_it_again() -> None:
    async with station_world(stations=50, pace=Pace(station=1.0)) as world:
        await world.sleep(3.5)
        begun = trio.current_time()
        assert await world.fleet.stop()
        assert trio.current_time() - begun < 0.5
        await world.sleep(100)
        assert len(begins(world)) == 4
        for station in world.fleet:
            world.fleet.enlist(station.info.hash_id)
        await world.sleep(9.5)
        assert len([station for station in world.fleet if station.started]) == 10


async def test_workers_are_counted_over_all_that_start() -> None:
    async with station_world(stations=5, pace=Pace(worker=3.0, station=1.0)) as world:
        # The configuration has workers of one station: each start is that of a worker.
        await world.sleep(30)
        assert [round(begin, 2) for begin in begins(world)] == [0, 4, 8, 12, 16]


async def test_a_process_that_was_held_up_does_not_let_all_loose_at_once(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = Clock()
    started: list[float] = []

    def start(hash_id: str) -> bool:
        if hash_id == "3":
            autojump_clock.jump(10)  # the work of this one blocks everything
        started.append(clock.wall())
        return True

    line = StartLine(clock, Pace(station=0.1), start=start, worker_size=lambda: 1)
    async with trio.open_nursery() as nursery:
        await nursery.start(clock.run)
        begun = clock.wall()
        for number in range(200):
            line.join(str(number))
        nursery.start_soon(line.run)
        await trio.sleep(15)
        nursery.cancel_scope.cancel()
    after = [time for time in started if time >= begun + 10]
    burst = [time for time in after if time < after[0] + 0.05]
    assert len(burst) <= MADE_UP / 0.1 + 3


@pytest.mark.parametrize(("light", "at_once"), [(True, BATCH), (False, BATCH // HEAVY)])
async def test_as_many_start_in_one_turn_as_can_connect_at_little_cost(light: bool, at_once: int) -> None:
    clock = Clock()
    started: list[str] = []

    def start(hash_id: str) -> bool:
        started.append(hash_id)
        return True

    line = StartLine(clock, Pace(), start=start, worker_size=lambda: 1, light=lambda hash_id: light)
    for number in range(BATCH + 1):
        line.join(str(number))
    turns = line.run()
    turns.send(None)
    turns.close()
    assert len(started) == at_once


@pytest.mark.parametrize(
    ("worker", "named"),
    [
        ({"startRate": 100, "elementStartDelay": 5}, "elementStartDelay, 5 ms"),
        ({"startRate": 2, "startDelay": 500}, "startDelay, 500 ms"),
    ],
)
def test_a_rate_and_a_delay_contradict_each_other(worker: dict[str, int], named: str) -> None:
    fleet = {"supervisionUrls": "ws://x/", "stationTemplateUrls": [{"file": "keba", "numberOfStations": 1}]}
    with pytest.raises(ConfigurationError) as caught:
        default_config(Path("config.json"), {**fleet, "worker": worker}, environ={})
    [problem] = caught.value.problems
    assert problem.path == "worker.startRate"
    assert named in problem.message
    assert (
        default_config(
            Path("config.json"),
            {**fleet, "worker": {"startRate": 2.5, "startDelay": 0, "elementStartDelay": 0}},
            environ={},
        ).config.worker.start_rate
        == 2.5
    )
