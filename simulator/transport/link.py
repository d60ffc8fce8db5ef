"""One WebSocket over one stream, either side of it.

* Frames are made when they are posted and queued as bytes, so nobody who sends ever waits or can be cancelled in the
  middle of a frame (:mod:`simulator.transport.outbox`).
* The reader task is the connection's life. It waits for those who receive only when ``Limits.receive_buffer`` is full;
  when the connection ends, for whatever reason, it flushes, closes the stream and is done, all within a deadline.
* Reader and writer run in shielded scopes of their own. They outlive a cancelled user for as long as an orderly close
  takes, and no exception of theirs reaches the nursery.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from itertools import count
from typing import NoReturn

import trio
import wsproto.events as ws
from wsproto.extensions import PerMessageDeflate

from simulator.transport.connection import ABNORMAL, NORMAL, PROTOCOL_ERROR, TOO_BIG, ConnectionClosed, Limits
from simulator.transport.engine import RECEIVE_SIZE, Engine
from simulator.transport.inbox import Inbox
from simulator.transport.opening import REFUSAL_BODY, Headers, Refusal, UpgradeRequest
from simulator.transport.outbox import Outbox
from simulator.transport.tap import Tap

log = logging.getLogger("simulator.transport")

DEFAULT_MAX_PAYLOAD = 16 * 1024 * 1024

# After a refusal or a breach of the protocol we go on reading for this long at most: closing a socket with unread data
# resets it, and the reset overtakes the answer that says why.
_LINGER = 1.0
# A write failed: the close frame or the error that says why may still be on its way in.
_LAST_WORDS = 1.0

_PING_NUMBERS = count()


def request_event(request: UpgradeRequest) -> ws.Request:
    """An upgrade request as wsproto has it."""
    return ws.Request(
        host=request.host,
        target=request.target,
        subprotocols=list(request.subprotocols),
        extensions=[PerMessageDeflate()] if request.deflate else [],
        extra_headers=list(request.extra_headers),
    )


class Link:
    """A :class:`~simulator.transport.connection.Connection` over a stream that it owns.

    The dialer and the server make it and own the opening handshake: wait for ``opened``, look, and ``finish``.

    :param nursery: where its tasks run; it must outlive ``finish``.
    :param request: the upgrade request to send; ``None`` makes this the server's side.
    :param max_payload: the largest message taken from the peer, in bytes; a larger one ends the connection with 1009.
    """

    __slots__ = (
        "_end",
        "_engine",
        "_inbox",
        "_limits",
        "_max_payload",
        "_outbox",
        "_scope",
        "breach",
        "done",
        "established",
        "opened",
        "refusal",
        "request",
        "stream",
        "subprotocol",
        "trust_anchor",
    )

    def __init__(
        self,
        stream: trio.abc.Stream,
        nursery: trio.Nursery,
        *,
        request: UpgradeRequest | None,
        limits: Limits,
        max_payload: int = DEFAULT_MAX_PAYLOAD,
    ) -> None:
        self.stream = Tap(stream)
        self.subprotocol = ""
        self.trust_anchor = b""
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
        self._inbox = Inbox(max_payload=max_payload, limit=limits.receive_buffer)
        self._outbox = Outbox(self.stream, nursery, limits, stalled=self._stalled, broken=self._write_broke)
        self._engine = Engine(self.stream, self, None if request is None else request_event(request))
        self._end: tuple[int, str] | None = None
        self._scope = trio.CancelScope(shield=True)
        nursery.start_soon(self._live, name="websocket")

    def __repr__(self) -> str:
        return f"<Link {self.subprotocol or 'without subprotocol'} {'open' if self._end is None else self._end}>"

    # -- what a station uses; see Connection -------------------------------------------------------------------------

    def post(self, text: str | bytes) -> None:
        """See :class:`~simulator.transport.connection.Connection`."""
        if self._end is None and self._outbox.size > self._limits.send_buffer:
            self._stalled()
        if self._end is not None:
            raise ConnectionClosed(*self._end)
        self._outbox.put(self._engine.frame(text if isinstance(text, str) else text.decode()))

    async def receive(self) -> str | bytes:
        """See :class:`~simulator.transport.connection.Connection`. One task at a time."""
        message = await self._inbox.receive()
        if message is None:
            raise self._closed()
        return message

    async def receive_each(self, take: Callable[[str | bytes], object]) -> NoReturn:
        """See :class:`~simulator.transport.connection.Connection`."""
        while True:
            take(await self.receive())

    async def ping(self, timeout: float) -> float:
        """See :class:`~simulator.transport.connection.Connection`."""
        if self._end is not None:
            await trio.lowlevel.checkpoint()
            raise self._closed()
        payload = next(_PING_NUMBERS).to_bytes(8, "big")
        pong = self._engine.expect_pong(payload)
        begun = trio.current_time()
        self._engine.emit(ws.Ping(payload=payload))
        try:
            with trio.move_on_after(timeout):
                await pong.wait()
        finally:
            self._engine.forget_pong(payload)
        if not pong.is_set():
            self.fail(ABNORMAL, f"no pong within {timeout:g} s")
        if self._end is not None:
            raise self._closed()
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
        self._inbox.discard()
        self._close(code, reason)

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

    def accept(self, subprotocol: str | None, *, compress: bool = False) -> None:
        """Server: answer the request with 101."""
        self.subprotocol = subprotocol or ""
        extensions = [PerMessageDeflate()] if compress else []
        self._engine.emit(ws.AcceptConnection(subprotocol=subprotocol, extensions=list(extensions)))
        self.established = True

    def reject(self, status: int, body: bytes = b"", headers: Headers = ()) -> None:
        """Server: answer with an HTTP status and no WebSocket; the connection then ends by itself."""
        self._ended(ABNORMAL, f"refused with HTTP {status}")
        self._finish_within(_LINGER)
        own = [
            (b"Content-Type", b"text/plain; charset=utf-8"),
            (b"Content-Length", b"%d" % len(body)),
            (b"Connection", b"close"),
        ]
        self._engine.emit(
            ws.RejectConnection(status_code=status, headers=[*own, *headers], has_body=True), ws.RejectData(data=body)
        )

    # -- what the engine reports; see Events -----------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        """See :class:`~simulator.transport.engine.Events`."""
        if self._outbox.size > self._limits.send_buffer:
            # Pongs, mostly: a peer that pings without reading must not fill the memory either.
            self._stalled()
        self._outbox.put(data)

    def on_request(self, event: ws.Request) -> None:
        """See :class:`~simulator.transport.engine.Events`."""
        self.request = event
        self.opened.set()

    def on_accept(self, event: ws.AcceptConnection) -> None:
        """See :class:`~simulator.transport.engine.Events`."""
        self.subprotocol = event.subprotocol or ""
        self.established = True
        self.opened.set()

    def on_reject(self, event: ws.RejectConnection) -> None:
        """See :class:`~simulator.transport.engine.Events`."""
        self.refusal = Refusal(event.status_code, list(event.headers))
        self.opened.set()

    def on_reject_data(self, event: ws.RejectData) -> bool:
        """See :class:`~simulator.transport.engine.Events`."""
        assert self.refusal is not None
        self.refusal.body = (self.refusal.body + event.data)[:REFUSAL_BODY]
        return event.body_finished or len(self.refusal.body) == REFUSAL_BODY

    def on_breach(self, hint: ws.RejectConnection) -> None:
        """See :class:`~simulator.transport.engine.Events`."""
        status, text, headers = hint.status_code, self._engine.breach, list(hint.headers)
        if text.startswith(("Missing header, 'Connection", "Missing header, 'Upgrade")):
            # An ordinary HTTP request: RFC 9110 §15.5.22.
            status, text = 426, "this is a WebSocket server"
            headers.append((b"Upgrade", b"websocket"))
        self.reject(status, f"{text}\n".encode(), headers)

    def on_message(self, piece: str | bytes, finished: bool) -> bool:
        """See :class:`~simulator.transport.engine.Events`."""
        if self._end is not None:
            # We are closing: read on for the peer's close frame, keep nothing.
            return False
        if not self._inbox.add(piece, finished=finished):
            # What came before it can still be received.
            self._close(TOO_BIG, f"message larger than {self._max_payload} bytes")
        return self._inbox.full

    async def wait_for_room(self) -> None:
        """See :class:`~simulator.transport.engine.Events`."""
        await self._inbox.wait_for_room()

    def on_peer_close(self, code: int, reason: str) -> None:
        """See :class:`~simulator.transport.engine.Events`."""
        self._ended(code, reason)

    def on_unreadable(self, code: int, reason: str) -> None:
        """See :class:`~simulator.transport.engine.Events`."""
        self.breach = reason
        self._ended(code, f"peer broke the protocol: {reason}")

    # -- the life of the connection --------------------------------------------------------------------------------

    async def _live(self) -> None:
        closed = False
        try:
            with self._scope:
                await self._read()
                self._finish_within(self._limits.close_timeout)
                await self._outbox.flush()
                if self.breach and (self.established or self._engine.is_server):
                    await self._linger()
                with contextlib.suppress(trio.BrokenResourceError):
                    await self.stream.aclose()
                closed = True
        finally:
            self._outbox.stop()
            if not closed:
                with trio.CancelScope(shield=True):
                    await trio.aclose_forcefully(self.stream)
            self._ended(ABNORMAL, self.stream.fault)
            self.done.set()

    async def _read(self) -> None:
        try:
            await self._engine.run()
        except Exception as error:
            log.debug("reading from a peer failed", exc_info=error)
            self.breach = str(error) or type(error).__name__
        self.breach = self.breach or self._engine.breach
        if self._end is not None:
            return
        if self.breach:
            if self.established:
                self._engine.emit(ws.CloseConnection(code=PROTOCOL_ERROR, reason=self.breach))
            elif self._engine.is_server:
                with contextlib.suppress(Exception):
                    self.reject(400, b"unreadable request\n")
            self._ended(PROTOCOL_ERROR, f"peer broke the protocol: {self.breach}")
        elif self.refusal is None:
            # The stream is at its end: nobody is left to read what is still queued.
            self._outbox.stop()
            self._ended(ABNORMAL, self.stream.fault)

    async def _linger(self) -> None:
        with trio.move_on_after(_LINGER), contextlib.suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            if isinstance(self.stream.stream, trio.abc.HalfCloseableStream):
                # A peer that waits for our end of TCP sees it now.
                await self.stream.stream.send_eof()
            while await self.stream.receive_some(RECEIVE_SIZE):
                pass

    def _closed(self) -> ConnectionClosed:
        assert self._end is not None
        return ConnectionClosed(*self._end)

    def _close(self, code: int, reason: str) -> None:
        self._finish_within(self._limits.close_timeout)
        self._engine.emit(ws.CloseConnection(code=code, reason=reason))
        self._ended(code, reason)

    def _ended(self, code: int, reason: str) -> None:
        """The connection is over for its users; the first reason stays."""
        if self._end is None:
            self._end = (code, reason)
        self.opened.set()
        self._inbox.end()
        self._engine.release_pongs()

    def _finish_within(self, seconds: float) -> None:
        self._scope.deadline = min(self._scope.deadline, trio.current_time() + seconds)

    def _stalled(self) -> None:
        self.fail(ABNORMAL, "peer does not read")

    def _write_broke(self) -> None:
        self._finish_within(_LAST_WORDS)
