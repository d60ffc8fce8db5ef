"""The central system's book of transactions and energy. Pure: no sockets, no clock.

A station delivers each start and stop at least once: an answer that got lost makes it send the same message again
(OCPP 1.6 §3.7.1). The ledger therefore knows a start by station, connector, timestamp and meterStart, and hands out the
same transaction id for the same start.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Any

import msgspec


class LedgerTransaction(msgspec.Struct, rename="camel"):
    """One transaction as the station reported it. Registers in Wh, timestamps as they came on the wire."""

    transaction_id: int
    station_id: str
    connector_id: int
    id_tag: str
    id_tag_status: str
    meter_start: int
    started_at: str
    reservation_id: int | None = None
    parent_id_tag: str | None = None
    meter_stop: int | None = None
    stopped_at: str | None = None
    stop_id_tag: str | None = None
    reason: str | None = None
    #: MeterValues messages that named this transaction.
    meter_values: int = 0
    #: Another transaction began on the connector before this one was stopped.
    abandoned: bool = False

    @property
    def is_open(self) -> bool:
        """Whether no StopTransaction has come."""
        return self.meter_stop is None

    @property
    def energy(self) -> int:
        """Wh delivered; 0 while the transaction is open."""
        return 0 if self.meter_stop is None else self.meter_stop - self.meter_start


class Start(msgspec.Struct, frozen=True):
    """What became of a StartTransaction."""

    transaction: LedgerTransaction
    #: The same start had been booked before: nothing changed.
    repeated: bool = False
    #: The transaction that was still open on the connector.
    abandoned: LedgerTransaction | None = None


class StopKind(Enum):
    """What became of a StopTransaction."""

    #: The transaction was open and is closed now.
    CLOSED = "closed"
    #: The same stop had been booked before: nothing changed.
    REPEATED = "repeated"
    #: The transaction had been stopped before with another meterStop or timestamp: nothing changed.
    CONFLICTING = "conflicting"
    #: No transaction of that station has the id: nothing changed.
    UNKNOWN = "unknown"


class Stop(msgspec.Struct, frozen=True):
    """What became of a StopTransaction; ``transaction`` is None exactly when it is unknown."""

    kind: StopKind
    transaction: LedgerTransaction | None = None


_StartKey = tuple[str, int, str, int]


class Ledger:
    """All open transactions, the latest closed ones, and totals over everything that was ever booked.

    :param first_transaction_id: ids are handed out upwards from here.
    :param keep_closed: how many closed transactions stay in memory; older ones count only in the totals.
    :param changed: told of each transaction that begins or ends.
    """

    def __init__(
        self,
        *,
        first_transaction_id: int = 1,
        keep_closed: int = 100_000,
        changed: Callable[[LedgerTransaction], None] = lambda transaction: None,
    ) -> None:
        self.open: dict[int, LedgerTransaction] = {}
        self.closed: OrderedDict[int, LedgerTransaction] = OrderedDict()
        self._first_id = self._next_id = first_transaction_id
        self._keep_closed = keep_closed
        self.changed = changed
        self._by_start: dict[_StartKey, LedgerTransaction] = {}
        self._on_connector: dict[tuple[str, int], LedgerTransaction] = {}
        self._ended_on_connector: dict[tuple[str, int], LedgerTransaction] = {}
        self.started = 0
        self.stopped = 0
        self.energy = 0
        self.meter_values = 0
        self.repeated_starts = 0
        self.repeated_stops = 0
        self.unknown_stops = 0

    # -- booking ---------------------------------------------------------------------------------------------------

    def start(
        self,
        station_id: str,
        *,
        connector_id: int,
        id_tag: str,
        id_tag_status: str,
        meter_start: int,
        timestamp: str,
        reservation_id: int | None = None,
        parent_id_tag: str | None = None,
    ) -> Start:
        """Book a StartTransaction; the same one a second time gives the transaction of the first."""
        key = (station_id, connector_id, timestamp, meter_start)
        known = self._by_start.get(key)
        if known is not None:
            self.repeated_starts += 1
            return Start(known, repeated=True)
        transaction = LedgerTransaction(
            transaction_id=self._next_id,
            station_id=station_id,
            connector_id=connector_id,
            id_tag=id_tag,
            id_tag_status=id_tag_status,
            meter_start=meter_start,
            started_at=timestamp,
            reservation_id=reservation_id,
            parent_id_tag=parent_id_tag,
        )
        self._next_id += 1
        self.started += 1
        abandoned = self._on_connector.get((station_id, connector_id))
        if abandoned is not None:
            abandoned.abandoned = True
        self._by_start[key] = transaction
        self._on_connector[station_id, connector_id] = transaction
        self.open[transaction.transaction_id] = transaction
        self.changed(transaction)
        return Start(transaction, abandoned=abandoned)

    def stop(
        self,
        station_id: str,
        *,
        transaction_id: int,
        meter_stop: int,
        timestamp: str,
        reason: str | None = None,
        id_tag: str | None = None,
    ) -> Stop:
        """Book a StopTransaction. A stop that cannot be booked changes nothing but the counters."""
        transaction = self.find(transaction_id)
        if transaction is None or transaction.station_id != station_id:
            self.unknown_stops += 1
            return Stop(StopKind.UNKNOWN)
        if not transaction.is_open:
            self.repeated_stops += 1
            same = transaction.meter_stop == meter_stop and transaction.stopped_at == timestamp
            return Stop(StopKind.REPEATED if same else StopKind.CONFLICTING, transaction)
        energy = meter_stop - transaction.meter_start
        transaction.meter_stop = meter_stop
        transaction.stopped_at = timestamp
        transaction.reason = reason
        transaction.stop_id_tag = id_tag
        self.stopped += 1
        self.energy += energy
        del self.open[transaction_id]
        place = (station_id, transaction.connector_id)
        if self._on_connector.get(place) is transaction:
            del self._on_connector[place]
        self._ended_on_connector[place] = transaction
        self.changed(transaction)
        self.closed[transaction_id] = transaction
        if len(self.closed) > self._keep_closed:
            _, oldest = self.closed.popitem(last=False)
            self._by_start.pop(
                (oldest.station_id, oldest.connector_id, oldest.started_at, oldest.meter_start),
                None,
            )
        return Stop(StopKind.CLOSED, transaction)

    def restore(self, transactions: Iterable[LedgerTransaction]) -> None:
        """Take in what an earlier run has booked, in the order of the ids. It counts in no total but ``open``."""
        for transaction in transactions:
            place = (transaction.station_id, transaction.connector_id)
            key = (*place, transaction.started_at, transaction.meter_start)
            self._by_start[key] = transaction
            if transaction.is_open:
                self.open[transaction.transaction_id] = transaction
                self._on_connector[place] = transaction
            else:
                self.closed[transaction.transaction_id] = transaction
                self._ended_on_connector[place] = transaction
            self._next_id = max(self._next_id, transaction.transaction_id + 1)

    def book_meter_values(self, transaction: LedgerTransaction) -> None:
        """Count one MeterValues message of a transaction."""
        transaction.meter_values += 1
        self.meter_values += 1

    # -- reading ---------------------------------------------------------------------------------------------------

    def find(self, transaction_id: int) -> LedgerTransaction | None:
        """The transaction of that id, open or closed, while it is in memory."""
        return self.open.get(transaction_id) or self.closed.get(transaction_id)

    def has_handed_out(self, transaction_id: int) -> bool:
        """Whether the id is one of this book's, kept or forgotten by now."""
        return self._first_id <= transaction_id < self._next_id

    def running(self, station_id: str, connector_id: int) -> LedgerTransaction | None:
        """The transaction that is open on a connector; the latest one where an older one was abandoned."""
        return self._on_connector.get((station_id, connector_id))

    def last_ended(self, station_id: str, connector_id: int) -> LedgerTransaction | None:
        """The transaction of a connector that was stopped last."""
        return self._ended_on_connector.get((station_id, connector_id))

    def of_station(self, station_id: str) -> list[LedgerTransaction]:
        """The transactions of a station in the order of their ids."""
        return [t for t in self if t.station_id == station_id]

    def __iter__(self) -> Iterator[LedgerTransaction]:
        """All transactions in memory, in the order of their ids."""
        yield from sorted([*self.closed.values(), *self.open.values()], key=lambda t: t.transaction_id)

    def totals(self) -> dict[str, int]:
        """Counts, and the energy of all stopped transactions in Wh, under their names in reports."""
        return {
            "started": self.started,
            "stopped": self.stopped,
            "open": len(self.open),
            "abandoned": sum(1 for t in self.open.values() if t.abandoned),
            "energyWh": self.energy,
            "meterValues": self.meter_values,
            "repeatedStarts": self.repeated_starts,
            "repeatedStops": self.repeated_stops,
            "unknownStops": self.unknown_stops,
        }

    def as_dict(self) -> dict[str, Any]:
        """Totals and every transaction in memory as plain JSON types."""
        return {"totals": self.totals(), "transactions": [msgspec.to_builtins(t) for t in self]}
