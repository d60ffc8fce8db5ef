"""Messages of OCPP 1.6 (§6): every action of the Core profile and of the other feature profiles."""

from __future__ import annotations

from simulator.ocpp.v16.base import Request, Response
from simulator.ocpp.v16.datatypes import (
    AuthorizationData,
    ChargingProfile,
    ChargingSchedule,
    IdTagInfo,
    KeyValue,
    MeterValue,
)
from simulator.ocpp.v16.enums import (
    AvailabilityStatus,
    AvailabilityType,
    CancelReservationStatus,
    ChargePointErrorCode,
    ChargePointStatus,
    ChargingProfilePurposeType,
    ChargingProfileStatus,
    ChargingRateUnitType,
    ClearCacheStatus,
    ClearChargingProfileStatus,
    ConfigurationStatus,
    DataTransferStatus,
    DiagnosticsStatus,
    FirmwareStatus,
    GetCompositeScheduleStatus,
    MessageTrigger,
    Reason,
    RegistrationStatus,
    RemoteStartStopStatus,
    ReservationStatus,
    ResetStatus,
    ResetType,
    TriggerMessageStatus,
    UnlockStatus,
    UpdateStatus,
    UpdateType,
)


class AuthorizeResponse(Response, frozen=True, kw_only=True):
    """Answer to Authorize."""

    id_tag_info: IdTagInfo


class AuthorizeRequest(Request[AuthorizeResponse], frozen=True, kw_only=True):
    """May this idTag charge?"""

    id_tag: str


class BootNotificationResponse(Response, frozen=True, kw_only=True):
    """Answer to BootNotification.

    ``interval`` in seconds: between heartbeats once Accepted, else until the next BootNotification; 0 leaves it to
    the charge point.
    """

    status: RegistrationStatus
    current_time: str
    interval: int


class BootNotificationRequest(Request[BootNotificationResponse], frozen=True, kw_only=True):
    """A charge point introduces itself after it has started."""

    charge_point_vendor: str
    charge_point_model: str
    charge_point_serial_number: str | None = None
    charge_box_serial_number: str | None = None
    firmware_version: str | None = None
    iccid: str | None = None
    imsi: str | None = None
    meter_type: str | None = None
    meter_serial_number: str | None = None


class CancelReservationResponse(Response, frozen=True, kw_only=True):
    """Answer to CancelReservation."""

    status: CancelReservationStatus


class CancelReservationRequest(Request[CancelReservationResponse], frozen=True, kw_only=True):
    """Give a reserved connector back."""

    reservation_id: int


class ChangeAvailabilityResponse(Response, frozen=True, kw_only=True):
    """Answer to ChangeAvailability."""

    status: AvailabilityStatus


class ChangeAvailabilityRequest(Request[ChangeAvailabilityResponse], frozen=True, kw_only=True):
    """Take a connector (0: all of them) in or out of operation."""

    connector_id: int
    type: AvailabilityType


class ChangeConfigurationResponse(Response, frozen=True, kw_only=True):
    """Answer to ChangeConfiguration."""

    status: ConfigurationStatus


class ChangeConfigurationRequest(Request[ChangeConfigurationResponse], frozen=True, kw_only=True):
    """Set one configuration key."""

    key: str
    value: str


class ClearCacheResponse(Response, frozen=True, kw_only=True):
    """Answer to ClearCache."""

    status: ClearCacheStatus


class ClearCacheRequest(Request[ClearCacheResponse], frozen=True, kw_only=True):
    """Forget the authorization cache."""


class ClearChargingProfileResponse(Response, frozen=True, kw_only=True):
    """Answer to ClearChargingProfile."""

    status: ClearChargingProfileStatus


class ClearChargingProfileRequest(Request[ClearChargingProfileResponse], frozen=True, kw_only=True):
    """Remove the charging profiles that match every member given."""

    id: int | None = None
    connector_id: int | None = None
    charging_profile_purpose: ChargingProfilePurposeType | None = None
    stack_level: int | None = None


class DataTransferResponse(Response, frozen=True, kw_only=True):
    """Answer to DataTransfer."""

    status: DataTransferStatus
    data: str | None = None


