"""StatusNotification: what the central system is told of the connectors, and when (OCPP 1.6 §4.9)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import outcome

from simulator.clock import Timer
from simulator.ocpp.v16.enums import ChargePointErrorCode
from simulator.ocpp.v16.messages import StatusNotificationRequest
from simulator.station.call_results import Result
from simulator.timestamps import format_timestamp

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation

#: The OCA schema's limit for ``info``.
INFO_LENGTH = 50


class StatusReports:
    """The status reports of one station. Nothing is queued while offline: on return only what changed is told."""

    __slots__ = ("_lasting", "_station")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        #: By connector: until its status has lasted MinimumStatusDuration.
        self._lasting: dict[int, Timer] = {}

    def changed(self, connector: Connector) -> None:
        """A connector has changed: report it, once the change has lasted MinimumStatusDuration (§9.1.17)."""
        lasting = self._lasting.pop(connector.id, None)
        if lasting is not None:
            lasting.cancel()
        seconds = self._station.keys.number("MinimumStatusDuration")
        if seconds <= 0 or self._station.stopping:
            self.report(connector)
        else:
            lasted = self._station.guarded(partial(self._lasted, connector))
            self._lasting[connector.id] = self._station.clock.call_later(seconds, lasted)

    def _lasted(self, connector: Connector) -> None:
        self._lasting.pop(connector.id, None)
        if connector.reported != (connector.status, connector.error_code):
            self.report(connector)

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

    def warn(self, connector: Connector | None, error_code: ChargePointErrorCode) -> None:
        """Tell of trouble that leaves the status as it is (OCPP 1.6 §4.9: an error code without Faulted)."""
        station = self._station
        if connector is not None and station.online:
            station.lane.send(
                StatusNotificationRequest(
                    connector_id=connector.id,
                    error_code=error_code,
                    status=connector.status,
                    timestamp=format_timestamp(station.now()),
                )
            )

    def forget(self) -> None:
        """The station has booted: the central system is to be told everything anew."""
        for connector in self._station.connectors.values():
            connector.reported = None

    @property
    def untold(self) -> bool:
        """Whether there is a connector of which the central system has been told nothing in this boot."""
        return any(connector.reported is None for connector in self._station.connectors.values())

    def report_changed(self) -> None:
        """After a boot: every connector, 0 first. After a reconnection: those that the central system knows wrongly."""
        for connector in self._station.connectors.values():
            if connector.reported != (connector.status, connector.error_code):
                self.report(connector)
