"""The writer of the log: the bounded queue before it, and the outputs behind it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from types import TracebackType

from .batch_thread import BatchThread
from .log_files import Output


class LogWriter:
    """Hands lines to outputs without ever blocking who logs them.

    :param outputs: each with the least level number that it takes.
    :param max_lines: lines that may wait; beyond it lines are dropped, and one line tells how many.
    :param tell_dropped: makes the line that tells of so many dropped ones, with its level number.
    :param on_close: called at the beginning of :meth:`close`: nobody should log here any more.

    A context manager: leaving it closes.
    """

    def __init__(
        self,
        outputs: Sequence[tuple[int, Output]],
        *,
        max_lines: int,
        tell_dropped: Callable[[int], tuple[int, str]],
        on_close: Callable[[], None],
    ) -> None:
        self._outputs = outputs
        self._max_lines = max_lines
        self._tell_dropped = tell_dropped
        self._on_close = on_close
        self._dropped = 0
        self._thread: BatchThread[tuple[int, str]] | None = None
        self.dropped = 0
        """Lines dropped so far because the queue was full."""
        if outputs:
            self._thread = BatchThread("log writer", self._write, self._end)

    def put(self, level: int, line: str) -> None:
        """Queue one line; callable from any thread and from signal handlers."""
        thread = self._thread
        if thread is None:
            return
        if thread.waiting >= self._max_lines:
            self._dropped += 1
            self.dropped += 1
            return
        thread.put((level, line))

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until what was logged before is written; whether it was in time. Blocks the calling thread."""
        return self._thread is None or self._thread.flush(timeout)

    def release(self) -> None:
        """Let others take the lines from now on; what is queued is still written, until :meth:`close`."""
        self._on_close()

    def close(self, timeout: float = 5.0) -> bool:
        """Write what is queued, for at most ``timeout`` seconds, and end; whether all of it was written.

        Blocks the calling thread: call it when the trio run is over, or in a worker thread. Closing again does nothing.
        """
        self._on_close()
        return self._thread is None or self._thread.close(timeout)

    def __enter__(self) -> LogWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # -- the thread ----------------------------------------------------------------------------------------------------

    def _write(self, batch: list[tuple[int, str]]) -> None:
        if self._dropped:
            count, self._dropped = self._dropped, 0
            batch.append(self._tell_dropped(count))
        for least, output in self._outputs:
            lines = [line for level, line in batch if level >= least]
            if lines:
                lines.append("")
                with contextlib.suppress(Exception):  # an output's fault must not end the log of the others
                    output.write("\n".join(lines), len(lines) - 1)

    def _end(self) -> None:
        for _, output in self._outputs:
            output.close()
