"""Progress reports: sent one after the other, and kept until the central system can take them.

A firmware update spans reboots and lost connections. Whoever watches it wants every step in its order, so a report
that cannot leave now waits for the next time that the station is accepted (the standard leaves that open), be it in
another process.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import outcome

from simulator.ocpp.v16.messages import Request, action_of, read_request, to_payload
from simulator.station.call_results import Result

if TYPE_CHECKING:
    from simulator.station.station import ChargingStation

#: Reports that may wait; the oldest goes first.
MOST_WAITING = 50


class Notices:
    """The progress reports of one station. They survive resets."""

    __slots__ = ("_station", "_under_way", "_waiting")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self._waiting: list[Request[Any]] = []  # a deque would take 600 bytes when it is empty
        self._under_way: Request[Any] | None = None

    def post(self, request: Request[Any]) -> None:
        """Send a report after those that wait. One that ``commandsSupport`` switches off is dropped."""
        if self._station.info.template.commands_support.allows_outgoing(action_of(request)):
            self._waiting.append(request)
            del self._waiting[:-MOST_WAITING]
            self._station.remember()
            self.station_accepted()

    def station_accepted(self) -> None:
        """Send what waits, if the station may."""
        if self._under_way is None and self._waiting and self._station.online:
            request = self._under_way = self._waiting[0]
            self._station.lane.send(request, partial(self._answered, request))

    def _answered(self, request: Request[Any], result: Result) -> None:
        self._under_way = None
        if isinstance(result, outcome.Error) and not self._station.online:
            return  # lost with the connection: it goes again on the next one
        # Refused or unanswered ones are not repeated: the next says more.
        if self._waiting and self._waiting[0] is request:
            del self._waiting[0]
            self._station.remember()
        self.station_accepted()

    # -- memory ------------------------------------------------------------------------------------------------------

    def to_memory(self) -> Any:
        """The reports that wait, as (action, content); None without any."""
        return [(action_of(request), to_payload(request)) for request in self._waiting] or None

    def from_memory(self, kept: Any) -> None:
        """Take what :meth:`to_memory` gave. :raises ValueError, LookupError: that cannot be used."""
        found = msgspec.convert(kept, list[tuple[str, dict[str, Any]]])
        self._waiting.extend(read_request(action, payload) for action, payload in found)
        del self._waiting[:-MOST_WAITING]
