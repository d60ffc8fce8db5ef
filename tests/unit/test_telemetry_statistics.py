"""What the fleet did: counters, states, latencies and performance records."""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.events import (
    CallAnswered,
    CallErrorReceived,
    CallLost,
    CallReceived,
    CallSent,
    CallTimedOut,
    Connected,
    ConnectFailed,
    ConnectorStatusChanged,
    Disconnected,
    Event,
    EventBus,
    OddFrameReceived,
    Registered,
    StationCrashed,
    StationStarted,
    StationStopped,
    Timed,
    TransactionStarted,
    TransactionStopped,
)
from simulator.telemetry.action_statistics import SERIES_LENGTH
from simulator.telemetry.histogram import Histogram
from simulator.telemetry.statistics import FleetStatistics, Names, StationStates

A, B = ("a" * 96, "CS-A"), ("b" * 96, "CS-B")


def publish(bus: EventBus, *events: Event) -> None:
    for event in events:
        bus.publish(event)


def exchange(who: tuple[str, str], action: str, seconds: float) -> list[Event]:
    return [CallSent(*who, action), CallAnswered(*who, action, seconds)]


# -- histogram ---------------------------------------------------------------------------------------------------------


def nearest_rank(values: Sequence[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(percent / 100 * len(ordered), 9)) - 1)]


@given(
    values=st.lists(st.floats(min_value=1e-6, max_value=3600), min_size=1, max_size=200),
    percent=st.floats(min_value=0, max_value=100),
)
def test_percentiles_are_within_one_percent_of_the_exact_ones(values: list[float], percent: float) -> None:
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    assert histogram.percentile(percent) == pytest.approx(nearest_rank(values, percent), rel=0.01)
    assert histogram.percentile(100) == max(values)
    assert histogram.count == len(values)


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.lognormvariate(-6, 1),
        lambda rng: rng.uniform(0.0001, 30),
        lambda rng: rng.choice([0.001, 0.5, 29.9]),
        lambda rng: 5e-6 + rng.expovariate(1e5),
    ],
)
def test_percentiles_of_many_latencies_match_brute_force(draw: Callable[[random.Random], float]) -> None:
    rng = random.Random(7)
    values = [draw(rng) for _ in range(20_000)]
    histogram = Histogram()
    for value in values:
        histogram.record(value)
    percents = (0, 1, 50, 90, 95, 99, 99.9, 100)
    exact = [nearest_rank(values, percent) for percent in percents]
    assert histogram.percentiles(*percents) == pytest.approx(exact, rel=0.01)
    assert histogram.total == pytest.approx(sum(values))


def test_merged_histograms_count_what_both_counted() -> None:
    one, other, both = Histogram(), Histogram(), Histogram()
    for number in range(1, 1000):
        (one if number % 3 else other).record(number / 1000)
        both.record(number / 1000)
    one.merge(other)
    assert one.percentiles(5, 50, 95, 100) == both.percentiles(5, 50, 95, 100)
    assert (one.count, one.least, one.greatest) == (both.count, both.least, both.greatest)


def test_values_out_of_range_are_counted_at_its_ends() -> None:
    histogram = Histogram()
    for value in (0.0, -0.5, 1e12):
        histogram.record(value)
    assert histogram.count == 3
    assert histogram.percentile(0) == pytest.approx(0, abs=1e-8)
    assert histogram.percentile(100) == 1e12


# -- the fleet ---------------------------------------------------------------------------------------------------------


