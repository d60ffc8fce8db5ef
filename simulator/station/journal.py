"""What of its transactions a station leaves to the next process: messages as data, and the journal's records.

Every step of a transaction is written as one record before its message leaves (write-ahead). From the records of an
earlier run :class:`StationPast` makes what is left to do: the messages that the central system has not answered, in
their order, and the transactions that were running when the process died. Pure; whoever stores the records implements
:class:`TransactionJournal`.

A message may be delivered twice: when the process dies after the central system has answered and before that is
written. The second one has the same content, timestamps included, by which a central system tells it from a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol, TypeAlias

import msgspec

#: The id of a transaction whose StartTransaction was given up (OCPP 1.6 errata 3.18).
UNKNOWN_ID = -1


class TransactionMessage(msgspec.Struct, rename="camel", omit_defaults=True):
    """A transaction-related message (OCPP 1.6 §3.7.1) on its way to the central system.

    :param number: its place in the order of the station's messages.
    :param transaction: local key of the transaction; None for MeterValues outside of one.
    :param payload: the content, JSON as it goes on the wire but without ``transactionId``: that is added when it
        leaves. Made once, for the journal and for the wire.
    :param attempts: transmissions that failed; a lost connection is no failure.
    """

    number: int
    action: str
    payload: msgspec.Raw
    transaction: int | None = None
    attempts: int = 0

    @property
    def content(self) -> dict[str, Any]:
        """The payload's members."""
        content: dict[str, Any] = msgspec.json.decode(self.payload)
        return content


class Register(msgspec.Struct, frozen=True, rename="camel"):
    """What a connector's meter showed: ``shown`` is what is reported, ``lifetime`` what it ever delivered, in Wh.

    ``at``: POSIX seconds of the station's own clock.
    """

    shown: int
    lifetime: float
    at: float


