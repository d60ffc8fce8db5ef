"""Resets, ordered ends, crashes: the end of a station's nursery and its next life."""

from __future__ import annotations

import pytest

from simulator.events import Connected, StationCrashed, StationStarted, StationStopped
from simulator.ocpp.v16.enums import Reason
from tests.fakes.script import withhold
from tests.station.harness import station_world


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
async def test_a_reset_with_a_transaction(kind: str, reason: str) -> None:
    async with station_world(template={"resetTime": 40}, stations=2) as world:
        await world.ready()
        transaction = await world.charge(1)
        other = await world.charge(1, to="CS-2")
        spoken = len(world.calls())
        neighbour = len(world.calls(station="CS-2"))
        await world.sleep(10)
        assert await world.status_of("Reset", type=kind) == "Accepted"
        went = world.central.frames[-1].time
        await world.central.disconnected("CS-1")
        await world.settle()
        assert world.closings() == [1000]
        assert world.actions()[spoken:] == ["StopTransaction", "StatusNotification", "StatusNotification"]
        assert transaction.reason == reason
        await world.central.connected("CS-1", 2)
        await world.settle()
        assert world.times("BootNotification")[1] - went == pytest.approx(40, abs=1)
        assert world.actions()[spoken + 3 :] == ["BootNotification", *["StatusNotification"] * 3]
        assert world.statuses()[-3:] == [(0, "Available"), (1, "Available"), (2, "Available")]
        # The other station sees nothing of it.
        assert len(world.calls(station="CS-2")) == neighbour
        assert other.is_open


async def test_a_second_reset_is_rejected_while_one_is_under_way() -> None:
    async with station_world() as world:
        await world.ready()
        await world.charge(1)
        held = withhold()
        world.central.on("StopTransaction", held, times=1)
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.wait_for("StopTransaction")
        assert await world.status_of("Reset", type="Hard") == "Rejected"
        assert await world.status_of("RemoteStartTransaction", connectorId=2, idTag="A") == "Rejected"
        held.release()
        await world.central.connected("CS-1", 2)
        await world.ready()
        assert [t.reason for t in world.transactions()] == ["SoftReset"]


async def test_an_unanswered_stop_delays_a_reset_little_and_is_delivered_after_the_boot() -> None:
    async with station_world(template={"resetTime": 10}) as world:
        await world.ready()
        await world.charge(1)
        world.central.on("StopTransaction", withhold(), times=1)
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.central.connected("CS-1", 2)
        await world.sleep(1)
        first, boot, second = (
            world.calls("StopTransaction")[0],
            world.calls("BootNotification")[1],
            world.calls("StopTransaction")[1],
        )
        assert first.time < boot.time <= second.time
        assert boot.index < second.index
        assert first.payload == second.payload
        assert boot.time - first.time < 14


async def test_a_reset_without_a_connection() -> None:
    async with station_world(template={"resetTime": 20}) as world:
        await world.ready()
        transaction = await world.charge(1)
        world.go_offline()
        await world.sleep(2)
        world.station.reset(Reason.HARD_RESET)
        await world.sleep(50)
        await world.come_back()
        await world.sleep(5)
        assert transaction.reason == "HardReset"
        assert len(world.sent("BootNotification")) == 2
        assert world.statuses()[-3:] == [(0, "Available"), (1, "Available"), (2, "Available")]


async def test_a_stop_during_the_pause_of_a_reset_ends_it() -> None:
    async with station_world(template={"resetTime": 1000}) as world:
        await world.ready()
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.sleep(10)
        before = world.clock.wall()
        await world.fleet.stop_station("hash-1")
        assert world.clock.wall() - before < 1
        await world.sleep(2000)
        assert len(world.happened(Connected)) == 1
        world.fleet.start("hash-1")
        await world.wait_for("BootNotification", 2)


async def test_a_stop_while_a_reset_is_prepared_ends_in_order() -> None:
    async with station_world() as world:
        await world.ready()
        await world.charge(1)
        held = withhold()
        world.central.on("StopTransaction", held, times=1)
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.wait_for("StopTransaction")
        world.nursery.start_soon(world.fleet.stop_station, "hash-1")
        await world.sleep(1)
        held.release()
        await world.sleep(1)
        assert world.closings() == [1000]
        assert sorted(world.statuses()[-3:]) == [(0, "Unavailable"), (1, "Unavailable"), (2, "Unavailable")]


async def test_an_ordered_stop_and_a_new_start() -> None:
    async with station_world() as world:
        await world.ready()
        transaction = await world.charge(1)
        told = len(world.statuses())
        await world.fleet.stop_station("hash-1")
        await world.settle()
        assert transaction.reason == "Local"
        assert world.statuses()[told:] == [
            (1, "Finishing"),
            (1, "Available"),
            (2, "Unavailable"),
            (1, "Unavailable"),
            (0, "Unavailable"),
        ]
        assert world.closings() == [1000]
        spoken = len(world.calls())
        await world.sleep(5000)
        assert len(world.calls()) == spoken
        world.fleet.start("hash-1")
        await world.sleep(1)
        assert world.actions()[spoken:] == ["BootNotification", *["StatusNotification"] * 3]
        assert world.statuses()[-3:] == [(0, "Available"), (1, "Available"), (2, "Available")]
        assert (await world.charge(1)).is_open
        assert [type(event) for event in world.events if isinstance(event, StationStarted | StationStopped)] == [
            StationStarted,
            StationStopped,
            StationStarted,
        ]


