"""The station's side of the conversation: one outstanding CALL, and the queue of transaction messages.

Two lines wait for the one place on the wire:

* *passing* CALLs (BootNotification, Heartbeat, StatusNotification, Authorize, ...) belong to the connection on which
  they were asked for and fail with it;
* *transaction* messages (StartTransaction, StopTransaction, MeterValues; OCPP 1.6 §3.7.1) stay, in order, until the
  central system has answered them or their attempts are used up, however often the connection goes.

Whichever came first goes first, but what a boot has to tell goes before the transaction messages of earlier times;
while the first transaction message waits for its retry, passing CALLs overtake it.
Transaction messages are data (:class:`~simulator.station.journal.TransactionMessage`), so that another process can go
on with them; what an answer means is known to the one :class:`TransactionHandler` of the station.
Nothing here is a task: answers, deadlines and new work each move the line on.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from itertools import count
from typing import Any, Protocol, TypeVar, cast

import outcome
import trio

from simulator.clock import Timer
from simulator.events import CallAnswered, CallErrorReceived, CallLost, CallSent, CallTimedOut, OddFrameReceived
from simulator.ocpp.errors import read_error_code
from simulator.ocpp.frames import CallError, CallResult, encode_call, frame_call
from simulator.ocpp.v16.messages import Request, Response, action_of, to_payload
from simulator.outbox import Departure
from simulator.station.answers import empty_answer, read_answer
from simulator.station.call_results import (
    BadAnswer,
    CallFailed,
    CallRefusedByPeer,
    CallTimeout,
    NotAllowed,
    NotConnected,
    Result,
)
from simulator.station.journal import TransactionMessage
from simulator.station.queued_call import CallRules, Gate, QueuedCall, Shape, TransactionHandler
from simulator.station.services import StationServices
from simulator.transport.connection import ConnectionClosed

R = TypeVar("R", bound=Response)


class Post(Protocol):
    """Whatever puts a frame on the wire, and notes when it has left."""

    def __call__(self, text: str | bytes, departure: Departure | None = None, /) -> None:
        """Bytes are a text in UTF-8. :raises ConnectionClosed: there is no connection."""


class CallLane:
    """The outgoing CALLs of one station.

    :param tell: logs one line at a level (``warning``, ``error``) in the station's name.
    """

    __slots__ = (
        "_bus",
        "_deadline",
        "_due",
        "_gate",
        "_handler",
        "_hash_id",
        "_idle",
        "_in_flight",
        "_in_flight_id",
        "_order",
        "_passing",
        "_post",
        "_retry",
        "_services",
        "_station_id",
        "_tell",
        "_transaction",
        "_transactions_after",
        "_wall",
        "rules",
    )

    def __init__(
        self,
        services: StationServices,
        hash_id: str,
        station_id: str,
        rules: CallRules,
        tell: Callable[[str, str], None],
    ) -> None:
        self._services = services
        self._bus = services.bus
        self._wall = services.clock.wall
        self._hash_id = hash_id
        self._station_id = station_id
        #: Replaced when the template changes.
        self.rules = rules
        self._tell = tell
        self._handler: TransactionHandler | None = None
        self._post: Post | None = None
        self._gate = Gate.BOOTING
        # Lists, not deques: they are empty in nearly every station, and an empty deque takes 600 bytes.
        self._passing: list[QueuedCall] = []
        self._transaction: list[QueuedCall] = []
        self._order = count()
        #: Passing CALLs of a lower order go before transaction messages, however old those are.
        self._transactions_after = 0.0
        self._in_flight: QueuedCall | None = None
        self._in_flight_id = ""
        #: When the answer to the CALL in flight must be there, and the timer that looks then, or earlier.
        self._due = 0.0
        self._deadline: Timer | None = None
        self._retry: Timer | None = None
        self._idle: trio.Event | None = None

    # -- state -----------------------------------------------------------------------------------------------------

    @property
    def connected(self) -> bool:
        """Whether a connection is open."""
        return self._post is not None

    @property
    def gate(self) -> Gate:
        """What may be sent now."""
        return self._gate

    @property
    def queued_transaction_messages(self) -> int:
        """Transaction messages that the central system has not answered yet."""
        return len(self._transaction)

    @property
    def first_number(self) -> int | None:
        """The number of the first of them; None where there is none."""
        message = self._transaction[0].message if self._transaction else None
        return None if message is None else message.number

    def transaction_messages(self) -> list[TransactionMessage]:
        """Those messages, in their order and with the attempts made."""
        messages = []
        for call in self._transaction:
            if call.message is not None:
                call.message.attempts = call.attempts - (call is self._in_flight)
                messages.append(call.message)
        return messages

    def waiting_messages(self) -> list[TransactionMessage]:
        """Those of them that are not under way."""
        return [call.message for call in self._transaction if call is not self._in_flight and call.message is not None]

    def drop(self, numbers: Collection[int]) -> None:
        """Take waiting transaction messages out of the queue; nobody is told of them."""
        self._transaction = [
            call for call in self._transaction if call.message is None or call.message.number not in numbers
        ]

    def hand_over(self, handler: TransactionHandler) -> None:
        """Name who knows the transactions. Must be done before a transaction message is queued."""
        self._handler = handler

    def attach(self, post: Post, gate: Gate, *, first: Callable[[], None] = lambda: None) -> None:
        """Use a freshly opened connection.

        :param post: puts a frame on it, and notes in the call when it has left.
        :param first: as for :meth:`open_gate`.
        """
        self._post = post
        self.open_gate(gate, first=first)

    def open_gate(self, gate: Gate, *, first: Callable[[], None] = lambda: None) -> None:
        """Follow a change of the registration state; what may go now goes.

        :param first: sends passing CALLs that are to leave before any transaction message.
        """
        self._gate = gate
        self._transactions_after = float("inf")
        first()
        self._transactions_after = next(self._order)
        self._pump()
        self._check_idle()

    def detach(self) -> None:
        """The connection is gone: passing CALLs fail, transaction messages wait for the next one."""
        self._post = None
        self._stop_deadline()
        lost: list[QueuedCall] = []
        if self._in_flight is not None:
            self._bus.publish(CallLost(self._hash_id, self._station_id, self._in_flight.action))
            if not self._in_flight.of_transaction:
                lost.append(self._in_flight)
            else:
                # It is still the first of its queue, and a lost connection is no failed attempt (OCPP 1.6 §3.7.1).
                self._in_flight.attempts -= 1
            self._in_flight = None
        lost.extend(self._passing)
        self._passing.clear()
        for call in lost:
            call.done(outcome.Error(NotConnected(f"the connection went before {call.action} was answered")))
        self._check_idle()

    # -- sending ---------------------------------------------------------------------------------------------------

    async def call(
        self, request: Request[R], *, triggered: bool = False, taken: Callable[[R], None] | None = None
    ) -> R:
        """Send a passing CALL and wait for its answer.

        :param taken: called with the answer before the next frame is read; the caller itself runs only after that.

        :raises CallFailed: one of its subclasses, with the reason.

        On cancel a CALL that has not left is withdrawn; the answer to one that has left is ignored when it comes.
        """
        task = trio.lowlevel.current_task()
        result: Result | None = None
        parked = False

        def done(value: Result) -> None:
            nonlocal result
            if taken is not None and isinstance(value, outcome.Value):
                taken(value.value)
            result = value
            if parked:
                trio.lowlevel.reschedule(task, value)

        call = self.send(request, done, triggered=triggered)
        if result is not None:
            await trio.lowlevel.checkpoint_if_cancelled()
            return cast("R", result.unwrap())

        def abort(_: object) -> trio.lowlevel.Abort:
            call.done = _ignore
            if call in self._passing:
                self._passing.remove(call)
            return trio.lowlevel.Abort.SUCCEEDED

        parked = True
        return cast("R", await trio.lowlevel.wait_task_rescheduled(abort))

    def send(
        self,
        request: Request[Any],
        done: Callable[[Result], None] | None = None,
        *,
        triggered: bool = False,
    ) -> QueuedCall:
        """Send a passing CALL without waiting; ``done`` gets the answer or the failure, maybe before this returns."""
        action = action_of(request)
        call = QueuedCall(action, request, done or _ignore, next(self._order), triggered=triggered)
        refusal = self._refusal(call)
        if refusal is not None:
            call.done(outcome.Error(refusal))
        else:
            self._passing.append(call)
            self._pump()
        return call

    def queue_transaction_message(
        self, message: TransactionMessage, request: Request[Any] | None = None, *, shape: Shape | None = None
    ) -> None:
        """Add a message to the transaction queue; the handler gets the answer, or the failure of the last attempt.

        :param request: the message's content as a struct, where it is at hand.
        :param shape: what the content has in common with others; it is checked only until one of them was valid.
        """
        assert self._handler is not None
        if not self.rules.supported(message.action):
            refusal = NotAllowed(f"{message.action} is switched off by commandsSupport")
            self._handler.answered(message, outcome.Error(refusal))
            return
        call = QueuedCall(
            message.action, request, _ignore, next(self._order), message, shape, attempts=message.attempts
        )
        self._transaction.append(call)
        if self._in_flight is None and not self._passing and len(self._transaction) == 1 and not call.attempts:
            # As nearly always in a fleet under load.
            if self._post is not None and self._gate is Gate.ACCEPTED:
                self._put_on_wire(call)
        else:
            self._pump()
        # What has to wait may wait for hours, and has its content in the message as well.
        call.request = None

    def _wire_id(self, message: TransactionMessage) -> int | None:
        """The id by which the central system knows the transaction now; None where the message names none."""
        if message.transaction is None or message.action == "StartTransaction":
            return None
        assert self._handler is not None
        return self._handler.wire_id(message.transaction)

    def _content(self, call: QueuedCall) -> dict[str, Any]:
        """The content as it is to be checked."""
        if call.request is None:
            assert call.message is not None
            content = call.message.content
        else:
            content = to_payload(call.request)
        if call.message is not None and (wire_id := self._wire_id(call.message)) is not None:
            content["transactionId"] = wire_id
        return content

    def _done(self, call: QueuedCall, result: Result) -> None:
        if call.message is None:
            call.done(result)
        else:
            assert self._handler is not None
            self._handler.answered(call.message, result)

    async def delivered(self) -> None:
        """Wait until nothing is under way or waits that may be sent. Bounded by the caller."""
        await trio.lowlevel.checkpoint()
        while not self._is_idle():
            if self._idle is None:
                self._idle = trio.Event()
            await self._idle.wait()

    def _refusal(self, call: QueuedCall) -> CallFailed | None:
        if not self.rules.supported(call.action):
            return NotAllowed(f"{call.action} is switched off by commandsSupport")
        if self._post is None:
            return NotConnected("not connected to the central system")
        if not self._may_pass(call):
            return NotAllowed(f"the station may not send {call.action} while its registration is {self._gate.value}")
        return None

    def _may_pass(self, call: QueuedCall) -> bool:
        if self._gate is Gate.ACCEPTED:
            return True
        if self._gate is Gate.CLOSED:
            return False
        return call.action == "BootNotification" or (self._gate is Gate.PENDING and call.triggered)

    # -- the wire --------------------------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Send the next CALL if the place on the wire is free."""
        while self._in_flight is None and self._post is not None:
            call = self._next() if self._passing or self._transaction else None
            if call is None:
                return
            refusal = None if call.of_transaction else self._refusal(call)
            if refusal is not None:  # the registration state changed while it waited
                call.done(outcome.Error(refusal))
                self._check_idle()
            else:
                self._put_on_wire(call)

    def _next(self) -> QueuedCall | None:
        passing = self._passing[0] if self._passing else None
        transaction = self._transaction[0] if self._transaction and self._gate is Gate.ACCEPTED else None
        if transaction is not None and transaction.not_before and transaction.not_before > self._wall():
            self._wake_at(transaction.not_before)
            transaction = None
        after = self._transactions_after
        if transaction is not None and (passing is None or max(transaction.order, after) < passing.order):
            return transaction
        if passing is not None:
            self._passing.pop(0)
        return passing

    def _put_on_wire(self, call: QueuedCall) -> None:
        assert self._post is not None
        shape = call.shape
        if self.rules.validate and not call.checked and (shape is None or not shape.proven):
            violation = self._services.validator.request(call.action, self._content(call))
            if violation is not None:
                self._tell("error", f"{call.action} is not sent, its content is invalid: {violation.description}")
                if call.of_transaction:
                    self._transaction.pop(0)
                self._done(call, outcome.Error(NotAllowed(f"invalid content: {violation.description}")))
                self._check_idle()
                return
            call.checked = True
            if shape is not None:
                shape.proven = True
        message_id, message = self._services.message_ids.next(), call.message
        call.sent_at = self._wall()
        frame: str | bytes
        if message is None:
            frame = encode_call(message_id, call.action, call.request)
        else:  # a transaction's id may only be known by now
            frame = frame_call(message_id, call.action, bytes(message.payload), self._wire_id(message))
        try:
            self._post(frame, call)
        except ConnectionClosed:
            # The reader is about to see the same and will detach; a passing CALL fails like all others then.
            if not call.of_transaction:
                call.done(outcome.Error(NotConnected(f"the connection went before {call.action} was sent")))
            self._post = None
            return
        call.attempts += 1
        self._in_flight = call
        self._in_flight_id = message_id
        self._wait_until(call.sent_at + self.rules.timeout())
        self._bus.publish(CallSent(self._hash_id, self._station_id, call.action))

    def _wake_at(self, wall: float) -> None:
        if self._retry is None or not self._retry.pending:
            self._retry = self._services.clock.call_at_wall(wall, self._pump)

    # -- answers ---------------------------------------------------------------------------------------------------

    def on_plain_answer(self, text: str) -> bool:
        """Take a frame if it is, character by character, the empty CALLRESULT that is waited for.

        Nearly all answers that a fleet gets are of that form, and what it takes to read JSON is saved. Returns whether
        it was one; any other frame is not touched.
        """
        call = self._in_flight
        if call is None or text[4:-5] != self._in_flight_id or text[:4] != '[3,"' or text[-5:] != '",{}]':
            return False
        answer = empty_answer(self._services.validator, call.action)
        if answer is None:
            return False
        self._in_flight = None
        seconds = self._wall() - call.sent_at
        self._bus.publish(CallAnswered(self._hash_id, self._station_id, call.action, seconds))
        if call.message is None:
            self._finished(call, outcome.Value(answer.value))
            return True
        self._transaction.pop(0)
        assert self._handler is not None
        self._handler.answered(call.message, answer)  # which reads it, and never unwraps it
        if self._transaction or self._passing:
            self._pump()
        if self._idle is not None:
            self._check_idle()
        return True

    def on_result(self, frame: CallResult) -> None:
        """Take a CALLRESULT that was received."""
        call = self._answered(frame.message_id, "CALLRESULT")
        if call is None:
            return
        seconds = self._wall() - call.sent_at
        self._bus.publish(CallAnswered(self._hash_id, self._station_id, call.action, seconds))
        try:
            answer, doubt = read_answer(self._services.validator, self.rules, call.action, frame.payload)
        except BadAnswer as error:
            self._tell("error", str(error))
            self._failed(call, error)
            return
        if doubt is not None:
            self._tell("warning", doubt)
        self._finished(call, outcome.Value(answer))

    def on_error(self, frame: CallError) -> None:
        """Take a CALLERROR that was received."""
        call = self._answered(frame.message_id, "CALLERROR")
        if call is None:
            return
        seconds = self._wall() - call.sent_at
        code = str(read_error_code(frame.code))
        self._bus.publish(
            CallErrorReceived(self._hash_id, self._station_id, call.action, frame.code, frame.description, seconds)
        )
        self._tell("warning", f"the central system refused {call.action}: {frame.code} {frame.description}".rstrip())
        self._failed(call, CallRefusedByPeer(code, frame.description))

    def _answered(self, message_id: str, kind: str) -> QueuedCall | None:
        call = self._in_flight
        if call is None or message_id != self._in_flight_id:
            odd = OddFrameReceived(
                self._hash_id, self._station_id, f"orphan {kind}", f"no CALL waits for the id {message_id!r}"
            )
            self._bus.publish(odd)
            self._tell("warning", f"ignored a {kind} for the id {message_id!r}: no CALL waits for it")
            return None
        self._in_flight = None
        return call

    def _wait_until(self, due: float) -> None:
        """Give the answer that is waited for until ``due``.

        The timer of an earlier CALL stays where it is and looks for this one when it comes: a timer for each CALL would
        cost as much as the rest of its way.
        """
        self._due = due
        if self._deadline is None or self._deadline.wall_deadline > due:
            self._stop_deadline()
            self._deadline = self._services.clock.call_at_wall(due, self._time_out)

    def _time_out(self) -> None:
        call = self._in_flight
        self._deadline = None
        if call is None:
            return
        if self._due > self._wall():
            self._deadline = self._services.clock.call_at_wall(self._due, self._time_out)
            return
        self._in_flight = None
        seconds = self._wall() - call.sent_at
        self._bus.publish(CallTimedOut(self._hash_id, self._station_id, call.action))
        self._tell("warning", f"no answer to {call.action} within {seconds:.0f} s")
        self._failed(call, CallTimeout(f"no response from the central system within {seconds:.0f} s"))

    def _failed(self, call: QueuedCall, error: CallFailed) -> None:
        if not call.of_transaction:
            self._finished(call, outcome.Error(error))
            return
        if call.attempts < max(1, self.rules.attempts()):
            call.not_before = self._wall() + self.rules.retry_interval() * call.attempts
            self._pump()
            return
        self._tell("error", f"{call.action} is given up after {call.attempts} attempt(s): {error}")
        self._finished(call, outcome.Error(error))

    def _finished(self, call: QueuedCall, result: Result) -> None:
        if call.of_transaction:
            self._transaction.pop(0)
        self._done(call, result)
        self._pump()
        self._check_idle()

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # -- idleness --------------------------------------------------------------------------------------------------

    def _is_idle(self) -> bool:
        waiting = self._passing or (self._transaction and self._gate is Gate.ACCEPTED)
        return self._in_flight is None and not waiting

    def _check_idle(self) -> None:
        if self._idle is not None and self._is_idle():
            self._idle.set()
            self._idle = None


def _ignore(_: object) -> None:
    """Nobody waits for the answer."""
