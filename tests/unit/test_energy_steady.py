"""The short ways of a meter agree with the long ones: steady charging, shares of the registers, texts of the values."""

from __future__ import annotations

from random import Random
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.energy.electrical import Circuit
from simulator.energy.meter import ConnectorMeter
from simulator.energy.meter_channels import ValueTexts, round_half_up
from simulator.energy.meter_plan import MeterPlan, MeterSwitches, meter_plan
from simulator.energy.meter_values import (
    CURRENT,
    ENERGY,
    MEASURANDS,
    POWER,
    REACTIVE_IMPORT,
    SOC,
    VOLTAGE,
    Sample,
    SampledValueTemplate,
    format_value,
    parse_measurands,
)
from simulator.energy.plugged_vehicle import ChargingState, PluggedVehicle
from simulator.energy.ramp import RampShape
from simulator.energy.vehicle import CurvePoint, Goal, VehicleModel
from simulator.energy.vehicle_files import shipped_vehicles

AC3, AC1, DC = Circuit(230, 3), Circuit(230, 1), Circuit(400, 0)
CIRCUITS = st.sampled_from([AC3, AC1, DC, Circuit(230, 2)])
EVERYTHING = tuple((measurand, None) for measurand in MEASURANDS)


def vehicle(*curve: tuple[float, float], **members: Any) -> VehicleModel:
    values: dict[str, Any] = {"id": "one", "battery_capacity_wh": 50_000, "max_power_w": 100_000, "ramp_up_seconds": 0}
    points = tuple(CurvePoint(soc, fraction) for soc, fraction in curve or ((0, 1.0), (100, 1.0)))
    return VehicleModel(charging_curve=points, **{**values, **members})


@st.composite
def vehicles(draw: st.DrawFn) -> VehicleModel:
    if draw(st.booleans()):
        return draw(st.sampled_from(shipped_vehicles()))
    socs = sorted(draw(st.lists(st.floats(0, 100), min_size=1, max_size=6)))
    return vehicle(
        *((soc, draw(st.sampled_from([0.0, 1.0]) | st.floats(0, 1))) for soc in socs),
        battery_capacity_wh=draw(st.floats(2000, 120_000)),
        max_power_w=draw(st.floats(1000, 350_000)),
        ac_phases=draw(st.integers(1, 3)),
        ac_max_current_a=draw(st.none() | st.floats(6, 63)),
        power_factor=draw(st.floats(0.5, 1)),
        ramp_shape=draw(st.sampled_from(RampShape)),
        ramp_up_seconds=draw(st.sampled_from([0.0, 5.0]) | st.floats(0, 120)),
        idle_power_w=draw(st.floats(0, 300)),
        wake_up_seconds=draw(st.sampled_from([0.0, 30.0])),
        sleeps_after_seconds=draw(st.none() | st.floats(0, 3600)),
    )


GOALS = st.builds(
    Goal,
    soc_percent=st.none() | st.floats(0, 100),
    energy_wh=st.none() | st.floats(0, 60_000),
    departs_after_s=st.none() | st.floats(0, 20_000),
)
ENTRIES = st.lists(
    st.builds(
        SampledValueTemplate,
        st.sampled_from([SOC, VOLTAGE, POWER, CURRENT, ENERGY, REACTIVE_IMPORT, "Temperature", "Power.Factor"]),
        unit=st.sampled_from([None, "kW", "kWh", "K"]),
        phase=st.sampled_from([None, None, "L1-N", "L2"]),
        location=st.sampled_from([None, "Inlet"]),
        value=st.sampled_from([None, None, None, 40]),
        minimum_value=st.sampled_from([None, None, None, 10]),
        fluctuation_percent=st.sampled_from([0, 5, 20]),
    ),
    max_size=4,
).map(tuple)
LIMITS = st.sampled_from([0.0, 1380.0, 4140.0, 22_080.0, 150_000.0]) | st.floats(0, 400_000)
# An offer, the phases on which it is, and the seconds between the looks while it stays.
STRETCHES = st.lists(
    st.tuples(
        LIMITS,
        st.sampled_from([None, None, 1, 2, 3]),
        st.lists(st.sampled_from([0.0, 0.05, 1.0, 60.0]) | st.floats(0, 1800), min_size=1, max_size=12),
    ),
    min_size=1,
    max_size=6,
)


