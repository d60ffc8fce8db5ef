"""A CALL on its way, and what there is to know about sending it."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from simulator.ocpp.v16.messages import Request
from simulator.station.call_results import Result
from simulator.station.journal import TransactionMessage


class Gate(enum.Enum):
    """What the registration state lets the station send (OCPP 1.6 §4.2)."""

    #: Nothing but BootNotification: the first answer has not come yet.
    BOOTING = "booting"
    #: BootNotification, and what the central system asks for by TriggerMessage.
    PENDING = "pending"
    #: Nothing but the next BootNotification, and no answers either.
    REJECTED = "rejected"
    #: Everything.
    ACCEPTED = "accepted"
    #: Nothing any more: the station has said all it had to say and is about to close the connection.
    CLOSED = "closed"


class TransactionHandler(Protocol):
    """Whoever knows the transactions that the messages of the queue belong to."""

    def wire_id(self, key: int) -> int:
        """The central system's id, as far as it is known, of the transaction with that local key."""
        ...

    def answered(self, message: TransactionMessage, result: Result) -> None:
        """Take the answer to a message, or the failure after its last attempt. It has left the queue."""
        ...


class Shape(Protocol):
    """What contents have in common that differ in numbers and instants only: if one fits its schema, all do."""

    proven: bool


class QueuedCall(msgspec.Struct, eq=False):
    """A CALL on its way: waiting, sent, or done.

    :param action: its name.
    :param request: the content as a struct; None for a message that is JSON already.
    :param done: takes the end of a passing CALL.
    :param order: its place among all of the station's.
    :param message: the member of the transaction queue that this CALL delivers; None for a passing CALL.
    :param shape: what the content has in common with others, if anything.
    :param triggered: the central system has asked for it.
    :param attempts: transmissions, the present one included.
    :param checked: whether the content is known to fit its schema.
    :param not_before: wall instant before which a retry must not leave.
    :param sent_at: wall instant at which it left.
    """

    action: str
    request: Request[Any] | None
    done: Callable[[Result], None]
    order: int
    message: TransactionMessage | None = None
    shape: Shape | None = None
    triggered: bool = False
    attempts: int = 0
    checked: bool = False
    not_before: float = 0.0
    sent_at: float = 0.0

    @property
    def of_transaction(self) -> bool:
        """Whether this is a member of the transaction queue."""
        return self.message is not None


class CallRules(msgspec.Struct):
    """What the station's keys and template say about sending; asked anew each time."""

    timeout: Callable[[], float]
    attempts: Callable[[], int]
    retry_interval: Callable[[], float]
    supported: Callable[[str], bool]
    validate: bool
    strict: bool
