"""Boot and registration (OCPP 1.6 §4.2)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import trio

from simulator.csms import BootPolicy, CallUnanswered, Station
from simulator.events import Registered
from simulator.ocpp.errors import ErrorCode
from simulator.ocpp.v16.enums import Reason, RegistrationStatus
from simulator.ocpp.v16.messages import BootNotificationResponse
from tests.fakes.script import close, cut, refuse, withhold
from tests.station.harness import World, station_world


async def test_an_accepted_station_reports_each_status_once_and_only_then_speaks_of_other_things() -> None:
    async with station_world(template={"firmwareVersion": "1.2", "meterType": ""}) as world:
        await world.ready()
        await world.sleep(200)
        assert world.actions() == ["BootNotification", *["StatusNotification"] * 3]
        assert world.statuses() == [(0, "Available"), (1, "Available"), (2, "Available")]
        # What is unknown is left out, not sent empty.
        assert world.sent("BootNotification") == [
            {"chargePointVendor": "Acme", "chargePointModel": "One", "firmwareVersion": "1.2"}
        ]
        assert [event.status for event in world.happened(Registered)] == ["Accepted"]


async def test_a_pending_station_answers_and_sends_only_what_it_is_asked_for() -> None:
    async with station_world(boot=BootPolicy("Pending", 100)) as world:
        await world.wait_for("BootNotification")
        await world.settle()
        answer = await world.call("GetConfiguration", key=["MeterValueSampleInterval"])
        assert answer["configurationKey"][0]["value"] == "60"
        assert await world.key("MeterValueSampleInterval", 20) == "Accepted"
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Rejected"
        assert await world.status_of("RemoteStopTransaction", transactionId=1) == "Rejected"
        assert await world.refused("ReserveNow") == "ProtocolError"  # an error is answered, too
        assert world.actions() == ["BootNotification"]
        assert await world.trigger("StatusNotification", 2) == "Accepted"
        await world.settle()
        assert world.statuses() == [(2, "Available")]
        assert await world.trigger("Heartbeat") == "Accepted"
        await world.sleep(99)
        assert world.actions() == ["BootNotification", "StatusNotification", "Heartbeat"]
        world.central.boot = BootPolicy("Accepted", 60)
        await world.sleep(1)
        assert world.times("BootNotification")[1] - world.times("BootNotification")[0] == pytest.approx(100)
        # The boot is over now: everything is told, also what was asked for before.
        assert world.statuses()[1:] == [(0, "Available"), (1, "Available"), (2, "Available")]
        await world.sleep(60)
        assert world.actions()[-1] == "Heartbeat"
        assert len(world.sent("BootNotification")) == 2


async def test_a_trigger_makes_a_pending_station_boot_at_once_and_an_accepted_one_never() -> None:
    async with station_world(boot=BootPolicy("Pending", 1000)) as world:
        await world.wait_for("BootNotification")
        await world.sleep(5)
        world.central.boot = BootPolicy("Accepted", 60)
        assert await world.trigger("BootNotification") == "Accepted"
        await world.settle()
        assert world.times("BootNotification")[1] - world.times("BootNotification")[0] == pytest.approx(5)
        assert await world.trigger("BootNotification") == "Rejected"
        await world.sleep(2000)
        assert len(world.sent("BootNotification")) == 2


async def test_a_rejected_station_says_nothing_and_answers_nothing_until_the_interval_is_over() -> None:
    async with station_world(boot=BootPolicy("Rejected", 50)) as world:
        await world.wait_for("BootNotification")
        await world.settle()
        with pytest.raises(CallUnanswered):
            await world.known().call("GetConfiguration", {}, timeout=40)
        world.known().send_raw('[2,"bad"')
        world.known().send_raw('[2,"bad","Foo"]')
        await world.sleep(9)
        assert [frame.direction for frame in world.central.frames if frame.direction == "in"] == ["in"]
        world.central.boot = BootPolicy("Accepted", 60)
        await world.sleep(1)
        times = world.times("BootNotification")
        assert times[1] - times[0] == pytest.approx(50)
        assert len(world.statuses()) == 3
        assert (await world.call("GetConfiguration", key=["Foo"]))["unknownKey"] == ["Foo"]


async def boots(world: World, count: int) -> list[float]:
    await world.wait_for("BootNotification", count, timeout=600 * count)
    await world.settle()
    times = world.times("BootNotification")
    return [later - earlier for earlier, later in pairwise(times)]


@pytest.mark.parametrize("interval", [0, 30])
async def test_an_interval_of_zero_floods_nobody(interval: int) -> None:
    async with station_world(boot=BootPolicy("Rejected", interval)) as world:
        for pause in await boots(world, 4):
            assert pause == pytest.approx(interval) if interval else 54 <= pause <= 66


async def test_a_boot_without_a_good_answer_is_repeated_after_a_while() -> None:
    def prepare(world: World) -> None:
        world.central.on("BootNotification", withhold(), times=1)
        world.central.on("BootNotification", refuse(ErrorCode.INTERNAL_ERROR), times=1)
        world.central.on("BootNotification", {"status": "Maybe"}, times=1)

    async with station_world(change=prepare, keys={"MessageTimeout": 20}) as world:
        pauses = await boots(world, 4)
        assert 74 <= pauses[0] <= 86
        assert all(54 <= pause <= 66 for pause in pauses[1:])
        assert len(world.statuses()) == 3


async def test_a_connection_lost_during_the_boot_begins_it_again_on_the_next_one() -> None:
    def prepare(world: World) -> None:
        world.central.on("BootNotification", close(1011), times=2)

    async with station_world(change=prepare) as world:
        await world.ready()
        assert len(world.sent("BootNotification")) == 3
        assert world.known().connections == 3


async def test_the_pause_of_a_pending_station_holds_across_reconnections() -> None:
    async with station_world(boot=BootPolicy("Pending", 120)) as world:
        await world.wait_for("BootNotification")
        await world.sleep(30)
        world.central.line("CS-1").cut()
        await world.central.connected("CS-1", 2)
        assert await boots(world, 2) == [pytest.approx(120)]


async def test_registration_is_given_up_after_its_retries_and_a_trigger_wakes_it() -> None:
    async with station_world(template={"registrationMaxRetries": 2}, boot=BootPolicy("Pending", 10)) as world:
        assert await boots(world, 3) == [pytest.approx(10), pytest.approx(10)]
        await world.sleep(10_000)
        assert len(world.sent("BootNotification")) == 3
        world.central.boot = BootPolicy("Accepted", 60)
        assert await world.trigger("BootNotification") == "Accepted"
        await world.settle()
        assert len(world.statuses()) == 3


@pytest.mark.parametrize("status", ["Rejected", "Pending", "Accepted", None])
async def test_autoregister_acts_as_accepted_whatever_the_answer(status: str | None) -> None:
    def prepare(world: World) -> None:
        if status is None:
            world.central.on("BootNotification", refuse(ErrorCode.GENERIC_ERROR))

    policy = BootPolicy(status or "Accepted", 20)
    async with station_world(
        template={"autoRegister": True}, keys={"HeartbeatInterval": 70}, boot=policy, change=prepare, faults=True
    ) as world:
        await world.sleep(1)
        assert world.actions() == ["BootNotification", *["StatusNotification"] * 3]
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.sleep(70)
        assert world.actions().count("BootNotification") == 1
        assert world.actions().count("Heartbeat") == (3 if status == "Accepted" else 1)


async def test_nothing_but_the_boot_leaves_before_its_answer() -> None:
    held = withhold()
    async with station_world(change=lambda world: world.central.on("BootNotification", held, times=1)) as world:
        await world.wait_for("BootNotification")
        await world.settle()
        assert await world.trigger("Heartbeat") == "Rejected"
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Rejected"
        await trio.sleep(20)
        assert world.actions() == ["BootNotification"]
        held.release()
        await world.settle()
        assert world.actions() == ["BootNotification", *["StatusNotification"] * 3]


async def test_a_station_that_the_central_system_degrades_falls_silent_and_registers_again() -> None:
    async with station_world() as world:
        await world.ready()
        world.station.registration.refreshed(
            BootNotificationResponse(
                status=RegistrationStatus.PENDING, current_time="2026-11-22T10:00:00Z", interval=40
            )
        )
        await world.sleep(39)
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Rejected"
        assert len(world.calls()) == 4
        await world.sleep(40)
        assert world.actions().count("BootNotification") == 2
        assert len(world.statuses()) == 6


async def test_a_call_right_behind_the_acceptance_finds_the_station_registered() -> None:
    async with station_world(boot=BootPolicy("Accepted", 7)) as world:
        known = world.known()
        told = world.central.answers["BootNotification"]

        def accept_and_ask(station: Station, payload: dict[str, Any]) -> Any:
            world.nursery.start_soon(ask)
            return told(station, payload)

        answers: list[Any] = []

        async def ask() -> None:
            answers.append(await known.call("GetConfiguration", {"key": ["HeartbeatInterval"]}))
            answers.append(await known.call("RemoteStartTransaction", {"connectorId": 1, "idTag": "A"}))

        world.central.answers["BootNotification"] = accept_and_ask
        await world.ready()
        assert answers[0]["configurationKey"][0]["value"] == "7"
        assert answers[1] == {"status": "Accepted"}


async def offline_reset_in_a_transaction(world: World) -> None:
    """The station charges, loses its line, is reset by a power failure, and comes back with a queue."""
    await world.ready()
    await world.charge()
    world.go_offline()
    await world.sleep(130)
    world.station.power_cycle()
    await world.sleep(60)
    assert world.station.lane.queued_transaction_messages == 3  # two samples and the end
    world.central.network.restore()


async def test_after_a_boot_the_statuses_come_before_what_is_queued() -> None:
    async with station_world() as world:
        await offline_reset_in_a_transaction(world)
        told = len(world.actions())
        await world.wait_for("StopTransaction", timeout=400)
        await world.settle()
        assert world.actions()[told:] == [
            "BootNotification",
            *["StatusNotification"] * 3,
            *["MeterValues"] * 2,
            "StopTransaction",
        ]


async def test_a_line_that_breaks_among_the_statuses_of_a_boot_holds_nothing_up() -> None:
    async with station_world() as world:
        await offline_reset_in_a_transaction(world)
        told = len(world.actions())
        world.central.on("StatusNotification", cut(), times=1)
        await world.wait_for("StopTransaction", timeout=400)
        await world.settle()
        assert world.actions()[told:] == [
            "BootNotification",
            "StatusNotification",  # the line breaks; the next one is no boot
            *["StatusNotification"] * 3,
            *["MeterValues"] * 2,
            "StopTransaction",
        ]


async def test_a_status_of_a_boot_that_is_never_answered_holds_the_queue_up_for_its_time_only() -> None:
    async with station_world(faults=True) as world:
        await offline_reset_in_a_transaction(world)
        world.central.on("StatusNotification", withhold(), times=1)
        await world.wait_for("BootNotification", 2, timeout=400)
        await world.sleep(31)
        assert world.actions()[-6:] == [*["StatusNotification"] * 3, *["MeterValues"] * 2, "StopTransaction"]


async def test_a_reconnection_without_a_boot_tells_the_queue_first() -> None:
    async with station_world() as world:
        await world.ready()
        transaction = await world.charge()
        world.go_offline()
        await world.sleep(70)
        world.station.sessions.end(world.station.sessions.running()[0], Reason.LOCAL)
        told = len(world.actions())
        await world.come_back()
        await world.settle()
        assert world.actions()[told:] == ["MeterValues", "StopTransaction", "StatusNotification"]
        assert world.transactions()[0].transaction_id == transaction.transaction_id
