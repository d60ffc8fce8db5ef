"""Metrics as a monitoring system reads them."""

from __future__ import annotations

import re

import pytest

from simulator.events import CallAnswered, CallSent, EventBus, OddFrameReceived, StationStarted, TransactionStopped
from simulator.telemetry.metrics import (
    PART,
    Metric,
    Sample,
    exposition,
    exposition_parts,
    fleet_metrics,
    gauge,
    prefers_openmetrics,
    station_metrics,
)
from simulator.telemetry.statistics import FleetStatistics

A = ("a" * 96, "CS-A")
LINE = re.compile(r"([a-z_]+)(?:\{(.*)\})? (\S+)")


def parse(text: str) -> dict[str, float]:
    """Samples by name and labels."""
    samples = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            match = LINE.fullmatch(line)
            assert match is not None, line
            name, labels, value = match.groups()
            key = f"{name}{{{labels or ''}}}"
            assert key not in samples
            samples[key] = float(value)
    return samples


def busy_fleet() -> FleetStatistics:
    bus = EventBus()
    fleet = FleetStatistics(bus, configured=5)
    bus.publish(StationStarted(*A))
    for seconds in (0.0004, 0.003, 0.004, 0.2, 60.0):
        bus.publish(CallSent(*A, "Heartbeat"))
        bus.publish(CallAnswered(*A, "Heartbeat", seconds))
    bus.publish(TransactionStopped(*A, 1, 17, "Local", 4200))
    bus.publish(OddFrameReceived(*A, 'a "late"\nanswer', ""))
    return fleet


def test_the_numbers_of_the_fleet_are_exposed() -> None:
    samples = parse(exposition(fleet_metrics(busy_fleet())))
    assert samples['simulator_stations{state="configured"}'] == 5
    assert samples['simulator_stations{state="started"}'] == 1
    assert samples['simulator_calls_sent_total{action="Heartbeat"}'] == 5
    assert samples['simulator_calls_answered_total{action="Heartbeat"}'] == 5
    assert samples['simulator_call_timeouts_total{action="Heartbeat"}'] == 0
    assert samples["simulator_calls_in_flight{}"] == 0
    assert samples["simulator_energy_watthours_total{}"] == 4200
    assert samples[r'simulator_odd_frames_total{kind="a \"late\"\nanswer"}'] == 1


def test_latency_is_a_cumulative_histogram_by_action() -> None:
    samples = parse(exposition(fleet_metrics(busy_fleet())))
    name = "simulator_call_duration_seconds"

    def bucket(bound: str) -> float:
        return samples[f'{name}_bucket{{action="Heartbeat",le="{bound}"}}']

    bounds = ("0.001", "0.0025", "0.005", "0.1", "0.25", "30.0", "+Inf")
    assert [bucket(bound) for bound in bounds] == [1, 1, 3, 3, 4, 4, 5]
    assert samples[f'{name}_count{{action="Heartbeat"}}'] == 5
    assert abs(samples[f'{name}_sum{{action="Heartbeat"}}'] - 60.2074) < 1e-9


def test_both_formats_describe_a_counter_in_their_way() -> None:
    metrics = [Metric("x", "counter", "Of y.", [Sample(3, {"a": "b"})]), gauge("z", "Now.", 1.5)]
    assert exposition(metrics) == (
        '# HELP x_total Of y.\n# TYPE x_total counter\nx_total{a="b"} 3\n# HELP z Now.\n# TYPE z gauge\nz 1.5\n'
    )
    assert exposition(metrics, openmetrics=True) == (
        '# HELP x Of y.\n# TYPE x counter\nx_total{a="b"} 3\n# HELP z Now.\n# TYPE z gauge\nz 1.5\n# EOF\n'
    )


def test_no_station_is_named_unless_it_is_asked_for() -> None:
    fleet = busy_fleet()
    text = exposition(fleet_metrics(fleet))
    assert A[0][:12] not in text
    assert A[1] not in text
    samples = parse(exposition(station_metrics(fleet, lambda name, hash_id: name == "CS-A", 5000)))
    assert samples[f'simulator_station_calls_sent_total{{station="CS-A",hash_id="{A[0][:12]}"}}'] == 5
    assert samples["simulator_metrics_stations_left_out{}"] == 0


def test_too_many_stations_are_left_out_and_told_of() -> None:
    fleet = busy_fleet()
    samples = parse(exposition(station_metrics(fleet, lambda name, hash_id: True, 9)))
    assert samples == {"simulator_metrics_stations_left_out{}": 1}


def test_a_long_text_comes_in_parts_that_make_up_the_whole() -> None:
    metrics = [Metric("x", "gauge", "Of y.", [Sample(n, {"n": str(n)}) for n in range(3 * PART)]), gauge("z", "Z.", 1)]
    parts = list(exposition_parts(metrics, openmetrics=True))
    assert len(parts) == 6
    assert max(part.count("\n") for part in parts) == PART
    assert "".join(parts) == exposition(metrics, openmetrics=True)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        ("", False),
        ("*/*", False),
        ("text/plain", False),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", False),
        ("application/openmetrics-text", True),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            True,
        ),
        ("Application/OpenMetrics-Text; version=1.0.0; Q=0.3 , text/plain;q=0.5", False),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=x, text/plain", False),
        (";;,,;q", False),
    ],
)
def test_the_client_chooses_the_format(accept: str, wanted: bool) -> None:
    assert prefers_openmetrics(accept) is wanted
