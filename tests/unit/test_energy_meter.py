"""The meter of a connector: what a central system reads in MeterValues, meterStart and meterStop."""

from __future__ import annotations

import math
from collections import defaultdict
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.energy.electrical import Circuit, available_power, maximum_amperage
from simulator.energy.meter import ConnectorMeter, MeterState
from simulator.energy.meter_plan import MeterSwitches, meter_plan
from simulator.energy.meter_values import (
    CURRENT,
    ENERGY,
    POWER,
    SOC,
    VOLTAGE,
    Sample,
    SampledValueTemplate,
    entry_problems,
    format_value,
    parse_measurands,
)

AC3 = Circuit(230, 3)
AC1 = Circuit(230, 1)
DC = Circuit(400, 0)
FIVE = (SOC, VOLTAGE, POWER, CURRENT, ENERGY)
EVERYTHING = tuple((measurand, None) for measurand in FIVE)
BASE_UNITS = {"W": 1.0, "kW": 1000.0, "Wh": 1.0, "kWh": 1000.0}


def entry(measurand: str = ENERGY, **members: Any) -> SampledValueTemplate:
    return SampledValueTemplate(measurand, **members)


def meter(
    *entries: SampledValueTemplate, circuit: Circuit = AC3, state: MeterState | None = None, **switches: Any
) -> ConnectorMeter:
    return ConnectorMeter(meter_plan(entries, circuit, MeterSwitches(**switches)), state)


def charging(*entries: SampledValueTemplate, circuit: Circuit = AC3, **switches: Any) -> ConnectorMeter:
    one = meter(*entries, circuit=circuit, **switches)
    one.begin_transaction(Random(1))
    return one


def labels(samples: list[Sample]) -> list[str]:
    return [sample.measurand + (f".{sample.phase}" if sample.phase else "") for sample in samples]


def by_phase(samples: list[Sample], measurand: str) -> dict[str | None, float]:
    return {sample.phase: sample.value for sample in samples if sample.measurand == measurand}


# -- what is reported, and how -------------------------------------------------------------------------------------


def test_three_phases_report_every_phase_in_order() -> None:
    one = charging(entry(SOC), *(entry(measurand) for measurand in FIVE[1:]))
    one.advance(60, 22_080, Random(2))
    assert labels(one.samples(EVERYTHING)) == [
        "SoC",
        *("Voltage", "Voltage.L1-N", "Voltage.L1-L2", "Voltage.L2-N", "Voltage.L2-L3", "Voltage.L3-N", "Voltage.L3-L1"),
        *(POWER, f"{POWER}.L1-N", f"{POWER}.L2-N", f"{POWER}.L3-N"),
        *(CURRENT, f"{CURRENT}.L1", f"{CURRENT}.L2", f"{CURRENT}.L3"),
        ENERGY,
    ]


def test_switches_leave_voltages_out() -> None:
    one = charging(main_voltage=False, line_to_line_voltage=False)
    assert labels(one.samples([(VOLTAGE, None)])) == ["Voltage.L1-N", "Voltage.L2-N", "Voltage.L3-N"]
    single = charging(circuit=AC1, main_voltage=False)
    assert labels(single.samples([(VOLTAGE, None)])) == ["Voltage"]


@pytest.mark.parametrize("circuit", [AC1, DC])
def test_one_line_reports_no_phases(circuit: Circuit) -> None:
    one = charging(circuit=circuit)
    one.advance(60, 7000, Random(2))
    expected = [SOC, VOLTAGE, POWER, CURRENT, ENERGY] if circuit is DC else [VOLTAGE, POWER, CURRENT, ENERGY]
    assert labels(one.samples(EVERYTHING)) == expected


def test_nothing_asked_for_means_the_energy_register() -> None:
    assert labels(charging().samples()) == [ENERGY]
    # an alternating-current station does not learn the state of charge
    assert labels(charging().samples([(SOC, None)])) == [ENERGY]


