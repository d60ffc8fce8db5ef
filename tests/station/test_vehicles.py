"""Vehicles at whole stations: statuses of either side, limits, shared power, numbers that agree."""

from __future__ import annotations

from collections import defaultdict
from random import Random
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from simulator.energy.electrical import Circuit
from simulator.energy.recording import Limit, Scene, record_session
from simulator.energy.vehicle import Arrival, CurvePoint, Goal, VehicleModel
from simulator.energy.vehicle_files import shipped_vehicles
from simulator.station.presence import VerbRefused
from tests.station.harness import World, station_world
from tests.station.test_smart_charging import install, profile

EVERYTHING = "Voltage,Current.Import,Power.Active.Import,Energy.Active.Import.Register,SoC,Power.Offered,Power.Factor"
KEYS = {"MeterValuesSampledData": EVERYTHING, "MeterValueSampleInterval": 10}
ONE = {"numberOfConnectors": 1, "Connectors": {"0": {}, "1": {"MeterValues": [{"measurand": "SoC"}]}}}


def car(**members: Any) -> VehicleModel:
    """10 kWh, 11 kW on three phases whatever the state of charge, arrives with 90 %, no ramp."""
    values: dict[str, Any] = {
        "id": "car",
        "battery_capacity_wh": 10_000,
        "max_power_w": 11_000,
        "charging_curve": (CurvePoint(0, 1), CurvePoint(100, 1)),
        "initial_soc_percent_min": 90,
        "initial_soc_percent_max": 90,
        "ramp_up_seconds": 0,
    }
    return VehicleModel(**{**values, **members})


def readings(world: World, connector: int = 1) -> list[dict[str, float]]:
    """Of each MeterValues what it says of the whole, by measurand."""
    return [
        {
            sample.get("measurand", "Energy.Active.Import.Register"): float(sample["value"])
            for sample in payload["meterValue"][0]["sampledValue"]
            if "phase" not in sample
        }
        for payload in world.sent("MeterValues")
        if payload["connectorId"] == connector
    ]


def context_of(value: dict[str, Any]) -> str:
    return str(value["sampledValue"][0].get("context", "Sample.Periodic"))


def energies(world: World) -> list[int]:
    return [transaction.energy for transaction in world.transactions()]


async def test_a_full_vehicle_suspends_itself_and_its_transaction_goes_on() -> None:
    async with station_world(template=ONE, keys=KEYS, vehicles=[car()]) as world:
        await world.ready()
        transaction = await world.charge()
        await world.sleep(320)  # 1 kWh at 11 kW takes 327 s
        assert world.statuses(1)[-1] == "Charging"
        await world.sleep(10)
        assert world.statuses(1)[-1] == "SuspendedEV"
        await world.sleep(600)
        last = readings(world)[-1]
        assert (last["Power.Active.Import"], last["Current.Import"], last["SoC"]) == (0, 0, 100)
        assert last["Power.Offered"] > 0
        await world.stop_charging(transaction)
        assert world.statuses(1) == ["Available", "Preparing", "Charging", "SuspendedEV", "Finishing", "Available"]
        assert energies(world) == [1000]


async def test_a_limit_below_the_least_current_suspends_and_the_vehicle_wakes_up_after_it() -> None:
    model = car(wake_up_seconds=20, initial_soc_percent_min=10, initial_soc_percent_max=10)
    async with station_world(template=ONE, keys=KEYS, vehicles=[model]) as world:
        await world.ready()
        await world.charge()
        await world.sleep(60)
        assert await install(world, 1, profile(world, 1, (0, 5.9), (600, 10))) == "Accepted"
        await world.settle()
        assert world.statuses(1)[-1] == "SuspendedEVSE"
        assert await world.trigger("MeterValues", 1) == "Accepted"
        await world.settle()
        assert readings(world)[-1]["Power.Active.Import"] == 0
        await world.sleep(605)
        assert world.statuses(1)[-1] == "SuspendedEV"
        await world.sleep(20)
        assert world.statuses(1)[-1] == "Charging"
        await world.sleep(20)
        assert 6_700 < readings(world)[-1]["Power.Active.Import"] <= 6_900


async def test_who_is_suspended_by_both_sides_is_suspended_by_the_station() -> None:
    async with station_world(template=ONE, vehicles=[car()]) as world:
        await world.ready()
        await world.charge()
        await world.sleep(400)
        await install(world, 1, profile(world, 1, (0, 0), (100, 16)))
        await world.sleep(110)
        assert world.statuses(1)[-3:] == ["SuspendedEV", "SuspendedEVSE", "SuspendedEV"]


