"""What leaves the process together: frames wait for the end of a pass over many stations.

The timers of thousands of stations fire in one pass, and so are the answers to them read. Holding back what they send
until the pass is over lets one write to the transaction journal stand for all of them (a record is written *ahead* of
its message), and a message's way is timed from when it really leaves. Outside of a pass nothing is held back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import TracebackType
from typing import Protocol

import trio

log = logging.getLogger("simulator.outbox")


class Posts(Protocol):
    """Whatever takes a frame: a connection."""

    def post(self, text: str | bytes) -> None:
        """Put a text on the wire; bytes are one in UTF-8."""


class Departure(Protocol):
    """Somebody who wants to know when a frame has left."""

    sent_at: float


class Outbox:
    """The frames of one process. A context manager: within it frames are held back; it may be entered again inside."""

    __slots__ = ("_ahead", "_frames", "held", "now")

    def __init__(self, now: Callable[[], float] = trio.current_time) -> None:
        #: The clock by which departures are timed.
        self.now = now
        self._ahead: Callable[[], object] | None = None
        self._frames: list[tuple[Posts, str | bytes, Departure | None]] = []
        #: How many passes are under way, one inside the other; 0: nothing is held back.
        self.held = 0

    def before_frames(self, write: Callable[[], object] | None) -> None:
        """Call ``write`` before frames leave, and at the end of every pass; it must not raise."""
        self._ahead = write

    def __enter__(self) -> None:
        self.held += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.held -= 1
        if not self.held:
            self._empty()

    def put(self, connection: Posts, text: str | bytes, departure: Departure | None = None) -> None:
        """Send a text, now or at the end of the pass. A connection that has closed meanwhile tells its own reader."""
        self._frames.append((connection, text, departure))
        if not self.held:
            self._empty()

    def release(self) -> None:
        """Send what is held back now, in the midst of a pass: a connection is about to close."""
        self._empty()

    def _empty(self) -> None:
        if self._ahead is not None:
            self._ahead()
        if not self._frames:
            return
        frames, self._frames = self._frames, []
        now = self.now
        for connection, text, departure in frames:
            if departure is not None:
                departure.sent_at = now()
            try:
                connection.post(text)
            except Exception as error:
                # Of the others each has a station of its own.
                log.debug("a frame did not leave: %s", error)
