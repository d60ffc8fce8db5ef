"""A connection of a hub while it is opened: TCP, the upgrade request, its answer. No task of its own, and no stream.

Thousands of stations open theirs at the same moment. Each needs no more for it than this object and its own task, which
is parked once; a stream, and a scope for every stage, would take ten times as much and leave the memory in pieces.
"""

from __future__ import annotations

import socket
from typing import Protocol

import outcome
import trio

from simulator.transport.connection import Limits
from simulator.transport.hub_connection import READABLE, WRITABLE, HubConnection
from simulator.transport.opening import HEAD_LIMIT, Opening


class Dialings(Protocol):
    """What a dialing needs of its hub."""

    def watch_dialing(self, dialing: HubDialing, mask: int) -> None:
        """Tell the dialing when its socket is ready for what the mask says; 0: nothing more, it is over."""

    def adopt_dialed(self, dialing: HubDialing) -> HubConnection:
        """Make a connection of a socket whose opening handshake is done."""


class HubDialing:
    """One connection that is being opened. Whoever asked for it is parked with :meth:`abort` and gets the
    connection; None when the peer has answered anything else than 101: then the socket is theirs.

    :param sock: non-blocking; the dialing owns it.
    :param connected: whether TCP is there; else it is under way.
    :param deadline: of trio's clock, for everything.
    """

    __slots__ = (
        "_hub",
        "_task",
        "_unsent",
        "connected",
        "deadline",
        "fd",
        "limits",
        "mask",
        "max_payload",
        "opening",
        "sock",
    )

    def __init__(
        self,
        hub: Dialings,
        sock: socket.socket,
        opening: Opening,
        *,
        connected: bool,
        deadline: float,
        limits: Limits,
        max_payload: int,
    ) -> None:
        self.sock = sock
        #: The socket's number, also once it is closed.
        self.fd = sock.fileno()
        #: What the hub watches the socket for; the hub's to set.
        self.mask = 0
        self.opening = opening
        self.connected = connected
        self.deadline = deadline
        self.limits = limits
        self.max_payload = max_payload
        self._hub = hub
        self._unsent = opening.request
        self._task: trio.lowlevel.Task | None = trio.lowlevel.current_task()
        try:
            hub.watch_dialing(self, WRITABLE)
        except OSError:
            sock.close()
            raise

    def abort(self, _: object) -> trio.lowlevel.Abort:
        """The task that waits is cancelled: nothing stays open."""
        self._task = None
        self._hub.watch_dialing(self, 0)
        self.sock.close()
        return trio.lowlevel.Abort.SUCCEEDED

    # -- what the hub calls; nothing is raised -----------------------------------------------------------------------

    def writable(self) -> None:
        """TCP has come about or has failed, or there is room for the rest of the request."""
        try:
            if not self.connected:
                number = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    raise OSError(number, "")
                self.connected = True
            self._unsent = self._unsent[self.sock.send(self._unsent) :]
            if not self._unsent:
                self._hub.watch_dialing(self, READABLE)
        except (BlockingIOError, InterruptedError):
            return
        except Exception as error:
            self.fail(error)

    def readable(self) -> None:
        """Something of the answer is there, or its end."""
        try:
            if not self.opening.feed(self.sock.recv(HEAD_LIMIT)):
                return
            if self.opening.status:
                # Whoever waits reads the rest of it.
                self._hub.watch_dialing(self, 0)
                self._end(outcome.Value(None))
            else:
                self._end(outcome.Value(self._hub.adopt_dialed(self)))
        except (BlockingIOError, InterruptedError):
            return
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Nothing comes of it: the socket is closed, and the error comes out where the connection is waited for."""
        if self._task is not None:
            self._hub.watch_dialing(self, 0)
            self.sock.close()
            self._end(outcome.Error(error))

    def _end(self, result: outcome.Outcome[HubConnection | None]) -> None:
        task, self._task = self._task, None
        if task is not None:
            trio.lowlevel.reschedule(task, result)
