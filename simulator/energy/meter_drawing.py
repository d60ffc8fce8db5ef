"""Drawing values from template entries: what a connector shows when no vehicle decides it.

Over every stretch of time the connector delivers one average power, drawn between the least value that the template
asks for and the maximum that the caller names. Everything else follows from that draw. Where the template gives a
``value``, that measurand fluctuates around it instead, and what the template leaves open follows: the power from the
power entries, else from the current entries, else from the energy entry.

Limits hold after the fluctuation and after rounding, so that no sample exceeds what the connector can deliver, and the
phases of a power add up to its total.
"""

from __future__ import annotations

import math
from random import Random
from typing import NamedTuple

from simulator.energy.electrical import current_from_power, line_to_line_voltage
from simulator.energy.meter_channels import Gauge
from simulator.energy.meter_plan import MeterPlan

SECONDS_PER_HOUR = 3600.0

BATTERY_WH = 60_000.0
"""Capacity of the battery that turns energy into state of charge where the vehicle is not known."""

# A vehicle arrives with a state of charge in this band, in percent, unless the template says otherwise.
_ARRIVAL_SOC = (10.0, 60.0)


class Reading(NamedTuple):
    """What a meter shows between two advances, in V, W and A: the whole first, then by line, then line to line."""

    voltages: tuple[float, ...]
    powers: tuple[float, ...]
    currents: tuple[float, ...]
    maximum: float
    """W that are offered."""
    phases: int
    """The phases on which they are."""
    power_factor: float = 1.0


def draw_reading(
    plan: MeterPlan, maximum: float, phases: int, rng: Random, sample_interval_s: float
) -> tuple[Reading, float]:
    """Draw what flows below ``maximum`` W, and the W that the energy register counts."""
    voltages = draw_voltages(plan, rng)
    if maximum <= 0:
        return no_flow(plan, voltages), 0.0
    # Lines that nothing tells apart draw the same.
    alike = 3 if plan.lines_alike else 1
    by_line = voltages if plan.lines == 1 else voltages[1:2] if plan.lines_alike else voltages[1:4]
    hold = plan.switches.limit_custom_values
    limit = maximum if hold else math.inf
    amperes = current_from_power(maximum, plan.circuit)
    amperage_limit = amperes if hold else math.inf
    given = _draw_given_lines(plan.current, plan.current_lines, len(by_line), 1, amperage_limit, rng)
    entry_w = None
    if plan.energy_rate.base is not None:
        entry_w = fluctuated(plan.energy_rate, plan.energy_rate.base / sample_interval_s * SECONDS_PER_HOUR, limit, rng)
    powers = _draw_powers(plan, by_line, given, entry_w, maximum, sample_interval_s, rng) * alike
    total = plan.power.settle(sum(powers), limit)
    currents = []
    for line, (voltage, current) in enumerate(zip(by_line, given, strict=True)):
        if current is None:
            gauge = _line_gauge(plan.current, plan.current_lines, line)
            current = powers[line] / (voltage * plan.phases_per_line) if voltage > 0 else 0.0
            current = gauge.settle(current, amperage_limit)
        currents.append(current)
    currents *= alike
    mean = plan.current.settle(sum(currents) / plan.lines, amperage_limit)
    by_phase = plan.lines == 3
    reading = Reading(
        voltages,
        (total, *powers) if by_phase else (total,),
        (mean, *currents) if by_phase else (mean,),
        maximum,
        phases,
    )
    return reading, total if entry_w is None else entry_w


def _draw_powers(
    plan: MeterPlan,
    voltages: tuple[float, ...],
    currents: list[float | None],
    entry_w: float | None,
    maximum: float,
    sample_interval_s: float,
    rng: Random,
) -> list[float]:
    """W by line: given by the template, else by its currents (A) or its energy (as W), else drawn at random."""
    hold = plan.switches.limit_custom_values
    share = maximum / plan.lines
    amperes = current_from_power(maximum, plan.circuit)
    given_limit = share if hold else math.inf
    powers = _draw_given_lines(plan.power, plan.power_lines, len(voltages), plan.lines, given_limit, rng)
    fraction: float | None = None
    settled = []
    for line, (power, voltage, current) in enumerate(zip(powers, voltages, currents, strict=True)):
        if power is None:
            gauge = _line_gauge(plan.power, plan.power_lines, line)
            limit = given_limit
            if current is not None:
                power = current * voltage * plan.phases_per_line
            elif entry_w is not None:
                power = entry_w / plan.lines
            else:
                # Below its nominal voltage a line reaches its current before its share of the power.
                limit = min(share, amperes * voltage * plan.phases_per_line)
                least = max(
                    gauge.minimum if gauge is not plan.power else gauge.minimum / plan.lines,
                    _line_gauge(plan.current, plan.current_lines, line).minimum * voltage * plan.phases_per_line,
                    plan.energy_rate.minimum / sample_interval_s * SECONDS_PER_HOUR / plan.lines,
                )
                least = min(least, limit)
                if fraction is None:
                    fraction = rng.random()
                power = least + fraction * (limit - least)
            power = gauge.settle(power, limit)
        settled.append(power)
    return settled


