"""What a meter shows now, between two advances: exactly what it would show after one, and looking changes nothing."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.energy.electrical import Circuit
from simulator.energy.meter import ConnectorMeter
from simulator.energy.meter_plan import MeterSwitches, meter_plan
from simulator.energy.meter_values import ENERGY, POWER, SOC, VOLTAGE, SampledValueTemplate
from simulator.energy.vehicle import Goal
from simulator.energy.vehicle_files import shipped_vehicles

MODELS = shipped_vehicles()
FIVE = tuple((measurand, None) for measurand in (ENERGY, POWER, SOC, VOLTAGE))


def charging(model: int, circuit: Circuit, goal: Goal | None, *entries: SampledValueTemplate) -> ConnectorMeter:
    meter = ConnectorMeter(meter_plan(entries, circuit, MeterSwitches()), None)
    meter.plug_in(MODELS[model], Random(1), soc=60, goal=goal)
    meter.begin_transaction(Random(1))
    return meter


@given(
    st.integers(0, len(MODELS) - 1),
    st.sampled_from([Circuit(230, 3), Circuit(230, 1), Circuit(400, 0)]),
    st.sampled_from([None, Goal(energy_wh=2000), Goal(soc_percent=61), Goal(departs_after_s=900)]),
    st.lists(st.tuples(st.floats(0.001, 4000), st.sampled_from([0.0, 900.0, 7000.0, 50_000.0])), max_size=5),
    st.floats(0.001, 20_000),
)
def test_it_is_what_an_advance_leads_to(
    model: int, circuit: Circuit, goal: Goal | None, stretches: list[tuple[float, float]], seconds: float
) -> None:
    meter, twin = (charging(model, circuit, goal) for _ in range(2))
    rng, other = Random(3), Random(3)
    for elapsed, watts in [*stretches, (1.0, 7000.0)]:
        for each, source in ((meter, rng), (twin, other)):
            each.advance(elapsed, watts, source)
    before = (meter.power_w, meter.lifetime_wh, meter.transaction_wh, meter.soc, meter.next_event_at(0.0))
    seen = meter.present(seconds)
    assert (meter.power_w, meter.lifetime_wh, meter.transaction_wh, meter.soc, meter.next_event_at(0.0)) == before
    assert rng.getstate() == other.getstate()
    meter.advance(seconds, 7000.0, rng)
    twin.advance(seconds, 7000.0, other)
    assert meter.samples(FIVE) == twin.samples(FIVE), "looking has changed nothing"
    assert meter.soc is not None
    assert seen.soc is not None
    assert seen.transaction_wh == pytest.approx(meter.transaction_wh, abs=1e-6)
    assert seen.power_w == pytest.approx(meter.power_w, abs=1e-6)
    assert seen.soc == pytest.approx(meter.soc, abs=1e-9)
    assert abs(seen.lifetime_wh - meter.lifetime_wh) <= 1, "whole watt hours, on either side of a half"


def test_where_no_vehicle_decides_it_is_what_was_drawn_last() -> None:
    meter = charging(0, Circuit(230, 3), None, SampledValueTemplate(POWER, value="3000"))
    meter.advance(60, 22_000, Random(2))
    assert meter.present(600) == (meter.power_w, meter.lifetime_wh, meter.transaction_wh, meter.soc)


def test_after_a_transaction_nothing_flows() -> None:
    meter = charging(0, Circuit(230, 3), None)
    meter.advance(600, 11_000, Random(2))
    stop = meter.end_transaction()
    assert meter.present(600).lifetime_wh == stop
