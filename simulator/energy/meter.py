"""The meter of one connector: what flows, the registers that count it, and the samples that report it.

The model: over every stretch of time the connector delivers one average power, drawn between the least value that the
template asks for and the maximum that the caller names. Everything else follows from that draw: the current is power by
voltage, the energy is power by elapsed time, the state of charge is energy by the capacity of a battery. Where the
template gives a ``value``, that measurand fluctuates around it instead, and what the template leaves open follows: the
power from the power entries, else from the current entries, else from the energy entry.

Limits hold after the fluctuation and after rounding, so that no sample exceeds what the connector can deliver, and the
phases of a power add up to its total. Nothing flows outside a transaction.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from random import Random
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from simulator.energy.electrical import current_from_power, line_to_line_voltage
from simulator.energy.meter_plan import Gauge, MeterPlan
from simulator.energy.meter_values import CURRENT, POWER, SOC, VOLTAGE, Measurand, Sample

DEFAULT_SAMPLE_INTERVAL = 60.0
"""Seconds, where ``MeterValueSampleInterval`` says nothing."""

BATTERY_WH = 60_000.0
"""Capacity of the vehicle battery that turns energy into state of charge."""

# A vehicle arrives with a state of charge in this band, in percent, unless the template says otherwise.
_ARRIVAL_SOC = (10.0, 60.0)
_SECONDS_PER_HOUR = 3600.0


class MeterState(msgspec.Struct, frozen=True, rename="camel"):
    """What of a meter survives a restart of the station."""

    lifetime_wh: Annotated[float, Meta(ge=0)] = 0.0
    transaction_wh: Annotated[float, Meta(ge=0)] = 0.0
    soc: Annotated[float, Meta(ge=0, le=100)] | None = None
    in_transaction: bool = False


class _Draw(NamedTuple):
    """What the meter shows between two advances, in V, W and A: the whole first, then by line, then line to line."""

    voltages: tuple[float, ...]
    powers: tuple[float, ...]
    currents: tuple[float, ...]
    maximum: float
    """W below which it was drawn."""


class ConnectorMeter:
    """The meter of one connector.

    The caller keeps the time: :meth:`advance` first, with the seconds since the last advance, then read. The registers
    never run backwards. At the start and the end of a transaction they are taken up to the next whole watt hour, so
    that the integers ``meterStart`` and ``meterStop`` are exactly what the meter shows and never below a sample sent
    before.
    """

    __slots__ = ("_draw", "_in_transaction", "_lifetime_wh", "_plan", "_soc", "_transaction_wh")

    def __init__(self, plan: MeterPlan, state: MeterState | None = None) -> None:
        state = MeterState() if state is None else state
        self._plan = plan
        self._lifetime_wh = state.lifetime_wh
        self._transaction_wh = state.transaction_wh
        self._soc = state.soc
        self._in_transaction = state.in_transaction
        self._draw: _Draw | None = None

    @property
    def state(self) -> MeterState:
        """What to keep and to hand to the meter of the next run."""
        return MeterState(self._lifetime_wh, self._transaction_wh, self._soc, self._in_transaction)

    @property
    def plan(self) -> MeterPlan:
        """How the connector is metered. Setting it (the template changed) keeps the registers."""
        return self._plan

    @plan.setter
    def plan(self, plan: MeterPlan) -> None:
        self._plan = plan
        self._draw = None

    @property
    def in_transaction(self) -> bool:
        """Whether energy may flow."""
        return self._in_transaction

    @property
    def lifetime_wh(self) -> float:
        """Wh that the connector has delivered in all its life."""
        return self._lifetime_wh

    @property
    def transaction_wh(self) -> float:
        """Wh of the running transaction or, when none is running, of the last one."""
        return self._transaction_wh

    @property
    def register_wh(self) -> float:
        """Wh of the register that is reported, by the switch ``per_transaction``."""
        return self._transaction_wh if self._plan.switches.per_transaction else self._lifetime_wh

    @property
    def power_w(self) -> float:
        """W delivered on average over the last stretch."""
        return 0.0 if self._draw is None else self._draw.powers[0]

    @property
    def soc(self) -> float | None:
        """State of charge of the vehicle in percent; None if there is none, or the connector does not know it."""
        return self._soc

    # -- transactions ----------------------------------------------------------------------------------------------

    def begin_transaction(self, rng: Random, *, soc: float | None = None) -> int:
        """Start to count a transaction, and return its ``meterStart`` in Wh.

        :param soc: state of charge with which the vehicle arrives, in percent; drawn by default. A connector whose
            plan has no state of charge ignores it.
        """
        self._lifetime_wh = _whole(self._lifetime_wh)
        self._transaction_wh = 0.0
        self._soc = self._arrival_soc(rng) if soc is None or self._plan.soc is None else min(max(soc, 0.0), 100.0)
        self._draw = None
        self._in_transaction = True
        return round(self.register_wh)

    def end_transaction(self) -> int:
        """Close the registers and return ``meterStop`` in Wh. Advance to the instant of the stop before.

        The samples of ``Transaction.End`` are taken after it; until then the meter shows the last values of the
        transaction. Ending it again changes nothing and returns the same.
        """
        if self._in_transaction:
            self._in_transaction = False
            self._lifetime_wh = _whole(self._lifetime_wh)
            self._transaction_wh = _whole(self._transaction_wh)
        return round(self.register_wh)

    def advance(
        self,
        elapsed_s: float,
        maximum_power_w: float,
        rng: Random,
        *,
        sample_interval_s: float = DEFAULT_SAMPLE_INTERVAL,
    ) -> float:
        """Deliver for ``elapsed_s`` seconds and return the Wh that flowed.

        :param elapsed_s: seconds since the last advance, or since the start; less than 0 counts as 0, which keeps what
            was drawn unless it exceeds the new maximum.
        :param maximum_power_w: W that the connector could deliver in that time, finite; where it changed in between,
            advance once for each stretch. At 0 nothing flows, whatever the template says.
        :param sample_interval_s: seconds for which the ``value`` of an energy entry counts.
        """
        if not math.isfinite(maximum_power_w):
            raise ValueError(f"the maximum power of a connector must be finite, not {maximum_power_w} W")
        elapsed_s = max(0.0, elapsed_s)
        maximum = max(0.0, maximum_power_w) if self._in_transaction else 0.0
        if not self._in_transaction and elapsed_s > 0:
            self._soc = None  # the vehicle may have left
        if elapsed_s == 0 and (self._draw is None or self._draw.maximum <= maximum):
            return 0.0
        if not sample_interval_s > 0:
            sample_interval_s = DEFAULT_SAMPLE_INTERVAL
        energy = self._deliver(elapsed_s, maximum, rng, sample_interval_s)
        self._lifetime_wh += energy
        self._transaction_wh += energy
        if self._in_transaction and self._soc is not None:
            self._charge(energy, rng)
        return energy

    # -- reading ---------------------------------------------------------------------------------------------------

    def samples(self, measurands: Iterable[Measurand] = (), *, context: str | None = None) -> list[Sample]:
        """The samples of ``measurands`` as of the last advance, never none.

        :param measurands: names and phases as :func:`~simulator.energy.meter_values.parse_measurands` returns them;
            none means the energy register, and so does a list of which this connector has nothing now.
        :param context: the OCPP reading context; by default that of the template entry, if any.
        """
        plan = self._plan
        draw = self._draw or _still(plan)
        found = []
        for channel in plan.select(measurands):
            measurand = channel.measurand
            if measurand == POWER:
                value = draw.powers[channel.slot]
            elif measurand == CURRENT:
                value = draw.currents[channel.slot]
            elif measurand == VOLTAGE:
                value = draw.voltages[channel.slot]
            elif measurand == SOC:
                if self._soc is None:
                    continue
                value = self._soc
            else:
                value = self.register_wh
            found.append(channel.sample(value, context))
        return found or [self.register_sample(context=context)]

    def register_sample(self, wh: float | None = None, *, context: str | None = None) -> Sample:
        """The energy register as a sample.

        :param wh: Wh to report, such as a ``meterStart`` kept for ``Transaction.Begin``; by default what the register
            shows now.
        """
        return self._plan.energy_channel.sample(self.register_wh if wh is None else wh, context)

    # -- the model -------------------------------------------------------------------------------------------------

    def _deliver(self, elapsed_s: float, maximum: float, rng: Random, sample_interval_s: float) -> float:
        """Draw what flows for ``elapsed_s`` below ``maximum`` W, and return its Wh."""
        plan = self._plan
        voltages = _draw_voltages(plan, rng)
        if maximum <= 0:
            still = (0.0,) * (4 if plan.lines == 3 else 1)
            self._draw = _Draw(voltages, still, still, 0.0)
            return 0.0
        by_line = voltages[1:4] if plan.lines == 3 else voltages
        hold = plan.switches.limit_custom_values
        limit = maximum if hold else math.inf
        amperes = current_from_power(maximum, plan.circuit)
        amperage_limit = amperes if hold else math.inf
        given = _draw_given_lines(plan.current, plan.current_lines, plan.lines, 1, amperage_limit, rng)
        entry_w = None
        if plan.energy.base is not None:
            entry_w = _fluctuated(plan.energy, plan.energy.base / sample_interval_s * _SECONDS_PER_HOUR, limit, rng)
        powers = self._draw_powers(by_line, given, entry_w, maximum, sample_interval_s, rng)
        total = plan.power.settle(sum(powers), limit)
        currents = []
        for line, (power, voltage, current) in enumerate(zip(powers, by_line, given, strict=True)):
            if current is None:
                gauge = _line_gauge(plan.current, plan.current_lines, line)
                current = power / (voltage * plan.phases_per_line) if voltage > 0 else 0.0
                current = gauge.settle(current, amperage_limit)
            currents.append(current)
        mean = plan.current.settle(sum(currents) / plan.lines, amperage_limit)
        if plan.lines == 3:
            self._draw = _Draw(voltages, (total, *powers), (mean, *currents), maximum)
        else:
            self._draw = _Draw(voltages, (total,), (mean,), maximum)
        return (total if entry_w is None else entry_w) * elapsed_s / _SECONDS_PER_HOUR

    def _draw_powers(
        self,
        voltages: tuple[float, ...],
        currents: list[float | None],
        entry_w: float | None,
        maximum: float,
        sample_interval_s: float,
        rng: Random,
    ) -> list[float]:
        """W by line: given by the template, else by its currents (A) or its energy (as W), else drawn at random."""
        plan = self._plan
        hold = plan.switches.limit_custom_values
        share = maximum / plan.lines
        amperes = current_from_power(maximum, plan.circuit)
        powers = _draw_given_lines(
            plan.power, plan.power_lines, plan.lines, plan.lines, share if hold else math.inf, rng
        )
        fraction: float | None = None
        settled = []
        for line, (power, voltage, current) in enumerate(zip(powers, voltages, currents, strict=True)):
            if power is None:
                gauge = _line_gauge(plan.power, plan.power_lines, line)
                limit = share if hold else math.inf
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
                        plan.energy.minimum / sample_interval_s * _SECONDS_PER_HOUR / plan.lines,
                    )
                    least = min(least, limit)
                    if fraction is None:
                        fraction = rng.random()
                    power = least + fraction * (limit - least)
                power = gauge.settle(power, limit)
            settled.append(power)
        return settled

    def _arrival_soc(self, rng: Random) -> float | None:
        gauge = self._plan.soc
        if gauge is None:
            return None
        if gauge.base is not None:
            return _fluctuated(gauge, gauge.base, 100.0, rng)
        least = min(gauge.minimum or _ARRIVAL_SOC[0], 100.0)
        return rng.uniform(least, max(_ARRIVAL_SOC[1], (least + 100.0) / 2))

    def _charge(self, energy: float, rng: Random) -> None:
        """Raise the state of charge by ``energy`` Wh, or towards what the template says; it never falls."""
        gauge = self._plan.soc
        if gauge is None or self._soc is None:
            return
        if gauge.base is None:
            self._soc = min(100.0, self._soc + energy / BATTERY_WH * 100)
        else:
            self._soc = max(self._soc, _fluctuated(gauge, gauge.base, 100.0, rng))


def _whole(wh: float) -> float:
    # What samples show has two decimals; the rest is binary noise that must not cost a watt hour.
    return float(math.ceil(round(wh, 2)))


def _line_gauge(main: Gauge, lines: tuple[Gauge | None, ...], line: int) -> Gauge:
    return (lines[line] if lines else None) or main


def _fluctuated(gauge: Gauge, base: float, limit: float, rng: Random) -> float:
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
    shared: float | None = None
    values: list[float | None] = []
    for line in range(count):
        gauge = _line_gauge(main, lines, line)
        if gauge is not main and gauge.base is not None:
            values.append(gauge.settle(_fluctuated(gauge, gauge.base, limit, rng), limit))
        elif main.base is not None:
            if shared is None:
                shared = _fluctuated(main, main.base / divider, limit, rng)
            values.append(gauge.settle(shared, limit))
        else:
            values.append(None)
    return values


def _draw_voltages(plan: MeterPlan, rng: Random) -> tuple[float, ...]:
    """V of the whole, then by line to neutral, then line to line."""
    nominal = plan.circuit.voltage

    def fluctuated(gauge: Gauge, fallback: float) -> float:
        return gauge.settle(_fluctuated(gauge, fallback if gauge.base is None else gauge.base, math.inf, rng))

    main = fluctuated(plan.voltage, nominal)
    if plan.lines == 1:
        return (main,)
    lines = [main if gauge is None else fluctuated(gauge, nominal) for gauge in plan.voltage_lines]
    between = [
        plan.voltage.settle(_between(plan, lines[index], lines[(index + 1) % 3]))
        if gauge is None
        else fluctuated(gauge, line_to_line_voltage(plan.circuit))
        for index, gauge in enumerate(plan.line_to_line)
    ]
    return (main, *lines, *between)


def _between(plan: MeterPlan, one: float, other: float) -> float:
    """V between two lines 120 degrees apart, nominal where both are."""
    nominal = plan.circuit.voltage
    return line_to_line_voltage(plan.circuit) / nominal * math.sqrt((one * one + other * other + one * other) / 3)


def _still(plan: MeterPlan) -> _Draw:
    """Nominal voltage and nothing flowing."""
    nominal = plan.circuit.voltage
    main = nominal if plan.voltage.base is None else plan.voltage.base
    if plan.lines == 1:
        return _Draw((main,), (0.0,), (0.0,), 0.0)
    lines = [main if gauge is None else gauge.base or nominal for gauge in plan.voltage_lines]
    between = [
        gauge.base
        if gauge is not None and gauge.base is not None
        else _between(plan, lines[index], lines[(index + 1) % 3])
        for index, gauge in enumerate(plan.line_to_line)
    ]
    return _Draw((main, *lines, *between), (0.0,) * 4, (0.0,) * 4, 0.0)