def meter_of(
    model: VehicleModel,
    plan: MeterPlan,
    *,
    soc: float = 50.0,
    goal: Goal | None = None,
) -> ConnectorMeter:
    """A meter in a transaction with a vehicle."""
    meter = ConnectorMeter(plan)
    meter.plug_in(model, Random(1), soc=soc, goal=goal)
    meter.begin_transaction(Random(1))
    return meter


def plan_of(*entries: SampledValueTemplate, circuit: Circuit = AC3) -> MeterPlan:
    return meter_plan(entries, circuit, MeterSwitches(per_transaction=False))


def the_long_way(
    meter: ConnectorMeter, seconds: float, limit: float, rng: Random, *, phases: int | None = None
) -> float:
    """Advance by the exact way alone, which looks for corners, ends and departures each time."""
    with patch.object(PluggedVehicle, "_find_stretch", lambda self: None):
        return meter.advance(seconds, limit, rng, phases=phases)


# -- steady charging -----------------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(model=vehicles(), circuit=CIRCUITS, entries=ENTRIES, soc=st.floats(0, 100), goal=GOALS, stretches=STRETCHES)
def test_a_steady_charge_is_what_the_exact_way_makes_of_it(
    model: VehicleModel,
    circuit: Circuit,
    entries: tuple[SampledValueTemplate, ...],
    soc: float,
    goal: Goal,
    stretches: list[tuple[float, int | None, list[float]]],
) -> None:
    plan = plan_of(*entries, circuit=circuit)
    short, long = meter_of(model, plan, soc=soc, goal=goal), meter_of(model, plan, soc=soc, goal=goal)
    one, other = Random(3), Random(3)
    for limit, phases, looks in stretches:
        for seconds in looks:
            energy = short.advance(seconds, limit, one, phases=phases)
            exact = the_long_way(long, seconds, limit, other, phases=phases)
            assert energy == pytest.approx(exact, rel=1e-9, abs=1e-9)
            assert energy <= limit * seconds / 3600 * (1 + 1e-9) + 1e-9
            assert short.transaction_wh == pytest.approx(long.transaction_wh, rel=1e-9, abs=1e-9)
            if short.soc is None or long.soc is None:
                assert short.soc is long.soc
            else:
                assert short.soc == pytest.approx(long.soc, rel=1e-9)
            assert short.vehicle is not None
            assert long.vehicle is not None
            assert short.vehicle.charged_wh == pytest.approx(long.vehicle.charged_wh, rel=1e-9, abs=1e-9)
            assert short.power_w <= limit * (1 + 1e-9)
            if not near_a_change(short, long):
                assert short.charging_state is long.charging_state
                event = short.next_event_at(0.0)
                assert event is None or event == pytest.approx(long.next_event_at(0.0), rel=1e-6, abs=1e-6)
    for value, other_value in zip(short.state.lifetime_others, long.state.lifetime_others, strict=True):
        assert value == pytest.approx(other_value, rel=1e-9, abs=1e-9)
    assert short.end_transaction() == pytest.approx(long.end_transaction(), abs=1)


def near_a_change(*meters: ConnectorMeter) -> bool:
    """Whether a rounding error decides on which side of a change of state a meter is."""
    events = [meter.next_event_at(0.0) for meter in meters]
    return any(event is not None and event < 1e-6 for event in events) or len({event is None for event in events}) > 1


@settings(max_examples=100, deadline=None)
@given(
    model=st.sampled_from(shipped_vehicles()),
    circuit=CIRCUITS,
    soc=st.floats(0, 95),
    limit=st.floats(1400, 200_000),
    looks=st.lists(st.floats(0.01, 120), min_size=1, max_size=40),
)
def test_the_power_of_a_steady_charge_is_that_of_the_curve(
    model: VehicleModel, circuit: Circuit, soc: float, limit: float, looks: list[float]
) -> None:
    plan = plan_of(circuit=circuit)
    short, long = meter_of(model, plan, soc=soc), meter_of(model, plan, soc=soc)
    for seconds in looks:
        short.advance(seconds, limit, Random(1))
        the_long_way(long, seconds, limit, Random(1))
        assert short.power_w == pytest.approx(long.power_w, rel=1e-9)


