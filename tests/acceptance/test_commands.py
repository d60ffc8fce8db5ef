"""Scenarios 19 to 25, 36, 37 and 40: what a central system asks of a station."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from simulator.ocpp.v16.enums import ChargePointErrorCode
from simulator.timestamps import format_timestamp
from tests.acceptance.bench import (
    availability,
    bench,
    booted,
    charge,
    last_status,
    plug,
    remote_start,
    reset,
    swipe,
    unlock,
    unplug,
)
from tests.fakes.script import withhold
from tests.station.harness import World


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
async def test_e19_reset_with_a_transaction(kind: str, reason: str) -> None:
    """Reset ends the transaction; after the boot its connector is Finishing or Preparing, the others Available."""
    async with bench() as world:
        await world.ready()
        await charge(world)
        told = len(world.statuses())
        await reset(world, kind)
        assert [stop["reason"] for stop in world.sent("StopTransaction")] == [reason]
        assert world.known().connections == 2
        assert world.closings() == [1000]
        after = dict(world.statuses()[told:][-3:])
        assert after == {0: "Available", 1: after[1], 2: "Available"}
        assert after[1] in {"Finishing", "Preparing"}


@pytest.mark.parametrize("kind", ["Soft", "Hard"])
async def test_e20_availability_outlives_a_reset(kind: str) -> None:
    """A connector that is Inoperative is Unavailable after the boot, and Available when it is made Operative."""
    async with bench() as world:
        await world.ready()
        assert await availability(world, 2, "Inoperative") == "Accepted"
        await reset(world, kind)
        assert dict(world.statuses()[-3:]) == {0: "Available", 1: "Available", 2: "Unavailable"}
        assert await availability(world, 2, "Operative") == "Accepted"
        assert world.statuses()[-1] == (2, "Available")


async def test_availability_outlives_a_power_failure() -> None:
    """A station that is Inoperative is Unavailable, with every connector, after a power failure (certification)."""
    async with bench() as world:
        await world.ready()
        assert await availability(world, 0, "Inoperative") == "Accepted"
        world.station.power_cycle(warned=False)
        await booted(world, 2)
        assert dict(world.statuses()[-3:]) == {0: "Unavailable", 1: "Unavailable", 2: "Unavailable"}


async def test_e21_a_busy_connector_becomes_inoperative_later() -> None:
    """ChangeAvailability of a charging connector is scheduled: Unavailable when everything is over."""
    async with bench() as world:
        await world.ready()
        await charge(world)
        assert await availability(world, 1, "Inoperative") == "Scheduled"
        await world.sleep(30)
        assert world.statuses(1)[-1] == "Charging"
        await swipe(world, "A")
        await unplug(world)
        assert world.statuses(1)[-1] == "Unavailable"


async def test_e22_availability_of_an_idle_station() -> None:
    """The present state changes nothing; connector 0 means all; an unknown connector is rejected."""
    async with bench() as world:
        await world.ready()
        told = len(world.statuses())
        assert await availability(world, 1, "Operative") == "Accepted"
        assert len(world.statuses()) == told
        assert await availability(world, 0, "Inoperative") == "Accepted"
        assert sorted(world.statuses()[told:]) == [(0, "Unavailable"), (1, "Unavailable"), (2, "Unavailable")]
        assert await availability(world, 9, "Inoperative") == "Rejected"


async def test_e23_unlocking() -> None:
    """Idle: unlocked. In a transaction: unlocked, and it stops. Unknown connector or fixed cable: not supported."""
    async with bench() as world:
        await world.ready()
        assert await unlock(world, 1) == "Unlocked"
        await charge(world)
        assert await unlock(world, 1) == "Unlocked"
        assert [stop["reason"] for stop in world.sent("StopTransaction")] == ["UnlockCommand"]
        assert world.statuses(1)[-1] == "Finishing"
        await unplug(world)
        assert world.statuses(1)[-1] == "Available"
        assert await unlock(world, 9) == "NotSupported"
    async with bench(template={"fixedCable": True}) as world:
        await world.ready()
        assert await unlock(world, 1) == "NotSupported"
        await charge(world)
        assert await unlock(world, 1) == "NotSupported"
        assert world.transactions()[0].is_open


async def test_e24_reading_the_configuration() -> None:
    """All keys come with their access; of named ones the unknown are named as such."""
    async with bench() as world:
        await world.ready()
        keys = {key["key"]: key["readonly"] for key in (await world.call("GetConfiguration"))["configurationKey"]}
        read_only = {"GetConfigurationMaxKeys", "NumberOfConnectors", "SupportedFeatureProfiles"}
        writable = {
            "AuthorizeRemoteTxRequests", "ClockAlignedDataInterval", "ConnectionTimeOut", "ConnectorPhaseRotation",
            "HeartbeatInterval", "LocalAuthorizeOffline", "LocalPreAuthorize", "MeterValuesAlignedData",
            "MeterValuesSampledData", "MeterValueSampleInterval", "ResetRetries", "StopTransactionOnInvalidId",
            "StopTxnAlignedData", "StopTxnSampledData", "TransactionMessageAttempts",
            "TransactionMessageRetryInterval", "UnlockConnectorOnEVSideDisconnect",
        }  # fmt: skip
        assert {name for name in read_only | writable if name not in keys} == set()
        assert {name for name in read_only | writable if keys[name]} == read_only
        answer = await world.call("GetConfiguration", key=["HeartbeatInterval", "Foo"])
        assert [(key["key"], key["value"]) for key in answer["configurationKey"]] == [("HeartbeatInterval", "300")]
        assert answer["unknownKey"] == ["Foo"]


async def test_e25_changing_the_configuration() -> None:
    """Unknown, read-only and senseless changes are refused and change nothing; an interval acts at once."""
    async with bench(keys={"MeterValuesSampledData": "Voltage"}) as world:
        await world.ready()
        assert await world.key("Testing", "true") == "NotSupported"
        assert await world.key("NumberOfConnectors", 3) == "Rejected"
        assert await world.key("MeterValueSampleInterval", -1) == "Rejected"
        assert await world.key("MeterValuesSampledData", "Voltage,Nonsense") == "Rejected"
        assert await world.key("MeterValueSampleInterval", 20) == "Accepted"
        named = ["MeterValuesSampledData", "NumberOfConnectors", "MeterValueSampleInterval"]
        answer = await world.call("GetConfiguration", key=named)
        assert [key["value"] for key in answer["configurationKey"]] == ["Voltage", "2", "20"]
        assert await world.key("HeartbeatInterval", 7) == "Accepted"
        begun = world.central.frames[-1].time
        await world.sleep(29)
        beats = [begun, *world.times("Heartbeat")]
        assert len(beats) == 5
        assert all(later - earlier == pytest.approx(7, abs=0.1) for earlier, later in pairwise(beats))


async def reserve(
    world: World, reservation_id: int, connector_id: int = 1, *, tag: str = "A", seconds: float = 600, **more: Any
) -> str:
    status = await world.status_of(
        "ReserveNow",
        connectorId=connector_id,
        reservationId=reservation_id,
        idTag=tag,
        expiryDate=format_timestamp(world.clock.now() + seconds),
        **more,
    )
    await world.settle()
    return status


async def test_e36_reservations() -> None:
    """Reserved for one tag until its expiry, its use or its cancelling; others are refused."""
    async with bench(keys={"ReserveConnectorZeroSupported": {"value": "false", "readonly": True}}) as world:
        await world.ready()
        assert await reserve(world, 11, seconds=5) == "Accepted"
        assert world.statuses(1)[-1] == "Reserved"
        assert await reserve(world, 12) == "Occupied"
        assert await reserve(world, 13, 0) == "Rejected"
        await swipe(world, "B")
        assert world.statuses(1)[-1] == "Reserved"
        await world.sleep(5)
        assert world.statuses(1)[-1] == "Available"
        assert await reserve(world, 11) == "Accepted"
        await charge(world, "A")
        assert world.sent("StartTransaction")[-1]["reservationId"] == 11
        await swipe(world, "A")
        await unplug(world)
        assert await reserve(world, 11) == "Accepted"
        assert await world.status_of("CancelReservation", reservationId=11) == "Accepted"
        await world.settle()
        assert world.statuses(1)[-1] == "Available"
        assert await world.status_of("CancelReservation", reservationId=99) == "Rejected"
        await charge(world, "A")
        assert "reservationId" not in world.sent("StartTransaction")[-1]


async def test_a_reservation_of_any_connector() -> None:
    """With all others Unavailable the last free connector is Reserved, and its use names the reservation."""
    async with bench() as world:
        await world.ready()
        assert await availability(world, 2, "Inoperative") == "Accepted"
        assert await reserve(world, 11, 0) == "Accepted"
        assert world.statuses(1)[-1] == "Reserved"
        await charge(world, "A", 1)
        assert world.sent("StartTransaction")[-1]["reservationId"] == 11


@pytest.mark.parametrize("connector_id", [1, 0])
@pytest.mark.parametrize("hindrance", ["Faulted", "Occupied", "Unavailable"])
async def test_what_hinders_a_reservation(connector_id: int, hindrance: str) -> None:
    """ReserveNow answers with what it finds, for one connector and for any (certification cases)."""
    async with bench() as world:
        await world.ready()
        for each in (1, 2):
            if hindrance == "Faulted":
                world.station.presence.raise_error(each, ChargePointErrorCode.GROUND_FAILURE)
            elif hindrance == "Occupied":
                await plug(world, each)
            else:
                await availability(world, each, "Inoperative")
        assert await reserve(world, 11, connector_id) == hindrance


@pytest.mark.parametrize("remote", [False, True])
async def test_a_reservation_for_a_group(remote: bool) -> None:
    """Another tag of the reserved group may start, locally and remotely, in the name of the reservation."""
    async with bench(keys={"AuthorizeRemoteTxRequests": True}) as world:
        world.central.on("Authorize", {"idTagInfo": {"status": "Accepted", "parentIdTag": "P"}})
        await world.ready()
        await charge(world, "B", 2)  # the station learns the group of B
        assert await reserve(world, 11, parentIdTag="P") == "Accepted"
        if remote:
            assert await remote_start(world, "B") == "Accepted"
            await plug(world)
        else:
            await charge(world, "C")
        assert world.sent("StartTransaction")[-1]["reservationId"] == 11


async def test_e37_triggers() -> None:
    """Statuses of all or one connector; an unknown connector is rejected; the answer comes before the message."""
    async with bench() as world:
        await world.ready()
        assert await world.trigger("StatusNotification") == "Accepted"
        await world.settle()
        assert [connector for connector, _ in world.statuses()[3:]] == [0, 1, 2]
        assert await world.trigger("StatusNotification", 2) == "Accepted"
        await world.settle()
        assert [connector for connector, _ in world.statuses()[6:]] == [2]
        assert await world.trigger("MeterValues", 3) == "Rejected"
        assert await world.trigger("DiagnosticsStatusNotification") == "Accepted"
        await world.settle()
        assert world.sent("DiagnosticsStatusNotification") == [{"status": "Idle"}]
        answered, sent = [frame for frame in world.central.frames if frame.direction == "in"][-2:]
        assert not hasattr(answered.frame, "action")
        assert getattr(sent.frame, "action", None) == "DiagnosticsStatusNotification"


async def test_every_message_can_be_triggered() -> None:
    """MeterValues, Heartbeat and FirmwareStatusNotification come when they are asked for (a certification case)."""
    measurands = "Energy.Active.Import.Register,Voltage"
    async with bench(keys={"MeterValuesSampledData": measurands}) as world:
        await world.ready()
        transaction = await charge(world)
        for message in ("MeterValues", "Heartbeat", "FirmwareStatusNotification"):
            assert await world.trigger(message, 1 if message == "MeterValues" else None) == "Accepted"
            await world.settle()
        [values] = world.sent("MeterValues")
        assert (values["connectorId"], values["transactionId"]) == (1, transaction)
        samples = values["meterValue"][0]["sampledValue"]
        assert {sample["measurand"] for sample in samples} == set(measurands.split(","))
        assert {sample["context"] for sample in samples} == {"Trigger"}
        assert len(world.sent("Heartbeat")) == 1
        assert world.sent("FirmwareStatusNotification") == [{"status": "Idle"}]


async def test_e40_improper_requests_while_a_call_waits() -> None:
    """Improper requests are answered at once while an own CALL waits; the station itself sends no second CALL."""
    async with bench(keys={"SecurityProfile": 1, "AuthorizationKey": "00112233445566778899aabbccddeeff"}) as world:
        await world.ready()
        held = withhold()
        world.central.on("Heartbeat", held)
        assert await world.trigger("Heartbeat") == "Accepted"
        await world.wait_for("Heartbeat")
        assert await world.refused("Foo") == "NotImplemented"
        assert await world.status_of("DataTransfer", vendorId="nobody.knows") == "UnknownVendorId"
        assert await world.refused("Reset", type="Medium") == "PropertyConstraintViolation"
        assert await world.refused("RemoteStopTransaction", transactionId="7") == "TypeConstraintViolation"
        assert await world.refused("ChangeConfiguration") in {"ProtocolError", "OccurenceConstraintViolation"}
        assert await world.key("SecurityProfile", 0) == "Rejected"
        await plug(world)
        await world.sleep(20)
        assert world.actions()[-1] == "Heartbeat"
        held.release()
        await world.settle()
        assert last_status(world)["status"] == "Preparing"