def _line_gauge(main: Gauge, lines: tuple[Gauge | None, ...], line: int) -> Gauge:
    return (lines[line] if lines else None) or main


def fluctuated(gauge: Gauge, base: float, limit: float, rng: Random) -> float:
    """``base`` with the fluctuation of its entry, not above ``limit``, unrounded."""
    base = min(base, limit)
    if gauge.spread:
        base = rng.uniform(base * (1 - gauge.spread), base * (1 + gauge.spread))
    return min(base, limit)


def _draw_given_lines(
    main: Gauge, lines: tuple[Gauge | None, ...], count: int, divider: int, limit: float, rng: Random
) -> list[float | None]:
    """The values that a template gives by line, rounded; None where it gives none.

    A line without a value of its own has that of the whole by ``divider``, one draw for all such lines.
    """
    if main.base is None and not any(lines):
        return [None] * count
    shared: float | None = None
    values: list[float | None] = []
    for line in range(count):
        gauge = _line_gauge(main, lines, line)
        if gauge is not main and gauge.base is not None:
            values.append(gauge.settle(fluctuated(gauge, gauge.base, limit, rng), limit))
        elif main.base is not None:
            if shared is None:
                shared = fluctuated(main, main.base / divider, limit, rng)
            values.append(gauge.settle(shared, limit))
        else:
            values.append(None)
    return values


def draw_voltages(plan: MeterPlan, rng: Random) -> tuple[float, ...]:
    """V of the whole, then by line to neutral, then line to line."""
    nominal = plan.circuit.voltage

    def drawn(gauge: Gauge, fallback: float) -> float:
        return gauge.settle(fluctuated(gauge, fallback if gauge.base is None else gauge.base, math.inf, rng))

    main = drawn(plan.voltage, nominal)
    if plan.lines == 1:
        return (main,)
    if plan.lines_alike and not any(plan.line_to_line):
        pair = plan.voltage.settle(between(plan, main, main))
        return (main,) * 4 + (pair,) * 3
    lines = [main if gauge is None else drawn(gauge, nominal) for gauge in plan.voltage_lines]
    pairs = [
        plan.voltage.settle(between(plan, lines[index], lines[(index + 1) % 3]))
        if gauge is None
        else drawn(gauge, line_to_line_voltage(plan.circuit))
        for index, gauge in enumerate(plan.line_to_line)
    ]
    return (main, *lines, *pairs)


def between(plan: MeterPlan, one: float, other: float) -> float:
    """V between two lines 120 degrees apart, nominal where both are."""
    return plan.pair_ratio * math.sqrt(one * one + other * other + one * other)


def no_flow(plan: MeterPlan, voltages: tuple[float, ...] | None = None) -> Reading:
    """Nothing flows; at nominal voltage, or what the template has in its stead, unless others are given."""
    still = (0.0,) * (4 if plan.lines == 3 else 1)
    return Reading(_still_voltages(plan) if voltages is None else voltages, still, still, 0.0, plan.circuit.conductors)


def _still_voltages(plan: MeterPlan) -> tuple[float, ...]:
    nominal = plan.circuit.voltage
    main = nominal if plan.voltage.base is None else plan.voltage.base
    if plan.lines == 1:
        return (main,)
    lines = [main if gauge is None else gauge.base or nominal for gauge in plan.voltage_lines]
    pairs = [
        gauge.base
        if gauge is not None and gauge.base is not None
        else between(plan, lines[index], lines[(index + 1) % 3])
        for index, gauge in enumerate(plan.line_to_line)
    ]
    return (main, *lines, *pairs)


def draw_arrival_soc(gauge: Gauge | None, rng: Random) -> float | None:
    """The state of charge in percent with which a vehicle arrives that is not known; None if nobody learns it."""
    if gauge is None:
        return None
    if gauge.base is not None:
        return fluctuated(gauge, gauge.base, 100.0, rng)
    least = min(gauge.minimum or _ARRIVAL_SOC[0], 100.0)
    return rng.uniform(least, max(_ARRIVAL_SOC[1], (least + 100.0) / 2))


def raised_soc(gauge: Gauge, soc: float, energy: float, rng: Random) -> float:
    """The state of charge after ``energy`` more Wh, or what the template says of it; it never falls."""
    if gauge.base is None:
        return min(100.0, soc + energy / BATTERY_WH * 100)
    return max(soc, fluctuated(gauge, gauge.base, 100.0, rng))
