"""One task that serves the ``ws://`` connections of a whole process.

A task, a cancel scope and a nursery per connection are what most of a fleet's CPU goes to. The hub has one epoll set
that trio watches as a single file: when it becomes readable, every socket that is ready is read, its frames are taken
apart and its messages handed over, all in one go. Sending happens where it is asked for, straight into the socket; only
what a socket does not take at once waits for the hub.

::

    async with open_hub() as hub, Dialer(hub=hub).open(url, ...) as connection:
        await connection.receive_each(print)

Only where the operating system has epoll (:data:`AVAILABLE`), only without TLS and compression; everything else goes
by :mod:`simulator.transport.link`. Users cannot tell the two apart.
"""

from __future__ import annotations

import contextlib
import heapq
import logging
import select
import socket
from collections.abc import AsyncIterator
from itertools import count

import trio

from simulator.outbox import Outbox
from simulator.supervision import leaves
from simulator.transport.connection import GOING_AWAY, INTERNAL_ERROR, Limits
from simulator.transport.hub_connection import READABLE, WRITABLE, HubConnection
from simulator.transport.hub_dialing import HubDialing
from simulator.transport.opening import Opening

log = logging.getLogger("simulator.transport")

#: Whether this operating system can have a hub.
AVAILABLE = hasattr(select, "epoll")

# Sockets that are served before other tasks get their turn.
_BATCH = 256


