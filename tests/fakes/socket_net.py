"""The loopback network as one that can be refused and cut. For tests in virtual time over real sockets."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import trio

# SO_LINGER on, for no time: closing resets the connection (struct linger of <sys/socket.h>).
_NO_GOODBYE = struct.pack("@ii", 1, 0)


class SocketLine(trio.abc.Stream):
    """The central system's end of a connection that a station has made."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self._stream = stream
        self._cut = False

    @property
    def server(self) -> trio.abc.Stream:
        """What to serve."""
        return self

    def cut(self) -> None:
        """Reset the connection, without goodbye: both ends raise."""
        self._cut = True
        if self._stream.socket.fileno() >= 0:
            self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_GOODBYE)
            self._stream.socket.close()

    def _lost(self, error: trio.ClosedResourceError) -> Exception:
        return trio.BrokenResourceError("the line was cut") if self._cut else error

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except trio.ClosedResourceError as error:
            raise self._lost(error) from error

    async def wait_send_all_might_not_block(self) -> None:
        try:
            await self._stream.wait_send_all_might_not_block()
        except trio.ClosedResourceError as error:
            raise self._lost(error) from error

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        try:
            return bytes(await self._stream.receive_some(max_bytes))
        except trio.ClosedResourceError as error:
            raise self._lost(error) from error

    async def aclose(self) -> None:
        await self._stream.aclose()


class SocketNetwork:
    """A port of 127.0.0.1 that takes connections while :meth:`serve` runs.

    :param accept: called with each new line; it must see to it that ``line.server`` is served.
    """

    def __init__(self, accept: Callable[[SocketLine], None]) -> None:
        self._accept = accept
        self.lines: list[SocketLine] = []
        # Keeps the port while nobody listens on it: connections are refused then, by whoever they come.
        self._kept = _bound(0)
        self.port: int = self._kept.getsockname()[1]
        self._listener: trio.SocketListener | None = None
        self._changed = trio.Event()

    @property
    def url(self) -> str:
        """Where stations connect to."""
        return f"ws://127.0.0.1:{self.port}/ocpp/"

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Accept connections until cancelled, except while they are refused."""
        self.restore()
        task_status.started()
        try:
            while True:
                try:
                    await self._accept_all()
                except trio.ClosedResourceError:
                    await self._changed.wait()
        finally:
            self.refuse()
            self._kept.close()

    async def _accept_all(self) -> None:
        while self._listener is not None:
            line = SocketLine(await self._listener.accept())
            self.lines.append(line)
            self._accept(line)
        raise trio.ClosedResourceError

    def refuse(self) -> None:
        """From now on nobody listens: attempts to connect fail at once. Open lines stay."""
        if self._listener is not None:
            self._listener.socket.close()
            self._listener = None

    def restore(self) -> None:
        """Take connections again."""
        if self._listener is None:
            sock = _bound(self.port)
            sock.listen()
            self._listener = trio.SocketListener(trio.socket.from_stdlib_socket(sock))
            self._changed.set()
            self._changed = trio.Event()

    def cut(self) -> None:
        """Cut every line."""
        for line in self.lines:
            line.cut()


def _bound(port: int) -> socket.socket:
    sock = socket.socket()
    # Two sockets may have the port, as only one of them ever listens.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    return sock