def test_the_summary_of_a_run() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus, configured=3)
    publish(
        bus,
        StationStarted(*A),
        Connected(*A, "ws://h/CS-A"),
        *exchange(A, "BootNotification", 0.010),
        Registered(*A, "Accepted", 60),
        StationStarted(*B),
        Connected(*B, "ws://h/CS-B"),
        *exchange(B, "BootNotification", 0.020),
        Registered(*B, "Pending", 60),
        *exchange(A, "StartTransaction", 0.030),
        TransactionStarted(*A, 1, 17, "TAG", 100),
        CallReceived(*A, "RemoteStopTransaction", None),
        CallReceived(*A, "Nonsense", "NotImplemented"),
        *exchange(A, "StopTransaction", 0.040),
        TransactionStopped(*A, 1, 17, "Remote", 7100),
        CallSent(*B, "Heartbeat"),
        CallErrorReceived(*B, "Heartbeat", "InternalError", "", 0.500),
        CallSent(*B, "Heartbeat"),
        CallTimedOut(*B, "Heartbeat"),
        OddFrameReceived(*B, "late", "an answer after its deadline"),
        Disconnected(*A, 1000, ""),
        StationStopped(*A),
        Disconnected(*B, 1000, ""),
        StationStopped(*B),
    )
    summary = fleet.summary()
    latency = summary.pop("latencyMs")
    assert summary == {
        "stations": {"configured": 3, "started": 2, "accepted": 1},
        "calls": {"sent": 6, "answered": 4, "errors": 1, "timeouts": 1},
        "received": {"calls": 2},
        "transactions": {"started": 1, "stopped": 1},
        "energyWh": 7100,
    }
    assert latency == pytest.approx({"p50": 30, "p95": 500, "p99": 500, "max": 500}, rel=0.01)
    assert latency["max"] == 500
    assert fleet.odd_frames == {"late": 1}


def test_a_run_without_an_answer_has_no_latency() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus, configured=1)
    publish(bus, CallSent(*A, "BootNotification"), CallTimedOut(*A, "BootNotification"))
    assert json.loads(json.dumps(fleet.summary()))["latencyMs"] == {"p50": None, "p95": None, "p99": None, "max": None}
    assert "nothing measured yet" in fleet.log_line()


def test_latency_by_action() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, *exchange(A, "Heartbeat", 0.002), *exchange(A, "Heartbeat", 0.004), *exchange(B, "MeterValues", 0.1))
    assert fleet.actions() == ["Heartbeat", "MeterValues"]
    assert fleet.latency("Heartbeat").count == 2
    assert fleet.latency("Heartbeat").max == 4
    assert fleet.latency("Heartbeat").mean == 3
    assert fleet.latency("MeterValues").p50 == pytest.approx(100, rel=0.01)
    assert fleet.latency().count == 3
    assert fleet.latency("Authorize").p99 is None


def test_states_follow_the_life_of_the_stations() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus, configured=2)

    def states() -> tuple[int, int, int, int]:
        now = fleet.states()
        return now.started, now.connected, now.accepted, now.charging

    publish(bus, ConnectFailed(*A, "ws://h/CS-A", "refused", 1.0), StationStarted(*A), StationStarted(*B))
    assert states() == (2, 0, 0, 0)
    publish(bus, Connected(*A, "ws://h/CS-A"), Registered(*A, "Accepted", 60), Registered(*A, "Accepted", 60))
    assert states() == (2, 1, 1, 0)
    publish(bus, *(ConnectorStatusChanged(*A, connector, "Charging", "NoError") for connector in (1, 2, 2)))
    assert states() == (2, 1, 1, 1)
    publish(bus, ConnectorStatusChanged(*A, 1, "Finishing", "NoError"))
    assert states() == (2, 1, 1, 1)
    publish(bus, Disconnected(*A, 1006, "gone"), Disconnected(*A, 1006, "gone"))
    assert states() == (2, 0, 1, 1)
    publish(bus, Connected(*A, "ws://h/CS-A"), ConnectorStatusChanged(*A, 2, "Available", "NoError"))
    assert states() == (2, 1, 1, 0)
    publish(bus, ConnectorStatusChanged(*A, 1, "Charging", "NoError"), StationCrashed(*A, "ValueError"))
    assert states() == (1, 0, 1, 0)
    publish(bus, StationStarted(*A), StationStopped(*A), StationStopped(*A), StationStopped(*B))
    assert fleet.states() == StationStates(configured=2, started=0, connected=0, accepted=1, charging=0)
    assert fleet.crashes == 1


