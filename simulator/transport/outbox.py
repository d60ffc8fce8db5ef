"""The sending side of a connection: a bounded queue and a writer that lives only while there is something in it."""

from __future__ import annotations

import logging
from collections.abc import Callable

import trio

from simulator.transport.connection import Limits
from simulator.transport.tap import Tap

log = logging.getLogger("simulator.transport")

# One write to the network. Each has `send_timeout` of its own, so a slow peer that does take bytes stays connected.
_SEND_SIZE = 16 * 1024


class Outbox:
    """Queues bytes without waiting and sends them in order.

    The writer is a task of its own in a shielded scope, started when bytes come and none runs: an idle connection
    keeps no task for sending, and a cancelled user leaves no half-sent frame.

    :param stalled: called when the peer takes nothing for ``Limits.send_timeout``.
    :param broken: called when the stream breaks under a write.
    """

    __slots__ = (
        "_broken",
        "_flushed",
        "_limits",
        "_nursery",
        "_queue",
        "_scope",
        "_stalled",
        "_stopped",
        "_stream",
        "size",
    )

    def __init__(
        self,
        stream: Tap,
        nursery: trio.Nursery,
        limits: Limits,
        *,
        stalled: Callable[[], object],
        broken: Callable[[], object],
    ) -> None:
        self._stream = stream
        self._nursery = nursery
        self._limits = limits
        self._stalled = stalled
        self._broken = broken
        self._queue: list[bytes] = []
        self._scope: trio.CancelScope | None = None
        self._flushed: trio.Event | None = None
        self._stopped = False
        #: Bytes that the stream has not taken yet.
        self.size = 0

    def put(self, data: bytes) -> None:
        """Queue for sending; dropped after :meth:`stop`."""
        if self._stopped:
            return
        self._queue.append(data)
        self.size += len(data)
        if self._scope is None:
            self._scope = trio.CancelScope(shield=True)
            self._nursery.start_soon(self._write, self._scope, name="websocket writer")

    async def flush(self) -> None:
        """Wait until everything is sent or the outbox is stopped. Bound it from outside."""
        while self._scope is not None:
            if self._flushed is None:
                self._flushed = trio.Event()
            await self._flushed.wait()

    def stop(self) -> None:
        """Drop what is queued and send nothing any more."""
        self._stopped = True
        self._queue.clear()
        self.size = 0
        if self._scope is not None:
            self._scope.cancel()

    async def _write(self, scope: trio.CancelScope) -> None:
        broke = False
        with scope:
            try:
                while self._queue:
                    data = self._queue[0] if len(self._queue) == 1 else b"".join(self._queue)
                    self._queue.clear()
                    if len(data) <= _SEND_SIZE:
                        scope.deadline = trio.current_time() + self._limits.send_timeout
                        await self._stream.send_all(data)
                        self.size -= len(data)
                    else:
                        await self._write_pieces(scope, memoryview(data))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                broke = True
            except Exception:
                log.exception("writing to a peer failed")
                broke = True
        self._scope = None
        stalled = scope.cancelled_caught and not self._stopped
        if broke or stalled:
            self.stop()
        if self._flushed is not None:
            self._flushed.set()
            self._flushed = None
        if stalled:
            self._stalled()
        elif broke:
            self._broken()

    async def _write_pieces(self, scope: trio.CancelScope, data: memoryview) -> None:
        for start in range(0, len(data), _SEND_SIZE):
            piece = data[start : start + _SEND_SIZE]
            scope.deadline = trio.current_time() + self._limits.send_timeout
            await self._stream.send_all(piece)
            self.size -= len(piece)
