"""Reservations: who may use which connector until when (OCPP 1.6 §3.12, §5.13, §5.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from simulator.clock import Timer
from simulator.ocpp.v16.enums import ChargePointStatus, ReservationStatus
from simulator.station.presence import VerbRefused, same_tag

if TYPE_CHECKING:
    from simulator.station.authorization import Decision
    from simulator.station.connector import Connector
    from simulator.station.station import ChargingStation

Status = ChargePointStatus


class Reservation(msgspec.Struct, frozen=True, rename="camel"):
    """One reservation; ``connector_id`` 0 means any connector. ``expiry`` in POSIX seconds of the station's clock."""

    id: int
    connector_id: int
    id_tag: str
    expiry: float
    parent_id_tag: str | None = None


class Reservations:
    """The reservations of one station; they outlive a reset."""

    __slots__ = ("_by_id", "_station", "_timers")

    def __init__(self, station: ChargingStation) -> None:
        self._station = station
        self._by_id: dict[int, Reservation] = {}
        self._timers: dict[int, Timer] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Reservation]:
        return iter(self._by_id.values())

    def restore(self, reservations: Iterable[Reservation]) -> None:
        """Take what was kept from an earlier run; what has expired meanwhile is gone."""
        for reservation in reservations:
            if reservation.expiry > self._station.now():
                self._keep(reservation)

    # -- the central system's requests -------------------------------------------------------------------------------

    def reserve(self, reservation: Reservation) -> ReservationStatus:
        """Decide about ReserveNow (OCPP 1.6 §5.13); an id that exists is replaced."""
        station = self._station
        if reservation.connector_id == 0:
            if not station.keys.flag("ReserveConnectorZeroSupported"):
                return ReservationStatus.REJECTED
            targets = [connector for connector in station.connectors.values() if connector.id > 0]
        elif reservation.connector_id in station.connectors:
            targets = [station.connectors[reservation.connector_id]]
        else:
            return ReservationStatus.REJECTED
        if reservation.expiry <= station.now() or not station.registration.accepted:
            return ReservationStatus.REJECTED
        whole = station.connectors.get(0)
        if whole is not None and whole.status is Status.FAULTED:
            return ReservationStatus.FAULTED
        states = [self._state(connector, reservation.id) for connector in targets]
        free = states.count(ReservationStatus.ACCEPTED)
        if reservation.connector_id == 0:
            free -= len([other for other in self._for_any() if other.id != reservation.id])
        if free <= 0:
            hindrance = [state for state in states if state is not ReservationStatus.ACCEPTED]
            if not hindrance or ReservationStatus.OCCUPIED in hindrance:
                return ReservationStatus.OCCUPIED
            return max(set(hindrance), key=hindrance.count)
        return ReservationStatus.ACCEPTED

    def _state(self, connector: Connector, reservation_id: int) -> ReservationStatus:
        """What a reservation finds at one connector; Accepted: free, or reserved under the same id."""
        if connector.status is Status.FAULTED:
            return ReservationStatus.FAULTED
        if connector.status is Status.UNAVAILABLE or not connector.in_operation:
            return ReservationStatus.UNAVAILABLE
        held = self.on(connector)
        if held is not None:
            return ReservationStatus.ACCEPTED if held.id == reservation_id else ReservationStatus.OCCUPIED
        if connector.status in {Status.AVAILABLE, Status.RESERVED} and not connector.promised:
            return ReservationStatus.ACCEPTED
        return ReservationStatus.OCCUPIED

    def keep(self, reservation: Reservation) -> None:
        """Store an accepted reservation: it holds from now on. :meth:`show` shows it."""
        self._forget(reservation.id)
        self._keep(reservation)

    def cancel(self, reservation_id: int) -> bool:
        """End a reservation, which :meth:`show` shows; False when there is none of that id."""
        if reservation_id not in self._by_id:
            return False
        self._forget(reservation_id)
        return True

    # -- use ---------------------------------------------------------------------------------------------------------

    async def admit(self, connector: Connector, id_tag: str) -> tuple[int | None, Decision | None]:
        """The id of the reservation that the tag uses at the connector, None where none is needed.

        The parent of the tag is looked up locally, else asked for with Authorize (OCPP 1.6 §5.13); the answer to that
        comes along, for it need not be asked twice.
        :raises VerbRefused: the connector is reserved for somebody else.
        """
        decision: Decision | None = None
        held = self.on(connector)
        for reservation in self._for_any() if held is None else [held]:
            if same_tag(reservation.id_tag, id_tag):
                return reservation.id, None
            if reservation.parent_id_tag:
                parent = self._station.authorization.parent_of(id_tag)
                if parent is None and decision is None and self._station.online:
                    decision = await self._station.authorization.ask(id_tag)
                if parent is None and decision is not None and decision.accepted and decision.info is not None:
                    parent = decision.info.parent_id_tag
                if _matches(reservation, id_tag, parent):
                    return reservation.id, decision
        if held is not None:
            raise VerbRefused(f"connector {connector.id} is reserved for another tag")
        if len(self._free()) <= len(self._for_any()):
            raise VerbRefused("the last free connectors are reserved for others")
        return None, decision

    def admits_remotely(self, connector: Connector, id_tag: str) -> bool:
        """Whether a remote start with that tag may use the connector, as far as is known yet (OCPP 1.6 §5.11).

        A tag whose group is unknown may belong to that of the reservation, if Authorize is about to tell.
        """
        held = self.on(connector)
        authorization = self._station.authorization
        parent = authorization.parent_of(id_tag)
        if held is not None:
            open_question = bool(held.parent_id_tag) and parent is None and authorization.asks_at_remote_start
            return open_question or _matches(held, id_tag, parent)
        for_any = self._for_any()
        if connector.status is Status.RESERVED and not for_any:
            return False  # it booted so, and nobody knows for whom
        return len(self._free()) > len(for_any) or any(_matches(other, id_tag, parent) for other in for_any)

    def used_by(self, connector: Connector, id_tag: str, parent: str | None) -> int | None:
        """The id of the reservation that a remote start uses, None where none is needed.

        :param parent: what Authorize has told; None: what is known locally counts.
        :raises VerbRefused: the connector is reserved for somebody else.
        """
        parent = parent or self._station.authorization.parent_of(id_tag)
        held = self.on(connector)
        candidates = [held] if held is not None else self._for_any()
        used = next((each.id for each in candidates if _matches(each, id_tag, parent)), None)
        if held is not None and used is None:
            raise VerbRefused(f"connector {connector.id} is reserved for another tag")
        return used

    def consume(self, reservation_id: int | None) -> None:
        """The reservation has served: a transaction begins with it."""
        if reservation_id is not None:
            self._forget(reservation_id)
            self.show()

    # -- looking -----------------------------------------------------------------------------------------------------

    def on(self, connector: Connector) -> Reservation | None:
        """The reservation of that very connector."""
        return next((each for each in self._by_id.values() if each.connector_id == connector.id), None)

    def connector_for(self, id_tag: str) -> Connector | None:
        """The connector that is reserved for the tag."""
        for reservation in self._by_id.values():
            if reservation.connector_id > 0 and same_tag(reservation.id_tag, id_tag):
                return self._station.connectors.get(reservation.connector_id)
        return None

    def _for_any(self) -> list[Reservation]:
        return [each for each in self._by_id.values() if each.connector_id == 0]

    def _free(self) -> list[Connector]:
        """Connectors that a reservation for any connector could still use."""
        return [
            connector
            for connector in self._station.connectors.values()
            if connector.id > 0
            and connector.in_operation
            and connector.transaction is None
            and connector.status in {Status.AVAILABLE, Status.RESERVED, Status.PREPARING, Status.FINISHING}
            and self.on(connector) is None
        ]

    # -- status and end ----------------------------------------------------------------------------------------------

    def show(self) -> None:
        """Bring the connectors' statuses in line: Reserved where reserved, Available where no longer.

        A reservation for any connector shows once there are only as many free connectors as such reservations.
        """
        idle = [connector for connector in self._free() if connector.status in {Status.AVAILABLE, Status.RESERVED}]
        scarce = bool(self._for_any()) and len(self._free()) <= len(self._for_any())
        for connector in self._station.connectors.values():
            reserved = connector.id > 0 and (self.on(connector) is not None or (scarce and connector in idle))
            if reserved and connector.status is Status.AVAILABLE:
                connector.move(Status.RESERVED)
            elif not reserved and connector.status is Status.RESERVED and connector.template.boot_status != "Reserved":
                connector.move(connector.at_rest)

    def drop(self, connector: Connector) -> None:
        """The connector is Faulted or Unavailable: its reservation ends (0: all end)."""
        for reservation in list(self._by_id.values()):
            if connector.id in {0, reservation.connector_id}:
                self._station.log.info("reservation %s ends: connector %s is out of use", reservation.id, connector.id)
                self._forget(reservation.id)

    def _keep(self, reservation: Reservation) -> None:
        self._by_id[reservation.id] = reservation
        self._set_timer(reservation)
        self._station.remember()

    def _set_timer(self, reservation: Reservation) -> None:
        seconds = max(0.0, reservation.expiry - self._station.now())
        expire = self._station.guarded(partial(self._expire, reservation.id))
        self._timers[reservation.id] = self._station.clock.call_later(seconds, expire)

    def clock_changed(self) -> None:
        """The station's clock has been set: reservations expire by what it shows now."""
        for reservation in self._by_id.values():
            self._timers[reservation.id].cancel()
            self._set_timer(reservation)

    def _forget(self, reservation_id: int) -> None:
        if self._by_id.pop(reservation_id, None) is not None:
            self._timers.pop(reservation_id).cancel()
            self._station.remember()

    def _expire(self, reservation_id: int) -> None:
        self._station.log.info("reservation %s has expired", reservation_id)
        self._forget(reservation_id)
        self.show()


def _matches(reservation: Reservation, id_tag: str, parent: str | None) -> bool:
    if same_tag(reservation.id_tag, id_tag):
        return True
    return bool(reservation.parent_id_tag and parent and same_tag(reservation.parent_id_tag, parent))
