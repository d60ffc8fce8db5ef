"""Reservations (OCPP 1.6 §5.1, §5.13; B.9)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.ocpp.v16.enums import ChargePointErrorCode
from simulator.station.presence import VerbRefused
from simulator.timestamps import format_timestamp
from tests.station.harness import World, station_world
from tests.station.test_presence import BY_HAND, plug, swipe, unplug


async def reserve(
    world: World, reservation_id: int, *, connector: int = 1, tag: str = "A", seconds: float = 600, **more: Any
) -> str:
    expiry = format_timestamp(world.clock.now() + seconds)
    status = await world.status_of(
        "ReserveNow", connectorId=connector, idTag=tag, reservationId=reservation_id, expiryDate=expiry, **more
    )
    await world.settle()
    return status


async def test_reserved_tag_uses_its_reservation() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        assert await reserve(world, 11) == "Accepted"
        assert world.statuses(1)[-1] == "Reserved"
        with pytest.raises(VerbRefused, match="reserved"):
            await swipe(world, "B")
        await swipe(world, "A")
        await plug(world)
        [start] = world.sent("StartTransaction")
        assert start["reservationId"] == 11
        assert world.statuses(1) == ["Available", "Reserved", "Preparing", "Charging"]
        await swipe(world, "A")
        await unplug(world)
        await plug(world)
        await swipe(world, "B")  # the reservation is used up
        assert "reservationId" not in world.sent("StartTransaction")[1]


async def test_reservation_expires() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        await reserve(world, 11, seconds=5)
        await world.sleep(5.1)
        assert world.statuses(1)[-1] == "Available"
        await plug(world)
        await swipe(world, "B")
        assert len(world.sent("StartTransaction")) == 1


async def test_cancel() -> None:
    async with station_world() as world:
        await world.ready()
        await reserve(world, 11)
        assert await world.status_of("CancelReservation", reservationId=99) == "Rejected"
        assert await world.status_of("CancelReservation", reservationId=11) == "Accepted"
        await world.settle()
        assert world.statuses(1)[-1] == "Available"


async def test_what_a_reservation_finds() -> None:
    async with station_world(keys={"ReserveConnectorZeroSupported": {"value": "false", "readonly": True}}) as world:
        await world.ready()
        assert await reserve(world, 1) == "Accepted"
        assert await reserve(world, 2) == "Occupied"
        assert await reserve(world, 1, tag="B") == "Accepted"  # the same id is replaced
        assert await reserve(world, 3, connector=9) == "Rejected"
        assert await reserve(world, 3, connector=0) == "Rejected"
        assert await reserve(world, 3, connector=2, seconds=-5) == "Rejected"
        await world.charge(2)
        assert await reserve(world, 3, connector=2) == "Occupied"


async def test_out_of_use_connectors_cannot_be_reserved() -> None:
    async with station_world() as world:
        await world.ready()
        world.station.presence.raise_error(1, ChargePointErrorCode.GROUND_FAILURE)
        assert await reserve(world, 1) == "Faulted"
        assert await world.status_of("ChangeAvailability", connectorId=2, type="Inoperative") == "Accepted"
        await world.settle()
        assert await reserve(world, 1, connector=2) == "Unavailable"
        assert await reserve(world, 1, connector=0) in {"Faulted", "Unavailable"}


async def test_reservation_of_any_connector_keeps_one_free() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        assert await reserve(world, 7, connector=0) == "Accepted"
        assert world.statuses(1)[-1] == "Available"
        await plug(world, 1)
        await swipe(world, "B", 1)
        assert world.statuses(2)[-1] == "Reserved"
        with pytest.raises(VerbRefused):
            await swipe(world, "C", 2)
        assert await reserve(world, 8, connector=0) == "Occupied"
        await plug(world, 2)
        await swipe(world, "A", 2)
        assert world.sent("StartTransaction")[-1]["reservationId"] == 7


async def test_group_of_the_reservation_may_use_it() -> None:
    async with station_world(template=BY_HAND) as world:
        await world.ready()
        world.central.on("Authorize", {"idTagInfo": {"status": "Accepted", "parentIdTag": "P"}})
        await reserve(world, 11, parentIdTag="P")
        await plug(world)
        await swipe(world, "B")
        assert world.sent("StartTransaction")[0]["reservationId"] == 11


async def test_remote_start_of_a_reserved_connector() -> None:
    async with station_world() as world:
        await world.ready()
        await reserve(world, 11)
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="B") == "Rejected"
        await world.charge(1, "A")
        assert world.sent("StartTransaction")[0]["reservationId"] == 11


async def test_reservation_outlives_a_reset() -> None:
    async with station_world() as world:
        await world.ready()
        await reserve(world, 11, seconds=3600)
        await world.status_of("Reset", type="Hard")
        await world.wait_for("BootNotification", 2)
        await world.settle()
        assert world.statuses(1)[-1] == "Reserved"


@pytest.mark.parametrize(("parent", "starts"), [("P", True), ("Q", False), (None, False)])
async def test_remote_start_by_a_tag_whose_group_is_not_known_here(parent: str | None, starts: bool) -> None:
    async with station_world(keys={"AuthorizeRemoteTxRequests": "true"}) as world:
        await world.ready()
        info = {"status": "Accepted", **({} if parent is None else {"parentIdTag": parent})}
        world.central.on("Authorize", {"idTagInfo": info})
        await reserve(world, 11, parentIdTag="P")
        assert await world.status_of("RemoteStartTransaction", connectorId=1, idTag="B") == "Accepted"
        await world.settle()
        assert [start.get("reservationId") for start in world.sent("StartTransaction")] == ([11] if starts else [])
        assert world.statuses(1)[-1] == ("Charging" if starts else "Reserved")
