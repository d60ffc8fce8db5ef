"""How a connector is metered: its template entries compiled once, shared by all stations of a template.

The compiled form answers two questions: what the template says of each value, in base units (Percent, V, W, var, A, Hz,
degrees Celsius, Wh, varh), and which samples are reported in which order (:mod:`simulator.energy.meter_channels`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import msgspec

from simulator.energy.electrical import Circuit, line_to_line_voltage
from simulator.energy.meter_channels import NEUTRAL_SLOT, Channel, Gauge, Selection
from simulator.energy.meter_values import (
    CURRENT,
    CURRENT_EXPORT,
    CURRENT_OFFERED,
    DEFAULT_FLUCTUATION_PERCENT,
    ENERGY,
    ENERGY_EXPORT,
    FREQUENCY,
    INTERVALS,
    LINE_TO_LINE,
    LINES,
    MEASURANDS,
    NEUTRAL,
    PHASED,
    POWER,
    POWER_EXPORT,
    POWER_FACTOR,
    POWER_OFFERED,
    POWER_REACTIVE_EXPORT,
    POWER_REACTIVE_IMPORT,
    REACTIVE_EXPORT,
    REACTIVE_IMPORT,
    RPM,
    SOC,
    TEMPERATURE,
    UNIT_OFFSETS,
    UNITS,
    VOLTAGE,
    Measurand,
    SampledValueTemplate,
    bare_phase,
    parse_measurands,
    read_number,
)

SIDE_FLOWS = (
    (POWER_EXPORT, ENERGY_EXPORT),
    (POWER_REACTIVE_IMPORT, REACTIVE_IMPORT),
    (POWER_REACTIVE_EXPORT, REACTIVE_EXPORT),
)
"""What flows besides the active import: the power and the register that counts it."""

# What a template may fix that nothing else follows from.
_ALONE = (POWER_OFFERED, POWER_FACTOR, CURRENT_EXPORT, CURRENT_OFFERED, FREQUENCY, TEMPERATURE, RPM)
# No current is reckoned with a voltage below this fraction of nominal, whatever the fluctuation in a template.
_LOWEST_VOLTAGE = 0.5

# A key that is changed often would otherwise grow the cache of selections for ever.
_SELECTIONS_KEPT = 64


class MeterSwitches(msgspec.Struct, frozen=True):
    """The switches of a station template that shape its meter values."""

    main_voltage: bool = True
    """Report the voltage without phase too, on three phases (``mainVoltageMeterValues``)."""
    line_to_line_voltage: bool = True
    """Report the voltages between phases (``phaseLineToLineVoltageMeterValues``)."""
    limit_custom_values: bool = True
    """Hold values of a template within what the connector can deliver (``customValueLimitationMeterValues``)."""
    per_transaction: bool = True
    """Report the energy since the start of the transaction, not of the meter's life (``meteringPerTransaction``)."""


