"""What people do to a station with their hands: plug in, hold a tag to the reader, break something."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from simulator.control.fanout import Failed
from simulator.ocpp.v16.enums import ChargePointErrorCode
from simulator.station.connector import Connector
from simulator.station.presence import VerbRefused
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
def _told() -> Iterator[None]:
    try:
        yield
    except VerbRefused as refusal:
        raise Failed(str(refusal)) from None


async def plug_in(station: ChargingStation, connector_id: int) -> None:
    """A vehicle plugs in."""
    must_run(station)
    with _told():
        station.presence.plug_in(connector_id)


async def unplug(station: ChargingStation, connector_id: int) -> None:
    """The vehicle unplugs."""
    must_run(station)
    with _told():
        station.presence.unplug(connector_id)


async def present_id_tag(station: ChargingStation, id_tag: str, connector_id: int | None) -> None:
    """A tag is held to the reader."""
    must_run(station)
    with _told():
        await station.presence.present_id_tag(connector_id, id_tag)


async def raise_error(
    station: ChargingStation, connector_id: int, error_code: ChargePointErrorCode, info: str | None
) -> None:
    """A fault occurs; a transaction there ends."""
    must_run(station)
    with _told():
        station.presence.raise_error(connector_id, error_code, info=info)


async def clear_error(station: ChargingStation, connector_id: int) -> None:
    """The fault is gone."""
    must_run(station)
    with _told():
        station.presence.clear_error(connector_id)


async def power_cycle(station: ChargingStation) -> None:
    """The station loses power and comes back."""
    must_run(station)
    if station.reset_under_way:
        raise Failed("a reset is under way")
    station.power_cycle()


async def lock(station: ChargingStation, connector_id: int) -> None:
    """Lock the cable."""
    _set_lock(station, connector_id, locked=True)


async def unlock(station: ChargingStation, connector_id: int) -> None:
    """Release the cable."""
    _set_lock(station, connector_id, locked=False)


def _set_lock(station: ChargingStation, connector_id: int, *, locked: bool) -> None:
    must_run(station)
    connector = connector_of(station, connector_id)
    if station.info.template.fixed_cable:
        raise Failed("the cable of this station is fixed: it has no lock")
    connector.locked = locked
    station.changed()


async def set_supervision_url(station: ChargingStation, url: str, user: str | None, password: str | None) -> None:
    """Move to another central system; an open connection is closed, and the new one opened at once."""
    station.supervise(url, user, password)
