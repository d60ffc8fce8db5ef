"""Clock-aligned meter values, and what StopTransaction carries of all readings (OCPP 1.6 §3.16; B.8)."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.station.sampling import next_aligned
from simulator.timestamps import format_timestamp, parse_timestamp
from tests.station.harness import START, World, station_world

ENERGY = "Energy.Active.Import.Register"


def aligned(world: World, connector: int | None = None) -> list[dict[str, Any]]:
    """The clock-aligned MeterValues, of a connector or all."""
    return [
        payload
        for payload in world.sent("MeterValues")
        if payload["meterValue"][0]["sampledValue"][0].get("context") == "Sample.Clock"
        and connector in {None, payload["connectorId"]}
    ]


def instants(payloads: list[dict[str, Any]]) -> list[float]:
    """Seconds since the world's beginning that readings name."""
    return [parse_timestamp(payload["meterValue"][0]["timestamp"])[0] - START for payload in payloads]


def values(payload: dict[str, Any]) -> dict[str, float]:
    """The readings without phase, by measurand."""
    samples = payload["meterValue"][0]["sampledValue"]
    return {sample["measurand"]: float(sample["value"]) for sample in samples if "phase" not in sample}


@pytest.mark.parametrize(
    ("now", "interval", "then"),
    [
        (0.0, 900, 900.0),
        (899.9, 900, 900.0),
        (900.0, 900, 1800.0),
        (START + 1, 900, START + 900),
        (86_399.0, 900, 86_400.0),
        (84_000.0, 7_000, 86_400.0),  # every day begins anew
        (10.0, 1_000_000, 86_400.0),
    ],
)
def test_aligned_instants_count_from_midnight_utc(now: float, interval: int, then: float) -> None:
    assert next_aligned(now, interval) == then


async def test_every_connector_reports_at_the_multiples_of_the_interval() -> None:
    async with station_world(keys={"MeterValueSampleInterval": 0}) as world:
        await world.ready()
        await world.sleep(3)
        transaction = await world.charge(1)
        assert await world.key("ClockAlignedDataInterval", 5) == "Accepted"
        await world.sleep(12)
        assert instants(aligned(world, 1)) == [5, 10, 15]
        assert instants(aligned(world, 2)) == [5, 10, 15]
        assert instants(aligned(world, 0)) == [5, 10, 15]
        assert {payload["transactionId"] for payload in aligned(world, 1)} == {transaction.transaction_id}
        assert not any("transactionId" in payload for payload in aligned(world, 0) + aligned(world, 2))
        assert {s["context"] for p in aligned(world) for s in p["meterValue"][0]["sampledValue"]} == {"Sample.Clock"}
        assert await world.key("ClockAlignedDataInterval", 0) == "Accepted"
        await world.sleep(60)
        assert len(aligned(world)) == 9


async def test_the_measurands_of_connectors_and_of_the_main_meter() -> None:
    measurands = f"{ENERGY},Power.Active.Import,Voltage,SoC"
    keys = {"ClockAlignedDataInterval": 60, "MeterValuesAlignedData": measurands, "MeterValueSampleInterval": 0}
    async with station_world(keys=keys, template={"meteringPerTransaction": True}) as world:
        await world.ready()
        first = await world.charge(1)
        await world.charge(2)
        await world.sleep(300)
        await world.stop_charging(first)
        await world.sleep(60)
        before = [values(aligned(world, connector)[-2]) for connector in (0, 1, 2)]
        after = [values(aligned(world, connector)[-1]) for connector in (0, 1, 2)]
        for whole, one, two in (before, after):
            assert whole["Power.Active.Import"] == pytest.approx(
                one["Power.Active.Import"] + two["Power.Active.Import"]
            )
            assert whole["Voltage"] == pytest.approx(230, abs=10)
            assert "SoC" not in whole
        assert before[0][ENERGY] == before[1][ENERGY] + before[2][ENERGY]
        assert after[1]["Power.Active.Import"] == 0  # nothing flows after the end
        assert after[0][ENERGY] > before[0][ENERGY]
        main = aligned(world, 0)[0]["meterValue"][0]["sampledValue"]
        assert {sample["location"] for sample in main} == {"Inlet"}


async def test_intervals_of_energy_add_up_and_end_with_the_transaction() -> None:
    keys = {"ClockAlignedDataInterval": 60, "MeterValueSampleInterval": 0}
    measurands = {"MeterValuesAlignedData": "Energy.Active.Import.Interval"}
    async with station_world(keys={**keys, **measurands}) as world:
        await world.ready()
        transaction = await world.charge(1)
        await world.sleep(330)
        await world.stop_charging(transaction)
        await world.sleep(240)
        counted = [values(payload)["Energy.Active.Import.Interval"] for payload in aligned(world, 1)]
        assert sum(counted) == transaction.energy
        assert counted[-2:] == [0, 0]


async def test_aligned_values_wait_offline_in_their_order() -> None:
    async with station_world(keys={"ClockAlignedDataInterval": 60, "MeterValueSampleInterval": 0}) as world:
        await world.ready()
        await world.sleep(70)
        world.go_offline()
        await world.sleep(120)
        await world.come_back()
        await world.sleep(1)
        assert instants(aligned(world, 1))[:3] == [60, 120, 180]
        assert len(world.sent("BootNotification")) == 1


