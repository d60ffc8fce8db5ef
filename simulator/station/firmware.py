"""A firmware update: fetched at its time, checked if it is signed, installed when nobody charges, and booted into.

OCPP 1.6 §5.19 (UpdateFirmware), security extension L01 (SignedUpdateFirmware). The two differ in their messages and go
the same way, so an update keeps the statuses of the signed one, which has them all.

What a reset interrupts begins again after it: a download from its first byte, an installation from its start. So does
what the end of the process interrupts, where the station is remembered from one process to the next. The image itself
is not kept, only its checksum: what a simulated station installs is its next version number.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
import trio

from simulator.clock import Alarm
from simulator.ocpp.v16.enums import FirmwareStatus, Reason, SignedFirmwareStatus
from simulator.ocpp.v16.messages import FirmwareStatusNotificationRequest, SignedFirmwareStatusNotificationRequest
from simulator.station.firmware_version import next_version
from simulator.station.security_events import Kind
from simulator.station.transfers import RetryPlan
from simulator.transport.transfer import TransferFailed

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation

Status = SignedFirmwareStatus

#: Virtual seconds that an installation takes, the reboot left aside; also a download that the template lets fail.
INSTALL_TIME = 10.0
FAILED_DOWNLOAD_TIME = 5.0

_UNSIGNED_STATUSES = frozenset(str(status) for status in FirmwareStatus)

#: What an unsigned update says instead of a status that only signed ones have, when it is asked.
_UNSIGNED = {
    Status.DOWNLOADING: FirmwareStatus.DOWNLOADING,
    Status.DOWNLOADED: FirmwareStatus.DOWNLOADED,
    Status.SIGNATURE_VERIFIED: FirmwareStatus.DOWNLOADED,
    Status.INSTALL_SCHEDULED: FirmwareStatus.DOWNLOADED,
    Status.INSTALLING: FirmwareStatus.INSTALLING,
}


class Signature(msgspec.Struct, frozen=True):
    """What makes an update a signed one: its request's id, the certificate (PEM) and the signature (base64)."""

    request_id: int
    certificate: str
    signature: str


class Stage(enum.Enum):
    """How far an update is; what a reset interrupts goes on from here."""

    FETCH = "fetch"
    INSTALL = "install"
    #: Being installed: it can be neither replaced nor interrupted by the central system.
    INSTALLING = "installing"
    #: Installed by the next boot.
    BOOT = "boot"


class Update(msgspec.Struct, kw_only=True):
    """One firmware update. Instants are POSIX seconds on the station's clock."""

    location: str
    retrieve_at: float
    plan: RetryPlan
    install_at: float | None = None
    signature: Signature | None = None
    stage: Stage = Stage.FETCH


class _Kept(msgspec.Struct):
    version: str | None = None
    update: Update | None = None
    status: SignedFirmwareStatus | None = None
    request_id: int | None = None


