"""One station as clients see it, at this moment."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from typing import Any, cast

import msgspec

from simulator.config.urls import show_url
from simulator.control.registry.profiles import profile_members
from simulator.control.registry.static import StaticParts, own_members
from simulator.station.connector import Connector
from simulator.station.generator import GeneratorStatus
from simulator.station.station import ChargingStation
from simulator.telemetry.redaction import is_secret_name
from simulator.timestamps import format_timestamp
from simulator.transport.connection import OpenFailed
from ui_protocol.stations import (
    BootAnswer,
    ChargingStationData,
    ConnectorEntry,
    ConnectorStatus,
    GeneratorCounters,
    GeneratorEntry,
    GeneratorState,
    OcppConfiguration,
    OcppKey,
    ReservationData,
)

_CONNECTOR_MEMBERS = {field.encode_name: field.name for field in msgspec.structs.fields(ConnectorEntry)}


class Fields:
    """Which members of a station a client wants; ``None`` is all of them."""

    def __init__(self, names: Collection[str] | None) -> None:
        self.all = names is None
        self.members = frozenset(name.partition(".")[0] for name in names or ())
        #: Members of ``stationInfo`` alone; empty where all of them are wanted.
        self.of_info = (
            frozenset()
            if names is None or "stationInfo" in names
            else frozenset(name.partition(".")[2] for name in names if name.startswith("stationInfo."))
        )
        self.whole_info = names is None or "stationInfo" in names
        #: Members of each connector by the name that they are sent under; None where all of them are wanted.
        self.of_connectors: Mapping[str, str] | None = None
        if names is not None and "connectors" not in names:
            wanted = {name.removeprefix("connectors.") for name in names if name.startswith("connectors.")}
            self.of_connectors = {sent: member for sent, member in _CONNECTOR_MEMBERS.items() if sent in wanted}

    def wants(self, member: str) -> bool:
        """Whether a member is wanted."""
        return self.all or member in self.members


class Snapshots:
    """Makes pictures of stations; nothing in them is a secret."""

    def __init__(self) -> None:
        self._static = StaticParts()

    def station(self, station: ChargingStation, fields: Fields) -> ChargingStationData:
        """The picture of one station: some 50 µs for all of it."""
        wants = fields.wants
        line = station.line
        return ChargingStationData(
            station_info=self._info(station, fields),
            started=station.started if wants("started") else None,
            stopping=station.stopping if wants("stopping") and station.started else None,
            ws_state=cast("Any", line.state) if wants("wsState") else None,
            supervision_url=_supervision_url(station) if wants("supervisionUrl") else None,
            timestamp=round(time.time() * 1000) if wants("timestamp") else None,
            boot_notification_response=_boot_answer(station) if wants("bootNotificationResponse") else None,
            queued_messages=station.lane.queued_transaction_messages if wants("queuedMessages") else None,
            ocpp_configuration=_ocpp_configuration(station) if wants("ocppConfiguration") else None,
            connectors=self._connectors(station, fields) if wants("connectors") else None,
            evses=[] if wants("evses") else None,
            automatic_transaction_generator=self._generator(station)
            if wants("automaticTransactionGenerator")
            else None,
        )

    def _info(self, station: ChargingStation, fields: Fields) -> dict[str, Any]:
        info = station.info
        if fields.whole_info:
            # The encoder takes what is encoded already in the place of the dict that the type promises.
            return cast("dict[str, Any]", self._static.station_info(info))
        if not fields.of_info:
            return {"hashId": info.hash_id}
        known = own_members(info)
        if not fields.of_info <= known.keys():
            known = msgspec.json.decode(self._static.station_info(info))
        return {"hashId": info.hash_id, **{name: known[name] for name in fields.of_info if name in known}}

    def _connectors(self, station: ChargingStation, fields: Fields) -> list[ConnectorEntry]:
        entries = [self._connector(station, connector) for connector in station.connectors.values()]
        if fields.of_connectors is None:
            return entries
        few = [
            {
                "connectorId": entry.connector_id,
                **{
                    sent: value
                    for sent, member in fields.of_connectors.items()
                    if (value := getattr(entry, member)) is not None
                },
            }
            for entry in entries
        ]
        # Encoded as they are, in the place of the structs that the type promises.
        return cast("list[ConnectorEntry]", few)

    def _connector(self, station: ChargingStation, connector: Connector) -> ConnectorEntry:
        transaction = connector.transaction
        members: dict[str, Any] = {
            "availability": "Operative" if connector.operative else "Inoperative",
            "boot_status": connector.template.boot_status,
            "status": str(connector.status),
            "error_code": str(connector.error_code),
            "meter_values": self._static.meter_values(connector.template),
            "charging_profiles": [
                profile_members(installed.profile)
                for installed in station.limits.store.installed
                if installed.connector_id == connector.id
            ],
        }
        if station.reservations and (reservation := station.reservations.on(connector)) is not None:
            members["reservation"] = ReservationData(
                reservation_id=reservation.id,
                connector_id=reservation.connector_id,
                expiry_date=format_timestamp(reservation.expiry),
                id_tag=reservation.id_tag,
                parent_id_tag=reservation.parent_id_tag,
            )
        if connector.id > 0:
            members["locked"] = connector.locked
            members["plugged"] = connector.plugged
            members["maximum_power"] = connector.template.maximum_power
            running = transaction is not None
            members["transaction_started"] = running and transaction is not None and transaction.id is not None
            members["transaction_pending"] = running and transaction is not None and transaction.id is None
            members["transaction_remote_started"] = transaction is not None and transaction.remote
            members["id_tag_authorized"] = transaction is not None and not transaction.deauthorized
            members["id_tag_local_authorized"] = False
            if transaction is not None:
                members["transaction_id"] = transaction.id
                members["transaction_id_tag"] = transaction.id_tag
                members["transaction_start"] = format_timestamp(transaction.started_at)
            meter = connector.meter
            if meter is not None:
                now = meter.present(station.supply.unsettled_s if running else 0.0)
                members["energy_active_import_register_value"] = round(now.lifetime_wh, 3)
                members["transaction_energy_active_import_register_value"] = round(now.transaction_wh, 3)
                members["power"] = round(now.power_w, 3) if running else 0.0
                members["soc"] = round(now.soc, 3) if running and now.soc is not None else None
        status = ConnectorStatus(**members)
        return ConnectorEntry(connector_id=connector.id, evse_id=connector.id, connector_status=status, **members)

    def _generator(self, station: ChargingStation) -> GeneratorState | None:
        generator = station.generator
        if station.info.template.automatic_transaction_generator is None and not generator.statuses:
            return None
        statuses = [
            _generator_entry(number, generator.statuses.get(number)) for number in station.connectors if number > 0
        ]
        return GeneratorState(
            automatic_transaction_generator=cast("dict[str, Any]", self._static.generator(generator.settings)),
            automatic_transaction_generator_statuses=statuses,
        )


def _supervision_url(station: ChargingStation) -> str:
    try:
        return show_url(station.line.url)
    except OpenFailed:  # the vendor key that holds it may hold anything
        return show_url(station.supervision_url)


def _boot_answer(station: ChargingStation) -> BootAnswer | None:
    answer = station.registration.answer
    if answer is None:
        return None
    return BootAnswer(status=str(answer.status), current_time=answer.current_time, interval=answer.interval)


def _ocpp_configuration(station: ChargingStation) -> OcppConfiguration:
    return OcppConfiguration(
        configuration_key=[
            OcppKey(
                key=key.name,
                readonly=key.read_only,
                value=None if key.value is None or is_secret_name(key.name) else show_url(key.value),
                visible=key.visible,
                reboot=key.reboot,
            )
            for key in station.keys.all()
        ]
    )


def _generator_entry(connector_id: int, status: GeneratorStatus | None) -> GeneratorEntry:
    if status is None:
        members: dict[str, Any] = {"start": False}
    else:
        members = msgspec.structs.asdict(status)
        for name in ("start_date", "last_run_date", "stop_date", "stopped_date"):
            if members[name] is not None:
                members[name] = format_timestamp(members[name])
    counters = GeneratorCounters(**members)
    return GeneratorEntry(connector_id=connector_id, status=counters, **members)
