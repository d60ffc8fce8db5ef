"""Procedures that send an OCPP message: the verdict is the central system's, and no answer is a failure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
import trio

from simulator.control.asked import Asked, Handler
from simulator.control.fanout import Failed
from simulator.control.verbs import connector_of, must_run
from simulator.ocpp.v16.enums import ReadingContext, Reason
from simulator.ocpp.v16.messages import (
    AuthorizeRequest,
    DataTransferRequest,
    DiagnosticsStatusNotificationRequest,
    FirmwareStatusNotificationRequest,
    HeartbeatRequest,
    LogStatusNotificationRequest,
    MeterValuesRequest,
    Request,
    SecurityEventNotificationRequest,
    SignCertificateRequest,
    StatusNotificationRequest,
    to_payload,
)
from simulator.ocpp.v16.messages import (
    Response as OcppResponse,
)
from simulator.station.authorization import DEFAULT_ID_TAG
from simulator.station.journal import UNKNOWN_ID
from simulator.station.metering import let_idle, meter_value
from simulator.station.registration import boot_notification
from simulator.station.station import ChargingStation
from simulator.timestamps import format_timestamp
from ui_protocol.base import Response

R = TypeVar("R", bound=OcppResponse)

#: Makes the message of one station.
Make = Callable[[ChargingStation], Request[R]]


def must_be_connected(station: ChargingStation) -> None:
    """:raises Failed: nothing can be sent to the central system now."""
    must_run(station)
    if not station.lane.connected:
        raise Failed("not connected to the central system")


async def _send(asked: Asked, make: Make[R], accepted: Callable[[R], bool] = lambda answer: True) -> Response:
    """Send a message from each station; what the central system answers must be ``accepted``."""

    async def send(station: ChargingStation) -> None:
        must_be_connected(station)
        answer: R = await station.lane.call(make(station))
        if not accepted(answer):
            raise Failed(None, to_payload(answer))

    return await asked.of_stations(send)


def _is_accepted(answer: Any) -> bool:
    return str(answer.status) == "Accepted"


async def authorize(asked: Asked) -> Response:
    """Send Authorize."""
    id_tag = asked.request.id_tag or DEFAULT_ID_TAG
    return await _send(
        asked, lambda station: AuthorizeRequest(id_tag=id_tag), lambda answer: _is_accepted(answer.id_tag_info)
    )


async def boot(asked: Asked) -> Response:
    """Send BootNotification; the answer becomes the station's registration."""
    given = {
        name: value
        for name, value in msgspec.structs.asdict(asked.request).items()
        if name != "hash_ids" and value is not None
    }

    async def send(station: ChargingStation) -> None:
        must_be_connected(station)
        request = msgspec.structs.replace(boot_notification(station), **given)
        answer = await station.lane.call(request, triggered=True)
        station.registration.refreshed(answer)
        if not _is_accepted(answer):
            raise Failed(None, to_payload(answer))

    return await asked.of_stations(send)


async def heartbeat(asked: Asked) -> Response:
    """Send Heartbeat."""
    return await _send(asked, lambda station: HeartbeatRequest())


async def meter_values(asked: Asked) -> Response:
    """Send MeterValues: those given, or what the meter shows."""
    request = asked.request

    def make(station: ChargingStation) -> MeterValuesRequest:
        connector = connector_of(station, request.connector_id)
        values = request.meter_value
        if values is None:
            station.settle_energy()
            let_idle(station, connector)
            measurands = station.keys.text("MeterValuesSampledData")
            values = (meter_value(station, connector, measurands, ReadingContext.SAMPLE_PERIODIC),)
        transaction_id = request.transaction_id
        if transaction_id is None and connector.transaction is not None:
            transaction_id = connector.transaction.id
        return MeterValuesRequest(connector_id=connector.id, transaction_id=transaction_id, meter_value=values)

    return await _send(asked, make)


async def status_notification(asked: Asked) -> Response:
    """Send StatusNotification; the connector itself stays as it is."""
    request = asked.request

    def make(station: ChargingStation) -> StatusNotificationRequest:
        connector_of(station, request.connector_id, with_station=True)
        return StatusNotificationRequest(
            connector_id=request.connector_id,
            error_code=request.error_code,
            status=request.status,
            info=request.info,
            timestamp=format_timestamp(station.now()),
            vendor_id=request.vendor_id,
            vendor_error_code=request.vendor_error_code,
        )

    return await _send(asked, make)


