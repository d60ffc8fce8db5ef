"""The central system without its connections: what it knows, what it answers, what it objects to. No IO.

Answers are plain functions of (station, payload), looked up by action: nothing here waits, so a connection's reader
answers on the spot.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from simulator.csms.ledger import Ledger, LedgerTransaction, StopKind
from simulator.csms.policy import BootPolicy, TagTable
from simulator.csms.rules import REGISTER_TOLERANCE, import_registers, status_problem
from simulator.csms.station import ConnectorReport, Station
from simulator.csms.violations import StationViolation, ViolationKind
from simulator.ocpp.errors import CallRefused, ErrorCode
from simulator.ocpp.frames import Call
from simulator.ocpp.v16.messages import CENTRAL_SYSTEM_ACTIONS
from simulator.ocpp.validation import PayloadValidator
from simulator.timestamps import format_timestamp

log = logging.getLogger("simulator.csms")

Payload = dict[str, Any]
Answer = Callable[[Station, Payload], Payload]

# Answers without content share one object; nobody writes into an answer.
_NOTHING: Payload = {}

# What a station says that never learnt the id of its transaction (OCPP 1.6 errata §3.18).
_NEVER_LEARNT = -1


class OfficeOptions(TypedDict, total=False):
    """The options of :class:`BackOffice`, for those that pass them on."""

    boot: BootPolicy | None
    tags: TagTable | None
    validate: bool
    now: Callable[[], float]
    first_transaction_id: int
    accept_unregistered: bool


class BackOffice:
    """Stations, ledger, tags and boot policies, and the answers of a central system of OCPP 1.6.

    :param boot: the answer to BootNotification; ``boots`` holds the exceptions by station id.
    :param tags: what is known of idTags; by default every tag is accepted.
    :param validate: hold every message against its schema and the rules of the standard. Without, an invalid request
        is found only when it cannot be answered, and message ids, values and schemas are not looked at.
    :param now: POSIX seconds; a simulator with a clock of its own passes ``clock.now``.
    :param first_transaction_id: transaction ids are handed out upwards from here.
    :param accept_unregistered: answer a station that has not booted since this central system started. Right where the
        central system may be restarted under its stations, which then need not boot again (OCPP-J 1.6 §5.3) and go on
        with transactions whose ids this central system has not handed out.
    """

    def __init__(
        self,
        *,
        boot: BootPolicy | None = None,
        tags: TagTable | None = None,
        validate: bool = True,
        now: Callable[[], float] = time.time,
        first_transaction_id: int = 1,
        accept_unregistered: bool = False,
    ) -> None:
        self.boot = BootPolicy() if boot is None else boot
        self.boots: dict[str, BootPolicy] = {}
        self.tags = TagTable() if tags is None else tags
        self.ledger = Ledger(first_transaction_id=first_transaction_id)
        self.stations: dict[str, Station] = {}
        #: CALLs received, by action.
        self.received: Counter[str] = Counter()
        #: CALLERRORs sent, by code.
        self.refused: Counter[str] = Counter()
        #: The answer by action. Replace one to change what the central system says.
        self.answers: dict[str, Answer] = {
            "Authorize": self._authorize,
            "BootNotification": self._boot_notification,
            "DataTransfer": self._data_transfer,
            "DiagnosticsStatusNotification": self._noted,
            "FirmwareStatusNotification": self._noted,
            "Heartbeat": self._heartbeat,
            "LogStatusNotification": self._noted,
            "MeterValues": self._meter_values,
            "SecurityEventNotification": self._noted,
            "SignCertificate": self._sign_certificate,
            "SignedFirmwareStatusNotification": self._noted,
            "StartTransaction": self._start_transaction,
            "StatusNotification": self._status_notification,
            "StopTransaction": self._stop_transaction,
        }
        #: Told of everything that a station does wrong.
        self.on_violation: Callable[[StationViolation, Station], None] = lambda violation, station: None
        self.now = now
        self.validate = validate
        self._accept_unregistered = accept_unregistered
        self.validator = PayloadValidator("1.6")

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def violations(self) -> list[StationViolation]:
        """What all stations did wrong, the earliest first."""
        found = [violation for station in self.stations.values() for violation in station.violations]
        found.sort(key=lambda violation: violation.at)
        return found

    def violation_counts(self) -> Counter[ViolationKind]:
        """How often each rule was broken."""
        total: Counter[ViolationKind] = Counter()
        for station in self.stations.values():
            total.update(station.violation_counts)
        return total

    def summary(self) -> dict[str, Any]:
        """Counts of everything as plain JSON types."""
        stations = self.stations.values()
        return {
            "stations": {
                "known": len(self.stations),
                "connected": sum(1 for station in stations if station.connected),
                "accepted": sum(1 for station in stations if station.registration == "Accepted"),
            },
            "received": dict(sorted(self.received.items())),
            "refused": dict(sorted(self.refused.items())),
            "transactions": self.ledger.totals(),
            "violations": {str(kind): count for kind, count in sorted(self.violation_counts().items())},
        }

    def station(self, station_id: str) -> Station:
        """The station of that identity; it comes to be when it is first named."""
        station = self.stations.get(station_id)
        if station is None:
            station = self.stations[station_id] = Station(station_id)
        return station

    # -- objecting -------------------------------------------------------------------------------------------------

    def note(
        self,
        station: Station,
        kind: ViolationKind,
        detail: str,
        *,
        action: str | None = None,
        message_id: str | None = None,
    ) -> None:
        """Write down what a station did wrong."""
        violation = StationViolation(station.station_id, kind, detail, self.now(), action, message_id)
        station.add_violation(violation)
        log.debug("%s", violation)
        self.on_violation(violation, station)

    # -- answering -------------------------------------------------------------------------------------------------

    def answer(self, station: Station, call: Call) -> Payload:
        """The payload that answers a CALL.

        :raises CallRefused: the CALL is to be answered with that CALLERROR.
        """
        action = call.action
        handler = self.answers.get(action)
        if handler is None:
            known = action in CENTRAL_SYSTEM_ACTIONS
            code = ErrorCode.NOT_SUPPORTED if known else ErrorCode.NOT_IMPLEMENTED
            what = "goes to stations only" if known else "is no action of OCPP 1.6"
            raise self._refuse(station, call, ViolationKind.UNKNOWN_ACTION, code, f"{action} {what}")
        payload = call.payload
        if type(payload) is not dict:
            text = "the payload must be an object"
            raise self._refuse(station, call, ViolationKind.INVALID_REQUEST, ErrorCode.FORMATION_VIOLATION, text)
        if self.validate:
            self._check_schema(station, call, payload)
        if station.registration != "Accepted" and action != "BootNotification":
            self._check_registration(station, call)
        try:
            return handler(station, payload)
        except CallRefused:
            raise
        except Exception as error:
            # Unchecked payloads are the one reason that we expect: find out what is wrong with this one.
            self._check_schema(station, call, payload)
            log.exception("the answer to %s of %s failed", action, station.station_id)
            raise CallRefused(ErrorCode.INTERNAL_ERROR, f"{action} could not be processed", {}) from error

    def _refuse(
        self,
        station: Station,
        call: Call,
        kind: ViolationKind,
        code: ErrorCode,
        description: str,
        details: Mapping[str, object] | None = None,
    ) -> CallRefused:
        self.note(station, kind, description, action=call.action, message_id=call.message_id)
        return CallRefused(code, description, details)

    def _check_schema(self, station: Station, call: Call, payload: Payload) -> None:
        problem = self.validator.request(call.action, payload)
        if problem is not None:
            raise self._refuse(
                station, call, ViolationKind.INVALID_REQUEST, problem.code, problem.description, problem.details
            )

    def _check_registration(self, station: Station, call: Call) -> None:
        if station.registration == "Pending" and call.action in station.instructed:
            return
        if station.registration is None and self._accept_unregistered:
            return
        state = "before BootNotification" if station.registration is None else f"while {station.registration}"
        raise self._refuse(
            station, call, ViolationKind.NOT_REGISTERED, ErrorCode.SECURITY_ERROR, f"{call.action} {state}"
        )

    # -- the answers -----------------------------------------------------------------------------------------------

    @staticmethod
    def _noted(station: Station, payload: Payload) -> Payload:
        return _NOTHING

    def _boot_notification(self, station: Station, payload: Payload) -> Payload:
        policy = self.boots.get(station.station_id, self.boot)
        station.boot = payload
        station.boots += 1
        station.registration = policy.status
        station.interval = policy.interval
        station.instructed.clear()
        station.connectors.clear()
        return {"status": policy.status, "currentTime": format_timestamp(self.now()), "interval": policy.interval}

    def _heartbeat(self, station: Station, payload: Payload) -> Payload:
        return {"currentTime": format_timestamp(self.now())}

    def _authorize(self, station: Station, payload: Payload) -> Payload:
        return {"idTagInfo": self.tags[payload["idTag"]].id_tag_info(self.now())}

    def _data_transfer(self, station: Station, payload: Payload) -> Payload:
        return {"status": "UnknownVendorId"}

    def _sign_certificate(self, station: Station, payload: Payload) -> Payload:
        station.signing_request = payload["csr"]
        return {"status": "Accepted"}

    def _status_notification(self, station: Station, payload: Payload) -> Payload:
        connector_id: int = payload["connectorId"]
        status: str = payload["status"]
        connection = station.connections
        if self.validate:
            previous = station.connectors.get(connector_id)
            since = previous.status if previous is not None and previous.connection == connection else None
            problem = status_problem(connector_id, since, status)
            if problem is not None:
                self.note(station, ViolationKind.ILLEGAL_STATUS, problem, action="StatusNotification")
        station.connectors[connector_id] = ConnectorReport(
            status,
            payload["errorCode"],
            connection,
            payload.get("timestamp"),
            payload.get("info"),
            payload.get("vendorErrorCode"),
        )
        return _NOTHING

    def _start_transaction(self, station: Station, payload: Payload) -> Payload:
        connector_id: int = payload["connectorId"]
        id_tag: str = payload["idTag"]
        entry = self.tags[id_tag]
        info = entry.id_tag_info(self.now())
        start = self.ledger.start(
            station.station_id,
            connector_id=connector_id,
            id_tag=id_tag,
            id_tag_status=info["status"],
            meter_start=payload["meterStart"],
            timestamp=payload["timestamp"],
            reservation_id=payload.get("reservationId"),
            parent_id_tag=entry.parent_id_tag,
        )
        transaction = start.transaction
        if not start.repeated:
            self._check_start(station, payload, start.abandoned)
        return {"transactionId": transaction.transaction_id, "idTagInfo": info}

    def _check_start(self, station: Station, payload: Payload, abandoned: LedgerTransaction | None) -> None:
        connector_id: int = payload["connectorId"]
        if connector_id < 1:
            self.note(
                station,
                ViolationKind.IMPLAUSIBLE_VALUE,
                f"a transaction on connector {connector_id}",
                action="StartTransaction",
            )
        if abandoned is not None:
            self.note(
                station,
                ViolationKind.OVERLAPPING_TRANSACTION,
                f"transaction {abandoned.transaction_id} on connector {connector_id} was never stopped",
                action="StartTransaction",
            )
        if self.validate:
            if payload["meterStart"] == 0:
                # A register may count each transaction from zero.
                station.registers.pop(connector_id, None)
            reading = [
                {"timestamp": payload["timestamp"], "sampledValue": [{"value": payload["meterStart"]}]},
            ]
            self._check_registers(station, connector_id, reading, "StartTransaction")

    def _meter_values(self, station: Station, payload: Payload) -> Payload:
        transaction_id = payload.get("transactionId")
        connector_id = payload["connectorId"]
        if transaction_id is not None and transaction_id != _NEVER_LEARNT:
            transaction = self.ledger.open.get(transaction_id)
            if transaction is None:
                # The readings of the end may follow the stop.
                last = self.ledger.last_ended(station.station_id, connector_id)
                transaction = last if last is not None and last.transaction_id == transaction_id else None
            if self._is_of_another_run(transaction_id):
                pass
            elif transaction is None or transaction.station_id != station.station_id:
                self._unknown_transaction(station, "MeterValues", f"transaction {transaction_id} is not running")
            elif transaction.connector_id != connector_id:
                text = f"transaction {transaction_id} runs on connector {transaction.connector_id}, not {connector_id}"
                self._unknown_transaction(station, "MeterValues", text)
            else:
                self.ledger.book_meter_values(transaction)
        if self.validate:
            self._check_registers(station, connector_id, payload["meterValue"], "MeterValues")
        return _NOTHING

    def _stop_transaction(self, station: Station, payload: Payload) -> Payload:
        transaction_id: int = payload["transactionId"]
        id_tag = payload.get("idTag")
        stop = self.ledger.stop(
            station.station_id,
            transaction_id=transaction_id,
            meter_stop=payload["meterStop"],
            timestamp=payload["timestamp"],
            reason=payload.get("reason"),
            id_tag=id_tag,
        )
        transaction = stop.transaction
        if transaction is None:
            if transaction_id != _NEVER_LEARNT and not self._is_of_another_run(transaction_id):
                self._unknown_transaction(station, "StopTransaction", f"transaction {transaction_id} is not known")
        elif stop.kind is StopKind.CONFLICTING:
            self.note(
                station,
                ViolationKind.CONFLICTING_STOP,
                f"transaction {transaction_id} was stopped before with other values",
                action="StopTransaction",
            )
        elif stop.kind is StopKind.CLOSED:
            if transaction.energy < 0:
                self.note(
                    station,
                    ViolationKind.REGISTER_BACKWARDS,
                    f"meterStop {transaction.meter_stop} is below meterStart {transaction.meter_start}",
                    action="StopTransaction",
                )
            elif self.validate:
                last = {"timestamp": payload["timestamp"], "sampledValue": [{"value": payload["meterStop"]}]}
                readings = [*payload.get("transactionData", ()), last]
                self._check_registers(station, transaction.connector_id, readings, "StopTransaction")
        if id_tag is None:
            return _NOTHING
        return {"idTagInfo": self.tags[id_tag].id_tag_info(self.now())}

    def _is_of_another_run(self, transaction_id: int) -> bool:
        return self._accept_unregistered and not self.ledger.has_handed_out(transaction_id)

    def _unknown_transaction(self, station: Station, action: str, text: str) -> None:
        self.note(station, ViolationKind.UNKNOWN_TRANSACTION, text, action=action)

    def _check_registers(
        self, station: Station, connector_id: int, meter_value: Sequence[Mapping[str, Any]], action: str
    ) -> None:
        try:
            readings = list(import_registers(meter_value))
        except ValueError as error:
            self.note(station, ViolationKind.IMPLAUSIBLE_VALUE, str(error), action=action)
            return
        for instant, reading in readings:
            last = station.registers.get(connector_id)
            if last is not None:
                if instant < last[0]:
                    continue
                if reading < last[1] - REGISTER_TOLERANCE:
                    self.note(
                        station,
                        ViolationKind.REGISTER_BACKWARDS,
                        f"connector {connector_id}: {reading:g} Wh after {last[1]:g} Wh",
                        action=action,
                    )
            station.registers[connector_id] = (instant, reading)
