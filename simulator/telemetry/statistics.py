"""What the fleet did, counted from its events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from simulator import events
from simulator.events import EventBus

from .action_statistics import Names
from .fleet_actions import ActionCounters, ActionSummary, FleetActions, LatencySummary
from .histogram import Histogram
from .redaction import redact_text
from .station_statistics import Station, StationCounters

__all__ = ["ActionSummary", "FleetStatistics", "LatencySummary", "Names", "StationCounters", "StationStates"]


class StationStates(msgspec.Struct, frozen=True):
    """How many stations are in which state now."""

    configured: int
    started: int
    connected: int
    accepted: int
    """Of all stations: Accepted at least once in this run."""
    charging: int


class FleetStatistics:
    """Counts from the bus. A counted event costs about 1 µs; stations are known from their first event on.

    :param bus: the events of the fleet; :meth:`close` ends the reading.
    :param configured: number of stations that the run was asked for.
    :param keeps_actions: whether the station of that hashId keeps statistics of each action (``enableStatistics``);
        asked at each of its starts, so that an edited template counts from then on.
    :param now: POSIX seconds, for the times in the records.
    """

    def __init__(
        self,
        bus: EventBus,
        *,
        configured: int = 0,
        keeps_actions: Callable[[str], bool] = lambda _: True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.configured = configured
        self.calls_sent = 0
        self.calls_answered = 0
        self.call_errors = 0
        self.call_timeouts = 0
        self.calls_lost = 0
        self.calls_received = 0
        self.transactions_started = 0
        self.transactions_stopped = 0
        self.energy_wh = 0
        self.connects = 0
        self.connects_failed = 0
        self.disconnects = 0
        self.crashes = 0
        self.odd_frames: dict[str, int] = {}
        self._started = self._connected = self._charging = 0
        self._ever_started: set[str] = set()
        self._ever_accepted: set[str] = set()
        self._keeps_actions = keeps_actions
        self._now = now
        self._stations: dict[str, Station] = {}
        #: The last records of stations that were deleted; kept only while somebody takes records.
        self._departed: list[dict[str, Any]] | None = None
        self._actions = FleetActions()
        self._connecting = Histogram()
        self._booting = Histogram()
        self._unsubscribe = [
            bus.subscribe(events.CallSent, self._on_sent),
            bus.subscribe(events.CallAnswered, self._on_answered),
            bus.subscribe(events.CallErrorReceived, self._on_error),
            bus.subscribe(events.CallTimedOut, self._on_timeout),
            bus.subscribe(events.CallLost, self._on_lost),
            bus.subscribe(events.Timed, self._on_timed),
            bus.subscribe(events.CallReceived, self._on_received),
            bus.subscribe(events.OddFrameReceived, self._on_odd_frame),
            bus.subscribe(events.StationStarted, self._on_started),
            bus.subscribe(events.StationStopped, self._on_stopped),
            bus.subscribe(events.StationCrashed, self._on_crashed),
            bus.subscribe(events.Connected, self._on_connected),
            bus.subscribe(events.ConnectFailed, self._on_connect_failed),
            bus.subscribe(events.Disconnected, self._on_disconnected),
            bus.subscribe(events.Registered, self._on_registered),
            bus.subscribe(events.ConnectorStatusChanged, self._on_connector_status),
            bus.subscribe(events.TransactionStarted, self._on_transaction_started),
            bus.subscribe(events.TransactionStopped, self._on_transaction_stopped),
        ]

    def close(self) -> None:
        """Read no more events; what was counted stays readable."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []

    # -- reading: fleet ------------------------------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """The members of the run's final JSON object that are known here. ``started``: at least once in this run."""
        latency = self.latency()
        return {
            "stations": {
                "configured": self.configured,
                "started": len(self._ever_started),
                "accepted": len(self._ever_accepted),
            },
            "calls": {
                "sent": self.calls_sent,
                "answered": self.calls_answered,
                "errors": self.call_errors,
                "timeouts": self.call_timeouts,
            },
            "received": {"calls": self.calls_received},
            "transactions": {"started": self.transactions_started, "stopped": self.transactions_stopped},
            "energyWh": self.energy_wh,
            "latencyMs": {"p50": latency.p50, "p95": latency.p95, "p99": latency.p99, "max": latency.max},
        }

    def states(self) -> StationStates:
        """Stations by state, now."""
        return StationStates(self.configured, self._started, self._connected, len(self._ever_accepted), self._charging)

    def latency(self, action: str | None = None) -> LatencySummary:
        """How long answers took: of one action, or of all. A CALLERROR is an answer, a missed deadline is none."""
        return LatencySummary.of(self._actions.latency(action))

    def connect_time(self) -> LatencySummary:
        """How long connections took to open: name resolution, TCP, TLS and the WebSocket handshake."""
        return LatencySummary.of(self._connecting)

    def boot_time(self) -> LatencySummary:
        """How long stations took from an open connection to their acceptance, Pending and Rejected included."""
        return LatencySummary.of(self._booting)

    @property
    def in_flight(self) -> int:
        """CALLs that wait for their answer now."""
        done = self.calls_answered + self.call_errors + self.call_timeouts + self.calls_lost
        return self.calls_sent - done

    def actions(self) -> list[str]:
        """The actions of which an answer was measured."""
        return self._actions.measured()

    def by_action(self) -> list[ActionSummary]:
        """The counts and latencies of each action that was sent or received, by name."""
        return list(self._actions.summaries())

    def action_counters(self) -> Iterable[tuple[str, ActionCounters]]:
        """The counters themselves of each action that was sent or received, by name; to be read only."""
        return self._actions

    def durations(self) -> Mapping[str, Histogram]:
        """The histograms themselves of what else is measured of connections, in seconds; to be read only."""
        return {"connect": self._connecting, "boot": self._booting}

    def log_line(self) -> str:
        """The fleet's statistics for the log, in one line."""
        states = self.states()
        return (
            f"stations: {states.configured} configured, {states.started} started, {states.connected} connected, "
            f"{states.accepted} accepted, {states.charging} charging; "
            f"calls: {self.calls_sent} sent, {self.calls_answered} answered, {self.call_errors} errors, "
            f"{self.call_timeouts} timeouts, {self.in_flight} in flight, {self.calls_received} received; "
            f"transactions: {self.transactions_started} started, {self.transactions_stopped} stopped, "
            f"{self.energy_wh / 1000:.3f} kWh; latency: {self.latency().text()}; "
            f"connect time: {self.connect_time().text()}; boot time: {self.boot_time().text()}"
        )

    def actions_line(self) -> str | None:
        """The counts and latencies of each action for the log, in one line; None while there are none."""
        parts = []
        for each in self.by_action():
            part = f"{each.action}: "
            if each.sent:
                part += (
                    f"{each.sent} sent, {each.answered} answered, {each.errors} errors, {each.timeouts} timeouts, "
                    f"{each.in_flight} in flight, {each.latency.text()}"
                )
            if each.received:
                part += f"{', ' if each.sent else ''}{each.received} received"
            parts.append(part)
        return "; ".join(parts) or None

    # -- reading: stations ---------------------------------------------------------------------------------------------

    def station(self, hash_id: str) -> StationCounters | None:
        """The counters of one station; None while it has done nothing."""
        station = self._stations.get(hash_id)
        return None if station is None else station.counters(hash_id)

    def stations(self) -> Iterator[StationCounters]:
        """The counters of every station that has done anything."""
        for hash_id, station in self._stations.items():
            yield station.counters(hash_id)

    def keeps_records(self, hash_id: str) -> bool:
        """Whether there is a performance record of that station."""
        station = self._stations.get(hash_id)
        return station is not None and station.actions is not None

    def record(self, hash_id: str, names: Names = Names.COUNT_FIRST) -> dict[str, Any] | None:
        """The performance record of one station, statistics by action in ``statisticsData``; None if it keeps none."""
        station = self._stations.get(hash_id)
        return None if station is None else station.record(hash_id, names)

    def fresh_records(self) -> Iterator[dict[str, Any]]:
        """The records, for storage, of the stations that measured or counted something since their last such record.

        The series of each holds only what was measured since then: together they tell everything, and nothing twice.
        One reader takes them; what he has not taken of deleted stations is kept for him from his first call on.
        """
        if self._departed is None:
            self._departed = []
        while self._departed:
            yield self._departed.pop(0)
        for hash_id, station in list(self._stations.items()):
            if (record := station.fresh_record(hash_id)) is not None:
                yield record

    def station_log_line(self, hash_id: str) -> str | None:
        """One station's statistics by action for the log, in one line; None if it keeps none."""
        station = self._stations.get(hash_id)
        return None if station is None else station.log_line()

    def measure(self, hash_id: str, station_id: str, name: str, seconds: float) -> None:
        """Add a measurement that is no answer to a CALL: reading a template, writing a station's file."""
        station = self._stations.get(hash_id) or self._add(hash_id, station_id)
        if (action := station.action(name)) is not None:
            now = self._now()
            station.touch(now)
            action.measure(seconds * 1000, now)

    def review(self, hash_id: str) -> None:
        """Ask again whether the station keeps statistics of each action; what it has counted stays if it does."""
        station = self._stations.get(hash_id)
        if station is not None:
            self._decide_actions(station, hash_id)

    def _decide_actions(self, station: Station, hash_id: str) -> None:
        if not self._keeps_actions(hash_id):
            station.actions = None
        elif station.actions is None:
            station.actions = {}

    def forget(self, hash_id: str) -> None:
        """Drop the counters of a deleted station; those of the fleet keep what it did."""
        station = self._stations.pop(hash_id, None)
        if station is None:
            return
        self._leave(station)
        if self._departed is not None and (record := station.fresh_record(hash_id)) is not None:
            self._departed.append(record)

    # -- counting ------------------------------------------------------------------------------------------------------

    def _add(self, hash_id: str, station_id: str) -> Station:
        station = Station(station_id, self._now())
        if self._keeps_actions(hash_id):
            station.actions = {}
        self._stations[hash_id] = station
        return station

    def _on_sent(self, event: events.CallSent) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.sent += 1
        self.calls_sent += 1
        self._actions.of[event.action].sent += 1
        if (action := station.action(event.action)) is not None:
            station.fresh = True  # its instant is that of the answer
            if not station.updated:
                station.updated = self._now()
            action.requests += 1

    def _on_answered(self, event: events.CallAnswered) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.answered += 1
        self.calls_answered += 1
        counters = self._actions.of[event.action]
        counters.answered += 1
        counters.measure(event.seconds)
        if (action := station.action(event.action)) is not None:
            station.updated = now = self._now()
            station.fresh = True
            action.responses += 1
            action.measure(event.seconds * 1000, now)

    def _on_error(self, event: events.CallErrorReceived) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.errors += 1
        self.call_errors += 1
        counters = self._actions.of[event.action]
        counters.errors += 1
        counters.measure(event.seconds)
        if (action := station.action(event.action)) is not None:
            now = self._now()
            station.touch(now)
            action.errors += 1
            action.measure(event.seconds * 1000, now)

    def _on_timeout(self, event: events.CallTimedOut) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.timeouts += 1
        station.touch(self._now())
        self.call_timeouts += 1
        self._actions.of[event.action].timeouts += 1

    def _on_lost(self, event: events.CallLost) -> None:
        self.calls_lost += 1
        self._actions.of[event.action].lost += 1

    def _on_timed(self, event: events.Timed) -> None:
        self.measure(event.hash_id, event.station_id, event.name, event.seconds)

    def _on_received(self, event: events.CallReceived) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.received += 1
        self.calls_received += 1
        self._actions.of[event.action].received += 1
        if (action := station.action(event.action)) is not None:
            station.touch(self._now())
            action.requests += 1
            if event.error is None:
                action.responses += 1
            else:
                action.errors += 1

    def _on_odd_frame(self, event: events.OddFrameReceived) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.odd += 1
        self.odd_frames[event.kind] = self.odd_frames.get(event.kind, 0) + 1

    # -- states --------------------------------------------------------------------------------------------------------

    def _on_started(self, event: events.StationStarted) -> None:
        station = self._stations.get(event.hash_id)
        if station is None:
            station = self._add(event.hash_id, event.station_id)
        else:
            self._decide_actions(station, event.hash_id)
        if not station.started:
            station.started = True
            self._started += 1
        self._ever_started.add(event.hash_id)

    def _on_stopped(self, event: events.StationStopped) -> None:
        station = self._stations.get(event.hash_id)
        if station is not None:
            self._leave(station)

    def _on_crashed(self, event: events.StationCrashed) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.crashes += 1
        self.crashes += 1
        self._leave(station)

    def _on_connected(self, event: events.Connected) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.url = redact_text(event.url)
        station.connects += 1
        self.connects += 1
        self._connecting.record(event.seconds)
        if not station.connected:
            station.connected = True
            self._connected += 1

    def _on_connect_failed(self, event: events.ConnectFailed) -> None:
        self.connects_failed += 1

    def _on_disconnected(self, event: events.Disconnected) -> None:
        self.disconnects += 1
        station = self._stations.get(event.hash_id)
        if station is not None and station.connected:
            station.connected = False
            self._connected -= 1

    def _on_registered(self, event: events.Registered) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        if event.seconds is not None:
            self._booting.record(event.seconds)
        if event.status == "Accepted":
            station.accepted = True
            self._ever_accepted.add(event.hash_id)

    def _on_connector_status(self, event: events.ConnectorStatusChanged) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        before = station.charging
        if event.status == "Charging":
            station.charging = before | (1 << event.connector_id)
        else:
            station.charging = before & ~(1 << event.connector_id)
        self._charging += bool(station.charging) - bool(before)

    def _on_transaction_started(self, event: events.TransactionStarted) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.opened += 1
        self.transactions_started += 1

    def _on_transaction_stopped(self, event: events.TransactionStopped) -> None:
        station = self._stations.get(event.hash_id) or self._add(event.hash_id, event.station_id)
        station.stopped += 1
        station.energy += event.energy
        self.transactions_stopped += 1
        self.energy_wh += event.energy

    def _leave(self, station: Station) -> None:
        """A station that does not run is not connected and charges nobody."""
        self._started -= station.started
        self._connected -= station.connected
        self._charging -= bool(station.charging)
        station.started = station.connected = False
        station.charging = 0
