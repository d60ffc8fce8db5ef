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
from collections.abc import Iterable
from random import Random
from typing import Annotated

import msgspec
from msgspec import Meta

from simulator.energy import registers as registry
from simulator.energy.electrical import neutral_current
from simulator.energy.meter_coherent import coherent_reading, offer_of, simulated_voltages
from simulator.energy.meter_derived import derived_value, draw_side_flow, side_flow
from simulator.energy.meter_drawing import (
    SECONDS_PER_HOUR,
    Reading,
    draw_arrival_soc,
    draw_reading,
    draw_voltages,
    fluctuated,
    no_flow,
    raised_soc,
)
from simulator.energy.meter_plan import SIDE_FLOWS, Channel, MeterPlan, Selection
from simulator.energy.meter_values import (
    CURRENT,
    INTERVALS,
    POWER_OFFERED,
    REGISTERS,
    SOC,
    Measurand,
    Sample,
    format_value,
)
from simulator.energy.plugged_vehicle import NOTHING, ChargingState, PluggedVehicle
from simulator.energy.vehicle import Goal, VehicleModel, arrival_soc

DEFAULT_SAMPLE_INTERVAL = 60.0
"""Seconds, where ``MeterValueSampleInterval`` says nothing."""

# The context of samples that name none.
_PERIODIC = "Sample.Periodic"
# The fractions of each of three lines, by the number of those that carry all.
_EVEN_PARTS = tuple(tuple(1 / used if line < used else 0.0 for line in range(3)) for used in (1, 1, 2, 3))
_REGISTER_NUMBERS = {measurand: number for number, measurand in enumerate(REGISTERS)}
_INTERVAL_NUMBERS = {INTERVALS[measurand]: number for number, measurand in enumerate(REGISTERS)}
_COUNTED = frozenset({*_REGISTER_NUMBERS, *_INTERVAL_NUMBERS})


class MeterState(msgspec.Struct, frozen=True, rename="camel"):
    """What of a meter survives a restart of the station."""

    lifetime_wh: Annotated[float, Meta(ge=0)] = 0.0
    transaction_wh: Annotated[float, Meta(ge=0)] = 0.0
    soc: Annotated[float, Meta(ge=0, le=100)] | None = None
    in_transaction: bool = False
    lifetime_others: tuple[float, ...] = ()
    """The registers of :mod:`simulator.energy.registers` after the first."""
    transaction_others: tuple[float, ...] = ()


