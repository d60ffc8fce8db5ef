"""What is measured of a central system: the round trip of CALLs, connecting, booting, and what is under way."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.csms import BootPolicy
from simulator.telemetry.statistics import FleetStatistics
from tests.fakes.script import DEFAULT, delay, refuse, withhold
from tests.station.harness import World, station_world
from tests.station.test_generator import ONE, generator

ACTIONS = [
    "Authorize",
    "BootNotification",
    "Heartbeat",
    "MeterValues",
    "StartTransaction",
    "StatusNotification",
    "StopTransaction",
]


class Measured:
    """The statistics of a world."""

    def __init__(self) -> None:
        self.fleet: FleetStatistics

    def __call__(self, world: World) -> None:
        self.fleet = FleetStatistics(world.bus, configured=len(world.stations))

    def data(self, name: str) -> dict[str, Any]:
        """What is measured of an action or another name by CS-1."""
        record = self.fleet.record("hash-1")
        assert record is not None
        data: dict[str, Any] = record["statisticsData"][name]
        return data


@pytest.mark.parametrize("late", [0.0, 0.2])
async def test_latency_is_what_the_central_system_takes(late: float) -> None:
    """From CALL to answer: 200 ms where it answers after 200 ms, none where it answers at once (virtual time)."""
    measured = Measured()

    def change(world: World) -> None:
        measured(world)
        for action in ACTIONS:
            world.central.on(action, delay(late) if late else DEFAULT)

    async with station_world(template=ONE | generator(), stations=3, change=change) as world:
        await world.sleep(600)
    fleet = measured.fleet
    latency = fleet.latency()
    assert latency.count > 100
    assert [latency.p50, latency.p95, latency.p99, latency.max] == pytest.approx([late * 1000] * 4, abs=5)
    for summary in fleet.by_action():
        assert summary.latency.p50 == pytest.approx(late * 1000, abs=5)
    data = measured.data("StatusNotification")
    for member in ("min", "max", "avg", "med", "ninetyFiveThPercentile", "current"):
        assert data[f"{member}TimeMeasurement"] == pytest.approx(late * 1000, abs=5), member
    # What the generator waits for includes the StatusNotification that is on the wire before.
    for name in ("StartTransaction with ATG", "StopTransaction with ATG"):
        assert late * 1000 - 5 <= measured.data(name)["medTimeMeasurement"] <= 2 * late * 1000 + 5


async def test_a_backlog_is_no_latency_and_one_call_is_in_flight() -> None:
    """A CALL that waits for its turn is not on the wire (OCPP-J 1.6 §4.1.1): only its own answer counts."""
    measured = Measured()

    def change(world: World) -> None:
        measured(world)
        world.central.on("StatusNotification", delay(1))

    async with station_world(change=change) as world:
        await world.sleep(0.5)
        assert measured.fleet.in_flight == 1
        await world.sleep(60)
    (status,) = [each for each in measured.fleet.by_action() if each.action == "StatusNotification"]
    assert status.answered == 3
    assert status.latency.max == pytest.approx(1000, abs=5)
    assert measured.fleet.in_flight == 0


async def test_refusals_are_measured_timeouts_and_lost_calls_are_counted() -> None:
    measured = Measured()

    def change(world: World) -> None:
        measured(world)
        world.central.on("StatusNotification", refuse("InternalError"), times=2)

    async with station_world(change=change, keys={"HeartbeatInterval": 40}, boot=BootPolicy(interval=40)) as world:
        await world.sleep(5)
        world.central.on("Heartbeat", withhold())
        await world.sleep(60)
        assert measured.fleet.in_flight == 1
        world.central.line("CS-1").cut()
        await world.sleep(1)
        assert measured.fleet.in_flight == 0
    status = next(each for each in measured.fleet.by_action() if each.action == "StatusNotification")
    assert (status.sent, status.errors, status.answered, status.latency.count) == (3, 2, 1, 3)
    heartbeat = next(each for each in measured.fleet.by_action() if each.action == "Heartbeat")
    assert (heartbeat.answered, heartbeat.latency.count) == (0, 0)
    assert heartbeat.timeouts + heartbeat.lost == heartbeat.sent


async def test_connect_and_boot_time() -> None:
    """Boot time includes the pause that Pending asks for, and is told once for each boot."""
    measured = Measured()

    def change(world: World) -> None:
        measured(world)
        pending = {"status": "Pending", "interval": 30, "currentTime": "2026-11-22T10:00:00Z"}
        world.central.on("BootNotification", pending, times=1)
        world.central.on("BootNotification", delay(0.2))

    async with station_world(change=change) as world:
        await world.sleep(60)
        assert (measured.fleet.boot_time().count, measured.fleet.connect_time().count) == (1, 1)
        assert measured.fleet.boot_time().max == pytest.approx(30_200, abs=5)
        world.central.line("CS-1").cut()
        await world.central.connected("CS-1", 2, timeout=60)
        await world.sleep(5)
        assert (measured.fleet.boot_time().count, measured.fleet.connect_time().count) == (1, 2)
        assert await world.call("Reset", type="Hard") == {"status": "Accepted"}
        await world.sleep(120)
        assert (measured.fleet.boot_time().count, measured.fleet.connect_time().count) == (2, 3)
