"""One WebSocket over one stream, either side of it.

trio-websocket reads and keeps the protocol's state; this module replaces how it sends, queues and ends, because as
shipped a ping that crosses our close ends the whole ``trio.run``, an unread message stops the pongs, and some waits
have no end. The rules instead:

* Frames are made when they are posted and queued as bytes (:mod:`simulator.transport.outbox`), so nobody who sends ever
  waits or can be cancelled in the middle of a frame.
* The reader task is the connection's life. It waits for those who receive only when ``Limits.receive_buffer`` is full;
  when the connection ends, for whatever reason, it flushes, closes the stream and is done, all within a deadline.
* Both tasks run in shielded scopes of their own. They outlive a cancelled user for as long as an orderly close takes,
  and no exception of theirs reaches the nursery.
"""

from __future__ import annotations

import contextlib
import sys
from collections import deque
from collections.abc import Sequence
from io import BytesIO, StringIO
from itertools import count

import trio
import trio_websocket
import wsproto.events as ws
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from simulator.transport.connection import ABNORMAL, NORMAL, PROTOCOL_ERROR, TOO_BIG, ConnectionClosed, Limits
from simulator.transport.outbox import Outbox
from simulator.transport.tap import Tap

Headers = list[tuple[bytes, bytes]]

DEFAULT_MAX_PAYLOAD = 16 * 1024 * 1024

# One read from the network. With compression it also bounds what one read can inflate to (a thousand to one).
_RECEIVE_SIZE = 16 * 1024
# So much of the body of an HTTP refusal is kept for the log.
_REFUSAL_BODY = 4 * 1024
# After a refusal or a breach of the protocol we go on reading for this long at most: closing a socket with unread data
# resets it, and the reset overtakes the answer that says why.
_LINGER = 1.0
# A write failed: the close frame or the error that says why may still be on its way in.
_LAST_WORDS = 1.0

_PING_NUMBERS = count()


class Refusal:
    """An HTTP answer other than 101 to our upgrade."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: Headers) -> None:
        self.status = status
        self.headers = headers
        self.body = b""


class _Finished(Exception):
    """Leaves trio-websocket's reader loop: nothing further is wanted from the peer."""


class _Protocol(WSConnection):
    """wsproto's connection; keeps the text of a breach of the protocol, which trio-websocket drops."""

    breach = ""

    def receive_data(self, data: bytes | None) -> None:
        try:
            super().receive_data(data)
        except RemoteProtocolError as error:
            self.breach = str(error)
            raise


class _Engine(trio_websocket.WebSocketConnection):
    """trio-websocket's connection with its ends tied to a :class:`Link`.

    What is overridden is private to trio-websocket: its version is pinned, and a test holds the names.
    """

    def __init__(self, link: Link, stream: Tap, protocol: WSConnection, request: ws.Request | None) -> None:
        super().__init__(stream, protocol, host="", path="", receive_buffer_size=_RECEIVE_SIZE)
        self._link = link
        self._initial_request = request

    async def _send(self, event: ws.Event) -> None:
        self._link.emit(event)

    async def _handle_request_event(self, event: ws.Request) -> None:
        self._link.on_request(event)

    async def _handle_accept_connection_event(self, event: ws.AcceptConnection) -> None:
        self._link.on_accept(event)

    async def _handle_reject_connection_event(self, event: ws.RejectConnection) -> None:
        self._link.on_reject(event)

    async def _handle_reject_data_event(self, event: ws.RejectData) -> None:
        self._link.on_reject_data(event)

    async def _handle_message_event(self, event: ws.BytesMessage | ws.TextMessage) -> None:
        if self._link.on_message(event):
            await self._link.wait_for_room()

    async def _handle_close_connection_event(self, event: ws.CloseConnection) -> None:
        self._link.on_close(event)

    async def _abort_web_socket(self) -> None:
        # The stream has come to its end, or broken.
        raise _Finished

    async def _close_stream(self) -> None:
        # The peer broke the protocol during the opening handshake.
        raise _Finished

    async def run(self) -> None:
        """Read until nothing further is wanted or the stream ends."""
        with contextlib.suppress(_Finished):
            await self._reader_task()

    def expect_pong(self, payload: bytes) -> trio.Event:
        """The event of the pong to the ping with this payload, or of the connection's end."""
        pong = trio.Event()
        self._pings[payload] = pong
        return pong

    def forget_pong(self, payload: bytes) -> None:
        self._pings.pop(payload, None)

    def release_pongs(self) -> None:
        while self._pings:
            self._pings.popitem()[1].set()


