"""A station with two connectors and detachable cables whose vehicles and people do only what a test says.

It connects to the central system over TCP, by the transport that the program takes by default.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from simulator.station.presence import VerbRefused
from simulator.timestamps import parse_timestamp
from tests.station.harness import World, station_world

ENERGY = "Energy.Active.Import.Register"


def bench(
    *, keys: Mapping[str, Any] | None = None, template: Mapping[str, Any] | None = None, **options: Any
) -> AbstractAsyncContextManager[World]:
    """The station and the central system that watches it. No readings while charging unless ``keys`` say so."""
    return station_world(
        keys={"MeterValueSampleInterval": 0, **(keys or {})},
        template={"automaticVehicle": False, **(template or {})},
        sockets=True,
        **options,
    )


async def plug(world: World, connector_id: int = 1) -> None:
    """A vehicle is plugged in."""
    world.station.presence.plug_in(connector_id)
    await world.settle()


async def unplug(world: World, connector_id: int = 1) -> None:
    """It is unplugged, at its own side while a transaction runs."""
    world.station.presence.unplug(connector_id)
    await world.settle()


async def swipe(world: World, id_tag: str, connector_id: int = 1) -> None:
    """A tag is presented; what the display says to it is not looked at."""
    with suppress(VerbRefused):
        await world.station.presence.present_id_tag(connector_id, id_tag)
    await world.settle()


async def charge(world: World, id_tag: str = "A", connector_id: int = 1) -> int:
    """A vehicle is plugged in and a tag presented; returns the id of the transaction that begins."""
    await plug(world, connector_id)
    await swipe(world, id_tag, connector_id)
    return world.transactions()[-1].transaction_id


async def remote_start(world: World, id_tag: str = "A", connector_id: int | None = 1, **more: Any) -> str:
    """RemoteStartTransaction; returns its status, once what follows has happened."""
    where: dict[str, Any] = {} if connector_id is None else {"connectorId": connector_id}
    status = await world.status_of("RemoteStartTransaction", idTag=id_tag, **where, **more)
    await world.settle()
    return status


async def remote_stop(world: World, transaction_id: int) -> str:
    """RemoteStopTransaction; returns its status, once what follows has happened."""
    status = await world.status_of("RemoteStopTransaction", transactionId=transaction_id)
    await world.settle()
    return status


async def availability(world: World, connector_id: int, kind: str) -> str:
    """ChangeAvailability; returns its status, once what follows has happened."""
    status = await world.status_of("ChangeAvailability", connectorId=connector_id, type=kind)
    await world.settle()
    return status


async def reset(world: World, kind: str) -> None:
    """Reset, accepted; returns once the station has booted and told its statuses."""
    boots = len(world.sent("BootNotification"))
    assert await world.status_of("Reset", type=kind) == "Accepted"
    await booted(world, boots + 1)


async def booted(world: World, count: int) -> None:
    """Wait until the station has booted so often, and told its statuses."""
    await world.wait_for("BootNotification", count)
    await world.settle()


async def unlock(world: World, connector_id: int) -> str:
    """UnlockConnector; returns its status, once what follows has happened."""
    status = await world.status_of("UnlockConnector", connectorId=connector_id)
    await world.settle()
    return status


def refused_starts(transaction_id: int = 7, status: str = "Invalid") -> dict[str, Any]:
    """An answer to StartTransaction that does not accept the tag."""
    return {"transactionId": transaction_id, "idTagInfo": {"status": status}}


def readings(payload: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All sampled values of a MeterValues."""
    return [sample for value in payload["meterValue"] for sample in value["sampledValue"]]


def instant(payload: Mapping[str, Any]) -> float:
    """POSIX seconds that a MeterValues names."""
    return parse_timestamp(payload["meterValue"][0]["timestamp"])[0]


def last_status(world: World, connector_id: int = 1) -> dict[str, Any]:
    """The last StatusNotification of a connector."""
    return [sent for sent in world.sent("StatusNotification") if sent["connectorId"] == connector_id][-1]
