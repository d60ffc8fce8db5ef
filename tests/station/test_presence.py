"""What people do at a station: plug, swipe, unplug, break and mend (OCPP 1.6 §4.8, §4.9)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.ocpp.v16.enums import ChargePointErrorCode
from simulator.station.presence import EV_SIDE, VerbRefused
from simulator.timestamps import format_timestamp
from tests.station.harness import World, station_world

BY_HAND: dict[str, Any] = {"automaticVehicle": False}


async def swipe(world: World, id_tag: str, connector_id: int | None = 1) -> None:
    await world.station.presence.present_id_tag(connector_id, id_tag)
    await world.settle()


async def plug(world: World, connector_id: int = 1) -> None:
    world.station.presence.plug_in(connector_id)
    await world.settle()


async def unplug(world: World, connector_id: int = 1) -> None:
    world.station.presence.unplug(connector_id)
    await world.settle()


async def test_plug_first_then_tag() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        await plug(world)
        assert world.statuses(1) == ["Available", "Preparing"]
        await swipe(world, "A")
        assert world.actions()[-3:] == ["Authorize", "StartTransaction", "StatusNotification"]
        [start] = world.sent("StartTransaction")
        assert (start["connectorId"], start["idTag"]) == (1, "A")
        assert isinstance(start["meterStart"], int)
        assert world.statuses(1)[-1] == "Charging"


async def test_tag_first_then_plug() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        await swipe(world, "A")
        assert world.statuses(1)[-1] == "Preparing"
        assert world.sent("StartTransaction") == []
        await world.sleep(5)
        await plug(world)
        assert len(world.sent("StartTransaction")) == 1
        assert world.statuses(1)[-1] == "Charging"


async def test_nobody_plugs_in_before_connection_time_out() -> None:
    async with station_world(template=BY_HAND, keys={"ConnectionTimeOut": 5}) as world:
        await world.ready()
        await swipe(world, "A")
        await world.sleep(4.9)
        assert world.statuses(1)[-1] == "Preparing"
        await world.sleep(0.2)
        assert world.statuses(1)[-1] == "Available"
        await plug(world)  # the authorisation is forgotten
        assert world.sent("StartTransaction") == []


async def test_no_tag_within_connection_time_out_leads_to_finishing() -> None:
    async with station_world(template=BY_HAND, keys={"ConnectionTimeOut": 5}) as world:
        await world.ready()
        await plug(world)
        await world.sleep(5.1)
        assert world.statuses(1)[-1] == "Finishing"
        await unplug(world)
        assert world.statuses(1)[-1] == "Available"


async def test_second_swipe_gives_up() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        await swipe(world, "A")
        await swipe(world, "a")
        assert world.statuses(1) == ["Available", "Preparing", "Available"]


async def test_refused_tag_starts_nothing() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        world.central.on("Authorize", {"idTagInfo": {"status": "Invalid"}})
        await plug(world)
        with pytest.raises(VerbRefused, match="Invalid"):
            await swipe(world, "B")
        assert world.sent("StartTransaction") == []
        assert world.statuses(1)[-1] == "Preparing"


async def test_same_tag_stops_without_authorize() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        await plug(world)
        await swipe(world, "A")
        asked = len(world.sent("Authorize"))
        await world.sleep(100)
        await swipe(world, "A")
        [stop] = world.sent("StopTransaction")
        assert stop["idTag"] == "A"
        assert stop.get("reason", "Local") == "Local"
        assert stop["meterStop"] >= world.sent("StartTransaction")[0]["meterStart"]
        assert len(world.sent("Authorize")) == asked
        assert world.statuses(1)[-1] == "Finishing"
        await unplug(world)
        assert world.statuses(1)[-1] == "Available"


async def test_other_tag_without_group_is_refused_unasked() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        await plug(world)
        await swipe(world, "A")
        with pytest.raises(VerbRefused):
            await swipe(world, "B")
        assert [sent["idTag"] for sent in world.sent("Authorize")] == ["A"]
        assert world.sent("StopTransaction") == []


async def test_tag_of_the_same_group_stops_and_another_does_not() -> None:
    parents = {"A": "P", "C": "P", "D": "Q"}

    def answer(_: Any, payload: dict[str, Any]) -> dict[str, Any]:
        return {"idTagInfo": {"status": "Accepted", "parentIdTag": parents[payload["idTag"]]}}

    async with station_world(template=BY_HAND, keys={"AuthorizationCacheEnabled": "false"}) as world:
        await world.ready()
        world.central.on("Authorize", answer)
        world.central.on(
            "StartTransaction", {"transactionId": 1, "idTagInfo": {"status": "Accepted", "parentIdTag": "P"}}
        )
        await plug(world)
        await swipe(world, "A")
        with pytest.raises(VerbRefused):
            await swipe(world, "D")
        assert world.sent("StopTransaction") == []
        world.central.on("StopTransaction", {"idTagInfo": {"status": "Accepted"}})
        await swipe(world, "C")
        assert [sent["idTag"] for sent in world.sent("Authorize")] == ["A", "D", "C"]
        assert world.sent("StopTransaction")[0]["idTag"] == "C"


async def test_unplugging_at_the_vehicle_ends_the_transaction() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        await plug(world)
        await swipe(world, "A")
        await unplug(world)
        assert world.sent("StopTransaction")[0]["reason"] == "EVDisconnected"
        finishing = next(sent for sent in world.sent("StatusNotification") if sent["status"] == "Finishing")
        assert finishing["info"] == EV_SIDE
        assert world.statuses(1)[-1] == "Available"


async def test_unplugging_at_the_vehicle_can_leave_the_transaction_open() -> None:
    async with station_world(template=BY_HAND, keys={"StopTransactionOnEVSideDisconnect": "false"}) as world:
        await world.ready()
        await plug(world)
        await swipe(world, "A")
        await unplug(world)
        last = world.sent("StatusNotification")[-1]
        assert (last["status"], last["info"]) == ("SuspendedEV", EV_SIDE)
        await plug(world)
        assert world.statuses(1)[-1] == "Charging"
        assert world.sent("StopTransaction") == []


@pytest.mark.parametrize(("asks", "authorizes"), [("false", 0), ("true", 1)])
async def test_remote_start_waits_for_the_vehicle(asks: str, authorizes: int) -> None:
    async with station_world(
        template=BY_HAND, keys={"AuthorizeRemoteTxRequests": asks, "ConnectionTimeOut": 20}
    ) as world:
        await world.ready()
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Accepted"
        await world.settle()
        assert world.statuses(1)[-1] == "Preparing"
        assert len(world.sent("Authorize")) == authorizes
        await plug(world)
        assert len(world.sent("StartTransaction")) == 1


async def test_remote_start_without_vehicle_times_out() -> None:
    async with station_world(template=BY_HAND, keys={"ConnectionTimeOut": 20}) as world:
        await world.ready()
        await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A")
        await world.sleep(21)
        assert world.statuses(1)[-1] == "Available"
        assert world.sent("StartTransaction") == []


async def test_fault_ends_the_transaction_and_blocks_the_connector() -> None:
    async with station_world() as world:
        await world.ready()
        await world.charge(1)
        world.station.presence.raise_error(1, ChargePointErrorCode.GROUND_FAILURE)
        await world.settle()
        assert world.sent("StopTransaction")[0]["reason"] == "Other"
        last = world.sent("StatusNotification")[-1]
        assert (last["status"], last["errorCode"]) == ("Faulted", "GroundFailure")
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="A") == "Rejected"
        world.station.presence.clear_error(1)
        await world.settle()
        last = world.sent("StatusNotification")[-1]
        assert (last["status"], last["errorCode"]) == ("Available", "NoError")
        await world.charge(1)


async def test_fault_of_the_station_blocks_every_connector() -> None:
    async with station_world() as world:
        await world.ready()
        world.station.presence.raise_error(0, ChargePointErrorCode.HIGH_TEMPERATURE)
        await world.settle()
        assert world.statuses(0)[-1] == "Faulted"
        assert await world.status_of("RemoteStartTransaction", connectorId=2, idTag="A") == "Rejected"
        world.station.presence.clear_error(0)
        await world.settle()
        assert world.statuses(0)[-1] == "Available"


async def test_power_loss_with_warning_ends_transactions_before() -> None:
    async with station_world() as world:
        await world.ready()
        await world.charge(1)
        world.station.power_cycle()
        await world.wait_for("BootNotification", 2)
        stops = world.calls("StopTransaction")
        assert [stop.payload["reason"] for stop in stops] == ["PowerLoss"]
        assert stops[0].time < world.calls("BootNotification")[1].time


async def test_power_loss_without_warning_ends_transactions_after_the_boot() -> None:
    async with station_world() as world:
        await world.ready()
        await world.charge(1)
        await world.sleep(100)
        lost = world.clock.now()
        world.station.power_cycle(warned=False)
        stop = await world.central.wait_for("CS-1", "StopTransaction")
        assert stop.payload["reason"] == "PowerLoss"
        assert stop.index > world.calls("BootNotification")[1].index
        assert stop.payload["timestamp"] == format_timestamp(lost)


async def test_status_must_last_minimum_status_duration() -> None:
    async with station_world(template=BY_HAND, keys={"MinimumStatusDuration": 5}) as world:
        await world.ready()
        await plug(world)
        await world.sleep(2)
        await unplug(world)
        await world.sleep(10)
        assert world.statuses(1) == ["Available"]
        await plug(world)
        await world.sleep(6)
        assert world.statuses(1) == ["Available", "Preparing"]


async def test_plugged_vehicle_is_there_after_a_reset() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        await plug(world)
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.wait_for("BootNotification", 2)
        await world.settle()
        assert world.statuses(1)[-1] == "Preparing"
        assert world.statuses(2)[-1] == "Available"


async def test_fixed_cable_cannot_be_unlocked() -> None:
    async with station_world(template={"fixedCable": True}) as world:
        await world.ready()
        await world.charge(1)
        assert await world.status_of("UnlockConnector", connectorId=1) == "NotSupported"
        assert world.sent("StopTransaction") == []


async def test_stuck_lock_stays_shut() -> None:
    async with station_world() as world:
        await world.ready()
        world.station.presence.raise_error(1, ChargePointErrorCode.CONNECTOR_LOCK_FAILURE)
        await world.settle()
        assert await world.status_of("UnlockConnector", connectorId=1) == "UnlockFailed"


@pytest.mark.parametrize(
    ("verb", "reason"),
    [
        (lambda world: world.station.presence.plug_in(9), "does not exist"),
        (lambda world: world.station.presence.unplug(1), "no vehicle"),
        (lambda world: world.station.presence.clear_error(1), "not Faulted"),
        (lambda world: world.station.presence.raise_error(1, ChargePointErrorCode.NO_ERROR), "no error"),
    ],
)
async def test_what_cannot_be_done_is_refused(verb: Any, reason: str) -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        with pytest.raises(VerbRefused, match=reason):
            verb(world)
