"""A charging station as ``listChargingStations`` shows it.

Two generations of clients read it: for the first each element of ``connectors`` *is* the connector's status, for the
second it *has* one (``connectorStatus``). Both find theirs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta


class Data(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """Base of the parts of a station."""


class ReservationData(Data, frozen=True, kw_only=True):
    """A reservation of a connector."""

    reservation_id: int
    connector_id: int
    expiry_date: str
    id_tag: str
    parent_id_tag: str | None = None


class ConnectorStatus(Data, frozen=True, kw_only=True):
    """One connector now. Energy in Wh, power in W."""

    availability: Literal["Operative", "Inoperative"]
    boot_status: str | None = None
    status: str | None = None
    error_code: str | None = None
    locked: bool | None = None
    plugged: Annotated[bool | None, Meta(description="Whether a vehicle's cable is in it")] = None
    maximum_power: float | None = None
    meter_values: Any = msgspec.field(default=None, name="MeterValues")
    charging_profiles: list[Any] | None = None
    reservation: ReservationData | None = None
    id_tag_authorized: bool | None = None
    id_tag_local_authorized: bool | None = None
    transaction_remote_started: bool | None = None
    transaction_started: bool | None = None
    transaction_pending: bool | None = None
    transaction_id: int | None = None
    transaction_id_tag: str | None = None
    transaction_start: str | None = None
    energy_active_import_register_value: float | None = None
    transaction_energy_active_import_register_value: float | None = None
    power: Annotated[float | None, Meta(description="W delivered now")] = None
    soc: Annotated[float | None, Meta(description="State of charge of the vehicle in percent, where it is known")] = (
        None
    )


class ConnectorEntry(ConnectorStatus, frozen=True, kw_only=True):
    """A connector's status with its numbers, and the same status as a member."""

    connector_id: int
    evse_id: Annotated[int, Meta(description="OCPP 1.6 knows no EVSE: each connector is one")]
    connector_status: ConnectorStatus


class EvseEntry(Data, frozen=True, kw_only=True):
    """An EVSE; none in OCPP 1.6."""

    evse_id: int
    evse_status: dict[str, Any]


class BootAnswer(Data, frozen=True, kw_only=True):
    """The central system's last answer to BootNotification."""

    status: str
    current_time: str
    interval: int


class OcppKey(Data, frozen=True, kw_only=True):
    """An OCPP configuration key; one whose value is a secret has none."""

    key: str
    readonly: bool
    value: str | None = None
    visible: bool = True
    reboot: bool = False


class OcppConfiguration(Data, frozen=True, kw_only=True):
    """The OCPP configuration keys."""

    configuration_key: list[OcppKey]


class GeneratorCounters(Data, frozen=True, kw_only=True):
    """What the automatic transaction generator of one connector did. Dates are RFC 3339."""

    start: bool
    start_date: str | None = None
    last_run_date: str | None = None
    stop_date: str | None = None
    stopped_date: str | None = None
    authorize_requests: int | None = None
    accepted_authorize_requests: int | None = None
    rejected_authorize_requests: int | None = None
    start_transaction_requests: int | None = None
    accepted_start_transaction_requests: int | None = None
    rejected_start_transaction_requests: int | None = None
    stop_transaction_requests: int | None = None
    accepted_stop_transaction_requests: int | None = None
    rejected_stop_transaction_requests: int | None = None
    skipped_consecutive_transactions: int | None = None
    skipped_transactions: int | None = None


class GeneratorEntry(GeneratorCounters, frozen=True, kw_only=True):
    """The same with the connector's number, and once more as a member."""

    connector_id: int
    status: GeneratorCounters


class GeneratorState(Data, frozen=True, kw_only=True):
    """The automatic transaction generator of a station."""

    automatic_transaction_generator: Annotated[dict[str, Any], Meta(description="Its configuration")]
    automatic_transaction_generator_statuses: list[GeneratorEntry]


class ChargingStationData(Data, frozen=True, kw_only=True):
    """One charging station. Secrets are absent: passwords, authorization keys, private keys."""

    station_info: Annotated[
        dict[str, Any],
        Meta(description="The template's members, `hashId`, `chargingStationId`, serial numbers, limits"),
    ]
    started: bool | None = None
    stopping: bool | None = None
    ws_state: Annotated[Literal[0, 1, 2, 3] | None, Meta(description="0 connecting, 1 open, 2 closing, 3 closed")] = (
        None
    )
    supervision_url: Annotated[str | None, Meta(description="Where it connects to, its name included")] = None
    timestamp: Annotated[int | None, Meta(description="Milliseconds since 1970 at which this was true")] = None
    boot_notification_response: BootAnswer | None = None
    queued_messages: Annotated[
        int | None, Meta(description="Transaction messages that the central system has not answered yet")
    ] = None
    ocpp_configuration: OcppConfiguration | None = None
    connectors: list[ConnectorEntry] | None = None
    evses: list[EvseEntry] | None = None
    automatic_transaction_generator: GeneratorState | None = None