class ConnectorMeter:
    """The meter of one connector.

    The caller keeps the time: :meth:`advance` first, with the seconds since the last advance, then read. The registers
    never run backwards, and show whole watt hours: the integers ``meterStart`` and ``meterStop`` are exactly what the
    meter shows.
    """

    __slots__ = (
        "_alone",
        "_clock",
        "_given_side",
        "_given_voltages",
        "_in_transaction",
        "_maximum",
        "_offer",
        "_phases",
        "_plan",
        "_reading",
        "_registers",
        "_seed",
        "_soc",
        "_vehicle",
    )

    def __init__(self, plan: MeterPlan, state: MeterState | None = None) -> None:
        state = MeterState() if state is None else state
        self._plan = plan
        self._registers = registry.Registers(
            (state.lifetime_wh, *state.lifetime_others), (state.transaction_wh, *state.transaction_others)
        )
        self._soc = state.soc
        self._in_transaction = state.in_transaction
        self._vehicle: PluggedVehicle | None = None
        self._clock = 0.0
        self._maximum = 0.0
        self._phases: int | None = None
        self._offer = offer_of(plan, 0.0, None)
        self._forget()

    def _forget(self) -> None:
        """Nothing has been measured yet."""
        self._reading: Reading | None = None
        self._given_voltages: tuple[float, ...] | None = None
        self._seed = 0.5
        self._given_side: tuple[float | None, ...] = (None,) * len(SIDE_FLOWS)
        self._alone: dict[str, float] = {}

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
        self._plan = plan
        self._forget()
        self._make_offer()

    @property
    def in_transaction(self) -> bool:
        """Whether energy may flow."""
        return self._in_transaction

    @property
    def lifetime_wh(self) -> float:
        """Wh that the connector has delivered in all its life, as its register shows them."""
        return self._registers.shown(registry.ACTIVE_IMPORT)

    @property
    def transaction_wh(self) -> float:
        """Wh of the running transaction, unrounded, or, when none is running, of the last one."""
        return self._registers.transaction[registry.ACTIVE_IMPORT]

    @property
    def register_wh(self) -> float:
        """Wh that the reported register shows, by the switch ``per_transaction``."""
        return self._registers.shown(registry.ACTIVE_IMPORT, per_transaction=self._plan.switches.per_transaction)

    @property
    def power_w(self) -> float:
        """W that flow: those of the vehicle at this instant or, where it does not decide, the last ones drawn."""
        vehicle = self._driving
        return self._read().powers[0] if vehicle is None else vehicle.power_w

    @property
    def soc(self) -> float | None:
        """State of charge of the vehicle in percent; None if there is none, or the connector does not know it."""
        gauge = self._plan.soc
        if self._vehicle is not None and (gauge is None or gauge.base is None):
            return self._vehicle.soc
        return self._soc

    # -- the vehicle -----------------------------------------------------------------------------------------------

    @property
    def vehicle(self) -> PluggedVehicle | None:
        """The vehicle that is plugged in."""
        return self._vehicle

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
        self._reading = None

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

    @property
    def _driving(self) -> PluggedVehicle | None:
        """The vehicle, if it decides what flows."""
        return None if self._plan.flow_given else self._vehicle

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
        :param sample_interval_s: seconds for which the ``value`` of an energy entry counts.
        :param phases: on which the maximum is; None: on all.
        """
        self.offer(maximum_power_w, phases=phases)
        elapsed_s = max(0.0, elapsed_s)
        self._clock += elapsed_s
        if not self._in_transaction and elapsed_s > 0 and self._vehicle is None:
            self._soc = None  # the vehicle may have left
        if not sample_interval_s > 0:
            sample_interval_s = DEFAULT_SAMPLE_INTERVAL
        vehicle = self._driving
        if vehicle is not None:
            if elapsed_s == 0:
                return 0.0
            energy = self._advance_vehicle(vehicle, elapsed_s, rng)
        else:
            reading = self._reading
            if elapsed_s == 0 and (reading is None or reading.maximum <= self._maximum):
                return 0.0
            energy = self._advance_drawn(elapsed_s, rng, sample_interval_s)
        self._count(energy, elapsed_s, rng, sample_interval_s)
        return energy

    def _advance_vehicle(self, vehicle: PluggedVehicle, elapsed_s: float, rng: Random) -> float:
        self._seed = rng.random()
        self._given_voltages = draw_voltages(self._plan, rng) if self._plan.voltage_given else None
        self._reading = None
        return vehicle.advance(elapsed_s)

    def _advance_drawn(self, elapsed_s: float, rng: Random, sample_interval_s: float) -> float:
        phases = self._plan.circuit.conductors if self._phases is None else self._phases
        self._reading, watts = draw_reading(self._plan, self._maximum, phases, rng, sample_interval_s)
        self._seed = rng.random()
        energy = watts * elapsed_s / SECONDS_PER_HOUR
        if self._vehicle is not None:
            self._vehicle.take(energy, elapsed_s)
        return energy

    def _count(self, energy: float, elapsed_s: float, rng: Random, sample_interval_s: float) -> None:
        """Count the energy of a stretch and what flows beside it, and draw what the template fixes besides."""
        plan, counters, vehicle = self._plan, self._registers, self._driving
        counters.add(registry.ACTIVE_IMPORT, energy)
        if plan.lines == 3 and energy > 0:
            for line, part in enumerate(self._parts(vehicle)):
                counters.add(registry.FIRST_LINE + line, energy * part)
        factor = 1.0 if vehicle is None else vehicle.model.cos_phi(plan.circuit)
        if plan.draws_besides:
            self._draw_besides(elapsed_s, rng, sample_interval_s)
        if plan.draws_besides or factor < 1:
            hours = elapsed_s / SECONDS_PER_HOUR
            given = [None if watts is None else watts * hours for watts in self._given_side]
            for number in range(len(SIDE_FLOWS)):
                counters.add(registry.ACTIVE_EXPORT + number, side_flow(number, given, energy, factor))
        if self._in_transaction and self._soc is not None and plan.soc is not None:
            self._soc = raised_soc(plan.soc, self._soc, energy, rng)

    def _draw_besides(self, elapsed_s: float, rng: Random, sample_interval_s: float) -> None:
        """Draw for the next stretch what the template gives besides the flow; within a stretch nothing changes."""
        if elapsed_s > 0:
            plan, flowing = self._plan, self._maximum > 0
            self._given_side = tuple(
                draw_side_flow(*gauges, flowing, rng, sample_interval_s) for gauges in plan.side_flows
            )
            self._alone = {name: fluctuated(gauge, gauge.base or 0.0, math.inf, rng) for name, gauge in plan.alone}

    def _parts(self, vehicle: PluggedVehicle | None) -> tuple[float, ...]:
        """The fractions of the energy that have come on each of three lines."""
        if vehicle is not None:
            return _EVEN_PARTS[vehicle.phases]
        powers = self._read().powers[1:4]
        total = sum(powers)
        return tuple(power / total for power in powers) if total > 0 else (1 / 3,) * 3

    # -- reading ---------------------------------------------------------------------------------------------------

    def samples(
        self, measurands: Iterable[Measurand] = (), *, context: str | None = None, for_life: bool = False
    ) -> list[Sample]:
        """The samples of ``measurands`` as of the last advance, never none.

        :param measurands: names and phases as :func:`~simulator.energy.meter_values.parse_measurands` returns them;
            none means the energy register, and so does a list of which this connector has nothing now.
        :param context: the OCPP reading context; by default that of the template entry, if any. Energy intervals are
            from one report of the same context to the next.
        :param for_life: registers show what has flowed since for ever, whatever the switch ``per_transaction`` says.
        """
        shown = self._shown(self._plan.select(measurands), context or _PERIODIC, for_life=for_life)
        found = [channel.sample(value, context) for channel, value in shown]
        return found or [self.register_sample(self.lifetime_wh if for_life else None, context=context)]

    def periodic_samples(self, measurands: Iterable[Measurand] = ()) -> tuple[str, Selection | None]:
        """What :meth:`samples` returns without a context, as the elements of a JSON array.

        With them comes what they are of, unless a measurand is wanted of which this connector has nothing now.
        """
        selection = self._plan.select(measurands)
        shown = self._shown(selection, _PERIODIC) or [(self._plan.energy_channel, self.register_wh)]
        whole = selection if len(shown) == len(selection.channels) else None
        texts = [f'{{"value":"{format_value(channel.value(value))}{channel.tail}' for channel, value in shown]
        return ",".join(texts), whole

    def _shown(self, selection: Selection, kind: str, *, for_life: bool = False) -> list[tuple[Channel, float]]:
        """What the channels show that show anything now, in their base units."""
        per_transaction = self._plan.switches.per_transaction and not for_life
        found = []
        reading: Reading | None = None
        shown: tuple[tuple[float, ...], ...] = ()
        for channel in selection.channels:
            value: float | None
            if channel.measurand in _COUNTED:
                value = self._counted(channel, kind, per_transaction)
            else:
                # Registers are often all that is asked for: what else the meter shows is then not worked out.
                if reading is None:
                    reading = self._read()
                    shown = reading[:3]
                field = channel.field
                value = self._value(channel, reading) if field is None else shown[field][channel.slot]
            if value is not None:
                found.append((channel, value))
        return found

    def register_sample(self, wh: float | None = None, *, context: str | None = None) -> Sample:
        """The energy register as a sample.

        :param wh: Wh to report, such as a ``meterStart`` kept for ``Transaction.Begin``; by default what the register
            shows now.
        """
        return self._plan.energy_channel.sample(self.register_wh if wh is None else wh, context)

    def _counted(self, channel: Channel, context: str, per_transaction: bool) -> float:
        """What a channel of a register or of its intervals shows, in Wh or varh."""
        number = _REGISTER_NUMBERS.get(channel.measurand)
        if number is None:
            return self._registers.interval(_INTERVAL_NUMBERS[channel.measurand], context, self._clock)
        if channel.slot:
            number = registry.FIRST_LINE + channel.slot - 1
        return self._registers.shown(number, per_transaction=per_transaction)

    def _value(self, channel: Channel, reading: Reading) -> float | None:
        """What a channel shows that is neither counted nor in the reading itself, in its base unit; None if the
        connector does not know it."""
        measurand, slot = channel.measurand, channel.slot
        if measurand == SOC:
            return self.soc
        if measurand == CURRENT:  # on the neutral conductor
            return neutral_current(reading.currents[-3:] if self._plan.lines == 3 else reading.currents)
        if (given := self._alone.get(measurand)) is not None:
            return given / self._plan.lines if slot and measurand == POWER_OFFERED else given
        return derived_value(measurand, slot, reading, self._given_side, self._plan.circuit, self._seed)

    # -- the model -------------------------------------------------------------------------------------------------

    def _make_offer(self) -> None:
        """Tell the vehicle what is offered now."""
        self._offer = offer_of(self._plan, self._maximum, self._phases)
        if self._vehicle is not None:
            offered = self._in_transaction and self._maximum > 0
            self._vehicle.offer(self._offer if offered else NOTHING)

    def _read(self) -> Reading:
        """What the meter shows now."""
        if self._reading is None:
            vehicle, plan = self._driving, self._plan
            if vehicle is None:
                return no_flow(plan)._replace(maximum=self._maximum)
            if plan.voltage_given:
                voltages = self._given_voltages or no_flow(plan).voltages
            else:
                voltages = simulated_voltages(plan, self._seed)
            factor = vehicle.model.cos_phi(plan.circuit)
            self._reading = coherent_reading(plan, vehicle.power_w, self._offer, vehicle.phases, factor, voltages)
        return self._reading
