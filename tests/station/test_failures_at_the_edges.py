"""What fails where a connection, a life or the whole run begins or ends: it is told, and it stays in its station."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from simulator.app import JOURNAL_KINDS
from simulator.csms import BootPolicy
from simulator.events import StationCrashed
from simulator.ocpp.v16.enums import RegistrationStatus
from simulator.ocpp.v16.messages import BootNotificationResponse
from simulator.station.generator import Generator
from simulator.station.security import Security
from simulator.station.station import ChargingStation
from simulator.station.supply import Supply
from simulator.storage.state import State
from tests.station.harness import station_world
from tests.station.test_restarts import central, online, process


def fail_once(monkeypatch: pytest.MonkeyPatch, kind: type, name: str) -> None:
    """Let the next call of a method fail."""
    real, calls = getattr(kind, name), []

    def method(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(name)
        if len(calls) == 1:
            raise LookupError("boom")
        return real(self, *args, **options)

    monkeypatch.setattr(kind, name, method)


@pytest.mark.parametrize("sockets", [False, True])
async def test_a_failure_right_after_the_opening_is_a_crash(monkeypatch: pytest.MonkeyPatch, sockets: bool) -> None:
    fail_once(monkeypatch, Security, "opened")
    async with station_world(faults=True, sockets=sockets) as world:
        for _ in range(20):
            await world.sleep(1)
        assert len(world.happened(StationCrashed)) == 1
        assert world.station.registration.accepted


@pytest.mark.parametrize("sockets", [False, True])
async def test_a_failure_after_the_end_of_a_connection_leaves_nothing_open(
    monkeypatch: pytest.MonkeyPatch, sockets: bool
) -> None:
    fail_once(monkeypatch, Generator, "connection_lost")
    async with station_world(faults=True, sockets=sockets) as world:
        await world.ready()
        world.station.crash(ValueError("first"))
        for _ in range(30):
            await world.sleep(1)
        assert world.happened(StationCrashed)
        assert world.station.registration.accepted


async def test_what_a_timer_raises_crashes_its_station(monkeypatch: pytest.MonkeyPatch) -> None:
    async with station_world(faults=True) as world:
        await world.ready()
        await world.charge()
        fail_once(monkeypatch, Supply, "review")
        await world.sleep(8 * 3600)
        assert len(world.happened(StationCrashed)) == 1


async def test_a_crash_at_the_end_of_a_life_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async with station_world(faults=True) as world:
        await world.ready()
        world.station.abandon()
        world.station.crash(LookupError("lost cause"))
        await world.sleep(5)
        assert "lost cause" in caplog.text


async def test_a_crash_while_everything_is_cancelled_is_told_and_goes_no_further(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    fail_once(monkeypatch, ChargingStation, "connection_lost")
    async with station_world(start=False, faults=True, sockets=True) as world, trio.open_nursery() as root:
        await root.start(world.fleet.run)
        await world.ready()
        world.station.spawn(trio.sleep_forever)
        await world.settle()
        root.cancel_scope.cancel()
    assert "boom" in caplog.text


async def test_the_run_may_end_while_stations_are_deleted() -> None:
    async with station_world(stations=100, start=False, faults=True) as world:
        await world.nursery.start(lambda task_status: world.fleet.run(starts=False, task_status=task_status))

        async def delete() -> None:
            for number, station in enumerate(world.stations):
                await world.fleet.stop_station(station.info.hash_id)
                world.fleet.remove(station.info.hash_id)
                if number % 25 == 24:
                    await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(delete)
            await trio.lowlevel.checkpoint()
            await world.fleet.stop()


@pytest.mark.parametrize("retries", [0, -1])
async def test_an_acceptance_that_somebody_else_asked_for_is_one(retries: int) -> None:
    template = {"registrationMaxRetries": retries}
    # The central system of the test goes on to refuse; it is asked here what the station does.
    async with station_world(boot=BootPolicy("Rejected", 1000), template=template, faults=True) as world:
        await world.wait_for("BootNotification")
        await world.settle()
        world.station.registration.refreshed(
            BootNotificationResponse(
                status=RegistrationStatus.ACCEPTED, current_time="2026-11-22T10:00:00Z", interval=40
            )
        )
        await world.sleep(500)
        assert world.actions().count("Heartbeat") >= 10
        assert world.actions().count("BootNotification") == 1


async def test_refused_readings_take_no_other_message_with_them(tmp_path: Path) -> None:
    outgoing = dict.fromkeys(
        ["BootNotification", "StatusNotification", "Heartbeat", "Authorize", "StartTransaction", "StopTransaction"],
        True,
    )
    template = {"commandsSupport": {"incomingCommands": {}, "outgoingCommands": {**outgoing, "MeterValues": False}}}
    async with central() as world, process(world, tmp_path, template=template):
        await online(world, 1)
        world.go_offline()
        await world.sleep(5)
        world.station.sessions.begin(world.station.connectors[1], "TAG")
        await world.sleep(200)
        waiting = [message.action for message in world.station.lane.transaction_messages()]
        assert waiting == ["StartTransaction"]
        state = State(tmp_path, JOURNAL_KINDS)
        state.journal.read()
        past = state.journal.join(world.station.info.hash_id, lambda: msgspec.UNSET)  # type: ignore[arg-type, return-value]
        assert past is not None
        assert [message.action for message in past.messages] == waiting
        assert [known.id for known in past.transactions.values()] == [None]
