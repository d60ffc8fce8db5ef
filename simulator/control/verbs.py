"""What a client may do to a station besides sending messages; what it refuses is a failure with its reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from simulator.control.fanout import Failed
from simulator.energy.vehicle import ANY_ARRIVAL, Arrival
from simulator.ocpp.v16.enums import ChargePointErrorCode
from simulator.station.connector import Connector
from simulator.station.presence import Presence, VerbRefused
from simulator.station.station import ChargingStation


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


@contextmanager
def _by_hand(station: ChargingStation) -> Iterator[Presence]:
    """The people at a station that runs."""
    must_run(station)
    try:
        yield station.presence
    except VerbRefused as refused:
        raise Failed(str(refused)) from None


async def plug_in(station: ChargingStation, connector_id: int, arrival: Arrival = ANY_ARRIVAL) -> None:
    """A vehicle plugs in."""
    with _by_hand(station) as presence:
        presence.plug_in(connector_id, arrival)


async def unplug(station: ChargingStation, connector_id: int) -> None:
    """The vehicle leaves."""
    with _by_hand(station) as presence:
        presence.unplug(connector_id)


async def present_id_tag(station: ChargingStation, id_tag: str, connector_id: int | None) -> None:
    """A tag is held to the reader; returns once the station knows whether it is good."""
    with _by_hand(station) as presence:
        await presence.present_id_tag(connector_id, id_tag)


async def raise_error(
    station: ChargingStation, connector_id: int, error_code: ChargePointErrorCode, info: str | None
) -> None:
    """A fault occurs."""
    with _by_hand(station) as presence:
        presence.raise_error(connector_id, error_code, info=info)


async def clear_error(station: ChargingStation, connector_id: int) -> None:
    """The fault is gone."""
    with _by_hand(station) as presence:
        presence.clear_error(connector_id)


async def power_cycle(station: ChargingStation) -> None:
    """The station loses power without a warning, and comes back."""
    must_run(station)
    if station.reset_under_way:
        raise Failed("a reset is under way")
    station.power_cycle(warned=False)


async def lock(station: ChargingStation, connector_id: int) -> None:
    """Shut the lock of the cable."""
    _set_lock(station, connector_id, locked=True)


async def unlock(station: ChargingStation, connector_id: int) -> None:
    """Open the lock of the cable; while a transaction runs it stays shut."""
    connector = connector_of(station, connector_id)
    if connector.transaction is not None:
        raise Failed(f"a transaction runs on connector {connector_id}, which keeps the cable locked")
    if connector.holds_cable:  # its vehicle has gone: with the lock open the cable is taken out as well
        station.presence.leave(connector)
    _set_lock(station, connector_id, locked=False)


def _set_lock(station: ChargingStation, connector_id: int, *, locked: bool) -> None:
    must_run(station)
    connector_of(station, connector_id).locked = locked
    station.changed()


async def supervise(station: ChargingStation, url: str, user: str | None, password: str | None) -> None:
    """Move to another central system: the open connection is closed, the new one opened at once."""
    if (user is None) != (password is None):
        raise Failed("supervisionUser and supervisionPassword go together")
    station.supervise(url, user, password)
