"""What a meter shows of a vehicle that charges: P = U · I · phases · cos φ, on each line and on the whole.

The power is that of the vehicle; the voltage strays a little around nominal; the current follows. The voltage of the
whole is the one at which the energy flows: that of the only line of a vehicle that uses one.
"""

from __future__ import annotations

from math import floor, sqrt

from simulator.energy.meter_derived import stray
from simulator.energy.meter_drawing import Reading
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
    if plan.lines == 1:
        return (_settled(nominal * (1 + plan.line_noises[0] * common)),)
    one, two, three = plan.line_noises
    common *= _COMMON
    return (
        _settled(nominal * (1 + one * (common + (1 - _COMMON) * stray(seed, 1)))),
        _settled(nominal * (1 + two * (common + (1 - _COMMON) * stray(seed, 2)))),
        _settled(nominal * (1 + three * (common + (1 - _COMMON) * stray(seed, 3)))),
    )


class CoherentFlow:
    """What a meter shows of a vehicle while it is offered the same.

    :param used: phases on which the vehicle draws.
    """

    __slots__ = (
        "_factor",
        "_most",
        "_offer",
        "_phases_by_factor",
        "_plan",
        "_powers",
        "_used",
        "_watts",
        "shares",
    )

    def __init__(self, plan: MeterPlan, offer: Offer, used: int, power_factor: float) -> None:
        self._plan = plan
        self._offer = offer
        #: A that are shown at most.
        self._most = plan.current.settle(offer.amperes, offer.amperes)
        self._used = min(used, plan.lines)
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
        offer, used, most = self._offer, self._used, self._most
        if watts != self._watts:
            self._powers, self._watts = self._settled_powers(watts), watts
        if len(self._powers) == 1:
            currents: tuple[float, ...] = (_current(watts, voltages[0] * self._phases_by_factor, most),)
        else:
            if len(voltages) == 3:
                voltages = self._with_whole_and_pairs(*voltages)
            power, factor = watts / used, self._phases_by_factor
            one = _current(power, voltages[1] * factor, most)
            two = _current(power, voltages[2] * factor, most) if used > 1 else 0.0
            three = _current(power, voltages[3] * factor, most) if used > 2 else 0.0
            currents = (min(_settled((one + two + three) / 3), most), one, two, three)
        return Reading(voltages, self._powers, currents, offer.watts, offer.phases, self._factor)

    def _with_whole_and_pairs(self, one: float, two: float, three: float) -> tuple[float, ...]:
        """V of the whole, of each line to neutral, and between each two."""
        if self._used == 3 or not self._watts:
            main = _effective((one, two, three))
        else:
            main = _effective((one, two)) if self._used == 2 else one
        ratio, squares = self._plan.pair_ratio, (one * one, two * two, three * three)
        return (
            _settled(main),
            one,
            two,
            three,
            _settled(ratio * sqrt(squares[0] + squares[1] + one * two)),
            _settled(ratio * sqrt(squares[1] + squares[2] + two * three)),
            _settled(ratio * sqrt(squares[2] + squares[0] + three * one)),
        )

    def _settled_powers(self, watts: float) -> tuple[float, ...]:
        """W of the whole and, on three lines, of each: they add up to it."""
        plan, offer, used = self._plan, self._offer, self._used
        share = offer.watts / offer.phases * plan.circuit.conductors / plan.lines
        powers = [
            ((plan.power_lines[line] if plan.power_lines else None) or plan.power).settle(watts / used, share)
            if line < used
            else 0.0
            for line in range(plan.lines)
        ]
        total = plan.power.settle(sum(powers), offer.watts)
        return (total,) if plan.lines == 1 else (total, *powers)


def _settled(value: float) -> float:
    """``value``, 0 or more, as a meter shows it: volts and amperes have one unit, with two decimals."""
    return floor(value * 100 + 0.5) / 100


def _current(watts: float, volts: float, most: float) -> float:
    """A that ``watts`` are at ``volts``, 0 or more and by the power factor."""
    if not volts:
        return 0.0
    amperes = floor(watts / volts * 100 + 0.5) / 100
    return amperes if amperes < most else most


def _effective(voltages: tuple[float, ...]) -> float:
    """The voltage that makes equal powers of the mean of their currents: the harmonic mean."""
    if not all(voltages):
        return 0.0
    return len(voltages) / sum([1 / voltage for voltage in voltages])
