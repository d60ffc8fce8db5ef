"""The fleet's statistics as metrics, in the text formats of Prometheus (0.0.4) and OpenMetrics (1.0).

No metric names a station unless it is asked for: a fleet of ten thousand would drown the monitoring that it feeds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Literal

import msgspec

from .histogram import Histogram
from .log import dropped_lines
from .process import memory_and_files
from .statistics import FleetStatistics

#: Content types of :func:`exposition`.
PROMETHEUS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"

# Upper bounds in seconds: from a central system on the same machine to the usual answer deadline.
_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]


#: Samples of one part of a text.
PART = 500

Kind = Literal["counter", "gauge", "histogram"]


class Sample(msgspec.Struct, frozen=True):
    """One value; ``suffix`` is what a histogram's parts add to the name (``_bucket``, ``_sum``, ``_count``)."""

    value: float
    labels: Mapping[str, str] = {}
    suffix: str = ""


class Metric(msgspec.Struct, frozen=True):
    """A metric family. ``name`` has no ``_total``: the formats add it to counters, each in its own way."""

    name: str
    kind: Kind
    help: str
    samples: list[Sample]


def counter(name: str, text: str, value: float) -> Metric:
    """A counter without labels."""
    return Metric(name, "counter", text, [Sample(value)])


def gauge(name: str, text: str, value: float) -> Metric:
    """A gauge without labels."""
    return Metric(name, "gauge", text, [Sample(value)])


def fleet_metrics(fleet: FleetStatistics) -> Iterator[Metric]:
    """What the statistics know of the fleet, cumulative since the start of the run. No station is named."""
    states = fleet.states()
    by_state = {name: getattr(states, name) for name in states.__struct_fields__}
    yield Metric(
        "simulator_stations",
        "gauge",
        "Charging stations by state; accepted: at least once in this run.",
        [Sample(count, {"state": state}) for state, count in by_state.items()],
    )
    yield from _calls(fleet)
    yield Metric(
        "simulator_odd_frames",
        "counter",
        "Frames that are no part of a conversation, by kind.",
        [Sample(count, {"kind": kind}) for kind, count in sorted(fleet.odd_frames.items())],
    )
    yield counter("simulator_connections_opened", "Connections to the central system.", fleet.connects)
    yield counter("simulator_connections_failed", "Attempts to connect that failed.", fleet.connects_failed)
    yield counter("simulator_connections_closed", "Connections that ended.", fleet.disconnects)
    yield counter("simulator_station_crashes", "Stations ended by an exception.", fleet.crashes)
    yield counter("simulator_transactions_started", "Transactions started.", fleet.transactions_started)
    yield counter("simulator_transactions_stopped", "Transactions stopped.", fleet.transactions_stopped)
    yield counter("simulator_energy_watthours", "Energy of the transactions stopped.", fleet.energy_wh)
    latencies = ((name, each.latency) for name, each in fleet.action_counters())
    yield Metric(
        "simulator_call_duration_seconds",
        "histogram",
        "Wall time from a CALL to its answer, by action.",
        [
            sample
            for action, histogram in latencies
            if histogram is not None
            for sample in _histogram(histogram, {"action": action})
        ],
    )
    durations = fleet.durations()
    yield Metric(
        "simulator_connect_duration_seconds",
        "histogram",
        "Wall time to open a connection: name, TCP, TLS, WebSocket.",
        _histogram(durations["connect"], {}),
    )
    yield Metric(
        "simulator_boot_duration_seconds",
        "histogram",
        "Wall time from an open connection to the acceptance of the station.",
        _histogram(durations["boot"], {}),
    )


def station_metrics(fleet: FleetStatistics, wanted: Callable[[str, str], bool], cap: int) -> list[Metric]:
    """What single stations did, with labels that name them.

    :param wanted: whether the station of that name and hashId is wanted.
    :param cap: samples that there may be; where there would be more, no station is named at all.
    """
    chosen = [each for each in fleet.stations() if wanted(each.station_id, each.hash_id)]
    most = cap // len(_OF_STATION)
    left_out = len(chosen) if len(chosen) > most else 0
    families = [
        gauge(
            "simulator_metrics_stations_left_out",
            "Stations that were asked for by name and not told of, because there are too many.",
            left_out,
        )
    ]
    if not left_out:
        labels = [{"station": each.station_id, "hash_id": each.hash_id[:12]} for each in chosen]
        for name, kind, text, member in _OF_STATION:
            samples = [
                Sample(getattr(each, member) + 0, named)  # a truth value becomes a number
                for each, named in zip(chosen, labels, strict=True)
            ]
            families.append(Metric(name, kind, text, samples))
    return families


def process_metrics(version: str) -> Iterator[Metric]:
    """What the process takes from the machine, under the names that Prometheus gives to that, and what the log lost."""
    yield Metric("simulator_build_info", "gauge", "The simulator's version.", [Sample(1, {"version": version})])
    yield counter("simulator_log_lines_dropped", "Log lines that came faster than they were written.", dropped_lines())
    yield counter("process_cpu_seconds", "Processor time of the process.", round(time.process_time(), 3))
    usage = memory_and_files()
    if usage is not None:
        yield gauge("process_resident_memory_bytes", "Resident memory of the process.", usage.resident)
        yield gauge("process_open_fds", "Open files and sockets of the process.", usage.files)