class FirmwareUpdates:
    """The firmware of one station and its update. Survives resets."""

    __slots__ = ("_alarm", "_request_id", "_scope", "_station", "_update", "status", "version")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        #: The version that the station runs.
        self.version = station.info.template.firmware_version
        #: The status that was reported last, and of which signed update.
        self.status: SignedFirmwareStatus | None = None
        self._request_id: int | None = None
        self._update: Update | None = None
        self._scope: trio.CancelScope | None = None
        self._alarm = Alarm(station.clock)

    # -- what others see ---------------------------------------------------------------------------------------------

    @property
    def busy(self) -> bool:
        """Whether an update is scheduled or under way."""
        return self._update is not None

    @property
    def installing(self) -> bool:
        """Whether a firmware is being installed: the station can then neither be reset nor begin another update."""
        return self._update is not None and self._update.stage in {Stage.INSTALLING, Stage.BOOT}

    def send_status(self) -> None:
        """FirmwareStatusNotification for TriggerMessage: the present step, or Idle (OCPP 1.6 §4.5)."""
        status = _UNSIGNED.get(self.status) if self.busy and self.status is not None else None
        request = FirmwareStatusNotificationRequest(status=status or FirmwareStatus.IDLE)
        self._station.lane.send(request, triggered=True)

    def send_signed_status(self) -> None:
        """SignedFirmwareStatusNotification for ExtendedTriggerMessage: the last status, or Idle after Installed."""
        if self.status in {None, Status.INSTALLED} or self._request_id is None:
            request = SignedFirmwareStatusNotificationRequest(status=Status.IDLE)
        else:
            assert self.status is not None
            request = SignedFirmwareStatusNotificationRequest(status=self.status, request_id=self._request_id)
        self._station.lane.send(request, triggered=True)

    # -- beginning and ending ----------------------------------------------------------------------------------------

    def take(self, update: Update) -> None:
        """Make this the update in place of any other; :meth:`run` sets it going."""
        self._cancel()
        self._update = update
        self._station.remember()

    def _cancel(self) -> None:
        self._update = None
        self._station.remember()
        if self._scope is not None:
            self._scope.cancel()
        self._release()

    def power_up(self) -> None:
        """The station boots: into the new firmware, if one was installed. Nothing is kept out of use any more."""
        for connector in self._station.connectors.values():
            connector.held = False
        update = self._update
        if update is None:
            return
        if update.stage is Stage.BOOT:
            self._installed(update)
        elif update.stage is Stage.INSTALLING:
            update.stage = Stage.INSTALL

    def resume(self) -> None:
        """Go on with the update that the last power cycle left behind."""
        if self._update is not None:
            self._station.spawn(self.run, self._update)

    async def run(self, update: Update) -> None:
        """Bring an update to its end, unless another one has taken its place.

        On cancel the download is ended and the update stays for :meth:`resume`.
        """
        if self._update is not update:
            return
        self._alarm = Alarm(self._station.clock)
        scope = self._scope = trio.CancelScope()
        try:
            with scope:
                if update.stage is Stage.FETCH:
                    await self._fetch(update)
                    self._enter(update, Stage.INSTALL)
                await self._wait_for_its_time(update)
                await self._install(update)
        except UpdateFailed:
            if self._update is update:
                self._cancel()
        except Exception:
            self._update = None  # the station restarts after a crash, and must not crash again for the same update
            raise
        finally:
            if self._scope is scope:
                self._scope = None

    def _enter(self, update: Update, stage: Stage) -> None:
        update.stage = stage
        self._station.remember()

    # -- memory ------------------------------------------------------------------------------------------------------

    def to_memory(self) -> Any:
        """The version that an update has brought, the update under way and what was last reported; None without all."""
        if (
            self._update is None
            and self.status is None
            and self.version == self._station.info.template.firmware_version
        ):
            return None
        return msgspec.to_builtins(_Kept(self.version, self._update, self.status, self._request_id))

    def from_memory(self, kept: Any) -> None:
        """Take what :meth:`to_memory` gave. :raises ValueError, TypeError: that cannot be used."""
        found = msgspec.convert(kept, _Kept)
        self.version, self._update = found.version, found.update
        self.status, self._request_id = found.status, found.request_id

    # -- fetching ----------------------------------------------------------------------------------------------------

    async def _fetch(self, update: Update) -> None:
        station = self._station
        if update.retrieve_at > station.now():
            self._report(update, Status.DOWNLOAD_SCHEDULED)
            await self._sleep_until(update.retrieve_at)
        self._report(update, Status.DOWNLOADING)
        if self._failure is FirmwareStatus.DOWNLOAD_FAILED:
            await station.clock.sleep(FAILED_DOWNLOAD_TIME)
            self._fail(update, Status.DOWNLOAD_FAILED, "firmwareUpgrade.failureStatus says so")
        options = station.info.template.ws_options
        try:
            received = await update.plan.run(
                station, update.location, lambda: station.services.transfers.download(update.location, options=options)
            )
        except TransferFailed as error:
            self._fail(update, Status.DOWNLOAD_FAILED, str(error))
        station.log.info("firmware: %s bytes fetched", received.size)
        self._report(update, Status.DOWNLOADED)
        if update.signature is not None:
            self._check(update, update.signature, received.sha256)

    def _check(self, update: Update, signature: Signature, sha256: bytes) -> None:
        from simulator.station.signing import BadSignature, check_signature, read_chain

        try:
            check_signature(read_chain(signature.certificate)[0], signature.signature, sha256)
        except BadSignature as error:
            self._station.security.event(Kind.INVALID_FIRMWARE_SIGNATURE, str(error))
            self._fail(update, Status.INVALID_SIGNATURE, str(error))
        self._report(update, Status.SIGNATURE_VERIFIED)

    # -- installing --------------------------------------------------------------------------------------------------

    async def _wait_for_its_time(self, update: Update) -> None:
        """Until the installation date, and until no transaction runs; from then on no new one can begin."""
        station = self._station
        if update.install_at is not None and update.install_at > station.now():
            self._report(update, Status.INSTALL_SCHEDULED)
            await self._sleep_until(update.install_at)
        await trio.lowlevel.checkpoint()  # another update may have taken the place of this one
        connectors = [connector for connector in station.connectors.values() if connector.id > 0]
        for connector in connectors:
            connector.held = True
            if connector.transaction is None:
                station.presence.forget(connector)
            station.follow_availability(connector)
        if station.sessions.running():
            station.log.info("firmware: waits for %s transaction(s) to end", len(station.sessions.running()))
        while station.sessions.running():
            await self._alarm.wait_until_wall(float("inf"))
        for connector in connectors:
            station.follow_availability(connector)

    def connector_changed(self, connector: Connector) -> None:
        """A connector has changed: maybe its transaction has ended."""
        if connector.held:
            self._alarm.ring()

    async def _install(self, update: Update) -> None:
        station = self._station
        await trio.lowlevel.checkpoint()
        if station.reset_under_way or station.stopping:  # which is what has ended the transactions
            await trio.sleep_forever()
        self._enter(update, Stage.INSTALLING)
        self._report(update, Status.INSTALLING)
        await station.clock.sleep(INSTALL_TIME)
        if self._failure is FirmwareStatus.INSTALLATION_FAILED:
            self._fail(update, Status.INSTALLATION_FAILED, "firmwareUpgrade.failureStatus says so")
        upgrade = station.info.template.firmware_upgrade
        if upgrade is None or upgrade.reset:
            self._enter(update, Stage.BOOT)
            station.reset(Reason.REBOOT)
        else:
            self._installed(update)
            self._release()

    def _installed(self, update: Update) -> None:
        station = self._station
        self.version = next_version(self.version, station.info.template)
        station.log.info("firmware: version %s is installed", self.version or "(unknown)")
        self._report(update, Status.INSTALLED)
        self._update = None
        station.remember()
        if update.signature is not None:
            station.security.event(Kind.FIRMWARE_UPDATED, self.version)

    def _release(self) -> None:
        """Give the connectors back to their users."""
        for connector in self._station.connectors.values():
            if connector.held:
                connector.held = False
                self._station.follow_availability(connector)

    # -- parts -------------------------------------------------------------------------------------------------------

    @property
    def _failure(self) -> FirmwareStatus | None:
        upgrade = self._station.info.template.firmware_upgrade
        failure = upgrade.failure_status if upgrade is not None else None
        return None if failure is None else FirmwareStatus(failure)

    async def _sleep_until(self, instant: float) -> None:
        """Until the station's clock shows an instant; it may be set meanwhile."""
        await trio.lowlevel.checkpoint()
        while (left := instant - self._station.now()) > 0:
            await self._alarm.wait_until(self._station.clock.now() + left)

    def clock_changed(self) -> None:
        """The station's clock has been set: the time of the update may have come."""
        self._alarm.ring()

    def _fail(self, update: Update, status: SignedFirmwareStatus, reason: str) -> NoReturn:
        self._station.log.warning("firmware: %s: %s", status, reason)
        self._report(update, status)
        raise UpdateFailed

    def _report(self, update: Update, status: SignedFirmwareStatus) -> None:
        station = self._station
        if self._update is not update:  # replaced at this very moment
            return
        self.status = status
        if update.signature is not None:
            self._request_id = update.signature.request_id
            station.notices.post(
                SignedFirmwareStatusNotificationRequest(status=status, request_id=update.signature.request_id)
            )
        elif status in _UNSIGNED_STATUSES:
            station.notices.post(FirmwareStatusNotificationRequest(status=FirmwareStatus(status)))
        station.changed()


class UpdateFailed(Exception):
    """The update has ended; its status has been reported."""