async def test_the_first_status_of_a_transaction_says_whether_anything_flows() -> None:
    async with station_world(template=ONE, vehicles=[car()]) as world:
        await world.ready()
        await install(world, 1, profile(world, 1, (0, 0)))
        await world.charge()
        assert world.statuses(1) == ["Available", "Preparing", "SuspendedEVSE"]


async def test_a_vehicle_is_sent_as_somebody_wants_it() -> None:
    cars = [car(id="small"), car(id="large", battery_capacity_wh=100_000), car(id="never", weight=0)]
    template = {**ONE, "automaticVehicle": False}
    async with station_world(template=template, keys=KEYS, vehicles=cars) as world:
        await world.ready()
        presence, meter = world.station.presence, world.connector().meter
        assert meter is not None
        with pytest.raises(VerbRefused, match="no vehicle lorry that charges here; there are small, large, never"):
            presence.plug_in(1, Arrival(vehicle="lorry"))
        assert not world.connector().plugged
        for goal, energy in (
            (Goal(departs_after_s=600), 11_000 * 600 / 3600),
            (Goal(soc_percent=22.0), 2000.0),
            (Goal(energy_wh=700), 700.0),
        ):
            for name in ("never", "large"):
                presence.plug_in(1, Arrival(vehicle=name, soc=20 if name == "large" else None, goal=goal))
                assert meter.vehicle is not None
                assert meter.vehicle.model.id == name
                if name == "never":
                    presence.unplug(1)
            transaction = await world.charge()
            assert world.statuses(1)[-1] == "Charging"
            await world.sleep(1000)
            assert world.statuses(1)[-1] == "SuspendedEV"
            await world.stop_charging(transaction)
            assert transaction.energy == pytest.approx(energy, abs=5)
            presence.unplug(1)


async def test_nobody_chooses_a_vehicle_where_there_are_none() -> None:
    async with station_world(template={**ONE, "coherentMeterValues": False}, keys=KEYS) as world:
        await world.ready()
        with pytest.raises(VerbRefused, match="coherentMeterValues of the template is false"):
            world.station.presence.plug_in(1, Arrival(soc=50))
        world.station.presence.plug_in(1)


async def test_a_sleeping_vehicle_needs_to_be_plugged_in_anew() -> None:
    model = car(sleeps_after_seconds=300, initial_soc_percent_min=10, initial_soc_percent_max=10)
    async with station_world(template={**ONE, "automaticVehicle": False}, vehicles=[model]) as world:
        await world.ready()
        world.station.presence.plug_in(1)
        await world.charge()
        await world.sleep(60)
        await install(world, 1, profile(world, 1, (0, 0), (400, 16)))
        await world.sleep(500)
        assert world.statuses(1)[-1] == "SuspendedEV"
        await world.stop_charging(world.transactions()[0])
        world.station.presence.unplug(1)
        world.station.presence.plug_in(1)
        await world.charge()
        assert world.statuses(1)[-1] == "Charging"


async def test_without_vehicles_every_value_is_drawn_by_itself() -> None:
    template = {**ONE, "coherentMeterValues": False}
    async with station_world(template=template, keys=KEYS, vehicles=[car()]) as world:
        await world.ready()
        await world.charge()
        await world.sleep(1200)
        assert set(world.statuses(1)) == {"Available", "Preparing", "Charging"}
        powers = [reading["Power.Active.Import"] for reading in readings(world)]
        assert len(set(powers)) > 100


async def test_a_direct_current_station_loses_a_part_in_the_conversion() -> None:
    template = {**ONE, "currentOutType": "DC", "power": 50, "conversionEfficiency": 0.9}
    model = car(max_power_w=100_000, initial_soc_percent_min=0, initial_soc_percent_max=0)
    async with station_world(template=template, keys=KEYS, vehicles=[model]) as world:
        await world.ready()
        await world.charge()
        await install(world, 1, profile(world, 1, (0, 30_000), unit="W"))
        await world.sleep(11)
        await world.status_of("ClearChargingProfile")
        await world.sleep(10)
        limited, full = readings(world)
        assert (limited["Power.Offered"], full["Power.Offered"]) == (27_000, 45_000)
        assert 26_500 < limited["Power.Active.Import"] <= 27_000
        assert 44_500 < full["Power.Active.Import"] <= 45_000


