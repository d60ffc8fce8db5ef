"""A session of the UI protocol on a WebSocket: requests come, answers go when they are ready, news go in between."""

from __future__ import annotations

from typing import Protocol

import trio

from simulator.control.control import Control
from simulator.telemetry.log import get_logger
from ui_protocol import SUBPROTOCOL
from ui_protocol.base import Response
from ui_protocol.frames import FrameError, SrpcRequest, encode_response, parse_request
from ui_protocol.procedures import find_procedure

log = get_logger("simulator.ui")

#: Requests of one client that are under way at the same time; further ones wait in its own line.
MOST_IN_FLIGHT = 64

NORMAL, GOING_AWAY, PROTOCOL_ERROR, INVALID_DATA, INTERNAL_ERROR = 1000, 1001, 1002, 1007, 1011


class Socket(Protocol):
    """An open WebSocket. When the client is gone the task that runs the session is cancelled."""

    async def receive(self) -> str | bytes:
        """The next message."""
        ...

    async def send(self, data: str) -> None:
        """Send a text message; waits while the client does not read."""
        ...

    async def close(self, code: int, reason: str | None = None) -> None:
        """Close the connection."""
        ...


class Session:
    """One client. It ends with :meth:`run`, and takes with it what it has asked for.

    :param goodbye: set when the server ends.
    """

    def __init__(self, socket: Socket, control: Control, goodbye: trio.Event) -> None:
        self._socket = socket
        self._control = control
        self._goodbye = goodbye
        self._follower = control.follower()
        self._slots = trio.Semaphore(MOST_IN_FLIGHT)
        #: Lists may be large: one client has one at a time in memory, from its making until it is sent.
        self._one_list = trio.Lock()
        self._pending: set[str] = set()
        self._close_with: tuple[int, str] | None = None

    async def run(self) -> None:
        """Serve the client until one of the two has had enough. On cancel nothing more is sent."""
        with trio.CancelScope() as scope:
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._tell_news)
                    nursery.start_soon(self._say_goodbye, scope)
                    await self._take_requests(nursery, scope)
            except Exception:
                log.exception("a UI session crashed")
                self._close_with = (INTERNAL_ERROR, "internal error")
        if self._close_with is not None:
            await self._socket.close(*self._close_with)

    def _end(self, scope: trio.CancelScope, code: int, reason: str) -> None:
        if self._close_with is None:
            self._close_with = (code, reason)
        scope.cancel()

    async def _say_goodbye(self, scope: trio.CancelScope) -> None:
        await self._goodbye.wait()
        self._end(
            scope, GOING_AWAY, "the simulator ends" if self._control.going_away.is_set() else "the UI server moves"
        )

    async def _tell_news(self) -> None:
        while True:
            for text in await self._follower.next():
                await self._socket.send(text)

    async def _take_requests(self, nursery: trio.Nursery, scope: trio.CancelScope) -> None:
        while True:
            await self._slots.acquire()
            message = await self._socket.receive()
            try:
                request = parse_request(message)
            except FrameError as error:
                self._end(scope, INVALID_DATA, str(error))
                return
            nursery.start_soon(self._answer, request)

    async def _answer(self, request: SrpcRequest) -> None:
        try:
            if is_list(request.procedure):
                async with self._one_list:
                    await self._call(request)
            else:
                await self._call(request)
        finally:
            self._slots.release()

    async def _call(self, request: SrpcRequest) -> None:
        if request.uuid in self._pending:
            answer = Response(
                status="failure",
                command=request.procedure[:100],
                error_message="a request of this uuid is not answered yet",
            )
        else:
            self._pending.add(request.uuid)
            try:
                answer = await self._control.call(request.procedure, request.payload, self._follower)
            finally:
                self._pending.discard(request.uuid)
        await self._socket.send(encode_response(request.uuid, answer))


def is_list(name: str) -> bool:
    """Whether the answer of a procedure grows with the fleet."""
    procedure = find_procedure(name)
    return procedure is not None and procedure.group == "Fleet"


def offers_protocol(subprotocols: list[str]) -> bool:
    """Whether a client speaks this protocol."""
    return SUBPROTOCOL in subprotocols
