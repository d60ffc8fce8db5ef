"""What a central system knows of one station."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from simulator.csms.link import Link, StationNotConnected
from simulator.csms.violations import StationViolation, ViolationKind

# A station that breaks a rule with every message must not eat the memory of a run of days.
_VIOLATIONS_KEPT = 500
_IDS_REMEMBERED = 256


class ConnectorReport(msgspec.Struct, frozen=True):
    """The last StatusNotification of a connector. ``connection`` is the number of the connection it came on."""

    status: str
    error_code: str
    connection: int
    timestamp: str | None = None
    info: str | None = None
    vendor_error_code: str | None = None


class Station:
    """A station by its identity. It outlives its connections.

    Read freely; only the central system writes.
    """

    __slots__ = (
        "_ids",
        "boot",
        "boots",
        "connections",
        "connectors",
        "instructed",
        "interval",
        "last_seen",
        "link",
        "received",
        "registers",
        "registration",
        "signing_request",
        "station_id",
        "violation_counts",
        "violations",
    )

    def __init__(self, station_id: str) -> None:
        self.station_id = station_id
        #: The open connection.
        self.link: Link | None = None
        #: How many connections there have been.
        self.connections = 0
        #: The answer to the last BootNotification: None before the first, else Accepted, Pending or Rejected.
        self.registration: str | None = None
        #: The interval of that answer, in seconds.
        self.interval = 0
        #: The last BootNotification, and how many there have been.
        self.boot: Mapping[str, Any] = {}
        self.boots = 0
        #: The last status by connector.
        self.connectors: dict[int, ConnectorReport] = {}
        #: The last reading of the import register by connector: POSIX seconds, Wh.
        self.registers: dict[int, tuple[float, float]] = {}
        #: CALLs received, by action.
        self.received: Counter[str] = Counter()
        #: POSIX seconds of the last frame.
        self.last_seen = 0.0
        #: Actions that a pending station was asked for and may therefore send.
        self.instructed: set[str] = set()
        #: The CSR of the last SignCertificate; whoever runs the central system signs it and calls CertificateSigned.
        self.signing_request: str | None = None
        #: The first 500 things that the station did wrong, and the count of all of them by kind.
        self.violations: list[StationViolation] = []
        self.violation_counts: Counter[ViolationKind] = Counter()
        self._ids: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<Station {self.station_id} {self.registration} {'online' if self.connected else 'offline'}>"

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return self.link is not None

    async def call(
        self, action: str, payload: Mapping[str, Any] | msgspec.Struct | None = None, *, timeout: float = 30.0
    ) -> dict[str, Any]:
        """Send a CALL and wait for its answer; calls to one station queue up, since only one may be outstanding.

        The payload is sent as it is, also where OCPP forbids it.

        :param timeout: wall seconds for the wait in the queue and for the answer.
        :returns: the payload of the CALLRESULT.
        :raises CallRejected: the station answered with a CALLERROR.
        :raises CallUnanswered: no answer in time; one that comes later is dropped.
        :raises StationNotConnected: there is no connection, or it ended before the answer.

        On cancel the answer is dropped when it comes.
        """
        if self.link is None:
            raise StationNotConnected(f"{self.station_id} is not connected")
        self._note_instruction(action, payload)
        return await self.link.call(action, {} if payload is None else payload, timeout)

    def send_raw(self, text: str) -> None:
        """Send a text frame of any content.

        :raises StationNotConnected: there is no connection.
        """
        if self.link is None:
            raise StationNotConnected(f"{self.station_id} is not connected")
        self.link.send(text)

    # -- for the central system ------------------------------------------------------------------------------------

    def add_violation(self, violation: StationViolation) -> None:
        """Write down what the station did wrong."""
        self.violation_counts[violation.kind] += 1
        if len(self.violations) < _VIOLATIONS_KEPT:
            self.violations.append(violation)

    def is_new_id(self, message_id: str, text: str) -> bool:
        """Whether the id of a CALL is fresh among the latest ones; the identical frame sent again counts as fresh.

        A retry may carry the id of the message that it repeats.
        """
        mark = hash(text)
        known = self._ids.setdefault(message_id, mark)
        if len(self._ids) > _IDS_REMEMBERED:
            del self._ids[next(iter(self._ids))]
        return known == mark

    def _note_instruction(self, action: str, payload: Mapping[str, Any] | msgspec.Struct | None) -> None:
        if self.registration != "Pending":
            return
        asked = _REPORTS_OF.get(action, ())
        if action in ("TriggerMessage", "ExtendedTriggerMessage"):
            fields = payload if isinstance(payload, Mapping) else msgspec.to_builtins(payload)
            asked = _TRIGGERED.get(str(fields.get("requestedMessage")), ()) if fields else ()
        self.instructed.update(asked)


# What a station may send before its boot is accepted because the central system has asked for it.
_REPORTS_OF: Mapping[str, tuple[str, ...]] = {
    "GetDiagnostics": ("DiagnosticsStatusNotification",),
    "GetLog": ("LogStatusNotification",),
    "UpdateFirmware": ("FirmwareStatusNotification",),
    "SignedUpdateFirmware": ("SignedFirmwareStatusNotification",),
}
_TRIGGERED: Mapping[str, tuple[str, ...]] = {
    "SignChargePointCertificate": ("SignCertificate",),
    "FirmwareStatusNotification": ("FirmwareStatusNotification", "SignedFirmwareStatusNotification"),
    **{
        name: (name,)
        for name in (
            "BootNotification",
            "DiagnosticsStatusNotification",
            "Heartbeat",
            "LogStatusNotification",
            "MeterValues",
            "StatusNotification",
        )
    },
}