@pytest.mark.parametrize("how", ["station", "evse"])
async def test_connectors_that_share_power_get_what_the_others_leave(how: str) -> None:
    connectors: dict[str, Any] = {"1": {}, "2": {}}
    template: dict[str, Any] = {"power": 11, "powerUnit": "kW"}
    if how == "station":
        template |= {"powerSharedByConnectors": True}
    else:
        template |= {"Connectors": None, "Evses": {"0": {"Connectors": {"0": {}}}, "1": {"Connectors": connectors}}}
    model = car(initial_soc_percent_min=85, initial_soc_percent_max=85)
    async with station_world(template=template, keys=KEYS, vehicles=[model]) as world:
        await world.ready()
        await world.charge(1)
        await world.sleep(120)
        await world.charge(2)
        await world.sleep(15)
        one, two = readings(world, 1)[-1], readings(world, 2)[-1]
        assert one["Power.Offered"] + two["Power.Offered"] == pytest.approx(11_000, abs=0.02)
        assert one["Power.Offered"] == pytest.approx(two["Power.Offered"], abs=0.02)
        await world.sleep(1000)
        assert world.statuses(1)[-1] == world.statuses(2)[-1] == "SuspendedEV"
        alone = [reading["Power.Offered"] for reading in readings(world, 2)]
        assert max(alone) > 10_990  # when the first was full


async def test_too_little_power_for_all_leaves_the_last_without() -> None:
    template = {"power": 6.9, "powerUnit": "kW", "powerSharedByConnectors": True}
    model = car(initial_soc_percent_min=85, initial_soc_percent_max=85)
    async with station_world(template=template, keys=KEYS, vehicles=[model]) as world:
        await world.ready()
        first = await world.charge(1)
        await world.charge(2)
        await world.sleep(30)
        assert (world.statuses(1)[-1], world.statuses(2)[-1]) == ("Charging", "SuspendedEVSE")
        await world.stop_charging(first)
        assert world.statuses(2)[-1] == "Charging"


async def test_a_random_seed_repeats_vehicles_and_values_whatever_the_seed_of_the_run() -> None:
    async def run(seed: int, random_seed: int | None) -> list[dict[str, float]]:
        async with station_world(template={**ONE, "randomSeed": random_seed}, keys=KEYS, seed=seed) as world:
            await world.ready()
            await world.charge()
            await world.sleep(200)
            return readings(world)

    assert await run(1, 5) == await run(2, 5)
    assert await run(1, 5) != await run(1, 6)
    assert await run(1, None) != await run(2, None)


@pytest.mark.parametrize("per_transaction", [True, False])
async def test_every_account_of_a_transaction_says_the_same(per_transaction: bool) -> None:
    template = {
        **ONE,
        "meteringPerTransaction": per_transaction,
        "beginEndMeterValues": True,
        "transactionDataMeterValues": True,
    }
    energy = "Energy.Active.Import.Register"
    keys = {"MeterValueSampleInterval": 60, "MeterValuesSampledData": energy, "StopTxnSampledData": energy}
    async with station_world(template=template, keys=keys, seed=4) as world:
        await world.ready()
        for _ in range(3):
            begin = len(world.sent("MeterValues"))
            transaction = await world.charge()
            await world.sleep(1000)
            await world.stop_charging(transaction)
            stop = world.sent("StopTransaction")[-1]
            told = [payload["meterValue"][0] for payload in world.sent("MeterValues", after=begin)]
            for account in (told, stop["transactionData"]):
                values = [(context_of(v), float(v["sampledValue"][0]["value"])) for v in account]
                assert values[0] == ("Transaction.Begin", float(transaction.meter_start))
                assert values[-1] == ("Transaction.End", float(transaction.meter_start + transaction.energy))
                assert [context for context, _ in values[1:-1]] == ["Sample.Periodic"] * 16
                assert [value for _, value in values] == sorted(value for _, value in values)
            assert told[1:-1] == stop["transactionData"][1:-1]
            meter = world.connector().meter
            assert meter is not None
            assert abs(transaction.energy - meter.transaction_wh) <= 0.5
            assert transaction.energy > 100
        starts = [transaction.meter_start for transaction in world.transactions()]
        stops = [transaction.meter_stop for transaction in world.transactions()]
        assert starts == ([0, 0, 0] if per_transaction else [0, *stops[:-1]])


# -- laws --------------------------------------------------------------------------------------------------------------


STEP = 0.1