class DataTransferRequest(Request[DataTransferResponse], frozen=True, kw_only=True):
    """Anything two vendors agree on; the only action of both sides."""

    vendor_id: str
    message_id: str | None = None
    data: str | None = None


class DiagnosticsStatusNotificationResponse(Response, frozen=True, kw_only=True):
    """Answer to DiagnosticsStatusNotification."""


class DiagnosticsStatusNotificationRequest(Request[DiagnosticsStatusNotificationResponse], frozen=True, kw_only=True):
    """How far the upload of diagnostics is."""

    status: DiagnosticsStatus


class FirmwareStatusNotificationResponse(Response, frozen=True, kw_only=True):
    """Answer to FirmwareStatusNotification."""


class FirmwareStatusNotificationRequest(Request[FirmwareStatusNotificationResponse], frozen=True, kw_only=True):
    """How far the firmware update is."""

    status: FirmwareStatus


class GetCompositeScheduleResponse(Response, frozen=True, kw_only=True):
    """Answer to GetCompositeSchedule."""

    status: GetCompositeScheduleStatus
    connector_id: int | None = None
    schedule_start: str | None = None
    charging_schedule: ChargingSchedule | None = None


class GetCompositeScheduleRequest(Request[GetCompositeScheduleResponse], frozen=True, kw_only=True):
    """What limits hold for the next ``duration`` seconds?"""

    connector_id: int
    duration: int
    charging_rate_unit: ChargingRateUnitType | None = None


class GetConfigurationResponse(Response, frozen=True, kw_only=True):
    """Answer to GetConfiguration."""

    configuration_key: tuple[KeyValue, ...] | None = None
    unknown_key: tuple[str, ...] | None = None


class GetConfigurationRequest(Request[GetConfigurationResponse], frozen=True, kw_only=True):
    """The named configuration keys; absent or empty: all."""

    key: tuple[str, ...] | None = None


class GetDiagnosticsResponse(Response, frozen=True, kw_only=True):
    """Answer to GetDiagnostics. Without ``file_name`` there is nothing to upload."""

    file_name: str | None = None


class GetDiagnosticsRequest(Request[GetDiagnosticsResponse], frozen=True, kw_only=True):
    """Upload diagnostics to ``location``. ``retry_interval`` in seconds."""

    location: str
    retries: int | None = None
    retry_interval: int | None = None
    start_time: str | None = None
    stop_time: str | None = None


class GetLocalListVersionResponse(Response, frozen=True, kw_only=True):
    """Answer to GetLocalListVersion. 0: the list is empty; -1: lists are not supported."""

    list_version: int


class GetLocalListVersionRequest(Request[GetLocalListVersionResponse], frozen=True, kw_only=True):
    """Which local authorization list is held?"""


class HeartbeatResponse(Response, frozen=True, kw_only=True):
    """Answer to Heartbeat."""

    current_time: str


class HeartbeatRequest(Request[HeartbeatResponse], frozen=True, kw_only=True):
    """Still there; what time is it?"""


class MeterValuesResponse(Response, frozen=True, kw_only=True):
    """Answer to MeterValues."""


class MeterValuesRequest(Request[MeterValuesResponse], frozen=True, kw_only=True):
    """Readings of a connector's meter; with ``transaction_id`` only those that belong to that transaction."""

    connector_id: int
    transaction_id: int | None = None
    meter_value: tuple[MeterValue, ...]


class RemoteStartTransactionResponse(Response, frozen=True, kw_only=True):
    """Answer to RemoteStartTransaction."""

    status: RemoteStartStopStatus


class RemoteStartTransactionRequest(Request[RemoteStartTransactionResponse], frozen=True, kw_only=True):
    """Start charging for an idTag, on any connector if none is named."""

    connector_id: int | None = None
    id_tag: str
    charging_profile: ChargingProfile | None = None


class RemoteStopTransactionResponse(Response, frozen=True, kw_only=True):
    """Answer to RemoteStopTransaction."""

    status: RemoteStartStopStatus


class RemoteStopTransactionRequest(Request[RemoteStopTransactionResponse], frozen=True, kw_only=True):
    """Stop a transaction."""

    transaction_id: int


