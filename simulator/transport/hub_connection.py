"""One WebSocket of a hub: a socket, what was read of it, what it has not taken yet. No task of its own.

The hub calls :meth:`HubConnection.readable`, ``writable`` and ``expired`` when the kernel or the time says so, and none
of them waits. While nothing moves, a connection is its socket and a dozen references.
"""

from __future__ import annotations

import logging
import socket
import sys
from collections import deque
from collections.abc import Callable
from enum import IntEnum
from itertools import count
from typing import NoReturn, Protocol

import outcome
import trio

from simulator.transport.connection import ABNORMAL, INVALID_DATA, NORMAL, ConnectionClosed, Limits
from simulator.transport.framing import (
    BREACH,
    CLOSE,
    PING,
    PONG,
    TEXT,
    TOO_LARGE,
    FrameReader,
    client_frame,
    close_payload,
    whole_text,
)
from simulator.transport.tap import ENDED, describe

log = logging.getLogger("simulator.transport")

# One read from the network, and one write of what has piled up.
_RECEIVE_SIZE = 64 * 1024
_SEND_SIZE = 64 * 1024
# After a breach of the protocol we go on reading for this long at most: closing a socket with unread data resets it,
# and the reset overtakes the close frame that says why.
_LINGER = 1.0
# A write failed: the close frame or the error that says why may still be on its way in.
_LAST_WORDS = 1.0

# EPOLLIN and EPOLLOUT, by which name the module `select` has them on Linux only.
READABLE = 0x1
WRITABLE = 0x4

_ONE_RECEIVER = "only one task may receive from a connection"

_NEVER = float("inf")
_PING_NUMBERS = count()


class _State(IntEnum):
    """How far a connection is on its way from open to closed."""

    #: Both may send messages.
    OPEN = 0
    #: Our close frame is on its way, the peer's is awaited.
    CLOSING = 1
    #: Close frames have gone both ways; what waits is sent, then the socket is closed.
    FLUSHING = 2
    #: The peer broke the protocol: the close frame that says so is sent, then the peer's end of TCP is awaited.
    LINGERING = 3
    #: The socket is closed.
    DONE = 4


class Watcher(Protocol):
    """What a connection needs of its hub."""

    def watch(self, connection: HubConnection, mask: int) -> None:
        """Tell the connection when its socket is ready for what the mask says; 0: nothing."""

    def wake_at(self, connection: HubConnection, deadline: float) -> None:
        """Call ``expired`` when trio's clock reaches the deadline, or a little later."""

    def release(self) -> None:
        """Send the frames that are held back."""

    def forget(self, connection: HubConnection) -> None:
        """The connection is over; its socket is about to be closed."""


