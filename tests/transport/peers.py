"""Hand-written peers: a server and a client that speak just enough WebSocket to break its rules."""

from __future__ import annotations

import base64
import hashlib
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial, wraps
from typing import Any

import trio
import trio.testing

from simulator.config.ws_options import WebSocketOptions
from simulator.transport.connection import Connection, ConnectionClosed, Limits
from simulator.transport.hub import Hub, open_hub
from simulator.transport.server import Handler, ServerConnection, ServerOptions, serve_websockets
from simulator.transport.websocket import Dialer

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONTINUATION = 0
NO_OPTIONS = WebSocketOptions()
OCPP = ("ocpp1.6",)

# For tests of what happens when a bound is reached.
SHORT = Limits(send_buffer=256 * 1024, send_timeout=0.5, receive_buffer=64 * 1024, close_timeout=0.5)


class Chosen:
    """The transport that a test runs over; see the fixture ``either_transport``."""

    with_hub = False
    hub: Hub | None = None


@asynccontextmanager
async def chosen_transport() -> AsyncIterator[None]:
    """The hub of a test that wants one, which must be left empty."""
    if not Chosen.with_hub:
        yield
        return
    async with open_hub() as hub:
        Chosen.hub = hub
        try:
            yield
            assert (len(hub), hub.dialing) == (0, 0)
        finally:
            Chosen.hub = None


def within(seconds: float) -> Callable[[Callable[..., Awaitable[None]]], Callable[..., Awaitable[None]]]:
    """A limit of wall seconds for an async test, which gets the hub that it wants."""

    def decorate(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
        @wraps(test)
        async def limited(*args: Any, **kwargs: Any) -> None:
            with trio.fail_after(seconds):
                async with chosen_transport():
                    await test(*args, **kwargs)

        return limited

    return decorate


def make_dialer(limits: Limits | None = None) -> Dialer:
    """A dialer over the transport of the test."""
    return Dialer(limits=limits, hub=Chosen.hub)


def open_connection(
    url: str,
    dialer: Dialer | None = None,
    *,
    subprotocols: Sequence[str] = OCPP,
    options: WebSocketOptions = NO_OPTIONS,
    basic_auth: tuple[str, str | bytes] | None = None,
    open_timeout: float = 30.0,
) -> AbstractAsyncContextManager[Connection]:
    """The dialer's ``open`` with what most tests do not care about filled in."""
    return (dialer or make_dialer()).open(
        url, subprotocols=subprotocols, options=options, basic_auth=basic_auth, open_timeout=open_timeout
    )


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = False) -> bytes:
    """One frame as bytes."""
    head = bytes([(0x80 if fin else 0) | opcode])
    masked = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([masked | len(payload)])
    elif len(payload) < 65536:
        head += bytes([masked | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", len(payload))
    if not mask:
        return head + payload
    key = os.urandom(4)
    return head + key + bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))


def close_frame(code: int, reason: str = "", *, mask: bool = False) -> bytes:
    """A close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode(), mask=mask)


class Peer:
    """One end of a stream, by hand."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self._buffer = b""

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = await self.stream.receive_some(65536)
            if not data:
                raise EOFError
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    async def read_head(self) -> str:
        """An HTTP request or response up to its empty line."""
        while b"\r\n\r\n" not in self._buffer:
            data = await self.stream.receive_some(65536)
            if not data:
                raise EOFError
            self._buffer += data
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        return head.decode()

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def accept(self, subprotocol: str | None = "ocpp1.6", *, then: bytes = b"", extra: str = "") -> str:
        """Read the upgrade request and answer 101; ``then`` goes out in the same segment. Returns the request."""
        request = await self.read_head()
        await self.send(self.accepting(request, subprotocol, extra) + then)
        return request

    @staticmethod
    def accepting(request: str, subprotocol: str | None, extra: str = "") -> bytes:
        key = header_of(request, "Sec-WebSocket-Key") or ""
        token = base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()
        chosen = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol is not None else ""
        return (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {token}\r\n{chosen}{extra}\r\n"
        ).encode()

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and unmasked payload."""
        first, second = await self._take(2)
        length = second & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await self._take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", await self._take(8))
        key = await self._take(4) if second & 0x80 else b"\0\0\0\0"
        payload = await self._take(length)
        return first & 0x0F, bytes(byte ^ key[index % 4] for index, byte in enumerate(payload))

    async def read_close(self) -> tuple[int, str]:
        """Code and reason of the next close frame; other frames are skipped."""
        while True:
            opcode, payload = await self.read_frame()
            if opcode == CLOSE:
                return (struct.unpack("!H", payload[:2])[0], payload[2:].decode()) if payload else (1005, "")

    async def read_to_end(self) -> bytes:
        """Everything up to the end of the stream, however it comes."""
        try:
            while data := await self.stream.receive_some(65536):
                self._buffer += data
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        taken, self._buffer = self._buffer, b""
        return taken


def header_of(head: str, name: str) -> str | None:
    """The value of a header of an HTTP head."""
    for line in head.split("\r\n")[1:]:
        key, _, value = line.partition(":")
        if key.strip().lower() == name.lower():
            return value.strip()
    return None


@asynccontextmanager
async def raw_server(behaviour: Callable[[Peer], Awaitable[object]]) -> AsyncIterator[str]:
    """A TCP server on loopback whose every connection is treated by ``behaviour``; gives the URL of a station on it."""

    async def serve(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, EOFError):
            await behaviour(Peer(stream))

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/CS-1"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def own_server(handler: Handler, options: ServerOptions | None = None) -> AsyncIterator[str]:
    """Our server on loopback; gives the URL of a station on it."""
    async with trio.open_nursery() as nursery:
        addresses = await nursery.start(
            partial(serve_websockets, handler, host="127.0.0.1", port=0, subprotocols=OCPP, options=options)
        )
        yield f"ws://127.0.0.1:{addresses[0][1]}/CS-1"
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def raw_client(url: str) -> AsyncIterator[Peer]:
    """A bare TCP connection to the server of a URL."""
    host, _, port = url.split("/")[2].partition(":")
    stream = await trio.open_tcp_stream(host, int(port))
    async with stream:
        yield Peer(stream)


def upgrade_request(path: str = "/CS-1", subprotocol: str | None = "ocpp1.6", extra: str = "") -> bytes:
    """A correct upgrade request."""
    offered = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offered}{extra}\r\n"
    ).encode()


async def settle() -> None:
    """Wait until nothing moves any more, on the network either."""
    await trio.testing.wait_all_tasks_blocked(0.05)


async def silence(peer: Peer) -> None:
    """Accept TCP and do nothing at all."""
    await trio.sleep_forever()


async def echo(connection: ServerConnection) -> None:
    """Send every text back until the client closes."""
    while True:
        message = await connection.receive()
        connection.post(message if isinstance(message, str) else message.decode())


async def end_of(connection: Connection) -> ConnectionClosed:
    """Receive until the connection ends and give its end."""
    try:
        while True:
            await connection.receive()
    except ConnectionClosed as closed:
        return closed
