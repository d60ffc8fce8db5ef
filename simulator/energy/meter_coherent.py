"""What a meter shows of a vehicle that charges: P = U · I · phases · cos φ, on each line and on the whole.

The power is that of the vehicle; the voltage strays a little around nominal; the current follows. The voltage of the
whole is the one at which the energy flows: that of the only line of a vehicle that uses one.
"""

from __future__ import annotations

from simulator.energy.meter_derived import stray
from simulator.energy.meter_drawing import Reading, between
from simulator.energy.meter_plan import MeterPlan
from simulator.energy.plugged_vehicle import Offer

# Lines of one net are closer to each other than each of them is to nominal.
_COMMON = 0.8


def offer_of(plan: MeterPlan, watts: float, phases: int | None) -> Offer:
    """What ``watts`` mean on a connector: on alternating current as many amperes on each of the phases."""
    circuit = plan.circuit
    carrying = circuit.conductors if phases is None else min(max(phases, 1), circuit.conductors)
    return Offer(watts, carrying, watts / (circuit.voltage * carrying), plan.lowest_voltage)


def simulated_voltages(plan: MeterPlan, seed: float) -> tuple[float, ...]:
    """V of the lines to neutral, with noise from ``seed``."""
    nominal, common = plan.circuit.voltage, stray(seed, 0)
    noise = plan.voltage.noise
    if plan.lines == 1:
        return (plan.voltage.settle(nominal * (1 + noise * common)),)
    lines = []
    for index, gauge in enumerate(plan.voltage_lines):
        gauge = gauge or plan.voltage
        deviation = _COMMON * common + (1 - _COMMON) * stray(seed, index + 1)
        lines.append(gauge.settle(nominal * (1 + gauge.noise * deviation)))
    return tuple(lines)


def coherent_reading(
    plan: MeterPlan, watts: float, offer: Offer, used: int, power_factor: float, voltages: tuple[float, ...]
) -> Reading:
    """The reading of a vehicle that draws ``watts``.

    :param used: phases on which it draws.
    :param voltages: of the lines to neutral, or all of them where the template says what they are.
    """
    circuit = plan.circuit
    by_line = voltages if len(voltages) == plan.lines else voltages[1:4]
    used_lines = min(used, plan.lines)
    share = offer.watts / offer.phases * circuit.conductors / plan.lines
    powers, currents = [], []
    for line, voltage in enumerate(by_line):
        power = watts / used_lines if line < used_lines else 0.0
        power_gauge = (plan.power_lines[line] if plan.power_lines else None) or plan.power
        current_gauge = (plan.current_lines[line] if plan.current_lines else None) or plan.current
        current = power / (voltage * plan.phases_per_line * power_factor)
        powers.append(power_gauge.settle(power, share))
        currents.append(current_gauge.settle(current, offer.amperes))
    total = plan.power.settle(sum(powers), offer.watts)
    if plan.lines == 1:
        return Reading(by_line, (total,), (currents[0],), offer.watts, offer.phases, power_factor)
    mean = plan.current.settle(sum(currents) / plan.lines, offer.amperes)
    if len(voltages) == plan.lines:
        main = plan.voltage.settle(_effective(by_line[:used_lines] if watts > 0 else by_line))
        pairs = tuple(plan.voltage.settle(between(plan, by_line[i], by_line[(i + 1) % 3])) for i in range(3))
        voltages = (main, *by_line, *pairs)
    return Reading(voltages, (total, *powers), (mean, *currents), offer.watts, offer.phases, power_factor)


def _effective(voltages: tuple[float, ...]) -> float:
    """The voltage that makes equal powers of the mean of their currents: the harmonic mean."""
    return len(voltages) / sum(1 / voltage for voltage in voltages)