class HubConnection:
    """A :class:`~simulator.transport.connection.Connection` on a hub.

    :param sock: non-blocking and connected; the connection owns it.
    :param max_payload: the largest message taken from the peer, in bytes; a larger one ends the connection with 1009.
    """

    __slots__ = (
        "__weakref__",
        "_broken",
        "_done",
        "_end",
        "_end_at",
        "_hub",
        "_limits",
        "_max_payload",
        "_messages",
        "_out",
        "_pings",
        "_reader",
        "_receiver",
        "_sock",
        "_stall_at",
        "_state",
        "_take",
        "_unread",
        "fd",
        "mask",
        "subprotocol",
        "timer_at",
        "trust_anchor",
    )

    def __init__(self, hub: Watcher, sock: socket.socket, subprotocol: str, limits: Limits, max_payload: int) -> None:
        self.subprotocol = subprotocol
        self.trust_anchor = b""
        #: The socket's number, also once it is closed.
        self.fd = sock.fileno()
        #: What the hub watches the socket for; the hub's to set.
        self.mask = 0
        #: When the hub will call ``expired``; the hub's to set.
        self.timer_at = _NEVER
        self._hub = hub
        self._sock = sock
        self._limits = limits
        self._max_payload = max_payload
        self._state = _State.OPEN
        self._end: tuple[int, str] | None = None
        self._broken: OSError | None = None
        self._stall_at = _NEVER
        self._end_at = _NEVER
        # What follows is there only while there is something in it.
        self._out: bytearray | None = None
        self._reader: FrameReader | None = None
        self._messages: deque[str | bytes] | None = None
        self._unread = 0
        self._take: Callable[[str | bytes], object] | None = None
        self._receiver: trio.lowlevel.Task | None = None
        self._pings: dict[bytes, trio.Event] | None = None
        self._done: trio.Event | None = None

    def __repr__(self) -> str:
        return f"<HubConnection {self.subprotocol or 'without subprotocol'} {self._end or 'open'}>"

    # -- what a station uses; see Connection -------------------------------------------------------------------------

    def post(self, text: str | bytes) -> None:
        """See :class:`~simulator.transport.connection.Connection`."""
        if self._end is None:
            self._send(client_frame(TEXT, text.encode() if isinstance(text, str) else text))
        if self._end is not None:
            raise self._closed()

    async def receive(self) -> str | bytes:
        """See :class:`~simulator.transport.connection.Connection`. One task at a time."""
        if self._messages:
            await trio.lowlevel.checkpoint_if_cancelled()
        while not self._messages:
            if self._end is not None:
                await trio.lowlevel.checkpoint()
                raise self._closed()
            await self._park()
        return self._pop()

    async def receive_each(self, take: Callable[[str | bytes], object]) -> NoReturn:
        """See :class:`~simulator.transport.connection.Connection`. One task at a time."""
        await trio.lowlevel.checkpoint_if_cancelled()
        while self._messages:
            take(self._pop())
        if self._end is None:
            if self._receiver is not None:
                raise RuntimeError(_ONE_RECEIVER)
            self._take = take
            self._receiver = trio.lowlevel.current_task()
            try:
                # Not by `_park`: a frame of it for each idle station counts.
                await trio.lowlevel.wait_task_rescheduled(self._abort_receiver)
            finally:
                self._take = None
        else:
            await trio.lowlevel.checkpoint()
        raise self._closed()

    async def ping(self, timeout: float) -> float:
        """See :class:`~simulator.transport.connection.Connection`."""
        if self._end is not None:
            await trio.lowlevel.checkpoint()
            raise self._closed()
        payload = next(_PING_NUMBERS).to_bytes(8, "big")
        if self._pings is None:
            self._pings = {}
        pong = self._pings[payload] = trio.Event()
        begun = trio.current_time()
        self._send(client_frame(PING, payload))
        try:
            with trio.move_on_after(timeout):
                await pong.wait()
        finally:
            if self._pings is not None:
                self._pings.pop(payload, None)
                self._pings = self._pings or None
        if not pong.is_set():
            self.fail(ABNORMAL, f"no pong within {timeout:g} s")
        if self._end is not None:
            raise self._closed()
        return trio.current_time() - begun

    async def aclose(self, code: int = NORMAL, reason: str = "") -> None:
        """See :class:`~simulator.transport.connection.Connection`."""
        self.close_soon(code, reason)
        await self._wait_done()

    # -- what the dialer and the hub use -----------------------------------------------------------------------------

    def close_soon(self, code: int = NORMAL, reason: str = "") -> None:
        """Begin the closing handshake, which then goes on by itself within ``Limits.close_timeout``."""
        if not 1000 <= code <= 4999:
            raise ValueError(f"a close code is between 1000 and 4999, not {code}")
        if self._end is None:
            self._messages, self._unread = None, 0
            self._close(code, reason)

    def fail(self, code: int, reason: str) -> None:
        """End at once, without a closing handshake."""
        self._ended(code, reason)
        self._finish()

    async def finish(self) -> None:
        """Close if still open and wait for the end, shielded: within ``Limits.close_timeout`` everything is over."""
        self.close_soon()
        with trio.CancelScope(shield=True):
            await self._wait_done()

    def readable(self) -> None:
        """The socket has something, or has ended or broken."""
        try:
            data = self._sock.recv(_RECEIVE_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lost(error)
            return
        if not data:
            self._lost(None)
        elif self._take is None or self._reader is not None or self._state is not _State.OPEN:
            self.take_bytes(data)
        else:
            # What almost all reads are: one whole text for somebody who takes it here and now.
            try:
                text = whole_text(data, self._max_payload)
            except UnicodeDecodeError:
                text = None
            if text is None:
                self.take_bytes(data)
                return
            try:
                self._take(text)
            except BaseException as error:
                self._take_failed(error)

    def take_bytes(self, data: bytes) -> None:
        """Go on with bytes that the peer has sent."""
        if self._state is _State.LINGERING:
            return
        reader = self._reader
        if reader is None:
            try:
                text = whole_text(data, self._max_payload)
            except UnicodeDecodeError as error:
                self._breach(INVALID_DATA, f"a text is not UTF-8: {error.reason}")
                return
            if text is not None:
                self._message(text)
                return
            reader = FrameReader(self._max_payload)
            if self._end is not None:
                reader.discard()
        events = reader.feed(data)
        self._reader = None if reader.at_rest else reader
        for kind, value in events:
            if self._state is _State.DONE:
                return
            if isinstance(value, tuple):
                self._hub.release()  # answers to what came before it
                if kind == CLOSE:
                    self._peer_closes(*value)
                elif kind == BREACH:
                    self._breach(*value)
                elif kind == TOO_LARGE:
                    self._close(*value)
            elif kind < CLOSE:
                self._message(value)
            else:
                assert isinstance(value, bytes)
                self._ping_or_pong(kind, value)

    def writable(self) -> None:
        """The socket takes bytes again, or has broken."""
        out = self._out
        if out is None:
            self._rewatch()
            return
        try:
            with memoryview(out) as whole, whole[:_SEND_SIZE] as piece:
                sent = self._sock.send(piece)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._write_broke(error)
            return
        del out[:sent]
        if out:
            self._stall_at = trio.current_time() + self._limits.send_timeout
        else:
            self._out, self._stall_at = None, _NEVER
            self._flushed()

    def expired(self, now: float) -> float:
        """Time has passed: end what has taken too long. Returns the next instant to look again, maybe never."""
        if self._stall_at <= now:
            self.fail(ABNORMAL, "peer does not read")
        elif self._end_at <= now:
            self._lost(self._broken)
        return min(self._stall_at, self._end_at)

    # -- sending -----------------------------------------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        out = self._out
        if out is not None:
            if len(out) > self._limits.send_buffer:
                # Also for pongs: a peer that pings without reading must not fill the memory either.
                self.fail(ABNORMAL, "peer does not read")
            else:
                out += data
            return
        if self._broken is not None:
            return
        try:
            sent = self._sock.send(data)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError as error:
            self._write_broke(error)
            return
        if sent != len(data):
            self._out = bytearray(data[sent:])
            self._stall_at = trio.current_time() + self._limits.send_timeout
            self._hub.wake_at(self, self._stall_at)
            self._rewatch()

    def _write_broke(self, error: OSError) -> None:
        self._broken = error
        self._out, self._stall_at = None, _NEVER
        self._finish_within(_LAST_WORDS)
        self._flushed()

    def _flushed(self) -> None:
        if self._state is _State.FLUSHING:
            self._finish()
            return
        if self._state is _State.LINGERING:
            self._say_end()
        self._rewatch()

    # -- receiving ---------------------------------------------------------------------------------------------------

    def _message(self, message: str | bytes) -> None:
        if self._end is not None:
            # We are closing: read on for the peer's close frame, keep nothing.
            return
        if self._take is not None:
            try:
                self._take(message)
            except BaseException as error:
                self._take_failed(error)
            return
        if self._messages is None:
            self._messages = deque()
        self._messages.append(message)
        self._unread += sys.getsizeof(message)
        self._wake_receiver()
        if self._unread > self._limits.receive_buffer:
            self._rewatch()

    def _take_failed(self, error: BaseException) -> None:
        """What the receiver's function raised is the receiver's: it comes out of its ``receive_each``."""
        self._take = None
        task, self._receiver = self._receiver, None
        if task is not None:
            trio.lowlevel.reschedule(task, outcome.Error(error))
        elif isinstance(error, Exception):
            log.exception("taking a message failed after its receiver had gone")
        else:
            raise error

    def _pop(self) -> str | bytes:
        assert self._messages
        message = self._messages.popleft()
        paused = self._unread > self._limits.receive_buffer
        self._unread -= sys.getsizeof(message)
        if not self._messages:
            self._messages = None
        if paused:
            self._rewatch()
        return message

    def _ping_or_pong(self, kind: int, payload: bytes) -> None:
        if kind == PONG:
            pong = self._pings.get(payload) if self._pings is not None else None
            if pong is not None:
                pong.set()
        elif self._state is _State.OPEN:
            # What crosses a close is dropped: there is nobody to take it any more.
            self._send(client_frame(PONG, payload))

    def _peer_closes(self, code: int, reason: str) -> None:
        if self._state is _State.OPEN:
            self._finish_within(self._limits.close_timeout)
            self._send(client_frame(CLOSE, close_payload(code, reason)))
            self._ended(code, reason)
        if self._out is None:
            self._finish()
        elif self._state is not _State.DONE:
            self._state = _State.FLUSHING
            self._rewatch()

    def _breach(self, code: int, reason: str) -> None:
        """The peer sent what is no WebSocket frame."""
        if self._state is not _State.OPEN:
            self._finish()
            return
        self._state = _State.LINGERING
        self._finish_within(self._limits.close_timeout)
        self._ended(code, f"peer broke the protocol: {reason}")
        self._send(client_frame(CLOSE, close_payload(code, reason)))
        if self._out is None:
            self._say_end()
        self._rewatch()

    def _say_end(self) -> None:
        """Send the end of TCP: a peer that waits for ours before it closes sees it now."""
        self._finish_within(_LINGER)
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError as error:
            self._lost(error)

    def _close(self, code: int, reason: str) -> None:
        if self._end is not None:
            return
        self._state = _State.CLOSING
        if self._reader is not None:
            self._reader.discard()
        self._finish_within(self._limits.close_timeout)
        self._send(client_frame(CLOSE, close_payload(code, reason)))
        self._ended(code, reason)
        self._rewatch()

    # -- the end -----------------------------------------------------------------------------------------------------

    def _lost(self, error: OSError | None) -> None:
        """The stream has ended or broken, or took too long to: nobody is left to read what still waits."""
        self._ended(ABNORMAL, ENDED if error is None else describe(error))
        self._finish()

    def _ended(self, code: int, reason: str) -> None:
        """The connection is over for its users; the first reason stays."""
        if self._end is None:
            self._end = (code, reason)
        self._wake_receiver()
        if self._pings is not None:
            for pong in self._pings.values():
                pong.set()

    def _finish(self) -> None:
        if self._state is _State.DONE:
            return
        self._state = _State.DONE
        self._hub.forget(self)
        self._sock.close()
        self._out = self._reader = None
        self._stall_at = self._end_at = _NEVER
        self._ended(ABNORMAL, ENDED)
        if self._done is not None:
            self._done.set()

    def _finish_within(self, seconds: float) -> None:
        self._end_at = min(self._end_at, trio.current_time() + seconds)
        self._hub.wake_at(self, self._end_at)

    def _closed(self) -> ConnectionClosed:
        assert self._end is not None
        return ConnectionClosed(*self._end)

    # -- waiting -----------------------------------------------------------------------------------------------------

    async def _wait_done(self) -> None:
        if self._state is _State.DONE:
            await trio.lowlevel.checkpoint()
            return
        if self._done is None:
            self._done = trio.Event()
        await self._done.wait()

    async def _park(self) -> None:
        if self._receiver is not None:
            raise RuntimeError(_ONE_RECEIVER)
        self._receiver = trio.lowlevel.current_task()
        await trio.lowlevel.wait_task_rescheduled(self._abort_receiver)

    def _wake_receiver(self) -> None:
        if self._receiver is not None:
            task, self._receiver = self._receiver, None
            trio.lowlevel.reschedule(task)

    def _abort_receiver(self, _: object) -> trio.lowlevel.Abort:
        self._receiver = self._take = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _rewatch(self) -> None:
        """Have the socket watched for what is of use now."""
        mask = 0
        if self._state is _State.OPEN:
            mask = READABLE if self._unread <= self._limits.receive_buffer else 0
        elif self._state is not _State.FLUSHING:
            mask = READABLE
        if self._out is not None:
            mask |= WRITABLE
        if self._state is not _State.DONE and mask != self.mask:
            self._hub.watch(self, mask)