def test_counts_by_action_and_what_is_in_flight() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    assert fleet.actions_line() is None
    publish(
        bus,
        *exchange(A, "Heartbeat", 0.002),
        CallSent(*A, "Heartbeat"),
        CallErrorReceived(*A, "Heartbeat", "InternalError", "", 0.004),
        CallSent(*A, "Heartbeat"),
        CallTimedOut(*A, "Heartbeat"),
        CallSent(*A, "MeterValues"),
        CallLost(*A, "MeterValues"),
        CallSent(*B, "MeterValues"),
        CallReceived(*B, "Reset", None),
    )
    assert fleet.in_flight == 1
    heartbeat, meter_values, reset = fleet.by_action()
    assert (heartbeat.action, heartbeat.sent, heartbeat.answered, heartbeat.errors) == ("Heartbeat", 3, 1, 1)
    assert (heartbeat.timeouts, heartbeat.lost, heartbeat.in_flight, heartbeat.latency.count) == (1, 0, 0, 2)
    assert (meter_values.sent, meter_values.lost, meter_values.in_flight) == (2, 1, 1)
    assert meter_values.latency.p50 is None
    assert (reset.sent, reset.received) == (0, 1)
    line = fleet.actions_line()
    assert line is not None
    assert "Heartbeat: 3 sent, 1 answered, 1 errors, 1 timeouts, 0 in flight, p50 2.0" in line
    assert "MeterValues: 2 sent, 0 answered, 0 errors, 0 timeouts, 1 in flight, nothing measured yet" in line
    assert line.endswith("Reset: 1 received")
    assert "1 in flight" in fleet.log_line()


def test_connect_and_boot_time() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    assert fleet.connect_time().p50 is None
    publish(
        bus,
        Connected(*A, "ws://h/CS-A", 0.25),
        Registered(*A, "Pending", 60),
        Registered(*A, "Accepted", 60, 61.5),
        Connected(*A, "ws://h/CS-A", 0.35),
    )
    assert (fleet.connect_time().count, fleet.connect_time().max) == (2, 350)
    assert (fleet.boot_time().count, fleet.boot_time().max) == (1, 61_500)
    assert "boot time: p50 61500.0 ms" in fleet.log_line()


def test_what_is_no_call_is_measured_under_its_name() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, Timed(*A, "StartTransaction with ATG", 0.5))
    record = fleet.record(A[0])
    assert record is not None
    assert record["statisticsData"]["StartTransaction with ATG"]["currentTimeMeasurement"] == 500
    assert fleet.by_action() == []


def test_the_log_line_tells_the_numbers() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus, configured=4)
    publish(bus, StationStarted(*A), *exchange(A, "Heartbeat", 0.002), TransactionStopped(*A, 1, 17, "Local", 1234))
    line = fleet.log_line()
    assert "4 configured, 1 started" in line
    assert "1 sent, 1 answered" in line
    assert "1.234 kWh" in line
    assert "max 2.0 ms" in line
    assert "\n" not in line


def test_counters_of_one_station() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, *exchange(A, "Heartbeat", 0.002), CallReceived(*A, "Reset", None), *exchange(B, "Heartbeat", 0.002))
    station = fleet.station(A[0])
    assert station is not None
    assert (station.station_id, station.calls_sent, station.calls_answered, station.calls_received) == ("CS-A", 1, 1, 1)
    assert fleet.station("unknown") is None
    assert {station.hash_id for station in fleet.stations()} == {A[0], B[0]}


def test_a_forgotten_station_leaves_the_states_but_not_the_sums() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, StationStarted(*A), Connected(*A, "ws://h/CS-A"), *exchange(A, "Heartbeat", 0.002))
    fleet.forget(A[0])
    assert fleet.station(A[0]) is None
    assert fleet.states().started == fleet.states().connected == 0
    assert fleet.summary()["stations"]["started"] == fleet.calls_sent == 1


def test_nothing_is_counted_after_close() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, CallSent(*A, "Heartbeat"))
    fleet.close()
    publish(bus, CallSent(*A, "Heartbeat"))
    assert fleet.calls_sent == 1
    assert not bus.wanted(CallSent)