def test_one_phase_can_be_asked_for_by_either_name() -> None:
    one = charging()
    one.advance(60, 11_000, Random(2))
    wanted = parse_measurands(f"{POWER}.L2, Voltage.L1-N,{CURRENT}.L3,Voltage.L1-L2").wanted
    samples = one.samples(wanted)
    assert labels(samples) == ["Voltage.L1-N", "Voltage.L1-L2", f"{POWER}.L2", f"{CURRENT}.L3"]
    everything = by_phase(one.samples(EVERYTHING), POWER)
    assert by_phase(samples, POWER) == {"L2": everything["L2-N"]}


def test_names_are_compared_exactly_and_unknown_ones_reported() -> None:
    text = f"SoC,{POWER},Power.Apparent,voltage,Voltage.L4,Frequency.L1,,{POWER}"
    answer = parse_measurands(text)
    assert answer.wanted == ((SOC, None), (POWER, None))
    assert answer.unsupported == ("Power.Apparent", "voltage", "Voltage.L4", "Frequency.L1")
    assert parse_measurands("Voltage.L1,Voltage.L2,Voltage.L1-L2", phases=1).wanted == ((VOLTAGE, "L1"),)
    assert parse_measurands("Voltage.L1", phases=0).unsupported == ("Voltage.L1",)
    assert parse_measurands(None).wanted == ()


def test_members_of_the_entry_are_copied_and_the_context_of_the_moment_wins() -> None:
    one = charging(
        entry(SOC, context="Sample.Periodic"),
        entry(POWER, unit="kW", location="Inlet"),
        entry(VOLTAGE, phase="L2-N", location="Cable"),
    )
    soc, power = (one.samples([(measurand, None)])[0] for measurand in (SOC, POWER))
    assert (soc.unit, soc.location, soc.context) == ("Percent", "EV", "Sample.Periodic")
    assert (power.unit, power.location, power.context) == ("kW", "Inlet", None)
    assert one.samples([(SOC, None)], context="Sample.Clock")[0].context == "Sample.Clock"
    located = {sample.phase: sample.location for sample in one.samples([(VOLTAGE, None)])}
    assert located["L2-N"] == "Cable"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (230.0, "230"),
        (12.5, "12.5"),
        (0.01, "0.01"),
        (0.0, "0"),
        (-0.0, "0"),
        (1e21, "1" + "0" * 21),
        (1e-7, "0.0000001"),
        (1000, "1000"),
    ],
)
def test_values_are_plain_decimal_text(value: float, text: str) -> None:
    assert format_value(value) == text


def test_what_is_no_number_is_no_measured_value() -> None:
    with pytest.raises(ValueError, match="nan"):
        format_value(math.nan)


# -- values of the template ----------------------------------------------------------------------------------------


def test_values_keep_their_unit_their_decimals_and_their_fluctuation() -> None:
    one = charging(
        entry(POWER, unit="kW", value="5.5", fluctuation_percent=0),
        entry(VOLTAGE, value=229.5, fluctuation_percent="0"),
        entry(CURRENT, value=10.25, fluctuation_percent=0),
        entry(unit="kWh"),
    )
    one.advance(3600, 22_080, Random(3))
    samples = {label: sample.text for sample in one.samples(EVERYTHING) for label in labels([sample])}
    assert samples[POWER] == "5.499"  # three phases of 1.833 kW
    assert samples[f"{POWER}.L3-N"] == "1.833"
    assert samples["Voltage"] == samples["Voltage.L1-N"] == "229.5"
    assert samples[CURRENT] == samples[f"{CURRENT}.L1"] == "10.25"
    assert samples[ENERGY] == "5.499"


