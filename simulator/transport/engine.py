"""trio-websocket, the part of it that we use: its reader loop and wsproto's state under it.

As shipped (0.12.2), a ping that crosses our close ends the whole ``trio.run`` without an error, an unread message stops
the pongs, a peer that stays silent or keeps TCP open makes waits endless, and what the peer did wrong is not told. So
every end of the loop leads to the :class:`Events` of the owner, which neither wait nor fail, and the loop is left by an
exception of ours instead of by one more read.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Protocol

import trio
import trio_websocket
import wsproto.events as ws
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.handshake import H11Handshake
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

# One read from the network. With compression it also bounds what one read can inflate to (a thousand to one).
RECEIVE_SIZE = 16 * 1024


class Events(Protocol):
    """What happens on a connection, as its owner hears of it. Only :meth:`wait_for_room` may wait."""

    def send(self, data: bytes) -> None:
        """Bytes for the peer."""

    def on_request(self, event: ws.Request) -> None:
        """Server: the peer's upgrade request is complete."""

    def on_accept(self, event: ws.AcceptConnection) -> None:
        """Client: the peer has answered with 101."""

    def on_reject(self, event: ws.RejectConnection) -> None:
        """Client: the peer has answered with another status; a body may follow, or never."""

    def on_reject_data(self, event: ws.RejectData) -> bool:
        """Client: a piece of the body of the peer's refusal; tells whether that is enough of it."""

    def on_breach(self, hint: ws.RejectConnection) -> None:
        """Server: the peer's request is none; wsproto's hint for an answer."""

    def on_message(self, piece: str | bytes, finished: bool) -> bool:
        """A message or a piece of one; tells whether to wait for room before reading on."""

    async def wait_for_room(self) -> None:
        """Wait until more may be read."""

    def on_peer_close(self, code: int, reason: str) -> None:
        """The peer's close frame, when it closes first. Ours is on its way already."""

    def on_unreadable(self, code: int, reason: str) -> None:
        """The peer sent what is no WebSocket frame. A close frame that says so is on its way already."""


class _Finished(Exception):
    """Leaves the reader loop: nothing further is wanted from the peer."""


class _Done(H11Handshake):
    """Stands for every handshake that is over."""

    def __init__(self) -> None:
        super().__init__(ConnectionType.CLIENT)

    def events(self) -> Generator[ws.Event, None, None]:
        yield from ()


_DONE = _Done()


class _Wire(WSConnection):
    """wsproto's connection; keeps the text of a breach of the opening handshake, which trio-websocket drops."""

    breach = ""

    def forget_handshake(self) -> None:
        """Let go of h11 and of the headers: one or two kilobytes of the 25 of an idle connection."""
        self.handshake = _DONE

    def receive_data(self, data: bytes | None) -> None:
        try:
            super().receive_data(data)
        except RemoteProtocolError as error:
            self.breach = str(error)
            raise


class Engine(trio_websocket.WebSocketConnection):
    """Reads a stream and turns it into :class:`Events`; makes bytes of what is to be sent.

    What is overridden is private to trio-websocket: its version is pinned, and a test holds the names.

    :param request: the client's upgrade request; ``None`` makes this the server's side.
    """

    def __init__(self, stream: trio.abc.Stream, owner: Events, request: ws.Request | None) -> None:
        kind = ConnectionType.SERVER if request is None else ConnectionType.CLIENT
        self._wire = _Wire(kind)
        super().__init__(stream, self._wire, host="", path="", receive_buffer_size=RECEIVE_SIZE)
        self._owner = owner
        self._initial_request = request

    # -- what the owner uses ---------------------------------------------------------------------------------------

    @property
    def breach(self) -> str:
        """How the peer broke the rules of the opening handshake."""
        return self._wire.breach

    async def run(self) -> None:
        """Read until nothing further is wanted or the stream ends.

        A peer can make wsproto and h11 raise errors of many types (a broken extension parameter, a header that is
        not ASCII); they pass through.
        """
        with contextlib.suppress(_Finished):
            await self._reader_task()

    def frame(self, text: str) -> bytes:
        """The bytes of a text message."""
        return self._wire.send(ws.TextMessage(data=text))

    def emit(self, *events: ws.Event) -> None:
        """Send events. What crosses a close is dropped: there is nobody to take it any more."""
        try:
            data = b"".join([self._wire.send(event) for event in events])
        except LocalProtocolError:
            if self._wire.connection is None:
                raise
            return
        self._owner.send(data)
        if isinstance(events[0], ws.AcceptConnection):
            self._wire.forget_handshake()

    def expect_pong(self, payload: bytes) -> trio.Event:
        """The event of the pong to the ping with this payload, or of the connection's end."""
        pong = trio.Event()
        self._pings[payload] = pong
        return pong

    def forget_pong(self, payload: bytes) -> None:
        """Nobody waits for this pong any more."""
        self._pings.pop(payload, None)

    def release_pongs(self) -> None:
        """Wake everybody who waits for a pong."""
        while self._pings:
            self._pings.popitem()[1].set()

    # -- what trio-websocket calls ---------------------------------------------------------------------------------

    async def _send(self, event: ws.Event) -> None:
        if not isinstance(event, ws.RejectConnection):
            self.emit(event)
        elif not self._wire.client:
            # A breach of the opening handshake. A client has no answer to make.
            self._owner.on_breach(event)

    async def _handle_request_event(self, event: ws.Request) -> None:
        self._owner.on_request(event)

    async def _handle_accept_connection_event(self, event: ws.AcceptConnection) -> None:
        self._initial_request = None
        self._wire.forget_handshake()
        self._owner.on_accept(event)

    async def _handle_reject_connection_event(self, event: ws.RejectConnection) -> None:
        self._owner.on_reject(event)
        if not event.has_body:
            raise _Finished

    async def _handle_reject_data_event(self, event: ws.RejectData) -> None:
        if self._owner.on_reject_data(event):
            raise _Finished

    async def _handle_message_event(self, event: ws.BytesMessage | ws.TextMessage) -> None:
        piece = event.data if isinstance(event, ws.TextMessage) else bytes(event.data)
        if self._owner.on_message(piece, event.message_finished):
            await self._owner.wait_for_room()

    async def _handle_close_connection_event(self, event: ws.CloseConnection) -> None:
        state = self._wire.state
        if state is ConnectionState.REMOTE_CLOSING:
            self.emit(event.response())
            self._owner.on_peer_close(int(event.code), event.reason or "")
        elif state is ConnectionState.OPEN:
            # No close frame: wsproto's verdict on frames that it cannot read.
            self.emit(event)
            self._owner.on_unreadable(int(event.code), event.reason or "unreadable frame")
        raise _Finished

    async def _abort_web_socket(self) -> None:
        # The stream has come to its end, or broken.
        raise _Finished

    async def _close_stream(self) -> None:
        # The peer broke the protocol during the opening handshake.
        raise _Finished