async def _session(
    template: dict[str, Any], model: VehicleModel, limits: list[tuple[int, float]], unit: str, seed: int
) -> None:
    """A session of five minutes; asserts what holds of any."""
    keys = {**KEYS, "MeterValueSampleInterval": 7}
    async with station_world(template=template, keys=keys, vehicles=[model], seed=seed) as world:
        await world.ready()
        if limits:
            assert await install(world, 1, profile(world, 1, *limits, unit=unit)) == "Accepted"
        transaction = await world.charge()
        meter, connector = world.connector().meter, world.connector()
        assert meter is not None
        integral = variation = 0.0
        power = meter.power_w
        for _ in range(int(300 / STEP)):
            await trio.sleep(STEP)
            world.station.settle_energy()
            before, power = power, meter.power_w
            integral += (before + power) / 2 * STEP / 3600
            variation += abs(power - before) * STEP / 3600
            assert power <= connector.watts * (1 + 1e-9)
            if world.statuses(1)[-1] != "Charging":
                assert power <= model.idle_power_w
        await world.stop_charging(transaction)
        assert transaction.energy == pytest.approx(integral, abs=0.5 + variation)
        socs = [reading["SoC"] for reading in readings(world)]
        assert socs == sorted(socs)
        for payload in world.sent("MeterValues"):
            _check_laws(payload["meterValue"][0]["sampledValue"], world)


def _check_laws(samples: list[dict[str, Any]], world: World) -> None:
    """P = U · I · phases · cos phi, within what rounding to two decimals makes of it."""
    values: dict[str, dict[str | None, float]] = defaultdict(dict)
    for sample in samples:
        line = sample.get("phase")
        values[sample["measurand"]][line and line.removesuffix("-N")] = float(sample["value"])
    powers, currents, voltages = values["Power.Active.Import"], values["Current.Import"], values["Voltage"]
    (factor,), (offered,) = values["Power.Factor"].values(), values["Power.Offered"].values()
    conductors = world.station.info.circuit.conductors
    assert powers[None] <= offered + 0.005
    for line, power in powers.items():
        count = 1 if line else conductors
        tolerance = count * (0.0101 * voltages[line] + 0.0051 * currents[line]) + 0.0006 * power / factor + 0.02
        assert power == pytest.approx(voltages[line] * currents[line] * count * factor, abs=tolerance)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    current=st.sampled_from([("AC", 1), ("AC", 3), ("DC", 0)]),
    kilowatts=st.sampled_from([3.7, 11, 22, 50]),
    efficiency=st.sampled_from([1, 0.93]),
    model=st.sampled_from(shipped_vehicles()),
    soc=st.one_of(st.floats(5, 95), st.floats(98, 99.9)),
    limits=st.lists(st.tuples(st.integers(1, 280), st.sampled_from([0, 5, 6, 8, 13.5, 16, 40])), max_size=4),
    seed=st.integers(0, 1000),
)
def test_whatever_charges_obeys_the_laws(
    current: tuple[str, int],
    kilowatts: float,
    efficiency: float,
    model: VehicleModel,
    soc: float,
    limits: list[tuple[int, float]],
    seed: int,
) -> None:
    kind, phases = current
    template = {
        **ONE,
        "currentOutType": kind,
        "numberOfPhases": phases,
        "power": kilowatts,
        "conversionEfficiency": efficiency,
    }
    members = {name: getattr(model, name) for name in model.__struct_fields__}
    arriving = VehicleModel(**{**members, "initial_soc_percent_min": soc, "initial_soc_percent_max": soc})
    periods = [(0, 32.0), *sorted(dict(limits).items())] if limits else []
    trio.run(_session, template, arriving, periods, "A", seed, clock=MockClock(autojump_threshold=0))


async def test_a_recorded_session_is_what_a_station_delivers() -> None:
    model = next(vehicle for vehicle in shipped_vehicles() if vehicle.id == "compact-58")
    members = {name: getattr(model, name) for name in model.__struct_fields__}
    model = VehicleModel(**{**members, "initial_soc_percent_min": 60, "initial_soc_percent_max": 60})
    template = {**ONE, "currentOutType": "DC", "power": 50}
    limit = Limit(20_000, 600, 1200)
    scene = Scene(vehicle=model, circuit=Circuit(400, 0), station_w=50_000, limit=limit, soc=60, longest=2400)
    recorded = record_session(scene, Random(1))
    async with station_world(template=template, keys={"MeterValueSampleInterval": 0}, vehicles=[model]) as world:
        await world.ready()
        transaction = await world.charge()
        limits = profile(world, 1, (0, 50_000), (600, 20_000), (1200, 50_000), unit="W", kind="Relative")
        assert await install(world, 1, limits) == "Accepted"
        await world.sleep(2400)
        await world.stop_charging(transaction)
        assert transaction.energy == pytest.approx(recorded[-1].energy_wh, abs=2)