def test_entries_of_single_phases_are_drawn_on_their_own() -> None:
    one = charging(
        entry(POWER, unit="kW", value=6, fluctuation_percent=0),
        entry(POWER, unit="W", phase="L1-N", value=1500.55, fluctuation_percent=0),
        entry(VOLTAGE, fluctuation_percent=0),
        entry(VOLTAGE, phase="L1-L2", value=401, fluctuation_percent=0),
    )
    one.advance(60, 22_080, Random(3))
    samples = one.samples(EVERYTHING)
    assert by_phase(samples, POWER) == {None: 5.501, "L1-N": 1500.55, "L2-N": 2, "L3-N": 2}
    assert by_phase(samples, CURRENT)["L1"] == 6.52
    voltages = by_phase(samples, VOLTAGE)
    assert (voltages["L1-L2"], voltages["L2-L3"], voltages["L3-N"]) == (401, 400, 230)


def test_current_of_the_template_decides_the_power() -> None:
    one = charging(entry(CURRENT, value=16, fluctuation_percent=0), entry(VOLTAGE, fluctuation_percent=0))
    one.advance(1800, 22_080, Random(3))
    assert one.power_w == pytest.approx(11_040)
    assert one.transaction_wh == pytest.approx(5520)


def test_energy_of_the_template_counts_for_one_sample_interval() -> None:
    one = charging(entry(unit="kWh", value=0.1, fluctuation_percent=0))
    assert one.advance(30, 22_080, Random(3), sample_interval_s=30) == pytest.approx(100)
    assert one.advance(15, 22_080, Random(3), sample_interval_s=30) == pytest.approx(50)
    assert one.power_w == pytest.approx(12_000, abs=0.02)
    # more than the connector can deliver in the time
    assert one.advance(30, 6000, Random(3), sample_interval_s=30) == pytest.approx(50)


def test_least_values_hold_where_no_value_is_given() -> None:
    one = charging(entry(POWER, unit="kW", minimum_value=10))
    rng = Random(4)
    drawn = []
    for _ in range(200):
        one.advance(60, 11_000, rng)
        drawn.append(one.power_w)
    assert 9999 <= min(drawn) < max(drawn) <= 11_000
    one.advance(60, 4000, rng)
    assert one.power_w <= 4000


def test_fluctuation_is_five_percent_by_default() -> None:
    one = charging(entry(POWER, value=1000), circuit=AC1)
    rng = Random(5)
    drawn = []
    for _ in range(300):
        one.advance(60, 7360, rng)
        drawn.append(one.power_w)
    assert 950 <= min(drawn) < 960
    assert 1040 < max(drawn) <= 1050


def test_values_above_the_limit_are_held_to_it_after_the_fluctuation() -> None:
    one = charging(
        entry(POWER, unit="kW", value=50, fluctuation_percent=20), entry(CURRENT, value=500, fluctuation_percent=20)
    )
    rng = Random(5)
    for _ in range(100):
        one.advance(60, 6900, rng)
        samples = one.samples(EVERYTHING)
        assert 5.4 <= by_phase(samples, POWER)[None] <= 6.9
        assert max(by_phase(samples, CURRENT).values()) <= 10


def test_limitation_of_given_values_can_be_switched_off() -> None:
    one = charging(entry(POWER, value=50_000, fluctuation_percent=0), circuit=DC, limit_custom_values=False)
    one.advance(3600, 6900, Random(5))
    assert one.power_w == 50_000
    one.advance(60, 0, Random(5))  # suspended
    assert one.power_w == 0
    assert one.transaction_wh == pytest.approx(50_000)


@pytest.mark.parametrize("value", [None, "", 0, "0", "many"])
def test_no_value_means_simulated(value: Any) -> None:
    one = charging(entry(value=value))
    assert one.advance(3600, 11_000, Random(6)) > 0


