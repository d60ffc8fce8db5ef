"""Charging profiles in force: the store of the station, and what it lets each connector deliver (OCPP 1.6 §3.13)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from simulator.energy.charging_profiles import (
    ChargingProfile,
    ProfileCapabilities,
    ProfileStore,
    Purpose,
    RateUnit,
    reason_to_refuse,
)
from simulator.energy.charging_schedule import (
    CompositeSchedule,
    Rate,
    Situation,
    composite_schedule,
    next_change,
    rate_at,
    station_schedule,
)
from simulator.station.metering import own_limit

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation

#: ChargingScheduleAllowedChargingRateUnit names quantities, the messages their units (OCPP 1.6 §9.4.2).
UNITS: Mapping[str, RateUnit] = {"current": RateUnit.AMPERE, "power": RateUnit.WATT}


class ChargingLimits:
    """The charging profiles of one station; they outlive a reset."""

    __slots__ = ("_station", "store")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self.store = ProfileStore()

    # -- changing ----------------------------------------------------------------------------------------------------

    def reason_to_refuse(
        self, profile: ChargingProfile, connector_id: int, *, remote_start: bool = False
    ) -> str | None:
        """Why the station cannot take a profile; None if it can."""
        connector = self._station.connectors.get(connector_id)
        transaction = None if connector is None else connector.transaction
        return reason_to_refuse(
            profile,
            connector_id,
            self.store,
            connectors=self._station.info.number_of_connectors,
            capabilities=self.capabilities,
            in_transaction=transaction is not None,
            transaction_id=None if transaction is None else transaction.id,
            remote_start=remote_start,
        )

    @property
    def capabilities(self) -> ProfileCapabilities:
        """What the station can store, by its keys."""
        keys = self._station.keys
        return ProfileCapabilities(
            maximum_stack_level=keys.number("ChargeProfileMaxStackLevel", 10),
            units=self.units,
            maximum_periods=keys.number("ChargingScheduleMaxPeriods", 100),
            maximum_installed=keys.number("MaxChargingProfilesInstalled", 30),
        )

    @property
    def units(self) -> frozenset[RateUnit]:
        """The units that the station takes."""
        named = self._station.keys.items("ChargingScheduleAllowedChargingRateUnit")
        return frozenset(UNITS[name.lower()] for name in named if name.lower() in UNITS)

    def install(self, profile: ChargingProfile, connector_id: int) -> None:
        """Store an accepted profile; it acts at once."""
        self._become(self.store.with_profile(connector_id, profile))

    def clear(self, **filters: Any) -> int:
        """Remove profiles by the filters of ClearChargingProfile; returns how many."""
        store, removed = self.store.cleared(**filters)
        if removed:
            self._become(store)
        return len(removed)

    def transaction_ended(self, connector: Connector) -> None:
        """A transaction takes its TxProfiles with it."""
        store = self.store.without_transaction(connector.id)
        if store is not self.store:
            self._become(store)
        else:
            self._station.supply.review()

    def _become(self, store: ProfileStore) -> None:
        self.store = store
        self._station.remember()
        self._station.supply.review()

    # -- acting ------------------------------------------------------------------------------------------------------

    def rate_for(self, connector: Connector) -> Rate | None:
        """What the profiles allow a connector now; None: they do not limit it."""
        if not self.store.installed:
            return None
        return rate_at(self.store, connector.id, self._station.now(), self._situation(connector))

    def next_change_in(self) -> float | None:
        """Seconds until the limit of a transaction may change by itself; None: it does not."""
        if not self.store.installed:
            return None
        now = self._station.now()
        changes = [
            next_change(self.store, transaction.connector.id, now, self._situation(transaction.connector))
            for transaction in self._station.sessions.running()
        ]
        soonest = min((change for change in changes if change is not None), default=None)
        return None if soonest is None else max(0.0, soonest - now)

    def _situation(self, connector: Connector) -> Situation:
        transaction = connector.transaction
        return Situation(
            circuit=self._station.info.circuit,
            charging_since=None if transaction is None else self._station.own_time(transaction.started_virtual),
            share=len(self._station.sessions.running()),
            fall_back=self._station.info.template.tx_profile_fall_back,
        )

    # -- telling -----------------------------------------------------------------------------------------------------

    def composite(self, connector_id: int, duration: int, unit: RateUnit) -> CompositeSchedule:
        """The answer to GetCompositeSchedule; connector 0 is the station as a whole."""
        station = self._station
        # At whole seconds no edge of a profile falls between two seconds of the answer.
        now = float(int(station.now()))
        circuit = station.info.circuit
        if connector_id > 0:
            connector = station.connectors[connector_id]
            return composite_schedule(
                self.store,
                connector_id,
                now=now,
                duration=duration,
                unit=unit,
                local_limit=own_limit(station, connector),
                situation=self._situation(connector),
            )
        connectors = [connector for connector in station.connectors.values() if connector.id > 0]
        return station_schedule(
            self.store,
            now=now,
            duration=duration,
            unit=unit,
            station_limit=station.info.maximum_power,
            local_limits={connector.id: own_limit(station, connector) for connector in connectors},
            situations={connector.id: self._situation(connector) for connector in connectors if connector.transaction},
            circuit=circuit,
        )

    # -- memory ------------------------------------------------------------------------------------------------------

    def to_memory(self) -> Any:
        """What to keep over a restart; None while there is nothing."""
        return msgspec.to_builtins(self.store) if self.store.installed else None

    def from_memory(self, kept: Any) -> None:
        """Take what was kept; TxProfiles have gone with their transactions."""
        store = msgspec.convert(kept, ProfileStore)
        self.store = ProfileStore(tuple(e for e in store.installed if e.profile.purpose is not Purpose.TX))
