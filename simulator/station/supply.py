"""What a station offers to the vehicles at its connectors, and what they draw of it (OCPP 1.6 §3.13, §4.9).

An offer holds until the next look. Whoever changes what a connector may deliver (a profile, a key, a begin, an end)
asks for one with :meth:`Supply.review`; what changes by itself, a limit of a profile or the charging of a vehicle, has
one timer per station, which is set only while something charges.

Connectors that share power, those of one EVSE or under ``powerSharedByConnectors`` all of the station, get what their
vehicles want as long as there is enough, and else fair parts of it. A vehicle that is full is still offered the least
current, as stations do, but what it does not draw is the others'.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from simulator.clock import Timer
from simulator.energy.electrical import available_power
from simulator.energy.meter import DEFAULT_SAMPLE_INTERVAL, ConnectorMeter
from simulator.energy.sharing import distribute
from simulator.energy.vehicle import MINIMUM_AMPERES
from simulator.ocpp.v16.enums import ChargePointStatus
from simulator.station.metering import amperage_limit

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation

Status = ChargePointStatus

#: Statuses in which a transaction delivers or could deliver energy.
CHARGING = frozenset({Status.CHARGING, Status.SUSPENDED_EV, Status.SUSPENDED_EVSE})

#: Where a transaction may find its connector when it begins.
_BEGINNING = frozenset({Status.AVAILABLE, Status.PREPARING})

#: Virtual seconds after an event at which it is looked for: rounding must not make that too early.
_AFTER_EVENT = 0.05

#: Limits whose sum is above what is shared by less than this fraction are not above it.
_TOLERANCE = 1e-9


class _Wish(NamedTuple):
    """A connector among those that share power; watts count as if on all phases."""

    connector: Connector
    limit: float
    wanted: float
    scale: float
    """How much of that is on the phases that it may use."""
    idle: float = 0.0
    """What it draws although it wants nothing."""


class Supply:
    """The offers of one station."""

    __slots__ = ("_contended", "_settled_at", "_station", "_timer")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self._settled_at = station.clock.now()
        self._timer: Timer | None = None
        #: Whether connectors share less than they could deliver: then it changes with what the vehicles want.
        self._contended = False

    def power_up(self) -> None:
        """The station boots: nothing has flowed since it lost its power."""
        self._settled_at = self._station.clock.now()

    @property
    def unsettled_s(self) -> float:
        """Virtual seconds since the last settlement."""
        return max(0.0, self._station.clock.now() - self._settled_at)

    def settle(self) -> None:
        """Let every meter count what has flowed under the present offers since the last settlement."""
        if self._advance() and self._contended:
            self._look()

    def review(self) -> None:
        """Settle, offer anew, bring statuses in line, and look again when something changes by itself."""
        self._advance()
        self._look()

    # -- how ---------------------------------------------------------------------------------------------------------

    def _advance(self) -> bool:
        """Returns whether time has passed."""
        station = self._station
        now = station.clock.now()
        elapsed, self._settled_at = now - self._settled_at, now
        if elapsed <= 0:
            return False
        # Thousands of times a second in a fleet under load: no list, and no key that does not matter.
        for connector in station.connectors.values():
            meter = connector.meter
            if connector.transaction is not None and meter is not None:
                interval = DEFAULT_SAMPLE_INTERVAL
                if meter.plan.by_interval:
                    interval = float(station.keys.number("MeterValueSampleInterval", 60))
                meter.advance(
                    elapsed, connector.watts, station.meter_rng, phases=connector.phases, sample_interval_s=interval
                )
        return True

    def _look(self) -> None:
        running = self._running()
        self._contended = False
        for group in self._groups(running):
            self._offer(group)
        for connector, meter in running:
            # Nothing flows in no time, but what was drawn at random is held within the new offer.
            meter.advance(0.0, connector.watts, self._station.meter_rng, phases=connector.phases)
        self._set_timer(running)
        for connector, meter in running:
            state = meter.charging_state
            if state is not None and connector.plugged and connector.status in CHARGING | _BEGINNING:
                connector.move(Status(str(state)))
            transaction, vehicle = connector.transaction, meter.vehicle
            if transaction is not None and not transaction.charged and vehicle is not None and vehicle.finished:
                transaction.told_charged()

    def _running(self) -> list[tuple[Connector, ConnectorMeter]]:
        connectors = (transaction.connector for transaction in self._station.sessions.running())
        return [(connector, connector.meter) for connector in connectors if connector.meter is not None]

    def _groups(
        self, running: Sequence[tuple[Connector, ConnectorMeter]]
    ) -> list[list[tuple[Connector, ConnectorMeter]]]:
        """The connectors that share power with each other."""
        info = self._station.info
        groups: dict[int, list[tuple[Connector, ConnectorMeter]]] = {}
        for each in running:
            evse = 0 if info.template.power_shared_by_connectors else info.evse_of(each[0].id)
            groups.setdefault(evse, []).append(each)
        return list(groups.values())

    def _offer(self, group: Sequence[tuple[Connector, ConnectorMeter]]) -> None:
        """Set the offers of connectors that share power."""
        wishes = [self._wish(connector, meter) for connector, meter in group]
        shared = self._shared()
        if len(wishes) == 1 or sum(wish.limit for wish in wishes) <= shared * (1 + _TOLERANCE):
            shares = [min(wish.limit, shared) for wish in wishes]
        else:
            self._contended = True
            circuit = self._station.info.circuit
            # A drawn value takes whatever there is, and then no part of it is too little.
            driven = any(wish.wanted < math.inf for wish in wishes)
            least = MINIMUM_AMPERES * circuit.voltage * circuit.conductors if driven else 0.0
            limits, demands = [wish.limit for wish in wishes], [wish.wanted for wish in wishes]
            shares = distribute(limits, demands, shared - sum(wish.idle for wish in wishes), minimum=least)
            # Where a vehicle wants nothing it is not the station that suspends it.
            full = [min(wish.limit, least) if wish.wanted <= 0 else 0.0 for wish in wishes]
            shares = [max(pair) for pair in zip(shares, full, strict=True)]
        for wish, share in zip(wishes, shares, strict=True):
            wish.connector.watts = share * wish.scale

    def _wish(self, connector: Connector, meter: ConnectorMeter) -> _Wish:
        station, info = self._station, self._station.info
        rate = station.limits.rate_for(connector)
        connector.phases = None if rate is None else rate.phases
        conductors = info.circuit.conductors
        scale = 1.0 if rate is None else min(max(rate.phases, 1), conductors) / conductors
        transaction = connector.transaction
        if transaction is None or transaction.energy_suspended or not connector.plugged:
            return _Wish(connector, 0.0, 0.0, scale)
        watts = available_power(
            info.maximum_power,
            info.circuit,
            divider=self._divider,
            amperage_limit=amperage_limit(station),
            maximum_amperage=info.maximum_amperage,
            connector_maximum=connector.template.maximum_power,
            profile_limit=None if rate is None else rate.watts,
            profile_phases=None if rate is None else rate.phases,
            efficiency=info.template.conversion_efficiency,
        )
        wanted = meter.wanted_w(connector.phases)
        idle = meter.vehicle.model.idle_power_w * conductors if meter.vehicle is not None and wanted <= 0 else 0.0
        return _Wish(connector, watts / scale, wanted, scale, idle)

    def _shared(self) -> float:
        """W that the connectors of a group have among them."""
        info = self._station.info
        return available_power(
            info.maximum_power,
            info.circuit,
            divider=self._divider,
            # On alternating current the key is about each connector.
            amperage_limit=amperage_limit(self._station) if info.circuit.direct else None,
            maximum_amperage=info.maximum_amperage,
            efficiency=info.template.conversion_efficiency,
        )

    @property
    def _divider(self) -> int:
        info = self._station.info
        return 1 if info.template.power_shared_by_connectors else info.number_of_evses

    # -- what changes by itself --------------------------------------------------------------------------------------

    def _set_timer(self, running: Sequence[tuple[Connector, ConnectorMeter]]) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        waits = [] if (change := self._station.limits.next_change_in()) is None else [change]
        for _, meter in running:
            if (event := meter.next_event_at(0.0)) is not None:
                waits.append(event + _AFTER_EVENT)
        if waits:
            self._timer = self._station.clock.call_later(max(0.0, min(waits)), self._station.guarded(self._change))

    def _change(self) -> None:
        self._timer = None
        self.review()
