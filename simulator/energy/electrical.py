"""Power, current and voltage of a connector, alternating or direct.

Units everywhere: watts (W), amperes (A) *per phase*, volts (V) between line and neutral (between the poles on direct
current). ``phases`` is 0 on direct current. Limits are at power factor 1. Nothing is rounded unless a docstring says
so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Circuit(msgspec.Struct, frozen=True):
    """What feeds the connectors of a station.

    :param voltage: nominal volts, line to neutral on alternating current; more than 0.
    :param phases: 1 to 3 on alternating current, 0 on direct current.
    """

    voltage: float
    phases: int

    def __post_init__(self) -> None:
        if not 0 < self.voltage < math.inf:
            raise ValueError(f"the voltage must be more than 0 V, not {self.voltage}")
        if self.phases not in (0, 1, 2, 3):
            raise ValueError(f"the number of phases must be 0 (direct current) to 3, not {self.phases}")

    @property
    def direct(self) -> bool:
        """Whether the current is direct."""
        return self.phases == 0

    @property
    def conductors(self) -> int:
        """How many conductors carry the current: the phases, or 1 on direct current."""
        return self.phases or 1


def power_from_current(amperes: float, circuit: Circuit) -> float:
    """Total watts of ``amperes`` on each phase."""
    return amperes * circuit.voltage * circuit.conductors


def current_from_power(watts: float, circuit: Circuit) -> float:
    """Amperes on each phase when ``watts`` in total are shared evenly by the phases."""
    return watts / (circuit.voltage * circuit.conductors)


def power_from_phase_currents(amperes: Sequence[float], circuit: Circuit) -> float:
    """Total watts of phases that carry different currents, ``amperes`` by phase."""
    return sum(amperes) * circuit.voltage


def reactive_power(watts: float, power_factor: float) -> float:
    """Reactive power in var that an inductive load of ``watts`` draws besides; ``power_factor`` more than 0."""
    return watts * math.sqrt(max(0.0, 1 - power_factor * power_factor)) / power_factor


def neutral_current(amperes: Sequence[float]) -> float:
    """A on the neutral conductor: all of a single phase, the vector sum of three phases 120 degrees apart."""
    if len(amperes) != 3:
        return sum(amperes)
    one, two, three = amperes
    return math.sqrt(max(0.0, one**2 + two**2 + three**2 - one * two - two * three - three * one))


def power_per_phase(watts: float, circuit: Circuit) -> float:
    """Watts of one phase when ``watts`` in total are shared evenly."""
    return watts / circuit.conductors


def line_to_line_voltage(circuit: Circuit) -> float:
    """Nominal volts between two phases: the customary 400 V in a 230 V net, else the square root of 3 times as much."""
    return 400.0 if circuit.voltage == 230 else circuit.voltage * math.sqrt(3)


def maximum_amperage(maximum_power: float, connectors: int, circuit: Circuit) -> int:
    """The current rating of a station in whole amperes, as its amperage limitation key shows it.

    On alternating current: per phase, for one connector's even share of ``maximum_power`` (W). On direct current: for
    the station as a whole. Rounded to whole amperes, halves up, first in total and then per phase.
    """
    if circuit.direct:
        return _round_half_up(maximum_power / circuit.voltage)
    total = _round_half_up(maximum_power / max(connectors, 1) / circuit.voltage)
    return _round_half_up(total / circuit.phases)


def available_power(
    maximum_power: float,
    circuit: Circuit,
    *,
    divider: int,
    amperage_limit: float | None = None,
    maximum_amperage: float = math.inf,
    connector_maximum: float | None = None,
    evse_maximum: float | None = None,
    profile_limit: float | None = None,
    profile_phases: int | None = None,
    efficiency: float = 1.0,
) -> float:
    """Watts that one connector may deliver now: the least of all limits, never negative.

    Where the profiles allow fewer phases than there are, each phase keeps its current limit: the other limits count
    for as many phases only, and the result is what those phases may carry together.

    :param maximum_power: W of the whole station.
    :param divider: among how many the power of the station is divided: its connectors or, where they share the power,
        its running transactions; 0 counts as 1.
    :param amperage_limit: A of the amperage limitation key: per phase and connector on alternating current, for the
        whole station on direct current. It acts only below ``maximum_amperage`` (A).
    :param connector_maximum: W that the hardware of the connector can deliver.
    :param evse_maximum: W that the hardware of its EVSE can deliver.
    :param profile_limit: W that the charging profiles allow, on ``profile_phases`` phases (None: on all).
    :param efficiency: of the conversion to direct current, more than 0 and at most 1: the limits are on the side of
        the grid, the result is on that of the vehicle. Alternating current is not converted.
    """
    divider = max(divider, 1)
    limits = [maximum_power / divider]
    if amperage_limit is not None and amperage_limit < maximum_amperage:
        by_amperage = power_from_current(amperage_limit, circuit)
        limits.append(by_amperage / divider if circuit.direct else by_amperage)
    limits.extend(limit for limit in (connector_maximum, evse_maximum) if limit is not None)
    watts = min(limits)
    if profile_phases is not None and not circuit.direct:
        watts *= min(profile_phases, circuit.phases) / circuit.phases
    if profile_limit is not None:
        watts = min(watts, profile_limit)
    return max(0.0, watts * efficiency if circuit.direct else watts)


def _round_half_up(value: float) -> int:
    return math.floor(value + 0.5)