class MeterPlan:
    """The compiled template entries of one connector; immutable, made by :func:`meter_plan`."""

    __slots__ = (
        "_channels",
        "_selections",
        "alone",
        "by_interval",
        "circuit",
        "current",
        "current_lines",
        "draws_beside_vehicle",
        "draws_besides",
        "energy",
        "energy_alone",
        "energy_channel",
        "energy_rate",
        "flow_given",
        "line_noises",
        "line_to_line",
        "lines",
        "lines_alike",
        "lowest_voltage",
        "pair_ratio",
        "phases_per_line",
        "power",
        "power_lines",
        "side_flows",
        "soc",
        "switches",
        "voltage",
        "voltage_given",
        "voltage_lines",
    )

    def __init__(self, entries: tuple[SampledValueTemplate, ...], circuit: Circuit, switches: MeterSwitches) -> None:
        self.circuit = circuit
        self.switches = switches
        # Values are drawn by line only on three phases; otherwise one line stands for all conductors.
        self.lines = 3 if circuit.phases == 3 else 1
        self.phases_per_line = circuit.conductors // self.lines
        finder = _Finder(entries, self.lines)
        self.soc = finder.main(SOC) if circuit.direct or finder.has(SOC) else None
        self.voltage, self.voltage_lines = finder.main(VOLTAGE), finder.by_line(VOLTAGE)
        self.line_to_line = tuple(finder.at(VOLTAGE, phase) for phase in LINE_TO_LINE) if self.lines == 3 else ()
        self.power, self.power_lines = finder.main(POWER), finder.by_line(POWER)
        self.current, self.current_lines = finder.main(CURRENT), finder.by_line(CURRENT)
        self.energy = finder.energy()
        self.energy_channel = Channel(ENERGY, self.energy.phase, 0, self.energy)
        self.energy_alone = Selection((self.energy_channel,), self.lines)
        self.energy_rate = finder.rate(ENERGY) or self.energy
        """The entry that says how much energy flows in a sample interval, if any does."""
        flow = (self.power, *self.power_lines, self.current, *self.current_lines, self.energy_rate)
        self.flow_given = any(gauge is not None and (gauge.base is not None or gauge.minimum > 0) for gauge in flow)
        """Whether the template says how much flows, or flows at least: then no vehicle decides it."""
        voltages = (self.voltage, *self.voltage_lines)
        self.voltage_given = any(gauge and gauge.base is not None for gauge in (*voltages, *self.line_to_line))
        self.lowest_voltage = self._lowest_voltage(gauge for gauge in voltages if gauge is not None)
        """V below which the voltage of no line falls."""
        self.side_flows = tuple((finder.main(power), finder.rate(register)) for power, register in SIDE_FLOWS)
        """For each of :data:`SIDE_FLOWS`, the entry of the power, and that of the energy if it says how much."""
        found = ((measurand, finder.main(measurand)) for measurand in _ALONE)
        self.alone = tuple((measurand, gauge) for measurand, gauge in found if gauge.base is not None)
        """What else the template fixes, to be drawn by itself."""
        sides = (gauge for gauges in self.side_flows for gauge in gauges)
        self.draws_besides = bool(self.alone) or any(gauge is not None and gauge.base is not None for gauge in sides)
        """Whether flows or other values are drawn besides what a vehicle decides."""
        self.draws_beside_vehicle = (
            self.draws_besides or self.voltage_given or (self.soc is not None and self.soc.base is not None)
        )
        """Whether anything at all is."""
        self.by_interval = any(
            gauge is not None and (gauge.base is not None or gauge.minimum > 0)
            for gauge in (self.energy_rate, *(energy for _, energy in self.side_flows))
        )
        """Whether what flows depends on the sample interval."""
        lines = (*self.voltage_lines, *self.power_lines, *self.current_lines)
        self.lines_alike = self.lines == 3 and not any(lines)
        """Whether there are three lines and no entry tells one from the others."""
        self.line_noises = tuple((gauge or self.voltage).noise for gauge in self.voltage_lines or (None,))
        """How far the voltage of each line strays where it is simulated, as a fraction."""
        self.pair_ratio = line_to_line_voltage(circuit) / circuit.voltage / math.sqrt(3)
        """The voltage between two lines, where it is nominal, by what the angle between them makes of the two."""
        self._channels = tuple(self._all_channels(finder))
        self._selections: dict[tuple[Measurand, ...] | str, Selection] = {}

    def _lowest_voltage(self, gauges: Iterable[Gauge]) -> float:
        nominal = self.circuit.voltage
        lows = [
            nominal * (1 - (gauge.spread if self.voltage_given else gauge.noise))
            if gauge.base is None
            else gauge.base * (1 - gauge.spread)
            for gauge in gauges
        ]
        # Rounded as the samples are, so that no rounding takes a voltage below it.
        return max(min(nominal, *lows) - 0.01, nominal * _LOWEST_VOLTAGE)

    def select(self, measurands: Iterable[Measurand]) -> Selection:
        """The channels that report ``measurands``, in the order of the meter; the energy register if there are none.

        A measurand without phase stands for the whole and, on three phases, each phase of it as the switches of the
        station have it; one with a phase for that phase alone, under the name by which it was asked for.
        """
        wanted = tuple(measurands)
        selection = self._selections.get(wanted)
        if selection is None:
            channels = tuple(self._select(frozenset(wanted)))
            selection = self._keep(wanted, Selection(channels, self.lines) if channels else self.energy_alone)
        return selection

    def select_text(self, measurands: str) -> Selection:
        """The same of a comma-separated list, see :func:`~simulator.energy.meter_values.parse_measurands`."""
        selection = self._selections.get(measurands)
        if selection is None:
            wanted = parse_measurands(measurands, phases=self.circuit.phases).wanted
            selection = self._keep(measurands, self.select(wanted))
        return selection

    def _keep(self, wanted: tuple[Measurand, ...] | str, selection: Selection) -> Selection:
        if len(self._selections) >= _SELECTIONS_KEPT:
            self._selections.clear()
        self._selections[wanted] = selection
        return selection

    def _select(self, wanted: frozenset[Measurand]) -> Iterable[Channel]:
        for usual, channel in self._channels:
            if usual and (channel.measurand, None) in wanted:
                yield channel
                continue
            for phase in self._names(channel):
                if (channel.measurand, phase) in wanted:
                    yield channel._replace(phase=phase)
                    break

    def _names(self, channel: Channel) -> tuple[str, ...]:
        """The phases by which a channel can be asked for."""
        if channel.measurand not in PHASED or self.circuit.direct:
            return ()
        if channel.slot == NEUTRAL_SLOT:
            return (NEUTRAL,)
        if self.lines == 1:
            return "L1-N", "L1"
        if channel.slot == 0:
            return ()
        if channel.slot > len(LINES):
            return (LINE_TO_LINE[channel.slot - 4],)
        line = LINES[channel.slot - 1]
        return f"{line}-N", line

    def _all_channels(self, finder: _Finder) -> Iterable[tuple[bool, Channel]]:
        """Every channel in the order of the meter, and whether asking for the measurand without phase includes it."""
        for measurand in MEASURANDS:
            main = self._main(measurand, finder)
            if measurand == VOLTAGE:
                yield from self._voltage_channels()
                continue
            yield True, Channel(measurand, main.phase, 0, main)
            if measurand in PHASED and self.lines == 3:
                usual = measurand in (POWER, CURRENT)
                suffix = "-N" if measurand.startswith("Power.") else ""
                for index, (line, gauge) in enumerate(zip(LINES, finder.by_line(measurand), strict=True)):
                    yield usual, _line_channel(measurand, line + suffix, index + 1, gauge, main)
            if measurand == CURRENT and not self.circuit.direct:
                yield False, Channel(CURRENT, NEUTRAL, NEUTRAL_SLOT, finder.at(CURRENT, NEUTRAL) or main)

    def _main(self, measurand: str, finder: _Finder) -> Gauge:
        """The entry that describes the whole of a measurand."""
        return self.energy if measurand == ENERGY else finder.main(measurand)

    def _voltage_channels(self) -> Iterable[tuple[bool, Channel]]:
        yield self.lines == 1 or self.switches.main_voltage, Channel(VOLTAGE, self.voltage.phase, 0, self.voltage)
        for index, (line, gauge) in enumerate(zip(LINES, self.voltage_lines, strict=False)):
            yield True, _line_channel(VOLTAGE, f"{line}-N", index + 1, gauge, self.voltage)
            between = _line_channel(VOLTAGE, LINE_TO_LINE[index], index + 4, self.line_to_line[index], self.voltage)
            yield self.switches.line_to_line_voltage, between