def test_faulty_entries_are_named() -> None:
    assert entry_problems(entry(POWER, unit="kW", value="5.5", fluctuation_percent="10", minimum_value=1)) == []
    faulty = entry(POWER, unit="Wh", value="much", fluctuation_percent=101, minimum_value=-1)
    members = ["unit", "value", "minimumValue", "fluctuationPercent"]
    assert [problem.member for problem in entry_problems(faulty)] == members
    assert [problem.member for problem in entry_problems(entry("Power.Apparent", unit="W"))] == ["measurand"]
    hertz = entry_problems(entry("Frequency", unit="Hertz"))
    assert [(problem.member, problem.suggestion) for problem in hertz] == [("unit", "leave it out")]
    assert entry_problems(entry("Temperature", unit="Celsius", value=-5)) == []
    assert [problem.member for problem in entry_problems(entry(SOC, value=101))] == ["value"]
    # and they do no harm
    one = charging(faulty)
    one.advance(60, 11_000, Random(1))
    assert {sample.unit for sample in one.samples([(POWER, None)])} == {"W"}


# -- registers -----------------------------------------------------------------------------------------------------


def test_registers_of_a_transaction_agree_with_its_begin_and_end() -> None:
    rng = Random(7)
    one = meter(entry(unit="kWh"), per_transaction=False, state=MeterState(lifetime_wh=1234.56))
    begin = one.begin_transaction(rng)
    assert begin == 1235
    assert one.register_sample(begin, context="Transaction.Begin") == one.samples(context="Transaction.Begin")[0]
    one.advance(61.7, 11_000, rng)
    last = one.samples()[0]
    one.advance(7.3, 11_000, rng)
    end = one.end_transaction()
    sample = one.samples(context="Transaction.End")[0]
    assert sample == Sample(ENERGY, end / 1000, "kWh", None, "Transaction.End", None)
    assert begin / 1000 <= last.value <= sample.value
    assert one.end_transaction() == end
    assert one.begin_transaction(rng) == end


def test_each_transaction_counts_from_zero_when_metered_by_transaction() -> None:
    rng = Random(7)
    one = charging(per_transaction=True)
    one.advance(600, 11_000, rng)
    first = one.end_transaction()
    assert one.begin_transaction(rng) == 0
    one.advance(600, 11_000, rng)
    second = one.end_transaction()
    assert first > 0
    assert one.lifetime_wh == first + second


def test_nothing_flows_outside_a_transaction() -> None:
    one = meter(entry(POWER, value=5000), state=MeterState(lifetime_wh=10.25))
    assert one.advance(3600, 22_080, Random(8)) == 0
    samples = one.samples(EVERYTHING)
    assert set(by_phase(samples, POWER).values()) == {0}
    assert set(by_phase(samples, CURRENT).values()) == {0}
    assert all(
        218.5 <= value <= 241.5 for phase, value in by_phase(samples, VOLTAGE).items() if phase in (None, "L1-N")
    )
    assert one.lifetime_wh == 10  # registers show whole watt hours


def test_a_second_look_at_the_same_instant_shows_the_same_unless_the_limit_fell() -> None:
    rng = Random(9)
    one = charging()
    one.advance(60, 11_000, rng)
    before = one.samples(EVERYTHING)
    one.advance(0, 11_000, rng)
    one.advance(-5, 12_000, rng)
    assert one.samples(EVERYTHING) == before
    register = one.register_wh
    one.advance(0, 500, rng)
    assert one.power_w <= 500
    assert one.register_wh == register


def test_meter_state_survives_a_restart_in_a_transaction() -> None:
    rng = Random(10)
    one = charging(circuit=DC)
    one.advance(600, 50_000, rng)
    kept = msgspec.json.decode(msgspec.json.encode(one.state), type=MeterState)
    again = meter(circuit=DC, state=kept)
    assert again.state == one.state
    assert again.end_transaction() == one.end_transaction()


def test_state_of_charge_rises_with_the_energy_and_ends_at_full() -> None:
    rng = Random(11)
    one = meter(circuit=DC)
    one.begin_transaction(rng, soc=40)
    one.advance(3600, 6000, rng)
    assert one.soc == pytest.approx(40 + one.transaction_wh / 60_000 * 100)
    one.advance(360_000, 50_000, rng)
    assert one.samples([(SOC, None)])[0].value == 100


