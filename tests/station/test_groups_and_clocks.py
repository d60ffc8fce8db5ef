"""Groups of tags wherever they are told, and a clock that the central system sets (OCPP 1.6 §4.6, §5.13, §5.16)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.csms.policy import TagEntry, TagTable
from simulator.station.presence import VerbRefused
from simulator.timestamps import format_timestamp
from tests.fakes.transfers import FakeTransfers
from tests.station.harness import START, World, station_world

FAMILY = TagTable(
    {"A": TagEntry(parent_id_tag="P"), "C": TagEntry(parent_id_tag="P"), "D": TagEntry(parent_id_tag="Q")}
)
MANUAL: dict[str, Any] = {"automaticVehicle": False}


async def swipe(world: World, id_tag: str) -> bool:
    """Present a tag at connector 1; returns whether it may."""
    try:
        await world.station.presence.present_id_tag(1, id_tag)
    except VerbRefused:
        return False
    finally:
        await world.settle()
    return True


async def set_clock(world: World, to: float) -> None:
    """The central system's next Heartbeat answer shows another time; later ones leave it at that."""
    world.central.on("Heartbeat", {"currentTime": format_timestamp(to)}, times=1)
    assert await world.trigger("Heartbeat") == "Accepted"
    await world.settle()


async def reserve(world: World, expiry: float, **members: Any) -> str:
    """ReserveNow of connector 1 for A."""
    status = await world.status_of(
        "ReserveNow", connectorId=1, idTag="A", reservationId=1, expiryDate=format_timestamp(expiry), **members
    )
    await world.settle()
    return status


# -- groups ------------------------------------------------------------------------------------------------------------


async def test_a_group_that_only_authorize_has_told_may_stop() -> None:
    async with station_world(template=MANUAL, central_tags=FAMILY) as world:
        await world.ready()
        world.central.on("StartTransaction", {"transactionId": 7, "idTagInfo": {"status": "Accepted"}})
        world.central.on("StopTransaction", {})
        world.station.presence.plug_in(1)
        assert await swipe(world, "A")
        assert not await swipe(world, "D")
        assert await swipe(world, "C")
        (stop,) = world.sent("StopTransaction")
        assert (stop["idTag"], stop["transactionId"]) == ("C", 7)


async def test_a_group_of_the_list_may_stop_without_a_connection() -> None:
    keys = {"LocalAuthListEnabled": "true", "LocalAuthorizeOffline": "true"}
    async with station_world(template=MANUAL, keys=keys) as world:
        await world.ready()
        entries = [
            {"idTag": tag, "idTagInfo": {"status": "Accepted", "parentIdTag": parent}}
            for tag, parent in (("A", "P"), ("C", "P"), ("D", "Q"))
        ]
        sent = await world.status_of("SendLocalList", listVersion=1, updateType="Full", localAuthorizationList=entries)
        assert sent == "Accepted"
        world.go_offline()
        await world.settle()
        world.station.presence.plug_in(1)
        assert await swipe(world, "A")
        assert not await swipe(world, "D")
        assert await swipe(world, "C")
        await world.come_back()
        assert [stop["idTag"] for stop in world.sent("StopTransaction")] == ["C"]


async def test_a_member_of_the_group_that_is_waited_for_is_asked_about_once() -> None:
    async with station_world(template=MANUAL, central_tags=FAMILY) as world:
        await world.ready()
        assert await reserve(world, START + 1800, parentIdTag="P") == "Accepted"
        world.station.presence.plug_in(1)
        assert not await swipe(world, "D")
        assert await swipe(world, "C")
        assert [sent["idTag"] for sent in world.sent("Authorize")] == ["D", "C"]
        (start,) = world.sent("StartTransaction")
        assert (start["idTag"], start["reservationId"]) == ("C", 1)


# -- the clock ---------------------------------------------------------------------------------------------------------


async def test_the_answer_to_a_triggered_heartbeat_sets_the_clock() -> None:
    async with station_world() as world:
        await world.ready()
        await set_clock(world, START + 7200)
        assert world.station.now() == pytest.approx(START + 7200, abs=1)


@pytest.mark.parametrize(("to", "after"), [(START + 7200, 0), (START - 3600, 3600 + 1800)])
async def test_a_reservation_expires_by_the_clock_that_is_set(to: float, after: float) -> None:
    async with station_world(keys={"HeartbeatInterval": 0}) as world:
        await world.ready()
        assert await reserve(world, START + 1800) == "Accepted"
        await set_clock(world, to)
        if after:
            world.central.on("Heartbeat", {"currentTime": "never"})  # nobody sets it right again
            await world.sleep(after - 60)
            assert world.statuses(1)[-1] == "Reserved"
            await world.sleep(70)
        assert world.statuses(1)[-1] == "Available"


async def test_a_schedule_begins_by_the_clock_that_is_set_and_a_relative_one_does_not_jump() -> None:
    def profile(number: int, purpose: str, kind: str, periods: list[dict[str, Any]], **members: Any) -> dict[str, Any]:
        return {
            "chargingProfileId": number,
            "stackLevel": 0,
            "chargingProfilePurpose": purpose,
            "chargingProfileKind": kind,
            "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": periods, **members},
        }

    async with station_world(keys={"MeterValueSampleInterval": 0}) as world:
        await world.ready()
        await world.charge(1)
        later = [{"startPeriod": 0, "limit": 8}, {"startPeriod": 3600, "limit": 6}]
        relative = profile(1, "TxProfile", "Relative", later)
        assert await world.status_of("SetChargingProfile", connectorId=1, csChargingProfiles=relative) == "Accepted"
        start = format_timestamp(START + 1800)
        nothing = profile(2, "ChargePointMaxProfile", "Absolute", [{"startPeriod": 0, "limit": 0}], startSchedule=start)
        assert await world.status_of("SetChargingProfile", connectorId=0, csChargingProfiles=nothing) == "Accepted"
        await world.settle()
        assert world.statuses(1)[-1] == "Charging"
        await set_clock(world, START + 5400)
        assert world.statuses(1)[-1] == "SuspendedEVSE"
        assert await world.status_of("ClearChargingProfile", id=2) == "Accepted"
        schedule = await world.call("GetCompositeSchedule", connectorId=1, duration=3000, chargingRateUnit="A")
        assert [period["limit"] for period in schedule["chargingSchedule"]["chargingSchedulePeriod"]] == [8]


async def test_an_update_is_fetched_by_the_clock_that_is_set() -> None:
    transfers = FakeTransfers()
    async with station_world(services={"transfers": transfers}) as world:
        await world.ready()
        retrieve = format_timestamp(START + 86_400)
        await world.call("UpdateFirmware", location="http://files/new.bin", retrieveDate=retrieve)
        await world.sleep(60)
        assert transfers.attempts == []
        await set_clock(world, START + 86_500)
        assert len(transfers.attempts) == 1


async def test_a_vehicle_that_stays_over_a_reset_waits_for_a_tag_until_the_time_out() -> None:
    async with station_world(template=MANUAL, keys={"ConnectionTimeOut": 20}) as world:
        await world.ready()
        world.station.presence.plug_in(1)
        assert await swipe(world, "A")
        assert await world.status_of("Reset", type="Soft") == "Accepted"
        await world.wait_for("BootNotification", 2)
        await world.settle()
        assert world.statuses(1)[-1] == "Preparing"
        await world.sleep(25)
        assert world.statuses(1)[-1] == "Finishing"
        assert await swipe(world, "A")
        assert world.statuses(1)[-1] == "Charging"
