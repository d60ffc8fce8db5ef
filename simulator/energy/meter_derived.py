"""What a meter shows beside voltage, current, power and energy: values that follow from those, and from the net."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

from simulator.energy.electrical import Circuit, reactive_power
from simulator.energy.meter_channels import Gauge
from simulator.energy.meter_drawing import SECONDS_PER_HOUR, Reading, fluctuated
from simulator.energy.meter_plan import SIDE_FLOWS
from simulator.energy.meter_values import (
    CURRENT_EXPORT,
    CURRENT_OFFERED,
    FREQUENCY,
    POWER_FACTOR,
    POWER_OFFERED,
    RPM,
    TEMPERATURE,
)

_SIDE_POWERS = {power: number for number, (power, _) in enumerate(SIDE_FLOWS)}
_EXPORT, _REACTIVE_IMPORT = 0, 1
# Numbers of the noise of each value; the voltages have the low ones.
_FREQUENCY_NOISE, _TEMPERATURE_NOISE = 10, 11


def stray(seed: float, number: int) -> float:
    """Noise between -1 and 1: the same for the same seed, 0 to 1, and number, and unlike that of other numbers."""
    scattered = math.sin((seed + 1) * (12.9898 + 78.233 * number)) * 43758.5453
    return 2 * (scattered - math.floor(scattered)) - 1


def draw_side_flow(
    power: Gauge, energy: Gauge | None, flowing: bool, rng: Random, sample_interval_s: float
) -> float | None:
    """W or var that a template gives of what flows beside the active import; None where it leaves that to the model.

    :param energy: the entry that gives it by the energy of a sample interval.
    :param flowing: whether anything may flow.
    """
    if power.base is None and energy is None:
        return None
    if not flowing:
        return 0.0
    if power.base is not None:
        return fluctuated(power, power.base, math.inf, rng)
    assert energy is not None
    assert energy.base is not None
    return fluctuated(energy, energy.base / sample_interval_s * SECONDS_PER_HOUR, math.inf, rng)


def side_flow(number: int, given: Sequence[float | None], active: float, power_factor: float) -> float:
    """One of :data:`SIDE_FLOWS`, in W or var, or in Wh or varh if ``active`` is: what the template gives, else what
    comes with an active import of ``active``."""
    value = given[number]
    if value is not None:
        return value
    return reactive_power(active, power_factor) if number == _REACTIVE_IMPORT else 0.0


def _side_power(number: int, slot: int, reading: Reading, given: Sequence[float | None]) -> float:
    """W or var of one of :data:`SIDE_FLOWS`; on a line in proportion to its active import."""
    active = reading.powers[0]
    total = side_flow(number, given, active, reading.power_factor)
    if slot == 0:
        return total
    return total * (reading.powers[slot] / active if active > 0 else 1 / 3)


def derived_value(
    measurand: str, slot: int, reading: Reading, given: Sequence[float | None], circuit: Circuit, seed: float
) -> float:
    """The value of a measurand that follows from a reading.

    :param slot: 0 for the whole, 1 to 3 for a line.
    :param given: W and var of :data:`SIDE_FLOWS` where the template gives them.
    :param seed: of the noise, 0 to 1.
    """
    active = reading.powers[0]
    load = min(1.0, active / reading.maximum) if reading.maximum > 0 else 0.0
    if (number := _SIDE_POWERS.get(measurand)) is not None:
        return _side_power(number, slot, reading, given)
    if measurand == POWER_OFFERED and slot == 0:
        return reading.maximum
    if measurand in (POWER_OFFERED, CURRENT_OFFERED):
        by_line = reading.maximum / reading.phases if slot <= reading.phases else 0.0
        return by_line if measurand == POWER_OFFERED else by_line / circuit.voltage
    if measurand == POWER_FACTOR:
        return reading.power_factor
    if measurand == CURRENT_EXPORT:
        conductors, voltage = 1 if slot else circuit.conductors, reading.voltages[slot]
        return _side_power(_EXPORT, slot, reading, given) / (voltage * conductors) if voltage > 0 else 0.0
    if measurand == FREQUENCY:
        return frequency(circuit, stray(seed, _FREQUENCY_NOISE))
    if measurand == TEMPERATURE:
        return temperature(load, stray(seed, _TEMPERATURE_NOISE))
    assert measurand == RPM, measurand
    return fan_speed(circuit, load)


def frequency(circuit: Circuit, noise: float) -> float:
    """Hz of the net: 60 where the voltage is around 120 V, else 50."""
    return (60.0 if 100 <= circuit.voltage <= 130 or circuit.voltage == 277 else 50.0) + 0.02 * noise


def temperature(load: float, noise: float) -> float:
    """Degrees Celsius inside the station by its load, 0 to 1: losses grow with the square of the current."""
    return 22.0 + 18.0 * load * load + 0.2 * noise


def fan_speed(circuit: Circuit, load: float) -> float:
    """Revolutions per minute of the fan that cools the rectifier; on alternating current there is none."""
    return 900.0 + 2100.0 * load if circuit.direct and load > 0 else 0.0
