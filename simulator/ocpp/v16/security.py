"""Messages of the security extension of OCPP 1.6-J (edition 3 of the white paper)."""

from __future__ import annotations

from simulator.ocpp.v16.base import Request, Response
from simulator.ocpp.v16.datatypes import (
    CertificateHashData,
    Firmware,
    LogParameters,
)
from simulator.ocpp.v16.enums import (
    CertificateSignedStatus,
    CertificateStatus,
    CertificateUse,
    DeleteCertificateStatus,
    ExtendedMessageTrigger,
    GenericStatus,
    GetInstalledCertificateStatus,
    LogStatus,
    LogType,
    SignedFirmwareStatus,
    TriggerMessageStatus,
    UpdateFirmwareStatus,
    UploadLogStatus,
)


class CertificateSignedResponse(Response, frozen=True, kw_only=True):
    """Answer to CertificateSigned."""

    status: CertificateSignedStatus


class CertificateSignedRequest(Request[CertificateSignedResponse], frozen=True, kw_only=True):
    """The certificate for a request of SignCertificate, PEM, leaf first."""

    certificate_chain: str


class DeleteCertificateResponse(Response, frozen=True, kw_only=True):
    """Answer to DeleteCertificate."""

    status: DeleteCertificateStatus


class DeleteCertificateRequest(Request[DeleteCertificateResponse], frozen=True, kw_only=True):
    """Remove an installed certificate."""

    certificate_hash_data: CertificateHashData


class ExtendedTriggerMessageResponse(Response, frozen=True, kw_only=True):
    """Answer to ExtendedTriggerMessage."""

    status: TriggerMessageStatus


class ExtendedTriggerMessageRequest(Request[ExtendedTriggerMessageResponse], frozen=True, kw_only=True):
    """As TriggerMessage, for the messages of the security extension as well."""

    requested_message: ExtendedMessageTrigger
    connector_id: int | None = None


class GetInstalledCertificateIdsResponse(Response, frozen=True, kw_only=True):
    """Answer to GetInstalledCertificateIds. Without a certificate the array is absent, never empty."""

    certificate_hash_data: tuple[CertificateHashData, ...] | None = None
    status: GetInstalledCertificateStatus


class GetInstalledCertificateIdsRequest(Request[GetInstalledCertificateIdsResponse], frozen=True, kw_only=True):
    """Which root certificates are installed?"""

    certificate_type: CertificateUse


class GetLogResponse(Response, frozen=True, kw_only=True):
    """Answer to GetLog."""

    status: LogStatus
    filename: str | None = None


class GetLogRequest(Request[GetLogResponse], frozen=True, kw_only=True):
    """Upload a log. ``retry_interval`` in seconds."""

    log: LogParameters
    log_type: LogType
    request_id: int
    retries: int | None = None
    retry_interval: int | None = None


class InstallCertificateResponse(Response, frozen=True, kw_only=True):
    """Answer to InstallCertificate."""

    status: CertificateStatus


class InstallCertificateRequest(Request[InstallCertificateResponse], frozen=True, kw_only=True):
    """Install a root certificate, PEM."""

    certificate_type: CertificateUse
    certificate: str


class LogStatusNotificationResponse(Response, frozen=True, kw_only=True):
    """Answer to LogStatusNotification."""


class LogStatusNotificationRequest(Request[LogStatusNotificationResponse], frozen=True, kw_only=True):
    """How far the upload of a log is; ``request_id`` is absent only when Idle."""

    status: UploadLogStatus
    request_id: int | None = None


class SecurityEventNotificationResponse(Response, frozen=True, kw_only=True):
    """Answer to SecurityEventNotification."""


class SecurityEventNotificationRequest(Request[SecurityEventNotificationResponse], frozen=True, kw_only=True):
    """A critical security event has happened."""

    type: str
    timestamp: str
    tech_info: str | None = None


class SignCertificateResponse(Response, frozen=True, kw_only=True):
    """Answer to SignCertificate."""

    status: GenericStatus


class SignCertificateRequest(Request[SignCertificateResponse], frozen=True, kw_only=True):
    """Sign this certificate request, PKCS#10 as PEM."""

    csr: str


class SignedFirmwareStatusNotificationResponse(Response, frozen=True, kw_only=True):
    """Answer to SignedFirmwareStatusNotification."""


class SignedFirmwareStatusNotificationRequest(
    Request[SignedFirmwareStatusNotificationResponse], frozen=True, kw_only=True
):
    """How far a signed firmware update is; ``request_id`` is absent only when Idle."""

    status: SignedFirmwareStatus
    request_id: int | None = None


class SignedUpdateFirmwareResponse(Response, frozen=True, kw_only=True):
    """Answer to SignedUpdateFirmware."""

    status: UpdateFirmwareStatus


class SignedUpdateFirmwareRequest(Request[SignedUpdateFirmwareResponse], frozen=True, kw_only=True):
    """Fetch, check and install a signed firmware image. ``retry_interval`` in seconds."""

    retries: int | None = None
    retry_interval: int | None = None
    request_id: int
    firmware: Firmware
