"""What a meter shows of a vehicle that charges: P = U · I · phases · cos φ, on each line and on the whole.

The power is that of the vehicle; the voltage strays a little around nominal; the current follows. The voltage of the
whole is the one at which the energy flows: that of the only line of a vehicle that uses one.
"""

from __future__ import annotations

from simulator.energy.meter_derived import stray
from simulator.energy.meter_drawing import Reading, between
from simulator.energy.meter_plan import MeterPlan
from simulator.energy.plugged_vehicle import Offer
from simulator.energy.registers import vehicle_shares

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


class CoherentFlow:
    """What a meter shows of a vehicle while it is offered the same.

    :param used: phases on which the vehicle draws.
    """

    __slots__ = ("_factor", "_offer", "_phases_by_factor", "_plan", "_powers", "_used_lines", "_watts", "shares")

    def __init__(self, plan: MeterPlan, offer: Offer, used: int, power_factor: float) -> None:
        self._plan = plan
        self._offer = offer
        self._used_lines = min(used, plan.lines)
        self._factor = power_factor
        self._phases_by_factor = plan.phases_per_line * power_factor
        self._watts = -1.0
        self._powers: tuple[float, ...] = ()
        # What the template draws besides is counted as it is drawn.
        self.shares = vehicle_shares(plan.lines, used, 1.0 if plan.draws_besides else power_factor)
        """What follows the energy in the registers."""

    def reading(self, watts: float, voltages: tuple[float, ...]) -> Reading:
        """The reading while the vehicle draws ``watts``.

        :param voltages: of the lines to neutral, or all of them where the template says what they are.
        """
        plan, offer = self._plan, self._offer
        if watts != self._watts:
            self._powers, self._watts = self._settled_powers(watts), watts
        powers = self._powers
        if plan.lines == 1:
            amperes = plan.current.settle(watts / (voltages[0] * self._phases_by_factor), offer.amperes)
            return Reading(voltages, powers, (amperes,), offer.watts, offer.phases, self._factor)
        by_line, used_lines = voltages if len(voltages) == 3 else voltages[1:4], self._used_lines
        power, conductors = watts / used_lines, self._phases_by_factor
        currents = [
            gauges[2].settle(power / (voltage * conductors), offer.amperes) if line < used_lines else 0.0
            for line, (voltage, gauges) in enumerate(zip(by_line, plan.line_gauges, strict=True))
        ]
        mean = plan.current.settle(sum(currents) / 3, offer.amperes)
        if len(voltages) == 3:
            settle = plan.voltage.settle
            main = settle(_effective(by_line[:used_lines] if watts > 0 else by_line))
            one, two, three = by_line
            voltages = (
                main,
                *by_line,
                settle(between(plan, one, two)),
                settle(between(plan, two, three)),
                settle(between(plan, three, one)),
            )
        return Reading(voltages, powers, (mean, *currents), offer.watts, offer.phases, self._factor)

    def _settled_powers(self, watts: float) -> tuple[float, ...]:
        """W of the whole and, on three lines, of each: they add up to it."""
        plan, offer, used_lines = self._plan, self._offer, self._used_lines
        share = offer.watts / offer.phases * plan.circuit.conductors / plan.lines
        powers = [
            gauges[1].settle(watts / used_lines, share) if line < used_lines else 0.0
            for line, gauges in enumerate(plan.line_gauges)
        ]
        total = plan.power.settle(sum(powers), offer.watts)
        return (total,) if plan.lines == 1 else (total, *powers)


def _effective(voltages: tuple[float, ...]) -> float:
    """The voltage that makes equal powers of the mean of their currents: the harmonic mean."""
    return len(voltages) / sum(1 / voltage for voltage in voltages)