def test_a_new_template_keeps_the_registers() -> None:
    rng = Random(12)
    one = charging()
    one.advance(600, 11_000, rng)
    register = one.register_wh
    one.plan = meter_plan((entry(unit="kWh"),), AC1)
    assert one.samples()[0].unit == "kWh"
    one.advance(60, 7000, rng)
    assert one.register_wh >= register
    assert labels(one.samples([(POWER, None)])) == [POWER]


def test_an_infinite_limit_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="finite"):
        charging().advance(1, math.inf, Random(1))


# -- properties of any template ------------------------------------------------------------------------------------


@st.composite
def templates(draw: st.DrawFn) -> tuple[SampledValueTemplate, ...]:
    entries = []
    for measurand, units, phases in (
        (SOC, ["Percent", None], [None]),
        (VOLTAGE, ["V", None], [None, "L1-N", "L2-N", "L1-L2"]),
        (POWER, ["W", "kW", None], [None, "L1-N", "L2-N", "L3-N"]),
        (CURRENT, ["A", None], [None, "L1", "L3"]),
        (ENERGY, ["Wh", "kWh", None], [None]),
    ):
        for phase in draw(st.lists(st.sampled_from(phases), max_size=3, unique=True)):
            number: st.SearchStrategy[Any] = (
                st.none() | st.floats(0, 400) | st.sampled_from(["12.75", "0", 30_000, 0.004])
            )
            entries.append(
                SampledValueTemplate(
                    measurand,
                    unit=draw(st.sampled_from(units)),
                    phase=phase,
                    value=draw(number),
                    minimum_value=draw(number),
                    fluctuation_percent=draw(st.floats(0, 100) | st.sampled_from([None, "7.5"])),
                )
            )
    return tuple(entries)


@settings(max_examples=200, deadline=None)
@given(
    entries=templates(),
    circuit=st.sampled_from([AC3, AC1, DC, Circuit(231, 3), Circuit(120, 2)]),
    per_transaction=st.booleans(),
    seed=st.integers(0, 2**32),
    stretches=st.lists(
        st.tuples(st.floats(0, 900), st.sampled_from([0.0, 7000.0, 22_080.0]) | st.floats(0, 150_000)), min_size=1
    ),
)
def test_no_limit_is_exceeded_phases_add_up_and_registers_only_rise(
    entries: tuple[SampledValueTemplate, ...],
    circuit: Circuit,
    per_transaction: bool,
    seed: int,
    stretches: list[tuple[float, float]],
) -> None:
    rng = Random(seed)
    one = meter(*entries, circuit=circuit, per_transaction=per_transaction, state=MeterState(lifetime_wh=99.5))
    begin = one.begin_transaction(rng)
    register, lifetime, soc, integral, possible = float(begin), one.lifetime_wh, -1.0, 0.0, 0.0
    for elapsed, maximum in stretches:
        delivered = one.advance(elapsed, maximum, rng, sample_interval_s=60)
        integral += one.power_w * elapsed / 3600
        possible += maximum * elapsed / 3600
        assert 0 <= delivered <= maximum * elapsed / 3600 * (1 + 1e-9)
        values: dict[str, dict[str | None, float]] = defaultdict(dict)
        for sample in one.samples(EVERYTHING):
            values[sample.measurand][sample.phase] = sample.value * BASE_UNITS.get(sample.unit or "", 1.0)
        power = values[POWER]
        total = power.pop(None) if None in power else power.pop("L1-N")
        assert 0 <= total <= maximum * (1 + 1e-9)
        assert total == pytest.approx(one.power_w)
        for phase_power in power.values():
            assert 0 <= phase_power <= maximum / 3 * (1 + 1e-9)
        if power:
            coarse = any(entry.unit == "kW" for entry in entries if entry.measurand == POWER)
            assert sum(power.values()) == pytest.approx(total, abs=1.01 if coarse else 0.011)
        amperes = maximum / circuit.voltage / circuit.conductors
        assert all(0 <= current <= amperes * (1 + 1e-9) for current in values[CURRENT].values())
        assert all(voltage >= 0 for voltage in values[VOLTAGE].values())
        shown = next(iter(values[ENERGY].values()))
        assert register - 1e-9 <= shown
        assert lifetime <= one.lifetime_wh
        register, lifetime = shown, one.lifetime_wh
        if SOC in values:
            assert soc <= values[SOC][None] <= 100
            soc = values[SOC][None]
    end = one.end_transaction()
    assert end >= register - 1e-9
    assert end >= begin
    assert end - begin <= math.ceil(possible + 0.01)
    given = [entry for entry in entries if entry.measurand == ENERGY and entry.value not in (None, "", 0, "0")]
    if not given:
        assert end - begin == pytest.approx(integral, abs=1.01)
    assert next(iter(one.samples())).value * (1000 if one.plan.energy.unit == "kWh" else 1) == pytest.approx(end)


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 2**32), circuit=st.sampled_from([AC3, AC1, DC]), maximum=st.floats(1000, 150_000))
def test_power_is_voltage_by_current_where_the_template_gives_none(seed: int, circuit: Circuit, maximum: float) -> None:
    rng = Random(seed)
    one = charging(circuit=circuit)
    one.advance(60, maximum, rng)
    samples = one.samples(EVERYTHING)
    voltage, power, current = (by_phase(samples, measurand)[None] for measurand in (VOLTAGE, POWER, CURRENT))
    assert power == pytest.approx(voltage * current * circuit.conductors, abs=3 + 0.005 * voltage * circuit.conductors)
    assert one.transaction_wh == pytest.approx(power / 60)


