"""The security log of a station, and the notifications that the central system gets of it (OCPP 1.6 security, A04).

Every event goes into the log. The critical ones and those about certificates are also sent, one after the other, as
SecurityEventNotification: they wait while the station is offline, through resets and from process to process, until
they are answered.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import msgspec
import outcome

from simulator.clock import Timer
from simulator.ocpp.errors import ErrorCode
from simulator.ocpp.v16.messages import SecurityEventNotificationRequest
from simulator.station.call_results import CallRefusedByPeer, NotAllowed, NotConnected, Result
from simulator.station.memory import LATER, SOON
from simulator.timestamps import format_timestamp

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

#: Events that the log holds; the oldest go first. So many of them are kept from process to process.
LOG_LENGTH = 1000
LOG_KEPT = 200
#: Notifications that may wait; beyond that the oldest are lost, which the log of the simulator tells.
QUEUE_LENGTH = 1000
#: The OCA schema's limit for ``techInfo``.
TECH_INFO_LENGTH = 255
#: Wall seconds before a notification that failed is sent again, times the attempts made, up to the second figure.
RETRY_AFTER = 60.0
RETRY_AT_MOST = 600.0


class Kind(enum.StrEnum):
    """The events of the security white paper for OCPP 1.6-J (edition 3, §4)."""

    FIRMWARE_UPDATED = "FirmwareUpdated"
    FAILED_TO_AUTHENTICATE_AT_CENTRAL_SYSTEM = "FailedToAuthenticateAtCentralSystem"
    CENTRAL_SYSTEM_FAILED_TO_AUTHENTICATE = "CentralSystemFailedToAuthenticate"
    SETTING_SYSTEM_TIME = "SettingSystemTime"
    STARTUP_OF_THE_DEVICE = "StartupOfTheDevice"
    RESET_OR_REBOOT = "ResetOrReboot"
    SECURITY_LOG_WAS_CLEARED = "SecurityLogWasCleared"
    RECONFIGURATION_OF_SECURITY_PARAMETERS = "ReconfigurationOfSecurityParameters"
    MEMORY_EXHAUSTION = "MemoryExhaustion"
    INVALID_MESSAGES = "InvalidMessages"
    ATTEMPTED_REPLAY_ATTACKS = "AttemptedReplayAttacks"
    TAMPER_DETECTION_ACTIVATED = "TamperDetectionActivated"
    INVALID_FIRMWARE_SIGNATURE = "InvalidFirmwareSignature"
    INVALID_FIRMWARE_SIGNING_CERTIFICATE = "InvalidFirmwareSigningCertificate"
    INVALID_CENTRAL_SYSTEM_CERTIFICATE = "InvalidCentralSystemCertificate"
    INVALID_CHARGE_POINT_CERTIFICATE = "InvalidChargePointCertificate"
    INVALID_TLS_VERSION = "InvalidTLSVersion"
    INVALID_TLS_CIPHER_SUITE = "InvalidTLSCipherSuite"


#: What is sent: the critical events, and the bad certificates, which certification tests wait for.
NOTIFIED = frozenset(
    {
        Kind.FIRMWARE_UPDATED,
        Kind.SETTING_SYSTEM_TIME,
        Kind.STARTUP_OF_THE_DEVICE,
        Kind.RESET_OR_REBOOT,
        Kind.SECURITY_LOG_WAS_CLEARED,
        Kind.MEMORY_EXHAUSTION,
        Kind.TAMPER_DETECTION_ACTIVATED,
        Kind.INVALID_FIRMWARE_SIGNATURE,
        Kind.INVALID_FIRMWARE_SIGNING_CERTIFICATE,
        Kind.INVALID_CENTRAL_SYSTEM_CERTIFICATE,
        Kind.INVALID_CHARGE_POINT_CERTIFICATE,
    }
)


class SecurityEvent(msgspec.Struct, frozen=True, gc=False):
    """An event of the log; ``time`` is POSIX seconds on the station's clock."""

    time: float
    kind: Kind
    tech_info: str


class _Kept(msgspec.Struct):
    log: list[SecurityEvent] = []
    waiting: list[SecurityEvent] = []