def exposition(metrics: Iterable[Metric], *, openmetrics: bool = False) -> str:
    """The metrics as text. Serve it with :data:`PROMETHEUS_TYPE`, or :data:`OPENMETRICS_TYPE` for ``openmetrics``."""
    return "".join(exposition_parts(metrics, openmetrics=openmetrics))


def exposition_parts(metrics: Iterable[Metric], *, openmetrics: bool = False) -> Iterator[str]:
    """The text of :func:`exposition` in parts of :data:`PART` samples at most, for who has other things to do too."""
    for metric in metrics:
        total = "_total" if metric.kind == "counter" else ""
        # Prometheus describes the sample's name, OpenMetrics the family's.
        family = metric.name if openmetrics else metric.name + total
        lines = [
            f"# HELP {family} {_escaped(metric.help, quotes=openmetrics)}\n",
            f"# TYPE {family} {metric.kind}\n",
        ]
        for sample in metric.samples:
            if len(lines) >= PART:
                yield "".join(lines)
                lines = []
            labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in sample.labels.items())
            name = f"{metric.name}{total}{sample.suffix}"
            lines.append(f"{name}{{{labels}}} {sample.value!r}\n" if labels else f"{name} {sample.value!r}\n")
        yield "".join(lines)
    if openmetrics:
        yield "# EOF\n"


def prefers_openmetrics(accept: str) -> bool:
    """Whether a client with that ``Accept`` header (RFC 9110 §12.5.1) wants OpenMetrics rather than Prometheus text."""
    wishes = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for wish in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in wish.split(";"))
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip() == "q":
                try:
                    quality = float(value)
                except ValueError:
                    quality = 0.0
        if kind in wishes:
            wishes[kind] = max(wishes[kind], quality)
    return wishes["application/openmetrics-text"] > 0 and wishes["application/openmetrics-text"] >= wishes["text/plain"]


# -- parts -------------------------------------------------------------------------------------------------------------

_OF_STATION: tuple[tuple[str, Kind, str, str], ...] = (
    ("simulator_station_connected", "gauge", "Whether the station is connected.", "connected"),
    ("simulator_station_charging", "gauge", "Whether the station charges a vehicle.", "charging"),
    ("simulator_station_calls_sent", "counter", "CALLs sent.", "calls_sent"),
    ("simulator_station_calls_answered", "counter", "CALLs answered by a CALLRESULT.", "calls_answered"),
    ("simulator_station_call_errors", "counter", "CALLs answered by a CALLERROR.", "call_errors"),
    ("simulator_station_call_timeouts", "counter", "CALLs without an answer in time.", "call_timeouts"),
    ("simulator_station_calls_received", "counter", "CALLs of the central system.", "calls_received"),
    ("simulator_station_connections_opened", "counter", "Connections.", "connects"),
    ("simulator_station_transactions_started", "counter", "Transactions started.", "transactions_started"),
    ("simulator_station_energy_watthours", "counter", "Energy of transactions stopped.", "energy_wh"),
)

_OF_ACTION: tuple[tuple[str, str, str], ...] = (
    ("simulator_calls_sent", "CALLs sent to the central system, by action.", "sent"),
    ("simulator_calls_answered", "CALLs answered by a CALLRESULT, by action.", "answered"),
    ("simulator_call_errors", "CALLs answered by a CALLERROR, by action.", "errors"),
    ("simulator_call_timeouts", "CALLs without an answer in time, by action.", "timeouts"),
    ("simulator_calls_lost", "CALLs whose connection ended before an answer, by action.", "lost"),
)


def _calls(fleet: FleetStatistics) -> Iterator[Metric]:
    actions = list(fleet.action_counters())
    for name, text, member in _OF_ACTION:
        samples = [Sample(getattr(each, member), {"action": action}) for action, each in actions if each.sent]
        yield Metric(name, "counter", text, samples)
    received = [Sample(each.received, {"action": action}) for action, each in actions if each.received]
    yield Metric("simulator_calls_received", "counter", "CALLs of the central system, by action.", received)
    yield gauge("simulator_calls_in_flight", "CALLs that wait for their answer.", fleet.in_flight)


def _histogram(histogram: Histogram, labels: Mapping[str, str]) -> list[Sample]:
    counts = histogram.at_most(_BOUNDS)
    return [
        *(Sample(n, {**labels, "le": repr(bound)}, "_bucket") for bound, n in zip(_BOUNDS, counts, strict=True)),
        Sample(histogram.count, {**labels, "le": "+Inf"}, "_bucket"),
        Sample(histogram.total, labels, "_sum"),
        Sample(histogram.count, labels, "_count"),
    ]


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", "\\\\").replace("\n", "\\n")
    return text.replace('"', '\\"') if quotes else text
