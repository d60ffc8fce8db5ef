"""Serves the web application: hypercorn's HTTP/1.1 protocol over trio streams, each connection within walls of its own.

Of hypercorn only the protocol is used. Its own server lets an exception of one connection end all of them, writes to a
client that does not read for ever and uncancellably, and cuts open WebSockets at the end; here a connection that fails
is closed, one that takes no bytes for :data:`SEND_WITHIN` seconds too, and sessions are told goodbye.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
from functools import partial
from typing import Any

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, Data, Request, StreamClosed
from hypercorn.protocol.events import Event as ProtocolEvent
from hypercorn.protocol.h11 import STREAM_ID, H11Protocol, H11WSConnection
from hypercorn.protocol.http_stream import HTTPStream
from hypercorn.protocol.ws_stream import WSStream
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from tricycle import open_service_nursery

from simulator.control.control import Control
from simulator.supervision import leaves, one_line
from simulator.telemetry.log import get_logger
from simulator.ui_server.http import build_app
from simulator.ui_server.listeners import CannotListen, listen
from simulator.ui_server.settings import UiSettings
from simulator.ui_server.tls import server_context

__all__ = ["CannotListen", "serve_ui"]

log = get_logger("simulator.ui")

#: Wall seconds within which a client must take some of what is sent to it.
SEND_WITHIN = 10.0
#: Bytes that are sent at a time.
CHUNK = 64 * 1024
#: Wall seconds for a request to come, and between two requests on one connection.
IDLE = 20.0
#: Wall seconds for the TLS handshake.
HANDSHAKE_WITHIN = 10.0
#: Wall seconds that a client gets to take the last bytes and to close its side.
LINGER = 2.0
#: Wall seconds for all sessions together to say goodbye when the server ends.
GOODBYE_WITHIN = 1.5
_RECEIVE = 64 * 1024


async def serve_ui(
    settings: UiSettings, control: Control, *, task_status: trio.TaskStatus[list[str]] = trio.TASK_STATUS_IGNORED
) -> None:
    """Serve until cancelled. The started value is the list of URLs to reach it by.

    :raises CannotListen: the address cannot be bound, or the certificate cannot be read.

    Once ``control.say_goodbye()`` was called the sessions are closed with 1001, and requests are still answered. On
    cancel the same happens first; it takes at most :data:`GOODBYE_WITHIN` seconds.
    """
    context = None if settings.tls is None else server_context(settings.tls)
    server = Server(settings, control, context)
    with await listen(settings) as listeners:
        for warning in settings.warnings():
            log.warning("%s", warning)
        sockets = [trio.SocketListener(trio.socket.from_stdlib_socket(bound)) for bound in listeners.sockets]
        async with open_service_nursery() as connections:
            try:
                async with trio.open_nursery() as accepting:
                    accepting.start_soon(server.pass_on_goodbye)
                    await accepting.start(
                        partial(trio.serve_listeners, server.serve, sockets, handler_nursery=connections)
                    )
                    log.info("UI server: %s", ", ".join(listeners.urls))
                    task_status.started(listeners.urls)
            finally:
                server.goodbye.set()
                with trio.CancelScope(shield=True, deadline=trio.current_time() + GOODBYE_WITHIN):
                    await server.sessions_ended()
                server.abort()
                connections.cancel_scope.cancel()


class Server:
    """What the connections of one server share."""

    def __init__(self, settings: UiSettings, control: Control, tls: ssl.SSLContext | None) -> None:
        #: Set when the server ends; sessions then close.
        self.goodbye = trio.Event()
        self.app = ASGIWrapper(build_app(settings, control, self.goodbye))
        self._control = control
        self.tls = tls
        self.config = _config(settings)
        self.context = WorkerContext(None)
        self._most = settings.max_connections
        self._open: set[Connection] = set()
        self._changed = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection to its end; whatever happens stays in it."""
        if len(self._open) >= self._most:
            log.warning("UI server: more than %s connections, so one is refused; close some clients", self._most)
            await trio.aclose_forcefully(stream)
            return
        connection = Connection(self, stream)
        self._open.add(connection)
        try:
            await connection.run()
        except Exception as error:
            log.info("UI server: a connection failed: %s", one_line(error))
        except BaseExceptionGroup as group:
            if any(not isinstance(leaf, Exception | trio.Cancelled) for leaf in leaves(group)):
                raise
            log.info("UI server: a connection failed: %s", one_line(group))
        finally:
            self._open.discard(connection)
            self.told()

    async def pass_on_goodbye(self) -> None:
        """End the sessions when the simulator ends."""
        await self._control.going_away.wait()
        self.goodbye.set()

    def told(self) -> None:
        """A connection has ended, or its session."""
        self._changed.set()
        self._changed = trio.Event()

    async def sessions_ended(self) -> None:
        """Wait until no WebSocket session is open."""
        while any(connection.in_session for connection in self._open):
            await self._changed.wait()

    def abort(self) -> None:
        """Give up on bytes that clients do not take."""
        for connection in self._open:
            connection.abort()


