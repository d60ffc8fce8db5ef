"""Who is at a connector before and after a transaction: the vehicle, and the person with a tag (OCPP 1.6 §4.8, §4.9).

The verbs here are what people do at a station. By default a vehicle also comes by itself where one is needed (remote
start, generator) and leaves after the end; with ``automaticVehicle: false`` only the verbs plug in and out, and
ConnectionTimeOut acts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulator.clock import Alarm
from simulator.energy.vehicle import ANY_ARRIVAL, Arrival, Goal, pick_vehicle
from simulator.ocpp.v16.enums import ChargePointErrorCode, ChargePointStatus, Reason
from simulator.station.connector import Start, Waiting

if TYPE_CHECKING:
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation
    from simulator.station.transaction import Transaction

Status = ChargePointStatus

#: The ``info`` that tells an unplugging at the vehicle's side (OCPP 1.6 §4.9, note to SuspendedEV).
EV_SIDE = "EV side disconnected"

#: Boot statuses of a template that only a plugged vehicle can bring about.
_WITH_VEHICLE = frozenset({"Preparing", "Charging", "SuspendedEV", "SuspendedEVSE", "Finishing"})

_FREE = frozenset({Status.AVAILABLE, Status.FINISHING})


class VerbRefused(ValueError):
    """What was asked cannot be done at the station now; the text says why."""


class Presence:
    """The vehicles and people at one station's connectors."""

    __slots__ = ("_station",)

    def __init__(self, station: ChargingStation) -> None:
        self._station = station

    # -- what people do ----------------------------------------------------------------------------------------------

    def plug_in(self, connector_id: int, arrival: Arrival = ANY_ARRIVAL) -> None:
        """Plug a vehicle in.

        :raises VerbRefused: one is plugged in, the station is off, or the vehicle that is asked for cannot come.
        """
        connector = self._connector(connector_id)
        if connector.plugged:
            raise VerbRefused(f"a vehicle is plugged in at connector {connector_id} already")
        if arrival != ANY_ARRIVAL:
            self._look_for(connector, arrival)
        self._plug(connector, arrival)

    def _look_for(self, connector: Connector, arrival: Arrival) -> None:
        """Whether a vehicle can come as it is asked for."""
        info = self._station.info
        if not info.template.coherent_meter_values or connector.meter is None:
            raise VerbRefused("no vehicle can be chosen: coherentMeterValues of the template is false")
        if connector.meter.vehicle is not None:
            raise VerbRefused(f"the cable of connector {connector.id} is that of a vehicle that is still there")
        able = [vehicle.id for vehicle in info.vehicles if vehicle.power_limit(info.circuit) > 0]
        if arrival.vehicle is not None and arrival.vehicle not in able:
            raise VerbRefused(f"there is no vehicle {arrival.vehicle} that charges here; there are {', '.join(able)}")

    def unplug(self, connector_id: int) -> None:
        """Unplug the vehicle, at its own side while a transaction runs.

        :raises VerbRefused: none is plugged in, or the station is off.
        """
        connector, keys = self._connector(connector_id), self._station.keys
        if not connector.plugged:
            raise VerbRefused(f"no vehicle is plugged in at connector {connector_id}")
        transaction = connector.transaction
        if transaction is None:
            self.leave(connector)
        elif keys.flag("StopTransactionOnEVSideDisconnect"):
            self._station.sessions.end(transaction, Reason.EV_DISCONNECTED, info=EV_SIDE)
            if keys.flag("UnlockConnectorOnEVSideDisconnect") or self._station.info.template.fixed_cable:
                self.leave(connector)
            else:  # the cable hangs from the station, locked (§9.1.29)
                self._let_go(connector)
                connector.locked = True
        else:  # the cable stays locked at the station, and the transaction goes on without energy
            connector.plugged = False
            self._station.supply.review()
            connector.move(Status.SUSPENDED_EV, info=EV_SIDE)

    async def present_id_tag(self, connector_id: int | None, id_tag: str) -> None:
        """Present a tag: start, stop, or give up what waits (OCPP 1.6 §4.8, §5.16).

        :param connector_id: None: the one where the tag charges or waits, else where a vehicle waits for a tag, else
            the first free one.
        :raises VerbRefused: the tag may not do that here.
        """
        connector = self._connector_for_tag(id_tag) if connector_id is None else self._connector(connector_id)
        if connector.transaction is not None:
            await self._present_to_stop(connector, id_tag)
            return
        waiting, last = connector.waiting, self._station.sessions.last_on(connector)
        given_up = waiting is not None and waiting.id_tag is not None and same_tag(waiting.id_tag, id_tag)
        if given_up or (connector.holds_cable and last is not None and same_tag(last.id_tag, id_tag)):
            self.leave(connector)
            return
        await self._present_to_start(connector, id_tag)

    # -- what happens by itself --------------------------------------------------------------------------------------

    def arrive(self, connector: Connector, goal: Goal | None = None) -> None:
        """A vehicle is needed: by default one comes, with what its driver wants."""
        if self.automatic and not connector.plugged:
            self._take_in(connector, Arrival(goal=goal))
            if connector.status in _FREE or connector.status is Status.RESERVED:
                connector.move(Status.PREPARING)

    def leave(self, connector: Connector) -> None:
        """The vehicle, if any, unplugs and goes; without a transaction the connector is at rest again."""
        self._let_go(connector)
        self.forget(connector)
        if connector.transaction is None:
            connector.locked = False
            self.settle(connector)

    def depart_after(self, transaction: Transaction) -> None:
        """After the end of a transaction: by default the vehicle leaves, after ``postTransactionDelay``."""
        if not transaction.connector.plugged:
            self._let_go(transaction.connector)
        if not self.automatic or transaction.reason is Reason.EV_DISCONNECTED:  # that one has unplugged already
            return
        delay = self._station.info.template.post_transaction_delay
        if delay > 0 and self._station.powered and not self._station.stopping:
            self._station.spawn(self._leave_later, transaction, delay)
        else:
            self.leave(transaction.connector)

    async def _leave_later(self, transaction: Transaction, delay: float) -> None:
        await self._station.clock.sleep(delay)
        connector = transaction.connector
        if connector.status is Status.FINISHING and self._station.sessions.last_on(connector) is transaction:
            self.leave(connector)

    def settle(self, connector: Connector) -> None:
        """Bring an idle, unplugged connector to rest: Available, Reserved or Unavailable."""
        if connector.status is Status.PREPARING:  # the table knows no way from there to Unavailable or Reserved
            connector.move(Status.AVAILABLE)
        if connector.status in {Status.FINISHING, Status.AVAILABLE}:
            connector.move(connector.at_rest)
        self._station.reservations.show()

    @property
    def automatic(self) -> bool:
        """Whether vehicles come and go by themselves."""
        return self._station.info.template.automatic_vehicle

    def power_up(self) -> None:
        """The station boots: tags are forgotten; plugged vehicles are still there, unless they come by themselves."""
        for connector in self._station.connectors.values():
            connector.waiting = None
            connector.promised = False
            if connector.template.boot_status in _WITH_VEHICLE:
                self._take_in(connector)
            elif self.automatic:
                self._let_go(connector)
            connector.locked = False

    def find_plugged(self, connector: Connector) -> None:
        """A vehicle is still there from the station's former life."""
        self._take_in(connector)

    def resume(self) -> None:
        """The station has booted: at vehicles that are still plugged in somebody may present a tag, for a while."""
        for connector in self._station.connectors.values():
            waits = connector.plugged and connector.status is Status.PREPARING and connector.waiting is None
            if waits and not connector.template.boot_status:
                self._wait(connector, Waiting(None, Alarm(self._station.clock)))

    def _take_in(self, connector: Connector, arrival: Arrival = ANY_ARRIVAL) -> None:
        """A cable is plugged in; if it is that of a vehicle that is known to the meter, the vehicle is still there."""
        connector.plugged = True
        info, rng = self._station.info, self._station.meter_rng
        meter = connector.meter
        if meter is None or meter.vehicle is not None or not info.template.coherent_meter_values:
            return
        if arrival.vehicle is None:
            model = pick_vehicle(info.vehicles, info.circuit, rng)
        else:
            model = next((vehicle for vehicle in info.vehicles if vehicle.id == arrival.vehicle), None)
        if model is not None:
            meter.plug_in(model, rng, soc=arrival.soc, goal=arrival.goal)

    @staticmethod
    def _let_go(connector: Connector) -> None:
        connector.plugged = False
        if connector.meter is not None:
            connector.meter.unplug()

    # -- starting ----------------------------------------------------------------------------------------------------

    def start_when_plugged(self, connector: Connector, id_tag: str, start: Start) -> None:
        """An authorised tag: begin now if a vehicle is plugged in, else wait for one until ConnectionTimeOut."""
        self.forget(connector)
        self.arrive(connector)
        if connector.status in _FREE or connector.status is Status.RESERVED:
            connector.move(Status.PREPARING)
        if connector.plugged:
            self._station.sessions.begin(connector, id_tag, start)
            return
        self._wait(connector, Waiting(id_tag, Alarm(self._station.clock), start))

    def _plug(self, connector: Connector, arrival: Arrival = ANY_ARRIVAL) -> None:
        self._take_in(connector, arrival)
        waiting, transaction = connector.waiting, connector.transaction
        if transaction is not None:
            self._station.supply.review()
        elif waiting is not None and waiting.id_tag is not None:
            self.start_when_plugged(connector, waiting.id_tag, waiting.start)
        elif connector.status in _FREE:
            self.await_tag(connector)

    def await_tag(self, connector: Connector) -> None:
        """A vehicle is plugged in, and somebody is about to present a tag: Preparing until ConnectionTimeOut."""
        connector.move(Status.PREPARING)
        self._wait(connector, Waiting(None, Alarm(self._station.clock)))

    def _wait(self, connector: Connector, waiting: Waiting) -> None:
        connector.waiting = waiting
        self._station.spawn(self._time_out, connector, waiting)

    def time_out_changed(self) -> None:
        """ConnectionTimeOut has changed."""
        for connector in self._station.connectors.values():
            if connector.waiting is not None:
                connector.waiting.changed.ring()

    async def _time_out(self, connector: Connector, waiting: Waiting) -> None:
        """ConnectionTimeOut (OCPP 1.6 §9.1.6): nobody plugged in, or nobody presented a tag."""
        station, began = self._station, self._station.clock.now()
        with waiting.scope:
            seconds, rung = 0, True
            while rung:
                seconds = station.keys.number("ConnectionTimeOut")
                rung = await waiting.changed.wait_until(began + seconds if seconds > 0 else float("inf"))
            if connector.waiting is not waiting:
                return
            connector.waiting = None
            if waiting.id_tag is not None:
                station.log.info("nobody plugged in at connector %s within %s s", connector.id, seconds)
                self.settle(connector)
            elif connector.status is Status.PREPARING:
                station.log.info("no tag at connector %s within %s s", connector.id, seconds)
                connector.move(Status.FINISHING)

    def forget(self, connector: Connector) -> None:
        """Nothing waits at the connector any more."""
        waiting, connector.waiting = connector.waiting, None
        if waiting is not None:
            waiting.scope.cancel()

    async def _present_to_start(self, connector: Connector, id_tag: str) -> None:
        station = self._station
        if not station.in_service:
            raise VerbRefused("the station is not in service")
        if not connector.usable:
            raise VerbRefused(f"connector {connector.id} is {connector.status}")
        reservation, decision = await station.reservations.admit(connector, id_tag)
        if decision is None:
            connector.promised = True
            try:
                decision = await station.authorization.authorize(id_tag)
            finally:
                connector.promised = False
        if not decision.accepted:
            raise VerbRefused(decision.reason)
        if not connector.ready or not station.in_service:
            raise VerbRefused(f"connector {connector.id} is {connector.status} by now")
        parent = decision.info.parent_id_tag if decision.info is not None else None
        self.start_when_plugged(connector, id_tag, Start(reservation_id=reservation, parent_id_tag=parent))

    # -- stopping ----------------------------------------------------------------------------------------------------

    async def _present_to_stop(self, connector: Connector, id_tag: str) -> None:
        """The starter's tag, or one of the same group (OCPP 1.6 §4.1, §5.16)."""
        station, transaction = self._station, connector.transaction
        assert transaction is not None
        if not same_tag(transaction.id_tag, id_tag):
            group = transaction.parent_id_tag
            if not group:  # then no other tag can match, and asking would only tell the central system of a stranger
                raise VerbRefused(f"tag {id_tag} did not start the transaction on connector {connector.id}")
            parent = station.authorization.parent_of(id_tag)
            if parent is None:
                decision = await station.authorization.ask(id_tag)
                if not decision.accepted:
                    raise VerbRefused(decision.reason)
                parent = decision.info.parent_id_tag if decision.info is not None else None
            if not parent or not same_tag(parent, group):
                raise VerbRefused(f"tag {id_tag} is not of the group that charges on connector {connector.id}")
        if not transaction.ended:
            station.sessions.end(transaction, Reason.LOCAL, id_tag)

    # -- faults ------------------------------------------------------------------------------------------------------

    def raise_error(self, connector_id: int, error_code: ChargePointErrorCode, *, info: str | None = None) -> None:
        """A fault: the connector (0: the station) is Faulted, its transaction ends, nothing starts (§4.9, x9).

        :raises VerbRefused: ``NoError`` is no fault.
        """
        if error_code is ChargePointErrorCode.NO_ERROR:
            raise VerbRefused("NoError is no error; clearError ends one")
        connector = self._connector(connector_id, whole=True)
        if connector.transaction is not None:
            reason = Reason.OTHER
            self._station.sessions.end(connector.transaction, reason)
        self.forget(connector)
        self._station.reservations.drop(connector)
        if connector.status is not Status.FAULTED:
            connector.before_fault = connector.status
        connector.move(Status.FAULTED, error_code=error_code, info=info)

    def clear_error(self, connector_id: int) -> None:
        """The fault is gone: back to the status before it, unless the world has changed meanwhile (§4.9, I1-I8).

        :raises VerbRefused: the connector is not Faulted.
        """
        connector = self._connector(connector_id, whole=True)
        if connector.status is not Status.FAULTED:
            raise VerbRefused(f"connector {connector_id} is not Faulted")
        before, connector.before_fault = connector.before_fault, None
        if connector.id == 0 or not connector.offered or not connector.plugged:
            connector.move(connector.at_rest)
        elif before is Status.FINISHING:
            connector.move(Status.FINISHING)
        else:
            self.await_tag(connector)

    # -- finding -----------------------------------------------------------------------------------------------------

    def _connector(self, connector_id: int, *, whole: bool = False) -> Connector:
        if not self._station.powered:
            raise VerbRefused("the station is off")
        connector = self._station.connectors.get(connector_id)
        if connector is None or (connector_id == 0 and not whole):
            raise VerbRefused(f"connector {connector_id} does not exist")
        return connector

    def _connector_for_tag(self, id_tag: str) -> Connector:
        connectors = [connector for connector in self._station.connectors.values() if connector.id > 0]
        for connector in connectors:
            transaction, waiting = connector.transaction, connector.waiting
            if transaction is not None and same_tag(transaction.id_tag, id_tag):
                return connector
            if waiting is not None and waiting.id_tag is not None and same_tag(waiting.id_tag, id_tag):
                return connector
        reserved = self._station.reservations.connector_for(id_tag)
        if reserved is not None:
            return reserved
        usable = [connector for connector in connectors if connector.usable]
        plugged = [connector for connector in usable if connector.plugged]
        if not usable:
            raise VerbRefused("no connector is free")
        return (plugged or usable)[0]


def same_tag(one: str, other: str) -> bool:
    """Whether two idTags are the same: they compare without case (CiString20Type)."""
    return one.casefold() == other.casefold()
