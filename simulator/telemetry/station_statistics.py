"""What is counted of one station."""

from __future__ import annotations

from typing import Any

import msgspec

from simulator.timestamps import format_timestamp

from .action_statistics import MAX_ACTIONS, OTHER, ActionStatistics, Names


class StationCounters(msgspec.Struct, frozen=True, rename="camel"):
    """What one station did in this run."""

    hash_id: str
    station_id: str
    started: bool
    connected: bool
    accepted: bool
    charging: bool
    calls_sent: int
    calls_answered: int
    call_errors: int
    call_timeouts: int
    calls_received: int
    odd_frames: int
    connects: int
    crashes: int
    transactions_started: int
    transactions_stopped: int
    energy_wh: int


class Station:
    """The counters of a station that runs, or ran. Small: a fleet has thousands, and a counter each has its slot."""

    __slots__ = (
        "accepted",
        "actions",
        "answered",
        "charging",
        "connected",
        "connects",
        "crashes",
        "created",
        "energy",
        "errors",
        "fresh",
        "name",
        "odd",
        "opened",
        "received",
        "sent",
        "started",
        "stopped",
        "timeouts",
        "updated",
        "url",
    )

    def __init__(self, name: str, created: float) -> None:
        self.name = name
        self.created = created
        self.updated = 0.0
        self.fresh = False  # whether there is anything that no record for storage has told
        self.url = ""
        self.started = self.connected = self.accepted = False
        self.charging = 0  # one bit for each connector that charges
        self.sent = self.answered = self.errors = self.timeouts = self.received = self.odd = 0
        self.connects = self.crashes = self.opened = self.stopped = self.energy = 0
        self.actions: dict[str, ActionStatistics] | None = None

    def action(self, name: str) -> ActionStatistics | None:
        """The statistics of an action, new if need be; None where the station keeps none."""
        actions = self.actions
        if actions is None:
            return None
        return actions.get(name) or actions.setdefault(
            name if len(actions) < MAX_ACTIONS else OTHER, ActionStatistics()
        )

    def touch(self, now: float) -> None:
        """Something of an action was counted."""
        self.updated = now
        self.fresh = True

    def counters(self, hash_id: str) -> StationCounters:
        """What others may see."""
        return StationCounters(
            hash_id=hash_id,
            station_id=self.name,
            started=self.started,
            connected=self.connected,
            accepted=self.accepted,
            charging=bool(self.charging),
            calls_sent=self.sent,
            calls_answered=self.answered,
            call_errors=self.errors,
            call_timeouts=self.timeouts,
            calls_received=self.received,
            odd_frames=self.odd,
            connects=self.connects,
            crashes=self.crashes,
            transactions_started=self.opened,
            transactions_stopped=self.stopped,
            energy_wh=self.energy,
        )

    def fresh_record(self, hash_id: str) -> dict[str, Any] | None:
        """The record for storage, with the measurements since the last one; None where nothing is new."""
        if not self.fresh:
            return None
        self.fresh = False
        return self.record(hash_id, Names.COUNT_FIRST, fresh=True)

    def record(self, hash_id: str, names: Names, *, fresh: bool = False) -> dict[str, Any] | None:
        """The performance record; None where the station keeps no statistics of actions."""
        if self.actions is None:
            return None
        record: dict[str, Any] = {
            "id": hash_id,
            "name": self.name,
            "uri": self.url,
            "createdAt": format_timestamp(self.created),
        }
        if self.updated:
            record["updatedAt"] = format_timestamp(self.updated)
        record["statisticsData"] = {name: action.data(names, fresh=fresh) for name, action in self.actions.items()}
        return record

    def log_line(self) -> str | None:
        """The statistics of actions in one line; None where the station keeps none."""
        if self.actions is None:
            return None
        parts = []
        for name, action in sorted(self.actions.items()):
            part = f"{name}: {action.requests} requests, {action.responses} responses, {action.errors} errors"
            if action.count:
                data = action.data(Names.COUNT_FIRST)
                median, p95 = data["medTimeMeasurement"], data["ninetyFiveThPercentileTimeMeasurement"]
                part += f", {median} ms median, {p95} ms p95, {data['maxTimeMeasurement']} ms max"
            parts.append(part)
        return "; ".join(parts) or "nothing measured yet"
