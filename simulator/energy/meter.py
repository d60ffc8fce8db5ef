"""The meter of one connector: the registers that count what flows, and the samples that report it.

What flows is decided in one of two ways. A vehicle that is plugged in draws what it can use of what is offered
(:mod:`simulator.energy.plugged_vehicle`), and everything the meter shows follows from that: power is voltage by current
by power factor, energy is the integral of power, the state of charge is energy by capacity. Where no vehicle is known,
or where the template gives a ``value`` or a ``minimumValue`` for power, current or energy, values are drawn from the
template entries (:mod:`simulator.energy.meter_drawing`).

Limits hold at any instant and after rounding. Nothing flows outside a transaction.
"""

from __future__ import annotations

import math
from random import Random
from typing import Annotated

import msgspec
from msgspec import Meta

from simulator.energy import registers as registry
from simulator.energy.meter_coherent import offer_of
from simulator.energy.meter_derived import draw_side_flow, side_flow
from simulator.energy.meter_display import MeterDisplay
from simulator.energy.meter_drawing import (
    SECONDS_PER_HOUR,
    draw_arrival_soc,
    draw_reading,
    draw_voltages,
    fluctuated,
    raised_soc,
)
from simulator.energy.meter_plan import SIDE_FLOWS, MeterPlan
from simulator.energy.plugged_vehicle import NOTHING, ChargingState, PluggedVehicle
from simulator.energy.vehicle import Goal, VehicleModel, arrival_soc

DEFAULT_SAMPLE_INTERVAL = 60.0
"""Seconds, where ``MeterValueSampleInterval`` says nothing."""


class MeterState(msgspec.Struct, frozen=True, rename="camel"):
    """What of a meter survives a restart of the station."""

    lifetime_wh: Annotated[float, Meta(ge=0)] = 0.0
    transaction_wh: Annotated[float, Meta(ge=0)] = 0.0
    soc: Annotated[float, Meta(ge=0, le=100)] | None = None
    in_transaction: bool = False
    lifetime_others: tuple[float, ...] = ()
    """The registers of :mod:`simulator.energy.registers` after the first."""
    transaction_others: tuple[float, ...] = ()


