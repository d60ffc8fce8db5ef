"""A picture of a station shows what flows now, not what the last sample said."""

from __future__ import annotations

import msgspec
import pytest
from trio.testing import MockClock

from simulator.control.registry.snapshot import Fields, Snapshots
from tests.station.harness import World, station_world

POWER, SOC = "power", "soc"
ENERGY, LIFETIME = "transactionEnergyActiveImportRegisterValue", "energyActiveImportRegisterValue"


def shown(world: World) -> dict[str, float]:
    """What the picture of CS-1 tells of its first connector."""
    picture = Snapshots().station(world.station, Fields(None))
    entry = msgspec.json.decode(msgspec.json.encode(picture))["connectors"][1]
    return {name: entry[name] for name in (POWER, SOC, ENERGY, LIFETIME) if name in entry}


async def test_power_energy_and_charge_are_those_of_now(autojump_clock: MockClock) -> None:
    async with station_world(keys={"MeterValueSampleInterval": 900}) as world:
        await world.ready()
        assert shown(world)[POWER] == 0
        transaction = await world.charge()
        await world.sleep(100)
        first = shown(world)
        await world.sleep(60)
        second = shown(world)
        assert not world.sent("MeterValues")
        assert first[POWER] > 1000
        assert second[POWER] == pytest.approx(first[POWER])
        assert second[ENERGY] - first[ENERGY] == pytest.approx(first[POWER] * 60 / 3600, rel=0.01)
        assert second[SOC] > first[SOC]
        assert second[LIFETIME] == pytest.approx(second[ENERGY], abs=0.5)
        await world.stop_charging(transaction)
        (stop,) = world.sent("StopTransaction")
        assert stop["meterStop"] == pytest.approx(second[ENERGY], abs=1)
        assert shown(world)[POWER] == 0
