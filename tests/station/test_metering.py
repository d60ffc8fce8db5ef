"""Meter values of whole stations: when, what, and how much."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from simulator.events import MeterSampled
from simulator.timestamps import parse_timestamp
from tests.station.harness import START, World, station_world

POWER = {"MeterValuesSampledData": "Power.Active.Import", "MeterValueSampleInterval": 10}


def instants(world: World, after: int = 0) -> list[float]:
    return [
        round(parse_timestamp(payload["meterValue"][0]["timestamp"])[0] - START, 2)
        for payload in world.sent("MeterValues", after=after)
    ]


def samples(payload: dict[str, Any]) -> list[dict[str, Any]]:
    return [sample for value in payload["meterValue"] for sample in value["sampledValue"]]


def powers(world: World, connector: int = 1) -> list[float]:
    return [
        float(sample["value"])
        for payload in world.sent("MeterValues")
        if payload["connectorId"] == connector
        for sample in samples(payload)
        if sample["measurand"] == "Power.Active.Import" and "phase" not in sample
    ]


async def test_samples_come_at_their_interval_from_the_start_of_the_transaction() -> None:
    measurands = "Energy.Active.Import.Register,Power.Active.Import"
    async with station_world(keys={"MeterValueSampleInterval": 2, "MeterValuesSampledData": measurands}) as world:
        await world.ready()
        await world.sleep(3.5)
        transaction = await world.charge()
        await world.sleep(7)
        begun = parse_timestamp(transaction.started_at)[0] - START
        assert instants(world) == pytest.approx([begun + 2, begun + 4, begun + 6], abs=0.02)
        registers = []
        for payload in world.sent("MeterValues"):
            assert payload["transactionId"] == transaction.transaction_id
            assert {sample["measurand"] for sample in samples(payload)} == set(measurands.split(","))
            assert {sample.get("context", "Sample.Periodic") for sample in samples(payload)} == {"Sample.Periodic"}
            registers += [float(s["value"]) for s in samples(payload) if s["measurand"].startswith("Energy")]
        assert registers == sorted(registers)
        assert len(world.happened(MeterSampled)) == 3


async def test_no_sample_is_taken_twice_in_hours_of_odd_intervals() -> None:
    async with station_world(keys={"MeterValueSampleInterval": 7}, speed=7.3) as world:
        await world.ready()
        await world.charge()
        await world.sleep(5_000 / 7.3)
        taken = instants(world)
        assert len(taken) == 5_000 // 7
        assert all(6.9 < later - earlier < 7.1 for earlier, later in pairwise(taken))


async def test_a_new_interval_holds_for_the_running_transaction() -> None:
    async with station_world(keys={"MeterValueSampleInterval": 100}) as world:
        await world.ready()
        await world.charge()
        await world.sleep(50)
        assert await world.key("MeterValueSampleInterval", 20) == "Accepted"
        await world.sleep(31)
        assert instants(world) == pytest.approx([60, 80], abs=0.1)
        assert await world.key("MeterValueSampleInterval", 0) == "Accepted"
        await world.sleep(500)
        assert len(world.sent("MeterValues")) == 2
        assert await world.key("MeterValueSampleInterval", 300) == "Accepted"
        await world.sleep(30)
        assert instants(world)[2:] == pytest.approx([600], abs=0.1)


@pytest.mark.parametrize(
    ("template", "where"),
    [
        ({}, []),
        ({"beginEndMeterValues": True}, ["begin", "end", "stop"]),
        ({"beginEndMeterValues": True, "outOfOrderEndMeterValues": True}, ["begin", "stop", "end"]),
        (
            {"beginEndMeterValues": True, "outOfOrderEndMeterValues": True, "ocppStrictCompliance": True},
            ["begin", "end", "stop"],
        ),
        ({"beginEndMeterValues": True, "ocppStrictCompliance": True}, ["begin", "end", "stop"]),
        ({"outOfOrderEndMeterValues": True}, []),
    ],
    ids=str,
)
async def test_values_at_begin_and_end(template: dict[str, bool], where: list[str]) -> None:
    async with station_world(template=template, keys={"MeterValueSampleInterval": 0}) as world:
        await world.ready()
        transaction = await world.charge()
        await world.sleep(600)
        await world.stop_charging(transaction)
        seen = []
        for call in world.calls():
            if call.action == "MeterValues":
                (sample,) = samples(call.payload)
                assert call.payload["transactionId"] == transaction.transaction_id
                at_begin = sample["context"] == "Transaction.Begin"
                assert float(sample["value"]) == (transaction.meter_start if at_begin else transaction.meter_stop)
                seen.append("begin" if at_begin else "end")
            elif call.action == "StopTransaction":
                seen.append("stop")
        assert seen == (where or ["stop"])
        assert transaction.energy > 100


@pytest.mark.parametrize(
    ("template", "keys", "contexts"),
    [
        ({}, {}, None),
        ({"transactionDataMeterValues": True}, {}, ["Transaction.Begin", "Transaction.End"]),
        (
            {},
            {"StopTxnSampledData": "Energy.Active.Import.Register"},
            ["Transaction.Begin", "Sample.Periodic", "Sample.Periodic", "Transaction.End"],
        ),
    ],
)
async def test_values_inside_stoptransaction(
    template: dict[str, bool], keys: dict[str, str], contexts: list[str] | None
) -> None:
    async with station_world(template=template, keys={"MeterValueSampleInterval": 2, **keys}) as world:
        await world.ready()
        transaction = await world.charge()
        await world.sleep(5)
        await world.stop_charging(transaction)
        (stop,) = world.sent("StopTransaction")
        data = stop.get("transactionData")
        if contexts is None:
            assert data is None
        else:
            assert data is not None
            found = [sample for value in data for sample in value["sampledValue"]]
            assert [sample.get("context", "Sample.Periodic") for sample in found] == contexts
            assert float(found[0]["value"]) == transaction.meter_start
            assert float(found[-1]["value"]) == transaction.meter_stop


@pytest.mark.parametrize("per_transaction", [True, False])
async def test_registers_per_transaction_or_for_life(per_transaction: bool) -> None:
    async with station_world(template={"meteringPerTransaction": per_transaction, "resetTime": 5}) as world:
        await world.ready()
        for _ in range(2):
            transaction = await world.charge()
            await world.sleep(600)
            await world.stop_charging(transaction)
        assert await world.status_of("Reset", type="Hard") == "Accepted"
        await world.sleep(10)
        await world.charge()
        first, second, third = world.transactions()
        if per_transaction:
            assert first.meter_start == second.meter_start == third.meter_start == 0
        else:
            assert first.meter_stop == second.meter_start
            assert second.meter_stop == third.meter_start
            assert third.meter_start > 200


async def test_the_amperage_key_limits_the_power_from_its_change_on() -> None:
    entry = {"measurand": "Power.Active.Import", "value": "22000", "fluctuationPercent": 0}
    template = {
        "amperageLimitationOcppKey": "MaxAmps",
        "amperageLimitationUnit": "dA",
        "numberOfConnectors": 1,
        "Connectors": {"0": {}, "1": {"MeterValues": [entry]}},
    }
    async with station_world(template=template, keys=POWER) as world:
        await world.ready()
        (key,) = (await world.call("GetConfiguration", key=["maxamps"]))["configurationKey"]
        assert key["value"] == "320"  # 22 kW on three phases of 230 V, in whole amperes
        await world.charge()
        await world.sleep(15)
        assert await world.key("MaxAmps", 100) == "Accepted"  # 10 A on three phases
        await world.sleep(16)
        assert await world.key("MaxAmps", 0) == "Accepted"
        await world.sleep(10)
        assert powers(world) == pytest.approx([22_000, 6_900, 6_900, 0], abs=2)


@pytest.mark.parametrize("shared", [True, False])
async def test_the_power_of_the_station_is_shared_by_connectors_or_by_transactions(shared: bool) -> None:
    entry = {"MeterValues": [{"measurand": "Power.Active.Import", "value": "30000", "fluctuationPercent": 0}]}
    template = {"powerSharedByConnectors": shared, "Connectors": {"0": {}, "1": entry, "2": entry}}
    async with station_world(template=template, keys=POWER) as world:
        await world.ready()
        first = await world.charge(1)
        await world.sleep(15)
        second = await world.charge(2)
        await world.sleep(20)
        await world.stop_charging(first)
        await world.sleep(20)
        assert second.is_open
        if shared:
            assert powers(world, 1) == pytest.approx([22_000, 11_000, 11_000], abs=1)
            assert powers(world, 2) == pytest.approx([11_000, 11_000, 22_000, 22_000], abs=1)
        else:
            assert powers(world, 1) == pytest.approx([11_000] * 3, abs=1)
            assert powers(world, 2) == pytest.approx([11_000] * 4, abs=1)


async def test_energy_is_power_by_time_whatever_changes_meanwhile() -> None:
    entry = {"MeterValues": [{"measurand": "Power.Active.Import", "value": "11000", "fluctuationPercent": 0}]}
    template = {"powerSharedByConnectors": True, "Connectors": {"0": {}, "1": entry, "2": entry}}
    async with station_world(template=template, keys={"MeterValueSampleInterval": 0}) as world:
        await world.ready()
        first = await world.charge(1)
        await world.sleep(1800)
        second = await world.charge(2)
        await world.sleep(1800)
        await world.stop_charging(first)
        await world.sleep(1800)
        await world.stop_charging(second)
        assert first.energy == pytest.approx(11_000, rel=0.01)
        assert second.energy == pytest.approx(11_000, rel=0.01)
