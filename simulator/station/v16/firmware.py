"""Firmware management profile, and the security extension's counterparts of it (OCPP 1.6 §5.9, §5.19; N01, L01)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING

from simulator.ocpp.errors import CallRefused, ErrorCode
from simulator.ocpp.v16.enums import LogStatus, LogType, UpdateFirmwareStatus
from simulator.ocpp.v16.messages import (
    GetDiagnosticsRequest,
    GetDiagnosticsResponse,
    GetLogRequest,
    GetLogResponse,
    SignedUpdateFirmwareRequest,
    SignedUpdateFirmwareResponse,
    UpdateFirmwareRequest,
    UpdateFirmwareResponse,
)
from simulator.station.firmware import Signature, Update
from simulator.station.security_events import Kind
from simulator.station.transfers import RetryPlan
from simulator.station.uploads import LogRequest, Upload
from simulator.station.v16.dispatch import Answer, Handler
from simulator.timestamps import parse_timestamp

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation


class FirmwareManagementProfile:
    """The FirmwareManagement profile of one station, with GetLog and SignedUpdateFirmware."""

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        allowed = station.info.template.commands_support.allows_outgoing
        if allowed("SignedFirmwareStatusNotification"):
            station.security.triggers["FirmwareStatusNotification"] = station.firmware.send_signed_status
        if allowed("LogStatusNotification"):
            station.security.triggers["LogStatusNotification"] = station.uploads.send_log_status

    def handlers(self) -> Mapping[str, Handler]:
        """Handler by action."""
        return {
            "GetDiagnostics": self.get_diagnostics,
            "GetLog": self.get_log,
            "SignedUpdateFirmware": self.signed_update_firmware,
            "UpdateFirmware": self.update_firmware,
        }

    # -- uploads -----------------------------------------------------------------------------------------------------

    def get_diagnostics(self, request: GetDiagnosticsRequest) -> Answer:
        """OCPP 1.6 §5.9: the name at once, the file behind it; none where the window holds nothing.

        A request during an upload ends that one.
        """
        since = instant("startTime", request.start_time)
        until = instant("stopTime", request.stop_time)
        if self._is_empty(since, until):
            return Answer(GetDiagnosticsResponse())
        uploads = self._station.uploads
        upload = Upload(
            location=request.location,
            file_name=uploads.file_name(),
            plan=RetryPlan.of(request.retries, request.retry_interval),
            since=since,
            until=until,
        )
        uploads.take(upload)
        return Answer(GetDiagnosticsResponse(file_name=upload.file_name), partial(uploads.run, upload))

    def get_log(self, request: GetLogRequest) -> Answer:
        """Security extension, N01: as GetDiagnostics."""
        self._station.security.extension_used()
        since = instant("log.oldestTimestamp", request.log.oldest_timestamp)
        until = instant("log.latestTimestamp", request.log.latest_timestamp)
        if self._is_empty(since, until):
            return Answer(GetLogResponse(status=LogStatus.REJECTED))
        uploads = self._station.uploads
        upload = Upload(
            location=request.log.remote_location,
            file_name=uploads.file_name(),
            plan=RetryPlan.of(request.retries, request.retry_interval),
            since=since,
            until=until,
            log=LogRequest(request.request_id, LogType(request.log_type)),
        )
        status = LogStatus.ACCEPTED_CANCELED if uploads.take(upload) else LogStatus.ACCEPTED
        return Answer(GetLogResponse(status=status, filename=upload.file_name), partial(uploads.run, upload))

    def _is_empty(self, since: float | None, until: float | None) -> bool:
        return (since is not None and since > self._station.now()) or (
            since is not None and until is not None and since > until
        )

    # -- firmware ----------------------------------------------------------------------------------------------------

    def update_firmware(self, request: UpdateFirmwareRequest) -> Answer:
        """OCPP 1.6 §5.19. Takes the place of an update under way, unless that one is being installed."""
        station = self._station
        if station.info.template.signed_firmware_only:
            raise CallRefused(
                ErrorCode.NOT_SUPPORTED, "UpdateFirmware is not supported: firmware must be signed (signedFirmwareOnly)"
            )
        update = Update(
            location=request.location,
            retrieve_at=instant("retrieveDate", request.retrieve_date) or 0.0,
            plan=RetryPlan.of(request.retries, request.retry_interval),
        )
        if station.firmware.installing:  # the answer has no place to say so
            station.log.warning("UpdateFirmware ignored: an installation is under way")
            return Answer(UpdateFirmwareResponse())
        station.firmware.take(update)
        return Answer(UpdateFirmwareResponse(), partial(station.firmware.run, update))

    def signed_update_firmware(self, request: SignedUpdateFirmwareRequest) -> Answer:
        """Security extension, L01: the signing certificate comes first, then what is under way."""
        station, firmware = self._station, request.firmware
        station.security.extension_used()
        update = Update(
            location=firmware.location,
            retrieve_at=instant("firmware.retrieveDateTime", firmware.retrieve_date_time) or 0.0,
            install_at=instant("firmware.installDateTime", firmware.install_date_time),
            plan=RetryPlan.of(request.retries, request.retry_interval),
            signature=Signature(request.request_id, firmware.signing_certificate, firmware.signature),
        )
        refusal = self._judge_signer(firmware.signing_certificate)
        if refusal is not None:
            return _signed_answer(refusal)
        if station.firmware.installing:
            return _signed_answer(UpdateFirmwareStatus.REJECTED)
        status = UpdateFirmwareStatus.ACCEPTED_CANCELED if station.firmware.busy else UpdateFirmwareStatus.ACCEPTED
        station.firmware.take(update)
        return Answer(SignedUpdateFirmwareResponse(status=status), partial(station.firmware.run, update))

    def _judge_signer(self, pem: str) -> UpdateFirmwareStatus | None:
        from simulator.station.signing import BadCertificate, check_signer, is_among, read_chain

        station = self._station
        roots = station.security.manufacturer_roots()
        try:
            chain = read_chain(pem)
            check_signer(chain, roots, time.time())
        except BadCertificate as error:
            station.log.warning("SignedUpdateFirmware: the signing certificate is refused: %s", error)
            station.security.event(Kind.INVALID_FIRMWARE_SIGNING_CERTIFICATE, str(error))
            return UpdateFirmwareStatus.INVALID_CERTIFICATE
        if is_among(chain[0], station.info.template.revoked_firmware_signers):
            station.log.warning("SignedUpdateFirmware: the signing certificate is revoked (revokedFirmwareSigners)")
            return UpdateFirmwareStatus.REVOKED_CERTIFICATE
        if not roots:
            station.log.warning(
                "SignedUpdateFirmware: no ManufacturerRootCertificate is installed, so any signer is accepted"
            )
        return None


def _signed_answer(status: UpdateFirmwareStatus) -> Answer:
    return Answer(SignedUpdateFirmwareResponse(status=status))


def instant(name: str, text: str | None) -> float | None:
    """POSIX seconds of a request's date; None without one.

    :raises CallRefused: it is no date (which only a station that does not validate finds out here).
    """
    if text is None:
        return None
    try:
        return parse_timestamp(text)[0]
    except ValueError:
        raise CallRefused(ErrorCode.TYPE_CONSTRAINT_VIOLATION, f"{name}: {text[:40]!r} is no date") from None