class ConnectorMeter(MeterDisplay):
    """The meter of one connector.

    The caller keeps the time: :meth:`advance` first, with the seconds since the last advance, then read. The registers
    never run backwards, and show whole watt hours: the integers ``meterStart`` and ``meterStop`` are exactly what the
    meter shows.
    """

    __slots__ = ()

    def __init__(self, plan: MeterPlan, state: MeterState | None = None) -> None:
        state = MeterState() if state is None else state
        registers = registry.Registers(
            (state.lifetime_wh, *state.lifetime_others), (state.transaction_wh, *state.transaction_others)
        )
        super().__init__(plan, registers, state.soc, in_transaction=state.in_transaction)

    @property
    def state(self) -> MeterState:
        """What to keep and to hand to the meter of the next run."""
        lifetime, transaction = self._registers.lifetime, self._registers.transaction
        others = (lifetime[1:], transaction[1:]) if any(lifetime[1:]) else ((), ())
        return MeterState(lifetime[0], transaction[0], self.soc, self._in_transaction, *others)

    @property
    def plan(self) -> MeterPlan:
        """How the connector is metered. Setting it (the template changed) keeps registers and vehicle."""
        return self._plan

    @plan.setter
    def plan(self, plan: MeterPlan) -> None:
        if self._soc is not None and self._vehicle is not None:
            self._soc = self.soc  # from there on, if it is the template that says it now
        self._plan = plan
        self._forget()
        self._make_offer()

    # -- the vehicle -----------------------------------------------------------------------------------------------

    def plug_in(self, model: VehicleModel, rng: Random, *, soc: float | None = None, goal: Goal | None = None) -> None:
        """A vehicle is plugged in, in place of any other.

        :param soc: percent with which it arrives; drawn by default, not below the ``minimumValue`` of the template.
        """
        if soc is None:
            gauge = self._plan.soc
            soc = max(arrival_soc(model, rng), 0.0 if gauge is None else min(gauge.minimum, 100.0))
        self._vehicle = PluggedVehicle(model, self._plan.circuit, soc, goal)
        self._reading = None
        self._make_offer()

    def unplug(self) -> None:
        """The vehicle is gone."""
        self._vehicle = None
        self._soc = None
        self._reading = self._flow = None

    @property
    def charging_state(self) -> ChargingState | None:
        """Whether energy flows under the present offer, and if not, on whose account; None outside a transaction."""
        if not self._in_transaction:
            return None
        if self._driving is not None:
            return self._driving.state
        return ChargingState.CHARGING if self._maximum > 0 else ChargingState.SUSPENDED_EVSE

    @property
    def demand_w(self) -> float:
        """W that would flow if power were no object: 0 outside a transaction, infinite where no vehicle decides."""
        if not self._in_transaction:
            return 0.0
        return math.inf if self._driving is None else self._driving.demand_w

    def wanted_w(self, phases: int | None = None) -> float:
        """W that, offered on all phases, let the vehicle draw all it can use on ``phases`` of them (None: on all).

        0 outside a transaction and for a vehicle that wants nothing, infinite where no vehicle decides. More than
        :attr:`demand_w` where the vehicle uses fewer phases: the amperes on each of them are what is shared.
        """
        if not self._in_transaction or self._driving is None:
            return self.demand_w
        circuit = self._plan.circuit
        carrying = circuit.conductors if phases is None else min(max(phases, 1), circuit.conductors)
        amperes = self._driving.wanted_amperes(carrying, self._plan.lowest_voltage)
        return amperes * circuit.voltage * circuit.conductors

    def next_event_at(self, now: float) -> float | None:
        """When :attr:`charging_state` changes by itself if the offer stays as it is; None: not at all.

        ``now`` is the caller's time of the last advance, in the seconds in which the answer is.
        """
        if not self._in_transaction or self._driving is None:
            return None
        seconds = self._driving.next_event_in()
        return None if seconds is None else now + seconds

    # -- transactions ----------------------------------------------------------------------------------------------

    def begin_transaction(self, rng: Random, *, soc: float | None = None) -> int:
        """Start to count a transaction, and return its ``meterStart`` in Wh. Nothing is offered yet.

        :param soc: state of charge with which the vehicle arrives, in percent; drawn by default. A connector that
            does not learn it, without a vehicle and without a template entry on alternating current, ignores it.
        """
        self._registers.begin()
        self._forget()
        if self._vehicle is not None and soc is not None:
            self._vehicle = PluggedVehicle(self._vehicle.model, self._plan.circuit, soc, self._vehicle.goal)
        self._soc = (
            draw_arrival_soc(self._plan.soc, rng)
            if soc is None or self._plan.soc is None
            else min(max(soc, 0.0), 100.0)
        )
        self._in_transaction = True
        self._maximum = 0.0
        self._make_offer()
        if self._vehicle is not None:
            self._vehicle.begin()
        return round(self.register_wh)

    def end_transaction(self) -> int:
        """Close the registers and return ``meterStop`` in Wh. Advance to the instant of the stop before.

        The samples of ``Transaction.End`` are taken after it; until then the meter shows the last values of the
        transaction. Ending it again changes nothing and returns the same.
        """
        if self._in_transaction:
            self._read()
            if self._vehicle is not None:
                self._soc = self.soc
                self._vehicle.offer(NOTHING)
                self._flow = None
            self._in_transaction = False
            self._registers.end()
        return round(self.register_wh)

    def offer(self, maximum_power_w: float, *, phases: int | None = None) -> None:
        """From now on the connector offers ``maximum_power_w`` W on ``phases`` phases (None: on all it has).

        :attr:`charging_state` and :meth:`next_event_at` are as of the last offer; :meth:`advance` makes one, too.
        """
        if not math.isfinite(maximum_power_w):
            raise ValueError(f"the maximum power of a connector must be finite, not {maximum_power_w} W")
        maximum = max(0.0, maximum_power_w) if self._in_transaction else 0.0
        if maximum == self._maximum and phases == self._phases:
            return
        if self._driving is not None:
            self._reading = None
        self._maximum, self._phases = maximum, phases
        self._make_offer()

    def advance(
        self,
        elapsed_s: float,
        maximum_power_w: float,
        rng: Random,
        *,
        sample_interval_s: float = DEFAULT_SAMPLE_INTERVAL,
        phases: int | None = None,
    ) -> float:
        """Deliver for ``elapsed_s`` seconds and return the Wh that flowed.

        :param elapsed_s: seconds since the last advance, or since the start; less than 0 counts as 0, which keeps what
            was drawn unless it exceeds the new maximum.
        :param maximum_power_w: W that the connector could deliver in that time, finite; where it changed in between,
            advance once for each stretch. At 0 nothing flows, whatever the template says.
        :param sample_interval_s: seconds for which the ``value`` of an energy entry counts; it matters only where
            the plan goes :attr:`~simulator.energy.meter_plan.MeterPlan.by_interval`.
        :param phases: on which the maximum is; None: on all.
        """
        if maximum_power_w != self._maximum or phases != self._phases or not self._in_transaction:
            self.offer(maximum_power_w, phases=phases)
        if not sample_interval_s > 0:
            sample_interval_s = DEFAULT_SAMPLE_INTERVAL
        plan, vehicle = self._plan, self._vehicle
        if vehicle is None or plan.flow_given:
            return self._advance_drawn(max(0.0, elapsed_s), rng, sample_interval_s)
        if not elapsed_s > 0:
            return 0.0
        self._clock += elapsed_s
        self._seed = rng.random()
        self._reading = None
        energy = vehicle.advance(elapsed_s)
        self._registers.add_import(energy, self._present_flow(vehicle).shares)
        if plan.draws_beside_vehicle:
            if plan.voltage_given:
                self._given_voltages = draw_voltages(plan, rng)
            if plan.draws_besides:
                self._count_besides(energy, elapsed_s, rng, sample_interval_s, vehicle.power_factor)
            self._raise_soc(energy, rng)
        return energy

    def _advance_drawn(self, elapsed_s: float, rng: Random, sample_interval_s: float) -> float:
        plan, registers = self._plan, self._registers
        self._clock += elapsed_s
        if not self._in_transaction and elapsed_s > 0 and self._vehicle is None:
            self._soc = None  # the vehicle may have left
        reading = self._reading
        if elapsed_s == 0 and (reading is None or reading.maximum <= self._maximum):
            return 0.0
        phases = plan.circuit.conductors if self._phases is None else self._phases
        reading, watts = draw_reading(plan, self._maximum, phases, rng, sample_interval_s)
        self._reading, self._seed = reading, rng.random()
        energy = watts * elapsed_s / SECONDS_PER_HOUR
        if self._vehicle is not None:
            self._vehicle.take(energy, elapsed_s)
        registers.add_import(energy, registry.EVEN_SHARES if plan.lines_alike else ())
        if plan.lines == 3 and energy > 0 and not plan.lines_alike:
            total = sum(reading.powers[1:])
            for line, power in enumerate(reading.powers[1:]):
                registers.add(registry.FIRST_LINE + line, energy * (power / total if total > 0 else 1 / 3))
        if plan.draws_besides:
            self._count_besides(energy, elapsed_s, rng, sample_interval_s, 1.0)
        self._raise_soc(energy, rng)
        return energy

    def _count_besides(
        self, energy: float, elapsed_s: float, rng: Random, sample_interval_s: float, power_factor: float
    ) -> None:
        """Draw what the template gives besides the flow, and count it; within a stretch nothing changes."""
        plan = self._plan
        if elapsed_s > 0:
            flowing = self._maximum > 0
            self._given_side = tuple(
                draw_side_flow(*gauges, flowing, rng, sample_interval_s) for gauges in plan.side_flows
            )
            self._alone = {name: fluctuated(gauge, gauge.base or 0.0, math.inf, rng) for name, gauge in plan.alone}
        hours = elapsed_s / SECONDS_PER_HOUR
        given = [None if watts is None else watts * hours for watts in self._given_side]
        for number in range(len(SIDE_FLOWS)):
            self._registers.add(registry.ACTIVE_EXPORT + number, side_flow(number, given, energy, power_factor))

    def _raise_soc(self, energy: float, rng: Random) -> None:
        """Let the state of charge follow the energy, where it is not that of a vehicle."""
        gauge = self._plan.soc
        if not self._in_transaction or self._soc is None or gauge is None:
            return
        if self._vehicle is None or gauge.base is not None:
            self._soc = raised_soc(gauge, self._soc, energy, rng)

    # -- the model -------------------------------------------------------------------------------------------------

    def _make_offer(self) -> None:
        """Tell the vehicle what is offered now."""
        self._offer = offer_of(self._plan, self._maximum, self._phases)
        self._flow = None
        if self._vehicle is not None:
            offered = self._in_transaction and self._maximum > 0
            self._vehicle.offer(self._offer if offered else NOTHING)