async def start_transaction(asked: Asked) -> Response:
    """Begin a transaction; a success once the central system has accepted it."""
    request = asked.request

    async def start(station: ChargingStation) -> None:
        must_be_connected(station)
        connector = connector_of(station, request.connector_id)
        if not station.in_service:
            raise Failed("the station is not in service")
        if not connector.usable:
            reason = "has a transaction" if connector.transaction is not None else f"is {connector.status}"
            raise Failed(f"connector {connector.id} {reason}")
        transaction = station.sessions.begin(connector, request.id_tag or DEFAULT_ID_TAG)
        answered = trio.Event()
        verdict = False

        def take(accepted: bool) -> None:
            nonlocal verdict
            verdict = accepted
            answered.set()

        transaction.when_started(take)
        await answered.wait()
        if transaction.id is None or transaction.id == UNKNOWN_ID:
            raise Failed("no response from the central system")
        if not verdict:
            raise Failed(f"the central system did not accept the tag; it numbered the transaction {transaction.id}")

    return await asked.of_stations(start)


async def stop_transaction(asked: Asked) -> Response:
    """End a transaction; a success once the central system knows. Without ``hashIds`` the one that runs it is meant."""
    request = asked.request
    reason = request.reason or Reason.LOCAL
    if request.hash_ids is None:
        holders = [
            station.info.hash_id
            for station in asked.control.fleet
            if station.sessions.by_id(request.transaction_id) is not None
        ]
        if not holders:
            raise Failed(f"no station runs transaction {request.transaction_id}")
        asked = msgspec.structs.replace(asked, request=msgspec.structs.replace(request, hash_ids=tuple(holders)))

    async def stop(station: ChargingStation) -> None:
        must_be_connected(station)
        transaction = station.sessions.by_id(request.transaction_id)
        if transaction is None:
            raise Failed(f"the station does not run transaction {request.transaction_id}")
        station.sessions.end(transaction, reason)
        if not await transaction.stop_delivered():
            raise Failed("no response from the central system")

    return await asked.of_stations(stop)


async def data_transfer(asked: Asked) -> Response:
    """Send DataTransfer."""
    request = asked.request
    message = DataTransferRequest(vendor_id=request.vendor_id, message_id=request.message_id, data=request.data)
    return await _send(asked, lambda station: message, _is_accepted)


async def diagnostics_status(asked: Asked) -> Response:
    """Send DiagnosticsStatusNotification."""
    status = asked.request.status
    return await _send(asked, lambda station: DiagnosticsStatusNotificationRequest(status=status))


async def firmware_status(asked: Asked) -> Response:
    """Send FirmwareStatusNotification."""
    status = asked.request.status
    return await _send(asked, lambda station: FirmwareStatusNotificationRequest(status=status))


async def log_status(asked: Asked) -> Response:
    """Send LogStatusNotification (OCPP 1.6 security extension)."""
    request = asked.request
    message = LogStatusNotificationRequest(status=request.status, request_id=request.request_id)
    return await _send(asked, lambda station: message)


async def security_event(asked: Asked) -> Response:
    """Send SecurityEventNotification (OCPP 1.6 security extension)."""
    request = asked.request

    def make(station: ChargingStation) -> SecurityEventNotificationRequest:
        at = request.timestamp or format_timestamp(station.now())
        return SecurityEventNotificationRequest(type=request.type, timestamp=at, tech_info=request.tech_info)

    return await _send(asked, make)


async def sign_certificate(asked: Asked) -> Response:
    """Send SignCertificate (OCPP 1.6 security extension)."""
    csr = asked.request.csr
    return await _send(asked, lambda station: SignCertificateRequest(csr=csr), _is_accepted)


OCPP_HANDLERS: dict[str, Handler] = {
    "authorize": authorize,
    "bootNotification": boot,
    "heartbeat": heartbeat,
    "meterValues": meter_values,
    "startTransaction": start_transaction,
    "statusNotification": status_notification,
    "stopTransaction": stop_transaction,
    "dataTransfer": data_transfer,
    "diagnosticsStatusNotification": diagnostics_status,
    "firmwareStatusNotification": firmware_status,
    "logStatusNotification": log_status,
    "securityEventNotification": security_event,
    "signCertificate": sign_certificate,
}
