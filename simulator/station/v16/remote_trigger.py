"""Remote trigger profile: messages that the central system asks for (OCPP 1.6 §5.17)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from simulator.ocpp.v16.enums import MessageTrigger, ReadingContext, TriggerMessageStatus
from simulator.ocpp.v16.messages import (
    MeterValuesRequest,
    TriggerMessageRequest,
    TriggerMessageResponse,
    profile_of,
)
from simulator.station.metering import let_idle, main_meter_value, meter_value
from simulator.station.v16.dispatch import Answer, Effect, Handler

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation

Trigger = MessageTrigger


class RemoteTriggerProfile:
    """The RemoteTrigger profile of one station."""

    def __init__(self, station: ChargingStation) -> None:
        self._station = station

    def handlers(self) -> Mapping[str, Handler]:
        """Handler by action."""
        return {"TriggerMessage": self.trigger_message}

    def trigger_message(self, request: TriggerMessageRequest) -> Answer:
        """Answer first, then send what was asked for; a connector that does not exist is refused where it matters."""
        status, effect = self.trigger(request)
        return Answer(TriggerMessageResponse(status=status), effect)

    def trigger(self, request: TriggerMessageRequest) -> tuple[TriggerMessageStatus, Effect | None]:
        """What to answer, and what to do then."""
        asked, station = request.requested_message, self._station
        switches = station.info.template.message_trigger_support
        if not self._is_there(asked) or switches.get(str(asked), True) is False:
            return TriggerMessageStatus.NOT_IMPLEMENTED, None
        if station.registration.status is None and asked != Trigger.BOOT_NOTIFICATION:
            return TriggerMessageStatus.REJECTED, None  # until the boot is answered nothing else may be sent
        of_connectors = asked in {Trigger.STATUS_NOTIFICATION, Trigger.METER_VALUES}
        if of_connectors and request.connector_id is not None and request.connector_id not in station.connectors:
            return TriggerMessageStatus.REJECTED, None
        if asked == Trigger.BOOT_NOTIFICATION and station.registration.accepted:
            return TriggerMessageStatus.REJECTED, None

        async def send() -> None:
            if asked == Trigger.BOOT_NOTIFICATION:
                station.registration.boot_again()
            elif asked == Trigger.HEARTBEAT:
                station.registration.send_heartbeat()
            elif asked == Trigger.DIAGNOSTICS_STATUS_NOTIFICATION:
                station.uploads.send_diagnostics_status()
            elif asked == Trigger.FIRMWARE_STATUS_NOTIFICATION:
                station.firmware.send_status()
            else:
                for connector in self._connectors(request.connector_id):
                    if asked == Trigger.STATUS_NOTIFICATION:
                        station.status.report(connector, triggered=True)
                    elif connector.id > 0:
                        self._send_meter_values(connector)
                    elif request.connector_id == 0:
                        self._send_main_meter_values()

        return TriggerMessageStatus.ACCEPTED, send

    def _is_there(self, asked: MessageTrigger) -> bool:
        """Whether the station sends such messages at all: their profile is offered, and they are not switched off."""
        station, action = self._station, str(asked)
        if not station.info.template.commands_support.allows_outgoing(action):
            return False
        profile = profile_of(action)
        return profile == "Core" or profile in station.keys.items("SupportedFeatureProfiles")

    def _connectors(self, connector_id: int | None) -> list[Connector]:
        connectors = self._station.connectors
        return list(connectors.values()) if connector_id is None else [connectors[connector_id]]

    def _send_main_meter_values(self) -> None:
        """Connector 0 is the main meter (OCPP 1.6 §4.7); a trigger without a connector means those of the vehicles."""
        station = self._station
        station.settle_energy()
        measurands = station.keys.text("MeterValuesSampledData")
        reading = main_meter_value(station, measurands, ReadingContext.TRIGGER, station.now())
        station.lane.send(MeterValuesRequest(connector_id=0, meter_value=(reading,)), triggered=True)

    def _send_meter_values(self, connector: Connector) -> None:
        station = self._station
        station.settle_energy()
        let_idle(station, connector)
        reading = meter_value(station, connector, station.keys.text("MeterValuesSampledData"), ReadingContext.TRIGGER)
        transaction = connector.transaction
        station.lane.send(
            MeterValuesRequest(
                connector_id=connector.id,
                transaction_id=transaction.id if transaction is not None else None,
                meter_value=(reading,),
            ),
            triggered=True,
        )
