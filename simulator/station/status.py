"""StatusNotification: what the central system is told of the connectors, and when (OCPP 1.6 §4.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import outcome

from simulator.ocpp.v16.messages import StatusNotificationRequest
from simulator.station.calls import Result
from simulator.timestamps import format_timestamp

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation

#: The OCA schema's limit for ``info``.
INFO_LENGTH = 50


class StatusReports:
    """The status reports of one station. Nothing is queued while offline: on return only what changed is told."""

    def __init__(self, station: ChargingStation) -> None:
        self._station = station

    def report(self, connector: Connector, *, triggered: bool = False) -> None:
        """Send the connector's present status; offline it stays unreported."""
        station = self._station
        if not station.online and not triggered:
            return
        told = (connector.status, connector.error_code)

        def answered(result: Result) -> None:
            if isinstance(result, outcome.Value):
                connector.reported = told

        station.lane.send(
            StatusNotificationRequest(
                connector_id=connector.id,
                error_code=connector.error_code,
                status=connector.status,
                info=connector.info[:INFO_LENGTH] if connector.info else None,
                timestamp=format_timestamp(station.now()),
            ),
            answered,
            triggered=triggered,
        )

    def forget(self) -> None:
        """The station has booted: the central system is to be told everything anew."""
        for connector in self._station.connectors.values():
            connector.reported = None

    def report_changed(self) -> None:
        """After a boot: every connector, 0 first. After a reconnection: those that the central system knows wrongly."""
        for connector in self._station.connectors.values():
            if connector.reported != (connector.status, connector.error_code):
                self.report(connector)
