"""What ``/metrics`` tells: the statistics, the fleet as it is now, and stations by name where they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import trio

from simulator.control.control import Control
from simulator.telemetry.metrics import (
    Metric,
    Sample,
    exposition_parts,
    fleet_metrics,
    gauge,
    process_metrics,
    station_metrics,
)
from simulator.telemetry.wire_records import Selection


async def metrics_text(control: Control, *, stations: Sequence[str] = (), cap: int, openmetrics: bool) -> bytes:
    """The text for one scrape. The fleet gets its turn between the parts.

    :param stations: names or hashIds of stations to tell of each for itself, with ``*`` and ``?``.
    :param cap: samples of single stations that there may be.
    """
    parts = []
    for part in exposition_parts(_metrics(control, stations, cap), openmetrics=openmetrics):
        parts.append(part)
        await trio.lowlevel.checkpoint()
    # A central system may put into the name of an action what is no character.
    return "".join(parts).encode("utf-8", "replace")


def _metrics(control: Control, stations: Sequence[str], cap: int) -> Iterator[Metric]:
    yield from fleet_metrics(control.statistics)
    yield from _now(control)
    yield from process_metrics(control.version)
    if stations:
        yield from station_metrics(control.statistics, Selection(stations=tuple(stations)).wants_station, cap)


def _now(control: Control) -> Iterator[Metric]:
    """What the stations are doing."""
    statuses: dict[str, int] = {}
    power = 0.0
    for station in control.fleet:
        for connector in station.connectors.values():
            if connector.id == 0:
                continue
            statuses[connector.status] = statuses.get(connector.status, 0) + 1
            if connector.transaction is not None and connector.meter is not None:
                power += connector.meter.power_w
    yield Metric(
        "simulator_connectors",
        "gauge",
        "Connectors by status.",
        [Sample(count, {"status": str(status)}) for status, count in sorted(statuses.items())],
    )
    yield gauge("simulator_power_watts", "Power that all stations deliver.", round(power, 3))
    wire_log = control.wire_log
    if wire_log is not None:
        yield gauge("simulator_wire_log_bytes", "Memory of the latest OCPP messages.", wire_log.size)
