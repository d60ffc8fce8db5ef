"""Who acts on which OCPP key: one table for all stations, where a list for each would take it more than a kilobyte."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from simulator.station.meter_signing import KEY_POLICIES, known_method

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation


class Keeper(NamedTuple):
    """Looks after what the central system writes into a key.

    ``allows``: asked for each value that is right by itself; False refuses it. ``written``: called with the former
    and the present value after each one taken, also when it is the same again.
    """

    allows: Callable[[ChargingStation, str], bool] = lambda station, value: True
    written: Callable[[ChargingStation, str, str], object] = lambda station, former, value: None


def _heartbeat_interval(station: ChargingStation) -> None:
    station.registration.heartbeat_interval_changed()


def _ping_interval(station: ChargingStation) -> None:
    station.registration.ping_interval_changed()


def _sample_interval(station: ChargingStation) -> None:
    station.sampling.interval_changed()


def _aligned_interval(station: ChargingStation) -> None:
    station.sampling.align()


def _connection_time_out(station: ChargingStation) -> None:
    station.presence.time_out_changed()


#: What follows a change of a key's value, by the key's name in lower case.
_CHANGED: Mapping[str, Callable[[ChargingStation], None]] = {
    "heartbeatinterval": _heartbeat_interval,
    "websocketpinginterval": _ping_interval,
    "metervaluesampleinterval": _sample_interval,
    "clockaligneddatainterval": _aligned_interval,
    "connectiontimeout": _connection_time_out,
}


def _authorization_key_written(station: ChargingStation, former: str, value: str) -> None:
    station.security.key_written(former)


def _profile_allowed(station: ChargingStation, value: str) -> bool:
    return station.security.allows_profile(value)


def _profile_written(station: ChargingStation, former: str, value: str) -> None:
    station.security.profile_written(former, value)


def _method_allowed(station: ChargingStation, value: str) -> bool:
    return known_method(value)


def _method_written(station: ChargingStation, former: str, value: str) -> None:
    station.meter_signing.new_method()


def _policy_allowed(station: ChargingStation, value: str) -> bool:
    return value in KEY_POLICIES


#: Who looks after what the central system writes into a key.
_KEEPERS: Mapping[str, Keeper] = {
    "authorizationkey": Keeper(written=_authorization_key_written),
    "securityprofile": Keeper(allows=_profile_allowed, written=_profile_written),
    "signingmethod": Keeper(allows=_method_allowed, written=_method_written),
    "publickeywithsignedmetervalue": Keeper(allows=_policy_allowed),
}


class KeyActions:
    """What the keys of a station tell, and whom they ask: an :class:`~simulator.station.keys.KeyOwner`."""

    __slots__ = ("_station",)

    def __init__(self, station: ChargingStation) -> None:
        self._station = station

    def changed(self, lowered: str, value: str, within: float) -> None:
        """See :class:`~simulator.station.keys.KeyOwner`."""
        station = self._station
        if (act := _CHANGED.get(lowered)) is not None:
            act(station)
        limit = station.info.template.amperage_limitation_ocpp_key
        if limit and limit.lower() == lowered:
            station.supply.review()
        station.remember(within)

    def allows(self, lowered: str, value: str) -> bool:
        """See :class:`~simulator.station.keys.KeyOwner`."""
        keeper = _KEEPERS.get(lowered)
        return keeper is None or keeper.allows(self._station, value)

    def written(self, lowered: str, former: str, value: str) -> None:
        """See :class:`~simulator.station.keys.KeyOwner`."""
        if (keeper := _KEEPERS.get(lowered)) is not None:
            keeper.written(self._station, former, value)