class Ending(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """How a transaction ended at the station."""

    meter_stop: int
    at: float
    reason: str
    id_tag: str | None = None


class KeptTransaction(msgspec.Struct, rename="camel", omit_defaults=True):
    """A transaction as the journal knows it. Energy in Wh, instants in POSIX seconds of the station's own clock.

    :param key: the station's own number for it.
    :param id: the central system's; None until StartTransaction is answered.
    :param register: the last reading while it ran.
    :param data: readings for StopTransaction's ``transactionData``, as they go on the wire.
    :param doubtful: its end may have been in a part of the journal that cannot be read.
    """

    key: int
    connector_id: int
    id_tag: str
    started_at: float
    meter_start: int
    register: Register
    id: int | None = None
    ending: Ending | None = None
    reservation_id: int | None = None
    data: list[Any] = []
    doubtful: bool = False


class Record(msgspec.Struct, rename="camel", omit_defaults=True, tag_field="is"):
    """One step; the base of all."""


class Begun(Record, tag="begun"):
    """A transaction has begun, and its StartTransaction is queued."""

    transaction: KeptTransaction
    message: TransactionMessage


class Queued(Record, tag="queued"):
    """A message is queued, maybe with what the transaction's meter showed and a reading for ``transactionData``."""

    message: TransactionMessage | None = None
    transaction: int | None = None
    register: Register | None = None
    data: Any = None
    answered: int | None = None
    """Messages up to this number were answered meanwhile, the ids of transactions not among the answers."""


class Ended(Record, tag="ended"):
    """A transaction has ended at the station, and its StopTransaction is queued."""

    transaction: int
    ending: Ending
    lifetime: float
    message: TransactionMessage


class Answered(Record, tag="answered"):
    """The central system has answered a message, or it was given up; so were all with lower numbers.

    :param id: the transaction's, if the message was its StartTransaction; -1 if that was given up.
    :param stopped: the message was its StopTransaction.
    """

    number: int
    transaction: int | None = None
    id: int | None = None
    stopped: bool = False


class Dropped(Record, tag="dropped"):
    """Readings that were left out because too many waited, by the numbers of their messages."""

    numbers: list[int]


class StationPast(Record, tag="station"):
    """Everything that is left of a station's transactions; as a record it replaces all before it.

    :param registers: Wh that connectors have delivered in all their life, by connector.
    """

    next_number: int = 1
    next_key: int = 1
    messages: list[TransactionMessage] = []
    transactions: dict[int, KeptTransaction] = {}
    registers: dict[int, float] = {}

    def take(self, record: AnyRecord) -> StationPast:
        """What is left after one more record: this object, or the record itself if that is a whole past."""
        if isinstance(record, StationPast):
            return record
        if isinstance(record, Begun):
            self._begin(record.transaction)
            self._queue(record.message)
        elif isinstance(record, Queued):
            if record.answered is not None:
                self._answer(Answered(record.answered))
            self._read(record)
            if record.message is not None:
                self._queue(record.message)
        elif isinstance(record, Ended):
            self._end(record)
            self._queue(record.message)
        elif isinstance(record, Dropped):
            gone = frozenset(record.numbers)
            self.messages = [message for message in self.messages if message.number not in gone]
        else:
            self._answer(record)
        return self

    def doubt(self) -> None:
        """A record of the station may be lost: transactions that seem to run may have ended."""
        for transaction in self.transactions.values():
            if transaction.ending is None:
                transaction.doubtful = True

    def lost(self) -> list[KeptTransaction]:
        """The transactions that were running when the process died, without those of which that is in doubt."""
        return [known for known in self.transactions.values() if known.ending is None and not known.doubtful]

    @property
    def empty(self) -> bool:
        """Whether nothing is left to do and to know."""
        return not (self.messages or self.transactions or self.registers)

    def _begin(self, transaction: KeptTransaction) -> None:
        for other in self.transactions.values():
            if other.connector_id == transaction.connector_id and other.ending is None:
                other.doubtful = True  # it has ended: another one begins in its place
        self.transactions[transaction.key] = transaction
        self.next_key = max(self.next_key, transaction.key + 1)
        self.registers[transaction.connector_id] = transaction.register.lifetime

    def _queue(self, message: TransactionMessage) -> None:
        self.next_number = max(self.next_number, message.number + 1)
        self.messages.append(message)
        if message.transaction is not None:
            self.next_key = max(self.next_key, message.transaction + 1)

    def _read(self, record: Queued) -> None:
        transaction = None if record.transaction is None else self.transactions.get(record.transaction)
        if transaction is None or transaction.ending is not None:
            return
        transaction.doubtful = False  # it was running then
        if record.register is not None:
            transaction.register = record.register
            self.registers[transaction.connector_id] = record.register.lifetime
        if record.data is not None:
            transaction.data.append(record.data)

    def _end(self, record: Ended) -> None:
        transaction = self.transactions.get(record.transaction)
        if transaction is not None:
            transaction.ending = record.ending
            self.registers[transaction.connector_id] = record.lifetime

    def _answer(self, record: Answered) -> None:
        self.next_number = max(self.next_number, record.number + 1)
        transaction = None if record.transaction is None else self.transactions.get(record.transaction)
        if transaction is not None and record.id is not None:
            transaction.id = record.id
        if transaction is not None and record.stopped and transaction.ending is None:
            last = transaction.register  # the record of the end is lost
            transaction.ending = Ending(meter_stop=last.shown, at=last.at, reason="Other")
        delivered = [message for message in self.messages if message.number <= record.number]
        self.messages = [message for message in self.messages if message.number > record.number]
        for message in delivered:
            started = None if message.transaction is None else self.transactions.get(message.transaction)
            if message.action == "StartTransaction" and started is not None and started.id is None:
                started.id = UNKNOWN_ID  # the answer is lost, and to start it again would make two of one
        waited_for = {message.transaction for message in self.messages}
        for key, known in list(self.transactions.items()):
            if known.ending is not None and key not in waited_for:
                del self.transactions[key]


AnyRecord: TypeAlias = Begun | Queued | Ended | Answered | Dropped | StationPast


def thinned_out(messages: Iterable[TransactionMessage]) -> list[int]:
    """The numbers of the MeterValues to leave out where too many messages wait: about half of them.

    Of each transaction, and of the readings outside of any, every second one goes, save the first and the last; where
    there are none between, every second one of all. StartTransaction and StopTransaction always stay, and so does what
    a central system needs to account for the energy.

    :param messages: those that may be left out, in their order.
    """
    waiting: dict[int | None, list[int]] = {}
    for message in messages:
        if message.action == "MeterValues":
            waiting.setdefault(message.transaction, []).append(message.number)
    between = sorted(number for numbers in waiting.values() for number in numbers[1:-1:2])
    return between or sorted(number for numbers in waiting.values() for number in numbers)[1::2]


class TransactionJournal(Protocol):
    """Where the records go. Nothing here blocks for long or raises: what it cannot store it tells the user itself."""

    def join(self, hash_id: str, whole: Callable[[], StationPast]) -> StationPast | None:
        """Take a station in; returns what an earlier run left of it.

        :param whole: makes the one record that stands for all of the station's so far, whenever the journal asks.
        """
        ...

    def leave(self, hash_id: str) -> None:
        """The station is no more in this process; what is left of it waits for its return."""
        ...

    def write(self, hash_id: str, record: AnyRecord, *, reading: bool = False) -> None:
        """Store a record before any message leaves; ``reading``: it tells what a meter showed and nothing else."""
        ...

    def write_later(self, hash_id: str, record: Callable[[], AnyRecord | None]) -> None:
        """Ask for a record within a few seconds of wall time, and store it unless there is none any more."""
        ...


class NoJournal:
    """Keeps nothing."""

    def join(self, hash_id: str, whole: Callable[[], StationPast]) -> StationPast | None:
        """There is no past."""
        return None

    def leave(self, hash_id: str) -> None:
        """Nothing waits."""

    def write(self, hash_id: str, record: AnyRecord, *, reading: bool = False) -> None:
        """Nothing is stored."""

    def write_later(self, hash_id: str, record: Callable[[], AnyRecord | None]) -> None:
        """Nothing is asked for."""
