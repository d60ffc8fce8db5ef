"""Which parts of a station are kept from process to process, besides its keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from simulator.energy.meter import ConnectorMeter, MeterState
from simulator.ocpp.v16.enums import AvailabilityType
from simulator.station.memory import INFO, Part, Remembers, StationStore, Switch
from simulator.station.reservations import Reservation
from simulator.templates.info import StationInfo
from simulator.templates.model import StationTemplate

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation


def parts_of(station: ChargingStation) -> Iterator[tuple[Remembers, Switch]]:
    """The parts, each with its switch."""
    known, limits, generator = station.authorization, station.limits, station.generator
    yield station.keys, Switch.OCPP
    yield Part(INFO, lambda: station_info(station.info), lambda _: None), Switch.STATION
    yield _registers(station), Switch.STATION
    yield _availability(station), Switch.OCPP
    yield _former_availability(station), Switch.OCPP
    if station.memory.foreign:
        yield _their_availability(station), Switch.OCPP
    yield Part("localList", known.local_list.to_memory, known.local_list.from_memory), Switch.OCPP
    yield Part("authorizationCache", known.cache.to_memory, known.cache.from_memory), Switch.OCPP
    yield _reservations(station), Switch.OCPP
    yield Part("chargingProfiles", limits.to_memory, limits.from_memory), Switch.OCPP
    signing = station.meter_signing
    yield Part("signedPages", signing.to_memory, signing.from_memory), Switch.STATION
    yield Part("firmware", station.firmware.to_memory, station.firmware.from_memory), Switch.STATION
    yield Part("upload", station.uploads.to_memory, station.uploads.from_memory), Switch.STATION
    yield Part("reports", station.notices.to_memory, station.notices.from_memory), Switch.STATION
    yield Part("security", station.security.to_memory, station.security.from_memory), Switch.STATION
    yield Part("generator", generator.to_memory, generator.from_memory), Switch.GENERATOR


def station_info(info: StationInfo) -> dict[str, Any]:
    """Who the station is, with the names of the e-mobility charging stations simulator; no member is a secret."""
    template = info.template
    facts = {
        "hashId": info.hash_id,
        "chargingStationId": info.station_id,
        "templateName": info.template_name,
        "templateIndex": info.template_index,
        "templateHash": info.template_hash,
        "chargePointVendor": template.charge_point_vendor,
        "chargePointModel": template.charge_point_model,
        "chargePointSerialNumber": info.charge_point_serial_number,
        "chargeBoxSerialNumber": info.charge_box_serial_number,
        "meterSerialNumber": info.meter_serial_number,
        "numberOfConnectors": info.number_of_connectors,
        "maximumPower": info.maximum_power,
        "maximumAmperage": info.maximum_amperage,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _registers(station: ChargingStation) -> Part:
    """What the meters have counted in all their life; what they count per transaction begins anew."""

    def to_memory() -> Any:
        states = {
            str(connector.id): msgspec.to_builtins(connector.meter.state)
            for connector in station.connectors.values()
            if connector.meter is not None and connector.meter.lifetime_wh > 0
        }
        return states or None

    def from_memory(kept: Any) -> None:
        for connector_id, state in msgspec.convert(kept, dict[str, MeterState]).items():
            connector = station.connectors.get(int(connector_id))
            if connector is not None and connector.meter is not None:
                lifetime = MeterState(state.lifetime_wh, lifetime_others=state.lifetime_others)
                connector.meter = ConnectorMeter(connector.meter.plan, lifetime)

    return Part("registers", to_memory, from_memory)


def _availability(station: ChargingStation) -> Part:
    """What ChangeAvailability has set otherwise than Operative, by connector; 0: the station (OCPP 1.6 §5.2)."""

    def to_memory() -> Any:
        connectors = station.connectors.values()
        return {str(connector.id): "Inoperative" for connector in connectors if not connector.operative} or None

    def from_memory(kept: Any) -> None:
        for connector_id, availability in msgspec.convert(kept, dict[str, AvailabilityType]).items():
            connector = station.connectors.get(int(connector_id))
            if connector is not None:
                connector.operative = availability is AvailabilityType.OPERATIVE

    return Part("availability", to_memory, from_memory)


def _former_availability(station: ChargingStation) -> Part:
    """The same as earlier files have it: one list, in which an Inoperative station had all its connectors as well."""

    def from_memory(kept: Any) -> None:
        found = msgspec.convert(kept, list[int])
        for connector_id in [0] if 0 in found and 0 in station.connectors else found:
            if connector_id in station.connectors:
                station.connectors[connector_id].operative = False

    return Part("inoperative", lambda: None, from_memory)


def _their_availability(station: ChargingStation) -> Part:
    """The same as the e-mobility charging stations simulator has it: pairs of a connector and its facts."""

    def from_memory(kept: Any) -> None:
        for connector_id, facts in msgspec.convert(kept, list[tuple[int, dict[str, Any]]], strict=False):
            connector = station.connectors.get(connector_id)
            if connector is not None and facts.get("availability") == AvailabilityType.INOPERATIVE:
                connector.operative = False

    return Part("connectorsStatus", lambda: None, from_memory)


def _reservations(station: ChargingStation) -> Part:
    """The reservations that have not expired (OCPP 1.6 §5.13)."""

    def to_memory() -> Any:
        return [msgspec.to_builtins(reservation) for reservation in station.reservations] or None

    def from_memory(kept: Any) -> None:
        station.reservations.restore(msgspec.convert(kept, list[Reservation]))

    return Part("reservations", to_memory, from_memory)


def kept_info(store: StationStore, template: StationTemplate, hash_id: str) -> Mapping[str, Any]:
    """What an earlier run has drawn for a station that is about to be made; empty where the template keeps nothing."""
    info = store.recall(hash_id).get(INFO) if template.station_info_persistent_configuration else None
    return info if isinstance(info, Mapping) else {}