@lru_cache(maxsize=1024)
def meter_plan(
    entries: tuple[SampledValueTemplate, ...], circuit: Circuit, switches: MeterSwitches | None = None
) -> MeterPlan:
    """The plan of a connector with these template entries; the same object for the same arguments.

    Of several entries for one measurand and phase the first counts. A measurand without an entry is metered in its
    default unit; the state of charge then only on direct current: a station does not learn it on alternating current.
    """
    return MeterPlan(entries, circuit, MeterSwitches() if switches is None else switches)


def _line_channel(measurand: str, phase: str, index: int, gauge: Gauge | None, main: Gauge) -> Channel:
    """The channel of one phase, described by its own entry if it has one, else by that of the whole."""
    if gauge is None:
        return Channel(measurand, phase, index, main)
    return Channel(measurand, gauge.phase or phase, index, gauge)


class _Finder:
    """Looks entries up by measurand and phase."""

    def __init__(self, entries: tuple[SampledValueTemplate, ...], lines: int) -> None:
        self._entries = entries
        self._lines = lines

    def has(self, measurand: str) -> bool:
        return any(entry.measurand == measurand for entry in self._entries)

    def at(self, measurand: str, phase: str | None) -> Gauge | None:
        for entry in self._entries:
            own = entry.phase and bare_phase(entry.phase)
            if entry.measurand == measurand and (own or None) == phase:
                return _read(entry)
        return None

    def main(self, measurand: str) -> Gauge:
        gauge = self.at(measurand, None)
        if gauge is None and self._lines == 1:
            gauge = self.at(measurand, "L1")
        if gauge is not None:
            return gauge
        # Nothing describes the whole: take what does not concern a value from an entry of one of its phases.
        first = next((entry for entry in self._entries if entry.measurand == measurand), None)
        if first is None:
            return _read(SampledValueTemplate(measurand))
        return _read(SampledValueTemplate(measurand, first.unit, None, first.context, first.location))

    def by_line(self, measurand: str) -> tuple[Gauge | None, ...]:
        return tuple(self.at(measurand, line) for line in LINES) if self._lines == 3 else ()

    def energy(self) -> Gauge:
        # Whatever its phase, if there is no other: the register is one.
        whole = self.at(ENERGY, None)
        if whole is not None:
            return whole
        first = next((entry for entry in self._entries if entry.measurand == ENERGY), SampledValueTemplate())
        return _read(first)

    def rate(self, register: str) -> Gauge | None:
        """The entry that gives the energy of a sample interval: that of a register, or of its intervals."""
        for measurand in (register, INTERVALS[register]):
            gauge = self.energy() if measurand == ENERGY else self.main(measurand)
            if gauge.base is not None:
                return gauge
        return None


def _read(entry: SampledValueTemplate) -> Gauge:
    units = UNITS[entry.measurand]
    unit = entry.unit if entry.unit in units else next(iter(units))
    scale, decimals = units[unit]
    offset = UNIT_OFFSETS.get(unit or "", 0.0)
    value = read_number(entry.value)
    base = (value - offset) * scale if value else None
    fluctuation = read_number(entry.fluctuation_percent)
    if fluctuation is None:
        fluctuation = DEFAULT_FLUCTUATION_PERCENT
    return Gauge(
        unit=unit,
        scale=scale,
        decimals=decimals,
        base=base if base is not None and (base > 0 or entry.measurand == TEMPERATURE) else None,
        minimum=max(0.0, read_number(entry.minimum_value) or 0.0) * scale,
        spread=min(max(fluctuation, 0.0), 100.0) / 100,
        phase=entry.phase or None,
        context=entry.context or None,
        location=entry.location or ("EV" if entry.measurand == SOC else None),
        offset=offset,
    )
