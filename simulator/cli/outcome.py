"""How a run went, for people: the last thing that went wrong, and the last lines of a command."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from simulator.cli.output import count, printable
from simulator.events import (
    CallErrorReceived,
    CallTimedOut,
    ConnectFailed,
    Disconnected,
    EventBus,
    Registered,
    StationCrashed,
)

if TYPE_CHECKING:
    from simulator.app import Simulator

#: Trouble of this many seconds ago is not shown any more.
FORGOTTEN_AFTER = 60.0
NORMAL_CLOSURE = 1000


class LastTrouble:
    """Remembers the last thing that went wrong at any station."""

    def __init__(self, bus: EventBus) -> None:
        self._text = ""
        self._at = 0.0
        self._station = ""
        bus.subscribe(ConnectFailed, lambda event: self._note(event.station_id, event.reason))
        bus.subscribe(Disconnected, self._on_disconnected)
        bus.subscribe(Registered, self._on_registered)
        bus.subscribe(CallTimedOut, lambda event: self._note(event.station_id, f"no answer to {event.action}"))
        bus.subscribe(
            CallErrorReceived,
            lambda event: self._note(
                event.station_id, f"{event.action} was refused: {event.code} {event.description}".rstrip()
            ),
        )
        bus.subscribe(StationCrashed, lambda event: self._note(event.station_id, f"crashed: {event.error}"))

    def __str__(self) -> str:
        """What went wrong, and at which station; empty if nothing did."""
        return printable(f"{self._station}: {self._text}")[:300] if self._text else ""

    def recent(self) -> str:
        """The same, if it is not long ago."""
        return str(self) if time.monotonic() - self._at < FORGOTTEN_AFTER else ""

    def _note(self, station_id: str, text: str) -> None:
        self._station, self._text, self._at = station_id, text, time.monotonic()

    def _on_disconnected(self, event: Disconnected) -> None:
        if event.code != NORMAL_CLOSURE:
            self._note(event.station_id, f"the connection was closed: {event.code} {event.reason}".rstrip())

    def _on_registered(self, event: Registered) -> None:
        if event.status != "Accepted":
            self._note(event.station_id, f"BootNotification was answered with {event.status}")


def summary_line(summary: Mapping[str, Any]) -> str:
    """The run in one line."""
    stations, calls, transactions = summary["stations"], summary["calls"], summary["transactions"]
    return (
        f"{stations['accepted']} of {count(stations['configured'], 'station')} accepted, "
        f"{count(transactions['started'], 'transaction')} started, {transactions['stopped']} stopped, "
        f"{summary['energyWh'] / 1000:.3f} kWh, {count(calls['sent'], 'call')}, {count(calls['errors'], 'error')}, "
        f"{count(calls['timeouts'], 'timeout')} in {summary['wallSeconds']:.0f} s"
    )


def failure(simulator: Simulator, summary: Mapping[str, Any], trouble: LastTrouble) -> str | None:
    """Why the run counts as failed, in one line; None if it was fine.

    A run that lasted as long as it was asked to and in which no station was ever accepted has failed; one that somebody
    ended before has not.
    """
    if simulator.cut_short:
        return "ended at once by a second signal: transactions may be left open"
    if simulator.lasted and not summary["stations"]["accepted"]:
        held = "startSimulator was not called, see persistState" if simulator.held else ""
        last = held or str(trouble) or "nothing went wrong, but it was too short; raise --duration"
        return f"no station was accepted by the central system in {summary['wallSeconds']:.0f} s ({last})"
    return None


def violations(simulator: Simulator) -> int:
    """How often the embedded central system saw OCPP violated."""
    central = simulator.central
    return 0 if central is None else sum(s.violation_counts.total() for s in central.stations.values())


def violations_line(simulator: Simulator) -> str | None:
    """The same in one line with the first case; None if all was well."""
    number = violations(simulator)
    if simulator.central is None or not number:
        return None
    first = printable(str(simulator.central.violations[0]))
    return f"the central system saw {count(number, 'violation')} of OCPP, the first: {first}"
