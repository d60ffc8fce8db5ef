"""Virtual time for tests whose sockets are real: it passes only when no byte is under way between two of them.

Both ends of every connection are in this process, so the kernel can be asked: ``TCP_INFO`` of each socket says how much
it has sent and received (Linux). While the two ends of a connection disagree, a connection is only half open, or a
thread is at work, the clock stands. Elsewhere the clock waits a little in real time instead.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from contextlib import suppress
from typing import Any, NamedTuple

import trio
from trio.testing import wait_all_tasks_blocked

# Real seconds: how long the kernel is given before it is asked again.
_LOOK = 0.001
# Looks at sockets that do not come to rest before they are let be: their peer is outside, or reads no more.
_PATIENCE = 2000
# Without TCP_INFO: so many looks in which nothing happens are taken for rest.
_UNSEEN = 30

_KNOWS = sys.platform == "linux"
# States of <netinet/tcp.h>. Of those on their way to another one nothing is known yet.
_CLOSE, _CLOSE_WAIT, _LISTEN = 7, 8, 10
_UNDER_WAY = frozenset({2, 3, 4, 9, 11})
# struct tcp_info of <linux/tcp.h>: where its members are.
_UNACKED, _RECEIVED, _NOT_SENT, _SENT, _RETRANSMITTED = 24, 128, 144, 200, 208
_U32, _U64 = struct.Struct("@I"), struct.Struct("@Q")
_INFO_SIZE = 216


class _End(NamedTuple):
    """One end of a connection, in the words of the kernel."""

    state: int
    sent: int
    received: int
    waiting: int
    unacknowledged: int


_Sockets = dict[tuple[Any, Any], _End]


class Sight(NamedTuple):
    """The TCP sockets of this process at an instant."""

    sockets: _Sockets
    at_rest: bool


def look() -> Sight:
    """Ask the kernel for every TCP socket of this process, and trio whether a thread is at work."""
    sockets: _Sockets = {}
    connecting = False
    for name in os.listdir("/proc/self/fd") if _KNOWS else ():
        # What another thread closes meanwhile is no socket any more.
        with suppress(OSError):
            found = _end_of(int(name))
            if found is not None and found[0] is None:
                connecting = True
            elif found is not None:
                sockets[found[0]] = found[1]
    busy = trio.to_thread.current_default_thread_limiter().borrowed_tokens > 0
    return Sight(sockets, not connecting and not busy and all(_rests(sockets, ends) for ends in sockets))


def _end_of(fd: int) -> tuple[Any, _End] | None:
    """The two addresses of a connection (None while it is being made) and what the kernel knows of this end."""
    if not os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
        return None
    sock = socket.socket(fileno=fd)
    try:
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or sock.type != socket.SOCK_STREAM:
            return None
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_SIZE)
        if len(info) < _INFO_SIZE or info[0] in (_CLOSE, _LISTEN):
            return None
        end = _End(
            state=info[0],
            sent=_U64.unpack_from(info, _SENT)[0] - _U64.unpack_from(info, _RETRANSMITTED)[0],
            received=_U64.unpack_from(info, _RECEIVED)[0],
            waiting=_U32.unpack_from(info, _NOT_SENT)[0],
            unacknowledged=_U32.unpack_from(info, _UNACKED)[0],
        )
        return (None if end.state in _UNDER_WAY else (sock.getsockname(), sock.getpeername())), end
    finally:
        sock.detach()


def _rests(sockets: _Sockets, ends: tuple[Any, Any]) -> bool:
    """Whether all that went out of an end has come in at the other one, and all that was done there is known here."""
    end, peer = sockets[ends], sockets.get((ends[1], ends[0]))
    if peer is not None:
        return not end.waiting and peer.received >= end.sent
    # The peer has not been accepted yet, or its FIN or RST is under way, unless the FIN has come.
    return end.state == _CLOSE_WAIT and not end.unacknowledged


async def settle() -> None:
    """Return when every task waits and nothing is under way to any: ``wait_all_tasks_blocked`` with sockets."""
    former: Sight | None = None
    for _ in range(_PATIENCE):
        await wait_all_tasks_blocked(0 if former is not None and former.at_rest and _KNOWS else _LOOK / 2)
        sight = look()
        if sight.at_rest and sight == former:
            return
        former = sight


class SocketClock(trio.abc.Clock, trio.abc.Instrument):
    """A clock that stands still, and jumps to the next deadline when nothing can happen before it.

    Must be among the instruments of its run as well: ``trio.run(test, clock=clock, instruments=[clock])``.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._former: Sight | None = None
        self._looks = 0
        #: How often time has passed.
        self.jumps = 0
        #: How often it had to wait for the kernel or a thread.
        self.waits = 0

    def start_clock(self) -> None:
        """Nothing to start."""

    def current_time(self) -> float:
        """Virtual seconds."""
        return self._now

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Something happens: what was seen before is no longer true."""
        self._former = None
        self._looks = 0

    def deadline_to_sleep_time(self, deadline: float) -> float:
        """How long to watch the sockets, in real seconds. trio asks whenever no task can run, before it watches.

        Time passes at the second of two looks that saw the same: trio has watched the sockets between them, nothing
        came, and by the first look nothing was under way.
        """
        if deadline <= self._now:
            return 0
        if deadline == float("inf"):
            return deadline
        sight = look()
        self._looks += 1
        seen = self._looks > 1 if _KNOWS else self._looks > _UNSEEN
        if (sight.at_rest and seen and sight == self._former) or self._looks > _PATIENCE:
            self.jumps += 1
            self._now, self._former, self._looks = deadline, None, 0
            return 0
        self.waits += not sight.at_rest
        self._former = sight
        return _LOOK
