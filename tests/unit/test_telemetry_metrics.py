"""Metrics as a monitoring system reads them."""

from __future__ import annotations

import re

from simulator.events import CallAnswered, CallSent, EventBus, OddFrameReceived, StationStarted, TransactionStopped
from simulator.telemetry.metrics import Metric, Sample, exposition, fleet_metrics, gauge
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
    assert samples["simulator_calls_sent_total{}"] == 5
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


def test_no_station_is_named() -> None:
    text = exposition(fleet_metrics(busy_fleet()))
    assert A[0] not in text
    assert A[1] not in text
