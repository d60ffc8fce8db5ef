"""What the meter of a connector shows between two advances: the reading of an instant, and the samples of it.

Nothing is worked out before somebody asks, and then once: of all that a meter could show most is never wanted.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple, cast

from simulator.energy import registers as registry
from simulator.energy.electrical import neutral_current
from simulator.energy.meter_channels import CHARGE, INTERVAL, REGISTER, Channel, Selection
from simulator.energy.meter_coherent import CoherentFlow, offer_of, simulated_voltages
from simulator.energy.meter_derived import derived_value
from simulator.energy.meter_drawing import Reading, no_flow
from simulator.energy.meter_plan import SIDE_FLOWS, MeterPlan
from simulator.energy.meter_values import CURRENT, POWER_OFFERED, Measurand, Sample
from simulator.energy.plugged_vehicle import PluggedVehicle

# The context of samples that name none.
_PERIODIC = "Sample.Periodic"


class Present(NamedTuple):
    """What a meter shows at an instant; the units of :class:`MeterDisplay`."""

    power_w: float
    lifetime_wh: float
    transaction_wh: float
    soc: float | None


class MeterDisplay:
    """The state of a connector's meter, and what can be read from it; it changes in
    :class:`~simulator.energy.meter.ConnectorMeter`."""

    __slots__ = (
        "_alone",
        "_clock",
        "_flow",
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

    def __init__(
        self, plan: MeterPlan, registers: registry.Registers, soc: float | None, *, in_transaction: bool
    ) -> None:
        self._plan = plan
        self._registers = registers
        self._soc = soc
        self._in_transaction = in_transaction
        self._vehicle: PluggedVehicle | None = None
        self._clock = 0.0
        self._maximum = 0.0
        self._phases: int | None = None
        self._offer = offer_of(plan, 0.0, None)
        self._forget()

    def _forget(self) -> None:
        """Nothing has been measured yet."""
        self._reading: Reading | None = None
        self._flow: CoherentFlow | None = None
        self._given_voltages: tuple[float, ...] | None = None
        self._seed = 0.5
        self._given_side: tuple[float | None, ...] = (None,) * len(SIDE_FLOWS)
        self._alone: dict[str, float] = {}

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
        return self._registers.transaction_wh

    @property
    def register_wh(self) -> float:
        """Wh that the reported register shows, by the switch ``per_transaction``."""
        return self._registers.shown(registry.ACTIVE_IMPORT, per_transaction=self._plan.switches.per_transaction)

    @property
    def vehicle(self) -> PluggedVehicle | None:
        """The vehicle that is plugged in."""
        return self._vehicle

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

    def present(self, elapsed_s: float) -> Present:
        """What the meter shows so many seconds after the last advance, if the offer has not changed since.

        Nothing changes by it and nothing is drawn at random: to look at a fleet does not change what it does. So where
        no vehicle decides it is what was drawn last.
        """
        vehicle = self._driving if self._in_transaction and elapsed_s > 0 else None
        if vehicle is None:
            return Present(self.power_w, self.lifetime_wh, self.transaction_wh, self.soc)
        later = vehicle.after(elapsed_s)
        energy, gauge = later.drawn_wh - vehicle.drawn_wh, self._plan.soc
        soc = later.soc if gauge is None or gauge.base is None else self._soc
        registers = self._registers
        return Present(later.power_w, registers.shown_after(energy), registers.transaction_wh + energy, soc)

    @property
    def _driving(self) -> PluggedVehicle | None:
        """The vehicle, if it decides what flows."""
        return None if self._plan.flow_given else self._vehicle

    # -- samples ---------------------------------------------------------------------------------------------------

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
        selection = self._plan.select(measurands)
        values = self._values(selection, context or _PERIODIC, for_life=for_life)
        found = [
            channel.sample(value, context)
            for channel, value in zip(selection.channels, values, strict=True)
            if value is not None
        ]
        return found or [self.register_sample(self.lifetime_wh if for_life else None, context=context)]

    def periodic_samples(self, selection: Selection) -> tuple[str, Selection]:
        """What :meth:`samples` returns of a selection of the plan without a context, as the elements of a JSON array.

        With them comes what they are of: less than was wanted, where this connector does not know something now.
        """
        values = self._values(selection, _PERIODIC)
        if None not in values:
            return selection.write(cast("tuple[float, ...]", values)), selection
        present = [value for value in values if value is not None]
        if not present:
            return self._plan.energy_alone.write((self.register_wh,)), self._plan.energy_alone
        selection = selection.known(values)
        return selection.write(present), selection

    def register_sample(self, wh: float | None = None, *, context: str | None = None) -> Sample:
        """The energy register as a sample.

        :param wh: Wh to report, such as a ``meterStart`` kept for ``Transaction.Begin``; by default what the register
            shows now.
        """
        return self._plan.energy_channel.sample(self.register_wh if wh is None else wh, context)

    def _values(self, selection: Selection, kind: str, *, for_life: bool = False) -> tuple[float | None, ...]:
        """What the channels show, in their base units; None for what the connector does not know now."""
        reading = self._read() if selection.reads else None
        others: list[float | None] = []
        for source, place, channel in selection.others:
            if source == REGISTER:
                per_transaction = self._plan.switches.per_transaction and not for_life
                others.append(self._registers.shown(place, per_transaction))
            elif source == CHARGE:
                soc = self.soc
                others.append(None if soc is None else channel.gauge.settle(soc))
            elif source == INTERVAL:
                others.append(self._registers.interval(place, kind, self._clock))
            else:
                assert reading is not None
                others.append(self._derived(channel, reading))
        if reading is None:
            return selection.arrange((*others,))
        return selection.arrange((*reading.voltages, *reading.powers, *reading.currents, *others))

    def _derived(self, channel: Channel, reading: Reading) -> float:
        """What a channel shows that follows from a reading, in its base unit."""
        measurand, slot = channel.measurand, channel.slot
        if measurand == CURRENT:  # on the neutral conductor
            return neutral_current(reading.currents[-3:] if self._plan.lines == 3 else reading.currents)
        if (given := self._alone.get(measurand)) is not None:
            return given / self._plan.lines if slot and measurand == POWER_OFFERED else given
        return derived_value(measurand, slot, reading, self._given_side, self._plan.circuit, self._seed)

    def _read(self) -> Reading:
        """What the meter shows now."""
        reading = self._reading
        if reading is None:
            vehicle, plan = self._driving, self._plan
            if vehicle is None:
                return no_flow(plan)._replace(maximum=self._maximum)
            if plan.voltage_given:
                voltages = self._given_voltages or no_flow(plan).voltages
            else:
                voltages = simulated_voltages(plan, self._seed)
            reading = self._reading = self._present_flow(vehicle).reading(vehicle.power_w, voltages)
        return reading

    def _present_flow(self, vehicle: PluggedVehicle) -> CoherentFlow:
        """What is known of the flow to the vehicle as long as the offer stays."""
        flow = self._flow
        if flow is None:
            flow = self._flow = CoherentFlow(self._plan, self._offer, vehicle.phases, vehicle.power_factor)
        return flow
