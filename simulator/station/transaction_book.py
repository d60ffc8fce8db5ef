"""The station's book of transactions that are not settled with the central system: running, or with messages to send.

Every message of the transaction queue comes from here: it is numbered, written to the journal, queued.
After a crash of the process the book of the next one takes up the queue where it was, and ends what was running.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import outcome

from simulator.ocpp.frames import encode_payload
from simulator.ocpp.v16.enums import Reason
from simulator.ocpp.v16.messages import MeterValue, Request, action_of, to_payload
from simulator.station.connector import Connector
from simulator.station.journal import (
    UNKNOWN_ID,
    Answered,
    Begun,
    Dropped,
    Ended,
    Ending,
    KeptTransaction,
    Queued,
    Register,
    StationPast,
    TransactionMessage,
    thinned_out,
)
from simulator.station.metering import connector_meter, raise_register
from simulator.station.transaction import Transaction
from simulator.templates.model import ConnectorTemplate

if TYPE_CHECKING:
    from simulator.station.call_results import Result
    from simulator.station.queued_call import Shape
    from simulator.station.sessions import Sessions
    from simulator.station.station import ChargingStation


#: MeterValues of a station that may wait for the central system; beyond that they are thinned out.
READINGS_WAITING = 500


class TransactionBook:
    """Numbers, writes down and queues transaction messages, and finds the transaction that an answer belongs to."""

    __slots__ = (
        "_answered",
        "_hash_id",
        "_journal",
        "_next_key",
        "_next_number",
        "_readings",
        "_sessions",
        "_station",
        "_told_thinned",
        "_transactions",
    )

    def __init__(self, station: ChargingStation, sessions: Sessions) -> None:
        self._station = station
        self._sessions = sessions
        self._journal = station.services.journal
        self._hash_id = station.info.hash_id
        self._transactions: dict[int, Transaction] = {}
        self._next_number = 1
        self._next_key = 1
        #: MeterValues that the central system has not answered.
        self._readings = 0
        #: The last message whose answer the journal does not know of; it does no harm if it never does.
        self._answered: int | None = None
        #: Whether the user has been told that they are too many.
        self._told_thinned = False
        station.lane.hand_over(self)

    # -- writing -----------------------------------------------------------------------------------------------------

    def begun(self, transaction: Transaction, request: Request[Any]) -> None:
        """A transaction begins: give it its key and queue its StartTransaction."""
        transaction.key, self._next_key = self._next_key, self._next_key + 1
        transaction.register = reading(transaction, transaction.started_at)
        self._transactions[transaction.key] = transaction
        message = self._message(transaction, request)
        self._journal.write(self._hash_id, Begun(kept(transaction), message))
        self._send(message, request)

    def queue(self, transaction: Transaction | None, request: Request[Any], *, data: MeterValue | None = None) -> None:
        """Queue MeterValues, with what the meter shows now and maybe a reading for ``transactionData``."""
        message = self._message(transaction, request)
        self._note(transaction, message, data)
        self._send(message, request)
        if self._readings > READINGS_WAITING:
            self._thin_out()

    def queue_written(
        self, transaction: Transaction, payload: bytes, shape: Shape | None, *, data: MeterValue | None = None
    ) -> None:
        """Queue MeterValues of a transaction that are JSON already, without its id; otherwise as :meth:`queue`."""
        number, self._next_number = self._next_number, self._next_number + 1
        message = TransactionMessage(number, "MeterValues", msgspec.Raw(payload), transaction.key)
        transaction.undelivered += 1
        self._note(transaction, message, data)
        self._readings += 1
        self._station.lane.queue_transaction_message(message, shape=shape)
        if self._readings > READINGS_WAITING:
            self._thin_out()

    def note(self, transaction: Transaction) -> None:
        """Note what the meter of a running transaction shows: so much is not lost with the process."""
        self._note(transaction, None, None)

    def keep(self, transaction: Transaction, data: MeterValue) -> None:
        """Note a reading for ``transactionData`` that goes into no message of its own."""
        self._note(transaction, None, data)

    def ended(self, transaction: Transaction, request: Request[Any]) -> None:
        """A transaction has ended: queue its StopTransaction."""
        message = self._message(transaction, request)
        ending = ending_of(transaction)
        assert ending is not None
        lifetime = reading(transaction, ending.at).lifetime
        self._journal.write(self._hash_id, Ended(transaction.key, ending, lifetime, message))
        self._send(message, request)

    def _note(
        self, transaction: Transaction | None, message: TransactionMessage | None, data: MeterValue | None
    ) -> None:
        runs = transaction is not None and not transaction.ended
        key, register = None, None
        if transaction is not None and runs:
            key = transaction.key
            register = transaction.register = reading(transaction, self._station.now())
        kept_data = None if data is None else to_payload(data)
        answered, self._answered = self._answered, None
        self._journal.write(self._hash_id, Queued(message, key, register, kept_data, answered), reading=True)

    def _thin_out(self) -> None:
        """Too many readings wait, for hours without a connection perhaps: leave out every second one in between."""
        lane, log = self._station.lane, self._station.log
        by_number = {message.number: message for message in lane.waiting_messages()}
        gone = thinned_out(by_number.values())
        if not self._told_thinned:
            self._told_thinned = True
            log.warning(
                "%s MeterValues wait for the central system: every second one between the first and the last of a "
                "transaction is left out, now and whenever they are as many again",
                self._readings,
            )
        self._journal.write(self._hash_id, Dropped(gone))
        lane.drop(frozenset(gone))
        self._readings -= len(gone)
        for number in gone:
            transaction = self._transactions.get(by_number[number].transaction or 0)
            if transaction is not None:
                transaction.undelivered -= 1

    def _message(self, transaction: Transaction | None, request: Request[Any]) -> TransactionMessage:
        content: object = request
        if transaction is not None and getattr(request, "transaction_id", None) is not None:
            content = to_payload(request)
            del content["transactionId"]
        return self._numbered(transaction, action_of(request), encode_payload(content))

    def _numbered(self, transaction: Transaction | None, action: str, payload: bytes) -> TransactionMessage:
        key = None
        if transaction is not None:
            key = transaction.key
            transaction.undelivered += 1
        number, self._next_number = self._next_number, self._next_number + 1
        return TransactionMessage(number, action, msgspec.Raw(payload), key)

    def _send(self, message: TransactionMessage, request: Request[Any] | None = None) -> None:
        self._readings += message.action == "MeterValues"
        self._station.lane.queue_transaction_message(message, request)

    # -- answers -----------------------------------------------------------------------------------------------------

    def wire_id(self, key: int) -> int:
        """The central system's id of a transaction; -1 if its start was given up or its answer is lost."""
        transaction = self._transactions.get(key)
        return UNKNOWN_ID if transaction is None else transaction.wire_id

    def answered(self, message: TransactionMessage, result: Result) -> None:
        """Take the answer to a message, or the failure after its last attempt."""
        transaction = None if message.transaction is None else self._transactions.get(message.transaction)
        if message.action == "MeterValues":
            self._readings -= 1
            self._told_thinned = self._told_thinned and self._readings > 0
        first = self._station.lane.first_number
        refused = first is not None and first < message.number  # it was never in the queue: those before it still wait
        number = first - 1 if refused and first is not None else message.number
        if refused:
            self._journal.write(self._hash_id, Dropped([message.number]))
        elif message.action == "MeterValues" or transaction is None:
            self._note_answer(number)
        if transaction is None:
            return
        transaction.undelivered -= 1
        if message.action == "StartTransaction":
            transaction.id = result.value.transaction_id if isinstance(result, outcome.Value) else UNKNOWN_ID
            self._journal.write(self._hash_id, Answered(number, transaction.key, transaction.id))
            self._sessions.start_answered(transaction, result)
        elif message.action == "StopTransaction":
            # First what follows it: readings that are sent after it still need the transaction.
            self._sessions.stop_answered(transaction, result)
            self._journal.write(self._hash_id, Answered(number, transaction.key, stopped=True))
        if transaction.ended and transaction.undelivered == 0:
            self._transactions.pop(transaction.key, None)

    def _note_answer(self, number: int) -> None:
        """Let the next record tell of an answer: at worst the message is sent twice."""
        if self._answered is None:
            self._journal.write_later(self._hash_id, self._late_answer)
        self._answered = number

    def _late_answer(self) -> Answered | None:
        """The record of the answers that no other record has told."""
        answered, self._answered = self._answered, None
        return None if answered is None else Answered(answered)

    # -- from process to process -------------------------------------------------------------------------------------

    def whole(self) -> StationPast:
        """All that the journal must know of the station."""
        connectors = self._station.connectors.values()
        return StationPast(
            next_number=self._next_number,
            next_key=self._next_key,
            messages=self._station.lane.transaction_messages(),
            transactions={key: kept(transaction) for key, transaction in self._transactions.items()},
            registers={c.id: c.meter.lifetime_wh for c in connectors if c.meter is not None and c.meter.lifetime_wh},
        )

    def take_up(self) -> None:
        """Go on where an earlier process stopped, once: queue what it did not deliver, end what it left running."""
        past = self._journal.join(self._hash_id, self.whole)
        if past is None:
            return
        self._next_number, self._next_key = past.next_number, past.next_key
        for connector_id, lifetime in past.registers.items():
            raise_register(self._station, connector_id, lifetime)
        for known in past.transactions.values():
            self._transactions[known.key] = self._transaction(known)
        for message in past.messages:
            if message.transaction in self._transactions:
                self._transactions[message.transaction].undelivered += 1
            self._send(message)
        for transaction in list(self._transactions.values()):
            if not transaction.ended and self._resumes(transaction, past.transactions[transaction.key]):
                continue
            if not transaction.ended:
                self._close(transaction, doubtful=past.transactions[transaction.key].doubtful)
            if transaction.undelivered == 0:
                self._transactions.pop(transaction.key, None)

    def _resumes(self, transaction: Transaction, known: KeptTransaction) -> bool:
        """Whether a transaction that was running when the process died goes on; then it does with the first boot."""
        connector = transaction.connector
        if (
            known.doubtful
            or not self._station.info.template.resume_transactions
            or connector is not self._station.connectors.get(connector.id)
            or any(other.connector is connector for other in self._sessions.resumed)
        ):
            return False
        transaction.resumed = True
        self._sessions.resumed.append(transaction)
        return True

    def _close(self, transaction: Transaction, *, doubtful: bool) -> None:
        """End a transaction that was running when the process died, with the last that is known of it."""
        log, last = self._station.log, transaction.register
        if doubtful:
            log.warning(
                "transaction %s of connector %s may have ended where the journal is damaged: it is not stopped again",
                transaction.wire_id,
                transaction.connector.id,
            )
            transaction.reason = Reason.OTHER
            transaction.stopped_at, transaction.meter_stop = last.at, last.shown
            return
        log.info("transaction %s was running when the simulator died: it is stopped now", transaction.wire_id)
        at = max(last.at, transaction.started_at)
        self._sessions.close_lost(transaction, at=at, meter_stop=max(last.shown, transaction.meter_start))

    def _transaction(self, known: KeptTransaction) -> Transaction:
        station = self._station
        connector = station.connectors.get(known.connector_id)
        if connector is None or connector.meter is None:  # the template has fewer connectors now
            definition = ConnectorTemplate()
            meter = connector_meter(station.info, definition)
            connector = Connector(known.connector_id, definition, meter, lambda _: None)
        transaction = Transaction(
            connector,
            known.id_tag,
            started_at=known.started_at,
            started_virtual=known.started_at,
            meter_start=known.meter_start,
            reservation_id=known.reservation_id,
        )
        transaction.key, transaction.id, transaction.register = known.key, known.id, known.register
        transaction.transaction_data = msgspec.convert(known.data, list[MeterValue])
        if known.ending is not None:
            transaction.reason = Reason(known.ending.reason)
            transaction.stop_id_tag = known.ending.id_tag
            transaction.stopped_at, transaction.meter_stop = known.ending.at, known.ending.meter_stop
        return transaction


def reading(transaction: Transaction, at: float) -> Register:
    """What the transaction's meter shows, as of the last settlement."""
    meter = transaction.connector.meter
    assert meter is not None
    return Register(round(meter.register_wh), meter.lifetime_wh, at)


def ending_of(transaction: Transaction) -> Ending | None:
    """How the transaction ended, if it has."""
    if transaction.reason is None or transaction.meter_stop is None or transaction.stopped_at is None:
        return None
    return Ending(transaction.meter_stop, transaction.stopped_at, str(transaction.reason), transaction.stop_id_tag)


def kept(transaction: Transaction) -> KeptTransaction:
    """The transaction as the journal keeps it."""
    return KeptTransaction(
        key=transaction.key,
        connector_id=transaction.connector.id,
        id_tag=transaction.id_tag,
        started_at=transaction.started_at,
        meter_start=transaction.meter_start,
        register=transaction.register,
        id=transaction.id,
        ending=ending_of(transaction),
        reservation_id=transaction.reservation_id,
        data=[to_payload(value) for value in transaction.transaction_data],
    )
