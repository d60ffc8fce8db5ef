"""One open connection of a station: the calls on their way in both directions."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import trio

from simulator.ids import MessageIds
from simulator.ocpp.frames import Call, CallError, CallResult, encode_call
from simulator.transport.connection import ConnectionClosed
from simulator.transport.server import ServerConnection

_LATE_IDS_KEPT = 32


class CallFailed(Exception):
    """A CALL to a station brought no CALLRESULT."""


class StationNotConnected(CallFailed):
    """The station has no connection, or lost it before it answered."""


class CallUnanswered(CallFailed):
    """The station did not answer in time."""


class CallRejected(CallFailed):
    """The station answered with a CALLERROR. ``code`` as on the wire."""

    def __init__(self, code: str, description: str, details: object) -> None:
        super().__init__(f"{code}: {description}" if description else code)
        self.code = code
        self.description = description
        self.details = details


class _Outstanding:
    """The CALL that waits for its answer."""

    __slots__ = ("action", "answer", "done", "message_id")

    def __init__(self, message_id: str, action: str) -> None:
        self.message_id = message_id
        self.action = action
        self.done = trio.Event()
        self.answer: CallResult | CallError | None = None


class Link:
    """A connection, the one CALL that is out on it, and the CALLs that came in and have no answer yet.

    :param number: 1 for the first connection of the station, and so on.
    :param posted: told of every text frame that leaves, or None.
    """

    __slots__ = ("_ids", "_late", "_outstanding", "_posted", "_turn", "connection", "ended", "number", "unanswered")

    def __init__(
        self, connection: ServerConnection, number: int, ids: MessageIds, posted: Callable[[str], None] | None
    ) -> None:
        self.connection = connection
        self.number = number
        #: CALLs of the station that have no answer yet, by message id, and when they came on trio's clock.
        self.unanswered: dict[str, tuple[Call, float]] = {}
        self.ended = False
        self._ids = ids
        self._posted = posted
        # Most stations are never called: the lock and the ids of late answers come with the first call.
        self._turn: trio.Lock | None = None
        self._outstanding: _Outstanding | None = None
        self._late: deque[str] | None = None

    def send(self, text: str) -> None:
        """Queue a text frame; never blocks.

        :raises StationNotConnected: the connection is closed.
        """
        try:
            self.connection.post(text)
        except ConnectionClosed as closed:
            raise StationNotConnected(f"the connection is closed ({closed})") from None
        if self._posted is not None:
            self._posted(text)

    def leave_unanswered(self, call: Call) -> None:
        """Remember that a CALL has no answer yet."""
        self.unanswered[call.message_id] = (call, trio.current_time())

    def still_unanswered(self, within: float) -> Call | None:
        """The oldest CALL that has no answer yet, of the last ``within`` seconds; older ones are forgotten."""
        since = trio.current_time() - within
        for message_id, (call, came) in list(self.unanswered.items()):
            if came > since:
                return call
            del self.unanswered[message_id]
        return None

    def answer(self, message_id: str, text: str) -> None:
        """Send the answer to a CALL that was left unanswered."""
        self.unanswered.pop(message_id, None)
        self.send(text)

    async def call(self, action: str, payload: Mapping[str, Any] | msgspec.Struct, timeout: float) -> dict[str, Any]:
        """See :meth:`simulator.csms.station.Station.call`."""
        if self._turn is None:
            self._turn = trio.Lock()
            self._late = deque(maxlen=_LATE_IDS_KEPT)
        try:
            with trio.fail_after(timeout):
                async with self._turn:
                    answer = await self._exchange(action, payload)
        except trio.TooSlowError:
            raise CallUnanswered(f"no answer to {action} within {timeout:g} s") from None
        if isinstance(answer, CallError):
            raise CallRejected(str(answer.code), answer.description, answer.details)
        if not isinstance(answer.payload, dict):
            raise CallFailed(f"the answer to {action} is not an object: {answer.payload!r}")
        return answer.payload

    async def _exchange(self, action: str, payload: Mapping[str, Any] | msgspec.Struct) -> CallResult | CallError:
        if self.ended:
            raise StationNotConnected(f"the connection ended before {action} was sent")
        message_id = self._ids.next()
        outstanding = self._outstanding = _Outstanding(message_id, action)
        try:
            self.send(encode_call(message_id, action, payload))
            await outstanding.done.wait()
        finally:
            self._outstanding = None
            if outstanding.answer is None and self._late is not None:
                self._late.append(message_id)
        if outstanding.answer is None:
            raise StationNotConnected(f"the connection ended before {action} was answered")
        return outstanding.answer

    def take_answer(self, answer: CallResult | CallError) -> str | None:
        """Hand an answer to the call that waits for it.

        :returns: the action it answers, "" if it came too late, None if nothing was asked.
        """
        outstanding = self._outstanding
        if outstanding is not None and outstanding.message_id == answer.message_id and outstanding.answer is None:
            outstanding.answer = answer
            outstanding.done.set()
            return outstanding.action
        if self._late is not None and answer.message_id in self._late:
            self._late.remove(answer.message_id)
            return ""
        return None

    def end(self) -> None:
        """The connection is gone: whoever waits for an answer hears so now."""
        self.ended = True
        self.unanswered.clear()
        if self._outstanding is not None:
            self._outstanding.done.set()
