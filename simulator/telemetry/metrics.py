"""The fleet's statistics as metrics, in the text formats of Prometheus (0.0.4) and OpenMetrics (1.0).

No metric has a label per station: a fleet of ten thousand would drown the monitoring that it is meant to feed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

from .statistics import FleetStatistics

#: Content types of :func:`exposition`.
PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# Upper bounds in seconds: from a central system on the same machine to the usual answer deadline.
_LATENCY_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]


class Sample(msgspec.Struct, frozen=True):
    """One value; ``suffix`` is what a histogram's parts add to the name (``_bucket``, ``_sum``, ``_count``)."""

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""


class Metric(msgspec.Struct, frozen=True):
    """A metric family. ``name`` has no ``_total``: the formats add it to counters, each in its own way."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    samples: list[Sample]


def counter(name: str, text: str, value: float) -> Metric:
    """A counter without labels."""
    return Metric(name, "counter", text, [Sample(value)])


def gauge(name: str, text: str, value: float) -> Metric:
    """A gauge without labels."""
    return Metric(name, "gauge", text, [Sample(value)])


def fleet_metrics(fleet: FleetStatistics) -> list[Metric]:
    """What the statistics know, as metrics; cumulative since the start of the run."""
    states = fleet.states()
    by_state = {name: getattr(states, name) for name in states.__struct_fields__}
    return [
        Metric(
            "simulator_stations",
            "gauge",
            "Charging stations by state; accepted: at least once in this run.",
            [Sample(count, {"state": state}) for state, count in by_state.items()],
        ),
        counter("simulator_calls_sent", "CALLs sent to the central system.", fleet.calls_sent),
        counter("simulator_calls_answered", "CALLs answered by a CALLRESULT.", fleet.calls_answered),
        counter("simulator_call_errors", "CALLs answered by a CALLERROR.", fleet.call_errors),
        counter("simulator_call_timeouts", "CALLs without an answer in time.", fleet.call_timeouts),
        counter("simulator_calls_received", "CALLs of the central system.", fleet.calls_received),
        Metric(
            "simulator_odd_frames",
            "counter",
            "Frames that are no part of a conversation, by kind.",
            [Sample(count, {"kind": kind}) for kind, count in sorted(fleet.odd_frames.items())],
        ),
        counter("simulator_connections_opened", "Connections to the central system.", fleet.connects),
        counter("simulator_connections_failed", "Attempts to connect that failed.", fleet.connects_failed),
        counter("simulator_connections_closed", "Connections that ended.", fleet.disconnects),
        counter("simulator_station_crashes", "Stations ended by an exception.", fleet.crashes),
        counter("simulator_transactions_started", "Transactions started.", fleet.transactions_started),
        counter("simulator_transactions_stopped", "Transactions stopped.", fleet.transactions_stopped),
        counter("simulator_energy_watthours", "Energy of the transactions stopped.", fleet.energy_wh),
        _latency(fleet),
    ]


def exposition(metrics: Iterable[Metric], *, openmetrics: bool = False) -> str:
    """The metrics as text. Serve it with :data:`PROMETHEUS_TYPE`, or :data:`OPENMETRICS_TYPE` for ``openmetrics``."""
    lines = []
    for metric in metrics:
        total = "_total" if metric.kind == "counter" else ""
        # Prometheus describes the sample's name, OpenMetrics the family's.
        family = metric.name if openmetrics else metric.name + total
        lines.append(f"# HELP {family} {_escaped(metric.help, quotes=openmetrics)}")
        lines.append(f"# TYPE {family} {metric.kind}")
        for sample in metric.samples:
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
            name = f"{metric.name}{total}{sample.suffix}"
            lines.append(f"{name}{{{labels}}} {sample.value!r}" if labels else f"{name} {sample.value!r}")
    if openmetrics:
        lines.append("# EOF")
    return "\n".join(lines) + "\n"


def _latency(fleet: FleetStatistics) -> Metric:
    samples = []
    for action in fleet.actions():
        histogram = fleet.latency_histogram(action)
        for bound, count in zip(_LATENCY_BOUNDS, histogram.at_most(_LATENCY_BOUNDS), strict=True):
            samples.append(Sample(count, {"action": action, "le": repr(bound)}, "_bucket"))
        samples.append(Sample(histogram.count, {"action": action, "le": "+Inf"}, "_bucket"))
        samples.append(Sample(histogram.total, {"action": action}, "_sum"))
        samples.append(Sample(histogram.count, {"action": action}, "_count"))
    return Metric(
        "simulator_call_duration_seconds", "histogram", "Wall time from a CALL to its answer, by action.", samples
    )


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