class Link:
    """A :class:`~simulator.transport.connection.Connection` over a stream that it owns.

    The dialer and the server make it and own the opening handshake: ``start``, wait for ``opened``, look, ``finish``.

    :param request: the upgrade request to send; ``None`` makes this the server's side.
    :param max_payload: the largest message taken from the peer, in bytes; a larger one ends the connection with 1009.
    """

    __slots__ = (
        "_end",
        "_engine",
        "_inbox",
        "_inbox_size",
        "_limits",
        "_max_payload",
        "_message",
        "_message_size",
        "_outbox",
        "_protocol",
        "_receiver",
        "_scope",
        "_starved_reader",
        "breach",
        "done",
        "established",
        "opened",
        "refusal",
        "request",
        "stream",
        "subprotocol",
    )

    def __init__(
        self,
        stream: trio.abc.Stream,
        nursery: trio.Nursery,
        *,
        request: ws.Request | None,
        limits: Limits,
        max_payload: int = DEFAULT_MAX_PAYLOAD,
    ) -> None:
        self.stream = Tap(stream)
        self.subprotocol = ""
        #: The opening handshake has come to a result, one way or the other.
        self.opened = trio.Event()
        #: The opening handshake has succeeded.
        self.established = False
        #: On the server's side: the peer's request.
        self.request: ws.Request | None = None
        #: On the client's side: the peer's answer when it was no 101.
        self.refusal: Refusal | None = None
        #: How the peer broke the protocol.
        self.breach = ""
        #: Everything is over and the stream is closed.
        self.done = trio.Event()
        self._limits = limits
        self._max_payload = max_payload
        self._protocol = _Protocol(ConnectionType.SERVER if request is None else ConnectionType.CLIENT)
        self._engine = _Engine(self, self.stream, self._protocol, request)
        self._outbox = Outbox(self.stream, nursery, limits, stalled=self._on_stalled, broken=self._on_broken_write)
        self._end: tuple[int, str] | None = None
        self._inbox: deque[str | bytes] = deque()
        self._inbox_size = 0
        self._message: StringIO | BytesIO | None = None
        self._message_size = 0
        self._receiver: trio.lowlevel.Task | None = None
        self._starved_reader: trio.lowlevel.Task | None = None
        self._scope = trio.CancelScope(shield=True)
        nursery.start_soon(self._read, name="websocket reader")

    def __repr__(self) -> str:
        return f"<Link {self.subprotocol or 'without subprotocol'} {'open' if self._end is None else self._end}>"

    # -- what a station uses ---------------------------------------------------------------------------------------

    def post(self, text: str) -> None:
        """See :class:`~simulator.transport.connection.Connection`."""
        if self._end is None and self._outbox.size > self._limits.send_buffer:
            self._on_stalled()
        if self._end is not None:
            raise ConnectionClosed(*self._end)
        self._outbox.put(self._protocol.send(ws.TextMessage(data=text)))

    async def receive(self) -> str | bytes:
        """See :class:`~simulator.transport.connection.Connection`. One task at a time."""
        if self._inbox:
            await trio.lowlevel.checkpoint_if_cancelled()
        while not self._inbox:
            if self._end is not None:
                await trio.lowlevel.checkpoint()
                raise ConnectionClosed(*self._end)
            if self._receiver is not None:
                raise RuntimeError("only one task may receive from a connection")
            self._receiver = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort_receive)
        message = self._inbox.popleft()
        self._inbox_size -= sys.getsizeof(message)
        if self._starved_reader is not None and self._inbox_size <= self._limits.receive_buffer:
            self._feed_reader()
        return message

    async def ping(self, timeout: float) -> float:
        """See :class:`~simulator.transport.connection.Connection`."""
        if self._end is not None:
            await trio.lowlevel.checkpoint()
            raise ConnectionClosed(*self._end)
        payload = next(_PING_NUMBERS).to_bytes(8, "big")
        pong = self._engine.expect_pong(payload)
        begun = trio.current_time()
        self.emit(ws.Ping(payload=payload))
        try:
            with trio.move_on_after(timeout):
                await pong.wait()
        finally:
            self._engine.forget_pong(payload)
        if not pong.is_set():
            self.fail(ABNORMAL, f"no pong within {timeout:g} s")
        if self._end is not None:
            raise ConnectionClosed(*self._end)
        return trio.current_time() - begun

    async def aclose(self, code: int = NORMAL, reason: str = "") -> None:
        """See :class:`~simulator.transport.connection.Connection`."""
        self.close_soon(code, reason)
        await self.done.wait()

    # -- what the dialer and the server use ------------------------------------------------------------------------

    def close_soon(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake, which then goes on by itself within ``Limits.close_timeout``."""
        if not 1000 <= code <= 4999:
            raise ValueError(f"a close code is between 1000 and 4999, not {code}")
        if self._end is not None:
            return
        if not self.established:
            self.fail(ABNORMAL, "closed during the opening handshake")
            return
        self._finish_by(self._limits.close_timeout)
        self.emit(ws.CloseConnection(code=code, reason=reason))
        self._inbox.clear()
        self._ended(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """End at once, without a closing handshake."""
        self._ended(code, reason)
        self._outbox.stop()
        self._scope.cancel()

    async def finish(self) -> None:
        """Close if still open and wait for the end, shielded: within ``Limits.close_timeout`` everything is over."""
        self.close_soon()
        with trio.CancelScope(shield=True):
            await self.done.wait()

    def accept(self, subprotocol: str | None, headers: Headers, *, compress: bool = False) -> None:
        """Server: answer the request with 101."""
        extensions = [PerMessageDeflate()] if compress else []
        self.subprotocol = subprotocol or ""
        self.emit(ws.AcceptConnection(subprotocol=subprotocol, extensions=list(extensions), extra_headers=headers))
        self.established = True

    def reject(self, status: int, body: bytes = b"", headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
        """Server: answer the request with an HTTP status and no WebSocket; the connection then ends by itself."""
        self._ended(ABNORMAL, f"refused with HTTP {status}")
        self._finish_by(_LINGER)
        own = [(b"Content-Length", b"%d" % len(body)), (b"Connection", b"close")]
        if body:
            own.append((b"Content-Type", b"text/plain; charset=utf-8"))
        data = self._protocol.send(ws.RejectConnection(status_code=status, headers=own + list(headers), has_body=True))
        self._outbox.put(data + self._protocol.send(ws.RejectData(data=body)))

    # -- what the engine calls -------------------------------------------------------------------------------------

    def emit(self, event: ws.Event) -> None:
        """Queue the bytes of an event. What crosses a close is dropped: there is nobody to take it any more."""
        if isinstance(event, ws.RejectConnection):
            # wsproto's hint after a breach of the opening handshake. A client has no answer to make.
            if not self._protocol.client:
                self._refuse_breach(event)
            return
        try:
            data = self._protocol.send(event)
        except LocalProtocolError:
            if self._protocol.connection is None:
                raise
            return
        self._outbox.put(data)

    def on_request(self, event: ws.Request) -> None:
        """Server: the peer's upgrade request is complete."""
        self.request = event
        self.opened.set()

    def on_accept(self, event: ws.AcceptConnection) -> None:
        """Client: the peer has answered with 101."""
        self.subprotocol = event.subprotocol or ""
        self.established = True
        self.opened.set()

    def on_reject(self, event: ws.RejectConnection) -> None:
        """Client: the peer has answered with another status; its body may follow, or never."""
        self.refusal = Refusal(event.status_code, list(event.headers))
        self.opened.set()
        if not event.has_body:
            raise _Finished

    def on_reject_data(self, event: ws.RejectData) -> None:
        """Client: a piece of the body of the peer's refusal."""
        assert self.refusal is not None
        self.refusal.body += event.data
        if event.body_finished or len(self.refusal.body) > _REFUSAL_BODY:
            self.refusal.body = self.refusal.body[:_REFUSAL_BODY]
            raise _Finished

    def on_message(self, event: ws.BytesMessage | ws.TextMessage) -> bool:
        """A message or a piece of one; tells whether the inbox is full now."""
        if self._end is not None:
            return False
        data: str | bytes = event.data if isinstance(event, ws.TextMessage) else bytes(event.data)
        self._message_size += len(data) if isinstance(data, bytes) or data.isascii() else len(data.encode())
        if self._message_size > self._max_payload:
            self._message = None
            self.close_soon(TOO_BIG, f"message larger than {self._max_payload} bytes")
            return False
        if not event.message_finished or self._message is not None:
            if self._message is None:
                self._message = StringIO() if isinstance(data, str) else BytesIO()
            self._message.write(data)  # type: ignore[arg-type]  # wsproto keeps the type through a message
            if not event.message_finished:
                return False
            data = self._message.getvalue()
            self._message = None
        self._message_size = 0
        self._inbox.append(data)
        self._inbox_size += sys.getsizeof(data)
        self._wake_receiver()
        return self._inbox_size > self._limits.receive_buffer

    async def wait_for_room(self) -> None:
        """Keep the reader, and by TCP the peer, waiting until messages have been fetched."""
        while self._inbox_size > self._limits.receive_buffer and self._end is None:
            self._starved_reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort_starving)

    def on_close(self, event: ws.CloseConnection) -> None:
        """The peer's close frame, or wsproto's verdict on frames that it cannot read."""
        state = self._protocol.state
        if state is ConnectionState.REMOTE_CLOSING:
            self.emit(event.response())
            self._ended(int(event.code), event.reason or "")
        elif state is ConnectionState.OPEN:
            self.breach = event.reason or "unreadable frame"
            self.emit(ws.CloseConnection(code=event.code, reason=event.reason))
            self._ended(int(event.code), f"peer broke the protocol: {self.breach}")
        raise _Finished

    # -- the life of the connection --------------------------------------------------------------------------------

    async def _read(self) -> None:
        closed = False
        try:
            with self._scope:
                await self._read_all()
                self._finish_by(self._limits.close_timeout)
                await self._outbox.flush()
                if self.breach:
                    await self._linger()
                await self._close_stream()
                closed = True
        finally:
            self._outbox.stop()
            if not closed:
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(self.stream)
            self._ended(ABNORMAL, self.stream.fault)
            self.done.set()

    async def _read_all(self) -> None:
        try:
            await self._engine.run()
        except Exception as error:
            # wsproto and h11 do not turn everything that a peer can send into their own errors.
            self.breach = str(error) or type(error).__name__
        self.breach = self.breach or self._protocol.breach
        if self._end is not None:
            return
        if self.breach:
            if self.established:
                self.emit(ws.CloseConnection(code=PROTOCOL_ERROR, reason=self.breach))
            self._ended(PROTOCOL_ERROR, f"peer broke the protocol: {self.breach}")
        elif self.refusal is None:
            # The stream is at its end: nobody is left to read what is still queued.
            self._outbox.stop()
            self._ended(ABNORMAL, self.stream.fault)

    async def _linger(self) -> None:
        with trio.move_on_after(_LINGER), contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while await self.stream.receive_some(_RECEIVE_SIZE):
                pass

    async def _close_stream(self) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await self.stream.aclose()

    def _ended(self, code: int, reason: str) -> None:
        """The connection is over for its users; the first reason stays."""
        if self._end is None:
            self._end = (code, reason)
        self.opened.set()
        self._wake_receiver()
        self._engine.release_pongs()
        if self._starved_reader is not None:
            self._feed_reader()

    def _finish_by(self, seconds: float) -> None:
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + seconds)

    def _refuse_breach(self, hint: ws.RejectConnection) -> None:
        breach = self._protocol.breach
        headers = list(hint.headers)
        status = hint.status_code
        if breach.startswith(("Missing header, 'Connection", "Missing header, 'Upgrade")):
            # An ordinary HTTP request: RFC 9110 §15.5.22.
            status, breach = 426, "this is a WebSocket server"
            headers.append((b"Upgrade", b"websocket"))
        self.reject(status, f"{breach}\n".encode(), headers)

    def _on_stalled(self) -> None:
        self.fail(ABNORMAL, "peer does not read")

    def _on_broken_write(self) -> None:
        self._finish_by(_LAST_WORDS)

    def _wake_receiver(self) -> None:
        if self._receiver is not None:
            task, self._receiver = self._receiver, None
            trio.lowlevel.reschedule(task)

    def _abort_receive(self, _: object) -> trio.lowlevel.Abort:
        self._receiver = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _feed_reader(self) -> None:
        task, self._starved_reader = self._starved_reader, None
        assert task is not None
        trio.lowlevel.reschedule(task)

    def _abort_starving(self, _: object) -> trio.lowlevel.Abort:
        self._starved_reader = None
        return trio.lowlevel.Abort.SUCCEEDED