# -- performance records -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 20, 21, SERIES_LENGTH])
def test_a_record_has_the_exact_figures_of_its_measurements(count: int) -> None:
    rng = random.Random(count)
    seconds = [rng.uniform(0.001, 2) for _ in range(count)]
    moments = iter(range(1_000_000, 2_000_000))
    bus = EventBus()
    fleet = FleetStatistics(bus, now=lambda: float(next(moments)))
    publish(bus, Connected(*A, "ws://user:secret@h/CS-A"))
    for value in seconds:
        publish(bus, *exchange(A, "Authorize", value))
    record = fleet.record(A[0])
    assert record is not None
    assert {key: record[key] for key in ("id", "name", "uri", "createdAt")} == {
        "id": A[0],
        "name": "CS-A",
        "uri": "ws://***@h/CS-A",
        "createdAt": "1970-01-12T13:46:40.000Z",
    }
    assert record["updatedAt"] > record["createdAt"]
    data = record["statisticsData"]["Authorize"]
    values = [value * 1000 for value in seconds]
    series = data.pop("timeMeasurementSeries")
    assert [point["value"] for point in series] == pytest.approx(values, abs=0.001)
    assert data == pytest.approx(
        {
            "countRequest": count,
            "countResponse": count,
            "countTimeMeasurement": count,
            "currentTimeMeasurement": values[-1],
            "minTimeMeasurement": min(values),
            "maxTimeMeasurement": max(values),
            "totalTimeMeasurement": sum(values),
            "avgTimeMeasurement": statistics.fmean(values),
            "medTimeMeasurement": statistics.median(values),
            "ninetyFiveThPercentileTimeMeasurement": nearest_rank(values, 95),
            "stdDevTimeMeasurement": statistics.pstdev(values),
        },
        abs=0.002,
    )


def test_a_long_run_keeps_a_bounded_series_in_order() -> None:
    bus = EventBus()
    moments = iter(range(10**6))
    fleet = FleetStatistics(bus, now=lambda: float(next(moments)))
    total = SERIES_LENGTH * 2 + 5
    for number in range(1, total + 1):
        publish(bus, CallAnswered(*A, "Heartbeat", number / 1000))
    record = fleet.record(A[0])
    assert record is not None
    data = record["statisticsData"]["Heartbeat"]
    kept = [point["value"] for point in data["timeMeasurementSeries"]]
    assert kept == [float(number) for number in range(total - SERIES_LENGTH + 1, total + 1)]
    stamps = [point["timestamp"] for point in data["timeMeasurementSeries"]]
    assert stamps == sorted(stamps)
    assert data["countTimeMeasurement"] == total
    assert data["minTimeMeasurement"] == 1
    assert data["currentTimeMeasurement"] == data["maxTimeMeasurement"] == total
    assert data["medTimeMeasurement"] == statistics.median(kept)


def test_requests_responses_and_errors_of_both_directions_count_and_absent_ones_do_not_show() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(
        bus,
        CallSent(*A, "DataTransfer"),
        CallErrorReceived(*A, "DataTransfer", "NotSupported", "", 0.25),
        CallReceived(*A, "DataTransfer", None),
        CallReceived(*A, "DataTransfer", "FormationViolation"),
        CallReceived(*A, "Reset", None),
    )
    record = fleet.record(A[0], Names.COUNT_LAST)
    assert record is not None
    data = record["statisticsData"]
    assert data["Reset"] == {"requestCount": 1, "responseCount": 1}
    assert {key: data["DataTransfer"][key] for key in ("requestCount", "responseCount", "errorCount")} == {
        "requestCount": 3,
        "responseCount": 1,
        "errorCount": 2,
    }
    assert set(data["DataTransfer"]) - {"requestCount", "responseCount", "errorCount"} == {
        "timeMeasurementCount",
        "measurementTimeSeries",
        "currentTimeMeasurement",
        "minTimeMeasurement",
        "maxTimeMeasurement",
        "totalTimeMeasurement",
        "avgTimeMeasurement",
        "medTimeMeasurement",
        "ninetyFiveThPercentileTimeMeasurement",
        "stdTimeMeasurement",
    }


def test_stations_measure_for_themselves_alone() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, *exchange(A, "Heartbeat", 0.001), *exchange(B, "Heartbeat", 9.0))
    record = fleet.record(A[0])
    assert record is not None
    assert record["statisticsData"]["Heartbeat"]["maxTimeMeasurement"] == 1


