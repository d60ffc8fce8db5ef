"""Parameters of the procedures."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from simulator.ocpp.v16.datatypes import MeterValue
from simulator.ocpp.v16.enums import (
    ChargePointErrorCode,
    ChargePointStatus,
    DiagnosticsStatus,
    FirmwareStatus,
    Reason,
    UploadLogStatus,
)
from ui_protocol.base import (
    ConnectorId,
    ConnectorIds,
    ConnectorRequest,
    IdTag,
    Request,
    StationsRequest,
)

Offset: TypeAlias = Annotated[int, Meta(description="How many to pass over", ge=0)]
Limit: TypeAlias = Annotated[int, Meta(description="How many at most; absent: all", ge=0)] | None
Topic = Literal["stations", "messages"]
Direction = Literal["sent", "received"]


class NoParameters(Request, frozen=True, kw_only=True):
    """Nothing to say."""


# -- fleet -------------------------------------------------------------------------------------------------------------


class ListChargingStations(StationsRequest, frozen=True, kw_only=True):
    """Which stations to show, and what of them."""

    offset: Offset = 0
    limit: Limit = None
    search: Annotated[str | None, Meta(description="Only stations whose name holds this text, in any case")] = None
    fields: Annotated[
        tuple[str, ...] | None,
        Meta(
            description="Members wanted of each station, for example `started`, `stationInfo.chargingStationId` or"
            " `connectors.status`; `stationInfo.hashId` and `connectors.connectorId` are always there."
            " Absent: everything"
        ),
    ] = None


class PerformanceStatistics(StationsRequest, frozen=True, kw_only=True):
    """Whose statistics to show."""

    offset: Offset = 0
    limit: Limit = None


class ListMessages(StationsRequest, frozen=True, kw_only=True):
    """Which frames of the OCPP wire to show."""

    action: Annotated[str | None, Meta(description="Only CALLs of this action and their answers")] = None
    direction: Annotated[Direction | None, Meta(description="Only what the station sent, or received")] = None
    after: Annotated[int, Meta(description="Only frames after the one of this number", ge=0)] = 0
    limit: Annotated[int, Meta(description="The newest so many", ge=1, le=1000)] = 100


class StationOptions(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What is different from the template in the stations that are added."""

    auto_register: bool | None = None
    auto_start: Annotated[bool | None, Meta(description="Start them at once, which is the default")] = None
    base_name: Annotated[str, Meta(min_length=1)] | None = None
    enable_statistics: bool | None = None
    fixed_name: bool | None = None
    name_suffix: str | None = None
    ocpp_strict_compliance: bool | None = None
    persistent_configuration: Annotated[
        bool | None, Meta(description="Keep OCPP keys, station information and generator from run to run")
    ] = None
    stop_transactions_on_stopped: bool | None = None
    supervision_urls: str | tuple[str, ...] | None = None
    supervision_user: str | None = None
    supervision_password: str | None = None


class AddChargingStations(Request, frozen=True, kw_only=True):
    """Stations of one template to add to the fleet."""

    template: Annotated[str, Meta(description="Name of a template, as `listTemplates` gives it", min_length=1)]
    number_of_stations: Annotated[int, Meta(description="How many", ge=1, le=1_000_000)] = 1
    options: StationOptions = StationOptions()


class DeleteChargingStations(StationsRequest, frozen=True, kw_only=True):
    """Stations to stop and take out of the fleet."""

    delete_configuration: Annotated[bool, Meta(description="Delete what is kept of them on disk as well")] = False


class Subscribe(StationsRequest, frozen=True, kw_only=True):
    """What to be told of from now on, over this WebSocket; takes the place of an earlier subscription."""

    topics: Annotated[
        tuple[Topic, ...],
        Meta(description="`stations`: changed stations; `messages`: frames of the OCPP wire; none: only `refresh`"),
    ] = ()
    fields: Annotated[
        tuple[str, ...] | None, Meta(description="Members wanted of each station, as in `listChargingStations`")
    ] = None
    action: Annotated[str, Meta(description="Only messages of this action")] | None = None
    direction: Annotated[Direction, Meta(description="Only what stations sent, or received")] | None = None


# -- stations ----------------------------------------------------------------------------------------------------------


class SetSupervisionUrl(StationsRequest, frozen=True, kw_only=True):
    """Another central system; the station connects to it at once."""

    url: Annotated[str, Meta(description="`ws://` or `wss://`, without the station's name", min_length=1)]
    supervision_user: str | None = None
    supervision_password: str | None = None


class ChangeConfiguration(StationsRequest, frozen=True, kw_only=True):
    """An OCPP configuration key to write, as the central system may."""

    key: Annotated[str, Meta(max_length=50)]
    value: Annotated[str, Meta(max_length=500)]


class Generator(StationsRequest, frozen=True, kw_only=True):
    """The automatic transaction generator of some connectors."""

    connector_ids: ConnectorIds = None


# -- OCPP --------------------------------------------------------------------------------------------------------------


class StartTransaction(ConnectorRequest, frozen=True, kw_only=True):
    """A transaction to begin; without ``idTag`` the tag is ``00000000``."""

    id_tag: IdTag | None = None


