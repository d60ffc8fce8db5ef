"""Diagnostics and logs on their way to the central system (OCPP 1.6 §4.4, security extension N01).

One upload runs at a time: a newer request takes the place of the one under way, which then says no more. An upload that
a reset interrupts begins again after it; so does one that the end of the process interrupts, where the station is
remembered from one process to the next.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import trio

from simulator.ocpp.v16.enums import DiagnosticsStatus, LogType, UploadLogStatus
from simulator.ocpp.v16.messages import DiagnosticsStatusNotificationRequest, LogStatusNotificationRequest
from simulator.station.archive import archive_name, diagnostics_archive, security_archive
from simulator.station.transfers import RetryPlan
from simulator.transport.transfer import Fault, TransferFailed

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

_LOG_FAILURES = {
    Fault.BAD_URL: UploadLogStatus.BAD_MESSAGE,
    Fault.UNSUPPORTED: UploadLogStatus.NOT_SUPPORTED_OPERATION,
    Fault.DENIED: UploadLogStatus.PERMISSION_DENIED,
    Fault.FAILED: UploadLogStatus.UPLOAD_FAILURE,
}


class LogRequest(msgspec.Struct, frozen=True):
    """What makes an upload one of GetLog rather than of GetDiagnostics."""

    request_id: int
    log_type: LogType


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One upload. ``since`` and ``until`` bound what it holds: POSIX seconds on the station's clock, None: open."""

    location: str
    file_name: str
    plan: RetryPlan
    since: float | None = None
    until: float | None = None
    log: LogRequest | None = None


class Uploads:
    """The uploads of one station. The one under way survives resets."""

    __slots__ = ("_scope", "_station", "_upload", "diagnostics_status")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        #: How the last upload of GetDiagnostics went, or goes.
        self.diagnostics_status: DiagnosticsStatus | None = None
        self._upload: Upload | None = None
        self._scope: trio.CancelScope | None = None

    @property
    def busy(self) -> bool:
        """Whether an upload is under way."""
        return self._upload is not None

    def file_name(self) -> str:
        """The name of the next upload's file."""
        return archive_name(self._station)

    def take(self, upload: Upload) -> bool:
        """Make this the upload; :meth:`run` sets it going. Returns whether another one was under way and has ended."""
        replaced = self.busy
        self._become(upload)
        if self._scope is not None:
            self._scope.cancel()
        return replaced

    def _become(self, upload: Upload | None) -> None:
        self._upload = upload
        self._station.remember()

    def resume(self) -> None:
        """Begin the upload again that the last power cycle left behind."""
        if self._upload is not None:
            self._station.spawn(self.run, self._upload)

    async def run(self, upload: Upload) -> None:
        """Upload, unless a newer request has come meanwhile. On cancel the upload stays for :meth:`resume`."""
        if self._upload is not upload:
            return
        scope = self._scope = trio.CancelScope()
        try:
            with scope:
                await self._send(upload)
                if self._upload is upload:
                    self._become(None)
        except Exception:
            self._become(None)  # the station restarts after a crash, and must not crash again for the same upload
            raise
        finally:
            if self._scope is scope:
                self._scope = None

    async def _send(self, upload: Upload) -> None:
        station = self._station
        self._report(upload, None, sending=True)
        archive = security_archive if upload.log is not None and upload.log.log_type is LogType.SECURITY_LOG else None
        content = await (archive or diagnostics_archive)(station, upload.since, upload.until)
        options = station.info.template.ws_options
        try:
            await upload.plan.run(
                station,
                upload.location,
                lambda: station.services.transfers.upload(upload.location, upload.file_name, content, options=options),
            )
        except TransferFailed as error:
            station.log.warning("upload: %s", error)
            self._report(upload, error.fault)
        else:
            station.log.info("upload: %s is sent, %s bytes", upload.file_name, len(content))
            self._report(upload, None)

    def _report(self, upload: Upload, fault: Fault | None, *, sending: bool = False) -> None:
        station = self._station
        if self._upload is not upload:  # replaced at this very moment
            return
        if upload.log is not None:
            log_status = UploadLogStatus.UPLOADED if fault is None else _LOG_FAILURES[fault]
            station.notices.post(
                LogStatusNotificationRequest(
                    status=UploadLogStatus.UPLOADING if sending else log_status, request_id=upload.log.request_id
                )
            )
        else:
            status = DiagnosticsStatus.UPLOADED if fault is None else DiagnosticsStatus.UPLOAD_FAILED
            self.diagnostics_status = DiagnosticsStatus.UPLOADING if sending else status
            station.notices.post(DiagnosticsStatusNotificationRequest(status=self.diagnostics_status))
        station.changed()

    # -- memory ------------------------------------------------------------------------------------------------------

    def to_memory(self) -> Any:
        """The upload under way; None without one."""
        return None if self._upload is None else msgspec.to_builtins(self._upload)

    def from_memory(self, kept: Any) -> None:
        """Take what :meth:`to_memory` gave. :raises ValueError: that cannot be used."""
        self._upload = msgspec.convert(kept, Upload)

    # -- triggered ---------------------------------------------------------------------------------------------------

    def send_diagnostics_status(self) -> None:
        """DiagnosticsStatusNotification for TriggerMessage: Uploading, or Idle (OCPP 1.6 §4.4)."""
        uploading = self._upload is not None and self._upload.log is None
        status = DiagnosticsStatus.UPLOADING if uploading else DiagnosticsStatus.IDLE
        self._station.lane.send(DiagnosticsStatusNotificationRequest(status=status), triggered=True)

    def send_log_status(self) -> None:
        """LogStatusNotification for ExtendedTriggerMessage: Uploading with the request's id, or Idle without any."""
        log = self._upload.log if self._upload is not None else None
        if log is None:
            request = LogStatusNotificationRequest(status=UploadLogStatus.IDLE)
        else:
            request = LogStatusNotificationRequest(status=UploadLogStatus.UPLOADING, request_id=log.request_id)
        self._station.lane.send(request, triggered=True)