def test_only_stations_that_want_statistics_keep_them_and_a_restart_asks_again() -> None:
    bus = EventBus()
    wanting = {A[0]}
    fleet = FleetStatistics(bus, keeps_actions=lambda hash_id: hash_id in wanting)
    publish(bus, StationStarted(*A), StationStarted(*B), *exchange(A, "Heartbeat", 0.1), *exchange(B, "Heartbeat", 0.1))
    assert [record["id"] for record in fleet.fresh_records()] == [A[0]]
    assert fleet.record(B[0]) is None
    assert fleet.station_log_line(B[0]) is None

    wanting.symmetric_difference_update({A[0], B[0]})
    publish(bus, StationStopped(*A), StationStopped(*B), StationStarted(*A), StationStarted(*B))
    publish(bus, *exchange(A, "Heartbeat", 0.1), *exchange(B, "Heartbeat", 0.1))
    assert [record["id"] for record in fleet.fresh_records()] == [B[0]]


def test_a_restart_goes_on_measuring() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, StationStarted(*A), *exchange(A, "Heartbeat", 0.1), StationStopped(*A))
    publish(bus, StationStarted(*A), *exchange(A, "Heartbeat", 0.2))
    record = fleet.record(A[0])
    assert record is not None
    assert record["statisticsData"]["Heartbeat"]["countTimeMeasurement"] == 2


def series_of(record: dict[str, Any]) -> list[float]:
    return [point["value"] for point in record["statisticsData"]["Heartbeat"]["timeMeasurementSeries"]]


def test_fresh_records_tell_everything_once() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, *exchange(A, "Heartbeat", 0.1), *exchange(B, "Heartbeat", 0.2))
    assert {record["id"]: series_of(record) for record in fleet.fresh_records()} == {A[0]: [100], B[0]: [200]}
    assert not list(fleet.fresh_records())

    publish(bus, *exchange(A, "Heartbeat", 0.3), *exchange(A, "Heartbeat", 0.5))
    (record,) = fleet.fresh_records()
    assert (record["id"], series_of(record)) == (A[0], [300, 500])
    assert record["statisticsData"]["Heartbeat"]["countTimeMeasurement"] == 3
    assert record["statisticsData"]["Heartbeat"]["medTimeMeasurement"] == 300

    publish(bus, CallReceived(*A, "Reset", None))
    (record,) = fleet.fresh_records()
    assert series_of(record) == []
    assert record["statisticsData"]["Reset"] == {"countRequest": 1, "countResponse": 1}


def test_a_fresh_series_is_as_long_as_the_memory_at_most() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, *(CallAnswered(*A, "Heartbeat", number / 1000) for number in range(1, 11)))
    list(fleet.fresh_records())
    publish(bus, *(CallAnswered(*A, "Heartbeat", number / 1000) for number in range(11, SERIES_LENGTH * 2)))
    (record,) = fleet.fresh_records()
    assert series_of(record) == list(range(SERIES_LENGTH, SERIES_LENGTH * 2))


def test_the_last_record_of_a_deleted_station_waits_for_its_reader() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    publish(bus, *exchange(A, "Heartbeat", 0.1))
    fleet.forget(A[0])
    assert not list(fleet.fresh_records()), "nobody had taken records until then"
    publish(bus, *exchange(A, "Heartbeat", 0.2))
    fleet.forget(A[0])
    assert [series_of(record) for record in fleet.fresh_records()] == [[200]]
    assert not list(fleet.fresh_records())


def test_other_things_can_be_measured_too() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    fleet.measure(*A, "charging station template read", 0.0125)
    record = fleet.record(A[0])
    assert record is not None
    assert record["statisticsData"]["charging station template read"]["currentTimeMeasurement"] == 12.5
    line = fleet.station_log_line(A[0])
    assert line is not None
    assert "charging station template read: 0 requests" in line
    assert "12.5 ms median" in line


def test_invented_actions_do_not_fill_the_memory() -> None:
    bus = EventBus()
    fleet = FleetStatistics(bus)
    for number in range(1000):
        publish(bus, CallReceived(*A, f"Invented{number}", "NotImplemented"))
    record = fleet.record(A[0])
    assert record is not None
    data = record["statisticsData"]
    assert len(data) < 200
    assert sum(action["countRequest"] for action in data.values()) == 1000


def test_a_call_without_an_answer_has_its_instant_too() -> None:
    bus = EventBus()
    statistics = FleetStatistics(bus, now=lambda: 1000.0)
    publish(bus, CallSent(*A, "BootNotification"))
    (record,) = statistics.fresh_records()
    assert record["updatedAt"] == "1970-01-01T00:16:40.000Z"