async def test_the_clock_of_the_station_aligns() -> None:
    template = {"Connectors": {"1": {}}, "numberOfConnectors": 1}
    async with station_world(keys={"ClockAlignedDataInterval": 60}, template=template, faults=True) as world:
        ahead = {"status": "Accepted", "interval": 300, "currentTime": format_timestamp(START + 1_000_030.5)}
        world.central.on("BootNotification", ahead)
        await world.ready()
        world.central.on("Heartbeat", {"currentTime": format_timestamp(START + 1_000_030.5)})
        first = await world.wait_for("MeterValues")
        assert instants([first]) == [1_000_080]
        assert world.times("MeterValues")[0] - world.times("BootNotification")[0] == pytest.approx(49.5, abs=0.1)
        assert aligned(world, 0) == []  # a station without connector 0 has no main meter


async def test_a_clock_put_back_a_little_repeats_no_reading() -> None:
    template = {"Connectors": {"1": {}}, "numberOfConnectors": 1}
    async with station_world(keys={"ClockAlignedDataInterval": 60}, template=template) as world:
        await world.ready()
        await world.sleep(60.1)
        world.central.on("Heartbeat", {"currentTime": format_timestamp(START + 59)}, times=1)
        await world.trigger("Heartbeat")
        await world.sleep(90)
        assert instants(aligned(world)) == [60, 120]


async def test_a_station_that_is_away_or_not_accepted_reports_nothing() -> None:
    async with station_world(keys={"ClockAlignedDataInterval": 10}, template={"resetTime": 45}) as world:
        world.central.on("BootNotification", {"status": "Pending", "interval": 35, "currentTime": "x"}, times=1)
        await world.wait_for("StatusNotification", 3, timeout=100)
        await world.sleep(6)
        assert instants(aligned(world, 1)) == [40]
        assert await world.status_of("Reset", type="Hard") == "Accepted"
        await world.wait_for("BootNotification", 3, timeout=100)
        await world.sleep(10)
        assert instants(aligned(world, 1)) == [40, 90]


@pytest.mark.parametrize(
    ("keys", "contexts"),
    [
        ({"StopTxnAlignedData": ENERGY}, ["Sample.Clock"] * 2),
        ({"StopTxnSampledData": ENERGY}, ["Sample.Periodic"] * 2),
        (
            {"StopTxnSampledData": "Voltage", "StopTxnAlignedData": "Power.Active.Import"},
            ["Sample.Periodic", "Sample.Clock", "Sample.Periodic", "Sample.Clock"],
        ),
        ({}, None),
    ],
    ids=str,
)
async def test_transaction_data(keys: dict[str, str], contexts: list[str] | None) -> None:
    intervals = {"ClockAlignedDataInterval": 50, "MeterValueSampleInterval": 40}
    async with station_world(keys={**intervals, **keys}) as world:
        await world.ready()
        transaction = await world.charge(1)
        await world.sleep(110)
        await world.stop_charging(transaction)
        [stop] = world.sent("StopTransaction")
        if contexts is None:
            assert "transactionData" not in stop
            return
        begin, *between, end = stop["transactionData"]
        assert [value["sampledValue"][0].get("context", "Sample.Periodic") for value in between] == contexts
        wanted = {ENERGY, *",".join(keys.values()).split(",")}
        for edge, context, register in (
            (begin, "Transaction.Begin", transaction.meter_start),
            (end, "Transaction.End", transaction.meter_stop),
        ):
            assert {sample["measurand"] for sample in edge["sampledValue"]} == wanted
            assert {sample["context"] for sample in edge["sampledValue"]} == {context}
            assert float(edge["sampledValue"][0]["value"]) == register


async def test_readings_of_one_step_of_the_timers_stay_in_their_order() -> None:
    keys = {
        "ClockAlignedDataInterval": 10,
        "MeterValueSampleInterval": 9,
        "StopTxnAlignedData": ENERGY,
        "StopTxnSampledData": ENERGY,
    }
    async with station_world(keys=keys, grid=3.7) as world:
        await world.ready()
        await world.sleep(7.5)
        transaction = await world.charge(1)
        await world.sleep(180)
        await world.stop_charging(transaction)
        [stop] = world.sent("StopTransaction")
        [start] = world.sent("StartTransaction")
        told = [value["timestamp"] for value in stop["transactionData"]]
        assert len(told) > 30
        assert told == sorted(told)
        assert told[0] == start["timestamp"]


async def test_a_long_transaction_keeps_the_most_readings_allowed() -> None:
    keys = {
        "StopTransactionMaxMeterValues": {"value": "10", "readonly": True},
        "StopTxnSampledData": ENERGY,
        "MeterValueSampleInterval": 10,
    }
    async with station_world(keys=keys) as world:
        await world.ready()
        transaction = await world.charge(1)
        await world.sleep(1000)
        await world.stop_charging(transaction)
        data = world.sent("StopTransaction")[0]["transactionData"]
        assert 4 <= len(data) <= 10
        contexts = [value["sampledValue"][0].get("context", "Sample.Periodic") for value in data]
        assert contexts == ["Transaction.Begin", *["Sample.Periodic"] * (len(data) - 2), "Transaction.End"]
        registers = [float(value["sampledValue"][0]["value"]) for value in data]
        assert registers == sorted(registers)
        assert (registers[0], registers[-1]) == (transaction.meter_start, transaction.meter_stop)


async def test_no_aligned_reading_is_taken_twice_in_hours_at_an_odd_speed() -> None:
    keys = {"ClockAlignedDataInterval": 15, "MeterValueSampleInterval": 0}
    async with station_world(keys=keys, speed=7.3) as world:
        await world.ready()
        await world.charge(1)
        await world.sleep(6000 / 7.3)
        assert instants(aligned(world, 1)) == [15 * n for n in range(1, 401)]