class StopTransaction(StationsRequest, frozen=True, kw_only=True):
    """A transaction to end. Without ``hashIds`` the station that runs it is meant."""

    transaction_id: int
    reason: Reason | None = None


class Authorize(StationsRequest, frozen=True, kw_only=True):
    """A tag to ask the central system about."""

    id_tag: IdTag | None = None


class BootNotification(StationsRequest, frozen=True, kw_only=True):
    """A BootNotification; what is given takes the place of what the station is."""

    charge_point_vendor: Annotated[str, Meta(max_length=20)] | None = None
    charge_point_model: Annotated[str, Meta(max_length=20)] | None = None
    charge_point_serial_number: Annotated[str, Meta(max_length=25)] | None = None
    charge_box_serial_number: Annotated[str, Meta(max_length=25)] | None = None
    firmware_version: Annotated[str, Meta(max_length=50)] | None = None
    iccid: Annotated[str, Meta(max_length=20)] | None = None
    imsi: Annotated[str, Meta(max_length=20)] | None = None
    meter_type: Annotated[str, Meta(max_length=25)] | None = None
    meter_serial_number: Annotated[str, Meta(max_length=25)] | None = None


class StatusNotification(StationsRequest, frozen=True, kw_only=True):
    """A StatusNotification to send; the connector itself stays as it is."""

    connector_id: Annotated[int, Meta(description="Number of the connector; 0: the station", ge=0)]
    error_code: ChargePointErrorCode = ChargePointErrorCode.NO_ERROR
    status: ChargePointStatus
    info: Annotated[str, Meta(max_length=50)] | None = None
    vendor_id: Annotated[str, Meta(max_length=255)] | None = None
    vendor_error_code: Annotated[str, Meta(max_length=50)] | None = None


class MeterValues(ConnectorRequest, frozen=True, kw_only=True):
    """MeterValues to send; without ``meterValue`` what the meter shows now."""

    transaction_id: int | None = None
    meter_value: tuple[MeterValue, ...] | None = None


class DataTransfer(StationsRequest, frozen=True, kw_only=True):
    """A DataTransfer to send."""

    vendor_id: Annotated[str, Meta(max_length=255)]
    message_id: Annotated[str, Meta(max_length=50)] | None = None
    data: str | None = None


class DiagnosticsStatusNotification(StationsRequest, frozen=True, kw_only=True):
    """A DiagnosticsStatusNotification to send."""

    status: DiagnosticsStatus


class FirmwareStatusNotification(StationsRequest, frozen=True, kw_only=True):
    """A FirmwareStatusNotification to send."""

    status: FirmwareStatus


class LogStatusNotification(StationsRequest, frozen=True, kw_only=True):
    """A LogStatusNotification to send (OCPP 1.6 security extension)."""

    status: UploadLogStatus
    request_id: int | None = None


class SecurityEventNotification(StationsRequest, frozen=True, kw_only=True):
    """A SecurityEventNotification to send (OCPP 1.6 security extension)."""

    type: Annotated[str, Meta(max_length=50)]
    timestamp: Annotated[str | None, Meta(description="RFC 3339; absent: now")] = None
    tech_info: Annotated[str, Meta(max_length=255)] | None = None


class SignCertificate(StationsRequest, frozen=True, kw_only=True):
    """A SignCertificate to send (OCPP 1.6 security extension)."""

    csr: Annotated[str, Meta(description="Certificate signing request, PEM", min_length=1, max_length=5500)]


# -- hands on the station ----------------------------------------------------------------------------------------------


class PlugIn(ConnectorRequest, frozen=True, kw_only=True):
    """A vehicle that plugs in; what is absent is drawn as for any other."""

    vehicle: Annotated[str, Meta(description="Vehicle by its id, of those that come to the station")] | None = None
    soc_percent: Annotated[float, Meta(description="State of charge on arrival", ge=0, le=100)] | None = None
    target_soc_percent: Annotated[float, Meta(description="At which it stops charging", ge=0, le=100)] | None = None
    energy_wh: Annotated[float, Meta(description="After which it stops charging, in Wh", ge=0)] | None = None
    departs_after_seconds: (
        Annotated[float, Meta(description="After which it stops charging, in simulated seconds", ge=0)] | None
    ) = None


class PresentIdTag(StationsRequest, frozen=True, kw_only=True):
    """A tag held to the reader of the station, or of one connector."""

    connector_id: ConnectorId | None = None
    id_tag: IdTag


class RaiseError(StationsRequest, frozen=True, kw_only=True):
    """A fault of a connector, or of the station."""

    connector_id: Annotated[int, Meta(description="Number of the connector; 0: the station", ge=0)]
    error_code: ChargePointErrorCode = ChargePointErrorCode.OTHER_ERROR
    info: Annotated[str, Meta(max_length=50)] | None = None


class ClearError(StationsRequest, frozen=True, kw_only=True):
    """The end of that fault."""

    connector_id: Annotated[int, Meta(description="Number of the connector; 0: the station", ge=0)]