class ReserveNowResponse(Response, frozen=True, kw_only=True):
    """Answer to ReserveNow."""

    status: ReservationStatus


class ReserveNowRequest(Request[ReserveNowResponse], frozen=True, kw_only=True):
    """Keep a connector (0: any one) for an idTag until ``expiry_date``."""

    connector_id: int
    expiry_date: str
    id_tag: str
    parent_id_tag: str | None = None
    reservation_id: int


class ResetResponse(Response, frozen=True, kw_only=True):
    """Answer to Reset."""

    status: ResetStatus


class ResetRequest(Request[ResetResponse], frozen=True, kw_only=True):
    """Start again."""

    type: ResetType


class SendLocalListResponse(Response, frozen=True, kw_only=True):
    """Answer to SendLocalList."""

    status: UpdateStatus


class SendLocalListRequest(Request[SendLocalListResponse], frozen=True, kw_only=True):
    """Replace or change the local authorization list."""

    list_version: int
    local_authorization_list: tuple[AuthorizationData, ...] | None = None
    update_type: UpdateType


class SetChargingProfileResponse(Response, frozen=True, kw_only=True):
    """Answer to SetChargingProfile."""

    status: ChargingProfileStatus


class SetChargingProfileRequest(Request[SetChargingProfileResponse], frozen=True, kw_only=True):
    """Add a charging profile, or replace the one of the same id, or of the same purpose and stack level."""

    connector_id: int
    cs_charging_profiles: ChargingProfile


class StartTransactionResponse(Response, frozen=True, kw_only=True):
    """Answer to StartTransaction."""

    id_tag_info: IdTagInfo
    transaction_id: int


class StartTransactionRequest(Request[StartTransactionResponse], frozen=True, kw_only=True):
    """A transaction has started. ``meter_start`` in Wh."""

    connector_id: int
    id_tag: str
    meter_start: int
    reservation_id: int | None = None
    timestamp: str


class StatusNotificationResponse(Response, frozen=True, kw_only=True):
    """Answer to StatusNotification."""


class StatusNotificationRequest(Request[StatusNotificationResponse], frozen=True, kw_only=True):
    """A connector (0: the charge point) has a new status or error. ``info`` holds at most 50 characters."""

    connector_id: int
    error_code: ChargePointErrorCode
    info: str | None = None
    status: ChargePointStatus
    timestamp: str | None = None
    vendor_id: str | None = None
    vendor_error_code: str | None = None


class StopTransactionResponse(Response, frozen=True, kw_only=True):
    """Answer to StopTransaction."""

    id_tag_info: IdTagInfo | None = None


class StopTransactionRequest(Request[StopTransactionResponse], frozen=True, kw_only=True):
    """A transaction has ended; without ``reason`` it was stopped locally. ``meter_stop`` in Wh."""

    id_tag: str | None = None
    meter_stop: int
    timestamp: str
    transaction_id: int
    reason: Reason | None = None
    transaction_data: tuple[MeterValue, ...] | None = None


class TriggerMessageResponse(Response, frozen=True, kw_only=True):
    """Answer to TriggerMessage."""

    status: TriggerMessageStatus


class TriggerMessageRequest(Request[TriggerMessageResponse], frozen=True, kw_only=True):
    """Send a message that the charge point otherwise sends of itself."""

    requested_message: MessageTrigger
    connector_id: int | None = None


class UnlockConnectorResponse(Response, frozen=True, kw_only=True):
    """Answer to UnlockConnector."""

    status: UnlockStatus


class UnlockConnectorRequest(Request[UnlockConnectorResponse], frozen=True, kw_only=True):
    """Let go of a plug."""

    connector_id: int


class UpdateFirmwareResponse(Response, frozen=True, kw_only=True):
    """Answer to UpdateFirmware."""


class UpdateFirmwareRequest(Request[UpdateFirmwareResponse], frozen=True, kw_only=True):
    """Fetch and install a firmware image at ``retrieve_date`` or later. ``retry_interval`` in seconds."""

    location: str
    retries: int | None = None
    retrieve_date: str
    retry_interval: int | None = None