class Hub:
    """The epoll set of a process and the connections in it. Made by :func:`open_hub`."""

    def __init__(self, outbox: Outbox | None = None) -> None:
        self._outbox = Outbox() if outbox is None else outbox
        self._epoll = select.epoll()
        self._connections: dict[int, HubConnection | HubDialing] = {}
        self._dialings: set[HubDialing] = set()
        # When to look next whether one of them has taken too long.
        self._dialings_at = float("inf")
        self._deadlines: list[tuple[float, int, HubConnection]] = []
        self._order = count()
        self._sleep: trio.CancelScope | None = None

    def __len__(self) -> int:
        """Connections, those that are closing among them."""
        return len(self._connections) - len(self._dialings)

    @property
    def dialing(self) -> int:
        """Connections that are being opened."""
        return len(self._dialings)

    def dial(
        self,
        sock: socket.socket,
        opening: Opening,
        *,
        connected: bool,
        deadline: float,
        limits: Limits,
        max_payload: int,
    ) -> HubDialing:
        """Open a connection over a socket, for the task that calls and then waits; see :class:`HubDialing`.

        :param connected: whether TCP is there; else it is under way.
        :raises OSError: the operating system watches no further socket; it is closed.
        """
        return HubDialing(
            self, sock, opening, connected=connected, deadline=deadline, limits=limits, max_payload=max_payload
        )

    def adopt(
        self, sock: socket.socket, *, subprotocol: str, rest: bytes, limits: Limits, max_payload: int
    ) -> HubConnection:
        """Take over a socket whose opening handshake is done.

        :param rest: what the peer has sent after it.
        :raises OSError: the operating system watches no further socket; it is closed.
        """
        connection = HubConnection(self, sock, subprotocol, limits, max_payload)
        try:
            self.watch(connection, READABLE)
        except OSError:
            sock.close()
            raise
        self._connections[connection.fd] = connection
        if rest:
            self._serve(connection, rest)
        return connection

    # -- what connections use; see Watcher ---------------------------------------------------------------------------

    def watch(self, connection: HubConnection, mask: int) -> None:
        """See :class:`~simulator.transport.hub_connection.Watcher`."""
        if not connection.mask:
            self._epoll.register(connection.fd, mask)
        elif mask:
            self._epoll.modify(connection.fd, mask)
        else:
            # A socket in the set tells of errors even if it is asked for nothing, again and again.
            self._epoll.unregister(connection.fd)
        connection.mask = mask

    def watch_dialing(self, dialing: HubDialing, mask: int) -> None:
        """See :class:`~simulator.transport.hub_dialing.Dialings`."""
        if not dialing.mask:
            self._epoll.register(dialing.fd, mask)
            self._connections[dialing.fd] = dialing
            self._dialings.add(dialing)
            if dialing.deadline < self._dialings_at:
                self._dialings_at = dialing.deadline
                self._wake_by(dialing.deadline)
        elif mask:
            self._epoll.modify(dialing.fd, mask)
        else:
            self._epoll.unregister(dialing.fd)
            self._dialings.discard(dialing)
            self._connections.pop(dialing.fd, None)
        dialing.mask = mask

    def adopt_dialed(self, dialing: HubDialing) -> HubConnection:
        """See :class:`~simulator.transport.hub_dialing.Dialings`."""
        opening = dialing.opening
        connection = HubConnection(self, dialing.sock, opening.subprotocol, dialing.limits, dialing.max_payload)
        connection.mask = dialing.mask
        self._dialings.discard(dialing)
        self._connections[connection.fd] = connection
        if opening.rest:
            self._serve(connection, opening.rest)
        return connection

    def wake_at(self, connection: HubConnection, deadline: float) -> None:
        """See :class:`~simulator.transport.hub_connection.Watcher`."""
        if deadline >= connection.timer_at:
            return
        connection.timer_at = deadline
        heapq.heappush(self._deadlines, (deadline, next(self._order), connection))
        self._wake_by(deadline)

    def release(self) -> None:
        """See :class:`~simulator.transport.hub_connection.Watcher`."""
        self._outbox.release()

    def forget(self, connection: HubConnection) -> None:
        """See :class:`~simulator.transport.hub_connection.Watcher`."""
        if connection.mask:
            self.watch(connection, 0)
        self._connections.pop(connection.fd, None)

    # -- tasks -------------------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Serve sockets, for ever.

        A pause after each round, in which more messages gather, was measured and brings nothing: they gather while this
        and the other tasks work. It would only make the central system look slower than it is.
        """
        fd = self._epoll.fileno()
        while True:
            await trio.lowlevel.wait_readable(fd)
            while self._round() == _BATCH:
                await trio.lowlevel.checkpoint()

    async def keep_time(self) -> None:
        """Tell connections when their time is up, for ever."""
        heap = self._deadlines
        while True:
            at = min(heap[0][0] if heap else float("inf"), self._dialings_at)
            with trio.CancelScope(deadline=at) as self._sleep:
                await trio.sleep_forever()
            self._sleep = None
            now = trio.current_time()
            if self._dialings_at <= now:
                self._end_dialings(now)
            while heap and heap[0][0] <= now:
                deadline, _, connection = heapq.heappop(heap)
                # An earlier deadline may have come after this one.
                if deadline == connection.timer_at:
                    connection.timer_at = float("inf")
                    self._expire(connection, now)

    def close(self) -> None:
        """Close every socket, and the epoll set."""
        for dialing in list(self._dialings):
            dialing.fail(trio.ClosedResourceError("the simulator closes its connections"))
        for connection in list(self._connections.values()):
            if isinstance(connection, HubConnection):
                connection.fail(GOING_AWAY, "the simulator closes its connections")
        self._epoll.close()

    def _round(self) -> int:
        """Serve the sockets that are ready, at most a batch of them; returns how many."""
        connections = self._connections
        ready = self._epoll.poll(0, _BATCH)
        with self._outbox:
            for fd, events in ready:
                connection = connections.get(fd)
                if connection is None:
                    # Closed by one that was served before it.
                    continue
                try:
                    if events & WRITABLE or not connection.mask & READABLE:
                        connection.writable()
                    if events & ~WRITABLE and connection.mask & READABLE:
                        connection.readable()
                except Exception:
                    self._failed(connection)
        return len(ready)

    def _serve(self, connection: HubConnection, data: bytes) -> None:
        try:
            connection.take_bytes(data)
        except Exception:
            self._failed(connection)

    def _wake_by(self, deadline: float) -> None:
        if self._sleep is not None and deadline < self._sleep.deadline:
            self._sleep.deadline = deadline

    def _end_dialings(self, now: float) -> None:
        """End those that have taken too long. All are looked at: a heap would hold on to those that are over."""
        for dialing in [dialing for dialing in self._dialings if dialing.deadline <= now]:
            dialing.fail(trio.TooSlowError())
        # Not for each of them: that would look at n of them n times.
        self._dialings_at = max(min((dialing.deadline for dialing in self._dialings), default=float("inf")), now + 0.05)

    def _expire(self, connection: HubConnection, now: float) -> None:
        try:
            deadline = connection.expired(now)
        except Exception:
            self._failed(connection)
        else:
            if deadline != float("inf"):
                self.wake_at(connection, deadline)

    def _failed(self, connection: HubConnection | HubDialing) -> None:
        # Ours to mend, but no reason to end the other connections.
        log.exception("serving a connection failed")
        if isinstance(connection, HubConnection):  # a dialing sees to that itself
            with contextlib.suppress(OSError):
                connection.fail(INTERNAL_ERROR, "internal error")


@contextlib.asynccontextmanager
async def open_hub(outbox: Outbox | None = None) -> AsyncIterator[Hub]:
    """A hub for the time of an ``async with``. Its connections should end before it; what is left is cut off.

    :param outbox: holds back what is sent while the sockets of one round are read.

    A cancellation from outside ends the body, and only then the hub: connections that close because of it can still
    say so to their peers.
    """
    hub = Hub(outbox)
    failure: BaseException | None = None
    try:
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope(shield=True)
            nursery.start_soon(_run, hub, scope, name="hub")
            try:
                yield hub
            except BaseException as error:
                # Raised again below, outside the nursery, which would wrap it in a group.
                failure = error
            finally:
                scope.cancel()
    except BaseExceptionGroup as group:
        # What connections raise stays in them. What gets here ends the program: KeyboardInterrupt.
        raise next(leaves(group)) from None
    finally:
        hub.close()
    if failure is not None:
        try:
            raise failure
        finally:
            del failure


async def _run(hub: Hub, scope: trio.CancelScope) -> None:
    with scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hub.keep_time, name="hub deadlines")
            await hub.serve()