def test_most_of_a_charge_is_steady() -> None:
    """The long way is for the ramp, the corners of the curve and the ends alone."""
    taper = vehicle((0, 1.0), (60, 1.0), (100, 0.2), ramp_up_seconds=10)
    meter = meter_of(taper, plan_of(circuit=DC), soc=20)
    with patch.object(PluggedVehicle, "_step", autospec=True, side_effect=PluggedVehicle._step) as long_way:
        while meter.soc is not None and meter.soc < 95:
            meter.advance(1, 50_000, Random(1))
    assert 11 <= long_way.call_count <= 20


def test_a_departure_ends_a_steady_charge_on_time() -> None:
    meter = meter_of(vehicle(max_power_w=3600), plan_of(circuit=DC), goal=Goal(departs_after_s=90.5))
    for _ in range(100):
        meter.advance(1, 50_000, Random(1))
    assert meter.transaction_wh == pytest.approx(90.5)
    assert meter.charging_state is ChargingState.SUSPENDED_EV


def test_a_steady_charge_ends_with_its_transaction() -> None:
    meter = meter_of(vehicle(max_power_w=3600), plan_of(circuit=DC))
    for _ in range(3):
        meter.advance(60, 50_000, Random(1))
    meter.end_transaction()
    assert meter.advance(60, 50_000, Random(1)) == 0
    assert (meter.power_w, meter.register_wh, meter.charging_state) == (0, 180, None)
    meter.begin_transaction(Random(1))
    assert meter.power_w == 0  # until something is offered
    assert meter.advance(60, 50_000, Random(1)) == pytest.approx(60)


def test_drawn_values_end_with_their_transaction() -> None:
    meter = ConnectorMeter(plan_of(SampledValueTemplate(POWER, value=3600, fluctuation_percent=0), circuit=DC))
    meter.begin_transaction(Random(1))
    meter.advance(60, 50_000, Random(1))
    meter.end_transaction()
    assert meter.advance(60, 50_000, Random(1)) == 0
    assert (meter.power_w, meter.register_wh) == (0, 60)


def test_a_new_template_goes_on_from_the_state_of_charge_of_the_vehicle() -> None:
    meter = meter_of(vehicle(), plan_of(SampledValueTemplate(SOC), circuit=DC), soc=80)
    meter.advance(60, 50_000, Random(1))
    meter.plan = plan_of(SampledValueTemplate(SOC, value=20), circuit=DC)
    meter.advance(60, 50_000, Random(1))
    assert meter.soc is not None
    assert meter.soc >= 80


# -- registers -----------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(model=vehicles(), circuit=CIRCUITS, entries=ENTRIES, stretches=STRETCHES, begins=st.integers(0, 5))
def test_looking_at_the_registers_changes_nothing(
    model: VehicleModel,
    circuit: Circuit,
    entries: tuple[SampledValueTemplate, ...],
    stretches: list[tuple[float, int | None, list[float]]],
    begins: int,
) -> None:
    """What the other registers have counted is worked out when somebody looks, however seldom that is."""
    plan = plan_of(*entries, circuit=circuit)
    watched, alone = meter_of(model, plan), meter_of(model, plan)
    one, other = Random(5), Random(5)
    for number, (limit, phases, looks) in enumerate(stretches):
        for seconds in looks:
            watched.advance(seconds, limit, one, phases=phases)
            alone.advance(seconds, limit, other, phases=phases)
            state = watched.state
            lines = state.lifetime_others[3:]
            if circuit is AC3 and lines:
                assert sum(lines) == pytest.approx(state.lifetime_wh, abs=2)  # each is whole after a transaction
        if number == begins:
            for meter, rng in ((watched, one), (alone, other)):
                meter.end_transaction()
                meter.begin_transaction(rng)
    assert alone.state.lifetime_wh == watched.state.lifetime_wh
    assert alone.state.lifetime_others == pytest.approx(watched.state.lifetime_others, rel=1e-9)
    assert alone.state.transaction_others == pytest.approx(watched.state.transaction_others, rel=1e-9)


