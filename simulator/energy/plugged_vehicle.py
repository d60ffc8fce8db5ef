"""A vehicle at a connector: what it draws from what is offered, and why it draws nothing.

The caller keeps the time, as with the meter: offer a power, then advance by the seconds for which the offer held. The
result does not depend on how the time is cut up: ramps, tapers and the instants at which the state changes by itself
are integrated exactly.

A station suspends a vehicle by offering nothing, or less than the vehicle can charge with. A vehicle suspends itself
when it is full, when its driver has what he wants, while it wakes up after a pause, and for good if it has fallen
asleep.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

from simulator.energy.charging_curve import ChargingCurve, Stretch
from simulator.energy.electrical import Circuit
from simulator.energy.ramp import elapsed_seconds, full_seconds, ramp_fraction
from simulator.energy.vehicle import Goal, VehicleModel, soc_gain

_SECONDS_PER_HOUR = 3600.0
# An offer of 6 A that went through watts and back is still one of 6 A.
_TOLERANCE = 1e-6
# Of a stretch in which nothing changes, the last so much is left to the exact way: no rounding leads beyond its end.
_MARGIN = 1e-9


class ChargingState(StrEnum):
    """Whether energy flows in a transaction, and if not, on whose account; the words are those of OCPP."""

    CHARGING = "Charging"
    SUSPENDED_EV = "SuspendedEV"
    SUSPENDED_EVSE = "SuspendedEVSE"


class Offer(NamedTuple):
    """What a connector offers to a vehicle."""

    watts: float
    phases: int
    """Phases that may carry current; 1 on direct current."""
    amperes: float
    """On each of them."""
    lowest_voltage: float
    """V below which the voltage does not fall: what a vehicle draws at ``amperes`` is reckoned with it, so that neither
    the power nor the current exceeds the offer whatever the voltage is meanwhile."""


NOTHING = Offer(0.0, 1, 0.0, 0.0)


class PluggedVehicle:
    """One vehicle from plugging in to unplugging.

    :param soc: percent with which it arrives.
    """

    __slots__ = (
        "_cap_w",
        "_charged_wh",
        "_curve",
        "_end_wh",
        "_has_charged",
        "_idle_wh",
        "_is_offered",
        "_offer",
        "_paused_s",
        "_plugged_s",
        "_ramp_s",
        "_soc_per_wh",
        "_steady_s",
        "_stretch",
        "_wakes_in_s",
        "arrival_soc",
        "circuit",
        "goal",
        "model",
        "power_factor",
    )

    def __init__(self, model: VehicleModel, circuit: Circuit, soc: float, goal: Goal | None = None) -> None:
        self.model = model
        self.circuit = circuit
        self.goal = Goal() if goal is None else goal
        self.arrival_soc = min(max(soc, 0.0), 100.0)
        target = model.target_soc_percent if self.goal.soc_percent is None else self.goal.soc_percent
        self._curve = ChargingCurve(model, circuit, self.arrival_soc, min(max(target, 0.0), 100.0))
        wanted = math.inf if self.goal.energy_wh is None else max(0.0, self.goal.energy_wh)
        self._end_wh = min(self._curve.end_wh, wanted)
        self._charged_wh = 0.0
        self._idle_wh = 0.0
        self._plugged_s = 0.0
        self._offer = NOTHING
        #: Whether the offer is one that the vehicle could charge with.
        self._is_offered = False
        #: W that it draws at most under the offer, the state of its battery left aside.
        self._cap_w = 0.0
        self._ramp_s = 0.0
        self._has_charged = False
        self._paused_s = 0.0
        self._wakes_in_s = 0.0
        #: The part of the curve on which it charges at its full power, and seconds for which it surely goes on so.
        self._stretch: Stretch | None = None
        self._steady_s = 0.0
        self._soc_per_wh = soc_gain(model, circuit, 1.0)
        #: Of what it draws from such a circuit.
        self.power_factor = model.cos_phi(circuit)

    # -- what it is like now ---------------------------------------------------------------------------------------

    @property
    def soc(self) -> float:
        """State of charge in percent: that on arrival, and what the metered energy has added."""
        soc = self.arrival_soc + self._charged_wh * self._soc_per_wh
        return soc if soc < 100.0 else 100.0

    @property
    def charged_wh(self) -> float:
        """Metered Wh that went into charging since it was plugged in."""
        return self._charged_wh

    @property
    def drawn_wh(self) -> float:
        """All metered Wh since it was plugged in: those of charging and those of its idle draw."""
        return self._charged_wh + self._idle_wh

    @property
    def finished(self) -> bool:
        """Whether it stops by itself: full, or the driver's wishes are met."""
        return self._charged_wh >= self._end_wh or self._departs_in() <= 0

    @property
    def state(self) -> ChargingState:
        """Whether it charges under the present offer; both sides suspended counts as the station's doing."""
        if not self._is_offered:
            return ChargingState.SUSPENDED_EVSE
        if self.finished or self._cap_w <= 0 or self._asleep() or self._wakes_in_s > 0:
            return ChargingState.SUSPENDED_EV
        return ChargingState.CHARGING

    @property
    def phases(self) -> int:
        """The phases on which it draws, 1 on direct current."""
        return min(self.model.ac_phases, self._offer.phases)

    @property
    def power_w(self) -> float:
        """W that it draws at this instant."""
        stretch = self._stretch
        if stretch is not None:
            watts = stretch.watts + stretch.slope * (self._charged_wh - stretch.start_wh)
            return watts if watts < self._cap_w else self._cap_w
        state = self.state
        if state is ChargingState.SUSPENDED_EVSE:
            return 0.0
        if state is ChargingState.SUSPENDED_EV:
            return self._idle_w()
        model = self.model
        accepted = min(self._cap_w, self._curve.power_at(self._charged_wh))
        return accepted * ramp_fraction(model.ramp_shape, model.ramp_up_seconds, self._ramp_s)

    @property
    def demand_w(self) -> float:
        """W that it would take if power were no object, 0 when it wants none: what load balancing starts from."""
        if self.finished or self._asleep():
            return 0.0
        return min(self._curve.power_at(self._charged_wh), self.model.power_limit(self.circuit), self._by_current(None))

    def wanted_amperes(self, phases: int, voltage: float) -> float:
        """A per phase that would meet its demand on so many phases of ``voltage`` V; 0 when it wants none."""
        if self.finished or self._asleep():
            return 0.0
        model, circuit = self.model, self.circuit
        watts = min(self._curve.power_at(self._charged_wh), model.power_limit(circuit))
        amperes = watts / (voltage * min(model.ac_phases, phases) * self.power_factor)
        if not circuit.direct and model.ac_max_current_a is not None:
            amperes = min(amperes, model.ac_max_current_a)
        return amperes

    # -- what happens to it ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """A transaction begins: whatever it did before, it is awake and takes its power up from nothing."""
        self._ramp_s = self._paused_s = self._wakes_in_s = 0.0
        self._has_charged = False
        self._stretch, self._steady_s = None, 0.0

    def offer(self, offer: Offer) -> None:
        """From now on this is offered."""
        if offer == self._offer:
            return
        before, model, circuit = self._is_offered, self.model, self.circuit
        self._offer = offer
        self._stretch, self._steady_s = None, 0.0
        self._is_offered = offer.watts > 0 and (
            circuit.direct or offer.amperes >= model.min_current_a * (1 - _TOLERANCE)
        )
        self._cap_w = min(offer.watts, model.power_limit(circuit), self._by_current(offer))
        if before and not self._is_offered:
            # Also a vehicle that was about to wake up begins its pause again.
            self._ramp_s = self._wakes_in_s = 0.0
        elif not before and self._is_offered and self._has_charged and not self._asleep():
            self._wakes_in_s = self.model.wake_up_seconds
            self._paused_s = 0.0

    def advance(self, seconds: float) -> float:
        """Draw for ``seconds`` under the present offer and return the metered Wh."""
        if 0 < seconds < self._steady_s:
            assert self._stretch is not None
            energy = self._stretch.energy(self._charged_wh, seconds)
            self._charged_wh += energy
            self._plugged_s += seconds
            self._ramp_s += seconds
            self._steady_s -= seconds
            return energy
        if seconds <= 0:
            return 0.0
        before = self.drawn_wh
        self._stretch, self._steady_s = None, 0.0
        while seconds > 0:
            seconds -= self._step(seconds)
        if self._has_charged and self._ramp_s >= self.model.ramp_up_seconds and self.state is ChargingState.CHARGING:
            self._find_stretch()
        return self.drawn_wh - before

    def after(self, seconds: float) -> PluggedVehicle:
        """The vehicle as it will be after ``seconds`` under the present offer; it itself does not change."""
        later = PluggedVehicle.__new__(PluggedVehicle)
        for name in PluggedVehicle.__slots__:
            setattr(later, name, getattr(self, name))
        later.advance(seconds)
        return later

    def _find_stretch(self) -> None:
        """Find out for how long nothing will come but energy: no corner of the curve, no end, no departure."""
        self._stretch = stretch = self._curve.stretch(self._charged_wh, self._cap_w, self._end_wh)
        if stretch is not None:
            self._steady_s = min(stretch.seconds, self._departs_in()) * (1 - _MARGIN)

    def take(self, wh: float, seconds: float) -> None:
        """Take ``wh`` in ``seconds`` whatever it would draw by itself: the caller knows the energy from elsewhere."""
        self._charged_wh += wh
        self._plugged_s += seconds
        self._stretch, self._steady_s = None, 0.0

    def next_event_in(self) -> float | None:
        """Seconds until the state changes by itself if the offer stays; None: it does not change."""
        state = self.state
        if state is ChargingState.SUSPENDED_EVSE or self.finished or self._asleep() or self._cap_w <= 0:
            return None
        departs = self._departs_in()
        if self._wakes_in_s > 0:
            return min(self._wakes_in_s, departs)
        model = self.model
        _, full = self._curve.charge(self._charged_wh, math.inf, self._cap_w, self._end_wh)
        start = full_seconds(model.ramp_shape, model.ramp_up_seconds, self._ramp_s)
        end = elapsed_seconds(model.ramp_shape, model.ramp_up_seconds, start + full)
        seconds = min(end - self._ramp_s, departs)
        return seconds if seconds < math.inf else None  # next to nothing is offered

    # -- how -------------------------------------------------------------------------------------------------------

    def _step(self, seconds: float) -> float:
        """Advance by at most ``seconds``, not beyond a change of state; returns the seconds that have passed."""
        state = self.state
        if state is ChargingState.SUSPENDED_EVSE:
            if self._has_charged:
                self._paused_s += seconds
        elif state is ChargingState.SUSPENDED_EV:
            if self._wakes_in_s > 0 and not self.finished:
                seconds = min(seconds, self._wakes_in_s, max(self._departs_in(), 0.0))
                self._wakes_in_s -= seconds
            self._idle_wh += self._idle_w() * seconds / _SECONDS_PER_HOUR
        else:
            seconds = self._charge(min(seconds, self._departs_in()))
        self._plugged_s += seconds
        return seconds

    def _charge(self, seconds: float) -> float:
        """Charge for at most ``seconds``, until the end is reached; returns the seconds that have passed."""
        model = self.model
        start = full_seconds(model.ramp_shape, model.ramp_up_seconds, self._ramp_s)
        end = full_seconds(model.ramp_shape, model.ramp_up_seconds, self._ramp_s + seconds)
        budget = max(0.0, end - start)
        self._has_charged = True
        self._charged_wh, spent = self._curve.charge(self._charged_wh, budget, self._cap_w, self._end_wh)
        if self._charged_wh >= self._end_wh and spent < budget:
            stop = elapsed_seconds(model.ramp_shape, model.ramp_up_seconds, start + spent)
            seconds = min(seconds, max(0.0, stop - self._ramp_s))
        self._ramp_s += seconds
        return seconds

    def _by_current(self, offer: Offer | None) -> float:
        """W of the greatest current that it may and can draw; without an offer at nominal voltage on all its phases."""
        model, circuit = self.model, self.circuit
        if offer is None:
            amperes, voltage = math.inf, circuit.voltage
            phases = min(model.ac_phases, circuit.conductors)
        else:
            amperes, voltage, phases = offer.amperes, offer.lowest_voltage, self.phases
        if not circuit.direct and model.ac_max_current_a is not None:
            amperes = min(amperes, model.ac_max_current_a)
        return amperes * voltage * phases * self.power_factor

    def _idle_w(self) -> float:
        return max(0.0, min(self.model.idle_power_w, self._cap_w))

    def _asleep(self) -> bool:
        sleeps_after = self.model.sleeps_after_seconds
        return sleeps_after is not None and self._paused_s > 0 and self._paused_s >= sleeps_after

    def _departs_in(self) -> float:
        departs_after = self.goal.departs_after_s
        return math.inf if departs_after is None else departs_after - self._plugged_s