# -- electrical limits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("power", "connectors", "circuit", "amperes"),
    [
        (22_080, 1, AC3, 32),
        (44_160, 2, Circuit(231, 3), 32),
        (44_160, 2, Circuit(240, 3), 31),
        (7360, 1, Circuit(231, 1), 32),
        (50_000, 2, DC, 125),
        (75_000, 3, DC, 188),
    ],
)
def test_current_ratings_of_the_shipped_stations(power: float, connectors: int, circuit: Circuit, amperes: int) -> None:
    assert maximum_amperage(power, connectors, circuit) == amperes


def test_available_power_is_the_least_of_all_limits() -> None:
    assert available_power(44_160, AC3, divider=2) == 22_080
    assert available_power(50_000, DC, divider=0) == 50_000  # shared power, no transaction yet
    assert available_power(44_160, AC3, divider=2, amperage_limit=16, maximum_amperage=32) == 11_040
    assert available_power(44_160, AC3, divider=2, amperage_limit=32, maximum_amperage=32) == 22_080
    assert available_power(50_000, DC, divider=2, amperage_limit=50, maximum_amperage=125) == 10_000
    assert available_power(44_160, AC3, divider=2, connector_maximum=7000, profile_limit=9000) == 7000
    assert available_power(44_160, AC3, divider=2, profile_limit=-1) == 0


@pytest.mark.parametrize("circuit", [AC3, AC1, DC])
def test_periodic_samples_are_written_as_they_are_read(circuit: Circuit) -> None:
    entries = [entry(POWER, unit="kW", location="Inlet", context="Other"), *(entry(measurand) for measurand in FIVE)]
    one = charging(*entries, circuit=circuit)
    one.advance(60, 7_000, Random(2))
    for measurands in (EVERYTHING, (), ((POWER, None),), ((SOC, None),)):
        text, selection = one.periodic_samples(one.plan.select(measurands))
        read = [
            {"value": sample.text}
            | {
                name: value
                for name in ("context", "measurand", "phase", "location", "unit")
                if (value := getattr(sample, name)) is not None
            }
            for sample in one.samples(measurands)
        ]
        assert msgspec.json.decode(f"[{text}]") == read
        assert len(selection.channels) == len(read)
