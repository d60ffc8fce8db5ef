"""What the meter of a connector reports: template entries, samples, and their text on the wire.

The entries come from ``Connectors.<id>.MeterValues`` of a station template; a sample is one ``SampledValue`` of
OCPP 1.6 (§7.43) before it is put on the wire. What is measured is decided in :mod:`simulator.energy.meter`.
"""

from __future__ import annotations

import math
from decimal import Decimal
from functools import lru_cache
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

DEFAULT_FLUCTUATION_PERCENT = 5.0

SOC = "SoC"
VOLTAGE = "Voltage"
POWER = "Power.Active.Import"
CURRENT = "Current.Import"
ENERGY = "Energy.Active.Import.Register"
POWER_EXPORT = "Power.Active.Export"
POWER_REACTIVE_IMPORT = "Power.Reactive.Import"
POWER_REACTIVE_EXPORT = "Power.Reactive.Export"
POWER_OFFERED = "Power.Offered"
POWER_FACTOR = "Power.Factor"
CURRENT_EXPORT = "Current.Export"
CURRENT_OFFERED = "Current.Offered"
FREQUENCY = "Frequency"
TEMPERATURE = "Temperature"
RPM = "RPM"
ENERGY_EXPORT = "Energy.Active.Export.Register"
REACTIVE_IMPORT = "Energy.Reactive.Import.Register"
REACTIVE_EXPORT = "Energy.Reactive.Export.Register"

REGISTERS = (ENERGY, ENERGY_EXPORT, REACTIVE_IMPORT, REACTIVE_EXPORT)
"""The measurands that count for ever."""

INTERVALS = {register: register.removesuffix("Register") + "Interval" for register in REGISTERS}
"""For each of them, the measurand of what it counted since the last report of the same kind."""

MEASURANDS = (
    SOC,
    VOLTAGE,
    POWER,
    POWER_EXPORT,
    POWER_REACTIVE_IMPORT,
    POWER_REACTIVE_EXPORT,
    POWER_OFFERED,
    POWER_FACTOR,
    CURRENT,
    CURRENT_EXPORT,
    CURRENT_OFFERED,
    FREQUENCY,
    TEMPERATURE,
    RPM,
    *REGISTERS,
    *INTERVALS.values(),
)
"""The measurands of OCPP 1.6, in the order in which a meter reports them."""

PHASED = frozenset(name for name in MEASURANDS if name in (VOLTAGE, ENERGY) or name.startswith(("Power.", "Current.")))
"""Those that can be asked for by phase."""

_Units = dict[str | None, tuple[float, int]]
_WATTS: _Units = {"W": (1.0, 2), "kW": (1000.0, 3)}
_VARS: _Units = {"var": (1.0, 2), "kvar": (1000.0, 3)}
_WATT_HOURS: _Units = {"Wh": (1.0, 0), "kWh": (1000.0, 3)}
_VAR_HOURS: _Units = {"varh": (1.0, 0), "kvarh": (1000.0, 3)}

UNITS: dict[str, _Units] = {
    SOC: {"Percent": (1.0, 2)},
    VOLTAGE: {"V": (1.0, 2)},
    POWER: _WATTS,
    POWER_EXPORT: _WATTS,
    POWER_REACTIVE_IMPORT: _VARS,
    POWER_REACTIVE_EXPORT: _VARS,
    POWER_OFFERED: _WATTS,
    POWER_FACTOR: {None: (1.0, 3)},
    CURRENT: {"A": (1.0, 2)},
    CURRENT_EXPORT: {"A": (1.0, 2)},
    CURRENT_OFFERED: {"A": (1.0, 2)},
    FREQUENCY: {None: (1.0, 2)},
    TEMPERATURE: {"Celsius": (1.0, 1), "Celcius": (1.0, 1), "K": (1.0, 1), "Fahrenheit": (5 / 9, 1)},
    RPM: {None: (1.0, 0)},
    ENERGY: _WATT_HOURS,
    ENERGY_EXPORT: _WATT_HOURS,
    REACTIVE_IMPORT: _VAR_HOURS,
    REACTIVE_EXPORT: _VAR_HOURS,
    INTERVALS[ENERGY]: _WATT_HOURS,
    INTERVALS[ENERGY_EXPORT]: _WATT_HOURS,
    INTERVALS[REACTIVE_IMPORT]: _VAR_HOURS,
    INTERVALS[REACTIVE_EXPORT]: _VAR_HOURS,
}
"""The units of each measurand, the default first (None: it has none): how much of the base unit (Percent, V, W, var, A,
Hz, degrees Celsius, Wh, varh) one of them is, and how many decimals a sample in it has. Registers count whole watt
hours, as meters in the field do."""

UNIT_OFFSETS = {"K": 273.15, "Fahrenheit": 32.0}
"""What these units read at 0 degrees Celsius."""

LINES = ("L1", "L2", "L3")
LINE_TO_LINE = ("L1-L2", "L2-L3", "L3-L1")
NEUTRAL = "N"

Measurand = tuple[str, str | None]
"""A measurand that somebody wants reported, and its phase if only that one."""


