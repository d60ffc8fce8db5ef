"""What people do to a station with their hands: plug in, hold a tag to the reader, break something.

A station that has the verb of its own carries it out; :data:`STATION_VERBS` are their names. It may be a plain method
or a coroutine, and refuses with ValueError, whose text the client gets. For some there is a simple form here.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from simulator.control.fanout import Failed
from simulator.ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus, Reason
from simulator.station.connector import Connector
from simulator.station.station import ChargingStation

#: Methods of a charging station that are used where they exist.
STATION_VERBS = (
    "plug_in",
    "unplug",
    "present_id_tag",
    "raise_error",
    "clear_error",
    "power_cycle",
    "lock",
    "unlock",
    "set_supervision_url",
)


def connector_of(station: ChargingStation, connector_id: int, *, with_station: bool = False) -> Connector:
    """The connector of that number. :raises Failed: there is none.

    :param with_station: whether 0, the station itself, counts as one.
    """
    connector = station.connectors.get(connector_id)
    if connector is None or (connector_id == 0 and not with_station):
        numbers = ", ".join(str(number) for number in station.connectors if number > 0 or with_station)
        raise Failed(f"connector {connector_id} does not exist; there are {numbers}")
    return connector


def must_run(station: ChargingStation) -> None:
    """:raises Failed: the station is off."""
    if not station.started:
        raise Failed("the station is not started")
    if station.stopping:
        raise Failed("the station is being stopped")


async def plug_in(station: ChargingStation, connector_id: int) -> None:
    """A vehicle plugs in."""
    must_run(station)
    connector = connector_of(station, connector_id)
    status = connector.status
    if connector.transaction is not None or status is ChargePointStatus.PREPARING:
        raise Failed(f"connector {connector_id} is {status}: there is a vehicle already")
    if await _own(station, "plug_in", connector_id):
        return
    station.sessions.vehicle_arrives(connector)
    if connector.status is not ChargePointStatus.PREPARING:
        raise Failed(f"connector {connector_id} is {connector.status}: no vehicle can plug in")


async def unplug(station: ChargingStation, connector_id: int) -> None:
    """The vehicle leaves; a running transaction ends."""
    must_run(station)
    connector = connector_of(station, connector_id)
    if await _own(station, "unplug", connector_id):
        return
    if connector.transaction is not None:
        station.sessions.end(connector.transaction, Reason.EV_DISCONNECTED)
    elif not connector.in_use:
        raise Failed(f"connector {connector_id} is {connector.status}: there is no vehicle")
    station.sessions.vehicle_leaves(connector)


async def present_id_tag(station: ChargingStation, id_tag: str, connector_id: int | None) -> None:
    """A tag is held to the reader: begins a transaction where a vehicle waits, or ends the one of that tag."""
    must_run(station)
    if connector_id is not None:
        connector_of(station, connector_id)
    if await _own(station, "present_id_tag", id_tag, connector_id):
        return
    mine = [
        transaction
        for transaction in station.sessions.running()
        if transaction.id_tag.casefold() == id_tag.casefold() and connector_id in (None, transaction.connector.id)
    ]
    if mine:
        station.sessions.end(mine[0], Reason.LOCAL, id_tag)
        return
    waiting = [
        connector
        for connector in station.connectors.values()
        if connector.id > 0 and connector_id in (None, connector.id) and connector.status is ChargePointStatus.PREPARING
    ]
    usable = [connector for connector in waiting if connector.usable]
    if not usable or not station.in_service:
        raise Failed("no vehicle waits for a tag: plugIn comes first")
    decision = await station.authorization.authorize(id_tag)
    if not decision.accepted:
        raise Failed(f"the tag is not accepted: {decision.reason}")
    if not usable[0].usable:
        raise Failed("the connector was taken meanwhile")
    station.sessions.begin(usable[0], id_tag)


async def raise_error(
    station: ChargingStation, connector_id: int, error_code: ChargePointErrorCode, info: str | None
) -> None:
    """A fault occurs; a transaction there ends."""
    must_run(station)
    connector = connector_of(station, connector_id, with_station=True)
    if error_code is ChargePointErrorCode.NO_ERROR:
        raise Failed("NoError is no fault: clearError ends one")
    if await _own(station, "raise_error", connector_id, error_code, info):
        return
    affected = station.sessions.running() if connector_id == 0 else [connector.transaction]
    for transaction in affected:
        if transaction is not None:
            station.sessions.end(transaction, Reason.OTHER)
    connector.move(ChargePointStatus.FAULTED, error_code=error_code, info=info)


async def clear_error(station: ChargingStation, connector_id: int) -> None:
    """The fault is gone."""
    must_run(station)
    connector = connector_of(station, connector_id, with_station=True)
    if connector.status is not ChargePointStatus.FAULTED:
        raise Failed(f"connector {connector_id} is {connector.status}: there is no fault")
    if not await _own(station, "clear_error", connector_id):
        connector.move(connector.at_rest)


async def power_cycle(station: ChargingStation) -> None:
    """The station loses power and comes back."""
    must_run(station)
    if station.reset_under_way:
        raise Failed("a reset is under way")
    if not await _own(station, "power_cycle"):
        station.reset(Reason.POWER_LOSS)


async def lock(station: ChargingStation, connector_id: int) -> None:
    """Lock the cable."""
    await _set_lock(station, connector_id, "lock", locked=True)


async def unlock(station: ChargingStation, connector_id: int) -> None:
    """Release the cable."""
    await _set_lock(station, connector_id, "unlock", locked=False)


async def _set_lock(station: ChargingStation, connector_id: int, verb: str, *, locked: bool) -> None:
    connector: Any = connector_of(station, connector_id)
    if await _own(station, verb, connector_id):
        return
    if not hasattr(connector, "locked"):
        raise Failed("the connectors of this station have no lock")
    connector.locked = locked
    station.changed()


async def set_supervision_url(station: ChargingStation, url: str, user: str | None, password: str | None) -> None:
    """Move to another central system; an open connection is closed, and the new one opened at once."""
    if await _own(station, "set_supervision_url", url, user, password):
        return
    template = station.info.template
    if not template.supervision_url_ocpp_configuration or user is not None or password is not None:
        raise Failed("the central system of this station cannot be changed while it exists")
    station.keys.set(template.supervision_url_ocpp_key, url)
    if station.started and not station.line.held():
        station.line.close(hold=False)
        station.line.open()


async def _own(station: ChargingStation, verb: str, *arguments: Any) -> bool:
    """Whether the station has the verb of its own and has carried it out."""
    act: Callable[..., Any] | None = getattr(station, verb, None)
    if act is None:
        return False
    try:
        done = act(*arguments)
        if isawaitable(done):
            await done
    except ValueError as error:
        raise Failed(str(error)) from None
    return True
