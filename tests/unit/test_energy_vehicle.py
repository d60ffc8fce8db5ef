"""Vehicles at a connector: what they draw, when they stop and start by themselves, and numbers that agree."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from simulator.energy.charging_profiles import (
    ChargingProfile,
    Kind,
    ProfileStore,
    Purpose,
    RateUnit,
    SchedulePeriod,
)
from simulator.energy.charging_schedule import Situation, next_change, rate_at
from simulator.energy.electrical import Circuit, available_power
from simulator.energy.meter import ConnectorMeter
from simulator.energy.meter_plan import MeterSwitches, meter_plan
from simulator.energy.meter_values import (
    CURRENT,
    CURRENT_OFFERED,
    ENERGY,
    INTERVALS,
    MEASURANDS,
    POWER,
    POWER_EXPORT,
    POWER_FACTOR,
    POWER_OFFERED,
    POWER_REACTIVE_IMPORT,
    REACTIVE_IMPORT,
    SOC,
    VOLTAGE,
    SampledValueTemplate,
    parse_measurands,
)
from simulator.energy.plugged_vehicle import ChargingState
from simulator.energy.ramp import RampShape
from simulator.energy.vehicle import CurvePoint, Goal, VehicleModel, pick_vehicle
from simulator.energy.vehicle_files import VehicleFileError, load_vehicles, shipped_vehicles
from simulator.ocpp.v16.enums import Measurand

AC3 = Circuit(230, 3)
AC1 = Circuit(230, 1)
DC = Circuit(400, 0)
CHARGING, EV, EVSE = ChargingState.CHARGING, ChargingState.SUSPENDED_EV, ChargingState.SUSPENDED_EVSE
FLAT = ((0, 1.0), (100, 1.0))


def vehicle(curve: tuple[tuple[float, float], ...] = FLAT, **members: Any) -> VehicleModel:
    values: dict[str, Any] = {"id": "one", "battery_capacity_wh": 50_000, "max_power_w": 100_000, "ramp_up_seconds": 0}
    points = tuple(CurvePoint(soc, fraction) for soc, fraction in curve)
    return VehicleModel(charging_curve=points, **{**values, **members})


def entry(measurand: str, **members: Any) -> SampledValueTemplate:
    return SampledValueTemplate(measurand, **members)


def plugged(
    model: VehicleModel,
    *entries: SampledValueTemplate,
    circuit: Circuit = AC3,
    soc: float = 50,
    goal: Goal | None = None,
    **switches: Any,
) -> ConnectorMeter:
    """A meter in a transaction with a vehicle."""
    meter = ConnectorMeter(meter_plan(entries, circuit, MeterSwitches(**switches)))
    meter.plug_in(model, Random(1), soc=soc, goal=goal)
    meter.begin_transaction(Random(1))
    return meter


def shown(meter: ConnectorMeter, text: str, context: str | None = None) -> dict[str, float]:
    """Samples by measurand and phase, as asked for with the value of a configuration key."""
    wanted = parse_measurands(text, phases=meter.plan.circuit.phases).wanted
    samples = meter.samples(wanted, context=context)
    return {sample.measurand + (f".{sample.phase}" if sample.phase else ""): sample.value for sample in samples}


# -- what a vehicle draws ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("circuit", "offered", "members", "watts"),
    [
        (AC3, 22_080, {}, 22_080),
        (AC3, 22_080, {"ac_max_current_a": 16}, 11_040),
        (AC3, 22_080, {"ac_phases": 1}, 7360),
        (AC3, 22_080, {"ac_phases": 2, "ac_max_current_a": 16}, 7360),
        (AC3, 4140, {"ac_phases": 1}, 1380),
        (AC3, 22_080, {"max_power_w": 3700}, 3700),
        (AC1, 7360, {"ac_phases": 3}, 7360),
        (AC1, 7360, {"power_factor": 0.9}, 6624),
        (DC, 150_000, {}, 100_000),
        (DC, 150_000, {"dc_max_power_w": 60_000, "ac_max_current_a": 16, "power_factor": 0.9}, 60_000),
        (DC, 40_000, {}, 40_000),
    ],
)
def test_the_least_of_station_and_vehicle_flows(
    circuit: Circuit, offered: float, members: dict[str, Any], watts: float
) -> None:
    meter = plugged(vehicle(**members), circuit=circuit)
    meter.advance(10, offered, Random(1))
    # A vehicle stays a little below the current that it is offered, so that no swing of the voltage exceeds the power.
    assert watts * 0.99 <= meter.power_w <= watts


def test_a_vehicle_on_one_phase_loads_one_line_and_the_neutral() -> None:
    meter = plugged(vehicle(ac_phases=1, power_factor=0.95))
    meter.advance(600, 22_080, Random(2))
    values = shown(meter, f"{POWER},{CURRENT},{CURRENT}.N,{ENERGY},{ENERGY}.L1,{ENERGY}.L2,Voltage")
    assert values[f"{POWER}.L1-N"] == values[POWER] == pytest.approx(meter.power_w, abs=0.01)
    assert values[f"{POWER}.L2-N"] == values[f"{CURRENT}.L3"] == values[f"{ENERGY}.L2"] == 0
    assert values[f"{CURRENT}.N"] == values[f"{CURRENT}.L1"] > 31
    assert values[f"{ENERGY}.L1"] == values[ENERGY] > 0
    assert values["Voltage"] == values["Voltage.L1-N"]
    balanced = plugged(vehicle())
    balanced.advance(600, 22_080, Random(2))
    assert shown(balanced, f"{CURRENT}.N")[f"{CURRENT}.N"] < 0.5


def test_fewer_phases_of_a_profile_keep_the_amperes_on_those_that_remain() -> None:
    profile = ChargingProfile(
        profile_id=1,
        stack_level=0,
        purpose=Purpose.TX_DEFAULT,
        kind=Kind.ABSOLUTE,
        unit=RateUnit.AMPERE,
        periods=(SchedulePeriod(0, 10, 1),),
        start=0,
    )
    rate = rate_at(ProfileStore().with_profile(1, profile), 1, 100, Situation(AC3, charging_since=50))
    assert rate is not None
    assert (rate.watts, rate.phases) == (2300, 1)
    watts = available_power(22_080, AC3, divider=1, profile_limit=rate.watts, profile_phases=rate.phases)
    meter = plugged(vehicle())
    meter.advance(10, watts, Random(1), phases=rate.phases)
    assert meter.charging_state is CHARGING
    values = shown(meter, f"{CURRENT},{CURRENT_OFFERED},{POWER_OFFERED}")
    assert values[CURRENT_OFFERED] == 10
    assert values[POWER_OFFERED] == 2300
    assert 9.8 < values[f"{CURRENT}.L1"] <= 10
    assert values[f"{CURRENT}.L2"] == 0
    # The fuse of a phase does not grow because the others carry nothing.
    assert available_power(11_040, AC3, divider=1, profile_limit=7360, profile_phases=1) == 3680


def test_the_same_power_on_fewer_phases_is_another_offer() -> None:
    meter = plugged(vehicle())
    meter.advance(60, 6900, Random(1))
    assert shown(meter, CURRENT_OFFERED)[CURRENT_OFFERED] == 10
    meter.offer(6900, phases=1)
    values = shown(meter, f"{CURRENT_OFFERED},{CURRENT}")
    assert values[CURRENT_OFFERED] == 30
    assert values["Current.Import.L1"] == pytest.approx(30, rel=0.02)
    assert values["Current.Import.L2"] == 0


def test_a_new_transaction_begins_without_an_offer() -> None:
    meter = plugged(vehicle())
    meter.advance(60, 6900, Random(1))
    meter.end_transaction()
    meter.begin_transaction(Random(1))
    assert meter.charging_state is EVSE
    assert set(shown(meter, f"{POWER_OFFERED},{CURRENT_OFFERED},{POWER},{CURRENT}").values()) == {0}
    meter.advance(3600, 0, Random(1))
    assert meter.transaction_wh == 0


def test_power_of_a_rectifier_is_what_is_left_of_that_of_the_grid() -> None:
    assert available_power(50_000, DC, divider=1, efficiency=0.95) == 47_500
    assert available_power(50_000, DC, divider=1, efficiency=0.95, profile_limit=10_000, evse_maximum=30_000) == 9500
    assert available_power(22_080, AC3, divider=1, efficiency=0.95) == 22_080


@pytest.mark.parametrize("shape", list(RampShape))
def test_power_is_taken_up_along_a_ramp(shape: RampShape) -> None:
    meter = plugged(vehicle(ramp_up_seconds=10, ramp_shape=shape), circuit=DC)
    meter.offer(36_000)
    assert meter.power_w == 0
    assert meter.charging_state is CHARGING
    meter.advance(5, 36_000, Random(1))
    assert meter.power_w == pytest.approx(17_910, rel=0.001)
    meter.advance(5, 36_000, Random(1))
    assert meter.power_w == pytest.approx(35_820, rel=0.001)
    assert meter.transaction_wh == pytest.approx(49.75, rel=0.001)  # half of 10 s at 35.8 kW


# -- why it does not draw ------------------------------------------------------------------------------------------


def test_less_than_six_amperes_suspend_on_the_stations_account() -> None:
    meter = plugged(vehicle())
    assert meter.charging_state is EVSE  # nothing has been offered yet
    meter.advance(60, 3 * 230 * 6, Random(1))
    assert meter.charging_state is CHARGING
    meter.offer(3 * 230 * 5.9)
    assert meter.charging_state is EVSE
    assert meter.power_w == 0
    assert meter.next_event_at(0) is None
    meter.offer(0)
    assert meter.charging_state is EVSE
    meter.offer(11_000)
    assert meter.charging_state is CHARGING  # a vehicle that needs no time to wake up
    assert plugged(vehicle(), circuit=DC).charging_state is EVSE
    assert meter.end_transaction() > 0
    assert meter.charging_state is None


def test_a_full_vehicle_suspends_itself_at_the_announced_instant() -> None:
    meter = plugged(vehicle(target_soc_percent=80), circuit=DC, soc=60)
    meter.offer(36_000)
    full_at = meter.next_event_at(1000.0)
    assert full_at == pytest.approx(1000 + 10_000 / 35_820 * 3600, rel=1e-3)
    assert full_at is not None
    meter.advance(full_at - 1000 - 0.01, 36_000, Random(1))
    assert meter.charging_state is CHARGING
    meter.advance(0.02, 36_000, Random(1))
    assert meter.charging_state is EV
    assert (meter.soc, meter.power_w, meter.next_event_at(0)) == (80, 0, None)
    assert meter.transaction_wh == pytest.approx(10_000)
    meter.offer(0)
    assert meter.charging_state is EVSE  # both sides suspended
    meter.advance(3600, 36_000, Random(1))
    assert meter.charging_state is EV
    assert meter.transaction_wh == pytest.approx(10_000)


@pytest.mark.parametrize(
    ("goal", "wh"),
    [
        (Goal(energy_wh=1234), 1234),
        (Goal(soc_percent=55), 2500),
        (Goal(departs_after_s=1800), 9950),
        (Goal(soc_percent=55, energy_wh=3000), 2500),
        (Goal(soc_percent=40), 0),
    ],
)
def test_charging_ends_with_the_first_wish_that_is_met(goal: Goal, wh: float) -> None:
    meter = plugged(vehicle(), circuit=DC, goal=goal)
    meter.offer(20_000)
    ends_at = meter.next_event_at(0.0)
    meter.advance(7200, 20_000, Random(1))
    assert meter.charging_state is EV
    assert meter.transaction_wh == pytest.approx(wh, rel=1e-3)
    assert (ends_at is None) == (wh == 0)
    assert meter.demand_w == 0


def test_a_paused_vehicle_takes_time_to_wake_up() -> None:
    meter = plugged(vehicle(wake_up_seconds=30, ramp_up_seconds=4), circuit=DC)
    meter.offer(20_000)
    assert meter.charging_state is CHARGING  # at first it is awake
    meter.advance(60, 20_000, Random(1))
    meter.advance(60, 0, Random(1))
    meter.offer(20_000)
    assert meter.charging_state is EV
    assert meter.next_event_at(500) == 530
    meter.advance(29, 20_000, Random(1))
    before = meter.transaction_wh
    assert (meter.charging_state, meter.power_w) == (EV, 0)
    meter.advance(3, 20_000, Random(1))
    assert meter.charging_state is CHARGING
    assert meter.power_w == pytest.approx(9950, rel=1e-3)  # half of the ramp
    assert meter.transaction_wh > before


def test_some_never_wake_until_a_new_session() -> None:
    meter = plugged(vehicle(sleeps_after_seconds=600, idle_power_w=12), circuit=DC)
    meter.advance(60, 20_000, Random(1))
    meter.advance(599, 0, Random(1))
    meter.offer(20_000)
    assert meter.charging_state is CHARGING
    meter.advance(60, 20_000, Random(1))
    meter.advance(600, 0, Random(1))
    assert meter.charging_state is EVSE
    meter.offer(20_000)
    assert (meter.charging_state, meter.next_event_at(0), meter.power_w, meter.demand_w) == (EV, None, 12, 0)
    soc, energy = meter.soc, meter.transaction_wh
    meter.advance(3600, 20_000, Random(1))
    assert meter.soc == soc
    assert meter.transaction_wh == pytest.approx(energy + 12)
    meter.end_transaction()
    meter.begin_transaction(Random(1))
    meter.advance(1, 20_000, Random(1))
    assert meter.charging_state is CHARGING
    assert meter.soc is not None
    assert soc is not None
    assert meter.soc > soc


def test_a_vehicle_for_alternating_current_never_charges_from_direct() -> None:
    hybrid = vehicle(dc_max_power_w=0)
    meter = plugged(hybrid, circuit=DC)
    meter.advance(60, 50_000, Random(1))
    assert (meter.charging_state, meter.transaction_wh, meter.next_event_at(0)) == (EV, 0, None)
    assert pick_vehicle([hybrid], DC, Random(1)) is None
    assert pick_vehicle([hybrid], AC1, Random(1)) is hybrid
    picked = {
        pick_vehicle([hybrid, vehicle(id="two", weight=0), vehicle(id="three")], AC3, Random(i)) for i in range(9)
    }
    assert {model.id for model in picked if model} == {"one", "three"}


def test_an_unplugged_vehicle_leaves_nothing_behind() -> None:
    meter = plugged(vehicle(), circuit=DC)
    meter.advance(60, 20_000, Random(1))
    meter.end_transaction()
    assert meter.soc is not None
    assert meter.soc > 50  # plugged in still
    meter.unplug()
    assert meter.vehicle is None
    assert meter.samples([(SOC, None)])[0].measurand == ENERGY  # of nothing else it knows anything


# -- template entries ----------------------------------------------------------------------------------------------


def test_values_of_the_template_keep_their_meaning_beside_a_vehicle() -> None:
    given_power = plugged(vehicle(), entry(POWER, value=5000, fluctuation_percent=0), circuit=DC)
    given_power.advance(3600, 50_000, Random(1))
    assert given_power.power_w == 5000
    assert given_power.soc == 60
    assert given_power.charging_state is CHARGING
    given_power.offer(0)
    assert given_power.charging_state is EVSE
    given_soc = plugged(vehicle(), entry(SOC, value=33, fluctuation_percent=0), circuit=DC)
    given_soc.advance(1800, 50_000, Random(1))
    assert shown(given_soc, SOC)[SOC] == 33
    assert given_soc.power_w == pytest.approx(49_750, rel=1e-3)
    given_voltage = plugged(vehicle(), entry(VOLTAGE, value=222, fluctuation_percent=1))
    for _ in range(50):
        given_voltage.advance(60, 22_080, Random())
        values = shown(given_voltage, f"{VOLTAGE},{CURRENT}")
        assert 219.7 <= values[VOLTAGE] <= 224.3
        assert values[f"{CURRENT}.L2"] <= 32
    steady = plugged(vehicle(), entry(VOLTAGE, fluctuation_percent=0))
    steady.advance(60, 22_080, Random(1))
    assert shown(steady, VOLTAGE)["Voltage.L3-N"] == 230


def test_voltage_strays_a_little_where_nothing_is_said_of_it() -> None:
    meter = plugged(vehicle(), entry(VOLTAGE, unit="V"))
    rng, seen = Random(1), []
    for _ in range(200):
        meter.advance(1, 11_000, rng)
        seen.append(shown(meter, VOLTAGE)["Voltage.L1-N"])
    assert 228.85 <= min(seen) < 229.5
    assert 230.5 < max(seen) <= 231.15


def test_every_measurand_of_the_standard_is_delivered() -> None:
    assert set(MEASURANDS) == set(map(str, Measurand))
    for circuit in (AC3, AC1, DC):
        meter = plugged(vehicle(power_factor=0.9), circuit=circuit)
        meter.advance(3600, 20_000, Random(1))
        samples = meter.samples([(measurand, None) for measurand in MEASURANDS])
        assert {sample.measurand for sample in samples} == set(MEASURANDS)
        units = {sample.measurand: sample.unit for sample in samples}
        assert units["Frequency"] is units["RPM"] is units[POWER_FACTOR] is None
        assert (units["Temperature"], units[REACTIVE_IMPORT], units[SOC]) == ("Celsius", "varh", "Percent")
    values = shown(plugged(vehicle()), "Frequency,Temperature,RPM,Power.Active.Export")
    assert 49.9 < values["Frequency"] < 50.1
    assert 59.9 < shown(plugged(vehicle(), circuit=Circuit(120, 1)), "Frequency")["Frequency"] < 60.1
    assert values[POWER_EXPORT] == 0


def test_a_measurand_of_one_line_agrees_with_the_whole() -> None:
    meter = plugged(vehicle(ac_phases=2, power_factor=0.9), entry(POWER_EXPORT, value=900, fluctuation_percent=0))
    meter.advance(3600, 11_040, Random(1))
    for measurand, used in (
        (POWER_OFFERED, 3),
        (POWER_EXPORT, 2),
        (POWER_REACTIVE_IMPORT, 2),
        (CURRENT, 2),
        (CURRENT_OFFERED, 3),
        ("Current.Export", 2),
    ):
        whole = shown(meter, measurand)[measurand]
        parts = [shown(meter, f"{measurand}.{line}")[f"{measurand}.{line}"] for line in ("L1", "L2-N", "L3")]
        # Of currents the whole is the mean.
        assert whole == pytest.approx(sum(parts) / (3 if measurand.startswith("Current.") else 1), abs=0.03)
        assert parts[0] == pytest.approx(parts[1], rel=0.02)
        assert (parts[2] > 0) is (used == 3)
    assert shown(meter, f"{POWER_FACTOR}.L2") == {f"{POWER_FACTOR}.L2": 0.9}
    one_phase = plugged(vehicle())
    one_phase.advance(60, 1380, Random(1), phases=1)
    assert shown(one_phase, f"{CURRENT_OFFERED}.L1,{CURRENT_OFFERED}.L2,{POWER_OFFERED}.L1-N") == {
        f"{POWER_OFFERED}.L1-N": 1380,
        f"{CURRENT_OFFERED}.L1": 6,
        f"{CURRENT_OFFERED}.L2": 0,
    }


def test_reactive_power_follows_from_the_power_factor() -> None:
    meter = plugged(vehicle(power_factor=0.8))
    meter.advance(3600, 11_040, Random(1))
    values = shown(
        meter, f"{POWER},{POWER_REACTIVE_IMPORT},{POWER_REACTIVE_IMPORT}.L1,{REACTIVE_IMPORT},{POWER_FACTOR}"
    )
    assert values[POWER_FACTOR] == 0.8
    assert values[POWER_REACTIVE_IMPORT] == pytest.approx(values[POWER] * 0.75, rel=1e-4)
    assert values[f"{POWER_REACTIVE_IMPORT}.L1"] == pytest.approx(values[POWER_REACTIVE_IMPORT] / 3, abs=0.02)
    assert values[REACTIVE_IMPORT] == pytest.approx(meter.transaction_wh * 0.75, abs=0.5)


def test_units_and_values_of_entries_hold_for_every_measurand() -> None:
    meter = plugged(
        vehicle(),
        entry("Temperature", unit="K", value=300, fluctuation_percent=0),
        entry("Frequency", value=60, fluctuation_percent=0),
        entry(POWER_EXPORT, unit="kW", value=2, fluctuation_percent=0),
        entry("Energy.Reactive.Export.Register", unit="kvarh", value=0.1, fluctuation_percent=0),
    )
    meter.advance(1800, 11_040, Random(1), sample_interval_s=600)
    values = shown(
        meter,
        "Temperature,Frequency,Power.Active.Export,Current.Export,Energy.Active.Export.Register,"
        "Power.Reactive.Export,Energy.Reactive.Export.Register",
    )
    assert values == {
        "Temperature": 300,
        "Frequency": 60,
        "Power.Active.Export": 2,
        "Current.Export": pytest.approx(2.9, abs=0.02),
        "Energy.Active.Export.Register": 1000,
        "Power.Reactive.Export": 600,
        "Energy.Reactive.Export.Register": 0.3,
    }
    assert shown(plugged(vehicle(), entry("Temperature", unit="Fahrenheit")), "Temperature")["Temperature"] > 70


def test_intervals_count_from_report_to_report_of_one_kind() -> None:
    interval = INTERVALS[ENERGY]
    meter = plugged(vehicle(), circuit=DC, per_transaction=False)
    totals: dict[str, float] = defaultdict(float)
    for step in range(1, 13):
        meter.advance(75, 20_000, Random(1))
        for context, every in (("Sample.Periodic", 1), ("Sample.Clock", 4)):
            if step % every == 0:
                totals[context] += shown(meter, interval, context)[interval]
                assert shown(meter, interval, context)[interval] > 0  # the same when asked again
    assert totals["Sample.Periodic"] == totals["Sample.Clock"] == meter.register_wh
    meter.end_transaction()
    assert shown(meter, interval, "Transaction.End")[interval] == meter.register_wh
    meter.begin_transaction(Random(1))
    assert shown(meter, interval, "Transaction.Begin")[interval] == 0


# -- laws ----------------------------------------------------------------------------------------------------------

CIRCUITS = st.sampled_from([AC3, AC1, DC, Circuit(231, 3), Circuit(120, 1), Circuit(920, 0)])


@st.composite
def vehicles(draw: st.DrawFn, idle: bool = False) -> VehicleModel:
    if draw(st.booleans()) and not idle:
        return draw(st.sampled_from(shipped_vehicles()))
    socs = sorted(draw(st.lists(st.floats(0, 100), min_size=1, max_size=6)))
    return vehicle(
        tuple((soc, draw(st.sampled_from([0.0, 1.0]) | st.floats(0, 1))) for soc in socs),
        battery_capacity_wh=draw(st.floats(2000, 120_000)),
        max_power_w=draw(st.floats(1000, 350_000)),
        dc_max_power_w=draw(st.none() | st.floats(0, 350_000)),
        ac_phases=draw(st.integers(1, 3)),
        ac_max_current_a=draw(st.none() | st.floats(6, 63)),
        min_current_a=draw(st.sampled_from([0.0, 6.0, 8.0])),
        power_factor=draw(st.floats(0.5, 1)),
        charging_efficiency=draw(st.floats(0.6, 1)),
        dc_charging_efficiency=draw(st.none() | st.floats(0.6, 1)),
        target_soc_percent=draw(st.floats(20, 100)),
        ramp_shape=draw(st.sampled_from(RampShape)),
        ramp_up_seconds=draw(st.sampled_from([0.0, 5.0]) | st.floats(0, 120)),
        idle_power_w=draw(st.floats(0, 300)) if idle else 0.0,
        wake_up_seconds=draw(st.sampled_from([0.0, 30.0]) | st.floats(0, 300)),
        sleeps_after_seconds=draw(st.none() | st.floats(0, 3600)),
    )


LIMITS = st.sampled_from([0.0, 4140.0, 22_080.0, 150_000.0]) | st.floats(0, 400_000)
STRETCHES = st.lists(st.tuples(st.floats(0, 3600), LIMITS), min_size=1, max_size=12)
GOALS = st.builds(
    Goal,
    soc_percent=st.none() | st.floats(0, 100),
    energy_wh=st.none() | st.floats(0, 60_000),
    departs_after_s=st.none() | st.floats(0, 20_000),
)


def in_transaction(model: VehicleModel, circuit: Circuit, soc: float, goal: Goal | None = None) -> ConnectorMeter:
    return plugged(model, circuit=circuit, soc=soc, goal=goal, per_transaction=False)


@settings(max_examples=150, deadline=None)
@given(
    model=vehicles(idle=True),
    circuit=CIRCUITS,
    soc=st.floats(0, 100),
    goal=GOALS,
    stretches=STRETCHES,
    cuts=st.lists(st.floats(0, 1), max_size=30),
)
def test_nothing_depends_on_how_the_time_is_cut_up(
    model: VehicleModel,
    circuit: Circuit,
    soc: float,
    goal: Goal,
    stretches: list[tuple[float, float]],
    cuts: list[float],
) -> None:
    one, other = in_transaction(model, circuit, soc, goal), in_transaction(model, circuit, soc, goal)
    for elapsed, limit in stretches:
        one.advance(elapsed, limit, Random(1))
        edges = [0.0, *sorted(cut * elapsed for cut in cuts), elapsed]
        for start, end in itertools.pairwise(edges):
            other.advance(end - start, limit, Random(2))
        assert other.transaction_wh == pytest.approx(one.transaction_wh, abs=0.001)
        assert other.soc == pytest.approx(one.soc, abs=1e-5)
    assert other.end_transaction() == pytest.approx(one.end_transaction(), abs=1)


@settings(max_examples=150, deadline=None)
@given(model=vehicles(), circuit=CIRCUITS, soc=st.floats(0, 100), goal=GOALS, stretches=STRETCHES)
def test_the_state_of_charge_is_that_on_arrival_and_what_the_energy_adds(
    model: VehicleModel, circuit: Circuit, soc: float, goal: Goal, stretches: list[tuple[float, float]]
) -> None:
    meter = in_transaction(model, circuit, soc, goal)
    efficiency, before = model.efficiency(circuit), soc
    begin = meter.register_wh
    for elapsed, limit in stretches:
        meter.advance(elapsed, limit, Random(1))
        assert meter.soc is not None
        assert before <= meter.soc <= 100
        assert meter.soc == pytest.approx(
            soc + 100 * efficiency * meter.transaction_wh / model.battery_capacity_wh, abs=1e-6
        )
        assert meter.soc <= max(soc, model.target_soc_percent if goal.soc_percent is None else goal.soc_percent) + 1e-9
        before = meter.soc
    energy = meter.transaction_wh
    assert abs(meter.end_transaction() - begin - energy) <= 0.5 + 1e-6


def integral(power: Callable[[float], float], start: float, end: float, tolerance: float) -> float:
    """W s between two instants by adaptive Simpson quadrature, which knows nothing of ramps and curves."""

    def simpson(a: float, fa: float, fm: float, b: float, fb: float, left: float, depth: int) -> float:
        middle = (a + b) / 2
        one, other = power((a + middle) / 2), power((middle + b) / 2)
        whole = (fa + 4 * fm + fb) * (b - a) / 6
        halves = (fa + 4 * one + 2 * fm + 4 * other + fb) * (b - a) / 12
        if abs(halves - whole) <= 15 * left or depth == 0:
            return halves
        first = simpson(a, fa, one, middle, fm, left / 2, depth - 1)
        return first + simpson(middle, fm, other, b, fb, left / 2, depth - 1)

    panels = 256
    edges = [start + (end - start) * panel / panels for panel in range(panels + 1)]
    return sum(
        simpson(a, power(a), power((a + b) / 2), b, power(b), tolerance / panels, 24)
        for a, b in itertools.pairwise(edges)
    )


@settings(max_examples=12, deadline=None)
@given(model=vehicles(), circuit=CIRCUITS, soc=st.floats(0, 95), limit=st.floats(5000, 200_000))
def test_energy_is_the_integral_of_power(model: VehicleModel, circuit: Circuit, soc: float, limit: float) -> None:
    """Within half a watt hour over a session, from plugging in until the vehicle is full or half a day is over."""
    session = in_transaction(model, circuit, soc)
    session.offer(limit)
    full_at = session.next_event_at(0.0)
    assume(full_at is not None)
    assert full_at is not None
    seconds = min(full_at * (1 - 1e-9), 12 * 3600.0)
    session.advance(seconds, limit, Random(1))

    def power(at: float) -> float:
        again = in_transaction(model, circuit, soc)
        again.advance(at, limit, Random(1))
        return again.power_w

    ramp = min(model.ramp_up_seconds, seconds)
    found = integral(power, 0.0, ramp, 100.0) + integral(power, ramp, seconds, 300.0)
    assert found / 3600 == pytest.approx(session.transaction_wh, abs=0.5)


@settings(max_examples=200, deadline=None)
@given(
    model=vehicles(),
    circuit=CIRCUITS,
    soc=st.floats(0, 100),
    stretches=STRETCHES,
    seed=st.integers(0, 2**32),
    entries=st.lists(
        st.builds(
            SampledValueTemplate,
            st.sampled_from([VOLTAGE, POWER, CURRENT, ENERGY]),
            unit=st.sampled_from([None, "kW", "kWh", "V"]),
            phase=st.sampled_from([None, "L1-N", "L2", "L1-L2"]),
            fluctuation_percent=st.sampled_from([None, 0, 1.5, 5, 20]),
        ),
        max_size=4,
    ),
    phases=st.sampled_from([None, 1, 2, 3]),
)
def test_power_is_voltage_by_current_by_phases_by_power_factor_within_every_limit(
    model: VehicleModel,
    circuit: Circuit,
    soc: float,
    stretches: list[tuple[float, float]],
    seed: int,
    entries: list[SampledValueTemplate],
    phases: int | None,
) -> None:
    meter = plugged(model, *entries, circuit=circuit, soc=soc)
    rng = Random(seed)
    register = 0.0
    conductors = circuit.conductors
    used = conductors if phases is None else min(phases, conductors)
    wanted = parse_measurands(f"{VOLTAGE},{POWER},{CURRENT},{ENERGY},{POWER_FACTOR}").wanted
    for elapsed, limit in stretches:
        before = meter.transaction_wh
        meter.advance(elapsed, limit, rng, phases=phases)
        assert meter.transaction_wh - before <= limit * elapsed / 3600 * (1 + 1e-9) + 1e-9
        assert meter.power_w <= limit * (1 + 1e-9)
        values: dict[str, dict[str | None, float]] = defaultdict(dict)
        for sample in meter.samples(wanted):
            scale = 1000 if sample.unit in ("kW", "kWh") else 1
            line = None if sample.phase is None or circuit.phases != 3 else sample.phase.removesuffix("-N")
            values[sample.measurand][line] = sample.value * scale
        powers, currents, voltages = values[POWER], values[CURRENT], values[VOLTAGE]
        (factor,), (energy,) = values[POWER_FACTOR].values(), values[ENERGY].values()
        amperes = limit / (circuit.voltage * used)
        assert all(power <= limit * (1 + 1e-9) for power in powers.values())
        assert all(current <= amperes * (1 + 1e-9) for current in currents.values())
        if circuit.phases == 3:
            assert all(powers[line] <= limit / used * (1 + 1e-9) for line in ("L1", "L2", "L3"))
        grain = 1.0 if any(entry.unit == "kW" for entry in entries) else 0.01
        assert powers[None] <= max(model.power_limit(circuit), model.idle_power_w) + grain
        if circuit.phases and model.ac_max_current_a is not None and powers[None] > model.idle_power_w + grain:
            assert all(current <= model.ac_max_current_a + 0.01 for current in currents.values())
        assert sum(powers[line] for line in powers if line) in (0, pytest.approx(powers[None], abs=2 * grain))
        for line, power in powers.items():
            count = 1 if line else conductors
            # What rounding the factors makes of the product; the mean of the lines is rounded twice.
            tolerance = (
                count * (0.0101 * voltages[line] + 0.0051 * currents[line]) + 0.0006 * power / factor + 2 * grain
            )
            assert power == pytest.approx(voltages[line] * currents[line] * count * factor, abs=tolerance)
        assert energy >= register
        register = energy


@st.composite
def profiles(draw: st.DrawFn) -> ProfileStore:
    store = ProfileStore()
    for number in range(draw(st.integers(0, 4))):
        starts = sorted({0, *draw(st.lists(st.integers(1, 7000), max_size=4))})
        store = store.with_profile(
            draw(st.sampled_from([0, 1])),
            ChargingProfile(
                profile_id=number,
                stack_level=draw(st.integers(0, 3)),
                purpose=draw(st.sampled_from([Purpose.TX_DEFAULT, Purpose.TX, Purpose.CHARGE_POINT_MAX])),
                kind=Kind.ABSOLUTE,
                unit=draw(st.sampled_from(RateUnit)),
                periods=tuple(
                    SchedulePeriod(start, draw(st.floats(0, 40)), draw(st.sampled_from([None, 1, 3])))
                    for start in starts
                ),
                start=float(draw(st.integers(0, 3000))),
                duration=draw(st.none() | st.floats(10, 6000)),
            ),
        )
    return store


@settings(max_examples=100, deadline=None)
@given(
    model=vehicles(),
    store=profiles(),
    soc=st.floats(0, 90),
    step=st.floats(20, 900),
    circuit=st.sampled_from([AC3, AC1, DC]),
)
def test_profiles_are_kept_at_every_instant(
    model: VehicleModel, store: ProfileStore, soc: float, step: float, circuit: Circuit
) -> None:
    """A station as it should drive the meter: from change to change of the profiles, and look at it in between."""
    meter = in_transaction(model, circuit, soc)
    situation = Situation(circuit, charging_since=0.0)
    now, look = 0.0, step
    while now < 8000:
        rate = rate_at(store, 1, now, situation)
        watts = available_power(
            22_080,
            circuit,
            divider=1,
            profile_limit=None if rate is None else rate.watts,
            profile_phases=None if rate is None else rate.phases,
        )
        phases = None if rate is None else rate.phases
        meter.offer(watts, phases=phases)
        changes = [look, next_change(store, 1, now, situation), meter.next_event_at(now)]
        until = min(change for change in changes if change is not None)
        until = max(until, now + 1e-3)
        meter.advance(until - now, watts, Random(1), phases=phases)
        if rate is not None:
            assert meter.power_w <= rate.watts * (1 + 1e-9)
            values = shown(meter, CURRENT)
            allowed = rate.watts / circuit.voltage / rate.phases
            assert max(values.values()) <= allowed * (1 + 1e-9)
            if rate.watts == 0:
                assert meter.charging_state is EVSE
        now = until
        look = look if look > now else now + step


@settings(max_examples=100, deadline=None)
@given(
    model=vehicles(),
    circuit=CIRCUITS,
    soc=st.floats(0, 100),
    goal=GOALS,
    limits=st.lists(LIMITS, min_size=1, max_size=6),
)
def test_the_state_changes_at_the_announced_instant_and_not_before(
    model: VehicleModel, circuit: Circuit, soc: float, goal: Goal, limits: list[float]
) -> None:
    meter = in_transaction(model, circuit, soc, goal)
    for limit in limits:
        meter.offer(limit)
        for _ in range(4):
            state, event = meter.charging_state, meter.next_event_at(0.0)
            if event is None:
                meter.advance(86_400, limit, Random(1))
                assert meter.charging_state is state
                break
            assert event >= 0
            meter.advance(event * (1 - 1e-6), limit, Random(1))
            assert meter.charging_state is state or event < 1e-3
            meter.advance(event * 2e-6 + 1e-6, limit, Random(1))
            assert meter.charging_state is not state
    assert math.isfinite(meter.transaction_wh)


# -- files ---------------------------------------------------------------------------------------------------------


def test_ten_vehicles_are_shipped_that_charge_wherever_they_can() -> None:
    assert len(shipped_vehicles()) == 10
    assert len({model.id for model in shipped_vehicles()}) == 10
    for model in shipped_vehicles():
        for circuit in (AC3, AC1, DC):
            if model.power_limit(circuit) <= 0:
                continue
            meter = in_transaction(model, circuit, 20)
            meter.offer(7360)
            hours = (meter.next_event_at(0.0) or math.inf) / 3600
            assert 0.9 < hours < 40, model.id


def test_a_file_of_todays_format_is_read() -> None:
    (model,) = load_vehicles(
        b"""{"profiles": [{"id": "a", "weight": 3, "batteryCapacityWh": 40000, "maxPowerW": 11000,
        "initialSocPercentMin": 70, "initialSocPercentMax": 80, "powerFactor": 0.98, "rampShape": "sigmoid",
        "chargingCurve": [{"socPercent": 100, "powerFraction": 0.2}, {"socPercent": 0, "powerFraction": 1},
        {"socPercent": 80, "powerFraction": 1}], "comment": "any"}]}"""
    )
    assert [point.soc_percent for point in model.charging_curve] == [0, 80, 100]
    assert (model.weight, model.power_factor, model.ramp_shape) == (3, 0.98, RampShape.SIGMOID)
    meter = plugged(model, soc=70)
    meter.advance(900, 22_080, Random(1))
    assert meter.power_w == pytest.approx(11_000)
    # 100 % of what is metered reaches the battery where the file says nothing of it
    assert meter.soc == pytest.approx(70 + meter.transaction_wh / 400)
    point = '{"socPercent": 0, "powerFraction": 1}'
    assert load_vehicles(f'[{{"id": "b", "batteryCapacityWh": 1, "maxPowerW": 1, "chargingCurve": [{point}]}}]')


def test_all_problems_of_a_file_are_told_at_once() -> None:
    with pytest.raises(VehicleFileError) as caught:
        load_vehicles(
            """{"profiles": [
            {"id": "a", "batteryCapacityWh": "much", "maxPowerW": 0, "chargingCurve": [{"socPercent": 101}, 7],
             "chargingEficiency": 0.9, "acPhases": 4, "rampShape": "square"},
            {"id": "a", "batteryCapacityWh": 1, "maxPowerW": 1, "chargingCurve": []},
            {"id": "c", "batteryCapacityWh": 1, "maxPowerW": 1, "initialSocPercentMin": 50, "initialSocPercentMax": 10,
             "chargingCurve": [{"socPercent": 0, "powerFraction": 1}]},
            12]}"""
        )
    assert [problem.path for problem in caught.value.problems] == [
        "profiles[0].chargingEficiency",
        "profiles[0].batteryCapacityWh",
        "profiles[0].maxPowerW",
        "profiles[0].acPhases",
        "profiles[0].rampShape",
        "profiles[0].chargingCurve[0].socPercent",
        "profiles[0].chargingCurve[0].powerFraction",
        "profiles[0].chargingCurve[1]",
        "profiles[1].chargingCurve",
        "profiles[1].id",
        "profiles[2].initialSocPercentMin",
        "profiles[3]",
    ]
    lines = str(caught.value).splitlines()
    assert lines[0] == "profiles[0].chargingEficiency: is not known; did you mean chargingEfficiency?"
    assert lines[1] == 'profiles[0].batteryCapacityWh: expected a number, got "much"; for example 60000'


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"profiles": 3}', '{"profiles": []}', "12", b"\xff"])
def test_what_holds_no_vehicle_is_refused(content: str | bytes) -> None:
    with pytest.raises(VehicleFileError) as caught:
        load_vehicles(content)
    assert len(caught.value.problems) == 1