class SampledValueTemplate(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One entry of ``MeterValues`` of a connector: how one measurand, or one phase of it, is reported."""

    measurand: Annotated[str, Meta(description="the OCPP measurand that the entry describes")] = ENERGY
    unit: Annotated[
        str | None, Meta(description="Wh or kWh, W or kW, A, V, Percent; value and minimumValue are in it")
    ] = None
    phase: Annotated[str | None, Meta(description="the phase that the entry describes; absent: the whole")] = None
    context: Annotated[str | None, Meta(description="the OCPP reading context of periodic samples")] = None
    location: Annotated[str | None, Meta(description="the OCPP location; EV for SoC when absent")] = None
    format: Annotated[str | None, Meta(description="accepted; samples are always Raw")] = None
    value: Annotated[
        float | str | None,
        Meta(description="a number or numeric text around which the value fluctuates; absent, empty or 0: simulated"),
    ] = None
    fluctuation_percent: Annotated[
        float | str | None, Meta(description="how far the value strays from its base, 0 to 100")
    ] = DEFAULT_FLUCTUATION_PERCENT
    minimum_value: Annotated[
        float | str | None, Meta(description="the least value that the simulation draws when no value is given")
    ] = None


class Sample(msgspec.Struct, frozen=True):
    """One measured value, in the unit that it names."""

    measurand: str
    value: float
    unit: str | None = None
    phase: str | None = None
    context: str | None = None
    location: str | None = None

    @property
    def text(self) -> str:
        """The value as it stands on the wire."""
        return format_value(self.value)


class EntryProblem(NamedTuple):
    """What is wrong with a template entry: its JSON member, the fault, and the mend."""

    member: str
    message: str
    suggestion: str


class MeasurandList(NamedTuple):
    """A list of measurands as a configuration key holds it: what the meter delivers, and the elements it does not."""

    wanted: tuple[Measurand, ...]
    unsupported: tuple[str, ...]


@lru_cache(maxsize=256)
def parse_measurands(text: str | None, *, phases: int = 3) -> MeasurandList:
    """Read a comma-separated list of measurands, each optionally with ``.phase`` behind it (OCPP 1.6 §9.1.18).

    Names are compared exactly; blanks around them and empty elements are ignored. An element is unsupported if there is
    no such measurand, if it has no phases, or if a station of ``phases`` phases (0: direct current) has no such phase.
    A meter that is asked for nothing reports the energy register.
    """
    wanted: dict[Measurand, None] = {}
    unsupported = []
    for element in (part.strip() for part in (text or "").split(",")):
        if not element:
            continue
        measurand = _parse_measurand(element, phases)
        if measurand is None:
            unsupported.append(element)
        else:
            wanted[measurand] = None
    return MeasurandList(tuple(wanted), tuple(unsupported))


def _parse_measurand(element: str, phases: int) -> Measurand | None:
    if element in MEASURANDS:
        return element, None
    name, _, phase = element.rpartition(".")
    if name not in PHASED:
        return None
    line = bare_phase(phase)
    known = line in LINES[:phases]
    known = known or (name == VOLTAGE and phases == 3 and phase in LINE_TO_LINE)
    known = known or (name == CURRENT and phases > 0 and phase == NEUTRAL)
    return (name, phase) if known else None


def bare_phase(phase: str) -> str:
    """The line of a phase that is measured against neutral: ``L1`` for ``L1-N``; other phases as they are."""
    return phase.removesuffix("-N")


def format_value(value: float) -> str:
    """The shortest decimal text of a finite number: no exponent, no zeros behind the last digit (``230``, ``0.01``)."""
    if not math.isfinite(value):
        raise ValueError(f"{value} is not a measured value")
    text = repr(float(value))
    if "e" in text:
        text = format(Decimal(text), "f")
    elif text.endswith(".0"):
        text = text[:-2]
    return "0" if text == "-0" else text


def read_number(value: Any) -> float | None:
    """The finite number that a template gives as a number or as text; None if it is neither."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def entry_problems(entry: SampledValueTemplate) -> list[EntryProblem]:
    """Everything about an entry that the meter cannot follow; it then falls back to the default of that member."""
    problems = []
    units = UNITS.get(entry.measurand)
    if units is None:
        message = f"the meter does not deliver {entry.measurand!r}, the entry does nothing"
        problems.append(EntryProblem("measurand", message, f"use one of {', '.join(MEASURANDS)}"))
    elif entry.unit is not None and entry.unit not in units:
        message = f"{entry.unit!r} is no unit of {entry.measurand}"
        names = " or ".join(name for name in units if name is not None)
        problems.append(EntryProblem("unit", message, f"write {names}" if names else "leave it out"))
    for member, value in (("value", entry.value), ("minimumValue", entry.minimum_value)):
        if value is None or value == "":
            continue
        number = read_number(value)
        if number is None:
            problems.append(
                EntryProblem(member, f"expected a number, got {value!r}", "write a number, for example 230")
            )
        elif number < 0 and entry.measurand != TEMPERATURE:
            problems.append(EntryProblem(member, f"a meter reads no negative value, got {value}", "write 0 or more"))
        elif entry.measurand == SOC and number > 100:
            problems.append(EntryProblem(member, f"a state of charge is at most 100, got {value}", "write 0 to 100"))
    if entry.fluctuation_percent is not None:
        fluctuation = read_number(entry.fluctuation_percent)
        if fluctuation is None or not 0 <= fluctuation <= 100:
            message = f"expected a percentage from 0 to 100, got {entry.fluctuation_percent!r}"
            problems.append(EntryProblem("fluctuationPercent", message, "write a number from 0 to 100"))
    return problems