def test_reactive_energy_and_the_energy_of_a_line_follow_the_whole() -> None:
    meter = meter_of(vehicle(power_factor=0.8, ac_phases=2), plan_of(circuit=AC3))
    for _ in range(36):
        meter.advance(100, 7200, Random(1))
    wanted = parse_measurands(f"{ENERGY},{ENERGY}.L1,{ENERGY}.L2,{ENERGY}.L3,{REACTIVE_IMPORT}").wanted
    values = {(sample.measurand, sample.phase): sample.value for sample in meter.samples(wanted)}
    whole = values[ENERGY, None]
    assert whole > 3000
    assert values[ENERGY, "L1"] == values[ENERGY, "L2"] == pytest.approx(whole / 2, abs=1)
    assert values[ENERGY, "L3"] == 0
    assert values[REACTIVE_IMPORT, None] == pytest.approx(whole * 0.6 / 0.8, abs=1)


# -- texts ---------------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    model=st.none() | vehicles(),
    circuit=CIRCUITS,
    entries=ENTRIES,
    limit=LIMITS,
    phases=st.sampled_from([None, 1, 2, 3]),
    measurands=st.lists(st.sampled_from(EVERYTHING), max_size=6) | st.just(list(EVERYTHING)),
    seed=st.integers(0, 2**32),
)
def test_what_is_written_is_what_is_read(
    model: VehicleModel | None,
    circuit: Circuit,
    entries: tuple[SampledValueTemplate, ...],
    limit: float,
    phases: int | None,
    measurands: list[tuple[str, str | None]],
    seed: int,
) -> None:
    rng, meter = Random(seed), ConnectorMeter(plan_of(*entries, circuit=circuit))
    if model is not None:
        meter.plug_in(model, rng)
    meter.begin_transaction(rng)
    for seconds in (20, 1, 1):
        meter.advance(seconds, limit, rng, phases=phases)
        text, shown = meter.periodic_samples(meter.plan.select(measurands))
        samples = meter.samples(measurands)
        assert msgspec.json.decode(f"[{text}]") == [on_the_wire(sample) for sample in samples]
        assert [channel.measurand for channel in shown.channels] == [sample.measurand for sample in samples]


def on_the_wire(sample: Sample) -> dict[str, str]:
    members = {name: getattr(sample, name) for name in ("context", "measurand", "phase", "location", "unit")}
    return {"value": sample.text, **{name: value for name, value in members.items() if value is not None}}


def test_a_percent_sign_in_a_template_is_written_as_it_is() -> None:
    meter = ConnectorMeter(plan_of(SampledValueTemplate(ENERGY, location="100%s %d")))
    text, _ = meter.periodic_samples(meter.plan.select(()))
    assert msgspec.json.decode(text)["location"] == "100%s %d"


def test_what_the_connector_does_not_know_is_left_out() -> None:
    meter = ConnectorMeter(plan_of(circuit=AC1))
    meter.begin_transaction(Random(1))
    meter.advance(60, 3000, Random(1))
    text, shown = meter.periodic_samples(meter.plan.select_text(f"{SOC},{POWER},{ENERGY}"))
    assert [channel.measurand for channel in shown.channels] == [POWER, ENERGY]
    assert len(msgspec.json.decode(f"[{text}]")) == 2
    again = meter.periodic_samples(meter.plan.select_text(f"{SOC},{POWER},{ENERGY}"))
    assert again == (text, shown)
    text, shown = meter.periodic_samples(meter.plan.select_text(SOC))
    assert shown is meter.plan.energy_alone
    assert msgspec.json.decode(text)["measurand"] == ENERGY


@given(
    value=st.floats(0, 1e9) | st.integers(0, 100_000).map(float),
    unit=st.sampled_from([(1.0, 0.0, 2), (1000.0, 0.0, 3), (1.0, 0.0, 0), (5 / 9, 32.0, 1), (1.0, 273.15, 1)]),
)
def test_texts_are_those_of_the_rounded_values(value: float, unit: tuple[float, float, int]) -> None:
    scale, offset, decimals = unit
    text = format_value(round_half_up(value / scale + offset, decimals))
    for kept in (True, False):
        texts = ValueTexts(*unit, kept=kept)
        assert [texts[value], texts[value]] == [text, text]
        assert len(texts) == kept


def test_texts_do_not_grow_for_ever() -> None:
    with patch("simulator.energy.meter_channels._TEXTS_KEPT", 10):
        texts = ValueTexts(1.0, 0.0, 2, kept=True)
        assert [texts[number / 4] for number in range(25)] == [format_value(number / 4) for number in range(25)]
        assert len(texts) == 5