class SecurityEvents:
    """Log and notifications of one station."""

    __slots__ = ("_attempts", "_log", "_outstanding", "_queue", "_retry", "_station", "_stranger")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        # Lists, not deques: they are nearly empty in every station of a fleet, and an empty deque takes 600 bytes.
        self._log: list[SecurityEvent] = []
        self._queue: list[SecurityEvent] = []
        self._outstanding = False
        self._attempts = 0
        self._retry: Timer | None = None
        #: The central system has said that it does not know the message.
        self._stranger = False

    @property
    def log(self) -> tuple[SecurityEvent, ...]:
        """The events, the oldest first."""
        return tuple(self._log)

    @property
    def waiting(self) -> int:
        """Notifications that the central system has not answered yet."""
        return len(self._queue)

    def log_lines(self) -> list[tuple[float, str]]:
        """The log, the oldest event first: instant, and a line with instant, type and technical information."""
        return [
            (event.time, f"{format_timestamp(event.time)} {event.kind} {event.tech_info}".rstrip())
            for event in self._log
        ]

    def record(self, kind: Kind, tech_info: str = "", *, notify: bool) -> None:
        """Put an event into the log, and with ``notify`` into the queue if it is one that is sent."""
        station = self._station
        event = SecurityEvent(station.now(), kind, " ".join(tech_info.split())[:TECH_INFO_LENGTH])
        self._log.append(event)
        del self._log[:-LOG_LENGTH]
        sent = (
            notify
            and kind in NOTIFIED
            and not self._stranger
            and station.info.template.commands_support.allows_outgoing("SecurityEventNotification")
        )
        tell = station.log.info if sent else station.log.debug  # every boot is one: no line of the log for each
        tell("security event %s %s", kind, event.tech_info)
        station.remember(SOON if sent else LATER)
        if not sent:
            return
        if len(self._queue) >= QUEUE_LENGTH:
            lost = self._queue.pop(1 if self._outstanding else 0)
            station.log.error("the security event %s is lost: %s notifications wait", lost.kind, QUEUE_LENGTH)
        self._queue.append(event)
        self._send_next()

    def power_up(self) -> None:
        """The station boots, maybe to meet a central system that has learnt the message meanwhile."""
        self._stranger = False

    def online(self) -> None:
        """The central system has accepted the station: what waits is sent."""
        self._attempts = 0
        self._send_next()

    def _send_next(self) -> None:
        if self._outstanding or not self._queue or not self._station.online:
            return
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        event = self._queue[0]
        self._outstanding = True
        self._station.lane.send(
            SecurityEventNotificationRequest(
                type=str(event.kind), timestamp=format_timestamp(event.time), tech_info=event.tech_info or None
            ),
            self._answered,
        )

    def _answered(self, result: Result) -> None:
        self._outstanding = False
        if isinstance(result, outcome.Value):
            self._queue.pop(0)
            self._station.remember(SOON)
            self._attempts = 0
            self._send_next()
            return
        error = result.error
        if isinstance(error, NotConnected | NotAllowed):
            return  # goes again when the station is accepted the next time
        if isinstance(error, CallRefusedByPeer) and error.code in {ErrorCode.NOT_IMPLEMENTED, ErrorCode.NOT_SUPPORTED}:
            self._station.log.warning(
                "the central system does not know SecurityEventNotification: %s event(s) stay in the security log only",
                len(self._queue),
            )
            self._stranger = True
            self._queue.clear()
            self._station.remember(SOON)
            return
        self._attempts += 1
        pause = min(RETRY_AFTER * self._attempts, RETRY_AT_MOST)
        self._retry = self._station.clock.call_later_wall(pause, self._station.guarded(self._send_next))

    # -- memory ------------------------------------------------------------------------------------------------------

    def to_memory(self) -> dict[str, Any]:
        """The latest events of the log, and all that wait to be sent; empty without any."""
        parts = {"log": self._log[-LOG_KEPT:], "waiting": self._queue}
        return {name: msgspec.to_builtins(events) for name, events in parts.items() if events}

    def from_memory(self, kept: Any) -> None:
        """Take what :meth:`to_memory` gave. :raises ValueError: that cannot be used."""
        found = msgspec.convert(kept, _Kept)
        self._log[:0] = found.log
        self._queue[:0] = found.waiting
