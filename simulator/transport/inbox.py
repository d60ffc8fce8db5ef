"""The receiving side of a connection: pieces become messages, messages wait for the one who receives."""

from __future__ import annotations

import sys
from collections import deque
from io import BytesIO, StringIO

import trio


class Inbox:
    """Messages received and not yet fetched; bounded by the memory they take, not by their number.

    :param max_payload: the largest message, in bytes of UTF-8 or binary.
    :param limit: bytes of memory; above it :meth:`wait_for_room` waits.
    """

    __slots__ = (
        "_ended",
        "_limit",
        "_max_payload",
        "_messages",
        "_partial",
        "_partial_size",
        "_reader",
        "_receiver",
        "size",
    )

    def __init__(self, *, max_payload: int, limit: int) -> None:
        self._max_payload = max_payload
        self._limit = limit
        self._messages: deque[str | bytes] = deque()
        self._partial: StringIO | BytesIO | None = None
        self._partial_size = 0
        self._ended = False
        self._receiver: trio.lowlevel.Task | None = None
        self._reader: trio.lowlevel.Task | None = None
        #: Bytes of memory of the waiting messages.
        self.size = 0

    def add(self, piece: str | bytes, *, finished: bool) -> bool:
        """Take a message or a piece of one; False when the message has become larger than ``max_payload``."""
        self._partial_size += len(piece) if isinstance(piece, bytes) or piece.isascii() else len(piece.encode())
        if self._partial_size > self._max_payload:
            self._partial = None
            return False
        if not finished or self._partial is not None:
            # Buffers rather than a list of pieces: a million empty pieces take no memory.
            if self._partial is None:
                self._partial = StringIO() if isinstance(piece, str) else BytesIO()
            self._partial.write(piece)  # type: ignore[arg-type]  # all pieces of a message are of one type
            if not finished:
                return True
            piece = self._partial.getvalue()
            self._partial = None
        self._partial_size = 0
        self._messages.append(piece)
        self.size += sys.getsizeof(piece)
        self._wake_receiver()
        return True

    async def receive(self) -> str | bytes | None:
        """The next message; None when there are no more and the inbox has ended. On cancel nothing is lost."""
        if self._messages:
            await trio.lowlevel.checkpoint_if_cancelled()
        while not self._messages:
            if self._ended:
                await trio.lowlevel.checkpoint()
                return None
            if self._receiver is not None:
                raise RuntimeError("only one task may receive from a connection")
            self._receiver = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort_receiver)
        message = self._messages.popleft()
        self.size -= sys.getsizeof(message)
        if self._reader is not None and self.size <= self._limit:
            self._wake_reader()
        return message

    @property
    def full(self) -> bool:
        """Whether more is waiting than should be."""
        return self.size > self._limit

    async def wait_for_room(self) -> None:
        """Wait until messages have been fetched, or the inbox has ended. For one task."""
        while self.size > self._limit and not self._ended:
            self._reader = trio.lowlevel.current_task()
            await trio.lowlevel.wait_task_rescheduled(self._abort_reader)

    def end(self) -> None:
        """Nothing more will come; what waits can still be received."""
        self._ended = True
        self._wake_receiver()
        self._wake_reader()

    def discard(self) -> None:
        """Drop what waits."""
        self._messages.clear()
        self._partial = None
        self.size = 0

    def _wake_receiver(self) -> None:
        if self._receiver is not None:
            task, self._receiver = self._receiver, None
            trio.lowlevel.reschedule(task)

    def _wake_reader(self) -> None:
        if self._reader is not None:
            task, self._reader = self._reader, None
            trio.lowlevel.reschedule(task)

    def _abort_receiver(self, _: object) -> trio.lowlevel.Abort:
        self._receiver = None
        return trio.lowlevel.Abort.SUCCEEDED

    def _abort_reader(self, _: object) -> trio.lowlevel.Abort:
        self._reader = None
        return trio.lowlevel.Abort.SUCCEEDED
