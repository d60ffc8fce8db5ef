"""Scenarios 26 to 28: meter values."""

from __future__ import annotations

from itertools import pairwise

import pytest

from simulator.timestamps import parse_timestamp
from tests.acceptance.bench import ENERGY, bench, charge, instant, readings, swipe


async def test_e26_sampled_values() -> None:
    """While charging, MeterValues at every interval from the start on, with every measurand that is configured."""
    measurands = f"{ENERGY},Power.Active.Import"
    async with bench(keys={"MeterValueSampleInterval": 2, "MeterValuesSampledData": measurands}) as world:
        await world.ready()
        await world.sleep(0.7)
        transaction = await charge(world)
        await world.sleep(7)
        values = world.sent("MeterValues")
        begun = parse_timestamp(world.sent("StartTransaction")[0]["timestamp"])[0]
        assert [instant(value) - begun for value in values] == pytest.approx([2, 4, 6], abs=0.01)
        assert {value["transactionId"] for value in values} == {transaction}
        registers = []
        for value in values:
            assert {sample.get("context", "Sample.Periodic") for sample in readings(value)} == {"Sample.Periodic"}
            assert {sample["measurand"] for sample in readings(value)} == set(measurands.split(","))
            registers += [float(sample["value"]) for sample in readings(value) if sample["measurand"] == ENERGY]
        assert registers == sorted(registers)


async def test_e27_clock_aligned_values() -> None:
    """MeterValues at the multiples of the interval in the day, from idle connectors without a transaction."""
    measurands = f"{ENERGY},Voltage"
    async with bench(keys={"ClockAlignedDataInterval": 5, "MeterValuesAlignedData": measurands}) as world:
        await world.ready()
        await world.sleep(1.3)
        transaction = await charge(world)
        await world.sleep(12)
        values = world.sent("MeterValues")
        assert {value["connectorId"] for value in values} == {0, 1, 2}
        for value in values:
            assert instant(value) % 5 == 0
            assert {sample["context"] for sample in readings(value)} == {"Sample.Clock"}
            assert {sample["measurand"] for sample in readings(value)} == set(measurands.split(","))
            assert value.get("transactionId") == (transaction if value["connectorId"] == 1 else None)
        own = [instant(value) for value in values if value["connectorId"] == 1]
        assert [later - earlier for earlier, later in pairwise(own)] == [5] * (len(own) - 1)
        assert len(own) >= 2


async def test_e28_readings_in_stoptransaction() -> None:
    """transactionData holds the begin, the samples and the end; without either key there is none."""
    async with bench(keys={"MeterValueSampleInterval": 2, "StopTxnSampledData": ENERGY}) as world:
        await world.ready()
        await charge(world)
        await world.sleep(5)
        await swipe(world, "A")
        [start], [stop] = world.sent("StartTransaction"), world.sent("StopTransaction")
        data = [sample for value in stop["transactionData"] for sample in value["sampledValue"]]
        contexts = [sample.get("context", "Sample.Periodic") for sample in data]
        assert contexts == ["Transaction.Begin", "Sample.Periodic", "Sample.Periodic", "Transaction.End"]
        assert float(data[0]["value"]) == start["meterStart"]
        assert float(data[-1]["value"]) == stop["meterStop"]
    async with bench(keys={"MeterValueSampleInterval": 2}) as world:
        await world.ready()
        await charge(world)
        await world.sleep(5)
        await swipe(world, "A")
        assert "transactionData" not in world.sent("StopTransaction")[0]