class Connection:
    """One connection: bytes in, bytes out, deadlines for both."""

    def __init__(self, server: Server, stream: trio.SocketStream) -> None:
        self._server = server
        self._socket = stream
        self._stream: trio.SocketStream | trio.SSLStream[trio.SocketStream] = stream
        _keep_alive(stream)
        self._lock = trio.Lock()
        self._scope = trio.CancelScope()
        self._reading: trio.CancelScope | None = None
        self._sending: trio.CancelScope | None = None
        self._read_until = trio.current_time() + IDLE
        #: The protocol has said its last word.
        self._closed = False
        self._protocol: UiProtocol | None = None

    @property
    def in_session(self) -> bool:
        """Whether a WebSocket is open here that the server has not closed."""
        return not self._closed and self._protocol is not None and isinstance(self._protocol.stream, WebSocketStream)

    async def run(self) -> None:
        """Serve until either side is done."""
        try:
            with self._scope:
                if self._server.tls is not None:
                    secure = trio.SSLStream(self._socket, self._server.tls, server_side=True, https_compatible=True)
                    self._stream = secure
                    with trio.fail_after(HANDSHAKE_WITHIN):
                        await secure.do_handshake()
                async with TaskGroup() as group:
                    self._protocol = self._make_protocol(group)
                    await self._read(self._protocol)
                    self._scope.cancel()
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            pass
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1.0):
                await self._stream.aclose()

    def abort(self) -> None:
        """Stop sending at once."""
        self._closed = True
        if self._sending is not None:
            self._sending.cancel()

    def _make_protocol(self, group: TaskGroup) -> UiProtocol:
        server = self._server
        return UiProtocol(
            server.app,
            server.config,
            server.context,
            group,
            ConnectionState({}),
            server.tls is not None,
            _address(self._socket.socket.getpeername()),
            _address(self._socket.socket.getsockname()),
            self._send,
        )

    async def _read(self, protocol: UiProtocol) -> None:
        while True:
            with trio.CancelScope(deadline=self._read_until) as self._reading:
                data = await self._stream.receive_some(_RECEIVE)
            if self._reading.cancelled_caught or not data:
                break
            if not self._closed:  # what comes after the last word is read and forgotten, so that it is not refused
                await protocol.handle(RawData(bytes(data)))
        self._read_until = float("inf")
        with trio.move_on_after(1.0):
            await protocol.handle(Closed())

    async def _send(self, event: Event) -> None:
        """What the protocol wants done."""
        if isinstance(event, RawData):
            await self._send_bytes(event.data)
        elif isinstance(event, Closed):
            await self._send_end()
        elif isinstance(event, Updated) and not self._closed:
            self._set_deadline(trio.current_time() + IDLE if event.idle else float("inf"))

    async def _send_bytes(self, data: bytes) -> None:
        async with self._lock:
            try:
                # Shielded: half a frame on the wire would spoil all that follow. The deadline keeps it short.
                with trio.CancelScope(shield=True) as self._sending:
                    for begin in range(0, len(data), CHUNK):
                        self._sending.deadline = trio.current_time() + SEND_WITHIN
                        await self._stream.send_all(data[begin : begin + CHUNK])
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._scope.cancel()
            else:
                if self._sending.cancelled_caught:
                    self._scope.cancel()
            finally:
                self._sending = None

    async def _send_end(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._server.told()
        self._set_deadline(trio.current_time() + LINGER)
        if isinstance(self._stream, trio.SocketStream):
            try:
                await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
                self._scope.cancel()
        else:
            self._set_deadline(trio.current_time())

    def _set_deadline(self, deadline: float) -> None:
        self._read_until = deadline
        if self._reading is not None:
            self._reading.deadline = deadline


# -- protocol ----------------------------------------------------------------------------------------------------------


class ImpatientClient(Exception):
    """A client sent frames before it was let in (RFC 6455 §4.1 forbids it)."""


class WebSocketStream(WSStream):
    """A WebSocket that ends where hypercorn's stays open, deaf: after too large a message, and before it was let in."""

    async def handle(self, event: ProtocolEvent) -> None:
        """Take what came from the client."""
        if isinstance(event, Body | Data) and not self.handshake.accepted and not self.closed:
            raise ImpatientClient("frames before the end of the opening handshake")
        await super().handle(event)

    async def _handle_events(self) -> None:
        await super()._handle_events()
        if self.buffer.length > self.buffer.max_length:
            await self.send(StreamClosed(stream_id=self.stream_id))


class UiProtocol(H11Protocol):
    """HTTP/1.1 and nothing else: no upgrade to HTTP/2, no compression of WebSocket messages.

    A list of thousands of stations takes a quarter of a second to compress, in which no station could do anything.
    """

    async def _check_protocol(self, event: h11.Request) -> None:
        """Whatever the client would rather speak (RFC 9110 §7.8 lets the server ignore that)."""

    async def _create_stream(self, request: h11.Request) -> None:
        upgrade = _tokens(request, b"upgrade")
        if request.method == b"GET" and b"websocket" in upgrade and b"upgrade" in _tokens(request, b"connection"):
            kind: type[HTTPStream] | type[WSStream] = WebSocketStream
        else:
            kind = HTTPStream
        self.stream = kind(
            self.app,
            self.config,
            self.context,
            self.task_group,
            self.ssl,
            self.client,
            self.server,
            self.stream_send,
            STREAM_ID,
        )
        if kind is WebSocketStream:
            assert isinstance(self.connection, h11.Connection)
            self.connection = H11WSConnection(self.connection)
        await self.stream.handle(
            Request(
                stream_id=STREAM_ID,
                headers=[(name, value) for name, value in request.headers if name != b"sec-websocket-extensions"],
                http_version=request.http_version.decode(),
                method=request.method.decode("ascii").upper(),
                raw_path=request.target,
                state=self.connection_state,
            )
        )
        self.keep_alive_requests += 1


def _tokens(request: h11.Request, header: bytes) -> set[bytes]:
    """The comma-separated words of a header, in lower case."""
    return {word.strip().lower() for name, value in request.headers if name == header for word in value.split(b",")}


def _keep_alive(stream: trio.SocketStream) -> None:
    """Let the system find out that a silent client is gone: pings of the WebSocket would go unchecked."""
    for level, name, value in (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", 60_000),
    ):
        option = getattr(socket, name, None)
        if option is not None:
            with contextlib.suppress(OSError):  # a Unix socket, or a system without it
                stream.setsockopt(level, option, value)


def _address(name: Any) -> tuple[str, int] | None:
    """Host and port of a socket's name; None for a Unix socket."""
    return (str(name[0]), int(name[1])) if isinstance(name, tuple) else None


def _config(settings: UiSettings) -> Config:
    config = Config()
    config.errorlog = logging.getLogger("simulator.ui.http")
    config.accesslog = None
    config.include_server_header = False
    config.h11_max_incomplete_size = 64 * 1024
    config.keep_alive_max_requests = 1_000_000_000
    config.websocket_max_message_size = settings.max_message_size
    return config