async def test_the_whole_fleet_ends_in_time_also_where_nobody_answers() -> None:
    async with station_world(stations=20, faults=True) as world:
        await world.ready()
        for number in range(1, 21):
            await world.charge(1, to=f"CS-{number}")
        world.central.on("StopTransaction", withhold(), station="CS-7")
        before = world.clock.wall()
        await world.fleet.stop()
        assert world.clock.wall() - before <= 5
        await world.sleep(10)
        assert world.closings(station="CS-1") == [1000]
        ended = [len([t for t in world.transactions(station=f"CS-{n}") if not t.is_open]) for n in range(1, 21)]
        assert ended == [1] * 6 + [0] + [1] * 13


async def test_a_stop_without_a_connection_and_one_during_the_boot() -> None:
    async with station_world(
        stations=2, change=lambda world: world.central.on("BootNotification", withhold(), station="CS-2")
    ) as world:
        await world.wait_for("StatusNotification", 3)
        await world.wait_for("BootNotification", station="CS-2")
        world.central.line("CS-1").cut()
        world.central.network.refuse()
        await world.settle()
        before = world.clock.wall()
        assert await world.fleet.stop()
        assert world.clock.wall() - before < 4


async def test_a_stopped_station_starts_again_at_once() -> None:
    async with station_world() as world:
        await world.ready()
        for count in range(2, 5):
            await world.fleet.stop_station("hash-1")
            world.fleet.start("hash-1")
            await world.wait_for("BootNotification", count)
            await world.sleep(1)


# -- crashes -----------------------------------------------------------------------------------------------------------


async def explode() -> None:
    raise LookupError("the flux capacitor is gone")


async def test_a_crash_is_logged_with_its_cause_and_the_station_lives_again(caplog: pytest.LogCaptureFixture) -> None:
    async with station_world(stations=3) as world:
        await world.ready()
        transaction = await world.charge(1)
        other = await world.charge(2, to="CS-2")
        neighbour = len(world.calls(station="CS-2"))
        world.station.spawn(explode)
        await world.settle()
        assert world.closings() == [1000]
        (crash,) = world.happened(StationCrashed)
        assert crash.error == "LookupError: the flux capacitor is gone"
        (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
        assert "station CS-1 crashed: LookupError: the flux capacitor is gone" in record.getMessage()
        assert "in explode" in caplog.text
        await world.sleep(2)
        assert len(world.sent("BootNotification")) == 2
        assert transaction.reason == "Reboot"
        assert world.statuses()[-3:] == [(0, "Available"), (1, "Available"), (2, "Available")]
        assert (await world.charge(1)).is_open
        assert len(world.calls(station="CS-2")) == neighbour
        assert other.is_open
        assert len(world.happened(Connected, station="CS-3")) == 1


async def test_a_station_that_crashes_again_and_again_is_started_ever_more_rarely(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with station_world() as world:
        await world.ready()
        monkeypatch.setattr(type(world.station), "_power_up", lambda station: 1 / 0)
        world.station.spawn(explode)
        await world.sleep(3600)
        assert 60 <= len(world.happened(StationCrashed)) <= 70


async def test_a_crashed_station_can_be_stopped_and_started() -> None:
    async with station_world() as world:
        await world.ready()
        world.station.spawn(explode)
        await world.sleep(0.5)
        await world.fleet.stop_station("hash-1")
        await world.sleep(100)
        assert len(world.happened(Connected)) == 1
        world.fleet.start("hash-1")
        await world.wait_for("BootNotification", 2)


async def test_a_crash_of_the_reader_of_the_line_is_one_of_the_station(monkeypatch: pytest.MonkeyPatch) -> None:
    async with station_world() as world:
        await world.ready()
        monkeypatch.setattr(type(world.station.dispatcher), "on_call", lambda dispatcher, call: [][0])
        world.known().send_raw('[2,"a","ClearCache",{}]')
        await world.sleep(0.5)
        assert [crash.error for crash in world.happened(StationCrashed)] == ["IndexError: list index out of range"]
        await world.wait_for("BootNotification", 2)


async def test_a_handler_that_fails_is_answered_and_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with station_world() as world:
        await world.ready()
        monkeypatch.setitem(world.station.dispatcher.handlers(), "ClearCache", lambda request: request["cause"])
        assert await world.refused("ClearCache") == "InternalError"
        assert "TypeError: 'ClearCacheRequest' object" in caplog.text
        assert world.happened(StationCrashed) == []
