"""A network in memory: lines that can be refused, cut and silenced. For tests in virtual time."""

from __future__ import annotations

from collections.abc import Callable

import trio

# What a silenced line takes before its sender blocks, about the send buffer of a kernel.
_BUFFER = 64 * 1024


class _Pipe:
    """Bytes on their way in one direction."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.ended = False
        self.silent = False
        self.broken = False
        self.changed = trio.Event()

    def wake(self) -> None:
        self.changed.set()
        self.changed = trio.Event()


class _End(trio.abc.Stream):
    """One end of a line."""

    def __init__(self, outgoing: _Pipe, incoming: _Pipe) -> None:
        self._out = outgoing
        self._in = incoming
        self._closed = False

    def _check_open(self) -> None:
        if self._closed:
            raise trio.ClosedResourceError
        if self._out.broken:
            raise trio.BrokenResourceError("the line was cut")

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        self._check_open()
        while self._out.silent and len(self._out.data) > _BUFFER:
            await self._out.changed.wait()
            self._check_open()
        self._out.data += data
        self._out.wake()

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()
        self._check_open()
        while self._out.silent and len(self._out.data) > _BUFFER:
            await self._out.changed.wait()
            self._check_open()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        while True:
            if self._closed:
                raise trio.ClosedResourceError
            if self._in.broken:
                raise trio.BrokenResourceError("the line was cut")
            if not self._in.silent:
                if self._in.data:
                    chunk = bytes(self._in.data[:max_bytes])
                    del self._in.data[: len(chunk)]
                    self._in.wake()
                    return chunk
                if self._in.ended:
                    return b""
            await self._in.changed.wait()

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._out.ended = True
            self._out.wake()
            self._in.wake()
        await trio.lowlevel.checkpoint()


class Line:
    """One connection between a station and the central system."""

    def __init__(self, number: int) -> None:
        #: 1 for the first line of the network, and so on.
        self.number = number
        self._pipes = (_Pipe(), _Pipe())
        self.client: trio.abc.Stream = _End(self._pipes[0], self._pipes[1])
        self.server: trio.abc.Stream = _End(self._pipes[1], self._pipes[0])

    def _change(self, **flags: bool) -> None:
        for pipe in self._pipes:
            for name, value in flags.items():
                setattr(pipe, name, value)
            pipe.wake()

    def cut(self) -> None:
        """Break both directions at once, without goodbye: what is on its way is lost, both ends raise."""
        self._change(broken=True)

    def black_hole(self) -> None:
        """Deliver nothing any more, and tell nobody: both ends may go on sending until their buffers are full."""
        self._change(silent=True)

    def restore(self) -> None:
        """End the silence: what was sent meanwhile arrives now."""
        self._change(silent=False)


class MemoryNetwork:
    """Makes lines. An instance is the ``open_stream`` of a ``Dialer``.

    :param accept: called with each new line; it must see to it that ``line.server`` is served.
    """

    def __init__(self, accept: Callable[[Line], None]) -> None:
        self._accept = accept
        self.lines: list[Line] = []
        #: Attempts to connect, also those that were refused or never answered.
        self.attempts = 0
        self._refusing = False
        self._silent = False
        self._open = trio.Event()

    async def __call__(self, host: str, port: int) -> trio.abc.Stream:
        await trio.lowlevel.checkpoint()
        self.attempts += 1
        while self._silent:
            await self._open.wait()
        if self._refusing:
            raise ConnectionRefusedError(111, f"connection to {host}:{port} refused")
        line = Line(len(self.lines) + 1)
        self.lines.append(line)
        self._accept(line)
        return line.client

    def refuse(self) -> None:
        """From now on nobody listens: attempts to connect fail at once. Open lines stay."""
        self._refusing = True

    def black_hole(self) -> None:
        """Silence every line, and leave attempts to connect without an answer."""
        self._silent = True
        for line in self.lines:
            line.black_hole()

    def restore(self) -> None:
        """Take connections again, and end the silence of the lines."""
        self._refusing = self._silent = False
        self._open.set()
        self._open = trio.Event()
        for line in self.lines:
            line.restore()

    def cut(self) -> None:
        """Cut every line."""
        for line in self.lines:
            line.cut()
