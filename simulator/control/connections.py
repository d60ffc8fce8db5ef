"""Waits for what becomes of stations' connections."""

from __future__ import annotations

from typing import TypeAlias

import outcome
import trio

from simulator import events
from simulator.events import EventBus

Fate: TypeAlias = events.Connected | events.ConnectFailed | events.Disconnected | events.StationStopped


class ConnectionWatch:
    """Tells tasks that wait for it of the next thing that happens to a station's connection."""

    def __init__(self, bus: EventBus) -> None:
        self._waiting: dict[str, list[trio.lowlevel.Task]] = {}
        self._unsubscribe = [
            bus.subscribe(events.Connected, self._on_fate),
            bus.subscribe(events.ConnectFailed, self._on_fate),
            bus.subscribe(events.Disconnected, self._on_fate),
            bus.subscribe(events.StationStopped, self._on_fate),
        ]

    def close(self) -> None:
        """Read no more events."""
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []

    async def next(self, hash_id: str) -> Fate:
        """Wait for the next opening, failure or end of that station's connection, or the end of the station."""
        task = trio.lowlevel.current_task()
        self._waiting.setdefault(hash_id, []).append(task)

        def abort(_: object) -> trio.lowlevel.Abort:
            waiting = self._waiting[hash_id]
            waiting.remove(task)
            if not waiting:
                del self._waiting[hash_id]
            return trio.lowlevel.Abort.SUCCEEDED

        fate: Fate = await trio.lowlevel.wait_task_rescheduled(abort)
        return fate

    def _on_fate(self, event: Fate) -> None:
        for task in self._waiting.pop(event.hash_id, ()):
            trio.lowlevel.reschedule(task, outcome.Value(event))
